/* SPDX-License-Identifier: Apache-2.0
 *
 * Random sequences against a model that remembers every number, with windows of several sizes.
 */
#include "base/replay.h"

#include "unit.h"

enum { WORDS_MAX = 32, STEPS = 3000 };

struct model {
	uint64_t number[STEPS];
	size_t n;
	uint64_t greatest;
};

static bool accept(struct model *m, size_t words, uint64_t number)
{
	if (number == UINT64_MAX)
		return false;
	if (m->n && number < m->greatest && m->greatest - number >= 64 * (words - 1))
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (m->number[i] == number)
			return false;
	if (!m->n || number > m->greatest)
		m->greatest = number;
	m->number[m->n++] = number;
	return true;
}

/* Mostly near the greatest one, sometimes far ahead, or near the end. */
static uint64_t next_number(struct mf_prng *g, const struct model *m, size_t words)
{
	uint64_t near = m->greatest + mf_prng_below(g, 80), back = mf_prng_below(g, 80 * words);

	switch (mf_prng_below(g, 40)) {
	case 0:
		return m->greatest + mf_prng_below(g, 200 * words);
	case 1:
		return mf_prng_below(g, 4) ? mf_prng_below(g, 100) : UINT64_MAX - mf_prng_below(g, 3);
	default:
		return near >= back ? near - back : near;
	}
}

static void against_model(void **state)
{
	static struct model m;
	struct mf_prng g = unit_prng("replay");

	(void)state;
	for (size_t words = 2; words <= WORDS_MAX; words *= 2)
		for (unsigned round = 0; round < 10; round++) {
			uint64_t next = 0, seen[WORDS_MAX] = { 0 };

			m.n = 0;
			m.greatest = round % 2 ? 0 : mf_prng_below(&g, 1000);
			for (unsigned i = 0; i < STEPS; i++) {
				uint64_t number = next_number(&g, &m, words);

				assert_int_equal(mf_replay_push(&next, seen, words, number),
						 accept(&m, words, number));
			}
		}
}

static void ends(void **state)
{
	uint64_t next = 0, seen[2] = { 0 };

	(void)state;
	assert_true(mf_replay_push(&next, seen, 2, 0));
	assert_false(mf_replay_push(&next, seen, 2, 0));
	assert_false(mf_replay_push(&next, seen, 2, UINT64_MAX));
	assert_true(mf_replay_push(&next, seen, 2, UINT64_MAX - 1));
	assert_false(mf_replay_push(&next, seen, 2, UINT64_MAX - 1));
	assert_true(mf_replay_push(&next, seen, 2, UINT64_MAX - 64));
	assert_false(mf_replay_push(&next, seen, 2, UINT64_MAX - 65));
	assert_false(mf_replay_push(&next, seen, 2, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_model),
		cmocka_unit_test(ends),
	};

	return cmocka_run_group_tests_name("base/replay", tests, NULL, NULL);
}
