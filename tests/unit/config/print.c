/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/config/print.c: random profiles print what parses back to the same.
 */
#include "config_test.h"

static const char *word(struct mf_prng *g, const char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return words[mf_prng_below(g, n)];
}
#define WORD(g, ...) word(g, (const char *const[]){ __VA_ARGS__, NULL })

static bool toss(struct mf_prng *g)
{
	return mf_prng_below(g, 2);
}

static void random_key(struct mf_prng *g, struct mf_text *out)
{
	char text[MF_KEY_BASE64_STRLEN];
	struct mf_key k;

	mf_prng_fill(g, &k, sizeof(k));
	mf_key_to_base64(&k, text);
	mf_text_printf(out, toss(g) ? "%s" : "'%s'", text);
}

static void random_prefix(struct mf_prng *g, struct mf_text *out)
{
	struct mf_prefix p = { 0 };
	char text[MF_PREFIX_STRLEN];

	mf_prng_fill(g, p.addr.b, 16);
	p.addr.family = toss(g) ? MF_AF_IP6 : MF_AF_IP4;
	if (p.addr.family == MF_AF_IP4)
		memset(p.addr.b + 4, 0, 12);
	p.len = (uint8_t)mf_prng_below(g, mf_addr_bits(&p.addr) + 1);
	p = mf_prefix_mask(p);
	mf_text_printf(out, "\"%s\"", mf_prefix_format(&p, text));
}

static void random_list(struct mf_prng *g, struct mf_text *out, unsigned most)
{
	mf_text_printf(out, "[");
	for (uint64_t n = mf_prng_below(g, most + 1); n; n--) {
		random_prefix(g, out);
		mf_text_printf(out, ",");
	}
	mf_text_printf(out, "]");
}

static void random_peer(struct mf_prng *g, struct mf_text *out)
{
	mf_text_printf(out, "      - public_key: ");
	random_key(g, out);
	if (toss(g)) {
		mf_text_printf(out, "\n        preshared_key: ");
		random_key(g, out);
	} else if (toss(g)) {
		mf_text_printf(out, "\n        preshared_key_file: \"%s\"",
			       WORD(g, "x", "/a b", "\\u00e4", "a\\\"b", "true"));
	}
	if (toss(g))
		mf_text_printf(out, "\n        endpoint: \"%s:%u\"",
			       WORD(g, "192.0.2.1", "[2001:db8::1]", "a.example", "[fe80::1%3]"),
			       1 + (unsigned)mf_prng_below(g, 65535));
	if (toss(g))
		mf_text_printf(out, "\n        persistent_keepalive: %s",
			       WORD(g, "off", "0", "1", "25", "65535"));
	mf_text_printf(out, "\n        allowed_ips: ");
	random_list(g, out, 7);
	mf_text_printf(out, "\n");
}

static void random_interface(struct mf_prng *g, struct mf_text *out, unsigned index)
{
	mf_text_printf(out, "  - type: wireguard\n    name: %s%u\n",
		       WORD(g, "wg", "vpn-", "\"=\"", "a.b_") + 0, index);
	mf_text_printf(out, "    private_key: ");
	random_key(g, out);
	if (toss(g))
		mf_text_printf(out, "\n    listen_port: %u", 1000 + index);
	if (toss(g))
		mf_text_printf(out, "\n    mtu: %s", WORD(g, "auto", "1280", "65520"));
	if (toss(g))
		mf_text_printf(out, "\n    address: [10.0.0.%u/24, \"fd00::%u\"]", 1 + index,
			       1 + index);
	mf_text_printf(out, "\n");
	if (toss(g)) {
		mf_text_printf(out, "    peers:\n");
		for (uint64_t n = 1 + mf_prng_below(g, 3); n; n--)
			random_peer(g, out);
	}
}

