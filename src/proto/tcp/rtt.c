/* SPDX-License-Identifier: Apache-2.0
 *
 * rtt - see rtt.h.
 */
#include "proto/tcp/rtt.h"

/* How long a minimum counts: between one and two of these. A path that has become longer is
 * noticed after that. */
#define MIN_WINDOW (5 * MF_SEC)

void mf_tcp_rtt_init(struct mf_tcp_rtt *r)
{
	*r = (struct mf_tcp_rtt){ .min = MF_NEVER, .min_window = { MF_NEVER, MF_NEVER } };
}

static mf_nsec smaller(mf_nsec a, mf_nsec b)
{
	return a < b ? a : b;
}

static void sample_min(struct mf_tcp_rtt *r, mf_nsec rtt, mf_nsec now)
{
	mf_nsec age = now - r->min_since;

	if (r->min == MF_NEVER || age >= 2 * MIN_WINDOW) {
		r->min_window[0] = r->min_window[1] = MF_NEVER;
		r->min_since = now;
	} else if (age >= MIN_WINDOW) {
		r->min_window[1] = r->min_window[0];
		r->min_window[0] = MF_NEVER;
		r->min_since += MIN_WINDOW;
	}
	r->min_window[0] = smaller(r->min_window[0], rtt);
	r->min = smaller(r->min_window[0], r->min_window[1]);
}

void mf_tcp_rtt_sample(struct mf_tcp_rtt *r, mf_nsec rtt, mf_nsec now)
{
	mf_nsec off;

	/* 0 would mean that there is none, and a peer can echo any timestamp it likes. */
	rtt = rtt ? smaller(rtt, MF_TCP_RTO_MAX) : 1;
	r->latest = rtt;
	r->backoff = 0;
	sample_min(r, rtt, now);
	if (!r->srtt) {
		r->srtt = rtt;
		r->rttvar = rtt / 2;
		return;
	}
	off = rtt > r->srtt ? rtt - r->srtt : r->srtt - rtt;
	r->rttvar = (3 * r->rttvar + off) / 4;
	r->srtt = (7 * r->srtt + rtt) / 8;
	if (!r->srtt)
		r->srtt = 1;
}

mf_nsec mf_tcp_rtt_rto(const struct mf_tcp_rtt *r)
{
	mf_nsec rto = MF_TCP_RTO_INIT;

	if (r->srtt)
		rto = r->srtt + (4 * r->rttvar > MF_TCP_RTO_MIN ? 4 * r->rttvar : MF_TCP_RTO_MIN);
	for (unsigned i = 0; i < r->backoff && rto < MF_TCP_RTO_MAX; i++)
		rto *= 2;
	return smaller(rto, MF_TCP_RTO_MAX);
}

void mf_tcp_rtt_backoff(struct mf_tcp_rtt *r)
{
	if (r->backoff < UINT8_MAX)
		r->backoff++;
}
