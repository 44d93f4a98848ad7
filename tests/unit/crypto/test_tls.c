/* SPDX-License-Identifier: Apache-2.0
 *
 * The TLS client against OpenSSL servers in memory: whose certificates are taken, what is refused,
 * that bytes come through whatever the pieces, and how connections end.
 */
#include "vectors.h"

#include <openssl/err.h>
#include <unistd.h>

#include "crypto/tls.h"
#include "support/tlslab.h"

enum { WHOLE = 1 << 14, PIPE_MAX = 1 << 20 };

static struct tlslab_ca ca, other_ca;
static struct mf_tls_context *client, *reusing;
static const struct tlslab_cert good = {
	.san = "DNS:dns.example, DNS:*.wild.example, IP:192.0.2.53, "
	       "IP:2001:db8::53"
};

static int set_up(void **state)
{
	(void)state;
	tlslab_ca_make(&ca);
	tlslab_ca_make(&other_ca);
	client = tlslab_client(&ca, false);
	reusing = tlslab_client(&ca, true);
	return 0;
}

static int tear_down(void **state)
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

static struct pair pair(const struct tlslab_cert *cert, const char *name, const char *alpn,
			const char *server_alpn)
{
	struct pair p = { .t = mf_tls_new(client, name, alpn) };

	assert_non_null(p.t);
	p.ctx = tlslab_server(&ca, cert, server_alpn);
	p.ssl = tlslab_accept(p.ctx);
	return p;
}

static struct pair connected(const char *name)
{
	struct pair p = pair(&good, name, NULL, NULL);

	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
	return p;
}

static void part(struct pair *p)
{
	mf_tls_free(p->t);
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	assert_int_equal(ERR_peek_error(), 0); /* nothing is left for others */
}

static void carry_all(struct pair *p)
{
	while (tlslab_carry(p->t, p->ssl, WHOLE))
		;
}

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
	static const struct tlslab_cert expired = { .san = "DNS:dns.example",
						    .from = -7200,
						    .to = -10 },
					early = { .san = "DNS:dns.example", .from = 600, .to = 7200 },
					self = { .san = "DNS:dns.example", .self_signed = true },
					common = { .common = "dns.example" },
					no_ip = { .san = "DNS:192.0.2.53" };

	(void)state;
	assert_int_equal(judge(&expired, "dns.example"), MF_E_AUTH);
	assert_int_equal(judge(&early, "dns.example"), MF_E_AUTH);
	assert_int_equal(judge(&self, "dns.example"), MF_E_AUTH);
	assert_int_equal(judge(&common, "dns.example"), MF_E_AUTH);
	assert_int_equal(judge(&no_ip, "192.0.2.53"), MF_E_AUTH);
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

/* ---- Bytes ---- */

/* Both directions at once, in pieces of random size, over a transport that carries `step` bytes at
 * a time. */
static void talk(struct pair *p, size_t total, size_t step, struct mf_prng *g)
{
	static uint8_t sent[PIPE_MAX], up[PIPE_MAX], down[PIPE_MAX];
	size_t written = 0, at_server = 0, at_client = 0, answered = 0, n;
	bool end;

	assert_true(total <= PIPE_MAX);
	fill(g, sent, total);
	while (at_server < total || at_client < total) {
		size_t piece = mf_min(total - written, mf_prng_below(g, MF_TLS_WRITE_MAX) + 1);
		ptrdiff_t got;

		if (piece && mf_tls_write(p->t, mf_span(sent + written, piece)) == MF_OK)
			written += piece;
		if (answered < total &&
		    SSL_write_ex(p->ssl, sent + answered, mf_min(total - answered, WHOLE), &n) == 1)
			answered += n;
		tlslab_carry(p->t, p->ssl, step);
		while (SSL_read_ex(p->ssl, up + at_server, total - at_server + 1, &n) == 1)
			at_server += n;
		while ((got = mf_tls_read(p->t, down + at_client,
					  mf_min(total - at_client, 1 + mf_prng_below(g, 40000)),
					  &end)) > 0)
			at_client += (size_t)got;
		assert_int_equal(got, 0);
		assert_false(end);
		ERR_clear_error();
	}
	assert_memory_equal(up, sent, total);
	assert_memory_equal(down, sent, total);
}

static void test_bytes(void **state)
{
	struct mf_prng g = seeded();

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct pair p = pair(&good, "dns.example", NULL, NULL);

		SSL_set_max_proto_version(p.ssl, version);
		assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
		talk(&p, PIPE_MAX - 1, WHOLE, &g);
		talk(&p, 40000, 1 + mf_prng_below(&g, 1500), &g);
		part(&p);
	}
}

static void test_byte_by_byte(void **state)
{
	struct pair p = pair(&good, "dns.example", NULL, NULL);
	struct mf_prng g = seeded();

	(void)state;
	assert_int_equal(tlslab_handshake(p.t, p.ssl, 1, NULL), MF_OK);
	talk(&p, 300, 1, &g);
	part(&p);
}

