/* SPDX-License-Identifier: Apache-2.0
 *
 * CUBIC against the formulas of RFC 9438 in floating point, with one ACK for each segment or for many.
 */
#include "proto/tcp/cubic.h"

#include <math.h>

#include "unit.h"

enum { MSS = 1448, CSS_ROUNDS = 5 };

/* A flow whose whole window is acknowledged once in each round trip. */
struct flow {
	struct mf_tcp_cubic c;
	mf_nsec now, rtt;
	uint32_t una;
	uint32_t per_ack; /* bytes */
};

static struct flow flow(mf_nsec rtt)
{
	struct flow f = { .now = 1000 * MF_SEC, .rtt = rtt, .una = 0xfffffff0, .per_ack = MSS };

	mf_tcp_cubic_init(&f.c, MSS);
	return f;
}

/* One ACK; the clock moves by its share of the round trip. */
static void ack(struct flow *f, bool limited)
{
	f->now += f->rtt * f->per_ack / f->c.cwnd;
	f->una += f->per_ack;
	mf_tcp_cubic_acked(&f->c, f->per_ack, f->una, f->una + f->c.cwnd, f->rtt, f->rtt, limited,
			   f->now);
}

static void run(struct flow *f, mf_nsec until)
{
	while (f->now < until)
		ack(f, false);
}

/* A flow that had `segments` in flight when it lost one, and has recovered. */
static struct flow after_loss(mf_nsec rtt, uint32_t segments)
{
	struct flow f = flow(rtt);

	f.c.cwnd = segments * MSS;
	mf_tcp_cubic_loss(&f.c, f.c.cwnd);
	f.c.cwnd = f.c.ssthresh;
	return f;
}

static double segments(const struct flow *f)
{
	return (double)f->c.cwnd / MSS;
}

static double curve(double w_max, double cwnd_epoch, double t)
{
	double k = cbrt((w_max - cwnd_epoch) / 0.4);

	return 0.4 * pow(t - k, 3) + w_max;
}

/* |a - b| is at most `part` of b. */
static void assert_near(double a, double b, double part)
{
	if (fabs(a - b) > part * fabs(b))
		fail_msg("%f is not near %f", a, b);
}

static void test_initial_window(void **state)
{
	static const struct {
		uint32_t mss, window;
	} known[] = { { 536, 5360 },   { 1220, 12200 }, { 1448, 14480 },  { 1460, 14600 },
		      { 2190, 14600 }, { 8948, 17896 }, { 65000, 130000 } };
	struct mf_tcp_cubic c;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(known); i++) {
		mf_tcp_cubic_init(&c, known[i].mss);
		assert_int_equal(c.cwnd, known[i].window);
		assert_int_equal(c.ssthresh, UINT32_MAX);
	}
}

/* Through the concave part, the plateau and far into the convex one. */
static void test_closed_form(void **state)
{
	static const uint32_t per_ack[] = { MSS, 2 * MSS, 44 * MSS, 100 };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(per_ack); i++) {
		struct flow f = after_loss(100 * MF_MSEC, 1000);
		mf_nsec start = f.now;
		double k = cbrt(300 / 0.4);

		f.per_ack = per_ack[i];
		assert_near(segments(&f), 700, 1e-5);
		ack(&f, false);
		assert_near((double)f.c.curve.k / 1e9, k, 1e-3);
		for (mf_nsec t = MF_SEC; t < 16 * MF_SEC; t += MF_SEC) {
			run(&f, start + t);
			assert_near(segments(&f), curve(1000, 700, (double)t / 1e9), 0.01);
		}
		assert_true(segments(&f) > 1020);
	}
}

/* Where the curve is flatter than Reno: 9/17 of a segment each round trip, then a whole one. */
static void test_reno_friendly(void **state)
{
	struct flow f = after_loss(10 * MF_MSEC, 20);
	mf_nsec start = f.now;

	(void)state;
	assert_near(segments(&f), 14, 1e-3);
	run(&f, start + 11 * f.rtt);
	assert_near(segments(&f), 14 + 11 * 9.0 / 17, 0.03);
	run(&f, start + 12 * f.rtt);
	while (f.c.curve.w_est >> 16 < f.c.curve.cwnd_prior)
		ack(&f, false);
	start = f.now;
	run(&f, start + 20 * f.rtt);
	assert_near(segments(&f), 20 + 20, 0.03);
}

