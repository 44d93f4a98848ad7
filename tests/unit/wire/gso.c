/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/gso.h"
#include "wire/ip.h"
#include "wire/vnet.h"

#include "known.h"
#include "packets.h"
#include "unit.h"

static uint8_t payload[65536];

/* A super-packet in an allocation of exactly its size, so that a sanitizer sees every step beside it. */
struct super {
	struct mf_pkt p;
	struct spec s;
	uint16_t gso_size;
	struct mf_vnet_hdr h;
};

static void make_super(struct super *u, const struct spec *s, uint16_t gso_size)
{
	size_t len = slow_hdr_len(s) + s->n;

	memset(u, 0, sizeof(*u));
	u->s = *s;
	u->gso_size = gso_size;
	u->p.data = malloc(len);
	slow_build(s, u->p.data);
	slow_unfinish_csum(s, u->p.data, len);
	u->p.len = (uint32_t)len;
	u->h = (struct mf_vnet_hdr){
		.flags = MF_VNET_F_NEEDS_CSUM,
		.hdr_len = 3, /* not to be believed */
		.csum_start = (uint16_t)slow_ip_len(s),
		.csum_offset = (uint16_t)slow_csum_off(s->proto),
		.gso_size = gso_size,
	};
	if (s->proto == UDP)
		u->h.gso_type = MF_VNET_GSO_UDP_L4;
	else
		u->h.gso_type = s->version == 4 ? MF_VNET_GSO_TCPV4 : MF_VNET_GSO_TCPV6;
	assert_int_equal(mf_vnet_decode(&u->p, &u->h, MF_VNET_LEN), MF_DROP_NONE);
}

/* Cuts with both and compares; what has been handed out is overwritten, as a caller may. */
static void check_cut(struct super *u)
{
	static uint8_t want[65536];
	uint8_t first[MF_GSO_HDR_MAX], *seg;
	struct mf_gso g;
	size_t n, i, hdr, max = mf_gso_max_len(&u->p), longest = 0;

	hdr = mf_gso_first_header(&u->p, first);
	assert_int_equal(hdr, slow_hdr_len(&u->s));
	slow_segment(&u->s, u->gso_size, 0, want);
	assert_memory_equal(first, want, hdr);
	assert_int_equal(mf_gso_begin(&g, &u->p), MF_DROP_NONE);
	for (i = 0; (n = mf_gso_next(&g, &seg)); i++) {
		assert_int_equal(n, slow_segment(&u->s, u->gso_size, i, want));
		assert_memory_equal(seg, want, n);
		longest = mf_max(longest, n);
		memset(seg, 0xa5, n);
	}
	assert_int_equal(slow_segment(&u->s, u->gso_size, i, want), 0);
	assert_int_equal(longest, max);
	assert_int_equal(i, mf_gso_count(&g));
	assert_int_equal(i, u->p.segments);
	assert_int_equal(mf_gso_next(&g, &seg), 0);
	free(u->p.data);
}

static void test_random_super_packets(void **state)
{
	struct mf_prng g = unit_prng("gso");
	struct super u;
	struct spec s;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		size_t max;

		random_spec(&g, &s);
		s.flags |= (uint8_t)mf_prng_u64(&g) & (FIN | PSH | CWR | ECE);
		s.ip_opts = mf_prng_below(&g, 4) ? 0 : 8 * (1 + mf_prng_below(&g, 2));
		max = 65535 - slow_hdr_len(&s);
		s.n = i % 10 ? 1 + mf_prng_below(&g, 9000) : 1 + mf_prng_below(&g, max);
		s.payload = payload;
		make_super(&u, &s,
			   (uint16_t)(i % 5 ? 1 + mf_prng_below(&g, 1500)
					    : 1 + mf_prng_below(&g, 80)));
		check_cut(&u);
	}
}

