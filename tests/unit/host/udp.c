/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP mappings: who shares one, what goes out and comes back and with what headers, how long they live, and
 * what an app is told when something does not arrive.
 */
#include "dgramlab.h"

static struct fake_dgram *last(void)
{
	assert_non_null(lab.far.last);
	return lab.far.last;
}

static void give(struct fake_dgram *x, unsigned version, uint8_t server, uint16_t port, size_t n)
{
	struct mf_endpoint e = lab_server(version, server, port);

	fakedgram_give(x, &e, lab_bytes, n, 0, 0);
}

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
		x = last();
		assert_int_equal(x->app.port, 4000);
		assert_int_equal(x->dst.port, 3478);
		lab_send(lab_udp(v, 1, 4000, 2, 3478, 20)); /* another address */
		lab_send(lab_udp(v, 1, 4000, 1, 3479, 20)); /* another port */
		assert_ptr_equal(last(), x);
		assert_int_equal(x->n_sent, 3);
		assert_int_equal(x->sent[1].remote.addr.b[v == 4 ? 3 : 15], 2);
		assert_int_equal(x->sent[2].remote.port, 3479);
		lab_begin();
		give(x, v, 9, 9, 33); /* from somebody never spoken to */
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
	give(last(), 4, 1, 3478, 100);
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
		assert_ptr_equal(fakedgram_sent(last())->at, at);
		assert_int_equal(fakedgram_sent(last())->n, 700);
		assert_memory_equal(fakedgram_sent(last())->bytes, lab_bytes, 700);
		assert_int_equal(fakedgram_sent(last())->tos, 0xb9);
		assert_int_equal(fakedgram_sent(last())->ttl, 0);
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
			assert_int_equal(fakedgram_sent(last())->ttl, ttl[i][1]);
		}
}

static void test_may_fragment(void **state)
{
	struct spec s = lab_spec(4, 1, 4000, 1, 9, 12);

	(void)state;
	lab_send(lab_pkt(&s));
	assert_false(fakedgram_sent(last())->flags & MF_PKT_MAY_FRAGMENT);
	s.df = false;
	lab_send(lab_pkt(&s));
	assert_true(fakedgram_sent(last())->flags & MF_PKT_MAY_FRAGMENT);
	lab_send(lab_udp(6, 1, 4000, 1, 9, 12));
	assert_false(fakedgram_sent(last())->flags & MF_PKT_MAY_FRAGMENT);
}

/* What stands together and belongs together goes out in one call. */
static void test_batches(void **state)
{
	struct mf_pkt *frame[200];
	struct fake_dgram *a, *b;
	uint32_t n = 0;

	(void)state;
	lab_send(lab_udp(4, 1, 1, 1, 9, 1));
	a = last();
	lab_send(lab_udp(4, 1, 2, 1, 9, 1));
	b = last();
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
		assert_int_equal(fakedgram_sent(last())->gso_type, MF_GSO_UDP);
		assert_int_equal(fakedgram_sent(last())->gso_size, 1200);
		assert_int_equal(fakedgram_sent(last())->n, 12007);
		assert_memory_equal(fakedgram_sent(last())->bytes, lab_bytes, 12007);
		assert_true(mf_host_facts(lab.h, v / 2 - 2, &f));
		assert_int_equal(f.packets_up, 11);
	}
}

/* ---- What is let in ------------------------------------------------------------------------------- */

static size_t sent(void)
{
	size_t n = 0;

	for (const struct fake_dgram *x = lab.far.last; x; x = x->next)
		n += x->n_sent;
	return n;
}

/* A change at one place of the L4 header, checksum made right again. */
static enum mf_drop with_length(unsigned v, uint16_t length, size_t n)
{
	struct spec s = lab_spec(v, 1, 4000, 1, 9, n);
	static uint8_t b[2000];
	size_t ip = slow_ip_len(&s), len = slow_build(&s, b);
	size_t before = sent();

