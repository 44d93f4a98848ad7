/* SPDX-License-Identifier: Apache-2.0
 *
 * learned - see learned.h and learned_table.h: what the writer does.
 */
#include <stdlib.h>

#include "crypto/siphash.h"
#include "policy/learned_table.h"

enum {
	/* How far the search for something to give up goes: the least of so many places, at most so many
	 * times if all of them are held. */
	LOOK = 64,
	LOOKS = 16,
	EXPIRE_BATCH = 4096,
	NAME_BLOCKS = 2, /* for each place, on average; most names take one */
};

/* ---- Memory ---------------------------------------------------------------------------------------- */

/* Cells are between two and four sevenths full at most, so that few routes pass a bucket. */
static uint32_t buckets_for(uint32_t max)
{
	uint32_t n = 2;

	while (n * 4 < max)
		n *= 2;
	return n;
}

uint64_t mf_learned_bytes(uint32_t max)
{
	uint64_t each = sizeof(struct mf_learned_place) + sizeof(uint32_t) + MF_DUE_BYTES +
			NAME_BLOCKS * sizeof(struct mf_text_block);

	return sizeof(struct mf_learned) +
	       buckets_for(max) * (uint64_t)sizeof(struct mf_learned_bucket) + max * each +
	       MF_TEXT_BLOCKS * sizeof(struct mf_text_block);
}

static void seed(struct mf_learned *t, const uint8_t key[16])
{
	uint64_t *word[] = { &t->seed4[0], &t->seed4[1], &t->seed6[0], &t->seed6[1],
			     &t->seed6[2], &t->seed6[3], &t->seed6[4] };

	for (uint8_t i = 0; i < MF_ARRAY_LEN(word); i++)
		*word[i] = mf_siphash(key, &i, 1);
}

/* Zeroed memory that begins with a cache line. So much at once comes from the kernel as pages that are made
 * when they are touched. */
static void *lines(size_t n)
{
	uint8_t *raw = calloc(n + 1, MF_CACHE_LINE), *at;

	if (!raw)
		return NULL;
	at = (uint8_t *)mf_round_up((uintptr_t)raw + 1, MF_CACHE_LINE);
	at[-1] = (uint8_t)(at - raw);
	return at;
}

static void free_lines(void *p)
{
	uint8_t *at = p;

	if (at)
		free(at - at[-1]);
}

struct mf_learned *mf_learned_new(uint32_t max, const uint8_t key[16])
{
	struct mf_learned *t = lines(mf_round_up(sizeof(*t), MF_CACHE_LINE) / MF_CACHE_LINE);
	uint32_t buckets = buckets_for(max);

	MF_ASSERT(max > 0 && max <= MF_LEARNED_MAX);
	if (!t)
		return NULL;
	t->max = max;
	t->mask = buckets - 1;
	t->shift = (uint32_t)__builtin_clz(buckets) + 1;
	seed(t, key);
	t->bucket = lines(buckets);
	t->place = lines(max);
	t->held = calloc(max, sizeof(*t->held));
	if (t->bucket && t->place && t->held && mf_due_init(&t->due, max) &&
	    mf_texts_init(&t->texts, max * NAME_BLOCKS + MF_TEXT_BLOCKS))
		return t;
	mf_learned_free(t);
	return NULL;
}

void mf_learned_free(struct mf_learned *t)
{
	if (!t)
		return;
	free_lines(t->bucket);
	free_lines(t->place);
	free(t->held);
	mf_due_fini(&t->due);
	mf_texts_fini(&t->texts);
	free_lines(t);
}

/* ---- The index ------------------------------------------------------------------------------------- */

static struct mf_learned_key key_at(const struct mf_learned *t, const struct mf_learned_place *p)
{
	struct mf_addr a = { .family = p->family };

	memcpy(a.b, p->addr, sizeof(a.b));
	return mf_learned_key(t, &a);
}

/* The cell of a bucket that has this value, or NULL. */
static uint64_t *cell_with(struct mf_learned_bucket *u, uint64_t value)
{
	for (unsigned i = 0; i < MF_LEARNED_CELLS; i++)
		if (u->cell[i] == value)
			return &u->cell[i];
	return NULL;
}

static void enter(struct mf_learned *t, uint32_t hash, uint32_t place)
{
	uint32_t b = hash >> t->shift;
	uint64_t *c;

	for (; !(c = cell_with(&t->bucket[b], 0)); b = (b + 1) & t->mask)
		mf_count(&t->bucket[b].passed, 1);
	__atomic_store_n(c, (uint64_t)hash << 32 | (place + 1), __ATOMIC_RELEASE);
}

