/* SPDX-License-Identifier: Apache-2.0
 *
 * The protocol and its tables over a whole engine on virtual time.
 */
#include "control/control.h"

#include <jansson.h>

#include "base/endian.h"
#include "support/testnet.h"
#include "unit.h"

static struct testnet net;
static struct mf_control *control;
static int stops, reloads;
static const char *system_device;

static struct mf_wg_wall wall_clock(void *ctx)
{
	(void)ctx;
	return (struct mf_wg_wall){ 1800000000 + net.now / MF_SEC, (uint32_t)(net.now % MF_SEC) };
}

static void facts(void *ctx, struct mf_control_facts *out)
{
	(void)ctx;
	*out = (struct mf_control_facts){
		.name = "mint0",
		.profile = "/etc/mintflow/mint0.yaml",
		.pid = 4711,
		.started = 1000 * MF_SEC,
		.rss = 9 << 20,
		.memory_limit = 48 << 20,
		.tun = "mint0",
		.tun_mtu = 1420,
		.tun_queues = 2,
		.tun_features = "vnet csum tso4",
		.aead = "openssl",
		.auto_route = true,
	};
}

static mf_err reload(void *ctx, bool drop_sessions, mf_nsec now, struct mf_apply_report *changes,
		     struct mf_text *report)
{
	(void)ctx;
	(void)now;
	if (reloads < 0) /* it takes a while */
		return MF_E_AGAIN;
	changes->sessions_kept = 7;
	changes->sessions_moved = drop_sessions ? 0 : 2;
	changes->sessions_closed = drop_sessions ? 2 : 0;
	mf_text_printf(report,
		       reloads++ ? "p.yaml:3:1: error: no\np.yaml:4:1: error: no\n" : "all good\n");
	return reloads > 1 ? MF_E_MALFORMED : MF_OK;
}

static void stop(void *ctx)
{
	(void)ctx;
	stops++;
}

static void log_lines(void *ctx, uint32_t max, mf_control_log_fn *line, void *to)
{
	(void)ctx;
	assert_true(max > 0);
	line(to, &(struct mf_control_log_line){ { 0, 0 }, MF_LOG_INFO, "the beginning" });
	line(to,
	     &(struct mf_control_log_line){ { 1795293937, 5 }, MF_LOG_WARN, "bad \033[31m line" });
	line(to, &(struct mf_control_log_line){ { 951782400, 0 }, MF_LOG_ERROR, "a leap day" });
}

static void counters(void *ctx, mf_control_counter_fn *add, void *to)
{
	(void)ctx;
	add(to, "tun0", "rx_packets", 12345, "read");
	add(to, "tun0", "rx_errors", 0, "reads that failed");
}

static void device_for(void *ctx, const struct mf_addr *dst, char name[MF_CONTROL_DEVICE_STRLEN])
{
	(void)ctx;
	(void)dst;
	snprintf(name, MF_CONTROL_DEVICE_STRLEN, "%s", system_device);
}

static int open_net(void **state)
{
	struct mf_control_host host = {
		.wall_clock = wall_clock,
		.facts = facts,
		.reload = reload,
		.stop = stop,
		.log = log_lines,
		.counters = counters,
		.device_for = device_for,
	};

	(void)state;
	testnet_open(&net, &(struct testnet_options){
				   .seed = 1,
				   .extra_peer = "        preshared_key: "
						 "GIUVCT6VL18i6GXO8wEucvi18LWYrAMJ1drM47cPz1I=\n",
				   .routes = "    - { cidr: 10.9.0.0/24, to: wg0 }\n"
					     "    - { cidr: 10.66.0.0/16, to: drop }\n"
					     "    - { cidr: \"fd66::/16\", to: reject }\n" });
	control = mf_control_new(net.side[0].engine, &host);
	assert_non_null(control);
	stops = reloads = 0;
	system_device = "mint0";
	return 0;
}

static int close_net(void **state)
{
	(void)state;
	mf_control_free(control);
	testnet_close(&net);
	return 0;
}

static void drain(struct mf_control_conn *conn, struct mf_text *got)
{
	struct mf_span out;

	while ((out = mf_control_output(conn)).n) {
		size_t k = mf_min(out.n, 1000);

		mf_text_add(got, (const char *)out.p, k);
		(void)mf_control_sent(conn, k, net.now);
	}
}

