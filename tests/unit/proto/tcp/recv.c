/* SPDX-License-Identifier: Apache-2.0
 *
 * recv - payload that comes in, in the packets it came in; the window, which never takes back what it has
 * promised (peer.h looks at that in every segment); and what happens when memory is short.
 */
#include "peer.h"
#include "proto/tcp/internal.h"

/* ---- the queue ---- */

/* A super-packet is taken as it is: one span, no copy. */
static void test_super_packet(void **state)
{
	struct peer *f = peer_established();
	uint32_t small = mf_pkt_pool_free_small(f->pool), large = mf_pkt_pool_free_large(f->pool);
	struct mf_span v[4];
	size_t bytes;

	(void)state;
	f->gso = PEER_MSS;
	peer_data(f, 40000);
	assert_true(mf_tcp_events(&f->c) & MF_TCP_EV_READABLE);
	assert_int_equal(mf_tcp_recv_spans(&f->c, v, 4, &bytes), 1);
	assert_int_equal(bytes, 40000);
	assert_int_equal(v[0].n, 40000);
	assert_int_equal(mf_pkt_pool_free_small(f->pool), small);
	assert_int_equal(mf_pkt_pool_free_large(f->pool), large - 1);
	assert_int_equal(mf_tcp_env_rx_held(&f->env), MF_PKT_LARGE_MAX);
	/* Read in pieces: the packet stays until its last byte. */
	mf_tcp_recv_done(&f->env, &f->c, 39999);
	assert_int_equal(mf_tcp_recv_queued(&f->c), 1);
	assert_int_equal(mf_pkt_pool_free_large(f->pool), large - 1);
	assert_int_equal(mf_tcp_recv_spans(&f->c, v, 4, NULL), 1);
	assert_int_equal(v[0].p[0], peer_byte(39999));
	mf_tcp_recv_done(&f->env, &f->c, 1);
	assert_int_equal(mf_pkt_pool_free_large(f->pool), large);
	assert_int_equal(mf_tcp_recv_spans(&f->c, v, 4, &bytes), 0);
	assert_int_equal(bytes, 0);
	peer_free(f);
}

static void test_spans(void **state)
{
	struct peer *f = peer_established();
	struct mf_span v[8];
	size_t bytes;

	(void)state;
	for (uint32_t i = 1; i <= 5; i++)
		peer_data(f, 100 * i);
	assert_int_equal(mf_tcp_recv_spans(&f->c, v, 3, &bytes), 3);
	assert_int_equal(bytes, 600);
	assert_int_equal(mf_tcp_recv_queued(&f->c), 1500);
	mf_tcp_recv_done(&f->env, &f->c, 350); /* in the middle of the third */
	assert_int_equal(mf_tcp_recv_spans(&f->c, v, 8, &bytes), 3);
	assert_int_equal(v[0].n, 250);
	assert_int_equal(bytes, 1150);
	assert_int_equal(peer_read(f, 350), 1150);
	peer_free(f);
}

/* Segments in any order, overlapping, again, in pieces of any size: the stream is what it was. Old data wins
 * over new (peer_read would see a difference: there is none to see). */
static void test_any_order(void **state)
{
	struct mf_prng g = unit_prng("tcp recv");
	enum { TOTAL = 60000 };

	(void)state;
	for (int run = 0; run < 60; run++) {
		struct peer *f = peer_established();
		uint64_t read = 0;

		while (f->c.rcv_nxt - PEER_ISS - 1 < TOTAL) {
			uint32_t nxt = f->c.rcv_nxt - PEER_ISS;
			uint32_t seq = nxt + (uint32_t)mf_prng_below(&g, 6000) - 1500;
			uint32_t len = 1 + (uint32_t)mf_prng_below(&g, 3000);

			if (mf_prng_below(&g, 4) == 0)
				seq = nxt;
			if ((int32_t)seq < 1)
				seq = 1;
			if (seq > TOTAL)
				seq = TOTAL;
			len = (uint32_t)mf_min(len, TOTAL + 1 - seq);
			f->ts_val++;
			peer_put(f, MF_TCP_ACK, seq, 1, len);
			if (mf_prng_below(&g, 3) == 0)
				read += peer_read(f, read);
			peer_take_all(f);
			f->n_out = f->n_seen = 0;
		}
		read += peer_read(f, read);
		assert_int_equal(read, TOTAL);
		peer_free(f);
	}
}

