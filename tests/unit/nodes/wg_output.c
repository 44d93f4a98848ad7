/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes into which batch, and that nothing is lost on the way: super-packets of strange segment sizes,
 * runs of mixed sizes, the largest MTUs, offload left undone.
 */
#include "unit.h"

#include "support/testnet.h"

enum { CE = 3, ECT0 = 2 };

static uint8_t pkt[65536], payload[65536];

static void fill(void)
{
	for (uint32_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + i / 251);
}

static void open_net(struct testnet *t, uint32_t mtu)
{
	struct testnet_item *i;

	fill();
	testnet_open(t, &(struct testnet_options){ .seed = 3, .mtu = mtu });
	testnet_app_send(&t->side[0], pkt, testnet_udp4(pkt, "10.9.0.1", "10.9.0.2", 1, 2, "x", 1),
			 0, 0, false, 0, 0);
	testnet_settle(t);
	i = testnet_app_recv(&t->side[1]);
	assert_non_null(i);
	free(i);
}

static struct mf_ledger ledger(struct testnet *t)
{
	struct mf_ledger l;

	for (unsigned k = 0; k < TESTNET_SIDES; k++)
		assert_true(testnet_balanced(&t->side[k]));
	mf_engine_ledger(t->side[0].engine, &l);
	return l;
}

static void send_super(struct testnet *t, bool v6, bool tcp, uint32_t n, uint16_t mss)
{
	uint32_t len;
	uint16_t at;

	if (tcp)
		len = v6 ? testnet_tcp6(pkt, "fd09::1", "fd09::2", 9, 8, 77, 5, 0x18, payload, n)
			 : testnet_tcp4(pkt, "10.9.0.1", "10.9.0.2", 9, 8, 77, 5, 0x18, payload, n);
	else
		len = v6 ? testnet_udp6(pkt, "fd09::1", "fd09::2", 9, 8, payload, n)
			 : testnet_udp4(pkt, "10.9.0.1", "10.9.0.2", 9, 8, payload, n);
	at = testnet_unfinish(pkt, len);
	testnet_app_send(&t->side[0], pkt, len,
			 !tcp ? MF_GSO_UDP
			 : v6 ? MF_GSO_TCP6
			      : MF_GSO_TCP4,
			 mss, true, at, tcp ? 16 : 6);
}

/* The payload that arrived, in order; merged packets must be cut where the sender cut. Returns how many
 * bytes; `segments` of how many wire packets. */
static uint32_t receive(struct testnet *t, uint16_t mss, uint32_t *segments)
{
	struct testnet_item *i;
	uint32_t at = 0;

	*segments = 0;
	while ((i = testnet_app_recv(&t->side[1])) != NULL) {
		uint32_t l4 = i->bytes[0] >> 4 == 4 ? 20 : 40;
		bool tcp = i->bytes[l4 == 20 ? 9 : 6] == 6;
		uint32_t header = l4 + (tcp ? 20 : 8);

		if (i->gso_type)
			assert_int_equal(i->gso_size, mss);
		else
			assert_true(testnet_csum_ok(i->bytes, i->len));
		if (tcp)
			assert_int_equal(mf_load_be32(i->bytes + l4 + 4), 77 + at);
		assert_memory_equal(i->bytes + header, payload + at, i->len - header);
		at += i->len - header;
		*segments += i->segments;
		free(i);
	}
	return at;
}

static void check_super(bool v6, bool tcp, uint32_t n, uint16_t mss)
{
	uint32_t segments, count = (n + mss - 1) / mss;
	struct testnet t;

	open_net(&t, 0);
	for (int round = 0; round < 2; round++) {
		send_super(&t, v6, tcp, n, mss);
		testnet_settle(&t);
		assert_int_equal(receive(&t, mss, &segments), n);
		assert_int_equal(segments, count);
	}
	ledger(&t);
	testnet_close(&t);
}

static void test_super_packets(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++)
		for (int tcp = 0; tcp < 2; tcp++) {
			check_super(v6, tcp, 60000, 1300);
			check_super(v6, tcp, 1301, 1300);
			check_super(v6, tcp, 2600, 1300);
			check_super(v6, tcp, 65000, 1368 - 28);
			check_super(v6, tcp, 6400, 100); /* 64 segments */
			check_super(v6, tcp, 6401, 100);
			check_super(v6, tcp, 12801, 100); /* 129 */
		}
}

static void test_tiny_segments(void **state)
{
	(void)state;
	check_super(false, true, 65000, 48); /* TCP_MIN_MSS: 1355 segments */
	check_super(true, true, 65000, 48);
	check_super(false, true, 4000, 1);
}

