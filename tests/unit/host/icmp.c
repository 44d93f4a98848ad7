/* SPDX-License-Identifier: Apache-2.0
 *
 * Pings there and back, errors about them, and which ICMP of an app's side is believed.
 */
#include "dgramlab.h"

#include "wire/tcp.h"

static struct mf_pkt *ping(unsigned v, uint8_t app, uint8_t server, uint16_t id, uint16_t seq,
			   size_t n)
{
	return lab_icmp(v, app, server, v == 4 ? 8 : 128, 0, (uint32_t)id << 16 | seq, NULL, n);
}

/* The reply as it comes to an outbound that uses identifier 0x7777 outside. */
static void pong(struct fake_dgram *x, unsigned v, uint8_t server, uint16_t seq, size_t n)
{
	struct mf_endpoint from = lab_server(v, server, 0);
	static uint8_t b[65536];

	memset(b, 0, 8);
	b[0] = v == 4 ? 0 : 129;
	mf_store_be16(b + 4, 0x7777);
	mf_store_be16(b + 6, seq);
	memcpy(b + 8, lab_bytes, n);
	if (v == 4)
		mf_store_be16(b + 2, slow_finish(slow_sum(b, 8 + n, 0)));
	fakedgram_give(x, &from, b, 8 + n, 0, 0);
}

static void check_pong(unsigned v, struct mf_pkt *p, uint8_t server, uint8_t app, uint16_t id,
		       uint16_t seq, size_t n)
{
	struct spec s = lab_spec(v, app, 0, server, 0, 0);
	size_t ip = v == 4 ? 20 : 40, alen = v == 4 ? 4 : 16;

	assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
	assert_int_equal(p->len, ip + 8 + n);
	assert_int_equal(p->l4_proto, v == 4 ? ICMP : ICMP6);
	assert_memory_equal(mf_ip_src_bytes(p), s.dst, alen);
	assert_memory_equal(mf_ip_dst_bytes(p), s.src, alen);
	assert_int_equal(p->data[ip], v == 4 ? 0 : 129);
	assert_int_equal(mf_load_be16(p->data + ip + 4), id);
	assert_int_equal(mf_load_be16(p->data + ip + 6), seq);
	assert_memory_equal(p->data + ip + 8, lab_bytes, n);
	if (v == 4)
		assert_int_equal(slow_finish(slow_sum(p->data + ip, p->len - ip, 0)), 0);
	else
		assert_true(mf_ip_l4_csum_ok(p));
}

static void test_round_trip(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct fake_dgram *a, *b;
		const struct fake_sent *s;

		lab_send(ping(v, 1, 3, 0x1234, 1, 56));
		a = lab.far.last;
		assert_int_equal(a->app.port, 0x1234);
		s = fakedgram_sent(a);
		assert_int_equal(s->n, 64);
		assert_int_equal(s->bytes[0], v == 4 ? 8 : 128);
		assert_int_equal(mf_load_be16(s->bytes + 4), 0x1234);
		assert_int_equal(mf_load_be16(s->bytes + 6), 1);
		assert_memory_equal(s->bytes + 8, lab_bytes, 56);
		assert_int_equal(s->remote.port, 0);
		/* Another identifier is another session, another server is not. */
		lab_send(ping(v, 1, 3, 0x1235, 1, 56));
		b = lab.far.last;
		assert_ptr_not_equal(a, b);
		lab_send(ping(v, 1, 4, 0x1234, 2, 0));
		assert_ptr_equal(lab.far.last, b);
		assert_int_equal(a->n_sent, 2);
		lab_begin();
		pong(a, v, 4, 2, 0);
		lab_run();
		assert_int_equal(lab.n_out, 1);
		check_pong(v, lab.out[0], 4, 1, 0x1234, 2, 0);
		lab_begin();
		pong(b, v, 3, 1, 57);
		lab_run();
		check_pong(v, lab.out[0], 3, 1, 0x1235, 1, 57);
	}
	assert_int_equal(mf_host_counters(lab.h)->echo_opened, 4);
	lab_wait(61 * MF_SEC);
	assert_int_equal(lab.far.n_open, 0);
}

