/* SPDX-License-Identifier: Apache-2.0
 *
 * gso - segmentation in place. What stays the same in all headers is summed once per super-packet;
 * per segment there remain a copy of the header, a few stores and the sum over the payload.
 */
#include "wire/gso.h"
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"
#include "wire/vnet.h"

enum {
	/* Headers are copied in pieces of this size from the end backwards; it divides HDR_MAX. */
	CHUNK = 32,
};
static_assert(MF_GSO_HDR_MAX % CHUNK == 0, "chunks must not start before the template");

/* The template lies at the end of its array, so that the copy in whole chunks stays inside. */
static uint8_t *template(struct mf_gso *g)
{
	return g->hdr + MF_GSO_HDR_MAX - g->hdr_len;
}

void mf_gso_finish_csum(struct mf_pkt *p)
{
	uint8_t *at = p->data + p->csum_start + p->csum_offset;
	uint64_t sum;

	if (!(p->flags & MF_PKT_NEEDS_CSUM))
		return;
	p->flags &= (uint8_t)~MF_PKT_NEEDS_CSUM;
	/* The field itself holds the pseudo-header's sum, so it is just summed with the rest. */
	sum = mf_csum_add(p->data + p->csum_start, p->len - p->csum_start, 0);
	mf_csum_store(at, p->csum_offset == MF_UDP_CSUM_OFF ? mf_csum_finish_udp(sum)
							    : mf_csum_finish(sum));
}

static size_t l4_hdr_len(const struct mf_pkt *p)
{
	if (p->gso_type == MF_GSO_UDP)
		return sizeof(struct mf_udp_hdr);
	return mf_tcp_hdr_len((const void *)(p->data + p->l4_off));
}

/* Clears in the template what differs between segments and sums the rest. */
static void prepare_ip(struct mf_gso *g, uint8_t *ip)
{
	struct mf_ip4_hdr *h = (void *)ip;

	if (g->version == 6)
		return;
	g->ip_id = mf_be16_get(h->id);
	h->len = h->id = h->csum = mf_be16_of(0);
	g->ip_sum = mf_csum_add_small(h, mf_ip4_hdr_len(h), 0);
}

static void prepare_tcp(struct mf_gso *g, uint8_t *l4)
{
	struct mf_tcp_hdr *t = (void *)l4;

	g->seq = mf_be32_get(t->seq);
	g->tcp_flags = t->flags;
	g->l4_sum = mf_csum_load(&t->csum);
	t->seq = mf_be32_of(0);
	t->flags = 0;
	t->csum = mf_be16_of(0);
	g->l4_sum += mf_csum_add_small(t, mf_tcp_hdr_len(t), 0);
}

static void prepare_udp(struct mf_gso *g, uint8_t *l4)
{
	struct mf_udp_hdr *u = (void *)l4;

	g->l4_sum = mf_csum_load(&u->csum);
	u->len = u->csum = mf_be16_of(0);
	g->l4_sum += mf_csum_add_small(u, sizeof(*u), 0);
}

enum mf_drop mf_gso_begin(struct mf_gso *g, struct mf_pkt *p)
{
	size_t hdr_len;

	if (mf_vnet_check(p))
		return MF_DROP_OFFLOAD_META;
	g->done = 0;
	g->count = p->segments;
	g->whole = p->gso_type == MF_GSO_NONE;
	if (g->whole) {
		mf_gso_finish_csum(p);
		g->payload = p->data;
		g->left = p->len;
		return MF_DROP_NONE;
	}
	hdr_len = p->l4_off + l4_hdr_len(p);
	if (hdr_len > MF_GSO_HDR_MAX)
		return MF_DROP_OFFLOAD_META;
	g->hdr_len = (uint16_t)hdr_len;
	g->l4_off = p->l4_off;
	g->version = p->ip_version;
	g->l4_proto = p->l4_proto;
	g->size = p->gso_size;
	g->payload = p->data + hdr_len;
	g->left = p->len - (uint32_t)hdr_len;
	memcpy(template(g), p->data, hdr_len);
	prepare_ip(g, template(g));
	if (g->l4_proto == MF_IPPROTO_TCP)
		prepare_tcp(g, template(g) + g->l4_off);
	else
		prepare_udp(g, template(g) + g->l4_off);
	/* The stored pseudo-header sum covers the length of the super-packet: take it out again. */
	g->l4_sum += (uint16_t)~mf_csum_word((uint16_t)(p->len - p->l4_off));
	return MF_DROP_NONE;
}

