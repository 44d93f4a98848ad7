/* SPDX-License-Identifier: Apache-2.0
 *
 * value - the text forms of single values (see value.h).
 */
#include "config/value.h"

#include "config/errors.h"
#include "policy/list.h"

#include <stdio.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* Digits of a base; *end is behind the last one. False: none, or more than 64 bits. */
static bool digits(const char *text, unsigned base, uint64_t *out, const char **end)
{
	uint64_t n = 0;
	const char *p = text;

	for (; (unsigned)digit(*p) < base; p++)
		if (__builtin_mul_overflow(n, base, &n) ||
		    __builtin_add_overflow(n, (uint64_t)digit(*p), &n))
			return false;
	*out = n;
	*end = p;
	return p > text;
}

bool mf_value_number(const char *text, uint64_t *out)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *end;

	return digits(hex ? text + 2 : text, hex ? 16 : 10, out, &end) && !*end;
}

bool mf_value_bytes(const char *text, uint64_t *out)
{
	static const char units[] = "KMG";
	const char *end, *unit;
	unsigned shift;
	uint64_t n;

	if (!digits(text, 10, &n, &end))
		return false;
	while (*end == ' ')
		end++;
	*out = n;
	if (!*end)
		return true;
	unit = strchr(units, *end >= 'a' && *end <= 'z' ? *end - 32 : *end);
	if (!unit || (end[1] && strcmp(end + 1, "iB") != 0))
		return false;
	shift = 10 * (unsigned)(unit - units + 1);
	*out = n << shift;
	return *out >> shift == n;
}

void mf_value_print_bytes(uint64_t n, struct mf_text *out)
{
	static const char *const unit[] = { "", "KiB", "MiB", "GiB" };
	size_t i = 0;

	for (; i + 1 < MF_ARRAY_LEN(unit) && n && !(n & 1023); i++)
		n >>= 10;
	mf_text_printf(out, "%llu%s", (unsigned long long)n, unit[i]);
}

static const struct {
	const char *name;
	uint64_t ms;
} time_units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};

bool mf_value_time(const char *text, uint64_t *out)
{
	const char *end;
	uint64_t n;

	if (!digits(text, 10, &n, &end))
		return false;
	while (*end == ' ')
		end++;
	for (size_t i = 0; i < MF_ARRAY_LEN(time_units); i++)
		if (!strcmp(*end ? end : "s", time_units[i].name))
			return !__builtin_mul_overflow(n, time_units[i].ms, out);
	return false;
}

void mf_value_print_time(uint64_t ms, struct mf_text *out)
{
	size_t i = 0;

	while (ms % time_units[i].ms)
		i++;
	mf_text_printf(out, "%llu%s", (unsigned long long)(ms / time_units[i].ms),
		       ms ? time_units[i].name : "s");
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool mf_value_name(const char *text)
{
	size_t n = strlen(text);

	if (n < 1 || n > MF_CONFIG_NAME_MAX || !strcmp(text, ".") || !strcmp(text, ".."))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(text[i]) && !strchr("_=+.-", text[i]))
			return false;
	return true;
}

/* One that ends in a number would be a mistyped address (WHATWG URL, "ends in a number"). */
const char *mf_value_hostname(const char *name, size_t n)
{
	size_t label = 0;
	bool number = true;

	if (n && name[n - 1] == '.')
		n--;
	if (!n)
		return "the host is missing";
	if (n > 253)
		return "the host is longer than 253 bytes";
	for (size_t i = 0; i < n; i++) {
		if (name[i] == '.') {
			if (!label)
				return "the host has an empty label";
			label = 0;
			number = true;
			continue;
		}
		if (!is_alnum(name[i]) && name[i] != '-' && name[i] != '_')
			return "the host has a character that no host name has";
		if (++label > 63)
			return "the host has a label of more than 63 bytes";
		number = number && name[i] >= '0' && name[i] <= '9';
	}
	if (!label)
		return "the host has an empty label";
	return number ? "the host is neither a name nor a complete IPv4 address" : NULL;
}

static bool is_many(const struct mf_addr *a)
{
	return a->family == MF_AF_IP4 ? a->b[0] >= 224 : a->b[0] == 0xff;
}

static const char *check_address(const struct mf_addr *a)
{
	if (mf_addr_is_unspecified(a))
		return "the unspecified address is nobody's";
	if (is_many(a))
		return "a multicast or broadcast address cannot be an endpoint";
	return NULL;
}

/* A text cut at its colon. */
struct host_port {
	const char *host; /* without brackets */
	size_t n;
	bool brackets;
	uint16_t port;
};

