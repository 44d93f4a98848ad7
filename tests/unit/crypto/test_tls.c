/* SPDX-License-Identifier: Apache-2.0
 *
 * The TLS client against OpenSSL servers in memory: whose certificates are taken, what is refused,
 * how connections end, and which sessions are resumed. Bytes are test_tls_bytes.c's matter.
 */
#include "tlspair.h"

#include <openssl/pem.h>
#include <unistd.h>

#include "crypto/digest.h"

/* ---- Certificates ---- */

static mf_err judge(const struct tlslab_cert *cert, const char *name)
{
	struct pair p = pair(cert, name, NULL, NULL);
	int server;
	mf_err err = tlslab_handshake(p.t, p.ssl, WHOLE, &server);

	if (err) {
		print_message("  %s\n", mf_tls_error(p.t));
		assert_int_not_equal(server, 1); /* it has had our alert */
	} else {
		assert_string_equal(mf_tls_error(p.t), "");
	}
	part(&p);
	return err;
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		mf_err want;
	} cases[] = {
		{ "dns.example", MF_OK },          { "DNS.Example.", MF_OK },
		{ "a.wild.example", MF_OK },       { "wild.example", MF_E_AUTH },
		{ "a.b.wild.example", MF_E_AUTH }, { "dns.example.org", MF_E_AUTH },
		{ "x.dns.example", MF_E_AUTH },    { "192.0.2.53", MF_OK },
		{ "192.0.2.54", MF_E_AUTH },       { "2001:db8::53", MF_OK },
		{ "2001:db8:0::53", MF_OK },       { "2001:db8::54", MF_E_AUTH },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].name);
		assert_int_equal(judge(&good, cases[i].name), cases[i].want);
	}
}

/* What OpenSSL would take for "any name" or "any name below" must not reach it. */
static void test_no_names(void **state)
{
	static const char *const names[] = { "",
					     ".",
					     ".example",
					     "a..example",
					     "dns.example..",
					     "a b",
					     "dns.example\n",
					     "*.example",
					     "fe80::1%3",
					     "[::1]" };
	char longest[300];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++)
		assert_null(mf_tls_new(client, names[i], NULL));
	memset(longest, 'a', sizeof(longest));
	longest[254] = 0;
	assert_null(mf_tls_new(client, longest, NULL));
	assert_null(mf_tls_new(client, "dns.example", "\3h2"));
	assert_int_equal(ERR_peek_error(), 0);
}

static void test_certificates(void **state)
{
	static const struct tlslab_cert
		expired = { .san = "DNS:dns.example", .from = -7200, .to = -10 },
		early = { .san = "DNS:dns.example", .from = 600, .to = 7200 },
		self = { .san = "DNS:dns.example", .self_signed = true },
		common = { .common = "dns.example" }, no_ip = { .san = "DNS:192.0.2.53" },
		server = { .san = "DNS:dns.example", .use = "serverAuth" },
		of_clients = { .san = "DNS:dns.example", .use = "clientAuth" },
		of_mail = { .san = "DNS:dns.example", .use = "emailProtection" };

	(void)state;
	assert_int_equal(judge(&expired, "dns.example"), MF_E_AUTH);
	assert_int_equal(judge(&early, "dns.example"), MF_E_AUTH);
	assert_int_equal(judge(&self, "dns.example"), MF_E_AUTH);
	assert_int_equal(judge(&common, "dns.example"), MF_E_AUTH);
	assert_int_equal(judge(&no_ip, "192.0.2.53"), MF_E_AUTH);
	assert_int_equal(judge(&server, "dns.example"), MF_OK);
	assert_int_equal(judge(&of_clients, "dns.example"), MF_E_AUTH);
	assert_int_equal(judge(&of_mail, "dns.example"), MF_E_AUTH);
}

static void test_other_authority(void **state)
{
	struct mf_tls_context *trusts_other = tlslab_client(&other_ca, false);
	struct pair p = pair(&good, "dns.example", NULL, NULL);

	(void)state;
	mf_tls_free(p.t);
	p.t = mf_tls_new(trusts_other, "dns.example", NULL);
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_E_AUTH);
	assert_non_null(strstr(mf_tls_error(p.t), "dns.example"));
	assert_int_equal(mf_tls_handshake(p.t), MF_E_GONE);
	assert_int_equal(mf_tls_write(p.t, mf_span("x", 1)), MF_E_GONE);
	part(&p);
	mf_tls_context_free(trusts_other);
}

