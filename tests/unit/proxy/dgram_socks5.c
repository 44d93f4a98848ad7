/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams beside a connection to a SOCKS5 server: what goes on when, and what becomes of it when
 * the connection or the relay is not what it should be.
 */
#include "dgramlab.h"

#include "wire/icmp.h"

static struct app app;

static const struct mf_endpoint a = { .addr = { { 198, 51, 100, 1 }, MF_AF_IP4 }, .port = 53 },
				b = { .addr = { { 198, 51, 100, 2 }, MF_AF_IP4 }, .port = 3478 };

static int up(void **state)
{
	(void)state;
	lab_up(mf_dgram_proto(MF_PROXY_SOCKS5), 2000, 100);
	return 0;
}

static int down(void **state)
{
	(void)state;
	lab_down();
	return 0;
}

static struct mf_proxy_counters *count(void)
{
	return &lab.health.count;
}

static enum mf_drop say(const struct mf_endpoint *to, const char *text)
{
	return app_say(&app, to, text, strlen(text), 0);
}

/* ---- The server ------------------------------------------------------------------------------ */

/* It has heard this, and nothing else since the last time. */
static void hears(struct fake_stream *st, const char *bytes, size_t n)
{
	assert_int_equal(st->n_got, n);
	assert_memory_equal(st->got, bytes, n);
	st->n_got = 0;
}

static void answers(struct fake_stream *st, const char *bytes, size_t n)
{
	fake_give(st, bytes, n);
	app_run(&app);
}

/* Up to the request for an association. */
static struct fake_stream *greet(void)
{
	struct fake_stream *st = lab.transport.last;

	fake_open(st);
	app_run(&app);
	hears(st, "\x05\x01\x00", 3);
	answers(st, "\x05\x00", 2);
	hears(st, "\x05\x03\x00\x01\0\0\0\0\0\0", 10);
	return st;
}

/* Whole, with a relay at 203.0.113.9:4000. */
static struct fake_stream *associate(void)
{
	struct fake_stream *st = greet();

	answers(st, "\x05\x00\x00\x01\xcb\x00\x71\x09\x0f\xa0", 10);
	return st;
}

static const struct mf_endpoint relay = { .addr = { { 203, 0, 113, 9 }, MF_AF_IP4 }, .port = 4000 };

/* The relay has got this from the app, in the k-th packet. */
static void relayed(size_t k, const struct mf_endpoint *at, const struct mf_endpoint *to,
		    const char *text)
{
	const struct fake_sent *s = &lab.via.last->sent[k];

	assert_true(k < lab.via.last->n_sent);
	assert_true(mf_endpoint_equal(&s->remote, at));
	assert_int_equal(s->n, 10 + strlen(text));
	assert_memory_equal(s->bytes, "\0\0\0\x01", 4);
	assert_memory_equal(s->bytes + 4, to->addr.b, 4);
	assert_memory_equal(s->bytes + 10, text, strlen(text));
}