static void test_edges(void **state)
{
	struct mf_prng g = unit_prng("gso edges");
	static const size_t sizes[][2] = { /* payload, gso_size */
					   { 1, 1 },        { 1, 1400 },    { 1400, 1400 },
					   { 1401, 1400 },  { 2800, 1400 }, { 2799, 1400 },
					   { 3, 1 },        { 200, 1 },     { 66, 33 },
					   { 65000, 9000 }, { 100, 65535 }
	};
	struct super u;
	struct spec s;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(sizes); i++)
		for (int round = 0; round < 8; round++) {
			random_spec(&g, &s);
			s.version = round & 1 ? 4 : 6;
			s.proto = round & 2 ? TCP : UDP;
			s.tcp_opts = s.proto == TCP && round & 4 ? 12 : 0;
			s.flags = ACK | PSH | FIN | CWR;
			s.payload = payload;
			s.n = sizes[i][0];
			make_super(&u, &s, (uint16_t)sizes[i][1]);
			check_cut(&u);
		}
	/* the longest there can be */
	random_spec(&g, &s);
	s.payload = payload;
	s.n = 65535 - slow_hdr_len(&s);
	make_super(&u, &s, 1);
	assert_int_equal(u.p.segments, s.n);
	check_cut(&u);
}

/* All payloads whose checksum comes out as 0 must be sent as 0xffff in UDP. */
static void test_udp_zero_checksum(void **state)
{
	struct mf_prng g = unit_prng("gso udp zero");
	uint8_t two[4] = { 0 }, want[128], *seg;
	struct super u;
	struct spec s;
	struct mf_gso c;
	uint16_t sum;

	(void)state;
	random_spec(&g, &s);
	s.proto = UDP;
	s.tcp_opts = 0;
	s.payload = two;
	s.n = 2;
	slow_build(&s, want);
	sum = mf_load_be16(want + slow_ip_len(&s) + 6);
	mf_store_be16(two, sum); /* now the sum over everything is 0xffff */
	mf_store_be16(two + 2, sum);
	s.n = 4;
	make_super(&u, &s, 2);
	assert_int_equal(mf_gso_begin(&c, &u.p), MF_DROP_NONE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mf_gso_next(&c, &seg), slow_ip_len(&s) + 10);
		assert_int_equal(mf_load_be16(seg + slow_ip_len(&s) + 6), 0xffff);
	}
	free(u.p.data);
}

static void test_ordinary_packet(void **state)
{
	struct mf_vnet_hdr h = { .flags = MF_VNET_F_NEEDS_CSUM, .csum_start = 20, .csum_offset = 16 };
	uint8_t b[sizeof(tcp4)], *seg;
	struct mf_pkt p = { .data = b, .len = sizeof(b) };
	struct spec s = { .version = 4, .proto = TCP };
	struct mf_gso g;

	(void)state;
	memcpy(b, tcp4, sizeof(b));
	slow_unfinish_csum(&s, b, sizeof(b));
	assert_int_equal(mf_vnet_decode(&p, &h, MF_VNET_LEN), MF_DROP_NONE);
	assert_memory_not_equal(b, tcp4, sizeof(b));
	assert_int_equal(mf_gso_begin(&g, &p), MF_DROP_NONE);
	assert_int_equal(mf_gso_count(&g), 1);
	assert_int_equal(mf_gso_next(&g, &seg), sizeof(b));
	assert_ptr_equal(seg, b);
	assert_memory_equal(b, tcp4, sizeof(b));
	assert_int_equal(p.flags & MF_PKT_NEEDS_CSUM, 0);
	assert_int_equal(mf_gso_next(&g, &seg), 0);
}

static void test_refuses(void **state)
{
	struct mf_prng g = unit_prng("gso refuses");
	struct super u;
	struct spec s;
	struct mf_gso c;

	(void)state;
	for (int i = 0; i < 5; i++) {
		random_spec(&g, &s);
		s.version = 4;
		s.payload = payload;
		s.n = 3000;
		make_super(&u, &s, 1000);
		switch (i) {
		case 0:
			u.p.gso_size = 0;
			break;
		case 1:
			u.p.gso_type = s.proto == TCP ? MF_GSO_TCP6 : MF_GSO_TCP4;
			break;
		case 2:
			u.p.flags = 0;
			break;
		case 3:
			u.p.csum_offset = 10;
			break;
		case 4:
			u.p.len = u.p.l4_off + 7u;
			break;
		}
		assert_int_equal(mf_gso_begin(&c, &u.p), MF_DROP_OFFLOAD_META);
		free(u.p.data);
	}
}

static int fill_payload(void **state)
{
	struct mf_prng g = { .state = 1 };

	(void)state;
	mf_prng_fill(&g, payload, sizeof(payload));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_super_packets),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_udp_zero_checksum),
		cmocka_unit_test(test_ordinary_packet),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, fill_payload, NULL);
}
