/* SPDX-License-Identifier: Apache-2.0
 *
 * http - the host that a request of HTTP/1.x asks for (RFC 9112 3.2): the authority of an absolute target, or of
 * CONNECT, else the first Host field. HTTP/2 without TLS begins with a method that none has (PRI) and its
 * names are compressed: none of ours.
 */
#include "proto/sniff/internal.h"

enum { TEXT_MAX = 320 }; /* scheme, name, port, and blanks around them */

/* Text that is collected; too much of it is noticed. */
struct text {
	size_t n;
	bool too_long;
	char b[TEXT_MAX];
};

struct request {
	struct mf_pieces in;
	struct text method, target, line;
};

static void add(struct text *t, int c)
{
	if (t->n == sizeof(t->b))
		t->too_long = true;
	else
		t->b[t->n++] = (char)c;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Does the text begin with that (lower case)? */
static bool begins(const struct text *t, const char *with)
{
	size_t n = strlen(with);

	if (t->n < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(t->b[i]) != with[i])
			return false;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Whether a method begins so (or, with `whole`, is that). */
static bool is_method(const struct text *t, bool whole)
{
	static const char *const methods[] = { "GET",     "HEAD",  "POST",   "PUT",      "DELETE",
					       "CONNECT", "PATCH", "TRACE",  "OPTIONS",  "PROPFIND",
					       "REPORT",  "MKCOL", "COPY",   "MOVE",     "LOCK",
					       "UNLOCK",  "MERGE", "SEARCH", "PROPPATCH" };

	for (size_t i = 0; i < MF_ARRAY_LEN(methods); i++)
		if (t->n <= strlen(methods[i]) && !memcmp(t->b, methods[i], t->n) &&
		    (!whole || !methods[i][t->n]))
			return true;
	return false;
}

/* Up to the next blank. MF_SNIFF_NAME: it is there. */
static enum mf_sniff_verdict word(struct request *r, struct text *t, bool method)
{
	for (;;) {
		int c = mf_pieces_byte(&r->in);

		if (c < 0)
			return MF_SNIFF_MORE;
		if (c == ' ')
			return t->n ? MF_SNIFF_NAME : MF_SNIFF_NONE;
		if (c < ' ' || c == 127)
			return MF_SNIFF_NONE;
		add(t, c);
		if (method && !is_method(t, false))
			return MF_SNIFF_NONE;
	}
}

/* Adds the rest of a line, without its end. */
static bool rest_of_line(struct request *r, struct text *t)
{
	int c;

	while ((c = mf_pieces_byte(&r->in)) != '\n') {
		if (c < 0)
			return false;
		add(t, c);
	}
	if (t->n && !t->too_long && t->b[t->n - 1] == '\r')
		t->n--;
	return true;
}

/* A whole field, with the lines that continue it (RFC 9112 5.2): they begin with a blank, which stays. */
static bool field(struct request *r, struct text *t)
{
	*t = (struct text){ 0 };
	for (;;) {
		struct mf_pieces behind;
		int c;

		if (!rest_of_line(r, t))
			return false;
		if (!t->n)
			return true;
		behind = r->in;
		c = mf_pieces_byte(&behind);
		if (c < 0)
			return false;
		if (!is_blank((char)c))
			return true;
	}
}

/* host [ ":" port ], with blanks around it. */
static enum mf_sniff_verdict authority(const char *p, size_t n, struct mf_sniff_name *out)
{
	size_t host;

	while (n && is_blank(*p)) {
		p++;
		n--;
	}
	while (n && is_blank(p[n - 1]))
		n--;
	for (host = 0; host < n && p[host] != ':'; host++)
		;
	for (size_t i = host + 1; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return MF_SNIFF_NONE;
	return mf_sniff_name_set(out, p, host, "http") ? MF_SNIFF_NAME : MF_SNIFF_NONE;
}

/* The authority of a target that begins with it at `at`; without userinfo. */
static enum mf_sniff_verdict target(const struct text *t, size_t at, struct mf_sniff_name *out)
{
	size_t end = at;

	for (; end < t->n && !strchr("/?#", t->b[end]); end++)
		if (t->b[end] == '@')
			at = end + 1;
	if (end == t->n && t->too_long)
		return MF_SNIFF_NONE;
	return authority(t->b + at, end - at, out);
}

static enum mf_sniff_verdict fields(struct request *r, struct mf_sniff_name *out)
{
	static const char host[] = "host:";
	const size_t name = sizeof(host) - 1;
	struct text *t = &r->line;

	for (;;) {
		if (!field(r, t))
			return MF_SNIFF_MORE;
		if (!t->n)
			return MF_SNIFF_NONE;
		if (!begins(t, host))
			continue;
		return t->too_long ? MF_SNIFF_NONE : authority(t->b + name, t->n - name, out);
	}
}

enum mf_sniff_verdict mf_sniff_http(struct mf_pieces in, struct mf_sniff_name *out)
{
	struct request r = { .in = in };
	enum mf_sniff_verdict v = word(&r, &r.method, true);

	if (v == MF_SNIFF_NAME && !is_method(&r.method, true))
		v = MF_SNIFF_NONE;
	if (v == MF_SNIFF_NAME)
		v = word(&r, &r.target, false);
	if (v != MF_SNIFF_NAME)
		return v;
	if (!rest_of_line(&r, &r.line))
		return r.line.too_long ? MF_SNIFF_NONE : MF_SNIFF_MORE;
	if (r.line.n != 8 || !begins(&r.line, "http/1."))
		return MF_SNIFF_NONE;
	if (begins(&r.method, "connect"))
		return target(&r.target, 0, out);
	if (begins(&r.target, "http://"))
		return target(&r.target, 7, out);
	if (begins(&r.target, "https://"))
		return target(&r.target, 8, out);
	return fields(&r, out);
}
