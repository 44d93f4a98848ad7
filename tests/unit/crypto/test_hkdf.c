/* SPDX-License-Identifier: Apache-2.0
 *
 * hkdf - the first test case of RFC 5869 (its extraction), HMAC of RFC 4231, and the secrets and keys of QUIC in
 * RFC 9001 A.1.
 */
#include "vectors.h"

#include "crypto/hkdf.h"

static void hmac_hex(const char *key, const char *msg, const char *want)
{
	uint8_t k[64], m[64], out[MF_HKDF_LEN];
	struct mf_hkdf_key prepared;

	mf_hkdf_key_init(&prepared, k, from_hex(k, sizeof(k), key));
	mf_hkdf_hmac(out, &prepared, m, from_hex(m, sizeof(m), msg));
	assert_hex(out, want);
}

static void hmac(void **state)
{
	(void)state;
	/* RFC 5869 A.1 */
	hmac_hex("000102030405060708090a0b0c", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		 "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
	/* RFC 4231 4.2 and 4.3 */
	hmac_hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
		 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	hmac_hex("4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void labels(void **state)
{
	static const char secret[] =
		"c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea";
	static const char initial[] =
		"7db5df06e7a69e432496adedb00851923595221596ae2ae9fb8115c1e9ed0a44";
	uint8_t out[MF_HKDF_LEN];
	struct mf_hkdf_key k;

	(void)state;
	hmac_hex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a", "8394c8f03e515708", initial);
	mf_hkdf_key_init(&k, out, from_hex(out, sizeof(out), initial));
	mf_hkdf_expand_label(out, 32, &k, "client in");
	assert_hex(out, secret);
	mf_hkdf_key_init(&k, out, 32);
	mf_hkdf_expand_label(out, 16, &k, "quic key");
	assert_hex(out, "1f369613dd76d5467730efcbe3b1a22d");
	mf_hkdf_expand_label(out, 12, &k, "quic iv");
	assert_hex(out, "fa044b2f42a3fd3b46fb255c");
	mf_hkdf_expand_label(out, 16, &k, "quic hp");
	assert_hex(out, "9f50449e04a0e810283a1e9933adedd2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac),
		cmocka_unit_test(labels),
	};

	return cmocka_run_group_tests_name("crypto/hkdf", tests, NULL, NULL);
}
