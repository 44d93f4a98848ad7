/* SPDX-License-Identifier: Apache-2.0
 *
 * output - the end of a turn: what may be sent now, first what was lost, then what is new, as far as the
 * peer's window, the congestion window and the pace allow; then an ACK, if nothing took it along and it
 * should not wait.
 */
#include "proto/tcp/internal.h"

/* A super-packet is worth waiting for if it would be smaller than this part of the window. */
enum { DEFER_PART = 4, PINGPONG_MAX = 3 };

/* Segments out of order in one turn of which the peer hears one by one: all that matters to a fast
 * retransmit; a good many blocks. */
enum { DUP_ACKS = 4, SACK_ALL = 48 };

/* ---- pace ---- */

/* How long n bytes take: twice as fast as the window says in slow start, a quarter faster afterwards, so
 * that it is the window that limits. A recovery may leave no window for a moment: a segment for each round trip
 * may go all the same. */
static mf_nsec pace_of(const struct mf_tcp *c, uint32_t n)
{
	uint64_t t = (uint64_t)n * c->rtt.srtt / mf_max(c->cubic.cwnd, c->mss);

	return c->cubic.cwnd < c->cubic.ssthresh ? t / 2 : t * 4 / 5;
}

/* Is it time? If not, the timer will tell. */
static bool on_time(struct mf_tcp *c, mf_nsec now)
{
	if (!c->cfg.pacing || c->pace_next <= now)
		return true;
	c->pace_at = c->pace_next;
	return false;
}

static void pace(struct mf_tcp *c, uint32_t n, mf_nsec now)
{
	if (!c->cfg.pacing || !c->rtt.srtt)
		return;
	/* A timer comes late by up to a tick: that much is caught up. */
	if (c->pace_next + MF_TCP_QUANTUM < now)
		c->pace_next = now - MF_TCP_QUANTUM;
	c->pace_next += pace_of(c, n);
}

/* No packet or no record is free: others have them, try again soon. */
static bool try_later(struct mf_tcp *c, mf_nsec now)
{
	c->pace_at = now + MF_TCP_QUANTUM;
	return false;
}

/* The largest super-packet: a whole number of segments, and no more than a tick's worth. */
static uint32_t chunk_size(const struct mf_tcp *c)
{
	uint32_t n = (uint32_t)mf_tcp_send_chunk(c);
	mf_nsec t;

	if (c->cfg.no_tso)
		return c->mss;
	t = c->cfg.pacing ? pace_of(c, n) : 0;
	if (t > MF_TCP_QUANTUM) {
		n = (uint32_t)(n * MF_TCP_QUANTUM / t) / c->mss * c->mss;
		n = (uint32_t)mf_max(n, 2 * (size_t)c->mss);
	}
	return n;
}

static uint32_t cwnd_room(const struct mf_tcp *c)
{
	uint32_t pipe = mf_tcp_pipe(c);

	return c->cubic.cwnd > pipe ? c->cubic.cwnd - pipe : 0;
}

static uint32_t whole(const struct mf_tcp *c, uint32_t n)
{
	return n / c->mss * c->mss;
}

/* ---- again ---- */

/* The packet that holds the byte at `off` in r. */
static const struct mf_pkt *packet_at(const struct mf_tcp_rec *r, uint32_t off)
{
	const struct mf_pkt *p = r->p;

	while (mf_seq_leq(mf_tcp_pkt_end(p), r->seq + off))
		p = p->next;
	return p;
}

