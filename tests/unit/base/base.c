/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include "base/endian.h"
#include "unit.h"

static void test_small_arithmetic(void **state)
{
	(void)state;
	assert_int_equal(mf_round_up(0, 16), 0);
	assert_int_equal(mf_round_up(1, 16), 16);
	assert_int_equal(mf_round_up(16, 16), 16);
	assert_int_equal(mf_round_up(17, 16), 32);
	assert_false(mf_is_pow2(0));
	assert_true(mf_is_pow2(1));
	assert_true(mf_is_pow2(64));
	assert_false(mf_is_pow2(65));
	assert_int_equal(mf_min(3, 5), 3);
	assert_int_equal(mf_max(3, 5), 5);
}

static void test_wipe_and_compare(void **state)
{
	uint8_t a[40], b[40];

	(void)state;
	memset(a, 0x5a, sizeof(a));
	memset(b, 0x5a, sizeof(b));
	for (size_t i = 0; i < sizeof(a); i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			a[i] ^= (uint8_t)(1u << bit);
			assert_false(mf_equal_secret(a, b, sizeof(a)));
			a[i] ^= (uint8_t)(1u << bit);
		}
	}
	assert_true(mf_equal_secret(a, b, sizeof(a)));
	assert_true(mf_equal_secret(a, a + 1, 0));
	mf_wipe(a, 39);
	for (size_t i = 0; i < 39; i++)
		assert_int_equal(a[i], 0);
	assert_int_equal(a[39], 0x5a);
}

static void test_byte_orders(void **state)
{
	static const uint8_t wire[9] = { 0xff, 1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t out[9] = { 0xff };
	struct {
		mf_be16 a;
		mf_le32 b;
	} view;

	(void)state;
	assert_int_equal(mf_load_be16(wire + 1), 0x0102);
	assert_int_equal(mf_load_be32(wire + 1), 0x01020304);
	assert_true(mf_load_be64(wire + 1) == 0x0102030405060708u);
	assert_int_equal(mf_load_le16(wire + 1), 0x0201);
	assert_int_equal(mf_load_le32(wire + 1), 0x04030201);
	assert_true(mf_load_le64(wire + 1) == 0x0807060504030201u);
	mf_store_be64(out + 1, 0x0102030405060708u);
	assert_memory_equal(out, wire, sizeof(wire));
	mf_store_le64(out + 1, 0x0807060504030201u);
	assert_memory_equal(out, wire, sizeof(wire));
	assert_int_equal(sizeof(view), 6);
	memcpy(&view, wire + 1, sizeof(view));
	assert_int_equal(mf_be16_get(view.a), 0x0102);
	assert_int_equal(mf_le32_get(view.b), 0x06050403);
	view.a = mf_be16_of(0xbeef);
	assert_memory_equal(&view, "\xbe\xef", 2);
}

static void test_prng_known_answers(void **state)
{
	/* The first outputs of splitmix64 for seed 1234567 (Rosetta Code, "Pseudo-random
	 * numbers/Splitmix64"). */
	static const uint64_t want[] = { 6457827717110365317u, 3203168211198807973u,
					 9817491932198370423u, 4593380528125082431u,
					 16408922859458223821u };
	struct mf_prng g = { .state = 1234567 }, h = g;
	uint8_t filled[19];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(want); i++)
		assert_true(mf_prng_u64(&g) == want[i]);
	mf_prng_fill(&h, filled, sizeof(filled));
	assert_memory_equal(filled, want, sizeof(filled));
	for (int i = 0; i < 1000; i++)
		assert_true(mf_prng_below(&g, 7) < 7);
	assert_int_equal(mf_prng_below(&g, 1), 0);
}

static void fail_assertion(void *arg)
{
	MF_ASSERT(arg != NULL);
}

static void test_assertion_aborts(void **state)
{
	(void)state;
	assert_true(unit_aborts(fail_assertion, NULL));
	assert_false(unit_aborts(fail_assertion, &(int){ 1 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_arithmetic), cmocka_unit_test(test_wipe_and_compare),
		cmocka_unit_test(test_byte_orders),      cmocka_unit_test(test_prng_known_answers),
		cmocka_unit_test(test_assertion_aborts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
