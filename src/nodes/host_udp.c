/* SPDX-License-Identifier: Apache-2.0
 *
 * host-udp - the host stack's way in for UDP: datagrams of apps.
 */
#include "nodes/host_port.h"

enum { NEXT_TUN_OUTPUT, NEXT_WG_OUTPUT, NEXT_DROP };

static uint32_t host_udp_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			     uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;

	(void)node;
	(void)next;
	mf_host_port_give(w, pkts, n);
	mf_host_udp(w->stack, pkts, n);
	return 0;
}

const struct mf_node_def mf_node_host_udp = {
	.name = "host-udp",
	.run = host_udp_run,
	.next = { [NEXT_TUN_OUTPUT] = "tun-output", [NEXT_WG_OUTPUT] = "wg-output", [NEXT_DROP] = "drop" },
	.does = "gives UDP datagrams to their sessions",
};
