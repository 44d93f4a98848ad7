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
	uint16_t l4_off;
	uint8_t id_mode; /* 0: one packet so far, 1: ids count up, 2: id stays */
	bool ended;      /* nothing may follow, but it still stands for the flow */
	uint32_t used;   /* for eviction of the oldest */
};

/* Embedded by its owner; private but for the switches and the counters. */
struct mf_gro {
	struct mf_pkt_pool *pool;
	bool merge_tcp, merge_udp; /* may be switched between batches */
	bool want_large; /* recent packets could be merged: start the next one in a large packet */
	int8_t last;     /* slot appended to most recently, -1: none */
	int8_t reserved_slot; /* where the reservation is: a slot, or -1: in `fresh` */
	bool reserved;
	uint16_t reserved_n, saved_n;
	uint32_t clock;
	struct mf_pkt *fresh_small, *fresh_large; /* taken but not used yet */
	struct mf_pkt *fresh;                     /* the one of them that is reserved */
	uint8_t *place;                           /* the reservation */
	struct mf_pkt *out_head, **out_tail;      /* all packets of the batch, in order */
	uint32_t hash[MF_GRO_SLOTS];
	struct mf_gro_slot slot[MF_GRO_SLOTS];
	uint8_t saved[MF_GRO_HDR_MAX];
	struct mf_pkt view; /* a descriptor for looking at reserved bytes */

	/* Counters, for whoever owns this. */
	uint64_t n_merged;    /* packets that became part of an earlier one */
	uint64_t n_predicted; /* of these, where the guess was right: not copied */
	uint64_t n_alone;     /* packets that started an entry of their own */
	uint64_t n_no_buffer; /* reservations or packets lost for want of a packet (MF_DROP_BUFFERS) */
};

/* `pool` must outlive g. */
void mf_gro_init(struct mf_gro *g, struct mf_pkt_pool *pool, bool merge_tcp, bool merge_udp);
/* Gives back every packet that g still holds. */
void mf_gro_fini(struct mf_gro *g);

/* Where to put the next plaintext of at most n bytes (n <= MF_PKT_LARGE_MAX); MF_PKT_TAILROOM bytes
 * after it may be written as well when it is at the end of a fresh packet, n + 16 always. NULL: no
 * packet is free. Must be followed by commit or cancel. */
uint8_t *mf_gro_reserve(struct mf_gro *g, size_t n);

/* The reserved bytes hold an authenticated IP packet of exactly `len` bytes (len <= n, padding is
 * beyond). Does the work of mf_ip_input. `owner` is stored in the packet; packets of different owners
 * are not merged. Returns MF_DROP_NONE, mf_ip_input's reason (the packet is gone), or MF_DROP_BUFFERS:
 * it could not be moved to where it belongs. */
enum mf_drop mf_gro_commit(struct mf_gro *g, size_t len, void *owner);

/* The reserved bytes are of no use: everything is as before mf_gro_reserve. */
void mf_gro_cancel(struct mf_gro *g);

/* Closes everything and hands out up to `max` packets, which the caller owns; returns how many. If
 * that is `max` there may be more: call again before the next mf_gro_reserve. */
size_t mf_gro_flush(struct mf_gro *g, struct mf_pkt **out, size_t max);

#endif
