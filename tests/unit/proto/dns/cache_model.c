/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache against a model that looks at every entry each time: what is found, for how long, what
 * has to go, and that the books of the store agree.
 */
#include "cached.h"

enum { NAMES = 40, TYPES = 3, FLAGS = 4, KEYS = NAMES * TYPES * FLAGS, STEPS = 40000 };

struct known {
	bool in, asked, said, failure;
	uint8_t msg[MF_DNS_MESSAGE_MAX];
	struct mf_dns_kept kept;
	mf_nsec born, quiet;
	uint32_t ttl, hits;
	unsigned segment;
	uint64_t used_at; /* on the model's clock of uses */
	struct mf_dns_entry_note note;
};

struct model {
	struct known k[KEYS];
	struct mf_dns_cache *c;
	struct mf_dns_cache_config cfg;
	struct mf_dns_cache_counters count;
	uint32_t n_pieces, n_used;
	uint64_t uses;
	struct mf_prng g;
};

static struct model model;
static const uint16_t types[TYPES] = { MF_DNS_A, MF_DNS_AAAA, MF_DNS_TXT };

static uint64_t below(uint64_t n)
{
	return mf_prng_below(&model.g, n);
}

/* Some are below others; some are long. */
static const char *name_at(unsigned i)
{
	static const char *const tops[] = { "x.example", "y.x.example", "z.test", "t" };
	static char text[256];
	unsigned long_by = i % 5 == 4 ? 50 : 1;

	snprintf(text, sizeof(text), "n%0*u.%s", (int)long_by, i, tops[i % 4]);
	if (i < 4)
		snprintf(text, sizeof(text), "%s", tops[i]);
	return text;
}

static unsigned name_of(unsigned key)
{
	return key / (TYPES * FLAGS);
}

static uint16_t type_of(unsigned key)
{
	return types[key / FLAGS % TYPES];
}

/* ---- the model ---- */

static uint32_t size_of(const struct known *k)
{
	size_t n = k->kept.n + 2u * k->kept.n_ttls, pieces = 1;

	for (size_t held = 56; held < n; held += 124)
		pieces++;
	return (uint32_t)pieces;
}

static mf_nsec end_of(const struct known *k)
{
	return k->born + k->ttl * MF_SEC;
}

static bool may_serve(const struct known *k)
{
	return k->in && now < end_of(k) + (k->failure ? 0 : model.cfg.stale * MF_SEC);
}

static void model_remove(struct known *k)
{
	MF_ASSERT(k->in);
	k->in = false;
	model.n_used -= size_of(k);
	model.count.entries--;
	model.count.bytes -= size_of(k) * 128u;
}

static struct known *least_used(unsigned segment)
{
	struct known *least = NULL;

	for (unsigned i = 0; i < KEYS; i++) {
		struct known *k = &model.k[i];

		if (k->in && k->segment == segment && (!least || k->used_at < least->used_at))
			least = k;
	}
	return least;
}

static void shrink_protected(void)
{
	for (;;) {
		uint32_t n = 0;
		struct known *k;

		for (unsigned i = 0; i < KEYS; i++)
			if (model.k[i].in && model.k[i].segment == 1)
				n += size_of(&model.k[i]);
		if (n <= model.n_pieces * 3 / 4)
			return;
		k = least_used(1);
		k->segment = 0;
		k->used_at = ++model.uses;
	}
}

static struct known *victim(void)
{
	struct known *first = NULL;

	for (unsigned i = 0; i < KEYS; i++) {
		struct known *k = &model.k[i];

		if (k->in && (!first || end_of(k) < end_of(first)))
			first = k;
	}
	if (end_of(first) <= now)
		return first;
	first = least_used(0);
	return first ? first : least_used(1);
}

static void model_add(struct known *k, const struct mf_dns_facts *f, uint32_t ttl)
{
	k->ttl = ttl;
	k->born = k->quiet = now;
	k->asked = k->said = false;
	k->failure = !f->cacheable;
	while (model.n_pieces - model.n_used < size_of(k)) {
		struct known *gone = victim();

		model.count.evicted += may_serve(gone);
		model.count.expired += !may_serve(gone);
		model_remove(gone);
	}
	k->in = true;
	k->used_at = ++model.uses;
	model.n_used += size_of(k);
	model.count.entries++;
	model.count.kept++;
	model.count.bytes += size_of(k) * 128u;
	shrink_protected();
}

static uint32_t clamp(uint32_t ttl, uint32_t ceiling)
{
	ttl = ttl < model.cfg.ttl_min ? model.cfg.ttl_min : ttl;
	return ttl > ceiling ? ceiling : ttl;
}

