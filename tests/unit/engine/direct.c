/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions through a whole engine: apps on the TUN, a fake outbound as `direct`, and between them the graph
 * with its books, a reload, and the engine's end.
 */
#include "unit.h"

#include <stdlib.h>

#include "base/endian.h"
#include "fakedgram.h"
#include "fakeout.h"
#include "support/netapps.h"

#define TO_DIRECT "    - { cidr: 0.0.0.0/0, to: direct }\n    - { cidr: \"::/0\", to: direct }\n"
#define TO_REJECT "    - { cidr: 0.0.0.0/0, to: reject }\n"
#define SERVER    "203.0.113.9:80"

struct lab {
	struct testnet net;
	struct netapps apps;
	struct fakeout out;
	struct mf_engine *engine;
	struct mf_worker *worker;
};

static void open_lab(struct lab *l, const struct testnet_options *o)
{
	struct testnet_options with = *o;

	with.seed = o->seed ? o->seed : 1;
	with.routes = o->routes ? o->routes : TO_DIRECT;
	testnet_open(&l->net, &with);
	l->engine = l->net.side[0].engine;
	l->worker = mf_engine_worker(l->engine, 0);
	fakeout_init(&l->out);
	mf_worker_set_direct(l->worker, &l->out.out);
	netapps_open(&l->apps, &l->net, 0);
}

/* The engine ends with whatever sessions there are; the far sides must have been told. */
static void close_lab(struct lab *l)
{
	testnet_close(&l->net);
	netapps_close(&l->apps);
	fakeout_fini(&l->out);
}

static struct mf_ledger ledger(const struct lab *l)
{
	struct mf_ledger sum;

	assert_true(testnet_balanced(&l->net.side[0]));
	mf_engine_ledger(l->engine, &sum);
	return sum;
}

static struct mf_host_counters counters(const struct lab *l)
{
	struct mf_host_counters c;
	struct mf_tcp_counters tcp;

	mf_engine_host_counters(l->engine, &c, &tcp);
	return c;
}

static struct netapp *established(struct lab *l, const char *local)
{
	struct netapp *a = netapp_connect(&l->apps, local, SERVER);
	struct fake_stream *st;

	netapps_settle(&l->apps);
	st = l->out.last;
	assert_non_null(st);
	assert_false(a->connected);
	fake_open(st);
	netapps_settle(&l->apps);
	assert_true(a->connected);
	return a;
}

static unsigned sessions(const struct lab *l, struct mf_session_facts *last)
{
	struct mf_session_facts f;
	unsigned n = 0;

	for (uint32_t i = 0; i < mf_engine_session_slots(l->engine, 0); i++)
		if (mf_engine_session(l->engine, 0, i, &f)) {
			*last = f;
			n++;
		}
	return n;
}

/* Everything an app writes arrives, and the other way round, in pieces of all sizes. */
static void transfer(struct lab *l, struct netapp *a, struct fake_stream *st, size_t total)
{
	static uint8_t piece[70000];
	uint64_t down_from = a->down, up_from = a->up;
	size_t given = 0, written = 0;

	while (a->down - down_from < total || a->up - up_from < total || st->n_got < a->up) {
		size_t n = 1 + mf_prng_below(&l->net.prng, sizeof(piece) - 1);

		n = mf_min(n, total - given);
		netapp_far_bytes(a, down_from + given, piece, n);
		fake_give(st, piece, n);
		given += n;
		written += netapp_write(
			a, mf_min(1 + mf_prng_below(&l->net.prng, 100000), total - written));
		netapps_settle(&l->apps);
		netapp_read(a, SIZE_MAX);
		netapps_advance(&l->apps, MF_MSEC);
	}
	assert_int_equal(a->down - down_from, total);
	assert_int_equal(st->n_got, a->up);
	assert_true(netapp_far_right(a, 0, st->got, st->n_got));
}

static void check_idle(struct lab *l, uint32_t small, uint32_t large)
{
	assert_int_equal(ledger(l).held, 0);
	assert_int_equal(mf_pkt_pool_free_small(l->worker->pool), small);
	assert_int_equal(mf_pkt_pool_free_large(l->worker->pool), large);
}

