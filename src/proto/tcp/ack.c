/* SPDX-License-Identifier: Apache-2.0
 *
 * ack - what a segment says about what we have sent: how far the peer has it, and how much more it takes
 * (RFC 9293 3.10.7.4, fifth).
 */
#include "proto/tcp/internal.h"

/* RFC 9293: only what is newer than the last update counts, so that an old segment closes no window. */
static bool take_window(struct mf_tcp *c, const struct mf_tcp_seg *s)
{
	uint32_t wnd = s->wnd << c->snd_wscale, old = c->snd_wnd;

	if (s->ack == c->snd_una && mf_seq_lt(s->seq, c->snd_wl1))
		return false;
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	if (MF_LIKELY(wnd == old))
		return false;
	c->snd_wnd = wnd;
	if (wnd > c->max_wnd)
		c->max_wnd = wnd;
	return true;
}

/* A sample of the round trip: of a segment that was sent once, or else by the timestamp echoed. */
static void sample_rtt(struct mf_tcp *c, const struct mf_tcp_ack *a, mf_nsec now)
{
	uint32_t ms;

	if (a->rtt_first) {
		mf_tcp_rtt_sample(&c->rtt, a->rtt_first, now);
	} else if (a->acked && a->has_ts && a->ts_ecr) {
		ms = mf_tcp_ts(c, now) - a->ts_ecr;
		if (ms <= MF_TCP_RTO_MAX / MF_MSEC)
			mf_tcp_rtt_sample(&c->rtt, mf_max(ms, 1) * MF_MSEC, now);
	}
}

/* Our FIN has arrived. */
static void fin_acked(struct mf_tcp *c, mf_nsec now)
{
	switch (c->state) {
	case MF_TCP_FIN_WAIT_1:
		c->state = MF_TCP_FIN_WAIT_2;
		mf_tcp_set_idle_timer(c, now);
		break;
	case MF_TCP_CLOSING:
		mf_tcp_time_wait(c, now);
		break;
	case MF_TCP_LAST_ACK:
		mf_tcp_end(c, MF_TCP_END_DONE);
		break;
	default:
		break;
	}
}

static void acked(struct mf_tcp *c, struct mf_tcp_ack *a, mf_nsec now)
{
	if (a->acked) {
		c->una_since = now;
		c->probes = 0;
		c->events |= MF_TCP_EV_ROOM;
	}
	sample_rtt(c, a, now);
	mf_tcp_tlp_acked(c, c->snd_una, a);
	mf_tcp_recover(c, a, now);
	mf_tcp_set_xmit_timer(c, a->acked != 0, now);
	if (MF_UNLIKELY(c->flags & MF_TCP_F_FIN_SENT) && c->snd_una == c->snd_nxt)
		fin_acked(c, now);
}

enum mf_drop mf_tcp_acknowledge(struct mf_tcp *c, const struct mf_tcp_seg *s, mf_nsec now)
{
	struct mf_tcp_ack a;
	bool update, flying = c->snd_una != c->snd_nxt;

	/* RFC 5961 5.2 */
	if (MF_UNLIKELY(mf_seq_lt(c->snd_nxt, s->ack) || mf_seq_lt(s->ack, c->snd_una - c->max_wnd))) {
		mf_tcp_challenge(c, now);
		return MF_DROP_TCP_ACK;
	}
	if (mf_seq_lt(s->ack, c->snd_una))
		return MF_DROP_NONE;
	update = take_window(c, s);
	if (!flying && !s->o.n_sack) { /* we are only listening */
		if (update)
			mf_tcp_set_xmit_timer(c, true, now);
		return MF_DROP_NONE;
	}
	a = (struct mf_tcp_ack){
		.fack = c->fack,
		.has_ts = c->flags & MF_TCP_F_TS && s->o.has_ts,
		.ts_ecr = s->o.has_ts ? s->o.ts_ecr : 0,
		.dup_ack = s->ack == c->snd_una && !s->len && !update && flying &&
			   !(s->flags & MF_TCP_FIN),
	};
	if (s->ack != c->snd_una)
		mf_tcp_sndq_acked(c, s->ack, &a, now);
	if (s->o.n_sack && c->flags & MF_TCP_F_SACK)
		mf_tcp_sack(c, s, &a, now);
	acked(c, &a, now);
	return MF_DROP_NONE;
}
