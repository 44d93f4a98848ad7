/* SPDX-License-Identifier: Apache-2.0
 *
 * fragment - what a fragment says of itself, and cutting a packet of our own into fragments (RFC 791 3.2,
 * RFC 8200 4.5). Putting together what others have cut needs memory and time: host/reass.c.
 */
#ifndef MF_WIRE_FRAGMENT_H
#define MF_WIRE_FRAGMENT_H

#include "base/pkt.h"

/* Offsets are from the packet's data. */
struct mf_fragment {
	uint32_t id;
	uint16_t place;   /* of its bytes in the fragmentable part, a multiple of 8 */
	bool more;        /* others follow behind it */
	uint8_t proto;    /* what the fragmentable part begins with */
	uint16_t hdr_len; /* the unfragmentable part: what every fragment repeats */
	uint16_t data_off; /* where its bytes begin; what lies between the two is the fragment header */
	uint16_t next_at; /* the byte that holds `proto` once the packet is whole again */
};

/* Reads p (after mf_ip_input). False: it is no fragment, or an atomic one (RFC 6946). */
bool mf_fragment_parse(const struct mf_pkt *p, struct mf_fragment *f);

/* Copies the whole packet ip[0..len), made by ourselves (IPv4 without options, IPv6 without extension
 * headers, checksums complete), into packets of at most `mtu` bytes (at least 68, or 1280 with IPv6): one
 * that is the same if it fits, else fragments under `id`, the first one first, linked by `next`. The caller
 * owns them all. NULL: too few packets are free; then none is taken. */
struct mf_pkt *mf_fragment_cut(struct mf_pkt_pool *pool, const uint8_t *ip, size_t len,
			       uint32_t mtu, uint32_t id);

#endif
