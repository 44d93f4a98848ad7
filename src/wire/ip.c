/* SPDX-License-Identifier: Apache-2.0
 *
 * ip - validation of IP headers, addresses that do not belong on the road, flow hash, ECN.
 */
#include "wire/ip.h"
#include "wire/csum.h"
#include "wire/tcp.h"
#include "wire/udp.h"

enum {
	IP4_OPT_END = 0,
	IP4_OPT_NOP = 1,
	IP4_OPT_LSRR = 131,
	IP4_OPT_SSRR = 137,
	IP6_OPT_PAD1 = 0,
	IP6_OPT_JUMBO = 0xc2,
	/* A chain longer than this is an attack; RFC 8504 5.3 lets us say so. */
	IP6_EXT_MAX = 8,
};

/* RFC 791 3.1: type, length, data; two types are a single byte. */
static bool ip4_options_ok(const uint8_t *opt, size_t n)
{
	while (n && opt[0] != IP4_OPT_END) {
		size_t len = 1;

		if (opt[0] != IP4_OPT_NOP) {
			if (n < 2 || opt[1] < 2 || opt[1] > n)
				return false;
			if (opt[0] == IP4_OPT_LSRR || opt[0] == IP4_OPT_SSRR)
				return false;
			len = opt[1];
		}
		opt += len;
		n -= len;
	}
	return true;
}

static enum mf_drop ip4_input(struct mf_pkt *p)
{
	const struct mf_ip4_hdr *h = (const void *)p->data;
	size_t ihl, total;
	uint16_t frag;
	uint8_t proto;

	if (MF_UNLIKELY(p->len < sizeof(*h)))
		return MF_DROP_IP_TRUNCATED;
	ihl = mf_ip4_hdr_len(h);
	total = mf_be16_get(h->len);
	if (MF_UNLIKELY(ihl < sizeof(*h) || total < ihl))
		return MF_DROP_IP_HEADER;
	if (MF_UNLIKELY(total > p->len))
		return MF_DROP_IP_TRUNCATED;
	if (MF_UNLIKELY(mf_csum_fold(mf_csum_add_small(h, ihl, 0)) != 0xffff))
		return MF_DROP_IP_CHECKSUM;
	if (MF_UNLIKELY(ihl > sizeof(*h) && !ip4_options_ok(p->data + sizeof(*h), ihl - sizeof(*h))))
		return MF_DROP_IP_HEADER;
	proto = h->proto;
	frag = mf_be16_get(h->frag);
	if (MF_UNLIKELY(frag & MF_IP4_OFFSET)) {
		proto = 0;
		/* Nothing whole could come of it (the "ping of death"). */
		if ((frag & MF_IP4_OFFSET) * 8u + (total - ihl) > 65535 - ihl)
			return MF_DROP_IP_HEADER;
	}
	p->len = (uint32_t)total;
	p->l4_off = (uint16_t)ihl;
	p->l4_proto = proto;
	return MF_DROP_NONE;
}

/* Of hop-by-hop options: are they well formed, and not a jumbogram (RFC 2675)? */
static bool ip6_hop_options_ok(const uint8_t *opt, size_t n)
{
	while (n) {
		size_t len = 1;

		if (opt[0] != IP6_OPT_PAD1) {
			if (n < 2 || opt[1] + 2u > n || opt[0] == IP6_OPT_JUMBO)
				return false;
			len = opt[1] + 2u;
		}
		opt += len;
		n -= len;
	}
	return true;
}

/* One fragment header at `off`. *proto becomes 0 if what follows is not the start of a packet. */
static enum mf_drop ip6_fragment(const uint8_t *ip, size_t off, size_t total, uint8_t *proto)
{
	const struct mf_ip6_frag *f = (const void *)(ip + off);
	uint16_t offset = mf_be16_get(f->offset_more) & MF_IP6_FRAG_OFFSET;

	*proto = f->next;
	if (!offset)
		return MF_DROP_NONE;
	*proto = 0;
	return offset + (total - off - sizeof(*f)) > 65535 ? MF_DROP_IP_HEADER : MF_DROP_NONE;
}

