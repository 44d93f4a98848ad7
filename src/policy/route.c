/* SPDX-License-Identifier: Apache-2.0
 *
 * route - the prefix tables and, beside them, where each route was written: an array for each family,
 * sorted once all routes are known, searched only when somebody asks why.
 */
#include "policy/route.h"

#include <stdlib.h>

enum {
	SOURCES_MAX = 1 << 24,
	LOAD_AT_A_TIME = 1 << 15, /* entries on the way into a prefix table */
};

/* What a run of routes has in common. */
struct source {
	uint32_t hop, rule;
	uint32_t file; /* index + 1, 0: none */
};

/* A route as it was added; the address is in front, 4 or 16 bytes. */
struct note {
	uint32_t line;
	uint32_t source : 24, len : 8;
};

struct note4 {
	uint8_t addr[4];
	struct note note;
};
static_assert(sizeof(struct note4) == 12, "what a route costs beside the prefix table");

struct note6 {
	uint8_t addr[16];
	struct note note;
};

/* The routes of one family. */
struct notes {
	struct mf_lpm *lpm;
	uint8_t *v; /* struct note4 or note6; sorted after commit */
	size_t n, cap;
	size_t size, addr_len; /* of an element, of its address */
};

struct mf_route_table {
	struct notes family[2]; /* IPv4, IPv6 */
	struct source *source;
	size_t n_sources, source_cap;
	char **file;
	size_t n_files;
};

static struct notes *notes_of(const struct mf_route_table *t, uint8_t family)
{
	return (struct notes *)&t->family[family == MF_AF_IP6];
}

static uint8_t *addr_at(const struct notes *f, size_t i)
{
	return f->v + i * f->size;
}

static struct note note_at(const struct notes *f, size_t i)
{
	struct note note;

	memcpy(&note, addr_at(f, i) + f->addr_len, sizeof(note));
	return note;
}

struct mf_route_table *mf_route_table_new(const struct mf_lpm_reclaim *reclaim)
{
	struct mf_route_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->family[0] = (struct notes){ .lpm = mf_lpm_new(32, 0, reclaim),
				       .size = sizeof(struct note4),
				       .addr_len = 4 };
	t->family[1] = (struct notes){ .lpm = mf_lpm_new(128, 0, reclaim),
				       .size = sizeof(struct note6),
				       .addr_len = 16 };
	if (t->family[0].lpm && t->family[1].lpm)
		return t;
	mf_route_table_free(t);
	return NULL;
}

void mf_route_table_free(struct mf_route_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < MF_ARRAY_LEN(t->family); i++) {
		mf_lpm_free(t->family[i].lpm);
		free(t->family[i].v);
	}
	for (size_t i = 0; i < t->n_files; i++)
		free(t->file[i]);
	free(t->file);
	free(t->source);
	free(t);
}

/* Room for one more element. */
static bool grow(void **v, size_t n, size_t *cap, size_t size)
{
	size_t wish = *cap + *cap / 2 + 16;
	void *grown;

	if (n < *cap)
		return true;
	grown = realloc(*v, wish * size);
	if (!grown)
		return false;
	*v = grown;
	*cap = wish;
	return true;
}

/* The number of a file name, which is nearly always that of the route before. */
static mf_err file_number(struct mf_route_table *t, const char *name, uint32_t *number)
{
	char **grown, *copy;

	*number = 0;
	if (!name)
		return MF_OK;
	for (size_t i = t->n_files; i-- > 0;) {
		if (strcmp(t->file[i], name) != 0)
			continue;
		*number = (uint32_t)i + 1;
		return MF_OK;
	}
	grown = realloc(t->file, (t->n_files + 1) * sizeof(*grown));
	if (!grown)
		return MF_E_NO_MEMORY;
	t->file = grown;
	copy = strdup(name);
	if (!copy)
		return MF_E_NO_MEMORY;
	t->file[t->n_files++] = copy;
	*number = (uint32_t)t->n_files;
	return MF_OK;
}

/* The last source if it is the same, or a new one. */
static mf_err source_number(struct mf_route_table *t, const struct source *s, uint32_t *number)
{
	if (t->n_sources == 0 || memcmp(&t->source[t->n_sources - 1], s, sizeof(*s)) != 0) {
		if (t->n_sources == SOURCES_MAX)
			return MF_E_FULL;
		if (!grow((void **)&t->source, t->n_sources, &t->source_cap, sizeof(*s)))
			return MF_E_NO_MEMORY;
		t->source[t->n_sources++] = *s;
	}
	*number = (uint32_t)t->n_sources - 1;
	return MF_OK;
}

