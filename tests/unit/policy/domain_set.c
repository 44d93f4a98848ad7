/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/domain_set.h"

#include "failing_malloc.h"
#include "unit.h"

static const uint8_t key[16] = "not so secret";

static struct mf_domain_builder *builder(void)
{
	struct mf_domain_builder *b = mf_domain_builder_new(key);

	assert_non_null(b);
	return b;
}

static mf_err add(struct mf_domain_builder *b, enum mf_domain_kind kind, const char *text, bool except)
{
	return mf_domain_builder_add(b, kind, text, strlen(text), except, NULL);
}

static struct mf_domain_set *finish(struct mf_domain_builder *b)
{
	struct mf_domain_set *s = mf_domain_builder_finish(b);

	assert_non_null(s);
	return s;
}

/* What the set says of a name, in words. */
static const char *said(const struct mf_domain_set *s, const char *name)
{
	static const char *const kinds[] = { "below", "full", "keyword", "regexp" };
	struct mf_domain_match m = { 0 };
	static char text[300];

	if (!mf_domain_set_has(s, name, strlen(name), &m))
		return "no";
	assert_true(mf_domain_set_has(s, name, strlen(name), NULL));
	snprintf(text, sizeof(text), "%s %s", kinds[m.kind],
		 m.kind <= MF_DOMAIN_FULL ? name + m.at
					  : mf_domain_set_pattern(s, m.kind, m.pattern));
	return text;
}

static void test_below(void **state)
{
	struct mf_domain_builder *b = builder();
	struct mf_domain_set *s;

	(void)state;
	assert_int_equal(add(b, MF_DOMAIN_BELOW, "example.com", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_BELOW, "ads.example.net", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_BELOW, "xn--p1ai", false), MF_OK);
	assert_int_equal(
		add(b, MF_DOMAIN_BELOW, "a-label-that-is-longer-than-ten_bytes.example.org", false),
		MF_OK);
	s = finish(b);
	assert_string_equal(said(s, "example.com"), "below example.com");
	assert_string_equal(said(s, "a.b.example.com"), "below example.com");
	assert_string_equal(said(s, "anexample.com"), "no");
	assert_string_equal(said(s, "an-example.com"), "no");
	assert_string_equal(said(s, "xample.com"), "no");
	assert_string_equal(said(s, "example.co"), "no");
	assert_string_equal(said(s, "com"), "no");
	assert_string_equal(said(s, "example.com.net"), "no");
	assert_string_equal(said(s, "example.net"), "no");
	assert_string_equal(said(s, "x.ads.example.net"), "below ads.example.net");
	assert_string_equal(said(s, "something.xn--p1ai"), "below xn--p1ai");
	assert_string_equal(said(s, "a.a-label-that-is-longer-than-ten_bytes.example.org"),
			    "below a-label-that-is-longer-than-ten_bytes.example.org");
	assert_string_equal(said(s, "b-label-that-is-longer-than-ten_bytes.example.org"), "no");
	assert_int_equal(mf_domain_set_count(s), 4);
	/* What a name of the wire may have that no name of a list has. */
	assert_string_equal(said(s, "we!rd\xc3\xa4.example.com"), "below example.com");
	assert_string_equal(said(s, "we!rd.com"), "no");
	assert_string_equal(said(s, "Example.com"), "no");
	assert_string_equal(said(s, ".com"), "no");
	assert_string_equal(said(s, "..."), "no");
	assert_false(mf_domain_set_has(s, "", 0, NULL));
	mf_domain_set_free(s);
	mf_domain_set_free(NULL);
	mf_domain_builder_free(NULL);
}

