/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept of a proxy, what the log is told, and how the views of several workers add up.
 */
#include "proxy/health.h"

#include <pthread.h>
#include <string.h>

#include "base/count.h"
#include "unit.h"

static char last[256];
static unsigned n_lines;
static enum mf_log_level last_level;

static void write_line(void *ctx, enum mf_log_level level, const char *line)
{
	(void)ctx;
	(void)snprintf(last, sizeof(last), "%s", line);
	last_level = level;
	n_lines++;
}

static const struct mf_log logger = { .write = write_line, .level = MF_LOG_INFO };
static struct mf_proxy_health health;

static int reset(void **state)
{
	(void)state;
	memset(&health, 0, sizeof(health));
	n_lines = 0;
	last[0] = 0;
	return 0;
}

static void fault(enum mf_proxy_fault f, const char *detail, mf_nsec now)
{
	mf_proxy_health_fault(&health, f, detail, &logger, "hk", now);
}

static void test_a_line_says_what_and_what_to_look_at(void **state)
{
	(void)state;
	fault(MF_PROXY_CERTIFICATE, "it has expired", 5 * MF_SEC);
	assert_string_equal(last,
			    "hk: the proxy's certificate is not good (it has expired); look at "
			    "`tls.server_name`, `tls.ca_file` and the clock");
	assert_int_equal(last_level, MF_LOG_WARN);
	fault(MF_PROXY_REFUSED, NULL, 7 * MF_SEC);
	assert_string_equal(last,
			    "hk: the proxy refuses connections; is the port of `server` right, and "
			    "the server up?");
	fault(MF_PROXY_REFUSED, "", 9 * MF_SEC);
	assert_null(strchr(last, '('));
	/* Without a log. */
	mf_proxy_health_fault(&health, MF_PROXY_REFUSED, NULL, NULL, "hk", 11 * MF_SEC);
	assert_int_equal(n_lines, 3);
}

static void test_lines_come_at_a_limited_rate(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		fault(MF_PROXY_TIMED_OUT, NULL, MF_SEC + i * 10 * MF_MSEC);
	assert_int_equal(n_lines, 1);
	fault(MF_PROXY_TIMED_OUT, NULL, 3 * MF_SEC);
	assert_int_equal(n_lines, 2);
	assert_non_null(strstr(last, "99 more"));
	assert_int_equal(health.count.fault[MF_PROXY_TIMED_OUT], 101);
}

static void test_it_says_once_that_it_works_again(void **state)
{
	(void)state;
	mf_proxy_health_ok(&health, &logger, "hk", MF_SEC);
	assert_int_equal(n_lines, 0); /* it always has */
	fault(MF_PROXY_SILENT, NULL, 2 * MF_SEC);
	mf_proxy_health_ok(&health, &logger, "hk", 3 * MF_SEC);
	assert_string_equal(last, "hk: the proxy works again");
	assert_int_equal(last_level, MF_LOG_INFO);
	mf_proxy_health_ok(&health, &logger, "hk", 5 * MF_SEC);
	assert_int_equal(n_lines, 2);
	assert_int_equal(health.count.answered, 3);
}

static void test_what_is_said_of_a_target_speaks_for_the_proxy(void **state)
{
	struct mf_proxy_report r = { 0 };

	(void)state;
	fault(MF_PROXY_SILENT, NULL, MF_SEC);
	fault(MF_PROXY_TARGET_REFUSED, NULL, 2 * MF_SEC);
	assert_string_equal(last, "hk: the proxy works again");
	mf_proxy_report_add(&r, &health);
	assert_int_equal(r.state, MF_PROXY_UP);
	assert_int_equal(r.count.fault[MF_PROXY_TARGET_REFUSED], 1);
	assert_int_equal(r.fault, MF_PROXY_SILENT);
	assert_int_equal(r.last_ok, 2 * MF_SEC);
}

/* What a connection that ends without a byte says of the server. */
static void test_blame(void **state)
{
	struct mf_proxy_life life = { 0 };

	(void)state;
	/* It has never said anything. */
	assert_true(mf_proxy_health_blame(&health, &life, MF_SEC, 2 * MF_SEC));
	/* It has: three may be the doing of targets. */
	mf_proxy_life_note(&life, 3 * MF_SEC);
	for (mf_nsec t = 4; t < 7; t++)
		assert_false(mf_proxy_health_blame(&health, &life, t * MF_SEC, t * MF_SEC));
	assert_true(mf_proxy_health_blame(&health, &life, 7 * MF_SEC, 8 * MF_SEC));
	/* An answer to somebody, before or during the connection. */
	mf_proxy_life_note(&life, 9 * MF_SEC);
	assert_false(mf_proxy_health_blame(&health, &life, 10 * MF_SEC, 11 * MF_SEC));
	mf_proxy_life_note(&life, 13 * MF_SEC);
	for (unsigned i = 0; i < 10; i++)
		assert_false(mf_proxy_health_blame(&health, &life, 12 * MF_SEC, 14 * MF_SEC));
	/* Other settings, another life. */
	life = (struct mf_proxy_life){ 0 };
	assert_true(mf_proxy_health_blame(&health, &life, 15 * MF_SEC, 16 * MF_SEC));
}

