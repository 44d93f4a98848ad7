/* SPDX-License-Identifier: Apache-2.0
 *
 * tlslab - an authority that signs certificates, and TLS servers in memory that show them: the far
 * side of crypto/tls.h, by OpenSSL directly. Whatever fails here is a fault of the test and stops
 * it.
 */
#ifndef MF_TLSLAB_H
#define MF_TLSLAB_H

#include <openssl/ssl.h>

#include "crypto/tls.h"

struct tlslab_ca {
	X509 *cert;
	EVP_PKEY *key;
	char file[64]; /* the certificate as PEM, for mf_tls_options.ca_file */
};

/* What a server's certificate says. */
struct tlslab_cert {
	const char *san;    /* "DNS:dns.example, IP:192.0.2.53" or NULL for none */
	const char *common; /* the subject's common name, NULL: "server" */
	const char *use;    /* "serverAuth", NULL: it does not say */
	long from, to;      /* valid from and to, seconds from now; both 0: an hour each way */
	bool self_signed;
};

void tlslab_ca_make(struct tlslab_ca *ca);
void tlslab_ca_free(struct tlslab_ca *ca);
/* A client's context that trusts this authority only. */
struct mf_tls_context *tlslab_client(const struct tlslab_ca *ca, bool session_reuse);

/* A server's context. `alpn`: what it speaks, in the form of mf_tls_new; of that it takes the first
 * that the client offers, too, and refuses a client that offers none of it. NULL: it ignores
 * ALPN. */
SSL_CTX *tlslab_server(const struct tlslab_ca *ca, const struct tlslab_cert *c, const char *alpn);
/* One connection of it, over memory BIOs. */
SSL *tlslab_accept(SSL_CTX *ctx);
/* Ciphertext for the server; what it has to send: up to cap bytes. */
void tlslab_feed(SSL *server, struct mf_span in);
size_t tlslab_take(SSL *server, uint8_t *out, size_t cap);

/* Carries ciphertext both ways, `step` bytes at a time, and lets both go on with their handshakes,
 * until nothing moves any more. Returns what mf_tls_handshake says at the end. *server:
 * SSL_do_handshake's last result (may be NULL). */
mf_err tlslab_handshake(struct mf_tls *t, SSL *ssl, size_t step, int *server);
/* Carries what is there, once each way. Returns whether something moved. */
bool tlslab_carry(struct mf_tls *t, SSL *ssl, size_t step);

#endif
