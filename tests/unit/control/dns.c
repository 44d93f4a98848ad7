/* SPDX-License-Identifier: Apache-2.0
 *
 * What the control protocol says of names: over a whole engine whose DNS server asks made-up servers, outside
 * the tunnel and through a VPN, whose far side is played by hand.
 */
#include "control/control.h"

#include <jansson.h>

#include "base/endian.h"
#include "support/fakedns.h"
#include "support/testnet.h"
#include "talk.h"
#include "unit.h"

/* Line 19 of the profile is the first of these. */
#define NAMES                                                                               \
	"    - { domain_set: films, to: wg0 }\n"                                            \
	"    - { domain_set: ads, to: drop }\n"                                             \
	"    - { domain_set: news, to: direct }\n"                                          \
	"    - { cidr: 198.51.100.7/32, to: reject }\n"                                     \
	"    - { cidr: 0.0.0.0/0, to: wg0 }\n"                                              \
	"  dns_fallback: direct\n"                                                          \
	"domain_sets:\n"                                                                    \
	"  films: { domains: [films.example, \"full:only.example\"] }\n"                    \
	"  ads: { domains: [ads.example, \"keyword:track\"] }\n"                            \
	"  news: { domains: [news.example, films.example, \"regexp:^n[0-9]+[.]test$\"] }\n" \
	"dns:\n"                                                                            \
	"  vpn_servers: [203.0.113.53]\n"                                                   \
	"  direct_servers: [192.0.2.53]\n"                                                  \
	"  rebind_protection: false\n"                                                      \
	"  hosts: { nas.example: 10.0.0.5 }\n"

static struct testnet net;
static struct mf_control *control;
static struct fakedns far;

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

static enum mf_stream_error direct_for(void *ctx, const struct mf_addr *dst,
				       char name[MF_CONTROL_DEVICE_STRLEN])
{
	(void)ctx;
	(void)dst;
	strcpy(name, "eth0");
	return MF_STREAM_E_NONE;
}

/* ---- The far sides --------------------------------------------------------------------------- */

static uint8_t last_byte; /* of the address that servers answer with */

static void put16(uint8_t **at, unsigned v)
{
	mf_store_be16(*at, (uint16_t)v);
	*at += 2;
}

static void put_rr(uint8_t **at, unsigned name, uint16_t type, const void *rdata, unsigned n)
{
	put16(at, 0xc000 | name);
	put16(at, type);
	put16(at, MF_DNS_IN);
	put16(at, 0);
	put16(at, 300);
	put16(at, n);
	memcpy(*at, rdata, n);
	*at += n;
}

/* By the first letter of the name: n(xdomain), e(mpty), c(name), t(ext), all else an address. */
static size_t reply(struct mf_span query, uint8_t *out)
{
	static const uint8_t cname[] = { 3, 'c', 'd', 'n', 3, 'n', 'e', 't', 0 };
	/* MNAME and RNAME are the root; TTLs of 60 s. */
	static const uint8_t soa[] = { [0] = 0, 0, [17] = 60, [21] = 60 };
	uint8_t a[4] = { 198, 51, 100, last_byte };
	struct mf_dns_query q;
	uint8_t *at;
	size_t n;

	assert_int_equal(mf_dns_query_read(query, &q), MF_OK);
	n = fakedns_reply(query, q.name.b[1] == 'x' ? MF_DNS_NXDOMAIN : MF_DNS_NOERROR, 0, 0, out);
	at = out + n;
	switch (q.name.b[1]) {
	case 'x':
	case 'e':
		put_rr(&at, 12, MF_DNS_SOA, soa, sizeof(soa));
		mf_store_be16(out + 8, 1);
		break;
	case 'c':
		put_rr(&at, 12, MF_DNS_CNAME, cname, sizeof(cname));
		put_rr(&at, (unsigned)(n + 12), MF_DNS_A, a, 4);
		mf_store_be16(out + 6, 2);
		break;
	case 't':
		put_rr(&at, 12, q.type, "\3abc", 4);
		mf_store_be16(out + 6, 1);
		break;
	default:
		put_rr(&at, 12, MF_DNS_A, a, 4);
		mf_store_be16(out + 6, 1);
	}
	return (size_t)(at - out);
}

