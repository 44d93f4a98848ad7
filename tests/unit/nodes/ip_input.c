/* SPDX-License-Identifier: Apache-2.0
 *
 * Why ip-input refuses a packet, by name, and what it lets through.
 */
#include "unit.h"

#include "support/testnet.h"
#include "wire/ip4.h"

static struct testnet net;
static uint8_t pkt[2048];

static int open_net(void **state)
{
	(void)state;
	testnet_open(&net,
		     &(struct testnet_options){ .seed = 1,
						.routes = "    - { cidr: 0.0.0.0/0, to: drop }\n"
							  "    - { cidr: \"::/0\", to: drop }\n" });
	return 0;
}

static int close_net(void **state)
{
	(void)state;
	testnet_close(&net);
	return 0;
}

static struct mf_ledger ledger(void)
{
	struct mf_ledger l;

	testnet_settle(&net);
	assert_true(testnet_balanced(&net.side[0]));
	mf_engine_ledger(net.side[0].engine, &l);
	return l;
}

/* Sends n bytes of pkt; `why` must be the reason for which they end. What gets through ends by policy. */
static void expect(enum mf_drop why, uint32_t n)
{
	struct mf_ledger before = ledger(), after;

	testnet_app_send(&net.side[0], pkt, n, 0, 0, false, 0, 0);
	after = ledger();
	for (int r = 0; r < MF_DROP_COUNT; r++)
		if (after.drops[r] - before.drops[r] != (r == (int)why))
			fail_msg("%u bytes: %s %+d, but expected %s", n,
				 mf_drop_name((enum mf_drop)r),
				 (int)(after.drops[r] - before.drops[r]), mf_drop_name(why));
}

#define PASSES MF_DROP_POLICY_DROP

static uint32_t make4(void)
{
	return testnet_udp4(pkt, "10.9.0.1", "10.9.0.2", 1, 2, "payload", 7);
}

static uint32_t make6(void)
{
	return testnet_udp6(pkt, "fd09::1", "fd09::2", 1, 2, "payload", 7);
}

static void fix4(void)
{
	uint32_t sum = 0;

	mf_store_be16(pkt + 10, 0);
	for (int i = 0; i < (pkt[0] & 15) * 4; i += 2)
		sum += mf_load_be16(pkt + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	mf_store_be16(pkt + 10, (uint16_t)~sum);
}

static void test_versions(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 16; v++) {
		uint32_t n = v == 6 ? make6() : make4();

		pkt[0] = (uint8_t)(v << 4 | (pkt[0] & 15));
		expect(v == 4 || v == 6 ? PASSES : MF_DROP_IP_VERSION, n);
	}
}

static void test_every_length_but_the_whole_is_truncated(void **state)
{
	uint32_t n;

	(void)state;
	n = make4();
	for (uint32_t i = 1; i < n; i++)
		expect(MF_DROP_IP_TRUNCATED, i);
	expect(PASSES, n);
	expect(PASSES, n + 5); /* padding behind */
	n = make6();
	for (uint32_t i = 1; i < n; i++)
		expect(MF_DROP_IP_TRUNCATED, i);
	expect(PASSES, n);
	expect(PASSES, n + 5);
}

