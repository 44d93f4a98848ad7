/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the addresses of names lead: learned routes from answers, what must not be in an answer, and
 * what becomes of all that, and of open questions, when the rules change. That a route is in force
 * when its answer is handed over is checked by reslab for every answer.
 */
#include "reslab.h"

static const struct rec zone[] = {
	{ "www.vpn.example", MF_DNS_A, 300, "203.0.113.81" },
	{ "www.vpn.example", MF_DNS_AAAA, 300, "2001:db8::81" },
	{ "short.vpn.example", MF_DNS_A, 5, "203.0.113.82" },
	{ "alias.vpn.example", MF_DNS_CNAME, 300, "cdn.example" },
	{ "cdn.example", MF_DNS_A, 300, "203.0.113.83" },
	{ "svc.vpn.example", MF_DNS_HTTPS, 300, "203.0.113.84" },
	{ "www.plain.example", MF_DNS_A, 300, "203.0.113.85" },
	{ "www.work.example", MF_DNS_A, 300, "203.0.113.81" }, /* the VPN's, too */
	{ "www.example", MF_DNS_A, 300, "203.0.113.81" },
	{ "x.ads.example", MF_DNS_A, 300, "203.0.113.86" },
	{ 0 },
};

/* ---- Learned routes ---------------------------------------------------------------------------- */

static void learns(void **state)
{
	struct mf_learned_info info;
	struct mf_addr a;

	(void)state;
	begin(zone);
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.81");
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_AAAA), "2001:db8::81");
	/* The name asked for is what matches, whatever it is called in the end. */
	got_addr(ask_and_wait("alias.vpn.example", MF_DNS_A), "203.0.113.83");
	assert_int_equal(learned_text("203.0.113.83"), HOP_VPN);
	got_addr(ask_and_wait("svc.vpn.example", MF_DNS_HTTPS), "203.0.113.84");
	assert_int_equal(learned_text("203.0.113.84"), HOP_VPN);
	got_addr(ask_and_wait("www.plain.example", MF_DNS_A), "203.0.113.85");
	assert_int_equal(learned_text("203.0.113.85"), HOP_DIRECT);
	assert_int_equal(mf_addr_parse(&a, "203.0.113.81"), MF_OK);
	assert_true(mf_learned_find(lab.learned, &a, &info));
	assert_string_equal(info.name, "www.vpn.example");
	assert_int_equal(info.rule, RULE_VPN);
	assert_true(!info.is_shared && !info.overridden);
	assert_in_range(info.until, lab.now + 299 * MF_SEC, lab.now + 300 * MF_SEC);
	end();
}

/* They end with their answers, though nobody asks for anything any more. */
static void ends(void **state)
{
	(void)state;
	begin(zone);
	advance(10 * MF_SEC); /* there is nothing to look after */
	ask_and_wait("short.vpn.example", MF_DNS_A);
	advance(59 * MF_SEC);
	assert_int_equal(mf_learned_counters(lab.learned)->routes, 1);
	advance(3 * MF_SEC);
	assert_int_equal(mf_learned_counters(lab.learned)->routes, 0);
	/* From the cache, with the route gone before its time. */
	ask_and_wait("www.vpn.example", MF_DNS_A);
	mf_learned_clear(lab.learned);
	advance(10 * MF_SEC);
	got_addr(ask("www.vpn.example", MF_DNS_A), "203.0.113.81");
	assert_int_equal(learned_text("203.0.113.81"), HOP_VPN);
	advance(291 * MF_SEC + 2 * MF_SEC);
	assert_int_equal(learned_text("203.0.113.81"), 0);
	end();
}

/* Two rules want one address: the earlier one gets it, whoever comes first. */
static void conflicts(void **state)
{
	struct mf_learned_info info;
	struct mf_addr a;

	(void)state;
	begin(zone);
	lab.shared_addresses = true;
	assert_int_equal(mf_addr_parse(&a, "203.0.113.81"), MF_OK);
	ask_and_wait("www.work.example", MF_DNS_A);
	assert_int_equal(learned_text("203.0.113.81"), HOP_WORK);
	assert_int_equal(lab.log_lines, 0);
	ask_and_wait("www.vpn.example", MF_DNS_A);
	assert_int_equal(learned_text("203.0.113.81"), HOP_VPN);
	assert_true(mf_learned_find(lab.learned, &a, &info));
	assert_string_equal(info.shared, "www.work.example");
	/* Now the later rule's name again, from the cache: the loser is told of. */
	ask("www.work.example", MF_DNS_A);
	assert_int_equal(learned_text("203.0.113.81"), HOP_VPN);
	assert_int_equal(lab.log_lines, 1);
	assert_non_null(strstr(lab.log, "203.0.113.81 is an address of www.work.example and of "
					"www.vpn.example"));
	/* A name without a rule is noted. */
	ask_and_wait("www.example", MF_DNS_A);
	assert_int_equal(learned_text("203.0.113.81"), HOP_VPN);
	assert_true(mf_learned_find(lab.learned, &a, &info));
	assert_true(info.is_shared);
	assert_string_equal(info.shared, "www.example");
	end();
}

