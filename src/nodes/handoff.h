/* SPDX-License-Identifier: Apache-2.0
 *
 * handoff - gives a packet to the worker that has its session: the first ones of a mapping to a new
 * destination, or fragments, may come in on another worker's queue.
 *
 * Packets belong to the pool of one worker, so what crosses over is a loan: the owner of the session copies
 * the packet into one of its own, puts that to its graph, and gives the loan back, to be freed by whom it
 * belongs to. A worker lends no more than fit the ring on which they come back, so nobody ever waits.
 */
#ifndef MF_HANDOFF_H
#define MF_HANDOFF_H

#include "base/pkt.h"
#include "base/ring.h"

struct mf_worker;

struct mf_handoff {
	struct mf_ring *in;   /* loans from other workers; NULL: there is only one */
	struct mf_ring *back; /* what others have borrowed */
	uint32_t lent;        /* not back yet */
};

/* MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_handoff_init(struct mf_handoff *h);
void mf_handoff_fini(struct mf_handoff *h);

/* Lends p to worker `to`; or drops it (MF_DROP_HANDOFF_FULL). In this worker's ledger it stays `held`: the
 * borrower takes it out of its own, so that only their sum says what is held. */
void mf_handoff_give(struct mf_worker *w, struct mf_pkt *p, unsigned to);
/* Frees what has come back and takes what others have given; returns how many packets those were. */
uint32_t mf_handoff_take(struct mf_worker *w);
/* Is there something to take? Then a worker must not sleep. */
static inline bool mf_handoff_waiting(const struct mf_handoff *h)
{
	return h->in && mf_ring_len(h->in);
}
/* No worker runs any more: what was given to this one is dropped, so that all packets can go home. */
void mf_handoff_refuse(struct mf_worker *w);
/* The same: what others had is back. */
void mf_handoff_collect(struct mf_worker *w);

#endif
