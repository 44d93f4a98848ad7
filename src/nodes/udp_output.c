/* SPDX-License-Identifier: Apache-2.0
 *
 * udp-output - sends datagrams and batches of them (UDP_SEGMENT) on the port of their interface.
 */
#include "nodes/worker.h"

enum { NEXT_DROP };

static struct mf_udp_port *port_of(struct mf_worker *w, const struct mf_pkt *p)
{
	return &w->udp[p->rx_port].port[p->remote.addr.family == MF_AF_IP6];
}

static void send_run(const struct mf_udp_port *port, struct mf_pkt **pkts, uint32_t n)
{
	if (port->send)
		port->send(port->ctx, pkts, n);
	else
		for (uint32_t i = 0; i < n; i++)
			pkts[i]->drop = MF_DROP_UDP_UNREACHABLE;
}

static uint32_t udp_output_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			       uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;
	uint32_t failed = 0;

	(void)node;
	for (uint32_t i = 0; i < n;) {
		const struct mf_udp_port *port = port_of(w, pkts[i]);
		uint32_t start = i;

		while (i < n && port_of(w, pkts[i]) == port)
			i++;
		send_run(port, pkts + start, i - start);
	}
	for (uint32_t i = 0; i < n; i++) {
		struct mf_pkt *p = pkts[i];

		if (MF_UNLIKELY(p->drop)) {
			next[failed] = NEXT_DROP;
			pkts[failed++] = p;
			continue;
		}
		mf_count(&g->ledger.bytes_udp_out, p->len);
		mf_graph_end(g, p, MF_SENT);
	}
	return failed;
}

const struct mf_node_def mf_node_udp_output = {
	.name = "udp-output",
	.run = udp_output_run,
	.next = { [NEXT_DROP] = "drop" },
	.does = "sends datagrams and batches of them from the UDP sockets",
};
