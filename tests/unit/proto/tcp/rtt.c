/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/tcp/rtt.h"

#include "unit.h"

static void test_before_the_first(void **state)
{
	struct mf_tcp_rtt r;

	(void)state;
	mf_tcp_rtt_init(&r);
	assert_int_equal(mf_tcp_rtt_rto(&r), MF_SEC);
	assert_true(r.min == MF_NEVER);
	for (int i = 0; i < 3; i++)
		mf_tcp_rtt_backoff(&r);
	assert_int_equal(mf_tcp_rtt_rto(&r), 8 * MF_SEC);
}

/* RFC 6298 2.2 and 2.3, by hand. */
static void test_formula(void **state)
{
	struct mf_tcp_rtt r;

	(void)state;
	mf_tcp_rtt_init(&r);
	mf_tcp_rtt_sample(&r, 800 * MF_MSEC, MF_SEC);
	assert_int_equal(r.srtt, 800 * MF_MSEC);
	assert_int_equal(r.rttvar, 400 * MF_MSEC);
	assert_int_equal(mf_tcp_rtt_rto(&r), 2400 * MF_MSEC);
	mf_tcp_rtt_sample(&r, 1600 * MF_MSEC, 2 * MF_SEC);
	/* RTTVAR = 3/4 400 + 1/4 |800 - 1600|, with the SRTT of before; SRTT = 7/8 800 + 1/8 1600 */
	assert_int_equal(r.rttvar, 500 * MF_MSEC);
	assert_int_equal(r.srtt, 900 * MF_MSEC);
	assert_int_equal(mf_tcp_rtt_rto(&r), 2900 * MF_MSEC);
	mf_tcp_rtt_sample(&r, 100 * MF_MSEC, 3 * MF_SEC);
	assert_int_equal(r.rttvar, 575 * MF_MSEC);
	assert_int_equal(r.srtt, 800 * MF_MSEC);
	assert_int_equal(r.latest, 100 * MF_MSEC);
}

static void test_limits(void **state)
{
	struct mf_tcp_rtt r;

	(void)state;
	mf_tcp_rtt_init(&r);
	for (mf_nsec i = 0; i < 200; i++)
		mf_tcp_rtt_sample(&r, 10 * MF_MSEC, i * MF_MSEC);
	/* A path without variation still leaves the peer time to delay its ACK. */
	assert_int_equal(mf_tcp_rtt_rto(&r), 10 * MF_MSEC + MF_TCP_RTO_MIN);
	for (int i = 0; i < 1000; i++)
		mf_tcp_rtt_backoff(&r);
	assert_int_equal(mf_tcp_rtt_rto(&r), MF_TCP_RTO_MAX);
	mf_tcp_rtt_sample(&r, 10 * MF_MSEC, MF_SEC);
	assert_int_equal(mf_tcp_rtt_rto(&r), 10 * MF_MSEC + MF_TCP_RTO_MIN);
	mf_tcp_rtt_sample(&r, 0, MF_SEC);
	assert_true(r.min > 0 && r.latest > 0);
	/* What a lying timestamp can do has an end. */
	for (int i = 0; i < 100; i++)
		mf_tcp_rtt_sample(&r, MF_NEVER - 1, 2 * MF_SEC);
	assert_int_equal(mf_tcp_rtt_rto(&r), MF_TCP_RTO_MAX);
	assert_true(r.srtt <= MF_TCP_RTO_MAX);
}

/* Zero round trips, as between two programs of one machine on virtual time. */
static void test_zero_is_a_sample(void **state)
{
	struct mf_tcp_rtt r;

	(void)state;
	mf_tcp_rtt_init(&r);
	for (int i = 0; i < 50; i++) {
		mf_tcp_rtt_sample(&r, 0, MF_SEC);
		assert_true(r.srtt > 0);
	}
	assert_true(mf_tcp_rtt_rto(&r) <= MF_TCP_RTO_MIN + MF_USEC);
}

/* Against all samples ever: the minimum is one of at most 10 s ago, and at least of the last 5 s. */
static void test_minimum(void **state)
{
	enum { N = 3000 };
	struct mf_prng g = unit_prng("rtt");
	static mf_nsec at[N], rtt[N];
	mf_nsec now = 77 * MF_SEC;
	struct mf_tcp_rtt r;

	(void)state;
	mf_tcp_rtt_init(&r);
	for (int i = 0; i < N; i++) {
		mf_nsec recent = MF_NEVER, all = MF_NEVER;

		now += mf_prng_below(&g, mf_prng_below(&g, 100) ? 40 * MF_MSEC : 12 * MF_SEC);
		at[i] = now;
		rtt[i] = 1 + mf_prng_below(&g, MF_SEC);
		mf_tcp_rtt_sample(&r, rtt[i], now);
		for (int k = 0; k <= i; k++) {
			if (now - at[k] < 5 * MF_SEC && rtt[k] < recent)
				recent = rtt[k];
			if (now - at[k] < 10 * MF_SEC && rtt[k] < all)
				all = rtt[k];
		}
		assert_true(all <= r.min && r.min <= recent);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_the_first), cmocka_unit_test(test_formula),
		cmocka_unit_test(test_limits),           cmocka_unit_test(test_zero_is_a_sample),
		cmocka_unit_test(test_minimum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
