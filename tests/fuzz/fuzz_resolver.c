/* SPDX-License-Identifier: Apache-2.0
 *
 * The resolver between clients and servers that say anything: whole messages of clients, answers of
 * which any part is arbitrary, reloads, changes of the network, clients that go. Whoever waits gets
 * one answer, with its id, in time, and no longer than it can take.
 *
 * A step is a byte that says what, a byte of detail, two of length, and as many bytes.
 */
#include <stdlib.h>

#include "base/endian.h"
#include "resolver/resolver.h"
#include "support/fakedns.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum { HOP_DROP = 1, HOP_REJECT, HOP_DIRECT, HOP_DNS, HOP_VPN };
enum { CLIENTS = 256, BYTES = 4096, RULES = 2 };

struct client {
	bool open;
	uint8_t id[2];
};

static struct {
	mf_nsec now;
	bool woken;
	struct mf_prng prng;
	struct mf_pkt_pool *pool;
	struct fakedns far;
	struct mf_learned *learned;
	struct mf_domain_set *set[RULES];
	struct mf_names *names;
	struct mf_dns_server server[2];
	struct mf_resolver_config cfg[2];
	unsigned which;
	struct mf_resolver *r;
	struct client client[CLIENTS];
	uint8_t answer[BYTES]; /* what servers say behind the question */
	size_t n_answer;
} lab;

/* ---- What the resolver needs ------------------------------------------------------------------- */

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	(void)ctx;
	MF_ASSERT(hop == HOP_DIRECT || hop == HOP_VPN);
	return &lab.far.out;
}

static uint32_t route(void *ctx, const struct mf_addr *a, bool *full)
{
	(void)ctx;
	*full = a->b[3] == 255;
	return HOP_DIRECT;
}

static void check(const uint8_t *msg, size_t n, const uint8_t id[2], bool stream)
{
	struct mf_dns_walk w;
	struct mf_dns_rr rr;

	MF_ASSERT(n >= MF_DNS_HEADER && msg[2] & 0x80 && !memcmp(msg, id, 2));
	MF_ASSERT(stream || n <= MF_DNS_UDP_MAX);
	MF_ASSERT(mf_dns_walk_begin(&w, mf_span(msg, n)) == MF_OK);
	while (mf_dns_walk_next(&w, &rr))
		;
	MF_ASSERT(!w.failed);
}

static void answer(void *ctx, const struct mf_dns_client *c, const uint8_t *msg, size_t n)
{
	struct client *x = &lab.client[c->ref];

	(void)ctx;
	MF_ASSERT(x->open);
	x->open = false;
	check(msg, n, x->id, c->stream);
}

static void wake(void *ctx)
{
	(void)ctx;
	lab.woken = true;
}

static const char *hop_name(void *ctx, uint32_t hop)
{
	(void)ctx, (void)hop;
	return "hop";
}

static void write_line(void *ctx, enum mf_log_level level, const char *line)
{
	(void)ctx, (void)level;
	MF_ASSERT(*line);
}

/* The question, and behind it what the input says. */
static size_t far_answer(struct fakedns_server *s, struct mf_span query, bool tcp, uint8_t *out)
{
	size_t n = fakedns_reply(query, 0, 0, 0, out), m = lab.n_answer;

	(void)s;
	if (m < 8)
		return n;
	/* Flags but QR and TC over TCP, and counts. */
	out[2] = (uint8_t)((lab.answer[0] | 0x80) & (tcp ? 0xfd : 0xff));
	out[3] = lab.answer[1];
	memcpy(out + 6, lab.answer + 2, 6);
	memcpy(out + n, lab.answer + 8, m - 8);
	return n + m - 8;
}

/* ---- Steps --------------------------------------------------------------------------------------- */