/* Walks the chain behind the fixed header (RFC 8200 4). AH ends it for us: what it covers must not be
 * changed anyway. */
static enum mf_drop ip6_walk(const uint8_t *ip, size_t total, size_t *l4_off, uint8_t *l4_proto)
{
	size_t off = sizeof(struct mf_ip6_hdr);
	uint8_t next = ((const struct mf_ip6_hdr *)(const void *)ip)->next;
	unsigned n = 0;

	for (;; n++) {
		const struct mf_ip6_ext *e = (const void *)(ip + off);
		bool fragment = next == MF_IPPROTO_FRAGMENT;
		size_t len;

		if (!fragment && next != MF_IPPROTO_HOPOPTS && next != MF_IPPROTO_ROUTING &&
		    next != MF_IPPROTO_DSTOPTS)
			break;
		/* Hop-by-hop options come first or not at all (RFC 8200 4.1). */
		if (n == IP6_EXT_MAX || (next == MF_IPPROTO_HOPOPTS && n))
			return MF_DROP_IP_HEADER;
		if (total - off < sizeof(*e))
			return MF_DROP_IP_TRUNCATED;
		len = fragment ? sizeof(*e) : (e->len + 1u) * 8;
		if (total - off < len)
			return MF_DROP_IP_TRUNCATED;
		if (next == MF_IPPROTO_HOPOPTS && !ip6_hop_options_ok(ip + off + 2, len - 2))
			return MF_DROP_IP_HEADER;
		if (next == MF_IPPROTO_ROUTING && e->type == 0) /* RFC 5095 */
			return MF_DROP_IP_HEADER;
		if (fragment) {
			enum mf_drop r = ip6_fragment(ip, off, total, &next);

			if (r || !next) {
				*l4_off = off + len;
				*l4_proto = 0;
				return r;
			}
		} else {
			next = e->next;
		}
		off += len;
	}
	*l4_off = off;
	*l4_proto = next;
	return MF_DROP_NONE;
}

static enum mf_drop ip6_input(struct mf_pkt *p)
{
	const struct mf_ip6_hdr *h = (const void *)p->data;
	size_t total, off = sizeof(*h);
	uint8_t proto;

	if (MF_UNLIKELY(p->len < sizeof(*h)))
		return MF_DROP_IP_TRUNCATED;
	total = sizeof(*h) + mf_be16_get(h->payload_len);
	if (MF_UNLIKELY(total > p->len))
		return MF_DROP_IP_TRUNCATED;
	proto = h->next;
	if (MF_UNLIKELY(proto != MF_IPPROTO_TCP && proto != MF_IPPROTO_UDP)) {
		enum mf_drop r = ip6_walk(p->data, total, &off, &proto);

		if (r)
			return r;
	}
	p->len = (uint32_t)total;
	p->l4_off = (uint16_t)off;
	p->l4_proto = proto;
	return MF_DROP_NONE;
}

enum mf_drop mf_ip_input(struct mf_pkt *p)
{
	if (MF_UNLIKELY(!p->len))
		return MF_DROP_IP_TRUNCATED;
	p->ip_version = p->data[0] >> 4;
	if (p->ip_version == 4)
		return ip4_input(p);
	if (MF_LIKELY(p->ip_version == 6))
		return ip6_input(p);
	return MF_DROP_IP_VERSION;
}

static bool ip4_quoted(struct mf_pkt *q)
{
	const struct mf_ip4_hdr *h = (const void *)q->data;

	if (q->len < sizeof(*h) || mf_ip4_hdr_len(h) < sizeof(*h))
		return false;
	q->l4_off = (uint16_t)mf_ip4_hdr_len(h);
	q->l4_proto = mf_be16_get(h->frag) & MF_IP4_OFFSET ? 0 : h->proto;
	return true;
}

static bool ip6_quoted(struct mf_pkt *q)
{
	size_t off;
	uint8_t proto;

	if (q->len < sizeof(struct mf_ip6_hdr) || ip6_walk(q->data, q->len, &off, &proto))
		return false;
	q->l4_off = (uint16_t)off;
	q->l4_proto = proto;
	return true;
}

