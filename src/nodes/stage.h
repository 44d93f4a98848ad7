/* SPDX-License-Identifier: Apache-2.0
 *
 * stage - packets that wait for a WireGuard handshake: a short queue for each peer and worker.
 *
 * One struct mf_stage hangs on each peer (mf_wg_peer_user), made and freed by the control thread; each
 * worker touches only its own queue in it. The oldest packet goes when a queue is full.
 */
#ifndef MF_STAGE_H
#define MF_STAGE_H

#include "base/pkt.h"
#include "proto/wg/wg.h"

struct mf_worker;

struct mf_stage_queue {
	struct mf_pkt *head, **tail;
	uint32_t n; /* atomic: the control thread looks at it */
} MF_ALIGNED(MF_CACHE_LINE);

struct mf_stage {
	unsigned n_workers;
	bool told_up; /* control thread: the log says that the peer has a session */
	struct mf_stage_queue queue[]; /* by worker */
};

/* NULL: out of memory. */
struct mf_stage *mf_stage_new(unsigned n_workers);
/* Every queue must be empty (asserted). */
void mf_stage_free(struct mf_stage *s);

/* Worker: keeps the packets; what no longer fits is dropped, oldest first (MF_DROP_WG_STAGED_FULL).
 * Of all peers' packets together no more than a quarter of each class of memory is kept. */
void mf_stage_put(struct mf_worker *w, struct mf_wg_peer *peer, struct mf_pkt **pkts, uint32_t n);
/* Worker: takes out up to `max` of the oldest. */
uint32_t mf_stage_take(struct mf_worker *w, struct mf_wg_peer *peer, struct mf_pkt **out,
		       uint32_t max);
/* Worker: drops all of them with this reason. */
void mf_stage_drop(struct mf_worker *w, struct mf_wg_peer *peer, enum mf_drop reason);

static inline uint32_t mf_stage_len(const struct mf_wg_peer *peer, unsigned worker)
{
	const struct mf_stage *s = mf_wg_peer_user(peer);

	return s ? __atomic_load_n(&s->queue[worker].n, __ATOMIC_RELAXED) : 0;
}

#endif
