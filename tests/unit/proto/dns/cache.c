/* SPDX-License-Identifier: Apache-2.0
 *
 * Known cases: RFC 2308 (negative answers), RFC 8767 (stale ones), RFC 9520 (failures), and what the cache
 * promises beside them. Random ones are in cache_model.c.
 */
#include "maker.h"
#include "proto/dns/cache_internal.h"

#define START (5000 * MF_SEC)

static const uint8_t hash_key[16] = "0123456789abcdef";
static const struct mf_dns_entry_note note = { .hop = 3, .rule = 7, .latency_us = 900, .upstream = 1 };
static struct maker m;
static mf_nsec now;

static struct mf_dns_cache_config config(void)
{
	return (struct mf_dns_cache_config){ .bytes = 256 << 10,
					     .ttl_max = 86400,
					     .negative_max = 3600,
					     .stale = 86400,
					     .prefetch = true };
}

static struct mf_dns_cache *cache_with(const struct mf_dns_cache_config *cfg)
{
	struct mf_dns_cache *c = mf_dns_cache_new(cfg, hash_key);

	assert_non_null(c);
	now = START;
	return c;
}

static struct mf_dns_cache *new_cache(void)
{
	struct mf_dns_cache_config cfg = config();

	return cache_with(&cfg);
}

static bool put_flags(struct mf_dns_cache *c, const char *name, uint16_t type, uint8_t flags,
		      uint32_t failed_for)
{
	struct mf_dns_name n = maker_wire(name);
	struct mf_dns_key k = { .name = &n, .type = type, .flags = flags };
	struct mf_dns_facts facts;

	assert_int_equal(mf_dns_facts_read(maker_span(&m), &facts), MF_OK);
	return mf_dns_cache_put(c, &k, maker_span(&m), &facts, &note, failed_for, now);
}

static bool put(struct mf_dns_cache *c, const char *name, uint16_t type)
{
	return put_flags(c, name, type, 0, 0);
}

static bool get_flags(struct mf_dns_cache *c, const char *name, uint16_t type, uint8_t flags,
		      struct mf_dns_hit *hit)
{
	struct mf_dns_name n = maker_wire(name);
	struct mf_dns_key k = { .name = &n, .type = type, .flags = flags };

	return mf_dns_cache_get(c, &k, now, hit);
}

static bool get(struct mf_dns_cache *c, const char *name, struct mf_dns_hit *hit)
{
	return get_flags(c, name, MF_DNS_A, 0, hit);
}

static bool has(struct mf_dns_cache *c, const char *name)
{
	struct mf_dns_hit hit;

	return get(c, name, &hit);
}

static void pass(uint64_t seconds)
{
	now += seconds * MF_SEC;
}

static void tell_a(const char *name, uint32_t ttl)
{
	maker_begin(&m, 77, MF_DNS_QR | MF_DNS_RD | MF_DNS_RA);
	maker_question(&m, name, MF_DNS_A);
	maker_address(&m, MF_DNS_ANSWER, name, ttl, "192.0.2.1");
}

static void tell_negative(const char *name, unsigned rcode, uint32_t ttl, uint32_t minimum)
{
	maker_begin(&m, 77, MF_DNS_QR | MF_DNS_RA | rcode);
	maker_question(&m, name, MF_DNS_A);
	maker_soa(&m, "example", ttl, minimum);
}

static void tell_failure(const char *name)
{
	maker_begin(&m, 77, MF_DNS_QR | MF_DNS_RA | MF_DNS_SERVFAIL);
	maker_question(&m, name, MF_DNS_A);
}

static bool put_a(struct mf_dns_cache *c, const char *name, uint32_t ttl)
{
	tell_a(name, ttl);
	return put(c, name, MF_DNS_A);
}

static bool put_failure(struct mf_dns_cache *c, const char *name, uint32_t failed_for)
{
	tell_failure(name);
	return put_flags(c, name, MF_DNS_A, 0, failed_for);
}

/* ---- what is found ---- */

