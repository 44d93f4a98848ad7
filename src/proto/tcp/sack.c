/* SPDX-License-Identifier: Apache-2.0
 *
 * sack - the scoreboard: which records the peer says it has (RFC 2018), what came twice (RFC 2883), and
 * what a delivery says about the path.
 */
#include "proto/tcp/internal.h"

static bool sent_after(mf_nsec xmit, uint32_t end, mf_nsec than, uint32_t than_end)
{
	return xmit > than || (xmit == than && mf_seq_lt(than_end, end));
}

/* RFC 8985 6.2, steps 1 to 3. */
void mf_tcp_delivered(struct mf_tcp *c, const struct mf_tcp_rec *r, uint32_t end,
		      struct mf_tcp_ack *a, mf_nsec now)
{
	mf_nsec rtt = now > r->xmit ? now - r->xmit : 1;

	if (r->flags & MF_TCP_REC_RETRANS) {
		a->retrans_acked = true;
		/* It may be the first one that arrived. (A SACK comes with the echo of something older.) */
		if (rtt < c->rtt.min || (a->has_ts && !(r->flags & MF_TCP_REC_SACKED) &&
					 mf_seq_lt(a->ts_ecr, mf_tcp_ts(c, r->xmit))))
			return;
	} else {
		if (!(r->flags & MF_TCP_REC_NO_RTT)) {
			if (!a->rtt_first)
				a->rtt_first = rtt;
			a->rtt_last = rtt;
		}
		if (mf_seq_lt(end, a->fack))
			c->flags |= MF_TCP_F_REORDERING;
	}
	c->fack = mf_seq_max(c->fack, end);
	if (sent_after(r->xmit, end, c->rack_xmit, c->rack_end)) {
		c->rack_xmit = r->xmit;
		c->rack_end = end;
		c->rack_rtt = rtt;
	}
}

/* One record less, where two neighbours have both arrived. */
static void merge_next(struct mf_tcp *c, struct mf_tcp_rec *r)
{
	struct mf_tcp_rec *next = r->next;

	if (!next || !(r->flags & next->flags & MF_TCP_REC_SACKED))
		return;
	r->len += next->len;
	r->flags |= next->flags | MF_TCP_REC_NO_RTT;
	r->xmit = mf_max(r->xmit, next->xmit);
	r->next = next->next;
	if (c->rec_last == next)
		c->rec_last = r;
	mf_tcp_rec_free(c, next);
}

/* The peer has [b.start, b.end). */
static void mark(struct mf_tcp *c, struct mf_tcp_range b, struct mf_tcp_ack *a, mf_nsec now)
{
	struct mf_tcp_rec *r, *prev = NULL;

	for (r = c->rec_first; r && mf_seq_lt(r->seq, b.end); prev = r, r = r->next) {
		uint32_t end = r->seq + r->len;

		if (r->flags & MF_TCP_REC_SACKED || mf_seq_leq(end, b.start))
			continue;
		if (mf_seq_lt(r->seq, b.start)) {
			/* Without a record to cut with, it counts as not there. */
			mf_tcp_rec_split(c, r, b.start - r->seq);
			continue;
		}
		if (mf_seq_lt(b.end, end) && !mf_tcp_rec_split(c, r, b.end - r->seq))
			return;
		if (r->flags & MF_TCP_REC_LOST)
			c->lost -= r->len;
		r->flags = (uint8_t)((r->flags & ~MF_TCP_REC_LOST) | MF_TCP_REC_SACKED);
		c->sacked += r->len;
		a->delivered += r->len;
		mf_tcp_delivered(c, r, r->seq + r->len, a, now);
		merge_next(c, r);
		if (prev && prev->flags & MF_TCP_REC_SACKED) {
			merge_next(c, prev);
			r = prev;
		}
	}
}

/* RFC 2883 4: the first block is of what came twice if it is acknowledged already or lies in the second. */
static bool is_dsack(const struct mf_tcp_seg *s)
{
	const struct mf_tcp_range *b = s->o.sack;

	if (mf_seq_lt(b[0].start, s->ack))
		return mf_seq_lt(b[0].start, b[0].end);
	return s->o.n_sack > 1 && mf_seq_leq(b[1].start, b[0].start) &&
	       mf_seq_leq(b[0].end, b[1].end);
}

void mf_tcp_sack(struct mf_tcp *c, const struct mf_tcp_seg *s, struct mf_tcp_ack *a, mf_nsec now)
{
	uint8_t i = 0;

	if (is_dsack(s)) {
		a->dsack = true;
		a->dup = s->o.sack[0];
		i = 1;
	}
	for (; i < s->o.n_sack; i++) {
		struct mf_tcp_range b = s->o.sack[i];

		if (mf_seq_lt(b.start, b.end) && mf_seq_leq(c->snd_una, b.start) &&
		    mf_seq_leq(b.end, c->snd_nxt))
			mark(c, b, a, now);
	}
}
