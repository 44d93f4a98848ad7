/* SPDX-License-Identifier: Apache-2.0
 *
 * errors - what is wrong with a profile, all of it, in words that say where and what to do.
 */
#include "config/errors.h"

#include "config/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool grow(struct mf_config_errors *errs)
{
	uint32_t cap = errs->cap ? errs->cap * 2 : 8;
	struct mf_config_error *v;

	if (errs->n < errs->cap)
		return true;
	v = realloc(errs->v, cap * sizeof(*v));
	if (!v)
		return false;
	errs->v = v;
	errs->cap = cap;
	return true;
}

void mf_config_error(struct mf_config_errors *errs, struct mf_config_pos pos, const char *fmt, ...)
{
	char *text = NULL, *file = NULL;
	va_list ap;
	int n;

	if (errs->n >= MF_CONFIG_MAX_ERRORS || !grow(errs)) {
		errs->not_kept++;
		return;
	}
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (pos.file)
		file = strdup(pos.file);
	if (n < 0 || (pos.file && !file)) {
		if (n >= 0)
			free(text);
		free(file);
		errs->not_kept++;
		return;
	}
	errs->v[errs->n++] = (struct mf_config_error){
		.pos = { .file = file, .line = pos.line, .col = pos.col },
		.text = text,
	};
}

static bool comes_after(const struct mf_config_error *a, const struct mf_config_error *b,
			const char *first)
{
	bool a_first = a->pos.file && !strcmp(a->pos.file, first);
	bool b_first = b->pos.file && !strcmp(b->pos.file, first);
	int files;

	if (a_first != b_first)
		return b_first;
	files = strcmp(a->pos.file ? a->pos.file : "", b->pos.file ? b->pos.file : "");
	if (files)
		return files > 0;
	if (a->pos.line != b->pos.line)
		return a->pos.line > b->pos.line;
	return a->pos.col > b->pos.col;
}

/* Insertion sort: stable, and there are at most MF_CONFIG_MAX_ERRORS. */
void mf_config_errors_sort(struct mf_config_errors *errs, const char *first)
{
	for (uint32_t i = 1; i < errs->n; i++) {
		struct mf_config_error e = errs->v[i];
		uint32_t j = i;

		for (; j > 0 && comes_after(&errs->v[j - 1], &e, first); j--)
			errs->v[j] = errs->v[j - 1];
		errs->v[j] = e;
	}
}

void mf_config_errors_print(const struct mf_config_errors *errs, struct mf_text *out)
{
	for (uint32_t i = 0; i < errs->n; i++) {
		const struct mf_config_error *e = &errs->v[i];

		if (e->pos.file)
			mf_text_printf(out, "%s:", e->pos.file);
		if (e->pos.line)
			mf_text_printf(out, "%u:", e->pos.line);
		if (e->pos.line && e->pos.col)
			mf_text_printf(out, "%u:", e->pos.col);
		mf_text_printf(out, "%serror: %s\n", e->pos.file || e->pos.line ? " " : "", e->text);
	}
	if (errs->not_kept)
		mf_text_printf(out, "error: %u more error%s not shown; correct these first\n",
			       errs->not_kept, errs->not_kept == 1 ? "" : "s");
}

static void json_pos(struct mf_json *j, const char *key, uint32_t n)
{
	mf_json_key(j, key);
	if (n)
		mf_json_u64(j, n);
	else
		mf_json_null(j);
}

void mf_config_errors_json(const struct mf_config_errors *errs, struct mf_json *j)
{
	mf_json_array(j);
	for (uint32_t i = 0; i < errs->n; i++) {
		const struct mf_config_error *e = &errs->v[i];

		mf_json_object(j);
		mf_json_key(j, "file");
		if (e->pos.file)
			mf_json_string(j, e->pos.file);
		else
			mf_json_null(j);
		json_pos(j, "line", e->pos.line);
		json_pos(j, "col", e->pos.col);
		mf_json_kv_string(j, "message", e->text);
		mf_json_end(j);
	}
	mf_json_end(j);
}

void mf_config_errors_free(struct mf_config_errors *errs)
{
	for (uint32_t i = 0; i < errs->n; i++) {
		free((char *)(uintptr_t)errs->v[i].pos.file);
		free(errs->v[i].text);
	}
	free(errs->v);
	*errs = (struct mf_config_errors){ 0 };
}

const char *mf_config_quote(const char *s, char out[MF_CONFIG_QUOTE_LEN])
{
	enum { SHOWN = 64 };
	size_t n = 0, i = 0, len;

	out[n++] = '"';
	for (; s[i]; i += len) {
		size_t shown = s[i] != '"' ? mf_value_shown(s + i, strnlen(s + i, 4)) : 0;

		len = mf_max(shown, 1);
		if (i + len > SHOWN)
			break;
		memcpy(out + n, shown ? s + i : "?", len);
		n += len;
	}
	out[n++] = '"';
	if (s[i]) {
		memcpy(out + n, "...", 3);
		n += 3;
	}
	out[n] = '\0';
	return out;
}

const char *mf_config_behind_user(const char *text)
{
	const char *at = strrchr(text, '@');

	return at ? at + 1 : text;
}

/* Edits (insert, delete, replace, swap neighbours) that make one word of the other. */
static size_t edits(const char *a, size_t na, const char *b, size_t nb)
{
	enum { LONGEST = 40 };
	size_t row[3][LONGEST + 1];
	size_t *above2 = row[0], *above = row[1], *here = row[2];

	if (na > LONGEST || nb > LONGEST)
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		above[j] = above2[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *old = above2;

		here[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t d = above[j - 1] + (a[i - 1] != b[j - 1]);

			d = mf_min(d, mf_min(above[j], here[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = mf_min(d, above2[j - 2] + 1);
			here[j] = d;
		}
		above2 = above;
		above = here;
		here = old;
	}
	return above[nb];
}

void mf_config_nearest_try(struct mf_config_nearest *near, const char *name)
{
	size_t nw = strlen(near->word), nn = strlen(name);
	size_t d = edits(near->word, nw, name, nn);

	/* one letter, in longer words a third of them: "adress", "ofice", but not "mars" for "bare" */
	if (d > mf_max(mf_min(nw, nn) / 3, 1) || d >= mf_max(nw, nn) || (nw < 3 && d > 0))
		return;
	if (!near->name || d < near->distance) {
		near->name = name;
		near->distance = d;
	}
}

const char *mf_config_nearest_hint(const struct mf_config_nearest *near, char out[MF_CONFIG_HINT_LEN])
{
	char quoted[MF_CONFIG_QUOTE_LEN];

	out[0] = '\0';
	if (near->name)
		(void)snprintf(out, MF_CONFIG_HINT_LEN, "; did you mean %s?",
			       mf_config_quote(near->name, quoted));
	return out;
}
