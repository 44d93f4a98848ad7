/* SPDX-License-Identifier: Apache-2.0
 *
 * keypair - one session: two traffic keys, a nonce counter, a replay window.
 *
 * Life (white paper, sections 6.1 to 6.3). A peer has up to three:
 *   next     - we are the responder and have not heard from the initiator on it: receive only.
 *              Becomes current when its first packet has been authenticated.
 *   current  - the one we send with.
 *   previous - what current was before: still received with.
 * The initiator's new keypair becomes current at once, because the response confirmed it. A keypair
 * is not used any more after 180 s, and is wiped 540 s after the last handshake at the latest.
 *
 * Made and retired by the control thread. Workers may use what they got from mf_wg_claim and
 * mf_wg_find until their next quiet point, even when it has been retired meanwhile.
 */
#ifndef MF_WG_KEYPAIR_H
#define MF_WG_KEYPAIR_H

#include "crypto/aead.h"
#include "proto/wg/index_table.h"
#include "proto/wg/noise.h"
#include "proto/wg/replay.h"

struct mf_wg_peer;

struct mf_wg_keypair {
	/* Never changes while a worker can see it. */
	struct mf_wg_indexed indexed; /* our index: what the peer calls us by */
	uint32_t remote_index;        /* the receiver index of what we send */
	bool initiator;               /* we were; so it is our task to renew it */
	struct mf_wg_peer *peer;
	mf_nsec birth;
	struct mf_aead_key send, recv;

	/* Set once by workers. */
	_Atomic bool confirmed;   /* something was received with it */
	_Atomic bool rekey_asked; /* on receive, at 165 s: once */
	/* Set once by the control thread: not `next`, so there is nothing to confirm. */
	_Atomic bool settled;

	_Atomic uint64_t next_counter MF_ALIGNED(MF_CACHE_LINE); /* of what we send */

	_Atomic bool replay_lock MF_ALIGNED(MF_CACHE_LINE);
	struct mf_wg_replay replay; /* of what we receive */
};

/* A new keypair without index. NULL: out of memory. */
struct mf_wg_keypair *mf_wg_keypair_new(struct mf_wg_peer *p, const struct mf_wg_noise_keys *keys,
					bool initiator, mf_nsec now);
/* Wipes and frees; a function for host->defer. */
void mf_wg_keypair_free(void *keypair);

static inline mf_nsec mf_wg_keypair_age(const struct mf_wg_keypair *k, mf_nsec now)
{
	return now > k->birth ? now - k->birth : 0;
}

/* May it still be used for sending? */
static inline bool mf_wg_keypair_fresh(const struct mf_wg_keypair *k, mf_nsec now)
{
	return mf_wg_keypair_age(k, now) < MF_WG_REJECT_AFTER_TIME * MF_SEC &&
	       atomic_load_explicit(&k->next_counter, memory_order_relaxed) <
		       MF_WG_REJECT_AFTER_MESSAGES;
}

/* Is it time to make a new one because of what we send? */
static inline bool mf_wg_keypair_wants_rekey(const struct mf_wg_keypair *k, mf_nsec now)
{
	return (k->initiator && mf_wg_keypair_age(k, now) >= MF_WG_REKEY_AFTER_TIME * MF_SEC) ||
	       atomic_load_explicit(&k->next_counter, memory_order_relaxed) >
		       MF_WG_REKEY_AFTER_MESSAGES;
}

/* Claims n nonces. False: there are not that many left. Any thread. */
bool mf_wg_keypair_claim(struct mf_wg_keypair *k, uint32_t n, uint64_t *first);

#endif