static void test_kinds(void **state)
{
	struct mf_domain_builder *b = builder();
	struct mf_domain_set *s;

	(void)state;
	assert_int_equal(add(b, MF_DOMAIN_FULL, "only.example.com", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_KEYWORD, "track", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_KEYWORD, "racker", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_REGEXP, "^ad[0-9]+\\.", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_REGEXP, "Banner$", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_BELOW, "good.track.net", true), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_FULL, "ad1.example.org", true), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_KEYWORD, "friendly", true), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_REGEXP, "^mail\\.", true), MF_OK);
	s = finish(b);
	assert_string_equal(said(s, "only.example.com"), "full only.example.com");
	assert_string_equal(said(s, "x.only.example.com"), "no");
	assert_string_equal(said(s, "example.com"), "no");
	assert_string_equal(said(s, "my-tracker.com"), "keyword track");
	assert_string_equal(said(s, "tra.cker.com"), "no");
	assert_string_equal(said(s, "bracker.com"), "keyword racker");
	assert_string_equal(said(s, "ad12.example.org"), "regexp ^ad[0-9]+\\.");
	assert_string_equal(said(s, "bad12.example.org"), "no");
	assert_string_equal(said(s, "some.banner"), "regexp Banner$");
	assert_string_equal(said(s, "some.banners"), "no");
	assert_string_equal(said(s, "x.good.track.net"), "no");
	assert_string_equal(said(s, "bad.track.net"), "keyword track");
	assert_string_equal(said(s, "ad1.example.org"), "no");
	assert_string_equal(said(s, "friendly-tracker.org"), "no");
	assert_string_equal(said(s, "mail.tracker.org"), "no");
	assert_int_equal(mf_domain_set_count(s), 9);
	assert_null(mf_domain_set_pattern(s, MF_DOMAIN_KEYWORD, 2));
	assert_null(mf_domain_set_pattern(s, MF_DOMAIN_REGEXP, 2));
	assert_null(mf_domain_set_pattern(s, MF_DOMAIN_BELOW, 0));
	assert_int_equal(mf_domain_set_overruns(s), 0);
	mf_domain_set_free(s);
}

/* Names that others cover, or that are there twice, take nothing. */
static void test_redundant(void **state)
{
	static const char *const below[] = { "b.a.com", "a.com",   "c.b.a.com", "a.com",  "x-a.com",
					     "ba.com",  "b.a.com", "d.com",     "e.d.com" };
	struct mf_domain_builder *b = builder();
	struct mf_domain_set *s, *empty = finish(builder());

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(below); i++)
		assert_int_equal(add(b, MF_DOMAIN_BELOW, below[i], false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_FULL, "a.com", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_FULL, "z.a.com", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_FULL, "com", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_FULL, "com", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_KEYWORD, "word", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_KEYWORD, "word", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_REGEXP, "re", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_REGEXP, "re", false), MF_OK);
	s = finish(b);
	assert_int_equal(mf_domain_set_count(s), 4 + 1 + 1 + 1);
	assert_string_equal(said(s, "c.b.a.com"), "below a.com");
	assert_string_equal(said(s, "e.d.com"), "below d.com");
	assert_string_equal(said(s, "com"), "full com");
	assert_string_equal(said(s, "f.com"), "no");
	assert_int_equal(mf_domain_set_count(empty), 0);
	assert_string_equal(said(empty, "a.com"), "no");
	assert_true(mf_domain_set_bytes(s) > mf_domain_set_bytes(empty));
	mf_domain_set_free(s);
	mf_domain_set_free(empty);
}

static void refused(enum mf_domain_kind kind, const char *text, mf_err want, const char *why)
{
	struct mf_domain_builder *b = builder();
	struct mf_errbuf eb = { "" };

	assert_int_equal(mf_domain_builder_add(b, kind, text, strlen(text), false, &eb), want);
	assert_string_equal(eb.text, why);
	mf_domain_builder_free(b);
}

