/* SPDX-License-Identifier: Apache-2.0
 *
 * The parsers are our own so that every system reads the same texts: no leading zeros, no octal, no
 * short forms of IPv4, nothing before or after.
 */
#include "base/addr.h"

#include <stdio.h>

bool mf_addr_equal(const struct mf_addr *a, const struct mf_addr *b)
{
	return a->family == b->family && memcmp(a->b, b->b, mf_addr_len(a)) == 0;
}

bool mf_endpoint_equal(const struct mf_endpoint *a, const struct mf_endpoint *b)
{
	return a->port == b->port && a->scope_id == b->scope_id && mf_addr_equal(&a->addr, &b->addr);
}

bool mf_addr_is_unspecified(const struct mf_addr *a)
{
	static const uint8_t zero[sizeof(a->b)];

	return !memcmp(a->b, zero, sizeof(zero));
}

static bool ip4_is_private(const uint8_t *b)
{
	return b[0] == 0 || b[0] == 10 || b[0] == 127 || (b[0] == 100 && b[1] >> 6 == 1) ||
	       (b[0] == 169 && b[1] == 254) || (b[0] == 172 && b[1] >> 4 == 1) ||
	       (b[0] == 192 && b[1] == 168);
}

/* "::", "::1", "fc00::/7", "fe80::/10", and IPv4 addresses in disguise. */
static bool ip6_is_private(const uint8_t *b)
{
	static const uint8_t zero[15], mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(b, mapped, sizeof(mapped)) == 0)
		return ip4_is_private(b + 12);
	return b[0] >> 1 == 0xfc >> 1 || (b[0] == 0xfe && b[1] >> 6 == 2) ||
	       (memcmp(b, zero, sizeof(zero)) == 0 && b[15] <= 1);
}

bool mf_addr_is_private(const struct mf_addr *a)
{
	return a->family == MF_AF_IP4 ? ip4_is_private(a->b) : ip6_is_private(a->b);
}

struct mf_prefix mf_prefix_mask(struct mf_prefix p)
{
	size_t whole = p.len / 8, n = mf_addr_len(&p.addr);

	for (size_t i = whole; i < n; i++) {
		uint8_t keep = i == whole ? (uint8_t)(0xff00 >> (p.len % 8)) : 0;

		p.addr.b[i] &= keep;
	}
	return p;
}

bool mf_prefix_equal(const struct mf_prefix *a, const struct mf_prefix *b)
{
	return a->len == b->len && mf_addr_equal(&a->addr, &b->addr);
}

bool mf_prefix_contains(const struct mf_prefix *p, const struct mf_addr *a)
{
	size_t whole = p->len / 8;
	uint8_t last;

	MF_ASSERT(p->len <= 8 * mf_addr_len(&p->addr));
	if (p->addr.family != a->family || memcmp(p->addr.b, a->b, whole) != 0)
		return false;
	if (p->len % 8 == 0)
		return true;
	last = (uint8_t)(0xff00 >> (p->len % 8));
	return ((p->addr.b[whole] ^ a->b[whole]) & last) == 0;
}

/* Reads a decimal number of 1 to 10 digits without leading zeros, at most max; moves *s behind it. */
static bool read_decimal(const char **s, const char *end, uint32_t max, uint32_t *out)
{
	const char *p = *s;
	uint64_t v = 0;

	while (p < end && *p >= '0' && *p <= '9' && p - *s < 10)
		v = v * 10 + (uint64_t)(*p++ - '0');
	if (p == *s || (**s == '0' && p - *s > 1) || v > max)
		return false;
	*s = p;
	*out = (uint32_t)v;
	return true;
}

