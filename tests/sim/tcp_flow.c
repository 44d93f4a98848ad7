/* SPDX-License-Identifier: Apache-2.0
 *
 * How much may go and when: windows, slow readers, small writes, delayed ACKs, path MTU, memory.
 */
#include "tcp_cases.h"

enum { TOTAL = 400000 };

/* ---- the peer's window ---- */

/* Nobody reads for a minute: probes keep the connection alive, then everything arrives. */
static void test_persist(void **state)
{
	struct sim_end *f = case_flow(2 << 20);
	const struct mf_tcp_counters *n;
	unsigned probes;

	(void)state;
	f[1].cfg.rcv_wnd_max = 100000;
	f[1].app.read_from = 60 * MF_SEC;
	sim_start(f);
	n = sim_counters(&f[0]);
	sim_run(f->sim, 59 * MF_SEC);
	probes = (unsigned)n->zero_window_probes;
	assert_int_equal(f[1].received, 0);
	assert_int_equal(f[1].min_window, 0);
	assert_in_range(probes, 4, 20); /* they become rarer */
	assert_int_equal(n->rtos, 0);
	assert_int_equal(sim_info(&f[0]).state, MF_TCP_ESTABLISHED);
	case_finish(f);
	case_free(f);
}

static bool lose_small_windows_end(void *ctx, const struct sim_seg *g)
{
	mf_nsec *until = ctx;

	return g->at >= *until;
}

/* The update that opens the window is lost: the next probe finds out. */
static void test_persist_update_lost(void **state)
{
	struct sim_end *f = case_flow(1 << 20);
	mf_nsec until;

	(void)state;
	f[1].cfg.rcv_wnd_max = 50000;
	f[1].app.read_from = 10 * MF_SEC;
	sim_start(f);
	sim_run(f->sim, 9 * MF_SEC);
	until = f->sim->now + 1500 * MF_MSEC;
	f->sim->link[1].filter = lose_small_windows_end;
	f->sim->link[1].ctx = &until;
	case_finish(f);
	assert_true(sim_counters(&f[0])->zero_window_probes >= 2);
	case_free(f);
}

/* A reader of a few bytes at a time must not be answered with a window of a few bytes (SWS). */
static bool is_tiny_data(const struct sim_seg *g)
{
	return g->len > 0 && g->len < 500;
}

static void test_slow_reader(void **state)
{
	struct sim_end *f = case_flow(TOTAL);

	(void)state;
	f->sim->log_on = true;
	f[1].cfg.rcv_wnd_max = 30000;
	f[1].app.read_max = 200;
	f[1].app.read_every = MF_MSEC;
	sim_start(f);
	case_finish(f);
	assert_true(sim_count(f->sim, 0, &f[0], is_tiny_data) < 20);
	/* one update for at least half a segment read */
	assert_true(f[1].n_segs < TOTAL / (CASE_MSS / 2));
	case_free(f);
}

/* Whatever the window is, all of it arrives. 1 to some MSS. */
static void test_tiny_windows(void **state)
{
	static const uint32_t windows[] = { 100, 536, 1000, 1448, 2000, 2896, 5000, 65535 };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(windows); i++) {
		struct sim_end *f = case_flow(windows[i] * 50);

		f[1].cfg.rcv_wnd_max = f[1].cfg.rcv_wnd_init = windows[i];
		sim_start(f);
		case_finish(f);
		case_free(f);
	}
}

/* Enough window for a long and fat path, found by itself: 200 ms at 200 Mbit/s are 5 MB. */
static void test_autotuning_fills_the_path(void **state)
{
	struct sim_end *f = case_flow(400u << 20);
	struct sim *s = f->sim;
	uint64_t before;

	(void)state;
	for (int i = 0; i < 2; i++) {
		s->link[i].delay = 100 * MF_MSEC;
		f[i].cfg.pacing = true;
		f[i].cfg.rcv_wnd_max = f[i].cfg.snd_buf_max = 16 << 20;
	}
	s->link[0].rate = 200 * 1000 * 1000;
	s->link[0].queue = 5000000;
	sim_start(f);
	sim_run(s, 8 * MF_SEC);
	assert_true(sim_info(&f[1]).rcv_wnd > 5 << 20);
	before = f[1].received;
	sim_run(s, 2 * MF_SEC);
	assert_true(f[1].received - before > 50u * 1000 * 1000 * 85 / 100); /* of 50 MB */
	case_free(f);
}