static const char *split(const char *text, struct host_port *out, const char **port)
{
	const char *colon = strrchr(text, ':');

	*out = (struct host_port){ .host = text, .brackets = text[0] == '[' };
	*port = NULL;
	if (strchr(text, '@'))
		return "no user and no password belong in front of the host";
	if (strstr(text, "://"))
		return "no scheme belongs in front of the host";
	if (out->brackets) {
		const char *close = strchr(text, ']');

		if (!close)
			return "the closing ] is missing";
		if (close[1] && close[1] != ':')
			return "after the ] only a port can follow";
		out->host = text + 1;
		out->n = (size_t)(close - out->host);
		*port = close[1] ? close + 2 : NULL;
		return NULL;
	}
	out->n = colon ? (size_t)(colon - text) : strlen(text);
	*port = colon ? colon + 1 : NULL;
	if (memchr(text, ':', out->n))
		return "an IPv6 address goes into brackets, as in [2001:db8::1]:51820";
	return NULL;
}

/* `port`: the one to take where none is written; 0: it must be. */
static const char *cut(const char *text, uint16_t port, struct host_port *out)
{
	const char *digits, *bad = split(text, out, &digits);
	uint64_t number = port;

	if (bad)
		return bad;
	if (!digits && !port)
		return "the port is missing";
	if (digits && (!mf_value_number(digits, &number) || number < 1 || number > 65535))
		return "the port is not 1..65535";
	out->port = (uint16_t)number;
	return NULL;
}

static bool address_of(const struct host_port *hp, struct mf_endpoint *out)
{
	char text[2 * MF_ENDPOINT_STRLEN];

	if (hp->n >= MF_ENDPOINT_STRLEN)
		return false;
	(void)snprintf(text, sizeof(text), hp->brackets ? "[%.*s]:%u" : "%.*s:%u", (int)hp->n,
		       hp->host, hp->port);
	return mf_endpoint_parse(out, text) == MF_OK;
}

const char *mf_value_host_port(const char *text, uint16_t port, struct mf_config_arena *arena,
			       struct mf_config_host *out)
{
	struct host_port hp;
	const char *bad = cut(text, port, &hp);

	if (bad)
		return bad;
	out->port = hp.port;
	out->is_addr = address_of(&hp, &out->addr);
	if (out->is_addr)
		bad = check_address(&out->addr.addr);
	else if (hp.brackets)
		bad = "what is in the brackets is not an IPv6 address";
	else
		bad = mf_value_hostname(hp.host, hp.n);
	if (bad)
		return bad;
	out->host = mf_config_arena_text(arena, hp.host, hp.n);
	return NULL;
}

const char *mf_value_host(const char *text, struct mf_config_arena *arena, struct mf_config_host *out)
{
	return mf_value_host_port(text, 0, arena, out);
}

const char *mf_value_listen(const char *text, uint16_t port, struct mf_endpoint *out)
{
	struct host_port hp;
	const char *bad;

	*out = (struct mf_endpoint){ .port = port };
	if (mf_addr_parse(&out->addr, text)) {
		bad = cut(text, port, &hp);
		if (bad)
			return bad;
		if (!address_of(&hp, out))
			return "it is not an address";
	}
	return is_many(&out->addr) ? "nobody can listen on a multicast or broadcast address" : NULL;
}

const char *mf_value_domain(const char *text, struct mf_config_arena *arena, struct mf_errbuf *why)
{
	char quoted[MF_CONFIG_QUOTE_LEN], name[MF_LIST_LINE_MAX];
	enum mf_domain_kind kind;
	struct mf_errbuf reason = { "a domain, and nothing in front of it, is expected" };

	/* entries of lists may have more than the name: full:, *. and their like */
	if (!strchr(text, ':') && !strchr("*+.", text[0]) &&
	    !mf_list_entry(text, strlen(text), &kind, name, sizeof(name), &reason))
		return mf_config_arena_text(arena, name, strlen(name));
	(void)mf_fail(why, MF_E_MALFORMED, "%s: %s", mf_config_quote(text, quoted), reason.text);
	return NULL;
}

const char *mf_value_url(const char *text)
{
	static const char *const schemes[] = { "https://", "http://" };
	enum { LONGEST = 2048 };
	struct mf_endpoint addr;
	struct host_port hp;
	const char *host = NULL, *bad;
	char copy[256 + 8] = "";
	size_t n;

	for (size_t i = 0; i < MF_ARRAY_LEN(schemes); i++)
		if (!strncmp(text, schemes[i], strlen(schemes[i])))
			host = text + strlen(schemes[i]);
	if (!host)
		return "it must begin with https:// or http://";
	if (strlen(text) > LONGEST)
		return "it is longer than 2048 bytes";
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return "it has a character that must be written as %XX";
	n = strcspn(host, "/?#");
	if (memchr(host, '@', n))
		return "a user's name and password cannot go in here";
	if (n >= sizeof(copy))
		return "the host is longer than 253 bytes";
	memcpy(copy, host, n);
	bad = cut(copy, 443, &hp);
	if (bad || address_of(&hp, &addr))
		return bad;
	return hp.brackets ? "what is in the brackets is not an IPv6 address"
			   : mf_value_hostname(hp.host, hp.n);
}

