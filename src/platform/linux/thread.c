/* SPDX-License-Identifier: Apache-2.0
 *
 * thread - POSIX threads; processors from the affinity mask and the cgroups above us.
 */
#include "platform/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { CGROUP_PATH_MAX = 512, CPUS_MAX = 8192 };

struct mf_thread {
	pthread_t id;
	char name[16];
	int cpu;
	void (*run)(void *arg);
	void *arg;
};

static void *enter(void *arg)
{
	struct mf_thread *t = arg;
	cpu_set_t set;

	pthread_setname_np(pthread_self(), t->name);
	if (t->cpu >= 0 && t->cpu < CPU_SETSIZE) {
		CPU_ZERO(&set);
		CPU_SET((size_t)t->cpu, &set);
		/* A wish: the processor may be gone, or not ours. */
		(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	}
	t->run(t->arg);
	return NULL;
}

struct mf_thread *mf_thread_start(const char *name, int cpu, void (*run)(void *arg), void *arg)
{
	struct mf_thread *t = calloc(1, sizeof(*t));
	sigset_t all, old;
	int r;

	if (!t)
		return NULL;
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->cpu = cpu;
	t->run = run;
	t->arg = arg;
	/* Signals are the main thread's business; the new one inherits the mask. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&t->id, NULL, enter, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!r)
		return t;
	free(t);
	return NULL;
}

void mf_thread_join(struct mf_thread *t)
{
	if (!t)
		return;
	pthread_join(t->id, NULL);
	free(t);
}

static uint32_t affinity_cpus(void)
{
	cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
	size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
	uint32_t n = 1;

	if (!set)
		return n;
	if (sched_getaffinity(0, size, set) == 0)
		n = (uint32_t)CPU_COUNT_S(size, set);
	CPU_FREE(set);
	return n ? n : 1;
}

/* Processors' worth of time that one group may use, rounded up; UINT32_MAX: no limit. */
static uint32_t quota_of(const char *group)
{
	char path[CGROUP_PATH_MAX + 32];
	unsigned long long quota, period;
	uint32_t n = UINT32_MAX;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
	f = fopen(path, "re");
	if (!f)
		return n;
	/* "max 100000" or "150000 100000" */
	if (fscanf(f, "%llu %llu", &quota, &period) == 2 && period)
		n = (uint32_t)mf_min((quota + period - 1) / period, UINT32_MAX);
	fclose(f);
	return n;
}

/* The tightest of our cgroup and those above it (version 2; version 1 is not looked at). */
static uint32_t cgroup_cpus(void)
{
	char line[CGROUP_PATH_MAX];
	uint32_t n = UINT32_MAX;
	FILE *f = fopen("/proc/self/cgroup", "re");

	if (!f)
		return n;
	while (fgets(line, sizeof(line), f)) {
		char *group = line + 3, *end = strchr(line, '\n');

		if (strncmp(line, "0::/", 4) || !end)
			continue;
		*end = '\0';
		while (end) {
			n = (uint32_t)mf_min(n, quota_of(group));
			end = strrchr(group, '/');
			if (end)
				*end = '\0';
		}
	}
	fclose(f);
	return n;
}

uint32_t mf_thread_cpus(void)
{
	return (uint32_t)mf_max(mf_min(affinity_cpus(), cgroup_cpus()), 1);
}
