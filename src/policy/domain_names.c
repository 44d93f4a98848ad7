/* SPDX-License-Identifier: Apache-2.0
 *
 * The lookup side: packing and hashing, directory, buckets. Building is in domain_build.c.
 */
#include "policy/domain_names.h"

#include "base/endian.h"
#include "policy/domain_table.h"

#include <stdlib.h>

#define PRIME (((uint64_t)1 << 61) - 1)

enum {
	PIECE = 7,    /* bytes of a label that are hashed at once */
	GROUP = 4,    /* symbols that are packed at once, into 3 bytes */
	LAST_BIT = 63 /* of `depths` */
};
static_assert((MF_DOMAIN_NAME_MAX + GROUP) / GROUP * 3 + 4 <= MF_DOMAIN_PACKED_MAX,
	      "every group is written as 4 bytes");

const uint8_t mf_domain_symbol[256] = {
	['.'] = 1,  ['-'] = 2,  ['_'] = 3,  ['0'] = 4,  ['1'] = 5,  ['2'] = 6,  ['3'] = 7,
	['4'] = 8,  ['5'] = 9,  ['6'] = 10, ['7'] = 11, ['8'] = 12, ['9'] = 13, ['a'] = 14,
	['b'] = 15, ['c'] = 16, ['d'] = 17, ['e'] = 18, ['f'] = 19, ['g'] = 20, ['h'] = 21,
	['i'] = 22, ['j'] = 23, ['k'] = 24, ['l'] = 25, ['m'] = 26, ['n'] = 27, ['o'] = 28,
	['p'] = 29, ['q'] = 30, ['r'] = 31, ['s'] = 32, ['t'] = 33, ['u'] = 34, ['v'] = 35,
	['w'] = 36, ['x'] = 37, ['y'] = 38, ['z'] = 39,
};

struct mf_domain_key mf_domain_key_of(const uint8_t key[16])
{
	/* From 2^60 to below the prime, which has its lowest bit set. */
	uint64_t point = (mf_load_le64(key) & (PRIME >> 1) & ~(uint64_t)1) | (uint64_t)1 << 60;

	return (struct mf_domain_key){ .point = point, .salt = mf_load_le64(key + 8) };
}

/* (h + v) * point, modulo the prime but for a few units above it; h < 2^61 + 8, v < 2^60. */
static inline uint64_t absorb(uint64_t h, uint64_t v, uint64_t point)
{
	unsigned __int128 product = (unsigned __int128)(h + v) * point;
	uint64_t sum = ((uint64_t)product & PRIME) + (uint64_t)(product >> 61);

	return (sum & PRIME) + (sum >> 61);
}

/* Spreads what is left of the polynomial's structure over all bits (the finisher of splitmix64). */
static inline uint64_t finish(uint64_t h, uint64_t salt)
{
	h ^= salt;
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

/* The highest bit of each byte that is a dot. */
static inline uint64_t dots(uint64_t bytes)
{
	const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
	uint64_t x = bytes ^ 0x2e2e2e2e2e2e2e2eu;

	return ~(((x & low) + low) | x | low);
}

/* From the end to the beginning, eight bytes at a time. A label is hashed as pieces of seven
 * bytes and a last one of up to seven, which has its length + 1 in the highest byte: no two
 * names give the same numbers. A dot in front of the name, in a copy, makes its first label end
 * as the others do. */
void mf_domain_suffixes_of(const struct mf_domain_key *key, const char *name, size_t n,
			   unsigned deepest, struct mf_domain_suffixes *out)
{
	char text[8 + MF_DOMAIN_NAME_MAX];
	const char *end = text + 8 + n;
	uint64_t h = 0;
	unsigned found = 0;

	memcpy(text, "........", 8);
	memcpy(text + 8, name, n);
	deepest = (unsigned)mf_min(deepest, MF_DOMAIN_LABELS_MAX);
	while (found < deepest && end >= text + 8) {
		uint64_t bytes = mf_load_le64(end - 8), dot = dots(bytes);
		unsigned left;

		if (!dot) {
			h = absorb(h, bytes >> 8, key->point);
			end -= PIECE;
			continue;
		}
		left = (unsigned)__builtin_clzll(dot) / 8;
		bytes = left ? bytes >> (64 - 8 * left) : 0;
		h = absorb(h, bytes | (uint64_t)(left + 1) << 56, key->point);
		end -= left;
		out->len[found] = (uint8_t)(text + 8 + n - end);
		out->hash[found++] = finish(h, key->salt);
		end--;
	}
	out->n = found;
	out->whole = end < text + 8;
}

void mf_domain_pack(const char *name, size_t n, uint8_t out[MF_DOMAIN_PACKED_MAX])
{
	uint32_t group = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t symbol = mf_domain_symbol[(uint8_t)name[n - 1 - i]];

		group |= symbol << (26 - i % GROUP * MF_DOMAIN_SYMBOL_BITS);
		mf_store_be32(out, group);
		if (i % GROUP == GROUP - 1) {
			out += 3;
			group = 0;
		}
	}
}

