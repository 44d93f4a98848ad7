/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS as a layer: over a far side that takes and gives any pieces, to OpenSSL servers in memory. What
 * a failure is called, and which end is one.
 */
#include "proxy/tls_layer.h"

#include <openssl/err.h>

#include "support/layerlab.h"
#include "support/tlslab.h"
#include "unit.h"

enum { BULK = 300 * 1000, WIRE = 1 << 17 };

static struct tlslab_ca ca;
static struct mf_tls_context *client;
static const struct tlslab_cert good = { .san = "DNS:proxy.example" };

static struct layerlab lab;
static struct lab_user user;
static struct mf_tls_layer_config cfg;
static struct mf_layer_outbound o;
static SSL_CTX *ctx;
static SSL *server;
static size_t fed;  /* of what the far side has got */
static int refused; /* why the server gave up its handshake: SSL_R_... */
static uint8_t bulk[BULK], wire[WIRE];

/* What the layer writes below, call by call. */
static struct mf_outbound_ops counting;
static const struct mf_outbound_ops *counted;
static unsigned n_writes;

static size_t count_write(struct mf_stream *s, const struct mf_span *v, size_t n)
{
	n_writes++;
	return counted->stream_write(s, v, n);
}

static int set_up(void **state)
{
	(void)state;
	tlslab_ca_make(&ca);
	client = tlslab_client(&ca, false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mf_tls_context_free(client);
	tlslab_ca_free(&ca);
	return 0;
}

static int open_lab(void **state)
{
	struct mf_prng g = unit_prng("tls_layer");

	(void)state;
	layerlab_open(&lab, g.state, false);
	mf_prng_fill(&lab.prng, bulk, sizeof(bulk));
	counted = lab.far.out.ops;
	counting = *counted;
	counting.stream_write = count_write;
	lab.far.out.ops = &counting;
	memset(&user, 0, sizeof(user));
	user.closed = true;
	cfg = (struct mf_tls_layer_config){ .context = client, .name = "proxy.example" };
	mf_tls_layer_init(&o, &cfg, &lab.layers, &lab.far.out, &lab.health, "hk", 10 * MF_SEC);
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	lab_user_fini(&user);
	SSL_free(server);
	SSL_CTX_free(ctx);
	server = NULL;
	ctx = NULL;
	fed = 0;
	refused = 0;
	n_writes = 0;
	layerlab_close(&lab);
	assert_int_equal(o.n_streams, 0);
	assert_int_equal(ERR_peek_error(), 0);
	return 0;
}

/* ---- The two sides --------------------------------------------------------------------------------- */

static struct fake_stream *far(void)
{
	return lab.far.last;
}

/* Lets the user begin, and the transport open. */
static void dial(const struct tlslab_cert *cert, const char *alpn)
{
	ctx = tlslab_server(&ca, cert, alpn);
	server = tlslab_accept(ctx);
	assert_int_equal(lab_user_open(&user, &lab, &o.out, "target.example:443"), MF_OK);
	assert_int_equal(o.n_streams, 1);
	fake_open(far());
	layerlab_run(&lab);
}

/* What has come to the server, and what it has to send. True: something moved. */
static bool carry(void)
{
	size_t n = far()->n_got - fed, m;

	tlslab_feed(server, mf_span(far()->got + fed, n));
	fed += n;
	if (!SSL_is_init_finished(server) && SSL_do_handshake(server) != 1 && ERR_peek_error())
		refused = ERR_GET_REASON(ERR_peek_error());
	m = tlslab_take(server, wire, sizeof(wire));
	if (far()->s)
		fake_give(far(), wire, m);
	ERR_clear_error();
	return n || m;
}

static void settle(void)
{
	do {
		do {
			layerlab_run(&lab);
			lab_user_turn(&user);
			layerlab_run(&lab);
		} while (user.s.ready && !user.failed && !user.closed);
	} while (carry());
}

static void connect_with(int version)
{
	dial(&good, NULL);
	SSL_set_max_proto_version(server, version);
	settle();
	assert_true(user.opened);
}

static void connect(void)
{
	connect_with(TLS1_3_VERSION);
}

/* All that the server can read. */
static size_t server_reads(uint8_t *out, size_t cap)
{
	size_t total = 0, n;

	while (total < cap && SSL_read_ex(server, out + total, cap - total, &n) == 1)
		total += n;
	ERR_clear_error();
	return total;
}

static void server_says(const char *text)
{
	assert_int_equal(SSL_write(server, text, (int)strlen(text)), strlen(text));
	settle();
}

static void expect_fault(enum mf_proxy_fault f, const char *detail)
{
	assert_true(user.failed);
	assert_int_equal(user.s.error, MF_STREAM_E_PROXY);
	assert_int_equal(lab.health.count.fault[f], 1);
	assert_int_equal(lab.health.count.failed, 1);
	print_message("%s\n", lab.health.facts.detail);
	assert_non_null(strstr(lab.health.facts.detail, detail));
	assert_null(far()->s);
}

/* ---- Bytes ----------------------------------------------------------------------------------------- */

/* Both ways at once, in random pieces everywhere, and the far side sometimes takes nothing. */
static void exchange(int version)
{
	static uint8_t up[BULK];
	size_t at_server = 0, said = 0, n;

	lab.far.prng = user.prng = &lab.prng;
	connect_with(version);
	lab_user_write(&user, bulk, BULK);
	while (at_server < BULK || user.n_got < BULK) {
		if (said < BULK &&
		    SSL_write_ex(server, bulk + said,
				 mf_min(BULK - said, 1 + mf_prng_below(&lab.prng, 20000)), &n) == 1)
			said += n;
		far()->may_write = mf_prng_below(&lab.prng, 50000);
		fake_take(far(), 1 + mf_prng_below(&lab.prng, 50000));
		settle();
		at_server += server_reads(up + at_server, BULK - at_server);
		assert_false(user.failed || user.eof);
	}
	assert_memory_equal(up, bulk, BULK);
	assert_memory_equal(user.got, bulk, BULK);
}

static void test_bytes_13(void **state)
{
	(void)state;
	exchange(TLS1_3_VERSION);
	assert_int_equal(SSL_version(server), TLS1_3_VERSION);
}

static void test_bytes_12(void **state)
{
	(void)state;
	exchange(TLS1_2_VERSION);
	assert_int_equal(SSL_version(server), TLS1_2_VERSION);
}

/* 64 KiB in one write are four records in one write below. */
static void test_batches(void **state)
{
	static uint8_t up[1 << 16];
	unsigned before;

	(void)state;
	connect();
	before = n_writes;
	lab_user_write(&user, bulk, sizeof(up));
	assert_int_equal(n_writes - before, 1);
	assert_int_equal(far()->n_got - fed, sizeof(up) + 4 * 22);
	settle();
	assert_int_equal(server_reads(up, sizeof(up)), sizeof(up));
	assert_memory_equal(up, bulk, sizeof(up));
}

/* An app that reads little by little: what it does not take stays below, but for a record. */
static void test_slow_app(void **state)
{
	uint8_t b[100];
	struct mf_room v = { b, sizeof(b) };
	size_t before, taken = 0;

	(void)state;
	connect();
	before = far()->given;
	assert_int_equal(SSL_write(server, bulk, 100 * 1000), 100 * 1000);
	fake_give(far(), wire, tlslab_take(server, wire, sizeof(wire)));
	layerlab_run(&lab);
	while (taken < 50 * 1000) {
		assert_int_equal(user.s.out->ops->stream_read(&user.s, &v, 1), sizeof(b));
		assert_memory_equal(b, bulk + taken, sizeof(b));
		taken += sizeof(b);
		assert_true(far()->given - before <= taken + 5 * 22 + MF_TLS_RECORD_MAX);
		assert_true(mf_layers_held(&lab.layers) <= 2 * MF_TLS_RECORD_MAX);
	}
	settle();
}

/* What comes together with the last message of the handshake. */
static void test_early_answer(void **state)
{
	(void)state;
	dial(&good, NULL);
	SSL_set_max_proto_version(server, TLS1_2_VERSION);
	do {
		(void)carry();
		layerlab_run(&lab);
	} while (far()->n_got == fed);
	tlslab_feed(server, mf_span(far()->got + fed, far()->n_got - fed));
	fed = far()->n_got;
	assert_int_equal(SSL_do_handshake(server), 1);
	server_says("hello");
	assert_true(user.opened);
	assert_int_equal(user.n_got, 5);
	assert_memory_equal(user.got, "hello", 5);
}

static void test_handshake(void **state)
{
	(void)state;
	cfg.alpn = "\2h2\10http/1.1";
	dial(&good, "\10http/1.1");
	lab.now += 30 * MF_MSEC;
	settle();
	assert_true(user.opened);
	assert_string_equal(SSL_get_servername(server, TLSEXT_NAMETYPE_host_name), "proxy.example");
	assert_int_equal(lab.health.facts.took[MF_PROXY_SPAN_TLS], 30 * MF_MSEC);
	assert_int_equal(lab.health.count.failed, 0);
}

/* New keys, asked for by the server while we do not write: the answer goes with what we write next. */
static void test_key_update(void **state)
{
	uint8_t buf[16];

	(void)state;
	connect();
	assert_int_equal(SSL_key_update(server, SSL_KEY_UPDATE_REQUESTED), 1);
	server_says("new");
	assert_int_equal(user.n_got, 3);
	lab_user_write(&user, "keys", 4);
	settle();
	assert_int_equal(server_reads(buf, sizeof(buf)), 4);
	assert_int_equal(SSL_get_key_update_type(server), SSL_KEY_UPDATE_NONE);
	server_says("too");
	assert_memory_equal(user.got, "newtoo", 6);
}

/* ---- Failures -------------------------------------------------------------------------------------- */

static void test_certificate(void **state)
{
	static const struct tlslab_cert expired = { .san = "DNS:proxy.example",
						    .from = -7200,
						    .to = -10 };

	(void)state;
	dial(&expired, NULL);
	settle();
	expect_fault(MF_PROXY_CERTIFICATE, "expired");
	assert_int_equal(refused, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED); /* it has been told */
}

static void test_name(void **state)
{
	(void)state;
	cfg.name = "other.example";
	dial(&good, NULL);
	settle();
	expect_fault(MF_PROXY_CERTIFICATE, "hostname mismatch");
}

static void test_pin(void **state)
{
	struct mf_tls_options opt = { .pinned = true };

	(void)state;
	assert_int_equal(mf_tls_context_new(&cfg.context, &opt, NULL), MF_OK);
	dial(&good, NULL);
	settle();
	expect_fault(MF_PROXY_PIN, "not the pinned one");
	lab_user_fini(&user);
	mf_tls_context_free(cfg.context);
}

static void test_alpn_refused(void **state)
{
	(void)state;
	cfg.alpn = "\2h2";
	dial(&good, "\10http/1.1");
	settle();
	expect_fault(MF_PROXY_TLS, "no application protocol");
}

static void test_plain_text(void **state)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

	(void)state;
	dial(&good, NULL);
	fake_give(far(), answer, sizeof(answer) - 1);
	layerlab_run(&lab);
	lab_user_turn(&user);
	expect_fault(MF_PROXY_TLS, "does not speak TLS here");
}