static void test_get(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	assert_false(has(c, "a.example"));
	assert_true(put_a(c, "A.Example", 300)); /* the name as the key has it: lower case */
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	assert_int_equal(hit.ttl, 300);
	assert_int_equal(hit.age, 0);
	assert_int_equal(hit.n_ttls, 1);
	assert_int_equal(mf_load_be32(hit.msg.p + hit.ttl_at[0]), 300);
	assert_false(hit.stale || hit.refresh);
	assert_memory_equal(hit.note, &note, sizeof(note));
	assert_memory_equal(hit.msg.p + MF_DNS_HEADER, "\1a\7example", 11);
	assert_int_equal(hit.msg.n, m.n);
	hit.note->hop = 9;
	pass(299);
	now += MF_SEC - 1;
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.age, 299);
	assert_int_equal(hit.note->hop, 9);
	assert_false(hit.stale);
	/* Neither another type, nor another name, nor other flags. */
	assert_false(get_flags(c, "a.example", MF_DNS_AAAA, 0, &hit));
	assert_false(get_flags(c, "a.example", MF_DNS_A, MF_DNS_KEY_DO, &hit));
	assert_false(has(c, "b.example") || has(c, "example") || has(c, "a.a.example"));
	mf_dns_cache_free(c);
}

/* Each kind of question is an entry of its own. */
static void test_flags_are_of_the_key(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	for (uint8_t flags = 0; flags < 4; flags++) {
		tell_a("a.example", 100 + flags);
		assert_true(put_flags(c, "a.example", MF_DNS_A, flags, 0));
	}
	for (uint8_t flags = 0; flags < 4; flags++) {
		assert_true(get_flags(c, "a.example", MF_DNS_A, flags, &hit));
		assert_int_equal(hit.ttl, 100 + flags);
	}
	assert_int_equal(mf_dns_cache_counters(c)->entries, 4);
	mf_dns_cache_free(c);
}

/* An answer is kept under its own question only. */
static void test_other_question(void **state)
{
	struct mf_dns_cache *c = new_cache();

	(void)state;
	tell_a("a.example", 300);
	assert_false(put(c, "b.example", MF_DNS_A));
	assert_false(put(c, "a.example", MF_DNS_AAAA));
	mf_store_be16(m.b + MF_DNS_HEADER + 13, MF_DNS_CHAOS);
	assert_false(put(c, "a.example", MF_DNS_A));
	assert_int_equal(mf_dns_cache_counters(c)->entries, 0);
	mf_dns_cache_free(c);
}

static void test_floor_and_ceiling(void **state)
{
	struct mf_dns_cache_config cfg = config();
	struct mf_dns_cache *c;
	struct mf_dns_hit hit;

	(void)state;
	cfg.ttl_min = 60;
	cfg.ttl_max = 600;
	c = cache_with(&cfg);
	put_a(c, "a.example", 0);
	put_a(c, "b.example", 100000);
	put_a(c, "c.example", 100);
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.ttl, 60);
	assert_int_equal(mf_load_be32(hit.msg.p + hit.ttl_at[0]), 60);
	assert_true(get(c, "b.example", &hit));
	assert_int_equal(hit.ttl, 600);
	assert_true(get(c, "c.example", &hit));
	assert_int_equal(hit.ttl, 100);
	/* A new limit is for what comes. */
	cfg.ttl_max = 30;
	mf_dns_cache_configure(c, &cfg);
	assert_true(get(c, "b.example", &hit));
	assert_int_equal(hit.ttl, 600);
	put_a(c, "b.example", 100000);
	assert_true(get(c, "b.example", &hit));
	assert_int_equal(hit.ttl, 30);
	mf_dns_cache_free(c);
}

/* RFC 1035 3.2.1: a TTL of 0 is for this one use. What was there before is no longer true. */
static void test_zero(void **state)
{
	struct mf_dns_cache *c = new_cache();

	(void)state;
	assert_false(put_a(c, "a.example", 0));
	assert_false(has(c, "a.example"));
	assert_true(put_a(c, "a.example", 10));
	assert_false(put_a(c, "a.example", 0));
	assert_false(has(c, "a.example"));
	mf_dns_cache_free(c);
}

