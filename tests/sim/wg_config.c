/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration while packets flow: what it changes, and what it must not disturb.
 */
#include "wg_pair.h"

static void set_psk(struct mf_wg_peer *p, uint8_t byte)
{
	struct mf_wg_peer_config c = { .public_key = sim_info(p).public_key, .set = MF_WG_SET_PSK };

	memset(c.psk.b, byte, sizeof(c.psk.b));
	(void)sim_peer_set(sim_of(p)->node, &c);
}

static void set_allowed(struct mf_wg_peer *p, const char *text, bool remove)
{
	struct mf_wg_allowed w = { .prefix = sim_prefix(text), .remove = remove };
	struct mf_wg_peer_config c = { .public_key = sim_info(p).public_key,
				       .allowed = &w,
				       .n_allowed = 1 };

	(void)sim_peer_set(sim_of(p)->node, &c);
}

static struct mf_wg_peer *route(const struct sim_node *n, const char *text)
{
	struct mf_addr to;

	assert_int_equal(mf_addr_parse(&to, text), MF_OK);
	return mf_wg_route(n->device, to.b, to.family);
}

/* ---- preshared keys ---- */

static void test_psk_match(void **state)
{
	(void)state;
	set_psk(a, 7);
	set_psk(b, 7);
	sim_connect(s, a);
	assert_int_equal(sim_of(b)->delivered, 1);
}

static void test_psk_mismatch_and_one_sided(void **state)
{
	static const uint8_t pairs[][2] = { { 7, 8 }, { 7, 0 }, { 0, 8 } };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(pairs); i++) {
		set_psk(a, pairs[i][0]);
		set_psk(b, pairs[i][1]);
		(void)sim_send(a);
		sim_run(s, 120 * MF_SEC);
		assert_false(sim_info(a).session || sim_info(b).session);
		assert_int_equal(sim_of(a)->events[MF_WG_EVENT_GAVE_UP], i + 1);
	}
	assert_int_equal(sim_of(b)->delivered, 0);
	/* Corrected on one side, the next try works. */
	set_psk(a, 8);
	(void)sim_send(a);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 1);
}

static void test_psk_change_keeps_the_session_and_counts_for_the_next(void **state)
{
	struct mf_wg_keypair *k;

	(void)state;
	sim_connect(s, a);
	k = mf_wg_peer_current(a);
	set_psk(a, 9);
	assert_true(sim_send(a));
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 2);
	assert_ptr_equal(mf_wg_peer_current(a), k);
	/* Renewal fails until the other side has it, too. */
	sim_run_until(s, k->birth + 125 * MF_SEC);
	assert_true(sim_send(a));
	sim_run(s, 6 * MF_SEC);
	assert_ptr_equal(mf_wg_peer_current(a), k);
	set_psk(b, 9);
	sim_run(s, 6 * MF_SEC);
	assert_ptr_not_equal(mf_wg_peer_current(a), k);
}

/* ---- peers ---- */

static void test_changing_a_peer_keeps_its_session(void **state)
{
	struct mf_wg_allowed w[] = { { .prefix = sim_prefix("10.0.0.0/8") },
				     { .prefix = sim_prefix("172.16.0.0/12") } };
	struct mf_wg_peer_config c = { .public_key = nb->public_key,
				       .set = MF_WG_REPLACE_ALLOWED | MF_WG_SET_ENDPOINT |
					      MF_WG_SET_KEEPALIVE | MF_WG_SET_PSK | MF_WG_UPDATE_ONLY,
				       .keepalive = 30,
				       .allowed = w,
				       .n_allowed = 2 };
	struct mf_wg_keypair *k;

	(void)state;
	sim_connect(s, a);
	k = mf_wg_peer_current(a);
	c.endpoint = nb->at;
	assert_ptr_equal(sim_peer_set(na, &c), a);
	assert_ptr_equal(mf_wg_peer_current(a), k);
	assert_int_equal(sim_info(a).n_allowed, 2);
	assert_int_equal(sim_info(a).keepalive, 30);
	assert_null(route(na, "fd00::1"));
	for (int i = 0; i < 20; i++)
		assert_true(sim_send(a));
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 21);
	assert_int_equal(sim_count(s, 0, NULL, MF_WG_MSG_INITIATION), 1);
}

