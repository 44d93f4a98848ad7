/* SPDX-License-Identifier: Apache-2.0
 *
 * ICMP errors and TCP resets: known answers, and when there must be none.
 */
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/vnet.h"

#include "known.h"
#include "packets.h"
#include "unit.h"

static struct mf_pkt_pool *pool;
static uint8_t payload[65536];

static struct mf_pkt take(uint8_t *b, const uint8_t *known, size_t n)
{
	struct mf_pkt p = { .data = b, .len = (uint32_t)n };

	memcpy(b, known, n);
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	return p;
}

static struct mf_addr addr(const char *text)
{
	struct mf_addr a;

	assert_int_equal(mf_addr_parse(&a, text), MF_OK);
	return a;
}

static void check_answer(struct mf_pkt *r, const uint8_t *want, size_t n)
{
	struct mf_pkt again;

	assert_non_null(r);
	assert_int_equal(r->len, n);
	assert_memory_equal(r->data, want, n);
	again = *r;
	assert_int_equal(mf_ip_input(&again), MF_DROP_NONE);
	assert_int_equal(again.l4_off, r->l4_off);
	assert_int_equal(again.l4_proto, r->l4_proto);
	assert_int_equal(again.ip_version, r->ip_version);
	mf_pkt_free(r);
}

static void test_known_errors(void **state)
{
	struct mf_addr us4 = addr("10.66.0.1"), us6 = addr("fd66::1");
	uint8_t b[200];
	struct mf_pkt p = take(b, probe4, sizeof(probe4));

	(void)state;
	check_answer(mf_icmp_error(pool, &p, &us4, MF_ICMP_TOO_BIG, 1420), fragneeded4,
		     sizeof(fragneeded4));
	p = take(b, udp6, sizeof(udp6));
	check_answer(mf_icmp_error(pool, &p, &us6, MF_ICMP_TOO_BIG, 1380), toobig6, sizeof(toobig6));
	check_answer(mf_icmp_error(pool, &p, &us6, MF_ICMP_TTL_EXCEEDED, 0), exceeded6,
		     sizeof(exceeded6));
}

static void test_types_and_codes(void **state)
{
	static const uint8_t want[][4] = {
		[MF_ICMP_NO_ROUTE] = { 3, 0, 1, 0 },
		[MF_ICMP_HOST_UNREACHABLE] = { 3, 1, 1, 3 },
		[MF_ICMP_PORT_UNREACHABLE] = { 3, 3, 1, 4 },
		[MF_ICMP_PROHIBITED] = { 3, 13, 1, 1 },
		[MF_ICMP_PROTO_UNREACHABLE] = { 3, 2, 4, 1 },
		[MF_ICMP_TOO_BIG] = { 3, 4, 2, 0 },
		[MF_ICMP_TTL_EXCEEDED] = { 11, 0, 3, 0 },
	};
	struct mf_addr us[2] = { addr("10.66.0.1"), addr("fd66::1") };
	uint8_t b[200];

	(void)state;
	for (unsigned v = 0; v < 2; v++)
		for (unsigned i = 0; i < MF_ARRAY_LEN(want); i++) {
			struct mf_pkt p = v ? take(b, ext6, sizeof(ext6))
					    : take(b, probe4, sizeof(probe4));
			struct mf_pkt *r =
				mf_icmp_error(pool, &p, &us[v], (enum mf_icmp_error)i, 100);

			assert_non_null(r);
			assert_int_equal(r->data[r->l4_off], want[i][2 * v]);
			assert_int_equal(r->data[r->l4_off + 1], want[i][2 * v + 1]);
			/* next-header byte of the second extension header */
			if (v && i == MF_ICMP_PROTO_UNREACHABLE)
				assert_int_equal(mf_load_be32(r->data + r->l4_off + 4), 48);
			/* MTUs: IPv6 has a least one */
			if (i == MF_ICMP_TOO_BIG)
				assert_int_equal(mf_icmp_path_mtu(r), v ? 1280 : 100);
			else
				assert_int_equal(mf_icmp_path_mtu(r), 0);
			if (v)
				assert_true(mf_ip_l4_csum_ok(r));
			else
				assert_int_equal(slow_finish(slow_sum(r->data + 20, r->len - 20, 0)),
						 0);
			mf_pkt_free(r);
		}
}

