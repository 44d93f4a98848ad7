/* SPDX-License-Identifier: Apache-2.0
 *
 * store - where the cache keeps its entries: found by a hash, in the order in which they were asked
 * for, and in the order in which they end. It knows the question of an entry, and of time only
 * which of two is earlier.
 *
 * Memory is one slab of pieces of 128 bytes. An entry is a head with what is said about it and its
 * first bytes, and as many pieces behind it as it needs; pieces of different entries mix, so no
 * room is ever lost between them, and what is to go is decided by use alone. To be read, an entry
 * is put together in one place.
 *
 * Order of use is a segmented LRU (Karedla et al. 1994): what is new waits on probation, what is
 * asked for there becomes protected; from a protected part that is too large the least recent go
 * back on probation. Order of ends is a heap.
 */
#ifndef MF_DNS_STORE_H
#define MF_DNS_STORE_H

#include "base/endian.h"
#include "crypto/siphash.h"
#include "proto/dns/cache.h"

enum {
	MF_DNS_PIECE = 128,
	MF_DNS_HEAD_DATA = 56,
	MF_DNS_PIECE_DATA = MF_DNS_PIECE - 4,
	/* An entry may take this part of all bytes. */
	MF_DNS_ENTRY_SHARE = 16,
};

enum mf_dns_segment { MF_DNS_PROBATION, MF_DNS_PROTECTED, MF_DNS_SEGMENTS };

enum mf_dns_entry_flag {
	MF_DNS_ENTRY_ASKED = 1 << 0,   /* since it came */
	MF_DNS_ENTRY_REFRESH = 1 << 1, /* it has been said that it should be asked again */
	MF_DNS_ENTRY_FAILURE = 1 << 2, /* SERVFAIL and the like: never served beyond its end */
};

/* Other pieces are named by their number; 0 is none. */
struct mf_dns_entry {
	uint32_t link; /* the piece that follows, with a mark: this is a head */
	uint32_t hash, chain;
	uint32_t newer, older; /* in its segment */
	uint32_t place;        /* in the heap */
	uint16_t n_msg, n_ttls;
	uint8_t segment, flags, key_flags;
	uint32_t ttl, hits;
	mf_nsec born, quiet; /* quiet: until then nobody is told to ask again */
	struct mf_dns_entry_note note;
	uint8_t data[MF_DNS_HEAD_DATA]; /* places of TTLs, message */
};
static_assert(sizeof(struct mf_dns_entry) == MF_DNS_PIECE, "a head is one piece");

struct mf_dns_store {
	void *mem;
	uint8_t *piece;
	uint32_t *bucket, *heap;
	uint8_t *scratch; /* an entry, put together; what is put in begins here */
	uint32_t n_pieces, n_made, n_used, free;
	uint32_t mask; /* of buckets */
	uint32_t n_entries;
	struct {
		uint32_t newest, oldest, n_pieces;
	} segment[MF_DNS_SEGMENTS];
	uint16_t msg_max; /* bytes of a message */
	uint8_t key[MF_SIPHASH_KEY_LEN];
};

/* Takes no more than so many bytes. MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_dns_store_init(struct mf_dns_store *s, size_t bytes,
				       const uint8_t key[MF_SIPHASH_KEY_LEN]);
void mf_dns_store_fini(struct mf_dns_store *s);

uint32_t mf_dns_store_hash(const struct mf_dns_store *s, const struct mf_dns_key *k);
/* NULL: none. Puts it together (mf_dns_store_msg). */
struct mf_dns_entry *mf_dns_store_find(const struct mf_dns_store *s, const struct mf_dns_key *k,
				       uint32_t hash);

/* Where a message of msg_max bytes can be written that is to be added. The next find, read or add
 * overwrites it. */
uint8_t *mf_dns_store_space(const struct mf_dns_store *s);
/* Would an entry of that size fit now? */
bool mf_dns_store_fits(const struct mf_dns_store *s, size_t n_msg, size_t n_ttls);
/* Adds it at the newest end of its segment, or the oldest; `kept` is in mf_dns_store_space. It fits
 * (asserted), and its question is not there. */
struct mf_dns_entry *mf_dns_store_add(struct mf_dns_store *s, const struct mf_dns_entry *init,
				      const struct mf_dns_kept *kept, bool newest);
void mf_dns_store_remove(struct mf_dns_store *s, struct mf_dns_entry *e);

/* It was asked for. */
void mf_dns_store_touch(struct mf_dns_store *s, struct mf_dns_entry *e);
/* The one that ends first, the one to go first; NULL: there is none. */
struct mf_dns_entry *mf_dns_store_first_to_end(const struct mf_dns_store *s);
struct mf_dns_entry *mf_dns_store_least_used(const struct mf_dns_store *s);

/* Puts it together; msg and ttls are of the entry that was found or read last. */
void mf_dns_store_read(const struct mf_dns_store *s, const struct mf_dns_entry *e);
static inline const uint16_t *mf_dns_store_ttls(const struct mf_dns_store *s)
{
	return (const uint16_t *)(const void *)s->scratch;
}
static inline struct mf_span mf_dns_store_msg(const struct mf_dns_store *s,
					      const struct mf_dns_entry *e)
{
	return mf_span(s->scratch + sizeof(uint16_t) * e->n_ttls, e->n_msg);
}

/* The entry of which piece n is the head, 1 .. n_made; NULL: of none. */
struct mf_dns_entry *mf_dns_store_at(const struct mf_dns_store *s, uint32_t n);
/* The next in order of use, the most recent of a segment first; NULL: that was all. `e` NULL: the
 * first. */
struct mf_dns_entry *mf_dns_store_next(const struct mf_dns_store *s, enum mf_dns_segment segment,
				       const struct mf_dns_entry *e);

/* Earlier on a clock of which only differences matter, so that something may have begun before it
 * did. */
static inline bool mf_dns_earlier(mf_nsec a, mf_nsec b)
{
	return (int64_t)(a - b) < 0;
}

static inline mf_nsec mf_dns_entry_end(const struct mf_dns_entry *e)
{
	return e->born + e->ttl * MF_SEC;
}

#endif
