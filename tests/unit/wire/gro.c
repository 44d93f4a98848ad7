/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes in must come out again when the merged packets are cut, flow by flow, byte by byte.
 */
#include "wire/gro.h"
#include "wire/gso.h"
#include "wire/ip.h"
#include "wire/vnet.h"

#include "packets.h"
#include "unit.h"

enum { FLOWS = 40, BATCH = 256, WANT_MAX = 2 * BATCH };

struct wanted {
	uint8_t *b;
	size_t n;
	void *owner;
	bool alone; /* must not have been merged */
};

/* One sender; flows 2k and 2k+1 are between the same two hosts. */
struct flow {
	struct spec s;
	size_t mss;
	uintptr_t owner;
	struct wanted want[WANT_MAX];
	size_t n_want, n_got;
};

static struct flow flows[FLOWS];
static uint8_t payload[65536];
static struct mf_prng rnd;

static bool one_in(uint64_t n)
{
	return mf_prng_below(&rnd, n) == 0;
}

static void init_flow(size_t i)
{
	struct flow *f = &flows[i];

	memset(f, 0, sizeof(*f));
	random_spec(&rnd, &f->s);
	f->owner = 1;
	f->mss = one_in(4) ? 1 + mf_prng_below(&rnd, 100) : 500 + mf_prng_below(&rnd, 960);
	if (one_in(10))
		f->mss = 1960 + mf_prng_below(&rnd, 7000);
	if (i % 2) {
		f->s.version = flows[i - 1].s.version;
		memcpy(f->s.src, flows[i - 1].s.src, 16);
		memcpy(f->s.dst, flows[i - 1].s.dst, 16);
	} else {
		f->s.src[f->s.version == 4 ? 3 : 15] = (uint8_t)(i / 2);
	}
	f->s.sport = (uint16_t)(0x100 + i);
}

/* The next packet of a flow: mostly what continues it, sometimes anything that must not be merged. */
static size_t next_packet(struct flow *f, uint8_t *o, bool *alone)
{
	struct spec *s = &f->s;
	size_t len, at;

	*alone = false;
	s->flags = ACK;
	s->n = f->mss;
	s->ip_opts = 0;
	s->zero_csum = s->proto == UDP && one_in(20);
	if (one_in(15))
		s->flags |= PSH;
	if (one_in(15))
		s->n = 1 + mf_prng_below(&rnd, f->mss);
	if (one_in(40))
		s->n = f->mss + mf_prng_below(&rnd, 400);
	switch (mf_prng_below(&rnd, 300)) {
	case 0:
		s->seq += (uint32_t)mf_prng_below(&rnd, 5000); /* a loss */
		break;
	case 1:
		s->seq -= (uint32_t)f->mss; /* once more */
		break;
	case 2:
		s->window++;
		break;
	case 3:
		s->ack++;
		break;
	case 4:
		s->opt_fill++;
		break;
	case 5:
		s->tos++;
		break;
	case 6:
		s->ttl++;
		break;
	case 7:
		s->df = !s->df;
		break;
	case 8:
		s->id += (uint16_t)mf_prng_below(&rnd, 3);
		break;
	case 9:
		s->tcp_opts = s->proto == TCP ? 4 * mf_prng_below(&rnd, 11) : 0;
		break;
	case 10:
		f->owner++;
		break;
	case 11:
		s->flags |= (uint8_t)(1 << mf_prng_below(&rnd, 8));
		break;
	case 12:
	case 13:
		s->n = 0;
		break;
	case 14:
		s->ip_opts = 8;
		*alone = true;
		break;
	case 15:
		s->flags = (uint8_t)mf_prng_u64(&rnd);
		break;
	}
	at = mf_prng_below(&rnd, 50000);
	s->payload = payload + at;
	len = slow_build(s, o);
	if (one_in(100)) { /* damaged on the way to the other end of the tunnel */
		o[slow_ip_len(s) + 4 + mf_prng_below(&rnd, len - slow_ip_len(s) - 4)] ^= 0x10;
		*alone = true;
	}
	s->seq += (uint32_t)s->n;
	if (!s->df || mf_prng_below(&rnd, 2) || s->id)
		s->id++;
	return len;
}

