/* SPDX-License-Identifier: Apache-2.0 */
#include "nodes/stage.h"

#include <stdlib.h>

#include "nodes/worker.h"

struct mf_stage *mf_stage_new(unsigned n_workers)
{
	size_t size = sizeof(struct mf_stage) + n_workers * sizeof(struct mf_stage_queue);
	struct mf_stage *s = aligned_alloc(MF_CACHE_LINE, mf_round_up(size, MF_CACHE_LINE));

	if (!s)
		return NULL;
	memset(s, 0, size);
	s->n_workers = n_workers;
	for (unsigned i = 0; i < n_workers; i++)
		s->queue[i].tail = &s->queue[i].head;
	return s;
}

void mf_stage_free(struct mf_stage *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n_workers; i++)
		MF_ASSERT(s->queue[i].n == 0);
	free(s);
}

static struct mf_pkt *pop(struct mf_worker *w, struct mf_stage_queue *q)
{
	struct mf_pkt *p = q->head;

	q->head = p->next;
	if (!q->head)
		q->tail = &q->head;
	__atomic_store_n(&q->n, q->n - 1, __ATOMIC_RELAXED);
	w->staged--;
	w->staged_large -= !!(p->flags & MF_PKT_LARGE);
	mf_uncount(&w->graph.ledger.held, mf_pkt_wire_count(p));
	return p;
}

static void push(struct mf_worker *w, struct mf_stage_queue *q, struct mf_pkt *p)
{
	p->next = NULL;
	*q->tail = p;
	q->tail = &p->next;
	__atomic_store_n(&q->n, q->n + 1, __ATOMIC_RELAXED);
	w->staged++;
	w->staged_large += !!(p->flags & MF_PKT_LARGE);
	mf_count(&w->graph.ledger.held, mf_pkt_wire_count(p));
}

/* All peers together may keep no more than a quarter of the worker's packets of each class. */
static bool fits(const struct mf_worker *w, const struct mf_stage_queue *q, const struct mf_pkt *p)
{
	return q->n < w->snap->staged_max && w->staged < w->staged_limit &&
	       (!(p->flags & MF_PKT_LARGE) || w->staged_large < w->staged_large_limit);
}

void mf_stage_put(struct mf_worker *w, struct mf_wg_peer *peer, struct mf_pkt **pkts, uint32_t n)
{
	struct mf_stage *s = mf_wg_peer_user(peer);
	struct mf_stage_queue *q = s ? &s->queue[w->index] : NULL;

	for (uint32_t i = 0; i < n; i++) {
		while (q && q->n && !fits(w, q, pkts[i]))
			mf_worker_drop(w, pop(w, q), MF_DROP_WG_STAGED_FULL);
		if (q && fits(w, q, pkts[i]))
			push(w, q, pkts[i]);
		else
			mf_worker_drop(w, pkts[i], MF_DROP_WG_STAGED_FULL);
	}
}

uint32_t mf_stage_take(struct mf_worker *w, struct mf_wg_peer *peer, struct mf_pkt **out, uint32_t max)
{
	struct mf_stage *s = mf_wg_peer_user(peer);
	uint32_t n = 0;

	if (!s)
		return 0;
	while (n < max && s->queue[w->index].n)
		out[n++] = pop(w, &s->queue[w->index]);
	return n;
}

void mf_stage_drop(struct mf_worker *w, struct mf_wg_peer *peer, enum mf_drop reason)
{
	struct mf_pkt *p;

	while (mf_stage_take(w, peer, &p, 1))
		mf_worker_drop(w, p, reason);
}
