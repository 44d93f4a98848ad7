/* SPDX-License-Identifier: Apache-2.0
 *
 * blake3 - the official test vectors (byte i of the input is i mod 251) up to two chunks, and the
 * session key of Shadowsocks 2022.
 */
#include "vectors.h"

#include "crypto/blake3.h"
#include "unit.h"

static const char context[] = "BLAKE3 2019-12-27 16:29:52 test vectors context";

static const struct {
	size_t n;
	const char *hash, *derived;
} answers[] = {
	{ 0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
	  "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d" },
	{ 1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
	  "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c" },
	{ 64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98",
	  "a5c4a7053fa86b64746d4bb688d06ad1f02a18fce9afd3e818fefaa7126bf73e" },
	{ 1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
	  "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706" },
	{ 1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
	  "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb" },
};

static void official(void **state)
{
	uint8_t in[MF_BLAKE3_INPUT_MAX], out[MF_BLAKE3_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i % 251);
	for (size_t i = 0; i < MF_ARRAY_LEN(answers); i++) {
		mf_blake3_hash(out, in, answers[i].n);
		assert_hex(out, answers[i].hash);
		mf_blake3_derive(out, context, in, answers[i].n);
		assert_hex(out, answers[i].derived);
	}
}

static void in_place(void **state)
{
	uint8_t b[MF_BLAKE3_LEN], want[MF_BLAKE3_LEN];

	(void)state;
	pattern(b, sizeof(b), 1);
	mf_blake3_hash(want, b, sizeof(b));
	mf_blake3_hash(b, b, sizeof(b));
	assert_memory_equal(b, want, sizeof(b));
}

static void too_long(void *arg)
{
	static const uint8_t in[MF_BLAKE3_INPUT_MAX + 1];
	uint8_t out[MF_BLAKE3_LEN];

	(void)arg;
	mf_blake3_hash(out, in, sizeof(in));
}

static void length_is_asserted(void **state)
{
	(void)state;
	assert_true(unit_aborts(too_long, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(official),
		cmocka_unit_test(in_place),
		cmocka_unit_test(length_is_asserted),
	};

	return cmocka_run_group_tests_name("crypto/blake3", tests, NULL, NULL);
}
