/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/udp.h"

#include "wire/gso.h"
#include "wire/ip.h"

enum mf_drop mf_udp_input(struct mf_pkt *p)
{
	const struct mf_udp_hdr *u = (const void *)(p->data + p->l4_off);
	uint32_t n = p->len - p->l4_off, len;
	bool left_to_us = p->flags & MF_PKT_NEEDS_CSUM && p->csum_start == p->l4_off;

	if (n < sizeof(*u))
		return MF_DROP_L4_TRUNCATED;
	len = mf_be16_get(u->len);
	if (len < sizeof(*u) || len > n)
		return MF_DROP_L4_TRUNCATED;
	/* That of a packet in the packet: it must be right when the bytes leave. */
	if (!left_to_us)
		mf_gso_finish_csum(p);
	p->len = p->l4_off + len;
	if (left_to_us)
		return MF_DROP_NONE;
	if (!mf_be16_get(u->csum)) /* RFC 768; RFC 8200 8.1 */
		return p->ip_version == 4 ? MF_DROP_NONE : MF_DROP_L4_CHECKSUM;
	return mf_ip_l4_csum_ok(p) ? MF_DROP_NONE : MF_DROP_L4_CHECKSUM;
}