static void test_fast_convergence(void **state)
{
	struct flow f = flow(100 * MF_MSEC);

	(void)state;
	f.c.cwnd = 100 * MSS;
	mf_tcp_cubic_loss(&f.c, f.c.cwnd);
	assert_int_equal(f.c.curve.w_max, 100 * MSS);
	assert_int_equal(f.c.ssthresh, 70 * MSS);
	f.c.cwnd = 80 * MSS; /* less than it had: it leaves room for others */
	mf_tcp_cubic_loss(&f.c, f.c.cwnd);
	assert_int_equal(f.c.curve.w_max, 68 * MSS); /* 80 (1 + 0.7) / 2 */
	assert_int_equal(f.c.ssthresh, 56 * MSS);
	f.c.cwnd = 90 * MSS;
	mf_tcp_cubic_loss(&f.c, f.c.cwnd);
	assert_int_equal(f.c.curve.w_max, 90 * MSS);
}

static void test_ssthresh_from_what_is_in_flight(void **state)
{
	struct flow f = flow(100 * MF_MSEC);

	(void)state;
	f.c.cwnd = 100 * MSS;
	mf_tcp_cubic_loss(&f.c, 10 * MSS);
	assert_int_equal(f.c.ssthresh, 7 * MSS);
	mf_tcp_cubic_loss(&f.c, MSS);
	assert_int_equal(f.c.ssthresh, 2 * MSS);
	mf_tcp_cubic_loss(&f.c, 1000 * MSS);
	assert_int_equal(f.c.ssthresh, 70 * MSS);
}

static void test_timeout(void **state)
{
	struct flow f = flow(100 * MF_MSEC);
	struct mf_tcp_cubic before;
	mf_nsec start;

	(void)state;
	f.c.cwnd = 100 * MSS;
	mf_tcp_cubic_timeout(&f.c, f.c.cwnd);
	assert_int_equal(f.c.cwnd, MSS);
	assert_int_equal(f.c.ssthresh, 70 * MSS);
	before = f.c;
	mf_tcp_cubic_timeout(&f.c, f.c.cwnd); /* it backs off; ssthresh stays */
	assert_memory_equal(&before, &f.c, sizeof(before));
	while (f.c.cwnd < 70 * MSS)
		ack(&f, false);
	/* 6.1 = log2(70) round trips of slow start */
	assert_true(f.now - (1000 * MF_SEC) < 8 * f.rtt);
	/* K 0 from here on, and W_max what it is here. */
	start = f.now;
	run(&f, start + 10 * MF_SEC);
	assert_int_equal(f.c.curve.k, 0);
	assert_near(segments(&f), 70 + 0.4 * 1000, 0.03);
}

static void test_undo(void **state)
{
	struct flow f = after_loss(100 * MF_MSEC, 200), was;

	(void)state;
	run(&f, f.now + 3 * MF_SEC);
	was = f;
	mf_tcp_cubic_loss(&f.c, f.c.cwnd);
	f.c.cwnd = f.c.ssthresh;
	mf_tcp_cubic_undo(&f.c);
	assert_int_equal(f.c.cwnd, was.c.cwnd);
	assert_int_equal(f.c.ssthresh, was.c.ssthresh);
	assert_memory_equal(&f.c.curve, &was.c.curve, sizeof(was.c.curve));
	f.c.cwnd = MSS;
	mf_tcp_cubic_undo(&f.c); /* there is nothing more */
	assert_int_equal(f.c.cwnd, MSS);
	f = was;
	mf_tcp_cubic_timeout(&f.c, f.c.cwnd);
	mf_tcp_cubic_undo(&f.c);
	assert_int_equal(f.c.cwnd, was.c.cwnd);
	run(&f, f.now + 2 * MF_SEC);
	run(&was, was.now + 2 * MF_SEC);
	assert_near(segments(&f), segments(&was), 0.001);
}

