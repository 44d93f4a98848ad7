/* SPDX-License-Identifier: Apache-2.0
 *
 * open - handshakes both ways, what they agree on, and what goes wrong before they are complete.
 */
#include "peer.h"

/* ---- the peer opens ---- */

static void test_passive(void **state)
{
	struct peer *f = peer_new();
	struct mf_tcp_info info;
	struct peer_seg g;

	(void)state;
	peer_hold(f);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_SYN_HELD);
	peer_takes_nothing(f);
	assert_int_equal(mf_tcp_deadline(&f->c), MF_NEVER);
	mf_tcp_accept(&f->env, &f->c, f->now);
	g = peer_take(f);
	assert_int_equal(g.flags, MF_TCP_SYN | MF_TCP_ACK);
	assert_int_equal(g.ack, 1);
	assert_int_equal(g.o.mss, 1460);
	assert_true(g.o.sack_permitted && g.o.has_ts && g.o.has_wscale);
	assert_int_equal(g.o.wscale, 7); /* 4 MiB */
	assert_int_equal(g.o.ts_ecr, 1000);
	assert_int_equal(g.wnd, 65535);
	assert_int_equal(mf_tcp_events(&f->c), 0);
	f->now += 30 * MF_MSEC;
	peer_acks(f, 1);
	assert_true(mf_tcp_events(&f->c) & MF_TCP_EV_CONNECTED);
	mf_tcp_info(&f->c, &info);
	assert_int_equal(info.state, MF_TCP_ESTABLISHED);
	assert_int_equal(info.mss, PEER_MSS);
	assert_int_equal(info.srtt, 30 * MF_MSEC);
	assert_int_equal(info.syn_seq, PEER_ISS);
	assert_int_equal(info.snd_wscale, PEER_WSCALE);
	peer_takes_nothing(f);
	peer_free(f);
}

/* Whatever the peer lacks is not used. */
static void test_options(void **state)
{
	for (unsigned bits = 0; bits < 16; bits++) {
		struct peer *f = peer_new();
		struct mf_tcp_info info;
		struct peer_seg g;

		(void)state;
		f->ts = bits & 1;
		f->sack = bits & 2;
		f->wscale = bits & 4;
		f->v6 = bits & 8;
		f->mss = 1000;
		g = peer_accept(f);
		assert_int_equal(g.o.has_ts, f->ts);
		assert_int_equal(g.o.sack_permitted, f->sack);
		assert_int_equal(g.o.has_wscale, f->wscale);
		assert_int_equal(g.o.mss, f->v6 ? 1440 : 1460);
		peer_acks(f, 1);
		mf_tcp_info(&f->c, &info);
		assert_int_equal(info.mss, f->ts ? 988 : 1000);
		assert_int_equal(info.timestamps, f->ts);
		assert_int_equal(info.sack, f->sack);
		assert_int_equal(info.rcv_wscale, f->wscale ? 7 : 0);
		assert_true(info.rcv_wnd <= 65535);
		peer_send(f, 100);
		g = peer_take(f);
		assert_int_equal(g.o.has_ts, f->ts);
		peer_free(f);
	}
}

/* The scale is the smallest that can say the largest window. */
static void test_scale(void **state)
{
	static const struct {
		uint32_t max;
		uint8_t scale;
	} cases[] = { { 1000, 0 },     { 65535, 0 },     { 65536, 1 },       { 4 << 20, 7 },
		      { 16 << 20, 9 }, { 1u << 30, 14 }, { UINT32_MAX, 14 }, { (1 << 20) - 1, 4 } };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct peer *f = peer_new();

		f->cfg.rcv_wnd_max = cases[i].max;
		assert_int_equal(peer_accept(f).o.wscale, cases[i].scale);
		peer_free(f);
	}
}

/* RFC 9293 3.7.1: a peer that says nothing takes 536; one that says next to nothing is not believed. */
static void test_mss(void **state)
{
	static const struct {
		uint16_t says;
		uint32_t mtu, gets;
	} cases[] = { { 0, 0, 536 },
		      { 1, 0, 88 },
		      { 65535, 0, 1460 },
		      { 9000, 9000, 8960 },
		      { 1460, 576, 536 } };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct peer *f = peer_new();
		struct mf_tcp_info info;

		f->ts = false;
		f->mss = cases[i].says;
		f->cfg.mtu = cases[i].mtu;
		peer_establish(f);
		mf_tcp_info(&f->c, &info);
		assert_int_equal(info.mss, cases[i].gets);
		peer_free(f);
	}
}

