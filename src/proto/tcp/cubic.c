/* SPDX-License-Identifier: Apache-2.0
 *
 * cubic - see cubic.h. The RFC counts in segments and seconds; here are bytes and microseconds, in
 * integers: what a division leaves over is kept, so that many small ACKs do what a large one does.
 *
 * HyStart++'s limit L on what one ACK may add in slow start is not applied (RFC 9406 4.2 wants none with
 * pacing): our ACKs come for super-packets, and bursts are bounded where they are sent.
 */
#include "proto/tcp/cubic.h"

/* RFC 9438: beta 0.7, C 0.4. RFC 9406 4.3. */
enum {
	BETA_NUM = 7,
	BETA_DEN = 10,
	C_NUM = 4,
	C_DEN = 10,
	N_RTT_SAMPLE = 8,
	MIN_RTT_DIVISOR = 8,
	CSS_GROWTH_DIVISOR = 4,
	CSS_ROUNDS = 5,
};
#define MIN_RTT_THRESH (4 * MF_MSEC)
#define MAX_RTT_THRESH (16 * MF_MSEC)

/* No window that a peer can offer is larger (RFC 7323 2.3). */
#define CWND_MAX ((uint32_t)1 << 30)

/* Microseconds: cubes of longer times are of no use, the result is clamped anyway. */
#define T_MAX ((int64_t)1000 * 1000 * 1000)

#define CUBE_OF_SECOND ((__int128)1000000000 * 1000000000) /* in microseconds */

static uint32_t initial_window(uint32_t mss)
{
	return (uint32_t)mf_min(10 * (size_t)mss, mf_max(2 * (size_t)mss, 14600));
}

void mf_tcp_cubic_init(struct mf_tcp_cubic *c, uint32_t mss)
{
	*c = (struct mf_tcp_cubic){
		.cwnd = initial_window(mss),
		.ssthresh = UINT32_MAX,
		.mss = mss,
		.round_min_rtt = MF_NEVER,
		.last_round_min_rtt = MF_NEVER,
		.css_baseline = MF_NEVER,
	};
}

/* ---- slow start (RFC 9406) ---- */

static void begin_round(struct mf_tcp_cubic *c, uint32_t nxt)
{
	c->last_round_min_rtt = c->round_min_rtt;
	c->round_min_rtt = MF_NEVER;
	c->rtt_samples = 0;
	c->round_end = nxt;
	c->round_valid = true;
}

/* An eighth of the round trip, within limits: so much longer, and a queue is building up. */
static mf_nsec threshold(mf_nsec rtt)
{
	mf_nsec t = rtt / MIN_RTT_DIVISOR;

	t = t > MIN_RTT_THRESH ? t : MIN_RTT_THRESH;
	return t < MAX_RTT_THRESH ? t : MAX_RTT_THRESH;
}

/* Slow down when the round trip has become longer; speed up again when that was by chance. */
static void judge_round(struct mf_tcp_cubic *c)
{
	if (c->rtt_samples < N_RTT_SAMPLE)
		return;
	if (c->in_css) {
		if (c->round_min_rtt < c->css_baseline) {
			c->in_css = false;
			c->css_baseline = MF_NEVER;
		}
	} else if (c->last_round_min_rtt != MF_NEVER &&
		   c->round_min_rtt >= c->last_round_min_rtt + threshold(c->last_round_min_rtt)) {
		c->in_css = true;
		c->css_rounds = 0;
		c->css_baseline = c->round_min_rtt;
	}
}

static void hystart(struct mf_tcp_cubic *c, uint32_t una, uint32_t nxt, mf_nsec rtt)
{
	if (!c->round_valid)
		begin_round(c, nxt);
	if (rtt) {
		c->round_min_rtt = rtt < c->round_min_rtt ? rtt : c->round_min_rtt;
		if (c->rtt_samples < N_RTT_SAMPLE)
			c->rtt_samples++;
	}
	judge_round(c);
	if ((int32_t)(una - c->round_end) < 0)
		return;
	if (c->in_css && ++c->css_rounds >= CSS_ROUNDS) {
		c->in_css = false;
		c->ssthresh = c->cwnd;
	}
	begin_round(c, nxt);
}