bool mf_value_visible(const char *text)
{
	const char *p = text;

	while (*p > ' ' && *p <= '~')
		p++;
	return p > text && !*p;
}

bool mf_value_token(const char *text)
{
	const char *p = text;

	while (*p && (is_alnum(*p) || strchr("!#$%&'*+-.^_`|~", *p)))
		p++;
	return p > text && !*p;
}

bool mf_value_field(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if ((text[i] < ' ' || text[i] > '~') && text[i] != '\t')
			return false;
	return !n || (mf_value_visible((char[]){ text[0], '\0' }) &&
		      mf_value_visible((char[]){ text[n - 1], '\0' }));
}

const char *mf_value_path(const char *text)
{
	enum { LONGEST = 2048 };

	if (text[0] != '/')
		return "it must begin with /";
	if (strlen(text) > LONGEST)
		return "it is longer than 2048 bytes";
	if (!mf_value_visible(text) || strchr(text, '#'))
		return "it has a character that must be written as %XX";
	return NULL;
}

mf_err mf_value_prefix(const char *text, struct mf_prefix *out, struct mf_errbuf *why)
{
	char quoted[MF_CONFIG_QUOTE_LEN], masked_text[MF_PREFIX_STRLEN], host[MF_ADDR_STRLEN];
	struct mf_prefix masked;

	if (mf_prefix_parse(out, text))
		return mf_fail(why, MF_E_MALFORMED,
			       "%s is not a prefix such as 10.20.0.0/16 or 2001:db8::/32%s",
			       mf_config_quote(text, quoted),
			       strchr(text, ',') ? "; several go into a list: [a, b]" : "");
	masked = mf_prefix_mask(*out);
	if (!mf_prefix_equal(&masked, out))
		return mf_fail(
			why, MF_E_RANGE,
			"%s has bits set behind its length; write %s, or %s for the one address",
			mf_config_quote(text, quoted), mf_prefix_format(&masked, masked_text),
			mf_addr_format(&out->addr, host));
	return MF_OK;
}

/* What a YAML reader might take for something else than text. */
static bool misread(const char *text)
{
	static const char *const words[] = { "null", "true", "false", "yes",  "no",
					     "on",   "off",  "Null",  "True", "False" };

	if (!is_alnum(text[0]) && text[0] != '/' && text[0] != '.' && text[0] != '_')
		return true;
	for (size_t i = 0; i < MF_ARRAY_LEN(words); i++)
		if (!strcmp(text, words[i]))
			return true;
	for (const char *p = text; *p; p++)
		if (!is_alnum(*p) && !strchr("/._=+-", *p))
			return true;
	return !strncmp(text, "...", 3);
}

/* One UTF-8 sequence, which the reader has already found to be well-formed. */
static uint32_t code_point(const unsigned char **p)
{
	uint32_t c = *(*p)++;
	unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

	if (more)
		c &= 0x3fu >> more;
	while (more-- && (**p & 0xc0) == 0x80)
		c = c << 6 | (*(*p)++ & 0x3f);
	return c;
}

/* The length of the sequence at p, 0: it is none (RFC 3629, section 4), or a control character. */
static size_t sequence(const unsigned char *p, size_t room)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80   ? 1
		   : *p < 0xc2 ? 0
		   : *p < 0xe0 ? 2
		   : *p < 0xf0 ? 3
		   : *p < 0xf5 ? 4
			       : 0;
	uint32_t c;

	if (!n || n > room)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	c = code_point(&p);
	if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xe000) || c < least[n] ||
	    c > 0x10ffff || c == 0x2028 || c == 0x2029 || c == 0xfffe || c == 0xffff || c == 0xfeff)
		return 0;
	return n;
}

bool mf_value_printable(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t len; n; p += len, n -= len) {
		len = sequence(p, n);
		if (!len)
			return false;
	}
	return true;
}

/* Unicode's Bidi_Control. */
static bool turns_writing(uint32_t c)
{
	return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

size_t mf_value_shown(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = n ? sequence(p, n) : 0;

	return len && !turns_writing(code_point(&p)) ? len : 0;
}

void mf_value_print_scalar(const char *text, struct mf_text *out)
{
	if (!misread(text)) {
		mf_text_add(out, text, strlen(text));
		return;
	}
	mf_text_add(out, "\"", 1);
	for (const unsigned char *p = (const unsigned char *)text; *p;) {
		uint32_t c = code_point(&p);

		if (c == '"' || c == '\\')
			mf_text_printf(out, "\\%c", (char)c);
		else if (c >= 0x20 && c < 0x7f)
			mf_text_printf(out, "%c", (char)c);
		else if (c < 0x100)
			mf_text_printf(out, "\\x%02x", c);
		else
			mf_text_printf(out, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
	}
	mf_text_add(out, "\"", 1);
}
