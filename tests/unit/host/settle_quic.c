/* SPDX-License-Identifier: Apache-2.0
 *
 * QUIC connections that are settled by the name in their first packets (host/settle_quic.c), and what follows
 * these.
 */
#include "dgramlab.h"
#include "proto/sniff/sniff.h"
#include "shown.h"

static const mf_nsec patience = 300 * MF_MSEC;

static struct hello_bytes hello;

static struct mf_host_config settling(void)
{
	struct mf_host_config cfg = lab_config();

	cfg.settle_wait = patience;
	cfg.settle_port[0] = 443;
	cfg.n_settle_ports = 1;
	return cfg;
}

static int up(void **state)
{
	struct mf_host_config cfg = settling();

	(void)state;
	lab_up_with(&cfg, 4000, 64);
	lab.settles = true;
	return 0;
}

static const struct mf_host_counters *counters(void)
{
	return mf_host_counters(lab.h);
}

/* A datagram of an app's port to a server's port 443. */
static struct mf_pkt *datagram(uint16_t port, uint8_t server, const uint8_t *b, size_t n)
{
	struct spec s = lab_spec(4, 1, port, server, 443, n);

	s.payload = b;
	return lab_pkt(&s);
}

/* The first n bytes of the ClientHello in `hello` that lie at `at`. */
static struct mf_pkt *initial(uint16_t port, uint8_t server, uint32_t number, size_t at, size_t n)
{
	uint8_t b[SHOWN_DATAGRAM];

	shown_initial(b, &hello, number, at, n);
	return datagram(port, server, b, sizeof(b));
}

/* All that a client says first. */
static struct mf_pkt *whole(uint16_t port, uint8_t server, const char *name)
{
	shown_hello(&hello, name, 0, false);
	return initial(port, server, 0, 0, hello.n);
}

/* What follows the handshake: a short header. */
static struct mf_pkt *later(uint16_t port, uint8_t server)
{
	static const uint8_t b[100] = { 0x41 };

	return datagram(port, server, b, sizeof(b));
}

static size_t sent_other(void)
{
	size_t n = 0;

	for (const struct fake_dgram *x = lab.other.last; x; x = x->next)
		n += x->n_sent;
	return n;
}

static void test_goes_where_its_name_says(void **state)
{
	struct mf_session_facts f;

	(void)state;
	lab_send(whole(4000, 1, "other.example"));
	assert_int_equal(lab_sent(), 0);
	assert_int_equal(sent_other(), 1);
	assert_int_equal(lab.other.last->sent[0].n, SHOWN_DATAGRAM);
	/* What follows shows nothing, and goes the same way. */
	lab_send(later(4000, 1));
	lab_send(initial(4000, 1, 1, 0, 10));
	assert_int_equal(sent_other(), 3);
	lab_begin();
	lab_give(lab.other.last, 4, 1, 443, 900);
	lab_run();
	lab_got(4, 1, 443, 1, 4000, 900);
	assert_true(mf_host_facts(lab.h, 0, &f));
	assert_int_equal(f.hop, OTHER_HOP);
	assert_int_equal(f.kind, MF_SESSION_QUIC);
	assert_int_equal(f.rule, 0);
	assert_string_equal(f.name, "other.example");
	assert_int_equal(counters()->settled_quic, 1);
	assert_int_equal(counters()->settle_moved, 1);
	/* Whom else it speaks to has a way of its own. */
	lab_send(later(4000, 2));
	lab_send(whole(4000, 3, "some.example"));
	assert_int_equal(lab_sent(), 2);
	assert_int_equal(counters()->settle_moved, 1);
	lab_send(later(4000, 1));
	assert_int_equal(sent_other(), 4);
}

/* Nothing to wait for: another port, an address that is not to be settled, something else than QUIC. */
static void test_not_asked(void **state)
{
	struct spec s = lab_spec(4, 1, 4000, 1, 444, SHOWN_DATAGRAM);
	uint8_t b[SHOWN_DATAGRAM];

	(void)state;
	shown_hello(&hello, "other.example", 0, false);
	shown_initial(b, &hello, 0, 0, hello.n);
	s.payload = b;
	lab_send(lab_pkt(&s));
	assert_int_equal(lab_sent(), 1);
	lab.settles = false;
	lab_send(whole(4001, 1, "other.example"));
	assert_int_equal(lab_sent(), 2);
	lab.settles = true;
	lab_send(later(4002, 1));
	lab_send(datagram(4002, 1, b, SHOWN_DATAGRAM - 1));
	assert_int_equal(lab_sent(), 4);
	assert_int_equal(sent_other(), 0);
}