/* Sends n bytes of r again, from `off` on (and the FIN, if it follows). */
static bool resend(struct mf_tcp *c, struct mf_tcp_rec *r, uint32_t off, uint32_t n, mf_nsec now)
{
	bool fin = r->flags & MF_TCP_REC_FIN && off + n == mf_tcp_rec_bytes(r);
	uint32_t seq = r->seq + off;
	struct mf_tcp_out o = { .seq = seq, .flags = MF_TCP_ACK, .len = n };

	if (n) {
		const struct mf_pkt *p = packet_at(r, off);

		o.payload = p->data + (seq - mf_tcp_pkt_seq(p));
	}
	if (n && seq + n == c->snd_end)
		o.flags |= MF_TCP_PSH;
	if (fin)
		o.flags |= MF_TCP_FIN;
	if (!mf_tcp_emit(c, &o, now))
		return try_later(c, now);
	if (!(c->flags & MF_TCP_F_RETRANS_STAMP)) {
		c->flags |= MF_TCP_F_RETRANS_STAMP;
		c->retrans_ts = mf_tcp_ts(c, now);
	}
	if (r == c->rec_first) /* it is for its ACK that the timer waits now */
		mf_tcp_restart_rto(c, now);
	r->xmit = now;
	r->flags |= MF_TCP_REC_RETRANS;
	c->undo_retrans += n + fin;
	c->prr_out += n + fin;
	c->retransmits++;
	mf_count(&mf_tcp_count(c)->retransmits, 1);
	pace(c, n, now);
	return true;
}

/* After a timeout what the peer waits for goes, even if by their age others may still be on their way
 * (RFC 6298 5.4). */
static bool must_go(const struct mf_tcp *c, const struct mf_tcp_rec *r)
{
	return !mf_tcp_pipe(c) || (c->recovery == MF_TCP_LOSS && r == c->rec_first);
}

/* How much of r may go in one segment, from `off` on, when all before it has just gone; 0: nothing. */
static uint32_t fit_lost(struct mf_tcp *c, const struct mf_tcp_rec *r, uint32_t off, uint32_t chunk)
{
	uint32_t room = cwnd_room(c), left = mf_tcp_pkt_end(packet_at(r, off)) - (r->seq + off), n;

	n = (uint32_t)mf_min(mf_min(left, mf_tcp_rec_bytes(r) - off), chunk);
	room = room > off ? room - off : 0;
	if (n <= room)
		return n;
	c->flags |= MF_TCP_F_CWND_LIMITED;
	if (whole(c, room) || off || !must_go(c, r))
		return whole(c, room);
	return (uint32_t)mf_min(n, c->mss);
}

/* As much of a lost record as may go; false: no more for now. What goes is cut off. If it cannot be, all of it
 * counts as sent, until what has been is acknowledged. */
static bool resend_lost(struct mf_tcp *c, struct mf_tcp_rec *r, uint32_t chunk, mf_nsec now)
{
	uint32_t bytes = mf_tcp_rec_bytes(r), off = 0, n = 0;
	bool sent = false;

	mf_tcp_rec_settle(r);
	do {
		if (bytes)
			n = fit_lost(c, r, off, chunk);
		if ((bytes && !n) || !on_time(c, now))
			break;
		if (!sent && n < bytes && mf_tcp_rec_split(c, r, n))
			bytes = n;
		if (!resend(c, r, off, n, now))
			break;
		sent = true;
		off += n;
	} while (off < bytes);
	if (!sent)
		return false;
	if (off < bytes) {
		r->flags |= MF_TCP_REC_PART;
		r->part = r->seq + off;
	}
	r->flags &= (uint8_t)~MF_TCP_REC_LOST;
	c->lost -= r->len;
	return off == bytes;
}

static bool send_lost(struct mf_tcp *c, uint32_t chunk, mf_nsec now)
{
	for (struct mf_tcp_rec *r = c->rec_first; r && c->lost; r = r->next)
		if (r->flags & MF_TCP_REC_LOST && !resend_lost(c, r, chunk, now))
			return false;
	return true;
}

/* ---- new ---- */

/* Something is about to go: if it is the first thing after a pause, the window is that of a new connection again
 * (RFC 5681 4.1). */
static void wake_up(struct mf_tcp *c, mf_nsec now)
{
	if (c->snd_una != c->snd_nxt)
		return;
	if (now > c->una_since)
		mf_tcp_cubic_idle(&c->cubic, now - c->una_since, mf_tcp_rtt_rto(&c->rtt));
	c->una_since = now;
}

