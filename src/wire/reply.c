/* SPDX-License-Identifier: Apache-2.0
 *
 * reply - packets of our own.
 */
#include "wire/reply.h"
#include "wire/csum.h"
#include "wire/ip.h"

enum { TTL = 64 };

static void write_ip4(struct mf_pkt *p, const struct mf_addr *src, const struct mf_addr *dst,
		      uint8_t tos, uint8_t ttl)
{
	struct mf_ip4_hdr *h = (void *)p->data;

	*h = (struct mf_ip4_hdr){
		.version_ihl = 0x45,
		.tos = tos,
		.len = mf_be16_of((uint16_t)p->len),
		.frag = mf_be16_of(MF_IP4_DF),
		.ttl = ttl ? ttl : TTL,
		.proto = p->l4_proto,
	};
	memcpy(h->src, src->b, 4);
	memcpy(h->dst, dst->b, 4);
	mf_csum_store(&h->csum, mf_csum_finish(mf_csum_add_small(h, sizeof(*h), 0)));
}

static void write_ip6(struct mf_pkt *p, const struct mf_addr *src, const struct mf_addr *dst,
		      uint8_t tos, uint8_t ttl)
{
	struct mf_ip6_hdr *h = (void *)p->data;

	*h = (struct mf_ip6_hdr){
		.version_class_flow = mf_be32_of(6u << 28 | (uint32_t)tos << 20),
		.payload_len = mf_be16_of((uint16_t)(p->len - sizeof(*h))),
		.next = p->l4_proto,
		.hop_limit = ttl ? ttl : TTL,
	};
	memcpy(h->src, src->b, 16);
	memcpy(h->dst, dst->b, 16);
}

static size_t hdr_len(const struct mf_addr *src)
{
	return src->family == MF_AF_IP4 ? sizeof(struct mf_ip4_hdr) : sizeof(struct mf_ip6_hdr);
}

void mf_reply_wrap(struct mf_pkt *p, const struct mf_addr *src, const struct mf_addr *dst,
		   uint8_t l4_proto, uint8_t tos, uint8_t ttl)
{
	bool v4 = src->family == MF_AF_IP4;
	size_t n = hdr_len(src);

	MF_ASSERT(src->family == dst->family && src->family != MF_AF_NONE);
	MF_ASSERT(p->len + (v4 ? n : 0) <= 65535 && mf_pkt_headroom(p) >= n);
	p->data -= n;
	p->len += (uint32_t)n;
	p->ip_version = v4 ? 4 : 6;
	p->l4_off = (uint16_t)n;
	p->l4_proto = l4_proto;
	if (v4)
		write_ip4(p, src, dst, tos, ttl);
	else
		write_ip6(p, src, dst, tos, ttl);
}

struct mf_pkt *mf_reply_start(struct mf_pkt_pool *pool, const struct mf_addr *src,
			      const struct mf_addr *dst, uint8_t l4_proto, size_t l4_len, uint8_t tos)
{
	size_t n = hdr_len(src);
	struct mf_pkt *p = n + l4_len <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!p)
		return NULL;
	p->data += n;
	p->len = (uint32_t)l4_len;
	mf_reply_wrap(p, src, dst, l4_proto, tos, 0);
	return p;
}

void mf_reply_finish(struct mf_pkt *p, uint16_t csum_off)
{
	uint8_t *l4 = p->data + p->l4_off;
	uint32_t n = p->len - p->l4_off;
	uint64_t sum = 0;
	uint16_t c;

	mf_csum_store(l4 + csum_off, 0);
	if (p->ip_version == 6)
		sum = mf_csum_pseudo6(p->data + offsetof(struct mf_ip6_hdr, src), p->l4_proto, n);
	else if (p->l4_proto != MF_IPPROTO_ICMP)
		sum = mf_csum_pseudo4(p->data + offsetof(struct mf_ip4_hdr, src), p->l4_proto, n);
	sum = mf_csum_add(l4, n, sum);
	c = p->l4_proto == MF_IPPROTO_UDP ? mf_csum_finish_udp(sum) : mf_csum_finish(sum);
	mf_csum_store(l4 + csum_off, c);
}
