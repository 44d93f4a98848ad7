/* SPDX-License-Identifier: Apache-2.0
 *
 * dgramlab - a host stack between a made-up app and a made-up outbound (support/fakedgram.h) on virtual
 * time: packets go in, and everything that comes out is kept to be looked at.
 */
#ifndef MF_TEST_DGRAMLAB_H
#define MF_TEST_DGRAMLAB_H

#include "host/internal.h"
#include "support/fakedgram.h"
#include "wire/fragment.h"
#include "wire/gso.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/vnet.h"

#include "../wire/packets.h"
#include "unit.h"

enum { LAB_OUT = 4096, DROP_HOP = 1, REJECT_HOP, HOP = 5, OTHER_HOP };

static struct {
	struct mf_host *h;
	struct mf_pkt_pool *pool;
	struct fakedgrams far, other; /* what carries HOP and OTHER_HOP */
	struct mf_outbound *hop5;     /* NULL: nothing carries HOP now */
	struct mf_prng prng;
	mf_nsec now;
	uint32_t route;       /* of every address */
	struct mf_addr moved; /* but this one */
	bool settles;         /* names may say otherwise: "other", "ads", "bad" do (.example) */
	bool learned;         /* there are learned routes */
	unsigned held;
	struct mf_addr held_addr; /* that was held last */

	struct mf_pkt *out[LAB_OUT]; /* to the app */
	size_t n_out;
	unsigned dropped[MF_DROP_COUNT], drops, consumed;
} lab;

static const uint8_t lab_bytes[65536] =
	"What an app or a server says. The rest is zeros, which is as good.";

static void lab_emit(void *ctx, struct mf_pkt *p)
{
	(void)ctx;
	assert_true(lab.n_out < LAB_OUT);
	lab.out[lab.n_out++] = p;
}

/* Traces and captures want to see the packet at its end as it came. */
static void lab_check_end(const struct mf_pkt *p)
{
	size_t ip = mf_load_be16(p->data + (p->ip_version == 4 ? 2 : 4));

	assert_int_equal(p->data[0] >> 4, p->ip_version);
	assert_in_range(p->len, p->l4_off, ip + (p->ip_version == 4 ? 0 : 40));
}

static void lab_drop(void *ctx, struct mf_pkt *p, enum mf_drop reason)
{
	(void)ctx;
	lab_check_end(p);
	assert_true(reason > MF_DROP_NONE && reason < MF_DROP_COUNT);
	lab.dropped[reason]++;
	lab.drops++;
	mf_pkt_free(p);
}

static void lab_consume(void *ctx, struct mf_pkt *p)
{
	(void)ctx;
	lab_check_end(p);
	lab.consumed++;
	mf_pkt_free(p);
}

static void lab_taken(void *ctx, uint32_t segments, uint32_t trace)
{
	(void)ctx, (void)segments, (void)trace;
}

static struct mf_outbound *lab_outbound(void *ctx, uint32_t hop)
{
	(void)ctx;
	return hop == HOP ? lab.hop5 : hop == OTHER_HOP ? &lab.other.out : NULL;
}

static uint32_t lab_route(void *ctx, const struct mf_addr *dst)
{
	(void)ctx;
	return mf_addr_equal(dst, &lab.moved) ? OTHER_HOP : lab.route;
}

static bool lab_settles(void *ctx, const struct mf_addr *dst)
{
	(void)ctx, (void)dst;
	return lab.settles;
}

static uint32_t lab_settle(void *ctx, const struct mf_addr *dst, const char *name, size_t n,
			   uint32_t *rule)
{
	static const struct {
		const char *name;
		uint32_t hop;
	} rules[] = { { "other.example", OTHER_HOP },
		      { "ads.example", DROP_HOP },
		      { "bad.example", REJECT_HOP } };

	assert_int_equal(strlen(name), n);
	for (uint32_t i = 0; i < MF_ARRAY_LEN(rules); i++)
		if (!strcmp(rules[i].name, name)) {
			*rule = i;
			return rules[i].hop;
		}
	*rule = UINT32_MAX;
	return lab_route(ctx, dst);
}

