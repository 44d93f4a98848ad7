/* SPDX-License-Identifier: Apache-2.0
 *
 * reclaim - frees what workers may still be looking at, once they cannot any more (quiescent state
 * based reclamation: McKenney and Slingwine 1998).
 *
 * The control thread takes an object out of every place where a worker could find it, then defers its
 * end: that begins a new epoch. A worker that has seen the epoch at a quiet point (between two passes,
 * without jobs), or that sleeps, cannot hold the object.
 */
#ifndef MF_RECLAIM_H
#define MF_RECLAIM_H

#include "nodes/worker.h"

struct mf_deferred {
	void (*fn)(void *obj);
	void *obj;
	uint64_t epoch;
	struct mf_deferred *next;
};

struct mf_reclaim {
	struct mf_shared *shared;
	struct mf_worker **workers;
	unsigned n_workers;
	struct mf_deferred *oldest, **newest;
	uint32_t waiting;
};

void mf_reclaim_init(struct mf_reclaim *r, struct mf_shared *shared, struct mf_worker **workers,
		     unsigned n_workers);
/* Calls fn(obj) later, on the control thread. Out of memory: waits for the workers instead. */
void mf_reclaim_defer(struct mf_reclaim *r, void (*fn)(void *obj), void *obj);
/* Workers have only now been told something that names deferred objects: those wait anew. */
void mf_reclaim_again(struct mf_reclaim *r);
/* Frees what can be freed; returns how many objects still wait. */
uint32_t mf_reclaim_run(struct mf_reclaim *r);
/* No worker runs any more: frees everything. */
void mf_reclaim_flush(struct mf_reclaim *r);

#endif