static void test_closes_early(void **state)
{
	(void)state;
	dial(&good, NULL);
	fake_end(far());
	layerlab_run(&lab);
	lab_user_turn(&user);
	expect_fault(MF_PROXY_TLS, "closes during the handshake");
}

static void test_resets_early(void **state)
{
	(void)state;
	dial(&good, NULL);
	fake_fail(far(), MF_STREAM_E_RESET);
	layerlab_run(&lab);
	lab_user_turn(&user);
	expect_fault(MF_PROXY_TLS, "resets during the handshake");
}

/* What happens below before TLS begins is not its fault. */
static void test_refused(void **state)
{
	(void)state;
	assert_int_equal(lab_user_open(&user, &lab, &o.out, "target.example:443"), MF_OK);
	fake_fail(far(), MF_STREAM_E_REFUSED);
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_true(user.failed);
	assert_int_equal(user.s.error, MF_STREAM_E_REFUSED);
	assert_int_equal(lab.health.count.failed, 0);
}

static void test_silence(void **state)
{
	(void)state;
	dial(&good, NULL);
	layerlab_pass(&lab, 9 * MF_SEC);
	lab_user_turn(&user);
	assert_false(user.failed);
	layerlab_pass(&lab, 2 * MF_SEC);
	lab_user_turn(&user);
	expect_fault(MF_PROXY_TLS, "");
}