static enum mf_host_fate lab_fate(void *ctx, uint32_t hop)
{
	(void)ctx;
	return hop == DROP_HOP ? MF_FATE_DROP : hop == REJECT_HOP ? MF_FATE_REJECT : MF_FATE_CARRY;
}

static bool lab_hold(void *ctx, const struct mf_addr *dst)
{
	(void)ctx;
	lab.held += lab.learned;
	lab.held_addr = *dst;
	return lab.learned;
}

static void lab_release(void *ctx, const struct mf_addr *dst)
{
	(void)ctx;
	assert_true(lab.held > 0);
	assert_true(mf_addr_equal(dst, &lab.held_addr) || lab.held > 1);
	lab.held--;
}

static inline struct mf_host_config lab_config(void)
{
	return (struct mf_host_config){
		.max = 64,
		.per_source = 40,
		.half_open_per_source = 10,
		.tcp_idle = 7200 * MF_SEC,
		.udp = 300 * MF_SEC,
		.udp_dns = 20 * MF_SEC,
		.udp_quic = 600 * MF_SEC,
		.echo = 60 * MF_SEC,
		.mtu = 1500,
	};
}

static inline void lab_up_with(const struct mf_host_config *cfg, uint32_t small, uint32_t large)
{
	static const struct mf_host_port port = {
		.emit = lab_emit,
		.drop = lab_drop,
		.consume = lab_consume,
		.taken = lab_taken,
		.outbound = lab_outbound,
		.route = lab_route,
		.settles = lab_settles,
		.settle = lab_settle,
		.fate = lab_fate,
		.hold = lab_hold,
		.release = lab_release,
	};
	struct mf_rng rng = { .fill = mf_prng_fill, .ctx = &lab.prng };

	memset(&lab, 0, sizeof(lab));
	lab.prng.state = 1;
	lab.now = 1000 * MF_SEC;
	lab.route = HOP;
	lab.pool = mf_pkt_pool_new(small, large);
	fakedgrams_init(&lab.far);
	fakedgrams_init(&lab.other);
	lab.hop5 = &lab.far.out;
	lab.h = mf_host_new(0, cfg, &port, lab.pool, NULL, &rng, 64 << 20, lab.now);
	assert_non_null(lab.h);
}

static inline void lab_clear(void)
{
	while (lab.n_out)
		mf_pkt_free(lab.out[--lab.n_out]);
	memset(lab.dropped, 0, sizeof(lab.dropped));
	lab.drops = lab.consumed = 0;
}

static inline int lab_up(void **state)
{
	struct mf_host_config cfg = lab_config();

	(void)state;
	lab_up_with(&cfg, 2000, 64);
	return 0;
}

static inline int lab_down(void **state)
{
	(void)state;
	mf_host_free(lab.h);
	assert_int_equal(lab.far.n_open + lab.other.n_open, 0);
	assert_int_equal(lab.held, 0);
	fakedgrams_fini(&lab.far);
	fakedgrams_fini(&lab.other);
	lab_clear();
	mf_pkt_pool_free(lab.pool); /* asserts that nothing leaked */
	return 0;
}

/* ---- Passes --------------------------------------------------------------------------------------- */

static inline void lab_begin(void)
{
	lab_clear();
	mf_host_begin(lab.h, lab.now);
}

/* Turns until nobody has more to do. */
static inline void lab_run(void)
{
	for (int i = 0; i < 1000; i++) {
		mf_host_run(lab.h, lab.now);
		if (!mf_host_pending(lab.h))
			return;
	}
	fail_msg("a session that never has enough");
}

/* Time goes by; what has happened meanwhile is dealt with when it is over. */
static inline void lab_wait(mf_nsec span)
{
	lab.now += span;
	lab_begin();
	lab_run();
}

static inline void lab_input(struct mf_pkt **pkts, uint32_t n)
{
	uint8_t proto = pkts[0]->l4_proto;

	if (proto == ICMP || proto == ICMP6)
		mf_host_icmp(lab.h, pkts, n);
	else if (proto == TCP)
		mf_host_tcp(lab.h, pkts, n);
	else
		mf_host_udp(lab.h, pkts, n);
}

