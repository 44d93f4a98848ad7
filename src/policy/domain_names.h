/* SPDX-License-Identifier: Apache-2.0
 *
 * domain_names - many host names in little memory, to ask whether a name or one above it is among
 * them.
 *
 * The names lie in the order of their hash, in buckets of four on average: of each its length, and
 * its bytes from the last to the first, six bits each, as host names need no more. A directory has
 * for each bucket where it begins, and a filter of 32 bits, of which every name sets two. Of a name
 * of 20 bytes 18 are left, directory and all.
 *
 * A lookup hashes all suffixes of the name in one go, from its end to its beginning, and asks the
 * filters, which lie in the L2 cache for a million names and let one wrong suffix in twenty pass.
 * What passes costs one miss of the caches, for all suffixes at once; there the names are compared
 * to the last bit, so that an answer is never wrong. The shortest suffix counts.
 *
 * What else was tried or reckoned: names sorted from their ends, each as its difference from the
 * one before, under a hash table, took as much memory and found names at two thirds of the speed
 * (two misses, one after the other, and a run over the differences). A trie of labels takes a miss
 * for each label, each waiting for the one before, and more memory. Hashes of 64 bits without the
 * names would take half the memory and be wrong for somebody, once.
 *
 * The hash is a polynomial over the prime 2^61 - 1 at a secret point (Carter and Wegman 1979):
 * whoever writes lists and names, but does not know the key, cannot make them collide.
 *
 * Building: one thread. Lookups: any thread, nothing is written.
 */
#ifndef MF_DOMAIN_NAMES_H
#define MF_DOMAIN_NAMES_H

#include "base/err.h"

enum {
	MF_DOMAIN_NAME_MAX = 253, /* a host name as text, without the last dot (RFC 1035, 2.3.4) */
	MF_DOMAIN_LABELS_MAX = 127,
	MF_DOMAIN_NAMES_MAX = 1 << 24,
};

struct mf_domain_key {
	uint64_t point, salt;
};
struct mf_domain_key mf_domain_key_of(const uint8_t key[16]);

/* The suffixes of a name that begin at a label, the shortest first. */
struct mf_domain_suffixes {
	unsigned n;
	bool whole; /* the last one is the whole name */
	uint8_t len[MF_DOMAIN_LABELS_MAX];
	uint64_t hash[MF_DOMAIN_LABELS_MAX];
};
/* Of a name of 1 to MF_DOMAIN_NAME_MAX bytes; no more than the `deepest` shortest ones. */
void mf_domain_suffixes_of(const struct mf_domain_key *key, const char *name, size_t n,
			   unsigned deepest, struct mf_domain_suffixes *out);

/* Names on the way into a table; all zeros is an empty one. */
struct mf_domain_bag {
	uint8_t *bytes; /* each name: its length, its bytes */
	size_t len, cap;
	uint32_t n;
};
/* Letters in lower case, digits, hyphens and underscores, with dots between. MF_E_MALFORMED (another
 * byte, an empty label, the length), MF_E_FULL, MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_domain_bag_add(struct mf_domain_bag *bag, const char *name, size_t n);
void mf_domain_bag_fini(struct mf_domain_bag *bag);

/* All zeros is a table without names. */
struct mf_domain_names {
	uint64_t *bucket; /* where each begins in `text`, where the last ends; and the filters */
	uint8_t *text;
	uint32_t buckets, n;
	unsigned deepest; /* labels of the longest name */
	uint64_t depths;  /* bit k: there are names of k labels; the last: or more */
};

/* Makes the table and empties the bag, also on error. What is there twice is there once; what is
 * below a name of `cover`, or is that name, is left out. `cover` may be the table itself: then
 * what is below another of its names is. NULL: none. MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_domain_names_make(struct mf_domain_names *t, struct mf_domain_bag *bag,
					  const struct mf_domain_key *key,
					  const struct mf_domain_names *cover);
void mf_domain_names_fini(struct mf_domain_names *t);
size_t mf_domain_names_bytes(const struct mf_domain_names *t);

/* Whether a suffix of the name is in the table; *which is the shortest one's number. */
bool mf_domain_names_find(const struct mf_domain_names *t, const struct mf_domain_suffixes *s,
			  const char *name, size_t n, unsigned *which);
/* Whether the whole name is. */
bool mf_domain_names_find_whole(const struct mf_domain_names *t, const struct mf_domain_suffixes *s,
				const char *name, size_t n);

#endif
