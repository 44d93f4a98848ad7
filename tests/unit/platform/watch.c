/* SPDX-License-Identifier: Apache-2.0
 *
 * What is seen of files that change.
 */
#include "platform/watch.h"

#include <poll.h>
#include <sys/stat.h>

#include "unit.h"

static char dir[] = "/tmp/unit-platform-watch-XXXXXX";
static struct mf_watch *w;

static const char *in(const char *name)
{
	static char path[4][96];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void put(const char *name)
{
	FILE *f = fopen(in(name), "w");

	assert_non_null(f);
	fputs("text", f);
	assert_int_equal(fclose(f), 0);
}

/* Something has happened, and the descriptor says so; and then nothing more. */
static void seen(bool want)
{
	struct pollfd p = { .fd = mf_watch_fd(w), .events = POLLIN };

	assert_int_equal(poll(&p, 1, 0), want);
	assert_int_equal(mf_watch_read(w), want);
	assert_false(mf_watch_read(w));
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || mkdir(in("a"), 0700) || mkdir(in("b"), 0700))
		return -1;
	w = mf_watch_new();
	return w ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	mf_watch_free(w);
	unlink(in("a/list"));
	unlink(in("a/link"));
	unlink(in("b/list"));
	rmdir(in("a"));
	rmdir(in("b"));
	return rmdir(dir);
}

static void a_file_that_is_not_there_yet(void **state)
{
	(void)state;
	assert_int_equal(mf_watch_add(w, in("a/list")), MF_OK);
	assert_int_equal(mf_watch_add(w, in("a/list")), MF_OK);
	seen(false);
	put("a/list");
	seen(true);
}

static void written_replaced_removed(void **state)
{
	(void)state;
	put("a/list");
	seen(true);
	put("b/list"); /* nobody watches there */
	seen(false);
	assert_int_equal(rename(in("b/list"), in("a/list")), 0);
	seen(true);
	assert_int_equal(unlink(in("a/list")), 0);
	seen(true);
}

static void what_a_link_leads_to(void **state)
{
	(void)state;
	put("b/list");
	assert_int_equal(symlink("../b/list", in("a/link")), 0);
	assert_int_equal(mf_watch_add(w, in("a/link")), MF_OK);
	seen(true);
	put("b/list");
	seen(true);
}

static void no_directory(void **state)
{
	(void)state;
	assert_int_equal(mf_watch_add(w, in("none/list")), MF_E_SYSTEM);
	assert_int_equal(mf_watch_add(w, "/none"), MF_OK); /* "/" is one */
	assert_int_equal(mf_watch_add(w, "none"), MF_OK);  /* and "." */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_is_not_there_yet),
		cmocka_unit_test(written_replaced_removed),
		cmocka_unit_test(what_a_link_leads_to),
		cmocka_unit_test(no_directory),
	};

	return cmocka_run_group_tests_name("platform/watch", tests, begin, end);
}
