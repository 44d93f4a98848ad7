/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/lpm.h"

#include <pthread.h>

#include "failing_malloc.h"
#include "lpm_model.h"
#include "policy/lpm_bulk.h"
#include "unit.h"

/* How addresses and values of a test look. */
struct shape {
	unsigned bits, direct;
	uint8_t variety; /* address bytes are below this (or all, if 0): few give nested prefixes */
	uint32_t max_value; /* decides how wide leaves are */
	size_t n;           /* prefixes the table grows to */
	unsigned min_len;
};

static const struct shape shapes[] = {
	{ 32, 0, 2, 9, 60, 0 },        { 32, 0, 0, 100000, 300, 0 },
	{ 32, 16, 3, 300, 200, 0 },    { 32, 16, 0, 0x7fffffff, 300, 12 },
	{ 32, 0, 4, 191, 500, 20 },    { 32, 16, 0, 192, 400, 22 },
	{ 128, 0, 2, 9, 100, 0 },      { 128, 0, 0, 0x7fffffff, 300, 40 },
	{ 128, 16, 3, 65279, 300, 0 }, { 128, 16, 0, 65280, 300, 12 },
	{ 128, 0, 2, 1000, 300, 120 },
};

static struct model model;
static bool racing; /* two lookups may differ */

static void random_addr(struct mf_prng *g, const struct shape *s, uint8_t addr[16])
{
	memset(addr, 0, 16);
	for (unsigned i = 0; i < s->bits / 8; i++)
		addr[i] =
			(uint8_t)(s->variety ? mf_prng_below(g, s->variety) * 0x55 : mf_prng_u64(g));
}

static struct mf_lpm_entry random_entry(struct mf_prng *g, const struct shape *s)
{
	struct mf_lpm_entry e = { .len = (uint8_t)(s->min_len +
						   mf_prng_below(g, s->bits - s->min_len + 1)) };

	random_addr(g, s, e.addr);
	e.value = 1 + (uint32_t)mf_prng_below(g, s->max_value);
	/* one in four goes near an old one */
	if (model.n && mf_prng_below(g, 4) == 0)
		memcpy(e.addr, model.e[mf_prng_below(g, model.n)].addr, 16);
	return e;
}

static uint32_t lookup(const struct mf_lpm *t, const uint8_t addr[16])
{
	return t->addr_bits == 32 ? mf_lpm_lookup4(t, mf_load_be32(addr)) : mf_lpm_lookup6(t, addr);
}

/* With every variant that this processor can do; all must agree. */
static void lookup_bulk(const struct mf_lpm *t, const uint8_t (*addr)[16], uint32_t *out, size_t n)
{
	uint32_t *four = malloc((n + 1) * sizeof(*four)), *other = malloc((n + 1) * sizeof(*other));

	for (size_t i = 0; i < n; i++)
		four[i] = mf_load_be32(addr[i]);
	if (t->addr_bits == 32)
		mf_lpm_lookup4_bulk(t, four, out, n);
	else
		mf_lpm_lookup6_bulk(t, addr, out, n);
	for (size_t v = 0; v < mf_lpm_bulks && !racing; v++) {
		if (!mf_lpm_bulk[v].usable())
			continue;
		if (t->addr_bits == 32)
			mf_lpm_bulk[v].lookup4(t, four, other, n);
		else
			mf_lpm_bulk[v].lookup6(t, addr, other, n);
		assert_memory_equal(out, other, n * sizeof(*out));
	}
	free(other);
	free(four);
}

static void check_addr(const struct mf_lpm *t, const uint8_t addr[16])
{
	uint32_t want = model_lookup(&model, addr), got = lookup(t, addr), bulk;
	unsigned len;

	lookup_bulk(t, (const void *)addr, &bulk, 1);
	if (got != want || bulk != want || mf_lpm_match(t, addr, &len) != want) {
		for (unsigned i = 0; i < 16; i++)
			print_error("%02x", addr[i]);
		fail_msg(": value %u, bulk %u, expected %u", got, bulk, want);
	}
}

static void check_edges(const struct mf_lpm *t, const struct mf_lpm_entry *e)
{
	struct mf_lpm_entry p = model_prefix(e->addr, e->len, e->value);
	uint8_t addr[4][16];

	model_edges(&p, t->addr_bits, addr);
	for (unsigned k = 0; k < 4; k++)
		check_addr(t, addr[k]);
}

