/* SPDX-License-Identifier: Apache-2.0
 *
 * list_plain - the formats that have little but names: plain lists, v2fly's, hosts files, and
 * prefixes.
 */
#include "policy/list_line.h"

/* A token in a buffer of its own, for functions that want a NUL. */
static bool copy_token(struct mf_text_span s, char *out, size_t cap)
{
	if (s.n >= cap)
		return false;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

/* A quick look, as most words are names. */
static bool may_be_address(struct mf_text_span s)
{
	return s.n && ((s.p[0] >= '0' && s.p[0] <= '9') || s.p[0] == '[' || memchr(s.p, ':', s.n));
}

/* An address or prefix, also with ",no-resolve" behind it, a zone (fe80::1%lo0), or, left out, a
 * port. */
enum found { NOTHING, ADDRESS, PREFIX, WITH_PORT, BAD_ADDRESS, BAD_LENGTH };

static enum found read_prefix(struct mf_text_span s, struct mf_prefix *p)
{
	char text[MF_PREFIX_STRLEN + sizeof(",no-resolve")], *extra;
	struct mf_endpoint e;

	if (!may_be_address(s) || !copy_token(s, text, sizeof(text)))
		return NOTHING;
	if (mf_endpoint_parse(&e, text) == MF_OK)
		return WITH_PORT;
	extra = strchr(text, ',');
	if (extra && strcmp(extra, ",no-resolve") != 0)
		return NOTHING;
	if (extra)
		*extra = '\0';
	extra = strchr(text, '%');
	if (extra && strchr(text, ':'))
		*extra = '\0';
	if (mf_prefix_parse(p, text) == MF_OK)
		return strchr(text, '/') ? PREFIX : ADDRESS;
	extra = strchr(text, '/');
	if (!extra || strspn(extra + 1, "0123456789") != strlen(extra + 1))
		return NOTHING; /* perhaps a path */
	*extra = '\0';
	if (mf_prefix_parse(p, text) == MF_OK)
		return BAD_LENGTH;
	return strspn(text, "0123456789.") == strlen(text) ? BAD_ADDRESS : NOTHING;
}

/* Where names of a hosts file lead that are to lead nowhere: 0/8, 127/8, ::, ::1. Others are
 * machines. */
static bool is_sink(const struct mf_addr *a)
{
	static const uint8_t zeros[15];

	if (a->family == MF_AF_IP4)
		return a->b[0] == 0 || a->b[0] == 127;
	return memcmp(a->b, zeros, 15) == 0 && a->b[15] <= 1;
}

/* Names that every hosts file gives to the machine itself and its networks. */
static bool is_own_name(struct mf_text_span s)
{
	static const char *const own[] = {
		"localhost",      "localhost.localdomain", "localhost4",      "localhost6",
		"local",          "localdomain",           "broadcasthost",   "ip6-localhost",
		"ip6-loopback",   "ip6-localnet",          "ip6-mcastprefix", "ip6-allnodes",
		"ip6-allrouters", "ip6-allhosts",          "0.0.0.0",
	};

	for (size_t i = 0; i < MF_ARRAY_LEN(own); i++)
		if (mf_list_is(s, own[i]))
			return true;
	return false;
}

bool mf_list_hosts(struct mf_list_line *l, struct mf_text_span s)
{
	struct mf_text_span word = mf_list_word(&s);
	struct mf_prefix p;
	enum found found = read_prefix(word, &p);

	if (found == NOTHING)
		return false;
	if (found == WITH_PORT) {
		mf_list_leave_out(l);
	} else if (found == BAD_ADDRESS) {
		mf_list_wrong(l, "not a prefix");
	} else if (found == BAD_LENGTH) {
		mf_list_wrong(l, "no prefix has that length");
	} else if (mf_list_ends(s)) {
		mf_list_take_prefix(l, &p);
	} else if (found == PREFIX) {
		mf_list_wrong(l, "a prefix with something behind it");
	} else {
		while (!mf_list_ends(s)) {
			word = mf_list_word(&s);
			if (is_own_name(word) || !is_sink(&p.addr))
				mf_list_leave_out(l);
			else
				mf_list_take(l, MF_DOMAIN_BELOW, word, false);
		}
	}
	return true;
}

/* Behind an entry: attributes (@ads, &group) and a comment, or nothing. */
static bool only_attributes(struct mf_text_span s)
{
	while (!mf_list_ends(s))
		if (!strchr("@&", mf_list_word(&s).p[0]))
			return false;
	return true;
}

/* "example.com:@ads": the attribute at once, as in the lists that are made from v2fly's. */
static struct mf_text_span without_attribute(struct mf_text_span s)
{
	for (size_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == ':' && s.p[i + 1] == '@')
			s.n = i;
	return s;
}

bool mf_list_v2fly(struct mf_list_line *l, struct mf_text_span s)
{
	enum mf_domain_kind kind;
	struct mf_text_span word;

	if (mf_list_begins(s, "include:")) {
		mf_list_wrong(l, "another list is included; add it as a file of its own");
		return true;
	}
	if (!mf_list_kind(&s, &kind))
		return false;
	word = mf_list_word(&s);
	if (only_attributes(s))
		mf_list_take(l, kind, without_attribute(word), false);
	else
		mf_list_wrong(l, "more than one entry");
	return true;
}

/* A byte that no name, but a rule about paths or elements has. */
static bool is_rule(struct mf_text_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (strchr("/^|$=?~", s.p[i]))
			return true;
	return false;
}

static bool is_hash(char c)
{
	return c == '#';
}

void mf_list_plain(struct mf_list_line *l, struct mf_text_span s)
{
	struct mf_text_span word = mf_list_word(&s), rest = word;
	struct mf_text_span name = mf_list_cut(&rest, is_hash);
	bool comment = name.n < word.n;

	if (rest.n && strchr("#@?$%", rest.p[0]))
		mf_list_leave_out(l); /* example.com##.banner */
	else if (is_rule(name) && (l->adblock || memchr(name.p, '/', name.n)))
		mf_list_leave_out(l); /* example.com/path, &banner= */
	else if (!comment && !only_attributes(s))
		mf_list_wrong(l, "more than one name");
	else
		mf_list_take(l, MF_DOMAIN_BELOW, name, false);
}