/* A ClientHello that takes several datagrams, in any order, one of them twice. */
static void test_pieces(void **state)
{
	static const uint8_t orders[][4] = {
		{ 0, 1, 2, 0 }, { 2, 1, 0, 1 }, { 1, 2, 0, 2 }, { 1, 1, 0, 2 }, { 2, 0, 0, 1 }
	};

	(void)state;
	shown_hello(&hello, "other.example", 2400, false);
	for (size_t i = 0; i < MF_ARRAY_LEN(orders); i++) {
		size_t before = sent_other(), n = 0;

		for (unsigned seen = 0; seen != 7; n++) {
			uint8_t k = orders[i][n];
			size_t at = 1000u * k;

			assert_int_equal(sent_other(), before);
			lab_send(initial((uint16_t)(4000 + i), 1, (uint32_t)n, at,
					 mf_min(1000, hello.n - at)));
			seen |= 1u << k;
		}
		/* All of them, as they came. */
		assert_int_equal(sent_other(), before + n);
		assert_int_equal(lab.other.last->calls, 1);
	}
	assert_int_equal(lab_sent(), 0);
	assert_int_equal(counters()->settled_quic, MF_ARRAY_LEN(orders));
}

/* Several datagrams that the app's kernel has left together. */
static void test_super_packet(void **state)
{
	static uint8_t b[3 * SHOWN_DATAGRAM];
	struct spec s = lab_spec(4, 1, 4000, 1, 443, sizeof(b));

	(void)state;
	shown_hello(&hello, "other.example", 2400, false);
	for (unsigned i = 0; i < 3; i++)
		shown_initial(b + (size_t)i * SHOWN_DATAGRAM, &hello, i, 1000u * i,
			      mf_min(1000, hello.n - 1000u * i));
	s.payload = b;
	lab_send(lab_super(&s, SHOWN_DATAGRAM));
	assert_int_equal(sent_other(), 1);
	assert_int_equal(lab.other.last->sent[0].gso_size, SHOWN_DATAGRAM);
	assert_int_equal(lab.other.last->sent[0].n, sizeof(b));
}

/* What comes with the first packets and before the name is complete waits with them (0-RTT). */
static void test_early_data(void **state)
{
	uint8_t early[300] = { 0xd0, 0, 0, 0, 1 };

	(void)state;
	shown_hello(&hello, "other.example", 1200, false);
	lab_send(initial(4000, 1, 0, 0, 800));
	lab_send(datagram(4000, 1, early, sizeof(early)));
	assert_int_equal(lab_sent() + sent_other(), 0);
	lab_send(initial(4000, 1, 1, 800, hello.n - 800));
	assert_int_equal(sent_other(), 3);
	assert_int_equal(lab.other.last->sent[1].n, sizeof(early));
}

static void test_none(void **state)
{
	uint8_t b[SHOWN_DATAGRAM];

	(void)state;
	/* Damaged, without a name, with an encrypted one. */
	shown_hello(&hello, "other.example", 0, false);
	shown_initial(b, &hello, 0, 0, hello.n);
	b[100] ^= 1;
	lab_send(datagram(4000, 1, b, sizeof(b)));
	assert_int_equal(lab_sent(), 1);
	lab_send(whole(4001, 1, NULL));
	assert_int_equal(lab_sent(), 2);
	assert_int_equal(counters()->settle_none, 2);
	shown_hello(&hello, "other.example", 0, true);
	lab_send(initial(4002, 1, 0, 0, hello.n));
	assert_int_equal(lab_sent(), 3);
	assert_int_equal(counters()->settle_hidden, 1);
	/* What was decided stays. */
	lab_send(whole(4000, 1, "other.example"));
	assert_int_equal(lab_sent(), 4);
	assert_int_equal(sent_other(), 0);
}

