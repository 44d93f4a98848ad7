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

/* The name at *at or the next that is not gone; moves on. False at the end. */
static bool next(const struct mf_domain_bag *bag, const struct mf_domain_key *key, size_t *at,
		 struct item *out)
{
	while (*at < bag->len && bag->bytes[*at + 1] == GONE)
		*at += bag->bytes[*at] + (size_t)1;
	if (*at == bag->len)
		return false;
	out->at = bag->bytes + *at;
	mf_domain_suffixes_of(key, (const char *)out->at + 1, out->at[0], MF_DOMAIN_LABELS_MAX,
			      &out->s);
	*at += out->at[0] + (size_t)1;
	return true;
}

static uint32_t bucket_of(const struct mf_domain_names *t, const struct item *it)
{
	return mf_domain_bucket(it->s.hash[it->s.n - 1], t->buckets);
}

/* Lays the directory out: bucket[i + 1] becomes where bucket i begins, and the last where all
 * ends. */
static mf_err lay_out(struct mf_domain_names *t, const struct mf_domain_bag *bag,
		      const struct mf_domain_key *key)
{
	uint32_t sum = 0;
	struct item it;

	t->buckets = bag->n / IN_A_BUCKET + 1;
	t->bucket = calloc(t->buckets + (size_t)2, sizeof(*t->bucket));
	if (!t->bucket)
		return MF_E_NO_MEMORY;
	for (size_t at = 0; next(bag, key, &at, &it);)
		t->bucket[bucket_of(t, &it) + 2] += 1 + mf_domain_packed(it.at[0]);
	for (uint32_t i = 2; i < t->buckets + 2; i++) {
		sum += (uint32_t)t->bucket[i];
		t->bucket[i] = sum;
	}
	t->text = malloc(sum + (size_t)1);
	return t->text ? MF_OK : MF_E_NO_MEMORY;
}

/* Puts the names into their buckets; bucket[i + 1] ends as where bucket i ends, which is where
 * the next begins. */
static void put(struct mf_domain_names *t, const struct mf_domain_bag *bag,
		const struct mf_domain_key *key)
{
	uint8_t packed[MF_DOMAIN_PACKED_MAX];
	struct item it;

	for (size_t at = 0; next(bag, key, &at, &it);) {
		uint32_t bucket = bucket_of(t, &it);
		size_t len = it.at[0], bytes = mf_domain_packed(len);
		uint8_t *p = t->text + (uint32_t)t->bucket[bucket + 1];

		mf_domain_pack((const char *)it.at + 1, len, packed);
		p[0] = (uint8_t)len;
		memcpy(p + 1, packed, bytes);
		t->bucket[bucket + 1] += 1 + bytes;
		t->bucket[bucket] |= mf_domain_filter(it.s.hash[it.s.n - 1]);
		mf_domain_names_note_depth(t, it.s.n);
		t->n++;
	}
}

static mf_err make(struct mf_domain_names *t, const struct mf_domain_bag *bag,
		   const struct mf_domain_key *key)
{
	mf_err err;

	*t = (struct mf_domain_names){ 0 };
	if (!bag->n)
		return MF_OK;
	err = lay_out(t, bag, key);
	if (err)
		mf_domain_names_fini(t);
	else
		put(t, bag, key);
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
	if (!mf_domain_bucket_find(p + 1 + mf_domain_packed(len), end, packed, len))
		return false;
	p[1] = MF_DOMAIN_OTHER;
	return true;
}

static bool is_covered(const struct mf_domain_names *t, const struct mf_domain_names *cover,
		       const struct item *it)
{
	unsigned which;

	if (!cover ||
	    !mf_domain_names_find(cover, &it->s, (const char *)it->at + 1, it->at[0], &which))
		return false;
	return cover != t || which + 1 < it->s.n;
}

/* Marks the names that are not to be in the table; true if there are any. */
static bool sift(struct mf_domain_names *t, struct mf_domain_bag *bag,
		 const struct mf_domain_key *key, const struct mf_domain_names *cover)
{
	uint32_t before = bag->n;
	struct item it;

	for (size_t at = 0; next(bag, key, &at, &it);) {
		if (!is_covered(t, cover, &it) && !erase_double(t, &it))
			continue;
		it.at[1] = GONE;
		bag->n--;
	}
	return bag->n < before;
}

mf_err mf_domain_names_make(struct mf_domain_names *t, struct mf_domain_bag *bag,
			    const struct mf_domain_key *key, const struct mf_domain_names *cover)
{
	mf_err err = make(t, bag, key);

	if (!err && sift(t, bag, key, cover)) {
		mf_domain_names_fini(t);
		err = make(t, bag, key);
	}
	mf_domain_bag_fini(bag);
	return err;
}
