/* SPDX-License-Identifier: Apache-2.0
 *
 * aead - ChaCha20-Poly1305 (RFC 8439) as WireGuard uses it: the nonce is four zero bytes and a
 * 64-bit little-endian counter. Back-ends are libraries behind one small table; a context belongs
 * to one thread and carries whatever the library wants to keep between packets.
 *
 * The caller sees to it that a counter is never used twice with one key.
 */
#ifndef MF_CRYPTO_AEAD_H
#define MF_CRYPTO_AEAD_H

#include "base/base.h"

enum { MF_AEAD_KEY_LEN = 32, MF_AEAD_TAG_LEN = 16, MF_XAEAD_NONCE_LEN = 24 };

/* A traffic key. `serial` is unique in the process and never 0: it lets a context see in one
 * comparison that it already has this key loaded. Many threads may use one key at the same time. */
struct mf_aead_key {
	uint8_t b[MF_AEAD_KEY_LEN];
	uint64_t serial;
};

/* Any thread. */
void mf_aead_key_init(struct mf_aead_key *key, const uint8_t bytes[MF_AEAD_KEY_LEN]);
void mf_aead_key_wipe(struct mf_aead_key *key);

struct mf_aead;

/* One thread's context. `backend` is one of mf_aead_backends() or NULL for the best on this
 * machine. NULL: no such back-end in this build or not for this CPU, or out of memory. */
struct mf_aead *mf_aead_new(const char *backend);
/* Wipes and frees; NULL is fine. */
void mf_aead_free(struct mf_aead *ctx);
/* The back-ends of this build, best first, NULL at the end. "openssl+sodium" takes libsodium for
 * short packets, where OpenSSL's cost per packet is higher than its speed makes good. */
const char *const *mf_aead_backends(void);
const char *mf_aead_backend(const struct mf_aead *ctx);

/* Seals n bytes of src to n + MF_AEAD_TAG_LEN bytes at dst, no associated data. dst is src or
 * does not overlap it. Cannot fail. */
void mf_aead_seal(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
		  const uint8_t *src, size_t n, uint8_t *dst);

/* Opens n bytes (tag included) of src to n - MF_AEAD_TAG_LEN bytes at dst; dst is src or does not
 * overlap it. False: too short or the tag is wrong; then what was due at dst is all zero (in
 * place too). */
MF_MUST_CHECK bool mf_aead_open(struct mf_aead *ctx, const struct mf_aead_key *key,
				uint64_t counter, const uint8_t *src, size_t n, uint8_t *dst);

/* The same with associated data and a key that is used once: handshakes. They need no context; any
 * thread. */
void mf_aead_seal_aad(const uint8_t key[MF_AEAD_KEY_LEN], uint64_t counter, const void *aad,
		      size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst);
MF_MUST_CHECK bool mf_aead_open_aad(const uint8_t key[MF_AEAD_KEY_LEN], uint64_t counter,
				    const void *aad, size_t aad_n, const uint8_t *src, size_t n,
				    uint8_t *dst);

/* XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a 24-byte nonce: cookies. Same rules for
 * src, dst and n. Any thread. */
void mf_xaead_seal(const uint8_t key[MF_AEAD_KEY_LEN], const uint8_t nonce[MF_XAEAD_NONCE_LEN],
		   const void *aad, size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst);
MF_MUST_CHECK bool mf_xaead_open(const uint8_t key[MF_AEAD_KEY_LEN],
				 const uint8_t nonce[MF_XAEAD_NONCE_LEN], const void *aad,
				 size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst);

#endif
