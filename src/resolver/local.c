/* SPDX-License-Identifier: Apache-2.0
 *
 * local - answers that need no server: dns.hosts, and names that must not leave the machine.
 */
#include "resolver/state.h"

#include <stdlib.h>

/* ---- dns.hosts: sorted, so that a name and those above it are found by bisection ------------- */

int mf_dns_host_compare(const void *a, const void *b)
{
	const struct mf_dns_host *x = a, *y = b;
	int order = memcmp(x->name.b, y->name.b, mf_min(x->name.n, y->name.n));

	if (!order)
		order = (int)x->name.n - (int)y->name.n;
	return order ? order : (int)x->wildcard - (int)y->wildcard;
}

static const struct mf_dns_host *host_named(const struct mf_resolver_config *cfg,
					    const uint8_t *name, size_t n, bool wildcard)
{
	struct mf_dns_host key = { .name.n = (uint8_t)n, .wildcard = wildcard };

	memcpy(key.name.b, name, n);
	return bsearch(&key, cfg->hosts, cfg->n_hosts, sizeof(key), mf_dns_host_compare);
}

/* The name itself, or the nearest one above it that stands for all below. */
static const struct mf_dns_host *find_host(const struct mf_resolver_config *cfg,
					   const struct mf_dns_name *name)
{
	const struct mf_dns_host *h;
	size_t at = 0;

	if (!cfg->n_hosts)
		return NULL;
	h = host_named(cfg, name->b, name->n, false);
	while (!h && name->b[at]) {
		at += name->b[at] + 1u;
		h = host_named(cfg, name->b + at, name->n - at, true);
	}
	return h;
}

static const struct mf_dns_host *host_with(const struct mf_resolver_config *cfg,
					   const struct mf_addr *a)
{
	for (uint32_t i = 0; i < cfg->n_hosts; i++)
		for (uint8_t k = 0; !cfg->hosts[i].wildcard && k < cfg->hosts[i].n; k++)
			if (mf_addr_equal(&cfg->hosts[i].addr[k], a))
				return &cfg->hosts[i];
	return NULL;
}

/* ---- Names of the machine and its neighbourhood ---------------------------------------------- */

/* What becomes of a special name and all below it. NOT_OUTSIDE: public servers do not know it,
 * but those of a VPN may; so a rule for it counts. */
enum special { LOCALHOST, NO_SUCH_NAME, NO_DATA, NOT_OUTSIDE };

#define WIRE(name) (const uint8_t *)(name), sizeof(name)
static const struct special_name {
	const uint8_t *name; /* as in struct mf_dns_name */
	size_t n;
	enum special what;
} special[] = {
	{ WIRE("\x09localhost"), LOCALHOST },  /* RFC 6761 6.3 */
	{ WIRE("\x07invalid"), NO_SUCH_NAME }, /* RFC 6761 6.4 */
	{ WIRE("\x05local"), NOT_OUTSIDE },    /* RFC 6762: multicast DNS */
	{ WIRE("\x05onion"), NOT_OUTSIDE },    /* RFC 7686 */
	/* A browser asks: may I use a resolver of my own? */
	{ WIRE("\x13use-application-dns\x03net"), NO_SUCH_NAME },
	/* RFC 9462: is there a better way to reach you? */
	{ WIRE("\x08resolver\x04"
	       "arpa"),
	  NO_DATA },
};

static const struct special_name *find_special(const struct mf_dns_name *name)
{
	for (size_t at = 0; name->b[at]; at += name->b[at] + 1u)
		for (size_t i = 0; i < MF_ARRAY_LEN(special); i++)
			if (special[i].n == name->n - at &&
			    !memcmp(special[i].name, name->b + at, special[i].n))
				return &special[i];
	return NULL;
}

static bool has_rule(const struct mf_resolver *r, const struct mf_dns_name *name)
{
	struct mf_name_route route;

	mf_resolver_route(r, name, &route);
	return route.rule;
}

/* What is said of the name here; NULL: it is asked like any other. */
static const struct special_name *special_of(const struct mf_resolver *r,
					     const struct mf_dns_name *name)
{
	const struct special_name *s = find_special(name);

	return s && s->what == NOT_OUTSIDE && has_rule(r, name) ? NULL : s;
}

static bool below(const struct mf_dns_name *name, const char *text)
{
	struct mf_dns_name zone;

	return !mf_dns_name_parse(&zone, text, strlen(text)) && mf_dns_name_below(name, &zone);
}

/* Top-level names that are nobody's on the internet, and in use behind many routers (RFC 6762
 * appendix G, RFC 8375, and the one that ICANN has set aside in 2024). */
static bool is_site_name(const struct mf_dns_name *name)
{
	static const char *const site[] = { "lan",      "home",    "home.arpa", "internal",
					    "intranet", "private", "corp",      "localdomain" };

	if (name->n == 1 || name->b[name->b[0] + 1u] == 0)
		return true; /* a single label */
	for (size_t i = 0; i < MF_ARRAY_LEN(site); i++)
		if (below(name, site[i]))
			return true;
	return false;
}

