/* SPDX-License-Identifier: Apache-2.0
 *
 * Two sides, what is in the set and what is not after all, each of two tables of names, words, and
 * patterns. A lookup hashes the name's suffixes once for all four tables.
 */
#include "policy/domain_set.h"

#include "policy/domain_names.h"
#include "policy/domain_pattern.h"
#include "policy/domain_words.h"

#include <stdlib.h>

struct side {
	struct mf_domain_names below, full;
	struct mf_domain_words words;
	struct mf_domain_patterns patterns;
};

struct mf_domain_set {
	struct mf_domain_key key;
	struct side in, except;
	unsigned deepest;   /* labels of the longest name in any table */
	uint64_t *overruns; /* apart, as lookups count in a set that is const */
};

struct mf_domain_builder {
	struct mf_domain_set *set; /* words and patterns are there already */
	struct {
		struct mf_domain_bag below, full;
	} in, except;
};

struct mf_domain_builder *mf_domain_builder_new(const uint8_t key[16])
{
	struct mf_domain_builder *b = calloc(1, sizeof(*b));
	struct mf_domain_set *s = calloc(1, sizeof(*s));

	if (s)
		s->overruns = calloc(1, sizeof(*s->overruns));
	if (!b || !s || !s->overruns) {
		mf_domain_set_free(s);
		free(b);
		return NULL;
	}
	s->key = mf_domain_key_of(key);
	b->set = s;
	return b;
}

void mf_domain_builder_free(struct mf_domain_builder *b)
{
	if (!b)
		return;
	mf_domain_bag_fini(&b->in.below);
	mf_domain_bag_fini(&b->in.full);
	mf_domain_bag_fini(&b->except.below);
	mf_domain_bag_fini(&b->except.full);
	mf_domain_set_free(b->set);
	free(b);
}

mf_err mf_domain_builder_add(struct mf_domain_builder *b, enum mf_domain_kind kind,
			     const char *text, size_t n, bool except, struct mf_errbuf *eb)
{
	struct side *side = except ? &b->set->except : &b->set->in;
	mf_err err = MF_E_MALFORMED;

	if (kind == MF_DOMAIN_BELOW)
		err = mf_domain_bag_add(except ? &b->except.below : &b->in.below, text, n);
	else if (kind == MF_DOMAIN_FULL)
		err = mf_domain_bag_add(except ? &b->except.full : &b->in.full, text, n);
	else if (kind == MF_DOMAIN_KEYWORD)
		err = mf_domain_words_add(&side->words, text, n, MF_DOMAIN_PATTERNS_MAX);
	else if (kind == MF_DOMAIN_REGEXP)
		return mf_domain_patterns_add(&side->patterns, text, n, MF_DOMAIN_PATTERNS_MAX, eb);
	return err ? mf_fail(eb, err, "%s: %s", kind == MF_DOMAIN_KEYWORD ? "word" : "name",
			     mf_err_text(err))
		   : MF_OK;
}

static mf_err finish_side(struct mf_domain_set *s, struct side *side, struct mf_domain_bag *below,
			  struct mf_domain_bag *full)
{
	mf_err err = mf_domain_names_make(&side->below, below, &s->key, &side->below);

	if (!err)
		err = mf_domain_names_make(&side->full, full, &s->key, &side->below);
	if (!err)
		err = mf_domain_words_finish(&side->words);
	s->deepest = (unsigned)mf_max(s->deepest, mf_max(side->below.deepest, side->full.deepest));
	return err;
}

struct mf_domain_set *mf_domain_builder_finish(struct mf_domain_builder *b)
{
	struct mf_domain_set *s = b->set;
	mf_err err = finish_side(s, &s->in, &b->in.below, &b->in.full);

	if (!err)
		err = finish_side(s, &s->except, &b->except.below, &b->except.full);
	if (!err)
		b->set = NULL;
	mf_domain_builder_free(b);
	return err ? NULL : s;
}

static void side_fini(struct side *side)
{
	mf_domain_names_fini(&side->below);
	mf_domain_names_fini(&side->full);
	mf_domain_words_fini(&side->words);
	mf_domain_patterns_fini(&side->patterns);
}

void mf_domain_set_free(struct mf_domain_set *s)
{
	if (!s)
		return;
	side_fini(&s->in);
	side_fini(&s->except);
	free(s->overruns);
	free(s);
}

/* A name that is looked up. */
struct query {
	const char *name;
	size_t n;
	struct mf_domain_suffixes suffixes;
	uint32_t steps, overruns; /* of patterns */
};

static bool matches(const struct side *side, struct query *q, struct mf_domain_match *m)
{
	unsigned which;

	if (mf_domain_names_find(&side->below, &q->suffixes, q->name, q->n, &which)) {
		m->kind = MF_DOMAIN_BELOW;
		m->at = (uint16_t)(q->n - q->suffixes.len[which]);
		return true;
	}
	m->kind = MF_DOMAIN_FULL;
	if (mf_domain_names_find_whole(&side->full, &q->suffixes, q->name, q->n))
		return true;
	m->kind = MF_DOMAIN_KEYWORD;
	if (mf_domain_words_find(&side->words, q->name, q->n, &m->pattern))
		return true;
	m->kind = MF_DOMAIN_REGEXP;
	return mf_domain_patterns_find(&side->patterns, q->name, q->n, &q->steps, &q->overruns,
				       &m->pattern);
}

bool mf_domain_set_has(const struct mf_domain_set *s, const char *name, size_t n,
		       struct mf_domain_match *m)
{
	struct mf_domain_match in = { 0 }, except = { 0 };
	struct query q;
	bool has;

	if (n == 0 || n > MF_DOMAIN_NAME_MAX)
		return false;
	q.name = name;
	q.n = n;
	q.steps = MF_DOMAIN_PATTERNS_STEPS;
	q.overruns = 0;
	mf_domain_suffixes_of(&s->key, name, n, s->deepest, &q.suffixes);
	has = matches(&s->in, &q, &in) && !matches(&s->except, &q, &except);
	if (MF_UNLIKELY(q.overruns))
		__atomic_fetch_add(s->overruns, q.overruns, __ATOMIC_RELAXED);
	if (has && m)
		*m = in;
	return has;
}

const char *mf_domain_set_pattern(const struct mf_domain_set *s, enum mf_domain_kind kind, uint32_t i)
{
	if (kind == MF_DOMAIN_KEYWORD)
		return i < s->in.words.n ? s->in.words.word[i] : NULL;
	if (kind == MF_DOMAIN_REGEXP)
		return i < s->in.patterns.n ? s->in.patterns.v[i].text : NULL;
	return NULL;
}

static size_t side_count(const struct side *side)
{
	return (size_t)side->below.n + side->full.n + side->words.n + side->patterns.n;
}

static size_t side_bytes(const struct side *side)
{
	return mf_domain_names_bytes(&side->below) + mf_domain_names_bytes(&side->full) +
	       mf_domain_words_bytes(&side->words) + side->patterns.bytes;
}

size_t mf_domain_set_count(const struct mf_domain_set *s)
{
	return side_count(&s->in) + side_count(&s->except);
}

size_t mf_domain_set_bytes(const struct mf_domain_set *s)
{
	return sizeof(*s) + sizeof(*s->overruns) + side_bytes(&s->in) + side_bytes(&s->except);
}

uint64_t mf_domain_set_overruns(const struct mf_domain_set *s)
{
	return __atomic_load_n(s->overruns, __ATOMIC_RELAXED);
}
