/* SPDX-License-Identifier: Apache-2.0
 *
 * emit - builds a segment: a small packet with IP and TCP header, the payload as its tail. The checksum is
 * left to whoever completes it last: the field holds the sum of the pseudo-header.
 */
#include "proto/tcp/internal.h"
#include "wire/csum.h"
#include "wire/ip.h"

enum { TTL = 64 };

/* NOP, NOP, timestamps of ten bytes (RFC 7323 appendix A). */
#define TS_HEADER 0x0101080au
enum { TS_LEN = 12 };

static void write_ip4(const struct mf_tcp *c, struct mf_pkt *p, uint32_t total)
{
	struct mf_ip4_hdr *h = (void *)p->data;

	*h = (struct mf_ip4_hdr){
		.version_ihl = 0x45,
		.tos = c->cfg.tos,
		.len = mf_be16_of((uint16_t)total),
		.frag = mf_be16_of(MF_IP4_DF),
		.ttl = TTL,
		.proto = MF_IPPROTO_TCP,
	};
	memcpy(h->src, c->local.addr.b, 4);
	memcpy(h->dst, c->remote.addr.b, 4);
	mf_csum_store(&h->csum, mf_csum_finish(mf_csum_add_small(h, sizeof(*h), 0)));
}

static void write_ip6(const struct mf_tcp *c, struct mf_pkt *p, uint32_t total)
{
	struct mf_ip6_hdr *h = (void *)p->data;

	*h = (struct mf_ip6_hdr){
		.version_class_flow = mf_be32_of(6u << 28 | (uint32_t)c->cfg.tos << 20),
		.payload_len = mf_be16_of((uint16_t)(total - sizeof(*h))),
		.next = MF_IPPROTO_TCP,
		.hop_limit = TTL,
	};
	memcpy(h->src, c->local.addr.b, 16);
	memcpy(h->dst, c->remote.addr.b, 16);
}

/* Everything around the TCP header, which has tcp_len bytes with its options; o may be NULL. */
static void finish(struct mf_tcp *c, struct mf_pkt *p, size_t tcp_len, const uint8_t *payload,
		   uint32_t n)
{
	bool v4 = p->ip_version == 4;
	uint32_t l4_len = (uint32_t)tcp_len + n;
	uint64_t sum;

	p->len = p->l4_off + (uint32_t)tcp_len;
	if (n) {
		p->tail = payload;
		p->tail_len = n;
	}
	if (v4) {
		write_ip4(c, p, p->len + n);
		sum = mf_csum_pseudo4(p->data + offsetof(struct mf_ip4_hdr, src), MF_IPPROTO_TCP,
				      l4_len);
	} else {
		write_ip6(c, p, p->len + n);
		sum = mf_csum_pseudo6(p->data + offsetof(struct mf_ip6_hdr, src), MF_IPPROTO_TCP,
				      l4_len);
	}
	p->flags |= MF_PKT_NEEDS_CSUM;
	p->csum_start = p->l4_off;
	p->csum_offset = MF_TCP_CSUM_OFF;
	mf_csum_store(p->data + p->l4_off + MF_TCP_CSUM_OFF, mf_csum_fold(sum));
	if (n > c->mss) {
		p->gso_type = v4 ? MF_GSO_TCP4 : MF_GSO_TCP6;
		p->gso_size = (uint16_t)c->mss;
		p->segments = (n + c->mss - 1) / c->mss;
	}
	mf_count(&mf_tcp_count(c)->segs_out, 1);
	c->env->emit(c->env->ctx, c, p);
}

/* An empty packet with room for the headers, p->l4_off set; NULL: none is free. */
static struct mf_pkt *start(struct mf_tcp *c)
{
	struct mf_pkt *p = mf_pkt_small(c->env->pool);
	bool v4 = c->local.addr.family == MF_AF_IP4;

	if (!p)
		return NULL;
	p->ip_version = v4 ? 4 : 6;
	p->l4_off = v4 ? sizeof(struct mf_ip4_hdr) : sizeof(struct mf_ip6_hdr);
	p->l4_proto = MF_IPPROTO_TCP;
	return p;
}

static struct mf_tcp_hdr *header(struct mf_tcp *c, struct mf_pkt *p, uint32_t seq, uint8_t flags)
{
	struct mf_tcp_hdr *t = (void *)(p->data + p->l4_off);

	*t = (struct mf_tcp_hdr){
		.sport = mf_be16_of(c->local.port),
		.dport = mf_be16_of(c->remote.port),
		.seq = mf_be32_of(seq),
		.ack = mf_be32_of(flags & MF_TCP_ACK ? c->rcv_nxt : 0),
		.flags = flags,
	};
	return t;
}

static void set_len(struct mf_tcp_hdr *t, size_t options)
{
	t->off = (uint8_t)((sizeof(*t) + options) / 4 << 4);
}

