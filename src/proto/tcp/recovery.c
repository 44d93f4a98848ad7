/* SPDX-License-Identifier: Apache-2.0
 *
 * recovery - from the moment a loss is known until it is repaired: how much may be sent meanwhile
 * (PRR, RFC 9937), and taking it all back if nothing had been lost (D-SACK, RFC 3708; Eifel, RFC 3522).
 */
#include "proto/tcp/internal.h"

enum { DUP_THRESH = 3 };

static void begin_episode(struct mf_tcp *c, uint8_t kind)
{
	c->recovery = kind;
	c->recover = c->snd_nxt;
	c->prr_delivered = c->prr_out = 0;
	c->prr_flight = c->snd_nxt - c->snd_una;
	c->undo_retrans = 0;
	c->flags |= MF_TCP_F_UNDO;
	c->flags &= ~(uint32_t)(MF_TCP_F_RETRANS_STAMP | MF_TCP_F_TLP_OUT | MF_TCP_F_TLP_RETRANS);
}

static void enter(struct mf_tcp *c)
{
	mf_count(&mf_tcp_count(c)->fast_recoveries, 1);
	mf_tcp_cubic_loss(&c->cubic, c->snd_nxt - c->snd_una);
	begin_episode(c, MF_TCP_RECOVERY);
}

static void leave(struct mf_tcp *c)
{
	if (c->recovery == MF_TCP_RECOVERY)
		c->cubic.cwnd = c->cubic.ssthresh;
	c->recovery = MF_TCP_OPEN;
	c->dup_acks = 0;
	if (!(c->flags & MF_TCP_F_SACK))
		c->sacked = 0;
	if (c->reo_persist && !--c->reo_persist)
		c->reo_mult = 1;
}

static void undo(struct mf_tcp *c)
{
	for (struct mf_tcp_rec *r = c->rec_first; r; r = r->next)
		r->flags &= (uint8_t)~MF_TCP_REC_LOST;
	c->lost = 0;
	mf_count(&mf_tcp_count(c)->undos, 1);
	mf_tcp_cubic_undo(&c->cubic);
	c->recovery = MF_TCP_OPEN;
	c->flags &= ~(uint32_t)MF_TCP_F_UNDO;
}

/* Was what was sent again needed? */
static void try_undo(struct mf_tcp *c, const struct mf_tcp_ack *a)
{
	if (a->dsack) {
		uint32_t n = a->dup.end - a->dup.start;

		mf_tcp_rack_dsack(c);
		if (!(c->flags & MF_TCP_F_UNDO) || !c->undo_retrans)
			return;
		c->undo_retrans -= (uint32_t)mf_min(n, c->undo_retrans);
		if (!c->undo_retrans)
			undo(c);
	} else if (c->flags & MF_TCP_F_UNDO && c->flags & MF_TCP_F_RETRANS_STAMP && a->acked &&
		   a->retrans_acked && a->has_ts && mf_seq_lt(a->ts_ecr, c->retrans_ts)) {
		undo(c);
	}
}

static void prr(struct mf_tcp *c, const struct mf_tcp_ack *a)
{
	uint32_t pipe = mf_tcp_pipe(c), ssthresh = c->cubic.ssthresh;
	int64_t n;

	if (!a->delivered && c->prr_out) /* an ACK that says nothing new takes nothing away */
		return;
	c->prr_delivered += a->delivered;
	if (pipe > ssthresh) {
		uint64_t flight = mf_max(c->prr_flight, 1);

		n = (int64_t)(((uint64_t)c->prr_delivered * ssthresh + flight - 1) / flight) -
		    c->prr_out;
	} else {
		n = (int64_t)c->prr_delivered - c->prr_out;
		if (n < a->delivered)
			n = a->delivered;
		if (a->acked && !a->found_loss)
			n += c->mss;
		if (n > ssthresh - pipe)
			n = ssthresh - pipe;
	}
	if (!c->prr_out && n < c->mss) /* the first retransmission goes at once */
		n = c->mss;
	c->cubic.cwnd = pipe + (n > 0 ? (uint32_t)n : 0);
}

/* ---- without SACK: NewReno (RFC 6582) ---- */

/* Each duplicate ACK says that a segment has arrived, not which. */
static void guess_arrived(struct mf_tcp *c, struct mf_tcp_ack *a)
{
	uint32_t max = c->snd_nxt - c->snd_una - c->lost;

	max -= (uint32_t)mf_min(max, c->mss);
	if (c->dup_acks < UINT8_MAX)
		c->dup_acks++;
	a->delivered += c->mss;
	c->sacked = (uint32_t)mf_min(c->sacked + c->mss, max);
}

