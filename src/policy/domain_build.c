/* SPDX-License-Identifier: Apache-2.0
 *
 * domain_build - a table of names from a bag of them.
 *
 * All names go into a table first; then each is looked up in it, which finds those that are there
 * twice or below another; and if there were any, the table is made once more without them. That
 * costs a second pass, but neither sorting nor memory.
 */
#include "policy/domain_table.h"

#include <stdlib.h>

enum {
	AHEAD = 8,         /* names that are read before one is dealt with */
	BAG_MAX = 1 << 30, /* bytes */
	IN_A_BUCKET = 4,   /* names, on average */
	GONE = '*',        /* instead of a name's first byte: is not to be in the table */
	STEP = 1 << 16     /* bytes by which a bag grows, at least */
};
/* No label is empty, so that there are no more than MF_DOMAIN_LABELS_MAX. */
static bool is_host_name(const char *name, size_t n)
{
	char before = '.';

	for (size_t i = 0; i < n; i++) {
		if (mf_domain_symbol[(uint8_t)name[i]] == MF_DOMAIN_OTHER)
			return false;
		if (name[i] == '.' && before == '.')
			return false;
		before = name[i];
	}
	return before != '.' && n <= MF_DOMAIN_NAME_MAX;
}

mf_err mf_domain_bag_add(struct mf_domain_bag *bag, const char *name, size_t n)
{
	if (!is_host_name(name, n))
		return MF_E_MALFORMED;
	if (bag->n == MF_DOMAIN_NAMES_MAX || bag->len + n + 1 > BAG_MAX)
		return MF_E_FULL;
	if (bag->cap - bag->len < n + 1) {
		size_t cap = bag->cap + bag->cap / 4 + STEP;
		uint8_t *grown = realloc(bag->bytes, cap);

		if (!grown)
			return MF_E_NO_MEMORY;
		bag->bytes = grown;
		bag->cap = cap;
	}
	bag->bytes[bag->len] = (uint8_t)n;
	memcpy(bag->bytes + bag->len + 1, name, n);
	bag->len += n + 1;
	bag->n++;
	return MF_OK;
}

void mf_domain_bag_fini(struct mf_domain_bag *bag)
{
	free(bag->bytes);
	*bag = (struct mf_domain_bag){ 0 };
}

/* A name of a bag, with its suffixes. */
struct item {
	uint8_t *at;
	struct mf_domain_suffixes s;
};

/* Goes through a bag. What names will need of the table is fetched while those before them are
 * dealt with: nothing else would take as long as waiting for it. */
struct builder {
	struct mf_domain_names *t;
	struct mf_domain_bag *bag;
	const struct mf_domain_key *key;
	const struct mf_domain_names *cover;
	size_t at;     /* in the bag */
	unsigned i, n; /* of the ring: the first item, and how many there are */
	struct item ring[AHEAD];
};

static uint32_t bucket_of(const struct mf_domain_names *t, const struct item *it)
{
	return mf_domain_bucket(it->s.hash[it->s.n - 1], t->buckets);
}

/* Reads the next name that is not gone into the ring. */
static bool read_ahead(struct builder *b)
{
	struct item *it = &b->ring[(b->i + b->n) % AHEAD];
	const struct mf_domain_bag *bag = b->bag;

	while (b->at < bag->len && bag->bytes[b->at + 1] == GONE)
		b->at += bag->bytes[b->at] + (size_t)1;
	if (b->at == bag->len)
		return false;
	it->at = bag->bytes + b->at;
	b->at += it->at[0] + (size_t)1;
	b->n++;
	mf_domain_suffixes_of(b->key, (const char *)it->at + 1, it->at[0], MF_DOMAIN_LABELS_MAX,
			      &it->s);
	__builtin_prefetch(&b->t->bucket[bucket_of(b->t, it)]);
	return true;
}

/* The next name, or NULL at the end; then it begins anew. Valid until the next call. */
static struct item *next(struct builder *b)
{
	struct item *it = &b->ring[(b->i + AHEAD / 2) % AHEAD];

	while (b->n < AHEAD && read_ahead(b))
		;
	if (b->n == 0) {
		b->at = 0;
		return NULL;
	}
	if (b->n > AHEAD / 2 && b->t->text)
		__builtin_prefetch(b->t->text + (uint32_t)b->t->bucket[bucket_of(b->t, it)]);
	it = &b->ring[b->i];
	b->i = (b->i + 1) % AHEAD;
	b->n--;
	return it;
}

