/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/ip.h"

#include "known.h"
#include "packets.h"
#include "unit.h"

/* Runs mf_ip_input on a copy that is an allocation of its own; the caller frees p->data. */
static enum mf_drop input(struct mf_pkt *p, const uint8_t *b, size_t n)
{
	memset(p, 0, sizeof(*p));
	p->data = malloc(n ? n : 1);
	memcpy(p->data, b, n);
	p->len = (uint32_t)n;
	return mf_ip_input(p);
}

static void check(const uint8_t *b, size_t n, enum mf_drop want, size_t l4_off, uint8_t proto)
{
	struct mf_pkt p;

	assert_int_equal(input(&p, b, n), want);
	if (want == MF_DROP_NONE) {
		assert_int_equal(p.l4_off, l4_off);
		assert_int_equal(p.l4_proto, proto);
		assert_int_equal(p.ip_version, b[0] >> 4);
	}
	free(p.data);
}

static void test_known_packets(void **state)
{
	(void)state;
	check(tcp4, sizeof(tcp4), MF_DROP_NONE, 20, TCP);
	check(udp6, sizeof(udp6), MF_DROP_NONE, 40, UDP);
	check(ext6, sizeof(ext6), MF_DROP_NONE, 56, TCP);
	check(frag6, sizeof(frag6), MF_DROP_NONE, 48, 0);
	check(toobig6, sizeof(toobig6), MF_DROP_NONE, 40, ICMP6);
}

static void test_trims_and_truncation(void **state)
{
	uint8_t b[200];
	struct mf_pkt p;

	(void)state;
	for (int v = 0; v < 2; v++) {
		const uint8_t *known = v ? udp6 : tcp4;
		size_t n = v ? sizeof(udp6) : sizeof(tcp4);

		memset(b, 0xcc, sizeof(b));
		memcpy(b, known, n);
		for (size_t len = 0; len < n + 20; len++) {
			enum mf_drop r = input(&p, b, len);

			assert_int_equal(r, len < n ? MF_DROP_IP_TRUNCATED : MF_DROP_NONE);
			if (r == MF_DROP_NONE)
				assert_int_equal(p.len, n);
			assert_int_equal(mf_ip_peek_len(p.data, len), len < n ? 0 : n);
			free(p.data);
		}
	}
}

static void fix_ip4(uint8_t *b)
{
	size_t ihl = (size_t)(b[0] & 15) * 4;

	mf_store_be16(b + 10, 0);
	mf_store_be16(b + 10, slow_finish(slow_sum(b, ihl, 0)));
}

static void test_ip4_refusals(void **state)
{
	uint8_t b[100];

	(void)state;
	for (int v = 0; v < 16; v++) { /* every other version */
		memcpy(b, tcp4, sizeof(tcp4));
		b[0] = (uint8_t)(v << 4 | 5);
		fix_ip4(b);
		if (v != 4 && v != 6)
			check(b, sizeof(tcp4), MF_DROP_IP_VERSION, 0, 0);
	}
	for (uint8_t ihl = 0; ihl < 5; ihl++) {
		memcpy(b, tcp4, sizeof(tcp4));
		b[0] = (uint8_t)(0x40 | ihl);
		check(b, sizeof(tcp4), MF_DROP_IP_HEADER, 0, 0);
	}
	memcpy(b, tcp4, sizeof(tcp4));
	mf_store_be16(b + 2, 19); /* total length below the header's */
	fix_ip4(b);
	check(b, sizeof(tcp4), MF_DROP_IP_HEADER, 0, 0);
	for (size_t bit = 8; bit < 160; bit++) { /* any flipped bit shows in the checksum */
		size_t byte = bit / 8;

		if (byte == 2 || byte == 3)
			continue;
		memcpy(b, tcp4, sizeof(tcp4));
		b[byte] ^= (uint8_t)(1 << bit % 8);
		check(b, sizeof(tcp4), MF_DROP_IP_CHECKSUM, 0, 0);
	}
}

