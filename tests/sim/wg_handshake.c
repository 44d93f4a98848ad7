/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes between two cores: who may say what when, and what is refused.
 */
#include "wg_pair.h"

#include "proto/wg/handshake.h"
#include "proto/wg/timers.h"

static void test_first_data_starts_a_handshake_and_is_not_lost(void **state)
{
	(void)state;
	assert_false(sim_send(a));
	assert_int_equal(sim_of(a)->staged, 1);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 1);
	assert_int_equal(sim_count(s, 0, na, MF_WG_MSG_INITIATION), 1);
	assert_int_equal(sim_count(s, 0, nb, MF_WG_MSG_RESPONSE), 1);
	assert_int_equal(sim_find(s, 0, na, MF_WG_MSG_INITIATION)->tos, 0x88);
	assert_int_equal(sim_find(s, 0, nb, MF_WG_MSG_RESPONSE)->tos, 0x88);
	/* The staged packet confirms the session; no keepalive is needed. */
	assert_int_equal(sim_count(s, 0, na, SIM_DATA), 1);
	assert_int_equal(sim_count(s, 0, na, SIM_KEEPALIVE), 0);
	assert_int_equal(sim_of(a)->events[MF_WG_EVENT_SESSION_UP], 1);
	assert_int_equal(sim_of(b)->events[MF_WG_EVENT_SESSION_UP], 1);
}

static void test_255_packets_each_way(void **state)
{
	(void)state;
	sim_connect(s, a);
	for (int i = 0; i < 255; i++)
		assert_true(sim_send(a));
	for (int i = 0; i < 255; i++)
		assert_true(sim_send(b));
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 256);
	assert_int_equal(sim_of(a)->delivered, 255);
	assert_int_equal(sim_of(a)->duplicates + sim_of(b)->duplicates, 0);
	assert_int_equal(sim_count(s, 0, NULL, MF_WG_MSG_INITIATION), 1);
}

static void test_initiator_confirms_with_a_keepalive_if_nothing_is_staged(void **state)
{
	(void)state;
	mf_wg_timers_want_handshake(a, s->now);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_count(s, 0, na, SIM_KEEPALIVE), 1);
	assert_int_equal(sim_of(b)->keepalives, 1);
	assert_true(sim_info(b).session);
}

static bool lose_data(struct sim *sim, struct sim_dgram *d)
{
	(void)sim;
	return d->bytes[0] != MF_WG_MSG_DATA;
}

static void test_responder_is_silent_until_it_has_received(void **state)
{
	(void)state;
	s->filter = lose_data;
	(void)sim_send(a);
	sim_run(s, MF_SEC);
	assert_true(sim_info(a).session);
	assert_false(sim_info(b).session);
	assert_false(sim_send(b));
	assert_int_equal(sim_count(s, 0, nb, MF_WG_MSG_DATA), 0);
	assert_int_equal(sim_of(b)->events[MF_WG_EVENT_SESSION_UP], 0);
	s->filter = NULL;
	assert_true(sim_send(a));
	sim_run(s, MF_SEC);
	/* What b had staged went out as soon as a had spoken. */
	assert_true(sim_info(b).session);
	assert_int_equal(sim_of(a)->delivered, 1);
}

/* A forged packet with the right index must not confirm the session. */
static void test_forged_data_does_not_confirm(void **state)
{
	uint8_t forged[64] = { MF_WG_MSG_DATA };

	(void)state;
	s->filter = lose_data;
	(void)sim_send(a);
	sim_run(s, MF_SEC);
	memcpy(forged + 4, s->last[MF_WG_MSG_RESPONSE].bytes + 4, 4);
	assert_int_equal(sim_inject(nb, &na->at, forged, sizeof(forged)), MF_DROP_WG_AUTH);
	assert_false(sim_info(b).session);
	assert_non_null(b->next);
}

