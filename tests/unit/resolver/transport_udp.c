/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS over UDP: what is taken for an answer and what is not, how silence, truncation and errors
 * end, and that ports and ids are hard to guess.
 */
#include "asklab.h"

#include "base/endian.h"

#define SERVER "192.0.2.53:53"

static struct fakedns_server *begin(bool mix_case)
{
	lab_begin();
	lab.env.mix_case = mix_case;
	lab_open(MF_DNS_OVER_UDP, SERVER, NULL);
	return &lab.far.server[0];
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void answers(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->delay = 20 * MF_MSEC;
	lab_ask(0, 0);
	lab_advance(19 * MF_MSEC);
	assert_int_equal(lab.n_done, 0);
	lab_advance(2 * MF_MSEC);
	lab_answered(0, 0);
	assert_int_equal(s->n_udp, 1);
	assert_int_equal(s->n_malformed, 0);
	assert_true(s->last.edns && s->last.flags & MF_DNS_RD);
	assert_int_equal(s->last.udp_size, MF_DNS_UDP_MAX);
	assert_int_equal(lab.count.asked, 1);
	assert_int_equal(lab.count.answered, 1);
	lab_close();
}

static void passes_on_flags_and_rcode(void **state)
{
	struct fakedns_server *s = begin(false);
	struct lab_ask *x = &lab.ask[0];

	(void)state;
	s->rcode = MF_DNS_NXDOMAIN;
	assert_int_equal(mf_dns_name_parse(&x->name, "a.example", 9), MF_OK);
	x->ask = (struct mf_ask){ .name = &x->name,
				  .type = MF_DNS_AAAA,
				  .dnssec_ok = true,
				  .cd = true,
				  .deadline = lab.now + MF_SEC,
				  .done = lab_done };
	assert_int_equal(mf_transport_ask(lab.t, &x->ask, 0, lab.now), MF_OK);
	lab_advance(MF_MSEC);
	assert_int_equal(x->done, 1);
	assert_int_equal(x->err, MF_TRANSPORT_OK);
	assert_int_equal(x->rcode, MF_DNS_NXDOMAIN);
	assert_true(s->last.dnssec_ok && s->last.flags & MF_DNS_CD);
	assert_int_equal(s->last.type, MF_DNS_AAAA);
	lab_close();
}

/* Each of these comes first and is no answer; the right one comes after the question was sent
 * again. */
static void wrong_answers_leave_it_open(void **state)
{
	static const struct {
		enum fakedns_twist twist;
		size_t counter;
	} wrong[] = {
		{ FAKEDNS_WRONG_ID, offsetof(struct mf_transport_counters, spoofed) },
		{ FAKEDNS_WRONG_NAME, offsetof(struct mf_transport_counters, spoofed) },
		{ FAKEDNS_WRONG_TYPE, offsetof(struct mf_transport_counters, spoofed) },
		{ FAKEDNS_WRONG_FROM, offsetof(struct mf_transport_counters, spoofed) },
		{ FAKEDNS_WRONG_PORT, offsetof(struct mf_transport_counters, spoofed) },
		{ FAKEDNS_SHORT, offsetof(struct mf_transport_counters, malformed) },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(wrong); i++) {
		struct fakedns_server *s = begin(i & 1);

		s->twist = wrong[i].twist;
		s->twists = 1;
		lab_ask(0, 0);
		lab_advance(900 * MF_MSEC);
		assert_int_equal(lab.n_done, 0);
		assert_int_equal(*(uint64_t *)((char *)&lab.count + wrong[i].counter), 1);
		lab_advance(200 * MF_MSEC);
		lab_answered(0, 0);
		lab_close();
	}
}

static void malformed_answer_is_none(void **state)
{
	struct fakedns_server *s = begin(false);
	uint8_t bytes[1000];

	(void)state;
	s->twist = FAKEDNS_SILENT;
	lab_ask(0, 0);
	lab_settle();
	/* An answer to the letter, but with a byte too many. */
	struct fake_dgram *x = lab.far.dgrams.last;
	const struct fake_sent *sent = fakedgram_sent(x);
	size_t n = fakedns_reply(mf_span(sent->bytes, sent->n), 0, 1, 1, bytes);

	fakedns_inject(&lab.far, x, &s->addr, bytes, n + 1);
	lab_settle();
	assert_int_equal(lab.n_done, 0);
	assert_int_equal(lab.count.malformed, 1);
	fakedns_inject(&lab.far, x, &s->addr, bytes, n);
	lab_settle();
	lab_answered(0, 0);
	lab_close();
}

static void second_answer_is_unexpected(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->twist = FAKEDNS_TWICE;
	s->delay = MF_MSEC;
	lab_ask(0, 0);
	lab_advance(10 * MF_MSEC);
	lab_answered(0, 0);
	assert_int_equal(lab.count.unexpected, 1);
	assert_int_equal(lab.count.spoofed, 0);
	lab_close();
}

/* Several answers in one packet, as UDP_GRO brings them: all of one length but the last. */
static void answers_that_came_together(void **state)
{
	struct fakedns_server *s = begin(false);
	struct fake_dgram *x = NULL;
	uint8_t bytes[3000];
	size_t n = 0, one = 0;

	(void)state;
	s->twist = FAKEDNS_SILENT;
	/* Names with numbers of two digits, until two questions have left from one port. */
	for (unsigned i = 10; !x; i++) {
		assert_true(i < 100);
		lab_ask(i, 0);
		lab_settle();
		for (x = lab.far.dgrams.last; x && x->n_sent < 2; x = x->next)
			;
	}
	for (size_t i = 0; i < 2; i++) {
		one = fakedns_reply(mf_span(x->sent[i].bytes, x->sent[i].n), 0, 1 + (i == 0), 1,
				    bytes + n);
		n += one;
	}
	fakedgram_give(x, &s->addr, bytes, n, (uint16_t)(n - one), 0);
	lab_settle();
	assert_int_equal(lab.n_done, 2);
	assert_int_equal(lab.count.answered, 2);
	lab_close();
}

/* ---- Silence --------------------------------------------------------------------------------- */

static void sends_again_from_another_port(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->twist = FAKEDNS_SILENT;
	lab_ask(0, 0);
	lab_advance(990 * MF_MSEC);
	assert_int_equal(s->n_udp, 1);
	lab_advance(20 * MF_MSEC);
	assert_int_equal(s->n_udp, 2);
	lab_advance(2 * MF_SEC);
	assert_int_equal(s->n_udp, 3);
	for (struct fake_dgram *x = lab.far.dgrams.last; x; x = x->next)
		assert_int_equal(x->n_sent, 1);
	lab_advance(1980 * MF_MSEC);
	assert_int_equal(lab.n_done, 0);
	lab_advance(20 * MF_MSEC);
	lab_failed(0, MF_TRANSPORT_TIMEOUT);
	assert_int_equal(s->n_udp, 3);
	assert_int_equal(lab.count.errors, 1);
	lab_close();
}

/* The answer to the first is as good as that to the second. */
static void late_answer_counts(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->delay = 1500 * MF_MSEC;
	lab_ask(0, 0);
	lab_advance(1510 * MF_MSEC);
	lab_answered(0, 0);
	assert_int_equal(s->n_udp, 2);
	lab_advance(MF_SEC);
	assert_int_equal(lab.count.unexpected, 1); /* the other one */
	assert_int_equal(lab.ask[0].done, 1);
	lab_close();
}

static void patience_is_the_askers(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->twist = FAKEDNS_SILENT;
	s->twists = 1;
	assert_int_equal(lab_try(0, 0, 100 * MF_MSEC), MF_OK);
	lab_advance(102 * MF_MSEC);
	lab_answered(0, 0);
	lab_close();
}

static void taken_back(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->delay = 10 * MF_MSEC;
	lab_ask(0, 0);
	lab_settle();
	mf_transport_cancel(lab.t, &lab.ask[0].ask);
	mf_transport_cancel(lab.t, &lab.ask[0].ask); /* is nothing */
	lab_advance(10 * MF_SEC);
	assert_int_equal(lab.n_done, 0);
	assert_int_equal(s->n_udp, 1);
	lab_close();
}

/* ---- TCP instead ----------------------------------------------------------------------------- */

static void truncated_goes_to_tcp(void **state)
{
	(void)state;
	for (int cut = 0; cut < 2; cut++) {
		struct fakedns_server *s = begin(cut);

		s->twist = cut ? FAKEDNS_CUT : FAKEDNS_TRUNCATED;
		s->delay = 5 * MF_MSEC;
		s->size = 65535;
		lab_ask(0, 0);
		lab_ask(1, 0);
		lab_advance(100 * MF_MSEC);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(lab.ask[i].done, 1);
			assert_int_equal(lab.ask[i].err, MF_TRANSPORT_OK);
			assert_int_equal(lab.ask[i].n, 65535);
		}
		assert_int_equal(s->n_tcp, 2);
		assert_int_equal(s->n_conns, 1);
		assert_int_equal(lab.count.tcp_again, 2);
		lab_close();
	}
}

