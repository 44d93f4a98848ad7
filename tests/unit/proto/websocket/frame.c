/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: the examples of RFC 6455 5.7; random traffic both ways with a server made of wslay, in
 * any splitting; and what a server must not send.
 */
#include "proto/websocket/websocket.h"
#include "unit.h"
#include "wsfar.h"

enum { PAYLOAD_MAX = 70000 };

static const struct mf_ws_config config = { .host = "ws.example", .path = "/" };

struct lab {
	struct mf_prng prng, masks;
	struct mf_codec_env env;
	struct mf_ws ws;
	struct wsfar far;
	struct wsfar_bytes in;   /* what has come and is not used */
	struct wsfar_bytes got;  /* payload that came out */
	struct wsfar_bytes up;   /* payload that went in */
	struct wsfar_bytes down; /* payload that the server has sent */
	uint8_t ping[125];
	size_t n_ping;
	bool gone;
};

static void lab_init(struct lab *l, uint64_t seed)
{
	*l = (struct lab){ .prng = { .state = seed }, .masks = { .state = ~seed } };
	l->env.rng = (struct mf_rng){ .fill = mf_prng_fill, .ctx = &l->masks };
	mf_ws_init(&l->ws, &config, &l->env);
	l->ws.upgraded = true;
	wsfar_init(&l->far, &l->prng, true);
}

static void lab_fini(struct lab *l)
{
	wsfar_fini(&l->far);
	free(l->in.p);
	free(l->got.p);
	free(l->up.p);
	free(l->down.p);
}

/* 0..PAYLOAD_MAX, with the sizes at which the length has another form more often. */
static size_t any_size(struct mf_prng *g)
{
	static const size_t known[] = { 0, 1, 125, 126, 127, 65535, 65536, PAYLOAD_MAX };

	switch (mf_prng_below(g, 4)) {
	case 0:
		return known[mf_prng_below(g, MF_ARRAY_LEN(known))];
	case 1:
		return mf_prng_below(g, PAYLOAD_MAX);
	default:
		return mf_prng_below(g, 2000);
	}
}

static uint8_t *any_bytes(struct mf_prng *g, size_t n)
{
	uint8_t *p = malloc(n + 1);

	assert_non_null(p);
	mf_prng_fill(g, p, n);
	return p;
}

/* Payload in up to four spans, sealed into rooms that may be too small for it. */
static void client_sends(struct lab *l)
{
	size_t n = any_size(&l->prng),
	       room = mf_prng_below(&l->prng, 3) ? PAYLOAD_MAX + 20 : any_size(&l->prng);
	uint8_t *p = any_bytes(&l->prng, n), *out = malloc(room + 1);
	size_t cuts[5] = { 0, 0, 0, 0, n }, len, taken;
	struct mf_span v[4];

	assert_non_null(out);
	for (size_t i = 1; i < 4; i++)
		cuts[i] = cuts[i - 1] + mf_prng_below(&l->prng, n - cuts[i - 1] + 1);
	for (size_t i = 0; i < 4; i++)
		v[i] = mf_span(p + cuts[i], cuts[i + 1] - cuts[i]);
	taken = mf_ws_seal(&l->ws, v, 4, out, room, &len);
	assert_true(len <= room && len <= taken + MF_WS_OVERHEAD);
	assert_int_equal(taken, mf_min(n, room > MF_WS_OVERHEAD ? room - MF_WS_OVERHEAD : 0));
	assert_int_equal(len == 0, taken == 0);
	wsfar_append(&l->up, p, taken);
	wsfar_input(&l->far, out, len);
	free(p);
	free(out);
}

static void server_sends(struct lab *l)
{
	size_t n = any_size(&l->prng);
	uint8_t *p = any_bytes(&l->prng, n);

	switch (mf_prng_below(&l->prng, 4)) {
	case 0:
		n = mf_min(n, sizeof(l->ping));
		memcpy(l->ping, p, n);
		l->n_ping = n;
		wsfar_send(&l->far, WSLAY_PING, p, n, false);
		break;
	case 1:
		wsfar_send(&l->far, WSLAY_PONG, p, mf_min(n, 125), false);
		break;
	default:
		wsfar_append(&l->down, p, n);
		wsfar_send(&l->far,
			   mf_prng_below(&l->prng, 2) ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME, p, n,
			   mf_prng_below(&l->prng, 2));
	}
	free(p);
}

static void client_replies(struct lab *l, bool close)
{
	uint8_t out[MF_WS_REPLY_MAX];
	bool must = mf_ws_must_reply(&l->ws);
	size_t n = mf_ws_reply(&l->ws, close, out);

	assert_true(n <= sizeof(out));
	assert_int_equal(n != 0, must || close);
	wsfar_input(&l->far, out, n);
}

