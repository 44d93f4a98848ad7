/* SPDX-License-Identifier: Apache-2.0
 *
 * recovery - loss and what looks like it, segment by segment: SACK and RACK, the tail loss probe, the
 * timer, NewReno, and taking it all back.
 */
#include "peer.h"
#include "proto/tcp/internal.h"

enum { RTT = 10 }; /* ms, of peer_establish */

static uint32_t seg(uint32_t n)
{
	return 1 + n * PEER_MSS;
}

/* n segments in flight, each by itself a millisecond after the other; RTT later the first ACK comes. */
static struct peer *flight(unsigned n, bool sack, bool ts)
{
	struct peer *f = peer_new();

	f->sack = sack;
	f->ts = ts;
	f->mss = ts ? 1460 : PEER_MSS;
	peer_establish(f);
	f->c.cubic.cwnd = 40 * PEER_MSS;
	for (unsigned i = 0; i < n; i++) {
		peer_send(f, PEER_MSS);
		assert_int_equal(peer_take(f).len, PEER_MSS);
		f->now += MF_MSEC;
		f->ts_val++;
	}
	assert_true(n <= RTT);
	f->now += (RTT - n) * MF_MSEC;
	return f;
}

static const struct mf_tcp_counters *counters(const struct peer *f)
{
	return mf_tcp_env_counters(&f->env);
}

/* The next segment is this one, again. */
static struct peer_seg resent(struct peer *f, uint32_t n)
{
	struct peer_seg g = peer_take(f);

	assert_int_equal(g.seq, seg(n));
	assert_int_equal(g.len, PEER_MSS);
	return g;
}

/* ---- SACK ---- */

/* The first of ten is lost. Two SACKed after it are not enough, three are (RFC 8985 6.2, DupThresh). */
static void test_fast_retransmit(void **state)
{
	struct peer *f = flight(10, true, true);
	uint32_t cwnd = f->c.cubic.cwnd;

	(void)state;
	peer_sacks(f, 1, seg(1), seg(2));
	peer_takes_nothing(f);
	f->now += MF_USEC;
	peer_sacks(f, 1, seg(1), seg(3));
	peer_takes_nothing(f);
	f->now += MF_USEC;
	peer_sacks(f, 1, seg(1), seg(4));
	resent(f, 0);
	peer_takes_nothing(f);
	assert_int_equal(counters(f)->fast_recoveries, 1);
	assert_int_equal(f->c.recovery, MF_TCP_RECOVERY);
	for (uint32_t i = 5; i <= 10; i++) {
		peer_sacks(f, 1, seg(1), seg(i));
		peer_takes_nothing(f);
	}
	f->now += RTT * MF_MSEC;
	peer_acks(f, seg(10));
	assert_int_equal(f->c.recovery, MF_TCP_OPEN);
	assert_int_equal(f->c.cubic.cwnd, f->c.cubic.ssthresh);
	assert_true(f->c.cubic.ssthresh < cwnd);
	assert_int_equal(counters(f)->retransmits, 1);
	peer_free(f);
}

/* Some reordering, no loss: RACK waits a quarter of the round trip before it believes it. */
static void test_reordering_window(void **state)
{
	struct peer *f = flight(10, true, true);

	(void)state;
	peer_sacks(f, 1, seg(1), seg(2));
	assert_int_equal(f->c.xmit_kind, MF_TCP_XMIT_REORDER);
	/* 10 ms round trip: 1 + 10 + 2.5 ms after the first was sent */
	assert_in_range(f->c.xmit_at, f->now, f->now + 3 * MF_MSEC);
	peer_wait(f, 4 * MF_MSEC);
	resent(f, 0);
	assert_int_equal(counters(f)->fast_recoveries, 1);
	peer_free(f);

	/* It comes in time: nothing is sent again, and the path is known to reorder. */
	f = flight(10, true, true);
	peer_sacks(f, 1, seg(1), seg(2));
	peer_acks(f, seg(2));
	assert_true(f->c.flags & MF_TCP_F_REORDERING);
	peer_wait(f, 4 * MF_MSEC);
	peer_acks(f, seg(10));
	assert_int_equal(counters(f)->retransmits, 0);
	/* Now three after it are no proof, either. */
	for (uint32_t i = 0; i < 5; i++) {
		peer_send(f, PEER_MSS);
		peer_take(f);
	}
	f->now += RTT * MF_MSEC;
	peer_sacks(f, seg(10), seg(11), seg(14));
	peer_takes_nothing(f);
	assert_int_equal(f->c.xmit_kind, MF_TCP_XMIT_REORDER);
	peer_free(f);
}

