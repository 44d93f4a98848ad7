/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/config/value.c.
 */
#include "config/value.h"
#include "config/errors.h"

#include "config/tree.h"
#include "unit.h"

static void numbers(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t n;
	} cases[] = {
		{ "0", true, 0 },
		{ "65535", true, 65535 },
		{ "0xca6c", true, 0xca6c },
		{ "0XfF", true, 255 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "0x10000000000000000", false, 0 },
		{ "", false, 0 },
		{ "0x", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "1.0", false, 0 },
		{ "1e3", false, 0 },
		{ "a", false, 0 },
	};
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		assert_int_equal(mf_value_number(cases[i].text, &n), cases[i].ok);
		if (cases[i].ok)
			assert_int_equal(n, cases[i].n);
	}
}

static void sizes(void **state)
{
	static const char *const bad[] = { "",    "MiB",    "48MB",        "48 MB", "1.5M",
					   "1KB", "48Mi",   "48mB",        "M48",   "1T",
					   "-1M", "48MiBx", "17179869184G" };
	uint64_t n;

	(void)state;
	assert_true(mf_value_bytes("4096", &n) && n == 4096);
	assert_true(mf_value_bytes("4K", &n) && n == 4096);
	assert_true(mf_value_bytes("4k", &n) && n == 4096);
	assert_true(mf_value_bytes("48MiB", &n) && n == 48u << 20);
	assert_true(mf_value_bytes("48 MiB", &n) && n == 48u << 20);
	assert_true(mf_value_bytes("64M", &n) && n == 64u << 20);
	assert_true(mf_value_bytes("2GiB", &n) && n == 2ull << 30);
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		assert_false(mf_value_bytes(bad[i], &n));
}

static void sizes_read_back(void **state)
{
	struct mf_prng g = unit_prng("sizes");

	(void)state;
	for (int i = 0; i < 2000; i++) {
		uint64_t n = mf_prng_u64(&g) >> mf_prng_below(&g, 64), back;
		struct mf_text text = { 0 };

		n &= ~((1ull << mf_prng_below(&g, 40)) - 1);
		mf_value_print_bytes(n, &text);
		assert_true(mf_value_bytes(text.s, &back));
		assert_int_equal(back, n);
		mf_text_free(&text);
	}
}

static void times(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{ "0", 0 },          { "90", 90000 },    { "300ms", 300 },
		{ "2s", 2000 },      { "2 s", 2000 },    { "5m", 300000 },
		{ "12h", 43200000 }, { "1d", 86400000 }, { "18446744073709551615ms", UINT64_MAX },
	};
	static const char *const bad[] = {
		"", "s", "-1s", "1.5s", "1w", "1M", "1min", "1S", "1ss", "1s ", " 1s", "0x1", "18446744073709551615s"
	};
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(good); i++)
		assert_true(mf_value_time(good[i].text, &ms) && ms == good[i].ms);
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		assert_false(mf_value_time(bad[i], &ms));
}

static void times_read_back(void **state)
{
	static const uint64_t units[] = { 1, 1000, 60000, 3600000, 86400000 };
	struct mf_prng g = unit_prng("times");
	struct mf_text text = { 0 };

	(void)state;
	for (int i = 0; i < 2000; i++) {
		uint64_t ms = mf_prng_below(&g, 1000000) * units[mf_prng_below(&g, 5)], back;

		mf_value_print_time(ms, &text);
		assert_true(mf_value_time(text.s, &back));
		assert_int_equal(back, ms);
		mf_text_free(&text);
	}
	mf_value_print_time(7440000, &text);
	assert_string_equal(text.s, "124m");
	mf_text_free(&text);
}

static void names(void **state)
{
	static const char *const good[] = { "a",   "wg0", "home-vpn", "A_=+.-9", "123456789012345",
					    "...", "-" };
	static const char *const bad[] = { "",    ".",   "..",       "1234567890123456",
					   "a b", "a/b", "\xc3\xa4", "a\n",
					   "a:" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(good); i++)
		assert_true(mf_value_name(good[i]));
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		assert_false(mf_value_name(bad[i]));
}

