/* SPDX-License-Identifier: Apache-2.0
 *
 * header - how a VMess session begins: the request, and the header of the server's answer, both
 * sealed under keys that are derived from the user's and, for the answer, from what the request has
 * said.
 */
#ifndef MF_PROTO_VMESS_HEADER_H
#define MF_PROTO_VMESS_HEADER_H

#include "crypto/digest.h"
#include "crypto/nested_hmac.h"
#include "proto/vmess/vmess.h"

enum {
	MF_VMESS_KDF_LEN = MF_NESTED_HMAC_LEN,
	MF_VMESS_AUTH_ID_LEN = 16,
	MF_VMESS_NONCE_LEN = 8,
	MF_VMESS_REQUEST_FIXED = 1 + 2 * MF_VMESS_KEY_LEN + 1 + 1 + 1 + 1 + 1 + 4,
	MF_VMESS_REQUEST_PADDING = 15,
	/* Bytes of a request, at most. */
	MF_VMESS_REQUEST_MAX = MF_VMESS_AUTH_ID_LEN + 2 + MF_CIPHER_TAG_LEN + MF_VMESS_NONCE_LEN +
			       MF_VMESS_REQUEST_FIXED + MF_TARGET_LEN_MAX +
			       MF_VMESS_REQUEST_PADDING + MF_CIPHER_TAG_LEN,
	MF_VMESS_REPLY_LENGTH_LEN = 2 + MF_CIPHER_TAG_LEN,
	/* Bytes of the answer's header: V, options, a command of the server's with at most 255
	 * bytes. */
	MF_VMESS_REPLY_MIN = 4,
	MF_VMESS_REPLY_MAX = 4 + UINT8_MAX,
};

enum mf_vmess_command { MF_VMESS_TCP = 1, MF_VMESS_UDP = 2 };

/* What is random in a request: all bytes, so that one call fills it. Secret. */
struct mf_vmess_fresh {
	uint8_t key[MF_VMESS_KEY_LEN], iv[MF_VMESS_KEY_LEN];
	uint8_t verify;  /* "V": the answer repeats it */
	uint8_t auth[4]; /* in the auth id, behind the time */
	uint8_t nonce[MF_VMESS_NONCE_LEN];
	uint8_t padding_n; /* of which the low four bits count */
	uint8_t padding[MF_VMESS_REQUEST_PADDING];
};

struct mf_vmess_request {
	struct mf_vmess_fresh fresh;
	uint64_t wall; /* seconds since 1970; servers take 120 s more or less */
	uint8_t option, cipher, command;
	const struct mf_proxy_target *to;
};

/* "KDF": of 16 bytes, with the name of what it is for, and up to two more inputs. */
void mf_vmess_kdf(uint8_t out[MF_VMESS_KDF_LEN], const uint8_t key[MF_VMESS_KEY_LEN],
		  const char *purpose, const struct mf_span *more, size_t n);

/* Writes a request, at most MF_VMESS_REQUEST_MAX bytes; returns how many. */
size_t mf_vmess_request_seal(const struct mf_vmess_request *r, const struct mf_vmess_config *cfg,
			     struct mf_cipher *cipher, uint8_t *out);

/* The key or IV of the answer, from that of the request. `out` may be `in`. */
void mf_vmess_answer_key(uint8_t out[MF_VMESS_KEY_LEN], const uint8_t in[MF_VMESS_KEY_LEN]);
/* Opens the length of the answer's header, MF_VMESS_REPLY_LENGTH_LEN bytes, in place; `key` and
 * `iv` are those of the answer. MF_E_AUTH; MF_E_MALFORMED: too long or short. */
MF_MUST_CHECK mf_err mf_vmess_reply_length(struct mf_cipher *cipher,
					   const uint8_t key[MF_VMESS_KEY_LEN],
					   const uint8_t iv[MF_VMESS_KEY_LEN], uint8_t *in,
					   size_t *len);
/* Opens the header, `len` bytes and a tag, in place. MF_E_MALFORMED: it is to another request, or
 * its command is longer than itself. */
MF_MUST_CHECK mf_err mf_vmess_reply_open(struct mf_cipher *cipher,
					 const uint8_t key[MF_VMESS_KEY_LEN],
					 const uint8_t iv[MF_VMESS_KEY_LEN], uint8_t *in,
					 size_t len, uint8_t verify);

#endif
