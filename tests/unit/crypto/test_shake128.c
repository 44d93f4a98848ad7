/* SPDX-License-Identifier: Apache-2.0
 *
 * shake128 - NIST's example of the empty message, and OpenSSL's function, which gives any length,
 * but once; read in pieces of all sizes.
 */
#include "vectors.h"

#include "crypto/shake128.h"

#include <openssl/evp.h>

enum { LONG = 5000, SEED_MAX = 400 };

static void known(void **state)
{
	struct mf_shake128 s;
	uint8_t out[32];

	(void)state;
	mf_shake128_init(&s, "", 0);
	mf_shake128_read(&s, out, sizeof(out));
	assert_hex(out, "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26");
}

static void reference(uint8_t *out, size_t n, const uint8_t *seed, size_t seed_n)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	assert_non_null(c);
	assert_int_equal(EVP_DigestInit_ex(c, EVP_shake128(), NULL), 1);
	assert_int_equal(EVP_DigestUpdate(c, seed, seed_n), 1);
	assert_int_equal(EVP_DigestFinalXOF(c, out, n), 1);
	EVP_MD_CTX_free(c);
}

/* Seeds around the size of a block, too. */
static void against_openssl(void **state)
{
	struct mf_prng g = seeded();
	static uint8_t seed[SEED_MAX], want[LONG], got[LONG];

	(void)state;
	for (size_t n = 0; n < SEED_MAX; n++) {
		struct mf_shake128 s;

		mf_prng_fill(&g, seed, n);
		reference(want, sizeof(want), seed, n);
		mf_shake128_init(&s, seed, n);
		for (size_t at = 0, part; at < LONG; at += part) {
			size_t most = mf_prng_below(&g, 4) ? 4 : 600;

			part = mf_min(mf_prng_below(&g, most + 1), LONG - at);
			mf_shake128_read(&s, got + at, part);
		}
		assert_memory_equal(got, want, LONG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),
		cmocka_unit_test(against_openssl),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