/* A FIN that came before its turn lies in no packet, but it has a sequence number. */
static void add_fin(const struct mf_tcp *c, struct mf_tcp_options *o, uint8_t first)
{
	for (uint8_t i = first; i < o->n_sack; i++) {
		if (o->sack[i].end == c->rcv_fin) {
			o->sack[i].end++;
			return;
		}
	}
	if (o->n_sack == MF_TCP_SACK_MAX)
		o->n_sack--;
	memmove(o->sack + first + 1, o->sack + first,
		(size_t)(o->n_sack - first) * sizeof(o->sack[0]));
	o->sack[first] = (struct mf_tcp_range){ c->rcv_fin, c->rcv_fin + 1 };
	o->n_sack++;
}

/* SACK blocks: what came twice first (RFC 2883 4). */
static size_t write_sack(struct mf_tcp *c, uint8_t *out, const struct mf_tcp_out *seg, mf_nsec now)
{
	struct mf_tcp_options o = {
		.has_ts = c->flags & MF_TCP_F_TS,
		.ts_val = mf_tcp_ts(c, now),
		.ts_ecr = c->ts_recent,
	};

	uint8_t first = c->dsack.start != c->dsack.end;

	if (seg->blocks) {
		o.n_sack = seg->n_blocks;
		memcpy(o.sack, seg->blocks, seg->n_blocks * sizeof(o.sack[0]));
		return mf_tcp_options_write(out, &o, false);
	}
	if (first)
		o.sack[o.n_sack++] = c->dsack;
	c->dsack.start = c->dsack.end = 0;
	o.n_sack = (uint8_t)(o.n_sack + mf_tcp_reass_blocks(&c->reass, o.sack + o.n_sack,
							    (uint8_t)(MF_TCP_SACK_MAX - o.n_sack)));
	if (mf_tcp_fin_waits(c))
		add_fin(c, &o, first);
	return mf_tcp_options_write(out, &o, false);
}

/* A segment with payload has room for timestamps only: its size is counted on. */
static size_t write_options(struct mf_tcp *c, uint8_t *out, const struct mf_tcp_out *seg, mf_nsec now)
{
	if (!seg->len && mf_tcp_has_blocks(c))
		return write_sack(c, out, seg, now);
	if (!(c->flags & MF_TCP_F_TS))
		return 0;
	mf_store_be32(out, TS_HEADER);
	mf_store_be32(out + 4, mf_tcp_ts(c, now));
	mf_store_be32(out + 8, c->ts_recent);
	return TS_LEN;
}

bool mf_tcp_emit(struct mf_tcp *c, const struct mf_tcp_out *o, mf_nsec now)
{
	struct mf_pkt *p = start(c);
	struct mf_tcp_hdr *t;
	size_t options;

	if (MF_UNLIKELY(!p))
		return false;
	t = header(c, p, o->seq, o->flags);
	t->window = mf_be16_of(mf_tcp_advertise(c));
	options = write_options(c, (uint8_t *)(t + 1), o, now);
	set_len(t, options);
	c->ack_sent = c->rcv_nxt;
	c->ack_at = MF_NEVER;
	c->todo &= (uint8_t)~MF_TCP_TODO_ACK;
	finish(c, p, sizeof(*t) + options, o->payload, o->len);
	return true;
}

bool mf_tcp_emit_syn(struct mf_tcp *c, mf_nsec now)
{
	bool answer = c->state == MF_TCP_SYN_RECEIVED;
	struct mf_pkt *p = start(c);
	struct mf_tcp_options o = {
		.has_ts = answer ? c->flags & MF_TCP_F_TS : !c->cfg.no_ts,
		.sack_permitted = answer ? c->flags & MF_TCP_F_SACK : !c->cfg.no_sack,
		.has_wscale = answer ? c->flags & MF_TCP_F_WSCALE : !c->cfg.no_wscale,
		.wscale = c->rcv_wscale,
		.ts_val = mf_tcp_ts(c, now),
		.ts_ecr = answer ? c->ts_recent : 0,
	};
	struct mf_tcp_hdr *t;
	size_t options;

	if (!p)
		return false;
	o.mss = (uint16_t)(c->mtu - p->l4_off - sizeof(*t));
	t = header(c, p, c->iss, answer ? MF_TCP_SYN | MF_TCP_ACK : MF_TCP_SYN);
	t->window = mf_be16_of((uint16_t)mf_min(c->rcv_buf, UINT16_MAX));
	options = mf_tcp_options_write((uint8_t *)(t + 1), &o, true);
	set_len(t, options);
	finish(c, p, sizeof(*t) + options, NULL, 0);
	return true;
}

bool mf_tcp_emit_rst(struct mf_tcp *c, uint32_t seq, bool with_ack)
{
	struct mf_pkt *p = start(c);

	if (!p)
		return false;
	set_len(header(c, p, seq, with_ack ? MF_TCP_RST | MF_TCP_ACK : MF_TCP_RST), 0);
	finish(c, p, sizeof(struct mf_tcp_hdr), NULL, 0);
	return true;
}
