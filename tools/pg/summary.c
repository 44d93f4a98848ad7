/* SPDX-License-Identifier: Apache-2.0
 *
 * summary - a packet in one line. It reads packets that are broken on purpose, with code of its own:
 * what it says must not depend on what is tested.
 */
#include "pg_tool.h"

#include "base/endian.h"

enum { ICMP = 1, TCP = 6, UDP = 17, FRAGMENT = 44, ICMP6 = 58 };

struct view {
	const uint8_t *ip;
	uint32_t len;
	uint32_t l4, end; /* of the L4 header, and behind the last byte that the header admits to */
	uint8_t proto;
	bool ip4, later, more; /* a fragment: not the first one, not the last one */
	uint32_t fragment_at;
	bool fragment;
	bool short_of; /* the length field promises more than there is */
};

static void view4(struct view *v)
{
	uint32_t total = mf_load_be16(v->ip + 2), frag = mf_load_be16(v->ip + 6);

	v->l4 = (v->ip[0] & 15u) * 4;
	v->proto = v->ip[9];
	v->short_of = total > v->len || v->l4 < 20 || v->l4 > v->len;
	v->end = total < v->len ? total : v->len;
	v->fragment_at = (frag & 0x1fff) * 8;
	v->later = v->fragment_at != 0;
	v->more = frag & 0x2000;
	v->fragment = v->later || v->more;
}

static void view6(struct view *v)
{
	uint32_t total = 40u + mf_load_be16(v->ip + 4);

	v->l4 = 40;
	v->proto = v->ip[6];
	v->short_of = total > v->len;
	v->end = total < v->len ? total : v->len;
	while ((v->proto == 0 || v->proto == 43 || v->proto == 60 || v->proto == FRAGMENT) &&
	       v->l4 + 8 <= v->end) {
		const uint8_t *h = v->ip + v->l4;

		if (v->proto == FRAGMENT) {
			v->fragment = true;
			v->fragment_at = mf_load_be16(h + 2) & 0xfff8;
			v->later = v->fragment_at != 0;
			v->more = h[3] & 1;
			v->l4 += 8;
		} else {
			v->l4 += 8u + h[1] * 8u;
		}
		v->proto = h[0];
		if (v->later)
			return;
	}
}

static uint32_t add_words(const uint8_t *p, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < n; i += 2)
		sum += mf_load_be16(p + i);
	if (n & 1)
		sum += (uint32_t)(p[n - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static bool l4_sum_ok(const struct view *v)
{
	uint32_t n = v->end - v->l4, sum = 0;

	if (v->proto == UDP && n >= 8 && v->ip4 && !mf_load_be16(v->ip + v->l4 + 6))
		return true;
	if (v->proto != ICMP)
		sum = add_words(v->ip + (v->ip4 ? 12 : 8), v->ip4 ? 8 : 32, n + v->proto);
	return add_words(v->ip + v->l4, n, sum) == 0xffff;
}

static void print_tcp(struct mf_text *out, const uint8_t *h)
{
	static const char letters[] = "FSRPAUEC";

	mf_text_add(out, " ", 1);
	for (unsigned i = 0; i < 8; i++)
		if (h[13] >> i & 1)
			mf_text_add(out, letters + i, 1);
	mf_text_printf(out, " seq %u ack %u", mf_load_be32(h + 4), mf_load_be32(h + 8));
}

static void print_icmp(struct mf_text *out, const struct view *v, const uint8_t *h)
{
	mf_text_printf(out, " type %u code %u", h[0], h[1]);
	if (v->proto == ICMP && h[0] == 3 && h[1] == 4)
		mf_text_printf(out, " mtu %u", mf_load_be16(h + 6));
	if (v->proto == ICMP6 && h[0] == 2)
		mf_text_printf(out, " mtu %u", mf_load_be32(h + 4));
}

static void print_addresses(struct mf_text *out, const struct view *v, bool ports)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct mf_addr a = v->ip4 ? mf_addr_ip4(v->ip + 12 + i * 4)
					  : mf_addr_ip6(v->ip + 8 + i * 16);
		char text[MF_ADDR_STRLEN];

		mf_addr_format(&a, text);
		if (i)
			mf_text_printf(out, " > ");
		if (!ports)
			mf_text_printf(out, "%s", text);
		else
			mf_text_printf(out, v->ip4 ? "%s:%u" : "[%s]:%u", text,
				       mf_load_be16(v->ip + v->l4 + i * 2));
	}
}

static void print_l4(struct mf_text *out, const struct view *v, const struct pg_meta *meta)
{
	static const uint8_t header[256] = { [ICMP] = 8, [TCP] = 20, [UDP] = 8, [ICMP6] = 8 };
	const char *name = v->proto == ICMP  ? "icmp"
			   : v->proto == TCP ? "tcp"
			   : v->proto == UDP ? "udp"
					     : "icmp6";
	bool whole = !v->later && header[v->proto] && v->l4 + header[v->proto] <= v->end;

	print_addresses(out, v, whole && (v->proto == TCP || v->proto == UDP));
	if (header[v->proto])
		mf_text_printf(out, " %s", name);
	else
		mf_text_printf(out, " proto %u", v->proto);
	if (whole && v->proto == TCP)
		print_tcp(out, v->ip + v->l4);
	if (whole && (v->proto == ICMP || v->proto == ICMP6))
		print_icmp(out, v, v->ip + v->l4);
	if (v->fragment)
		mf_text_printf(out, " fragment at %u%s", v->fragment_at, v->more ? "+" : "");
	if (whole && !v->fragment && !v->short_of && !meta->needs_csum && !l4_sum_ok(v))
		mf_text_printf(out, " bad-csum");
}

void pg_summary(struct mf_text *out, const uint8_t *bytes, uint32_t len, const struct pg_meta *meta)
{
	struct view v = { .ip = bytes, .len = len, .ip4 = len && bytes[0] >> 4 == 4 };
	uint8_t ttl;

	if (v.ip4 ? len < 20 : len < 40 || bytes[0] >> 4 != 6) {
		mf_text_printf(out, "not IP%s", len ? ": " : "");
		for (uint32_t i = 0; i < len && i < 8; i++)
			mf_text_printf(out, "%02x", bytes[i]);
		mf_text_printf(out, "%s len %u", len > 8 ? "..." : "", len);
		return;
	}
	if (v.ip4)
		view4(&v);
	else
		view6(&v);
	print_l4(out, &v, meta);
	ttl = bytes[v.ip4 ? 8 : 7];
	if (ttl != 64)
		mf_text_printf(out, " ttl %u", ttl);
	if (v.ip4 && v.l4 >= 20 && v.l4 <= len && add_words(bytes, v.l4, 0) != 0xffff)
		mf_text_printf(out, " bad-ip-csum");
	if (v.short_of)
		mf_text_printf(out, " truncated");
	mf_text_printf(out, " len %u", len);
	if (meta->segments > 1)
		mf_text_printf(out, " = %u times up to %u", meta->segments, meta->gso_size);
}
