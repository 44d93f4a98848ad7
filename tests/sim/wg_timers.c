/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens by itself, and when: white paper, section 6. Times are checked to the tick (4 ms).
 */
#include "wg_pair.h"

#define TICK (4 * MF_MSEC)

static bool lose_from_b(struct sim *sim, struct sim_dgram *d)
{
	(void)sim;
	return d->from_node == na;
}

/* Sends each way once a second for a while. */
static void chat(mf_nsec span)
{
	for (mf_nsec end = s->now + span; s->now < end; sim_run(s, MF_SEC)) {
		(void)sim_send(a);
		(void)sim_send(b);
	}
}

/* ---- age of keys ---- */

static void test_initiator_rekeys_on_send_after_120_s(void **state)
{
	mf_nsec birth;
	size_t mark;

	(void)state;
	sim_connect(s, a);
	birth = mf_wg_peer_current(a)->birth;
	mark = s->n_log;
	sim_run_until(s, birth + 120 * MF_SEC - 1);
	assert_true(sim_send(a));
	assert_int_equal(sim_count(s, mark, na, MF_WG_MSG_INITIATION), 0);
	sim_run_until(s, birth + 120 * MF_SEC);
	assert_true(sim_send(a)); /* with the old keys, nothing waits */
	assert_int_equal(sim_count(s, mark, na, MF_WG_MSG_INITIATION), 1);
	sim_run(s, MF_SEC);
	assert_true(mf_wg_peer_current(a)->birth > birth);
	/* Once is enough. */
	chat(60 * MF_SEC);
	assert_int_equal(sim_count(s, mark, NULL, MF_WG_MSG_INITIATION), 1);
	assert_int_equal(sim_of(a)->staged + sim_of(b)->staged, 0);
}

static void test_a_long_talk_has_one_handshake_each_120_s(void **state)
{
	(void)state;
	sim_connect(s, a);
	chat(1200 * MF_SEC);
	assert_in_range(sim_count(s, 0, na, MF_WG_MSG_INITIATION), 10, 11);
	assert_int_equal(sim_count(s, 0, nb, MF_WG_MSG_INITIATION), 0);
	assert_int_equal(sim_of(a)->delivered, 1200);
	assert_int_equal(sim_of(b)->delivered, 1201);
}

static void test_responder_leaves_rekeying_to_the_initiator(void **state)
{
	mf_nsec birth;

	(void)state;
	sim_connect(s, a);
	birth = mf_wg_peer_current(b)->birth;
	s->cut = true; /* so that a does not hear and renew */
	for (mf_nsec t = 110; t < 180; t += 2) {
		sim_run_until(s, birth + t * MF_SEC);
		assert_true(sim_send(b));
		/* b gets no answers either; only that may make it start a handshake. */
		mf_wg_stamp_set(&b->stamps.unanswered_since, 0);
	}
	assert_int_equal(sim_count(s, 0, nb, MF_WG_MSG_INITIATION), 0);
}

static void test_initiator_rekeys_on_receive_after_165_s_once(void **state)
{
	mf_nsec birth;
	size_t mark;

	(void)state;
	sim_connect(s, a);
	birth = mf_wg_peer_current(a)->birth;
	mark = s->n_log;
	sim_run_until(s, birth + 164 * MF_SEC);
	assert_true(sim_send(b));
	sim_run(s, 900 * MF_MSEC);
	assert_int_equal(sim_count(s, mark, na, MF_WG_MSG_INITIATION), 0);
	s->filter = lose_from_b; /* the handshake that follows does not succeed */
	sim_run_until(s, birth + 165 * MF_SEC);
	s->filter = NULL;
	assert_true(sim_send(b));
	sim_run(s, 20 * MF_MSEC);
	s->filter = lose_from_b;
	assert_int_equal(sim_count(s, mark, na, MF_WG_MSG_INITIATION), 1);
	assert_true(mf_wg_peer_current(a)->rekey_asked);
}

static void test_no_use_of_keys_after_180_s(void **state)
{
	struct mf_wg_keypair *k;

	(void)state;
	sim_connect(s, a);
	k = mf_wg_peer_current(a);
	s->cut = true;
	sim_run_until(s, k->birth + 180 * MF_SEC - 1);
	assert_true(sim_send(a));
	sim_run_until(s, k->birth + 180 * MF_SEC);
	assert_false(sim_send(a));
	assert_false(sim_info(a).session);
	/* And what comes in is refused. */
	sim_run(s, 5 * MF_SEC);
	sim_send_raw(na, k, 1000, &na->at, &nb->at);
	sim_run(s, MF_SEC);
	assert_int_equal(nb->drops[MF_DROP_WG_EXPIRED], 1);
}

