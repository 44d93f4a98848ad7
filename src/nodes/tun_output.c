/* SPDX-License-Identifier: Apache-2.0
 *
 * tun-output - hands packets and merged super-packets to the operating system.
 */
#include "nodes/worker.h"

enum { NEXT_DROP };

/* What came out of a VPN says out of which one (its owner is a peer), what the host stack made is a
 * session's; the rest we have made ourselves. */
static void note_origin(struct mf_graph *g, const struct mf_pkt *p)
{
	const struct mf_snapshot *snap = g->worker->snap;
	const struct mf_next_hop *hop = p->owner ? mf_worker_hop(g->worker, p->owner) : NULL;

	if (!p->owner && p->next_hop < snap->n_hops && snap->hop[p->next_hop].kind == MF_HOP_SESSION)
		hop = &snap->hop[p->next_hop];
	if (hop)
		mf_trace_note(g->trace, p, hop->name);
	else if (!p->owner)
		mf_trace_note(g->trace, p, "made here");
}

static uint32_t tun_output_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			       uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;
	uint32_t failed = 0;

	(void)node;
	if (MF_UNLIKELY(g->trace != NULL))
		for (uint32_t i = 0; i < n; i++)
			if (pkts[i]->trace)
				note_origin(g, pkts[i]);
	if (w->tun.send)
		w->tun.send(w->tun.ctx, w->pool, pkts, n);
	for (uint32_t i = 0; i < n; i++) {
		struct mf_pkt *p = pkts[i];

		if (!w->tun.send)
			p->drop = MF_DROP_TUN_SEND;
		if (MF_UNLIKELY(p->drop)) {
			next[failed] = NEXT_DROP;
			pkts[failed++] = p;
			continue;
		}
		mf_count(&g->ledger.bytes_tun_out, mf_pkt_len(p));
		mf_graph_end(g, p, MF_DELIVERED);
	}
	return failed;
}

const struct mf_node_def mf_node_tun_output = {
	.name = "tun-output",
	.run = tun_output_run,
	.next = { [NEXT_DROP] = "drop" },
	.does = "writes packets and super-packets to the TUN device",
};