/* Returns how many of the n bytes are left for congestion avoidance. */
static uint32_t slow_start(struct mf_tcp_cubic *c, uint32_t n)
{
	uint32_t room = c->ssthresh - c->cwnd, grow = c->in_css ? n / CSS_GROWTH_DIVISOR : n;

	if (grow < room) {
		c->cwnd = (uint32_t)mf_min((size_t)c->cwnd + grow, CWND_MAX);
		return 0;
	}
	c->cwnd = c->ssthresh;
	return n - room;
}

/* ---- congestion avoidance (RFC 9438 4.2 to 4.5) ---- */

/* Largest r with r^3 <= x, for x < 2^96. */
static uint32_t cube_root(unsigned __int128 x)
{
	uint32_t r = 0;

	for (uint32_t bit = (uint32_t)1 << 31; bit; bit >>= 1) {
		unsigned __int128 t = r | bit;

		if (t * t * t <= x)
			r |= bit;
	}
	return r;
}

static void begin_curve(struct mf_tcp_cubic *c, mf_nsec now)
{
	struct mf_tcp_cubic_curve *v = &c->curve;

	v->start = now ? now : 1;
	v->w_est = (uint64_t)c->cwnd << 16;
	c->rest = 0;
	if (v->w_max > c->cwnd) {
		unsigned __int128 below = v->w_max - c->cwnd;

		v->k = MF_USEC * cube_root(below * C_DEN * CUBE_OF_SECOND / (C_NUM * c->mss));
	} else {
		v->w_max = c->cwnd;
		v->k = 0;
	}
}

/* C (t - K)^3 + W_max */
static uint32_t w_cubic(const struct mf_tcp_cubic *c, mf_nsec t)
{
	int64_t d = (int64_t)(t / MF_USEC) - (int64_t)(c->curve.k / MF_USEC);
	__int128 w;

	d = d < -T_MAX ? -T_MAX : d > T_MAX ? T_MAX : d;
	w = c->curve.w_max + (__int128)d * d * d * C_NUM * c->mss / (C_DEN * CUBE_OF_SECOND);
	return w < 0 ? 0 : w > CWND_MAX ? CWND_MAX : (uint32_t)w;
}

/* 4.3: alpha is 3 (1 - beta) / (1 + beta) = 9/17 until what was lost has been won back, then 1. */
static void reno_grows(struct mf_tcp_cubic *c, uint32_t n)
{
	uint64_t grow = ((uint64_t)n * c->mss << 16) / c->cwnd;

	if (c->curve.w_est >> 16 < c->curve.cwnd_prior)
		grow = grow * 9 / 17;
	c->curve.w_est += grow;
	if (c->curve.w_est > (uint64_t)CWND_MAX << 16)
		c->curve.w_est = (uint64_t)CWND_MAX << 16;
}

static void avoid_congestion(struct mf_tcp_cubic *c, uint32_t n, mf_nsec srtt, mf_nsec now)
{
	uint32_t cwnd = c->cwnd, target, est;
	uint64_t sum;
	mf_nsec t;

	if (!c->curve.start)
		begin_curve(c, now);
	t = now > c->curve.start ? now - c->curve.start : 0;
	n = (uint32_t)mf_min(n, cwnd);
	reno_grows(c, n);
	est = (uint32_t)(c->curve.w_est >> 16);
	if (w_cubic(c, t) < est) {
		c->cwnd = (uint32_t)mf_max(cwnd, est);
		return;
	}
	target = (uint32_t)mf_min(w_cubic(c, t + srtt), (size_t)cwnd + cwnd / 2);
	if (target <= cwnd)
		return;
	sum = c->rest + (uint64_t)(target - cwnd) * n;
	c->cwnd = (uint32_t)mf_min(cwnd + sum / cwnd, CWND_MAX);
	c->rest = (uint32_t)(sum % cwnd);
}