/* Pings that are longer than the MTU of the TUN, both ways. */
static void test_big_ping(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_pkt *whole = ping(v, 1, 3, 7, 1, 4000), *f, *next;
		struct mf_reass *r = mf_reass_new(lab.pool, 8, UINT64_MAX);
		struct mf_pkt *w = NULL;

		f = mf_fragment_cut(lab.pool, whole->data, whole->len, 1500, 7);
		mf_pkt_free(whole);
		lab_begin();
		for (; f; f = next) {
			next = f->next;
			f->next_hop = HOP;
			mf_host_icmp(lab.h, &f, 1);
		}
		assert_int_equal(fakedgram_sent(lab.far.last)->n, 4008);
		assert_true(fakedgram_sent(lab.far.last)->flags & MF_PKT_MAY_FRAGMENT);
		pong(lab.far.last, v, 3, 1, 4000);
		lab_run();
		assert_int_equal(lab.n_out, 3);
		for (size_t i = 0; i < 3; i++) {
			assert_true(lab.out[i]->len <= 1500);
			assert_int_equal(mf_ip_input(lab.out[i]), MF_DROP_NONE);
			w = mf_reass_add(r, lab.out[i], 0, lab_drop, NULL, lab_consume);
		}
		lab.n_out = 0;
		assert_non_null(w);
		check_pong(v, w, 3, 1, 7, 1, 4000);
		mf_pkt_free(w);
		mf_reass_free(r);
	}
}

/* What a socket for pings may deliver besides replies is nothing for the app. */
static void test_not_a_reply(void **state)
{
	struct mf_endpoint from = lab_server(4, 3, 0);
	uint8_t b[16] = { 0 };

	(void)state;
	lab_send(ping(4, 1, 3, 7, 1, 0));
	lab_begin();
	fakedgram_give(lab.far.last, &from, b, 7, 0, 0); /* short */
	b[0] = 8;
	fakedgram_give(lab.far.last, &from, b, 16, 0, 0);
	b[0] = 129;
	fakedgram_give(lab.far.last, &from, b, 16, 0, 0);
	b[0] = 0;
	b[1] = 1;
	fakedgram_give(lab.far.last, &from, b, 16, 0, 0);
	lab_run();
	assert_int_equal(lab.n_out, 0);
}

static void test_errors_about_pings(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_endpoint router = lab_server(v, 200, 0);
		struct mf_dgram_error e = {
			.remote = lab_server(v, 3, 0),
			.offender = router.addr,
			.type = v == 4 ? 11 : 3,
			.echo_seq = 513,
		};
		struct mf_pkt q;

		lab_send(ping(v, 1, 3, 0x1234, 513, 0));
		lab_begin();
		fakedgram_error(lab.far.last, &e);
		lab_run();
		q = lab_got_error(v, &router.addr, v == 4 ? 11 : 3, 0, 0);
		assert_int_equal(q.l4_proto, v == 4 ? ICMP : ICMP6);
		assert_int_equal(q.data[q.l4_off], v == 4 ? 8 : 128);
		assert_int_equal(mf_load_be32(q.data + q.l4_off + 4), 0x12340201);
	}
}

/* Ping needs a permission that direct may not have: the app is told. */
static void test_ping_prohibited(void **state)
{
	(void)state;
	lab.far.refuse = MF_STREAM_E_PROHIBITED;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_addr far = lab_server(v, 3, 0).addr;
		struct mf_pkt q;

		lab_send(ping(v, 1, 3, 0x1234, 513, 0));
		q = lab_got_error(v, &far, v == 4 ? 3 : 1, v == 4 ? 13 : 1, 0);
		assert_int_equal(mf_load_be32(q.data + q.l4_off + 4), 0x12340201);
		assert_int_equal(lab.dropped[MF_DROP_OUTBOUND_DOWN], 1);
	}
}

