/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams in streams to a proxy: Trojan, where one stream carries them to and from anybody, and
 * VLESS, where each has a target. Both are in clear, so this file is their server.
 */
#include "dgramlab.h"

#include "base/endian.h"

static struct app app;

static int up_trojan(void **state)
{
	(void)state;
	lab_up(mf_dgram_proto(MF_PROXY_TROJAN), 4000, 1000);
	memset(lab.config.trojan.hash, 'h', sizeof(lab.config.trojan.hash));
	return 0;
}

static int up_vless(void **state)
{
	(void)state;
	lab_up(mf_dgram_proto(MF_PROXY_VLESS), 4000, 1000);
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

static bool is_trojan(void)
{
	return lab.x.proto == mf_dgram_proto(MF_PROXY_TROJAN);
}

/* ---- The server ------------------------------------------------------------------------------ */

/* Bytes of the request for this target, 58 + 1 + 2 + 2 + .. and 1 + 16 + 1 + 1 + 2 + ... */
static size_t request_len(const struct mf_endpoint *to)
{
	size_t addr = mf_addr_len(&to->addr);

	return is_trojan() ? 58 + 1 + 1 + addr + 2 + 2 : 19 + 2 + 1 + addr;
}

/* The frame at `at`; false: it is not whole. */
static bool server_get(const struct fake_stream *st, size_t *at, struct mf_endpoint *to,
		       struct mf_span *payload)
{
	struct mf_proxy_target t = { .addr = st->dst };
	size_t i = *at, used = 0, head = is_trojan() ? 4 : 2; /* length, CRLF */

	if (is_trojan() && mf_target_get_socks(mf_span(st->got + i, st->n_got - i), &t, &used))
		return false;
	i += used;
	if (st->n_got - i < head)
		return false;
	payload->n = mf_load_be16(st->got + i);
	i += head;
	if (st->n_got - i < payload->n)
		return false;
	payload->p = st->got + i;
	*at = i + payload->n;
	*to = t.addr;
	return true;
}

static size_t server_put(const struct mf_endpoint *from, const void *bytes, size_t n, uint8_t *out)
{
	struct mf_proxy_target t = { .addr = *from };
	size_t at = 0;

	if (is_trojan())
		at = mf_target_put_socks(&t, out);
	mf_store_be16(out + at, (uint16_t)n);
	at += 2;
	if (is_trojan()) {
		memcpy(out + at, "\r\n", 2);
		at += 2;
	}
	memcpy(out + at, bytes, n);
	return at + n;
}

static void server_say(struct fake_stream *st, const struct mf_endpoint *from, const char *text)
{
	uint8_t out[500];

	fake_give(st, out, server_put(from, text, strlen(text), out));
}

static void server_heard(const struct fake_stream *st, size_t *at, const struct mf_endpoint *to,
			 const char *text)
{
	struct mf_endpoint who;
	struct mf_span payload;

	assert_true(server_get(st, at, &who, &payload));
	assert_true(mf_endpoint_equal(&who, to));
	assert_int_equal(payload.n, strlen(text));
	assert_memory_equal(payload.p, text, payload.n);
}

static enum mf_drop say(const struct mf_endpoint *to, const char *text)
{
	return app_say(&app, to, text, strlen(text), 0);
}

static const struct mf_endpoint a = { .addr = { { 198, 51, 100, 1 }, MF_AF_IP4 }, .port = 53 },
				b = { .addr = { { 198, 51, 100, 2 }, MF_AF_IP4 }, .port = 3478 },
				c = { .addr = { { 192, 0, 2, 9 }, MF_AF_IP4 }, .port = 999 };

/* ---- Whom one speaks with -------------------------------------------------------------------- */

static void test_full_cone(void **state)
{
	struct fake_stream *st;
	size_t at = request_len(&a);

	(void)state;
	app_open(&app);
	assert_int_equal(lab.transport.n_opened, 0);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	assert_int_equal(say(&b, "two"), MF_DROP_NONE);
	st = lab.transport.last;
	fake_open(st);
	assert_int_equal(st->n_got, 0);
	app_run(&app);
	assert_int_equal(say(&a, "three"), MF_DROP_NONE);
	assert_int_equal(lab.transport.n_opened, 1);
	assert_memory_equal(st->got, "hhhh", 4);
	server_heard(st, &at, &a, "one");
	server_heard(st, &at, &b, "two");
	server_heard(st, &at, &a, "three");
	assert_int_equal(at, st->n_got);

	server_say(st, &b, "from b");
	server_say(st, &c, "from a stranger");
	app_run(&app);
	assert_int_equal(app.n, 2);
	app_expect(&app, 0, &b, "from b", 6);
	app_expect(&app, 1, &c, "from a stranger", 15);
	assert_int_equal(count()->datagrams_up, 3);
	assert_int_equal(count()->datagrams_down, 2);
	assert_true(lab.health.facts.last_ok > 0);
	app_close(&app);
	assert_int_equal(lab.idle, 1);
}

static void test_symmetric(void **state)
{
	struct fake_stream *to_a, *to_b;
	size_t at_a = request_len(&a), at_b = request_len(&b);

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	to_a = lab.transport.last;
	assert_int_equal(say(&b, "two"), MF_DROP_NONE);
	to_b = lab.transport.last;
	assert_int_equal(lab.transport.n_opened, 2);
	fake_open(to_b);
	app_run(&app);
	server_heard(to_b, &at_b, &b, "two");
	assert_int_equal(to_a->n_got, 0);
	fake_open(to_a);
	app_run(&app);
	server_heard(to_a, &at_a, &a, "one");

	fake_give(to_a, "\0\0", 2); /* version, no addons */
	server_say(to_a, &a, "from a");
	app_run(&app);
	fake_give(to_b, "\0\0", 2);
	server_say(to_b, &b, "from b");
	app_run(&app);
	assert_int_equal(app.n, 2);
	app_expect(&app, 0, &a, "from a", 6);
	app_expect(&app, 1, &b, "from b", 6);
	app_close(&app);
}

/* A super-packet is as many frames, and all of a call go out in one write. */
static void test_super_packet(void **state)
{
	struct fake_stream *st;
	size_t at = request_len(&a), n;

	(void)state;
	app_open(&app);
	assert_int_equal(app_say(&app, &a, "abcdefgh", 8, 3), MF_DROP_NONE);
	st = lab.transport.last;
	st->may_write = 0;
	fake_open(st);
	app_run(&app);
	assert_int_equal(st->n_got, 0);
	fake_take(st, SIZE_MAX);
	n = lab.layers.pool.held;
	assert_true(n > 0);
	app_run(&app);
	server_heard(st, &at, &a, "abc");
	server_heard(st, &at, &a, "def");
	server_heard(st, &at, &a, "gh");
	assert_int_equal(at, st->n_got);
	app_close(&app);
}

/* What comes in one piece from one sender stays together. */
static void test_runs(void **state)
{
	static const char text[] = "0123456789";
	struct fake_stream *st;

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	st = lab.transport.last;
	fake_open(st);
	for (int i = 0; i < 70; i++)
		server_say(st, &b, i == 9 ? text + 3 : text);
	server_say(st, &c, text);
	app_run(&app);
	assert_int_equal(app.n, 3);
	assert_int_equal(app.got[0]->segments, 10); /* a shorter one is the last */
	assert_int_equal(app.got[0]->len, 97);
	assert_int_equal(app.got[1]->segments, 60);
	assert_int_equal(app.got[1]->gso_size, 10);
	assert_int_equal(app.got[1]->gso_type, MF_GSO_UDP);
	assert_int_equal(app.got[2]->gso_type, MF_GSO_NONE);
	app_expect(&app, 2, &c, text, 10);
	assert_int_equal(count()->datagrams_down, 71);
	app_close(&app);
}

static void test_families(void **state)
{
	struct mf_endpoint v6 = lab_at("[2001:db8::1]:53");

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	fake_open(lab.transport.last);
	server_say(lab.transport.last, &v6, "of the other family");
	fake_give(lab.transport.last, "\x03\x04name\x00\x35\x00\x01\r\nx", 13); /* from a name */
	server_say(lab.transport.last, &c, "of ours");
	app_run(&app);
	assert_int_equal(app.n, 1);
	app_expect(&app, 0, &c, "of ours", 7);
	assert_int_equal(count()->datagrams_bad, 2);
	app_close(&app);
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

static void test_queue(void **state)
{
	struct fake_stream *st;
	size_t at = request_len(&a);

	(void)state;
	app_open(&app);
	for (int i = 0; i < MF_WAITING_MAX; i++)
		assert_int_equal(say(&a, "wait"), MF_DROP_NONE);
	assert_int_equal(say(&a, "more"), MF_DROP_PROXY_QUEUE_FULL);
	st = lab.transport.last;
	fake_open(st);
	app_run(&app);
	for (int i = 0; i < MF_WAITING_MAX; i++)
		server_heard(st, &at, &a, "wait");
	assert_int_equal(at, st->n_got);
	assert_int_equal(count()->datagrams_dropped, 1);
	assert_int_equal(count()->datagrams_up, MF_WAITING_MAX);
	app_close(&app);
}

static void test_congestion(void **state)
{
	struct fake_stream *st;
	size_t at = request_len(&a);

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	st = lab.transport.last;
	st->may_write = request_len(&a) + 5;
	fake_open(st);
	app_run(&app);
	assert_int_equal(st->n_got, request_len(&a) + 5);
	assert_int_equal(say(&a, "two"), MF_DROP_OUTBOUND_BUSY);
	fake_take(st, 3);
	app_run(&app);
	assert_int_equal(say(&a, "three"), MF_DROP_OUTBOUND_BUSY);
	fake_take(st, SIZE_MAX);
	assert_int_equal(say(&a, "four"), MF_DROP_NONE); /* it looks for itself */
	app_run(&app);
	server_heard(st, &at, &a, "one");
	server_heard(st, &at, &a, "four");
	assert_int_equal(at, st->n_got);
	assert_int_equal(count()->datagrams_dropped, 2);
	app_close(&app);
}

static void test_lengths(void **state)
{
	static const uint8_t bytes[65536];

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	fake_open(lab.transport.last);
	app_run(&app);
	assert_int_equal(app_say(&app, &a, bytes, 65500, 0), MF_DROP_PROXY_LENGTH);
	assert_int_equal(app_say(&app, &a, bytes, 64000, 8000), MF_DROP_NONE);
	assert_int_equal(app_say(&app, &a, bytes, 0, 0), MF_DROP_NONE);
	assert_int_equal(count()->datagrams_dropped, 1);
	assert_int_equal(lab.transport.last->n_got, request_len(&a) + 11 + 3 + 8 * 8011 + 11);
	app_close(&app);
}

static void test_least_recently_used(void **state)
{
	struct mf_endpoint to = a;
	struct fake_stream *first = NULL, *second = NULL;

	(void)state;
	app_open(&app);
	for (uint16_t i = 0; i < 64; i++) {
		to.port = (uint16_t)(1000 + i);
		assert_int_equal(say(&to, "x"), MF_DROP_NONE);
		if (i == 0)
			first = lab.transport.last;
		else if (i == 1)
			second = lab.transport.last;
		fake_open(lab.transport.last);
	}
	app_run(&app);
	to.port = 1000;
	assert_int_equal(say(&to, "used again"), MF_DROP_NONE);
	assert_int_equal(lab.transport.n_open, 64);
	to.port = 2000;
	assert_int_equal(say(&to, "one more"), MF_DROP_NONE);
	assert_int_equal(lab.transport.n_open, 64);
	assert_non_null(first->s);
	assert_null(second->s);
	app_close(&app);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void test_idle(void **state)
{
	struct fake_stream *to_a, *to_b;

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	to_a = lab.transport.last;
	assert_int_equal(say(&b, "two"), MF_DROP_NONE);
	to_b = lab.transport.last;
	fake_open(to_a);
	fake_open(to_b);
	app_run(&app);
	lab_wait(100 * MF_SEC);
	assert_int_equal(say(&b, "again"), MF_DROP_NONE);
	lab_wait(30 * MF_SEC);
	assert_null(to_a->s);
	assert_non_null(to_b->s);
	assert_false(to_a->reset);
	lab_wait(100 * MF_SEC);
	assert_null(to_b->s);
	assert_int_equal(say(&a, "three"), MF_DROP_NONE);
	assert_int_equal(lab.transport.n_opened, 3);
	assert_int_equal(count()->datagrams_dropped, 0);
	app_close(&app);
}

static void test_failures(void **state)
{
	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	assert_int_equal(say(&a, "two"), MF_DROP_NONE);
	fake_fail(lab.transport.last, MF_STREAM_E_PROXY);
	app_run(&app);
	assert_int_equal(count()->datagrams_dropped, 2);
	assert_int_equal(lab.transport.n_open, 0);

	/* At once the first time, then not before a second has gone by. */
	assert_int_equal(say(&a, "three"), MF_DROP_NONE);
	assert_int_equal(lab.transport.n_opened, 2);
	fake_fail(lab.transport.last, MF_STREAM_E_PROXY);
	assert_int_equal(say(&a, "four"), MF_DROP_OUTBOUND_DOWN); /* it looks for itself */
	assert_int_equal(say(&a, "five"), MF_DROP_OUTBOUND_DOWN);
	assert_int_equal(lab.transport.n_opened, 2);
	lab_wait(MF_SEC);
	lab.transport.refuse = MF_STREAM_E_NO_RESOURCES;
	assert_int_equal(say(&a, "six"), MF_DROP_OUTBOUND_DOWN);
	lab.transport.refuse = MF_STREAM_E_NONE;
	lab_wait(2 * MF_SEC);
	assert_int_equal(say(&a, "seven"), MF_DROP_NONE);
	fake_open(lab.transport.last);
	server_say(lab.transport.last, &a, "well");
	app_run(&app);
	assert_int_equal(app.n, 1);

	/* All is forgiven. */
	fake_fail(lab.transport.last, MF_STREAM_E_RESET);
	app_run(&app);
	assert_int_equal(say(&a, "eight"), MF_DROP_NONE);
	assert_int_equal(count()->datagrams_dropped, 2 + 1 + 1 + 1 + 1);
	app_close(&app);
}

static void test_end_of_the_stream(void **state)
{
	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	fake_open(lab.transport.last);
	server_say(lab.transport.last, &a, "last words");
	fake_end(lab.transport.last);
	app_run(&app);
	assert_int_equal(app.n, 1);
	assert_int_equal(lab.transport.n_open, 0);
	assert_int_equal(count()->fault[MF_PROXY_CLOSED], 0);

	/* The server is known to be good: one that ends without a word may have met a target that
	 * is not. */
	for (int i = 0; i < 4; i++) {
		lab_wait(10 * MF_SEC);
		assert_int_equal(count()->fault[MF_PROXY_CLOSED], 0);
		assert_int_equal(say(&a, "two"), MF_DROP_NONE);
		fake_open(lab.transport.last);
		fake_end(lab.transport.last);
		app_run(&app);
	}
	assert_int_equal(count()->fault[MF_PROXY_CLOSED], 1);

	/* Long after the last datagram it is no wonder. */
	lab_wait(10 * MF_SEC);
	assert_int_equal(say(&a, "three"), MF_DROP_NONE);
	fake_open(lab.transport.last);
	app_run(&app);
	lab_wait(60 * MF_SEC);
	fake_end(lab.transport.last);
	app_run(&app);
	assert_int_equal(lab.transport.n_open, 0);
	assert_int_equal(count()->fault[MF_PROXY_CLOSED], 1);
	app_close(&app);
}

static void test_nonsense(void **state)
{
	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	fake_open(lab.transport.last);
	server_say(lab.transport.last, &a, "fine");
	fake_give(lab.transport.last, "\x01\x01\x02\x03\x04\x00\x35\x00\x01zz!", 12);
	app_run(&app);
	assert_int_equal(app.n, 1);
	assert_int_equal(count()->fault[MF_PROXY_PROTOCOL], 1);
	assert_int_equal(lab.transport.n_open, 0);
	assert_true(lab.transport.last->reset);
	assert_int_equal(say(&a, "two"), MF_DROP_NONE);
	app_close(&app);
}

/* One that begins frames and does not end them takes as much memory as it leaves to others, who share it. */
static void test_frames_without_end(void **state)
{
	enum { BEGUN = 1000, POOL = 16 * 1024 };
	uint8_t begin[BEGUN] = { 0, 0, 0xff, 0xff }; /* the answer, and how long the frame is to be */
	size_t most = lab.layers.pool.max;

	(void)state;
	lab.layers.pool.max = POOL;
	app_open(&app);
	for (uint16_t port = 1; port <= 2 * POOL / BEGUN; port++) {
		struct mf_endpoint to = { .addr = a.addr, .port = port };
		uint32_t opened = lab.transport.n_opened;

		(void)say(&to, "x");
		if (lab.transport.n_opened == opened)
			break; /* it looks as if it did not work */
		fake_open(lab.transport.last);
		fake_give(lab.transport.last, begin, sizeof(begin));
		app_run(&app);
		assert_true(lab.layers.pool.held <= POOL / 2 + BEGUN);
		assert_int_equal(lab.x.held, lab.layers.pool.held);
	}
	assert_true(lab.layers.pool.held > POOL / 4);
	assert_true(count()->fault[MF_PROXY_RESOURCES] > 0);
	app_close(&app);
	assert_int_equal(lab.x.held + lab.layers.pool.held, 0);
	lab.layers.pool.max = most;
}

/* A server that says nothing at length takes a turn, no more. */
static void test_empty_frames(void **state)
{
	static const uint8_t nothing[2 << 20];
	struct fake_stream *st;
	struct mf_pkt *out[32];

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	st = lab.transport.last;
	fake_open(st);
	app_run(&app);
	for (unsigned random = 0; random < 2; random++) {
		size_t before = st->given;

		lab.transport.prng = random ? &lab.prng : NULL;
		fake_give(st, nothing, sizeof(nothing));
		app.d.ready = 0;
		assert_int_equal(mf_dgrams_recv(&app.d, lab.pool, out, 32), 0);
		assert_true(st->given - before <= sizeof(nothing) / 4);
		assert_true(app.d.ready & MF_STREAM_READABLE);
		app_run(&app);
		assert_int_equal(st->given, st->n_give);
	}
	server_say(st, &a, "something");
	app_run(&app);
	assert_int_equal(app.n, 1);
	app_close(&app);
}

static void test_close_in_any_state(void **state)
{
	(void)state;
	app_open(&app);
	app_close(&app);
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	app_close(&app); /* waiting */
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	fake_open(lab.transport.last);
	server_say(lab.transport.last, &a, "unread");
	app_close(&app); /* told, but not heard */
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	lab.transport.last->may_write = 10;
	fake_open(lab.transport.last);
	fake_give(lab.transport.last, "\x01", 1);
	app_run(&app);
	assert_true(lab.layers.pool.held > 0);
	app_close(&app); /* holding back, both ways */
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	fake_fail(lab.transport.last, MF_STREAM_E_PROXY);
	app_close(&app); /* failed, but not heard */
	assert_int_equal(lab.idle, 5);
	assert_int_equal(lab.layers.pool.held, 0);
}

static void test_no_transport(void **state)
{
	(void)state;
	lab.x.transport = NULL;
	assert_int_equal(app_try(&app, MF_AF_IP4), MF_E_UNSUPPORTED);
	assert_int_equal(app.d.error, MF_STREAM_E_UNSUPPORTED);
}

/* No packet is free for what has come: it is told again, and nothing is lost. */
static void test_no_packets_left(void **state)
{
	static struct mf_pkt *taken[1001];
	size_t n = 0;

	(void)state;
	app_open(&app);
	assert_int_equal(say(&a, "one"), MF_DROP_NONE);
	fake_open(lab.transport.last);
	app_run(&app);
	while ((taken[n] = mf_pkt_large(lab.pool)))
		n++;
	server_say(lab.transport.last, &a, "first");
	server_say(lab.transport.last, &a, "second");
	app.d.ready = 0;
	assert_int_equal(mf_dgrams_recv(&app.d, lab.pool, app.got, 8), 0);
	assert_true(app.d.ready & MF_STREAM_READABLE);
	while (n)
		mf_pkt_free(taken[--n]);
	app_run(&app);
	assert_int_equal(app.n, 2);
	app_expect(&app, 1, &a, "second", 6);
	app_close(&app);
}

/* ---- Any bytes at any time ------------------------------------------------------------------- */

struct said {
	struct mf_endpoint who;
	size_t n;
	uint8_t first; /* byte; the others count up */
};
enum { SAID = 4000, LONGEST = 8000 };
static struct list {
	struct said of[SAID];
	size_t n;
} up, down_list;

/* Most often short, and often as long as others. */
static size_t somehow_long(struct mf_prng *g)
{
	static const size_t usual[] = { 40, 100, 1200 };

	if (mf_prng_below(g, 2))
		return usual[mf_prng_below(g, 3)];
	return 1 + mf_prng_below(g, mf_prng_below(g, 8) ? 200 : LONGEST - 1);
}

static struct said *speak(struct list *l, struct mf_prng *g, uint8_t *out)
{
	static const struct mf_endpoint *const who[] = { &a, &b, &c };
	struct said *s = &l->of[l->n++];

	assert_true(l->n < SAID);
	*s = (struct said){
		.who = *who[mf_prng_below(g, 3)],
		.n = somehow_long(g),
		.first = (uint8_t)mf_prng_u64(g),
	};
	for (size_t i = 0; i < s->n; i++)
		out[i] = (uint8_t)(s->first + i);
	return s;
}

static void expect(const struct said *s, const struct mf_endpoint *who, const uint8_t *p, size_t n)
{
	assert_true(mf_endpoint_equal(who, &s->who));
	assert_int_equal(n, s->n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], (uint8_t)(s->first + i));
}

static struct fake_stream *stream_to(const struct mf_endpoint *who)
{
	struct fake_stream *st = lab.transport.last;

	while (st && (!st->s || (!is_trojan() && !mf_endpoint_equal(&st->dst, who))))
		st = st->next;
	return st;
}

/* Of the datagrams to one stream those come, in that order, that were not dropped. */
static void check_up(const struct mf_endpoint *who)
{
	struct fake_stream *st = stream_to(who);
	size_t at = st ? request_len(&st->dst) : 0;
	struct mf_endpoint to;
	struct mf_span payload;

	for (size_t i = 0; i < up.n; i++) {
		if (!is_trojan() && !mf_endpoint_equal(&up.of[i].who, who))
			continue;
		assert_non_null(st);
		assert_true(server_get(st, &at, &to, &payload));
		expect(&up.of[i], &to, payload.p, payload.n);
	}
	assert_true(!st || at == st->n_got);
}

/* The datagrams that the app has got, one by one. */
struct reader {
	size_t packet, at;
};

static struct mf_span read_next(struct reader *r, struct mf_endpoint *from)
{
	const struct mf_pkt *p = app.got[r->packet];
	size_t n = mf_min(p->gso_size ? p->gso_size : p->len, p->len - r->at);
	struct mf_span payload = mf_span(p->data + r->at, n);

	assert_true(r->packet < app.n);
	*from = p->remote;
	r->at += n;
	if (r->at == p->len)
		*r = (struct reader){ .packet = r->packet + 1 };
	return payload;
}

/* What somebody (NULL: anybody) has said has come, in that order. */
static void check_down(const struct mf_endpoint *who)
{
	struct reader r = { 0 };
	struct mf_endpoint from;
	struct mf_span payload;

	for (size_t i = 0; i < down_list.n; i++) {
		if (who && !mf_endpoint_equal(&down_list.of[i].who, who))
			continue;
		do
			payload = read_next(&r, &from);
		while (who && !mf_endpoint_equal(&from, who));
		expect(&down_list.of[i], &from, payload.p, payload.n);
	}
}

/* A datagram from somebody, if he may speak: he has been spoken to, and it has been said that all
 * is well. */
static void somebody_speaks(struct mf_prng *g)
{
	static uint8_t bytes[LONGEST], frame[LONGEST + 300];
	struct said *s = speak(&down_list, g, bytes);
	struct fake_stream *st = stream_to(&s->who);

	if (st && (st->n_give || is_trojan()))
		fake_give(st, frame, server_put(&s->who, bytes, s->n, frame));
	else
		down_list.n--;
}

static void app_speaks(struct mf_prng *g)
{
	static uint8_t bytes[LONGEST];
	struct said *s = speak(&up, g, bytes);
	struct fake_stream *st;

	if (app_say(&app, &s->who, bytes, s->n, 0))
		up.n--;
	st = stream_to(&s->who);
	if (st && !st->opened)
		fake_open(st);
	if (st && !is_trojan() && !st->n_give)
		fake_give(st, "\0\0", 2);
}

static void random_run(const char *what)
{
	struct mf_prng g = unit_prng(what);

	up.n = down_list.n = 0;
	lab.transport.prng = &g;
	lab.transport.open_at_once = mf_prng_below(&g, 2);
	app_open(&app);
	for (int round = 0; round < 400; round++) {
		app.burst = 1 + mf_prng_below(&g, 40);
		for (size_t i = mf_prng_below(&g, 8); i; i--)
			app_speaks(&g);
		for (size_t i = mf_prng_below(&g, 8); i; i--)
			somebody_speaks(&g);
		if (mf_prng_below(&g, 3))
			app_run(&app);
	}
	app_run(&app);
	assert_int_equal(count()->datagrams_down, down_list.n);
	if (is_trojan())
		check_down(NULL);
	check_down(&a);
	check_down(&b);
	check_down(&c);
	check_up(&a);
	if (!is_trojan()) {
		check_up(&b);
		check_up(&c);
	}
	app_close(&app);
}

static void test_random_any(void **state)
{
	(void)state;
	random_run("dgram stream, any target");
}

static void test_random_one(void **state)
{
	(void)state;
	random_run("dgram stream, one target");
}

#define TROJAN(name) cmocka_unit_test_setup_teardown(name, up_trojan, down)
#define VLESS(name)  cmocka_unit_test_setup_teardown(name, up_vless, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TROJAN(test_full_cone),
		VLESS(test_symmetric),
		TROJAN(test_super_packet),
		TROJAN(test_runs),
		TROJAN(test_families),
		TROJAN(test_queue),
		VLESS(test_queue),
		TROJAN(test_congestion),
		TROJAN(test_lengths),
		VLESS(test_least_recently_used),
		VLESS(test_idle),
		TROJAN(test_failures),
		TROJAN(test_end_of_the_stream),
		TROJAN(test_nonsense),
		VLESS(test_empty_frames),
		VLESS(test_frames_without_end),
		TROJAN(test_close_in_any_state),
		TROJAN(test_no_transport),
		TROJAN(test_no_packets_left),
		TROJAN(test_random_any),
		VLESS(test_random_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
