/* SPDX-License-Identifier: Apache-2.0
 *
 * host-icmp - the host stack's way in for ICMP: echo requests of apps, and errors about what we have sent
 * them.
 */
#include "nodes/host_port.h"

enum { NEXT_TUN_OUTPUT, NEXT_WG_OUTPUT, NEXT_DROP };

static uint32_t host_icmp_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			      uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;

	(void)node;
	(void)next;
	mf_host_port_give(w, pkts, n);
	mf_host_icmp(w->stack, pkts, n);
	return 0;
}

const struct mf_node_def mf_node_host_icmp = {
	.name = "host-icmp",
	.run = host_icmp_run,
	.next = { [NEXT_TUN_OUTPUT] = "tun-output", [NEXT_WG_OUTPUT] = "wg-output", [NEXT_DROP] = "drop" },
	.does = "gives echo requests and ICMP errors to their sessions",
};
