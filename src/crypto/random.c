/* SPDX-License-Identifier: Apache-2.0
 *
 * random - both from libsodium, which asks the kernel (getrandom) and aborts if that fails.
 */
#include "crypto/random.h"
#include "crypto/sodium_ready.h"

void mf_random_fill(void *ctx, void *out, size_t n)
{
	(void)ctx;
	mf_sodium_ready();
	randombytes_buf(out, n);
}

void *mf_secret_alloc(size_t n)
{
	void *p;

	mf_sodium_ready();
	p = sodium_malloc(n);
	if (p)
		memset(p, 0, n); /* sodium fills it with a pattern of its own */
	return p;
}

void mf_secret_free(void *p)
{
	if (p)
		sodium_free(p);
}
