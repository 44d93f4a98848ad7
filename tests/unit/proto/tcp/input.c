/* SPDX-License-Identifier: Apache-2.0
 *
 * input - every kind of segment in every state (RFC 9293 3.10.7.4, RFC 5961), stale timestamps, and who may
 * begin anew in TIME-WAIT.
 */
#include "peer.h"

static const enum mf_tcp_state synchronized[] = {
	MF_TCP_ESTABLISHED, MF_TCP_FIN_WAIT_1, MF_TCP_FIN_WAIT_2, MF_TCP_CLOSE_WAIT,
	MF_TCP_CLOSING,     MF_TCP_LAST_ACK,   MF_TCP_TIME_WAIT,
};

/* What we have sent and the peer has acknowledged is `acked` behind; f->seq is what it sends next. */
static struct peer *peer_in(enum mf_tcp_state state)
{
	bool we_first = state == MF_TCP_FIN_WAIT_1 || state == MF_TCP_FIN_WAIT_2 ||
			state == MF_TCP_CLOSING || state == MF_TCP_TIME_WAIT;
	struct peer *f = peer_established();

	if (state == MF_TCP_ESTABLISHED)
		return f;
	if (we_first) {
		mf_tcp_shutdown(&f->c);
		assert_true(peer_take(f).flags & MF_TCP_FIN);
		if (state == MF_TCP_FIN_WAIT_2 || state == MF_TCP_TIME_WAIT)
			peer_acks(f, 2);
		if (state == MF_TCP_CLOSING || state == MF_TCP_TIME_WAIT)
			peer_put(f, MF_TCP_FIN | MF_TCP_ACK, f->seq++,
				 state == MF_TCP_TIME_WAIT ? 2 : 1, 0);
	} else {
		peer_put(f, MF_TCP_FIN | MF_TCP_ACK, f->seq++, 1, 0);
		peer_takes_ack(f);
		if (state == MF_TCP_LAST_ACK)
			mf_tcp_shutdown(&f->c);
	}
	peer_take_all(f);
	assert_int_equal(mf_tcp_state(&f->c), state);
	return f;
}

static uint32_t next_seq(const struct peer *f)
{
	return f->c.snd_nxt - f->iss;
}

/* An ACK that says where we stand; the state has not changed. */
static void challenged(struct peer *f, enum mf_tcp_state state)
{
	struct peer_seg g = peer_takes_ack(f);

	assert_int_equal(g.seq, next_seq(f));
	assert_int_equal(g.ack, f->seq);
	assert_int_equal(mf_tcp_state(&f->c), state);
}

/* RFC 5961 3.2: only the very next number resets; within the window it is asked for, beyond it ignored. */
static void test_reset(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(synchronized); i++) {
		enum mf_tcp_state s = synchronized[i];
		struct peer *f = peer_in(s);

		assert_int_equal(peer_put(f, MF_TCP_RST, f->seq + 1, 0, 0), MF_DROP_TCP_WINDOW);
		challenged(f, s);
		assert_int_equal(peer_put(f, MF_TCP_RST, f->edge, 0, 0), MF_DROP_TCP_WINDOW);
		challenged(f, s);
		assert_int_equal(peer_put(f, MF_TCP_RST, f->edge + 1, 0, 0), MF_DROP_TCP_WINDOW);
		assert_int_equal(peer_put(f, MF_TCP_RST, f->seq - 1, 0, 0), MF_DROP_TCP_WINDOW);
		assert_int_equal(peer_put(f, MF_TCP_RST | MF_TCP_ACK, f->seq - 1, 1, 0),
				 MF_DROP_TCP_WINDOW);
		peer_takes_nothing(f);
		assert_int_equal(mf_tcp_state(&f->c), s);
		assert_int_equal(peer_put(f, MF_TCP_RST, f->seq, 0, 0), MF_DROP_NONE);
		assert_int_equal(mf_tcp_state(&f->c), MF_TCP_CLOSED);
		assert_int_equal(peer_end(f),
				 s == MF_TCP_TIME_WAIT ? MF_TCP_END_DONE : MF_TCP_END_RESET);
		assert_true(mf_tcp_events(&f->c) & MF_TCP_EV_CLOSED);
		peer_takes_nothing(f);
		peer_free(f);
	}
}

