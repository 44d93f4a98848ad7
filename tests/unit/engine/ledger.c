/* SPDX-License-Identifier: Apache-2.0
 *
 * received + created = ended + held, for what a hostile network and hostile apps can think of.
 */
#include "unit.h"

#include "proto/wg/messages.h"
#include "support/testnet.h"

static void push_datagram(struct testnet *t, const void *bytes, uint32_t n, uint16_t stride)
{
	struct mf_worker *w = mf_engine_worker(t->side[0].engine, 0);
	struct mf_pkt *p = n <= MF_PKT_SMALL_MAX ? mf_pkt_small(w->pool) : mf_pkt_large(w->pool);

	assert_non_null(p);
	if (n)
		memcpy(p->data, bytes, n);
	p->len = n;
	p->remote.addr = t->side[1].address;
	p->remote.port = t->side[1].port;
	if (stride) {
		p->gso_type = MF_GSO_UDP;
		p->gso_size = stride;
		p->segments = (n + stride - 1) / stride;
	}
	mf_count(&w->graph.ledger.received_udp, mf_pkt_wire_count(p));
	mf_graph_put(&w->graph, w->wg_input, p);
}

static struct mf_ledger ledger(struct testnet *t, unsigned side)
{
	struct mf_ledger l;

	testnet_settle(t);
	assert_true(testnet_balanced(&t->side[side]));
	mf_engine_ledger(t->side[side].engine, &l);
	return l;
}

static void exchange(struct testnet *t)
{
	uint8_t pkt[100];
	struct testnet_item *i;

	testnet_app_send(&t->side[1], pkt, testnet_udp4(pkt, "10.9.0.2", "10.9.0.1", 1, 2, "x", 1),
			 0, 0, false, 0, 0);
	testnet_settle(t);
	i = testnet_app_recv(&t->side[0]);
	assert_non_null(i);
	free(i);
}

static void test_short_datagrams(void **state)
{
	static const uint8_t zeros[4] = { 0 };
	struct testnet t;
	struct mf_ledger l;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 1 });
	for (uint32_t n = 0; n <= 4; n++)
		push_datagram(&t, zeros, n, 0);
	l = ledger(&t, 0);
	assert_int_equal(l.drops[MF_DROP_WG_SHORT], 4);
	assert_int_equal(l.drops[MF_DROP_WG_TYPE], 1);
	testnet_close(&t);
}

static void test_types_and_lengths(void **state)
{
	static const uint32_t right[] = { [1] = 148, [2] = 92, [3] = 64, [4] = 32 };
	uint8_t m[200] = { 0 };
	struct testnet t;
	struct mf_ledger l;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 1 });
	for (uint8_t type = 0; type < 8; type++) {
		m[0] = type;
		for (uint32_t n = 4; n < 200; n++)
			push_datagram(&t, m, n, 0);
		m[0] = type;
		m[1] = 1; /* the reserved bytes are part of the type */
		push_datagram(&t, m, 148, 0);
		m[1] = 0;
		testnet_settle(&t);
	}
	l = ledger(&t, 0);
	assert_int_equal(l.drops[MF_DROP_WG_TYPE], 4 * 196 + 8);
	assert_int_equal(l.drops[MF_DROP_WG_LENGTH], 3 * 195 + right[4] - 4);
	assert_int_equal(l.drops[MF_DROP_WG_INDEX], 196 - (right[4] - 4));
	assert_int_equal(l.drops[MF_DROP_WG_MAC1] + l.drops[MF_DROP_WG_HANDSHAKE] +
				 l.drops[MF_DROP_WG_COOKIE],
			 3);
	testnet_close(&t);
}

/* A batch whose last datagram is cut off. */
static void test_truncated_batch(void **state)
{
	static uint8_t m[1000];
	struct testnet t;
	struct mf_ledger l;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 1 });
	for (uint32_t at = 0; at < sizeof(m); at += 100)
		m[at] = MF_WG_MSG_DATA;
	push_datagram(&t, m, 903, 100);
	push_datagram(&t, m, 931, 100);
	push_datagram(&t, m, 932, 100);
	l = ledger(&t, 0);
	assert_int_equal(l.drops[MF_DROP_WG_SHORT], 1);
	assert_int_equal(l.drops[MF_DROP_WG_LENGTH], 1);
	assert_int_equal(l.drops[MF_DROP_WG_INDEX], 28);
	testnet_close(&t);
}

/* Data messages as the other side would send them, captured on their way. */
static uint32_t capture(struct testnet *t, uint8_t *to, uint32_t n, uint32_t *stride)
{
	uint32_t at = 0;

	exchange(t);
	t->side[0].split_gso = true;
	for (uint32_t k = 0; k < n; k++) {
		uint8_t pkt[100];

		testnet_app_send(&t->side[1], pkt,
				 testnet_udp4(pkt, "10.9.0.2", "10.9.0.1", 1, 2, "y", 1), 0, 0,
				 false, 0, 0);
	}
	while (t->side[1].tun_in.n)
		mf_worker_pass(mf_engine_worker(t->side[1].engine, 0), t->now);
	for (struct testnet_item *i = t->side[0].udp_in.head; i; i = i->next) {
		memcpy(to + at, i->bytes, i->len);
		*stride = i->len;
		at += i->len;
	}
	/* Only the copies arrive. */
	t->side[0].udp_in.n = 0;
	while (t->side[0].udp_in.head) {
		struct testnet_item *i = t->side[0].udp_in.head;

		t->side[0].udp_in.head = i->next;
		free(i);
	}
	t->side[0].udp_in.tail = &t->side[0].udp_in.head;
	return at;
}

