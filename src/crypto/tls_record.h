/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_record - the records of TLS once its handshake is done (RFC 8446 5, RFC 5246 6.2): one
 * direction's keys, sealing and opening. AEADs only: AES-GCM (RFC 5288 for 1.2), ChaCha20-Poly1305
 * (RFC 7905 for 1.2).
 *
 * One thread for the two of a connection. Sealing and opening take no memory.
 */
#ifndef MF_CRYPTO_TLS_RECORD_H
#define MF_CRYPTO_TLS_RECORD_H

#include "base/err.h"
#include "crypto/cipher.h"

enum {
	MF_TLS_HEADER_LEN = 5,
	MF_TLS_PLAIN_MAX = 1 << 14,                 /* bytes that a record carries at most */
	MF_TLS_SEALED_MAX = MF_TLS_PLAIN_MAX + 256, /* bytes behind its header at most */
	/* Bytes that a record is longer than what it carries: header, nonce (1.2) or type (1.3),
	 * tag. */
	MF_TLS_OVERHEAD = MF_TLS_HEADER_LEN + 8 + MF_CIPHER_TAG_LEN,
	MF_TLS_SECRET_MAX = 48,
	MF_TLS_SPANS = 66, /* spans and rooms for one record at most, and one more */
};

enum mf_tls_type {
	MF_TLS_CHANGE_CIPHER_SPEC = 20,
	MF_TLS_ALERT = 21,
	MF_TLS_HANDSHAKE = 22,
	MF_TLS_DATA = 23,
};

/* One direction. */
struct mf_tls_half {
	struct mf_cipher_key key;
	uint64_t seq;
	uint64_t nonce; /* TLS 1.2 with AES-GCM: the explicit part of the next one, when sealing */
	uint8_t iv[MF_CIPHER_NONCE_LEN];
	uint8_t secret[MF_TLS_SECRET_MAX]; /* TLS 1.3: its traffic secret */
	uint8_t secret_len;                /* 32 or 48; 0: TLS 1.2 */
};

/* TLS 1.3: with the keys of a traffic secret of 32 (SHA-256) or 48 bytes (SHA-384), and at its
 * first record. False: out of memory. */
MF_MUST_CHECK bool mf_tls_half_init(struct mf_tls_half *h, enum mf_cipher_alg alg,
				    const uint8_t *secret, size_t n);
/* TLS 1.3: goes on to the next generation of keys (RFC 8446 7.2). False: out of memory. */
MF_MUST_CHECK bool mf_tls_half_update(struct mf_tls_half *h);

/* TLS 1.2: the keys of both directions from the master secret (48 bytes) and the randoms (32
 * bytes each). Each has had one record, its Finished; `nonce` is the explicit one that ours had.
 * `sha384`: the hash of the suite. False: out of memory. */
MF_MUST_CHECK bool mf_tls_halves_init_12(struct mf_tls_half *tx, struct mf_tls_half *rx,
					 enum mf_cipher_alg alg, bool sha384, const uint8_t *master,
					 const uint8_t *client_random, const uint8_t *server_random,
					 uint64_t nonce);
void mf_tls_half_wipe(struct mf_tls_half *h);

/* Seals what lies in the n spans (at most MF_TLS_SPANS - 1, MF_TLS_PLAIN_MAX bytes; asserted) as
 * one record at `out`; returns its length, at most MF_TLS_OVERHEAD more. */
size_t mf_tls_record_seal(struct mf_cipher *c, struct mf_tls_half *h, enum mf_tls_type type,
			  const struct mf_span *v, size_t n, uint8_t *out);

/* Looks at the first n bytes of what has come. MF_OK: *len bytes are the first record. MF_E_SHORT:
 * more must come. MF_E_MALFORMED: no record of a connection in this state; MF_E_RANGE: too long. */
MF_MUST_CHECK mf_err mf_tls_record_check(const struct mf_tls_half *h, const uint8_t *p, size_t n,
					 size_t *len);
/* Most bytes that a record of this length carries. */
size_t mf_tls_record_room(const struct mf_tls_half *h, size_t len);
/* Opens a record that mf_tls_record_check has found good, of `len` bytes, into the n rooms,
 * which have space for mf_tls_record_room bytes and are at most MF_TLS_SPANS - 1 (asserted);
 * *got: how many it carries. The record stays as it is. MF_E_AUTH: its tag is wrong.
 * MF_E_MALFORMED: it has no type. MF_E_RANGE: it carries too much. */
MF_MUST_CHECK mf_err mf_tls_record_open(struct mf_cipher *c, struct mf_tls_half *h,
					const uint8_t *record, size_t len, const struct mf_room *v,
					size_t n, enum mf_tls_type *type, size_t *got);
/* The same in place: *plain points into the record. */
MF_MUST_CHECK mf_err mf_tls_record_open_in_place(struct mf_cipher *c, struct mf_tls_half *h,
						 uint8_t *record, size_t len,
						 enum mf_tls_type *type, struct mf_span *plain);

#endif