static void test_keys_are_zeroed_after_540_s(void **state)
{
	struct mf_wg_keypair *k;
	uint32_t index;

	(void)state;
	sim_connect(s, a);
	k = mf_wg_peer_current(b);
	index = k->indexed.index;
	sim_run_until(s, k->birth + 540 * MF_SEC - 1);
	assert_ptr_equal(mf_wg_find(nb->wg, index), k);
	assert_int_equal(sim_of(b)->events[MF_WG_EVENT_KEYS_ZEROED], 0);
	sim_run(s, 20 * MF_MSEC + TICK);
	assert_null(mf_wg_find(nb->wg, index));
	assert_null(mf_wg_peer_current(b));
	assert_int_equal(sim_of(a)->events[MF_WG_EVENT_KEYS_ZEROED], 1);
	assert_int_equal(sim_of(b)->events[MF_WG_EVENT_KEYS_ZEROED], 1);
	/* Now nobody has anything to wait for. */
	assert_true(mf_wg_deadline(na->wg) == MF_NEVER);
	assert_true(mf_wg_deadline(nb->wg) == MF_NEVER);
	assert_int_equal(na->wg->index.used + nb->wg->index.used, 0);
}

static void test_rekey_by_number_of_messages(void **state)
{
	size_t mark;

	(void)state;
	sim_connect(s, a);
	sim_run(s, 10 * MF_SEC);
	mark = s->n_log;
	/* Also the responder asks for new keys then. */
	atomic_store(&mf_wg_peer_current(b)->next_counter, MF_WG_REKEY_AFTER_MESSAGES);
	assert_true(sim_send(b));
	assert_int_equal(sim_count(s, mark, nb, MF_WG_MSG_INITIATION), 1);
	sim_run(s, MF_SEC);
	assert_true(mf_wg_peer_current(b)->initiator);
}

static void test_the_last_nonce_is_never_passed(void **state)
{
	(void)state;
	sim_connect(s, a);
	sim_run(s, 10 * MF_SEC);
	s->cut = true;
	atomic_store(&mf_wg_peer_current(a)->next_counter, MF_WG_REJECT_AFTER_MESSAGES - 1);
	assert_true(sim_send(a));
	assert_false(sim_send(a));
	s->cut = false;
	sim_run(s, 6 * MF_SEC);
	assert_int_equal(sim_of(a)->staged, 0);
	assert_true(sim_send(a));
}

/* ---- handshakes that get no answer ---- */

static void test_retransmission_5_s_and_jitter_18_tries(void **state)
{
	uint8_t ephemeral[32] = { 0 };
	mf_nsec start, last;
	unsigned n, uneven = 0;

	(void)state;
	s->cut = true;
	start = last = s->now;
	for (n = 1; n < 30; n++) {
		size_t mark = s->n_log;
		const struct sim_line *l;

		if (n == 1)
			(void)sim_send(a);
		else
			sim_run(s, 5 * MF_SEC + 333 * MF_MSEC + TICK);
		l = sim_find(s, mark, na, MF_WG_MSG_INITIATION);
		if (!l)
			break;
		if (n > 1) {
			assert_in_range(l->at - last, 5 * MF_SEC, 5 * MF_SEC + 333 * MF_MSEC + TICK);
			uneven += (l->at - last) / MF_MSEC != 5000 + 100;
			s->now = l->at;
		}
		last = l->at;
		/* Each is a new one. */
		assert_memory_not_equal(s->last[1].bytes + 8, ephemeral, 32);
		memcpy(ephemeral, s->last[1].bytes + 8, 32);
	}
	assert_int_equal(n - 1, 18);
	assert_true(uneven > 10);
	assert_in_range(s->now - start, 90 * MF_SEC, 102 * MF_SEC);
	assert_int_equal(sim_of(a)->events[MF_WG_EVENT_GAVE_UP], 1);
	assert_int_equal(sim_of(a)->staged_dropped, 1);
	assert_int_equal(a->handshake.valid, false);
	/* Then silence, without timers, until there is something to send again. */
	assert_true(mf_wg_deadline(na->wg) == MF_NEVER);
	sim_run(s, 1000 * MF_SEC);
	assert_int_equal(s->n_log, 18);
	s->cut = false;
	(void)sim_send(a);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 1);
}

