/* SPDX-License-Identifier: Apache-2.0
 *
 * A group of servers: who is asked first, who is asked, too, what is passed on, and how failing
 * servers are left alone and come back.
 */
#include "resolver/upstream.h"

#include "asklab.h"

enum { MAX = 64 };

#define BUDGET   (5 * MF_SEC)
#define RACE_MIN (20 * MF_MSEC)
#define RACE_MAX (500 * MF_MSEC)

static struct mf_upstream *up;
static struct fakedns_server *far; /* by index, as the group's */

/* A question, and what came of it. */
static struct asked {
	struct mf_upstream_ask *q;
	unsigned done;
	struct mf_upstream_result r;
	uint8_t rcode;
	size_t n;
	mf_nsec at;
} asked[4096];

static void on_done(void *ctx, const struct mf_upstream_result *r, mf_nsec now)
{
	struct asked *x = ctx;

	assert_true((r->err == MF_TRANSPORT_OK) == (r->answer.n > 0));
	x->done++;
	x->r = *r;
	x->n = r->answer.n;
	x->rcode = r->answer.n ? r->answer.p[3] & 15 : 0xff;
	x->at = now;
	lab.n_done++;
}

/* n servers, asked over UDP, that answer after 10 ms. */
static void begin(unsigned n)
{
	static const char *const addr[] = { "192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53",
					    "192.0.2.4:53", "192.0.2.5:53", "192.0.2.6:53",
					    "192.0.2.7:53", "192.0.2.8:53" };
	struct mf_dns_server server[MF_UPSTREAM_SERVERS_MAX] = { 0 };
	struct mf_upstream_config cfg = {
		.hop = LAB_HOP,
		.n = (uint8_t)n,
		.server = server,
		.budget = BUDGET,
		.race_min = RACE_MIN,
		.race_max = RACE_MAX,
	};

	lab_begin();
	memset(asked, 0, sizeof(asked));
	far = lab.far.server;
	for (unsigned i = 0; i < n; i++) {
		server[i] = (struct mf_dns_server){ .text = addr[i], .n_addrs = 1 };
		server[i].addr[0] = fakedns_add(&lab.far, addr[i])->addr;
		far[i].delay = 10 * MF_MSEC;
	}
	up = mf_upstream_new(&lab.env, &cfg, MAX);
	assert_non_null(up);
}

static void end(void)
{
	mf_upstream_free(up);
	lab_end();
}

static mf_nsec settle(void)
{
	mf_nsec next;

	for (int i = 0;; i++) {
		assert_true(i < 1000);
		lab.woken = false;
		next = mf_upstream_run(up, lab.now);
		fakedns_run(&lab.far, lab.now);
		if (!lab.woken && next > lab.now)
			return mf_min(next, fakedns_next(&lab.far));
	}
}

static void advance(mf_nsec by)
{
	mf_nsec until = lab.now + by, next;

	while ((next = settle()) <= until)
		lab.now = mf_max(next, lab.now);
	lab.now = until;
	settle();
}

static struct asked *ask(unsigned i)
{
	struct mf_dns_name name;
	char text[64];
	int n = snprintf(text, sizeof(text), "name-%u.example.com", i);

	assert_int_equal(mf_dns_name_parse(&name, text, (size_t)n), MF_OK);
	asked[i] = (struct asked){ 0 };
	asked[i].q = mf_upstream_ask(up, &name, MF_DNS_A, false, false, on_done, &asked[i], lab.now);
	memset(&name, 0xff, sizeof(name)); /* it has been copied */
	assert_int_equal(asked[i].done, 0);
	return &asked[i];
}

/* Asks and waits for the answer. */
static struct asked *ask_one(unsigned i)
{
	struct asked *x = ask(i);

	assert_non_null(x->q);
	while (!x->done)
		advance(MF_MSEC);
	return x;
}

/* So many questions, one after the other; each is answered. Returns how many `server` has
 * answered first. */
