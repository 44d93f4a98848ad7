/* SPDX-License-Identifier: Apache-2.0 */
#include "control/table.h"

#include "unit.h"

static const struct mf_column columns[] = {
	{ "name", "name", MF_CELL_TEXT },      { "bytes", "received", MF_CELL_BYTES },
	{ "list", "addresses", MF_CELL_LIST }, { "raw", NULL, MF_CELL_NUMBER },
	{ NULL, "shown", MF_CELL_FLAG },       { "age", "age", MF_CELL_DURATION },
};

static void row(struct mf_report *r, const char *name, uint64_t bytes, const char *list, bool aged)
{
	mf_cell_text(r, name);
	mf_cell_u64(r, bytes);
	mf_cell_text(r, list);
	mf_cell_u64(r, bytes);
	mf_cell_flag(r, true);
	if (aged)
		mf_cell_u64(r, 1500 * MF_MSEC);
	else
		mf_cell_none(r);
}

static struct mf_report *sample(void)
{
	struct mf_report *r = mf_report_new();

	assert_non_null(r);
	mf_report_fact(r, "tunnel", "tunnel", MF_CELL_TEXT);
	mf_cell_text(r, "mint0");
	mf_report_fact(r, "rate", "speed", MF_CELL_RATE);
	mf_cell_double(r, 125000);
	mf_report_fact(r, "hidden", NULL, MF_CELL_NUMBER);
	mf_cell_u64(r, 7);
	mf_report_fact(r, "missing", "on the way", MF_CELL_SIGNED);
	mf_cell_double(r, -3);
	mf_report_table(r, "rows", "Rows", columns, MF_ARRAY_LEN(columns), "none");
	row(r, "a", 1, "10.0.0.1\nfd00::1", true);
	row(r, "longer name", 2048, "", false);
	mf_report_table(r, "nothing", "Nothing", columns, MF_ARRAY_LEN(columns), "none");
	mf_report_note(r, "%d more", 5);
	return r;
}

/* What is only in JSON leaves no empty line at the top. */
static void test_first_title(void **state)
{
	struct mf_report *r = mf_report_new();
	struct mf_text out = { 0 };

	(void)state;
	assert_non_null(r);
	mf_report_fact(r, "hidden", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, true);
	mf_report_table(r, "nothing", "Nothing", columns, MF_ARRAY_LEN(columns), "none");
	mf_report_print(r, &out);
	assert_string_equal(out.s, "Nothing\n  none\n");
	mf_text_free(&out);
	mf_report_free(r);
}

static void test_text_is_aligned(void **state)
{
	struct mf_report *r = sample();
	struct mf_text out = { 0 };

	(void)state;
	mf_report_print(r, &out);
	assert_string_equal(out.s, "tunnel:     mint0\n"
				   "speed:      1.00 Mbit/s\n"
				   "on the way: -3\n"
				   "\n"
				   "Rows\n"
				   "  name         received  addresses  shown  age\n"
				   "  a                 1 B  10.0.0.1   yes    1 s\n"
				   "                         fd00::1\n"
				   "  longer name  2.00 KiB             yes      -\n"
				   "\n"
				   "Nothing\n"
				   "  none\n"
				   "5 more\n");
	mf_text_free(&out);
	mf_report_free(r);
}

static void test_json_is_raw(void **state)
{
	struct mf_report *r = sample();
	struct mf_text out = { 0 };
	struct mf_json j = mf_json_init(&out);

	(void)state;
	mf_report_json(r, &j);
	assert_string_equal(
		out.s, "{\"tunnel\":\"mint0\",\"rate\":125000,\"hidden\":7,\"missing\":-3,"
		       "\"rows\":[{\"name\":\"a\",\"bytes\":1,\"list\":[\"10.0.0.1\",\"fd00::1\"],"
		       "\"raw\":1,\"age\":1.5},"
		       "{\"name\":\"longer name\",\"bytes\":2048,\"list\":[],\"raw\":2048,"
		       "\"age\":null}],"
		       "\"nothing\":[],\"notes\":[\"5 more\"]}");
	mf_text_free(&out);
	mf_report_free(r);
}

/* A log line or a name may hold anything: a terminal must not obey it. */
static void test_no_escape_reaches_a_terminal(void **state)
{
	static const struct mf_column column[] = { { "text", "text", MF_CELL_TEXT } };
	struct mf_report *r = mf_report_new();
	struct mf_text out = { 0 };

	(void)state;
	mf_report_table(r, "t", NULL, column, 1, NULL);
	mf_cell_text(r, "a\033[2Jb\rc\177d");
	mf_report_print(r, &out);
	assert_string_equal(out.s, "text\na?[2Jb?c?d\n");
	mf_text_free(&out);
	mf_report_free(r);
}

static void wrong_kind(void *arg)
{
	struct mf_report *r = mf_report_new();

	(void)arg;
	mf_report_fact(r, "n", "n", MF_CELL_NUMBER);
	mf_cell_text(r, "text");
}

static void test_a_cell_of_the_wrong_kind_is_a_bug(void **state)
{
	(void)state;
	assert_true(unit_aborts(wrong_kind, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_title),
		cmocka_unit_test(test_text_is_aligned),
		cmocka_unit_test(test_json_is_raw),
		cmocka_unit_test(test_no_escape_reaches_a_terminal),
		cmocka_unit_test(test_a_cell_of_the_wrong_kind_is_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
