/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/learned.h"

#include <pthread.h>

#include "base/endian.h"
#include "failing_malloc.h"
#include "learned_model.h"
#include "unit.h"

static const uint8_t hash_key[16] = "learned in test";

enum { ADDRESSES = 120, NAMES = 40 };

/* Half of them IPv4; each has a brother of the other family that begins with the same bytes. */
static struct mf_addr address(uint32_t i)
{
	uint8_t b[16] = { 10, 0, 0, 0 };

	mf_store_be16(b + 2, (uint16_t)(i / 2));
	return i % 2 ? mf_addr_ip6(b) : mf_addr_ip4(b);
}

static uint32_t lookup(const struct mf_learned *t, const struct mf_addr *a)
{
	return a->family == MF_AF_IP4 ? mf_learned_lookup4(t, mf_load_be32(a->b))
				      : mf_learned_lookup6(t, a->b);
}

static struct mf_learned_route route(uint32_t addr, uint32_t hop, uint32_t rule, mf_nsec until,
				     const char *name)
{
	return (struct mf_learned_route){ address(addr), hop, rule, until, name };
}

static struct mf_learned_info info(const struct mf_learned *t, uint32_t addr)
{
	struct mf_addr a = address(addr);
	struct mf_learned_info i;

	assert_true(mf_learned_find(t, &a, &i));
	return i;
}

static mf_err put(struct mf_learned *t, struct mf_learned_route r, mf_nsec now)
{
	return mf_learned_put(t, &r, false, now, NULL);
}

/* ---- Against the model ----------------------------------------------------------------------------- */

struct run {
	struct mf_prng g;
	struct mf_learned *t;
	struct model m;
	char name[NAMES][MF_LEARNED_NAME_MAX + 1];
	mf_nsec now;
};

static uint32_t below(struct run *r, uint32_t n)
{
	return (uint32_t)mf_prng_below(&r->g, n);
}

static const char *any_name(struct run *r)
{
	return r->name[below(r, NAMES)];
}

static void make_names(struct run *r)
{
	for (unsigned i = 0; i < NAMES; i++) {
		/* Mostly short, some as long as can be. */
		size_t n = i < 2    ? MF_LEARNED_NAME_MAX - i
			   : i < 30 ? 1 + below(r, 30)
				    : 1 + below(r, MF_LEARNED_NAME_MAX);

		for (size_t k = 0; k < n; k++)
			r->name[i][k] = (char)('a' + below(r, 26));
		r->name[i][n] = 0;
	}
}

static void check_one(const struct mf_learned_info *got, const struct model_route *want)
{
	assert_true(mf_addr_equal(&got->addr, &want->i.addr));
	assert_int_equal(got->hop, want->i.hop);
	assert_int_equal(got->rule, want->i.rule);
	assert_int_equal(got->held, want->i.held);
	assert_int_equal(got->until, want->i.until);
	assert_int_equal(got->used, want->used || want->was_used);
	assert_int_equal(got->overridden, want->i.overridden);
	assert_int_equal(got->is_shared, want->i.is_shared);
	assert_string_equal(got->name, want->i.name);
	assert_string_equal(got->shared, want->i.shared);
}

/* All that there is to see, and nothing else. */
static void check_all(struct run *r)
{
	struct mf_learned_info got;
	uint32_t n = 0;

	for (uint32_t i = 0; i < mf_learned_places(r->t); i++) {
		struct model_route *want;

		if (!mf_learned_info(r->t, i, &got))
			continue;
		n++;
		want = model_find(&r->m, &got.addr);
		assert_true(want && !want->gone);
		check_one(&got, want);
	}
	assert_int_equal(n, r->m.count.routes);
	assert_memory_equal(mf_learned_counters(r->t), &r->m.count, sizeof(r->m.count));
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		struct mf_addr a = address(i);
		struct model_route *want = model_find(&r->m, &a);

		assert_int_equal(mf_learned_find(r->t, &a, &got), want && !want->gone);
	}
}

static void step_put(struct run *r)
{
	/* No two ends are equal, so that there is one order in which to give up. */
	struct mf_learned_route in =
		route(below(r, ADDRESSES), 1 + below(r, 3), below(r, 4),
		      r->now + 60 * MF_SEC + mf_prng_below(&r->g, 600 * MF_SEC), any_name(r));
	bool overridden = below(r, 10) == 0;
	const char *winner = NULL;
	mf_err want = model_put(&r->m, &in, overridden, r->now);

	assert_int_equal(mf_learned_put(r->t, &in, overridden, r->now, &winner), want);
	if (want == MF_E_EXISTS)
		assert_string_equal(winner, model_find(&r->m, &in.addr)->i.name);
	else
		assert_null(winner);
}