static unsigned answered_by(unsigned server, unsigned n)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < n; i++) {
		struct asked *x = ask_one(i);

		assert_int_equal(x->r.err, MF_TRANSPORT_OK);
		hits += x->r.server == server;
	}
	return hits;
}

static struct mf_upstream_info info_of(unsigned server)
{
	struct mf_upstream_info info;

	mf_upstream_info(up, server, &info);
	return info;
}

/* ---- The order ------------------------------------------------------------------------------- */

static void first_is_preferred(void **state)
{
	struct asked *x;

	begin(3);
	(void)state;
	x = ask_one(0);
	assert_int_equal(x->r.server, 0);
	assert_in_range(x->r.latency, 10 * MF_MSEC, 11 * MF_MSEC);
	assert_int_equal(far[0].n_udp, 1);
	assert_int_equal(far[1].n_udp + far[2].n_udp, 0);
	assert_in_range(info_of(0).latency, 10 * MF_MSEC, 11 * MF_MSEC);
	assert_int_equal(info_of(1).latency, 0);
	assert_int_equal(mf_upstream_count(up), 3);
	end();
}

/* Whoever is fastest is found, and the others are asked now and then. */
static void fastest_is_found(void **state)
{
	begin(3);
	(void)state;
	far[0].delay = 30 * MF_MSEC;
	far[2].delay = 5 * MF_MSEC;
	answered_by(2, 20);
	assert_int_equal(answered_by(2, 1000), 1000);
	/* 1 in 32 measures another: 31 expected, standard deviation 5.5, both in turn. */
	assert_in_range(far[0].n_udp + far[1].n_udp, 5, 90);
	assert_in_range(far[0].n_udp, far[1].n_udp / 4, far[1].n_udp * 4 + 20);
	/* It becomes slow: another takes over. */
	far[2].delay = 200 * MF_MSEC;
	answered_by(1, 20);
	assert_true(answered_by(1, 200) > 190);
	/* And fast again: that is found out by measuring. */
	far[2].delay = MF_MSEC;
	answered_by(2, 2000);
	assert_true(answered_by(2, 200) > 150);
	end();
}

/* Figures by Jacobson and Karels: the first counts whole, later ones an eighth. */
static void latency_is_smoothed(void **state)
{
	double usual = 0;

	begin(1);
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		far[0].delay = mf_prng_below(&lab.prng, 100 * MF_MSEC);
		mf_nsec took = ask_one(0)->r.latency;

		usual = i ? usual + ((double)took - usual) / 8 : (double)took;
		assert_true(usual * 0.999 < (double)info_of(0).latency + 100);
		assert_true(usual * 1.001 > (double)info_of(0).latency - 100);
	}
	end();
}

/* A question to two servers, the first of which is silent; 1 in 32 is asked of the second at
 * once, to measure it, and is none of these. */
static struct asked *ask_unmeasured(mf_nsec *start)
{
	struct asked *x;

	do {
		*start = lab.now;
		x = ask_one(0);
	} while (x->at - *start < RACE_MIN + far[1].delay);
	return x;
}

/* ---- Races ----------------------------------------------------------------------------------- */

static void silence_starts_a_race(void **state)
{
	struct asked *x;
	mf_nsec start;

	begin(2);
	(void)state;
	/* Nothing is known: as late as it may be. */
	start = lab.now;
	far[0].twist = FAKEDNS_SILENT;
	x = ask_one(0);
	assert_int_equal(x->r.server, 1);
	assert_in_range(x->at - start, RACE_MAX + 10 * MF_MSEC, RACE_MAX + 13 * MF_MSEC);

	far[0].twist = FAKEDNS_RIGHT;
	far[0].delay = 9 * MF_MSEC;
	answered_by(0, 50);
	assert_int_equal(answered_by(0, 50), 50);
	/* Its usual time is 9 ms, twice that is less than the least. */
	far[0].twist = FAKEDNS_SILENT;
	x = ask_unmeasured(&start);
	assert_int_equal(x->r.server, 1);
	assert_in_range(x->at - start, 30 * MF_MSEC, 33 * MF_MSEC);
	end();
}

