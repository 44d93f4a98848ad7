/* SPDX-License-Identifier: Apache-2.0
 *
 * sserver - the other side of src/proto/shadowsocks for tests and fuzzing: a server of both
 * editions for sessions and datagrams, in memory. It shares no code with the client but BLAKE3,
 * which the official vectors prove. It also says what no server should.
 */
#ifndef MF_TEST_SSERVER_H
#define MF_TEST_SSERVER_H

#include "base/base.h"

enum { SSERVER_KEY_MAX = 32, SSERVER_IDENTITIES_MAX = 4, SSERVER_TARGET_MAX = 259 };

/* What a method and a password come to. */
struct sserver_keys {
	bool chacha, edition_2022;
	size_t n; /* bytes of a key and of a salt */
	uint8_t key[SSERVER_KEY_MAX];
	unsigned n_identities;
	uint8_t identity[SSERVER_IDENTITIES_MAX][SSERVER_KEY_MAX];
};
/* By the name in the standard; an unknown one stops the program, as do keys that are none. */
void sserver_keys(struct sserver_keys *k, const char *method, const char *password);

/* Bytes that grow; p is not NULL once something, or nothing, was added. */
struct sserver_bytes {
	uint8_t *p;
	size_t n, max;
};
void sserver_add(struct sserver_bytes *b, const void *p, size_t n);
void sserver_free(struct sserver_bytes *b);

/* ---- Sessions -------------------------------------------------------------------------------- */

struct sserver_half {
	uint8_t key[SSERVER_KEY_MAX];
	uint64_t count;
};

struct sserver {
	const struct sserver_keys *keys;
	struct sserver_half up, down;
	struct sserver_bytes in;  /* not understood yet */
	struct sserver_bytes got; /* payload */
	bool has_salt, has_target;
	size_t length;                 /* of the chunk that comes; 0: a length comes */
	uint8_t salt[SSERVER_KEY_MAX]; /* the client's */
	/* The request. */
	uint8_t target[SSERVER_TARGET_MAX];
	size_t target_n, padding, first_payload;
	uint64_t time;
	size_t longest; /* chunk of payload that came */
};

void sserver_init(struct sserver *s, const struct sserver_keys *k);
void sserver_fini(struct sserver *s);
/* What the client has sent, cut anywhere. False: it breaks the protocol, or has other keys. */
MF_MUST_CHECK bool sserver_take(struct sserver *s, const uint8_t *p, size_t n);

/* What an answer of the 2022 edition says. */
struct sserver_header {
	uint8_t type; /* 1 */
	uint64_t time;
	const uint8_t *salt; /* the client's, key length */
	uint16_t length;     /* of the payload that comes with it */
};
/* Appends to `out`: a salt; and then, in the 2022 edition, a header. */
void sserver_salt(struct sserver *s, const uint8_t *salt, struct sserver_bytes *out);
void sserver_header(struct sserver *s, const struct sserver_header *h, struct sserver_bytes *out);
/* One message; a chunk of payload, which is a length and a message. */
void sserver_message(struct sserver *s, const uint8_t *p, size_t n, struct sserver_bytes *out);
void sserver_chunk(struct sserver *s, const uint8_t *p, size_t n, struct sserver_bytes *out);
/* All of that: an answer that begins with n bytes of payload. */
void sserver_answer(struct sserver *s, const uint8_t *salt, uint64_t time, const uint8_t *p,
		    size_t n, struct sserver_bytes *out);

/* ---- Datagrams ------------------------------------------------------------------------------- */

/* In the clear. */
struct sserver_packet {
	uint8_t salt[SSERVER_KEY_MAX]; /* or nonce, with ChaCha20 of 2022 */
	/* Of 2022. */
	uint8_t session[8];
	uint64_t number;
	uint8_t type;
	uint64_t time;
	uint8_t client[8]; /* session; of answers */
	size_t padding;
	/* Address, and payload. */
	uint8_t text[2048];
	size_t n;
};
/* Opens one of a client: false: it breaks the protocol, or has other keys. */
MF_MUST_CHECK bool sserver_open_packet(const struct sserver_keys *k, const uint8_t *in, size_t n,
				       struct sserver_packet *p);
void sserver_seal_packet(const struct sserver_keys *k, const struct sserver_packet *p,
			 struct sserver_bytes *out);

#endif
