/* SPDX-License-Identifier: Apache-2.0
 *
 * hello - makes what clients say first, for tests, fuzzing and measuring: a ClientHello, the records of TLS
 * around it, and the Initial packets of QUIC that carry it.
 */
#ifndef MF_TEST_HELLO_H
#define MF_TEST_HELLO_H

#include "base/base.h"

/* Bytes that are put together. Too many for `b` stop the program. */
struct hello_bytes {
	size_t n;
	uint8_t b[20000];
};

void hello_add(struct hello_bytes *o, const void *p, size_t n);
/* A number of so many bytes, the highest first. */
void hello_number(struct hello_bytes *o, uint64_t v, size_t bytes);

/* What a ClientHello is to have. */
struct hello_shape {
	const char *name;    /* SNI; NULL: none */
	size_t name_len;     /* 0: strlen */
	uint8_t name_type;   /* 0: host_name */
	bool no_extensions;  /* not even their length */
	bool ech, ech_inner; /* an encrypted ClientHello, outer or (an empty one) inner */
	bool name_last;      /* behind all other extensions, else in front */
	size_t key_share;    /* bytes: 1216 and more with post-quantum ones */
};

/* The handshake message, header included; with GREASE values (RFC 8701) where browsers have them. */
void hello_make(struct hello_bytes *o, const struct hello_shape *s);
/* Records of at most `max` bytes around it. */
void hello_records(struct hello_bytes *o, const struct hello_bytes *hello, size_t max);

enum { HELLO_QUIC_V1 = 1, HELLO_QUIC_V2 = 0x6b3343cf };

/* An Initial packet of a client. */
struct hello_initial {
	uint32_t version;
	struct mf_span keys_from; /* the id that the keys come from */
	struct mf_span dcid, scid, token;
	uint32_t number;
	uint8_t number_len; /* 1..4 */
	struct mf_span frames;
	size_t payload; /* bytes, with PADDING frames behind the others; 0: no padding */
};
/* Adds the sealed packet. */
void hello_initial(struct hello_bytes *o, const struct hello_initial *p);
/* A variable-length integer in its shortest form; a CRYPTO frame. */
void hello_varint(struct hello_bytes *o, uint64_t v);
void hello_crypto(struct hello_bytes *o, const struct hello_bytes *hello, size_t at, size_t n);

#endif
