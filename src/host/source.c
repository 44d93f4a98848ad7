/* SPDX-License-Identifier: Apache-2.0
 *
 * source - a hash table with chains; the hash is keyed because strangers choose addresses.
 */
#include "host/source.h"

#include <stdlib.h>

#include "crypto/siphash.h"

struct mf_source {
	struct mf_addr addr;
	uint32_t sessions, half_open;
	struct mf_source *next; /* of its hash, or free */
};

struct mf_sources {
	uint32_t locked;
	uint32_t sessions; /* of all */
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

static void lock(struct mf_sources *t)
{
	while (__atomic_exchange_n(&t->locked, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&t->locked, __ATOMIC_RELAXED))
			;
}

static void unlock(struct mf_sources *t)
{
	__atomic_store_n(&t->locked, 0, __ATOMIC_RELEASE);
}

static struct mf_source *take(struct mf_sources *t, const struct mf_addr *a)
{
	struct mf_source *s = t->free;

	if (s)
		t->free = s->next;
	else if (t->used < t->max)
		s = &t->array[t->used++];
	if (s)
		*s = (struct mf_source){ .addr = *a };
	return s;
}

static enum mf_drop join(struct mf_sources *t, const struct mf_addr *a, bool half_open,
			 const struct mf_source_limits *l, struct mf_source **out)
{
	struct mf_source **at = search(t, a), *s = *at;

	if (t->sessions >= l->all || t->sessions >= t->max)
		return MF_DROP_SESSIONS_FULL;
	if (s && s->sessions >= l->each)
		return MF_DROP_SESSIONS_SOURCE;
	if (s && half_open && s->half_open >= l->half_open)
		return MF_DROP_HALF_OPEN_SOURCE;
	if (!s)
		s = *at = take(t, a);
	MF_ASSERT(s); /* there are no more sources than sessions */
	t->sessions++;
	s->sessions++;
	s->half_open += half_open;
	*out = s;
	return MF_DROP_NONE;
}

enum mf_drop mf_source_join(struct mf_sources *t, const struct mf_addr *a, bool half_open,
			    const struct mf_source_limits *l, struct mf_source **out)
{
	enum mf_drop why;

	lock(t);
	why = join(t, a, half_open, l, out);
	unlock(t);
	return why;
}

void mf_source_opened(struct mf_sources *t, struct mf_source *s)
{
	lock(t);
	MF_ASSERT(s->half_open > 0);
	s->half_open--;
	unlock(t);
}

static void let_go(struct mf_sources *t, struct mf_source *s)
{
	struct mf_source **at = search(t, &s->addr);

	MF_ASSERT(*at == s && !s->half_open);
	*at = s->next;
	s->next = t->free;
	t->free = s;
}

void mf_source_leave(struct mf_sources *t, struct mf_source *s, bool half_open)
{
	lock(t);
	MF_ASSERT(s->sessions > 0 && s->half_open >= half_open);
	t->sessions--;
	s->half_open -= half_open;
	if (!--s->sessions)
		let_go(t, s);
	unlock(t);
}

size_t mf_sources_bytes(uint32_t max)
{
	return sizeof(struct mf_sources) + max * sizeof(struct mf_source) +
	       slots_for(max) * sizeof(struct mf_source *);
}