/* All that comes back for `text`, given in pieces. */
static char *talk(const char *text, size_t step)
{
	struct mf_control_conn *conn = mf_control_open(control);
	struct mf_text got = { 0 };
	size_t n = strlen(text);

	assert_non_null(conn);
	for (size_t at = 0; at < n; at += step) {
		bool open = mf_control_input(conn, text + at, mf_min(step, n - at), net.now);

		drain(conn, &got);
		if (!open)
			break;
	}
	mf_control_close(conn);
	return got.s ? got.s : strdup("");
}

/* The "json" of an answer. */
static json_t *ask(const char *request)
{
	char *got = talk(request, 4096);
	char *nl = strchr(got, '\n');
	json_t *line, *v;

	assert_non_null(nl);
	line = json_loadb(got, (size_t)(nl - got), 0, NULL);
	assert_non_null(line);
	v = json_incref(json_object_get(line, "json"));
	if (!v)
		fail_msg("%s: %s", request, got);
	assert_string_equal(nl + 1, "{\"ok\":true}\n");
	json_decref(line);
	free(got);
	return v;
}

static const char *text_at(json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key));
}

static void send(unsigned from, const char *dst)
{
	uint8_t pkt[64];

	testnet_app_send(&net.side[from], pkt,
			 testnet_udp4(pkt, from ? "10.9.0.2" : "10.9.0.1", dst, 1, 2, "hello", 5),
			 0, 0, false, 0, 0);
	testnet_settle(&net);
}

static void test_status(void **state)
{
	json_t *v, *iface;

	(void)state;
	send(0, "10.9.0.2");
	testnet_advance(&net, 90 * MF_SEC);
	v = ask("{\"cmd\":\"status\",\"json\":true}\n");
	assert_string_equal(text_at(v, "name"), "mint0");
	assert_int_equal(json_integer_value(json_object_get(v, "pid")), 4711);
	assert_int_equal((int)json_number_value(json_object_get(v, "uptime")), 90);
	assert_int_equal(json_integer_value(json_object_get(v, "bytes_tun_in")), 33);
	iface = json_array_get(json_object_get(v, "interfaces"), 0);
	assert_string_equal(text_at(iface, "name"), "wg0");
	assert_string_equal(text_at(iface, "state"), "connected");
	assert_int_equal(json_integer_value(json_object_get(iface, "sessions")), 1);
	assert_true(json_integer_value(json_object_get(iface, "rx_bytes")) >= 92);
	json_decref(v);
}

/* Two samples of the byte counters make a rate; the first one is the start. */
static void test_rates(void **state)
{
	json_t *v, *iface;
	double rate;

	(void)state;
	send(0, "10.9.0.2");
	testnet_advance(&net, 4 * MF_SEC);
	v = ask("{\"cmd\":\"show\",\"table\":\"interfaces\",\"json\":true}\n");
	iface = json_array_get(json_object_get(v, "interfaces"), 0);
	rate = json_number_value(json_object_get(iface, "tx_rate"));
	/* Since the start: a handshake of 148 bytes and a packet. */
	assert_int_equal((int)(rate + 0.5), (148 + 80) / 4);
	json_decref(v);
	for (int i = 0; i < 10; i++)
		send(0, "10.9.0.2");
	testnet_advance(&net, 2 * MF_SEC);
	v = ask("{\"cmd\":\"show\",\"table\":\"interfaces\",\"json\":true}\n");
	iface = json_array_get(json_object_get(v, "interfaces"), 0);
	rate = json_number_value(json_object_get(iface, "tx_rate"));
	/* 33 bytes, padded to 48, and 32 around them: 80 bytes, ten times in two seconds. */
	assert_int_equal((int)(rate + 0.5), 400);
	json_decref(v);
}

static void test_peers(void **state)
{
	json_t *v, *p;

	(void)state;
	send(0, "10.9.0.2");
	testnet_advance(&net, 5 * MF_SEC);
	v = ask("{\"cmd\":\"show\",\"table\":\"peers\",\"json\":true}\n");
	p = json_array_get(json_object_get(v, "peers"), 0);
	assert_string_equal(text_at(p, "interface"), "wg0");
	assert_string_equal(text_at(p, "public_key"),
			    "w4vmA11VEWpcxHYUDsHYFhJfWRxnwFzRYBe9w2jtfH0=");
	assert_string_equal(text_at(p, "preshared_key"), "(hidden)");
	assert_string_equal(text_at(p, "endpoint"), "192.0.2.2:51001");
	assert_string_equal(text_at(p, "state"), "session");
	assert_int_equal((int)(json_number_value(json_object_get(p, "last_handshake_age")) + 0.5), 5);
	assert_int_equal(json_integer_value(json_object_get(p, "last_handshake")), 1800001000);
	assert_int_equal(json_array_size(json_object_get(p, "allowed_ips")), 2);
	json_decref(v);
}

