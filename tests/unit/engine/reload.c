/* SPDX-License-Identifier: Apache-2.0
 *
 * A running engine gets another profile: what stays, stays; what fails changes nothing; what goes takes its
 * packets with it.
 */
#include "unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "engine/internal.h"
#include "nodes/stage.h"
#include "support/testnet.h"

/* A second interface of side 0; nobody answers its peer. */
#define WG1(port)                                                                        \
	"  - name: wg1\n    type: wireguard\n"                                           \
	"    private_key: GGYP3FNnWEuTbRFzwyS8Pdbq7l6MHmDAPD1bYAYkyG0=\n"                \
	"    address: 10.77.0.1/24\n    listen_port: " port "\n"                         \
	"    peers:\n      - public_key: w4vmA11VEWpcxHYUDsHYFhJfWRxnwFzRYBe9w2jtfH0=\n" \
	"        endpoint: 203.0.113.9:9\n        allowed_ips: [0.0.0.0/0]\n"
#define TO_WG0 "    - { cidr: 10.9.0.0/16, to: wg0 }\n"
#define TO_WG1 "    - { cidr: 10.77.0.0/16, to: wg1 }\n"

static const struct testnet_options one = { .seed = 1, .routes = TO_WG0 };
static const struct testnet_options two = { .seed = 1,
					    .routes = TO_WG0 TO_WG1,
					    .interfaces = WG1("52000") };

static void send_udp(struct testnet *t, const char *dst, int count)
{
	uint8_t pkt[200], payload[100] = { 0 };

	for (int i = 0; i < count; i++)
		testnet_app_send(&t->side[0], pkt,
				 testnet_udp4(pkt, "10.9.0.1", dst, 1, 2, payload, 100), 0, 0,
				 false, 0, 0);
}

static uint32_t receive(struct testnet *t)
{
	struct testnet_item *i;
	uint32_t n = 0;

	testnet_settle(t);
	while ((i = testnet_app_recv(&t->side[1])) != NULL) {
		n += i->segments;
		free(i);
	}
	return n;
}

static struct mf_ledger ledger(struct testnet *t)
{
	struct mf_ledger l;

	testnet_settle(t);
	assert_true(testnet_balanced(&t->side[0]));
	assert_true(testnet_balanced(&t->side[1]));
	mf_engine_ledger(t->side[0].engine, &l);
	return l;
}

static void open_net(struct testnet *t, const struct testnet_options *o)
{
	testnet_open(t, o);
	send_udp(t, "10.9.0.2", 1);
	assert_int_equal(receive(t), 1);
}

static uint32_t handshakes(struct testnet *t)
{
	struct mf_wg_peer_info info;
	struct mf_iface_info f;

	assert_true(mf_engine_iface(t->side[0].engine, 0, &f));
	mf_wg_peer_info(mf_wg_peer_next(f.device, NULL), t->now, &info);
	return (uint32_t)info.last_handshake.sec;
}

static void test_sessions_stay(void **state)
{
	struct mf_apply_report r;
	uint32_t before;
	struct testnet t;

	(void)state;
	open_net(&t, &one);
	before = handshakes(&t);
	testnet_advance(&t, 10 * MF_SEC);
	for (int i = 0; i < 20; i++) {
		send_udp(&t, "10.9.0.2", 10);
		assert_int_equal(testnet_apply(&t, 0, i % 2 ? &one : &two, &r, NULL), MF_OK);
		assert_int_equal(r.interfaces_changed, 1);
		assert_int_equal(r.peers_changed, i % 2 ? 1 : 1);
		assert_int_equal(r.interfaces_added, i % 2 ? 0 : 1);
		assert_int_equal(r.interfaces_removed, i % 2 && i ? 1 : 0);
		assert_int_equal(receive(&t), 10);
	}
	assert_int_equal(handshakes(&t), before);
	ledger(&t);
	testnet_close(&t);
}

