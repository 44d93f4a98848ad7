/* SPDX-License-Identifier: Apache-2.0
 *
 * held - see held.h.
 */
#include "proxy/held.h"

#include <stdlib.h>

enum { SPARE_MAX = 256 * 1024 }; /* bytes kept for the next one that must wait */

/* In front of the bytes. */
struct mf_held_block {
	struct mf_held_block *next, **prev; /* younger ones; without use: `next` only */
	struct mf_held *of;
	mf_nsec changed;
};
static_assert(sizeof(struct mf_held_block) == MF_HELD_HEAD, "as held.h says");

static size_t room_of(unsigned order)
{
	return (size_t)1 << (MF_HELD_MIN_SHIFT + order);
}

static size_t size_of(unsigned order)
{
	return MF_HELD_HEAD + room_of(order);
}

static unsigned order_for(size_t n)
{
	unsigned order = 0;

	while (room_of(order) < n)
		order++;
	return order;
}

/* ---- Who has held on longest ----------------------------------------------------------------- */

static struct mf_held_block *block_of(const struct mf_held *h)
{
	return (struct mf_held_block *)(void *)h->p - 1;
}

static void take_out(struct mf_held_pool *pool, struct mf_held_block *b)
{
	*b->prev = b->next;
	if (b->next)
		b->next->prev = b->prev;
	else
		pool->newest = b->prev;
}

static void put_last(struct mf_held_pool *pool, struct mf_held_block *b)
{
	if (!pool->oldest)
		pool->newest = &pool->oldest;
	b->changed = pool->now;
	b->next = NULL;
	b->prev = pool->newest;
	*pool->newest = b;
	pool->newest = &b->next;
}

static void note_change(struct mf_held_pool *pool, const struct mf_held *h)
{
	take_out(pool, block_of(h));
	put_last(pool, block_of(h));
}

struct mf_held *mf_held_stale(const struct mf_held_pool *pool, mf_nsec age)
{
	const struct mf_held_block *b = pool->oldest;

	return b && pool->now >= b->changed + age ? b->of : NULL;
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static struct mf_held_block *take_block(struct mf_held_pool *pool, unsigned order)
{
	struct mf_held_block *b = pool->free[order];

	if (pool->held + size_of(order) > pool->max)
		return NULL;
	if (b) {
		pool->free[order] = b->next;
		pool->spare -= size_of(order);
	} else {
		b = malloc(size_of(order));
	}
	if (!b)
		return NULL;
	pool->held += size_of(order);
	pool->n++;
	return b;
}

static void give_block(struct mf_held_pool *pool, struct mf_held_block *b, unsigned order)
{
	take_out(pool, b);
	pool->held -= size_of(order);
	pool->n--;
	if (pool->spare + size_of(order) > SPARE_MAX) {
		free(b);
		return;
	}
	pool->spare += size_of(order);
	b->next = pool->free[order];
	pool->free[order] = b;
}

void mf_held_pool_fini(struct mf_held_pool *pool)
{
	MF_ASSERT(!pool->held && !pool->oldest);
	for (unsigned order = 0; order < MF_HELD_CLASSES; order++) {
		struct mf_held_block *b = pool->free[order], *next;

		for (; b; b = next) {
			next = b->next;
			free(b);
		}
		pool->free[order] = NULL;
	}
	pool->spare = 0;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* Moves what is held into a block that has room for n bytes in all. */
static bool move(struct mf_held_pool *pool, struct mf_held *h, size_t n)
{
	unsigned order = order_for(n);
	struct mf_held_block *b = take_block(pool, order);

	if (!b)
		return false;
	if (h->p) {
		memcpy(b + 1, h->p + h->at, h->n);
		give_block(pool, block_of(h), h->order);
	}
	b->of = h;
	put_last(pool, b);
	h->p = (uint8_t *)(b + 1);
	h->at = 0;
	h->order = (uint8_t)order;
	return true;
}

bool mf_held_put(struct mf_held_pool *pool, struct mf_held *h, const void *bytes, size_t n)
{
	size_t all = h->n + n;

	if (!n)
		return true;
	if (n > MF_HELD_MAX || all > MF_HELD_MAX)
		return false;
	if (!h->p || all > room_of(h->order)) {
		if (!move(pool, h, all))
			return false;
	} else {
		note_change(pool, h);
		if (h->at + all > room_of(h->order)) {
			memmove(h->p, h->p + h->at, h->n);
			h->at = 0;
		}
	}
	memcpy(h->p + h->at + h->n, bytes, n);
	h->n = (uint32_t)all;
	return true;
}

void mf_held_drop(struct mf_held_pool *pool, struct mf_held *h, size_t n)
{
	MF_ASSERT(n <= h->n);
	if (n)
		note_change(pool, h);
	h->at += (uint32_t)n;
	h->n -= (uint32_t)n;
	if (!h->n)
		mf_held_clear(pool, h);
}

void mf_held_clear(struct mf_held_pool *pool, struct mf_held *h)
{
	if (h->p)
		give_block(pool, block_of(h), h->order);
	*h = (struct mf_held){ 0 };
}
