/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/names.h"

#include "failing_malloc.h"
#include "unit.h"

static struct mf_domain_set *set_of(const char *below, const char *keyword)
{
	static const uint8_t key[16];
	struct mf_domain_builder *b = mf_domain_builder_new(key);
	struct mf_domain_set *s;

	assert_non_null(b);
	assert_int_equal(
		mf_domain_builder_add(b, MF_DOMAIN_BELOW, below, strlen(below), false, NULL), MF_OK);
	if (keyword)
		assert_int_equal(mf_domain_builder_add(b, MF_DOMAIN_KEYWORD, keyword,
						       strlen(keyword), false, NULL),
				 MF_OK);
	s = mf_domain_builder_finish(b);
	assert_non_null(s);
	return s;
}

/* "name of the rule's set > that of the other one" */
static const char *explain(const struct mf_names *t, const char *name)
{
	static char text[100];
	struct mf_name_verdict v;

	mf_names_explain(t, name, strlen(name), &v);
	assert_ptr_equal(v.rule, mf_names_find(t, name, strlen(name)));
	snprintf(text, sizeof(text), "%s > %s", v.rule ? v.rule->set_name : "-",
		 v.also ? v.also->set_name : "-");
	return text;
}

static void test_order(void **state)
{
	struct mf_domain_set *ads = set_of("ads.example.com", "track"), *all = set_of("com", NULL),
			     *one = set_of("example.com", NULL);
	char name[] = "ads", file[] = "p.yaml";
	const struct mf_name_rule rules[] = {
		{ .set = ads, .set_name = name, .hop = 1, .rule = 0, .file = file, .line = 7 },
		{ .set = one, .set_name = "one", .hop = 2, .rule = 2 },
		{ .set = one, .set_name = "one too", .hop = 1, .rule = 3 },
		{ .set = all, .set_name = "all", .hop = 3, .rule = 7 },
	};
	struct mf_names *t = mf_names_new(rules, MF_ARRAY_LEN(rules));
	struct mf_name_verdict v;

	(void)state;
	assert_non_null(t);
	name[0] = file[0] = '?'; /* were copied */
	assert_string_equal(t->rule[0].file, "p.yaml");
	assert_null(t->rule[1].file);
	assert_int_equal(t->n, 4);
	assert_string_equal(explain(t, "x.ads.example.com"), "ads > one");
	assert_string_equal(explain(t, "www.example.com"), "one > one too");
	assert_string_equal(explain(t, "example.net"), "- > -");
	assert_string_equal(explain(t, "tracker.net"), "ads > -");
	assert_string_equal(explain(t, "other.com"), "all > -");
	mf_names_explain(t, "x.ads.example.com", 17, &v);
	assert_int_equal(v.rule->rule, 0);
	assert_int_equal(v.match.kind, MF_DOMAIN_BELOW);
	assert_int_equal(v.match.at, 2);
	mf_names_explain(t, "tracker.net", 11, &v);
	assert_int_equal(v.match.kind, MF_DOMAIN_KEYWORD);
	assert_string_equal(mf_domain_set_pattern(v.rule->set, v.match.kind, v.match.pattern),
			    "track");
	mf_names_free(t);
	mf_names_free(NULL);
	mf_domain_set_free(ads);
	mf_domain_set_free(all);
	mf_domain_set_free(one);
}

static void test_empty(void **state)
{
	struct mf_names *t = mf_names_new(NULL, 0);

	(void)state;
	assert_non_null(t);
	assert_string_equal(explain(t, "example.com"), "- > -");
	mf_names_free(t);
	calls_left = 1;
	t = mf_names_new(NULL, 0);
	calls_left = -1;
	assert_null(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
