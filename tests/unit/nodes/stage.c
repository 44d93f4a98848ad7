/* SPDX-License-Identifier: Apache-2.0
 *
 * What may wait for handshakes: bounded for each peer, for all of them, and in each class of memory; what
 * waits leaves in order.
 */
#include "unit.h"

#include "support/testnet.h"

static uint8_t pkt[65536], payload[65536];

/* More peers that never answer, each with its own network 10.(100+i)/16. */
static void open_net(struct testnet *t, const struct testnet_options *o)
{
	testnet_open(t, o);
	t->cut = true;
}

static void add_peers(struct testnet *t, uint8_t n)
{
	struct mf_iface_info f;

	assert_true(mf_engine_iface(t->side[0].engine, 0, &f));
	for (uint8_t i = 0; i < n; i++) {
		struct mf_wg_allowed a = {
			.prefix = { .addr = mf_addr_ip4((uint8_t[]){ 10, (uint8_t)(100 + i), 0, 0 }),
				    .len = 16 },
		};
		struct mf_wg_peer_config c = {
			.set = MF_WG_SET_ENDPOINT,
			.endpoint = { .addr = mf_addr_ip4((uint8_t[]){ 203, 0, 113, 1 }), .port = 9 },
			.allowed = &a,
			.n_allowed = 1,
		};

		c.public_key.b[0] = (uint8_t)(9 + i);
		c.public_key.b[5] = 7;
		assert_int_equal(mf_engine_peer_set(t->side[0].engine, f.device, &c, t->now, NULL),
				 MF_OK);
	}
}

static void send(struct testnet *t, unsigned peer, uint32_t n, uint16_t gso)
{
	char dst[20];
	uint32_t len;

	if (peer)
		snprintf(dst, sizeof(dst), "10.%u.0.1", 99 + peer);
	else
		strcpy(dst, "10.9.0.2");
	len = testnet_udp4(pkt, "10.9.0.1", dst, 1, 2, payload, n);
	if (gso)
		testnet_app_send(&t->side[0], pkt, len, MF_GSO_UDP, gso, true,
				 testnet_unfinish(pkt, len), 6);
	else
		testnet_app_send(&t->side[0], pkt, len, 0, 0, false, 0, 0);
}

static struct mf_ledger ledger(struct testnet *t)
{
	struct mf_ledger l;

	testnet_settle(t);
	assert_true(testnet_balanced(&t->side[0]));
	mf_engine_ledger(t->side[0].engine, &l);
	return l;
}

static void test_newest_stay_and_leave_in_order(void **state)
{
	struct testnet_item *i;
	struct testnet t;
	uint32_t expected = 1000 - 128;

	(void)state;
	open_net(&t, &(struct testnet_options){ .seed = 1, .no_merge = true });
	for (uint32_t k = 0; k < 1000; k++) {
		mf_store_be32(payload, k);
		send(&t, 0, 4 + k % 50, 0);
		if (k % 100 == 0)
			testnet_settle(&t);
	}
	assert_int_equal(ledger(&t).held, 128);
	t.cut = false;
	testnet_advance(&t, 10 * MF_SEC);
	while ((i = testnet_app_recv(&t.side[1])) != NULL) {
		assert_int_equal(mf_load_be32(i->bytes + 28), expected++);
		free(i);
	}
	assert_int_equal(expected, 1000);
	ledger(&t);
	testnet_close(&t);
}

static void test_all_peers_together(void **state)
{
	struct mf_worker *w;
	struct testnet t;

	(void)state;
	open_net(&t, &(struct testnet_options){
			     .seed = 1, .memory = 16 << 20, .limits = "{ staged_packets: 100 }" });
	add_peers(&t, 20);
	w = mf_engine_worker(t.side[0].engine, 0);
	for (unsigned peer = 0; peer <= 20; peer++)
		for (int k = 0; k < 150; k++)
			send(&t, peer, 10, 0);
	assert_int_equal(ledger(&t).held, w->staged_limit);
	/* A peer that has some keeps its newest, one that has none gets nothing. */
	assert_int_equal(w->staged, w->staged_limit);
	for (unsigned peer = 0; peer <= 20; peer++)
		send(&t, peer, 10, 0);
	assert_int_equal(ledger(&t).held, w->staged_limit);
	testnet_advance(&t, 120 * MF_SEC);
	assert_int_equal(ledger(&t).held, 0);
	assert_int_equal(w->staged, 0);
	testnet_close(&t);
}

/* Super-packets that wait must leave packets to read the answers to handshakes with. */
static void test_super_packets(void **state)
{
	struct mf_worker *w;
	uint32_t large;
	struct testnet t;

	(void)state;
	open_net(&t, &(struct testnet_options){ .seed = 1, .memory = 16 << 20 });
	add_peers(&t, 5);
	w = mf_engine_worker(t.side[0].engine, 0);
	large = mf_pkt_pool_free_large(w->pool);
	for (int round = 0; round < 5; round++) {
		for (unsigned peer = 0; peer <= 5; peer++)
			for (int k = 0; k < 20; k++)
				send(&t, peer, 60000, 1300);
		testnet_settle(&t);
		assert_true(mf_pkt_pool_free_large(w->pool) >= large - large / 4 - 2);
	}
	/* Small ones still find room. */
	for (int k = 0; k < 20; k++)
		send(&t, 5, 10, 0);
	ledger(&t);
	assert_true(w->staged >= w->staged_large + 20);
	t.cut = false;
	testnet_advance(&t, 10 * MF_SEC);
	free(testnet_app_recv(&t.side[1]));
	testnet_advance(&t, 120 * MF_SEC);
	assert_int_equal(ledger(&t).held, 0);
	assert_int_equal(w->staged_large, 0);
	testnet_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newest_stay_and_leave_in_order),
		cmocka_unit_test(test_all_peers_together),
		cmocka_unit_test(test_super_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
