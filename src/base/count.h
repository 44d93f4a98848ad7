/* SPDX-License-Identifier: Apache-2.0
 *
 * count - counters that one thread writes and any thread reads: relaxed stores make that well defined and
 * cost nothing.
 */
#ifndef MF_COUNT_H
#define MF_COUNT_H

#include <stddef.h>
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

/* All counters of a struct that is nothing else begin anew; the writer's. */
static inline void mf_counters_clear(void *counters, size_t size)
{
	uint64_t *c = counters;

	for (size_t i = 0; i < size / sizeof(*c); i++)
		mf_uncount(&c[i], c[i]);
}

/* Adds `one` to `sum`: structs of `size` bytes that are nothing but counters, so they add up as arrays. */
static inline void mf_counters_add(void *sum, const void *one, size_t size)
{
	const uint64_t *from = one;
	uint64_t *to = sum;

	for (size_t i = 0; i < size / sizeof(*to); i++)
		to[i] += mf_counter_read(&from[i]);
}

#endif
