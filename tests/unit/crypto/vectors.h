/* SPDX-License-Identifier: Apache-2.0
 *
 * vectors - what the tests of src/crypto share: hex, byte patterns, seeds. reference.py makes the
 * same patterns.
 */
#ifndef MF_TEST_CRYPTO_VECTORS_H
#define MF_TEST_CRYPTO_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/prng.h"

/* Returns the number of bytes. */
static inline size_t from_hex(uint8_t *out, size_t cap, const char *hex)
{
	size_t n = strlen(hex) / 2;

	assert_true(n <= cap);
	for (size_t i = 0; i < n; i++) {
		unsigned v;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return n;
}

static inline void assert_hex(const uint8_t *got, const char *hex)
{
	uint8_t want[512];
	size_t n = from_hex(want, sizeof(want), hex);

	assert_memory_equal(got, want, n);
}

static inline void pattern(uint8_t *out, size_t n, size_t a)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(i * 7 + a * 13 + n);
}

static inline void fill(struct mf_prng *g, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)mf_prng_u64(g);
}

/* A new seed each run, or MF_TEST_SEED to repeat one. */
static inline struct mf_prng seeded(void)
{
	const char *env = getenv("MF_TEST_SEED");
	uint64_t seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL) * 1000003u;

	print_message("seed: MF_TEST_SEED=%llu\n", (unsigned long long)seed);
	return (struct mf_prng){ .state = seed };
}

#endif
