/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prng.h"

void mf_prng_fill(void *ctx, void *out, size_t n)
{
	struct mf_prng *g = ctx;
	uint8_t *p = out;

	while (n) {
		uint64_t v = mf_prng_u64(g);
		size_t take = mf_min(n, sizeof(v));

		memcpy(p, &v, take);
		p += take;
		n -= take;
	}
}
