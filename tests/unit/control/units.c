/* SPDX-License-Identifier: Apache-2.0 */
#include "control/units.h"

#include "unit.h"

static void test_bytes(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 999, "999 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.00 KiB" },
		{ 1464, "1.43 KiB" },
		{ 10 * 1024, "10.0 KiB" },
		{ 999 * 1024, "999 KiB" },
		{ 1023 * 1024, "1.00 MiB" },
		{ 12ull << 30, "12.0 GiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char out[MF_UNIT_STRLEN];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++)
		assert_string_equal(mf_unit_bytes(cases[i].n, out), cases[i].text);
}

static void test_rates(void **state)
{
	char out[MF_UNIT_STRLEN];

	(void)state;
	assert_string_equal(mf_unit_rate(0, out), "0 bit/s");
	assert_string_equal(mf_unit_rate(1, out), "8 bit/s");
	assert_string_equal(mf_unit_rate(125, out), "1.00 kbit/s");
	assert_string_equal(mf_unit_rate(1e9 / 8, out), "1.00 Gbit/s");
	assert_string_equal(mf_unit_rate(3.1e9 / 8, out), "3.10 Gbit/s");
	assert_string_equal(mf_unit_rate(99.96e6 / 8, out), "100 Mbit/s");
}

static void test_counts(void **state)
{
	char out[MF_UNIT_STRLEN];

	(void)state;
	assert_string_equal(mf_unit_count(0, out), "0");
	assert_string_equal(mf_unit_count(9999, out), "9999");
	assert_string_equal(mf_unit_count(10000, out), "10 000");
	assert_string_equal(mf_unit_count(1234567, out), "1 234 567");
	assert_string_equal(mf_unit_count(UINT64_MAX, out), "18 446 744 073 709 551 615");
}

static void test_durations(void **state)
{
	char out[MF_UNIT_STRLEN];

	(void)state;
	assert_string_equal(mf_unit_duration(0, out), "0 ms");
	assert_string_equal(mf_unit_duration(85 * MF_USEC, out), "85 \u00b5s");
	assert_string_equal(mf_unit_duration(MF_MSEC - 1, out), "999 \u00b5s");
	assert_string_equal(mf_unit_duration(MF_MSEC, out), "1.0 ms");
	assert_string_equal(mf_unit_duration(4160 * MF_USEC, out), "4.2 ms");
	assert_string_equal(mf_unit_duration(10 * MF_MSEC, out), "10 ms");
	assert_string_equal(mf_unit_duration(999 * MF_MSEC, out), "999 ms");
	assert_string_equal(mf_unit_duration(59 * MF_SEC, out), "59 s");
	assert_string_equal(mf_unit_duration(185 * MF_SEC, out), "3 min 5 s");
	assert_string_equal(mf_unit_duration(3599 * MF_SEC, out), "59 min 59 s");
	assert_string_equal(mf_unit_duration(7800 * MF_SEC, out), "2 h 10 min");
	assert_string_equal(mf_unit_duration(442800 * MF_SEC, out), "5 d 3 h");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
