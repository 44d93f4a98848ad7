/* SPDX-License-Identifier: Apache-2.0
 *
 * The host stack's datagram half with everything that can happen to it: packets of apps (UDP, pings, ICMP
 * errors, fragments of them, QUIC connections that are settled by their name), datagrams and errors from the
 * far side, drops, failures, time. Whatever goes to an app is well formed; every packet that came in ends once.
 *
 * A step is a byte that says what, a byte of detail, two of length, and as many bytes.
 */
#include <stdlib.h>

#include "base/prng.h"
#include "fix_ip4.h"
#include "host/datagram.h"
#include "support/fakedgram.h"
#include "support/hello.h"
#include "wire/gso.h"
#include "wire/ip.h"
#include "wire/udp.h"
#include "wire/vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum { DROP_HOP = 1, REJECT_HOP, HOP = 5 };

static struct {
	struct mf_host *h;
	struct mf_pkt_pool *pool;
	struct fakedgrams far;
	struct mf_prng prng;
	mf_nsec now;
	uint64_t given, ended;
	bool down;
} lab;

/* ---- What comes out ------------------------------------------------------------------------------- */

static void check_icmp(const struct mf_pkt *p)
{
	if (p->ip_version == 4)
		MF_ASSERT(mf_csum_fold(mf_csum_add(p->data + p->l4_off, p->len - p->l4_off, 0)) ==
			  0xffff);
	else
		MF_ASSERT(mf_ip_l4_csum_ok(p));
}

static void emit(void *ctx, struct mf_pkt *p)
{
	struct mf_pkt again = *p;

	(void)ctx;
	MF_ASSERT(mf_ip_input(&again) == MF_DROP_NONE && again.len == p->len);
	MF_ASSERT(again.l4_off == p->l4_off && again.l4_proto == p->l4_proto);
	MF_ASSERT(mf_vnet_check(p) == MF_DROP_NONE);
	MF_ASSERT(mf_gso_max_len(p) <= 1500);
	if (p->gso_type == MF_GSO_NONE && !mf_ip_is_fragment(p)) {
		mf_gso_finish_csum(p);
		if (p->l4_proto == MF_IPPROTO_UDP)
			MF_ASSERT(mf_ip_l4_csum_ok(p));
		else if (p->l4_proto != MF_IPPROTO_TCP)
			check_icmp(p);
	}
	mf_pkt_free(p);
}

static void drop(void *ctx, struct mf_pkt *p, enum mf_drop reason)
{
	(void)ctx;
	MF_ASSERT(reason > MF_DROP_NONE && reason < MF_DROP_COUNT);
	lab.ended++;
	mf_pkt_free(p);
}

static void consume(void *ctx, struct mf_pkt *p)
{
	(void)ctx;
	lab.ended++;
	mf_pkt_free(p);
}

static void taken(void *ctx, uint32_t segments, uint32_t trace)
{
	(void)ctx, (void)segments, (void)trace;
	lab.ended++;
}

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	(void)ctx;
	return hop == HOP && !lab.down ? &lab.far.out : NULL;
}

static uint32_t route(void *ctx, const struct mf_addr *dst)
{
	(void)ctx;
	return dst->b[3] & 1 ? HOP : HOP + 1;
}

static bool settles(void *ctx, const struct mf_addr *dst)
{
	(void)ctx;
	return dst->b[3] & 3;
}

static uint32_t settle(void *ctx, const struct mf_addr *dst, const char *name, size_t n,
		       uint32_t *rule)
{
	static const uint32_t hops[] = { DROP_HOP, REJECT_HOP, HOP, HOP + 1 };

	(void)ctx, (void)dst;
	MF_ASSERT(n && strlen(name) == n);
	*rule = (uint8_t)*name;
	return hops[*rule & 3];
}

static enum mf_host_fate fate(void *ctx, uint32_t hop)
{
	(void)ctx;
	return hop == DROP_HOP ? MF_FATE_DROP : hop == REJECT_HOP ? MF_FATE_REJECT : MF_FATE_CARRY;
}

/* ---- What goes in --------------------------------------------------------------------------------- */

/* Checksums that no fuzzer finds are made right; one in eight stays as it is. */
static void fix_l4(struct mf_pkt *p)
{
	static const uint8_t at_of[256] = {
		[MF_IPPROTO_UDP] = 6, [MF_IPPROTO_ICMP] = 2, [MF_IPPROTO_ICMP6] = 2
	};
	uint32_t n = p->len - p->l4_off;
	uint8_t at = at_of[p->l4_proto], *l4 = p->data + p->l4_off;
	uint64_t sum = 0;

	if (!at || n < 8)
		return;
	if (p->l4_proto == MF_IPPROTO_UDP)
		mf_store_be16(l4 + 4, (uint16_t)n);
	if (p->ip_version == 6)
		sum = mf_csum_pseudo6(mf_ip_src_bytes(p), p->l4_proto, n);
	else if (p->l4_proto != MF_IPPROTO_ICMP)
		sum = mf_csum_pseudo4(mf_ip_src_bytes(p), p->l4_proto, n);
	mf_csum_store(l4 + at, 0);
	mf_csum_store(l4 + at, mf_csum_finish(mf_csum_add(l4, n, sum)));
}

