/* SPDX-License-Identifier: Apache-2.0
 *
 * clock - CLOCK_BOOTTIME and CLOCK_REALTIME, both answered by the vDSO without a system call.
 */
#include "platform/clock.h"

#include "graph/cycles.h"

#include <stdatomic.h>
#include <time.h>

mf_nsec mf_clock_now(void)
{
	struct timespec ts;
	int r = clock_gettime(CLOCK_BOOTTIME, &ts);

	MF_ASSERT(r == 0);
	return (mf_nsec)ts.tv_sec * MF_SEC + (mf_nsec)ts.tv_nsec;
}

void mf_clock_sleep(mf_nsec t)
{
	struct timespec ts = { .tv_sec = (time_t)(t / MF_SEC), .tv_nsec = (long)(t % MF_SEC) };

	(void)nanosleep(&ts, NULL);
}

struct mf_wall mf_clock_wall(void)
{
	struct timespec ts;
	int r = clock_gettime(CLOCK_REALTIME, &ts);

	MF_ASSERT(r == 0);
	return (struct mf_wall){ .sec = ts.tv_sec, .nsec = (uint32_t)ts.tv_nsec };
}

uint64_t mf_clock_cycles_hz(void)
{
	static _Atomic uint64_t known;
	uint64_t hz = atomic_load(&known), c0, c1;
	mf_nsec t0, t1;

	if (hz)
		return hz;
	t0 = mf_clock_now();
	c0 = mf_cycles();
	do {
		t1 = mf_clock_now();
	} while (t1 - t0 < 10 * MF_MSEC);
	c1 = mf_cycles();
	hz = (uint64_t)((unsigned __int128)(c1 - c0) * MF_SEC / (t1 - t0));
	if (!hz)
		hz = 1;
	atomic_store(&known, hz);
	return hz;
}
