/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp - the TCP header (RFC 9293) and the reset that answers a segment nobody wants.
 */
#ifndef MF_WIRE_TCP_H
#define MF_WIRE_TCP_H

#include "base/endian.h"
#include "base/pkt.h"

struct mf_tcp_hdr {
	mf_be16 sport, dport;
	mf_be32 seq, ack;
	uint8_t off; /* header length in 32-bit words in the high half */
	uint8_t flags;
	mf_be16 window;
	mf_be16 csum;
	mf_be16 urgent;
};
static_assert(sizeof(struct mf_tcp_hdr) == 20, "TCP header");

enum {
	MF_TCP_FIN = 0x01,
	MF_TCP_SYN = 0x02,
	MF_TCP_RST = 0x04,
	MF_TCP_PSH = 0x08,
	MF_TCP_ACK = 0x10,
	MF_TCP_URG = 0x20,
	MF_TCP_ECE = 0x40,
	MF_TCP_CWR = 0x80,
	MF_TCP_CSUM_OFF = 16,
	MF_TCP_HDR_MAX = 60,
};

static inline size_t mf_tcp_hdr_len(const struct mf_tcp_hdr *h)
{
	return (size_t)(h->off >> 4) * 4;
}

/* The reset for packet p (after mf_ip_input), from p's destination to its source, as RFC 9293 3.10.7.1
 * says for a segment to a closed port. A super-packet's whole payload counts. Checksums are complete.
 * Returns a small packet of `pool` that the caller owns (ready for mf_ip_input's users: version, l4_off
 * and l4_proto are set), or NULL: p has no whole TCP header, is itself a reset, is damaged, is
 * not between two single hosts, or no packet is free. */
struct mf_pkt *mf_tcp_reset(struct mf_pkt_pool *pool, const struct mf_pkt *p);

#endif
