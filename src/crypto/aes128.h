/* SPDX-License-Identifier: Apache-2.0
 *
 * aes128 - AES-128-GCM (NIST SP 800-38D) and single blocks of AES-128, as QUIC uses them for packets and their
 * headers (RFC 9001 5.3 and 5.4.3). A context belongs to one thread and keeps a key at a time for each of the
 * two; once it is made, no memory is taken.
 */
#ifndef MF_CRYPTO_AES128_H
#define MF_CRYPTO_AES128_H

#include "base/base.h"

enum { MF_AES128_KEY_LEN = 16, MF_AES128_BLOCK = 16, MF_GCM_IV_LEN = 12, MF_GCM_TAG_LEN = 16 };

struct mf_aes128;

/* With keys of zeros. NULL: out of memory. */
struct mf_aes128 *mf_aes128_new(void);
/* Wipes and frees; NULL is fine. */
void mf_aes128_free(struct mf_aes128 *c);

/* The key for GCM, and the key for blocks, from now on. */
void mf_aes128_set_keys(struct mf_aes128 *c, const uint8_t gcm[MF_AES128_KEY_LEN],
			const uint8_t block[MF_AES128_KEY_LEN]);

/* Encrypts one block. */
void mf_aes128_block(struct mf_aes128 *c, const uint8_t in[MF_AES128_BLOCK],
		     uint8_t out[MF_AES128_BLOCK]);
/* Seals n bytes of src to n + MF_GCM_TAG_LEN bytes at dst, which may be src. No IV twice with one key. */
void mf_aes128_gcm_seal(struct mf_aes128 *c, const uint8_t iv[MF_GCM_IV_LEN], struct mf_span aad,
			const uint8_t *src, size_t n, uint8_t *dst);
/* Opens n bytes (tag included) of src to n - MF_GCM_TAG_LEN bytes at dst, which may be src. False: too short or
 * the tag is wrong; what was due at dst is worth nothing then. */
MF_MUST_CHECK bool mf_aes128_gcm_open(struct mf_aes128 *c, const uint8_t iv[MF_GCM_IV_LEN],
				      struct mf_span aad, const uint8_t *src, size_t n, uint8_t *dst);

#endif