/* n bytes of the packet that is being sent; the FIN with them if they are the last. */
static bool send_segment(struct mf_tcp *c, uint32_t n, mf_nsec now)
{
	const struct mf_pkt *p = c->unsent;
	struct mf_tcp_rec *r = mf_tcp_sndq_reserve(c);
	bool last = c->snd_nxt + n == c->snd_end;
	bool fin = last && c->flags & MF_TCP_F_FIN_QUEUED;
	struct mf_tcp_out o = {
		.seq = c->snd_nxt,
		.flags = MF_TCP_ACK,
		.payload = n ? p->data + (c->snd_nxt - mf_tcp_pkt_seq(p)) : NULL,
		.len = n,
	};

	if (!r)
		return try_later(c, now);
	if (last && n)
		o.flags |= MF_TCP_PSH;
	if (fin)
		o.flags |= MF_TCP_FIN;
	if (c->unanswered && now - c->data_at <= MF_TCP_ACK_DELAY)
		c->pingpong = (uint8_t)mf_min(c->pingpong + 1u, PINGPONG_MAX);
	c->unanswered = false;
	if (!mf_tcp_emit(c, &o, now)) {
		mf_tcp_sndq_unreserve(c, r);
		return try_later(c, now);
	}
	mf_tcp_sndq_sent(c, r, n, fin, now);
	c->prr_out += n + fin;
	c->todo &= (uint8_t)~MF_TCP_TODO_FORCE;
	pace(c, n, now);
	return true;
}

/* As much of n as the congestion window lets go. */
static uint32_t fit_cwnd(struct mf_tcp *c, uint32_t n)
{
	uint32_t room = cwnd_room(c), pipe = mf_tcp_pipe(c), most = n;

	if (n <= room)
		return n;
	c->flags |= MF_TCP_F_CWND_LIMITED;
	n = whole(c, room);
	if (!pipe)
		return n ? n : (uint32_t)mf_min(most, c->mss);
	/* An ACK will come and make more room: then it is a larger super-packet. */
	if (c->recovery == MF_TCP_OPEN && n < mf_min(most, c->cubic.cwnd / DEFER_PART))
		return 0;
	return n;
}

/* As much of n as the peer's window takes, in no silly pieces (RFC 9293 3.8.6.2.1). */
static uint32_t fit_window(struct mf_tcp *c, uint32_t n)
{
	uint32_t edge = c->snd_una + c->snd_wnd;
	uint32_t wnd = mf_seq_lt(c->snd_nxt, edge) ? edge - c->snd_nxt : 0;

	if (n <= wnd)
		return n;
	c->flags |= MF_TCP_F_WND_LIMITED;
	if (wnd >= c->mss)
		return whole(c, wnd);
	return wnd >= c->max_wnd / 2 || c->todo & MF_TCP_TODO_FORCE ? wnd : 0;
}

static void send_new(struct mf_tcp *c, uint32_t chunk, mf_nsec now)
{
	uint32_t before = c->snd_nxt;

	c->flags &= ~(uint32_t)(MF_TCP_F_CWND_LIMITED | MF_TCP_F_WND_LIMITED);
	while (c->unsent) {
		uint32_t n = mf_tcp_pkt_end(c->unsent) - c->snd_nxt;

		n = fit_window(c, (uint32_t)mf_min(n, chunk));
		if (n) {
			wake_up(c, now);
			n = fit_cwnd(c, n);
		}
		if (!n || !on_time(c, now) || !send_segment(c, n, now))
			break;
	}
	/* A FIN waits for no window: a peer that has closed its own takes it all the same. */
	if (!c->unsent &&
	    (c->flags & (MF_TCP_F_FIN_QUEUED | MF_TCP_F_FIN_SENT)) == MF_TCP_F_FIN_QUEUED) {
		wake_up(c, now);
		send_segment(c, 0, now);
	}
	/* In slow start half a window in flight is use enough (RFC 7661 4.3 in spirit). */
	if (!(c->flags & MF_TCP_F_WND_LIMITED) && c->cubic.cwnd < c->cubic.ssthresh &&
	    mf_tcp_pipe(c) >= c->cubic.cwnd / 2)
		c->flags |= MF_TCP_F_CWND_LIMITED;
	/* The tail is probed a while after something was sent, not after we last looked. */
	if (c->snd_nxt != before || c->snd_una == c->snd_nxt || c->xmit_kind == MF_TCP_XMIT_NONE)
		mf_tcp_set_xmit_timer(c, false, now);
}

