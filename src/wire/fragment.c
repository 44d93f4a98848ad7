/* SPDX-License-Identifier: Apache-2.0
 *
 * fragment - the two forms of fragment headers, read and written.
 */
#include "wire/fragment.h"
#include "wire/csum.h"
#include "wire/ip.h"

static bool parse4(const struct mf_pkt *p, struct mf_fragment *f)
{
	const struct mf_ip4_hdr *h = (const void *)p->data;
	uint16_t frag = mf_be16_get(h->frag);

	*f = (struct mf_fragment){
		.id = mf_be16_get(h->id),
		.place = (uint16_t)((frag & MF_IP4_OFFSET) * 8),
		.more = frag & MF_IP4_MF,
		.proto = h->proto,
		.hdr_len = p->l4_off,
		.data_off = p->l4_off,
		.next_at = offsetof(struct mf_ip4_hdr, proto),
	};
	return f->more || f->place;
}

/* mf_ip_input has walked the same chain. An atomic fragment header is a header like others. */
static bool parse6(const struct mf_pkt *p, struct mf_fragment *f)
{
	uint16_t off = sizeof(struct mf_ip6_hdr), at = offsetof(struct mf_ip6_hdr, next);

	while (off < p->l4_off) {
		const struct mf_ip6_ext *e = (const void *)(p->data + off);
		const struct mf_ip6_frag *h = (const void *)e;
		bool fragment = p->data[at] == MF_IPPROTO_FRAGMENT;
		uint16_t word = fragment ? mf_be16_get(h->offset_more) : 0;

		if (word & (MF_IP6_FRAG_OFFSET | MF_IP6_FRAG_MORE)) {
			*f = (struct mf_fragment){
				.id = mf_be32_get(h->id),
				.place = word & MF_IP6_FRAG_OFFSET,
				.more = word & MF_IP6_FRAG_MORE,
				.proto = h->next,
				.hdr_len = off,
				.data_off = (uint16_t)(off + sizeof(*h)),
				.next_at = at,
			};
			return true;
		}
		at = off;
		off = (uint16_t)(off + (fragment ? sizeof(*h) : (e->len + 1u) * 8));
	}
	return false;
}

bool mf_fragment_parse(const struct mf_pkt *p, struct mf_fragment *f)
{
	return p->ip_version == 4 ? parse4(p, f) : parse6(p, f);
}

/* What is being cut, and how far it is. */
struct cut {
	const uint8_t *ip;
	size_t hdr_len, len, at; /* `at`: of the next byte, counted as `len` is */
	size_t room;             /* bytes of a fragment behind its headers */
	uint32_t id;
	bool v4;
};

static void write4(const struct cut *c, struct mf_pkt *p, size_t place, bool more)
{
	struct mf_ip4_hdr *h = (void *)p->data;

	memcpy(h, c->ip, sizeof(*h));
	h->len = mf_be16_of((uint16_t)p->len);
	h->id = mf_be16_of((uint16_t)c->id);
	h->frag = mf_be16_of((uint16_t)((more ? MF_IP4_MF : 0) | place / 8));
	h->csum = mf_be16_of(0);
	mf_csum_store(&h->csum, mf_csum_finish(mf_csum_add_small(h, sizeof(*h), 0)));
	p->l4_proto = place ? 0 : h->proto;
}

static void write6(const struct cut *c, struct mf_pkt *p, size_t place, bool more)
{
	struct mf_ip6_hdr *h = (void *)p->data;
	struct mf_ip6_frag *f = (void *)(h + 1);

	memcpy(h, c->ip, sizeof(*h));
	h->payload_len = mf_be16_of((uint16_t)(p->len - sizeof(*h)));
	*f = (struct mf_ip6_frag){
		.next = h->next,
		.offset_more = mf_be16_of((uint16_t)(place | (more ? MF_IP6_FRAG_MORE : 0))),
		.id = mf_be32_of(c->id),
	};
	h->next = MF_IPPROTO_FRAGMENT;
	p->l4_proto = place ? 0 : f->next;
}

static struct mf_pkt *take(struct mf_pkt_pool *pool, size_t len, bool v4)
{
	struct mf_pkt *p = len <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!p)
		return NULL;
	p->len = (uint32_t)len;
	p->ip_version = v4 ? 4 : 6;
	p->next = NULL;
	return p;
}

static struct mf_pkt *next(struct cut *c, struct mf_pkt_pool *pool)
{
	size_t hdr_len = c->hdr_len + (c->v4 ? 0 : sizeof(struct mf_ip6_frag));
	size_t n = mf_min(c->room, c->len - c->at), place = c->at - c->hdr_len;
	struct mf_pkt *p = take(pool, hdr_len + n, c->v4);

	if (!p)
		return NULL;
	p->l4_off = (uint16_t)hdr_len;
	memcpy(p->data + hdr_len, c->ip + c->at, n);
	c->at += n;
	if (c->v4)
		write4(c, p, place, c->at < c->len);
	else
		write6(c, p, place, c->at < c->len);
	return p;
}

static struct mf_pkt *copy(struct mf_pkt_pool *pool, const struct cut *c)
{
	struct mf_pkt *p = take(pool, c->len, c->v4);

	if (!p)
		return NULL;
	memcpy(p->data, c->ip, c->len);
	p->l4_off = (uint16_t)c->hdr_len;
	p->l4_proto =
		c->ip[c->v4 ? offsetof(struct mf_ip4_hdr, proto) : offsetof(struct mf_ip6_hdr, next)];
	return p;
}

static void free_list(struct mf_pkt *p)
{
	while (p) {
		struct mf_pkt *after = p->next;

		mf_pkt_free(p);
		p = after;
	}
}

struct mf_pkt *mf_fragment_cut(struct mf_pkt_pool *pool, const uint8_t *ip, size_t len,
			       uint32_t mtu, uint32_t id)
{
	bool v4 = ip[0] >> 4 == 4;
	size_t hdr_len = v4 ? sizeof(struct mf_ip4_hdr) : sizeof(struct mf_ip6_hdr);
	struct cut c = { .ip = ip, .hdr_len = hdr_len, .len = len, .at = hdr_len, .id = id, .v4 = v4 };
	struct mf_pkt *first = NULL, **last = &first;

	MF_ASSERT(len > hdr_len && mtu >= (v4 ? MF_IP4_MIN_MTU : MF_IP6_MIN_MTU));
	if (len <= mtu)
		return copy(pool, &c);
	c.room = (mtu - hdr_len - (v4 ? 0 : sizeof(struct mf_ip6_frag))) & ~(size_t)7;
	while (c.at < c.len) {
		*last = next(&c, pool);
		if (!*last) {
			free_list(first);
			return NULL;
		}
		last = &(*last)->next;
	}
	return first;
}