static void test_refused(void **state)
{
	struct mf_domain_builder *b = builder();
	char text[300], pattern[40];

	(void)state;
	refused(MF_DOMAIN_BELOW, "", MF_E_MALFORMED, "name: malformed input");
	refused(MF_DOMAIN_BELOW, "Example.com", MF_E_MALFORMED, "name: malformed input");
	refused(MF_DOMAIN_FULL, "exa mple.com", MF_E_MALFORMED, "name: malformed input");
	refused(MF_DOMAIN_BELOW, ".example.com", MF_E_MALFORMED, "name: malformed input");
	refused(MF_DOMAIN_FULL, "example..com", MF_E_MALFORMED, "name: malformed input");
	refused(MF_DOMAIN_FULL, "example.com.", MF_E_MALFORMED, "name: malformed input");
	refused(MF_DOMAIN_KEYWORD, "", MF_E_MALFORMED, "word: malformed input");
	refused(MF_DOMAIN_REGEXP, "", MF_E_MALFORMED, "regular expression: is empty");
	refused(MF_DOMAIN_REGEXP, "a(b", MF_E_MALFORMED,
		"regular expression, byte 4: missing closing parenthesis");
	refused(MF_DOMAIN_REGEXP, "(*UTF)a", MF_E_MALFORMED,
		"regular expression, byte 7: using UTF is disabled by the application");
	memset(text, 'a', sizeof(text));
	assert_int_equal(mf_domain_builder_add(b, MF_DOMAIN_BELOW, text, 253, false, NULL), MF_OK);
	assert_int_equal(mf_domain_builder_add(b, MF_DOMAIN_BELOW, text, 254, false, NULL),
			 MF_E_MALFORMED);
	assert_int_equal(mf_domain_builder_add(b, MF_DOMAIN_KEYWORD, text, 254, false, NULL),
			 MF_E_MALFORMED);
	for (unsigned i = 0; i < MF_DOMAIN_PATTERNS_MAX; i++) {
		snprintf(pattern, sizeof(pattern), "w%u", i);
		assert_int_equal(add(b, MF_DOMAIN_KEYWORD, pattern, false), MF_OK);
		assert_int_equal(add(b, MF_DOMAIN_REGEXP, pattern, true), MF_OK);
	}
	assert_int_equal(add(b, MF_DOMAIN_KEYWORD, "v", false), MF_E_FULL);
	assert_int_equal(add(b, MF_DOMAIN_KEYWORD, "w7", false), MF_OK); /* is there */
	assert_int_equal(add(b, MF_DOMAIN_REGEXP, "v", true), MF_E_FULL);
	assert_int_equal(add(b, MF_DOMAIN_REGEXP, "v", false), MF_OK);
	mf_domain_builder_free(b);
}

/* Patterns that would take for ever: they match nothing, and the lookup comes back. */
static void test_overruns(void **state)
{
	struct mf_domain_builder *b = builder();
	struct mf_domain_set *s;
	char name[254];
	uint64_t once;

	(void)state;
	assert_int_equal(add(b, MF_DOMAIN_REGEXP, "^(([a-z])+.)+[A-Z]([a-z])+$(?!)", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_REGEXP, "(a?){60}a{60}b", false), MF_OK);
	assert_int_equal(add(b, MF_DOMAIN_REGEXP, "(?R)?x*(?R)?y", false), MF_OK);
	for (unsigned i = 0; i < 1000; i++) {
		char text[40];

		snprintf(text, sizeof(text), "^(a+)+%u$", i);
		assert_int_equal(add(b, MF_DOMAIN_REGEXP, text, false), MF_OK);
	}
	s = finish(b);
	memset(name, 'a', sizeof(name));
	name[250] = '0';
	assert_false(mf_domain_set_has(s, name, 253, NULL));
	once = mf_domain_set_overruns(s);
	assert_true(once > 900 && once <= 1003);
	assert_false(mf_domain_set_has(s, name, 253, NULL));
	assert_int_equal(mf_domain_set_overruns(s), 2 * once);
	assert_true(mf_domain_set_has(s, "aaa7", 4, NULL));
	mf_domain_set_free(s);
}

/* The model: a list that is searched from end to end. */
enum { MANY = 600, ROUNDS = 60, NAME = 40 };

struct entry {
	enum mf_domain_kind kind;
	bool except;
	char text[NAME];
};

static bool matches(const struct entry *e, const char *name)
{
	size_t n = strlen(name), m = strlen(e->text);

	if (e->kind == MF_DOMAIN_KEYWORD)
		return strstr(name, e->text) != NULL;
	if (n < m || strcmp(name + n - m, e->text) != 0)
		return false;
	return n == m || (e->kind == MF_DOMAIN_BELOW && name[n - m - 1] == '.');
}

static bool model(const struct entry *e, size_t n, const char *name)
{
	bool in = false;

	for (size_t i = 0; i < n; i++) {
		if (!matches(&e[i], name))
			continue;
		if (e[i].except)
			return false;
		in = true;
	}
	return in;
}

