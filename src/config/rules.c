/* SPDX-License-Identifier: Apache-2.0
 *
 * rules - unrolls routes (or, without app routing, allowed IPs) into one rule a prefix, and finds the
 * prefixes that are told to go to two places.
 */
#include "config/errors.h"
#include "config/load.h"

#include <stdlib.h>

struct rule_list {
	struct mf_config_rule *v;
	uint32_t n;
};

static bool rules_room(struct mf_loader *l, struct rule_list *list, size_t n)
{
	if (n > MF_CONFIG_MAX_PREFIXES) {
		mf_config_error(
			l->errs, l->cfg->app_routing.src.pos,
			"the routes unroll into %zu prefixes, at most %d are allowed; use fewer "
			"or wider ones",
			n, MF_CONFIG_MAX_PREFIXES);
		return false;
	}
	list->n = 0;
	list->v = mf_config_arena_alloc(l->arena, n * sizeof(*list->v));
	return list->v;
}

static int by_prefix_then_order(const void *a, const void *b)
{
	const struct mf_config_rule *x = *(const struct mf_config_rule *const *)a;
	const struct mf_config_rule *y = *(const struct mf_config_rule *const *)b;
	int d = x->prefix.addr.family - y->prefix.addr.family;

	if (!d)
		d = memcmp(x->prefix.addr.b, y->prefix.addr.b, sizeof(x->prefix.addr.b));
	if (!d)
		d = x->prefix.len - y->prefix.len;
	return d ? d : x < y ? -1 : x > y;
}

static bool same_target(const struct mf_config_rule *a, const struct mf_config_rule *b)
{
	return a->action == b->action &&
	       (a->action != MF_CONFIG_TO_INTERFACE || a->interface == b->interface);
}

/* Calls `clash` for each rule whose prefix an earlier one sends elsewhere; rules that say what an
 * earlier one said are taken out. */
static void merge(struct mf_loader *l, struct rule_list *list,
		  void (*clash)(struct mf_loader *l, const struct mf_config_rule *earlier,
				const struct mf_config_rule *later))
{
	struct mf_config_rule **sorted =
		mf_config_arena_alloc(l->arena, list->n * sizeof(struct mf_config_rule *));
	uint32_t first = 0, kept = 0;

	if (!sorted)
		return;
	for (uint32_t i = 0; i < list->n; i++)
		sorted[i] = &list->v[i];
	qsort(sorted, list->n, sizeof(struct mf_config_rule *), by_prefix_then_order);
	for (uint32_t i = 1; i < list->n; i++) {
		if (!mf_prefix_equal(&sorted[i]->prefix, &sorted[first]->prefix)) {
			first = i;
			continue;
		}
		if (!same_target(sorted[i], sorted[first]))
			clash(l, sorted[first], sorted[i]);
		sorted[i]->pos.file = NULL; /* marks it as taken out */
	}
	for (uint32_t i = 0; i < list->n; i++)
		if (list->v[i].pos.file)
			list->v[kept++] = list->v[i];
	list->n = kept;
}

static struct mf_config_pos criterion_pos(const struct mf_config_route *r)
{
	return mf_load_pos(&r->src, r->cidr_set ? "cidr_set" : "cidr");
}

static void routes_clash(struct mf_loader *l, const struct mf_config_rule *earlier,
			 const struct mf_config_rule *later)
{
	const struct mf_config_route *a = earlier->route, *b = later->route;
	char prefix[MF_PREFIX_STRLEN];

	mf_config_error(
		l->errs, criterion_pos(b),
		"%s goes to `%s` here, but to `%s` in line %u; let both say the same or remove "
		"one",
		mf_prefix_format(&later->prefix, prefix), b->to, a->to, criterion_pos(a).line);
}

static void interfaces_clash(struct mf_loader *l, const struct mf_config_rule *earlier,
			     const struct mf_config_rule *later)
{
	char prefix[MF_PREFIX_STRLEN];

	mf_config_error(
		l->errs, later->pos,
		"without `app_routing` a prefix belongs to one interface, but %s is also in the "
		"allowed IPs of `%s` (line %u); add `app_routing`, or remove one",
		mf_prefix_format(&later->prefix, prefix),
		l->cfg->interfaces[earlier->interface].name, earlier->pos.line);
}

static void peers_clash(struct mf_loader *l, const struct mf_config_rule *earlier,
			const struct mf_config_rule *later)
{
	char prefix[MF_PREFIX_STRLEN];

	mf_config_error(
		l->errs, later->pos,
		"%s is also in the allowed IPs of another peer of this interface (line %u); a "
		"prefix belongs to one peer, remove one",
		mf_prefix_format(&later->prefix, prefix), earlier->pos.line);
}

static void check_peers(struct mf_loader *l, const struct mf_config_interface *i)
{
	struct rule_list list;
	size_t n = 0;

	for (uint32_t p = 0; p < i->n_peers; p++)
		n += i->peers[p].allowed_ips.n;
	if (i->n_peers < 2 || !rules_room(l, &list, n))
		return;
	for (uint32_t p = 0; p < i->n_peers; p++)
		for (uint32_t k = 0; k < i->peers[p].allowed_ips.n; k++)
			list.v[list.n++] = (struct mf_config_rule){
				.prefix = i->peers[p].allowed_ips.v[k].prefix,
				.interface = p, /* here, the peer */
				.pos = i->peers[p].allowed_ips.v[k].pos,
			};
	merge(l, &list, peers_clash);
}

