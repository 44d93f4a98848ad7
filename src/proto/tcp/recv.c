/* SPDX-License-Identifier: Apache-2.0
 *
 * recv - payload that came in: in order, in the packets it came in, until the reader is done with it; and
 * the window, which is what we promise to take. Memory is counted in packets, windows in bytes.
 *
 * A promise cannot be taken back. So the windows of those whose readers lag come out of the budget,
 * too: what they may still be sent is counted twice and with a packet more for each of them, because
 * packets may be half empty. The windows of those that hold nothing do not count: they are idle, or
 * quick, and there may be thousands.
 */
#include "proto/tcp/internal.h"

enum {
	/* Windows are opened in steps of so much at least, or of a quarter of the buffer. */
	UPDATE_STEP = 128 << 10,
	/* Payload that may be copied for the sake of memory. */
	COPY_MAX = 16 << 10,
	/* Packet memory that may be wasted before payload is copied. */
	SLACK = 64 << 10,
	/* How far the right edge may creep when it is rounded up to what the scale can say. */
	CREEP = 64 << 10,
	/* The part of the budget that is kept for those that hold nothing. */
	RESERVE = 8,
	/* The part of the budget that is not promised: for windows that do not count. */
	UNPROMISED = 4,
	/* The window of who holds nothing, when memory is scarce. */
	FREE_WINDOW = 64 << 10,
	/* One connection gets such a part of what may still be promised. */
	SHARE = 4,
};

/* ---- memory ---- */

static bool scarce(const struct mf_tcp *c)
{
	uint64_t budget = c->env->rx_budget;

	return budget && c->env->s->rx_held > budget / 2;
}

/* Half of what scarcity means: packets are filled then before new ones are kept. */
static bool crowded(const struct mf_tcp *c)
{
	uint64_t budget = c->env->rx_budget;

	return budget && c->env->s->rx_held > budget / 4;
}

/* The memory that so many bytes may take. */
static uint64_t cost(uint32_t due)
{
	return due ? 2 * (uint64_t)due + MF_PKT_LARGE_MAX : 0;
}

static void owe(struct mf_tcp *c, uint32_t due)
{
	c->env->s->rx_due += cost(due);
	c->env->s->rx_due -= cost(c->rcv_due);
	c->rcv_due = due;
}

static void owe_window(struct mf_tcp *c)
{
	uint32_t window = mf_seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;

	if (!c->rcv_queued || c->state == MF_TCP_CLOSED || c->flags & MF_TCP_F_EOF)
		window = 0;
	owe(c, window);
}

void mf_tcp_recv_end(struct mf_tcp *c)
{
	owe(c, 0);
}

static void charge(struct mf_tcp *c, const struct mf_pkt *p)
{
	c->rcv_mem += (uint32_t)mf_tcp_pkt_held(p);
	c->env->s->rx_held += mf_tcp_pkt_held(p);
}

static void release(struct mf_tcp *c, struct mf_pkt *p)
{
	c->rcv_mem -= (uint32_t)mf_tcp_pkt_held(p);
	c->env->s->rx_held -= mf_tcp_pkt_held(p);
	mf_pkt_free(p);
}

/* The reassembly queue counts for itself: brings the account of the thread up to date. */
static void settle(struct mf_tcp *c, uint64_t held_before)
{
	c->env->s->rx_held += c->reass.held - held_before;
}

/* Is there room for this packet? The reserve is for one small packet of each that holds nothing. */
static bool fits(const struct mf_tcp *c, const struct mf_pkt *p, bool in_order)
{
	uint64_t budget = c->env->rx_budget;

	if (!budget)
		return true;
	if (!in_order || c->rcv_mem || c->reass.n || p->flags & MF_PKT_LARGE)
		budget -= budget / RESERVE;
	return c->env->s->rx_held + mf_tcp_pkt_held(p) <= budget;
}

/* A copy of the first n bytes of p's payload in a small packet, NULL: they do not fit, p is small itself,
 * or none is free. */
static struct mf_pkt *shrink(struct mf_tcp *c, const struct mf_pkt *p, uint32_t n)
{
	struct mf_pkt *q;

