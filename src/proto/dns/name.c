/* SPDX-License-Identifier: Apache-2.0
 *
 * name - see name.h. The length of a label is below 64 and no capital letter is, so a name in wire
 * form can be put into lower case in one sweep, without looking where its labels are.
 */
#include "proto/dns/name.h"

#include "base/addr.h"
#include "base/endian.h"

enum {
	POINTER = 0xc0, /* the two upper bits of a pointer; 0x40 and 0x80 are reserved */
	/* A name has 127 labels at most, and a sane writer points once for each of them. */
	POINTERS_MAX = 127,
	HEADER = 12, /* no name begins in a message's header */
};

/* ---- Lower case ------------------------------------------------------------------------------ */

/* Eight bytes at a time: bit 7 of a sum tells whether its byte is at least 'A', or above 'Z'. */
static uint64_t lower8(uint64_t v)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
	uint64_t low = v & ~high;
	uint64_t capital = (low + (0x80 - 'A') * ones) & ~(low + (0x7f - 'Z') * ones) & ~v & high;

	return v | capital >> 2;
}

/* Lower case stays what it is, so the last eight may be those of the step before, in part. */
static void lower(uint8_t *b, size_t n)
{
	uint64_t v;

	for (size_t at = 0; n >= 8 && at < n; at += 8) {
		at = mf_min(at, n - 8);
		memcpy(&v, b + at, 8);
		v = lower8(v);
		memcpy(b + at, &v, 8);
	}
	for (size_t at = 0; n < 8 && at < n; at++)
		b[at] = (uint8_t)lower8(b[at]);
}

/* ---- In messages ----------------------------------------------------------------------------- */

/* The end of the labels that stand together at `at`: where the root or a pointer is. `left` is what
 * they may take, the root included. */
static mf_err skip_labels(struct mf_span msg, size_t at, size_t left, size_t *end)
{
	for (size_t start = at;; at += 1 + (size_t)msg.p[at]) {
		if (at - start >= left)
			return MF_E_MALFORMED;
		if (at >= msg.n)
			return MF_E_SHORT;
		if (msg.p[at] == 0 || msg.p[at] >= POINTER) {
			*end = at;
			return MF_OK;
		}
		if (msg.p[at] > MF_DNS_LABEL_MAX)
			return MF_E_MALFORMED;
	}
}

mf_err mf_dns_name_read(struct mf_span msg, size_t *at, struct mf_dns_name *out)
{
	size_t start = *at, end, n = 0, behind = 0;
	mf_err err;

	for (unsigned pointers = 0;; pointers++) {
		err = skip_labels(msg, start, MF_DNS_NAME_MAX - n, &end);
		if (err)
			return err;
		if (out)
			memcpy(out->b + n, msg.p + start, end - start);
		n += end - start;
		if (msg.p[end] == 0)
			break;
		if (msg.n - end < 2)
			return MF_E_SHORT;
		if (!behind)
			behind = end + 2;
		end = mf_load_be16(msg.p + end) & 0x3fff;
		/* Ever further back: there is no loop. */
		if (end >= start || end < HEADER || pointers == POINTERS_MAX)
			return MF_E_MALFORMED;
		start = end;
	}
	if (out) {
		out->b[n] = 0;
		out->n = (uint8_t)(n + 1);
		lower(out->b, n);
	}
	*at = behind ? behind : end + 1;
	return MF_OK;
}

bool mf_dns_name_below(const struct mf_dns_name *name, const struct mf_dns_name *zone)
{
	size_t at = 0, more;

	if (name->n < zone->n)
		return false;
	more = (size_t)name->n - zone->n;
	while (at < more)
		at += 1 + (size_t)name->b[at];
	return at == more && memcmp(name->b + at, zone->b, zone->n) == 0;
}

