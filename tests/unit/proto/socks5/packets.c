/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/socks5/socks5.h"

static const struct mf_endpoint dns = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 }, .port = 53 };
static const struct mf_endpoint six = { .addr = { { 0x20, 1, [15] = 1 }, MF_AF_IP6 }, .port = 65535 };

static struct mf_socks5_packets codec(void)
{
	static const struct mf_codec_env env;
	struct mf_socks5_packets c;

	mf_socks5_packets_init(&c, &env);
	return c;
}

/* The datagram that v2ray 4.34 has taken. */
static void test_known(void **state)
{
	static const char want[] = "\x00\x00\x00\x01\xc0\x00\x02\x01\x00\x35"
				   "dns";
	struct mf_socks5_packets c = codec();
	struct mf_proxy_target to = mf_proxy_target(NULL, &dns);
	uint8_t out[13];

	(void)state;
	assert_int_equal(c.codec.ops->seal(&c.codec, &to, mf_span("dns", 3), out, 13), 13);
	assert_memory_equal(out, want, 13);
	for (size_t room = 0; room < 13; room++)
		assert_int_equal(c.codec.ops->seal(&c.codec, &to, mf_span("dns", 3), out, room), 0);
}

static void expect_open(const char *bytes, size_t n, mf_err want, const struct mf_endpoint *from,
			const char *payload)
{
	struct mf_socks5_packets c = codec();
	uint8_t *copy = malloc(n + !n);
	struct mf_endpoint got_from;
	struct mf_span got;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	assert_int_equal(c.codec.ops->open(&c.codec, copy, n, &got, &got_from), want);
	assert_int_equal(c.codec.fault, want ? MF_PROXY_PROTOCOL : MF_PROXY_NONE);
	if (!want) {
		assert_true(mf_endpoint_equal(&got_from, from));
		assert_int_equal(got.n, strlen(payload));
		assert_memory_equal(got.p, payload, got.n);
	}
	free(copy);
}

static void test_open(void **state)
{
	static const char four[] = "\x00\x00\x00\x01\xc0\x00\x02\x01\x00\x35"
				   "answer";
	static const char long_six[] =
		"\x00\x00\x00\x04\x20\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff";
	static const char name[] = "\x00\x00\x00\x03\x04"
				   "host"
				   "\x00\x35"
				   "answer";
	const struct mf_endpoint unknown = { .port = 53 };

	(void)state;
	expect_open(four, sizeof(four) - 1, MF_OK, &dns, "answer");
	expect_open(long_six, sizeof(long_six) - 1, MF_OK, &six, "");
	expect_open(name, sizeof(name) - 1, MF_OK, &unknown, "answer");
	for (size_t n = 0; n < 10; n++)
		expect_open(four, n, n < 3 ? MF_E_SHORT : MF_E_MALFORMED, NULL, NULL);
	expect_open("\x00\x00\x01\x01\xc0\x00\x02\x01\x00\x35"
		    "part",
		    14, MF_E_UNSUPPORTED, NULL, NULL);
	expect_open("\x00\x00\x80\x01\xc0\x00\x02\x01\x00\x35"
		    "part",
		    14, MF_E_UNSUPPORTED, NULL, NULL);
	expect_open("\x00\x00\x00\x02\xc0\x00\x02\x01\x00\x35"
		    "type",
		    14, MF_E_MALFORMED, NULL, NULL);
}

/* A relay that sends back what it gets. */
static void test_round_trip(void **state)
{
	struct mf_prng g = unit_prng("packets");
	static uint8_t payload[65000], out[65000 + MF_PACKET_OVERHEAD_MAX];

	(void)state;
	for (int i = 0; i < 300; i++) {
		const struct mf_endpoint *to = i % 2 ? &dns : &six;
		struct mf_proxy_target t = mf_proxy_target(NULL, to);
		struct mf_socks5_packets c = codec();
		size_t n = mf_prng_below(&g, i % 10 ? 50 : sizeof(payload)), len;
		struct mf_endpoint from;
		struct mf_span got;

		mf_prng_fill(&g, payload, n);
		len = c.codec.ops->seal(&c.codec, &t, mf_span(payload, n), out, sizeof(out));
		assert_in_range(len, n + 10, n + MF_PACKET_OVERHEAD_MAX);
		assert_int_equal(c.codec.ops->open(&c.codec, out, len, &got, &from), MF_OK);
		assert_true(mf_endpoint_equal(&from, to));
		assert_int_equal(got.n, n);
		assert_memory_equal(got.p, payload, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
