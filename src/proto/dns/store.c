/* SPDX-License-Identifier: Apache-2.0
 *
 * store - see store.h.
 */
#include "proto/dns/store.h"

#include <stdlib.h>

#define HEAD (1u << 31)

enum {
	/* Of the protected segment: this part of the pieces. */
	PROTECTED_NUM = 3,
	PROTECTED_DEN = 4,
	TTLS_BYTES = MF_DNS_KEPT_TTLS * sizeof(uint16_t),
};

struct piece {
	uint32_t link;
	uint8_t data[MF_DNS_PIECE_DATA];
};
static_assert(sizeof(struct piece) == MF_DNS_PIECE, "a piece");

/* ---- memory ---- */

static size_t scratch_bytes(const struct mf_dns_store *s)
{
	/* Whole pieces are copied into it. */
	return mf_round_up(TTLS_BYTES + s->msg_max + MF_DNS_PIECE_DATA, MF_CACHE_LINE);
}

/* As many pieces as fit, with a place in the heap for each, and about one bucket for two: that is
 * what a common answer takes. Number 0 is none. */
static void choose_sizes(struct mf_dns_store *s, size_t bytes)
{
	size_t each = MF_DNS_PIECE + sizeof(*s->heap), n, buckets = 1;

	s->msg_max = (uint16_t)mf_min(bytes / MF_DNS_ENTRY_SHARE, UINT16_MAX);
	bytes -= scratch_bytes(s) + MF_CACHE_LINE;
	n = mf_min(bytes / each, HEAD / 2);
	while (4 * buckets <= n)
		buckets *= 2;
	n = mf_min((bytes - buckets * sizeof(*s->bucket)) / each, HEAD / 2) - 1;
	s->n_pieces = (uint32_t)n;
	s->mask = (uint32_t)buckets - 1;
}

mf_err mf_dns_store_init(struct mf_dns_store *s, size_t bytes, const uint8_t key[MF_SIPHASH_KEY_LEN])
{
	size_t pieces, heap, buckets;
	uintptr_t at;

	*s = (struct mf_dns_store){ 0 };
	choose_sizes(s, bytes);
	pieces = ((size_t)s->n_pieces + 1) * MF_DNS_PIECE;
	heap = ((size_t)s->n_pieces + 1) * sizeof(*s->heap);
	buckets = ((size_t)s->mask + 1) * sizeof(*s->bucket);
	/* So much at once comes from the kernel as pages that are made when they are touched. */
	s->mem = calloc(1, MF_CACHE_LINE + pieces + scratch_bytes(s) + heap + buckets);
	if (!s->mem)
		return MF_E_NO_MEMORY;
	at = (uintptr_t)s->mem;
	s->piece = (uint8_t *)s->mem + (mf_round_up(at, MF_CACHE_LINE) - at);
	s->scratch = s->piece + pieces;
	s->bucket = (uint32_t *)(void *)(s->scratch + scratch_bytes(s));
	s->heap = s->bucket + s->mask + 1;
	memcpy(s->key, key, sizeof(s->key));
	return MF_OK;
}

void mf_dns_store_fini(struct mf_dns_store *s)
{
	free(s->mem);
	s->mem = NULL;
}

static struct piece *piece_of(const struct mf_dns_store *s, uint32_t n)
{
	return (struct piece *)(void *)(s->piece + (size_t)n * MF_DNS_PIECE);
}

static struct mf_dns_entry *head_of(const struct mf_dns_store *s, uint32_t n)
{
	return n ? (struct mf_dns_entry *)(void *)(s->piece + (size_t)n * MF_DNS_PIECE) : NULL;
}

static uint32_t number_of(const struct mf_dns_store *s, const struct mf_dns_entry *e)
{
	return (uint32_t)((size_t)((const uint8_t *)e - s->piece) / MF_DNS_PIECE);
}

/* There is one. Given back last, taken first: warm. */
static uint32_t take(struct mf_dns_store *s)
{
	uint32_t n = s->free;

	MF_ASSERT(s->n_used < s->n_pieces);
	s->n_used++;
	if (!n)
		return ++s->n_made;
	s->free = piece_of(s, n)->link;
	return n;
}

static void give(struct mf_dns_store *s, uint32_t n)
{
	piece_of(s, n)->link = s->free;
	s->free = n;
	s->n_used--;
}

/* ---- bytes of an entry ---- */

static uint32_t pieces_for(size_t n_msg, size_t n_ttls)
{
	size_t n = n_msg + n_ttls * sizeof(uint16_t);

	n -= mf_min(n, MF_DNS_HEAD_DATA);
	return (uint32_t)(1 + (n + MF_DNS_PIECE_DATA - 1) / MF_DNS_PIECE_DATA);
}

