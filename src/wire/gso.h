/* SPDX-License-Identifier: Apache-2.0
 *
 * gso - cuts a super-packet into the packets it stands for, in place and one at a time, so that
 * whoever seals them reads each byte once.
 *
 *     super-packet:  [hdr][payload 0][payload 1][payload 2]
 *     segment 0:     [hdr][payload 0]
 *     segment 1:               [hdr][payload 1]      header over the end of payload 0
 *     segment 2:                         [hdr][payload 2]
 *
 * The header of a segment is written over the end of the previous payload, which has been consumed by
 * then. Bytes after the current segment never change, nor do bytes before the super-packet; afterwards
 * it is spoilt.
 */
#ifndef MF_WIRE_GSO_H
#define MF_WIRE_GSO_H

#include "base/pkt.h"

enum { MF_GSO_HDR_MAX = 256 };

/* One per super-packet being cut; on the caller's stack. Private but for `count`. */
struct mf_gso {
	uint8_t *payload; /* of the next segment */
	uint32_t left;    /* payload bytes not yet handed out */
	uint32_t count;   /* segments in all */
	uint32_t done;    /* segments handed out */
	uint16_t size;    /* payload bytes of a segment */
	uint16_t hdr_len;
	uint16_t l4_off;
	uint8_t version, l4_proto;
	uint8_t tcp_flags;
	bool whole; /* an ordinary packet: handed out as it is */
	uint16_t ip_id;
	uint32_t seq;
	uint64_t ip_sum; /* of the IPv4 header without length, id and checksum */
	uint64_t l4_sum; /* of pseudo-header and L4 header without what changes */
	uint8_t hdr[MF_GSO_HDR_MAX];
};

/* Starts on p, which has been through mf_vnet_decode or is equally consistent (mf_ip_input and
 * mf_vnet_check). An ordinary packet is one segment; its checksum is completed here if it is asked
 * for. p must stay until the last segment. Returns MF_DROP_NONE, or MF_DROP_OFFLOAD_META: headers
 * longer than MF_GSO_HDR_MAX, or metadata that does not fit (then p is unchanged). */
enum mf_drop mf_gso_begin(struct mf_gso *g, struct mf_pkt *p);

/* Makes the next segment; *seg points at its IP header. Returns its length, 0 at the end. The segment
 * is valid until the next call. The caller may write to it, and to the bytes before it. Its headers
 * are complete, checksums included. */
size_t mf_gso_next(struct mf_gso *g, uint8_t **seg);

/* How many segments there are in all. */
static inline uint32_t mf_gso_count(const struct mf_gso *g)
{
	return g->count;
}

/* Length of the longest segment of p, headers included: what must fit an MTU. p as in mf_gso_begin. */
size_t mf_gso_max_len(const struct mf_pkt *p);

/* Writes the header of the first segment of a super-packet to `out` and leaves p alone: what an error
 * about it has to quote. Returns its length, 0 if p is not a consistent super-packet. */
size_t mf_gso_first_header(const struct mf_pkt *p, uint8_t out[MF_GSO_HDR_MAX]);

/* Completes the checksum of an ordinary packet in place, if asked for, and clears the request. */
void mf_gso_finish_csum(struct mf_pkt *p);

#endif