static void test_wrong_lengths_and_types(void **state)
{
	static const struct {
		uint32_t type;
		size_t n;
		enum mf_drop drop;
	} cases[] = {
		{ 1, 0, MF_DROP_WG_SHORT },          { 1, 3, MF_DROP_WG_SHORT },
		{ 1, 4, MF_DROP_WG_LENGTH },         { 1, 147, MF_DROP_WG_LENGTH },
		{ 1, 149, MF_DROP_WG_LENGTH },       { 1, 148, MF_DROP_WG_MAC1 },
		{ 2, 91, MF_DROP_WG_LENGTH },        { 2, 93, MF_DROP_WG_LENGTH },
		{ 2, 148, MF_DROP_WG_LENGTH },       { 2, 92, MF_DROP_WG_MAC1 },
		{ 3, 63, MF_DROP_WG_LENGTH },        { 3, 65, MF_DROP_WG_LENGTH },
		{ 3, 64, MF_DROP_WG_COOKIE },        { 0, 148, MF_DROP_WG_TYPE },
		{ 5, 148, MF_DROP_WG_TYPE },         { 0x01000001, 148, MF_DROP_WG_TYPE },
		{ 0x00000102, 92, MF_DROP_WG_TYPE },
	};
	uint8_t m[200] = { 0 };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		mf_store_le32(m, cases[i].type);
		assert_int_equal(sim_inject(nb, &na->at, m, cases[i].n), cases[i].drop);
	}
	assert_int_equal(s->n_log, 0);
}

static void test_bad_mac1_and_unknown_peer(void **state)
{
	struct sim_node *nc = sim_node_add(s, "c", "192.0.2.3:3000");
	struct mf_wg_peer *c = sim_peer_add(nc, nb, true);
	struct sim_dgram d;

	(void)state;
	(void)sim_send(a);
	d = s->last[MF_WG_MSG_INITIATION];
	d.bytes[116] ^= 1;
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_MAC1);
	/* mac1 is for b, but c is a stranger. */
	(void)sim_send(c);
	d = s->last[MF_WG_MSG_INITIATION];
	assert_int_equal(sim_inject(nb, &nc->at, d.bytes, d.n), MF_DROP_WG_HANDSHAKE);
	assert_int_equal(sim_count(s, 0, nb, 0), 0);
}

static void test_replayed_initiation(void **state)
{
	struct sim_dgram first, second;

	(void)state;
	sim_connect(s, a);
	first = s->last[MF_WG_MSG_INITIATION];
	sim_run(s, 130 * MF_SEC);
	(void)sim_send(a); /* renews the session */
	sim_run(s, MF_SEC);
	second = s->last[MF_WG_MSG_INITIATION];
	assert_memory_not_equal(first.bytes, second.bytes, first.n);
	/* The same again, and one that is older than the last. */
	assert_int_equal(sim_inject(nb, &na->at, second.bytes, second.n), MF_DROP_WG_HANDSHAKE);
	assert_int_equal(sim_inject(nb, &na->at, first.bytes, first.n), MF_DROP_WG_HANDSHAKE);
	/* Even after the keys are forgotten. */
	sim_run(s, 600 * MF_SEC);
	assert_int_equal(sim_inject(nb, &na->at, second.bytes, second.n), MF_DROP_WG_HANDSHAKE);
}

static void test_replayed_or_late_response(void **state)
{
	struct sim_dgram d;

	(void)state;
	sim_connect(s, a);
	d = s->last[MF_WG_MSG_RESPONSE];
	assert_int_equal(sim_inject(na, &nb->at, d.bytes, d.n), MF_DROP_WG_HANDSHAKE);
	assert_int_equal(sim_of(a)->events[MF_WG_EVENT_SESSION_UP], 1);
	/* A response to an initiation that has been given up for a newer one. */
	sim_run(s, 130 * MF_SEC);
	s->filter = lose_data;
	(void)sim_send(a);
	s->cut = true;
	sim_run(s, 4 * MF_SEC);
	d = s->last[MF_WG_MSG_RESPONSE];
	sim_run(s, 4 * MF_SEC);
	assert_int_equal(sim_inject(na, &nb->at, d.bytes, d.n), MF_DROP_WG_HANDSHAKE);
}

static void test_initiations_closer_than_20_ms(void **state)
{
	struct sim_dgram d[3];

	(void)state;
	s->cut = true;
	for (int i = 0; i < 3; i++) {
		assert_true(mf_wg_handshake_initiate(a, s->now));
		d[i] = s->last[MF_WG_MSG_INITIATION];
	}
	assert_int_equal(sim_inject(nb, &na->at, d[0].bytes, d[0].n), MF_DROP_NONE);
	s->now += 20 * MF_MSEC - 1;
	assert_int_equal(sim_inject(nb, &na->at, d[1].bytes, d[1].n), MF_DROP_WG_HANDSHAKE);
	s->now += 1;
	assert_int_equal(sim_inject(nb, &na->at, d[2].bytes, d[2].n), MF_DROP_NONE);
}

