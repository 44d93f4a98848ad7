/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_block - one slot of a prefix table: the nodes that lookups walk and the prefixes they were made
 * from, in one piece of memory that does not change once made.
 *
 *	start                 root, 64-byte aligned if that is free
 *	| prefixes 0..head-1 | children | root node | struct mf_lpm_meta | other nodes | prefixes head.. |
 *
 * The prefixes fill the gap in front of the aligned root, so that the alignment costs nothing. Each is
 * `alen` bytes of address after the slot's own bits, a byte of length, and `vlen` bytes of value, all as
 * short as the block's longest allows (3 bytes in a table of IPv4 routes up to /24 with values up to
 * 255), sorted by address, then length.
 */
#ifndef MF_LPM_BLOCK_H
#define MF_LPM_BLOCK_H

#include "policy/lpm.h"

struct mf_lpm_meta {
	uint32_t n;    /* prefixes */
	uint32_t tail; /* from the root to prefix `head` */
	uint16_t root; /* from the start of the block to the root */
	uint8_t head;  /* prefixes in front of the root */
	uint8_t alen : 5, vlen : 3;
};
static_assert(sizeof(struct mf_lpm_meta) == 12, "what every block pays beside nodes and prefixes");

static inline uint64_t mf_lpm_direct(uint32_t value)
{
	return (uint64_t)value << 32 | MF_LPM_DIRECT;
}

/* What malloc takes for a piece of that many bytes (glibc: 8 bytes in front, steps of 16). */
static inline size_t mf_lpm_malloced(size_t bytes)
{
	return mf_max(32, mf_round_up(bytes + 8, 16));
}

/* Makes a slot from n prefixes in order of address and length, each below the slot's bits: addresses
 * shifted so that byte 0 is the first after them, lengths 1..112 or 1..128 shortened likewise, no two
 * equal. `inherit` is the value where none of them matches. n == 0 needs no memory. */
MF_MUST_CHECK mf_err mf_lpm_block_make(uint64_t *slot, const struct mf_lpm_entry *e, size_t n,
				       uint32_t inherit);
/* What to give to free(), or NULL for a direct slot. */
void *mf_lpm_block_start(uint64_t slot);

/* Prefixes in the slot, and its bytes: all, and the part that only updates read. */
struct mf_lpm_size {
	size_t n, bytes, rib_bytes;
};
struct mf_lpm_size mf_lpm_block_size(uint64_t slot);

/* Prefix i < n, as it was given to mf_lpm_block_make. */
void mf_lpm_block_entry(uint64_t slot, size_t i, struct mf_lpm_entry *e);
/* The first prefix that is not before (addr, len), or n; *equal says whether it is that one. */
size_t mf_lpm_block_find(uint64_t slot, const struct mf_lpm_entry *e, bool *equal);

/* Order of address, then length. */
static inline int mf_lpm_entry_cmp(const struct mf_lpm_entry *a, const struct mf_lpm_entry *b)
{
	int c = memcmp(a->addr, b->addr, sizeof(a->addr));

	return c ? c : (int)a->len - (int)b->len;
}

#endif
