/* SPDX-License-Identifier: Apache-2.0
 *
 * random_pool - random numbers for one thread that needs them in crumbs and often: salts, keys of
 * sessions, masks, padding. The kernel is asked once, for a key of ChaCha20; each refill begins
 * with the next key, and what has been given away is wiped, so that what is in memory says nothing
 * of the past ("fast key erasure", D. J. Bernstein 2017).
 *
 * A call of the kernel's is 400 ns for 32 bytes, as much as sealing 2 KiB; this is 20.
 */
#ifndef MF_CRYPTO_RANDOM_POOL_H
#define MF_CRYPTO_RANDOM_POOL_H

#include "base/base.h"

enum { MF_RANDOM_POOL_KEY = 32, MF_RANDOM_POOL_LEN = 736 };

/* Secret. Not to be copied: both would give the same numbers; nor kept in a process that forks. */
struct mf_random_pool {
	uint8_t b[MF_RANDOM_POOL_KEY + MF_RANDOM_POOL_LEN]; /* a key, and behind it what is left */
	size_t left;
};

/* Takes a key from `seed`, which is the kernel's (crypto/random.h) but in tests. */
void mf_random_pool_init(struct mf_random_pool *p, const struct mf_rng *seed);
/* For struct mf_rng.fill; ctx is a struct mf_random_pool. */
void mf_random_pool_fill(void *ctx, void *out, size_t n);
void mf_random_pool_wipe(struct mf_random_pool *p);

#endif
