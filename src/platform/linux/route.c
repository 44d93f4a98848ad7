/* SPDX-License-Identifier: Apache-2.0
 *
 * route - leads the machine into the tunnel and back out; see route.h for the scheme.
 *
 * Order: routes first, then the rules from the most special to the one that switches the traffic
 * over; back in the reverse order. So at no time does a packet of ours go round in a circle.
 */
#include "platform/linux/route_priv.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>

/* RFC 1918, RFC 3927, RFC 4193, RFC 4291; multicast and broadcast never leave the local network. */
#define P4(x, y, n)                                                      \
	{                                                                \
		.addr = { .b = { x, y }, .family = MF_AF_IP4 }, .len = n \
	}
#define P6(x, y, n)                                                      \
	{                                                                \
		.addr = { .b = { x, y }, .family = MF_AF_IP6 }, .len = n \
	}
static const struct mf_prefix lan[] = {
	P4(10, 0, 8),
	P4(172, 16, 12),
	P4(192, 168, 16),
	P4(169, 254, 16),
	P4(224, 0, 4),
	{ .addr = { .b = { 255, 255, 255, 255 }, .family = MF_AF_IP4 }, .len = 32 },
	P6(0xfe, 0x80, 10),
	P6(0xfc, 0, 7),
	P6(0xff, 0, 8),
};

struct mf_route {
	struct mf_nl nl;
	uint32_t ifindex;
	bool ip4, ip6;
	bool exclude_lan, dns;
	struct mf_prefix *prefix; /* excluded, then included */
	size_t n_exclude, n_include;
	uint32_t *mark; /* ours first */
	size_t n_marks;
	struct mf_rpfilter *rpfilter;
};

const struct mf_prefix *mf_route_lan(size_t *n)
{
	*n = MF_ARRAY_LEN(lan);
	return lan;
}

static int add_prefixes(struct mf_route *r, uint8_t family, const struct mf_prefix *list, size_t n,
			struct rule rule)
{
	for (size_t i = 0; i < n; i++) {
		struct mf_prefix p = mf_prefix_mask(list[i]);
		int e;

		if (p.addr.family != family)
			continue;
		rule.to = &p;
		e = mf_route_nl_rule(&r->nl, &rule, true);
		if (e)
			return e;
	}
	return 0;
}

/* Marked packets that must not be led anywhere by a prefix jump over all of it. */
static int add_marks(struct mf_route *r, uint8_t family)
{
	const struct rule end = { family, MF_ROUTE_RULE_END, .table = 0 };
	struct rule own = { family, MF_ROUTE_RULE_OWN, .go_to = MF_ROUTE_RULE_END };
	int e = 0;

	if (!r->n_include && !r->dns && r->n_marks == 1)
		return 0;
	e = mf_route_nl_rule(&r->nl, &end, true);
	for (size_t i = 0; i < r->n_marks && !e; i++) {
		own.mark = r->mark[i];
		e = mf_route_nl_rule(&r->nl, &own, true);
	}
	return e;
}

/* A name server on a network of this machine's own would be asked past the tunnel. What others send through this
 * machine (containers, guests) is left alone. */
static int add_dns(struct mf_route *r, uint8_t family)
{
	struct rule ask = { family, MF_ROUTE_RULE_INCLUDE, MF_ROUTE_TABLE, .dport = 53 };
	int e;

	ask.ip_proto = IPPROTO_UDP;
	e = mf_route_nl_rule(&r->nl, &ask, true);
	ask.ip_proto = IPPROTO_TCP;
	return e ? e : mf_route_nl_rule(&r->nl, &ask, true);
}

static struct rule tunnel_rule(uint8_t family)
{
	return (struct rule){ family, MF_ROUTE_RULE_TUNNEL, MF_ROUTE_TABLE, .mark = MF_ROUTE_MARK,
			      .unmarked = true };
}

static int add_rules(struct mf_route *r, uint8_t family)
{
	const struct rule in = { family, MF_ROUTE_RULE_INCLUDE, MF_ROUTE_TABLE, .to = NULL };
	const struct rule out = { family, MF_ROUTE_RULE_EXCLUDE, RT_TABLE_MAIN, .to = NULL };
	const struct rule known = { family, MF_ROUTE_RULE_MAIN, RT_TABLE_MAIN, .no_default = true };
	const struct rule all = tunnel_rule(family);
	int e = add_marks(r, family);

	if (!e)
		e = add_prefixes(r, family, r->prefix + r->n_exclude, r->n_include, in);
	if (!e && r->dns)
		e = add_dns(r, family);
	if (!e && r->exclude_lan)
		e = add_prefixes(r, family, lan, MF_ARRAY_LEN(lan), out);
	if (!e)
		e = add_prefixes(r, family, r->prefix, r->n_exclude, out);
	if (!e)
		e = mf_route_nl_rule(&r->nl, &known, true);
	return e ? e : mf_route_nl_rule(&r->nl, &all, true);
}

static int apply_family(struct mf_route *r, uint8_t family)
{
	int e = mf_route_nl_default(&r->nl, family, r->ifindex);

	return e ? e : add_rules(r, family);
}

/* Nobody else has rules and routes with our protocol number: `mf_route_up` made sure. */
static void undo_family(struct mf_route *r, uint8_t family)
{
	const struct rule all = tunnel_rule(family);
	uint32_t removed = 0;

	(void)mf_route_nl_rule(&r->nl, &all, false);
	(void)mf_route_nl_clean_rules(&r->nl, family, &removed);
	(void)mf_route_nl_clean_routes(&r->nl, family, &removed);
}

