/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/due.h"

#include "failing_malloc.h"
#include "unit.h"

enum { MAX = 100 };

/* The model: when each number is due, MF_NEVER: it is not in. */
static mf_nsec at[MAX];

static void check(const struct mf_due *d)
{
	const struct mf_due_item *first = mf_due_first(d);
	mf_nsec least = MF_NEVER;
	uint32_t n = 0;

	for (unsigned i = 0; i < MAX; i++) {
		least = mf_min(least, at[i]);
		n += at[i] != MF_NEVER;
	}
	assert_int_equal(d->n, n);
	assert_int_equal(first ? first->at : MF_NEVER, least);
	if (first)
		assert_int_equal(at[first->number], least);
}

static void test_against_model(void **state)
{
	struct mf_prng g = unit_prng("due");
	struct mf_due d;

	(void)state;
	assert_true(mf_due_init(&d, MAX));
	memset(at, 0xff, sizeof(at));
	for (unsigned step = 0; step < 200000; step++) {
		uint32_t i = (uint32_t)mf_prng_below(&g, MAX);
		bool tide = step / 3000 % 2;

		if (mf_prng_below(&g, 100) < (tide ? 70 : 30)) {
			at[i] = mf_prng_below(&g, 50);
			mf_due_set(&d, i, at[i]);
		} else {
			at[i] = MF_NEVER;
			mf_due_remove(&d, i);
		}
		check(&d);
	}
	mf_due_fini(&d);
}

static void test_comes_out_in_order(void **state)
{
	struct mf_prng g = unit_prng("due order");
	struct mf_due d;
	mf_nsec last = 0;

	(void)state;
	assert_true(mf_due_init(&d, MAX));
	for (uint32_t i = 0; i < MAX; i++)
		mf_due_set(&d, i, mf_prng_below(&g, 1000));
	for (unsigned i = 0; i < MAX; i++) {
		struct mf_due_item first = *mf_due_first(&d);

		assert_true(first.at >= last);
		last = first.at;
		mf_due_remove(&d, first.number);
	}
	assert_null(mf_due_first(&d));
	mf_due_fini(&d);
	mf_due_fini(&d);
}

static void test_no_memory(void **state)
{
	struct mf_due d;

	(void)state;
	for (long k = 1; k <= 2; k++) {
		calls_left = k;
		assert_false(mf_due_init(&d, MAX));
		calls_left = -1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_comes_out_in_order),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