/* RFC 5961 4.2: whatever its number, a SYN is asked for. */
static void test_syn(void **state)
{
	static const uint32_t places[] = { 0, 1, 1000, 1u << 30, 1u << 31 };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(synchronized); i++) {
		for (size_t k = 0; k < MF_ARRAY_LEN(places); k++) {
			struct peer *f = peer_in(synchronized[i]);

			f->ts_val++;
			assert_int_not_equal(peer_put(f, MF_TCP_SYN, f->seq - 1 + places[k], 0, 0),
					     MF_DROP_NONE);
			challenged(f, synchronized[i]);
			peer_free(f);
		}
	}
}

/* RFC 5961 5.2: an ACK of what was never sent, or long ago, is asked for, and its data not taken. */
static void test_ack(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(synchronized); i++) {
		enum mf_tcp_state s = synchronized[i];
		struct peer *f = peer_in(s);
		uint32_t una = f->c.snd_una - f->iss;

		assert_int_equal(peer_put(f, MF_TCP_ACK, f->seq, next_seq(f) + 1, 1),
				 MF_DROP_TCP_ACK);
		challenged(f, s);
		assert_int_equal(peer_put(f, MF_TCP_ACK, f->seq, una - f->c.max_wnd - 1, 1),
				 MF_DROP_TCP_ACK);
		challenged(f, s);
		/* No ACK at all is no segment of an established connection. */
		assert_int_equal(peer_put(f, 0, f->seq, 0, 5), MF_DROP_TCP_ACK);
		assert_int_equal(peer_put(f, MF_TCP_FIN, f->seq, 0, 0), MF_DROP_TCP_ACK);
		peer_takes_nothing(f);
		assert_int_equal(mf_tcp_recv_queued(&f->c), 0);
		assert_int_equal(mf_tcp_state(&f->c), s);
		peer_free(f);
	}
}

/* Data is for who has not had a FIN; nothing can follow that. */
static void test_data(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(synchronized); i++) {
		enum mf_tcp_state s = synchronized[i];
		bool open = s == MF_TCP_ESTABLISHED || s == MF_TCP_FIN_WAIT_1 ||
			    s == MF_TCP_FIN_WAIT_2;
		struct peer *f = peer_in(s);
		uint32_t una = f->c.snd_una - f->iss;

		assert_int_equal(peer_put(f, MF_TCP_ACK | MF_TCP_PSH, f->seq, una, 100),
				 open ? MF_DROP_NONE : MF_DROP_TCP_STATE);
		assert_int_equal(peer_takes_ack(f).ack, open ? f->seq + 100 : f->seq);
		assert_int_equal(mf_tcp_recv_queued(&f->c), open ? 100 : 0);
		assert_int_equal(mf_tcp_state(&f->c), s);
		if (open)
			assert_int_equal(peer_read(f, f->seq - 1), 100);
		peer_free(f);
	}
}

/* The FIN again: its ACK was lost. In TIME-WAIT the wait begins anew. */
static void test_fin_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(synchronized); i++) {
		enum mf_tcp_state s = synchronized[i];
		struct peer *f;

		if (s == MF_TCP_ESTABLISHED || s == MF_TCP_FIN_WAIT_1 || s == MF_TCP_FIN_WAIT_2)
			continue;
		f = peer_in(s);
		if (s == MF_TCP_TIME_WAIT)
			peer_wait(f, 50 * MF_SEC);
		peer_put(f, MF_TCP_FIN | MF_TCP_ACK, f->seq - 1, f->c.snd_una - f->iss, 0);
		peer_take(f);
		assert_int_equal(mf_tcp_state(&f->c), s);
		if (s == MF_TCP_TIME_WAIT) {
			peer_wait(f, 59 * MF_SEC);
			assert_int_equal(mf_tcp_state(&f->c), s);
			peer_wait(f, 2 * MF_SEC);
			assert_int_equal(peer_end(f), MF_TCP_END_DONE);
		}
		peer_free(f);
	}
}

