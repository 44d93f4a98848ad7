/* SPDX-License-Identifier: Apache-2.0
 *
 * What the control protocol says of sessions, and does to them: over a whole engine whose `direct` is the
 * mirror of docs/examples, or an outbound that never answers.
 */
#include "control/control.h"

#include <jansson.h>

#include "base/endian.h"
#include "examples/mirror.h"
#include "support/testnet.h"
#include "talk.h"
#include "unit.h"
#include "wire/tcp.h"

#define ROUTES                                   \
	"    - { cidr: 10.9.0.0/24, to: wg0 }\n" \
	"    - { cidr: 10.66.0.0/16, to: %s }\n" \
	"    - { cidr: 10.67.0.0/16, to: direct }\n"

static struct testnet net;
static struct mf_control *control;
static struct mirror mirror;
static enum mf_stream_error no_way; /* why `direct` has no device */

/* ---- An outbound whose far side never answers ---------------------------------------------------- */

static mf_err open_silently(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	(void)to;
	s->impl = o;
	return MF_OK;
}

static void close_silently(struct mf_stream *s, bool reset)
{
	(void)reset;
	s->impl = NULL;
}

static const struct mf_outbound_ops silent_ops = {
	.name = "silent",
	.stream_open = open_silently,
	.stream_close = close_silently,
};
static struct mf_outbound silent = { .ops = &silent_ops };

/* ---- The program around the engine ---------------------------------------------------------------- */

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

static void direct(void *ctx, struct mf_control_direct *out)
{
	(void)ctx;
	strcpy(out->device4, "eth0");
	strcpy(out->device6, "wlan0");
}

static enum mf_stream_error direct_for(void *ctx, const struct mf_addr *dst,
				       char name[MF_CONTROL_DEVICE_STRLEN])
{
	(void)ctx;
	if (!no_way)
		strcpy(name, dst->family == MF_AF_IP4 ? "eth0" : "wlan0");
	return no_way;
}

static const struct testnet_options *options(const char *to)
{
	static struct testnet_options o;
	static char routes[256];

	snprintf(routes, sizeof(routes), ROUTES, to);
	o = (struct testnet_options){ .seed = 1, .routes = routes };
	return &o;
}

static void open_with(struct mf_outbound *out)
{
	struct mf_control_host host = {
		.wall_clock = wall_clock,
		.facts = facts,
		.direct = direct,
		.direct_for = direct_for,
	};

	no_way = MF_STREAM_E_NONE;
	testnet_open(&net, options("direct"));
	mf_worker_set_direct(mf_engine_worker(net.side[0].engine, 0), out);
	control = mf_control_new(net.side[0].engine, &host);
	assert_non_null(control);
}

static int open_mirror(void **state)
{
	(void)state;
	memset(&mirror, 0, sizeof(mirror));
	mirror.out = (struct mf_outbound){ .ops = &mirror_ops, .ctx = &mirror };
	open_with(&mirror.out);
	return 0;
}

static int open_silent(void **state)
{
	(void)state;
	open_with(&silent);
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

static char *talk(const char *request)
{
	char *got = talk_line(control, request, net.now);

	testnet_settle(&net);
	return got;
}

static json_t *ask(const char *request)
{
	char *got = talk(request);
	json_t *line = json_loads(got, JSON_DISABLE_EOF_CHECK, NULL), *v;

	v = json_incref(json_object_get(line, "json"));
	if (!v)
		fail_msg("%s: %s", request, got);
	json_decref(line);
	free(got);
	return v;
}

static void says(const char *request, const char *what)
{
	char *got = talk(request);

	if (!strstr(got, what))
		fail_msg("%s: %s\ndoes not say %s", request, got, what);
	free(got);
}

static const char *text_at(json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key));
}

static long long number_at(json_t *v, const char *key)
{
	json_t *n = json_object_get(v, key);

	if (!json_is_integer(n))
		fail_msg("%s is no whole number", key);
	return json_integer_value(n);
}

/* How many sessions these keys choose. */
static long long count(const char *keys)
{
	char line[256];
	long long n;
	json_t *v;

	snprintf(line, sizeof(line), "{\"cmd\":\"show\",\"table\":\"sessions\",\"json\":true%s}",
		 keys);
	v = ask(line);
	n = number_at(v, "matching");
	assert_int_equal(json_array_size(json_object_get(v, "sessions")), n);
	json_decref(v);
	return n;
}

