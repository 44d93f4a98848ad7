/* SPDX-License-Identifier: Apache-2.0
 *
 * tls - OpenSSL between two queues of ours in place of a socket. A BIO of our own, because
 * OpenSSL's memory BIO knows no bound, never gives memory back and copies what has been sent once
 * more.
 *
 * Nothing of an idle connection's buffers is kept, neither ours nor OpenSSL's: a proxy has many of
 * them. OpenSSL's error queue is one for the thread, so it is emptied before and after each call:
 * no connection may see another's error. No key is ever logged: no callback for that is set.
 */
#include "crypto/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/addr.h"

enum {
	NAME_MAX_LEN = 253,
	ALPN_MAX = 32,
	TICKETS = 16, /* servers of a context whose last session is kept */
	/* mf_tls_write wants less than this outgoing, so no more than OUT_MAX can ever be. */
	OUT_ENOUGH = 1 << 16,
	OUT_MAX = OUT_ENOUGH + MF_TLS_WRITE_MAX + (1 << 13),
};

/* Forward secrecy and AEAD (RFC 9325 4.2), which is also what HTTP/2 asks for (RFC 9113 9.2.2). */
static const char ciphers_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20";

/* Where systems keep all their authorities in one file. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Gentoo */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
	"/etc/ssl/ca-bundle.pem",             /* openSUSE */
	"/etc/ssl/cert.pem",                  /* Alpine, BSD, macOS */
};

/* The last session with a server. */
struct ticket {
	char name[NAME_MAX_LEN + 1];
	SSL_SESSION *session; /* NULL: free */
	uint64_t age;         /* when it was put here, counted in tickets */
};

struct mf_tls_context {
	SSL_CTX *ssl;
	BIO_METHOD *method;
	bool session_reuse;
	uint64_t n_tickets; /* ever */
	struct ticket ticket[TICKETS];
};

/* Bytes p[at .. at + n). */
struct queue {
	uint8_t *p;
	size_t at, n, cap;
};

struct mf_tls {
	struct mf_tls_context *context;
	SSL *ssl;
	struct queue in, out;
	bool done, closed, failed;
	char name[NAME_MAX_LEN + 1];
	char alpn[ALPN_MAX];
	struct mf_errbuf error;
};

/* ---- Queues ---------------------------------------------------------------------------------- */

static bool queue_add(struct queue *q, const void *bytes, size_t n)
{
	if (!n)
		return true;
	if (q->at + q->n + n > q->cap && q->n) {
		memmove(q->p, q->p + q->at, q->n);
		q->at = 0;
	}
	if (q->n + n > q->cap) {
		size_t cap = mf_max(q->n + n, q->cap * 2);
		uint8_t *p = realloc(q->p, cap);

		if (!p)
			return false;
		q->p = p;
		q->cap = cap;
	}
	memcpy(q->p + q->at + q->n, bytes, n);
	q->n += n;
	return true;
}

static void queue_drop(struct queue *q, size_t n)
{
	MF_ASSERT(n <= q->n);
	q->at += n;
	q->n -= n;
	if (q->n)
		return;
	free(q->p);
	*q = (struct queue){ 0 };
}

static int bio_read(BIO *b, char *out, size_t n, size_t *done)
{
	struct queue *q = &((struct mf_tls *)BIO_get_data(b))->in;

	BIO_clear_retry_flags(b);
	*done = mf_min(n, q->n);
	if (!*done) {
		BIO_set_retry_read(b);
		return 0;
	}
	memcpy(out, q->p + q->at, *done);
	queue_drop(q, *done);
	return 1;
}

