/* SPDX-License-Identifier: Apache-2.0 */
#include "control/filter.h"

#include "unit.h"
#include "wire/ip4.h"

static void test_ids(void **state)
{
	static const char *const bad[] = { "",
					   "0",
					   "0-1",
					   "0-1-",
					   "0-1-2-3",
					   "-1-2-3",
					   "0-1-x",
					   "0x1-1-1",
					   "0--1",
					   "0-1048576-1",
					   "0-1-4096",
					   "65536-1-1",
					   "99999999999-1-1",
					   " 0-1-1",
					   "0-1-1 " };
	char text[MF_SESSION_ID_STRLEN];
	struct mf_session_id id, other;

	(void)state;
	assert_true(mf_session_id_parse(&id, "15-1048575-4095"));
	assert_int_equal(id.worker, 15);
	assert_int_equal(id.ref.index, 1048575);
	assert_int_equal(id.ref.generation, 4095);
	assert_string_equal(mf_session_id_format(&id, text), "15-1048575-4095");
	assert_true(mf_session_id_parse(&other, "15-1048575-4094"));
	assert_false(mf_session_id_equal(&id, &other));
	other.ref.generation = 4095;
	assert_true(mf_session_id_equal(&id, &other));
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		if (mf_session_id_parse(&id, bad[i]))
			fail_msg("\"%s\" is an id", bad[i]);
}

static struct mf_endpoint endpoint(const char *text)
{
	struct mf_endpoint e;

	assert_int_equal(mf_endpoint_parse(&e, text), MF_OK);
	return e;
}

static void test_ends(void **state)
{
	static const struct {
		const char *end, *endpoint;
		bool matches;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1:443", true },
		{ "192.0.2.1", "192.0.2.2:443", false },
		{ "192.0.2.99/24", "192.0.2.2:443", true },
		{ "192.0.2.0/24", "192.0.3.2:443", false },
		{ "192.0.2.1:443", "192.0.2.1:443", true },
		{ "192.0.2.1:443", "192.0.2.1:444", false },
		{ ":443", "192.0.2.1:443", true },
		{ ":443", "[2001:db8::1]:443", true },
		{ ":443", "192.0.2.1:44", false },
		{ "2001:db8::1", "[2001:db8::1]:443", true },
		{ "2001:db8::/32", "[2001:db8:1::1]:443", true },
		{ "[2001:db8::1]:443", "[2001:db8::1]:443", true },
		{ "[2001:db8::1]:443", "[2001:db8::1]:80", false },
		{ "0.0.0.0/0", "[2001:db8::1]:80", false },
		{ "::/0", "[2001:db8::1]:80", true },
		{ "::/0", "192.0.2.1:80", false },
	};
	static const char *const bad[] = { "",
					   "x",
					   ":",
					   ":0",
					   ":65536",
					   ":44x",
					   "192.0.2.1:0",
					   "192.0.2.1:",
					   "192.0.2.0/24:80",
					   "192.0.2.0/33",
					   "[2001:db8::1]" };
	struct mf_session_filter f = { 0 };
	struct mf_session_facts s = { .proto = MF_IPPROTO_TCP, .state = MF_SESSION_OPENING };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		assert_int_equal(mf_session_end_parse(&f.to, cases[i].end), MF_OK);
		s.dst = endpoint(cases[i].endpoint);
		if (mf_session_filter_matches(&f, &s, "direct") != cases[i].matches)
			fail_msg("%s and %s", cases[i].end, cases[i].endpoint);
		/* The app's end is another one. */
		f.app = f.to;
		f.to = (struct mf_session_end){ 0 };
		s.app = s.dst;
		s.dst = (struct mf_endpoint){ 0 };
		if (mf_session_filter_matches(&f, &s, "direct") != cases[i].matches)
			fail_msg("app: %s and %s", cases[i].end, cases[i].endpoint);
		f.app = (struct mf_session_end){ 0 };
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		if (!mf_session_end_parse(&f.to, bad[i]))
			fail_msg("\"%s\" is an end", bad[i]);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *text, *host; /* NULL: it is none */
	} cases[] = {
		{ "example.com", "example.com" },
		{ "WWW.Example.COM.", "www.example.com" },
		{ "_sip._tcp.example.com", "_sip._tcp.example.com" },
		{ "localhost", "localhost" },
		{ "b\303\274cher.example", "xn--bcher-kva.example" },
		{ "", NULL },
		{ ".", NULL },
		{ ".example.com", NULL },
		{ "*.example.com", NULL },
		{ "full:example.com", NULL },
		{ "keyword:ads", NULL },
		{ "example.com:53", NULL },
		{ "a b", NULL },
		{ "a..b", NULL },
		{ "a/b", NULL },
		{ "10.0.0.256", NULL },
		{ "192.0.2.1", NULL },
		{ "2001:db8::1", NULL },
		{ "0-1-2.", "0-1-2" },
		{ "\033[31m.example", NULL },
		{ "0123456789012345678901234567890123456789012345678901234567890123.example", NULL },
	};
	char host[MF_HOST_STRLEN], text[300];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		mf_err err = mf_host_parse(host, cases[i].text);

		if (!err != !!cases[i].host || (!err && strcmp(host, cases[i].host)))
			fail_msg("\"%s\" is %s", cases[i].text, err ? "none" : host);
	}
	/* The longest, and one byte more. */
	memset(text, 'a', sizeof(text));
	for (size_t i = 63; i < sizeof(text); i += 64)
		text[i] = '.';
	text[253] = '\0';
	assert_int_equal(mf_host_parse(host, text), MF_OK);
	assert_int_equal(strlen(host), 253);
	text[253] = 'a';
	text[254] = '\0';
	assert_int_not_equal(mf_host_parse(host, text), MF_OK);
	assert_true(mf_host_below("a.example", "a.example"));
	assert_true(mf_host_below("b.a.example", "a.example"));
	assert_false(mf_host_below("ba.example", "a.example"));
	assert_false(mf_host_below("example", "a.example"));
	assert_false(mf_host_below("", "a.example"));
}