static void leave(struct mf_learned *t, uint32_t hash, uint32_t place)
{
	uint64_t value = (uint64_t)hash << 32 | (place + 1), *c;
	uint32_t b = hash >> t->shift, end;

	for (end = b; !(c = cell_with(&t->bucket[end], value)); end = (end + 1) & t->mask)
		;
	MF_STORE(c, 0);
	for (; b != end; b = (b + 1) & t->mask)
		__atomic_store_n(&t->bucket[b].passed, t->bucket[b].passed - 1, __ATOMIC_RELEASE);
}

/* ---- Places ---------------------------------------------------------------------------------------- */

static void write_facts(struct mf_learned_place *p, const struct mf_learned_facts *facts)
{
	const uint64_t *from = (const void *)facts;
	uint64_t *to = (void *)&p->facts;
	uint32_t seq = p->seq;

	MF_STORE(&p->seq, seq + 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (unsigned i = 0; i < MF_LEARNED_FACT_WORDS; i++)
		MF_STORE(&to[i], from[i]);
	__atomic_store_n(&p->seq, seq + 2, __ATOMIC_RELEASE);
	MF_STORE(&p->found, facts->overridden || p->gone ? 0 : facts->hop);
}

static bool is_held(const struct mf_learned *t, const struct mf_learned_place *p)
{
	return MF_LOAD(&t->held[mf_learned_number(t, p)]) > 1;
}

/* A route for this address lives at p from now on. */
static void settle(struct mf_learned *t, const struct mf_learned_key *k,
		   const struct mf_learned_facts *f)
{
	uint32_t i = t->free ? t->free - 1 : t->high++;
	struct mf_learned_place *p = &t->place[i];

	if (t->free)
		t->free = p->found;
	t->n++;
	/* Behind the end of the life before, for lookups that are still there. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	MF_STORE(&p->addr[0], k->addr[0]);
	MF_STORE(&p->addr[1], k->addr[1]);
	MF_STORE(&p->family, k->family);
	MF_STORE(&p->used, 0);
	MF_STORE(&p->gone, 0);
	write_facts(p, f);
	__atomic_store_n(&p->life, p->life + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&t->held[i], 1, __ATOMIC_RELEASE);
	MF_STORE(&t->some, 1);
	enter(t, k->hash, i);
	mf_due_set(&t->due, i, f->until);
}

static void drop_texts(struct mf_learned *t, const struct mf_learned_facts *f)
{
	mf_texts_drop(&t->texts, f->name);
	mf_texts_drop(&t->texts, f->shared);
}

/* Gives the place back; false: sessions hold it. */
static bool bury(struct mf_learned *t, struct mf_learned_place *p)
{
	uint32_t i = mf_learned_number(t, p), one = 1;

	if (!__atomic_compare_exchange_n(&t->held[i], &one, 0, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return false;
	leave(t, key_at(t, p).hash, i);
	__atomic_store_n(&p->life, p->life + 1, __ATOMIC_RELEASE);
	drop_texts(t, &p->facts);
	mf_due_remove(&t->due, i);
	if (!p->gone)
		mf_uncount(&t->count.routes, 1);
	MF_STORE(&p->found, t->free);
	t->free = i + 1;
	t->n--;
	MF_STORE(&t->some, t->n > 0);
	return true;
}

/* The route is no more; its place stays for as long as sessions will come to release it. */
static void end(struct mf_learned *t, struct mf_learned_place *p)
{
	if (bury(t, p))
		return;
	MF_STORE(&p->gone, 1);
	MF_STORE(&p->found, 0);
	mf_uncount(&t->count.routes, 1);
	mf_due_set(&t->due, mf_learned_number(t, p), 0);
}

/* Nobody would miss it much. */
static bool is_idle(const struct mf_learned_place *p, mf_nsec now)
{
	return p->gone || p->facts.until <= now || (!p->facts.was_used && !MF_LOAD(&p->used));
}

/* Is `a` to be given up rather than `b`? */
static bool lesser(const struct mf_learned_place *a, const struct mf_learned_place *b, mf_nsec now)
{
	bool a_idle = is_idle(a, now), b_idle = is_idle(b, now);

	return a_idle != b_idle ? a_idle : a->facts.until < b->facts.until;
}

/* Looks at the next places and gives up the least of them, but for `keep`; false: all are held. */
static bool give_up_one(struct mf_learned *t, const struct mf_learned_place *keep, mf_nsec now)
{
	struct mf_learned_place *least = NULL;

	for (uint32_t i = 0; i < mf_min(LOOK, t->high); i++) {
		struct mf_learned_place *p = &t->place[t->hand];

		t->hand = t->hand + 1 < t->high ? t->hand + 1 : 0;
		if (!(p->life & 1) || p == keep || is_held(t, p))
			continue;
		if (!least || lesser(p, least, now))
			least = p;
	}
	if (!least || !bury(t, least))
		return false;
	if (!least->gone)
		mf_count(&t->count.evicted, 1);
	return true;
}

/* Makes room for a text and, without `keep`, for a route. */
static bool make_room(struct mf_learned *t, size_t text, const struct mf_learned_place *keep,
		      mf_nsec now)
{
	for (unsigned looks = 0; t->texts.n_free < mf_texts_need(text) || (!keep && t->n == t->max);)
		if (!give_up_one(t, keep, now) && ++looks == LOOKS) {
			mf_count(&t->count.full, 1);
			return false;
		}
	return true;
}

/* ---- Putting --------------------------------------------------------------------------------------- */

static size_t name_length(const char *name)
{
	size_t n = strlen(name);

	MF_ASSERT(n <= MF_LEARNED_NAME_MAX);
	return n;
}

static bool is_text(const struct mf_learned *t, uint32_t ref, const char *name)
{
	char text[MF_TEXT_MAX + 1];

	mf_texts_get(&t->texts, ref, text);
	return !strcmp(text, name);
}

/* Into *f; the text that was there must be dropped after *f has been written. */
static uint32_t note_shared(struct mf_learned *t, struct mf_learned_facts *f, const char *name)
{
	size_t n = name_length(name);
	uint32_t old = f->shared;

	if (f->is_shared && is_text(t, old, name))
		return 0;
	f->is_shared = true;
	f->shared = mf_texts_need(n) <= t->texts.n_free ? mf_texts_put(&t->texts, name, n) : 0;
	return old;
}

static void count_overridden(struct mf_learned *t, bool was, bool is)
{
	if (is && !was)
		mf_count(&t->count.overridden, 1);
}

/* An earlier rule has the address. */
static mf_err give_way(struct mf_learned *t, struct mf_learned_place *p,
		       const struct mf_learned_route *r, bool overridden, const char **winner)
{
	struct mf_learned_facts f = p->facts;
	uint32_t old = note_shared(t, &f, r->name);

	f.until = mf_max(f.until, r->until);
	count_overridden(t, f.overridden, overridden);
	f.overridden = overridden;
	write_facts(p, &f);
	mf_texts_drop(&t->texts, old);
	mf_count(&t->count.conflicts, 1);
	if (winner) {
		mf_texts_get(&t->texts, f.name, t->winner);
		*winner = t->winner;
	}
	return MF_E_EXISTS;
}

/* The address has a route, which this one prolongs or replaces. */
static mf_err renew(struct mf_learned *t, struct mf_learned_place *p,
		    const struct mf_learned_route *r, bool overridden, mf_nsec now)
{
	struct mf_learned_facts f = p->facts;
	size_t n = name_length(r->name);
	bool ours = r->rule <= f.rule; /* name, rule and hop */
	bool conflict = r->rule < f.rule && r->hop != f.hop;
	uint32_t old = 0;

	if (ours && !is_text(t, f.name, r->name)) {
		if (!make_room(t, n, p, now))
			return MF_E_FULL;
		old = conflict ? f.shared : f.name;
		if (conflict)
			f.shared = f.name;
		f.is_shared |= conflict;
		f.name = mf_texts_put(&t->texts, r->name, n);
	}
	if (ours) {
		f.hop = r->hop;
		f.rule = r->rule;
	}
	f.until = mf_max(f.until, r->until);
	count_overridden(t, f.overridden, overridden);
	f.overridden = overridden;
	write_facts(p, &f);
	mf_texts_drop(&t->texts, old);
	mf_count(conflict ? &t->count.conflicts : &t->count.prolonged, 1);
	return MF_OK;
}

static struct mf_learned_facts facts_of(struct mf_learned *t, const struct mf_learned_route *r,
					bool overridden)
{
	uint32_t name = mf_texts_put(&t->texts, r->name, name_length(r->name));

	count_overridden(t, false, overridden);
	mf_count(&t->count.learned, 1);
	mf_count(&t->count.routes, 1);
	return (struct mf_learned_facts){
		.until = r->until, .hop = r->hop, .rule = r->rule, .name = name, .overridden = overridden
	};
}

/* Where one lived that sessions still hold. */
static mf_err revive(struct mf_learned *t, struct mf_learned_place *p,
		     const struct mf_learned_route *r, bool overridden, mf_nsec now)
{
	struct mf_learned_facts old = p->facts, f;

	if (!make_room(t, name_length(r->name), p, now))
		return MF_E_FULL;
	f = facts_of(t, r, overridden);
	MF_STORE(&p->used, 0);
	MF_STORE(&p->gone, 0);
	write_facts(p, &f);
	drop_texts(t, &old);
	mf_due_set(&t->due, mf_learned_number(t, p), f.until);
	return MF_OK;
}

mf_err mf_learned_put(struct mf_learned *t, const struct mf_learned_route *r, bool overridden,
		      mf_nsec now, const char **winner)
{
	struct mf_learned_key k = mf_learned_key(t, &r->addr);
	struct mf_learned_place *p = mf_learned_place(t, &k);
	struct mf_learned_facts f;

	MF_ASSERT(r->hop);
	if (p && p->gone)
		return revive(t, p, r, overridden, now);
	if (p && r->rule > p->facts.rule && r->hop != p->facts.hop)
		return give_way(t, p, r, overridden, winner);
	if (p)
		return renew(t, p, r, overridden, now);
	if (!make_room(t, name_length(r->name), NULL, now))
		return MF_E_FULL;
	f = facts_of(t, r, overridden);
	settle(t, &k, &f);
	return MF_OK;
}

/* A route that there is. */
static struct mf_learned_place *find_route(const struct mf_learned *t, const struct mf_addr *a)
{
	struct mf_learned_key k = mf_learned_key(t, a);
	struct mf_learned_place *p = mf_learned_place(t, &k);

	return p && !p->gone ? p : NULL;
}

bool mf_learned_shared(struct mf_learned *t, const struct mf_addr *a, const char *name)
{
	struct mf_learned_place *p = find_route(t, a);
	struct mf_learned_facts f;
	uint32_t old;

	if (!p)
		return false;
	f = p->facts;
	if (!f.is_shared)
		mf_count(&t->count.shared, 1);
	old = note_shared(t, &f, name);
	write_facts(p, &f);
	mf_texts_drop(&t->texts, old);
	return true;
}

/* ---- Ending ---------------------------------------------------------------------------------------- */

void mf_learned_judge(struct mf_learned *t,
		      bool (*judge)(void *ctx, struct mf_learned_route *r, bool *overridden),
		      void *ctx)
{
	char name[MF_TEXT_MAX + 1];

	for (uint32_t i = 0; i < t->high; i++) {
		struct mf_learned_place *p = &t->place[i];
		struct mf_learned_facts f = p->facts;
		struct mf_learned_route r = { mf_learned_addr(p), f.hop, f.rule, f.until, name };
		bool overridden = f.overridden;

		if (!(p->life & 1) || p->gone)
			continue;
		mf_texts_get(&t->texts, f.name, name);
		if (!judge(ctx, &r, &overridden)) {
			end(t, p);
			continue;
		}
		MF_ASSERT(r.hop);
		count_overridden(t, f.overridden, overridden);
		f.hop = r.hop;
		f.rule = r.rule;
		f.overridden = overridden;
		write_facts(p, &f);
	}
}

static void note_use(struct mf_learned_place *p)
{
	struct mf_learned_facts f = p->facts;

	if (f.was_used)
		return;
	f.was_used = true;
	write_facts(p, &f);
}

/* The route at p is due: returns when to look at it again, MF_NEVER if it is out. */
static mf_nsec look_at(struct mf_learned *t, struct mf_learned_place *p, mf_nsec now, mf_nsec idle)
{
	if (p->facts.until > now && !p->gone)
		return p->facts.until;
	if (is_held(t, p))
		return now + idle;
	if (!p->gone && __atomic_exchange_n(&p->used, 0, __ATOMIC_RELAXED)) {
		note_use(p);
		return now + idle;
	}
	if (!bury(t, p))
		return now + idle;
	if (!p->gone)
		mf_count(&t->count.expired, 1);
	return MF_NEVER;
}

mf_nsec mf_learned_expire(struct mf_learned *t, mf_nsec now, mf_nsec idle)
{
	idle = mf_max(idle, MF_SEC);
	for (unsigned n = 0; n < EXPIRE_BATCH; n++) {
		const struct mf_due_item *first = mf_due_first(&t->due);
		uint32_t i;
		mf_nsec again;

		if (!first)
			return MF_NEVER;
		if (first->at > now)
			return first->at;
		i = first->number;
		again = look_at(t, &t->place[i], now, idle);
		if (again != MF_NEVER)
			mf_due_set(&t->due, i, again);
	}
	return now;
}

bool mf_learned_remove(struct mf_learned *t, const struct mf_addr *a)
{
	struct mf_learned_place *p = find_route(t, a);

	if (p)
		end(t, p);
	return p != NULL;
}

void mf_learned_clear(struct mf_learned *t)
{
	for (uint32_t i = 0; i < t->high; i++)
		if (t->place[i].life & 1 && !t->place[i].gone)
			end(t, &t->place[i]);
}
