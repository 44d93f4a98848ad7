/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of what the profile says about names: src/config/load_dns.c, check_dns.c, check_sets.c and
 * check_routes.c. What is an error, and where, is in tests/golden/profile.
 */
#include "config_test.h"

#define VPN                                                                           \
	"interfaces:\n  - { name: other, type: wireguard, private_key: " KEY_A " }\n" \
	"  - name: vpn\n    type: wireguard\n    private_key: " KEY_C "\n"            \
	"    peers: [{ public_key: " KEY_B ", allowed_ips: [0.0.0.0/0, \"::/0\"] }]\n"
#define HEAD "version: 1\ntunnel: { address: [10.66.0.2/29, \"fd66::2/126\"] }\n" VPN

static bool has_server(const char *text)
{
	struct mf_config *cfg = parse_ok(text, 0);
	bool enabled = cfg->dns.enabled;

	mf_config_free(cfg);
	return enabled;
}

static void when_there_is_a_server(void **state)
{
	static const char set[] = HEAD "domain_sets: { s: { domains: a.example } }\n";
	char text[2048];

	(void)state;
	assert_false(has_server(HEAD));
	assert_false(has_server(HEAD "app_routing: {}\n"));
	assert_false(has_server(set));
	assert_true(has_server(HEAD "dns: { servers: 1.1.1.1 }\n"));
	assert_true(has_server(HEAD "app_routing: {}\ndns: { direct_servers: 1.1.1.1 }\n"));
	assert_true(has_server(HEAD "app_routing: { dns_fallback: drop }\ndns: {}\n"));
	(void)snprintf(
		text, sizeof(text),
		"%sapp_routing: { dns_fallback: drop, routes: [{ domain_set: s, to: drop }] }\n",
		set);
	assert_true(has_server(text));
	(void)snprintf(text, sizeof(text),
		       "%sapp_routing: { enabled: false, routes: [{ domain_set: s, to: vpn }] }\n",
		       set);
	assert_false(has_server(text));
}

static void where_names_go(void **state)
{
	static const char text[] = HEAD
		"domain_sets: { s: { domains: a.example }, t: { domains: b.example } }\n"
		"app_routing:\n  routes:\n    - { domain_set: t, to: vpn }\n"
		"    - { cidr: 10.0.0.0/8, to: other }\n    - { domain_set: s, to: drop }\n"
		"    - { domain_set: t, to: vpn }\n  dns_fallback: vpn\n"
		"dns: { vpn_servers: 8.8.8.8 }\n";
	struct mf_config *cfg = parse_ok(text, 0);
	const struct mf_config_app_routing *ar = &cfg->app_routing;

	(void)state;
	assert_int_equal(ar->fallback, MF_CONFIG_TO_INTERFACE);
	assert_int_equal(ar->fallback_interface, 1);
	assert_ptr_equal(ar->routes[0].domain_set, &cfg->domain_sets[1]);
	assert_ptr_equal(ar->routes[2].domain_set, &cfg->domain_sets[0]);
	assert_int_equal(ar->routes[0].interface, 1);
	assert_int_equal(ar->routes[2].action, MF_CONFIG_TO_DROP);
	assert_null(ar->routes[1].domain_set);
	/* names are no prefixes */
	assert_int_equal(cfg->n_rules, 1);
	assert_ptr_equal(cfg->rules[0].route, &ar->routes[1]);
	mf_config_free(cfg);
}

static void where_to_listen(void **state)
{
	static const struct {
		const char *at;
		bool in_tunnel;
	} cases[] = {
		{ "10.66.0.1", true },    { "10.66.0.2", false },   { "10.66.0.7:5353", true },
		{ "10.66.0.8", false },   { "0.0.0.0", false },     { "127.0.0.1", false },
		{ "\"fd66::1\"", true },  { "\"fd66::2\"", false }, { "\"[fd66::3]:54\"", true },
		{ "\"fd66::4\"", false }, { "\"[::]\"", false },    { "\"::1\"", false },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		char text[1024];
		struct mf_config *cfg;

		(void)snprintf(text, sizeof(text), HEAD "dns: { servers: 1.1.1.1, listen: %s }\n",
			       cases[i].at);
		cfg = parse_ok(text, 0);
		assert_int_equal(cfg->dns.n_listen, 1);
		if (cfg->dns.listen[0].in_tunnel != cases[i].in_tunnel)
			fail_msg("%s", cases[i].at);
		assert_int_equal(cfg->dns.listen[0].pos.line, 9);
		mf_config_free(cfg);
	}
}