/* A fragment that is not the first, or an echo request, between the two hosts of an even flow. */
static size_t next_other(struct flow *f, uint8_t *o)
{
	size_t ip_len = f->s.version == 4 ? 20 : 40, n = 8 * (1 + mf_prng_below(&rnd, 150));
	struct spec s = f->s;

	s.ip_opts = 0;
	if (one_in(2)) {
		s.proto = s.version == 4 ? ICMP : ICMP6;
		slow_ip(&s, o, ip_len + n);
		memset(o + ip_len, 0, 8);
		o[ip_len] = s.version == 4 ? 8 : 128;
		memcpy(o + ip_len + 8, payload, n - 8);
		slow_fill_csums(o, ip_len, s.proto, ip_len + n);
		return ip_len + n;
	}
	if (s.version == 6) {
		s.ip_opts = 8;
		slow_ip(&s, o, ip_len + 8 + n);
		o[6] = 44;
		mf_store_be16(o + 42, (uint16_t)(8 * (1 + mf_prng_below(&rnd, 100))));
		memcpy(o + 48, payload, n);
		return ip_len + 8 + n;
	}
	s.df = false;
	slow_ip(&s, o, ip_len + n);
	mf_store_be16(o + 6, (uint16_t)(1 + mf_prng_below(&rnd, 100)));
	memcpy(o + ip_len, payload, n);
	mf_store_be16(o + 10, 0);
	mf_store_be16(o + 10, slow_finish(slow_sum(o, ip_len, 0)));
	return ip_len + n;
}

static void want(struct flow *f, const uint8_t *b, size_t n, bool alone)
{
	struct wanted *w = &f->want[f->n_want++];

	assert_true(f->n_want <= WANT_MAX);
	w->b = malloc(n);
	memcpy(w->b, b, n);
	w->n = n;
	w->owner = (void *)f->owner;
	w->alone = alone;
}

static struct flow *flow_of(const struct mf_pkt *p)
{
	size_t pair = p->data[p->ip_version == 4 ? 15 : 23];

	if ((p->l4_proto == TCP || p->l4_proto == UDP) && !mf_ip_is_fragment(p))
		return &flows[mf_load_be16(p->data + p->l4_off) - 0x100];
	return &flows[2 * pair];
}

/* Ids of IPv4 packets with DF mean nothing and may have changed. */
static void forget_id(uint8_t *b)
{
	if (b[0] >> 4 == 4 && b[6] & 0x40) {
		memset(b + 4, 0, 2);
		memset(b + 10, 0, 2);
	}
}

static void check_one(struct flow *f, uint8_t *b, size_t n, const struct mf_pkt *p)
{
	struct mf_pkt v = { .data = b, .len = (uint32_t)n };
	struct wanted *w = &f->want[f->n_got++];

	assert_true(f->n_got <= f->n_want);
	assert_ptr_equal(w->owner, p->owner);
	assert_int_equal(w->n, n);
	assert_int_equal(mf_ip_input(&v), MF_DROP_NONE);
	if (p->segments > 1) {
		assert_false(w->alone);
		forget_id(b);
		forget_id(w->b);
	}
	assert_memory_equal(w->b, b, n);
	free(w->b);
}

