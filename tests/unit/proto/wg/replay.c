/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wg/replay.h"

#include "proto/wg/messages.h"
#include "unit.h"

#define W    ((uint64_t)MF_WG_REPLAY_WINDOW)
#define LAST (MF_WG_REJECT_AFTER_MESSAGES - 1)

/* In order, on one window. */
static const struct {
	int line;
	uint64_t counter;
	bool ok;
} steps[] = {
	{ __LINE__, 0, true },
	{ __LINE__, 0, false },
	{ __LINE__, 1, true },
	{ __LINE__, 1, false },
	{ __LINE__, 9, true },
	{ __LINE__, 8, true },
	{ __LINE__, 7, true },
	{ __LINE__, 7, false },
	{ __LINE__, W, true }, /* 0 has just left: greatest - W */
	{ __LINE__, W - 1, true },
	{ __LINE__, W - 1, false },
	{ __LINE__, 0, false },
	{ __LINE__, 1, false },
	{ __LINE__, 2, true }, /* within, and new */
	{ __LINE__, 2, false },
	{ __LINE__, 3 * W, true },
	{ __LINE__, 2 * W, false }, /* exactly too old */
	{ __LINE__, 2 * W + 1, true },
	{ __LINE__, 2 * W + 1, false },
	{ __LINE__, 10 * MF_WG_REPLAY_BITS, true }, /* a leap over more than the ring */
	{ __LINE__, 9 * MF_WG_REPLAY_BITS, false },
	{ __LINE__, 10 * MF_WG_REPLAY_BITS - 1, true },
	{ __LINE__, 1000000, true },
	{ __LINE__, 1000000 - W, false },
	{ __LINE__, 1000000 - W + 1, true },
	{ __LINE__, (uint64_t)1 << 32, true }, /* a counter is 64 bits wide everywhere */
	{ __LINE__, ((uint64_t)1 << 32) - 1, true },
	{ __LINE__, 0, false },
	{ __LINE__, LAST, true },
	{ __LINE__, LAST, false },
	{ __LINE__, LAST - 1, true },
	{ __LINE__, LAST + 1, false }, /* never, however new */
	{ __LINE__, UINT64_MAX, false },
	{ __LINE__, LAST - W, false },
	{ __LINE__, LAST - W + 1, true },
};

static void test_steps(void **state)
{
	struct mf_wg_replay r = { 0 };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(steps); i++) {
		if (mf_wg_replay_push(&r, steps[i].counter) != steps[i].ok)
			fail_msg("step of line %d", steps[i].line);
	}
}

static void test_first_counter_may_be_anything(void **state)
{
	const uint64_t first[] = { 1, 63, 64, 65, W, MF_WG_REPLAY_BITS, 100000, LAST };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(first); i++) {
		struct mf_wg_replay r = { 0 };

		assert_true(mf_wg_replay_push(&r, first[i]));
		assert_false(mf_wg_replay_push(&r, first[i]));
		assert_true(mf_wg_replay_push(&r, first[i] - 1));
	}
}

/* The whole window may come backwards. */
static void test_reversed_window(void **state)
{
	struct mf_wg_replay r = { 0 };

	(void)state;
	for (uint64_t c = W; c > 0; c--)
		assert_true(mf_wg_replay_push(&r, c + 77));
	for (uint64_t c = W; c > 0; c--)
		assert_false(mf_wg_replay_push(&r, c + 77));
	assert_false(mf_wg_replay_push(&r, 77));
}

enum { MODEL = 1 << 18 };

/* The model remembers everything. */
static void test_against_model(void **state)
{
	struct mf_prng g = unit_prng("replay");
	static bool seen[MODEL];

	(void)state;
	for (int round = 0; round < 20; round++) {
		uint64_t base = round % 2 ? ((uint64_t)1 << 40) : 0, greatest = 0;
		struct mf_wg_replay r = { 0 };
		bool any = false;

		memset(seen, 0, sizeof(seen));
		for (int step = 0; step < 20000; step++) {
			uint64_t c = greatest, spread = mf_prng_below(&g, 3) ? 300 : 10000;

			if (mf_prng_below(&g, 200) == 0)
				c += mf_prng_below(&g, 9000);
			else
				c = c + mf_prng_below(&g, 3) - mf_prng_below(&g, spread);
			if (c >= MODEL)
				continue; /* below zero, or beyond the model */
			bool want = !seen[c] && (!any || c > greatest || greatest - c < W);

			assert_int_equal(mf_wg_replay_push(&r, base + c), want);
			if (want) {
				seen[c] = true;
				greatest = any && greatest > c ? greatest : c;
				any = true;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_first_counter_may_be_anything),
		cmocka_unit_test(test_reversed_window),
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
