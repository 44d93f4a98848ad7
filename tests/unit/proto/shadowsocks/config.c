/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of methods, keys from passwords, and what is said of those that are none.
 */
#include "lab.h"

#include "proto/shadowsocks/internal.h"

static void names(void **state)
{
	static const struct {
		const char *name;
		enum mf_ss_method m;
	} also[] = {
		{ "AES-256-GCM", MF_SS_AES_256_GCM },
		{ "chacha20-poly1305", MF_SS_CHACHA20_IETF_POLY1305 },
		{ "AEAD_CHACHA20_POLY1305", MF_SS_CHACHA20_IETF_POLY1305 },
		{ "AEAD_AES_128_GCM", MF_SS_AES_128_GCM },
		{ "aead_aes_256_gcm", MF_SS_AES_256_GCM },
	};
	static const char *const none[] = { "",
					    "rc4-md5",
					    "aes-256-cfb",
					    "aes-256-gcm ",
					    "aes-192-gcm",
					    "xchacha20-ietf-poly1305",
					    "none",
					    "2022-blake3" };
	enum mf_ss_method m;

	(void)state;
	for (unsigned i = 0; i < MF_SS_METHODS; i++) {
		assert_true(mf_ss_method_find(mf_ss_method_name(i), &m));
		assert_int_equal(m, i);
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(also); i++) {
		assert_true(mf_ss_method_find(also[i].name, &m));
		assert_int_equal(m, also[i].m);
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(none); i++)
		assert_false(mf_ss_method_find(none[i], &m));
}

static void assert_subkey(const struct lab *l, const char *salt, const char *want)
{
	uint8_t b[MF_SS_KEY_MAX];
	size_t n = lab_hex(b, sizeof(b), salt);
	struct mf_cipher_key k;

	assert_int_equal(n, mf_ss_key_len(&l->config));
	mf_ss_session_key(&k, &l->config, mf_span(b, n), false);
	assert_int_equal(k.alg, mf_ss_alg(&l->config));
	assert_true(k.serial != 0);
	lab_assert_hex(k.b, n, want);
	mf_ss_session_key(&k, &l->config, mf_span(b, n), true);
	assert_true(k.serial == 0);
	lab_assert_hex(k.b, n, want);
}

static void session_keys(void **state)
{
	struct lab l;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(ss_known); i++) {
		lab_init(&l, ss_known[i].method, "correct horse", 0);
		assert_subkey(&l, ss_known[i].salt, ss_known[i].subkey);
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(ss_known_2022); i++) {
		lab_init(&l, ss_known_2022[i].method, ss_known_2022[i].password, 0);
		assert_subkey(&l, ss_known_2022[i].salt, ss_known_2022[i].subkey);
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(ss_known_identity); i++) {
		lab_init(&l, ss_known_identity[i].method, ss_known_identity[i].password, 0);
		assert_int_equal(l.config.n_identities, 1);
		lab_assert_hex(l.config.next[0], MF_SS_IDENTITY_LEN, ss_known_identity[i].next);
	}
}

/* Whoever compares two configurations may compare their bytes. */
static void same_bytes(void **state)
{
	struct mf_ss_config a, b;
	enum mf_ss_method m;

	(void)state;
	for (unsigned i = 0; i < LAB_METHODS; i++) {
		memset(&a, 0x11, sizeof(a));
		memset(&b, 0x22, sizeof(b));
		assert_true(mf_ss_method_find(lab_methods[i].method, &m));
		assert_int_equal(mf_ss_config_set(&a, m, lab_methods[i].password, NULL), MF_OK);
		assert_int_equal(mf_ss_config_set(&b, m, lab_methods[i].password, NULL), MF_OK);
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

static void bad_passwords(void **state)
{
	static const struct {
		enum mf_ss_method m;
		const char *password, *says;
	} bad[] = {
		{ MF_SS_AES_128_GCM, "", "the password is empty" },
		{ MF_SS_2022_BLAKE3_AES_128_GCM, "",
		  "key 1 of the password is not 16 bytes in base64" },
		{ MF_SS_2022_BLAKE3_AES_128_GCM, "secret", "key 1 of the password is not 16 bytes" },
		{ MF_SS_2022_BLAKE3_AES_256_GCM, LAB_PSK16("A"),
		  "key 1 of the password is not 32 bytes" },
		{ MF_SS_2022_BLAKE3_AES_128_GCM, LAB_PSK16("A") ":", "key 2 of the password" },
		{ MF_SS_2022_BLAKE3_AES_128_GCM, ":" LAB_PSK16("A"), "key 1 of the password" },
		{ MF_SS_2022_BLAKE3_AES_128_GCM, LAB_PSK16("A") ":secret", "key 2 of the password" },
		{ MF_SS_2022_BLAKE3_CHACHA20_POLY1305,
		  "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=:"
		  "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
		  "2022-blake3-chacha20-poly1305 has no identity headers" },
		{ MF_SS_2022_BLAKE3_AES_128_GCM,
		  LAB_PSK16("A") ":" LAB_PSK16("A") ":" LAB_PSK16("A") ":" LAB_PSK16(
			  "A") ":" LAB_PSK16("A") ":" LAB_PSK16("A"),
		  "more than 5 keys" },
	};
	static const struct mf_ss_config zero;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		struct mf_ss_config c;
		struct mf_errbuf eb;

		memset(&c, 0x33, sizeof(c));
		assert_int_equal(mf_ss_config_set(&c, bad[i].m, bad[i].password, &eb),
				 MF_E_MALFORMED);
		assert_non_null(strstr(eb.text, bad[i].says));
		assert_null(strstr(eb.text, "secret"));
		assert_null(strstr(eb.text, "AQID"));
		assert_memory_equal(&c, &zero, sizeof(c));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(session_keys),
		cmocka_unit_test(same_bytes),
		cmocka_unit_test(bad_passwords),
	};

	return cmocka_run_group_tests_name("proto/shadowsocks/config", tests, NULL, NULL);
}
