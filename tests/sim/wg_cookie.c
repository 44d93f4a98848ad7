/* SPDX-License-Identifier: Apache-2.0
 *
 * Under load: cookies both ways, and the limit of each source. Everything over IPv4 and over IPv6.
 */
#include "wg_pair.h"

static bool six;

static int setup(void **state)
{
	(void)state;
	six = *state != NULL;
	s = sim_new(3);
	na = sim_node_add(s, "a", six ? "[2001:db8::1]:1000" : "192.0.2.1:1000");
	nb = sim_node_add(s, "b", six ? "[2001:db8::2]:2000" : "192.0.2.2:2000");
	a = sim_peer_add(na, nb, true);
	b = sim_peer_add(nb, na, false);
	return 0;
}

/* An initiation of a's that never arrived anywhere. */
static struct sim_dgram make_initiation(void)
{
	s->cut = true;
	if (sim_send(a))
		fail();
	s->cut = false;
	return s->last[MF_WG_MSG_INITIATION];
}

static void give_cookie(struct sim_node *n, struct sim_node *to)
{
	struct sim_dgram d = s->last[MF_WG_MSG_COOKIE];

	assert_int_equal(sim_inject(to, &n->at, d.bytes, d.n), MF_DROP_NONE);
}

/* ---- we get a cookie ---- */

static void test_cookie_for_our_initiation(void **state)
{
	struct sim_dgram d;

	(void)state;
	nb->queue_len = MF_WG_LOAD_QUEUE;
	(void)sim_send(a);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_count(s, 0, nb, MF_WG_MSG_COOKIE), 1);
	assert_int_equal(sim_count(s, 0, nb, MF_WG_MSG_RESPONSE), 0);
	assert_int_equal(nb->drops[MF_DROP_WG_MAC2], 1);
	assert_true(a->cookie.has_cookie);
	/* A cookie alone starts nothing: the retransmission comes at its time, with mac2. */
	assert_int_equal(sim_count(s, 0, na, 0), 1);
	sim_run(s, 5 * MF_SEC);
	assert_int_equal(sim_count(s, 0, na, MF_WG_MSG_INITIATION), 2);
	assert_true(s->log[2].mac2);
	assert_false(s->log[0].mac2);
	assert_int_equal(sim_of(b)->delivered, 1);
	/* Again: replayed, it is refused. */
	d = s->last[MF_WG_MSG_COOKIE];
	assert_int_equal(sim_inject(na, &nb->at, d.bytes, d.n), MF_DROP_WG_COOKIE);
}

static bool spoil_cookie(struct sim *sim, struct sim_dgram *d)
{
	(void)sim;
	if (d->bytes[0] == MF_WG_MSG_COOKIE)
		d->bytes[8] ^= 1; /* the nonce */
	return true;
}

static void test_bad_cookie_for_our_initiation(void **state)
{
	(void)state;
	nb->queue_len = MF_WG_LOAD_QUEUE;
	s->filter = spoil_cookie;
	(void)sim_send(a);
	sim_run(s, 6 * MF_SEC);
	assert_int_equal(na->drops[MF_DROP_WG_COOKIE], 2);
	assert_int_equal(sim_count(s, 0, na, MF_WG_MSG_INITIATION), 2);
	assert_false(s->log[0].mac2 || s->log[2].mac2);
}

static void test_cookie_for_our_response(void **state)
{
	(void)state;
	na->queue_len = MF_WG_LOAD_QUEUE; /* the initiator is under load */
	(void)sim_send(a);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_count(s, 0, nb, MF_WG_MSG_RESPONSE), 1);
	assert_int_equal(sim_count(s, 0, na, MF_WG_MSG_COOKIE), 1);
	assert_int_equal(na->drops[MF_DROP_WG_MAC2], 1);
	assert_false(sim_info(a).session);
	sim_run(s, 5 * MF_SEC);
	assert_true(sim_find(s, 3, nb, MF_WG_MSG_RESPONSE)->mac2);
	assert_int_equal(sim_of(b)->delivered, 1);
}

