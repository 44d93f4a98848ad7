/* SPDX-License-Identifier: Apache-2.0
 *
 * list_dnsmasq - dnsmasq's configuration: options that name domains between slashes, and what is
 * to become of them behind the last. All of them are taken alike.
 */
#include "policy/list_line.h"

static bool is_slash(char c)
{
	return c == '/';
}

static bool is_equals(char c)
{
	return c == '=';
}

static bool names_domains(struct mf_text_span option)
{
	static const char *const known[] = { "address", "server", "local", "ipset", "nftset" };

	for (size_t i = 0; i < MF_ARRAY_LEN(known); i++)
		if (mf_list_is(option, known[i]))
			return true;
	return false;
}

/* "word=" with nothing in the word but small letters, digits and hyphens. */
static bool is_option(struct mf_text_span s)
{
	size_t n = 0;

	while (n < s.n && ((s.p[n] >= 'a' && s.p[n] <= 'z') ||
			   (n && s.p[n] >= '0' && s.p[n] <= '9') || (n && s.p[n] == '-')))
		n++;
	return n && n < s.n && s.p[n] == '=';
}

bool mf_list_dnsmasq(struct mf_list_line *l, struct mf_text_span s)
{
	struct mf_text_span option;

	if (!is_option(s))
		return false;
	option = mf_list_cut(&s, is_equals);
	if (!names_domains(option) || s.n == 0 || s.p[0] != '/') {
		mf_list_leave_out(l); /* about no domain */
		return true;
	}
	s = mf_list_skip(s, 1);
	if (!memchr(s.p, '/', s.n))
		mf_list_wrong(l, "no / behind the domain");
	while (memchr(s.p, '/', s.n)) {
		struct mf_text_span name = mf_list_trim(mf_list_cut(&s, is_slash));

		if (name.n == 0 || mf_list_is(name, "#"))
			mf_list_leave_out(l); /* names without dots, all names */
		else
			mf_list_take(l, MF_DOMAIN_BELOW, name, false);
	}
	return true;
}