/* A list as long as VPN providers' exclusions make it is cut for people, never for programs. */
static void test_many_allowed_ips(void **state)
{
	struct mf_iface_info info;
	struct mf_wg_allowed allowed[50];
	struct mf_wg_peer_config pc = { .allowed = allowed, .n_allowed = MF_ARRAY_LEN(allowed) };
	char *got;
	json_t *v;

	(void)state;
	memset(&pc.public_key, 9, sizeof(pc.public_key));
	for (size_t i = 0; i < MF_ARRAY_LEN(allowed); i++) {
		allowed[i] = (struct mf_wg_allowed){ .prefix.len = 24 };
		allowed[i].prefix.addr = mf_addr_ip4((uint8_t[]){ 10, 20, (uint8_t)i, 0 });
	}
	assert_true(mf_engine_iface(net.side[0].engine, 0, &info));
	assert_int_equal(mf_engine_peer_set(net.side[0].engine, info.device, &pc, net.now, NULL),
			 MF_OK);
	got = talk("{\"cmd\":\"show\",\"table\":\"peers\"}\n", 4096);
	assert_non_null(strstr(got, " 10.20.15.0/24\\n"));
	assert_null(strstr(got, "10.20.16.0/24"));
	assert_non_null(strstr(got, " 34 more (--all)\\n"));
	free(got);
	got = talk("{\"cmd\":\"show\",\"table\":\"peers\",\"all\":true}\n", 4096);
	assert_non_null(strstr(got, " 10.20.49.0/24\\n"));
	free(got);
	v = ask("{\"cmd\":\"show\",\"table\":\"peers\",\"json\":true}\n");
	assert_int_equal(json_array_size(json_object_get(
				 json_array_get(json_object_get(v, "peers"), 1), "allowed_ips")),
			 50);
	json_decref(v);
}

static void test_routes(void **state)
{
	char *got = talk("{\"cmd\":\"show\",\"table\":\"routes\"}\n", 4096);

	(void)state;
	assert_string_equal(got, "{\"text\":\"prefix        to      written in\\n"
				 "10.9.0.0/24   wg0     testnet.yaml:20\\n"
				 "10.66.0.0/16  drop    testnet.yaml:21\\n"
				 "fd66::/16     reject  testnet.yaml:22\\n\"}\n{\"ok\":true}\n");
	free(got);
}

static void test_drops_and_the_ledger(void **state)
{
	json_t *v, *d;

	(void)state;
	send(0, "10.66.1.1");
	send(0, "10.66.1.2");
	send(0, "192.0.2.77");
	v = ask("{\"cmd\":\"show\",\"table\":\"drops\",\"json\":true}\n");
	d = json_object_get(v, "drops");
	assert_int_equal(json_array_size(d), 2);
	assert_string_equal(text_at(json_array_get(d, 0), "reason"), "no-route");
	assert_string_equal(text_at(json_array_get(d, 1), "reason"), "policy-drop");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(d, 1), "packets")), 2);
	assert_int_equal(json_integer_value(json_object_get(v, "missing")), 0);
	json_decref(v);
	v = ask("{\"cmd\":\"show\",\"table\":\"drops\",\"json\":true,\"all\":true}\n");
	assert_int_equal(json_array_size(json_object_get(v, "drops")), MF_DROP_COUNT - 1);
	json_decref(v);
}

static void test_nodes(void **state)
{
	json_t *v, *n;
	bool found = false;
	size_t i;

	(void)state;
	send(0, "10.66.1.1");
	v = ask("{\"cmd\":\"show\",\"table\":\"nodes\",\"json\":true}\n");
	json_array_foreach(json_object_get(v, "nodes"), i,
			   n) if (!strcmp(text_at(n, "node"), "route-lookup"))
	{
		found = true;
		assert_int_equal(json_integer_value(json_object_get(n, "packets")), 1);
		assert_int_equal((int)json_number_value(json_object_get(n, "packets_per_call")), 1);
	}
	assert_true(found);
	n = json_object_get(v, "ports");
	assert_int_equal(json_array_size(n), 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(n, 0), "value")), 12345);
	json_decref(v);
}

