/* SPDX-License-Identifier: Apache-2.0
 *
 * due - see due.h.
 */
#include "policy/due.h"

#include <stdlib.h>

bool mf_due_init(struct mf_due *d, uint32_t max)
{
	*d = (struct mf_due){ .heap = calloc(max, sizeof(*d->heap)),
			      .where = calloc(max, sizeof(*d->where)) };
	if (d->heap && d->where)
		return true;
	mf_due_fini(d);
	return false;
}

void mf_due_fini(struct mf_due *d)
{
	free(d->heap);
	free(d->where);
	*d = (struct mf_due){ 0 };
}

static void stand(struct mf_due *d, uint32_t i, struct mf_due_item item)
{
	d->heap[i] = item;
	d->where[item.number] = i + 1;
}

/* Finds a place for the item from the gap at i towards the first. */
static void rise(struct mf_due *d, uint32_t i, struct mf_due_item item)
{
	while (i && d->heap[(i - 1) / 2].at > item.at) {
		stand(d, i, d->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	stand(d, i, item);
}

/* The same in the other direction. */
static void sink(struct mf_due *d, uint32_t i, struct mf_due_item item)
{
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= d->n)
			break;
		if (child + 1 < d->n && d->heap[child + 1].at < d->heap[child].at)
			child++;
		if (d->heap[child].at >= item.at)
			break;
		stand(d, i, d->heap[child]);
		i = child;
	}
	stand(d, i, item);
}

static void settle(struct mf_due *d, uint32_t i, struct mf_due_item item)
{
	if (i && d->heap[(i - 1) / 2].at > item.at)
		rise(d, i, item);
	else
		sink(d, i, item);
}

void mf_due_set(struct mf_due *d, uint32_t number, mf_nsec at)
{
	uint32_t i = d->where[number] ? d->where[number] - 1 : d->n++;

	settle(d, i, (struct mf_due_item){ .at = at, .number = number });
}

void mf_due_remove(struct mf_due *d, uint32_t number)
{
	uint32_t i = d->where[number];

	if (!i)
		return;
	d->where[number] = 0;
	d->n--;
	if (i - 1 < d->n)
		settle(d, i - 1, d->heap[d->n]);
}