/* A super-packet is quoted as the packets it stands for would be. */
static void test_quotes_first_segment(void **state)
{
	struct mf_prng g = unit_prng("icmp quote");
	static uint8_t b[65536], seg[65536];
	struct mf_addr us[2] = { addr("10.66.0.1"), addr("fd66::1") };

	(void)state;
	for (int i = 0; i < 400; i++) {
		bool gso = i % 2;
		struct mf_pkt p = { .data = b }, *r;
		struct mf_vnet_hdr h = { .flags = 1 };
		struct spec s;
		size_t n, limit;

		random_spec(&g, &s);
		s.payload = payload;
		s.n = 1 + mf_prng_below(&g, 5000);
		p.len = (uint32_t)slow_build(&s, b);
		slow_unfinish_csum(&s, b, p.len);
		h.csum_start = (uint16_t)slow_ip_len(&s);
		h.csum_offset = (uint16_t)slow_csum_off(s.proto);
		h.gso_size = (uint16_t)(gso ? 1 + mf_prng_below(&g, 1400) : 0);
		if (gso)
			h.gso_type = s.proto == UDP ? 5 : s.version == 4 ? 1 : 4;
		assert_int_equal(mf_vnet_decode(&p, &h, MF_VNET_LEN), MF_DROP_NONE);
		n = slow_segment(&s, gso ? h.gso_size : 65535, 0, seg);
		r = mf_icmp_error(pool, &p, &us[s.version == 6], MF_ICMP_TOO_BIG, 1400);
		assert_non_null(r);
		limit = s.version == 4 ? 576 - 28 : 1280 - 48;
		assert_int_equal(r->len - r->l4_off - 8, mf_min(n, limit));
		assert_memory_equal(r->data + r->l4_off + 8, seg, mf_min(n, limit));
		mf_pkt_free(r);
	}
}

static bool answered(uint8_t *b, size_t n, enum mf_icmp_error what)
{
	struct mf_addr us4 = addr("10.66.0.1"), us6 = addr("fd66::1");
	struct mf_pkt p = { .data = b, .len = (uint32_t)n }, *r;

	if (b[0] >> 4 == 4) {
		mf_store_be16(b + 10, 0);
		mf_store_be16(b + 10, slow_finish(slow_sum(b, 20, 0)));
	}
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	r = mf_icmp_error(pool, &p, p.ip_version == 4 ? &us4 : &us6, what, 1400);
	assert_int_equal(!!r, mf_icmp_error_allowed(&p, what));
	if (r)
		mf_pkt_free(r);
	return r;
}

static void test_no_error_about_ip4(void **state)
{
	uint8_t b[200];

	(void)state;
#define WITH(at, value)                                      \
	(memcpy(b, probe4, sizeof(probe4)), b[at] = (value), \
	 answered(b, sizeof(probe4), MF_ICMP_TOO_BIG))
	assert_true(WITH(16, 198));
	assert_false(WITH(16, 224));
	assert_false(WITH(16, 255));
	assert_false(WITH(12, 0));
	assert_false(WITH(12, 127));
	assert_false(WITH(12, 230));
	assert_false(WITH(7, 1));   /* not the first fragment */
	assert_true(WITH(6, 0x20)); /* the first */
#undef WITH
	for (unsigned type = 0; type < 256; type++) {
		bool query = type == 0 || type == 8 || (type >= 13 && type <= 18);

		memcpy(b, fragneeded4, sizeof(fragneeded4));
		b[20] = (uint8_t)type;
		assert_int_equal(answered(b, sizeof(fragneeded4), MF_ICMP_TTL_EXCEEDED), query);
	}
}

static void test_no_error_about_ip6(void **state)
{
	uint8_t b[200];

	(void)state;
	memcpy(b, udp6, sizeof(udp6));
	b[24] = 0xff; /* a group: only "too big", for path MTU discovery */
	assert_false(answered(b, sizeof(udp6), MF_ICMP_NO_ROUTE));
	assert_true(answered(b, sizeof(udp6), MF_ICMP_TOO_BIG));
	memcpy(b, udp6, sizeof(udp6));
	b[8] = 0xff;
	assert_false(answered(b, sizeof(udp6), MF_ICMP_TOO_BIG));
	memset(b + 8, 0, 16);
	assert_false(answered(b, sizeof(udp6), MF_ICMP_TOO_BIG));
	memcpy(b, frag6, sizeof(frag6));
	assert_false(answered(b, sizeof(frag6), MF_ICMP_TOO_BIG));
	for (unsigned type = 0; type < 256; type++) {
		memcpy(b, toobig6, sizeof(toobig6));
		b[40] = (uint8_t)type;
		assert_int_equal(answered(b, sizeof(toobig6), MF_ICMP_NO_ROUTE),
				 type >= 128 && type != 137);
	}
}

