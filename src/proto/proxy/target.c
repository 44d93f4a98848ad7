/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/proxy/target.h"

#include "base/cursor.h"

enum { LABEL_MAX = 63, PORT_LEN = 2 };

/* What an encoding writes for each kind of address. */
struct types {
	uint8_t ip4, name, ip6;
};
static const struct types socks = { .ip4 = 1, .name = 3, .ip6 = 4 };
static const struct types v2 = { .ip4 = 1, .name = 2, .ip6 = 3 };

/* ---- Names ----------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_';
}

/* Decimal or hexadecimal digits after "0x": many take a name that ends so for an address, as
 * "127.1". */
static bool is_number(const char *label, size_t n)
{
	bool hex = n >= 2 && label[0] == '0' && (label[1] | 0x20) == 'x';

	for (size_t i = hex ? 2 : 0; i < n; i++) {
		char c = (char)(label[i] | 0x20);

		if (!is_digit(label[i]) && !(hex && c >= 'a' && c <= 'f'))
			return false;
	}
	return true;
}

/* A host name (RFC 1123 2.1), underscores included. */
static bool is_name(const char *s, size_t n)
{
	size_t label = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '.' ? !label : !is_name_char(s[i]) || label == LABEL_MAX)
			return false;
		label = s[i] == '.' ? 0 : label + 1;
	}
	return label && !is_number(s + n - label, label);
}

struct mf_proxy_target mf_proxy_target(const char *name, const struct mf_endpoint *addr)
{
	struct mf_proxy_target t = { .addr = *addr };
	size_t n = name ? strnlen(name, MF_TARGET_NAME_MAX + 2) : 0;

	if (n && name[n - 1] == '.')
		n--; /* of the root */
	if (n > MF_TARGET_NAME_MAX || !is_name(name, n))
		return t;
	t.name = name;
	t.name_n = (uint8_t)n;
	return t;
}

/* ---- Writing --------------------------------------------------------------------------------- */

size_t mf_target_len(const struct mf_proxy_target *t)
{
	return 1 + (t->name ? 1 + (size_t)t->name_n : mf_addr_len(&t->addr.addr)) + PORT_LEN;
}

/* Type and address; returns how many bytes. */
static size_t put(const struct mf_proxy_target *t, const struct types *type, uint8_t *out)
{
	size_t n = mf_addr_len(&t->addr.addr);

	if (t->name) {
		out[0] = type->name;
		out[1] = t->name_n;
		memcpy(out + 2, t->name, t->name_n);
		return 2 + (size_t)t->name_n;
	}
	MF_ASSERT(n);
	out[0] = t->addr.addr.family == MF_AF_IP4 ? type->ip4 : type->ip6;
	memcpy(out + 1, t->addr.addr.b, n);
	return 1 + n;
}

size_t mf_target_put_socks(const struct mf_proxy_target *t, uint8_t *out)
{
	size_t n = put(t, &socks, out);

	mf_store_be16(out + n, t->addr.port);
	return n + PORT_LEN;
}

size_t mf_target_put_v2(const struct mf_proxy_target *t, uint8_t *out)
{
	mf_store_be16(out, t->addr.port);
	return PORT_LEN + put(t, &v2, out + PORT_LEN);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Type and address. */
static mf_err get(struct mf_rd *r, const struct types *type, struct mf_proxy_target *t)
{
	uint8_t kind = mf_rd_u8(r), n;
	const uint8_t *p;

	if (r->failed)
		return MF_E_SHORT;
	if (kind == type->name) {
		n = mf_rd_u8(r);
		if (!r->failed && !n)
			return MF_E_MALFORMED;
		t->name = (const char *)mf_rd_bytes(r, n);
		t->name_n = n;
		return t->name && n ? MF_OK : MF_E_SHORT;
	}
	if (kind != type->ip4 && kind != type->ip6)
		return MF_E_MALFORMED;
	p = mf_rd_bytes(r, kind == type->ip4 ? 4 : 16);
	if (!p)
		return MF_E_SHORT;
	t->addr.addr = kind == type->ip4 ? mf_addr_ip4(p) : mf_addr_ip6(p);
	return MF_OK;
}

mf_err mf_target_get_socks(struct mf_span in, struct mf_proxy_target *t, size_t *used)
{
	struct mf_rd r = mf_rd_init(in);
	mf_err e;

	*t = (struct mf_proxy_target){ 0 };
	e = get(&r, &socks, t);
	if (e)
		return e;
	t->addr.port = mf_rd_be16(&r);
	*used = (size_t)(r.p - in.p);
	return r.failed ? MF_E_SHORT : MF_OK;
}

mf_err mf_target_get_v2(struct mf_span in, struct mf_proxy_target *t, size_t *used)
{
	struct mf_rd r = mf_rd_init(in);
	mf_err e;

	*t = (struct mf_proxy_target){ 0 };
	t->addr.port = mf_rd_be16(&r);
	e = get(&r, &v2, t);
	*used = (size_t)(r.p - in.p);
	return e;
}