/* The second interface's port cannot be opened: the first still works, nothing is left of the second. */
static void test_failure_changes_nothing(void **state)
{
	const struct mf_snapshot *snap;
	struct mf_iface_info f;
	struct testnet_options o = two;
	struct mf_errbuf eb;
	struct testnet t;

	(void)state;
	open_net(&t, &one);
	snap = mf_engine_snapshot(t.side[0].engine);
	t.side[0].refuse_port = 52000;
	o.mtu = 1300;
	o.tunnel[0] = "10.66.0.1/24";
	for (int i = 0; i < 3; i++) {
		assert_int_equal(testnet_apply(&t, 0, &o, NULL, &eb), MF_E_EXISTS);
		assert_ptr_equal(mf_engine_snapshot(t.side[0].engine), snap);
		assert_int_equal(mf_engine_iface_count(t.side[0].engine), 1);
		assert_true(mf_engine_iface(t.side[0].engine, 0, &f));
		assert_int_equal(f.mtu, 1420);
		send_udp(&t, "10.9.0.2", 10);
		assert_int_equal(receive(&t), 10);
	}
	/* Both at once, and the first of the two has been opened by then. */
	o.port[0] = 51005;
	assert_int_equal(testnet_apply(&t, 0, &o, NULL, &eb), MF_E_EXISTS);
	assert_ptr_equal(mf_engine_snapshot(t.side[0].engine), snap);
	send_udp(&t, "10.9.0.2", 10);
	assert_int_equal(receive(&t), 10);
	assert_true(t.side[0].ports[0].open);
	assert_false(t.side[0].ports[1].open);
	assert_int_equal(t.side[0].released, 2);
	t.side[0].refuse_port = 0;
	assert_int_equal(testnet_apply(&t, 0, &two, NULL, &eb), MF_OK);
	send_udp(&t, "10.9.0.2", 10);
	assert_int_equal(receive(&t), 10);
	ledger(&t);
	testnet_close(&t);
}

static void test_removed_interface_drops_what_is_staged(void **state)
{
	struct testnet t;

	(void)state;
	open_net(&t, &two);
	for (int round = 0; round < 5; round++) {
		send_udp(&t, "10.77.0.9", 5);
		testnet_settle(&t);
		assert_int_equal(ledger(&t).held, 5);
		assert_int_equal(testnet_apply(&t, 0, &one, NULL, NULL), MF_OK);
		assert_int_equal(ledger(&t).held, 0);
		assert_int_equal(ledger(&t).drops[MF_DROP_WG_HANDSHAKE_GAVE_UP], 5 * (round + 1));
		send_udp(&t, "10.77.0.9", 1);
		assert_int_equal(ledger(&t).drops[MF_DROP_NO_ROUTE], round + 1);
		assert_int_equal(testnet_apply(&t, 0, &two, NULL, NULL), MF_OK);
	}
	testnet_close(&t);
}

static void test_removed_peer_drops_what_is_staged(void **state)
{
	struct testnet_options none = one;
	struct testnet t;

	(void)state;
	none.no_peer = true;
	testnet_open(&t, &one);
	t.cut = true;
	send_udp(&t, "10.9.0.2", 7);
	assert_int_equal(ledger(&t).held, 7);
	assert_int_equal(testnet_apply(&t, 0, &none, NULL, NULL), MF_OK);
	assert_int_equal(ledger(&t).drops[MF_DROP_WG_HANDSHAKE_GAVE_UP], 7);
	send_udp(&t, "10.9.0.2", 1);
	assert_int_equal(ledger(&t).drops[MF_DROP_WG_NO_PEER], 1);
	testnet_close(&t);
}

static void test_port_changes(void **state)
{
	struct testnet_options o = one;
	struct testnet t;

	(void)state;
	open_net(&t, &one);
	for (uint16_t port = 53000; port < 53020; port++) {
		o.port[0] = port;
		send_udp(&t, "10.9.0.2", 3);
		assert_int_equal(testnet_apply(&t, 0, &o, NULL, NULL), MF_OK);
		assert_int_equal(receive(&t), 3);
		/* The other side has seen where we are now. */
		assert_int_equal(
			mf_counter_read(&mf_engine_worker(t.side[0].engine, 0)
						 ->graph.ledger.drops[MF_DROP_UDP_UNREACHABLE]),
			0);
	}
	ledger(&t);
	testnet_close(&t);
}

/* The port that a profile leaves open, or that `wg set` chose under such a profile, stays; but not if
 * another interface asks for it. */
static void test_any_port_is_also_the_one_it_has(void **state)
{
	struct testnet_options any = one, both = one;
	struct mf_iface_info f, f1;
	struct testnet t;
	uint16_t port;

	(void)state;
	any.interfaces = WG1("0");
	open_net(&t, &any);
	assert_true(mf_engine_iface(t.side[0].engine, 1, &f));
	port = mf_wg_device_listen_port(f.device);
	assert_true(port != 0);
	assert_int_equal(testnet_apply(&t, 0, &any, NULL, NULL), MF_OK);
	assert_int_equal(mf_wg_device_listen_port(f.device), port);
	assert_int_equal(mf_engine_set_listen_port(t.side[0].engine, f.device, 40000, NULL), MF_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(testnet_apply(&t, 0, &any, NULL, NULL), MF_OK);
		assert_int_equal(mf_wg_device_listen_port(f.device), 40000);
	}
	both.interfaces = WG1("0");
	both.port[0] = 40000;
	assert_int_equal(testnet_apply(&t, 0, &both, NULL, NULL), MF_OK);
	assert_true(mf_engine_iface(t.side[0].engine, 0, &f1));
	assert_int_equal(mf_wg_device_listen_port(f1.device), 40000);
	assert_int_not_equal(mf_wg_device_listen_port(f.device), 40000);
	ledger(&t);
	testnet_close(&t);
}

