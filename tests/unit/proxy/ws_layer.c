/* SPDX-License-Identifier: Apache-2.0
 *
 * The WebSocket layer, against a server made of wslay: handshake, early data, random traffic both
 * ways over a layer that takes and gives any part, the end in its forms, and every fault with its
 * name.
 */
#include "proxy/ws_layer.h"
#include "support/layerlab.h"
#include "unit.h"
#include "wsfar.h"

enum { PATIENCE = 10 }; /* seconds */

static const struct mf_ws_config plain = { .host = "ws.example", .path = "/x" };
static const struct mf_ws_config early = {
	.host = "ws.example",
	.path = "/x",
	.early_data = 5,
	.early_header = "Sec-WebSocket-Protocol",
};

struct wslab {
	struct layerlab lab;
	struct mf_layer_outbound out;
	struct lab_user u;
	struct fake_stream *below;
	struct wsfar far;
	size_t carried; /* of what the layer has written */
};

/* Opens a stream, and the layer below. */
static void init(struct wslab *l, const struct mf_ws_config *cfg, uint64_t seed)
{
	layerlab_open(&l->lab, seed, false);
	mf_ws_layer_init(&l->out, cfg, &l->lab.layers, &l->lab.far.out, &l->lab.health, "test",
			 PATIENCE * MF_SEC);
	wsfar_init(&l->far, &l->lab.prng, false);
	l->carried = 0;
	assert_int_equal(lab_user_open(&l->u, &l->lab, &l->out.out, "192.0.2.1:443"), MF_OK);
	layerlab_run(&l->lab);
	assert_int_equal(l->u.s.ready, 0);
	l->below = l->lab.far.last;
	fake_open(l->below);
	layerlab_run(&l->lab);
	lab_user_turn(&l->u);
}

/* Nothing of it is left. */
static void fini(struct wslab *l)
{
	lab_user_fini(&l->u);
	layerlab_run(&l->lab);
	assert_int_equal(l->out.n_streams, 0);
	assert_int_equal(mf_layers_held(&l->lab.layers), 0);
	layerlab_close(&l->lab);
	wsfar_fini(&l->far);
}

/* The layers work, and then the user. */
static void turn(struct wslab *l)
{
	layerlab_run(&l->lab);
	lab_user_turn(&l->u);
	layerlab_run(&l->lab);
}

/* What the layer has written goes to the server. */
static void carry_up(struct wslab *l)
{
	size_t n = l->below->n_got - l->carried;

	if (n)
		wsfar_input(&l->far, l->below->got + l->carried, n);
	l->carried += n;
}

/* What both sides have sent goes over. */
static void carry(struct wslab *l)
{
	carry_up(l);
	fake_give(l->below, l->far.out.p, l->far.out.n);
	wsfar_drop(&l->far.out, l->far.out.n);
	turn(l);
}

/* Opens, and the server says yes. */
static void connect(struct wslab *l, uint64_t seed)
{
	init(l, &plain, seed);
	carry(l);
	assert_true(l->far.upgraded && l->u.opened);
}

/* The server sends bytes of the test's own. */
static void give(struct wslab *l, const char *p, size_t n)
{
	fake_give(l->below, p, n);
	turn(l);
}

static void give_text(struct wslab *l, const char *text)
{
	give(l, text, strlen(text));
}

/* This has been read since the last time. */
static void expect(struct wslab *l, const char *text)
{
	assert_int_equal(l->u.n_got, strlen(text));
	if (*text)
		assert_memory_equal(l->u.got, text, l->u.n_got);
	l->u.n_got = 0;
}

/* The stream has failed by this fault; `detail` NULL: any. */
static void expect_fault(struct wslab *l, enum mf_proxy_fault fault, const char *detail)
{
	lab_user_turn(&l->u);
	assert_true(l->u.failed);
	assert_int_equal(l->u.s.error, MF_STREAM_E_PROXY);
	assert_int_equal(l->lab.health.facts.fault, fault);
	assert_int_equal(l->lab.health.count.fault[fault], 1);
	assert_int_equal(l->lab.health.count.failed, 1);
	if (detail)
		assert_string_equal(l->lab.health.facts.detail, detail);
}

