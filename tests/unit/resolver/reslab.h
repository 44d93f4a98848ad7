/* SPDX-License-Identifier: Apache-2.0
 *
 * reslab - a resolver with made-up servers (support/fakedns.h) behind each interface, a zone that
 * they know, and clients that ask, on virtual time. Whatever a client gets is checked: it is the
 * answer to its question to the letter, it fits, and the addresses in it lead where the name's rule
 * says at the moment when it is handed over.
 */
#ifndef MF_TEST_RESLAB_H
#define MF_TEST_RESLAB_H

#include "base/endian.h"
#include "resolver/resolver.h"
#include "support/fakedns.h"

#include "unit.h"

enum { HOP_DROP = 1, HOP_REJECT, HOP_DIRECT, HOP_DNS, HOP_VPN, HOP_WORK, HOPS };
enum { RULE_VPN, RULE_ADS, RULE_REFUSED, RULE_WORK, RULE_PLAIN, RULES };
enum { CLIENTS = 3000, QUERY_MAX = 512 };

/* What servers know. */
struct rec {
	const char *name;
	uint16_t type;
	uint32_t ttl;
	const char *value; /* an address, or of a CNAME the target */
};

/* One question of a client, and what came of it. */
struct client {
	uint8_t query[QUERY_MAX], *reply;
	size_t n_query, n;
	enum mf_dns_outcome outcome;
	unsigned answers; /* at once or later */
	struct mf_dns_query q;
	struct mf_dns_facts f;
	uint16_t flags;
	int ede;
};

static struct {
	mf_nsec now;
	bool woken;
	struct mf_prng prng;
	struct mf_pkt_pool *pool;
	struct fakedns far[HOPS];
	const struct rec *zone;
	uint8_t zone_rcode;
	bool down[HOPS];
	struct mf_learned *learned;
	struct mf_domain_set *set[RULES];
	struct mf_names *names;
	struct mf_dns_server direct[2], vpn[2];
	struct mf_dns_host hosts[16];
	/* What the test writes; the resolver has one of the two copies. */
	struct mf_resolver_config cfg, live[2];
	unsigned which;
	struct mf_resolver *r;
	struct client client[CLIENTS];
	unsigned n_clients;
	struct mf_addr full;   /* an address with a static route of full length */
	bool shared_addresses; /* of names with different rules: not checked */
	unsigned log_lines;
	char log[512]; /* the last line */
} lab;

/* ---- Servers --------------------------------------------------------------------------------- */

static size_t put_name(uint8_t *out, const char *text)
{
	struct mf_dns_name name;

	assert_int_equal(mf_dns_name_parse(&name, text, strlen(text)), MF_OK);
	memcpy(out, name.b, name.n);
	return name.n;
}

static size_t put_rr(uint8_t *out, const char *name, uint16_t type, uint32_t ttl, const void *rdata,
		     size_t n)
{
	size_t at = put_name(out, name);

	mf_store_be16(out + at, type);
	mf_store_be16(out + at + 2, MF_DNS_IN);
	mf_store_be32(out + at + 4, ttl);
	mf_store_be16(out + at + 8, (uint16_t)n);
	memcpy(out + at + 10, rdata, n);
	return at + 10 + n;
}

static size_t put_rec(uint8_t *out, const struct rec *rec)
{
	uint8_t rdata[512];
	struct mf_addr a;
	size_t n;

	switch (rec->type) {
	case MF_DNS_A:
	case MF_DNS_AAAA:
		assert_int_equal(mf_addr_parse(&a, rec->value), MF_OK);
		memcpy(rdata, a.b, n = mf_addr_len(&a));
		break;
	case MF_DNS_HTTPS: /* 1 . ipv4hint=value */
		assert_int_equal(mf_addr_parse(&a, rec->value), MF_OK);
		memcpy(rdata, (uint8_t[]){ 0, 1, 0, 0, 4, 0, 4 }, 7);
		memcpy(rdata + 7, a.b, 4);
		n = 11;
		break;
	case MF_DNS_TXT:
		n = strlen(rec->value);
		rdata[0] = (uint8_t)n;
		memcpy(rdata + 1, rec->value, n++);
		break;
	default:
		n = put_name(rdata, rec->value);
	}
	return put_rr(out, rec->name, rec->type, rec->ttl, rdata, n);
}

static size_t put_soa(uint8_t *out)
{
	uint8_t rdata[64] = { 0 };
	size_t n = put_name(rdata, "ns.example");

	n += put_name(rdata + n, "root.example");
	mf_store_be32(rdata + n + 16, 60); /* how long a "no" holds */
	return put_rr(out, "example", MF_DNS_SOA, 60, rdata, n + 20);
}

