/* SPDX-License-Identifier: Apache-2.0
 *
 * ring - a bounded queue of fixed-size messages, many producers, one consumer, no locks (Vyukov's
 * bounded queue: every cell has a sequence number). Full means false, never waiting.
 */
#ifndef MF_RING_H
#define MF_RING_H

#include "base/base.h"

struct mf_ring;

/* `cells` is a power of two. NULL: out of memory. */
struct mf_ring *mf_ring_new(uint32_t cells, uint32_t msg_size);
void mf_ring_free(struct mf_ring *r);
/* Copies msg_size bytes in; false if full. Any thread. */
bool mf_ring_push(struct mf_ring *r, const void *msg);
/* Copies the oldest message out; false if empty. The consumer's thread. */
bool mf_ring_pop(struct mf_ring *r, void *msg);
/* An estimate, exact when nobody pushes or pops. Any thread. */
uint32_t mf_ring_len(const struct mf_ring *r);

#endif
