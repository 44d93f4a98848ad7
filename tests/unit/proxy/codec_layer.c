/* SPDX-License-Identifier: Apache-2.0
 *
 * What codec_layer promises, with the toy protocol of tests/support/toycodec.h: the first flight,
 * handshakes, ends, silence, and streams bit for bit.
 */
#include "proxy/codec_layer.h"

#include "support/layerlab.h"
#include "support/toycodec.h"
#include "unit.h"

enum { BULK = 400 * 1000, USERS = 8, REQUEST = 4 + 11 /* name */ };

static struct layerlab lab;
static struct lab_user user[USERS];
static struct mf_layer_outbound codec;
static struct toy_config toy;
static struct mf_codec_layer_config config;
static struct mf_proxy_life life;
static uint8_t bulk[BULK];

static int open_lab(void **state)
{
	struct mf_prng g = unit_prng("codec_layer");

	(void)state;
	layerlab_open(&lab, g.state, false);
	mf_prng_fill(&lab.prng, bulk, sizeof(bulk));
	toy = (struct toy_config){ 0 };
	life = (struct mf_proxy_life){ 0 };
	config = (struct mf_codec_layer_config){ &toy_kind, &toy, 10 * MF_SEC, &life };
	mf_codec_layer_init(&codec, &config, &lab.layers, &lab.far.out, &lab.health, "hk",
			    5 * MF_SEC);
	for (unsigned i = 0; i < USERS; i++) {
		memset(&user[i], 0, sizeof(user[i]));
		user[i].closed = true;
	}
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	for (unsigned i = 0; i < USERS; i++)
		lab_user_fini(&user[i]);
	assert_int_equal(codec.n_streams, 0);
	layerlab_close(&lab);
	return 0;
}

static struct fake_stream *open_user(unsigned i)
{
	lab_user_fini(&user[i]);
	assert_int_equal(lab_user_open(&user[i], &lab, &codec.out, "example.com=192.0.2.1:443"),
			 MF_OK);
	fake_open(lab.far.last);
	layerlab_run(&lab);
	lab_user_turn(&user[i]);
	return lab.far.last;
}

static void turn(unsigned i)
{
	layerlab_run(&lab);
	lab_user_turn(&user[i]);
}

static void answer(struct fake_stream *st, const void *payload, size_t n)
{
	static uint8_t b[TOY_MESSAGE_MAX + 2];

	fake_give(st, b, toy_message(b, payload, n));
}

static struct toy_heard hear(const struct fake_stream *st)
{
	struct toy_heard h;

	toy_hear(&h, st->got, st->n_got, toy.raw);
	return h;
}

static void expect_heard(const struct fake_stream *st, const void *payload, size_t n, bool end)
{
	struct toy_heard h = hear(st);

	assert_string_equal(h.name, "example.com");
	assert_int_equal(h.port, 443);
	assert_int_equal(h.n, n);
	if (n)
		assert_memory_equal(h.payload, payload, n);
	assert_int_equal(h.end, end);
	toy_heard_free(&h);
}

/* ---- The first flight ------------------------------------------------------------------------ */

static void test_request_and_payload_are_one_write(void **state)
{
	struct fake_stream *st = open_user(0);

	(void)state;
	assert_true(user[0].opened);
	layerlab_pass(&lab, 40 * MF_MSEC);
	assert_int_equal(st->n_got, 0);
	st->may_write = REQUEST + 2 + 5; /* in one piece, or it does not fit */
	lab_user_write(&user[0], "hello", 5);
	expect_heard(st, "hello", 5, false);
	layerlab_pass(&lab, MF_SEC);
	assert_int_equal(st->n_got, REQUEST + 2 + 5);
}

static void test_the_request_goes_alone_after_a_moment(void **state)
{
	struct fake_stream *st = open_user(0);

	(void)state;
	layerlab_pass(&lab, 49 * MF_MSEC);
	assert_int_equal(st->n_got, 0);
	layerlab_pass(&lab, 2 * MF_MSEC);
	assert_int_equal(st->n_got, REQUEST);
	fake_give(st, "Y", 1);
	answer(st, "220 ready", 9);
	turn(0);
	assert_int_equal(user[0].n_got, 9);
	lab_user_write(&user[0], "hello", 5);
	expect_heard(st, "hello", 5, false);
}

