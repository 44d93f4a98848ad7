/* SPDX-License-Identifier: Apache-2.0
 *
 * Two whole engines, everything but the platform: packets of one side's apps come out at the other's.
 */
#include "unit.h"

#include "engine/internal.h"
#include "support/testnet.h"

static void send_udp(struct testnet_side *s, const char *src, const char *dst, uint32_t n)
{
	uint8_t pkt[2100], payload[2000];

	memset(payload, 0xa5, sizeof(payload));
	testnet_app_send(s, pkt, testnet_udp4(pkt, src, dst, 1000, 2000, payload, n), 0, 0, false,
			 0, 0);
}

static void assert_balanced(struct testnet *t)
{
	assert_true(testnet_balanced(&t->side[0]));
	assert_true(testnet_balanced(&t->side[1]));
}

static void test_first_packet_waits_for_the_handshake(void **state)
{
	struct testnet t;
	struct testnet_item *i;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 1 });
	send_udp(&t.side[0], "10.9.0.1", "10.9.0.2", 100);
	testnet_settle(&t);
	i = testnet_app_recv(&t.side[1]);
	assert_non_null(i);
	assert_int_equal(i->len, 128);
	assert_int_equal(i->bytes[127], 0xa5);
	free(i);
	send_udp(&t.side[1], "10.9.0.2", "10.9.0.1", 0);
	testnet_settle(&t);
	i = testnet_app_recv(&t.side[0]);
	assert_non_null(i);
	assert_int_equal(i->len, 28);
	free(i);
	assert_balanced(&t);
	testnet_close(&t);
}

static void super_packet(struct testnet_side *s, uint32_t payload_len, uint16_t mss)
{
	static uint8_t pkt[65536], payload[65536];
	uint32_t len, sum = 0;

	for (uint32_t i = 0; i < payload_len; i++)
		payload[i] = (uint8_t)(i * 7 + i / 251);
	len = testnet_tcp4(pkt, "10.9.0.1", "10.9.0.2", 1000, 2000, 77, 88, 0x18, payload,
			   payload_len);
	/* The kernel leaves the pseudo-header's sum. */
	for (int i = 12; i < 20; i += 2)
		sum += (uint32_t)(pkt[i] << 8 | pkt[i + 1]);
	sum += 6 + len - 20;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	pkt[36] = (uint8_t)(sum >> 8);
	pkt[37] = (uint8_t)sum;
	testnet_app_send(s, pkt, len, MF_GSO_TCP4, mss, true, 20, 16);
}

static void check_super_packets(unsigned workers, bool split)
{
	struct testnet t;
	struct testnet_item *i;
	uint32_t at = 0, packets = 0;

	testnet_open(&t, &(struct testnet_options){ .seed = 2, .n_workers = workers });
	t.side[1].split_gso = split;
	send_udp(&t.side[0], "10.9.0.1", "10.9.0.2", 1);
	testnet_settle(&t);
	free(testnet_app_recv(&t.side[1]));
	/* The first one teaches the merger that there are flows worth a large packet. */
	super_packet(&t.side[0], 60000, 1368);
	testnet_settle(&t);
	while ((i = testnet_app_recv(&t.side[1])) != NULL)
		free(i);
	super_packet(&t.side[0], 60000, 1368);
	testnet_settle(&t);
	while ((i = testnet_app_recv(&t.side[1])) != NULL) {
		assert_int_equal(i->bytes[9], 6);
		assert_int_equal(mf_load_be32(i->bytes + 24), 77 + at);
		for (uint32_t k = 40; k < i->len; k++, at++)
			assert_int_equal(i->bytes[k], (uint8_t)(at * 7 + at / 251));
		packets++;
		free(i);
	}
	assert_int_equal(at, 60000);
	/* Merged again, as far as one receive call brings them together. */
	assert_in_range(packets, 1, split ? 3 : 1);
	assert_balanced(&t);
	testnet_close(&t);
}

static void test_super_packet_arrives_whole(void **state)
{
	(void)state;
	check_super_packets(1, false);
	check_super_packets(2, false);
	check_super_packets(1, true);
}

