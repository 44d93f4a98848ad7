/* SPDX-License-Identifier: Apache-2.0
 *
 * list_name - names, words and patterns of a list in the form in which a domain set takes them.
 */
#include "policy/domain_names.h"
#include "policy/domain_pattern.h"
#include "policy/idn.h"
#include "policy/list_line.h"

#include <stdio.h>

enum { LABEL_MAX = 63 }; /* RFC 1035, 2.3.4 */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letters in lower case, digits, hyphen, underscore. */
static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

bool mf_list_kind(struct mf_text_span *in, enum mf_domain_kind *kind)
{
	static const struct {
		const char *text;
		enum mf_domain_kind kind;
	} prefix[] = {
		{ "domain:", MF_DOMAIN_BELOW },
		{ "full:", MF_DOMAIN_FULL },
		{ "keyword:", MF_DOMAIN_KEYWORD },
		{ "regexp:", MF_DOMAIN_REGEXP },
	};

	for (size_t i = 0; i < MF_ARRAY_LEN(prefix); i++) {
		if (!mf_list_begins(*in, prefix[i].text))
			continue;
		*in = mf_list_trim(mf_list_skip(*in, strlen(prefix[i].text)));
		*kind = prefix[i].kind;
		return true;
	}
	return false;
}

/* In front of a name: all the same here, as the name and what is below it is what is meant. And the
 * last dot, of the root. */
static struct mf_text_span strip(struct mf_text_span s)
{
	if (mf_list_begins(s, "*.") || mf_list_begins(s, "+."))
		s = mf_list_skip(s, 2);
	else if (mf_list_begins(s, "."))
		s = mf_list_skip(s, 1);
	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	return s;
}

/* "host:port": the part behind the colon is digits. */
static bool has_port(const char *s, size_t n)
{
	size_t digits = 0;

	while (digits < n && is_digit(s[n - 1 - digits]))
		digits++;
	return digits && digits < n && s[n - 1 - digits] == ':';
}

/* The last label is digits: no name, but perhaps an address. */
static bool ends_in_number(const char *s, size_t n)
{
	size_t digits = 0;

	while (digits < n && is_digit(s[n - 1 - digits]))
		digits++;
	return digits && (digits == n || s[n - 1 - digits] == '.');
}

/* Why it is no name. */
static mf_err no_name(const char *s, size_t n, struct mf_errbuf *eb)
{
	struct mf_addr a;

	if (memchr(s, '*', n))
		return mf_fail(eb, MF_E_UNSUPPORTED,
			       "a wildcard within a name; only *. in front of it is possible");
	if (mf_addr_parse(&a, s) == MF_OK)
		return mf_fail(eb, MF_E_UNSUPPORTED, "an address, not a name");
	if (has_port(s, n))
		return mf_fail(eb, MF_E_UNSUPPORTED, "a name with a port");
	if (ends_in_number(s, n))
		return mf_fail(eb, MF_E_MALFORMED, "neither a name nor an address");
	return mf_fail(eb, MF_E_MALFORMED, "not a domain name");
}

/* Labels of 1 to 63 host bytes, the last one not a number. */
static bool is_name(const char *s, size_t n)
{
	size_t label = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] != '.' && !is_host_byte(s[i]))
			return false;
		label = s[i] == '.' ? 0 : label + 1;
		if (label > LABEL_MAX || (s[i] == '.' && (i == 0 || s[i - 1] == '.')))
			return false;
	}
	return label > 0 && n <= MF_DOMAIN_NAME_MAX && !(is_digit(s[n - 1]) && ends_in_number(s, n));
}

/* Copies in lower case, with a NUL; *ascii says whether no byte has its highest bit set. */
static mf_err copy(struct mf_text_span in, char *out, size_t cap, bool *ascii, struct mf_errbuf *eb)
{
	unsigned high = 0;

	if (in.n >= cap)
		return mf_fail(eb, MF_E_RANGE, "longer than %zu bytes", cap - 1);
	for (size_t i = 0; i < in.n; i++) {
		out[i] = lower(in.p[i]);
		high |= (uint8_t)in.p[i];
	}
	out[in.n] = '\0';
	*ascii = high < 0x80;
	return MF_OK;
}

static mf_err read_name(struct mf_text_span in, char *out, size_t cap, size_t *len,
			struct mf_errbuf *eb)
{
	struct mf_text_span s = strip(in);
	bool ascii = true;
	mf_err err;

	if (s.n == 0)
		return mf_fail(eb, in.n && in.p[0] == '*' ? MF_E_UNSUPPORTED : MF_E_MALFORMED,
			       "no name is there");
	err = copy(s, out, cap, &ascii, eb);
	if (err)
		return err;
	if (!ascii) {
		err = mf_idn_to_ascii(s.p, s.n, out, cap, eb);
		if (err)
			return err;
		s = strip((struct mf_text_span){ out, strlen(out) });
		memmove(out, s.p, s.n);
		out[s.n] = '\0';
	}
	*len = s.n;
	return is_name(out, s.n) ? MF_OK : no_name(out, s.n, eb);
}

/* Part of a name: may have dots anywhere. */
static mf_err read_word(struct mf_text_span in, char *out, size_t cap, size_t *len,
			struct mf_errbuf *eb)
{
	bool ascii;
	mf_err err = copy(in, out, cap, &ascii, eb);

	if (err)
		return err;
	*len = in.n;
	if (in.n == 0 || in.n > MF_DOMAIN_NAME_MAX)
		return mf_fail(eb, MF_E_MALFORMED, "a keyword has 1 to %d bytes", MF_DOMAIN_NAME_MAX);
	for (size_t i = 0; i < in.n; i++)
		if (out[i] != '.' && !is_host_byte(out[i]))
			return mf_fail(eb, MF_E_MALFORMED, "no name has such a keyword in it");
	return MF_OK;
}

static mf_err read_pattern(struct mf_text_span in, char *out, size_t cap, size_t *len,
			   struct mf_errbuf *eb)
{
	if (in.n == 0 || in.n > MF_DOMAIN_PATTERN_MAX)
		return mf_fail(eb, MF_E_MALFORMED, "a regular expression has 1 to %d bytes",
			       MF_DOMAIN_PATTERN_MAX);
	if (memchr(in.p, '\0', in.n))
		return mf_fail(eb, MF_E_MALFORMED, "a NUL byte");
	if (in.n >= cap)
		return mf_fail(eb, MF_E_RANGE, "longer than %zu bytes", cap - 1);
	memcpy(out, in.p, in.n);
	out[in.n] = '\0';
	*len = in.n;
	return MF_OK;
}

mf_err mf_list_name(enum mf_domain_kind kind, struct mf_text_span in, char *out, size_t cap,
		    size_t *len, struct mf_errbuf *eb)
{
	if (kind == MF_DOMAIN_KEYWORD)
		return read_word(in, out, cap, len, eb);
	if (kind == MF_DOMAIN_REGEXP)
		return read_pattern(in, out, cap, len, eb);
	return read_name(in, out, cap, len, eb);
}

mf_err mf_list_entry(const char *text, size_t n, enum mf_domain_kind *kind, char *out, size_t cap,
		     struct mf_errbuf *eb)
{
	struct mf_text_span s = mf_list_trim((struct mf_text_span){ text, n });
	size_t len;
	mf_err err;

	*kind = MF_DOMAIN_BELOW;
	mf_list_kind(&s, kind);
	err = mf_list_name(*kind, s, out, cap, &len, eb);
	return err == MF_E_UNSUPPORTED ? MF_E_MALFORMED : err;
}