/* Stamps grow when the wall clock stands still or is set back, so the responder goes on accepting. */
static void test_time_stamps_grow_whatever_the_clock_does(void **state)
{
	uint64_t greatest = 0;

	(void)state;
	na->wall_stopped = true;
	for (int i = 0; i < 100; i++) {
		uint64_t was = greatest;

		if (i == 50)
			na->wall_offset -= 3600;
		s->cut = true;
		assert_true(mf_wg_handshake_initiate(a, s->now));
		s->now += 20 * MF_MSEC;
		assert_int_equal(sim_inject(nb, &na->at, s->last[1].bytes, s->last[1].n),
				 MF_DROP_NONE);
		greatest = (uint64_t)a->handshake.ours.sec * MF_SEC + a->handshake.ours.nsec;
		assert_true(greatest > was);
		assert_int_equal(a->handshake.ours.nsec & 0xffffff, 0);
		assert_true(a->handshake.ours.nsec < MF_SEC);
	}
}

static void test_simultaneous_initiation(void **state)
{
	struct mf_wg_peer_config c = { .public_key = na->public_key, .set = MF_WG_SET_ENDPOINT };

	(void)state;
	c.endpoint = na->at;
	(void)sim_peer_set(nb, &c);
	(void)sim_send(a);
	(void)sim_send(b);
	sim_run(s, 100 * MF_MSEC);
	/* Both handshakes succeed, nobody waits for a retransmission. */
	assert_int_equal(sim_of(a)->delivered, 1);
	assert_int_equal(sim_of(b)->delivered, 1);
	for (int i = 0; i < 40; i++) {
		assert_true(sim_send(a));
		assert_true(sim_send(b));
		sim_run(s, 100 * MF_MSEC);
	}
	assert_int_equal(sim_of(a)->delivered, 41);
	assert_int_equal(sim_of(b)->delivered, 41);
	assert_int_equal(sim_count(s, 0, NULL, MF_WG_MSG_INITIATION), 2);
}

/* The same, with every possible offset between the two, and with delays that let messages overtake. */
static void test_nearly_simultaneous_initiation(void **state)
{
	(void)state;
	for (mf_nsec offset = 0; offset < 60 * MF_MSEC; offset += MF_MSEC) {
		struct mf_wg_peer_config c = { .set = MF_WG_SET_ENDPOINT };

		pair_teardown(NULL);
		s = sim_pair(offset, &a, &b);
		na = &s->node[0];
		nb = &s->node[1];
		s->jitter = 20 * MF_MSEC;
		c.public_key = na->public_key;
		c.endpoint = na->at;
		(void)sim_peer_set(nb, &c);
		(void)sim_send(a);
		sim_run(s, offset);
		(void)sim_send(b);
		sim_run(s, 200 * MF_MSEC);
		for (int i = 0; i < 20; i++) {
			(void)sim_send(a);
			(void)sim_send(b);
			sim_run(s, 100 * MF_MSEC);
		}
		assert_int_equal(sim_of(a)->delivered, 21);
		assert_int_equal(sim_of(b)->delivered, 21);
	}
}

static void test_packets_of_the_old_keys_still_count_after_rekeying(void **state)
{
	struct mf_wg_keypair *old;

	(void)state;
	sim_connect(s, a);
	old = mf_wg_peer_current(a);
	sim_run_until(s, old->birth + 121 * MF_SEC);
	/* Data on the old keys, each way, that arrives when the new keys are in use. */
	s->delay = 2 * MF_SEC;
	assert_true(sim_send(b));
	sim_send_raw(na, old, 500, &na->at, &nb->at);
	s->delay = 10 * MF_MSEC;
	assert_true(sim_send(a));
	sim_run(s, MF_SEC);
	assert_ptr_not_equal(mf_wg_peer_current(a), old);
	assert_true(sim_send(a));
	sim_run(s, 2 * MF_SEC);
	assert_int_equal(sim_of(a)->delivered, 1);
	assert_int_equal(sim_of(b)->delivered, 4);
	assert_int_equal(na->drops[MF_DROP_WG_INDEX] + na->drops[MF_DROP_WG_AUTH], 0);
	assert_int_equal(nb->drops[MF_DROP_WG_INDEX] + nb->drops[MF_DROP_WG_AUTH], 0);
	/* The responder moves on to the new keys, too. */
	assert_int_equal(mf_wg_peer_current(a)->remote_index, mf_wg_peer_current(b)->indexed.index);
	assert_int_equal(mf_wg_peer_current(b)->remote_index, mf_wg_peer_current(a)->indexed.index);
}

