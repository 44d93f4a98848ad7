/* SPDX-License-Identifier: Apache-2.0
 *
 * The resolver: what is refused, what is answered here, whom each name is asked of, and what every
 * client gets of one answer.
 */
#include "reslab.h"

static const struct rec zone[] = {
	{ "www.example", MF_DNS_A, 300, "203.0.113.80" },
	{ "www.example", MF_DNS_AAAA, 300, "2001:db8::80" },
	{ "www.vpn.example", MF_DNS_A, 300, "203.0.113.81" },
	{ "www.work.example", MF_DNS_A, 300, "203.0.113.82" },
	{ "www.plain.example", MF_DNS_A, 300, "203.0.113.83" },
	{ "www.ads.example", MF_DNS_A, 300, "203.0.113.84" },
	{ "www.refused.example", MF_DNS_A, 300, "203.0.113.85" },
	{ "dc.corp.local", MF_DNS_A, 300, "10.1.2.3" },
	{ "5.3.2.1.10.in-addr.arpa", MF_DNS_PTR, 300, "x.example" },
	{ "3.2.1.10.in-addr.arpa", MF_DNS_PTR, 300, "dc.corp.local" },
	{ "8.8.8.8.in-addr.arpa", MF_DNS_PTR, 300, "dns.example" },
	{ "1.1.168.192.in-addr.arpa", MF_DNS_PTR, 300, "router.lan" },
	{ 0 },
};

/* ---- What is no question --------------------------------------------------------------------- */

static void malformed(void **state)
{
	uint8_t msg[QUERY_MAX];
	struct client *c;
	size_t n;

	(void)state;
	begin(zone);
	n = write_query(msg, 1, "www.example", MF_DNS_A, &(struct how){ 0 });
	for (size_t cut = 0; cut < n; cut++) {
		c = ask_raw(msg, cut, &(struct how){ 0 });
		assert_int_equal(c->outcome, cut < MF_DNS_HEADER ? MF_DNS_IGNORED : MF_DNS_ANSWERED);
		if (cut >= MF_DNS_HEADER) {
			assert_int_equal(c->flags & MF_DNS_RCODE, MF_DNS_FORMERR);
			assert_int_equal(c->n, MF_DNS_HEADER);
		}
	}
	assert_int_equal(COUNT(malformed), n);
	/* Two questions; none. */
	msg[5] = 2;
	assert_int_equal(ask_raw(msg, n, &(struct how){ 0 })->flags & MF_DNS_RCODE, MF_DNS_FORMERR);
	msg[5] = 0;
	assert_int_equal(ask_raw(msg, n, &(struct how){ 0 })->flags & MF_DNS_RCODE, MF_DNS_FORMERR);
	/* An answer: whoever answers it may answer that. */
	msg[5] = 1;
	msg[2] |= 0x80;
	assert_int_equal(ask_raw(msg, n, &(struct how){ 0 })->outcome, MF_DNS_IGNORED);
	assert_int_equal(COUNT(queries), n + 3);
	assert_int_equal(asked_all(), 0);
	end();
}

static void refused(void **state)
{
	static const uint16_t meta[] = { 0, MF_DNS_OPT, 128, 249, 250, MF_DNS_IXFR, MF_DNS_AXFR, 254 };
	struct client *c;

	(void)state;
	begin(zone);
	/* UPDATE, NOTIFY, and the like. */
	for (uint16_t opcode = 1; opcode < 16; opcode++) {
		c = ask_how("www.example", MF_DNS_SOA,
			    &(struct how){ .flags = (uint16_t)(opcode << 11) });
		assert_int_equal(c->flags & (MF_DNS_RCODE | MF_DNS_OPCODE),
				 MF_DNS_NOTIMP | opcode << 11);
	}
	/* Versions of EDNS that are not yet. */
	c = ask_how("www.example", MF_DNS_A, &(struct how){ .udp_size = 1232, .version = 1 });
	assert_int_equal(c->f.rcode, MF_DNS_BADVERS);
	c = ask_how("version.bind", MF_DNS_TXT, &(struct how){ .class = MF_DNS_CHAOS });
	got_rcode(c, MF_DNS_REFUSED, 0);
	c = ask_how("www.example", MF_DNS_A, &(struct how){ .class = MF_DNS_CLASS_ANY });
	got_rcode(c, MF_DNS_REFUSED, 0);
	for (size_t i = 0; i < MF_ARRAY_LEN(meta); i++)
		got_rcode(ask_how("www.example", meta[i], &(struct how){ .stream = true }),
			  MF_DNS_REFUSED, 0);
	assert_int_equal(COUNT(refused), 15 + 3 + MF_ARRAY_LEN(meta));
	assert_int_equal(asked_all(), 0);
	/* ANY is a question, and so is the root. */
	assert_int_equal(ask("www.example", MF_DNS_ANY)->outcome, MF_DNS_KEPT_OPEN);
	assert_int_equal(ask(".", MF_DNS_NS)->outcome, MF_DNS_KEPT_OPEN);
	/* No configuration. */
	lab.cfg.names = NULL;
	assert_int_equal(mf_resolver_configure(lab.r, NULL, lab.now), MF_OK);
	got_rcode(ask("www.example", MF_DNS_A), MF_DNS_REFUSED, 0);
	end();
}