/* ... by no fault of the proxy. */
static void expect_reset(struct wslab *l)
{
	lab_user_turn(&l->u);
	assert_true(l->u.failed);
	assert_int_equal(l->u.s.error, MF_STREAM_E_RESET);
	assert_int_equal(l->lab.health.count.failed, 0);
}

static void open_write_read_close(void **state)
{
	struct wslab l;

	(void)state;
	init(&l, &plain, 1);
	assert_false(l.u.opened);
	assert_memory_equal(l.below->got, "GET /x HTTP/1.1\r\nHost: ws.example\r\n", 35);
	layerlab_pass(&l.lab, 30 * MF_MSEC);
	carry(&l);
	assert_true(l.u.opened);
	assert_int_equal(l.lab.health.facts.took[MF_PROXY_SPAN_TRANSPORT], 30 * MF_MSEC);
	lab_user_write(&l.u, "hello", 5);
	carry(&l);
	assert_int_equal(l.far.frames, 1);
	assert_int_equal(l.far.got.n, 5);
	assert_memory_equal(l.far.got.p, "hello", 5);
	wsfar_send(&l.far, WSLAY_BINARY_FRAME, "answer", 6, false);
	carry(&l);
	expect(&l, "answer");
	lab_user_close(&l.u, false);
	assert_false(l.below->reset);
	carry_up(&l);
	assert_true(l.far.closed && l.far.code == 1000);
	fini(&l);
}

/* The end of what we send is the close frame; what the server has sent before it has seen that
 * still comes. */
static void end(void **state)
{
	struct wslab l;

	(void)state;
	connect(&l, 21);
	lab_user_shutdown(&l.u);
	turn(&l);
	wsfar_send(&l.far, WSLAY_TEXT_FRAME, "late", 4, true);
	carry(&l);
	assert_true(l.far.closed && l.far.code == 1000);
	assert_false(l.below->shut);
	turn(&l);
	expect(&l, "late");
	assert_true(l.u.eof);
	lab_user_close(&l.u, false);
	carry_up(&l); /* no second one */
	fini(&l);
}

static void end_before_the_answer(void **state)
{
	struct wslab l;

	(void)state;
	init(&l, &early, 22);
	strcpy(l.far.extra, "Sec-WebSocket-Protocol: Zmlyc3Q\r\n");
	lab_user_write(&l.u, "first", 5);
	lab_user_shutdown(&l.u);
	turn(&l);
	assert_false(l.far.upgraded);
	carry(&l);
	assert_true(l.far.upgraded && !l.far.closed);
	carry(&l);
	assert_true(l.far.closed);
	fini(&l);
}

/* What comes behind the answer in the same bytes is there when the stream opens, however it is
 * read. */
static void frames_behind_the_answer(void **state)
{
	struct wslab l;
	char byte;

	(void)state;
	init(&l, &plain, 2);
	carry_up(&l);
	wsfar_send(&l.far, WSLAY_BINARY_FRAME, "ab", 2, false);
	wsfar_send(&l.far, WSLAY_BINARY_FRAME, "cd", 2, false);
	fake_give(l.below, l.far.out.p, l.far.out.n);
	layerlab_run(&l.lab);
	assert_int_equal(l.u.s.ready, MF_STREAM_OPENED | MF_STREAM_READABLE | MF_STREAM_WRITABLE);
	for (const char *want = "abcd"; *want; want++) {
		struct mf_room v = { (uint8_t *)&byte, 1 };

		assert_int_equal(l.out.out.ops->stream_read(&l.u.s, &v, 1), 1);
		assert_int_equal(byte, *want);
	}
	turn(&l);
	expect(&l, "");
	fini(&l);
}

/* ---- Early data ------------------------------------------------------------------------------ */