/* tcp4 with 8 bytes of options. */
static void check_options(const uint8_t opt[8], enum mf_drop want)
{
	uint8_t b[100];

	memcpy(b, tcp4, 20);
	memcpy(b + 20, opt, 8);
	memcpy(b + 28, tcp4 + 20, sizeof(tcp4) - 20);
	b[0] = 0x47;
	mf_store_be16(b + 2, sizeof(tcp4) + 8);
	fix_ip4(b);
	check(b, sizeof(tcp4) + 8, want, 28, TCP);
}

static void test_ip4_options(void **state)
{
	(void)state;
	check_options((uint8_t[8]){ 1, 1, 1, 1, 1, 1, 1, 1 }, MF_DROP_NONE);
	check_options((uint8_t[8]){ 0, 99, 0, 0, 7, 7, 7, 7 }, MF_DROP_NONE);  /* after the end */
	check_options((uint8_t[8]){ 148, 4, 0, 0, 1, 1, 1, 0 }, MF_DROP_NONE); /* router alert */
	check_options((uint8_t[8]){ 148, 8, 0, 0, 1, 1, 1, 0 }, MF_DROP_NONE);
	check_options((uint8_t[8]){ 148, 9, 0, 0, 1, 1, 1, 0 }, MF_DROP_IP_HEADER);
	check_options((uint8_t[8]){ 148, 1, 0, 0, 1, 1, 1, 0 }, MF_DROP_IP_HEADER);
	check_options((uint8_t[8]){ 148, 0, 0, 0, 1, 1, 1, 0 }, MF_DROP_IP_HEADER);
	check_options((uint8_t[8]){ 1, 1, 1, 1, 1, 1, 1, 148 }, MF_DROP_IP_HEADER);
	check_options((uint8_t[8]){ 131, 7, 4, 10, 0, 0, 1, 0 }, MF_DROP_IP_HEADER); /* LSRR */
	check_options((uint8_t[8]){ 1, 137, 7, 4, 10, 0, 0, 1 }, MF_DROP_IP_HEADER); /* SSRR */
}

static void test_ip4_fragments(void **state)
{
	uint8_t b[100];
	struct mf_pkt p;

	(void)state;
	memcpy(b, tcp4, sizeof(tcp4));
	mf_store_be16(b + 6, 0x2000); /* the first */
	fix_ip4(b);
	assert_int_equal(input(&p, b, sizeof(tcp4)), MF_DROP_NONE);
	assert_int_equal(p.l4_proto, TCP);
	assert_true(mf_ip_is_fragment(&p));
	free(p.data);
	mf_store_be16(b + 6, 0x0007);
	fix_ip4(b);
	assert_int_equal(input(&p, b, sizeof(tcp4)), MF_DROP_NONE);
	assert_int_equal(p.l4_proto, 0);
	assert_true(mf_ip_is_fragment(&p));
	free(p.data);
	mf_store_be16(b + 6, 0x1fff); /* reaches beyond 65535 */
	fix_ip4(b);
	check(b, sizeof(tcp4), MF_DROP_IP_HEADER, 0, 0);
	assert_int_equal(input(&p, tcp4, sizeof(tcp4)), MF_DROP_NONE);
	assert_false(mf_ip_is_fragment(&p));
	free(p.data);
}

/* An IPv6 packet with `chain` behind the fixed header, then 20 bytes. */
static void check_chain(uint8_t first, const uint8_t *chain, size_t n, enum mf_drop want,
			uint8_t proto)
{
	uint8_t b[400] = { 0x60 };

	mf_store_be16(b + 4, (uint16_t)(n + 20));
	b[6] = first;
	b[7] = 64;
	memcpy(b + 40, chain, n);
	check(b, 60 + n, want, 40 + n, proto);
}