/* ---- An app --------------------------------------------------------------------------------------- */

struct app {
	const char *src, *dst;
	uint16_t port, to;
	uint32_t seq, ack;
	uint8_t flags; /* of the last segment that came */
	uint32_t got;  /* payload bytes */
};

static void app_send(struct app *a, uint8_t flags, const char *payload)
{
	uint8_t pkt[256];
	uint32_t n = (uint32_t)strlen(payload);

	n = testnet_tcp4(pkt, a->src, a->dst, a->port, a->to, a->seq, a->ack, flags, payload, n);
	testnet_app_send(&net.side[0], pkt, n, 0, 0, false, 0, 0);
	testnet_settle(&net);
}

/* Takes everything that has come for the app; others' segments are thrown away. */
static void app_recv(struct app *a)
{
	struct testnet_item *i;

	a->flags = 0;
	while ((i = testnet_app_recv(&net.side[0]))) {
		const uint8_t *tcp = i->bytes + 20;

		if (i->bytes[9] == 6 && mf_load_be16(tcp + 2) == a->port) {
			uint32_t n = i->len - 20 - (uint32_t)(tcp[12] >> 4) * 4;

			a->flags |= tcp[13];
			a->got += n;
			a->ack = mf_load_be32(tcp + 4) + n + ((tcp[13] & MF_TCP_SYN) != 0);
		}
		free(i);
	}
}

static struct app connected(uint16_t port, const char *dst)
{
	struct app a = { .src = "10.9.0.1", .dst = dst, .port = port, .to = 7, .seq = 1000 };

	app_send(&a, MF_TCP_SYN, "");
	app_recv(&a);
	assert_int_equal(a.flags, MF_TCP_SYN | MF_TCP_ACK);
	a.seq++;
	app_send(&a, MF_TCP_ACK, "");
	return a;
}

static void app_say(struct app *a, const char *words)
{
	app_send(a, MF_TCP_ACK | MF_TCP_PSH, words);
	a->seq += (uint32_t)strlen(words);
	app_recv(a);
	app_send(a, MF_TCP_ACK, "");
}

/* A SYN that the far side has not answered. */
static void knock(unsigned src, uint16_t port, const char *dst)
{
	char text[32];
	struct app a = { .src = text, .dst = dst, .port = port, .to = 443, .seq = 1 };

	snprintf(text, sizeof(text), "10.9.%u.%u", src / 250, src % 250 + 1);
	app_send(&a, MF_TCP_SYN, "");
}

/* ---- Tests ---------------------------------------------------------------------------------------- */

static void test_a_session(void **state)
{
	struct app a = connected(40000, "10.66.0.1");
	json_t *v, *s;

	(void)state;
	app_say(&a, "hello");
	assert_int_equal(a.got, 5);
	testnet_advance(&net, 10 * MF_SEC);
	v = ask("{\"cmd\":\"show\",\"table\":\"sessions\",\"json\":true}");
	assert_int_equal(number_at(v, "total"), 1);
	s = json_array_get(json_object_get(v, "sessions"), 0);
	assert_string_equal(text_at(s, "id"), "0-0-1");
	assert_string_equal(text_at(s, "proto"), "tcp");
	assert_string_equal(text_at(s, "kind"), "tcp");
	assert_string_equal(text_at(s, "app"), "10.9.0.1:40000");
	assert_string_equal(text_at(s, "destination"), "10.66.0.1:7");
	assert_string_equal(text_at(s, "interface"), "direct");
	assert_string_equal(text_at(s, "state"), "established");
	assert_string_equal(text_at(s, "route"), "10.66.0.0/16");
	assert_string_equal(text_at(s, "where"), "testnet.yaml:20");
	assert_int_equal(number_at(s, "rule"), 1);
	assert_true(json_is_false(json_object_get(s, "kept")));
	assert_int_equal(number_at(s, "bytes_up"), 5);
	assert_int_equal(number_at(s, "bytes_down"), 5);
	assert_int_equal((int)json_number_value(json_object_get(s, "age")), 10);
	assert_true(json_number_value(json_object_get(s, "rate_up")) == 0);
	json_decref(v);
	says("{\"cmd\":\"show\",\"table\":\"sessions\"}",
	     "0-0-1  tcp    10.9.0.1:40000  10.66.0.1:7  -     direct     testnet.yaml:20  "
	     "established");
}