/* Lays the directory out: bucket[i + 1] becomes where bucket i begins, and the last where all
 * ends. */
static mf_err lay_out(struct builder *b)
{
	struct mf_domain_names *t = b->t;
	uint32_t sum = 0;

	t->buckets = b->bag->n / IN_A_BUCKET + 1;
	t->bucket = calloc(t->buckets + (size_t)2, sizeof(*t->bucket));
	if (!t->bucket)
		return MF_E_NO_MEMORY;
	for (struct item *it; (it = next(b)) != NULL;)
		t->bucket[bucket_of(t, it) + 2] += 1 + mf_domain_packed(it->at[0]);
	for (uint32_t i = 2; i < t->buckets + 2; i++) {
		sum += (uint32_t)t->bucket[i];
		t->bucket[i] = sum;
	}
	t->text = malloc(sum + (size_t)1);
	return t->text ? MF_OK : MF_E_NO_MEMORY;
}

/* Puts the names into their buckets; bucket[i + 1] ends as where bucket i ends, which is where
 * the next begins. */
static void put(struct builder *b)
{
	uint8_t packed[MF_DOMAIN_PACKED_MAX];
	struct mf_domain_names *t = b->t;

	for (struct item *it; (it = next(b)) != NULL;) {
		uint64_t *bucket = &t->bucket[bucket_of(t, it)];
		size_t len = it->at[0], bytes = mf_domain_packed(len);
		uint8_t *p = t->text + (uint32_t)bucket[1];

		mf_domain_pack((const char *)it->at + 1, len, packed);
		p[0] = (uint8_t)len;
		memcpy(p + 1, packed, bytes);
		bucket[0] |= mf_domain_filter(it->s.hash[it->s.n - 1]);
		bucket[1] += 1 + bytes;
		mf_domain_names_note_depth(t, it->s.n);
		t->n++;
	}
}

static mf_err make(struct builder *b)
{
	mf_err err;

	if (!b->bag->n)
		return MF_OK;
	err = lay_out(b);
	if (err)
		mf_domain_names_fini(b->t);
	else
		put(b);
	return err;
}

/* If the table has the name more than once, makes one of them none. */
static bool erase_double(struct mf_domain_names *t, const struct item *it)
{
	uint32_t bucket = bucket_of(t, it);
	uint8_t *p = t->text + (uint32_t)t->bucket[bucket], packed[MF_DOMAIN_PACKED_MAX];
	const uint8_t *end = t->text + (uint32_t)t->bucket[bucket + 1];
	size_t len = it->at[0];

	mf_domain_pack((const char *)it->at + 1, len, packed);
	p = mf_domain_bucket_find(p, end, packed, len);
	MF_ASSERT(p);
	if (!mf_domain_bucket_find(p + 1 + mf_domain_packed(len), end, packed, len))
		return false;
	p[1] = MF_DOMAIN_OTHER;
	return true;
}

static bool is_covered(const struct builder *b, const struct item *it)
{
	unsigned which;

	if (!b->cover ||
	    !mf_domain_names_find(b->cover, &it->s, (const char *)it->at + 1, it->at[0], &which))
		return false;
	return b->cover != b->t || which + 1 < it->s.n;
}

/* Marks the names that are not to be in the table; true if there are any. */
static bool sift(struct builder *b)
{
	uint32_t before = b->bag->n;

	for (struct item *it; (it = next(b)) != NULL;) {
		if (!is_covered(b, it) && !erase_double(b->t, it))
			continue;
		it->at[1] = GONE;
		b->bag->n--;
	}
	return b->bag->n < before;
}

mf_err mf_domain_names_make(struct mf_domain_names *t, struct mf_domain_bag *bag,
			    const struct mf_domain_key *key, const struct mf_domain_names *cover)
{
	struct builder *b = calloc(1, sizeof(*b));
	mf_err err = b ? MF_OK : MF_E_NO_MEMORY;

	*t = (struct mf_domain_names){ 0 };
	if (b) {
		b->t = t;
		b->bag = bag;
		b->key = key;
		b->cover = cover;
		err = make(b);
	}
	if (!err && sift(b)) {
		mf_domain_names_fini(t);
		err = make(b);
	}
	free(b);
	mf_domain_bag_fini(bag);
	return err;
}