static void test_a_whole_life(void **state)
{
	struct lab l;
	struct netapp *a;
	struct mf_session_facts f;
	struct mf_hop_totals totals;
	uint32_t small, large;

	(void)state;
	open_lab(&l, &(struct testnet_options){ 0 });
	small = mf_pkt_pool_free_small(l.worker->pool);
	large = mf_pkt_pool_free_large(l.worker->pool);
	a = established(&l, "10.9.0.1:1000");
	transfer(&l, a, l.out.last, 3000000);
	assert_int_equal(sessions(&l, &f), 1);
	assert_int_equal(f.hop, MF_HOP_ID_DIRECT);
	assert_int_equal(f.state, MF_SESSION_ESTABLISHED);
	assert_int_equal(f.bytes_up, 3000000);
	assert_int_equal(f.bytes_down, 3000000);
	mf_engine_hop_totals(l.engine, MF_HOP_ID_DIRECT, &totals);
	assert_int_equal(totals.sessions, 1);
	assert_int_equal(totals.opened, 1);
	assert_int_equal(totals.bytes_up, 3000000);
	/* The app has said all, the far side goes on. */
	netapp_shutdown(a);
	netapps_settle(&l.apps);
	assert_true(l.out.last->shut);
	fake_end(l.out.last);
	netapps_advance(&l.apps, MF_SEC);
	assert_true(a->eof);
	netapps_advance(&l.apps, 120 * MF_SEC);
	assert_int_equal(sessions(&l, &f), 0);
	assert_int_equal(l.out.n_open, 0);
	check_idle(&l, small, large);
	assert_true(mf_graph_find(&l.worker->graph, "host-tcp")->packets > 0);
	assert_true(mf_graph_find(&l.worker->graph, "host-input")->packets > 0);
	close_lab(&l);
}

/* An app hears what the far side says, in its own words. */
static void test_refused(void **state)
{
	struct lab l;
	struct netapp *a;

	(void)state;
	open_lab(&l, &(struct testnet_options){ 0 });
	a = netapp_connect(&l.apps, "10.9.0.1:1000", SERVER);
	netapps_settle(&l.apps);
	assert_false(a->closed);
	fake_fail(l.out.last, MF_STREAM_E_REFUSED);
	netapps_settle(&l.apps);
	assert_true(a->closed);
	assert_int_equal(a->end, MF_TCP_END_REFUSED);
	assert_int_equal(counters(&l).tcp_refused, 1);
	assert_int_equal(ledger(&l).held, 0);
	close_lab(&l);
}

static void test_nothing_carries_direct(void **state)
{
	struct lab l;

	(void)state;
	open_lab(&l, &(struct testnet_options){ 0 });
	mf_worker_set_direct(l.worker, NULL);
	netapp_connect(&l.apps, "10.9.0.1:1000", SERVER);
	netapps_settle(&l.apps);
	assert_int_equal(l.out.n_opened, 0);
	assert_true(ledger(&l).drops[MF_DROP_OUTBOUND_DOWN] >= 1);
	close_lab(&l);
}

static void apply(struct lab *l, const char *routes, struct mf_apply_report *r)
{
	struct testnet_options o = { .seed = 1, .routes = routes };

	assert_int_equal(testnet_apply(&l->net, 0, &o, r, NULL), MF_OK);
	netapps_settle(&l->apps);
}

