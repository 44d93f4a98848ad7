/* SPDX-License-Identifier: Apache-2.0
 *
 * sndq - what was given to send, in the packets it was given in, until it is acknowledged; and the records of
 * what has been sent of it. A record is made for each segment or super-packet that goes out, and is cut
 * where an acknowledgment or a loss cuts it.
 *
 * A packet's sequence number stands in `segments`.
 */
#include "proto/tcp/internal.h"

enum {
	/* Small writes that wait share a packet. */
	COPY_MAX = 1024,
	/* Before much is known, so many bytes may be queued. */
	MIN_BUF = 128 << 10,
	/* Packet memory beyond the bytes in it. */
	SLACK = 128 << 10,
	/* IP and TCP headers, at their largest, of a super-packet: what the length field has to cover. */
	HDR_ROOM = 40 + MF_TCP_HDR_MAX,
	/* The part of the budget that is kept for those that have nothing queued. */
	RESERVE = 8,
};

/* ---- records ---- */

/* May its bytes and those that follow be one record? */
static bool extendable(const struct mf_tcp_rec *r)
{
	return r && !(r->flags & (MF_TCP_REC_SACKED | MF_TCP_REC_LOST | MF_TCP_REC_FIN));
}

struct mf_tcp_rec *mf_tcp_sndq_reserve(struct mf_tcp *c)
{
	struct mf_tcp_rec *r = mf_tcp_rec_new(c);

	if (!r && extendable(c->rec_last))
		r = c->rec_last;
	return r;
}

void mf_tcp_sndq_unreserve(struct mf_tcp *c, struct mf_tcp_rec *r)
{
	if (!r->len)
		mf_tcp_rec_free(c, r);
}

void mf_tcp_sndq_sent(struct mf_tcp *c, struct mf_tcp_rec *r, uint32_t n, bool fin, mf_nsec now)
{
	if (!r->len) {
		r->seq = c->snd_nxt;
		r->p = n ? c->unsent : NULL;
		*(c->rec_last ? &c->rec_last->next : &c->rec_first) = r;
		c->rec_last = r;
	} else {
		r->flags |= MF_TCP_REC_NO_RTT;
	}
	r->xmit = now;
	r->len += n + fin;
	if (fin) {
		r->flags |= MF_TCP_REC_FIN;
		c->flags |= MF_TCP_F_FIN_SENT;
	}
	c->snd_nxt += n + fin;
	while (c->unsent && mf_seq_leq(mf_tcp_pkt_end(c->unsent), c->snd_nxt))
		c->unsent = c->unsent->next;
}

void mf_tcp_rec_settle(struct mf_tcp_rec *r)
{
	if (!mf_tcp_rec_bytes(r)) {
		r->p = NULL;
		return;
	}
	while (mf_seq_leq(mf_tcp_pkt_end(r->p), r->seq))
		r->p = r->p->next;
}

bool mf_tcp_rec_split(struct mf_tcp *c, struct mf_tcp_rec *r, uint32_t n)
{
	struct mf_tcp_rec *rest = mf_tcp_rec_new(c);

	MF_ASSERT(n && n < r->len);
	if (!rest)
		return false;
	*rest = *r;
	rest->seq += n;
	rest->len -= n;
	mf_tcp_rec_settle(rest);
	r->len = n;
	r->flags &= (uint8_t)~MF_TCP_REC_FIN;
	r->next = rest;
	if (c->rec_last == r)
		c->rec_last = rest;
	return true;
}

/* The first n sequence numbers of the first record are there. */
static void shorten_first(struct mf_tcp *c, uint32_t n)
{
	struct mf_tcp_rec *r = c->rec_first;

	if (r->flags & MF_TCP_REC_SACKED)
		c->sacked -= n;
	if (r->flags & MF_TCP_REC_LOST)
		c->lost -= n;
	if (n < r->len) {
		r->seq += n;
		r->len -= n;
		mf_tcp_rec_settle(r);
		if (r->flags & MF_TCP_REC_PART && mf_seq_leq(r->part, r->seq)) {
			r->flags &= (uint8_t)~MF_TCP_REC_PART;
			if (!(r->flags & (MF_TCP_REC_SACKED | MF_TCP_REC_LOST)))
				mf_tcp_mark_lost(c, r);
		}
		return;
	}
	c->rec_first = r->next;
	if (!c->rec_first)
		c->rec_last = NULL;
	mf_tcp_rec_free(c, r);
}