static void make_super(struct mf_pkt *p, uint16_t gso_size)
{
	if (p->l4_proto != MF_IPPROTO_UDP || p->len - p->l4_off < 9 || !gso_size)
		return;
	p->flags |= MF_PKT_NEEDS_CSUM;
	p->csum_start = p->l4_off;
	p->csum_offset = MF_UDP_CSUM_OFF;
	p->gso_type = MF_GSO_UDP;
	p->gso_size = gso_size;
	if (mf_vnet_check(p) == MF_DROP_NONE && p->segments > 1)
		return;
	p->flags &= (uint8_t)~MF_PKT_NEEDS_CSUM;
	p->gso_type = MF_GSO_NONE;
	p->gso_size = 0;
	p->segments = 1;
}

static struct mf_pkt *from_app(const uint8_t *in, size_t n, uint8_t detail)
{
	struct mf_pkt *p = n <= MF_PKT_SMALL_MAX ? mf_pkt_small(lab.pool) : mf_pkt_large(lab.pool);

	if (!p)
		return NULL;
	memcpy(p->data, in, n);
	p->len = (uint32_t)n;
	fix_ip4(p->data, n);
	if (mf_ip_input(p) || mf_ip_martian_source(p) || mf_ip_martian_destination(p) ||
	    p->l4_proto == MF_IPPROTO_TCP) {
		mf_pkt_free(p);
		return NULL;
	}
	if (detail & 7 && !mf_ip_is_fragment(p))
		fix_l4(p);
	if (detail & 8 && !mf_ip_is_fragment(p))
		make_super(p, detail);
	p->next_hop = detail & 0xc0 ? HOP : HOP + 1;
	return p;
}

static void give_packet(const uint8_t *in, size_t n, uint8_t detail)
{
	struct mf_pkt *p = from_app(in, n, detail);

	if (!p)
		return;
	lab.given++;
	if (p->l4_proto == MF_IPPROTO_ICMP || p->l4_proto == MF_IPPROTO_ICMP6)
		mf_host_icmp(lab.h, &p, 1);
	else
		mf_host_udp(lab.h, &p, 1);
}