/* ---- negative ---- */

/* RFC 2308 5: for the least of the SOA's TTL and its minimum. */
static void test_negative_ttl(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	tell_negative("a.example", MF_DNS_NXDOMAIN, 1200, 900);
	assert_true(put(c, "a.example", MF_DNS_A));
	tell_negative("b.example", MF_DNS_NOERROR, 600, 900);
	assert_true(put(c, "b.example", MF_DNS_A));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NXDOMAIN);
	assert_int_equal(hit.ttl, 900);
	assert_int_equal(mf_load_be32(hit.msg.p + hit.ttl_at[0]), 900);
	assert_true(get(c, "b.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	assert_int_equal(hit.ttl, 600);
	/* 7.1, 5: a limit of its own; hours are sensible, a day is too long. */
	tell_negative("c.example", MF_DNS_NXDOMAIN, 86400, 86400);
	assert_true(put(c, "c.example", MF_DNS_A));
	assert_true(get(c, "c.example", &hit));
	assert_int_equal(hit.ttl, 3600);
	mf_dns_cache_free(c);
}

/* RFC 2308 5: without a SOA it is not kept, whatever there is. */
static void test_negative_without_soa(void **state)
{
	struct mf_dns_cache *c = new_cache();

	(void)state;
	assert_true(put_a(c, "a.example", 300));
	maker_begin(&m, 1, MF_DNS_QR | MF_DNS_NXDOMAIN);
	maker_question(&m, "a.example", MF_DNS_A);
	assert_false(put(c, "a.example", MF_DNS_A));
	assert_true(has(c, "a.example"));
	assert_false(put(c, "b.example", MF_DNS_A));
	mf_dns_cache_free(c);
}

/* An answer of either kind takes the other's place. */
static void test_positive_and_negative(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	put_a(c, "a.example", 300);
	tell_negative("a.example", MF_DNS_NXDOMAIN, 100, 100);
	assert_true(put(c, "a.example", MF_DNS_A));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NXDOMAIN);
	assert_true(put_a(c, "a.example", 300));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	assert_int_equal(mf_dns_cache_counters(c)->entries, 1);
	mf_dns_cache_free(c);
}

/* ---- stale ---- */

/* RFC 8767 4: beyond its end, but not for ever. */
static void test_stale_window(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	put_a(c, "a.example", 300);
	pass(300);
	assert_true(get(c, "a.example", &hit));
	assert_true(hit.stale);
	assert_int_equal(hit.age, 300);
	pass(86399);
	assert_true(get(c, "a.example", &hit));
	assert_true(hit.stale);
	pass(1);
	assert_false(get(c, "a.example", &hit));
	assert_int_equal(mf_dns_cache_counters(c)->stale_hits, 2);
	assert_int_equal(mf_dns_cache_counters(c)->expired, 1);
	assert_int_equal(mf_dns_cache_counters(c)->entries, 0);
	mf_dns_cache_free(c);
}

static void test_no_stale(void **state)
{
	struct mf_dns_cache_config cfg = config();
	struct mf_dns_cache *c;

	(void)state;
	cfg.stale = 0;
	c = cache_with(&cfg);
	put_a(c, "a.example", 300);
	pass(300);
	assert_false(has(c, "a.example"));
	/* Allowed afterwards, it is so for what is still there. */
	put_a(c, "a.example", 300);
	pass(300);
	cfg.stale = 10;
	mf_dns_cache_configure(c, &cfg);
	assert_true(has(c, "a.example"));
	mf_dns_cache_free(c);
}

