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

/* Lets this thread rest for so long; a signal may end it before. */
void mf_clock_sleep(mf_nsec t);

/* Wall clock since 1970 (UTC, without leap seconds): for TAI64N and logs, never for deadlines. */
struct mf_wall {
	int64_t sec;
	uint32_t nsec;
};
struct mf_wall mf_clock_wall(void);

/* Ticks of mf_cycles (graph/cycles.h) in a second, to print costs as time. The first call measures for
 * some 10 ms, later ones are free. */
uint64_t mf_clock_cycles_hz(void);

#endif
