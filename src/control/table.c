/* SPDX-License-Identifier: Apache-2.0 */
#include "control/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/units.h"

struct cell {
	bool none;
	union {
		uint64_t u;
		double d;
		size_t text; /* offset into report.texts */
	};
};

enum part_kind { PART_FACT, PART_TABLE, PART_HEADING, PART_NOTE };

struct part {
	enum part_kind kind;
	const char *key, *title, *empty;
	const struct mf_column *column;
	size_t n_columns;
	struct mf_column fact; /* the only column of a fact */
	size_t first, n;       /* cells */
	size_t note;           /* offset into report.texts */
};

struct mf_report {
	struct part *part;
	size_t n_parts, cap_parts;
	struct cell *cell;
	size_t n_cells, cap_cells;
	struct mf_text texts; /* NUL-terminated one after the other */
	bool failed;
};

struct mf_report *mf_report_new(void)
{
	return calloc(1, sizeof(struct mf_report));
}

void mf_report_free(struct mf_report *r)
{
	if (!r)
		return;
	free(r->part);
	free(r->cell);
	mf_text_free(&r->texts);
	free(r);
}

bool mf_report_failed(const struct mf_report *r)
{
	return r->failed || r->texts.failed;
}

void mf_report_fail(struct mf_report *r)
{
	r->failed = true;
}

/* Room for one more element; NULL: out of memory. */
static void *grow(struct mf_report *r, void *list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 32;
	void *p;

	if (n < *cap)
		return list;
	p = realloc(list, more * size);
	if (!p) {
		r->failed = true;
		return NULL;
	}
	*cap = more;
	return p;
}

static struct part *add_part(struct mf_report *r, enum part_kind kind)
{
	struct part *list = grow(r, r->part, r->n_parts, &r->cap_parts, sizeof(*list));
	struct part *p;

	if (!list)
		return NULL;
	r->part = list;
	p = &list[r->n_parts++];
	*p = (struct part){ .kind = kind, .first = r->n_cells };
	return p;
}

void mf_report_fact(struct mf_report *r, const char *key, const char *title, enum mf_cell_kind kind)
{
	struct part *p = add_part(r, PART_FACT);

	if (!p)
		return;
	p->fact = (struct mf_column){ key, title, kind };
	p->n_columns = 1;
}

void mf_report_table(struct mf_report *r, const char *key, const char *title,
		     const struct mf_column *column, size_t n, const char *empty)
{
	struct part *p = add_part(r, PART_TABLE);

	if (!p)
		return;
	p->key = key;
	p->title = title;
	p->column = column;
	p->n_columns = n;
	p->empty = empty;
}

void mf_report_heading(struct mf_report *r, const char *title)
{
	struct part *p = add_part(r, PART_HEADING);

	if (p)
		p->title = title;
}

void mf_report_note(struct mf_report *r, const char *fmt, ...)
{
	struct part *p = add_part(r, PART_NOTE);
	char text[512];
	va_list ap;

	if (!p)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->note = r->texts.len;
	mf_text_add(&r->texts, text, strlen(text) + 1);
}

static const struct mf_column *columns_of(const struct part *p)
{
	return p->kind == PART_FACT ? &p->fact : p->column;
}

/* The next cell; its column must be one of `kinds`, a set of bits. */
static struct cell *add_cell(struct mf_report *r, unsigned kinds)
{
	struct cell *list, *c;
	struct part *p;

	if (mf_report_failed(r))
		return NULL;
	MF_ASSERT(r->n_parts);
	p = &r->part[r->n_parts - 1];
	MF_ASSERT(p->n_columns && (p->kind == PART_TABLE || p->n == 0));
	MF_ASSERT(kinds >> columns_of(p)[p->n % p->n_columns].kind & 1);
	list = grow(r, r->cell, r->n_cells, &r->cap_cells, sizeof(*list));
	if (!list)
		return NULL;
	r->cell = list;
	c = &list[r->n_cells++];
	*c = (struct cell){ 0 };
	p->n++;
	return c;
}

void mf_cell_text(struct mf_report *r, const char *text)
{
	struct cell *c = add_cell(r, 1u << MF_CELL_TEXT | 1u << MF_CELL_LIST);

	if (!c)
		return;
	c->text = r->texts.len;
	mf_text_add(&r->texts, text, strlen(text) + 1);
}