/* One packet from the app, a pass of its own. */
static inline void lab_send(struct mf_pkt *p)
{
	lab_begin();
	lab_input(&p, 1);
	lab_run();
}

/* ---- Packets -------------------------------------------------------------------------------------- */

/* App A or B (a last byte), server 1, 2, ... likewise. */
static inline struct spec lab_spec(unsigned version, uint8_t app, uint16_t port, uint8_t server,
				   uint16_t dport, size_t n)
{
	struct spec s = {
		.version = (uint8_t)version,
		.proto = UDP,
		.ttl = 64,
		.id = 7,
		.df = true,
		.sport = port,
		.dport = dport,
		.payload = lab_bytes,
		.n = n,
	};

	if (version == 4) {
		memcpy(s.src, "\x0a\x07\x00", 3);
		memcpy(s.dst, "\xc6\x33\x64", 3);
		s.src[3] = app;
		s.dst[3] = server;
	} else {
		s.src[0] = s.dst[0] = 0x20;
		s.src[1] = 7;
		s.src[15] = app;
		s.dst[15] = server;
	}
	return s;
}

static inline struct mf_addr lab_addr(unsigned version, const uint8_t *b)
{
	return version == 4 ? mf_addr_ip4(b) : mf_addr_ip6(b);
}

static inline struct mf_endpoint lab_server(unsigned version, uint8_t server, uint16_t port)
{
	struct spec s = lab_spec(version, 1, 1, server, port, 0);

	return (struct mf_endpoint){ .addr = lab_addr(version, s.dst), .port = port };
}

/* As ip-input and route-lookup hand it on. */
static inline struct mf_pkt *lab_finish(struct mf_pkt *p)
{
	assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
	p->next_hop = HOP;
	return p;
}

static inline struct mf_pkt *lab_raw(const uint8_t *b, size_t n)
{
	struct mf_pkt *p = n <= MF_PKT_SMALL_MAX ? mf_pkt_small(lab.pool) : mf_pkt_large(lab.pool);

	assert_non_null(p);
	memcpy(p->data, b, n);
	p->len = (uint32_t)n;
	return p;
}

static inline struct mf_pkt *lab_pkt(const struct spec *s)
{
	static uint8_t b[65536 + 64];

	return lab_finish(lab_raw(b, slow_build(s, b)));
}

static inline struct mf_pkt *lab_udp(unsigned version, uint8_t app, uint16_t port, uint8_t server,
				     uint16_t dport, size_t n)
{
	struct spec s = lab_spec(version, app, port, server, dport, n);

	return lab_pkt(&s);
}

/* The same as a super-packet of n bytes, cut at gso_size. */
static inline struct mf_pkt *lab_super(const struct spec *s, uint16_t gso_size)
{
	struct mf_pkt *p = lab_pkt(s);

	slow_unfinish_csum(s, p->data, p->len);
	p->flags |= MF_PKT_NEEDS_CSUM;
	p->csum_start = p->l4_off;
	p->csum_offset = 6;
	p->gso_type = MF_GSO_UDP;
	p->gso_size = gso_size;
	assert_int_equal(mf_vnet_check(p), MF_DROP_NONE);
	return p;
}

/* An ICMP message, checksum right. */
static inline struct mf_pkt *lab_icmp(unsigned version, uint8_t app, uint8_t server, uint8_t type,
				      uint8_t code, uint32_t rest, const void *body, size_t n)
{
	struct spec s = lab_spec(version, app, 0, server, 0, n);
	static uint8_t b[65536];
	size_t ip;

	s.proto = version == 4 ? ICMP : ICMP6;
	s.payload = body ? body : lab_bytes;
	n = slow_build(&s, b);
	ip = slow_ip_len(&s);
	b[ip] = type;
	b[ip + 1] = code;
	mf_store_be32(b + ip + 4, rest);
	slow_fill_csums(b, ip, s.proto, n);
	return lab_finish(lab_raw(b, n));
}