static bool is_named(const struct rec *rec, const char *name)
{
	return strcmp(rec->name, name) == 0;
}

/* Answers from the zone: CNAMEs are followed; what is not there is NODATA or NXDOMAIN. */
static size_t zone_answer(struct fakedns_server *s, struct mf_span query, bool tcp, uint8_t *out)
{
	char name[MF_DNS_TEXT_MAX];
	struct mf_dns_query q;
	unsigned n = 0, known = 0;
	size_t at;

	(void)s, (void)tcp;
	assert_int_equal(mf_dns_query_read(query, &q), MF_OK);
	at = fakedns_reply(query, lab.zone_rcode, 0, 0, out);
	mf_dns_name_format(&q.name, name);
	for (const struct rec *rec = lab.zone; rec && rec->name && !lab.zone_rcode; rec++) {
		if (!is_named(rec, name))
			continue;
		known++;
		if (rec->type != q.type && rec->type != MF_DNS_CNAME)
			continue;
		at += put_rec(out + at, rec);
		n++;
		if (rec->type == MF_DNS_CNAME)
			strcpy(name, rec->value);
	}
	mf_store_be16(out + 6, (uint16_t)n);
	if (!n && !lab.zone_rcode) {
		out[3] |= known ? MF_DNS_NOERROR : MF_DNS_NXDOMAIN;
		at += put_soa(out + at);
		mf_store_be16(out + 8, 1);
	}
	return at;
}

/* How many questions have come in behind an interface. */
static inline unsigned asked(unsigned hop)
{
	unsigned n = 0;

	for (unsigned i = 0; i < lab.far[hop].n; i++)
		n += lab.far[hop].server[i].n_udp + lab.far[hop].server[i].n_tcp;
	return n;
}

static inline unsigned asked_all(void)
{
	return asked(HOP_DIRECT) + asked(HOP_VPN) + asked(HOP_WORK);
}

static inline void far_twist(enum fakedns_twist twist)
{
	for (unsigned h = 0; h < HOPS; h++)
		for (unsigned i = 0; i < lab.far[h].n; i++)
			lab.far[h].server[i].twist = lab.far[h].server[i].tcp_twist = twist;
}

static inline void far_delay(mf_nsec delay)
{
	for (unsigned h = 0; h < HOPS; h++)
		for (unsigned i = 0; i < lab.far[h].n; i++)
			lab.far[h].server[i].delay = delay;
}

/* ---- What the resolver needs ----------------------------------------------------------------- */

static struct mf_outbound *lab_outbound(void *ctx, uint32_t hop)
{
	(void)ctx;
	assert_true(hop == HOP_DIRECT || hop == HOP_VPN || hop == HOP_WORK);
	return lab.down[hop] ? NULL : &lab.far[hop].out;
}

static uint32_t lab_route(void *ctx, const struct mf_addr *a, bool *full)
{
	(void)ctx;
	*full = mf_addr_equal(a, &lab.full);
	return HOP_DIRECT;
}

static const char *lab_hop_name(void *ctx, uint32_t hop)
{
	static const char *const name[] = { "none", "drop", "reject", "direct", "dns", "vpn", "work" };

	(void)ctx;
	assert_true(hop < MF_ARRAY_LEN(name));
	return name[hop];
}

static void lab_wake(void *ctx)
{
	(void)ctx;
	lab.woken = true;
}

static void lab_write(void *ctx, enum mf_log_level level, const char *line)
{
	(void)ctx, (void)level;
	lab.log_lines++;
	snprintf(lab.log, sizeof(lab.log), "%s", line);
}

static inline uint32_t learned(const struct mf_addr *a)
{
	return a->family == MF_AF_IP4 ? mf_learned_lookup4(lab.learned, mf_load_be32(a->b))
				      : mf_learned_lookup6(lab.learned, a->b);
}

/* ---- Clients --------------------------------------------------------------------------------- */

/* The extended error in the OPT record that must be the last record, or -1. */
static int ede_of(struct mf_span msg)
{
	struct mf_dns_walk w;
	struct mf_dns_rr rr;
	int ede = -1;

	assert_int_equal(mf_dns_walk_begin(&w, msg), MF_OK);
	while (mf_dns_walk_next(&w, &rr))
		if (rr.type == MF_DNS_OPT && rr.rdlen >= 6)
			ede = mf_load_be16(msg.p + rr.rdata + 4);
	assert_false(w.failed);
	return ede;
}