	if (!(p->flags & MF_PKT_LARGE) || n > MF_PKT_SMALL_MAX)
		return NULL;
	q = mf_pkt_small(c->env->pool);
	if (!q)
		return NULL;
	memcpy(q->data, p->data, n);
	q->len = n;
	return q;
}

/* The packet in which p's payload is kept: p, or a smaller one when memory is scarce and then p is freed.
 * When it is all but used up, the smaller one may hold no more than the beginning. NULL: there is no room,
 * p stays as it was. What is in order drives out what is not. */
static struct mf_pkt *admit(struct mf_tcp *c, struct mf_pkt *p, bool in_order)
{
	uint64_t before = c->reass.held;
	struct mf_pkt *q;
	uint32_t n;

	if (MF_LIKELY(!scarce(c)))
		return p;
	q = shrink(c, p, p->len);
	while (!fits(c, q ? q : p, in_order) && in_order && mf_tcp_reass_prune(&c->reass, &n)) {
		settle(c, before);
		before = c->reass.held;
	}
	if (!fits(c, q ? q : p, in_order)) {
		mf_count(&mf_tcp_count(c)->no_memory, 1);
		if (!q && in_order)
			q = shrink(c, p, (uint32_t)mf_min(p->len, MF_PKT_SMALL_MAX));
		if (!q || !fits(c, q, in_order)) {
			if (q)
				mf_pkt_free(q);
			return NULL;
		}
		c->todo |= MF_TCP_TODO_ACK;
	}
	if (q)
		mf_pkt_free(p);
	return q ? q : p;
}

/* ---- queue ---- */

/* Many small segments would hold a lot of memory: they share a packet then. */
static bool shares(const struct mf_tcp *c, const struct mf_pkt *p)
{
	const struct mf_pkt *last = c->rcv_last;

	if (!last || mf_pkt_tailroom(last) < p->len)
		return false;
	return crowded(c) || (p->len <= COPY_MAX && c->rcv_mem >= 2 * c->rcv_queued + SLACK);
}

static bool append_copy(struct mf_tcp *c, struct mf_pkt *p)
{
	struct mf_pkt *last = c->rcv_last;

	if (!shares(c, p))
		return false;
	memcpy(last->data + last->len, p->data, p->len);
	last->len += p->len;
	mf_pkt_free(p);
	return true;
}

/* p begins at rcv_nxt. */
static void append(struct mf_tcp *c, struct mf_pkt *p)
{
	uint32_t n = p->len;

	if (!append_copy(c, p)) {
		charge(c, p);
		p->next = NULL;
		*(c->rcv_last ? &c->rcv_last->next : &c->rcv_first) = p;
		c->rcv_last = p;
	}
	c->rcv_nxt += n;
	c->rcv_queued += n;
	owe_window(c);
	c->events |= MF_TCP_EV_READABLE;
}

/* What waited for its turn and follows now. */
static void append_reassembled(struct mf_tcp *c)
{
	uint64_t before = c->reass.held;
	struct mf_pkt *p;

	while ((p = mf_tcp_reass_take(&c->reass, c->rcv_nxt))) {
		settle(c, before);
		before = c->reass.held;
		append(c, p);
		c->todo |= MF_TCP_TODO_ACK;
	}
	settle(c, before);
}

void mf_tcp_reass_drop(struct mf_tcp *c)
{
	uint64_t before = c->reass.held;

	mf_tcp_reass_clear(&c->reass);
	settle(c, before);
}

void mf_tcp_recv_clear(struct mf_tcp *c)
{
	struct mf_pkt *p, *next;

	mf_tcp_reass_drop(c);
	for (p = c->rcv_first; p; p = next) {
		next = p->next;
		release(c, p);
	}
	c->rcv_first = c->rcv_last = NULL;
	c->rcv_queued = 0;
	mf_tcp_recv_end(c);
}

/* ---- arrival ---- */