static void race_after_twice_the_usual(void **state)
{
	struct asked *x;
	mf_nsec start;

	begin(2);
	(void)state;
	far[0].delay = 40 * MF_MSEC;
	far[1].delay = 60 * MF_MSEC;
	answered_by(0, 100);
	far[0].twist = FAKEDNS_SILENT;
	x = ask_unmeasured(&start);
	assert_int_equal(x->r.server, 1);
	assert_in_range(x->at - start, 138 * MF_MSEC, 146 * MF_MSEC);
	end();
}

/* All are asked in turn, and the one that speaks wins. */
static void last_one_wins(void **state)
{
	begin(8);
	(void)state;
	for (unsigned i = 0; i < 7; i++)
		far[i].twist = FAKEDNS_SILENT;
	assert_int_equal(ask_one(0)->r.server, 7);
	end();
}

static void budget_is_for_all(void **state)
{
	struct asked *x;
	mf_nsec start;

	begin(4);
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		far[i].twist = FAKEDNS_SILENT;
	start = lab.now;
	x = ask_one(0);
	assert_int_equal(x->r.err, MF_TRANSPORT_TIMEOUT);
	assert_in_range(x->at - start, BUDGET, BUDGET + 2 * MF_MSEC);
	advance(MF_SEC);
	assert_int_equal(x->done, 1);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(info_of(i).failed, 1);
		assert_int_equal(info_of(i).last_error, MF_TRANSPORT_TIMEOUT);
	}
	end();
}

/* ---- Bad answers ----------------------------------------------------------------------------- */

static void bad_answers_move_on(void **state)
{
	static const uint8_t bad[] = { MF_DNS_FORMERR, MF_DNS_SERVFAIL, MF_DNS_NOTIMP,
				       MF_DNS_REFUSED };
	struct asked *x;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		begin(2);
		far[0].rcode = bad[i];
		x = ask_one(0);
		assert_int_equal(x->r.server, 1);
		assert_int_equal(x->rcode, MF_DNS_NOERROR);
		assert_int_equal(info_of(0).failed, 0);
		end();
	}
	begin(2);
	far[0].rcode = MF_DNS_NXDOMAIN; /* is a good answer */
	x = ask_one(0);
	assert_int_equal(x->r.server, 0);
	assert_int_equal(x->rcode, MF_DNS_NXDOMAIN);
	end();
}

/* Nobody does better: the last bad one, even if an error came after it. */
static void bad_answer_is_passed_on(void **state)
{
	struct asked *x;

	(void)state;
	begin(3);
	far[0].rcode = MF_DNS_SERVFAIL;
	far[1].rcode = MF_DNS_REFUSED;
	far[2].twist = FAKEDNS_ICMP;
	x = ask_one(0);
	assert_int_equal(x->r.err, MF_TRANSPORT_OK);
	assert_int_equal(x->rcode, MF_DNS_REFUSED);
	assert_int_equal(x->r.server, 1);
	end();

	begin(2);
	far[0].rcode = MF_DNS_SERVFAIL;
	far[1].twist = FAKEDNS_SILENT;
	x = ask_one(0);
	assert_int_equal(x->rcode, MF_DNS_SERVFAIL);
	assert_int_equal(x->r.server, 0);
	end();
}

/* SERVFAIL with more than is kept. */
static size_t long_servfail(struct fakedns_server *s, struct mf_span query, bool tcp, uint8_t *out)
{
	(void)s, (void)tcp;
	return fakedns_reply(query, MF_DNS_SERVFAIL, 60, 1, out);
}

static void long_bad_answer_is_cut(void **state)
{
	struct asked *x;

	begin(1);
	(void)state;
	far[0].answer = long_servfail;
	x = ask_one(0);
	assert_int_equal(x->rcode, MF_DNS_SERVFAIL);
	assert_int_equal(x->n, MF_DNS_HEADER + sizeof("\6name-0\7example\3com") + 4);
	end();
}

