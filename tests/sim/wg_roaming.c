/* SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints follow the last authenticated packet, and nothing else. Sticky source addresses.
 */
#include "wg_pair.h"

static const char *const places[] = { "198.51.100.7:4242", "[2001:db8:5::7]:4242" };

static void test_on_initiation(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t mark = s->n_log;

		na->at = sim_endpoint(places[i]);
		mf_wg_peer_drop_keys(a);
		sim_run(s, 10 * MF_SEC);
		(void)sim_send(a);
		sim_run(s, MF_SEC);
		assert_true(sim_is_at(b, &na->at));
		/* The response goes there already. */
		assert_true(
			mf_endpoint_equal(&sim_find(s, mark, nb, MF_WG_MSG_RESPONSE)->to, &na->at));
		assert_int_equal(sim_of(b)->events[MF_WG_EVENT_ROAMED], i + 1);
	}
}

static bool answer_from_elsewhere(struct sim *sim, struct sim_dgram *d)
{
	if (d->bytes[0] == MF_WG_MSG_RESPONSE)
		d->from = d->from_node->at = sim_endpoint(sim->filter_ctx);
	return true;
}

static void test_on_response(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		s->filter = answer_from_elsewhere;
		s->filter_ctx = (void *)(uintptr_t)places[i];
		mf_wg_peer_drop_keys(a);
		sim_run(s, 10 * MF_SEC);
		size_t mark = s->n_log;
		(void)sim_send(a);
		sim_run(s, MF_SEC);
		assert_true(sim_is_at(a, &nb->at));
		assert_true(mf_endpoint_equal(&sim_find(s, mark, na, SIM_DATA)->to, &nb->at));
		assert_int_equal(sim_of(b)->delivered, i + 1);
	}
}

static void test_on_data_and_back(void **state)
{
	(void)state;
	sim_connect(s, a);
	for (unsigned i = 0; i < 6; i++) {
		na->at = sim_endpoint(places[i % 2]);
		assert_true(sim_send(a));
		sim_run(s, 100 * MF_MSEC);
		assert_true(sim_is_at(b, &na->at));
		assert_true(sim_send(b));
		sim_run(s, 100 * MF_MSEC);
		assert_int_equal(sim_of(a)->delivered, i + 1);
	}
	assert_int_equal(sim_count(s, 0, NULL, MF_WG_MSG_INITIATION), 1);
}

static void test_on_keepalive(void **state)
{
	(void)state;
	sim_connect(s, a);
	na->at = sim_endpoint(places[0]);
	sim_set_keepalive(a, 10);
	sim_run(s, MF_SEC);
	assert_true(sim_is_at(b, &na->at));
}

static void test_not_on_what_is_forged_or_replayed(void **state)
{
	struct mf_endpoint elsewhere = sim_endpoint(places[0]);
	struct sim_dgram data, init;

	(void)state;
	sim_connect(s, a);
	data = s->last[MF_WG_MSG_DATA];
	init = s->last[MF_WG_MSG_INITIATION];
	assert_int_equal(sim_inject(nb, &elsewhere, data.bytes, data.n), MF_DROP_WG_REPLAY);
	assert_true(sim_is_at(b, &na->at));
	data.bytes[8]++; /* the counter */
	assert_int_equal(sim_inject(nb, &elsewhere, data.bytes, data.n), MF_DROP_WG_AUTH);
	assert_true(sim_is_at(b, &na->at));
	assert_int_equal(sim_inject(nb, &elsewhere, init.bytes, init.n), MF_DROP_WG_HANDSHAKE);
	assert_true(sim_is_at(b, &na->at));
	assert_int_equal(nb->roams, 0);
}

/* Data from two places in turn: the last one wins each time. */
static void test_the_last_packet_wins(void **state)
{
	struct mf_endpoint one = na->at, two = sim_endpoint(places[0]);
	struct mf_wg_keypair *k;

	(void)state;
	sim_connect(s, a);
	k = mf_wg_peer_current(a);
	sim_send_raw(na, k, 10, &one, &nb->at);
	sim_send_raw(na, k, 11, &two, &nb->at);
	sim_send_raw(na, k, 12, &one, &nb->at);
	sim_send_raw(na, k, 13, &two, &nb->at);
	sim_run(s, MF_SEC);
	assert_true(sim_is_at(b, &two));
}

