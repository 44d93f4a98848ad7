/* SPDX-License-Identifier: Apache-2.0 */
#include "control/request.h"

#include "base/json.h"
#include "unit.h"

static struct mf_request q;

static mf_err parse(const char *line, struct mf_errbuf *eb)
{
	return mf_request_parse(line, strlen(line), &q, eb);
}

static void test_good_requests(void **state)
{
	struct mf_errbuf eb;
	struct mf_addr a;

	(void)state;
	assert_int_equal(parse("{\"cmd\":\"status\"}", &eb), MF_OK);
	assert_int_equal(q.command, MF_REQUEST_STATUS);
	assert_false(q.json);
	assert_int_equal(
		parse(" {\"json\":true, \"all\":true, \"table\":\"dns-cache\", \"cmd\":\"show\"} ",
		      &eb),
		MF_OK);
	assert_int_equal(q.command, MF_REQUEST_SHOW);
	assert_int_equal(q.table, MF_SHOW_DNS_CACHE);
	assert_true(q.json && q.all);
	assert_int_equal(parse("{\"cmd\":\"why\",\"address\":\"2001:db8::1\"}", &eb), MF_OK);
	assert_int_equal(mf_addr_parse(&a, "2001:db8::1"), MF_OK);
	assert_true(mf_addr_equal(&a, &q.address));
	assert_int_equal(
		parse("{\"cmd\":\"capture\",\"interface\":\"wg0\",\"node\":\"drop\",\"snaplen\":64,"
		      "\"count\":7,\"filter\":[[48,0,0,0],[21,0,1,69],[6,0,0,65535],[6,0,0,0]]}",
		      &eb),
		MF_OK);
	assert_string_equal(q.interface, "wg0");
	assert_string_equal(q.node, "drop");
	assert_int_equal(q.snaplen, 64);
	assert_int_equal(q.count, 7);
	assert_int_equal(q.n_filter, 4);
	assert_int_equal(q.filter[1].k, 69);
	assert_int_equal(parse("{\"cmd\":\"capture\"}", &eb), MF_OK);
	assert_int_equal(q.n_filter, 0);
	assert_int_equal(q.snaplen, MF_REQUEST_SNAPLEN_MAX);
}

static void test_sessions(void **state)
{
	struct mf_errbuf eb;

	(void)state;
	assert_int_equal(parse("{\"cmd\":\"show\",\"table\":\"sessions\"}", &eb), MF_OK);
	assert_false(q.filtered);
	assert_int_equal(parse("{\"cmd\":\"show\",\"table\":\"sessions\",\"proto\":\"icmp\","
			       "\"via\":\"direct\",\"app\":\"10.66.0.0/16\",\"to\":\":443\","
			       "\"state\":\"time-wait\",\"kept\":true}",
			       &eb),
			 MF_OK);
	assert_true(q.filtered && q.sessions.kept);
	assert_int_equal(q.sessions.proto, MF_PROTO_ICMP);
	assert_string_equal(q.sessions.via, "direct");
	assert_int_equal(q.sessions.app.prefix.len, 16);
	assert_int_equal(q.sessions.to.port, 443);
	assert_int_equal(q.sessions.state, MF_SESSION_TIME_WAIT);
	assert_int_equal(parse("{\"cmd\":\"close\",\"to\":\"192.0.2.1\"}", &eb), MF_OK);
	assert_true(q.filtered);
	assert_int_equal(parse("{\"cmd\":\"close\",\"all\":true}", &eb), MF_OK);
	assert_false(q.filtered);
	/* One that is named twice is meant once. */
	assert_int_equal(
		parse("{\"cmd\":\"close\",\"sessions\":[\"0-1-2\",\"3-4-5\",\"0-1-2\"]}", &eb),
		MF_OK);
	assert_int_equal(q.n_ids, 2);
	assert_int_equal(q.id[1].worker, 3);
	assert_int_equal(parse("{\"cmd\":\"why\",\"session\":\"0-1-2\"}", &eb), MF_OK);
	assert_int_equal(q.n_ids, 1);
	assert_int_equal(q.address.family, MF_AF_NONE);
	assert_int_equal(parse("{\"cmd\":\"reload\",\"drop_sessions\":true}", &eb), MF_OK);
	assert_true(q.drop_sessions);
	assert_int_equal(parse("{\"cmd\":\"reload\"}", &eb), MF_OK);
	assert_false(q.drop_sessions);
}

/* As many ids as fit, and one more. */
static void test_many_ids(void **state)
{
	struct mf_text line = { 0 };
	struct mf_errbuf eb;

	(void)state;
	for (unsigned n = MF_REQUEST_IDS_MAX; n <= MF_REQUEST_IDS_MAX + 1; n++) {
		mf_text_printf(&line, "{\"cmd\":\"close\",\"sessions\":[");
		for (unsigned i = 0; i < n; i++)
			mf_text_printf(&line, "%s\"0-%u-1\"", i ? "," : "", i);
		mf_text_printf(&line, "]}");
		assert_int_equal(parse(line.s, &eb),
				 n == MF_REQUEST_IDS_MAX ? MF_OK : MF_E_MALFORMED);
		mf_text_free(&line);
	}
}

