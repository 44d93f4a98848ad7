/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/config/server.c: texts of DNS servers.
 */
#include "config/server.h"

#include "unit.h"

static void good(void **state)
{
	static const struct {
		const char *text;
		enum mf_config_dns_scheme scheme;
		const char *addr, *name, *path; /* addr NULL: none */
		uint16_t port;
	} cases[] = {
		{ "1.1.1.1", MF_CONFIG_DNS_UDP, "1.1.1.1:53", NULL, NULL, 53 },
		{ "9.9.9.9:5353", MF_CONFIG_DNS_UDP, "9.9.9.9:5353", NULL, NULL, 5353 },
		{ "[2620:fe::fe]:53", MF_CONFIG_DNS_UDP, "[2620:fe::fe]:53", NULL, NULL, 53 },
		{ "[2620:fe::fe]", MF_CONFIG_DNS_UDP, "[2620:fe::fe]:53", NULL, NULL, 53 },
		{ "2620:fe::fe", MF_CONFIG_DNS_UDP, "[2620:fe::fe]:53", NULL, NULL, 53 },
		{ "[fe80::1%2]", MF_CONFIG_DNS_UDP, "[fe80::1%2]:53", NULL, NULL, 53 },
		{ "udp://1.1.1.1:54", MF_CONFIG_DNS_UDP, "1.1.1.1:54", NULL, NULL, 54 },
		{ "tcp://1.1.1.1", MF_CONFIG_DNS_TCP, "1.1.1.1:53", NULL, NULL, 53 },
		{ "tls://1.1.1.1", MF_CONFIG_DNS_TLS, "1.1.1.1:853", NULL, NULL, 853 },
		{ "tls://1.1.1.1#a.example", MF_CONFIG_DNS_TLS, "1.1.1.1:853", "a.example", NULL,
		  853 },
		{ "tls://[2001:db8::1]:8853#a.example", MF_CONFIG_DNS_TLS, "[2001:db8::1]:8853",
		  "a.example", NULL, 8853 },
		{ "tls://a.example", MF_CONFIG_DNS_TLS, NULL, "a.example", NULL, 853 },
		{ "tls://a.example.:443", MF_CONFIG_DNS_TLS, NULL, "a.example", NULL, 443 },
		{ "https://a.example", MF_CONFIG_DNS_HTTPS, NULL, "a.example", "/dns-query", 443 },
		{ "https://a.example/", MF_CONFIG_DNS_HTTPS, NULL, "a.example", "/", 443 },
		{ "https://a.example:8443/x/y?z", MF_CONFIG_DNS_HTTPS, NULL, "a.example", "/x/y?z",
		  8443 },
		{ "https://1.1.1.1/dns-query", MF_CONFIG_DNS_HTTPS, "1.1.1.1:443", NULL,
		  "/dns-query", 443 },
		{ "https://[2001:db8::1]/q#a.example", MF_CONFIG_DNS_HTTPS, "[2001:db8::1]:443",
		  "a.example", "/q", 443 },
	};
	struct mf_config_arena *arena = mf_config_arena_new();

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_config_dns_server s;
		const char *bad = mf_server_parse(cases[i].text, arena, &s);
		char addr[MF_ENDPOINT_STRLEN];

		if (bad)
			fail_msg("%s: %s", cases[i].text, bad);
		assert_int_equal(s.scheme, cases[i].scheme);
		assert_int_equal(s.n_addrs, cases[i].addr ? 1 : 0);
		if (cases[i].addr)
			assert_string_equal(mf_endpoint_format(&s.addr[0], addr), cases[i].addr);
		assert_int_equal(s.port, cases[i].port);
		assert_string_equal(s.name ? s.name : "-", cases[i].name ? cases[i].name : "-");
		assert_string_equal(s.path ? s.path : "-", cases[i].path ? cases[i].path : "-");
	}
	mf_config_arena_free(arena);
}

static void bad(void **state)
{
	static const char *const cases[] = {
		"",
		"://",
		"udp://",
		"tls://",
		"https://",
		"https:///q",
		"#a.example",
		"1.1.1.1#a.example",
		"1.1.1.1/q",
		"a.example",
		"udp://a.example",
		"tcp://a.example",
		"1.1.1",
		"1.1.1.1:",
		"1.1.1.1:65536",
		"1.1.1.1.1",
		"::",
		"[::]",
		"0.0.0.0",
		"255.255.255.255",
		"[ff02::fb]",
		"[2001:db8::1",
		"2001:db8::1]:53",
		"[2001:db8::1]x",
		"tls://2001:db8::1",
		"tls://a.example#b.example",
		"tls://1.1.1.1#",
		"tls://1.1.1.1#1.1.1.1",
		"tls://1.1.1.1#a#b",
		"tls://1.1.1.1/",
		"https://a.example/a b",
		"https://a.example/\xc3\xa4",
		"https://a.example/{?dns}",
		"https://me@a.example/",
		"http://a.example/",
		"TLS://a.example",
		"quic://a.example",
		"1.1.1.1 ",
		" 1.1.1.1",
	};
	struct mf_config_arena *arena = mf_config_arena_new();

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_config_dns_server s;

		if (!mf_server_parse(cases[i], arena, &s))
			fail_msg("%s is taken", cases[i]);
	}
	mf_config_arena_free(arena);
}

static void long_paths(void **state)
{
	struct mf_config_arena *arena = mf_config_arena_new();
	struct mf_config_dns_server s;
	char text[512] = "https://a.example/";
	size_t n = strlen(text);

	(void)state;
	memset(text + n, 'x', 254);
	assert_null(mf_server_parse(text, arena, &s));
	assert_int_equal(strlen(s.path), 255);
	memset(text + n, 'x', 255);
	assert_non_null(mf_server_parse(text, arena, &s));
	mf_config_arena_free(arena);
}

static void bootstrap(void **state)
{
	struct mf_config_arena *arena = mf_config_arena_new();
	struct mf_addr addr[MF_CONFIG_DNS_ADDRS + 1];
	struct mf_config_dns_server s;
	struct mf_text out = { 0 };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(addr); i++)
		assert_int_equal(mf_addr_parse(&addr[i], i % 2 ? "2001:db8::1" : "192.0.2.1"), MF_OK);
	assert_null(mf_server_parse("tls://a.example:99", arena, &s));
	mf_server_print(&s, &out);
	assert_string_equal(out.s, "\"tls://a.example:99\"");
	assert_non_null(mf_server_bootstrap(&s, addr, MF_CONFIG_DNS_ADDRS + 1));
	assert_int_equal(s.n_addrs, 0);
	assert_null(mf_server_bootstrap(&s, addr, 2));
	assert_int_equal(s.n_addrs, 2);
	assert_int_equal(s.addr[1].port, 99);
	mf_text_free(&out);
	mf_server_print(&s, &out);
	assert_string_equal(out.s, "{ url: \"tls://a.example:99\", bootstrap: [192.0.2.1, "
				   "\"2001:db8::1\"] }");
	assert_non_null(mf_server_bootstrap(&s, addr, 1));
	/* a server whose address is in its text does not turn into a map */
	mf_text_free(&out);
	assert_null(mf_server_parse("tls://192.0.2.1#a.example", arena, &s));
	mf_server_print(&s, &out);
	assert_string_equal(out.s, "\"tls://192.0.2.1#a.example\"");
	mf_text_free(&out);
	mf_config_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(long_paths),
		cmocka_unit_test(bootstrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
