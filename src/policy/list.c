/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts a list into lines, asks the formats whose each is, and keeps the report.
 */
#include "policy/list_line.h"

#include <stdarg.h>
#include <stdio.h>

enum { QUOTE_MAX = 48 /* bytes of a line in a message */ };

/* The beginning of the line in quotes, with what a terminal should not get as \xNN. */
static void quote(struct mf_text_span s, char *out, size_t cap)
{
	size_t n = 0, i = 0;

	n += (size_t)snprintf(out, cap, "\"");
	for (; i < s.n && i < QUOTE_MAX && n + sizeof("\\xNN...\"") <= cap; i++) {
		uint8_t c = (uint8_t)s.p[i];

		n += (size_t)snprintf(out + n, cap - n, c < ' ' || c > '~' ? "\\x%02x" : "%c", c);
	}
	snprintf(out + n, cap - n, i < s.n ? "...\"" : "\"");
}

/* A line counts once, and the first thing that is wrong with it is told. */
void mf_list_wrong(struct mf_list_line *l, const char *fmt, ...)
{
	struct mf_list_error *e = &l->report->error[l->report->n_errors];
	struct mf_text_span s = mf_list_trim(l->whole);
	size_t n;
	va_list ap;

	if (l->bad)
		return;
	l->bad = true;
	if (l->report->n_errors == MF_LIST_ERRORS_MAX)
		return;
	l->report->n_errors++;
	e->line = l->number;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text) - QUOTE_MAX, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	n += (size_t)snprintf(e->text + n, sizeof(e->text) - n, ": ");
	quote(s, e->text + n, sizeof(e->text) - n);
}

void mf_list_leave_out(struct mf_list_line *l)
{
	l->left_out = true;
}

/* What the sink said of an entry. */
static void settle(struct mf_list_line *l, mf_err err, const struct mf_errbuf *eb)
{
	if (err == MF_E_MALFORMED)
		mf_list_wrong(l, "%s", eb->text);
	else if (err)
		l->err = err;
	else
		l->taken = true;
	l->report->entries += !err;
}

void mf_list_take(struct mf_list_line *l, enum mf_domain_kind kind, struct mf_text_span name,
		  bool except)
{
	char out[MF_LIST_LINE_MAX];
	struct mf_errbuf eb;
	size_t n;
	mf_err err;

	eb.text[0] = '\0';
	if (l->err)
		return;
	err = mf_list_name(kind, name, out, sizeof(out), &n, &eb);
	if (err == MF_E_MALFORMED || err == MF_E_RANGE)
		mf_list_wrong(l, "%s", eb.text);
	else if (err == MF_E_UNSUPPORTED || (!err && l->wants != MF_LIST_DOMAINS))
		mf_list_leave_out(l);
	else if (err)
		l->err = err;
	else
		settle(l, l->sink->domain(l->sink->ctx, kind, out, n, except, l->number, &eb), &eb);
}

void mf_list_take_prefix(struct mf_list_line *l, const struct mf_prefix *p)
{
	struct mf_prefix masked = mf_prefix_mask(*p);
	struct mf_errbuf eb;

	eb.text[0] = '\0';
	if (l->err)
		return;
	if (l->wants != MF_LIST_CIDRS)
		mf_list_leave_out(l);
	else
		settle(l, l->sink->cidr(l->sink->ctx, &masked, l->number, &eb), &eb);
}

/* Of the first byte: nothing that is an entry begins with these. */
static bool is_comment(struct mf_list_line *l, struct mf_text_span s)
{
	if (s.p[0] == '#' && l->adblock && s.n > 1 && strchr("#@?$%", s.p[1])) {
		mf_list_leave_out(l); /* ##.banner: elements of all pages */
		return true;
	}
	return s.p[0] == '!' || mf_list_ends(s);
}

static void read_line(struct mf_list_line *l)
{
	struct mf_text_span s = mf_list_trim(l->whole);

	for (size_t i = 0; i < s.n; i++) {
		if ((uint8_t)s.p[i] < ' ' && s.p[i] != '\t') {
			mf_list_wrong(l, "byte %u within a line", (uint8_t)s.p[i]);
			return;
		}
	}
	if (s.n == 0 || is_comment(l, s))
		return;
	if (mf_list_adblock(l, s) || mf_list_clash(l, s) || mf_list_dnsmasq(l, s) ||
	    mf_list_v2fly(l, s) || mf_list_hosts(l, s))
		return;
	mf_list_plain(l, s);
}

static mf_err count_line(struct mf_list_line *l)
{
	l->bad = l->left_out = l->taken = false;
	if (l->whole.n > MF_LIST_LINE_MAX)
		mf_list_wrong(l, "longer than %d bytes", MF_LIST_LINE_MAX);
	else
		read_line(l);
	l->report->bad += l->bad;
	l->report->left_out += l->left_out && !l->taken && !l->bad;
	return l->err;
}

/* A file that Windows programs call Unicode: every second byte is 0, so no line could be read. */
static bool is_utf16(struct mf_text_span s)
{
	return mf_list_begins(s, "\xff\xfe") || mf_list_begins(s, "\xfe\xff");
}

mf_err mf_list_read(struct mf_span text, enum mf_list_wants wants, const struct mf_list_sink *sink,
		    struct mf_list_report *report)
{
	struct mf_text_span left = { (const char *)text.p, text.n };
	struct mf_list_line l = { .wants = wants, .sink = sink, .report = report };
	mf_err err = MF_OK;

	*report = (struct mf_list_report){ 0 };
	if (is_utf16(left)) {
		report->lines = report->bad = l.number = 1;
		mf_list_wrong(&l, "the list is in UTF-16; it must be in UTF-8");
		return MF_OK;
	}
	if (mf_list_begins(left, "\xef\xbb\xbf"))
		left = mf_list_skip(left, 3);
	while (left.n && !err) {
		const char *newline = memchr(left.p, '\n', left.n);
		size_t n = newline ? (size_t)(newline - left.p) : left.n;

		l.whole = (struct mf_text_span){ left.p, n };
		l.number = ++report->lines;
		err = count_line(&l);
		left = mf_list_skip(left, n + (newline != NULL));
	}
	return err;
}