/* RFC 9293 3.10.7.4, eighth. */
static void take_fin(struct mf_tcp *c, mf_nsec now)
{
	c->rcv_nxt++;
	c->flags |= MF_TCP_F_EOF;
	c->events |= MF_TCP_EV_EOF;
	mf_tcp_recv_end(c);
	c->todo |= MF_TCP_TODO_ACK;
	mf_tcp_reass_drop(c);
	if (c->state == MF_TCP_ESTABLISHED)
		c->state = MF_TCP_CLOSE_WAIT;
	else if (c->state == MF_TCP_FIN_WAIT_1)
		c->state = MF_TCP_CLOSING;
	else if (c->state == MF_TCP_FIN_WAIT_2)
		mf_tcp_time_wait(c, now);
}

/* Cuts off what we have already and what is beyond the window or the peer's FIN. p's data/len are the
 * payload, which begins at *seq. */
static void trim(struct mf_tcp *c, struct mf_pkt *p, uint32_t *seq)
{
	uint32_t end = *seq + p->len, edge = c->rcv_adv;

	if (mf_seq_lt(*seq, c->rcv_nxt)) {
		uint32_t n = (uint32_t)mf_min(c->rcv_nxt - *seq, p->len);

		if (c->flags & MF_TCP_F_SACK && n)
			c->dsack = (struct mf_tcp_range){ *seq, *seq + n };
		mf_count(&mf_tcp_count(c)->dup_data, n && n == p->len);
		c->todo |= MF_TCP_TODO_ACK;
		p->data += n;
		p->len -= n;
		*seq = c->rcv_nxt;
		end = *seq + p->len;
	}
	if (c->flags & MF_TCP_F_FIN_HEARD)
		edge = mf_seq_min(edge, c->rcv_fin);
	if (mf_seq_lt(edge, end)) {
		c->todo |= MF_TCP_TODO_ACK;
		p->len = mf_seq_lt(*seq, edge) ? edge - *seq : 0;
	}
}

static enum mf_drop take_in_order(struct mf_tcp *c, struct mf_pkt *p)
{
	if (c->rcv_queued + p->len > c->rcv_buf + CREEP) {
		mf_count(&mf_tcp_count(c)->no_memory, 1);
		return MF_DROP_TCP_BUDGET;
	}
	if (!shares(c, p))
		p = admit(c, p, true);
	if (!p)
		return MF_DROP_TCP_BUDGET;
	append(c, p);
	if (c->reass.n)
		append_reassembled(c);
	return MF_DROP_NONE;
}

static enum mf_drop take_out_of_order(struct mf_tcp *c, struct mf_pkt *p, uint32_t seq)
{
	uint64_t before = c->reass.held;
	struct mf_tcp_range dup;
	struct mf_pkt *q;

	mf_count(&mf_tcp_count(c)->out_of_order, 1);
	c->todo |= MF_TCP_TODO_ACK;
	if (c->n_ooo < UINT8_MAX)
		c->n_ooo++;
	if (c->rcv_mem + before > 2 * (uint64_t)c->rcv_buf + 2 * SLACK) {
		mf_count(&mf_tcp_count(c)->reassembly_full, 1);
		return MF_DROP_TCP_BUDGET;
	}
	q = admit(c, p, false);
	if (!q)
		return MF_DROP_TCP_BUDGET;
	if (!mf_tcp_reass_add(&c->reass, q, seq, &dup)) {
		mf_count(&mf_tcp_count(c)->dup_data, 1);
		if (c->flags & MF_TCP_F_SACK)
			c->dsack = dup;
		mf_pkt_free(q);
	}
	settle(c, before);
	return MF_DROP_NONE;
}

/* The round trip as a receiver sees it: from an ACK of ours to data that was sent after it. */
static void sample_rtt(struct mf_tcp *c, const struct mf_tcp_seg *s, mf_nsec now)
{
	uint32_t us = (mf_tcp_ts(c, now) - s->o.ts_ecr) * 1000;

	if (s->o.ts_ecr && us < 10 * 1000 * 1000)
		c->drs_rtt = c->drs_rtt ? (7 * c->drs_rtt + us) / 8 : us;
}

static void note_fin(struct mf_tcp *c, uint32_t at)
{
	if (c->flags & MF_TCP_F_FIN_HEARD || mf_seq_lt(at, c->rcv_nxt) || mf_seq_lt(c->rcv_adv, at))
		return;
	c->flags |= MF_TCP_F_FIN_HEARD;
	c->rcv_fin = at;
	c->todo |= MF_TCP_TODO_ACK;
}

