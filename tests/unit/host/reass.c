/* SPDX-License-Identifier: Apache-2.0
 *
 * Reassembly against a map of bytes: random splits, orders, duplicates, overlaps and forgeries of several
 * datagrams at once. Then the limits, and what is refused at sight.
 */
#include "host/internal.h"
#include "wire/fragment.h"
#include "wire/ip.h"

#include "../wire/packets.h"
#include "unit.h"

enum { BYTES = 65536, DATAGRAMS = 5, UNITS = 65536 / 8 };

static struct mf_pkt_pool *pool;
static uint8_t payload[BYTES];

/* What came of the packets given to it. */
static struct {
	unsigned absorbed, dropped[MF_DROP_COUNT], drops;
} seen;

static void on_drop(void *ctx, struct mf_pkt *p, enum mf_drop reason)
{
	(void)ctx;
	seen.dropped[reason]++;
	seen.drops++;
	mf_pkt_free(p);
}

static void on_absorb(void *ctx, struct mf_pkt *p)
{
	(void)ctx;
	seen.absorbed++;
	mf_pkt_free(p);
}

static struct mf_pkt *add(struct mf_reass *r, struct mf_pkt *p, mf_nsec now)
{
	assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
	return mf_reass_add(r, p, now, on_drop, NULL, on_absorb);
}

/* A packet cut by hand: bytes [from, to) of the fragmentable part of whole[0..len). */
static struct mf_pkt *cut(const uint8_t *whole, size_t len, uint32_t id, size_t from, size_t to,
			  bool more)
{
	bool v4 = whole[0] >> 4 == 4;
	size_t hdr = v4 ? 20 : 40, off = v4 ? 20 : 48, n = to - from;
	struct mf_pkt *p = off + n <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	assert_non_null(p);
	assert_true(hdr + to <= len);
	memcpy(p->data, whole, hdr);
	memcpy(p->data + off, whole + hdr + from, n);
	p->len = (uint32_t)(off + n);
	if (v4) {
		mf_store_be16(p->data + 2, (uint16_t)p->len);
		mf_store_be16(p->data + 4, (uint16_t)id);
		mf_store_be16(p->data + 6, (uint16_t)(from / 8 | (more ? 0x2000 : 0)));
		mf_store_be16(p->data + 10, 0);
		mf_store_be16(p->data + 10, slow_finish(slow_sum(p->data, 20, 0)));
	} else {
		mf_store_be16(p->data + 4, (uint16_t)(p->len - 40));
		p->data[6] = 44;
		p->data[40] = whole[6];
		p->data[41] = 0;
		mf_store_be16(p->data + 42, (uint16_t)(from | more));
		mf_store_be32(p->data + 44, id);
	}
	return p;
}

/* ---- The model ------------------------------------------------------------------------------------ */

struct model {
	uint8_t whole[BYTES];
	size_t len, hdr, body; /* body: of the fragmentable part */
	uint32_t id;
	uint16_t start[UNITS]; /* by unit: 1 + where the fragment that covers it begins, 0: none does */
	uint16_t stop[UNITS]; /* by starting unit: where it ends */
	bool more[UNITS];
	size_t end; /* what a last fragment has said, 0: none yet */
	size_t units, held;
	enum mf_drop dead;
};

static void forget(struct model *m)
{
	memset(m->start, 0, sizeof(m->start));
	m->end = m->units = m->held = 0;
	m->dead = MF_DROP_NONE;
}

static void fresh(struct mf_prng *g, struct model *m, unsigned i)
{
	struct spec s;

	random_spec(g, &s);
	s.proto = UDP;
	s.ip_opts = 0;
	s.src[3] = s.src[15] = (uint8_t)i; /* sources differ: shares are another test */
	s.tos = 0;
	s.payload = payload + mf_prng_below(g, 1000);
	s.n = 8 + mf_prng_below(g, mf_prng_below(g, 8) ? 300 : 60000);
	memset(m, 0, sizeof(*m));
	m->len = slow_build(&s, m->whole);
	m->hdr = slow_ip_len(&s);
	m->body = m->len - m->hdr;
	m->id = (uint32_t)mf_prng_u64(g);
}

