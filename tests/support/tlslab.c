/* SPDX-License-Identifier: Apache-2.0
 *
 * tlslab - see tlslab.h.
 */
#include "tlslab.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOUR = 3600 };

/* ---- Certificates ---------------------------------------------------------------------------- */

static void extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	MF_ASSERT(e && X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static X509 *begin_cert(EVP_PKEY *key, const char *common, long from, long to)
{
	static long serial = 1;
	X509 *cert = X509_new();

	MF_ASSERT(cert && X509_set_version(cert, X509_VERSION_3) == 1);
	MF_ASSERT(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++) == 1);
	MF_ASSERT(X509_gmtime_adj(X509_getm_notBefore(cert), from) &&
		  X509_gmtime_adj(X509_getm_notAfter(cert), to));
	MF_ASSERT(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
					     (const uint8_t *)common, -1, -1, 0) == 1);
	MF_ASSERT(X509_set_pubkey(cert, key) == 1);
	return cert;
}

static void sign(X509 *cert, const X509 *issuer, EVP_PKEY *key)
{
	MF_ASSERT(X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1);
	MF_ASSERT(X509_sign(cert, key, EVP_sha256()) > 0);
}

void tlslab_ca_make(struct tlslab_ca *ca)
{
	static unsigned n_made; /* two of one name could not be told apart */
	char common[32];
	FILE *f;
	int fd;

	ca->key = EVP_EC_gen("P-256");
	MF_ASSERT(ca->key);
	snprintf(common, sizeof(common), "authority %u", ++n_made);
	ca->cert = begin_cert(ca->key, common, -HOUR, HOUR);
	extend(ca->cert, NID_basic_constraints, "critical,CA:TRUE");
	extend(ca->cert, NID_key_usage, "critical,keyCertSign");
	sign(ca->cert, ca->cert, ca->key);

	snprintf(ca->file, sizeof(ca->file), "/tmp/mintflow-tlslab-XXXXXX");
	fd = mkstemp(ca->file);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	MF_ASSERT(f && PEM_write_X509(f, ca->cert) == 1);
	MF_ASSERT(fclose(f) == 0);
}

void tlslab_ca_free(struct tlslab_ca *ca)
{
	unlink(ca->file);
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	*ca = (struct tlslab_ca){ 0 };
}

struct mf_tls_context *tlslab_client(const struct tlslab_ca *ca, bool session_reuse)
{
	struct mf_tls_options o = { .ca_file = ca->file, .session_reuse = session_reuse };
	struct mf_tls_context *c = NULL;

	MF_ASSERT(mf_tls_context_new(&c, &o, NULL) == MF_OK);
	return c;
}

/* ---- Servers --------------------------------------------------------------------------------- */

/* Called by OpenSSL for a client that uses ALPN. */
static int choose(SSL *ssl, const uint8_t **out, uint8_t *n, const uint8_t *offered,
		  unsigned n_offered, void *arg)
{
	const char *ours = arg;

	(void)ssl;
	return SSL_select_next_proto((uint8_t **)(uintptr_t)out, n, (const uint8_t *)ours,
				     (unsigned)strlen(ours), offered,
				     n_offered) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_ALERT_FATAL;
}

SSL_CTX *tlslab_server(const struct tlslab_ca *ca, const struct tlslab_cert *c, const char *alpn)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	bool usual = !c->from && !c->to;
	X509 *cert = begin_cert(key, c->common ? c->common : "server", usual ? -HOUR : c->from,
				usual ? HOUR : c->to);

	if (c->san)
		extend(cert, NID_subject_alt_name, c->san);
	if (c->use)
		extend(cert, NID_ext_key_usage, c->use);
	sign(cert, c->self_signed ? cert : ca->cert, c->self_signed ? key : ca->key);
	MF_ASSERT(ctx && SSL_CTX_use_certificate(ctx, cert) == 1 &&
		  SSL_CTX_use_PrivateKey(ctx, key) == 1);
	SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"lab", 3);
	if (alpn)
		SSL_CTX_set_alpn_select_cb(ctx, choose, (void *)(uintptr_t)alpn);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}

SSL *tlslab_accept(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	MF_ASSERT(ssl && in && out);
	BIO_set_mem_eof_return(in, -1);
	SSL_set_bio(ssl, in, out);
	SSL_set_accept_state(ssl);
	return ssl;
}

void tlslab_feed(SSL *server, struct mf_span in)
{
	size_t done;

	MF_ASSERT(!in.n || BIO_write_ex(SSL_get_rbio(server), in.p, in.n, &done) == 1);
}

size_t tlslab_take(SSL *server, uint8_t *out, size_t cap)
{
	size_t n = 0;

	(void)BIO_read_ex(SSL_get_wbio(server), out, cap, &n);
	return n;
}

/* ---- Between the two ------------------------------------------------------------------------- */

bool tlslab_carry(struct mf_tls *t, SSL *ssl, size_t step)
{
	static uint8_t buf[1 << 14];
	struct mf_span out = mf_tls_outgoing(t);
	size_t to_server = mf_min(out.n, step), to_client;

	tlslab_feed(ssl, mf_span(out.p, to_server));
	mf_tls_sent(t, to_server);
	to_client = tlslab_take(ssl, buf, mf_min(step, sizeof(buf)));
	if (to_client && mf_tls_feed(t, mf_span(buf, to_client)) != MF_OK)
		MF_ASSERT(*mf_tls_error(t)); /* it has given up */
	return to_server || to_client;
}

mf_err tlslab_handshake(struct mf_tls *t, SSL *ssl, size_t step, int *server)
{
	mf_err err = mf_tls_handshake(t), last = err;
	int r;

	do {
		r = SSL_do_handshake(ssl);
		if (last == MF_E_AGAIN)
			err = last = mf_tls_handshake(t);
	} while (tlslab_carry(t, ssl, step));
	ERR_clear_error();
	if (server)
		*server = r;
	return err;
}