static void test_bad_configuration_changes_nothing(void **state)
{
	struct mf_wg_allowed w[] = { { .prefix = sim_prefix("172.16.0.0/12") },
				     { .prefix = sim_prefix("10.0.0.0/8") } };
	struct mf_wg_peer_config c = { .public_key = nb->public_key,
				       .set = MF_WG_SET_KEEPALIVE | MF_WG_REPLACE_ALLOWED,
				       .keepalive = 30,
				       .allowed = w,
				       .n_allowed = 2 };

	(void)state;
	w[1].prefix.len = 33;
	assert_int_equal(mf_wg_peer_set(na->device, &c, s->now, NULL), MF_E_RANGE);
	w[1].prefix.len = 8;
	w[1].prefix.addr.family = 5;
	assert_int_equal(mf_wg_peer_set(na->device, &c, s->now, NULL), MF_E_RANGE);
	w[1].prefix.addr.family = MF_AF_IP4;
	c.set |= MF_WG_SET_ENDPOINT;
	c.endpoint = (struct mf_endpoint){ .addr = { .family = MF_AF_IP4 } }; /* port 0 */
	assert_int_equal(mf_wg_peer_set(na->device, &c, s->now, NULL), MF_E_RANGE);
	assert_int_equal(sim_info(a).keepalive, 0);
	assert_int_equal(sim_info(a).n_allowed, 2);
	assert_ptr_equal(route(na, "fd00::1"), a);
	assert_true(sim_is_at(a, &nb->at));
	/* An unknown peer is not made where only an update was wished for. */
	c = (struct mf_wg_peer_config){ .public_key.b[0] = 9, .set = MF_WG_UPDATE_ONLY };
	assert_int_equal(mf_wg_peer_check(na->device, &c), MF_E_NOT_FOUND);
	assert_int_equal(mf_wg_peer_set(na->device, &c, s->now, NULL), MF_E_NOT_FOUND);
	assert_int_equal(mf_wg_device_peer_count(na->device), 1);
}

static void test_own_public_key(void **state)
{
	struct mf_wg_peer_config c = { .public_key = na->public_key };
	struct mf_key b_private, b_public;

	(void)state;
	assert_int_equal(mf_wg_peer_set(na->device, &c, s->now, NULL), MF_E_CONFLICT);
	assert_int_equal(mf_wg_device_peer_count(na->device), 1);
	/* A device that is given a peer's private key has itself as a peer no longer. */
	assert_true(mf_wg_device_keys(nb->device, &b_private, &b_public));
	mf_wg_device_set_private_key(na->device, &b_private, s->now);
	assert_int_equal(mf_wg_device_peer_count(na->device), 0);
	a = NULL;
}

static void test_new_private_key_ends_sessions_and_old_ones_are_not_answered(void **state)
{
	struct mf_key key = { .b = { 1, 2, 3 } }, unused, fresh;
	struct mf_wg_peer_config c = { 0 };

	(void)state;
	sim_connect(s, a);
	mf_wg_device_set_private_key(nb->device, &key, s->now);
	assert_false(sim_info(b).session);
	assert_true(sim_send(a));
	sim_run(s, 30 * MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 1);
	assert_true(nb->drops[MF_DROP_WG_INDEX] >= 1);
	assert_true(nb->drops[MF_DROP_WG_MAC1] >= 1);
	/* The same key again keeps what is there. */
	assert_true(mf_wg_device_keys(nb->device, &unused, &fresh));
	c.public_key = fresh;
	c.set = MF_WG_SET_ENDPOINT;
	c.endpoint = nb->at;
	a = sim_peer_set(na, &c);
	sim_connect(s, a);
	mf_wg_device_set_private_key(nb->device, &key, s->now);
	assert_true(sim_info(b).session);
}