static void test_ip6_chains(void **state)
{
	static const uint8_t hop[8] = { TCP, 0, 1, 4 }, dst[8] = { 60, 0, 1, 4 };
	static const uint8_t rh0[8] = { TCP, 0, 0, 0 }, rh2[8] = { TCP, 0, 2, 0 };
	static const uint8_t jumbo[8] = { TCP, 0, 0xc2, 4, 0, 1, 0, 0 };
	static const uint8_t bad_opt[8] = { TCP, 0, 1, 5 }, long_ext[8] = { TCP, 3 };
	static const uint8_t atomic[8] = { UDP, 0, 0, 0, 1, 2, 3, 4 };
	static const uint8_t first[8] = { UDP, 0, 0, 1, 1, 2, 3, 4 };
	static const uint8_t beyond[8] = { UDP, 0, 0xff, 0xf8, 1, 2, 3, 4 };
	uint8_t many[9 * 8];

	(void)state;
	check_chain(0, hop, 8, MF_DROP_NONE, TCP);
	check_chain(43, rh0, 8, MF_DROP_IP_HEADER, 0);
	check_chain(43, rh2, 8, MF_DROP_NONE, TCP);
	check_chain(0, jumbo, 8, MF_DROP_IP_HEADER, 0);
	check_chain(0, bad_opt, 8, MF_DROP_IP_HEADER, 0);
	check_chain(60, long_ext, 8, MF_DROP_IP_TRUNCATED, 0);
	check_chain(44, atomic, 8, MF_DROP_NONE, UDP);
	check_chain(44, first, 8, MF_DROP_NONE, UDP);
	check_chain(44, beyond, 8, MF_DROP_IP_HEADER, 0);
	for (size_t i = 0; i < 9; i++)
		memcpy(many + 8 * i, dst, 8);
	many[7 * 8] = TCP;
	check_chain(60, many, 8 * 8, MF_DROP_NONE, TCP);
	many[7 * 8] = 60;
	many[8 * 8] = TCP;
	check_chain(60, many, 9 * 8, MF_DROP_IP_HEADER, 0);
	many[0] = 0; /* hop-by-hop options that are not first */
	check_chain(60, many, 2 * 8, MF_DROP_IP_HEADER, 0);
	check_chain(59, hop, 0, MF_DROP_NONE, 59);
	check_chain(50, hop, 8 - 8, MF_DROP_NONE, 50);
}

static void test_ip6_is_fragment(void **state)
{
	uint8_t b[sizeof(frag6)], far[80];
	struct mf_pkt p;

	(void)state;
	assert_int_equal(input(&p, frag6, sizeof(frag6)), MF_DROP_NONE);
	assert_true(mf_ip_is_fragment(&p));
	free(p.data);
	memcpy(b, frag6, sizeof(b));
	mf_store_be16(b + 42, 0); /* atomic */
	assert_int_equal(input(&p, b, sizeof(b)), MF_DROP_NONE);
	assert_int_equal(p.l4_proto, UDP);
	assert_false(mf_ip_is_fragment(&p));
	free(p.data);
	assert_int_equal(input(&p, ext6, sizeof(ext6)), MF_DROP_NONE);
	assert_false(mf_ip_is_fragment(&p));
	free(p.data);
	memset(far, 0, sizeof(far)); /* behind a longer header */
	memcpy(far, frag6, 40);
	far[6] = 60;
	mf_store_be16(far + 4, sizeof(far) - 40);
	far[40] = 44;
	far[41] = 1;
	memcpy(far + 56, frag6 + 40, 8);
	assert_int_equal(input(&p, far, sizeof(far)), MF_DROP_NONE);
	assert_int_equal(p.l4_off, 64);
	assert_true(mf_ip_is_fragment(&p));
	free(p.data);
}

static void check_martian(const char *text, bool bad_src, bool bad_dst)
{
	struct mf_pkt p = { 0 };
	uint8_t b[40] = { 0 };
	struct mf_addr a;
	size_t n;

	assert_int_equal(mf_addr_parse(&a, text), MF_OK);
	p.data = b;
	p.ip_version = a.family;
	n = mf_addr_len(&a);
	memset(b, 0x22, sizeof(b)); /* the other address is harmless */
	memcpy(b + (n == 4 ? 12 : 8), a.b, n);
	assert_int_equal(mf_ip_martian_source(&p), bad_src ? MF_DROP_IP_MARTIAN_SOURCE : 0);
	assert_int_equal(mf_ip_martian_destination(&p), 0);
	memset(b, 0x22, sizeof(b));
	memcpy(b + (n == 4 ? 16 : 24), a.b, n);
	assert_int_equal(mf_ip_martian_source(&p), 0);
	assert_int_equal(mf_ip_martian_destination(&p), bad_dst ? MF_DROP_IP_MARTIAN_DESTINATION : 0);
}

