/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <time.h>

#include "proto/http/head.h"

static struct mf_span text(const char *s)
{
	return mf_span(s, strlen(s));
}

static struct mf_http_head parsed(const char *s)
{
	struct mf_http_head h;

	assert_int_equal(mf_http_head_parse(text(s), &h), MF_OK);
	return h;
}

/* In memory of its exact length, so that the sanitizer sees a read beyond. */
static mf_err parse_exact(const void *p, size_t n, struct mf_http_head *h)
{
	uint8_t *copy = malloc(n + !n);
	mf_err e;

	assert_non_null(copy);
	memcpy(copy, p, n);
	e = mf_http_head_parse(mf_span(copy, n), h);
	free(copy);
	return e;
}

static void test_status(void **state)
{
	static const struct {
		const char *head;
		uint16_t status;
	} good[] = {
		{ "HTTP/1.1 200 OK\r\n\r\n", 200 },
		{ "HTTP/1.0 200 Connection established\r\n\r\n", 200 },
		{ "HTTP/1.1 101 \r\nUpgrade: websocket\r\n\r\n", 101 },
		{ "HTTP/1.1 407\r\n\r\n", 407 },
		{ "HTTP/1.1 599 x\n\n", 599 },
		{ "HTTP/1.1 200 OK\nA: b\r\n\n", 200 },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(good); i++) {
		size_t n = strlen(good[i].head);
		struct mf_http_head h;
		char more[100];

		for (size_t k = 0; k < n; k++)
			assert_int_equal(parse_exact(good[i].head, k, &h), MF_E_SHORT);
		snprintf(more, sizeof(more), "%s\r\nbehind", good[i].head);
		h = parsed(more);
		assert_int_equal(h.status, good[i].status);
		assert_int_equal(h.n, n);
	}
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"h",
		"HTTX",
		"HTTP/2",
		"SSH-2.0-OpenSSH",
		"\x16\x03\x01",
		"\n",
		"\r\n",
		"HTTP/1.1\r\n",
		"HTTP/1.1 20\r\n",
		"HTTP/1.1 2000\r\n",
		"HTTP/1.1  200\r\n",
		"HTTP/1.1 099 x\r\n",
		"HTTP/1.1 2x0 OK\r\n",
		"HTTP/1. 200 OK\r\n",
		"HTTP/1.11 200 OK\r\n",
		"HTTP/1.1 -20 OK\r\n",
		"HTTP/1.1 200\tOK\r\n",
	};
	struct mf_http_head h;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		assert_int_equal(parse_exact(bad[i], strlen(bad[i]), &h), MF_E_MALFORMED);
}

