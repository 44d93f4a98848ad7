/* SPDX-License-Identifier: Apache-2.0
 *
 * ip6 - the IPv6 header and its extension headers (RFC 8200), as they are on the wire.
 */
#ifndef MF_WIRE_IP6_H
#define MF_WIRE_IP6_H

#include "base/endian.h"

struct mf_ip6_hdr {
	mf_be32 version_class_flow; /* 6 in the top 4 bits, traffic class 8, flow label 20 */
	mf_be16 payload_len;        /* everything after these 40 bytes */
	uint8_t next;
	uint8_t hop_limit;
	uint8_t src[16];
	uint8_t dst[16];
};
static_assert(sizeof(struct mf_ip6_hdr) == 40, "IPv6 header");
static_assert(offsetof(struct mf_ip6_hdr, src) == 8, "IPv6 addresses");

/* Hop-by-hop and destination options, routing, mobility: `len` in 8 bytes, not counting the first 8. */
struct mf_ip6_ext {
	uint8_t next;
	uint8_t len;
	uint8_t type; /* routing header: type */
	uint8_t body[5];
};
static_assert(sizeof(struct mf_ip6_ext) == 8, "IPv6 extension header");

struct mf_ip6_frag {
	uint8_t next;
	uint8_t reserved;
	mf_be16 offset_more; /* offset in the top 13 bits, "more" in the lowest */
	mf_be32 id;
};
static_assert(sizeof(struct mf_ip6_frag) == 8, "IPv6 fragment header");

enum {
	MF_IP6_MIN_MTU = 1280,
	MF_IP6_FRAG_OFFSET = 0xfff8,
	MF_IP6_FRAG_MORE = 0x0001,
};

static inline uint8_t mf_ip6_class(const struct mf_ip6_hdr *h)
{
	return (uint8_t)(mf_be32_get(h->version_class_flow) >> 20);
}

#endif
