/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS over TCP: pipelining, pieces, the life of connections, and servers that end them, say nothing
 * or nonsense.
 */
#include "asklab.h"

#include "base/endian.h"

static struct fakedns_server *begin(void)
{
	lab_begin();
	lab_open(MF_DNS_OVER_TCP, "192.0.2.53:53", "[2001:db8::53]:53");
	return &lab.far.server[0];
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void pipelines(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	s->delay = 20 * MF_MSEC;
	s->backwards = true;
	for (unsigned i = 0; i < 100; i++)
		lab_ask(i, 0);
	lab_advance(39 * MF_MSEC);
	assert_int_equal(lab.n_done, 0);
	lab_advance(2 * MF_MSEC);
	for (unsigned i = 0; i < 100; i++)
		lab_answered(i, 0);
	assert_int_equal(s->n_conns, 1);
	assert_int_equal(s->n_malformed, 0);
	assert_int_equal(lab.count.connections, 1);
	assert_int_equal(lab.count.reused, 99);
	lab_close();
}

/* Every cut of every read and write. */
static void any_pieces(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 80; piece++) {
		struct fakedns_server *s = begin();

		s->piece = piece;
		lab.far.streams.prng = &lab.prng;
		for (unsigned i = 0; i < 10; i++)
			lab_ask(i, 0);
		lab_advance(2 * MF_SEC);
		for (unsigned i = 0; i < 10; i++)
			lab_answered(i, 0);
		lab_close();
	}
}

static void long_answers(void **state)
{
	static const size_t size[] = { 512, 4096, 65534, 65535 };

	(void)state;
	for (size_t k = 0; k < MF_ARRAY_LEN(size); k++) {
		struct fakedns_server *s = begin();

		s->size = size[k];
		for (unsigned i = 0; i < 20; i++)
			lab_ask(i, 0);
		lab_advance(MF_MSEC);
		for (unsigned i = 0; i < 20; i++) {
			assert_int_equal(lab.ask[i].done, 1);
			assert_int_equal(lab.ask[i].n, size[k]);
		}
		lab_close();
	}
}

/* What does not fit into the queue of bytes waits, and leaves when the connection takes more. */
static void slow_reader(void **state)
{
	struct fakedns_server *s = begin();
	unsigned n = 256;

	(void)state;
	lab.far.streams.may_write = 100;
	for (unsigned i = 0; i < n; i++)
		lab_ask(i, 0);
	lab_settle();
	assert_in_range(s->n_tcp, 1, 2);
	while (lab.n_done < n) {
		unsigned before = s->n_tcp;

		fake_take(lab.far.streams.last, 500);
		lab_settle();
		assert_true(s->n_tcp > before);
	}
	assert_int_equal(lab.count.asked, n);
	lab_close();
}

/* Each address has a connection of its own. */
static void two_addresses(void **state)
{
	begin();
	(void)state;
	lab_ask(0, 0);
	lab_ask(1, 1);
	lab_ask(2, 1);
	lab_advance(MF_MSEC);
	lab_answered(0, 0);
	lab_answered(1, 1);
	lab_answered(2, 1);
	assert_int_equal(lab.far.server[0].n_conns, 1);
	assert_int_equal(lab.far.server[1].n_conns, 1);
	lab_close();
}

/* ---- Nonsense -------------------------------------------------------------------------------- */

static void wrong_answers_end_it(void **state)
{
	static const struct {
		enum fakedns_twist twist;
		size_t counter;
	} wrong[] = {
		{ FAKEDNS_WRONG_NAME, offsetof(struct mf_transport_counters, spoofed) },
		{ FAKEDNS_WRONG_TYPE, offsetof(struct mf_transport_counters, spoofed) },
		{ FAKEDNS_TRUNCATED, offsetof(struct mf_transport_counters, malformed) },
		{ FAKEDNS_CUT, offsetof(struct mf_transport_counters, malformed) },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(wrong); i++) {
		begin()->tcp_twist = wrong[i].twist;
		lab_ask(0, 0);
		lab_settle();
		lab_failed(0, MF_TRANSPORT_BROKEN);
		assert_int_equal(*(uint64_t *)((char *)&lab.count + wrong[i].counter), 1);
		/* The connection stays: its framing is sound. */
		lab.far.server[0].tcp_twist = FAKEDNS_RIGHT;
		lab_ask(0, 0);
		lab_settle();
		lab_answered(0, 0);
		assert_int_equal(lab.far.server[0].n_conns, 1);
		lab_close();
	}
}

static void wrong_id_is_unexpected(void **state)
{
	begin()->tcp_twist = FAKEDNS_WRONG_ID;
	(void)state;
	lab_ask(0, 0);
	lab_settle();
	assert_int_equal(lab.n_done, 0);
	assert_int_equal(lab.count.unexpected, 1);
	lab_advance(6 * MF_SEC);
	lab_failed(0, MF_TRANSPORT_TIMEOUT);
	lab_close();
}