/* A server that says TC and has no TCP. */
static void truncated_without_tcp(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->twist = FAKEDNS_TRUNCATED;
	s->refuses = MF_STREAM_E_REFUSED;
	lab_ask(0, 0);
	lab_advance(MF_MSEC);
	lab_failed(0, MF_TRANSPORT_UNREACHABLE);
	s->refuses = MF_STREAM_E_NONE;
	s->deaf = true;
	lab_ask(1, 0);
	lab_advance(6 * MF_SEC);
	lab_failed(1, MF_TRANSPORT_TIMEOUT);
	lab_close();
}

/* Taken back where it is now. */
static void taken_back_from_tcp(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->twist = FAKEDNS_TRUNCATED;
	s->deaf = true;
	lab_ask(0, 0);
	lab_settle();
	assert_int_equal(lab.count.tcp_again, 1);
	mf_transport_cancel(lab.t, &lab.ask[0].ask);
	lab_advance(10 * MF_SEC);
	assert_int_equal(lab.n_done, 0);
	lab_close();
}

static void mixes_case(void **state)
{
	struct fakedns_server *s = begin(true);
	unsigned upper = 0, letters = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		lab_ask(i, 0);
		lab_settle();
		lab_answered(i, 0);
	}
	for (struct fake_dgram *x = lab.far.dgrams.last; x; x = x->next) {
		for (size_t i = 0; i < x->n_sent; i++) {
			const uint8_t *b = x->sent[i].bytes + MF_DNS_HEADER;

			for (size_t k = 0; k < 22; k++) {
				letters += (b[k] | 32) >= 'a' && (b[k] | 32) <= 'z';
				upper += b[k] >= 'A' && b[k] <= 'Z';
			}
		}
	}
	assert_true(upper > letters / 3 && upper < letters * 2 / 3);
	assert_int_equal(s->n_tcp, 0);
	lab_close();
}

