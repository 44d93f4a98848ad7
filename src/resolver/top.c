/* SPDX-License-Identifier: Apache-2.0
 *
 * top - the names asked for most, with a fixed number of counters: a name without one takes over the smallest and its
 * count, so whatever is frequent is there, and its count is never too small (space-saving). Counts are halved
 * every half hour, so that what was frequent yesterday goes.
 */
#include "resolver/state.h"

#include <stdlib.h>

#define HALVE (1800 * MF_SEC)

static void halve(struct mf_top *t, mf_nsec now)
{
	t->halved = now;
	for (uint32_t i = 0; i < t->n; i++)
		t->count[i] /= 2;
}

static uint32_t place_of(const struct mf_top *t, uint32_t hash)
{
	uint32_t i = 0;

	while (i < t->n && t->hash[i] != hash)
		i++;
	return i;
}

static uint32_t smallest(const struct mf_top *t)
{
	uint32_t least = 0;

	for (uint32_t i = 1; i < TOP_NAMES; i++)
		if (t->count[i] < t->count[least])
			least = i;
	return least;
}

void mf_top_note(struct mf_top *t, const char *name, size_t n, uint32_t hash, uint32_t rule,
		 mf_nsec now)
{
	uint32_t i = place_of(t, hash);

	if (now >= t->halved + HALVE)
		halve(t, now);
	if (i == t->n) {
		if (t->n < TOP_NAMES)
			t->n++;
		else
			i = smallest(t);
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
	size_t n = t->n;

	for (size_t i = 0; i < n; i++) {
		memcpy(out[i].name, t->name[i], sizeof(out[i].name));
		out[i].count = t->count[i];
		out[i].rule = t->rule[i];
	}
	qsort(out, n, sizeof(*out), by_count);
	return n;
}
