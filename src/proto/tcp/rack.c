/* SPDX-License-Identifier: Apache-2.0
 *
 * rack - what must be lost because something that was sent later has arrived (RFC 8985), and the tail loss
 * probe, which makes something arrive.
 */
#include "proto/tcp/internal.h"

enum { DUP_THRESH = 3, DSACK_PERSIST = 16 };

/* So short a round trip says nothing about when the peer's process runs: an answer needs time. */
#define MIN_PTO (10 * MF_MSEC)

/* 6.2 step 4 */
static mf_nsec reordering_window(const struct mf_tcp *c)
{
	mf_nsec w;

	if (!(c->flags & MF_TCP_F_REORDERING) &&
	    (c->recovery != MF_TCP_OPEN || c->sacked >= DUP_THRESH * c->mss))
		return 0;
	if (c->rtt.min == MF_NEVER)
		return 0;
	w = c->reo_mult * (c->rtt.min / 4);
	return c->rtt.srtt && w > c->rtt.srtt ? c->rtt.srtt : w;
}

void mf_tcp_mark_lost(struct mf_tcp *c, struct mf_tcp_rec *r)
{
	r->flags |= MF_TCP_REC_LOST;
	c->lost += r->len;
}

/* 6.2 step 5. Of what was never sent again, a later one was sent later: the walk ends with the first that
 * was sent after the one that arrived. */
bool mf_tcp_rack_detect(struct mf_tcp *c, mf_nsec *wait, mf_nsec now)
{
	mf_nsec reo = reordering_window(c), due;
	bool found = false;

	*wait = MF_NEVER;
	if (!c->rack_xmit)
		return false;
	for (struct mf_tcp_rec *r = c->rec_first; r; r = r->next) {
		uint32_t end = r->seq + r->len;

		if (r->flags & (MF_TCP_REC_SACKED | MF_TCP_REC_LOST))
			continue;
		if (r->xmit > c->rack_xmit ||
		    (r->xmit == c->rack_xmit && mf_seq_leq(c->rack_end, end))) {
			if (r->flags & MF_TCP_REC_RETRANS)
				continue;
			break;
		}
		due = r->xmit + c->rack_rtt + reo;
		if (due <= now) {
			mf_tcp_mark_lost(c, r);
			found = true;
		} else if (*wait == MF_NEVER || due > *wait) {
			*wait = due;
		}
	}
	return found;
}

/* 6.2 step 4: each round trip in which something came twice, the window grows. */
void mf_tcp_rack_dsack(struct mf_tcp *c)
{
	if (c->flags & MF_TCP_F_DSACK_ROUND && mf_seq_lt(c->snd_una, c->dsack_end))
		return;
	c->flags |= MF_TCP_F_DSACK_ROUND;
	c->dsack_end = c->snd_nxt;
	c->reo_persist = DSACK_PERSIST;
	if (c->reo_mult < UINT8_MAX)
		c->reo_mult++;
}

/* 6.3, and RFC 2018 8: a peer that has let go of what it had reported is believed nothing any more. */
void mf_tcp_mark_all(struct mf_tcp *c, mf_nsec now)
{
	bool reneged = c->rec_first && c->rec_first->flags & MF_TCP_REC_SACKED;
	mf_nsec old = c->rack_rtt + reordering_window(c);

	for (struct mf_tcp_rec *r = c->rec_first; r; r = r->next) {
		if (reneged && r->flags & MF_TCP_REC_SACKED) {
			r->flags &= (uint8_t)~MF_TCP_REC_SACKED;
			c->sacked -= r->len;
		}
		if (r->flags & (MF_TCP_REC_SACKED | MF_TCP_REC_LOST))
			continue;
		if (r == c->rec_first || reneged || r->xmit + old <= now)
			mf_tcp_mark_lost(c, r);
	}
}

/* 7.2 */
mf_nsec mf_tcp_tlp_timeout(const struct mf_tcp *c)
{
	mf_nsec pto = c->rtt.srtt ? 2 * c->rtt.srtt : MF_SEC, rto = mf_tcp_rtt_rto(&c->rtt);

	if (pto < MIN_PTO)
		pto = MIN_PTO;
	if (c->snd_nxt - c->snd_una <= c->mss)
		pto += MF_TCP_TLP_ACK_DELAY;
	return pto < rto ? pto : rto;
}

/* 7.4.2: did the probe repair a loss that nobody would hear of? */
void mf_tcp_tlp_acked(struct mf_tcp *c, uint32_t ack, struct mf_tcp_ack *a)
{
	if (!(c->flags & MF_TCP_F_TLP_OUT) || mf_seq_lt(ack, c->tlp_end))
		return;
	if (c->flags & MF_TCP_F_TLP_RETRANS) {
		if (a->dsack && a->dup.end == c->tlp_end)
			; /* both arrived */
		else if (mf_seq_lt(c->tlp_end, ack))
			a->tlp_repaired = true;
		else if (a->acked || a->delivered)
			return; /* the original, or the probe: a D-SACK will tell */
	}
	c->flags &= ~(uint32_t)(MF_TCP_F_TLP_OUT | MF_TCP_F_TLP_RETRANS);
}