mf_err mf_route_table_add(struct mf_route_table *t, const struct mf_prefix *prefix, uint32_t hop,
			  const struct mf_route_origin *origin)
{
	struct mf_prefix p = mf_prefix_mask(*prefix);
	struct notes *f = notes_of(t, p.addr.family);
	struct source s = { .hop = hop, .rule = origin->rule };
	uint32_t number = 0;
	struct note note;
	mf_err err;

	MF_ASSERT(hop != MF_LPM_NONE && hop <= MF_LPM_VALUE_MAX);
	MF_ASSERT(p.addr.family != MF_AF_NONE);
	err = file_number(t, origin->file, &s.file);
	if (!err)
		err = source_number(t, &s, &number);
	if (!err && !grow((void **)&f->v, f->n, &f->cap, f->size))
		err = MF_E_NO_MEMORY;
	if (err)
		return err;
	note = (struct note){ .line = origin->line, .source = number & 0xffffff, .len = p.len };
	memcpy(addr_at(f, f->n), p.addr.b, f->addr_len);
	memcpy(addr_at(f, f->n++) + f->addr_len, &note, sizeof(note));
	return MF_OK;
}

/* Order of prefixes; equal ones in the order in which they were added, as far as source and line tell. */
static int compare_notes(const uint8_t *a, const uint8_t *b, size_t addr_len, bool prefix_only)
{
	int d = memcmp(a, b, addr_len);
	struct note x, y;

	if (d)
		return d;
	memcpy(&x, a + addr_len, sizeof(x));
	memcpy(&y, b + addr_len, sizeof(y));
	if (x.len != y.len || prefix_only)
		return (int)x.len - (int)y.len;
	d = (x.source > y.source) - (x.source < y.source);
	return d ? d : (x.line > y.line) - (x.line < y.line);
}

static int compare4(const void *a, const void *b)
{
	return compare_notes(a, b, 4, false);
}

static int compare6(const void *a, const void *b)
{
	return compare_notes(a, b, 16, false);
}

static struct mf_route_origin origin_of(const struct mf_route_table *t, struct note note)
{
	const struct source *s = &t->source[note.source];

	return (struct mf_route_origin){
		.file = s->file ? t->file[s->file - 1] : NULL,
		.line = note.line,
		.rule = s->rule,
	};
}

/* Sorted: refuses contradictions and drops what is there twice. */
static mf_err unite(struct mf_route_table *t, struct notes *f, struct mf_route_origin *first,
		    struct mf_route_origin *second)
{
	size_t kept = 0;

	for (size_t i = 1; i < f->n; i++) {
		struct note a = note_at(f, i - 1), b = note_at(f, i);

		if (compare_notes(addr_at(f, i - 1), addr_at(f, i), f->addr_len, true) != 0 ||
		    t->source[a.source].hop == t->source[b.source].hop)
			continue;
		if (first)
			*first = origin_of(t, a);
		if (second)
			*second = origin_of(t, b);
		return MF_E_CONFLICT;
	}
	for (size_t i = 0; i < f->n; i++) {
		if (kept && compare_notes(addr_at(f, kept - 1), addr_at(f, i), f->addr_len, true) == 0)
			continue;
		memmove(addr_at(f, kept++), addr_at(f, i), f->size);
	}
	f->n = kept;
	return MF_OK;
}

/* In pieces, so that a million routes need no second copy of themselves. */
static mf_err load(const struct mf_route_table *t, const struct notes *f)
{
	size_t room = mf_min(f->n, LOAD_AT_A_TIME);
	struct mf_lpm_entry *e = room ? calloc(room, sizeof(*e)) : NULL;
	mf_err err = room && !e ? MF_E_NO_MEMORY : MF_OK;

	for (size_t i = 0; i < f->n && !err; i += room) {
		size_t m = mf_min(room, f->n - i);

		for (size_t k = 0; k < m; k++) {
			struct note note = note_at(f, i + k);

			memcpy(e[k].addr, addr_at(f, i + k), f->addr_len);
			e[k].len = note.len;
			e[k].value = t->source[note.source].hop;
		}
		err = mf_lpm_load(f->lpm, e, m);
	}
	free(e);
	return err;
}

