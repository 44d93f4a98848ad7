/* SPDX-License-Identifier: Apache-2.0
 *
 * hkdf_sha1 - put together from OpenSSL's compression function of SHA-1 alone.
 *
 * A datagram costs one of these, so it is worth some care. Neither the salt (the key of the first
 * HMAC) nor what follows from it is known before: nothing can be computed in advance. But no
 * message is longer than a block, so that an HMAC is four compressions and nothing else, and 32
 * bytes of key are ten, less than half a microsecond. Hashes with a buffer and a length would
 * double that. That OpenSSL calls the function deprecated is the lesser evil, as in hkdf.c.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hkdf_sha1.h"
#include "base/endian.h"

#include <openssl/sha.h>

enum { BLOCK = SHA_CBLOCK, LEN = SHA_DIGEST_LENGTH };
static_assert(MF_HKDF_SHA1_IKM_MAX + 9 == BLOCK, "keying material and padding are one block");
static_assert(LEN + MF_HKDF_SHA1_INFO_MAX + 1 + 9 == BLOCK, "and so is a step of the expansion");

/* All that is secret on the way, to be wiped at once. */
struct work {
	SHA_CTX inner, outer; /* a key of HMAC, half hashed */
	SHA_CTX hash;
	uint8_t key[BLOCK], block[BLOCK];
	uint8_t step[LEN];
};

static void begin(SHA_CTX *c, struct work *w, uint8_t pad)
{
	for (size_t i = 0; i < BLOCK; i++)
		w->block[i] = w->key[i] ^ pad;
	MF_ASSERT(SHA1_Init(c) == 1);
	SHA1_Transform(c, w->block);
}

/* n is at most BLOCK. */
static void set_key(struct work *w, const uint8_t *key, size_t n)
{
	memset(w->key, 0, sizeof(w->key));
	if (n)
		memcpy(w->key, key, n);
	begin(&w->inner, w, 0x36);
	begin(&w->outer, w, 0x5c);
}

/* The hash of what `c` has begun with and the n bytes in front of w->block, which gets the
 * padding. */
static void finish(struct work *w, const SHA_CTX *c, size_t n, uint8_t out[LEN])
{
	w->hash = *c;
	w->block[n] = 0x80;
	memset(w->block + n + 1, 0, BLOCK - 4 - (n + 1));
	mf_store_be32(w->block + BLOCK - 4, (uint32_t)(8 * (BLOCK + n)));
	SHA1_Transform(&w->hash, w->block);
	mf_store_be32(out, w->hash.h0);
	mf_store_be32(out + 4, w->hash.h1);
	mf_store_be32(out + 8, w->hash.h2);
	mf_store_be32(out + 12, w->hash.h3);
	mf_store_be32(out + 16, w->hash.h4);
}

/* w->step = HMAC of the n bytes in front of w->block, which is used up. */
static void hmac(struct work *w, size_t n)
{
	finish(w, &w->inner, n, w->block);
	finish(w, &w->outer, LEN, w->step);
}

/* RFC 5869 2.3: each step hashes the one before, the info, and its number. */
static void expand(struct work *w, uint8_t *out, size_t n, struct mf_span info)
{
	size_t have = 0, part;

	for (uint8_t number = 1; n; number++, out += part, n -= part, have = LEN) {
		memcpy(w->block, w->step, have);
		if (info.n)
			memcpy(w->block + have, info.p, info.n);
		w->block[have + info.n] = number;
		hmac(w, have + info.n + 1);
		part = mf_min(n, LEN);
		memcpy(out, w->step, part);
	}
}

void mf_hkdf_sha1(uint8_t *out, size_t n, struct mf_span ikm, struct mf_span salt, struct mf_span info)
{
	struct work w;

	MF_ASSERT(n && n <= MF_HKDF_SHA1_OUT_MAX && ikm.n <= MF_HKDF_SHA1_IKM_MAX);
	MF_ASSERT(salt.n <= MF_HKDF_SHA1_SALT_MAX && info.n <= MF_HKDF_SHA1_INFO_MAX);
	set_key(&w, salt.p, salt.n);
	if (ikm.n)
		memcpy(w.block, ikm.p, ikm.n);
	hmac(&w, ikm.n);
	set_key(&w, w.step, LEN);
	expand(&w, out, n, info);
	mf_wipe(&w, sizeof(w));
}
