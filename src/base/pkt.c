/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory: per class one mapping that the kernel backs page by page when a packet is first used.
 *
 *   | free stack | ... | descriptor 192 | room | stagger | descriptor 192 | room | ...
 *
 * Two packets whose data begins at the same offset within 4 KiB are slow to copy or encrypt into each
 * other (the CPU takes a load for a dependant of the older store) and share the cache's sets; so
 * neighbours start at different lines of a page.
 */
#include "base/pkt.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifdef MF_PKT_ASAN
#include <sanitizer/asan_interface.h>
#else
#define __asan_poison_memory_region(p, n)   ((void)(p), (void)(n))
#define __asan_unpoison_memory_region(p, n) ((void)(p), (void)(n))
#endif

enum {
	PAGE = 4096,
	SMALL_ROOM = MF_PKT_HEADROOM + MF_PKT_SMALL_MAX + MF_PKT_TAILROOM,
	LARGE_ROOM = MF_PKT_HEADROOM + MF_PKT_LAND + MF_PKT_LARGE_MAX + MF_PKT_TAILROOM,
	/* An odd number of lines: neighbours differ, and 64 in a row start at 64 different lines. */
	SMALL_STRIDE = 39 * MF_CACHE_LINE,
	/* Whole pages, so that a large packet with little in it takes one page, descriptor included. */
	LARGE_STRIDE = 17 * PAGE,
	LARGE_STAGGERS = 26,
	LARGE_STAGGER_STEP = 11,
};
static_assert(sizeof(struct mf_pkt) + SMALL_ROOM + MF_CACHE_LINE <= SMALL_STRIDE,
	      "a small packet fits, and a line that nobody may touch");
static_assert(SMALL_STRIDE / MF_CACHE_LINE % 2 == 1, "small packets start at all lines of a page");
static_assert(sizeof(struct mf_pkt) + LARGE_ROOM + LARGE_STAGGERS * MF_CACHE_LINE <= LARGE_STRIDE,
	      "a large packet fits at every stagger");

static size_t stack_bytes(uint32_t n)
{
	return mf_round_up(n * sizeof(struct mf_pkt *), PAGE);
}

static size_t class_bytes(uint32_t n, size_t stride)
{
	return stack_bytes(n) + mf_round_up(n * stride, PAGE);
}

size_t mf_pkt_pool_bytes(uint32_t n_small, uint32_t n_large)
{
	return sizeof(struct mf_pkt_pool) + class_bytes(n_small, SMALL_STRIDE) +
	       class_bytes(n_large, LARGE_STRIDE);
}

static bool map_class(struct mf_pkt_class *c, uint32_t n, size_t stride)
{
	size_t bytes = class_bytes(n, stride);
	void *mem;

	if (!n)
		return true;
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (mem == MAP_FAILED)
		return false;
#ifdef MADV_NOHUGEPAGE
	/* A huge page would make 2 MiB resident for the first packet. */
	madvise(mem, bytes, MADV_NOHUGEPAGE);
#endif
	c->free = mem;
	c->mem = (uint8_t *)mem + stack_bytes(n);
	c->n_total = n;
	return true;
}

static void unmap_class(struct mf_pkt_class *c, size_t stride)
{
	size_t bytes = class_bytes(c->n_total, stride);

	MF_ASSERT(c->n_free == c->n_made);
	if (!c->n_total)
		return;
	__asan_unpoison_memory_region(c->free, bytes);
	munmap(c->free, bytes);
}

struct mf_pkt_pool *mf_pkt_pool_new(uint32_t n_small, uint32_t n_large)
{
	struct mf_pkt_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	if (!map_class(&pool->small, n_small, SMALL_STRIDE) ||
	    !map_class(&pool->large, n_large, LARGE_STRIDE)) {
		mf_pkt_pool_free(pool);
		return NULL;
	}
	return pool;
}

void mf_pkt_pool_free(struct mf_pkt_pool *pool)
{
	if (!pool)
		return;
	unmap_class(&pool->small, SMALL_STRIDE);
	unmap_class(&pool->large, LARGE_STRIDE);
	free(pool);
}

