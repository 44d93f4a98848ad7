/* SPDX-License-Identifier: Apache-2.0
 *
 * hkdf_sha1 - RFC 5869 A.4, A.6 and A.7 (A.5 is longer than what is taken), and output of all
 * lengths against that of OpenSSL.
 */
#include "vectors.h"

#include "crypto/hkdf_sha1.h"
#include "unit.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

static void hkdf_hex(const char *ikm, const char *salt, const char *info, const char *want)
{
	uint8_t k[64], s[64], i[64], out[64];

	mf_hkdf_sha1(out, strlen(want) / 2, mf_span(k, from_hex(k, sizeof(k), ikm)),
		     mf_span(s, from_hex(s, sizeof(s), salt)),
		     mf_span(i, from_hex(i, sizeof(i), info)));
	assert_hex(out, want);
}

static void known_answers(void **state)
{
	(void)state;
	hkdf_hex("0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
		 "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2"
		 "c22e422478d305f3f896");
	hkdf_hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
		 "0ac1af7002b3d761d1e55298da9d0506b9ae52057220a306e07b6b87e8df21d0"
		 "ea00033de03984d34918");
	hkdf_hex("0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c", "", "",
		 "2c91117204d745f3500d636a62f64f0ab3bae548aa53d423b0d1f27ebba6f5e5"
		 "673a081d70cce7acfc48");
}

static void by_openssl(uint8_t *out, size_t n, struct mf_span ikm, struct mf_span salt,
		       struct mf_span info)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	char sha1[] = "SHA1";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha1, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)ikm.p, ikm.n),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.p,
						  salt.n),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.p,
						  info.n),
		OSSL_PARAM_construct_end(),
	};

	assert_non_null(ctx);
	assert_int_equal(EVP_KDF_derive(ctx, out, n, params), 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static void lengths(void **state)
{
	static uint8_t got[MF_HKDF_SHA1_OUT_MAX], want[MF_HKDF_SHA1_OUT_MAX];
	uint8_t ikm[MF_HKDF_SHA1_IKM_MAX], salt[MF_HKDF_SHA1_SALT_MAX], info[MF_HKDF_SHA1_INFO_MAX];
	struct mf_prng g = seeded();

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		size_t n = i ? 1 + mf_prng_below(&g, i < 250 ? 100 : sizeof(got)) : sizeof(got);
		struct mf_span k = mf_span(ikm, i ? 1 + mf_prng_below(&g, sizeof(ikm)) : sizeof(ikm));
		struct mf_span s = mf_span(salt, i ? mf_prng_below(&g, 65) : sizeof(salt));
		struct mf_span f = mf_span(info, i ? mf_prng_below(&g, 35) : sizeof(info));

		fill(&g, ikm, sizeof(ikm));
		fill(&g, salt, sizeof(salt));
		fill(&g, info, sizeof(info));
		mf_hkdf_sha1(got, n, k, s, f);
		by_openssl(want, n, k, s, f);
		assert_memory_equal(got, want, n);
	}
}

static void too_long(void *arg)
{
	size_t *n = arg;
	uint8_t b[100] = { 0 }, out[20];

	mf_hkdf_sha1(out, sizeof(out), mf_span(b, n[0]), mf_span(b, n[1]), mf_span(b, n[2]));
}

static void lengths_are_asserted(void **state)
{
	size_t n[3] = { MF_HKDF_SHA1_IKM_MAX, MF_HKDF_SHA1_SALT_MAX, MF_HKDF_SHA1_INFO_MAX };

	(void)state;
	assert_false(unit_aborts(too_long, n));
	for (unsigned i = 0; i < 3; i++) {
		n[i]++;
		assert_true(unit_aborts(too_long, n));
		n[i]--;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(lengths),
		cmocka_unit_test(lengths_are_asserted),
	};

	return cmocka_run_group_tests_name("crypto/hkdf_sha1", tests, NULL, NULL);
}
