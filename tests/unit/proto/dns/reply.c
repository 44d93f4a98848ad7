/* SPDX-License-Identifier: Apache-2.0 */
#include "maker.h"

static struct maker query, expected;
static struct mf_dns_query q;
static uint8_t out[MF_DNS_MESSAGE_MAX];
static size_t n;

static void ask(unsigned flags, const char *name, unsigned type, unsigned edns_size)
{
	query.compress = NULL;
	maker_begin(&query, 0xbeef, flags);
	maker_question(&query, name, type);
	if (edns_size)
		maker_opt(&query, edns_size, 0, 0);
	assert_int_equal(mf_dns_query_read(maker_span(&query), &q), MF_OK);
}

static void expect(void)
{
	assert_int_equal(n, expected.n);
	assert_memory_equal(out, expected.b, n);
}

static void expect_begin(unsigned flags, const char *name, unsigned type)
{
	expected.compress = maker_always;
	maker_begin(&expected, 0xbeef, MF_DNS_QR | MF_DNS_RA | flags);
	maker_question(&expected, name, type);
}

static void empty(size_t cap, unsigned rcode, int ede, uint32_t soa_ttl)
{
	n = mf_dns_reply_empty(out, cap, maker_span(&query), &q, rcode, ede, soa_ttl);
}

static void test_empty(void **state)
{
	(void)state;
	ask(MF_DNS_RD | MF_DNS_CD, "wWw.Example", MF_DNS_A, 0);
	empty(512, MF_DNS_REFUSED, MF_DNS_EDE_BLOCKED, 0);
	expect_begin(MF_DNS_RD | MF_DNS_CD | MF_DNS_REFUSED, "wWw.Example", MF_DNS_A);
	expect();
	ask(0, "wWw.Example", MF_DNS_A, 4096);
	empty(512, MF_DNS_NXDOMAIN, MF_DNS_EDE_BLOCKED, 0);
	expect_begin(MF_DNS_NXDOMAIN, "wWw.Example", MF_DNS_A);
	maker_opt(&expected, MF_DNS_UDP_MAX, 0, 0);
	maker_bytes(&expected, "\0\17\0\2\0\17", 6);
	maker_end(&expected);
	expect();
}

/* An NXDOMAIN that a stub keeps for the time that was wanted. */
static void test_empty_with_soa(void **state)
{
	struct mf_dns_facts f;

	(void)state;
	ask(0, "ads.example", MF_DNS_A, 1232);
	empty(512, MF_DNS_NXDOMAIN, MF_DNS_EDE_NONE, 60);
	expect_begin(MF_DNS_NXDOMAIN, "ads.example", MF_DNS_A);
	maker_rr(&expected, MF_DNS_AUTHORITY, "ads.example", MF_DNS_SOA, 60);
	maker_name(&expected, "ads.example");
	maker_name(&expected, "nobody.invalid");
	maker_u32(&expected, 1);
	maker_u32(&expected, 3600);
	maker_u32(&expected, 1200);
	maker_u32(&expected, 604800);
	maker_u32(&expected, 60);
	maker_end(&expected);
	maker_opt(&expected, MF_DNS_UDP_MAX, 0, 0);
	expect();
	assert_int_equal(mf_dns_facts_read(mf_span(out, n), &f), MF_OK);
	assert_true(f.cacheable);
	assert_int_equal(f.ttl, 60);
}

/* RFC 6891 6.1.3; without EDNS there is no way to say it. */
static void test_badvers(void **state)
{
	(void)state;
	ask(0, "a", MF_DNS_A, 1232);
	empty(512, MF_DNS_BADVERS, MF_DNS_EDE_NONE, 0);
	expect_begin(0, "a", MF_DNS_A);
	maker_opt(&expected, MF_DNS_UDP_MAX, MF_DNS_BADVERS, 0);
	expect();
	ask(0, "a", MF_DNS_A, 0);
	empty(512, MF_DNS_BADVERS, MF_DNS_EDE_NONE, 0);
	expect_begin(MF_DNS_SERVFAIL, "a", MF_DNS_A);
	expect();
}

/* Of what cannot be read, the header comes back. */
static void test_malformed_and_other_opcodes(void **state)
{
	const unsigned notify = 4 << 11;

	(void)state;
	ask(MF_DNS_RD, "a", MF_DNS_A, 1232);
	query.n--;
	assert_int_equal(mf_dns_query_read(maker_span(&query), &q), MF_E_MALFORMED);
	empty(512, MF_DNS_FORMERR, MF_DNS_EDE_NONE, 60);
	maker_begin(&expected, 0xbeef, MF_DNS_QR | MF_DNS_RD | MF_DNS_RA | MF_DNS_FORMERR);
	expect();
	query.b[2] = (uint8_t)(notify >> 8);
	assert_int_equal(mf_dns_query_read(maker_span(&query), &q), MF_E_UNSUPPORTED);
	empty(512, MF_DNS_NOTIMP, MF_DNS_EDE_NONE, 0);
	maker_begin(&expected, 0xbeef, MF_DNS_QR | notify | MF_DNS_RA | MF_DNS_NOTIMP);
	expect();
}

static void addresses(size_t cap, const struct mf_addr *addr, size_t n_addrs)
{
	n = mf_dns_reply_addrs(out, cap, maker_span(&query), &q, addr, n_addrs, 77);
}