/* ---- Answered here --------------------------------------------------------------------------- */

static void add_host(const char *name, bool wildcard, const struct mf_addr *a, uint8_t n)
{
	struct mf_dns_host *h = &lab.hosts[lab.cfg.n_hosts++];

	assert_int_equal(mf_dns_name_parse(&h->name, name, strlen(name)), MF_OK);
	h->wildcard = wildcard;
	h->addr = a;
	h->n = n;
	qsort(lab.hosts, lab.cfg.n_hosts, sizeof(*h), mf_dns_host_compare);
	lab.cfg.hosts = lab.hosts;
}

static void hosts(void **state)
{
	static const struct mf_addr both[] = { { { 192, 168, 1, 5 }, MF_AF_IP4 },
					       { { 0xfd, [15] = 5 }, MF_AF_IP6 } },
				    self[] = { { { 10, 0, 0, 1 }, MF_AF_IP4 } },
				    below[] = { { { 192, 168, 7, 2 }, MF_AF_IP4 } },
				    deep[] = { { { 10, 0, 0, 3 }, MF_AF_IP4 } };
	struct client *c;

	(void)state;
	begin(zone);
	add_host("nas.home.arpa", false, both, 2);
	/* A name and what is below it, each with lines of its own. */
	add_host("lab.example", true, below, 1);
	add_host("lab.example", false, self, 1);
	add_host("deep.lab.example", true, deep, 1);
	configure();
	got_addr(ask("NAS.home.ARPA", MF_DNS_A), "192.168.1.5");
	got_addr(ask("nas.home.arpa", MF_DNS_AAAA), "fd00::5");
	/* The name is there, the type is not. */
	got_rcode(ask("nas.home.arpa", MF_DNS_HTTPS), MF_DNS_NOERROR, 0);
	got_rcode(ask("nas.home.arpa", MF_DNS_TXT), MF_DNS_NOERROR, 0);
	got_addr(ask("lab.example", MF_DNS_A), "10.0.0.1");
	got_addr(ask("x.lab.example", MF_DNS_A), "192.168.7.2");
	got_addr(ask("x.y.lab.example", MF_DNS_A), "192.168.7.2");
	got_addr(ask("deep.lab.example", MF_DNS_A), "192.168.7.2");
	got_addr(ask("x.deep.lab.example", MF_DNS_A), "10.0.0.3");
	got_rcode(ask("x.lab.example", MF_DNS_AAAA), MF_DNS_NOERROR, 0);
	/* Back to the name; a wildcard has none. */
	c = ask("5.1.168.192.in-addr.arpa", MF_DNS_PTR);
	got_rcode(c, MF_DNS_NOERROR, 1);
	assert_memory_equal(c->reply + c->n - 15, "\3nas\4home\4arpa", 15);
	got_rcode(ask("2.7.168.192.in-addr.arpa", MF_DNS_PTR), MF_DNS_NXDOMAIN, 0);
	assert_int_equal(asked_all(), 0);
	assert_int_equal(COUNT(local), 12);
	/* A name that merely ends like one. */
	assert_int_equal(ask("xlab.example", MF_DNS_A)->outcome, MF_DNS_KEPT_OPEN);
	end();
}

