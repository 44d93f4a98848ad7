/* SPDX-License-Identifier: Apache-2.0
 *
 * domain_table - what those who build a table of names and those who look into it agree on.
 *
 * A name in a bucket is a byte of its length and the packed name: of every byte six bits
 * (mf_domain_symbol), the last byte's first, and zeros up to a whole byte.
 */
#ifndef MF_DOMAIN_TABLE_H
#define MF_DOMAIN_TABLE_H

#include "policy/domain_names.h"

enum {
	MF_DOMAIN_SYMBOL_BITS = 6,
	MF_DOMAIN_OTHER = 0,        /* the symbol of all bytes that host names do not have */
	MF_DOMAIN_PACKED_MAX = 200, /* for a packed name, and what is written behind it meanwhile */
};

/* 1 to 39, or MF_DOMAIN_OTHER. */
extern const uint8_t mf_domain_symbol[256];

/* Bytes of a packed name of n. */
static inline size_t mf_domain_packed(size_t n)
{
	return (n * MF_DOMAIN_SYMBOL_BITS + 7) / 8;
}

void mf_domain_pack(const char *name, size_t n, uint8_t out[MF_DOMAIN_PACKED_MAX]);

/* What becomes of a hash: its upper half, scaled, is the bucket; the lower, two bits of its
 * filter. */
static inline uint32_t mf_domain_bucket(uint64_t hash, uint32_t buckets)
{
	return (uint32_t)((hash >> 32) * buckets >> 32);
}

/* In the upper half of a bucket's word; the lower is where it begins. */
static inline uint64_t mf_domain_filter(uint64_t hash)
{
	return (uint64_t)1 << (32 + hash % 32) | (uint64_t)1 << (32 + (hash >> 5) % 32);
}

void mf_domain_names_note_depth(struct mf_domain_names *t, unsigned labels);
/* The name of that length among the entries between two places of the text, or NULL. */
uint8_t *mf_domain_bucket_find(uint8_t *p, const uint8_t *end, const uint8_t *packed, size_t len);

#endif