/* What lies beyond a hole is reported (RFC 2018), the latest first. */
static void test_sack(void **state)
{
	struct peer *f = peer_established();
	struct peer_seg g;

	(void)state;
	for (uint32_t i = 1; i < 9; i += 2) {
		peer_put(f, MF_TCP_ACK, 1 + i * 100, 1, 100);
		g = peer_takes_ack(f);
		assert_int_equal(g.ack, 1);
		assert_int_equal(g.o.sack[0].start, 1 + i * 100);
		assert_int_equal(g.o.sack[0].end, 101 + i * 100);
	}
	assert_int_equal(g.o.n_sack, 3); /* there is room for so many beside timestamps */
	assert_int_equal(mf_tcp_env_counters(&f->env)->out_of_order, 4);
	peer_free(f);
}

/* All in one turn: as many ACKs as it takes to say all of it. */
static void test_sack_in_bulk(void **state)
{
	struct peer *f = peer_established();
	bool said[9] = { false };

	(void)state;
	for (uint32_t i = 1; i <= 17; i += 2)
		peer_put(f, MF_TCP_ACK, 1 + i * 100, 1, 100);
	peer_output(f);
	assert_in_range(f->n_out - f->n_seen, 3, 4);
	for (; f->n_seen < f->n_out; f->n_seen++) {
		const struct peer_seg *g = &f->out[f->n_seen];

		assert_int_equal(g->ack, 1);
		for (uint8_t k = 0; k < g->o.n_sack; k++) {
			assert_int_equal(g->o.sack[k].end - g->o.sack[k].start, 100);
			said[(g->o.sack[k].start - 101) / 200] = true;
		}
	}
	for (int i = 0; i < 9; i++)
		assert_true(said[i]);
	peer_free(f);

	/* A peer without SACK counts: each duplicate is one, up to what it takes for a fast retransmit. */
	f = peer_new();
	f->sack = false;
	peer_establish(f);
	for (uint32_t i = 1; i <= 8; i++)
		peer_put(f, MF_TCP_ACK, 1 + i * 100, 1, 100);
	peer_output(f);
	assert_in_range(f->n_out - f->n_seen, 3, 8);
	for (; f->n_seen < f->n_out; f->n_seen++) {
		assert_int_equal(f->out[f->n_seen].ack, 1);
		assert_int_equal(f->out[f->n_seen].o.n_sack, 0);
	}
	peer_free(f);
}

/* ---- the window ---- */

static uint32_t window(struct peer *f)
{
	return f->edge - (f->c.rcv_nxt - PEER_ISS);
}

/* Full: beyond it nothing is taken; reading a little opens nothing, reading a quarter does. */
static void test_full(void **state)
{
	struct peer *f = peer_new();
	uint32_t half = 32768;
	struct peer_seg g;

	(void)state;
	f->cfg.rcv_wnd_max = 65536;
	peer_establish(f);
	f->gso = PEER_MSS;
	peer_data(f, half);
	peer_takes_ack(f);
	peer_data(f, half);
	g = peer_takes_ack(f);
	assert_int_equal(g.wnd, 0);
	assert_int_equal(window(f), 0);
	/* What comes all the same is answered and not taken. */
	assert_int_equal(peer_put(f, MF_TCP_ACK, f->seq, 1, 1), MF_DROP_NONE);
	assert_int_equal(peer_takes_ack(f).ack, f->seq);
	assert_int_equal(mf_tcp_recv_queued(&f->c), 65536);
	mf_tcp_recv_done(&f->env, &f->c, 10000);
	peer_takes_nothing(f);
	mf_tcp_recv_done(&f->env, &f->c, 6400);
	g = peer_takes_ack(f);
	assert_in_range(window(f), 16384, 16400);
	mf_tcp_recv_done(&f->env, &f->c, 65536 - 16400);
	g = peer_takes_ack(f);
	assert_in_range(window(f), 65535, 65537);
	peer_free(f);
}

