/* SPDX-License-Identifier: Apache-2.0
 *
 * domain_set - a set of host names, immutable once built: a name is in it if it or one above it was
 * added, or if it is exactly one that was added as `full`, or by a word or pattern that it
 * contains. Exceptions win.
 *
 * Made for a million names in 24 MiB and 5 million lookups a second on one core (domain_names.h
 * says how). While it is built it takes some 70 MiB for them.
 *
 * Building: one thread. Lookups: any thread, no locks; no memory is taken but for regular
 * expressions, which PCRE2 needs some for.
 */
#ifndef MF_DOMAIN_SET_H
#define MF_DOMAIN_SET_H

#include "base/err.h"

struct mf_domain_set;
struct mf_domain_builder;

enum mf_domain_kind {
	MF_DOMAIN_BELOW,   /* the name and all below it */
	MF_DOMAIN_FULL,    /* the name alone */
	MF_DOMAIN_KEYWORD, /* anywhere in the name */
	MF_DOMAIN_REGEXP, /* PCRE2, as in v2fly and Clash lists; matches anywhere unless anchored */
};

/* Of each kind, and once more for exceptions. */
enum { MF_DOMAIN_PATTERNS_MAX = 4096 };

/* `key` seeds the hash: lists come from strangers, so it should be random. NULL: out of memory. */
struct mf_domain_builder *mf_domain_builder_new(const uint8_t key[16]);
void mf_domain_builder_free(struct mf_domain_builder *b);

/* Adds a name (host name: lower case ASCII, no last dot, already checked: policy/list.h), a word
 * (lower case) or a pattern; `except`: whatever it matches is not in the set. Twice is once.
 *
 * MF_E_MALFORMED: a pattern that does not compile (`eb` says where), a name with other bytes
 * than host names have, an empty text or one that is too long. MF_E_FULL: more than
 * MF_DOMAIN_PATTERNS_MAX words or patterns, 128 KiB of words, 8 MiB of compiled patterns, 16
 * million names or 1 GiB of them. MF_E_NO_MEMORY. After an error the builder is as it was
 * before. */
MF_MUST_CHECK mf_err mf_domain_builder_add(struct mf_domain_builder *b, enum mf_domain_kind kind,
					   const char *text, size_t n, bool except,
					   struct mf_errbuf *eb);
/* The set; the builder is freed either way. NULL: out of memory. */
struct mf_domain_set *mf_domain_builder_finish(struct mf_domain_builder *b);
void mf_domain_set_free(struct mf_domain_set *s);

/* What matched: names before words before patterns, and of names the highest. */
struct mf_domain_match {
	enum mf_domain_kind kind;
	uint16_t at;      /* BELOW, FULL: the matching name is that much of the text from here on */
	uint32_t pattern; /* KEYWORD, REGEXP: mf_domain_set_pattern */
};
/* Is the host name in the set (lower case, no last dot; mf_dns_name_host)? Longer ones than host
 * names can be, and the empty one, never are. `m` may be NULL. A pattern that takes too many
 * steps does not match (and counts in mf_domain_set_overruns). */
bool mf_domain_set_has(const struct mf_domain_set *s, const char *name, size_t n,
		       struct mf_domain_match *m);
/* The text of a word or pattern that matched; the set's. NULL: there is none of that number. */
const char *mf_domain_set_pattern(const struct mf_domain_set *s, enum mf_domain_kind kind,
				  uint32_t i);

/* Names, words and patterns, exceptions too, without what others cover. */
size_t mf_domain_set_count(const struct mf_domain_set *s);
/* What it takes in memory. */
size_t mf_domain_set_bytes(const struct mf_domain_set *s);
/* How often a pattern was given up. */
uint64_t mf_domain_set_overruns(const struct mf_domain_set *s);

#endif
