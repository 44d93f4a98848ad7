/* SPDX-License-Identifier: Apache-2.0
 *
 * pg-input - the packet generator's node (nodes/pg.h). It puts packets to any node, so its edges are
 * not in the table.
 */
#include "nodes/pg.h"
#include "nodes/worker.h"

static struct mf_pkt *make(struct mf_pkt_pool *pool, const struct mf_pg_template *t)
{
	struct mf_pkt *p = t->len <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!p)
		return NULL;
	memcpy(p->data, t->bytes, t->len);
	p->len = t->len;
	p->gso_type = t->gso_type;
	p->gso_size = t->gso_size;
	p->segments = t->segments ? t->segments : 1;
	if (t->needs_csum) {
		p->flags |= MF_PKT_NEEDS_CSUM;
		p->csum_start = t->csum_start;
		p->csum_offset = t->csum_offset;
	}
	return p;
}

static uint32_t pg_input_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			     uint16_t *next, uint32_t n)
{
	struct mf_pg *pg = g->worker->pg;
	uint64_t left = pg ? pg->count - pg->sent : 0;
	uint32_t max = (uint32_t)mf_min(left, pg ? pg->per_pass : 0);

	(void)node;
	(void)pkts;
	(void)next;
	for (n = 0; n < max; n++) {
		struct mf_pkt *p =
			make(g->worker->pool, &pg->templates[(pg->sent + n) % pg->n_templates]);

		if (!p)
			break;
		if (pg->edit)
			pg->edit(pg->ctx, p, pg->sent + n);
		mf_count(&g->ledger.created, mf_pkt_wire_count(p));
		mf_graph_put(g, pg->to, p);
	}
	if (n)
		__atomic_store_n(&pg->sent, pg->sent + n, __ATOMIC_RELEASE);
	return 0;
}

const struct mf_node_def mf_node_pg_input = {
	.name = "pg-input",
	.run = pg_input_run,
	.input = true,
	.does = "packet generator: replays packets into any node, for tests and benchmarks",
};