/* Whether it is kept. */
static bool model_put(struct known *k, const struct mf_dns_facts *f, uint32_t failed_for,
		      const struct mf_dns_entry_note *its_note)
{
	uint32_t ceiling = f->nodata || f->rcode == MF_DNS_NXDOMAIN ? model.cfg.negative_max
								    : model.cfg.ttl_max;
	uint32_t ttl = clamp(f->ttl, ceiling);

	if (!f->cacheable) {
		if (!failed_for)
			return false;
		ttl = failed_for > 300 ? 300 : failed_for;
		if (may_serve(k) && !k->failure) {
			k->quiet = now + ttl * MF_SEC;
			return false;
		}
	}
	if (k->in)
		model_remove(k);
	else
		k->segment = k->hits = 0;
	k->note = *its_note;
	if (!ttl)
		return false;
	if (m.n > model.c->store.msg_max) {
		model.count.too_big++;
		return false;
	}
	assert_int_equal(mf_dns_keep(&k->kept, k->msg, maker_span(&m), model.cfg.ttl_min, ceiling),
			 MF_OK);
	model_add(k, f, ttl);
	return true;
}

static bool model_refresh(struct known *k)
{
	mf_nsec span = k->ttl * MF_SEC;

	if (now >= end_of(k)) {
		if (now < k->quiet)
			return false;
		k->quiet = now + 30 * MF_SEC;
		return true;
	}
	if (!model.cfg.prefetch || !k->asked || k->said || k->failure || now < end_of(k) - span / 10)
		return false;
	k->said = true;
	return true;
}

/* ---- one step ---- */

static struct mf_dns_key key_at(unsigned i, struct mf_dns_name *name)
{
	*name = maker_wire(name_at(name_of(i)));
	return (struct mf_dns_key){ .name = name, .type = type_of(i), .flags = i % FLAGS };
}

static void step_get(unsigned i)
{
	struct known *k = &model.k[i];
	struct mf_dns_name name;
	struct mf_dns_key key = key_at(i, &name);
	struct mf_dns_hit hit;
	bool found = may_serve(k);

	if (k->in && !found) {
		model_remove(k);
		model.count.expired++;
	}
	assert_int_equal(mf_dns_cache_get(model.c, &key, now, &hit), found);
	if (!found) {
		model.count.misses++;
		return;
	}
	assert_int_equal(hit.msg.n, k->kept.n);
	assert_memory_equal(hit.msg.p, k->msg, k->kept.n);
	assert_int_equal(hit.n_ttls, k->kept.n_ttls);
	assert_memory_equal(hit.ttl_at, k->kept.ttl_at, 2u * hit.n_ttls);
	assert_int_equal(hit.rcode, k->msg[3] & 15);
	assert_int_equal(hit.age, (now - k->born) / MF_SEC);
	assert_int_equal(hit.ttl, k->ttl);
	assert_int_equal(hit.stale, now >= end_of(k));
	assert_int_equal(hit.refresh, model_refresh(k));
	assert_memory_equal(hit.note, &k->note, sizeof(k->note));
	*(hit.stale ? &model.count.stale_hits : &model.count.hits) += 1;
	hit.note->hop = ++k->note.hop;
	k->asked = true;
	k->hits++;
	k->segment = 1;
	k->used_at = ++model.uses;
	shrink_protected();
}

static void tell(unsigned i)
{
	const char *name = name_at(name_of(i));
	uint64_t kind = below(10);
	unsigned rcode = kind == 0 ? MF_DNS_NXDOMAIN : kind == 1 ? MF_DNS_SERVFAIL : MF_DNS_NOERROR;

	maker_begin(&m, (uint16_t)below(65536), MF_DNS_QR | rcode);
	maker_question(&m, name, type_of(i));
	if (kind == 1)
		return;
	if (kind == 0 || kind == 2) {
		maker_soa(&m, "example", (uint32_t)below(1000), (uint32_t)below(1000));
		return;
	}
	for (uint64_t n = 1 + below(below(5) ? 5 : 70); n > 0; n--) {
		maker_rr(&m, MF_DNS_ANSWER, name, type_of(i), (uint32_t)below(1000));
		maker_bytes(&m, &model.g.state, 4);
		if (type_of(i) != MF_DNS_A)
			maker_bytes(&m, "0123456789abcdef", 12);
		maker_end(&m);
	}
}

static void step_put(unsigned i)
{
	struct mf_dns_entry_note its_note = { .hop = (uint32_t)below(1000), .rule = i };
	uint32_t failed_for = below(4) ? (uint32_t)below(400) : 0;
	struct mf_dns_name name;
	struct mf_dns_key key = key_at(i, &name);
	struct mf_dns_facts f;
	bool kept;

	tell(i);
	assert_int_equal(mf_dns_facts_read(maker_span(&m), &f), MF_OK);
	kept = model_put(&model.k[i], &f, failed_for, &its_note);
	assert_int_equal(
		mf_dns_cache_put(model.c, &key, maker_span(&m), &f, &its_note, failed_for, now),
		kept);
}

static void step_flush(void)
{
	struct mf_dns_name zone = maker_wire(name_at((unsigned)below(NAMES)));
	bool with_below = below(2);
	uint32_t gone = 0;

	for (unsigned i = 0; i < KEYS; i++) {
		struct mf_dns_name name = maker_wire(name_at(name_of(i)));

		if (!model.k[i].in || !(with_below ? mf_dns_name_below(&name, &zone)
						   : mf_dns_name_equal(&name, &zone)))
			continue;
		model_remove(&model.k[i]);
		gone++;
	}
	assert_int_equal(mf_dns_cache_flush_name(model.c, &zone, with_below), gone);
}