/* Closing in all orders, each segment by itself. */
static void test_transitions(void **state)
{
	struct peer *f = peer_in(MF_TCP_FIN_WAIT_1);

	(void)state;
	/* The ACK of our FIN together with the peer's. */
	peer_put(f, MF_TCP_FIN | MF_TCP_ACK, f->seq, 2, 0);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_TIME_WAIT);
	assert_int_equal(peer_takes_ack(f).ack, 2);
	peer_free(f);

	f = peer_in(MF_TCP_CLOSING);
	peer_acks(f, 2);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_TIME_WAIT);
	peer_free(f);

	f = peer_in(MF_TCP_LAST_ACK);
	peer_acks(f, 2);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_CLOSED);
	assert_int_equal(peer_end(f), MF_TCP_END_DONE);
	peer_free(f);

	/* Half closed by us, the peer goes on for long and we acknowledge. */
	f = peer_in(MF_TCP_FIN_WAIT_2);
	for (uint64_t n = 0; n < 20; n++) {
		peer_wait(f, 30 * MF_SEC);
		peer_take_all(f);
		assert_int_equal(peer_put(f, MF_TCP_ACK | MF_TCP_PSH, f->seq, 2, 500), MF_DROP_NONE);
		f->seq += 500;
		assert_int_equal(peer_takes_ack(f).ack, f->seq);
		assert_int_equal(peer_read(f, n * 500), 500);
	}
	peer_free(f);

	/* Half closed by the peer, we go on. */
	f = peer_in(MF_TCP_CLOSE_WAIT);
	peer_send(f, 3000);
	assert_int_equal(peer_take_all(f), 3000);
	peer_acks(f, 3001);
	mf_tcp_shutdown(&f->c);
	assert_int_equal(peer_take(f).flags, MF_TCP_FIN | MF_TCP_ACK);
	peer_acks(f, 3002);
	assert_int_equal(peer_end(f), MF_TCP_END_DONE);
	peer_free(f);
}

/* A FIN before its turn: remembered, reported, obeyed when the hole is filled; what claims to lie behind it
 * is not believed. */
static void test_early_fin(void **state)
{
	struct peer *f = peer_established();
	struct peer_seg g;

	(void)state;
	assert_int_equal(peer_put(f, MF_TCP_FIN | MF_TCP_ACK, 101, 1, 100), MF_DROP_NONE);
	g = peer_takes_ack(f);
	assert_int_equal(g.ack, 1);
	assert_int_equal(g.o.n_sack, 1);
	assert_int_equal(g.o.sack[0].start, 101);
	assert_int_equal(g.o.sack[0].end, 202);
	assert_int_equal(peer_put(f, MF_TCP_ACK, 201, 1, 100), MF_DROP_NONE);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_ESTABLISHED);
	assert_int_equal(peer_put(f, MF_TCP_ACK, 1, 1, 100), MF_DROP_NONE);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_CLOSE_WAIT);
	assert_int_equal(peer_take(f).ack, 202);
	assert_int_equal(peer_read(f, 0), 200);
	assert_true(mf_tcp_eof(&f->c));
	peer_free(f);
}

/* Outside the window: an ACK, so that the peer learns where we stand; old data with a D-SACK. */
static void test_window(void **state)
{
	struct peer *f = peer_established();
	struct peer_seg g;

	(void)state;
	assert_int_equal(peer_put(f, MF_TCP_ACK, f->edge + 1, 1, 10), MF_DROP_TCP_WINDOW);
	challenged(f, MF_TCP_ESTABLISHED);
	peer_data(f, 500);
	peer_takes_ack(f);
	assert_int_equal(peer_put(f, MF_TCP_ACK, 101, 1, 300), MF_DROP_TCP_WINDOW);
	g = peer_takes_ack(f);
	assert_int_equal(g.o.n_sack, 1);
	assert_int_equal(g.o.sack[0].start, 101);
	assert_int_equal(g.o.sack[0].end, 401);
	/* Half old, half new. */
	assert_int_equal(peer_put(f, MF_TCP_ACK, 401, 1, 300), MF_DROP_NONE);
	f->seq = 701;
	g = peer_takes_ack(f);
	assert_int_equal(g.ack, 701);
	assert_int_equal(g.o.sack[0].start, 401);
	assert_int_equal(g.o.sack[0].end, 501);
	assert_int_equal(peer_read(f, 0), 700);
	/* A keepalive: one octet, or none, before what is expected. */
	for (uint32_t len = 0; len < 2; len++) {
		peer_put(f, MF_TCP_ACK, 700, 1, len);
		challenged(f, MF_TCP_ESTABLISHED);
	}
	peer_free(f);
}

