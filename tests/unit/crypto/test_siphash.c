/* SPDX-License-Identifier: Apache-2.0
 *
 * siphash - the example of the paper, its appendix A, and the empty message; for SipHash-1-3 what
 * CPython 3.11 makes of bytes objects.
 */
#include "vectors.h"

#include "crypto/siphash.h"

static void known_answers(void **state)
{
	uint8_t key[MF_SIPHASH_KEY_LEN], msg[15];

	(void)state;
	for (uint8_t i = 0; i < sizeof(key); i++)
		key[i] = i;
	for (uint8_t i = 0; i < sizeof(msg); i++)
		msg[i] = i;
	assert_true(mf_siphash(key, msg, sizeof(msg)) == 0xa129ca6149be45e5u);
	assert_true(mf_siphash(key, msg, 0) == 0x726fdb47dd0e0e31u);
	key[15] ^= 0x80;
	assert_true(mf_siphash(key, msg, sizeof(msg)) != 0xa129ca6149be45e5u);
}

/* The bytes 1 to 8, and then 0, 7, 14 and so on; the key is that of PYTHONHASHSEED=42. */
static void known_answers_13(void **state)
{
	static const uint8_t key[] = { 0xaf, 0x90, 0xcd, 0x68, 0xd3, 0x4f, 0x50, 0xdc,
				       0xc1, 0xe9, 0x99, 0xfe, 0x9f, 0xbb, 0x20, 0xb9 };
	static const struct {
		size_t n;
		uint64_t hash;
	} known[] = {
		{ 0, 0xcd17174de003c80e },  { 1, 0xee761d568a741e72 },   { 7, 0x07ef91f1b9cbfdb4 },
		{ 8, 0x50164d2c4b62562d },  { 9, 0xf5d9ab458e75711a },   { 15, 0x9c5adc7e219ff532 },
		{ 16, 0xa3ccd0b239756b21 }, { 17, 0x2567705b969ac7e9 },  { 34, 0x5e7c130890251c61 },
		{ 63, 0x5bf8ad6d33a0e81d }, { 255, 0x9dcc7cffa5f7d897 },
	};

	(void)state;
	for (size_t k = 0; k < MF_ARRAY_LEN(known); k++) {
		uint8_t *msg = malloc(1 + known[k].n), *at = msg + 1; /* not aligned */

		assert_non_null(msg);
		for (size_t i = 0; i < known[k].n; i++)
			at[i] = (uint8_t)(i * 7);
		assert_true(mf_siphash13(key, 0x0807060504030201, at, known[k].n) == known[k].hash);
		free(msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(known_answers_13),
	};

	return cmocka_run_group_tests_name("crypto/siphash", tests, NULL, NULL);
}