/* A super-packet is cut where the peer's blocks cut it; only what is missing goes again. */
static void test_super_packet_cut(void **state)
{
	struct peer *f = peer_established();
	struct peer_seg g;

	(void)state;
	f->c.cubic.cwnd = 40 * PEER_MSS;
	peer_send(f, 20 * PEER_MSS);
	assert_int_equal(peer_take(f).len, 20 * PEER_MSS);
	peer_send(f, 10 * PEER_MSS);
	assert_int_equal(peer_take(f).len, 10 * PEER_MSS);
	f->now += RTT * MF_MSEC;
	/* Missing: 3 and 4, 9, 15 to the end of the first. */
	f->blocks[0] = (struct mf_tcp_range){ seg(20), seg(30) };
	f->blocks[1] = (struct mf_tcp_range){ seg(10), seg(15) };
	f->blocks[2] = (struct mf_tcp_range){ seg(5), seg(9) };
	f->n_blocks = 3;
	peer_acks(f, seg(3));
	/* PRR: as much as has been delivered, and never as one super-packet over a gap. */
	g = peer_take(f);
	assert_int_equal(g.seq, seg(3));
	assert_int_equal(g.len, 2 * PEER_MSS);
	g = resent(f, 9);
	g = peer_take(f);
	assert_int_equal(g.seq, seg(15));
	assert_int_equal(g.len, 5 * PEER_MSS);
	peer_takes_nothing(f);
	peer_acks(f, seg(30));
	assert_int_equal(f->c.n_recs, 0);
	assert_int_equal(mf_tcp_send_queued(&f->c), 0);
	peer_free(f);
}

/* The retransmission is lost as well: what was sent after it arrives, so RACK knows. */
static void test_lost_retransmission(void **state)
{
	struct peer *f = flight(10, true, true);

	(void)state;
	peer_sacks(f, 1, seg(1), seg(10));
	resent(f, 0);
	f->now += MF_MSEC;
	peer_send(f, PEER_MSS);
	assert_int_equal(peer_take(f).seq, seg(10));
	f->now += (RTT + 3) * MF_MSEC;
	peer_sacks(f, 1, seg(1), seg(11));
	resent(f, 0);
	assert_int_equal(counters(f)->fast_recoveries, 1); /* the same one */
	assert_int_equal(counters(f)->rtos, 0);
	peer_free(f);
}

/* Blocks of what was never sent, of nothing, backwards: ignored. */
static void test_nonsense_blocks(void **state)
{
	struct peer *f = flight(5, true, true);
	static const struct mf_tcp_range bad[] = { { 1 + 5 * PEER_MSS, 1 + 6 * PEER_MSS },
						   { 1 + 4 * PEER_MSS, 2 + 5 * PEER_MSS },
						   { 3000, 3000 },
						   { 4000, 3000 },
						   { 0x80000001, 0x90000000 } };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		peer_sacks(f, 1, bad[i].start, bad[i].end);
		assert_int_equal(f->c.sacked, 0);
	}
	assert_int_equal(counters(f)->retransmits, 0);
	peer_free(f);
}

