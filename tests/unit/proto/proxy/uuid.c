/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/proxy/uuid.h"

static const uint8_t bytes[MF_UUID_LEN] = { 0xb8, 0x31, 0x38, 0x1d, 0x63, 0x24, 0x4d, 0x53,
					    0xad, 0x4f, 0x8c, 0xda, 0x48, 0xb3, 0x08, 0x11 };
static const char text[] = "b831381d-6324-4d53-ad4f-8cda48b30811";

static void test_forms(void **state)
{
	static const char *const forms[] = { text, "B831381D-6324-4D53-AD4F-8CDA48B30811",
					     "b831381d63244d53ad4f8cda48b30811" };
	char back[MF_UUID_STRLEN];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(forms); i++) {
		uint8_t out[MF_UUID_LEN];
		bool mapped = true;

		assert_int_equal(mf_uuid_parse(out, forms[i], &mapped), MF_OK);
		assert_memory_equal(out, bytes, sizeof(out));
		assert_false(mapped);
	}
	assert_string_equal(mf_uuid_format(bytes, back), text);
}

static void expect_mapped(const char *id, const char *want)
{
	uint8_t out[MF_UUID_LEN];
	char back[MF_UUID_STRLEN];
	bool mapped = false;

	assert_int_equal(mf_uuid_parse(out, id, &mapped), MF_OK);
	assert_true(mapped);
	assert_string_equal(mf_uuid_format(out, back), want);
}

/* The first is Xray's own test; the others were computed with Python's uuid.uuid5 and a
 * namespace of zeros. */
static void test_mapped(void **state)
{
	(void)state;
	expect_mapped("example", "feb54431-301b-52bb-a6dd-e1e93e81bb9e");
	expect_mapped("a", "35b65f33-a679-5e76-af3c-273ea349ede4");
	expect_mapped("123456789012345678901234567890", "3d2e4120-1e1e-52f0-b92d-f67cfbfb1982");
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"",
		"1234567890123456789012345678901",       /* 31 */
		"b831381d63244d53ad4f8cda48b3081g",      /* 32, a digit that is none */
		"b831381d63244d53ad4f8cda48b308111",     /* 33 */
		"b831381d-6324-4d53-ad4f-8cda48b3081",   /* 35 */
		"b831381d-6324-4d53-ad4f-8cda48b308111", /* 37 */
		"b831381d06324-4d53-ad4f-8cda48b30811",  /* a digit for a dash */
		"b831381-d6324-4d53-ad4f-8cda48b30811",  /* a dash in the wrong place */
		"{b831381d63244d53ad4f8cda48b30811}",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		uint8_t out[MF_UUID_LEN];

		assert_int_equal(mf_uuid_parse(out, bad[i], NULL), MF_E_MALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_malformed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
