/* SPDX-License-Identifier: Apache-2.0
 *
 * timer - what happens when nothing happens: closed windows, silent peers, TIME-WAIT; and smaller paths, which
 * only ICMP tells of.
 */
#include "peer.h"
#include "proto/tcp/internal.h"

static const struct mf_tcp_counters *counters(const struct peer *f)
{
	return mf_tcp_env_counters(&f->env);
}

/* ---- a closed window (RFC 9293 3.8.6.1) ---- */

static struct peer *closed_window(mf_nsec user_timeout)
{
	struct peer *f = peer_new();

	f->cfg.user_timeout = user_timeout;
	peer_establish(f);
	f->wnd = 0;
	peer_acks(f, 1);
	peer_send(f, 5000);
	peer_takes_nothing(f);
	assert_true(mf_tcp_deadline(&f->c) != MF_NEVER);
	return f;
}

/* Probes of an old number, rarer and rarer; each is answered, so it lasts for ever. */
static void test_persist(void **state)
{
	struct peer *f = closed_window(30 * MF_SEC);
	mf_nsec last = f->now, pause = 0;
	unsigned n = 0;

	(void)state;
	while (f->now < last + 3600 * MF_SEC) {
		mf_nsec at = mf_tcp_deadline(&f->c);
		struct peer_seg g;

		assert_true(at > f->now && at <= f->now + 60 * MF_SEC);
		assert_true(at - f->now >= pause || pause > 20 * MF_SEC);
		pause = at - f->now;
		peer_wait(f, pause);
		g = peer_takes_ack(f);
		assert_int_equal(g.seq, 0); /* one before what it has had */
		peer_acks(f, 1);
		peer_takes_nothing(f);
		f->n_out = f->n_seen = 0;
		n++;
	}
	assert_in_range(n, 60, 140);
	assert_int_equal(counters(f)->zero_window_probes, n);
	assert_int_equal(counters(f)->rtos, 0);
	f->wnd = 1 << 20;
	peer_acks(f, 1);
	assert_int_equal(peer_take(f).len, 5000);
	peer_free(f);
}

/* Nobody answers: that is the end, after as long as data would be waited for. */
static void test_persist_gives_up(void **state)
{
	struct peer *f = closed_window(30 * MF_SEC);
	mf_nsec start = f->now;

	(void)state;
	while (mf_tcp_state(&f->c) != MF_TCP_CLOSED) {
		peer_wait(f, MF_SEC);
		assert_true(f->now < start + 100 * MF_SEC);
	}
	assert_true(f->now >= start + 30 * MF_SEC);
	assert_int_equal(peer_end(f), MF_TCP_END_TIMEOUT);
	assert_true(f->out[f->n_out - 1].flags & MF_TCP_RST);
	peer_free(f);
}

/* A window too small to be worth it: what fits goes, when nothing else happens (3.8.6.2.1, the override). */
static void test_small_window_at_last(void **state)
{
	struct peer *f = closed_window(0);

	(void)state;
	f->wnd = 512;
	peer_acks(f, 1);
	peer_takes_nothing(f);
	peer_wait(f, 300 * MF_MSEC);
	assert_int_equal(peer_take(f).len, 512);
	assert_int_equal(counters(f)->rtos, 0);
	peer_free(f);
}

/* The window is closed while data is in flight: the timer asks, and a peer that answers lives. */
static void test_shrunk_window(void **state)
{
	struct peer *f = peer_new();
	mf_nsec start;

	(void)state;
	f->cfg.user_timeout = 30 * MF_SEC;
	peer_establish(f);
	peer_send(f, 3000);
	peer_take_all(f);
	f->wnd = 0;
	start = f->now;
	while (f->now < start + 300 * MF_SEC) {
		peer_wait(f, 5 * MF_SEC);
		peer_acks(f, 1);
		peer_take_all(f);
		f->n_out = f->n_seen = 0;
	}
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_ESTABLISHED);
	peer_free(f);
}

/* ---- patience ---- */

static void test_user_timeout(void **state)
{
	struct peer *f = peer_new();
	mf_nsec start;

	(void)state;
	f->cfg.user_timeout = 10 * MF_SEC;
	peer_establish(f);
	start = f->now;
	peer_send(f, 3000);
	peer_take_all(f);
	peer_wait(f, 9900 * MF_MSEC);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_ESTABLISHED);
	peer_wait(f, 500 * MF_MSEC);
	assert_int_equal(peer_end(f), MF_TCP_END_TIMEOUT);
	assert_true(mf_tcp_events(&f->c) & MF_TCP_EV_CLOSED);
	assert_in_range(f->out[f->n_out - 1].at - start, 10 * MF_SEC, 10500 * MF_MSEC);
	assert_int_equal(mf_tcp_deadline(&f->c), MF_NEVER);
	peer_free(f);
}

/* ---- keepalive (RFC 9293 3.8.4) ---- */

static struct peer *kept_alive(void)
{
	struct peer *f = peer_new();

	f->cfg.keepalive_idle = 30 * MF_SEC;
	f->cfg.keepalive_interval = 5 * MF_SEC;
	f->cfg.keepalive_count = 3;
	peer_establish(f);
	return f;
}

