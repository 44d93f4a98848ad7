/* SPDX-License-Identifier: Apache-2.0
 *
 * arena - memory of one configuration. A list of chunks; pieces that do not fit get their own.
 */
#include "config/arena.h"

#include <stdlib.h>

enum { CHUNK = 16384, ALIGN = 16 };

struct chunk {
	struct chunk *next;
	size_t used, size;
	MF_ALIGNED(ALIGN) uint8_t bytes[];
};

struct mf_config_arena {
	struct chunk *chunks; /* pieces come from the first one */
	bool failed;
};

struct mf_config_arena *mf_config_arena_new(void)
{
	return calloc(1, sizeof(struct mf_config_arena));
}

void mf_config_arena_free(struct mf_config_arena *a)
{
	if (!a)
		return;
	for (struct chunk *c = a->chunks; c;) {
		struct chunk *next = c->next;

		mf_wipe(c->bytes, c->used);
		free(c);
		c = next;
	}
	free(a);
}

static struct chunk *add_chunk(struct mf_config_arena *a, size_t size)
{
	struct chunk *c = calloc(1, sizeof(*c) + size);

	if (!c) {
		a->failed = true;
		return NULL;
	}
	c->size = size;
	c->next = a->chunks;
	a->chunks = c;
	return c;
}

void *mf_config_arena_alloc(struct mf_config_arena *a, size_t n)
{
	struct chunk *c = a->chunks;
	void *p;

	if (n > SIZE_MAX / 2) {
		a->failed = true;
		return NULL;
	}
	n = mf_round_up(mf_max(n, 1), ALIGN);
	if (!c || c->size - c->used < n)
		c = add_chunk(a, mf_max(n, CHUNK));
	if (!c)
		return NULL;
	p = c->bytes + c->used;
	c->used += n;
	return p;
}

char *mf_config_arena_text(struct mf_config_arena *a, const char *s, size_t n)
{
	char *p = mf_config_arena_alloc(a, n + 1);

	if (p && n)
		memcpy(p, s, n);
	return p;
}

bool mf_config_arena_failed(const struct mf_config_arena *a)
{
	return a->failed;
}
