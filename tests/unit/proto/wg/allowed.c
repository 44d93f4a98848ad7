/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wg/allowed.h"

#include "unit.h"

enum { OWNERS = 100, MODEL = 600 };

static struct mf_wg_allowed_table t;
static struct mf_wg_allowed_list list[OWNERS + 1];

/* The model: prefixes in a row, looked through from end to end. */
static struct {
	struct mf_prefix p;
	uint32_t owner;
} model[MODEL];
static size_t n_model;

static void start(void)
{
	assert_true(mf_wg_allowed_init(&t, NULL));
	memset(list, 0, sizeof(list));
	n_model = 0;
}

static struct mf_prefix prefix(const char *text)
{
	struct mf_prefix p;

	assert_int_equal(mf_prefix_parse(&p, text), MF_OK);
	return mf_prefix_mask(p);
}

static uint32_t owner(const char *text)
{
	struct mf_addr a;

	assert_int_equal(mf_addr_parse(&a, text), MF_OK);
	return mf_wg_allowed_owner(&t, a.b, a.family);
}

static void add(uint32_t o, const char *text)
{
	struct mf_prefix p = prefix(text);

	assert_int_equal(mf_wg_allowed_add(&t, &list[o], o, &p, 1), MF_OK);
}

static void test_longest_match_and_moving(void **state)
{
	struct mf_prefix p = prefix("10.1.0.0/16");

	(void)state;
	start();
	add(1, "0.0.0.0/0");
	add(2, "10.0.0.0/8");
	add(3, "10.1.0.0/16");
	add(4, "10.1.2.3/32");
	add(1, "::/0");
	add(5, "fd00:1::/32");
	assert_int_equal(owner("192.0.2.1"), 1);
	assert_int_equal(owner("10.2.0.0"), 2);
	assert_int_equal(owner("10.1.2.2"), 3);
	assert_int_equal(owner("10.1.2.3"), 4);
	assert_int_equal(owner("fd00:1::1"), 5);
	assert_int_equal(owner("fd00:2::1"), 1);
	/* An exact prefix moves; the lists follow. */
	add(6, "10.1.0.0/16");
	assert_int_equal(owner("10.1.2.2"), 6);
	assert_int_equal(list[3].n, 0);
	assert_int_equal(list[6].n, 1);
	/* It is not 3's any more, so 3 cannot take it away. */
	assert_int_equal(mf_wg_allowed_remove(&t, &list[3], &p), MF_OK);
	assert_int_equal(owner("10.1.2.2"), 6);
	assert_int_equal(mf_wg_allowed_remove(&t, &list[6], &p), MF_OK);
	assert_int_equal(owner("10.1.2.2"), 2);
	assert_true(mf_wg_allowed_clear(&t, &list[1]));
	assert_int_equal(owner("192.0.2.1"), MF_LPM_NONE);
	assert_int_equal(owner("10.1.2.3"), 4);
	assert_int_equal(t.n, 3);
	mf_wg_allowed_fini(&t);
}

static void test_the_same_prefix_twice_in_one_go(void **state)
{
	struct mf_prefix p[] = { prefix("10.0.0.0/8"), prefix("fd00::/8"), prefix("10.0.0.0/8") };

	(void)state;
	start();
	assert_int_equal(mf_wg_allowed_add(&t, &list[1], 1, p, 3), MF_OK);
	assert_int_equal(mf_wg_allowed_add(&t, &list[1], 1, p, 3), MF_OK);
	assert_int_equal(list[1].n, 2);
	assert_int_equal(t.n, 2);
	mf_wg_allowed_fini(&t);
}

static uint32_t model_owner(const struct mf_addr *a)
{
	uint32_t best = MF_LPM_NONE;
	int len = -1;

	for (size_t i = 0; i < n_model; i++) {
		if (model[i].p.len > len && mf_prefix_contains(&model[i].p, a)) {
			len = model[i].p.len;
			best = model[i].owner;
		}
	}
	return best;
}

static size_t model_find(const struct mf_prefix *p)
{
	size_t i = 0;

	while (i < n_model && !mf_prefix_equal(&model[i].p, p))
		i++;
	return i;
}

static struct mf_addr random_addr(struct mf_prng *g)
{
	struct mf_addr a = { .family = mf_prng_below(g, 2) ? MF_AF_IP4 : MF_AF_IP6 };

	/* Few different bytes: prefixes lie in each other. */
	for (size_t i = 0; i < mf_addr_len(&a); i++)
		a.b[i] = (uint8_t)mf_prng_below(g, i < 3 ? 3 : 256);
	return a;
}

static void check_all(struct mf_prng *g)
{
	size_t n[OWNERS + 1] = { 0 };

	for (size_t i = 0; i < n_model; i++)
		n[model[i].owner]++;
	for (uint32_t o = 1; o <= OWNERS; o++) {
		size_t k = 0;

		for (struct mf_wg_allowed_node *x = list[o].first; x; x = x->next, k++)
			assert_int_equal(model[model_find(&x->prefix)].owner, o);
		assert_int_equal(k, n[o]);
		assert_int_equal(list[o].n, n[o]);
	}
	for (int i = 0; i < 10000; i++) {
		struct mf_addr a = random_addr(g);

		assert_int_equal(mf_wg_allowed_owner(&t, a.b, a.family), model_owner(&a));
	}
}

static void test_against_model(void **state)
{
	struct mf_prng g = unit_prng("allowed");

	(void)state;
	start();
	for (int step = 0; step < 3000; step++) {
		uint32_t o = (uint32_t)mf_prng_below(&g, OWNERS) + 1;
		struct mf_prefix p = { .addr = random_addr(&g) };
		size_t at;

		p.len = (uint8_t)mf_prng_below(&g, mf_addr_bits(&p.addr) + 1);
		p = mf_prefix_mask(p);
		if (n_model && mf_prng_below(&g, 3) == 0)
			p = model[mf_prng_below(&g, n_model)].p;
		at = model_find(&p);
		if (mf_prng_below(&g, 300) == 0) {
			assert_true(mf_wg_allowed_clear(&t, &list[o]));
			for (size_t i = n_model; i-- > 0;)
				if (model[i].owner == o)
					model[i] = model[--n_model];
		} else if (mf_prng_below(&g, 4) == 0) {
			assert_int_equal(mf_wg_allowed_remove(&t, &list[o], &p), MF_OK);
			if (at < n_model && model[at].owner == o)
				model[at] = model[--n_model];
		} else if (n_model < MODEL) {
			assert_int_equal(mf_wg_allowed_add(&t, &list[o], o, &p, 1), MF_OK);
			model[at].p = p;
			model[at].owner = o;
			n_model += at == n_model;
		}
		if (step % 500 == 499)
			check_all(&g);
	}
	mf_wg_allowed_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_match_and_moving),
		cmocka_unit_test(test_the_same_prefix_twice_in_one_go),
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