/* The same for a ping that is too big for the way out, and of which the outbound says no more. */
static void test_ping_too_big(void **state)
{
	(void)state;
	lab.far.drop = MF_DROP_TOO_BIG;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_addr far = lab_server(v, 3, 0).addr;
		struct mf_pkt q;

		lab_send(ping(v, 1, 3, 0x1234, 513, 1450));
		q = lab_got_error(v, &far, v == 4 ? 3 : 2, v == 4 ? 4 : 0, v == 4 ? 576 : 1280);
		assert_int_equal(mf_load_be32(q.data + q.l4_off + 4), 0x12340201);
	}
}

/* ---- What comes from apps ------------------------------------------------------------------------- */

static enum mf_drop fate(struct mf_pkt *p)
{
	lab_send(p);
	assert_int_equal(lab.drops + lab.consumed, 1);
	for (unsigned i = 0; i < MF_DROP_COUNT; i++)
		if (lab.dropped[i])
			return (enum mf_drop)i;
	return MF_DROP_NONE;
}

static void test_types(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		bool error4 = type == 3 || type == 11 || type == 12, error6 = type >= 1 && type <= 4;
		enum mf_drop want;

		want = type == 8             ? MF_DROP_NONE
		       : type == 0 || error4 ? MF_DROP_ICMP_UNMATCHED
					     : MF_DROP_PROTOCOL;
		/* of an error: nothing that can be a quoted packet */
		if (error4)
			want = MF_DROP_L4_TRUNCATED;
		assert_int_equal(fate(lab_icmp(4, 1, 3, (uint8_t)type, 0, 0, NULL, 40)), want);
		want = type == 128   ? MF_DROP_NONE
		       : type == 129 ? MF_DROP_ICMP_UNMATCHED
		       : error6      ? MF_DROP_L4_TRUNCATED
				     : MF_DROP_PROTOCOL;
		assert_int_equal(fate(lab_icmp(6, 1, 3, (uint8_t)type, 0, 0, NULL, 60)), want);
	}
}

static void test_damaged(void **state)
{
	struct mf_pkt *p;
	uint8_t b[100];

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		p = ping(v, 1, 3, 1, 1, 8);
		p->data[p->len - 1] ^= 1;
		assert_int_equal(fate(p), MF_DROP_L4_CHECKSUM);
		p = ping(v, 1, 3, 1, 1, 0);
		memcpy(b, p->data, p->len);
		if (v == 4) {
			mf_store_be16(b + 2, 27);
			slow_fill_csums(b, 20, ICMP, 28);
		} else {
			mf_store_be16(b + 4, 7);
		}
		mf_pkt_free(p);
		assert_int_equal(fate(lab_finish(lab_raw(b, v == 4 ? 27 : 47))),
				 MF_DROP_L4_TRUNCATED);
	}
	/* ICMPv6 in IPv4 */
	p = lab_udp(4, 1, 1, 1, 1, 20);
	p->data[9] = ICMP6;
	slow_fill_csums(p->data, 20, ICMP6, p->len);
	assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
	assert_int_equal(fate(p), MF_DROP_PROTOCOL);
}

/* An error from the app at `app` about b, a packet that it got from `server`. */
static enum mf_drop complain(unsigned v, uint8_t server, const uint8_t *b, size_t n)
{
	return fate(lab_icmp(v, 1, server, v == 4 ? 3 : 1, 3, 0, b, n));
}

static void test_matching(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct spec s = lab_spec(v, 1, 53, 3, 4000, 20), t = s;
		size_t ip = slow_ip_len(&s), n;
		uint8_t b[200];

		/* what an answer looks like: from the server to the app */
		memcpy(s.src, t.dst, 16);
		memcpy(s.dst, t.src, 16);
		n = slow_build(&s, b);
		assert_int_equal(complain(v, 3, b, n), MF_DROP_ICMP_UNMATCHED);
		lab_send(lab_udp(v, 1, 4000, 3, 53, 20));
		assert_int_equal(complain(v, 3, b, n), MF_DROP_NONE);
		assert_int_equal(complain(v, 3, b, ip + 8), MF_DROP_NONE);
		assert_int_equal(complain(v, 3, b, ip + 7), MF_DROP_L4_TRUNCATED);
		assert_int_equal(complain(v, 3, b, 0), MF_DROP_L4_TRUNCATED);
		assert_int_equal(complain(v, 4, b, n), MF_DROP_ICMP_UNMATCHED);
		b[ip + 3]++; /* another port of the app */
		assert_int_equal(complain(v, 3, b, n), MF_DROP_ICMP_UNMATCHED);
		b[v == 4 ? 9 : 6] = 132; /* SCTP */
		assert_int_equal(complain(v, 3, b, n), MF_DROP_ICMP_UNMATCHED);
	}
	assert_int_equal(mf_host_counters(lab.h)->icmp_from_app, 4);
}