static void check_packet(struct mf_pkt *p)
{
	struct flow *f = flow_of(p);
	struct mf_pkt again = *p;
	uint32_t segments = p->segments;
	struct mf_gso g;
	uint8_t *seg;
	size_t n;

	assert_int_equal(mf_ip_input(&again), MF_DROP_NONE);
	assert_int_equal(again.len, p->len);
	assert_int_equal(again.l4_off, p->l4_off);
	assert_int_equal(again.l4_proto, p->l4_proto);
	assert_int_equal(again.ip_version, p->ip_version);
	assert_int_equal(p->gso_type != MF_GSO_NONE, p->segments > 1);
	assert_int_equal(!!(p->flags & MF_PKT_NEEDS_CSUM), p->segments > 1);
	assert_true(p->data >= p->room_start + MF_PKT_HEADROOM);
	assert_true(mf_pkt_tailroom(p) >= MF_PKT_TAILROOM);
	assert_int_equal(mf_gso_begin(&g, p), MF_DROP_NONE);
	assert_int_equal(mf_gso_count(&g), segments);
	while ((n = mf_gso_next(&g, &seg)))
		check_one(f, seg, n, p);
	mf_pkt_free(p);
}

static void flush(struct mf_gro *g)
{
	struct mf_pkt *out[BATCH];
	size_t n, max;

	do {
		max = one_in(5) ? 1 + mf_prng_below(&rnd, 5) : BATCH;
		n = mf_gro_flush(g, out, max);
		for (size_t i = 0; i < n; i++)
			check_packet(out[i]);
	} while (n == max);
	for (size_t i = 0; i < FLOWS; i++) {
		assert_int_equal(flows[i].n_got, flows[i].n_want);
		flows[i].n_got = flows[i].n_want = 0;
	}
}

/* What decryption does: writes the padded packet and its tag. Returns what became of it. */
static enum mf_drop feed(struct mf_gro *g, const uint8_t *b, size_t len, uintptr_t owner)
{
	size_t n = mf_round_up(len, 16);
	uint8_t *at = mf_gro_reserve(g, n);

	if (!at)
		return MF_DROP_BUFFERS;
	memset(at, 0xee, n + MF_PKT_TAILROOM);
	memcpy(at, b, len);
	return mf_gro_commit(g, len, (void *)owner);
}

static void feed_garbage(struct mf_gro *g)
{
	uint8_t b[200];
	size_t n = mf_prng_below(&rnd, sizeof(b));
	uint8_t *at;

	mf_prng_fill(&rnd, b, sizeof(b));
	b[0] = one_in(2) ? 0x55 : 0x45; /* no such version, or longer than it is */
	b[2] = 1;
	if (one_in(2)) {
		assert_int_not_equal(feed(g, b, n, 1), MF_DROP_NONE);
		return;
	}
	at = mf_gro_reserve(g, 1500);
	if (at) {
		memset(at, 0xdd, 1500 + MF_PKT_TAILROOM);
		mf_gro_cancel(g);
	}
}

static void random_batch(struct mf_gro *g, size_t n_flows)
{
	static uint8_t b[65536];
	size_t packets = 1 + mf_prng_below(&rnd, BATCH), i = mf_prng_below(&rnd, n_flows);

	while (packets--) {
		struct flow *f;
		bool alone;
		size_t len;

		if (one_in(1 + mf_prng_below(&rnd, 6)))
			i = mf_prng_below(&rnd, n_flows);
		f = &flows[i];
		if (one_in(60))
			feed_garbage(g);
		if (one_in(100)) {
			f = &flows[i & ~(size_t)1];
			len = next_other(f, b);
			alone = true;
		} else {
			len = next_packet(f, b, &alone);
		}
		if (f->s.proto == TCP ? !g->merge_tcp : !g->merge_udp)
			alone = true;
		if (feed(g, b, len, f->owner) == MF_DROP_NONE)
			want(f, b, len, alone);
	}
}