/* A server that makes us answer (KeyUpdate) faster than we can send finds the queue full. */
static int bio_write(BIO *b, const char *bytes, size_t n, size_t *done)
{
	struct queue *q = &((struct mf_tls *)BIO_get_data(b))->out;

	BIO_clear_retry_flags(b);
	*done = 0;
	if (q->n + n > OUT_MAX) {
		BIO_set_retry_write(b);
		return 0;
	}
	if (!queue_add(q, bytes, n))
		return 0;
	*done = n;
	return 1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b, (void)num, (void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "mf_tls");

	if (m && BIO_meth_set_read_ex(m, bio_read) == 1 &&
	    BIO_meth_set_write_ex(m, bio_write) == 1 && BIO_meth_set_ctrl(m, bio_ctrl) == 1)
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* ---- Sessions to resume ---------------------------------------------------------------------- */

static struct ticket *ticket_find(struct mf_tls_context *c, const char *name)
{
	for (size_t i = 0; i < TICKETS; i++)
		if (c->ticket[i].session && !strcmp(c->ticket[i].name, name))
			return &c->ticket[i];
	return NULL;
}

static void ticket_clear(struct ticket *k)
{
	SSL_SESSION_free(k->session);
	*k = (struct ticket){ 0 };
}

/* One that is free has age 0. */
static struct ticket *ticket_oldest(struct mf_tls_context *c)
{
	struct ticket *oldest = &c->ticket[0];

	for (size_t i = 1; i < TICKETS; i++)
		if (c->ticket[i].age < oldest->age)
			oldest = &c->ticket[i];
	return oldest;
}

/* OpenSSL has a session to keep. Returns 1: it is ours now. */
static int ticket_put(SSL *ssl, SSL_SESSION *session)
{
	struct mf_tls *t = SSL_get_app_data(ssl);
	struct mf_tls_context *c = t->context;
	struct ticket *k = ticket_find(c, t->name);

	if (!k)
		k = ticket_oldest(c);
	ticket_clear(k);
	memcpy(k->name, t->name, sizeof(k->name));
	k->session = session;
	k->age = ++c->n_tickets;
	return 1;
}

/* One of TLS 1.3 is used once, or an observer could tell that two connections are one client's (RFC
 * 8446 C.4). */
static void ticket_use(struct mf_tls *t)
{
	struct ticket *k = ticket_find(t->context, t->name);

	if (!k)
		return;
	(void)SSL_set_session(t->ssl, k->session); /* without it the handshake is a full one */
	if (SSL_SESSION_get_protocol_version(k->session) >= TLS1_3_VERSION)
		ticket_clear(k);
}

/* ---- Contexts -------------------------------------------------------------------------------- */

static bool have_authorities(SSL_CTX *ssl)
{
	return sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl))) > 0;
}

/* All at once and not, as OpenSSL would, file by file when a certificate wants one: then the worker
 * would read files. */
static mf_err load_authorities(SSL_CTX *ssl, const char *file, struct mf_errbuf *eb)
{
	if (file && SSL_CTX_load_verify_file(ssl, file) != 1) {
		bool missing = ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SYS;

		return missing ? mf_fail(eb, MF_E_NOT_FOUND, "cannot read the certificates in %s",
					 file)
			       : mf_fail(eb, MF_E_MALFORMED, "%s: no certificate in PEM form", file);
	}
	if (file)
		return MF_OK;
	(void)SSL_CTX_set_default_verify_file(ssl);
	for (size_t i = 0; i < MF_ARRAY_LEN(bundles) && !have_authorities(ssl); i++)
		(void)SSL_CTX_load_verify_file(ssl, bundles[i]);
	return have_authorities(ssl) ? MF_OK
				     : mf_fail(eb, MF_E_NOT_FOUND,
					       "this system has no certificates of authorities: "
					       "install ca-certificates, or name a file of them");
}

static bool restrict_to_good(SSL_CTX *ssl)
{
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	if (SSL_CTX_get_security_level(ssl) < 2)
		SSL_CTX_set_security_level(ssl, 2);
	return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ssl, 0) == 1 &&
	       SSL_CTX_set_cipher_list(ssl, ciphers_12) == 1;
}

