/* SPDX-License-Identifier: Apache-2.0
 *
 * csum - three versions of the same sum.
 *
 * The vector versions turn unsigned words into signed ones by flipping the top bit (w - 32768), let
 * one multiply-add by 1 sum neighbours into 32-bit lanes, and add 32768 per word at the end: three
 * instructions for each vector.
 */
#include "wire/csum.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_X86 1
#else
#define HAVE_X86 0
#endif

typedef uint64_t add_fn(const void *p, size_t n, uint64_t sum);

static uint64_t add_generic(const void *p, size_t n, uint64_t sum)
{
	const uint8_t *b = p;
	uint64_t w[4], even = 0, odd = 0;

	for (; n >= 32; b += 32, n -= 32) {
		memcpy(w, b, 32);
		for (int i = 0; i < 4; i++) {
			even += w[i] & 0xffffffff;
			odd += w[i] >> 32;
		}
	}
	for (; n >= 4; b += 4, n -= 4) {
		uint32_t v;

		memcpy(&v, b, 4);
		even += v;
	}
	if (n) {
		uint8_t last[4] = { 0 };
		uint32_t v;

		memcpy(last, b, n);
		memcpy(&v, last, 4);
		odd += v;
	}
	/* Fold what was given so that a chain of sums never overflows. */
	return (sum & 0xffffffff) + (sum >> 32) + even + odd;
}

#if HAVE_X86

/* A 32-bit lane gains at most 2 * 32768 in size per vector and accumulator; all accumulators of a
 * block are added before they are widened. */
enum { BLOCK = 512 * 1024 };

__attribute__((target("avx2"))) static uint64_t add_avx2_block(const uint8_t *b, size_t vectors)
{
	const __m256i flip = _mm256_set1_epi16((short)0x8000), one = _mm256_set1_epi16(1);
	__m256i a0 = _mm256_setzero_si256(), a1 = a0, a2 = a0, a3 = a0;
	__m128i x;
	size_t i = 0;

#define STEP(acc, at)              \
	acc = _mm256_add_epi32(    \
		acc,               \
		_mm256_madd_epi16( \
			_mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(at)), flip), one))
	for (; i + 4 <= vectors; i += 4, b += 128) {
		STEP(a0, b);
		STEP(a1, b + 32);
		STEP(a2, b + 64);
		STEP(a3, b + 96);
	}
	for (; i < vectors; i++, b += 32)
		STEP(a0, b);
#undef STEP
	a0 = _mm256_add_epi32(_mm256_add_epi32(a0, a1), _mm256_add_epi32(a2, a3));
	x = _mm256_castsi256_si128(a0);
	a0 = _mm256_add_epi64(_mm256_cvtepi32_epi64(x),
			      _mm256_cvtepi32_epi64(_mm256_extracti128_si256(a0, 1)));
	x = _mm_add_epi64(_mm256_castsi256_si128(a0), _mm256_extracti128_si256(a0, 1));
	return (uint64_t)_mm_cvtsi128_si64(x) + (uint64_t)_mm_extract_epi64(x, 1) +
	       (uint64_t)vectors * 16 * 32768;
}

__attribute__((target("avx2"))) static uint64_t add_avx2(const void *p, size_t n, uint64_t sum)
{
	const uint8_t *b = p;

	while (n >= 64) {
		size_t take = mf_min(n, BLOCK) & ~(size_t)31;

		sum = (sum & 0xffffffff) + (sum >> 32) + add_avx2_block(b, take / 32);
		b += take;
		n -= take;
	}
	return add_generic(b, n, sum);
}

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx2")))

AVX512 static uint64_t add_avx512_block(const uint8_t *b, size_t n)
{
	const __m512i flip = _mm512_set1_epi16((short)0x8000), one = _mm512_set1_epi16(1);
	__m512i a0 = _mm512_setzero_si512(), a1 = a0;
	size_t vectors = (n + 63) / 64;

#define STEP(acc, v) acc = _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_xor_si512(v, flip), one))
	for (; n >= 128; b += 128, n -= 128) {
		STEP(a0, _mm512_loadu_si512(b));
		STEP(a1, _mm512_loadu_si512(b + 64));
	}
	if (n >= 64) {
		STEP(a0, _mm512_loadu_si512(b));
		b += 64;
		n -= 64;
	}
	if (n) /* lanes beyond n read as zero and do not fault */
		STEP(a1, _mm512_maskz_loadu_epi8(((__mmask64)1 << n) - 1, b));
#undef STEP
	a0 = _mm512_add_epi32(a0, a1);
	a0 = _mm512_add_epi64(_mm512_cvtepi32_epi64(_mm512_castsi512_si256(a0)),
			      _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(a0, 1)));
	return (uint64_t)_mm512_reduce_add_epi64(a0) + (uint64_t)vectors * 32 * 32768;
}

AVX512 static uint64_t add_avx512(const void *p, size_t n, uint64_t sum)
{
	const uint8_t *b = p;

	if (n < 32)
		return add_generic(p, n, sum);
	while (n) {
		size_t take = mf_min(n, BLOCK);

		sum = (sum & 0xffffffff) + (sum >> 32) + add_avx512_block(b, take);
		b += take;
		n -= take;
	}
	return sum;
}

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

/* Only from the generation on that does not slow down for a few wide instructions. */
static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512vbmi2");
}

#endif

const struct mf_csum_impl *mf_csum_impl(unsigned i)
{
	static const struct mf_csum_impl generic = { "generic", add_generic };
#if HAVE_X86
	static const struct mf_csum_impl avx2 = { "avx2", add_avx2 };
	static const struct mf_csum_impl avx512 = { "avx512", add_avx512 };

	if (i == 1 && has_avx2())
		return &avx2;
	if (i == 2 && has_avx512())
		return &avx512;
#endif
	return i == 0 ? &generic : NULL;
}

static add_fn choose;

/* Written once or more, always with the same value. */
static add_fn *best = choose;

static uint64_t choose(const void *p, size_t n, uint64_t sum)
{
	add_fn *f = add_generic;

	for (unsigned i = 1; mf_csum_impl(i); i++)
		f = mf_csum_impl(i)->add;
	__atomic_store_n(&best, f, __ATOMIC_RELAXED);
	return f(p, n, sum);
}

uint64_t mf_csum_add(const void *p, size_t n, uint64_t sum)
{
	return __atomic_load_n(&best, __ATOMIC_RELAXED)(p, n, sum);
}
