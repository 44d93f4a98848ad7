/* SPDX-License-Identifier: Apache-2.0
 *
 * output - what goes out and in which pieces: super-packets, windows, small writes, ACKs, FINs; and what
 * happens when there is nothing left to build them from.
 */
#include "peer.h"
#include "proto/tcp/internal.h"

enum { IW = 10 * PEER_MSS };

/* ---- super-packets ---- */

/* The initial window goes as one super-packet of whole segments (RFC 6928), the rest when ACKs come. */
static void test_super_packet(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct peer *f = peer_new();
		struct peer_seg g;
		uint32_t mss = v6 ? PEER_MSS - 20 : PEER_MSS;

		f->v6 = v6;
		f->mss = 9000;
		peer_establish(f);
		peer_send(f, 60000);
		g = peer_take(f);
		assert_int_equal(g.seq, 1);
		assert_int_equal(g.len, 10 * mss);
		assert_int_equal(g.gso_size, mss);
		assert_int_equal(g.segments, 10);
		assert_int_equal(g.flags, MF_TCP_ACK);
		peer_takes_nothing(f);
		peer_acks(f, 1 + 10 * mss);
		/* Slow start: twice as much. */
		g = peer_take(f);
		assert_int_equal(g.seq, 1 + 10 * mss);
		assert_int_equal(g.len, 20 * mss);
		peer_takes_nothing(f);
		peer_acks(f, 1 + 30 * mss);
		g = peer_take(f);
		assert_int_equal(g.len, 60000 - 30 * mss); /* the last one may be short */
		assert_int_equal(g.flags, MF_TCP_ACK | MF_TCP_PSH);
		assert_int_equal(g.segments, (60000 - 30 * mss + mss - 1) / mss);
		peer_free(f);
	}
}

/* No larger than an IP packet can be, however much may go. */
static void test_largest(void **state)
{
	struct peer *f = peer_established();
	struct peer_seg g;

	(void)state;
	f->c.cubic.cwnd = 1 << 20;
	assert_int_equal(mf_tcp_send_chunk(&f->c), 45 * PEER_MSS);
	peer_send(f, 65536);
	g = peer_take(f);
	assert_int_equal(g.len, 45 * PEER_MSS);
	g = peer_take(f);
	assert_int_equal(g.len, 65536 - 45 * PEER_MSS);
	assert_int_equal(g.gso_size, 0);
	assert_int_equal(g.segments, 1);
	peer_free(f);
}

static void test_no_tso(void **state)
{
	struct peer *f = peer_new();

	(void)state;
	f->cfg.no_tso = true;
	peer_establish(f);
	peer_send(f, 5 * PEER_MSS + 1);
	for (uint32_t i = 0; i < 6; i++) {
		struct peer_seg g = peer_take(f);

		assert_int_equal(g.seq, 1 + i * PEER_MSS);
		assert_int_equal(g.len, i < 5 ? PEER_MSS : 1);
		assert_int_equal(g.gso_size, 0);
		assert_int_equal(g.flags, i < 5 ? MF_TCP_ACK : MF_TCP_ACK | MF_TCP_PSH);
	}
	peer_free(f);
}

/* Small writes go at once (no Nagle); those that cannot go share a packet. */
static void test_small_writes(void **state)
{
	struct peer *f = peer_established();
	uint32_t before = mf_pkt_pool_free_small(f->pool);

	(void)state;
	for (uint32_t i = 0; i < 5; i++) {
		peer_send(f, 10);
		assert_int_equal(peer_take(f).len, 10);
	}
	f->wnd = 0;
	peer_acks(f, 51);
	peer_take_all(f);
	assert_int_equal(mf_pkt_pool_free_small(f->pool), before);
	for (int i = 0; i < 150; i++)
		peer_send(f, 10);
	assert_int_equal(mf_tcp_send_queued(&f->c), 1500);
	assert_int_equal(mf_pkt_pool_free_small(f->pool), before - 1);
	peer_takes_nothing(f);
	f->wnd = 1 << 20;
	peer_acks(f, 51);
	assert_int_equal(peer_take_all(f), 1500);
	peer_free(f);
}

/* ---- memory of what is sent ---- */

/* Payload stays where it is until the owner says that all has been sent, though it is acknowledged. */
static void test_limbo(void **state)
{
	struct peer *f = peer_established();
	uint32_t before = mf_pkt_pool_free_large(f->pool);

	(void)state;
	peer_send(f, 5000);
	mf_tcp_output(&f->env, &f->c, f->now);
	peer_acks(f, 5001);
	assert_int_equal(mf_pkt_pool_free_large(f->pool), before - 1);
	assert_int_equal(mf_tcp_env_tx_held(&f->env), MF_PKT_LARGE_MAX);
	mf_tcp_env_sweep(&f->env);
	assert_int_equal(mf_pkt_pool_free_large(f->pool), before);
	assert_int_equal(mf_tcp_env_tx_held(&f->env), 0);
	peer_free(f);
}

