/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that are kept: counted down, asked for anew in time, served when they have ended and
 * nobody answers; and what is kept of a failure.
 */
#include "reslab.h"

static const struct rec zone[] = {
	{ "www.example", MF_DNS_A, 300, "203.0.113.80" },
	{ "www.vpn.example", MF_DNS_A, 300, "203.0.113.81" },
	{ "short.vpn.example", MF_DNS_A, 5, "203.0.113.82" },
	{ "cname.vpn.example", MF_DNS_CNAME, 20, "www.vpn.example" },
	{ "www.vpn.example", MF_DNS_A, 300, "203.0.113.81" },
	{ 0 },
};
/* The same names, elsewhere. */
static const struct rec moved[] = {
	{ "www.example", MF_DNS_A, 300, "203.0.113.90" },
	{ "www.vpn.example", MF_DNS_A, 300, "203.0.113.91" },
	{ 0 },
};

static uint32_t ttl_of(const struct client *c)
{
	assert_int_equal(mf_load_be16(c->reply + 6), 1);
	return mf_load_be32(c->reply + c->q.question_end + c->q.name.n + 4);
}

static void counted_down(void **state)
{
	struct client *c;

	(void)state;
	begin(zone);
	assert_int_equal(mf_load_be16(ask_and_wait("www.example", MF_DNS_A)->reply + 6), 1);
	advance(100 * MF_SEC);
	c = ask("WWW.example", MF_DNS_A);
	got_addr(c, "203.0.113.80");
	assert_int_equal(c->f.ttl, 200);
	assert_int_equal(COUNT(cached), 1);
	assert_int_equal(COUNT(forwarded), 1);
	/* It has ended: asked anew. */
	lab.zone = moved;
	advance(200 * MF_SEC);
	got_addr(ask_and_wait("www.example", MF_DNS_A), "203.0.113.90");
	assert_int_equal(COUNT(stale), 0);
	end();
}

static void negative(void **state)
{
	(void)state;
	begin(zone);
	got_rcode(ask_and_wait("no.example", MF_DNS_A), MF_DNS_NXDOMAIN, 0);
	got_rcode(ask_and_wait("www.example", MF_DNS_MX), MF_DNS_NOERROR, 0);
	advance(30 * MF_SEC);
	got_rcode(ask("no.example", MF_DNS_A), MF_DNS_NXDOMAIN, 0);
	got_rcode(ask("www.example", MF_DNS_MX), MF_DNS_NOERROR, 0);
	assert_int_equal(COUNT(forwarded), 2);
	advance(31 * MF_SEC);
	assert_int_equal(ask("no.example", MF_DNS_A)->outcome, MF_DNS_KEPT_OPEN);
	end();
}

/* What is asked for is asked again before it ends, and nobody waits for that. */
static void prefetch(void **state)
{
	(void)state;
	begin(zone);
	ask_and_wait("www.example", MF_DNS_A);
	advance(100 * MF_SEC);
	ask("www.example", MF_DNS_A);
	advance(175 * MF_SEC);
	lab.zone = moved;
	got_addr(ask("www.example", MF_DNS_A), "203.0.113.80");
	assert_int_equal(COUNT(prefetched), 1);
	got_addr(ask("www.example", MF_DNS_A), "203.0.113.80");
	assert_int_equal(COUNT(prefetched), 1);
	assert_int_equal(COUNT(open), 1);
	advance(20 * MF_MSEC);
	assert_int_equal(asked_all(), 2);
	got_addr(ask("www.example", MF_DNS_A), "203.0.113.90");
	assert_int_equal(COUNT(forwarded), 1);
	/* One that fails takes nothing away. */
	advance(100 * MF_SEC);
	ask("www.example", MF_DNS_A);
	far_twist(FAKEDNS_SILENT);
	advance(180 * MF_SEC);
	got_addr(ask("www.example", MF_DNS_A), "203.0.113.90");
	assert_int_equal(COUNT(prefetched), 2);
	advance(6 * MF_SEC);
	assert_int_equal(COUNT(failed), 1);
	got_addr(ask("www.example", MF_DNS_A), "203.0.113.90");
	assert_int_equal(COUNT(stale), 0);
	end();
}