/* A byte that somebody has changed: what was before it arrives, and then it is over. */
static void test_tampering(void **state)
{
	size_t n;

	(void)state;
	connect();
	assert_int_equal(SSL_write(server, "good", 4), 4);
	assert_int_equal(SSL_write(server, "bad", 3), 3);
	n = tlslab_take(server, wire, sizeof(wire));
	wire[n - 1] ^= 1;
	fake_give(far(), wire, n);
	layerlab_run(&lab);
	lab_user_turn(&user);
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_int_equal(user.n_got, 4);
	expect_fault(MF_PROXY_TLS, "tampered");
}

/* ---- Ends ------------------------------------------------------------------------------------------ */

/* Ours: close_notify, no FIN; and the server's bytes go on coming. */
static void test_half_close(void **state)
{
	uint8_t buf[16];

	(void)state;
	connect();
	lab_user_write(&user, "question", 8);
	lab_user_shutdown(&user);
	settle();
	assert_int_equal(server_reads(buf, sizeof(buf)), 8);
	assert_int_equal(SSL_get_shutdown(server), SSL_RECEIVED_SHUTDOWN);
	assert_false(far()->shut);
	server_says("answer");
	assert_int_equal(user.n_got, 6);
	assert_false(user.eof);
	SSL_shutdown(server);
	settle();
	assert_true(user.eof);
	lab_user_close(&user, false);
	assert_null(far()->s);
	assert_false(far()->reset);
}

