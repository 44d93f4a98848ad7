/* SPDX-License-Identifier: Apache-2.0
 *
 * A rewritten packet must be what its sender would have made with the other address.
 */
#include "wire/nat.h"
#include "wire/ip.h"

#include "packets.h"
#include "unit.h"

static uint8_t payload[3000];

struct change {
	bool source;
	struct mf_addr to;
};

static struct change random_change(struct mf_prng *g, const struct spec *s)
{
	struct change c = { .source = mf_prng_below(g, 2) };

	c.to.family = s->version;
	mf_prng_fill(g, c.to.b, s->version == 4 ? 4 : 16);
	return c;
}

static void nat(struct mf_pkt *p, const struct change *c)
{
	if (c->source)
		mf_nat_source(p, &c->to);
	else
		mf_nat_destination(p, &c->to);
}

static void apply_to_spec(struct spec *s, bool source, const struct change *c)
{
	memcpy(source ? s->src : s->dst, c->to.b, 16);
}

/* 0 and 0xffff are the same sum; UDP never writes 0. */
static void same_but_zero(const uint8_t *a, const uint8_t *b, size_t n, size_t field)
{
	uint8_t x[4000];

	memcpy(x, a, n);
	if (mf_load_be16(x + field) == 0xffff || mf_load_be16(x + field) == 0)
		if (mf_load_be16(b + field) == 0xffff || mf_load_be16(b + field) == 0)
			memcpy(x + field, b + field, 2);
	assert_memory_equal(x, b, n);
}

static void test_tcp_and_udp(void **state)
{
	struct mf_prng g = unit_prng("nat");
	static uint8_t b[4000], want[4000];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct mf_pkt p = { .data = b };
		struct change c;
		struct spec s;
		size_t field;

		random_spec(&g, &s);
		s.payload = payload;
		s.n = mf_prng_below(&g, 2900);
		s.ip_opts = mf_prng_below(&g, 5) ? 0 : 8;
		s.zero_csum = s.proto == UDP && mf_prng_below(&g, 4) == 0;
		c = random_change(&g, &s);
		p.len = (uint32_t)slow_build(&s, b);
		if (i % 3 == 0 && !s.zero_csum) {
			slow_unfinish_csum(&s, b, p.len);
			p.flags = MF_PKT_NEEDS_CSUM;
			p.csum_start = (uint16_t)slow_ip_len(&s);
			p.csum_offset = (uint16_t)slow_csum_off(s.proto);
		}
		assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
		nat(&p, &c);
		apply_to_spec(&s, c.source, &c);
		slow_build(&s, want);
		if (p.flags)
			slow_unfinish_csum(&s, want, p.len);
		field = slow_ip_len(&s) + slow_csum_off(s.proto);
		same_but_zero(b, want, p.len, field);
		if (s.proto == UDP && !p.flags)
			assert_int_equal(mf_load_be16(b + field) == 0, s.zero_csum);
	}
}

/* Among all values of two bytes of the address there is one that makes the sum come out as 0. */
static void test_udp_checksum_is_never_zero(void **state)
{
	struct mf_prng g = unit_prng("nat udp zero");
	uint8_t b[200];
	unsigned ffff = 0;

	(void)state;
	for (uint8_t v = 4; v <= 6; v = (uint8_t)(v + 2)) {
		struct mf_pkt p = { .data = b };
		struct mf_addr to;
		struct spec s;

		random_spec(&g, &s);
		s.version = v;
		s.proto = UDP;
		s.payload = payload;
		s.n = 20;
		p.len = (uint32_t)slow_build(&s, b);
		assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
		to = mf_ip_src(&p);
		for (unsigned i = 0; i < 65536; i++) {
			uint16_t sum;

			mf_store_be16(to.b + 2, (uint16_t)i);
			mf_nat_source(&p, &to);
			sum = mf_load_be16(b + p.l4_off + 6);
			assert_int_not_equal(sum, 0);
			ffff += sum == 0xffff;
			assert_true(mf_ip_l4_csum_ok(&p));
		}
	}
	assert_true(ffff >= 2);
}