/* Exactly four numbers up to `end`. */
static bool read_ip4(const char *s, const char *end, uint8_t out[4])
{
	for (size_t i = 0; i < 4; i++) {
		uint32_t v;

		if (i && (s == end || *s++ != '.'))
			return false;
		if (!read_decimal(&s, end, 255, &v))
			return false;
		out[i] = (uint8_t)v;
	}
	return s == end;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads up to four hex digits; returns how many. */
static size_t read_group(const char *s, const char *end, uint8_t out[2])
{
	unsigned v = 0;
	size_t n = 0;

	while (n < 4 && s + n < end && hex_digit(s[n]) >= 0)
		v = v << 4 | (unsigned)hex_digit(s[n++]);
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
	return n;
}

/* RFC 4291, 2.2: eight groups, "::" once for one or more groups of zeros, dotted IPv4 as the last two. */
static bool read_ip6(const char *s, const char *end, uint8_t out[16])
{
	size_t n = 0, gap = SIZE_MAX;
	uint8_t b[16];

	if (end - s >= 2 && s[0] == ':' && s[1] == ':') {
		gap = 0;
		s += 2;
	}
	while (s < end) {
		size_t digits;

		if (n + 2 > sizeof(b))
			return false;
		digits = read_group(s, end, b + n);
		if (!digits)
			return false;
		if (s + digits < end && s[digits] == '.') {
			if (n + 4 > sizeof(b) || !read_ip4(s, end, b + n))
				return false;
			n += 4;
			break;
		}
		n += 2;
		s += digits;
		if (s == end)
			break;
		if (*s++ != ':' || s == end)
			return false;
		if (*s == ':') {
			if (gap != SIZE_MAX)
				return false;
			gap = n;
			s++;
		}
	}
	if (gap == SIZE_MAX ? n != sizeof(b) : n > sizeof(b) - 2)
		return false;
	if (gap == SIZE_MAX)
		gap = n;
	memset(out, 0, 16);
	memcpy(out, b, gap);
	memcpy(out + 16 - (n - gap), b + gap, n - gap);
	return true;
}

static mf_err read_addr(struct mf_addr *a, const char *s, const char *end)
{
	*a = (struct mf_addr){ 0 };
	if (memchr(s, ':', (size_t)(end - s))) {
		if (!read_ip6(s, end, a->b))
			return MF_E_MALFORMED;
		a->family = MF_AF_IP6;
		return MF_OK;
	}
	if (!read_ip4(s, end, a->b)) {
		*a = (struct mf_addr){ 0 };
		return MF_E_MALFORMED;
	}
	a->family = MF_AF_IP4;
	return MF_OK;
}

mf_err mf_addr_parse(struct mf_addr *a, const char *text)
{
	return read_addr(a, text, text + strlen(text));
}

mf_err mf_prefix_parse(struct mf_prefix *p, const char *text)
{
	const char *end = text + strlen(text), *slash = memchr(text, '/', (size_t)(end - text));
	uint32_t len;

	if (read_addr(&p->addr, text, slash ? slash : end) != MF_OK)
		return MF_E_MALFORMED;
	p->len = (uint8_t)mf_addr_bits(&p->addr);
	if (!slash)
		return MF_OK;
	slash++;
	if (!read_decimal(&slash, end, p->len, &len) || slash != end)
		return MF_E_MALFORMED;
	p->len = (uint8_t)len;
	return MF_OK;
}

static bool is_link_local(const struct mf_addr *a)
{
	return a->family == MF_AF_IP6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* "address" or "address%index", from within the brackets. */
static mf_err read_scoped(struct mf_endpoint *e, const char *s, const char *end)
{
	const char *percent = memchr(s, '%', (size_t)(end - s));

	if (read_addr(&e->addr, s, percent ? percent : end) != MF_OK || e->addr.family != MF_AF_IP6)
		return MF_E_MALFORMED;
	if (!percent)
		return MF_OK;
	percent++;
	if (!is_link_local(&e->addr) || !read_decimal(&percent, end, UINT32_MAX, &e->scope_id) ||
	    percent != end || !e->scope_id)
		return MF_E_MALFORMED;
	return MF_OK;
}

mf_err mf_endpoint_parse(struct mf_endpoint *e, const char *text)
{
	const char *end = text + strlen(text), *colon = strrchr(text, ':');
	uint32_t port;

	*e = (struct mf_endpoint){ 0 };
	if (!colon)
		return MF_E_MALFORMED;
	if (*text == '[') {
		if (colon[-1] != ']' || read_scoped(e, text + 1, colon - 1) != MF_OK)
			return MF_E_MALFORMED;
	} else if (read_addr(&e->addr, text, colon) != MF_OK || e->addr.family != MF_AF_IP4) {
		return MF_E_MALFORMED;
	}
	colon++;
	if (!read_decimal(&colon, end, UINT16_MAX, &port) || colon != end)
		return MF_E_MALFORMED;
	e->port = (uint16_t)port;
	return MF_OK;
}

/* The longest run of at least two zero groups, the first of equals (RFC 5952, 4.2). */
static void longest_zeros(const uint8_t b[16], unsigned *start, unsigned *len)
{
	unsigned run = 0;

	*start = *len = 0;
	for (unsigned g = 0; g < 8; g++) {
		run = b[2 * g] || b[2 * g + 1] ? 0 : run + 1;
		if (run > *len && run >= 2) {
			*len = run;
			*start = g + 1 - run;
		}
	}
}

static void format_ip6(const uint8_t b[16], char *out, size_t size)
{
	unsigned start, len, groups = 8;
	size_t n = 0;

	longest_zeros(b, &start, &len);
	/* IPv4-mapped and IPv4-compatible: dotted, as other tools print them (RFC 5952, 5). */
	if (start == 0 && (len == 6 || (len == 5 && b[10] == 0xff && b[11] == 0xff)))
		groups = 6;
	for (unsigned g = 0; g < groups; g++) {
		if (len && g == start) {
			n += (size_t)snprintf(out + n, size - n, "::");
			g += len - 1;
			continue;
		}
		n += (size_t)snprintf(out + n, size - n, "%s%x",
				      g == 0 || (len && g == start + len) ? "" : ":",
				      (unsigned)b[2 * g] << 8 | b[2 * g + 1]);
	}
	if (groups == 6)
		snprintf(out + n, size - n, "%s%u.%u.%u.%u", len == 6 ? "" : ":", b[12], b[13],
			 b[14], b[15]);
}

const char *mf_addr_format(const struct mf_addr *a, char out[MF_ADDR_STRLEN])
{
	if (a->family == MF_AF_IP6)
		format_ip6(a->b, out, MF_ADDR_STRLEN);
	else if (a->family == MF_AF_IP4)
		snprintf(out, MF_ADDR_STRLEN, "%u.%u.%u.%u", a->b[0], a->b[1], a->b[2], a->b[3]);
	else
		snprintf(out, MF_ADDR_STRLEN, "(none)");
	return out;
}

const char *mf_prefix_format(const struct mf_prefix *p, char out[MF_PREFIX_STRLEN])
{
	char addr[MF_ADDR_STRLEN];

	snprintf(out, MF_PREFIX_STRLEN, "%s/%u", mf_addr_format(&p->addr, addr), p->len);
	return out;
}

const char *mf_endpoint_format(const struct mf_endpoint *e, char out[MF_ENDPOINT_STRLEN])
{
	char addr[MF_ADDR_STRLEN], scope[12] = "";

	mf_addr_format(&e->addr, addr);
	if (e->addr.family == MF_AF_NONE)
		return memcpy(out, addr, strlen(addr) + 1);
	if (e->scope_id)
		snprintf(scope, sizeof(scope), "%%%u", e->scope_id);
	snprintf(out, MF_ENDPOINT_STRLEN, e->addr.family == MF_AF_IP6 ? "[%s%s]:%u" : "%s%s:%u",
		 addr, scope, e->port);
	return out;
}
