/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_bulk_avx512 - eight lookups at a time, one in each 64-bit lane; the build gives this file the
 * flags (AVX-512 F, VL, DQ, BW, VPOPCNTDQ).
 *
 * Every load is a gather. The processor runs far enough ahead for the gathers of several groups of
 * eight to miss the cache at once; asking beforehand (prefetch) only made it slower.
 */
#include <immintrin.h>

#include "policy/lpm_bulk.h"

enum { LANES = 8 };

/* Eight lookups: where they are. Byte `pos` of the address is the next to look at. */
struct lanes {
	__m512i node, tag, pos, value;
	__mmask8 active;
};

/* The addresses: IPv4 in host order, one a lane, or the first of eight IPv6 addresses in memory. */
struct source {
	__m512i four;
	const uint8_t *six;
};

/* Loads 32 bits for each lane of m; the address is base + offset. */
static inline __m512i gather32(__mmask8 m, __m512i offset, const void *base)
{
	return _mm512_cvtepu32_epi64(
		_mm512_mask_i64gather_epi32(_mm256_setzero_si256(), m, offset, base, 1));
}

static inline __m512i lane_offset(void)
{
	return _mm512_setr_epi64(0, 16, 32, 48, 64, 80, 96, 112);
}

static inline __m512i all(long long v)
{
	return _mm512_set1_epi64(v);
}

static inline __m512i next_byte(const struct source *from, const struct lanes *l)
{
	__m512i pos = l->pos, word = from->four, shift;

	if (!from->six) {
		shift = _mm512_sub_epi64(all(24), _mm512_slli_epi64(pos, 3));
	} else {
		__m512i at = _mm512_add_epi64(lane_offset(), _mm512_andnot_si512(all(3), pos));

		word = gather32(l->active, at, from->six);
		shift = _mm512_slli_epi64(_mm512_and_si512(pos, all(3)), 3);
	}
	return _mm512_and_si512(_mm512_srlv_epi64(word, shift), all(0xff));
}

/* As mf_lpm_leaf(). */
static inline __m512i leaves(const struct lanes *l, __m512i byte)
{
	const __m512i mask = _mm512_setr_epi64(0xff, 0xffff, 0xffffffff, 0, 0, 0, 0, 0);
	__m512i w8 = _mm512_and_si512(_mm512_srli_epi64(byte, 3), all(24)), edge, before, i;

	edge = _mm512_mask_i64gather_epi64(_mm512_setzero_si512(), l->active,
					   _mm512_add_epi64(l->node, w8), NULL, 1);
	before = gather32(l->active, l->node, (const void *)offsetof(struct mf_lpm_node, before));
	before = _mm512_and_si512(_mm512_srlv_epi64(before, w8), all(0xff));
	edge = _mm512_sllv_epi64(edge, _mm512_andnot_si512(byte, all(63)));
	i = _mm512_add_epi64(before, _mm512_sub_epi64(_mm512_popcnt_epi64(edge), all(1)));
	i = _mm512_add_epi64(l->node, _mm512_sllv_epi64(i, l->tag));
	return _mm512_and_si512(
		gather32(l->active, i, (const void *)offsetof(struct mf_lpm_node, leaf)),
		_mm512_permutexvar_epi64(l->tag, mask));
}

/* Takes the lanes of m to the child whose reference lies at (node - 4 - 4 * kid). */
static inline void enter_children(struct lanes *l, __mmask8 m, __m512i kid)
{
	__m512i at = _mm512_sub_epi64(l->node, _mm512_slli_epi64(_mm512_add_epi64(kid, all(1)), 2));
	__m512i ref = gather32(m, at, NULL);

	l->node = _mm512_mask_add_epi64(l->node, m, l->node,
					_mm512_andnot_si512(all(MF_LPM_TAG), ref));
	l->tag = _mm512_mask_and_epi64(l->tag, m, ref, all(MF_LPM_TAG));
	l->pos = _mm512_mask_add_epi64(l->pos, m, l->pos, all(1));
	l->active = m;
}

