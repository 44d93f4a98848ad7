/* SPDX-License-Identifier: Apache-2.0
 *
 * Fragments of our own: well formed, none longer than the MTU, together the packet that was cut. And what
 * fragments of others say of themselves.
 */
#include "wire/fragment.h"
#include "wire/ip.h"

#include "known.h"
#include "packets.h"
#include "unit.h"

static struct mf_pkt_pool *pool;
static uint8_t payload[65536], whole[65536 + 64], again[65536 + 64];

static size_t build(struct mf_prng *g, struct spec *s, size_t n)
{
	random_spec(g, s);
	s->proto = UDP;
	s->ip_opts = s->tcp_opts = 0;
	s->payload = payload;
	s->n = n;
	return slow_build(s, whole);
}

/* One fragment against the model: its bytes go to where it says they belong. Returns how many. */
static size_t check_one(struct mf_pkt *p, const struct spec *s, uint32_t mtu, uint32_t id, size_t at)
{
	size_t hdr_len = slow_ip_len(s), off = hdr_len + (s->version == 4 ? 0 : 8);
	struct mf_pkt read = *p;
	struct mf_fragment f;

	assert_true(p->len <= mtu);
	assert_int_equal(mf_ip_input(&read), MF_DROP_NONE);
	assert_int_equal(read.len, p->len);
	assert_int_equal(read.ip_version, p->ip_version);
	assert_int_equal(read.l4_off, p->l4_off);
	assert_int_equal(read.l4_proto, p->l4_proto);
	assert_true(mf_ip_is_fragment(&read));
	assert_true(mf_fragment_parse(&read, &f));
	assert_int_equal(f.id, s->version == 4 ? id & 0xffff : id);
	assert_int_equal(f.place, at);
	assert_int_equal(f.proto, UDP);
	assert_int_equal(f.hdr_len, hdr_len);
	assert_int_equal(f.data_off, off);
	assert_int_equal(f.more, !!p->next);
	assert_memory_equal(p->data + (s->version == 4 ? 12 : 8),
			    whole + (s->version == 4 ? 12 : 8), s->version == 4 ? 8 : 32);
	assert_int_equal(mf_ip_tos(p->data), s->tos);
	assert_int_equal(mf_ip_ttl(p->data), s->ttl);
	if (f.more)
		assert_int_equal((p->len - off) % 8, 0);
	if (s->version == 4)
		assert_int_equal(p->data[6] & 0x40, 0); /* DF */
	memcpy(again + hdr_len + f.place, p->data + off, p->len - off);
	return p->len - off;
}

static void test_cuts(void **state)
{
	struct mf_prng g = unit_prng("fragment");

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct spec s;
		size_t len = build(&g, &s, 1 + mf_prng_below(&g, i % 10 ? 5000 : 65400));
		uint32_t min = s.version == 4 ? 68 : 1280, id = (uint32_t)mf_prng_u64(&g);
		uint32_t mtu = min + (uint32_t)mf_prng_below(&g, i % 3 ? 3000 : 20), n = 0;
		size_t at = 0, hdr_len = slow_ip_len(&s);
		struct mf_pkt *p = mf_fragment_cut(pool, whole, len, mtu, id);

		assert_non_null(p);
		if (len <= mtu) {
			assert_int_equal(p->len, len);
			assert_memory_equal(p->data, whole, len);
			assert_int_equal(p->l4_off, hdr_len);
			assert_int_equal(p->l4_proto, UDP);
			assert_null(p->next);
			mf_pkt_free(p);
			continue;
		}
		while (p) {
			struct mf_pkt *next = p->next;

			at += check_one(p, &s, mtu, id, at);
			mf_pkt_free(p);
			p = next;
			n++;
		}
		assert_int_equal(at, len - hdr_len);
		assert_memory_equal(again + hdr_len, whole + hdr_len, at);
		/* No more of them than there must be. */
		hdr_len += s.version == 4 ? 0 : 8;
		assert_int_equal(n, (at + (mtu - hdr_len) / 8 * 8 - 1) / ((mtu - hdr_len) / 8 * 8));
	}
}

/* All or nothing: half a datagram is no use to anybody. */
static void test_too_few_packets(void **state)
{
	struct mf_prng g = unit_prng("fragment few");
	struct mf_pkt_pool *few = mf_pkt_pool_new(2, 0);
	struct spec s;
	struct mf_pkt *p;
	size_t len;

	(void)state;
	do {
		len = build(&g, &s, 3000);
	} while (s.version != 4);
	assert_null(mf_fragment_cut(few, whole, len, 1500, 7));
	assert_int_equal(mf_pkt_pool_free_small(few), 2);
	assert_null(mf_fragment_cut(few, whole, len, 9000, 7)); /* a large one */
	p = mf_fragment_cut(few, whole, len, 1540, 7);
	assert_non_null(p);
	assert_non_null(p->next);
	assert_null(p->next->next);
	mf_pkt_free(p->next);
	mf_pkt_free(p);
	mf_pkt_pool_free(few);
}

static void test_parses(void **state)
{
	/* Two destination option headers, of which the second belongs to the fragmentable part. */
	static const uint8_t rest[] = { 44, 0, 1, 4, 0, 0, 0,    0, /* destination options */
					60, 0, 0, 1, 1, 2, 3,    4, /* fragment: first */
					17, 0, 1, 4, 0, 0, 0,    0, /* destination options */
					0,  1, 0, 2, 0, 8, 0xff, 0xff,
					/* UDP */ };
	uint8_t b[200];
	struct mf_pkt p = { .data = b, .len = sizeof(frag6) };
	struct mf_fragment f;

	(void)state;
	memcpy(b, frag6, sizeof(frag6));
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	assert_true(mf_fragment_parse(&p, &f));
	assert_int_equal(f.place, 0x18);
	assert_true(f.more);
	assert_int_equal(f.id, 77);
	assert_int_equal(f.proto, 17);
	assert_int_equal(f.next_at, 6);

	memcpy(b, udp6, 40);
	b[6] = 60;
	mf_store_be16(b + 4, sizeof(rest));
	memcpy(b + 40, rest, sizeof(rest));
	p = (struct mf_pkt){ .data = b, .len = 40 + sizeof(rest) };
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	assert_int_equal(p.l4_off, 64);
	assert_true(mf_fragment_parse(&p, &f));
	assert_int_equal(f.id, 0x01020304);
	assert_int_equal(f.place, 0);
	assert_int_equal(f.hdr_len, 48);
	assert_int_equal(f.data_off, 56);
	assert_int_equal(f.next_at, 40);
	assert_int_equal(f.proto, 60);
	b[51] = 0; /* atomic */
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	assert_false(mf_fragment_parse(&p, &f));

	memcpy(b, probe4, sizeof(probe4));
	p = (struct mf_pkt){ .data = b, .len = sizeof(probe4) };
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	assert_false(mf_fragment_parse(&p, &f));
}

static int up(void **state)
{
	struct mf_prng g = { .state = 5 };

	(void)state;
	mf_prng_fill(&g, payload, sizeof(payload));
	pool = mf_pkt_pool_new(2000, 64);
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
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_too_few_packets),
		cmocka_unit_test(test_parses),
	};

	return cmocka_run_group_tests(tests, up, down);
}