static void special_names(void **state)
{
	static const char *const no[] = { "invalid",
					  "x.invalid",
					  "printer.local",
					  "x.y.local",
					  "x.onion",
					  "use-application-dns.net",
					  "a.USE-application-dns.net" };
	static const char *const not_so[] = { "local.example",           "xlocal", "onions",
					      "application-dns.net",     "arpa",   "net",
					      "xuse-application-dns.net" };

	(void)state;
	begin(zone);
	got_addr(ask("localhost", MF_DNS_A), "127.0.0.1");
	got_addr(ask("x.localhost", MF_DNS_AAAA), "::1");
	got_rcode(ask("localhost", MF_DNS_MX), MF_DNS_NOERROR, 0);
	for (size_t i = 0; i < MF_ARRAY_LEN(no); i++) {
		struct client *c = ask(no[i], MF_DNS_A);

		got_rcode(c, MF_DNS_NXDOMAIN, 0);
		assert_int_equal(mf_load_be16(c->reply + 8), 1); /* may be kept */
	}
	got_rcode(ask("_dns.resolver.arpa", MF_DNS_SVCB), MF_DNS_NOERROR, 0);
	assert_int_equal(COUNT(local), 4 + MF_ARRAY_LEN(no));
	for (size_t i = 0; i < MF_ARRAY_LEN(not_so); i++)
		assert_int_equal(ask(not_so[i], MF_DNS_A)->outcome, MF_DNS_KEPT_OPEN);
	/* Companies have such names; then there is a rule for them. */
	got_addr(ask_and_wait("dc.corp.local", MF_DNS_A), "10.1.2.3");
	assert_int_equal(asked(HOP_VPN), 1);
	end();
}

