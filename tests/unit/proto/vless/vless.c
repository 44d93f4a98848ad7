/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/vless/vless.h"
#include "support/codeclab.h"

static const struct mf_endpoint web = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 }, .port = 443 };

/* For example.com:443, as v2ray 4.34 has taken it. */
static const char uuid[] = "b831381d-6324-4d53-ad4f-8cda48b30811";
static const char request[] =
	"\x00\xb8\x31\x38\x1d\x63\x24\x4d\x53\xad\x4f\x8c\xda\x48\xb3\x08\x11\x00"
	"\x01\x01\xbb\x02\x0b"
	"example.com";
enum { REQUEST_LEN = sizeof(request) - 1, COMMAND_AT = 18 };

static struct mf_vless_config config(void)
{
	struct mf_vless_config c;

	assert_int_equal(mf_uuid_parse(c.uuid, uuid, NULL), MF_OK);
	return c;
}

static void expect_request(const uint8_t *got, bool udp)
{
	uint8_t want[REQUEST_LEN];

	memcpy(want, request, REQUEST_LEN);
	if (udp)
		want[COMMAND_AT] = 2;
	assert_memory_equal(got, want, REQUEST_LEN);
}

static void test_request(void **state)
{
	struct mf_vless_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);
	const struct mf_span v = mf_span("payload", 7);
	uint8_t out[MF_CODEC_OUT_MIN];
	struct mf_codec_env env = { 0 };
	struct mf_vless c;
	size_t len;

	(void)state;
	mf_vless_init(&c, &cfg, &env, &to, false);
	assert_int_equal(c.codec.ops->seal(&c.codec, &v, 1, out, sizeof(out), &len), 7);
	assert_int_equal(len, REQUEST_LEN + 7);
	expect_request(out, false);
	assert_memory_equal(out + REQUEST_LEN, "payload", 7);
	assert_true(c.codec.begun && c.codec.raw_up && !c.codec.raw_down);
}

/* ---- Sessions -------------------------------------------------------------------------------- */

struct server {
	struct codeclab lab;
	bool known, answered;
	uint8_t addons;
};

static void put_answer(struct server *s)
{
	static const uint8_t zeros[255];
	uint8_t head[2] = { 0, s->addons };

	lab_add(&s->lab.sent, head, sizeof(head));
	lab_add(&s->lab.sent, zeros, s->addons);
	s->answered = true;
}

static void serve(struct codeclab *l)
{
	struct server *s = (struct server *)l;

	if (!s->known) {
		if (l->arrived.n < REQUEST_LEN)
			return;
		expect_request(l->arrived.p, false);
		lab_drop(&l->arrived, REQUEST_LEN);
		s->known = true;
	}
	/* The answer comes with the first data only. */
	if (!s->answered && l->answer.n && !mf_prng_below(&l->g, 4))
		put_answer(s);
	if (s->answered || !l->answer.n)
		codeclab_serve_raw(l);
}

static void test_tunnel(void **state)
{
	struct mf_vless_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);
	struct mf_prng g = unit_prng("vless");

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct server s = { .addons = (uint8_t)(i % 3 ? mf_prng_below(&g, 256) : 0) };
		struct mf_vless c;

		codeclab_init(&s.lab, mf_prng_u64(&g));
		s.lab.serve = serve;
		mf_vless_init(&c, &cfg, &s.lab.env, &to, false);
		s.lab.codec = &c.codec;
		codeclab_run(&s.lab, mf_prng_below(&g, 200000), 1 + mf_prng_below(&g, 200000));
		assert_true(c.codec.proven && c.codec.raw_down);
		codeclab_fini(&s.lab);
	}
}

static void expect_answer(const char *answer, size_t n, enum mf_proxy_fault fault, bool proven)
{
	struct mf_vless_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);

	for (uint64_t seed = 0; seed < 30; seed++) {
		struct codeclab l;
		struct mf_vless c;

		codeclab_init(&l, seed);
		mf_vless_init(&c, &cfg, &l.env, &to, false);
		l.codec = &c.codec;
		assert_int_equal(codeclab_feed(&l, answer, n), fault ? MF_E_MALFORMED : MF_OK);
		assert_int_equal(c.codec.fault, fault);
		assert_int_equal(c.codec.proven, proven);
		assert_int_equal(l.got.n, 0);
		codeclab_fini(&l);
	}
}