/* A server that answers in lower case is asked over TCP, where nobody can guess. */
static void lost_case_goes_to_tcp(void **state)
{
	struct fakedns_server *s = begin(true);

	(void)state;
	s->twist = FAKEDNS_LOWER_CASE;
	for (unsigned i = 0; i < 20; i++)
		lab_ask(i, 0);
	lab_advance(10 * MF_MSEC);
	for (unsigned i = 0; i < 20; i++)
		lab_answered(i, 0);
	assert_true(s->n_tcp >= 19);
	assert_int_equal(s->n_conns, 1);
	lab_close();
}

/* Somebody who sends answers with all ids wins nothing: after 16 the question moves to TCP. */
static void guessing_ends_in_tcp(void **state)
{
	struct fakedns_server *s = begin(false);
	uint8_t bytes[1000];
	size_t n;

	(void)state;
	s->twist = FAKEDNS_SILENT;
	lab_ask(0, 0);
	lab_settle();
	struct fake_dgram *x = lab.far.dgrams.last;
	const struct fake_sent *sent = fakedgram_sent(x);
	uint16_t id = mf_load_be16(sent->bytes);

	n = fakedns_reply(mf_span(sent->bytes, sent->n), 0, 1, 66, bytes);
	for (uint16_t k = 1; k <= 20 && x->d; k++) {
		mf_store_be16(bytes, (uint16_t)(id + k));
		fakedns_inject(&lab.far, x, &s->addr, bytes, n);
		lab_settle();
	}
	lab_advance(10 * MF_MSEC);
	assert_int_equal(lab.count.spoofed, 16);
	lab_answered(0, 0);
	assert_int_equal(s->n_tcp, 1);
	lab_close();
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void icmp_ends_it(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->twist = FAKEDNS_ICMP;
	s->delay = MF_MSEC;
	lab_ask(0, 0);
	lab_advance(2 * MF_MSEC);
	lab_failed(0, MF_TRANSPORT_UNREACHABLE);
	lab_close();
}

/* "Too big" and errors about other destinations are not about the question. */
static void other_icmp_does_not(void **state)
{
	struct fakedns_server *s = begin(false);
	struct mf_dgram_error e = { .remote = s->addr, .type = 3, .code = 4, .mtu = 1280 };

	(void)state;
	s->twist = FAKEDNS_SILENT;
	lab_ask(0, 0);
	lab_settle();
	fakedgram_error(lab.far.dgrams.last, &e);
	e.code = 3;
	e.remote.port++;
	fakedgram_error(lab.far.dgrams.last, &e);
	e.type = 5;
	e.remote.port--;
	fakedgram_error(lab.far.dgrams.last, &e);
	lab_settle();
	assert_int_equal(lab.n_done, 0);
	e.type = 3;
	e.code = 1;
	fakedgram_error(lab.far.dgrams.last, &e);
	lab_settle();
	lab_failed(0, MF_TRANSPORT_UNREACHABLE);
	lab_close();
}

/* A proxy that carries no datagrams says so: over TCP, at once, and for a while without trying. A firewall on
 * the way that says the same is an error. */
static void forbidden_goes_to_tcp(void **state)
{
	struct fakedns_server *s = begin(false);
	struct mf_dgram_error e = { .remote = s->addr, .type = 3, .code = 13 };
	uint32_t n_udp;

	(void)state;
	s->twist = FAKEDNS_SILENT;
	lab_ask(0, 0);
	lab_settle();
	fakedgram_error(lab.far.dgrams.last, &e);
	lab_advance(50 * MF_MSEC);
	lab_answered(0, 0);
	assert_int_equal(s->n_tcp, 1);
	n_udp = s->n_udp;
	lab_advance(59 * MF_SEC);
	lab_ask(1, 0);
	lab_advance(50 * MF_MSEC);
	lab_answered(1, 0);
	assert_int_equal(s->n_udp, n_udp);
	lab_advance(MF_SEC);
	lab_ask(2, 0);
	lab_settle();
	assert_int_equal(s->n_udp, n_udp + 1);
	e.offender = s->addr.addr;
	fakedgram_error(lab.far.dgrams.last, &e);
	lab_settle();
	lab_failed(2, MF_TRANSPORT_UNREACHABLE);
	lab_close();
}

static void failing_socket_ends_it(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->twist = FAKEDNS_SILENT;
	lab_ask(0, 0);
	lab_settle();
	fakedgram_fail(lab.far.dgrams.last);
	lab_settle();
	lab_failed(0, MF_TRANSPORT_UNREACHABLE);
	lab_close();
}

static void no_way(void **state)
{
	begin(false);
	(void)state;
	lab.down = true;
	lab_ask(0, 0); /* asserts that it is not told at once */
	lab_settle();
	lab_failed(0, MF_TRANSPORT_UNREACHABLE);
	lab.down = false;
	lab.far.dgrams.refuse = MF_STREAM_E_NO_DEVICE;
	lab_ask(1, 0);
	lab_settle();
	lab_failed(1, MF_TRANSPORT_UNREACHABLE);
	lab.far.dgrams.refuse = MF_STREAM_E_NONE;
	lab.far.dgrams.drop = MF_DROP_OUTBOUND_REFUSED;
	lab_ask(2, 0);
	lab_settle();
	lab_failed(2, MF_TRANSPORT_UNREACHABLE);
	lab_close();
}

/* A full queue and a used up pool are like a loss on the way. */
static void busy_is_no_error(void **state)
{
	struct fakedns_server *s = begin(false);
	struct mf_pkt *taken[512 + 1];
	size_t n = 0;

	(void)state;
	s->twist = FAKEDNS_SILENT; /* what it sees did not arrive */
	lab.far.dgrams.drop = MF_DROP_OUTBOUND_BUSY;
	lab_ask(0, 0);
	lab_settle();
	s->twist = FAKEDNS_RIGHT;
	lab.far.dgrams.drop = MF_DROP_NONE;
	while ((taken[n] = mf_pkt_small(lab.pool)))
		n++;
	lab_ask(1, 0);
	lab_settle();
	assert_int_equal(lab.n_done, 0);
	while (n)
		mf_pkt_free(taken[--n]);
	lab_advance(1100 * MF_MSEC);
	lab_answered(0, 0);
	lab_answered(1, 0);
	lab_close();
}

/* ---- Many ------------------------------------------------------------------------------------ */

static void no_more_than_256(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->delay = 10 * MF_MSEC;
	for (unsigned i = 0; i < 256; i++)
		lab_ask(i, 0);
	assert_int_equal(lab_try(256, 0, 0), MF_E_FULL);
	lab_advance(20 * MF_MSEC);
	for (unsigned i = 0; i < 256; i++)
		lab_answered(i, 0);
	assert_int_equal(lab_try(256, 0, 0), MF_OK);
	lab_advance(20 * MF_MSEC);
	lab_answered(256, 0);
	lab_close();
}

/* Ports live for 32 questions or 10 seconds, ids repeat only by chance, and nothing stays open. */
static void ports_and_ids(void **state)
{
	static uint8_t seen[65536];
	unsigned repeated = 0, most = 0;

	begin(false);
	(void)state;
	memset(seen, 0, sizeof(seen));
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 100; i++)
			lab_ask(i, 0);
		lab_settle();
		for (unsigned i = 0; i < 100; i++)
			lab_answered(i, 0);
	}
	for (struct fake_dgram *x = lab.far.dgrams.last; x; x = x->next) {
		most = (unsigned)mf_max(most, x->n_sent);
		for (size_t i = 0; i < x->n_sent; i++) {
			uint16_t id = mf_load_be16(x->sent[i].bytes);

			repeated += seen[id];
			seen[id] = 1;
		}
	}
	assert_int_equal(most, 32);
	assert_in_range(lab.far.dgrams.n_opened, 10000 / 32, 2 * 10000 / 32);
	/* 10000 of 65536: 723 expected, standard deviation below 27. */
	assert_in_range(repeated, 723 - 270, 723 + 270);
	lab_advance(11 * MF_SEC);
	assert_int_equal(lab.far.dgrams.n_open, 0);
	lab_close();
}

