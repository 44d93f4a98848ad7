/* SPDX-License-Identifier: Apache-2.0
 *
 * BLAKE2s and what is built on it: RFC 7693, digests over all lengths made by Python
 * (reference.py), and OpenSSL's own HMAC and HKDF objects as the independent composition.
 */
#include "vectors.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sodium.h>

#include "crypto/blake2s.h"

enum { LENGTHS = 301 };

static struct mf_blake2s *h;
static crypto_generichash_state all; /* BLAKE2b over what all lengths give */

static int setup(void **state)
{
	(void)state;
	h = mf_blake2s_new();
	return h ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	mf_blake2s_free(h);
	mf_blake2s_free(NULL);
	return 0;
}

static void begin(void)
{
	crypto_generichash_init(&all, NULL, 0, 32);
}

static void add(const uint8_t *p, size_t n)
{
	crypto_generichash_update(&all, p, n);
}

static void end(const char *want)
{
	uint8_t digest[32];

	crypto_generichash_final(&all, digest, sizeof(digest));
	assert_hex(digest, want);
}

static void test_rfc7693(void **state)
{
	uint8_t out[MF_BLAKE2S_LEN];

	(void)state;
	mf_blake2s_hash(h, out, "abc", 3);
	assert_hex(out, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
	mf_blake2s_hash(h, out, NULL, 0);
	assert_hex(out, "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9");
}

static void test_hash(void **state)
{
	uint8_t data[LENGTHS], out[MF_BLAKE2S_LEN], split[MF_BLAKE2S_LEN];

	(void)state;
	begin();
	for (size_t n = 0; n < LENGTHS; n++) {
		pattern(data, n, 2);
		mf_blake2s_hash(h, out, data, n);
		add(out, sizeof(out));
		for (size_t at = 0; at <= n; at += 13) {
			mf_blake2s_hash2(h, split, data, at, data + at, n - at);
			assert_memory_equal(split, out, sizeof(out));
		}
	}
	end("47076ffcc9cbe0d1618cb6e53d2311cf136c5eb20f3b69c4f77085b4a4ae37dd");
}

/* The chaining hash of a handshake: the output is the first input. */
static void test_hash_in_place(void **state)
{
	uint8_t a[MF_BLAKE2S_LEN], b[MF_BLAKE2S_LEN];

	(void)state;
	pattern(a, sizeof(a), 1);
	mf_blake2s_hash2(h, b, a, sizeof(a), "xyz", 3);
	mf_blake2s_hash2(h, a, a, sizeof(a), "xyz", 3);
	assert_memory_equal(a, b, sizeof(a));
}

static void test_mac(void **state)
{
	uint8_t data[LENGTHS], key[32], out[MF_BLAKE2S_MAC_LEN];

	(void)state;
	begin();
	for (size_t n = 0; n < LENGTHS; n++) {
		size_t key_n = 1 + n % 32;

		pattern(data, n, 2);
		pattern(key, key_n, 5);
		mf_blake2s_mac(h, out, key, key_n, data, n);
		add(out, sizeof(out));
	}
	end("c74bf6460456746cb0b54ca03565d8bfd16033da2c437d352dc7ec402a6a6330");
}

static void test_hmac(void **state)
{
	uint8_t data[LENGTHS], key[64], out[MF_BLAKE2S_LEN], theirs[MF_BLAKE2S_LEN];
	size_t len = 0;

	(void)state;
	begin();
	for (size_t n = 0; n < LENGTHS; n++) {
		size_t key_n = n % 65;

		pattern(data, n, 2);
		pattern(key, key_n, 5);
		mf_blake2s_hmac(h, out, key, key_n, data, n);
		add(out, sizeof(out));
		assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "BLAKE2S-256", NULL, key, key_n, data,
					  n, theirs, sizeof(theirs), &len));
		assert_int_equal(len, sizeof(theirs));
		assert_memory_equal(out, theirs, sizeof(out));
	}
	end("8eb20f59fe938330ff812644d4a1c73b4633b005721bc1793360e7028d668a98");
}

/* RFC 5869 with the chaining key as salt and no info is the KDF of the WireGuard paper. */
static void openssl_hkdf(uint8_t out[3 * MF_BLAKE2S_LEN], uint8_t *salt, uint8_t *data, size_t n)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	char md[] = "BLAKE2S-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, md, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, MF_BLAKE2S_LEN),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, data, n),
		OSSL_PARAM_construct_end(),
	};

	assert_int_equal(EVP_KDF_derive(ctx, out, 3 * MF_BLAKE2S_LEN, params), 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static void test_kdf(void **state)
{
	uint8_t data[LENGTHS], key[32], o[3 * MF_BLAKE2S_LEN], theirs[3 * MF_BLAKE2S_LEN];

	(void)state;
	begin();
	for (size_t n = 0; n < LENGTHS; n++) {
		pattern(data, n, 2);
		pattern(key, sizeof(key), n);
		mf_blake2s_kdf(h, o, o + 32, o + 64, key, data, n);
		add(o, sizeof(o));
		if (n > 0) { /* OpenSSL refuses an empty secret */
			openssl_hkdf(theirs, key, data, n);
			assert_memory_equal(o, theirs, sizeof(o));
		}
	}
	end("5c554604ec06d9fc4e87be4cf80f83df08e50ce4ab41205da1eeb0da90915f60");
}

/* One or two outputs are the first ones of three, and may go where the key was. */
static void test_kdf_fewer(void **state)
{
	uint8_t key[32], kept[32], o[3][32], one[32], two[32], data[32];

	(void)state;
	pattern(key, sizeof(key), 9);
	pattern(data, sizeof(data), 8);
	mf_blake2s_kdf(h, o[0], o[1], o[2], key, data, sizeof(data));
	mf_blake2s_kdf(h, one, NULL, NULL, key, data, sizeof(data));
	assert_memory_equal(one, o[0], 32);
	mf_blake2s_kdf(h, NULL, two, NULL, key, data, sizeof(data));
	assert_memory_equal(two, o[1], 32);
	memcpy(kept, key, sizeof(kept));
	mf_blake2s_kdf(h, kept, two, NULL, kept, data, sizeof(data));
	assert_memory_equal(kept, o[0], 32);
	assert_memory_equal(two, o[1], 32);
	mf_blake2s_kdf(h, key, data, NULL, key, data, sizeof(data));
	assert_memory_equal(key, o[0], 32);
	assert_memory_equal(data, o[1], 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc7693),       cmocka_unit_test(test_hash),
		cmocka_unit_test(test_hash_in_place), cmocka_unit_test(test_mac),
		cmocka_unit_test(test_hmac),          cmocka_unit_test(test_kdf),
		cmocka_unit_test(test_kdf_fewer),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("crypto/blake2s", tests, setup, teardown);
}