static void test_random_flows(void **state)
{
	(void)state;
	rnd = unit_prng("gro");
	for (int round = 0; round < 400; round++) {
		bool plenty = round % 3 != 0;
		uint32_t large = plenty ? BATCH : (uint32_t)mf_prng_below(&rnd, 12);
		uint32_t small = plenty ? BATCH + 2 : 1 + (uint32_t)mf_prng_below(&rnd, 150);
		struct mf_pkt_pool *pool = mf_pkt_pool_new(small, large);
		size_t n_flows = one_in(2) ? 1 + mf_prng_below(&rnd, 4)
					   : 1 + mf_prng_below(&rnd, FLOWS);
		struct mf_gro g;

		mf_gro_init(&g, pool, !one_in(8), !one_in(8));
		for (size_t i = 0; i < FLOWS; i++)
			init_flow(i);
		for (int batch = 0; batch < 6; batch++) {
			random_batch(&g, n_flows);
			flush(&g);
		}
		if (plenty)
			assert_int_equal(g.n_no_buffer, 0);
		mf_gro_fini(&g);
		assert_int_equal(mf_pkt_pool_free_small(pool), small);
		assert_int_equal(mf_pkt_pool_free_large(pool), large);
		mf_pkt_pool_free(pool);
	}
}

/* A plain sender of full segments with a time stamp. */
static void bulk_spec(struct spec *s, uint8_t proto)
{
	memset(s, 0, sizeof(*s));
	s->version = 4;
	s->proto = proto;
	memcpy(s->src, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	memcpy(s->dst, (uint8_t[]){ 10, 0, 0, 2 }, 4);
	s->ttl = 64;
	s->df = true;
	s->tcp_opts = proto == TCP ? 12 : 0;
	s->sport = 1;
	s->dport = 2;
	s->flags = ACK;
	s->payload = payload;
	s->n = 1368;
}

static enum mf_drop feed_spec(struct mf_gro *g, struct spec *s)
{
	uint8_t b[2048];
	enum mf_drop r = feed(g, b, slow_build(s, b), 1);

	s->seq += (uint32_t)s->n;
	s->id++;
	return r;
}

struct rig {
	struct mf_pkt_pool *pool;
	struct mf_gro g;
	struct mf_pkt *out[BATCH];
};

static void rig_up(struct rig *r, bool merge)
{
	r->pool = mf_pkt_pool_new(BATCH, BATCH);
	mf_gro_init(&r->g, r->pool, merge, merge);
}

static size_t rig_flush(struct rig *r, size_t n_want)
{
	size_t n = mf_gro_flush(&r->g, r->out, BATCH);

	assert_int_equal(n, n_want);
	return n;
}

static void rig_free(struct rig *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mf_pkt_free(r->out[i]);
}

static void rig_down(struct rig *r)
{
	mf_gro_fini(&r->g);
	mf_pkt_pool_free(r->pool);
}

/* Once a flow is running, every packet but the first of a super-packet is decrypted in place. */
static void test_bulk_is_not_copied(void **state)
{
	struct rig r;
	struct spec s;
	size_t n;

	(void)state;
	rig_up(&r, true);
	bulk_spec(&s, TCP);
	for (int i = 0; i < 100; i++) /* 47 fit into 65535 bytes */
		assert_int_equal(feed_spec(&r.g, &s), MF_DROP_NONE);
	n = rig_flush(&r, 3);
	assert_int_equal(r.out[0]->segments, 47);
	assert_int_equal(r.out[0]->gso_size, 1368);
	assert_int_equal(r.out[0]->gso_type, MF_GSO_TCP4);
	assert_int_equal(r.out[0]->len, 52 + 47 * 1368);
	assert_int_equal(r.out[1]->segments, 47);
	assert_int_equal(r.out[2]->segments, 6);
	assert_int_equal(r.g.n_merged, 97);
	assert_int_equal(r.g.n_predicted, 96); /* the first packet was thought to stay alone */
	rig_free(&r, n);
	for (int i = 0; i < 10; i++)
		assert_int_equal(feed_spec(&r.g, &s), MF_DROP_NONE);
	n = rig_flush(&r, 1);
	assert_int_equal(r.g.n_predicted, 96 + 9);
	assert_int_equal(r.g.n_alone, 4);
	rig_free(&r, n);
	rig_down(&r);
}

static void test_place_continues_packet(void **state)
{
	uint8_t before[1500], *a, *b;
	struct rig r;
	struct spec s;

	(void)state;
	rig_up(&r, true);
	r.g.want_large = true;
	bulk_spec(&s, TCP);
	a = mf_gro_reserve(&r.g, 1424);
	slow_build(&s, a);
	assert_int_equal(mf_gro_commit(&r.g, 1420, NULL), MF_DROP_NONE);
	memcpy(before, a, 1420);
	b = mf_gro_reserve(&r.g, 1424);
	assert_ptr_equal(b, a + 1420 - 52);
	memset(b, 0, 1424);
	mf_gro_cancel(&r.g);
	assert_memory_equal(before, a, 1420);
	/* too long to continue it: elsewhere */
	b = mf_gro_reserve(&r.g, 1440);
	assert_true(b < a || b > a + 65536);
	mf_gro_cancel(&r.g);
	rig_free(&r, rig_flush(&r, 1));
	rig_down(&r);
}

static void test_switched_off(void **state)
{
	struct rig r;
	struct spec s;
	size_t n;

	(void)state;
	rig_up(&r, false);
	for (int i = 0; i < 20; i++) {
		bulk_spec(&s, i % 2 ? TCP : UDP);
		s.seq = (uint32_t)(i / 2 * 1368);
		assert_int_equal(feed_spec(&r.g, &s), MF_DROP_NONE);
	}
	n = rig_flush(&r, 20);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(r.out[i]->segments, 1);
		assert_int_equal(r.out[i]->flags & MF_PKT_LARGE, 0);
	}
	rig_free(&r, n);
	assert_int_equal(mf_pkt_pool_free_large(r.pool), BATCH);
	rig_down(&r);
}