static void test_log(void **state)
{
	json_t *v = ask("{\"cmd\":\"show\",\"table\":\"log\",\"json\":true}\n"), *l;

	(void)state;
	l = json_object_get(v, "log");
	assert_string_equal(text_at(json_array_get(l, 0), "time"), "1970-01-01T00:00:00Z");
	assert_string_equal(text_at(json_array_get(l, 1), "time"), "2026-11-21T20:45:37Z");
	assert_string_equal(text_at(json_array_get(l, 1), "text"), "bad \033[31m line");
	assert_string_equal(text_at(json_array_get(l, 2), "time"), "2000-02-29T00:00:00Z");
	json_decref(v);
}

static void test_why(void **state)
{
	static const struct {
		const char *address, *route, *where, *verdict, *reason;
	} cases[] = {
		{ "10.9.0.2", "10.9.0.0/24", "testnet.yaml:20", "sent", NULL },
		{ "10.66.3.4", "10.66.0.0/16", "testnet.yaml:21", "dropped", "policy-drop" },
		{ "fd66::1", "fd66::/16", "testnet.yaml:22", "dropped", "policy-reject" },
		{ "8.8.8.8", NULL, NULL, "dropped", "no-route" },
		{ "127.0.0.1", NULL, NULL, "dropped", "ip-martian-destination" },
		{ "ff02::1", NULL, NULL, "dropped", "ip-martian-destination" },
	};
	char line[96];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		const char *keys[] = { "route", "where", "verdict", "reason" };
		const char *const *want = &cases[i].route;
		json_t *v;

		snprintf(line, sizeof(line), "{\"cmd\":\"why\",\"json\":true,\"address\":\"%s\"}\n",
			 cases[i].address);
		v = ask(line);
		for (size_t k = 0; k < MF_ARRAY_LEN(keys); k++) {
			const char *got = text_at(v, keys[k]);

			if ((got == NULL) != (want[k] == NULL) || (got && strcmp(got, want[k])))
				fail_msg("%s: %s is %s", cases[i].address, keys[k],
					 got ? got : "null");
		}
		json_decref(v);
	}
}

/* `why` says what then happens, for every kind of destination. */
static void test_why_is_true(void **state)
{
	static const char *const addresses[] = { "10.9.0.2",   "10.66.3.4", "8.8.8.8",
						 "127.0.0.1",  "224.0.0.1", "0.0.0.0",
						 "169.254.1.1" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(addresses); i++) {
		struct mf_ledger before, after;
		enum mf_drop reason = MF_DROP_NONE;
		char line[96];
		json_t *v;

		mf_engine_ledger(net.side[0].engine, &before);
		send(0, addresses[i]);
		mf_engine_ledger(net.side[0].engine, &after);
		for (int d = 0; d < MF_DROP_COUNT; d++)
			if (after.drops[d] != before.drops[d])
				reason = (enum mf_drop)d;
		snprintf(line, sizeof(line), "{\"cmd\":\"why\",\"json\":true,\"address\":\"%s\"}\n",
			 addresses[i]);
		v = ask(line);
		if (reason == MF_DROP_NONE)
			assert_string_equal(text_at(v, "verdict"), "sent");
		else
			assert_string_equal(text_at(v, "reason"), mf_drop_name(reason));
		json_decref(v);
	}
}