bool mf_dns_store_fits(const struct mf_dns_store *s, size_t n_msg, size_t n_ttls)
{
	return pieces_for(n_msg, n_ttls) <= s->n_pieces - s->n_used;
}

void mf_dns_store_read(const struct mf_dns_store *s, const struct mf_dns_entry *e)
{
	uint8_t *to = s->scratch;

	memcpy(to, e->data, sizeof(e->data));
	to += sizeof(e->data);
	for (uint32_t n = e->link & ~HEAD; n; n = piece_of(s, n)->link) {
		memcpy(to, piece_of(s, n)->data, MF_DNS_PIECE_DATA);
		to += MF_DNS_PIECE_DATA;
	}
}

uint8_t *mf_dns_store_space(const struct mf_dns_store *s)
{
	return s->scratch + TTLS_BYTES;
}

/* The other way: what is in one place from `from` on goes into the entry's pieces. */
static void scatter(struct mf_dns_store *s, struct mf_dns_entry *e, const uint8_t *from)
{
	uint32_t *link = &e->link, n_pieces = pieces_for(e->n_msg, e->n_ttls);

	memcpy(e->data, from, sizeof(e->data));
	from += sizeof(e->data);
	*link = HEAD;
	for (uint32_t i = 1; i < n_pieces; i++) {
		uint32_t n = take(s);
		struct piece *p = piece_of(s, n);

		memcpy(p->data, from, MF_DNS_PIECE_DATA);
		from += MF_DNS_PIECE_DATA;
		*link |= n;
		link = &p->link;
		*link = 0;
	}
}

/* ---- by hash ---- */

uint32_t mf_dns_store_hash(const struct mf_dns_store *s, const struct mf_dns_key *k)
{
	uint64_t kind = (uint64_t)k->flags << 16 | k->type;

	return (uint32_t)mf_siphash13(s->key, kind, k->name->b, k->name->n);
}

/* The question of a message that is kept has no pointer, and no name begins another: each ends with
 * the root. */
static bool asks(struct mf_span msg, const struct mf_dns_key *k)
{
	const uint8_t *at = msg.p + MF_DNS_HEADER;
	size_t n = k->name->n;

	return msg.n >= MF_DNS_HEADER + n + 4 && memcmp(at, k->name->b, n) == 0 &&
	       mf_load_be16(at + n) == k->type;
}

struct mf_dns_entry *mf_dns_store_find(const struct mf_dns_store *s, const struct mf_dns_key *k,
				       uint32_t hash)
{
	struct mf_dns_entry *e = head_of(s, s->bucket[hash & s->mask]);

	for (; e; e = head_of(s, e->chain)) {
		if (e->hash != hash || e->key_flags != k->flags)
			continue;
		mf_dns_store_read(s, e);
		if (asks(mf_dns_store_msg(s, e), k))
			return e;
	}
	return NULL;
}

static void index_add(struct mf_dns_store *s, struct mf_dns_entry *e)
{
	uint32_t *bucket = &s->bucket[e->hash & s->mask];

	e->chain = *bucket;
	*bucket = number_of(s, e);
}

static void index_remove(struct mf_dns_store *s, const struct mf_dns_entry *e)
{
	uint32_t *at = &s->bucket[e->hash & s->mask];

	while (*at != number_of(s, e))
		at = &head_of(s, *at)->chain;
	*at = e->chain;
}

/* ---- by use ---- */

static void use_remove(struct mf_dns_store *s, const struct mf_dns_entry *e)
{
	struct mf_dns_entry *newer = head_of(s, e->newer), *older = head_of(s, e->older);

	*(newer ? &newer->older : &s->segment[e->segment].newest) = e->older;
	*(older ? &older->newer : &s->segment[e->segment].oldest) = e->newer;
	s->segment[e->segment].n_pieces -= pieces_for(e->n_msg, e->n_ttls);
}

static void use_add(struct mf_dns_store *s, struct mf_dns_entry *e, bool newest)
{
	uint32_t *first = &s->segment[e->segment].newest, *last = &s->segment[e->segment].oldest;
	uint32_t n = number_of(s, e);

	e->newer = newest ? 0 : *last;
	e->older = newest ? *first : 0;
	*(e->newer ? &head_of(s, e->newer)->older : first) = n;
	*(e->older ? &head_of(s, e->older)->newer : last) = n;
	s->segment[e->segment].n_pieces += pieces_for(e->n_msg, e->n_ttls);
}

