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

/* ---- Sessions -------------------------------------------------------------------------------------- */

/* A far side that is always ready: takes everything, has zeros to read for ever. */
static uint64_t far_got, far_gave;

static mf_err far_open(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	(void)to;
	s->impl = o;
	mf_stream_notify(s, MF_STREAM_OPENED | MF_STREAM_READABLE | MF_STREAM_WRITABLE);
	return MF_OK;
}

static size_t far_write(struct mf_stream *s, const struct mf_span *v, size_t n)
{
	size_t bytes = 0;

	(void)s;
	for (size_t i = 0; i < n; i++)
		bytes += v[i].n;
	far_got += bytes;
	return bytes;
}

static ptrdiff_t far_read(struct mf_stream *s, const struct mf_room *v, size_t n)
{
	size_t bytes = 0;

	(void)s;
	for (size_t i = 0; i < n; i++) {
		memset(v[i].p, 0, v[i].n);
		bytes += v[i].n;
	}
	far_gave += bytes;
	return (ptrdiff_t)bytes;
}

static void far_shutdown(struct mf_stream *s)
{
	(void)s;
}

static void far_close(struct mf_stream *s, bool reset)
{
	(void)reset;
	s->impl = NULL;
}

static void far_info(const struct mf_stream *s, struct mf_stream_info *out)
{
	(void)s;
	*out = (struct mf_stream_info){ 0 };
}

static mf_err far_dgram_open(struct mf_outbound *o, struct mf_dgram *d, const struct mf_target *to)
{
	(void)to;
	d->impl = o;
	return MF_OK;
}

static void far_dgram_send(struct mf_dgram *d, struct mf_pkt **pkts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pkts[i]->drop = MF_DROP_NONE;
	mf_dgram_notify(d, MF_STREAM_READABLE);
}

/* Answers come in as many as there is room for, in batches. */
static size_t far_dgram_recv(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out,
			     size_t max)
{
	static unsigned turn;
	struct mf_pkt *p = turn++ % 2 && max ? mf_pkt_large(pool) : NULL;

	(void)d;
	if (!p)
		return 0;
	p->len = 4000;
	memset(p->data, 0, p->len);
	p->gso_type = MF_GSO_UDP;
	p->gso_size = 1000;
	p->segments = 4;
	p->remote = (struct mf_endpoint){ .addr = mf_addr_ip4((uint8_t[]){ 203, 0, 113, 9 }),
					  .port = 5000 };
	out[0] = p;
	far_gave += p->len;
	return 1;
}

static bool far_dgram_error(struct mf_dgram *d, struct mf_dgram_error *e)
{
	(void)d;
	(void)e;
	return false;
}

static void far_dgram_close(struct mf_dgram *d)
{
	d->impl = NULL;
}

static const struct mf_outbound_ops far_ops = {
	.name = "far",
	.stream_open = far_open,
	.stream_write = far_write,
	.stream_read = far_read,
	.stream_shutdown = far_shutdown,
	.stream_close = far_close,
	.stream_info = far_info,
	.dgram_open = far_dgram_open,
	.dgram_send = far_dgram_send,
	.dgram_recv = far_dgram_recv,
	.dgram_error = far_dgram_error,
	.dgram_close = far_dgram_close,
};

/* What the TUN is given: where the server of the connection from this port is in its sequence numbers. */
static uint32_t server_next;
static uint16_t client;

static void tun_sink(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **pkts, size_t n)
{
	(void)ctx;
	(void)pool;
	for (size_t i = 0; i < n; i++) {
		struct mf_pkt *p = pkts[i];
		const uint8_t *t = p->data + 20;

		p->drop = MF_DROP_NONE;
		if (p->data[9] == 6 && mf_load_be16(t + 2) == client)
			server_next = mf_load_be32(t + 4) + mf_pkt_len(p) - 20 -
				      (uint32_t)(t[12] >> 4) * 4 + (t[13] & 2 ? 1 : 0);
	}
}

static void put(struct testnet *t, uint32_t n, const uint8_t *bytes)
{
	struct mf_worker *w = mf_engine_worker(t->side[0].engine, 0);
	struct mf_pkt *p = mf_pkt_small(w->pool);

	assert_non_null(p);
	memcpy(p->data, bytes, n);
	p->len = n;
	mf_count(&w->graph.ledger.created, 1);
	mf_graph_put(&w->graph, mf_graph_find(&w->graph, "ip-input"), p);
	/* A far side that answers at once is heard in the next pass. */
	pass(t, 0);
	pass(t, 0);
}

/* From the first SYN on: connections that are opened, used and closed, datagrams both ways. */
static void test_sessions_do_not_allocate(void **state)
{
	struct mf_outbound far = { .ops = &far_ops };
	struct mf_tun_port port = { .send = tun_sink };
	uint8_t bytes[1500], payload[1000] = { 0 };
	struct testnet t;

	(void)state;
	testnet_open(&t, &(struct testnet_options){
				 .seed = 3, .routes = "    - { cidr: 0.0.0.0/0, to: direct }\n" });
	mf_worker_set_tun(mf_engine_worker(t.side[0].engine, 0), &port);
	mf_worker_set_direct(mf_engine_worker(t.side[0].engine, 0), &far);
	calls = 0;
	for (uint16_t k = 0; k < 50; k++) {
		uint32_t seq = 1000;
		const char *me = "10.9.0.1", *he = "203.0.113.9";

		client = (uint16_t)(2000 + k);
		put(&t, testnet_tcp4(bytes, me, he, client, 80, seq++, 0, 2, payload, 0), bytes);
		for (int i = 0; i < 30; i++, seq += 1000) {
			t.now += MF_MSEC;
			put(&t,
			    testnet_tcp4(bytes, me, he, client, 80, seq, server_next, 0x18, payload,
					 1000),
			    bytes);
			put(&t, testnet_udp4(bytes, me, he, client, 5000, payload, 1000), bytes);
		}
		put(&t,
		    testnet_tcp4(bytes, me, he, client, 80, seq, server_next, k % 2 ? 0x11 : 4,
				 payload, 0),
		    bytes);
	}
	assert_int_equal(calls, 0);
	assert_int_equal(far_got, 50 * 30 * 1000);
	assert_true(far_gave > 1000000);
	assert_true(testnet_balanced(&t.side[0]));
	testnet_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_counts),
		cmocka_unit_test(test_passes_do_not_allocate),
		cmocka_unit_test(test_opening_does_not_allocate),
		cmocka_unit_test(test_sessions_do_not_allocate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
