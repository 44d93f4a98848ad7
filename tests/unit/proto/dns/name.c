/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/dns/name.h"

#include "maker.h"

static void expect(const struct mf_dns_name *name, const char *text)
{
	char out[MF_DNS_TEXT_MAX];

	assert_string_equal(mf_dns_name_format(name, out), text);
}

/* The example of RFC 1035 4.1.4: F.ISI.ARPA at 20, FOO and a pointer at 40, a pointer at 64, the
 * root at 92. */
static void test_rfc1035_example(void **state)
{
	static const struct {
		size_t at, end;
		const char *text;
	} names[] = { { 20, 32, "f.isi.arpa" },
		      { 40, 46, "foo.f.isi.arpa" },
		      { 64, 66, "arpa" },
		      { 92, 93, "." } };
	uint8_t msg[93] = { 0 };
	struct mf_dns_name n;

	(void)state;
	memcpy(msg + 20, "\1F\3ISI\4ARPA", 12);
	memcpy(msg + 40, "\3FOO\xc0\x14", 6);
	memcpy(msg + 64, "\xc0\x1a", 2);
	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++) {
		size_t at = names[i].at, skip = at;

		assert_int_equal(mf_dns_name_read(mf_span(msg, 93), &at, &n), MF_OK);
		expect(&n, names[i].text);
		assert_int_equal(at, names[i].end);
		assert_int_equal(mf_dns_name_read(mf_span(msg, 93), &skip, NULL), MF_OK);
		assert_int_equal(skip, at);
	}
}

/* Reads the name at `at`, with and without storing it, in memory that ends where the message
 * ends. */
static mf_err read_at(const uint8_t *msg, size_t n, size_t at, struct mf_dns_name *out)
{
	uint8_t *copy = malloc(n ? n : 1);
	size_t skip = at, start = at;
	mf_err err, also;

	assert_non_null(copy);
	memcpy(copy, msg, n);
	err = mf_dns_name_read(mf_span(copy, n), &at, out);
	also = mf_dns_name_read(mf_span(copy, n), &skip, NULL);
	assert_int_equal(err, also);
	assert_int_equal(at, skip);
	if (err)
		assert_int_equal(at, start);
	free(copy);
	return err;
}

static void test_bad_pointers(void **state)
{
	uint8_t msg[40] = { [12] = 1,    'a',         0xc0,     12, /* to its own beginning */
			    [20] = 0xc0, 20,                        /* to itself */
			    [24] = 0xc0, 30,                        /* forwards */
			    [28] = 0xc0, 4,                         /* into the header */
			    [32] = 0x41, [34] = 0x80, [38] = 1, 'a' };
	static const size_t bad[] = { 12, 20, 24, 28, 32, 34 };
	struct mf_dns_name n;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		assert_int_equal(read_at(msg, sizeof(msg), bad[i], &n), MF_E_MALFORMED);
	assert_int_equal(read_at(msg, sizeof(msg), 38, &n), MF_E_SHORT);
	assert_int_equal(read_at(msg, sizeof(msg), 40, &n), MF_E_SHORT);
	assert_int_equal(read_at(msg, 21, 20, &n), MF_E_SHORT); /* half a pointer */
}

/* Pointers to pointers: as many as a name can have labels, and not one more. */
static void test_pointers_are_bounded(void **state)
{
	uint8_t msg[300] = { [12] = 1, 'a', 0 };
	struct mf_dns_name n;
	size_t at = 15;

	(void)state;
	for (size_t i = 0, to = 12; i < 128; i++, to = at, at += 2)
		mf_store_be16(msg + at, (uint16_t)(0xc000 | to));
	assert_int_equal(read_at(msg, at, at - 4, &n), MF_OK);
	expect(&n, "a");
	assert_int_equal(read_at(msg, at, at - 2, &n), MF_E_MALFORMED);
}

/* 255 bytes fit, in one piece and in two; 256 do not. */
static void test_longest_name(void **state)
{
	uint8_t msg[600] = { 0 };
	struct mf_dns_name n;
	size_t at = 12;

	(void)state;
	for (int i = 0; i < 126; i++, at += 2)
		memcpy(msg + at, "\1x", 2);
	msg[at++] = 0; /* 253 bytes from 12 on */
	memcpy(msg + at, "\1y\xc0\x0c", 4);
	assert_int_equal(read_at(msg, at + 4, at, &n), MF_OK);
	assert_int_equal(n.n, 255);
	memcpy(msg + at, "\2yy\xc0\x0c", 5);
	assert_int_equal(read_at(msg, at + 5, at, &n), MF_E_MALFORMED);
	memcpy(msg + at - 1, "\1x\0", 3);
	assert_int_equal(read_at(msg, at + 2, 12, &n), MF_OK);
	memcpy(msg + at - 1, "\2xx\0", 4);
	assert_int_equal(read_at(msg, at + 3, 12, &n), MF_E_MALFORMED);
}

