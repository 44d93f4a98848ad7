/* SPDX-License-Identifier: Apache-2.0
 *
 * `test`: who may ask for what, who is told when, and the table.
 */
#include "control/probe.h"

#include <jansson.h>

#include "control/control.h"
#include "support/testnet.h"
#include "unit.h"

static const char interfaces[] =
	"  - { name: hk, type: trojan, server: \"px.example.net:443\", password: pssst,\n"
	"      tls: { insecure: true } }\n";
static const char routes[] = "    - { cidr: 10.9.0.0/24, to: wg0 }\n";

static struct testnet net;
static struct mf_control *control;
static struct mf_control_conn *conn;
static unsigned n_begun, n_ended;
static char hop_name[16], url[300];
static const char *refusal;

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

static mf_err probe(void *ctx, uint32_t hop, const char *to, struct mf_errbuf *eb)
{
	(void)ctx;
	if (refusal)
		return mf_fail(eb, MF_E_MALFORMED, "%s", refusal);
	n_begun++;
	snprintf(hop_name, sizeof(hop_name), "%s",
		 mf_engine_snapshot(net.side[0].engine)->hop[hop].name);
	snprintf(url, sizeof(url), "%s", to);
	return MF_OK;
}

static void probe_end(void *ctx)
{
	(void)ctx;
	n_ended++;
}

static int open_with(const char *written, bool can)
{
	struct mf_control_host host = {
		.wall_clock = wall_clock,
		.facts = facts,
		.probe = can ? probe : NULL,
		.probe_end = can ? probe_end : NULL,
	};

	testnet_open(&net,
		     &(struct testnet_options){ .seed = 1, .interfaces = written, .routes = routes });
	control = mf_control_new(net.side[0].engine, &host);
	assert_non_null(control);
	conn = mf_control_open(control);
	assert_non_null(conn);
	n_begun = n_ended = 0;
	refusal = NULL;
	return 0;
}

static int open_net(void **state)
{
	(void)state;
	return open_with(interfaces, true);
}

static int close_net(void **state)
{
	(void)state;
	mf_control_free(control);
	testnet_close(&net);
	return 0;
}

static void say(struct mf_control_conn *c, const char *request)
{
	(void)mf_control_input(c, request, strlen(request), net.now);
	(void)mf_control_input(c, "\n", 1, net.now);
}

/* What has come back so far; NULL: nothing. */
static char *hear(struct mf_control_conn *c)
{
	struct mf_text got = { 0 };
	struct mf_span out;

	while ((out = mf_control_output(c)).n) {
		mf_text_add(&got, (const char *)out.p, out.n);
		(void)mf_control_sent(c, out.n, net.now);
	}
	return got.s;
}

static void expect(struct mf_control_conn *c, const char *want)
{
	char *got = hear(c);

	if ((got == NULL) != (want == NULL) || (got && strcmp(got, want)))
		fail_msg("got %s\nnot %s", got ? got : "nothing", want ? want : "nothing");
	free(got);
}

#define TEST_HK "{\"cmd\":\"test\",\"interface\":\"hk\",\"url\":\"https://example.com/\"}"

/* ---- Who may ask for what ---------------------------------------------------------------------------- */