void mf_cell_take(struct mf_report *r, struct mf_text *text)
{
	if (text->failed)
		mf_report_fail(r);
	mf_cell_text(r, text->s ? text->s : "");
	mf_text_free(text);
}

void mf_cell_textf(struct mf_report *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mf_cell_text(r, text);
}

void mf_cell_u64(struct mf_report *r, uint64_t v)
{
	struct cell *c = add_cell(r, 1u << MF_CELL_NUMBER | 1u << MF_CELL_COUNT |
					     1u << MF_CELL_BYTES | 1u << MF_CELL_DURATION);

	if (c)
		c->u = v;
}

void mf_cell_double(struct mf_report *r, double v)
{
	struct cell *c =
		add_cell(r, 1u << MF_CELL_RATE | 1u << MF_CELL_DECIMAL | 1u << MF_CELL_SIGNED);

	if (c)
		c->d = v;
}

void mf_cell_flag(struct mf_report *r, bool v)
{
	struct cell *c = add_cell(r, 1u << MF_CELL_FLAG);

	if (c)
		c->u = v;
}

void mf_cell_none(struct mf_report *r)
{
	struct cell *c = add_cell(r, ~0u);

	if (c)
		c->none = true;
}

void mf_fact_text(struct mf_report *r, const char *key, const char *title, const char *text)
{
	mf_report_fact(r, key, title, MF_CELL_TEXT);
	if (text)
		mf_cell_text(r, text);
	else
		mf_cell_none(r);
}

void mf_fact_u64(struct mf_report *r, const char *key, const char *title, enum mf_cell_kind kind,
		 uint64_t v)
{
	mf_report_fact(r, key, title, kind);
	mf_cell_u64(r, v);
}

void mf_cell_addr(struct mf_report *r, const struct mf_addr *a)
{
	char s[MF_ADDR_STRLEN];

	if (a->family == MF_AF_NONE)
		mf_cell_none(r);
	else
		mf_cell_text(r, mf_addr_format(a, s));
}

void mf_cell_prefix(struct mf_report *r, const struct mf_prefix *p)
{
	char s[MF_PREFIX_STRLEN];

	mf_cell_text(r, mf_prefix_format(p, s));
}

