/* SPDX-License-Identifier: Apache-2.0
 *
 * peer - one connection and a peer made by hand: the test says which segments come, and looks at each that
 * goes out. Sequence numbers count from the SYN of whoever sends, which is 0.
 */
#ifndef MF_TCP_PEER_H
#define MF_TCP_PEER_H

#include "invariants.h"
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/vnet.h"

enum {
	PEER_SMALL = 512,
	PEER_LARGE = 128,
	PEER_OUT = 512,
	PEER_ISS = 0x7ffffff0, /* so that numbers wrap where comparing as unsigned would be wrong */
	PEER_PORT = 40000,
	PEER_WSCALE = 7,
	PEER_MSS = 1448, /* with timestamps */
};

/* A segment that went out. */
struct peer_seg {
	uint32_t seq, ack, len, wnd; /* wnd as it stands in the header */
	uint8_t flags;
	uint16_t gso_size;
	uint32_t segments;
	struct mf_tcp_options o;
	mf_nsec at;
};

struct peer {
	struct mf_pkt_pool *pool;
	struct mf_tcp_env env;
	struct mf_prng prng;
	struct mf_tcp c;
	struct mf_tcp_config cfg;
	mf_nsec now;
	bool v6;
	/* What the peer is like. */
	bool ts, sack, wscale;
	uint16_t mss;
	uint32_t wnd; /* bytes */
	uint32_t seq; /* what it sends next */
	uint32_t ts_val, ts_ecr;
	bool ts_missing; /* leave the option out of what follows */
	uint16_t gso;    /* segment size of what it sends; 0: not a super-packet */
	struct mf_tcp_range blocks[MF_TCP_SACK_MAX]; /* of SACK in the next segment only */
	uint8_t n_blocks;
	/* What we send. */
	uint32_t iss;
	bool iss_known;
	struct peer_seg out[PEER_OUT];
	unsigned n_out, n_seen;
	uint64_t given; /* bytes given to mf_tcp_send */
	uint32_t edge;  /* the right edge of our window, as the peer has seen it */
	bool edge_known;
};

static inline struct mf_addr peer_addr(const struct peer *f, uint8_t last)
{
	return f->v6 ? (struct mf_addr){ .b = { 0xfd, [15] = last }, .family = MF_AF_IP6 }
		     : (struct mf_addr){ .b = { 10, 0, 0, last }, .family = MF_AF_IP4 };
}

static inline uint8_t peer_byte(uint64_t at)
{
	return (uint8_t)(at * 0x9e3779b97f4a7c15u >> 56);
}

/* ---- what comes out ---- */

static inline void peer_check_edge(struct peer *f, const struct peer_seg *g)
{
	uint8_t shift = f->wscale && !(g->flags & MF_TCP_SYN) ? f->c.rcv_wscale : 0;
	uint32_t edge = g->ack + (g->wnd << shift);

	if (!(g->flags & MF_TCP_ACK) || g->flags & MF_TCP_RST)
		return;
	if (f->edge_known)
		assert_true(mf_seq_leq(f->edge, edge));
	f->edge = edge;
	f->edge_known = true;
}

/* The packet must be one that a TUN device would take. */
static inline void peer_emit(void *ctx, struct mf_tcp *c, struct mf_pkt *p)
{
	struct peer *f = ctx;
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);
	struct peer_seg *g = &f->out[f->n_out++];
	uint32_t l4 = p->len - p->l4_off + p->tail_len;
	struct mf_pkt *whole = mf_pkt_large(f->pool);

	assert_ptr_equal(c, &f->c);
	assert_true(f->n_out < PEER_OUT);
	assert_non_null(whole);
	mf_pkt_copy_meta(whole, p);
	memcpy(whole->data, p->data, p->len);
	if (p->tail_len)
		memcpy(whole->data + p->len, p->tail, p->tail_len);
	whole->len = p->len + p->tail_len;
	assert_int_equal(mf_ip_input(whole), MF_DROP_NONE);
	assert_int_equal(whole->len, p->len + p->tail_len);
	assert_int_equal(mf_vnet_check(whole), MF_DROP_NONE);
	assert_int_equal(whole->segments, p->segments);
	assert_int_equal(mf_csum_load(&t->csum),
			 mf_csum_fold(f->v6 ? mf_csum_pseudo6(p->data + 8, MF_IPPROTO_TCP, l4)
					    : mf_csum_pseudo4(p->data + 12, MF_IPPROTO_TCP, l4)));
	if (!f->v6)
		assert_int_equal(mf_load_be16(p->data + 6), MF_IP4_DF);
	mf_pkt_free(whole);
	if (!f->iss_known) {
		f->iss = mf_be32_get(t->seq);
		f->iss_known = true;
	}
	*g = (struct peer_seg){
		.seq = mf_be32_get(t->seq) - f->iss,
		.ack = t->flags & MF_TCP_ACK ? mf_be32_get(t->ack) - PEER_ISS : 0,
		.wnd = mf_be16_get(t->window),
		.len = p->tail_len,
		.flags = t->flags,
		.gso_size = p->gso_size,
		.segments = p->segments,
		.at = f->now,
	};
	assert_int_equal(mf_tcp_options_parse(&g->o, t), MF_OK);
	for (uint8_t i = 0; i < g->o.n_sack; i++) {
		g->o.sack[i].start -= PEER_ISS;
		g->o.sack[i].end -= PEER_ISS;
	}
	/* Payload is what was given, at its place. */
	for (uint32_t i = 0; i < p->tail_len; i++)
		assert_int_equal(p->tail[i], peer_byte(g->seq - 1 + i));
	if (g->o.has_ts)
		f->ts_ecr = g->o.ts_val;
	peer_check_edge(f, g);
	mf_pkt_free(p);
}

