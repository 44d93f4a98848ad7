/* SPDX-License-Identifier: Apache-2.0
 *
 * nested_hmac - by the definition HMAC hashes twice, each of these hashes is an HMAC that hashes
 * twice, and so on. Written out that is one chain: SHA-256 of the message behind all inner pads;
 * then, for i = 1 .. 2^n - 1, SHA-256 of what the one before gave, behind the inner pads of the t
 * lowest levels and the outer pad of level t, where t is the number of zero bits at the end of i.
 * So n + 1 hashes that have begun are all there is to keep.
 *
 * SHA-256 from OpenSSL's own functions, not from EVP, for the reason that hkdf.c gives.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/nested_hmac.h"

#include <openssl/sha.h>

enum { BLOCK = 64 };

static_assert((int)MF_NESTED_HMAC_LEN == (int)SHA256_DIGEST_LENGTH, "SHA-256");

/* Hashes that have begun: behind all inner pads, and behind the outer pad of each level and the
 * inner ones below it. */
struct nest {
	SHA256_CTX inner, outer[MF_NESTED_HMAC_KEYS_MAX];
	unsigned n;
};

/* `out` may be the message. */
static void end(SHA256_CTX c, struct mf_span msg, uint8_t *out)
{
	/* Final wipes the context. */
	MF_ASSERT(SHA256_Update(&c, msg.p, msg.n) == 1 && SHA256_Final(out, &c) == 1);
}

static void run(const struct nest *h, struct mf_span msg, uint8_t *out)
{
	end(h->inner, msg, out);
	for (unsigned i = 1; i < 1u << h->n; i++)
		end(h->outer[__builtin_ctz(i)], mf_span(out, MF_NESTED_HMAC_LEN), out);
}

static void pad(SHA256_CTX *c, struct mf_span key, uint8_t with)
{
	uint8_t block[BLOCK];

	memset(block, with, sizeof(block));
	for (size_t i = 0; i < key.n; i++)
		block[i] ^= key.p[i];
	MF_ASSERT(SHA256_Update(c, block, sizeof(block)) == 1);
	mf_wipe(block, sizeof(block));
}

static void push(struct nest *h, struct mf_span key)
{
	uint8_t hashed[MF_NESTED_HMAC_LEN];

	if (key.n > BLOCK) {
		run(h, key, hashed);
		key = mf_span(hashed, sizeof(hashed));
	}
	h->outer[h->n] = h->inner;
	pad(&h->outer[h->n++], key, 0x5c);
	pad(&h->inner, key, 0x36);
	mf_wipe(hashed, sizeof(hashed));
}

void mf_nested_hmac(uint8_t out[MF_NESTED_HMAC_LEN], const struct mf_span *key, size_t n,
		    struct mf_span msg)
{
	struct nest h = { .n = 0 };

	MF_ASSERT(n >= 1 && n <= MF_NESTED_HMAC_KEYS_MAX);
	MF_ASSERT(SHA256_Init(&h.inner) == 1);
	for (size_t i = 0; i < n; i++)
		push(&h, key[i]);
	run(&h, msg, out);
	mf_wipe(&h, sizeof(h));
}