static void test_too_long(void **state)
{
	static char b[MF_HTTP_HEAD_MAX + 10];
	struct mf_http_head h;
	int n = snprintf(b, sizeof(b), "HTTP/1.1 200 OK\r\nA: ");

	(void)state;
	memset(b + n, 'a', sizeof(b) - (size_t)n);
	assert_int_equal(parse_exact(b, MF_HTTP_HEAD_MAX - 1, &h), MF_E_SHORT);
	assert_int_equal(parse_exact(b, MF_HTTP_HEAD_MAX, &h), MF_E_RANGE);
	memcpy(b + MF_HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(parse_exact(b, MF_HTTP_HEAD_MAX, &h), MF_OK);
	assert_int_equal(h.n, MF_HTTP_HEAD_MAX);
	memcpy(b + MF_HTTP_HEAD_MAX - 4, "a\r\n\r\n", 5);
	assert_int_equal(parse_exact(b, MF_HTTP_HEAD_MAX + 1, &h), MF_E_RANGE);
}

static void expect_field(const struct mf_http_head *h, const char *name, const char *want)
{
	struct mf_span v = mf_http_field(h, name);

	assert_int_equal(!v.p, !want);
	assert_int_equal(v.n, want ? strlen(want) : 0);
	if (v.n)
		assert_memory_equal(v.p, want, v.n);
}

static void test_fields(void **state)
{
	struct mf_http_head h = parsed("HTTP/1.1 200 OK\r\n"
				       "Server:nginx\r\n"
				       "eMPTY: \t \r\n"
				       "no colon\r\n"
				       "Spaced : is no field\r\n"
				       "X:  a: b \t\r\n"
				       " Folded: is no field\r\n"
				       "SERVER: second\r\n"
				       "last: one\n\r\nBody: no\r\n\r\n");

	(void)state;
	expect_field(&h, "server", "nginx");
	expect_field(&h, "Empty", "");
	expect_field(&h, "Spaced", NULL);
	expect_field(&h, "x", "a: b");
	expect_field(&h, "Folded", NULL);
	expect_field(&h, "Last", "one");
	expect_field(&h, "Body", NULL);
	expect_field(&h, "Serve", NULL);
	expect_field(&h, "no colon", NULL);
	h = parsed("HTTP/1.1 200 OK\r\n\r\n");
	assert_int_equal(h.fields.n, 0);
	expect_field(&h, "Server", NULL);
}

static void test_lists(void **state)
{
	struct mf_http_head h = parsed("HTTP/1.1 101 x\r\n"
				       "Connection: keep-alive ,\tupgrade\r\n"
				       "Other: a,,b,\r\n"
				       "other:c\r\n"
				       "Empty:\r\n\r\n");

	(void)state;
	assert_true(mf_http_field_has(&h, "connection", "Upgrade"));
	assert_true(mf_http_field_has(&h, "Connection", "Keep-Alive"));
	assert_false(mf_http_field_has(&h, "Connection", "keep"));
	assert_false(mf_http_field_has(&h, "Connection", "upgrades"));
	assert_true(mf_http_field_has(&h, "Other", "b"));
	assert_true(mf_http_field_has(&h, "Other", "c"));
	assert_false(mf_http_field_has(&h, "Other", "d"));
	assert_false(mf_http_field_has(&h, "Empty", "a"));
	assert_false(mf_http_field_has(&h, "None", "a"));
}

static bool date_of(const char *value, uint64_t *seconds)
{
	char head[120];
	struct mf_http_head h;

	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nDate: %s\r\n\r\n", value);
	h = parsed(head);
	return mf_http_date(&h, seconds);
}

/* The C library makes the dates. */
static void test_dates(void **state)
{
	struct mf_prng g = unit_prng("head");
	uint64_t got = 0;

	(void)state;
	assert_true(date_of("Sun, 06 Nov 1994 08:49:37 GMT", &got));
	assert_int_equal(got, 784111777);
	for (int i = 0; i < 20000; i++) {
		/* Up to the year 2400: a leap year that is divisible by 100 more than once. */
		uint64_t want = mf_prng_below(&g, 13600000000);
		time_t t = (time_t)want;
		char value[40];
		struct tm tm;

		assert_non_null(gmtime_r(&t, &tm));
		assert_int_equal(strftime(value, sizeof(value), "%a, %d %b %Y %T GMT", &tm), 29);
		assert_true(date_of(value, &got));
		assert_int_equal(got, want);
	}
}

static void test_bad_dates(void **state)
{
	static const char *const bad[] = {
		"",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 32 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 06 Nov 1969 08:49:37 GMT",
		"Sun, 06 Nov -994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT+1",
	};
	struct mf_http_head none = parsed("HTTP/1.1 200 OK\r\n\r\n");
	uint64_t got;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		assert_false(date_of(bad[i], &got));
	assert_false(mf_http_date(&none, &got));
}

static void test_looks_like(void **state)
{
	(void)state;
	assert_true(mf_http_looks_like(text("HTTP/1.1 400 Bad Request\r\n")));
	assert_true(mf_http_looks_like(text("HTTP/1.")));
	assert_false(mf_http_looks_like(text("HTTP/1")));
	assert_false(mf_http_looks_like(text("HTTP/2 4")));
	assert_false(mf_http_looks_like(mf_span(NULL, 0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),    cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_too_long),  cmocka_unit_test(test_fields),
		cmocka_unit_test(test_lists),     cmocka_unit_test(test_dates),
		cmocka_unit_test(test_bad_dates), cmocka_unit_test(test_looks_like),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
