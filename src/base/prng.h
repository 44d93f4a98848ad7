/* SPDX-License-Identifier: Apache-2.0
 *
 * prng - a small seeded generator (splitmix64) for tests, jitter models and benchmarks. Never for keys.
 */
#ifndef MF_PRNG_H
#define MF_PRNG_H

#include "base/base.h"

struct mf_prng {
	uint64_t state;
};

static inline uint64_t mf_prng_u64(struct mf_prng *g)
{
	uint64_t z = (g->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 <= result < n */
static inline uint64_t mf_prng_below(struct mf_prng *g, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)mf_prng_u64(g) * n) >> 64);
}

/* For struct mf_rng.fill; ctx is a struct mf_prng. */
void mf_prng_fill(void *ctx, void *out, size_t n);

#endif