static inline void peer_output(struct peer *f)
{
	check_tcp(&f->c);
	mf_tcp_output(&f->env, &f->c, f->now);
	mf_tcp_env_sweep(&f->env);
	check_tcp(&f->c);
}

/* The next segment that went out; the turn ends first if there is none yet. */
static inline struct peer_seg peer_take(struct peer *f)
{
	if (f->n_seen == f->n_out)
		peer_output(f);
	assert_true(f->n_seen < f->n_out);
	return f->out[f->n_seen++];
}

static inline void peer_takes_nothing(struct peer *f)
{
	peer_output(f);
	assert_int_equal(f->n_seen, f->n_out);
}

/* All that goes out now; returns the sum of payload. */
static inline uint32_t peer_take_all(struct peer *f)
{
	uint32_t n = 0;

	peer_output(f);
	while (f->n_seen < f->n_out)
		n += f->out[f->n_seen++].len;
	return n;
}

static inline void peer_wait(struct peer *f, mf_nsec by);

/* An ACK without payload, and nothing after it; at once, or in the moment for which a single one waits. */
static inline struct peer_seg peer_takes_ack(struct peer *f)
{
	struct peer_seg g;

	if (f->n_seen == f->n_out)
		peer_output(f);
	if (f->n_seen == f->n_out)
		peer_wait(f, MF_MSEC);
	g = peer_take(f);
	assert_int_equal(g.flags, MF_TCP_ACK);
	assert_int_equal(g.len, 0);
	assert_int_equal(f->n_seen, f->n_out);
	return g;
}

/* ---- what goes in ---- */

static inline size_t peer_options(struct peer *f, uint8_t *at, uint8_t flags)
{
	bool syn = flags & MF_TCP_SYN;
	struct mf_tcp_options o = {
		.mss = f->mss,
		.has_wscale = f->wscale,
		.wscale = PEER_WSCALE,
		.sack_permitted = f->sack,
		.has_ts = f->ts && !f->ts_missing,
		.ts_val = f->ts_val,
		.ts_ecr = flags & MF_TCP_ACK ? f->ts_ecr : 0,
		.n_sack = f->n_blocks,
	};

	for (uint8_t i = 0; i < f->n_blocks; i++)
		o.sack[i] = (struct mf_tcp_range){ f->blocks[i].start + f->iss,
						   f->blocks[i].end + f->iss };
	f->n_blocks = 0;
	return mf_tcp_options_write(at, &o, syn);
}

static inline void peer_ip(const struct peer *f, struct mf_pkt *p, size_t l4_len)
{
	struct mf_addr src = peer_addr(f, 1), dst = peer_addr(f, 2);

	if (f->v6) {
		struct mf_ip6_hdr h = { .version_class_flow = mf_be32_of(6u << 28),
					.payload_len = mf_be16_of((uint16_t)l4_len),
					.next = MF_IPPROTO_TCP,
					.hop_limit = 64 };

		memcpy(h.src, src.b, 16);
		memcpy(h.dst, dst.b, 16);
		memcpy(p->data, &h, sizeof(h));
	} else {
		struct mf_ip4_hdr h = { .version_ihl = 0x45,
					.len = mf_be16_of((uint16_t)(sizeof(h) + l4_len)),
					.ttl = 64,
					.proto = MF_IPPROTO_TCP };

		memcpy(h.src, src.b, 4);
		memcpy(h.dst, dst.b, 4);
		mf_csum_store(&h.csum, mf_csum_finish(mf_csum_add_small(&h, sizeof(h), 0)));
		memcpy(p->data, &h, sizeof(h));
	}
}

