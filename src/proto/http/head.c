/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http/head.h"

#include <strings.h>

static const char VERSION[] = "HTTP/1.";
enum {
	VERSION_LEN = sizeof(VERSION) - 1,
	STATUS_AT = VERSION_LEN + 2, /* behind a digit and a blank */
	STATUS_LINE_MIN = STATUS_AT + 3,
};

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct mf_span trim(struct mf_span v)
{
	while (v.n && is_blank(*v.p)) {
		v.p++;
		v.n--;
	}
	while (v.n && is_blank(v.p[v.n - 1]))
		v.n--;
	return v;
}

/* Takes a line from the front, without its end; false: it has none yet. */
static bool next_line(struct mf_span *in, struct mf_span *line)
{
	const uint8_t *end = in->n ? memchr(in->p, '\n', in->n) : NULL;

	if (!end)
		return false;
	*line = mf_span(in->p, (size_t)(end - in->p));
	in->n -= line->n + 1;
	in->p = end + 1;
	if (line->n && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

/* ---- The head -------------------------------------------------------------------------------- */

/* "HTTP/1.1 200 Connection established"; the text and the blank before it may be missing. 0: not
 * that. */
static uint16_t read_status(struct mf_span line)
{
	const uint8_t *s = line.p + STATUS_AT;

	if (line.n < STATUS_LINE_MIN || memcmp(line.p, VERSION, VERSION_LEN) != 0 ||
	    !is_digit(line.p[VERSION_LEN]) || line.p[VERSION_LEN + 1] != ' ' ||
	    (line.n > STATUS_LINE_MIN && line.p[STATUS_LINE_MIN] != ' '))
		return 0;
	if (s[0] < '1' || s[0] > '9' || !is_digit(s[1]) || !is_digit(s[2]))
		return 0;
	return (uint16_t)((s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0'));
}

mf_err mf_http_begins(struct mf_span in)
{
	if (in.n && memcmp(in.p, VERSION, mf_min(in.n, VERSION_LEN)) != 0)
		return MF_E_MALFORMED;
	return in.n < VERSION_LEN ? MF_E_SHORT : MF_OK;
}

static mf_err more(struct mf_span in)
{
	return in.n < MF_HTTP_HEAD_MAX ? MF_E_SHORT : MF_E_RANGE;
}

mf_err mf_http_head_parse(struct mf_span in, struct mf_http_head *out)
{
	struct mf_span rest, line;
	const uint8_t *fields, *at;
	mf_err e = mf_http_begins(in);

	if (e)
		return e;
	in.n = mf_min(in.n, MF_HTTP_HEAD_MAX);
	rest = in;
	if (!next_line(&rest, &line))
		return more(in);
	out->status = read_status(line);
	if (!out->status)
		return MF_E_MALFORMED;
	fields = rest.p;
	do {
		at = rest.p;
		if (!next_line(&rest, &line))
			return more(in);
	} while (line.n);
	out->fields = mf_span(fields, (size_t)(at - fields));
	out->n = (size_t)(rest.p - in.p);
	return MF_OK;
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static bool same(struct mf_span v, const char *text)
{
	size_t n = strlen(text);

	return v.n == n && strncasecmp((const char *)v.p, text, n) == 0;
}

/* The value of the next field of this name; *rest: the lines behind it. */
static struct mf_span next_field(struct mf_span *rest, const char *name)
{
	struct mf_span line;

	while (next_line(rest, &line)) {
		const uint8_t *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
		size_t n = colon ? (size_t)(colon - line.p) : 0;

		if (colon && same(mf_span(line.p, n), name))
			return trim(mf_span(colon + 1, line.n - n - 1));
	}
	return mf_span(NULL, 0);
}

struct mf_span mf_http_field(const struct mf_http_head *h, const char *name)
{
	struct mf_span rest = h->fields;

	return next_field(&rest, name);
}

/* A comma-separated list (RFC 9110 5.6.1). */
static bool list_has(struct mf_span list, const char *token)
{
	while (list.n) {
		const uint8_t *comma = memchr(list.p, ',', list.n);
		size_t n = comma ? (size_t)(comma - list.p) : list.n;

		if (same(trim(mf_span(list.p, n)), token))
			return true;
		n = mf_min(n + 1, list.n);
		list = mf_span(list.p + n, list.n - n);
	}
	return false;
}

bool mf_http_field_has(const struct mf_http_head *h, const char *name, const char *token)
{
	struct mf_span rest = h->fields, value;

	while ((value = next_field(&rest, name)).p)
		if (list_has(value, token))
			return true;
	return false;
}

/* ---- Date ------------------------------------------------------------------------------------ */

/* A number of n digits; false: others. */
static bool number(const uint8_t *p, size_t n, uint32_t *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(p[i]))
			return false;
		*out = *out * 10 + (p[i] - (uint32_t)'0');
	}
	return true;
}

static bool month(const uint8_t *p, uint32_t *out)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (*out = 1; *out <= 12; (*out)++)
		if (!memcmp(p, names + 3 * (*out - 1), 3))
			return true;
	return false;
}

/* Days since 1970 of a day in the Gregorian calendar. A year begins with March here, so that the
 * day that comes and goes is the last one of it: 30.6 days a month, then, rounded as the
 * calendar does. */
static uint64_t days(uint32_t year, uint32_t mon, uint32_t day)
{
	uint64_t y = year - (mon <= 2), m = mon <= 2 ? mon + 9 : mon - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
bool mf_http_date(const struct mf_http_head *h, uint64_t *seconds)
{
	struct mf_span v = mf_http_field(h, "Date");
	uint32_t year, mon, day, hour, min, sec;
	const uint8_t *p = v.p;

	if (v.n != 29 || memcmp(p + 3, ", ", 2) != 0 || p[7] != ' ' || p[11] != ' ' ||
	    p[16] != ' ' || p[19] != ':' || p[22] != ':' || memcmp(p + 25, " GMT", 4) != 0)
		return false;
	if (!number(p + 5, 2, &day) || !month(p + 8, &mon) || !number(p + 12, 4, &year) ||
	    !number(p + 17, 2, &hour) || !number(p + 20, 2, &min) || !number(p + 23, 2, &sec))
		return false;
	if (year < 1970 || !day || day > 31 || hour > 23 || min > 59 || sec > 60)
		return false;
	*seconds = days(year, mon, day) * 86400 + hour * 3600 + min * 60 + sec;
	return true;
}