static void step_lookup(struct run *r)
{
	struct mf_addr a = address(below(r, ADDRESSES));

	assert_int_equal(lookup(r->t, &a), model_lookup(&r->m, &a));
}

static void step_hold(struct run *r)
{
	struct mf_addr a = address(below(r, ADDRESSES));
	struct model_route *want = model_find(&r->m, &a);
	bool there = want && !want->gone;

	assert_int_equal(mf_learned_hold(r->t, &a), there);
	if (there)
		want->i.held++;
}

static void step_release(struct run *r)
{
	struct mf_addr a = address(below(r, ADDRESSES));
	struct model_route *want = model_find(&r->m, &a);

	if (!want || !want->i.held)
		return;
	mf_learned_release(r->t, &a);
	want->i.held--;
}

static void step_shared(struct run *r)
{
	struct mf_addr a = address(below(r, ADDRESSES));
	struct model_route *want = model_find(&r->m, &a);
	const char *name = any_name(r);
	bool there = want && !want->gone;

	assert_int_equal(mf_learned_shared(r->t, &a, name), there);
	if (!there)
		return;
	r->m.count.shared += !want->i.is_shared;
	model_share(&r->m, want, name);
}

static void step_remove(struct run *r)
{
	struct mf_addr a = address(below(r, ADDRESSES));
	struct model_route *want = model_find(&r->m, &a);
	bool there = want && !want->gone;

	assert_int_equal(mf_learned_remove(r->t, &a), there);
	if (there)
		model_end(&r->m, want);
}

/* What a reload may say of a route: depends on nothing but the route. */
static bool judge(void *ctx, struct mf_learned_route *r, bool *overridden)
{
	uint32_t salt = *(uint32_t *)ctx, n = (uint32_t)(r->until / 7 + salt + (uint8_t)r->name[0]);

	r->hop = 1 + n % 3;
	r->rule = n % 4;
	*overridden = n % 11 == 0;
	return n % 5 != 0;
}

static void step_judge(struct run *r)
{
	uint32_t salt = below(r, 100);

	mf_learned_judge(r->t, judge, &salt);
	for (uint32_t i = 0; i < r->m.max; i++) {
		struct model_route *m = &r->m.r[i];
		struct mf_learned_route in = { m->i.addr, m->i.hop, m->i.rule, m->i.until, m->i.name };
		bool was = m->i.overridden;

		if (!m->there || m->gone)
			continue;
		if (!judge(&salt, &in, &m->i.overridden)) {
			m->i.overridden = was;
			model_end(&r->m, m);
			continue;
		}
		r->m.count.overridden += m->i.overridden && !was;
		m->i.hop = in.hop;
		m->i.rule = in.rule;
	}
}

static void step_clear(struct run *r)
{
	mf_learned_clear(r->t);
	for (uint32_t i = 0; i < r->m.max; i++)
		if (r->m.r[i].there && !r->m.r[i].gone)
			model_end(&r->m, &r->m.r[i]);
}

static void step_expire(struct run *r)
{
	mf_nsec idle = below(r, 40) * MF_SEC;

	r->now += mf_prng_below(&r->g, 40 * MF_SEC);
	assert_int_equal(mf_learned_expire(r->t, r->now, idle), model_expire(&r->m, r->now, idle));
}

static void step(struct run *r)
{
	uint32_t n = below(r, 1000);

	if (n < 400)
		step_put(r);
	else if (n < 600)
		step_lookup(r);
	else if (n < 700)
		step_hold(r);
	else if (n < 810)
		step_release(r);
	else if (n < 880)
		step_shared(r);
	else if (n < 920)
		step_remove(r);
	else if (n < 923)
		step_judge(r);
	else if (n < 924)
		step_clear(r);
	else
		step_expire(r);
}