static void test_ip4_header(void **state)
{
	uint32_t n;

	(void)state;
	n = make4();
	for (int bit = 0; bit < 16; bit++) {
		pkt[10 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		expect(MF_DROP_IP_CHECKSUM, n);
		pkt[10 + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	pkt[0] = 0x44; /* 16 bytes */
	fix4();
	expect(MF_DROP_IP_HEADER, n);
	n = make4();
	mf_store_be16(pkt + 2, 19); /* shorter than its header */
	fix4();
	expect(MF_DROP_IP_HEADER, n);
}

/* Options of 8 bytes between header and UDP. */
static uint32_t with_options(const char bytes[8])
{
	uint32_t n = make4();

	memmove(pkt + 28, pkt + 20, n - 20);
	memcpy(pkt + 20, bytes, 8);
	pkt[0] = 0x47;
	mf_store_be16(pkt + 2, (uint16_t)(n + 8));
	fix4();
	return n + 8;
}

static void test_ip4_options(void **state)
{
	(void)state;
	expect(PASSES, with_options("\1\1\1\1\1\1\1\0"));
	expect(PASSES, with_options("\x94\4\0\0\0\0\0\0"));             /* router alert */
	expect(MF_DROP_IP_HEADER, with_options("\x83\7\4\1\1\1\1\0"));  /* loose source route */
	expect(MF_DROP_IP_HEADER, with_options("\x89\7\4\1\1\1\1\0"));  /* strict */
	expect(MF_DROP_IP_HEADER, with_options("\x44\0\1\1\1\1\1\1"));  /* no length */
	expect(MF_DROP_IP_HEADER, with_options("\x44\x9\1\1\1\1\1\1")); /* beyond the header */
	expect(MF_DROP_IP_HEADER, with_options("\1\1\1\1\1\1\1\x44"));
}

static void test_fragments(void **state)
{
	uint32_t n;

	(void)state;
	n = make4();
	mf_store_be16(pkt + 6, 0x2000);
	fix4();
	expect(PASSES, n); /* the first */
	mf_store_be16(pkt + 6, 0x2064);
	fix4();
	expect(PASSES, n); /* one in the middle */
	mf_store_be16(pkt + 6, 0x1fff);
	fix4();
	expect(MF_DROP_IP_HEADER, n); /* ends beyond 65535 */
}

static void test_ip6_extension_headers(void **state)
{
	static const uint8_t hop[8] = { 17, 0, 1, 4 }, jumbo[8] = { 17, 0, 0xc2, 4, 0, 1, 0, 0 },
			     route0[8] = { 17, 0, 0, 1 }, fragment[8] = { 17, 0, 0, 1 },
			     beyond[8] = { 17, 0, 0xff, 0xf8 };
	static const struct {
		const uint8_t *header;
		uint8_t type;
		enum mf_drop why;
	} cases[] = {
		{ hop, 0, PASSES },
		{ hop, 60, PASSES },
		{ jumbo, 0, MF_DROP_IP_HEADER },
		{ route0, 43, MF_DROP_IP_HEADER },
		{ fragment, 44, PASSES },
		{ beyond, 44, MF_DROP_IP_HEADER },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		uint32_t n = make6();

		memmove(pkt + 48, pkt + 40, n - 40);
		memcpy(pkt + 40, cases[i].header, 8);
		pkt[6] = cases[i].type;
		mf_store_be16(pkt + 4, (uint16_t)(n - 40 + 8));
		expect(cases[i].why, n + 8);
	}
}

static void test_martians(void **state)
{
	static const char *const bad_src4[] = { "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1",
						"255.255.255.255" };
	static const char *const bad_dst4[] = { "0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.1",
						"255.255.255.255" };
	static const char *const bad_src6[] = { "::", "::1", "ff02::1", "::ffff:1.2.3.4" };
	static const char *const bad_dst6[] = { "::", "::1", "ff02::1", "fe80::1", "::ffff:1.2.3.4" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad_src4); i++)
		expect(MF_DROP_IP_MARTIAN_SOURCE,
		       testnet_udp4(pkt, bad_src4[i], "10.9.0.2", 1, 2, "x", 1));
	for (size_t i = 0; i < MF_ARRAY_LEN(bad_dst4); i++)
		expect(MF_DROP_IP_MARTIAN_DESTINATION,
		       testnet_udp4(pkt, "10.9.0.1", bad_dst4[i], 1, 2, "x", 1));
	for (size_t i = 0; i < MF_ARRAY_LEN(bad_src6); i++)
		expect(MF_DROP_IP_MARTIAN_SOURCE,
		       testnet_udp6(pkt, bad_src6[i], "fd09::2", 1, 2, "x", 1));
	for (size_t i = 0; i < MF_ARRAY_LEN(bad_dst6); i++)
		expect(MF_DROP_IP_MARTIAN_DESTINATION,
		       testnet_udp6(pkt, "fd09::1", bad_dst6[i], 1, 2, "x", 1));
	expect(PASSES, testnet_udp4(pkt, "8.8.8.8", "1.1.1.1", 1, 2, "x", 1));
	expect(PASSES, testnet_udp6(pkt, "fe80::1", "2001:db8::1", 1, 2, "x", 1));
}

/* Offload that contradicts the packet. */
static void expect_meta(uint8_t gso_type, uint16_t size, bool needs, uint16_t start,
			uint16_t offset, uint32_t len)
{
	struct mf_ledger before = ledger(), after;
	struct testnet_side *s = &net.side[0];

	testnet_app_send(s, pkt, len, 0, 0, needs, start, offset);
	s->tun_in.head->gso_type = gso_type;
	s->tun_in.head->gso_size = size;
	after = ledger();
	assert_int_equal(after.drops[MF_DROP_OFFLOAD_META] - before.drops[MF_DROP_OFFLOAD_META], 1);
}

static void test_offload_metadata(void **state)
{
	uint32_t n = make4();

	(void)state;
	expect_meta(MF_GSO_TCP4, 100, true, 20, 16, n);
	expect_meta(MF_GSO_TCP6, 100, true, 20, 16, n);
	expect_meta(MF_GSO_UDP, 0, true, 20, 6, n);
	expect_meta(MF_GSO_UDP, 3, false, 0, 0, n);
	expect_meta(MF_GSO_UDP, 3, true, 20, 16, n);
	expect_meta(MF_GSO_NONE, 0, true, (uint16_t)n, 6, n);
	expect_meta(MF_GSO_NONE, 0, true, 10, 6, n);
	expect_meta(MF_GSO_NONE, 0, true, 20, 0xffff, n);
}

/* A port that has looked already says what it found, and is believed. */
static void test_what_the_port_has_found(void **state)
{
	struct mf_worker *w = mf_engine_worker(net.side[0].engine, 0);
	struct mf_ledger before = ledger(), after;
	struct mf_pkt *p = mf_pkt_small(w->pool);

	(void)state;
	memcpy(p->data, pkt, p->len = make4());
	p->drop = MF_DROP_OFFLOAD_META;
	mf_count(&w->graph.ledger.created, 1);
	mf_graph_put(&w->graph, mf_graph_find(&w->graph, "ip-input"), p);
	after = ledger();
	assert_int_equal(after.drops[MF_DROP_OFFLOAD_META] - before.drops[MF_DROP_OFFLOAD_META], 1);
	assert_int_equal(after.ended[MF_DROPPED] - before.ended[MF_DROPPED], 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_net, close_net)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_versions),
		TEST(test_every_length_but_the_whole_is_truncated),
		TEST(test_ip4_header),
		TEST(test_ip4_options),
		TEST(test_fragments),
		TEST(test_ip6_extension_headers),
		TEST(test_martians),
		TEST(test_offload_metadata),
		TEST(test_what_the_port_has_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
