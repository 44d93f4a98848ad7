/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.h"

#include <stdlib.h>

#include "graph/cycles.h"
#include "graph/trace.h"

static uint16_t index_of(const struct mf_graph *g, const char *name)
{
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (strcmp(g->node[i].def->name, name) == 0)
			return (uint16_t)i;
	MF_ASSERT(false && "an edge names a node that is not in the table");
	return 0;
}

mf_err mf_graph_init(struct mf_graph *g, const struct mf_node_def *const *defs, uint32_t n_defs,
		     struct mf_worker *worker)
{
	MF_ASSERT(n_defs <= MF_NODE_MAX);
	*g = (struct mf_graph){ .worker = worker };
	g->node = calloc(n_defs, sizeof(*g->node));
	if (!g->node)
		return MF_E_NO_MEMORY;
	g->n_nodes = n_defs;
	for (uint32_t i = 0; i < n_defs; i++) {
		g->node[i].def = defs[i];
		g->node[i].index = (uint16_t)i;
	}
	for (uint32_t i = 0; i < n_defs; i++)
		for (uint32_t s = 0; s < MF_NEXT_MAX && defs[i]->next[s]; s++) {
			g->node[i].next[s] = index_of(g, defs[i]->next[s]);
			MF_ASSERT(g->node[i].next[s] > i);
		}
	return MF_OK;
}

void mf_graph_fini(struct mf_graph *g)
{
	free(g->node);
	*g = (struct mf_graph){ 0 };
}

struct mf_node *mf_graph_find(struct mf_graph *g, const char *name)
{
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (strcmp(g->node[i].def->name, name) == 0)
			return &g->node[i];
	return NULL;
}

/* Hands pkts on by runs of equal next[]: one copy where a whole frame goes one way. */
static void forward(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
		    const uint16_t *next, uint32_t n)
{
	for (uint32_t i = 0; i < n;) {
		uint32_t start = i;

		while (i < n && next[i] == next[start])
			i++;
		mf_graph_put_n(g, mf_node_next(g, node, next[start]), pkts + start, i - start);
	}
}

static uint32_t run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts, uint32_t n)
{
	uint16_t next[MF_FRAME_MAX];
	uint64_t start = mf_cycles();
	uint32_t onward;

	if (MF_UNLIKELY(g->trace != NULL) && n)
		mf_trace_frame(g->trace, node, pkts, n, g->now);
	onward = node->def->run(g, node, pkts, next, n);
	if (n || onward) {
		mf_count(&node->calls, 1);
		mf_count(&node->packets, node->def->input ? onward : n);
		mf_count(&node->cycles, mf_cycles() - start);
	}
	forward(g, node, pkts, next, onward);
	return onward;
}

static void run_frame(struct mf_graph *g, struct mf_node *node)
{
	uint32_t n = node->n;

	node->n = 0;
	run(g, node, node->frame, n);
}

void mf_graph_put_n(struct mf_graph *g, struct mf_node *to, struct mf_pkt **pkts, uint32_t n)
{
	while (n) {
		uint32_t k = MF_FRAME_MAX - to->n;

		if (k > n)
			k = n;
		memcpy(to->frame + to->n, pkts, k * sizeof(*pkts));
		to->n += k;
		pkts += k;
		n -= k;
		if (to->n == MF_FRAME_MAX)
			run_frame(g, to);
	}
}

void mf_graph_put(struct mf_graph *g, struct mf_node *to, struct mf_pkt *p)
{
	to->frame[to->n++] = p;
	if (to->n == MF_FRAME_MAX)
		run_frame(g, to);
}

void mf_graph_poll(struct mf_graph *g, struct mf_node *node)
{
	run(g, node, node->frame, 0);
}

void mf_graph_drain(struct mf_graph *g)
{
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (g->node[i].n)
			run_frame(g, &g->node[i]);
}

uint32_t mf_graph_pass(struct mf_graph *g, mf_nsec now)
{
	uint32_t in = 0;

	g->now = now;
	for (uint32_t i = 0; i < g->n_nodes && g->node[i].def->input; i++)
		in += run(g, &g->node[i], g->node[i].frame, 0);
	mf_graph_drain(g);
	return in;
}

void mf_graph_watch(struct mf_graph *g, struct mf_trace *t)
{
	g->trace = t;
	if (t)
		mf_trace_begin(t, ++g->n_traces);
}

void mf_graph_absorb(struct mf_graph *g, struct mf_pkt *p, enum mf_verdict verdict)
{
	if (MF_UNLIKELY(p->trace != 0))
		mf_trace_end(g->trace, p, verdict);
	mf_pkt_free(p);
}

void mf_graph_take(struct mf_graph *g, uint32_t segments, uint32_t trace)
{
	mf_count(&g->ledger.ended[MF_CONSUMED], segments);
	if (MF_UNLIKELY(trace != 0))
		mf_trace_end_record(g->trace, trace, MF_CONSUMED, MF_DROP_NONE);
}

void mf_graph_lose(struct mf_graph *g, enum mf_drop reason, uint32_t n)
{
	mf_count(&g->ledger.ended[MF_DROPPED], n);
	mf_count(&g->ledger.drops[reason], n);
}

void mf_graph_end(struct mf_graph *g, struct mf_pkt *p, enum mf_verdict verdict)
{
	uint32_t n = mf_pkt_wire_count(p);

	if (verdict == MF_DROPPED)
		mf_graph_lose(g, (enum mf_drop)p->drop, n);
	else
		mf_count(&g->ledger.ended[verdict], n);
	mf_graph_absorb(g, p, verdict);
}