/* The prefixes of a route; a domain set has none, its routes are learned. */
static const struct mf_config_prefixes *criterion(const struct mf_config_route *r,
						  struct mf_config_prefix *one,
						  struct mf_config_prefixes *list)
{
	*list = (struct mf_config_prefixes){ 0 };
	if (r->domain_set)
		return list;
	if (r->cidr_set)
		return &r->cidr_set->cidrs;
	*one = (struct mf_config_prefix){ .prefix = r->cidr, .pos = mf_load_pos(&r->src, "cidr") };
	*list = (struct mf_config_prefixes){ .v = one, .n = 1 };
	return list;
}

static bool rules_of_routes(struct mf_loader *l, struct rule_list *out)
{
	const struct mf_config_app_routing *ar = &l->cfg->app_routing;
	size_t n = 0;

	for (uint32_t i = 0; i < ar->n_routes; i++)
		n += ar->routes[i].cidr_set ? ar->routes[i].cidr_set->cidrs.n : 1;
	if (!rules_room(l, out, n))
		return false;
	for (uint32_t i = 0; i < ar->n_routes; i++) {
		const struct mf_config_route *r = &ar->routes[i];
		struct mf_config_prefix one;
		struct mf_config_prefixes list;
		const struct mf_config_prefixes *c = criterion(r, &one, &list);

		for (uint32_t k = 0; k < c->n; k++)
			out->v[out->n++] = (struct mf_config_rule){
				.prefix = c->v[k].prefix,
				.action = r->action,
				.interface = r->interface,
				.pos = c->v[k].pos,
				.route = r,
			};
	}
	merge(l, out, routes_clash);
	return true;
}

static bool rules_of_allowed_ips(struct mf_loader *l, struct rule_list *out)
{
	const struct mf_config *cfg = l->cfg;
	size_t n = 0;

	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		for (uint32_t p = 0; p < cfg->interfaces[i].n_peers; p++)
			n += cfg->interfaces[i].peers[p].allowed_ips.n;
	if (!rules_room(l, out, n))
		return false;
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		for (uint32_t p = 0; p < cfg->interfaces[i].n_peers; p++) {
			const struct mf_config_prefixes *ips =
				&cfg->interfaces[i].peers[p].allowed_ips;

			for (uint32_t k = 0; k < ips->n; k++)
				out->v[out->n++] = (struct mf_config_rule){
					.prefix = ips->v[k].prefix,
					.action = MF_CONFIG_TO_INTERFACE,
					.interface = i,
					.pos = ips->v[k].pos,
				};
		}
	merge(l, out, interfaces_clash);
	return true;
}

static bool has_default(const struct rule_list *list, enum mf_family family)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (!list->v[i].prefix.len && list->v[i].prefix.addr.family == family)
			return true;
	return false;
}

/* Design rule 7: without app routing the allowed IPs must take everything, or part of the machine's
 * traffic would end in the tunnel without anybody having said so. */
static void check_defaults(struct mf_loader *l, const struct rule_list *list)
{
	static const char hint[] =
		"without `app_routing` all traffic follows the allowed IPs of the "
		"interfaces' peers, and";
	const struct mf_config_prefixes *addresses = &l->cfg->tunnel.addresses;
	struct mf_config_pos pos = mf_load_pos(&l->cfg->src, "interfaces");
	bool need4 = false, need6 = false;

	for (uint32_t i = 0; i < addresses->n; i++)
		*(addresses->v[i].prefix.addr.family == MF_AF_IP4 ? &need4 : &need6) = true;
	if (need4 && !has_default(list, MF_AF_IP4))
		mf_config_error(l->errs, pos,
				"%s 0.0.0.0/0 is not among them; add it, or `app_routing`", hint);
	if (need6 && !has_default(list, MF_AF_IP6))
		mf_config_error(
			l->errs, pos,
			"%s ::/0 is not among them although the tunnel has an IPv6 address; add "
			"it, or `app_routing`",
			hint);
	if (!need4 && !need6 && !has_default(list, MF_AF_IP4) && !has_default(list, MF_AF_IP6))
		mf_config_error(
			l->errs, pos,
			"%s neither 0.0.0.0/0 nor ::/0 is among them; add them, or `app_routing`",
			hint);
}

void mf_load_rules(struct mf_loader *l)
{
	struct mf_config *cfg = l->cfg;
	struct rule_list routes = { 0 }, allowed = { 0 };

	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		check_peers(l, &cfg->interfaces[i]);
	/* also when they are switched off: switching them on must not be a surprise */
	if (!rules_of_routes(l, &routes))
		return;
	if (cfg->app_routing.enabled) {
		cfg->rules = routes.v;
		cfg->n_rules = routes.n;
		return;
	}
	if (!rules_of_allowed_ips(l, &allowed))
		return;
	check_defaults(l, &allowed);
	cfg->rules = allowed.v;
	cfg->n_rules = allowed.n;
}