static void test_contexts(void **state)
{
	struct mf_tls_options o = { .ca_file = "/nonexistent/ca.pem" };
	struct mf_tls_context *c = NULL;
	char empty[] = "/tmp/mintflow-no-ca-XXXXXX";
	struct mf_errbuf eb;
	int fd = mkstemp(empty);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(mf_tls_context_new(&c, &o, &eb), MF_E_NOT_FOUND);
	assert_non_null(strstr(eb.text, "/nonexistent/ca.pem"));
	o.ca_file = empty;
	assert_int_equal(mf_tls_context_new(&c, &o, &eb), MF_E_MALFORMED);
	assert_non_null(strstr(eb.text, empty));
	assert_null(c);
	assert_int_equal(ERR_peek_error(), 0);
	mf_tls_context_free(NULL);
	mf_tls_free(NULL);
	unlink(empty);
}

/* ---- Other ways to trust ---- */

static struct mf_tls_context *context(const struct mf_tls_options *o)
{
	struct mf_tls_context *c = NULL;

	assert_int_equal(mf_tls_context_new(&c, o, NULL), MF_OK);
	return c;
}

/* What a new client with these options says of a server of this certificate. */
static mf_err trusted(const struct mf_tls_options *o, const struct tlslab_cert *cert)
{
	struct mf_tls_context *c = context(o);
	struct pair p = pair_of(c, cert, "dns.example", NULL, NULL);
	mf_err err = tlslab_handshake(p.t, p.ssl, WHOLE, NULL);

	assert_int_equal(err == MF_OK, !*mf_tls_error(p.t));
	part(&p);
	mf_tls_context_free(c);
	return err;
}

static struct mf_span pem_of(BIO *b, const struct tlslab_ca *a, const struct tlslab_ca *second)
{
	char *text;
	long n;

	assert_int_equal(PEM_write_bio_X509(b, a->cert), 1);
	if (second)
		assert_int_equal(PEM_write_bio_X509(b, second->cert), 1);
	n = BIO_get_mem_data(b, &text);
	return mf_span(text, (size_t)n);
}

static void test_own_authority(void **state)
{
	BIO *one = BIO_new(BIO_s_mem()), *two = BIO_new(BIO_s_mem());
	struct mf_tls_options o = { .ca_pem = pem_of(one, &other_ca, NULL) };
	struct mf_tls_context *c = NULL;
	struct mf_errbuf eb;

	(void)state;
	assert_int_equal(trusted(&o, &good), MF_E_AUTH);
	o.ca_pem = pem_of(two, &other_ca, &ca);
	assert_int_equal(trusted(&o, &good), MF_OK);
	o.ca_pem.n -= 40; /* the second is cut off */
	assert_int_equal(mf_tls_context_new(&c, &o, &eb), MF_E_MALFORMED);
	o.ca_pem = mf_span("no certificate", 14);
	assert_int_equal(mf_tls_context_new(&c, &o, &eb), MF_E_MALFORMED);
	assert_non_null(strstr(eb.text, "PEM"));
	o.ca_pem = mf_span("", 0);
	assert_int_equal(mf_tls_context_new(&c, &o, &eb), MF_E_MALFORMED);
	assert_null(c);
	assert_int_equal(ERR_peek_error(), 0);
	BIO_free(one);
	BIO_free(two);
}

static void test_insecure(void **state)
{
	static const struct tlslab_cert bad = {
		.san = "DNS:another.example", .from = -7200, .to = -10, .self_signed = true
	};
	struct mf_tls_options o = { .ca_file = ca.file };

	(void)state;
	assert_int_equal(trusted(&o, &bad), MF_E_AUTH);
	o.insecure = true;
	assert_int_equal(trusted(&o, &bad), MF_OK);
	assert_int_equal(trusted(&o, &good), MF_OK);
}

/* What the server of p shows. */
static void pin_of(const struct pair *p, uint8_t pin[MF_SHA256_LEN])
{
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(X509_get0_pubkey(SSL_CTX_get0_certificate(p->ctx)), &der);
	struct mf_span span = mf_span(der, (size_t)n);

	assert_true(n > 0);
	mf_digest(MF_SHA256, &span, 1, pin);
	OPENSSL_free(der);
}