static void check_routes(const struct client *c)
{
	char text[MF_DNS_NAME_MAX];
	size_t n = mf_dns_name_host(&c->q.name, text);
	const struct mf_name_rule *rule = n && lab.cfg.names ? mf_names_find(lab.cfg.names, text, n)
							     : NULL;

	if (!rule || lab.shared_addresses || lab.cfg.n_hosts ||
	    ((rule->hop == HOP_DROP || rule->hop == HOP_REJECT) && lab.cfg.block != MF_BLOCK_ROUTE))
		return;
	for (uint16_t i = 0; i < c->f.n_addrs; i++)
		if (!mf_addr_equal(&c->f.addr[i], &lab.full))
			assert_int_equal(learned(&c->f.addr[i]), rule->hop);
}

/* A client gets an answer. */
static void check_reply(struct client *c, bool stream, const uint8_t *msg, size_t n)
{
	size_t end = c->q.question_end;

	c->answers++;
	c->reply = realloc(c->reply, n);
	assert_non_null(c->reply);
	memcpy(c->reply, msg, n);
	c->n = n;
	assert_true(n >= MF_DNS_HEADER);
	assert_memory_equal(msg, c->query, 2);
	c->flags = mf_load_be16(msg + 2);
	assert_true(c->flags & MF_DNS_QR);
	assert_int_equal(c->flags & MF_DNS_RD, mf_load_be16(c->query + 2) & MF_DNS_RD);
	if (end) {
		assert_true(n >= end);
		assert_memory_equal(msg + MF_DNS_HEADER, c->query + MF_DNS_HEADER,
				    end - MF_DNS_HEADER);
		assert_true(stream || n <= c->q.udp_size);
		assert_int_equal(mf_dns_facts_read(mf_span(msg, n), &c->f), MF_OK);
		c->ede = ede_of(mf_span(msg, n));
		check_routes(c);
	}
}

static void lab_answer(void *ctx, const struct mf_dns_client *c, const uint8_t *msg, size_t n)
{
	struct client *x = &lab.client[c->ref];

	(void)ctx;
	assert_int_equal(x->outcome, MF_DNS_KEPT_OPEN);
	assert_int_equal(x->answers, 0);
	assert_int_equal(c->tag, 7);
	assert_ptr_equal(c->ctx, x);
	check_reply(x, c->stream, msg, n);
}

/* How a client asks besides name and type. */
struct how {
	uint16_t class, flags;
	uint16_t udp_size; /* 0: no EDNS */
	uint8_t version;
	bool dnssec_ok, stream;
	uint8_t from; /* last byte of the client's address */
};

static size_t write_query(uint8_t *out, uint16_t id, const char *name, uint16_t type,
			  const struct how *how)
{
	size_t at = MF_DNS_HEADER;

	memset(out, 0, MF_DNS_HEADER);
	mf_store_be16(out, id);
	mf_store_be16(out + 2, how->flags ? how->flags : MF_DNS_RD);
	mf_store_be16(out + 4, 1);
	/* To the letter: mf_dns_name_parse would make them all small. */
	for (const char *dot; *name && strcmp(name, ".") != 0; name = *dot ? dot + 1 : dot) {
		dot = strchr(name, '.');
		dot = dot ? dot : name + strlen(name);
		out[at] = (uint8_t)(dot - name);
		memcpy(out + at + 1, name, out[at]);
		at += 1u + out[at];
	}
	out[at++] = 0;
	mf_store_be16(out + at, type);
	mf_store_be16(out + at + 2, how->class ? how->class : MF_DNS_IN);
	at += 4;
	if (!how->udp_size)
		return at;
	out[11] = 1;
	memcpy(out + at, (uint8_t[11]){ [2] = MF_DNS_OPT }, 11);
	mf_store_be16(out + at + 3, how->udp_size);
	out[at + 6] = how->version;
	mf_store_be16(out + at + 7, how->dnssec_ok ? 0x8000 : 0);
	return at + 11;
}

static inline struct client *ask_raw(const uint8_t *msg, size_t n, const struct how *how)
{
	struct client *x = &lab.client[lab.n_clients];
	struct mf_dns_client c = {
		.addr = { .addr = mf_addr_ip4((uint8_t[]){ 10, 0, 0, how->from }), .port = 4000 },
		.tag = 7,
		.stream = how->stream,
		.ctx = x,
		.ref = lab.n_clients++,
	};
	size_t cap = how->stream ? MF_DNS_MESSAGE_MAX : MF_DNS_UDP_MAX, got = 0;
	static uint8_t out[MF_DNS_MESSAGE_MAX];

	assert_true(lab.n_clients <= CLIENTS && n <= QUERY_MAX);
	memcpy(x->query, msg, n);
	x->n_query = n;
	(void)!mf_dns_query_read(mf_span(x->query, n), &x->q);
	x->outcome = mf_resolver_query(lab.r, &c, mf_span(x->query, n), out, cap, &got, lab.now);
	if (x->outcome == MF_DNS_ANSWERED) {
		assert_true(got <= cap);
		check_reply(x, how->stream, out, got);
	}
	return x;
}

