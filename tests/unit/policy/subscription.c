/* SPDX-License-Identifier: Apache-2.0
 *
 * When lists are fetched, and what is remembered of them.
 */
#include "policy/subscription.h"

#include "unit.h"

enum { ROUNDS = 20000, DAY = 86400 };

static struct mf_prng prng;
static struct mf_rng rng = { mf_prng_fill, &prng };

static int seed(void **state)
{
	(void)state;
	prng = unit_prng("subscription");
	return 0;
}

static void every_is_a_tenth_more_or_less(void **state)
{
	uint32_t lengths[] = { 1, 60, 3600, DAY, 31 * DAY };

	(void)state;
	for (size_t k = 0; k < MF_ARRAY_LEN(lengths); k++) {
		mf_nsec t = lengths[k] * MF_SEC, least = MF_NEVER, most = 0;

		for (int i = 0; i < ROUNDS; i++) {
			mf_nsec got = mf_subscription_every(lengths[k], &rng);

			least = mf_min(least, got);
			most = mf_max(most, got);
		}
		assert_in_range(least, t - t / 10, t - t / 11);
		assert_in_range(most, t + t / 11, t + t / 10);
	}
}

/* What is left of the time since it was fetched is what `every` would have been, less the age. */
static void left_counts_from_the_last_time(void **state)
{
	const int64_t now = 1795000000;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		int64_t age = (int64_t)mf_prng_below(&prng, 2 * DAY);
		mf_nsec left = mf_subscription_left(DAY, now - age, now, &rng);
		int64_t most = DAY + DAY / 10 - age, least = DAY - DAY / 10 - age;

		assert_true(left <= (mf_nsec)(most > 0 ? most : 0) * MF_SEC);
		assert_true(left >= (mf_nsec)(least > 0 ? least : 0) * MF_SEC);
	}
	assert_int_equal(mf_subscription_left(DAY, 0, now, &rng), 0);
	assert_int_equal(mf_subscription_left(1, INT64_MIN / 4, INT64_MAX / 4, &rng), 0);
	/* A clock that was set back: one time, not years. */
	assert_in_range(mf_subscription_left(DAY, now + 10 * 365 * DAY, now, &rng), 0,
			(DAY + DAY / 10) * MF_SEC);
}

static void retries_double(void **state)
{
	(void)state;
	for (unsigned failures = 1; failures < 100; failures++) {
		uint64_t s = failures > 9 ? 3600 : mf_min((uint64_t)10 << (failures - 1), 3600);
		mf_nsec got = mf_subscription_retry(DAY, failures, &rng);

		assert_in_range(got, s * MF_SEC, s * MF_SEC + s * MF_SEC / 2);
		assert_in_range(mf_subscription_retry(5, failures, &rng), 5 * MF_SEC, 7500 * MF_MSEC);
	}
}

static mf_err parse(const char *text, struct mf_copy_facts *out)
{
	return mf_copy_facts_parse(mf_span(text, strlen(text)), out);
}

static void facts_read_back(void **state)
{
	struct mf_copy_facts f = { "W/\"a b\"", "Sat, 21 Nov 2026 10:00:00 GMT", 1795000000 }, got;
	char text[1024], word[MF_COPY_TAG_MAX + 2];
	size_t n;

	(void)state;
	n = mf_copy_facts_print(&f, text, sizeof(text));
	assert_int_equal(mf_copy_facts_parse(mf_span(text, n), &got), MF_OK);
	assert_memory_equal(&got, &f, sizeof(f));
	assert_int_equal(parse("unknown thing\nfetched 7\n", &got), MF_OK);
	assert_int_equal(got.fetched, 7);
	assert_string_equal(got.etag, "");
	/* As long as may be. */
	memset(word, 'x', sizeof(word));
	mf_copy_tag(f.etag, word, MF_COPY_TAG_MAX);
	mf_copy_tag(f.modified, word, MF_COPY_TAG_MAX);
	assert_int_equal(strlen(f.etag), MF_COPY_TAG_MAX);
	f.fetched = 999999999999999999;
	n = mf_copy_facts_print(&f, text, sizeof(text));
	assert_int_equal(mf_copy_facts_parse(mf_span(text, n), &got), MF_OK);
	assert_memory_equal(&got, &f, sizeof(f));
	mf_copy_tag(f.etag, word, MF_COPY_TAG_MAX + 1);
	assert_string_equal(f.etag, "");
}

static void wrong_facts_are_none(void **state)
{
	static const char *const wrong[] = {
		"",
		"etag \"x\"\n",
		"fetched\n",
		"fetched \n",
		"fetched -1\n",
		"fetched 1x\n",
		"fetched 1000000000000000000000\n",
		"fetched 1\netag a\rInjected: yes\n",
		"fetched 1\netag \x80\n",
		"fetched 1\netag \n",
	};
	struct mf_copy_facts got;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(wrong); i++)
		assert_int_equal(parse(wrong[i], &got), MF_E_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_is_a_tenth_more_or_less),
		cmocka_unit_test(left_counts_from_the_last_time),
		cmocka_unit_test(retries_double),
		cmocka_unit_test(facts_read_back),
		cmocka_unit_test(wrong_facts_are_none),
	};

	return cmocka_run_group_tests_name("policy/subscription", tests, seed, NULL);
}