/* A pinned key is enough, and nothing else is: twice, because the second handshake may be a resumed
 * one. */
static void pinned(const struct tlslab_cert *cert, bool right, bool insecure, mf_err want)
{
	struct mf_tls_options o = {
		.ca_file = ca.file, .session_reuse = true, .pinned = true, .insecure = insecure
	};
	struct pair p = pair(cert, "dns.example", NULL, NULL);
	struct mf_tls_context *c;

	pin_of(&p, o.pin_sha256);
	o.pin_sha256[31] ^= !right;
	c = context(&o);
	for (int i = 0; i < 2; i++) {
		mf_tls_free(p.t);
		SSL_free(p.ssl);
		p.t = mf_tls_new(c, "dns.example", NULL);
		p.ssl = tlslab_accept(p.ctx);
		assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), want);
		if (want)
			assert_non_null(strstr(mf_tls_error(p.t), "not the pinned one"));
	}
	part(&p);
	mf_tls_context_free(c);
}

static void test_pins(void **state)
{
	static const struct tlslab_cert bad = {
		.san = "DNS:another.example", .from = -7200, .to = -10, .self_signed = true
	};

	(void)state;
	pinned(&good, true, false, MF_OK);
	pinned(&bad, true, false, MF_OK);
	pinned(&good, false, false, MF_E_CONFLICT);
	pinned(&bad, false, false, MF_E_CONFLICT);
	pinned(&bad, true, true, MF_OK);
	pinned(&bad, false, true, MF_E_CONFLICT); /* "insecure" is not about pins */
}

/* Contexts that share authorities share nothing else, and end in any order. */
static void test_share(void **state)
{
	struct mf_tls_options o = { .ca_file = ca.file };
	struct mf_tls_context *first = context(&o), *strict, *lax;
	static const struct tlslab_cert bad = { .san = "DNS:another.example" };
	struct pair p;

	(void)state;
	o = (struct mf_tls_options){ .share = first, .session_reuse = true };
	strict = context(&o);
	o.insecure = true;
	lax = context(&o);
	assert_ptr_equal(SSL_CTX_get_cert_store(strict->ssl), SSL_CTX_get_cert_store(lax->ssl));
	mf_tls_context_free(first);
	p = pair_of(strict, &good, "dns.example", NULL, NULL);
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
	part(&p);
	p = pair_of(lax, &bad, "dns.example", NULL, NULL);
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
	part(&p);
	p = pair_of(strict, &bad, "dns.example", NULL, NULL);
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_E_AUTH);
	part(&p);
	mf_tls_context_free(strict);
	mf_tls_context_free(lax);
}

/* SNI for names only (RFC 6066 3: no literal addresses). */
static void test_sni(void **state)
{
	struct pair p = connected("DNS.example.");

	(void)state;
	assert_string_equal(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name), "dns.example");
	part(&p);
	p = connected("192.0.2.53");
	assert_null(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name));
	part(&p);
}

static void test_alpn(void **state)
{
	struct pair p = pair(&good, "dns.example", "\3dot\2h2", "\2h2");

	(void)state;
	assert_string_equal(mf_tls_alpn(p.t), "");
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
	assert_string_equal(mf_tls_alpn(p.t), "h2");
	part(&p);
	p = pair(&good, "dns.example", "\2h2", NULL); /* a server that knows no ALPN */
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
	assert_string_equal(mf_tls_alpn(p.t), "");
	part(&p);
	p = pair(&good, "dns.example", "\3dot", "\2h2");
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_E_MALFORMED);
	print_message("  %s\n", mf_tls_error(p.t));
	part(&p);
}

/* ---- Versions and renegotiation ---- */

static void test_versions(void **state)
{
	struct pair p = pair(&good, "dns.example", NULL, NULL);

	(void)state;
	SSL_CTX_set_security_level(p.ctx, 0);
	SSL_free(p.ssl);
	SSL_CTX_set_min_proto_version(p.ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(p.ctx, TLS1_1_VERSION);
	p.ssl = tlslab_accept(p.ctx);
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_E_MALFORMED);
	print_message("  %s\n", mf_tls_error(p.t));
	part(&p);

	p = pair(&good, "dns.example", NULL, NULL);
	SSL_set_max_proto_version(p.ssl, TLS1_2_VERSION);
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
	assert_int_equal(SSL_version(p.ssl), TLS1_2_VERSION);
	part(&p);

	p = connected("dns.example");
	assert_int_equal(SSL_version(p.ssl), TLS1_3_VERSION);
	part(&p);
}

