/* SPDX-License-Identifier: Apache-2.0
 *
 * thread - named threads, and how many of them are worth having.
 */
#ifndef MF_PLATFORM_THREAD_H
#define MF_PLATFORM_THREAD_H

#include "base/err.h"

struct mf_thread;

/* Starts `run(arg)` with all signals blocked. `name` (up to 15 bytes) is what top shows. `cpu` >= 0
 * pins it to that processor, as a wish. NULL: no more threads. */
struct mf_thread *mf_thread_start(const char *name, int cpu, void (*run)(void *arg), void *arg);
/* Waits for its end and frees it. */
void mf_thread_join(struct mf_thread *t);

/* Processors this process may use: its affinity mask, less if a cgroup gives it less time. >= 1. */
uint32_t mf_thread_cpus(void);

#endif
