/* SPDX-License-Identifier: Apache-2.0
 *
 * How connections begin and end: handshakes that are lost, held, refused or crossed; closing in every
 * order; resets; peers that are gone.
 */
#include "tcp_cases.h"

static bool lose_some(void *ctx, const struct sim_seg *g)
{
	unsigned *left = ctx;

	(void)g;
	if (!*left)
		return true;
	--*left;
	return false;
}

static bool is_syn(const struct sim_seg *g)
{
	return g->flags & MF_TCP_SYN;
}

static bool is_rst(const struct sim_seg *g)
{
	return g->flags & MF_TCP_RST;
}

/* ---- handshakes ---- */

static void test_handshake(void **state)
{
	struct sim_end *f = case_flow(0);

	(void)state;
	f[0].app.close = f[1].app.close = SIM_CLOSE_NEVER;
	f->sim->log_on = true;
	sim_start(f);
	sim_run(f->sim, MF_SEC);
	assert_int_equal(f[0].connected_at - f[0].start, 20 * MF_MSEC);
	assert_int_equal(f[1].connected_at - f[0].start, 30 * MF_MSEC);
	assert_int_equal(f->sim->n_log, 3);
	assert_int_equal(sim_info(&f[0]).state, MF_TCP_ESTABLISHED);
	assert_int_equal(sim_info(&f[1]).state, MF_TCP_ESTABLISHED);
	assert_int_equal(sim_info(&f[1]).syn_seq, f[0].iss);
	assert_true(sim_info(&f[0]).sack && sim_info(&f[0]).timestamps);
	assert_int_equal(sim_info(&f[0]).snd_wscale, sim_info(&f[1]).rcv_wscale);
	case_free(f);
}

/* The first `a` segments of the one and the first `b` of the other are lost. */
static void handshake_lossy(unsigned a, unsigned b)
{
	struct sim_end *f = case_flow(5000);
	unsigned left[2] = { a, b };

	f[1].app.total = 5000;
	for (int i = 0; i < 2; i++) {
		f->sim->link[i].filter = lose_some;
		f->sim->link[i].ctx = &left[i];
	}
	sim_start(f);
	case_finish(f);
	assert_int_equal(left[0] + left[1], 0);
	case_free(f);
}

static void test_handshake_lossy(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 4; a++)
		for (unsigned b = 0; b < 4; b++)
			handshake_lossy(a, b);
}

static bool lose_third(void *ctx, const struct sim_seg *g)
{
	unsigned *n = ctx;

	(void)g;
	return ++*n != 2;
}

/* The ACK of the handshake is lost: data takes its place, or the SYN-ACK comes again. */
static void test_handshake_ack_lost(void **state)
{
	for (uint64_t total = 0; total <= 3000; total += 3000) {
		struct sim_end *f = case_flow(total);
		unsigned n = 0;

		(void)state;
		f[1].app.total = 3000;
		f->sim->link[0].filter = lose_third;
		f->sim->link[0].ctx = &n;
		sim_start(f);
		case_finish(f);
		case_free(f);
	}
}

/* The SYN is held: it is not answered, however often it comes, until it is accepted. */
static void test_held(void **state)
{
	struct sim_end *f = case_flow(10000);
	struct sim *s = f->sim;

	(void)state;
	f[1].app.accept_delay = 10 * MF_SEC;
	s->log_on = true;
	sim_start(f);
	sim_run(s, 9900 * MF_MSEC);
	assert_true(sim_count(s, 0, &f[0], is_syn) >= 3);
	assert_int_equal(sim_count(s, 0, &f[1], NULL), 0);
	assert_int_equal(sim_info(&f[1]).state, MF_TCP_SYN_HELD);
	case_finish(f);
	assert_int_equal(sim_count(s, 0, &f[1], is_syn), 1);
	case_free(f);
}

static void refused_after(mf_nsec delay, bool silent)
{
	struct sim_end *f = case_flow(1000);
	struct sim *s = f->sim;

	f[0].cfg.syn_timeout = 20 * MF_SEC;
	f[1].app.accept_delay = 3600 * MF_SEC;
	f[1].app.abort_at = delay;
	f[1].app.silent_abort = silent;
	s->log_on = true;
	sim_start(f);
	sim_run(s, delay + 5 * MF_MSEC);
	if (silent) {
		assert_int_equal(sim_count(s, 0, &f[1], NULL), 0);
	} else {
		assert_int_equal(sim_count(s, 0, &f[1], is_rst), 1);
		sim_run(s, 20 * MF_MSEC);
		assert_int_equal(f[0].why, MF_TCP_END_REFUSED);
	}
	sim_finish(s, 100 * MF_SEC);
	assert_int_equal(f[1].why, MF_TCP_END_ABORTED);
	assert_false(f[0].connected);
	case_free(f);
}