/* However finely a peer cuts, one connection takes a share of the records and no more. */
static void test_hostile_blocks(void **state)
{
	struct peer *f = peer_new();

	(void)state;
	f->env.n_records = 64;
	mf_tcp_env_fini(&f->env);
	assert_int_equal(mf_tcp_env_init(&f->env), MF_OK);
	peer_establish(f);
	peer_send(f, 10 * PEER_MSS);
	peer_take(f);
	for (uint32_t i = 2; i < 10 * PEER_MSS; i += 2) {
		peer_sacks(f, 1, i, i + 1);
		peer_take_all(f);
		f->n_out = f->n_seen = 0;
		assert_true(f->c.n_recs <= 64 / 4 + 1);
	}
	peer_acks(f, seg(10));
	assert_int_equal(f->c.n_recs, 0);
	peer_free(f);
}

/* Without records nothing can be cut: after the timeout the pieces of a record go packet by packet, as fast
 * as slow start allows, and no other timeout is needed. */
static void test_uncut(void **state)
{
	struct peer *f = peer_new();
	uint32_t una = 1;
	int turns = 0;

	(void)state;
	f->env.n_records = 1;
	mf_tcp_env_fini(&f->env);
	assert_int_equal(mf_tcp_env_init(&f->env), MF_OK);
	peer_establish(f);
	f->c.cubic.cwnd = 40 * PEER_MSS;
	for (int i = 0; i < 20; i++) {
		peer_send(f, 1000);
		assert_int_equal(peer_take(f).len, 1000);
	}
	assert_int_equal(f->c.n_recs, 2);
	peer_wait(f, 600 * MF_MSEC);
	for (; una < 20001; turns++) {
		assert_true(f->n_seen < f->n_out);
		while (f->n_seen < f->n_out) {
			const struct peer_seg *g = &f->out[f->n_seen++];

			assert_true(g->seq <= una);
			una = (uint32_t)mf_max(una, g->seq + g->len);
		}
		f->now += MF_MSEC;
		peer_acks(f, una);
		peer_output(f);
	}
	assert_in_range(turns, 3, 10);
	assert_int_equal(counters(f)->rtos, 1);
	assert_int_equal(mf_tcp_send_queued(&f->c), 0);
	peer_free(f);
}

/* RFC 2018 8: what was reported and is taken back goes again, after the timer. */
static void test_reneging(void **state)
{
	struct peer *f = flight(4, true, true);

	(void)state;
	peer_sacks(f, 1, seg(1), seg(4));
	resent(f, 0);
	f->now += RTT * MF_MSEC;
	peer_acks(f, seg(1)); /* only the first, and the blocks are gone */
	peer_take_all(f);
	peer_wait(f, 2 * MF_SEC);
	peer_acks(f, seg(2));
	peer_take_all(f);
	peer_acks(f, seg(4));
	assert_int_equal(f->c.snd_una, f->c.snd_nxt);
	assert_true(counters(f)->rtos >= 1);
	peer_free(f);
}

/* ---- the tail ---- */

static void test_tail_loss_probe(void **state)
{
	struct peer *f = flight(5, true, true);
	mf_nsec last;

	(void)state;
	peer_acks(f, seg(3));
	peer_takes_nothing(f);
	last = f->now;
	/* Two round trips, and time for the peer to answer; long before the timer. */
	peer_wait(f, 100 * MF_MSEC);
	assert_in_range(resent(f, 4).at - last, 20 * MF_MSEC, 90 * MF_MSEC);
	assert_int_equal(f->n_seen, f->n_out);
	assert_int_equal(counters(f)->tlps, 1);
	/* It shows the rest: 3 was lost. */
	peer_sacks(f, seg(3), seg(4), seg(5));
	f->now += 5 * MF_MSEC;
	mf_tcp_timeout(&f->env, &f->c, f->now);
	resent(f, 3);
	assert_int_equal(counters(f)->rtos, 0);
	peer_free(f);
}