static void test_against_model(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 7, 30, MODEL_MAX };
	static struct run r;

	(void)state;
	for (size_t s = 0; s < MF_ARRAY_LEN(sizes); s++) {
		r = (struct run){ .g = unit_prng("learned"), .now = 1000 * MF_SEC };
		r.m.max = sizes[s];
		r.m.blocks = 2 * sizes[s] + 10;
		r.t = mf_learned_new(sizes[s], hash_key);
		assert_non_null(r.t);
		make_names(&r);
		for (unsigned i = 0; i < 20000; i++) {
			step(&r);
			if (i % 8 == 0)
				check_all(&r);
		}
		mf_learned_free(r.t);
	}
	mf_learned_free(NULL);
}

/* ---- One by one ------------------------------------------------------------------------------------ */

/* More routes than fit into their buckets: all are found, nothing else is, and so when half have gone. */
static void test_capacity(void **state)
{
	enum { N = 20000 };
	struct mf_learned *t = mf_learned_new(N, hash_key);
	struct mf_addr a;

	(void)state;
	assert_int_equal(mf_learned_lookup4(t, 0x0a000000), 0);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(put(t, route(i, i + 1, 0, MF_SEC, "example.com"), 0), MF_OK);
	assert_int_equal(mf_learned_counters(t)->routes, N);
	for (uint32_t i = 0; i < 2 * N; i++) {
		a = address(i);
		assert_int_equal(lookup(t, &a), i < N ? i + 1 : 0);
	}
	for (uint32_t i = 0; i < N; i += 2) {
		a = address(i);
		assert_true(mf_learned_remove(t, &a));
		assert_false(mf_learned_remove(t, &a));
	}
	for (uint32_t i = 0; i < N; i++) {
		a = address(i);
		assert_int_equal(lookup(t, &a), i % 2 ? i + 1 : 0);
	}
	mf_learned_clear(t);
	assert_int_equal(mf_learned_counters(t)->routes, 0);
	a = address(1);
	assert_int_equal(lookup(t, &a), 0);
	mf_learned_free(t);
}

/* A table for 3: first goes what has ended, then what was never used, then what ends first; what is held
 * never. */
static void test_gives_up(void **state)
{
	struct mf_learned *t = mf_learned_new(3, hash_key);
	struct mf_addr a[8];
	struct mf_learned_info i;

	(void)state;
	for (uint32_t k = 0; k < 8; k++)
		a[k] = address(k);
	assert_int_equal(put(t, route(0, 1, 0, 100, "ended"), 0), MF_OK);
	assert_int_equal(put(t, route(1, 1, 0, 300, "used"), 0), MF_OK);
	assert_int_equal(put(t, route(2, 1, 0, 900, "unused"), 0), MF_OK);
	assert_int_equal(lookup(t, &a[0]) + lookup(t, &a[1]), 2);
	assert_int_equal(put(t, route(3, 1, 0, 800, "used, too"), 200), MF_OK);
	assert_false(mf_learned_find(t, &a[0], &i));
	assert_int_equal(lookup(t, &a[3]), 1);
	assert_int_equal(put(t, route(4, 1, 0, 700, "held"), 200), MF_OK);
	assert_false(mf_learned_find(t, &a[2], &i));
	assert_true(mf_learned_hold(t, &a[4]));
	assert_int_equal(put(t, route(5, 1, 0, 950, "held, too"), 200), MF_OK);
	assert_false(mf_learned_find(t, &a[1], &i));
	assert_true(mf_learned_hold(t, &a[5]) && mf_learned_hold(t, &a[3]));
	assert_int_equal(put(t, route(6, 1, 0, 999, "late"), 990), MF_E_FULL);
	assert_int_equal(mf_learned_counters(t)->full, 1);
	assert_int_equal(mf_learned_counters(t)->evicted, 3);
	mf_learned_release(t, &a[3]);
	assert_int_equal(put(t, route(6, 1, 0, 999, "late"), 990), MF_OK);
	assert_false(mf_learned_find(t, &a[3], &i));
	mf_learned_free(t);
}

