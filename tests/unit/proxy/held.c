/* SPDX-License-Identifier: Apache-2.0
 *
 * Held bytes against a plain array, and the bound that all of them share.
 */
#include "proxy/held.h"

#include "unit.h"

enum { CONNECTIONS = 6, STEPS = 20000 };

struct model {
	uint8_t b[MF_HELD_MAX];
	size_t n;
};
static struct model model[CONNECTIONS];
static uint8_t bytes[MF_HELD_MAX + 1];

static void check(const struct mf_held *h, const struct model *m, unsigned step)
{
	if (h->n != m->n || (h->n && memcmp(h->p + h->at, m->b, m->n) != 0))
		fail_msg("step %u: %u bytes are held, not %zu, or others", step, h->n, m->n);
	assert_int_equal(!h->p, !h->n);
}

static void put(struct mf_held_pool *pool, struct mf_held *h, struct model *m, struct mf_prng *g)
{
	unsigned bits = mf_prng_below(g, 18) & 31;
	size_t n = mf_prng_below(g, (1u << bits) + 1);
	size_t used = pool->held;
	bool fits = m->n + n <= MF_HELD_MAX;

	if (!mf_held_put(pool, h, bytes, n)) {
		/* Nothing has changed; and it is not refused when there is plenty. */
		assert_int_equal(pool->held, used);
		assert_true(!fits || used + 2 * (m->n + n) + (1 << MF_HELD_MIN_SHIFT) + MF_HELD_HEAD >
					     pool->max);
		return;
	}
	assert_true(fits && pool->held <= pool->max);
	memcpy(m->b + m->n, bytes, n);
	m->n += n;
}

static void test_it_is_an_array(void **state)
{
	struct mf_prng g = unit_prng("held");
	struct mf_held_pool pool = { .max = 300 * 1024 };
	struct mf_held held[CONNECTIONS] = { 0 };

	(void)state;
	mf_prng_fill(&g, bytes, sizeof(bytes));
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = mf_prng_below(&g, CONNECTIONS) & 7;
		struct model *m = &model[i];
		size_t n;

		switch (mf_prng_below(&g, 4)) {
		case 0:
		case 1:
			put(&pool, &held[i], m, &g);
			break;
		case 2:
			n = mf_prng_below(&g, m->n + 1);
			mf_held_drop(&pool, &held[i], n);
			memmove(m->b, m->b + n, m->n - n);
			m->n -= n;
			break;
		default:
			if (mf_prng_below(&g, 8))
				break;
			mf_held_clear(&pool, &held[i]);
			m->n = 0;
		}
		check(&held[i], m, step);
	}
	for (unsigned i = 0; i < CONNECTIONS; i++)
		mf_held_clear(&pool, &held[i]);
	assert_int_equal(pool.held, 0);
	mf_held_pool_fini(&pool);
	assert_int_equal(pool.spare, 0);
}

static void test_the_bound_is_for_all(void **state)
{
	enum { BLOCK = 2048 + MF_HELD_HEAD };
	struct mf_held_pool pool = { .max = 2 * BLOCK };
	struct mf_held a = { 0 }, b = { 0 };

	(void)state;
	assert_true(mf_held_put(&pool, &a, bytes, 2000));
	assert_true(mf_held_put(&pool, &b, bytes, 2048));
	assert_false(mf_held_put(&pool, &b, bytes, 1));
	assert_int_equal(b.n, 2048);
	mf_held_clear(&pool, &a);
	assert_int_equal(pool.spare, BLOCK);
	assert_true(mf_held_put(&pool, &a, bytes, 1100)); /* out of what was spare */
	assert_int_equal(pool.spare, 0);
	assert_int_equal(pool.held, 2 * BLOCK);
	mf_held_clear(&pool, &a);
	mf_held_clear(&pool, &b);
	mf_held_pool_fini(&pool);
}

static void test_one_may_not_hold_too_much(void **state)
{
	struct mf_held_pool pool = { .max = SIZE_MAX };
	struct mf_held a = { 0 };

	(void)state;
	assert_false(mf_held_put(&pool, &a, bytes, MF_HELD_MAX + 1));
	assert_true(mf_held_put(&pool, &a, bytes, MF_HELD_MAX));
	assert_false(mf_held_put(&pool, &a, bytes, 1));
	assert_false(mf_held_put(&pool, &a, bytes, SIZE_MAX));
	mf_held_clear(&pool, &a);
	mf_held_pool_fini(&pool);
}

/* Against stamps of our own: the one that has not changed for longest. */
static void test_it_knows_the_oldest(void **state)
{
	struct mf_prng g = unit_prng("held_oldest");
	struct mf_held_pool pool = { .max = SIZE_MAX };
	struct mf_held held[CONNECTIONS] = { 0 };
	mf_nsec changed[CONNECTIONS] = { 0 };

	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)mf_prng_below(&g, CONNECTIONS), oldest = CONNECTIONS;
		mf_nsec age = mf_prng_below(&g, 20);

		pool.now = step;
		if (held[i].n > 5000)
			mf_held_clear(&pool, &held[i]);
		else if (held[i].n && !mf_prng_below(&g, 3))
			mf_held_drop(&pool, &held[i], 1 + mf_prng_below(&g, held[i].n));
		else
			assert_true(mf_held_put(&pool, &held[i], bytes, 1 + mf_prng_below(&g, 900)));
		changed[i] = step;
		for (unsigned k = 0; k < CONNECTIONS; k++)
			if (held[k].n && (oldest == CONNECTIONS || changed[k] < changed[oldest]))
				oldest = k;
		if (oldest == CONNECTIONS || changed[oldest] + age > step)
			assert_null(mf_held_stale(&pool, age));
		else
			assert_ptr_equal(mf_held_stale(&pool, age), &held[oldest]);
	}
	for (unsigned i = 0; i < CONNECTIONS; i++)
		mf_held_clear(&pool, &held[i]);
	mf_held_pool_fini(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_an_array),
		cmocka_unit_test(test_the_bound_is_for_all),
		cmocka_unit_test(test_one_may_not_hold_too_much),
		cmocka_unit_test(test_it_knows_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
