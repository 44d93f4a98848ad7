/* SPDX-License-Identifier: Apache-2.0
 *
 * vpn - an outbound whose streams and datagrams are our own, through an L3VPN interface.
 *
 * The local address is the TUN's, which is translated on its way into the VPN as an app's is; the port lies
 * above those that the system gives to apps, so that no app can be using it towards the same server. What
 * comes back is told from what is for apps by that port and by the session that has it.
 */
#include "host/vpn.h"

#include "wire/icmp.h"
#include "wire/ip.h"

enum { PORT_FIRST = 61000, PORT_TRIES = 16 };

/* ---- Sessions ---------------------------------------------------------------------------------------- */

static struct mf_session *take_port(struct mf_vpn *v, struct mf_flow_key *k,
				    const struct mf_session_ops *ops, bool inner)
{
	struct mf_host *h = v->host;

	for (int i = 0; i < PORT_TRIES; i++) {
		struct mf_session *s;

		k->dport = (uint16_t)(PORT_FIRST +
				      mf_rng_u32(&h->tcp.rng) % (UINT16_MAX + 1 - PORT_FIRST));
		s = mf_host_own_session(h, k, v->hop, ops, inner);
		if (s)
			return s;
	}
	return NULL;
}

struct mf_session *mf_vpn_session(struct mf_vpn *v, uint8_t proto, const struct mf_target *to,
				  const struct mf_session_ops *ops, uint8_t *why)
{
	struct mf_host *h = v->host;
	const struct mf_addr *local = to->addr.addr.family == MF_AF_IP4 ? &h->cfg.tunnel4
									: &h->cfg.tunnel6;
	struct mf_flow_key k = {
		.family = to->addr.addr.family,
		.proto = proto,
		.side = MF_SIDE_OURS,
	};
	struct mf_session *s;

	if (!local->family) {
		*why = MF_STREAM_E_NET_UNREACHABLE;
		return NULL;
	}
	memcpy(k.dst, local->b, sizeof(k.dst));
	if (proto == MF_IPPROTO_TCP) {
		memcpy(k.src, to->addr.addr.b, sizeof(k.src));
		k.sport = to->addr.port;
	} else {
		k.hop = (uint8_t)v->hop;
	}
	s = take_port(v, &k, ops, to->app.addr.family != MF_AF_NONE);
	if (!s) {
		*why = MF_STREAM_E_NO_RESOURCES;
		return NULL;
	}
	h->n_own++;
	s->facts.app = (struct mf_endpoint){ .addr = *local, .port = s->flow.key.dport };
	s->facts.dst = to->addr;
	return s;
}

void mf_vpn_up(struct mf_session *s, size_t bytes, uint32_t packets)
{
	if (!s->inner)
		mf_session_up(s, bytes, packets);
	else
		s->facts.last = s->host->now;
}

void mf_vpn_down(struct mf_session *s, size_t bytes, uint32_t packets)
{
	if (!s->inner)
		mf_session_down(s, bytes, packets);
	else
		s->facts.last = s->host->now;
}

void mf_vpn_emit(struct mf_session *s, struct mf_pkt *p)
{
	struct mf_host *h = s->host;

	p->next_hop = s->facts.hop;
	h->port.into_vpn(h->port.ctx, p);
}

void mf_session_vpn_emit(struct mf_session *s, struct mf_pkt *p)
{
	mf_vpn_up(s, 0, p->segments);
	mf_vpn_emit(s, p);
}

/* ---- What comes out of a VPN ------------------------------------------------------------------------- */

/* An error about something that we have sent, perhaps. */
static bool error_key(const struct mf_pkt *p, struct mf_flow_key *k)
{
	size_t at = p->l4_off + sizeof(struct mf_icmp_hdr);
	struct mf_pkt q;

	return p->len > at && mf_icmp_is_error(p->ip_version, p->data[p->l4_off]) &&
	       mf_ip_quoted(&q, p->data + at, p->len - at) && mf_host_quoted_key(p, &q, k) &&
	       q.l4_proto != MF_IPPROTO_ICMP && q.l4_proto != MF_IPPROTO_ICMP6;
}

static bool claimed_key(const struct mf_pkt *p, struct mf_flow_key *k)
{
	switch (p->l4_proto) {
	case MF_IPPROTO_TCP:
	case MF_IPPROTO_UDP:
		return mf_host_key(p, k);
	case MF_IPPROTO_ICMP:
	case MF_IPPROTO_ICMP6:
		return error_key(p, k);
	default:
		return false;
	}
}

bool mf_host_claims(const struct mf_host *h, struct mf_pkt *p)
{
	struct mf_flow_key k;

	if (MF_LIKELY(!h->n_own && !h->owners) || mf_ip_is_fragment(p))
		return false;
	p->flags |= MF_PKT_FROM_VPN;
	if (claimed_key(p, &k) && k.dport >= PORT_FIRST && mf_host_knows(h, &k))
		return true;
	p->flags &= (uint8_t)~MF_PKT_FROM_VPN;
	return false;
}

/* ---- The outbound ------------------------------------------------------------------------------------ */

static const struct mf_outbound_ops vpn_ops = {
	.name = "vpn",
	.stream_open = mf_vpn_stream_open,
	.stream_write = mf_vpn_stream_write,
	.stream_read = mf_vpn_stream_read,
	.stream_shutdown = mf_vpn_stream_shutdown,
	.stream_close = mf_vpn_stream_close,
	.stream_info = mf_vpn_stream_info,
	.dgram_open = mf_vpn_dgram_open,
	.dgram_send = mf_vpn_dgram_send,
	.dgram_recv = mf_vpn_dgram_recv,
	.dgram_error = mf_vpn_dgram_error,
	.dgram_close = mf_vpn_dgram_close,
};

void mf_vpn_init(struct mf_vpn *v, struct mf_host *h, uint32_t hop, uint32_t mtu)
{
	*v = (struct mf_vpn){ .out = { .ops = &vpn_ops, .ctx = v }, .host = h, .hop = hop, .mtu = mtu };
}
