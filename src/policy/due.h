/* SPDX-License-Identifier: Apache-2.0
 *
 * due - which of a fixed number of things is due next: a binary heap (Williams 1964) of numbers by time, with
 * the way back from a number to where it stands. One thread.
 */
#ifndef MF_DUE_H
#define MF_DUE_H

#include "base/base.h"

struct mf_due_item {
	mf_nsec at;
	uint32_t number;
};

struct mf_due {
	struct mf_due_item *heap; /* [max]; the first is due first */
	uint32_t *where;          /* [max]: 1 + where in the heap a number stands, 0: nowhere */
	uint32_t n;
};

/* For the numbers 0 .. max - 1. False: out of memory. */
bool mf_due_init(struct mf_due *d, uint32_t max);
/* A zeroed one is fine. */
void mf_due_fini(struct mf_due *d);
/* Bytes for each number. */
enum { MF_DUE_BYTES = sizeof(struct mf_due_item) + sizeof(uint32_t) };

/* Puts a number in, or moves it. */
void mf_due_set(struct mf_due *d, uint32_t number, mf_nsec at);
/* Takes it out, if it is in. */
void mf_due_remove(struct mf_due *d, uint32_t number);
/* The one that is due first, NULL if there is none. */
static inline const struct mf_due_item *mf_due_first(const struct mf_due *d)
{
	return d->n ? d->heap : NULL;
}

#endif