static void test_traffic_does_not_multiply_initiations(void **state)
{
	(void)state;
	s->cut = true;
	for (int i = 0; i < 1000; i++) {
		(void)sim_send(a);
		sim_run(s, 20 * MF_MSEC);
	}
	assert_in_range(sim_count(s, 0, na, MF_WG_MSG_INITIATION), 4, 4);
	assert_int_equal(na->pokes, 1);
}

/* A handshake succeeded 1 s ago; whatever happens, the next one is not sent before 5 s are over. But it
 * is not forgotten, either. */
static void test_own_initiations_are_5_s_apart(void **state)
{
	const struct sim_line *l;
	mf_nsec first;

	(void)state;
	sim_connect(s, a);
	first = sim_find(s, 0, na, MF_WG_MSG_INITIATION)->at;
	atomic_store(&mf_wg_peer_current(a)->next_counter, MF_WG_REJECT_AFTER_MESSAGES);
	size_t mark = s->n_log;
	for (int i = 0; i < 3; i++)
		assert_false(sim_send(a));
	sim_run_until(s, first + 5 * MF_SEC - 1);
	assert_int_equal(s->n_log, mark);
	sim_run(s, MF_SEC);
	l = sim_find(s, mark, na, MF_WG_MSG_INITIATION);
	assert_non_null(l);
	assert_in_range(l->at - first, 5 * MF_SEC, 5 * MF_SEC + TICK);
	assert_int_equal(sim_of(b)->delivered, 4);
	assert_int_equal(na->pokes, 2 /* connect */ + 1);
}

static void test_no_endpoint_no_handshake_until_there_is_one(void **state)
{
	struct mf_wg_peer_config c = { .public_key = na->public_key, .set = MF_WG_SET_ENDPOINT };

	(void)state;
	(void)sim_send(b);
	sim_run(s, 100 * MF_SEC);
	assert_int_equal(s->n_log, 0);
	assert_true(mf_wg_deadline(nb->wg) == MF_NEVER);
	c.endpoint = na->at;
	(void)sim_peer_set(nb, &c);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(a)->delivered, 1);
}

static void test_a_named_endpoint_is_resolved_again(void **state)
{
	struct mf_wg_peer_config c = { .public_key = nb->public_key,
				       .set = MF_WG_SET_NAMED,
				       .named = true };
	struct mf_endpoint moved = sim_endpoint("198.51.100.2:2000");
	unsigned asked;

	(void)state;
	(void)sim_peer_set(na, &c);
	nb->at = moved; /* the name's address changed, a does not know */
	(void)sim_send(a);
	sim_run(s, 4 * MF_SEC);
	assert_int_equal(sim_of(a)->resolves, 0);
	sim_run(s, 2 * MF_SEC);
	assert_int_equal(sim_of(a)->resolves, 1);
	c.set = MF_WG_SET_ENDPOINT;
	c.endpoint = moved;
	(void)sim_peer_set(na, &c);
	sim_run(s, 6 * MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 1);
	/* No address at all yet: asks for one at once, and waits for it. */
	c.set = MF_WG_SET_ENDPOINT | MF_WG_SET_NAMED;
	c.endpoint = (struct mf_endpoint){ 0 };
	(void)sim_peer_set(na, &c);
	mf_wg_peer_drop_keys(a);
	sim_run(s, 10 * MF_SEC);
	asked = sim_of(a)->resolves;
	(void)sim_send(a);
	assert_int_equal(sim_of(a)->resolves, asked + 1);
	c.endpoint = moved;
	(void)sim_peer_set(na, &c);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 2);
}

static void test_handshake_after_15_s_without_an_answer(void **state)
{
	const struct sim_line *l;
	mf_nsec sent;
	size_t mark;

	(void)state;
	sim_connect(s, a);
	sim_run(s, 20 * MF_SEC);
	s->filter = lose_from_b;
	mark = s->n_log;
	sent = s->now;
	for (int i = 0; i < 14; i++) { /* the first one counts, not the last */
		assert_true(sim_send(a));
		sim_run(s, MF_SEC);
	}
	assert_int_equal(sim_count(s, mark, na, MF_WG_MSG_INITIATION), 0);
	sim_run(s, 2 * MF_SEC);
	l = sim_find(s, mark, na, MF_WG_MSG_INITIATION);
	assert_non_null(l);
	assert_in_range(l->at - sent, 15 * MF_SEC, 15 * MF_SEC + 333 * MF_MSEC + TICK);
}