/* ---- probes ---- */

/* The last segment's worth of r, which is the last record. */
static bool resend_tail(struct mf_tcp *c, struct mf_tcp_rec *r, mf_nsec now)
{
	uint32_t n = mf_tcp_rec_bytes(r);

	if (n > c->mss) {
		if (!mf_tcp_rec_split(c, r, n - c->mss))
			return false;
		r = r->next;
	}
	mf_tcp_rec_settle(r);
	n = mf_tcp_rec_bytes(r);
	if (n)
		n = (uint32_t)mf_min(n, mf_tcp_pkt_end(r->p) - r->seq);
	return resend(c, r, 0, n, now);
}

/* RFC 8985 7.3: one segment of new data if there is some, else the last one again. Whether or not it goes
 * out, the next thing to wait for is the timer. */
static void probe_tail(struct mf_tcp *c, mf_nsec now)
{
	uint32_t n = 0;

	c->todo &= (uint8_t)~MF_TCP_TODO_TLP;
	if (!c->rec_last || c->recovery != MF_TCP_OPEN)
		return;
	c->flags |= MF_TCP_F_TLP_OUT;
	if (c->unsent)
		n = fit_window(c, (uint32_t)mf_min(mf_tcp_pkt_end(c->unsent) - c->snd_nxt, c->mss));
	if (n)
		send_segment(c, n, now);
	else if (resend_tail(c, c->rec_last, now))
		c->flags |= MF_TCP_F_TLP_RETRANS;
	c->tlp_end = c->snd_nxt;
	mf_count(&mf_tcp_count(c)->tlps, 1);
}

/* What the peer has had: it must answer, and says what its window is. */
static void probe_peer(struct mf_tcp *c, mf_nsec now)
{
	struct mf_tcp_out o = { .seq = c->snd_una - 1, .flags = MF_TCP_ACK };

	if (mf_tcp_emit(c, &o, now))
		c->todo &= (uint8_t)~MF_TCP_TODO_PROBE;
	else
		try_later(c, now);
}

/* ---- ACK ---- */

static bool send_ack(struct mf_tcp *c, const struct mf_tcp_range *blocks, uint8_t n, mf_nsec now)
{
	struct mf_tcp_out o = {
		.seq = c->snd_nxt, .flags = MF_TCP_ACK, .blocks = blocks, .n_blocks = n
	};

	if (mf_tcp_emit(c, &o, now))
		return true;
	c->todo |= MF_TCP_TODO_ACK;
	return try_later(c, now);
}

/* One ACK for a turn is enough, but not if it has not room for what the peer must know about a loss: how
 * often (RFC 5681 3.2), or what has arrived (RFC 2018 3). That goes before it, from below, so that it
 * does not look as if it had been reordered. */
static void send_acks(struct mf_tcp *c, mf_nsec now)
{
	bool sack = c->flags & MF_TCP_F_SACK;
	uint8_t per = c->flags & MF_TCP_F_TS ? MF_TCP_SACK_MAX - 1 : MF_TCP_SACK_MAX, n = 0;
	uint32_t ooo = (uint32_t)mf_min(c->n_ooo, sack ? SACK_ALL : DUP_ACKS);
	const struct mf_pkt *at = sack && ooo > per ? mf_tcp_reass_from(&c->reass, ooo) : NULL;
	struct mf_tcp_range r[MF_TCP_SACK_MAX];

	c->n_ooo = 0;
	for (uint32_t k = 1; sack ? at != NULL : k < ooo; k++) {
		if (sack)
			n = mf_tcp_reass_runs(&at, r, per);
		if (!send_ack(c, r, n, now))
			return;
	}
	send_ack(c, NULL, 0, now);
}

