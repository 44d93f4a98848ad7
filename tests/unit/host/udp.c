/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP mappings: who shares one, what is let in and goes out and with what headers, how long they live, how
 * many there may be, and what routes that change mean to them.
 */
#include "dgramlab.h"

static bool live(const struct fake_dgram *x)
{
	return x->d != NULL;
}

/* ---- Mapping and filtering ------------------------------------------------------------------------ */

/* RFC 4787 REQ-1 and REQ-8, as a STUN client would find out (RFC 5780 4.3, 4.4): one mapping for every
 * address and port, open to every address and port. */
static void test_full_cone(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct fake_dgram *x;

		lab_send(lab_udp(v, 1, 4000, 1, 3478, 20));
		x = lab_last();
		assert_int_equal(x->app.port, 4000);
		assert_int_equal(x->dst.port, 3478);
		lab_send(lab_udp(v, 1, 4000, 2, 3478, 20)); /* another address */
		lab_send(lab_udp(v, 1, 4000, 1, 3479, 20)); /* another port */
		assert_ptr_equal(lab_last(), x);
		assert_int_equal(x->n_sent, 3);
		assert_int_equal(x->sent[1].remote.addr.b[v == 4 ? 3 : 15], 2);
		assert_int_equal(x->sent[2].remote.port, 3479);
		lab_begin();
		lab_give(x, v, 9, 9, 33); /* from somebody never spoken to */
		lab_run();
		assert_memory_equal(lab_got(v, 9, 9, 1, 4000, 33), lab_bytes, 33);
	}
	/* The families each have their own; so have other ports and other apps. */
	assert_int_equal(lab.far.n_opened, 2);
	lab_send(lab_udp(4, 1, 4001, 1, 3478, 20));
	lab_send(lab_udp(4, 2, 4000, 1, 3478, 20));
	assert_int_equal(lab.far.n_opened, 4);
	assert_int_equal(mf_host_counters(lab.h)->udp_opened, 4);
}

static void test_facts(void **state)
{
	struct mf_session_facts f;

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 3478, 20));
	assert_true(mf_host_facts(lab.h, 0, &f));
	assert_int_equal(f.state, MF_SESSION_UNREPLIED);
	assert_int_equal(f.proto, UDP);
	assert_int_equal(f.hop, HOP);
	assert_int_equal(f.remotes, 1);
	assert_int_equal(f.bytes_up, 20);
	assert_int_equal(f.packets_up, 1);
	lab_send(lab_udp(4, 1, 4000, 2, 3478, 10));
	lab_send(lab_udp(4, 1, 4000, 1, 3478, 10));
	lab_begin();
	lab_give(lab_last(), 4, 1, 3478, 100);
	lab_run();
	assert_true(mf_host_facts(lab.h, 0, &f));
	assert_int_equal(f.state, MF_SESSION_ESTABLISHED);
	assert_int_equal(f.remotes, 2);
	assert_int_equal(f.dst.port, 3478);
	assert_int_equal(f.dst.addr.b[3], 1);
	assert_int_equal(f.bytes_up, 40);
	assert_int_equal(f.bytes_down, 100);
	assert_int_equal(f.packets_down, 1);
}

/* ---- Out ------------------------------------------------------------------------------------------ */

static void test_sent_from_where_it_lies(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct spec s = lab_spec(v, 1, 4000, 1, 9, 700);
		const uint8_t *at;
		struct mf_pkt *p;

		s.tos = 0xb9; /* DSCP 46, ECT(1) */
		p = lab_pkt(&s);
		at = p->data + (v == 4 ? 28 : 48);
		lab_send(p);
		assert_ptr_equal(fakedgram_sent(lab_last())->at, at);
		assert_int_equal(fakedgram_sent(lab_last())->n, 700);
		assert_memory_equal(fakedgram_sent(lab_last())->bytes, lab_bytes, 700);
		assert_int_equal(fakedgram_sent(lab_last())->tos, 0xb9);
		assert_int_equal(fakedgram_sent(lab_last())->ttl, 0);
		assert_int_equal(lab.consumed, 1);
		assert_int_equal(lab.drops, 0);
	}
}