static void test_an_address_goes_as_an_address(void **state)
{
	struct toy_heard h;

	(void)state;
	assert_int_equal(lab_user_open(&user[0], &lab, &codec.out, "[2001:db8::1]:80"), MF_OK);
	fake_open(lab.far.last);
	layerlab_pass(&lab, 100 * MF_MSEC);
	h = hear(lab.far.last);
	assert_string_equal(h.name, "2001:db8::1");
	assert_int_equal(h.port, 80);
	toy_heard_free(&h);
}

/* ---- Handshakes ------------------------------------------------------------------------------ */

static void test_a_handshake_opens_when_the_proxy_says_yes(void **state)
{
	struct fake_stream *st;

	(void)state;
	toy.handshake = true;
	st = open_user(0);
	assert_false(user[0].opened);
	assert_int_equal(st->n_got, REQUEST); /* at once */
	fake_give(st, "Y\0\3", 3);
	turn(0);
	assert_true(user[0].opened);
	assert_int_equal(lab.health.count.answered, 1);
	fake_give(st, (const uint8_t[]){ 'a' ^ 0x5a, 'b' ^ 0x5a, 'c' ^ 0x5a }, 3);
	turn(0);
	assert_int_equal(user[0].n_got, 3);
	assert_memory_equal(user[0].got, "abc", 3);
	layerlab_pass(&lab, 60 * MF_SEC);
	lab_user_turn(&user[0]);
	assert_false(user[0].failed);
}

static const struct {
	enum mf_proxy_fault fault;
	enum mf_stream_error error;
} answers[] = {
	{ MF_PROXY_TARGET_REFUSED, MF_STREAM_E_REFUSED },
	{ MF_PROXY_TARGET_UNREACHABLE, MF_STREAM_E_HOST_UNREACHABLE },
	{ MF_PROXY_TARGET_FORBIDDEN, MF_STREAM_E_PROHIBITED },
	{ MF_PROXY_TARGET_TIMED_OUT, MF_STREAM_E_TIMED_OUT },
	{ MF_PROXY_TARGET_FAILED, MF_STREAM_E_REFUSED },
	{ MF_PROXY_CREDENTIALS, MF_STREAM_E_PROXY },
	{ MF_PROXY_COMMAND, MF_STREAM_E_PROXY },
	{ MF_PROXY_PROTOCOL, MF_STREAM_E_PROXY },
};

static void test_what_the_proxy_says_of_a_target_is_told(void **state)
{
	(void)state;
	toy.handshake = true;
	for (unsigned i = 0; i < MF_ARRAY_LEN(answers); i++) {
		struct fake_stream *st = open_user(0);

		fake_give(st, (const uint8_t[]){ 'N', (uint8_t)answers[i].fault }, 2);
		turn(0);
		assert_true(user[0].failed);
		assert_int_equal(user[0].s.error, answers[i].error);
		assert_int_equal(lab.health.count.fault[answers[i].fault], 1);
		assert_int_equal(lab.health.facts.failing,
				 !mf_proxy_fault_is_target(answers[i].fault));
	}
	assert_string_equal(lab.line[0],
			    "hk: the proxy wants another user or password (at once); look at "
			    "`username` and `password`");
}

static void test_a_handshake_does_not_last_for_ever(void **state)
{
	(void)state;
	toy.handshake = true;
	(void)open_user(0);
	layerlab_pass(&lab, 5100 * MF_MSEC);
	lab_user_turn(&user[0]);
	assert_true(user[0].failed);
	assert_int_equal(lab.health.facts.fault, MF_PROXY_SILENT);
}