static void test_what_is_wrong(void **state)
{
	static const struct {
		const char *request, *answer;
	} cases[] = {
		{ "{\"cmd\":\"test\",\"url\":\"http://a/\"}",
		  "{\"error\":\"\\\"test\\\" needs a key \\\"interface\\\"\"}\n" },
		{ "{\"cmd\":\"test\",\"interface\":\"hk\"}",
		  "{\"error\":\"\\\"test\\\" needs a key \\\"url\\\"\"}\n" },
		{ "{\"cmd\":\"test\",\"interface\":\"hk\",\"url\":\"\"}",
		  "{\"error\":\"\\\"url\\\" must be a URL of up to 2048 bytes\"}\n" },
		{ "{\"cmd\":\"test\",\"interface\":\"hk\",\"url\":\"http://a b/\"}",
		  "{\"error\":\"\\\"url\\\" must be a URL, without blanks\"}\n" },
		{ "{\"cmd\":\"test\",\"interface\":\"nix\",\"url\":\"http://a/\"}",
		  "{\"error\":\"there is no interface nix that carries anything; `mintflow show "
		  "interfaces` lists them\"}\n" },
		{ "{\"cmd\":\"test\",\"interface\":\"drop\",\"url\":\"http://a/\"}",
		  "{\"error\":\"there is no interface drop that carries anything; `mintflow show "
		  "interfaces` lists them\"}\n" },
		{ "{\"cmd\":\"test\",\"interface\":\"dns\",\"url\":\"http://a/\"}",
		  "{\"error\":\"there is no interface dns that carries anything; `mintflow show "
		  "interfaces` lists them\"}\n" },
		{ "{\"cmd\":\"show\",\"table\":\"log\",\"url\":\"http://a/\"}",
		  "{\"error\":\"\\\"show\\\" has no key \\\"url\\\"\"}\n" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		say(conn, cases[i].request);
		expect(conn, cases[i].answer);
	}
	assert_int_equal(n_begun, 0);
	refusal = "that is no URL";
	say(conn, TEST_HK);
	expect(conn, "{\"error\":\"that is no URL\"}\n");
}

static void test_every_kind_can_be_tested(void **state)
{
	static const char *const names[] = { "hk", "wg0", "direct" };
	struct mf_probe p = { .url = "", .failed = "connect", .why = "no" };
	char line[120];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++) {
		snprintf(line, sizeof(line),
			 "{\"cmd\":\"test\",\"interface\":\"%s\",\"url\":\"http://a:8080/x?y\"}",
			 names[i]);
		say(conn, line);
		assert_string_equal(hop_name, names[i]);
		assert_string_equal(url, "http://a:8080/x?y");
		p.interface = names[i];
		mf_control_probed(control, &p);
		free(hear(conn));
	}
	assert_int_equal(n_begun, 3);
}

/* The internal DNS server has that name, too, and cannot be tested. */
static void test_an_interface_named_dns(void **state)
{
	struct mf_probe p = { .interface = "dns", .url = "", .failed = "connect", .why = "no" };
	char *got;

	(void)state;
	open_with("  - { name: dns, type: socks5, server: \"px.example.net:1080\" }\n", true);
	say(conn, "{\"cmd\":\"test\",\"interface\":\"dns\",\"url\":\"http://a/\"}");
	assert_int_equal(n_begun, 1);
	mf_control_probed(control, &p);
	got = hear(conn);
	assert_non_null(strstr(got, "dns (socks5, tcp) to px.example.net:1080"));
	free(got);
	close_net(NULL);
}

static void test_where_there_is_none(void **state)
{
	(void)state;
	open_with(interfaces, false);
	say(conn, TEST_HK);
	expect(conn, "{\"error\":\"this program cannot test interfaces\"}\n");
	close_net(NULL);
}

/* ---- Who is told when ---------------------------------------------------------------------------------- */

static const struct mf_probe refused = {
	.interface = "hk",
	.url = "https://example.com/",
	.failed = "connect",
	.fault = MF_PROXY_REFUSED,
	.why = "the proxy refuses connections",
	.detail = "",
	.total = MF_MSEC,
};

static void test_one_at_a_time(void **state)
{
	struct mf_control_conn *other = mf_control_open(control);
	char *got;

	(void)state;
	say(conn, TEST_HK);
	expect(conn, NULL);
	assert_true(mf_control_wants(conn)); /* else nobody would see that the client has gone */
	say(other, TEST_HK);
	expect(other, "{\"error\":\"another test is running\"}\n");
	/* What the waiting one asks meanwhile comes after its answer. */
	say(conn, "{\"cmd\":\"show\",\"table\":\"log\"}");
	expect(conn, NULL);
	mf_control_probed(control, &refused);
	got = hear(conn);
	assert_non_null(strstr(got,
			       "{\"error\":\"hk: connect: the proxy refuses connections; is "
			       "the port of `server` right, and the server up?\"}\n{\"text\":"));
	free(got);
	expect(other, NULL);
	say(other, TEST_HK);
	expect(other, NULL);
	assert_int_equal(n_begun, 2);
	assert_int_equal(n_ended, 0);
}

static void test_a_client_that_leaves_ends_it(void **state)
{
	struct mf_control_conn *other = mf_control_open(control);

	(void)state;
	say(other, TEST_HK);
	mf_control_close(other);
	assert_int_equal(n_ended, 1);
	/* An answer that is on its way all the same finds nobody. */
	mf_control_probed(control, &refused);
	expect(conn, NULL);
	say(conn, TEST_HK);
	expect(conn, NULL);
	assert_int_equal(n_begun, 2);
}

/* ---- The table ------------------------------------------------------------------------------------------ */