/* New sessions take the new route, running ones stay; and are no strays when the old route is back. */
static void test_reload_keeps_sessions(void **state)
{
	struct mf_session_facts f;
	struct mf_apply_report r;
	struct netapp *a, *b;
	struct lab l;

	(void)state;
	open_lab(&l, &(struct testnet_options){ 0 });
	a = established(&l, "10.9.0.1:1000");
	transfer(&l, a, l.out.last, 10000);
	apply(&l, TO_DIRECT, &r);
	assert_int_equal(r.sessions_kept, 1);
	assert_int_equal(r.sessions_moved, 0);
	apply(&l, TO_REJECT, &r);
	assert_int_equal(r.sessions_kept, 0);
	assert_int_equal(r.sessions_moved, 1);
	assert_int_equal(r.sessions_closed, 0);
	assert_int_equal(sessions(&l, &f), 1);
	assert_true(f.stray);
	transfer(&l, a, l.out.last, 500000);
	b = netapp_connect(&l.apps, "10.9.0.1:1001", SERVER);
	netapps_settle(&l.apps);
	assert_true(b->closed);
	assert_int_equal(b->end, MF_TCP_END_REFUSED);
	assert_int_equal(l.out.n_opened, 1);
	apply(&l, TO_DIRECT, &r);
	assert_int_equal(r.sessions_kept, 1);
	assert_int_equal(sessions(&l, &f), 1);
	assert_false(f.stray);
	transfer(&l, a, l.out.last, 10000);
	close_lab(&l);
}

static void test_reload_drops_sessions(void **state)
{
	struct mf_session_facts f;
	struct mf_apply_report r;
	struct netapp *a;
	struct lab l;

	(void)state;
	open_lab(&l, &(struct testnet_options){ 0 });
	a = established(&l, "10.9.0.1:1000");
	/* Nothing moves: nothing is dropped. */
	mf_engine_drop_sessions(l.engine, true);
	apply(&l, TO_DIRECT, &r);
	assert_int_equal(r.sessions_kept, 1);
	assert_false(a->closed);
	/* It has been for one call only. */
	apply(&l, TO_REJECT, &r);
	assert_int_equal(r.sessions_moved, 1);
	assert_false(a->closed);
	mf_engine_drop_sessions(l.engine, true);
	apply(&l, TO_REJECT, &r);
	assert_int_equal(r.sessions_closed, 1);
	assert_true(a->closed);
	assert_int_equal(a->end, MF_TCP_END_RESET);
	assert_int_equal(l.out.n_open, 0);
	assert_int_equal(sessions(&l, &f), 0);
	assert_int_equal(counters(&l).closed_by_hand, 1);
	close_lab(&l);
}

static void test_close_one(void **state)
{
	struct mf_session_facts f;
	struct netapp *a, *b;
	struct lab l;

	(void)state;
	open_lab(&l, &(struct testnet_options){ 0 });
	a = established(&l, "10.9.0.1:1000");
	assert_int_equal(sessions(&l, &f), 1);
	b = established(&l, "10.9.0.1:1001");
	assert_int_equal(mf_engine_session_close(l.engine, 1, f.ref), MF_E_NOT_FOUND);
	assert_int_equal(mf_engine_session_close(l.engine, 0, f.ref), MF_OK);
	netapps_settle(&l.apps);
	assert_true(a->closed);
	assert_false(b->closed);
	assert_int_equal(mf_engine_session_close(l.engine, 0, f.ref), MF_E_NOT_FOUND);
	f.ref.index = 0xfffff;
	assert_int_equal(mf_engine_session_close(l.engine, 0, f.ref), MF_E_NOT_FOUND);
	/* Asked for twice before the worker has looked. */
	assert_int_equal(sessions(&l, &f), 1);
	assert_int_equal(mf_engine_session_close(l.engine, 0, f.ref), MF_OK);
	assert_int_equal(mf_engine_session_close(l.engine, 0, f.ref), MF_OK);
	netapps_settle(&l.apps);
	assert_true(b->closed);
	assert_int_equal(counters(&l).closed_by_hand, 2);
	close_lab(&l);
}