static void system_follows_auto_route(void **state)
{
	static const struct {
		const char *tunnel, *dns;
		enum mf_config_dns_system system;
	} cases[] = {
		{ "{}", "", MF_CONFIG_DNS_SYSTEM_AUTO },
		{ "{ auto_route: false }", "", MF_CONFIG_DNS_SYSTEM_OFF },
		{ "{}", ", system: off", MF_CONFIG_DNS_SYSTEM_OFF },
		{ "{ auto_route: false }", ", system: auto", MF_CONFIG_DNS_SYSTEM_AUTO },
		{ "{}", ", system: resolved", MF_CONFIG_DNS_SYSTEM_RESOLVED },
		{ "{}", ", system: resolv.conf", MF_CONFIG_DNS_SYSTEM_RESOLV_CONF },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		char text[512];
		struct mf_config *cfg;

		(void)snprintf(text, sizeof(text),
			       "version: 1\ntunnel: %s\napp_routing: {}\n"
			       "dns: { direct_servers: 1.1.1.1%s }\n",
			       cases[i].tunnel, cases[i].dns);
		cfg = parse_ok(text, 0);
		assert_int_equal(cfg->dns.system, cases[i].system);
		mf_config_free(cfg);
	}
}

static void defaults(void **state)
{
	static const uint16_t ports[] = { 80, 443, 8080, 8443 };
	struct mf_config *cfg =
		parse_ok(HEAD "domain_sets: { s: { url: \"https://a.example/\" } }\n", 0);
	const struct mf_config_dns *dns = &cfg->dns;

	(void)state;
	assert_true(dns->hijack && dns->rebind_protection && dns->strip_aaaa && dns->prefetch);
	assert_false(dns->mix_case || dns->log_queries);
	assert_int_equal(dns->block_answer, MF_CONFIG_BLOCK_NXDOMAIN);
	assert_int_equal(dns->block_ttl, 10);
	assert_int_equal(dns->hosts_ttl, 60);
	assert_int_equal(dns->timeout_ms, 5000);
	assert_int_equal(dns->cache_bytes, 4 << 20);
	assert_int_equal(dns->ttl_min, 0);
	assert_int_equal(dns->ttl_max, 86400);
	assert_int_equal(dns->negative_ttl_max, 3600);
	assert_int_equal(dns->stale, 86400);
	assert_null(dns->ca_path);
	assert_null(dns->cache_path);
	assert_true(cfg->app_routing.settle);
	assert_int_equal(cfg->app_routing.fallback, MF_CONFIG_TO_DIRECT);
	assert_int_equal(cfg->app_routing.settle_wait_ms, 300);
	assert_int_equal(cfg->app_routing.max_learned, 65536);
	assert_int_equal(cfg->app_routing.n_settle_ports, MF_ARRAY_LEN(ports));
	assert_memory_equal(cfg->app_routing.settle_ports, ports, sizeof(ports));
	assert_int_equal(cfg->domain_sets[0].subscription.every, 86400);
	assert_int_equal(cfg->domain_sets[0].subscription.max_bytes, 32 << 20);
	assert_null(cfg->domain_sets[0].subscription.via);
	assert_false(cfg->domain_sets[0].lenient);
	mf_config_free(cfg);
}

/* No port is not the same as those of the default. */
static void no_settle_ports(void **state)
{
	struct mf_config *cfg = parse_ok(HEAD "app_routing: { settle_ports: [] }\n", 0), *again;
	struct mf_text out = { 0 };

	(void)state;
	assert_int_equal(cfg->app_routing.n_settle_ports, 0);
	mf_config_print(cfg, &out, true);
	again = parse_ok(out.s, 0);
	assert_int_equal(again->app_routing.n_settle_ports, 0);
	mf_config_free(again);
	mf_config_free(cfg);
	mf_text_free(&out);
}