enum fate { HOLD, ABSORB, WHOLE, OVERLAP, BEYOND, DEAD };

static enum fate model_add(struct model *m, size_t from, size_t to, bool more)
{
	size_t u0 = from / 8, u1 = (to + 7) / 8, last = 0;

	if (m->dead)
		return DEAD;
	if (m->start[u0] == u0 + 1 && m->stop[u0] == to - 1 && m->more[u0] == more)
		return ABSORB;
	for (size_t u = u0; u < u1; u++)
		if (m->start[u])
			return OVERLAP;
	for (size_t u = 0; u < UNITS; u++)
		if (m->start[u])
			last = u + 1;
	if ((m->end && from >= m->end) || (!more && last > u0))
		return BEYOND;
	for (size_t u = u0; u < u1; u++)
		m->start[u] = (uint16_t)(u0 + 1);
	m->stop[u0] = (uint16_t)(to - 1);
	m->more[u0] = more;
	m->units += u1 - u0;
	m->held++;
	if (!more)
		m->end = to;
	return m->end && m->units == (m->end + 7) / 8 ? WHOLE : HOLD;
}

static void check_whole(const struct model *m, struct mf_pkt *w)
{
	struct mf_pkt again = *w;
	bool v4 = m->hdr == 20;

	assert_int_equal(w->len, m->hdr + m->end);
	assert_int_equal(mf_ip_input(&again), MF_DROP_NONE);
	assert_int_equal(again.len, w->len);
	assert_int_equal(w->l4_off, m->hdr);
	assert_int_equal(w->l4_proto, UDP);
	assert_false(mf_ip_is_fragment(w));
	assert_memory_equal(w->data + (v4 ? 12 : 8), m->whole + (v4 ? 12 : 8), v4 ? 8 : 32);
	assert_memory_equal(w->data + m->hdr, m->whole + m->hdr, m->end);
	if (m->end == m->body)
		assert_true(mf_ip_l4_csum_ok(w));
}

static void check(struct mf_reass *r, struct model *m, size_t from, size_t to, bool more)
{
	struct mf_pkt *p = cut(m->whole, m->len, m->id, from, to, more), *w;
	size_t held = m->held, all = mf_reass_held(r);
	enum mf_drop dead = m->dead;
	enum fate want = model_add(m, from, to, more);

	memset(&seen, 0, sizeof(seen));
	w = add(r, p, 0);
	assert_int_equal(!!w, want == WHOLE);
	switch (want) {
	case HOLD:
		assert_int_equal(seen.absorbed + seen.drops, 0);
		assert_int_equal(mf_reass_held(r), all + 1);
		return;
	case ABSORB:
		assert_int_equal(seen.absorbed, 1);
		assert_int_equal(seen.drops, 0);
		return;
	case DEAD:
		assert_int_equal(seen.dropped[dead], 1);
		assert_int_equal(seen.drops + seen.absorbed, 1);
		return;
	case WHOLE:
		assert_int_equal(seen.absorbed, held);
		assert_int_equal(seen.drops, 0);
		check_whole(m, w);
		mf_pkt_free(w);
		forget(m);
		break;
	case OVERLAP:
	case BEYOND:
		forget(m);
		m->dead = want == OVERLAP ? MF_DROP_FRAGMENT_OVERLAP : MF_DROP_FRAGMENT_INVALID;
		assert_int_equal(seen.dropped[m->dead], held + 1);
		assert_int_equal(seen.drops + seen.absorbed, held + 1);
		break;
	}
	assert_int_equal(mf_reass_held(r), all - held);
}