bool mf_pkt_make(struct mf_pkt_pool *pool, struct mf_pkt_class *c)
{
	bool large = c == &pool->large;
	uint32_t i = c->n_made;
	uint8_t *at;
	struct mf_pkt *p;

	if (i == c->n_total)
		return false;
	if (large)
		at = c->mem + (size_t)i * LARGE_STRIDE +
		     (size_t)i * LARGE_STAGGER_STEP % LARGE_STAGGERS * MF_CACHE_LINE;
	else
		at = c->mem + (size_t)i * SMALL_STRIDE;
	p = (struct mf_pkt *)(void *)at;
	p->pool = pool;
	p->room_start = at + sizeof(*p);
	p->room_end = p->room_start + (large ? LARGE_ROOM : SMALL_ROOM);
	mf_pkt_poison(p, large);
	c->n_made++;
	c->free[c->n_free++] = p;
	return true;
}

#ifdef MF_PKT_ASAN
/* The descriptor stays readable: mf_pkt_free looks into it to catch a second free. The line behind the
 * room belongs to nobody and stays poisoned. */
void mf_pkt_poison(struct mf_pkt *p, bool large)
{
	__asan_poison_memory_region(p + 1, (large ? LARGE_ROOM : SMALL_ROOM) + MF_CACHE_LINE);
}

void mf_pkt_unpoison(struct mf_pkt *p, bool large)
{
	__asan_unpoison_memory_region(p + 1, large ? LARGE_ROOM : SMALL_ROOM);
}
#endif

struct mf_pkt *mf_pkt_land(struct mf_pkt *small, struct mf_pkt *large, size_t n)
{
	if (n <= MF_PKT_SMALL_MAX) {
		small->len = (uint32_t)n;
		return small;
	}
	MF_ASSERT(mf_pkt_headroom(large) >= MF_PKT_LAND);
	MF_ASSERT(n - MF_PKT_SMALL_MAX <= (size_t)(large->room_end - large->data));
	large->data -= MF_PKT_SMALL_MAX;
	memcpy(large->data, small->data, MF_PKT_SMALL_MAX);
	large->len = (uint32_t)n;
	return large;
}

size_t mf_pkt_gather(const struct mf_pkt *p, uint8_t *out, size_t max)
{
	size_t n = mf_min(p->len, max), more = mf_min(p->tail_len, max - n);

	memcpy(out, p->data, n);
	if (more)
		memcpy(out + n, p->tail, more);
	return n + more;
}

struct mf_pkt *mf_pkt_linear(struct mf_pkt_pool *pool, struct mf_pkt *p)
{
	struct mf_pkt *whole;

	if (!p->tail_len)
		return p;
	if (mf_pkt_tailroom(p) >= p->tail_len + MF_PKT_TAILROOM) {
		memcpy(p->data + p->len, p->tail, p->tail_len);
		p->len += p->tail_len;
		p->tail = NULL;
		p->tail_len = 0;
		return p;
	}
	MF_ASSERT(mf_pkt_len(p) <= MF_PKT_LARGE_MAX);
	whole = mf_pkt_large(pool);
	if (!whole)
		return NULL;
	whole->len = (uint32_t)mf_pkt_gather(p, whole->data, MF_PKT_LARGE_MAX);
	mf_pkt_copy_meta(whole, p);
	return whole;
}

void mf_pkt_copy_meta(struct mf_pkt *to, const struct mf_pkt *from)
{
	enum { COPIED = MF_PKT_NEEDS_CSUM | MF_PKT_CAPTURED | MF_PKT_MAY_FRAGMENT };

	to->flags = (uint8_t)((to->flags & ~COPIED) | (from->flags & COPIED));
	to->gso_type = from->gso_type;
	to->gso_size = from->gso_size;
	to->csum_start = from->csum_start;
	to->csum_offset = from->csum_offset;
	to->l4_off = from->l4_off;
	to->ip_version = from->ip_version;
	to->l4_proto = from->l4_proto;
	to->tos = from->tos;
	to->segments = from->segments;
}
