/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "unit.h"

struct seen {
	unsigned lines;
	enum mf_log_level level;
	char last[2048];
};

static void remember(void *ctx, enum mf_log_level level, const char *line)
{
	struct seen *s = ctx;

	s->lines++;
	s->level = level;
	snprintf(s->last, sizeof(s->last), "%s", line);
}

static void test_level_decides(void **state)
{
	struct seen s = { 0 };
	struct mf_log log = { .write = remember, .ctx = &s, .level = MF_LOG_INFO };

	(void)state;
	mf_logf(&log, MF_LOG_DEBUG, "too much");
	assert_int_equal(s.lines, 0);
	mf_logf(&log, MF_LOG_INFO, "peer %d", 7);
	assert_int_equal(s.lines, 1);
	assert_int_equal(s.level, MF_LOG_INFO);
	assert_string_equal(s.last, "peer 7");
	mf_logf(&log, MF_LOG_ERROR, "bad");
	assert_int_equal(s.lines, 2);
	mf_logf(NULL, MF_LOG_ERROR, "nobody listens");
}

static void test_a_line_is_one_line(void **state)
{
	struct seen s = { 0 };
	struct mf_log log = { .write = remember, .ctx = &s, .level = MF_LOG_INFO };
	char big[4000];

	(void)state;
	mf_logf(&log, MF_LOG_INFO, "name %s", "a\nERROR: forged\x1b[2J\x7f \xc3\xa9");
	assert_string_equal(s.last, "name a ERROR: forged [2J  \xc3\xa9");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	mf_logf(&log, MF_LOG_INFO, "%s", big);
	assert_int_equal(strlen(s.last), 1023);
}

static void test_repeats_are_held_back(void **state)
{
	struct seen s = { 0 };
	struct mf_log log = { .write = remember, .ctx = &s, .level = MF_LOG_INFO };
	struct mf_log_limit limit = { 0 };
	mf_nsec now = 5 * MF_SEC;

	(void)state;
	mf_logf_limited(&log, &limit, now, MF_LOG_WARN, "full");
	assert_int_equal(s.lines, 1);
	mf_logf_limited(&log, &limit, now + 1, MF_LOG_WARN, "full");
	mf_logf_limited(&log, &limit, now + MF_SEC - 1, MF_LOG_WARN, "full");
	/* A line below the level counts neither as seen nor as held back. */
	mf_logf_limited(&log, &limit, now + MF_SEC - 1, MF_LOG_DEBUG, "full");
	assert_int_equal(s.lines, 1);
	mf_logf_limited(&log, &limit, now + MF_SEC, MF_LOG_WARN, "full");
	assert_int_equal(s.lines, 2);
	assert_string_equal(s.last, "full (and 2 more like it)");
	mf_logf_limited(&log, &limit, now + 9 * MF_SEC, MF_LOG_WARN, "full");
	assert_string_equal(s.last, "full");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_level_decides),
		cmocka_unit_test(test_a_line_is_one_line),
		cmocka_unit_test(test_repeats_are_held_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
