/* SPDX-License-Identifier: Apache-2.0
 *
 * No malloc on the packet path: the allocator is replaced by one that counts, and packets of every kind go
 * through two engines without its being called by a worker's pass.
 */
#include "unit.h"

#include "support/testnet.h"

static volatile bool watching; /* the compiler thinks it knows what malloc does */
static volatile uint64_t calls;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	calls = calls + watching;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	calls = calls + watching;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	calls = calls + watching;
	return __libc_realloc(p, n);
}

/* The queues of testnet allocate, so packets are put into the graph, and sockets swallow. */
static void pass(struct testnet *t, int side)
{
	watching = true;
	mf_worker_pass(mf_engine_worker(t->side[side].engine, 0), t->now);
	watching = false;
}

static void inject(struct testnet *t, const char *dst, uint32_t n)
{
	struct mf_worker *w = mf_engine_worker(t->side[0].engine, 0);
	uint8_t payload[1400] = { 0 };

	for (int i = 0; i < 100; i++) {
		struct mf_pkt *p = mf_pkt_small(w->pool);

		assert_non_null(p);
		p->len = testnet_udp4(p->data, "10.9.0.1", dst, 1000, 2000, payload, n);
		mf_count(&w->graph.ledger.created, 1);
		mf_graph_put(&w->graph, mf_graph_find(&w->graph, "ip-input"), p);
	}
}

static void test_it_counts(void **state)
{
	void *volatile p;

	(void)state;
	calls = 0;
	watching = true;
	p = malloc(1);
	watching = false;
	free(p);
	assert_int_equal(calls, 1);
}

static void test_passes_do_not_allocate(void **state)
{
	static const char *const to[] = { "10.9.0.2", "10.20.0.1", "10.30.0.1", "127.0.0.1",
					  "224.0.0.1" };
	struct testnet t;
	struct mf_ledger l;

	(void)state;
	testnet_open(&t, &(struct testnet_options){
				 .seed = 1,
				 .routes = "    - { cidr: 10.9.0.0/24, to: wg0 }\n"
					   "    - { cidr: 10.20.0.0/16, to: drop }\n"
					   "    - { cidr: 10.30.0.0/16, to: reject }\n" });
	inject(&t, "10.9.0.2", 10);
	testnet_settle(&t);
	t.swallow = true;
	calls = 0;
	for (int round = 0; round < 100; round++)
		for (size_t i = 0; i < MF_ARRAY_LEN(to); i++) {
			inject(&t, to[i], (uint32_t)(round * 13 % 1390));
			pass(&t, 0);
		}
	assert_int_equal(calls, 0);
	mf_engine_ledger(t.side[0].engine, &l);
	assert_true(l.ended[MF_SENT] >= 10000);
	assert_true(testnet_balanced(&t.side[0]));
	testnet_close(&t);
}

/* Receiving: datagrams are captured from a first run and put into wg-input. */
static void test_opening_does_not_allocate(void **state)
{
	struct testnet t;
	struct mf_worker *w;
	uint64_t before;
	struct mf_ledger l;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 2 });
	inject(&t, "10.9.0.2", 1000);
	testnet_settle(&t);
	w = mf_engine_worker(t.side[1].engine, 0);
	w->tun.send = NULL; /* testnet's allocates; packets end as drops instead */
	mf_engine_ledger(t.side[1].engine, &l);
	before = l.drops[MF_DROP_TUN_SEND];
	calls = 0;
	for (int round = 0; round < 50; round++) {
		inject(&t, "10.9.0.2", 1000);
		mf_worker_pass(mf_engine_worker(t.side[0].engine, 0), t.now);
		while (t.side[1].udp_in.n) {
			struct testnet_item *i = t.side[1].udp_in.head;
			struct mf_pkt *p = mf_pkt_large(w->pool);

			memcpy(p->data, i->bytes, i->len);
			p->len = i->len;
			p->gso_type = i->gso_type;
			p->gso_size = i->gso_size;
			p->segments = i->segments;
			p->remote = i->from;
			mf_count(&w->graph.ledger.received_udp, mf_pkt_wire_count(p));
			t.side[1].udp_in.head = i->next;
			t.side[1].udp_in.n--;
			free(i);
			mf_graph_put(&w->graph, w->wg_input, p);
		}
		t.side[1].udp_in.tail = &t.side[1].udp_in.head;
		pass(&t, 1);
	}
	assert_int_equal(calls, 0);
	mf_engine_ledger(t.side[1].engine, &l);
	assert_int_equal(l.drops[MF_DROP_TUN_SEND] - before, 5000);
	assert_true(testnet_balanced(&t.side[1]));
	testnet_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_counts),
		cmocka_unit_test(test_passes_do_not_allocate),
		cmocka_unit_test(test_opening_does_not_allocate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
