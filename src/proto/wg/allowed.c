/* SPDX-License-Identifier: Apache-2.0
 *
 * allowed - see allowed.h.
 */
#include "proto/wg/allowed.h"

#include <stdlib.h>

bool mf_wg_allowed_init(struct mf_wg_allowed_table *t, const struct mf_lpm_reclaim *reclaim)
{
	*t = (struct mf_wg_allowed_table){
		.ip4 = mf_lpm_new(32, 0, reclaim),
		.ip6 = mf_lpm_new(128, 0, reclaim),
	};
	if (t->ip4 && t->ip6)
		return true;
	mf_wg_allowed_fini(t);
	return false;
}

void mf_wg_allowed_fini(struct mf_wg_allowed_table *t)
{
	for (size_t i = 0; i < t->buckets; i++) {
		struct mf_wg_allowed_node *node = t->bucket[i], *next;

		for (; node; node = next) {
			next = node->chain;
			free(node);
		}
	}
	free(t->bucket);
	mf_lpm_free(t->ip4);
	mf_lpm_free(t->ip6);
	*t = (struct mf_wg_allowed_table){ 0 };
}

static struct mf_lpm *lpm_of(const struct mf_wg_allowed_table *t, const struct mf_prefix *p)
{
	return p->addr.family == MF_AF_IP4 ? t->ip4 : t->ip6;
}

/* Prefixes come from the configuration, not from strangers: no keyed hash is needed. */
static size_t hash(const struct mf_prefix *p)
{
	uint64_t a = mf_load_be64(p->addr.b), b = mf_load_be64(p->addr.b + 8);
	uint64_t z = (a ^ (b << 23 | b >> 41)) * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 32) ^ p->len ^ ((uint64_t)p->addr.family << 8)) * 0xbf58476d1ce4e5b9u;
	return (size_t)(z ^ (z >> 31));
}

static struct mf_wg_allowed_node **place_of(const struct mf_wg_allowed_table *t,
					    const struct mf_prefix *p)
{
	struct mf_wg_allowed_node **at = &t->bucket[hash(p) & (t->buckets - 1)];

	while (*at && !mf_prefix_equal(&(*at)->prefix, p))
		at = &(*at)->chain;
	return at;
}

static bool grow(struct mf_wg_allowed_table *t)
{
	size_t n = t->buckets ? t->buckets * 2 : 16;
	struct mf_wg_allowed_node **old = t->bucket,
				  **fresh = calloc(n, sizeof(struct mf_wg_allowed_node *));

	if (!fresh)
		return false;
	t->bucket = fresh;
	for (size_t i = 0; i < t->buckets; i++) {
		struct mf_wg_allowed_node *node = old[i], *next;

		for (; node; node = next) {
			size_t to = hash(&node->prefix) & (n - 1);

			next = node->chain;
			node->chain = fresh[to];
			fresh[to] = node;
		}
	}
	t->buckets = n;
	free(old);
	return true;
}

/* The prefix's node; a new one has no list yet. */
static struct mf_wg_allowed_node *get_node(struct mf_wg_allowed_table *t, const struct mf_prefix *p)
{
	struct mf_wg_allowed_node **at, *node;

	if (t->n >= t->buckets && !grow(t))
		return NULL;
	at = place_of(t, p);
	if (*at)
		return *at;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->prefix = *p;
	*at = node;
	t->n++;
	return node;
}

static void unlink_node(struct mf_wg_allowed_node *node)
{
	struct mf_wg_allowed_list *list = node->list;

	if (!list)
		return;
	*(node->prev ? &node->prev->next : &list->first) = node->next;
	*(node->next ? &node->next->prev : &list->last) = node->prev;
	list->n--;
	node->next = node->prev = NULL;
	node->list = NULL;
}

static void append(struct mf_wg_allowed_list *list, struct mf_wg_allowed_node *node)
{
	node->list = list;
	node->prev = list->last;
	*(list->last ? &list->last->next : &list->first) = node;
	list->last = node;
	list->n++;
}