/* A link takes nothing from the TTL; what somebody chose on purpose goes out. */
static void test_ttl(void **state)
{
	static const uint8_t ttl[][2] = { { 1, 1 },  { 5, 5 },  { 31, 31 },
					  { 32, 0 }, { 64, 0 }, { 255, 0 } };

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2)
		for (size_t i = 0; i < MF_ARRAY_LEN(ttl); i++) {
			struct spec s = lab_spec(v, 1, 4000, 1, 33434, 12);

			s.ttl = ttl[i][0];
			lab_send(lab_pkt(&s));
			assert_int_equal(fakedgram_sent(lab_last())->ttl, ttl[i][1]);
		}
}

static void test_may_fragment(void **state)
{
	struct spec s = lab_spec(4, 1, 4000, 1, 9, 12);

	(void)state;
	lab_send(lab_pkt(&s));
	assert_false(fakedgram_sent(lab_last())->flags & MF_PKT_MAY_FRAGMENT);
	s.df = false;
	lab_send(lab_pkt(&s));
	assert_true(fakedgram_sent(lab_last())->flags & MF_PKT_MAY_FRAGMENT);
	lab_send(lab_udp(6, 1, 4000, 1, 9, 12));
	assert_false(fakedgram_sent(lab_last())->flags & MF_PKT_MAY_FRAGMENT);
}

/* What stands together and belongs together goes out in one call. */
static void test_batches(void **state)
{
	struct mf_pkt *frame[200];
	struct fake_dgram *a, *b;
	uint32_t n = 0;

	(void)state;
	lab_send(lab_udp(4, 1, 1, 1, 9, 1));
	a = lab_last();
	lab_send(lab_udp(4, 1, 2, 1, 9, 1));
	b = lab_last();
	lab_begin();
	frame[n++] = lab_udp(4, 1, 1, 1, 9, 2);
	frame[n++] = lab_udp(4, 1, 1, 2, 9, 3);
	frame[n++] = lab_udp(4, 1, 2, 1, 9, 4);
	frame[n++] = lab_udp(4, 1, 1, 1, 9, 5);
	lab_input(frame, n);
	assert_int_equal(a->calls, 3);
	assert_int_equal(b->calls, 2);
	assert_int_equal(a->sent[1].call, a->sent[2].call);
	assert_int_equal(a->sent[3].n, 5);
	for (n = 0; n < 150; n++)
		frame[n] = lab_udp(4, 1, 1, 1, 9, n);
	lab_input(frame, n);
	assert_int_equal(a->calls, 6);
	for (n = 0; n < 150; n++)
		assert_int_equal(a->sent[4 + n].n, n);
	lab_run();
	assert_int_equal(lab.consumed, 154);
}

static void test_super_packets_out(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct spec s = lab_spec(v, 1, 4000, 1, 443, 10 * 1200 + 7);
		struct mf_session_facts f;

		lab_send(lab_super(&s, 1200));
		assert_int_equal(fakedgram_sent(lab_last())->gso_type, MF_GSO_UDP);
		assert_int_equal(fakedgram_sent(lab_last())->gso_size, 1200);
		assert_int_equal(fakedgram_sent(lab_last())->n, 12007);
		assert_memory_equal(fakedgram_sent(lab_last())->bytes, lab_bytes, 12007);
		assert_true(mf_host_facts(lab.h, v / 2 - 2, &f));
		assert_int_equal(f.packets_up, 11);
	}
}

/* ---- What is let in ------------------------------------------------------------------------------- */

/* A change at one place of the L4 header, checksum made right again. */
static enum mf_drop with_length(unsigned v, uint16_t length, size_t n)
{
	struct spec s = lab_spec(v, 1, 4000, 1, 9, n);
	static uint8_t b[2000];
	size_t ip = slow_ip_len(&s), len = slow_build(&s, b);
	size_t before = lab_sent();

