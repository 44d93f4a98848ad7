/* SPDX-License-Identifier: Apache-2.0
 *
 * Repairing loss: one test for each thing that can be lost, and how it must be repaired.
 */
#include "tcp_cases.h"

enum { TOTAL = 400000 };

/* 100 Mbit/s, so that segments come one after the other and ACKs tell of each. */
static struct sim_end *flow(uint64_t total)
{
	struct sim_end *f = case_flow(total);

	f->sim->link[0].rate = 100 * 1000 * 1000;
	f->sim->link[0].queue = 1 << 20;
	return f;
}

static bool is_again(const struct sim_seg *g)
{
	return g->again;
}

/* ---- found by SACK and RACK ---- */

static void test_sack_single_loss(void **state)
{
	struct sim_end *f = flow(TOTAL);
	struct case_drops d = { 0 };

	(void)state;
	case_drop(&d, case_segment(60), 1);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_int_equal(d.hits, 1);
	assert_int_equal(f[0].n_again, 1); /* nothing but what was lost */
	assert_int_equal(sim_counters(&f[0])->fast_recoveries, 1);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	case_free(f);
}

/* Every other segment of a stretch: one recovery, and each is sent again once. */
static void test_sack_many_holes(void **state)
{
	struct sim_end *f = flow(TOTAL);
	struct case_drops d = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 12; i++)
		case_drop(&d, case_segment(100 + 2 * i), 1);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_int_equal(d.hits, 12);
	assert_int_equal(f[0].n_again, 12);
	assert_int_equal(sim_counters(&f[0])->fast_recoveries, 1);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	case_free(f);
}

/* A whole burst is gone, with nothing behind it in the same flight but its end. */
static void test_burst_loss(void **state)
{
	struct sim_end *f = flow(TOTAL);
	struct case_drops d = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 15; i++)
		case_drop(&d, case_segment(70 + i), 1);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_int_equal(f[0].n_again, 15);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	case_free(f);
}

static void two_holes(bool no_sack)
{
	struct sim_end *f = flow(TOTAL);
	struct case_drops d = { 0 };

	f[0].cfg.no_sack = no_sack;
	case_drop(&d, case_segment(60), 1);
	case_drop(&d, case_segment(66), 1);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_int_equal(sim_counters(&f[0])->fast_recoveries, 1);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	assert_in_range(f[0].n_again, 2, 3);
	case_free(f);
}

static void test_two_holes_partial_ack(void **state)
{
	(void)state;
	two_holes(false);
}

/* RFC 6582: the partial ACK alone shows the second hole. */
static void test_two_holes_partial_ack_no_sack(void **state)
{
	(void)state;
	two_holes(true);
}

/* What was sent again is lost as well: RACK sees that from what was sent after it. */
static void test_lost_retransmit(void **state)
{
	struct sim_end *f = flow(2 * TOTAL);
	struct case_drops d = { 0 };

	(void)state;
	f[0].cfg.pacing = true;
	case_drop(&d, case_segment(60), 2);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_int_equal(d.hits, 2);
	assert_int_equal(f[0].n_again, 2);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	case_free(f);
}

/* The path has become shorter, so the pace holds back what goes again while all else in flight has arrived or is
 * lost; now comes an ACK that says nothing new. That leaves no window for a moment, but stops nobody. */
static void test_repeated_acks_keep_the_pace(void **state)
{
	struct sim_end *f = flow(4 * CASE_MSS);
	struct sim *s = f->sim;
	struct case_drops d = { 0 };

	(void)state;
	f[0].cfg.pacing = true;
	for (uint32_t i = 0; i < 3; i++)
		case_drop(&d, case_segment(i), 1);
	case_lossy(f, &d);
	s->link[0].delay = 100 * MF_MSEC;
	sim_start(f);
	sim_run(s, 200 * MF_MSEC);
	s->link[0].delay = 10 * MF_MSEC;
	s->link[1].duplicate = 10000;
	s->link[1].reorder = 5000;
	s->link[1].reorder_by = 10 * MF_MSEC;
	case_finish(f);
	assert_int_equal(d.hits, 3);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	assert_true(f[1].received_at - f[0].connected_at < MF_SEC);
	case_free(f);
}

/* ... so often that only the timer is left. */
static void test_lost_retransmit_then_rto(void **state)
{
	struct sim_end *f = flow(TOTAL);
	struct case_drops d = { 0 };

	(void)state;
	case_drop(&d, case_segment(60), 8);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_int_equal(d.hits, 8);
	assert_true(sim_counters(&f[0])->rtos >= 1);
	case_free(f);
}