/* A segment of the peer's, as mf_ip_input leaves it. */
static inline struct mf_pkt *peer_segment(struct peer *f, uint8_t flags, uint32_t seq, uint32_t ack,
					  uint32_t len)
{
	struct mf_pkt *p = len > 1400 ? mf_pkt_large(f->pool) : mf_pkt_small(f->pool);
	size_t ip = f->v6 ? sizeof(struct mf_ip6_hdr) : sizeof(struct mf_ip4_hdr), tcp;
	uint32_t wnd = flags & MF_TCP_SYN || !f->wscale ? f->wnd : f->wnd >> PEER_WSCALE;
	struct mf_tcp_hdr *t;

	assert_non_null(p);
	t = (void *)(p->data + ip);
	*t = (struct mf_tcp_hdr){ .sport = mf_be16_of(PEER_PORT),
				  .dport = mf_be16_of(80),
				  .seq = mf_be32_of(seq + PEER_ISS),
				  .ack = mf_be32_of(flags & MF_TCP_ACK ? ack + f->iss : 0),
				  .flags = flags,
				  .window = mf_be16_of((uint16_t)mf_min(wnd, 65535)) };
	tcp = sizeof(*t) + peer_options(f, (uint8_t *)(t + 1), flags);
	t->off = (uint8_t)(tcp / 4 << 4);
	p->len = (uint32_t)(ip + tcp + len);
	peer_ip(f, p, tcp + len);
	for (uint32_t i = 0; i < len; i++)
		p->data[ip + tcp + i] = peer_byte(seq - 1 + i);
	if (f->gso && len > f->gso) {
		p->gso_type = f->v6 ? MF_GSO_TCP6 : MF_GSO_TCP4;
		p->gso_size = f->gso;
	}
	assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
	return p;
}

/* It arrives. Returns what became of it; the packet is gone either way. */
static inline enum mf_drop peer_put(struct peer *f, uint8_t flags, uint32_t seq, uint32_t ack,
				    uint32_t len)
{
	struct mf_pkt *p = peer_segment(f, flags, seq, ack, len);
	const uint8_t *data = p->data;
	uint32_t n = p->len;
	enum mf_drop r = mf_tcp_input(&f->env, &f->c, p, f->now);

	if (r) { /* whoever drops it finds it whole */
		assert_ptr_equal(p->data, data);
		assert_int_equal(p->len, n);
		mf_pkt_free(p);
	}
	check_tcp(&f->c);
	return r;
}

/* The next data of the peer's, in order. */
static inline enum mf_drop peer_data(struct peer *f, uint32_t len)
{
	uint32_t seq = f->seq;

	f->seq += len;
	return peer_put(f, MF_TCP_ACK | MF_TCP_PSH, seq, f->c.snd_nxt - f->iss, len);
}

/* It acknowledges everything before `ack`. */
static inline void peer_acks(struct peer *f, uint32_t ack)
{
	assert_int_equal(peer_put(f, MF_TCP_ACK, f->seq, ack, 0), MF_DROP_NONE);
}

/* A duplicate ACK with one block. */
static inline void peer_sacks(struct peer *f, uint32_t ack, uint32_t start, uint32_t end)
{
	f->blocks[0] = (struct mf_tcp_range){ start, end };
	f->n_blocks = 1;
	peer_acks(f, ack);
}

/* Time passes; timers that are due fire, and what they send goes out at once. */
static inline void peer_wait(struct peer *f, mf_nsec span)
{
	mf_nsec until = f->now + span;

	for (;;) {
		mf_nsec at = mf_tcp_deadline(&f->c);

		if (at > until)
			break;
		f->now = at > f->now ? at : f->now;
		mf_tcp_timeout(&f->env, &f->c, f->now);
		peer_output(f);
		if (mf_tcp_deadline(&f->c) <= f->now)
			f->now++; /* nothing may spin, but it may want to go on */
	}
	f->ts_val += (uint32_t)((until - f->now) / MF_MSEC);
	f->now = until;
}

/* ---- the app ---- */

