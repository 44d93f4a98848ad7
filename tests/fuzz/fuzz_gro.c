/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of records, each a packet made of a template and a few changes, merged: what comes out is
 * well formed and stands for as many packets as went in.
 *
 * A record: a byte of template and flags, a byte that says how many (offset, value) pairs of changes
 * follow. Checksums are made right, so that changed packets still reach the rules.
 */
#include "wire/csum.h"
#include "wire/gro.h"
#include "wire/gso.h"
#include "wire/ip.h"
#include "wire/vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum { LEN = 400, POOL = 300, RAW = 4, CANCEL = 8, SHORT = 16, FLUSH = 32, KEEP_CSUM = 64 };

static uint32_t seq[4];

static void template(uint8_t *o, uint8_t kind, size_t len)
{
	bool v6 = kind & 1, udp = kind & 2;
	size_t ip_len = v6 ? 40 : 20;

	memset(o, 0, len);
	o[0] = v6 ? 0x60 : 0x45;
	if (v6) {
		mf_store_be16(o + 4, (uint16_t)(len - 40));
		o[6] = udp ? 17 : 6;
		o[7] = 64;
		o[8] = o[24] = 0x20;
	} else {
		mf_store_be16(o + 2, (uint16_t)len);
		mf_store_be16(o + 4, (uint16_t)(seq[kind & 3] / 100));
		o[8] = 64;
		o[9] = udp ? 17 : 6;
		o[12] = o[16] = 10;
	}
	if (udp) {
		mf_store_be16(o + ip_len + 4, (uint16_t)(len - ip_len));
	} else {
		mf_store_be32(o + ip_len + 4, seq[kind & 3]);
		o[ip_len + 12] = 0x50;
		o[ip_len + 13] = 0x10;
		seq[kind & 3] += (uint32_t)(len - ip_len - 20);
	}
}

static void right_csums(uint8_t *o, size_t len)
{
	size_t l4 = o[0] >> 4 == 4 ? (size_t)(o[0] & 15) * 4 : 40;
	uint8_t proto = o[0] >> 4 == 4 ? o[9] : o[6];
	size_t at = l4 + (proto == 17 ? 6 : 16);
	uint64_t sum;

	if (o[0] >> 4 == 4 && l4 >= 20) {
		mf_csum_store(o + 10, 0);
		mf_csum_store(o + 10, mf_csum_finish(mf_csum_add(o, l4, 0)));
	}
	if (at + 2 > len)
		return;
	mf_csum_store(o + at, 0);
	sum = o[0] >> 4 == 4 ? mf_csum_pseudo4(o + 12, proto, (uint32_t)(len - l4))
			     : mf_csum_pseudo6(o + 8, proto, (uint32_t)(len - l4));
	mf_csum_store(o + at, mf_csum_finish_udp(mf_csum_add(o + l4, len - l4, sum)));
}

static size_t flush(struct mf_gro *g)
{
	struct mf_pkt *out[16];
	size_t n, segments = 0;

	do {
		n = mf_gro_flush(g, out, MF_ARRAY_LEN(out));
		for (size_t i = 0; i < n; i++) {
			struct mf_gso cut;
			uint8_t *seg;

			segments += out[i]->segments;
			MF_ASSERT(mf_ip_input(out[i]) == MF_DROP_NONE);
			MF_ASSERT(mf_vnet_check(out[i]) == MF_DROP_NONE);
			MF_ASSERT(mf_gso_begin(&cut, out[i]) == MF_DROP_NONE);
			while (mf_gso_next(&cut, &seg))
				;
			mf_pkt_free(out[i]);
		}
	} while (n == MF_ARRAY_LEN(out));
	return segments;
}

/* Reads one record; returns whether its packet was accepted. */
static bool one_record(struct mf_gro *g, const uint8_t **in, const uint8_t *end, bool *want_flush)
{
	uint8_t what = *(*in)++, changes = *(*in)++;
	size_t len = what & SHORT ? 61 : LEN;
	uint8_t *at = mf_gro_reserve(g, mf_round_up(len, 16));

	*want_flush = what & FLUSH;
	if (!at)
		return false;
	memset(at, 0x77, mf_round_up(len, 16) + MF_PKT_TAILROOM);
	template(at, what & 3, len);
	for (; changes-- && end - *in >= 2; *in += 2)
		at[(*in)[0] % len] = (*in)[1];
	if (what & CANCEL) {
		mf_gro_cancel(g);
		return false;
	}
	if (!(what & KEEP_CSUM))
		right_csums(at, len);
	return mf_gro_commit(g, len, NULL) == MF_DROP_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	const uint8_t *end = in + n;
	struct mf_pkt_pool *pool;
	size_t accepted = 0;
	struct mf_gro g;
	bool now;

	if (!n)
		return 0;
	pool = mf_pkt_pool_new(POOL, in[0] >> 4);
	memset(seq, 0, sizeof(seq));
	mf_gro_init(&g, pool, !(in[0] & 1), !(in[0] & 2));
	in++;
	while (end - in >= 2) {
		accepted += one_record(&g, &in, end, &now);
		if (now) {
			MF_ASSERT(flush(&g) == accepted);
			accepted = 0;
		}
	}
	MF_ASSERT(flush(&g) == accepted);
	mf_gro_fini(&g);
	mf_pkt_pool_free(pool);
	return 0;
}