static void test_bounds(void **state)
{
	static uint8_t big[MF_TLS_BACKLOG_MAX + 1];
	struct pair p = connected("dns.example");
	size_t accepted = 0, n;
	uint8_t buf[16];
	mf_err err;
	bool end;

	(void)state;
	assert_int_equal(mf_tls_write(p.t, mf_span(big, MF_TLS_WRITE_MAX + 1)), MF_E_RANGE);
	assert_int_equal(mf_tls_write(p.t, mf_span(NULL, 0)), MF_OK);
	/* Nobody sends: it must refuse before long, and then take again. */
	while ((err = mf_tls_write(p.t, mf_span(big, 5000))) == MF_OK)
		assert_true((accepted += 5000) < 1 << 20);
	assert_int_equal(err, MF_E_AGAIN);
	assert_true(mf_tls_outgoing(p.t).n > accepted);
	carry_all(&p);
	assert_int_equal(mf_tls_write(p.t, mf_span(big, MF_TLS_WRITE_MAX)), MF_OK);
	/* Nobody reads. */
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 0); /* tickets */
	assert_int_equal(mf_tls_feed(p.t, mf_span(big, sizeof(big))), MF_E_FULL);
	for (n = 0; (err = mf_tls_feed(p.t, mf_span(big, 4096))) == MF_OK; n += 4096)
		assert_true(n <= MF_TLS_BACKLOG_MAX);
	assert_int_equal(err, MF_E_FULL);
	assert_int_equal(n, MF_TLS_BACKLOG_MAX);
	part(&p);
}

/* A record that somebody has changed on its way. */
static void test_tampering(void **state)
{
	struct pair p = connected("dns.example");
	uint8_t record[256], buf[16];
	size_t n;
	bool end;

	(void)state;
	assert_int_equal(SSL_write(p.ssl, "hello", 5), 5);
	carry_all(&p); /* tickets and the record */
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 5);
	assert_int_equal(SSL_write(p.ssl, "hello", 5), 5);
	n = tlslab_take(p.ssl, record, sizeof(record));
	record[n - 1] ^= 1;
	assert_int_equal(mf_tls_feed(p.t, mf_span(record, n)), MF_OK);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), MF_E_MALFORMED);
	assert_string_not_equal(mf_tls_error(p.t), "");
	print_message("  %s\n", mf_tls_error(p.t));
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), MF_E_GONE);
	assert_int_equal(mf_tls_feed(p.t, mf_span(record, n)), MF_E_GONE);
	assert_int_not_equal(mf_tls_outgoing(p.t).n, 0); /* the alert */
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

/* A server that has us answer KeyUpdates without end while nothing leaves gets no more memory out
 * of us. */
static void test_key_updates(void **state)
{
	struct pair p = connected("dns.example");
	uint8_t record[256], buf[16];
	size_t n;
	bool end;

	(void)state;
	carry_all(&p);
	for (unsigned i = 0; i < 20000; i++) {
		SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED);
		SSL_do_handshake(p.ssl);
		n = tlslab_take(p.ssl, record, sizeof(record));
		if (mf_tls_feed(p.t, mf_span(record, n)) != MF_OK ||
		    mf_tls_read(p.t, buf, sizeof(buf), &end) < 0)
			break;
		assert_true(mf_tls_outgoing(p.t).n < 1 << 18);
	}
	assert_true(mf_tls_outgoing(p.t).n > 1 << 17); /* it did answer */
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

/* The server that was longest not connected to is forgotten first. */
static void test_sessions_bounded(void **state)
{
	SSL_CTX *ctx = tlslab_server(&ca, &good, NULL);
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 17; i++) {
		snprintf(name, sizeof(name), "s%u.wild.example", i);
		assert_false(resumes(ctx, reusing, name, TLS1_3_VERSION));
	}
	for (unsigned i = 1; i < 17; i++) {
		snprintf(name, sizeof(name), "s%u.wild.example", i);
		assert_true(resumes(ctx, reusing, name, TLS1_3_VERSION));
	}
	assert_false(resumes(ctx, reusing, "s0.wild.example", TLS1_3_VERSION));
	SSL_CTX_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),         cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_certificates),  cmocka_unit_test(test_other_authority),
		cmocka_unit_test(test_contexts),      cmocka_unit_test(test_sni),
		cmocka_unit_test(test_alpn),          cmocka_unit_test(test_versions),
		cmocka_unit_test(test_weak_ciphers),  cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_bytes),         cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_bounds),        cmocka_unit_test(test_tampering),
		cmocka_unit_test(test_server_closes), cmocka_unit_test(test_client_closes),
		cmocka_unit_test(test_truncation),    cmocka_unit_test(test_key_updates),
		cmocka_unit_test(test_sessions),      cmocka_unit_test(test_sessions_bounded),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