/* Some of what the server has sent arrives; up to three rooms. */
static void client_reads(struct lab *l, size_t arrives)
{
	size_t n_rooms = 1 + mf_prng_below(&l->prng, 3), got, used;
	struct mf_codec_in in;
	struct mf_room v[3];
	mf_err err;

	arrives = mf_min(arrives, l->far.out.n);
	wsfar_append(&l->in, l->far.out.p, arrives);
	wsfar_drop(&l->far.out, arrives);
	for (size_t i = 0; i < n_rooms; i++) {
		v[i].n = 1 + any_size(&l->prng);
		v[i].p = malloc(v[i].n);
		assert_non_null(v[i].p);
	}
	in = (struct mf_codec_in){ .p = l->in.p, .n = l->in.n };
	err = mf_ws_open(&l->ws, &in, v, n_rooms, &got);
	assert_true(err == MF_OK || err == MF_E_GONE);
	l->gone = err == MF_E_GONE;
	used = l->in.n - in.n;
	for (size_t i = 0; i < n_rooms; i++) {
		size_t part = mf_min(got, v[i].n);

		wsfar_append(&l->got, v[i].p, part);
		got -= part;
		free(v[i].p);
	}
	assert_int_equal(got, 0);
	wsfar_drop(&l->in, used);
}

static void run(struct lab *l)
{
	for (int step = 0; step < 60; step++) {
		size_t k = mf_prng_below(&l->prng, 10);

		if (k < 3)
			client_sends(l);
		else if (k < 5)
			server_sends(l);
		else
			client_reads(l, mf_prng_below(&l->prng, 2) ? any_size(&l->prng) : 3);
		if (mf_ws_must_reply(&l->ws))
			client_replies(l, false);
	}
	while (l->got.n < l->down.n || l->far.out.n)
		client_reads(l, PAYLOAD_MAX);
	if (mf_ws_must_reply(&l->ws))
		client_replies(l, false);
}

static void expect_same(const struct wsfar_bytes *a, const struct wsfar_bytes *b)
{
	assert_int_equal(a->n, b->n);
	if (a->n)
		assert_memory_equal(a->p, b->p, a->n);
}

/* 200 connections, half of them closed by us, half by the server. */
static void both_ways(void **state)
{
	struct mf_prng g = unit_prng("frames");

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct lab l;

		lab_init(&l, mf_prng_u64(&g));
		run(&l);
		expect_same(&l.far.got, &l.up);
		expect_same(&l.got, &l.down);
		assert_int_equal(l.far.pings != 0, l.far.pongs != 0);
		if (l.far.pings) {
			assert_int_equal(l.far.n_pong, l.n_ping);
			assert_memory_equal(l.far.pong, l.ping, l.n_ping);
		}
		if (i % 2)
			client_replies(&l, true);
		else
			wsfar_close(&l.far, 1001);
		while (l.far.out.n)
			client_reads(&l, 1);
		assert_true(l.gone && l.ws.closed);
		assert_int_equal(l.ws.code, i % 2 ? 1000 : 1001);
		if (mf_ws_must_reply(&l.ws))
			client_replies(&l, false);
		assert_true(l.far.closed && l.far.code == 1000);
		assert_false(mf_ws_must_reply(&l.ws));
		lab_fini(&l);
	}
}

/* Reads `in` in one piece or byte by byte; returns the first result that is not MF_OK. */
static mf_err feed(const void *in, size_t n, bool bytewise, struct mf_ws *w, char *payload)
{
	static struct mf_prng g;
	static const struct mf_codec_env env = { .rng = { .fill = mf_prng_fill, .ctx = &g } };
	uint8_t bytes[512];
	size_t at = 0, have = 0;
	mf_err err = MF_OK;

	assert_true(n <= sizeof(bytes));
	g.state = 1;
	mf_ws_init(w, &config, &env);
	w->upgraded = true;
	payload[0] = 0;
	while (at < n && !err) {
		struct mf_codec_in left;
		struct mf_room room = { (uint8_t *)payload + strlen(payload), 64 - strlen(payload) };
		size_t got, k = bytewise ? 1 : n;

		memcpy(bytes + have, (const uint8_t *)in + at, k);
		at += k;
		left = (struct mf_codec_in){ .p = bytes, .n = have + k };
		err = mf_ws_open(w, &left, &room, 1, &got);
		room.p[got] = 0;
		memmove(bytes, left.p, left.n);
		have = left.n;
	}
	return err;
}