bool mf_ip_quoted(struct mf_pkt *q, const uint8_t *ip, size_t n)
{
	bool ok;

	*q = (struct mf_pkt){ .data = (uint8_t *)ip, .len = (uint32_t)mf_min(n, 65535) };
	if (!q->len)
		return false;
	q->ip_version = ip[0] >> 4;
	ok = q->ip_version == 4 ? ip4_quoted(q) : q->ip_version == 6 && ip6_quoted(q);
	return ok && q->len >= q->l4_off + 8u;
}

size_t mf_ip_peek_len(const uint8_t *ip, size_t n)
{
	size_t len;

	if (n >= sizeof(struct mf_ip4_hdr) && ip[0] >> 4 == 4) {
		len = mf_load_be16(ip + offsetof(struct mf_ip4_hdr, len));
		return len >= sizeof(struct mf_ip4_hdr) && len <= n ? len : 0;
	}
	if (n >= sizeof(struct mf_ip6_hdr) && ip[0] >> 4 == 6) {
		len = sizeof(struct mf_ip6_hdr) +
		      mf_load_be16(ip + offsetof(struct mf_ip6_hdr, payload_len));
		return len <= n ? len : 0;
	}
	return 0;
}

static bool ip6_is(const uint8_t *a, uint64_t hi, uint64_t lo)
{
	return mf_load_be64(a) == hi && mf_load_be64(a + 8) == lo;
}

/* ::ffff:0:0/96 is an API's notation, not an address of a node (RFC 6890 2.2.3, table 20). */
static bool ip6_is_mapped(const uint8_t *a)
{
	return mf_load_be64(a) == 0 && mf_load_be32(a + 8) == 0x0000ffff;
}

/* Link-local sources pass: tunnels between routers use such addresses on purpose, and where they must
 * not go the allowed IPs say. Neither is 0.0.0.0 allowed for DHCP: nobody asks for leases here. */
enum mf_drop mf_ip_martian_source(const struct mf_pkt *p)
{
	const uint8_t *a;
	bool bad;

	if (p->ip_version == 4) {
		a = p->data + offsetof(struct mf_ip4_hdr, src);
		bad = a[0] == 0 || /* 0/8 "this network": RFC 1122 3.2.1.3(a, b), RFC 6890 table 1 */
		      a[0] == 127 || /* loopback: RFC 1122 3.2.1.3(g), RFC 1812 5.3.7 */
		      a[0] >= 224;   /* 224/4 groups never send: RFC 1112 7.2, RFC 1812 5.3.7;
		                        240/4 reserved and broadcast: RFC 1112 4, RFC 6890 table 15, 16 */
	} else {
		a = p->data + offsetof(struct mf_ip6_hdr, src);
		bad = a[0] == 0xff ||    /* multicast: RFC 4291 2.7 */
		      ip6_is(a, 0, 0) || /* unspecified is not forwarded: RFC 4291 2.5.2 */
		      ip6_is(a, 0, 1) || /* loopback: RFC 4291 2.5.3 */
		      ip6_is_mapped(a);
	}
	return bad ? MF_DROP_IP_MARTIAN_SOURCE : MF_DROP_NONE;
}

enum mf_drop mf_ip_martian_destination(const struct mf_pkt *p)
{
	const uint8_t *a;
	bool bad;

	if (p->ip_version == 4) {
		a = p->data + offsetof(struct mf_ip4_hdr, dst);
		bad = a[0] == 0 ||                    /* RFC 1122 3.2.1.3(a, b), RFC 6890 table 1 */
		      a[0] == 127 ||                  /* RFC 1122 3.2.1.3(g) */
		      (a[0] == 169 && a[1] == 254) || /* link-local: RFC 3927 7 */
		      a[0] >= 224; /* groups: we route none (RFC 1812 5.2.1.3 would need a
		                      multicast routing protocol); 240/4 and 255.255.255.255:
		                      RFC 6890 table 15, RFC 919 7 */
	} else {
		a = p->data + offsetof(struct mf_ip6_hdr, dst);
		bad = a[0] == 0xff ||                            /* groups, as above */
		      (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) || /* link-local: RFC 4291 2.5.6 */
		      ip6_is(a, 0, 0) ||                         /* RFC 4291 2.5.2 */
		      ip6_is(a, 0, 1) ||                         /* RFC 4291 2.5.3 */
		      ip6_is_mapped(a);
	}
	return bad ? MF_DROP_IP_MARTIAN_DESTINATION : MF_DROP_NONE;
}