/* RFC 8767 5: while a stale answer is served, no more than one attempt to replace it in 30 s. */
static void test_stale_recheck(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	put_a(c, "a.example", 300);
	pass(300);
	assert_true(get(c, "a.example", &hit) && hit.stale && hit.refresh);
	pass(29);
	assert_true(get(c, "a.example", &hit) && hit.stale && !hit.refresh);
	pass(1);
	assert_true(get(c, "a.example", &hit) && hit.stale && hit.refresh);
	/* An attempt that failed: quiet for as long as that counts. */
	assert_false(put_failure(c, "a.example", 60));
	pass(59);
	assert_true(get(c, "a.example", &hit) && hit.stale && !hit.refresh);
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	pass(1);
	assert_true(get(c, "a.example", &hit) && hit.stale && hit.refresh);
	/* One that did not. */
	assert_true(put_a(c, "a.example", 300));
	assert_true(get(c, "a.example", &hit) && !hit.stale && !hit.refresh);
	mf_dns_cache_free(c);
}

/* ---- failures ---- */

static void test_failure(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	assert_false(put_failure(c, "a.example", 0));
	assert_false(has(c, "a.example"));
	assert_true(put_failure(c, "a.example", 5));
	pass(4);
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_SERVFAIL);
	assert_false(hit.refresh);
	/* Failures are not served stale. */
	pass(1);
	assert_false(has(c, "a.example"));
	/* RFC 9520 3.2: 5 minutes at most. */
	assert_true(put_failure(c, "a.example", 100000));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.ttl, 300);
	/* The next one takes its place, and so does an answer. */
	assert_true(put_failure(c, "a.example", 7));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.ttl, 7);
	assert_true(put_a(c, "a.example", 300));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	mf_dns_cache_free(c);
}

/* A failure takes the place of what can no longer be served, and of nothing else. */
static void test_failure_after_answer(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	put_a(c, "a.example", 300);
	assert_false(put_failure(c, "a.example", 30));
	assert_true(get(c, "a.example", &hit) && !hit.stale);
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	pass(300 + 86400);
	assert_true(put_failure(c, "a.example", 30));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_SERVFAIL);
	mf_dns_cache_free(c);
}

/* ---- prefetch ---- */

static void test_prefetch(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	put_a(c, "a.example", 300);
	put_a(c, "b.example", 300);
	pass(100);
	assert_true(get(c, "a.example", &hit) && !hit.refresh);
	now = START + 270 * MF_SEC - 1;
	assert_true(get(c, "a.example", &hit) && !hit.refresh);
	now++;
	assert_true(get(c, "a.example", &hit) && hit.refresh);
	assert_true(get(c, "a.example", &hit) && !hit.refresh); /* said once */
	/* Nobody has asked for this one before. */
	assert_true(get(c, "b.example", &hit) && !hit.refresh);
	assert_true(get(c, "b.example", &hit) && hit.refresh);
	/* What comes counts anew. */
	put_a(c, "a.example", 300);
	pass(270);
	assert_true(get(c, "a.example", &hit) && !hit.refresh);
	assert_true(get(c, "a.example", &hit) && hit.refresh);
	mf_dns_cache_free(c);
}

static void test_no_prefetch(void **state)
{
	struct mf_dns_cache_config cfg = config();
	struct mf_dns_cache *c;
	struct mf_dns_hit hit;

	(void)state;
	cfg.prefetch = false;
	c = cache_with(&cfg);
	put_a(c, "a.example", 300);
	pass(290);
	for (int i = 0; i < 3; i++)
		assert_true(get(c, "a.example", &hit) && !hit.refresh);
	mf_dns_cache_free(c);
}

/* ---- room ---- */

static const char *numbered(const char *what, unsigned i)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s%06u.example", what, i);
	return name;
}

/* A tenth of the cache is asked for again and again; ten caches full of names asked for once pass by. */
static void test_scan(void **state)
{
	struct mf_dns_cache *c = new_cache();
	unsigned popular = c->store.n_pieces / 20;

	(void)state;
	for (unsigned i = 0; i < popular; i++) {
		put_a(c, numbered("popular", i), 80000);
		assert_true(has(c, numbered("popular", i)));
	}
	for (unsigned i = 0; i < 10 * c->store.n_pieces; i++)
		assert_true(put_a(c, numbered("once", i), 80000));
	for (unsigned i = 0; i < popular; i++)
		assert_true(has(c, numbered("popular", i)));
	assert_true(mf_dns_cache_counters(c)->evicted > 8 * c->store.n_pieces / 2);
	assert_int_equal(mf_dns_cache_counters(c)->expired, 0);
	mf_dns_cache_free(c);
}