static void private_reverse(void **state)
{
	/* Whole addresses, networks, and what is in front of them (RFC 6763 11). */
	static const char *const here[] = {
		"168.192.in-addr.arpa",
		"lb._dns-sd._udp.0.1.168.192.in-addr.arpa",
		"16.172.in-addr.arpa",
		("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		 "0.0.0.d.f.ip6.arpa"),
		"d.f.ip6.arpa",
		"x.d.f.ip6.arpa"
	};
	static const char *const public[] = {
		"in-addr.arpa", "192.in-addr.arpa", "32.172.in-addr.arpa",         "ip6.arpa",
		"f.ip6.arpa",   "1.0.0.2.ip6.arpa", "168.192.in-addr.arpa.example"
	};

	(void)state;
	begin(zone);
	for (size_t i = 0; i < MF_ARRAY_LEN(here); i++)
		got_rcode(ask(here[i], MF_DNS_SOA), MF_DNS_NXDOMAIN, 0);
	for (size_t i = 0; i < MF_ARRAY_LEN(public); i++)
		assert_int_equal(ask(public[i], MF_DNS_SOA)->outcome, MF_DNS_KEPT_OPEN);
	advance(MF_SEC);
	end();
	begin(zone);
	got_rcode(ask("1.1.168.192.in-addr.arpa", MF_DNS_PTR), MF_DNS_NXDOMAIN, 0);
	got_rcode(ask("1.0.0.127.in-addr.arpa", MF_DNS_PTR), MF_DNS_NXDOMAIN, 0);
	assert_int_equal(asked_all(), 0);
	got_rcode(ask_and_wait("8.8.8.8.in-addr.arpa", MF_DNS_PTR), MF_DNS_NOERROR, 1);
	assert_int_equal(asked(HOP_DIRECT), 1);
	/* There is a rule for it. */
	got_rcode(ask_and_wait("3.2.1.10.in-addr.arpa", MF_DNS_PTR), MF_DNS_NOERROR, 1);
	assert_int_equal(asked(HOP_VPN), 1);
	/* A router is asked: it knows its network. */
	assert_int_equal(mf_addr_parse(&lab.direct[1].addr[0].addr, "192.168.1.1"), MF_OK);
	lab.cfg.n_direct = 2;
	configure();
	got_rcode(ask_and_wait("1.1.168.192.in-addr.arpa", MF_DNS_PTR), MF_DNS_NOERROR, 1);
	end();
}

/* ---- Blocked --------------------------------------------------------------------------------- */

static void check_blocked(enum mf_block_answer how, const char *name)
{
	static const uint16_t type[] = { MF_DNS_A, MF_DNS_AAAA, MF_DNS_HTTPS, MF_DNS_TXT };

	lab.cfg.block = how;
	configure();
	for (size_t i = 0; i < MF_ARRAY_LEN(type); i++) {
		struct client *c = ask_how(name, type[i], &(struct how){ .udp_size = 1232 });

		if (how == MF_BLOCK_ZERO && type[i] == MF_DNS_A)
			got_addr(c, "0.0.0.0");
		else if (how == MF_BLOCK_ZERO && type[i] == MF_DNS_AAAA)
			got_addr(c, "::");
		else
			got_rcode(c,
				  how == MF_BLOCK_NXDOMAIN  ? MF_DNS_NXDOMAIN
				  : how == MF_BLOCK_REFUSED ? MF_DNS_REFUSED
							    : MF_DNS_NOERROR,
				  0);
		if (!c->f.n_addrs)
			assert_int_equal(c->ede, MF_DNS_EDE_BLOCKED);
		/* For how long the client may believe it. */
		assert_int_equal(mf_load_be16(c->reply + 8),
				 how != MF_BLOCK_REFUSED && !c->f.n_addrs);
		if (how != MF_BLOCK_REFUSED)
			assert_int_equal(c->f.ttl, 10);
	}
}

static void blocked(void **state)
{
	(void)state;
	begin(zone);
	check_blocked(MF_BLOCK_NXDOMAIN, "www.ads.example");
	check_blocked(MF_BLOCK_ZERO, "ads.example");
	check_blocked(MF_BLOCK_REFUSED, "www.refused.example");
	assert_int_equal(COUNT(blocked), 12);
	assert_int_equal(asked_all(), 0);
	/* Truthfully: asked like a name without a rule, and its addresses lead to drop. */
	lab.cfg.block = MF_BLOCK_ROUTE;
	configure();
	got_addr(ask_and_wait("www.ads.example", MF_DNS_A), "203.0.113.84");
	got_addr(ask_and_wait("www.refused.example", MF_DNS_A), "203.0.113.85");
	assert_int_equal(learned_text("203.0.113.84"), HOP_DROP);
	assert_int_equal(learned_text("203.0.113.85"), HOP_REJECT);
	assert_int_equal(asked(HOP_DIRECT), 2);
	/* And from the cache. */
	got_addr(ask("www.ads.example", MF_DNS_A), "203.0.113.84");
	end();
}

/* Names without a rule that go nowhere: there is nobody to ask. */
static void fallback_to_drop(void **state)
{
	(void)state;
	begin(zone);
	lab.cfg.fallback_hop = HOP_DROP;
	for (int how = MF_BLOCK_NXDOMAIN; how <= MF_BLOCK_ROUTE; how++) {
		lab.cfg.block = (enum mf_block_answer)how;
		configure();
		got_rcode(ask("www.example", MF_DNS_MX),
			  how == MF_BLOCK_REFUSED ? MF_DNS_REFUSED
			  : how == MF_BLOCK_ZERO  ? MF_DNS_NOERROR
						  : MF_DNS_NXDOMAIN,
			  0);
	}
	/* What has a rule is asked all the same, but not what is blocked truthfully. */
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.81");
	got_rcode(ask("www.ads.example", MF_DNS_A), MF_DNS_REFUSED, 0);
	assert_int_equal(asked(HOP_DIRECT), 0);
	end();
}

/* ---- Whom each name is asked of ---------------------------------------------------------------- */

static void rules(void **state)
{
	const uint64_t *by_rule;
	struct mf_resolver_why why;
	struct mf_dns_name name;
	struct mf_upstream_info info;

	(void)state;
	begin(zone);
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.81");
	assert_int_equal(asked(HOP_VPN), 1);
	got_addr(ask_and_wait("www.work.example", MF_DNS_A), "203.0.113.82");
	assert_int_equal(asked(HOP_WORK), 1);
	got_addr(ask_and_wait("www.plain.example", MF_DNS_A), "203.0.113.83");
	got_addr(ask_and_wait("www.example", MF_DNS_A), "203.0.113.80");
	assert_int_equal(asked(HOP_DIRECT), 2);
	assert_int_equal(asked_all(), 4);
	assert_int_equal(learned_text("203.0.113.81"), HOP_VPN);
	assert_int_equal(learned_text("203.0.113.83"), HOP_DIRECT);
	assert_int_equal(learned_text("203.0.113.80"), 0);
	got_rcode(ask("www.ads.example", MF_DNS_A), MF_DNS_NXDOMAIN, 0);
	by_rule = mf_resolver_by_rule(lab.r);
	for (int i = 0; i < RULES; i++)
		assert_int_equal(by_rule[i], i != RULE_REFUSED);
	assert_int_equal(by_rule[MF_DNS_RULES_MAX], 1);
	/* The same for people. */
	assert_int_equal(mf_dns_name_parse(&name, "a.work.example", 14), MF_OK);
	mf_resolver_explain(lab.r, &name, &why);
	assert_int_equal(why.hop, HOP_WORK);
	assert_int_equal(why.via, HOP_WORK);
	assert_int_equal(why.n_servers, 1);
	assert_string_equal(why.server[0].text, "198.51.100.1:53");
	assert_false(why.local || why.blocked);
	assert_int_equal(mf_dns_name_parse(&name, "a.ads.example", 13), MF_OK);
	mf_resolver_explain(lab.r, &name, &why);
	assert_true(why.blocked && !why.n_servers);
	assert_true(mf_resolver_upstream(lab.r, 0, 0, &info));
	assert_string_equal(info.text, "192.0.2.1:53");
	assert_false(mf_resolver_upstream(lab.r, 0, 1, &info));
	assert_false(mf_resolver_upstream(lab.r, 3, 0, &info));
	end();
}

/* App routing is off: dns.servers is all there is. */
static void without_rules(void **state)
{
	(void)state;
	begin(zone);
	lab.cfg.names = NULL;
	lab.cfg.off_asks_by_route = true;
	lab.cfg.n_vpn = 0;
	lab.cfg.fallback_hop = HOP_VPN;
	lab.direct[0] = lab.vpn[0];
	lab.cfg.world = 2;
	configure();
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.81");
	got_addr(ask_and_wait("www.ads.example", MF_DNS_A), "203.0.113.84");
	assert_int_equal(asked(HOP_VPN), 2);
	assert_int_equal(asked_all(), 2);
	assert_int_equal(mf_learned_counters(lab.learned)->routes, 0);
	/* There are no servers at all. */
	lab.cfg.n_direct = 0;
	configure();
	got_rcode(ask("www.work.example", MF_DNS_A), MF_DNS_REFUSED, 0);
	end();
}

/* ---- One answer for many ----------------------------------------------------------------------- */

/* Clients that ask the same in their own words: one question upstream. */
static void joined(void **state)
{
	static const struct how hows[] = {
		{ .from = 1 },
		{ .from = 2, .udp_size = 1232 },
		{ .from = 3, .udp_size = 4096 },
		{ .from = 4, .stream = true },
		{ .from = 5, .flags = MF_DNS_RD | MF_DNS_AD },
		{ .from = 6, .udp_size = 100 },
	};
	static const char *const names[] = { "www.vpn.example", "WWW.vpn.EXAMPLE", "wWw.VpN.eXaMpLe" };
	struct client *c[18];

	(void)state;
	begin(zone);
	for (size_t i = 0; i < MF_ARRAY_LEN(c); i++) {
		c[i] = ask_how(names[i % 3], MF_DNS_A, &hows[i / 3]);
		assert_int_equal(c[i]->outcome, MF_DNS_KEPT_OPEN);
		advance(MF_USEC);
	}
	assert_int_equal(COUNT(forwarded), 1);
	assert_int_equal(COUNT(joined), 17);
	assert_int_equal(COUNT(open), 1);
	advance(20 * MF_MSEC);
	assert_int_equal(COUNT(open), 0);
	assert_int_equal(asked_all(), 1);
	for (size_t i = 0; i < MF_ARRAY_LEN(c); i++) {
		got_addr(c[i], "203.0.113.81");
		assert_int_equal(mf_load_be16(c[i]->reply + 10), c[i]->q.edns); /* OPT */
	}
	end();
}

/* What signatures a client wants, and whether they are to be checked, make other questions. */
static void keys(void **state)
{
	(void)state;
	begin(zone);
	ask_how("www.example", MF_DNS_A, &(struct how){ .udp_size = 1232 });
	advance(5 * MF_MSEC);
	ask_how("www.example", MF_DNS_A, &(struct how){ .udp_size = 1232, .dnssec_ok = true });
	assert_int_equal(COUNT(forwarded), 2);
	advance(20 * MF_MSEC);
	assert_true(lab.far[HOP_DIRECT].server[0].last.dnssec_ok);
	ask_how("www.example", MF_DNS_A, &(struct how){ .flags = MF_DNS_RD | MF_DNS_CD });
	advance(20 * MF_MSEC);
	assert_true(lab.far[HOP_DIRECT].server[0].last.flags & MF_DNS_CD);
	assert_false(lab.far[HOP_DIRECT].server[0].last.dnssec_ok);
	ask_how("www.example", MF_DNS_AAAA, &(struct how){ 0 });
	assert_int_equal(COUNT(forwarded), 4);
	advance(20 * MF_MSEC);
	/* Each is kept by itself. */
	ask_how("www.example", MF_DNS_A, &(struct how){ .udp_size = 1232, .dnssec_ok = true });
	ask("www.example", MF_DNS_A);
	assert_int_equal(COUNT(forwarded), 4);
	assert_int_equal(COUNT(cached), 2);
	end();
}

/* An answer of 64 KiB: whole for who can take it, TC for all others. */
static void long_answers(void **state)
{
	struct client *plain, *edns, *stream;

	(void)state;
	begin(zone);
	for (int i = 0; i < 2; i++) {
		lab.far[HOP_DIRECT].server[i].twist = FAKEDNS_TRUNCATED;
		lab.far[HOP_DIRECT].server[i].size = 65535;
	}
	plain = ask_how("www.example", MF_DNS_A, &(struct how){ 0 });
	edns = ask_how("www.example", MF_DNS_A, &(struct how){ .udp_size = 65535 });
	stream = ask_how("www.example", MF_DNS_A, &(struct how){ .stream = true });
	advance(100 * MF_MSEC);
	got_rcode(plain, MF_DNS_NOERROR, 0);
	assert_true(plain->flags & MF_DNS_TC);
	got_rcode(edns, MF_DNS_NOERROR, 0);
	assert_true(edns->flags & MF_DNS_TC && edns->n <= MF_DNS_UDP_MAX);
	got_rcode(stream, MF_DNS_NOERROR, 2);
	assert_false(stream->flags & MF_DNS_TC);
	assert_int_equal(stream->n, 65535);
	/* With OPT it would be longer than a message can be. */
	lab.far[HOP_DIRECT].server[0].size = 0;
	stream = ask_and_wait_how("www.example", MF_DNS_AAAA,
				  &(struct how){ .stream = true, .udp_size = 1232 });
	assert_true(stream->n <= 65535);
	end();
}

/* ---- How many ---------------------------------------------------------------------------------- */

/* A client has so many questions open, and what it asks beyond is not asked of anybody. */
static void per_client(void **state)
{
	char name[64];

	(void)state;
	begin(zone);
	lab.cfg.per_client = 5;
	configure();
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "x%d.example", i);
		if (i < 5)
			assert_int_equal(ask(name, MF_DNS_A)->outcome, MF_DNS_KEPT_OPEN);
		else
			got_rcode(ask(name, MF_DNS_A), MF_DNS_REFUSED, 0);
	}
	assert_int_equal(COUNT(open), 5);
	assert_int_equal(COUNT(too_many), 15);
	/* Not for others; and not when it has its answers. */
	assert_int_equal(ask_how("y.example", MF_DNS_A, &(struct how){ .from = 9 })->outcome,
			 MF_DNS_KEPT_OPEN);
	advance(20 * MF_MSEC);
	assert_int_equal(asked_all(), 6);
	assert_int_equal(ask("x19.example", MF_DNS_A)->outcome, MF_DNS_KEPT_OPEN);
	end();
}

