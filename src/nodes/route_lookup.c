/* SPDX-License-Identifier: Apache-2.0
 *
 * route-lookup - longest prefix match of the destination: which interface, drop or reject.
 */
#include "nodes/worker.h"

#include "wire/ip.h"

enum { NEXT_WG_OUTPUT, NEXT_REJECT, NEXT_ICMP_ERROR, NEXT_DROP };

static uint32_t look_up(const struct mf_snapshot *snap, const struct mf_pkt *p)
{
	if (p->ip_version == 4)
		return mf_lpm_lookup4(snap->routes4, mf_load_be32(mf_ip_dst_bytes(p)));
	return mf_lpm_lookup6(snap->routes6, mf_ip_dst_bytes(p));
}

static uint16_t decide(const struct mf_snapshot *snap, struct mf_pkt *p)
{
	p->next_hop = look_up(snap, p);
	switch (snap->hop[p->next_hop].kind) {
	case MF_HOP_WG:
		return NEXT_WG_OUTPUT;
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
	const struct mf_snapshot *snap = g->worker->snap;

	(void)node;
	for (uint32_t i = 0; i < n; i++) {
		if (i + 4 < n)
			__builtin_prefetch(pkts[i + 4]->data);
		next[i] = decide(snap, pkts[i]);
	}
	return n;
}

const struct mf_node_def mf_node_route_lookup = {
	.name = "route-lookup",
	.run = route_lookup_run,
	.next = { [NEXT_WG_OUTPUT] = "wg-output",
		  [NEXT_REJECT] = "reject",
		  [NEXT_ICMP_ERROR] = "icmp-error",
		  [NEXT_DROP] = "drop" },
	.does = "finds the route of the destination by longest prefix match",
};
