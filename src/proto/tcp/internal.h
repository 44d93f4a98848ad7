/* SPDX-License-Identifier: Apache-2.0
 *
 * internal - what the files of the TCP core share. In the order of a segment's way: it comes in
 * (input.c), is judged by its acknowledgment (ack.c: sack.c, rack.c, recovery.c) and by its payload
 * (recv.c); what is to go out waits in sndq.c, output.c decides and emit.c builds it.
 */
#ifndef MF_TCP_INTERNAL_H
#define MF_TCP_INTERNAL_H

#include "base/count.h"
#include "proto/tcp/conn.h"

#define MF_TCP_QUANTUM  MF_MSEC       /* of pacing, and of trying again when no packet is free */
#define MF_TCP_ACK_SOON (1 * MF_MSEC) /* of the end of a write that an answer may follow, */
#define MF_TCP_ACK_DELAY \
	(5 * MF_MSEC) /* if answers have been quick, and in the middle of a stream */

/* How long a peer keeps the ACK of a single segment back. RFC 8985 7.2 would take the 200 ms that it may; most
 * do not wait longer than this, and a probe too early costs one segment. */
#define MF_TCP_TLP_ACK_DELAY (50 * MF_MSEC)

/* A segment that came in. */
struct mf_tcp_seg {
	uint32_t seq, ack, len; /* len: payload bytes */
	uint32_t wnd;           /* as it stands in the header */
	uint8_t flags;
	struct mf_tcp_options o;
};

/* What one acknowledgment brought. */
struct mf_tcp_ack {
	uint32_t acked;     /* how far SND.UNA has moved */
	uint32_t delivered; /* bytes that we did not know to be there, in sequence or by SACK */
	mf_nsec rtt_first, rtt_last; /* of what was sent once: the oldest and the latest; 0: none */
	uint32_t fack;               /* the highest that was known to have arrived before */
	bool has_ts;
	uint32_t ts_ecr;
	bool dsack;
	bool dup_ack;       /* a duplicate in the sense of RFC 5681 2 */
	bool retrans_acked; /* some of it had been sent more than once */
	bool found_loss;
	bool tlp_repaired;       /* a tail loss probe has filled a hole */
	struct mf_tcp_range dup; /* the D-SACK */
};

struct mf_tcp_env_state {
	struct mf_tcp_counters count;
	uint8_t secret[16];
	struct mf_tcp_rec *rec, *rec_free; /* all of them; those that were used and given back */
	uint32_t n_recs, n_recs_made;
	struct mf_pkt *limbo; /* acknowledged, but what was emitted may still refer to it */
	uint64_t rx_held, tx_held;
	uint64_t rx_due; /* packet memory for what may still come, because it was promised */
	uint32_t n_conns;
};

/* ---- env.c ---- */
struct mf_tcp_rec *mf_tcp_rec_new(struct mf_tcp *c);
void mf_tcp_rec_free(struct mf_tcp *c, struct mf_tcp_rec *r);
/* Into limbo; counts off the memory. */
void mf_tcp_tx_release(struct mf_tcp *c, struct mf_pkt *p);
/* Initial sequence number and the offset of the timestamps, from the addresses. */
void mf_tcp_choose_numbers(struct mf_tcp *c, mf_nsec now);

static inline struct mf_tcp_counters *mf_tcp_count(const struct mf_tcp *c)
{
	return &c->env->s->count;
}

/* ---- open.c ---- */
void mf_tcp_establish(struct mf_tcp *c, mf_nsec now);
/* What the peer's SYN says. */
void mf_tcp_take_syn(struct mf_tcp *c, const struct mf_tcp_seg *s, mf_nsec now);
/* The end: gives back all but what the reader may still want. */
void mf_tcp_end(struct mf_tcp *c, enum mf_tcp_end why);
void mf_tcp_set_mtu(struct mf_tcp *c, uint32_t mtu);
/* The SYN that p is; false: not a lone SYN, or malformed. */
bool mf_tcp_read_seg(struct mf_tcp_seg *s, const struct mf_pkt *p);