static void random_transport(struct mf_prng *g, struct mf_text *out, const char *type)
{
	if (strcmp(type, "socks5") != 0)
		mf_text_printf(out, "%s",
			       WORD(g, "", "    tls: {}\n",
				    "    tls: { server_name: a.example, insecure: true }\n",
				    "    tls: { alpn: http/1.1, ca_file: \"ä b\", "
				    "session_resumption: false }\n"));
	if (strcmp(type, "socks5") != 0 && strcmp(type, "http") != 0)
		mf_text_printf(
			out, "%s",
			WORD(g, "", "", "    websocket: {}\n",
			     "    websocket: { path: \"/x?y=%20\", host: \"a.example:8\", "
			     "early_data: 1, early_data_header: X-Y }\n",
			     "    websocket: { early_data_header: path, headers: { User-Agent: "
			     "\"a: b # c\", X: \"1\" } }\n"));
	if (!strcmp(type, "shadowsocks"))
		mf_text_printf(out, "%s",
			       WORD(g, "", "    obfs: {}\n",
				    "    obfs: { mode: tls, host: a.example }\n",
				    "    obfs: { path: / }\n"));
}

static void random_proxy(struct mf_prng *g, struct mf_text *out, unsigned index)
{
	const char *type = WORD(g, "shadowsocks", "vmess", "vless", "trojan", "socks5", "http");
	bool has_uuid = type[0] == 'v', has_user = !strcmp(type, "socks5") || !strcmp(type, "http");
	const char *udp = WORD(g, "proxy", "direct", "drop", "reject");

	mf_text_printf(out, "  - name: p%u\n    type: %s\n    server: \"%s:%u\"\n", index, type,
		       WORD(g, "192.0.2.1", "[2001:db8::1]", "a.example"),
		       1 + (unsigned)mf_prng_below(g, 65535));
	if (!strcmp(type, "shadowsocks"))
		mf_text_printf(out, "    method: %s\n", WORD(g, "aes-128-gcm", "aes-256-gcm"));
	if (has_user && toss(g))
		mf_text_printf(out, "    username: \"%s\"\n", WORD(g, "a", "ä b", "true"));
	mf_text_printf(out, "    %s: %s\n", has_uuid ? "uuid" : "password",
		       WORD(g, "x", "'a\"b: #'", "\"\\u20ac\"", "12", "\" \\n\""));
	if (!strcmp(type, "vmess") && toss(g))
		mf_text_printf(out, "    security: %s\n    global_padding: %s\n",
			       WORD(g, "auto", "zero", "none"), WORD(g, "true", "false"));
	if (!strcmp(type, "vless"))
		mf_text_printf(out, "    cleartext: true\n");
	random_transport(g, out, type);
	if (toss(g) && (strcmp(type, "http") != 0 || strcmp(udp, "proxy") != 0))
		mf_text_printf(out, "    udp: %s\n", udp);
	if (toss(g))
		mf_text_printf(out, "    via: %s\n    first_byte_timeout: %s\n",
			       index ? "p0" : "direct", WORD(g, "off", "1s", "1500ms"));
}

static void random_domain_sets(struct mf_prng *g, struct mf_text *out)
{
	mf_text_printf(out,
		       "domain_sets:\n  d: { domains: [%s], files: [%s], lenient: %s }\n"
		       "  \"e: #\": { url: \"http%s://%s\", every: %s, max_size: %s%s }\n",
		       WORD(g, "", "a.example", "a.example, \"full:x.example\", bücher.example",
			    "\"keyword:a\", \"regexp:^a\\\\.b\"", "a.b, c.d, e.f, g.h, i.j"),
		       WORD(g, "", "x", "/y/z, \"ä\\t\""), WORD(g, "true", "false"),
		       WORD(g, "", "s"), WORD(g, "a.example", "[2001:db8::1]:8080/x?y=%20#z"),
		       WORD(g, "1", "90s", "1h", "31d"), WORD(g, "1K", "32MiB", "1000000"),
		       WORD(g, "", ", via: direct"));
}

static void random_servers(struct mf_prng *g, struct mf_text *out, const char *group)
{
	mf_text_printf(out, "  %s:\n    - %s\n", group,
		       WORD(g, "192.0.2.1", "'192.0.2.1:5353'", "2001:db8::1", "\"[2001:db8::1]\"",
			    "udp://192.0.2.1", "tcp://192.0.2.1:1"));
	if (toss(g))
		mf_text_printf(out, "    - %s\n",
			       WORD(g, "tls://a.example", "tls://192.0.2.1#a.example",
				    "{ url: \"tls://a.example\", bootstrap: \"2001:db8::2\" }",
				    "{ url: tls://192.0.2.9 }"));
	if (toss(g))
		mf_text_printf(out, "    - %s\n",
			       WORD(g, "https://b.example", "\"https://192.0.2.1:1/q?r#b.example\"",
				    "{ url: 'https://b.example./', bootstrap: [192.0.2.3, "
				    "192.0.2.4] }"));
}