static inline struct client *ask_how(const char *name, uint16_t type, const struct how *how)
{
	uint8_t msg[QUERY_MAX];
	uint16_t id = (uint16_t)mf_prng_u64(&lab.prng);

	return ask_raw(msg, write_query(msg, id, name, type, how), how);
}

static inline struct client *ask(const char *name, uint16_t type)
{
	return ask_how(name, type, &(struct how){ 0 });
}

/* ---- Time ------------------------------------------------------------------------------------ */

static inline mf_nsec settle(void)
{
	mf_nsec next;

	for (int i = 0;; i++) {
		assert_true(i < 1000);
		lab.woken = false;
		next = mf_resolver_run(lab.r, lab.now);
		for (unsigned h = 0; h < HOPS; h++)
			fakedns_run(&lab.far[h], lab.now);
		if (!lab.woken && next > lab.now)
			break;
	}
	for (unsigned h = 0; h < HOPS; h++)
		next = mf_min(next, fakedns_next(&lab.far[h]));
	return next;
}

static inline void advance(mf_nsec by)
{
	mf_nsec until = lab.now + by, next;

	while ((next = settle()) <= until)
		lab.now = mf_max(next, lab.now);
	lab.now = until;
	settle();
}

/* Asks and waits for the answer. */
static inline struct client *ask_and_wait_how(const char *name, uint16_t type, const struct how *how)
{
	struct client *c = ask_how(name, type, how);

	for (int i = 0; !c->answers && i < 10000; i++)
		advance(MF_MSEC);
	assert_int_equal(c->answers, 1);
	return c;
}

static inline struct client *ask_and_wait(const char *name, uint16_t type)
{
	return ask_and_wait_how(name, type, &(struct how){ 0 });
}

/* ---- What clients got ------------------------------------------------------------------------ */

static inline void got_rcode(const struct client *c, unsigned rcode, unsigned n_answers)
{
	assert_int_equal(c->answers, 1);
	assert_int_equal(c->flags & MF_DNS_RCODE, rcode);
	assert_int_equal(mf_load_be16(c->reply + 6), n_answers);
}

/* One address and no other. */
static inline void got_addr(const struct client *c, const char *text)
{
	struct mf_addr a;

	assert_int_equal(mf_addr_parse(&a, text), MF_OK);
	assert_int_equal(c->answers, 1);
	assert_int_equal(c->flags & MF_DNS_RCODE, MF_DNS_NOERROR);
	if (c->f.n_addrs != 1)
		fail_msg("question %u: %u addresses", (unsigned)(c - lab.client), c->f.n_addrs);
	assert_true(mf_addr_equal(&c->f.addr[0], &a));
}

static inline uint32_t learned_text(const char *text)
{
	struct mf_addr a;

	assert_int_equal(mf_addr_parse(&a, text), MF_OK);
	return learned(&a);
}

#define COUNT(name) ((unsigned)mf_resolver_counters(lab.r)->name)

/* ---- A life ---------------------------------------------------------------------------------- */

static struct mf_domain_set *make_set(const char *const *name)
{
	struct mf_domain_builder *b = mf_domain_builder_new((const uint8_t[16]){ 1 });

	for (; *name; name++)
		assert_int_equal(mf_domain_builder_add(b, MF_DOMAIN_BELOW, *name, strlen(*name),
						       false, NULL),
				 MF_OK);
	return mf_domain_builder_finish(b);
}

static void make_names(void)
{
	static const char *const
		vpn[] = { "vpn.example", "corp.local", "10.in-addr.arpa", NULL },
		*const ads[] = { "ads.example", NULL }, *const refused[] = { "refused.example", NULL },
		*const work[] = { "work.example", NULL }, *const plain[] = { "plain.example", NULL };
	static const char *const *const lists[] = { vpn, ads, refused, work, plain };
	static const char *const text[] = { "vpn", "ads", "refused", "work", "plain" };
	static const uint32_t hop[] = { HOP_VPN, HOP_DROP, HOP_REJECT, HOP_WORK, HOP_DIRECT };
	struct mf_name_rule rule[RULES];

	for (uint32_t i = 0; i < RULES; i++) {
		lab.set[i] = make_set(lists[i]);
		assert_non_null(lab.set[i]);
		rule[i] = (struct mf_name_rule){
			.set = lab.set[i], .set_name = text[i], .hop = hop[i], .rule = i
		};
	}
	lab.names = mf_names_new(rule, RULES);
	assert_non_null(lab.names);
}