/* Beyond the edge it is cut off; what is before it is taken. */
static void test_beyond_the_edge(void **state)
{
	struct peer *f = peer_new();

	(void)state;
	f->cfg.rcv_wnd_max = 2000;
	peer_establish(f);
	assert_int_equal(peer_put(f, MF_TCP_ACK | MF_TCP_FIN, 1, 1, 3000), MF_DROP_NONE);
	assert_int_equal(mf_tcp_recv_queued(&f->c), 2000);
	assert_false(mf_tcp_eof(&f->c)); /* the FIN lies behind */
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_ESTABLISHED);
	assert_int_equal(peer_takes_ack(f).ack, 2001);
	assert_int_equal(peer_read(f, 0), 2000);
	assert_int_equal(peer_takes_ack(f).wnd, 2000);
	peer_free(f);
}

/* A window that the scale cannot say exactly is rounded up, and a peer that sends byte after byte does not
 * make it grow for ever. */
static void test_rounding(void **state)
{
	struct peer *f = peer_new();
	uint32_t n = 0;

	(void)state;
	f->cfg.rcv_wnd_max = 1 << 30; /* steps of 16 KiB */
	f->cfg.rcv_wnd_init = 70000;
	peer_establish(f);
	f->gso = PEER_MSS;
	for (; n < 3000 && window(f); n++) {
		uint32_t len = n < 2 ? 34000 : 37;

		if (peer_put(f, MF_TCP_ACK | MF_TCP_PSH, f->seq, 1, len))
			break;
		f->seq = f->c.rcv_nxt - PEER_ISS;
		peer_take_all(f);
		f->n_out = f->n_seen = 0;
	}
	assert_true(n < 3000);
	assert_in_range(mf_tcp_recv_queued(&f->c), 70000, 70000 + (64 << 10));
	peer_free(f);
}

/* A reader that keeps up gets more, up to the limit; one that does not, does not. */
static void test_autotuning(void **state)
{
	(void)state;
	for (int fast = 0; fast < 2; fast++) {
		struct peer *f = peer_new();
		uint64_t read = 0;

		f->cfg.rcv_wnd_max = 1 << 20;
		f->ts = false; /* this peer echoes at once what it should echo a round trip later */
		peer_establish(f);
		f->gso = PEER_MSS;
		for (int trip = 0; trip < 40; trip++) {
			/* In each round trip as much as the window was at its beginning. */
			for (uint32_t n = window(f); n >= 20000; n -= 20000) {
				assert_int_equal(peer_data(f, 20000), MF_DROP_NONE);
				if (fast)
					read += peer_read(f, read);
				peer_take_all(f);
				f->n_out = f->n_seen = 0;
			}
			f->now += 10 * MF_MSEC;
			f->ts_val += 10;
			if (!fast && mf_tcp_recv_queued(&f->c) >= 10000)
				mf_tcp_recv_done(&f->env, &f->c, 10000);
			peer_take_all(f);
			f->n_out = f->n_seen = 0;
		}
		if (fast)
			assert_in_range(window(f), 1 << 20, (1 << 20) + 127);
		else
			assert_int_equal(f->c.rcv_buf, 65536);
		peer_free(f);
	}
}

/* ---- memory ---- */