static void test_a_handshake_that_is_cut_off_is_a_fault(void **state)
{
	struct fake_stream *st;

	(void)state;
	toy.handshake = true;
	st = open_user(0);
	fake_end(st);
	turn(0);
	assert_true(user[0].failed);
	assert_int_equal(lab.health.facts.fault, MF_PROXY_CLOSED);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void test_an_end_goes_down_where_the_protocol_has_none(void **state)
{
	struct fake_stream *st = open_user(0);

	(void)state;
	lab_user_write(&user[0], "hello", 5);
	lab_user_shutdown(&user[0]);
	assert_true(st->shut);
	expect_heard(st, "hello", 5, false);
	fake_give(st, "Y", 1);
	answer(st, "bye", 3);
	fake_end(st);
	turn(0);
	turn(0);
	assert_int_equal(user[0].n_got, 3);
	assert_true(user[0].eof);
}

static void test_an_end_of_the_protocol_stays_in_it(void **state)
{
	struct fake_stream *st;

	(void)state;
	toy.end = true;
	st = open_user(0);
	lab_user_shutdown(&user[0]); /* before the request: that goes first */
	expect_heard(st, NULL, 0, true);
	assert_false(st->shut);
	fake_give(st, "Y", 1);
	answer(st, "bye", 3);
	answer(st, NULL, 0); /* its end, while the connection stays */
	turn(0);
	turn(0);
	assert_int_equal(user[0].n_got, 3);
	assert_true(user[0].eof);
}

/* ... though it would end both directions. */
static void test_an_end_behind_a_question_waits_for_the_answer(void **state)
{
	struct fake_stream *st;

	(void)state;
	toy.end = toy.ends_both = true;
	st = open_user(0);
	lab_user_write(&user[0], "question", 8);
	lab_user_shutdown(&user[0]);
	layerlab_pass(&lab, 4 * MF_SEC);
	fake_give(st, "Y", 1);
	answer(st, "wait", 4);
	turn(0);
	layerlab_pass(&lab, 4 * MF_SEC);
	answer(st, "for it", 6);
	turn(0);
	layerlab_pass(&lab, 4900 * MF_MSEC);
	expect_heard(st, "question", 8, false);
	layerlab_pass(&lab, 200 * MF_MSEC);
	expect_heard(st, "question", 8, true);
	answer(st, NULL, 0);
	turn(0);
	assert_int_equal(user[0].n_got, 10);
	assert_true(user[0].eof);
	assert_int_equal(lab.health.count.failed, 0);
}

static void test_an_end_behind_an_answer_waits_for_a_moment(void **state)
{
	struct fake_stream *st;

	(void)state;
	toy.end = toy.ends_both = true;
	st = open_user(0);
	lab_user_write(&user[0], "question", 8);
	fake_give(st, "Y", 1);
	answer(st, "answer", 6);
	turn(0);
	lab_user_shutdown(&user[0]);
	layerlab_pass(&lab, 900 * MF_MSEC);
	expect_heard(st, "question", 8, false);
	layerlab_pass(&lab, 200 * MF_MSEC);
	expect_heard(st, "question", 8, true);
}

/* Says something, is told the server's end, and closes `after` it has spoken. */
static struct fake_stream *close_late(mf_nsec after)
{
	struct fake_stream *st = open_user(0);

	lab_user_write(&user[0], "late", 4);
	fake_give(st, "Y", 1);
	answer(st, NULL, 0);
	turn(0);
	assert_true(user[0].eof);
	layerlab_pass(&lab, after);
	lab_user_shutdown(&user[0]);
	lab_user_close(&user[0], false);
	return st;
}

static void test_a_connection_outlives_a_session_that_has_just_spoken(void **state)
{
	struct fake_stream *st;

	(void)state;
	toy.end = toy.ends_both = true;
	st = close_late(500 * MF_MSEC);
	expect_heard(st, "late", 4, false);
	layerlab_pass(&lab, 900 * MF_MSEC);
	assert_int_equal(lab.far.n_open, 1);
	layerlab_pass(&lab, 200 * MF_MSEC);
	assert_int_equal(lab.far.n_open, 0);
	assert_false(st->reset);

	st = close_late(500 * MF_MSEC);
	fake_end(st); /* the server closes earlier */
	layerlab_run(&lab);
	assert_int_equal(lab.far.n_open, 0);
	assert_false(st->reset);

	(void)close_late(1100 * MF_MSEC);
	assert_int_equal(lab.far.n_open, 0);
}

/* The first byte is still awaited while the end waits, and after it has gone. */
static void test_silence_behind_an_end_is_a_fault(void **state)
{
	struct fake_stream *st;

	(void)state;
	toy.end = toy.ends_both = true;
	st = open_user(0);
	lab_user_write(&user[0], "question", 8);
	lab_user_shutdown(&user[0]);
	layerlab_pass(&lab, 9 * MF_SEC);
	expect_heard(st, "question", 8, true);
	turn(0);
	assert_false(user[0].failed);
	layerlab_pass(&lab, 2 * MF_SEC);
	turn(0);
	assert_true(user[0].failed);
	assert_int_equal(lab.health.facts.fault, MF_PROXY_SILENT);
}

/* TLS in between, of which nothing but the end is of interest: close_notify cuts off what comes. */
static void test_an_end_that_could_cut_off_waits_for_a_moment(void **state)
{
	const struct mf_layer_ops between = { .name = "between",
					      .size = sizeof(struct mf_layer),
					      .ends_both = true,
					      .write = mf_layer_pass,
					      .read = mf_layer_take };
	struct mf_layer_outbound pipe;
	struct fake_stream *st;

	(void)state;
	mf_layer_outbound_init(&pipe, &between, &lab.layers, &lab.far.out, NULL, &lab.health, "hk",
			       5 * MF_SEC);
	mf_codec_layer_init(&codec, &config, &lab.layers, &pipe.out, &lab.health, "hk", 5 * MF_SEC);
	st = open_user(0);
	lab_user_write(&user[0], "question", 8);
	fake_give(st, "Y", 1);
	answer(st, "an", 2);
	turn(0);
	lab_user_shutdown(&user[0]);
	layerlab_pass(&lab, 900 * MF_MSEC);
	answer(st, "swer", 4);
	turn(0);
	layerlab_pass(&lab, 900 * MF_MSEC);
	assert_false(st->shut);
	layerlab_pass(&lab, 200 * MF_MSEC);
	assert_true(st->shut);
	fake_end(st);
	turn(0);
	assert_int_equal(user[0].n_got, 6);
	assert_true(user[0].eof);
	lab_user_fini(&user[0]);
}

static void test_an_end_in_the_middle_is_a_reset(void **state)
{
	struct fake_stream *st = open_user(0);

	(void)state;
	lab_user_write(&user[0], "hello", 5);
	fake_give(st, "Y", 1);
	answer(st, "bye", 3);
	fake_give(st, "\0\5ab", 4);
	fake_end(st);
	turn(0);
	turn(0);
	assert_int_equal(user[0].n_got, 3);
	assert_true(user[0].failed);
	assert_int_equal(user[0].s.error, MF_STREAM_E_RESET);
}

static void test_what_does_not_open_closes_that_session_alone(void **state)
{
	struct fake_stream *st = open_user(0), *other = open_user(1);

	(void)state;
	lab_user_write(&user[0], "hello", 5);
	lab_user_write(&user[1], "hello", 5);
	fake_give(st, "HTTP", 4);
	fake_give(other, "Y", 1);
	answer(other, "abc", 3);
	turn(0);
	turn(1);
	assert_true(user[0].failed);
	assert_int_equal(user[0].s.error, MF_STREAM_E_PROXY);
	assert_true(st->reset);
	assert_int_equal(lab.health.count.fault[MF_PROXY_AUTH], 1);
	assert_false(user[1].failed);
	assert_int_equal(user[1].n_got, 3);
	assert_string_equal(layerlab_last_line(&lab), "info: hk: the proxy works again");
}

/* ---- Silence --------------------------------------------------------------------------------- */

static void test_silence_is_a_fault(void **state)
{
	struct fake_stream *st = open_user(0);

	(void)state;
	layerlab_pass(&lab, 20 * MF_MSEC);
	lab_user_write(&user[0], "hello", 5);
	layerlab_pass(&lab, 9900 * MF_MSEC);
	lab_user_turn(&user[0]);
	assert_false(user[0].failed);
	layerlab_pass(&lab, 101 * MF_MSEC);
	lab_user_turn(&user[0]);
	assert_true(user[0].failed);
	assert_int_equal(user[0].s.error, MF_STREAM_E_PROXY);
	assert_int_equal(lab.health.facts.fault, MF_PROXY_SILENT);
	assert_true(st->reset);
}

/* A connection that a browser opens for later, or an app whose server speaks first. */
static void test_an_app_that_says_nothing_waits_at_a_proxy_that_has_answered(void **state)
{
	struct fake_stream *st;

	(void)state;
	st = open_user(0);
	lab_user_write(&user[0], "hello", 5);
	fake_give(st, "Y", 1);
	answer(st, "all", 3);
	layerlab_pass(&lab, 10 * MF_MSEC);
	lab_user_turn(&user[0]);
	(void)open_user(1);
	layerlab_pass(&lab, 60 * MF_SEC);
	lab_user_turn(&user[1]);
	assert_false(user[1].failed);
	lab_user_write(&user[1], "hello", 5);
	layerlab_pass(&lab, 9900 * MF_MSEC);
	lab_user_turn(&user[1]);
	assert_false(user[1].failed);
	layerlab_pass(&lab, 101 * MF_MSEC);
	lab_user_turn(&user[1]);
	assert_true(user[1].failed);
	assert_int_equal(lab.health.facts.fault, MF_PROXY_SILENT);
}

static void test_an_app_that_says_nothing_does_not_wait_at_a_proxy_that_never_answered(void **state)
{
	(void)state;
	(void)open_user(0);
	layerlab_pass(&lab, 60 * MF_MSEC);
	layerlab_pass(&lab, 10100 * MF_MSEC);
	lab_user_turn(&user[0]);
	assert_true(user[0].failed);
	assert_int_equal(lab.health.facts.fault, MF_PROXY_SILENT);
}

static void test_a_server_that_takes_nothing_is_silent(void **state)
{
	struct fake_stream *st = open_user(0);

	(void)state;
	st->may_write = 100;
	lab_user_write(&user[0], bulk, BULK);
	layerlab_pass(&lab, 10100 * MF_MSEC);
	lab_user_turn(&user[0]);
	assert_true(user[0].failed);
	assert_int_equal(lab.health.facts.fault, MF_PROXY_SILENT);
}

static void test_while_it_speaks_to_others_the_target_is_silent(void **state)
{
	struct fake_stream *other = open_user(1);

	(void)state;
	(void)open_user(0);
	lab_user_write(&user[0], "hello", 5);
	lab_user_write(&user[1], "hello", 5);
	layerlab_pass(&lab, MF_SEC);
	fake_give(other, "Y", 1);
	answer(other, "abc", 3);
	turn(1);
	layerlab_pass(&lab, 15 * MF_SEC);
	lab_user_turn(&user[0]);
	assert_false(user[0].failed);
	layerlab_pass(&lab, 10 * MF_SEC); /* nothing for anybody since it was looked at */
	lab_user_turn(&user[0]);
	lab_user_turn(&user[1]);
	assert_true(user[0].failed);
	assert_false(user[1].failed); /* it has heard something */
}

/* An upload to a target that says nothing before its end: while it goes on, a proxy that has answered before is not
 * silent; one that never has may not know our key. */
static void test_an_upload_takes_its_time(void **state)
{
	(void)state;
	for (unsigned proven = 0; proven < 2; proven++) {
		(void)open_user(0);
		for (unsigned second = 0; second < 60 && !user[0].failed; second++) {
			lab_user_write(&user[0], "more", 4);
			layerlab_pass(&lab, MF_SEC);
			lab_user_turn(&user[0]);
		}
		assert_int_equal(user[0].failed, !proven);
		mf_proxy_life_note(&life, lab.now);
	}
	layerlab_pass(&lab, 8 * MF_SEC);
	lab_user_turn(&user[0]);
	assert_false(user[0].failed);
	mf_proxy_life_note(&life, lab.now); /* it speaks to another one */
	layerlab_pass(&lab, 5 * MF_SEC);
	lab_user_turn(&user[0]);
	assert_false(user[0].failed);
	layerlab_pass(&lab, 10 * MF_SEC);
	lab_user_turn(&user[0]);
	assert_true(user[0].failed);
	assert_int_equal(lab.health.facts.fault, MF_PROXY_SILENT);
}

/* nc -N to a target that has nothing to say: the end that follows ours is nobody's fault. */
static void test_an_end_after_ours_is_no_fault(void **state)
{
	struct fake_stream *st = open_user(0);

	(void)state;
	lab_user_write(&user[0], "hello", 5);
	lab_user_shutdown(&user[0]);
	layerlab_run(&lab);
	assert_true(st->shut);
	fake_end(st);
	turn(0);
	assert_true(user[0].eof);
	assert_int_equal(lab.health.count.fault[MF_PROXY_CLOSED], 0);
}

static void test_without_a_limit_silence_is_none(void **state)
{
	(void)state;
	config.first_byte_timeout = 0;
	(void)open_user(0);
	lab_user_write(&user[0], "hello", 5);
	layerlab_pass(&lab, 1000 * MF_SEC);
	lab_user_turn(&user[0]);
	assert_false(user[0].failed);
}

/* What it is when the server ends the connection without a byte; by a reset or not. */
static bool blamed(bool reset)
{
	struct fake_stream *st = open_user(0);
	uint64_t before = lab.health.count.fault[MF_PROXY_CLOSED];
	bool fault;

	layerlab_pass(&lab, 10 * MF_MSEC);
	lab_user_write(&user[0], "hello", 5);
	if (reset)
		fake_fail(st, MF_STREAM_E_RESET);
	else
		fake_end(st);
	turn(0);
	fault = lab.health.count.fault[MF_PROXY_CLOSED] > before;
	assert_int_equal(user[0].eof, !fault && !reset);
	assert_int_equal(user[0].failed, fault || reset);
	if (user[0].failed)
		assert_int_equal(user[0].s.error, fault ? MF_STREAM_E_PROXY : MF_STREAM_E_RESET);
	return fault;
}

static void test_who_ends_without_a_byte_is_blamed(void **state)
{
	struct fake_stream *st;

	(void)state;
	assert_true(blamed(false)); /* nothing has ever come from this proxy */
	assert_true(blamed(true));

	layerlab_pass(&lab, 10 * MF_MSEC);
	st = open_user(1);
	lab_user_write(&user[1], "hello", 5);
	fake_give(st, "Y", 1);
	answer(st, "abc", 3);
	turn(1);
	assert_false(blamed(false)); /* it works: that was the target */
	assert_false(blamed(true));
	assert_false(blamed(false));
	assert_true(blamed(false)); /* four in a row */

	layerlab_pass(&lab, 10 * MF_MSEC);
	answer(st, "abc", 3); /* on any connection, not only on a new one */
	turn(1);
	assert_false(blamed(false));
}

/* One-way transfers whose server resets them all at their end, as iperf3's does, while it answers on
 * a connection beside them; here or on another worker. */
static void test_who_answers_others_meanwhile_is_not_blamed(void **state)
{
	struct fake_stream *st[USERS];

	(void)state;
	for (unsigned i = 0; i < USERS; i++)
		st[i] = open_user(i);
	layerlab_pass(&lab, 10 * MF_MSEC);
	for (unsigned i = 0; i < USERS; i++)
		lab_user_write(&user[i], "hello", 5);
	layerlab_pass(&lab, 5 * MF_MSEC);
	mf_proxy_life_note(&life, lab.now);
	layerlab_pass(&lab, 5 * MF_MSEC);
	for (unsigned i = 0; i < USERS; i++) {
		fake_fail(st[i], MF_STREAM_E_RESET);
		turn(i);
		assert_true(user[i].failed);
		assert_int_equal(user[i].s.error, MF_STREAM_E_RESET);
	}
	assert_int_equal(lab.health.count.fault[MF_PROXY_CLOSED], 0);
}

static void test_an_end_before_anything_was_sent_is_an_end(void **state)
{
	struct fake_stream *st = open_user(0);

	(void)state;
	fake_end(st);
	turn(0);
	assert_true(user[0].eof);
	assert_int_equal(lab.health.count.failed, 0);
}

/* ---- Streams --------------------------------------------------------------------------------- */

/* The server's side of `bulk`, as messages of any size. */
static void give_some(struct fake_stream *st, size_t *at, size_t n)
{
	while (n) {
		size_t k = mf_min(1 + mf_prng_below(&lab.prng, TOY_MESSAGE_MAX), n);

		if (toy.raw)
			fake_give(st, bulk + *at, k);
		else
			answer(st, bulk + *at, k);
		*at += k;
		n -= k;
	}
}

static void run_random(unsigned round)
{
	struct fake_stream *st;
	size_t n_up = mf_prng_below(&lab.prng, BULK);
	size_t n_down = 1 + mf_prng_below(&lab.prng, BULK - 1);
	size_t down = 0;

	toy = (struct toy_config){ .handshake = round % 4 == 1,
				   .end = round % 4 == 2,
				   .raw = round % 4 == 3 };
	lab.far.prng = round & 4 ? &lab.prng : NULL;
	st = open_user(0);
	user[0].prng = round & 8 ? &lab.prng : NULL;
	fake_give(st, "Y", 1);
	turn(0);
	assert_true(user[0].opened);
	st->may_write = mf_prng_below(&lab.prng, 10000);
	lab_user_write(&user[0], bulk, n_up);
	for (unsigned i = 0; user[0].given < n_up || user[0].n_got < n_down; i++) {
		assert_true(i < 20000);
		give_some(st, &down, mf_min(mf_prng_below(&lab.prng, 60000), n_down - down));
		fake_take(st, mf_prng_below(&lab.prng, 30000));
		turn(0);
	}
	fake_take(st, SIZE_MAX);
	lab_user_shutdown(&user[0]);
	turn(0);
	expect_heard(st, bulk, n_up, toy.end);
	assert_int_equal(st->shut, !toy.end);
	assert_int_equal(user[0].n_got, n_down);
	assert_memory_equal(user[0].got, bulk, n_down);
	assert_int_equal(mf_layers_held(&lab.layers), 0);
}

static void test_streams_come_through_bit_for_bit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 32; i++)
		run_random(i);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)
	const struct CMUnitTest tests[] = {
		T(test_request_and_payload_are_one_write),
		T(test_the_request_goes_alone_after_a_moment),
		T(test_an_address_goes_as_an_address),
		T(test_a_handshake_opens_when_the_proxy_says_yes),
		T(test_what_the_proxy_says_of_a_target_is_told),
		T(test_a_handshake_does_not_last_for_ever),
		T(test_a_handshake_that_is_cut_off_is_a_fault),
		T(test_an_end_goes_down_where_the_protocol_has_none),
		T(test_an_end_of_the_protocol_stays_in_it),
		T(test_an_end_behind_a_question_waits_for_the_answer),
		T(test_an_end_behind_an_answer_waits_for_a_moment),
		T(test_a_connection_outlives_a_session_that_has_just_spoken),
		T(test_silence_behind_an_end_is_a_fault),
		T(test_an_end_that_could_cut_off_waits_for_a_moment),
		T(test_an_end_in_the_middle_is_a_reset),
		T(test_what_does_not_open_closes_that_session_alone),
		T(test_silence_is_a_fault),
		T(test_an_app_that_says_nothing_waits_at_a_proxy_that_has_answered),
		T(test_an_app_that_says_nothing_does_not_wait_at_a_proxy_that_never_answered),
		T(test_a_server_that_takes_nothing_is_silent),
		T(test_while_it_speaks_to_others_the_target_is_silent),
		T(test_an_upload_takes_its_time),
		T(test_an_end_after_ours_is_no_fault),
		T(test_without_a_limit_silence_is_none),
		T(test_who_ends_without_a_byte_is_blamed),
		T(test_who_answers_others_meanwhile_is_not_blamed),
		T(test_an_end_before_anything_was_sent_is_an_end),
		T(test_streams_come_through_bit_for_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
