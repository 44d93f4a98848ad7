/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/texts.h"

#include "failing_malloc.h"
#include "unit.h"

enum { TEXTS = 60, BLOCKS = 200 };

struct kept {
	char text[MF_TEXT_MAX + 1];
	size_t n;
	uint32_t ref;
};

static void check(const struct mf_texts *t, const struct kept *k)
{
	char out[MF_TEXT_MAX + 1];

	assert_int_equal(mf_texts_get(t, k->ref, out), k->n);
	assert_string_equal(out, k->text);
}

/* Texts of all lengths, put and dropped in any order: each is what it was, and no block is lost. */
static void test_against_model(void **state)
{
	static struct kept kept[TEXTS];
	struct mf_prng g = unit_prng("texts");
	struct mf_texts t;

	(void)state;
	assert_true(mf_texts_init(&t, BLOCKS));
	for (unsigned step = 0; step < 50000; step++) {
		struct kept *k = &kept[mf_prng_below(&g, TEXTS)];

		mf_texts_drop(&t, k->ref);
		*k = (struct kept){ .n = mf_prng_below(&g, MF_TEXT_MAX + 1) };
		if (mf_texts_need(k->n) > t.n_free)
			k->n = 0;
		for (size_t i = 0; i < k->n; i++)
			k->text[i] = (char)('!' + mf_prng_below(&g, 90));
		k->ref = mf_texts_put(&t, k->text, k->n);
		check(&t, &kept[mf_prng_below(&g, TEXTS)]);
		check(&t, k);
	}
	for (unsigned i = 0; i < TEXTS; i++) {
		check(&t, &kept[i]);
		mf_texts_drop(&t, kept[i].ref);
	}
	assert_int_equal(t.n_free, BLOCKS);
	mf_texts_fini(&t);
}

static void test_lengths(void **state)
{
	struct mf_texts t;
	char out[MF_TEXT_MAX + 1];

	(void)state;
	assert_true(mf_texts_init(&t, MF_TEXT_BLOCKS));
	assert_int_equal(mf_texts_need(0), 0);
	assert_int_equal(mf_texts_need(1), 1);
	assert_int_equal(mf_texts_need(MF_TEXT_BLOCK), 1);
	assert_int_equal(mf_texts_need(MF_TEXT_BLOCK + 1), 2);
	assert_int_equal(mf_texts_need(MF_TEXT_MAX), MF_TEXT_BLOCKS);
	assert_int_equal(mf_texts_put(&t, "", 0), 0);
	assert_int_equal(mf_texts_get(&t, 0, out), 0);
	/* Nonsense, as a reader may get it that comes too late. */
	assert_int_equal(mf_texts_get(&t, UINT32_MAX, out), 0);
	mf_texts_fini(&t);
}

static void put_without_room(void *arg)
{
	mf_texts_put(arg, "b", 1);
}

static void test_our_mistakes(void **state)
{
	struct mf_texts t;

	(void)state;
	assert_true(mf_texts_init(&t, 1));
	mf_texts_put(&t, "a", 1);
	assert_true(unit_aborts(put_without_room, &t));
	mf_texts_fini(&t);
}

static void test_no_memory(void **state)
{
	struct mf_texts t;

	(void)state;
	calls_left = 1;
	assert_false(mf_texts_init(&t, BLOCKS));
	calls_left = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_our_mistakes),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