static void test_room(void **state)
{
	struct peer *f = peer_new();
	size_t room;

	(void)state;
	f->cfg.snd_buf_max = 200000;
	assert_int_equal(mf_tcp_send_room(&f->c), 0);
	peer_accept(f);
	assert_int_equal(mf_tcp_send_room(&f->c), 0);
	peer_acks(f, 1);
	room = mf_tcp_send_room(&f->c);
	assert_in_range(room, 2 * IW, 200000);
	peer_send(f, 10000);
	assert_int_equal(mf_tcp_send_room(&f->c), room - 10000);
	peer_take_all(f);
	mf_tcp_events(&f->c);
	peer_acks(f, 10001);
	assert_true(mf_tcp_events(&f->c) & MF_TCP_EV_ROOM);
	/* Grows with the window, up to the limit. */
	f->c.cubic.cwnd = 1 << 20;
	assert_int_equal(mf_tcp_send_room(&f->c), 200000);
	mf_tcp_shutdown(&f->c);
	assert_int_equal(mf_tcp_send_room(&f->c), 0);
	peer_free(f);
}

/* The budget of all connections: who has something queued waits, who has nothing gets a little. */
static void test_tx_budget(void **state)
{
	struct peer *f = peer_new();

	(void)state;
	f->env.tx_budget = 4 * MF_PKT_LARGE_MAX;
	peer_establish(f);
	f->wnd = 0;
	peer_acks(f, 1);
	for (int i = 0; i < 4; i++)
		peer_send(f, 10000);
	assert_int_equal(mf_tcp_env_tx_held(&f->env), 4 * MF_PKT_LARGE_MAX);
	assert_int_equal(mf_tcp_send_room(&f->c), 0);
	mf_tcp_free(&f->env, &f->c);
	f->iss_known = f->edge_known = false;
	f->given = 0;
	peer_establish(f);
	f->env.s->tx_held += 4 * MF_PKT_LARGE_MAX; /* as if others held it */
	assert_in_range(mf_tcp_send_room(&f->c), 1, MF_PKT_SMALL_MAX);
	f->env.s->tx_held -= 4 * MF_PKT_LARGE_MAX;
	peer_free(f);
}

/* No packet is free: nothing is lost, it is tried again soon. */
static void test_pool_dry(void **state)
{
	struct peer *f = peer_established();
	struct mf_pkt *hostage[PEER_SMALL];
	unsigned n = 0;

	(void)state;
	peer_send(f, 3000);
	peer_data(f, 100);
	while ((hostage[n] = mf_pkt_small(f->pool)))
		n++;
	mf_tcp_output(&f->env, &f->c, f->now);
	assert_int_equal(f->n_out, f->n_seen);
	check_tcp(&f->c);
	assert_in_range(mf_tcp_deadline(&f->c), f->now + 1, f->now + MF_MSEC);
	while (n)
		mf_pkt_free(hostage[--n]);
	peer_wait(f, 2 * MF_MSEC);
	assert_int_equal(peer_take(f).len, 3000);
	assert_int_equal(f->out[f->n_seen - 1].ack, 101);
	peer_free(f);
}

/* Without records a connection has still its own: everything arrives, if slowly. */
static void test_no_records(void **state)
{
	struct peer *f = peer_new();

	(void)state;
	f->env.n_records = 1;
	mf_tcp_env_fini(&f->env);
	assert_int_equal(mf_tcp_env_init(&f->env), MF_OK);
	peer_establish(f);
	for (uint32_t i = 0; i < 8; i++) {
		peer_send(f, 1000);
		assert_int_equal(peer_take(f).len, 1000);
	}
	/* One of them is lost; nothing can be cut. */
	peer_sacks(f, 1001, 2001, 8001);
	peer_take_all(f);
	for (int i = 0; i < 10 && f->c.snd_una != f->c.snd_nxt; i++) {
		unsigned from = f->n_out;

		peer_wait(f, 5 * MF_SEC);
		assert_true(f->n_out > from);
		peer_acks(f, f->out[from].seq + f->out[from].len);
		peer_take_all(f);
		f->n_out = f->n_seen = 0;
	}
	assert_int_equal(f->c.snd_una, f->c.snd_nxt);
	peer_free(f);
}

/* ---- the peer's window ---- */