/* ---- input.c ---- */
/* Answers something odd with an ACK, but not for ever (RFC 5961 7). */
void mf_tcp_challenge(struct mf_tcp *c, mf_nsec now);

/* ---- ack.c ---- */
/* The ACK field, the window and SACK of a segment that is acceptable. */
enum mf_drop mf_tcp_acknowledge(struct mf_tcp *c, const struct mf_tcp_seg *s, mf_nsec now);

/* ---- recv.c ---- */
/* Payload and FIN of an acceptable segment. Takes p, unless it returns a reason. */
enum mf_drop mf_tcp_receive(struct mf_tcp *c, const struct mf_tcp_seg *s, struct mf_pkt *p,
			    mf_nsec now);
/* The window field for a segment that goes out now; moves the right edge. */
uint16_t mf_tcp_advertise(struct mf_tcp *c);
/* Has the window grown so much that the peer should know? */
bool mf_tcp_window_update_due(const struct mf_tcp *c);
/* Once a round trip: is the buffer what holds the peer up? */
void mf_tcp_autotune(struct mf_tcp *c, mf_nsec now);
void mf_tcp_recv_clear(struct mf_tcp *c);
/* Nothing will come any more: what was promised is counted no longer. */
void mf_tcp_recv_end(struct mf_tcp *c);
void mf_tcp_reass_drop(struct mf_tcp *c);

/* ---- sndq.c ---- */
/* A record for what is to be sent next: a fresh one, or the last one, which will grow; NULL: none. */
struct mf_tcp_rec *mf_tcp_sndq_reserve(struct mf_tcp *c);
/* It was not sent. */
void mf_tcp_sndq_unreserve(struct mf_tcp *c, struct mf_tcp_rec *r);
/* n bytes at snd_nxt, and a FIN, have been sent. */
void mf_tcp_sndq_sent(struct mf_tcp *c, struct mf_tcp_rec *r, uint32_t n, bool fin, mf_nsec now);
/* Everything before `ack` is there. */
void mf_tcp_sndq_acked(struct mf_tcp *c, uint32_t ack, struct mf_tcp_ack *a, mf_nsec now);
/* Cuts r, so that the first piece is n long; false: no record is free. */
bool mf_tcp_rec_split(struct mf_tcp *c, struct mf_tcp_rec *r, uint32_t n);
/* Moves r->p on to the packet that holds the byte r->seq, NULL: there is none, only a FIN. */
void mf_tcp_rec_settle(struct mf_tcp_rec *r);
/* Payload bytes of the record. */
static inline uint32_t mf_tcp_rec_bytes(const struct mf_tcp_rec *r)
{
	return r->len - (r->flags & MF_TCP_REC_FIN ? 1 : 0);
}
void mf_tcp_sndq_clear(struct mf_tcp *c);

/* ---- sack.c ---- */
/* SACK blocks: marks records. */
void mf_tcp_sack(struct mf_tcp *c, const struct mf_tcp_seg *s, struct mf_tcp_ack *a, mf_nsec now);
/* A record has been delivered, up to `end`: RTT, RACK.rtt, reordering. */
void mf_tcp_delivered(struct mf_tcp *c, const struct mf_tcp_rec *r, uint32_t end,
		      struct mf_tcp_ack *a, mf_nsec now);

/* ---- rack.c ---- */
/* Marks what must be lost; *wait: when to look again, or MF_NEVER. True: something was newly marked. */
bool mf_tcp_rack_detect(struct mf_tcp *c, mf_nsec *wait, mf_nsec now);
void mf_tcp_rack_dsack(struct mf_tcp *c);
void mf_tcp_mark_lost(struct mf_tcp *c, struct mf_tcp_rec *r);
/* After a timeout: what is lost by its age, and the first. */
void mf_tcp_mark_all(struct mf_tcp *c, mf_nsec now);
/* Tail loss probe (RFC 8985 7.3, 7.4). */
mf_nsec mf_tcp_tlp_timeout(const struct mf_tcp *c);
void mf_tcp_tlp_acked(struct mf_tcp *c, uint32_t ack, struct mf_tcp_ack *a);

