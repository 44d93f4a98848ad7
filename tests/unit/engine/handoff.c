/* SPDX-License-Identifier: Apache-2.0
 *
 * Two workers, one session: packets of it that come in on the wrong worker's queue reach the right one, on
 * one thread step by step and (for TSan) on two at once.
 */
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/endian.h"
#include "fakedgram.h"
#include "support/testnet.h"

enum { WORKERS = 2, LOANS = 256, FLOWS = 64, PACKETS = 320 * FLOWS, BATCH = 16 };

/* The queue of one worker: what it reads is made up, what it writes is counted. */
struct queue {
	struct mf_worker *w;
	struct fakedgrams out;
	uint64_t left;  /* packets to read yet, of FLOWS mappings in turn */
	unsigned first; /* where it begins with them */
	uint64_t delivered;
	uint32_t len;
	pthread_t thread;
};

static struct testnet net;
static pthread_barrier_t both;
static struct queue queue[WORKERS];
static uint8_t payload[60000];

static uint32_t make(uint8_t *out, unsigned flow, uint32_t n)
{
	return testnet_udp4(out, "10.9.0.1", "203.0.113.9", (uint16_t)(1000 + flow), 5000, payload,
			    n);
}

static size_t recv_some(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max,
			size_t bytes)
{
	struct queue *q = ctx;
	size_t n = 0;

	(void)bytes;
	for (; n < max && n < BATCH && q->left; n++, q->left--) {
		struct mf_pkt *p = q->len <= 1400 ? mf_pkt_small(pool) : mf_pkt_large(pool);

		if (!p)
			break;
		p->len = make(p->data, (unsigned)((q->left + q->first) % FLOWS), q->len);
		out[n] = p;
	}
	return n;
}

static void send_none(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **pkts, size_t n)
{
	struct queue *q = ctx;

	(void)pool;
	for (size_t i = 0; i < n; i++)
		pkts[i]->drop = MF_DROP_NONE;
	q->delivered += n;
}

static int open_net(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + i / 251);
	testnet_open(&net, &(struct testnet_options){
				   .seed = 1,
				   .n_workers = WORKERS,
				   .routes = "    - { cidr: 0.0.0.0/0, to: direct }\n",
			   });
	for (unsigned i = 0; i < WORKERS; i++) {
		struct queue *q = &queue[i];
		struct mf_tun_port port = { .ctx = q, .recv = recv_some, .send = send_none };

		*q = (struct queue){ .w = mf_engine_worker(net.side[0].engine, i),
				     .len = 100,
				     .first = i * FLOWS / WORKERS };
		fakedgrams_init(&q->out);
		mf_worker_set_tun(q->w, &port);
		mf_worker_set_direct(q->w, &q->out.out);
	}
	return 0;
}

static int close_net(void **state)
{
	(void)state;
	assert_true(testnet_balanced(&net.side[0]));
	testnet_close(&net);
	for (unsigned i = 0; i < WORKERS; i++)
		fakedgrams_fini(&queue[i].out);
	return 0;
}

static void pass(unsigned worker)
{
	while (mf_worker_pass(queue[worker].w, net.now))
		;
}

static struct mf_ledger ledger(void)
{
	struct mf_ledger l;

	assert_true(testnet_balanced(&net.side[0]));
	mf_engine_ledger(net.side[0].engine, &l);
	return l;
}

static uint64_t handed_over(void)
{
	struct mf_host_counters c;
	struct mf_tcp_counters tcp;

	mf_engine_host_counters(net.side[0].engine, &c, &tcp);
	return c.handed_over;
}

static uint64_t sent(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		for (const struct fake_dgram *d = queue[i].out.last; d; d = d->next)
			n += d->n_sent;
	return n;
}

/* All mappings belong to worker 0 then. */
static void let_0_open_all(void)
{
	queue[0].left = FLOWS;
	pass(0);
	assert_int_equal(queue[0].out.n_opened, FLOWS);
}

static void test_to_the_owner(void **state)
{
	uint32_t small = mf_pkt_pool_free_small(queue[1].w->pool);

	(void)state;
	let_0_open_all();
	queue[1].left = 3 * FLOWS;
	pass(1);
	assert_int_equal(ledger().held, 3 * FLOWS);
	assert_int_equal(queue[1].out.n_opened, 0);
	/* The one has something to take, the other something to get back. */
	pass(0);
	pass(1);
	assert_int_equal(mf_pkt_pool_free_small(queue[1].w->pool), small);
	assert_int_equal(ledger().held, 0);
	assert_int_equal(ledger().ended[MF_DROPPED], 0);
	assert_int_equal(handed_over(), 3 * FLOWS);
	assert_int_equal(sent(), 4 * FLOWS);
	assert_int_equal(queue[0].out.n_opened, FLOWS);
}

/* Routes change: what runs stays where it is, whichever worker its packets come in on. */
static void test_strays(void **state)
{
	struct testnet_options o = {
		.seed = 1,
		.n_workers = WORKERS,
		.routes = "    - { cidr: 0.0.0.0/0, to: drop }\n",
	};

	(void)state;
	let_0_open_all();
	assert_int_equal(testnet_apply(&net, 0, &o, NULL, NULL), MF_OK);
	pass(0);
	queue[1].left = FLOWS;
	pass(1);
	pass(0);
	pass(1);
	assert_int_equal(ledger().ended[MF_DROPPED], 0);
	assert_int_equal(sent(), 2 * FLOWS);
	assert_int_equal(queue[1].out.n_opened, 0);
}

