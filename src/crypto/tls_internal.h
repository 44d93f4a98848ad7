/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_internal - what tls.c (a connection's bytes), tls_shake.c (its handshake) and tls_context.c
 * (what connections share) know of each other.
 */
#ifndef MF_CRYPTO_TLS_INTERNAL_H
#define MF_CRYPTO_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "crypto/tls.h"
#include "crypto/tls_record.h"

enum {
	MF_TLS_NAME_MAX = 253,
	MF_TLS_TICKETS = 32,           /* sessions that a context keeps to resume */
	MF_TLS_TICKETS_OF_SERVER = 16, /* ... of one server */
};

/* A session to resume. */
struct mf_tls_ticket {
	char *name;           /* the server's */
	SSL_SESSION *session; /* NULL: free */
	uint64_t age;         /* when it was put here, counted in tickets */
};

struct mf_tls_context {
	SSL_CTX *ssl;
	BIO_METHOD *method;
	struct mf_cipher *cipher;
	bool session_reuse, insecure, pinned;
	uint8_t pin_sha256[32];
	uint64_t n_tickets; /* ever */
	struct mf_tls_ticket ticket[MF_TLS_TICKETS];
};

/* A handshake, and after it what waits for the server's tickets. */
struct mf_tls_shake {
	SSL *ssl;
	struct mf_room *in; /* what has come: its BIO reads from there; NULL: nothing */
	bool over;          /* what it writes goes nowhere */
	bool wrong_key;     /* the server's is not the pinned one */
	uint8_t secret_len; /* TLS 1.3: traffic secrets, the client's and the server's */
	uint8_t secret[2][MF_TLS_SECRET_MAX];
	uint8_t tail[40]; /* the last bytes written: in TLS 1.2 of our Finished */
	char name[MF_TLS_NAME_MAX + 1];
};

/* Bytes p[at .. at + n). */
struct mf_tls_queue {
	uint8_t *p;
	uint32_t at, n, cap;
};

struct mf_tls {
	struct mf_tls_context *context;
	struct mf_tls_shake *shake;  /* NULL: it is over, and no tickets are waited for */
	struct mf_errbuf *error;     /* NULL: none */
	struct mf_tls_queue in, out; /* of those who do not bring memory of their own */
	struct mf_tls_half tx, rx;
	/* The first bytes of the input are a record that has been opened in place: so many bytes of
	 * what it carries, then so many of no use. */
	uint32_t plain, useless;
	/* The handshake message that is being read: its header as far as it has come, bytes
	 * left. */
	uint8_t header[4], n_header;
	uint32_t message_left;
	uint8_t idle;       /* records in a row that carried no payload */
	bool done;          /* the handshake; records are ours from then on */
	bool closed, ended; /* close_notify has been said, heard */
	bool failed;
	bool owes_update; /* a KeyUpdate goes before the next record */
	char alpn[16];
};

/* ---- tls_context.c ---- */

/* Offers the server's newest session, if there is one and they are kept. */
void mf_tls_ticket_use(struct mf_tls *t);
/* OpenSSL has a session to keep: 1: it is ours now. */
int mf_tls_ticket_put(SSL *ssl, SSL_SESSION *session);

/* ---- tls_shake.c ---- */

/* False: out of memory. */
bool mf_tls_method_init(BIO_METHOD *m);
/* For SSL_CTX_set_keylog_callback. */
void mf_tls_note_secret(const SSL *ssl, const char *line);
/* False: out of memory, or `name` or `alpn` are no such thing. */
bool mf_tls_shake_new(struct mf_tls *t, const char *name, const char *alpn);
/* NULL is fine. */
void mf_tls_shake_free(struct mf_tls *t);
/* A record that the server has sent after the handshake and before the first of another type: of
 * handshake messages, as it came. */
void mf_tls_shake_ticket(struct mf_tls *t, uint8_t *record, size_t n);

/* ---- tls.c ---- */

/* Appends to what is outgoing; false: out of memory. */
bool mf_tls_queue_add(struct mf_tls_queue *q, const void *bytes, size_t n);
/* Keeps the sentence; it has failed. Returns `e`. */
mf_err mf_tls_fail(struct mf_tls *t, mf_err e, const char *fmt, ...) MF_PRINTF(3, 4);

#endif