	mf_store_be16(b + ip + 4, length);
	if (length >= 8 && length <= len - ip) {
		uint32_t sum;

		mf_store_be16(b + ip + 6, 0);
		sum = slow_sum(b + ip, length, slow_pseudo(b, UDP, length));
		mf_store_be16(b + ip + 6, slow_finish(sum));
	}
	lab_send(lab_finish(lab_raw(b, len)));
	assert_int_equal(lab.drops + lab.consumed, 1);
	assert_int_equal(sent() - before, lab.consumed);
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
		assert_int_equal(fakedgram_sent(last())->n, 0);
		assert_int_equal(with_length(v, 18, 20), MF_DROP_NONE); /* the rest is not UDP's */
		assert_int_equal(fakedgram_sent(last())->n, 10);
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
	assert_int_equal(mf_load_be16(fakedgram_sent(last())->bytes + 46), slow_finish(sum));
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
		assert_int_equal(last()->n_sent, 1);
		assert_int_equal(fakedgram_sent(last())->n, 20000);
		assert_memory_equal(fakedgram_sent(last())->bytes, lab_bytes, 20000);
		assert_true(fakedgram_sent(last())->flags & MF_PKT_MAY_FRAGMENT);
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
	assert_int_equal(sent(), 1);
	assert_int_equal(fakedgram_sent(last())->n, 2000);
}

/* ---- Back ----------------------------------------------------------------------------------------- */

static void test_back(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_endpoint from = lab_server(v, 1, 53);
		size_t ip = v == 4 ? 20 : 40;

		lab_send(lab_udp(v, 1, 4000, 1, 53, 30));
		lab_begin();
		fakedgram_give(last(), &from, lab_bytes, 1400, 0, 0x03); /* CE */
		lab_run();
		assert_memory_equal(lab_got(v, 1, 53, 1, 4000, 1400), lab_bytes, 1400);
		assert_int_equal(mf_ip_tos(lab.out[0]->data), 3);
		assert_int_equal(mf_ip_ttl(lab.out[0]->data), 64);
		assert_int_equal(lab.out[0]->len, ip + 1408);
		lab_begin();
		give(last(), v, 1, 53, 0); /* an empty one is one, too */
		lab_run();
		lab_got(v, 1, 53, 1, 4000, 0);
	}
}

/* More than a turn's share: all of it comes, in order. */
static void test_back_many(void **state)
{
	struct mf_endpoint from = lab_server(4, 1, 9);

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 9, 1));
	lab_begin();
	for (size_t i = 0; i < 1000; i++)
		fakedgram_give(last(), &from, lab_bytes, i, 0, 0);
	mf_host_run(lab.h, lab.now);
	assert_true(lab.n_out < 500 && mf_host_pending(lab.h));
	lab_run();
	assert_int_equal(lab.n_out, 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(lab.out[i]->len, 28 + i);
}

static void give_up(void *ctx, struct mf_pkt *p, enum mf_drop reason)
{
	(void)ctx, (void)p;
	fail_msg("a fragment of ours: %s", mf_drop_name(reason));
}

static void absorb(void *ctx, struct mf_pkt *p)
{
	(void)ctx;
	mf_pkt_free(p);
}

/* Takes what went to the app through reassembly; the n datagrams of these lengths must come out. */
static void reassemble(unsigned v, uint32_t mtu, const size_t *want, size_t n)
{
	struct mf_reass *r = mf_reass_new(lab.pool, 64, UINT64_MAX);
	size_t i, got = 0;

	for (i = 0; i < lab.n_out; i++) {
		struct mf_pkt *p = lab.out[i], *w;

		assert_true(p->len <= mtu);
		assert_int_equal(p->gso_type, MF_GSO_NONE);
		assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
		w = mf_reass_add(r, p, 0, give_up, NULL, absorb);
		if (!w)
			continue;
		assert_true(got < n);
		assert_int_equal(w->len, (v == 4 ? 28 : 48) + want[got]);
		assert_true(mf_ip_l4_csum_ok(w));
		assert_memory_equal(w->data + (v == 4 ? 28 : 48), lab_bytes, want[got]);
		got++;
		mf_pkt_free(w);
	}
	lab.n_out = 0;
	assert_int_equal(got, n);
	assert_int_equal(mf_reass_held(r), 0);
	mf_reass_free(r);
}

/* An outbound that has nothing is asked once and not again. */
static void test_back_edge(void **state)
{
	uint32_t recvs;

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 9, 1));
	assert_int_equal(last()->recvs, 0);
	lab_begin();
	give(last(), 4, 1, 9, 5);
	lab_run();
	recvs = last()->recvs;
	assert_true(recvs <= 2);
	lab_send(lab_udp(4, 1, 4000, 1, 9, 1));
	assert_int_equal(last()->recvs, recvs);
}