static void test_answers(void **state)
{
	(void)state;
	expect_answer("HTTP/1.1 400 Bad Request\r\n", 26, MF_PROXY_NOT_PROXY, false);
	expect_answer("HTTP", 4, MF_PROXY_NONE, false);
	expect_answer("\x01\x00", 2, MF_PROXY_PROTOCOL, false);
	expect_answer("\x15\x03\x03", 3, MF_PROXY_PROTOCOL, false);
	expect_answer("\x00", 1, MF_PROXY_NONE, false);
	expect_answer("\x00\x00", 2, MF_PROXY_NONE, true);
	expect_answer("\x00\x03xy", 4, MF_PROXY_NONE, true);
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

static void test_dgrams_up(void **state)
{
	static uint8_t payload[UINT16_MAX + 1], out[UINT16_MAX + 10];
	struct mf_vless_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);
	struct mf_codec_env env = { 0 };
	const struct mf_codec_ops *ops;
	struct mf_vless c;

	(void)state;
	mf_vless_init(&c, &cfg, &env, &to, true);
	ops = c.codec.ops;
	assert_int_equal(ops->seal_dgram(&c.codec, NULL, mf_span("dns", 3), out, REQUEST_LEN + 4), 0);
	assert_false(c.codec.begun);
	assert_int_equal(ops->seal_dgram(&c.codec, NULL, mf_span("dns", 3), out, REQUEST_LEN + 5),
			 REQUEST_LEN + 5);
	expect_request(out, true);
	assert_memory_equal(out + REQUEST_LEN,
			    "\x00\x03"
			    "dns",
			    5);
	assert_int_equal(
		ops->seal_dgram(&c.codec, NULL, mf_span(payload, UINT16_MAX), out, sizeof(out)),
		UINT16_MAX + 2);
	assert_memory_equal(out, "\xff\xff", 2);
	assert_int_equal(
		ops->seal_dgram(&c.codec, NULL, mf_span(payload, UINT16_MAX + 1), out, sizeof(out)),
		0);
	assert_int_equal(ops->seal_dgram(&c.codec, NULL, mf_span(payload, 0), out, sizeof(out)), 0);
}

/* The same bytes in every cut: two datagrams, and an empty one between them that says nothing. */
static void test_dgrams_down(void **state)
{
	static const char wire[] = "\x00\x02xy\x00\x03"
				   "one\x00\x00\x00\x05"
				   "three";
	struct mf_vless_config cfg = config();
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);
	struct mf_codec_env env = { 0 };

	(void)state;
	for (size_t cut = 0; cut < sizeof(wire) - 1; cut++) {
		size_t ends[] = { cut, sizeof(wire) - 1 }, used = 0, n = 0;
		struct mf_vless c;

		mf_vless_init(&c, &cfg, &env, &to, true);
		for (size_t i = 0; i < 2; i++) {
			size_t there = ends[i] - used;
			uint8_t *copy = malloc(there + !there);
			struct mf_codec_in in = { copy, there };
			struct mf_endpoint from;
			struct mf_span got;

			assert_non_null(copy);
			memcpy(copy, wire + used, there);
			while (!c.codec.ops->open_dgram(&c.codec, &in, &got, &from)) {
				const char *want = n++ ? "three" : "one";

				assert_int_equal(got.n, strlen(want));
				assert_memory_equal(got.p, want, got.n);
				assert_int_equal(from.addr.family, MF_AF_NONE);
			}
			assert_int_equal(c.codec.fault, MF_PROXY_NONE);
			used += there - in.n;
			free(copy);
		}
		assert_int_equal(n, 2);
		assert_int_equal(used, sizeof(wire) - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),     cmocka_unit_test(test_tunnel),
		cmocka_unit_test(test_answers),     cmocka_unit_test(test_dgrams_up),
		cmocka_unit_test(test_dgrams_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
