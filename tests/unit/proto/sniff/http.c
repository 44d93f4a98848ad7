/* SPDX-License-Identifier: Apache-2.0 */
#include "sniff_test.h"

static const struct {
	const char *request, *name; /* "": none */
} requests[] = {
	{ "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n", "www.example.com" },
	{ "GET / HTTP/1.0\r\nhOST:www.example.com\r\n\r\n", "www.example.com" },
	{ "POST /a?b HTTP/1.1\r\nAccept: */*\r\nHost: \t Example.COM.:8080 \r\n\r\n",
	  "example.com" },
	{ "HEAD / HTTP/1.1\nHost: lf.example\n\n", "lf.example" },
	{ "PROPPATCH / HTTP/1.1\r\nHost: dav.example\r\n\r\n", "dav.example" },
	{ "OPTIONS * HTTP/1.1\r\nHost: star.example\r\n\r\n", "star.example" },
	/* A field that is continued (RFC 9112 5.2). */
	{ "GET / HTTP/1.1\r\nHost:\r\n folded.example\r\nA: b\r\n\r\n", "folded.example" },
	{ "GET / HTTP/1.1\r\nA: b\r\n Host: not.example\r\nHost: yes.example\r\n\r\n",
	  "yes.example" },
	{ "GET / HTTP/1.1\r\nHost: two\r\n words.example\r\n\r\n", "" },
	/* The first one counts. */
	{ "GET / HTTP/1.1\r\nHost: one.example\r\nHost: two.example\r\n\r\n", "one.example" },
	{ "GET / HTTP/1.1\r\nX-Host: no.example\r\nHostess: no.example\r\nHost: y.example\r\n\r\n",
	  "y.example" },
	/* The target's authority counts before Host (RFC 9112 3.2.2). */
	{ "GET http://uri.example/x HTTP/1.1\r\nHost: host.example\r\n\r\n", "uri.example" },
	{ "GET HTTP://me:secret@Uri.Example:8080?q@x HTTP/1.1\r\n", "uri.example" },
	{ "GET https://uri.example HTTP/1.1\r\n", "uri.example" },
	{ "GET http://192.0.2.1/ HTTP/1.1\r\nHost: host.example\r\n\r\n", "" },
	{ "CONNECT tunnel.example:443 HTTP/1.1\r\nHost: host.example\r\n\r\n", "tunnel.example" },
	/* Addresses, and no names. */
	{ "GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n", "" },
	{ "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "" },
	{ "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", "" },
	{ "GET / HTTP/1.1\r\nHost: name.example:port\r\n\r\n", "" },
	{ "GET / HTTP/1.1\r\nHost: \r\n\r\n", "" },
	{ "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "" },
	{ "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", "" },
	{ "GET / HTTP/1.1\r\n\r\nHost: body.example\r\n\r\n", "" },
	/* Other protocols. */
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "" },
	{ "GET /\r\n", "" },
	{ "GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n", "" },
	{ "GET / HTTP/2.0\r\nHost: a.example\r\n\r\n", "" },
	{ "GET / RTSP/1.0\r\nHost: a.example\r\n\r\n", "" },
	{ "GETS / HTTP/1.1\r\nHost: a.example\r\n\r\n", "" },
	{ "Get / HTTP/1.1\r\nHost: a.example\r\n\r\n", "" },
	{ "HELO mail.example\r\n", "" },
	{ "USER anonymous\r\n", "" },
};

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(requests); i++) {
		const char *r = requests[i].request, *name = requests[i].name;

		print_message("%zu\n", i);
		expect_stream(r, strlen(r), *name ? MF_SNIFF_NAME : MF_SNIFF_NONE, name, "http");
	}
}

static void test_not_all_there(void **state)
{
	static const char *const parts[] = { "G", "PROP", "GET /", "GET / HTTP/1.1\r\nHost: a.exam",
					     "GET / HTTP/1.1\r\nHost: a.example\r\n" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(parts); i++)
		expect_stream(parts[i], strlen(parts[i]), MF_SNIFF_MORE, "", NULL);
}

/* Fields in front of Host as long as you like, but not beyond what is looked at. */
static void test_bounds(void **state)
{
	static char r[20000];
	struct mf_sniff_name out;
	struct mf_span v = { .p = (const uint8_t *)r };
	int n = snprintf(r, sizeof(r),
			 "GET /%0*d HTTP/1.1\r\nCookie: %0*d\r\nHost: far.example\r\n\r\n", 5000, 0,
			 11000, 0);

	(void)state;
	v.n = (size_t)n;
	assert_true(v.n < MF_SNIFF_STREAM_MAX);
	expect(mf_sniff_stream(&v, 1, &out), &out, MF_SNIFF_NAME, "far.example", "http");
	n = snprintf(r, sizeof(r), "GET / HTTP/1.1\r\nCookie: %0*d\r\nHost: far.example\r\n\r\n",
		     MF_SNIFF_STREAM_MAX, 0);
	v.n = MF_SNIFF_STREAM_MAX - 1;
	expect(mf_sniff_stream(&v, 1, &out), &out, MF_SNIFF_MORE, "", NULL);
	v.n = (size_t)n;
	expect(mf_sniff_stream(&v, 1, &out), &out, MF_SNIFF_NONE, "", NULL);
	/* A name that is too long. */
	n = snprintf(r, sizeof(r), "GET / HTTP/1.1\r\nHost: %0*d.example\r\n\r\n", 4000, 0);
	v.n = (size_t)n;
	expect(mf_sniff_stream(&v, 1, &out), &out, MF_SNIFF_NONE, "", NULL);
	n = snprintf(r, sizeof(r), "GET http://%0*d.example/ HTTP/1.1\r\n", 4000, 0);
	v.n = (size_t)n;
	expect(mf_sniff_stream(&v, 1, &out), &out, MF_SNIFF_NONE, "", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_not_all_there),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