static void ask(const uint8_t *bytes, size_t n, uint8_t detail)
{
	static uint8_t out[MF_DNS_MESSAGE_MAX];
	struct mf_dns_client c = {
		.addr = { .addr = mf_addr_ip4((uint8_t[]){ 10, 0, 0, detail & 3 }), .port = 1 },
		.stream = detail & 4,
		.ref = detail,
	};
	struct client *x = &lab.client[detail];
	size_t got = 0;

	if (x->open)
		return;
	switch (mf_resolver_query(lab.r, &c, mf_span(bytes, n), out,
				  c.stream ? sizeof(out) : MF_DNS_UDP_MAX, &got, lab.now)) {
	case MF_DNS_ANSWERED:
		check(out, got, bytes, c.stream);
		break;
	case MF_DNS_KEPT_OPEN:
		x->open = true;
		memcpy(x->id, bytes, 2);
		break;
	case MF_DNS_IGNORED:
		break;
	}
}

/* One of some names, as a client would ask. */
static void ask_well(uint8_t detail, const uint8_t *bytes, size_t n)
{
	static const char *const names[] = { "www.vpn.example", "x.ads.example", "www.example",
					     "router.lan",      "localhost",     "a.b.c.vpn.example" };
	uint8_t msg[600];
	struct mf_dns_name name;
	const char *text = names[n ? bytes[0] % MF_ARRAY_LEN(names) : 0];
	uint16_t type = n > 1 ? bytes[1] : MF_DNS_A;

	MF_ASSERT(mf_dns_name_parse(&name, text, strlen(text)) == MF_OK);
	n = mf_dns_question_write(msg, detail, &name, type, detail & 8, detail & 16, NULL, false);
	ask(msg, n, detail);
}

static void found(void *ctx, const struct mf_addr *addr, size_t n, mf_nsec now)
{
	(void)ctx, (void)now;
	MF_ASSERT(n <= 16 && (!n || addr));
	if (n && addr[0].b[0] % 8 == 0) /* once more, from here */
		(void)!mf_resolver_lookup(lab.r, "again.example", 0, found, NULL, now);
}

static void configure(uint8_t detail)
{
	static const uint8_t strip[] = { [HOP_VPN] = 1 };
	struct mf_resolver_config *cfg = &lab.cfg[lab.which ^= 1];
	mf_err err;

	*cfg = (struct mf_resolver_config){
		.names = detail & 1 ? NULL : lab.names,
		.vpn = &lab.server[0],
		.direct = &lab.server[1],
		.n_vpn = detail & 2 ? 0 : 1,
		.n_direct = 1,
		.fallback_hop = HOP_DIRECT,
		.direct_hop = HOP_DIRECT,
		.drop_hop = HOP_DROP,
		.reject_hop = HOP_REJECT,
		.block = (enum mf_block_answer)(detail >> 2 & 3),
		.block_ttl = 5,
		.hosts_ttl = 5,
		.rebind_protection = detail & 16,
		.strip_aaaa_hops = strip,
		.n_hops = detail & 32 ? 6 : 0,
		.budget = 5 * MF_SEC,
		.race_min = 50 * MF_MSEC,
		.race_max = MF_SEC,
		.cache = { .ttl_max = 3600, .negative_max = 60, .stale = 3600, .prefetch = true },
		.world = detail >> 6,
		.learned_ttl_min = 60,
		.log_queries = detail & 64,
		.per_client = 40,
	};
	err = mf_resolver_configure(lab.r, detail == 255 ? NULL : cfg, lab.now);
	MF_ASSERT(err == MF_OK);
}

static void run(mf_nsec by)
{
	mf_nsec until = lab.now + by, next;

	for (int i = 0;; i++) {
		MF_ASSERT(i < 100000);
		lab.woken = false;
		next = mf_resolver_run(lab.r, lab.now);
		fakedns_run(&lab.far, lab.now);
		if (lab.woken)
			continue;
		next = mf_min(next, fakedns_next(&lab.far));
		if (next > until)
			break;
		lab.now = mf_max(next, lab.now);
	}
	lab.now = until;
}

static void change_servers(uint8_t detail)
{
	for (unsigned i = 0; i < lab.far.n; i++) {
		struct fakedns_server *s = &lab.far.server[i];

		s->twist = (enum fakedns_twist)(detail % FAKEDNS_TWISTS);
		s->delay = (detail >> 4) * 100 * MF_MSEC;
		s->rcode = detail & 7;
	}
}