static void test_in_time(void **state)
{
	(void)state;
	shown_hello(&hello, "other.example", 1200, false);
	lab_send(initial(4000, 1, 0, 0, 800));
	lab_wait(patience / 2);
	lab_send(initial(4001, 1, 0, 0, 800));
	lab_wait(patience / 2 - 1);
	assert_int_equal(lab_sent(), 0);
	assert_true(mf_host_deadline(lab.h) <= lab.now + MF_MSEC);
	lab_wait(MF_MSEC);
	assert_int_equal(lab_sent(), 1);
	assert_int_equal(counters()->settle_timed_out, 1);
	/* Too late. */
	lab_send(initial(4000, 1, 1, 800, hello.n - 800));
	assert_int_equal(lab_sent(), 2);
	lab_wait(patience);
	assert_int_equal(lab_sent(), 3);
	assert_int_equal(counters()->settle_timed_out, 2);
	assert_int_equal(sent_other(), 0);
}

/* No more is kept than is looked at. */
static void test_too_many_datagrams(void **state)
{
	uint8_t early[300] = { 0xd0, 0, 0, 0, 1 };

	(void)state;
	shown_hello(&hello, "other.example", 1200, false);
	lab_send(initial(4000, 1, 0, 0, 800));
	for (unsigned i = 1; i < MF_SNIFF_INITIALS_MAX; i++) {
		assert_int_equal(lab_sent(), 0);
		lab_send(datagram(4000, 1, early, sizeof(early)));
	}
	assert_int_equal(lab_sent(), MF_SNIFF_INITIALS_MAX);
	assert_int_equal(counters()->settle_none, 1);
}

/* When too many wait, the one that has waited longest does no longer. */
static void test_too_many_connections(void **state)
{
	(void)state;
	shown_hello(&hello, "other.example", 1200, false);
	for (uint8_t i = 0; i < 64; i++) {
		lab_send(initial(4000, i, 0, 0, 800));
		lab_wait(MF_MSEC);
	}
	assert_int_equal(lab_sent(), 0);
	lab_send(initial(4000, 200, 0, 0, 800));
	assert_int_equal(lab_sent(), 1);
	assert_int_equal(lab_last()->sent[0].remote.addr.b[3], 0);
	for (uint8_t i = 1; i < 64; i++)
		lab_send(initial(4000, i, 1, 800, hello.n - 800));
	lab_send(initial(4000, 200, 1, 800, hello.n - 800));
	assert_int_equal(sent_other(), 2 * 64);
	assert_int_equal(counters()->settled_quic, 64);
}

/* What was decided is known of so many; the one that was used least lately is forgotten. */
static void test_too_many_ends(void **state)
{
	(void)state;
	shown_hello(&hello, "other.example", 0, false);
	for (unsigned i = 0; i < 2049; i++) {
		struct spec s = lab_spec(4, 1, 4000, (uint8_t)i, 443, SHOWN_DATAGRAM);
		uint8_t b[SHOWN_DATAGRAM];

		s.dst[2] = (uint8_t)(i >> 8);
		s.payload = b;
		shown_initial(b, &hello, 0, 0, hello.n);
		lab_send(lab_pkt(&s));
		if (i == 2047) { /* the first one is in use */
			s = lab_spec(4, 1, 4000, 0, 443, 1);
			s.dst[2] = 0;
			lab_send(lab_pkt(&s));
		}
	}
	assert_int_equal(sent_other(), 2050);
	for (uint8_t i = 0; i < 3; i++) {
		struct spec s = lab_spec(4, 1, 4000, i, 443, 1);

		s.dst[2] = 0;
		lab_send(lab_pkt(&s));
	}
	assert_int_equal(sent_other(), 2052);
	assert_int_equal(lab_sent(), 1);
	assert_int_equal(lab_last()->sent[0].remote.addr.b[3], 1);
}

static void test_blocked(void **state)
{
	static const struct {
		const char *name;
		enum mf_drop reason;
	} blocked[] = { { "ads.example", MF_DROP_NAME_DROP }, { "bad.example", MF_DROP_NAME_REJECT } };

	(void)state;
	for (uint8_t i = 0; i < 2; i++) {
		shown_hello(&hello, blocked[i].name, 1200, false);
		lab_send(initial(4000, i, 0, 0, 800));
		lab_send(initial(4000, i, 1, 800, hello.n - 800));
		assert_int_equal(lab.dropped[blocked[i].reason], 2);
		lab_send(later(4000, i));
		assert_int_equal(lab.dropped[blocked[i].reason], 1);
		assert_int_equal(lab.n_out, 0);
	}
	assert_int_equal(lab.far.n_opened + lab.other.n_opened, 0);
	assert_int_equal(counters()->settle_blocked, 2);
	lab_send(later(4000, 7)); /* nobody else is */
	assert_int_equal(lab_sent(), 1);
	/* With other rules it may go. */
	mf_host_routes_changed(lab.h, false);
	lab_send(whole(4000, 0, "other.example"));
	assert_int_equal(sent_other(), 1);
}

