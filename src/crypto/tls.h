/* SPDX-License-Identifier: Apache-2.0
 *
 * tls - a TLS client without I/O (RFC 8446, RFC 5246): ciphertext in, ciphertext out, plaintext in,
 * plaintext out.
 *
 * Versions 1.2 and 1.3, with forward secrecy and authenticated encryption only. Certificates are
 * verified, chain and name, against the system's authorities or given ones, unless a proxy's owner
 * has said `insecure` or knows the server's key. The library is OpenSSL, and the wall clock by
 * which certificates expire is the one that it reads. One thread for a context with all its
 * connections; making the context may be another's work before.
 *
 * There are two ways to use a connection. mf_tls_feed, _handshake, _read and _write keep bytes in
 * memory of the connection. mf_tls_handshake_from, _open and _seal work on the caller's, take none
 * (but for the handshake) and copy nothing; a connection that is idle then costs 400 bytes. A
 * connection is used in one of them; what mf_tls_outgoing says is to be sent in both.
 */
#ifndef MF_CRYPTO_TLS_H
#define MF_CRYPTO_TLS_H

#include "base/err.h"

struct mf_tls_context;
struct mf_tls;

enum {
	MF_TLS_WRITE_MAX = 1 << 17,              /* plaintext that one mf_tls_write takes */
	MF_TLS_BACKLOG_MAX = 1 << 18,            /* ciphertext that waits to be read */
	MF_TLS_RECORD_MAX = 5 + (1 << 14) + 256, /* the longest record that a server sends */
	MF_TLS_SEAL_SPANS = 64,
};
/* Room for mf_tls_seal that n bytes of payload need at most, in MF_TLS_SEAL_SPANS spans or
 * fewer. */
#define MF_TLS_SEALED(n) ((n) + ((n) / (1 << 14) + 2) * 32)

struct mf_tls_options {
	/* Whom to trust: one of these; none: the system's authorities. */
	const char *ca_file;                /* PEM */
	struct mf_span ca_pem;              /* its text */
	const struct mf_tls_context *share; /* as this context does: takes no memory of its own */
	bool session_reuse; /* keep tickets for the next connections to the same server */
	bool insecure;      /* certificates are not looked at, but for a pinned key */
	bool pinned; /* the server's key must be this one; chain, name and dates do not count then */
	uint8_t pin_sha256[32]; /* of the certificate's SubjectPublicKeyInfo (RFC 7469 2.4) */
};
/* Reads files: before privileges go. MF_E_NOT_FOUND, MF_E_MALFORMED: of ca_file or ca_pem, or the
 * system has no authorities; `eb` says what. MF_E_NO_MEMORY.
 *
 * Contexts that share are as independent as others: each has a thread of its own, sessions of its
 * own, and they are freed in any order. */
MF_MUST_CHECK mf_err mf_tls_context_new(struct mf_tls_context **out, const struct mf_tls_options *o,
					struct mf_errbuf *eb);
/* After the last of its connections. */
void mf_tls_context_free(struct mf_tls_context *c);

/* A connection to the server that has this name, or this address as text: what its certificate
 * must be for, and what SNI says of names (RFC 6066 3). A name is ASCII: international ones in
 * their xn-- form. `alpn`: protocols in the form of RFC 7301 3.1 without the outer length
 * ("\2h2"), of at most 15 bytes each; NULL: none. Nothing is kept of either. NULL: out of
 * memory, or `name` or `alpn` are no such thing. */
struct mf_tls *mf_tls_new(struct mf_tls_context *c, const char *name, const char *alpn);
void mf_tls_free(struct mf_tls *t);

/* Drives the handshake with what has come, and takes from the front of `in` what it uses (p moves
 * on, n shrinks): all, until it is done. MF_OK: it is done; MF_E_AGAIN: more must come or go;
 * MF_E_AUTH: the certificate is not good; MF_E_CONFLICT: the server's key is not the pinned one;
 * MF_E_MALFORMED, MF_E_NO_MEMORY: it failed otherwise; MF_E_GONE: it has failed before. After an
 * error there is only mf_tls_error, the alert that is outgoing, and mf_tls_free. */
MF_MUST_CHECK mf_err mf_tls_handshake_from(struct mf_tls *t, struct mf_room *in);

/* Ciphertext that must go to the server: look after every other call, then say how much of it has
 * gone. The bytes live until the next call. */
struct mf_span mf_tls_outgoing(const struct mf_tls *t);
void mf_tls_sent(struct mf_tls *t, size_t n);

/* Takes payload from the n spans, in their order, and writes records of it, at most `room`
 * bytes; *len: how many. Returns how many bytes of payload it has taken: all, if there is room,
 * the connection has not failed and mf_tls_close has not been called. After the handshake, and
 * only when nothing is outgoing (asserted). No byte is copied. */
size_t mf_tls_seal(struct mf_tls *t, const struct mf_span *v, size_t n, uint8_t *out, size_t room,
		   size_t *len);
/* Opens the records in `in`, takes them from its front, and fills the n rooms with their payload,
 * in their order; *got: how many bytes. It stops when the rooms are full, or when more must come
 * (MF_OK in both cases). A record that does not fit the rooms is opened where it is: so the caller
 * keeps what is left of `in`, as it is, in front of what comes next. MF_TLS_RECORD_MAX bytes are
 * always enough to go on.
 *
 * MF_E_GONE: the server has said that no more comes (close_notify) after *got. If its transport
 * ends before that, somebody may have cut it off. MF_E_MALFORMED: it is broken, see
 * mf_tls_error; *got is 0. We may go on writing after the server's end. */
MF_MUST_CHECK mf_err mf_tls_open(struct mf_tls *t, struct mf_room *in, const struct mf_room *v,
				 size_t n, size_t *got);

/* How many bytes are missing behind those that mf_tls_open has left, before it can go on; 0: none. */
size_t mf_tls_missing(const struct mf_tls *t, struct mf_span left);

/* What has come from the server: all of it is taken, or nothing. MF_E_FULL: more than
 * MF_TLS_BACKLOG_MAX would wait, read first. MF_E_NO_MEMORY. MF_E_GONE: the connection has
 * failed. */
MF_MUST_CHECK mf_err mf_tls_feed(struct mf_tls *t, struct mf_span in);
/* mf_tls_handshake_from what has been fed. */
MF_MUST_CHECK mf_err mf_tls_handshake(struct mf_tls *t);
/* Plaintext, after the handshake. All of it is taken or nothing. MF_E_AGAIN: first send what is
 * outgoing; MF_E_RANGE: more than MF_TLS_WRITE_MAX; MF_E_GONE: after mf_tls_close, or it has
 * failed; MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_tls_write(struct mf_tls *t, struct mf_span in);
/* Up to n bytes: call it until it says 0. *end: the server has said that no more comes.
 * Negative: an mf_err, it is broken. */
ptrdiff_t mf_tls_read(struct mf_tls *t, uint8_t *out, size_t n, bool *end);

/* Says close_notify (it is outgoing then), once and only after the handshake. What the server still
 * sends can be read. */
void mf_tls_close(struct mf_tls *t);

/* What the server chose by ALPN ("h2"), "" if nothing. */
const char *mf_tls_alpn(const struct mf_tls *t);
/* Why it failed, for the log: a sentence without secrets; "" if it has not. */
const char *mf_tls_error(const struct mf_tls *t);

#endif
