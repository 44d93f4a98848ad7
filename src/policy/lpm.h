/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm - longest prefix match over IPv4 (32 bits) or IPv6 (128 bits): routes, allowed IPs, learned
 * hosts. Made so that few prefixes cost few bytes, a million cost about ten bytes each, and a lookup
 * touches two cache lines.
 *
 * The idea is the poptrie's (Asai and Ohara, SIGCOMM 2015): a bit for each place where the answer
 * changes, and a population count to find the answer. A node covers 8 address bits with 256 such
 * bits, followed in the same cache line by the answers, one, two or four bytes wide as the values
 * need. All nodes below one slot of the top table, and the prefixes they were made from (packed: no
 * tree, no pointers), are one block of memory that never changes: an update makes a new block and
 * swaps one pointer. See lpm_block.h.
 *
 * Threads: lookups (mf_lpm_lookup*) from any thread, without locks, while one thread at a time calls
 * the other functions. A lookup sees each prefix as it was before or as it is after an update.
 */
#ifndef MF_LPM_H
#define MF_LPM_H

#include "base/endian.h"
#include "base/err.h"

enum { MF_LPM_NONE = 0, MF_LPM_VALUE_MAX = 0x7fffffff };

/* How memory that a lookup may still be reading is given back: `defer` must call fn(obj) once every
 * reader has passed a quiet point. A NULL `defer` frees at once: no concurrent readers. */
struct mf_lpm_reclaim {
	void (*defer)(void *ctx, void (*fn)(void *obj), void *obj);
	void *ctx;
};

struct mf_lpm_entry {
	uint8_t addr[16]; /* network byte order, IPv4 in the first four; host bits are ignored */
	uint8_t len;
	uint32_t value;
};

/* Part of the lookup structure; only its address changes hands. */
struct mf_lpm_top {
	uint32_t bits;     /* address bits that choose the slot: 0 or 16 */
	uint32_t fallback; /* value of the prefix of length 0 */
	uint64_t slot[];   /* tagged: see enum mf_lpm_tag */
};

/* Readers use `top` only; the rest is the writer's. */
struct mf_lpm {
	struct mf_lpm_top *top;
	struct mf_lpm_reclaim reclaim;
	uint64_t wide; /* as a slot: prefixes of 1..16 bits when 16 bits choose the slot */
	size_t count, bytes, rib_bytes;
	uint8_t addr_bits;
	bool grows; /* may change from 0 to 16 direct bits by itself */
};

/* addr_bits is 32 or 128. direct_bits is how many leading bits index the top table: 16 costs 512 KiB
 * at once; 0 costs next to nothing and becomes 16 by itself when there are thousands of prefixes.
 * `reclaim` is copied; NULL is as a NULL defer. NULL: out of memory. */
struct mf_lpm *mf_lpm_new(unsigned addr_bits, unsigned direct_bits,
			  const struct mf_lpm_reclaim *reclaim);
/* No lookup may be running: nothing is deferred. NULL is allowed. */
void mf_lpm_free(struct mf_lpm *t);

/* Sets the value (1..MF_LPM_VALUE_MAX, asserted) of a prefix, new or not. Host bits of addr are ignored.
 * MF_E_NO_MEMORY: the table is as it was. */
MF_MUST_CHECK mf_err mf_lpm_insert(struct mf_lpm *t, const uint8_t *addr, unsigned len,
				   uint32_t value);
/* MF_E_NOT_FOUND, MF_E_NO_MEMORY: the table is as it was. */
MF_MUST_CHECK mf_err mf_lpm_remove(struct mf_lpm *t, const uint8_t *addr, unsigned len);
/* As inserting each of them in turn (of equal prefixes the last counts), but each block is made only
 * once. MF_E_NO_MEMORY: the table is as it was. */
MF_MUST_CHECK mf_err mf_lpm_load(struct mf_lpm *t, const struct mf_lpm_entry *entry, size_t n);

/* The value of exactly this prefix, or MF_LPM_NONE. The writer's thread, as are the following. */
uint32_t mf_lpm_get(const struct mf_lpm *t, const uint8_t *addr, unsigned len);
/* As a lookup, but says how long the prefix is. Slower. */
uint32_t mf_lpm_match(const struct mf_lpm *t, const uint8_t *addr, unsigned *len);
/* Calls fn for each prefix in order of address, the shorter first, until it returns false. `addr` is
 * 4 or 16 bytes, host bits zero. fn must not change the table. */
void mf_lpm_walk(const struct mf_lpm *t,
		 bool (*fn)(void *ctx, const uint8_t *addr, unsigned len, uint32_t value), void *ctx);

/* Prefixes; bytes of what lookups read; bytes of what only updates read. Allocator overhead included
 * (as glibc's). */
static inline size_t mf_lpm_count(const struct mf_lpm *t)
{
	return t->count;
}

static inline size_t mf_lpm_bytes(const struct mf_lpm *t)
{
	return t->bytes;
}

static inline size_t mf_lpm_rib_bytes(const struct mf_lpm *t)
{
	return t->rib_bytes;
}

/* Looks up n addresses (IPv4 in host byte order); values go to out[0..n). Any thread. Several times as
 * fast as one by one, as cache misses overlap. */