static void set_session_reuse(SSL_CTX *ssl, bool reuse)
{
	if (!reuse) {
		SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
		return;
	}
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, ticket_put);
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
	c->ssl = SSL_CTX_new(TLS_client_method());
	c->method = make_method();
	if (!c->ssl || !c->method || !restrict_to_good(c->ssl)) {
		mf_fail(eb, err, "OpenSSL has no TLS client for us: out of memory");
		goto fail;
	}
	err = load_authorities(c->ssl, o->ca_file, eb);
	if (err)
		goto fail;
	set_session_reuse(c->ssl, o->session_reuse);
	ERR_clear_error();
	*out = c;
	return MF_OK;
fail:
	ERR_clear_error();
	mf_tls_context_free(c);
	return err;
}

void mf_tls_context_free(struct mf_tls_context *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < TICKETS; i++)
		ticket_clear(&c->ticket[i]);
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->method);
	free(c);
}

/* ---- A connection's beginning ---------------------------------------------------------------- */

static bool is_name_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_';
}

/* Lower case and without the last dot. Strict, because OpenSSL takes an empty name for "any name"
 * and one with a dot in front for "anything below". */
static bool copy_name(char out[NAME_MAX_LEN + 1], const char *name)
{
	size_t n = strlen(name);

	if (n && name[n - 1] == '.')
		n--;
	if (!n || n > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < n; i++) {
		char ch = name[i];

		out[i] = ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch;
		if (out[i] == '.' ? i == 0 || name[i - 1] == '.' || i + 1 == n
				  : !is_name_char(out[i]))
			return false;
	}
	out[n] = 0;
	return true;
}

/* Only what the certificate's subjectAltName says counts (RFC 9525 6.3), and for an address only an
 * address there. */
static bool expect_name(struct mf_tls *t, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	struct mf_addr addr;

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (mf_addr_parse(&addr, name) == MF_OK) {
		mf_addr_format(&addr, t->name);
		return X509_VERIFY_PARAM_set1_ip(param, addr.b, mf_addr_len(&addr)) == 1;
	}
	return copy_name(t->name, name) && X509_VERIFY_PARAM_set1_host(param, t->name, 0) == 1 &&
	       SSL_set_tlsext_host_name(t->ssl, t->name) == 1;
}

static bool offer_alpn(SSL *ssl, const char *alpn)
{
	size_t n = alpn ? strlen(alpn) : 0;

	for (size_t at = 0; at < n; at += 1u + (uint8_t)alpn[at])
		if ((uint8_t)alpn[at] >= mf_min(n - at, ALPN_MAX))
			return false;
	return !n || SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned)n) == 0;
}

static bool prepare(struct mf_tls *t, const char *name, const char *alpn)
{
	BIO *bio;

	t->ssl = SSL_new(t->context->ssl);
	bio = t->ssl ? BIO_new(t->context->method) : NULL;
	if (!bio)
		return false;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	SSL_set_connect_state(t->ssl);
	return expect_name(t, name) && offer_alpn(t->ssl, alpn);
}

struct mf_tls *mf_tls_new(struct mf_tls_context *c, const char *name, const char *alpn)
{
	struct mf_tls *t = calloc(1, sizeof(*t));
	bool ok;

	if (!t)
		return NULL;
	ERR_clear_error();
	t->context = c;
	ok = prepare(t, name, alpn);
	if (ok && c->session_reuse)
		ticket_use(t);
	ERR_clear_error();
	if (ok)
		return t;
	mf_tls_free(t);
	return NULL;
}