/* The far side has refused: a reset, which counts as one (RFC 9293 3.10.7.3). Or it has vanished. */
static void test_held_then_refused(void **state)
{
	(void)state;
	refused_after(500 * MF_MSEC, false);
	refused_after(500 * MF_MSEC, true);
}

/* Nobody has that port. */
static void test_refused(void **state)
{
	struct sim_end *f = case_flow(1000);

	(void)state;
	f[1].passive = false;
	sim_start(f);
	sim_run(f->sim, 20 * MF_MSEC);
	assert_true(f[0].closed);
	assert_int_equal(f[0].why, MF_TCP_END_REFUSED);
	case_free(f);
}

static void test_syn_timeout(void **state)
{
	struct sim_end *f = case_flow(1000);
	struct sim *s = f->sim;

	(void)state;
	s->link[0].dead = true;
	s->log_on = true;
	sim_start(f);
	sim_run(s, 126 * MF_SEC);
	assert_false(f[0].closed);
	sim_run(s, 2 * MF_SEC);
	assert_int_equal(f[0].why, MF_TCP_END_TIMEOUT);
	assert_int_equal(sim_count(s, 0, &f[0], is_syn), 7); /* 0 1 3 7 15 31 63 s */
	case_free(f);
}

/* ICMP says so: before the connection stands it counts, afterwards it does not (RFC 5461 4). */
static void test_unreachable(void **state)
{
	struct sim_end *f = case_flow(100000);

	(void)state;
	f->sim->link[0].dead = true;
	sim_start(f);
	sim_run(f->sim, 5 * MF_MSEC);
	mf_tcp_unreachable(&f[0].env, &f[0].tcp, f[0].iss + 77); /* of something that we have not sent */
	sim_turn(&f[0]);
	assert_false(f[0].closed);
	sim_unreachable(&f[0], f[0].iss);
	sim_run(f->sim, MF_MSEC);
	assert_true(f[0].closed);
	assert_int_equal(f[0].why, MF_TCP_END_UNREACHABLE);
	case_free(f);

	f = case_flow(100000);
	sim_start(f);
	sim_run(f->sim, 25 * MF_MSEC);
	sim_unreachable(&f[0], f[0].iss + 1);
	case_finish(f);
	case_free(f);
}

/* RFC 9293 3.5, figure 8. */
static void test_simultaneous_open(void **state)
{
	static const unsigned lost[][2] = { { 0, 0 }, { 1, 0 }, { 0, 2 }, { 1, 1 }, { 2, 2 } };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(lost); i++) {
		struct sim_end *f = case_flow(50000);
		unsigned left[2] = { lost[i][0], lost[i][1] };

		f[1].app.total = 70000;
		f[1].app.close = SIM_CLOSE_SENT;
		for (int k = 0; k < 2; k++) {
			f->sim->link[k].filter = lose_some;
			f->sim->link[k].ctx = &left[k];
		}
		sim_start_both(f);
		case_finish(f);
		case_free(f);
	}
}

/* An old SYN from the network must not disturb what has come since. */
static void test_old_duplicate_syn(void **state)
{
	struct sim_end *f = case_flow(200000);
	struct sim *s = f->sim;

	(void)state;
	s->link[0].duplicate = 10000;
	s->link[0].reorder = 5000;
	s->link[0].reorder_by = 300 * MF_MSEC;
	sim_start(f);
	case_finish(f);
	case_free(f);
}

/* ---- closing ---- */

static void close_order(enum sim_close a, enum sim_close b, uint64_t total_a, uint64_t total_b)
{
	struct sim_end *f = case_flow(total_a);

	f[1].app.total = total_b;
	f[0].app.close = a;
	f[1].app.close = b;
	f->sim->link[1].rate = 20 * 1000 * 1000; /* so that the one is done long before the other */
	f->sim->link[1].queue = 200000;
	sim_start(f);
	case_finish(f);
	assert_int_equal(f[0].n_rst + f[1].n_rst, 0);
	/* Whoever closed first waits for the other's last segments. */
	if (a == SIM_CLOSE_SENT && b == SIM_CLOSE_EOF)
		assert_true(f[0].closed_at - f[1].closed_at >= 59 * MF_SEC);
	if (a == SIM_CLOSE_EOF && b == SIM_CLOSE_SENT)
		assert_true(f[1].closed_at - f[0].closed_at >= 59 * MF_SEC);
	case_free(f);
}

/* Both halves in both orders, with much or nothing to say after the other has ended. */
static void test_half_close(void **state)
{
	static const uint64_t totals[][2] = { { 0, 0 },        { 1, 0 },        { 0, 1 },
					      { 100, 500000 }, { 500000, 100 }, { 300000, 300000 } };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(totals); i++) {
		close_order(SIM_CLOSE_SENT, SIM_CLOSE_EOF, totals[i][0], totals[i][1]);
		close_order(SIM_CLOSE_EOF, SIM_CLOSE_SENT, totals[i][0], totals[i][1]);
		close_order(SIM_CLOSE_SENT, SIM_CLOSE_SENT, totals[i][0], totals[i][1]);
	}
}