/* Pieces of a datagram: sizes at random, all of it, shuffled. */
static size_t split(struct mf_prng *g, const struct model *m, size_t (*piece)[2])
{
	size_t n = 0, at = 0, most = m->body > 4000 ? 4000 : 64;

	while (at < m->body) {
		size_t len = 8 * (1 + mf_prng_below(g, most / 8));

		piece[n][0] = at;
		piece[n][1] = mf_min(at + len, m->body);
		at = piece[n++][1];
	}
	for (size_t i = n; i > 1; i--) {
		size_t j = mf_prng_below(g, i), from = piece[j][0], to = piece[j][1];

		memcpy(piece[j], piece[i - 1], sizeof(piece[j]));
		piece[i - 1][0] = from;
		piece[i - 1][1] = to;
	}
	return n;
}

/* Anything that a forger may send: any range, any "more". */
static void forge(struct mf_prng *g, struct mf_reass *r, struct model *m)
{
	size_t from = mf_prng_below(g, m->body / 8 + 1) * 8, n = 1 + mf_prng_below(g, 200);
	bool more = mf_prng_below(g, 3);

	if (from >= m->body)
		return;
	n = mf_min(n, m->body - from);
	if (more ? n < 8 : !from) /* what is alone is no fragment */
		return;
	check(r, m, from, from + (more ? n & ~(size_t)7 : n), more);
}

static void test_model(void **state)
{
	struct mf_prng g = unit_prng("reass");
	static struct model m[DATAGRAMS];
	static size_t piece[DATAGRAMS][UNITS][2];
	unsigned wholes = 0;

	(void)state;
	for (int round = 0; round < 400; round++) {
		struct mf_reass *r = mf_reass_new(pool, 8 * DATAGRAMS, UINT64_MAX);
		size_t n[DATAGRAMS], at[DATAGRAMS] = { 0 };
		unsigned mischief = round % 4 ? 0 : 5, left = DATAGRAMS;

		for (unsigned i = 0; i < DATAGRAMS; i++) {
			fresh(&g, &m[i], i);
			n[i] = split(&g, &m[i], piece[i]);
			left = (n[i] == 1) ? left - 1 : left;
			at[i] = n[i] == 1; /* not a fragment */
		}
		while (left) {
			unsigned i = (unsigned)mf_prng_below(&g, DATAGRAMS);
			const size_t *c = piece[i][at[i]];

			if (at[i] == n[i])
				continue;
			if (mf_prng_below(&g, 100) < mischief)
				forge(&g, r, &m[i]);
			check(r, &m[i], c[0], c[1], c[1] < m[i].body);
			/* Once more, unless that would begin anew. */
			if (m[i].held && !mf_prng_below(&g, 4))
				check(r, &m[i], c[0], c[1], c[1] < m[i].body);
			if (++at[i] == n[i]) {
				left--;
				wholes += !m[i].held && !m[i].dead;
				if (!mischief)
					assert_int_equal(m[i].held + m[i].dead, 0);
			}
		}
		memset(&seen, 0, sizeof(seen));
		assert_int_equal(mf_reass_expire(r, 30 * MF_SEC, on_drop, NULL), MF_NEVER);
		assert_int_equal(mf_reass_held(r), 0);
		mf_reass_free(r);
	}
	assert_true(wholes > 1000);
}

/* ---- Single cases --------------------------------------------------------------------------------- */

static struct model *datagram(unsigned version, uint8_t proto, size_t n)
{
	static struct model m;
	struct mf_prng g = { .state = 9 };
	struct spec s;

	do {
		random_spec(&g, &s);
	} while (s.version != version || s.proto != proto);
	s.ip_opts = s.tcp_opts = 0;
	s.tos = 0;
	s.payload = payload;
	s.n = n;
	memset(&m, 0, sizeof(m));
	m.len = slow_build(&s, m.whole);
	m.hdr = slow_ip_len(&s);
	m.body = m.len - m.hdr;
	m.id = 99;
	return &m;
}

/* The reason for which a lone fragment is dropped at sight; NONE: it is held. */
static enum mf_drop sight(struct mf_pkt *p)
{
	struct mf_reass *r = mf_reass_new(pool, 8, UINT64_MAX);