static int apply(struct mf_route *r)
{
	int e = r->ip4 ? apply_family(r, MF_AF_IP4) : 0;

	if (!e && r->ip6) {
		e = apply_family(r, MF_AF_IP6);
		/* A kernel without IPv6 has nothing to lead anywhere. */
		if (e == -EAFNOSUPPORT || e == -EOPNOTSUPP)
			r->ip6 = false, e = 0;
	}
	return e;
}

static mf_err nl_failed(int r, const char *what, struct mf_errbuf *eb)
{
	return mf_fail(eb, r == -EPERM ? MF_E_PERMISSION : MF_E_SYSTEM, "tunnel.auto_route: %s: %s",
		       what, r == -EPERM ? "needs root or CAP_NET_ADMIN" : strerror(-r));
}

/* Routes go with their device, so one that is there belongs to a tunnel that lives. */
static mf_err check_owner(struct mf_route *r, struct mf_errbuf *eb)
{
	static const uint8_t families[] = { MF_AF_IP4, MF_AF_IP6 };
	char name[IF_NAMESIZE];
	uint32_t owner = 0;

	for (size_t i = 0; i < MF_ARRAY_LEN(families); i++) {
		if (mf_route_nl_owner(&r->nl, families[i], &owner) || !owner || owner == r->ifindex)
			continue;
		return mf_fail(
			eb, MF_E_CONFLICT,
			"tunnel.auto_route: another tunnel (%s) has already taken the machine's "
			"traffic: stop it, or set auto_route: false here",
			if_indextoname(owner, name) ? name : "?");
	}
	return MF_OK;
}

static mf_err clean(struct mf_nl *nl, uint32_t *removed, struct mf_errbuf *eb)
{
	int r4 = mf_route_nl_clean_rules(nl, MF_AF_IP4, removed);
	int r6 = mf_route_nl_clean_rules(nl, MF_AF_IP6, removed);

	(void)mf_route_nl_clean_routes(nl, MF_AF_IP4, removed);
	(void)mf_route_nl_clean_routes(nl, MF_AF_IP6, removed);
	if (r6 == -EAFNOSUPPORT || r6 == -EOPNOTSUPP)
		r6 = 0;
	if (r4 || r6)
		return nl_failed(r4 ? r4 : r6, "cannot remove what an earlier run left behind", eb);
	return MF_OK;
}

static void free_route(struct mf_route *r)
{
	mf_nl_close(&r->nl);
	free(r->prefix);
	free(r->mark);
	free(r);
}

static bool copy_lists(struct mf_route *r, const struct mf_route_options *o)
{
	r->prefix = calloc(o->n_exclude + o->n_include + 1, sizeof(*r->prefix));
	r->mark = calloc(o->n_marks + 1, sizeof(*r->mark));
	if (!r->prefix || !r->mark)
		return false;
	for (size_t i = 0; i < o->n_exclude; i++)
		r->prefix[r->n_exclude++] = o->exclude[i];
	for (size_t i = 0; i < o->n_include; i++)
		r->prefix[r->n_exclude + r->n_include++] = o->include[i];
	r->mark[r->n_marks++] = MF_ROUTE_MARK;
	for (size_t i = 0; i < o->n_marks; i++)
		if (o->marks[i] && o->marks[i] != MF_ROUTE_MARK)
			r->mark[r->n_marks++] = o->marks[i];
	return true;
}

static struct mf_route *new_route(const struct mf_route_options *o)
{
	struct mf_route *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->ifindex = o->ifindex;
	r->ip4 = o->ip4;
	r->ip6 = o->ip6;
	r->exclude_lan = o->exclude_lan;
	r->dns = o->dns;
	if (copy_lists(r, o) && !mf_nl_open(&r->nl))
		return r;
	free_route(r);
	return NULL;
}

struct mf_route *mf_route_up(const struct mf_route_options *o, mf_err *err, struct mf_errbuf *eb)
{
	struct mf_route *r = new_route(o);
	uint32_t removed = 0;
	mf_err e = MF_OK;
	int n;

	if (!r) {
		e = mf_fail(eb, MF_E_NO_MEMORY, "tunnel.auto_route: no netlink socket or memory");
		goto out;
	}
	e = check_owner(r, eb);
	if (!e)
		e = clean(&r->nl, &removed, eb);
	if (e)
		goto undo_new;
	r->rpfilter = mf_rpfilter_loosen();
	n = apply(r);
	if (!n)
		goto out;
	e = nl_failed(n, "cannot add routes and rules", eb);
	undo_family(r, MF_AF_IP4);
	undo_family(r, MF_AF_IP6);
	mf_rpfilter_restore(r->rpfilter);
undo_new:
	free_route(r);
	r = NULL;
out:
	if (err)
		*err = e;
	return r;
}

mf_err mf_route_refresh(struct mf_route *r, struct mf_errbuf *eb)
{
	int n = apply(r);

	return n ? nl_failed(n, "cannot add routes and rules again", eb) : MF_OK;
}

void mf_route_down(struct mf_route *r)
{
	if (!r)
		return;
	if (r->ip4)
		undo_family(r, MF_AF_IP4);
	if (r->ip6)
		undo_family(r, MF_AF_IP6);
	mf_rpfilter_restore(r->rpfilter);
	free_route(r);
}

mf_err mf_route_clean(uint32_t *removed, struct mf_errbuf *eb)
{
	struct mf_nl nl;
	uint32_t n = 0;
	int r = mf_nl_open(&nl);
	mf_err e;

	if (r)
		return nl_failed(r, "no netlink socket", eb);
	e = clean(&nl, &n, eb);
	mf_nl_close(&nl);
	if (removed)
		*removed = n;
	return e;
}