/* A route of full length is what the user wrote: beside it the learned one is only shown. */
static void full_length(void **state)
{
	struct mf_learned_info info;

	(void)state;
	begin(zone);
	assert_int_equal(mf_addr_parse(&lab.full, "203.0.113.81"), MF_OK);
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.81");
	assert_int_equal(learned_text("203.0.113.81"), 0);
	assert_true(mf_learned_find(lab.learned, &lab.full, &info));
	assert_true(info.overridden);
	/* Until a reload without it. */
	lab.full = (struct mf_addr){ 0 };
	configure();
	assert_int_equal(learned_text("203.0.113.81"), HOP_VPN);
	end();
}

/* ---- More addresses than are learned from one answer ------------------------------------------- */

static size_t hundred(struct fakedns_server *s, struct mf_span query, bool tcp, uint8_t *out)
{
	size_t n = fakedns_reply(query, 0, tcp ? 100 : 0, 0, out);

	(void)s;
	if (!tcp)
		out[2] |= MF_DNS_TC >> 8;
	/* Each another address. */
	for (unsigned i = 0; tcp && i < 100; i++)
		out[n - 1 - i * 16] = (uint8_t)i;
	return n;
}

static unsigned addresses_in(const struct client *c)
{
	return mf_load_be16(c->reply + 6);
}

/* The rest must not reach a client: nothing would lead them where the rule says. */
static void too_many_addresses(void **state)
{
	const struct how stream = { .stream = true };
	struct client *c;

	(void)state;
	begin(zone);
	lab.far[HOP_VPN].server[0].answer = lab.far[HOP_DIRECT].server[0].answer = hundred;
	c = ask_and_wait_how("many.vpn.example", MF_DNS_A, &stream);
	assert_int_equal(addresses_in(c), MF_DNS_ADDRS_MAX);
	assert_int_equal(c->f.n_addrs, MF_DNS_ADDRS_MAX);
	assert_int_equal(mf_learned_counters(lab.learned)->routes, MF_DNS_ADDRS_MAX);
	assert_int_equal(addresses_in(ask_how("many.vpn.example", MF_DNS_A, &stream)),
			 MF_DNS_ADDRS_MAX);
	/* Without a rule nothing needs to be learned. */
	assert_int_equal(addresses_in(ask_and_wait_how("many.example", MF_DNS_A, &stream)), 100);
	end();
}

/* All places are taken by routes that are held: the answer goes out, and is counted. */
static void no_room(void **state)
{
	struct mf_addr a;

	(void)state;
	begin_with(1);
	lab.zone = zone;
	lab.shared_addresses = true;
	assert_int_equal(mf_addr_parse(&a, "203.0.113.81"), MF_OK);
	ask_and_wait("www.vpn.example", MF_DNS_A);
	assert_true(mf_learned_hold(lab.learned, &a));
	got_addr(ask_and_wait("alias.vpn.example", MF_DNS_A), "203.0.113.83");
	assert_int_equal(learned_text("203.0.113.83"), 0);
	assert_int_equal(mf_learned_counters(lab.learned)->full, 1);
	/* When there is room, the next answer is in force, though it is a kept one. */
	mf_learned_release(lab.learned, &a);
	lab.shared_addresses = false;
	got_addr(ask("alias.vpn.example", MF_DNS_A), "203.0.113.83");
	assert_int_equal(learned_text("203.0.113.83"), HOP_VPN);
	end();
}

/* ---- What must not be in an answer --------------------------------------------------------------- */