static bool check_walked(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	size_t *i = ctx;

	assert_true(*i < model.n);
	assert_memory_equal(addr, model.e[*i].addr, model.bits / 8);
	assert_int_equal(len, model.e[*i].len);
	assert_int_equal(value, model.e[*i].value);
	++*i;
	return true;
}

static void check_walk(const struct mf_lpm *t)
{
	size_t i = 0;

	model_sort(&model);
	mf_lpm_walk(t, check_walked, &i);
	assert_int_equal(i, model.n);
	assert_int_equal(mf_lpm_count(t), model.n);
}

/* Every prefix, its edges, and random addresses in one bulk lookup. */
static void check_all(const struct mf_lpm *t, struct mf_prng *g, const struct shape *s)
{
	enum { N = 777 };
	static uint8_t addr[N][16];
	uint32_t got[N];
	size_t n = mf_prng_below(g, N + 1);

	check_walk(t);
	for (size_t i = 0; i < model.n; i++) {
		const struct mf_lpm_entry *e = &model.e[i];

		assert_int_equal(mf_lpm_get(t, e->addr, e->len), e->value);
		if (model.n <= 500)
			check_edges(t, e);
	}
	for (size_t i = 0; i < n; i++)
		random_addr(g, s, addr[i]);
	lookup_bulk(t, (const void *)addr, got, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got[i], model_lookup(&model, addr[i]));
		assert_int_equal(got[i], lookup(t, addr[i]));
	}
}

static void one_update(struct mf_lpm *t, struct mf_prng *g, const struct shape *s)
{
	struct mf_lpm_entry e = random_entry(g, s);
	bool remove = mf_prng_below(g, s->n) < model.n;

	if (remove && mf_prng_below(g, 2))
		e = model.e[mf_prng_below(g, model.n)];
	if (remove) {
		bool there = model_remove(&model, e.addr, e.len);

		assert_int_equal(mf_lpm_remove(t, e.addr, e.len), there ? MF_OK : MF_E_NOT_FOUND);
		assert_int_equal(mf_lpm_get(t, e.addr, e.len), MF_LPM_NONE);
	} else {
		assert_int_equal(mf_lpm_insert(t, e.addr, e.len, e.value), MF_OK);
		model_insert(&model, e.addr, e.len, e.value);
		assert_int_equal(mf_lpm_get(t, e.addr, e.len), e.value);
	}
	assert_int_equal(mf_lpm_count(t), model.n);
	check_edges(t, &e);
}

static void remove_all(struct mf_lpm *t, struct mf_prng *g)
{
	while (model.n) {
		struct mf_lpm_entry e = model.e[mf_prng_below(g, model.n)];

		assert_int_equal(mf_lpm_remove(t, e.addr, e.len), MF_OK);
		assert_true(model_remove(&model, e.addr, e.len));
		if (model.n % 16 == 0)
			check_edges(t, &e);
	}
}

static void test_model(void **state)
{
	struct mf_prng g = unit_prng("lpm model");

	(void)state;
	for (size_t k = 0; k < MF_ARRAY_LEN(shapes); k++) {
		const struct shape *s = &shapes[k];
		struct mf_lpm *t = mf_lpm_new(s->bits, s->direct, NULL);
		size_t bytes = mf_lpm_bytes(t), rib = mf_lpm_rib_bytes(t);

		model = (struct model){ .bits = s->bits };
		for (size_t i = 0; i < 4 * s->n; i++) {
			one_update(t, &g, s);
			if (i % 200 == 0)
				check_all(t, &g, s);
		}
		check_all(t, &g, s);
		assert_true(mf_lpm_bytes(t) > bytes && mf_lpm_rib_bytes(t) > rib);
		remove_all(t, &g);
		check_walk(t);
		assert_int_equal(mf_lpm_bytes(t), bytes);
		assert_int_equal(mf_lpm_rib_bytes(t), rib);
		mf_lpm_free(t);
	}
}

