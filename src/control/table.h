/* SPDX-License-Identifier: Apache-2.0
 *
 * table - a report that is written once and read twice: as aligned text with units for people, as raw
 * JSON for programs. Both come from the same columns and cells, so they cannot tell different stories.
 *
 * A report is a sequence of facts (name and value) and tables. In JSON it is one object: facts by their
 * key, tables as arrays of objects.
 */
#ifndef MF_TABLE_H
#define MF_TABLE_H

#include "base/addr.h"
#include "base/json.h"

enum mf_cell_kind {
	MF_CELL_TEXT,
	MF_CELL_NUMBER,   /* as it is: a port, an MTU */
	MF_CELL_COUNT,    /* "1 234 567" in text */
	MF_CELL_BYTES,    /* KiB, MiB in text */
	MF_CELL_RATE,     /* bytes a second; bit/s in text */
	MF_CELL_DURATION, /* nanoseconds; seconds in JSON, "3 min 5 s" in text */
	MF_CELL_DECIMAL,  /* one digit behind the point in text */
	MF_CELL_SIGNED,   /* a whole number that may be negative */
	MF_CELL_FLAG,     /* yes, no */
	MF_CELL_LIST,     /* texts with newlines between them; an array in JSON */
};

struct mf_column {
	const char *key;   /* in JSON; NULL: text only */
	const char *title; /* in text; NULL: JSON only */
	enum mf_cell_kind kind;
};

struct mf_report;

/* NULL: out of memory. Running out later sets a flag that mf_report_failed shows; nothing else need be
 * checked. */
struct mf_report *mf_report_new(void);
void mf_report_free(struct mf_report *r);
bool mf_report_failed(const struct mf_report *r);
/* Sets that flag, for whoever ran out of memory on the way to a cell. */
void mf_report_fail(struct mf_report *r);

/* A fact: its column and then its cell, with one of the functions below. */
void mf_report_fact(struct mf_report *r, const char *key, const char *title, enum mf_cell_kind kind);
/* The same with its cell; text NULL: no value. */
void mf_fact_text(struct mf_report *r, const char *key, const char *title, const char *text);
void mf_fact_u64(struct mf_report *r, const char *key, const char *title, enum mf_cell_kind kind,
		 uint64_t v);
/* A table with the heading `title` (NULL: none) that is the array `key` (NULL: text only). The
 * columns are only referred to and must outlive the report. `empty` is what the text says when there
 * is no row (NULL: nothing). */
void mf_report_table(struct mf_report *r, const char *key, const char *title,
		     const struct mf_column *column, size_t n, const char *empty);
/* A heading above the facts that follow; text only. */
void mf_report_heading(struct mf_report *r, const char *title);
/* A sentence; in JSON an entry of the array "notes". */
void mf_report_note(struct mf_report *r, const char *fmt, ...) MF_PRINTF(2, 3);

/* The next cell, of the kind of its column (asserted). Rows follow each other without marks. */
void mf_cell_text(struct mf_report *r, const char *text); /* TEXT, LIST */
/* What has been put together in `text`, which it frees; without memory for all of it the report fails. */
void mf_cell_take(struct mf_report *r, struct mf_text *text); /* TEXT, LIST */
void mf_cell_textf(struct mf_report *r, const char *fmt, ...) MF_PRINTF(2, 3);
void mf_cell_u64(struct mf_report *r, uint64_t v);  /* NUMBER, COUNT, BYTES, DURATION */
void mf_cell_double(struct mf_report *r, double v); /* RATE, DECIMAL, SIGNED */
void mf_cell_flag(struct mf_report *r, bool v);
void mf_cell_addr(struct mf_report *r, const struct mf_addr *a); /* family 0: none */
void mf_cell_prefix(struct mf_report *r, const struct mf_prefix *p);
/* Family 0: none; port 0: the address alone, as pings have it. */
void mf_cell_endpoint(struct mf_report *r, const struct mf_endpoint *e);
/* No value: null, or "-". */
void mf_cell_none(struct mf_report *r);

void mf_report_print(const struct mf_report *r, struct mf_text *out);
void mf_report_json(const struct mf_report *r, struct mf_json *j);

#endif
