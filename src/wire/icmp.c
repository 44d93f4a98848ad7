/* SPDX-License-Identifier: Apache-2.0
 *
 * icmp - when an error may be sent, and what it says.
 */
#include "wire/icmp.h"
#include "wire/csum.h"
#include "wire/gso.h"
#include "wire/ip.h"
#include "wire/reply.h"

enum {
	/* RFC 1812 4.3.2.5: errors have precedence 6. */
	TOS4_ERROR = 0xc0,
	/* RFC 1191 4: a router that does not say its MTU; the smallest that everybody reassembles. */
	MTU_UNKNOWN = 576,
};

struct kind {
	uint8_t type4, code4, type6, code6;
};

static const struct kind kinds[] = {
	[MF_ICMP_NO_ROUTE] = { 3, 0, 1, 0 },          [MF_ICMP_HOST_UNREACHABLE] = { 3, 1, 1, 3 },
	[MF_ICMP_PORT_UNREACHABLE] = { 3, 3, 1, 4 },  [MF_ICMP_PROHIBITED] = { 3, 13, 1, 1 },
	[MF_ICMP_PROTO_UNREACHABLE] = { 3, 2, 4, 1 }, [MF_ICMP_TOO_BIG] = { 3, 4, 2, 0 },
	[MF_ICMP_TTL_EXCEEDED] = { 11, 0, 3, 0 },
};
static_assert(MF_ARRAY_LEN(kinds) == MF_ICMP_TTL_EXCEEDED + 1, "kinds out of step with the enum");

/* RFC 1122 3.2.2: never about an error; queries and their answers are fine. */
static bool is_icmp4_query(uint8_t type)
{
	return type == MF_ICMP4_ECHO || type == MF_ICMP4_ECHO_REPLY || (type >= 13 && type <= 18);
}

static bool allowed4(const struct mf_pkt *p)
{
	const struct mf_ip4_hdr *h = (const void *)p->data;

	if (mf_be16_get(h->frag) & MF_IP4_OFFSET)
		return false;
	if (p->l4_proto == MF_IPPROTO_ICMP &&
	    (p->len <= p->l4_off || !is_icmp4_query(p->data[p->l4_off])))
		return false;
	/* Groups, 240/4 and the limited broadcast; directed ones cannot be told from here. */
	return h->dst[0] < 224;
}

/* RFC 4443 2.4(e). */
static bool allowed6(const struct mf_pkt *p, enum mf_icmp_error what)
{
	const struct mf_ip6_hdr *h = (const void *)p->data;

	/* Fragments other than the first: not forbidden by (e), but they do not say whose they are. */
	if (!p->l4_proto && mf_ip_is_fragment(p))
		return false;
	if (p->l4_proto == MF_IPPROTO_ICMP6 &&
	    (p->len <= p->l4_off || p->data[p->l4_off] < MF_ICMP6_ECHO ||
	     p->data[p->l4_off] == MF_ICMP6_REDIRECT))
		return false;
	return h->dst[0] != 0xff || what == MF_ICMP_TOO_BIG;
}

bool mf_icmp_error_allowed(const struct mf_pkt *p, enum mf_icmp_error what)
{
	if (mf_ip_martian_source(p))
		return false;
	return p->ip_version == 4 ? allowed4(p) : allowed6(p, what);
}

/* Where the number of the L4 protocol stands (for RFC 4443 3.4). mf_ip_input has checked the chain. */
static uint32_t next_header_at(const struct mf_pkt *p)
{
	uint32_t at = offsetof(struct mf_ip6_hdr, next), off = sizeof(struct mf_ip6_hdr);

	while (off < p->l4_off) {
		const struct mf_ip6_ext *e = (const void *)(p->data + off);
		bool fragment = p->data[at] == MF_IPPROTO_FRAGMENT;

		at = off;
		off += fragment ? (uint32_t)sizeof(*e) : (e->len + 1u) * 8;
	}
	return at;
}

static uint32_t rest_of(const struct mf_pkt *p, enum mf_icmp_error what, uint32_t mtu)
{
	if (what == MF_ICMP_TOO_BIG && p->ip_version == 4)
		return mtu > 0xffff ? 0xffff : mtu;
	if (what == MF_ICMP_TOO_BIG)
		return mtu < MF_IP6_MIN_MTU ? MF_IP6_MIN_MTU : mtu;
	if (what == MF_ICMP_PROTO_UNREACHABLE && p->ip_version == 6)
		return next_header_at(p);
	return 0;
}

/* Writes the first n bytes of p as they would have been on the wire: of a super-packet its first
 * segment; a checksum left to offload is completed. */