static void test_hold_takes_only_syns(void **state)
{
	static const uint8_t flags[] = { 0,
					 MF_TCP_ACK,
					 MF_TCP_RST,
					 MF_TCP_FIN,
					 MF_TCP_SYN | MF_TCP_ACK,
					 MF_TCP_SYN | MF_TCP_RST,
					 MF_TCP_SYN | MF_TCP_FIN };
	struct peer *f = peer_new();

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(flags); i++) {
		struct mf_pkt *p = peer_segment(f, flags[i], 0, 0, 0);

		assert_int_equal(mf_tcp_hold(&f->env, &f->c, &f->cfg, p, f->now), MF_E_MALFORMED);
		assert_int_equal(mf_tcp_state(&f->c), MF_TCP_CLOSED);
		mf_pkt_free(p);
	}
	peer_free(f);
}

/* SYN_HELD: the SYN again, another SYN, an ACK, a reset. */
static void test_held(void **state)
{
	struct peer *f = peer_new();
	struct peer_seg g;

	(void)state;
	peer_hold(f);
	assert_int_equal(peer_put(f, MF_TCP_SYN, 0, 0, 0), MF_DROP_NONE);
	peer_takes_nothing(f);
	/* The app has given up and tries again from the same port. */
	assert_int_equal(peer_put(f, MF_TCP_SYN, 5000, 0, 0), MF_DROP_NONE);
	peer_takes_nothing(f);
	f->iss_known = true;
	assert_int_equal(peer_put(f, MF_TCP_ACK, 5001, 77, 0), MF_DROP_TCP_STATE);
	g = peer_take(f);
	assert_int_equal(g.flags, MF_TCP_RST);
	assert_int_equal(g.seq, 77);
	assert_int_equal(peer_put(f, MF_TCP_RST, 5002, 0, 0), MF_DROP_TCP_WINDOW);
	f->iss_known = false;
	mf_tcp_accept(&f->env, &f->c, f->now);
	g = peer_take(f);
	assert_int_equal(g.flags, MF_TCP_SYN | MF_TCP_ACK);
	assert_int_equal(g.ack, 5001);
	peer_free(f);

	f = peer_new();
	peer_hold(f);
	assert_int_equal(peer_put(f, MF_TCP_RST, 1, 0, 0), MF_DROP_NONE);
	assert_int_equal(peer_end(f), MF_TCP_END_RESET);
	assert_int_equal(mf_tcp_events(&f->c), MF_TCP_EV_CLOSED);
	peer_takes_nothing(f);
	peer_free(f);
}

/* Refused by the far side: as a closed port would (RFC 9293 3.10.7.1). */
static void test_held_refused(void **state)
{
	struct peer *f = peer_new();
	struct peer_seg g;

	(void)state;
	peer_hold(f);
	mf_tcp_abort(&f->env, &f->c, false, f->now);
	assert_int_equal(f->n_out, 1);
	f->out[0].seq += f->iss;
	g = f->out[0];
	assert_int_equal(g.flags, MF_TCP_RST | MF_TCP_ACK);
	assert_int_equal(g.seq, 0);
	assert_int_equal(g.ack, 1);
	peer_free(f);

	f = peer_new();
	peer_hold(f);
	mf_tcp_abort(&f->env, &f->c, true, f->now);
	assert_int_equal(f->n_out, 0);
	assert_int_equal(peer_end(f), MF_TCP_END_ABORTED);
	peer_free(f);
}

