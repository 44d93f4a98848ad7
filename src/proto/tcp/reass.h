/* SPDX-License-Identifier: Apache-2.0
 *
 * reass - segments that came before their turn, in the packets they came in, sorted and without overlap.
 *
 * A packet in the queue has data/len trimmed to the payload that is still wanted; its sequence number
 * stands in `segments` and its neighbours in `next` and `owner`. (gso_type is MF_GSO_NONE by then.)
 * Sequence numbers in the queue are less than 2^31 apart: the window sees to that.
 */
#ifndef MF_TCP_REASS_H
#define MF_TCP_REASS_H

#include "base/pkt.h"
#include "proto/tcp/options.h"

struct mf_tcp_reass {
	struct mf_pkt *first, *last;
	uint32_t n;     /* packets */
	uint32_t bytes; /* payload */
	uint64_t held;  /* packet memory: mf_tcp_pkt_held of each */
	/* RFC 2018 4: the blocks to report, the one that changed last first. */
	struct mf_tcp_range recent[MF_TCP_SACK_MAX];
	uint8_t n_recent;
};

/* The packet memory that p keeps from others, whatever is in it. */
static inline uint64_t mf_tcp_pkt_held(const struct mf_pkt *p)
{
	return p->flags & MF_PKT_LARGE ? MF_PKT_LARGE_MAX : MF_PKT_SMALL_MAX;
}

/* Takes p (payload at data/len, not empty, beginning at `seq`, not before `rcv_nxt`), trimmed to what is
 * new at its ends: data that is there wins over data that comes. Packets that p covers on all sides
 * are freed, and so is p if it is small and fits behind the packet before it. false: all of it was there already, `*dup` (may be NULL) is the range for a D-SACK; p
 * stays the caller's. */
bool mf_tcp_reass_add(struct mf_tcp_reass *q, struct mf_pkt *p, uint32_t seq,
		      struct mf_tcp_range *dup);
/* The packet that holds the byte rcv_nxt, trimmed to begin there; NULL: a gap. The caller owns it. What
 * ended before is freed. Call it until NULL whenever rcv_nxt has moved: SACK blocks follow. */
struct mf_pkt *mf_tcp_reass_take(struct mf_tcp_reass *q, uint32_t rcv_nxt);
/* The SACK blocks for an ACK; returns how many of `max`. */
uint8_t mf_tcp_reass_blocks(const struct mf_tcp_reass *q, struct mf_tcp_range *out, uint8_t max);
/* For ACKs that have more to say: where the n-th block from the top begins, or the first if there are not so
 * many; and the next `max` blocks from *at on, upwards. *at is NULL after the last. */
const struct mf_pkt *mf_tcp_reass_from(const struct mf_tcp_reass *q, uint32_t n);
uint8_t mf_tcp_reass_runs(const struct mf_pkt **at, struct mf_tcp_range *out, uint8_t max);
/* Lets go of the packet furthest away, for memory; false: empty. Returns its bytes in *n. */
bool mf_tcp_reass_prune(struct mf_tcp_reass *q, uint32_t *n);
void mf_tcp_reass_clear(struct mf_tcp_reass *q);

/* Sequence numbers compare modulo 2^32 (RFC 9293 3.4). */
static inline bool mf_seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool mf_seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline uint32_t mf_seq_max(uint32_t a, uint32_t b)
{
	return mf_seq_lt(a, b) ? b : a;
}

static inline uint32_t mf_seq_min(uint32_t a, uint32_t b)
{
	return mf_seq_lt(a, b) ? a : b;
}

#endif