static void test_life_is_noted_to_a_millisecond(void **state)
{
	struct mf_proxy_life life = { 0 };

	(void)state;
	assert_false(mf_proxy_life_since(&life, 0));
	mf_proxy_life_note(&life, 5 * MF_MSEC);
	assert_true(mf_proxy_life_since(&life, 5 * MF_MSEC - 1));
	assert_false(mf_proxy_life_since(&life, 5 * MF_MSEC));
	mf_proxy_life_note(&life, 6 * MF_MSEC - 1);
	assert_false(mf_proxy_life_since(&life, 5 * MF_MSEC));
	mf_proxy_life_note(&life, 6 * MF_MSEC);
	assert_true(mf_proxy_life_since(&life, 5 * MF_MSEC));
}

static void test_the_newest_facts_of_all_workers_count(void **state)
{
	struct mf_proxy_health worker[3];
	struct mf_proxy_report r = { 0 };

	(void)state;
	memset(worker, 0, sizeof(worker));
	mf_proxy_report_add(&r, &worker[0]);
	assert_int_equal(r.state, MF_PROXY_UNTRIED);

	mf_proxy_health_fault(&worker[0], MF_PROXY_AUTH, "old", NULL, "hk", 5 * MF_SEC);
	mf_proxy_health_ok(&worker[1], NULL, "hk", 9 * MF_SEC);
	mf_proxy_health_took(&worker[1], MF_PROXY_SPAN_TCP, 30 * MF_MSEC);
	mf_proxy_health_took(&worker[0], MF_PROXY_SPAN_TCP, 20 * MF_MSEC);
	mf_proxy_health_took(&worker[0], MF_PROXY_SPAN_TLS, 21 * MF_MSEC);
	mf_proxy_health_took(&worker[0], MF_PROXY_SPAN_TRANSPORT, 22 * MF_MSEC);
	mf_proxy_health_took(&worker[0], MF_PROXY_SPAN_FIRST_BYTE, 23 * MF_MSEC);
	mf_proxy_health_skew(&worker[2], -77);
	mf_count(&worker[0].count.dialled, 3);
	mf_count(&worker[2].count.dialled, 4);
	for (unsigned order = 0; order < 6; order++) {
		static const uint8_t orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
						      { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

		memset(&r, 0, sizeof(r));
		for (unsigned i = 0; i < 3; i++)
			mf_proxy_report_add(&r, &worker[orders[order][i]]);
		assert_int_equal(r.state, MF_PROXY_UP);
		assert_int_equal(r.fault, MF_PROXY_AUTH);
		assert_string_equal(r.detail, "old");
		assert_int_equal(r.last_ok, 9 * MF_SEC);
		assert_int_equal(r.last_fault, 5 * MF_SEC);
		assert_int_equal(r.tcp, 30 * MF_MSEC);
		assert_int_equal(r.tls, 21 * MF_MSEC);
		assert_int_equal(r.transport, 22 * MF_MSEC);
		assert_int_equal(r.first_byte, 23 * MF_MSEC);
		assert_true(r.skew_known);
		assert_int_equal(r.skew, -77);
		assert_int_equal(r.count.dialled, 7);
	}
	mf_proxy_health_fault(&worker[2], MF_PROXY_CLOCK, NULL, NULL, "hk", 10 * MF_SEC);
	memset(&r, 0, sizeof(r));
	for (unsigned i = 0; i < 3; i++)
		mf_proxy_report_add(&r, &worker[i]);
	assert_int_equal(r.state, MF_PROXY_FAILING);
	assert_int_equal(r.fault, MF_PROXY_CLOCK);
	assert_string_equal(r.detail, "");
}

static void test_a_long_detail_is_cut(void **state)
{
	struct mf_proxy_report r = { 0 };
	char detail[400];

	(void)state;
	memset(detail, 'x', sizeof(detail) - 1);
	detail[sizeof(detail) - 1] = 0;
	fault(MF_PROXY_TLS, detail, MF_SEC);
	mf_proxy_report_add(&r, &health);
	assert_int_equal(strlen(r.detail), MF_PROXY_DETAIL_MAX - 1);
}

/* ---- Two threads ----------------------------------------------------------------------------- */

enum { WRITES = 20000 };

static void *write_facts(void *arg)
{
	bool *done = arg;

	for (unsigned i = 1; i <= WRITES; i++) {
		char detail[32];

		(void)snprintf(detail, sizeof(detail), "%u", i);
		mf_proxy_health_fault(&health, MF_PROXY_AUTH, detail, NULL, "hk", i);
	}
	__atomic_store_n(done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void test_a_reader_sees_facts_of_one_time(void **state)
{
	bool done = false;
	pthread_t thread;
	mf_nsec before = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, write_facts, &done), 0);
	while (before < WRITES) {
		struct mf_proxy_report r = { 0 };

		mf_proxy_report_add(&r, &health);
		assert_int_equal(r.last_fault, strtoull(r.detail, NULL, 10));
		assert_true(r.last_fault >= before);
		before = r.last_fault;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(done);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, reset)
	const struct CMUnitTest tests[] = {
		T(test_a_line_says_what_and_what_to_look_at),
		T(test_lines_come_at_a_limited_rate),
		T(test_it_says_once_that_it_works_again),
		T(test_what_is_said_of_a_target_speaks_for_the_proxy),
		T(test_blame),
		T(test_life_is_noted_to_a_millisecond),
		T(test_the_newest_facts_of_all_workers_count),
		T(test_a_long_detail_is_cut),
		T(test_a_reader_sees_facts_of_one_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
