/* SPDX-License-Identifier: Apache-2.0
 *
 * X25519: the vectors of RFC 7748, points of small order, and the two libraries against each other.
 */
#include "vectors.h"

#include "crypto/x25519.h"

/* Both forms must agree on everything. */
static bool shared(uint8_t out[32], const uint8_t priv[32], const uint8_t pub[32])
{
	struct mf_x25519_key *key = mf_x25519_key_new(priv);
	uint8_t raw[32], base[32];
	bool ok;

	assert_non_null(key);
	ok = mf_x25519(raw, priv, pub);
	memset(out, 0xee, 32);
	assert_int_equal(mf_x25519_key_shared(key, out, pub), ok);
	assert_memory_equal(out, raw, 32);
	mf_x25519_base(base, priv);
	assert_memory_equal(mf_x25519_key_public(key), base, 32);
	mf_x25519_key_free(key);
	return ok;
}

static void test_rfc7748_vectors(void **state)
{
	static const char *const v[][3] = {
		{ "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		  "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		  "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552" },
		{ "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		  "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
		  "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957" },
	};
	uint8_t priv[32], pub[32], out[32];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(v); i++) {
		from_hex(priv, 32, v[i][0]);
		from_hex(pub, 32, v[i][1]);
		assert_true(shared(out, priv, pub));
		assert_hex(out, v[i][2]);
	}
}

/* Section 5.2: k, u = X25519(k, u), k. The million takes a minute and is left out. */
static void test_rfc7748_iterations(void **state)
{
	uint8_t k[32] = { 9 }, u[32] = { 9 }, out[32];

	(void)state;
	for (int i = 1; i <= 1000; i++) {
		assert_true(shared(out, k, u));
		memcpy(u, k, 32);
		memcpy(k, out, 32);
		if (i == 1)
			assert_hex(k, "422c8e7a6227d7bca1350b3e2bb7279f"
				      "7897b87bb6854b783c60e80311ae3079");
	}
	assert_hex(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

/* Section 6.1. */
static void test_rfc7748_dh(void **state)
{
	uint8_t alice[32], bob[32], alice_pub[32], bob_pub[32], out[32];

	(void)state;
	from_hex(alice, 32, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
	from_hex(bob, 32, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
	mf_x25519_base(alice_pub, alice);
	assert_hex(alice_pub, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	mf_x25519_base(bob_pub, bob);
	assert_hex(bob_pub, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	assert_true(shared(out, alice, bob_pub));
	assert_hex(out, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	assert_true(shared(out, bob, alice_pub));
	assert_hex(out, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* Every point whose order divides 8, also where it is not reduced or the top bit is set. */
static void test_small_order(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	static const uint8_t zero[32], good[32] = { 9 };
	struct mf_prng g = seeded();
	uint8_t priv[32], pub[32], out[32];
	struct mf_x25519_key *key;

	(void)state;
	fill(&g, priv, 32);
	key = mf_x25519_key_new(priv);
	assert_non_null(key);
	for (size_t i = 0; i < 2 * MF_ARRAY_LEN(points); i++) {
		from_hex(pub, 32, points[i / 2]);
		if (i & 1)
			pub[31] |= 0x80;
		assert_false(shared(out, priv, pub));
		assert_memory_equal(out, zero, 32);
		/* and a key object is as good afterwards as it was before */
		assert_false(mf_x25519_key_shared(key, out, pub));
		assert_true(mf_x25519_key_shared(key, out, good));
		assert_memory_equal(out, mf_x25519_key_public(key), 32);
	}
	mf_x25519_key_free(key);
	mf_x25519_key_free(NULL);
}

/* libsodium's ladder and OpenSSL's, one key object for many peers, public keys of any 32 bytes. */
static void test_libraries_agree(void **state)
{
	struct mf_prng g = seeded();
	static const uint8_t zero[32];
	uint8_t priv[32], pub[32], a[32], b[32];
	int reduced = 0;
	bool ok;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct mf_x25519_key *key;

		fill(&g, priv, 32);
		key = mf_x25519_key_new(priv);
		assert_non_null(key);
		for (int j = 0; j < 20; j++) {
			fill(&g, pub, 32);
			if (j < 5) /* around the prime and 2^255: not reduced */
				memset(pub + 1, 0xff, 31);
			/* false now and then: some of those are small */
			ok = mf_x25519(a, priv, pub);
			assert_int_equal(mf_x25519_key_shared(key, b, pub), ok);
			assert_memory_equal(a, b, 32);
			reduced += j >= 5 && memcmp(a, zero, 32) != 0;
		}
		mf_x25519_key_free(key);
	}
	assert_int_equal(reduced, 20 * 15);
}

/* One object, many private keys, with the public key given and not. */
static void test_set(void **state)
{
	struct mf_prng g = seeded();
	uint8_t priv[32], pub[32], own[32], a[32], b[32];
	struct mf_x25519_key *key;

	(void)state;
	fill(&g, priv, 32);
	key = mf_x25519_key_new(priv);
	assert_non_null(key);
	for (int i = 0; i < 50; i++) {
		fill(&g, priv, 32);
		mf_x25519_base(own, priv);
		assert_true(mf_x25519_key_set(key, priv, i & 1 ? own : NULL));
		assert_memory_equal(mf_x25519_key_public(key), own, 32);
		for (int j = 0; j < 3; j++) {
			fill(&g, pub, 32);
			assert_true(mf_x25519(a, priv, pub));
			assert_true(mf_x25519_key_shared(key, b, pub));
			assert_memory_equal(a, b, 32);
		}
	}
	mf_x25519_key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc7748_vectors), cmocka_unit_test(test_rfc7748_iterations),
		cmocka_unit_test(test_rfc7748_dh),      cmocka_unit_test(test_small_order),
		cmocka_unit_test(test_libraries_agree), cmocka_unit_test(test_set),
	};

	return cmocka_run_group_tests_name("crypto/x25519", tests, NULL, NULL);
}