void mf_lpm_lookup4_bulk(const struct mf_lpm *t, const uint32_t *addr, uint32_t *out, size_t n);
void mf_lpm_lookup6_bulk(const struct mf_lpm *t, const uint8_t (*addr)[16], uint32_t *out, size_t n);

/* --- What follows is only for the inline lookups, lpm*.c and their tests. --- */

/* Low bits of a slot or of a child reference. A slot that is MF_LPM_DIRECT holds the value in its upper
 * half; any other holds the address of a node, and a child reference the distance to it. */
enum mf_lpm_tag {
	MF_LPM_LEAF8,  /* a node with leaves of one byte, */
	MF_LPM_LEAF16, /* two bytes, */
	MF_LPM_LEAF32, /* four bytes */
	MF_LPM_SKIP,   /* a node that compares bytes */
	MF_LPM_DIRECT,
	MF_LPM_TAG = 7,
};

/* Eight address bits: bit i of `edge` is set where the leaf for i differs from that for i - 1 (bit 0
 * always). The leaves follow, one for each set bit; up to three bytes behind the last may be read.
 * Child references (uint32_t) are in front of the node, the first next to it. */
struct mf_lpm_node {
	uint64_t edge[4];
	uint32_t before; /* byte w: number of bits set in edge[0..w) */
	uint8_t leaf[];
};

/* All prefixes below share `n` bytes; an address that does not has the value `miss`. */
struct mf_lpm_skip {
	uint32_t child, miss;
	uint8_t n, key[15];
};

/* Leaves from here on are numbers of children. */
#define MF_LPM_CHILD8  192u
#define MF_LPM_CHILD16 65280u
#define MF_LPM_CHILD32 0x80000000u

static inline uint32_t mf_lpm_first_child(unsigned tag)
{
	return tag == MF_LPM_LEAF8    ? MF_LPM_CHILD8
	       : tag == MF_LPM_LEAF16 ? MF_LPM_CHILD16
				      : MF_LPM_CHILD32;
}

static inline unsigned mf_lpm_popcount(uint64_t v)
{
#if defined(__POPCNT__) || defined(__aarch64__)
	return (unsigned)__builtin_popcountll(v);
#else
	v -= v >> 1 & 0x5555555555555555u;
	v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return (unsigned)(v * 0x0101010101010101u >> 56);
#endif
}

/* The leaf of a LEAF8..LEAF32 node for one byte of the address. */
static inline uint32_t mf_lpm_leaf(const struct mf_lpm_node *node, unsigned tag, unsigned byte)
{
	unsigned w = byte >> 6;
	uint64_t upto = node->edge[w] << (63 - (byte & 63));
	unsigned i = (node->before >> 8 * w & 0xff) + mf_lpm_popcount(upto) - 1;

	return mf_load_le32(node->leaf + ((size_t)i << tag)) & 0xffffffffu >> (32 - (8u << tag));
}

/* Goes down from a slot; `addr` is the first byte that the slot did not use. */
static inline uint32_t mf_lpm_descend(uint64_t slot, const uint8_t *addr)
{
	const uint8_t *p = (const uint8_t *)(uintptr_t)(slot & ~(uint64_t)MF_LPM_TAG);
	unsigned tag = slot & MF_LPM_TAG;
	uint32_t leaf, ref;

	for (;;) {
		if (tag == MF_LPM_SKIP) {
			const struct mf_lpm_skip *s = (const void *)p;

			if (memcmp(s->key, addr, s->n) != 0)
				return s->miss;
			addr += s->n;
			ref = s->child;
		} else {
			leaf = mf_lpm_leaf((const void *)p, tag, *addr++);
			if (MF_LIKELY(leaf < mf_lpm_first_child(tag)))
				return leaf;
			leaf -= mf_lpm_first_child(tag);
			ref = ((const uint32_t *)(const void *)p)[-1 - (ptrdiff_t)leaf];
		}
		p += ref & ~(uint32_t)MF_LPM_TAG;
		tag = ref & MF_LPM_TAG;
	}
}

static inline uint32_t mf_lpm_lookup_in(const struct mf_lpm_top *top, uint32_t first4,
					const uint8_t *addr)
{
	uint64_t slot =
		__atomic_load_n(&top->slot[(uint64_t)first4 >> (32 - top->bits)], __ATOMIC_ACQUIRE);
	uint32_t v = slot & MF_LPM_DIRECT ? (uint32_t)(slot >> 32)
					  : mf_lpm_descend(slot, addr + top->bits / 8);

	return v ? v : __atomic_load_n(&top->fallback, __ATOMIC_RELAXED);
}

/* The value of the longest prefix that has the address (host byte order), or MF_LPM_NONE. Any thread. */
static inline uint32_t mf_lpm_lookup4(const struct mf_lpm *t, uint32_t addr)
{
	uint8_t b[4];

	mf_store_be32(b, addr);
	return mf_lpm_lookup_in(__atomic_load_n(&t->top, __ATOMIC_ACQUIRE), addr, b);
}

static inline uint32_t mf_lpm_lookup6(const struct mf_lpm *t, const uint8_t addr[16])
{
	return mf_lpm_lookup_in(__atomic_load_n(&t->top, __ATOMIC_ACQUIRE), mf_load_be32(addr), addr);
}

#endif
