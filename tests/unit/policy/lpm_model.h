/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_model - a prefix table that is obviously right: a list, searched from end to end.
 */
#ifndef MF_LPM_MODEL_H
#define MF_LPM_MODEL_H

#include <stdlib.h>

#include "policy/lpm.h"

enum { MODEL_MAX = 20000 };

struct model {
	unsigned bits;
	size_t n;
	struct mf_lpm_entry e[MODEL_MAX];
};

static inline bool model_bit(const uint8_t *addr, unsigned i)
{
	return addr[i / 8] >> (7 - i % 8) & 1;
}

static inline bool model_covers(const struct mf_lpm_entry *e, const uint8_t *addr)
{
	unsigned i = 0;

	for (; i + 8 <= e->len; i += 8)
		if (e->addr[i / 8] != addr[i / 8])
			return false;
	for (; i < e->len; i++)
		if (model_bit(e->addr, i) != model_bit(addr, i))
			return false;
	return true;
}

static inline struct mf_lpm_entry *model_find(struct model *m, const uint8_t *addr, unsigned len)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->e[i].len == len && model_covers(&m->e[i], addr))
			return &m->e[i];
	return NULL;
}

static inline struct mf_lpm_entry model_prefix(const uint8_t *addr, unsigned len, uint32_t value)
{
	struct mf_lpm_entry e = { .len = (uint8_t)len, .value = value };

	for (unsigned i = 0; i < len; i++)
		e.addr[i / 8] |= (uint8_t)(model_bit(addr, i) << (7 - i % 8));
	return e;
}

static inline void model_insert(struct model *m, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct mf_lpm_entry *e = model_find(m, addr, len);

	if (!e) {
		MF_ASSERT(m->n < MODEL_MAX);
		e = &m->e[m->n++];
	}
	*e = model_prefix(addr, len, value);
}

static inline bool model_remove(struct model *m, const uint8_t *addr, unsigned len)
{
	struct mf_lpm_entry *e = model_find(m, addr, len);

	if (!e)
		return false;
	*e = m->e[--m->n];
	return true;
}

static inline uint32_t model_lookup(const struct model *m, const uint8_t *addr)
{
	const struct mf_lpm_entry *best = NULL;

	for (size_t i = 0; i < m->n; i++)
		if ((!best || m->e[i].len > best->len) && model_covers(&m->e[i], addr))
			best = &m->e[i];
	return best ? best->value : MF_LPM_NONE;
}

static inline int model_order(const void *a, const void *b)
{
	const struct mf_lpm_entry *x = a, *y = b;
	int c = memcmp(x->addr, y->addr, 16);

	return c ? c : x->len - y->len;
}

/* In the order of mf_lpm_walk. */
static inline void model_sort(struct model *m)
{
	qsort(m->e, m->n, sizeof(m->e[0]), model_order);
}

/* The address before or after, with wrap-around. */
static inline void model_step(uint8_t *addr, unsigned bits, int by)
{
	for (unsigned i = bits / 8; i-- > 0;) {
		addr[i] = (uint8_t)(addr[i] + by);
		if (addr[i] != (by > 0 ? 0x00 : 0xff))
			break;
	}
}

/* First - 1, first, last and last + 1 of a prefix. */
static inline void model_edges(const struct mf_lpm_entry *e, unsigned bits, uint8_t out[4][16])
{
	for (unsigned k = 0; k < 4; k++)
		memcpy(out[k], e->addr, 16);
	for (unsigned k = 2; k < 4; k++)
		for (unsigned i = e->len; i < bits; i++)
			out[k][i / 8] |= (uint8_t)(0x80 >> i % 8);
	model_step(out[0], bits, -1);
	model_step(out[3], bits, 1);
}

#endif
