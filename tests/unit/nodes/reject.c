/* SPDX-License-Identifier: Apache-2.0
 *
 * route-lookup, reject and icmp-error: what apps are told about what does not go.
 */
#include "unit.h"

#include "support/testnet.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

static struct testnet net;
static uint8_t pkt[65536], payload[65536];

static int open_net(void **state)
{
	(void)state;
	testnet_open(&net, &(struct testnet_options){
				   .seed = 1,
				   .routes = "    - { cidr: 10.9.0.0/24, to: wg0 }\n"
					     "    - { cidr: 10.30.0.0/16, to: reject }\n"
					     "    - { cidr: 10.30.7.0/24, to: drop }\n"
					     "    - { cidr: 10.30.7.7/32, to: reject }\n"
					     "    - { cidr: \"fd30::/64\", to: reject }\n"
					     "    - { cidr: \"fd30::7:0/112\", to: drop }\n" });
	return 0;
}

static int close_net(void **state)
{
	(void)state;
	assert_true(testnet_balanced(&net.side[0]));
	testnet_close(&net);
	return 0;
}

static struct testnet_item *ask(uint32_t len)
{
	testnet_app_send(&net.side[0], pkt, len, 0, 0, false, 0, 0);
	testnet_settle(&net);
	return testnet_app_recv(&net.side[0]);
}

static uint64_t drops(enum mf_drop why)
{
	struct mf_ledger l;

	mf_engine_ledger(net.side[0].engine, &l);
	return l.drops[why];
}

/* The reset that answers what was sent: from its destination, with these numbers. */
static void assert_reset(struct testnet_item *i, bool v6, uint32_t seq, uint32_t ack, uint8_t flags)
{
	const uint8_t *t;

	assert_non_null(i);
	t = i->bytes + (v6 ? 40 : 20);
	assert_true(testnet_csum_ok(i->bytes, i->len));
	assert_int_equal(i->len, v6 ? 60 : 40);
	if (v6) {
		assert_memory_equal(i->bytes + 8, pkt + 24, 16);
		assert_memory_equal(i->bytes + 24, pkt + 8, 16);
	} else {
		assert_memory_equal(i->bytes + 12, pkt + 16, 4);
		assert_memory_equal(i->bytes + 16, pkt + 12, 4);
	}
	assert_int_equal(mf_load_be16(t), 80);
	assert_int_equal(mf_load_be16(t + 2), 1000);
	assert_int_equal(mf_load_be32(t + 4), seq);
	assert_int_equal(mf_load_be32(t + 8), ack);
	assert_int_equal(t[13], flags);
	free(i);
}

static uint32_t tcp(bool v6, uint8_t flags, uint32_t n)
{
	return v6 ? testnet_tcp6(pkt, "fd09::1", "fd30::1", 1000, 80, 500, 900, flags, payload, n)
		  : testnet_tcp4(pkt, "10.9.0.1", "10.30.0.1", 1000, 80, 500, 900, flags, payload, n);
}

static void test_resets(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		assert_reset(ask(tcp(v6, SYN, 0)), v6, 0, 501, RST | ACK);
		assert_reset(ask(tcp(v6, FIN, 10)), v6, 0, 511, RST | ACK);
		assert_reset(ask(tcp(v6, PSH, 10)), v6, 0, 510, RST | ACK);
		assert_reset(ask(tcp(v6, ACK, 10)), v6, 900, 0, RST);
		assert_reset(ask(tcp(v6, SYN | ACK, 0)), v6, 900, 0, RST);
		assert_null(ask(tcp(v6, RST, 0))); /* never a reset for a reset */
		assert_null(ask(tcp(v6, RST | ACK, 0)));
	}
	assert_int_equal(drops(MF_DROP_POLICY_REJECT), 14);
}

static void test_reset_of_a_super_packet(void **state)
{
	uint32_t n = tcp(false, PSH, 5000);
	uint16_t at = testnet_unfinish(pkt, n);

	(void)state;
	testnet_app_send(&net.side[0], pkt, n, MF_GSO_TCP4, 1000, true, at, 16);
	testnet_settle(&net);
	assert_reset(testnet_app_recv(&net.side[0]), false, 0, 5500, RST | ACK);
	assert_null(testnet_app_recv(&net.side[0]));
	assert_int_equal(drops(MF_DROP_POLICY_REJECT), 5);
}

static void test_no_reset(void **state)
{
	uint32_t n;

	(void)state;
	n = tcp(false, SYN, 0);
	pkt[30]++; /* a damaged segment */
	assert_null(ask(n));
	n = tcp(false, SYN, 0);
	pkt[32] = 0x40; /* a header of 16 bytes */
	assert_null(ask(n));
	assert_null(ask(testnet_udp4(pkt, "10.9.0.1", "10.30.0.1", 1, 2, "x", 1)));
	assert_null(ask(testnet_udp6(pkt, "fd09::1", "fd30::1", 1, 2, "x", 1)));
	assert_int_equal(drops(MF_DROP_POLICY_REJECT), 4);
}

