/* SPDX-License-Identifier: Apache-2.0
 *
 * Domain sets from files, and what is a list.
 */
#include "daemon/set.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/prng.h"
#include "unit.h"

static char dir[] = "/tmp/unit-daemon-set-XXXXXX";
static char path[2][64];
static struct mf_prng prng;
static const struct mf_rng rng = { mf_prng_fill, &prng };

static void put(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static int begin(void **state)
{
	(void)state;
	prng = unit_prng("set");
	if (!mkdtemp(dir))
		return -1;
	for (int i = 0; i < 2; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%d.txt", dir, i);
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		unlink(path[i]);
	return rmdir(dir);
}

static struct mf_set *make(uint32_t n_files, bool lenient, const char *copy)
{
	static const char *domains[] = { "inline.example" };
	const char *paths[] = { path[0], path[1] };
	const struct mf_config_domain_set c = {
		.name = "ads",
		.domains = domains,
		.n_domains = 1,
		.paths = paths,
		.n_files = n_files,
		.lenient = lenient,
	};
	struct mf_set *s = mf_set_new(&c, copy, &rng);

	assert_non_null(s);
	return s;
}

static bool has(const struct mf_set *s, const char *name)
{
	return mf_domain_set_has(s->set, name, strlen(name), NULL);
}

static void files_and_entries_together(void **state)
{
	struct mf_set *s = make(2, false, NULL);

	(void)state;
	put(path[0], "a.example\n");
	put(path[1], "||b.example^\n");
	mf_set_read(s);
	assert_int_equal(s->err, MF_OK);
	assert_int_equal(s->count, 3);
	assert_true(has(s, "inline.example") && has(s, "x.a.example") && has(s, "b.example"));
	assert_false(has(s, "c.example"));
	mf_set_free(s);
}

static void wrong_lines_are_told(void **state)
{
	char want[128];
	struct mf_set *s;

	(void)state;
	put(path[0], "a.example\nx..y\n\nz z.\x01\n");
	s = make(1, false, NULL);
	mf_set_read(s);
	assert_int_equal(s->err, MF_E_MALFORMED);
	assert_null(s->set);
	for (int line = 2; line <= 4; line += 2) {
		snprintf(want, sizeof(want), "%s:%d: error: ", path[0], line);
		assert_non_null(strstr(s->said.s, want));
	}
	mf_set_free(s);
	s = make(1, true, NULL);
	mf_set_read(s);
	assert_int_equal(s->err, MF_OK);
	assert_int_equal(s->left_out, 2);
	assert_true(has(s, "a.example"));
	mf_set_free(s);
}

static void no_more_lines_than_people_read(void **state)
{
	char text[16 * 8 + 1] = "";
	struct mf_set *s = make(1, false, NULL);
	int n = 0;

	(void)state;
	for (int i = 0; i < 16; i++)
		strcat(text, "a..b..c\n");
	put(path[0], text);
	mf_set_read(s);
	for (const char *p = s->said.s; (p = strchr(p, '\n')); p++)
		n++;
	assert_int_equal(n, MF_SET_ERRORS_SHOWN + 1);
	assert_non_null(strstr(s->said.s, "and 11 more lines"));
	mf_set_free(s);
}

static void a_file_that_is_not_there(void **state)
{
	struct mf_set *s;

	(void)state;
	unlink(path[0]);
	s = make(1, true, NULL);
	mf_set_read(s);
	assert_int_equal(s->err, MF_E_NOT_FOUND);
	assert_non_null(strstr(s->said.s, path[0]));
	mf_set_free(s);
	/* With a subscription it may come later; the copy, too. */
	s = make(1, false, path[1]);
	unlink(path[1]);
	mf_set_read(s);
	assert_int_equal(s->err, MF_OK);
	assert_true(has(s, "inline.example"));
	mf_set_free(s);
}

/* The copy was judged when it was fetched: it stops nothing. */
static void a_copy_with_wrong_lines(void **state)
{
	struct mf_set *s = make(0, false, path[0]);

	(void)state;
	put(path[0], "a.example\nx..y\n");
	mf_set_read(s);
	assert_int_equal(s->err, MF_OK);
	assert_true(has(s, "a.example"));
	mf_set_free(s);
}

static void what_is_no_file(void **state)
{
	char *text;
	size_t n;
	struct mf_file_stamp stamp;
	struct mf_errbuf why;

	(void)state;
	assert_int_equal(mf_file_slurp(dir, 100, &text, &n, &stamp, &why), MF_E_SYSTEM);
	assert_null(text);
	unlink(path[0]);
	assert_int_equal(mkfifo(path[0], 0600), 0); /* nobody writes: it must not wait */
	assert_int_equal(mf_file_slurp(path[0], 100, &text, &n, &stamp, &why), MF_E_SYSTEM);
	unlink(path[0]);
	put(path[0], "0123456789");
	assert_int_equal(mf_file_slurp(path[0], 9, &text, &n, &stamp, &why), MF_E_RANGE);
	assert_int_equal(mf_file_slurp(path[0], 10, &text, &n, &stamp, &why), MF_OK);
	assert_int_equal(n, 10);
	assert_memory_equal(text, "0123456789", 10);
	free(text);
}

static void what_has_changed(void **state)
{
	struct mf_set *old = make(2, false, NULL), *s = make(2, false, NULL), *fewer;
	struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	(void)state;
	put(path[0], "a.example\n");
	put(path[1], "b.example\n");
	mf_set_read(old);
	assert_true(mf_set_is_current(s, old));
	fewer = make(1, false, NULL);
	assert_false(mf_set_is_current(fewer, old));
	mf_set_free(fewer);
	fewer = make(2, true, NULL);
	assert_false(mf_set_is_current(fewer, old));
	mf_set_free(fewer);
	assert_int_equal(utimensat(AT_FDCWD, path[1], times, 0), 0);
	assert_false(mf_set_is_current(s, old));
	mf_set_free(s);
	mf_set_free(old);
}

static mf_err judge(const char *text, bool domains, bool lenient)
{
	struct mf_errbuf why = { "" };
	mf_err err = mf_set_judge(mf_span(text, strlen(text)), domains, lenient, &why);

	assert_true(!err == !why.text[0]);
	return err;
}

static void what_is_a_list(void **state)
{
	(void)state;
	assert_int_equal(judge("a.example\n", true, false), MF_OK);
	assert_int_equal(judge("192.0.2.0/24\n2001:db8::/32\n", false, false), MF_OK);
	assert_int_equal(judge("a.example\nx..y\n", true, true), MF_OK);
	assert_int_equal(judge("a.example\nx..y\n", true, false), MF_E_MALFORMED);
	assert_int_equal(judge("a.example\nx..y\ny..z\n", true, true), MF_E_MALFORMED);
	assert_int_equal(judge("", true, true), MF_E_MALFORMED);
	assert_int_equal(judge("# a.example\n", true, true), MF_E_MALFORMED);
	assert_int_equal(judge("a.example\n", false, true), MF_E_MALFORMED);
	assert_int_equal(judge("192.0.2.0/24\n", true, true), MF_E_MALFORMED);
	assert_int_equal(judge("\xef\xbb\xbf\r\n <!DOCTYPE html>\na.example\n", true, true),
			 MF_E_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_and_entries_together),
		cmocka_unit_test(wrong_lines_are_told),
		cmocka_unit_test(no_more_lines_than_people_read),
		cmocka_unit_test(a_file_that_is_not_there),
		cmocka_unit_test(a_copy_with_wrong_lines),
		cmocka_unit_test(what_is_no_file),
		cmocka_unit_test(what_has_changed),
		cmocka_unit_test(what_is_a_list),
	};

	return cmocka_run_group_tests_name("daemon/set", tests, begin, end);
}
