/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <ctype.h>

#include "proto/proxy/fault.h"

static const char *const idents[] = {
#define X(NAME, name, text, hint) #NAME,
	MF_PROXY_FAULT_LIST(X)
#undef X
};

/* JSON and counters show the names: those of the enum in lower case. */
static void test_names(void **state)
{
	(void)state;
	for (unsigned f = 0; f < MF_PROXY_FAULTS; f++) {
		const char *name = mf_proxy_fault_name((enum mf_proxy_fault)f);

		assert_int_equal(strlen(name), strlen(idents[f]));
		for (size_t i = 0; name[i]; i++)
			assert_int_equal(name[i], tolower(idents[f][i]));
	}
}

static void test_texts(void **state)
{
	(void)state;
	assert_string_equal(mf_proxy_fault_text(MF_PROXY_REFUSED), "the proxy refuses connections");
	for (unsigned f = 0; f < MF_PROXY_FAULTS; f++) {
		const char *hint = mf_proxy_fault_hint((enum mf_proxy_fault)f);

		assert_true(*mf_proxy_fault_text((enum mf_proxy_fault)f));
		/* Nothing can be done on this side about what a target does. */
		assert_int_equal(!*hint, f == MF_PROXY_NONE ||
						 mf_proxy_fault_is_target((enum mf_proxy_fault)f));
	}
}

static void test_unknown(void **state)
{
	(void)state;
	assert_string_equal(mf_proxy_fault_name(MF_PROXY_FAULTS), "unknown");
	assert_string_equal(mf_proxy_fault_text(MF_PROXY_FAULTS), "unknown fault");
	assert_string_equal(mf_proxy_fault_hint(MF_PROXY_FAULTS), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_unknown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
