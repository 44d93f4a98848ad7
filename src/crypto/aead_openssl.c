/* SPDX-License-Identifier: Apache-2.0
 *
 * aead_openssl - OpenSSL's EVP interface, with one cipher context for each direction that keeps the
 * last key loaded, so that a packet costs an initialisation with the IV alone.
 *
 * EVP costs more than the cipher up to a few hundred bytes. "openssl+sodium" gives those packets to
 * libsodium.
 */
#include "crypto/aead_backend.h"
#include "crypto/sodium_ready.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* Where libsodium and OpenSSL meet, plaintext bytes; libsodium is ahead up to 320 with AVX-512. */
enum { SODIUM_MAX = 320 };

struct direction {
	EVP_CIPHER_CTX *evp;
	uint64_t serial; /* of the key that is loaded; 0: none */
};

struct openssl_ctx {
	struct mf_aead base;
	EVP_CIPHER *cipher;
	struct direction sealing, opening;
};

static struct openssl_ctx *self(struct mf_aead *ctx)
{
	return MF_CONTAINER_OF(ctx, struct openssl_ctx, base);
}

/* The key to load with the next IV, or NULL if it is there already. */
static const uint8_t *load(struct direction *d, const struct mf_aead_key *key)
{
	if (MF_LIKELY(d->serial == key->serial))
		return NULL;
	d->serial = key->serial;
	return key->b;
}

static void seal(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
		 const uint8_t *src, size_t n, uint8_t *dst)
{
	struct direction *d = &self(ctx)->sealing;
	OSSL_PARAM tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, dst + n,
						  MF_AEAD_TAG_LEN),
		OSSL_PARAM_construct_end(),
	};
	uint8_t iv[MF_AEAD_IV_LEN];
	int done = 0;
	bool ok;

	MF_ASSERT(n <= INT_MAX - MF_AEAD_TAG_LEN);
	mf_aead_iv(iv, counter);
	ok = EVP_EncryptInit_ex2(d->evp, NULL, load(d, key), iv, NULL) == 1 &&
	     (n == 0 || EVP_EncryptUpdate(d->evp, dst, &done, src, (int)n) == 1) &&
	     EVP_EncryptFinal_ex(d->evp, dst + n, &done) == 1 &&
	     EVP_CIPHER_CTX_get_params(d->evp, tag) == 1;
	MF_ASSERT(ok);
}

static bool unseal(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
		   const uint8_t *src, size_t n, uint8_t *dst)
{
	struct direction *d = &self(ctx)->opening;
	size_t plain = n - MF_AEAD_TAG_LEN;
	uint8_t iv[MF_AEAD_IV_LEN], expected[MF_AEAD_TAG_LEN];
	OSSL_PARAM tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, expected,
						  sizeof(expected)),
		OSSL_PARAM_construct_end(),
	};
	int done = 0;

	MF_ASSERT(n <= INT_MAX);
	memcpy(expected, src + plain, sizeof(expected)); /* OSSL_PARAM has no const */
	mf_aead_iv(iv, counter);
	MF_ASSERT(EVP_DecryptInit_ex2(d->evp, NULL, load(d, key), iv, tag) == 1);
	if (MF_LIKELY((plain == 0 || EVP_DecryptUpdate(d->evp, dst, &done, src, (int)plain) == 1) &&
		      EVP_DecryptFinal_ex(d->evp, dst + plain, &done) == 1))
		return true;
	/* EVP has decrypted before it checked; and its error must not show up in somebody's TLS. */
	mf_wipe(dst, plain);
	ERR_clear_error();
	return false;
}

static void destroy(struct mf_aead *ctx)
{
	struct openssl_ctx *c = self(ctx);

	EVP_CIPHER_CTX_free(c->sealing.evp);
	EVP_CIPHER_CTX_free(c->opening.evp);
	EVP_CIPHER_free(c->cipher);
	free(c);
}

/* A context without the cipher cannot take an IV: it gets a first key of zeros, serial 0. */
static bool prepare(struct openssl_ctx *c)
{
	static const uint8_t zero[MF_AEAD_KEY_LEN];

	c->cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	c->sealing.evp = EVP_CIPHER_CTX_new();
	c->opening.evp = EVP_CIPHER_CTX_new();
	return c->cipher && c->sealing.evp && c->opening.evp &&
	       EVP_EncryptInit_ex2(c->sealing.evp, c->cipher, zero, zero, NULL) == 1 &&
	       EVP_DecryptInit_ex2(c->opening.evp, c->cipher, zero, zero, NULL) == 1;
}

static struct mf_aead *create_with(const struct mf_aead_backend *backend)
{
	struct openssl_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->base.backend = backend;
	mf_sodium_ready();
	if (!prepare(c)) {
		destroy(&c->base);
		return NULL;
	}
	return &c->base;
}

static struct mf_aead *create(void)
{
	return create_with(&mf_aead_openssl);
}

const struct mf_aead_backend mf_aead_openssl = {
	.name = "openssl",
	.create = create,
	.free = destroy,
	.seal = seal,
	.open = unseal,
};

static void seal_mixed(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
		       const uint8_t *src, size_t n, uint8_t *dst)
{
	if (n <= SODIUM_MAX)
		mf_aead_sodium.seal(ctx, key, counter, src, n, dst);
	else
		seal(ctx, key, counter, src, n, dst);
}

static bool unseal_mixed(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
			 const uint8_t *src, size_t n, uint8_t *dst)
{
	if (n <= SODIUM_MAX + MF_AEAD_TAG_LEN)
		return mf_aead_sodium.open(ctx, key, counter, src, n, dst);
	return unseal(ctx, key, counter, src, n, dst);
}

static struct mf_aead *create_mixed(void)
{
	return create_with(&mf_aead_openssl_sodium);
}

const struct mf_aead_backend mf_aead_openssl_sodium = {
	.name = "openssl+sodium",
	.create = create_mixed,
	.free = destroy,
	.seal = seal_mixed,
	.open = unseal_mixed,
};
