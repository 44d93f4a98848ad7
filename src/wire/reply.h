/* SPDX-License-Identifier: Apache-2.0
 *
 * reply - starts a packet that the engine itself sends: IP header now, L4 checksum at the end.
 * For the builders in this directory, for nodes that answer (DNS), and for what the host stack has received.
 */
#ifndef MF_WIRE_REPLY_H
#define MF_WIRE_REPLY_H

#include "base/pkt.h"

/* A packet from `src` to `dst` (of one family) with room for l4_len bytes at l4_off, which the caller
 * fills in. TTL 64; IPv4: DF and id 0 (RFC 6864 4.1). ip_version, l4_off and l4_proto are set. The
 * caller owns it. Small if it fits, large otherwise; NULL: no packet is free. */
struct mf_pkt *mf_reply_start(struct mf_pkt_pool *pool, const struct mf_addr *src,
			      const struct mf_addr *dst, uint8_t l4_proto, size_t l4_len,
			      uint8_t tos);

/* The same around p's data/len, which are the whole L4 part: the header goes into the headroom in front of
 * it. `ttl` 0: 64. */
void mf_reply_wrap(struct mf_pkt *p, const struct mf_addr *src, const struct mf_addr *dst,
		   uint8_t l4_proto, uint8_t tos, uint8_t ttl);

/* Writes the checksum over the L4 part (pseudo-header included, but for ICMPv4) at csum_off in it. */
void mf_reply_finish(struct mf_pkt *p, uint16_t csum_off);

#endif