/* While one event is on its way, no second one is posted; and a lost one is made up for. */
static void test_roaming_events_are_not_repeated(void **state)
{
	struct mf_wg_path from = { .remote = sim_endpoint(places[0]) };
	struct mf_wg_tally t = { .n_keepalive = 1, .bytes = 32 };
	struct mf_wg_keypair *k;

	(void)state;
	sim_connect(s, a);
	k = mf_wg_peer_current(b);
	assert_int_equal(mf_wg_received(k, 1, s->now, &t, &from), MF_WG_POST_ROAM);
	assert_int_equal(mf_wg_received(k, 1, s->now, &t, &from), 0);
	mf_wg_post_failed(b, MF_WG_POST_ROAM);
	assert_int_equal(mf_wg_received(k, 1, s->now, &t, &from), MF_WG_POST_ROAM);
	mf_wg_roam(nb->wg, mf_wg_peer_ref(b), &from);
	assert_int_equal(mf_wg_received(k, 1, s->now, &t, &from), 0);
}

static void test_source_address_is_sticky_and_forgotten_on_retry(void **state)
{
	const struct sim_line *l;
	size_t mark;

	(void)state;
	sim_connect(s, a);
	/* b answers from the address that it was called on. */
	l = sim_find(s, 0, nb, MF_WG_MSG_RESPONSE);
	assert_true(mf_addr_equal(&l->local, &nb->at.addr));
	assert_true(sim_send(b));
	assert_true(mf_addr_equal(&s->log[s->n_log - 1].local, &nb->at.addr));
	sim_run(s, MF_SEC);
	assert_int_equal(mf_wg_peer_path(a)->local_if, 7);
	/* No answer: the first initiation after 15 s, and all retries, go without. */
	s->cut = true;
	assert_true(sim_send(a));
	mark = s->n_log;
	sim_run(s, 30 * MF_SEC);
	l = sim_find(s, mark, na, MF_WG_MSG_INITIATION);
	assert_non_null(l);
	assert_int_equal(l->local.family, MF_AF_NONE);
	assert_int_equal(mf_wg_peer_path(a)->local_if, 0);
	assert_true(sim_is_at(a, &nb->at));
}

static void test_network_change(void **state)
{
	size_t mark;

	(void)state;
	sim_connect(s, a);
	assert_true(sim_send(b));
	sim_run(s, 10 * MF_SEC);
	na->at = sim_endpoint(places[0]);
	mark = s->n_log;
	mf_wg_network_changed(na->wg, s->now);
	assert_int_equal(sim_count(s, mark, na, MF_WG_MSG_INITIATION), 1);
	assert_int_equal(s->log[mark].local.family, MF_AF_NONE);
	sim_run(s, MF_SEC);
	assert_true(sim_is_at(b, &na->at));
	/* A second change within 5 s waits. */
	mf_wg_network_changed(na->wg, s->now);
	assert_int_equal(sim_count(s, mark, na, MF_WG_MSG_INITIATION), 1);
	sim_run(s, 5 * MF_SEC);
	assert_int_equal(sim_count(s, mark, na, MF_WG_MSG_INITIATION), 2);
	/* Without session or keepalive there is no reason to say anything. */
	sim_run(s, 600 * MF_SEC);
	mark = s->n_log;
	mf_wg_network_changed(na->wg, s->now);
	sim_run(s, 10 * MF_SEC);
	assert_int_equal(s->n_log, mark);
	sim_set_keepalive(a, 25);
	s->cut = true;
	sim_run(s, 300 * MF_SEC);
	mark = s->n_log;
	s->cut = false;
	mf_wg_network_changed(na->wg, s->now);
	sim_run(s, 6 * MF_SEC);
	assert_true(sim_info(a).session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(test_on_initiation),
		PAIR_TEST(test_on_response),
		PAIR_TEST(test_on_data_and_back),
		PAIR_TEST(test_on_keepalive),
		PAIR_TEST(test_not_on_what_is_forged_or_replayed),
		PAIR_TEST(test_the_last_packet_wins),
		PAIR_TEST(test_roaming_events_are_not_repeated),
		PAIR_TEST(test_source_address_is_sticky_and_forgotten_on_retry),
		PAIR_TEST(test_network_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