/* Of two rules for one address the earlier one wins, whoever comes first, and the other name is noted. */
static void test_conflicts(void **state)
{
	struct mf_learned *t = mf_learned_new(10, hash_key);
	struct mf_learned_route late = route(0, 7, 5, 200, "late.example");
	struct mf_addr a = address(0);
	const char *winner = NULL;

	(void)state;
	assert_int_equal(put(t, route(0, 3, 2, 100, "mid.example"), 0), MF_OK);
	assert_int_equal(mf_learned_put(t, &late, false, 0, &winner), MF_E_EXISTS);
	assert_string_equal(winner, "mid.example");
	assert_int_equal(lookup(t, &a), 3);
	assert_true(info(t, 0).is_shared);
	assert_string_equal(info(t, 0).shared, "late.example");
	/* The address does not fall back to the CIDR routes while an app may still use it. */
	assert_int_equal(info(t, 0).until, 200);

	assert_int_equal(put(t, route(0, 9, 1, 150, "early.example"), 0), MF_OK);
	assert_int_equal(lookup(t, &a), 9);
	assert_string_equal(info(t, 0).name, "early.example");
	assert_string_equal(info(t, 0).shared, "mid.example");
	assert_int_equal(info(t, 0).rule, 1);
	assert_int_equal(mf_learned_counters(t)->conflicts, 2);

	/* Two rules that agree are no conflict. */
	assert_int_equal(put(t, route(1, 4, 3, 100, "one.example"), 0), MF_OK);
	assert_int_equal(put(t, route(1, 4, 6, 100, "two.example"), 0), MF_OK);
	assert_false(info(t, 1).is_shared);
	assert_int_equal(info(t, 1).rule, 3);
	assert_int_equal(mf_learned_counters(t)->conflicts, 2);
	mf_learned_free(t);
}

static void test_shared_with_a_name_without_a_rule(void **state)
{
	struct mf_learned *t = mf_learned_new(10, hash_key);
	struct mf_addr a = address(0), b = address(1);

	(void)state;
	assert_int_equal(put(t, route(0, 3, 2, 100, "cdn.example"), 0), MF_OK);
	assert_false(info(t, 0).is_shared);
	assert_true(mf_learned_shared(t, &a, "other.example"));
	assert_true(mf_learned_shared(t, &a, "third.example"));
	assert_false(mf_learned_shared(t, &b, "other.example"));
	assert_true(info(t, 0).is_shared);
	assert_string_equal(info(t, 0).shared, "third.example");
	assert_int_equal(lookup(t, &a), 3);
	assert_int_equal(mf_learned_counters(t)->shared, 1);
	mf_learned_free(t);
}

static bool judge_by_name(void *ctx, struct mf_learned_route *r, bool *overridden)
{
	(void)ctx;
	if (!strcmp(r->name, "out.example"))
		return false;
	if (!strcmp(r->name, "elsewhere.example"))
		r->hop = 8;
	*overridden = !strcmp(r->name, "full.example");
	return true;
}

static void test_judge(void **state)
{
	struct mf_learned *t = mf_learned_new(10, hash_key);
	static const char *const names[] = { "stays.example", "out.example", "elsewhere.example",
					     "full.example" };
	static const uint32_t want[] = { 3, 0, 8, 0 };

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(put(t, route(i, 3, 2, 100, names[i]), 0), MF_OK);
	mf_learned_judge(t, judge_by_name, NULL);
	for (uint32_t i = 0; i < 4; i++) {
		struct mf_addr a = address(i);

		assert_int_equal(lookup(t, &a), want[i]);
	}
	assert_int_equal(mf_learned_counters(t)->routes, 3);
	assert_true(info(t, 3).overridden);
	assert_int_equal(info(t, 3).hop, 3);
	mf_learned_free(t);
}

static void test_expire(void **state)
{
	struct mf_learned *t = mf_learned_new(10, hash_key);
	const mf_nsec s = MF_SEC;
	struct mf_addr used = address(1), held = address(2);
	struct mf_learned_info i;

	(void)state;
	assert_int_equal(mf_learned_expire(t, 0, 30 * s), MF_NEVER);
	for (uint32_t k = 0; k < 3; k++)
		assert_int_equal(put(t, route(k, 1, 0, 100 * s, "a.example"), 0), MF_OK);
	assert_int_equal(lookup(t, &used), 1);
	assert_true(mf_learned_hold(t, &held));
	assert_int_equal(mf_learned_expire(t, 99 * s, 30 * s), 100 * s);
	assert_int_equal(mf_learned_counters(t)->routes, 3);
	/* The first goes; the others are looked at again. */
	assert_int_equal(mf_learned_expire(t, 100 * s, 30 * s), 130 * s);
	assert_int_equal(mf_learned_counters(t)->routes, 2);
	assert_true(info(t, 1).used);
	assert_int_equal(lookup(t, &used), 1);
	assert_int_equal(mf_learned_expire(t, 130 * s, 30 * s), 160 * s);
	assert_int_equal(mf_learned_expire(t, 160 * s, 30 * s), 190 * s);
	assert_false(mf_learned_find(t, &used, &i));
	/* The TTL again, while it is held: nothing to look at until then. */
	assert_int_equal(put(t, route(2, 1, 0, 300 * s, "a.example"), 170 * s), MF_OK);
	assert_int_equal(mf_learned_expire(t, 190 * s, 30 * s), 300 * s);
	assert_int_equal(mf_learned_expire(t, 300 * s, 30 * s), 330 * s);
	mf_learned_release(t, &held);
	assert_int_equal(mf_learned_expire(t, 330 * s, 30 * s), MF_NEVER);
	assert_int_equal(mf_learned_counters(t)->expired, 3);
	mf_learned_free(t);
}