/* Datagrams that were sealed for one port never leave by another, whatever becomes of its slot. */
static void test_slot_goes_to_another_port(void **state)
{
	struct mf_order o = { .kind = MF_ORDER_SEND };
	struct mf_iface_info f;
	struct mf_worker *w;
	struct testnet t;
	int old = 0;

	(void)state;
	open_net(&t, &two);
	t.side[1].split_gso = true;
	w = mf_engine_worker(t.side[0].engine, 0);
	assert_true(mf_engine_iface(t.side[0].engine, 0, &f));
	o.slot = mf_engine_snapshot(t.side[0].engine)->hop[MF_HOP_ID_FIRST_INTERFACE].udp_slot;
	o.to.remote = (struct mf_endpoint){ .addr = t.side[1].address, .port = t.side[1].port };
	o.len = 100;
	mf_engine_order(t.side[0].engine, 0, &o);
	/* Its slot becomes free, and the next port takes it. */
	assert_int_equal(mf_engine_set_listen_port(t.side[0].engine, f.device, 53001, NULL), MF_OK);
	assert_int_equal(mf_engine_set_listen_port(t.side[0].engine, f.device, 53002, NULL), MF_OK);
	mf_worker_pass(w, t.now);
	for (struct testnet_item *i = t.side[1].udp_in.head; i; i = i->next)
		if (i->len == 100) {
			assert_int_equal(i->from.port, 51000);
			old++;
		}
	assert_int_equal(old, 1);
	send_udp(&t, "10.9.0.2", 3);
	mf_worker_pass(w, t.now);
	for (struct testnet_item *i = t.side[1].udp_in.head; i; i = i->next)
		if (i->len != 100)
			assert_int_equal(i->from.port, 53002);
	testnet_settle(&t);
	ledger(&t);
	testnet_close(&t);
}

static void test_shared_port_has_one_mark(void **state)
{
	struct mf_iface_info f0, f1;
	struct mf_engine *e;
	struct testnet t;

	(void)state;
	open_net(&t, &two);
	e = t.side[0].engine;
	assert_true(mf_engine_iface(e, 0, &f0));
	assert_true(mf_engine_iface(e, 1, &f1));
	mf_engine_set_fwmark(e, f1.device, 7);
	assert_int_equal(t.side[0].ports[1].mark, 7);
	assert_int_equal(mf_engine_set_listen_port(e, f1.device, 51000, NULL), MF_E_CONFLICT);
	assert_true(mf_engine_iface(e, 1, &f1));
	assert_int_equal(f1.listen_port, 52000);
	mf_engine_set_fwmark(e, f1.device, 0);
	assert_int_equal(mf_engine_set_listen_port(e, f1.device, 51000, NULL), MF_OK);
	testnet_settle(&t);
	assert_false(t.side[0].ports[1].open);
	send_udp(&t, "10.9.0.2", 3);
	assert_int_equal(receive(&t), 3);
	/* One of the two leaves: the other keeps it. */
	assert_int_equal(testnet_apply(&t, 0, &one, NULL, NULL), MF_OK);
	testnet_settle(&t);
	assert_true(t.side[0].ports[0].open);
	send_udp(&t, "10.9.0.2", 3);
	assert_int_equal(receive(&t), 3);
	ledger(&t);
	testnet_close(&t);
}

static void test_fewer_may_be_staged(void **state)
{
	struct testnet_options o = one;
	struct testnet t;

	(void)state;
	testnet_open(&t, &one);
	t.cut = true;
	send_udp(&t, "10.9.0.2", 100);
	assert_int_equal(ledger(&t).held, 100);
	o.limits = "{ staged_packets: 10 }";
	assert_int_equal(testnet_apply(&t, 0, &o, NULL, NULL), MF_OK);
	send_udp(&t, "10.9.0.2", 1);
	assert_int_equal(ledger(&t).held, 10);
	t.cut = false;
	testnet_advance(&t, 10 * MF_SEC);
	assert_int_equal(receive(&t), 10);
	ledger(&t);
	testnet_close(&t);
}