static void test_routes_decide(void **state)
{
	struct testnet t;
	struct testnet_item *i;
	struct mf_ledger l;
	uint8_t pkt[100];

	(void)state;
	testnet_open(&t, &(struct testnet_options){
				 .seed = 3,
				 .routes = "    - { cidr: 10.9.0.0/24, to: wg0 }\n"
					   "    - { cidr: 10.20.0.0/16, to: drop }\n"
					   "    - { cidr: 10.30.0.0/16, to: reject }\n" });
	send_udp(&t.side[0], "10.9.0.1", "10.20.0.1", 10);
	send_udp(&t.side[0], "10.9.0.1", "10.30.0.1", 10);
	testnet_settle(&t);
	assert_null(testnet_app_recv(&t.side[0]));
	testnet_app_send(&t.side[0], pkt,
			 testnet_tcp4(pkt, "10.9.0.1", "10.30.0.1", 5, 6, 1000, 0, 2, NULL, 0), 0,
			 0, false, 0, 0);
	testnet_settle(&t);
	i = testnet_app_recv(&t.side[0]);
	assert_non_null(i); /* RST, ACK */
	assert_int_equal(i->bytes[33], 0x14);
	assert_int_equal(mf_load_be32(i->bytes + 28), 1001);
	free(i);
	send_udp(&t.side[0], "10.9.0.1", "10.40.0.1", 10);
	testnet_settle(&t);
	i = testnet_app_recv(&t.side[0]);
	assert_non_null(i); /* net unreachable */
	assert_int_equal(i->bytes[9], 1);
	assert_int_equal(i->bytes[20], 3);
	assert_int_equal(i->bytes[21], 0);
	free(i);
	mf_engine_ledger(t.side[0].engine, &l);
	assert_int_equal(l.drops[MF_DROP_POLICY_DROP], 1);
	assert_int_equal(l.drops[MF_DROP_POLICY_REJECT], 2);
	assert_int_equal(l.drops[MF_DROP_NO_ROUTE], 1);
	assert_balanced(&t);
	testnet_close(&t);
}

/* The tunnel has another address than we have inside the VPN. */
static void test_addresses_are_translated(void **state)
{
	struct testnet t;
	struct testnet_item *i;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 4, .tunnel = { "10.66.0.2/30" } });
	send_udp(&t.side[0], "10.66.0.2", "10.9.0.2", 10);
	testnet_settle(&t);
	i = testnet_app_recv(&t.side[1]);
	assert_non_null(i);
	assert_memory_equal(i->bytes + 12, "\x0a\x09\x00\x01", 4);
	free(i);
	send_udp(&t.side[1], "10.9.0.2", "10.9.0.1", 10);
	testnet_settle(&t);
	i = testnet_app_recv(&t.side[0]);
	assert_non_null(i);
	assert_memory_equal(i->bytes + 16, "\x0a\x42\x00\x02", 4);
	free(i);
	assert_balanced(&t);
	testnet_close(&t);
}

static void test_too_big_is_answered(void **state)
{
	struct testnet t;
	struct testnet_item *i;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 5, .mtu = 1300 });
	send_udp(&t.side[0], "10.9.0.1", "10.9.0.2", 1273);
	testnet_settle(&t);
	i = testnet_app_recv(&t.side[0]);
	assert_non_null(i);
	assert_int_equal(i->bytes[20], 3);
	assert_int_equal(i->bytes[21], 4);
	assert_int_equal(mf_load_be16(i->bytes + 26), 1300);
	free(i);
	send_udp(&t.side[0], "10.9.0.1", "10.9.0.2", 1272);
	testnet_settle(&t);
	i = testnet_app_recv(&t.side[1]);
	assert_non_null(i);
	free(i);
	testnet_close(&t);
}

static void test_hour_of_rekeying_with_loss(void **state)
{
	struct mf_prng prng = unit_prng("hour");
	struct testnet t;
	uint32_t sent = 0, got = 0;
	struct testnet_item *i;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = prng.state });
	t.lose_per_1000 = 50;
	for (int second = 0; second < 3600; second++) {
		send_udp(&t.side[second & 1], second & 1 ? "10.9.0.2" : "10.9.0.1",
			 second & 1 ? "10.9.0.1" : "10.9.0.2", 100);
		sent++;
		testnet_advance(&t, MF_SEC);
		for (int s = 0; s < 2; s++)
			while ((i = testnet_app_recv(&t.side[s])) != NULL) {
				got++;
				free(i);
			}
	}
	assert_in_range(got, sent * 90 / 100, sent);
	assert_balanced(&t);
	testnet_close(&t);
}