/* ---- events ---- */

void mf_tcp_cubic_acked(struct mf_tcp_cubic *c, uint32_t n, uint32_t una, uint32_t nxt, mf_nsec rtt,
			mf_nsec srtt, bool limited, mf_nsec now)
{
	mf_nsec since = now > c->last_acked ? now - c->last_acked : 0;

	c->last_acked = now;
	n = (uint32_t)mf_min(n, CWND_MAX);
	if (c->ssthresh == UINT32_MAX)
		hystart(c, una, nxt, rtt);
	if (limited) {
		/* Time in which nothing was asked of the path does not count on the curve. */
		if (c->curve.start)
			c->curve.start += since;
		return;
	}
	if (c->cwnd < c->ssthresh)
		n = slow_start(c, n);
	if (n)
		avoid_congestion(c, n, srtt, now);
}

void mf_tcp_cubic_loss(struct mf_tcp_cubic *c, uint32_t in_flight)
{
	struct mf_tcp_cubic_curve *v = &c->curve;
	uint64_t flight = mf_min(in_flight, c->cwnd);

	c->undo_cwnd = c->cwnd;
	c->undo_ssthresh = c->ssthresh;
	c->undo_curve = *v;
	c->can_undo = true;
	/* 4.7: a flow that has less than before leaves room for those that have come since. */
	v->w_max = c->cwnd < v->w_max
			   ? (uint32_t)((uint64_t)c->cwnd * (BETA_DEN + BETA_NUM) / (2 * BETA_DEN))
			   : c->cwnd;
	v->cwnd_prior = c->cwnd;
	v->start = 0;
	c->in_css = false; /* only the first slow start feels its way */
	c->ssthresh = (uint32_t)mf_max(flight * BETA_NUM / BETA_DEN, 2 * (size_t)c->mss);
}

void mf_tcp_cubic_timeout(struct mf_tcp_cubic *c, uint32_t in_flight)
{
	if (c->cwnd <= c->mss)
		return;
	mf_tcp_cubic_loss(c, in_flight);
	/* 4.8: the next curve begins where slow start ends, with K 0. */
	c->curve.w_max = 0;
	c->cwnd = c->mss;
}

void mf_tcp_cubic_undo(struct mf_tcp_cubic *c)
{
	if (!c->can_undo)
		return;
	c->can_undo = false;
	c->cwnd = (uint32_t)mf_max(c->cwnd, c->undo_cwnd);
	c->ssthresh = (uint32_t)mf_max(c->undo_ssthresh, 2 * (size_t)c->mss);
	c->curve = c->undo_curve;
	c->rest = 0;
	c->round_valid = false;
}

void mf_tcp_cubic_idle(struct mf_tcp_cubic *c, mf_nsec idle, mf_nsec rto)
{
	uint32_t restart = initial_window(c->mss);

	c->last_acked += idle;
	if (c->curve.start)
		c->curve.start += idle;
	if (idle <= rto || c->cwnd <= restart)
		return;
	if (c->ssthresh != UINT32_MAX)
		c->ssthresh = (uint32_t)mf_max(c->ssthresh, c->cwnd / 4 * 3);
	c->cwnd = restart;
	c->curve.start = 0;
	c->round_valid = false;
}

void mf_tcp_cubic_set_mss(struct mf_tcp_cubic *c, uint32_t mss)
{
	c->mss = mss;
	c->cwnd = (uint32_t)mf_max(c->cwnd, 2 * (size_t)mss);
	c->ssthresh = (uint32_t)mf_max(c->ssthresh, 2 * (size_t)mss);
}
