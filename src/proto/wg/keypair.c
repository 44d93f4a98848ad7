/* SPDX-License-Identifier: Apache-2.0
 *
 * keypair - see keypair.h.
 */
#include "proto/wg/keypair.h"

#include "proto/wg/wg.h"

#include <stdlib.h>

struct mf_wg_keypair *mf_wg_keypair_new(struct mf_wg_peer *p, const struct mf_wg_noise_keys *keys,
					bool initiator, mf_nsec now)
{
	struct mf_wg_keypair *k = aligned_alloc(MF_CACHE_LINE, sizeof(*k));

	if (!k)
		return NULL;
	memset(k, 0, sizeof(*k));
	k->indexed.kind = MF_WG_INDEXED_KEYPAIR;
	k->initiator = initiator;
	k->peer = p;
	k->birth = now;
	k->remote_index = keys->remote_index;
	mf_aead_key_init(&k->send, keys->send);
	mf_aead_key_init(&k->recv, keys->recv);
	return k;
}

void mf_wg_keypair_free(void *keypair)
{
	struct mf_wg_keypair *k = keypair;

	mf_aead_key_wipe(&k->send);
	mf_aead_key_wipe(&k->recv);
	free(k);
}

/* Near the end of the nonces every claim is exact. Before that, an unconditional add is enough: not even
 * all threads together can add as much as the margin between a look and an add. */
#define MARGIN ((uint64_t)1 << 30)

static bool claim_exactly(struct mf_wg_keypair *k, uint32_t n, uint64_t *first)
{
	uint64_t at = atomic_load_explicit(&k->next_counter, memory_order_relaxed);

	do {
		if (at > MF_WG_REJECT_AFTER_MESSAGES - n)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&k->next_counter, &at, at + n,
							memory_order_relaxed, memory_order_relaxed));
	*first = at;
	return true;
}

bool mf_wg_keypair_claim(struct mf_wg_keypair *k, uint32_t n, uint64_t *first)
{
	MF_ASSERT(n <= 32768);
	if (MF_UNLIKELY(atomic_load_explicit(&k->next_counter, memory_order_relaxed) >
			MF_WG_REJECT_AFTER_MESSAGES - MARGIN))
		return claim_exactly(k, n, first);
	*first = atomic_fetch_add_explicit(&k->next_counter, n, memory_order_relaxed);
	return true;
}

enum mf_drop mf_wg_receive_check(const struct mf_wg_keypair *k, mf_nsec now, uint64_t counter)
{
	if (MF_UNLIKELY(mf_wg_keypair_age(k, now) >= MF_WG_REJECT_AFTER_TIME * MF_SEC))
		return MF_DROP_WG_EXPIRED;
	if (MF_UNLIKELY(counter >= MF_WG_REJECT_AFTER_MESSAGES))
		return MF_DROP_WG_COUNTER;
	return MF_DROP_NONE;
}

/* Held for some dozens of instructions. */
static void lock(struct mf_wg_keypair *k)
{
	while (atomic_exchange_explicit(&k->replay_lock, true, memory_order_acquire)) {
		while (atomic_load_explicit(&k->replay_lock, memory_order_relaxed)) {
#if defined(__x86_64__) || defined(__i386__)
			__builtin_ia32_pause();
#elif defined(__aarch64__)
			__asm__ volatile("yield");
#endif
		}
	}
}

static void unlock(struct mf_wg_keypair *k)
{
	atomic_store_explicit(&k->replay_lock, false, memory_order_release);
}

bool mf_wg_replay_accept(struct mf_wg_keypair *k, uint64_t counter)
{
	bool ok;

	lock(k);
	ok = mf_wg_replay_push(&k->replay, counter);
	unlock(k);
	return ok;
}

uint32_t mf_wg_replay_accept_n(struct mf_wg_keypair *k, const uint64_t *counter, uint32_t n, bool *ok)
{
	uint32_t accepted = 0;

	lock(k);
	for (uint32_t i = 0; i < n; i++) {
		ok[i] = mf_wg_replay_push(&k->replay, counter[i]);
		accepted += ok[i];
	}
	unlock(k);
	return accepted;
}