static void test_longest_prefix_wins(void **state)
{
	(void)state;
	assert_null(ask(testnet_tcp4(pkt, "10.9.0.1", "10.30.7.1", 1000, 80, 1, 1, SYN, NULL, 0)));
	assert_int_equal(drops(MF_DROP_POLICY_DROP), 1);
	assert_reset(ask(testnet_tcp4(pkt, "10.9.0.1", "10.30.7.7", 1000, 80, 500, 1, SYN, NULL, 0)),
		     false, 0, 501, RST | ACK);
	assert_null(ask(testnet_tcp6(pkt, "fd09::1", "fd30::7:1", 1000, 80, 1, 1, SYN, NULL, 0)));
	assert_int_equal(drops(MF_DROP_POLICY_DROP), 2);
}

static void test_no_route(void **state)
{
	struct testnet_item *i = ask(testnet_udp4(pkt, "10.9.0.1", "10.40.0.1", 1, 2, "x", 1));

	(void)state;
	assert_non_null(i);
	assert_int_equal(i->bytes[9], 1);
	assert_int_equal(i->bytes[20], 3);
	assert_int_equal(i->bytes[21], 0);
	assert_memory_equal(i->bytes + 12, pkt + 16, 4); /* from the destination itself */
	assert_memory_equal(i->bytes + 16, pkt + 12, 4);
	assert_memory_equal(i->bytes + 28, pkt, 29);
	free(i);
	i = ask(testnet_udp6(pkt, "fd09::1", "fd40::1", 1, 2, "x", 1));
	assert_non_null(i);
	assert_int_equal(i->bytes[6], 58);
	assert_int_equal(i->bytes[40], 1);
	assert_int_equal(i->bytes[41], 0);
	assert_memory_equal(i->bytes + 8, pkt + 24, 16);
	assert_memory_equal(i->bytes + 48, pkt, 49);
	free(i);
	assert_int_equal(drops(MF_DROP_NO_ROUTE), 2);
}

static void test_too_big(void **state)
{
	struct testnet_item *i = ask(testnet_udp4(pkt, "10.9.0.1", "10.9.0.2", 1, 2, payload, 1400));

	(void)state;
	assert_non_null(i);
	assert_int_equal(i->bytes[20], 3);
	assert_int_equal(i->bytes[21], 4);
	assert_int_equal(mf_load_be16(i->bytes + 26), 1420);
	assert_true(i->len <= 576);
	free(i);
}

/* Never an error about an error. */
static void test_no_error_about_errors(void **state)
{
	uint32_t n = testnet_udp4(pkt, "10.9.0.1", "10.40.0.1", 1, 2, payload, 40);

	(void)state;
	pkt[9] = 1; /* ICMP */
	pkt[20] = 3;
	pkt[11] = (uint8_t)(pkt[11] + 16); /* 17 became 1 */
	assert_null(ask(n));
	assert_int_equal(drops(MF_DROP_NO_ROUTE), 1);
}

static uint32_t errors_now(int asked)
{
	struct testnet_item *i;
	uint32_t n = 0;

	for (int k = 0; k < asked; k++)
		testnet_app_send(&net.side[0], pkt,
				 testnet_udp4(pkt, "10.9.0.1", "10.40.0.1", 1, 2, "x", 1), 0, 0,
				 false, 0, 0);
	testnet_settle(&net);
	while ((i = testnet_app_recv(&net.side[0])) != NULL) {
		n++;
		free(i);
	}
	return n;
}

static void test_errors_are_limited(void **state)
{
	struct mf_worker *w = mf_engine_worker(net.side[0].engine, 0);

	(void)state;
	assert_int_equal(errors_now(1000), 50);
	assert_int_equal(w->icmp_suppressed, 950);
	assert_int_equal(errors_now(1000), 0);
	net.now += 10 * MF_MSEC;
	assert_int_equal(errors_now(1000), 10);
	net.now += MF_SEC;
	assert_int_equal(errors_now(1000), 50);
	assert_int_equal(drops(MF_DROP_NO_ROUTE), 4000);
}

/* Without memory for an answer there is none. */
static void test_no_memory_for_an_answer(void **state)
{
	static struct mf_pkt *hoard[20000];
	struct mf_worker *w = mf_engine_worker(net.side[0].engine, 0);
	uint32_t n = 0;

	(void)state;
	testnet_app_send(&net.side[0], pkt, tcp(false, SYN, 0), 0, 0, false, 0, 0);
	testnet_app_send(&net.side[0], pkt, testnet_udp4(pkt, "10.9.0.1", "10.40.0.1", 1, 2, "x", 1),
			 0, 0, false, 0, 0);
	while (mf_pkt_pool_free_small(w->pool) > 2)
		hoard[n++] = mf_pkt_small(w->pool);
	testnet_settle(&net);
	assert_null(testnet_app_recv(&net.side[0]));
	assert_int_equal(drops(MF_DROP_POLICY_REJECT), 1);
	assert_int_equal(drops(MF_DROP_NO_ROUTE), 1);
	assert_true(testnet_balanced(&net.side[0]));
	while (n)
		mf_pkt_free(hoard[--n]);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_net, close_net)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_resets),
		TEST(test_reset_of_a_super_packet),
		TEST(test_no_reset),
		TEST(test_longest_prefix_wins),
		TEST(test_no_route),
		TEST(test_too_big),
		TEST(test_no_error_about_errors),
		TEST(test_errors_are_limited),
		TEST(test_no_memory_for_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