/* What no UDP packet could carry. */
static void test_back_too_long(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_endpoint from = lab_server(v, 1, 9);
		size_t most = v == 4 ? 65507 : 65527;

		lab_send(lab_udp(v, 1, 4000, 1, 9, 1));
		lab_begin();
		fakedgram_give(last(), &from, lab_bytes, most + 1, 0, 0);
		fakedgram_give(last(), &from, lab_bytes, most + 1, 1200, 0);
		lab_run();
		assert_int_equal(lab.n_out, 0);
		give(last(), v, 1, 9, most);
		lab_run();
		reassemble(v, 1500, &most, 1);
	}
}

/* Against the model that cuts slowly. */
static void check_super(unsigned v, size_t n, uint16_t gso_size)
{
	struct spec s = lab_spec(v, 1, 1, 1, 1, 0);
	static uint8_t want[65536];
	struct mf_pkt *p = lab.out[0];
	struct mf_gso g;
	uint8_t *seg;
	size_t len;

	assert_int_equal(lab.n_out, 1);
	assert_int_equal(p->gso_type, MF_GSO_UDP);
	assert_int_equal(p->gso_size, gso_size);
	memcpy(s.src, lab_spec(v, 1, 1, 1, 1, 0).dst, 16);
	memcpy(s.dst, lab_spec(v, 1, 1, 1, 1, 0).src, 16);
	s.sport = 443;
	s.dport = 4000;
	s.n = n;
	s.id = 0;
	assert_int_equal(mf_vnet_check(p), MF_DROP_NONE);
	assert_int_equal(mf_gso_begin(&g, p), MF_DROP_NONE);
	for (size_t i = 0; (len = mf_gso_next(&g, &seg)); i++) {
		assert_int_equal(slow_segment(&s, gso_size, i, want), len);
		if (v == 6)
			mf_store_be32(want, 6u << 28); /* the model has a flow label */
		assert_memory_equal(seg, want, len);
	}
	assert_int_equal(g.count, (n + gso_size - 1) / gso_size);
}

static void test_super_packets_back(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_endpoint from = lab_server(v, 1, 443);

		lab_send(lab_udp(v, 1, 4000, 1, 443, 30));
		lab_begin();
		fakedgram_give(last(), &from, lab_bytes, 40 * 1252 + 99, 1252, 0);
		lab_run();
		check_super(v, 40 * 1252 + 99, 1252);
		/* One of one segment is a packet. */
		lab_begin();
		fakedgram_give(last(), &from, lab_bytes, 1252, 1252, 0);
		lab_run();
		assert_int_equal(lab.out[0]->gso_type, MF_GSO_NONE);
		lab_got(v, 1, 443, 1, 4000, 1252);
	}
}

static void test_tun_without_super_packets(void **state)
{
	struct mf_host_config cfg = lab_config();
	struct mf_endpoint from = lab_server(4, 1, 443);

	(void)state;
	cfg.no_uso = true;
	mf_host_configure(lab.h, &cfg);
	lab_send(lab_udp(4, 1, 4000, 1, 443, 30));
	lab_begin();
	fakedgram_give(last(), &from, lab_bytes, 10 * 1200 + 1, 1200, 0);
	lab_run();
	assert_int_equal(lab.n_out, 11);
	for (size_t i = 0; i < 11; i++) {
		assert_int_equal(mf_ip_input(lab.out[i]), MF_DROP_NONE);
		assert_int_equal(lab.out[i]->gso_type, MF_GSO_NONE);
		assert_int_equal(lab.out[i]->len, 28 + (i < 10 ? 1200 : 1));
		assert_true(mf_ip_l4_csum_ok(lab.out[i]));
		assert_memory_equal(lab.out[i]->data + 28, lab_bytes + i * 1200,
				    lab.out[i]->len - 28);
	}
}

static void test_big_answers(void **state)
{
	static const size_t sizes[] = { 1472, 1473, 5000, 65507, 0 };

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		lab_send(lab_udp(v, 1, 4000, 1, 53, 30));
		for (size_t i = 0; i < MF_ARRAY_LEN(sizes); i++) {
			lab_begin();
			give(last(), v, 1, 53, sizes[i]);
			lab_run();
			if (lab.n_out == 1)
				lab_got(v, 1, 53, 1, 4000, sizes[i]);
			else
				reassemble(v, 1500, &sizes[i], 1);
		}
	}
}

