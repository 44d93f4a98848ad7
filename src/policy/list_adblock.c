/* SPDX-License-Identifier: Apache-2.0
 *
 * list_adblock - filters of AdGuard, Adblock Plus and uBlock Origin: those that are about whole
 * hosts.
 *
 * ||example.com^ is a host and all below it; @@ in front makes an exception. Options behind $ may
 * be there that leave a rule one about the host; with all others (a type of content, a page, a
 * client) it says less than that, and is left out, as are rules about paths and elements.
 */
#include "policy/list_line.h"

static bool is_comma(char c)
{
	return c == ',';
}

/* An exception for pages ($document) lifts other rules, not the one against the host. */
static bool is_harmless(struct mf_text_span option, bool except)
{
	static const struct {
		const char *text;
		bool in_exceptions;
	} known[] = {
		{ "important", true }, { "third-party", true }, { "3p", true },
		{ "all", false },      { "document", false },   { "doc", false },
		{ "popup", false },
	};

	for (size_t i = 0; i < MF_ARRAY_LEN(known); i++)
		if (mf_list_is(option, known[i].text))
			return known[i].in_exceptions || !except;
	return false;
}

/* What is behind the host: "^", "|", options. */
static bool is_whole_host(struct mf_text_span s, bool except)
{
	if (mf_list_begins(s, "^"))
		s = mf_list_skip(s, 1);
	if (mf_list_begins(s, "|"))
		s = mf_list_skip(s, 1);
	if (s.n == 0)
		return true;
	if (s.p[0] != '$')
		return false;
	for (s = mf_list_skip(s, 1); s.n;)
		if (!is_harmless(mf_list_trim(mf_list_cut(&s, is_comma)), except))
			return false;
	return true;
}

bool mf_list_adblock(struct mf_list_line *l, struct mf_text_span s)
{
	bool except = mf_list_begins(s, "@@");
	struct mf_text_span host;

	if (s.p[0] == '[' && s.p[s.n - 1] == ']' && memchr(s.p, ' ', s.n)) {
		l->adblock = true; /* [Adblock Plus 2.0] */
		return true;
	}
	if (!except && s.p[0] != '|')
		return false;
	l->adblock = true;
	if (except)
		s = mf_list_skip(s, 2);
	if (!mf_list_begins(s, "||")) {
		mf_list_leave_out(l); /* the beginning of an address, a path, a pattern */
		return true;
	}
	s = mf_list_skip(s, 2);
	host = (struct mf_text_span){ s.p, 0 };
	while (host.n < s.n && !strchr("^|$/?", s.p[host.n]))
		host.n++;
	if (is_whole_host(mf_list_skip(s, host.n), except))
		mf_list_take(l, MF_DOMAIN_BELOW, host, except);
	else
		mf_list_leave_out(l);
	return true;
}