/* The ends have been silent for so long that they may speak of something else. */
static void test_anew(void **state)
{
	struct mf_host_config cfg = settling();

	(void)state;
	lab_send(whole(4000, 1, "other.example"));
	lab_wait(cfg.udp_quic - MF_SEC);
	lab_send(whole(4000, 1, "some.example"));
	assert_int_equal(sent_other(), 2);
	lab_wait(cfg.udp_quic + MF_SEC);
	lab_send(whole(4000, 1, "some.example"));
	assert_int_equal(sent_other(), 2);
	assert_int_equal(lab_sent(), 1);
}

static void test_routes_change(void **state)
{
	struct mf_pkt *p;

	(void)state;
	lab_send(whole(4000, 1, "other.example"));
	mf_host_routes_changed(lab.h, false);
	assert_int_equal(mf_host_strays(lab.h), 0);
	/* Its address leads elsewhere now: what is carried stays. */
	lab.route = 9;
	mf_host_routes_changed(lab.h, false);
	assert_int_equal(mf_host_strays(lab.h), 1);
	p = later(4000, 1);
	p->next_hop = 9;
	assert_true(mf_host_has(lab.h, p));
	lab_send(p);
	assert_int_equal(sent_other(), 2);
	/* ... until the mapping is closed. */
	lab.route = HOP;
	mf_host_routes_changed(lab.h, false);
	lab.route = 9;
	mf_host_routes_changed(lab.h, true);
	assert_int_equal(lab.other.n_open, 0);
	p = whole(4000, 1, "some.example");
	p->next_hop = 9;
	lab_send(p);
	assert_int_equal(lab.dropped[MF_DROP_OUTBOUND_DOWN], 1);
	assert_int_equal(sent_other(), 2);
}

/* What waits may not take the packets that others need. */
static void test_pool_runs_short(void **state)
{
	struct mf_host_config cfg = settling();
	struct mf_pkt *taken[40];
	unsigned n = 0;

	(void)state;
	lab_up_with(&cfg, 40, 4);
	lab.settles = true;
	shown_hello(&hello, "other.example", 1200, false);
	lab_send(initial(4000, 1, 0, 0, 800));
	assert_int_equal(lab_sent(), 0);
	while (mf_host_spare_small(lab.h))
		taken[n++] = mf_pkt_small(lab.pool);
	lab_send(initial(4000, 1, 1, 0, 800));
	assert_int_equal(lab_sent(), 2);
	while (n)
		mf_pkt_free(taken[--n]);
	(void)lab_down(state);
}

static void test_end_of_all(void **state)
{
	(void)state;
	shown_hello(&hello, "other.example", 1200, false);
	lab_send(initial(4000, 1, 0, 0, 800));
	lab_begin();
	mf_host_close_all(lab.h);
	assert_int_equal(lab.dropped[MF_DROP_SHUTDOWN], 1);
	lab_send(initial(4000, 1, 0, 0, 800)); /* ... with the host */
}

/* The learned route of the first destination is in use, whoever else is spoken to. */
static void test_learned(void **state)
{
	struct mf_addr first = lab_server(4, 1, 9).addr;

	(void)state;
	lab.learned = true;
	lab_send(lab_udp(4, 1, 4000, 1, 9, 10));
	lab_send(lab_udp(4, 1, 4000, 2, 9, 10));
	assert_int_equal(lab.held, 1);
	assert_true(mf_addr_equal(&lab.held_addr, &first));
	mf_host_close_all(lab.h);
	assert_int_equal(lab.held, 0);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, up, lab_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_goes_where_its_name_says),
		test(test_not_asked),
		test(test_pieces),
		test(test_super_packet),
		test(test_early_data),
		test(test_none),
		test(test_in_time),
		test(test_too_many_datagrams),
		test(test_too_many_connections),
		test(test_too_many_ends),
		test(test_blocked),
		test(test_anew),
		test(test_routes_change),
		cmocka_unit_test(test_pool_runs_short),
		test(test_end_of_all),
		test(test_learned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
