/* SPDX-License-Identifier: Apache-2.0
 *
 * host-input - the host stack's turn: sessions that something has happened to, and timers that are due. What
 * they send to apps begins here.
 *
 * It is no input that a pass polls: the worker runs it once the packets of the pass have reached their
 * sessions, so that what they ask for is answered in the same pass.
 */
#include "nodes/host_port.h"

#include "graph/cycles.h"

enum { NEXT_TUN_OUTPUT, NEXT_WG_OUTPUT, NEXT_DROP };

static uint32_t host_input_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			       uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;
	uint64_t start = mf_cycles(), before = w->emitted;

	(void)pkts;
	(void)next;
	(void)n;
	w->turns = mf_host_run(w->stack, g->now);
	if (w->turns || w->emitted != before) {
		mf_count(&node->calls, 1);
		mf_count(&node->packets, w->emitted - before);
		mf_count(&node->cycles, mf_cycles() - start);
	}
	return 0;
}

const struct mf_node_def mf_node_host_input = {
	.name = "host-input",
	.run = host_input_run,
	.next = { [NEXT_TUN_OUTPUT] = "tun-output", [NEXT_WG_OUTPUT] = "wg-output", [NEXT_DROP] = "drop" },
	.does = "serves sessions: reads their far sides, sends what apps are to get",
};
