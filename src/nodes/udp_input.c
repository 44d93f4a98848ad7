/* SPDX-License-Identifier: Apache-2.0
 *
 * udp-input - receives datagrams, and batches of them (UDP_GRO), on the ports of this worker.
 */
#include "nodes/worker.h"

enum { NEXT_WG_INPUT };

static uint32_t receive(struct mf_worker *w, uint32_t slot, const struct mf_udp_port *port,
			struct mf_pkt **pkts, uint32_t max)
{
	struct mf_ledger *l = &w->graph.ledger;
	uint32_t n, wire = 0;
	size_t bytes = 0;

	if (!port->recv)
		return 0;
	n = (uint32_t)port->recv(port->ctx, w->pool, pkts, max);
	for (uint32_t i = 0; i < n; i++) {
		pkts[i]->rx_port = (uint8_t)slot;
		wire += mf_pkt_wire_count(pkts[i]);
		bytes += pkts[i]->len;
	}
	if (n) {
		mf_count(&l->received_udp, wire);
		mf_count(&l->bytes_udp_in, bytes);
	}
	return n;
}

static uint32_t udp_input_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			      uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;

	(void)node;
	n = 0;
	/* In turn: a frame may be full before all slots have been looked at. */
	if (++w->udp_first >= w->udp_slots)
		w->udp_first = 0;
	for (uint32_t i = 0; i < w->udp_slots; i++) {
		uint32_t slot = (w->udp_first + i) % w->udp_slots;

		for (unsigned family = 0; family < 2 && n + MF_UDP_BATCH <= MF_FRAME_MAX; family++)
			n += receive(w, slot, &w->udp[slot].port[family], pkts + n, MF_UDP_BATCH);
	}
	for (uint32_t i = 0; i < n; i++)
		next[i] = NEXT_WG_INPUT;
	return n;
}

const struct mf_node_def mf_node_udp_input = {
	.name = "udp-input",
	.run = udp_input_run,
	.input = true,
	.next = { [NEXT_WG_INPUT] = "wg-input" },
	.does = "receives datagrams and batches of them from the UDP sockets",
};
