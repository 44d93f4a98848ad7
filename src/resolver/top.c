/* SPDX-License-Identifier: Apache-2.0
 *
 * top - the names asked for most, with a fixed number of counters in sets of a few, as a cache has
 * them: a name without a counter takes over the smallest of its set, and its count, so that
 * whatever is frequent is there and its count never too small (space-saving). Counts are halved
 * every half hour, so that what was frequent yesterday goes.
 */
#include "resolver/state.h"

#include <stdlib.h>

#define HALVE (1800 * MF_SEC)

enum { WAYS = 8, SETS = TOP_NAMES / WAYS };

static void halve(struct mf_top *t, mf_nsec now)
{
	t->halved = now;
	for (uint32_t i = 0; i < TOP_NAMES; i++)
		t->count[i] /= 2;
}

/* The counter of the name, or the one that it may take over. */
static uint32_t place_of(const struct mf_top *t, uint32_t hash)
{
	uint32_t first = hash % SETS * WAYS, least = first;

	for (uint32_t i = first; i < first + WAYS; i++) {
		if (t->count[i] && t->hash[i] == hash)
			return i;
		if (t->count[i] < t->count[least])
			least = i;
	}
	return least;
}

void mf_top_note(struct mf_top *t, const char *name, size_t n, uint32_t hash, uint32_t rule,
		 mf_nsec now)
{
	uint32_t i = place_of(t, hash);

	if (now >= t->halved + HALVE)
		halve(t, now);
	if (!t->count[i] || t->hash[i] != hash) {
		t->hash[i] = hash;
		n = mf_min(n, MF_LEARNED_NAME_MAX);
		memcpy(t->name[i], name, n);
		t->name[i][n] = '\0';
	}
	t->count[i]++;
	t->rule[i] = rule;
}

static int by_count(const void *a, const void *b)
{
	const struct mf_dns_top *x = a, *y = b;

	return x->count < y->count ? 1 : x->count > y->count ? -1 : strcmp(x->name, y->name);
}

size_t mf_resolver_top(const struct mf_resolver *r, struct mf_dns_top out[MF_DNS_TOP_MAX])
{
	const struct mf_top *t = &r->top;
	size_t n = 0;

	for (uint32_t i = 0; i < TOP_NAMES; i++) {
		if (!t->count[i])
			continue;
		memcpy(out[n].name, t->name[i], sizeof(out[n].name));
		out[n].count = t->count[i];
		out[n++].rule = t->rule[i];
	}
	qsort(out, n, sizeof(*out), by_count);
	return n;
}