static void relay_says(const struct mf_endpoint *at, const char *text)
{
	uint8_t packet[100] = { 0, 0, 0, 1, 192, 0, 2, 77, 3, 231 };

	memcpy(packet + 10, text, strlen(text));
	fakedgram_give(lab.via.last, at, packet, 10 + strlen(text), 0, 0);
	app_run(&app);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void test_association(void **state)
{
	struct mf_endpoint stranger = lab_at("192.0.2.77:999");
	struct fake_stream *st;

	(void)state;
	app_open(&app);
	assert_int_equal(lab.transport.n_opened, 0);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	assert_int_equal(say(&b, "second"), MF_DROP_NONE);
	st = associate();
	assert_int_equal(st->n_got, 0);
	relayed(0, &relay, &a, "one");
	relayed(1, &relay, &b, "second");
	assert_int_equal(say(&b, "three"), MF_DROP_NONE);
	relayed(2, &relay, &b, "three");
	assert_int_equal(lab.via.n_opened, 1);

	relay_says(&lab.server[0], "from elsewhere");
	relay_says(&relay, "from anybody");
	assert_int_equal(app.n, 1);
	app_expect(&app, 0, &stranger, "from anybody", 12);
	assert_int_equal(count()->datagrams_bad, 1);
	assert_int_equal(count()->datagrams_up, 3);
	assert_int_equal(count()->datagrams_down, 1);
	app_close(&app);
	assert_int_equal(lab.transport.n_open, 0);
}

/* One byte at a time, each way. */
static void test_little_by_little(void **state)
{
	static const char reply[] =
		"\x05\x02\x01\x00\x05\x00\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0"
		"\0\0\0\x09\x0f\xa0";
	struct mf_endpoint six = lab_at("[2001:db8::9]:4000");
	struct fake_stream *st;

	(void)state;
	lab.config.socks5 = (struct mf_socks5_config){ .user_n = 1, .password_n = 2 };
	memcpy(lab.config.socks5.user, "u", 1);
	memcpy(lab.config.socks5.password, "pw", 2);
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	st = lab.transport.last;
	st->may_write = 0;
	fake_open(st);
	for (size_t i = 0; i < sizeof(reply) - 1; i++) {
		for (int k = 0; k < 20; k++) {
			fake_take(st, 1);
			app_run(&app);
		}
		assert_int_equal(lab.via.n_opened, 1);
		answers(st, reply + i, 1);
	}
	assert_int_equal(st->n_got, 4 + 6 + 10);
	assert_memory_equal(st->got, "\x05\x02\x00\x02\x01\x01u\x02pw\x05\x03", 12);
	assert_int_equal(lab.via.n_opened, 2); /* of the other family */
	assert_int_equal(lab.via.n_open, 1);
	relayed(0, &six, &a, "one");
	assert_int_equal(lab.layers.pool.held, 0);
	app_close(&app);
}

static void test_which_relay(void **state)
{
	static const struct {
		const char *reply;
		const char *server, *relay;
	} cases[] = {
		{ "\x05\x00\x00\x01\0\0\0\0\x0f\xa0", "203.0.113.7:8388", "203.0.113.7:4000" },
		/* A server that knows only its address inside; and what it could point us at. */
		{ "\x05\x00\x00\x01\x0a\x00\x00\x05\x0f\xa0", "203.0.113.7:8388", "203.0.113.7:4000" },
		{ "\x05\x00\x00\x01\x7f\x00\x00\x01\x0f\xa0", "203.0.113.7:8388", "203.0.113.7:4000" },
		{ "\x05\x00\x00\x01\x0a\x00\x00\x05\x0f\xa0", "10.0.0.1:1080", "10.0.0.5:4000" },
		{ "\x05\x00\x00\x01\x7f\x00\x00\x01\x0f\xa0", "10.0.0.1:1080", "10.0.0.1:4000" },
		{ "\x05\x00\x00\x01\x7f\x00\x00\x01\x0f\xa0", "127.0.0.2:1080", "127.0.0.1:4000" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_endpoint at = lab_at(cases[i].relay);
		struct fake_stream *st;

		lab.server[0] = lab_at(cases[i].server);
		app_open(&app);
		assert_int_equal(say(&a, "one"), MF_DROP_NONE);
		st = greet();
		answers(st, cases[i].reply, 10);
		relayed(0, &at, &a, "one");
		app_close(&app);
	}
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	answers(greet(), "\x05\x00\x00\x01\xe0\x00\x00\x01\x0f\xa0", 10); /* 224.0.0.1 */
	assert_int_equal(lab.via.last->n_sent, 0);
	assert_int_equal(count()->fault[MF_PROXY_PROTOCOL], 1);
	app_close(&app);
}

/* The app has been told that nothing goes to `to`. */
static void forbidden(const struct mf_endpoint *to)
{
	bool v4 = to->addr.family == MF_AF_IP4;

	assert_int_equal(app.n_errors, 1);
	assert_true(mf_endpoint_equal(&app.error.remote, to));
	assert_int_equal(app.error.type, v4 ? MF_ICMP4_UNREACHABLE : MF_ICMP6_UNREACHABLE);
	assert_int_equal(app.error.code, v4 ? 13 : 1);
	assert_int_equal(app.error.offender.family, MF_AF_NONE);
	app.n_errors = 0;
}

static void test_a_server_without_datagrams(void **state)
{
	struct mf_endpoint six = lab_at("[2001:db8::5]:443");

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	assert_int_equal(say(&b, "two"), MF_DROP_NONE);
	answers(greet(), "\x05\x07\x00\x01\0\0\0\0\0\0", 10);
	forbidden(&a);
	/* It works, and does not do this. */
	assert_int_equal(count()->fault[MF_PROXY_COMMAND], 1);
	assert_int_equal(lab.health.facts.fault, MF_PROXY_COMMAND);
	assert_false(lab.health.facts.failing);
	assert_true(lab.health.facts.last_ok > 0);
	assert_int_equal(say(&six, "three"), MF_DROP_NONE);
	answers(greet(), "\x05\x07\x00\x01\0\0\0\0\0\0", 10);
	forbidden(&six);
	assert_int_equal(say(&b, "four"), MF_DROP_OUTBOUND_DOWN);
	app_run(&app);
	forbidden(&b);
	/* It may have learned better, or may have another trouble, which is not the app's. */
	lab_wait(MF_SEC);
	assert_int_equal(say(&a, "five"), MF_DROP_NONE);
	fake_end(greet());
	app_run(&app);
	assert_int_equal(say(&a, "six"), MF_DROP_OUTBOUND_DOWN);
	app_run(&app);
	assert_int_equal(count()->datagrams_dropped, 6);
	app_close(&app);
}

/* What works goes on; what fails is over, and the app's session looks for another interface. */
static void test_retired(void **state)
{
	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	associate();
	lab.x.retired = true;
	relay_says(&relay, "hello");
	assert_int_equal(say(&a, "two"), MF_DROP_NONE);
	fake_end(lab.transport.last);
	app_run(&app);
	assert_false(app.d.ready & MF_STREAM_FAILED);
	assert_int_equal(say(&a, "three"), MF_DROP_NONE);
	answers(greet(), "\x05\x01\x00\x01\0\0\0\0\0\0", 10);
	app.n_errors = 0;
	assert_true(app.d.ready & MF_STREAM_FAILED);
	assert_int_equal(app.d.error, MF_STREAM_E_NO_DEVICE);
	app.d.ready = 0;
	app_close(&app);
}

/* What a server says beyond the handshake is read in turns, and does not pile up before it. */
static void test_chatter(void **state)
{
	static const uint8_t chatter[200 * 1000];
	struct mf_pkt *out[32];
	struct fake_stream *st;

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	st = associate();
	fake_give(st, chatter, sizeof(chatter));
	app.d.ready = 0;
	assert_int_equal(mf_dgrams_recv(&app.d, lab.pool, out, 32), 0);
	assert_true(st->given < sizeof(chatter) / 2);
	assert_true(app.d.ready & MF_STREAM_READABLE);
	app_run(&app);
	assert_int_equal(st->given, st->n_give);
	app_close(&app);

	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	st = lab.transport.last;
	st->may_write = 0; /* our greeting stays with us */
	fake_open(st);
	fake_give(st, chatter, sizeof(chatter));
	app_run(&app);
	assert_int_equal(count()->fault[MF_PROXY_PROTOCOL], 1);
	assert_int_equal(mf_layers_held(&lab.layers), 0);
	app_close(&app);
}

static void test_refusals(void **state)
{
	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	answers(greet(), "\x05\x07\x00\x01\0\0\0\0\0\0", 10);
	assert_int_equal(count()->fault[MF_PROXY_COMMAND], 1);
	assert_int_equal(lab.transport.n_open, 0);
	assert_int_equal(count()->datagrams_dropped, 1);
	forbidden(&a);

	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	answers(greet(), "\x05\x00\x00\x01\xcb\x00\x71\x09\x00\x00", 10); /* port 0 */
	assert_int_equal(count()->fault[MF_PROXY_PROTOCOL], 1);
	assert_int_equal(say(&a, "two"), MF_DROP_OUTBOUND_DOWN); /* two in a row: not at once */
	lab_wait(MF_SEC);
	assert_int_equal(say(&a, "three"), MF_DROP_NONE);
	fake_end(greet());
	app_run(&app);
	assert_int_equal(count()->fault[MF_PROXY_CLOSED], 1);
	assert_int_equal(count()->datagrams_dropped, 4);
	app_close(&app);
}

static void test_silence(void **state)
{
	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	greet();
	lab_wait((5 + LAB_FIRST_BYTE) * MF_SEC - 1);
	assert_int_equal(lab.transport.n_open, 1);
	lab_wait(MF_SEC);
	assert_int_equal(lab.transport.n_open, 0);
	assert_int_equal(count()->fault[MF_PROXY_SILENT], 1);
	assert_int_equal(count()->datagrams_dropped, 1);
	app_close(&app);
}

static void test_ends_with_its_connection(void **state)
{
	struct fake_stream *st;

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	st = associate();
	fake_give(st, "chatter", 7);
	app_run(&app);
	assert_int_equal(lab.transport.n_open, 1);
	fake_end(st);
	app_run(&app);
	assert_int_equal(lab.transport.n_open + lab.via.n_open, 0);
	assert_int_equal(count()->fault[MF_PROXY_CLOSED], 0);

	assert_int_equal(say(&a, "two"), MF_DROP_NONE);
	assert_int_equal(lab.transport.n_opened, 2);
	associate();
	relayed(0, &relay, &a, "two");
	assert_int_equal(count()->datagrams_dropped, 0);
	app_close(&app);
}

/* With associations that end at once, before anything has come, the next ones wait longer and longer. */
static void test_ends_again_and_again(void **state)
{
	(void)state;
	app_open(&app);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(say(&a, "x"), MF_DROP_NONE);
		fake_end(associate());
		app_run(&app);
	}
	assert_int_equal(say(&a, "x"), MF_DROP_OUTBOUND_DOWN);
	assert_int_equal(lab.transport.n_opened, 2);
	assert_int_equal(count()->fault[MF_PROXY_CLOSED], 0);
	lab_wait(MF_SEC);
	assert_int_equal(say(&a, "x"), MF_DROP_NONE);
	fake_end(associate());
	app_run(&app);
	lab_wait(MF_SEC);
	assert_int_equal(say(&a, "x"), MF_DROP_OUTBOUND_DOWN);
	lab_wait(MF_SEC);
	assert_int_equal(say(&a, "x"), MF_DROP_NONE);

	/* An answer makes up for it. */
	associate();
	relay_says(&relay, "at last");
	fake_end(lab.transport.last);
	app_run(&app);
	assert_int_equal(say(&a, "x"), MF_DROP_NONE);
	app_close(&app);
}

static void test_connection_fails(void **state)
{
	(void)state;
	app_open(&app);
	for (int i = 0; i < MF_WAITING_MAX; i++)
		assert_int_equal(say(&a, "x"), MF_DROP_NONE);
	assert_int_equal(say(&a, "x"), MF_DROP_PROXY_QUEUE_FULL);
	fake_fail(lab.transport.last, MF_STREAM_E_PROXY);
	app_run(&app);
	assert_int_equal(count()->datagrams_dropped, MF_WAITING_MAX + 1);
	assert_int_equal(lab.transport.n_open, 0);
	lab.transport.refuse = MF_STREAM_E_NO_RESOURCES;
	assert_int_equal(say(&a, "x"), MF_DROP_OUTBOUND_DOWN);
	app_close(&app);
}

static void test_relay_is_gone(void **state)
{
	struct mf_dgram_error e = { .remote = relay, .type = MF_ICMP4_UNREACHABLE, .code = 3 };

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	associate();
	fakedgram_error(lab.via.last, &e);
	app_run(&app);
	assert_int_equal(count()->fault[MF_PROXY_REFUSED], 1);
	assert_int_equal(lab.transport.n_open + lab.via.n_open, 0);
	assert_int_equal(say(&a, "two"), MF_DROP_NONE);
	associate();
	relayed(0, &relay, &a, "two");
	fakedgram_fail(lab.via.last);
	app_run(&app);
	assert_int_equal(lab.transport.n_open + lab.via.n_open, 0);
	app_close(&app);
}

static void test_cannot_open(void **state)
{
	(void)state;
	lab.carrier = &lab.transport.out; /* has no datagrams */
	assert_int_equal(app_try(&app, MF_AF_IP4), MF_E_UNSUPPORTED);
	assert_int_equal(app.d.error, MF_STREAM_E_UNSUPPORTED);
	assert_int_equal(count()->fault[MF_PROXY_VIA], 1);
	lab.carrier = &lab.via.out;
	lab.via.refuse = MF_STREAM_E_UNSUPPORTED; /* a proxy that cannot */
	assert_int_equal(app_try(&app, MF_AF_IP4), MF_E_UNSUPPORTED);
	assert_int_equal(count()->fault[MF_PROXY_VIA], 2);
}

static void test_close_in_any_state(void **state)
{
	(void)state;
	app_open(&app);
	app_close(&app);
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	app_close(&app);
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	lab.transport.last->may_write = 1;
	fake_open(lab.transport.last);
	app_run(&app);
	app_close(&app);
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	greet();
	fake_give(lab.transport.last, "\x05\x00\x00\x01", 4);
	app_run(&app);
	app_close(&app);
	assert_int_equal(lab.idle, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_association),
		TEST(test_little_by_little),
		TEST(test_which_relay),
		TEST(test_chatter),
		TEST(test_refusals),
		TEST(test_silence),
		TEST(test_ends_with_its_connection),
		TEST(test_ends_again_and_again),
		TEST(test_connection_fails),
		TEST(test_relay_is_gone),
		TEST(test_cannot_open),
		TEST(test_close_in_any_state),
		TEST(test_a_server_without_datagrams),
		TEST(test_retired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