/* Few different labels, so that names are above, below and beside one another. */
static void random_name(struct mf_prng *g, char out[NAME])
{
	static const char *const labels[] = { "a",       "b",        "ab", "a-b",
					      "abcdefg", "abcdefgh", "c0", "_d" };
	unsigned n = 1 + (unsigned)mf_prng_below(g, 4);

	out[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		strcat(out, i ? "." : "");
		strcat(out, labels[mf_prng_below(g, MF_ARRAY_LEN(labels))]);
	}
}

static void random_entry(struct mf_prng *g, struct entry *e)
{
	unsigned roll = (unsigned)mf_prng_below(g, 100);

	random_name(g, e->text);
	e->kind = roll < 60 ? MF_DOMAIN_BELOW : roll < 98 ? MF_DOMAIN_FULL : MF_DOMAIN_KEYWORD;
	e->except = mf_prng_below(g, 5) == 0;
}

static void test_model(void **state)
{
	struct mf_prng g = unit_prng("domain_set model");
	static struct entry e[MANY];
	unsigned hits = 0;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t n = mf_prng_below(&g, round % 3 ? 30 : MANY);
		struct mf_domain_builder *b;
		struct mf_domain_set *s;
		uint8_t random_key[16];

		mf_prng_fill(&g, random_key, sizeof(random_key));
		b = mf_domain_builder_new(random_key);
		for (size_t i = 0; i < n; i++) {
			random_entry(&g, &e[i]);
			assert_int_equal(add(b, e[i].kind, e[i].text, e[i].except), MF_OK);
		}
		s = finish(b);
		assert_true(mf_domain_set_count(s) <= n);
		for (unsigned i = 0; i < 3000; i++) {
			struct mf_domain_match m;
			char name[NAME];
			bool want;

			random_name(&g, name);
			want = model(e, n, name);
			assert_int_equal(mf_domain_set_has(s, name, strlen(name), &m), want);
			hits += want;
			if (want && m.kind == MF_DOMAIN_BELOW)
				assert_true(m.at == 0 || name[m.at - 1] == '.');
		}
		mf_domain_set_free(s);
	}
	assert_true(hits > 0);
}

/* Many names, all of which must be found, and the memory that is promised. */
static void test_large(void **state)
{
	enum { NAMES = 100000 };
	struct mf_domain_builder *b = builder();
	struct mf_domain_set *s;
	size_t text = 0;
	char name[64];

	(void)state;
	for (unsigned i = 0; i < NAMES; i++) {
		text += (size_t)snprintf(name, sizeof(name), "name-%u.zone%u.com", i * 7919,
					 i % 50021);
		assert_int_equal(add(b, MF_DOMAIN_BELOW, name, false), MF_OK);
	}
	s = finish(b);
	assert_int_equal(mf_domain_set_count(s), NAMES);
	assert_true(mf_domain_set_bytes(s) < text);
	for (unsigned i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "name-%u.zone%u.com", i * 7919, i % 50021);
		assert_string_equal(said(s, name) + strlen("below "), name);
		snprintf(name, sizeof(name), "name-%u.zone%u.com", i * 7919 + 1, i % 50021);
		assert_string_equal(said(s, name), "no");
	}
	mf_domain_set_free(s);
}

static struct mf_domain_set *build(mf_err *err)
{
	struct mf_domain_builder *b = mf_domain_builder_new(key);

	*err = b ? MF_OK : MF_E_NO_MEMORY;
	for (unsigned i = 0; i < 40 && !*err; i++) {
		char text[32];

		snprintf(text, sizeof(text), "n%u.com", i % 30);
		*err = add(b, i % 4, text, i % 5 == 0);
	}
	if (!*err)
		return mf_domain_builder_finish(b);
	mf_domain_builder_free(b);
	return NULL;
}

static void test_no_memory(void **state)
{
	struct mf_domain_set *s;
	unsigned failed = 0;
	mf_err err;

	(void)state;
	for (long k = 1;; k++, failed++) {
		calls_left = k;
		s = build(&err);
		calls_left = -1;
		if (s)
			break;
		assert_true(err == MF_OK || err == MF_E_NO_MEMORY);
	}
	assert_true(failed > 20);
	assert_string_equal(said(s, "x.n4.com"), "below n4.com");
	mf_domain_set_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_below),     cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_redundant), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_overruns),  cmocka_unit_test(test_model),
		cmocka_unit_test(test_large),     cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