static void random_dns(struct mf_prng *g, struct mf_text *out)
{
	mf_text_printf(out, "dns:\n");
	random_servers(g, out, WORD(g, "direct_servers", "direct_servers", "servers"));
	if (toss(g))
		random_servers(g, out, "vpn_servers");
	if (toss(g))
		mf_text_printf(out, "  listen: [%s]\n  hijack: %s\n",
			       WORD(g, "192.0.2.1", "'0.0.0.0:54', \"[::]:53\", \"fd00::7\""),
			       WORD(g, "true", "false"));
	if (toss(g))
		mf_text_printf(out, "  system: %s\n  block_answer: %s\n  block_ttl: %s\n",
			       WORD(g, "off", "auto", "resolved", "resolv.conf"),
			       WORD(g, "nxdomain", "zero", "refused", "route"),
			       WORD(g, "0", "1s", "1d", "86400"));
	if (toss(g))
		mf_text_printf(out, "  hosts: { A.example: 192.0.2.1, \"*.b.example\": [%s] }\n",
			       WORD(g, "\"::\"", "0.0.0.0, \"::1\"", "1.1.1.1, 1.1.1.1"));
	if (toss(g))
		mf_text_printf(out, "  rebind_allow: [%s]\n  stale: %s\n  timeout: %s\n",
			       WORD(g, "", "A.example.", "a, b, c, d, e"),
			       WORD(g, "off", "1", "7d", "100h"), WORD(g, "100ms", "1m", "59999ms"));
	if (toss(g))
		mf_text_printf(out, "  cache_size: %s\n  ttl_min: %s\n  ca_file: %s\n",
			       WORD(g, "64K", "65537", "12M"), WORD(g, "0", "1h", "86400"),
			       WORD(g, "x", "\"a: b\""));
}

/* Mostly valid; what is not is left out by the caller. */
static void random_profile(struct mf_prng *g, struct mf_text *out)
{
	unsigned n = (unsigned)mf_prng_below(g, 4), n_proxies = (unsigned)mf_prng_below(g, 4);

	mf_text_printf(out, "version: 1\ntunnel:\n  name: %s\n  auto_route: %s\n",
		       WORD(g, "mint0", "0", "null", "true", "'-'", "1e3"), WORD(g, "true", "false"));
	if (toss(g))
		mf_text_printf(out, "  mtu: %s\n  offload: { tso: %s, gro: %s }\n",
			       WORD(g, "auto", "576", "1420"), WORD(g, "true", "false"),
			       WORD(g, "true", "false"));
	mf_text_printf(out, "limits: { memory: %s, workers: %s }\n",
		       WORD(g, "48MiB", "64M", "16777217", "1G", "20000K"),
		       WORD(g, "auto", "1", "64"));
	if (toss(g))
		mf_text_printf(out, "direct: { device: %s, fast_open: %s }\n",
			       WORD(g, "auto", "'auto'", "eth0", "'null'", "1"),
			       WORD(g, "true", "false"));
	if (toss(g))
		mf_text_printf(out, "sessions: { max: %s, per_source: %s, udp: %s, tcp_idle: %s }\n",
			       WORD(g, "64", "16384", "1048576"), WORD(g, "auto", "1", "64"),
			       WORD(g, "1", "300", "2678400"), WORD(g, "1", "7440"));
	if (n || n_proxies)
		mf_text_printf(out, "interfaces:\n");
	for (unsigned i = 0; i < n; i++)
		random_interface(g, out, i);
	for (unsigned i = 0; i < n_proxies; i++)
		random_proxy(g, out, i);
	random_domain_sets(g, out);
	mf_text_printf(out, "cidr_sets:\n  s: { cidrs: ");
	random_list(g, out, 8);
	mf_text_printf(out, ", files: [%s] }\n  \"a: #\": {}\n", WORD(g, "", "x", "/y/z, \"ä\\t\""));
	mf_text_printf(out,
		       "app_routing:\n  enabled: %s\n  routes:\n"
		       "    - { cidr_set: s, to: drop }\n    - { cidr: ",
		       WORD(g, "true", "true", "true", "false"));
	random_prefix(g, out);
	mf_text_printf(out, ", to: reject }\n%s",
		       WORD(g, "", "    - { domain_set: d, to: drop }\n",
			    "    - { domain_set: \"e: #\", to: direct }\n"));
	if (toss(g))
		mf_text_printf(out, "  dns_fallback: %s\n  settle_ports: [%s]\n  settle_wait: %s\n",
			       WORD(g, "direct", "drop", "reject"),
			       WORD(g, "", "80", "1, 2, 3, 4, 5, 65535"),
			       WORD(g, "10ms", "1s", "1001ms"));
	if (toss(g))
		random_dns(g, out);
}

