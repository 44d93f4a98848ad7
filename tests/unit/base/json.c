/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything written is read back with jansson, which is strict about escapes and UTF-8.
 */
#include "base/json.h"

#include <jansson.h>
#include <math.h>

#include "unit.h"

static json_t *read_back(const struct mf_text *t)
{
	json_error_t error;
	json_t *root = json_loadb(t->s, t->len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("%s in: %s", error.text, t->s);
	assert_int_equal(strlen(t->s), t->len);
	return root;
}

static void test_nesting(void **state)
{
	struct mf_text t = { 0 };
	struct mf_json j = mf_json_init(&t);

	(void)state;
	mf_json_object(&j);
	mf_json_kv_string(&j, "name", "mint0");
	mf_json_key(&j, "list");
	mf_json_array(&j);
	mf_json_u64(&j, UINT64_MAX);
	mf_json_i64(&j, INT64_MIN);
	mf_json_object(&j);
	mf_json_end(&j);
	mf_json_array(&j);
	mf_json_end(&j);
	mf_json_null(&j);
	mf_json_end(&j);
	mf_json_kv_bool(&j, "up", true);
	mf_json_kv_u64(&j, "n", 7);
	mf_json_end(&j);
	assert_string_equal(t.s, "{\"name\":\"mint0\",\"list\":[18446744073709551615,"
				 "-9223372036854775808,{},[],null],\"up\":true,\"n\":7}");
	mf_text_free(&t);
	assert_null(t.s);
}

static void check_string(const char *in, const char *want)
{
	struct mf_text t = { 0 };
	struct mf_json j = mf_json_init(&t);

	mf_json_string(&j, in);
	json_decref(read_back(&t));
	assert_string_equal(t.s, want);
	mf_text_free(&t);
}

#define FFFD "\xef\xbf\xbd"

static void test_strings(void **state)
{
	(void)state;
	check_string("", "\"\"");
	check_string("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
	check_string("\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"");
	check_string("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\xbf",
		     "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\xbf\"");
	/* One replacement for each byte that begins nothing well-formed. */
	check_string("\x80", "\"" FFFD "\"");
	check_string("a\xff"
		     "b",
		     "\"a" FFFD "b\"");
	check_string("\xc0\xaf", "\"" FFFD FFFD "\"");                   /* overlong */
	check_string("\xed\xa0\x80", "\"" FFFD FFFD FFFD "\"");          /* surrogate */
	check_string("\xf4\x90\x80\x80", "\"" FFFD FFFD FFFD FFFD "\""); /* above U+10FFFF */
	check_string("\xe2\x82", "\"" FFFD FFFD "\"");                   /* cut off by the end */
	check_string("\xe2\x82\"", "\"" FFFD FFFD "\\\"\"");
}

static void test_random_bytes_are_always_json(void **state)
{
	struct mf_prng g = unit_prng("json");

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct mf_text t = { 0 };
		struct mf_json j = mf_json_init(&t);
		char in[40];
		size_t n = mf_prng_below(&g, sizeof(in) - 1);
		json_t *root;

		for (size_t k = 0; k < n; k++) {
			/* Lead and continuation bytes often enough to meet. */
			uint64_t r = mf_prng_u64(&g);
			char c = (char)(r % 3 ? 0x80 | (r >> 8 & 0x7f) : r >> 8);

			in[k] = c ? c : '"';
		}
		in[n] = '\0';
		mf_json_object(&j);
		mf_json_kv_string(&j, in, in);
		mf_json_end(&j);
		root = read_back(&t);
		/* What was well-formed to begin with comes back byte for byte. */
		json_t *same = json_string(in);

		if (same)
			assert_string_equal(
				json_string_value(json_object_iter_value(json_object_iter(root))),
				in);
		json_decref(same);
		json_decref(root);
		mf_text_free(&t);
	}
}

static void check_double(double v, const char *want)
{
	struct mf_text t = { 0 };
	struct mf_json j = mf_json_init(&t);

	mf_json_double(&j, v);
	if (want)
		assert_string_equal(t.s, want);
	if (isfinite(v)) {
		json_t *root = read_back(&t);
		double back = json_number_value(root);

		assert_true(back == v);
		json_decref(root);
	}
	mf_text_free(&t);
}

static void test_doubles(void **state)
{
	struct mf_prng g = unit_prng("json doubles");

	(void)state;
	check_double(0.1, "0.1");
	check_double(1e300, "1e+300");
	check_double(2.5, "2.5");
	check_double(0.1 + 0.2, "0.30000000000000004");
	check_double(NAN, "null");
	check_double(-INFINITY, "null");
	for (int i = 0; i < 10000; i++) {
		uint64_t bits = mf_prng_u64(&g);
		double v;

		memcpy(&v, &bits, sizeof(v));
		/* jansson refuses numbers that strtod reports as out of range, denormals included. */
		if (isnormal(v))
			check_double(v, NULL);
	}
}

static void value_without_key(void *arg)
{
	struct mf_json j = mf_json_init(arg);

	mf_json_object(&j);
	mf_json_u64(&j, 1);
}

static void key_in_array(void *arg)
{
	struct mf_json j = mf_json_init(arg);

	mf_json_array(&j);
	mf_json_key(&j, "k");
}

static void two_roots(void *arg)
{
	struct mf_json j = mf_json_init(arg);

	mf_json_null(&j);
	mf_json_null(&j);
}

static void end_after_key(void *arg)
{
	struct mf_json j = mf_json_init(arg);

	mf_json_object(&j);
	mf_json_key(&j, "k");
	mf_json_end(&j);
}

static void end_of_nothing(void *arg)
{
	struct mf_json j = mf_json_init(arg);

	mf_json_end(&j);
}

static void too_deep(void *arg)
{
	struct mf_json j = mf_json_init(arg);

	for (int i = 0; i < 33; i++)
		mf_json_array(&j);
}

static void test_misuse_is_caught(void **state)
{
	struct mf_text t = { 0 };

	(void)state;
	assert_true(unit_aborts(value_without_key, &t));
	assert_true(unit_aborts(key_in_array, &t));
	assert_true(unit_aborts(two_roots, &t));
	assert_true(unit_aborts(end_after_key, &t));
	assert_true(unit_aborts(end_of_nothing, &t));
	assert_true(unit_aborts(too_deep, &t));
}

static void test_text_grows_and_stops(void **state)
{
	struct mf_text t = { 0 };
	char *want = malloc(300001);
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		mf_text_printf(&t, "%d,", i % 1000);
		n += (size_t)sprintf(want + n, "%d,", i % 1000);
	}
	mf_text_add(&t, "", 0);
	assert_int_equal(t.len, n);
	assert_string_equal(t.s, want);
	t.failed = true;
	mf_text_add(&t, "x", 1);
	mf_text_printf(&t, "%d", 1);
	assert_int_equal(t.len, n);
	mf_text_free(&t);
	assert_false(t.failed);
	free(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_random_bytes_are_always_json),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_misuse_is_caught),
		cmocka_unit_test(test_text_grows_and_stops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
