/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <arpa/inet.h>

#include "unit.h"

enum { ROUNDS = 200000 };

/* Mostly zeros and a few small bytes, so that runs of zero groups of every length come up. */
static void sparse_bytes(struct mf_prng *g, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t pick = mf_prng_below(g, 8);

		b[i] = pick < 5 ? 0 : pick == 5 ? 0xff : (uint8_t)mf_prng_u64(g);
	}
}

static void test_format_agrees_with_inet_ntop(void **state)
{
	struct mf_prng g = unit_prng("addr format");

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		char want[INET6_ADDRSTRLEN], got[MF_ADDR_STRLEN];
		struct mf_addr a, back;
		uint8_t b[16];

		sparse_bytes(&g, b, sizeof(b));
		if (i % 16 == 0)
			memcpy(b, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
		a = i % 4 ? mf_addr_ip6(b) : mf_addr_ip4(b);
		assert_non_null(inet_ntop(i % 4 ? AF_INET6 : AF_INET, b, want, sizeof(want)));
		assert_string_equal(mf_addr_format(&a, got), want);
		assert_int_equal(mf_addr_parse(&back, got), MF_OK);
		assert_true(mf_addr_equal(&a, &back));
	}
}

static void check_parse(const char *text)
{
	uint8_t want[16] = { 0 };
	struct mf_addr a;
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	mf_err e = mf_addr_parse(&a, text);

	if (inet_pton(family, text, want) != 1) {
		if (e != MF_E_MALFORMED)
			fail_msg("accepted: \"%s\"", text);
		assert_int_equal(a.family, MF_AF_NONE);
		return;
	}
	if (e != MF_OK)
		fail_msg("refused: \"%s\"", text);
	assert_int_equal(a.family, family == AF_INET ? MF_AF_IP4 : MF_AF_IP6);
	assert_memory_equal(a.b, want, 16);
}

/* Good texts with a few characters changed: most are bad in only one place. */
static void test_parse_agrees_with_inet_pton(void **state)
{
	static const char alphabet[] = "0123456789abcdefABCDEFg:::...%/ -";
	struct mf_prng g = unit_prng("addr parse");
	unsigned good = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		char text[64];
		uint8_t b[16];
		size_t n;
		struct mf_addr a;

		sparse_bytes(&g, b, sizeof(b));
		assert_non_null(inet_ntop(i % 4 ? AF_INET6 : AF_INET, b, text, sizeof(text)));
		n = strlen(text);
		for (uint64_t k = mf_prng_below(&g, 4); k > 0; k--) {
			size_t at = mf_prng_below(&g, n);
			char c = alphabet[mf_prng_below(&g, sizeof(alphabet) - 1)];

			switch (mf_prng_below(&g, 3)) {
			case 0:
				text[at] = c;
				break;
			case 1:
				memmove(text + at + 1, text + at, n - at + 1);
				text[at] = c;
				n++;
				break;
			default:
				if (n > 1) {
					memmove(text + at, text + at + 1, n - at);
					n--;
				}
			}
		}
		check_parse(text);
		good += mf_addr_parse(&a, text) == MF_OK;
	}
	/* Else the comparison has not seen both sides. */
	assert_in_range(good, ROUNDS / 4, ROUNDS * 3 / 4);
}

static void test_parse_corner_cases(void **state)
{
	static const char *const texts[] = {
		"",
		"::",
		":",
		":::",
		"::1",
		"1::",
		"1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7::",
		"::2:3:4:5:6:7:8",
		"1:2:3:4::5:6:7:8",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7",
		"1::2::3",
		"12345::",
		"::ffff:1.2.3.4",
		"::ffff:1.2.3",
		"::ffff:1.2.3.4:5",
		"1:2:3:4:5:6:1.2.3.4",
		"1:2:3:4:5:6:7:1.2.3.4",
		"1.2.3.4::",
		":1.2.3.4",
		"1:",
		":1",
		"fe80::1%1",
		"[::1]",
		" ::1",
		"::1 ",
		"1.2.3.4",
		"01.2.3.4",
		"1.2.3.04",
		"1.2.3.256",
		"1.2.3",
		"1.2.3.4.",
		"1.2.3.4.5",
		".1.2.3.4",
		"0x1.2.3.4",
		"1..3.4",
		"16909060",
		"0.0.0.0",
		"255.255.255.255",
		"4294967297.0.0.0",
		"18446744073709551617.0.0.0",
		"1.2.3.0000000000000000000001",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(texts); i++)
		check_parse(texts[i]);
}