	memset(&seen, 0, sizeof(seen));
	assert_null(add(r, p, 0));
	assert_int_equal(mf_reass_held(r) + seen.drops, 1);
	mf_reass_free(r);
	for (unsigned i = 0; i < MF_DROP_COUNT; i++)
		if (seen.dropped[i])
			return (enum mf_drop)i;
	return MF_DROP_NONE;
}

static void test_refused_at_sight(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct model *m = datagram(v, UDP, 60000);
		uint8_t *b = m->whole;
		size_t len = m->len;

		assert_int_equal(sight(cut(b, len, 1, 0, 8, true)), MF_DROP_NONE);
		assert_int_equal(sight(cut(b, len, 1, 8, 12, false)), MF_DROP_NONE);
		assert_int_equal(sight(cut(b, len, 1, 8, 12, true)), MF_DROP_FRAGMENT_INVALID);
		assert_int_equal(sight(cut(b, len, 1, 8, 8, true)), MF_DROP_FRAGMENT_INVALID);
		assert_int_equal(sight(cut(b, len, 1, 8, 8, false)), MF_DROP_FRAGMENT_INVALID);
		/* TCP: no part of its header may come second (RFC 1858, RFC 3128). */
		m = datagram(v, TCP, 1000);
		assert_int_equal(sight(cut(b, m->len, 1, 0, 24, true)), MF_DROP_NONE);
		assert_int_equal(sight(cut(b, m->len, 1, 0, 16, true)), MF_DROP_FRAGMENT_INVALID);
		assert_int_equal(sight(cut(b, m->len, 1, 8, 800, true)), MF_DROP_FRAGMENT_INVALID);
		assert_int_equal(sight(cut(b, m->len, 1, 16, 800, true)), MF_DROP_FRAGMENT_INVALID);
		assert_int_equal(sight(cut(b, m->len, 1, 24, 800, true)), MF_DROP_NONE);
	}
}

/* The same bytes again are a duplicate only if they say the same of what follows. */
static void test_not_quite_a_duplicate(void **state)
{
	struct model *m = datagram(4, UDP, 100);
	struct mf_reass *r = mf_reass_new(pool, 8, UINT64_MAX);

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_null(add(r, cut(m->whole, m->len, 1, 16, 32, true), 0));
	assert_null(add(r, cut(m->whole, m->len, 1, 16, 32, true), 0));
	assert_int_equal(seen.absorbed, 1);
	assert_null(add(r, cut(m->whole, m->len, 1, 16, 32, false), 0));
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_OVERLAP], 2);
	/* Other bytes at the same place, either. */
	assert_null(add(r, cut(m->whole, m->len, 2, 16, 32, true), 0));
	m->whole[20 + 31] ^= 1;
	assert_null(add(r, cut(m->whole, m->len, 2, 16, 32, true), 0));
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_OVERLAP], 4);
	mf_reass_free(r);
}

/* What is no fragment comes back as it is. */
static void test_not_a_fragment(void **state)
{
	struct model *m = datagram(4, UDP, 100);
	struct mf_reass *r = mf_reass_new(pool, 8, UINT64_MAX);
	struct mf_pkt *p = mf_pkt_small(pool);

	(void)state;
	memcpy(p->data, m->whole, m->len);
	p->len = (uint32_t)m->len;
	assert_ptr_equal(add(r, p, 0), p);
	mf_pkt_free(p);
	mf_reass_free(r);
}

static struct mf_pkt *with_ecn(struct mf_pkt *p, uint8_t ecn)
{
	mf_ip_set_ecn(p->data, ecn);
	return p;
}