/* Nobody answers, and there is an answer that has ended: who waits gets it after 1.8 s, the next ones
 * at once; after half a minute somebody tries again. */
static void stale(void **state)
{
	struct client *a, *b;

	(void)state;
	begin(zone);
	ask_and_wait("www.vpn.example", MF_DNS_A);
	advance(1000 * MF_SEC);
	assert_int_equal(learned_text("203.0.113.81"), 0);
	far_twist(FAKEDNS_SILENT);
	a = ask_how("www.vpn.example", MF_DNS_A, &(struct how){ .udp_size = 1232 });
	assert_int_equal(a->outcome, MF_DNS_KEPT_OPEN);
	advance(100 * MF_MSEC);
	/* It may come yet: the second one waits, too. */
	b = ask("www.vpn.example", MF_DNS_A);
	assert_int_equal(b->outcome, MF_DNS_KEPT_OPEN);
	advance(1699 * MF_MSEC);
	assert_int_equal(a->answers, 0);
	advance(MF_MSEC);
	got_addr(a, "203.0.113.81");
	got_addr(b, "203.0.113.81");
	assert_int_equal(a->ede, MF_DNS_EDE_STALE);
	assert_int_equal(a->f.ttl, 30);
	assert_int_equal(learned_text("203.0.113.81"), HOP_VPN);
	assert_int_equal(COUNT(stale), 2);
	assert_int_equal(COUNT(open), 1);
	/* At once, while the question is still open and for half a minute after. */
	for (int i = 0; i < 27; i++) {
		a = ask_how("www.vpn.example", MF_DNS_A, &(struct how){ .udp_size = 1232 });
		got_addr(a, "203.0.113.81");
		assert_int_equal(a->ede, MF_DNS_EDE_STALE);
		assert_int_equal(a->f.ttl, 30);
		advance(MF_SEC);
	}
	assert_int_equal(COUNT(failed), 1);
	advance(10 * MF_SEC);
	assert_int_equal(ask("www.vpn.example", MF_DNS_A)->outcome, MF_DNS_KEPT_OPEN);
	assert_int_equal(COUNT(forwarded), 3);
	/* The servers are well again. */
	far_twist(FAKEDNS_RIGHT);
	lab.zone = moved;
	advance(3 * MF_SEC);
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.91");
	end();
}

/* The fresh answer comes before the time is over. */
static void fresh_in_time(void **state)
{
	struct client *c[3];

	(void)state;
	begin(zone);
	ask_and_wait("www.example", MF_DNS_A);
	advance(1000 * MF_SEC);
	lab.zone = moved;
	for (int i = 0; i < 3; i++)
		c[i] = ask("www.example", MF_DNS_A);
	advance(20 * MF_MSEC);
	for (int i = 0; i < 3; i++)
		got_addr(c[i], "203.0.113.90");
	assert_int_equal(asked_all(), 2);
	assert_int_equal(COUNT(stale), 0);
	end();
}

/* A server says that it cannot: better what was right once, at once. */
static void stale_instead_of_failure(void **state)
{
	static const uint8_t bad[] = { MF_DNS_SERVFAIL, MF_DNS_REFUSED, MF_DNS_NOTIMP,
				       MF_DNS_FORMERR };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		begin(zone);
		ask_and_wait("www.example", MF_DNS_A);
		advance(1000 * MF_SEC);
		lab.zone_rcode = bad[i];
		got_addr(ask_and_wait("www.example", MF_DNS_A), "203.0.113.80");
		assert_int_equal(COUNT(stale), 1);
		got_addr(ask("www.example", MF_DNS_A), "203.0.113.80");
		assert_int_equal(asked_all(), 2);
		end();
	}
}

static void no_stale(void **state)
{
	struct client *c;

	(void)state;
	begin(zone);
	lab.cfg.cache.stale = 0;
	configure();
	ask_and_wait("www.example", MF_DNS_A);
	advance(1000 * MF_SEC);
	far_twist(FAKEDNS_SILENT);
	c = ask_and_wait("www.example", MF_DNS_A);
	got_rcode(c, MF_DNS_SERVFAIL, 0);
	assert_int_equal(COUNT(stale), 0);
	end();
}

