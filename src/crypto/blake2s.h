/* SPDX-License-Identifier: Apache-2.0
 *
 * blake2s - BLAKE2s (RFC 7693) and what WireGuard builds from it: a keyed 16-byte MAC, HMAC, and
 * the key derivation of the WireGuard paper, section 5.4. A struct mf_blake2s is one thread's
 * hasher; none of the functions below can fail. Outputs may be the same memory as inputs.
 */
#ifndef MF_CRYPTO_BLAKE2S_H
#define MF_CRYPTO_BLAKE2S_H

#include "base/base.h"

enum { MF_BLAKE2S_LEN = 32, MF_BLAKE2S_MAC_LEN = 16 };

struct mf_blake2s;

/* NULL: out of memory, or the library has no BLAKE2s. */
struct mf_blake2s *mf_blake2s_new(void);
/* NULL is fine. */
void mf_blake2s_free(struct mf_blake2s *h);

/* HASH(data) */
void mf_blake2s_hash(struct mf_blake2s *h, uint8_t out[MF_BLAKE2S_LEN], const void *data, size_t n);
/* HASH(a || b) */
void mf_blake2s_hash2(struct mf_blake2s *h, uint8_t out[MF_BLAKE2S_LEN], const void *a, size_t an,
		      const void *b, size_t bn);

/* MAC(key, data): keyed BLAKE2s with 16 bytes of output. 1 <= key_n <= 32. */
void mf_blake2s_mac(struct mf_blake2s *h, uint8_t out[MF_BLAKE2S_MAC_LEN], const void *key,
		    size_t key_n, const void *data, size_t n);

/* HMAC(key, data) (RFC 2104 over BLAKE2s). key_n <= 64. */
void mf_blake2s_hmac(struct mf_blake2s *h, uint8_t out[MF_BLAKE2S_LEN], const void *key,
		     size_t key_n, const void *data, size_t n);

/* KDF1, KDF2, KDF3 in one: t0 = HMAC(key, data), out1 = HMAC(t0, 1), out2 = HMAC(t0, out1 || 2),
 * out3 = HMAC(t0, out2 || 3); 32 bytes each, NULL for those that are not wanted. key is a chaining
 * key; outputs may be the memory of key and data, not of each other. */
void mf_blake2s_kdf(struct mf_blake2s *h, uint8_t *out1, uint8_t *out2, uint8_t *out3,
		    const uint8_t key[MF_BLAKE2S_LEN], const void *data, size_t n);

#endif
