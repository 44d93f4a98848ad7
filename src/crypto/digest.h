/* SPDX-License-Identifier: Apache-2.0
 *
 * digest - hash functions that proxy protocols are made of. MD5 and SHA-1 (RFC 1321, RFC 3174) are
 * broken; here they are what the protocols say, and nothing rests on them. No memory is taken. Any
 * thread.
 */
#ifndef MF_CRYPTO_DIGEST_H
#define MF_CRYPTO_DIGEST_H

#include "base/base.h"

enum mf_digest_alg { MF_MD5, MF_SHA1, MF_SHA224, MF_SHA256, MF_DIGEST_ALGS };
enum {
	MF_MD5_LEN = 16,
	MF_SHA1_LEN = 20,
	MF_SHA224_LEN = 28,
	MF_SHA256_LEN = 32,
	MF_DIGEST_MAX = 32
};

/* Of what lies in the n spans, in their order. `out` takes the MF_*_LEN bytes of the algorithm,
 * and may be what was hashed. */
void mf_digest(enum mf_digest_alg alg, const struct mf_span *v, size_t n, uint8_t *out);

#endif
