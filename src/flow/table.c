/* SPDX-License-Identifier: Apache-2.0
 *
 * table - see table.h. Two arrays: the objects, and an index by hash with linear probing (Knuth 6.4,
 * algorithms L and R: what is removed leaves no tombstone, the cells behind it move up). A cell holds 32
 * bits of the hash, so that a search reads the memory of no other object than the one it wants.
 */
#include "flow/table.h"

#include <stdlib.h>

#include "crypto/siphash.h"

enum { MAX_OBJECTS = 1 << 20 };

struct cell {
	uint32_t hash;
	uint32_t at; /* 1 + index of the object, 0: empty */
};

struct mf_flow_table {
	uint8_t *objects;
	struct cell *cell;
	uint32_t mask; /* of cells */
	uint32_t max, count;
	uint32_t high; /* read by other threads */
	uint32_t free; /* 1 + index of the first free object below `high`; the next one is in its hash */
	size_t size, keep;
	uint8_t hash_key[MF_SIPHASH_KEY_LEN];
};

/* At most half full, so that searches stay short. */
static uint32_t cells_for(uint32_t max)
{
	uint32_t n = 16;

	while (n < 2 * max)
		n *= 2;
	return n;
}

struct mf_flow_table *mf_flow_table_new(uint32_t max, size_t size, size_t keep,
					const uint8_t hash_key[16])
{
	struct mf_flow_table *t = calloc(1, sizeof(*t));
	uint32_t n = cells_for(max);

	MF_ASSERT(max > 0 && max <= MAX_OBJECTS && size % 8 == 0);
	MF_ASSERT(keep >= sizeof(struct mf_flow) && keep <= size);
	if (!t)
		return NULL;
	t->max = max;
	t->mask = n - 1;
	t->size = size;
	t->keep = keep;
	memcpy(t->hash_key, hash_key, sizeof(t->hash_key));
	/* So much at once comes from the kernel as pages that are made when they are touched. */
	t->objects = calloc(max, size);
	t->cell = calloc(n, sizeof(*t->cell));
	if (!t->objects || !t->cell) {
		mf_flow_table_free(t);
		return NULL;
	}
	return t;
}

void mf_flow_table_free(struct mf_flow_table *t)
{
	if (!t)
		return;
	free(t->objects);
	free(t->cell);
	free(t);
}

uint64_t mf_flow_hash_key(const struct mf_flow_table *t, const struct mf_flow_key *k)
{
	return mf_siphash(t->hash_key, k, sizeof(*k));
}

void *mf_flow_slot(const struct mf_flow_table *t, uint32_t i)
{
	return t->objects + i * t->size;
}

/* The cell of that key, or the empty one where the search ended. */
static struct cell *search(const struct mf_flow_table *t, const struct mf_flow_key *k, uint64_t hash)
{
	uint32_t h = (uint32_t)hash;

	for (uint32_t i = h & t->mask;; i = (i + 1) & t->mask) {
		struct cell *c = &t->cell[i];
		const struct mf_flow *f;

		if (!c->at)
			return c;
		if (c->hash != h)
			continue;
		f = mf_flow_slot(t, c->at - 1);
		if (!memcmp(&f->key, k, sizeof(*k)))
			return c;
	}
}

void *mf_flow_find(const struct mf_flow_table *t, const struct mf_flow_key *k, uint64_t hash)
{
	const struct cell *c = search(t, k, hash);

	return c->at ? mf_flow_slot(t, c->at - 1) : NULL;
}

/* The index of an object that is not in use; there is one. Last given up, first taken: warm. */
static uint32_t take(struct mf_flow_table *t)
{
	uint32_t i = t->free;

	if (!i) {
		__atomic_store_n(&t->high, t->high + 1, __ATOMIC_RELAXED);
		return t->high - 1;
	}
	t->free = (uint32_t)((struct mf_flow *)mf_flow_slot(t, i - 1))->hash;
	return i - 1;
}

static uint32_t next_generation(struct mf_flow_ref ref)
{
	return ref.generation == 0xfff ? 1 : ref.generation + 1;
}

void *mf_flow_add(struct mf_flow_table *t, const struct mf_flow_key *k, uint64_t hash)
{
	struct cell *c = search(t, k, hash);
	struct mf_flow *f;
	uint32_t i;

	MF_ASSERT(!c->at);
	if (t->count == t->max)
		return NULL;
	i = take(t);
	f = mf_flow_slot(t, i);
	memset((uint8_t *)f + t->keep, 0, t->size - t->keep);
	f->key = *k;
	f->hash = hash;
	f->ref.generation = next_generation(f->ref) & 0xfff;
	f->ref.index = i & 0xfffff;
	f->in_use = true;
	*c = (struct cell){ .hash = (uint32_t)hash, .at = i + 1 };
	t->count++;
	return f;
}

/* Fills the gap at cell i with what was put further back because that cell was taken. */
static void close_gap(struct mf_flow_table *t, uint32_t i)
{
	uint32_t j = i;

	for (;;) {
		j = (j + 1) & t->mask;
		if (!t->cell[j].at)
			break;
		/* Is i on the way from its home to j? */
		if (((j - t->cell[j].hash) & t->mask) < ((j - i) & t->mask))
			continue;
		t->cell[i] = t->cell[j];
		i = j;
	}
	t->cell[i].at = 0;
}

void mf_flow_remove(struct mf_flow_table *t, void *obj)
{
	struct mf_flow *f = obj;
	struct cell *c = search(t, &f->key, f->hash);

	MF_ASSERT(f->in_use && c->at == f->ref.index + 1u);
	close_gap(t, (uint32_t)(c - t->cell));
	f->in_use = false;
	f->hash = t->free;
	t->free = f->ref.index + 1u;
	t->count--;
}

void *mf_flow_get(const struct mf_flow_table *t, struct mf_flow_ref ref)
{
	struct mf_flow *f;

	if (ref.index >= t->high)
		return NULL;
	f = mf_flow_slot(t, ref.index);
	return f->in_use && f->ref.generation == ref.generation ? f : NULL;
}

uint32_t mf_flow_count(const struct mf_flow_table *t)
{
	return t->count;
}

uint32_t mf_flow_max(const struct mf_flow_table *t)
{
	return t->max;
}

uint32_t mf_flow_high(const struct mf_flow_table *t)
{
	return __atomic_load_n(&t->high, __ATOMIC_RELAXED);
}

size_t mf_flow_table_bytes(uint32_t max, size_t size)
{
	return sizeof(struct mf_flow_table) + max * size + cells_for(max) * sizeof(struct cell);
}
