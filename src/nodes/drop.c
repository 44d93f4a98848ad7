/* SPDX-License-Identifier: Apache-2.0
 *
 * drop - where packets end that go nowhere, counted by their reason.
 */
#include "nodes/worker.h"

static uint32_t drop_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			 uint16_t *next, uint32_t n)
{
	(void)node;
	(void)next;
	for (uint32_t i = 0; i < n; i++)
		mf_graph_end(g, pkts[i], MF_DROPPED);
	return 0;
}

const struct mf_node_def mf_node_drop = {
	.name = "drop",
	.run = drop_run,
	.does = "ends packets that go nowhere, by name",
};
