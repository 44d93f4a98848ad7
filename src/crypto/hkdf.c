/* SPDX-License-Identifier: Apache-2.0
 *
 * hkdf - OpenSSL's SHA-256 with the algorithm fetched once; HMAC and HKDF are put together here, because
 * OpenSSL's objects for them take memory and cost more per call than the hashing.
 */
#include "crypto/hkdf.h"
#include "base/endian.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct mf_hkdf {
	EVP_MD *md;
	EVP_MD_CTX *hash;
};

struct mf_hkdf *mf_hkdf_new(void)
{
	struct mf_hkdf *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	h->hash = EVP_MD_CTX_new();
	if (h->md && h->hash && EVP_DigestInit_ex2(h->hash, h->md, NULL) == 1)
		return h;
	mf_hkdf_free(h);
	return NULL;
}

void mf_hkdf_free(struct mf_hkdf *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->hash);
	EVP_MD_free(h->md);
	free(h);
}

void mf_hkdf_key_init(struct mf_hkdf_key *k, const void *key, size_t n)
{
	const uint8_t *b = key;

	MF_ASSERT(n <= sizeof(k->inner));
	memset(k->inner, 0x36, sizeof(k->inner));
	memset(k->outer, 0x5c, sizeof(k->outer));
	for (size_t i = 0; i < n; i++) {
		k->inner[i] ^= b[i];
		k->outer[i] ^= b[i];
	}
}

static void hash2(struct mf_hkdf *h, uint8_t out[MF_HKDF_LEN], const uint8_t pad[64],
		  const void *msg, size_t n)
{
	bool ok = EVP_DigestInit_ex2(h->hash, NULL, NULL) == 1 &&
		  EVP_DigestUpdate(h->hash, pad, 64) == 1 && EVP_DigestUpdate(h->hash, msg, n) == 1 &&
		  EVP_DigestFinal_ex(h->hash, out, NULL) == 1;

	MF_ASSERT(ok);
}

void mf_hkdf_hmac(struct mf_hkdf *h, uint8_t out[MF_HKDF_LEN], const struct mf_hkdf_key *k,
		  const void *msg, size_t n)
{
	hash2(h, out, k->inner, msg, n);
	hash2(h, out, k->outer, out, MF_HKDF_LEN);
}

void mf_hkdf_expand_label(struct mf_hkdf *h, uint8_t *out, size_t n,
			  const struct mf_hkdf_key *secret, const char *label)
{
	static const char prefix[] = "tls13 ";
	size_t len = strlen(label), all = sizeof(prefix) - 1 + len, at = 0;
	/* Length; label; context; number of the block, which is always the first. */
	uint8_t info[2 + 1 + sizeof(prefix) - 1 + MF_HKDF_LABEL_MAX + 1 + 1];
	uint8_t block[MF_HKDF_LEN];

	MF_ASSERT(n <= MF_HKDF_LEN && len <= MF_HKDF_LABEL_MAX);
	mf_store_be16(info, (uint16_t)n);
	info[2] = (uint8_t)all;
	memcpy(info + 3, prefix, sizeof(prefix) - 1);
	memcpy(info + 3 + sizeof(prefix) - 1, label, len);
	at = 3 + all;
	info[at++] = 0;
	info[at++] = 1;
	mf_hkdf_hmac(h, block, secret, info, at);
	memcpy(out, block, n);
	mf_wipe(block, sizeof(block));
}