static void errors_move_on(void **state)
{
	struct asked *x;

	begin(2);
	(void)state;
	far[0].twist = FAKEDNS_ICMP;
	x = ask_one(0);
	assert_int_equal(x->r.server, 1);
	assert_true(x->at <= lab.now);
	assert_int_equal(info_of(0).last_error, MF_TRANSPORT_UNREACHABLE);
	assert_true(info_of(0).healthy);
	lab.down = true;
	mf_upstream_reset(up, lab.now); /* sockets that are open would still carry questions */
	x = ask_one(1);
	assert_int_equal(x->r.err, MF_TRANSPORT_UNREACHABLE);
	end();
}

/* Asks until server 0, which is silent, is left alone. */
static void until_unwell(void)
{
	for (unsigned i = 0; info_of(0).healthy; i++) {
		assert_true(i < 4000);
		assert_int_equal(ask_one(0)->r.err, MF_TRANSPORT_OK);
	}
}

/* ---- Failing servers ------------------------------------------------------------------------- */

static void failing_server_is_left_alone(void **state)
{
	unsigned before;

	begin(2);
	(void)state;
	far[1].delay = 15 * MF_MSEC;
	answered_by(0, 10);
	far[0].twist = FAKEDNS_SILENT;
	until_unwell();
	before = far[0].n_udp;
	/* For half a second at least. */
	for (unsigned i = 0; i < 10; i++)
		ask_one(i);
	assert_in_range(far[0].n_udp, before, before + 1);
	/* Then a question tells that it is well, and nobody has waited for it. */
	far[0].twist = FAKEDNS_RIGHT;
	advance(2 * MF_SEC);
	ask_one(0);
	advance(MF_SEC);
	assert_true(info_of(0).healthy);
	answered_by(0, 50);
	assert_true(answered_by(0, 50) > 45);
	end();
}

/* It is tried less and less often, but once a minute or so. */
static void back_off_grows(void **state)
{
	unsigned in_ten_minutes, before;

	begin(2);
	(void)state;
	far[0].twist = FAKEDNS_SILENT;
	for (unsigned i = 0; i < 3000; i++) {
		assert_int_equal(ask_one(0)->r.err, MF_TRANSPORT_OK);
		advance(80 * MF_MSEC);
	}
	assert_false(info_of(0).healthy);
	before = (unsigned)info_of(0).asked;
	for (mf_nsec end_at = lab.now + 600 * MF_SEC; lab.now < end_at; advance(90 * MF_MSEC))
		assert_int_equal(ask_one(0)->r.server, 1);
	in_ten_minutes = (unsigned)info_of(0).asked - before;
	assert_in_range(in_ten_minutes, 7, 15);
	end();
}

/* Questions do not wait for a server that is being tried. */
static void probing_costs_nobody_time(void **state)
{
	begin(2);
	(void)state;
	far[0].twist = FAKEDNS_SILENT;
	until_unwell();
	for (unsigned i = 0; i < 500; i++) {
		mf_nsec start = lab.now;

		assert_in_range(ask_one(0)->at - start, 10 * MF_MSEC, 12 * MF_MSEC);
		advance(50 * MF_MSEC);
	}
	assert_true(info_of(0).asked > 5);
	end();
}

/* None is well: they are asked all the same. */
static void all_failing_are_asked(void **state)
{
	begin(2);
	(void)state;
	far[0].twist = far[1].twist = FAKEDNS_ICMP;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(ask_one(i)->r.err, MF_TRANSPORT_UNREACHABLE);
	assert_int_equal(far[0].n_udp + far[1].n_udp, 40);
	far[1].twist = FAKEDNS_RIGHT;
	assert_int_equal(ask_one(0)->r.err, MF_TRANSPORT_OK);
	end();
}

/* Quick to say SERVFAIL where others know better is not being fast. */
static void bad_server_is_left_alone(void **state)
{
	begin(2);
	(void)state;
	far[0].rcode = MF_DNS_SERVFAIL;
	far[0].delay = MF_MSEC;
	answered_by(1, 5);
	assert_false(info_of(0).healthy);
	/* Both say it: nobody is to blame. */
	end();
	begin(2);
	far[0].rcode = far[1].rcode = MF_DNS_SERVFAIL;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(ask_one(i)->rcode, MF_DNS_SERVFAIL);
	assert_true(info_of(0).healthy && info_of(1).healthy);
	end();
}