/* Large ones are copied into large ones. */
static void test_large_ones(void **state)
{
	uint32_t large = mf_pkt_pool_free_large(queue[1].w->pool), n = 0;

	(void)state;
	let_0_open_all();
	queue[1].left = 4;
	queue[1].len = 5000;
	pass(1);
	pass(0);
	pass(1);
	assert_int_equal(sent(), FLOWS + 4);
	for (const struct fake_dgram *d = queue[0].out.last; d; d = d->next)
		for (size_t i = 1; i < d->n_sent; i++, n++) {
			assert_int_equal(d->sent[i].n, 5000);
			assert_memory_equal(d->sent[i].bytes, payload, 5000);
		}
	assert_int_equal(n, 4);
	assert_int_equal(mf_pkt_pool_free_large(queue[1].w->pool), large);
}

/* The owner does not run: as many as fit wait, the rest is dropped by name, and nothing is lost of either. */
static void test_full(void **state)
{
	uint32_t small = mf_pkt_pool_free_small(queue[1].w->pool);

	(void)state;
	let_0_open_all();
	queue[1].left = LOANS + 50;
	pass(1);
	assert_int_equal(ledger().drops[MF_DROP_HANDOFF_FULL], 50);
	assert_int_equal(ledger().held, LOANS);
	pass(0);
	queue[1].left = 10;
	pass(1);
	pass(0);
	pass(1);
	assert_int_equal(ledger().drops[MF_DROP_HANDOFF_FULL], 50);
	assert_int_equal(ledger().held, 0);
	assert_int_equal(sent(), FLOWS + LOANS + 10);
	assert_int_equal(mf_pkt_pool_free_small(queue[1].w->pool), small);
}

/* Who has something to take does not go to sleep; who has lent something may. */
static void test_sleep(void **state)
{
	mf_nsec deadline;

	(void)state;
	let_0_open_all();
	queue[1].left = 1;
	pass(1);
	assert_true(mf_worker_sleep(queue[1].w, &deadline));
	assert_false(mf_worker_sleep(queue[0].w, &deadline));
	pass(0);
	assert_true(mf_worker_sleep(queue[0].w, &deadline));
	mf_worker_wake(queue[0].w);
	mf_worker_wake(queue[1].w);
	assert_int_equal(sent(), FLOWS + 1);
}

/* The engine ends while packets are with the other worker: close_net finds every pool full. */
static void test_the_end(void **state)
{
	(void)state;
	let_0_open_all();
	queue[1].left = 20;
	pass(1);
	assert_int_equal(ledger().held, 20);
}

static void *run(void *arg)
{
	struct queue *q = arg;
	mf_nsec deadline;

	pthread_barrier_wait(&both);
	for (int idle = 0; idle < 1000;) {
		if (mf_worker_pass(q->w, net.now)) {
			idle = 0;
			continue;
		}
		idle += !q->left;
		if (mf_worker_sleep(q->w, &deadline))
			mf_worker_wake(q->w);
		sched_yield();
	}
	return NULL;
}

/* Both read packets of the same mappings: whoever is first has them. */
static void test_threads(void **state)
{
	struct mf_ledger l;

	(void)state;
	pthread_barrier_init(&both, NULL, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++)
		queue[i].left = PACKETS;
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&queue[i].thread, NULL, run, &queue[i]), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(queue[i].thread, NULL);
	pthread_barrier_destroy(&both);
	for (int round = 0; round < 3; round++)
		for (unsigned i = 0; i < WORKERS; i++)
			pass(i);
	l = ledger();
	assert_int_equal(l.received_tun, WORKERS * PACKETS);
	assert_int_equal(l.held, 0);
	assert_int_equal(queue[0].out.n_opened + queue[1].out.n_opened, FLOWS);
	assert_int_equal(sent() + l.drops[MF_DROP_HANDOFF_FULL] + l.drops[MF_DROP_BUFFERS],
			 WORKERS * PACKETS);
	assert_int_equal(l.ended[MF_DROPPED],
			 l.drops[MF_DROP_HANDOFF_FULL] + l.drops[MF_DROP_BUFFERS]);
	/* Of each mapping both have read the same number. */
	assert_int_equal(handed_over(), PACKETS);
	print_message("mappings: %u on one worker, %u on the other\n", queue[0].out.n_opened,
		      queue[1].out.n_opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_to_the_owner, open_net, close_net),
		cmocka_unit_test_setup_teardown(test_strays, open_net, close_net),
		cmocka_unit_test_setup_teardown(test_large_ones, open_net, close_net),
		cmocka_unit_test_setup_teardown(test_full, open_net, close_net),
		cmocka_unit_test_setup_teardown(test_sleep, open_net, close_net),
		cmocka_unit_test_setup_teardown(test_the_end, open_net, close_net),
		cmocka_unit_test_setup_teardown(test_threads, open_net, close_net),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