/* RFC 5961 7: answers to nonsense are few, and none once they are used up; a while later there are more. */
static void test_challenge_limit(void **state)
{
	struct peer *f = peer_established();
	unsigned n = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		peer_put(f, MF_TCP_RST, f->seq + 10, 0, 0);
		peer_output(f);
	}
	n = f->n_out - f->n_seen;
	assert_in_range(n, 1, 5);
	assert_int_equal(mf_tcp_env_counters(&f->env)->challenge_acks, n);
	peer_take_all(f);
	peer_wait(f, MF_SEC);
	peer_put(f, MF_TCP_RST, f->seq + 10, 0, 0);
	challenged(f, MF_TCP_ESTABLISHED);
	/* Data that comes again is answered each time, however often. */
	peer_data(f, 100);
	peer_takes_ack(f);
	for (int i = 0; i < 50; i++) {
		peer_put(f, MF_TCP_ACK, f->seq - 100, 1, 99);
		peer_takes_ack(f);
	}
	peer_free(f);
}

/* ---- timestamps (RFC 7323) ---- */

static void test_paws(void **state)
{
	struct peer *f = peer_established();

	(void)state;
	f->ts_val = 5000;
	peer_data(f, 10);
	assert_int_equal(peer_takes_ack(f).o.ts_ecr, 5000);
	f->ts_val = 4999;
	assert_int_equal(peer_put(f, MF_TCP_ACK, f->seq, 1, 10), MF_DROP_TCP_PAWS);
	challenged(f, MF_TCP_ESTABLISHED);
	f->ts_val = 5000u - (1u << 31) + 1;
	assert_int_equal(peer_put(f, MF_TCP_ACK, f->seq, 1, 10), MF_DROP_TCP_PAWS);
	challenged(f, MF_TCP_ESTABLISHED);
	assert_int_equal(mf_tcp_env_counters(&f->env)->paws, 2);
	/* 3.2: none at all is not acceptable either, but in a reset. */
	f->ts_missing = true;
	assert_int_equal(peer_put(f, MF_TCP_ACK, f->seq, 1, 10), MF_DROP_TCP_PAWS);
	peer_take_all(f);
	assert_int_equal(mf_tcp_recv_queued(&f->c), 10);
	/* 5.5: after 24 days the clock may stand anywhere. */
	f->ts_missing = false;
	f->now += (mf_nsec)25 * 24 * 3600 * MF_SEC;
	f->ts_val = 4000;
	assert_int_equal(peer_data(f, 10), MF_DROP_NONE);
	assert_int_equal(peer_takes_ack(f).o.ts_ecr, 4000);
	f->ts_val = 3999;
	assert_int_equal(peer_put(f, MF_TCP_ACK, f->seq, 1, 10), MF_DROP_TCP_PAWS);
	f->ts_val = 1;
	assert_int_equal(peer_put(f, MF_TCP_RST, f->seq, 1, 0), MF_DROP_NONE);
	assert_int_equal(peer_end(f), MF_TCP_END_RESET);
	peer_free(f);
}

/* 4.3: the timestamp echoed is that of the segment that advanced the window, not of one beyond a hole. */
static void test_ts_recent(void **state)
{
	struct peer *f = peer_established();
	uint32_t first = f->ts_val;

	(void)state;
	peer_data(f, 100);
	peer_takes_ack(f);
	f->ts_val = first + 50;
	peer_put(f, MF_TCP_ACK, f->seq + 100, 1, 100);
	assert_int_equal(peer_takes_ack(f).o.ts_ecr, first);
	f->ts_val = first + 60;
	peer_put(f, MF_TCP_ACK, f->seq, 1, 100);
	assert_int_equal(peer_takes_ack(f).o.ts_ecr, first + 60);
	peer_free(f);
}

/* ---- malformed ---- */

static void test_bad_options(void **state)
{
	struct peer *f = peer_established();
	struct mf_pkt *p = peer_segment(f, MF_TCP_ACK, f->seq, 1, 10);

	(void)state;
	p->data[p->l4_off + sizeof(struct mf_tcp_hdr) + 3] = 11; /* length of the timestamps */
	assert_int_equal(mf_tcp_input(&f->env, &f->c, p, f->now), MF_DROP_TCP_OPTIONS);
	mf_pkt_free(p);
	peer_takes_nothing(f);
	peer_free(f);
}