static void hosts(void **state)
{
	struct mf_config_arena *arena = mf_config_arena_new();
	struct mf_config_host h = { 0 };
	char long_name[300];

	(void)state;
	assert_null(mf_value_host("vpn.example.net:51820", arena, &h));
	assert_string_equal(h.host, "vpn.example.net");
	assert_int_equal(h.port, 51820);
	assert_false(h.is_addr);
	assert_null(mf_value_host("192.0.2.1:1", arena, &h));
	assert_true(h.is_addr && h.addr.addr.family == MF_AF_IP4 && h.addr.port == 1);
	assert_string_equal(h.host, "192.0.2.1");
	assert_null(mf_value_host("[2001:db8::1]:65535", arena, &h));
	assert_true(h.is_addr && h.addr.addr.family == MF_AF_IP6 && h.addr.port == 65535);
	assert_string_equal(h.host, "2001:db8::1");
	assert_null(mf_value_host("x1:7", arena, &h));
	assert_null(mf_value_host("_a.b-c.example.:7", arena, &h));
	assert_null(mf_value_host("1.2.example:7", arena, &h));
	assert_non_null(mf_value_host("1.2.3:7", arena, &h));
	assert_non_null(mf_value_host("host:65536", arena, &h));
	assert_non_null(mf_value_host("host:", arena, &h));
	assert_non_null(mf_value_host("[::]:1", arena, &h));
	assert_non_null(mf_value_host("[ff02::1]:1", arena, &h));
	assert_non_null(mf_value_host("255.255.255.255:1", arena, &h));
	assert_non_null(mf_value_host(".:1", arena, &h));
	assert_non_null(mf_value_host("", arena, &h));
	memset(long_name, 'a', sizeof(long_name));
	strcpy(long_name + 64, ":1");
	assert_non_null(mf_value_host(long_name, arena, &h)); /* a label of 64 */
	memmove(long_name, long_name + 1, 66);
	assert_null(mf_value_host(long_name, arena, &h)); /* of 63 */
	for (int i = 0; i < 254; i++)
		long_name[i] = i % 4 == 3 ? '.' : 'a';
	strcpy(long_name + 254, ":1");
	assert_non_null(mf_value_host(long_name, arena, &h)); /* 254 bytes in all */
	strcpy(long_name + 253, ":1");
	assert_null(mf_value_host(long_name, arena, &h));
	mf_config_arena_free(arena);
}

/* What is said of more than host:port. */
static void more_than_hosts(void **state)
{
	static const struct {
		const char *text, *said, *shown;
	} cases[] = {
		{ "user:secret@h.example:1", "user", "h.example:1" },
		{ "user:sec@ret@[::1]:1", "user", "[::1]:1" },
		{ "[secret@h.example:1", "user", "h.example:1" },
		{ "https://user:secret@h.example:1", "user", "h.example:1" },
		{ "secret@", "user", "" },
		{ "https://h.example:1", "scheme", "https://h.example:1" },
		{ "https://h.example", "scheme", "https://h.example" },
		{ "2001:db8::1:1", "brackets", "2001:db8::1:1" },
	};
	struct mf_config_arena *arena = mf_config_arena_new();
	struct mf_config_host h;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		const char *bad = mf_value_host(cases[i].text, arena, &h);

		if (!bad || !strstr(bad, cases[i].said))
			fail_msg("%s: %s", cases[i].text, bad ? bad : "(taken)");
		assert_string_equal(mf_config_behind_user(cases[i].text), cases[i].shown);
	}
	mf_config_arena_free(arena);
}

