/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Room for n more bytes and the NUL. */
static bool reserve(struct mf_text *t, size_t n)
{
	size_t need = t->len + n + 1, cap = mf_max(t->cap, 64);
	char *s;

	if (t->failed)
		return false;
	if (need <= t->cap)
		return true;
	while (cap < need)
		cap *= 2;
	s = realloc(t->s, cap);
	if (!s) {
		t->failed = true;
		return false;
	}
	t->s = s;
	t->cap = cap;
	return true;
}

void mf_text_add(struct mf_text *t, const char *s, size_t n)
{
	if (!reserve(t, n))
		return;
	memcpy(t->s + t->len, s, n);
	t->len += n;
	t->s[t->len] = '\0';
}

void mf_text_printf(struct mf_text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	MF_ASSERT(n >= 0);
	if (!reserve(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(t->s + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

void mf_text_free(struct mf_text *t)
{
	free(t->s);
	*t = (struct mf_text){ 0 };
}

struct mf_json mf_json_init(struct mf_text *out)
{
	return (struct mf_json){ .out = out };
}

static void put(struct mf_json *j, const char *s)
{
	mf_text_add(j->out, s, strlen(s));
}

/* Before every value: is one due here, and does something stand before it? */
static void before_value(struct mf_json *j)
{
	if (j->depth && j->closer[j->depth - 1] == '}')
		MF_ASSERT(j->keyed);
	else if (j->depth == 0)
		MF_ASSERT(!j->comma); /* one value to a text */
	else if (j->comma)
		put(j, ",");
	j->keyed = false;
	j->comma = true;
}

static void open_with(struct mf_json *j, const char *opener, char closer)
{
	before_value(j);
	MF_ASSERT(j->depth < sizeof(j->closer));
	j->closer[j->depth++] = closer;
	j->comma = false;
	put(j, opener);
}

void mf_json_object(struct mf_json *j)
{
	open_with(j, "{", '}');
}

void mf_json_array(struct mf_json *j)
{
	open_with(j, "[", ']');
}

void mf_json_end(struct mf_json *j)
{
	MF_ASSERT(j->depth && !j->keyed);
	mf_text_add(j->out, &j->closer[--j->depth], 1);
	j->comma = true;
}

/* How many bytes the well-formed UTF-8 sequence at s has, 0 if it is ill-formed: the ranges of the
 * Unicode standard, table 3-7 (no surrogates, nothing overlong, nothing above U+10FFFF). The NUL ends
 * every sequence, being no continuation byte. */
static size_t utf8_len(const uint8_t *s)
{
	uint8_t lo = 0x80, hi = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f;
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

static void put_escaped(struct mf_json *j, uint8_t c)
{
	static const char short_form[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
					   ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\' };

	if (c < sizeof(short_form) && short_form[c])
		mf_text_add(j->out, (char[]){ '\\', short_form[c] }, 2);
	else
		mf_text_printf(j->out, "\\u%04x", c);
}

static void put_quoted(struct mf_json *j, const char *value)
{
	const uint8_t *s = (const uint8_t *)value, *plain = s;

	put(j, "\"");
	while (*s) {
		size_t n = utf8_len(s);

		if (n && *s >= 0x20 && *s != '"' && *s != '\\' && *s != 0x7f) {
			s += n;
			continue;
		}
		mf_text_add(j->out, (const char *)plain, (size_t)(s - plain));
		if (n)
			put_escaped(j, *s);
		else
			put(j, "\xef\xbf\xbd"); /* U+FFFD */
		plain = ++s;
	}
	mf_text_add(j->out, (const char *)plain, (size_t)(s - plain));
	put(j, "\"");
}

void mf_json_key(struct mf_json *j, const char *key)
{
	MF_ASSERT(j->depth && j->closer[j->depth - 1] == '}' && !j->keyed);
	if (j->comma)
		put(j, ",");
	put_quoted(j, key);
	put(j, ":");
	j->keyed = true;
}

void mf_json_string(struct mf_json *j, const char *value)
{
	before_value(j);
	put_quoted(j, value);
}

void mf_json_u64(struct mf_json *j, uint64_t value)
{
	before_value(j);
	mf_text_printf(j->out, "%llu", (unsigned long long)value);
}

void mf_json_i64(struct mf_json *j, int64_t value)
{
	before_value(j);
	mf_text_printf(j->out, "%lld", (long long)value);
}

/* The shortest of 15 to 17 digits that reads back as the same number. */
void mf_json_double(struct mf_json *j, double value)
{
	char text[32];

	before_value(j);
	if (!isfinite(value)) {
		put(j, "null");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		double back;

		snprintf(text, sizeof(text), "%.*g", digits, value);
		back = strtod(text, NULL);
		if (memcmp(&back, &value, sizeof(back)) == 0)
			break;
	}
	/* An embedding program may have set a locale with another decimal point. */
	for (char *c = text; *c; c++) {
		if (*c == ',')
			*c = '.';
	}
	put(j, text);
}

void mf_json_bool(struct mf_json *j, bool value)
{
	before_value(j);
	put(j, value ? "true" : "false");
}

void mf_json_null(struct mf_json *j)
{
	before_value(j);
	put(j, "null");
}