/* Every byte value at every place of a label of every length: only A to Z change. */
static void test_lower_case(void **state)
{
	uint8_t msg[12 + 65];
	struct mf_dns_name n;

	(void)state;
	for (size_t len = 1; len <= 63; len++) {
		for (unsigned v = 0; v < 256; v++) {
			memset(msg, 0, sizeof(msg));
			msg[12] = (uint8_t)len;
			for (size_t i = 0; i < len; i++)
				msg[13 + i] = (uint8_t)(v + i);
			assert_int_equal(read_at(msg, 12 + len + 2, 12, &n), MF_OK);
			for (size_t i = 0; i < len; i++) {
				uint8_t c = (uint8_t)(v + i);

				assert_int_equal(n.b[1 + i], c >= 'A' && c <= 'Z' ? c + 32 : c);
			}
		}
	}
}

static void test_text(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: malformed */
	} texts[] = {
		{ "Example.COM", "example.com" },
		{ "example.com.", "example.com" },
		{ ".", "." },
		{ "_dns.\\.x\\046.y", "_dns.\\.x\\..y" },
		{ "a\\000b", "a\\000b" },
		{ "a\\255b\\032", "a\\255b\\032" },
		{ "a\\ b", "a\\032b" },
		{ "\\\"\\(\\)\\;\\@\\$\\\\", "\\\"\\(\\)\\;\\@\\$\\\\" },
		{ "\\065\\090", "az" },
		{ "", NULL },
		{ "..", NULL },
		{ ".a", NULL },
		{ "a..b", NULL },
		{ "a\\", NULL },
		{ "a\\2", NULL },
		{ "a\\25", NULL },
		{ "a\\256", NULL },
		{ "a\\0x1", NULL },
		{ "a b", NULL },
		{ "a\tb", NULL },
		{ "b\303\274cher", NULL },
	};
	struct mf_dns_name n;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(texts); i++) {
		mf_err err = mf_dns_name_parse(&n, texts[i].in, strlen(texts[i].in));

		assert_int_equal(err, texts[i].out ? MF_OK : MF_E_MALFORMED);
		if (!err)
			expect(&n, texts[i].out);
	}
	assert_int_equal(mf_dns_name_parse(&n, "a\0b", 3), MF_E_MALFORMED);
}

static void test_text_limits(void **state)
{
	char text[300];
	struct mf_dns_name n;

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_int_equal(mf_dns_name_parse(&n, text, 63), MF_OK);
	assert_int_equal(mf_dns_name_parse(&n, text, 64), MF_E_RANGE);
	text[63] = text[127] = text[191] = '.';
	assert_int_equal(mf_dns_name_parse(&n, text, 253), MF_OK);
	assert_int_equal(n.n, 255);
	assert_int_equal(mf_dns_name_parse(&n, text, 254), MF_E_RANGE);
	text[253] = '.';
	assert_int_equal(mf_dns_name_parse(&n, text, 254), MF_OK);
	text[252] = '.';
	text[253] = 'a';
	assert_int_equal(mf_dns_name_parse(&n, text, 254), MF_E_RANGE);
}

/* A name of random labels and random bytes; with `tame`, of those that a host name has. */
static struct mf_dns_name random_name(struct mf_prng *g, bool tame)
{
	struct mf_dns_name n = { 0 };
	size_t labels = mf_prng_below(g, 8), at = 0;

	for (; labels; labels--) {
		size_t len = 1 + mf_prng_below(g, mf_prng_below(g, 4) ? 5 : 63);

		if (at + len + 2 > MF_DNS_NAME_MAX)
			break;
		n.b[at++] = (uint8_t)len;
		for (; len; len--) {
			uint8_t c = (uint8_t)mf_prng_u64(g);

			if (tame)
				c = (uint8_t) "ab_-"[c % 4];
			n.b[at++] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
		}
	}
	n.b[at] = 0;
	n.n = (uint8_t)(at + 1);
	return n;
}