bool mf_local_may_be_private(const struct mf_resolver *r, const struct mf_dns_name *name)
{
	for (uint32_t i = 0; i < r->cfg->n_rebind_allow; i++)
		if (mf_dns_name_below(name, &r->cfg->rebind_allow[i]))
			return true;
	return is_site_name(name);
}

static unsigned count_labels(const struct mf_dns_name *name)
{
	unsigned n = 0;

	for (size_t at = 0; name->b[at]; at += name->b[at] + 1u)
		n++;
	return n;
}

/* Is this a name in in-addr.arpa or ip6.arpa (`zone`, whose addresses have `labels` labels) of a
 * private network? What it leaves out of the address counts as 0, and labels in front that
 * belong to none, as those of DNS service discovery (RFC 6763 11), do not count. */
static bool is_private_in(const struct mf_dns_name *name, const char *zone, unsigned labels)
{
	unsigned left = below(name, zone) ? count_labels(name) - 2 : 0;

	for (size_t at = 0; left; at += name->b[at] + 1u, left--) {
		size_t gap = left < labels ? 2 * (labels - left) : 0;
		struct mf_dns_name full = { 0 };
		struct mf_addr a;

		if (gap + name->n - at > sizeof(full.b))
			continue;
		for (size_t i = 0; i < gap; i += 2) {
			full.b[i] = 1;
			full.b[i + 1] = '0';
		}
		memcpy(full.b + gap, name->b + at, name->n - at);
		full.n = (uint8_t)(gap + name->n - at);
		if (mf_dns_name_unreverse(&full, &a))
			return mf_addr_is_private(&a);
	}
	return false;
}

/* Public servers know nothing of private addresses, and need not hear of them (RFC 6303). */
static bool is_private_reverse(const struct mf_resolver *r, const struct mf_dns_query *q)
{
	const struct mf_resolver_config *cfg = r->cfg;
	static const uint8_t arpa[] = "\x04"
				      "arpa";

	/* Most names are decided here. */
	if (q->name.n < sizeof(arpa) ||
	    memcmp(q->name.b + q->name.n - sizeof(arpa), arpa, sizeof(arpa)) != 0)
		return false;
	if ((!is_private_in(&q->name, "in-addr.arpa", 4) && !is_private_in(&q->name, "ip6.arpa", 32)) ||
	    has_rule(r, &q->name))
		return false;
	for (unsigned i = 0; i < cfg->n_direct; i++)
		for (unsigned k = 0; k < cfg->direct[i].n_addrs; k++)
			if (mf_addr_is_private(&cfg->direct[i].addr[k].addr))
				return false;
	return true;
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* A question and where its answer goes. */
struct reply {
	struct mf_span msg;
	const struct mf_dns_query *q;
	uint8_t *out;
	size_t cap;
	uint32_t ttl;
};

static size_t empty(const struct reply *p, unsigned rcode)
{
	return mf_dns_reply_empty(p->out, p->cap, p->msg, p->q, rcode, MF_DNS_EDE_NONE, p->ttl);
}

static size_t addrs(const struct reply *p, const struct mf_addr *a, size_t n)
{
	uint8_t family = p->q->type == MF_DNS_A      ? MF_AF_IP4
			 : p->q->type == MF_DNS_AAAA ? MF_AF_IP6
						     : 0;

	for (size_t i = 0; i < n; i++)
		if (a[i].family == family)
			return mf_dns_reply_addrs(p->out, p->cap, p->msg, p->q, a, n, p->ttl);
	return empty(p, MF_DNS_NOERROR);
}

static size_t special_answer(const struct reply *p, enum special what)
{
	static const struct mf_addr loopback[2] = {
		{ .b = { 127, 0, 0, 1 }, .family = MF_AF_IP4 },
		{ .b = { [15] = 1 }, .family = MF_AF_IP6 },
	};

	if (what == LOCALHOST)
		return addrs(p, loopback, 2);
	return empty(p, what == NO_DATA ? MF_DNS_NOERROR : MF_DNS_NXDOMAIN);
}

size_t mf_local_answer(struct mf_resolver *r, struct mf_span msg, const struct mf_dns_query *q,
		       uint8_t *out, size_t cap)
{
	const struct mf_resolver_config *cfg = r->cfg;
	struct reply p = { .msg = msg, .q = q, .out = out, .cap = cap, .ttl = cfg->hosts_ttl };
	const struct mf_dns_host *h = find_host(cfg, &q->name);
	const struct special_name *s;
	struct mf_addr a;

	if (h)
		return addrs(&p, h->addr, h->n);
	if (q->type == MF_DNS_PTR && mf_dns_name_unreverse(&q->name, &a) && (h = host_with(cfg, &a)))
		return mf_dns_reply_ptr(out, cap, msg, q, &h->name, p.ttl);
	s = special_of(r, &q->name);
	if (s)
		return special_answer(&p, s->what);
	if (is_private_reverse(r, q))
		return empty(&p, MF_DNS_NXDOMAIN);
	return 0;
}

bool mf_local_knows(const struct mf_resolver *r, const struct mf_dns_name *name,
		    const struct mf_dns_host **host)
{
	const struct mf_dns_host *h = find_host(r->cfg, name);

	if (host)
		*host = h;
	return h || special_of(r, name);
}