/* Errors that others have found out: as they said it, under our rules. */
static void test_quoting(void **state)
{
	struct mf_addr far4 = addr("10.66.0.1"), far6 = addr("fd66::1");
	struct mf_icmp_hdr e = { .type = 3, .code = 4, .rest = mf_be32_of(1420) };
	uint8_t b[2000];
	struct mf_pkt *r;

	(void)state;
	check_answer(mf_icmp_error_quoting(pool, probe4, sizeof(probe4), &far4, &e), fragneeded4,
		     sizeof(fragneeded4));
	e = (struct mf_icmp_hdr){ .type = 2, .rest = mf_be32_of(1380) };
	check_answer(mf_icmp_error_quoting(pool, udp6, sizeof(udp6), &far6, &e), toobig6,
		     sizeof(toobig6));
	e = (struct mf_icmp_hdr){ .type = 3 };
	check_answer(mf_icmp_error_quoting(pool, udp6, sizeof(udp6), &far6, &e), exceeded6,
		     sizeof(exceeded6));
	/* Only the start is there: the header and 8 bytes suffice, 7 do not. */
	e = (struct mf_icmp_hdr){ .type = 3, .code = 3 };
	r = mf_icmp_error_quoting(pool, probe4, 28, &far4, &e);
	assert_non_null(r);
	assert_int_equal(r->len, 56);
	mf_pkt_free(r);
	assert_null(mf_icmp_error_quoting(pool, probe4, 27, &far4, &e));
	/* Much of it is there: no more than RFC 1812 and RFC 4443 allow. */
	memset(b, 0, sizeof(b));
	memcpy(b, probe4, sizeof(probe4));
	r = mf_icmp_error_quoting(pool, b, sizeof(b), &far4, &e);
	assert_int_equal(r->len, 576);
	mf_pkt_free(r);
	/* Not of that family, not about a group, not about an error, not what is no error. */
	assert_null(mf_icmp_error_quoting(pool, b, 100, &far6, &e));
	b[16] = 224;
	assert_null(mf_icmp_error_quoting(pool, b, 100, &far4, &e));
	assert_null(mf_icmp_error_quoting(pool, fragneeded4, sizeof(fragneeded4), &far4, &e));
	e.type = 5;
	assert_null(mf_icmp_error_quoting(pool, probe4, sizeof(probe4), &far4, &e));
	e.type = 8;
	assert_null(mf_icmp_error_quoting(pool, probe4, sizeof(probe4), &far4, &e));
	for (unsigned type = 0; type < 256; type++) {
		assert_int_equal(mf_icmp_is_error(4, (uint8_t)type),
				 type == 3 || type == 11 || type == 12);
		assert_int_equal(mf_icmp_is_error(6, (uint8_t)type), type >= 1 && type <= 4);
	}
}

static void test_path_mtu(void **state)
{
	uint8_t b[200];
	struct mf_pkt p = take(b, fragneeded4, sizeof(fragneeded4));

	(void)state;
	assert_int_equal(mf_icmp_path_mtu(&p), 1420);
	mf_store_be16(b + 26, 0); /* a router from before RFC 1191 */
	assert_int_equal(mf_icmp_path_mtu(&p), 576);
	b[21] = 3;
	assert_int_equal(mf_icmp_path_mtu(&p), 0);
	p = take(b, toobig6, sizeof(toobig6));
	assert_int_equal(mf_icmp_path_mtu(&p), 1380);
	p = take(b, tcp4, sizeof(tcp4));
	assert_int_equal(mf_icmp_path_mtu(&p), 0);
}

static void test_known_reset(void **state)
{
	uint8_t b[200];
	struct mf_pkt p = take(b, syn4, sizeof(syn4));

	(void)state;
	check_answer(mf_tcp_reset(pool, &p), rst4, sizeof(rst4));
}

