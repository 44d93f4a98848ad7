/* SPDX-License-Identifier: Apache-2.0
 *
 * unit - what every unit test includes: cmocka with its prerequisites, a seed that is printed, and a
 * check that an assertion of ours stops the program.
 */
#ifndef MF_UNIT_H
#define MF_UNIT_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/prng.h"

/* A generator with a seed that differs from run to run; MF_SEED=N repeats a run. */
static inline struct mf_prng unit_prng(const char *what)
{
	const char *wish = getenv("MF_SEED");
	struct timespec ts;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &ts);
	seed = wish ? strtoull(wish, NULL, 0) : (uint64_t)ts.tv_sec * 1000003 + (uint64_t)ts.tv_nsec;
	print_message("%s: MF_SEED=%llu\n", what, (unsigned long long)seed);
	return (struct mf_prng){ .state = seed };
}

/* Whether fn(arg) ends the program with abort(), as MF_ASSERT does. */
static inline bool unit_aborts(void (*fn)(void *arg), void *arg)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		fn(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
