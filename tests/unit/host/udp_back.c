/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes back to an app through its UDP mapping: whole, in super-packets, in fragments, as its link and
 * its path take it.
 */
#include "dgramlab.h"

static void test_back(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_endpoint from = lab_server(v, 1, 53);
		size_t ip = v == 4 ? 20 : 40;

		lab_send(lab_udp(v, 1, 4000, 1, 53, 30));
		lab_begin();
		fakedgram_give(lab_last(), &from, lab_bytes, 1400, 0, 0x03); /* CE */
		lab_run();
		assert_memory_equal(lab_got(v, 1, 53, 1, 4000, 1400), lab_bytes, 1400);
		assert_int_equal(mf_ip_tos(lab.out[0]->data), 3);
		assert_int_equal(mf_ip_ttl(lab.out[0]->data), 64);
		assert_int_equal(lab.out[0]->len, ip + 1408);
		lab_begin();
		lab_give(lab_last(), v, 1, 53, 0); /* an empty one is one, too */
		lab_run();
		lab_got(v, 1, 53, 1, 4000, 0);
	}
}

/* More than a turn's share: all of it comes, in order. */
static void test_back_many(void **state)
{
	struct mf_endpoint from = lab_server(4, 1, 9);

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 9, 1));
	lab_begin();
	for (size_t i = 0; i < 1000; i++)
		fakedgram_give(lab_last(), &from, lab_bytes, i, 0, 0);
	mf_host_run(lab.h, lab.now);
	assert_true(lab.n_out < 500 && mf_host_pending(lab.h));
	lab_run();
	assert_int_equal(lab.n_out, 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(lab.out[i]->len, 28 + i);
}

static void give_up(void *ctx, struct mf_pkt *p, enum mf_drop reason)
{
	(void)ctx, (void)p;
	fail_msg("a fragment of ours: %s", mf_drop_name(reason));
}

static void absorb(void *ctx, struct mf_pkt *p)
{
	(void)ctx;
	mf_pkt_free(p);
}

/* Takes what went to the app through reassembly; the n datagrams of these lengths must come out. */
static void reassemble(unsigned v, uint32_t mtu, const size_t *want, size_t n)
{
	struct mf_reass *r = mf_reass_new(lab.pool, 64, UINT64_MAX);
	size_t i, got = 0;

	for (i = 0; i < lab.n_out; i++) {
		struct mf_pkt *p = lab.out[i], *w;

		assert_true(p->len <= mtu);
		assert_int_equal(p->gso_type, MF_GSO_NONE);
		assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
		w = mf_reass_add(r, p, 0, give_up, NULL, absorb);
		if (!w)
			continue;
		assert_true(got < n);
		assert_int_equal(w->len, (v == 4 ? 28 : 48) + want[got]);
		assert_true(mf_ip_l4_csum_ok(w));
		assert_memory_equal(w->data + (v == 4 ? 28 : 48), lab_bytes, want[got]);
		got++;
		mf_pkt_free(w);
	}
	lab.n_out = 0;
	assert_int_equal(got, n);
	assert_int_equal(mf_reass_held(r), 0);
	mf_reass_free(r);
}

/* An outbound that has nothing is asked once and not again. */
static void test_back_edge(void **state)
{
	uint32_t recvs;

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 9, 1));
	assert_int_equal(lab_last()->recvs, 0);
	lab_begin();
	lab_give(lab_last(), 4, 1, 9, 5);
	lab_run();
	recvs = lab_last()->recvs;
	assert_true(recvs <= 2);
	lab_send(lab_udp(4, 1, 4000, 1, 9, 1));
	assert_int_equal(lab_last()->recvs, recvs);
}

/* What no UDP packet could carry. */
static void test_back_too_long(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_endpoint from = lab_server(v, 1, 9);
		size_t most = v == 4 ? 65507 : 65527;

		lab_send(lab_udp(v, 1, 4000, 1, 9, 1));
		lab_begin();
		fakedgram_give(lab_last(), &from, lab_bytes, most + 1, 0, 0);
		fakedgram_give(lab_last(), &from, lab_bytes, most + 1, 1200, 0);
		lab_run();
		assert_int_equal(lab.n_out, 0);
		lab_give(lab_last(), v, 1, 9, most);
		lab_run();
		reassemble(v, 1500, &most, 1);
	}
}