static struct mf_probe good(void)
{
	struct mf_probe p = {
		.interface = "hk",
		.url = "https://example.com/",
		.n = 4,
		.stage = { { "connect", 20 * MF_MSEC },
			   { "tls", 41 * MF_MSEC },
			   { "first byte", 80 * MF_MSEC },
			   { "download", 2 * MF_SEC } },
		.total = 2141 * MF_MSEC,
		.status = 404,
		.bytes = 25000000,
		.download = 2 * MF_SEC,
	};

	assert_int_equal(mf_endpoint_parse(&p.server, "[2001:db8::7]:443"), MF_OK);
	return p;
}

static void test_the_table(void **state)
{
	struct mf_probe p = good();

	(void)state;
	say(conn, TEST_HK);
	mf_control_probed(control, &p);
	expect(conn, "{\"text\":\""
		     "through:      hk (trojan, tls) to px.example.net:443, via direct\\n"
		     "url:          https://example.com/\\n"
		     "connected to: [2001:db8::7]:443\\n"
		     "answer:       status 404, 23.8 MiB, 100 Mbit/s\\n"
		     "\\n"
		     "Stages\\n"
		     "  stage        took  until then\\n"
		     "  connect     20 ms       20 ms\\n"
		     "  tls         41 ms       61 ms\\n"
		     "  first byte  80 ms      141 ms\\n"
		     "  download      2 s         2 s\\n"
		     "\"}\n{\"ok\":true}\n");
}

static void test_the_table_of_one_that_failed(void **state)
{
	struct mf_probe p = good();

	(void)state;
	p.n = 1;
	p.status = 0;
	p.total = 50 * MF_MSEC;
	p.failed = "tls";
	p.fault = MF_PROXY_CERTIFICATE;
	p.why = mf_proxy_fault_text(p.fault);
	p.detail = "certificate has expired";
	say(conn, TEST_HK);
	mf_control_probed(control, &p);
	expect(conn, "{\"text\":\""
		     "through:      hk (trojan, tls) to px.example.net:443, via direct\\n"
		     "url:          https://example.com/\\n"
		     "connected to: [2001:db8::7]:443\\n"
		     "\\n"
		     "Stages\\n"
		     "  stage         took  until then\\n"
		     "  connect      20 ms       20 ms\\n"
		     "  tls: failed  30 ms       50 ms\\n"
		     "\"}\n"
		     "{\"error\":\"hk: tls: the proxy's certificate is not good (certificate has "
		     "expired); look at `tls.server_name`, `tls.ca_file` and the clock\"}\n");
}

/* Programs get all of it, also of a test that has failed. */
static void test_json(void **state)
{
	struct mf_probe p = good();
	json_t *line, *v;
	char *got;

	(void)state;
	p.failed = "download";
	p.why = "connection reset by the far side";
	p.total = 3 * MF_SEC;
	p.bytes = 1000;
	say(conn,
	    "{\"cmd\":\"test\",\"interface\":\"hk\",\"url\":\"https://example.com/\",\"json\":"
	    "true}");
	mf_control_probed(control, &p);
	got = hear(conn);
	line = json_loadb(got, strcspn(got, "\n"), 0, NULL);
	v = json_object_get(line, "json");
	assert_non_null(v);
	assert_true(json_is_false(json_object_get(v, "ok")));
	assert_string_equal(json_string_value(json_object_get(v, "failed")), "download");
	assert_true(json_is_null(json_object_get(v, "fault")));
	assert_true(json_is_null(json_object_get(v, "rate"))); /* of so few bytes */
	assert_int_equal(json_integer_value(json_object_get(v, "status")), 404);
	assert_int_equal(json_array_size(json_object_get(v, "stages")), 5);
	v = json_array_get(json_object_get(v, "stages"), 4);
	assert_true(json_is_true(json_object_get(v, "failed")));
	assert_int_equal((int)(json_number_value(json_object_get(v, "time")) * 1000 + 0.5), 859);
	assert_string_equal(strchr(got, '\n') + 1,
			    "{\"error\":\"hk: download: connection reset by the far side\"}\n");
	json_decref(line);
	free(got);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_net, close_net)
	const struct CMUnitTest tests[] = {
		T(test_what_is_wrong),
		T(test_every_kind_can_be_tested),
		cmocka_unit_test(test_an_interface_named_dns),
		cmocka_unit_test(test_where_there_is_none),
		T(test_one_at_a_time),
		T(test_a_client_that_leaves_ends_it),
		T(test_the_table),
		T(test_the_table_of_one_that_failed),
		T(test_json),
	};

	return cmocka_run_group_tests_name("control/probe", tests, NULL, NULL);
}