/* Of what was asked for alike, the oldest goes first; of what is over, what ended first, before all others. */
static void test_order(void **state)
{
	struct mf_dns_cache *c = new_cache();
	unsigned n = 0;

	(void)state;
	put_a(c, "over.example", 20);
	put_a(c, "longer.over.example", 10);
	has(c, "longer.over.example"); /* which does not help it */
	pass(30);
	while (!mf_dns_cache_counters(c)->evicted) {
		now++;
		put_a(c, numbered("n", n++), 80000);
	}
	assert_false(has(c, "longer.over.example"));
	assert_true(mf_dns_store_first_to_end(&c->store)->ttl == 20);
	while (mf_dns_cache_counters(c)->evicted < 2)
		put_a(c, numbered("n", n++), 80000);
	assert_false(has(c, "over.example"));
	for (unsigned i = 0; i < 10; i++) {
		uint64_t evicted = mf_dns_cache_counters(c)->evicted;

		while (mf_dns_cache_counters(c)->evicted == evicted)
			put_a(c, numbered("n", n++), 80000);
		assert_false(has(c, numbered("n", i)));
	}
	assert_true(has(c, numbered("n", 10)));
	mf_dns_cache_free(c);
}

/* What is reserved is within the limit, whatever that is; and less than the least is refused. */
static void test_bytes(void **state)
{
	struct mf_dns_cache_config cfg = config();

	(void)state;
	cfg.bytes = (64 << 10) - 1;
	assert_null(mf_dns_cache_new(&cfg, hash_key));
	for (cfg.bytes = 64 << 10; cfg.bytes < 64 << 20; cfg.bytes += 1 + cfg.bytes / 7) {
		struct mf_dns_cache *c = cache_with(&cfg);
		const struct mf_dns_store *s = &c->store;
		uintptr_t end = (uintptr_t)(s->heap + s->n_pieces + 1);

		assert_true(end - (uintptr_t)s->mem + sizeof(*c) <= cfg.bytes);
		/* Nine tenths of it are pieces, where the largest message is not all that fits. */
		if (cfg.bytes > 2 << 20)
			assert_true((uint64_t)s->n_pieces * MF_DNS_PIECE > cfg.bytes / 10 * 9);
		mf_dns_cache_free(c);
	}
}

static void tell_text(const char *name, size_t n)
{
	maker_begin(&m, 1, MF_DNS_QR);
	maker_question(&m, name, MF_DNS_TXT);
	maker_rr(&m, MF_DNS_ANSWER, name, MF_DNS_TXT, 300);
	while (m.n < n)
		maker_u8(&m, (unsigned)m.n * 7);
	maker_end(&m);
}

/* From one byte more to one byte more, over several borders of pieces, up to the largest. */
static void test_sizes(void **state)
{
	struct mf_dns_cache *c = new_cache();
	size_t most = (256 << 10) / 16, n;
	struct mf_dns_hit hit;

	(void)state;
	for (n = 60; n <= most + 1; n += n < 800 || n > most - 200 ? 1 : 97) {
		tell_text("a.example", n);
		if (!put(c, "a.example", MF_DNS_TXT))
			break;
		assert_true(get_flags(c, "a.example", MF_DNS_TXT, 0, &hit));
		assert_int_equal(hit.msg.n, n);
		assert_memory_equal(hit.msg.p, m.b, n);
	}
	assert_in_range(n, most - 100, most);
	assert_int_equal(mf_dns_cache_counters(c)->too_big, 1);
	assert_int_equal(mf_dns_cache_counters(c)->entries, 0);
	assert_int_equal(mf_dns_cache_counters(c)->bytes, 0);
	mf_dns_cache_free(c);
}

/* ---- flush ---- */

