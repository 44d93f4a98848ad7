/* SPDX-License-Identifier: Apache-2.0
 *
 * gro - merges packets of one TCP or UDP flow into super-packets while they are being decrypted, so
 * that in the common case no payload is copied.
 *
 *     [hdr][payload 0][payload 1]
 *                        [hdr][payload 2]     the next plaintext is written here, on the guess that it
 *                                             continues the packet; the bytes under its header are
 *                                             saved, and put back when it has been judged
 *
 * Use: for each packet of a batch mf_gro_reserve, decrypt into the place, then mf_gro_commit or
 * mf_gro_cancel; at the end of the batch mf_gro_flush until it returns less than `max`. Packets of
 * one flow leave in the order in which they came. One thread.
 */
#ifndef MF_WIRE_GRO_H
#define MF_WIRE_GRO_H

#include "base/pkt.h"

enum { MF_GRO_SLOTS = 16, MF_GRO_HDR_MAX = 128 };

/* An open super-packet, or a packet that may become one. */
struct mf_gro_slot {
	struct mf_pkt *pkt; /* NULL: free */
	uint32_t next_seq;  /* TCP: of the byte after the last */
	uint16_t next_id;   /* IPv4: of the next packet if ids count up */
	uint16_t gso_size;
	uint16_t hdr_len;
	uint8_t id_mode; /* enum in gro.c: undecided, ids count up, id stays */
	bool verified;   /* the checksum of a packet that is still alone */
	uint32_t used;   /* for eviction of the oldest */
};

/* Embedded by its owner; private but for the switches and the counters. */
struct mf_gro {
	bool merge_tcp, merge_udp; /* may be switched between batches */

	/* Counters, for whoever owns this. */
	uint64_t n_merged;    /* packets that became part of an earlier one */
	uint64_t n_predicted; /* of these, where the guess was right: not copied */
	uint64_t n_alone;     /* packets that started an entry of their own */
	uint64_t n_no_buffer; /* reservations or packets lost for want of a packet (MF_DROP_BUFFERS) */

	struct mf_pkt_pool *pool;
	bool want_large; /* packets are being merged: start the next one in a large packet */
	bool merged;     /* in this batch */
	bool reserved;
	int8_t last;          /* slot appended to most recently, -1: none */
	int8_t in_slot;       /* the slot at whose end the reservation is, -1: in `fresh` */
	uint16_t saved_n;     /* bytes in `saved` */
	uint32_t reserved_n;  /* length of the reservation */
	uint32_t clock;       /* for slot.used */
	uint8_t *place;       /* the reservation */
	struct mf_pkt *fresh; /* one of the two below, if it is reserved */
	struct mf_pkt *small; /* taken from the pool and not used yet, kept for the next time */
	struct mf_pkt *large;
	struct mf_pkt *out_head, **out_tail; /* all packets of the batch, in order */
	uint32_t hash[MF_GRO_SLOTS];
	struct mf_gro_slot slot[MF_GRO_SLOTS];
	uint8_t saved[MF_GRO_HDR_MAX];
	struct mf_pkt view; /* a descriptor for looking at reserved bytes */
};

/* `pool` must outlive g. */
void mf_gro_init(struct mf_gro *g, struct mf_pkt_pool *pool, bool merge_tcp, bool merge_udp);
/* Gives back every packet that g still holds. */
void mf_gro_fini(struct mf_gro *g);

/* Where to put the next plaintext of at most n bytes (n <= MF_PKT_LARGE_MAX, padding included); the
 * MF_PKT_TAILROOM bytes behind may be written as well. NULL: no packet is free. Must be followed by
 * commit or cancel. */
uint8_t *mf_gro_reserve(struct mf_gro *g, size_t n);

/* The reserved bytes hold an authenticated IP packet of exactly `len` bytes (len <= n, padding is
 * beyond). Does the work of mf_ip_input. `owner` is stored in the packet; packets of different owners
 * are not merged. Returns MF_DROP_NONE, mf_ip_input's reason (the packet is gone), or MF_DROP_BUFFERS:
 * it could not be moved to where it belongs. */
enum mf_drop mf_gro_commit(struct mf_gro *g, size_t len, void *owner);

/* The reserved bytes are of no use: everything is as before mf_gro_reserve. */
void mf_gro_cancel(struct mf_gro *g);

/* Closes everything and hands out up to `max` packets, which the caller owns; returns how many. If
 * that is `max` there may be more: call again before the next mf_gro_reserve. A packet that nothing
 * was merged with has the bytes that were committed; a merged one (segments > 1) has its offload
 * fields set, NEEDS_CSUM included. */
size_t mf_gro_flush(struct mf_gro *g, struct mf_pkt **out, size_t max);

#endif