static void test_filters(void **state)
{
	static const struct {
		const char *keys;
		int n;
	} cases[] = {
		{ "", 3 },
		{ ",\"proto\":\"tcp\"", 3 },
		{ ",\"proto\":\"udp\"", 0 },
		{ ",\"via\":\"direct\"", 3 },
		{ ",\"via\":\"wg0\"", 0 },
		{ ",\"to\":\"10.66.0.1\"", 2 },
		{ ",\"to\":\"10.66.0.0/15\"", 3 },
		{ ",\"to\":\":7\"", 3 },
		{ ",\"to\":\":8\"", 0 },
		{ ",\"app\":\"10.9.0.1:40001\"", 1 },
		{ ",\"app\":\"10.9.0.1\",\"to\":\"10.67.0.1:7\"", 1 },
		{ ",\"state\":\"established\"", 2 },
		{ ",\"state\":\"app-closed\"", 0 },
		{ ",\"kept\":true", 0 },
	};
	struct app b;

	(void)state;
	(void)connected(40000, "10.66.0.1");
	b = connected(40001, "10.66.0.1");
	(void)connected(40002, "10.67.0.1");
	/* The mirror answers the end with the end: the app has to answer that, and does not. */
	app_send(&b, MF_TCP_FIN | MF_TCP_ACK, "");
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++)
		if (count(cases[i].keys) != cases[i].n)
			fail_msg("%s: %lld, not %d", cases[i].keys, count(cases[i].keys), cases[i].n);
	says("{\"cmd\":\"show\",\"table\":\"sessions\",\"proto\":\"udp\"}", "no session matches");
	says("{\"cmd\":\"show\",\"table\":\"sessions\",\"via\":\"wg9\"}",
	     "there is no interface wg9");
	says("{\"cmd\":\"close\",\"via\":\"wg9\"}", "there is no interface wg9");
	says("{\"cmd\":\"close\",\"via\":\"wg0\"}", "closed 0 sessions");
}

static void test_no_sessions(void **state)
{
	(void)state;
	says("{\"cmd\":\"show\",\"table\":\"sessions\"}", "\"no sessions\\n\"");
	assert_int_equal(count(""), 0);
	says("{\"cmd\":\"close\",\"all\":true}", "\"closed 0 sessions\\n\"");
}

static void test_close_by_id(void **state)
{
	struct app a = connected(40000, "10.66.0.1"), b = connected(40001, "10.66.0.1");
	struct mf_host_counters n;
	struct mf_tcp_counters tcp;

	(void)state;
	says("{\"cmd\":\"close\",\"sessions\":[\"0-0-1\"]}", "\"closed 1 session\\n\"");
	app_recv(&a);
	assert_true(a.flags & MF_TCP_RST);
	assert_int_equal(count(""), 1);
	mf_engine_host_counters(net.side[0].engine, &n, &tcp);
	assert_int_equal(n.closed_by_hand, 1);
	/* It has gone, and its name means nothing else, even when its slot is in use again. */
	(void)connected(40002, "10.66.0.1");
	assert_int_equal(count(",\"app\":\":40002\""), 1);
	says("{\"cmd\":\"close\",\"sessions\":[\"0-0-1\",\"0-1-1\",\"0-4000-1\",\"9-0-1\"]}",
	     "{\"error\":\"there is no session 0-0-1; it has ended, or never was\\n"
	     "there is no session 0-4000-1; it has ended, or never was\\n"
	     "there is no session 9-0-1; it has ended, or never was\\n"
	     "closed 1 other\\n\"}");
	app_recv(&b);
	assert_true(b.flags & MF_TCP_RST);
	assert_int_equal(count(""), 1);
	assert_int_equal(count(",\"app\":\":40002\""), 1);
}

static void test_close_by_filter(void **state)
{
	json_t *v;

	(void)state;
	(void)connected(40000, "10.66.0.1");
	(void)connected(40001, "10.66.0.2");
	(void)connected(40002, "10.67.0.1");
	v = ask("{\"cmd\":\"close\",\"to\":\"10.66.0.0/16\",\"proto\":\"tcp\",\"json\":true}");
	assert_int_equal(number_at(v, "closed"), 2);
	json_decref(v);
	assert_int_equal(count(""), 1);
	assert_int_equal(count(",\"app\":\":40002\""), 1);
	says("{\"cmd\":\"close\",\"via\":\"wg0\"}", "\"closed 0 sessions\\n\"");
	says("{\"cmd\":\"close\",\"all\":true}", "\"closed 1 session\\n\"");
	assert_int_equal(count(""), 0);
}