/* RFC 5952, sections 4 and 5, as written there or following from the rule. */
static void test_rfc5952(void **state)
{
	static const char *const pairs[][2] = {
		{ "2001:0db8::0001", "2001:db8::1" },
		{ "2001:db8:0:0:0:0:2:1", "2001:db8::2:1" },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "2001:DB8::AbCd", "2001:db8::abcd" },
		{ "0:0:0:0:0:ffff:c000:0201", "::ffff:192.0.2.1" },
		{ "0:0:0:0:0:0:0:0", "::" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(pairs); i++) {
		char got[MF_ADDR_STRLEN];
		struct mf_addr a;

		assert_int_equal(mf_addr_parse(&a, pairs[i][0]), MF_OK);
		assert_string_equal(mf_addr_format(&a, got), pairs[i][1]);
	}
}

static bool bit(const struct mf_addr *a, unsigned i)
{
	return a->b[i / 8] >> (7 - i % 8) & 1;
}

static void test_prefix_against_bit_by_bit(void **state)
{
	struct mf_prng g = unit_prng("prefix");

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint8_t b[16];
		struct mf_prefix p, masked, back;
		struct mf_addr a;
		unsigned bits, same = 0;
		char text[MF_PREFIX_STRLEN];

		mf_prng_fill(&g, b, sizeof(b));
		p.addr = i % 2 ? mf_addr_ip6(b) : mf_addr_ip4(b);
		bits = mf_addr_bits(&p.addr);
		p.len = (uint8_t)mf_prng_below(&g, bits + 1);
		masked = mf_prefix_mask(p);
		for (unsigned k = 0; k < bits; k++)
			assert_int_equal(bit(&masked.addr, k), k < p.len && bit(&p.addr, k));
		/* An address that leaves the prefix at a random bit. */
		a = p.addr;
		unsigned flip = (unsigned)mf_prng_below(&g, bits);

		a.b[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
		while (same < bits && bit(&a, same) == bit(&p.addr, same))
			same++;
		assert_int_equal(mf_prefix_contains(&p, &a), same >= p.len);
		assert_int_equal(mf_prefix_contains(&masked, &a), same >= p.len);
		a.family = a.family == MF_AF_IP4 ? MF_AF_IP6 : MF_AF_IP4;
		assert_false(mf_prefix_contains(&p, &a));
		assert_int_equal(mf_prefix_parse(&back, mf_prefix_format(&p, text)), MF_OK);
		assert_true(mf_prefix_equal(&p, &back));
		assert_int_equal(mf_prefix_equal(&p, &masked), !memcmp(p.addr.b, masked.addr.b, 16));
	}
}

static void test_prefix_texts(void **state)
{
	static const char *const bad[] = { "",
					   "/8",
					   "10.0.0.0/",
					   "10.0.0.0/33",
					   "::/129",
					   "10.0.0.0/8 ",
					   "10.0.0.0/08",
					   "10.0.0.0/+8",
					   "10.0.0/8",
					   "::/1/2",
					   "::/-1",
					   "::/4294967304",
					   "10.0.0.0/8/",
					   "::/99999999999" };
	struct mf_prefix p;
	char text[MF_PREFIX_STRLEN];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		if (mf_prefix_parse(&p, bad[i]) != MF_E_MALFORMED)
			fail_msg("accepted: \"%s\"", bad[i]);
	}
	assert_int_equal(mf_prefix_parse(&p, "10.66.0.2/30"), MF_OK);
	assert_string_equal(mf_prefix_format(&p, text), "10.66.0.2/30");
	assert_int_equal(mf_prefix_parse(&p, "192.0.2.1"), MF_OK);
	assert_int_equal(p.len, 32);
	assert_int_equal(mf_prefix_parse(&p, "::1"), MF_OK);
	assert_int_equal(p.len, 128);
	assert_int_equal(mf_prefix_parse(&p, "::/0"), MF_OK);
	assert_int_equal(p.len, 0);
}