static const struct rec inside[] = {
	{ "evil.example", MF_DNS_AAAA, 300, "::ffff:127.0.0.1" },
	{ "half.example", MF_DNS_A, 300, "10.0.0.1" },
	{ "half.example", MF_DNS_A, 300, "203.0.113.1" },
	{ "svc.example", MF_DNS_HTTPS, 300, "127.0.0.1" },
	{ "alias.example", MF_DNS_CNAME, 300, "evil.example" },
	{ "evil.example", MF_DNS_A, 300, "192.168.1.1" },
	{ "x.allowed.example", MF_DNS_A, 300, "192.168.1.2" },
	{ "router.lan", MF_DNS_A, 300, "192.168.1.3" },
	{ "printer", MF_DNS_A, 300, "192.168.1.4" },
	{ "x.vpn.example", MF_DNS_A, 300, "10.0.0.5" },
	{ "x.plain.example", MF_DNS_A, 300, "10.0.0.6" },
	{ "x.vpn.example", MF_DNS_AAAA, 300, "2001:db8::5" },
	{ 0 },
};

static void rebinding(void **state)
{
	struct mf_dns_name allowed;
	struct client *c;

	(void)state;
	begin(inside);
	assert_int_equal(mf_dns_name_parse(&allowed, "allowed.example", 15), MF_OK);
	lab.cfg.rebind_allow = &allowed;
	lab.cfg.n_rebind_allow = 1;
	configure();
	got_rcode(ask_and_wait("evil.example", MF_DNS_A), MF_DNS_NOERROR, 0);
	assert_non_null(strstr(lab.log, "evil.example was taken out"));
	assert_int_equal(COUNT(rebound), 1);
	got_rcode(ask_and_wait("evil.example", MF_DNS_AAAA), MF_DNS_NOERROR, 0);
	c = ask_and_wait("alias.example", MF_DNS_A);
	assert_int_equal(c->f.n_addrs, 0);
	got_addr(ask_and_wait("half.example", MF_DNS_A), "203.0.113.1");
	c = ask_and_wait("svc.example", MF_DNS_HTTPS);
	assert_int_equal(c->f.n_addrs, 0);
	/* A rule that says direct is no exception. */
	got_rcode(ask_and_wait("x.plain.example", MF_DNS_A), MF_DNS_NOERROR, 0);
	assert_true(COUNT(rebound) >= 6);
	/* Neither the cache has them. */
	got_rcode(ask("evil.example", MF_DNS_A), MF_DNS_NOERROR, 0);
	got_addr(ask("half.example", MF_DNS_A), "203.0.113.1");
	/* Exceptions; names of the site; names behind a VPN. */
	got_addr(ask_and_wait("x.allowed.example", MF_DNS_A), "192.168.1.2");
	got_addr(ask_and_wait("router.lan", MF_DNS_A), "192.168.1.3");
	got_addr(ask_and_wait("printer", MF_DNS_A), "192.168.1.4");
	got_addr(ask_and_wait("x.vpn.example", MF_DNS_A), "10.0.0.5");
	/* It is not wanted. */
	lab.cfg.rebind_protection = false;
	lab.cfg.world = 2;
	configure();
	got_addr(ask_and_wait("evil.example", MF_DNS_A), "192.168.1.1");
	/* It is wanted again: what was kept meanwhile is not served. */
	lab.cfg.rebind_protection = true;
	lab.cfg.world = 3;
	configure();
	got_rcode(ask_and_wait("evil.example", MF_DNS_A), MF_DNS_NOERROR, 0);
	end();
}

/* An interface without IPv6. */
static void strip_aaaa(void **state)
{
	static const uint8_t strip[HOPS] = { [HOP_VPN] = 1 };

	(void)state;
	begin(inside);
	lab.cfg.strip_aaaa_hops = strip;
	lab.cfg.n_hops = HOPS;
	configure();
	got_rcode(ask_and_wait("x.vpn.example", MF_DNS_AAAA), MF_DNS_NOERROR, 0);
	assert_int_equal(COUNT(stripped), 1);
	got_rcode(ask("x.vpn.example", MF_DNS_AAAA), MF_DNS_NOERROR, 0);
	assert_int_equal(COUNT(cached), 1);
	got_addr(ask_and_wait("x.vpn.example", MF_DNS_A), "10.0.0.5");
	assert_int_equal(mf_learned_counters(lab.learned)->routes, 1);
	end();
}

/* ---- Other rules ------------------------------------------------------------------------------- */

