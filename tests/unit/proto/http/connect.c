/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/http/connect.h"
#include "proto/http/head.h"
#include "support/codeclab.h"

static const struct mf_endpoint ip4 = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 }, .port = 443 };
static const struct mf_endpoint ip6 = { .addr = { { 0x20, 1, 0xd, 0xb8, [15] = 1 }, MF_AF_IP6 },
					.port = 80,
					.scope_id = 3 };

static struct mf_connect_config credentials(const char *user, const char *password)
{
	struct mf_connect_config c = { .user_n = (uint16_t)strlen(user),
				       .password_n = (uint16_t)strlen(password) };

	memcpy(c.user, user, c.user_n);
	memcpy(c.password, password, c.password_n);
	return c;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void expect_request(const struct mf_connect_config *cfg, const struct mf_proxy_target *to,
			   const char *want)
{
	struct mf_codec_env env = { 0 };
	const struct mf_span v = mf_span("payload", 7);
	uint8_t out[MF_CODEC_OUT_MIN];
	struct mf_connect c;
	size_t len;

	mf_connect_init(&c, cfg, &env, to);
	assert_false(c.codec.begun);
	assert_int_equal(c.codec.ops->seal(&c.codec, &v, 1, out, sizeof(out), &len), 0);
	assert_true(c.codec.begun);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(out, want, len);
	/* Nothing goes until the proxy has said yes. */
	assert_int_equal(c.codec.ops->seal(&c.codec, &v, 1, out, sizeof(out), &len), 0);
	assert_int_equal(len, 0);
}

static void test_requests(void **state)
{
	struct mf_connect_config none = { 0 }, alice = credentials("alice", "s3cret");
	struct mf_proxy_target name = mf_proxy_target("example.com", &ip4);
	struct mf_proxy_target four = mf_proxy_target(NULL, &ip4), six = mf_proxy_target(NULL, &ip6);

	(void)state;
	expect_request(&none, &name,
		       "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n");
	expect_request(&none, &four, "CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n\r\n");
	expect_request(&none, &six,
		       "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n");
	expect_request(&alice, &name,
		       "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n"
		       "Proxy-Authorization: Basic YWxpY2U6czNjcmV0\r\n\r\n");
}

/* All that can be long is: it still fits into the least room, and ends where it should. */
static void test_longest_request(void **state)
{
	static char name[MF_TARGET_NAME_MAX + 1];
	struct mf_connect_config cfg = { .user_n = 256, .password_n = 256 };
	struct mf_codec_env env = { 0 };
	uint8_t *out = malloc(MF_CODEC_OUT_MIN);
	struct mf_proxy_target to;
	struct mf_connect c;
	size_t len;

	(void)state;
	assert_non_null(out);
	memset(cfg.user, 'u', sizeof(cfg.user));
	memset(cfg.password, 'p', sizeof(cfg.password));
	for (size_t i = 0; i < MF_TARGET_NAME_MAX; i++)
		name[i] = i % 50 == 49 ? '.' : 'a';
	to = mf_proxy_target(name, &(struct mf_endpoint){ .addr = ip4.addr, .port = 65535 });
	assert_int_equal(to.name_n, 255);
	mf_connect_init(&c, &cfg, &env, &to);
	c.codec.ops->seal(&c.codec, NULL, 0, out, MF_CODEC_OUT_MIN, &len);
	assert_int_equal(len, 8 + 261 + 11 + 6 + 261 + 2 + 27 + 684 + 2 + 2);
	assert_memory_equal(out + len - 4, "\r\n\r\n", 4);
	free(out);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void expect_answer(const char *answer, enum mf_proxy_fault fault, const char *payload)
{
	struct mf_connect_config cfg = { 0 };
	struct mf_proxy_target to = mf_proxy_target(NULL, &ip4);

	for (uint64_t seed = 0; seed < 30; seed++) {
		struct codeclab l;
		struct mf_connect c;
		mf_err e;

		codeclab_init(&l, seed);
		mf_connect_init(&c, &cfg, &l.env, &to);
		l.codec = &c.codec;
		e = codeclab_feed(&l, answer, strlen(answer));
		if (c.codec.fault != fault)
			fail_msg("%s: %s", answer, mf_proxy_fault_name(c.codec.fault));
		assert_int_equal(!e, fault == MF_PROXY_NONE);
		assert_int_equal(c.codec.opened, payload != NULL);
		assert_int_equal(c.codec.proven, payload != NULL);
		assert_int_equal(l.got.n, payload ? strlen(payload) : 0);
		if (l.got.n)
			assert_memory_equal(l.got.p, payload, l.got.n);
		codeclab_fini(&l);
	}
}

static void test_yes(void **state)
{
	(void)state;
	expect_answer("HTTP/1.1 200 Connection established\r\n\r\n", MF_PROXY_NONE, "");
	expect_answer("HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\nSSH-2.0-x\r\n", MF_PROXY_NONE,
		      "SSH-2.0-x\r\n");
	expect_answer("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello, world", MF_PROXY_NONE,
		      "hello, world");
	expect_answer("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", MF_PROXY_NONE,
		      "0\r\n\r\n");
	expect_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\nA: b\r\n\r\nHTTP/1.1 200 "
		      "OK\r\n\r\nx",
		      MF_PROXY_NONE, "x");
	expect_answer("HTTP/1.1 200 OK\r\nA: b\r\n", MF_PROXY_NONE, NULL);
}

static void test_no(void **state)
{
	static const struct {
		const char *status;
		enum mf_proxy_fault fault;
	} no[] = {
		{ "407 Proxy Authentication Required", MF_PROXY_CREDENTIALS },
		{ "401 Unauthorized", MF_PROXY_CREDENTIALS },
		{ "403 Forbidden", MF_PROXY_TARGET_FORBIDDEN },
		{ "500 Unable to connect", MF_PROXY_TARGET_FAILED },
		{ "502 Bad Gateway", MF_PROXY_TARGET_FAILED },
		{ "503 Service Unavailable", MF_PROXY_TARGET_FAILED },
		{ "504 Gateway Timeout", MF_PROXY_TARGET_TIMED_OUT },
		{ "301 Moved Permanently", MF_PROXY_NOT_PROXY },
		{ "400 Bad Request", MF_PROXY_NOT_PROXY },
		{ "404 Not Found", MF_PROXY_NOT_PROXY },
		{ "405 Not Allowed", MF_PROXY_NOT_PROXY },
		{ "501 Unsupported method", MF_PROXY_NOT_PROXY },
		{ "101 Switching Protocols", MF_PROXY_PROTOCOL },
		{ "505 HTTP Version Not Supported", MF_PROXY_PROTOCOL },
		{ "777 x", MF_PROXY_PROTOCOL },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(no); i++) {
		char answer[120];

		snprintf(answer, sizeof(answer), "HTTP/1.1 %s\r\nContent-Length: 3\r\n\r\nno\n",
			 no[i].status);
		expect_answer(answer, no[i].fault, NULL);
	}
	expect_answer("SSH-2.0-OpenSSH_9.2\r\n", MF_PROXY_PROTOCOL, NULL);
	expect_answer("\x05\xff", MF_PROXY_PROTOCOL, NULL);
}

/* Interim answers without end, each of them short. */
static void test_interim_flood(void **state)
{
	static char answer[MF_HTTP_HEAD_MAX + 100];
	static const char one[] = "HTTP/1.1 100 Continue\r\n\r\n";

	(void)state;
	for (size_t i = 0; i + sizeof(one) < sizeof(answer); i += sizeof(one) - 1)
		memcpy(answer + i, one, sizeof(one));
	expect_answer(answer, MF_PROXY_PROTOCOL, NULL);
}

/* ---- A tunnel -------------------------------------------------------------------------------- */

struct server {
	struct codeclab lab;
	const char *request;
	bool open;
};

static void serve(struct codeclab *l)
{
	struct server *s = (struct server *)l;
	size_t n = strlen(s->request);

	if (!s->open) {
		if (l->arrived.n < n)
			return;
		/* No byte of payload before the answer. */
		assert_int_equal(l->arrived.n, n);
		assert_memory_equal(l->arrived.p, s->request, n);
		lab_drop(&l->arrived, n);
		lab_text(&l->sent, "HTTP/1.1 200 Connection established\r\n\r\n");
		s->open = true;
	}
	codeclab_serve_raw(l);
}

static void test_tunnel(void **state)
{
	struct mf_connect_config cfg = { 0 };
	struct mf_proxy_target to = mf_proxy_target("example.com", &ip4);
	struct mf_prng g = unit_prng("connect");

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct server s = { .open = false };
		struct mf_connect c;

		codeclab_init(&s.lab, mf_prng_u64(&g));
		s.lab.serve = serve;
		s.request = "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n";
		mf_connect_init(&c, &cfg, &s.lab.env, &to);
		s.lab.codec = &c.codec;
		codeclab_run(&s.lab, mf_prng_below(&g, 200000), mf_prng_below(&g, 200000));
		codeclab_fini(&s.lab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),      cmocka_unit_test(test_longest_request),
		cmocka_unit_test(test_yes),           cmocka_unit_test(test_no),
		cmocka_unit_test(test_interim_flood), cmocka_unit_test(test_tunnel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