void mf_tls_free(struct mf_tls *t)
{
	if (!t)
		return;
	/* OpenSSL would not resume a session whose connection ended without close_notify; whether
	 * we said it in time is the transport's luck, and no reason to pay for a full handshake. */
	if (t->done && !t->failed)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	ERR_clear_error();
	free(t->in.p);
	free(t->out.p);
	free(t);
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* Names why OpenSSL has failed: only texts of its own tables, which hold nothing of ours. */
static mf_err fail(struct mf_tls *t)
{
	long verified = SSL_get_verify_result(t->ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	mf_err err = verified == X509_V_OK ? MF_E_MALFORMED : MF_E_AUTH;

	t->failed = true;
	if (err == MF_E_AUTH)
		mf_fail(&t->error, err, "the certificate of %s is not good: %s", t->name,
			X509_verify_cert_error_string(verified));
	else
		mf_fail(&t->error, err, "TLS with %s failed: %s", t->name,
			reason ? reason : "the library says not why");
	ERR_clear_error();
	return err;
}

mf_err mf_tls_feed(struct mf_tls *t, struct mf_span in)
{
	if (t->failed)
		return MF_E_GONE;
	if (in.n > MF_TLS_BACKLOG_MAX - t->in.n)
		return MF_E_FULL;
	return queue_add(&t->in, in.p, in.n) ? MF_OK : MF_E_NO_MEMORY;
}

static bool wants_more(const struct mf_tls *t, int result)
{
	int why = SSL_get_error(t->ssl, result);

	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

static void note_alpn(struct mf_tls *t)
{
	const uint8_t *p = NULL;
	unsigned n = 0;

	SSL_get0_alpn_selected(t->ssl, &p, &n);
	if (n && n < sizeof(t->alpn)) /* it is one that we have offered */
		memcpy(t->alpn, p, n);
}

mf_err mf_tls_handshake(struct mf_tls *t)
{
	int r;

	if (t->failed)
		return MF_E_GONE;
	if (t->done)
		return MF_OK;
	ERR_clear_error();
	r = SSL_do_handshake(t->ssl);
	if (r != 1 && wants_more(t, r))
		return MF_E_AGAIN;
	if (r != 1 || SSL_get_verify_result(t->ssl) != X509_V_OK ||
	    !SSL_get0_peer_certificate(t->ssl))
		return fail(t);
	note_alpn(t);
	t->done = true;
	return MF_OK;
}

struct mf_span mf_tls_outgoing(const struct mf_tls *t)
{
	return t->out.n ? mf_span(t->out.p + t->out.at, t->out.n) : mf_span(NULL, 0);
}

void mf_tls_sent(struct mf_tls *t, size_t n)
{
	queue_drop(&t->out, n);
}

mf_err mf_tls_write(struct mf_tls *t, struct mf_span in)
{
	size_t written;

	if (t->failed || t->closed)
		return MF_E_GONE;
	if (in.n > MF_TLS_WRITE_MAX)
		return MF_E_RANGE;
	if (!t->done || t->out.n >= OUT_ENOUGH)
		return MF_E_AGAIN;
	if (!in.n)
		return MF_OK;
	ERR_clear_error();
	if (SSL_write_ex(t->ssl, in.p, in.n, &written) != 1)
		return fail(t);
	MF_ASSERT(written == in.n);
	return MF_OK;
}

ptrdiff_t mf_tls_read(struct mf_tls *t, uint8_t *out, size_t n, bool *end)
{
	size_t got = 0;
	int r;

	*end = false;
	if (t->failed)
		return MF_E_GONE;
	if (!t->done || !n)
		return 0;
	ERR_clear_error();
	r = SSL_read_ex(t->ssl, out, n, &got);
	if (r == 1)
		return (ptrdiff_t)got;
	*end = SSL_get_error(t->ssl, r) == SSL_ERROR_ZERO_RETURN;
	if (*end || wants_more(t, r))
		return 0;
	return fail(t);
}

void mf_tls_close(struct mf_tls *t)
{
	if (!t->done || t->failed || t->closed)
		return;
	t->closed = true;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl); /* it has an answer only when the server has closed, too */
	ERR_clear_error();
}

const char *mf_tls_alpn(const struct mf_tls *t)
{
	return t->alpn;
}

const char *mf_tls_error(const struct mf_tls *t)
{
	return t->error.text;
}