static void test_martians(void **state)
{
	(void)state;
	check_martian("0.0.0.0", true, true);
	check_martian("0.255.1.1", true, true);
	check_martian("1.0.0.0", false, false);
	check_martian("126.255.255.255", false, false);
	check_martian("127.0.0.1", true, true);
	check_martian("128.0.0.0", false, false);
	check_martian("169.254.1.1", false, true);
	check_martian("169.253.255.255", false, false);
	check_martian("223.255.255.255", false, false);
	check_martian("224.0.0.1", true, true);
	check_martian("239.1.1.1", true, true);
	check_martian("240.0.0.1", true, true);
	check_martian("255.255.255.255", true, true);
	check_martian("10.0.0.255", false, false);
	check_martian("::", true, true);
	check_martian("::1", true, true);
	check_martian("::2", false, false);
	check_martian("::ffff:1.2.3.4", true, true);
	check_martian("64:ff9b::1.2.3.4", false, false);
	check_martian("fe80::1", false, true);
	check_martian("febf::1", false, true);
	check_martian("fec0::1", false, false);
	check_martian("ff02::1", true, true);
	check_martian("fd00::1", false, false);
}

/* RFC 6040 figure 4, rows: inner; columns: outer Not-ECT, ECT(0), ECT(1), CE. */
static void test_ecn_decap(void **state)
{
	enum { N = MF_ECN_NOT_ECT, E0 = MF_ECN_ECT0, E1 = MF_ECN_ECT1, CE = MF_ECN_CE };
	static const uint8_t order[4] = { N, E0, E1, CE };
	static const int want[4][4] = {
		{ N, N, N, MF_ECN_DROP }, { E0, E0, E1, CE }, { E1, E1, E1, CE }, { CE, CE, CE, CE }
	};

	(void)state;
	for (int in = 0; in < 4; in++)
		for (int out = 0; out < 4; out++)
			assert_int_equal(mf_ecn_decap(order[in], order[out]), want[in][out]);
}

static void test_set_ecn_and_ttl(void **state)
{
	struct mf_prng g = unit_prng("ecn");
	static const uint8_t body[] = { 1, 2, 3 };
	uint8_t b[200], want[200];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		uint8_t ecn = (uint8_t)mf_prng_below(&g, 4);
		struct spec s;
		struct mf_pkt p = { .data = b };
		size_t n;

		random_spec(&g, &s);
		s.payload = body;
		s.n = sizeof(body);
		n = slow_build(&s, b);
		assert_int_equal(mf_ip_tos(b), s.tos);
		mf_ip_set_ecn(b, ecn);
		assert_int_equal(mf_ip_ecn(b), ecn);
		s.tos = (uint8_t)((s.tos & 0xfc) | ecn);
		slow_build(&s, want);
		assert_memory_equal(b, want, n);
		p.len = (uint32_t)n;
		assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
		assert_int_equal(mf_ip_ttl(b), s.ttl);
		assert_true(mf_ip_l4_csum_ok(&p));
		b[n - 1] ^= 0x40;
		assert_false(mf_ip_l4_csum_ok(&p));
	}
}

static uint32_t hash_of(const struct spec *s)
{
	uint8_t b[300];
	struct mf_pkt p = { .data = b };

	p.len = (uint32_t)slow_build(s, b);
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	return mf_flow_hash(&p);
}

/* Both directions agree, everything that makes a flow counts, nothing else does, and buckets fill. */
static void test_flow_hash(void **state)
{
	struct mf_prng g = unit_prng("flow hash");
	uint32_t bucket[64] = { 0 };
	struct spec s, t;

	(void)state;
	for (int i = 0; i < 6400; i++) {
		uint32_t h;

		random_spec(&g, &s);
		h = hash_of(&s);
		t = s;
		memcpy(t.src, s.dst, 16);
		memcpy(t.dst, s.src, 16);
		t.sport = s.dport;
		t.dport = s.sport;
		t.seq++;
		t.tos ^= 4;
		assert_int_equal(hash_of(&t), h);
		t = s;
		t.sport++;
		assert_int_not_equal(hash_of(&t), h);
		t = s;
		t.dst[3] ^= 1;
		assert_int_not_equal(hash_of(&t), h);
	}
	random_spec(&g, &s); /* one client, many ports: what a worker has to spread */
	for (int i = 0; i < 6400; i++) {
		s.sport++;
		bucket[hash_of(&s) % 64]++;
	}
	for (int i = 0; i < 64; i++)
		assert_in_range(bucket[i], 40, 170);
}

