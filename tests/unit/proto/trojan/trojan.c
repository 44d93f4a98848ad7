/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/trojan/trojan.h"
#include "support/codeclab.h"

static const struct mf_endpoint dns = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 }, .port = 53 };
static const struct mf_endpoint web = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 }, .port = 443 };

/* The request for example.com:443 with the password "hunter2", as trojan-gfw 1.16 and v2ray 4.34
 * have taken it. */
static const char request[] = "84ca85078d6fa3a9b01dae0242938a9b71c9c6920f8d790505cad7a7\r\n"
			      "\x01\x03\x0b"
			      "example.com"
			      "\x01\xbb\r\n";
static const char udp_request[] = "84ca85078d6fa3a9b01dae0242938a9b71c9c6920f8d790505cad7a7\r\n"
				  "\x03\x01\xc0\x00\x02\x01\x00\x35\r\n";
enum { REQUEST_LEN = sizeof(request) - 1, UDP_REQUEST_LEN = sizeof(udp_request) - 1 };

static struct mf_trojan_config config(void)
{
	struct mf_trojan_config c;

	mf_trojan_config_set(&c, "hunter2");
	return c;
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static void test_request(void **state)
{
	struct mf_trojan_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);
	const struct mf_span v[] = { mf_span("GE", 2), mf_span(NULL, 0), mf_span("T /", 3) };
	uint8_t out[MF_CODEC_OUT_MIN];
	struct mf_codec_env env = { 0 };
	struct mf_trojan t;
	size_t len;

	(void)state;
	mf_trojan_init(&t, &cfg, &env, &to, false);
	assert_false(t.codec.raw_up);
	/* Header and payload in one write. */
	assert_int_equal(t.codec.ops->seal(&t.codec, v, 3, out, sizeof(out), &len), 5);
	assert_int_equal(len, REQUEST_LEN + 5);
	assert_memory_equal(out, request, REQUEST_LEN);
	assert_memory_equal(out + REQUEST_LEN, "GET /", 5);
	assert_true(t.codec.begun && t.codec.raw_up);
	assert_int_equal(t.codec.ops->seal(&t.codec, NULL, 0, out, sizeof(out), &len), 0);
	assert_int_equal(len, 0);
}

struct server {
	struct codeclab lab;
	bool known;
};

static void serve(struct codeclab *l)
{
	struct server *s = (struct server *)l;

	if (!s->known) {
		if (l->arrived.n < REQUEST_LEN)
			return;
		assert_memory_equal(l->arrived.p, request, REQUEST_LEN);
		lab_drop(&l->arrived, REQUEST_LEN);
		s->known = true;
	}
	codeclab_serve_raw(l);
}

static void test_tunnel(void **state)
{
	struct mf_trojan_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);
	struct mf_prng g = unit_prng("trojan");

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct server s = { .known = false };
		struct mf_trojan t;

		codeclab_init(&s.lab, mf_prng_u64(&g));
		s.lab.serve = serve;
		mf_trojan_init(&t, &cfg, &s.lab.env, &to, false);
		s.lab.codec = &t.codec;
		codeclab_run(&s.lab, mf_prng_below(&g, 200000), mf_prng_below(&g, 200000));
		codeclab_fini(&s.lab);
	}
}

/* ---- Who answers? ---------------------------------------------------------------------------- */

/* The app has said `said` with the request, and this comes. NULL payload: an error. */
static void expect_answer(const char *said, const char *answer, const char *payload, bool proven)
{
	struct mf_trojan_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);
	const struct mf_span v[] = { mf_span(NULL, 0), mf_span(said, strlen(said)) };

	for (uint64_t seed = 0; seed < 30; seed++) {
		uint8_t out[MF_CODEC_OUT_MIN];
		struct codeclab l;
		struct mf_trojan t;
		size_t len;
		mf_err e;

		codeclab_init(&l, seed);
		mf_trojan_init(&t, &cfg, &l.env, &to, false);
		l.codec = &t.codec;
		t.codec.ops->seal(&t.codec, v, 2, out, sizeof(out), &len);
		e = codeclab_feed(&l, answer, strlen(answer));
		assert_int_equal(e, payload ? MF_OK : MF_E_MALFORMED);
		assert_int_equal(t.codec.fault, payload ? MF_PROXY_NONE : MF_PROXY_NOT_PROXY);
		assert_int_equal(t.codec.proven, proven);
		assert_int_equal(l.got.n, payload ? strlen(payload) : 0);
		if (payload)
			assert_memory_equal(l.got.p, payload, l.got.n);
		codeclab_fini(&l);
	}
}