/* Not held up by cwnd: it stays, and the time does not count. */
static void test_app_limited(void **state)
{
	struct flow f = after_loss(100 * MF_MSEC, 500), twin;
	uint32_t cwnd;

	(void)state;
	run(&f, f.now + 2 * MF_SEC);
	twin = f;
	cwnd = f.c.cwnd;
	while (f.now < twin.now + 30 * MF_SEC)
		ack(&f, true);
	assert_int_equal(f.c.cwnd, cwnd);
	run(&f, f.now + 3 * MF_SEC);
	run(&twin, twin.now + 3 * MF_SEC);
	assert_near(segments(&f), segments(&twin), 0.002);

	f = flow(100 * MF_MSEC); /* nor in slow start */
	for (int i = 0; i < 1000; i++)
		ack(&f, true);
	assert_int_equal(f.c.cwnd, 10 * MSS);
}

static void test_idle(void **state)
{
	struct flow f = after_loss(100 * MF_MSEC, 500), twin;
	mf_nsec rto = 300 * MF_MSEC;

	(void)state;
	run(&f, f.now + 2 * MF_SEC);
	twin = f;
	f.now += rto;
	mf_tcp_cubic_idle(&f.c, rto, rto); /* not long enough, but the curve stood still */
	assert_int_equal(f.c.cwnd, twin.c.cwnd);
	run(&f, f.now + 2 * MF_SEC);
	run(&twin, twin.now + 2 * MF_SEC);
	assert_near(segments(&f), segments(&twin), 0.002);
	f.now += 10 * MF_SEC;
	mf_tcp_cubic_idle(&f.c, 10 * MF_SEC, rto);
	assert_int_equal(f.c.cwnd, 10 * MSS);
	assert_near((double)f.c.ssthresh, (double)twin.c.cwnd * 3 / 4, 0.01);
	mf_tcp_cubic_idle(&f.c, 10 * MF_SEC, rto);
	assert_int_equal(f.c.cwnd, 10 * MSS);
	mf_tcp_cubic_timeout(&f.c, f.c.cwnd);
	mf_tcp_cubic_idle(&f.c, 10 * MF_SEC, rto);
	assert_int_equal(f.c.cwnd, MSS); /* never more than it had */
}

/* ---- HyStart++ ---- */

/* One round: the whole window at the time it began is acknowledged. */
static void round_trip(struct flow *f)
{
	uint32_t end = f->una + f->c.cwnd;

	while ((int32_t)(f->una - end) < 0)
		ack(f, false);
}

static void test_slow_start_doubles(void **state)
{
	struct flow f = flow(100 * MF_MSEC);

	(void)state;
	for (uint32_t n = 20; n < 10000; n *= 2) {
		round_trip(&f);
		assert_near(segments(&f), n, 0.001);
		assert_false(f.c.in_css);
	}
	assert_int_equal(f.c.ssthresh, UINT32_MAX);
}

static void test_longer_round_trips_end_slow_start(void **state)
{
	struct flow f = flow(80 * MF_MSEC);
	uint32_t cwnd;

	(void)state;
	round_trip(&f);
	round_trip(&f);
	cwnd = f.c.cwnd;
	f.rtt = 89 * MF_MSEC; /* an eighth of 80 ms would be 10 */
	round_trip(&f);
	assert_near(f.c.cwnd, 2.0 * cwnd, 0.001);
	f.rtt = 101 * MF_MSEC;
	for (int i = 0; i < CSS_ROUNDS; i++) {
		assert_int_equal(f.c.ssthresh, UINT32_MAX);
		cwnd = f.c.cwnd;
		round_trip(&f);
		/* The first eight ACKs of the first of these rounds still count in full. */
		assert_near(f.c.cwnd, 1.25 * cwnd, 0.1);
		assert_true(f.c.in_css);
	}
	/* Its rounds began an ACK or two after ours. */
	cwnd = f.c.cwnd;
	ack(&f, false);
	ack(&f, false);
	assert_near(f.c.ssthresh, cwnd, 0.01);
	round_trip(&f);
	assert_near(f.c.cwnd, cwnd, 0.03);
}

static void test_shorter_again_resumes_slow_start(void **state)
{
	struct flow f = flow(20 * MF_MSEC);
	uint32_t cwnd;

	(void)state;
	round_trip(&f);
	round_trip(&f);
	f.rtt = 24 * MF_MSEC; /* the least that counts is 4 ms */
	round_trip(&f);
	round_trip(&f);
	assert_true(f.c.in_css);
	f.rtt = 20 * MF_MSEC;
	round_trip(&f);
	assert_false(f.c.in_css);
	cwnd = f.c.cwnd;
	round_trip(&f);
	assert_near(f.c.cwnd, 2.0 * cwnd, 0.001);
	assert_int_equal(f.c.ssthresh, UINT32_MAX);
}