static void test_flush(void **state)
{
	static const char *const names[] = { "example",    "a.example",   "b.a.example",
					     "aa.example", "a.b.example", "other" };
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_name a = maker_wire("a.example"), root = maker_wire(".");

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++)
		assert_true(put_a(c, names[i], 300));
	tell_a("a.example", 300);
	assert_true(put_flags(c, "a.example", MF_DNS_A, MF_DNS_KEY_CD, 0));
	assert_int_equal(mf_dns_cache_flush_name(c, &a, false), 2); /* with all flags */
	assert_true(has(c, "b.a.example") && !has(c, "a.example"));
	put_a(c, "a.example", 300);
	assert_int_equal(mf_dns_cache_flush_name(c, &a, true), 2);
	assert_false(has(c, "b.a.example") || has(c, "a.example"));
	assert_true(has(c, "aa.example") && has(c, "a.b.example") && has(c, "example"));
	assert_int_equal(mf_dns_cache_flush_name(c, &a, true), 0);
	assert_int_equal(mf_dns_cache_flush_name(c, &root, true), 4);
	assert_true(put_a(c, "a.example", 300));
	assert_int_equal(mf_dns_cache_flush(c), 1);
	assert_int_equal(mf_dns_cache_flush(c), 0);
	assert_int_equal(mf_dns_cache_counters(c)->bytes, 0);
	mf_dns_cache_free(c);
}

/* ---- over a restart ---- */

enum { FILE_ROOM = 1 << 20 };
static uint8_t file[FILE_ROOM];

static size_t save(const struct mf_dns_cache *c, uint64_t wall)
{
	size_t n = mf_dns_cache_save(c, NULL, 0, now, wall);

	assert_true(n <= sizeof(file));
	assert_int_equal(mf_dns_cache_save(c, file, n, now, wall), n);
	return n;
}

static struct mf_dns_cache *loaded(size_t n, uint64_t wall, mf_err want)
{
	struct mf_dns_cache_config cfg = config();
	struct mf_dns_cache *c = mf_dns_cache_new(&cfg, hash_key);
	uint8_t *exact = malloc(n ? n : 1); /* so that reading beyond it is noticed */

	assert_non_null(c);
	assert_non_null(exact);
	memcpy(exact, file, n);
	assert_int_equal(mf_dns_cache_load(c, mf_span(exact, n), now, wall), want);
	free(exact);
	return c;
}

/* What is read back is as old as it is, on a machine whose own clock has just begun. */
static void test_restart(void **state)
{
	struct mf_dns_cache *c = new_cache(), *d;
	struct mf_dns_hit hit;
	size_t n;

	(void)state;
	put_a(c, "a.example", 1000);
	put_a(c, "b.example", 100);
	put_failure(c, "c.example", 300);
	pass(10);
	n = save(c, 1000000);
	now = 5 * MF_SEC;
	d = loaded(n, 1000200, MF_OK);
	assert_int_equal(mf_dns_cache_counters(d)->entries, 2);
	assert_true(get(d, "a.example", &hit) && !hit.stale);
	assert_int_equal(hit.age, 210);
	assert_int_equal(hit.ttl, 1000);
	assert_int_equal(hit.note->hop, 0);
	assert_int_equal(hit.note->rule, UINT32_MAX);
	assert_true(get(d, "b.example", &hit) && hit.stale && hit.refresh);
	pass(790);
	assert_true(get(d, "a.example", &hit) && hit.stale);
	mf_dns_cache_free(d);
	d = loaded(n, 1000000 + 89 + 86400, MF_OK);
	assert_int_equal(mf_dns_cache_counters(d)->entries, 2);
	mf_dns_cache_free(d);
	d = loaded(n, 1000000 + 90 + 86400, MF_OK);
	assert_int_equal(mf_dns_cache_counters(d)->entries, 1);
	mf_dns_cache_free(d);
	mf_dns_cache_free(loaded(n, 999999, MF_E_RANGE));
	mf_dns_cache_free(c);
}

