/* SPDX-License-Identifier: Apache-2.0
 *
 * nat - rewrites one address of a packet, one to one and without state: IP header, the checksums that
 * cover it (RFC 1624, RFC 3022 4.2), and the copy inside an ICMP error's quoted packet (RFC 5508).
 */
#ifndef MF_WIRE_NAT_H
#define MF_WIRE_NAT_H

#include "base/pkt.h"

/* Both: p has been through mf_ip_input; `to` is of its family (asserted). A checksum that is only a
 * pseudo-header sum (MF_PKT_NEEDS_CSUM) stays one. A UDP checksum of 0 stays 0 in IPv4. Of fragments
 * other than the first only the IP header changes. In an ICMP error that goes the other way, the
 * quoted packet is the flow's own, so its *opposite* address is rewritten where it equals the old one.
 * Super-packets are fine. */
void mf_nat_source(struct mf_pkt *p, const struct mf_addr *to);
void mf_nat_destination(struct mf_pkt *p, const struct mf_addr *to);

#endif
