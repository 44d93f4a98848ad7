/* SPDX-License-Identifier: Apache-2.0
 *
 * Dmitry Vyukov's bounded queue. A cell's sequence number says whose turn it is: `pos` - free for the
 * producer that claims position pos; `pos + 1` - holds the message of that position.
 */
#include "base/ring.h"

#include <stdatomic.h>
#include <stdlib.h>

struct cell {
	_Atomic uint64_t seq;
	uint8_t msg[];
};

struct mf_ring {
	/* Read by all, written by none. */
	uint64_t mask;
	size_t stride;
	uint32_t msg_size;
	/* Producers and the consumer each have a line of their own, or they would take it from each
	 * other with every message. */
	_Atomic uint64_t tail MF_ALIGNED(MF_CACHE_LINE); /* next position to push */
	_Atomic uint64_t head MF_ALIGNED(MF_CACHE_LINE); /* next position to pop */
	uint8_t cells[] MF_ALIGNED(MF_CACHE_LINE);
};

static struct cell *cell_at(const struct mf_ring *r, uint64_t pos)
{
	return (struct cell *)(uintptr_t)(r->cells + (pos & r->mask) * r->stride);
}

struct mf_ring *mf_ring_new(uint32_t cells, uint32_t msg_size)
{
	size_t stride = mf_round_up(sizeof(struct cell) + msg_size, _Alignof(struct cell));
	struct mf_ring *r;

	/* With a single cell "free for the next" and "holds a message" are the same number. */
	MF_ASSERT(cells >= 2 && mf_is_pow2(cells));
	r = aligned_alloc(MF_CACHE_LINE, mf_round_up(sizeof(*r) + cells * stride, MF_CACHE_LINE));
	if (!r)
		return NULL;
	r->mask = cells - 1;
	r->stride = stride;
	r->msg_size = msg_size;
	atomic_init(&r->tail, 0);
	atomic_init(&r->head, 0);
	for (uint32_t i = 0; i < cells; i++)
		atomic_init(&cell_at(r, i)->seq, i);
	return r;
}

void mf_ring_free(struct mf_ring *r)
{
	free(r);
}

bool mf_ring_push(struct mf_ring *r, const void *msg)
{
	uint64_t pos = atomic_load_explicit(&r->tail, memory_order_relaxed);
	struct cell *c;

	for (;;) {
		uint64_t seq;

		c = cell_at(r, pos);
		seq = atomic_load_explicit(&c->seq, memory_order_acquire);
		if (seq == pos) {
			if (atomic_compare_exchange_weak_explicit(&r->tail, &pos, pos + 1,
								  memory_order_relaxed,
								  memory_order_relaxed))
				break;
		} else if ((int64_t)(seq - pos) < 0) {
			return false; /* a whole round behind: not yet popped */
		} else {
			pos = atomic_load_explicit(&r->tail, memory_order_relaxed);
		}
	}
	memcpy(c->msg, msg, r->msg_size);
	atomic_store_explicit(&c->seq, pos + 1, memory_order_release);
	return true;
}

bool mf_ring_pop(struct mf_ring *r, void *msg)
{
	uint64_t pos = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct cell *c = cell_at(r, pos);

	if (atomic_load_explicit(&c->seq, memory_order_acquire) != pos + 1)
		return false;
	memcpy(msg, c->msg, r->msg_size);
	atomic_store_explicit(&c->seq, pos + r->mask + 1, memory_order_release);
	atomic_store_explicit(&r->head, pos + 1, memory_order_relaxed);
	return true;
}

uint32_t mf_ring_len(const struct mf_ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	/* The two loads are not one: the difference may be stale, never out of range. */
	int64_t n = (int64_t)(tail - head);

	return n < 0 ? 0 : n > (int64_t)r->mask ? (uint32_t)r->mask + 1 : (uint32_t)n;
}