/* One byte in each packet: they share packets before they cost a thousand times what they carry. */
static void test_tiny_segments(void **state)
{
	struct peer *f = peer_established();

	(void)state;
	for (int i = 0; i < 3000; i++) {
		peer_data(f, 1);
		peer_take_all(f);
		f->n_out = f->n_seen = 0;
	}
	assert_int_equal(mf_tcp_recv_queued(&f->c), 3000);
	assert_true(mf_tcp_env_rx_held(&f->env) <= 128 << 10);
	assert_int_equal(peer_read(f, 0), 3000);
	peer_free(f);
}

/* The thread's budget: little payload moves out of large packets, then new data is refused by name, what is
 * acknowledged stays, and the window shrinks only as data comes. */
static void test_budget(void **state)
{
	struct peer *f = peer_new();
	enum mf_drop r = MF_DROP_NONE;
	uint32_t taken = 0;

	(void)state;
	f->env.rx_budget = 256 << 10;
	f->cfg.rcv_wnd_init = 1 << 20;
	peer_establish(f);
	f->c.rcv_adv += 1 << 20; /* promised when there was more */
	for (int i = 0; i < 400 && !r; i++) {
		r = peer_put(f, MF_TCP_ACK, f->seq, 1, 1401);
		taken += r ? 0 : 1401;
		f->seq = f->c.rcv_nxt - PEER_ISS;
		assert_true(mf_tcp_env_rx_held(&f->env) <= f->env.rx_budget);
	}
	assert_int_equal(r, MF_DROP_TCP_BUDGET);
	assert_true(mf_tcp_env_counters(&f->env)->no_memory);
	/* Each came in 64 KiB: without copying there would be room for four. */
	assert_in_range(taken, 60000, 256 << 10);
	assert_int_equal(peer_take(f).ack, 1 + taken);
	/* What was refused comes again when there is room. */
	assert_int_equal(peer_read(f, 0), taken);
	assert_int_equal(peer_put(f, MF_TCP_ACK, f->seq, 1, 1401), MF_DROP_NONE);
	assert_int_equal(peer_read(f, taken), 1401);
	peer_free(f);
}

/* What is in order drives out what is not. */
static void test_budget_prunes(void **state)
{
	struct peer *f = peer_new();
	uint32_t held;

	(void)state;
	f->env.rx_budget = 64 << 10;
	peer_establish(f);
	for (uint32_t i = 1; i < 60; i++) {
		peer_put(f, MF_TCP_ACK, 1 + i * 1000, 1, 1000);
		assert_true(mf_tcp_env_rx_held(&f->env) <= f->env.rx_budget);
		peer_take_all(f);
	}
	held = f->c.reass.n;
	assert_in_range(held, 20, 32);
	assert_int_equal(peer_put(f, MF_TCP_ACK, 1, 1, 900), MF_DROP_NONE);
	assert_int_equal(mf_tcp_recv_queued(&f->c), 900);
	assert_true(f->c.reass.n < held);
	peer_free(f);
}

/* Others hold it all: who holds nothing is still offered a little, and can use it. */
static void test_budget_of_others(void **state)
{
	struct peer *f = peer_new();

	(void)state;
	f->env.rx_budget = 1 << 20;
	peer_establish(f);
	f->env.s->rx_held = (1 << 20) - (100 << 10);
	assert_int_equal(peer_data(f, 1000), MF_DROP_NONE);
	peer_takes_ack(f);
	assert_int_equal(peer_read(f, 0), 1000);
	f->env.s->rx_held -= (1 << 20) - (100 << 10);
	peer_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_super_packet),     cmocka_unit_test(test_spans),
		cmocka_unit_test(test_any_order),        cmocka_unit_test(test_sack),
		cmocka_unit_test(test_sack_in_bulk),     cmocka_unit_test(test_full),
		cmocka_unit_test(test_beyond_the_edge),  cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_autotuning),       cmocka_unit_test(test_tiny_segments),
		cmocka_unit_test(test_budget),           cmocka_unit_test(test_budget_prunes),
		cmocka_unit_test(test_budget_of_others),
	};

	return cmocka_run_group_tests_name("tcp/recv", tests, NULL, NULL);
}
