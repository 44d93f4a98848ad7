/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything that the control thread may change while workers forward, changed all the time: routes,
 * interfaces, peers and their prefixes, ports, endpoints, traces. For TSan and ASan; and the books must
 * balance in the end.
 */
#include "unit.h"

#include <pthread.h>

#include "nodes/pg.h"
#include "proto/wg/messages.h"
#include "support/testnet.h"

/* The last worker has no packets of its own: it helps the others, and sleeps. */
enum { WORKERS = 3, ROUNDS = 150 };

#define WG1                                                                              \
	"  - name: wg1\n    type: wireguard\n"                                           \
	"    private_key: GGYP3FNnWEuTbRFzwyS8Pdbq7l6MHmDAPD1bYAYkyG0=\n"                \
	"    address: 10.77.0.1/24\n    listen_port: 52000\n"                            \
	"    peers:\n      - public_key: w4vmA11VEWpcxHYUDsHYFhJfWRxnwFzRYBe9w2jtfH0=\n" \
	"        endpoint: 203.0.113.9:9\n        allowed_ips: [10.20.0.0/16, \"::/0\"]\n"

static const struct testnet_options profiles[] = {
	{ .routes = "    - { cidr: 10.0.0.0/8, to: wg0 }\n    - { cidr: \"::/0\", to: wg0 }\n" },
	{ .routes = "    - { cidr: 10.9.0.0/16, to: wg0 }\n    - { cidr: 10.20.0.0/16, to: wg1 }\n"
		    "    - { cidr: 10.30.0.0/16, to: reject }\n    - { cidr: \"::/0\", to: wg1 }\n",
	  .interfaces = WG1 },
	{ .routes =
		  "    - { cidr: 10.9.0.0/16, to: wg0 }\n    - { cidr: 10.20.0.0/16, to: drop }\n",
	  .port = { 53000 },
	  .mtu = 1300,
	  .tunnel = { "10.66.0.1/24" } },
};

static struct testnet net;
static uint32_t stop;

/* ---- Workers ----------------------------------------------------------------------------------- */

static void *work(void *arg)
{
	struct mf_worker *w = arg;
	mf_nsec deadline;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		if (!mf_worker_pass(w, 1000 * MF_SEC) && mf_worker_sleep(w, &deadline)) {
			sched_yield();
			mf_worker_wake(w);
		}
	return NULL;
}

/* One generator for each worker: packets of all kinds to ip-input, or messages of no session to wg-input. */
struct generator {
	struct mf_pg pg;
	struct mf_prng prng;
	uint8_t bytes[4][1400];
	struct mf_pg_template template[4];
};

static void vary(void *ctx, struct mf_pkt *p, uint64_t seq)
{
	static const uint8_t second[] = { 9, 20, 30, 40 };
	struct generator *g = ctx;
	uint32_t dst = (uint32_t)mf_prng_below(&g->prng, 4), sum;

	(void)seq;
	if (p->data[0] >> 4 != 4)
		return;
	/* 10.9.x.x becomes 10.SECOND.x.x; the IP checksum follows, the UDP one need not. */
	sum = (uint32_t)mf_load_be16(p->data + 10) + (9u | 10u << 8) + 0xffff -
	      (second[dst] | 10u << 8);
	p->data[17] = second[dst];
	sum = (sum & 0xffff) + (sum >> 16);
	mf_store_be16(p->data + 10, (uint16_t)((sum & 0xffff) + (sum >> 16)));
}

static void make_generator(struct generator *g, struct mf_worker *w, uint64_t seed)
{
	static const uint8_t payload[1300];
	uint32_t len[4];

	*g = (struct generator){ .prng = { .state = seed } };
	len[0] = testnet_udp4(g->bytes[0], "10.9.0.1", "10.9.0.2", 1, 2, payload, 1300);
	len[1] = testnet_udp4(g->bytes[1], "10.9.0.1", "10.9.0.2", 1, 2, payload, 10);
	len[2] = testnet_udp6(g->bytes[2], "fd09::1", "fd09::2", 1, 2, payload, 500);
	len[3] = testnet_tcp4(g->bytes[3], "10.9.0.1", "10.9.0.2", 1, 2, 3, 4, 2, NULL, 0);
	for (int i = 0; i < 4; i++)
		g->template[i] = (struct mf_pg_template){ .bytes = g->bytes[i], .len = len[i] };
	g->pg = (struct mf_pg){
		.to = mf_graph_find(&w->graph, "ip-input"),
		.templates = g->template,
		.n_templates = 4,
		.count = UINT64_MAX,
		.per_pass = 64,
		.edit = vary,
		.ctx = g,
	};
}

/* ---- Control ----------------------------------------------------------------------------------- */