static void test_replayed_data_and_counter_skip(void **state)
{
	struct mf_wg_keypair *k;
	struct sim_dgram d;

	(void)state;
	sim_connect(s, a);
	d = s->last[MF_WG_MSG_DATA];
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_WG_REPLAY);
	k = mf_wg_peer_current(a);
	sim_send_raw(na, k, 100000, &na->at, &nb->at);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 2);
	sim_send_raw(na, k, 1, &na->at, &nb->at);
	sim_send_raw(na, k, 100000 - MF_WG_REPLAY_WINDOW, &na->at, &nb->at);
	sim_run(s, MF_SEC);
	assert_int_equal(nb->drops[MF_DROP_WG_REPLAY], 3);
	sim_send_raw(na, k, 100000 - MF_WG_REPLAY_WINDOW + 1, &na->at, &nb->at);
	sim_send_raw(na, k, MF_WG_REJECT_AFTER_MESSAGES, &na->at, &nb->at);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 3);
	assert_int_equal(nb->drops[MF_DROP_WG_COUNTER], 1);
}

/* Beyond 2^32 packets nothing repeats. */
static void test_counters_are_64_bits_wide(void **state)
{
	(void)state;
	sim_connect(s, a);
	atomic_store(&mf_wg_peer_current(a)->next_counter, UINT32_MAX);
	for (int i = 0; i < 3; i++)
		assert_true(sim_send(a));
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 4);
	assert_true(mf_load_le64(s->last[MF_WG_MSG_DATA].bytes + 8) == (uint64_t)UINT32_MAX + 2);
}

static void test_zero_and_low_order_public_keys(void **state)
{
	struct mf_wg_peer_config c = { .set = MF_WG_SET_ENDPOINT | MF_WG_SET_KEEPALIVE,
				       .keepalive = 5 };
	struct mf_wg_peer *p;

	(void)state;
	for (uint8_t i = 0; i < 2; i++) {
		c.public_key.b[0] = i;
		c.endpoint = nb->at;
		p = sim_peer_set(na, &c);
		(void)sim_send(p);
		sim_run(s, 200 * MF_SEC);
		assert_int_equal(s->n_log, 0);
		assert_true(sim_of(p)->events[MF_WG_EVENT_GAVE_UP] >= 1);
	}
}

static void test_device_without_key_or_down_is_deaf(void **state)
{
	struct mf_key zero = { 0 };

	(void)state;
	mf_wg_device_set_up(nb->device, false, s->now);
	(void)sim_send(a);
	sim_run(s, MF_SEC);
	assert_int_equal(nb->drops[MF_DROP_WG_MAC1], 1);
	mf_wg_device_set_up(nb->device, true, s->now);
	mf_wg_device_set_private_key(nb->device, &zero, s->now);
	sim_run(s, 6 * MF_SEC);
	assert_int_equal(nb->drops[MF_DROP_WG_MAC1], 2);
	assert_int_equal(sim_count(s, 0, nb, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(test_first_data_starts_a_handshake_and_is_not_lost),
		PAIR_TEST(test_255_packets_each_way),
		PAIR_TEST(test_initiator_confirms_with_a_keepalive_if_nothing_is_staged),
		PAIR_TEST(test_responder_is_silent_until_it_has_received),
		PAIR_TEST(test_forged_data_does_not_confirm),
		PAIR_TEST(test_wrong_lengths_and_types),
		PAIR_TEST(test_bad_mac1_and_unknown_peer),
		PAIR_TEST(test_replayed_initiation),
		PAIR_TEST(test_replayed_or_late_response),
		PAIR_TEST(test_initiations_closer_than_20_ms),
		PAIR_TEST(test_time_stamps_grow_whatever_the_clock_does),
		PAIR_TEST(test_simultaneous_initiation),
		PAIR_TEST(test_nearly_simultaneous_initiation),
		PAIR_TEST(test_packets_of_the_old_keys_still_count_after_rekeying),
		PAIR_TEST(test_replayed_data_and_counter_skip),
		PAIR_TEST(test_counters_are_64_bits_wide),
		PAIR_TEST(test_zero_and_low_order_public_keys),
		PAIR_TEST(test_device_without_key_or_down_is_deaf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
