/* SPDX-License-Identifier: Apache-2.0
 *
 * hkdf - HKDF with SHA-256 (RFC 5869) and the labels of TLS 1.3 (RFC 8446 7.1), for keys of a few bytes:
 * those of QUIC. No memory is taken. Any thread.
 */
#ifndef MF_CRYPTO_HKDF_H
#define MF_CRYPTO_HKDF_H

#include "base/base.h"

enum { MF_HKDF_LEN = 32, MF_HKDF_LABEL_MAX = 32 };

/* A key of HMAC, half hashed: what is done once for any number of messages. Wipe it if it is secret. */
struct mf_hkdf_key {
	uint64_t inner[14], outer[14];
};
/* n is at most 64 (asserted). */
void mf_hkdf_key_init(struct mf_hkdf_key *k, const void *key, size_t n);

/* HMAC-SHA-256 (RFC 2104). HKDF-Extract is this: the salt is the key, the keying material the message. */
void mf_hkdf_hmac(uint8_t out[MF_HKDF_LEN], const struct mf_hkdf_key *k, const void *msg, size_t n);
/* HKDF-Expand-Label with an empty context: n bytes, at most MF_HKDF_LEN; `label` without "tls13 ", at most
 * MF_HKDF_LABEL_MAX bytes (both asserted). The key is the secret. */
void mf_hkdf_expand_label(uint8_t *out, size_t n, const struct mf_hkdf_key *secret,
			  const char *label);

#endif