/* RFC 6455 5.7, those that a server sends; and more that must pass. */
static void taken(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *payload;
	} known[] = {
		{ "\x81\x05Hello", 7, "Hello" },
		{ "\x01\x03Hel\x80\x02lo", 9, "Hello" },
		{ "\x82\x05Hello\x82\x00\x82\x01!", 12, "Hello!" },
		{ "\x01\x03Hel\x89\x05"
		  "aside\x8a\x00\x00\x00\x80\x02lo",
		  20, "Hello" },
	};
	char payload[65];
	struct mf_ws w;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(known); i++)
		for (int bytewise = 0; bytewise < 2; bytewise++) {
			assert_int_equal(feed(known[i].bytes, known[i].n, bytewise, &w, payload),
					 MF_OK);
			assert_string_equal(payload, known[i].payload);
		}
	assert_true(w.pong && w.n_ping == 5);
	assert_memory_equal(w.ping, "aside", 5);
}

static void refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {
		{ "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11 }, /* masked */
		{ "\xc2\x01x", 3 },                                     /* reserved bits */
		{ "\xa2\x01x", 3 },
		{ "\x92\x01x", 3 },
		{ "\x83\x01x", 3 }, /* reserved opcodes */
		{ "\x87\x00", 2 },
		{ "\x8b\x00", 2 },
		{ "\x8f\x00", 2 },
		{ "\x80\x01x", 3 },          /* continues nothing */
		{ "\x02\x01x\x82\x01x", 6 }, /* begins while another goes on */
		{ "\x09\x01x", 3 },          /* a ping in pieces */
		{ "\x89\x7e\x00\x7e", 4 },   /* a ping of 126 bytes */
		{ "\x88\x01x", 3 },          /* half a status */
		{ "\x82\x7e\x00\x7d", 4 },   /* lengths longer than need be */
		{ "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 10 },          /* ... */
		{ "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", 10 },          /* the highest bit */
		{ "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10 },          /* all of them */
		{ "\x82\x01x\x8a\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 13 }, /* a pong of 64 KiB */
	};
	char payload[65];
	struct mf_ws w;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		for (int bytewise = 0; bytewise < 2; bytewise++) {
			assert_int_equal(feed(bad[i].bytes, bad[i].n, bytewise, &w, payload),
					 MF_E_MALFORMED);
			assert_int_equal(w.fault, MF_PROXY_TRANSPORT);
			assert_non_null(w.detail);
		}
}

/* A frame of 2^63 - 1 bytes is read as it comes. */
static void endless(void **state)
{
	static const char head[] = "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"
				   "abc";
	char payload[65];
	struct mf_ws w;

	(void)state;
	assert_int_equal(feed(head, sizeof(head) - 1, false, &w, payload), MF_OK);
	assert_string_equal(payload, "abc");
	assert_true(w.left == INT64_MAX - 3);
}

static void closes(void **state)
{
	uint8_t out[MF_WS_REPLY_MAX];
	char payload[65];
	struct mf_ws w;

	(void)state;
	assert_int_equal(feed("\x82\x01x\x88\x00junk", 9, false, &w, payload), MF_E_GONE);
	assert_string_equal(payload, "x");
	assert_int_equal(w.code, 0);
	assert_int_equal(feed("\x88\x05\x03\xf3why", 7, true, &w, payload), MF_E_GONE);
	assert_int_equal(w.code, 1011);
	assert_true(mf_ws_must_reply(&w));
	assert_int_equal(mf_ws_reply(&w, true, out), 8);
	assert_int_equal(mf_ws_reply(&w, true, out), 0);
	assert_true(out[0] == 0x88 && out[1] == 0x82);
	assert_int_equal((out[2] ^ out[6]) << 8 | (out[3] ^ out[7]), 1000);
}

/* Each frame has a mask of its own, from env.rng. */
static void masks(void **state)
{
	struct mf_span v = mf_span("same", 4);
	uint8_t a[32], b[32];
	size_t n;
	struct lab l;

	(void)state;
	lab_init(&l, 7);
	assert_int_equal(mf_ws_seal(&l.ws, &v, 1, a, sizeof(a), &n), 4);
	assert_int_equal(mf_ws_seal(&l.ws, &v, 1, b, sizeof(b), &n), 4);
	assert_int_equal(n, 10);
	assert_memory_not_equal(a + 2, b + 2, 4);
	assert_memory_not_equal(a + 6, b + 6, 4);
	lab_fini(&l);
}

static void seal_after_close(void *arg)
{
	struct mf_span v = mf_span("x", 1);
	uint8_t out[MF_WS_REPLY_MAX];
	size_t n;

	(void)mf_ws_reply(arg, true, out);
	(void)mf_ws_seal(arg, &v, 1, out, sizeof(out), &n);
}

static void nothing_after_close(void **state)
{
	struct lab l;

	(void)state;
	lab_init(&l, 8);
	assert_true(unit_aborts(seal_after_close, &l.ws));
	lab_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(taken),
		cmocka_unit_test(refused),
		cmocka_unit_test(endless),
		cmocka_unit_test(closes),
		cmocka_unit_test(masks),
		cmocka_unit_test(nothing_after_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