static void test_endpoint_texts(void **state)
{
	static const char *const good[] = { "192.0.2.1:51820",       "0.0.0.0:0",
					    "[2001:db8::1]:51820",   "[fe80::1%3]:65535",
					    "[febf::%4294967295]:1", "[::ffff:192.0.2.1]:53" };
	static const char *const bad[] = { "",
					   ":",
					   ":1",
					   "192.0.2.1",
					   "192.0.2.1:",
					   "192.0.2.1:65536",
					   "192.0.2.1:+1",
					   "192.0.2.1:01",
					   "192.0.2.1:1 ",
					   "[192.0.2.1]:1",
					   "::1:1",
					   "2001:db8::1:51820",
					   "[::1]",
					   "[::1:1",
					   "[::1]1",
					   "[]:1",
					   "[:1",
					   "[::1]x:1",
					   "[fe80::1%]:1",
					   "[fe80::1%0]:1",
					   "[fe80::1%eth0]:1",
					   "[fe80::1%1%1]:1",
					   "[fe80::1%4294967296]:1",
					   "[2001:db8::1%3]:1",
					   "192.0.2.1%3:1",
					   "vpn.example.net:51820" };
	struct mf_endpoint e, other;
	char text[MF_ENDPOINT_STRLEN];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(good); i++) {
		assert_int_equal(mf_endpoint_parse(&e, good[i]), MF_OK);
		assert_string_equal(mf_endpoint_format(&e, text), good[i]);
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		if (mf_endpoint_parse(&e, bad[i]) != MF_E_MALFORMED)
			fail_msg("accepted: \"%s\"", bad[i]);
	}
	assert_int_equal(mf_endpoint_parse(&e, "[fe80::1%3]:7"), MF_OK);
	assert_int_equal(e.scope_id, 3);
	assert_int_equal(e.port, 7);
	other = e;
	assert_true(mf_endpoint_equal(&e, &other));
	other.scope_id = 4;
	assert_false(mf_endpoint_equal(&e, &other));
	other = e;
	other.port = 8;
	assert_false(mf_endpoint_equal(&e, &other));
	other = e;
	other.addr.b[15] = 2;
	assert_false(mf_endpoint_equal(&e, &other));
}

static void test_longest_texts_fit(void **state)
{
	struct mf_endpoint e = { .port = 65535, .scope_id = UINT32_MAX };
	struct mf_prefix p = { .len = 128 };
	char text[MF_ENDPOINT_STRLEN], prefix[MF_PREFIX_STRLEN];
	uint8_t b[16];

	(void)state;
	memset(b, 0xff, sizeof(b));
	e.addr = p.addr = mf_addr_ip6(b);
	assert_string_equal(mf_endpoint_format(&e, text),
			    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
	assert_string_equal(mf_prefix_format(&p, prefix),
			    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
	e = (struct mf_endpoint){ 0 };
	assert_string_equal(mf_endpoint_format(&e, text), "(none)");
}

/* Every single bit makes an address of somebody. */
static void test_unspecified(void **state)
{
	struct mf_addr four = { .family = MF_AF_IP4 }, six = { .family = MF_AF_IP6 }, none = { 0 };

	(void)state;
	assert_true(mf_addr_is_unspecified(&four));
	assert_true(mf_addr_is_unspecified(&six));
	assert_true(mf_addr_is_unspecified(&none));
	for (size_t bit = 0; bit < 128; bit++) {
		struct mf_addr a = bit < 32 ? four : six;

		a.b[bit / 8] = (uint8_t)(0x80 >> bit % 8);
		assert_false(mf_addr_is_unspecified(&a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format_agrees_with_inet_ntop),
		cmocka_unit_test(test_parse_agrees_with_inet_pton),
		cmocka_unit_test(test_parse_corner_cases),
		cmocka_unit_test(test_rfc5952),
		cmocka_unit_test(test_prefix_against_bit_by_bit),
		cmocka_unit_test(test_prefix_texts),
		cmocka_unit_test(test_endpoint_texts),
		cmocka_unit_test(test_longest_texts_fit),
		cmocka_unit_test(test_unspecified),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
