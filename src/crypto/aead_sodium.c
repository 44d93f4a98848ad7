/* SPDX-License-Identifier: Apache-2.0
 *
 * aead_sodium - libsodium: no state to set up, so the cheapest without ipsec-mb for short packets
 * and for the one-shot forms with associated data; and XChaCha20-Poly1305.
 *
 * On a wrong tag libsodium has not decrypted anything (it checks first) and zeroes dst.
 */
#include "crypto/aead_backend.h"
#include "crypto/sodium_ready.h"

#include <stdlib.h>

static void seal(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
		 const uint8_t *src, size_t n, uint8_t *dst)
{
	uint8_t iv[MF_AEAD_IV_LEN];

	(void)ctx;
	mf_aead_iv(iv, counter);
	crypto_aead_chacha20poly1305_ietf_encrypt(dst, NULL, src, n, NULL, 0, NULL, iv, key->b);
}

static bool unseal(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
		   const uint8_t *src, size_t n, uint8_t *dst)
{
	uint8_t iv[MF_AEAD_IV_LEN];

	(void)ctx;
	mf_aead_iv(iv, counter);
	return crypto_aead_chacha20poly1305_ietf_decrypt(dst, NULL, NULL, src, n, NULL, 0, iv,
							 key->b) == 0;
}

static struct mf_aead *create(void)
{
	struct mf_aead *ctx = malloc(sizeof(*ctx));

	mf_sodium_ready();
	if (ctx)
		ctx->backend = &mf_aead_sodium;
	return ctx;
}

static void destroy(struct mf_aead *ctx)
{
	free(ctx);
}

const struct mf_aead_backend mf_aead_sodium = {
	.name = "sodium",
	.create = create,
	.free = destroy,
	.seal = seal,
	.open = unseal,
};

void mf_aead_seal_aad(const uint8_t key[MF_AEAD_KEY_LEN], uint64_t counter, const void *aad,
		      size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst)
{
	uint8_t iv[MF_AEAD_IV_LEN];

	mf_sodium_ready();
	mf_aead_iv(iv, counter);
	crypto_aead_chacha20poly1305_ietf_encrypt(dst, NULL, src, n, aad, aad_n, NULL, iv, key);
}

bool mf_aead_open_aad(const uint8_t key[MF_AEAD_KEY_LEN], uint64_t counter, const void *aad,
		      size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst)
{
	uint8_t iv[MF_AEAD_IV_LEN];

	mf_sodium_ready();
	mf_aead_iv(iv, counter);
	return crypto_aead_chacha20poly1305_ietf_decrypt(dst, NULL, NULL, src, n, aad, aad_n, iv,
							 key) == 0;
}

void mf_xaead_seal(const uint8_t key[MF_AEAD_KEY_LEN], const uint8_t nonce[MF_XAEAD_NONCE_LEN],
		   const void *aad, size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst)
{
	mf_sodium_ready();
	crypto_aead_xchacha20poly1305_ietf_encrypt(dst, NULL, src, n, aad, aad_n, NULL, nonce, key);
}

bool mf_xaead_open(const uint8_t key[MF_AEAD_KEY_LEN], const uint8_t nonce[MF_XAEAD_NONCE_LEN],
		   const void *aad, size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst)
{
	mf_sodium_ready();
	return crypto_aead_xchacha20poly1305_ietf_decrypt(dst, NULL, NULL, src, n, aad, aad_n,
							  nonce, key) == 0;
}
