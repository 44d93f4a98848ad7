/* SPDX-License-Identifier: Apache-2.0
 *
 * base64 against the test vectors of RFC 4648 section 10, and against the text of keys, which is
 * written by other code (base/key.c).
 */
#include "base/base64.h"
#include "base/key.h"
#include "unit.h"

static void rfc4648(void **state)
{
	static const char *const known[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i][0]), want = strlen(known[i][1]);
		char out[16];

		assert_int_equal(mf_base64_encode(mf_span(known[i][0], n), out), want);
		assert_memory_equal(out, known[i][1], want);
		assert_int_equal(mf_base64_len(n), want);
		while (want && known[i][1][want - 1] == '=')
			want--;
		assert_int_equal(mf_base64url_encode(mf_span(known[i][0], n), out), want);
		assert_memory_equal(out, known[i][1], want);
	}
}

static void url(void **state)
{
	static const uint8_t in[] = { 0xfb, 0xef, 0xbe, 0xff, 0xff };
	char out[8];

	(void)state;
	assert_int_equal(mf_base64_encode(mf_span(in, sizeof(in)), out), 8);
	assert_memory_equal(out, "++++//8=", 8);
	assert_int_equal(mf_base64url_encode(mf_span(in, sizeof(in)), out), 7);
	assert_memory_equal(out, "----__8", 7);
}

static void keys(void **state)
{
	struct mf_prng r = unit_prng("base64");

	(void)state;
	for (int i = 0; i < 1000; i++) {
		char want[MF_KEY_BASE64_STRLEN], out[MF_KEY_BASE64_STRLEN];
		struct mf_key k;

		mf_prng_fill(&r, k.b, sizeof(k.b));
		mf_key_to_base64(&k, want);
		assert_int_equal(mf_base64_encode(mf_span(k.b, sizeof(k.b)), out), 44);
		assert_memory_equal(out, want, 44);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4648),
		cmocka_unit_test(url),
		cmocka_unit_test(keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
