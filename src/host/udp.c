/* SPDX-License-Identifier: Apache-2.0
 *
 * udp - UDP mappings: all that an app's port sends and gets, whoever is at the other end.
 *
 * RFC 4787: mapping and filtering are endpoint-independent (REQ-1, REQ-8: a full cone), for IPv4 and IPv6
 * each; packets in either direction keep a mapping (REQ-6), and no ICMP error ends it (REQ-12). Fragments
 * are put together first (REQ-14).
 */
#include "host/settle.h"

#include "wire/csum.h"
#include "wire/gso.h"
#include "wire/ip.h"
#include "wire/reply.h"
#include "wire/udp.h"

enum { UDP_PAYLOAD_MAX = 65535 - sizeof(struct mf_udp_hdr) };

/* ---- From the app -------------------------------------------------------------------------------- */

static void input(struct mf_host *h, struct mf_datagram_batch *b, struct mf_pkt *p)
{
	const struct mf_udp_hdr *u = (const void *)(p->data + p->l4_off);
	enum mf_drop why = mf_udp_input(p);
	uint16_t dport;

	if (why) {
		mf_host_drop(h, p, why);
		return;
	}
	dport = mf_be16_get(u->dport);
	if (MF_UNLIKELY(p->flags & MF_PKT_FROM_VPN))
		mf_vpn_dgram_input(h, p);
	else if (!mf_settle_port(h, dport) || !mf_settle_datagram(h, b, p))
		mf_datagram_input(h, b, &mf_datagram_udp, p, dport);
}

void mf_host_udp(struct mf_host *h, struct mf_pkt **pkts, uint32_t n)
{
	struct mf_datagram_batch b = { .n = 0 };

	for (uint32_t i = 0; i < n; i++) {
		struct mf_pkt *p = mf_host_whole(h, pkts[i]);

		if (MF_LIKELY(p && p->l4_proto == MF_IPPROTO_UDP))
			input(h, &b, p);
		else if (p)
			mf_host_other(h, p);
	}
	mf_datagram_flush(h, &b);
}

/* ---- To the app ---------------------------------------------------------------------------------- */

static void set_offload(struct mf_pkt *p, uint32_t payload)
{
	uint32_t n = p->len - p->l4_off;
	uint64_t sum = p->ip_version == 4 ? mf_csum_pseudo4(mf_ip_src_bytes(p), MF_IPPROTO_UDP, n)
					  : mf_csum_pseudo6(mf_ip_src_bytes(p), MF_IPPROTO_UDP, n);

	p->flags |= MF_PKT_NEEDS_CSUM;
	p->csum_start = p->l4_off;
	p->csum_offset = MF_UDP_CSUM_OFF;
	mf_csum_store(p->data + p->l4_off + MF_UDP_CSUM_OFF, mf_csum_fold(sum));
	if (p->gso_type == MF_GSO_UDP && p->gso_size && payload > p->gso_size) {
		p->segments = (payload + p->gso_size - 1) / p->gso_size;
		return;
	}
	p->gso_type = MF_GSO_NONE;
	p->gso_size = 0;
	p->segments = 1;
}

bool mf_datagram_wrap_udp(struct mf_pkt *p, const struct mf_endpoint *from,
			  const struct mf_endpoint *to)
{
	bool v4 = to->addr.family == MF_AF_IP4;
	uint32_t payload = p->len;
	struct mf_udp_hdr *u;

	if (payload > UDP_PAYLOAD_MAX - (v4 ? sizeof(struct mf_ip4_hdr) : 0))
		return false;
	p->data -= sizeof(*u);
	p->len += (uint32_t)sizeof(*u);
	u = (void *)p->data;
	*u = (struct mf_udp_hdr){
		.sport = mf_be16_of(from->port),
		.dport = mf_be16_of(to->port),
		.len = mf_be16_of((uint16_t)p->len),
	};
	mf_reply_wrap(p, &from->addr, &to->addr, MF_IPPROTO_UDP, p->tos, p->ttl);
	set_offload(p, payload);
	return true;
}

static bool wrap(const struct mf_session *s, struct mf_pkt *p)
{
	return mf_datagram_wrap_udp(p, &p->remote, &s->facts.app);
}

static void quote(const struct mf_session *s, const struct mf_dgram_error *e, uint8_t l4[8])
{
	struct mf_udp_hdr u = {
		.sport = mf_be16_of(s->facts.app.port),
		.dport = mf_be16_of(e->remote.port),
		.len = mf_be16_of(sizeof(u)),
	};

	memcpy(l4, &u, sizeof(u));
}

const struct mf_datagram_kind mf_datagram_udp = {
	.ops = { .turn = mf_datagram_turn, .close = mf_datagram_close },
	.kind = MF_DGRAM_UDP,
	.hdr_len = sizeof(struct mf_udp_hdr),
	.wrap = wrap,
	.quote = quote,
};
