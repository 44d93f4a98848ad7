/* SPDX-License-Identifier: Apache-2.0
 *
 * x25519 - Diffie-Hellman over Curve25519 (RFC 7748). Private keys are clamped on use, so any 32
 * bytes are a private key.
 */
#ifndef MF_CRYPTO_X25519_H
#define MF_CRYPTO_X25519_H

#include "base/base.h"

enum { MF_X25519_LEN = 32 };

/* The shared secret of our private and the peer's public key. False, and out all zero: the peer
 * sent a point of small order (RFC 7748 section 6.1). Any thread. */
MF_MUST_CHECK bool mf_x25519(uint8_t out[MF_X25519_LEN], const uint8_t priv[MF_X25519_LEN],
			     const uint8_t pub[MF_X25519_LEN]);

/* The public key of a private key. Any thread. */
void mf_x25519_base(uint8_t out[MF_X25519_LEN], const uint8_t priv[MF_X25519_LEN]);

/* A private key made ready for one thread. A shared secret is about 15 % faster than with
 * mf_x25519, and setting the key costs a tenth of that time on top of working out the public
 * key. Long-term keys have their own object; for ephemeral ones a thread keeps one and sets it
 * anew. The library's copy of the private key is on its heap, wiped when it is replaced or
 * freed. */
struct mf_x25519_key;

/* NULL: out of memory. */
struct mf_x25519_key *mf_x25519_key_new(const uint8_t priv[MF_X25519_LEN]);
/* Wipes and frees; NULL is fine. */
void mf_x25519_key_free(struct mf_x25519_key *key);
/* Another private key in the same object. `pub` is its public key if that is known already, or
 * NULL; a wrong one makes mf_x25519_key_public wrong, nothing else. False: out of memory, and
 * the old key stays. */
MF_MUST_CHECK bool mf_x25519_key_set(struct mf_x25519_key *key, const uint8_t priv[MF_X25519_LEN],
				     const uint8_t *pub);
/* Its public key, valid until the object is set or freed. */
const uint8_t *mf_x25519_key_public(const struct mf_x25519_key *key);
/* As mf_x25519. */
MF_MUST_CHECK bool mf_x25519_key_shared(struct mf_x25519_key *key, uint8_t out[MF_X25519_LEN],
					const uint8_t pub[MF_X25519_LEN]);

#endif
