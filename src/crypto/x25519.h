/* SPDX-License-Identifier: Apache-2.0
 *
 * x25519 - Diffie-Hellman over Curve25519 (RFC 7748). Private keys are clamped on use, so any 32
 * bytes are a private key.
 */
#ifndef MF_CRYPTO_X25519_H
#define MF_CRYPTO_X25519_H

#include "base/base.h"

enum { MF_X25519_LEN = 32 };

/* The shared secret of our private and the peer's public key. False, and out all zero: the peer sent a
 * point of small order (RFC 7748 section 6.1). Any thread. */
MF_MUST_CHECK bool mf_x25519(uint8_t out[MF_X25519_LEN], const uint8_t priv[MF_X25519_LEN],
			     const uint8_t pub[MF_X25519_LEN]);

/* The public key of a private key. Any thread. */
void mf_x25519_base(uint8_t out[MF_X25519_LEN], const uint8_t priv[MF_X25519_LEN]);

/* A private key made ready for one thread: each shared secret is about 15 % faster than mf_x25519, and
 * making the object costs little more than mf_x25519_base. Worth it whenever the public key is
 * wanted or the private key is used more than once. */
struct mf_x25519_key;

/* NULL: out of memory. */
struct mf_x25519_key *mf_x25519_key_new(const uint8_t priv[MF_X25519_LEN]);
/* Wipes and frees; NULL is fine. */
void mf_x25519_key_free(struct mf_x25519_key *key);
/* Its public key, valid as long as the object. */
const uint8_t *mf_x25519_key_public(const struct mf_x25519_key *key);
/* As mf_x25519. */
MF_MUST_CHECK bool mf_x25519_key_shared(struct mf_x25519_key *key, uint8_t out[MF_X25519_LEN],
					const uint8_t pub[MF_X25519_LEN]);

#endif
