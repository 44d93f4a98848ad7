/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wg/ratelimit.h"

#include "unit.h"

static struct mf_wg_ratelimit r;

static int setup(void **state)
{
	static struct mf_prng g = { .state = 7 };
	struct mf_rng rng = { .fill = mf_prng_fill, .ctx = &g };

	(void)state;
	mf_wg_ratelimit_init(&r, &rng);
	return 0;
}

static struct mf_addr addr(const char *text)
{
	struct mf_addr a;

	assert_int_equal(mf_addr_parse(&a, text), MF_OK);
	return a;
}

static unsigned allowed(mf_nsec now, const char *text, unsigned tries)
{
	struct mf_addr a = addr(text);
	unsigned n = 0;

	while (tries--)
		n += mf_wg_ratelimit_allow(&r, now, &a);
	return n;
}

static void test_burst_and_rate(void **state)
{
	mf_nsec t = 100 * MF_SEC;

	(void)state;
	assert_int_equal(allowed(t, "192.0.2.1", 15), 5);
	assert_int_equal(allowed(t + 50 * MF_MSEC - 1, "192.0.2.1", 5), 0);
	assert_int_equal(allowed(t + 50 * MF_MSEC, "192.0.2.1", 5), 1);
	assert_int_equal(allowed(t + 150 * MF_MSEC, "192.0.2.1", 5), 2);
	/* Full again, and not more than full. */
	assert_int_equal(allowed(t + 600 * MF_SEC, "192.0.2.1", 50), 5);
	/* In the long run 20 a second. */
	t += 700 * MF_SEC;
	unsigned n = 0;
	for (int ms = 0; ms < 10000; ms++)
		n += allowed(t + (mf_nsec)ms * MF_MSEC, "192.0.2.1", 1);
	assert_int_equal(n, 204);
}

static void test_what_a_source_is(void **state)
{
	mf_nsec t = 100 * MF_SEC;

	(void)state;
	assert_int_equal(allowed(t, "192.0.2.1", 9), 5);
	assert_int_equal(allowed(t, "192.0.2.2", 9), 5);
	assert_int_equal(allowed(t, "2001:db8:0:1::1", 3), 3);
	assert_int_equal(allowed(t, "2001:db8:0:1:ffff::2", 9), 2); /* the same /64 */
	assert_int_equal(allowed(t, "2001:db8:0:2::1", 9), 5);
	/* Not to be confused with the IPv4 address of the same number. */
	assert_int_equal(allowed(t, "0:0:c000:201::", 9), 5);
}

static void test_memory_is_bounded_and_active_sources_keep_their_entry(void **state)
{
	mf_nsec t = 100 * MF_SEC;
	unsigned total = 0;

	(void)state;
	assert_int_equal(allowed(t, "192.0.2.1", 9), 5);
	for (uint32_t i = 0; i < 100000; i++) {
		struct mf_addr a = { .family = MF_AF_IP6 };

		a.b[0] = 0x20;
		memcpy(a.b + 4, &i, 4);
		total += mf_wg_ratelimit_allow(&r, t, &a);
	}
	assert_in_range(total, 1000, MF_WG_RATE_SETS * MF_WG_RATE_WAYS);
	assert_int_equal(allowed(t, "192.0.2.1", 9), 0);
	/* When the others are full again their places are free. */
	assert_int_equal(allowed(t + MF_SEC, "198.51.100.9", 9), 5);
}

static void test_clock_set_back(void **state)
{
	(void)state;
	assert_int_equal(allowed(1000 * MF_SEC, "192.0.2.1", 9), 5);
	assert_int_equal(allowed(10 * MF_SEC, "192.0.2.1", 9), 5);
}

struct model {
	double tokens;
	mf_nsec last;
};

static void test_against_model(void **state)
{
	struct mf_prng g = unit_prng("ratelimit");
	struct model m[8];
	mf_nsec t = 100 * MF_SEC;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		m[i] = (struct model){ .tokens = 5, .last = t };
	for (int step = 0; step < 20000; step++) {
		uint64_t i = mf_prng_below(&g, 8);
		struct mf_addr a = { .family = MF_AF_IP4, .b = { 10, 0, 0, (uint8_t)i } };
		bool want;

		/* Whole milliseconds: no rounding trouble in the model. */
		t += mf_prng_below(&g, 20) * MF_MSEC;
		m[i].tokens += (double)((t - m[i].last) / MF_MSEC) / 50.0;
		if (m[i].tokens > 5)
			m[i].tokens = 5;
		m[i].last = t;
		want = m[i].tokens > 1 - 1e-6;
		if (want)
			m[i].tokens -= 1;
		assert_int_equal(mf_wg_ratelimit_allow(&r, t, &a), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_burst_and_rate, setup),
		cmocka_unit_test_setup(test_what_a_source_is, setup),
		cmocka_unit_test_setup(test_memory_is_bounded_and_active_sources_keep_their_entry,
				       setup),
		cmocka_unit_test_setup(test_clock_set_back, setup),
		cmocka_unit_test_setup(test_against_model, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