void mf_cell_endpoint(struct mf_report *r, const struct mf_endpoint *e)
{
	char s[MF_ENDPOINT_STRLEN];

	if (e->addr.family == MF_AF_NONE || !e->port)
		mf_cell_addr(r, &e->addr);
	else
		mf_cell_text(r, mf_endpoint_format(e, s));
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void json_list(struct mf_json *j, const char *s)
{
	char entry[256];

	mf_json_array(j);
	while (*s) {
		size_t n = strcspn(s, "\n");

		snprintf(entry, sizeof(entry), "%.*s", (int)n, s);
		mf_json_string(j, entry);
		s += n + (s[n] == '\n');
	}
	mf_json_end(j);
}

static void json_cell(const struct mf_report *r, const struct mf_column *col, const struct cell *c,
		      struct mf_json *j)
{
	if (!col->key)
		return;
	mf_json_key(j, col->key);
	if (c->none) {
		mf_json_null(j);
		return;
	}
	switch (col->kind) {
	case MF_CELL_TEXT:
		mf_json_string(j, r->texts.s + c->text);
		break;
	case MF_CELL_LIST:
		json_list(j, r->texts.s + c->text);
		break;
	case MF_CELL_NUMBER:
	case MF_CELL_COUNT:
	case MF_CELL_BYTES:
		mf_json_u64(j, c->u);
		break;
	case MF_CELL_DURATION:
		mf_json_double(j, (double)c->u / (double)MF_SEC);
		break;
	case MF_CELL_RATE:
	case MF_CELL_DECIMAL:
		mf_json_double(j, c->d);
		break;
	case MF_CELL_SIGNED:
		mf_json_i64(j, (int64_t)c->d);
		break;
	case MF_CELL_FLAG:
		mf_json_bool(j, c->u);
		break;
	}
}

static void json_table(const struct mf_report *r, const struct part *p, struct mf_json *j)
{
	if (!p->key)
		return;
	mf_json_key(j, p->key);
	mf_json_array(j);
	for (size_t i = 0; i < p->n; i += p->n_columns) {
		mf_json_object(j);
		for (size_t k = 0; k < p->n_columns && i + k < p->n; k++)
			json_cell(r, &p->column[k], &r->cell[p->first + i + k], j);
		mf_json_end(j);
	}
	mf_json_end(j);
}

void mf_report_json(const struct mf_report *r, struct mf_json *j)
{
	bool notes = false;

	mf_json_object(j);
	for (size_t i = 0; i < r->n_parts; i++) {
		const struct part *p = &r->part[i];

		if (p->kind == PART_FACT && p->n)
			json_cell(r, &p->fact, &r->cell[p->first], j);
		else if (p->kind == PART_TABLE)
			json_table(r, p, j);
		notes |= p->kind == PART_NOTE;
	}
	if (notes) {
		mf_json_key(j, "notes");
		mf_json_array(j);
		for (size_t i = 0; i < r->n_parts; i++)
			if (r->part[i].kind == PART_NOTE)
				mf_json_string(j, r->texts.s + r->part[i].note);
		mf_json_end(j);
	}
	mf_json_end(j);
}

/* ---- Text ------------------------------------------------------------------------------------- */

/* The cell as text without newlines, where it takes at most one line; `room` may hold it. */
static const char *show(const struct mf_report *r, const struct mf_column *col,
			const struct cell *c, char room[MF_UNIT_STRLEN])
{
	if (c->none)
		return "-";
	switch (col->kind) {
	case MF_CELL_NUMBER:
		snprintf(room, MF_UNIT_STRLEN, "%" PRIu64, c->u);
		return room;
	case MF_CELL_COUNT:
		return mf_unit_count(c->u, room);
	case MF_CELL_BYTES:
		return mf_unit_bytes(c->u, room);
	case MF_CELL_RATE:
		return mf_unit_rate(c->d, room);
	case MF_CELL_DURATION:
		return mf_unit_duration(c->u, room);
	case MF_CELL_DECIMAL:
		snprintf(room, MF_UNIT_STRLEN, "%.1f", c->d);
		return room;
	case MF_CELL_SIGNED:
		snprintf(room, MF_UNIT_STRLEN, "%" PRId64, (int64_t)c->d);
		return room;
	case MF_CELL_FLAG:
		return c->u ? "yes" : "no";
	case MF_CELL_TEXT:
	case MF_CELL_LIST:
		break;
	}
	return r->texts.s + c->text;
}

/* Places on the screen: UTF-8 continuation bytes take none. */
static size_t width(const char *s, size_t n)
{
	size_t w = 0;

	for (size_t i = 0; i < n; i++)
		w += ((unsigned char)s[i] & 0xc0) != 0x80;
	return w;
}

static void pad(struct mf_text *out, size_t n)
{
	static const char blanks[] =
		"                                                                ";

	for (; n; n -= mf_min(n, sizeof(blanks) - 1))
		mf_text_add(out, blanks, mf_min(n, sizeof(blanks) - 1));
}

static bool is_number(enum mf_cell_kind kind)
{
	return kind != MF_CELL_TEXT && kind != MF_CELL_LIST && kind != MF_CELL_FLAG;
}

static bool obeyed_by_terminals(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Text out of a cell is shown as it is but for what a terminal would obey. */
static void add_clean(struct mf_text *out, const char *s, size_t n)
{
	while (n) {
		size_t run = 0;

		while (run < n && !obeyed_by_terminals(s[run]))
			run++;
		mf_text_add(out, s, run);
		if (run < n) {
			mf_text_add(out, "?", 1);
			run++;
		}
		s += run;
		n -= run;
	}
}

enum { COLUMNS_MAX = 48, INDENT = 2 };

static void measure(const struct mf_report *r, const struct part *p, size_t w[COLUMNS_MAX])
{
	char room[MF_UNIT_STRLEN];

	for (size_t k = 0; k < p->n_columns; k++)
		w[k] = p->column[k].title ? width(p->column[k].title, strlen(p->column[k].title)) : 0;
	for (size_t i = 0; i < p->n; i++) {
		size_t k = i % p->n_columns;
		const char *s = show(r, &p->column[k], &r->cell[p->first + i], room);

		for (;;) {
			size_t n = strcspn(s, "\n");

			w[k] = mf_max(w[k], width(s, n));
			if (!s[n])
				break;
			s += n + 1;
		}
	}
}

/* One field of a line; nothing is put behind the last one. */
static void field(struct mf_text *out, const char *s, size_t n, size_t w, bool right, bool last)
{
	size_t have = width(s, n), fill = w > have ? w - have : 0;

	if (right)
		pad(out, fill);
	add_clean(out, s, n);
	if (!right && !last)
		pad(out, fill);
	if (!last)
		pad(out, 2);
}

/* A row takes as many lines as its longest list. */
static void print_row(const struct mf_report *r, const struct part *p, size_t first,
		      const size_t w[COLUMNS_MAX], size_t indent, struct mf_text *out)
{
	const char *rest[COLUMNS_MAX];
	char room[COLUMNS_MAX][MF_UNIT_STRLEN];
	bool more = true;

	for (size_t k = 0; k < p->n_columns; k++)
		rest[k] = show(r, &p->column[k], &r->cell[first + k], room[k]);
	while (more) {
		size_t pending = 0, owed = indent;

		more = false;
		for (size_t k = 0; k < p->n_columns; k++) {
			size_t n = strcspn(rest[k], "\n"), have = width(rest[k], n);
			bool right = is_number(p->column[k].kind);

			if (!p->column[k].title)
				continue;
			/* Blanks are written when something follows them: no blanks at the line's end. */
			if (n) {
				pad(out, owed + pending + (right ? w[k] - have : 0));
				add_clean(out, rest[k], n);
				owed = 0;
				pending = (right ? 0 : w[k] - have) + 2;
			} else {
				pending += w[k] + 2;
			}
			if (rest[k][n]) {
				rest[k] += n + 1;
				more = true;
			} else {
				rest[k] += n;
			}
		}
		mf_text_add(out, "\n", 1);
	}
}

static void print_table(const struct mf_report *r, const struct part *p, struct mf_text *out)
{
	size_t w[COLUMNS_MAX], last = 0, indent = p->title ? INDENT : 0;

	MF_ASSERT(p->n_columns <= COLUMNS_MAX);
	if (p->title)
		mf_text_printf(out, "%s\n", p->title);
	if (!p->n) {
		if (p->empty) {
			pad(out, indent);
			mf_text_printf(out, "%s\n", p->empty);
		}
		return;
	}
	measure(r, p, w);
	for (size_t k = 0; k < p->n_columns; k++)
		if (p->column[k].title)
			last = k;
	pad(out, indent);
	for (size_t k = 0; k <= last; k++)
		if (p->column[k].title)
			field(out, p->column[k].title, strlen(p->column[k].title), w[k],
			      is_number(p->column[k].kind), k == last);
	mf_text_add(out, "\n", 1);
	for (size_t i = 0; i + p->n_columns <= p->n; i += p->n_columns)
		print_row(r, p, p->first + i, w, indent, out);
}

/* Facts that follow each other have their values below each other. */
static size_t fact_width(const struct mf_report *r, size_t i)
{
	size_t w = 0;

	while (i && r->part[i - 1].kind == PART_FACT)
		i--;
	for (; i < r->n_parts && r->part[i].kind == PART_FACT; i++)
		if (r->part[i].fact.title)
			w = mf_max(w, strlen(r->part[i].fact.title));
	return w;
}

static void print_fact(const struct mf_report *r, size_t i, struct mf_text *out)
{
	const struct part *p = &r->part[i];
	size_t w = fact_width(r, i);
	char room[MF_UNIT_STRLEN];
	const char *s;

	if (!p->n || !p->fact.title)
		return;
	mf_text_printf(out, "%s:", p->fact.title);
	pad(out, w - strlen(p->fact.title) + 1);
	s = show(r, &p->fact, &r->cell[p->first], room);
	for (;;) {
		size_t n = strcspn(s, "\n");

		add_clean(out, s, n);
		mf_text_add(out, "\n", 1);
		if (!s[n])
			break;
		s += n + 1;
		pad(out, w + 2);
	}
}

void mf_report_print(const struct mf_report *r, struct mf_text *out)
{
	size_t start = out->len;

	for (size_t i = 0; i < r->n_parts; i++) {
		const struct part *p = &r->part[i];

		if (out->len != start && p->title)
			mf_text_add(out, "\n", 1);
		switch (p->kind) {
		case PART_FACT:
			print_fact(r, i, out);
			break;
		case PART_TABLE:
			print_table(r, p, out);
			break;
		case PART_HEADING:
			mf_text_printf(out, "%s\n", p->title);
			break;
		case PART_NOTE:
			mf_text_printf(out, "%s\n", r->texts.s + p->note);
			break;
		}
	}
}