/* About echo replies: of the session, or of none. */
static void test_matching_echo(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		uint8_t b[200];
		size_t n;

		lab_send(ping(v, 1, 3, 9, 1, 8));
		lab_begin();
		pong(lab.far.last, v, 3, 1, 8);
		lab_run();
		n = lab.out[0]->len;
		memcpy(b, lab.out[0]->data, n);
		assert_int_equal(complain(v, 3, b, n), MF_DROP_NONE);
		b[(v == 4 ? 20 : 40) + 5]++;
		assert_int_equal(complain(v, 3, b, n), MF_DROP_ICMP_UNMATCHED);
		b[(v == 4 ? 20 : 40) + 5]--;
		b[v == 4 ? 20 : 40] = v == 4 ? 8 : 128; /* requests are not ours */
		assert_int_equal(complain(v, 3, b, n), MF_DROP_ICMP_UNMATCHED);
	}
}

/* Of several mappings of a port it is the one that the error's destination leaves through, or else one that
 * has spoken to it. */
static void test_matching_interfaces(void **state)
{
	struct spec s = lab_spec(4, 1, 53, 3, 4000, 20), t = s;
	struct mf_pkt *p;
	uint8_t b[200];
	size_t n;

	(void)state;
	memcpy(s.src, t.dst, 16);
	memcpy(s.dst, t.src, 16);
	n = slow_build(&s, b);
	p = lab_udp(4, 1, 4000, 3, 53, 20);
	p->next_hop = OTHER_HOP;
	lab_send(p);
	assert_int_equal(complain(4, 3, b, n), MF_DROP_NONE);
	s.src[3]++; /* to whom it has not spoken */
	n = slow_build(&s, b);
	assert_int_equal(complain(4, 4, b, n), MF_DROP_ICMP_UNMATCHED);
	lab_send(lab_udp(4, 1, 4000, 5, 53, 20));
	assert_int_equal(complain(4, 4, b, n), MF_DROP_NONE);
	assert_int_equal(mf_host_counters(lab.h)->icmp_from_app, 2);
}

/* A TCP session is found by both its ends, the other way round. */
static void test_matching_tcp(void **state)
{
	struct spec s = lab_spec(4, 1, 4000, 3, 80, 0), t = s;
	uint8_t b[100];
	size_t n;

	(void)state;
	s.proto = t.proto = TCP;
	s.flags = SYN;
	s.window = 1000;
	lab_send(lab_pkt(&s));
	assert_int_equal(lab.far.n_streams, 1);
	memcpy(t.src, s.dst, 16);
	memcpy(t.dst, s.src, 16);
	t.sport = 80;
	t.dport = 4000;
	n = slow_build(&t, b);
	assert_int_equal(complain(4, 3, b, n), MF_DROP_NONE);
	assert_int_equal(mf_host_counters(lab.h)->icmp_from_app, 1);
	mf_store_be16(b + 20, 81);
	assert_int_equal(complain(4, 3, b, n), MF_DROP_ICMP_UNMATCHED);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, lab_up, lab_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_round_trip),
		test(test_big_ping),
		test(test_not_a_reply),
		test(test_errors_about_pings),
		test(test_ping_prohibited),
		test(test_ping_too_big),
		test(test_types),
		test(test_damaged),
		test(test_matching),
		test(test_matching_echo),
		test(test_matching_interfaces),
		test(test_matching_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