/* Without forward secrecy, or encrypted and then authenticated: not even with a server that has
 * nothing better. */
static void test_weak_ciphers(void **state)
{
	struct pair p = pair(&good, "dns.example", NULL, NULL);

	(void)state;
	SSL_set_max_proto_version(p.ssl, TLS1_2_VERSION);
	assert_int_equal(SSL_set_cipher_list(p.ssl, "ECDHE-ECDSA-AES128-SHA256"), 1);
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_E_MALFORMED);
	part(&p);
}

static void test_renegotiation(void **state)
{
	struct pair p = pair(&good, "dns.example", NULL, NULL);
	uint8_t buf[16];
	bool end;

	(void)state;
	SSL_set_max_proto_version(p.ssl, TLS1_2_VERSION);
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
	assert_int_equal(SSL_renegotiate(p.ssl), 1);
	SSL_do_handshake(p.ssl); /* HelloRequest */
	carry_all(&p);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 0);
	assert_int_not_equal(mf_tls_outgoing(p.t).n, 0); /* no_renegotiation */
	carry_all(&p);
	ERR_clear_error();
	assert_true(SSL_read(p.ssl, buf, sizeof(buf)) <= 0);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	ERR_clear_error();
	part(&p);
}

/* ---- Ends ---- */

static void test_server_closes(void **state)
{
	struct pair p = connected("dns.example");
	uint8_t buf[64];
	bool end;

	(void)state;
	assert_int_equal(SSL_write(p.ssl, "last words", 10), 10);
	assert_int_equal(SSL_shutdown(p.ssl), 0);
	carry_all(&p);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 10);
	assert_memory_equal(buf, "last words", 10);
	assert_false(end);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 0);
	assert_true(end);
	/* Our half stands, and ends in order. */
	assert_int_equal(mf_tls_write(p.t, mf_span("more", 4)), MF_OK);
	mf_tls_close(p.t);
	carry_all(&p);
	assert_int_equal(SSL_read(p.ssl, buf, sizeof(buf)), 4);
	assert_int_equal(SSL_read(p.ssl, buf, sizeof(buf)), 0);
	assert_int_equal(SSL_get_shutdown(p.ssl), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	part(&p);
}

static void test_client_closes(void **state)
{
	struct pair p = connected("dns.example");
	uint8_t buf[64];
	bool end;

	(void)state;
	assert_int_equal(mf_tls_write(p.t, mf_span("question", 8)), MF_OK);
	mf_tls_close(p.t);
	mf_tls_close(p.t);
	assert_int_equal(mf_tls_write(p.t, mf_span("x", 1)), MF_E_GONE);
	carry_all(&p);
	assert_int_equal(SSL_read(p.ssl, buf, sizeof(buf)), 8);
	assert_int_equal(SSL_read(p.ssl, buf, sizeof(buf)), 0);
	assert_int_equal(SSL_get_shutdown(p.ssl), SSL_RECEIVED_SHUTDOWN);
	assert_int_equal(SSL_write(p.ssl, "answer", 6), 6);
	assert_int_equal(SSL_shutdown(p.ssl), 1);
	carry_all(&p);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 6);
	assert_false(end);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 0);
	assert_true(end);
	part(&p);
}

/* Bytes that just stop are no end, be it within a record or between two. */
static void test_truncation(void **state)
{
	struct pair p = connected("dns.example");
	uint8_t record[256], buf[64];
	size_t n;
	bool end;

	(void)state;
	carry_all(&p);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 0); /* tickets */
	assert_int_equal(SSL_write(p.ssl, "all of it", 9), 9);
	n = tlslab_take(p.ssl, record, sizeof(record));
	assert_int_equal(mf_tls_feed(p.t, mf_span(record, n - 1)), MF_OK);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 0);
	assert_false(end);
	assert_int_equal(mf_tls_feed(p.t, mf_span(record + n - 1, 1)), MF_OK);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 9);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 0);
	assert_false(end);
	part(&p);
}