/* ---- Bounds, names, resets ------------------------------------------------------------------- */

static void no_more_than_max(void **state)
{
	begin(2);
	(void)state;
	for (unsigned i = 0; i < MAX; i++)
		assert_non_null(ask(i)->q);
	assert_null(ask(MAX)->q);
	mf_upstream_cancel(up, asked[3].q);
	assert_non_null(ask(MAX)->q);
	advance(MF_SEC);
	for (unsigned i = 0; i <= MAX; i++)
		assert_int_equal(asked[i].done, i != 3);
	end();
}

/* A server with 256 questions open takes no more; without another one that is the end. */
static void full_transport(void **state)
{
	begin(1);
	(void)state;
	mf_upstream_free(up);
	struct mf_dns_server server = { .text = "one", .n_addrs = 1, .addr = { far[0].addr } };
	struct mf_upstream_config cfg = { .hop = LAB_HOP,
					  .n = 1,
					  .server = &server,
					  .budget = BUDGET,
					  .race_min = RACE_MIN,
					  .race_max = RACE_MAX };

	up = mf_upstream_new(&lab.env, &cfg, 1000);
	assert_non_null(up);
	for (unsigned i = 0; i < 300; i++)
		assert_non_null(ask(i)->q);
	settle();
	for (unsigned i = 256; i < 300; i++)
		assert_int_equal(asked[i].r.err, MF_TRANSPORT_RESOURCES);
	advance(MF_SEC);
	assert_int_equal(lab.n_done, 300);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(asked[i].r.err, MF_TRANSPORT_OK);
	end();
}

/* A server that is known by name waits for its addresses, and so do questions. */
static void server_by_name(void **state)
{
	struct mf_dns_server server = { .text = "dns.example", .name = "dns.example" };
	struct mf_upstream_config cfg = { .hop = LAB_HOP,
					  .n = 1,
					  .server = &server,
					  .budget = BUDGET,
					  .race_min = RACE_MIN,
					  .race_max = RACE_MAX };
	const char *name;
	uint16_t port;

	begin(1);
	(void)state;
	mf_upstream_free(up);
	server.addr[0].port = 5353;
	up = mf_upstream_new(&lab.env, &cfg, MAX);
	assert_true(mf_upstream_needs(up, 0, &name, &port));
	assert_string_equal(name, "dns.example");
	assert_int_equal(port, 5353);
	ask(0);
	ask(1);
	mf_upstream_cancel(up, asked[1].q);
	advance(2 * MF_SEC);
	assert_int_equal(lab.n_done, 0);
	mf_upstream_set_addrs(up, 0, &far[0].addr, 1);
	assert_false(mf_upstream_needs(up, 0, &name, &port));
	advance(20 * MF_MSEC);
	assert_int_equal(asked[0].done, 1);
	assert_int_equal(asked[0].r.err, MF_TRANSPORT_OK);
	assert_int_equal(asked[1].done, 0);
	end();
	/* They never come. */
	begin(1);
	mf_upstream_free(up);
	up = mf_upstream_new(&lab.env, &cfg, MAX);
	mf_nsec start = lab.now;

	assert_int_equal(ask_one(0)->r.err, MF_TRANSPORT_UNREACHABLE);
	assert_in_range(asked[0].at - start, BUDGET, BUDGET + 2 * MF_MSEC);
	end();
}

/* A server asked through another interface than its group's: the lab's outbound checks the hop. */
static void server_with_hop_of_its_own(void **state)
{
	struct mf_dns_server server = { .text = "one", .n_addrs = 1, .hop = LAB_HOP };
	struct mf_upstream_config cfg = {
		.hop = LAB_HOP + 1, .n = 1, .server = &server, .budget = BUDGET
	};

	begin(1);
	(void)state;
	mf_upstream_free(up);
	server.addr[0] = far[0].addr;
	up = mf_upstream_new(&lab.env, &cfg, MAX);
	assert_int_equal(ask_one(0)->r.err, MF_TRANSPORT_OK);
	assert_int_equal(info_of(0).hop, LAB_HOP);
	end();
}

