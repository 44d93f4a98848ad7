/* SPDX-License-Identifier: Apache-2.0
 *
 * list_line - a line on its way through the formats (list_*.c), and what they do with what they
 * find in it.
 */
#ifndef MF_LIST_LINE_H
#define MF_LIST_LINE_H

#include "policy/list.h"

/* A piece of a line. */
struct mf_text_span {
	const char *p;
	size_t n;
};

struct mf_list_line {
	enum mf_list_wants wants;
	const struct mf_list_sink *sink;
	struct mf_list_report *report;
	struct mf_text_span whole; /* for messages */
	uint32_t number;
	bool adblock; /* a line before was of this format for certain */
	/* Of this line. */
	bool bad, left_out, taken;
	mf_err err; /* ends the reading */
};

/* What a piece is; list.c. Each may come several times in a line, which then counts as bad if
 * anything in it was, else as left out if nothing was taken. */
void mf_list_take(struct mf_list_line *l, enum mf_domain_kind kind, struct mf_text_span name,
		  bool except);
void mf_list_take_prefix(struct mf_list_line *l, const struct mf_prefix *p);
void mf_list_leave_out(struct mf_list_line *l);
void mf_list_wrong(struct mf_list_line *l, const char *fmt, ...) MF_PRINTF(2, 3);

/* A name, word or pattern as it goes to the sink, and a NUL; list_name.c. MF_E_UNSUPPORTED:
 * something that is no name, but may stand for one (an address, a name with a port, a wildcard);
 * MF_E_MALFORMED, MF_E_RANGE; all with `eb`. MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_list_name(enum mf_domain_kind kind, struct mf_text_span in, char *out,
				  size_t cap, size_t *len, struct mf_errbuf *eb);
/* "keyword:" and its like in front of `in`: removes it; false if there is none. */
bool mf_list_kind(struct mf_text_span *in, enum mf_domain_kind *kind);

/* The formats. Each gets its line from the first byte on that is not space to the last; those
 * that return bool say whether the line is theirs. */
bool mf_list_dnsmasq(struct mf_list_line *l, struct mf_text_span s);
bool mf_list_adblock(struct mf_list_line *l, struct mf_text_span s);
bool mf_list_clash(struct mf_list_line *l, struct mf_text_span s);
bool mf_list_v2fly(struct mf_list_line *l, struct mf_text_span s);
/* Addresses, with names (hosts) or without. */
bool mf_list_hosts(struct mf_list_line *l, struct mf_text_span s);
void mf_list_plain(struct mf_list_line *l, struct mf_text_span s);

/* Small things that all need. */
static inline bool mf_list_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline struct mf_text_span mf_list_trim(struct mf_text_span s)
{
	while (s.n && mf_list_is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && mf_list_is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Cuts the piece up to the first byte for which `end` holds off *s, and that byte, too. */
static inline struct mf_text_span mf_list_cut(struct mf_text_span *s, bool (*end)(char c))
{
	struct mf_text_span out = { s->p, 0 };

	while (out.n < s->n && !end(s->p[out.n]))
		out.n++;
	s->p += out.n + (out.n < s->n);
	s->n -= out.n + (out.n < s->n);
	return out;
}

/* The next word; *s goes on with what is behind the space after it. */
static inline struct mf_text_span mf_list_word(struct mf_text_span *s)
{
	struct mf_text_span word = mf_list_cut(s, mf_list_is_space);

	*s = mf_list_trim(*s);
	return word;
}

static inline bool mf_list_is(struct mf_text_span s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static inline bool mf_list_begins(struct mf_text_span s, const char *text)
{
	size_t n = strlen(text);

	return s.n >= n && memcmp(s.p, text, n) == 0;
}

static inline struct mf_text_span mf_list_skip(struct mf_text_span s, size_t n)
{
	return (struct mf_text_span){ s.p + n, s.n - n };
}

/* Does a comment begin here, or nothing? */
static inline bool mf_list_ends(struct mf_text_span s)
{
	return s.n == 0 || s.p[0] == '#' || s.p[0] == ';' || mf_list_begins(s, "//");
}

#endif