/* And none that is not asked for. */
static void test_no_window_beyond_the_limit(void **state)
{
	struct sim_end *f = case_flow(4 << 20);

	(void)state;
	f[1].cfg.rcv_wnd_max = 300000;
	sim_start(f);
	for (int i = 0; i < 20; i++) {
		sim_run(f->sim, 20 * MF_MSEC);
		if (f[1].connected)
			assert_true(sim_info(&f[1]).rcv_wnd <= 300000 + 1448);
	}
	case_finish(f);
	case_free(f);
}

/* ---- cwnd and the app ---- */

/* An app that sends less than cwnd allows does not earn more of it. */
static void test_cubic_app_limited(void **state)
{
	struct sim_end *f = case_flow(5000 * 1000);

	(void)state;
	f[0].app.write_max = 1000;
	f[0].app.write_every = 2 * MF_MSEC;
	sim_start(f);
	sim_run(f->sim, 5 * MF_SEC);
	/* about five segments in each round trip */
	assert_true(sim_info(&f[0]).cwnd <= 20 * CASE_MSS);
	case_free(f);
}

/* After a pause it begins small again: what was known of the path may be wrong. */
static void test_cubic_idle(void **state)
{
	struct sim_end *f = case_flow(100u << 20);
	struct sim *s = f->sim;

	(void)state;
	s->link[0].rate = 100 * 1000 * 1000;
	s->link[0].queue = 1 << 20;
	sim_start(f);
	sim_until_received(&f[1], 4 << 20, 10 * MF_SEC);
	assert_true(sim_info(&f[0]).cwnd > 40 * CASE_MSS);
	f[0].next_write = s->now + 10 * MF_SEC;
	sim_run(s, 10 * MF_SEC + 2 * MF_MSEC);
	assert_true(sim_info(&f[0]).cwnd <= 20 * CASE_MSS);
	assert_in_range(sim_info(&f[0]).in_flight, CASE_MSS, 10 * CASE_MSS);
	sim_until_received(&f[1], 8 << 20, 10 * MF_SEC);
	case_free(f);
}

/* ---- small things quickly ---- */

/* One small question, one small answer: a round trip, nothing is held back. */
static void test_request_response(void **state)
{
	struct sim_end *f = case_flow(100);

	(void)state;
	f[0].app.close = SIM_CLOSE_EOF;
	f[1].app.close = SIM_CLOSE_SENT;
	f[1].app.total = 100;
	sim_start(f);
	case_finish(f);
	assert_int_equal(f[1].received_at - f[0].connected_at, 10 * MF_MSEC);
	assert_true(f[0].received_at - f[0].connected_at <= 20 * MF_MSEC);
	case_free(f);
}

/* Small writes one after the other are not held back for an ACK; and without Nagle they need not be
 * full segments. */
static void test_small_writes_go_at_once(void **state)
{
	struct sim_end *f = case_flow(20 * 10);
	mf_nsec due;

	(void)state;
	f[0].app.write_max = 10;
	f[0].app.write_every = 3 * MF_MSEC;
	sim_start(f);
	sim_run(f->sim, 21 * MF_MSEC);
	for (int i = 0; i < 15; i++) {
		uint64_t sent = f[0].sent;

		due = f->sim->now + 10 * MF_MSEC;
		sim_run_until(f->sim, due);
		assert_true(f[1].received >= sent);
	}
	case_finish(f);
	case_free(f);
}

static bool is_pure_ack(const struct sim_seg *g)
{
	return !g->len && !(g->flags & (MF_TCP_SYN | MF_TCP_FIN | MF_TCP_RST));
}

/* A lonely small segment is acknowledged soon enough that the sender's timer never fires; a stream is
 * acknowledged for two segments at a time at most (RFC 9293 3.8.6.3: at least for every second). */
static void test_delayed_acks(void **state)
{
	struct sim_end *f = case_flow(TOTAL);
	unsigned acks;

	(void)state;
	f->sim->log_on = true;
	f->sim->link[0].rate = 10 * 1000 * 1000;
	f->sim->link[0].queue = 1 << 20;
	sim_start(f);
	case_finish(f);
	acks = sim_count(f->sim, 0, &f[1], is_pure_ack);
	assert_true(acks <= f[0].n_data * 7 / 10);
	assert_true(acks >= f[0].n_data * 4 / 10);
	case_free(f);

	f = case_flow(50 * 10);
	f[0].app.write_max = 10;
	f[0].app.write_every = 400 * MF_MSEC;
	sim_start(f);
	case_finish(f);
	assert_int_equal(f[0].n_again, 0);
	case_free(f);
}

