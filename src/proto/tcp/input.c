/* SPDX-License-Identifier: Apache-2.0
 *
 * input - a segment arrives (RFC 9293 3.10.7): is it one that the state of the connection can take? Resets,
 * SYNs and stale segments are dealt with here, everything else goes on to ack.c and recv.c.
 */
#include "base/bucket.h"
#include "proto/tcp/internal.h"

/* A timestamp that has not moved for so long says nothing any more (RFC 7323 5.5). */
#define PAWS_OUTDATED (24 * 24 * 3600 * MF_SEC)

/* Answers to bad segments: so many at once, then one in so long. */
#define CHALLENGE_BURST    4
#define CHALLENGE_INTERVAL (125 * MF_MSEC)

/* The limit is each connection's own: one shared by all would let a stranger measure what we send to
 * others (RFC 5961 7 has it shared, Cao et al. 2016 show the hole). */
static bool may_answer(struct mf_tcp *c, mf_nsec now)
{
	if (!mf_bucket_has(c->oow_next, now, CHALLENGE_INTERVAL, CHALLENGE_BURST))
		return false;
	mf_bucket_take(&c->oow_next, now, CHALLENGE_INTERVAL);
	return true;
}

void mf_tcp_challenge(struct mf_tcp *c, mf_nsec now)
{
	if (!may_answer(c, now))
		return;
	c->todo |= MF_TCP_TODO_ACK;
	mf_count(&mf_tcp_count(c)->challenge_acks, 1);
}

/* An answer to a segment that is none of ours, so that its sender forgets it. */
static void reset_sender(struct mf_tcp *c, const struct mf_tcp_seg *s, mf_nsec now)
{
	if (s->flags & MF_TCP_RST || !may_answer(c, now))
		return;
	c->todo |= MF_TCP_TODO_RST;
	c->rst_seq = s->ack;
}

static enum mf_drop consumed(struct mf_pkt *p)
{
	mf_pkt_free(p);
	return MF_DROP_NONE;
}

/* Nothing has been answered yet: as in LISTEN, but that the SYN may come again, or a new one after the app
 * has given up and tries again. */
static enum mf_drop arrive_held(struct mf_tcp *c, const struct mf_tcp_seg *s, struct mf_pkt *p,
				mf_nsec now)
{
	if (s->flags & MF_TCP_RST) {
		if (s->seq != c->rcv_nxt)
			return MF_DROP_TCP_WINDOW;
		mf_tcp_end(c, MF_TCP_END_RESET);
		return consumed(p);
	}
	if (s->flags & MF_TCP_ACK) {
		reset_sender(c, s, now);
		return MF_DROP_TCP_STATE;
	}
	if ((s->flags & (MF_TCP_SYN | MF_TCP_FIN)) != MF_TCP_SYN)
		return MF_DROP_TCP_STATE;
	if (s->seq != c->irs)
		mf_tcp_take_syn(c, s, now);
	return consumed(p);
}

/* RFC 9293 3.10.7.3 */
static enum mf_drop arrive_syn_sent(struct mf_tcp *c, struct mf_tcp_seg *s, struct mf_pkt *p,
				    mf_nsec now)
{
	if (s->flags & MF_TCP_ACK && s->ack != c->snd_nxt) {
		reset_sender(c, s, now);
		return MF_DROP_TCP_ACK;
	}
	if (s->flags & MF_TCP_RST) {
		if (!(s->flags & MF_TCP_ACK))
			return MF_DROP_TCP_STATE;
		mf_tcp_end(c, MF_TCP_END_REFUSED);
		return consumed(p);
	}
	if (!(s->flags & MF_TCP_SYN))
		return MF_DROP_TCP_STATE;
	mf_tcp_take_syn(c, s, now);
	if (!(s->flags & MF_TCP_ACK)) {
		/* Both sides have opened at once (RFC 9293 3.5): our SYN again, with an ACK. */
		c->state = MF_TCP_SYN_RECEIVED;
		c->todo |= MF_TCP_TODO_SYN;
		return consumed(p);
	}
	c->snd_una = s->ack;
	mf_tcp_establish(c, now);
	c->todo |= MF_TCP_TODO_ACK;
	s->seq++;
	return mf_tcp_receive(c, s, p, now);
}