static void free_node(struct mf_wg_allowed_table *t, struct mf_wg_allowed_node *node)
{
	unlink_node(node);
	*place_of(t, &node->prefix) = node->chain;
	t->n--;
	free(node);
}

/* Takes back the nodes that get_node made for a change that did not come about. */
static void drop_new(struct mf_wg_allowed_table *t, const struct mf_prefix *p, size_t n)
{
	for (size_t i = 0; i < n && t->buckets; i++) {
		struct mf_wg_allowed_node *node = *place_of(t, &p[i]);

		if (node && !node->list)
			free_node(t, node);
	}
}

static mf_err load(struct mf_wg_allowed_table *t, enum mf_family family, uint32_t owner,
		   const struct mf_prefix *p, size_t n)
{
	struct mf_lpm_entry *entry = calloc(n, sizeof(*entry));
	size_t m = 0;
	mf_err err;

	if (!entry)
		return MF_E_NO_MEMORY;
	for (size_t i = 0; i < n; i++) {
		if (p[i].addr.family != family)
			continue;
		memcpy(entry[m].addr, p[i].addr.b, sizeof(entry[m].addr));
		entry[m].len = p[i].len;
		entry[m++].value = owner;
	}
	err = m ? mf_lpm_load(family == MF_AF_IP4 ? t->ip4 : t->ip6, entry, m) : MF_OK;
	free(entry);
	return err;
}

static mf_err add_family(struct mf_wg_allowed_table *t, enum mf_family family,
			 struct mf_wg_allowed_list *list, uint32_t owner, const struct mf_prefix *p,
			 size_t n)
{
	mf_err err = MF_OK;

	for (size_t i = 0; i < n && !err; i++) {
		if (p[i].addr.family == family && !get_node(t, &p[i]))
			err = MF_E_NO_MEMORY;
	}
	if (!err)
		err = load(t, family, owner, p, n);
	if (err) {
		drop_new(t, p, n);
		return err;
	}
	for (size_t i = 0; i < n; i++) {
		struct mf_wg_allowed_node *node;

		if (p[i].addr.family != family)
			continue;
		node = *place_of(t, &p[i]);
		node->owner = owner;
		node->round = t->round;
		unlink_node(node);
		append(list, node);
	}
	return MF_OK;
}

mf_err mf_wg_allowed_add(struct mf_wg_allowed_table *t, struct mf_wg_allowed_list *list,
			 uint32_t owner, const struct mf_prefix *p, size_t n)
{
	mf_err err = n ? add_family(t, MF_AF_IP4, list, owner, p, n) : MF_OK;

	return n && !err ? add_family(t, MF_AF_IP6, list, owner, p, n) : err;
}

mf_err mf_wg_allowed_remove(struct mf_wg_allowed_table *t, struct mf_wg_allowed_list *list,
			    const struct mf_prefix *p)
{
	struct mf_wg_allowed_node *node = t->buckets ? *place_of(t, p) : NULL;
	mf_err err;

	if (!node || node->list != list)
		return MF_OK;
	err = mf_lpm_remove(lpm_of(t, p), p->addr.b, p->len);
	if (!err)
		free_node(t, node);
	return err;
}

void mf_wg_allowed_begin(struct mf_wg_allowed_table *t)
{
	t->round++;
}

mf_err mf_wg_allowed_sweep(struct mf_wg_allowed_table *t, struct mf_wg_allowed_list *list)
{
	struct mf_wg_allowed_node *node = list->first, *next;
	mf_err err = MF_OK;

	for (; node && !err; node = next) {
		next = node->next;
		if (node->round != t->round)
			err = mf_wg_allowed_remove(t, list, &node->prefix);
	}
	return err;
}

bool mf_wg_allowed_clear(struct mf_wg_allowed_table *t, struct mf_wg_allowed_list *list)
{
	bool all = true;

	while (list->first) {
		struct mf_wg_allowed_node *node = list->first;

		if (mf_lpm_remove(lpm_of(t, &node->prefix), node->prefix.addr.b, node->prefix.len))
			all = false;
		free_node(t, node);
	}
	return all;
}
