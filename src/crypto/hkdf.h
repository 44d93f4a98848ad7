/* SPDX-License-Identifier: Apache-2.0
 *
 * hkdf - HKDF with SHA-256 (RFC 5869) and the labels of TLS 1.3 (RFC 8446 7.1), for keys of a few bytes:
 * those of QUIC. A context belongs to one thread; once it is made, no memory is taken.
 */
#ifndef MF_CRYPTO_HKDF_H
#define MF_CRYPTO_HKDF_H

#include "base/base.h"

enum { MF_HKDF_LEN = 32, MF_HKDF_LABEL_MAX = 32 };

struct mf_hkdf;

/* NULL: out of memory. */
struct mf_hkdf *mf_hkdf_new(void);
/* NULL is fine. */
void mf_hkdf_free(struct mf_hkdf *h);

/* A key of HMAC, which may be used any number of times; at most 64 bytes (asserted). Wipe it if it is secret. */
struct mf_hkdf_key {
	uint8_t inner[64], outer[64];
};
void mf_hkdf_key_init(struct mf_hkdf_key *k, const void *key, size_t n);

/* HMAC-SHA-256 (RFC 2104). HKDF-Extract is this: the salt is the key, the keying material the message. */
void mf_hkdf_hmac(struct mf_hkdf *h, uint8_t out[MF_HKDF_LEN], const struct mf_hkdf_key *k,
		  const void *msg, size_t n);
/* HKDF-Expand-Label with an empty context: n bytes, at most MF_HKDF_LEN; `label` without "tls13 ", at most
 * MF_HKDF_LABEL_MAX bytes (both asserted). The key is the secret. */
void mf_hkdf_expand_label(struct mf_hkdf *h, uint8_t *out, size_t n,
			  const struct mf_hkdf_key *secret, const char *label);

#endif