static void test_fragments_hash_alike(void **state)
{
	uint8_t a[100], b[100];
	struct mf_pkt p = { .data = a, .len = sizeof(tcp4) }, q = { .data = b, .len = sizeof(tcp4) };

	(void)state;
	memcpy(a, tcp4, sizeof(tcp4));
	memcpy(b, tcp4, sizeof(tcp4));
	mf_store_be16(a + 6, 0x2000);
	mf_store_be16(b + 6, 0x0010);
	memset(b + 20, 0x77, sizeof(tcp4) - 20);
	fix_ip4(a);
	fix_ip4(b);
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	assert_int_equal(mf_ip_input(&q), MF_DROP_NONE);
	assert_int_equal(mf_flow_hash(&p), mf_flow_hash(&q));
}

/* Of every start of a packet: what mf_ip_input says of all of it, or "too short". */
static void test_quoted(void **state)
{
	static const struct {
		const uint8_t *b;
		size_t n, l4_off;
		uint8_t proto;
	} known[] = {
		{ tcp4, sizeof(tcp4), 20, TCP },
		{ udp6, sizeof(udp6), 40, UDP },
		{ ext6, sizeof(ext6), 56, TCP },
		{ frag6, sizeof(frag6), 48, 0 },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(known); i++)
		for (size_t n = 0; n <= known[i].n; n++) {
			uint8_t *b = malloc(n ? n : 1);
			struct mf_pkt q;

			memcpy(b, known[i].b, n);
			assert_int_equal(mf_ip_quoted(&q, b, n), n >= known[i].l4_off + 8);
			if (n >= known[i].l4_off + 8) {
				assert_ptr_equal(q.data, b);
				assert_int_equal(q.len, n);
				assert_int_equal(q.ip_version, b[0] >> 4);
				assert_int_equal(q.l4_off, known[i].l4_off);
				assert_int_equal(q.l4_proto, known[i].proto);
				b[0] ^= 0x10;
				assert_false(mf_ip_quoted(&q, b, n) && q.ip_version == 5);
			}
			free(b);
		}
}

/* A quote is what a router saw: its checksum and TTL may be off, but never its header's length. */
static void test_quoted_forgives(void **state)
{
	uint8_t b[sizeof(tcp4)];
	struct mf_pkt q;

	(void)state;
	memcpy(b, tcp4, sizeof(b));
	b[8] = 0;
	mf_store_be16(b + 2, 9000);
	assert_true(mf_ip_quoted(&q, b, sizeof(b)));
	b[0] = 0x44;
	assert_false(mf_ip_quoted(&q, b, sizeof(b)));
	b[0] = 0x4f;
	assert_false(mf_ip_quoted(&q, b, sizeof(b)));
	b[0] = 0x45;
	mf_store_be16(b + 6, 3); /* not the first fragment: no ports to be read */
	assert_true(mf_ip_quoted(&q, b, sizeof(b)));
	assert_int_equal(q.l4_proto, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_packets),   cmocka_unit_test(test_trims_and_truncation),
		cmocka_unit_test(test_ip4_refusals),    cmocka_unit_test(test_ip4_options),
		cmocka_unit_test(test_ip4_fragments),   cmocka_unit_test(test_ip6_chains),
		cmocka_unit_test(test_ip6_is_fragment), cmocka_unit_test(test_martians),
		cmocka_unit_test(test_ecn_decap),       cmocka_unit_test(test_set_ecn_and_ttl),
		cmocka_unit_test(test_quoted),          cmocka_unit_test(test_quoted_forgives),
		cmocka_unit_test(test_flow_hash),       cmocka_unit_test(test_fragments_hash_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
