/* SPDX-License-Identifier: Apache-2.0
 *
 * digest - OpenSSL's own functions instead of its EVP, which takes memory for every hash (see
 * hkdf.c).
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/digest.h"

#include <openssl/md5.h>
#include <openssl/sha.h>

/* Final wipes the context. */
#define DIGEST(name, context, prefix)                                                   \
	static void name(const struct mf_span *v, size_t n, uint8_t *out)               \
	{                                                                               \
		context c;                                                              \
                                                                                        \
		MF_ASSERT(prefix##_Init(&c) == 1);                                      \
		for (size_t i = 0; i < n; i++)                                          \
			MF_ASSERT(!v[i].n || prefix##_Update(&c, v[i].p, v[i].n) == 1); \
		MF_ASSERT(prefix##_Final(out, &c) == 1);                                \
	}

DIGEST(md5, MD5_CTX, MD5)
DIGEST(sha1, SHA_CTX, SHA1)
DIGEST(sha224, SHA256_CTX, SHA224)
DIGEST(sha256, SHA256_CTX, SHA256)

void mf_digest(enum mf_digest_alg alg, const struct mf_span *v, size_t n, uint8_t *out)
{
	static void (*const algs[])(const struct mf_span *v, size_t n, uint8_t *out) = {
		[MF_MD5] = md5,
		[MF_SHA1] = sha1,
		[MF_SHA224] = sha224,
		[MF_SHA256] = sha256,
	};
	static_assert(MF_ARRAY_LEN(algs) == MF_DIGEST_ALGS, "one function for each algorithm");

	MF_ASSERT((unsigned)alg < MF_DIGEST_ALGS);
	algs[alg](v, n, out);
}