struct said {
	unsigned up[MF_LOG_DEBUG + 1], gave_up;
};

static void count_line(void *ctx, enum mf_log_level level, const char *line)
{
	struct said *said = ctx;

	said->up[level] += strstr(line, "session up") != NULL;
	said->gave_up += strstr(line, "gave up") != NULL;
}

/* The log tells of the first session, and of the first after a time without; not of each rekeying. */
static void test_only_news_is_logged(void **state)
{
	struct said said = { 0 };
	struct testnet t;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 1 });
	t.side[0].engine->host.log = (struct mf_log){ count_line, &said, MF_LOG_DEBUG };
	for (int second = 0; second < 1000; second++) {
		send_udp(&t.side[0], "10.9.0.1", "10.9.0.2", 100);
		testnet_advance(&t, MF_SEC);
	}
	assert_int_equal(said.up[MF_LOG_INFO], 1);
	assert_in_range(said.up[MF_LOG_DEBUG], 7, 9);
	t.cut = true;
	for (int second = 0; second < 400; second++) {
		send_udp(&t.side[0], "10.9.0.1", "10.9.0.2", 100);
		testnet_advance(&t, MF_SEC);
	}
	assert_true(said.gave_up > 0);
	assert_int_equal(said.up[MF_LOG_INFO], 1);
	t.cut = false;
	for (int second = 0; second < 300; second++) {
		send_udp(&t.side[0], "10.9.0.1", "10.9.0.2", 100);
		testnet_advance(&t, MF_SEC);
	}
	assert_int_equal(said.up[MF_LOG_INFO], 2);
	for (unsigned s = 0; s < 2; s++)
		for (struct testnet_item *i; (i = testnet_app_recv(&t.side[s])) != NULL;)
			free(i);
	testnet_close(&t);
}

static void test_staged_packets_are_bounded_and_end(void **state)
{
	struct testnet t;
	struct mf_ledger l;

	(void)state;
	testnet_open(&t, &(struct testnet_options){ .seed = 6 });
	t.cut = true;
	for (int i = 0; i < 1000; i++)
		send_udp(&t.side[0], "10.9.0.1", "10.9.0.2", 100);
	testnet_settle(&t);
	mf_engine_ledger(t.side[0].engine, &l);
	assert_int_equal(l.held, 128);
	assert_int_equal(l.drops[MF_DROP_WG_STAGED_FULL], 1000 - 128);
	assert_balanced(&t);
	testnet_advance(&t, 120 * MF_SEC);
	mf_engine_ledger(t.side[0].engine, &l);
	assert_int_equal(l.held, 0);
	assert_int_equal(l.drops[MF_DROP_WG_HANDSHAKE_GAVE_UP], 128);
	assert_balanced(&t);
	testnet_close(&t);
}