/* A super-packet of datagrams that each are too long for the TUN. */
static void test_big_answers_in_super_packets(void **state)
{
	static const size_t want[] = { 3000, 3000, 3000, 500 };

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_endpoint from = lab_server(v, 1, 443);
		static uint8_t b[9500];

		for (int i = 0; i < 4; i++)
			memcpy(b + 3000 * i, lab_bytes, i < 3 ? 3000 : 500);
		lab_send(lab_udp(v, 1, 4000, 1, 443, 30));
		lab_begin();
		fakedgram_give(last(), &from, b, sizeof(b), 3000, 0);
		lab_run();
		reassemble(v, 1500, want, 4);
	}
}

/* A router behind the TUN says what it takes; within reason that is done. */
static void test_path_mtu_to_app(void **state)
{
	static const size_t n = 1400;

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		uint8_t type = v == 4 ? 3 : 2, code = v == 4 ? 4 : 0;
		uint8_t quote[100];

		lab_send(lab_udp(v, 1, 4000, 1, 53, 30));
		lab_begin();
		give(last(), v, 1, 53, n);
		lab_run();
		assert_int_equal(lab.n_out, 1);
		memcpy(quote, lab.out[0]->data, sizeof(quote));
		/* Nobody has such links; it is a forgery or a mistake. */
		lab_send(lab_icmp(v, 9, 1, type, code, v == 4 ? 68 : 100, quote, sizeof(quote)));
		assert_int_equal(lab.consumed, 1);
		lab_begin();
		give(last(), v, 1, 53, n);
		lab_run();
		lab_got(v, 1, 53, 1, 4000, n);
		lab_send(lab_icmp(v, 9, 1, type, code, 1300, quote, sizeof(quote)));
		lab_begin();
		give(last(), v, 1, 53, n);
		lab_run();
		assert_int_equal(lab.n_out, 2);
		reassemble(v, 1300, &n, 1);
		/* It does not grow by what another one says. */
		lab_send(lab_icmp(v, 9, 1, type, code, 1450, quote, sizeof(quote)));
		lab_begin();
		give(last(), v, 1, 53, n);
		lab_run();
		reassemble(v, 1300, &n, 1);
		/* It has to be addressed to whom the packet came from. */
		lab_send(lab_icmp(v, 9, 2, type, code, 1280, quote, sizeof(quote)));
		assert_int_equal(lab.dropped[MF_DROP_ICMP_UNMATCHED], 1);
	}
	assert_int_equal(mf_host_counters(lab.h)->icmp_from_app, 6);
}

/* An app that has closed its port says so for each late answer: the mapping stays (RFC 4787 REQ-12). */
static void test_port_closed_by_app(void **state)
{
	uint8_t quote[100];

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 53, 30));
	lab_begin();
	give(last(), 4, 1, 53, 100);
	lab_run();
	memcpy(quote, lab.out[0]->data, sizeof(quote));
	lab_send(lab_icmp(4, 1, 1, 3, 3, 0, quote, sizeof(quote)));
	assert_int_equal(lab.consumed, 1);
	assert_int_equal(mf_host_counters(lab.h)->icmp_from_app, 1);
	assert_int_equal(lab.far.n_open, 1);
}

/* The pool is nearly empty: what waits keeps waiting and comes when there is room again. */
static void test_starved(void **state)
{
	static struct mf_pkt *hoard[2000];
	size_t n = 0;

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 1, 53, 30));
	while (mf_pkt_pool_free_small(lab.pool) > 100)
		hoard[n++] = mf_pkt_small(lab.pool);
	lab_begin();
	give(last(), 4, 1, 53, 100);
	lab_run();
	assert_int_equal(lab.n_out, 0);
	while (n)
		mf_pkt_free(hoard[--n]);
	lab_wait(MF_SEC);
	lab_got(4, 1, 53, 1, 4000, 100);
}

/* ---- Time ----------------------------------------------------------------------------------------- */