/* Everybody together. */
static void too_many(void **state)
{
	unsigned refused = 0;
	char name[64];

	(void)state;
	begin(zone);
	far_twist(FAKEDNS_SILENT);
	for (unsigned i = 0; i < 2000; i++) {
		struct client *c;

		snprintf(name, sizeof(name), "x%u.example", i);
		c = ask_how(name, MF_DNS_A, &(struct how){ .from = (uint8_t)(i % 250) });
		refused += c->outcome == MF_DNS_ANSWERED;
	}
	assert_int_equal(COUNT(open), 1024);
	assert_int_equal(refused, 2000 - 1024);
	assert_int_equal(COUNT(too_many), refused);
	advance(6 * MF_SEC);
	assert_int_equal(COUNT(open), 0);
	assert_int_equal(COUNT(failed), 1024);
	for (unsigned i = 0; i < lab.n_clients; i++)
		assert_int_equal(lab.client[i].answers, 1);
	end();
}

/* Those who have gone get nothing, others do. */
static void forget(void **state)
{
	struct client *stays, *goes;

	(void)state;
	begin(zone);
	goes = ask("www.example", MF_DNS_A);
	stays = ask("www.example", MF_DNS_A);
	mf_resolver_forget(lab.r, 7, goes, 0);
	mf_resolver_forget(lab.r, 7, stays, 0);  /* another reference */
	mf_resolver_forget(lab.r, 6, stays, 1);  /* another front end */
	mf_resolver_forget(lab.r, 7, &stays, 1); /* another client */
	advance(20 * MF_MSEC);
	got_addr(stays, "203.0.113.80");
	assert_int_equal(goes->answers, 0);
	end();
}