/* The session table of the profile, and the shares of it. */
static void test_limits(void **state)
{
	struct lab l;
	char local[32];

	(void)state;
	open_lab(&l, &(struct testnet_options){ .max_sessions = 64,
						.sessions = "{ max: 64, per_source: 50 }" });
	assert_int_equal(mf_engine_sessions_max(l.engine), 64);
	for (unsigned i = 0; i < 60; i++) {
		snprintf(local, sizeof(local), "10.9.0.1:%u", 1000 + i);
		netapp_connect(&l.apps, local, SERVER);
	}
	netapps_settle(&l.apps);
	assert_int_equal(counters(&l).sessions, 50);
	assert_int_equal(ledger(&l).drops[MF_DROP_SESSIONS_SOURCE], 10);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(local, sizeof(local), "10.9.0.7:%u", 1000 + i);
		netapp_connect(&l.apps, local, SERVER);
	}
	netapps_settle(&l.apps);
	assert_int_equal(counters(&l).sessions, 64);
	assert_int_equal(ledger(&l).drops[MF_DROP_SESSIONS_FULL], 6);
	close_lab(&l);
}

/* The engine's end: apps hear of it, far sides too, and nothing is left. */
static void test_the_end(void **state)
{
	struct testnet_item *i;
	struct lab l;

	(void)state;
	open_lab(&l, &(struct testnet_options){ 0 });
	established(&l, "10.9.0.1:1000");
	established(&l, "10.9.0.1:1001");
	mf_engine_free(l.engine);
	l.net.side[0].engine = NULL;
	for (int k = 0; k < 2; k++) {
		i = testnet_app_recv(&l.net.side[0]);
		assert_non_null(i);
		assert_int_equal(i->bytes[33] & 4, 4);
		free(i);
	}
	assert_int_equal(l.out.n_open, 0);
	assert_true(l.out.last->reset);
	close_lab(&l);
}

/* ---- UDP ------------------------------------------------------------------------------------------- */

static void test_datagrams(void **state)
{
	struct fakedgrams out;
	struct testnet_item *i;
	struct mf_endpoint stranger;
	uint8_t pkt[2000];
	struct lab l;

	(void)state;
	open_lab(&l, &(struct testnet_options){ .sessions = "{ udp: 60 }" });
	fakedgrams_init(&out);
	mf_worker_set_direct(l.worker, &out.out);
	testnet_app_send(&l.net.side[0], pkt,
			 testnet_udp4(pkt, "10.9.0.1", "203.0.113.9", 1000, 5000, "ask", 3), 0, 0,
			 false, 0, 0);
	netapps_settle(&l.apps);
	assert_int_equal(out.n_opened, 1);
	assert_int_equal(out.last->n_sent, 1);
	assert_memory_equal(out.last->sent[0].bytes, "ask", 3);
	assert_int_equal(out.last->sent[0].remote.port, 5000);
	/* Anybody may answer (RFC 4787, endpoint-independent filtering). */
	assert_int_equal(mf_endpoint_parse(&stranger, "198.51.100.1:7"), MF_OK);
	fakedgram_give(out.last, &stranger, "answer", 6, 0, 0);
	netapps_settle(&l.apps);
	i = netapps_other(&l.apps);
	assert_non_null(i);
	assert_int_equal(i->len, 34);
	assert_true(testnet_csum_ok(i->bytes, i->len) || i->needs_csum);
	assert_memory_equal(i->bytes + 12, "\xc6\x33\x64\x01\x0a\x09\x00\x01", 8);
	assert_int_equal(mf_load_be16(i->bytes + 20), 7);
	assert_int_equal(mf_load_be16(i->bytes + 22), 1000);
	assert_memory_equal(i->bytes + 28, "answer", 6);
	free(i);
	/* Time is the worker's: it wakes up for the end of the mapping. */
	netapps_advance(&l.apps, 59 * MF_SEC);
	assert_int_equal(out.n_open, 1);
	netapps_advance(&l.apps, 3 * MF_SEC);
	assert_int_equal(out.n_open, 0);
	assert_int_equal(ledger(&l).held, 0);
	mf_worker_set_direct(l.worker, &l.out.out);
	close_lab(&l);
	fakedgrams_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_life),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nothing_carries_direct),
		cmocka_unit_test(test_reload_keeps_sessions),
		cmocka_unit_test(test_reload_drops_sessions),
		cmocka_unit_test(test_close_one),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_the_end),
		cmocka_unit_test(test_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