/* Both at the same moment: CLOSING, and both wait. */
static void test_simultaneous_close(void **state)
{
	struct sim_end *f = case_flow(0);

	(void)state;
	f[0].app.close = f[1].app.close = SIM_CLOSE_NEVER;
	sim_start(f);
	sim_run(f->sim, MF_SEC);
	f[0].app.close = f[1].app.close = SIM_CLOSE_SENT;
	sim_turn(&f[0]);
	sim_turn(&f[1]);
	sim_run(f->sim, 10 * MF_MSEC);
	assert_int_equal(sim_info(&f[0]).state, MF_TCP_CLOSING);
	assert_int_equal(sim_info(&f[1]).state, MF_TCP_CLOSING);
	sim_run(f->sim, 10 * MF_MSEC);
	assert_int_equal(sim_info(&f[0]).state, MF_TCP_TIME_WAIT);
	assert_int_equal(sim_info(&f[1]).state, MF_TCP_TIME_WAIT);
	case_finish(f);
	case_free(f);
}

/* A reader who comes late finds all that was sent, though the connection is over. */
static void test_late_reader(void **state)
{
	struct sim_end *f = case_flow(60000);

	(void)state;
	f[1].app.close = SIM_CLOSE_SENT;
	f[1].app.read_from = 200 * MF_SEC;
	sim_start(f);
	sim_run(f->sim, 199 * MF_SEC);
	assert_int_equal(f[1].received, 0);
	assert_true(f[0].closed);
	case_finish(f);
	case_free(f);
}

static void test_time_wait_length(void **state)
{
	struct sim_end *f = case_flow(1000);

	(void)state;
	f[0].cfg.time_wait = 5 * MF_SEC;
	sim_start(f);
	case_finish(f);
	assert_in_range(f[0].closed_at - f[1].closed_at, 5 * MF_SEC - 20 * MF_MSEC,
			5 * MF_SEC + 100 * MF_MSEC);
	case_free(f);
}

/* ---- resets ---- */

static struct sim_end *aborting(unsigned who, mf_nsec at)
{
	struct sim_end *f = case_flow(3 << 20);

	f[1].app.total = 3 << 20;
	f->sim->link[0].rate = f->sim->link[1].rate = 20 * 1000 * 1000;
	f->sim->link[0].queue = f->sim->link[1].queue = 200000;
	f[who].app.abort_at = at;
	sim_start(f);
	return f;
}

static void test_abort(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct sim_end *f = aborting(who, 500 * MF_MSEC);

		sim_finish(f->sim, 10 * MF_SEC);
		assert_int_equal(f[who].why, MF_TCP_END_ABORTED);
		assert_int_equal(f[!who].why, MF_TCP_END_RESET);
		assert_true(f[who].n_rst >= 1);
		case_free(f);
	}
}

/* At every stage of a connection, from either side: both ends always end. */
static void test_abort_at_any_time(void **state)
{
	(void)state;
	for (mf_nsec at = 1; at < 3000 * MF_MSEC; at += at < 60 * MF_MSEC ? MF_MSEC : 83 * MF_MSEC) {
		for (unsigned who = 0; who < 2; who++) {
			struct sim_end *f = aborting(who, at);

			sim_finish(f->sim, 200 * MF_SEC);
			if (f[0].why == MF_TCP_END_DONE || f[1].why == MF_TCP_END_DONE)
				assert_true(f[0].received == f[1].sent && f[1].received == f[0].sent);
			else if (f[who].used)
				assert_int_equal(f[who].why, MF_TCP_END_ABORTED);
			case_free(f);
		}
	}
}

/* Data for an app that has gone is answered with a reset. */
static void test_reset_by_a_stranger(void **state)
{
	struct sim_end *f = aborting(1, 500 * MF_MSEC);

	(void)state;
	f[1].app.silent_abort = true;
	f->sim->link[1].dead = true; /* its own reset is lost as well */
	sim_run(f->sim, 600 * MF_MSEC);
	f->sim->link[1].dead = false;
	sim_finish(f->sim, 100 * MF_SEC);
	case_free(f);
}

/* ---- gone ---- */