/* ---- For people -------------------------------------------------------------------------------- */

static void query_log(void **state)
{
	(void)state;
	begin(zone);
	ask_and_wait("www.example", MF_DNS_A);
	assert_int_equal(lab.log_lines, 0);
	lab.cfg.log_queries = true;
	configure();
	ask("localhost", MF_DNS_A);
	assert_string_equal(lab.log,
			    "query: localhost A from 10.0.0.0: local, NOERROR, here (no rule)");
	ask("www.example", MF_DNS_A);
	assert_string_equal(
		lab.log, "query: www.example A from 10.0.0.0: cached, NOERROR, direct (no rule)");
	ask("www.ads.example", MF_DNS_A);
	assert_string_equal(lab.log, "query: www.ads.example A from 10.0.0.0: blocked, NXDOMAIN, "
				     "drop (route 2, set ads)");
	ask_and_wait("no.vpn.example", MF_DNS_A);
	assert_string_equal(lab.log, "query: no.vpn.example A from 10.0.0.0: asked, NXDOMAIN, "
				     "vpn (route 1, set vpn)");
	assert_int_equal(lab.log_lines, 4);
	end();
}

static void top(void **state)
{
	static struct mf_dns_top v[MF_DNS_TOP_MAX];
	char name[64];
	size_t n;

	(void)state;
	begin(zone);
	/* Two that are frequent among many that are not. */
	for (int i = 0; i < 900; i++) {
		ask("often.ads.example", MF_DNS_A);
		if (i % 2)
			ask("half.ads.example", MF_DNS_A);
		snprintf(name, sizeof(name), "x%d.refused.example", i);
		ask(name, MF_DNS_A);
		while (lab.n_clients)
			free(lab.client[--lab.n_clients].reply);
		memset(lab.client, 0, 3 * sizeof(lab.client[0]));
	}
	n = mf_resolver_top(lab.r, v);
	assert_int_equal(n, MF_DNS_TOP_MAX);
	assert_string_equal(v[0].name, "often.ads.example");
	assert_in_range(v[0].count, 900, 920); /* never too small */
	assert_int_equal(v[0].rule, RULE_ADS);
	assert_string_equal(v[1].name, "half.ads.example");
	assert_in_range(v[1].count, 450, 470);
	/* They fade. */
	lab.now += 1801 * MF_SEC;
	ask("half.ads.example", MF_DNS_A);
	mf_resolver_top(lab.r, v);
	assert_in_range(v[0].count, 450, 460);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed),
		cmocka_unit_test(refused),
		cmocka_unit_test(hosts),
		cmocka_unit_test(special_names),
		cmocka_unit_test(private_reverse),
		cmocka_unit_test(blocked),
		cmocka_unit_test(fallback_to_drop),
		cmocka_unit_test(rules),
		cmocka_unit_test(without_rules),
		cmocka_unit_test(joined),
		cmocka_unit_test(keys),
		cmocka_unit_test(long_answers),
		cmocka_unit_test(per_client),
		cmocka_unit_test(too_many),
		cmocka_unit_test(forget),
		cmocka_unit_test(query_log),
		cmocka_unit_test(top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