static void test_acks_are_small(void **state)
{
	struct spec s, ack;
	struct rig r;
	size_t n;

	(void)state;
	rig_up(&r, true);
	bulk_spec(&s, TCP);
	bulk_spec(&ack, TCP);
	ack.sport = 7;
	ack.n = 0;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(feed_spec(&r.g, &s), MF_DROP_NONE);
		assert_int_equal(feed_spec(&r.g, &ack), MF_DROP_NONE);
	}
	n = rig_flush(&r, 11);
	assert_int_equal(r.out[0]->segments, 10);
	for (size_t i = 1; i < n; i++) {
		assert_int_equal(r.out[i]->flags & MF_PKT_LARGE, 0);
		assert_int_equal(r.out[i]->len, 52);
	}
	rig_free(&r, n);
	rig_down(&r);
}

/* Changes the second of two packets of a flow; returns whether it may still be merged. */
static bool change_second(struct spec *s, int what)
{
	switch (what) {
	case 1:
		s->src[3] ^= 1;
		return false;
	case 2:
		s->dport ^= 1;
		return false;
	case 3:
		s->seq++;
		return false;
	case 4:
		s->ack++;
		return false;
	case 5:
		s->window++;
		return false;
	case 6:
		s->opt_fill++;
		return false;
	case 7:
		s->tcp_opts += 4;
		return false;
	case 8:
		s->ttl ^= 1;
		return false;
	case 9:
		s->tos ^= 1;
		return false;
	case 10:
		s->flags |= FIN;
		return false;
	case 11:
		s->id++;
		return false;
	case 12:
		s->n++;
		return false;
	case 13:
		s->df = false;
		return false;
	case 14:
		s->id--; /* stays, and has no meaning */
		return true;
	case 15:
		s->flags |= PSH;
		return true;
	case 16:
		s->n--;
		return true;
	default:
		return true;
	}
}

static void check_rule(struct rig *r, struct spec *s, int change, bool may)
{
	assert_int_equal(feed_spec(&r->g, s), MF_DROP_NONE);
	may = change_second(s, change) && may;
	assert_int_equal(feed_spec(&r->g, s), MF_DROP_NONE);
	rig_free(r, rig_flush(r, may ? 1 : 2));
}

