/* SPDX-License-Identifier: Apache-2.0
 *
 * wire - what cutting and merging super-packets costs for each packet, and the checksum under it.
 * Thread CPU time, the best of several rounds, because other work on the machine can only make it
 * slower. Packets: TCP over IPv4 with time stamps, 1420 bytes.
 *
 * wire [--ms N]: N milliseconds a round (default 20).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "wire/csum.h"
#include "wire/gro.h"
#include "wire/gso.h"
#include "wire/ip.h"
#include "wire/nat.h"
#include "wire/tcp.h"
#include "wire/vnet.h"

enum { ROUNDS = 9, HDR = 52, MSS = 1368, SEGMENTS = 46, BATCH = 138, PACKET = HDR + MSS };

static struct {
	struct mf_pkt_pool *pool;
	struct mf_pkt *super, *one;
	struct mf_gro gro;
	uint8_t packets[BATCH][PACKET + 4];
	unsigned impl;
	size_t csum_len;
	uint8_t hdr[HDR];
} b;

static mf_nsec round_time = 20 * MF_MSEC;
static volatile uint64_t sink;

static mf_nsec cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (mf_nsec)t.tv_sec * MF_SEC + (mf_nsec)t.tv_nsec;
}

/* Nanoseconds a call. */
static double measure(void (*op)(void))
{
	double best = 1e18;

	for (int r = 0; r < ROUNDS; r++) {
		mf_nsec start = cpu_time(), spent;
		uint64_t n = 0;

		do {
			for (int i = 0; i < 64; i++)
				op();
			n += 64;
			spent = cpu_time() - start;
		} while (spent < round_time);
		if ((double)spent / (double)n < best)
			best = (double)spent / (double)n;
	}
	return best;
}

/* A packet of a flow, with right checksums. */
static void build(uint8_t *o, size_t payload, uint16_t flow, uint32_t seq, uint16_t id)
{
	struct mf_ip4_hdr *h = (void *)o;
	struct mf_tcp_hdr *t = (void *)(o + 20);
	size_t len = HDR + payload;

	memset(o, 0, HDR);
	*h = (struct mf_ip4_hdr){ .version_ihl = 0x45,
				  .len = mf_be16_of((uint16_t)len),
				  .id = mf_be16_of(id),
				  .frag = mf_be16_of(MF_IP4_DF),
				  .ttl = 64,
				  .proto = MF_IPPROTO_TCP,
				  .src = { 10, 0, 0, 1 },
				  .dst = { 10, 0, 0, 2 } };
	mf_csum_store(&h->csum, mf_csum_finish(mf_csum_add_small(h, 20, 0)));
	*t = (struct mf_tcp_hdr){
		.sport = mf_be16_of(flow), .seq = mf_be32_of(seq), .off = 8 << 4, .flags = MF_TCP_ACK
	};
	mf_csum_store(&t->csum, mf_csum_finish(mf_csum_add(t, len - 20,
							   mf_csum_pseudo4(h->src, MF_IPPROTO_TCP,
									   (uint32_t)len - 20))));
}

static void op_csum(void)
{
	sink += mf_csum_impl(b.impl)->add(b.packets[0], b.csum_len, sink);
}

static void op_gso(void)
{
	struct mf_gso g;
	uint8_t *seg;

	memcpy(b.super->data, b.hdr, HDR);
	b.super->flags |= MF_PKT_NEEDS_CSUM;
	if (mf_gso_begin(&g, b.super))
		abort();
	while (mf_gso_next(&g, &seg))
		sink += seg[0];
}

static void op_payload_csum(void)
{
	for (int i = 0; i < SEGMENTS; i++)
		sink += mf_csum_add(b.super->data + HDR + i * MSS, MSS, 0);
}

static void op_gro(void)
{
	struct mf_pkt *out[BATCH];
	size_t n;

	for (int i = 0; i < BATCH; i++) {
		memcpy(mf_gro_reserve(&b.gro, 1424), b.packets[i], PACKET);
		if (mf_gro_commit(&b.gro, PACKET, NULL))
			abort();
	}
	n = mf_gro_flush(&b.gro, out, BATCH);
	while (n--)
		mf_pkt_free(out[n]);
}

