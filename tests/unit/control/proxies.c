/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tables and `why` say of proxies: what the profile says of them, how they are, and nothing secret.
 */
#include "control/control.h"

#include <jansson.h>

#include "engine/internal.h"
#include "support/testnet.h"
#include "talk.h"
#include "unit.h"

#define SECRET "geheim-0815"

static const char interfaces[] =
	"  - { name: hk, type: shadowsocks, server: \"203.0.113.7:8388\", method: aes-256-gcm, "
	"password: " SECRET " }\n"
	"  - { name: ray, type: vmess, server: \"px.example.net:443\", via: wg0,\n"
	"      uuid: 6f1d7a3e-5c0b-4d29-8a47-2b9e0c6d1f35, udp: direct,\n"
	"      tls: { insecure: true }, websocket: { path: /" SECRET " } }\n"
	"  - { name: behind, type: socks5, server: \"[2001:db8::7]:1080\", via: ray, username: "
	"me,\n"
	"      password: " SECRET ", udp: drop }\n"
	"  - { name: web, type: http, server: \"203.0.113.7:8080\", udp: reject }\n";
static const char routes[] = "    - { cidr: 10.9.0.0/24, to: wg0 }\n"
			     "    - { cidr: 10.70.1.0/24, to: hk }\n"
			     "    - { cidr: 10.70.2.0/24, to: ray }\n"
			     "    - { cidr: 10.70.3.0/24, to: behind }\n"
			     "    - { cidr: 10.70.4.0/24, to: web }\n";

static struct testnet net;
static struct mf_control *control;

static struct mf_wg_wall wall_clock(void *ctx)
{
	(void)ctx;
	return (struct mf_wg_wall){ 1800000000, 0 };
}

static void facts(void *ctx, struct mf_control_facts *out)
{
	(void)ctx;
	out->name = "mint0";
}

static int open_net(void **state)
{
	struct mf_control_host host = { .wall_clock = wall_clock, .facts = facts };

	(void)state;
	testnet_open(&net, &(struct testnet_options){
				   .seed = 1, .interfaces = interfaces, .routes = routes });
	control = mf_control_new(net.side[0].engine, &host);
	assert_non_null(control);
	return 0;
}

static int close_net(void **state)
{
	(void)state;
	mf_control_free(control);
	testnet_close(&net);
	return 0;
}

/* ---- Questions and answers ------------------------------------------------------------------------ */

/* Every answer of this file comes through here: there is nothing secret in any of them. */
static char *talk(const char *request)
{
	char *got = talk_line(control, request, net.now);

	assert_non_null(got);
	assert_null(strstr(got, SECRET));
	assert_null(strstr(got, "6f1d7a3e"));
	return got;
}

static json_t *ask(const char *request)
{
	char *got = talk(request);
	json_t *line = json_loadb(got, strcspn(got, "\n"), 0, NULL), *v;

	assert_non_null(line);
	v = json_incref(json_object_get(line, "json"));
	if (!v)
		fail_msg("%s: %s", request, got);
	json_decref(line);
	free(got);
	return v;
}

static const char *text_at(json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key));
}

static void expect_text(json_t *v, const char *key, const char *want)
{
	const char *got = text_at(v, key);

	if ((got == NULL) != (want == NULL) || (got && strcmp(got, want)))
		fail_msg("%s is %s, not %s", key, got ? got : "null", want ? want : "null");
}

static void expect_seconds(json_t *v, const char *key, double want)
{
	double got = json_number_value(json_object_get(v, key));

	if (got < want - 0.0001 || got > want + 0.0001)
		fail_msg("%s is %f, not %f", key, got, want);
}

/* The row of `name`; the caller gives `*all` back. */
static json_t *row(json_t **all, const char *name)
{
	json_t *v;
	size_t i;

	*all = ask("{\"cmd\":\"show\",\"table\":\"interfaces\",\"json\":true}");
	json_array_foreach(json_object_get(*all, "interfaces"), i, v)
	{
		if (!strcmp(text_at(v, "name"), name))
			return v;
	}
	fail_msg("no row of %s", name);
	return NULL;
}

/* ---- What its worker has written -------------------------------------------------------------------- */