/* ---- Sessions ---- */

static bool resumes(SSL_CTX *ctx, struct mf_tls_context *c, const char *name, int max_version)
{
	struct pair p = { .t = mf_tls_new(c, name, NULL), .ssl = tlslab_accept(ctx) };
	uint8_t buf[16];
	bool end, resumed;

	SSL_set_max_proto_version(p.ssl, max_version);
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
	carry_all(&p);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 0);
	resumed = SSL_session_reused(p.ssl) == 1;
	SSL_set_shutdown(p.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	part(&p);
	return resumed;
}

static void test_sessions(void **state)
{
	SSL_CTX *ctx = tlslab_server(&ca, &good, NULL);

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct mf_tls_context *fresh = tlslab_client(&ca, true);

		assert_false(resumes(ctx, fresh, "dns.example", version));
		assert_true(resumes(ctx, fresh, "dns.example", version));
		assert_true(resumes(ctx, fresh, "DNS.example.", version));
		assert_false(resumes(ctx, fresh, "a.wild.example", version)); /* another server */
		assert_true(resumes(ctx, fresh, "dns.example", version));
		assert_false(resumes(ctx, client, "dns.example", version)); /* which keeps none */
		assert_false(resumes(ctx, client, "dns.example", version));
		mf_tls_context_free(fresh);
	}
	SSL_CTX_free(ctx);
}

static struct pair begun(SSL_CTX *ctx, struct mf_tls_context *c, const char *name)
{
	return (struct pair){ .t = mf_tls_new(c, name, NULL), .ssl = tlslab_accept(ctx) };
}

/* Connections that begin before any has ended: each takes a ticket of its own, and what they bring
 * back is kept for the next, up to a bound. */
static void test_sessions_parallel(void **state)
{
	enum { N = 24 };
	SSL_CTX *ctx = tlslab_server(&ca, &good, NULL);
	struct mf_tls_context *c = tlslab_client(&ca, true);
	unsigned resumed[3] = { 0 };
	struct pair p[N];
	uint8_t buf[16];
	bool end;

	(void)state;
	SSL_CTX_set_num_tickets(ctx, 1); /* as servers in Go do */
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < N; i++)
			p[i] = begun(ctx, c, "dns.example");
		for (size_t i = 0; i < N; i++) {
			assert_int_equal(tlslab_handshake(p[i].t, p[i].ssl, WHOLE, NULL), MF_OK);
			carry_all(&p[i]);
			assert_int_equal(mf_tls_read(p[i].t, buf, sizeof(buf), &end), 0);
			resumed[round] += SSL_session_reused(p[i].ssl) == 1;
		}
		for (size_t i = 0; i < N; i++) {
			SSL_set_shutdown(p[i].ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
			part(&p[i]);
		}
	}
	assert_int_equal(resumed[0], 0);
	assert_int_equal(resumed[1], MF_TLS_TICKETS_OF_SERVER);
	assert_int_equal(resumed[2], MF_TLS_TICKETS_OF_SERVER);
	mf_tls_context_free(c);
	SSL_CTX_free(ctx);
}

/* The server that was longest not connected to is forgotten first. */
static void test_sessions_bounded(void **state)
{
	SSL_CTX *ctx = tlslab_server(&ca, &good, NULL);
	char name[32];

	(void)state;
	SSL_CTX_set_num_tickets(ctx, 1);
	for (unsigned i = 0; i < MF_TLS_TICKETS + 1; i++) {
		snprintf(name, sizeof(name), "s%u.wild.example", i);
		assert_false(resumes(ctx, reusing, name, TLS1_3_VERSION));
	}
	for (unsigned i = 1; i < MF_TLS_TICKETS + 1; i++) {
		snprintf(name, sizeof(name), "s%u.wild.example", i);
		assert_true(resumes(ctx, reusing, name, TLS1_3_VERSION));
	}
	assert_false(resumes(ctx, reusing, "s0.wild.example", TLS1_3_VERSION));
	SSL_CTX_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_other_authority),
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_own_authority),
		cmocka_unit_test(test_insecure),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_sni),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_weak_ciphers),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_server_closes),
		cmocka_unit_test(test_client_closes),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_sessions_parallel),
		cmocka_unit_test(test_sessions_bounded),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