static size_t direct_reply(struct fakedns_server *s, struct mf_span query, bool tcp, uint8_t *out)
{
	(void)s;
	(void)tcp;
	return reply(query, out);
}

/* What comes out of the VPN for 203.0.113.53 is answered. */
static void answer_in_vpn(void)
{
	struct testnet_item *i;

	while ((i = testnet_app_recv(&net.side[1])) != NULL) {
		uint8_t out[1200], pkt[1300];
		struct mf_span query = { i->bytes + 28, i->len - 28 };
		size_t n;

		assert_true(i->len > 28 && i->bytes[9] == 17 && mf_load_be16(i->bytes + 22) == 53);
		n = reply(query, out);
		testnet_app_send(&net.side[1], pkt,
				 testnet_udp4(pkt, "203.0.113.53", "10.9.0.1", 53,
					      mf_load_be16(i->bytes + 20), out, (uint32_t)n),
				 0, 0, false, 0, 0);
		free(i);
	}
}

static void settle(void)
{
	for (int i = 0; i < 6; i++) {
		testnet_settle(&net);
		fakedns_run(&far, net.now);
		answer_in_vpn();
	}
	testnet_settle(&net);
}

/* An app asks; there is an answer. */
static void query(const char *name, uint16_t type)
{
	uint8_t pkt[700], msg[600];
	struct mf_dns_name wire;
	struct testnet_item *i;
	size_t n;

	assert_int_equal(mf_dns_name_parse(&wire, name, strlen(name)), MF_OK);
	n = mf_dns_question_write(msg, 7, &wire, type, false, false, NULL, false);
	testnet_app_send(&net.side[0], pkt,
			 testnet_udp4(pkt, "10.9.0.1", "10.9.0.53", 4000, 53, msg, (uint32_t)n), 0,
			 0, false, 0, 0);
	settle();
	i = testnet_app_recv(&net.side[0]);
	if (!i)
		fail_msg("no answer for %s", name);
	free(i);
}

/* ---- Questions to the control protocol ------------------------------------------------------- */

static char *talk(const char *request)
{
	return talk_line(control, request, net.now);
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

static json_t *ask_table(const char *table, const char *name)
{
	char line[200];

	snprintf(line, sizeof(line), "{\"cmd\":\"show\",\"table\":\"%s\",\"json\":true%s%s%s}",
		 table, *name ? ",\"name\":\"" : "", name, *name ? "\"" : "");
	return ask(line);
}

static json_t *ask_why(const char *key, const char *what)
{
	char line[200];

	snprintf(line, sizeof(line), "{\"cmd\":\"why\",\"json\":true,\"%s\":\"%s\"}", key, what);
	return ask(line);
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

static json_int_t number_at(json_t *v, const char *key)
{
	return json_integer_value(json_object_get(v, key));
}

/* The row of a table in which `key` is `text`. */
static json_t *find(json_t *v, const char *table, const char *key, const char *text)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(v, table), i, row)
	{
		if (text_at(row, key) && !strcmp(text_at(row, key), text))
			return row;
	}
	fail_msg("no %s %s in %s", key, text, table);
	return NULL;
}

static int open_net(void **state)
{
	struct mf_control_host host = { .wall_clock = wall_clock,
					.facts = facts,
					.direct_for = direct_for };
	struct fakedns_server *s;

	(void)state;
	last_byte = 1;
	fakedns_init(&far, 1);
	s = fakedns_add(&far, "192.0.2.53:53");
	s->answer = direct_reply;
	s->delay = 0;
	testnet_open(&net, &(struct testnet_options){ .seed = 1, .routes = NAMES });
	mf_worker_set_direct(mf_engine_worker(net.side[0].engine, 0), &far.out);
	control = mf_control_new(net.side[0].engine, &host);
	assert_non_null(control);
	return 0;
}

static int close_net(void **state)
{
	(void)state;
	mf_control_free(control);
	testnet_close(&net);
	fakedns_fini(&far);
	return 0;
}

