/* SPDX-License-Identifier: Apache-2.0
 *
 * invariants - what holds for a connection whenever nobody is inside it: its books agree with its lists.
 */
#ifndef MF_TCP_INVARIANTS_H
#define MF_TCP_INVARIANTS_H

#include "proto/tcp/conn.h"
#include "unit.h"

/* Records cover what is in flight, without gaps, and the sums of their marks are what is noted. */
static inline void check_records(const struct mf_tcp *c)
{
	uint32_t at = c->snd_una, lost = 0, sacked = 0;
	const struct mf_tcp_rec *r, *last = NULL;
	unsigned n = 0;

	for (r = c->rec_first; r; last = r, r = r->next, n++) {
		uint32_t bytes = r->len - (r->flags & MF_TCP_REC_FIN ? 1 : 0);

		assert_int_equal(r->seq, at);
		assert_true(r->len);
		assert_false(r->flags & MF_TCP_REC_FIN && r->next);
		if (bytes) { /* p may lag behind what it holds, never run ahead of it */
			assert_non_null(r->p);
			assert_true(mf_seq_leq(r->p->segments, r->seq));
		}
		at += r->len;
		lost += r->flags & MF_TCP_REC_LOST ? r->len : 0;
		sacked += r->flags & MF_TCP_REC_SACKED ? r->len : 0;
		assert_false((r->flags & MF_TCP_REC_LOST) && (r->flags & MF_TCP_REC_SACKED));
	}
	assert_ptr_equal(last, c->rec_last);
	assert_int_equal(n, c->n_recs);
	assert_int_equal(lost, c->lost);
	if (c->state >= MF_TCP_ESTABLISHED)
		assert_int_equal(at, c->snd_nxt);
	if (c->flags & MF_TCP_F_SACK)
		assert_int_equal(sacked, c->sacked);
	else
		assert_true(c->sacked + c->lost <= c->snd_nxt - c->snd_una);
}

/* The send queue is one stretch of sequence numbers from before snd_una to snd_end. */
static inline void check_send_queue(const struct mf_tcp *c)
{
	uint64_t held = 0;
	uint32_t at = 0;

	for (const struct mf_pkt *p = c->snd_first; p; p = p->next) {
		if (p != c->snd_first)
			assert_int_equal(p->segments, at);
		else
			assert_true(mf_seq_leq(p->segments, c->snd_una));
		at = p->segments + p->len;
		held += mf_tcp_pkt_held(p);
		if (!p->next) {
			assert_ptr_equal(p, c->snd_last);
			assert_int_equal(at, c->snd_end);
		}
		if (p == c->unsent)
			assert_true(mf_seq_lt(c->snd_nxt, at) && mf_seq_leq(p->segments, c->snd_nxt));
	}
	assert_int_equal(held, c->snd_mem);
	if (!c->unsent && c->state >= MF_TCP_ESTABLISHED)
		assert_true(mf_seq_leq(c->snd_end, c->snd_nxt));
}

static inline void check_receive_queue(const struct mf_tcp *c)
{
	uint32_t bytes = 0;
	uint64_t held = 0;

	for (const struct mf_pkt *p = c->rcv_first; p; p = p->next) {
		assert_true(p->len);
		bytes += p->len;
		held += mf_tcp_pkt_held(p);
	}
	assert_int_equal(bytes, c->rcv_queued);
	assert_int_equal(held, c->rcv_mem);
	assert_true(!c->reass.first || mf_seq_lt(c->rcv_nxt, c->reass.first->segments));
}

/* Whatever is in flight has a timer that looks after it. */
static inline void check_timers(const struct mf_tcp *c)
{
	if (c->state >= MF_TCP_ESTABLISHED && c->state != MF_TCP_TIME_WAIT && c->snd_una != c->snd_nxt)
		assert_true(c->xmit_at != MF_NEVER || c->pace_at != MF_NEVER);
	if (c->state == MF_TCP_CLOSED && c->env)
		assert_int_equal(mf_tcp_deadline(c), MF_NEVER);
}

static inline void check_tcp(const struct mf_tcp *c)
{
	if (!c->env)
		return;
	check_records(c);
	check_send_queue(c);
	check_receive_queue(c);
	check_timers(c);
}

#endif
