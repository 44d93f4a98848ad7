/* SPDX-License-Identifier: Apache-2.0
 *
 * icmp - ICMPv4 (RFC 792) and ICMPv6 (RFC 4443) headers, and the errors that we send about packets.
 */
#ifndef MF_WIRE_ICMP_H
#define MF_WIRE_ICMP_H

#include "base/endian.h"
#include "base/pkt.h"

struct mf_icmp_hdr {
	uint8_t type;
	uint8_t code;
	mf_be16 csum;
	mf_be32 rest; /* MTU (RFC 1191: low half), id and sequence, or unused */
};
static_assert(sizeof(struct mf_icmp_hdr) == 8, "ICMP header");

enum {
	MF_ICMP4_ECHO_REPLY = 0,
	MF_ICMP4_UNREACHABLE = 3,
	MF_ICMP4_SOURCE_QUENCH = 4,
	MF_ICMP4_REDIRECT = 5,
	MF_ICMP4_ECHO = 8,
	MF_ICMP4_TIME_EXCEEDED = 11,
	MF_ICMP4_PARAMETER = 12,
	MF_ICMP6_UNREACHABLE = 1,
	MF_ICMP6_TOO_BIG = 2,
	MF_ICMP6_TIME_EXCEEDED = 3,
	MF_ICMP6_PARAMETER = 4,
	MF_ICMP6_ECHO = 128,
	MF_ICMP6_ECHO_REPLY = 129,
	MF_ICMP6_REDIRECT = 137,
	MF_ICMP_CSUM_OFF = 2,
};

/* What went wrong; each has an ICMPv4 and an ICMPv6 form. */
enum mf_icmp_error {
	MF_ICMP_NO_ROUTE,          /* v4 3/0  v6 1/0 */
	MF_ICMP_HOST_UNREACHABLE,  /* v4 3/1  v6 1/3 */
	MF_ICMP_PORT_UNREACHABLE,  /* v4 3/3  v6 1/4 */
	MF_ICMP_PROHIBITED,        /* v4 3/13 v6 1/1 */
	MF_ICMP_PROTO_UNREACHABLE, /* v4 3/2  v6 4/1, which points at the next-header byte */
	MF_ICMP_TOO_BIG,           /* v4 3/4  v6 2/0, with the MTU */
	MF_ICMP_TTL_EXCEEDED,      /* v4 11/0 v6 3/0 */
};

/* The error about packet `about` (after mf_ip_input), from `src` (of the same family) to the packet's
 * source. `mtu` is for MF_ICMP_TOO_BIG only; less than 1280 is sent as 1280 in IPv6 (RFC 8200 5).
 * Quotes as much as fits in 576 bytes (RFC 1812 4.3.2.3) or 1280 (RFC 4443 2.4(c)); of a super-packet
 * the quoted lengths are those of its first segment.
 * Returns a small packet of `pool` that the caller owns, or NULL: RFC 1122 3.2.2 or RFC 4443 2.4(e)
 * forbids the error (mf_icmp_error_allowed), or no packet is free. Rate limits are the caller's. */
struct mf_pkt *mf_icmp_error(struct mf_pkt_pool *pool, const struct mf_pkt *about,
			     const struct mf_addr *src, enum mf_icmp_error what, uint32_t mtu);

/* An error that somebody else has found out: `type`, `code` and `rest` as they are, about a packet of which
 * quote[0..n) is the start (checked: mf_ip_quoted), from `src` (of its family) to its source. Returns as
 * mf_icmp_error does. */
struct mf_pkt *mf_icmp_error_quoting(struct mf_pkt_pool *pool, const uint8_t *quote, size_t n,
				     const struct mf_addr *src, const struct mf_icmp_hdr *error);

/* Is that an error that this IP version knows, and one that is about a packet (no redirect, no source
 * quench)? */
bool mf_icmp_is_error(uint8_t ip_version, uint8_t type);

/* May an error of this kind be sent about p? Never about ICMP errors, non-first fragments,
 * multicasts and broadcasts (but "too big" about an IPv6 multicast), or sources that are no single
 * host's. */
bool mf_icmp_error_allowed(const struct mf_pkt *p, enum mf_icmp_error what);

/* The path MTU that an ICMP error in p announces (fragmentation needed, packet too big), 0 if p is not
 * one. For ICMPv4 without an MTU (before RFC 1191) returns 576. */
uint32_t mf_icmp_path_mtu(const struct mf_pkt *p);

#endif