/* Super-packets: one ACK for each is enough. */
static void test_super_packets(void **state)
{
	struct sim_end *f = case_flow(20 << 20);
	struct sim *s = f->sim;

	(void)state;
	s->link[0].cut = s->link[1].cut = false;
	s->link[0].rate = 1000 * 1000 * 1000;
	s->link[0].queue = 64 << 20;
	s->log_on = true;
	sim_start(f);
	case_finish(f);
	assert_true(f[0].max_segment > 40000);
	assert_true(f[0].n_data < (20 << 20) / 10000);
	assert_true(sim_count(s, 0, &f[1], is_pure_ack) <= f[0].n_data + 10);
	assert_int_equal(f[0].n_again, 0);
	case_free(f);
}

static void test_no_tso(void **state)
{
	struct sim_end *f = case_flow(1 << 20);

	(void)state;
	f->sim->link[0].cut = false;
	f[0].cfg.no_tso = true;
	sim_start(f);
	case_finish(f);
	assert_int_equal(f[0].max_segment, CASE_MSS);
	case_free(f);
}

/* Pacing: no burst longer than what a millisecond or two carry, once the path is known. */
static void test_pacing_spreads(void **state)
{
	struct sim_end *f = case_flow(60u << 20);
	struct sim *s = f->sim;
	unsigned overflowed;

	(void)state;
	f[0].cfg.pacing = true;
	s->link[0].rate = 100 * 1000 * 1000;
	s->link[0].queue = 60000; /* a quarter of what is in flight */
	sim_start(f);
	sim_run(s, 2 * MF_SEC);
	overflowed = s->link[0].n_overflowed;
	sim_run(s, 2 * MF_SEC);
	assert_true(s->link[0].n_overflowed - overflowed < 200);
	assert_true(f[1].received > 4 * 100 * 1000 * 1000 / 8 * 7 / 10);
	case_free(f);
}

/* ---- the path's MTU ---- */

static void mtu_shrinks(bool v6, bool cut, uint32_t mtu)
{
	struct sim_end *f = case_flow(4 << 20);
	struct sim *s = f->sim;

	for (int i = 0; v6 && i < 2; i++) {
		f[i].at.addr = (struct mf_addr){ .b = { 0xfd, 0, [15] = (uint8_t)(1 + i) },
						 .family = MF_AF_IP6 };
	}
	s->link[0].cut = cut;
	s->link[0].rate = 100 * 1000 * 1000;
	s->link[0].queue = 1 << 20;
	sim_start(f);
	sim_until_received(&f[1], 1 << 20, 10 * MF_SEC);
	s->link[0].mtu = mtu;
	case_finish(f);
	assert_true(s->link[0].n_too_big > 0);
	assert_int_equal(sim_info(&f[0]).mss, mtu - (v6 ? 40 : 20) - 32);
	case_free(f);
}

static void test_path_mtu(void **state)
{
	(void)state;
	mtu_shrinks(false, true, 1400);
	mtu_shrinks(false, false, 1280);
	mtu_shrinks(false, true, 576);
	mtu_shrinks(true, true, 1280);
	mtu_shrinks(true, false, 1400);
}

/* From the first segment on: an MTU that neither end knows. */
static void test_path_mtu_from_the_start(void **state)
{
	struct sim_end *f = case_flow(TOTAL);

	(void)state;
	f->sim->link[0].mtu = 1300;
	sim_start(f);
	case_finish(f);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	case_free(f);
}

/* RFC 5927: an MTU about something that is not in flight is not believed, nor an absurd one. */
static void test_path_mtu_forged(void **state)
{
	struct sim_end *f = case_flow(2 << 20);
	struct sim *s = f->sim;
	struct mf_tcp_info before;

	(void)state;
	s->link[0].rate = 20 * 1000 * 1000;
	s->link[0].queue = 1 << 20;
	sim_start(f);
	sim_until_received(&f[1], 1 << 19, 10 * MF_SEC);
	before = sim_info(&f[0]);
	mf_tcp_path_mtu(&f[0].env, &f[0].tcp, 576, f[0].iss, s->now); /* acknowledged long ago */
	mf_tcp_path_mtu(&f[0].env, &f[0].tcp, 576, f[0].iss + (3u << 20), s->now); /* never sent */
	mf_tcp_path_mtu(&f[0].env, &f[0].tcp, 9000, f[0].iss + f[0].highest - 1, s->now); /* larger */
	assert_int_equal(sim_info(&f[0]).mss, before.mss);
	mf_tcp_path_mtu(&f[0].env, &f[0].tcp, 20, f[0].iss + f[0].highest - 1, s->now);
	assert_true(sim_info(&f[0]).mss >= 88); /* never so small that headers are all there is */
	case_finish(f);
	case_free(f);
}

