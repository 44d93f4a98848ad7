/* SPDX-License-Identifier: Apache-2.0
 *
 * nat - every checksum that covers the address is updated by the difference, never made anew, so a
 * damaged packet stays recognisable.
 */
#include "wire/nat.h"
#include "wire/csum.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"

enum { PROTO_DCCP = 33, PROTO_UDPLITE = 136 };

/* What changes: sums of the words that go and of those that come. */
struct delta {
	uint64_t out, in;
};

static void apply(uint8_t *check, const struct delta *d)
{
	mf_csum_store(check, mf_csum_update(mf_csum_load(check), d->out, d->in));
}

/* The same for a field that holds the sum itself. */
static void apply_to_sum(uint8_t *field, const struct delta *d)
{
	mf_csum_store(field, mf_csum_fold((uint64_t)mf_csum_load(field) +
					  (uint16_t)~mf_csum_fold(d->out) + d->in));
}

/* Offset of the checksum that covers the pseudo-header, 0: there is none. */
static size_t csum_offset(uint8_t version, uint8_t proto)
{
	switch (proto) {
	case MF_IPPROTO_TCP:
		return MF_TCP_CSUM_OFF;
	case MF_IPPROTO_UDP:
	case PROTO_UDPLITE:
	case PROTO_DCCP:
		return MF_UDP_CSUM_OFF;
	case MF_IPPROTO_ICMP6:
		return version == 6 ? MF_ICMP_CSUM_OFF : 0;
	default:
		return 0;
	}
}

static void apply_l4(uint8_t *field, uint8_t proto, const struct delta *d)
{
	if (proto == MF_IPPROTO_UDP && !mf_csum_load(field))
		return;
	apply(field, d);
	if (proto == MF_IPPROTO_UDP && !mf_csum_load(field))
		mf_csum_store(field, 0xffff);
}

static size_t addr_off(uint8_t version, bool source)
{
	if (version == 4)
		return source ? offsetof(struct mf_ip4_hdr, src) : offsetof(struct mf_ip4_hdr, dst);
	return source ? offsetof(struct mf_ip6_hdr, src) : offsetof(struct mf_ip6_hdr, dst);
}

/* Where the L4 header of a quoted packet begins, 0 if it is not there to be changed. */
static size_t quoted_l4(const uint8_t *q, size_t n, uint8_t *proto)
{
	const struct mf_ip4_hdr *h4 = (const void *)q;
	const struct mf_ip6_hdr *h6 = (const void *)q;

	if (q[0] >> 4 == 6) {
		*proto = h6->next;
		return sizeof(*h6);
	}
	*proto = h4->proto;
	if (mf_be16_get(h4->frag) & MF_IP4_OFFSET || mf_ip4_hdr_len(h4) < sizeof(*h4) ||
	    mf_ip4_hdr_len(h4) > n)
		return 0;
	return mf_ip4_hdr_len(h4);
}

/* Rewrites field `at` by `f` and adds what that changes to the outer delta. */
static void quoted_csum(uint8_t *at, uint8_t proto, const struct delta *d, struct delta *outer)
{
	outer->out += mf_csum_load(at);
	apply_l4(at, proto, d);
	outer->in += mf_csum_load(at);
}

/* The packet quoted in an ICMP error: its other address, if it is the one that is being replaced.
 * Returns what that changes for the error's own checksum. */
static struct delta rewrite_quoted(uint8_t *q, size_t n, uint8_t version, bool source,
				   const uint8_t *from, const uint8_t *to)
{
	size_t alen = version == 4 ? 4 : 16, l4, co;
	struct delta d = { 0 }, outer = { 0 };
	uint8_t *addr, proto;

	if (n < (version == 4 ? sizeof(struct mf_ip4_hdr) : sizeof(struct mf_ip6_hdr)) ||
	    q[0] >> 4 != version)
		return outer;
	addr = q + addr_off(version, !source);
	if (memcmp(addr, from, alen) != 0)
		return outer;
	d.out = mf_csum_add_small(from, alen, 0);
	d.in = mf_csum_add_small(to, alen, 0);
	memcpy(addr, to, alen);
	outer = d;
	if (version == 4)
		quoted_csum(q + MF_IP4_CSUM_OFF, 0, &d, &outer);
	l4 = quoted_l4(q, n, &proto);
	co = csum_offset(version, proto);
	if (l4 && co && l4 + co + 2 <= n)
		quoted_csum(q + l4 + co, proto, &d, &outer);
	return outer;
}

static bool is_icmp_error(const struct mf_pkt *p)
{
	uint8_t type;

	if (p->len < p->l4_off + sizeof(struct mf_icmp_hdr))
		return false;
	type = p->data[p->l4_off];
	if (p->ip_version == 6)
		return p->l4_proto == MF_IPPROTO_ICMP6 && type < MF_ICMP6_ECHO;
	return p->l4_proto == MF_IPPROTO_ICMP &&
	       (type == MF_ICMP4_UNREACHABLE || type == MF_ICMP4_SOURCE_QUENCH ||
		type == MF_ICMP4_REDIRECT || type == MF_ICMP4_TIME_EXCEEDED ||
		type == MF_ICMP4_PARAMETER);
}

static void rewrite(struct mf_pkt *p, bool source, const struct mf_addr *to)
{
	size_t alen = p->ip_version == 4 ? 4 : 16;
	uint8_t *addr = p->data + addr_off(p->ip_version, source);
	size_t co = csum_offset(p->ip_version, p->l4_proto);
	uint8_t *field = p->data + p->l4_off + co;
	bool sum_only = p->flags & MF_PKT_NEEDS_CSUM && p->csum_start == p->l4_off;
	struct delta d, inner;
	uint8_t from[16];

	MF_ASSERT(to->family == p->ip_version);
	memcpy(from, addr, alen);
	d.out = mf_csum_add_small(from, alen, 0);
	d.in = mf_csum_add_small(to->b, alen, 0);
	memcpy(addr, to->b, alen);
	if (p->ip_version == 4)
		apply(p->data + MF_IP4_CSUM_OFF, &d);
	if (is_icmp_error(p)) {
		size_t at = p->l4_off + sizeof(struct mf_icmp_hdr);

		inner = rewrite_quoted(p->data + at, p->len - at, p->ip_version, source, from, to->b);
		if (!sum_only)
			apply(p->data + p->l4_off + MF_ICMP_CSUM_OFF, &inner);
	}
	if (!co || p->l4_off + co + 2 > p->len)
		return;
	if (sum_only)
		apply_to_sum(field, &d);
	else
		apply_l4(field, p->l4_proto, &d);
}

void mf_nat_source(struct mf_pkt *p, const struct mf_addr *to)
{
	rewrite(p, true, to);
}

void mf_nat_destination(struct mf_pkt *p, const struct mf_addr *to)
{
	rewrite(p, false, to);
}