static void test_congestion_marks(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2)
		for (unsigned i = 0; i < 16; i++) {
			struct model *m = datagram(v, UDP, 24);
			struct mf_reass *r = mf_reass_new(pool, 8, UINT64_MAX);
			uint8_t a = i & 3, b = (uint8_t)(i >> 2);
			struct mf_pkt *w;

			memset(&seen, 0, sizeof(seen));
			assert_null(add(r, with_ecn(cut(m->whole, m->len, 1, 0, 16, true), a), 0));
			w = add(r, with_ecn(cut(m->whole, m->len, 1, 16, 32, false), b), 0);
			/* RFC 3168 5.3: a mark that one sender could not mean */
			assert_int_equal(!w, (a == 3 && b == 0) || (a == 0 && b == 3));
			assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_INVALID], w ? 0 : 2);
			if (w) {
				assert_int_equal(mf_ip_ecn(w->data), a == 3 || b == 3 ? 3 : a);
				mf_pkt_free(w);
			}
			mf_reass_free(r);
		}
}

/* IPv6: what stands before the fragment header stays, what stands behind it belongs to the parts; the
 * byte that said "fragment" names what follows. */
static void test_extension_headers(void **state)
{
	struct model *m = datagram(6, UDP, 40);
	struct mf_reass *r = mf_reass_new(pool, 8, UINT64_MAX);
	struct mf_pkt *p, *w = NULL;

	(void)state;
	for (int i = 1; i >= 0; i--) {
		p = cut(m->whole, m->len, 5, i ? 24 : 0, i ? 48 : 24, !i);
		p->data -= 8;
		p->len += 8;
		memmove(p->data, p->data + 8, 40);
		p->data[6] = 60;
		memcpy(p->data + 40, "\x2c\x00\x01\x04\x00\x00\x00\x00", 8);
		mf_store_be16(p->data + 4, (uint16_t)(p->len - 40));
		w = add(r, p, 0);
		assert_int_equal(!w, i);
	}
	assert_int_equal(w->len, m->len + 8);
	assert_int_equal(w->l4_off, 48);
	assert_int_equal(w->l4_proto, UDP);
	assert_int_equal(w->data[6], 60);
	assert_int_equal(w->data[40], UDP);
	assert_memory_equal(w->data + 48, m->whole + 40, m->body);
	assert_true(mf_ip_l4_csum_ok(w));
	mf_pkt_free(w);
	mf_reass_free(r);
}

/* Fragments of which the whole is a fragment again. */
static void test_nested(void **state)
{
	struct model *m = datagram(6, UDP, 40);
	struct mf_reass *r = mf_reass_new(pool, 8, UINT64_MAX);

	(void)state;
	memset(&seen, 0, sizeof(seen));
	m->whole[6] = 44;
	memcpy(m->whole + 40, "\x11\x00\x00\x01\x00\x00\x00\x07", 8);
	assert_null(add(r, cut(m->whole, m->len, 5, 24, 48, false), 0));
	assert_null(add(r, cut(m->whole, m->len, 5, 0, 24, true), 0));
	assert_int_equal(seen.drops, 2);
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_INVALID], 2);
	mf_reass_free(r);
}

/* What goes with the packet goes with the whole. */
static void test_metadata(void **state)
{
	struct model *m = datagram(4, UDP, 3000);
	struct mf_reass *r = mf_reass_new(pool, 8, UINT64_MAX);
	struct mf_pkt *p = cut(m->whole, m->len, 1, 1480, 3008, false), *w;

	(void)state;
	assert_null(add(r, cut(m->whole, m->len, 1, 0, 1480, true), 0));
	p->next_hop = 7;
	p->rx_port = 3;
	p->trace = 9;
	p->flags |= MF_PKT_CAPTURED;
	w = add(r, p, 0);
	assert_int_equal(w->next_hop, 7);
	assert_int_equal(w->rx_port, 3);
	assert_int_equal(w->trace, 9);
	assert_true(w->flags & MF_PKT_CAPTURED);
	assert_true(w->flags & MF_PKT_LARGE);
	mf_pkt_free(w);
	mf_reass_free(r);
}