/* A session whose route has moved is kept, is shown as that, and works on. */
static void test_kept(void **state)
{
	struct app a = connected(40000, "10.66.0.1");
	struct mf_apply_report report;
	struct mf_errbuf eb;
	json_t *v, *s;

	(void)state;
	(void)connected(40001, "10.67.0.1");
	assert_int_equal(testnet_apply(&net, 0, options("drop"), &report, &eb), MF_OK);
	testnet_settle(&net);
	assert_int_equal(report.sessions_kept, 1);
	assert_int_equal(report.sessions_moved, 1);
	assert_int_equal(report.sessions_closed, 0);
	app_say(&a, "still here");
	assert_int_equal(a.got, 10);
	assert_int_equal(count(",\"kept\":true"), 1);
	says("{\"cmd\":\"show\",\"table\":\"sessions\",\"to\":\"10.66.0.1\"}",
	     "10.66.0.1:7  -     direct     kept  established");
	v = ask("{\"cmd\":\"why\",\"address\":\"10.66.0.1\",\"json\":true}");
	assert_string_equal(text_at(v, "verdict"), "dropped");
	assert_int_equal(number_at(v, "sessions_total"), 1);
	s = json_array_get(json_object_get(v, "sessions"), 0);
	assert_true(json_is_true(json_object_get(s, "kept")));
	assert_string_equal(text_at(s, "interface"), "direct");
	assert_int_equal(json_array_size(json_object_get(v, "notes")), 1);
	json_decref(v);
	v = ask("{\"cmd\":\"why\",\"session\":\"0-0-1\",\"json\":true}");
	assert_true(json_is_true(json_object_get(v, "kept")));
	assert_string_equal(text_at(v, "new_sessions_to"), "drop");
	assert_string_equal(text_at(v, "interface"), "direct");
	json_decref(v);
	says("{\"cmd\":\"why\",\"session\":\"0-0-1\"}", "a new session goes to drop");
	says("{\"cmd\":\"close\",\"kept\":true}", "\"closed 1 session\\n\"");
	assert_int_equal(count(""), 1);
}

static void test_drop_sessions(void **state)
{
	struct app a = connected(40000, "10.66.0.1");
	struct mf_apply_report report;
	struct mf_errbuf eb;

	(void)state;
	(void)connected(40001, "10.67.0.1");
	app_recv(&a);
	mf_engine_drop_sessions(net.side[0].engine, true);
	assert_int_equal(testnet_apply(&net, 0, options("drop"), &report, &eb), MF_OK);
	testnet_settle(&net);
	assert_int_equal(report.sessions_kept, 1);
	assert_int_equal(report.sessions_moved, 0);
	assert_int_equal(report.sessions_closed, 1);
	app_recv(&a);
	assert_true(a.flags & MF_TCP_RST);
	assert_int_equal(count(""), 1);
}

static void test_why(void **state)
{
	json_t *v;

	(void)state;
	(void)connected(40000, "10.66.0.1");
	v = ask("{\"cmd\":\"why\",\"session\":\"0-0-1\",\"json\":true}");
	assert_string_equal(text_at(v, "app"), "10.9.0.1:40000");
	assert_string_equal(text_at(v, "destination"), "10.66.0.1:7");
	assert_string_equal(text_at(v, "where"), "testnet.yaml:20");
	assert_string_equal(text_at(v, "device"), "eth0");
	assert_string_equal(text_at(v, "nodes_up"),
			    "tun-input > ip-input > route-lookup > host-tcp");
	assert_true(json_is_false(json_object_get(v, "kept")));
	json_decref(v);
	says("{\"cmd\":\"why\",\"session\":\"0-0-2\"}", "{\"error\":\"there is no such session");
	says("{\"cmd\":\"why\",\"session\":\"5-0-1\"}", "{\"error\":\"there is no such session");
	says("{\"cmd\":\"why\",\"session\":\"0-999-1\"}", "{\"error\":\"there is no such session");

	v = ask("{\"cmd\":\"why\",\"address\":\"10.66.3.4\",\"json\":true}");
	assert_string_equal(text_at(v, "verdict"), "sent");
	assert_string_equal(text_at(v, "interface"), "direct");
	assert_string_equal(text_at(v, "text"), "direct carries it on through eth0, as a session");
	assert_int_equal(number_at(v, "sessions_total"), 0);
	json_decref(v);
	no_way = MF_STREAM_E_NO_DEVICE;
	v = ask("{\"cmd\":\"why\",\"address\":\"10.66.3.4\",\"json\":true}");
	assert_string_equal(text_at(v, "verdict"), "dropped");
	assert_string_equal(text_at(v, "reason"), "outbound-down");
	assert_string_equal(text_at(v, "text"), "refused: direct: no egress device");
	json_decref(v);
}