	mf_store_be16(b + ip + 4, length);
	if (length >= 8 && length <= len - ip) {
		uint32_t sum;

		mf_store_be16(b + ip + 6, 0);
		sum = slow_sum(b + ip, length, slow_pseudo(b, UDP, length));
		mf_store_be16(b + ip + 6, slow_finish(sum));
	}
	lab_send(lab_finish(lab_raw(b, len)));
	assert_int_equal(lab.drops + lab.consumed, 1);
	assert_int_equal(lab_sent() - before, lab.consumed);
	for (unsigned i = 0; i < MF_DROP_COUNT; i++)
		if (lab.dropped[i])
			return (enum mf_drop)i;
	return MF_DROP_NONE;
}

static void test_lengths(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		assert_int_equal(with_length(v, 28, 20), MF_DROP_NONE);
		assert_int_equal(with_length(v, 29, 20), MF_DROP_L4_TRUNCATED);
		assert_int_equal(with_length(v, 7, 20), MF_DROP_L4_TRUNCATED);
		assert_int_equal(with_length(v, 0, 20), MF_DROP_L4_TRUNCATED);
		assert_int_equal(with_length(v, 8, 0), MF_DROP_NONE);
		assert_int_equal(fakedgram_sent(lab_last())->n, 0);
		assert_int_equal(with_length(v, 18, 20), MF_DROP_NONE); /* the rest is not UDP's */
		assert_int_equal(fakedgram_sent(lab_last())->n, 10);
	}
}

static void test_short_header(void **state)
{
	struct spec s = lab_spec(4, 1, 4000, 1, 9, 0);
	uint8_t b[100];

	(void)state;
	slow_build(&s, b);
	mf_store_be16(b + 2, 27);
	slow_fill_csums(b, 20, UDP, 28);
	lab_send(lab_finish(lab_raw(b, 27)));
	assert_int_equal(lab.dropped[MF_DROP_L4_TRUNCATED], 1);
	assert_int_equal(lab.far.n_opened, 0);
}

static void test_checksums(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct spec s = lab_spec(v, 1, 4000, 1, 9, 101);
		struct mf_pkt *p = lab_pkt(&s);

		p->data[p->len - 1] ^= 1;
		lab_send(p);
		assert_int_equal(lab.dropped[MF_DROP_L4_CHECKSUM], 1);
		assert_int_equal(lab.far.n_opened, v == 4 ? 0 : 1);
		/* None: RFC 768 allows it, RFC 8200 8.1 does not. */
		s.zero_csum = true;
		lab_send(lab_pkt(&s));
		assert_int_equal(lab.dropped[MF_DROP_L4_CHECKSUM], v == 6);
		assert_int_equal(lab.consumed, v == 4);
		/* Left to offload: there is nothing to check. */
		s.zero_csum = false;
		p = lab_pkt(&s);
		slow_unfinish_csum(&s, p->data, p->len);
		p->flags |= MF_PKT_NEEDS_CSUM;
		p->csum_start = p->l4_off;
		p->csum_offset = 6;
		lab_send(p);
		assert_int_equal(lab.consumed, 1);
	}
}

/* VXLAN and its like: what is left to us is the checksum of a packet in the payload. */
static void test_inner_checksum(void **state)
{
	struct spec s = lab_spec(4, 1, 4000, 1, 4789, 60);
	struct mf_pkt *p;
	uint32_t sum;

	(void)state;
	s.zero_csum = true;
	p = lab_pkt(&s);
	mf_store_be16(p->data + 28 + 40 + 6, 0x1234); /* the pseudo-header's sum */
	p->flags |= MF_PKT_NEEDS_CSUM;
	p->csum_start = 28 + 40;
	p->csum_offset = 6;
	assert_int_equal(mf_vnet_check(p), MF_DROP_NONE);
	sum = slow_sum(p->data + 28 + 40, 20, 0);
	lab_send(p);
	assert_int_equal(mf_load_be16(fakedgram_sent(lab_last())->bytes + 46), slow_finish(sum));
}

