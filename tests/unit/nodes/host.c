/* SPDX-License-Identifier: Apache-2.0
 *
 * The nodes around the host stack: what goes to which of them, what comes out, and what the books and a
 * trace say of it.
 */
#include "unit.h"

#include <stdlib.h>

#include "fakedgram.h"
#include "fakeout.h"
#include "support/netapps.h"
#include "wire/csum.h"
#include "wire/fragment.h"

enum { SYN = 2, ACK = 16 };

struct lab {
	struct testnet net;
	struct netapps apps;
	struct fakeout streams;
	struct fakedgrams dgrams;
	struct mf_worker *w;
};

static uint8_t pkt[8000], payload[4000];

static void open_lab(struct lab *l, bool dgrams)
{
	testnet_open(&l->net, &(struct testnet_options){
				      .seed = 1,
				      .routes = "    - { cidr: 0.0.0.0/0, to: direct }\n"
						"    - { cidr: \"::/0\", to: direct }\n"
						"    - { cidr: 10.30.0.0/16, to: reject }\n",
			      });
	l->w = mf_engine_worker(l->net.side[0].engine, 0);
	fakeout_init(&l->streams);
	fakedgrams_init(&l->dgrams);
	mf_worker_set_direct(l->w, dgrams ? &l->dgrams.out : &l->streams.out);
	netapps_open(&l->apps, &l->net, 0);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + i / 251);
}

static void close_lab(struct lab *l)
{
	testnet_close(&l->net);
	netapps_close(&l->apps);
	fakeout_fini(&l->streams);
	fakedgrams_fini(&l->dgrams);
}

static void send(struct lab *l, const uint8_t *bytes, uint32_t len)
{
	testnet_app_send(&l->net.side[0], bytes, len, 0, 0, false, 0, 0);
	netapps_settle(&l->apps);
}

static uint64_t seen(const struct lab *l, const char *node)
{
	return mf_graph_find(&l->w->graph, node)->packets;
}

static struct mf_ledger *ledger(struct lab *l)
{
	assert_true(testnet_balanced(&l->net.side[0]));
	return &l->w->graph.ledger;
}

/* ---- The way in ------------------------------------------------------------------------------------ */

/* An echo request, made of a UDP packet of the same length. */
static uint32_t echo(bool v6)
{
	uint32_t n = v6 ? testnet_udp6(pkt, "fd09::1", "2001:db8::9", 1, 2, payload, 8)
			: testnet_udp4(pkt, "10.9.0.1", "203.0.113.9", 1, 2, payload, 8),
		 at = v6 ? 40 : 20;
	uint64_t sum = v6 ? mf_csum_pseudo6(pkt + 8, 58, n - at) : 0;

	pkt[v6 ? 6 : 9] = v6 ? 58 : 1;
	memset(pkt + at, 0, 8);
	pkt[at] = v6 ? 128 : 8;
	mf_csum_store(pkt + at + 2, mf_csum_finish(mf_csum_add(pkt + at, n - at, sum)));
	if (!v6) {
		mf_store_be16(pkt + 10, 0);
		mf_csum_store(pkt + 10, mf_csum_finish(mf_csum_add(pkt, 20, 0)));
	}
	return n;
}

static void test_each_protocol_has_its_node(void **state)
{
	struct lab l;

	(void)state;
	open_lab(&l, true);
	for (unsigned i = 1; i <= 2; i++) {
		bool v6 = i == 2;

		send(&l, pkt,
		     v6 ? testnet_udp6(pkt, "fd09::1", "2001:db8::9", 5, 6, "x", 1)
			: testnet_udp4(pkt, "10.9.0.1", "203.0.113.9", 5, 6, "x", 1));
		assert_int_equal(seen(&l, "host-udp"), i);
		send(&l, pkt,
		     v6 ? testnet_tcp6(pkt, "fd09::1", "2001:db8::9", 5, 6, 1, 0, SYN, "", 0)
			: testnet_tcp4(pkt, "10.9.0.1", "203.0.113.9", 5, 6, 1, 0, SYN, "", 0));
		assert_int_equal(seen(&l, "host-tcp"), i);
		send(&l, pkt, echo(v6));
		assert_int_equal(seen(&l, "host-icmp"), i);
		assert_int_equal(l.dgrams.n_open, 2 * i);
	}
	/* Other routes never lead here. */
	send(&l, pkt, testnet_tcp4(pkt, "10.9.0.1", "10.30.0.1", 5, 6, 1, 0, SYN, "", 0));
	assert_int_equal(seen(&l, "host-tcp"), 2);
	assert_int_equal(seen(&l, "reject"), 1);
	assert_int_equal(ledger(&l)->held, 0);
	close_lab(&l);
}