/* The header may be in a packet of its own: a super-packet of one segment is none. */
static void test_super_packet_of_one_segment(void **state)
{
	(void)state;
	check_super(false, true, 100, 1300);
	check_super(true, true, 1300, 1300);
	check_super(false, false, 1, 1300);
	check_super(true, false, 100, 1300);
}

static void test_checksum_left_to_us(void **state)
{
	struct testnet t;
	uint32_t segments;

	(void)state;
	open_net(&t, 0);
	for (int v6 = 0; v6 < 2; v6++)
		for (int tcp = 0; tcp < 2; tcp++) {
			send_super(&t, v6, tcp, 333, 0);
			t.side[0].tun_in.head->gso_type = 0;
			testnet_settle(&t);
			assert_int_equal(receive(&t, 0, &segments), 333);
			assert_int_equal(segments, 1);
		}
	ledger(&t);
	testnet_close(&t);
}

static void send_plain(struct testnet *t, uint32_t n, uint8_t tos)
{
	uint32_t len = testnet_udp4(pkt, "10.9.0.1", "10.9.0.2", 1, 2, payload, n), sum;

	pkt[1] = tos;
	sum = (uint32_t)mf_load_be16(pkt + 10) + 0xffff - tos;
	mf_store_be16(pkt + 10, (uint16_t)((sum & 0xffff) + (sum >> 16)));
	testnet_app_send(&t->side[0], pkt, len, 0, 0, false, 0, 0);
}

static uint32_t count_received(struct testnet *t)
{
	struct testnet_item *i;
	uint32_t n = 0;

	while ((i = testnet_app_recv(&t->side[1])) != NULL) {
		n += i->segments;
		free(i);
	}
	return n;
}

/* Each packet longer than the one before begins a batch; then one comes that needs more than are left. */
static void test_more_batches_than_a_job_has(void **state)
{
	struct testnet t;

	(void)state;
	open_net(&t, 0);
	for (int round = 0; round < 63; round++)
		send_plain(&t, (uint32_t)(16 * round), 0);
	send_super(&t, false, true, 13000, 100);
	send_plain(&t, 1, 0);
	testnet_settle(&t);
	assert_int_equal(count_received(&t), 63 + 130 + 1);
	assert_int_equal(ledger(&t).ended[MF_DROPPED], 0);
	testnet_close(&t);
}

static void test_hopeless_super_packet_goes_alone(void **state)
{
	struct testnet t;

	(void)state;
	open_net(&t, 0);
	send_plain(&t, 10, 0);
	send_super(&t, false, true, 60000, 1);
	send_plain(&t, 10, 0);
	testnet_settle(&t);
	assert_int_equal(count_received(&t), 2);
	assert_int_equal(ledger(&t).drops[MF_DROP_OFFLOAD_META], 60000);
	testnet_close(&t);
}

static void test_mixed_sizes_random(void **state)
{
	struct mf_prng prng = unit_prng("mixed");
	struct testnet t;
	uint32_t sent = 0;

	(void)state;
	open_net(&t, 0);
	for (int round = 0; round < 200; round++) {
		for (int k = 0; k < 40; k++) {
			uint32_t n = (uint32_t)mf_prng_below(&prng, 1392);
			uint16_t mss = (uint16_t)(10 + mf_prng_below(&prng, 1300));

			if (mf_prng_below(&prng, 8)) {
				send_plain(&t, n, mf_prng_below(&prng, 10) ? 0 : ECT0);
				sent++;
				continue;
			}
			n = (uint32_t)(1 + mf_prng_below(&prng, 20000));
			send_super(&t, mf_prng_below(&prng, 2), mf_prng_below(&prng, 2), n, mss);
			sent += (n + mss - 1) / mss;
		}
		testnet_settle(&t);
	}
	assert_int_equal(count_received(&t), sent);
	assert_int_equal(ledger(&t).ended[MF_DROPPED], 0);
	testnet_close(&t);
}

static void check_mtu(uint32_t mtu, uint32_t effective)
{
	struct testnet_item *i;
	struct mf_iface_info info;
	struct testnet t;

	open_net(&t, mtu);
	assert_true(mf_engine_iface(t.side[0].engine, 0, &info));
	assert_int_equal(info.mtu, effective);
	for (int k = 0; k < 3; k++)
		send_plain(&t, effective - 28, 0);
	send_plain(&t, 2100 < effective ? 2100 : 100, 0);
	testnet_settle(&t);
	assert_int_equal(count_received(&t), 4);
	assert_null(testnet_app_recv(&t.side[0]));
	send_plain(&t, effective - 27, 0);
	testnet_settle(&t);
	assert_int_equal(count_received(&t), 0);
	i = testnet_app_recv(&t.side[0]);
	assert_non_null(i);
	assert_int_equal(mf_load_be16(i->bytes + 26), effective);
	free(i);
	assert_int_equal(ledger(&t).drops[MF_DROP_TOO_BIG], 1);
	testnet_close(&t);
}