static uint32_t seg_end(const struct mf_tcp_seg *s)
{
	return s->seq + s->len + (s->flags & MF_TCP_SYN ? 1 : 0) + (s->flags & MF_TCP_FIN ? 1 : 0);
}

/* PAWS (RFC 7323 5.3); 3.2: once agreed on, every segment but a reset must have timestamps. */
static bool too_old(const struct mf_tcp *c, const struct mf_tcp_seg *s, mf_nsec now)
{
	if (!(c->flags & MF_TCP_F_TS) || s->flags & MF_TCP_RST)
		return false;
	if (!s->o.has_ts)
		return true;
	return mf_seq_lt(s->o.ts_val, c->ts_recent) && now - c->heard < PAWS_OUTDATED;
}

/* RFC 9293 3.10.7.4, first: the peer learns where we stand. What carries data is answered every time: it
 * was sent because an ACK of ours got lost; what does not could be an answer to ours, and so for ever. */
static enum mf_drop not_acceptable(struct mf_tcp *c, const struct mf_tcp_seg *s, enum mf_drop why,
				   mf_nsec now)
{
	if (s->flags & MF_TCP_RST)
		return why;
	if (s->flags & MF_TCP_SYN || (!s->len && !(s->flags & MF_TCP_FIN))) {
		mf_tcp_challenge(c, now);
		return why;
	}
	c->todo |= MF_TCP_TODO_ACK;
	if (mf_seq_lt(seg_end(s), c->rcv_nxt)) {
		mf_count(&mf_tcp_count(c)->dup_data, 1);
		if (c->flags & MF_TCP_F_SACK && s->len)
			c->dsack = (struct mf_tcp_range){ s->seq, s->seq + s->len };
	}
	if (c->state == MF_TCP_TIME_WAIT && s->flags & MF_TCP_FIN)
		mf_tcp_set_idle_timer(c, now);
	return why;
}

/* RFC 5961 3.2: only the very next sequence number is believed, others within the window are asked for. */
static enum mf_drop arrive_reset(struct mf_tcp *c, const struct mf_tcp_seg *s, struct mf_pkt *p,
				 mf_nsec now)
{
	enum mf_tcp_end why = MF_TCP_END_RESET;

	if (s->seq != c->rcv_nxt) {
		mf_tcp_challenge(c, now);
		return MF_DROP_TCP_WINDOW;
	}
	if (c->state == MF_TCP_SYN_RECEIVED && !(c->flags & MF_TCP_F_PASSIVE))
		why = MF_TCP_END_REFUSED;
	else if (c->state == MF_TCP_TIME_WAIT)
		why = MF_TCP_END_DONE;
	mf_tcp_end(c, why);
	return consumed(p);
}

/* What is rarely so: MF_DROP_NONE and *on, the segment is to be looked at further. */
static enum mf_drop check(struct mf_tcp *c, struct mf_tcp_seg *s, struct mf_pkt *p, mf_nsec now,
			  bool *on)
{
	*on = false;
	if (too_old(c, s, now)) {
		mf_count(&mf_tcp_count(c)->paws, 1);
		return not_acceptable(c, s, MF_DROP_TCP_PAWS, now);
	}
	if (mf_seq_lt(seg_end(s), c->rcv_nxt) || mf_seq_lt(c->rcv_adv, s->seq))
		return not_acceptable(c, s, MF_DROP_TCP_WINDOW, now);
	if (s->flags & MF_TCP_RST)
		return arrive_reset(c, s, p, now);
	if (s->flags & MF_TCP_SYN && c->state == MF_TCP_SYN_RECEIVED && s->seq == c->irs) {
		if (!(s->flags & MF_TCP_ACK)) { /* the SYN-ACK was lost */
			c->todo |= MF_TCP_TODO_SYN;
			c->flags |= MF_TCP_F_SYN_AGAIN;
			return consumed(p);
		}
		s->seq++; /* the end of a simultaneous open; its window is not scaled yet */
		s->wnd >>= c->snd_wscale;
		s->flags &= (uint8_t)~MF_TCP_SYN;
	}
	if (s->flags & MF_TCP_SYN) { /* RFC 5961 4.2 */
		mf_tcp_challenge(c, now);
		return MF_DROP_TCP_STATE;
	}
	if (!(s->flags & MF_TCP_ACK))
		return MF_DROP_TCP_ACK;
	*on = true;
	return MF_DROP_NONE;
}