static void test_text_round_trip(void **state)
{
	struct mf_prng g = unit_prng("text");
	char text[MF_DNS_TEXT_MAX];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct mf_dns_name n = random_name(&g, false), back;

		mf_dns_name_format(&n, text);
		assert_true(strlen(text) < sizeof(text));
		assert_int_equal(mf_dns_name_parse(&back, text, strlen(text)), MF_OK);
		assert_true(mf_dns_name_equal(&n, &back));
	}
}

/* The host form is the text form of names that need no escapes. */
static void test_host(void **state)
{
	struct mf_prng g = unit_prng("host");
	static const char *const none[] = { ".", "a\\.b.c", "a\\\\.c", "a\\127", "a\\032b", "\\000" };
	char text[MF_DNS_TEXT_MAX], host[MF_DNS_NAME_MAX];
	struct mf_dns_name n;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		n = random_name(&g, true);
		if (n.n == 1)
			continue;
		assert_int_equal(mf_dns_name_host(&n, host), n.n - 2);
		assert_string_equal(host, mf_dns_name_format(&n, text));
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(none); i++) {
		n = maker_wire(none[i]);
		assert_int_equal(mf_dns_name_host(&n, host), 0);
		assert_string_equal(host, "");
	}
	n = maker_wire("\\195\\188.example");
	assert_int_equal(mf_dns_name_host(&n, host), 10);
	/* A label of 46 bytes has '.' for its length. */
	n = maker_wire("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com");
	assert_int_equal(mf_dns_name_host(&n, host), 50);
}

static void test_below(void **state)
{
	static const struct {
		const char *name, *zone;
		bool below;
	} cases[] = {
		{ "example.com", "example.com", true },
		{ "a.example.com", "example.com", true },
		{ "a.b.example.com", "com", true },
		{ "example.com", ".", true },
		{ ".", ".", true },
		{ "badexample.com", "example.com", false },
		{ "example.com", "a.example.com", false },
		{ "example.com", "example.org", false },
		{ ".", "com", false },
		/* The zone's bytes inside a label. */
		{ "a\\003com", "com", false },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_dns_name n = maker_wire(cases[i].name), z = maker_wire(cases[i].zone);

		assert_int_equal(mf_dns_name_below(&n, &z), cases[i].below);
	}
}

static void test_reverse(void **state)
{
	static const struct {
		const char *addr, *name;
	} known[] = {
		{ "10.2.0.52", "52.0.2.10.in-addr.arpa" }, /* RFC 1035 3.5 */
		/* RFC 3596 2.5 */
		{ "4321:0:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0."
					     "0.0.1.2.3.4.ip6.arpa" },
		{ "255.199.100.9", "9.100.199.255.in-addr.arpa" },
	};
	static const char *const none[] = { "0.2.10.in-addr.arpa",
					    "1.52.0.2.10.in-addr.arpa",
					    "52.0.2.010.in-addr.arpa",
					    "52.0.2.256.in-addr.arpa",
					    "52.0.2.a.in-addr.arpa",
					    "52.0.2.1000.in-addr.arpa",
					    "in-addr.arpa",
					    "b.a.ip6.arpa",
					    "52.0.2.10.in-addr.arpa.x",
					    "ip6.arpa",
					    "x52.0.2.10xin-addr.arpa",
					    "." };
	struct mf_dns_name n;
	struct mf_addr a;
	char bad[100];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(known); i++) {
		struct mf_addr want = maker_addr(known[i].addr);

		mf_dns_name_reverse(&n, &want);
		expect(&n, known[i].name);
		assert_true(mf_dns_name_unreverse(&n, &a));
		assert_true(mf_addr_equal(&a, &want));
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(none); i++) {
		n = maker_wire(none[i]);
		assert_false(mf_dns_name_unreverse(&n, &a));
	}
	snprintf(bad, sizeof(bad), "g%s", known[1].name + 1);
	n = maker_wire(bad);
	assert_false(mf_dns_name_unreverse(&n, &a));
}

static void test_reverse_round_trip(void **state)
{
	struct mf_prng g = unit_prng("reverse");

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint8_t bytes[16];
		struct mf_addr a, back;
		struct mf_dns_name n;

		mf_prng_fill(&g, bytes, sizeof(bytes));
		a = i % 2 ? mf_addr_ip4(bytes) : mf_addr_ip6(bytes);
		mf_dns_name_reverse(&n, &a);
		assert_true(mf_dns_name_unreverse(&n, &back));
		assert_true(mf_addr_equal(&a, &back));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc1035_example),
		cmocka_unit_test(test_bad_pointers),
		cmocka_unit_test(test_pointers_are_bounded),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_lower_case),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_limits),
		cmocka_unit_test(test_text_round_trip),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_reverse_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