static void expect_error(struct lab *l, uint8_t type, uint8_t code, uint32_t rest)
{
	struct testnet_item *i = netapps_other(&l->apps);
	uint32_t at;

	assert_non_null(i);
	at = i->bytes[0] >> 4 == 4 ? 20 : 40;
	assert_int_equal(i->bytes[at], type);
	assert_int_equal(i->bytes[at + 1], code);
	assert_int_equal(mf_load_be32(i->bytes + at + 4), rest);
	free(i);
}

/* What sessions cannot carry is refused in words that its sender understands (RFC 1122, 3.2.2.1; RFC 4443,
 * 3.4: the pointer leads to the next-header byte). */
static void test_other_protocols(void **state)
{
	enum { GRE = 47 };
	struct lab l;
	uint32_t n;

	(void)state;
	open_lab(&l, true);
	n = testnet_udp4(pkt, "10.9.0.1", "203.0.113.9", 5, 6, "x", 1);
	pkt[9] = GRE;
	mf_store_be16(pkt + 10, 0);
	mf_csum_store(pkt + 10, mf_csum_finish(mf_csum_add(pkt, 20, 0)));
	send(&l, pkt, n);
	expect_error(&l, 3, 2, 0);
	n = testnet_udp6(pkt, "fd09::1", "2001:db8::9", 5, 6, "x", 1);
	pkt[6] = GRE;
	send(&l, pkt, n);
	expect_error(&l, 4, 1, 6);
	/* ICMP of the other family is no ICMP. */
	n = testnet_udp6(pkt, "fd09::1", "2001:db8::9", 5, 6, "x", 1);
	pkt[6] = 1;
	send(&l, pkt, n);
	expect_error(&l, 4, 1, 6);
	assert_int_equal(ledger(&l)->drops[MF_DROP_PROTOCOL], 3);
	assert_int_equal(l.dgrams.n_opened, 0);
	close_lab(&l);
}

/* Fragments know their protocol, though only the first one has ports; what waits is held. */
static void test_fragments(void **state)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(8, 1);
	struct lab l;

	(void)state;
	open_lab(&l, true);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		uint32_t n = v6 ? testnet_udp6(pkt, "fd09::1", "2001:db8::9", 5, 6, payload, 3000)
				: testnet_udp4(pkt, "10.9.0.1", "203.0.113.9", 5, 6, payload, 3000);
		struct mf_pkt *p = mf_fragment_cut(pool, pkt, n, 1400, 77 + v6);
		uint32_t k = 0;

		while (p) {
			struct mf_pkt *next = p->next;

			send(&l, p->data, p->len);
			mf_pkt_free(p);
			assert_int_equal(seen(&l, "host-udp"), 3 * v6 + ++k);
			assert_int_equal(ledger(&l)->held, next ? k : 0);
			p = next;
		}
		assert_int_equal(k, 3);
		assert_int_equal(l.dgrams.n_opened, v6 + 1);
		assert_int_equal(l.dgrams.last->sent[0].n, 3000);
		assert_memory_equal(l.dgrams.last->sent[0].bytes, payload, 3000);
	}
	assert_int_equal(ledger(&l)->ended[MF_DROPPED], 0);
	mf_pkt_pool_free(pool);
	close_lab(&l);
}

/* The rest never comes. */
static void test_fragments_that_wait(void **state)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(8, 1);
	struct mf_pkt *p;
	struct lab l;

	(void)state;
	open_lab(&l, true);
	p = mf_fragment_cut(pool, pkt,
			    testnet_udp4(pkt, "10.9.0.1", "203.0.113.9", 5, 6, payload, 3000), 1400,
			    1);
	send(&l, p->data, p->len);
	assert_int_equal(ledger(&l)->held, 1);
	netapps_advance(&l.apps, 31 * MF_SEC);
	assert_int_equal(ledger(&l)->held, 0);
	assert_int_equal(ledger(&l)->drops[MF_DROP_FRAGMENT_TIMEOUT], 1);
	while (p) {
		struct mf_pkt *next = p->next;

		mf_pkt_free(p);
		p = next;
	}
	mf_pkt_pool_free(pool);
	close_lab(&l);
}