/* The first segment of all, so that the receiver has nothing in order for a long time. */
static void test_strand_head(void **state)
{
	struct sim_end *f = flow(TOTAL);
	struct case_drops d = { 0 };

	(void)state;
	case_drop(&d, case_segment(0), 3);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_int_equal(d.hits, 3);
	assert_true(f[0].n_again <= 12);
	case_free(f);
}

/* A second loss, above the point at which the first recovery ends. */
static void test_loss_above_the_recovery_point(void **state)
{
	struct sim_end *f = flow(2 * TOTAL);
	struct case_drops d = { 0 };

	(void)state;
	case_drop(&d, case_segment(60), 1);
	case_drop(&d, case_segment(150), 1);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_int_equal(f[0].n_again, 2);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	assert_in_range(sim_counters(&f[0])->fast_recoveries, 1, 2);
	case_free(f);
}

/* Loss while the app has little more to say, and says it later. */
static void test_queued_data_loss(void **state)
{
	struct sim_end *f = flow(60 * CASE_MSS);
	struct case_drops d = { 0 };

	(void)state;
	f[0].app.write_max = 700;
	f[0].app.write_every = 3 * MF_MSEC;
	for (uint32_t i = 3; i < 40; i += 9)
		case_drop(&d, case_segment(i), 1);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_int_equal(d.hits, 5);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	case_free(f);
}

/* ---- the end of a flight ---- */

static void lose_tail(unsigned segments, unsigned times, bool rto)
{
	struct sim_end *f = flow(8 * CASE_MSS);
	struct case_drops d = { 0 };

	f[0].app.close = SIM_CLOSE_NEVER; /* a FIN would do what the probe has to do */
	for (uint32_t i = 0; i < segments; i++)
		case_drop(&d, case_segment(7 - i), times);
	case_lossy(f, &d);
	sim_start(f);
	sim_until_received(&f[1], 8 * CASE_MSS, 60 * MF_SEC);
	assert_int_equal(d.hits, segments * times);
	assert_true(sim_counters(&f[0])->tlps >= 1);
	if (rto) {
		assert_true(sim_counters(&f[0])->rtos >= 1);
	} else {
		assert_int_equal(sim_counters(&f[0])->rtos, 0);
		/* A round trip is 20 ms; the timer would have taken ten times as long. */
		assert_true(f[1].received_at - f[0].connected_at < 200 * MF_MSEC);
	}
	f[0].app.close = SIM_CLOSE_SENT;
	sim_turn(&f[0]);
	case_finish(f);
	case_free(f);
}

static void test_tail_loss_probe(void **state)
{
	(void)state;
	lose_tail(1, 1, false);
}

/* The probe brings the SACK that shows the rest. */
static void test_tail_of_three(void **state)
{
	(void)state;
	lose_tail(3, 1, false);
}

static void test_tail_and_probe_lost(void **state)
{
	(void)state;
	lose_tail(1, 2, true);
}

/* ---- the timer ---- */

/* Nothing comes through for a while: the timer doubles, ssthresh is set once, and then it goes on. */
static void test_rto_reduces_once(void **state)
{
	struct sim_end *f = flow(40 * TOTAL);
	struct sim *s = f->sim;
	struct mf_tcp_info before, after;

	(void)state;
	s->link[0].rate = 50 * 1000 * 1000;
	s->link[0].queue = 1 << 20;
	sim_start(f);
	sim_until_received(&f[1], 2 * TOTAL, 10 * MF_SEC);
	before = sim_info(&f[0]);
	s->link[0].dead = true;
	sim_run(s, 4 * MF_SEC);
	after = sim_info(&f[0]);
	assert_in_range(sim_counters(&f[0])->rtos, 3, 5);
	assert_int_equal(after.cwnd, after.mss);
	assert_true(after.ssthresh >= before.in_flight * 6 / 10);
	assert_true(after.rto >= 8 * before.rto / 2);
	s->link[0].dead = false;
	case_finish(f);
	case_free(f);
}

/* Only the ACKs were lost: the timeout was for nothing, and that shows (Eifel, F-RTO or D-SACK). */
static void test_spurious_rto_is_undone(void **state)
{
	struct sim_end *f = flow(100 * TOTAL);
	struct sim *s = f->sim;
	struct mf_tcp_info before, after;

	(void)state;
	s->link[0].rate = 20 * 1000 * 1000;
	s->link[0].queue = 1 << 20;
	sim_start(f);
	sim_until_received(&f[1], 4 * TOTAL, 10 * MF_SEC);
	before = sim_info(&f[0]);
	s->link[1].delay += 3 * MF_SEC; /* a mobile network hands over */
	sim_run(s, 2900 * MF_MSEC);
	assert_true(sim_counters(&f[0])->rtos >= 1);
	sim_run(s, 600 * MF_MSEC);
	after = sim_info(&f[0]);
	assert_true(sim_counters(&f[0])->undos >= 1);
	assert_true(after.cwnd >= before.cwnd * 8 / 10);
	case_finish(f);
	case_free(f);
}