/* Against the model that cuts slowly. */
static void check_super(unsigned v, size_t n, uint16_t gso_size)
{
	struct spec s = lab_spec(v, 1, 1, 1, 1, 0);
	static uint8_t want[65536];
	struct mf_pkt *p = lab.out[0];
	struct mf_gso g;
	uint8_t *seg;
	size_t len;

	assert_int_equal(lab.n_out, 1);
	assert_int_equal(p->gso_type, MF_GSO_UDP);
	assert_int_equal(p->gso_size, gso_size);
	memcpy(s.src, lab_spec(v, 1, 1, 1, 1, 0).dst, 16);
	memcpy(s.dst, lab_spec(v, 1, 1, 1, 1, 0).src, 16);
	s.sport = 443;
	s.dport = 4000;
	s.n = n;
	s.id = 0;
	assert_int_equal(mf_vnet_check(p), MF_DROP_NONE);
	assert_int_equal(mf_gso_begin(&g, p), MF_DROP_NONE);
	for (size_t i = 0; (len = mf_gso_next(&g, &seg)); i++) {
		assert_int_equal(slow_segment(&s, gso_size, i, want), len);
		if (v == 6)
			mf_store_be32(want, 6u << 28); /* the model has a flow label */
		assert_memory_equal(seg, want, len);
	}
	assert_int_equal(g.count, (n + gso_size - 1) / gso_size);
}

static void test_super_packets_back(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_endpoint from = lab_server(v, 1, 443);

		lab_send(lab_udp(v, 1, 4000, 1, 443, 30));
		lab_begin();
		fakedgram_give(lab_last(), &from, lab_bytes, 40 * 1252 + 99, 1252, 0);
		lab_run();
		check_super(v, 40 * 1252 + 99, 1252);
		/* One of one segment is a packet. */
		lab_begin();
		fakedgram_give(lab_last(), &from, lab_bytes, 1252, 1252, 0);
		lab_run();
		assert_int_equal(lab.out[0]->gso_type, MF_GSO_NONE);
		lab_got(v, 1, 443, 1, 4000, 1252);
	}
}

static void test_tun_without_super_packets(void **state)
{
	struct mf_host_config cfg = lab_config();
	struct mf_endpoint from = lab_server(4, 1, 443);

	(void)state;
	cfg.no_uso = true;
	mf_host_configure(lab.h, &cfg);
	lab_send(lab_udp(4, 1, 4000, 1, 443, 30));
	lab_begin();
	fakedgram_give(lab_last(), &from, lab_bytes, 10 * 1200 + 1, 1200, 0);
	lab_run();
	assert_int_equal(lab.n_out, 11);
	for (size_t i = 0; i < 11; i++) {
		assert_int_equal(mf_ip_input(lab.out[i]), MF_DROP_NONE);
		assert_int_equal(lab.out[i]->gso_type, MF_GSO_NONE);
		assert_int_equal(lab.out[i]->len, 28 + (i < 10 ? 1200 : 1));
		assert_true(mf_ip_l4_csum_ok(lab.out[i]));
		assert_memory_equal(lab.out[i]->data + 28, lab_bytes + i * 1200,
				    lab.out[i]->len - 28);
	}
}

static void test_big_answers(void **state)
{
	static const size_t sizes[] = { 1472, 1473, 5000, 65507, 0 };

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		lab_send(lab_udp(v, 1, 4000, 1, 53, 30));
		for (size_t i = 0; i < MF_ARRAY_LEN(sizes); i++) {
			lab_begin();
			lab_give(lab_last(), v, 1, 53, sizes[i]);
			lab_run();
			if (lab.n_out == 1)
				lab_got(v, 1, 53, 1, 4000, sizes[i]);
			else
				reassemble(v, 1500, &sizes[i], 1);
		}
	}
}