void mf_tcp_sndq_acked(struct mf_tcp *c, uint32_t ack, struct mf_tcp_ack *a, mf_nsec now)
{
	struct mf_tcp_rec *r;
	struct mf_pkt *p;

	while ((r = c->rec_first) && mf_seq_lt(r->seq, ack)) {
		uint32_t n = (uint32_t)mf_min(ack - r->seq, r->len);

		if (!(r->flags & MF_TCP_REC_SACKED)) {
			a->delivered += n;
			mf_tcp_delivered(c, r, r->seq + n, a, now);
		}
		shorten_first(c, n);
	}
	while ((p = c->snd_first) && mf_seq_leq(mf_tcp_pkt_end(p), ack)) {
		c->snd_first = p->next;
		mf_tcp_tx_release(c, p);
	}
	if (!c->snd_first)
		c->snd_last = NULL;
	/* Karn: what came with something that was sent again may have waited for that at the peer. */
	if (a->retrans_acked)
		a->rtt_first = a->rtt_last = 0;
	a->acked = ack - c->snd_una;
	c->snd_una = ack;
}

void mf_tcp_sndq_clear(struct mf_tcp *c)
{
	struct mf_tcp_rec *r, *next_rec;
	struct mf_pkt *p, *next;

	for (r = c->rec_first; r; r = next_rec) {
		next_rec = r->next;
		mf_tcp_rec_free(c, r);
	}
	for (p = c->snd_first; p; p = next) {
		next = p->next;
		mf_tcp_tx_release(c, p);
	}
	c->rec_first = c->rec_last = NULL;
	c->snd_first = c->snd_last = c->unsent = NULL;
	c->sacked = c->lost = 0;
	c->snd_una = c->snd_end = c->snd_nxt;
}

/* ---- what is given ---- */

/* Behind what still waits, if that is a matter of few bytes. */
static bool append_copy(struct mf_tcp *c, struct mf_pkt *p)
{
	struct mf_pkt *last = c->snd_last;

	if (!last || p->len > COPY_MAX || mf_seq_lt(mf_tcp_pkt_seq(last), c->snd_nxt) ||
	    last->len + p->len > mf_tcp_send_chunk(c) || mf_pkt_tailroom(last) < p->len)
		return false;
	memcpy(last->data + last->len, p->data, p->len);
	last->len += p->len;
	c->snd_end += p->len;
	mf_pkt_free(p);
	return true;
}

void mf_tcp_send(struct mf_tcp_env *env, struct mf_tcp *c, struct mf_pkt *p)
{
	MF_ASSERT(c->state == MF_TCP_ESTABLISHED || c->state == MF_TCP_CLOSE_WAIT);
	MF_ASSERT(p->len && !(c->flags & MF_TCP_F_FIN_QUEUED));
	if (append_copy(c, p))
		return;
	c->snd_mem += (uint32_t)mf_tcp_pkt_held(p);
	env->s->tx_held += mf_tcp_pkt_held(p);
	p->next = NULL;
	p->segments = c->snd_end;
	*(c->snd_last ? &c->snd_last->next : &c->snd_first) = p;
	c->snd_last = p;
	if (!c->unsent)
		c->unsent = p;
	c->snd_end += p->len;
}

size_t mf_tcp_send_queued(const struct mf_tcp *c)
{
	return c->snd_first ? c->snd_end - c->snd_una : 0;
}

size_t mf_tcp_send_chunk(const struct mf_tcp *c)
{
	size_t n = (UINT16_MAX - HDR_ROOM) / c->mss * c->mss;

	return n ? n : c->mss;
}

size_t mf_tcp_send_room(const struct mf_tcp *c)
{
	size_t queued = mf_tcp_send_queued(c), mem, max;
	uint64_t budget = c->env ? c->env->tx_budget : 0;

	if ((c->state != MF_TCP_ESTABLISHED && c->state != MF_TCP_CLOSE_WAIT) ||
	    c->flags & MF_TCP_F_FIN_QUEUED)
		return 0;
	/* What is on its way, and as much to follow when it is acknowledged. */
	max = mf_min(mf_max(2 * (size_t)c->cubic.cwnd, MIN_BUF), c->cfg.snd_buf_max);
	mem = 2 * max + SLACK;
	if (budget && c->env->s->tx_held >= budget - budget / RESERVE) {
		if (queued)
			return 0;
		max = mf_min(max, MF_PKT_SMALL_MAX);
	}
	return c->snd_mem >= mem ? 0 : queued < max ? mf_min(max - queued, mem - c->snd_mem) : 0;
}