/* ---- recovery.c ---- */
/* What an ACK means for the congestion window, and which losses it shows. */
void mf_tcp_recover(struct mf_tcp *c, struct mf_tcp_ack *a, mf_nsec now);
/* The reordering timer has expired. */
void mf_tcp_recover_reordered(struct mf_tcp *c, mf_nsec now);
/* The timer has expired. */
void mf_tcp_recover_timeout(struct mf_tcp *c, mf_nsec now);
/* Loss without congestion: the path's MTU is smaller. */
void mf_tcp_recover_mtu(struct mf_tcp *c);

/* ---- timer.c ---- */
/* Sets the timer of the send side; `progress`: something was acknowledged or sent, it starts anew. */
void mf_tcp_set_xmit_timer(struct mf_tcp *c, bool progress, mf_nsec now);
/* If it is the retransmission timer that runs. */
void mf_tcp_restart_rto(struct mf_tcp *c, mf_nsec now);
void mf_tcp_set_idle_timer(struct mf_tcp *c, mf_nsec now);
void mf_tcp_time_wait(struct mf_tcp *c, mf_nsec now);

/* ---- emit.c ---- */
struct mf_tcp_out {
	uint32_t seq;
	uint8_t flags;
	const uint8_t *payload;
	uint32_t len;
	const struct mf_tcp_range *blocks; /* of SACK in place of the latest; NULL: the latest */
	uint8_t n_blocks;
};
/* Builds it and gives it away; false: no packet is free. What it says about receiving is noted. */
bool mf_tcp_emit(struct mf_tcp *c, const struct mf_tcp_out *o, mf_nsec now);
bool mf_tcp_emit_syn(struct mf_tcp *c, mf_nsec now);
bool mf_tcp_emit_rst(struct mf_tcp *c, uint32_t seq, bool with_ack);

/* ---- small things ---- */

/* Where a packet of the send queue, or of the receive queue's reassembly, begins. */
static inline uint32_t mf_tcp_pkt_seq(const struct mf_pkt *p)
{
	return p->segments;
}

static inline uint32_t mf_tcp_pkt_end(const struct mf_pkt *p)
{
	return p->segments + p->len;
}

static inline uint8_t mf_tcp_rcv_shift(const struct mf_tcp *c)
{
	return c->flags & MF_TCP_F_WSCALE ? c->rcv_wscale : 0;
}

/* Our timestamp clock: milliseconds, from an offset of this connection. */
static inline uint32_t mf_tcp_ts(const struct mf_tcp *c, mf_nsec now)
{
	return (uint32_t)(now / MF_MSEC) + c->ts_offset;
}

/* Bytes that are out there, as far as we know. */
static inline uint32_t mf_tcp_pipe(const struct mf_tcp *c)
{
	return c->snd_nxt - c->snd_una - c->sacked - c->lost;
}

/* Has the peer's FIN come before its turn? */
static inline bool mf_tcp_fin_waits(const struct mf_tcp *c)
{
	return (c->flags & (MF_TCP_F_FIN_HEARD | MF_TCP_F_EOF)) == MF_TCP_F_FIN_HEARD;
}

/* Is there something that SACK blocks should say? */
static inline bool mf_tcp_has_blocks(const struct mf_tcp *c)
{
	return c->flags & MF_TCP_F_SACK &&
	       (c->reass.n || c->dsack.start != c->dsack.end || mf_tcp_fin_waits(c));
}

/* May data go out? */
static inline bool mf_tcp_sends(const struct mf_tcp *c)
{
	return c->state >= MF_TCP_ESTABLISHED && c->state < MF_TCP_TIME_WAIT;
}

#endif
