/* SPDX-License-Identifier: Apache-2.0
 *
 * reply - starts a small packet that the engine itself sends: IP header now, L4 checksum at the end.
 * For the builders in this directory and for nodes that answer (DNS).
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

/* Writes the checksum over the L4 part (pseudo-header included, but for ICMPv4) at csum_off in it. */
void mf_reply_finish(struct mf_pkt *p, uint16_t csum_off);

#endif