static void forget(uint8_t detail)
{
	mf_resolver_forget(lab.r, 0, NULL, detail);
	lab.client[detail].open = false;
}

static void step(uint8_t what, uint8_t detail, const uint8_t *bytes, size_t n)
{
	switch (what % 8) {
	case 0:
		ask(bytes, n, detail);
		break;
	case 1:
		ask_well(detail, bytes, n);
		break;
	case 2:
		memcpy(lab.answer, bytes, n);
		lab.n_answer = n;
		break;
	case 3:
		run((mf_nsec)detail * detail * MF_MSEC);
		break;
	case 4:
		configure(detail);
		break;
	case 5:
		change_servers(detail);
		break;
	case 6:
		forget(detail);
		break;
	default:
		if (detail % 4 == 0)
			mf_resolver_network_changed(lab.r, lab.now);
		else
			(void)!mf_resolver_lookup(lab.r, "www.vpn.example",
						  detail % 4 == 1 ? HOP_VPN : 0, found, NULL,
						  lab.now);
	}
}

/* ---- A run --------------------------------------------------------------------------------------- */

static void make_names(void)
{
	static const char *const below[RULES] = { "vpn.example", "ads.example" };
	static const uint32_t hop[RULES] = { HOP_VPN, HOP_DROP };
	struct mf_name_rule rule[RULES];

	for (uint32_t i = 0; i < RULES; i++) {
		struct mf_domain_builder *b = mf_domain_builder_new((const uint8_t[16]){ 1 });

		MF_ASSERT(b && !mf_domain_builder_add(b, MF_DOMAIN_BELOW, below[i],
						      strlen(below[i]), false, NULL));
		lab.set[i] = mf_domain_builder_finish(b);
		rule[i] = (struct mf_name_rule){
			.set = lab.set[i], .set_name = below[i], .hop = hop[i], .rule = i
		};
		MF_ASSERT(lab.set[i]);
	}
	lab.names = mf_names_new(rule, RULES);
	MF_ASSERT(lab.names);
}

static void begin(void)
{
	struct mf_resolver_port port = {
		.outbound = outbound,
		.route = route,
		.answer = answer,
		.wake = wake,
		.hop_name = hop_name,
		.log = { .write = write_line, .level = MF_LOG_DEBUG },
	};
	struct mf_rng rng = { .fill = mf_prng_fill, .ctx = &lab.prng };
	static const char *const text[] = { "192.0.2.1:53", "192.0.2.2:53" };

	memset(&lab, 0, sizeof(lab));
	lab.now = 1000 * MF_SEC;
	lab.pool = mf_pkt_pool_new(2048, 16);
	lab.learned = mf_learned_new(64, (const uint8_t[16]){ 2 });
	fakedns_init(&lab.far, 1);
	for (unsigned i = 0; i < 2; i++) {
		struct fakedns_server *s = fakedns_add(&lab.far, text[i]);

		s->answer = far_answer;
		s->delay = 10 * MF_MSEC;
		lab.server[i] = (struct mf_dns_server){ .text = text[i], .n_addrs = 1 };
		lab.server[i].addr[0] = s->addr;
	}
	make_names();
	lab.r = mf_resolver_new(&port, lab.pool, lab.learned, 64 << 10, NULL, &rng, lab.now);
	MF_ASSERT(lab.pool && lab.learned && lab.r);
	configure(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	begin();
	while (n >= 4) {
		size_t len = mf_min(mf_min(mf_load_be16(in + 2), n - 4), BYTES);

		step(in[0], in[1], in + 4, len);
		in += 4 + len;
		n -= 4 + len;
	}
	/* Everybody gets an answer in time. */
	run(6 * MF_SEC);
	for (unsigned i = 0; i < CLIENTS; i++)
		MF_ASSERT(!lab.client[i].open);
	mf_resolver_free(lab.r);
	fakedns_fini(&lab.far);
	mf_learned_free(lab.learned);
	mf_names_free(lab.names);
	for (unsigned i = 0; i < RULES; i++)
		mf_domain_set_free(lab.set[i]);
	mf_pkt_pool_free(lab.pool);
	return 0;
}