static void test_fragments_from_app(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_pkt *whole = lab_udp(v, 1, 4000, 1, 9, 20000), *f, *next;
		uint64_t before = mf_host_counters(lab.h)->reassembled;
		unsigned n = 0;

		f = mf_fragment_cut(lab.pool, whole->data, whole->len, 1500, 77);
		mf_pkt_free(whole);
		lab_begin();
		for (; f; f = next, n++) {
			next = f->next;
			f->next_hop = HOP;
			mf_host_udp(lab.h, &f, 1);
		}
		lab_run();
		assert_int_equal(lab.consumed, n);
		assert_int_equal(lab.drops, 0);
		assert_int_equal(lab_last()->n_sent, 1);
		assert_int_equal(fakedgram_sent(lab_last())->n, 20000);
		assert_memory_equal(fakedgram_sent(lab_last())->bytes, lab_bytes, 20000);
		assert_true(fakedgram_sent(lab_last())->flags & MF_PKT_MAY_FRAGMENT);
		assert_int_equal(mf_host_counters(lab.h)->reassembled, before + 1);
	}
}

/* RFC 1122 3.3.2: who sent fragments of which some were lost is told, if the first one came. */
static void test_fragments_that_never_come(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2)
		for (int first = 0; first < 2; first++) {
			struct mf_pkt *whole = lab_udp(v, 1, 4000, 1, 9, 2000), *a, *b;
			struct mf_addr us = mf_ip_dst(whole);
			struct mf_pkt q;

			a = mf_fragment_cut(lab.pool, whole->data, whole->len, 1500, 78);
			mf_pkt_free(whole);
			b = a->next;
			mf_pkt_free(first ? b : a);
			lab_send(first ? a : b);
			lab_wait(29 * MF_SEC);
			assert_int_equal(lab.drops + lab.n_out, 0);
			lab_wait(2 * MF_SEC);
			assert_int_equal(lab.dropped[MF_DROP_FRAGMENT_TIMEOUT], 1);
			assert_int_equal(lab.n_out, first);
			if (first) {
				q = lab_got_error(v, &us, v == 4 ? 11 : 3, 1, 0);
				lab_quotes_udp(&q, v, 1, 4000, 1, 9);
			}
		}
}

/* A fragment other than the first does not say what it is part of: it may come with the wrong neighbours. */
static void test_fragments_with_the_wrong_neighbours(void **state)
{
	struct mf_pkt *whole = lab_udp(4, 1, 4000, 1, 9, 2000), *a, *b;

	(void)state;
	a = mf_fragment_cut(lab.pool, whole->data, whole->len, 1500, 78);
	mf_pkt_free(whole);
	b = a->next;
	a->next_hop = b->next_hop = HOP;
	lab_begin();
	mf_host_tcp(lab.h, &b, 1);
	mf_host_icmp(lab.h, &a, 1);
	lab_run();
	assert_int_equal(lab_sent(), 1);
	assert_int_equal(fakedgram_sent(lab_last())->n, 2000);
}

/* ---- Time ----------------------------------------------------------------------------------------- */

static void check_lifetime(uint16_t port, mf_nsec want)
{
	struct fake_dgram *x;

	lab_send(lab_udp(4, 1, 4000, 1, port, 30));
	x = lab_last();
	lab_wait(want - MF_SEC);
	assert_true(live(x));
	lab_send(lab_udp(4, 1, 4000, 1, port, 30)); /* the app keeps it */
	lab_wait(want - MF_SEC);
	assert_true(live(x));
	lab_give(x, 4, 1, port, 10); /* so does the far side (REQ-6) */
	lab_begin();
	lab_run();
	lab_wait(want - MF_SEC);
	assert_true(live(x));
	lab_wait(2 * MF_SEC);
	assert_false(live(x));
	assert_int_equal(mf_host_counters(lab.h)->sessions, 0);
}

