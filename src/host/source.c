/* SPDX-License-Identifier: Apache-2.0
 *
 * source - see source.h. A hash table with chains; the hash is keyed because strangers choose addresses.
 */
#include "host/source.h"

#include <stdlib.h>

#include "crypto/siphash.h"

struct mf_sources {
	uint8_t hash_key[MF_SIPHASH_KEY_LEN];
	uint32_t max, used; /* of the array; what was given back is in `free` */
	uint32_t mask;
	struct mf_source *free;
	struct mf_source *array;
	struct mf_source **slot;
};

static uint32_t slots_for(uint32_t max)
{
	uint32_t n = 16;

	while (n < max)
		n *= 2;
	return n;
}

struct mf_sources *mf_sources_new(uint32_t max, const uint8_t hash_key[16])
{
	struct mf_sources *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	memcpy(t->hash_key, hash_key, sizeof(t->hash_key));
	t->max = max;
	t->mask = slots_for(max) - 1;
	t->array = calloc(max, sizeof(*t->array));
	t->slot = calloc(t->mask + 1, sizeof(struct mf_source *));
	if (!t->array || !t->slot) {
		mf_sources_free(t);
		return NULL;
	}
	return t;
}

void mf_sources_free(struct mf_sources *t)
{
	if (!t)
		return;
	free(t->array);
	free(t->slot);
	free(t);
}

/* The link that points at the source, or at the NULL where it would be added. */
static struct mf_source **search(const struct mf_sources *t, const struct mf_addr *a)
{
	uint64_t hash = mf_siphash(t->hash_key, a->b, mf_addr_len(a));
	struct mf_source **at = &t->slot[hash & t->mask];

	while (*at && !mf_addr_equal(&(*at)->addr, a))
		at = &(*at)->next;
	return at;
}

struct mf_source *mf_source_find(const struct mf_sources *t, const struct mf_addr *a)
{
	return *search(t, a);
}

struct mf_source *mf_source_join(struct mf_sources *t, const struct mf_addr *a)
{
	struct mf_source **at = search(t, a), *s = *at;

	if (!s) {
		s = t->free;
		if (s) {
			t->free = s->next;
		} else {
			MF_ASSERT(t->used < t->max);
			s = &t->array[t->used++];
		}
		*s = (struct mf_source){ .addr = *a };
		*at = s;
	}
	s->sessions++;
	return s;
}

void mf_source_leave(struct mf_sources *t, struct mf_source *s)
{
	struct mf_source **at;

	MF_ASSERT(s->sessions > 0);
	if (--s->sessions)
		return;
	MF_ASSERT(!s->half_open);
	at = search(t, &s->addr);
	MF_ASSERT(*at == s);
	*at = s->next;
	s->next = t->free;
	t->free = s;
}

size_t mf_sources_bytes(uint32_t max)
{
	return sizeof(struct mf_sources) + max * sizeof(struct mf_source) +
	       slots_for(max) * sizeof(struct mf_source *);
}