static void step_configure(void)
{
	model.cfg.ttl_min = below(2) ? 0 : 30;
	model.cfg.ttl_max = below(2) ? 86400 : 600;
	model.cfg.negative_max = below(3) ? 300 : 0;
	model.cfg.stale = below(3) ? 500 : 0;
	model.cfg.prefetch = below(4);
	mf_dns_cache_configure(model.c, &model.cfg);
}

/* ---- comparing ---- */

static void compare_all(void)
{
	struct mf_dns_entry_info info;
	unsigned shown = 0, there = 0;

	for (uint32_t slot = 0; slot < mf_dns_cache_slots(model.c); slot++) {
		const struct known *k;

		if (!mf_dns_cache_info(model.c, slot, now, &info))
			continue;
		assert_true(info.note.rule < KEYS); /* the model's number */
		k = &model.k[info.note.rule];
		shown++;
		assert_true(may_serve(k));
		assert_int_equal(info.hits, k->hits);
		assert_int_equal(info.type, type_of(info.note.rule));
		assert_int_equal(info.key_flags, info.note.rule % FLAGS);
		assert_int_equal(info.ttl_left,
				 (int64_t)k->ttl - (int64_t)((now - k->born) / MF_SEC));
		assert_int_equal(info.msg.n, k->kept.n);
		assert_memory_equal(info.msg.p, k->msg, k->kept.n);
		assert_memory_equal(info.name.b, k->msg + MF_DNS_HEADER, info.name.n);
	}
	for (unsigned i = 0; i < KEYS; i++)
		there += may_serve(&model.k[i]);
	assert_int_equal(shown, there);
	assert_memory_equal(mf_dns_cache_counters(model.c), &model.count, sizeof(model.count));
}

/* The heap is one, and each entry knows its place; lists lead both ways; every piece is
 * somewhere. */
static void check_books(const struct mf_dns_store *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_entries; i++) {
		const struct mf_dns_entry *e = mf_dns_store_at(s, s->heap[i]), *up;

		assert_non_null(e);
		assert_int_equal(e->place, i);
		up = mf_dns_store_at(s, s->heap[i ? (i - 1) / 2 : 0]);
		assert_false(mf_dns_earlier(mf_dns_entry_end(e), mf_dns_entry_end(up)));
	}
	for (unsigned i = 0; i < MF_DNS_SEGMENTS; i++) {
		const struct mf_dns_entry *e = NULL;
		uint32_t newer = 0;

		while ((e = mf_dns_store_next(s, (enum mf_dns_segment)i, e))) {
			assert_int_equal(e->segment, i);
			assert_int_equal(e->newer, newer);
			newer = newer ? mf_dns_store_at(s, newer)->older : s->segment[i].newest;
			n++;
		}
		assert_int_equal(s->segment[i].oldest, newer);
	}
	assert_int_equal(n, s->n_entries);
	assert_true(s->n_used <= s->n_made && s->n_made <= s->n_pieces);
	assert_int_equal(s->n_used, s->segment[0].n_pieces + s->segment[1].n_pieces);
	assert_int_equal(s->n_used, model.n_used);
}

/* No two moments share their nanoseconds, so no two answers end at once. */
static void pass_some(unsigned step)
{
	uint64_t seconds = below(60) ? 0 : below(below(10) ? 20 : 400);

	now = (now / MF_SEC + seconds) * MF_SEC + step;
}

static void one_step(unsigned step)
{
	/* Some are asked for often. */
	unsigned i = (unsigned)(below(3) ? below(KEYS / 8) * 8 : below(KEYS));
	uint64_t what = below(1000);

	pass_some(step);
	if (what < 600)
		step_get(i);
	else if (what < 990)
		step_put(i);
	else if (what < 992)
		step_flush();
	else if (what < 996)
		step_configure();
	else
		compare_all();
	if (step % 16 == 0)
		check_books(&model.c->store);
}

static void test_against_model(void **state)
{
	(void)state;
	model.g = unit_prng("cache");
	for (unsigned run = 0; run < 3; run++) {
		memset(model.k, 0, sizeof(model.k));
		model.count = (struct mf_dns_cache_counters){ 0 };
		model.n_used = 0;
		model.cfg = config();
		model.cfg.bytes = (64 << 10) + run * 11111;
		model.c = cache_with(&model.cfg);
		model.n_pieces = model.c->store.n_pieces;
		for (unsigned step = 1; step <= STEPS; step++)
			one_step(step);
		compare_all();
		assert_true(model.count.evicted > 50 && model.count.expired > 50 &&
			    model.count.stale_hits > 50 && model.count.hits > 1000);
		mf_dns_cache_free(model.c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests_name("dns/cache_model", tests, NULL, NULL);
}