/* More to one address than `why` shows. */
static void test_why_many(void **state)
{
	json_t *v;

	(void)state;
	for (uint16_t i = 0; i < 7; i++)
		knock(0, (uint16_t)(2000 + i), "10.66.0.1");
	knock(0, 3000, "10.66.0.2");
	v = ask("{\"cmd\":\"why\",\"address\":\"10.66.0.1\",\"json\":true}");
	assert_int_equal(number_at(v, "sessions_total"), 7);
	assert_int_equal(json_array_size(json_object_get(v, "sessions")), 5);
	json_decref(v);
	says("{\"cmd\":\"why\",\"address\":\"10.66.0.1\"}",
	     "the first 5 of 7; `mintflow show sessions to 10.66.0.1` lists them all");
}

static json_t *row(json_t *v, const char *table, const char *key, const char *value)
{
	json_t *r;
	size_t i;

	json_array_foreach(json_object_get(v, table), i, r)
	{
		if (!strcmp(text_at(r, key), value))
			return r;
	}
	fail_msg("%s: no %s %s", table, key, value);
	return NULL;
}

static void test_totals(void **state)
{
	struct app a = connected(40000, "10.66.0.1");
	json_t *v, *r;
	uint8_t pkt[64];

	(void)state;
	app_say(&a, "hello");
	(void)connected(40001, "10.66.0.1");
	says("{\"cmd\":\"close\",\"sessions\":[\"0-1-1\"]}", "closed 1");
	assert_int_equal(testnet_apply(&net, 0, options("drop"), NULL, NULL), MF_OK);
	testnet_settle(&net);
	testnet_app_send(&net.side[0], pkt, testnet_udp4(pkt, "10.9.0.1", "10.66.9.9", 1, 2, "x", 1),
			 0, 0, false, 0, 0);
	testnet_settle(&net);
	v = ask("{\"cmd\":\"status\",\"json\":true}");
	assert_int_equal(number_at(v, "sessions"), 1);
	assert_int_equal(number_at(v, "sessions_max"), mf_engine_sessions_max(net.side[0].engine));
	assert_int_equal(number_at(v, "sessions_opened"), 2);
	r = row(v, "interfaces", "name", "direct");
	assert_string_equal(text_at(r, "type"), "built-in");
	assert_string_equal(text_at(r, "state"), "up");
	assert_string_equal(text_at(r, "device4"), "eth0");
	assert_string_equal(text_at(r, "device6"), "wlan0");
	assert_int_equal(number_at(r, "sessions"), 1);
	assert_int_equal(number_at(r, "opened"), 2);
	assert_int_equal(number_at(r, "tx_bytes"), 5);
	assert_int_equal(number_at(r, "rx_bytes"), 5);
	assert_int_equal(number_at(row(v, "interfaces", "name", "drop"), "packets"), 1);
	assert_int_equal(number_at(row(v, "interfaces", "name", "reject"), "packets"), 0);
	json_decref(v);
	says("{\"cmd\":\"status\"}", "; 2 since the start");
	says("{\"cmd\":\"show\",\"table\":\"interfaces\"}", "eth0 (IPv4), wlan0 (IPv6)");
	v = ask("{\"cmd\":\"show\",\"table\":\"nodes\",\"json\":true,\"all\":true}");
	r = row(v, "host_stack", "counter", "tcp_opened");
	assert_int_equal(number_at(r, "value"), 2);
	assert_string_equal(text_at(r, "part"), "sessions");
	assert_string_equal(text_at(row(v, "host_stack", "counter", "rtos"), "part"), "tcp");
	json_decref(v);
}