static void reset_forgets(void **state)
{
	begin(2);
	(void)state;
	far[0].twist = FAKEDNS_SILENT;
	until_unwell();
	far[0].twist = FAKEDNS_RIGHT;
	far[1].twist = FAKEDNS_SILENT;
	ask(0);
	settle();
	far[1].twist = FAKEDNS_RIGHT;
	mf_upstream_reset(up, lab.now);
	assert_true(info_of(0).healthy);
	assert_int_equal(info_of(1).latency, 0);
	advance(20 * MF_MSEC);
	assert_int_equal(asked[0].done, 1);
	assert_int_equal(asked[0].r.err, MF_TRANSPORT_OK);
	end();
}

/* Any mixture: every question ends once, in its budget, and nothing is left. */
static void everything_ends(void **state)
{
	unsigned n = 0, cancelled = 0;

	begin(4);
	(void)state;
	for (int round = 0; round < 500; round++) {
		struct fakedns_server *s = &far[mf_prng_below(&lab.prng, 4)];

		s->twist = (enum fakedns_twist)mf_prng_below(&lab.prng, FAKEDNS_TWISTS);
		s->delay = mf_prng_below(&lab.prng, 600 * MF_MSEC);
		s->rcode = (uint8_t)mf_prng_below(&lab.prng, 6);
		s->deaf = !mf_prng_below(&lab.prng, 4);
		s->ends_after = (uint32_t)mf_prng_below(&lab.prng, 3);
		lab.down = !mf_prng_below(&lab.prng, 20);
		for (unsigned k = (unsigned)mf_prng_below(&lab.prng, 8); k; k--)
			n += ask(n)->q != NULL;
		if (n && !mf_prng_below(&lab.prng, 3) && !asked[n - 1].done) {
			mf_upstream_cancel(up, asked[n - 1].q);
			asked[n - 1].done = 1;
			cancelled++;
		}
		if (!mf_prng_below(&lab.prng, 40))
			mf_upstream_reset(up, lab.now);
		advance(mf_prng_below(&lab.prng, MF_SEC));
	}
	advance(BUDGET + 2 * MF_MSEC);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(asked[i].done, 1);
	assert_int_equal(lab.n_done + cancelled, n);
	advance(20 * MF_SEC);
	assert_int_equal(lab.far.dgrams.n_open, 0);
	assert_int_equal(lab.far.streams.n_open, 0);
	/* All memory is free again. */
	for (unsigned i = 0; i < MAX; i++)
		assert_non_null(ask(i)->q);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_is_preferred),
		cmocka_unit_test(fastest_is_found),
		cmocka_unit_test(latency_is_smoothed),
		cmocka_unit_test(silence_starts_a_race),
		cmocka_unit_test(race_after_twice_the_usual),
		cmocka_unit_test(last_one_wins),
		cmocka_unit_test(budget_is_for_all),
		cmocka_unit_test(bad_answers_move_on),
		cmocka_unit_test(bad_answer_is_passed_on),
		cmocka_unit_test(long_bad_answer_is_cut),
		cmocka_unit_test(errors_move_on),
		cmocka_unit_test(failing_server_is_left_alone),
		cmocka_unit_test(back_off_grows),
		cmocka_unit_test(probing_costs_nobody_time),
		cmocka_unit_test(all_failing_are_asked),
		cmocka_unit_test(bad_server_is_left_alone),
		cmocka_unit_test(no_more_than_max),
		cmocka_unit_test(full_transport),
		cmocka_unit_test(server_by_name),
		cmocka_unit_test(server_with_hop_of_its_own),
		cmocka_unit_test(reset_forgets),
		cmocka_unit_test(everything_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
