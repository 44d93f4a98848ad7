/* SPDX-License-Identifier: Apache-2.0
 *
 * siphash - the example of the paper, its appendix A, and the empty message.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
	};

	return cmocka_run_group_tests_name("crypto/siphash", tests, NULL, NULL);
}
