/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/socks5/socks5.h"
#include "support/codeclab.h"

static const struct mf_endpoint web = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 }, .port = 443 };

static struct mf_socks5_config credentials(const char *user, const char *password)
{
	struct mf_socks5_config c = { .user_n = (uint8_t)strlen(user),
				      .password_n = (uint8_t)strlen(password) };

	memcpy(c.user, user, c.user_n);
	memcpy(c.password, password, c.password_n);
	return c;
}

/* ---- A conversation -------------------------------------------------------------------------- */

/* What both say in turn, by RFC 1928 and RFC 1929; the client begins. */
struct line {
	const char *bytes;
	size_t n;
};
#define LINE(s)                    \
	{                          \
		(s), sizeof(s) - 1 \
	}

struct server {
	struct codeclab lab;
	const struct line *lines; /* at the next one that the client has to say */
	size_t n;
};

static void serve(struct codeclab *l)
{
	struct server *s = (struct server *)l;

	if (s->n) {
		if (l->arrived.n < s->lines->n)
			return;
		/* The client waits for each answer. */
		assert_int_equal(l->arrived.n, s->lines->n);
		assert_memory_equal(l->arrived.p, s->lines->bytes, s->lines->n);
		lab_drop(&l->arrived, s->lines->n);
		lab_add(&l->sent, s->lines[1].bytes, s->lines[1].n);
		s->lines += 2;
		s->n -= 2;
		if (s->n)
			return;
	}
	codeclab_serve_raw(l);
}

static void expect_tunnel(const struct mf_socks5_config *cfg, const struct mf_proxy_target *to,
			  const struct line *lines, size_t n)
{
	struct mf_prng g = unit_prng("socks5");

	for (int i = 0; i < 30; i++) {
		struct server s = { .lines = lines, .n = n };
		struct mf_socks5 c;

		codeclab_init(&s.lab, mf_prng_u64(&g));
		s.lab.serve = serve;
		mf_socks5_init(&c, cfg, &s.lab.env, to, false);
		s.lab.codec = &c.codec;
		codeclab_run(&s.lab, mf_prng_below(&g, 100000), mf_prng_below(&g, 100000));
		assert_true(c.codec.opened && c.codec.proven && c.codec.begun);
		assert_int_equal(s.n, 0);
		codeclab_fini(&s.lab);
	}
}

static void test_no_login(void **state)
{
	static const struct line lines[] = {
		LINE("\x05\x01\x00"),
		LINE("\x05\x00"),
		LINE("\x05\x01\x00\x03\x0b"
		     "example.com"
		     "\x01\xbb"),
		LINE("\x05\x00\x00\x01\0\0\0\0\0\0"),
	};
	struct mf_socks5_config cfg = { 0 };
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);

	(void)state;
	expect_tunnel(&cfg, &to, lines, MF_ARRAY_LEN(lines));
}

/* The address in the reply may be of any kind, and means nothing. */
static void test_login(void **state)
{
	static const struct line lines[] = {
		LINE("\x05\x02\x00\x02"),
		LINE("\x05\x02"),
		LINE("\x01\x05"
		     "alice"
		     "\x06"
		     "s3cret"),
		LINE("\x01\x00"),
		LINE("\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb"),
		LINE("\x05\x00\x00\x03\x04"
		     "host"
		     "\x12\x34"),
	};
	struct mf_socks5_config cfg = credentials("alice", "s3cret");
	struct mf_proxy_target to = mf_proxy_target(NULL, &web);

	(void)state;
	expect_tunnel(&cfg, &to, lines, MF_ARRAY_LEN(lines));
}