/* ---- As text --------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The byte that the text at *s stands for, *s moves behind it; -1: none. */
static int read_byte(const char **s, const char *end)
{
	const char *p = *s;
	int v;

	if (*p != '\\') {
		*s += 1;
		return *p > ' ' && *p < 0x7f ? *p : -1;
	}
	p++;
	if (p == end)
		return -1;
	if (!is_digit(*p)) {
		*s += 2;
		return *p >= ' ' && *p < 0x7f ? *p : -1;
	}
	if (end - p < 3 || !is_digit(p[1]) || !is_digit(p[2]))
		return -1;
	v = (p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0';
	*s += 4;
	return v <= 255 ? v : -1;
}

/* One label behind out->n, up to a dot or the end; *s moves there. */
static mf_err read_label(struct mf_dns_name *out, const char **s, const char *end)
{
	size_t at = (size_t)out->n + 1, n = 0;

	for (; *s < end && **s != '.'; n++) {
		int v = read_byte(s, end);

		if (v < 0)
			return MF_E_MALFORMED;
		/* A byte for the root must be left. */
		if (n == MF_DNS_LABEL_MAX || at + n >= MF_DNS_NAME_MAX - 1)
			return MF_E_RANGE;
		out->b[at + n] = (uint8_t)v;
	}
	if (!n)
		return MF_E_MALFORMED;
	out->b[out->n] = (uint8_t)n;
	out->n = (uint8_t)(at + n);
	return MF_OK;
}

mf_err mf_dns_name_parse(struct mf_dns_name *out, const char *text, size_t n)
{
	const char *s = text, *end = text + n;
	mf_err err;

	out->n = 0;
	if (n == 1 && *s == '.')
		s++;
	else if (!n)
		return MF_E_MALFORMED;
	while (s < end) {
		err = read_label(out, &s, end);
		if (err)
			return err;
		s += s < end;
	}
	lower(out->b, out->n);
	out->b[out->n++] = 0;
	return MF_OK;
}

static char *write_byte(char *s, uint8_t v)
{
	if (v <= ' ' || v >= 0x7f) {
		*s++ = '\\';
		*s++ = (char)('0' + v / 100);
		*s++ = (char)('0' + v / 10 % 10);
		*s++ = (char)('0' + v % 10);
		return s;
	}
	if (strchr(".\\\"();@$", v))
		*s++ = '\\';
	*s++ = (char)v;
	return s;
}

const char *mf_dns_name_format(const struct mf_dns_name *name, char out[MF_DNS_TEXT_MAX])
{
	char *s = out;

	for (size_t at = 0; name->b[at]; at += 1 + (size_t)name->b[at]) {
		if (at)
			*s++ = '.';
		for (size_t i = 1; i <= name->b[at]; i++)
			s = write_byte(s, name->b[at + i]);
	}
	if (s == out)
		*s++ = '.';
	*s = '\0';
	return out;
}

size_t mf_dns_name_host(const struct mf_dns_name *name, char out[MF_DNS_NAME_MAX])
{
	size_t at = 0, next = 0, n = (size_t)name->n - 1;
	uint8_t c;

	/* A label's length becomes the dot before it, and the first one nothing. */
	for (; at < n; at++) {
		c = name->b[at];
		if (at == next) {
			next += 1 + (size_t)c;
			c = '.';
		} else if (c <= ' ' || c == '.' || c == '\\' || c == 0x7f) {
			break;
		}
		if (at)
			out[at - 1] = (char)c;
	}
	n = at == n && n ? n - 1 : 0;
	out[n] = '\0';
	return n;
}

/* ---- Reverse names --------------------------------------------------------------------------- */

static const char zone4[] = "\7in-addr\4arpa", zone6[] = "\3ip6\4arpa";

static uint8_t *put_decimal(uint8_t *s, uint8_t v)
{
	uint8_t digits = v >= 100 ? 3 : v >= 10 ? 2 : 1;

	*s++ = digits;
	if (digits == 3)
		*s++ = (uint8_t)('0' + v / 100);
	if (digits >= 2)
		*s++ = (uint8_t)('0' + v / 10 % 10);
	*s++ = (uint8_t)('0' + v % 10);
	return s;
}

void mf_dns_name_reverse(struct mf_dns_name *out, const struct mf_addr *a)
{
	uint8_t *s = out->b;

	if (a->family == MF_AF_IP4) {
		for (size_t i = 4; i-- > 0;)
			s = put_decimal(s, a->b[i]);
		memcpy(s, zone4, sizeof(zone4));
		s += sizeof(zone4);
	} else {
		for (size_t i = 32; i-- > 0;) {
			*s++ = 1;
			*s++ = (uint8_t) "0123456789abcdef"[i % 2 ? a->b[i / 2] & 15 : a->b[i / 2] >> 4];
		}
		memcpy(s, zone6, sizeof(zone6));
		s += sizeof(zone6);
	}
	out->n = (uint8_t)(s - out->b);
}

/* A label that is a number as put_decimal writes it: 0 to 255, no leading zeros. Returns its
 * length; 0: it is none. */
static size_t get_decimal(const uint8_t *s, uint8_t *out)
{
	unsigned v = 0;

	if (s[0] < 1 || s[0] > 3 || (s[0] > 1 && s[1] == '0'))
		return 0;
	for (size_t i = 1; i <= s[0]; i++) {
		if (!is_digit((char)s[i]))
			return 0;
		v = v * 10 + s[i] - '0';
	}
	*out = (uint8_t)v;
	return v <= 255 ? 1u + s[0] : 0;
}

/* A label that is one hexadecimal digit; -1: it is none. */
static int get_nibble(const uint8_t *s)
{
	if (s[0] != 1)
		return -1;
	if (is_digit((char)s[1]))
		return s[1] - '0';
	return s[1] >= 'a' && s[1] <= 'f' ? s[1] - 'a' + 10 : -1;
}

static bool unreverse4(const struct mf_dns_name *name, size_t n, struct mf_addr *a)
{
	size_t at = 0;

	for (size_t i = 4; i-- > 0;) {
		size_t label = at < n ? get_decimal(name->b + at, &a->b[i]) : 0;

		if (!label)
			return false;
		at += label;
	}
	a->family = MF_AF_IP4;
	return at == n;
}

static bool unreverse6(const struct mf_dns_name *name, size_t n, struct mf_addr *a)
{
	if (n != 64)
		return false;
	for (size_t i = 0; i < 32; i++) {
		int v = get_nibble(name->b + 2 * i);

		if (v < 0)
			return false;
		a->b[15 - i / 2] |= (uint8_t)(i % 2 ? v << 4 : v);
	}
	a->family = MF_AF_IP6;
	return true;
}

bool mf_dns_name_unreverse(const struct mf_dns_name *name, struct mf_addr *a)
{
	*a = (struct mf_addr){ 0 };
	if (name->n > sizeof(zone4) &&
	    memcmp(name->b + name->n - sizeof(zone4), zone4, sizeof(zone4)) == 0)
		return unreverse4(name, name->n - sizeof(zone4), a);
	if (name->n > sizeof(zone6) &&
	    memcmp(name->b + name->n - sizeof(zone6), zone6, sizeof(zone6)) == 0)
		return unreverse6(name, name->n - sizeof(zone6), a);
	return false;
}