/* Text of others in a message: readable, and nothing that a terminal would obey. */
static void quotes(void **state)
{
	static const struct {
		const char *text, *quoted;
	} cases[] = {
		{ "", "\"\"" },
		{ "a b~", "\"a b~\"" },
		{ "\"\x1b[2J\x7f\t\n", "\"??[2J???\"" },
		{ "\xe9\xa6\x99\xe6\xb8\xaf 01", "\"\xe9\xa6\x99\xe6\xb8\xaf 01\"" },
		{ "\xf0\x9f\x87\xad\xf0\x9f\x87\xb0", "\"\xf0\x9f\x87\xad\xf0\x9f\x87\xb0\"" },
		{ "\xd0\xaf\xc2\xa0", "\"\xd0\xaf\xc2\xa0\"" },
		{ "\xf4\x8f\xbf\xbf\xee\x80\x80", "\"\xf4\x8f\xbf\xbf\xee\x80\x80\"" },
		/* C1, among them CSI */
		{ "a\xc2\x80\xc2\x9b\xc2\x9f", "\"a??????\"" },
		/* U+061C U+200E U+200F */
		{ "\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f", "\"????????\"" },
		/* U+2029 U+202A U+202E U+202F */
		{ "\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xae\xe2\x80\xaf", "\"?????????\xe2\x80\xaf\"" },
		/* U+2065 U+2066 U+2069 U+206A */
		{ "\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa",
		  "\"\xe2\x81\xa5??????\xe2\x81\xaa\"" },
		{ "\xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbd", "\"??????\xef\xbf\xbd\"" },
		/* a surrogate, overlong, beyond Unicode, cut off, no beginning */
		{ "\xed\xa0\x80", "\"???\"" },
		{ "\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf", "\"?????????\"" },
		{ "\xf4\x90\x80\x80\xf8", "\"?????\"" },
		{ "\xe9\xa6", "\"??\"" },
		{ "\xe9\xa6z\x99", "\"??z?\"" },
		/* 64 bytes, and 65, the last of which would be half a character */
		{ "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\xc3\xbc",
		  "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\"..." },
		{ "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\xc3\xbc",
		  "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\xc3\xbc\"" },
		{ "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefg",
		  "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"..." },
	};
	char out[MF_CONFIG_QUOTE_LEN];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++)
		assert_string_equal(mf_config_quote(cases[i].text, out), cases[i].quoted);
}

static void ports_left_out(void **state)
{
	struct mf_config_arena *arena = mf_config_arena_new();
	struct mf_config_host h = { 0 };

	(void)state;
	assert_null(mf_value_host_port("a.example", 853, arena, &h));
	assert_int_equal(h.port, 853);
	assert_false(h.is_addr);
	assert_null(mf_value_host_port("[2001:db8::1]", 853, arena, &h));
	assert_true(h.is_addr && h.addr.port == 853);
	assert_null(mf_value_host_port("192.0.2.1:1", 853, arena, &h));
	assert_true(h.is_addr && h.addr.port == 1);
	assert_non_null(mf_value_host_port("a.example", 0, arena, &h));
	assert_non_null(mf_value_host_port("2001:db8::1", 853, arena, &h));
	assert_non_null(mf_value_host_port("[2001:db8::1]1", 853, arena, &h));
	assert_non_null(mf_value_host_port("a.example:", 853, arena, &h));
	mf_config_arena_free(arena);
}

static void listening(void **state)
{
	static const char *const bad[] = { "",           "a",         ":53",
					   "10.0.0.1:0", "10.0.0.1:", "[10.0.0.1]",
					   "224.0.0.1",  "ff02::1",   "[::1",
					   "::1:x",      "[::1]53",   "255.255.255.255:1" };
	struct mf_endpoint e;

	(void)state;
	assert_null(mf_value_listen("10.0.0.1", 53, &e));
	assert_true(e.port == 53 && e.addr.family == MF_AF_IP4);
	assert_null(mf_value_listen("0.0.0.0:5353", 53, &e));
	assert_int_equal(e.port, 5353);
	assert_null(mf_value_listen("::", 53, &e));
	assert_true(e.port == 53 && e.addr.family == MF_AF_IP6);
	assert_null(mf_value_listen("[::]:54", 53, &e));
	assert_int_equal(e.port, 54);
	assert_null(mf_value_listen("[fe80::1%7]", 53, &e));
	assert_int_equal(e.scope_id, 7);
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		if (!mf_value_listen(bad[i], 53, &e))
			fail_msg("%s is taken", bad[i]);
}