/* 1, 2, 4 s ... until the end of patience; each time the same SYN-ACK. */
static void test_syn_ack_again(void **state)
{
	struct peer *f = peer_new();
	mf_nsec start = f->now;
	struct peer_seg g;

	(void)state;
	f->cfg.syn_timeout = 20 * MF_SEC;
	peer_accept(f);
	peer_wait(f, 16 * MF_SEC);
	for (unsigned i = 0, at = 1; i < 4; i++, at = 2 * at + 1) {
		g = peer_take(f);
		assert_int_equal(g.flags, MF_TCP_SYN | MF_TCP_ACK);
		assert_int_equal(g.seq, 0);
		assert_int_equal(g.at, start + at * MF_SEC);
	}
	assert_int_equal(f->n_seen, f->n_out);
	peer_wait(f, 20 * MF_SEC);
	assert_int_equal(peer_end(f), MF_TCP_END_TIMEOUT);
	assert_int_equal(f->n_seen, f->n_out);
	peer_free(f);
}

/* SYN-RECEIVED: the SYN again brings the SYN-ACK again; wrong ACKs bring resets and harm nothing. */
static void test_syn_received(void **state)
{
	struct peer *f = peer_new();
	struct peer_seg g;

	(void)state;
	peer_accept(f);
	assert_int_equal(peer_put(f, MF_TCP_SYN, 0, 0, 0), MF_DROP_NONE);
	assert_int_equal(peer_take(f).flags, MF_TCP_SYN | MF_TCP_ACK);
	for (uint32_t ack = 0; ack < 3; ack += 2) {
		assert_int_equal(peer_put(f, MF_TCP_ACK, 1, ack, 0), MF_DROP_TCP_ACK);
		g = peer_take(f);
		assert_int_equal(g.flags, MF_TCP_RST);
		assert_int_equal(g.seq, ack);
	}
	assert_int_equal(peer_put(f, MF_TCP_RST, 2, 0, 0), MF_DROP_TCP_WINDOW);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_SYN_RECEIVED);
	/* Data with the ACK is fine, and a FIN with it. */
	assert_int_equal(peer_put(f, MF_TCP_ACK | MF_TCP_FIN, 1, 1, 10), MF_DROP_NONE);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_CLOSE_WAIT);
	assert_int_equal(peer_read(f, 0), 10);
	assert_true(mf_tcp_eof(&f->c));
	peer_free(f);

	f = peer_new();
	peer_accept(f);
	assert_int_equal(peer_put(f, MF_TCP_RST, 1, 0, 0), MF_DROP_NONE);
	assert_int_equal(peer_end(f), MF_TCP_END_RESET);
	peer_free(f);
}

/* ---- we open ---- */

static void test_active(void **state)
{
	struct peer *f = peer_new();
	struct peer_seg g;

	(void)state;
	g = peer_connect(f);
	assert_int_equal(g.seq, 0);
	assert_int_equal(g.o.mss, 1460);
	assert_true(g.o.has_ts && g.o.sack_permitted && g.o.has_wscale);
	f->now += 25 * MF_MSEC;
	f->seq = 1;
	assert_int_equal(peer_put(f, MF_TCP_SYN | MF_TCP_ACK, 0, 1, 0), MF_DROP_NONE);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_ESTABLISHED);
	assert_true(mf_tcp_events(&f->c) & MF_TCP_EV_CONNECTED);
	g = peer_takes_ack(f);
	assert_int_equal(g.ack, 1);
	assert_int_equal(g.seq, 1);
	peer_free(f);
}

static void test_syn_sent(void **state)
{
	struct peer *f = peer_new();
	struct peer_seg g;

	(void)state;
	peer_connect(f);
	/* Not an answer to our SYN: a reset tells the sender (RFC 9293 3.10.7.3), but resets none. */
	for (uint32_t ack = 0; ack < 3; ack += 2) {
		assert_int_equal(peer_put(f, MF_TCP_SYN | MF_TCP_ACK, 0, ack, 0), MF_DROP_TCP_ACK);
		g = peer_take(f);
		assert_int_equal(g.flags, MF_TCP_RST);
		assert_int_equal(g.seq, ack);
		assert_int_equal(peer_put(f, MF_TCP_RST | MF_TCP_ACK, 0, ack, 0), MF_DROP_TCP_ACK);
		peer_takes_nothing(f);
	}
	assert_int_equal(peer_put(f, MF_TCP_RST, 0, 0, 0), MF_DROP_TCP_STATE);
	assert_int_equal(peer_put(f, MF_TCP_ACK, 0, 1, 0), MF_DROP_TCP_STATE);
	peer_takes_nothing(f);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_SYN_SENT);
	assert_int_equal(peer_put(f, MF_TCP_RST | MF_TCP_ACK, 0, 1, 0), MF_DROP_NONE);
	assert_int_equal(peer_end(f), MF_TCP_END_REFUSED);
	peer_free(f);
}