static void names_of_hosts(void **state)
{
	static const char *const names[] = { "a.example", "*.b.example", "c.example",
					     "xn--bcher-kva.example" };
	struct mf_config *cfg =
		parse_ok(HEAD "dns:\n  servers: 1.1.1.1\n  hosts:\n    A.Example.: 192.0.2.1\n"
			      "    \"*.B.example\": [192.0.2.2, \"2001:db8::2\"]\n"
			      "    c.example: \"::\"\n    Bücher.example: 192.0.2.3\n"
			      "  rebind_allow: [Corp.Example., 例え.テスト]\n",
			 0);

	(void)state;
	assert_int_equal(cfg->dns.n_hosts, MF_ARRAY_LEN(names));
	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++) {
		assert_string_equal(cfg->dns.hosts[i].name, names[i]);
		assert_int_equal(cfg->dns.hosts[i].n_addrs, i == 1 ? 2 : 1);
		assert_int_equal(cfg->dns.hosts[i].pos.line, 12 + i);
	}
	assert_int_equal(cfg->dns.hosts[1].addr[1].family, MF_AF_IP6);
	assert_int_equal(cfg->dns.n_rebind_allow, 2);
	assert_string_equal(cfg->dns.rebind_allow[1], "xn--r8jz45g.xn--zckzah");
	assert_string_equal(cfg->dns.rebind_allow[0], "corp.example");
	mf_config_free(cfg);
}

/* Paths are relative to the profile; without MF_CONFIG_NO_FILES they would have to be there. */
static void paths(void **state)
{
	static const char text[] =
		"version: 1\ntunnel: {}\napp_routing: { dns_fallback: drop }\n"
		"dns: { ca_file: ca.pem, cache_file: /var/cache }\n"
		"domain_sets: { s: { files: [a, /b] } }\ncidr_sets: { s: { files: c } }\n";
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg;

	(void)state;
	assert_int_equal(mf_config_parse(text, strlen(text), "/etc/x/p.yaml", MF_CONFIG_NO_FILES,
					 &cfg, &errs),
			 MF_OK);
	assert_string_equal(cfg->dns.ca_file, "ca.pem");
	assert_string_equal(cfg->dns.ca_path, "/etc/x/ca.pem");
	assert_string_equal(cfg->dns.cache_path, "/var/cache");
	assert_string_equal(cfg->domain_sets[0].files[0], "a");
	assert_string_equal(cfg->domain_sets[0].paths[0], "/etc/x/a");
	assert_string_equal(cfg->domain_sets[0].paths[1], "/b");
	assert_string_equal(cfg->cidr_sets[0].paths[0], "/etc/x/c");
	mf_config_free(cfg);
	mf_config_errors_free(&errs);
}

/* An address of a feed may have a password in it. */
static void no_secret_in_messages(void **state)
{
	static const char *const urls[] = { "https://me:geheim@a.example/",
					    "ftp://a.example/geheim", "geheim", "[geheim]" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(urls); i++) {
		char text[256], *said;

		(void)snprintf(text, sizeof(text),
			       "version: 1\ntunnel: {}\napp_routing: {}\n"
			       "domain_sets: { s: { url: %s } }\n",
			       urls[i]);
		said = parse_fails(text);
		assert_non_null(strstr(said, "t.yaml:4:26: error: `url`"));
		assert_null(strstr(said, "geheim"));
		free(said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_there_is_a_server),
		cmocka_unit_test(where_names_go),
		cmocka_unit_test(where_to_listen),
		cmocka_unit_test(system_follows_auto_route),
		cmocka_unit_test(defaults),
		cmocka_unit_test(no_settle_ports),
		cmocka_unit_test(names_of_hosts),
		cmocka_unit_test(paths),
		cmocka_unit_test(no_secret_in_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
