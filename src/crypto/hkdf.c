/* SPDX-License-Identifier: Apache-2.0
 *
 * hkdf - HMAC and HKDF put together from OpenSSL's SHA-256.
 *
 * From its own functions, not from EVP: EVP of 3.0 takes memory for every hash, and a hash that has begun cannot
 * be copied without taking more. That OpenSSL calls them deprecated is the lesser evil; libsodium's are three
 * times as slow.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hkdf.h"
#include "base/endian.h"

#include <openssl/sha.h>

enum { BLOCK = 64 };

static_assert(sizeof(SHA256_CTX) <= sizeof(((struct mf_hkdf_key *)0)->inner),
	      "a hash that has begun fits");

static SHA256_CTX load(const uint64_t state[14])
{
	SHA256_CTX c;

	memcpy(&c, state, sizeof(c));
	return c;
}

static void begin(uint64_t state[14], const uint8_t *key, size_t n, uint8_t pad)
{
	uint8_t block[BLOCK];
	SHA256_CTX c;

	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < n; i++)
		block[i] ^= key[i];
	MF_ASSERT(SHA256_Init(&c) == 1 && SHA256_Update(&c, block, sizeof(block)) == 1);
	memcpy(state, &c, sizeof(c));
	mf_wipe(block, sizeof(block));
	mf_wipe(&c, sizeof(c));
}

void mf_hkdf_key_init(struct mf_hkdf_key *k, const void *key, size_t n)
{
	MF_ASSERT(n <= BLOCK);
	begin(k->inner, key, n, 0x36);
	begin(k->outer, key, n, 0x5c);
}

static void finish(uint8_t out[MF_HKDF_LEN], const uint64_t state[14], const void *msg, size_t n)
{
	SHA256_CTX c = load(state);

	/* Final wipes the context. */
	MF_ASSERT(SHA256_Update(&c, msg, n) == 1 && SHA256_Final(out, &c) == 1);
}

void mf_hkdf_hmac(uint8_t out[MF_HKDF_LEN], const struct mf_hkdf_key *k, const void *msg, size_t n)
{
	finish(out, k->inner, msg, n);
	finish(out, k->outer, out, MF_HKDF_LEN);
}

void mf_hkdf_expand_label(uint8_t *out, size_t n, const struct mf_hkdf_key *secret, const char *label)
{
	static const char prefix[] = "tls13 ";
	const size_t prefix_len = sizeof(prefix) - 1;
	size_t len = strlen(label), at = 3 + prefix_len + len;
	/* Length; label; context; number of the block, which is always the first. */
	uint8_t info[2 + 1 + sizeof(prefix) - 1 + MF_HKDF_LABEL_MAX + 1 + 1];
	uint8_t block[MF_HKDF_LEN];

	MF_ASSERT(n <= MF_HKDF_LEN && len <= MF_HKDF_LABEL_MAX);
	mf_store_be16(info, (uint16_t)n);
	info[2] = (uint8_t)(prefix_len + len);
	memcpy(info + 3, prefix, prefix_len);
	memcpy(info + 3 + prefix_len, label, len);
	info[at++] = 0;
	info[at++] = 1;
	mf_hkdf_hmac(block, secret, info, at);
	memcpy(out, block, n);
	mf_wipe(block, sizeof(block));
}
