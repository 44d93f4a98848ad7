/* SPDX-License-Identifier: Apache-2.0 */
#include "nodes/handoff.h"

#include <stdio.h>

#include "nodes/host_port.h"
#include "nodes/worker.h"

enum { LOANS = 256 };

struct loan {
	struct mf_pkt *p;
	uint32_t from;
};

mf_err mf_handoff_init(struct mf_handoff *h)
{
	h->in = mf_ring_new(LOANS, sizeof(struct loan));
	h->back = mf_ring_new(LOANS, sizeof(struct mf_pkt *));
	return h->in && h->back ? MF_OK : MF_E_NO_MEMORY;
}

void mf_handoff_fini(struct mf_handoff *h)
{
	mf_ring_free(h->in);
	mf_ring_free(h->back);
}

static void end_trace(struct mf_worker *w, struct mf_pkt *p, unsigned to)
{
	char note[MF_TRACE_NOTE];

	(void)snprintf(note, sizeof(note), "given to worker %u", to);
	mf_trace_note(w->graph.trace, p, note);
	mf_trace_end(w->graph.trace, p, MF_CONSUMED);
}

void mf_handoff_give(struct mf_worker *w, struct mf_pkt *p, unsigned to)
{
	struct mf_worker *target = w->peers[to];
	struct loan loan = { p, w->index };

	if (MF_UNLIKELY(p->trace != 0))
		end_trace(w, p, to);
	if (w->handoff.lent == LOANS || !mf_ring_push(target->handoff.in, &loan)) {
		mf_uncount(&w->graph.ledger.held, mf_pkt_wire_count(p));
		mf_worker_drop(w, p, MF_DROP_HANDOFF_FULL);
		return;
	}
	w->handoff.lent++;
	/* Against mf_worker_sleep, as for orders. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&target->sleeping, __ATOMIC_SEQ_CST) != MF_WORKER_AWAKE)
		w->host.wake_worker(w->host.ctx, to);
}

static struct mf_pkt *copy(struct mf_pkt_pool *pool, const struct mf_pkt *p)
{
	struct mf_pkt *c = p->len <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!c)
		return NULL;
	memcpy(c->data, p->data, p->len);
	c->len = p->len;
	mf_pkt_copy_meta(c, p);
	return c;
}

/* Routes may have changed on the way; but what came out of a VPN for us has no route. */
static void go_on(struct mf_worker *w, struct mf_pkt *p, const struct mf_pkt *loan)
{
	uint8_t from_vpn = loan->flags & MF_PKT_FROM_VPN;

	p->flags |= from_vpn;
	p->next_hop = loan->next_hop;
	mf_graph_put(&w->graph, from_vpn ? mf_host_port_node(w, p) : w->route_lookup, p);
}

static void give_back(struct mf_worker *w, const struct loan *loan)
{
	bool ok = mf_ring_push(w->peers[loan->from]->handoff.back, &loan->p);

	MF_ASSERT(ok); /* nobody has lent more than fit */
}

void mf_handoff_collect(struct mf_worker *w)
{
	struct mf_pkt *p;

	for (; w->handoff.lent && mf_ring_pop(w->handoff.back, &p); w->handoff.lent--)
		mf_pkt_free(p);
}

uint32_t mf_handoff_take(struct mf_worker *w)
{
	struct loan loan;
	uint32_t n = 0;

	if (MF_LIKELY(!w->handoff.in))
		return 0;
	mf_handoff_collect(w);
	for (; n < LOANS && mf_ring_pop(w->handoff.in, &loan); n++) {
		struct mf_pkt *p = copy(w->pool, loan.p);
		uint32_t wire = mf_pkt_wire_count(loan.p);

		mf_uncount(&w->graph.ledger.held, wire);
		if (p)
			go_on(w, p, loan.p);
		else
			mf_graph_lose(&w->graph, MF_DROP_BUFFERS, wire);
		give_back(w, &loan);
	}
	return n;
}

void mf_handoff_refuse(struct mf_worker *w)
{
	struct loan loan;

	while (w->handoff.in && mf_ring_pop(w->handoff.in, &loan)) {
		uint32_t wire = mf_pkt_wire_count(loan.p);

		mf_uncount(&w->graph.ledger.held, wire);
		mf_graph_lose(&w->graph, MF_DROP_SHUTDOWN, wire);
		give_back(w, &loan);
	}
}
