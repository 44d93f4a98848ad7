/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/proxy/target.h"

static const struct mf_endpoint ip4 = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 }, .port = 53 };
static const struct mf_endpoint ip6 = { .addr = { { 0x20, 1, 0xd, 0xb8, [15] = 1 }, MF_AF_IP6 },
					.port = 443 };

static void test_names(void **state)
{
	static const char *const good[] = {
		"example.com",
		"a",
		"xn--bcher-kva.example",
		"_dns.resolver.arpa",
		"1.2.3.4.example",
		"Example.COM",
		"a.3com",
		"0xyz",
	};
	static const char *const bad[] = {
		"",
		".",
		"..",
		"a..b",
		".a",
		"a.b..",
		"192.0.2.1",
		"127.1",
		"7",
		"a.0x7F",
		"0x",
		"::1",
		"[::1]",
		"a b",
		"a\r\nb",
		"b\303\274cher.example",
		"a:80",
		"a/b",
		"a,b",
		"a@b",
		"a.1234567890123456789012345678901234567890123456789012345678901234.b",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(good); i++) {
		struct mf_proxy_target t = mf_proxy_target(good[i], &ip4);

		assert_ptr_equal(t.name, good[i]);
		assert_int_equal(t.name_n, strlen(good[i]));
		assert_true(mf_endpoint_equal(&t.addr, &ip4));
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		struct mf_proxy_target t = mf_proxy_target(bad[i], &ip6);

		assert_null(t.name);
		assert_true(mf_endpoint_equal(&t.addr, &ip6));
	}
	assert_null(mf_proxy_target(NULL, &ip6).name);
	assert_int_equal(mf_proxy_target("example.com.", &ip4).name_n, strlen("example.com"));
}

static void test_long_names(void **state)
{
	char name[300];

	(void)state;
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 50 == 49 ? '.' : 'a';
	name[255] = 0;
	assert_int_equal(mf_proxy_target(name, &ip4).name_n, 255);
	memcpy(name + 255, ".", 2);
	assert_int_equal(mf_proxy_target(name, &ip4).name_n, 255);
	memcpy(name + 255, "a", 2);
	assert_null(mf_proxy_target(name, &ip4).name);
}

static void expect(const struct mf_proxy_target *t, bool socks, const char *want, size_t n)
{
	uint8_t out[MF_TARGET_LEN_MAX];

	assert_int_equal(mf_target_len(t), n);
	assert_int_equal((socks ? mf_target_put_socks : mf_target_put_v2)(t, out), n);
	assert_memory_equal(out, want, n);
}

/* The bytes as in RFC 1928 5, and as VMess and VLESS order and number them. */
static void test_known(void **state)
{
	struct mf_proxy_target name = mf_proxy_target("example.com", &ip6);
	struct mf_proxy_target four = mf_proxy_target(NULL, &ip4), six = mf_proxy_target(NULL, &ip6);

	(void)state;
	expect(&four, true, "\x01\xc0\x00\x02\x01\x00\x35", 7);
	expect(&four, false, "\x00\x35\x01\xc0\x00\x02\x01", 7);
	expect(&six, true, "\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb", 19);
	expect(&six, false, "\x01\xbb\x03\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 19);
	expect(&name, true,
	       "\x03\x0b"
	       "example.com"
	       "\x01\xbb",
	       15);
	expect(&name, false,
	       "\x01\xbb\x02\x0b"
	       "example.com",
	       15);
}

static struct mf_proxy_target any_target(struct mf_prng *g, char name[MF_TARGET_NAME_MAX])
{
	struct mf_proxy_target t = { .addr.port = (uint16_t)mf_prng_below(g, 65536) };

	mf_prng_fill(g, t.addr.addr.b, 16);
	switch (mf_prng_below(g, 3)) {
	case 0:
		t.addr.addr = mf_addr_ip4(t.addr.addr.b);
		break;
	case 1:
		t.addr.addr.family = MF_AF_IP6;
		break;
	default:
		t.name_n = (uint8_t)(1 + mf_prng_below(g, 255));
		t.name = name;
		mf_prng_fill(g, name, t.name_n);
		t.addr.addr = (struct mf_addr){ 0 };
	}
	return t;
}

/* What was written is read again; cut anywhere before its end, more must come. In memory of its
 * exact length, so that the sanitizer sees a read beyond. */
static void round_trip(const struct mf_proxy_target *t, const uint8_t *b, size_t n, size_t behind,
		       mf_err (*get)(struct mf_span, struct mf_proxy_target *, size_t *))
{
	for (size_t k = 0; k <= n + behind; k++) {
		uint8_t *copy = malloc(k + !k);
		struct mf_proxy_target got;
		size_t used = 0;

		assert_non_null(copy);
		memcpy(copy, b, k);
		assert_int_equal(get(mf_span(copy, k), &got, &used), k < n ? MF_E_SHORT : MF_OK);
		if (k >= n) {
			assert_int_equal(used, n);
			assert_true(mf_endpoint_equal(&got.addr, &t->addr));
			assert_int_equal(got.name_n, t->name_n);
			assert_int_equal(!got.name, !t->name);
			if (t->name)
				assert_memory_equal(got.name, t->name, t->name_n);
		}
		free(copy);
	}
}

static void test_round_trip(void **state)
{
	struct mf_prng g = unit_prng("target");
	uint8_t b[MF_TARGET_LEN_MAX + 3] = { 0 };
	char name[MF_TARGET_NAME_MAX];

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct mf_proxy_target t = any_target(&g, name);

		round_trip(&t, b, mf_target_put_socks(&t, b), 3, mf_target_get_socks);
		round_trip(&t, b, mf_target_put_v2(&t, b), 3, mf_target_get_v2);
	}
}

static void test_malformed(void **state)
{
	uint8_t b[20] = { 0 };
	struct mf_proxy_target t;
	size_t used;

	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		b[0] = b[2] = (uint8_t)type;
		assert_int_equal(mf_target_get_socks(mf_span(b, 20), &t, &used),
				 type == 1 || type == 4 ? MF_OK : MF_E_MALFORMED);
		b[0] = 0;
		assert_int_equal(mf_target_get_v2(mf_span(b, 20), &t, &used),
				 type == 1 || type == 3 ? MF_OK : MF_E_MALFORMED);
		b[2] = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),     cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_known),     cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_malformed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