static void test_lifetimes(void **state)
{
	(void)state;
	check_lifetime(53, 20 * MF_SEC);
	check_lifetime(443, 600 * MF_SEC);
	check_lifetime(12345, 300 * MF_SEC);
	assert_int_equal(mf_host_counters(lab.h)->idle_ended, 3);
}

/* A port that asks DNS and does other things, too, is no DNS client. */
static void test_lifetime_of_a_mixed_mapping(void **state)
{
	static const struct {
		uint16_t first, then;
		mf_nsec want;
	} mixed[] = {
		{ 53, 9, 300 * MF_SEC },  { 9, 53, 300 * MF_SEC },   { 53, 443, 600 * MF_SEC },
		{ 9, 443, 600 * MF_SEC }, { 443, 53, 600 * MF_SEC }, { 443, 9, 600 * MF_SEC },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(mixed); i++) {
		struct fake_dgram *x;

		lab_send(lab_udp(4, 1, 4000, 1, mixed[i].first, 30));
		x = lab_last();
		lab_send(lab_udp(4, 1, 4000, 1, mixed[i].then, 30));
		lab_wait(mixed[i].want - MF_SEC);
		assert_true(live(x));
		lab_wait(2 * MF_SEC);
		assert_false(live(x));
	}
}

static void test_new_timeouts_hold_at_once(void **state)
{
	struct mf_host_config cfg = lab_config();
	struct fake_dgram *x;

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 9, 30));
	x = lab_last();
	cfg.udp = 5 * MF_SEC;
	mf_host_configure(lab.h, &cfg);
	lab_wait(6 * MF_SEC);
	assert_false(live(x));
}

/* The device has gone, say: the mapping ends, the next packet begins another one. */
static void test_failed(void **state)
{
	struct fake_dgram *x;

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 9, 30));
	x = lab_last();
	fakedgram_fail(x);
	lab_begin();
	lab_run();
	assert_false(live(x));
	lab_send(lab_udp(4, 1, 4000, 1, 9, 30));
	assert_ptr_not_equal(lab_last(), x);
	assert_int_equal(lab.far.n_open, 1);
}

/* ---- Limits --------------------------------------------------------------------------------------- */

static void test_share_of_a_source(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 45; i++)
		lab_send(lab_udp(4, 1, (uint16_t)(4000 + i), 1, 9, 1));
	assert_int_equal(lab.far.n_open, 40);
	assert_int_equal(lab.dropped[MF_DROP_SESSIONS_SOURCE], 1);
	lab_send(lab_udp(4, 2, 4000, 1, 9, 1));
	assert_int_equal(lab.far.n_open, 41);
	lab_send(lab_udp(4, 1, 4000, 2, 9, 1)); /* what there is goes on */
	assert_int_equal(lab.consumed, 1);
}

static void test_table_full(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 70; i++)
		lab_send(lab_udp(4, (uint8_t)(1 + i / 32), (uint16_t)(4000 + i), 1, 9, 1));
	assert_int_equal(lab.far.n_open, 64);
	assert_int_equal(lab.dropped[MF_DROP_SESSIONS_FULL], 1);
}

/* ---- Routes --------------------------------------------------------------------------------------- */

static struct mf_pkt *by(struct mf_pkt *p, uint32_t hop)
{
	p->next_hop = hop;
	return p;
}

/* When routes change, a conversation goes on where it is; whom the app turns to now has another route, and
 * must not go with it. */
