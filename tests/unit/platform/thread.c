/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/thread.h"

#include <pthread.h>
#include <sched.h>

#include "unit.h"

struct seen {
	char name[16];
	sigset_t blocked;
	int cpu;
	bool ran;
};

static void look(void *arg)
{
	struct seen *s = arg;

	pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
	pthread_sigmask(SIG_SETMASK, NULL, &s->blocked);
	s->cpu = sched_getcpu();
	s->ran = true;
}

static void test_threads_have_a_name_and_no_signals(void **state)
{
	struct seen s = { .ran = false };
	struct mf_thread *t = mf_thread_start("worker-with-a-long-name", -1, look, &s);
	sigset_t mine;

	(void)state;
	assert_non_null(t);
	mf_thread_join(t);
	assert_true(s.ran);
	assert_string_equal(s.name, "worker-with-a-l");
	assert_int_equal(sigismember(&s.blocked, SIGTERM), 1);
	assert_int_equal(sigismember(&s.blocked, SIGINT), 1);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	assert_int_equal(sigismember(&mine, SIGTERM), 0);
}

static void test_processor_is_a_wish(void **state)
{
	struct seen s = { .ran = false };
	cpu_set_t set;
	int cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	while (!CPU_ISSET((size_t)cpu, &set))
		cpu++;
	mf_thread_join(mf_thread_start("w", cpu, look, &s));
	assert_int_equal(s.cpu, cpu);
	s.ran = false;
	mf_thread_join(mf_thread_start("w", 1000, look, &s));
	assert_true(s.ran);
}

static void count_alone(void *arg)
{
	*(uint32_t *)arg = mf_thread_cpus();
}

static void test_processors_follow_the_affinity_mask(void **state)
{
	uint32_t all = mf_thread_cpus(), one = 0;
	cpu_set_t old, set;
	size_t cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(old), &old), 0);
	assert_true(all >= 1 && all <= (uint32_t)CPU_COUNT(&old));
	while (!CPU_ISSET(cpu, &old))
		cpu++;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
	mf_thread_join(mf_thread_start("w", -1, count_alone, &one));
	assert_int_equal(sched_setaffinity(0, sizeof(old), &old), 0);
	assert_int_equal(one, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_have_a_name_and_no_signals),
		cmocka_unit_test(test_processor_is_a_wish),
		cmocka_unit_test(test_processors_follow_the_affinity_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