static void test_load(void **state)
{
	struct mf_prng g = unit_prng("lpm load");

	(void)state;
	for (size_t k = 0; k < MF_ARRAY_LEN(shapes); k++) {
		const struct shape *s = &shapes[k];
		struct mf_lpm *t = mf_lpm_new(s->bits, s->direct, NULL);
		struct mf_lpm_entry *e = calloc(s->n, sizeof(*e));

		model = (struct model){ .bits = s->bits };
		assert_int_equal(mf_lpm_load(t, NULL, 0), MF_OK);
		for (unsigned round = 0; round < 3; round++) {
			for (size_t i = 0; i < s->n; i++)
				e[i] = random_entry(&g, s);
			for (size_t i = 0; i < s->n; i++)
				model_insert(&model, e[i].addr, e[i].len, e[i].value);
			assert_int_equal(mf_lpm_load(t, e, s->n), MF_OK);
			check_all(t, &g, s);
		}
		free(e);
		mf_lpm_free(t);
	}
}

/* A table that began small takes 16 direct bits when it is worth it, and gives them back. */
static void test_grow(void **state)
{
	struct mf_prng g = unit_prng("lpm grow");
	struct shape s = { 32, 0, 0, 50, 4300, 15 };
	size_t bytes;

	(void)state;
	for (s.bits = 32; s.bits <= 128; s.bits += 96) {
		struct mf_lpm *t = mf_lpm_new(s.bits, 0, NULL);

		bytes = mf_lpm_bytes(t);
		model = (struct model){ .bits = s.bits };
		while (model.n < s.n) {
			struct mf_lpm_entry e = random_entry(&g, &s);

			assert_int_equal(mf_lpm_insert(t, e.addr, e.len, e.value), MF_OK);
			model_insert(&model, e.addr, e.len, e.value);
		}
		assert_int_equal(t->top->bits, 16);
		check_all(t, &g, &s);
		remove_all(t, &g);
		assert_int_equal(mf_lpm_bytes(t), bytes);
		assert_int_equal(mf_lpm_rib_bytes(t), 0);
		mf_lpm_free(t);
	}
}

/* Hosts of one network stay in one block, however many. */
static void test_hosts(void **state)
{
	enum { N = 6000 };
	struct mf_prng g = unit_prng("lpm hosts");
	struct mf_lpm_entry *e = calloc(N, sizeof(*e));
	struct mf_lpm *t = mf_lpm_new(128, 0, NULL);
	struct shape s = { 128, 0, 0, 1, 1, 0 };

	(void)state;
	model = (struct model){ .bits = 128 };
	for (uint32_t i = 0; i < N; i++) {
		e[i] = (struct mf_lpm_entry){ .addr = { 0xfd, 0x66 }, .len = 128, .value = i + 1 };
		mf_store_be32(e[i].addr + 12, i);
		model.e[model.n++] = e[i];
	}
	assert_int_equal(mf_lpm_load(t, e, N), MF_OK);
	assert_int_equal(t->top->bits, 0);
	check_all(t, &g, &s);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(mf_lpm_lookup6(t, e[i].addr), i + 1);
	mf_lpm_free(t);
	free(e);
}

static void test_small_is_cheap(void **state)
{
	static const struct mf_lpm_entry e[] = {
		{ { 0 }, 0, 1 },           { { 10, 10, 0, 2 }, 32, 2 },
		{ { 10, 20 }, 16, 3 },     { { 192, 168, 7 }, 24, 4 },
		{ { 8, 8, 8, 8 }, 32, 5 },
	};
	struct mf_lpm *t = mf_lpm_new(32, 0, NULL);

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(e); i++)
		assert_int_equal(mf_lpm_insert(t, e[i].addr, e[i].len, e[i].value), MF_OK);
	assert_true(mf_lpm_bytes(t) + mf_lpm_rib_bytes(t) < 1024);
	assert_int_equal(mf_lpm_lookup4(t, 0x0a0a0002), 2);
	assert_int_equal(mf_lpm_lookup4(t, 0x0a0a0003), 1);
	assert_int_equal(mf_lpm_lookup4(t, 0xc0a807ff), 4);
	mf_lpm_free(t);
}