/* ---- Kept answers ---------------------------------------------------------------------------- */

static void test_cache(void **state)
{
	json_t *v, *row;

	(void)state;
	says("{\"cmd\":\"show\",\"table\":\"dns-cache\"}", "{\"text\":\"nothing is kept\\n\"}");
	query("www.news.example", MF_DNS_A);
	query("www.news.example", MF_DNS_A);
	v = ask_table("dns-cache", "");
	assert_int_equal(number_at(v, "total"), 1);
	row = json_array_get(json_object_get(v, "dns-cache"), 0);
	assert_string_equal(text_at(row, "name"), "www.news.example");
	assert_string_equal(text_at(row, "type"), "A");
	assert_string_equal(text_at(row, "rcode"), "NOERROR");
	assert_string_equal(json_string_value(json_array_get(json_object_get(row, "addresses"), 0)),
			    "198.51.100.1");
	assert_int_equal(number_at(row, "ttl"), 300);
	assert_true(json_is_false(json_object_get(row, "stale")));
	assert_int_equal(number_at(row, "hits"), 1);
	assert_string_equal(text_at(row, "server"), "192.0.2.53");
	assert_string_equal(text_at(row, "interface"), "direct");
	assert_int_equal(number_at(row, "rule"), 2);
	assert_string_equal(text_at(row, "domain_set"), "news");
	assert_string_equal(text_at(row, "where"), "testnet.yaml:21");
	assert_int_equal(json_array_size(json_object_get(row, "learned")), 1);
	json_decref(v);
	testnet_advance(&net, 100 * MF_SEC);
	says("{\"cmd\":\"show\",\"table\":\"dns-cache\"}",
	     "{\"text\":\"name              type  answer        ttl         hits  server      "
	     "latency  "
	     "interface  rule             set   learned\\n"
	     "www.news.example  A     198.51.100.1  3 min 20 s     1  192.0.2.53        -  direct "
	     "    "
	     "testnet.yaml:21  news        1\\n\"}");
}

static void test_kinds_of_answers(void **state)
{
	static const struct {
		const char *name;
		uint16_t type;
		const char *line;
	} cases[] = {
		{ "x.example", MF_DNS_A, "x.example  A     NXDOMAIN " },
		{ "e.example", MF_DNS_AAAA, "e.example  AAAA  NODATA " },
		{ "t.example", MF_DNS_TXT, "t.example  TXT   1 record, 43 bytes " },
		{ "c.example", MF_DNS_A, "c.example  A     cdn.net: 198.51.100.1 " },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		char line[100];

		query(cases[i].name, cases[i].type);
		snprintf(line, sizeof(line),
			 "{\"cmd\":\"show\",\"table\":\"dns-cache\",\"name\":\"%s\"}", cases[i].name);
		says(line, cases[i].line);
	}
	/* A name means itself and what is below it. */
	for (int i = 0; i < 2; i++) {
		json_t *v = ask_table("dns-cache", i ? "example" : "c.example");

		assert_int_equal(number_at(v, "matching"), i ? 4 : 1);
		assert_int_equal(number_at(v, "total"), 4);
		json_decref(v);
	}
	says("{\"cmd\":\"show\",\"table\":\"dns-cache\",\"name\":\"other.example\"}",
	     "no answer matches");
}

/* More than fit a portion, in text the first thousand, the most popular first. */
static void test_many_answers(void **state)
{
	json_t *v;

	(void)state;
	for (unsigned i = 0; i < 1200; i++) {
		char name[40];

		snprintf(name, sizeof(name), "w%u.example", i);
		query(name, MF_DNS_A);
	}
	query("w777.example", MF_DNS_A);
	v = ask_table("dns-cache", "");
	assert_int_equal(number_at(v, "total"), json_array_size(json_object_get(v, "dns-cache")));
	assert_true(number_at(v, "total") > 1000);
	assert_string_equal(text_at(json_array_get(json_object_get(v, "dns-cache"), 0), "name"),
			    "w777.example");
	json_decref(v);
	says("{\"cmd\":\"show\",\"table\":\"dns-cache\"}", "the first 1000 of 1");
}

