/* SPDX-License-Identifier: Apache-2.0
 *
 * aes128 - OpenSSL's EVP interface, with contexts that keep the key, so that a packet costs an initialisation
 * with the IV alone.
 */
#include "crypto/aes128.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct mf_aes128 {
	EVP_CIPHER *gcm, *ecb;
	EVP_CIPHER_CTX *sealing, *opening, *block;
};

static bool prepare(struct mf_aes128 *c)
{
	static const uint8_t zero[MF_AES128_KEY_LEN];

	c->gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	c->ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	c->sealing = EVP_CIPHER_CTX_new();
	c->opening = EVP_CIPHER_CTX_new();
	c->block = EVP_CIPHER_CTX_new();
	return c->gcm && c->ecb && c->sealing && c->opening && c->block &&
	       EVP_EncryptInit_ex2(c->sealing, c->gcm, zero, zero, NULL) == 1 &&
	       EVP_DecryptInit_ex2(c->opening, c->gcm, zero, zero, NULL) == 1 &&
	       EVP_EncryptInit_ex2(c->block, c->ecb, zero, NULL, NULL) == 1;
}

struct mf_aes128 *mf_aes128_new(void)
{
	struct mf_aes128 *c = calloc(1, sizeof(*c));

	if (!c || prepare(c))
		return c;
	mf_aes128_free(c);
	return NULL;
}

void mf_aes128_free(struct mf_aes128 *c)
{
	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->sealing);
	EVP_CIPHER_CTX_free(c->opening);
	EVP_CIPHER_CTX_free(c->block);
	EVP_CIPHER_free(c->gcm);
	EVP_CIPHER_free(c->ecb);
	free(c);
}

void mf_aes128_set_keys(struct mf_aes128 *c, const uint8_t gcm[MF_AES128_KEY_LEN],
			const uint8_t block[MF_AES128_KEY_LEN])
{
	bool ok = EVP_EncryptInit_ex2(c->sealing, NULL, gcm, NULL, NULL) == 1 &&
		  EVP_DecryptInit_ex2(c->opening, NULL, gcm, NULL, NULL) == 1 &&
		  EVP_EncryptInit_ex2(c->block, NULL, block, NULL, NULL) == 1;

	MF_ASSERT(ok);
}

void mf_aes128_block(struct mf_aes128 *c, const uint8_t in[MF_AES128_BLOCK],
		     uint8_t out[MF_AES128_BLOCK])
{
	int n = 0;

	MF_ASSERT(EVP_EncryptUpdate(c->block, out, &n, in, MF_AES128_BLOCK) == 1 &&
		  n == MF_AES128_BLOCK);
}

void mf_aes128_gcm_seal(struct mf_aes128 *c, const uint8_t iv[MF_GCM_IV_LEN], struct mf_span aad,
			const uint8_t *src, size_t n, uint8_t *dst)
{
	EVP_CIPHER_CTX *e = c->sealing;
	int done = 0;
	bool ok;

	MF_ASSERT(n <= INT_MAX && aad.n <= INT_MAX);
	ok = EVP_EncryptInit_ex2(e, NULL, NULL, iv, NULL) == 1 &&
	     (aad.n == 0 || EVP_EncryptUpdate(e, NULL, &done, aad.p, (int)aad.n) == 1) &&
	     (n == 0 || EVP_EncryptUpdate(e, dst, &done, src, (int)n) == 1) &&
	     EVP_EncryptFinal_ex(e, dst + n, &done) == 1 &&
	     EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_AEAD_GET_TAG, MF_GCM_TAG_LEN, dst + n) == 1;
	MF_ASSERT(ok);
}

bool mf_aes128_gcm_open(struct mf_aes128 *c, const uint8_t iv[MF_GCM_IV_LEN], struct mf_span aad,
			const uint8_t *src, size_t n, uint8_t *dst)
{
	EVP_CIPHER_CTX *e = c->opening;
	uint8_t tag[MF_GCM_TAG_LEN];
	int done = 0, plain;

	MF_ASSERT(n <= INT_MAX && aad.n <= INT_MAX);
	if (n < MF_GCM_TAG_LEN)
		return false;
	plain = (int)(n - MF_GCM_TAG_LEN);
	memcpy(tag, src + plain, sizeof(tag));
	MF_ASSERT(EVP_DecryptInit_ex2(e, NULL, NULL, iv, NULL) == 1 &&
		  EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_AEAD_SET_TAG, MF_GCM_TAG_LEN, tag) == 1);
	if ((aad.n == 0 || EVP_DecryptUpdate(e, NULL, &done, aad.p, (int)aad.n) == 1) &&
	    (plain == 0 || EVP_DecryptUpdate(e, dst, &done, src, plain) == 1) &&
	    EVP_DecryptFinal_ex(e, dst + plain, &done) == 1)
		return true;
	ERR_clear_error(); /* must not show up in somebody's TLS */
	return false;
}