static void test_closed(void **state)
{
	struct peer *f = peer_new();

	(void)state;
	assert_int_equal(peer_put(f, MF_TCP_ACK, 1, 1, 10), MF_DROP_TCP_STATE);
	assert_int_equal(mf_tcp_events(&f->c), 0);
	assert_int_equal(mf_tcp_deadline(&f->c), MF_NEVER);
	peer_free(f);
}

/* ---- TIME-WAIT ---- */

static bool may_reuse(struct peer *f, uint32_t seq, uint32_t ts_val, uint8_t flags)
{
	struct mf_pkt *p;
	bool may;

	f->ts_val = ts_val;
	p = peer_segment(f, flags, seq, 0, 0);
	may = mf_tcp_may_reuse(&f->c, p);
	mf_pkt_free(p);
	return may;
}

static void test_may_reuse(void **state)
{
	struct peer *f = peer_in(MF_TCP_TIME_WAIT);
	uint32_t ts = f->c.ts_recent;

	(void)state;
	assert_true(may_reuse(f, f->seq - 100, ts + 1, MF_TCP_SYN));
	assert_false(may_reuse(f, f->seq + 100, ts - 1, MF_TCP_SYN));
	/* The same tick: the number decides. */
	assert_true(may_reuse(f, f->seq + 1, ts, MF_TCP_SYN));
	assert_false(may_reuse(f, f->seq, ts, MF_TCP_SYN));
	assert_false(may_reuse(f, f->seq + 100, ts + 1, MF_TCP_SYN | MF_TCP_ACK));
	f->ts = false;
	assert_true(may_reuse(f, f->seq + 1, 0, MF_TCP_SYN));
	assert_false(may_reuse(f, f->seq, 0, MF_TCP_SYN));
	peer_free(f);

	f = peer_in(MF_TCP_LAST_ACK);
	assert_false(may_reuse(f, f->seq + 100, f->ts_val + 1, MF_TCP_SYN));
	peer_free(f);
}

/* ---- anything ---- */

/* Segments that make no sense in any order: no state is left in a mess, and the books always agree
 * (peer_put looks). */
static void test_random(void **state)
{
	struct mf_prng g = unit_prng("tcp input");

	(void)state;
	for (int run = 0; run < 300; run++) {
		struct peer *f = peer_in(synchronized[mf_prng_below(&g, MF_ARRAY_LEN(synchronized))]);

		f->seq = mf_tcp_eof(&f->c) ? 2 : 1;
		for (int i = 0; i < 60 && mf_tcp_state(&f->c) != MF_TCP_CLOSED; i++) {
			uint8_t flags = (uint8_t)(mf_prng_below(&g, 64) | MF_TCP_ACK);
			uint32_t seq = f->seq + (uint32_t)mf_prng_below(&g, 4000) - 1000;
			uint32_t ack = next_seq(f) + (uint32_t)mf_prng_below(&g, 20) - 18;

			if (mf_prng_below(&g, 8))
				flags &= (uint8_t) ~(MF_TCP_RST | MF_TCP_SYN | MF_TCP_FIN);
			if (mf_prng_below(&g, 2)) {
				f->blocks[0].start = ack + (uint32_t)mf_prng_below(&g, 30);
				f->blocks[0].end =
					f->blocks[0].start + (uint32_t)mf_prng_below(&g, 30);
				f->n_blocks = 1;
			}
			f->ts_val += (uint32_t)mf_prng_below(&g, 3);
			f->ts_val -= mf_prng_below(&g, 10) == 0;
			peer_put(f, flags, seq, ack, (uint32_t)mf_prng_below(&g, 800));
			if (mf_tcp_state(&f->c) == MF_TCP_ESTABLISHED ||
			    mf_tcp_state(&f->c) == MF_TCP_CLOSE_WAIT)
				peer_send(f, 1 + mf_prng_below(&g, 20));
			if (mf_prng_below(&g, 3) == 0)
				peer_wait(f, mf_prng_below(&g, 300) * MF_MSEC);
			peer_take_all(f);
			peer_take_all(f);
			f->n_out = f->n_seen = 0;
		}
		peer_free(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_syn),
		cmocka_unit_test(test_ack),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_fin_again),
		cmocka_unit_test(test_transitions),
		cmocka_unit_test(test_early_fin),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_challenge_limit),
		cmocka_unit_test(test_paws),
		cmocka_unit_test(test_ts_recent),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_may_reuse),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("tcp/input", tests, NULL, NULL);
}
