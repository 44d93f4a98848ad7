/* SPDX-License-Identifier: Apache-2.0
 *
 * ip - what the engine asks of a packet of either IP version: is it well formed, whose is it, which
 * flow does it belong to, which congestion mark does it carry.
 */
#ifndef MF_WIRE_IP_H
#define MF_WIRE_IP_H

#include "base/pkt.h"
#include "wire/ip4.h"
#include "wire/ip6.h"

/* Validates the IP header of p and sets ip_version, l4_off and l4_proto (0 for a fragment other than
 * the first). p->len shrinks to what the length field says. A first fragment has an L4 header that
 * need not be whole. Refuses IPv4 source routes (RFC 7126 4.3, 4.4), IPv6 routing header type 0
 * (RFC 5095), jumbograms, and options or extension headers that do not fit.
 * A super-packet's length field covers all of it: what is trimmed is the same.
 * Returns MF_DROP_NONE or why the packet must be dropped; then only ip_version may have changed. */
enum mf_drop mf_ip_input(struct mf_pkt *p);

/* Reads the start of a packet, as ICMP errors quote it: n bytes that need not be all of it, and of which
 * nobody says that they are right. Sets data and len of q (they point into the bytes), ip_version, l4_off and
 * l4_proto as mf_ip_input would; checks lengths only. False: not an IP header and at least 8 bytes behind. */
bool mf_ip_quoted(struct mf_pkt *q, const uint8_t *ip, size_t n);

/* Looks at n bytes that may be an IP packet with padding behind it: the length that its header gives,
 * or 0 if that is more than n or there is no such header. Checks nothing else. */
size_t mf_ip_peek_len(const uint8_t *ip, size_t n);

/* Addresses that a packet from an app may not have as its source, and destinations that must not be
 * forwarded (after mf_ip_input). MF_DROP_IP_MARTIAN_SOURCE / _DESTINATION or MF_DROP_NONE. */
enum mf_drop mf_ip_martian_source(const struct mf_pkt *p);
enum mf_drop mf_ip_martian_destination(const struct mf_pkt *p);

/* True if the (after mf_ip_input) packet is a fragment: of IPv4, or an IPv6 one with a fragment header
 * that is not atomic (RFC 6946). */
bool mf_ip_is_fragment(const struct mf_pkt *p);

/* Is the TCP, UDP or ICMPv6 checksum of p right (after mf_ip_input; not a fragment, not asked to be
 * completed, L4 header whole)? What a UDP checksum of 0 means is the caller's business. */
bool mf_ip_l4_csum_ok(const struct mf_pkt *p);

/* TTL or hop limit. A tunnel interface is a link: it takes nothing from it, but what has none left must
 * not be sent (RFC 1812 5.3.1, RFC 8200 3). `ip` has a whole IP header. */
static inline uint8_t mf_ip_ttl(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[offsetof(struct mf_ip4_hdr, ttl)]
			       : ip[offsetof(struct mf_ip6_hdr, hop_limit)];
}

/* Hash of addresses, L4 protocol and ports (after mf_ip_input); the same for both directions of a
 * flow. Fragments hash by addresses only, so that all of them meet. Not for tables an attacker fills. */
uint32_t mf_flow_hash(const struct mf_pkt *p);

/* p->ip_version is 4 or 6. */
static inline struct mf_addr mf_ip_src(const struct mf_pkt *p)
{
	return p->ip_version == 4 ? mf_addr_ip4(p->data + offsetof(struct mf_ip4_hdr, src))
				  : mf_addr_ip6(p->data + offsetof(struct mf_ip6_hdr, src));
}

static inline struct mf_addr mf_ip_dst(const struct mf_pkt *p)
{
	return p->ip_version == 4 ? mf_addr_ip4(p->data + offsetof(struct mf_ip4_hdr, dst))
				  : mf_addr_ip6(p->data + offsetof(struct mf_ip6_hdr, dst));
}

/* The address where it stands in the packet: 4 or 16 bytes, network order. p->ip_version is 4 or 6. */
static inline const uint8_t *mf_ip_src_bytes(const struct mf_pkt *p)
{
	return p->data + (p->ip_version == 4 ? offsetof(struct mf_ip4_hdr, src)
					     : offsetof(struct mf_ip6_hdr, src));
}

static inline const uint8_t *mf_ip_dst_bytes(const struct mf_pkt *p)
{
	return p->data + (p->ip_version == 4 ? offsetof(struct mf_ip4_hdr, dst)
					     : offsetof(struct mf_ip6_hdr, dst));
}

/* The same for bytes of which mf_ip_peek_len said that they are a packet. */
static inline struct mf_addr mf_ip_bytes_src(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? mf_addr_ip4(ip + offsetof(struct mf_ip4_hdr, src))
			       : mf_addr_ip6(ip + offsetof(struct mf_ip6_hdr, src));
}

/* ECN codepoints (RFC 3168). */
enum { MF_ECN_NOT_ECT = 0, MF_ECN_ECT1 = 1, MF_ECN_ECT0 = 2, MF_ECN_CE = 3, MF_ECN_DROP = -1 };

/* Type of service or traffic class, and its ECN half. `ip` has a whole IP header. */
static inline uint8_t mf_ip_tos(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
}

static inline uint8_t mf_ip_ecn(const uint8_t *ip)
{
	return mf_ip_tos(ip) & 3;
}

/* Sets the ECN half; an IPv4 header checksum is kept right (RFC 1624). */
void mf_ip_set_ecn(uint8_t *ip, uint8_t ecn);

/* RFC 6040 4.2: the ECN codepoint of the inner packet when it leaves the tunnel, or MF_ECN_DROP: the
 * outer one was CE and the inner one cannot say so. */
static inline int mf_ecn_decap(uint8_t inner, uint8_t outer)
{
	if (outer == MF_ECN_CE)
		return inner == MF_ECN_NOT_ECT ? MF_ECN_DROP : MF_ECN_CE;
	if (outer == MF_ECN_ECT1 && inner == MF_ECN_ECT0)
		return MF_ECN_ECT1;
	return inner;
}

/* RFC 6040 4.1, normal mode: the outer codepoint is the inner one. Here for symmetry. */
static inline uint8_t mf_ecn_encap(uint8_t inner)
{
	return inner & 3;
}

#endif
