/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/reclaim.h"

#include <stdlib.h>

void mf_reclaim_init(struct mf_reclaim *r, struct mf_shared *shared, struct mf_worker **workers,
		     unsigned n_workers)
{
	*r = (struct mf_reclaim){ .shared = shared, .workers = workers, .n_workers = n_workers };
	r->newest = &r->oldest;
}

/* The last epoch that every worker has left behind. */
static uint64_t passed(const struct mf_reclaim *r)
{
	uint64_t least = UINT64_MAX;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < r->n_workers; i++) {
		const struct mf_worker *w = r->workers[i];
		uint64_t seen = __atomic_load_n(&w->seen, __ATOMIC_ACQUIRE);
		/* A sleeper that has orders wakes up and looks at what they name. In this order: a worker
		 * is awake while it empties its ring. */
		bool orders = mf_ring_len(w->orders) > 0;

		if (__atomic_load_n(&w->sleeping, __ATOMIC_SEQ_CST) == MF_WORKER_QUIET && !orders)
			continue;
		if (seen < least)
			least = seen;
	}
	return least;
}

uint32_t mf_reclaim_run(struct mf_reclaim *r)
{
	uint64_t limit;

	if (!r->oldest)
		return 0;
	limit = passed(r);
	while (r->oldest && r->oldest->epoch <= limit) {
		struct mf_deferred *d = r->oldest;

		r->oldest = d->next;
		if (!r->oldest)
			r->newest = &r->oldest;
		r->waiting--;
		d->fn(d->obj);
		free(d);
	}
	return r->waiting;
}

void mf_reclaim_defer(struct mf_reclaim *r, void (*fn)(void *obj), void *obj)
{
	uint64_t epoch = __atomic_add_fetch(&r->shared->epoch, 1, __ATOMIC_SEQ_CST);
	struct mf_deferred *d = malloc(sizeof(*d));

	if (!d) {
		while (passed(r) < epoch)
			;
		fn(obj);
		return;
	}
	*d = (struct mf_deferred){ .fn = fn, .obj = obj, .epoch = epoch };
	*r->newest = d;
	r->newest = &d->next;
	r->waiting++;
}

void mf_reclaim_again(struct mf_reclaim *r)
{
	uint64_t epoch;

	if (!r->oldest)
		return;
	epoch = __atomic_add_fetch(&r->shared->epoch, 1, __ATOMIC_SEQ_CST);
	for (struct mf_deferred *d = r->oldest; d; d = d->next)
		d->epoch = epoch;
}

void mf_reclaim_flush(struct mf_reclaim *r)
{
	while (r->oldest) {
		struct mf_deferred *d = r->oldest;

		r->oldest = d->next;
		d->fn(d->obj);
		free(d);
	}
	r->newest = &r->oldest;
	r->waiting = 0;
}
