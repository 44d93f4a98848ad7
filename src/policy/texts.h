/* SPDX-License-Identifier: Apache-2.0
 *
 * texts - short texts in a fixed amount of memory: chains of small blocks, so that a long one does not make
 * the others pay.
 *
 * One thread puts and drops. Others may read at any time, and get nonsense, but bounded, if the text is
 * dropped meanwhile: who tells them of a text tells them, too, when it has changed (a sequence lock; what is
 * put in dropped blocks is written after a release fence).
 */
#ifndef MF_TEXTS_H
#define MF_TEXTS_H

#include "base/base.h"

enum {
	MF_TEXT_BLOCK = 28, /* bytes of text in a block */
	MF_TEXT_MAX = 254,  /* without NUL */
	MF_TEXT_BLOCKS = (MF_TEXT_MAX + MF_TEXT_BLOCK) / MF_TEXT_BLOCK, /* of the longest */
};

struct mf_text_block {
	uint32_t word[MF_TEXT_BLOCK / 4]; /* zeros behind the end of the text */
	uint32_t next;                    /* 1 + number of a block, 0: none */
};
static_assert(sizeof(struct mf_text_block) == 32, "half a cache line");

struct mf_texts {
	struct mf_text_block *block;
	uint32_t max, high; /* blocks; those below `high` have been in use */
	uint32_t free;      /* 1 + number of the first free one below `high` */
	uint32_t n_free;    /* in all */
};

/* False: out of memory. */
bool mf_texts_init(struct mf_texts *t, uint32_t blocks);
/* A zeroed one is fine. */
void mf_texts_fini(struct mf_texts *t);

/* Blocks that n bytes take. */
static inline uint32_t mf_texts_need(size_t n)
{
	return (uint32_t)((n + MF_TEXT_BLOCK - 1) / MF_TEXT_BLOCK);
}

/* A copy of n bytes (at most MF_TEXT_MAX, no NUL among them), for which there are blocks (n_free): both are
 * asserted. Returns what names it from now on; 0 is the empty text. */
uint32_t mf_texts_put(struct mf_texts *t, const char *text, size_t n);
void mf_texts_drop(struct mf_texts *t, uint32_t ref);
/* Any thread, any number. Returns the length. */
size_t mf_texts_get(const struct mf_texts *t, uint32_t ref, char out[MF_TEXT_MAX + 1]);

#endif
