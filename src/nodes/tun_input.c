/* SPDX-License-Identifier: Apache-2.0
 *
 * tun-input - reads what the operating system routes into the tunnel: packets and whole super-packets.
 */
#include "nodes/worker.h"

enum { NEXT_IP_INPUT };

static uint32_t tun_input_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			      uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;
	uint32_t wire = 0;
	size_t bytes = 0;

	(void)node;
	(void)n;
	if (!w->tun.recv)
		return 0;
	n = (uint32_t)w->tun.recv(w->tun.ctx, w->pool, pkts, MF_FRAME_MAX, MF_TUN_BATCH_BYTES);
	for (uint32_t i = 0; i < n; i++) {
		wire += mf_pkt_wire_count(pkts[i]);
		bytes += pkts[i]->len;
		next[i] = NEXT_IP_INPUT;
	}
	if (n) {
		mf_count(&g->ledger.received_tun, wire);
		mf_count(&g->ledger.bytes_tun_in, bytes);
	}
	return n;
}

const struct mf_node_def mf_node_tun_input = {
	.name = "tun-input",
	.run = tun_input_run,
	.input = true,
	.next = { [NEXT_IP_INPUT] = "ip-input" },
	.does = "reads packets and super-packets from the TUN device",
};