static void quote(const struct mf_pkt *p, uint8_t *to, size_t n)
{
	uint8_t hdr[MF_GSO_HDR_MAX];
	size_t at = (size_t)p->csum_start + p->csum_offset;

	memcpy(to, p->data, n);
	if (p->gso_type != MF_GSO_NONE) {
		memcpy(to, hdr, mf_min(n, mf_gso_first_header(p, hdr)));
	} else if (p->flags & MF_PKT_NEEDS_CSUM && at + 2 <= n) {
		uint64_t sum = mf_csum_add(p->data + p->csum_start, p->len - p->csum_start, 0);

		mf_csum_store(to + at, mf_csum_finish(sum));
	}
}

/* How much of a packet is quoted at most. */
static size_t quote_max(uint8_t ip_version)
{
	size_t all = ip_version == 4 ? MF_IP4_MIN_REASSEMBLY - sizeof(struct mf_ip4_hdr)
				     : MF_IP6_MIN_MTU - sizeof(struct mf_ip6_hdr);

	return all - sizeof(struct mf_icmp_hdr);
}

/* The error with room for n bytes of quote behind its header. */
static struct mf_pkt *start(struct mf_pkt_pool *pool, const struct mf_addr *src,
			    const struct mf_addr *dst, const struct mf_icmp_hdr *error, size_t n)
{
	bool v4 = src->family == MF_AF_IP4;
	struct mf_pkt *p = mf_reply_start(pool, src, dst, v4 ? MF_IPPROTO_ICMP : MF_IPPROTO_ICMP6,
					  sizeof(*error) + n, v4 ? TOS4_ERROR : 0);

	if (p)
		memcpy(p->data + p->l4_off, error, sizeof(*error));
	return p;
}

struct mf_pkt *mf_icmp_error(struct mf_pkt_pool *pool, const struct mf_pkt *about,
			     const struct mf_addr *src, enum mf_icmp_error what, uint32_t mtu)
{
	bool v4 = about->ip_version == 4;
	size_t n = mf_min(mf_gso_max_len(about), quote_max(about->ip_version));
	struct mf_icmp_hdr h = {
		.type = v4 ? kinds[what].type4 : kinds[what].type6,
		.code = v4 ? kinds[what].code4 : kinds[what].code6,
	};
	struct mf_addr dst = mf_ip_src(about);
	struct mf_pkt *p;

	MF_ASSERT(src->family == dst.family);
	if (!mf_icmp_error_allowed(about, what))
		return NULL;
	h.rest = mf_be32_of(rest_of(about, what, mtu));
	p = start(pool, src, &dst, &h, n);
	if (!p)
		return NULL;
	quote(about, p->data + p->l4_off + sizeof(h), n);
	mf_reply_finish(p, MF_ICMP_CSUM_OFF);
	return p;
}

bool mf_icmp_is_error(uint8_t ip_version, uint8_t type)
{
	if (ip_version == 6)
		return type >= MF_ICMP6_UNREACHABLE && type <= MF_ICMP6_PARAMETER;
	return type == MF_ICMP4_UNREACHABLE || type == MF_ICMP4_TIME_EXCEEDED ||
	       type == MF_ICMP4_PARAMETER;
}

struct mf_pkt *mf_icmp_error_quoting(struct mf_pkt_pool *pool, const uint8_t *quote, size_t n,
				     const struct mf_addr *src, const struct mf_icmp_hdr *error)
{
	enum mf_icmp_error what = MF_ICMP_NO_ROUTE;
	struct mf_addr dst;
	struct mf_pkt about, *p;

	if (!mf_ip_quoted(&about, quote, n) || !mf_icmp_is_error(about.ip_version, error->type))
		return NULL;
	if (about.ip_version == 6 && error->type == MF_ICMP6_TOO_BIG)
		what = MF_ICMP_TOO_BIG;
	dst = mf_ip_src(&about);
	if (src->family != dst.family || !mf_icmp_error_allowed(&about, what))
		return NULL;
	n = mf_min(n, quote_max(about.ip_version));
	p = start(pool, src, &dst, error, n);
	if (!p)
		return NULL;
	memcpy(p->data + p->l4_off + sizeof(*error), quote, n);
	mf_reply_finish(p, MF_ICMP_CSUM_OFF);
	return p;
}

uint32_t mf_icmp_path_mtu(const struct mf_pkt *p)
{
	const struct mf_icmp_hdr *h = (const void *)(p->data + p->l4_off);
	uint32_t mtu;

	if (p->len < p->l4_off + sizeof(*h) || mf_ip_is_fragment(p))
		return 0;
	if (p->ip_version == 4) {
		if (p->l4_proto != MF_IPPROTO_ICMP || h->type != MF_ICMP4_UNREACHABLE || h->code != 4)
			return 0;
		mtu = mf_be32_get(h->rest) & 0xffff;
		return mtu ? mtu : MTU_UNKNOWN;
	}
	if (p->l4_proto != MF_IPPROTO_ICMP6 || h->type != MF_ICMP6_TOO_BIG)
		return 0;
	return mf_be32_get(h->rest);
}