/* Is it what comes nearly always: the next data, or an ACK, of an established connection? */
static bool predicted(const struct mf_tcp *c, const struct mf_tcp_seg *s)
{
	return (s->flags & (MF_TCP_ACK | MF_TCP_SYN | MF_TCP_RST)) == MF_TCP_ACK &&
	       s->seq == c->rcv_nxt && c->state >= MF_TCP_ESTABLISHED &&
	       (!(c->flags & MF_TCP_F_TS) || (s->o.has_ts && mf_seq_leq(c->ts_recent, s->o.ts_val)));
}

/* The ACK that completes the handshake; windows are scaled from here on. */
static bool complete_handshake(struct mf_tcp *c, const struct mf_tcp_seg *s, mf_nsec now)
{
	if (s->ack != c->snd_nxt) {
		reset_sender(c, s, now);
		return false;
	}
	c->snd_una = s->ack;
	c->snd_wnd = s->wnd << c->snd_wscale;
	c->max_wnd = (uint32_t)mf_max(c->max_wnd, c->snd_wnd);
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	mf_tcp_establish(c, now);
	return true;
}

static enum mf_drop arrive(struct mf_tcp *c, struct mf_tcp_seg *s, struct mf_pkt *p, mf_nsec now)
{
	enum mf_drop r;
	bool on;

	if (MF_UNLIKELY(!predicted(c, s))) {
		r = check(c, s, p, now, &on);
		if (!on)
			return r;
	}
	if (MF_UNLIKELY(c->state == MF_TCP_SYN_RECEIVED) && !complete_handshake(c, s, now))
		return MF_DROP_TCP_ACK;
	r = mf_tcp_acknowledge(c, s, now);
	if (MF_UNLIKELY(r))
		return r;
	/* RFC 7323 4.3: only of what is next in line, so that it is the oldest that we have not echoed. */
	if (c->flags & MF_TCP_F_TS && mf_seq_leq(s->seq, c->ack_sent) &&
	    (mf_seq_lt(c->ts_recent, s->o.ts_val) || now - c->heard >= PAWS_OUTDATED))
		c->ts_recent = s->o.ts_val;
	c->heard = now;
	return mf_tcp_receive(c, s, p, now);
}

enum mf_drop mf_tcp_input(struct mf_tcp_env *env, struct mf_tcp *c, struct mf_pkt *p, mf_nsec now)
{
	struct mf_tcp_seg s;

	if (c->state == MF_TCP_CLOSED)
		return MF_DROP_TCP_STATE;
	mf_count(&env->s->count.segs_in, 1);
	if (!mf_tcp_read_seg(&s, p))
		return MF_DROP_TCP_OPTIONS;
	switch (c->state) {
	case MF_TCP_SYN_HELD:
		return arrive_held(c, &s, p, now);
	case MF_TCP_SYN_SENT:
		return arrive_syn_sent(c, &s, p, now);
	default:
		return arrive(c, &s, p, now);
	}
}

bool mf_tcp_may_reuse(const struct mf_tcp *c, const struct mf_pkt *syn)
{
	struct mf_tcp_seg s;

	if (c->state != MF_TCP_TIME_WAIT || !mf_tcp_read_seg(&s, syn) ||
	    (s.flags & (MF_TCP_SYN | MF_TCP_ACK | MF_TCP_RST | MF_TCP_FIN)) != MF_TCP_SYN)
		return false;
	/* RFC 6191 2: timestamps tell even where sequence numbers do not. */
	if (c->flags & MF_TCP_F_TS && s.o.has_ts && s.o.ts_val != c->ts_recent)
		return mf_seq_lt(c->ts_recent, s.o.ts_val);
	return mf_seq_lt(c->rcv_nxt, s.seq);
}