static void test_mtus(void **state)
{
	(void)state;
	check_mtu(1280, 1280);
	check_mtu(1421, 1421);
	check_mtu(9000, 9000);
	check_mtu(65000, 65000);
	check_mtu(65520, MF_WG_MTU_MAX);
}

static void test_congestion_marks(void **state)
{
	struct testnet_item *i;
	struct testnet t;
	int n = 0;

	(void)state;
	open_net(&t, 0);
	send_plain(&t, 10, ECT0);
	send_plain(&t, 10, 0xb8);
	send_plain(&t, 10, 0xb8 | CE);
	while (t.side[0].tun_in.n)
		mf_worker_pass(mf_engine_worker(t.side[0].engine, 0), t.now);
	for (i = t.side[1].udp_in.head; i; i = i->next, n++) {
		/* The congestion half alone shows outside. */
		assert_int_equal(i->tos, n == 0 ? ECT0 : n == 1 ? 0 : CE);
		i->tos = CE; /* and the network marks all of them */
	}
	assert_int_equal(n, 3);
	testnet_settle(&t);
	i = testnet_app_recv(&t.side[1]);
	assert_int_equal(i->bytes[1], CE);
	assert_true(testnet_csum_ok(i->bytes, i->len));
	free(i);
	i = testnet_app_recv(&t.side[1]); /* the one that cannot carry it was dropped */
	assert_int_equal(i->bytes[1], 0xb8 | CE);
	free(i);
	assert_null(testnet_app_recv(&t.side[1]));
	ledger(&t);
	testnet_close(&t);
}

/* A worker whose pool is used up loses packets and counts them, nothing else. */
static void test_no_packets_left(void **state)
{
	static struct mf_pkt *hoard[20000];
	struct mf_worker *w;
	struct testnet t;
	uint32_t n = 0;

	(void)state;
	open_net(&t, 0);
	w = mf_engine_worker(t.side[0].engine, 0);
	send_plain(&t, 10, 0);
	while (mf_pkt_pool_free_small(w->pool) > 1)
		hoard[n++] = mf_pkt_small(w->pool);
	while (mf_pkt_pool_free_large(w->pool))
		hoard[n++] = mf_pkt_large(w->pool);
	mf_worker_pass(w, t.now);
	assert_int_equal(ledger(&t).drops[MF_DROP_BUFFERS], 1);
	while (n)
		mf_pkt_free(hoard[--n]);
	send_plain(&t, 10, 0);
	testnet_settle(&t);
	assert_int_equal(count_received(&t), 1);
	ledger(&t);
	testnet_close(&t);
}

static void test_no_peer_no_endpoint(void **state)
{
	struct mf_wg_peer_config c = { .set = MF_WG_SET_ENDPOINT };
	struct mf_wg_peer_info info;
	struct mf_iface_info f;
	struct testnet_item *i;
	struct testnet t;

	(void)state;
	open_net(&t, 0);
	assert_true(mf_engine_iface(t.side[0].engine, 0, &f));
	mf_wg_peer_info(mf_wg_peer_next(f.device, NULL), t.now, &info);
	c.public_key = info.public_key;
	assert_int_equal(mf_engine_peer_set(t.side[0].engine, f.device, &c, t.now, NULL), MF_OK);
	send_plain(&t, 10, 0);
	testnet_settle(&t);
	i = testnet_app_recv(&t.side[0]);
	assert_non_null(i);
	assert_int_equal(i->bytes[20], 3);
	assert_int_equal(i->bytes[21], 1);
	free(i);
	mf_wg_peer_remove(mf_wg_peer_next(f.device, NULL), t.now);
	send_plain(&t, 10, 0);
	testnet_settle(&t);
	free(testnet_app_recv(&t.side[0]));
	assert_int_equal(ledger(&t).drops[MF_DROP_WG_NO_ENDPOINT], 1);
	assert_int_equal(ledger(&t).drops[MF_DROP_WG_NO_PEER], 1);
	testnet_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_super_packets),
		cmocka_unit_test(test_tiny_segments),
		cmocka_unit_test(test_super_packet_of_one_segment),
		cmocka_unit_test(test_checksum_left_to_us),
		cmocka_unit_test(test_more_batches_than_a_job_has),
		cmocka_unit_test(test_hopeless_super_packet_goes_alone),
		cmocka_unit_test(test_mixed_sizes_random),
		cmocka_unit_test(test_mtus),
		cmocka_unit_test(test_congestion_marks),
		cmocka_unit_test(test_no_packets_left),
		cmocka_unit_test(test_no_peer_no_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