/* IPv6 inside and outside. */
static void test_everything_over_ip6(void **state)
{
	uint8_t pkt[1500], payload[1400] = { 0 };
	struct testnet_item *i;
	struct mf_ledger l;
	struct testnet t;

	(void)state;
	testnet_open(&t, &(struct testnet_options){
				 .seed = 9, .outside6 = true, .tunnel = { "\"fd66::2/64\"" } });
	for (int k = 0; k < 3; k++) {
		testnet_app_send(&t.side[0], pkt,
				 testnet_udp6(pkt, "fd66::2", "fd09::2", 1, 2, payload, 1000), 0, 0,
				 false, 0, 0);
		testnet_settle(&t);
		i = testnet_app_recv(&t.side[1]);
		assert_non_null(i);
		assert_true(testnet_csum_ok(i->bytes, i->len));
		/* The tunnel's address became the one inside the VPN, fd09::1. */
		assert_memory_equal(i->bytes + 8, "\xfd\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
		free(i);
		testnet_app_send(&t.side[1], pkt,
				 testnet_udp6(pkt, "fd09::2", "fd09::1", 2, 1, payload, 5), 0, 0,
				 false, 0, 0);
		testnet_settle(&t);
		i = testnet_app_recv(&t.side[0]);
		assert_non_null(i);
		assert_true(testnet_csum_ok(i->bytes, i->len));
		assert_memory_equal(i->bytes + 24, "\xfd\x66\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
		free(i);
		testnet_advance(&t, 200 * MF_SEC);
	}
	testnet_app_send(&t.side[0], pkt,
			 testnet_udp6(pkt, "fd66::2", "fd09::2", 1, 2, payload, 1400), 0, 0, false,
			 0, 0);
	testnet_settle(&t);
	free(testnet_app_recv(&t.side[0]));
	mf_engine_ledger(t.side[0].engine, &l);
	assert_int_equal(l.drops[MF_DROP_TOO_BIG], 1);
	assert_int_equal(l.ended[MF_DROPPED], 1);
	assert_balanced(&t);
	testnet_close(&t);
}

/* The same initiation, many times over, as one who has heard it can send it. */
static void repeat(struct testnet_side *s, const struct testnet_item *from, int n)
{
	for (int k = 0; k < n; k++) {
		struct testnet_item *i = malloc(sizeof(*i) + from->len);

		assert_non_null(i);
		memcpy(i, from, sizeof(*i) + from->len);
		i->next = NULL;
		*s->udp_in.tail = i;
		s->udp_in.tail = &i->next;
		s->udp_in.n++;
	}
}

/* A flood that the worker has read waits for answers while the worker does not run: with as many messages
 * as there is room for none is lost, with more each loss has its name. */
static void flood_a_busy_worker(int n)
{
	struct testnet t;
	struct testnet_side *s = &t.side[0];
	struct testnet_item *i;
	struct mf_ledger l;

	testnet_open(&t, &(struct testnet_options){ .seed = 1 });
	send_udp(&t.side[1], "10.9.0.2", "10.9.0.1", 100);
	for (int k = 0; k < 3; k++) {
		mf_worker_pass(mf_engine_worker(t.side[1].engine, 0), t.now);
		mf_engine_control(t.side[1].engine, t.now);
	}
	assert_int_equal(s->udp_in.n, 1);
	repeat(s, s->udp_in.head, n - 1);
	while (s->udp_in.n)
		mf_worker_pass(mf_engine_worker(s->engine, 0), t.now);
	assert_int_equal(s->sent, 0);
	for (int k = 0; k < n; k++)
		mf_engine_control(s->engine, t.now);
	testnet_settle(&t);
	mf_engine_ledger(s->engine, &l);
	assert_int_equal(s->sent, l.drops[MF_DROP_WG_MAC2]); /* cookies, each of them */
	assert_int_equal(l.drops[MF_DROP_WG_MAC2] + l.drops[MF_DROP_WG_HANDSHAKE_QUEUE], n);
	assert_true((l.drops[MF_DROP_WG_HANDSHAKE_QUEUE] > 0) == (n > 2048));
	/* Who has such a cookie gets through. */
	testnet_advance(&t, 6 * MF_SEC);
	i = testnet_app_recv(s);
	assert_non_null(i);
	free(i);
	assert_balanced(&t);
	testnet_close(&t);
}

static void test_no_answer_to_a_flood_is_lost(void **state)
{
	(void)state;
	flood_a_busy_worker(2000);
	flood_a_busy_worker(4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_packet_waits_for_the_handshake),
		cmocka_unit_test(test_super_packet_arrives_whole),
		cmocka_unit_test(test_routes_decide),
		cmocka_unit_test(test_addresses_are_translated),
		cmocka_unit_test(test_too_big_is_answered),
		cmocka_unit_test(test_everything_over_ip6),
		cmocka_unit_test(test_hour_of_rekeying_with_loss),
		cmocka_unit_test(test_only_news_is_logged),
		cmocka_unit_test(test_staged_packets_are_bounded_and_end),
		cmocka_unit_test(test_no_answer_to_a_flood_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
