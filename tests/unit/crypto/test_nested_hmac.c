/* SPDX-License-Identifier: Apache-2.0
 *
 * nested_hmac - the answer that v2ray-core's tests give (kdf_test.go), HMAC of RFC 4231, and the
 * definition as it is written, with keys and messages of all lengths.
 */
#include "vectors.h"

#include "crypto/nested_hmac.h"

#include <openssl/sha.h>

enum { BLOCK = 64, TEXT_MAX = 200 };

static void nested(const char *const *key, size_t n, const char *msg, const char *want)
{
	struct mf_span k[MF_NESTED_HMAC_KEYS_MAX];
	uint8_t out[MF_NESTED_HMAC_LEN];

	for (size_t i = 0; i < n; i++)
		k[i] = mf_span(key[i], strlen(key[i]));
	mf_nested_hmac(out, k, n, mf_span(msg, strlen(msg)));
	assert_hex(out, want);
}

static void known(void **state)
{
	static const char *const v2ray[] = { "VMess AEAD KDF", "Demo Path for KDF Value Test",
					     "Demo Path for KDF Value Test2",
					     "Demo Path for KDF Value Test3" };
	static const char *const rfc4231[] = { "Jefe" };

	(void)state;
	nested(v2ray, 4, "Demo Key for KDF Value Test",
	       "53e9d7e1bd7bd25022b71ead07d8a596efc8a845c7888652fd684b4903dc8892");
	nested(rfc4231, 1, "what do ya want for nothing?",
	       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* ---- The definition -------------------------------------------------------------------------- */

static void hash(const struct mf_span *key, size_t n, const uint8_t *msg, size_t msg_n, uint8_t *out);

static void half(const struct mf_span *key, size_t n, uint8_t with, const uint8_t *msg,
		 size_t msg_n, uint8_t *out)
{
	uint8_t text[BLOCK + TEXT_MAX + BLOCK * MF_NESTED_HMAC_KEYS_MAX];

	assert_true(BLOCK + msg_n <= sizeof(text));
	memset(text, 0, BLOCK);
	if (key[n - 1].n > BLOCK)
		hash(key, n - 1, key[n - 1].p, key[n - 1].n, text);
	else
		memcpy(text, key[n - 1].p, key[n - 1].n);
	for (size_t i = 0; i < BLOCK; i++)
		text[i] ^= with;
	memcpy(text + BLOCK, msg, msg_n);
	hash(key, n - 1, text, BLOCK + msg_n, out);
}

static void hash(const struct mf_span *key, size_t n, const uint8_t *msg, size_t msg_n, uint8_t *out)
{
	uint8_t inner[SHA256_DIGEST_LENGTH];

	if (!n) {
		SHA256(msg, msg_n, out);
		return;
	}
	half(key, n, 0x36, msg, msg_n, inner);
	half(key, n, 0x5c, inner, sizeof(inner), out);
}

static void against_definition(void **state)
{
	struct mf_prng g = seeded();

	(void)state;
	for (size_t step = 0; step < 2000; step++) {
		uint8_t text[MF_NESTED_HMAC_KEYS_MAX + 1][TEXT_MAX];
		uint8_t got[MF_NESTED_HMAC_LEN], want[MF_NESTED_HMAC_LEN];
		size_t n = 1 + mf_prng_below(&g, MF_NESTED_HMAC_KEYS_MAX);
		struct mf_span v[MF_NESTED_HMAC_KEYS_MAX + 1];

		mf_prng_fill(&g, text, sizeof(text));
		for (size_t i = 0; i <= n; i++)
			v[i] = mf_span(text[i], mf_prng_below(&g, TEXT_MAX + 1));
		hash(v, n, v[n].p, v[n].n, want);
		mf_nested_hmac(got, v, n, v[n]);
		assert_memory_equal(got, want, sizeof(want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),
		cmocka_unit_test(against_definition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