static void too_short_ends_the_connection(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	s->tcp_twist = FAKEDNS_SHORT;
	lab_ask(0, 0);
	lab_ask(1, 0);
	lab_settle();
	lab_failed(0, MF_TRANSPORT_BROKEN);
	lab_failed(1, MF_TRANSPORT_BROKEN);
	assert_int_equal(lab.far.streams.n_open, 0);
	lab_close();
}

static void answered_twice(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	s->tcp_twist = FAKEDNS_TWICE;
	lab_ask(0, 0);
	lab_settle();
	lab_answered(0, 0);
	assert_int_equal(lab.count.unexpected, 1);
	lab_close();
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void stays_for_a_while(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		lab_ask(i, 0);
		lab_advance(9 * MF_SEC);
		lab_answered(i, 0);
	}
	assert_int_equal(s->n_conns, 1);
	assert_int_equal(lab.count.reused, 4);
	assert_int_equal(lab.far.streams.n_open, 1);
	lab_advance(2 * MF_SEC);
	assert_int_equal(lab.far.streams.n_open, 0);
	lab_ask(5, 0);
	lab_settle();
	lab_answered(5, 0);
	assert_int_equal(s->n_conns, 2);
	lab_close();
}

static void no_way(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	lab.down = true;
	lab_ask(0, 0); /* asserts that it is not told at once */
	lab_settle();
	lab_failed(0, MF_TRANSPORT_UNREACHABLE);
	lab.down = false;
	lab.far.streams.refuse = MF_STREAM_E_NO_RESOURCES;
	lab_ask(1, 0);
	lab_settle();
	lab_failed(1, MF_TRANSPORT_RESOURCES);
	lab.far.streams.refuse = MF_STREAM_E_NONE;
	lab.far.streams.fail = MF_STREAM_E_NET_UNREACHABLE;
	lab_ask(2, 0);
	lab_settle();
	lab_failed(2, MF_TRANSPORT_UNREACHABLE);
	lab.far.streams.fail = MF_STREAM_E_NONE;
	s->refuses = MF_STREAM_E_REFUSED;
	lab_ask(3, 0);
	lab_settle();
	lab_failed(3, MF_TRANSPORT_UNREACHABLE);
	lab_close();
}

/* Connections that nobody answers are given up before the outbound does. */
static void deaf(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	s->deaf = true;
	lab_ask(0, 0);
	lab_advance(3900 * MF_MSEC);
	assert_int_equal(lab.n_done, 0);
	lab_advance(200 * MF_MSEC);
	lab_failed(0, MF_TRANSPORT_TIMEOUT);
	assert_int_equal(lab.far.streams.n_open, 0);
	lab_close();
}

/* A server may end a connection with questions on it: they are asked once more. */
static void ends_under_questions(void **state)
{
	(void)state;
	for (int resets = 0; resets < 2; resets++) {
		struct fakedns_server *s = begin();

		s->ends_after = 3;
		s->resets = resets;
		for (unsigned i = 0; i < 5; i++)
			lab_ask(i, 0);
		lab_advance(2 * MF_MSEC);
		for (unsigned i = 0; i < 5; i++)
			lab_answered(i, 0);
		assert_int_equal(s->n_conns, 2);
		lab_close();
	}
}

/* But not by a server that has never answered, and not for ever. */
static void ends_at_once(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	for (int resets = 0; resets < 2; resets++) {
		s->delay = 10 * MF_MSEC;
		s->tcp_twist = FAKEDNS_RIGHT;
		lab_ask(0, 0);
		lab_advance(15 * MF_MSEC);
		if (resets)
			fake_fail(lab.far.streams.last, MF_STREAM_E_RESET);
		else
			fake_end(lab.far.streams.last);
		lab_settle();
		lab_failed(0, MF_TRANSPORT_UNREACHABLE);
	}
	assert_int_equal(s->n_conns, 2);
	s->delay = 0;
	s->ends_after = 1;
	s->backwards = true;
	for (unsigned i = 0; i < 10; i++)
		lab_ask(i, 0);
	lab_settle();
	assert_int_equal(lab.n_done, 2 + 10);
	assert_int_equal(s->n_conns, 4);
	lab_close();
}

/* The connection is dead: NAT has forgotten it, TCP does not know yet. */
static void dead_connection(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	lab_ask(0, 0);
	lab_advance(5 * MF_SEC);
	lab_answered(0, 0);
	s->tcp_twist = FAKEDNS_SILENT;
	lab_ask(1, 0);
	lab_advance(MF_SEC);
	lab_ask(2, 0);
	lab_advance(2900 * MF_MSEC);
	assert_int_equal(s->n_conns, 1);
	s->tcp_twist = FAKEDNS_RIGHT;
	lab_advance(200 * MF_MSEC);
	assert_int_equal(s->n_conns, 2);
	lab_answered(1, 0);
	lab_answered(2, 0);
	lab_close();
}