static void test_removed_and_made_again(void **state)
{
	struct mf_wg_peer_ref ref = mf_wg_peer_ref(a);

	(void)state;
	sim_connect(s, a);
	mf_wg_peer_remove(a, s->now);
	assert_null(mf_wg_peer_by_ref(na->wg, ref));
	assert_null(route(na, "10.0.0.1"));
	assert_int_equal(na->wg->index.used, 0);
	/* Late events about it are harmless. */
	mf_wg_poke(na->wg, ref, s->now);
	mf_wg_roam(na->wg, ref, &(struct mf_wg_path){ .remote = nb->at });
	assert_true(mf_wg_deadline(na->wg) == MF_NEVER);
	a = sim_peer_add(na, nb, true);
	assert_int_equal(mf_wg_peer_ref(a).index, ref.index);
	assert_int_not_equal(mf_wg_peer_ref(a).generation, ref.generation);
	assert_null(mf_wg_peer_by_ref(na->wg, ref));
	sim_connect(s, a);
	assert_int_equal(sim_of(b)->delivered, 2);
}

static void test_device_down_and_up(void **state)
{
	size_t mark;

	(void)state;
	sim_set_keepalive(a, 25);
	sim_connect(s, a);
	mf_wg_device_set_up(na->device, false, s->now);
	mark = s->n_log;
	assert_false(sim_send(a));
	assert_true(sim_send(b));
	sim_run(s, 60 * MF_SEC);
	assert_int_equal(sim_count(s, mark, na, 0), 0);
	assert_int_equal(sim_of(a)->delivered, 0);
	mf_wg_device_set_up(na->device, true, s->now);
	sim_run(s, MF_SEC);
	assert_true(sim_info(a).session);
	assert_int_equal(sim_count(s, mark, na, MF_WG_MSG_INITIATION), 1);
	assert_true(sim_send(a));
	sim_run(s, MF_SEC);
	/* What was staged while it was down has gone out, too. */
	assert_int_equal(sim_of(b)->delivered, 3);
}

static void test_what_is_staged_is_dropped_with_its_device_or_peer(void **state)
{
	struct mf_wg_peer_config c = { .public_key = nb->public_key };

	(void)state;
	(void)sim_send(a);
	mf_wg_device_set_up(na->device, false, s->now);
	assert_int_equal(sim_of(a)->staged_dropped, 1);
	mf_wg_device_set_up(na->device, true, s->now);
	(void)sim_send(a);
	mf_wg_device_set_private_key(na->device, &c.psk, s->now);
	assert_int_equal(sim_of(a)->staged_dropped, 2);
	assert_int_equal(sim_of(a)->staged, 0);
}

/* ---- allowed IPs ---- */

static void test_allowed_ips_move_while_sessions_live(void **state)
{
	struct sim_node *nc = sim_node_add(s, "c", "192.0.2.3:3000");
	struct mf_wg_peer *c, *of_c;
	struct mf_prefix list[4];

	(void)state;
	c = sim_peer_add(nc, nb, true);
	of_c = sim_peer_set(nb, &(struct mf_wg_peer_config){ .public_key = nc->public_key });
	nb->source_check = true;
	sim_connect(s, a);
	sim_connect(s, c);
	assert_int_equal(sim_of(b)->delivered, 1);
	assert_int_equal(sim_of(of_c)->delivered, 0); /* 10.0.0.1 is not c's */
	assert_int_equal(nb->drops[MF_DROP_WG_SOURCE], 1);
	set_allowed(of_c, "10.0.0.0/8", false);
	assert_ptr_equal(route(nb, "10.0.0.1"), of_c);
	assert_int_equal(mf_wg_peer_allowed(b, list, 4), 1);
	assert_int_equal(mf_wg_peer_allowed(of_c, list, 4), 1);
	assert_true(sim_send(a));
	assert_true(sim_send(c));
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 1);
	assert_int_equal(sim_of(of_c)->delivered, 1);
	/* A longer prefix of the other peer takes a part. */
	set_allowed(b, "10.0.0.1/32", false);
	assert_true(sim_send(a));
	assert_true(sim_send(c));
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 2);
	assert_int_equal(sim_of(of_c)->delivered, 1);
	/* Taking it away from somebody who does not have it does nothing. */
	set_allowed(of_c, "10.0.0.1/32", true);
	assert_ptr_equal(route(nb, "10.0.0.1"), b);
	set_allowed(b, "10.0.0.1/32", true);
	assert_ptr_equal(route(nb, "10.0.0.1"), of_c);
	assert_int_equal(sim_count(s, 0, NULL, MF_WG_MSG_INITIATION), 2);
}