static void test_who_answers(void **state)
{
	static const char tls[] = "\x16\x03\x01\x02", bad[] = "HTTP/1.1 400 Bad Request\r\n\r\n",
			  ok[] = "HTTP/1.1 200 OK\r\n\r\n", hello[] = "\x16\x03\x03\x01";

	(void)state;
	expect_answer(tls, hello, hello, true);
	expect_answer(tls, "\x15\x03\x03\x01", "\x15\x03\x03\x01", true);
	expect_answer(tls, "HTTP?", "HTTP?", true);
	expect_answer(tls, bad, NULL, false);
	expect_answer(tls, ok, NULL, false);
	/* A web server may well be the target. */
	expect_answer("GET / HTTP/1.1\r\n", ok, ok, false);
	expect_answer("GET / HTTP/1.1\r\n", bad, bad, false);
	expect_answer("", "HTTP/1.1 408 Request Timeout\r\n", "HTTP/1.1 408 Request Timeout\r\n",
		      false);
	expect_answer("", "SSH-2.0-x\r\n", "SSH-2.0-x\r\n", true);
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

static void test_dgram_known(void **state)
{
	static const char frame[] = "\x01\xc0\x00\x02\x01\x00\x35\x00\x03\r\ndns";
	struct mf_trojan_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target(NULL, &dns);
	struct mf_codec_env env = { 0 };
	uint8_t out[200];
	struct mf_trojan t;

	(void)state;
	mf_trojan_init(&t, &cfg, &env, &to, true);
	assert_int_equal(t.codec.ops->seal_dgram(&t.codec, &to, mf_span("dns", 3), out,
						 UDP_REQUEST_LEN + 13),
			 0);
	assert_false(t.codec.begun);
	assert_int_equal(t.codec.ops->seal_dgram(&t.codec, &to, mf_span("dns", 3), out, sizeof(out)),
			 UDP_REQUEST_LEN + 14);
	assert_memory_equal(out, udp_request, UDP_REQUEST_LEN);
	assert_memory_equal(out + UDP_REQUEST_LEN, frame, 14);
	assert_true(t.codec.begun);
	assert_int_equal(t.codec.ops->seal_dgram(&t.codec, &to, mf_span("dns", 3), out, sizeof(out)),
			 14);
	assert_memory_equal(out, frame, 14);
}

static void test_dgram_sizes(void **state)
{
	static uint8_t payload[MF_TROJAN_DGRAM_MAX + 1], out[MF_TROJAN_DGRAM_MAX + 100];
	struct mf_trojan_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target(NULL, &dns);
	struct mf_codec_env env = { 0 };
	struct mf_trojan t;

	(void)state;
	mf_trojan_init(&t, &cfg, &env, &to, true);
	t.codec.begun = true;
	for (size_t n = 0; n < 3; n++) {
		size_t size = n * MF_TROJAN_DGRAM_MAX / 2;

		assert_int_equal(t.codec.ops->seal_dgram(&t.codec, &to, mf_span(payload, size), out,
							 size + 11),
				 size + 11);
		assert_int_equal(t.codec.ops->seal_dgram(&t.codec, &to, mf_span(payload, size), out,
							 size + 10),
				 0);
	}
	assert_int_equal(t.codec.ops->seal_dgram(&t.codec, &to, mf_span(payload, sizeof(payload)),
						 out, sizeof(out)),
			 0);
}

/* What the server may send: datagrams of three kinds of senders. */
static size_t write_frame(struct mf_prng *g, uint8_t *out, const uint8_t *payload, size_t n,
			  struct mf_endpoint *from)
{
	uint8_t *p = out;

	*from = (struct mf_endpoint){ .port = (uint16_t)mf_prng_below(g, 65536) };
	switch (mf_prng_below(g, 3)) {
	case 0:
		*p++ = 1;
		from->addr.family = MF_AF_IP4;
		mf_prng_fill(g, from->addr.b, 4);
		memcpy(p, from->addr.b, 4);
		p += 4;
		break;
	case 1:
		*p++ = 4;
		from->addr.family = MF_AF_IP6;
		mf_prng_fill(g, from->addr.b, 16);
		memcpy(p, from->addr.b, 16);
		p += 16;
		break;
	default:
		memcpy(p, "\x03\x05host.", 7);
		p += 7;
	}
	*p++ = (uint8_t)(from->port >> 8);
	*p++ = (uint8_t)from->port;
	*p++ = (uint8_t)(n >> 8);
	*p++ = (uint8_t)n;
	memcpy(p, "\r\n", 2);
	memcpy(p + 2, payload, n);
	return (size_t)(p + 2 - out) + n;
}

/* A frame is there when its last byte is; then only it is taken. */
static void test_dgrams_down(void **state)
{
	static uint8_t payload[65535], frame[65535 + 30 + 5];
	struct mf_trojan_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target(NULL, &dns);
	struct mf_codec_env env = { 0 };
	struct mf_prng g = unit_prng("trojan");

	(void)state;
	for (int i = 0; i < 200; i++) {
		size_t n = mf_prng_below(&g, i % 10 ? 40 : 65536), len;
		struct mf_endpoint want, from;
		struct mf_span got;
		struct mf_trojan t;

		mf_trojan_init(&t, &cfg, &env, &to, true);
		mf_prng_fill(&g, payload, n);
		len = write_frame(&g, frame, payload, n, &want);
		for (size_t k = n > 100 ? len - 100 : 0; k <= len + 5; k++) {
			uint8_t *copy = malloc(k + !k);
			struct mf_codec_in in = { copy, k };
			mf_err e;

			assert_non_null(copy);
			memcpy(copy, frame, k);
			e = t.codec.ops->open_dgram(&t.codec, &in, &got, &from);
			assert_int_equal(e, k < len ? MF_E_SHORT : MF_OK);
			assert_int_equal(in.n, k < len ? k : k - len);
			assert_int_equal(t.codec.proven, k >= len);
			if (!e) {
				assert_true(mf_endpoint_equal(&from, &want));
				assert_int_equal(got.n, n);
				assert_memory_equal(got.p, payload, n);
			}
			free(copy);
		}
	}
}

static void expect_dgram_fault(const char *bytes, size_t n, bool proven, mf_err want,
			       enum mf_proxy_fault fault)
{
	struct mf_trojan_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target(NULL, &dns);
	struct mf_codec_env env = { 0 };
	struct mf_codec_in in = { (uint8_t *)(uintptr_t)bytes, n };
	struct mf_endpoint from;
	struct mf_span got;
	struct mf_trojan t;

	mf_trojan_init(&t, &cfg, &env, &to, true);
	t.codec.proven = proven;
	assert_int_equal(t.codec.ops->open_dgram(&t.codec, &in, &got, &from), want);
	assert_int_equal(t.codec.fault, fault);
}

static void test_dgram_faults(void **state)
{
	(void)state;
	expect_dgram_fault("HTTP/1.1 400", 12, false, MF_E_MALFORMED, MF_PROXY_NOT_PROXY);
	expect_dgram_fault("HTTP", 4, false, MF_E_SHORT, MF_PROXY_NONE);
	expect_dgram_fault("HTTP/1.1 400", 12, true, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	expect_dgram_fault("\x02", 1, false, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	expect_dgram_fault("\x03\x00", 2, false, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	expect_dgram_fault("\x01\0\0\0\0\0\0\0\x01\n\r", 11, false, MF_E_MALFORMED,
			   MF_PROXY_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),      cmocka_unit_test(test_tunnel),
		cmocka_unit_test(test_who_answers),  cmocka_unit_test(test_dgram_known),
		cmocka_unit_test(test_dgram_sizes),  cmocka_unit_test(test_dgrams_down),
		cmocka_unit_test(test_dgram_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
