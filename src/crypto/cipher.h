/* SPDX-License-Identifier: Apache-2.0
 *
 * cipher - the AEADs of proxy protocols and of QUIC, with nonces of 12 bytes: AES-128-GCM and
 * AES-256-GCM (NIST SP 800-38D), ChaCha20-Poly1305 (RFC 8439); and single blocks of AES (FIPS 197).
 * A session keeps a key and nothing else: the library's state, of a kilobyte for each direction,
 * belongs to the context, of which a thread has one for all its sessions.
 *
 * The caller sees to it that no nonce is used twice with one key to seal. Nothing here takes memory
 * once the context is made, and nothing fails but an open.
 */
#ifndef MF_CRYPTO_CIPHER_H
#define MF_CRYPTO_CIPHER_H

#include "base/base.h"

enum mf_cipher_alg { MF_AES_128_GCM, MF_AES_256_GCM, MF_CHACHA20_POLY1305, MF_CIPHER_ALGS };
enum {
	MF_CIPHER_KEY_MAX = 32,
	MF_CIPHER_NONCE_LEN = 12,
	MF_CIPHER_TAG_LEN = 16,
	MF_CIPHER_BLOCK = 16
};

/* `serial` is unique in the process, or 0: a context sees by it that it has this key loaded. */
struct mf_cipher_key {
	uint64_t serial;
	uint8_t alg; /* enum mf_cipher_alg */
	uint8_t b[MF_CIPHER_KEY_MAX];
};

/* 16 or 32. */
size_t mf_cipher_key_len(enum mf_cipher_alg alg);
/* Any thread. `bytes`: mf_cipher_key_len of them. */
void mf_cipher_key_init(struct mf_cipher_key *k, enum mf_cipher_alg alg, const uint8_t *bytes);
/* The same for a key of a single message, which no context remembers: nothing that threads share is
 * written for it. */
void mf_cipher_key_init_once(struct mf_cipher_key *k, enum mf_cipher_alg alg, const uint8_t *bytes);
void mf_cipher_key_wipe(struct mf_cipher_key *k);

struct mf_cipher;

/* One thread's context. NULL: out of memory. */
struct mf_cipher *mf_cipher_new(void);
/* Wipes and frees; NULL is fine. */
void mf_cipher_free(struct mf_cipher *c);

/* Seals what lies in the n spans, in their order, as one message to dst: so many bytes and the tag.
 * A single span may begin at dst; else nothing overlaps. `aad` may be empty. */
void mf_cipher_seal(struct mf_cipher *c, const struct mf_cipher_key *k,
		    const uint8_t nonce[MF_CIPHER_NONCE_LEN], struct mf_span aad,
		    const struct mf_span *src, size_t n, uint8_t *dst);
/* Opens n bytes (tag included) of src into the rooms, in their order; they have space for
 * n - MF_CIPHER_TAG_LEN bytes (asserted). A room may be the very place in src whose bytes are due
 * in it; else nothing overlaps. False: too short or the tag is wrong; then what was due in the
 * rooms is all zero. */
MF_MUST_CHECK bool mf_cipher_open(struct mf_cipher *c, const struct mf_cipher_key *k,
				  const uint8_t nonce[MF_CIPHER_NONCE_LEN], struct mf_span aad,
				  const uint8_t *src, size_t n, const struct mf_room *dst,
				  size_t n_dst);

/* One block of AES with the key of one of the two AES algorithms; `out` may be `in`. */
void mf_cipher_block_encrypt(struct mf_cipher *c, const struct mf_cipher_key *k,
			     const uint8_t in[MF_CIPHER_BLOCK], uint8_t out[MF_CIPHER_BLOCK]);
void mf_cipher_block_decrypt(struct mf_cipher *c, const struct mf_cipher_key *k,
			     const uint8_t in[MF_CIPHER_BLOCK], uint8_t out[MF_CIPHER_BLOCK]);

/* Does this CPU have instructions for AES and GCM? Else ChaCha20-Poly1305 is much faster. */
bool mf_cipher_has_aes(void);

#endif