/* Each its own: the MSS is the smaller of both. */
static void test_mss_of_both(void **state)
{
	static const uint32_t mtu[][2] = {
		{ 1500, 1280 }, { 576, 9000 }, { 9000, 9000 }, { 65535, 65535 }
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(mtu); i++) {
		struct sim_end *f = case_flow(TOTAL);

		f[0].cfg.mtu = mtu[i][0];
		f[1].cfg.mtu = mtu[i][1];
		sim_start(f);
		case_finish(f);
		assert_int_equal(sim_info(&f[0]).mss, mf_min(mtu[i][0], mtu[i][1]) - 52);
		assert_int_equal(sim_info(&f[1]).mss, mf_min(mtu[i][0], mtu[i][1]) - 52);
		case_free(f);
	}
}

/* ---- memory ---- */

static void watch_budget(struct sim *s)
{
	const struct sim_end *f = s->end[0];

	/* One packet may be beyond: who comes cannot know. */
	assert_true(mf_tcp_env_rx_held(&f[1].env) <= f[1].env.rx_budget + MF_PKT_LARGE_MAX);
	assert_true(mf_tcp_env_tx_held(&f[0].env) <= f[0].env.tx_budget + 2 * MF_PKT_LARGE_MAX);
}

static void within_budget(bool cut, unsigned loss)
{
	struct sim_end *f = case_flow(2 << 20);
	struct sim *s = f->sim;

	f[1].env.rx_budget = 256 << 10;
	f[0].env.tx_budget = 256 << 10;
	f[1].app.read_max = 20000;
	f[1].app.read_every = 2 * MF_MSEC;
	s->link[0].cut = cut;
	s->link[0].loss = loss;
	s->watch = watch_budget;
	sim_start(f);
	case_finish(f);
	case_free(f);
}

static void test_memory_budget(void **state)
{
	(void)state;
	within_budget(true, 0);
	within_budget(true, 200);
	within_budget(false, 0);
	within_budget(false, 200);
}

/* Hardly any records of what is in flight: slow, but all arrives. */
static void test_few_records(void **state)
{
	static const uint32_t records[] = { 1, 4, 64 };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(records); i++) {
		struct sim_end *f = case_flow(TOTAL);

		f[0].env.n_records = records[i];
		f->sim->link[0].loss = 100;
		sim_start(f);
		case_finish(f);
		case_free(f);
	}
}

/* The pool runs dry, again and again: it waits and tries again. */
static void test_packet_pool_runs_dry(void **state)
{
	struct sim_end *f = case_flow(TOTAL);
	struct sim *s = f->sim;
	struct mf_pkt *hostage = NULL, *p;

	(void)state;
	f[0].app.write_max = 5000;
	sim_start(f);
	sim_run(s, 25 * MF_MSEC);
	for (int i = 0; i < 8; i++) {
		for (int side = 0; side < 2; side++) {
			while ((p = mf_pkt_small(f[side].pool))) {
				p->next = hostage;
				hostage = p;
			}
		}
		sim_run(s, 300 * MF_MSEC);
		for (; hostage; hostage = p) {
			p = hostage->next;
			mf_pkt_free(hostage);
		}
		sim_run(s, 10 * MF_MSEC);
	}
	case_finish(f);
	case_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_persist),
		cmocka_unit_test(test_persist_update_lost),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_tiny_windows),
		cmocka_unit_test(test_autotuning_fills_the_path),
		cmocka_unit_test(test_no_window_beyond_the_limit),
		cmocka_unit_test(test_cubic_app_limited),
		cmocka_unit_test(test_cubic_idle),
		cmocka_unit_test(test_request_response),
		cmocka_unit_test(test_small_writes_go_at_once),
		cmocka_unit_test(test_delayed_acks),
		cmocka_unit_test(test_super_packets),
		cmocka_unit_test(test_no_tso),
		cmocka_unit_test(test_pacing_spreads),
		cmocka_unit_test(test_path_mtu),
		cmocka_unit_test(test_path_mtu_from_the_start),
		cmocka_unit_test(test_path_mtu_forged),
		cmocka_unit_test(test_mss_of_both),
		cmocka_unit_test(test_memory_budget),
		cmocka_unit_test(test_few_records),
		cmocka_unit_test(test_packet_pool_runs_dry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
