/* SPDX-License-Identifier: Apache-2.0
 *
 * tlspair - what the tests of TLS connections share: an authority, contexts, and a client with an
 * OpenSSL server in memory.
 */
#ifndef MF_TLSPAIR_H
#define MF_TLSPAIR_H

#include "vectors.h"

#include <openssl/err.h>

#include "crypto/tls_internal.h"
#include "support/tlslab.h"

enum { WHOLE = 1 << 14, PIPE_MAX = 1 << 20 };

static struct tlslab_ca ca, other_ca;
static struct mf_tls_context *client, *reusing;
static const struct tlslab_cert good = {
	.san = "DNS:dns.example, DNS:*.wild.example, IP:192.0.2.53, "
	       "IP:2001:db8::53"
};

static inline int set_up(void **state)
{
	(void)state;
	tlslab_ca_make(&ca);
	tlslab_ca_make(&other_ca);
	client = tlslab_client(&ca, false);
	reusing = tlslab_client(&ca, true);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	mf_tls_context_free(client);
	mf_tls_context_free(reusing);
	tlslab_ca_free(&ca);
	tlslab_ca_free(&other_ca);
	return 0;
}

/* A client and a server. */
struct pair {
	struct mf_tls *t;
	SSL_CTX *ctx;
	SSL *ssl;
};

static inline struct pair pair_of(struct mf_tls_context *c, const struct tlslab_cert *cert,
				  const char *name, const char *alpn, const char *server_alpn)
{
	struct pair p = { .t = mf_tls_new(c, name, alpn) };

	assert_non_null(p.t);
	p.ctx = tlslab_server(&ca, cert, server_alpn);
	p.ssl = tlslab_accept(p.ctx);
	return p;
}

static inline struct pair pair(const struct tlslab_cert *cert, const char *name, const char *alpn,
			       const char *server_alpn)
{
	return pair_of(client, cert, name, alpn, server_alpn);
}

static inline struct pair connected(const char *name)
{
	struct pair p = pair(&good, name, NULL, NULL);

	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
	return p;
}

static inline void part(struct pair *p)
{
	mf_tls_free(p->t);
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	assert_int_equal(ERR_peek_error(), 0); /* nothing is left for others */
}

static inline void carry_all(struct pair *p)
{
	while (tlslab_carry(p->t, p->ssl, WHOLE))
		;
}

#endif