/* All ports are worn out while questions wait at them: they are renewed all the same. */
static void worn_ports_are_renewed(void **state)
{
	struct fakedns_server *s = begin(false);
	unsigned waiting = 0, again = 0;
	bool at_all;

	(void)state;
	s->twist = FAKEDNS_SILENT;
	/* Each of the 16 ports is opened when the first question takes it. */
	while (lab.far.dgrams.n_opened < 16 && waiting < 190)
		lab_ask(waiting++, 0);
	at_all = lab.far.dgrams.n_opened == 16; /* but for 1 in 10000 runs */
	lab_settle();
	s->twist = FAKEDNS_RIGHT;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 200; i < 264; i++)
			lab_ask(i, 0);
		lab_settle();
		for (unsigned i = 200; i < 264; i++)
			lab_answered(i, 0);
	}
	for (struct fake_dgram *x = lab.far.dgrams.last; x; x = x->next)
		assert_true(x->n_sent <= 64);
	/* A port that is given up has those that waited there asked again. */
	for (unsigned i = 0; i < waiting; i++)
		again += lab.ask[i].done;
	assert_in_range(again, at_all, waiting);
	lab_close();
}

static void reset_asks_anew(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->twist = FAKEDNS_SILENT;
	for (unsigned i = 0; i < 10; i++)
		lab_ask(i, 0);
	lab_settle();
	unsigned opened = lab.far.dgrams.n_opened;

	s->twist = FAKEDNS_RIGHT;
	mf_transport_reset(lab.t, lab.now);
	lab_settle();
	assert_true(lab.far.dgrams.n_opened > opened);
	for (unsigned i = 0; i < 10; i++)
		lab_answered(i, 0);
	lab_close();
}