static void test_flush(void **state)
{
	json_t *v;

	(void)state;
	query("a.news.example", MF_DNS_A);
	query("b.news.example", MF_DNS_A);
	query("c.example", MF_DNS_A);
	says("{\"cmd\":\"flush\",\"table\":\"dns-cache\",\"name\":\"news.example\"}",
	     "{\"text\":\"flushed 2 answers\\n\"}\n{\"ok\":true}");
	v = ask_table("dns-cache", "");
	assert_int_equal(number_at(v, "total"), 1);
	json_decref(v);
	v = ask("{\"cmd\":\"flush\",\"table\":\"dns-cache\",\"json\":true}");
	assert_int_equal(number_at(v, "flushed"), 1);
	json_decref(v);
	says("{\"cmd\":\"flush\",\"table\":\"dns-cache\"}", "flushed 0 answers");
	/* Learned routes stay. */
	v = ask_table("routes", "");
	assert_int_equal(number_at(v, "learned_total"), 1);
	json_decref(v);
}

/* ---- Learned routes -------------------------------------------------------------------------- */

static void test_learned_routes(void **state)
{
	json_t *v, *row;

	(void)state;
	query("www.films.example", MF_DNS_A);
	v = ask_table("routes", "");
	assert_int_equal(json_array_size(json_object_get(v, "routes")), 2);
	row = json_array_get(json_object_get(v, "learned"), 0);
	assert_string_equal(text_at(row, "address"), "198.51.100.1");
	assert_string_equal(text_at(row, "to"), "wg0");
	assert_string_equal(text_at(row, "name"), "www.films.example");
	assert_string_equal(text_at(row, "domain_set"), "films");
	assert_string_equal(text_at(row, "where"), "testnet.yaml:19");
	assert_int_equal((int)json_number_value(json_object_get(row, "ttl")), 300);
	json_decref(v);
	says("{\"cmd\":\"show\",\"table\":\"routes\"}",
	     "198.51.100.1  wg0  www.films.example  films  testnet.yaml:19  5 min 0 s  -");
	/* Another name of another route, and one of none. */
	query("www.news.example", MF_DNS_A);
	says("{\"cmd\":\"show\",\"table\":\"routes\"}", "shared with www.news.example");
	v = ask_why("address", "198.51.100.1");
	assert_string_equal(text_at(v, "route"), "198.51.100.1/32");
	assert_string_equal(text_at(v, "interface"), "wg0");
	assert_string_equal(text_at(v, "where"), "testnet.yaml:19");
	assert_string_equal(text_at(v, "domain_set"), "films");
	assert_string_equal(text_at(v, "learned_of"), "www.films.example");
	assert_string_equal(text_at(v, "written_route"), "0.0.0.0/0");
	assert_string_equal(text_at(v, "written_to"), "wg0");
	assert_string_equal(text_at(v, "shared_with"), "www.news.example");
	json_decref(v);
	says("{\"cmd\":\"why\",\"address\":\"198.51.100.1\"}",
	     "route:       198.51.100.1/32\\n"
	     "written in:  testnet.yaml:19\\n"
	     "rule:        app_routing.routes, entry 1, domain set films\\n"
	     "learned of:  a DNS answer for www.films.example; 5 min 0 s left\\n"
	     "without it:  0.0.0.0/0 to wg0\\n"
	     "shared with: www.news.example; a session that shows its name goes by that, all else "
	     "as here\\n");
}

/* The user has written this address on purpose. */
static void test_overridden(void **state)
{
	json_t *v;

	(void)state;
	last_byte = 7;
	query("www.films.example", MF_DNS_A);
	says("{\"cmd\":\"show\",\"table\":\"routes\"}",
	     "a written route of full length decides instead");
	v = ask_why("address", "198.51.100.7");
	assert_string_equal(text_at(v, "reason"), "policy-reject");
	assert_string_equal(text_at(v, "where"), "testnet.yaml:22");
	assert_null(text_at(v, "learned_of"));
	assert_non_null(strstr(json_string_value(json_array_get(json_object_get(v, "notes"), 0)),
			       "www.films.example"));
	json_decref(v);
}