/* Lanes that are at a node that compares bytes, one by one. */
static void pass_skips(struct lanes *l, __mmask8 m, const struct source *from)
{
	uint64_t node[LANES], tag[LANES], pos[LANES], value[LANES], four[LANES];

	_mm512_storeu_si512(node, l->node);
	_mm512_storeu_si512(tag, l->tag);
	_mm512_storeu_si512(pos, l->pos);
	_mm512_storeu_si512(value, l->value);
	_mm512_storeu_si512(four, from->four);
	for (unsigned left = m; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		const struct mf_lpm_skip *s = (const void *)(uintptr_t)node[i];
		uint8_t b[4];
		const uint8_t *addr = from->six ? from->six + 16u * i : b;

		mf_store_be32(b, (uint32_t)four[i]);
		if (memcmp(addr + pos[i], s->key, s->n) != 0) {
			value[i] = s->miss;
			l->active &= (__mmask8) ~(1u << i);
			continue;
		}
		pos[i] += s->n;
		node[i] += s->child & ~(uint32_t)MF_LPM_TAG;
		tag[i] = s->child & MF_LPM_TAG;
	}
	l->node = _mm512_loadu_si512(node);
	l->tag = _mm512_loadu_si512(tag);
	l->pos = _mm512_loadu_si512(pos);
	l->value = _mm512_loadu_si512(value);
}

/* `number` has the eight slots' numbers. */
static inline __m256i lookup_lanes(const struct mf_lpm_top *top, __m512i number,
				   const struct source *from)
{
	const __m512i first_child =
		_mm512_setr_epi64(MF_LPM_CHILD8, MF_LPM_CHILD16, MF_LPM_CHILD32, 0, 0, 0, 0, 0);
	__m512i slot = _mm512_i64gather_epi64(number, top->slot, 8);
	struct lanes l = {
		.node = _mm512_andnot_si512(all(MF_LPM_TAG), slot),
		.tag = _mm512_and_si512(slot, all(MF_LPM_TAG)),
		.pos = all(top->bits / 8),
		.value = _mm512_srli_epi64(slot, 32),
		.active = _mm512_testn_epi64_mask(slot, all(MF_LPM_DIRECT)),
	};

	while (l.active) {
		__mmask8 skip = _mm512_mask_cmpeq_epi64_mask(l.active, l.tag, all(MF_LPM_SKIP)), kid;
		__m512i leaf, first;

		if (MF_UNLIKELY(skip))
			pass_skips(&l, skip, from);
		leaf = leaves(&l, next_byte(from, &l));
		first = _mm512_permutexvar_epi64(l.tag, first_child);
		kid = _mm512_mask_cmpge_epu64_mask(l.active, leaf, first);
		l.value = _mm512_mask_mov_epi64(l.value, l.active & (__mmask8)~kid, leaf);
		if (MF_LIKELY(!kid))
			break;
		enter_children(&l, kid, _mm512_sub_epi64(leaf, first));
	}
	l.value = _mm512_mask_mov_epi64(l.value, _mm512_testn_epi64_mask(l.value, l.value),
					all(__atomic_load_n(&top->fallback, __ATOMIC_RELAXED)));
	return _mm512_cvtepi64_epi32(l.value);
}

void mf_lpm_lookup4_avx512(const struct mf_lpm *t, const uint32_t *addr, uint32_t *out, size_t n)
{
	const struct mf_lpm_top *top = __atomic_load_n(&t->top, __ATOMIC_ACQUIRE);
	__m128i shift = _mm_cvtsi32_si128((int)(32 - top->bits));
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		__m256i a = _mm256_loadu_si256((const void *)(addr + i));
		struct source from = { .four = _mm512_cvtepu32_epi64(a) };
		__m512i number = _mm512_srl_epi64(from.four, shift);

		_mm256_storeu_si256((void *)(out + i), lookup_lanes(top, number, &from));
	}
	mf_lpm_lookup4_popcnt(t, addr + i, out + i, n - i);
}

void mf_lpm_lookup6_avx512(const struct mf_lpm *t, const uint8_t (*addr)[16], uint32_t *out, size_t n)
{
	const struct mf_lpm_top *top = __atomic_load_n(&t->top, __ATOMIC_ACQUIRE);
	__m128i shift = _mm_cvtsi32_si128((int)(16 - top->bits));
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		struct source from = { .four = _mm512_setzero_si512(), .six = addr[i] };
		__m512i w = gather32(0xff, lane_offset(), addr[i]);
		__m512i high = _mm512_slli_epi64(_mm512_and_si512(w, all(0xff)), 8);
		__m512i low = _mm512_and_si512(_mm512_srli_epi64(w, 8), all(0xff));
		__m512i number = _mm512_srl_epi64(_mm512_or_si512(high, low), shift);

		_mm256_storeu_si256((void *)(out + i), lookup_lanes(top, number, &from));
	}
	mf_lpm_lookup6_popcnt(t, addr + i, out + i, n - i);
}