/* Runs an update with the 1st, 2nd, ... allocation failing until none is left to fail. */
static void fail_everywhere(struct mf_lpm *t, struct mf_prng *g, const struct shape *s,
			    const struct mf_lpm_entry *e, size_t n, bool remove)
{
	mf_err err;
	long k = 0;

	do {
		calls_left = ++k;
		err = remove   ? mf_lpm_remove(t, e->addr, e->len)
		      : n == 1 ? mf_lpm_insert(t, e->addr, e->len, e->value)
			       : mf_lpm_load(t, e, n);
		calls_left = -1;
		if (err) {
			assert_int_equal(err, MF_E_NO_MEMORY);
			assert_int_equal(mf_lpm_count(t), model.n);
			check_edges(t, e);
			if (k % 16 == 1)
				check_all(t, g, s);
		}
	} while (err);
	assert_true(k > 1);
}

static void test_no_memory(void **state)
{
	struct mf_prng g = unit_prng("lpm no memory");

	(void)state;
	for (long k = 1; k <= 2; k++) {
		calls_left = k;
		assert_null(mf_lpm_new(32, 16, NULL));
		calls_left = -1;
	}
	for (size_t k = 0; k < MF_ARRAY_LEN(shapes); k++) {
		const struct shape *s = &shapes[k];
		struct mf_lpm *t = mf_lpm_new(s->bits, s->direct, NULL);
		struct mf_lpm_entry e[20];

		model = (struct model){ .bits = s->bits };
		for (unsigned round = 0; round < 15; round++) {
			size_t n = round % 3 == 0 ? MF_ARRAY_LEN(e) : 1;

			for (size_t i = 0; i < n; i++)
				e[i] = random_entry(&g, s);
			for (size_t i = 0; n == 1 && e[0].len < 9; i++)
				e[0].len = 9; /* thousands of slots would take long */
			for (size_t i = 0; i < n; i++)
				e[i].len = e[i].len < 9 ? 9 : e[i].len;
			fail_everywhere(t, &g, s, e, n, false);
			for (size_t i = 0; i < n; i++)
				model_insert(&model, e[i].addr, e[i].len, e[i].value);
			check_all(t, &g, s);
		}
		while (model.n) {
			e[0] = model.e[0];
			fail_everywhere(t, &g, s, e, 1, true);
			model_remove(&model, e[0].addr, e[0].len);
		}
		check_all(t, &g, s);
		mf_lpm_free(t);
	}
}

/* --- Readers beside the writer --- */

enum { RACE_PREFIXES = 3000, RACE_READERS = 2 };

/* What was handed over for later, freed when every reader has passed a quiet point since. */
struct limbo {
	void (*fn)(void *obj);
	void *obj;
	struct limbo *next;
};

struct race {
	struct mf_lpm *t;
	struct mf_lpm_entry e[RACE_PREFIXES + 1]; /* [value]; constant while readers run */
	uint64_t epoch, seen[RACE_READERS];
	bool stop;
	struct limbo *limbo;
	size_t deferred, looked_up;
};

struct reader {
	struct race *r;
	unsigned number;
	struct mf_prng g;
	size_t looked_up, wrong;
};

static void race_defer(void *ctx, void (*fn)(void *obj), void *obj)
{
	struct race *r = ctx;
	struct limbo *l = malloc(sizeof(*l));

	*l = (struct limbo){ fn, obj, r->limbo };
	r->limbo = l;
	r->deferred++;
}

/* Waits until every reader has begun anew, then frees. */
static void race_reclaim(struct race *r)
{
	uint64_t epoch = __atomic_add_fetch(&r->epoch, 1, __ATOMIC_SEQ_CST);

	for (unsigned i = 0; i < RACE_READERS; i++)
		while (__atomic_load_n(&r->seen[i], __ATOMIC_ACQUIRE) < epoch)
			usleep(50);
	while (r->limbo) {
		struct limbo *l = r->limbo;

		r->limbo = l->next;
		l->fn(l->obj);
		free(l);
	}
}

/* A value must be that of a prefix that has the address, and that of the prefixes which never change
 * must not be missed. */
static void race_check(struct reader *d, const uint8_t addr[16], uint32_t v)
{
	d->looked_up++;
	if (v == MF_LPM_NONE || v > RACE_PREFIXES || !model_covers(&d->r->e[v], addr))
		d->wrong++;
}

