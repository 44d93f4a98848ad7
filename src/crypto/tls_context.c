/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_context - what the TLS connections of a thread have in common: whom they trust, and sessions
 * to resume.
 *
 * What contexts share (OpenSSL's SSL_CTX with the authorities, which take a megabyte if they are
 * the system's) counts its users with atomics and does not change once it is made, which is all
 * that OpenSSL asks for (openssl-threads(7)). Whatever differs between contexts is looked up from
 * the connection.
 */
#include "crypto/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "crypto/digest.h"

/* Forward secrecy and AEAD (RFC 9325 4.2), which is also what HTTP/2 asks for (RFC 9113 9.2.2); and
 * no AEAD that tls_record.c does not know. */
static const char ciphers_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20";
static const char ciphers_13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
				 "TLS_CHACHA20_POLY1305_SHA256";

/* Where systems keep all their authorities in one file. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Gentoo */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
	"/etc/ssl/ca-bundle.pem",             /* openSUSE */
	"/etc/ssl/cert.pem",                  /* Alpine, BSD, macOS */
};

/* ---- Sessions to resume ---------------------------------------------------------------------- */

/* The newest of a server; *n: how many there are of it, *oldest: the oldest. */
static struct mf_tls_ticket *ticket_find(struct mf_tls_context *c, const char *name, size_t *n,
					 struct mf_tls_ticket **oldest)
{
	struct mf_tls_ticket *newest = NULL;

	*n = 0;
	*oldest = NULL;
	for (struct mf_tls_ticket *k = c->ticket; k < c->ticket + MF_TLS_TICKETS; k++) {
		if (!k->session || strcmp(k->name, name) != 0)
			continue;
		(*n)++;
		if (!newest || k->age > newest->age)
			newest = k;
		if (!*oldest || k->age < (*oldest)->age)
			*oldest = k;
	}
	return newest;
}

static void ticket_clear(struct mf_tls_ticket *k)
{
	SSL_SESSION_free(k->session);
	free(k->name);
	*k = (struct mf_tls_ticket){ 0 };
}

/* One that is free has age 0. */
static struct mf_tls_ticket *ticket_oldest(struct mf_tls_context *c)
{
	struct mf_tls_ticket *oldest = &c->ticket[0];

	for (size_t i = 1; i < MF_TLS_TICKETS; i++)
		if (c->ticket[i].age < oldest->age)
			oldest = &c->ticket[i];
	return oldest;
}

static bool used_once(const SSL_SESSION *s)
{
	return SSL_SESSION_get_protocol_version(s) >= TLS1_3_VERSION;
}

int mf_tls_ticket_put(SSL *ssl, SSL_SESSION *session)
{
	struct mf_tls *t = SSL_get_app_data(ssl);
	struct mf_tls_context *c = t->context;
	struct mf_tls_ticket *k, *oldest;
	size_t n;
	char *name;

	if (!c->session_reuse)
		return 0;
	name = strdup(t->shake->name);
	if (!name)
		return 0;
	k = ticket_find(c, name, &n, &oldest);
	/* One of TLS 1.2 can be used any number of times: the last is enough. */
	if (!k || used_once(session))
		k = n >= MF_TLS_TICKETS_OF_SERVER ? oldest : ticket_oldest(c);
	ticket_clear(k);
	*k = (struct mf_tls_ticket){ name, session, ++c->n_tickets };
	return 1;
}

/* One of TLS 1.3 is used once, or an observer could tell that two connections are one client's (RFC
 * 8446 C.4). So connections that begin at the same time need one each; a server gives one or two
 * with each connection. */
void mf_tls_ticket_use(struct mf_tls *t)
{
	struct mf_tls_ticket *k, *oldest;
	size_t n;

	if (!t->context->session_reuse) {
		SSL_set_options(t->shake->ssl, SSL_OP_NO_TICKET);
		return;
	}
	k = ticket_find(t->context, t->shake->name, &n, &oldest);
	if (!k)
		return;
	(void)SSL_set_session(t->shake->ssl, k->session); /* without it the handshake is a full one */
	if (used_once(k->session))
		ticket_clear(k);
}

/* ---- Whom to trust --------------------------------------------------------------------------- */

/* What RFC 7469 2.4 calls the SPKI fingerprint. */
static bool has_key(X509 *cert, const uint8_t pin[MF_SHA256_LEN])
{
	uint8_t *der = NULL, hash[MF_SHA256_LEN];
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	struct mf_span span = mf_span(der, n > 0 ? (size_t)n : 0);

	if (n <= 0)
		return false;
	mf_digest(MF_SHA256, &span, 1, hash);
	OPENSSL_free(der);
	return !memcmp(hash, pin, sizeof(hash));
}

/* Decides instead of X509_verify_cert; not called for a session that is resumed: the context
 * that it belongs to has decided before. */
