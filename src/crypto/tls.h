/* SPDX-License-Identifier: Apache-2.0
 *
 * tls - a TLS client without I/O (RFC 8446, RFC 5246): ciphertext in, ciphertext out, plaintext in,
 * plaintext out.
 *
 * Versions 1.2 and 1.3, with forward secrecy and authenticated encryption only. Certificates are
 * always verified, chain and name, against the system's authorities or those of a file; there is no
 * way to switch that off. The library is OpenSSL, and the wall clock by which certificates expire
 * is the one that it reads. One thread for a context with all its connections; making the context
 * may be another's work before.
 */
#ifndef MF_CRYPTO_TLS_H
#define MF_CRYPTO_TLS_H

#include "base/err.h"

struct mf_tls_context;
struct mf_tls;

enum {
	MF_TLS_WRITE_MAX = 1 << 17,   /* plaintext that one mf_tls_write takes */
	MF_TLS_BACKLOG_MAX = 1 << 18, /* ciphertext that waits to be read */
};

struct mf_tls_options {
	const char *ca_file; /* PEM; NULL: the system's */
	bool session_reuse;  /* keep tickets for the next connection to the same server */
};
/* Reads files: before privileges go. MF_E_NOT_FOUND, MF_E_MALFORMED: of ca_file, or the system has
 * no authorities; `eb` says what. MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_tls_context_new(struct mf_tls_context **out, const struct mf_tls_options *o,
					struct mf_errbuf *eb);
/* After the last of its connections. */
void mf_tls_context_free(struct mf_tls_context *c);

/* A connection to the server that has this name, or this address as text: what its certificate must
 * be for, and what SNI says of names (RFC 6066 3). A name is ASCII: international ones in their
 * xn-- form. `alpn`: protocols in the form of RFC 7301 3.1 without the outer length ("\2h2"), NULL:
 * none. Nothing is kept of either. NULL: out of memory, or `name` or `alpn` are no such thing. */
struct mf_tls *mf_tls_new(struct mf_tls_context *c, const char *name, const char *alpn);
void mf_tls_free(struct mf_tls *t);

/* What has come from the server: all of it is taken, or nothing. MF_E_FULL: more than
 * MF_TLS_BACKLOG_MAX would wait, read first. MF_E_NO_MEMORY. MF_E_GONE: the connection has
 * failed. */
MF_MUST_CHECK mf_err mf_tls_feed(struct mf_tls *t, struct mf_span in);
/* Drives the handshake. MF_OK: it is done; MF_E_AGAIN: more must come or go; MF_E_AUTH: the
 * certificate is not good; MF_E_MALFORMED: it failed otherwise. After an error there is only
 * mf_tls_error, the alert that is outgoing, and mf_tls_free. */
MF_MUST_CHECK mf_err mf_tls_handshake(struct mf_tls *t);
/* Ciphertext that must go to the server: look after every other call, then say how much of it has
 * gone. The bytes live until the next call. */
struct mf_span mf_tls_outgoing(const struct mf_tls *t);
void mf_tls_sent(struct mf_tls *t, size_t n);

/* Plaintext, after the handshake. All of it is taken or nothing. MF_E_AGAIN: first send what is
 * outgoing; MF_E_RANGE: more than MF_TLS_WRITE_MAX; MF_E_GONE: after mf_tls_close, or it has
 * failed. */
MF_MUST_CHECK mf_err mf_tls_write(struct mf_tls *t, struct mf_span in);
/* Up to n bytes, at most a record's at a time: call it until it says 0. *end: the server has said
 * that no more comes (close_notify). If its transport ends before that, somebody has cut it off.
 * Negative: an mf_err, it is broken. We may go on writing after the server's end. */
ptrdiff_t mf_tls_read(struct mf_tls *t, uint8_t *out, size_t n, bool *end);
/* Says close_notify (it is outgoing then), once and only after the handshake. What the server still
 * sends can be read. */
void mf_tls_close(struct mf_tls *t);

/* What the server chose by ALPN ("h2"), "" if nothing. */
const char *mf_tls_alpn(const struct mf_tls *t);
/* Why it failed, for the log: a sentence without secrets; "" if it has not. */
const char *mf_tls_error(const struct mf_tls *t);

#endif