static void check_lifetime(uint16_t port, mf_nsec want)
{
	struct fake_dgram *x;

	lab_send(lab_udp(4, 1, 4000, 1, port, 30));
	x = last();
	lab_wait(want - MF_SEC);
	assert_true(live(x));
	lab_send(lab_udp(4, 1, 4000, 1, port, 30)); /* the app keeps it */
	lab_wait(want - MF_SEC);
	assert_true(live(x));
	give(x, 4, 1, port, 10); /* so does the far side (REQ-6) */
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
		x = last();
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
	x = last();
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
	x = last();
	fakedgram_fail(x);
	lab_begin();
	lab_run();
	assert_false(live(x));
	lab_send(lab_udp(4, 1, 4000, 1, 9, 30));
	assert_ptr_not_equal(last(), x);
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

/* ---- Errors --------------------------------------------------------------------------------------- */

static void test_errors_to_app(void **state)
{
	static const struct {
		uint8_t type4, code4, type6, code6;
		uint32_t mtu;
	} kinds[] = { { 3, 3, 1, 4, 0 },   { 3, 1, 1, 3, 0 },  { 3, 0, 1, 0, 0 },
		      { 3, 13, 1, 1, 0 },  { 11, 0, 3, 0, 0 }, { 3, 4, 2, 0, 1400 },
		      { 3, 4, 2, 0, 1281 } };

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2)
		for (size_t i = 0; i < MF_ARRAY_LEN(kinds); i++) {
			struct mf_endpoint router = lab_server(v, 200, 0);
			struct mf_dgram_error e = {
				.remote = lab_server(v, 3, 33435),
				.offender = router.addr,
				.type = v == 4 ? kinds[i].type4 : kinds[i].type6,
				.code = v == 4 ? kinds[i].code4 : kinds[i].code6,
				.mtu = kinds[i].mtu,
			};
			struct mf_pkt q;

			lab_send(lab_udp(v, 1, 4000, 3, 33435, 12));
			lab_begin();
			fakedgram_error(last(), &e);
			lab_run();
			q = lab_got_error(v, &router.addr, e.type, e.code, e.mtu);
			lab_quotes_udp(&q, v, 1, 4000, 3, 33435);
			lab.now += MF_SEC;
		}
	assert_int_equal(mf_host_counters(lab.h)->icmp_to_app, 14);
}

/* Of our own, or of the machine that the app runs on: the kernel would not believe that such a packet comes
 * from outside. It comes from whom the app spoke to. */
static void test_errors_of_our_own(void **state)
{
	struct mf_host_config cfg = lab_config();
	struct mf_endpoint us = lab_server(4, 77, 0), far = lab_server(4, 3, 9);
	struct mf_dgram_error e = { .remote = far, .type = 3, .code = 1 };

	(void)state;
	cfg.tunnel4 = us.addr;
	mf_host_configure(lab.h, &cfg);
	lab_send(lab_udp(4, 1, 4000, 3, 9, 12));
	for (int i = 0; i < 2; i++) {
		lab_begin();
		fakedgram_error(last(), &e);
		lab_run();
		lab_got_error(4, &far.addr, 3, 1, 0);
		e.offender = us.addr;
	}
	/* Nothing that is no error, nothing of the other family. */
	e.type = 5;
	fakedgram_error(last(), &e);
	e.type = 3;
	e.remote = lab_server(6, 3, 9);
	fakedgram_error(last(), &e);
	lab_begin();
	lab_run();
	assert_int_equal(lab.n_out, 0);
}

static void test_error_rate(void **state)
{
	struct mf_dgram_error e = { .remote = lab_server(4, 3, 9), .type = 3, .code = 3 };

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 3, 9, 12));
	lab_begin();
	for (int i = 0; i < 60; i++) /* more than a turn passes on */
		fakedgram_error(last(), &e);
	lab_run();
	assert_int_equal(lab.n_out, 50);
	for (int i = 0; i < 5; i++)
		fakedgram_error(last(), &e);
	lab_wait(3 * MF_MSEC);
	assert_int_equal(lab.n_out, 3);
}

static void test_drops(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_addr far = lab_server(v, 3, 9).addr;
		struct mf_pkt q;

		lab.far.drop = MF_DROP_OUTBOUND_BUSY;
		lab_send(lab_udp(v, 1, 4000, 3, 9, 12));
		assert_int_equal(lab.dropped[MF_DROP_OUTBOUND_BUSY], 1);
		assert_int_equal(lab.consumed + lab.n_out, 0);
		/* Nobody says how big it might have been. */
		lab.far.drop = MF_DROP_TOO_BIG;
		lab_send(lab_udp(v, 1, 4000, 3, 9, 1450));
		assert_int_equal(lab.dropped[MF_DROP_TOO_BIG], 1);
		q = lab_got_error(v, &far, v == 4 ? 3 : 2, v == 4 ? 4 : 0, v == 4 ? 576 : 1280);
		lab_quotes_udp(&q, v, 1, 4000, 3, 9);
		/* The outbound says it. */
		lab.far.too_big_told = true;
		lab_send(lab_udp(v, 1, 4000, 3, 9, 1450));
		lab_got_error(v, &far, v == 4 ? 3 : 2, v == 4 ? 4 : 0, 1400);
		lab.far.too_big_told = false;
		lab.far.drop = MF_DROP_NONE;
	}
}