/* Payload that is ours to keep, if there is room. */
static enum mf_drop take_payload(struct mf_tcp *c, const struct mf_tcp_seg *s, struct mf_pkt *p,
				 mf_nsec now)
{
	uint32_t mss = p->gso_type ? p->gso_size : s->len, seq = s->seq, len = p->len;
	uint8_t *data = p->data;
	enum mf_drop r;

	p->data += p->len - s->len;
	p->len = s->len;
	trim(c, p, &seq);
	if (!p->len) {
		mf_pkt_free(p);
		return MF_DROP_NONE;
	}
	if (MF_UNLIKELY(mss > c->rcv_mss))
		c->rcv_mss = (uint16_t)mf_min(mss, UINT16_MAX);
	if (MF_LIKELY(seq == c->rcv_nxt)) {
		if (c->flags & MF_TCP_F_TS)
			sample_rtt(c, s, now);
		c->data_at = now;
		c->unanswered = true;
		c->pushed = s->flags & MF_TCP_PSH || s->len < c->rcv_mss;
		p->gso_type = MF_GSO_NONE;
		r = take_in_order(c, p);
	} else {
		p->gso_type = MF_GSO_NONE;
		r = take_out_of_order(c, p, seq);
	}
	if (MF_UNLIKELY(r)) { /* as it was, for whoever drops it */
		p->data = data;
		p->len = len;
		c->todo |= MF_TCP_TODO_ACK;
	}
	return r;
}

enum mf_drop mf_tcp_receive(struct mf_tcp *c, const struct mf_tcp_seg *s, struct mf_pkt *p,
			    mf_nsec now)
{
	enum mf_drop r = MF_DROP_NONE;

	if (c->state == MF_TCP_CLOSED || (!s->len && !(s->flags & MF_TCP_FIN))) {
		mf_pkt_free(p);
		return MF_DROP_NONE;
	}
	if (c->flags & MF_TCP_F_EOF) { /* nothing can follow a FIN */
		c->todo |= MF_TCP_TODO_ACK;
		if (c->state == MF_TCP_TIME_WAIT && s->flags & MF_TCP_FIN)
			mf_tcp_set_idle_timer(c, now);
		return MF_DROP_TCP_STATE;
	}
	if (s->flags & MF_TCP_FIN)
		note_fin(c, s->seq + s->len);
	if (s->len)
		r = take_payload(c, s, p, now);
	else
		mf_pkt_free(p);
	if (MF_UNLIKELY(c->flags & MF_TCP_F_FIN_HEARD) && c->rcv_nxt == c->rcv_fin)
		take_fin(c, now);
	return r;
}

/* ---- window ---- */

/* The largest window that the budget allows, with what the others have been promised. */
static uint64_t allowance(const struct mf_tcp *c)
{
	uint64_t budget = c->env->rx_budget, used = c->env->s->rx_held + c->env->s->rx_due;
	uint64_t own = c->rcv_due;

	if (!budget || (!c->rcv_queued && !scarce(c)))
		return UINT32_MAX;
	if (!c->rcv_queued)
		own = mf_max(own, (uint64_t)FREE_WINDOW);
	budget -= budget / UNPROMISED;
	return own + (budget > used ? (budget - used) / 2 / SHARE : 0);
}

/* How many bytes beyond rcv_nxt we would take now. */
static uint32_t space(const struct mf_tcp *c)
{
	uint32_t n = c->rcv_buf > c->rcv_queued ? c->rcv_buf - c->rcv_queued : 0;
	uint64_t held = c->env->s->rx_held, budget = c->env->rx_budget, left;

	n = (uint32_t)mf_min((uint64_t)n, allowance(c));
	if (!scarce(c))
		return n;
	left = budget > held ? (budget - held) / RESERVE : 0;
	if (!c->rcv_queued)
		left = mf_max(left, 2 * (size_t)c->rcv_mss);
	return (uint32_t)mf_min(n, left);
}

/* How far the right edge would move. */
static uint32_t gain(const struct mf_tcp *c)
{
	uint32_t edge = c->rcv_nxt + space(c);

	return mf_seq_lt(c->rcv_adv, edge) ? edge - c->rcv_adv : 0;
}

