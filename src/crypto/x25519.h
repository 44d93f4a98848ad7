/* SPDX-License-Identifier: Apache-2.0
 *
 * x25519 - Diffie-Hellman over Curve25519 (RFC 7748). Private keys are clamped on use, so any 32
 * bytes are a private key. Any thread.
 */
#ifndef MF_CRYPTO_X25519_H
#define MF_CRYPTO_X25519_H

#include "base/base.h"

enum { MF_X25519_LEN = 32 };

/* The shared secret of our private and the peer's public key. False, and out all zero: the peer sent
 * a point of small order (RFC 7748 section 6.1). */
MF_MUST_CHECK bool mf_x25519(uint8_t out[MF_X25519_LEN], const uint8_t priv[MF_X25519_LEN],
			     const uint8_t pub[MF_X25519_LEN]);

/* The public key of a private key. */
void mf_x25519_base(uint8_t out[MF_X25519_LEN], const uint8_t priv[MF_X25519_LEN]);

#endif