static void test_no_handshake_if_anything_was_heard(void **state)
{
	size_t mark;

	(void)state;
	sim_connect(s, a);
	mark = s->n_log;
	/* b answers with keepalives only. */
	for (int i = 0; i < 100; i++) {
		assert_true(sim_send(a));
		sim_run(s, MF_SEC);
	}
	assert_int_equal(sim_count(s, mark, NULL, MF_WG_MSG_INITIATION), 0);
}

/* ---- keepalives ---- */

static void test_passive_keepalive_after_10_s(void **state)
{
	const struct sim_line *l;
	mf_nsec received;
	size_t mark;

	(void)state;
	sim_connect(s, a);
	sim_run(s, 60 * MF_SEC);
	mark = s->n_log;
	assert_true(sim_send(a));
	received = s->now + s->delay;
	sim_run_until(s, received + 10 * MF_SEC - 1);
	assert_int_equal(sim_count(s, mark, nb, 0), 0);
	sim_run(s, TICK + 1);
	l = sim_find(s, mark, nb, SIM_KEEPALIVE);
	assert_non_null(l);
	assert_in_range(l->at - received, 10 * MF_SEC, 10 * MF_SEC + TICK);
	assert_int_equal(l->tos, 0);
	/* No ping-pong: a keepalive is not answered by a keepalive. */
	sim_run(s, 30 * MF_SEC);
	assert_int_equal(s->n_log, mark + 2);
}

static void test_passive_keepalive_is_not_needed_if_we_speak(void **state)
{
	size_t mark;

	(void)state;
	sim_connect(s, a);
	sim_run(s, 20 * MF_SEC);
	mark = s->n_log;
	for (int i = 0; i < 12; i++) {
		assert_true(sim_send(a));
		sim_run(s, 4 * MF_SEC);
		assert_true(sim_send(b));
		sim_run(s, 4 * MF_SEC);
	}
	assert_int_equal(sim_count(s, mark, NULL, SIM_KEEPALIVE), 0);
}

/* Data that came while a keepalive was already due is acknowledged by another one. */
static void test_a_second_passive_keepalive(void **state)
{
	size_t mark;

	(void)state;
	sim_connect(s, a);
	sim_run(s, 60 * MF_SEC);
	mark = s->n_log;
	assert_true(sim_send(a));
	sim_run(s, 5 * MF_SEC);
	assert_true(sim_send(a));
	sim_run(s, 6 * MF_SEC);
	assert_int_equal(sim_count(s, mark, nb, SIM_KEEPALIVE), 1);
	sim_run(s, 10 * MF_SEC);
	assert_int_equal(sim_count(s, mark, nb, SIM_KEEPALIVE), 2);
	sim_run(s, 100 * MF_SEC);
	assert_int_equal(s->n_log, mark + 4);
}

/* The timer is armed for the 15 s of a missing answer; then one comes and needs a reply within 10 s. */
static void test_a_keepalive_that_is_due_before_the_armed_timer(void **state)
{
	const struct sim_line *l;
	mf_nsec received;
	size_t mark;

	(void)state;
	sim_connect(s, a);
	sim_run(s, 60 * MF_SEC);
	mark = s->n_log;
	assert_true(sim_send(a));
	sim_run(s, MF_SEC);
	assert_true(sim_send(b));
	received = s->now + s->delay;
	sim_run(s, 20 * MF_SEC);
	l = sim_find(s, mark, na, SIM_KEEPALIVE);
	assert_non_null(l);
	assert_in_range(l->at - received, 10 * MF_SEC, 10 * MF_SEC + TICK);
}

static void test_one_way_traffic_gets_a_keepalive_each_10_s(void **state)
{
	size_t mark;

	(void)state;
	sim_connect(s, a);
	sim_run(s, 20 * MF_SEC);
	mark = s->n_log;
	for (int i = 0; i < 800; i++) {
		assert_true(sim_send(a));
		sim_run(s, 100 * MF_MSEC);
	}
	assert_in_range(sim_count(s, mark, nb, SIM_KEEPALIVE), 7, 8);
	assert_int_equal(sim_count(s, mark, na, SIM_KEEPALIVE), 0);
}