static struct mf_proxy_health *health(const char *name)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(net.side[0].engine);

	for (uint32_t i = 0; i < snap->n_hops; i++)
		if (snap->hop[i].proxy && !strcmp(snap->hop[i].name, name))
			return &mf_engine_worker(net.side[0].engine, 0)->proxies->health[i];
	fail_msg("no proxy %s", name);
	return NULL;
}

static void break_it(const char *name)
{
	mf_proxy_health_fault(health(name), MF_PROXY_CERTIFICATE, "certificate has expired", NULL,
			      name, net.now);
}

/* ---- Tests ------------------------------------------------------------------------------------------ */

static void test_what_the_profile_says(void **state)
{
	static const struct {
		const char *name, *type, *server, *transport, *via, *udp;
	} cases[] = {
		{ "hk", "shadowsocks", "203.0.113.7:8388", "tcp", "direct", "proxy" },
		{ "ray", "vmess", "px.example.net:443", "websocket+tls", "wg0", "direct" },
		{ "behind", "socks5", "[2001:db8::7]:1080", "tcp", "ray", "drop" },
		{ "web", "http", "203.0.113.7:8080", "tcp", "direct", "reject" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		json_t *all, *v = row(&all, cases[i].name);

		expect_text(v, "type", cases[i].type);
		expect_text(v, "server", cases[i].server);
		expect_text(v, "transport", cases[i].transport);
		expect_text(v, "via", cases[i].via);
		expect_text(v, "udp", cases[i].udp);
		expect_text(v, "state", "untried");
		assert_true(json_is_true(json_object_get(v, "up")));
		assert_true(json_is_null(json_object_get(v, "fault")));
		assert_true(json_is_null(json_object_get(v, "last_ok_age")));
		assert_int_equal(json_integer_value(json_object_get(v, "dialled")), 0);
		json_decref(all);
	}
}

static void test_what_is_no_proxy_has_nothing_of_it(void **state)
{
	static const char *const names[] = { "wg0", "direct", "drop" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++) {
		json_t *all, *v = row(&all, names[i]);

		assert_true(json_is_null(json_object_get(v, "server")));
		assert_true(json_is_null(json_object_get(v, "datagrams_dropped")));
		json_decref(all);
	}
}

static void test_failing_and_well_again(void **state)
{
	json_t *all, *v;
	char *got;

	(void)state;
	break_it("ray");
	mf_proxy_health_took(health("ray"), MF_PROXY_SPAN_TCP, 30 * MF_MSEC);
	mf_proxy_health_skew(health("ray"), -7);
	testnet_advance(&net, 3 * MF_SEC);
	v = row(&all, "ray");
	expect_text(v, "state", "failing");
	assert_true(json_is_false(json_object_get(v, "up")));
	expect_text(v, "fault", "certificate");
	expect_text(v, "fault_text", "the proxy's certificate is not good");
	expect_text(v, "fault_detail", "certificate has expired");
	expect_text(v, "fault_hint", "look at `tls.server_name`, `tls.ca_file` and the clock");
	expect_seconds(v, "fault_age", 3);
	expect_seconds(v, "connect_time", 0.03);
	assert_true(json_is_null(json_object_get(v, "tls_time")));
	assert_int_equal(json_integer_value(json_object_get(v, "clock_skew")), -7);
	json_decref(all);
	got = talk("{\"cmd\":\"status\"}");
	assert_non_null(strstr(got, "3 s ago: the proxy's certificate is not good (certificate has "
				    "expired)\\n"));
	assert_non_null(strstr(got, " look at `tls.server_name`, `tls.ca_file` and the clock\\n"));
	assert_non_null(strstr(got, " -7 s "));
	free(got);

	mf_proxy_health_ok(health("ray"), NULL, "ray", net.now);
	testnet_advance(&net, 2 * MF_SEC);
	v = row(&all, "ray");
	expect_text(v, "state", "up");
	expect_seconds(v, "last_ok_age", 2);
	expect_text(v, "fault", "certificate");
	assert_int_equal(json_integer_value(json_object_get(v, "answered")), 1);
	json_decref(all);
	/* What is over needs no advice. */
	got = talk("{\"cmd\":\"status\"}");
	assert_non_null(strstr(got, "5 s ago: the proxy's certificate"));
	assert_null(strstr(got, "look at"));
	free(got);
}

static void test_counters(void **state)
{
	json_t *v, *list, *n;
	size_t i, found = 0;

	(void)state;
	break_it("hk");
	v = ask("{\"cmd\":\"show\",\"table\":\"nodes\",\"json\":true}");
	list = json_object_get(v, "proxies");
	json_array_foreach(list, i, n)
	{
		expect_text(n, "proxy", "hk");
		found += !strcmp(text_at(n, "counter"), "fault_certificate");
		assert_int_equal(json_integer_value(json_object_get(n, "value")), 1);
	}
	assert_int_equal(found, 1);
	json_decref(v);
	v = ask("{\"cmd\":\"show\",\"table\":\"nodes\",\"json\":true,\"all\":true}");
	assert_true(json_array_size(json_object_get(v, "proxies")) > 4 * (MF_PROXY_FAULTS - 1));
	json_decref(v);
}

static void test_routes(void **state)
{
	json_t *v = ask("{\"cmd\":\"show\",\"table\":\"routes\",\"json\":true}"), *list;

	(void)state;
	list = json_object_get(v, "routes");
	expect_text(json_array_get(list, 0), "kind", "wireguard");
	expect_text(json_array_get(list, 1), "kind", "shadowsocks");
	expect_text(json_array_get(list, 4), "kind", "http");
	json_decref(v);
}

static void test_why(void **state)
{
	static const struct {
		const char *address, *text, *udp, *nodes;
	} cases[] = {
		{ "10.70.1.1",
		  "sent as a session through hk (shadowsocks, tcp) to 203.0.113.7:8388, via direct",
		  "carried by hk", "tun-input > ip-input > route-lookup > host-tcp or host-udp" },
		{ "10.70.2.1",
		  "sent as a session through ray (vmess, websocket+tls) to px.example.net:443, via "
		  "wg0",
		  "goes direct, not through ray: its `udp` says so",
		  "tun-input > ip-input > route-lookup > host-tcp or host-udp > wg-output > "
		  "udp-output" },
		{ "10.70.3.1",
		  "sent as a session through behind (socks5, tcp) to [2001:db8::7]:1080, via ray",
		  "dropped: the `udp` of behind says so",
		  "tun-input > ip-input > route-lookup > host-tcp or host-udp > wg-output > "
		  "udp-output" },
		{ "10.70.4.1",
		  "sent as a session through web (http, tcp) to 203.0.113.7:8080, via direct",
		  "rejected with ICMP: the `udp` of web says so",
		  "tun-input > ip-input > route-lookup > host-tcp or host-udp" },
		{ "10.9.0.2", "sent through wg0, after a handshake", NULL,
		  "tun-input > ip-input > route-lookup > wg-output > udp-output" },
	};
	char line[96];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		json_t *v;

		snprintf(line, sizeof(line), "{\"cmd\":\"why\",\"json\":true,\"address\":\"%s\"}",
			 cases[i].address);
		v = ask(line);
		expect_text(v, "verdict", "sent");
		expect_text(v, "text", cases[i].text);
		expect_text(v, "udp", cases[i].udp);
		expect_text(v, "nodes", cases[i].nodes);
		expect_text(v, "proxy_state", cases[i].udp ? "untried" : NULL);
		json_decref(v);
	}
}

/* Who asks why nothing comes back is told. */
static void test_why_of_one_that_fails(void **state)
{
	json_t *v;
	char *got;

	(void)state;
	break_it("ray");
	v = ask("{\"cmd\":\"why\",\"json\":true,\"address\":\"10.70.2.1\"}");
	expect_text(v, "proxy_state", "failing");
	expect_text(v, "proxy_fault", "certificate");
	json_decref(v);
	got = talk("{\"cmd\":\"why\",\"address\":\"10.70.2.1\"}");
	assert_non_null(strstr(got, "failing: the proxy's certificate is not good (certificate has "
				    "expired)\\n"));
	free(got);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_net, close_net)
	const struct CMUnitTest tests[] = {
		T(test_what_the_profile_says),
		T(test_what_is_no_proxy_has_nothing_of_it),
		T(test_failing_and_well_again),
		T(test_counters),
		T(test_routes),
		T(test_why),
		T(test_why_of_one_that_fails),
	};

	return cmocka_run_group_tests_name("control/proxies", tests, NULL, NULL);
}
