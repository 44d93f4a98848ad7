/* SPDX-License-Identifier: Apache-2.0
 *
 * vserver - the other end of a VMess session in memory. It shares nothing with src/proto/vmess:
 * keys by the recursive definition, ciphers and SHAKE128 straight from OpenSSL's EVP. It takes
 * every security and option, and can also say what no server should.
 */
#ifndef MF_VSERVER_H
#define MF_VSERVER_H

#include "base/prng.h"

enum { VSERVER_TARGET_MAX = 2 + 1 + 1 + 255 };

struct vserver_bytes {
	uint8_t *p;
	size_t at, n, cap; /* p[at..n) are there */
};

/* One direction. */
struct vserver_way {
	uint8_t key[32];
	uint8_t iv[16];
	uint16_t count;
	uint8_t *mask; /* as much of the stream as has been wanted so far */
	size_t mask_at, mask_n;
};

struct vserver {
	uint8_t cmd_key[16];
	struct mf_prng prng;
	const char *why; /* it has refused the client */
	/* From the request. */
	bool begun;
	uint8_t key[16], iv[16], verify, option, security, command;
	uint64_t stamp;
	uint8_t target[VSERVER_TARGET_MAX]; /* as it was encoded */
	size_t target_n;
	/* From the client. */
	bool ended;
	struct vserver_bytes in, payload;
	struct vserver_bytes sizes; /* of the chunks so far, a size_t each */
	/* For the client. */
	struct vserver_bytes wire;
	bool answered;
	struct vserver_way up, down;
};

void vserver_init(struct vserver *s, const uint8_t uuid[16], uint64_t seed);
void vserver_free(struct vserver *s);
/* Takes bytes of the client's. False: `why`. */
bool vserver_hear(struct vserver *s, const uint8_t *p, size_t n);

/* Add to `wire`; the request must have come. The header of the answer goes in front of the
 * first. */
void vserver_say(struct vserver *s, const uint8_t *p, size_t n); /* a chunk; n 0: the end */
/* A chunk that says it is `more` bytes longer than it is. */
void vserver_lie(struct vserver *s, const uint8_t *p, size_t n, int more);
/* A header with these bytes, sealed as it should be, instead of the right one; of which it says to
 * have `len`. */
void vserver_answer(struct vserver *s, const uint8_t *p, size_t n, size_t len);
/* Bytes as they are. */
void vserver_raw(struct vserver *s, const uint8_t *p, size_t n);

/* KDF, of a message and n paths. */
void vserver_kdf(uint8_t out[32], struct mf_span msg, const struct mf_span *path, size_t n);

void vserver_bytes_add(struct vserver_bytes *b, const void *p, size_t n);
/* What is there; it is taken away. Good until the next call. */
struct mf_span vserver_bytes_take(struct vserver_bytes *b, size_t most);

#endif