/* Also if all questions are taken back, because others answer faster. */
static void dead_connection_without_questions(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	lab_ask(0, 0);
	lab_settle();
	lab_answered(0, 0);
	s->tcp_twist = FAKEDNS_SILENT;
	for (unsigned i = 1; i < 50; i++) {
		lab_ask(i, 0);
		lab_advance(50 * MF_MSEC);
		mf_transport_cancel(lab.t, &lab.ask[i].ask);
		lab_advance(50 * MF_MSEC);
	}
	assert_int_equal(s->n_conns, 2);
	lab_close();
}

static void taken_back(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	s->delay = 10 * MF_MSEC;
	lab_ask(0, 0); /* before it has been sent */
	mf_transport_cancel(lab.t, &lab.ask[0].ask);
	lab_ask(1, 0);
	lab_advance(15 * MF_MSEC);
	mf_transport_cancel(lab.t, &lab.ask[1].ask);
	lab_advance(MF_SEC);
	assert_int_equal(lab.n_done, 0);
	assert_int_equal(s->n_tcp, 1);
	assert_int_equal(lab.count.unexpected, 1);
	lab_close();
}

static void reset_asks_anew(void **state)
{
	struct fakedns_server *s = begin();

	(void)state;
	s->tcp_twist = FAKEDNS_SILENT;
	for (unsigned i = 0; i < 10; i++)
		lab_ask(i, i & 1);
	lab_settle();
	s->tcp_twist = FAKEDNS_RIGHT;
	mf_transport_reset(lab.t, lab.now);
	lab_settle();
	assert_int_equal(s->n_conns, 2);
	for (unsigned i = 0; i < 10; i++)
		if (!(i & 1))
			lab_answered(i, 0);
	lab_close();
}

static void everything_ends(void **state)
{
	struct fakedns_server *s = begin();
	unsigned asked = 0;

	(void)state;
	lab.far.streams.prng = &lab.prng;
	for (int round = 0; round < 300; round++) {
		s = &lab.far.server[round & 1];
		s->tcp_twist = (enum fakedns_twist)mf_prng_below(&lab.prng, FAKEDNS_TWISTS);
		s->delay = mf_prng_below(&lab.prng, 300 * MF_MSEC);
		s->deaf = !mf_prng_below(&lab.prng, 5);
		s->refuses = mf_prng_below(&lab.prng, 5) ? MF_STREAM_E_NONE : MF_STREAM_E_REFUSED;
		s->ends_after = (uint32_t)mf_prng_below(&lab.prng, 4);
		s->resets = mf_prng_below(&lab.prng, 2);
		s->backwards = mf_prng_below(&lab.prng, 2);
		s->piece = mf_prng_below(&lab.prng, 60);
		lab.down = !mf_prng_below(&lab.prng, 20);
		for (unsigned n = (unsigned)mf_prng_below(&lab.prng, 60); n; n--) {
			unsigned i = (unsigned)mf_prng_below(&lab.prng, 200);

			if (lab.ask[i].ask.transport)
				continue;
			assert_int_equal(lab.ask[i].done, lab.ask[i].name.n > 0);
			lab_ask(i, i & 1);
			asked++;
		}
		if (!mf_prng_below(&lab.prng, 30))
			mf_transport_reset(lab.t, lab.now);
		lab_advance(mf_prng_below(&lab.prng, MF_SEC));
	}
	lab_advance(6 * MF_SEC);
	assert_int_equal(lab.n_done, asked);
	lab_advance(20 * MF_SEC);
	assert_int_equal(lab.far.streams.n_open, 0);
	lab_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipelines),
		cmocka_unit_test(any_pieces),
		cmocka_unit_test(long_answers),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(two_addresses),
		cmocka_unit_test(wrong_answers_end_it),
		cmocka_unit_test(wrong_id_is_unexpected),
		cmocka_unit_test(too_short_ends_the_connection),
		cmocka_unit_test(answered_twice),
		cmocka_unit_test(stays_for_a_while),
		cmocka_unit_test(no_way),
		cmocka_unit_test(deaf),
		cmocka_unit_test(ends_under_questions),
		cmocka_unit_test(ends_at_once),
		cmocka_unit_test(dead_connection),
		cmocka_unit_test(dead_connection_without_questions),
		cmocka_unit_test(taken_back),
		cmocka_unit_test(reset_asks_anew),
		cmocka_unit_test(everything_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