/* A loss in the middle of it: from then on slow start doubles. */
static void test_loss_ends_conservative_slow_start(void **state)
{
	struct flow f = flow(80 * MF_MSEC);
	uint32_t cwnd;

	(void)state;
	round_trip(&f);
	round_trip(&f);
	f.rtt = 101 * MF_MSEC;
	round_trip(&f);
	round_trip(&f);
	assert_true(f.c.in_css);
	mf_tcp_cubic_timeout(&f.c, f.c.cwnd);
	for (int i = 0; i < 4; i++) {
		cwnd = f.c.cwnd;
		round_trip(&f);
		assert_int_equal(f.c.cwnd, 2 * cwnd);
	}
}

/* Too few samples tell nothing: one ACK in each round. */
static void test_few_samples(void **state)
{
	struct flow f = flow(80 * MF_MSEC);

	(void)state;
	for (int i = 0; i < 7; i++) {
		f.per_ack = f.c.cwnd;
		round_trip(&f);
		f.rtt += 20 * MF_MSEC;
		assert_false(f.c.in_css);
	}
}

static void test_mss_change(void **state)
{
	struct flow f = flow(10 * MF_MSEC);

	(void)state;
	f.c.cwnd = 2 * MSS;
	f.c.ssthresh = 2 * MSS;
	mf_tcp_cubic_set_mss(&f.c, 8948);
	assert_int_equal(f.c.cwnd, 2 * 8948);
	assert_int_equal(f.c.ssthresh, 2 * 8948);
	mf_tcp_cubic_set_mss(&f.c, 536);
	assert_int_equal(f.c.cwnd, 2 * 8948);
	assert_int_equal(f.c.mss, 536);
}

/* Whatever comes in whatever order, with time that stands still or leaps. */
static void test_stays_within_bounds(void **state)
{
	struct mf_prng g = unit_prng("cubic");

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct flow f = flow(1 + mf_prng_below(&g, MF_SEC));

		for (int i = 0; i < 500; i++) {
			uint64_t what = mf_prng_below(&g, 40);
			uint32_t n = 1 + (uint32_t)mf_prng_below(
						 &g, mf_prng_below(&g, 9) ? 65536 : UINT32_MAX);

			f.una += n;
			f.now += mf_prng_below(&g, mf_prng_below(&g, 9) ? MF_SEC : 100000 * MF_SEC);
			if (what == 0)
				mf_tcp_cubic_loss(&f.c, n);
			else if (what == 1)
				mf_tcp_cubic_timeout(&f.c, n);
			else if (what == 2)
				mf_tcp_cubic_undo(&f.c);
			else if (what == 3)
				mf_tcp_cubic_idle(&f.c, mf_prng_below(&g, 10 * MF_SEC), MF_SEC);
			else if (what == 4)
				mf_tcp_cubic_set_mss(&f.c, 8 + (uint32_t)mf_prng_below(&g, 65000));
			else
				mf_tcp_cubic_acked(&f.c, n, f.una, f.una + n / 2,
						   mf_prng_below(&g, MF_SEC), f.rtt,
						   !mf_prng_below(&g, 5), f.now);
			assert_in_range(f.c.cwnd, mf_min(f.c.mss, 536), 1 << 30);
			assert_true(f.c.ssthresh >= 2 * f.c.mss);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_initial_window),
		cmocka_unit_test(test_closed_form),
		cmocka_unit_test(test_reno_friendly),
		cmocka_unit_test(test_fast_convergence),
		cmocka_unit_test(test_ssthresh_from_what_is_in_flight),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_undo),
		cmocka_unit_test(test_app_limited),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_slow_start_doubles),
		cmocka_unit_test(test_longer_round_trips_end_slow_start),
		cmocka_unit_test(test_shorter_again_resumes_slow_start),
		cmocka_unit_test(test_loss_ends_conservative_slow_start),
		cmocka_unit_test(test_few_samples),
		cmocka_unit_test(test_mss_change),
		cmocka_unit_test(test_stays_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
