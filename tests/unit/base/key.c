/* SPDX-License-Identifier: Apache-2.0 */
#include "base/key.h"

#include "unit.h"

/* Alice's private key of RFC 7748, 6.1. */
static const char hex_text[] = "77076d0a7318a57d3c16c17251b26645df4c5a9c0d4fb0ed27e58c1c8a2c3f6a";

static void plain_base64(const uint8_t b[32], char out[45])
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < 43; i++) {
		unsigned v = 0;

		for (size_t bit = 6 * i; bit < 6 * i + 6; bit++)
			v = v << 1 | (bit < 256 ? b[bit / 8] >> (7 - bit % 8) & 1u : 0);
		out[i] = alphabet[v];
	}
	memcpy(out + 43, "=", 2);
}

static void test_agrees_with_the_plain_way(void **state)
{
	struct mf_prng g = unit_prng("key");

	(void)state;
	for (int i = 0; i < 10000; i++) {
		struct mf_key k, back;
		char text[MF_KEY_BASE64_STRLEN], want[MF_KEY_BASE64_STRLEN], hex[MF_KEY_HEX_STRLEN],
			want_hex[MF_KEY_HEX_STRLEN];

		mf_prng_fill(&g, k.b, sizeof(k.b));
		plain_base64(k.b, want);
		mf_key_to_base64(&k, text);
		assert_string_equal(text, want);
		assert_int_equal(mf_key_from_base64(&back, text, 44), MF_OK);
		assert_memory_equal(k.b, back.b, 32);
		for (size_t n = 0; n < 32; n++)
			snprintf(want_hex + 2 * n, 3, "%02x", k.b[n]);
		mf_key_to_hex(&k, hex);
		assert_string_equal(hex, want_hex);
		memset(&back, 0, sizeof(back));
		assert_int_equal(mf_key_from_hex(&back, hex, 64), MF_OK);
		assert_memory_equal(k.b, back.b, 32);
	}
}

/* Every byte value at every place: accepted if and only if it is in the alphabet; at the last place
 * before '=' only if its two trailing bits are zero. */
static void test_every_character_everywhere(void **state)
{
	(void)state;
	for (size_t at = 0; at < 44; at++) {
		for (int c = 0; c < 256; c++) {
			char text[45] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", back[45];
			struct mf_key k;
			bool good;
			mf_err e;

			text[at] = (char)c;
			if (at == 43)
				good = c == '=';
			else if (at == 42)
				good = c && strchr("AEIMQUYcgkosw048", c);
			else
				good = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
				       (c >= '0' && c <= '9') || c == '+' || c == '/';
			e = mf_key_from_base64(&k, text, 44);
			if ((e == MF_OK) != good)
				fail_msg("character %d at %zu: %s", c, at, mf_err_text(e));
			if (!good) {
				assert_true(mf_key_is_zero(&k));
				continue;
			}
			mf_key_to_base64(&k, back);
			assert_string_equal(back, text);
		}
	}
	for (size_t at = 0; at < 64; at++) {
		for (int c = 0; c < 256; c++) {
			char text[65];
			struct mf_key k;

			memcpy(text, hex_text, sizeof(text));
			text[at] = (char)c;
			assert_int_equal(mf_key_from_hex(&k, text, 64),
					 c && strchr("0123456789abcdefABCDEF", c) ? MF_OK
										  : MF_E_MALFORMED);
		}
	}
}

static void test_lengths(void **state)
{
	static const char b64[] = "dwdtCnMYpX08FsFyUbJmRd9MWpwNT7DtJ+WMHIosP2o=";
	struct mf_key k, h;

	(void)state;
	assert_int_equal(mf_key_from_base64(&k, b64, 44), MF_OK);
	assert_int_equal(mf_key_from_hex(&h, hex_text, 64), MF_OK);
	assert_memory_equal(k.b, h.b, 32);
	assert_false(mf_key_is_zero(&k));
	assert_int_equal(mf_key_from_base64(&k, b64, 43), MF_E_MALFORMED);
	assert_int_equal(mf_key_from_base64(&k, b64, 45), MF_E_MALFORMED);
	assert_int_equal(mf_key_from_base64(&k, b64, 0), MF_E_MALFORMED);
	assert_int_equal(mf_key_from_hex(&k, hex_text, 63), MF_E_MALFORMED);
	assert_int_equal(mf_key_from_hex(&k, hex_text, 65), MF_E_MALFORMED);
	memset(&k, 0, sizeof(k));
	assert_true(mf_key_is_zero(&k));
	k.b[31] = 1;
	assert_false(mf_key_is_zero(&k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agrees_with_the_plain_way),
		cmocka_unit_test(test_every_character_everywhere),
		cmocka_unit_test(test_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