static void move(struct mf_dns_store *s, struct mf_dns_entry *e, enum mf_dns_segment to)
{
	use_remove(s, e);
	e->segment = (uint8_t)to;
	use_add(s, e, true);
}

/* An entry is far smaller than the segment, so it never goes back at once. */
static void shrink_protected(struct mf_dns_store *s)
{
	uint32_t max = (uint32_t)((uint64_t)s->n_pieces * PROTECTED_NUM / PROTECTED_DEN);

	while (s->segment[MF_DNS_PROTECTED].n_pieces > max)
		move(s, head_of(s, s->segment[MF_DNS_PROTECTED].oldest), MF_DNS_PROBATION);
}

void mf_dns_store_touch(struct mf_dns_store *s, struct mf_dns_entry *e)
{
	if (e->segment == MF_DNS_PROTECTED && !e->newer)
		return;
	move(s, e, MF_DNS_PROTECTED);
	shrink_protected(s);
}

struct mf_dns_entry *mf_dns_store_least_used(const struct mf_dns_store *s)
{
	struct mf_dns_entry *e = head_of(s, s->segment[MF_DNS_PROBATION].oldest);

	return e ? e : head_of(s, s->segment[MF_DNS_PROTECTED].oldest);
}

struct mf_dns_entry *mf_dns_store_next(const struct mf_dns_store *s, enum mf_dns_segment segment,
				       const struct mf_dns_entry *e)
{
	return head_of(s, e ? e->older : s->segment[segment].newest);
}

/* ---- by end ---- */

static void heap_put(struct mf_dns_store *s, uint32_t at, uint32_t n)
{
	s->heap[at] = n;
	head_of(s, n)->place = at;
}

static bool ends_before(const struct mf_dns_store *s, uint32_t a, uint32_t b)
{
	return mf_dns_earlier(mf_dns_entry_end(head_of(s, a)), mf_dns_entry_end(head_of(s, b)));
}

/* Finds the place of n, which begins at `at`, up or down from there. */
static void heap_settle(struct mf_dns_store *s, uint32_t at, uint32_t n)
{
	uint32_t child;

	for (; at && ends_before(s, n, s->heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap_put(s, at, s->heap[(at - 1) / 2]);
	while ((child = 2 * at + 1) < s->n_entries) {
		if (child + 1 < s->n_entries && ends_before(s, s->heap[child + 1], s->heap[child]))
			child++;
		if (!ends_before(s, s->heap[child], n))
			break;
		heap_put(s, at, s->heap[child]);
		at = child;
	}
	heap_put(s, at, n);
}

static void heap_add(struct mf_dns_store *s, struct mf_dns_entry *e)
{
	s->n_entries++;
	heap_settle(s, s->n_entries - 1, number_of(s, e));
}

static void heap_remove(struct mf_dns_store *s, const struct mf_dns_entry *e)
{
	uint32_t last = s->heap[--s->n_entries];

	if (last != number_of(s, e))
		heap_settle(s, e->place, last);
}

struct mf_dns_entry *mf_dns_store_first_to_end(const struct mf_dns_store *s)
{
	return s->n_entries ? head_of(s, s->heap[0]) : NULL;
}

/* ---- entries ---- */

struct mf_dns_entry *mf_dns_store_add(struct mf_dns_store *s, const struct mf_dns_entry *init,
				      const struct mf_dns_kept *kept, bool newest)
{
	size_t ttls = kept->n_ttls * sizeof(kept->ttl_at[0]);
	uint8_t *from = mf_dns_store_space(s) - ttls;
	struct mf_dns_entry *e;

	MF_ASSERT(kept->msg == mf_dns_store_space(s) && kept->n <= s->msg_max);
	memcpy(from, kept->ttl_at, ttls);
	e = head_of(s, take(s));
	memcpy(e, init, offsetof(struct mf_dns_entry, data));
	e->n_msg = kept->n;
	e->n_ttls = kept->n_ttls;
	scatter(s, e, from);
	index_add(s, e);
	use_add(s, e, newest);
	heap_add(s, e);
	shrink_protected(s);
	return e;
}

void mf_dns_store_remove(struct mf_dns_store *s, struct mf_dns_entry *e)
{
	uint32_t n = e->link & ~HEAD, next;

	index_remove(s, e);
	use_remove(s, e);
	heap_remove(s, e);
	for (; n; n = next) {
		next = piece_of(s, n)->link;
		give(s, n);
	}
	give(s, number_of(s, e));
}

struct mf_dns_entry *mf_dns_store_at(const struct mf_dns_store *s, uint32_t n)
{
	MF_ASSERT(n && n <= s->n_made);
	return piece_of(s, n)->link & HEAD ? head_of(s, n) : NULL;
}