static void test_no_outbound(void **state)
{
	static const struct {
		enum mf_stream_error why;
		uint8_t code4, code6;
	} kinds[] = {
		{ MF_STREAM_E_NO_DEVICE, 0, 0 },   { MF_STREAM_E_NET_UNREACHABLE, 0, 0 },
		{ MF_STREAM_E_PROHIBITED, 13, 1 }, { MF_STREAM_E_UNSUPPORTED, 13, 1 },
		{ MF_STREAM_E_REFUSED, 3, 4 },     { MF_STREAM_E_HOST_UNREACHABLE, 1, 3 },
		{ MF_STREAM_E_OTHER, 1, 3 },
	};

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_addr far = lab_server(v, 3, 9).addr;
		struct mf_pkt q;

		for (size_t i = 0; i < MF_ARRAY_LEN(kinds); i++) {
			uint8_t code = v == 4 ? kinds[i].code4 : kinds[i].code6;

			lab.far.refuse = kinds[i].why;
			lab_send(lab_udp(v, 1, 4000, 3, 9, 12));
			assert_int_equal(lab.dropped[MF_DROP_OUTBOUND_DOWN], 1);
			q = lab_got_error(v, &far, v == 4 ? 3 : 1, code, 0);
			lab_quotes_udp(&q, v, 1, 4000, 3, 9);
			assert_int_equal(mf_host_counters(lab.h)->sessions, 0);
		}
		/* It may work the next time. */
		lab.far.refuse = MF_STREAM_E_NO_RESOURCES;
		lab_send(lab_udp(v, 1, 4000, 3, 9, 12));
		assert_int_equal(lab.dropped[MF_DROP_OUTBOUND_DOWN], 1);
		assert_int_equal(lab.n_out, 0);
		lab.hop5 = NULL;
		lab_send(lab_udp(v, 1, 4000, 3, 9, 12));
		lab_got_error(v, &far, v == 4 ? 3 : 1, 0, 0);
		lab.hop5 = &lab.far.out;
	}
	assert_int_equal(lab.far.n_opened, 0);
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
	/* Another interface's business while nothing has changed. */
	lab_send(by(lab_udp(4, 1, 4000, 2, 9, 1), OTHER_HOP));
	assert_int_equal(lab.dropped[MF_DROP_NO_SESSION], 1);
	lab.route = OTHER_HOP;
	mf_host_routes_changed(lab.h, false);
	assert_int_equal(mf_host_strays(lab.h), 1);
	p = by(lab_udp(4, 1, 4000, 1, 9, 1), OTHER_HOP);
	assert_true(mf_host_has(lab.h, p));
	lab_send(p);
	assert_int_equal(sent(), 2);
	p = by(lab_udp(4, 1, 4000, 1, 10, 1), OTHER_HOP);
	assert_false(mf_host_has(lab.h, p));
	lab_send(p);
	assert_int_equal(lab.dropped[MF_DROP_NO_SESSION], 1);
	mf_host_routes_changed(lab.h, true);
	assert_int_equal(lab.far.n_open, 0);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, lab_up, lab_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_full_cone),
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
		test(test_back),
		test(test_back_many),
		test(test_back_edge),
		test(test_back_too_long),
		test(test_super_packets_back),
		test(test_tun_without_super_packets),
		test(test_big_answers),
		test(test_big_answers_in_super_packets),
		test(test_path_mtu_to_app),
		test(test_port_closed_by_app),
		test(test_starved),
		test(test_lifetimes),
		test(test_lifetime_of_a_mixed_mapping),
		test(test_new_timeouts_hold_at_once),
		test(test_failed),
		test(test_share_of_a_source),
		test(test_table_full),
		test(test_errors_to_app),
		test(test_errors_of_our_own),
		test(test_error_rate),
		test(test_drops),
		test(test_no_outbound),
		test(test_routes_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
