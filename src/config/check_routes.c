/* SPDX-License-Identifier: Apache-2.0
 *
 * check_routes - what routes name must be there, once and without contradiction.
 */
#include "config/errors.h"
#include "config/load.h"

const char *const mf_load_built_in[MF_LOAD_BUILT_IN] = { "direct", "drop", "reject" };

static const enum mf_config_action built_in_action[MF_LOAD_BUILT_IN] = { MF_CONFIG_TO_DIRECT,
									 MF_CONFIG_TO_DROP,
									 MF_CONFIG_TO_REJECT };

bool mf_load_find_target(const struct mf_config *cfg, const char *name, struct mf_load_target *out)
{
	*out = (struct mf_load_target){ 0 };
	for (size_t i = 0; i < MF_LOAD_BUILT_IN; i++)
		if (!strcmp(name, mf_load_built_in[i])) {
			out->action = built_in_action[i];
			return true;
		}
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		if (cfg->interfaces[i].name && !strcmp(cfg->interfaces[i].name, name)) {
			out->interface = i;
			return true;
		}
	return false;
}

static bool is_later_interface(const struct mf_loader *l, const char *name)
{
	for (const struct mf_later_interface *i = l->later; i; i = i->next)
		if (!strcmp(i->name, name))
			return true;
	return false;
}

bool mf_load_target(struct mf_loader *l, struct mf_config_pos pos, const char *name,
		    struct mf_load_target *out)
{
	struct mf_config_nearest near = { .word = name };
	char quoted[MF_CONFIG_QUOTE_LEN], hint[MF_CONFIG_HINT_LEN];

	if (mf_load_find_target(l->cfg, name, out))
		return true;
	for (uint32_t i = 0; i < l->cfg->n_interfaces; i++)
		if (l->cfg->interfaces[i].name)
			mf_config_nearest_try(&near, l->cfg->interfaces[i].name);
	for (size_t i = 0; i < MF_LOAD_BUILT_IN; i++)
		mf_config_nearest_try(&near, mf_load_built_in[i]);
	if (!is_later_interface(l, name))
		mf_config_error(l->errs, pos, "no interface is called %s%s",
				mf_config_quote(name, quoted), mf_config_nearest_hint(&near, hint));
	return false;
}

/* All sets of a kind, whose structs begin alike. */
struct sets {
	const char *section; /* key of the profile that has them */
	const char *key;     /* of a route, that names one */
	const char *first;
	uint32_t n;
	size_t size, name_at;
};

static const void *find_set(struct mf_loader *l, const struct sets *sets,
			    const struct mf_config_route *r, const char *name)
{
	struct mf_config_nearest near = { .word = name };
	char quoted[MF_CONFIG_QUOTE_LEN], hint[MF_CONFIG_HINT_LEN];

	for (uint32_t i = 0; i < sets->n; i++) {
		const char *set = sets->first + i * sets->size;
		const char *its_name = *(const char *const *)(set + sets->name_at);

		if (!strcmp(its_name, name))
			return set;
		mf_config_nearest_try(&near, its_name);
	}
	/* a set that is there but is no section has its own error */
	if (!mf_yaml_get(mf_yaml_get(l->cfg->src.node, sets->section), name))
		mf_config_error(l->errs, mf_load_pos(&r->src, sets->key),
				"no set in `%s` is called %s%s", sets->section,
				mf_config_quote(name, quoted),
				near.name ? mf_config_nearest_hint(&near, hint) : "; add it there");
	return NULL;
}

static void find_sets(struct mf_loader *l, struct mf_config_route *r)
{
	const struct mf_config *cfg = l->cfg;
	const struct sets cidr_sets = {
		.section = "cidr_sets",
		.key = "cidr_set",
		.first = (const char *)cfg->cidr_sets,
		.n = cfg->n_cidr_sets,
		.size = sizeof(struct mf_config_cidr_set),
		.name_at = offsetof(struct mf_config_cidr_set, name),
	};
	const struct sets domain_sets = {
		.section = "domain_sets",
		.key = "domain_set",
		.first = (const char *)cfg->domain_sets,
		.n = cfg->n_domain_sets,
		.size = sizeof(struct mf_config_domain_set),
		.name_at = offsetof(struct mf_config_domain_set, name),
	};

	if (r->cidr_set_name)
		r->cidr_set = find_set(l, &cidr_sets, r, r->cidr_set_name);
	if (r->domain_set_name)
		r->domain_set = find_set(l, &domain_sets, r, r->domain_set_name);
}

static void check_criteria(struct mf_loader *l, const struct mf_config_route *r)
{
	static const char *const criteria[] = { "cidr", "cidr_set", "domain_set" };
	unsigned n = 0;

	for (size_t i = 0; i < MF_ARRAY_LEN(criteria); i++)
		n += mf_load_has(&r->src, criteria[i]);
	if (n == 0)
		mf_config_error(l->errs, r->src.pos,
				"a route needs a criterion; add `cidr: …`, `cidr_set: …` or "
				"`domain_set: …`");
	if (n > 1)
		mf_config_error(l->errs, r->src.pos,
				"a route has one criterion, this has %u; make %u routes of it", n, n);
}

/* A set that an earlier route sends elsewhere. */
static void check_domain_set(struct mf_loader *l, const struct mf_config_route *r)
{
	struct mf_load_target target;

	if (!r->domain_set || !r->to || !mf_load_find_target(l->cfg, r->to, &target))
		return;
	for (const struct mf_config_route *e = l->cfg->app_routing.routes; e < r; e++) {
		if (e->domain_set != r->domain_set || !e->to || !strcmp(e->to, r->to) ||
		    !mf_load_find_target(l->cfg, e->to, &target))
			continue;
		mf_config_error(
			l->errs, mf_load_pos(&r->src, "domain_set"),
			"this set goes to `%s` here, but to `%s` in line %u; let both say the "
			"same or remove one",
			r->to, e->to, mf_load_pos(&e->src, "domain_set").line);
		return;
	}
}

static void check_route(struct mf_loader *l, struct mf_config_route *r)
{
	struct mf_load_target target = { 0 };

	check_criteria(l, r);
	find_sets(l, r);
	if (r->to && mf_load_target(l, mf_load_pos(&r->src, "to"), r->to, &target)) {
		r->action = target.action;
		r->interface = target.interface;
	}
	check_domain_set(l, r);
}

void mf_load_check_routes(struct mf_loader *l)
{
	struct mf_config_app_routing *ar = &l->cfg->app_routing;
	struct mf_load_target target = { 0 };

	for (uint32_t i = 0; i < ar->n_routes; i++)
		check_route(l, &ar->routes[i]);
	if (ar->dns_fallback &&
	    mf_load_target(l, mf_load_pos(&ar->src, "dns_fallback"), ar->dns_fallback, &target)) {
		ar->fallback = target.action;
		ar->fallback_interface = target.interface;
	}
}