static inline void peer_send(struct peer *f, size_t n)
{
	struct mf_pkt *p = n > MF_PKT_SMALL_MAX ? mf_pkt_large(f->pool) : mf_pkt_small(f->pool);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p->data[i] = peer_byte(f->given + i);
	f->given += n;
	p->len = (uint32_t)n;
	mf_tcp_send(&f->env, &f->c, p);
}

/* Reads all there is, looks that it is right, returns how much. `from`: what was read before. */
static inline size_t peer_read(struct peer *f, uint64_t from)
{
	struct mf_span v[8];
	size_t sum = 0, n, bytes;

	while ((n = mf_tcp_recv_spans(&f->c, v, MF_ARRAY_LEN(v), &bytes))) {
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < v[i].n; k++)
				assert_int_equal(v[i].p[k], peer_byte(from++));
		sum += bytes;
		mf_tcp_recv_done(&f->env, &f->c, bytes);
	}
	return sum;
}

static inline enum mf_tcp_end peer_end(const struct peer *f)
{
	struct mf_tcp_info info;

	mf_tcp_info(&f->c, &info);
	return info.end;
}

/* ---- beginning and end ---- */

/* A peer with all options, an MTU of 1500 and a window of 1 MiB. */
static inline struct peer *peer_new(void)
{
	struct peer *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->pool = mf_pkt_pool_new(PEER_SMALL, PEER_LARGE);
	assert_non_null(f->pool);
	f->prng.state = 7;
	f->env = (struct mf_tcp_env){ .pool = f->pool,
				      .rng = { .fill = mf_prng_fill, .ctx = &f->prng },
				      .ctx = f,
				      .emit = peer_emit };
	assert_int_equal(mf_tcp_env_init(&f->env), MF_OK);
	f->now = 1000 * MF_SEC;
	f->ts = f->sack = f->wscale = true;
	f->mss = 1460;
	f->wnd = 1 << 20;
	f->ts_val = 1000;
	return f;
}

static inline void peer_free(struct peer *f)
{
	mf_tcp_free(&f->env, &f->c);
	mf_tcp_env_sweep(&f->env);
	assert_int_equal(mf_tcp_env_rx_held(&f->env), 0);
	assert_int_equal(mf_tcp_env_tx_held(&f->env), 0);
	mf_tcp_env_fini(&f->env);
	assert_int_equal(mf_pkt_pool_free_small(f->pool), PEER_SMALL);
	assert_int_equal(mf_pkt_pool_free_large(f->pool), PEER_LARGE);
	mf_pkt_pool_free(f->pool);
	free(f);
}

static inline void peer_hold(struct peer *f)
{
	struct mf_pkt *p = peer_segment(f, MF_TCP_SYN, 0, 0, 0);

	assert_int_equal(mf_tcp_hold(&f->env, &f->c, &f->cfg, p, f->now), MF_OK);
	mf_pkt_free(p);
	f->seq = 1;
}

/* SYN-RECEIVED, the SYN-ACK has gone out. */
static inline struct peer_seg peer_accept(struct peer *f)
{
	struct peer_seg g;

	peer_hold(f);
	mf_tcp_accept(&f->env, &f->c, f->now);
	g = peer_take(f);
	assert_int_equal(g.flags, MF_TCP_SYN | MF_TCP_ACK);
	return g;
}

/* Established, the peer has opened it; a round trip took 10 ms. */
static inline void peer_establish(struct peer *f)
{
	peer_accept(f);
	f->now += 10 * MF_MSEC;
	f->ts_val += 10;
	peer_acks(f, 1);
	assert_int_equal(mf_tcp_state(&f->c), MF_TCP_ESTABLISHED);
	peer_takes_nothing(f);
	mf_tcp_events(&f->c);
}

static inline struct peer *peer_established(void)
{
	struct peer *f = peer_new();

	peer_establish(f);
	return f;
}

/* SYN-SENT, the SYN has gone out. */
static inline struct peer_seg peer_connect(struct peer *f)
{
	struct mf_endpoint local = { .addr = peer_addr(f, 2), .port = 80 };
	struct mf_endpoint remote = { .addr = peer_addr(f, 1), .port = PEER_PORT };
	struct peer_seg g;

	assert_int_equal(mf_tcp_connect(&f->env, &f->c, &f->cfg, &local, &remote, f->now), MF_OK);
	g = peer_take(f);
	assert_int_equal(g.flags, MF_TCP_SYN);
	return g;
}

#endif
