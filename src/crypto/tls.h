/* SPDX-License-Identifier: Apache-2.0
 *
 * tls - a TLS client without I/O (RFC 8446, RFC 5246): ciphertext in, ciphertext out, plaintext in, plaintext out.
 * The library is OpenSSL; certificates are always verified, against the system's store or one that is given. One thread for each connection; a
 * context may be shared by the connections of one thread.
 */
#ifndef MF_CRYPTO_TLS_H
#define MF_CRYPTO_TLS_H

#include "base/err.h"

struct mf_tls_context;
struct mf_tls;

struct mf_tls_options {
	const char *ca_file; /* PEM; NULL: the system's */
	bool session_reuse; /* keep tickets of the context's connections for the next one to the same server */
};
/* MF_E_NOT_FOUND, MF_E_MALFORMED: of ca_file. `eb` says what. Reads files: the control thread, before privileges go. */
MF_MUST_CHECK mf_err mf_tls_context_new(struct mf_tls_context **out, const struct mf_tls_options *o,
					struct mf_errbuf *eb);
void mf_tls_context_free(struct mf_tls_context *c);

/* A connection to the server that has this name (or this address as text): SNI for names, and what the certificate must be for. `alpn`: in the
 * form of RFC 7301 3.1 without the outer length ("\2h2"), NULL: none. NULL: out of memory. */
struct mf_tls *mf_tls_new(struct mf_tls_context *c, const char *name, const char *alpn);
void mf_tls_free(struct mf_tls *t);

/* What has come from the server: all of it is taken. MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_tls_feed(struct mf_tls *t, struct mf_span in);
/* Drives the handshake. MF_OK: it is done; MF_E_AGAIN: more must come or go; MF_E_AUTH: the certificate is not good; MF_E_MALFORMED: another TLS error. After an error only mf_tls_error and _free. */
MF_MUST_CHECK mf_err mf_tls_handshake(struct mf_tls *t);
/* Ciphertext that must go to the server: peek, then say how much of it has gone. */
struct mf_span mf_tls_outgoing(const struct mf_tls *t);
void mf_tls_sent(struct mf_tls *t, size_t n);
/* Plaintext, after the handshake. write takes all or nothing (MF_E_AGAIN: first send what is outgoing). read: bytes; 0: none now; *end: the server has ended it (close_notify). Negative mf_err: broken. */
MF_MUST_CHECK mf_err mf_tls_write(struct mf_tls *t, struct mf_span in);
ptrdiff_t mf_tls_read(struct mf_tls *t, uint8_t *out, size_t n, bool *end);
/* Says close_notify; it is outgoing then. */
void mf_tls_close(struct mf_tls *t);
/* What the server chose by ALPN ("h2"), "" if nothing. Why it failed, for the log: a sentence without secrets. */
const char *mf_tls_alpn(const struct mf_tls *t);
const char *mf_tls_error(const struct mf_tls *t);

#endif