static void test_server_ends(void **state)
{
	uint8_t buf[16];

	(void)state;
	connect();
	assert_int_equal(SSL_write(server, "last", 4), 4);
	SSL_shutdown(server);
	settle();
	assert_true(user.eof);
	assert_int_equal(user.n_got, 4);
	lab_user_write(&user, "more", 4); /* our half stands */
	settle();
	assert_int_equal(server_reads(buf, sizeof(buf)), 4);
}

static void end_transport(void)
{
	fake_end(far());
	settle();
}

static void test_cut_off(void **state)
{
	(void)state;
	connect();
	server_says("half of");
	end_transport();
	assert_int_equal(user.n_got, 7);
	assert_true(user.failed);
	assert_int_equal(user.s.error, MF_STREAM_E_RESET);
	assert_int_equal(lab.health.count.failed, 0); /* nothing is wrong with the proxy */
}

static void test_cut_is_end(void **state)
{
	(void)state;
	cfg.cut_is_end = true;
	connect();
	server_says("all of");
	end_transport();
	assert_int_equal(user.n_got, 6);
	assert_true(user.eof);
}

/* Within a record it is none in any case. */
static void test_cut_record(void **state)
{
	size_t n;

	(void)state;
	cfg.cut_is_end = true;
	connect();
	assert_int_equal(SSL_write(server, "half of", 7), 7);
	n = tlslab_take(server, wire, sizeof(wire));
	fake_give(far(), wire, n - 1);
	end_transport();
	assert_int_equal(user.n_got, 0);
	assert_true(user.failed);
	assert_int_equal(user.s.error, MF_STREAM_E_RESET);
}

static void test_no_answer(void **state)
{
	(void)state;
	connect();
	end_transport();
	assert_true(user.eof);
}

static void test_farewell(void **state)
{
	(void)state;
	connect();
	lab_user_close(&user, false);
	(void)carry();
	assert_int_equal(server_reads(wire, 1), 0);
	assert_int_equal(SSL_get_shutdown(server), SSL_RECEIVED_SHUTDOWN);
}

static void test_no_farewell(void **state)
{
	(void)state;
	connect();
	lab_user_close(&user, true);
	assert_true(far()->reset);
	(void)carry();
	assert_int_equal(server_reads(wire, 1), 0);
	assert_int_equal(SSL_get_shutdown(server), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_lab, close_lab)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bytes_13),     TEST(test_bytes_12),   TEST(test_batches),
		TEST(test_early_answer), TEST(test_handshake),  TEST(test_key_update),
		TEST(test_certificate),  TEST(test_name),       TEST(test_pin),
		TEST(test_alpn_refused), TEST(test_plain_text), TEST(test_closes_early),
		TEST(test_resets_early), TEST(test_refused),    TEST(test_silence),
		TEST(test_tampering),    TEST(test_half_close), TEST(test_server_ends),
		TEST(test_cut_off),      TEST(test_cut_is_end), TEST(test_cut_record),
		TEST(test_no_answer),    TEST(test_farewell),   TEST(test_no_farewell),
		TEST(test_slow_app),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