/* ---- not loss, but as if ---- */

/* No loss at all: what little was sent again is taken back, and RACK learns to wait. */
static void test_sack_reordering(void **state)
{
	struct sim_end *f = flow(20 * TOTAL);
	struct sim *s = f->sim;

	(void)state;
	s->link[0].rate = 100 * 1000 * 1000;
	s->link[0].queue = 8 << 20;
	s->link[0].reorder = 100;
	s->link[0].reorder_by = 4 * MF_MSEC;
	sim_start(f);
	case_finish(f);
	assert_int_equal(s->link[0].n_lost + s->link[0].n_overflowed, 0);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	assert_true(f[0].n_again * 50 < f[0].n_data);
	case_free(f);
}

/* Everything comes twice: D-SACKs in masses, and no harm done. */
static void test_duplicates_do_no_harm(void **state)
{
	struct sim_end *f = flow(5 * TOTAL);
	struct sim *s = f->sim;

	(void)state;
	s->link[0].queue = 8 << 20;
	s->link[0].duplicate = s->link[1].duplicate = 10000;
	sim_start(f);
	case_finish(f);
	assert_int_equal(f[0].n_again, 0);
	assert_int_equal(sim_counters(&f[0])->fast_recoveries, 0);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	case_free(f);
}

/* A D-SACK for something that really was lost earlier does not undo that. */
static void test_dsack_early(void **state)
{
	struct sim_end *f = flow(TOTAL);
	struct case_drops d = { 0 };

	(void)state;
	f->sim->link[0].duplicate = 3000;
	case_drop(&d, case_segment(40), 2);
	case_drop(&d, case_segment(42), 1);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_true(f[0].n_again <= 8);
	case_free(f);
}

static bool lose_every_other_ack(void *ctx, const struct sim_seg *g)
{
	unsigned *n = ctx;

	return g->len || g->flags & (MF_TCP_SYN | MF_TCP_FIN) || ++*n % 2;
}

/* ACKs are cumulative: half of them do as well. */
static void test_lost_acks(void **state)
{
	struct sim_end *f = flow(5 * TOTAL);
	unsigned n = 0;

	(void)state;
	f->sim->link[1].filter = lose_every_other_ack;
	f->sim->link[1].ctx = &n;
	sim_start(f);
	case_finish(f);
	assert_true(n > 20);
	assert_true(f[0].n_again * 100 <= f[0].n_data);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	case_free(f);
}

/* ---- without the options ---- */

static void five_megabytes(bool no_sack, bool no_timestamps, bool no_window_scale)
{
	struct sim_end *f = flow(5 << 20);
	struct sim *s = f->sim;

	s->link[0].loss = 50;
	s->link[0].rate = 50 * 1000 * 1000;
	s->link[0].queue = 200000;
	for (int i = 0; i < 2; i++) {
		f[i].cfg.no_sack = no_sack;
		f[i].cfg.no_timestamps = no_timestamps;
		f[i].cfg.no_window_scale = no_window_scale;
	}
	sim_start(f);
	sim_run(s, 100 * MF_MSEC);
	assert_int_equal(sim_info(&f[0]).sack, !no_sack);
	assert_int_equal(sim_info(&f[0]).timestamps, !no_timestamps);
	case_finish(f);
	assert_true(s->link[0].n_lost > 5);
	/* In what time: half a megabit a second is nothing, but a stop-and-wait would take longer. */
	assert_true(f[1].received_at - f[0].connected_at < 80 * MF_SEC);
	case_free(f);
}

static void test_five_megabytes(void **state)
{
	(void)state;
	five_megabytes(false, false, false);
}

static void test_no_sack(void **state)
{
	(void)state;
	five_megabytes(true, false, false);
}

static void test_no_timestamps(void **state)
{
	(void)state;
	five_megabytes(false, true, false);
}

static void test_no_sack_no_timestamps(void **state)
{
	(void)state;
	five_megabytes(true, true, false);
}

static void test_no_window_scale(void **state)
{
	(void)state;
	five_megabytes(false, false, true);
}

static void test_no_options_at_all(void **state)
{
	(void)state;
	five_megabytes(true, true, true);
}

/* ---- FINs ---- */

