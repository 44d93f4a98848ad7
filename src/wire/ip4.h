/* SPDX-License-Identifier: Apache-2.0
 *
 * ip4 - the IPv4 header (RFC 791), as it is on the wire.
 */
#ifndef MF_WIRE_IP4_H
#define MF_WIRE_IP4_H

#include "base/endian.h"

struct mf_ip4_hdr {
	uint8_t version_ihl; /* 4 in the high half, header length in 32-bit words in the low */
	uint8_t tos;         /* DSCP (RFC 2474) and ECN (RFC 3168) */
	mf_be16 len;         /* header and payload */
	mf_be16 id;
	mf_be16 frag; /* MF_IP4_DF, MF_IP4_MF, offset in units of 8 bytes */
	uint8_t ttl;
	uint8_t proto;
	mf_be16 csum;
	uint8_t src[4];
	uint8_t dst[4];
};
static_assert(sizeof(struct mf_ip4_hdr) == 20, "IPv4 header");
static_assert(offsetof(struct mf_ip4_hdr, src) == 12, "IPv4 addresses");

enum {
	MF_IP4_DF = 0x4000,
	MF_IP4_MF = 0x2000,
	MF_IP4_OFFSET = 0x1fff,
	MF_IP4_HDR_MAX = 60,
	MF_IP4_CSUM_OFF = 10,
	MF_IP4_MIN_MTU = 68,
	MF_IP4_MIN_REASSEMBLY = 576,
};

/* IP protocol numbers that the engine looks at. */
enum {
	MF_IPPROTO_HOPOPTS = 0,
	MF_IPPROTO_ICMP = 1,
	MF_IPPROTO_TCP = 6,
	MF_IPPROTO_UDP = 17,
	MF_IPPROTO_ROUTING = 43,
	MF_IPPROTO_FRAGMENT = 44,
	MF_IPPROTO_ESP = 50,
	MF_IPPROTO_AH = 51,
	MF_IPPROTO_ICMP6 = 58,
	MF_IPPROTO_NONE = 59,
	MF_IPPROTO_DSTOPTS = 60,
	MF_IPPROTO_MOBILITY = 135,
};

static inline size_t mf_ip4_hdr_len(const struct mf_ip4_hdr *h)
{
	return (size_t)(h->version_ihl & 0x0f) * 4;
}

static inline bool mf_ip4_is_fragment(const struct mf_ip4_hdr *h)
{
	return mf_be16_get(h->frag) & (MF_IP4_MF | MF_IP4_OFFSET);
}

#endif