/* More messages in one batch than a job has room for, good and bad ones. */
static void check_long_batch(uint32_t good, uint32_t bad_from)
{
	static uint8_t batch[65536];
	uint64_t before, delivered = 0;
	struct testnet_item *i;
	struct mf_ledger l;
	uint32_t n, stride = 0;
	struct testnet t;

	testnet_open(&t, &(struct testnet_options){ .seed = 7 });
	n = capture(&t, batch, good, &stride);
	assert_int_equal(n, good * stride);
	before = ledger(&t, 0).ended[MF_DELIVERED];
	for (uint32_t k = bad_from; k < good; k++)
		batch[k * stride + 4] ^= 1; /* of no session */
	push_datagram(&t, batch, n, (uint16_t)stride);
	l = ledger(&t, 0);
	assert_int_equal(l.ended[MF_DELIVERED] - before, bad_from);
	assert_int_equal(l.drops[MF_DROP_WG_INDEX], good - bad_from);
	while ((i = testnet_app_recv(&t.side[0])) != NULL) {
		delivered += i->segments;
		free(i);
	}
	assert_int_equal(delivered, bad_from);
	testnet_close(&t);
}

static void test_long_batches(void **state)
{
	(void)state;
	check_long_batch(128, 128);
	check_long_batch(129, 129);
	check_long_batch(129, 128);
	check_long_batch(700, 700);
	check_long_batch(700, 1);
	check_long_batch(256, 0);
}

static void test_replayed_and_damaged(void **state)
{
	static uint8_t batch[65536];
	struct mf_ledger before, l;
	uint32_t n, stride = 0;
	struct testnet t;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 8 });
	n = capture(&t, batch, 10, &stride);
	push_datagram(&t, batch, n, (uint16_t)stride);
	before = ledger(&t, 0);
	push_datagram(&t, batch, n, (uint16_t)stride);
	for (uint32_t k = 0; k < 10; k++)
		batch[k * stride + stride - 1] ^= 1;
	push_datagram(&t, batch, n, (uint16_t)stride);
	l = ledger(&t, 0);
	assert_int_equal(l.ended[MF_DELIVERED], before.ended[MF_DELIVERED]);
	assert_int_equal(l.drops[MF_DROP_WG_REPLAY], 10);
	assert_int_equal(l.drops[MF_DROP_WG_AUTH], 10);
	testnet_close(&t);
}

/* Every way a packet can end, again and again, with packets of all kinds, while the wire loses some. */
static void test_random_traffic(void **state)
{
	static const char *const dst4[] = { "10.9.0.2",  "10.20.0.1", "10.30.0.1",
					    "10.40.0.1", "127.0.0.1", "224.0.0.1" };
	static const char *const dst6[] = { "fd09::2", "fd20::1", "fd30::1",
					    "fd40::1", "::1",     "ff02::1" };
	struct mf_prng prng = unit_prng("ledger");
	static uint8_t pkt[65536], payload[65536];
	struct testnet_item *item;
	struct testnet t;

	(void)state;
	testnet_open(&t, &(struct testnet_options){
				 .seed = prng.state,
				 .n_workers = 2,
				 .memory = 16 << 20,
				 .routes = "    - { cidr: 10.9.0.0/24, to: wg0 }\n"
					   "    - { cidr: 10.20.0.0/16, to: drop }\n"
					   "    - { cidr: 10.30.0.0/16, to: reject }\n"
					   "    - { cidr: \"fd09::/64\", to: wg0 }\n"
					   "    - { cidr: \"fd20::/64\", to: drop }\n"
					   "    - { cidr: \"fd30::/64\", to: reject }\n" });
	t.lose_per_1000 = 100;
	for (int round = 0; round < 2000; round++) {
		struct testnet_side *s = &t.side[mf_prng_below(&prng, 2)];
		uint32_t d = (uint32_t)mf_prng_below(&prng, 6), n, len;
		uint16_t mss = (uint16_t)(1 + mf_prng_below(&prng, 1500)), at;
		bool v6 = mf_prng_below(&prng, 2), super = mf_prng_below(&prng, 4) == 0;

		n = (uint32_t)mf_prng_below(&prng, super ? 65400 : 1500);
		len = v6 ? testnet_tcp6(pkt, "fd09::1", dst6[d], 1, 2, 3, 4, 0x10, payload, n)
			 : testnet_tcp4(pkt, "10.9.0.1", dst4[d], 1, 2, 3, 4, 0x10, payload, n);
		if (super && n > mss) {
			at = testnet_unfinish(pkt, len);
			testnet_app_send(s, pkt, len, v6 ? MF_GSO_TCP6 : MF_GSO_TCP4, mss, true, at,
					 16);
		} else {
			if (mf_prng_below(&prng, 4) == 0)
				pkt[mf_prng_below(&prng, mf_min(len, 60))] ^=
					(uint8_t)mf_prng_below(&prng, 256);
			testnet_app_send(s, pkt, len, 0, 0, false, 0, 0);
		}
		if (round % 16 == 0) {
			testnet_advance(&t, mf_prng_below(&prng, 3) * MF_SEC);
			for (unsigned k = 0; k < TESTNET_SIDES; k++) {
				assert_true(testnet_balanced(&t.side[k]));
				while ((item = testnet_app_recv(&t.side[k])) != NULL)
					free(item);
			}
		}
	}
	ledger(&t, 0);
	ledger(&t, 1);
	testnet_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_datagrams),
		cmocka_unit_test(test_types_and_lengths),
		cmocka_unit_test(test_truncated_batch),
		cmocka_unit_test(test_long_batches),
		cmocka_unit_test(test_replayed_and_damaged),
		cmocka_unit_test(test_random_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
