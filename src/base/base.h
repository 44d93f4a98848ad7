/* SPDX-License-Identifier: Apache-2.0
 *
 * base - what every file of the engine may lean on: attributes, assertions, time, small arithmetic.
 *
 * Nothing here does I/O, reads a clock or allocates.
 */
#ifndef MF_BASE_H
#define MF_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MF_MUST_CHECK                      __attribute__((warn_unused_result))
#define MF_PRINTF(fmt, args)               __attribute__((format(printf, fmt, args)))
#define MF_COLD                            __attribute__((cold, noinline))
#define MF_LIKELY(x)                       __builtin_expect(!!(x), 1)
#define MF_UNLIKELY(x)                     __builtin_expect(!!(x), 0)
#define MF_ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define MF_CACHE_LINE                      64
#define MF_ALIGNED(n)                      __attribute__((aligned(n)))
#define MF_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Our own mistakes stop the program, in every build; a peer's mistakes never come here. */
_Noreturn void mf_assert_failed(const char *expr, const char *file, int line);
#define MF_ASSERT(e) (MF_LIKELY(e) ? (void)0 : mf_assert_failed(#e, __FILE__, __LINE__))

/* A point on the boot-time clock (it counts sleep), or a span of it, in nanoseconds. Cores get the
 * time as a parameter `now`; only src/platform reads a clock. */
typedef uint64_t mf_nsec;
#define MF_NEVER UINT64_MAX
#define MF_USEC  ((mf_nsec)1000)
#define MF_MSEC  ((mf_nsec)1000000)
#define MF_SEC   ((mf_nsec)1000000000)

/* Who reads it: bytes that somebody else owns. */
struct mf_span {
	const uint8_t *p;
	size_t n;
};

static inline struct mf_span mf_span(const void *p, size_t n)
{
	return (struct mf_span){ .p = p, .n = n };
}

/* Where bytes may be written: the writable twin. */
struct mf_room {
	uint8_t *p;
	size_t n;
};

/* Where randomness comes from; tests pass a seeded one (base/prng.h). `fill` never fails. */
struct mf_rng {
	void (*fill)(void *ctx, void *out, size_t n);
	void *ctx;
};

static inline uint32_t mf_rng_u32(const struct mf_rng *rng)
{
	uint32_t v;

	rng->fill(rng->ctx, &v, sizeof(v));
	return v;
}

static inline size_t mf_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t mf_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

static inline size_t mf_round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static inline bool mf_is_pow2(size_t n)
{
	return n && !(n & (n - 1));
}

/* Overwrites secrets so that the compiler cannot leave it out. */
void mf_wipe(void *p, size_t n);

/* Compares secrets in constant time. */
bool mf_equal_secret(const void *a, const void *b, size_t n);

#endif
