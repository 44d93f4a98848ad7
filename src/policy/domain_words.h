/* SPDX-License-Identifier: Apache-2.0
 *
 * domain_words - finds any of many words in a name, in one pass over it (Aho and Corasick 1975).
 *
 * The words make a tree; a node's `fail` is the node of the longest proper suffix of its text.
 * Children are lists, but for the root, where names spend most of their bytes: it has a table.
 */
#ifndef MF_DOMAIN_WORDS_H
#define MF_DOMAIN_WORDS_H

#include "base/err.h"

enum {
	MF_DOMAIN_WORD_MAX = 253,
	MF_DOMAIN_WORDS_BYTES = 128 << 10, /* all words together */
};

struct mf_domain_word_node {
	uint32_t child, sibling, fail; /* 0: none, or the root */
	uint32_t word;                 /* number + 1 of a word that ends here, 0: none does */
	uint8_t byte;
};

/* All zeros has no words. */
struct mf_domain_words {
	struct mf_domain_word_node *node; /* 0 is the root */
	uint32_t nodes, cap;
	uint32_t first[256]; /* the root's children */
	char **word;         /* as they were added */
	uint32_t n;
};

/* Adds a word; one that is there already is no error. At most `max` of them. MF_E_MALFORMED
 * (empty or too long), MF_E_FULL, MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_domain_words_add(struct mf_domain_words *w, const char *text, size_t n,
					 uint32_t max);
/* Must come between the last word and the first search. MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_domain_words_finish(struct mf_domain_words *w);
void mf_domain_words_fini(struct mf_domain_words *w);
size_t mf_domain_words_bytes(const struct mf_domain_words *w);

/* Whether a word is in the name; the number of one that ends first. Any thread. */
bool mf_domain_words_find(const struct mf_domain_words *w, const char *name, size_t n,
			  uint32_t *which);

#endif