/* From within an answer: the neighbour is taken back, another is asked. */
static void ask_and_cancel(struct mf_ask *a, enum mf_transport_error err, struct mf_span answer,
			   mf_nsec now)
{
	lab_done(a, err, answer, now);
	mf_transport_cancel(lab.t, &lab.ask[a == &lab.ask[0].ask].ask);
	lab_ask(2, 0);
}

static void done_may_ask_and_cancel(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->delay = MF_MSEC;
	for (int failing = 0; failing < 2; failing++) {
		lab.down = failing;
		lab_ask(0, 0)->ask.done = ask_and_cancel;
		lab_ask(1, 0)->ask.done = ask_and_cancel;
		lab_advance(10 * MF_MSEC);
		assert_int_equal(lab.ask[0].done + lab.ask[1].done, 1);
		assert_int_equal(lab.ask[2].done, 1);
	}
	lab_close();
}

static void free_with_open_questions(void **state)
{
	struct fakedns_server *s = begin(false);

	(void)state;
	s->twist = FAKEDNS_TRUNCATED;
	s->deaf = true;
	for (unsigned i = 0; i < 10; i++)
		lab_ask(i, 0);
	lab_settle();
	s->twist = FAKEDNS_SILENT;
	for (unsigned i = 10; i < 20; i++)
		lab_ask(i, 0);
	lab.down = true;
	lab_ask(20, 0);
	lab_close();
	assert_int_equal(lab.n_done, 0);
}