/* The copy that stands for decryption, into as many different places. */
static void op_copy(void)
{
	uint8_t *to = b.super->data;

	for (int i = 0; i < BATCH; i++)
		memcpy(to + i % SEGMENTS * MSS, b.packets[i], PACKET);
	sink += to[77];
}

static void op_ip_input(void)
{
	struct mf_pkt *p = b.one;

	sink += mf_ip_input(p) + p->l4_off;
}

static void op_hash(void)
{
	sink += mf_flow_hash(b.one);
}

static void op_nat(void)
{
	struct mf_addr a = { .family = MF_AF_IP4, .b = { 10, 9, 8, (uint8_t)sink++ } };

	mf_nat_source(b.one, &a);
}

static void bench_csum(void)
{
	static const size_t sizes[] = { 64, 576, 1400, 65535 };

	for (b.impl = 0; mf_csum_impl(b.impl); b.impl++)
		for (size_t i = 0; i < MF_ARRAY_LEN(sizes); i++) {
			double ns;

			b.csum_len = sizes[i];
			ns = measure(op_csum);
			printf("csum %-8s %6zu bytes %8.1f ns %7.1f GB/s\n",
			       mf_csum_impl(b.impl)->name, sizes[i], ns, (double)sizes[i] / ns);
		}
}

static void bench_gso(void)
{
	struct mf_pkt *p = b.super = mf_pkt_large(b.pool);
	double cut, sums;

	build(p->data, SEGMENTS * MSS, 1, 0, 0);
	mf_csum_store(
		p->data + 20 + MF_TCP_CSUM_OFF,
		mf_csum_fold(mf_csum_pseudo4(p->data + 12, MF_IPPROTO_TCP, 32 + SEGMENTS * MSS)));
	p->len = HDR + SEGMENTS * MSS;
	p->gso_type = MF_GSO_TCP4;
	p->gso_size = MSS;
	p->flags |= MF_PKT_NEEDS_CSUM;
	p->csum_start = 20;
	p->csum_offset = MF_TCP_CSUM_OFF;
	if (mf_ip_input(p) || mf_vnet_check(p))
		abort();
	memcpy(b.hdr, p->data, HDR);
	cut = measure(op_gso) / SEGMENTS;
	sums = measure(op_payload_csum) / SEGMENTS;
	printf("gso: %.1f ns a segment, of which %.1f are the payload's sum\n", cut, sums);
}

static void bench_gro(uint16_t flows, bool merge)
{
	double all, copy;

	for (int i = 0; i < BATCH; i++)
		build(b.packets[i], MSS, (uint16_t)(i % flows), (uint32_t)(i / flows * MSS),
		      (uint16_t)(i / flows));
	mf_gro_init(&b.gro, b.pool, merge, merge);
	all = measure(op_gro) / BATCH;
	copy = measure(op_copy) / BATCH;
	printf("gro, %2u flows in turn, merging %-3s: %.1f ns a packet without the plaintext's "
	       "copy of "
	       "%.1f; %.0f %% merged in place\n",
	       flows, merge ? "on" : "off", all - copy, copy,
	       100.0 * (double)b.gro.n_predicted / (double)(b.gro.n_merged + b.gro.n_alone));
	mf_gro_fini(&b.gro);
}

static void bench_small_things(void)
{
	b.one = mf_pkt_small(b.pool);
	build(b.one->data, MSS, 1, 2, 3);
	b.one->len = PACKET;
	printf("ip-input %.1f ns\n", measure(op_ip_input));
	printf("flow-hash %.1f ns\n", measure(op_hash));
	printf("nat %.1f ns\n", measure(op_nat));
	mf_pkt_free(b.one);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--ms"))
		round_time = strtoul(argv[2], NULL, 10) * MF_MSEC;
	b.pool = mf_pkt_pool_new(BATCH + 8, 64);
	bench_csum();
	bench_gso();
	bench_gro(1, true);
	bench_gro(4, true);
	bench_gro(16, true);
	bench_gro(1, false);
	bench_small_things();
	mf_pkt_free(b.super);
	mf_pkt_pool_free(b.pool);
	return 0;
}
