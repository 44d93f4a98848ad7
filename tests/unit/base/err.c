/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "unit.h"

static void test_every_error_is_negative_and_has_a_text(void **state)
{
	(void)state;
	assert_int_equal(MF_OK, 0);
	assert_string_equal(mf_err_text(MF_OK), "ok");
	for (int i = 1; i < MF_ERR_COUNT; i++) {
		assert_true(strlen(mf_err_text((mf_err)-i)) > 3);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(mf_err_text((mf_err)-i), mf_err_text((mf_err)-k));
	}
	assert_string_equal(mf_err_text(MF_E_SYSTEM), "the operating system refused");
	assert_string_equal(mf_err_text((mf_err)-MF_ERR_COUNT), "unknown error");
	assert_string_equal(mf_err_text((mf_err)1), "unknown error");
}

static void test_fail_formats_and_returns(void **state)
{
	struct mf_errbuf eb;
	char big[2000];

	(void)state;
	assert_int_equal(mf_fail(&eb, MF_E_RANGE, "port %d", 70000), MF_E_RANGE);
	assert_string_equal(eb.text, "port 70000");
	assert_int_equal(mf_fail(NULL, MF_E_AUTH, "port %d", 70000), MF_E_AUTH);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(mf_fail(&eb, MF_E_FULL, "%s", big), MF_E_FULL);
	assert_int_equal(strlen(eb.text), sizeof(eb.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_error_is_negative_and_has_a_text),
		cmocka_unit_test(test_fail_formats_and_returns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