/* A session of a long name has only its end. */
static void test_names(void **state)
{
	struct mf_session_facts s = { .proto = MF_IPPROTO_TCP, .state = MF_SESSION_OPENING };
	struct mf_session_filter f = { 0 };
	char name[100];

	(void)state;
	assert_true(mf_session_filter_matches(&f, &s, "direct"));
	strcpy(f.name, "example.com");
	assert_false(mf_session_filter_matches(&f, &s, "direct"));
	strcpy(s.name, "example.com");
	assert_true(mf_session_filter_matches(&f, &s, "direct"));
	strcpy(s.name, "www.example.com");
	assert_true(mf_session_filter_matches(&f, &s, "direct"));
	strcpy(s.name, "wwwexample.com");
	assert_false(mf_session_filter_matches(&f, &s, "direct"));
	memset(name, 'x', sizeof(name));
	name[40] = '.';
	name[99] = '\0';
	strcpy(f.name, name);
	strcpy(s.name, name + 99 - 63);
	assert_true(mf_session_filter_matches(&f, &s, "direct"));
	s.name[0] = 'y';
	assert_false(mf_session_filter_matches(&f, &s, "direct"));
}

static void test_words(void **state)
{
	struct mf_session_facts s = { .proto = MF_IPPROTO_UDP, .state = MF_SESSION_UNREPLIED };
	struct mf_session_filter f = { 0 };

	(void)state;
	assert_true(mf_session_filter_matches(&f, &s, "direct"));
	assert_true(mf_session_proto_parse(&f.proto, "tcp"));
	assert_false(mf_session_filter_matches(&f, &s, "direct"));
	assert_true(mf_session_proto_parse(&f.proto, "udp"));
	assert_true(mf_session_filter_matches(&f, &s, "direct"));
	strcpy(f.via, "home");
	assert_false(mf_session_filter_matches(&f, &s, "direct"));
	assert_true(mf_session_filter_matches(&f, &s, "home"));
	assert_true(mf_session_state_parse(&f.state, "established"));
	assert_false(mf_session_filter_matches(&f, &s, "home"));
	assert_true(mf_session_state_parse(&f.state, "unreplied"));
	assert_true(mf_session_filter_matches(&f, &s, "home"));
	f.kept = true;
	assert_false(mf_session_filter_matches(&f, &s, "home"));
	s.stray = true;
	assert_true(mf_session_filter_matches(&f, &s, "home"));
	assert_false(mf_session_proto_parse(&f.proto, "sctp"));
	assert_false(mf_session_proto_parse(&f.proto, ""));
	assert_false(mf_session_state_parse(&f.state, "free"));
	assert_false(mf_session_state_parse(&f.state, ""));
}

/* ICMP is both of them; every state can be asked for by its own text. */
static void test_texts(void **state)
{
	struct mf_session_facts s = { .proto = MF_IPPROTO_ICMP };
	struct mf_session_filter f = { 0 };
	uint8_t got;

	(void)state;
	assert_true(mf_session_proto_parse(&f.proto, "icmp"));
	assert_true(mf_session_filter_matches(&f, &s, "direct"));
	assert_string_equal(mf_session_proto_text(s.proto), "icmp");
	s.proto = MF_IPPROTO_ICMP6;
	assert_true(mf_session_filter_matches(&f, &s, "direct"));
	assert_string_equal(mf_session_proto_text(s.proto), "icmp6");
	s.proto = MF_IPPROTO_TCP;
	assert_false(mf_session_filter_matches(&f, &s, "direct"));
	assert_string_equal(mf_session_proto_text(s.proto), "tcp");
	assert_string_equal(mf_session_proto_text(MF_IPPROTO_UDP), "udp");
	for (int i = MF_SESSION_FREE + 1; i < MF_SESSION_STATE_COUNT; i++) {
		assert_true(mf_session_state_parse(&got,
						   mf_session_state_text((enum mf_session_state)i)));
		assert_int_equal(got, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),   cmocka_unit_test(test_ends),
		cmocka_unit_test(test_hosts), cmocka_unit_test(test_names),
		cmocka_unit_test(test_words), cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
