/* SPDX-License-Identifier: Apache-2.0
 *
 * cycles - the processor's cheap monotonic counter, for statistics only: it says how much a node
 * costs, never what time it is.
 */
#ifndef MF_CYCLES_H
#define MF_CYCLES_H

#include <stdint.h>

static inline uint64_t mf_cycles(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t v;

	__asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(v));
	return v;
#else
	return 0;
#endif
}

#endif