static void test_persistent_keepalive(void **state)
{
	size_t mark;

	(void)state;
	/* Turning it on sends one at once, which here means a handshake first. */
	sim_set_keepalive(a, 25);
	assert_int_equal(sim_count(s, 0, na, MF_WG_MSG_INITIATION), 1);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->keepalives, 1);
	mark = s->n_log;
	for (int i = 1; i <= 4; i++) {
		sim_run(s, 25 * MF_SEC);
		assert_int_equal(sim_count(s, mark, na, SIM_KEEPALIVE), i);
	}
	/* The same value again is nothing new; off and on is. */
	sim_set_keepalive(a, 25);
	assert_int_equal(sim_count(s, mark, na, SIM_KEEPALIVE), 4);
	sim_set_keepalive(a, 0);
	sim_set_keepalive(a, 10);
	assert_int_equal(sim_count(s, mark, na, SIM_KEEPALIVE), 5);
	/* Off is off. */
	sim_set_keepalive(a, 0);
	mark = s->n_log;
	sim_run(s, 1000 * MF_SEC);
	assert_int_equal(s->n_log, mark);
}

static void test_no_persistent_keepalive_while_packets_flow(void **state)
{
	size_t mark;

	(void)state;
	sim_connect(s, a);
	sim_set_keepalive(a, 25);
	mark = s->n_log;
	for (int i = 0; i < 8; i++) {
		/* Received ones count as well as sent ones. */
		sim_run(s, 6 * MF_SEC);
		assert_true(sim_send(b));
		sim_run(s, 6 * MF_SEC);
		assert_true(sim_send(a));
	}
	assert_int_equal(sim_count(s, mark, na, SIM_KEEPALIVE), 0);
}

static void test_persistent_keepalive_goes_on_after_giving_up(void **state)
{
	unsigned n;

	(void)state;
	s->cut = true;
	sim_set_keepalive(a, 25);
	sim_run(s, 1000 * MF_SEC);
	n = sim_count(s, 0, na, MF_WG_MSG_INITIATION);
	/* 18 tries in some 93 s, then a pause of 25 s from the last try. */
	assert_in_range(n, 140, 180);
	assert_in_range(sim_of(a)->events[MF_WG_EVENT_GAVE_UP], 8, 10);
	s->cut = false;
	sim_run(s, 31 * MF_SEC);
	assert_true(sim_info(a).session);
	assert_true(sim_info(b).session);
}

static void test_persistent_keepalive_keeps_the_session_fresh(void **state)
{
	(void)state;
	sim_set_keepalive(a, 25);
	for (int i = 0; i < 2000; i++) {
		sim_run(s, MF_SEC);
		if (i > 1) {
			assert_true(sim_info(a).session);
			assert_true(sim_info(b).session);
		}
	}
	assert_in_range(sim_count(s, 0, na, MF_WG_MSG_INITIATION), 13, 17);
}

/* ---- being idle, being busy ---- */

static void test_an_idle_peer_does_not_wake_anybody(void **state)
{
	unsigned ticks;

	(void)state;
	sim_connect(s, a);
	sim_run(s, 40 * MF_SEC);
	ticks = na->ticks + nb->ticks;
	sim_run(s, 490 * MF_SEC); /* until just before the keys are zeroed */
	/* The wheel itself moves that one timer down a few times. */
	assert_in_range(na->ticks + nb->ticks - ticks, 0, 8);
	sim_run(s, 100 * MF_SEC);
	ticks = na->ticks + nb->ticks;
	sim_run(s, 100000 * MF_SEC);
	assert_int_equal(na->ticks + nb->ticks, ticks);
}

static void test_the_steady_state_posts_nothing(void **state)
{
	unsigned pokes, roams;

	(void)state;
	sim_connect(s, a);
	sim_run(s, MF_SEC);
	pokes = na->pokes + nb->pokes;
	roams = na->roams + nb->roams;
	for (int i = 0; i < 9000; i++) { /* 90 s: no rekeying in between */
		assert_true(sim_send(a));
		assert_true(sim_send(b));
		sim_run(s, 10 * MF_MSEC);
	}
	assert_in_range(na->pokes + nb->pokes - pokes, 0, 2 * 9);
	/* One each at the most: where the first datagram arrived. */
	assert_in_range(na->roams + nb->roams - roams, 0, 2);
}

