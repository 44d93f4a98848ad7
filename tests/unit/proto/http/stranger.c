/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/http/stranger.h"

static void expect(const char *bytes, mf_err want, enum mf_proxy_fault fault)
{
	struct mf_codec c = { 0 };

	assert_int_equal(mf_stranger(&c, mf_span(bytes, strlen(bytes))), want);
	assert_int_equal(c.fault, fault);
}

static void test_who(void **state)
{
	(void)state;
	expect("H", MF_OK, MF_PROXY_NONE);
	expect("HTTP/1", MF_OK, MF_PROXY_NONE);
	expect("HTTP/1.1 400 Bad Request\r\n", MF_E_MALFORMED, MF_PROXY_NOT_PROXY);
	expect("HTTP/2", MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	expect("\x15\x03\x03", MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	expect("SSH-2.0-x", MF_E_MALFORMED, MF_PROXY_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
