/* SPDX-License-Identifier: Apache-2.0
 *
 * digest - the test suites of RFC 1321 A.5 (MD5) and RFC 3174 7.3 (SHA-1), the examples of RFC 3874 3 (SHA-224) and
 * FIPS 180-2 B (SHA-256); cut into spans in every way.
 */
#include "vectors.h"

#include "crypto/digest.h"

#define LONG "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"

static const struct {
	enum mf_digest_alg alg;
	size_t len;
	const char *text, *want;
} known[] = {
	{ MF_MD5, MF_MD5_LEN, "", "d41d8cd98f00b204e9800998ecf8427e" },
	{ MF_MD5, MF_MD5_LEN, "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
	{ MF_SHA1, MF_SHA1_LEN, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ MF_SHA1, MF_SHA1_LEN, LONG, "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
	{ MF_SHA224, MF_SHA224_LEN, "abc",
	  "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7" },
	{ MF_SHA224, MF_SHA224_LEN, LONG, "75388b16512776cc5dba5da1fd890150b0c6455cb4f58b1952522525" },
	{ MF_SHA256, MF_SHA256_LEN, "abc",
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ MF_SHA256, MF_SHA256_LEN, LONG,
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static void test_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i].text);
		uint8_t want[MF_DIGEST_MAX], got[MF_DIGEST_MAX + 1];

		assert_int_equal(from_hex(want, sizeof(want), known[i].want), known[i].len);
		for (size_t cut = 0; cut <= n; cut++) {
			const struct mf_span v[] = { mf_span(known[i].text, cut), mf_span(NULL, 0),
						     mf_span(known[i].text + cut, n - cut) };

			got[known[i].len] = 0xaa;
			mf_digest(known[i].alg, v, MF_ARRAY_LEN(v), got);
			assert_memory_equal(got, want, known[i].len);
			assert_int_equal(got[known[i].len], 0xaa);
		}
	}
}

/* Passwords become keys by hashing what has been hashed. */
static void test_in_place(void **state)
{
	uint8_t b[MF_MD5_LEN] = { 0 }, want[MF_MD5_LEN];
	struct mf_span v = mf_span(b, sizeof(b));

	(void)state;
	mf_digest(MF_MD5, &v, 1, want);
	mf_digest(MF_MD5, &v, 1, b);
	assert_memory_equal(b, want, sizeof(b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_in_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