static void test_allowed_ips_in_order_and_masked(void **state)
{
	struct mf_wg_allowed w[] = {
		{ .prefix = sim_prefix("10.1.2.3/16") },
		{ .prefix = sim_prefix("10.2.0.0/16") },
		{ .prefix = sim_prefix("10.1.9.9/16"), .remove = true },
		{ .prefix = sim_prefix("fd00::5/64") },
	};
	struct mf_wg_peer_config c = { .public_key = nb->public_key,
				       .set = MF_WG_REPLACE_ALLOWED,
				       .allowed = w,
				       .n_allowed = 4 };
	struct mf_prefix list[4];
	char text[MF_PREFIX_STRLEN];

	(void)state;
	(void)sim_peer_set(na, &c);
	assert_int_equal(mf_wg_peer_allowed(a, list, 4), 2);
	assert_string_equal(mf_prefix_format(&list[0], text), "10.2.0.0/16");
	assert_string_equal(mf_prefix_format(&list[1], text), "fd00::/64");
	assert_null(route(na, "10.1.2.3"));
}

/* ---- many ---- */

static void test_several_devices_on_one_port(void **state)
{
	enum { N = 4 };
	struct mf_wg_device *d[N];
	struct mf_wg_peer *mine[N], *theirs[N];

	(void)state;
	mf_wg_peer_remove(a, s->now);
	/* b has four devices, all on its port; a has one peer for each. */
	for (size_t i = 0; i < N; i++) {
		struct mf_key key = { .b = { (uint8_t)(8 * i + 8) } }, unused;
		struct mf_wg_peer_config c = { .public_key = na->public_key }, to = { 0 };

		d[i] = mf_wg_device_add(nb->wg, nb);
		mf_wg_device_set_private_key(d[i], &key, s->now);
		mf_wg_device_set_listen_port(d[i], nb->at.port);
		mf_wg_device_set_up(d[i], true, s->now);
		struct mf_wg_device *first = nb->device;
		nb->device = d[i];
		theirs[i] = sim_peer_set(nb, &c);
		nb->device = first;
		assert_true(mf_wg_device_keys(d[i], &unused, &to.public_key));
		to.set = MF_WG_SET_ENDPOINT;
		to.endpoint = nb->at;
		mine[i] = sim_peer_set(na, &to);
	}
	for (size_t i = 0; i < N; i++)
		sim_connect(s, mine[i]);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(sim_of(theirs[i])->delivered, 1);
		assert_true(sim_send(theirs[i]));
	}
	sim_run(s, MF_SEC);
	/* Taking one out from the middle leaves the others alone. */
	mf_wg_device_remove(d[1], s->now);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(sim_of(mine[i])->delivered, 1);
		assert_true(sim_send(mine[i]));
	}
	sim_run(s, MF_SEC);
	assert_int_equal(nb->drops[MF_DROP_WG_INDEX], 1);
	assert_int_equal(sim_of(theirs[0])->delivered, 2);
	assert_int_equal(sim_of(theirs[2])->delivered, 2);
	assert_int_equal(sim_of(theirs[3])->delivered, 2);
}