static void test_time(void **state)
{
	struct model *m = datagram(4, UDP, 3000);
	struct mf_reass *r = mf_reass_new(pool, 64, UINT64_MAX);
	mf_nsec t = 100 * MF_SEC;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(mf_reass_expire(r, t, on_drop, NULL), MF_NEVER);
	assert_null(add(r, cut(m->whole, m->len, 1, 0, 8, true), t));
	assert_null(add(r, cut(m->whole, m->len, 2, 0, 8, true), t + MF_SEC));
	/* A later fragment does not prolong it. */
	assert_null(add(r, cut(m->whole, m->len, 1, 16, 24, true), t + 2 * MF_SEC));
	assert_int_equal(mf_reass_expire(r, t + 30 * MF_SEC - 1, on_drop, NULL), t + 30 * MF_SEC);
	assert_int_equal(seen.drops, 0);
	assert_int_equal(mf_reass_expire(r, t + 30 * MF_SEC, on_drop, NULL), t + 31 * MF_SEC);
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_TIMEOUT], 2);
	/* A fragment that comes too late begins a new one, whether the timer has run or not. */
	assert_null(add(r, cut(m->whole, m->len, 2, 8, 16, false), t + 40 * MF_SEC));
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_TIMEOUT], 3);
	assert_int_equal(mf_reass_held(r), 1);
	/* A tombstone falls in time, too. */
	assert_null(add(r, cut(m->whole, m->len, 2, 8, 24, false), t + 41 * MF_SEC));
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_OVERLAP], 2);
	assert_null(add(r, cut(m->whole, m->len, 2, 0, 8, true), t + 69 * MF_SEC));
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_OVERLAP], 3);
	assert_null(add(r, cut(m->whole, m->len, 2, 0, 8, true), t + 70 * MF_SEC));
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_OVERLAP], 3);
	assert_int_equal(mf_reass_held(r), 1);
	mf_reass_free(r);
}

/* From another source: the same packet with a byte of its address changed. */
static struct mf_pkt *from(const struct model *m, uint8_t who, uint32_t id, size_t at, size_t to,
			   bool more)
{
	struct mf_pkt *p = cut(m->whole, m->len, id, at, to, more);

	p->data[15] = who;
	mf_store_be16(p->data + 10, 0);
	mf_store_be16(p->data + 10, slow_finish(slow_sum(p->data, 20, 0)));
	return p;
}

/* One source may begin as many as it likes: others keep what they have. */
static void test_share_of_datagrams(void **state)
{
	struct model *m = datagram(4, UDP, 24);
	struct mf_reass *r = mf_reass_new(pool, 64, UINT64_MAX);
	struct mf_pkt *w;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_null(add(r, from(m, 1, 1000, 0, 16, true), 0));
	for (uint32_t i = 0; i < 500; i++)
		assert_null(add(r, from(m, 2, i, 0, 16, true), 0));
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_FULL], 500 - 64 / 8);
	assert_int_equal(mf_reass_held(r), 9);
	w = add(r, from(m, 1, 1000, 16, 32, false), 0);
	assert_non_null(w);
	mf_pkt_free(w);
	/* The newest of its own are still there, the oldest went. */
	for (uint32_t i = 500 - 8; i < 500; i++) {
		w = add(r, from(m, 2, i, 16, 32, false), 0);
		assert_non_null(w);
		mf_pkt_free(w);
	}
	assert_null(add(r, from(m, 2, 491, 16, 32, false), 0));
	mf_reass_free(r);
}

