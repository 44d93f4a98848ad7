/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_bulk_avx512 - eight IPv4 lookups at a time, one in each 64-bit lane, in tables whose slots are
 * chosen by 16 bits; the build gives this file the flags (AVX-512 F, VL, DQ, BW, VPOPCNTDQ). Smaller
 * tables and IPv6, whose lookups end at different depths, are faster one address at a time.
 *
 * Every load is a gather. The processor runs far enough ahead for the gathers of several groups of
 * eight to miss the cache at once; asking beforehand (prefetch) only made it slower.
 */
#include <immintrin.h>

#include "policy/lpm_bulk.h"

enum { LANES = 8 };

/* Eight lookups at the same depth. */
struct lanes {
	__m512i node, tag;
	__mmask8 active;
};

static inline __m512i all(long long v)
{
	return _mm512_set1_epi64(v);
}

/* Loads 64 bits for each lane of m from its address; zero for the others. */
static inline __m512i gather64(__mmask8 m, __m512i addr)
{
	return _mm512_mask_i64gather_epi64(_mm512_setzero_si512(), m, addr, NULL, 1);
}

/* Loads 32 bits for each lane of m from its address + offset. */
static inline __m512i gather32(__mmask8 m, __m512i addr, size_t offset)
{
	addr = _mm512_add_epi64(addr, all((long long)offset));
	return _mm512_cvtepu32_epi64(
		_mm512_mask_i64gather_epi32(_mm256_setzero_si256(), m, addr, NULL, 1));
}

/* As mf_lpm_leaf(). */
static inline __m512i leaves(const struct lanes *l, __m512i byte)
{
	const __m512i mask = _mm512_setr_epi64(0xff, 0xffff, 0xffffffff, 0, 0, 0, 0, 0);
	__m512i w8 = _mm512_and_si512(_mm512_srli_epi64(byte, 3), all(24)), edge, before, at;

	edge = gather64(l->active, _mm512_add_epi64(l->node, w8));
	edge = _mm512_sllv_epi64(edge, _mm512_andnot_si512(byte, all(63)));
	before = gather32(l->active, l->node, offsetof(struct mf_lpm_node, before));
	before = _mm512_and_si512(_mm512_srlv_epi64(before, w8), all(0xff));
	at = _mm512_add_epi64(before, _mm512_sub_epi64(_mm512_popcnt_epi64(edge), all(1)));
	at = _mm512_add_epi64(l->node, _mm512_sllv_epi64(at, l->tag));
	return _mm512_and_si512(gather32(l->active, at, offsetof(struct mf_lpm_node, leaf)),
				_mm512_permutexvar_epi64(l->tag, mask));
}

/* The children of the lanes in m; their references lie in front of the node, 0 next to it. */
static inline struct lanes children(const struct lanes *l, __mmask8 m, __m512i kid)
{
	__m512i at = _mm512_sub_epi64(l->node, _mm512_slli_epi64(_mm512_add_epi64(kid, all(1)), 2));
	__m512i ref = gather32(m, at, 0);

	return (struct lanes){
		.node = _mm512_add_epi64(l->node, _mm512_andnot_si512(all(MF_LPM_TAG), ref)),
		.tag = _mm512_and_si512(ref, all(MF_LPM_TAG)),
		.active = m,
	};
}

static inline __m512i load_slots(const struct mf_lpm_top *top, __m512i addr)
{
	__m512i at = _mm512_slli_epi64(_mm512_srli_epi64(addr, 16), 3);
	unsigned every = 0xff;

	/* Hidden from the compiler, which would else leave the register to load into as it is; the load
	 * would wait for those who used it before, and no two groups of lookups would overlap. */
	__asm__("" : "+r"(every));
	at = _mm512_add_epi64(at, all((long long)(uintptr_t)top->slot));
	return gather64((__mmask8)every, at);
}

static inline __m256i lookup_lanes(const struct mf_lpm_top *top, __m512i addr)
{
	const __m512i first_child =
		_mm512_setr_epi64(MF_LPM_CHILD8, MF_LPM_CHILD16, MF_LPM_CHILD32, 0, 0, 0, 0, 0);
	__m512i slot = load_slots(top, addr);
	__m512i value = _mm512_srli_epi64(slot, 32), byte, leaf, first;
	struct lanes l = {
		.node = _mm512_andnot_si512(all(MF_LPM_TAG), slot),
		.tag = _mm512_and_si512(slot, all(MF_LPM_TAG)),
		.active = _mm512_testn_epi64_mask(slot, all(MF_LPM_DIRECT)),
	};
	__mmask8 kids;

	byte = _mm512_and_si512(_mm512_srli_epi64(addr, 8), all(0xff));
	leaf = leaves(&l, byte);
	first = _mm512_permutexvar_epi64(l.tag, first_child);
	kids = _mm512_mask_cmpge_epu64_mask(l.active, leaf, first);
	value = _mm512_mask_mov_epi64(value, l.active, leaf);
	if (MF_UNLIKELY(kids)) {
		/* The last byte. 16 bits leave no room for a node that skips some. */
		l = children(&l, kids, _mm512_sub_epi64(leaf, first));
		leaf = leaves(&l, _mm512_and_si512(addr, all(0xff)));
		value = _mm512_mask_mov_epi64(value, kids, leaf);
	}
	value = _mm512_mask_mov_epi64(value, _mm512_testn_epi64_mask(value, value),
				      all(__atomic_load_n(&top->fallback, __ATOMIC_RELAXED)));
	return _mm512_cvtepi64_epi32(value);
}

void mf_lpm_lookup4_avx512(const struct mf_lpm *t, const uint32_t *addr, uint32_t *out, size_t n)
{
	const struct mf_lpm_top *top = __atomic_load_n(&t->top, __ATOMIC_ACQUIRE);
	size_t i = 0;

	for (; top->bits == 16 && i + LANES <= n; i += LANES) {
		__m256i a = _mm256_loadu_si256((const void *)(addr + i));

		_mm256_storeu_si256((void *)(out + i), lookup_lanes(top, _mm512_cvtepu32_epi64(a)));
	}
	mf_lpm_lookup4_popcnt(t, addr + i, out + i, n - i);
}
