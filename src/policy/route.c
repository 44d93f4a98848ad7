/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/route.h"

#include <stdlib.h>

/* One route as it was added. */
struct noted {
	uint8_t addr[16];
	uint32_t hop, line, rule;
	uint16_t file;
	uint8_t len, family;
};

struct mf_route_table {
	struct mf_lpm *ip4, *ip6;
	struct noted *v; /* sorted by family, address, length after commit */
	size_t n, cap;
	char **files;
	size_t n_files;
};

struct mf_route_table *mf_route_table_new(const struct mf_lpm_reclaim *reclaim)
{
	struct mf_route_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ip4 = mf_lpm_new(32, 0, reclaim);
	t->ip6 = mf_lpm_new(128, 0, reclaim);
	if (t->ip4 && t->ip6)
		return t;
	mf_route_table_free(t);
	return NULL;
}

void mf_route_table_free(struct mf_route_table *t)
{
	if (!t)
		return;
	mf_lpm_free(t->ip4);
	mf_lpm_free(t->ip6);
	for (size_t i = 0; i < t->n_files; i++)
		free(t->files[i]);
	free(t->files);
	free(t->v);
	free(t);
}

/* The number of a file name, which is nearly always the one before; 0 stands for none. */
static mf_err file_number(struct mf_route_table *t, const char *name, uint16_t *number)
{
	char **grown;

	*number = 0;
	if (!name)
		return MF_OK;
	for (size_t i = t->n_files; i-- > 0;)
		if (strcmp(t->files[i], name) == 0) {
			*number = (uint16_t)(i + 1);
			return MF_OK;
		}
	if (t->n_files == UINT16_MAX)
		return MF_E_FULL;
	grown = realloc(t->files, (t->n_files + 1) * sizeof(*grown));
	if (!grown)
		return MF_E_NO_MEMORY;
	t->files = grown;
	t->files[t->n_files] = strdup(name);
	if (!t->files[t->n_files])
		return MF_E_NO_MEMORY;
	*number = (uint16_t)++t->n_files;
	return MF_OK;
}

mf_err mf_route_table_add(struct mf_route_table *t, const struct mf_prefix *prefix, uint32_t hop,
			  const struct mf_route_origin *origin)
{
	struct mf_prefix p = mf_prefix_mask(*prefix);
	struct noted *r;
	uint16_t file;
	mf_err err = file_number(t, origin->file, &file);

	if (err)
		return err;
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 16;
		struct noted *grown = realloc(t->v, cap * sizeof(*grown));

		if (!grown)
			return MF_E_NO_MEMORY;
		t->v = grown;
		t->cap = cap;
	}
	r = &t->v[t->n++];
	*r = (struct noted){
		.hop = hop,
		.line = origin->line,
		.rule = origin->rule,
		.file = file,
		.len = p.len,
		.family = p.addr.family,
	};
	memcpy(r->addr, p.addr.b, sizeof(r->addr));
	return MF_OK;
}

/* Prefix order; what is equal stays in the order in which it was added only by line number. */
static int compare(const struct noted *a, const struct noted *b)
{
	int d = (int)a->family - (int)b->family;

	if (!d)
		d = memcmp(a->addr, b->addr, sizeof(a->addr));
	return d ? d : (int)a->len - (int)b->len;
}

static int compare_lines(const void *x, const void *y)
{
	const struct noted *a = x, *b = y;
	int d = compare(a, b);

	return d ? d : (a->line > b->line) - (a->line < b->line);
}

static struct mf_route_origin origin_of(const struct mf_route_table *t, const struct noted *r)
{
	return (struct mf_route_origin){
		.file = r->file ? t->files[r->file - 1] : NULL,
		.line = r->line,
		.rule = r->rule,
	};
}

/* Sorted: drops equal routes, refuses contradictions. */
static mf_err unite(struct mf_route_table *t, struct mf_route_origin *first,
		    struct mf_route_origin *second)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (!kept || compare(&t->v[kept - 1], &t->v[i]) != 0) {
			t->v[kept++] = t->v[i];
		} else if (t->v[kept - 1].hop != t->v[i].hop) {
			if (first)
				*first = origin_of(t, &t->v[kept - 1]);
			if (second)
				*second = origin_of(t, &t->v[i]);
			return MF_E_CONFLICT;
		}
	}
	t->n = kept;
	return MF_OK;
}

static mf_err load(struct mf_lpm *lpm, const struct noted *v, size_t n)
{
	struct mf_lpm_entry *entry;
	mf_err err;

	if (!n)
		return MF_OK;
	entry = calloc(n, sizeof(*entry));
	if (!entry)
		return MF_E_NO_MEMORY;
	for (size_t i = 0; i < n; i++) {
		memcpy(entry[i].addr, v[i].addr, sizeof(entry[i].addr));
		entry[i].len = v[i].len;
		entry[i].value = v[i].hop;
	}
	err = mf_lpm_load(lpm, entry, n);
	free(entry);
	return err;
}

mf_err mf_route_table_commit(struct mf_route_table *t, struct mf_route_origin *first,
			     struct mf_route_origin *second)
{
	size_t n4 = 0;
	mf_err err;

	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), compare_lines);
	err = unite(t, first, second);
	if (err)
		return err;
	while (n4 < t->n && t->v[n4].family == MF_AF_IP4)
		n4++;
	err = load(t->ip4, t->v, n4);
	return err ? err : load(t->ip6, t->v + n4, t->n - n4);
}

const struct mf_lpm *mf_route_table_ip4(const struct mf_route_table *t)
{
	return t->ip4;
}

const struct mf_lpm *mf_route_table_ip6(const struct mf_route_table *t)
{
	return t->ip6;
}

uint32_t mf_route_table_explain(const struct mf_route_table *t, const struct mf_addr *a,
				struct mf_prefix *prefix, struct mf_route_origin *origin)
{
	unsigned len = 0;
	uint32_t hop = mf_lpm_match(a->family == MF_AF_IP4 ? t->ip4 : t->ip6, a->b, &len);
	struct noted key = { .family = a->family, .len = (uint8_t)len };
	size_t low = 0, high = t->n;

	*prefix = (struct mf_prefix){ 0 };
	*origin = (struct mf_route_origin){ .rule = UINT32_MAX };
	if (hop == MF_LPM_NONE)
		return hop;
	*prefix = mf_prefix_mask((struct mf_prefix){ .addr = *a, .len = (uint8_t)len });
	memcpy(key.addr, prefix->addr.b, sizeof(key.addr));
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = compare(&t->v[mid], &key);

		if (d == 0) {
			*origin = origin_of(t, &t->v[mid]);
			break;
		}
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return hop;
}

void mf_route_table_walk(const struct mf_route_table *t,
			 bool (*fn)(void *ctx, const struct mf_prefix *prefix, uint32_t hop,
				    const struct mf_route_origin *origin),
			 void *ctx)
{
	for (size_t i = 0; i < t->n; i++) {
		struct mf_prefix p = { .len = t->v[i].len };
		struct mf_route_origin o = origin_of(t, &t->v[i]);

		p.addr = t->v[i].family == MF_AF_IP4 ? mf_addr_ip4(t->v[i].addr)
						     : mf_addr_ip6(t->v[i].addr);
		if (!fn(ctx, &p, t->v[i].hop, &o))
			return;
	}
}

size_t mf_route_table_count(const struct mf_route_table *t)
{
	return t->n;
}