/* What the system keeps outside is not sent, whatever the routes of the profile say. */
static void test_why_outside(void **state)
{
	static const struct {
		const char *device, *text;
	} cases[] = {
		{ "eth0", "stays outside the tunnel, on eth0" },
		{ "", "stays outside the tunnel: the system has no route to it" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		char *got, want[128];
		json_t *v;

		system_device = cases[i].device;
		v = ask("{\"cmd\":\"why\",\"json\":true,\"address\":\"10.66.3.4\"}\n");
		assert_string_equal(text_at(v, "verdict"), "outside");
		assert_string_equal(text_at(v, "text"), cases[i].text);
		assert_true(json_is_null(json_object_get(v, "reason")));
		assert_true(json_is_null(json_object_get(v, "nodes")));
		assert_true(json_is_false(json_object_get(v, "enters_tunnel")));
		assert_string_equal(text_at(v, "inside"), "dropped: the route says so");
		json_decref(v);
		got = talk("{\"cmd\":\"why\",\"address\":\"10.9.0.2\"}\n", 4096);
		snprintf(want, sizeof(want),
			 "{\"text\":\"destination:   10.9.0.2\\n"
			 "verdict:       %s\\n"
			 "if it entered: sent through wg0",
			 cases[i].text);
		if (strncmp(got, want, strlen(want)))
			fail_msg("%s\n%s", got, want);
		free(got);
	}
	system_device = "mint0";
	json_t *v = ask("{\"cmd\":\"why\",\"json\":true,\"address\":\"10.9.0.2\"}\n");

	assert_string_equal(text_at(v, "verdict"), "sent");
	assert_string_equal(text_at(v, "system_device"), "mint0");
	assert_true(json_is_true(json_object_get(v, "enters_tunnel")));
	json_decref(v);
}

/* Without a DNS server: nothing is kept, nothing is known of names, and that is said. */
static void test_no_dns(void **state)
{
	json_t *v = ask("{\"cmd\":\"show\",\"table\":\"dns-cache\",\"json\":true}\n");
	char *got;

	(void)state;
	assert_true(json_is_array(json_object_get(v, "dns-cache")));
	assert_int_equal(json_array_size(json_object_get(v, "dns-cache")), 0);
	json_decref(v);
	v = ask("{\"cmd\":\"show\",\"table\":\"dns\",\"json\":true}\n");
	assert_true(json_is_false(json_object_get(v, "configured")));
	assert_int_equal(json_array_size(json_object_get(v, "servers")), 0);
	json_decref(v);
	got = talk("{\"cmd\":\"why\",\"name\":\"a.example\"}\n", 4096);
	assert_string_equal(got, "{\"error\":\"the profile has no DNS server: nothing is known of "
				 "names\"}\n");
	free(got);
}

/* What a reload has done, in numbers; a wish to end sessions reaches the program. */
static void test_reload(void **state)
{
	json_t *v = ask("{\"cmd\":\"reload\",\"json\":true}\n");

	(void)state;
	assert_string_equal(text_at(v, "report"), "all good\n");
	assert_int_equal(json_integer_value(json_object_get(v, "sessions_kept")), 7);
	assert_int_equal(json_integer_value(json_object_get(v, "sessions_moved")), 2);
	assert_int_equal(json_integer_value(json_object_get(v, "sessions_closed")), 0);
	json_decref(v);
	reloads = 0;
	v = ask("{\"cmd\":\"reload\",\"json\":true,\"drop_sessions\":true}\n");
	assert_int_equal(json_integer_value(json_object_get(v, "sessions_moved")), 0);
	assert_int_equal(json_integer_value(json_object_get(v, "sessions_closed")), 2);
	json_decref(v);
}

static size_t lines_from(struct mf_control_conn *conn, char *out, size_t cap)
{
	struct mf_text got = { 0 };
	size_t n = 0;

	drain(conn, &got);
	snprintf(out, cap, "%s", got.s ? got.s : "");
	for (const char *p = out; (p = strchr(p, '\n')); p++)
		n++;
	mf_text_free(&got);
	return n;
}

/* Whoever asks for a reload that takes a while hears of its end, then of what it asked next; the others do not
 * wait, and one may go away meanwhile. */
static void test_reload_later(void **state)
{
	static const char reload_then_stop[] = "{\"cmd\":\"reload\"}\n{\"cmd\":\"stop\"}\n";
	struct mf_apply_report changes = { .routes = 3 };
	struct mf_control_conn *conn[3];
	char text[512];

	(void)state;
	reloads = -1;
	for (int i = 0; i < 3; i++) {
		conn[i] = mf_control_open(control);
		assert_non_null(conn[i]);
		assert_true(mf_control_input(conn[i], reload_then_stop,
					     sizeof(reload_then_stop) - 1, net.now));
		assert_int_equal(mf_control_output(conn[i]).n, 0);
		assert_true(mf_control_wants(conn[i]));
	}
	json_decref(ask("{\"cmd\":\"status\",\"json\":true}\n"));
	assert_int_equal(stops, 0);
	mf_control_close(conn[1]);
	mf_control_reloaded(control, MF_OK, &changes, "all good\n");
	for (int i = 0; i < 3; i += 2) {
		assert_int_equal(lines_from(conn[i], text, sizeof(text)), 3);
		assert_string_equal(text,
				    "{\"text\":\"all good\\n\"}\n{\"ok\":true}\n{\"ok\":true}\n");
		mf_control_close(conn[i]);
	}
	assert_int_equal(stops, 2);
	/* Nobody waits any more. */
	mf_control_reloaded(control, MF_E_MALFORMED, &changes, "no\n");
	conn[0] = mf_control_open(control);
	assert_true(mf_control_input(conn[0], reload_then_stop, 17, net.now));
	mf_control_reloaded(control, MF_E_MALFORMED, &changes, "p.yaml:1:1: error: no\n");
	assert_int_equal(lines_from(conn[0], text, sizeof(text)), 1);
	assert_string_equal(text, "{\"error\":\"p.yaml:1:1: error: no\\n\"}\n");
	mf_control_close(conn[0]);
}

static void test_no_key_in_any_answer(void **state)
{
	static const char *const secrets[] = {
		"yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
		"c809f3e5317e9575c9b5ed78b638b7ce530dabe85ddab6142202418",
		"GIUVCT6VL18i6GXO8wEucvi18LWYrAMJ1drM47cPz1I=",
		"188515093e952f5f22e865cef3012e72f8b5f0b598ac0309d5dacce3b70fcf52",
	};
	struct mf_text all = { 0 };

	(void)state;
	send(0, "10.9.0.2");
	for (int json = 0; json < 2; json++)
		for (int i = -2; i < 9; i++) {
			static const char *const table[] = { "interfaces", "peers",     "routes",
							     "sessions",   "dns-cache", "nodes",
							     "drops",      "log",       "dns" };
			char line[128], *got;

			if (i == -2)
				snprintf(line, sizeof(line), "{\"cmd\":\"status\",\"json\":%s}\n",
					 json ? "true" : "false");
			else if (i == -1)
				snprintf(line, sizeof(line),
					 "{\"cmd\":\"why\",\"address\":\"10.9.0.2\",\"json\":%s}\n",
					 json ? "true" : "false");
			else
				snprintf(line,
					 sizeof(line), "{\"cmd\":\"show\",\"table\":\"%s\",\"all\":true,\"json\":%s}\n",
					 table[i], json ? "true" : "false");
			got = talk(line, 4096);
			assert_non_null(strstr(got, "\n{\"ok\":true}\n"));
			mf_text_printf(&all, "%s", got);
			free(got);
		}
	for (size_t i = 0; i < MF_ARRAY_LEN(secrets); i++)
		assert_null(strstr(all.s, secrets[i]));
	/* That the search would find them: the public key stands in there. */
	assert_non_null(strstr(all.s, "w4vmA11VEWpcxHYUDsHYFhJfWRxnwFzRYBe9w2jtfH0="));
	mf_text_free(&all);
}

/* ---- The protocol ------------------------------------------------------------------------------- */

static void test_many_requests_in_pieces(void **state)
{
	static const char *const requests = "{\"cmd\":\"show\",\"table\":\"log\"}\nnonsense\n"
					    "{\"cmd\":\"stop\"}\n{\"cmd\":\"reload\"}\n"
					    "{\"cmd\":\"reload\",\"json\":true}\n";
	char *whole = talk(requests, 4096);

	(void)state;
	assert_non_null(strstr(whole, "the beginning"));
	assert_non_null(strstr(whole, "{\"error\":\"a request is one JSON object"));
	assert_non_null(strstr(
		whole, "{\"text\":\"all good\\n\"}\n{\"ok\":true}\n"
		       "{\"error\":\"p.yaml:3:1: error: no\\np.yaml:4:1: error: no\\n\"}\n"));
	assert_int_equal(stops, 1);
	for (size_t step = 1; step < 40; step++) {
		char *got;

		reloads = 0;
		got = talk(requests, step);
		assert_string_equal(got, whole);
		free(got);
	}
	free(whole);
}

static void test_too_long_a_request(void **state)
{
	char *line = malloc(MF_CONTROL_REQUEST_MAX + 10), *got;

	(void)state;
	memset(line, ' ', MF_CONTROL_REQUEST_MAX + 9);
	line[MF_CONTROL_REQUEST_MAX + 9] = '\0';
	got = talk(line, 5000);
	assert_string_equal(got, "{\"error\":\"a request is at most 64 KiB long\"}\n");
	free(got);
	/* Exactly as long as allowed. */
	memcpy(line, "{\"cmd\":\"stop\"}", 14);
	line[MF_CONTROL_REQUEST_MAX - 1] = '\n';
	line[MF_CONTROL_REQUEST_MAX] = '\0';
	got = talk(line, 5000);
	assert_string_equal(got, "{\"ok\":true}\n");
	free(got);
	free(line);
}

static void test_too_many_connections(void **state)
{
	struct mf_control_conn *conn[40];
	int n = 0;

	(void)state;
	while (n < 40 && (conn[n] = mf_control_open(control)))
		n++;
	assert_int_equal(n, 32);
	while (n)
		mf_control_close(conn[--n]);
	conn[0] = mf_control_open(control);
	assert_non_null(conn[0]);
	/* and one that mf_control_free closes */
}

/* ---- Capture ------------------------------------------------------------------------------------ */

/* Checks the stream's blocks; puts the comments of its packets into `comments`, a line each. */
static uint32_t read_pcapng(const char *s, size_t n, struct mf_text *comments)
{
	uint32_t packets = 0, blocks = 0, dropped = 0;

	for (size_t at = 0; at < n; blocks++) {
		uint32_t head[2], last;

		assert_true(n - at >= 12);
		memcpy(head, s + at, 8);
		assert_true(head[1] >= 12 && head[1] % 4 == 0 && head[1] <= n - at);
		memcpy(&last, s + at + head[1] - 4, 4);
		assert_int_equal(last, head[1]);
		if (blocks == 0)
			assert_int_equal(head[0], 0x0a0d0d0a);
		if (blocks == 1)
			assert_int_equal(head[0], 1);
		if (head[0] == 6) {
			uint32_t caplen, opt;
			uint16_t code_len[2];

			memcpy(&caplen, s + at + 20, 4);
			opt = 28 + (caplen + 3) / 4 * 4;
			memcpy(code_len, s + at + opt, 4);
			assert_int_equal(code_len[0], 1);
			mf_text_printf(comments, "%.*s\n", (int)code_len[1], s + at + opt + 4);
			packets++;
		}
		dropped += head[0] == 5;
		at += head[1];
	}
	assert_int_equal(dropped, 1);
	return packets;
}

static struct mf_control_conn *start_capture(const char *request)
{
	struct mf_control_conn *conn = mf_control_open(control);

	assert_true(mf_control_input(conn, request, strlen(request), net.now));
	assert_true(mf_control_wants(conn));
	testnet_settle(&net);
	return conn;
}

static void test_capture(void **state)
{
	struct mf_control_conn *conn = start_capture("{\"cmd\":\"capture\"}\n");
	struct mf_text got = { 0 }, comments = { 0 };

	(void)state;
	assert_memory_equal(mf_control_output(conn).p, "{\"ok\":true}\n\n\r\r\n", 16);
	send(0, "10.9.0.2");
	send(1, "10.9.0.1");
	send(0, "10.66.0.1");
	assert_true(mf_control_tick(control, net.now) != MF_NEVER);
	drain(conn, &got);
	/* Another one has to wait, and is told. */
	{
		char *other = talk("{\"cmd\":\"capture\"}\n", 100);

		assert_string_equal(other, "{\"error\":\"another capture is running\"}\n");
		free(other);
	}
	assert_false(mf_control_input(conn, "\n", 1, net.now));
	drain(conn, &got);
	assert_true(mf_control_tick(control, net.now) == MF_NEVER);
	assert_int_equal(read_pcapng(got.s + 12, got.len - 12, &comments), 3);
	assert_string_equal(
		comments.s,
		"sent; wg0; ip-input > route-lookup > wg-output\n"
		"delivered; wg0; tun-output\n"
		"dropped policy-drop (a route to `drop`); ip-input > route-lookup > drop\n");
	mf_control_close(conn);
	testnet_settle(&net);
	/* A second capture works as the first. */
	conn = start_capture("{\"cmd\":\"capture\",\"count\":2}\n");
	mf_text_free(&got);
	for (int i = 0; i < 5; i++)
		send(0, "10.9.0.2");
	assert_true(mf_control_tick(control, net.now) == MF_NEVER);
	drain(conn, &got);
	mf_text_free(&comments);
	assert_int_equal(read_pcapng(got.s + 12, got.len - 12, &comments), 2);
	mf_control_close(conn);
	mf_text_free(&got);
	mf_text_free(&comments);
}

/* tcp or udp or dropped: what a filter, an interface and a node choose. */
static void test_capture_chooses(void **state)
{
	static const struct {
		const char *request, *comments;
	} cases[] = {
		/* ip[19] == 2: the last byte of the destination */
		{ "{\"cmd\":\"capture\",\"filter\":[[48,0,0,19],[21,0,1,2],[6,0,0,1],[6,0,0,0]]}\n",
		  "sent; wg0; ip-input > route-lookup > wg-output\n"
		  "dropped policy-drop (a route to `drop`); ip-input > route-lookup > drop\n" },
		{ "{\"cmd\":\"capture\",\"interface\":\"wg0\"}\n",
		  "sent; wg0; ip-input > route-lookup > wg-output\n" },
		{ "{\"cmd\":\"capture\",\"node\":\"drop\"}\n",
		  "dropped no-route (no route for the destination); drop\n"
		  "dropped policy-drop (a route to `drop`); drop\n" },
	};

	(void)state;
	send(0, "10.9.0.2"); /* so that there is a session */
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_control_conn *conn = start_capture(cases[i].request);
		struct mf_text got = { 0 }, comments = { 0 };

		send(0, "10.9.0.2");
		send(0, "192.0.2.7");
		send(0, "10.66.0.2");
		/* The ICMP error is no part of this. */
		mf_control_tick(control, net.now);
		drain(conn, &got);
		mf_control_input(conn, "\n", 1, net.now);
		drain(conn, &got);
		read_pcapng(got.s + 12, got.len - 12, &comments);
		assert_string_equal(comments.s, cases[i].comments);
		mf_control_close(conn);
		testnet_settle(&net);
		mf_text_free(&got);
		mf_text_free(&comments);
	}
}

