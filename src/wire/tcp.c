/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp - the reset.
 */
#include "wire/tcp.h"
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/reply.h"

/* May p be answered with a reset? Only a whole, undamaged segment that is none itself, between two
 * single hosts (RFC 9293 3.10.7.2 for groups and broadcasts, RFC 1122 4.2.3.10). */
static bool may_reset(const struct mf_pkt *p)
{
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);
	size_t n = p->len - p->l4_off;

	if (p->l4_proto != MF_IPPROTO_TCP || n < sizeof(*t) || mf_ip_is_fragment(p) ||
	    mf_tcp_hdr_len(t) < sizeof(*t) || mf_tcp_hdr_len(t) > n || t->flags & MF_TCP_RST)
		return false;
	if (mf_ip_martian_source(p) || mf_ip_martian_destination(p))
		return false;
	return p->flags & MF_PKT_NEEDS_CSUM || mf_ip_l4_csum_ok(p);
}

struct mf_pkt *mf_tcp_reset(struct mf_pkt_pool *pool, const struct mf_pkt *p)
{
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);
	struct mf_addr src, dst;
	struct mf_tcp_hdr *r;
	struct mf_pkt *out;

	if (!may_reset(p))
		return NULL;
	src = mf_ip_dst(p);
	dst = mf_ip_src(p);
	out = mf_reply_start(pool, &src, &dst, MF_IPPROTO_TCP, sizeof(*r), 0);
	if (!out)
		return NULL;
	r = (void *)(out->data + out->l4_off);
	*r = (struct mf_tcp_hdr){ .sport = t->dport, .dport = t->sport, .off = 5 << 4 };
	if (t->flags & MF_TCP_ACK) {
		r->seq = t->ack;
		r->flags = MF_TCP_RST;
	} else {
		uint32_t seg_len = p->len - p->l4_off - (uint32_t)mf_tcp_hdr_len(t);

		seg_len += t->flags & MF_TCP_SYN ? 1 : 0;
		seg_len += t->flags & MF_TCP_FIN ? 1 : 0;
		r->ack = mf_be32_of(mf_be32_get(t->seq) + seg_len);
		r->flags = MF_TCP_RST | MF_TCP_ACK;
	}
	mf_reply_finish(out, MF_TCP_CSUM_OFF);
	return out;
}