static void early_data(void **state)
{
	struct wslab l;

	(void)state;
	init(&l, &early, 3);
	strcpy(l.far.extra, "Sec-WebSocket-Protocol: Zmlyc3Q\r\n");
	assert_true(l.u.opened);
	assert_int_equal(l.below->n_got, 0);
	layerlab_pass(&l.lab, 10 * MF_MSEC);
	lab_user_write(&l.u, "first and more", 14);
	assert_int_equal(l.u.given, 5);
	layerlab_pass(&l.lab, 200 * MF_MSEC); /* it does not ask again */
	lab_user_turn(&l.u);
	assert_int_equal(l.u.given, 5);
	carry(&l);
	assert_non_null(strstr((char *)l.far.request.p, "\r\nSec-WebSocket-Protocol: Zmlyc3Q\r\n"));
	assert_int_equal(l.lab.health.facts.took[MF_PROXY_SPAN_TRANSPORT], 200 * MF_MSEC);
	assert_int_equal(l.u.given, 14);
	wsfar_send(&l.far, WSLAY_BINARY_FRAME, "yes", 3, false);
	carry(&l);
	assert_int_equal(l.far.got.n, 9);
	assert_memory_equal(l.far.got.p, " and more", 9);
	expect(&l, "yes");
	layerlab_pass(&l.lab, 2 * PATIENCE * MF_SEC); /* the answer has come */
	assert_int_equal(l.lab.health.count.failed, 0);
	fini(&l);
}

/* As long as a part of the request is held back the layer does not work: then who reads finds the
 * answer. */
static void answer_before_all_is_sent(void **state)
{
	struct wslab l;

	(void)state;
	init(&l, &early, 4);
	l.below->may_write = 170;
	lab_user_write(&l.u, "first", 5);
	assert_int_equal(l.below->n_got, 170);
	give_text(&l, "HTTP/1.1 503 Busy\r\n\r\n");
	expect_fault(&l, MF_PROXY_HTTP_STATUS, "status 503");
	fini(&l);
}

static void server_speaks_first(void **state)
{
	struct wslab l;

	(void)state;
	init(&l, &early, 5);
	layerlab_pass(&l.lab, 99 * MF_MSEC);
	assert_int_equal(l.below->n_got, 0);
	layerlab_pass(&l.lab, 2 * MF_MSEC);
	carry(&l);
	assert_null(strstr((char *)l.far.request.p, "Protocol"));
	wsfar_send(&l.far, WSLAY_BINARY_FRAME, "banner", 6, false);
	carry(&l);
	expect(&l, "banner");
	fini(&l);
}

static void early_without_answer(void **state)
{
	struct wslab l;

	(void)state;
	init(&l, &early, 6);
	lab_user_write(&l.u, "first", 5);
	layerlab_pass(&l.lab, (PATIENCE - 1) * MF_SEC);
	lab_user_turn(&l.u);
	assert_false(l.u.failed);
	layerlab_pass(&l.lab, 2 * MF_SEC);
	expect_fault(&l, MF_PROXY_TRANSPORT, NULL);
	fini(&l);
}

/* ---- Random traffic -------------------------------------------------------------------------- */

static size_t any_size(struct mf_prng *g)
{
	return 1 + mf_prng_below(g, mf_prng_below(g, 3) ? 3000 : 150000);
}

static uint8_t *any_bytes(struct mf_prng *g, size_t n)
{
	uint8_t *p = malloc(n);

	assert_non_null(p);
	mf_prng_fill(g, p, n);
	return p;
}

/* One of the two sends something; a ping now and then; or the layer below takes less, or more
 * again. */
static void move(struct wslab *l, struct wsfar_bytes *down)
{
	struct mf_prng *g = &l->lab.prng;
	size_t n = any_size(g);
	uint8_t *p = any_bytes(g, n);

	switch (mf_prng_below(g, 5)) {
	case 0:
		l->below->may_write = mf_prng_below(g, 5000);
		break;
	case 1:
		fake_take(l->below, n);
		break;
	case 2:
		wsfar_append(down, p, n);
		wsfar_send(&l->far, WSLAY_BINARY_FRAME, p, n, mf_prng_below(g, 2));
		break;
	case 3:
		wsfar_send(&l->far, WSLAY_PING, p, mf_min(n, 125), false);
		break;
	default:
		lab_user_write(&l->u, p, n);
	}
	free(p);
}

static void settle(struct wslab *l)
{
	size_t before;

	do {
		before = l->below->n_got + l->below->given + l->u.n_got;
		fake_take(l->below, SIZE_MAX);
		carry(l);
	} while (before != l->below->n_got + l->below->given + l->u.n_got);
}