static void test_an_old_cookie_is_not_used(void **state)
{
	size_t mark;

	(void)state;
	nb->queue_len = MF_WG_LOAD_QUEUE;
	sim_set_keepalive(a, 25);
	sim_run(s, 10 * MF_SEC);
	nb->queue_len = 0;
	mark = s->n_log;
	sim_run(s, 130 * MF_SEC);
	assert_false(sim_find(s, mark, na, MF_WG_MSG_INITIATION)->mac2);
}

/* ---- we hand out cookies ---- */

static void test_load_by_rate_of_initiations(void **state)
{
	struct sim_dgram d = make_initiation(), bad;
	size_t mark;

	(void)state;
	/* 40 for one peer in half a second; they need a good mac1 only. */
	s->cut = true;
	for (int i = 0; i < 39; i++)
		assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n),
				 i ? MF_DROP_WG_HANDSHAKE : MF_DROP_NONE);
	mark = s->n_log;
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_MAC2);
	assert_int_equal(sim_count(s, mark, nb, MF_WG_MSG_COOKIE), 1);
	/* Wrong mac2: another cookie. */
	bad = d;
	bad.bytes[140] ^= 1;
	assert_int_equal(sim_inject(nb, &na->at, bad.bytes, bad.n), MF_DROP_WG_MAC2);
	assert_int_equal(sim_count(s, mark, nb, MF_WG_MSG_COOKIE), 2);
	/* Wrong mac1: nothing. */
	bad = d;
	bad.bytes[120] ^= 1;
	assert_int_equal(sim_inject(nb, &na->at, bad.bytes, bad.n), MF_DROP_WG_MAC1);
	assert_int_equal(sim_count(s, mark, nb, MF_WG_MSG_COOKIE), 2);
	/* With the cookie, a new initiation is answered while the load goes on. */
	give_cookie(nb, na);
	s->cut = false;
	nb->queue_len = MF_WG_LOAD_QUEUE;
	mark = s->n_log;
	sim_run(s, 6 * MF_SEC);
	assert_true(sim_find(s, mark, na, MF_WG_MSG_INITIATION)->mac2);
	assert_int_equal(sim_count(s, mark, nb, MF_WG_MSG_RESPONSE), 1);
}

static void test_load_by_rate_of_responses(void **state)
{
	struct sim_dgram d;

	(void)state;
	sim_connect(s, a);
	d = s->last[MF_WG_MSG_RESPONSE];
	sim_run(s, MF_SEC);
	for (int i = 0; i < 39; i++)
		assert_int_equal(sim_inject(na, &nb->at, d.bytes, d.n), MF_DROP_WG_HANDSHAKE);
	assert_int_equal(sim_inject(na, &nb->at, d.bytes, d.n), MF_DROP_WG_MAC2);
	assert_int_equal(sim_count(s, 0, na, MF_WG_MSG_COOKIE), 1);
}

static void test_load_holds_for_a_second(void **state)
{
	struct sim_dgram d = make_initiation();
	mf_nsec busy;

	(void)state;
	for (int i = 0; i < 40; i++)
		(void)sim_inject(nb, &na->at, d.bytes, d.n);
	busy = s->now;
	s->now = busy + 500 * MF_MSEC; /* a new window, still under load */
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_MAC2);
	s->now = busy + MF_SEC - 1;
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_MAC2);
	s->now = busy + MF_SEC;
	/* Not any more: then mac2 does not matter, however wrong. */
	d.bytes[140] ^= 1;
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_HANDSHAKE);
}

static void test_load_by_queue_length(void **state)
{
	struct sim_dgram d = make_initiation();

	(void)state;
	nb->queue_len = MF_WG_LOAD_QUEUE - 1;
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_NONE);
	nb->queue_len = MF_WG_LOAD_QUEUE;
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_MAC2);
	nb->queue_len = 0;
	s->now += MF_SEC;
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_HANDSHAKE);
}