/* The three forms of RFC 9293 3.10.7.1, super-packets included. */
static void test_resets(void **state)
{
	struct mf_prng g = unit_prng("rst");
	static uint8_t b[65536], want[200];

	(void)state;
	for (int i = 0; i < 500; i++) {
		struct mf_pkt p = { .data = b };
		struct spec s, a;
		size_t n;

		random_spec(&g, &s);
		s.proto = TCP;
		s.payload = payload;
		s.n = mf_prng_below(&g, i % 2 ? 60000 : 3);
		s.flags = (uint8_t)mf_prng_u64(&g) & (uint8_t)~RST;
		p.len = (uint32_t)slow_build(&s, b);
		if (i % 4 == 1) {
			slow_unfinish_csum(&s, b, p.len);
			p.flags = MF_PKT_NEEDS_CSUM;
			p.csum_start = (uint16_t)slow_ip_len(&s);
			p.csum_offset = 16;
		}
		assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
		a = s;
		memcpy(a.src, s.dst, 16);
		memcpy(a.dst, s.src, 16);
		a.sport = s.dport;
		a.dport = s.sport;
		a.n = a.tcp_opts = 0;
		a.tos = 0;
		a.id = 0;
		a.df = true;
		a.ttl = 64;
		a.window = 0;
		if (s.flags & ACK) {
			a.seq = s.ack;
			a.ack = 0;
			a.flags = RST;
		} else {
			a.seq = 0;
			a.ack = s.seq + (uint32_t)s.n + !!(s.flags & SYN) + !!(s.flags & FIN);
			a.flags = RST | ACK;
		}
		n = slow_build(&a, want);
		if (s.version == 6) { /* the model has a flow label */
			mf_store_be32(want, 6u << 28);
		}
		check_answer(mf_tcp_reset(pool, &p), want, n);
	}
}

static void test_no_reset(void **state)
{
	uint8_t b[200];
	struct mf_pkt p = take(b, rst4, sizeof(rst4));

	(void)state;
	assert_null(mf_tcp_reset(pool, &p)); /* never for a reset */
	p = take(b, syn4, sizeof(syn4));
	b[39] ^= 1; /* damaged */
	assert_null(mf_tcp_reset(pool, &p));
	p = take(b, syn4, sizeof(syn4));
	b[32] = 0x40; /* header shorter than a header */
	slow_fill_csums(b, 20, TCP, sizeof(syn4));
	assert_null(mf_tcp_reset(pool, &p));
	b[32] = 0x60; /* longer than the packet */
	slow_fill_csums(b, 20, TCP, sizeof(syn4));
	assert_null(mf_tcp_reset(pool, &p));
	p = take(b, syn4, sizeof(syn4));
	b[16] = 224; /* to a group */
	slow_fill_csums(b, 20, TCP, sizeof(syn4));
	assert_null(mf_tcp_reset(pool, &p));
	p = take(b, probe4, sizeof(probe4));
	assert_null(mf_tcp_reset(pool, &p));
	p = take(b, syn4, sizeof(syn4));
	p.len = 30;
	mf_store_be16(b + 2, 30);
	slow_fill_csums(b, 20, TCP, 40);
	assert_null(mf_tcp_reset(pool, &p));
}

static void test_no_packet_free(void **state)
{
	struct mf_pkt_pool *none = mf_pkt_pool_new(0, 0);
	struct mf_addr us = addr("10.66.0.1");
	uint8_t b[200];
	struct mf_pkt p = take(b, syn4, sizeof(syn4));

	(void)state;
	assert_null(mf_tcp_reset(none, &p));
	assert_null(mf_icmp_error(none, &p, &us, MF_ICMP_NO_ROUTE, 0));
	mf_pkt_pool_free(none);
}

static int up(void **state)
{
	struct mf_prng g = { .state = 3 };

	(void)state;
	mf_prng_fill(&g, payload, sizeof(payload));
	pool = mf_pkt_pool_new(4, 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	mf_pkt_pool_free(pool); /* asserts that nothing leaked */
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_errors),
		cmocka_unit_test(test_types_and_codes),
		cmocka_unit_test(test_quotes_first_segment),
		cmocka_unit_test(test_no_error_about_ip4),
		cmocka_unit_test(test_no_error_about_ip6),
		cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_path_mtu),
		cmocka_unit_test(test_known_reset),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_no_reset),
		cmocka_unit_test(test_no_packet_free),
	};

	return cmocka_run_group_tests(tests, up, down);
}