/* ---- The far side --------------------------------------------------------------------------------- */

/* The outbound's newest mapping. */
static inline struct fake_dgram *lab_last(void)
{
	assert_non_null(lab.far.last);
	return lab.far.last;
}

/* How many datagrams the outbound got, through all its mappings. */
static inline size_t lab_sent(void)
{
	size_t n = 0;

	for (const struct fake_dgram *x = lab.far.last; x; x = x->next)
		n += x->n_sent;
	return n;
}

/* That server sends n bytes to a mapping. */
static inline void lab_give(struct fake_dgram *x, unsigned version, uint8_t server, uint16_t port,
			    size_t n)
{
	struct mf_endpoint e = lab_server(version, server, port);

	fakedgram_give(x, &e, lab_bytes, n, 0, 0);
}

/* ---- What came out -------------------------------------------------------------------------------- */

/* The one UDP packet that went to the app, its checksum done: from that server's port to the app's. */
static inline const uint8_t *lab_got(unsigned version, uint8_t server, uint16_t from, uint8_t app,
				     uint16_t to, size_t n)
{
	struct spec s = lab_spec(version, app, to, server, from, 0);
	size_t ip = version == 4 ? 20 : 40, alen = version == 4 ? 4 : 16;
	struct mf_pkt *p;

	assert_int_equal(lab.n_out, 1);
	p = lab.out[0];
	assert_int_equal(mf_vnet_check(p), MF_DROP_NONE);
	mf_gso_finish_csum(p);
	assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
	assert_int_equal(p->len, ip + 8 + n);
	assert_int_equal(p->l4_proto, UDP);
	assert_true(mf_ip_l4_csum_ok(p));
	assert_memory_equal(mf_ip_src_bytes(p), s.dst, alen);
	assert_memory_equal(mf_ip_dst_bytes(p), s.src, alen);
	assert_int_equal(mf_load_be16(p->data + ip), from);
	assert_int_equal(mf_load_be16(p->data + ip + 2), to);
	assert_int_equal(mf_load_be16(p->data + ip + 4), 8 + n);
	return p->data + ip + 8;
}

/* The one ICMP error that went to the app. Returns the packet that it quotes. */
static inline struct mf_pkt lab_got_error(unsigned version, const struct mf_addr *from,
					  uint8_t type, uint8_t code, uint32_t rest)
{
	size_t ip = version == 4 ? 20 : 40, alen = version == 4 ? 4 : 16;
	struct mf_pkt *p, q;

	assert_int_equal(lab.n_out, 1);
	p = lab.out[0];
	assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
	assert_int_equal(p->l4_proto, version == 4 ? ICMP : ICMP6);
	assert_memory_equal(mf_ip_src_bytes(p), from->b, alen);
	assert_int_equal(p->data[ip], type);
	assert_int_equal(p->data[ip + 1], code);
	assert_int_equal(mf_load_be32(p->data + ip + 4), rest);
	if (version == 4)
		assert_int_equal(slow_finish(slow_sum(p->data + ip, p->len - ip, 0)), 0);
	else
		assert_true(mf_ip_l4_csum_ok(p));
	assert_true(mf_ip_quoted(&q, p->data + ip + 8, p->len - ip - 8));
	assert_memory_equal(mf_ip_dst_bytes(p), mf_ip_src_bytes(&q), alen);
	return q;
}

/* The error quotes a UDP packet of this app to this server. */
static inline void lab_quotes_udp(const struct mf_pkt *q, unsigned version, uint8_t app,
				  uint16_t port, uint8_t server, uint16_t dport)
{
	struct spec s = lab_spec(version, app, port, server, dport, 0);
	size_t alen = version == 4 ? 4 : 16;

	assert_int_equal(q->l4_proto, UDP);
	assert_memory_equal(mf_ip_src_bytes(q), s.src, alen);
	assert_memory_equal(mf_ip_dst_bytes(q), s.dst, alen);
	assert_int_equal(mf_load_be16(q->data + q->l4_off), port);
	assert_int_equal(mf_load_be16(q->data + q->l4_off + 2), dport);
}

#endif
