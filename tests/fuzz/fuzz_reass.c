/* SPDX-License-Identifier: Apache-2.0
 *
 * Fragments out of any bytes, many of them for a few datagrams: whatever becomes whole is a packet of which
 * every byte came at the place where it stands, limits hold, and no fragment is lost or ends twice.
 *
 * Each step is STEP bytes: version and datagram, place, length, "more" and time, what its payload is.
 */
#include "host/internal.h"
#include "wire/csum.h"
#include "wire/fragment.h"
#include "wire/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum { STEP = 6, DATAGRAMS = 16, MEMORY = 128 * MF_PKT_SMALL_MAX };

static uint32_t given, ended;

static void on_drop(void *ctx, struct mf_pkt *p, enum mf_drop reason)
{
	(void)ctx;
	MF_ASSERT(reason > MF_DROP_NONE && reason < MF_DROP_COUNT);
	ended++;
	mf_pkt_free(p);
}

static void on_absorb(void *ctx, struct mf_pkt *p)
{
	(void)ctx;
	ended++;
	mf_pkt_free(p);
}

/* The byte that any honest fragment of this kind of payload has at this place. */
static uint8_t byte_at(uint8_t kind, size_t place)
{
	return (uint8_t)(kind + place * 7);
}

static void header4(struct mf_pkt *p, uint8_t who, size_t place, bool more)
{
	struct mf_ip4_hdr *h = (void *)p->data;

	*h = (struct mf_ip4_hdr){
		.version_ihl = 0x45,
		.tos = who >> 4 & 3,
		.len = mf_be16_of((uint16_t)p->len),
		.id = mf_be16_of(who & 3),
		.frag = mf_be16_of((uint16_t)(place / 8 | (more ? MF_IP4_MF : 0))),
		.ttl = 64,
		.proto = who & 8 ? MF_IPPROTO_TCP : MF_IPPROTO_UDP,
		.src = { 10, 0, 0, who >> 6 },
		.dst = { 11, 0, 0, 1 },
	};
	mf_csum_store(&h->csum, mf_csum_finish(mf_csum_add_small(h, sizeof(*h), 0)));
}

static void header6(struct mf_pkt *p, uint8_t who, size_t place, bool more)
{
	struct mf_ip6_hdr *h = (void *)p->data;
	struct mf_ip6_frag *f = (void *)(h + 1);

	*h = (struct mf_ip6_hdr){
		.version_class_flow = mf_be32_of(6u << 28 | (uint32_t)(who >> 4 & 3) << 20),
		.payload_len = mf_be16_of((uint16_t)(p->len - sizeof(*h))),
		.next = MF_IPPROTO_FRAGMENT,
		.hop_limit = 64,
		.src = { 0x20, [15] = who >> 6 },
		.dst = { 0x20, 1 },
	};
	*f = (struct mf_ip6_frag){
		.next = who & 8 ? MF_IPPROTO_DSTOPTS : MF_IPPROTO_UDP,
		.offset_more = mf_be16_of((uint16_t)(place | more)),
		.id = mf_be32_of(who & 3),
	};
}

static struct mf_pkt *fragment(struct mf_pkt_pool *pool, const uint8_t *in)
{
	bool v4 = in[0] & 4;
	size_t place = (size_t)in[1] * 8 * (in[3] & 2 ? 32 : 1),
	       len = (size_t)in[2] * (in[3] & 4 ? 8 : 1);
	size_t hdr = v4 ? sizeof(struct mf_ip4_hdr)
			: sizeof(struct mf_ip6_hdr) + sizeof(struct mf_ip6_frag);
	struct mf_pkt *p = hdr + len <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!p)
		return NULL;
	p->len = (uint32_t)(hdr + len);
	for (size_t i = 0; i < len; i++)
		p->data[hdr + i] = byte_at(in[5], place + i);
	if (v4)
		header4(p, in[0], place, in[3] & 1);
	else
		header6(p, in[0], place, in[3] & 1);
	if (mf_ip_input(p)) {
		mf_pkt_free(p);
		return NULL;
	}
	return p;
}

/* Fragments of different payloads may meet, so each byte is that of one of the kinds that came. */
static void check_whole(const struct mf_pkt *w, const bool seen[256])
{
	struct mf_pkt again = *w;
	size_t hdr = w->ip_version == 4 ? sizeof(struct mf_ip4_hdr) : sizeof(struct mf_ip6_hdr);

	MF_ASSERT(mf_ip_input(&again) == MF_DROP_NONE && again.len == w->len);
	MF_ASSERT(again.l4_off == w->l4_off && again.l4_proto == w->l4_proto);
	MF_ASSERT(!mf_ip_is_fragment(w));
	for (size_t i = hdr; i < w->len; i++)
		MF_ASSERT(seen[(uint8_t)(w->data[i] - byte_at(0, i - hdr))]);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(400, 8);
	struct mf_reass *r = mf_reass_new(pool, DATAGRAMS, MEMORY);
	bool seen[256] = { false };
	mf_nsec now = 0;

	given = ended = 0;
	for (; n >= STEP; in += STEP, n -= STEP) {
		struct mf_pkt *p = fragment(pool, in), *w;

		now += (mf_nsec)in[4] * 10 * MF_MSEC;
		if (in[3] & 8)
			mf_reass_expire(r, now, on_drop, NULL);
		if (!p)
			continue;
		seen[in[5]] = true;
		given++;
		w = mf_reass_add(r, p, now, on_drop, NULL, on_absorb);
		if (w) {
			if (w != p)
				check_whole(w, seen);
			ended++;
			mf_pkt_free(w);
		}
		MF_ASSERT(given == ended + mf_reass_held(r));
		MF_ASSERT(mf_reass_held(r) <= MEMORY / MF_PKT_SMALL_MAX);
	}
	mf_reass_free(r);
	mf_pkt_pool_free(pool);
	return 0;
}