/* RFC 9293 3.5, figure 8. The window of the SYN-ACK that ends it is not scaled. */
static void test_simultaneous(void **state)
{
	struct peer *f = peer_new();
	struct mf_tcp_info info;
	struct peer_seg g;

	(void)state;
	f->wnd = 60000;
	peer_connect(f);
	assert_int_equal(peer_put(f, MF_TCP_SYN, 0, 0, 0), MF_DROP_NONE);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_SYN_RECEIVED);
	g = peer_take(f);
	assert_int_equal(g.flags, MF_TCP_SYN | MF_TCP_ACK);
	assert_int_equal(g.seq, 0);
	assert_int_equal(g.ack, 1);
	f->seq = 1;
	assert_int_equal(peer_put(f, MF_TCP_SYN | MF_TCP_ACK, 0, 1, 0), MF_DROP_NONE);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_ESTABLISHED);
	mf_tcp_info(&f->c, &info);
	assert_in_range(info.snd_wnd, 60000 - 127, 60000);
	peer_free(f);
}

static void test_connect_refuses(void **state)
{
	struct mf_endpoint a = { .addr = { .b = { 10, 0, 0, 1 }, .family = MF_AF_IP4 }, .port = 1 };
	struct mf_endpoint b = { .addr = { .b = { 0xfd }, .family = MF_AF_IP6 }, .port = 1 };
	struct mf_endpoint c = a;
	struct peer *f = peer_new();

	(void)state;
	c.port = 0;
	assert_int_equal(mf_tcp_connect(&f->env, &f->c, &f->cfg, &a, &b, f->now), MF_E_RANGE);
	assert_int_equal(mf_tcp_connect(&f->env, &f->c, &f->cfg, &a, &c, f->now), MF_E_RANGE);
	assert_int_equal(mf_tcp_connect(&f->env, &f->c, &f->cfg, &c, &a, f->now), MF_E_RANGE);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_CLOSED);
	peer_free(f);
}

/* RFC 6528: of one name the numbers grow with time, of another they are elsewhere; and timestamps of one
 * name go on where the last connection stopped. */
static void test_isn(void **state)
{
	struct peer *f = peer_new();
	uint32_t iss[3], ts[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct peer_seg g;

		f->iss_known = false;
		f->v6 = i == 2;
		g = peer_connect(f);
		iss[i] = f->iss;
		ts[i] = g.o.ts_val;
		mf_tcp_free(&f->env, &f->c);
		f->now += MF_SEC;
	}
	assert_int_equal(iss[1] - iss[0], 250000); /* a tick of 4 us */
	assert_int_equal(ts[1] - ts[0], 1000);
	assert_int_not_equal(iss[2] - iss[1], 250000);
	assert_int_not_equal(ts[2] - ts[1], 1000);
	peer_free(f);
}

/* ICMP counts only if it quotes our SYN. */
static void test_unreachable(void **state)
{
	struct peer *f = peer_new();

	(void)state;
	peer_connect(f);
	mf_tcp_unreachable(&f->env, &f->c, f->iss + 1);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_SYN_SENT);
	mf_tcp_unreachable(&f->env, &f->c, f->iss);
	assert_int_equal(peer_end(f), MF_TCP_END_UNREACHABLE);
	peer_free(f);

	f = peer_established();
	peer_send(f, 10);
	peer_take(f);
	mf_tcp_unreachable(&f->env, &f->c, f->iss + 1);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_ESTABLISHED);
	peer_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passive),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_mss),
		cmocka_unit_test(test_hold_takes_only_syns),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_held_refused),
		cmocka_unit_test(test_syn_ack_again),
		cmocka_unit_test(test_syn_received),
		cmocka_unit_test(test_active),
		cmocka_unit_test(test_syn_sent),
		cmocka_unit_test(test_simultaneous),
		cmocka_unit_test(test_connect_refuses),
		cmocka_unit_test(test_isn),
		cmocka_unit_test(test_unreachable),
	};

	return cmocka_run_group_tests_name("tcp/open", tests, NULL, NULL);
}
