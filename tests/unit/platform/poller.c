/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/poller.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "platform/clock.h"
#include "platform/thread.h"
#include "unit.h"

static void test_ready_descriptors_have_their_token(void **state)
{
	struct mf_poller *p = mf_poller_new();
	struct mf_poll_event ev[4];
	int a[2], b[2];

	(void)state;
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	assert_int_equal(mf_poller_add(p, a[0], 11, MF_POLL_READ), MF_OK);
	assert_int_equal(mf_poller_add(p, b[0], 22, MF_POLL_READ), MF_OK);
	assert_int_equal(mf_poller_add(p, b[0], 22, MF_POLL_READ), MF_E_EXISTS);
	assert_int_equal(mf_poller_wait(p, ev, 4, 0), 0);
	assert_int_equal(write(b[1], "x", 1), 1);
	/* level-triggered: as long as it is not read */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mf_poller_wait(p, ev, 4, MF_NEVER), 1);
		assert_int_equal(ev[0].token, 22);
		assert_int_equal(ev[0].ready, MF_POLL_READ);
	}
	assert_int_equal(mf_poller_change(p, b[0], 33, MF_POLL_READ), MF_OK);
	assert_int_equal(mf_poller_wait(p, ev, 4, MF_NEVER), 1);
	assert_int_equal(ev[0].token, 33);
	mf_poller_remove(p, b[0]);
	assert_int_equal(mf_poller_change(p, b[0], 33, MF_POLL_READ), MF_E_NOT_FOUND);
	assert_int_equal(mf_poller_wait(p, ev, 4, 0), 0);
	close(a[1]);
	assert_int_equal(mf_poller_wait(p, ev, 4, MF_NEVER), 1);
	assert_int_equal(ev[0].token, 11);
	assert_true(ev[0].ready & MF_POLL_ERROR);
	assert_int_equal(mf_poller_add(p, b[1], 44, MF_POLL_WRITE), MF_OK);
	mf_poller_remove(p, a[0]);
	assert_int_equal(mf_poller_wait(p, ev, 4, MF_NEVER), 1);
	assert_int_equal(ev[0].ready, MF_POLL_WRITE);
	close(a[0]);
	close(b[0]);
	close(b[1]);
	mf_poller_free(p);
}

/* Once for each change, and once for what is so when it is added. */
static void test_edges(void **state)
{
	struct mf_poller *p = mf_poller_new();
	struct mf_poll_event ev[4];
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	assert_int_equal(write(s[1], "x", 1), 1);
	assert_int_equal(mf_poller_add(p, s[0], 7,
				       MF_POLL_READ | MF_POLL_WRITE | MF_POLL_END | MF_POLL_EDGE),
			 MF_OK);
	assert_int_equal(mf_poller_wait(p, ev, 4, MF_NEVER), 1);
	assert_int_equal(ev[0].ready, MF_POLL_READ | MF_POLL_WRITE);
	assert_int_equal(mf_poller_wait(p, ev, 4, 0), 0);
	assert_int_equal(write(s[1], "y", 1), 1);
	assert_int_equal(mf_poller_wait(p, ev, 4, MF_NEVER), 1);
	assert_true(ev[0].ready & MF_POLL_READ);
	assert_int_equal(mf_poller_wait(p, ev, 4, 0), 0);
	assert_int_equal(shutdown(s[1], SHUT_WR), 0);
	assert_int_equal(mf_poller_wait(p, ev, 4, MF_NEVER), 1);
	assert_true(ev[0].ready & MF_POLL_END);
	assert_false(ev[0].ready & MF_POLL_ERROR);
	close(s[1]); /* with two bytes unread here: no error, a hang-up */
	assert_int_equal(mf_poller_wait(p, ev, 4, MF_NEVER), 1);
	assert_true(ev[0].ready & MF_POLL_ERROR);
	assert_false(ev[0].ready & MF_POLL_FAULT);
	close(s[0]); /* and is forgotten */
	assert_int_equal(mf_poller_wait(p, ev, 4, 0), 0);
	mf_poller_free(p);
}

static void test_time_out_is_not_early(void **state)
{
	static const mf_nsec spans[] = { 1, 500 * MF_USEC, 3 * MF_MSEC, 20 * MF_MSEC };
	struct mf_poller *p = mf_poller_new();
	struct mf_poll_event ev;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(spans); i++) {
		mf_nsec t = mf_clock_now();

		assert_int_equal(mf_poller_wait(p, &ev, 1, spans[i]), 0);
		assert_true(mf_clock_now() - t >= spans[i]);
	}
	mf_poller_free(p);
}

static void wake_later(void *arg)
{
	usleep(20000);
	mf_poller_wake(arg);
}

static void test_wake_ends_a_wait_before_and_during(void **state)
{
	struct mf_poller *p = mf_poller_new();
	struct mf_poll_event ev;
	struct mf_thread *t;

	(void)state;
	mf_poller_wake(p);
	mf_poller_wake(p);
	assert_int_equal(mf_poller_wait(p, &ev, 1, MF_NEVER), 0);
	assert_int_equal(mf_poller_wait(p, &ev, 1, 0), 0);
	t = mf_thread_start("waker", -1, wake_later, p);
	assert_non_null(t);
	assert_int_equal(mf_poller_wait(p, &ev, 1, MF_NEVER), 0);
	mf_thread_join(t);
	mf_poller_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready_descriptors_have_their_token),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_time_out_is_not_early),
		cmocka_unit_test(test_wake_ends_a_wait_before_and_during),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