static bool ip6_is_fragment(const struct mf_pkt *p)
{
	size_t off = sizeof(struct mf_ip6_hdr);
	uint8_t next = ((const struct mf_ip6_hdr *)(const void *)p->data)->next;

	while (off < p->l4_off) {
		const struct mf_ip6_ext *e = (const void *)(p->data + off);

		if (next == MF_IPPROTO_FRAGMENT) {
			const struct mf_ip6_frag *f = (const void *)e;

			if (mf_be16_get(f->offset_more) & (MF_IP6_FRAG_OFFSET | MF_IP6_FRAG_MORE))
				return true;
			off += sizeof(*f);
		} else {
			off += (e->len + 1u) * 8;
		}
		next = e->next;
	}
	return false;
}

bool mf_ip_is_fragment(const struct mf_pkt *p)
{
	if (p->ip_version == 4)
		return mf_ip4_is_fragment((const void *)p->data);
	return p->l4_off > sizeof(struct mf_ip6_hdr) && ip6_is_fragment(p);
}

bool mf_ip_l4_csum_ok(const struct mf_pkt *p)
{
	size_t n = p->len - p->l4_off;
	uint64_t sum;

	if (p->ip_version == 4)
		sum = mf_csum_pseudo4(p->data + offsetof(struct mf_ip4_hdr, src), p->l4_proto,
				      (uint32_t)n);
	else
		sum = mf_csum_pseudo6(p->data + offsetof(struct mf_ip6_hdr, src), p->l4_proto,
				      (uint32_t)n);
	return mf_csum_fold(mf_csum_add(p->data + p->l4_off, n, sum)) == 0xffff;
}

/* One end of a flow. */
static uint64_t mix_end(uint64_t a, uint64_t b, uint32_t port)
{
	uint64_t h = (a ^ 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;

	h = ((h >> 29) ^ h ^ b ^ ((uint64_t)port << 40)) * 0x94d049bb133111ebu;
	return h ^ (h >> 32);
}

uint32_t mf_flow_hash(const struct mf_pkt *p)
{
	uint16_t sport = 0, dport = 0;
	uint8_t proto = 0;
	uint64_t h;

	if (!mf_ip_is_fragment(p)) {
		proto = p->l4_proto;
		if ((proto == MF_IPPROTO_TCP || proto == MF_IPPROTO_UDP) && p->len >= p->l4_off + 4u) {
			sport = mf_load_be16(p->data + p->l4_off);
			dport = mf_load_be16(p->data + p->l4_off + 2);
		}
	}
	if (p->ip_version == 4) {
		const uint8_t *a = p->data + offsetof(struct mf_ip4_hdr, src);

		h = mix_end(mf_load_be32(a), 0, sport) + mix_end(mf_load_be32(a + 4), 0, dport);
	} else {
		const uint8_t *a = p->data + offsetof(struct mf_ip6_hdr, src);

		h = mix_end(mf_load_be64(a), mf_load_be64(a + 8), sport) +
		    mix_end(mf_load_be64(a + 16), mf_load_be64(a + 24), dport);
	}
	h = (h + proto) * 0xff51afd7ed558ccdu;
	return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

void mf_ip_set_ecn(uint8_t *ip, uint8_t ecn)
{
	struct mf_ip4_hdr *h = (void *)ip;
	uint16_t old;

	if (ip[0] >> 4 == 6) {
		ip[1] = (uint8_t)((ip[1] & 0xcf) | (ecn & 3) << 4);
		return;
	}
	old = mf_csum_load(ip);
	h->tos = (uint8_t)((h->tos & 0xfc) | (ecn & 3));
	mf_csum_store(&h->csum, mf_csum_update(mf_csum_load(&h->csum), old, mf_csum_load(ip)));
}
