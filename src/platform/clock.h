/* SPDX-License-Identifier: Apache-2.0
 *
 * clock - the only place that reads a clock. Everything below gets the time as a parameter.
 */
#ifndef MF_PLATFORM_CLOCK_H
#define MF_PLATFORM_CLOCK_H

#include "base/base.h"

/* Nanoseconds since boot, sleep included: a key that is too old after a suspend must be known to be
 * so. Never goes back. Any thread. */
mf_nsec mf_clock_now(void);

/* Wall clock since 1970 (UTC, without leap seconds): for TAI64N and logs, never for deadlines. */
struct mf_wall {
	int64_t sec;
	uint32_t nsec;
};
struct mf_wall mf_clock_wall(void);

/* A counter that costs some 20 cycles to read, for per-node statistics. Compare only readings of one
 * thread; may jump when the machine sleeps. */
static inline uint64_t mf_clock_cycles(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
#else
	return mf_clock_now();
#endif
}

/* Ticks of that counter in a second. The first call measures for some 10 ms, later ones are free. */
uint64_t mf_clock_cycles_hz(void);

#endif