/* What all servers have refused is not asked again for a moment. */
static void failures(void **state)
{
	struct client *c;

	(void)state;
	begin(zone);
	far_twist(FAKEDNS_SILENT);
	c = ask_and_wait_how("www.example", MF_DNS_A, &(struct how){ .udp_size = 1232 });
	got_rcode(c, MF_DNS_SERVFAIL, 0);
	assert_int_equal(c->ede, MF_DNS_EDE_NO_REACHABLE);
	assert_int_equal(COUNT(stale), 0);
	got_rcode(ask("www.example", MF_DNS_A), MF_DNS_SERVFAIL, 0);
	assert_int_equal(COUNT(forwarded), 1);
	advance(2001 * MF_MSEC);
	far_twist(FAKEDNS_RIGHT);
	got_addr(ask_and_wait("www.example", MF_DNS_A), "203.0.113.80");
	/* No way to the servers. */
	lab.down[HOP_VPN] = true;
	c = ask_and_wait_how("www.vpn.example", MF_DNS_A, &(struct how){ .udp_size = 1232 });
	got_rcode(c, MF_DNS_SERVFAIL, 0);
	assert_int_equal(c->ede, MF_DNS_EDE_NETWORK);
	/* What they say that is no answer is passed on, and kept for as long. */
	lab.zone_rcode = MF_DNS_REFUSED;
	got_rcode(ask_and_wait("no.example", MF_DNS_A), MF_DNS_REFUSED, 0);
	got_rcode(ask("no.example", MF_DNS_A), MF_DNS_REFUSED, 0);
	advance(2001 * MF_MSEC);
	assert_int_equal(ask("no.example", MF_DNS_A)->outcome, MF_DNS_KEPT_OPEN);
	end();
}

/* Garbage ends a question as silence does. */
static void garbage(void **state)
{
	(void)state;
	begin(zone);
	far_twist(FAKEDNS_GARBAGE);
	for (int i = 0; i < 20; i++) {
		struct client *c = ask_and_wait("www.example", MF_DNS_A);

		assert_true((c->flags & MF_DNS_RCODE) != MF_DNS_NOERROR);
		advance(3 * MF_SEC);
	}
	end();
}

static void network_changed(void **state)
{
	struct client *c;

	(void)state;
	begin(zone);
	ask_and_wait("www.example", MF_DNS_A);
	lab.zone = moved;
	far_delay(100 * MF_MSEC);
	c = ask("www.vpn.example", MF_DNS_A);
	advance(50 * MF_MSEC);
	mf_resolver_network_changed(lab.r, lab.now);
	got_addr(ask_and_wait("www.example", MF_DNS_A), "203.0.113.90");
	/* What was open has been asked anew. */
	advance(200 * MF_MSEC);
	got_addr(c, "203.0.113.91");
	assert_int_equal(asked(HOP_VPN), 2);
	end();
}

/* The floor under TTLs holds for routes, too: nobody believes an answer for longer than they last. */
static void floor_of_ttl(void **state)
{
	(void)state;
	begin(zone);
	lab.cfg.cache.ttl_min = 1000;
	configure();
	assert_int_equal(ttl_of(ask_and_wait("short.vpn.example", MF_DNS_A)), 1000);
	advance(999 * MF_SEC);
	assert_int_equal(learned_text("203.0.113.82"), HOP_VPN);
	got_addr(ask("short.vpn.example", MF_DNS_A), "203.0.113.82");
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counted_down),  cmocka_unit_test(negative),
		cmocka_unit_test(prefetch),      cmocka_unit_test(stale),
		cmocka_unit_test(fresh_in_time), cmocka_unit_test(stale_instead_of_failure),
		cmocka_unit_test(no_stale),      cmocka_unit_test(failures),
		cmocka_unit_test(garbage),       cmocka_unit_test(network_changed),
		cmocka_unit_test(floor_of_ttl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