/* A response or a cookie must come in where its device listens. */
static void test_messages_on_another_devices_port(void **state)
{
	struct sim_dgram d;

	(void)state;
	(void)sim_send(a);
	mf_wg_device_set_listen_port(nb->device, 99);
	sim_run(s, MF_SEC);
	assert_int_equal(nb->drops[MF_DROP_WG_MAC1], 1);
	mf_wg_device_set_listen_port(nb->device, nb->at.port);
	d = s->last[MF_WG_MSG_INITIATION];
	assert_int_equal(sim_inject(nb, &na->at, d.bytes, d.n), MF_DROP_NONE);
}

static void test_as_many_peers_as_there_may_be(void **state)
{
	struct mf_wg_device *d = mf_wg_device_add(na->wg, NULL); /* no key: no curve operations */
	struct mf_wg_peer_config c = { 0 };
	struct mf_wg_peer *p;
	mf_err err = MF_OK;
	uint32_t n = 1; /* a */

	(void)state;
	for (; !err && n < MF_WG_MAX_PEERS; n++) {
		memcpy(c.public_key.b, &n, sizeof(n));
		err = mf_wg_peer_set(d, &c, s->now, NULL);
	}
	assert_int_equal(err, MF_OK);
	memcpy(c.public_key.b, &n, sizeof(n));
	assert_int_equal(mf_wg_peer_set(d, &c, s->now, NULL), MF_E_FULL);
	n = 777;
	memcpy(c.public_key.b, &n, sizeof(n));
	p = mf_wg_peer_find(d, &c.public_key);
	assert_non_null(p);
	mf_wg_peer_remove(p, s->now);
	assert_null(mf_wg_peer_find(d, &c.public_key));
	assert_int_equal(mf_wg_peer_set(d, &c, s->now, NULL), MF_OK);
	assert_int_equal(mf_wg_device_peer_count(d), MF_WG_MAX_PEERS - 1);
	sim_connect(s, a);
}

static void test_counters(void **state)
{
	struct mf_wg_peer_info ia, ib;
	const size_t data = SIM_PAYLOAD + MF_WG_DATA_OVERHEAD;

	(void)state;
	sim_connect(s, a);
	for (int i = 0; i < 9; i++)
		assert_true(sim_send(a));
	sim_run(s, MF_SEC);
	ia = sim_info(a);
	ib = sim_info(b);
	assert_int_equal(ia.tx_bytes, 148 + 10 * data);
	assert_int_equal(ia.tx_packets, 11);
	assert_int_equal(ia.rx_bytes, 92);
	assert_int_equal(ib.rx_bytes, ia.tx_bytes);
	assert_int_equal(ib.tx_bytes, ia.rx_bytes);
	assert_int_equal(ib.rx_packets, 11);
	assert_true(ia.last_handshake.sec >= 1700000000);
	/* What is refused is not counted. */
	struct sim_dgram d = s->last[MF_WG_MSG_DATA];
	(void)sim_inject(nb, &na->at, d.bytes, d.n);
	assert_int_equal(sim_info(b).rx_bytes, ib.rx_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(test_psk_match),
		PAIR_TEST(test_psk_mismatch_and_one_sided),
		PAIR_TEST(test_psk_change_keeps_the_session_and_counts_for_the_next),
		PAIR_TEST(test_changing_a_peer_keeps_its_session),
		PAIR_TEST(test_bad_configuration_changes_nothing),
		PAIR_TEST(test_own_public_key),
		PAIR_TEST(test_new_private_key_ends_sessions_and_old_ones_are_not_answered),
		PAIR_TEST(test_removed_and_made_again),
		PAIR_TEST(test_device_down_and_up),
		PAIR_TEST(test_what_is_staged_is_dropped_with_its_device_or_peer),
		PAIR_TEST(test_allowed_ips_move_while_sessions_live),
		PAIR_TEST(test_allowed_ips_in_order_and_masked),
		PAIR_TEST(test_several_devices_on_one_port),
		PAIR_TEST(test_messages_on_another_devices_port),
		PAIR_TEST(test_as_many_peers_as_there_may_be),
		PAIR_TEST(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