/* While packets are staged the limit goes down and the session comes up. */
static void test_flush_with_a_lower_limit(void **state)
{
	struct mf_order o = { .kind = MF_ORDER_FLUSH_STAGED };
	struct testnet_options fewer = one;
	struct mf_iface_info f;
	struct testnet t;

	(void)state;
	testnet_open(&t, &one);
	t.cut = true;
	send_udp(&t, "10.9.0.2", 128);
	assert_int_equal(ledger(&t).held, 128);
	fewer.limits = "{ staged_packets: 3 }";
	assert_int_equal(testnet_apply(&t, 0, &fewer, NULL, NULL), MF_OK);
	assert_true(mf_engine_iface(t.side[0].engine, 0, &f));
	o.peer = mf_wg_peer_next(f.device, NULL);
	/* Without a session all of them are staged again. */
	mf_engine_order(t.side[0].engine, 0, &o);
	assert_int_equal(ledger(&t).held, 3);
	testnet_close(&t);
}

/* ---- A worker with a thread of its own -------------------------------------------------------- */

static struct {
	struct mf_worker *w;
	struct mf_tun_port tun;
	mf_nsec now;
	pthread_t thread;
	pthread_mutex_t lock; /* of what apps have sent */
	sem_t reads, may_read;
	uint32_t stop; /* atomic */
} own = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The pass has begun: what it knows of routes, it knows. */
static size_t read_when_told(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **pkts, size_t max,
			     size_t max_bytes)
{
	size_t n;

	(void)sem_post(&own.reads);
	(void)sem_wait(&own.may_read);
	pthread_mutex_lock(&own.lock);
	n = own.tun.recv(ctx, pool, pkts, max, max_bytes);
	pthread_mutex_unlock(&own.lock);
	return n;
}

static bool let_it_read(void *ctx, unsigned index)
{
	(void)ctx;
	(void)index;
	(void)sem_post(&own.may_read);
	usleep(50);
	return true;
}

static void *run_passes(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&own.stop, __ATOMIC_ACQUIRE))
		(void)mf_worker_pass(own.w, own.now);
	return NULL;
}

static void start_thread(struct testnet *t)
{
	struct mf_engine *e = t->side[0].engine;
	struct mf_tun_port tun;

	own.w = mf_engine_worker(e, 0);
	own.now = t->now;
	own.tun = tun = own.w->tun;
	own.stop = 0;
	tun.recv = read_when_told;
	mf_worker_set_tun(own.w, &tun);
	assert_int_equal(sem_init(&own.reads, 0, 0), 0);
	assert_int_equal(sem_init(&own.may_read, 0, 0), 0);
	e->host.wait_worker = let_it_read;
	assert_int_equal(pthread_create(&own.thread, NULL, run_passes, NULL), 0);
}

static void join_thread(struct testnet *t)
{
	__atomic_store_n(&own.stop, 1, __ATOMIC_RELEASE);
	(void)sem_post(&own.may_read);
	pthread_join(own.thread, NULL);
	t->side[0].engine->host.wait_worker = NULL;
	mf_worker_set_tun(own.w, &own.tun);
	(void)sem_destroy(&own.reads);
	(void)sem_destroy(&own.may_read);
}

/* The worker stands in the middle of a pass, about to read what apps send, when a profile comes. Packets that are sent
 * once that is in force go by it all the same. */
static void test_in_force_when_it_says_so(void **state)
{
	struct testnet_options none = one;
	struct testnet t;

	(void)state;
	none.routes = "    - { cidr: 10.9.0.0/16, to: drop }\n";
	open_net(&t, &one);
	for (int i = 1; i <= 5; i++) {
		start_thread(&t);
		(void)sem_wait(&own.reads);
		assert_int_equal(testnet_apply(&t, 0, &none, NULL, NULL), MF_OK);
		pthread_mutex_lock(&own.lock);
		send_udp(&t, "10.9.0.2", 7);
		pthread_mutex_unlock(&own.lock);
		join_thread(&t);
		assert_int_equal(receive(&t), 0);
		assert_int_equal(ledger(&t).drops[MF_DROP_POLICY_DROP], 7 * i);
		assert_int_equal(testnet_apply(&t, 0, &one, NULL, NULL), MF_OK);
		send_udp(&t, "10.9.0.2", 1);
		assert_int_equal(receive(&t), 1);
	}
	testnet_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions_stay),
		cmocka_unit_test(test_failure_changes_nothing),
		cmocka_unit_test(test_removed_interface_drops_what_is_staged),
		cmocka_unit_test(test_removed_peer_drops_what_is_staged),
		cmocka_unit_test(test_port_changes),
		cmocka_unit_test(test_any_port_is_also_the_one_it_has),
		cmocka_unit_test(test_slot_goes_to_another_port),
		cmocka_unit_test(test_shared_port_has_one_mark),
		cmocka_unit_test(test_fewer_may_be_staged),
		cmocka_unit_test(test_flush_with_a_lower_limit),
		cmocka_unit_test(test_in_force_when_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