static void mark_first(struct mf_tcp *c)
{
	struct mf_tcp_rec *r = c->rec_first;
	uint32_t room;

	if (!r || r->flags & MF_TCP_REC_LOST)
		return;
	if (r->len > c->mss)
		mf_tcp_rec_split(c, r, c->mss);
	room = c->snd_nxt - c->snd_una - c->lost;
	c->sacked = (uint32_t)mf_min(c->sacked, room - mf_min(room, r->len));
	mf_tcp_mark_lost(c, r);
}

static void detect_newreno(struct mf_tcp *c, struct mf_tcp_ack *a)
{
	if (a->dup_ack) {
		guess_arrived(c, a);
		if (c->dup_acks == DUP_THRESH && c->recovery == MF_TCP_OPEN) {
			mark_first(c);
			a->found_loss = true;
		}
	} else if (a->acked) {
		c->dup_acks = 0;
		c->sacked -= (uint32_t)mf_min(c->sacked, a->acked);
		c->sacked = (uint32_t)mf_min(c->sacked, c->snd_nxt - c->snd_una - c->lost);
		if (c->recovery == MF_TCP_RECOVERY) /* a partial ACK: the next hole begins here */
			mark_first(c);
		else
			c->sacked = 0;
	}
}

/* ---- events ---- */

void mf_tcp_recover(struct mf_tcp *c, struct mf_tcp_ack *a, mf_nsec now)
{
	mf_nsec wait = MF_NEVER;
	bool was_open = c->recovery == MF_TCP_OPEN;

	try_undo(c, a);
	if (c->recovery != MF_TCP_OPEN && mf_seq_leq(c->recover, c->snd_una))
		leave(c);
	if (c->flags & MF_TCP_F_SACK)
		a->found_loss = mf_tcp_rack_detect(c, &wait, now);
	else
		detect_newreno(c, a);
	if (c->lost && c->recovery == MF_TCP_OPEN)
		enter(c);
	else if (a->tlp_repaired && c->recovery == MF_TCP_OPEN) {
		mf_tcp_cubic_loss(&c->cubic, c->snd_nxt - c->snd_una + a->acked);
		c->cubic.cwnd = c->cubic.ssthresh;
	}
	if (c->recovery == MF_TCP_RECOVERY)
		prr(c, a);
	else if (a->acked && (was_open || c->recovery == MF_TCP_LOSS))
		mf_tcp_cubic_acked(&c->cubic, a->acked, c->snd_una, c->snd_nxt, a->rtt_last,
				   c->rtt.srtt, !(c->flags & MF_TCP_F_CWND_LIMITED), now);
	if (wait != MF_NEVER) {
		c->xmit_kind = MF_TCP_XMIT_REORDER;
		c->xmit_at = wait;
	} else if (c->xmit_kind == MF_TCP_XMIT_REORDER) {
		c->xmit_kind = MF_TCP_XMIT_NONE;
	}
}

void mf_tcp_recover_reordered(struct mf_tcp *c, mf_nsec now)
{
	mf_nsec wait;

	mf_tcp_rack_detect(c, &wait, now);
	if (c->lost && c->recovery == MF_TCP_OPEN) {
		struct mf_tcp_ack none = { 0 };

		enter(c);
		prr(c, &none);
	}
	c->xmit_kind = wait == MF_NEVER ? MF_TCP_XMIT_NONE : MF_TCP_XMIT_REORDER;
	c->xmit_at = wait;
}

void mf_tcp_recover_timeout(struct mf_tcp *c, mf_nsec now)
{
	bool again = c->recovery == MF_TCP_LOSS;

	mf_count(&mf_tcp_count(c)->rtos, 1);
	mf_tcp_cubic_timeout(&c->cubic, c->snd_nxt - c->snd_una);
	c->cubic.cwnd = c->mss;
	if (!again) /* what a second timeout sends again is of the same episode */
		begin_episode(c, MF_TCP_LOSS);
	c->recover = c->snd_nxt;
	c->dup_acks = 0;
	if (!(c->flags & MF_TCP_F_SACK))
		c->sacked = 0;
	mf_tcp_mark_all(c, now);
	mf_tcp_rtt_backoff(&c->rtt);
}

void mf_tcp_recover_mtu(struct mf_tcp *c)
{
	for (struct mf_tcp_rec *r = c->rec_first; r; r = r->next)
		if (!(r->flags & (MF_TCP_REC_SACKED | MF_TCP_REC_LOST)) &&
		    mf_tcp_rec_bytes(r) > c->mss)
			mf_tcp_mark_lost(c, r);
	if (!(c->flags & MF_TCP_F_SACK)) /* a guess, which may count what is now known to be lost */
		c->sacked = 0;
	if (!c->lost || c->recovery != MF_TCP_OPEN)
		return;
	begin_episode(c, MF_TCP_LOSS);
	c->flags &= ~(uint32_t)MF_TCP_F_UNDO;
}