static char *printed(const char *text, bool with_secrets)
{
	struct mf_config *cfg = parse_ok(text, MF_CONFIG_NO_FILES);
	struct mf_text out = { 0 };

	mf_config_print(cfg, &out, with_secrets);
	assert_false(out.failed);
	mf_config_free(cfg);
	return out.s;
}

static void round_trip(void **state)
{
	struct mf_prng g = unit_prng("round trip");
	unsigned loaded = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct mf_config_errors errs = { 0 };
		struct mf_text text = { 0 };
		struct mf_config *cfg;
		char *once, *twice;

		random_profile(&g, &text);
		/* names may be wrong, prefixes may clash */
		if (mf_config_parse(text.s, text.len, "t", MF_CONFIG_NO_FILES, &cfg, &errs)) {
			mf_config_errors_free(&errs);
			mf_text_free(&text);
			continue;
		}
		mf_config_free(cfg);
		loaded++;
		once = printed(text.s, true);
		twice = printed(once, true);
		assert_string_equal(once, twice);
		free(once);
		free(twice);
		mf_text_free(&text);
	}
	assert_true(loaded > 300);
}

static void proxies_are_hidden(void **state)
{
	static const char text[] = "version: 1\ntunnel: {}\napp_routing: {}\ninterfaces:\n"
				   "  - { name: a, type: trojan, server: \"a.example:1\", "
				   "password: Secret1, websocket: { headers: { X-Y: Secret2 } } }\n"
				   "  - { name: b, type: vmess, server: \"a.example:1\", "
				   "uuid: Secret3 }\n";
	char *out = printed(text, false), *said;

	(void)state;
	assert_null(strstr(out, "Secret"));
	assert_non_null(strstr(out, "password: \"(hidden)\""));
	assert_non_null(strstr(out, "X-Y: \"(hidden)\""));
	assert_non_null(strstr(out, "uuid: \"(hidden)\""));
	said = parse_fails(out);
	assert_non_null(strstr(said, "`password`"));
	assert_non_null(strstr(said, "`X-Y`"));
	assert_non_null(strstr(said, "`uuid`"));
	free(said);
	free(out);
	out = printed(text, true);
	for (const char *const *w = (const char *const[]){ "Secret1", "Secret2", "Secret3", NULL };
	     *w; w++)
		assert_non_null(strstr(out, *w));
	free(out);
}

static void secrets_are_hidden(void **state)
{
	static const char text[] = "version: 1\ntunnel: {}\napp_routing: {}\ninterfaces:\n"
				   "  - name: a\n    type: wireguard\n    private_key: " KEY_A "\n"
				   "    peers: [{ public_key: " KEY_B ", preshared_key: " KEY_C
				   " }]\n";
	char *out = printed(text, false), *said;

	(void)state;
	assert_null(strstr(out, KEY_A));
	assert_null(strstr(out, KEY_C));
	assert_non_null(strstr(out, KEY_B));
	assert_non_null(strstr(out, "private_key: \"(hidden)\""));
	said = parse_fails(out);
	assert_non_null(strstr(said, "private_key"));
	free(said);
	free(out);
	out = printed(text, true);
	assert_non_null(strstr(out, "private_key: " KEY_A));
	assert_non_null(strstr(out, "preshared_key: " KEY_C));
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(secrets_are_hidden),
		cmocka_unit_test(proxies_are_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