static void test_share_of_memory(void **state)
{
	enum { SHARE = 60, PIECE = 800 };
	struct model *m = datagram(4, UDP, 65000);
	struct mf_reass *r = mf_reass_new(pool, 64, 8 * SHARE * MF_PKT_SMALL_MAX);
	struct mf_pkt *w;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_null(add(r, from(m, 1, 7, 0, PIECE, true), 0));
	/* Of a datagram that alone is too long nothing stays, and it does not matter to others. */
	for (uint32_t i = 0; i < SHARE + 1; i++)
		assert_null(add(r, from(m, 2, 7, i * PIECE, (i + 1) * PIECE, true), 0));
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_FULL], SHARE + 1);
	assert_int_equal(mf_reass_held(r), 1);
	/* Two that are too long together: the older one goes. */
	for (uint32_t i = 0; i < SHARE / 2 + 1; i++) {
		assert_null(add(r, from(m, 2, 8, i * PIECE, (i + 1) * PIECE, true), 0));
		assert_null(add(r, from(m, 2, 9, i * PIECE, (i + 1) * PIECE, true), 0));
	}
	assert_int_equal(mf_reass_held(r), 1 + SHARE / 2 + 1);
	w = add(r, from(m, 2, 9, (SHARE / 2 + 1) * PIECE, (SHARE / 2 + 1) * PIECE + 100, false), 0);
	assert_non_null(w);
	mf_pkt_free(w);
	assert_null(add(r, from(m, 1, 7, PIECE, 2000, true), 0));
	mf_reass_free(r);
}

/* Fragments lie in large packets, as they come from a TUN: the longest datagram fits all the same, however
 * small the budget, and what its fragments are known by stays with them. */
static void test_large_packets_are_not_kept(void **state)
{
	struct model *m = datagram(4, UDP, 65000);
	struct mf_reass *r = mf_reass_new(pool, 64, 1);
	uint32_t large = mf_pkt_pool_free_large(pool);
	struct mf_pkt *w = NULL;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	for (size_t at = 0; at < m->body; at += 1480) {
		size_t to = mf_min(at + 1480, m->body);
		struct mf_pkt *small = cut(m->whole, m->len, 5, at, to, to < m->body);
		struct mf_pkt *p = mf_pkt_large(pool);

		memcpy(p->data, small->data, small->len);
		p->len = small->len;
		p->trace = 17;
		p->next_hop = 3;
		p->rx_port = 2;
		mf_pkt_free(small);
		assert_null(w);
		w = add(r, p, 0);
		assert_int_equal(mf_pkt_pool_free_large(pool), large - !!w);
	}
	assert_non_null(w);
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_FULL], 0);
	assert_memory_equal(w->data + 20, m->whole + 20, m->len - 20);
	assert_int_equal(w->trace, 17);
	assert_int_equal(w->next_hop, 3);
	assert_int_equal(w->rx_port, 2);
	mf_pkt_free(w);
	mf_reass_free(r);
}

/* Many sources: the oldest datagram of all makes room. */
static void test_all_full(void **state)
{
	struct model *m = datagram(4, UDP, 24);
	struct mf_reass *r = mf_reass_new(pool, 16, UINT64_MAX);
	struct mf_pkt *w;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	for (unsigned i = 0; i < 20; i++)
		assert_null(add(r, from(m, (uint8_t)i, 1, 0, 16, true), i));
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_FULL], 4);
	assert_null(add(r, from(m, 3, 1, 16, 32, false), 20)); /* takes the place of 4 */
	for (unsigned i = 5; i < 20; i++) {
		w = add(r, from(m, (uint8_t)i, 1, 16, 32, false), 21);
		assert_non_null(w);
		mf_pkt_free(w);
	}
	mf_reass_free(r);
}

/* Three sources within their shares, and together over the limit. */
static void test_all_memory_full(void **state)
{
	enum { PIECE = 800, EACH = 45, ALL = 112 };
	struct model *m = datagram(4, UDP, 65000);
	struct mf_reass *r = mf_reass_new(pool, 64, 1); /* the least: two of the longest */
	struct mf_pkt *w;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	for (uint8_t who = 1; who <= 3; who++)
		for (uint32_t i = 0; i < EACH; i++) {
			assert_null(add(r, from(m, who, 1, i * PIECE, (i + 1) * PIECE, true), who));
			assert_true(mf_reass_held(r) <= ALL);
		}
	assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_FULL], EACH);
	assert_int_equal(mf_reass_held(r), 2 * EACH);
	for (uint8_t who = 2; who <= 3; who++) {
		w = add(r, from(m, who, 1, EACH * PIECE, EACH * PIECE + 5, false), 4);
		assert_non_null(w);
		mf_pkt_free(w);
	}
	mf_reass_free(r);
}