/* ---- A trace --------------------------------------------------------------------------------------- */

static const char *path_of(const struct lab *l, const struct mf_trace_record *r, char out[200])
{
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < r->n_path; i++)
		n += (size_t)snprintf(out + n, 200 - n, "%s%s", i ? " " : "",
				      l->w->graph.node[r->path[i]].def->name);
	return out;
}

static void expect_record(struct lab *l, struct mf_trace *t, const char *path, const char *note,
			  enum mf_verdict verdict)
{
	const struct mf_trace_record *r;
	char buf[200];
	uint32_t slot;

	r = mf_trace_take(t, &slot);
	assert_non_null(r);
	assert_string_equal(path_of(l, r, buf), path);
	assert_string_equal(r->note, note);
	assert_int_equal(r->verdict, verdict);
	mf_trace_release(t, slot);
}

static void test_what_a_trace_shows(void **state)
{
	struct mf_trace_filter filter = { .node = UINT32_MAX };
	struct mf_engine *e;
	struct mf_trace *t;
	struct netapp *a;
	struct lab l;

	(void)state;
	open_lab(&l, false);
	e = l.net.side[0].engine;
	assert_int_equal(mf_engine_trace(e, &filter, 64, 64, &t), MF_OK);
	a = netapp_connect(&l.apps, "10.9.0.1:1000", "203.0.113.9:80");
	netapps_settle(&l.apps);
	/* The SYN is remembered, not its packet. */
	expect_record(&l, t, "ip-input route-lookup host-tcp", "direct", MF_CONSUMED);
	fake_open(l.streams.last);
	netapps_settle(&l.apps);
	expect_record(&l, t, "tun-output", "direct", MF_DELIVERED);
	expect_record(&l, t, "ip-input route-lookup host-tcp", "direct", MF_CONSUMED);
	/* Payload stays with the session until the far side has it. */
	assert_int_equal(netapp_write(a, 1000), 1000);
	netapps_settle(&l.apps);
	expect_record(&l, t, "ip-input route-lookup host-tcp", "direct", MF_CONSUMED);
	send(&l, pkt, testnet_tcp4(pkt, "10.9.0.1", "10.30.0.1", 5, 6, 1, 0, SYN, "", 0));
	netapps_advance(&l.apps, MF_SEC);
	for (bool last = false; !last;) {
		const struct mf_trace_record *r;
		uint32_t slot;

		r = mf_trace_take(t, &slot);
		assert_non_null(r);
		last = !strcmp(r->note, "made here"); /* the reset of `reject` */
		assert_true(last || !strcmp(r->note, "direct"));
		mf_trace_release(t, slot);
	}
	mf_engine_untrace(e, free, NULL);
	netapps_settle(&l.apps);
	mf_trace_free(t);
	close_lab(&l);
}

/* What an app is sent comes in super-packets with tails: the bytes in the books are all of it. */
static void test_bytes_to_apps(void **state)
{
	static uint8_t bytes[50000];
	struct netapp *a;
	struct lab l;

	(void)state;
	open_lab(&l, false);
	a = netapp_connect(&l.apps, "10.9.0.1:1000", "203.0.113.9:80");
	netapps_settle(&l.apps);
	fake_open(l.streams.last);
	netapp_far_bytes(a, 0, bytes, sizeof(bytes));
	fake_give(l.streams.last, bytes, sizeof(bytes));
	while (a->down < sizeof(bytes)) {
		netapps_advance(&l.apps, MF_MSEC);
		netapp_read(a, SIZE_MAX);
	}
	assert_true(ledger(&l)->bytes_tun_out > sizeof(bytes));
	assert_true(ledger(&l)->bytes_tun_out < sizeof(bytes) + 100 * 60);
	close_lab(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_protocol_has_its_node),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_fragments_that_wait),
		cmocka_unit_test(test_what_a_trace_shows),
		cmocka_unit_test(test_bytes_to_apps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
