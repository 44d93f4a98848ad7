/* SPDX-License-Identifier: Apache-2.0
 *
 * mss - keeps TCP connections that pass through us within the path: the MSS that a SYN announces is
 * lowered to what fits, so that nobody depends on ICMP errors which some firewall eats.
 */
#ifndef MF_WIRE_MSS_H
#define MF_WIRE_MSS_H

#include "base/pkt.h"
#include "wire/ip.h"
#include "wire/tcp.h"

/* The walk through the options, for SYNs only. */
bool mf_mss_clamp_syn(struct mf_pkt *p, uint32_t mtu);

/* Lowers the MSS option of p (after mf_ip_input), if it is a TCP segment with SYN that has one and what
 * it says is more than an `mtu` of so many bytes allows (RFC 6691: MTU less fixed IP and TCP headers). The
 * checksum stays as right or wrong as it was. Returns whether it changed anything. A SYN without the option
 * stands for 536 bytes, or 1220 with IPv6 (RFC 9293, 3.7.1), which every link takes. */
static inline bool mf_mss_clamp(struct mf_pkt *p, uint32_t mtu)
{
	if (MF_LIKELY(p->l4_proto != MF_IPPROTO_TCP) ||
	    p->len < p->l4_off + sizeof(struct mf_tcp_hdr) ||
	    MF_LIKELY(!(p->data[p->l4_off + offsetof(struct mf_tcp_hdr, flags)] & MF_TCP_SYN)))
		return false;
	return mf_mss_clamp_syn(p, mtu);
}

#endif
