/* SPDX-License-Identifier: Apache-2.0
 *
 * aes128 - FIPS 197 C.1, test cases 3 and 4 of "The Galois/Counter Mode of Operation (GCM)" (McGrew and Viega
 * 2004), the header protection of RFC 9001 A.2, and packets with a bit changed.
 */
#include "vectors.h"

#include "crypto/aes128.h"

static struct mf_aes128 *c;

static void set_keys(const char *gcm, const char *block)
{
	uint8_t g[16] = { 0 }, b[16] = { 0 };

	from_hex(g, sizeof(g), gcm);
	from_hex(b, sizeof(b), block);
	mf_aes128_set_keys(c, g, b);
}

static void block_hex(const char *key, const char *in, const char *want)
{
	uint8_t b[16];

	set_keys("", key);
	from_hex(b, sizeof(b), in);
	mf_aes128_block(c, b, b);
	assert_hex(b, want);
}

static void blocks(void **state)
{
	(void)state;
	block_hex("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff",
		  "69c4e0d86a7b0430d8cdb78070b4c55a");
	block_hex("9f50449e04a0e810283a1e9933adedd2", "d1b1c98dd7689fb8ec11d242b123dc9b",
		  "437b9aec36");
}

#define PLAIN                                                              \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" \
	"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define SEALED                                                             \
	"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e" \
	"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"

static void gcm_hex(const char *plain, const char *aad, const char *want)
{
	uint8_t b[128], a[32], iv[12], again[128];
	size_t n = from_hex(b, sizeof(b), plain);
	struct mf_span associated = mf_span(a, from_hex(a, sizeof(a), aad));

	set_keys("feffe9928665731c6d6a8f9467308308", "");
	from_hex(iv, sizeof(iv), "cafebabefacedbaddecaf888");
	mf_aes128_gcm_seal(c, iv, associated, b, n, b);
	assert_hex(b, want);
	assert_true(mf_aes128_gcm_open(c, iv, associated, b, n + 16, again));
	assert_hex(again, plain);
	assert_true(mf_aes128_gcm_open(c, iv, associated, b, n + 16, b));
	assert_hex(b, plain);
}

static void known_answers(void **state)
{
	(void)state;
	gcm_hex(PLAIN "1aafd255", "",
		SEALED "473f5985"
		       "4d5c2af327cd64a62cf35abd2ba6fab4");
	gcm_hex(PLAIN, "feedfacedeadbeeffeedfacedeadbeefabaddad2",
		SEALED "5bc94fbc3221a5db94fae95ae7121a47");
}

/* Every single bit counts: of the text, the tag, the associated data and the IV. */
static void forgeries(void **state)
{
	uint8_t iv[12] = { 1 }, aad[20] = { 2 }, b[50 + 16], out[50];
	struct {
		uint8_t *p;
		size_t n;
	} parts[] = { { iv, sizeof(iv) }, { aad, sizeof(aad) }, { b, sizeof(b) } };

	(void)state;
	pattern(b, 50, 3);
	mf_aes128_gcm_seal(c, iv, mf_span(aad, sizeof(aad)), b, 50, b);
	assert_true(mf_aes128_gcm_open(c, iv, mf_span(aad, sizeof(aad)), b, sizeof(b), out));
	for (size_t k = 0; k < 3; k++)
		for (size_t bit = 0; bit < 8 * parts[k].n; bit++) {
			parts[k].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(mf_aes128_gcm_open(c, iv, mf_span(aad, sizeof(aad)), b,
							sizeof(b), out));
			parts[k].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	for (size_t n = 0; n < sizeof(b); n++)
		assert_false(mf_aes128_gcm_open(c, iv, mf_span(aad, sizeof(aad)), b, n, out));
}

/* Nothing but a tag. */
static void empty(void **state)
{
	uint8_t iv[12] = { 1 }, tag[16];

	(void)state;
	mf_aes128_gcm_seal(c, iv, mf_span(NULL, 0), NULL, 0, tag);
	assert_true(mf_aes128_gcm_open(c, iv, mf_span(NULL, 0), tag, 16, iv));
	tag[0] ^= 1;
	assert_false(mf_aes128_gcm_open(c, iv, mf_span(NULL, 0), tag, 16, iv));
}

static int setup(void **state)
{
	(void)state;
	c = mf_aes128_new();
	return c ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	mf_aes128_free(c);
	mf_aes128_free(NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks),
		cmocka_unit_test(known_answers),
		cmocka_unit_test(forgeries),
		cmocka_unit_test(empty),
	};

	return cmocka_run_group_tests_name("crypto/aes128", tests, setup, teardown);
}
