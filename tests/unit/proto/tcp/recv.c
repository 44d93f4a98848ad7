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

/* Connections that share one environment's account. */
enum { PEERS = 12 };
struct crowd {
	struct peer *f[PEERS];
	struct mf_tcp_env_state *own[PEERS];
};

static void crowd_open(struct crowd *w, uint64_t budget)
{
	memset(w, 0, sizeof(*w));
	for (unsigned i = 0; i < PEERS; i++) {
		struct peer *f = w->f[i] = peer_new();

		w->own[i] = f->env.s;
		f->env.s = w->own[0];
		f->env.rx_budget = budget;
		f->cfg.rcv_wnd_max = (uint32_t)(budget / 4);
		f->ts = false;
		peer_establish(f);
	}
}

static void crowd_close(struct crowd *w)
{
	for (unsigned i = 0; i < PEERS; i++) {
		struct peer *f = w->f[i];

		mf_tcp_free(&f->env, &f->c);
		mf_tcp_env_sweep(&f->env);
	}
	for (unsigned i = PEERS; i-- > 0;) {
		w->f[i]->env.s = w->own[i];
		peer_free(w->f[i]);
	}
}

/* A packet of this size, or of the whole segments that the window takes; false: it takes none, or memory
 * does not. */
static bool crowd_put(struct crowd *w, unsigned i, uint32_t bytes)
{
	struct peer *f = w->f[i];
	enum mf_drop r;

	if (window(f) < bytes)
		bytes = window(f) - window(f) % PEER_MSS;
	if (!bytes)
		return false;
	f->gso = PEER_MSS;
	r = peer_data(f, bytes);
	f->seq = f->c.rcv_nxt - PEER_ISS;
	assert_true(mf_tcp_env_rx_held(&f->env) <= f->env.rx_budget);
	f->n_out = f->n_seen = 0;
	return r == MF_DROP_NONE;
}

/* All of them send what they may, the readers do nothing. */
static void crowd_fill(struct crowd *w, uint32_t bytes)
{
	bool more = true;

	while (more) {
		more = false;
		for (unsigned i = 0; i < PEERS; i++)
			more |= crowd_put(w, i, bytes);
	}
	for (unsigned i = 0; i < PEERS; i++)
		peer_take_all(w->f[i]);
}

static void crowd_read(struct crowd *w, unsigned i, size_t n)
{
	struct peer *f = w->f[i];

	mf_tcp_recv_done(&f->env, &f->c, mf_min(n, mf_tcp_recv_queued(&f->c)));
	peer_take_all(f);
	f->n_out = f->n_seen = 0;
}

/* Windows grow while readers keep up. When these lag, what is promised anew comes out of the budget: soon
 * nothing that the windows allow has to be let go, though packets come half empty, and all move on. */
static void test_budget_of_laggards(void **state)
{
	static const uint32_t size[] = { 1460, 5000, 9000, 17000, 27000, 33000, 60000 };
	struct mf_prng g = unit_prng("tcp budget");

	(void)state;
	for (unsigned k = 0; k < MF_ARRAY_LEN(size); k++) {
		uint32_t from[PEERS];
		uint64_t before = 0;
		struct crowd w;

		crowd_open(&w, 3 << 19);
		for (unsigned trip = 0; trip < 40; trip++)
			for (unsigned i = 0; i < PEERS; i++) {
				for (uint32_t n = window(w.f[i]); n >= size[k]; n -= size[k]) {
					assert_true(crowd_put(&w, i, size[k]));
					crowd_read(&w, i, size[k]);
				}
				w.f[i]->now += 10 * MF_MSEC;
			}
		assert_int_equal(mf_tcp_env_counters(&w.f[0]->env)->no_memory, 0);
		assert_in_range(window(w.f[0]), 300 << 10, 1 << 20);
		crowd_fill(&w, size[k]);
		for (unsigned i = 0; i < PEERS; i++)
			from[i] = w.f[i]->c.rcv_nxt;
		for (unsigned turn = 0; turn < 4000; turn++) {
			unsigned i = (unsigned)mf_prng_below(&g, PEERS);

			w.f[i]->now += MF_MSEC;
			crowd_read(&w, i, mf_prng_below(&g, 100000));
			/* Several have been promised more by the time they send. */
			if (!mf_prng_below(&g, 8))
				crowd_fill(&w, size[k]);
			/* What was promised before has come by then. */
			if (turn == 1000)
				before = mf_tcp_env_counters(&w.f[0]->env)->no_memory;
		}
		assert_int_equal(mf_tcp_env_counters(&w.f[0]->env)->no_memory, before);
		for (unsigned i = 0; i < PEERS; i++)
			assert_true(w.f[i]->c.rcv_nxt - from[i] > 1 << 20);
		crowd_close(&w);
	}
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

/* Many send what they may, some of it with a gap before, and nobody reads. When memory is all but used up,
 * who holds nothing can still leave a little: the beginning of a packet, and that is what is acknowledged. */
static void test_budget_of_newcomers(void **state)
{
	enum { LARGE = 8, SIZE = 60000 };
	struct crowd w;

	(void)state;
	crowd_open(&w, (LARGE + 2) * MF_PKT_LARGE_MAX);
	for (unsigned i = 0; i < LARGE; i++) {
		w.f[i]->gso = PEER_MSS;
		w.f[i]->seq += i % 2;
		assert_int_equal(peer_data(w.f[i], SIZE), MF_DROP_NONE);
	}
	for (unsigned i = LARGE; i < PEERS - 1; i++) {
		w.f[i]->gso = PEER_MSS;
		w.f[i]->seq += i % 2;
		assert_int_equal(peer_data(w.f[i], SIZE), i % 2 ? MF_DROP_TCP_BUDGET : MF_DROP_NONE);
		assert_int_equal(peer_take(w.f[i]).ack, i % 2 ? 1 : 1 + MF_PKT_SMALL_MAX);
	}
	assert_int_equal(peer_data(w.f[PEERS - 1], 100), MF_DROP_NONE);
	assert_int_equal(peer_read(w.f[PEERS - 1], 0), 100);
	assert_int_equal(peer_read(w.f[LARGE], 0), MF_PKT_SMALL_MAX);
	crowd_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_super_packet),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_sack),
		cmocka_unit_test(test_sack_in_bulk),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_beyond_the_edge),
		cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_autotuning),
		cmocka_unit_test(test_tiny_segments),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_budget_prunes),
		cmocka_unit_test(test_budget_of_others),
		cmocka_unit_test(test_budget_of_laggards),
		cmocka_unit_test(test_budget_of_newcomers),
	};

	return cmocka_run_group_tests_name("tcp/recv", tests, NULL, NULL);
}