static void test_capture_says_what_is_wrong(void **state)
{
	static const struct {
		const char *request, *says;
	} cases[] = {
		{ "{\"cmd\":\"capture\",\"node\":\"nowhere\"}\n", "no node nowhere" },
		{ "{\"cmd\":\"capture\",\"node\":\"tun-input\"}\n", "at the node after it" },
		{ "{\"cmd\":\"capture\",\"interface\":\"wg9\"}\n", "no interface wg9" },
		{ "{\"cmd\":\"capture\",\"node\":\"wg-input\",\"filter\":[[6,0,0,1]]}\n",
		  "encrypted" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		char *got = talk(cases[i].request, 4096);

		assert_non_null(strstr(got, "{\"error\":"));
		assert_non_null(strstr(got, cases[i].says));
		free(got);
	}
}

/* The client reads nothing: its capture is bounded and counts what it misses; packets still flow. */
static void test_a_client_that_does_not_read(void **state)
{
	struct mf_control_conn *conn = start_capture("{\"cmd\":\"capture\",\"snaplen\":64}\n");
	struct testnet_item *i;
	uint32_t delivered = 0;

	(void)state;
	for (int k = 0; k < 10000; k++) {
		send(0, "10.9.0.2");
		if (k % 100 == 0)
			mf_control_tick(control, net.now);
	}
	assert_in_range(mf_control_output(conn).n, 1 << 20, (1 << 20) + 1024);
	while ((i = testnet_app_recv(&net.side[1]))) {
		delivered++;
		free(i);
	}
	assert_int_equal(delivered, 10000);
	mf_control_close(conn);
	testnet_settle(&net);
}

#define NET(test) cmocka_unit_test_setup_teardown(test, open_net, close_net)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET(test_status),
		NET(test_rates),
		NET(test_peers),
		NET(test_many_allowed_ips),
		NET(test_routes),
		NET(test_drops_and_the_ledger),
		NET(test_nodes),
		NET(test_log),
		NET(test_why),
		NET(test_why_is_true),
		NET(test_why_outside),
		NET(test_no_dns),
		NET(test_reload),
		NET(test_reload_later),
		NET(test_no_key_in_any_answer),
		NET(test_many_requests_in_pieces),
		NET(test_too_long_a_request),
		NET(test_too_many_connections),
		NET(test_capture),
		NET(test_capture_chooses),
		NET(test_capture_says_what_is_wrong),
		NET(test_a_client_that_does_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
