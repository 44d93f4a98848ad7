/* SPDX-License-Identifier: Apache-2.0
 *
 * far - the far side of encrypted DNS in memory: a server that speaks DNS over TLS or over HTTPS on
 * the streams of a made-up outbound. It collects questions, and answers when and as a test says.
 */
#ifndef MF_FAR_H
#define MF_FAR_H

#include <nghttp2/nghttp2.h>

#include "fakeout.h"
#include "support/tlslab.h"

enum { FAR_QUESTIONS = 1024 };

struct far_conn {
	struct far_conn *next; /* the one before */
	struct far *far;
	struct fake_stream *st;
	SSL *ssl;
	nghttp2_session *h2;
	size_t taken;        /* of st->got */
	uint8_t in[1 << 16]; /* of DNS over TLS: what is not whole yet */
	size_t n_in;
	bool said_goodbye;           /* the client: GOAWAY */
	bool closed;                 /* the client: close_notify */
	unsigned n_open, n_open_max; /* HTTP streams */
	unsigned n_resets;           /* by the client */
};

struct far_question {
	struct far_conn *conn;
	int32_t stream;
	uint8_t msg[1024];
	size_t n;
	char headers[512]; /* "name: value\n" ... */
};

/* The body of a response. */
struct far_body {
	struct far_body *next;
	size_t n, sent;
	uint8_t b[];
};

struct far {
	struct fakeout out;
	SSL_CTX *ctx;
	bool https;
	uint32_t max_streams; /* 0: no limit is said */
	bool dead;            /* connections come about, but it reads and says nothing */
	bool garbage;         /* says something that is not HTTP/2 */
	struct far_conn *last;
	unsigned n_conns;
	struct far_question asked[FAR_QUESTIONS];
	size_t n_asked;
	struct far_body *bodies;
};

void far_open(struct far *f, const struct tlslab_ca *ca, const struct tlslab_cert *cert,
	      const char *alpn);
/* After the transport has gone. */
void far_close(struct far *f);
/* Does what there is to do. Returns whether something has moved. */
bool far_turn(struct far *f);

/* Over TLS: the message behind its length. Over HTTPS: status 200 and the right type. */
void far_answer(struct far_question *q, struct mf_span msg);
/* `age` NULL: not said. */
void far_reply(struct far_question *q, const char *status, const char *type, const char *age,
	       struct mf_span body);
void far_reset(struct far_question *q, uint32_t error);
/* Wants no more than what has come. */
void far_goaway(struct far_conn *c);
/* Ends the connection. */
void far_hang_up(struct far_conn *c, bool in_order);

#endif