/* Peers that come, take prefixes, and go. */
static void churn_peers(uint32_t round)
{
	struct mf_wg_allowed a[2] = {
		{ .prefix = { .addr = mf_addr_ip4((uint8_t[]){ 10, 30, (uint8_t)round, 0 }),
			      .len = 24 } },
		{ .prefix = { .addr = mf_addr_ip4((uint8_t[]){ 10, 9, 0, 0 }), .len = 25 },
		  .remove = round & 1 },
	};
	struct mf_wg_peer_config c = {
		.set = MF_WG_SET_ENDPOINT,
		.endpoint = { .addr = mf_addr_ip4((uint8_t[]){ 203, 0, 113, (uint8_t)round }),
			      .port = 9 },
		.allowed = a,
		.n_allowed = 2,
	};
	struct mf_wg_peer *p;
	struct mf_iface_info f;

	assert_true(mf_engine_iface(net.side[0].engine, 0, &f));
	c.public_key.b[0] = (uint8_t)(9 + round % 4);
	p = mf_wg_peer_find(f.device, &c.public_key);
	if (p && round % 3 == 0)
		mf_wg_peer_remove(p, net.now);
	else
		assert_int_equal(mf_engine_peer_set(net.side[0].engine, f.device, &c, net.now, NULL),
				 MF_OK);
}

struct watch {
	struct mf_trace *traces[MF_WORKERS_MAX];
	bool busy;
};

static void freed(void *obj)
{
	struct watch *watch = obj;

	for (unsigned i = 0; i < WORKERS; i++)
		mf_trace_free(watch->traces[i]);
	watch->busy = false;
}

static void churn_traces(struct watch *watch, uint32_t round)
{
	struct mf_trace_filter filter = { .node = UINT32_MAX };
	struct mf_engine *e = net.side[0].engine;
	uint32_t slot;

	if (mf_engine_tracing(e)) {
		for (unsigned i = 0; i < WORKERS; i++)
			while (mf_trace_take(watch->traces[i], &slot))
				mf_trace_release(watch->traces[i], slot);
		if (round % 4 == 0)
			mf_engine_untrace(e, freed, watch);
	} else if (!watch->busy) {
		watch->busy = true;
		assert_int_equal(mf_engine_trace(e, &filter, 64, 64, watch->traces), MF_OK);
	}
}

static int open_ports(void)
{
	int n = 0;

	for (int i = 0; i < TESTNET_PORTS; i++)
		n += net.side[0].ports[i].open;
	return n;
}

/* Long enough that ports which were given up are closed: testnet has few. */
static void control_for_a_while(void)
{
	for (int i = 0; i < 20 || open_ports() > TESTNET_PORTS - 3; i++) {
		mf_engine_control(net.side[0].engine, net.now);
		sched_yield();
	}
}

static void test_everything_changes(void **state)
{
	static struct generator generator[WORKERS];
	struct mf_prng prng = unit_prng("swap");
	struct watch watch = { 0 };
	pthread_t thread[WORKERS];
	uint8_t pkt[100];
	struct mf_ledger l;

	(void)state;
	testnet_open(&net, &(struct testnet_options){ .seed = prng.state, .n_workers = WORKERS });
	testnet_app_send(&net.side[0], pkt, testnet_udp4(pkt, "10.9.0.1", "10.9.0.2", 1, 2, "x", 1),
			 0, 0, false, 0, 0);
	testnet_settle(&net);
	free(testnet_app_recv(&net.side[1]));
	net.swallow = true;
	for (unsigned i = 0; i < WORKERS; i++) {
		struct mf_worker *w = mf_engine_worker(net.side[0].engine, i);

		w->tun.send = NULL; /* testnet's queues are not for threads */
		w->tun.recv = NULL;
		make_generator(&generator[i], w, mf_prng_u64(&prng));
		if (i < WORKERS - 1)
			w->pg = &generator[i].pg;
		assert_int_equal(pthread_create(&thread[i], NULL, work, w), 0);
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		assert_int_equal(testnet_apply(&net, 0,
					       &profiles[mf_prng_below(&prng, MF_ARRAY_LEN(profiles))],
					       NULL, NULL),
				 MF_OK);
		control_for_a_while();
		churn_peers(round);
		churn_traces(&watch, round);
		control_for_a_while();
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	if (mf_engine_tracing(net.side[0].engine))
		mf_engine_untrace(net.side[0].engine, freed, &watch);
	for (unsigned i = 0; i < WORKERS; i++)
		mf_engine_worker(net.side[0].engine, i)->pg = NULL;
	testnet_settle(&net);
	assert_false(watch.busy);
	assert_true(testnet_balanced(&net.side[0]));
	mf_engine_ledger(net.side[0].engine, &l);
	assert_true(l.ended[MF_SENT] > 0);
	assert_true(l.drops[MF_DROP_POLICY_DROP] + l.drops[MF_DROP_POLICY_REJECT] +
			    l.drops[MF_DROP_NO_ROUTE] >
		    0);
	print_message("%llu packets sent\n", (unsigned long long)l.ended[MF_SENT]);
	testnet_close(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_everything_changes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
