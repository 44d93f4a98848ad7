/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/domain_words.h"

#include <stdlib.h>

static uint32_t child_of(const struct mf_domain_words *w, uint32_t node, uint8_t byte)
{
	uint32_t c = node ? w->node[node].child : w->first[byte];

	while (c && w->node[c].byte != byte)
		c = w->node[c].sibling;
	return c;
}

static mf_err add_node(struct mf_domain_words *w, uint32_t parent, uint8_t byte, uint32_t *out)
{
	if (w->nodes == w->cap) {
		uint32_t cap = w->cap + w->cap / 2 + 64;
		void *grown = realloc(w->node, cap * sizeof(*w->node));

		if (!grown)
			return MF_E_NO_MEMORY;
		w->node = grown;
		w->cap = cap;
		if (!w->nodes)
			w->node[w->nodes++] = (struct mf_domain_word_node){ 0 };
	}
	w->node[w->nodes] = (struct mf_domain_word_node){ .byte = byte };
	if (parent) {
		w->node[w->nodes].sibling = w->node[parent].child;
		w->node[parent].child = w->nodes;
	} else {
		w->first[byte] = w->nodes;
	}
	*out = w->nodes++;
	return MF_OK;
}

static mf_err keep_text(struct mf_domain_words *w, const char *text, size_t n)
{
	char **grown = realloc(w->word, (w->n + 1) * sizeof(*grown));

	if (!grown)
		return MF_E_NO_MEMORY;
	w->word = grown;
	w->word[w->n] = calloc(1, n + 1);
	if (!w->word[w->n])
		return MF_E_NO_MEMORY;
	memcpy(w->word[w->n], text, n);
	return MF_OK;
}

mf_err mf_domain_words_add(struct mf_domain_words *w, const char *text, size_t n, uint32_t max)
{
	uint32_t at = 0;
	mf_err err = MF_OK;

	if (n == 0 || n > MF_DOMAIN_WORD_MAX)
		return MF_E_MALFORMED;
	if (w->nodes + n > MF_DOMAIN_WORDS_BYTES)
		return MF_E_FULL;
	for (size_t i = 0; i < n && !err; i++) {
		uint32_t next = child_of(w, at, (uint8_t)text[i]);

		if (!next)
			err = add_node(w, at, (uint8_t)text[i], &next);
		at = next;
	}
	if (err || w->node[at].word)
		return err;
	if (w->n == max)
		return MF_E_FULL;
	err = keep_text(w, text, n);
	if (!err)
		w->node[at].word = ++w->n;
	return err;
}

/* The node after `byte` from a node that has no such child, or 0: the root. */
static uint32_t fall_back(const struct mf_domain_words *w, uint32_t node, uint8_t byte)
{
	uint32_t next = 0;

	while (node && !next) {
		node = w->node[node].fail;
		next = child_of(w, node, byte);
	}
	return next;
}

/* Breadth first: what a node falls back to is nearer to the root, and done. */
mf_err mf_domain_words_finish(struct mf_domain_words *w)
{
	uint32_t *queue, n = 0;

	if (!w->n)
		return MF_OK;
	queue = malloc(w->nodes * sizeof(*queue));
	if (!queue)
		return MF_E_NO_MEMORY;
	for (unsigned byte = 0; byte < MF_ARRAY_LEN(w->first); byte++)
		if (w->first[byte])
			queue[n++] = w->first[byte];
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t c = w->node[queue[i]].child; c; c = w->node[c].sibling) {
			w->node[c].fail = fall_back(w, queue[i], w->node[c].byte);
			if (!w->node[c].word)
				w->node[c].word = w->node[w->node[c].fail].word;
			queue[n++] = c;
		}
	}
	free(queue);
	return MF_OK;
}

bool mf_domain_words_find(const struct mf_domain_words *w, const char *name, size_t n, uint32_t *which)
{
	uint32_t at = 0;

	if (!w->n)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t byte = (uint8_t)name[i];
		uint32_t next = child_of(w, at, byte);

		at = next ? next : fall_back(w, at, byte);
		if (!w->node[at].word)
			continue;
		*which = w->node[at].word - 1;
		return true;
	}
	return false;
}

size_t mf_domain_words_bytes(const struct mf_domain_words *w)
{
	size_t bytes = w->cap * sizeof(*w->node) + w->n * sizeof(*w->word);

	for (uint32_t i = 0; i < w->n; i++)
		bytes += strlen(w->word[i]) + 1;
	return bytes;
}

void mf_domain_words_fini(struct mf_domain_words *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		free(w->word[i]);
	free(w->word);
	free(w->node);
	*w = (struct mf_domain_words){ 0 };
}