bool mf_tcp_window_update_due(const struct mf_tcp *c)
{
	uint32_t most = (uint32_t)mf_min((uint64_t)c->rcv_buf, allowance(c));
	uint32_t step = (uint32_t)mf_min(most / 4, UPDATE_STEP);

	if (scarce(c))
		step = (uint32_t)mf_min(step, 2 * (size_t)c->rcv_mss);
	return gain(c) >= step;
}

/* A reader that lags while memory is scarce needs no large buffer: its far side is slower than we are. It
 * gets no more of it than it has now, until it has been quick for long. */
static void be_content(struct mf_tcp *c)
{
	uint64_t most = mf_max((uint64_t)c->rcv_queued + c->rcv_due, (uint64_t)FREE_WINDOW);

	c->rcv_buf = (uint32_t)mf_min((uint64_t)c->rcv_buf, most);
	c->lagging = UINT8_MAX;
}

uint16_t mf_tcp_advertise(struct mf_tcp *c)
{
	uint8_t shift = mf_tcp_rcv_shift(c);
	uint32_t more = gain(c), field;

	if (c->rcv_queued && scarce(c))
		be_content(c);
	/* RFC 9293 3.8.6.2.2: no silly steps. */
	if (more >= mf_min(c->rcv_buf / 2, c->rcv_mss))
		c->rcv_adv += more;
	if (mf_seq_leq(c->rcv_adv, c->rcv_nxt)) /* a FIN may lie behind the edge */
		return 0;
	field = (uint32_t)mf_min((c->rcv_adv - c->rcv_nxt + (1u << shift) - 1) >> shift, UINT16_MAX);
	c->rcv_adv = mf_seq_max(c->rcv_adv, c->rcv_nxt + (field << shift));
	owe_window(c);
	return (uint16_t)field;
}

void mf_tcp_autotune(struct mf_tcp *c, mf_nsec now)
{
	mf_nsec trip = c->drs_rtt ? c->drs_rtt * MF_USEC : c->rtt.srtt, spent = now - c->drs_at;
	uint32_t max = c->flags & MF_TCP_F_WSCALE ? c->cfg.rcv_wnd_max : UINT16_MAX;

	if (trip < MF_MSEC)
		trip = MF_MSEC;
	if (spent < trip)
		return;
	/* Half a buffer or more in each round trip: the sender may be waiting for us. */
	if (c->rcv_buf < max && !scarce(c) &&
	    2 * c->drs_copied >= (mf_nsec)c->rcv_buf * spent / trip) {
		if (c->lagging)
			c->lagging--;
		else
			c->rcv_buf = (uint32_t)mf_min(2 * (size_t)c->rcv_buf, max);
	}
	c->drs_copied = 0;
	c->drs_at = now;
}

/* ---- reader ---- */

size_t mf_tcp_recv_spans(const struct mf_tcp *c, struct mf_span *v, size_t max, size_t *bytes)
{
	size_t n = 0, sum = 0;

	for (const struct mf_pkt *p = c->rcv_first; p && n < max; p = p->next) {
		v[n++] = mf_span(p->data, p->len);
		sum += p->len;
	}
	if (bytes)
		*bytes = sum;
	return n;
}

void mf_tcp_recv_done(struct mf_tcp_env *env, struct mf_tcp *c, size_t n)
{
	(void)env;
	MF_ASSERT(n <= c->rcv_queued);
	c->rcv_queued -= (uint32_t)n;
	owe_window(c);
	c->drs_copied += (uint32_t)n;
	c->todo |= MF_TCP_TODO_TUNE;
	while (n) {
		struct mf_pkt *p = c->rcv_first;
		uint32_t k = (uint32_t)mf_min(n, p->len);

		n -= k;
		p->data += k;
		p->len -= k;
		if (p->len)
			return;
		c->rcv_first = p->next;
		if (!c->rcv_first)
			c->rcv_last = NULL;
		release(c, p);
	}
}

size_t mf_tcp_recv_queued(const struct mf_tcp *c)
{
	return c->rcv_queued;
}

bool mf_tcp_eof(const struct mf_tcp *c)
{
	return c->flags & MF_TCP_F_EOF;
}