/* The probe itself has repaired the loss: nobody else will say so, and there was congestion. */
static void test_probe_repairs(void **state)
{
	struct peer *f = flight(5, true, true);
	uint32_t cwnd;

	(void)state;
	peer_acks(f, seg(4));
	cwnd = f->c.cubic.cwnd;
	peer_wait(f, 100 * MF_MSEC);
	resent(f, 4);
	peer_acks(f, seg(5)); /* perhaps the original: nothing is known yet */
	peer_send(f, PEER_MSS);
	peer_take(f);
	f->now += RTT * MF_MSEC;
	peer_acks(f, seg(6)); /* no D-SACK has come */
	assert_true(f->c.cubic.cwnd < cwnd);
	peer_free(f);

	/* Both have arrived, says the D-SACK: nothing happened. */
	f = flight(5, true, true);
	peer_acks(f, seg(4));
	cwnd = f->c.cubic.cwnd;
	peer_wait(f, 100 * MF_MSEC);
	resent(f, 4);
	peer_acks(f, seg(5));
	peer_sacks(f, seg(5), seg(4), seg(5));
	peer_send(f, PEER_MSS);
	peer_take(f);
	f->now += RTT * MF_MSEC;
	peer_acks(f, seg(6));
	assert_true(f->c.cubic.cwnd >= cwnd);
	peer_free(f);
}

/* New data is the better probe. */
static void test_probe_with_new_data(void **state)
{
	struct peer *f = flight(4, true, true);

	(void)state;
	f->c.cubic.cwnd = 4 * PEER_MSS; /* so that it has to wait */
	f->c.cubic.ssthresh = 4 * PEER_MSS;
	peer_send(f, 2 * PEER_MSS);
	peer_takes_nothing(f);
	peer_wait(f, 200 * MF_MSEC);
	resent(f, 4);
	assert_int_equal(counters(f)->tlps, 1);
	peer_free(f);
}

/* ---- the timer ---- */

/* RFC 6298 5: doubles each time, begins with the first segment, window of one. */
static void test_rto(void **state)
{
	struct peer *f = flight(6, false, true); /* without SACK: no probe comes first */
	mf_nsec last = 0;

	(void)state;
	peer_wait(f, 3200 * MF_MSEC);
	assert_in_range(f->n_out - f->n_seen, 3, 4);
	for (int i = 0; i < 3; i++) {
		mf_nsec at = resent(f, 0).at;

		if (i > 1)
			assert_in_range(at - last, 380 * MF_MSEC, 900 * MF_MSEC);
		last = at;
	}
	assert_true(counters(f)->rtos >= 3);
	assert_int_equal(f->c.cubic.cwnd, PEER_MSS);
	assert_true(f->c.cubic.ssthresh >= 2 * PEER_MSS);
	peer_take_all(f);
	/* It arrives at last; slow start sends the rest. */
	peer_acks(f, seg(1));
	peer_take_all(f);
	peer_acks(f, seg(3));
	peer_take_all(f);
	peer_acks(f, seg(6));
	assert_int_equal(f->c.recovery, MF_TCP_OPEN);
	peer_free(f);
}

/* Karn: what was sent twice gives no sample, unless a timestamp tells which arrived. */
static void test_karn(void **state)
{
	(void)state;
	for (int ts = 0; ts < 2; ts++) {
		struct peer *f = flight(1, false, ts);
		mf_nsec before = f->c.rtt.srtt;

		f->now += 9 * MF_MSEC;
		peer_wait(f, 400 * MF_MSEC);
		peer_take_all(f);
		peer_acks(f, seg(1));
		if (ts)
			assert_true(f->c.rtt.srtt != before);
		else
			assert_int_equal(f->c.rtt.srtt, before);
		peer_free(f);
	}
}