/* Any mixture of behaviours: every question ends once, in time. */
static void everything_ends(void **state)
{
	struct fakedns_server *s = begin(true);
	unsigned asked = 0;

	(void)state;
	for (int round = 0; round < 300; round++) {
		s->twist = (enum fakedns_twist)mf_prng_below(&lab.prng, FAKEDNS_TWISTS);
		s->tcp_twist = mf_prng_below(&lab.prng, 3)
				       ? FAKEDNS_RIGHT
				       : (enum fakedns_twist)mf_prng_below(&lab.prng, FAKEDNS_TWISTS);
		s->delay = mf_prng_below(&lab.prng, 300 * MF_MSEC);
		s->deaf = !mf_prng_below(&lab.prng, 10);
		s->ends_after = (uint32_t)mf_prng_below(&lab.prng, 4);
		s->resets = mf_prng_below(&lab.prng, 2);
		s->piece = mf_prng_below(&lab.prng, 60);
		lab.down = !mf_prng_below(&lab.prng, 20);
		for (unsigned n = (unsigned)mf_prng_below(&lab.prng, 60); n; n--) {
			unsigned i = (unsigned)mf_prng_below(&lab.prng, 200);

			if (lab.ask[i].ask.transport)
				continue;
			assert_int_equal(lab.ask[i].done, lab.ask[i].name.n > 0);
			lab_ask(i, 0);
			asked++;
		}
		if (!mf_prng_below(&lab.prng, 30))
			mf_transport_reset(lab.t, lab.now);
		lab_advance(mf_prng_below(&lab.prng, MF_SEC));
	}
	lab_advance(6 * MF_SEC);
	assert_int_equal(lab.n_done, asked);
	lab_advance(20 * MF_SEC);
	assert_int_equal(lab.far.dgrams.n_open, 0);
	assert_int_equal(lab.far.streams.n_open, 0);
	lab_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(passes_on_flags_and_rcode),
		cmocka_unit_test(wrong_answers_leave_it_open),
		cmocka_unit_test(malformed_answer_is_none),
		cmocka_unit_test(second_answer_is_unexpected),
		cmocka_unit_test(answers_that_came_together),
		cmocka_unit_test(sends_again_from_another_port),
		cmocka_unit_test(late_answer_counts),
		cmocka_unit_test(patience_is_the_askers),
		cmocka_unit_test(taken_back),
		cmocka_unit_test(truncated_goes_to_tcp),
		cmocka_unit_test(truncated_without_tcp),
		cmocka_unit_test(taken_back_from_tcp),
		cmocka_unit_test(mixes_case),
		cmocka_unit_test(lost_case_goes_to_tcp),
		cmocka_unit_test(guessing_ends_in_tcp),
		cmocka_unit_test(icmp_ends_it),
		cmocka_unit_test(other_icmp_does_not),
		cmocka_unit_test(forbidden_goes_to_tcp),
		cmocka_unit_test(failing_socket_ends_it),
		cmocka_unit_test(no_way),
		cmocka_unit_test(busy_is_no_error),
		cmocka_unit_test(no_more_than_256),
		cmocka_unit_test(ports_and_ids),
		cmocka_unit_test(worn_ports_are_renewed),
		cmocka_unit_test(reset_asks_anew),
		cmocka_unit_test(done_may_ask_and_cancel),
		cmocka_unit_test(free_with_open_questions),
		cmocka_unit_test(everything_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
