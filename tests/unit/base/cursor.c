/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"

#include "unit.h"

static void test_reads_in_order(void **state)
{
	static const uint8_t in[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18 };
	struct mf_rd r = mf_rd_init(mf_span(in, sizeof(in)));

	(void)state;
	assert_int_equal(mf_rd_u8(&r), 1);
	assert_int_equal(mf_rd_be16(&r), 0x0203);
	assert_int_equal(mf_rd_le32(&r), 0x07060504);
	assert_true(mf_rd_be64(&r) == 0x08090a0b0c0d0e0fu);
	assert_int_equal(mf_rd_left(&r), 3);
	assert_int_equal(mf_rd_done(&r), MF_E_MALFORMED);
	assert_ptr_equal(mf_rd_bytes(&r, 3), in + 15);
	assert_int_equal(mf_rd_done(&r), MF_OK);
}

static void test_failure_sticks(void **state)
{
	static const uint8_t in[] = { 1, 2, 3 };
	struct mf_rd r = mf_rd_init(mf_span(in, sizeof(in)));

	(void)state;
	assert_int_equal(mf_rd_be32(&r), 0);
	assert_int_equal(mf_rd_left(&r), 0);
	/* Three bytes are there, but the parser has lost its way. */
	assert_int_equal(mf_rd_u8(&r), 0);
	assert_null(mf_rd_bytes(&r, 1));
	assert_int_equal(mf_rd_done(&r), MF_E_SHORT);
}

static void test_huge_length_does_not_wrap(void **state)
{
	static const uint8_t in[] = { 1, 2, 3 };
	struct mf_rd r = mf_rd_init(mf_span(in, sizeof(in)));

	(void)state;
	assert_null(mf_rd_bytes(&r, SIZE_MAX));
	assert_int_equal(mf_rd_done(&r), MF_E_SHORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_in_order),
		cmocka_unit_test(test_failure_sticks),
		cmocka_unit_test(test_huge_length_does_not_wrap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