/* What comes with it was sent once, but has waited at the peer for the hole to be filled. */
static void test_karn_hole(void **state)
{
	struct peer *f = flight(3, false, false);
	mf_nsec before = f->c.rtt.srtt, min = f->c.rtt.min;

	(void)state;
	peer_wait(f, 400 * MF_MSEC);
	resent(f, 0);
	peer_takes_nothing(f);
	f->now += 60 * MF_SEC;
	peer_acks(f, seg(3));
	assert_int_equal(f->c.rtt.srtt, before);
	assert_int_equal(f->c.rtt.min, min);
	peer_free(f);
}

/* The round trip was long of late: of ten in flight none but the first counts as lost yet. It goes all the
 * same, though the window is one segment and nine may be on their way (RFC 6298 5.4). */
static void test_rto_sends(void **state)
{
	struct peer *f = flight(10, false, true);

	(void)state;
	peer_acks(f, seg(1));
	f->c.rack_rtt = 60 * MF_SEC;
	peer_wait(f, 400 * MF_MSEC);
	assert_int_equal(counters(f)->rtos, 1);
	assert_int_equal(f->c.cubic.cwnd, PEER_MSS);
	resent(f, 1);
	peer_takes_nothing(f);
	peer_acks(f, seg(10));
	assert_int_equal(f->c.recovery, MF_TCP_OPEN);
	peer_free(f);
}

/* ---- without SACK (RFC 5681, RFC 6582) ---- */

static void test_newreno(void **state)
{
	struct peer *f = flight(10, false, true);

	(void)state;
	for (int i = 0; i < 2; i++) {
		peer_acks(f, 1);
		peer_takes_nothing(f);
	}
	peer_acks(f, 1);
	resent(f, 0);
	peer_takes_nothing(f);
	assert_int_equal(counters(f)->fast_recoveries, 1);
	/* A partial ACK: the next hole begins there, at once. */
	f->now += RTT * MF_MSEC;
	peer_acks(f, seg(4));
	resent(f, 4);
	f->now += RTT * MF_MSEC;
	peer_acks(f, seg(10));
	assert_int_equal(f->c.recovery, MF_TCP_OPEN);
	assert_int_equal(counters(f)->rtos, 0);
	assert_int_equal(counters(f)->retransmits, 2);
	peer_free(f);
}

/* Not every ACK of the same number is a duplicate (RFC 5681 2): data, or another window. */
static void test_no_duplicates(void **state)
{
	struct peer *f = flight(10, false, true);

	(void)state;
	for (int i = 0; i < 4; i++)
		peer_put(f, MF_TCP_ACK, f->seq + (uint32_t)i * 10, 1, 10);
	peer_take_all(f);
	f->seq += 40;
	for (uint32_t i = 0; i < 4; i++) {
		f->wnd += 1024;
		peer_acks(f, 1);
	}
	assert_int_equal(counters(f)->retransmits, 0);
	peer_free(f);
}

/* ---- it was nothing ---- */

/* The echo is older than the retransmission: the original has arrived (Eifel, RFC 3522). */
static void test_undo_by_timestamp(void **state)
{
	struct peer *f = flight(6, true, true);
	uint32_t cwnd = f->c.cubic.cwnd, echo = f->ts_ecr, ssthresh = f->c.cubic.ssthresh;

	(void)state;
	peer_wait(f, 5 * MF_SEC);
	peer_take_all(f);
	assert_true(counters(f)->rtos >= 1);
	assert_int_equal(f->c.cubic.cwnd, PEER_MSS);
	f->ts_ecr = echo;
	peer_acks(f, seg(6));
	assert_int_equal(counters(f)->undos, 1);
	assert_true(f->c.cubic.cwnd >= cwnd);
	assert_int_equal(f->c.cubic.ssthresh, ssthresh);
	assert_int_equal(f->c.recovery, MF_TCP_OPEN);
	peer_takes_nothing(f);
	peer_free(f);
}

