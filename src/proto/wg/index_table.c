/* SPDX-License-Identifier: Apache-2.0
 *
 * index_table - see index_table.h.
 */
#include "proto/wg/index_table.h"

#include <stdlib.h>

enum { MIN_PLACES = 64 };

struct mf_wg_index_array {
	uint32_t mask;
	_Atomic(struct mf_wg_indexed *) at[];
};

/* The place of a removed entry: not free, so that those behind it are still found. */
static struct mf_wg_indexed removed;

static struct mf_wg_index_array *array_new(uint32_t places)
{
	struct mf_wg_index_array *a = calloc(1, sizeof(*a) + places * sizeof(a->at[0]));

	if (a)
		a->mask = places - 1;
	return a;
}

bool mf_wg_index_table_init(struct mf_wg_index_table *t,
			    void (*defer)(void *ctx, void (*fn)(void *obj), void *obj),
			    void *defer_ctx)
{
	struct mf_wg_index_array *a = array_new(MIN_PLACES);

	*t = (struct mf_wg_index_table){ .defer = defer, .defer_ctx = defer_ctx };
	atomic_init(&t->array, a);
	return a != NULL;
}

void mf_wg_index_table_fini(struct mf_wg_index_table *t)
{
	free(atomic_load_explicit(&t->array, memory_order_relaxed));
	atomic_store_explicit(&t->array, NULL, memory_order_relaxed);
}

struct mf_wg_indexed *mf_wg_index_find(const struct mf_wg_index_table *t, uint32_t index)
{
	const struct mf_wg_index_array *a = atomic_load_explicit(&t->array, memory_order_acquire);

	for (uint32_t i = index;; i++) {
		struct mf_wg_indexed *e =
			atomic_load_explicit(&a->at[i & a->mask], memory_order_acquire);

		if (!e)
			return NULL;
		if (e != &removed && atomic_load_explicit(&e->index, memory_order_relaxed) == index)
			return e;
	}
}

static void put(struct mf_wg_index_array *a, struct mf_wg_indexed *e, uint32_t index)
{
	uint32_t i = index;

	while (atomic_load_explicit(&a->at[i & a->mask], memory_order_relaxed))
		i++;
	atomic_store_explicit(&a->at[i & a->mask], e, memory_order_release);
}

/* Makes sure that at least half of the places are free, by a new array without removed ones. */
static bool make_room(struct mf_wg_index_table *t)
{
	struct mf_wg_index_array *a = atomic_load_explicit(&t->array, memory_order_relaxed), *b;
	uint32_t places = MIN_PLACES;

	if ((t->used + t->dead + 1) * 2 <= a->mask + 1)
		return true;
	while (places < (t->used + 1) * 4)
		places *= 2;
	b = array_new(places);
	if (!b)
		return false;
	for (uint32_t i = 0; i <= a->mask; i++) {
		struct mf_wg_indexed *e = atomic_load_explicit(&a->at[i], memory_order_relaxed);

		if (e && e != &removed)
			put(b, e, atomic_load_explicit(&e->index, memory_order_relaxed));
	}
	t->dead = 0;
	atomic_store_explicit(&t->array, b, memory_order_release);
	t->defer(t->defer_ctx, free, a);
	return true;
}

bool mf_wg_index_insert(struct mf_wg_index_table *t, struct mf_wg_indexed *e, const struct mf_rng *rng)
{
	uint32_t index;

	if (!make_room(t))
		return false;
	do {
		index = mf_rng_u32(rng);
	} while (mf_wg_index_find(t, index));
	atomic_store_explicit(&e->index, index, memory_order_relaxed);
	put(atomic_load_explicit(&t->array, memory_order_relaxed), e, index);
	t->used++;
	return true;
}

static _Atomic(struct mf_wg_indexed *) *place_of(struct mf_wg_index_table *t, struct mf_wg_indexed *e)
{
	struct mf_wg_index_array *a = atomic_load_explicit(&t->array, memory_order_relaxed);
	uint32_t i = atomic_load_explicit(&e->index, memory_order_relaxed);

	for (;; i++) {
		struct mf_wg_indexed *here =
			atomic_load_explicit(&a->at[i & a->mask], memory_order_relaxed);

		MF_ASSERT(here);
		if (here == e)
			return &a->at[i & a->mask];
	}
}

void mf_wg_index_replace(struct mf_wg_index_table *t, struct mf_wg_indexed *from,
			 struct mf_wg_indexed *to)
{
	atomic_store_explicit(&to->index, atomic_load_explicit(&from->index, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(place_of(t, from), to, memory_order_release);
}

void mf_wg_index_remove(struct mf_wg_index_table *t, struct mf_wg_indexed *e)
{
	atomic_store_explicit(place_of(t, e), &removed, memory_order_release);
	t->used--;
	t->dead++;
}