static void test_keepalive(void **state)
{
	struct peer *f = kept_alive();
	mf_nsec heard = f->now;
	struct peer_seg g;

	(void)state;
	peer_wait(f, 29 * MF_SEC);
	assert_int_equal(f->n_out, f->n_seen);
	peer_wait(f, 2 * MF_SEC);
	g = peer_takes_ack(f);
	assert_int_equal(g.seq, 0);
	assert_int_equal(g.at, heard + 30 * MF_SEC);
	peer_acks(f, 1); /* alive: another 30 s */
	heard = f->now;
	peer_wait(f, 29 * MF_SEC);
	assert_int_equal(f->n_out, f->n_seen);
	/* Then silence: three probes, and a reset. */
	peer_wait(f, 30 * MF_SEC);
	for (int i = 0; i < 3; i++) {
		g = peer_take(f);
		assert_int_equal(g.flags, MF_TCP_ACK);
		assert_in_range(g.at, heard + (30 + 5 * (unsigned)i) * MF_SEC,
				heard + (31 + 5 * (unsigned)i) * MF_SEC);
	}
	assert_true(peer_take(f).flags & MF_TCP_RST);
	assert_int_equal(peer_end(f), MF_TCP_END_TIMEOUT);
	assert_int_equal(counters(f)->keepalives, 4);
	peer_free(f);
}

static void test_no_keepalive(void **state)
{
	struct peer *f = peer_established();

	(void)state;
	assert_int_equal(mf_tcp_deadline(&f->c), MF_NEVER);
	peer_free(f);
}

/* ---- the end ---- */

/* Half closed, and the peer has gone: it is asked, though no keepalive was wanted; while it answers it may
 * take its time. */
static void test_fin_wait_2(void **state)
{
	struct peer *f = peer_established();

	(void)state;
	mf_tcp_shutdown(&f->c);
	peer_take(f);
	peer_acks(f, 2);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_FIN_WAIT_2);
	for (int i = 0; i < 10; i++) {
		peer_wait(f, 70 * MF_SEC);
		peer_take_all(f);
		peer_acks(f, 2);
	}
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_FIN_WAIT_2);
	peer_wait(f, 1000 * MF_SEC);
	assert_int_equal(peer_end(f), MF_TCP_END_TIMEOUT);
	peer_free(f);
}

static void test_time_wait(void **state)
{
	static const mf_nsec lengths[] = { 0, 5 * MF_SEC };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(lengths); i++) {
		mf_nsec length = lengths[i] ? lengths[i] : 60 * MF_SEC;
		struct peer *f = peer_new();

		f->cfg.time_wait = lengths[i];
		peer_establish(f);
		mf_tcp_shutdown(&f->c);
		peer_take(f);
		peer_put(f, MF_TCP_FIN | MF_TCP_ACK, 1, 2, 0);
		peer_takes_ack(f);
		assert_int_equal(mf_tcp_state(&f->c), MF_TCP_TIME_WAIT);
		assert_int_equal(mf_tcp_deadline(&f->c), f->now + length);
		peer_wait(f, length);
		assert_int_equal(peer_end(f), MF_TCP_END_DONE);
		assert_true(mf_tcp_events(&f->c) & MF_TCP_EV_CLOSED);
		peer_free(f);
	}
}

/* ---- path MTU (RFC 1191, RFC 8201, RFC 5927) ---- */

static void test_path_mtu(void **state)
{
	struct peer *f = peer_established();
	uint32_t cwnd, sent = 0;

	(void)state;
	f->c.cubic.cwnd = cwnd = 40 * PEER_MSS;
	peer_send(f, 20 * PEER_MSS);
	assert_int_equal(peer_take(f).gso_size, PEER_MSS);
	/* Forged, or too late: of what is not in flight. */
	mf_tcp_path_mtu(&f->env, &f->c, 1300, f->iss, f->now);
	mf_tcp_path_mtu(&f->env, &f->c, 1300, f->c.snd_nxt, f->now);
	mf_tcp_path_mtu(&f->env, &f->c, 1300, f->c.snd_nxt + 1000000, f->now);
	mf_tcp_path_mtu(&f->env, &f->c, 1500, f->iss + 1, f->now);
	mf_tcp_path_mtu(&f->env, &f->c, 9000, f->iss + 1, f->now);
	peer_takes_nothing(f);
	/* What was too long goes again in pieces that fit, and that is not congestion. */
	mf_tcp_path_mtu(&f->env, &f->c, 1300, f->iss + 1, f->now);
	peer_output(f);
	while (f->n_seen < f->n_out) {
		const struct peer_seg *g = &f->out[f->n_seen++];

		assert_int_equal(g->seq, 1 + sent);
		assert_true(g->gso_size == 1300 - 52 || g->len <= 1300 - 52);
		sent += g->len;
	}
	assert_int_equal(sent, 20 * PEER_MSS);
	assert_int_equal(f->c.cubic.cwnd, cwnd);
	peer_acks(f, 1 + sent);
	assert_int_equal(f->c.recovery, MF_TCP_OPEN);
	peer_free(f);
}

/* Not below what any path can carry: it would only make us send many small packets. */
static void test_path_mtu_least(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct peer *f = peer_new();
		struct mf_tcp_info info;

		f->v6 = v6;
		peer_establish(f);
		peer_send(f, 1000);
		peer_take(f);
		mf_tcp_path_mtu(&f->env, &f->c, 1, f->iss + 1, f->now);
		mf_tcp_info(&f->c, &info);
		assert_int_equal(info.mss, v6 ? 1280 - 72 : 296 - 52);
		peer_free(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_persist),
		cmocka_unit_test(test_persist_gives_up),
		cmocka_unit_test(test_small_window_at_last),
		cmocka_unit_test(test_shrunk_window),
		cmocka_unit_test(test_user_timeout),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_no_keepalive),
		cmocka_unit_test(test_fin_wait_2),
		cmocka_unit_test(test_time_wait),
		cmocka_unit_test(test_path_mtu),
		cmocka_unit_test(test_path_mtu_least),
	};

	return cmocka_run_group_tests_name("tcp/timer", tests, NULL, NULL);
}