static void test_addresses(void **state)
{
	static const char *const text[] = { "192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2" };
	struct mf_addr addr[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		addr[i] = maker_addr(text[i]);
	ask(0, "Host.Lan", MF_DNS_A, 0);
	addresses(512, addr, 4);
	expect_begin(0, "Host.Lan", MF_DNS_A);
	maker_address(&expected, MF_DNS_ANSWER, "Host.Lan", 77, text[0]);
	maker_address(&expected, MF_DNS_ANSWER, "Host.Lan", 77, text[2]);
	expect();
	ask(0, "Host.Lan", MF_DNS_AAAA, 600);
	addresses(600, addr, 4);
	expect_begin(0, "Host.Lan", MF_DNS_AAAA);
	maker_address(&expected, MF_DNS_ANSWER, "Host.Lan", 77, text[1]);
	maker_address(&expected, MF_DNS_ANSWER, "Host.Lan", 77, text[3]);
	maker_opt(&expected, MF_DNS_UDP_MAX, 0, 0);
	expect();
	ask(0, "Host.Lan", MF_DNS_MX, 0);
	addresses(512, addr, 4);
	expect_begin(0, "Host.Lan", MF_DNS_MX);
	expect();
}

/* As many as fit to the byte; one more, and there is none. */
static void test_addresses_that_do_not_fit(void **state)
{
	struct mf_addr addr[40];
	size_t fit;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(addr); i++)
		addr[i] = maker_addr("192.0.2.1");
	ask(0, "a", MF_DNS_A, 512);
	fit = (512 - 12 - 7 - 11) / 16;
	addresses(512, addr, fit);
	assert_int_equal(n, 12 + 7 + 11 + 16 * fit);
	assert_int_equal(mf_load_be16(out + 6), fit);
	addresses(512, addr, fit + 1);
	expect_begin(MF_DNS_TC, "a", MF_DNS_A);
	maker_opt(&expected, MF_DNS_UDP_MAX, 0, 0);
	expect();
	addresses(MF_DNS_MESSAGE_MAX, addr, fit + 1);
	assert_int_equal(mf_load_be16(out + 6), fit + 1);
}

static void test_ptr(void **state)
{
	struct mf_dns_name target = maker_wire("host.lan");

	(void)state;
	ask(MF_DNS_RD, "1.2.0.192.in-addr.arpa", MF_DNS_PTR, 0);
	n = mf_dns_reply_ptr(out, 512, maker_span(&query), &q, &target, 9);
	expect_begin(MF_DNS_RD, "1.2.0.192.in-addr.arpa", MF_DNS_PTR);
	maker_alias(&expected, MF_DNS_ANSWER, "1.2.0.192.in-addr.arpa", MF_DNS_PTR, 9, "host.lan");
	expect();
}

/* ---- Questions ------------------------------------------------------------------------------- */

static void test_question(void **state)
{
	struct mf_dns_name name = maker_wire("www.example.com");

	(void)state;
	n = mf_dns_question_write(out, 0x1234, &name, MF_DNS_HTTPS, false, false, NULL, false);
	maker_begin(&expected, 0x1234, MF_DNS_RD | MF_DNS_AD);
	maker_question(&expected, "www.example.com", MF_DNS_HTTPS);
	maker_opt(&expected, MF_DNS_UDP_MAX, 0, 0);
	expect();
	n = mf_dns_question_write(out, 0x1234, &name, MF_DNS_A, true, true, NULL, false);
	maker_begin(&expected, 0x1234, MF_DNS_RD | MF_DNS_AD | MF_DNS_CD);
	maker_question(&expected, "www.example.com", MF_DNS_A);
	maker_opt(&expected, MF_DNS_UDP_MAX, 0, 0x8000);
	expect();
}

/* Of every length of names: a multiple of 128 bytes, and zeros (RFC 7830 3). */
static void test_padding(void **state)
{
	char text[254];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 60; i < 253; i += 60)
		text[i] = '.';
	for (size_t len = 1; len <= 253; len++) {
		struct mf_dns_name name;
		struct mf_dns_query back;
		size_t bare;

		if (mf_dns_name_parse(&name, text, len))
			continue;
		memset(out, 0xee, sizeof(out));
		bare = mf_dns_question_write(out, 1, &name, MF_DNS_A, false, false, NULL, false);
		n = mf_dns_question_write(out, 1, &name, MF_DNS_A, false, false, NULL, true);
		assert_int_equal(n % 128, 0);
		assert_true(n <= 600 && n >= bare + 4 && n < bare + 4 + 128);
		assert_int_equal(mf_dns_query_read(mf_span(out, n), &back), MF_OK);
		assert_int_equal(mf_load_be16(out + bare), 12);
		for (size_t i = bare + 4; i < n; i++)
			assert_int_equal(out[i], 0);
		assert_int_equal(out[n], 0xee);
	}
}

/* 0x20: only letters change, as the bits say, and reading gives the same name back. */
static void test_mixed_case(void **state)
{
	struct mf_prng g = unit_prng("mix");
	struct mf_dns_name name =
		maker_wire("a-very.long.name.of-letters.and.9.digits.{z}.example");

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct mf_dns_query back;
		uint8_t mix[32];

		mf_prng_fill(&g, mix, sizeof(mix));
		n = mf_dns_question_write(out, 1, &name, MF_DNS_A, false, false, mix, false);
		for (size_t k = 0; k < name.n; k++) {
			bool letter = name.b[k] >= 'a' && name.b[k] <= 'z';
			bool up = letter && mix[k / 8] & 1 << k % 8;

			assert_int_equal(out[12 + k], up ? name.b[k] - 32 : name.b[k]);
		}
		assert_int_equal(mf_dns_query_read(mf_span(out, n), &back), MF_OK);
		assert_true(mf_dns_name_equal(&back.name, &name));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_empty_with_soa),
		cmocka_unit_test(test_badvers),
		cmocka_unit_test(test_malformed_and_other_opcodes),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_addresses_that_do_not_fit),
		cmocka_unit_test(test_ptr),
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_mixed_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