static bool lose_fins(void *ctx, const struct sim_seg *g)
{
	unsigned *left = ctx;

	if (!(g->flags & MF_TCP_FIN) || !*left)
		return true;
	--*left;
	return false;
}

static void fin_lost(unsigned a, unsigned b, uint64_t total)
{
	struct sim_end *f = flow(total);
	unsigned left[2] = { a, b };

	for (int i = 0; i < 2; i++) {
		f->sim->link[i].filter = lose_fins;
		f->sim->link[i].ctx = &left[i];
	}
	sim_start(f);
	case_finish(f);
	assert_int_equal(left[0] + left[1], 0);
	case_free(f);
}

static void test_fin(void **state)
{
	(void)state;
	fin_lost(1, 0, 10000);
	fin_lost(3, 0, 0);
}

static void test_peer_fin(void **state)
{
	(void)state;
	fin_lost(0, 1, 10000);
	fin_lost(0, 3, 0);
}

static void test_both_fins(void **state)
{
	(void)state;
	fin_lost(2, 2, 10000);
}

/* The FIN stands behind data of which some is lost, and is lost with it. */
static void test_queued_fin(void **state)
{
	struct sim_end *f = flow(20 * CASE_MSS);
	struct case_drops d = { 0 };

	(void)state;
	for (uint32_t i = 15; i < 20; i++)
		case_drop(&d, case_segment(i), 2);
	case_lossy(f, &d);
	sim_start(f);
	case_finish(f);
	assert_int_equal(d.hits, 10);
	case_free(f);
}

/* The last ACK of all is lost: TIME-WAIT answers the FIN that comes again. */
static bool lose_first_ack_after_fin(void *ctx, const struct sim_seg *g)
{
	struct sim_end *e = g->from;
	bool *done = ctx;

	if (*done || !(g->flags & MF_TCP_ACK) || g->len || mf_tcp_state(&e->tcp) != MF_TCP_TIME_WAIT)
		return true;
	*done = true;
	return false;
}

static void test_last_ack_lost(void **state)
{
	struct sim_end *f = flow(10000);
	bool done = false;

	(void)state;
	f->sim->link[0].filter = lose_first_ack_after_fin;
	f->sim->link[0].ctx = &done;
	sim_start(f);
	case_finish(f);
	assert_true(done);
	case_free(f);
}

/* Retransmissions that are cut differently than the first time, because the MSS has become smaller. */
static void test_chain_retransmit(void **state)
{
	struct sim_end *f = flow(TOTAL);
	struct sim *s = f->sim;
	struct case_drops d = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		case_drop(&d, case_segment(60 + i), 1);
	case_lossy(f, &d);
	s->log_on = true;
	sim_start(f);
	sim_run(s, 45 * MF_MSEC);
	s->link[0].mtu = 1000;
	case_finish(f);
	assert_true(sim_count(s, 0, &f[0], is_again) >= 10);
	assert_int_equal(sim_info(&f[0]).mss, 948);
	case_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sack_single_loss),
		cmocka_unit_test(test_sack_many_holes),
		cmocka_unit_test(test_burst_loss),
		cmocka_unit_test(test_two_holes_partial_ack),
		cmocka_unit_test(test_two_holes_partial_ack_no_sack),
		cmocka_unit_test(test_lost_retransmit),
		cmocka_unit_test(test_repeated_acks_keep_the_pace),
		cmocka_unit_test(test_lost_retransmit_then_rto),
		cmocka_unit_test(test_strand_head),
		cmocka_unit_test(test_loss_above_the_recovery_point),
		cmocka_unit_test(test_queued_data_loss),
		cmocka_unit_test(test_tail_loss_probe),
		cmocka_unit_test(test_tail_of_three),
		cmocka_unit_test(test_tail_and_probe_lost),
		cmocka_unit_test(test_rto_reduces_once),
		cmocka_unit_test(test_spurious_rto_is_undone),
		cmocka_unit_test(test_sack_reordering),
		cmocka_unit_test(test_duplicates_do_no_harm),
		cmocka_unit_test(test_dsack_early),
		cmocka_unit_test(test_lost_acks),
		cmocka_unit_test(test_five_megabytes),
		cmocka_unit_test(test_no_sack),
		cmocka_unit_test(test_no_timestamps),
		cmocka_unit_test(test_no_sack_no_timestamps),
		cmocka_unit_test(test_no_window_scale),
		cmocka_unit_test(test_no_options_at_all),
		cmocka_unit_test(test_fin),
		cmocka_unit_test(test_peer_fin),
		cmocka_unit_test(test_both_fins),
		cmocka_unit_test(test_queued_fin),
		cmocka_unit_test(test_last_ack_lost),
		cmocka_unit_test(test_chain_retransmit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
