/* SPDX-License-Identifier: Apache-2.0
 *
 * timer - what happens when nothing happens. Four deadlines: of the send side (one thing at a time:
 * retransmission, tail loss probe, reordering, a closed window), of an ACK kept back, of pacing, and of
 * silence (keepalive, FIN-WAIT-2, TIME-WAIT). Setting one is a store; the owner looks at the earliest.
 */
#include "proto/tcp/internal.h"

enum {
	/* A peer that has not answered so long in FIN-WAIT-2 is asked whether it is there at all. */
	HALF_CLOSED_IDLE = 60 * 1000,
	SYN_BACKOFF_MAX = 6,
};
#define PERSIST_MAX (60 * MF_SEC)

static mf_nsec ms(uint32_t n)
{
	return n * MF_MSEC;
}

mf_nsec mf_tcp_deadline(const struct mf_tcp *c)
{
	mf_nsec a = c->xmit_at < c->ack_at ? c->xmit_at : c->ack_at;
	mf_nsec b = c->idle_at < c->pace_at ? c->idle_at : c->pace_at;

	if (c->state == MF_TCP_CLOSED)
		return MF_NEVER;
	return a < b ? a : b;
}

/* ---- the send side ---- */

static void set(struct mf_tcp *c, enum mf_tcp_xmit_kind kind, mf_nsec at)
{
	c->xmit_kind = (uint8_t)kind;
	c->xmit_at = at;
}

/* Nothing is in flight: does something wait for the peer's window? RFC 9293 3.8.6.1. */
static void set_persist(struct mf_tcp *c, bool progress, mf_nsec now)
{
	mf_nsec wait;

	if (!c->unsent || !(c->flags & MF_TCP_F_WND_LIMITED)) {
		set(c, MF_TCP_XMIT_NONE, MF_NEVER);
		return;
	}
	if (c->xmit_kind == MF_TCP_XMIT_PERSIST && !progress)
		return;
	wait = mf_tcp_rtt_rto(&c->rtt) << (c->probes < 10 ? c->probes : 10);
	wait = wait < PERSIST_MAX ? wait : PERSIST_MAX;
	set(c, MF_TCP_XMIT_PERSIST, now + (mf_nsec)mf_min(wait, ms(c->cfg.user_timeout)));
}

static void set_rto(struct mf_tcp *c, bool progress, mf_nsec now)
{
	mf_nsec rto = mf_tcp_rtt_rto(&c->rtt), at = now + rto, give_up;

	if (c->xmit_kind == MF_TCP_XMIT_RTO && !progress)
		return;
	/* After waiting for reordering the clock goes on from when the oldest was sent. */
	if (!progress && c->rec_first && c->rec_first->xmit + rto < at)
		at = c->rec_first->xmit + rto;
	give_up = c->una_since + ms(c->cfg.user_timeout);
	if (at > give_up && give_up > now)
		at = give_up;
	set(c, MF_TCP_XMIT_RTO, at);
}

void mf_tcp_restart_rto(struct mf_tcp *c, mf_nsec now)
{
	if (c->xmit_kind == MF_TCP_XMIT_RTO)
		set_rto(c, true, now);
}

static bool may_probe_tail(const struct mf_tcp *c)
{
	return c->flags & MF_TCP_F_SACK && c->recovery == MF_TCP_OPEN && !c->sacked &&
	       !(c->flags & MF_TCP_F_TLP_OUT) && c->rtt.srtt && !c->rtt.backoff;
}

void mf_tcp_set_xmit_timer(struct mf_tcp *c, bool progress, mf_nsec now)
{
	if (c->snd_una == c->snd_nxt)
		set_persist(c, progress, now);
	else if (c->xmit_kind == MF_TCP_XMIT_REORDER)
		return;
	else if (may_probe_tail(c))
		set(c, MF_TCP_XMIT_TLP, now + mf_tcp_tlp_timeout(c));
	else
		set_rto(c, progress, now);
}

static void give_up(struct mf_tcp *c)
{
	mf_tcp_emit_rst(c, c->snd_nxt, true);
	mf_tcp_end(c, MF_TCP_END_TIMEOUT);
}

/* A peer that closes its window and answers is alive, however long it lasts; otherwise what counts is how
 * long nothing has been acknowledged. */
static bool out_of_patience(const struct mf_tcp *c, mf_nsec now)
{
	mf_nsec since = c->una_since;

	if (!c->snd_wnd && c->heard > since)
		since = c->heard;
	return now - since >= ms(c->cfg.user_timeout);
}

