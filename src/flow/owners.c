/* SPDX-License-Identifier: Apache-2.0
 *
 * owners - see owners.h. The hash chooses a word; a word is a whole bucket of three entries of 21 bits:
 *
 *	| 1 unused | 14 tag, 7 worker | 14 tag, 7 worker | 14 tag, 7 worker |
 *
 * `worker` is its number + 1, 0 for an empty entry; the tag is another part of the hash. Because one
 * compare-and-swap sees all of a bucket, two workers can never both believe that they were first, whatever
 * comes and goes in between. Two words for each session: with that many sessions a bucket has 0.5 entries
 * on average, and one session in six hundred finds no room.
 */
#include "flow/owners.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "crypto/siphash.h"

enum { ENTRIES = 3, ENTRY_BITS = 21, WORKER_BITS = 7, TAG_BITS = 14 };
#define ENTRY_MASK ((1u << ENTRY_BITS) - 1)
#define TAG_MASK   (ENTRY_MASK & ~((1u << WORKER_BITS) - 1))
static_assert(ENTRIES * ENTRY_BITS <= 64 && WORKER_BITS + TAG_BITS == ENTRY_BITS, "fits a word");
static_assert(MF_OWNERS_WORKERS < 1 << WORKER_BITS, "worker + 1 fits");

struct mf_owners {
	uint64_t mask;
	uint8_t hash_key[MF_SIPHASH_KEY_LEN];
	_Atomic uint32_t strays;
	_Atomic uint64_t bucket[];
};

struct mf_owners *mf_owners_new(uint32_t max, const uint8_t hash_key[16])
{
	struct mf_owners *o;
	uint64_t n = 16;

	while (n < 2 * (uint64_t)max)
		n *= 2;
	o = calloc(1, sizeof(*o) + n * sizeof(o->bucket[0]));
	if (!o)
		return NULL;
	o->mask = n - 1;
	memcpy(o->hash_key, hash_key, sizeof(o->hash_key));
	return o;
}

void mf_owners_free(struct mf_owners *o)
{
	free(o);
}

const uint8_t *mf_owners_hash_key(const struct mf_owners *o)
{
	return o->hash_key;
}

static uint32_t entry_at(uint64_t word, unsigned i)
{
	return (uint32_t)(word >> (i * ENTRY_BITS)) & ENTRY_MASK;
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32) & TAG_MASK;
}

static bool used(uint32_t entry)
{
	return entry & ~TAG_MASK;
}

/* Where the tag is in this word, or -1. */
static int find_tag(uint64_t word, uint32_t tag)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint32_t e = entry_at(word, i);

		if (used(e) && (e & TAG_MASK) == tag)
			return (int)i;
	}
	return -1;
}

static int worker_at(uint64_t word, int i)
{
	return (int)(entry_at(word, (unsigned)i) & ~TAG_MASK) - 1;
}

/* The word with this entry in its first empty place; the word itself: there is none. */
static uint64_t insert(uint64_t word, uint32_t entry)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (!used(entry_at(word, i)))
			return word | (uint64_t)entry << (i * ENTRY_BITS);
	return word;
}

/* Nothing is published through an entry but the entry: relaxed everywhere. */
int mf_owners_find(const struct mf_owners *o, uint64_t hash)
{
	uint64_t word = atomic_load_explicit(&o->bucket[hash & o->mask], memory_order_relaxed);
	int i = find_tag(word, tag_of(hash));

	return i < 0 ? MF_OWNER_NONE : worker_at(word, i);
}

int mf_owners_claim(struct mf_owners *o, uint64_t hash, unsigned worker)
{
	_Atomic uint64_t *at = &o->bucket[hash & o->mask];
	uint64_t word = atomic_load_explicit(at, memory_order_relaxed), with;
	uint32_t tag = tag_of(hash);

	MF_ASSERT(worker < MF_OWNERS_WORKERS);
	do {
		int i = find_tag(word, tag);

		if (i >= 0)
			return worker_at(word, i);
		with = insert(word, tag | (worker + 1));
		if (with == word)
			break;
	} while (!atomic_compare_exchange_weak_explicit(at, &word, with, memory_order_relaxed,
							memory_order_relaxed));
	return (int)worker;
}

void mf_owners_release(struct mf_owners *o, uint64_t hash, unsigned worker)
{
	_Atomic uint64_t *at = &o->bucket[hash & o->mask];
	uint64_t word = atomic_load_explicit(at, memory_order_relaxed), without;

	do {
		int i = find_tag(word, tag_of(hash));

		if (i < 0 || worker_at(word, i) != (int)worker)
			return;
		without = word & ~((uint64_t)ENTRY_MASK << ((unsigned)i * ENTRY_BITS));
	} while (!atomic_compare_exchange_weak_explicit(at, &word, without, memory_order_relaxed,
							memory_order_relaxed));
}

void mf_owners_add_strays(struct mf_owners *o, int by)
{
	atomic_fetch_add_explicit(&o->strays, (uint32_t)by, memory_order_relaxed);
}

uint32_t mf_owners_strays(const struct mf_owners *o)
{
	return atomic_load_explicit(&o->strays, memory_order_relaxed);
}