/* All that was sent again has come twice (RFC 3708). */
static void test_undo_by_dsack(void **state)
{
	struct peer *f = flight(10, true, true);
	uint32_t cwnd = f->c.cubic.cwnd;

	(void)state;
	peer_sacks(f, 1, seg(1), seg(10));
	resent(f, 0);
	assert_true(f->c.cubic.ssthresh < cwnd);
	f->now += MF_MSEC;
	peer_acks(f, seg(10));
	assert_int_equal(f->c.recovery, MF_TCP_OPEN);
	assert_int_equal(counters(f)->undos, 0);
	peer_sacks(f, seg(10), 1, seg(1));
	assert_int_equal(counters(f)->undos, 1);
	assert_true(f->c.cubic.cwnd >= cwnd);
	assert_true(f->c.reo_mult > 1); /* and it waits longer next time */
	peer_free(f);
}

/* Half of it came twice: the other half had been lost. */
static void test_no_undo(void **state)
{
	struct peer *f = flight(10, true, true);

	(void)state;
	peer_sacks(f, 1, seg(2), seg(10));
	assert_int_equal(peer_take_all(f), 2 * PEER_MSS);
	f->now += RTT * MF_MSEC;
	peer_acks(f, seg(10));
	peer_sacks(f, seg(10), 1, seg(1));
	assert_int_equal(counters(f)->undos, 0);
	peer_free(f);
}

/* ---- how much goes meanwhile (PRR) ---- */

static void test_prr(void **state)
{
	struct peer *f = peer_established();
	uint32_t sent = 0;

	(void)state;
	f->c.cubic.cwnd = 40 * PEER_MSS;
	f->c.cubic.ssthresh = 40 * PEER_MSS;
	for (int i = 0; i < 40; i++) {
		peer_send(f, PEER_MSS);
		peer_take(f);
		f->now += 200 * MF_USEC;
	}
	for (int i = 0; i < 3; i++)
		peer_send(f, 20 * PEER_MSS);
	peer_takes_nothing(f);
	f->now += 2 * MF_MSEC;
	/* The first is lost. One segment is delivered with each ACK: seven go for every ten that come. */
	for (uint32_t i = 2; i <= 40; i++) {
		f->now += 200 * MF_USEC;
		peer_sacks(f, 1, seg(1), seg(i));
		sent += peer_take_all(f);
	}
	assert_int_equal(f->c.recovery, MF_TCP_RECOVERY);
	assert_in_range(sent / PEER_MSS, 39 * 6 / 10, 39 * 8 / 10);
	f->now += RTT * MF_MSEC;
	peer_acks(f, seg(40));
	assert_int_equal(f->c.cubic.cwnd, f->c.cubic.ssthresh);
	assert_in_range(f->c.cubic.cwnd / PEER_MSS, 26, 29);
	peer_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast_retransmit),
		cmocka_unit_test(test_reordering_window),
		cmocka_unit_test(test_super_packet_cut),
		cmocka_unit_test(test_lost_retransmission),
		cmocka_unit_test(test_nonsense_blocks),
		cmocka_unit_test(test_hostile_blocks),
		cmocka_unit_test(test_uncut),
		cmocka_unit_test(test_reneging),
		cmocka_unit_test(test_tail_loss_probe),
		cmocka_unit_test(test_probe_repairs),
		cmocka_unit_test(test_probe_with_new_data),
		cmocka_unit_test(test_rto),
		cmocka_unit_test(test_karn),
		cmocka_unit_test(test_karn_hole),
		cmocka_unit_test(test_rto_sends),
		cmocka_unit_test(test_newreno),
		cmocka_unit_test(test_no_duplicates),
		cmocka_unit_test(test_undo_by_timestamp),
		cmocka_unit_test(test_undo_by_dsack),
		cmocka_unit_test(test_no_undo),
		cmocka_unit_test(test_prr),
	};

	return cmocka_run_group_tests_name("tcp/recovery", tests, NULL, NULL);
}
