/* SPDX-License-Identifier: Apache-2.0
 *
 * What is taken away while somebody may still look at it: peers named by orders on their way, peers with
 * staged packets, traces that packets carry, sockets with datagrams in frames.
 */
#include "unit.h"

#include "nodes/stage.h"
#include "support/testnet.h"

static void send_udp(struct testnet_side *s, const char *dst, uint32_t n)
{
	uint8_t pkt[2100], payload[2000] = { 0 };

	testnet_app_send(s, pkt, testnet_udp4(pkt, "10.9.0.1", dst, 1000, 2000, payload, n), 0, 0,
			 false, 0, 0);
}

static struct mf_wg_peer *first_peer(struct testnet *t)
{
	struct mf_iface_info info;

	assert_true(mf_engine_iface(t->side[0].engine, 0, &info));
	return mf_wg_peer_next(info.device, NULL);
}

/* As many orders as the worker's ring holds, all without effect. */
static void fill_ring(struct testnet *t)
{
	struct mf_order o = { .kind = MF_ORDER_SET_PG };

	for (int i = 0; i < 256; i++)
		mf_engine_order(t->side[0].engine, 0, &o);
}

/* One peer with three packets that wait for a handshake which does not come. */
static void open_with_staged(struct testnet *t)
{
	testnet_open(t, &(struct testnet_options){ .seed = 1 });
	t->cut = true;
	for (int i = 0; i < 3; i++)
		send_udp(&t->side[0], "10.9.0.2", 100);
	testnet_settle(t);
	assert_int_equal(mf_stage_len(first_peer(t), 0), 3);
}

static void assert_dropped(struct testnet *t, enum mf_drop why, uint64_t n)
{
	struct mf_ledger l;

	mf_engine_ledger(t->side[0].engine, &l);
	assert_int_equal(l.drops[why], n);
	assert_int_equal(l.held, 0);
	assert_true(testnet_balanced(&t->side[0]));
}

static void test_removed_peer_drops_what_is_staged(void **state)
{
	struct testnet t;

	(void)state;
	open_with_staged(&t);
	mf_wg_peer_remove(first_peer(&t), t.now);
	testnet_settle(&t);
	assert_dropped(&t, MF_DROP_WG_HANDSHAKE_GAVE_UP, 3);
	testnet_close(&t);
}

/* The order that drops the staged packets finds the ring full. The worker passes a quiet point before
 * it gets the order; the peer must not be freed in between. */
static void test_peer_outlives_an_order_that_had_to_wait(void **state)
{
	struct mf_worker *w;
	struct testnet t;

	(void)state;
	open_with_staged(&t);
	w = mf_engine_worker(t.side[0].engine, 0);
	fill_ring(&t);
	mf_wg_peer_remove(first_peer(&t), t.now);
	mf_worker_pass(w, t.now);
	mf_engine_control(t.side[0].engine, t.now);
	mf_engine_control(t.side[0].engine, t.now);
	mf_worker_pass(w, t.now);
	assert_dropped(&t, MF_DROP_WG_HANDSHAKE_GAVE_UP, 3);
	testnet_close(&t);
}

static void test_sleeper_with_orders_is_not_quiet(void **state)
{
	struct mf_worker *w;
	mf_nsec deadline;
	struct testnet t;

	(void)state;
	open_with_staged(&t);
	w = mf_engine_worker(t.side[0].engine, 0);
	assert_true(mf_worker_sleep(w, &deadline));
	mf_wg_peer_remove(first_peer(&t), t.now);
	mf_engine_control(t.side[0].engine, t.now);
	mf_worker_wake(w);
	mf_worker_pass(w, t.now);
	assert_dropped(&t, MF_DROP_WG_HANDSHAKE_GAVE_UP, 3);
	testnet_close(&t);
}

static void test_no_sleep_with_orders(void **state)
{
	mf_nsec deadline;
	struct testnet t;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 1 });
	fill_ring(&t);
	assert_false(mf_worker_sleep(mf_engine_worker(t.side[0].engine, 0), &deadline));
	testnet_settle(&t);
	assert_true(mf_worker_sleep(mf_engine_worker(t.side[0].engine, 0), &deadline));
	mf_worker_wake(mf_engine_worker(t.side[0].engine, 0));
	testnet_close(&t);
}

/* The engine ends while the order is still waiting for a place. */
static void test_engine_ends_with_orders_waiting(void **state)
{
	struct testnet t;

	(void)state;
	open_with_staged(&t);
	fill_ring(&t);
	mf_wg_peer_remove(first_peer(&t), t.now);
	testnet_close(&t);
}

static void test_engine_ends_with_packets_staged(void **state)
{
	struct testnet t;

	(void)state;
	open_with_staged(&t);
	testnet_close(&t);
}

