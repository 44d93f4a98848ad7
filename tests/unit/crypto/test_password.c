/* SPDX-License-Identifier: Apache-2.0
 *
 * password - keys that OpenSSL's own EVP_BytesToKey makes, and base64 in all its wrong forms.
 */
#include "vectors.h"

#include "crypto/password.h"

#include <openssl/evp.h>

static void md5(void **state)
{
	uint8_t out[MF_PASSWORD_KEY_LEN];

	(void)state;
	mf_password_md5(out, "correct horse");
	assert_hex(out, "3cb4e732631f47e6eb961f34554b7cde8ace33bdac244269f1a356b6733e4cf5");
}

static void as_openssl(void **state)
{
	uint8_t out[MF_PASSWORD_KEY_LEN], key[EVP_MAX_KEY_LENGTH], iv[EVP_MAX_IV_LENGTH];
	char text[200] = "";

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; text[n] = (char)(' ' + n % 90), n++) {
		mf_password_md5(out, text);
		assert_int_equal(EVP_BytesToKey(EVP_aes_256_cbc(), EVP_md5(), NULL,
						(const uint8_t *)text, (int)n, 1, key, iv),
				 MF_PASSWORD_KEY_LEN);
		assert_memory_equal(out, key, sizeof(out));
	}
}

static bool decode(uint8_t *out, size_t want, const char *text)
{
	return mf_password_base64(out, want, mf_span(text, strlen(text)));
}

static void base64(void **state)
{
	static const char *const bad[] = {
		"AQIDBAUGBwgJCgsMDQ4PEA",
		"AQIDBAUGBwgJCgsMDQ4PEA=",
		"AQIDBAUGBwgJCgsMDQ4PEA===",
		"AQIDBAUGBwgJCgsMDQ4PEB==",
		"AQIDBAUGBwgJCgsMDQ4PEBE=",
		"AQIDBAUGBwgJCgsMDQ4P",
		"AQIDBAUGBwgJCgsM DQ4PEA==",
		"AQIDBAUGBwgJCgsMDQ4PE_==",
		"",
		"AQIDBAUGBwgJCgsMDQ4PEA==x",
	};
	static const uint8_t zero[16];
	uint8_t out[32];

	(void)state;
	assert_true(decode(out, 16, "AQIDBAUGBwgJCgsMDQ4PEA=="));
	assert_hex(out, "0102030405060708090a0b0c0d0e0f10");
	assert_true(decode(out, 32, "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="));
	assert_hex(out, "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20");
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		assert_false(decode(out, 16, bad[i]));
		assert_memory_equal(out, zero, 16);
	}
	/* The span ends where it ends. */
	assert_true(mf_password_base64(out, 3, mf_span("QUJDREVG", 4)));
	assert_memory_equal(out, "ABC", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(md5),
		cmocka_unit_test(as_openssl),
		cmocka_unit_test(base64),
	};

	return cmocka_run_group_tests_name("crypto/password", tests, NULL, NULL);
}