/* Two segments are acknowledged at once (RFC 9293 3.8.6.3). A single one waits: a full one in the middle of a
 * stream for the next one, the end of a write for an answer that takes its ACK along. That one only for a
 * moment, because the peer's Nagle may be waiting for it, until answers have been quick. It saves a short
 * connection one packet of five to the app, and the work that this makes there. */
static bool ack_due(struct mf_tcp *c, mf_nsec now)
{
	uint32_t n = c->rcv_nxt - c->ack_sent;
	bool soon = c->pushed && c->pingpong < PINGPONG_MAX;

	if (!n || n >= 2u * c->rcv_mss)
		return n != 0;
	if (c->ack_at == MF_NEVER)
		c->ack_at = now + (soon ? MF_TCP_ACK_SOON : MF_TCP_ACK_DELAY);
	return false;
}

static void acknowledge(struct mf_tcp *c, bool look, mf_nsec now)
{
	if (c->todo & MF_TCP_TODO_ACK || ack_due(c, now) || (look && mf_tcp_window_update_due(c)))
		send_acks(c, now);
}

/* ---- turn ---- */

static void send_syn(struct mf_tcp *c, mf_nsec now)
{
	if (!mf_tcp_emit_syn(c, now)) {
		try_later(c, now);
		return;
	}
	c->todo &= (uint8_t)~MF_TCP_TODO_SYN;
	c->syn_at = now;
	c->xmit_kind = MF_TCP_XMIT_RTO;
	c->xmit_at = now + (MF_TCP_RTO_INIT << c->syn_backoff);
}

static bool has_data(const struct mf_tcp *c)
{
	return c->unsent || c->lost || c->todo & MF_TCP_TODO_TLP ||
	       (c->flags & (MF_TCP_F_FIN_QUEUED | MF_TCP_F_FIN_SENT)) == MF_TCP_F_FIN_QUEUED;
}

static void send_data(struct mf_tcp *c, mf_nsec now)
{
	uint32_t chunk = chunk_size(c);

	if (c->todo & MF_TCP_TODO_TLP)
		probe_tail(c, now);
	if (!c->lost || send_lost(c, chunk, now))
		send_new(c, chunk, now);
	else
		mf_tcp_set_xmit_timer(c, false, now);
}

void mf_tcp_output(struct mf_tcp_env *env, struct mf_tcp *c, mf_nsec now)
{
	bool look = c->todo & MF_TCP_TODO_TUNE;

	if (c->todo & MF_TCP_TODO_RST && mf_tcp_emit_rst(c, c->rst_seq, false))
		c->todo &= (uint8_t)~MF_TCP_TODO_RST;
	if (c->todo & MF_TCP_TODO_SYN)
		send_syn(c, now);
	if (c->state < MF_TCP_ESTABLISHED)
		return;
	(void)env;
	if (look) {
		c->todo &= (uint8_t)~MF_TCP_TODO_TUNE;
		mf_tcp_autotune(c, now);
	}
	/* Blocks have no room beside payload. */
	if (c->todo & MF_TCP_TODO_ACK && (mf_tcp_has_blocks(c) || c->n_ooo > 1))
		send_acks(c, now);
	if (mf_tcp_sends(c) && has_data(c))
		send_data(c, now);
	if (c->todo & MF_TCP_TODO_PROBE)
		probe_peer(c, now);
	if (c->todo & MF_TCP_TODO_ACK || c->rcv_nxt != c->ack_sent || look)
		acknowledge(c, look, now);
}
