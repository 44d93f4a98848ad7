/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/obfs/obfs.h"
#include "support/codeclab.h"

static const struct mf_obfs_config plain = { .mode = MF_OBFS_HTTP, .port = 80, .host = "example.com" };
static const struct mf_obfs_config other = { .mode = MF_OBFS_HTTP,
					     .port = 8388,
					     .host = "www.example.net",
					     .path = "/ws?a=b" };

/* ---- The request ----------------------------------------------------------------------------- */

/* The key is random: 24 characters that are base64 of 16 bytes, and begin behind `before`. */
static void expect_request(const struct mf_obfs_config *cfg, size_t room, const char *before,
			   const char *after, size_t taken)
{
	static const uint8_t payload[5000] = "payload";
	const struct mf_span v[] = { mf_span(payload, 3), mf_span(payload + 3, sizeof(payload) - 3) };
	size_t n = strlen(before), m = strlen(after), len;
	uint8_t *out = malloc(room);
	struct codeclab l;
	struct mf_obfs o;

	assert_non_null(out);
	codeclab_init(&l, 7);
	mf_obfs_init(&o, cfg, &l.env);
	assert_int_equal(o.codec.ops->seal(&o.codec, v, 2, out, room, &len), taken);
	assert_int_equal(len, n + 24 + m + taken);
	assert_memory_equal(out, before, n);
	assert_memory_equal(out + n + 22, "==", 2);
	for (size_t i = 0; i < 22; i++)
		assert_true(
			strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
			       out[n + i]));
	assert_memory_equal(out + n + 24, after, m);
	assert_memory_equal(out + n + 24 + m, payload, taken);
	assert_true(o.codec.begun && o.codec.raw_up && !o.codec.raw_down);
	codeclab_fini(&l);
	free(out);
}

static void test_requests(void **state)
{
	(void)state;
	expect_request(&plain, 70000,
		       "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/7.88.1\r\n"
		       "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ",
		       "\r\nContent-Length: 5000\r\n\r\n", 5000);
	expect_request(&other, 70000,
		       "GET /ws?a=b HTTP/1.1\r\nHost: www.example.net:8388\r\n"
		       "User-Agent: curl/7.88.1\r\n"
		       "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ",
		       "\r\nContent-Length: 5000\r\n\r\n", 5000);
	/* As much as fits with the longest head there may be, and the length says how much. */
	expect_request(&plain, MF_CODEC_OUT_MIN,
		       "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/7.88.1\r\n"
		       "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ",
		       "\r\nContent-Length: 513\r\n\r\n", 513);
}

static void test_longest_request(void **state)
{
	char host[MF_OBFS_HOST_MAX + 1] = "", path[MF_OBFS_PATH_MAX + 1] = "";
	const struct mf_obfs_config cfg = {
		.mode = MF_OBFS_HTTP, .port = 65535, .host = host, .path = path
	};
	uint8_t *out = malloc(MF_CODEC_OUT_MIN);
	static const uint8_t payload[5000];
	const struct mf_span v = mf_span(payload, sizeof(payload));
	struct codeclab l;
	struct mf_obfs o;
	size_t len, taken;

	(void)state;
	assert_non_null(out);
	memset(host, 'h', MF_OBFS_HOST_MAX);
	memset(path, 'p', MF_OBFS_PATH_MAX);
	codeclab_init(&l, 1);
	mf_obfs_init(&o, &cfg, &l.env);
	taken = o.codec.ops->seal(&o.codec, &v, 1, out, MF_CODEC_OUT_MIN, &len);
	assert_in_range(taken, 1, sizeof(payload) - 1);
	assert_in_range(len, taken + MF_OBFS_HOST_MAX + MF_OBFS_PATH_MAX, MF_CODEC_OUT_MIN);
	assert_memory_equal(out + len - taken - 4, "\r\n\r\n", 4);
	codeclab_fini(&l);
	free(out);
}

static void init_with(void *cfg)
{
	struct mf_codec_env env = { 0 };
	struct mf_obfs o;

	mf_obfs_init(&o, cfg, &env);
}

static void test_no_fields_of_others(void **state)
{
	struct mf_obfs_config bad = plain;

	(void)state;
	assert_false(unit_aborts(init_with, &bad));
	bad.host = "a\r\nb";
	assert_true(unit_aborts(init_with, &bad));
	bad.host = "example.com";
	bad.path = "/a b";
	assert_true(unit_aborts(init_with, &bad));
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void expect_answer(const char *answer, enum mf_proxy_fault fault, const char *payload)
{
	for (uint64_t seed = 0; seed < 30; seed++) {
		struct codeclab l;
		struct mf_obfs o;

		codeclab_init(&l, seed);
		mf_obfs_init(&o, &plain, &l.env);
		l.codec = &o.codec;
		assert_int_equal(codeclab_feed(&l, answer, strlen(answer)),
				 fault ? MF_E_MALFORMED : MF_OK);
		assert_int_equal(o.codec.fault, fault);
		assert_false(o.codec.proven);
		assert_int_equal(l.got.n, strlen(payload));
		if (l.got.n)
			assert_memory_equal(l.got.p, payload, l.got.n);
		codeclab_fini(&l);
	}
}

static void test_answers(void **state)
{
	(void)state;
	expect_answer("HTTP/1.1 101 Switching Protocols\r\nServer: nginx/1.9\r\n\r\nsalt and more",
		      MF_PROXY_NONE, "salt and more");
	expect_answer("HTTP/1.1 101 Switching Protocols\r\n", MF_PROXY_NONE, "");
	expect_answer("HTTP/1.1 400 Bad Request\r\n\r\n", MF_PROXY_TRANSPORT, "");
	expect_answer("\x83\xcd\x12", MF_PROXY_TRANSPORT, "");
}

/* ---- A tunnel -------------------------------------------------------------------------------- */

struct server {
	struct codeclab lab;
	bool known;
};

static void serve(struct codeclab *l)
{
	struct server *s = (struct server *)l;

	if (!s->known) {
		const uint8_t *end =
			l->arrived.n ? memmem(l->arrived.p, l->arrived.n, "\r\n\r\n", 4) : NULL;

		if (!end)
			return;
		assert_memory_equal(l->arrived.p, "GET /ws?a=b HTTP/1.1\r\n", 22);
		lab_drop(&l->arrived, (size_t)(end + 4 - l->arrived.p));
		lab_text(&l->sent,
			 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
		s->known = true;
	}
	codeclab_serve_raw(l);
}

static void test_tunnel(void **state)
{
	struct mf_prng g = unit_prng("http");

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct server s = { .known = false };
		struct mf_obfs o;

		codeclab_init(&s.lab, mf_prng_u64(&g));
		s.lab.serve = serve;
		mf_obfs_init(&o, &other, &s.lab.env);
		s.lab.codec = &o.codec;
		codeclab_run(&s.lab, mf_prng_below(&g, 200000), mf_prng_below(&g, 200000));
		codeclab_fini(&s.lab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_longest_request),
		cmocka_unit_test(test_no_fields_of_others),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_tunnel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