static void urls(void **state)
{
	static const char *const good[] = { "https://a.example", "http://a.example:8080/x?y=%20#z",
					    "https://192.0.2.1/", "https://[2001:db8::1]:444/list",
					    "https://localhost/" };
	static const char *const bad[] = { "",
					   "a.example",
					   "ftp://a.example",
					   "HTTPS://a.example",
					   "https://",
					   "https:///x",
					   "https://a b/",
					   "https://a.example/\xc3\xa4",
					   "https://a.example/\n",
					   "https://me@a.example/",
					   "https://a.example:0/",
					   "https://2001:db8::1/",
					   "https://[a.example]/",
					   "https://1.2.3/" };
	char text[4096];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(good); i++)
		if (mf_value_url(good[i]))
			fail_msg("%s: %s", good[i], mf_value_url(good[i]));
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		if (!mf_value_url(bad[i]))
			fail_msg("%s is taken", bad[i]);
	(void)snprintf(text, sizeof(text), "https://a.example/%02030d", 0);
	assert_int_equal(strlen(text), 2048);
	assert_null(mf_value_url(text));
	strcat(text, "0");
	assert_non_null(mf_value_url(text));
	(void)snprintf(text, sizeof(text), "https://%01000d.example/", 0);
	assert_non_null(mf_value_url(text));
}

static void prefixes(void **state)
{
	struct mf_errbuf why;
	struct mf_prefix p;

	(void)state;
	assert_int_equal(mf_value_prefix("10.0.0.0/8", &p, &why), MF_OK);
	assert_int_equal(p.len, 8);
	assert_int_equal(mf_value_prefix("2001:db8::1", &p, &why), MF_OK);
	assert_int_equal(p.len, 128);
	assert_int_equal(mf_value_prefix("10.0.0.1/8", &p, &why), MF_E_RANGE);
	assert_non_null(strstr(why.text, "10.0.0.0/8"));
	assert_int_equal(mf_value_prefix("10.0.0.0/33", &p, &why), MF_E_MALFORMED);
	assert_int_equal(mf_value_prefix("10.0.0.0/8,10.1.0.0/16", &p, &why), MF_E_MALFORMED);
	assert_non_null(strstr(why.text, "list"));
}

/* A random text of well-formed UTF-8 without NUL. */
static void random_text(struct mf_prng *g, char *out)
{
	static const char *const pieces[] = { "a",
					      "Z",
					      "0",
					      "9",
					      " ",
					      ":",
					      "#",
					      "-",
					      "'",
					      "\"",
					      "\\",
					      "\n",
					      "\t",
					      "{",
					      "]",
					      ",",
					      "&",
					      "*",
					      "!",
					      "|",
					      "%",
					      "@",
					      "`",
					      "~",
					      "null",
					      "true",
					      "yes",
					      "...",
					      "---",
					      "\x7f",
					      "\x01",
					      "\xc2\x85",
					      "\xc3\xa4",
					      "\xe2\x80\xa8",
					      "\xef\xbb\xbf",
					      "\xf0\x9f\x8c\xbf",
					      "/",
					      "=",
					      "?" };
	size_t n = mf_prng_below(g, 8);

	out[0] = '\0';
	while (n--)
		strcat(out, pieces[mf_prng_below(g, MF_ARRAY_LEN(pieces))]);
}

static void scalars_read_back(void **state)
{
	struct mf_prng g = unit_prng("scalars");

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct mf_config_arena *arena = mf_config_arena_new();
		struct mf_config_errors errs = { 0 };
		struct mf_text text = { 0 };
		char wanted[64];
		const struct mf_yaml *root, *v;

		random_text(&g, wanted);
		mf_text_printf(&text, "k: [x, ");
		mf_value_print_scalar(wanted, &text);
		mf_text_printf(&text, ", y]\n");
		root = mf_yaml_read(arena, text.s, text.len, "t", &errs);
		v = mf_yaml_get(root, "k");
		if (!v || v->n != 3 || strcmp(v->first->next->text, wanted) != 0)
			fail_msg("\"%s\" does not read back: %s", wanted, text.s);
		mf_config_errors_free(&errs);
		mf_config_arena_free(arena);
		mf_text_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),         cmocka_unit_test(sizes),
		cmocka_unit_test(sizes_read_back), cmocka_unit_test(times),
		cmocka_unit_test(times_read_back), cmocka_unit_test(names),
		cmocka_unit_test(hosts),           cmocka_unit_test(more_than_hosts),
		cmocka_unit_test(quotes),          cmocka_unit_test(ports_left_out),
		cmocka_unit_test(listening),       cmocka_unit_test(urls),
		cmocka_unit_test(prefixes),        cmocka_unit_test(scalars_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