static void test_lost_posts_heal(void **state)
{
	(void)state;
	na->posts_fail = nb->posts_fail = true;
	for (int i = 0; i < 3; i++)
		(void)sim_send(a);
	sim_run(s, 5 * MF_SEC);
	assert_int_equal(s->n_log, 0);
	na->posts_fail = false;
	(void)sim_send(a);
	sim_run(s, MF_SEC);
	assert_true(sim_info(a).session);
	assert_false(sim_info(b).session); /* b's confirmation was lost */
	nb->posts_fail = false;
	assert_true(sim_send(a));
	sim_run(s, 20 * MF_MSEC);
	assert_true(sim_info(b).session);
	assert_int_equal(sim_of(b)->delivered, 5);
	/* Lost posts must not end the watch either. */
	nb->posts_fail = true;
	sim_run(s, 40 * MF_SEC);
	assert_true(sim_send(a));
	sim_run(s, MF_SEC);
	nb->posts_fail = false;
	size_t mark = s->n_log;
	assert_true(sim_send(a));
	sim_run(s, 10 * MF_SEC + 20 * MF_MSEC);
	assert_int_equal(sim_count(s, mark, nb, SIM_KEEPALIVE), 1);
}

/* ---- clocks ---- */

static void test_suspend_for_an_hour(void **state)
{
	size_t mark;

	(void)state;
	sim_set_keepalive(a, 25);
	sim_connect(s, a);
	sim_sleep(s, 3600 * MF_SEC);
	mark = s->n_log;
	assert_false(sim_send(a));
	sim_run(s, 10 * MF_SEC);
	/* One handshake, not one for each timer that is late. */
	assert_int_equal(sim_count(s, mark, NULL, MF_WG_MSG_INITIATION), 1);
	assert_int_equal(sim_of(b)->delivered, 2);
}

static void test_boot_clock_steps_back(void **state)
{
	struct mf_wg_claimed c;
	unsigned post;

	(void)state;
	sim_connect(s, a);
	mf_wg_tick(na->wg, s->now - 500 * MF_SEC);
	mf_wg_poke(na->wg, mf_wg_peer_ref(a), 0);
	assert_int_equal(mf_wg_claim(a, s->now - 500 * MF_SEC, 1, &c, &post), MF_WG_CLAIM_OK);
	assert_int_equal(post, 0);
	(void)mf_wg_sent(a, 1, s->now - 500 * MF_SEC, &(struct mf_wg_tally){ .n_data = 1 });
	s->now -= MF_SEC / 2;
	assert_true(sim_send(a));
	chat(300 * MF_SEC);
	assert_int_equal(sim_of(a)->staged + sim_of(b)->staged, 0);
	assert_int_equal(sim_of(b)->duplicates, 0);
	assert_in_range(sim_of(b)->delivered, 300, 303);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(test_initiator_rekeys_on_send_after_120_s),
		PAIR_TEST(test_a_long_talk_has_one_handshake_each_120_s),
		PAIR_TEST(test_responder_leaves_rekeying_to_the_initiator),
		PAIR_TEST(test_initiator_rekeys_on_receive_after_165_s_once),
		PAIR_TEST(test_no_use_of_keys_after_180_s),
		PAIR_TEST(test_keys_are_zeroed_after_540_s),
		PAIR_TEST(test_rekey_by_number_of_messages),
		PAIR_TEST(test_the_last_nonce_is_never_passed),
		PAIR_TEST(test_retransmission_5_s_and_jitter_18_tries),
		PAIR_TEST(test_traffic_does_not_multiply_initiations),
		PAIR_TEST(test_own_initiations_are_5_s_apart),
		PAIR_TEST(test_no_endpoint_no_handshake_until_there_is_one),
		PAIR_TEST(test_a_named_endpoint_is_resolved_again),
		PAIR_TEST(test_handshake_after_15_s_without_an_answer),
		PAIR_TEST(test_no_handshake_if_anything_was_heard),
		PAIR_TEST(test_passive_keepalive_after_10_s),
		PAIR_TEST(test_passive_keepalive_is_not_needed_if_we_speak),
		PAIR_TEST(test_a_second_passive_keepalive),
		PAIR_TEST(test_a_keepalive_that_is_due_before_the_armed_timer),
		PAIR_TEST(test_one_way_traffic_gets_a_keepalive_each_10_s),
		PAIR_TEST(test_persistent_keepalive),
		PAIR_TEST(test_no_persistent_keepalive_while_packets_flow),
		PAIR_TEST(test_persistent_keepalive_goes_on_after_giving_up),
		PAIR_TEST(test_persistent_keepalive_keeps_the_session_fresh),
		PAIR_TEST(test_an_idle_peer_does_not_wake_anybody),
		PAIR_TEST(test_the_steady_state_posts_nothing),
		PAIR_TEST(test_lost_posts_heal),
		PAIR_TEST(test_suspend_for_an_hour),
		PAIR_TEST(test_boot_clock_steps_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