/* After a valid mac2: five at once, then 20 a second for each source. */
static void test_rate_limit_of_a_source(void **state)
{
	struct sim_dgram d = make_initiation();
	unsigned limited = 0, passed = 0;

	(void)state;
	nb->queue_len = MF_WG_LOAD_QUEUE;
	(void)sim_inject(nb, &na->at, d.bytes, d.n);
	give_cookie(nb, na);
	s->cut = true;
	sim_run(s, 6 * MF_SEC);
	d = s->last[MF_WG_MSG_INITIATION];
	for (int i = 0; i < 15; i++) {
		enum mf_drop drop = sim_inject(nb, &na->at, d.bytes, d.n);

		limited += drop == MF_DROP_WG_RATE;
		passed += drop == MF_DROP_NONE || drop == MF_DROP_WG_HANDSHAKE;
	}
	assert_int_equal(passed, 5);
	assert_int_equal(limited, 10);
	s->now += 50 * MF_MSEC;
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_HANDSHAKE);
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_RATE);
	/* The cookie belongs to the source: from elsewhere it is worth nothing. */
	struct mf_endpoint other = na->at;
	other.port++;
	assert_int_equal(sim_inject(nb, &other, d.bytes, d.n), MF_DROP_WG_MAC2);
}

static void test_more_peers_may_send_more(void **state)
{
	struct sim_node *nc = sim_node_add(s, "c", six ? "[2001:db8::3]:3000" : "192.0.2.3:3000");
	struct sim_dgram d;

	(void)state;
	(void)sim_peer_add(nb, nc, false);
	d = make_initiation();
	for (int i = 0; i < 79; i++)
		assert_int_not_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_MAC2);
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_MAC2);
}

/* A hundred handshakes in the course of time are no load. */
static void test_slow_handshakes_never_get_a_cookie(void **state)
{
	struct sim_dgram d = make_initiation();

	(void)state;
	for (int i = 0; i < 500; i++) {
		s->now += 15 * MF_MSEC;
		assert_int_not_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_MAC2);
	}
}

static void test_cookie_reply_neither_roams_nor_counts(void **state)
{
	struct mf_endpoint elsewhere = sim_endpoint("198.51.100.1:9");
	struct mf_endpoint was = sim_info(a).endpoint;
	struct mf_wg_peer_info before;
	struct sim_dgram d;

	(void)state;
	s->cut = true;
	nb->queue_len = MF_WG_LOAD_QUEUE;
	d = make_initiation();
	(void)sim_inject(nb, &na->at, d.bytes, d.n);
	before = sim_info(a);
	d = s->last[MF_WG_MSG_COOKIE];
	assert_int_equal(sim_inject(na, &elsewhere, d.bytes, d.n), MF_DROP_NONE);
	assert_true(sim_is_at(a, &was));
	assert_int_equal(sim_info(a).rx_bytes, before.rx_bytes);
	assert_int_equal(mf_wg_stamp(&a->stamps.last_rx), 0);
	assert_int_equal(sim_of(a)->events[MF_WG_EVENT_ROAMED], 0);
}

#define OVER(fn, version, state)                                   \
	{                                                          \
#fn "_v" #version, fn, setup, pair_teardown, state \
	}
#define BOTH(fn) OVER(fn, 4, NULL), OVER(fn, 6, (void *)1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_cookie_for_our_initiation),
		BOTH(test_bad_cookie_for_our_initiation),
		BOTH(test_cookie_for_our_response),
		BOTH(test_an_old_cookie_is_not_used),
		BOTH(test_load_by_rate_of_initiations),
		BOTH(test_load_by_rate_of_responses),
		BOTH(test_load_holds_for_a_second),
		BOTH(test_load_by_queue_length),
		BOTH(test_rate_limit_of_a_source),
		BOTH(test_more_peers_may_send_more),
		BOTH(test_slow_handshakes_never_get_a_cookie),
		BOTH(test_cookie_reply_neither_roams_nor_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
