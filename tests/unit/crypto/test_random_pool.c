/* SPDX-License-Identifier: Apache-2.0
 *
 * random_pool - its definition written again with OpenSSL's ChaCha20; cut in every way; and that
 * nothing of what was given away stays.
 */
#include "vectors.h"

#include "crypto/random_pool.h"

#include <openssl/evp.h>

enum {
	BLOCK = MF_RANDOM_POOL_KEY + MF_RANDOM_POOL_LEN,
	BLOCKS = 20,
	LONG = BLOCKS * MF_RANDOM_POOL_LEN
};

static uint8_t want[LONG], got[LONG];

static struct mf_random_pool made(struct mf_prng *g, uint8_t key[MF_RANDOM_POOL_KEY])
{
	struct mf_prng same = *g;
	const struct mf_rng seed = { .fill = mf_prng_fill, .ctx = g };
	struct mf_random_pool p;

	mf_prng_fill(&same, key, MF_RANDOM_POOL_KEY);
	mf_random_pool_init(&p, &seed);
	return p;
}

static void reference(uint8_t key[MF_RANDOM_POOL_KEY])
{
	static const uint8_t zero[BLOCK], counter_and_nonce[16];
	uint8_t block[BLOCK];
	int n = 0;

	for (size_t i = 0; i < BLOCKS; i++) {
		EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

		assert_non_null(c);
		assert_int_equal(EVP_EncryptInit_ex(c, EVP_chacha20(), NULL, key, counter_and_nonce),
				 1);
		assert_int_equal(EVP_EncryptUpdate(c, block, &n, zero, BLOCK), 1);
		assert_int_equal(n, BLOCK);
		EVP_CIPHER_CTX_free(c);
		memcpy(key, block, MF_RANDOM_POOL_KEY);
		memcpy(want + i * MF_RANDOM_POOL_LEN, block + MF_RANDOM_POOL_KEY, MF_RANDOM_POOL_LEN);
	}
}

static void against_definition(void **state)
{
	struct mf_prng g = seeded();

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		uint8_t key[MF_RANDOM_POOL_KEY];
		struct mf_random_pool p = made(&g, key);
		size_t most = round % 2 ? 70 : 3000;

		reference(key);
		for (size_t at = 0, part; at < LONG; at += part) {
			part = mf_min(mf_prng_below(&g, most), LONG - at);
			mf_random_pool_fill(&p, got + at, part);
		}
		assert_memory_equal(got, want, LONG);
	}
}

static bool holds(const struct mf_random_pool *p, const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at + n <= sizeof(p->b); at++)
		if (memcmp(p->b + at, bytes, n) == 0)
			return true;
	return false;
}

static void forgets(void **state)
{
	struct mf_prng g = seeded();
	uint8_t key[MF_RANDOM_POOL_KEY];
	struct mf_random_pool p = made(&g, key), none = { .left = 0 };

	(void)state;
	assert_true(holds(&p, key, sizeof(key)));
	for (size_t i = 0; i < 100; i++) {
		mf_random_pool_fill(&p, got, 16);
		assert_false(holds(&p, key, sizeof(key)));
		assert_false(holds(&p, got, 16));
	}
	mf_random_pool_wipe(&p);
	assert_memory_equal(&p, &none, sizeof(p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_definition),
		cmocka_unit_test(forgets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