/* What is open comes in once more under the new rules, whatever they say. */
static void open_questions(void **state)
{
	struct client *same, *moved, *blocked, *free, *both[2], *local;
	struct mf_dns_host host = { .n = 1, .addr = &(struct mf_addr){ { 10 }, MF_AF_IP4 } };
	struct mf_name_rule rule[2];
	struct mf_names *names;

	(void)state;
	begin(zone);
	far_delay(100 * MF_MSEC);
	same = ask("www.vpn.example", MF_DNS_A);
	moved = ask("www.work.example", MF_DNS_MX);
	blocked = ask("blocked.plain.example", MF_DNS_A);
	free = ask_how("alias.vpn.example", MF_DNS_AAAA, &(struct how){ .stream = true });
	both[0] = ask("cdn.example", MF_DNS_A);
	both[1] = ask("CDN.example", MF_DNS_A);
	local = ask("host.example", MF_DNS_A);
	advance(50 * MF_MSEC);
	assert_int_equal(COUNT(open), 6);
	/* Behind the VPN is what was of work; what was plain is blocked. */
	rule[0] = lab.names->rule[RULE_WORK];
	rule[0].hop = HOP_VPN;
	rule[0].rule = 0;
	rule[1] = lab.names->rule[RULE_PLAIN];
	rule[1].hop = HOP_DROP;
	rule[1].rule = 1;
	names = mf_names_new(rule, 2);
	assert_non_null(names);
	lab.cfg.names = names;
	assert_int_equal(mf_dns_name_parse(&host.name, "host.example", 12), MF_OK);
	lab.cfg.hosts = &host;
	lab.cfg.n_hosts = 1;
	configure();
	got_rcode(blocked, MF_DNS_NXDOMAIN, 0);
	got_addr(local, "10.0.0.0");
	assert_int_equal(COUNT(open), 4);
	advance(101 * MF_MSEC);
	got_addr(same, "203.0.113.81");
	got_addr(both[0], "203.0.113.83");
	got_addr(both[1], "203.0.113.83");
	got_rcode(moved, MF_DNS_NOERROR, 0);
	got_rcode(free, MF_DNS_NOERROR, 1);
	assert_int_equal(asked(HOP_WORK), 1);
	assert_int_equal(asked(HOP_VPN), 3); /* two of them before */
	assert_int_equal(learned_text("203.0.113.81"), 0);
	assert_int_equal(COUNT(open), 0);
	/* No DNS any more. */
	same = ask("x.vpn.example", MF_DNS_A);
	assert_int_equal(mf_resolver_configure(lab.r, NULL, lab.now), MF_OK);
	got_rcode(same, MF_DNS_REFUSED, 0);
	mf_names_free(names);
	end();
}

/* A name gets a rule that leads where it was asked without one: its kept answer teaches the route. */
static void kept_answers(void **state)
{
	struct mf_name_rule rule;
	struct mf_names *names;

	(void)state;
	begin(zone);
	lab.cfg.names = NULL;
	configure();
	got_addr(ask_and_wait("www.plain.example", MF_DNS_A), "203.0.113.85");
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.81");
	assert_int_equal(learned_text("203.0.113.85"), 0);
	lab.cfg.names = lab.names;
	configure();
	got_addr(ask("www.plain.example", MF_DNS_A), "203.0.113.85");
	assert_int_equal(learned_text("203.0.113.85"), HOP_DIRECT);
	/* What came in another way is asked again. */
	assert_int_equal(COUNT(cached), 1);
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.81");
	assert_int_equal(asked(HOP_VPN), 1);
	/* Routes are judged anew: the name has no rule, another has the hop. */
	rule = lab.names->rule[RULE_VPN];
	rule.hop = HOP_WORK;
	names = mf_names_new(&rule, 1);
	assert_non_null(names);
	lab.cfg.names = names;
	configure();
	assert_int_equal(learned_text("203.0.113.85"), 0);
	assert_int_equal(learned_text("203.0.113.81"), HOP_WORK);
	/* ... and back, with the answer still kept. */
	lab.cfg.names = lab.names;
	configure();
	got_addr(ask("www.plain.example", MF_DNS_A), "203.0.113.85");
	assert_int_equal(learned_text("203.0.113.85"), HOP_DIRECT);
	mf_names_free(names);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(learns),
		cmocka_unit_test(ends),
		cmocka_unit_test(conflicts),
		cmocka_unit_test(full_length),
		cmocka_unit_test(too_many_addresses),
		cmocka_unit_test(no_room),
		cmocka_unit_test(rebinding),
		cmocka_unit_test(strip_aaaa),
		cmocka_unit_test(open_questions),
		cmocka_unit_test(kept_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
