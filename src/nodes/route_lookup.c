/* SPDX-License-Identifier: Apache-2.0
 *
 * route-lookup - longest prefix match of the destination: which interface, drop or reject.
 */
#include "nodes/worker.h"

#include "nodes/dns.h"
#include "wire/fragment.h"
#include "wire/ip.h"

enum {
	NEXT_WG_OUTPUT,
	NEXT_HOST_TCP,
	NEXT_HOST_UDP,
	NEXT_HOST_ICMP,
	NEXT_DNS_INPUT,
	NEXT_REJECT,
	NEXT_ICMP_ERROR,
	NEXT_DROP
};

/* Fragments behind the first one have no L4 header, but say what it is. */
static uint8_t protocol(const struct mf_pkt *p)
{
	struct mf_fragment f;

	if (MF_LIKELY(p->l4_proto) || !mf_fragment_parse(p, &f))
		return p->l4_proto;
	return f.proto;
}

static uint16_t host_node(struct mf_pkt *p)
{
	uint8_t proto = protocol(p);

	if (MF_LIKELY(proto == MF_IPPROTO_TCP))
		return NEXT_HOST_TCP;
	if (proto == MF_IPPROTO_UDP)
		return NEXT_HOST_UDP;
	if (proto == (p->ip_version == 4 ? MF_IPPROTO_ICMP : MF_IPPROTO_ICMP6))
		return NEXT_HOST_ICMP;
	p->drop = MF_DROP_PROTOCOL;
	return NEXT_ICMP_ERROR;
}

static uint16_t decide(const struct mf_worker *w, struct mf_pkt *p)
{
	const struct mf_snapshot *snap = w->snap;
	bool learned;

	if (MF_UNLIKELY(mf_dns_is_asked(w, p))) {
		p->next_hop = MF_HOP_ID_DNS;
		return NEXT_DNS_INPUT;
	}
	p->next_hop = mf_snapshot_learned(snap, mf_ip_dst_bytes(p), p->ip_version);
	learned = p->next_hop != MF_HOP_ID_NONE;
	if (!learned)
		p->next_hop = mf_snapshot_static_route(snap, mf_ip_dst_bytes(p), p->ip_version);
	/* A session stays where it began, whatever the routes say now. */
	if (mf_host_has(w->stack, p))
		return host_node(p);
	if (learned && snap->hop[p->next_hop].kind != MF_HOP_SESSION && mf_host_began(w->stack, p))
		return host_node(p);
	switch (snap->hop[p->next_hop].kind) {
	case MF_HOP_WG:
		return NEXT_WG_OUTPUT;
	case MF_HOP_SESSION:
		return host_node(p);
	case MF_HOP_REJECT:
		p->drop = MF_DROP_POLICY_REJECT;
		return NEXT_REJECT;
	case MF_HOP_DROP:
		p->drop = MF_DROP_POLICY_DROP;
		return NEXT_DROP;
	default:
		p->drop = MF_DROP_NO_ROUTE;
		return NEXT_ICMP_ERROR;
	}
}

static uint32_t route_lookup_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
				 uint16_t *next, uint32_t n)
{
	(void)node;
	for (uint32_t i = 0; i < n; i++) {
		if (i + 4 < n)
			__builtin_prefetch(pkts[i + 4]->data);
		next[i] = decide(g->worker, pkts[i]);
	}
	return n;
}

const struct mf_node_def mf_node_route_lookup = {
	.name = "route-lookup",
	.run = route_lookup_run,
	.next = { [NEXT_WG_OUTPUT] = "wg-output",
		  [NEXT_HOST_TCP] = "host-tcp",
		  [NEXT_HOST_UDP] = "host-udp",
		  [NEXT_HOST_ICMP] = "host-icmp",
		  [NEXT_DNS_INPUT] = "dns-input",
		  [NEXT_REJECT] = "reject",
		  [NEXT_ICMP_ERROR] = "icmp-error",
		  [NEXT_DROP] = "drop" },
	.does = "finds the route of the destination by longest prefix match",
};
