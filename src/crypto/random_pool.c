/* SPDX-License-Identifier: Apache-2.0
 *
 * random_pool - ChaCha20 (RFC 8439) from libsodium. Every key makes one block of numbers, so its
 * nonce is always 0.
 */
#include "crypto/random_pool.h"
#include "crypto/sodium_ready.h"

static_assert((int)MF_RANDOM_POOL_KEY == (int)crypto_stream_chacha20_ietf_KEYBYTES, "ChaCha20");

void mf_random_pool_init(struct mf_random_pool *p, const struct mf_rng *seed)
{
	mf_sodium_ready();
	memset(p, 0, sizeof(*p));
	seed->fill(seed->ctx, p->b, MF_RANDOM_POOL_KEY);
}

static void refill(struct mf_random_pool *p)
{
	static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
	uint8_t key[MF_RANDOM_POOL_KEY];

	memcpy(key, p->b, sizeof(key));
	MF_ASSERT(crypto_stream_chacha20_ietf(p->b, sizeof(p->b), nonce, key) == 0);
	mf_wipe(key, sizeof(key));
	p->left = MF_RANDOM_POOL_LEN;
}

void mf_random_pool_fill(void *ctx, void *out, size_t n)
{
	struct mf_random_pool *p = ctx;
	uint8_t *to = out;

	for (size_t part; n; to += part, n -= part) {
		uint8_t *next;

		if (!p->left)
			refill(p);
		part = mf_min(n, p->left);
		next = p->b + sizeof(p->b) - p->left;
		memcpy(to, next, part);
		mf_wipe(next, part);
		p->left -= part;
	}
}

void mf_random_pool_wipe(struct mf_random_pool *p)
{
	mf_wipe(p, sizeof(*p));
}