/* A super-packet of datagrams that each are too long for the TUN. */
static void test_big_answers_in_super_packets(void **state)
{
	static const size_t want[] = { 3000, 3000, 3000, 500 };

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_endpoint from = lab_server(v, 1, 443);
		static uint8_t b[9500];

		for (int i = 0; i < 4; i++)
			memcpy(b + 3000 * i, lab_bytes, i < 3 ? 3000 : 500);
		lab_send(lab_udp(v, 1, 4000, 1, 443, 30));
		lab_begin();
		fakedgram_give(lab_last(), &from, b, sizeof(b), 3000, 0);
		lab_run();
		reassemble(v, 1500, want, 4);
	}
}

/* A router behind the TUN says what it takes; within reason that is done. */
static void test_path_mtu_to_app(void **state)
{
	static const size_t n = 1400;

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		uint8_t type = v == 4 ? 3 : 2, code = v == 4 ? 4 : 0;
		uint8_t quote[100];

		lab_send(lab_udp(v, 1, 4000, 1, 53, 30));
		lab_begin();
		lab_give(lab_last(), v, 1, 53, n);
		lab_run();
		assert_int_equal(lab.n_out, 1);
		memcpy(quote, lab.out[0]->data, sizeof(quote));
		/* Nobody has such links; it is a forgery or a mistake. */
		lab_send(lab_icmp(v, 9, 1, type, code, v == 4 ? 68 : 100, quote, sizeof(quote)));
		assert_int_equal(lab.consumed, 1);
		lab_begin();
		lab_give(lab_last(), v, 1, 53, n);
		lab_run();
		lab_got(v, 1, 53, 1, 4000, n);
		lab_send(lab_icmp(v, 9, 1, type, code, 1300, quote, sizeof(quote)));
		lab_begin();
		lab_give(lab_last(), v, 1, 53, n);
		lab_run();
		assert_int_equal(lab.n_out, 2);
		reassemble(v, 1300, &n, 1);
		/* It does not grow by what another one says. */
		lab_send(lab_icmp(v, 9, 1, type, code, 1450, quote, sizeof(quote)));
		lab_begin();
		lab_give(lab_last(), v, 1, 53, n);
		lab_run();
		reassemble(v, 1300, &n, 1);
		/* It has to be addressed to whom the packet came from. */
		lab_send(lab_icmp(v, 9, 2, type, code, 1280, quote, sizeof(quote)));
		assert_int_equal(lab.dropped[MF_DROP_ICMP_UNMATCHED], 1);
	}
	assert_int_equal(mf_host_counters(lab.h)->icmp_from_app, 6);
}

/* An app that has closed its port says so for each late answer: the mapping stays (RFC 4787 REQ-12). */
static void test_port_closed_by_app(void **state)
{
	uint8_t quote[100];

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 53, 30));
	lab_begin();
	lab_give(lab_last(), 4, 1, 53, 100);
	lab_run();
	memcpy(quote, lab.out[0]->data, sizeof(quote));
	lab_send(lab_icmp(4, 1, 1, 3, 3, 0, quote, sizeof(quote)));
	assert_int_equal(lab.consumed, 1);
	assert_int_equal(mf_host_counters(lab.h)->icmp_from_app, 1);
	assert_int_equal(lab.far.n_open, 1);
}

/* The pool is nearly empty: what waits keeps waiting and comes when there is room again. */
static void test_starved(void **state)
{
	static struct mf_pkt *hoard[2000];
	size_t n = 0;

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 53, 30));
	while (mf_pkt_pool_free_small(lab.pool) > 100)
		hoard[n++] = mf_pkt_small(lab.pool);
	lab_begin();
	lab_give(lab_last(), 4, 1, 53, 100);
	lab_run();
	assert_int_equal(lab.n_out, 0);
	while (n)
		mf_pkt_free(hoard[--n]);
	lab_wait(MF_SEC);
	lab_got(4, 1, 53, 1, 4000, 100);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, lab_up, lab_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_back),
		test(test_back_many),
		test(test_back_edge),
		test(test_back_too_long),
		test(test_super_packets_back),
		test(test_tun_without_super_packets),
		test(test_big_answers),
		test(test_big_answers_in_super_packets),
		test(test_path_mtu_to_app),
		test(test_port_closed_by_app),
		test(test_starved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
