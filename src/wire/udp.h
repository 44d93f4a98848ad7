/* SPDX-License-Identifier: Apache-2.0
 *
 * udp - the UDP header (RFC 768).
 */
#ifndef MF_WIRE_UDP_H
#define MF_WIRE_UDP_H

#include "base/drop.h"
#include "base/endian.h"
#include "base/pkt.h"

struct mf_udp_hdr {
	mf_be16 sport, dport;
	mf_be16 len; /* header and payload */
	mf_be16 csum;
};
static_assert(sizeof(struct mf_udp_hdr) == 8, "UDP header");

enum {
	MF_UDP_CSUM_OFF = 6,
	/* What Linux accepts in one UDP super-packet (UDP_MAX_SEGMENTS before 6.9). */
	MF_UDP_SEGMENTS_MAX = 64,
};

/* Is it a UDP datagram (after mf_ip_input, no fragment), and is its checksum right, unless that is left to
 * whoever sends it on? What follows it in its packet is cut off. MF_DROP_NONE or why not. */
enum mf_drop mf_udp_input(struct mf_pkt *p);

#endif
