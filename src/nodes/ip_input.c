/* SPDX-License-Identifier: Apache-2.0
 *
 * ip-input - is it an IP packet, and one that may be forwarded? What comes from apps goes through here.
 */
#include "nodes/worker.h"

#include "wire/ip.h"
#include "wire/vnet.h"

enum { NEXT_ROUTE_LOOKUP, NEXT_DROP };

/* A super-packet of one segment is an ordinary packet whose checksum is to be completed. */
static void make_ordinary(struct mf_pkt *p)
{
	p->gso_type = MF_GSO_NONE;
	p->gso_size = 0;
}

static enum mf_drop check(struct mf_pkt *p)
{
	/* A port may have looked already: then it has said what is wrong, or where L4 begins. */
	enum mf_drop drop = (enum mf_drop)p->drop;

	if (!drop && !p->l4_off)
		drop = mf_ip_input(p);
	if (!drop && (p->gso_type != MF_GSO_NONE || p->flags & MF_PKT_NEEDS_CSUM))
		drop = mf_vnet_check(p);
	if (!drop && p->gso_type != MF_GSO_NONE && p->segments == 1)
		make_ordinary(p);
	if (!drop && !mf_ip_ttl(p->data))
		drop = MF_DROP_IP_TTL;
	if (!drop)
		drop = mf_ip_martian_source(p);
	if (!drop)
		drop = mf_ip_martian_destination(p);
	return drop;
}

static uint32_t ip_input_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			     uint16_t *next, uint32_t n)
{
	(void)g;
	(void)node;
	for (uint32_t i = 0; i < n; i++) {
		pkts[i]->drop = (uint16_t)check(pkts[i]);
		next[i] = pkts[i]->drop ? NEXT_DROP : NEXT_ROUTE_LOOKUP;
	}
	return n;
}

const struct mf_node_def mf_node_ip_input = {
	.name = "ip-input",
	.run = ip_input_run,
	.next = { [NEXT_ROUTE_LOOKUP] = "route-lookup", [NEXT_DROP] = "drop" },
	.does = "validates IP headers, refuses martians",
};