static void syn_expired(struct mf_tcp *c, mf_nsec now)
{
	if (now - c->syn_since >= ms(c->cfg.syn_timeout)) {
		mf_tcp_end(c, MF_TCP_END_TIMEOUT);
		return;
	}
	c->flags |= MF_TCP_F_SYN_AGAIN;
	if (c->syn_backoff < SYN_BACKOFF_MAX)
		c->syn_backoff++;
	c->todo |= MF_TCP_TODO_SYN;
	set(c, MF_TCP_XMIT_NONE, MF_NEVER);
}

static void persist_expired(struct mf_tcp *c, mf_nsec now)
{
	/* una_since: when the first probe went that has had no answer. */
	if (c->heard >= c->una_since || !c->probes)
		c->una_since = now;
	if (now - c->una_since >= ms(c->cfg.user_timeout)) {
		give_up(c);
		return;
	}
	mf_count(&mf_tcp_count(c)->zero_window_probes, 1);
	c->todo |= c->snd_wnd ? MF_TCP_TODO_FORCE : MF_TCP_TODO_PROBE;
	if (c->probes < UINT8_MAX)
		c->probes++;
	set_persist(c, true, now);
}

static void xmit_expired(struct mf_tcp *c, mf_nsec now)
{
	uint8_t kind = c->xmit_kind;

	if (c->state == MF_TCP_SYN_SENT || c->state == MF_TCP_SYN_RECEIVED) {
		syn_expired(c, now);
		return;
	}
	set(c, MF_TCP_XMIT_NONE, MF_NEVER);
	switch (kind) {
	case MF_TCP_XMIT_RTO:
		if (out_of_patience(c, now)) {
			give_up(c);
			return;
		}
		mf_tcp_recover_timeout(c, now);
		set_rto(c, true, now);
		break;
	case MF_TCP_XMIT_TLP:
		c->todo |= MF_TCP_TODO_TLP;
		set_rto(c, true, now);
		break;
	case MF_TCP_XMIT_REORDER:
		mf_tcp_recover_reordered(c, now);
		mf_tcp_set_xmit_timer(c, false, now);
		break;
	case MF_TCP_XMIT_PERSIST:
		persist_expired(c, now);
		break;
	default:
		break;
	}
}

/* ---- silence ---- */

void mf_tcp_set_idle_timer(struct mf_tcp *c, mf_nsec now)
{
	uint32_t idle = c->cfg.keepalive_idle;

	if (c->state == MF_TCP_TIME_WAIT)
		idle = c->cfg.time_wait;
	else if (!idle && c->state == MF_TCP_FIN_WAIT_2)
		idle = HALF_CLOSED_IDLE;
	c->idle_at = idle ? now + ms(idle) : MF_NEVER;
}

void mf_tcp_time_wait(struct mf_tcp *c, mf_nsec now)
{
	c->state = MF_TCP_TIME_WAIT;
	set(c, MF_TCP_XMIT_NONE, MF_NEVER);
	c->pace_at = MF_NEVER;
	mf_tcp_set_idle_timer(c, now);
}

static void idle_expired(struct mf_tcp *c, mf_nsec now)
{
	uint32_t idle = c->cfg.keepalive_idle ? c->cfg.keepalive_idle : HALF_CLOSED_IDLE;

	if (c->state == MF_TCP_TIME_WAIT) {
		mf_tcp_end(c, MF_TCP_END_DONE);
		return;
	}
	/* An answer to the last probe, however long ago, was an answer. */
	if (c->heard + ms(c->cfg.keepalive_interval) >= c->idle_at)
		c->probes = 0;
	if (now < c->heard + ms(idle)) {
		c->idle_at = c->heard + ms(idle);
	} else if (c->snd_una != c->snd_nxt || c->unsent) {
		c->idle_at = now + ms(idle); /* the timer of the send side asks already */
	} else if (c->probes >= c->cfg.keepalive_count) {
		give_up(c);
	} else {
		c->probes++;
		mf_count(&mf_tcp_count(c)->keepalives, 1);
		c->todo |= MF_TCP_TODO_PROBE;
		c->idle_at = now + ms(c->cfg.keepalive_interval);
	}
}

void mf_tcp_timeout(struct mf_tcp_env *env, struct mf_tcp *c, mf_nsec now)
{
	(void)env;
	if (c->state == MF_TCP_CLOSED)
		return;
	if (now >= c->pace_at)
		c->pace_at = MF_NEVER;
	if (now >= c->ack_at) { /* no answer took it along */
		c->ack_at = MF_NEVER;
		c->pingpong = 0;
		c->todo |= MF_TCP_TODO_ACK;
	}
	if (now >= c->xmit_at)
		xmit_expired(c, now);
	if (c->state != MF_TCP_CLOSED && now >= c->idle_at)
		idle_expired(c, now);
}