static void *race_read(void *arg)
{
	enum { N = 61 };
	struct reader *d = arg;
	struct race *r = d->r;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		uint8_t addr[N][16];
		uint32_t out[N];

		for (size_t i = 0; i < N; i++) {
			const struct mf_lpm_entry *e = &r->e[1 + mf_prng_below(&d->g, RACE_PREFIXES)];

			memcpy(addr[i], e->addr, 16);
			addr[i][e->len / 8 & 15] ^= (uint8_t)mf_prng_u64(&d->g);
		}
		lookup_bulk(r->t, (const void *)addr, out, N);
		for (size_t i = 0; i < N; i++) {
			race_check(d, addr[i], out[i]);
			race_check(d, addr[i], lookup(r->t, addr[i]));
		}
		__atomic_store_n(&r->seen[d->number], __atomic_load_n(&r->epoch, __ATOMIC_SEQ_CST),
				 __ATOMIC_RELEASE);
	}
	__atomic_store_n(&r->seen[d->number], UINT64_MAX, __ATOMIC_RELEASE);
	return NULL;
}

static void race_write(struct race *r, struct mf_prng *g)
{
	for (unsigned i = 0; i < 3000; i++) {
		/* value 1 is the route of length 0 that stays */
		const struct mf_lpm_entry *e = &r->e[2 + mf_prng_below(g, RACE_PREFIXES - 1)];

		if (mf_lpm_get(r->t, e->addr, e->len))
			assert_int_equal(mf_lpm_remove(r->t, e->addr, e->len), MF_OK);
		else
			assert_int_equal(mf_lpm_insert(r->t, e->addr, e->len, e->value), MF_OK);
		if (i % 64 == 0)
			race_reclaim(r);
	}
	/* all at once, with a change of the top table if it is small */
	assert_int_equal(mf_lpm_load(r->t, r->e + 1, RACE_PREFIXES), MF_OK);
	race_reclaim(r);
}

static void race(unsigned bits, unsigned direct)
{
	static struct race r;
	struct mf_prng g = unit_prng("lpm race");
	struct shape s = { bits, direct, 0, 1, 0, 11 };
	struct mf_lpm_reclaim reclaim = { race_defer, &r };
	struct reader d[RACE_READERS];
	pthread_t thread[RACE_READERS];

	r = (struct race){ .t = mf_lpm_new(bits, direct, &reclaim) };
	model = (struct model){ .bits = bits };
	for (uint32_t v = 1; v <= RACE_PREFIXES; v++) {
		struct mf_lpm_entry e = random_entry(&g, &s);

		r.e[v] = v == 1 ? (struct mf_lpm_entry){ .value = 1 }
				: model_prefix(e.addr, e.len, v);
		if (model.n < 50)
			model_insert(&model, e.addr, e.len, v);
	}
	assert_int_equal(mf_lpm_insert(r.t, r.e[1].addr, 0, 1), MF_OK);
	for (unsigned i = 0; i < RACE_READERS; i++) {
		d[i] = (struct reader){ .r = &r, .number = i, .g = { mf_prng_u64(&g) } };
		assert_int_equal(pthread_create(&thread[i], NULL, race_read, &d[i]), 0);
	}
	race_write(&r, &g);
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < RACE_READERS; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_int_equal(d[i].wrong, 0);
		assert_true(d[i].looked_up > 0);
	}
	race_reclaim(&r);
	assert_true(r.deferred > 0);
	mf_lpm_free(r.t);
}

static void test_race(void **state)
{
	(void)state;
	racing = true;
	race(32, 0);
	race(32, 16);
	race(128, 0);
	race(128, 16);
	racing = false;
}

static void insert_none(void *t)
{
	static const uint8_t addr[16];

	(void)!mf_lpm_insert(t, addr, 8, MF_LPM_NONE);
}

static void insert_long(void *t)
{
	static const uint8_t addr[16];

	(void)!mf_lpm_insert(t, addr, 33, 1);
}

static void test_misuse(void **state)
{
	struct mf_lpm *t = mf_lpm_new(32, 0, NULL);

	(void)state;
	assert_true(unit_aborts(insert_none, t));
	assert_true(unit_aborts(insert_long, t));
	mf_lpm_free(t);
	mf_lpm_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),          cmocka_unit_test(test_load),
		cmocka_unit_test(test_grow),           cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_small_is_cheap), cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_race),           cmocka_unit_test(test_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