static void test_names(void **state)
{
	struct mf_errbuf eb;

	(void)state;
	assert_int_equal(parse("{\"cmd\":\"why\",\"name\":\"WWW.Example.\"}", &eb), MF_OK);
	assert_string_equal(q.name, "www.example");
	assert_false(q.filtered);
	assert_int_equal(parse("{\"cmd\":\"show\",\"table\":\"dns-cache\",\"name\":"
			       "\"b\u00fccher.example\"}",
			       &eb),
			 MF_OK);
	assert_string_equal(q.name, "xn--bcher-kva.example");
	assert_false(q.filtered);
	assert_int_equal(
		parse("{\"name\":\"a.example\",\"cmd\":\"show\",\"table\":\"sessions\"}", &eb),
		MF_OK);
	assert_string_equal(q.sessions.name, "a.example");
	assert_true(q.filtered);
	assert_int_equal(parse("{\"cmd\":\"close\",\"name\":\"a.example\"}", &eb), MF_OK);
	assert_string_equal(q.sessions.name, "a.example");
	assert_int_equal(parse("{\"cmd\":\"flush\",\"table\":\"dns-cache\"}", &eb), MF_OK);
	assert_int_equal(q.command, MF_REQUEST_FLUSH);
	assert_string_equal(q.name, "");
	assert_int_equal(
		parse("{\"cmd\":\"flush\",\"table\":\"dns-cache\",\"name\":\"a.example\"}", &eb),
		MF_OK);
	assert_string_equal(q.name, "a.example");
}

static void test_every_table_has_its_name(void **state)
{
	struct mf_errbuf eb;
	char line[64];

	(void)state;
	for (int i = 0; i < MF_SHOW_COUNT; i++) {
		snprintf(line, sizeof(line), "{\"cmd\":\"show\",\"table\":\"%s\"}",
			 mf_show_name((enum mf_show)i));
		assert_int_equal(parse(line, &eb), MF_OK);
		assert_int_equal(q.table, i);
	}
}

