/* SPDX-License-Identifier: Apache-2.0
 *
 * body - what follows the headers of a VMess session, each way: chunks of payload, with their
 * length in front of them (masked or sealed, too) and random padding behind. A chunk without
 * payload is the end.
 *
 * What seals a chunk has a counter of 16 bits for a nonce, and VMess has no new keys for a session:
 * after 65536 chunks nonces repeat, and with them what GCM and Poly1305 promise. Every client and
 * server goes on all the same, so we have to; that our own chunks are large (VMESS_CHUNK of
 * vmess.c) is all that we can do about it. TLS around it is the remedy.
 */
#ifndef MF_PROTO_VMESS_BODY_H
#define MF_PROTO_VMESS_BODY_H

#include "base/err.h"
#include "crypto/cipher.h"
#include "crypto/shake128.h"

/* As the request says it. */
enum mf_vmess_cipher {
	MF_VMESS_CIPHER_AES_128_GCM = 3,
	MF_VMESS_CIPHER_CHACHA20_POLY1305 = 4,
	MF_VMESS_CIPHER_NONE = 5,
};
enum mf_vmess_option {
	MF_VMESS_CHUNKS = 1, /* else bytes as they are, and this file is not concerned */
	MF_VMESS_MASKED = 4,
	MF_VMESS_PADDED = 8,         /* only sealed chunks are */
	MF_VMESS_SEALED_LENGTH = 16, /* instead of masked; only of sealed chunks */
};

enum {
	MF_VMESS_KEY_LEN = 16, /* of the key and the IV that a request gives */
	MF_VMESS_LENGTH_MAX = 2 + MF_CIPHER_TAG_LEN,
	MF_VMESS_PADDING_MAX = 63,
	MF_VMESS_OVERHEAD_MAX = MF_VMESS_LENGTH_MAX + MF_CIPHER_TAG_LEN + MF_VMESS_PADDING_MAX,
	MF_VMESS_PAYLOAD_MAX = UINT16_MAX - MF_CIPHER_TAG_LEN - MF_VMESS_PADDING_MAX,
};

/* One direction. */
struct mf_vmess_chunks {
	struct mf_cipher_key key;
	struct mf_shake128 mask; /* of lengths; says how much padding, too */
	uint8_t iv[MF_CIPHER_NONCE_LEN - 2];
	uint16_t count;
};

/* Secret. */
struct mf_vmess_body {
	struct mf_vmess_chunks up, down;
	/* Of sealed lengths. Both directions have the same key and nonces for them: so says the
	 * protocol, and so the tag of a length is worth little. That of its payload holds. */
	struct mf_cipher_key length_key;
	uint8_t length_iv[MF_CIPHER_NONCE_LEN - 2];
	uint8_t cipher, option;
};

/* A chunk of the server's, of which the length is known: bytes of payload, and of tag and padding
 * behind it. */
struct mf_vmess_chunk {
	uint32_t payload;
	uint32_t tail;
};

/* `key` and `iv` are those of the request; `answer_key` and `answer_iv` those of the server's
 * direction. */
void mf_vmess_body_init(struct mf_vmess_body *b, enum mf_vmess_cipher cipher, uint8_t option,
			const uint8_t key[MF_VMESS_KEY_LEN], const uint8_t iv[MF_VMESS_KEY_LEN]);
void mf_vmess_body_answer(struct mf_vmess_body *b, const uint8_t key[MF_VMESS_KEY_LEN],
			  const uint8_t iv[MF_VMESS_KEY_LEN]);

/* Writes one chunk with all that is in the n spans, `size` bytes, at most MF_VMESS_PAYLOAD_MAX
 * (asserted); none: the end. Returns how many bytes, at most MF_VMESS_OVERHEAD_MAX more. */
size_t mf_vmess_body_seal(struct mf_vmess_body *b, struct mf_cipher *cipher, const struct mf_rng *rng,
			  const struct mf_span *v, size_t n, size_t size, uint8_t *out);

/* How many bytes the length of a chunk is: 2 or 18. */
size_t mf_vmess_body_length_len(const struct mf_vmess_body *b);
/* Reads the next one. MF_E_AUTH: its tag is wrong; MF_E_MALFORMED: too short for tag and
 * padding. */
MF_MUST_CHECK mf_err mf_vmess_body_length(struct mf_vmess_body *b, struct mf_cipher *cipher,
					  const uint8_t *in, struct mf_vmess_chunk *out);
/* Are chunks sealed? Else their payload is what is on the wire. */
bool mf_vmess_body_sealed(const struct mf_vmess_body *b);
/* Opens payload and tag of the chunk whose length was read last, as mf_cipher_open does, from `src`
 * to the n rooms. */
MF_MUST_CHECK bool mf_vmess_body_open(struct mf_vmess_body *b, struct mf_cipher *cipher,
				      const uint8_t *src, struct mf_vmess_chunk chunk,
				      const struct mf_room *v, size_t n);

#endif
