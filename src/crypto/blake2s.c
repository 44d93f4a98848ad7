/* SPDX-License-Identifier: Apache-2.0
 *
 * blake2s - OpenSSL's BLAKE2s with the algorithms fetched once; HMAC and the key derivation are put
 * together here, because OpenSSL's HMAC and HKDF objects cost more per call than the hashing.
 */
#include "crypto/blake2s.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { BLOCK = 64 };

struct mf_blake2s {
	EVP_MD *md;
	EVP_MD_CTX *hash;
	EVP_MAC *mac;
	EVP_MAC_CTX *keyed; /* set to MF_BLAKE2S_MAC_LEN bytes of output */
};

static bool prepare(struct mf_blake2s *h)
{
	static const uint8_t key[1];
	size_t size = MF_BLAKE2S_MAC_LEN;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end(),
	};

	h->md = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
	h->hash = EVP_MD_CTX_new();
	h->mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
	h->keyed = h->mac ? EVP_MAC_CTX_new(h->mac) : NULL;
	return h->md && h->hash && h->keyed && EVP_DigestInit_ex2(h->hash, h->md, NULL) == 1 &&
	       EVP_MAC_init(h->keyed, key, sizeof(key), params) == 1;
}

struct mf_blake2s *mf_blake2s_new(void)
{
	struct mf_blake2s *h = calloc(1, sizeof(*h));

	if (!h || prepare(h))
		return h;
	mf_blake2s_free(h);
	return NULL;
}

void mf_blake2s_free(struct mf_blake2s *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->hash);
	EVP_MD_free(h->md);
	EVP_MAC_CTX_free(h->keyed);
	EVP_MAC_free(h->mac);
	free(h);
}

void mf_blake2s_hash2(struct mf_blake2s *h, uint8_t out[MF_BLAKE2S_LEN], const void *a, size_t an,
		      const void *b, size_t bn)
{
	bool ok = EVP_DigestInit_ex2(h->hash, NULL, NULL) == 1 &&
		  EVP_DigestUpdate(h->hash, a, an) == 1 && EVP_DigestUpdate(h->hash, b, bn) == 1 &&
		  EVP_DigestFinal_ex(h->hash, out, NULL) == 1;

	MF_ASSERT(ok);
}

void mf_blake2s_hash(struct mf_blake2s *h, uint8_t out[MF_BLAKE2S_LEN], const void *data, size_t n)
{
	mf_blake2s_hash2(h, out, data, n, NULL, 0);
}

void mf_blake2s_mac(struct mf_blake2s *h, uint8_t out[MF_BLAKE2S_MAC_LEN], const void *key,
		    size_t key_n, const void *data, size_t n)
{
	size_t len = 0;
	bool ok;

	MF_ASSERT(key_n >= 1 && key_n <= MF_BLAKE2S_LEN);
	ok = EVP_MAC_init(h->keyed, key, key_n, NULL) == 1 &&
	     EVP_MAC_update(h->keyed, data, n) == 1 &&
	     EVP_MAC_final(h->keyed, out, &len, MF_BLAKE2S_MAC_LEN) == 1;
	MF_ASSERT(ok && len == MF_BLAKE2S_MAC_LEN);
}

/* A key of HMAC, padded to a block and mixed with the inner or the outer pad. */
struct pads {
	uint8_t inner[BLOCK], outer[BLOCK];
};

static void pads_init(struct pads *p, const uint8_t *key, size_t n)
{
	memset(p->inner, 0x36, sizeof(p->inner));
	memset(p->outer, 0x5c, sizeof(p->outer));
	for (size_t i = 0; i < n; i++) {
		p->inner[i] ^= key[i];
		p->outer[i] ^= key[i];
	}
}

static void hmac(struct mf_blake2s *h, uint8_t *out, const struct pads *p, const void *data, size_t n)
{
	mf_blake2s_hash2(h, out, p->inner, BLOCK, data, n);
	mf_blake2s_hash2(h, out, p->outer, BLOCK, out, MF_BLAKE2S_LEN);
}

void mf_blake2s_hmac(struct mf_blake2s *h, uint8_t out[MF_BLAKE2S_LEN], const void *key,
		     size_t key_n, const void *data, size_t n)
{
	struct pads p;

	MF_ASSERT(key_n <= BLOCK);
	pads_init(&p, key, key_n);
	hmac(h, out, &p, data, n);
	mf_wipe(&p, sizeof(p));
}

void mf_blake2s_kdf(struct mf_blake2s *h, uint8_t *out1, uint8_t *out2, uint8_t *out3,
		    const uint8_t key[MF_BLAKE2S_LEN], const void *data, size_t n)
{
	uint8_t *const outs[] = { out1, out2, out3 };
	uint8_t t[MF_BLAKE2S_LEN + 1]; /* the last output and the number of the next */
	size_t n_outs = out3 ? 3 : out2 ? 2 : 1;
	struct pads p;

	pads_init(&p, key, MF_BLAKE2S_LEN);
	hmac(h, t, &p, data, n);
	pads_init(&p, t, MF_BLAKE2S_LEN);
	for (size_t i = 0; i < n_outs; i++) {
		t[MF_BLAKE2S_LEN] = (uint8_t)(i + 1);
		if (i == 0)
			hmac(h, t, &p, t + MF_BLAKE2S_LEN, 1);
		else
			hmac(h, t, &p, t, sizeof(t));
		if (outs[i])
			memcpy(outs[i], t, MF_BLAKE2S_LEN);
	}
	mf_wipe(t, sizeof(t));
	mf_wipe(&p, sizeof(p));
}