static void both_ways(void **state)
{
	struct mf_prng g = unit_prng("ws_layer");

	(void)state;
	for (int i = 0; i < 60; i++) {
		struct wsfar_bytes down = { 0 };
		size_t skip = i % 2 ? 5 : 0; /* they are in the request */
		struct wslab l;

		init(&l, i % 2 ? &early : &plain, mf_prng_u64(&g));
		l.u.prng = l.lab.far.prng = &l.lab.prng;
		if (skip)
			lab_user_write(&l.u, "0123456789", 10);
		skip = l.u.given;
		settle(&l);
		for (int step = 0; step < 60; step++) {
			move(&l, &down);
			if (mf_prng_below(&l.lab.prng, 2))
				carry(&l);
		}
		settle(&l);
		assert_int_equal(l.u.n_got, down.n);
		assert_memory_equal(l.u.got, down.p, down.n);
		assert_int_equal(l.u.given, l.u.n_give);
		assert_int_equal(l.far.got.n, l.u.n_give - skip);
		assert_memory_equal(l.far.got.p, l.u.give + skip, l.far.got.n);
		assert_int_equal(l.far.pings > 0, l.far.pongs > 0);
		lab_user_close(&l.u, false);
		fini(&l);
		free(down.p);
	}
}

/* A server that pings and does not read gets a pong in the end, and nothing piles up. */
static void pings_without_end(void **state)
{
	struct wslab l;

	(void)state;
	connect(&l, 7);
	l.below->may_write = 0;
	for (int i = 0; i < 1000; i++) {
		wsfar_send(&l.far, WSLAY_PING, "are you there?", 14, false);
		carry(&l);
		assert_true(mf_layers_held(&l.lab.layers) <= 1024);
	}
	fake_take(l.below, SIZE_MAX);
	turn(&l);
	carry(&l);
	assert_true(l.far.pongs >= 1 && l.far.pongs <= 2);
	assert_int_equal(l.far.n_pong, 14);
	fini(&l);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void server_closes(void **state)
{
	static const uint16_t codes[] = { 1000, 1001 };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(codes); i++) {
		struct wslab l;

		connect(&l, 8);
		wsfar_send(&l.far, WSLAY_BINARY_FRAME, "bye", 3, false);
		wsfar_close(&l.far, codes[i]);
		carry(&l);
		lab_user_turn(&l.u); /* the end is told after the payload */
		expect(&l, "bye");
		assert_true(l.u.eof);
		turn(&l);
		carry_up(&l);
		assert_true(l.far.closed && l.far.code == 1000);
		lab_user_write(&l.u, "anybody?", 8);
		expect_reset(&l);
		fini(&l);
	}
}

static void server_closes_with_an_error(void **state)
{
	struct wslab l;

	(void)state;
	connect(&l, 9);
	wsfar_send(&l.far, WSLAY_BINARY_FRAME, "half", 4, false);
	wsfar_close(&l.far, 1011);
	carry(&l);
	lab_user_turn(&l.u);
	expect(&l, "half");
	expect_fault(&l, MF_PROXY_TRANSPORT, "it closes the WebSocket with status 1011");
	fini(&l);
}

/* The connection ends without a close frame: behind a frame, and within one. */
static void connection_ends(void **state)
{
	static const char frames[] = "\x82\x00\x82\x05"
				     "abcd";
	struct wslab l;

	(void)state;
	connect(&l, 10);
	give(&l, frames, 2);
	fake_end(l.below);
	turn(&l);
	assert_true(l.u.eof);
	fini(&l);
	for (size_t n = 3; n < sizeof(frames) - 1; n++) {
		connect(&l, 11);
		fake_give(l.below, frames, n);
		fake_end(l.below);
		turn(&l);
		lab_user_turn(&l.u);
		assert_int_equal(l.u.n_got, n > 4 ? n - 4 : 0);
		expect_reset(&l);
		fini(&l);
	}
}