static void test_routes_change(void **state)
{
	struct mf_pkt *p;

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 9, 1));
	lab.route = OTHER_HOP;
	mf_host_routes_changed(lab.h, false);
	assert_int_equal(mf_host_strays(lab.h), 1);
	p = by(lab_udp(4, 1, 4000, 1, 9, 1), OTHER_HOP);
	assert_true(mf_host_has(lab.h, p));
	assert_int_equal(p->next_hop, HOP);
	lab_send(p);
	assert_int_equal(lab_sent(), 2);
	p = by(lab_udp(4, 1, 4000, 1, 10, 1), OTHER_HOP);
	assert_false(mf_host_has(lab.h, p));
	lab_send(p);
	assert_int_equal(lab_sent(), 2);
	assert_int_equal(lab.other.last->n_sent, 1);
	/* The one conversation and the other go on beside each other. */
	p = by(lab_udp(4, 1, 4000, 1, 9, 1), OTHER_HOP);
	assert_true(mf_host_has(lab.h, p));
	lab_send(p);
	assert_int_equal(lab_sent(), 3);
	mf_host_routes_changed(lab.h, true);
	assert_int_equal(lab.far.n_open, 0);
	assert_int_equal(lab.other.n_open, 1);
}

/* A port speaks with remotes that go different ways: one mapping for each interface, and the answers of all
 * reach the app. */
static void test_each_interface(void **state)
{
	struct mf_session_facts f;

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		lab_send(lab_udp(v, 1, 4000, 1, 9, 1));
		lab_send(by(lab_udp(v, 1, 4000, 2, 9, 1), OTHER_HOP));
		lab_send(lab_udp(v, 1, 4000, 3, 9, 1));
		assert_int_equal(lab_last()->n_sent, 2);
		assert_int_equal(lab.other.last->n_sent, 1);
		lab_begin();
		lab_give(lab_last(), v, 1, 9, 5);
		lab_run();
		lab_got(v, 1, 9, 1, 4000, 5);
		lab_begin();
		lab_give(lab.other.last, v, 2, 9, 6);
		lab_run();
		lab_got(v, 2, 9, 1, 4000, 6);
	}
	assert_int_equal(lab.far.n_open, 2);
	assert_int_equal(lab.other.n_open, 2);
	assert_int_equal(mf_host_hop(lab.h, HOP)->sessions, 2);
	assert_int_equal(mf_host_hop(lab.h, OTHER_HOP)->sessions, 2);
	assert_true(mf_host_facts(lab.h, 1, &f));
	assert_int_equal(f.hop, OTHER_HOP);
	/* The end of one is not the end of the other. */
	fakedgram_fail(lab.other.last);
	lab_wait(0);
	assert_int_equal(lab.other.n_open, 1);
	lab_send(lab_udp(6, 1, 4000, 1, 9, 1));
	assert_int_equal(lab_last()->n_sent, 3);
}

/* Not only the remote that was spoken to last. */
static void test_routes_of_some_change(void **state)
{
	struct mf_pkt *p;

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 9, 1));
	lab_send(lab_udp(4, 1, 4000, 2, 9, 1));
	lab.moved = mf_ip_dst(p = by(lab_udp(4, 1, 4000, 1, 9, 1), OTHER_HOP));
	mf_host_routes_changed(lab.h, false);
	assert_int_equal(mf_host_strays(lab.h), 1);
	assert_true(mf_host_has(lab.h, p));
	lab_send(p);
	assert_int_equal(lab_sent(), 3);
	assert_int_equal(lab.dropped[MF_DROP_NO_SESSION], 0);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, lab_up, lab_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_full_cone),
		test(test_each_interface),
		test(test_facts),
		test(test_sent_from_where_it_lies),
		test(test_ttl),
		test(test_may_fragment),
		test(test_batches),
		test(test_super_packets_out),
		test(test_lengths),
		test(test_short_header),
		test(test_checksums),
		test(test_inner_checksum),
		test(test_fragments_from_app),
		test(test_fragments_that_never_come),
		test(test_fragments_with_the_wrong_neighbours),
		test(test_lifetimes),
		test(test_lifetime_of_a_mixed_mapping),
		test(test_new_timeouts_hold_at_once),
		test(test_failed),
		test(test_share_of_a_source),
		test(test_table_full),
		test(test_routes_change),
		test(test_routes_of_some_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