static void shrink(struct notes *f)
{
	void *fit = f->n ? realloc(f->v, f->n * f->size) : NULL;

	if (fit) {
		f->v = fit;
		f->cap = f->n;
	}
}

mf_err mf_route_table_commit(struct mf_route_table *t, struct mf_route_origin *first,
			     struct mf_route_origin *second)
{
	mf_err err = MF_OK;

	for (size_t i = 0; i < MF_ARRAY_LEN(t->family) && !err; i++) {
		struct notes *f = &t->family[i];

		if (f->n)
			qsort(f->v, f->n, f->size, f->addr_len == 4 ? compare4 : compare6);
		err = unite(t, f, first, second);
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(t->family) && !err; i++) {
		shrink(&t->family[i]);
		err = load(t, &t->family[i]);
	}
	return err;
}

uint32_t mf_route_table_lookup(const struct mf_route_table *t, const struct mf_addr *a)
{
	return a->family == MF_AF_IP4   ? mf_lpm_lookup4(t->family[0].lpm, mf_load_be32(a->b))
	       : a->family == MF_AF_IP6 ? mf_lpm_lookup6(t->family[1].lpm, a->b)
					: MF_LPM_NONE;
}

const struct mf_lpm *mf_route_table_ip4(const struct mf_route_table *t)
{
	return t->family[0].lpm;
}

const struct mf_lpm *mf_route_table_ip6(const struct mf_route_table *t)
{
	return t->family[1].lpm;
}

/* The route of exactly this prefix. */
static bool find(const struct notes *f, const struct mf_prefix *p, struct note *note)
{
	uint8_t key[sizeof(struct note6)];
	size_t low = 0, high = f->n;

	*note = (struct note){ .len = p->len };
	memcpy(key, p->addr.b, f->addr_len);
	memcpy(key + f->addr_len, note, sizeof(*note));
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = compare_notes(addr_at(f, mid), key, f->addr_len, true);

		*note = note_at(f, mid);
		if (d == 0)
			return true;
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

uint32_t mf_route_table_explain(const struct mf_route_table *t, const struct mf_addr *a,
				struct mf_prefix *prefix, struct mf_route_origin *origin)
{
	const struct notes *f = notes_of(t, a->family);
	uint32_t hop = MF_LPM_NONE;
	unsigned len = 0;
	struct note note;

	*prefix = (struct mf_prefix){ 0 };
	*origin = (struct mf_route_origin){ .rule = UINT32_MAX };
	if (a->family != MF_AF_NONE)
		hop = mf_lpm_match(f->lpm, a->b, &len);
	if (hop == MF_LPM_NONE)
		return MF_LPM_NONE;
	*prefix = mf_prefix_mask((struct mf_prefix){ .addr = *a, .len = (uint8_t)len });
	if (find(f, prefix, &note))
		*origin = origin_of(t, note);
	return hop;
}

void mf_route_table_walk(const struct mf_route_table *t,
			 bool (*fn)(void *ctx, const struct mf_prefix *prefix, uint32_t hop,
				    const struct mf_route_origin *origin),
			 void *ctx)
{
	for (size_t k = 0; k < MF_ARRAY_LEN(t->family); k++) {
		const struct notes *f = &t->family[k];

		for (size_t i = 0; i < f->n; i++) {
			struct note note = note_at(f, i);
			struct mf_prefix p = { .len = note.len };
			struct mf_route_origin o = origin_of(t, note);

			p.addr = k ? mf_addr_ip6(addr_at(f, i)) : mf_addr_ip4(addr_at(f, i));
			if (!fn(ctx, &p, t->source[note.source].hop, &o))
				return;
		}
	}
}

size_t mf_route_table_count(const struct mf_route_table *t)
{
	return t->family[0].n + t->family[1].n;
}

size_t mf_route_table_bytes(const struct mf_route_table *t)
{
	size_t bytes = sizeof(*t) + t->source_cap * sizeof(*t->source);

	for (size_t i = 0; i < MF_ARRAY_LEN(t->family); i++) {
		const struct notes *f = &t->family[i];

		bytes += f->cap * f->size + mf_lpm_bytes(f->lpm) + mf_lpm_rib_bytes(f->lpm);
	}
	for (size_t i = 0; i < t->n_files; i++)
		bytes += sizeof(*t->file) + strlen(t->file[i]) + 1;
	return bytes;
}