/* A length field that does not match would be put right by merging. The sum is right. */
static void feed_wrong_udp_len(struct rig *r)
{
	uint8_t b[2048];
	struct spec s;
	size_t len;

	bulk_spec(&s, UDP);
	len = slow_build(&s, b);
	assert_int_equal(feed(&r->g, b, len, 1), MF_DROP_NONE);
	mf_store_be16(b + 4, 1);
	mf_store_be16(b + 24, (uint16_t)(len - 21));
	slow_fill_csums(b, 20, UDP, len);
	assert_int_equal(feed(&r->g, b, len, 1), MF_DROP_NONE);
	rig_free(r, rig_flush(r, 2));
}

static void test_rules(void **state)
{
	struct spec s;
	struct rig r;

	(void)state;
	rig_up(&r, true);
	for (int change = 0; change <= 16; change++) {
		bulk_spec(&s, TCP);
		check_rule(&r, &s, change, true);
		bulk_spec(&s, UDP);
		/* UDP has no sequence numbers and so on */
		if ((change < 3 || change > 7) && change != 10 && change != 15)
			check_rule(&r, &s, change, true);
	}
	bulk_spec(&s, TCP); /* an id that stays needs DF */
	s.df = false;
	check_rule(&r, &s, 14, false);
	bulk_spec(&s, TCP); /* PSH on the first one */
	s.flags |= PSH;
	check_rule(&r, &s, 0, false);
	bulk_spec(&s, UDP); /* without a checksum */
	s.zero_csum = true;
	check_rule(&r, &s, 0, false);
	feed_wrong_udp_len(&r);
	bulk_spec(&s, TCP); /* options before the TCP header */
	s.ip_opts = 8;
	check_rule(&r, &s, 0, false);
	rig_down(&r);
}

static void test_udp_limits(void **state)
{
	struct rig r;
	struct spec s;
	size_t n;

	(void)state;
	rig_up(&r, true);
	bulk_spec(&s, UDP);
	s.n = 100;
	for (int i = 0; i < 70; i++)
		assert_int_equal(feed_spec(&r.g, &s), MF_DROP_NONE);
	s.n = 99;
	assert_int_equal(feed_spec(&r.g, &s), MF_DROP_NONE);
	assert_int_equal(feed_spec(&r.g, &s), MF_DROP_NONE);
	n = rig_flush(&r, 3);
	assert_int_equal(r.out[0]->segments, 64);
	assert_int_equal(r.out[0]->gso_type, MF_GSO_UDP);
	assert_int_equal(r.out[1]->segments, 7); /* the shorter one ends it */
	assert_int_equal(r.out[2]->segments, 1);
	rig_free(&r, n);
	rig_down(&r);
}

static void test_no_packet_free(void **state)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(1, 0);
	struct mf_pkt *out[2];
	struct mf_gro g;
	struct spec s;

	(void)state;
	mf_gro_init(&g, pool, true, true);
	bulk_spec(&s, TCP);
	assert_int_equal(feed_spec(&g, &s), MF_DROP_NONE);
	assert_null(mf_gro_reserve(&g, 1424));
	assert_null(mf_gro_reserve(&g, 5000));
	assert_int_equal(g.n_no_buffer, 2);
	assert_int_equal(mf_gro_flush(&g, out, 2), 1);
	mf_pkt_free(out[0]);
	mf_gro_fini(&g);
	mf_pkt_pool_free(pool);
}

static int fill_payload(void **state)
{
	struct mf_prng g = { .state = 2 };

	(void)state;
	mf_prng_fill(&g, payload, sizeof(payload));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_flows),
		cmocka_unit_test(test_bulk_is_not_copied),
		cmocka_unit_test(test_place_continues_packet),
		cmocka_unit_test(test_switched_off),
		cmocka_unit_test(test_acks_are_small),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_udp_limits),
		cmocka_unit_test(test_no_packet_free),
	};

	return cmocka_run_group_tests(tests, fill_payload, NULL);
}