/* Who moves most stands first, then the newest. */
static void test_order(void **state)
{
	static const char *const want[] = { "10.9.0.1:40001", "10.9.0.1:40003", "10.9.0.1:40002",
					    "10.9.0.1:40000" };
	struct app b;
	json_t *v;

	(void)state;
	for (uint16_t i = 0; i < 4; i++) {
		struct app a = connected((uint16_t)(40000 + i), "10.66.0.1");

		if (i == 1)
			b = a;
		testnet_advance(&net, 10 * MF_SEC);
	}
	for (int i = 0; i < 4; i++) {
		app_say(&b, "hello");
		testnet_advance(&net, MF_SEC);
	}
	v = ask("{\"cmd\":\"show\",\"table\":\"sessions\",\"json\":true}");
	for (size_t i = 0; i < MF_ARRAY_LEN(want); i++)
		assert_string_equal(
			text_at(json_array_get(json_object_get(v, "sessions"), i), "app"), want[i]);
	assert_true(json_number_value(json_object_get(
			    json_array_get(json_object_get(v, "sessions"), 0), "rate_up")) > 1);
	json_decref(v);
}

/* Ten thousand: people get the first thousand and are told, programs get all. */
static void test_ten_thousand(void **state)
{
	char *got;
	size_t lines = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		knock(i / 500, (uint16_t)(2000 + i % 500), "10.66.0.1");
	assert_int_equal(count(""), 10000);
	assert_int_equal(count(",\"state\":\"opening\""), 10000);
	got = talk("{\"cmd\":\"show\",\"table\":\"sessions\"}");
	for (const char *p = got; (p = strstr(p, "\\n0-")); p++)
		lines++;
	assert_int_equal(lines, 1000);
	assert_non_null(strstr(got, "\\nthe first 1000 of 10000 sessions; --all shows more"));
	free(got);
	got = talk("{\"cmd\":\"show\",\"table\":\"sessions\",\"all\":true}");
	lines = 0;
	for (const char *p = got; (p = strstr(p, "\\n0-")); p++)
		lines++;
	assert_int_equal(lines, 10000);
	assert_null(strstr(got, "the first"));
	free(got);
	says("{\"cmd\":\"close\",\"app\":\":2000\"}", "closed 20 sessions");
	assert_int_equal(count(""), 9980);
	says("{\"cmd\":\"close\",\"all\":true}", "closed 9980 sessions");
	assert_int_equal(count(""), 0);
}

/* A capture may ask for the packets of `direct` as for those of an interface of the profile. */
static void test_capture(void **state)
{
	static const char request[] = "{\"cmd\":\"capture\",\"interface\":\"direct\"}\n";
	struct mf_control_conn *conn = mf_control_open(control);
	struct mf_text got = { 0 };
	struct mf_span out;

	(void)state;
	assert_true(mf_control_input(conn, request, strlen(request), net.now));
	testnet_settle(&net);
	(void)connected(40000, "10.66.0.1");
	knock(0, 1, "10.9.0.2");
	mf_control_tick(control, net.now);
	(void)mf_control_input(conn, "\n", 1, net.now);
	while ((out = mf_control_output(conn)).n) {
		mf_text_add(&got, (const char *)out.p, out.n);
		(void)mf_control_sent(conn, out.n, net.now);
	}
	assert_non_null(memmem(got.s, got.len, "direct; ip-input > route-lookup > host-tcp", 42));
	assert_null(memmem(got.s, got.len, "wg-output", 9));
	mf_text_free(&got);
	mf_control_close(conn);
	testnet_settle(&net);
}

#define MIRROR(test) cmocka_unit_test_setup_teardown(test, open_mirror, close_net)
#define SILENT(test) cmocka_unit_test_setup_teardown(test, open_silent, close_net)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MIRROR(test_a_session),       MIRROR(test_filters),
		MIRROR(test_no_sessions),     MIRROR(test_close_by_id),
		MIRROR(test_close_by_filter), MIRROR(test_kept),
		MIRROR(test_drop_sessions),   MIRROR(test_why),
		SILENT(test_why_many),        MIRROR(test_totals),
		MIRROR(test_order),           SILENT(test_ten_thousand),
		MIRROR(test_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
