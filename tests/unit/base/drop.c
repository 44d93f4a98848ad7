/* SPDX-License-Identifier: Apache-2.0 */
#include "base/drop.h"

#include "unit.h"

static void test_names_follow_from_the_list(void **state)
{
	(void)state;
	assert_string_equal(mf_drop_name(MF_DROP_NONE), "none");
	assert_string_equal(mf_drop_name(MF_DROP_WG_NO_PEER), "wg-no-peer");
	assert_string_equal(mf_drop_name(MF_DROP_IP_MARTIAN_DESTINATION), "ip-martian-destination");
	assert_string_equal(mf_drop_text(MF_DROP_IP_TTL), "TTL or hop limit used up");
}

static void test_names_and_texts_differ(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MF_DROP_COUNT; i++) {
		const char *name = mf_drop_name((enum mf_drop)i);

		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(name));
		for (unsigned k = 0; k < i; k++) {
			assert_string_not_equal(name, mf_drop_name((enum mf_drop)k));
			assert_string_not_equal(mf_drop_text((enum mf_drop)i),
						mf_drop_text((enum mf_drop)k));
		}
	}
}

static void test_beyond_the_list(void **state)
{
	(void)state;
	assert_string_equal(mf_drop_name(MF_DROP_COUNT), "unknown");
	assert_string_equal(mf_drop_text((enum mf_drop)0xffff), "unknown reason");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_follow_from_the_list),
		cmocka_unit_test(test_names_and_texts_differ),
		cmocka_unit_test(test_beyond_the_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