static inline uint64_t depth_bit(unsigned labels)
{
	return (uint64_t)1 << (labels < LAST_BIT ? labels : LAST_BIT);
}

void mf_domain_names_note_depth(struct mf_domain_names *t, unsigned labels)
{
	t->depths |= depth_bit(labels);
	t->deepest = (unsigned)mf_max(t->deepest, labels);
}

/* The first n symbols of both, of which a has no more. */
static inline bool equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t bits = n * MF_DOMAIN_SYMBOL_BITS, whole = bits / 8;
	uint8_t last = (uint8_t)(0xff00 >> bits % 8);

	return memcmp(a, b, whole) == 0 && (last == 0 || a[whole] == (b[whole] & last));
}

uint8_t *mf_domain_bucket_find(uint8_t *p, const uint8_t *end, const uint8_t *packed, size_t len)
{
	while (p < end) {
		if (*p == len && equal(p + 1, packed, len))
			return p;
		p += 1 + mf_domain_packed(*p);
	}
	return NULL;
}

/* Whether the bucket's filter lets the suffix pass; then its text is fetched, to be there later:
 * few buckets have more than two cache lines. */
static inline bool may_have(const struct mf_domain_names *t, uint64_t hash)
{
	const uint64_t *bucket = t->bucket + mf_domain_bucket(hash, t->buckets);
	uint64_t filter = mf_domain_filter(hash);

	if ((bucket[0] & filter) != filter)
		return false;
	__builtin_prefetch(t->text + (uint32_t)bucket[0]);
	__builtin_prefetch(t->text + (uint32_t)bucket[1]);
	return true;
}

/* `packed` is the suffix or one that is longer. */
static bool has(const struct mf_domain_names *t, const struct mf_domain_suffixes *s, unsigned which,
		const uint8_t *packed)
{
	const uint64_t *bucket = t->bucket + mf_domain_bucket(s->hash[which], t->buckets);

	return mf_domain_bucket_find(t->text + (uint32_t)bucket[0], t->text + (uint32_t)bucket[1],
				     packed, s->len[which]) != NULL;
}

bool mf_domain_names_find(const struct mf_domain_names *t, const struct mf_domain_suffixes *s,
			  const char *name, size_t n, unsigned *which)
{
	uint8_t passed[MF_DOMAIN_LABELS_MAX], packed[MF_DOMAIN_PACKED_MAX];
	unsigned n_passed = 0;
	size_t longest;

	for (unsigned i = 0; i < s->n; i++)
		if (t->depths & depth_bit(i + 1) && may_have(t, s->hash[i]))
			passed[n_passed++] = (uint8_t)i;
	if (!n_passed)
		return false;
	longest = s->len[passed[n_passed - 1]];
	mf_domain_pack(name + n - longest, longest, packed);
	for (unsigned i = 0; i < n_passed; i++) {
		if (!has(t, s, passed[i], packed))
			continue;
		*which = passed[i];
		return true;
	}
	return false;
}

bool mf_domain_names_find_whole(const struct mf_domain_names *t, const struct mf_domain_suffixes *s,
				const char *name, size_t n)
{
	uint8_t packed[MF_DOMAIN_PACKED_MAX];

	if (!s->whole || !(t->depths & depth_bit(s->n)) || !may_have(t, s->hash[s->n - 1]))
		return false;
	mf_domain_pack(name, n, packed);
	return has(t, s, s->n - 1, packed);
}

size_t mf_domain_names_bytes(const struct mf_domain_names *t)
{
	if (!t->n)
		return 0;
	return (t->buckets + (size_t)2) * sizeof(*t->bucket) + (uint32_t)t->bucket[t->buckets] + 1;
}

void mf_domain_names_fini(struct mf_domain_names *t)
{
	free(t->bucket);
	free(t->text);
	*t = (struct mf_domain_names){ 0 };
}
