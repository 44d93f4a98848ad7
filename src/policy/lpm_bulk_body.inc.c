/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_bulk_body - the bulk lookups in C, built once as they are and once for processors that count
 * bits with one instruction. The including file defines LOOKUP4 and LOOKUP6.
 *
 * A group of lookups goes down level by level: what the next level reads is asked for while the others
 * of the group take their step, so that their cache misses overlap.
 */
#include "policy/lpm_bulk.h"

enum { GROUP = 32 };

struct step {
	const uint8_t *node, *addr;
	uint8_t tag, number;
};

/* Moves s to the child, or sets *value and returns false. */
static inline bool down(struct step *s, uint32_t *value)
{
	uint32_t ref;

	if (MF_UNLIKELY(s->tag == MF_LPM_SKIP)) {
		const struct mf_lpm_skip *skip = (const void *)s->node;

		if (memcmp(skip->key, s->addr, skip->n) != 0) {
			*value = skip->miss;
			return false;
		}
		s->addr += skip->n;
		ref = skip->child;
	} else {
		uint32_t leaf = mf_lpm_leaf((const void *)s->node, s->tag, *s->addr++);
		uint32_t kid = leaf - mf_lpm_first_child(s->tag);

		if (MF_LIKELY(leaf < mf_lpm_first_child(s->tag))) {
			*value = leaf;
			return false;
		}
		ref = ((const uint32_t *)(const void *)s->node)[-1 - (ptrdiff_t)kid];
	}
	s->node += ref & ~(uint32_t)MF_LPM_TAG;
	s->tag = ref & MF_LPM_TAG;
	__builtin_prefetch(s->node);
	return true;
}

/* Up to GROUP addresses, `size` bytes each. */
static inline void lookup_group(const struct mf_lpm_top *top, const uint8_t *addr, size_t size,
				uint32_t *out, size_t n)
{
	uint32_t fallback = __atomic_load_n(&top->fallback, __ATOMIC_RELAXED), value;
	struct step step[GROUP];
	size_t active = 0, left;

	for (size_t i = 0; i < n; i++, addr += size) {
		size_t number = top->bits ? mf_load_be16(addr) : 0;
		uint64_t slot = __atomic_load_n(&top->slot[number], __ATOMIC_ACQUIRE);
		const uint8_t *node = (const uint8_t *)(uintptr_t)(slot & ~(uint64_t)MF_LPM_TAG);

		value = (uint32_t)(slot >> 32);
		out[i] = value ? value : fallback;
		/* Without a branch: half of the internet's slots are direct. */
		step[active] = (struct step){ node, addr + top->bits / 8,
					      (uint8_t)(slot & MF_LPM_TAG), (uint8_t)i };
		active += !(slot & MF_LPM_DIRECT);
		__builtin_prefetch(node);
	}
	for (; active; active = left) {
		left = 0;
		for (size_t k = 0; k < active; k++) {
			struct step s = step[k];

			if (down(&s, &value))
				step[left++] = s;
			else
				out[s.number] = value ? value : fallback;
		}
	}
}

void LOOKUP4(const struct mf_lpm *t, const uint32_t *addr, uint32_t *out, size_t n)
{
	const struct mf_lpm_top *top = __atomic_load_n(&t->top, __ATOMIC_ACQUIRE);
	uint8_t b[GROUP][4];

	for (size_t i = 0; i < n; i += GROUP) {
		size_t m = mf_min(n - i, GROUP);

		for (size_t k = 0; k < m; k++)
			mf_store_be32(b[k], addr[i + k]);
		lookup_group(top, b[0], 4, out + i, m);
	}
}

void LOOKUP6(const struct mf_lpm *t, const uint8_t (*addr)[16], uint32_t *out, size_t n)
{
	const struct mf_lpm_top *top = __atomic_load_n(&t->top, __ATOMIC_ACQUIRE);

	for (size_t i = 0; i < n; i += GROUP)
		lookup_group(top, addr[i], 16, out + i, mf_min(n - i, GROUP));
}