/* RFC 791: the protocol belongs to a datagram's name; so do both addresses. */
static void test_names(void **state)
{
	struct model *m = datagram(4, UDP, 24);
	struct mf_reass *r = mf_reass_new(pool, 64, UINT64_MAX);

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_null(add(r, cut(m->whole, m->len, 1, 0, 16, true), 0));
	m->whole[9] = 47;
	assert_null(add(r, cut(m->whole, m->len, 1, 16, 32, false), 0));
	m->whole[9] = UDP;
	m->whole[19]++;
	assert_null(add(r, cut(m->whole, m->len, 1, 16, 32, false), 0));
	m->whole[19]--;
	m->whole[15]++;
	assert_null(add(r, cut(m->whole, m->len, 1, 16, 32, false), 0));
	assert_int_equal(mf_reass_held(r), 4);
	assert_int_equal(seen.drops + seen.absorbed, 0);
	mf_reass_free(r);
}

static void test_no_packet_for_the_whole(void **state)
{
	struct model *m = datagram(4, UDP, 3000);
	struct mf_pkt_pool *none = mf_pkt_pool_new(0, 0);
	struct mf_reass *r = mf_reass_new(none, 16, UINT64_MAX);

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_null(add(r, cut(m->whole, m->len, 1, 0, 1480, true), 0));
	assert_null(add(r, cut(m->whole, m->len, 1, 1480, 3008, false), 0));
	assert_int_equal(seen.dropped[MF_DROP_BUFFERS], 2);
	assert_int_equal(mf_reass_held(r), 0);
	mf_reass_free(r);
	mf_pkt_pool_free(none);
}

/* 65535 bytes behind an IPv6 header, and one too many once another header is counted. */
static void test_longest(void **state)
{
	struct model *m = datagram(6, UDP, 65527);

	(void)state;
	for (int ext = 0; ext < 2; ext++) {
		struct mf_reass *r = mf_reass_new(pool, 8, UINT64_MAX);
		struct mf_pkt *w = NULL;

		memset(&seen, 0, sizeof(seen));
		for (size_t at = 0; at < m->body; at += 32000) {
			size_t to = mf_min(at + 32000, m->body);
			struct mf_pkt *p = cut(m->whole, m->len, 5, at, to, to < m->body);

			if (ext) {
				p->data -= 8;
				p->len += 8;
				memmove(p->data, p->data + 8, 40);
				p->data[6] = 60;
				memcpy(p->data + 40, "\x2c\x00\x01\x04\x00\x00\x00\x00", 8);
				mf_store_be16(p->data + 4, (uint16_t)(p->len - 40));
			}
			w = add(r, p, 0);
		}
		assert_int_equal(!w, ext);
		assert_int_equal(seen.dropped[MF_DROP_FRAGMENT_INVALID], 3 * ext);
		if (w) {
			assert_int_equal(w->len, 40 + 65535);
			assert_memory_equal(w->data, m->whole, w->len);
			mf_pkt_free(w);
		}
		mf_reass_free(r);
	}
}

static int up(void **state)
{
	struct mf_prng g = { .state = 5 };

	(void)state;
	mf_prng_fill(&g, payload, sizeof(payload));
	pool = mf_pkt_pool_new(50000, 300);
	return 0;
}

static int down(void **state)
{
	(void)state;
	mf_pkt_pool_free(pool); /* asserts that nothing leaked */
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_refused_at_sight),
		cmocka_unit_test(test_not_quite_a_duplicate),
		cmocka_unit_test(test_not_a_fragment),
		cmocka_unit_test(test_congestion_marks),
		cmocka_unit_test(test_extension_headers),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_share_of_datagrams),
		cmocka_unit_test(test_share_of_memory),
		cmocka_unit_test(test_large_packets_are_not_kept),
		cmocka_unit_test(test_all_full),
		cmocka_unit_test(test_all_memory_full),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_packet_for_the_whole),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, up, down);
}
