/* SPDX-License-Identifier: Apache-2.0
 *
 * list_clash - rule providers of Clash and its kin: KIND,value lines, and names or prefixes on
 * their own; as text, or as the items of a YAML list, of which only what such files have is read:
 * one item a line, plain or in quotes.
 */
#include "policy/list_line.h"

static bool is_comma(char c)
{
	return c == ',';
}

enum what { DOMAIN, CIDR, OTHER };

struct rule {
	const char *text;
	enum what what;
	enum mf_domain_kind kind;
};

static const struct rule *find_rule(struct mf_text_span word)
{
	static const struct rule known[] = {
		{ "DOMAIN", DOMAIN, MF_DOMAIN_FULL },
		{ "DOMAIN-SUFFIX", DOMAIN, MF_DOMAIN_BELOW },
		{ "DOMAIN-KEYWORD", DOMAIN, MF_DOMAIN_KEYWORD },
		{ "DOMAIN-REGEX", DOMAIN, MF_DOMAIN_REGEXP },
		{ "IP-CIDR", CIDR, 0 },
		{ "IP-CIDR6", CIDR, 0 },
		{ "AND", OTHER, 0 },
		{ "DOMAIN-SET", OTHER, 0 },
		{ "DOMAIN-WILDCARD", OTHER, 0 },
		{ "DSCP", OTHER, 0 },
		{ "DST-PORT", OTHER, 0 },
		{ "FINAL", OTHER, 0 },
		{ "GEOIP", OTHER, 0 },
		{ "GEOSITE", OTHER, 0 },
		{ "IN-NAME", OTHER, 0 },
		{ "IN-PORT", OTHER, 0 },
		{ "IN-TYPE", OTHER, 0 },
		{ "IN-USER", OTHER, 0 },
		{ "IP-ASN", OTHER, 0 },
		{ "IP-SUFFIX", OTHER, 0 },
		{ "MATCH", OTHER, 0 },
		{ "NETWORK", OTHER, 0 },
		{ "NOT", OTHER, 0 },
		{ "OR", OTHER, 0 },
		{ "PROCESS-NAME", OTHER, 0 },
		{ "PROCESS-NAME-REGEX", OTHER, 0 },
		{ "PROCESS-PATH", OTHER, 0 },
		{ "PROCESS-PATH-REGEX", OTHER, 0 },
		{ "RULE-SET", OTHER, 0 },
		{ "SRC-GEOIP", OTHER, 0 },
		{ "SRC-IP-ASN", OTHER, 0 },
		{ "SRC-IP-CIDR", OTHER, 0 },
		{ "SRC-IP-SUFFIX", OTHER, 0 },
		{ "SRC-PORT", OTHER, 0 },
		{ "SUB-RULE", OTHER, 0 },
		{ "UID", OTHER, 0 },
		{ "URL-REGEX", OTHER, 0 },
		{ "USER-AGENT", OTHER, 0 },
	};

	for (size_t i = 0; i < MF_ARRAY_LEN(known); i++)
		if (mf_list_is(word, known[i].text))
			return &known[i];
	return NULL;
}

/* What is behind the value (a policy, no-resolve) is for Clash. A pattern may have commas. */
static bool read_rule(struct mf_list_line *l, struct mf_text_span s)
{
	const struct rule *r = memchr(s.p, ',', s.n) ? find_rule(mf_list_cut(&s, is_comma)) : NULL;
	char text[MF_PREFIX_STRLEN] = "";
	struct mf_prefix p;

	if (!r)
		return false;
	s = mf_list_trim(s);
	s = mf_list_word(&s);
	if (r->what == OTHER || r->kind != MF_DOMAIN_REGEXP)
		s = mf_list_cut(&s, is_comma);
	if (r->what == OTHER) {
		mf_list_leave_out(l);
	} else if (r->what == DOMAIN) {
		mf_list_take(l, r->kind, s, false);
	} else {
		memcpy(text, s.p, s.n < sizeof(text) ? s.n : 0);
		if (mf_prefix_parse(&p, text) == MF_OK)
			mf_list_take_prefix(l, &p);
		else
			mf_list_wrong(l, "not a prefix");
	}
	return true;
}

/* Takes the quotes off an item, and in them the escapes. False: they do not end, or something is
 * behind them. */
static bool unquote(struct mf_text_span *s, char out[MF_LIST_LINE_MAX])
{
	char mark = s->p[0];
	size_t n = 0, i = 1;

	for (; i < s->n; i++) {
		bool escape = mark == '"' ? s->p[i] == '\\'
					  : s->p[i] == '\'' && i + 1 < s->n && s->p[i + 1] == '\'';

		if (escape && ++i == s->n)
			return false;
		if (!escape && s->p[i] == mark)
			break;
		out[n++] = s->p[i];
	}
	if (i == s->n)
		return false;
	if (!mf_list_ends(mf_list_trim(mf_list_skip(*s, i + 1))))
		return false;
	*s = mf_list_trim((struct mf_text_span){ out, n });
	return true;
}

static void read_item(struct mf_list_line *l, struct mf_text_span s)
{
	char text[MF_LIST_LINE_MAX];

	if (s.n && (s.p[0] == '\'' || s.p[0] == '"') && !unquote(&s, text)) {
		mf_list_wrong(l, "quotes that do not end with the item");
		return;
	}
	if (s.n == 0)
		mf_list_wrong(l, "an item without a value");
	else if (!read_rule(l, s) && !mf_list_v2fly(l, s) && !mf_list_hosts(l, s))
		mf_list_plain(l, s);
}

bool mf_list_clash(struct mf_list_line *l, struct mf_text_span s)
{
	if (mf_list_is(s, "---"))
		return true;
	if (mf_list_begins(s, "payload:")) {
		s = mf_list_trim(mf_list_skip(s, strlen("payload:")));
		if (!mf_list_ends(s) && !mf_list_is(s, "[]"))
			mf_list_wrong(l, "items on the line of payload: one a line can be read");
		return true;
	}
	if (s.p[0] == '-' && (s.n == 1 || mf_list_is_space(s.p[1]))) {
		read_item(l, mf_list_trim(mf_list_skip(s, 1)));
		return true;
	}
	return read_rule(l, s);
}