/* RFC 9293 3.8.6.2.1: no silly segments. */
static void test_silly_window(void **state)
{
	struct peer *f = peer_established();

	(void)state;
	f->wnd = 1024; /* less than a segment, less than half of what it was */
	peer_acks(f, 1);
	peer_send(f, 20000);
	peer_takes_nothing(f);
	f->wnd = 3 * PEER_MSS + 1000;
	peer_acks(f, 1);
	assert_int_equal(peer_take(f).len, 3 * PEER_MSS);
	peer_takes_nothing(f);
	/* A peer that never had more is served in what it has. */
	peer_free(f);

	f = peer_new();
	f->wnd = 500;
	f->wscale = false;
	peer_establish(f);
	peer_send(f, 2000);
	assert_int_equal(peer_take(f).len, 500);
	peer_takes_nothing(f);
	peer_acks(f, 501);
	assert_int_equal(peer_take(f).len, 500);
	peer_free(f);
}

/* An old segment does not move the window (RFC 9293 3.10.7.4: WL1, WL2). */
static void test_old_window(void **state)
{
	struct peer *f = peer_established();
	struct mf_tcp_info info;

	(void)state;
	peer_data(f, 100);
	peer_data(f, 100);
	f->wnd = 0;
	assert_int_equal(peer_put(f, MF_TCP_ACK, 1, 1, 250), MF_DROP_NONE);
	f->seq = 251;
	mf_tcp_info(&f->c, &info);
	assert_int_equal(info.snd_wnd, 1 << 20);
	peer_acks(f, 1);
	mf_tcp_info(&f->c, &info);
	assert_int_equal(info.snd_wnd, 0);
	peer_free(f);
}

/* ---- ACKs ---- */

static void test_ack_policy(void **state)
{
	struct peer *f = peer_established();

	(void)state;
	/* What ends a write: after a moment. */
	peer_data(f, 100);
	peer_takes_nothing(f);
	peer_wait(f, MF_MSEC - 1);
	peer_takes_nothing(f);
	peer_wait(f, 1);
	assert_int_equal(peer_takes_ack(f).ack, 101);
	/* In the middle of a stream: every second segment, or after 5 ms. */
	for (int i = 0; i < 10; i++) {
		peer_put(f, MF_TCP_ACK, f->seq, 1, PEER_MSS);
		f->seq += PEER_MSS;
		if (i % 2)
			assert_int_equal(peer_takes_ack(f).ack, f->seq);
		else
			peer_takes_nothing(f);
	}
	peer_put(f, MF_TCP_ACK, f->seq, 1, PEER_MSS);
	f->seq += PEER_MSS;
	peer_takes_nothing(f);
	peer_wait(f, 4 * MF_MSEC);
	assert_int_equal(f->n_seen, f->n_out);
	peer_wait(f, 2 * MF_MSEC);
	assert_int_equal(peer_takes_ack(f).ack, f->seq);
	/* Many in one turn, or one super-packet: one ACK. */
	for (int i = 0; i < 5; i++)
		peer_data(f, PEER_MSS);
	assert_int_equal(peer_takes_ack(f).ack, f->seq);
	f->gso = PEER_MSS;
	peer_data(f, 8 * PEER_MSS);
	assert_int_equal(peer_takes_ack(f).ack, f->seq);
	peer_free(f);
}

/* Where answers follow at once, they take the ACK along; when one does not, the ACK goes by itself. */
static void test_pingpong(void **state)
{
	struct peer *f = peer_established();

	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		struct peer_seg g;

		peer_data(f, 50);
		peer_takes_nothing(f);
		f->now += i < 3 ? MF_MSEC / 2
				: 4 * MF_MSEC; /* seen to answer often enough: it waits */
		peer_send(f, 70);
		g = peer_take(f);
		assert_int_equal(g.len, 70);
		assert_int_equal(g.ack, f->seq);
		peer_takes_nothing(f);
		peer_acks(f, 1 + 70 * (i + 1));
	}
	peer_data(f, 50);
	peer_takes_nothing(f);
	peer_wait(f, 4 * MF_MSEC);
	peer_takes_nothing(f);
	peer_wait(f, 2 * MF_MSEC);
	assert_int_equal(peer_takes_ack(f).ack, f->seq);
	/* Not so long again, then. */
	peer_data(f, 50);
	peer_takes_nothing(f);
	peer_wait(f, MF_MSEC);
	assert_int_equal(peer_takes_ack(f).ack, f->seq);
	peer_free(f);
}

/* ---- the end ---- */