/* The order of use lasts, too. */
static void test_restart_order(void **state)
{
	static const char *const order[] = { "e.example", "b.example", "d.example", "c.example",
					     "a.example" };
	struct mf_dns_cache *c = new_cache(), *d;
	const struct mf_dns_entry *e = NULL;
	size_t n;

	(void)state;
	put_a(c, "a.example", 1000);
	put_a(c, "b.example", 1000);
	put_a(c, "c.example", 1000);
	put_a(c, "d.example", 1000);
	put_a(c, "e.example", 1000);
	assert_true(has(c, "b.example") && has(c, "e.example"));
	n = save(c, 1);
	d = loaded(n, 1, MF_OK);
	for (size_t i = 0; i < MF_ARRAY_LEN(order); i++) {
		enum mf_dns_segment segment = i < 2 ? MF_DNS_PROTECTED : MF_DNS_PROBATION;
		struct mf_dns_name want = maker_wire(order[i]);

		e = mf_dns_store_next(&d->store, segment, i == 2 ? NULL : e);
		assert_non_null(e);
		mf_dns_store_read(&d->store, e);
		assert_memory_equal(mf_dns_store_msg(&d->store, e).p + MF_DNS_HEADER, want.b, want.n);
	}
	mf_dns_cache_free(c);
	mf_dns_cache_free(d);
}

/* What is there is newer than what comes from a file. */
static void test_load_beside(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;
	size_t n;

	(void)state;
	put_a(c, "a.example", 1000);
	put_a(c, "b.example", 1000);
	n = save(c, 1);
	mf_dns_cache_flush(c);
	put_a(c, "a.example", 500);
	assert_int_equal(mf_dns_cache_load(c, mf_span(file, n), now, 1), MF_OK);
	assert_int_equal(mf_dns_cache_counters(c)->entries, 2);
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.ttl, 500);
	mf_dns_cache_free(c);
}

/* Cut anywhere, or bent anywhere: what stands before it is taken, and nothing that was not said. */
static void test_damaged(void **state)
{
	struct mf_prng g = unit_prng("damaged");
	struct mf_dns_cache *c = new_cache(), *d;
	size_t n, cut;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		put_a(c, numbered("n", i), 1000);
	n = save(c, 1);
	for (cut = 0; cut <= n; cut++) {
		d = loaded(cut, 1, cut < 16 ? MF_E_MALFORMED : MF_OK);
		assert_int_equal(mf_dns_cache_counters(d)->entries,
				 cut < 16 ? 0 : (cut - 16) / ((n - 16) / 8));
		mf_dns_cache_free(d);
	}
	file[0] ^= 1;
	mf_dns_cache_free(loaded(n, 1, MF_E_MALFORMED));
	file[0] ^= 1;
	file[7] ^= 2;
	mf_dns_cache_free(loaded(n, 1, MF_E_MALFORMED));
	file[7] ^= 2;
	for (unsigned i = 0; i < 2000; i++) {
		size_t at = 16 + mf_prng_below(&g, n - 16);
		uint8_t was = file[at];

		file[at] ^= (uint8_t)(1 + mf_prng_below(&g, 255));
		d = loaded(n, 1, MF_OK);
		assert_in_range(mf_dns_cache_counters(d)->entries, (at - 16) / ((n - 16) / 8), 8);
		mf_dns_cache_free(d);
		file[at] = was;
	}
	mf_dns_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_flags_are_of_the_key),
		cmocka_unit_test(test_other_question),
		cmocka_unit_test(test_floor_and_ceiling),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_negative_ttl),
		cmocka_unit_test(test_negative_without_soa),
		cmocka_unit_test(test_positive_and_negative),
		cmocka_unit_test(test_stale_window),
		cmocka_unit_test(test_no_stale),
		cmocka_unit_test(test_stale_recheck),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_failure_after_answer),
		cmocka_unit_test(test_prefetch),
		cmocka_unit_test(test_no_prefetch),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_order),
		cmocka_unit_test(test_load_beside),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests_name("dns/cache", tests, NULL, NULL);
}
