/* SPDX-License-Identifier: Apache-2.0
 *
 * held - bytes of a connection that must wait: what the layer below did not take, and the beginning
 * of a message whose end has not come. Most connections hold nothing, and those that do let go
 * soon, so the memory is shared: blocks in a few sizes that are used again. All that share a pool
 * may hold so much and no more; it knows who has held on longest.
 *
 * One thread.
 */
#ifndef MF_PROXY_HELD_H
#define MF_PROXY_HELD_H

#include "base/base.h"

enum {
	MF_HELD_MIN_SHIFT = 9, /* blocks of 512 bytes, 1 KiB, ... */
	MF_HELD_CLASSES = 9,
	MF_HELD_HEAD = 32, /* bytes of each block that hold nothing */
	/* One connection, in one place. */
	MF_HELD_MAX = 1 << (MF_HELD_MIN_SHIFT + MF_HELD_CLASSES - 1),
};

struct mf_held_block;

/* Zeroed but for `max`, and for `now` if somebody asks for the oldest. */
struct mf_held_pool {
	size_t held, max; /* bytes of blocks in use, heads included; how many there may be */
	size_t spare;     /* bytes of blocks that wait to be used again */
	size_t n;         /* of those who hold something */
	mf_nsec now;      /* kept by its owner */
	struct mf_held_block *free[MF_HELD_CLASSES];
	struct mf_held_block *oldest, **newest; /* in use, by the time of the last change */
};

/* Zeroed: nothing is held. It stays where it is while something is. */
struct mf_held {
	uint8_t *p;
	uint32_t at, n; /* n bytes from p + at on */
	uint8_t order;  /* of its block */
};

/* Frees the blocks that nobody uses; all must have been let go (asserted). */
void mf_held_pool_fini(struct mf_held_pool *pool);

/* Appends. False: it would be more than MF_HELD_MAX, or than all may hold, or there is no
 * memory; nothing has changed then. */
MF_MUST_CHECK bool mf_held_put(struct mf_held_pool *pool, struct mf_held *h, const void *bytes,
			       size_t n);
/* Drops the first n. */
void mf_held_drop(struct mf_held_pool *pool, struct mf_held *h, size_t n);
/* Drops all. */
void mf_held_clear(struct mf_held_pool *pool, struct mf_held *h);
/* In which nothing has changed for the longest time, and not for `age`; NULL: there is none. */
struct mf_held *mf_held_stale(const struct mf_held_pool *pool, mf_nsec age);

#endif