static void test_login_not_wanted(void **state)
{
	static const struct line lines[] = {
		LINE("\x05\x02\x00\x02"),
		LINE("\x05\x00"),
		LINE("\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb"),
		LINE("\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	};
	struct mf_socks5_config cfg = credentials("alice", "s3cret");
	struct mf_proxy_target to = mf_proxy_target(NULL, &web);

	(void)state;
	expect_tunnel(&cfg, &to, lines, MF_ARRAY_LEN(lines));
}

/* Until the request is written, the target's name is needed. */
static void test_begun(void **state)
{
	struct mf_socks5_config cfg = { 0 };
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);
	struct mf_codec_env env = { 0 };
	uint8_t out[MF_CODEC_OUT_MIN], answer[] = { 5, 0 };
	struct mf_codec_in in = { answer, sizeof(answer) };
	struct mf_socks5 c;
	size_t len, got;

	(void)state;
	mf_socks5_init(&c, &cfg, &env, &to, false);
	c.codec.ops->seal(&c.codec, NULL, 0, out, sizeof(out), &len);
	assert_false(c.codec.begun);
	assert_int_equal(c.codec.ops->open(&c.codec, &in, NULL, 0, &got), MF_OK);
	assert_int_equal(in.n, 0);
	c.codec.ops->seal(&c.codec, NULL, 0, out, sizeof(out), &len);
	assert_true(c.codec.begun);
	assert_false(c.codec.opened);
}

static void test_longest_login(void **state)
{
	struct mf_socks5_config cfg = { .user_n = 255, .password_n = 255 };
	struct mf_codec_env env = { 0 };
	uint8_t out[MF_CODEC_OUT_MIN], answer[] = { 5, 2 };
	struct mf_codec_in in = { answer, sizeof(answer) };
	struct mf_socks5 c;
	size_t len, got;

	(void)state;
	memset(cfg.user, 'u', 255);
	memset(cfg.password, 'p', 255);
	mf_socks5_init(&c, &cfg, &env, NULL, true);
	c.codec.ops->seal(&c.codec, NULL, 0, out, sizeof(out), &len);
	assert_int_equal(c.codec.ops->open(&c.codec, &in, NULL, 0, &got), MF_OK);
	c.codec.ops->seal(&c.codec, NULL, 0, out, sizeof(out), &len);
	assert_int_equal(len, 3 + 255 + 255);
	assert_int_equal(out[1], 255);
	assert_int_equal(out[257], 255);
	assert_int_equal(out[258], 'p');
}

/* ---- Refusals -------------------------------------------------------------------------------- */

/* The server sends this whatever we say. */
static void expect_answer(bool login, bool udp, const char *bytes, size_t n, enum mf_proxy_fault fault)
{
	struct mf_socks5_config cfg = credentials(login ? "alice" : "", login ? "x" : "");
	struct mf_proxy_target to = mf_proxy_target("example.com", &web);

	for (uint64_t seed = 0; seed < 20; seed++) {
		struct codeclab l;
		struct mf_socks5 c;
		mf_err e;

		codeclab_init(&l, seed);
		mf_socks5_init(&c, &cfg, &l.env, &to, udp);
		l.codec = &c.codec;
		e = codeclab_feed(&l, bytes, n);
		if (c.codec.fault != fault)
			fail_msg("%s", mf_proxy_fault_name(c.codec.fault));
		assert_int_equal(!e, !fault);
		assert_false(fault && c.codec.opened);
		assert_int_equal(l.got.n, 0);
		codeclab_fini(&l);
	}
}

static void test_methods(void **state)
{
	(void)state;
	expect_answer(true, false, "\x05\xff", 2, MF_PROXY_CREDENTIALS);
	expect_answer(false, false, "\x05\xff", 2, MF_PROXY_CREDENTIALS);
	expect_answer(false, false, "\x05\x02", 2, MF_PROXY_PROTOCOL); /* not offered */
	expect_answer(true, false, "\x05\x01", 2, MF_PROXY_PROTOCOL);
	expect_answer(true, false, "\x04\x00", 2, MF_PROXY_PROTOCOL);
	expect_answer(true, false, "HTTP/1.1 400 Bad", 16, MF_PROXY_NOT_PROXY);
	expect_answer(true, false, "HTTP", 4, MF_PROXY_NONE);
	expect_answer(true, false, "\x05\x02\x01\x01", 4, MF_PROXY_CREDENTIALS);
	expect_answer(true, false, "\x05\x02\x05\xff", 4, MF_PROXY_CREDENTIALS);
}

static void test_replies(void **state)
{
	static const enum mf_proxy_fault want[] = {
		[1] = MF_PROXY_TARGET_FAILED,
		[2] = MF_PROXY_TARGET_FORBIDDEN,
		[3] = MF_PROXY_TARGET_UNREACHABLE,
		[4] = MF_PROXY_TARGET_UNREACHABLE,
		[5] = MF_PROXY_TARGET_REFUSED,
		[6] = MF_PROXY_TARGET_TIMED_OUT,
		[7] = MF_PROXY_COMMAND,
		[8] = MF_PROXY_COMMAND,
		[9] = MF_PROXY_TARGET_FAILED,
	};

	(void)state;
	for (char rep = 1; rep < (char)MF_ARRAY_LEN(want); rep++) {
		const char answer[] = { 5, 0, 5, rep };

		expect_answer(false, false, answer, 4, want[(size_t)rep]);
		expect_answer(false, true, answer, 4, MF_PROXY_COMMAND);
	}
	expect_answer(false, false, "\x05\x00\x04\x00", 4, MF_PROXY_PROTOCOL);
	expect_answer(false, false, "\x05\x00\x05\x00\x00\x02", 6, MF_PROXY_PROTOCOL);
	expect_answer(false, false, "\x05\x00\x05\x00\x00\x03\x00\x00\x00", 9, MF_PROXY_PROTOCOL);
	expect_answer(false, false, "\x05\x00\x05\x00\x00\x01\x00\x00", 8, MF_PROXY_NONE);
}

/* ---- Associations ---------------------------------------------------------------------------- */

static void test_association(void **state)
{
	static const char answer[] =
		"\x05\x00\x05\x00\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
		"\x04\x38"
		"no payload is awaited";
	static const struct mf_endpoint relay = {
		.addr = { { 0x20, 1, 0xd, 0xb8, [15] = 7 }, MF_AF_IP6 }, .port = 1080
	};
	struct mf_socks5_config cfg = { 0 };

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		const struct mf_span v = mf_span("payload", 7);
		uint8_t out[MF_CODEC_OUT_MIN];
		struct codeclab l;
		struct mf_socks5 c;
		size_t len;

		codeclab_init(&l, seed);
		mf_socks5_init(&c, &cfg, &l.env, NULL, true);
		l.codec = &c.codec;
		assert_int_equal(codeclab_feed(&l, answer, sizeof(answer) - 1), MF_OK);
		assert_true(c.codec.opened && c.codec.proven);
		assert_false(c.codec.raw_up || c.codec.raw_down);
		assert_null(c.relay.name);
		assert_true(mf_endpoint_equal(&c.relay.addr, &relay));
		assert_int_equal(l.up.n, 3 + 10);
		assert_memory_equal(l.up.p, "\x05\x01\x00\x05\x03\x00\x01\0\0\0\0\0\0", 13);
		assert_int_equal(l.got.n + l.rest.n, 0);
		assert_int_equal(c.codec.ops->seal(&c.codec, &v, 1, out, sizeof(out), &len), 0);
		assert_int_equal(len, 0);
		codeclab_fini(&l);
	}
	expect_answer(false, true,
		      "\x05\x00\x05\x00\x00\x03\x04"
		      "host"
		      "\x12\x34",
		      13, MF_PROXY_COMMAND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_login),         cmocka_unit_test(test_login),
		cmocka_unit_test(test_login_not_wanted), cmocka_unit_test(test_begun),
		cmocka_unit_test(test_longest_login),    cmocka_unit_test(test_methods),
		cmocka_unit_test(test_replies),          cmocka_unit_test(test_association),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
