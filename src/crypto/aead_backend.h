/* SPDX-License-Identifier: Apache-2.0
 *
 * aead_backend - the table that a library has to fill to seal and open packets. Private to
 * src/crypto; everybody else includes crypto/aead.h.
 */
#ifndef MF_CRYPTO_AEAD_BACKEND_H
#define MF_CRYPTO_AEAD_BACKEND_H

#include "base/endian.h"
#include "crypto/aead.h"

enum { MF_AEAD_IV_LEN = 12 };

/* The contract of each function is that of its namesake in aead.h; open is
 * only called with n >= MF_AEAD_TAG_LEN. */
struct mf_aead_backend {
	const char *name;
	struct mf_aead *(*create)(void);
	void (*free)(struct mf_aead *ctx);
	void (*seal)(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
		     const uint8_t *src, size_t n, uint8_t *dst);
	bool (*open)(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
		     const uint8_t *src, size_t n, uint8_t *dst);
};

/* First member of every back-end's context. */
struct mf_aead {
	const struct mf_aead_backend *backend;
};

extern const struct mf_aead_backend mf_aead_ipsec_mb; /* only with MF_HAVE_IPSEC_MB */
extern const struct mf_aead_backend mf_aead_openssl;
extern const struct mf_aead_backend mf_aead_openssl_sodium;
extern const struct mf_aead_backend mf_aead_sodium;

static inline void mf_aead_iv(uint8_t iv[MF_AEAD_IV_LEN], uint64_t counter)
{
	memset(iv, 0, 4);
	mf_store_le64(iv + 4, counter);
}

#endif
