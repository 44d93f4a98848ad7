/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/config/tree.c.
 */
#include "config/tree.h"

#include "unit.h"

struct doc {
	struct mf_config_arena *arena;
	struct mf_config_errors errs;
	struct mf_yaml *root;
};

static struct doc read_n(const char *text, size_t n)
{
	struct doc d = { .arena = mf_config_arena_new() };

	assert_non_null(d.arena);
	d.root = mf_yaml_read(d.arena, text, n, "f.yaml", &d.errs);
	return d;
}

static void done(struct doc *d)
{
	mf_config_errors_free(&d->errs);
	mf_config_arena_free(d->arena);
}

static void places(void **state)
{
	static const char text[] = "a: 1\n"
				   "b:\n"
				   "  - x\n"
				   "  - { c: 'q', d: [] }\n";
	struct doc d = read_n(text, sizeof(text) - 1);
	const struct mf_yaml *b, *c;

	(void)state;
	assert_int_equal(d.errs.n, 0);
	assert_int_equal(d.root->type, MF_YAML_MAP);
	assert_int_equal(d.root->n, 2);
	b = mf_yaml_get(d.root, "b");
	assert_int_equal(b->type, MF_YAML_LIST);
	assert_int_equal(b->key_pos.line, 2);
	assert_int_equal(b->key_pos.col, 1);
	assert_string_equal(b->first->text, "x");
	assert_true(b->first->plain);
	assert_int_equal(b->first->pos.line, 3);
	assert_int_equal(b->first->pos.col, 5);
	c = mf_yaml_get(b->last, "c");
	assert_string_equal(c->text, "q");
	assert_false(c->plain);
	assert_int_equal(c->pos.line, 4);
	assert_int_equal(c->pos.col, 10);
	assert_string_equal(c->pos.file, "f.yaml");
	assert_int_equal(mf_yaml_get(b->last, "d")->n, 0);
	assert_null(mf_yaml_get(d.root, "z"));
	assert_null(mf_yaml_get(b, "z"));
	done(&d);
}

static void depth_is_capped(void **state)
{
	char text[64] = "";
	struct doc d;

	(void)state;
	memset(text, '[', MF_CONFIG_MAX_DEPTH);
	memset(text + MF_CONFIG_MAX_DEPTH, ']', MF_CONFIG_MAX_DEPTH);
	d = read_n(text, strlen(text));
	assert_int_equal(d.errs.n, 0);
	assert_non_null(d.root);
	done(&d);
	memset(text, '[', MF_CONFIG_MAX_DEPTH + 1);
	memset(text + MF_CONFIG_MAX_DEPTH + 1, ']', MF_CONFIG_MAX_DEPTH + 1);
	d = read_n(text, strlen(text));
	assert_int_equal(d.errs.n, 1);
	assert_int_equal(d.errs.v[0].pos.col, MF_CONFIG_MAX_DEPTH + 1);
	assert_null(d.root);
	done(&d);
}

/* A wildcard without quotes is an alias to YAML, which says so in words that help nobody. */
static void wildcard_without_quotes(void **state)
{
	static const char text[] = "hosts:\n  *.lab.example: 10.0.0.7\n";
	struct doc d = read_n(text, sizeof(text) - 1);

	(void)state;
	assert_int_equal(d.errs.n, 1);
	assert_non_null(strstr(d.errs.v[0].text, "must stand in quotes"));
	assert_int_equal(d.errs.v[0].pos.line, 2);
	assert_int_equal(d.errs.v[0].pos.col, 3);
	done(&d);
}

static void values_are_capped(void **state)
{
	struct mf_text text = { 0 };
	struct doc d;

	(void)state;
	mf_text_printf(&text, "[x");
	for (int i = 2; i < MF_YAML_MAX_NODES; i++)
		mf_text_printf(&text, ",x");
	d = read_n(text.s, text.len); /* the rest of the list is missing: broken, but not too long */
	assert_int_equal(d.errs.n, 1);
	assert_non_null(strstr(d.errs.v[0].text, "not valid YAML"));
	done(&d);
	mf_text_printf(&text, ",x]");
	d = read_n(text.s, text.len);
	assert_int_equal(d.errs.n, 1);
	assert_non_null(strstr(d.errs.v[0].text, "more than"));
	assert_null(d.root);
	done(&d);
	mf_text_free(&text);
}

/* Against a model: keys drawn from few, an error for each that was drawn before. */
static void duplicates(void **state)
{
	struct mf_prng g = unit_prng("duplicates");

	(void)state;
	for (int round = 0; round < 300; round++) {
		bool drawn[26] = { false };
		struct mf_text text = { 0 };
		unsigned wanted = 0;
		struct doc d;

		for (uint64_t n = 1 + mf_prng_below(&g, 40); n; n--) {
			uint64_t k = mf_prng_below(&g, 26);

			wanted += drawn[k];
			drawn[k] = true;
			mf_text_printf(&text, "%c: 1\n", (char)('a' + k));
		}
		d = read_n(text.s, text.len);
		assert_int_equal(d.errs.n, wanted);
		done(&d);
		mf_text_free(&text);
	}
}

static void what_is_left_out(void **state)
{
	static const char *const bad[] = { "&a x",          "a: *b",       "!t x",
					   "a: !!int 1",    "x\n---\ny\n", "[a, b]: c",
					   "? {a: b}\n: c", "a: \"\\0\"",  "%YAML 3.0\n---\nx",
					   "a: [1, 2",      "\t- x",       "a: 'x",
					   "*a : x",        "\xff",        "a: \x01" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		struct doc d = read_n(bad[i], strlen(bad[i]));

		if (!d.errs.n)
			fail_msg("\"%s\" is read without an error", bad[i]);
		assert_int_equal(d.errs.v[0].pos.line > 0, true);
		done(&d);
	}
}

static void nothing(void **state)
{
	struct doc d = read_n("", 0);

	(void)state;
	assert_null(d.root);
	assert_int_equal(d.errs.n, 0);
	done(&d);
	d = read_n("# only this\n", 12);
	assert_null(d.root);
	done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(depth_is_capped),
		cmocka_unit_test(wildcard_without_quotes),
		cmocka_unit_test(values_are_capped),
		cmocka_unit_test(duplicates),
		cmocka_unit_test(what_is_left_out),
		cmocka_unit_test(nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
