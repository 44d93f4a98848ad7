/* SPDX-License-Identifier: Apache-2.0
 *
 * learned_table - how learned routes lie in memory; private to learned.c, which writes, and learned_lookup.c,
 * which reads on any thread.
 *
 * An index of buckets, each a cache line of seven cells, which say where a route's place is; places of a cache
 * line each; names in a pool of blocks.
 *
 * A route that finds its bucket full goes to the next one, and every bucket that it passed counts it, so that a
 * search ends at the first bucket that nobody has passed (as in Facebook's F14). No route moves while it is
 * there: a search never misses one.
 *
 * What lookups read of a place changes only while no route lives there, `found` alone but for that. A lookup
 * compares the number of the life before and after; if it differs, the route that it was at has gone. The rest,
 * which only people look at, has a sequence lock (the fences are those of host/session.c).
 */
#ifndef MF_LEARNED_TABLE_H
#define MF_LEARNED_TABLE_H

#include "policy/due.h"
#include "policy/learned.h"
#include "policy/texts.h"

static_assert((int)MF_LEARNED_NAME_MAX == (int)MF_TEXT_MAX, "a name is a text");

enum { MF_LEARNED_CELLS = 7 };

struct mf_learned_bucket {
	/* Hash of the address in the upper half, 1 + number of the place in the lower; 0: empty. */
	uint64_t cell[MF_LEARNED_CELLS];
	uint64_t passed; /* routes further on that found no room here */
} MF_ALIGNED(MF_CACHE_LINE);
static_assert(sizeof(struct mf_learned_bucket) == MF_CACHE_LINE, "a bucket is a cache line");

/* Under the sequence lock. */
struct mf_learned_facts {
	mf_nsec until;
	uint32_t hop, rule;
	uint32_t name, shared; /* texts */
	bool overridden, is_shared, was_used;
	uint8_t zero[5];
};
enum { MF_LEARNED_FACT_WORDS = sizeof(struct mf_learned_facts) / sizeof(uint64_t) };
static_assert(sizeof(struct mf_learned_facts) == 32, "read and written as words: no holes");

struct mf_learned_place {
	uint32_t life;  /* odd while a route lives here; each has its number */
	uint32_t seq;   /* of the facts */
	uint32_t found; /* the hop for lookups, 0: none; of a free place: 1 + the next free one */
	uint8_t family;
	uint8_t used;     /* since the last look; any thread sets it */
	uint8_t gone;     /* taken out, but sessions hold it: here for their sake only */
	uint64_t addr[2]; /* as its bytes are */
	struct mf_learned_facts facts;
};
static_assert(sizeof(struct mf_learned_place) == MF_CACHE_LINE, "a place is a cache line");

struct mf_learned {
	/* Lookups read these, and they hardly ever change. */
	struct mf_learned_bucket *bucket;
	struct mf_learned_place *place;
	uint32_t *held; /* [place]: 0: no route; 1 + number of sessions that hold it. Apart: sessions write it */
	uint32_t mask, shift;
	uint64_t seed4[2], seed6[5];
	uint32_t some; /* 0: no route at all */

	/* The writer's, but for the counters. */
	MF_ALIGNED(MF_CACHE_LINE) uint32_t max;
	uint32_t high, free, n; /* places: ever used; 1 + first free one; in use */
	uint32_t hand;          /* the next one to be looked at for giving up */
	struct mf_due due;
	struct mf_texts texts;
	struct mf_learned_counters count;
	char winner[MF_LEARNED_NAME_MAX + 1];
};

/* An address, and where to look for it. */
struct mf_learned_key {
	uint64_t addr[2];
	uint32_t hash;
	uint8_t family;
};

#define MF_LOAD(p)     __atomic_load_n(p, __ATOMIC_RELAXED)
#define MF_STORE(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)

struct mf_learned_key mf_learned_key(const struct mf_learned *t, const struct mf_addr *a);
/* Where the address lives, gone or not; NULL: nowhere. */
struct mf_learned_place *mf_learned_place(const struct mf_learned *t, const struct mf_learned_key *k);

static inline uint32_t mf_learned_number(const struct mf_learned *t, const struct mf_learned_place *p)
{
	return (uint32_t)(p - t->place);
}

static inline struct mf_addr mf_learned_addr(const struct mf_learned_place *p)
{
	struct mf_addr a = { .family = MF_LOAD(&p->family) };
	uint64_t w[2] = { MF_LOAD(&p->addr[0]), MF_LOAD(&p->addr[1]) };

	memcpy(a.b, w, sizeof(a.b));
	return a;
}

#endif