/* What sessions hold is taken out for all, but the count of sessions stays with the address. */
static void test_removed_while_held(void **state)
{
	struct mf_learned *t = mf_learned_new(10, hash_key);
	struct mf_addr a = address(0);

	(void)state;
	assert_int_equal(put(t, route(0, 1, 0, 100, "a.example"), 0), MF_OK);
	assert_true(mf_learned_hold(t, &a));
	assert_true(mf_learned_remove(t, &a));
	assert_int_equal(lookup(t, &a), 0);
	assert_false(mf_learned_hold(t, &a));
	assert_int_equal(put(t, route(0, 2, 0, 100, "b.example"), 0), MF_OK);
	assert_true(mf_learned_hold(t, &a));
	assert_int_equal(info(t, 0).held, 2);
	mf_learned_release(t, &a);
	mf_learned_release(t, &a);
	assert_int_equal(info(t, 0).held, 0);
	mf_learned_free(t);
}

/* The work of one call is bounded, and the next one goes on. */
static void test_expires_in_parts(void **state)
{
	enum { N = 10000 };
	struct mf_learned *t = mf_learned_new(N, hash_key);
	uint64_t before = N;
	mf_nsec next;

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(put(t, route(i, 1, 0, 100, "a.example"), 0), MF_OK);
	while ((next = mf_learned_expire(t, 200, 0)) != MF_NEVER) {
		assert_int_equal(next, 200);
		assert_in_range(before - mf_learned_counters(t)->routes, 1, 5000);
		before = mf_learned_counters(t)->routes;
	}
	assert_int_equal(mf_learned_counters(t)->routes, 0);
	mf_learned_free(t);
}

static void test_no_memory(void **state)
{
	struct mf_learned *t = NULL;
	long k;

	(void)state;
	for (k = 1; !t; k++) {
		calls_left = k;
		t = mf_learned_new(100, hash_key);
		calls_left = -1;
	}
	assert_true(k > 5);
	assert_true(mf_learned_bytes(200) > mf_learned_bytes(100) && mf_learned_bytes(1) > 0);
	mf_learned_free(t);
}

static void release_twice(void *arg)
{
	struct mf_addr a = address(0);

	mf_learned_release(arg, &a);
	mf_learned_release(arg, &a);
}

static void test_our_mistakes(void **state)
{
	struct mf_learned *t = mf_learned_new(10, hash_key);
	struct mf_addr a = address(0);

	(void)state;
	assert_int_equal(put(t, route(0, 1, 0, 100, "a.example"), 0), MF_OK);
	assert_true(mf_learned_hold(t, &a));
	assert_true(unit_aborts(release_twice, t));
	mf_learned_free(t);
}

/* ---- Threads --------------------------------------------------------------------------------------- */

/* The first few stay for good, the next ones only come and go as room and time want it, the rest is taken out
 * as well. The hop says which address it belongs to, and so does the name. */
enum { R_FIRM = 8, R_SOFT = 40, R_ALL = 80, R_PLACES = 56, R_STEPS = 40000, R_READERS = 3 };

struct race {
	struct mf_learned *t;
	bool stop;
};

struct reader {
	struct race *r;
	struct mf_prng g;
	uint64_t wrong;
};

static uint32_t race_hop(struct mf_prng *g, uint32_t i)
{
	return 1 + 8 * i + (uint32_t)mf_prng_below(g, 8);
}

static void race_name(char out[MF_LEARNED_NAME_MAX + 1], uint32_t hop)
{
	size_t n = 10 + hop * 7 % 200;

	memset(out, 'a' + (int)(hop % 26), n);
	snprintf(out + n, 20, ".%u", hop);
}

