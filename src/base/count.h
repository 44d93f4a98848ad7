/* SPDX-License-Identifier: Apache-2.0
 *
 * count - counters that one thread writes and any thread reads: relaxed stores make that well defined and
 * cost nothing.
 */
#ifndef MF_COUNT_H
#define MF_COUNT_H

#include <stdint.h>

static inline void mf_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline void mf_uncount(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter - n, __ATOMIC_RELAXED);
}

static inline uint64_t mf_counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