/* Of a fragment without an L4 header nothing but the IP header may change. */
static void test_fragment(void **state)
{
	struct mf_prng g = unit_prng("nat fragment");
	static uint8_t b[4000], before[4000];

	(void)state;
	for (int i = 0; i < 500; i++) {
		struct mf_pkt p = { .data = b };
		struct change c;
		struct spec s;

		random_spec(&g, &s);
		s.version = 4;
		s.payload = payload;
		s.n = 100;
		p.len = (uint32_t)slow_build(&s, b);
		mf_store_be16(b + 6, 5);
		mf_store_be16(b + 10, 0);
		mf_store_be16(b + 10, slow_finish(slow_sum(b, 20, 0)));
		memcpy(before, b, p.len);
		assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
		c = random_change(&g, &s);
		nat(&p, &c);
		assert_memory_equal(b + 20, before + 20, p.len - 20);
		assert_memory_equal(b + (c.source ? 12 : 16), c.to.b, 4);
		assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	}
}

/* An ICMP packet around `n` bytes; returns its length. */
static size_t build_icmp(const struct spec *o, uint8_t type, const uint8_t *quoted, size_t n,
			 uint8_t *b)
{
	struct spec s = *o;
	size_t ip_len = s.version == 4 ? 20 : 40;

	s.ip_opts = 0;
	s.proto = s.version == 4 ? ICMP : ICMP6;
	slow_ip(&s, b, ip_len + 8 + n);
	memset(b + ip_len, 0, 8);
	b[ip_len] = type;
	memcpy(b + ip_len + 8, quoted, n);
	slow_fill_csums(b, ip_len, s.proto, ip_len + 8 + n);
	return ip_len + 8 + n;
}

/* An error travels against the packet it quotes: the quoted packet's other address changes too. */
static void test_icmp_errors(void **state)
{
	struct mf_prng g = unit_prng("nat icmp");
	static uint8_t b[4000], want[4000], quoted[4000], quoted_want[4000];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		bool error = mf_prng_below(&g, 4), stranger = mf_prng_below(&g, 8) == 0;
		struct mf_pkt p = { .data = b };
		struct spec in, out;
		struct change c;
		size_t n, cut;
		uint8_t type;

		random_spec(&g, &in); /* the quoted packet */
		in.payload = payload;
		in.n = mf_prng_below(&g, 500);
		in.zero_csum = in.proto == UDP && mf_prng_below(&g, 4) == 0;
		random_spec(&g, &out); /* the error about it */
		out.version = in.version;
		memcpy(out.src, in.dst, 16);
		memcpy(out.dst, in.src, 16);
		if (stranger) { /* from a router on the way, and to somebody else */
			out.src[1]++;
			out.dst[1]++;
		}
		type = in.version == 4 ? (error ? 3 : 8) : (error ? 1 : 128);
		c = random_change(&g, &in);
		n = slow_build(&in, quoted);
		cut = mf_prng_below(&g, 2) ? n : mf_prng_below(&g, n + 1);
		p.len = (uint32_t)build_icmp(&out, type, quoted, cut, b);
		assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
		nat(&p, &c);

		apply_to_spec(&out, c.source, &c);
		memcpy(quoted_want, quoted, n);
		if (error && !stranger && cut >= (size_t)(in.version == 4 ? 20 : 40)) {
			size_t field = slow_ip_len(&in) + slow_csum_off(in.proto);

			apply_to_spec(&in, !c.source, &c);
			slow_build(&in, quoted_want);
			if (field + 2 > cut) /* was not there to be changed */
				memcpy(quoted_want + field, quoted + field, 2);
		}
		n = build_icmp(&out, type, quoted_want, cut, want);
		assert_int_equal(n, p.len);
		same_but_zero(b, want, n, p.l4_off + 2u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_and_udp),
		cmocka_unit_test(test_udp_checksum_is_never_zero),
		cmocka_unit_test(test_fragment),
		cmocka_unit_test(test_icmp_errors),
	};
	struct mf_prng g = { .state = 4 };

	mf_prng_fill(&g, payload, sizeof(payload));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