static int judge(X509_STORE_CTX *x, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct mf_tls *t = SSL_get_app_data(ssl);
	const struct mf_tls_context *c = t->context;
	X509 *cert = X509_STORE_CTX_get0_cert(x);

	(void)arg;
	if (c->pinned && !(cert && has_key(cert, c->pin_sha256))) {
		t->shake->wrong_key = true;
		X509_STORE_CTX_set_error(x, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	return c->pinned || c->insecure ? 1 : X509_verify_cert(x);
}

static bool have_authorities(X509_STORE *store)
{
	return sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0;
}

/* All certificates of a text. */
static mf_err load_pem(X509_STORE *store, struct mf_span pem, struct mf_errbuf *eb)
{
	BIO *text = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	X509 *cert;
	bool ok = true;
	int end;

	while (text && ok && (cert = PEM_read_bio_X509(text, NULL, NULL, NULL))) {
		ok = X509_STORE_add_cert(store, cert) == 1;
		X509_free(cert);
	}
	BIO_free(text);
	end = ERR_GET_REASON(ERR_peek_last_error());
	if (ok && end == PEM_R_NO_START_LINE && have_authorities(store))
		return MF_OK;
	return mf_fail(eb, MF_E_MALFORMED, "the authority's certificate is not in PEM form");
}

static mf_err load_file(X509_STORE *store, const char *file, struct mf_errbuf *eb)
{
	if (X509_STORE_load_file(store, file) == 1)
		return MF_OK;
	if (ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SYS)
		return mf_fail(eb, MF_E_NOT_FOUND, "cannot read the certificates in %s", file);
	return mf_fail(eb, MF_E_MALFORMED, "%s: no certificate in PEM form", file);
}

/* All at once and not, as OpenSSL would, file by file when a certificate wants one: then the worker
 * would read files. */
static mf_err load_system(SSL_CTX *ssl, X509_STORE *store, struct mf_errbuf *eb)
{
	(void)SSL_CTX_set_default_verify_file(ssl);
	for (size_t i = 0; i < MF_ARRAY_LEN(bundles) && !have_authorities(store); i++)
		(void)X509_STORE_load_file(store, bundles[i]);
	return have_authorities(store) ? MF_OK
				       : mf_fail(eb, MF_E_NOT_FOUND,
						 "this system has no certificates of authorities: "
						 "install ca-certificates, or name a file of them");
}

static mf_err load_authorities(SSL_CTX *ssl, const struct mf_tls_options *o, struct mf_errbuf *eb)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);

	if (o->ca_pem.p)
		return load_pem(store, o->ca_pem, eb);
	if (o->ca_file)
		return load_file(store, o->ca_file, eb);
	return o->insecure || o->pinned ? MF_OK : load_system(ssl, store, eb);
}

/* ---- Contexts -------------------------------------------------------------------------------- */

static bool restrict_to_good(SSL_CTX *ssl)
{
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ssl, judge, NULL);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, mf_tls_ticket_put);
	SSL_CTX_set_keylog_callback(ssl, mf_tls_note_secret);
	if (SSL_CTX_get_security_level(ssl) < 2)
		SSL_CTX_set_security_level(ssl, 2);
	return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ssl, ciphers_12) == 1 &&
	       SSL_CTX_set_ciphersuites(ssl, ciphers_13) == 1;
}

static mf_err make_ssl(SSL_CTX **out, const struct mf_tls_options *o, struct mf_errbuf *eb)
{
	mf_err err = MF_E_NO_MEMORY;

	if (o->share) {
		*out = o->share->ssl;
		return SSL_CTX_up_ref(*out) == 1 ? MF_OK : err;
	}
	*out = SSL_CTX_new(TLS_client_method());
	if (!*out || !restrict_to_good(*out))
		return mf_fail(eb, err, "OpenSSL has no TLS client for us: out of memory");
	return load_authorities(*out, o, eb);
}

mf_err mf_tls_context_new(struct mf_tls_context **out, const struct mf_tls_options *o,
			  struct mf_errbuf *eb)
{
	struct mf_tls_context *c = calloc(1, sizeof(*c));
	mf_err err = MF_E_NO_MEMORY;

	if (!c)
		return mf_fail(eb, err, "not enough memory for TLS");
	ERR_clear_error();
	c->session_reuse = o->session_reuse;
	c->insecure = o->insecure;
	c->pinned = o->pinned;
	memcpy(c->pin_sha256, o->pin_sha256, sizeof(c->pin_sha256));
	/* Not a type of its own: OpenSSL has 127 of them, and contexts come and go with
	 * profiles. */
	c->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "mf_tls");
	c->cipher = mf_cipher_new();
	if (c->method && c->cipher && mf_tls_method_init(c->method))
		err = make_ssl(&c->ssl, o, eb);
	else
		mf_fail(eb, err, "not enough memory for TLS");
	ERR_clear_error();
	if (err)
		mf_tls_context_free(c);
	else
		*out = c;
	return err;
}

void mf_tls_context_free(struct mf_tls_context *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < MF_TLS_TICKETS; i++)
		ticket_clear(&c->ticket[i]);
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->method);
	mf_cipher_free(c->cipher);
	free(c);
}