/* ---- Why ------------------------------------------------------------------------------------- */

static void test_why_names(void **state)
{
	static const struct {
		const char *name, *says;
	} cases[] = {
		{ "WWW.Films.Example.",
		  "{\"text\":\"name:        www.films.example\\n"
		  "rule:        app_routing.routes, entry 1: domain set films to wg0\\n"
		  "written in:  testnet.yaml:19\\n"
		  "the set has: films.example and all below it\\n" },
		{ "www.films.example", "also:        entry 3 has it, too (domain set news to "
				       "direct); the earlier one counts\\n" },
		{ "www.films.example", "servers:     203.0.113.53\\nthrough:     wg0\\n" },
		{ "www.films.example",
		  "none now: its addresses are known when somebody has asked" },
		{ "only.example", "exactly only.example" },
		{ "below.only.example", "none: the name is in no domain set" },
		{ "a.ads.example",
		  "NXDOMAIN, nobody is asked; a session that shows the name is dropped" },
		{ "tracker.test", "names with track in them" },
		{ "n12.test", "names that match ^n[0-9]+[.]test$" },
		{ "n12.test", "192.0.2.53\\nthrough:     direct\\n" },
		{ "nas.example", "out of dns.hosts, nobody is asked" },
		{ "nas.example", "10.0.0.5" },
		{ "localhost", "here: the name is special, nobody is asked" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		char line[100];

		snprintf(line, sizeof(line), "{\"cmd\":\"why\",\"name\":\"%s\"}", cases[i].name);
		says(line, cases[i].says);
	}
}

static void test_why_a_name_that_is_kept(void **state)
{
	json_t *v, *row;

	(void)state;
	query("www.films.example", MF_DNS_A);
	query("below.www.films.example", MF_DNS_A); /* another name */
	v = ask_why("name", "www.films.example");
	assert_int_equal(number_at(v, "rule"), 0);
	assert_int_equal(number_at(v, "also_rule"), 2);
	assert_string_equal(text_at(v, "through"), "wg0");
	assert_int_equal(json_array_size(json_object_get(v, "cached")), 1);
	row = json_array_get(json_object_get(v, "cached"), 0);
	assert_string_equal(text_at(row, "server"), "203.0.113.53");
	assert_string_equal(text_at(row, "interface"), "wg0");
	row = find(v, "addresses", "address", "198.51.100.1");
	assert_string_equal(text_at(row, "interface"), "wg0");
	assert_string_equal(text_at(row, "where"), "testnet.yaml:19");
	assert_string_equal(text_at(row, "learned_of"), "below.www.films.example");
	assert_string_equal(text_at(row, "verdict"), "sent");
	assert_string_equal(text_at(row, "text"), "sent through wg0");
	json_decref(v);
}

/* ---- The server ------------------------------------------------------------------------------ */

static void test_server(void **state)
{
	json_t *v, *row;

	(void)state;
	query("www.news.example", MF_DNS_A);
	query("www.news.example", MF_DNS_A);
	query("www.films.example", MF_DNS_A);
	query("a.ads.example", MF_DNS_A);
	query("other.example", MF_DNS_A);
	v = ask_table("dns", "");
	assert_true(json_is_true(json_object_get(v, "configured")));
	row = find(v, "servers", "server", "192.0.2.53");
	assert_string_equal(text_at(row, "group"), "direct");
	assert_string_equal(text_at(row, "interface"), "direct");
	assert_int_equal(number_at(row, "asked"), 2);
	assert_int_equal(number_at(row, "answered"), 2);
	row = find(v, "servers", "server", "203.0.113.53");
	assert_string_equal(text_at(row, "group"), "vpn");
	assert_string_equal(text_at(row, "interface"), "wg0");
	assert_int_equal(number_at(row, "asked"), 1);
	assert_int_equal(json_array_size(json_object_get(v, "rules")), 4);
	assert_int_equal(number_at(find(v, "rules", "domain_set", "news"), "questions"), 2);
	assert_int_equal(number_at(find(v, "rules", "domain_set", "ads"), "questions"), 1);
	row = json_array_get(json_object_get(v, "rules"), 3);
	assert_true(json_is_null(json_object_get(row, "rule")));
	assert_string_equal(text_at(row, "interface"), "direct");
	assert_int_equal(number_at(row, "questions"), 1);
	row = json_array_get(json_object_get(v, "top"), 0);
	assert_string_equal(text_at(row, "name"), "www.news.example");
	assert_int_equal(number_at(row, "questions"), 2);
	assert_int_equal(number_at(find(v, "counters", "counter", "queries"), "value"), 5);
	assert_int_equal(number_at(find(v, "counters", "counter", "cached"), "value"), 1);
	assert_int_equal(number_at(find(v, "counters", "counter", "blocked"), "value"), 1);
	assert_int_equal(number_at(find(v, "counters", "counter", "asked"), "value"), 3);
	assert_int_equal(number_at(find(v, "counters", "counter", "tunnel_queries"), "value"), 5);
	json_decref(v);
	v = ask_table("nodes", "");
	assert_int_equal(number_at(find(v, "dns", "counter", "queries"), "value"), 5);
	json_decref(v);
	v = ask("{\"cmd\":\"status\",\"json\":true}");
	assert_int_equal(number_at(v, "dns_questions"), 5);
	assert_int_equal(number_at(v, "dns_servers"), 2);
	assert_int_equal(number_at(v, "dns_servers_healthy"), 2);
	assert_int_equal(number_at(v, "learned_routes"), 1);
	json_decref(v);
	says("{\"cmd\":\"status\"}",
	     "dns:          5 questions, 20 % out of the cache; 2 of 2 servers healthy\\n"
	     "learned:      1 route; 1 since the start\\n");
}

/* After a reload nobody knows who gave an answer, and what it counted begins anew but for the sums. */
static void test_reload(void **state)
{
	struct testnet_options o = { .seed = 1, .routes = NAMES };
	json_t *v;

	(void)state;
	query("www.news.example", MF_DNS_A);
	assert_int_equal(testnet_apply(&net, 0, &o, NULL, NULL), MF_OK);
	settle();
	v = ask_table("dns-cache", "");
	assert_null(text_at(json_array_get(json_object_get(v, "dns-cache"), 0), "server"));
	json_decref(v);
	v = ask_table("dns", "");
	assert_int_equal(number_at(find(v, "servers", "server", "192.0.2.53"), "asked"), 0);
	assert_int_equal(number_at(find(v, "counters", "counter", "asked"), "value"), 1);
	json_decref(v);
}

/* A question over TCP in the tunnel is a session of `dns`. */
static void test_sessions(void **state)
{
	uint8_t pkt[64];
	json_t *v, *row;

	(void)state;
	testnet_app_send(&net.side[0], pkt,
			 testnet_tcp4(pkt, "10.9.0.1", "10.9.0.53", 4000, 53, 1, 0, 2, "", 0), 0, 0,
			 false, 0, 0);
	settle();
	v = ask("{\"cmd\":\"show\",\"table\":\"sessions\",\"via\":\"dns\",\"json\":true}");
	assert_int_equal(number_at(v, "matching"), 1);
	row = json_array_get(json_object_get(v, "sessions"), 0);
	assert_string_equal(text_at(row, "interface"), "dns");
	assert_null(text_at(row, "where"));
	assert_null(text_at(row, "name"));
	assert_true(json_is_false(json_object_get(row, "by_name")));
	json_decref(v);
	says("{\"cmd\":\"show\",\"table\":\"interfaces\"}", "dns     built-in   up");
	says("{\"cmd\":\"why\",\"session\":\"0-0-1\"}", "interface:   dns\\n");
	says("{\"cmd\":\"close\",\"name\":\"films.example\"}", "closed 0 sessions");
}

#define NET(test) cmocka_unit_test_setup_teardown(test, open_net, close_net)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET(test_cache),          NET(test_kinds_of_answers),
		NET(test_many_answers),   NET(test_flush),
		NET(test_learned_routes), NET(test_overridden),
		NET(test_why_names),      NET(test_why_a_name_that_is_kept),
		NET(test_server),         NET(test_reload),
		NET(test_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
