/* SPDX-License-Identifier: Apache-2.0
 *
 * texts - see texts.h.
 */
#include "policy/texts.h"

#include <stdlib.h>

bool mf_texts_init(struct mf_texts *t, uint32_t blocks)
{
	*t = (struct mf_texts){ .block = calloc(blocks, sizeof(*t->block)),
				.max = blocks,
				.n_free = blocks };
	return t->block != NULL;
}

void mf_texts_fini(struct mf_texts *t)
{
	free(t->block);
	*t = (struct mf_texts){ 0 };
}

static void store(uint32_t *word, uint32_t v)
{
	__atomic_store_n(word, v, __ATOMIC_RELAXED);
}

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* The number of a block, plus one. */
static uint32_t take(struct mf_texts *t)
{
	uint32_t ref = t->free;

	MF_ASSERT(t->n_free);
	t->n_free--;
	if (!ref)
		return ++t->high;
	t->free = t->block[ref - 1].next;
	return ref;
}

static void fill(struct mf_text_block *b, const char *text, size_t n, uint32_t next)
{
	uint32_t word[MF_TEXT_BLOCK / 4] = { 0 };

	memcpy(word, text, n);
	for (size_t i = 0; i < MF_ARRAY_LEN(word); i++)
		store(&b->word[i], word[i]);
	store(&b->next, next);
}

uint32_t mf_texts_put(struct mf_texts *t, const char *text, size_t n)
{
	uint32_t ref = 0;

	MF_ASSERT(n <= MF_TEXT_MAX && mf_texts_need(n) <= t->n_free);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	/* From the last block to the first. */
	while (n) {
		size_t len = (n - 1) % MF_TEXT_BLOCK + 1;
		uint32_t i = take(t);

		n -= len;
		fill(&t->block[i - 1], text + n, len, ref);
		ref = i;
	}
	return ref;
}

void mf_texts_drop(struct mf_texts *t, uint32_t ref)
{
	while (ref) {
		uint32_t next = t->block[ref - 1].next;

		store(&t->block[ref - 1].next, t->free);
		t->free = ref;
		t->n_free++;
		ref = next;
	}
}

size_t mf_texts_get(const struct mf_texts *t, uint32_t ref, char out[MF_TEXT_MAX + 1])
{
	size_t n = 0;

	while (ref && ref <= t->max && n < MF_TEXT_MAX) {
		const struct mf_text_block *b = &t->block[ref - 1];
		uint32_t word[MF_TEXT_BLOCK / 4];
		size_t len = mf_min(sizeof(word), MF_TEXT_MAX - n);

		for (size_t i = 0; i < MF_ARRAY_LEN(word); i++)
			word[i] = load(&b->word[i]);
		memcpy(out + n, word, len);
		n += len;
		ref = load(&b->next);
	}
	out[n] = 0;
	return strlen(out);
}