static void test_user_timeout(void **state)
{
	struct sim_end *f = case_flow(1 << 20);

	(void)state;
	f[0].cfg.user_timeout = 10 * MF_SEC;
	f->sim->link[0].rate = 10 * 1000 * 1000;
	f->sim->link[0].queue = 100000;
	sim_start(f);
	sim_run(f->sim, 300 * MF_MSEC);
	f->sim->link[0].dead = f->sim->link[1].dead = true;
	sim_run(f->sim, 9 * MF_SEC);
	assert_false(f[0].closed);
	sim_run(f->sim, 5 * MF_SEC);
	assert_true(f[0].closed);
	assert_int_equal(f[0].why, MF_TCP_END_TIMEOUT);
	case_free(f);
}

static struct sim_end *kept_alive(void)
{
	struct sim_end *f = case_flow(1000);

	f[0].app.close = SIM_CLOSE_NEVER;
	f[0].cfg.keepalive_idle = 30 * MF_SEC;
	f[0].cfg.keepalive_interval = 5 * MF_SEC;
	f[0].cfg.keepalive_count = 4;
	sim_start(f);
	sim_run(f->sim, MF_SEC);
	return f;
}

static void test_keepalive(void **state)
{
	struct sim_end *f = kept_alive();

	(void)state;
	sim_run(f->sim, 600 * MF_SEC);
	assert_false(f[0].closed || f[1].closed);
	assert_in_range(sim_counters(&f[0])->keepalives, 18, 21);
	f->sim->link[0].dead = true;
	sim_run(f->sim, 49 * MF_SEC);
	assert_false(f[0].closed && f->sim->now < 50 * MF_SEC);
	sim_run(f->sim, 33 * MF_SEC);
	assert_true(f[0].closed);
	assert_int_equal(f[0].why, MF_TCP_END_TIMEOUT);
	case_free(f);
}

/* Probes that are further apart than the silence before the first: each is answered, and that counts. */
static void test_keepalive_far_apart(void **state)
{
	struct sim_end *f = case_flow(1000);

	(void)state;
	f[0].app.close = SIM_CLOSE_NEVER;
	f[0].cfg.keepalive_idle = MF_SEC;
	f[0].cfg.keepalive_interval = 20 * MF_SEC;
	f[0].cfg.keepalive_count = 3;
	sim_start(f);
	sim_run(f->sim, 600 * MF_SEC);
	assert_false(f[0].closed || f[1].closed);
	f->sim->link[1].dead = true;
	sim_run(f->sim, 100 * MF_SEC);
	assert_int_equal(f[0].why, MF_TCP_END_TIMEOUT);
	case_free(f);
}

/* The other end has restarted and knows nothing: its reset ends it at the next probe. */
static void test_keepalive_finds_a_reset(void **state)
{
	struct sim_end *f = kept_alive();

	(void)state;
	f->sim->link[1].dead = true;
	f[1].abort_at = f->sim->now;
	sim_run(f->sim, MF_SEC);
	f->sim->link[1].dead = false;
	sim_run(f->sim, 40 * MF_SEC);
	assert_int_equal(f[0].why, MF_TCP_END_RESET);
	case_free(f);
}

/* A flow whose reader begins only after half an hour: the window is soon shut. */
static struct sim_end *unread(void)
{
	struct sim_end *f = case_flow(1 << 20);

	f[0].cfg.user_timeout = 30 * MF_SEC;
	f[1].cfg.rcv_wnd_max = 50000;
	f[1].app.read_from = 1800 * MF_SEC;
	sim_start(f);
	return f;
}

/* The window stays shut and the peer is alive: that is no reason to end (RFC 9293 3.8.6.1). */
static void test_zero_window_is_not_death(void **state)
{
	struct sim_end *f = unread();

	(void)state;
	sim_run(f->sim, 1700 * MF_SEC);
	assert_false(f[0].closed);
	sim_finish(f->sim, 1000 * MF_SEC);
	sim_assert_complete(f);
	case_free(f);
}

/* ... but a peer that does not answer the probes is. */
static void test_zero_window_and_dead(void **state)
{
	struct sim_end *f = unread();

	(void)state;
	sim_run(f->sim, 10 * MF_SEC);
	f->sim->link[0].dead = true;
	sim_run(f->sim, 200 * MF_SEC);
	assert_true(f[0].closed);
	assert_int_equal(f[0].why, MF_TCP_END_TIMEOUT);
	case_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_handshake_lossy),
		cmocka_unit_test(test_handshake_ack_lost),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_held_then_refused),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_syn_timeout),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_simultaneous_open),
		cmocka_unit_test(test_old_duplicate_syn),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_simultaneous_close),
		cmocka_unit_test(test_late_reader),
		cmocka_unit_test(test_time_wait_length),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_abort_at_any_time),
		cmocka_unit_test(test_reset_by_a_stranger),
		cmocka_unit_test(test_user_timeout),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_keepalive_far_apart),
		cmocka_unit_test(test_keepalive_finds_a_reset),
		cmocka_unit_test(test_zero_window_is_not_death),
		cmocka_unit_test(test_zero_window_and_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