static void read_one(struct reader *d)
{
	uint32_t i = (uint32_t)mf_prng_below(&d->g, R_ALL);
	struct mf_addr a = address(i);
	uint32_t hop = lookup(d->r->t, &a);

	d->wrong += hop ? (hop - 1) / 8 != i : i < R_FIRM;
}

static void see_one(struct reader *d)
{
	struct mf_learned_info got;
	char name[MF_LEARNED_NAME_MAX + 1];
	struct mf_addr a;

	if (!mf_learned_info(d->r->t, (uint32_t)mf_prng_below(&d->g, R_PLACES), &got))
		return;
	a = address((got.hop - 1) / 8);
	race_name(name, got.hop);
	d->wrong += !mf_addr_equal(&a, &got.addr) || strcmp(got.name, name) != 0;
}

/* Held is not given up: it is found until it is released. */
static void hold_one(struct reader *d)
{
	struct mf_addr a = address((uint32_t)mf_prng_below(&d->g, R_SOFT));

	if (!mf_learned_hold(d->r->t, &a))
		return;
	for (unsigned i = 0; i < 5; i++)
		d->wrong += lookup(d->r->t, &a) == 0;
	mf_learned_release(d->r->t, &a);
}

static void *race_read(void *arg)
{
	struct reader *d = arg;

	do {
		for (unsigned i = 0; i < 20; i++)
			read_one(d);
		see_one(d);
		hold_one(d);
	} while (!__atomic_load_n(&d->r->stop, __ATOMIC_ACQUIRE));
	return NULL;
}

static void race_put(struct race *r, struct mf_prng *g, uint32_t i, mf_nsec now)
{
	char name[MF_LEARNED_NAME_MAX + 1];
	uint32_t hop = race_hop(g, i);
	/* Now and then from an earlier rule, which takes the address over. */
	struct mf_learned_route in = route(i, hop, (uint32_t)mf_prng_below(g, 3), now + MF_SEC, name);
	mf_err e;

	if (i < R_FIRM)
		in.until = MF_NEVER - 1;
	race_name(name, hop);
	e = mf_learned_put(r->t, &in, false, now, NULL);
	assert_true(e == MF_OK || e == MF_E_EXISTS || e == MF_E_FULL);
}

static void race_write(struct race *r, struct mf_prng *g)
{
	mf_nsec now = 0;

	for (unsigned i = 0; i < R_STEPS; i++) {
		struct mf_addr a = address((uint32_t)(R_SOFT + mf_prng_below(g, R_ALL - R_SOFT)));

		race_put(r, g, (uint32_t)(mf_prng_below(g, R_ALL)), now);
		if (mf_prng_below(g, 4) == 0)
			(void)mf_learned_remove(r->t, &a);
		if (mf_prng_below(g, 8) == 0)
			(void)mf_learned_expire(r->t, now += MF_SEC / 2, 0);
	}
}

static void test_threads(void **state)
{
	struct mf_prng g = unit_prng("learned threads");
	struct race r = { .t = mf_learned_new(R_PLACES, hash_key) };
	struct reader reader[R_READERS];
	pthread_t thread[R_READERS];
	struct mf_addr a;

	(void)state;
	for (uint32_t i = 0; i < R_FIRM; i++) {
		race_put(&r, &g, i, 0);
		a = address(i);
		assert_true(mf_learned_hold(r.t, &a));
	}
	for (unsigned i = 0; i < R_READERS; i++) {
		reader[i] = (struct reader){ .r = &r, .g = { mf_prng_u64(&g) } };
		assert_int_equal(pthread_create(&thread[i], NULL, race_read, &reader[i]), 0);
	}
	race_write(&r, &g);
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < R_READERS; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_int_equal(reader[i].wrong, 0);
	}
	/* Nobody's count was lost. */
	for (uint32_t i = 0; i < R_PLACES; i++) {
		struct mf_learned_info got;

		if (mf_learned_info(r.t, i, &got))
			assert_int_equal(got.held, got.hop <= 8 * R_FIRM);
	}
	mf_learned_free(r.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_shared_with_a_name_without_a_rule),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_expire),
		cmocka_unit_test(test_removed_while_held),
		cmocka_unit_test(test_expires_in_parts),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_our_mistakes),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