static void add_servers(unsigned hop, const struct mf_dns_server *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct fakedns_server *s = fakedns_add(&lab.far[hop], v[i].text);

		s->delay = 10 * MF_MSEC;
		s->answer = zone_answer;
	}
}

static void make_servers(void)
{
	static const char *const direct[] = { "192.0.2.1:53", "192.0.2.2:53" }, *const vpn[] = {
		"198.51.100.1:53", "198.51.100.2:53"
	};

	for (unsigned i = 0; i < 2; i++) {
		lab.direct[i] = (struct mf_dns_server){ .text = direct[i], .n_addrs = 1 };
		lab.vpn[i] = (struct mf_dns_server){ .text = vpn[i], .n_addrs = 1 };
		assert_int_equal(mf_endpoint_parse(&lab.direct[i].addr[0], direct[i]), MF_OK);
		assert_int_equal(mf_endpoint_parse(&lab.vpn[i].addr[0], vpn[i]), MF_OK);
	}
	for (unsigned h = 0; h < HOPS; h++)
		fakedns_init(&lab.far[h], mf_prng_u64(&lab.prng));
	add_servers(HOP_DIRECT, lab.direct, 2);
	add_servers(HOP_VPN, lab.vpn, 2);
	add_servers(HOP_WORK, lab.vpn, 2);
}

static struct mf_resolver_config usual_config(void)
{
	return (struct mf_resolver_config){
		.names = lab.names,
		.vpn = lab.vpn,
		.direct = lab.direct,
		.n_vpn = 1, /* a second one would be asked now and then to measure it */
		.n_direct = 1,
		.fallback_hop = HOP_DIRECT,
		.direct_hop = HOP_DIRECT,
		.drop_hop = HOP_DROP,
		.reject_hop = HOP_REJECT,
		.block_ttl = 10,
		.hosts_ttl = 60,
		.rebind_protection = true,
		.budget = 5 * MF_SEC,
		.race_min = 50 * MF_MSEC,
		.race_max = MF_SEC,
		.cache = { .ttl_max = 86400, .negative_max = 3600, .stale = 86400, .prefetch = true },
		.world = 1,
		.learned_ttl_min = 60,
		.learned_idle = MF_SEC,
	};
}

static inline void configure(void)
{
	struct mf_resolver_config *live = &lab.live[lab.which ^= 1];

	*live = lab.cfg;
	assert_int_equal(mf_resolver_configure(lab.r, live, lab.now), MF_OK);
	settle();
}

static inline void begin_with(uint32_t max_learned)
{
	struct mf_resolver_port port = {
		.outbound = lab_outbound,
		.route = lab_route,
		.answer = lab_answer,
		.wake = lab_wake,
		.hop_name = lab_hop_name,
		.log = { .write = lab_write, .level = MF_LOG_INFO },
	};
	struct mf_rng rng = { .fill = mf_prng_fill, .ctx = &lab.prng };

	memset(&lab, 0, sizeof(lab));
	lab.prng = unit_prng("reslab");
	lab.now = 100000 * MF_SEC + mf_prng_below(&lab.prng, MF_SEC);
	lab.pool = mf_pkt_pool_new(4096, 64);
	lab.learned = mf_learned_new(max_learned, (const uint8_t[16]){ 2 });
	make_servers();
	make_names();
	lab.cfg = usual_config();
	lab.r = mf_resolver_new(&port, lab.pool, lab.learned, 1 << 20, NULL, &rng, lab.now);
	assert_non_null(lab.r);
	configure();
}

static inline void begin(const struct rec *zone)
{
	begin_with(1024);
	lab.zone = zone;
}

static inline void end(void)
{
	mf_resolver_free(lab.r);
	for (unsigned h = 0; h < HOPS; h++)
		fakedns_fini(&lab.far[h]);
	mf_learned_free(lab.learned);
	mf_names_free(lab.names);
	for (unsigned i = 0; i < RULES; i++)
		mf_domain_set_free(lab.set[i]);
	for (unsigned i = 0; i < lab.n_clients; i++)
		free(lab.client[i].reply);
	mf_pkt_pool_free(lab.pool); /* asserts that no packet is missing */
}

#endif