/* A part of a ClientHello, on its way between ends of which there are few. */
static void give_initial(const uint8_t *in, size_t n, uint8_t detail)
{
	static const char *const names[] = { "a.example", "b.example", "c.example", "d.example" };
	static const uint8_t dcid[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static struct hello_bytes hello, frames, packet;
	struct mf_endpoint app = { .addr = mf_addr_ip4((uint8_t[]){ 10, 0, 0, 2 }),
				   .port = (uint16_t)(1000 + (detail & 3)) };
	struct mf_endpoint to = { .addr = mf_addr_ip4((uint8_t[]){ 192, 0, 2, detail >> 2 & 7 }),
				  .port = 443 };
	struct mf_pkt *p = mf_pkt_small(lab.pool);
	size_t at = n ? in[0] * 8u : 0, len = n > 1 ? in[1] * 4u : 900;

	if (!p)
		return;
	hello.n = frames.n = packet.n = 0;
	hello_make(&hello, &(struct hello_shape){ .name = names[detail >> 6], .key_share = 800 });
	at = mf_min(at, hello.n - 1);
	hello_crypto(&frames, &hello, at, mf_min(mf_max(len, 1), mf_min(900, hello.n - at)));
	hello_initial(&packet, &(struct hello_initial){ .version = HELLO_QUIC_V1,
							.keys_from = mf_span(dcid, 8),
							.dcid = mf_span(dcid, 8),
							.number_len = 1,
							.frames = mf_span(frames.b, frames.n),
							.payload = 1170 });
	memcpy(p->data, packet.b, packet.n);
	p->len = (uint32_t)packet.n;
	MF_ASSERT(mf_datagram_wrap_udp(p, &app, &to) && mf_ip_input(p) == MF_DROP_NONE);
	p->next_hop = HOP;
	lab.given++;
	mf_host_udp(lab.h, &p, 1);
}

static struct fake_dgram *one_of(uint8_t which)
{
	struct fake_dgram *x = lab.far.last;

	for (which %= 8; x && which; which--)
		x = x->next;
	return x && x->d ? x : NULL;
}

static struct mf_endpoint remote(const struct fake_dgram *x, uint8_t detail)
{
	struct mf_endpoint e = x->dst;

	e.port = (uint16_t)(e.port + (detail >> 6));
	if (detail & 32)
		e.addr.b[3] ^= detail;
	return e;
}

static void give_answer(const uint8_t *in, size_t n, uint8_t detail)
{
	struct fake_dgram *x = one_of(detail);
	uint16_t gso_size = n > 2 && detail & 16 ? mf_load_be16(in) : 0;
	struct mf_endpoint from;

	if (!x)
		return;
	from = remote(x, detail);
	fakedgram_give(x, &from, in, n, gso_size, detail);
}

static void give_error(const uint8_t *in, size_t n, uint8_t detail)
{
	struct fake_dgram *x = one_of(detail);
	struct mf_dgram_error e = { 0 };

	if (!x || n < 8 || (x->told != x->n_errors && x->n_errors == MF_ARRAY_LEN(x->error)))
		return;
	e.remote = remote(x, detail);
	e.offender = in[0] & 1 ? e.remote.addr : (struct mf_addr){ .family = MF_AF_NONE };
	e.type = in[1];
	e.code = in[2];
	e.mtu = mf_load_be16(in + 3);
	e.echo_seq = mf_load_be16(in + 5);
	fakedgram_error(x, &e);
}

static void change_outbound(uint8_t detail)
{
	static const enum mf_drop drops[] = { MF_DROP_NONE, MF_DROP_NONE, MF_DROP_OUTBOUND_BUSY,
					      MF_DROP_TOO_BIG };

	lab.far.drop = drops[detail & 3];
	lab.far.too_big_told = false;
	lab.far.refuse = detail & 4 ? (enum mf_stream_error)(detail >> 4 & 7) : MF_STREAM_E_NONE;
	lab.down = detail & 8;
}

static void step(uint8_t what, uint8_t detail, const uint8_t *in, size_t n)
{
	struct fake_dgram *x = one_of(detail);

	switch (what % 8) {
	case 0:
	case 1:
		if (what & 64)
			give_initial(in, n, detail);
		else
			give_packet(in, n, detail);
		break;
	case 2:
		give_answer(in, n, detail);
		break;
	case 3:
		give_error(in, n, detail);
		break;
	case 4:
		change_outbound(detail);
		break;
	case 5:
		lab.now += (mf_nsec)detail * detail * 10 * MF_MSEC;
		break;
	case 6:
		if (x && detail & 128)
			fakedgram_fail(x);
		else
			mf_host_routes_changed(lab.h, detail & 64);
		break;
	default:
		mf_host_run(lab.h, lab.now);
		mf_host_begin(lab.h, lab.now);
	}
}

static void up(void)
{
	static const struct mf_host_port port = {
		.emit = emit,
		.drop = drop,
		.consume = consume,
		.taken = taken,
		.outbound = outbound,
		.route = route,
		.settles = settles,
		.settle = settle,
		.fate = fate,
	};
	struct mf_host_config cfg = {
		.max = 16,
		.per_source = 8,
		.half_open_per_source = 4,
		.tcp_idle = 100 * MF_SEC,
		.udp = 60 * MF_SEC,
		.udp_dns = 5 * MF_SEC,
		.udp_quic = 90 * MF_SEC,
		.echo = 20 * MF_SEC,
		.mtu = 1500,
		.settle_wait = MF_SEC,
		.settle_port = { 443 },
		.n_settle_ports = 1,
	};
	struct mf_rng rng = { .fill = mf_prng_fill, .ctx = &lab.prng };

	memset(&lab, 0, sizeof(lab));
	lab.now = 1000 * MF_SEC;
	lab.pool = mf_pkt_pool_new(400, 16);
	fakedgrams_init(&lab.far);
	lab.h = mf_host_new(0, &cfg, &port, lab.pool, NULL, &rng, 8 << 20, lab.now);
	MF_ASSERT(lab.h);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	up();
	while (n >= 4) {
		size_t len = mf_min(mf_load_be16(in + 2), n - 4);

		step(in[0], in[1], in + 4, len);
		in += 4 + len;
		n -= 4 + len;
	}
	for (int i = 0; i < 1000 && (mf_host_run(lab.h, lab.now), mf_host_pending(lab.h)); i++)
		mf_host_begin(lab.h, lab.now);
	/* Fragments and connections that wait come to their end in time, and then nothing is held. */
	lab.now += 40 * MF_SEC;
	mf_host_run(lab.h, lab.now);
	MF_ASSERT(lab.given == lab.ended);
	mf_host_free(lab.h);
	MF_ASSERT(!lab.far.n_open);
	fakedgrams_fini(&lab.far);
	mf_pkt_pool_free(lab.pool);
	return 0;
}