/* A reset is no farewell. */
static void reset(void **state)
{
	struct wslab l;
	size_t before;

	(void)state;
	connect(&l, 12);
	before = l.below->n_got;
	lab_user_close(&l.u, true);
	assert_true(l.below->reset && l.below->n_got == before);
	fini(&l);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static void other_answers(void **state)
{
	static const struct {
		const char *text;
		enum mf_proxy_fault fault;
		const char *detail;
	} cases[] = {
		{ "HTTP/1.1 404 Not Found\r\n\r\n", MF_PROXY_HTTP_STATUS, "status 404" },
		{ "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		  MF_PROXY_TRANSPORT, "Sec-WebSocket-Accept is not for our key" },
		{ "SSH-2.0-OpenSSH\r\n", MF_PROXY_TRANSPORT, "the answer is no HTTP" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * MF_ARRAY_LEN(cases); i++) {
		struct wslab l;

		init(&l, i % 2 ? &plain : &early, 13);
		give_text(&l, cases[i / 2].text);
		expect_fault(&l, cases[i / 2].fault, cases[i / 2].detail);
		fini(&l);
	}
}

static void no_answer(void **state)
{
	struct wslab l;

	(void)state;
	init(&l, &plain, 14);
	layerlab_pass(&l.lab, (PATIENCE + 1) * MF_SEC);
	expect_fault(&l, MF_PROXY_TRANSPORT, NULL);
	fini(&l);
	init(&l, &plain, 15);
	fake_give(l.below, "HTTP/1.1 101", 12);
	fake_end(l.below);
	turn(&l);
	expect_fault(&l, MF_PROXY_CLOSED, NULL);
	fini(&l);
	init(&l, &plain, 16);
	fake_fail(l.below, MF_STREAM_E_RESET);
	turn(&l);
	expect_reset(&l);
	fini(&l);
}

static void answer_without_end(void **state)
{
	static char line[4096];
	struct wslab l;

	(void)state;
	memset(line, 'x', sizeof(line));
	init(&l, &plain, 17);
	fake_give(l.below, "HTTP/1.1 101 ", 13);
	for (int i = 0; i < 5; i++)
		fake_give(l.below, line, sizeof(line));
	turn(&l);
	expect_fault(&l, MF_PROXY_TRANSPORT, "the answer is too long");
	fini(&l);
}

static void request_too_long(void **state)
{
	static char value[MF_WS_REQUEST_MAX];
	struct mf_ws_header header = { "X-Long", value };
	struct mf_ws_config cfg = { .host = "h", .path = "/", .headers = &header, .n_headers = 1 };
	struct wslab l;

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	init(&l, &cfg, 18);
	expect_fault(&l, MF_PROXY_TRANSPORT, "the request is too long");
	fini(&l);
}

static void broken_frame(void **state)
{
	struct wslab l;

	(void)state;
	connect(&l, 19);
	give(&l, "\xff\xff", 2);
	expect_fault(&l, MF_PROXY_TRANSPORT, "a frame has reserved bits");
	fini(&l);
}

static void clock_skew(void **state)
{
	struct wslab l;

	(void)state;
	init(&l, &plain, 20);
	l.lab.wall = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
	give_text(&l, "HTTP/1.1 400 Bad\r\nDate: Sun, 06 Nov 1994 08:52:00 GMT\r\n\r\n");
	expect_fault(&l, MF_PROXY_HTTP_STATUS, "status 400");
	assert_true(l.lab.health.facts.skew_known);
	assert_int_equal(l.lab.health.facts.skew, 143);
	fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_write_read_close),
		cmocka_unit_test(end),
		cmocka_unit_test(end_before_the_answer),
		cmocka_unit_test(frames_behind_the_answer),
		cmocka_unit_test(early_data),
		cmocka_unit_test(answer_before_all_is_sent),
		cmocka_unit_test(server_speaks_first),
		cmocka_unit_test(early_without_answer),
		cmocka_unit_test(both_ways),
		cmocka_unit_test(pings_without_end),
		cmocka_unit_test(server_closes),
		cmocka_unit_test(server_closes_with_an_error),
		cmocka_unit_test(connection_ends),
		cmocka_unit_test(reset),
		cmocka_unit_test(other_answers),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(answer_without_end),
		cmocka_unit_test(request_too_long),
		cmocka_unit_test(broken_frame),
		cmocka_unit_test(clock_skew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
