/* SPDX-License-Identifier: Apache-2.0
 *
 * reject - a route to `reject`: TCP is answered with a reset as if the destination had refused
 * (RFC 9293, 3.10.7.1), everything else is dropped silently.
 */
#include "nodes/worker.h"

#include "wire/tcp.h"

enum { NEXT_TUN_OUTPUT, NEXT_DROP, TCP = 6 };

static uint32_t reject_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			   uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;

	for (uint32_t i = 0; i < n; i++) {
		struct mf_pkt *reset = NULL;

		if (pkts[i]->l4_proto == TCP)
			reset = mf_tcp_reset(w->pool, pkts[i]);
		if (reset) {
			mf_count(&g->ledger.created, 1);
			mf_graph_put(g, mf_node_next(g, node, NEXT_TUN_OUTPUT), reset);
		}
		next[i] = NEXT_DROP;
	}
	return n;
}

const struct mf_node_def mf_node_reject = {
	.name = "reject",
	.run = reject_run,
	.next = { [NEXT_TUN_OUTPUT] = "tun-output", [NEXT_DROP] = "drop" },
	.does = "answers TCP with a reset, drops the rest",
};