static void test_bad_requests(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "", "one JSON object" },
		{ "nonsense", "one JSON object" },
		{ "[]", "JSON object" },
		{ "{}", "\"cmd\" must be" },
		{ "{\"cmd\":\"fly\"}", "\"cmd\" must be" },
		{ "{\"cmd\":7}", "\"cmd\" must be" },
		{ "{\"cmd\":\"status\",\"cmd\":\"stop\"}", "duplicate" },
		{ "{\"cmd\":\"status\"} x", "end of file" },
		{ "{\"cmd\":\"status\",\"table\":\"routes\"}", "no key \"table\"" },
		{ "{\"cmd\":\"status\",\"colour\":1}", "no key \"colour\"" },
		{ "{\"cmd\":\"status\",\"json\":1}", "\"json\" must be" },
		{ "{\"cmd\":\"show\"}", "needs a key \"table\"" },
		{ "{\"cmd\":\"show\",\"table\":\"keys\"}", "\"table\" must be" },
		{ "{\"cmd\":\"show\",\"table\":null}", "\"table\" must be" },
		{ "{\"cmd\":\"why\"}", "needs one of the keys \"address\"" },
		{ "{\"cmd\":\"why\",\"address\":\"10.0.0.1\",\"session\":\"0-1-2\"}",
		  "needs one of the keys" },
		{ "{\"cmd\":\"why\",\"address\":\"10.0.0.1\",\"name\":\"a.example\"}",
		  "needs one of the keys" },
		{ "{\"cmd\":\"why\",\"name\":\"\"}", "\"name\" must be" },
		{ "{\"cmd\":\"why\",\"name\":7}", "\"name\" must be" },
		{ "{\"cmd\":\"why\",\"name\":\"a b.example\"}", "\"name\" must be" },
		{ "{\"cmd\":\"why\",\"name\":\"a\\u0000b.example\"}", "one JSON object" },
		{ "{\"cmd\":\"show\",\"table\":\"routes\",\"name\":\"a.example\"}",
		  "\"dns-cache\" by \"name\"" },
		{ "{\"cmd\":\"show\",\"table\":\"dns-cache\",\"via\":\"direct\"}",
		  "only \"sessions\"" },
		{ "{\"cmd\":\"flush\"}", "needs a key \"table\"" },
		{ "{\"cmd\":\"flush\",\"table\":\"routes\"}", "only \"dns-cache\"" },
		{ "{\"cmd\":\"flush\",\"table\":\"dns-cache\",\"all\":true}", "no key \"all\"" },
		{ "{\"cmd\":\"close\",\"name\":\"keyword:a\"}", "\"name\" must be" },
		{ "{\"cmd\":\"why\",\"session\":\"0-1\"}", "\"session\" must be" },
		{ "{\"cmd\":\"why\",\"session\":17}", "\"session\" must be" },
		{ "{\"cmd\":\"show\",\"table\":\"routes\",\"via\":\"direct\"}",
		  "only \"sessions\"" },
		{ "{\"cmd\":\"show\",\"table\":\"sessions\",\"sessions\":[\"0-1-2\"]}",
		  "no key \"sessions\"" },
		{ "{\"cmd\":\"close\"}", "needs either" },
		{ "{\"cmd\":\"close\",\"all\":false}", "needs either" },
		{ "{\"cmd\":\"close\",\"all\":true,\"via\":\"direct\"}", "needs either" },
		{ "{\"cmd\":\"close\",\"sessions\":[\"0-1-2\"],\"proto\":\"tcp\"}",
		  "needs either" },
		{ "{\"cmd\":\"close\",\"sessions\":[]}", "\"sessions\" must be" },
		{ "{\"cmd\":\"close\",\"sessions\":\"0-1-2\"}", "\"sessions\" must be" },
		{ "{\"cmd\":\"close\",\"sessions\":[\"0-1-2\",7]}", "\"sessions\" must be" },
		{ "{\"cmd\":\"close\",\"proto\":\"sctp\"}", "\"proto\" must be" },
		{ "{\"cmd\":\"close\",\"via\":\"a b\"}", "\"via\" must be" },
		{ "{\"cmd\":\"close\",\"app\":\"example.net\"}", "\"app\" must be" },
		{ "{\"cmd\":\"close\",\"to\":443}", "\"to\" must be" },
		{ "{\"cmd\":\"close\",\"state\":\"free\"}", "\"state\" must be" },
		{ "{\"cmd\":\"close\",\"kept\":false}", "\"kept\" must be" },
		{ "{\"cmd\":\"status\",\"via\":\"direct\"}", "no key \"via\"" },
		{ "{\"cmd\":\"reload\",\"drop_sessions\":1}", "\"drop_sessions\" must be" },
		{ "{\"cmd\":\"stop\",\"drop_sessions\":true}", "no key \"drop_sessions\"" },
		{ "{\"cmd\":\"why\",\"address\":\"10.0.0.1/8\"}", "\"address\" must be" },
		{ "{\"cmd\":\"why\",\"address\":[\"10.0.0.1\"]}", "\"address\" must be" },
		{ "{\"cmd\":\"capture\",\"snaplen\":63}", "\"snaplen\" must be" },
		{ "{\"cmd\":\"capture\",\"snaplen\":65536}", "\"snaplen\" must be" },
		{ "{\"cmd\":\"capture\",\"count\":0}", "\"count\" must be" },
		{ "{\"cmd\":\"capture\",\"count\":-1}", "\"count\" must be" },
		{ "{\"cmd\":\"capture\",\"node\":\"a b\"}", "\"node\" must be" },
		{ "{\"cmd\":\"capture\",\"interface\":\"0123456789012345678901234567890123\"}",
		  "\"interface\" must be" },
		{ "{\"cmd\":\"capture\",\"filter\":\"icmp\"}", "\"filter\" must be" },
		{ "{\"cmd\":\"capture\",\"filter\":[[6,0,0]]}", "\"filter\" must be" },
		{ "{\"cmd\":\"capture\",\"filter\":[[6,0,0,4294967296]]}", "\"filter\" must be" },
		{ "{\"cmd\":\"capture\",\"filter\":[[65536,0,0,0]]}", "\"filter\" must be" },
		{ "{\"cmd\":\"capture\",\"filter\":[[6,256,0,0]]}", "\"filter\" must be" },
		{ "{\"cmd\":\"capture\",\"filter\":[[6,0,0,-1]]}", "\"filter\" must be" },
		{ "{\"cmd\":\"capture\",\"filter\":[[6,0,0,1.0]]}", "\"filter\" must be" },
		{ "{\"cmd\":\"capture\",\"filter\":[[21,0,9,69]]}", "no valid BPF program" },
	};
	struct mf_errbuf eb;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		if (parse(cases[i].line, &eb) == MF_OK)
			fail_msg("accepted: %s", cases[i].line);
		if (!strstr(eb.text, cases[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].line, eb.text,
				 cases[i].says);
	}
}

/* Bytes behind the line, and a NUL within it, are no part of a request. */
static void test_length_counts(void **state)
{
	static const char line[] = "{\"cmd\":\"status\"}\0{\"cmd\":\"stop\"}";
	struct mf_errbuf eb;

	(void)state;
	assert_int_equal(mf_request_parse(line, 16, &q, &eb), MF_OK);
	assert_int_equal(q.command, MF_REQUEST_STATUS);
	assert_int_not_equal(mf_request_parse(line, sizeof(line) - 1, &q, &eb), MF_OK);
	assert_int_not_equal(mf_request_parse(line, 15, &q, &eb), MF_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_requests),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_many_ids),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_every_table_has_its_name),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_length_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