static void test_fin(void **state)
{
	struct peer *f = peer_established();
	struct peer_seg g;

	(void)state;
	/* With the last data, if there is some. */
	peer_send(f, 100);
	mf_tcp_shutdown(&f->c);
	g = peer_take(f);
	assert_int_equal(g.flags, MF_TCP_ACK | MF_TCP_PSH | MF_TCP_FIN);
	assert_int_equal(g.len, 100);
	peer_takes_nothing(f);
	/* Only the FIN is missing: only the FIN comes again. */
	peer_acks(f, 101);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_FIN_WAIT_1);
	peer_wait(f, MF_SEC);
	g = peer_take(f);
	assert_int_equal(g.flags, MF_TCP_ACK | MF_TCP_FIN);
	assert_int_equal(g.seq, 101);
	assert_int_equal(g.len, 0);
	peer_take_all(f);
	peer_acks(f, 102);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_FIN_WAIT_2);
	peer_free(f);

	/* It waits for no window, but for what is before it. */
	f = peer_established();
	f->wnd = 0;
	peer_acks(f, 1);
	peer_send(f, 100);
	mf_tcp_shutdown(&f->c);
	peer_takes_nothing(f);
	f->wnd = 1 << 20;
	peer_acks(f, 1);
	assert_int_equal(peer_take(f).flags, MF_TCP_ACK | MF_TCP_PSH | MF_TCP_FIN);
	peer_free(f);

	f = peer_established();
	f->wnd = 0;
	peer_acks(f, 1);
	mf_tcp_shutdown(&f->c);
	assert_int_equal(peer_take(f).flags, MF_TCP_ACK | MF_TCP_FIN);
	peer_free(f);
}

static void send_empty(void *arg)
{
	struct peer *f = arg;
	struct mf_pkt *p = mf_pkt_small(f->pool);

	mf_tcp_send(&f->env, &f->c, p);
}

static void send_late(void *arg)
{
	struct peer *f = arg;

	mf_tcp_shutdown(&f->c);
	peer_send(f, 10);
}

static void test_misuse(void **state)
{
	struct peer *f = peer_established();

	(void)state;
	assert_true(unit_aborts(send_empty, f));
	assert_true(unit_aborts(send_late, f));
	peer_free(f);
}

static void test_abort(void **state)
{
	struct peer *f = peer_established();
	struct peer_seg g;

	(void)state;
	peer_send(f, 3000);
	peer_take_all(f);
	peer_data(f, 100);
	mf_tcp_abort(&f->env, &f->c, false, f->now);
	g = f->out[f->n_seen];
	assert_int_equal(f->n_out, f->n_seen + 1);
	assert_int_equal(g.flags, MF_TCP_RST | MF_TCP_ACK);
	assert_int_equal(g.seq, 3001);
	assert_int_equal(g.ack, 101);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_CLOSED);
	assert_int_equal(peer_end(f), MF_TCP_END_ABORTED);
	assert_int_equal(mf_tcp_send_queued(&f->c), 0);
	mf_tcp_abort(&f->env, &f->c, false, f->now);
	assert_int_equal(f->n_out, f->n_seen + 1);
	/* What had arrived can still be read. */
	assert_int_equal(peer_read(f, 0), 100);
	peer_free(f);
}

/* Pacing: after the first round trip no more than about a millisecond's worth at a time. */
static void test_pacing(void **state)
{
	struct peer *f = peer_new();
	uint32_t sent = 0;

	(void)state;
	f->cfg.pacing = true;
	peer_establish(f); /* 10 ms */
	f->c.cubic.cwnd = 400 * 1000;
	f->c.cubic.ssthresh = 300 * 1000;
	peer_send(f, 65000);
	peer_send(f, 65000);
	peer_send(f, 65000);
	for (int i = 0; i < 4; i++) {
		uint32_t n = peer_take_all(f);

		/* 1.25 * 400 kB in 10 ms are 50 kB in each */
		sent += n;
		assert_in_range(n, sent < 195000 ? 30000 : 1, 70000);
		if (sent == 195000)
			break;
		assert_in_range(mf_tcp_deadline(&f->c), f->now, f->now + 2 * MF_MSEC);
		f->now += MF_MSEC;
		mf_tcp_timeout(&f->env, &f->c, f->now);
	}
	assert_int_equal(sent, 195000);
	peer_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_super_packet), cmocka_unit_test(test_largest),
		cmocka_unit_test(test_no_tso),       cmocka_unit_test(test_small_writes),
		cmocka_unit_test(test_limbo),        cmocka_unit_test(test_room),
		cmocka_unit_test(test_tx_budget),    cmocka_unit_test(test_pool_dry),
		cmocka_unit_test(test_no_records),   cmocka_unit_test(test_silly_window),
		cmocka_unit_test(test_old_window),   cmocka_unit_test(test_ack_policy),
		cmocka_unit_test(test_pingpong),     cmocka_unit_test(test_fin),
		cmocka_unit_test(test_misuse),       cmocka_unit_test(test_abort),
		cmocka_unit_test(test_pacing),
	};

	return cmocka_run_group_tests_name("tcp/output", tests, NULL, NULL);
}