/* What precedes a payload has been consumed, so whole chunks may be written; but the first header must
 * not be preceded by anything, and tiny segments could reach back to it. */
static void copy_header(const struct mf_gso *g, uint8_t *seg)
{
	const uint8_t *from = g->hdr + MF_GSO_HDR_MAX;
	uint8_t *to = seg + g->hdr_len;

	if (!g->done || g->size < CHUNK) {
		memcpy(seg, from - g->hdr_len, g->hdr_len);
		return;
	}
	for (size_t n = 0; n < g->hdr_len; n += CHUNK) {
		from -= CHUNK;
		to -= CHUNK;
		memcpy(to, from, CHUNK);
	}
}

static void write_tcp(const struct mf_gso *g, uint8_t *l4, uint64_t sum)
{
	struct mf_tcp_hdr *t = (void *)l4;
	uint8_t flags = g->tcp_flags;

	if (g->done)
		flags &= (uint8_t)~MF_TCP_CWR;
	if (g->done + 1 < g->count)
		flags &= (uint8_t) ~(MF_TCP_FIN | MF_TCP_PSH);
	t->seq = mf_be32_of(g->seq + g->done * g->size);
	t->flags = flags;
	sum += t->seq.raw;
	sum += mf_csum_word(flags);
	mf_csum_store(&t->csum, mf_csum_finish(sum));
}

/* The header of the segment whose n payload bytes are at `payload`. */
static void write_header(const struct mf_gso *g, uint8_t *seg, const uint8_t *payload, size_t n)
{
	uint16_t len = (uint16_t)(g->hdr_len + n), l4_len = (uint16_t)(len - g->l4_off);
	uint64_t sum;

	if (g->version == 4) {
		struct mf_ip4_hdr *h = (void *)seg;

		h->len = mf_be16_of(len);
		h->id = mf_be16_of((uint16_t)(g->ip_id + g->done));
		mf_csum_store(&h->csum, mf_csum_finish(g->ip_sum + h->len.raw + h->id.raw));
	} else {
		struct mf_ip6_hdr *h = (void *)seg;

		h->payload_len = mf_be16_of((uint16_t)(len - sizeof(*h)));
	}
	sum = mf_csum_add(payload, n, g->l4_sum + mf_csum_word(l4_len));
	if (g->l4_proto == MF_IPPROTO_TCP) {
		write_tcp(g, seg + g->l4_off, sum);
	} else {
		struct mf_udp_hdr *u = (void *)(seg + g->l4_off);

		u->len = mf_be16_of(l4_len);
		mf_csum_store(&u->csum, mf_csum_finish_udp(sum + u->len.raw));
	}
}

size_t mf_gso_next(struct mf_gso *g, uint8_t **seg)
{
	size_t n;

	if (g->done == g->count)
		return 0;
	if (g->whole) {
		g->done++;
		*seg = g->payload;
		return g->left;
	}
	n = mf_min(g->left, g->size);
	*seg = g->payload - g->hdr_len;
	copy_header(g, *seg);
	write_header(g, *seg, g->payload, n);
	g->payload += n;
	g->left -= (uint32_t)n;
	g->done++;
	return g->hdr_len + n;
}

size_t mf_gso_max_len(const struct mf_pkt *p)
{
	if (p->gso_type == MF_GSO_NONE)
		return p->len;
	return mf_min(p->len, p->l4_off + l4_hdr_len(p) + p->gso_size);
}

size_t mf_gso_first_header(const struct mf_pkt *p, uint8_t out[MF_GSO_HDR_MAX])
{
	struct mf_pkt view = *p;
	struct mf_gso g;

	if (p->gso_type == MF_GSO_NONE || mf_gso_begin(&g, &view))
		return 0;
	memcpy(out, template(&g), g.hdr_len);
	write_header(&g, out, g.payload, mf_min(g.left, g.size));
	return g.hdr_len;
}