/* Far more peers go at once than a ring has places. */
static void test_thousands_of_peers_go(void **state)
{
	struct mf_wg_peer_config c = { 0 };
	struct mf_iface_info f;
	struct testnet t;

	(void)state;
	open_with_staged(&t);
	assert_true(mf_engine_iface(t.side[0].engine, 0, &f));
	for (uint32_t i = 0; i < 5000; i++) {
		mf_store_le32(c.public_key.b, i + 9);
		c.public_key.b[20] = 1;
		assert_int_equal(mf_engine_peer_set(t.side[0].engine, f.device, &c, t.now, NULL),
				 MF_OK);
	}
	while (mf_wg_peer_next(f.device, NULL))
		mf_wg_peer_remove(mf_wg_peer_next(f.device, NULL), t.now);
	testnet_settle(&t);
	assert_dropped(&t, MF_DROP_WG_HANDSHAKE_GAVE_UP, 3);
	testnet_close(&t);
}

static void freed(void *obj)
{
	struct mf_trace **traces = obj;

	mf_trace_free(traces[0]);
	traces[0] = NULL;
}

/* Staged packets carry the number of a record in a trace that is gone. */
static void test_packets_outlive_their_trace(void **state)
{
	struct mf_trace_filter all = { .node = UINT32_MAX };
	struct mf_trace *traces[MF_WORKERS_MAX], *again[MF_WORKERS_MAX];
	struct testnet_item *i;
	struct testnet t;
	uint32_t slot;
	int got = 0;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 1 });
	assert_int_equal(mf_engine_trace(t.side[0].engine, &all, 16, 64, traces), MF_OK);
	t.cut = true;
	for (int k = 0; k < 3; k++)
		send_udp(&t.side[0], "10.9.0.2", 100);
	testnet_settle(&t);
	assert_int_equal(mf_trace_open(traces[0]), 3);
	mf_engine_untrace(t.side[0].engine, freed, traces);
	testnet_settle(&t);
	assert_null(traces[0]);
	/* Another one must not take them for its own. */
	assert_int_equal(mf_engine_trace(t.side[0].engine, &all, 16, 64, again), MF_OK);
	t.cut = false;
	testnet_advance(&t, 30 * MF_SEC);
	while ((i = testnet_app_recv(&t.side[1])) != NULL) {
		got += (int)i->segments; /* they may have been merged */
		free(i);
	}
	assert_int_equal(got, 3);
	assert_null(mf_trace_take(again[0], &slot));
	assert_int_equal(mf_trace_open(again[0]), 0);
	mf_engine_untrace(t.side[0].engine, freed, again);
	testnet_settle(&t);
	assert_null(again[0]);
	testnet_close(&t);
}

/* Watching datagrams on their way in: their records end, whatever was in them. */
static void test_received_datagrams_end_in_the_trace(void **state)
{
	struct mf_trace_filter filter = { 0 };
	struct mf_trace *traces[MF_WORKERS_MAX];
	const struct mf_trace_record *r;
	struct mf_worker *w;
	struct testnet t;
	struct mf_pkt *p;
	uint32_t slot;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 1 });
	send_udp(&t.side[0], "10.9.0.2", 100);
	testnet_settle(&t);
	free(testnet_app_recv(&t.side[1]));
	w = mf_engine_worker(t.side[1].engine, 0);
	filter.node = w->wg_input->index;
	assert_int_equal(mf_engine_trace(t.side[1].engine, &filter, 16, 64, traces), MF_OK);
	send_udp(&t.side[0], "10.9.0.2", 100);
	testnet_settle(&t);
	free(testnet_app_recv(&t.side[1]));
	p = mf_pkt_small(w->pool);
	p->len = 3;
	mf_count(&w->graph.ledger.received_udp, 1);
	mf_graph_put(&w->graph, w->wg_input, p);
	testnet_settle(&t);
	r = mf_trace_take(traces[0], &slot);
	assert_non_null(r);
	assert_int_equal(r->verdict, MF_CONSUMED);
	mf_trace_release(traces[0], slot);
	r = mf_trace_take(traces[0], &slot);
	assert_non_null(r);
	assert_int_equal(r->verdict, MF_DROPPED);
	assert_int_equal(r->drop, MF_DROP_WG_SHORT);
	assert_int_equal(mf_trace_open(traces[0]), 0);
	mf_engine_untrace(t.side[1].engine, freed, traces);
	testnet_settle(&t);
	assert_true(testnet_balanced(&t.side[1]));
	testnet_close(&t);
}

static void test_ports_are_released_at_the_end(void **state)
{
	struct testnet t;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 1, .n_workers = 2 });
	testnet_close(&t);
	assert_int_equal(t.side[0].released, 4);
	assert_false(t.side[0].ports[0].open);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_removed_peer_drops_what_is_staged),
		cmocka_unit_test(test_peer_outlives_an_order_that_had_to_wait),
		cmocka_unit_test(test_sleeper_with_orders_is_not_quiet),
		cmocka_unit_test(test_no_sleep_with_orders),
		cmocka_unit_test(test_engine_ends_with_orders_waiting),
		cmocka_unit_test(test_engine_ends_with_packets_staged),
		cmocka_unit_test(test_thousands_of_peers_go),
		cmocka_unit_test(test_packets_outlive_their_trace),
		cmocka_unit_test(test_received_datagrams_end_in_the_trace),
		cmocka_unit_test(test_ports_are_released_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
