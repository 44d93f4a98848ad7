/* SPDX-License-Identifier: Apache-2.0
 *
 * check_dns - the DNS server against the rest of the profile: whoever has to be asked must be there, and
 * somebody must be able to ask us (design rules 6 and 7).
 */
#include "config/errors.h"
#include "config/file.h"
#include "config/load.h"

/* As app_routing.enabled, but an error in that key does not switch it off and cause more errors. */
static bool routing_is_on(const struct mf_loader *l)
{
	const struct mf_yaml *section = mf_yaml_get(l->cfg->src.node, "app_routing");
	const struct mf_yaml *enabled = mf_yaml_get(section, "enabled");

	return section &&
	       (!enabled || enabled->type != MF_YAML_SCALAR || strcmp(enabled->text, "false") != 0);
}

static bool is_given(const struct mf_loader *l)
{
	return mf_yaml_get(l->cfg->src.node, "dns") != NULL;
}

/* ---- Who is asked --------------------------------------------------------------------------------- */

/* `servers` belongs to profiles without app routing, the two groups to those with it. */
static void check_groups(struct mf_loader *l, bool routing)
{
	static const char *const groups[] = { "vpn_servers", "direct_servers" };
	const struct mf_config_src *src = &l->cfg->dns.src;

	if (routing && mf_load_has(src, "servers"))
		mf_config_error(
			l->errs, mf_load_pos(src, "servers"),
			"with `app_routing` there are two groups of servers; put these into "
			"`vpn_servers` or `direct_servers`");
	for (size_t i = 0; !routing && i < MF_ARRAY_LEN(groups); i++)
		if (mf_load_has(src, groups[i]))
			mf_config_error(
				l->errs, mf_load_pos(src, groups[i]),
				"without `app_routing` all names are asked of `dns.servers`; "
				"put these there, or add `app_routing`");
	if (!routing && !mf_load_has(src, "servers") && !mf_load_has(src, groups[0]) &&
	    !mf_load_has(src, groups[1]))
		mf_config_error(l->errs, src->pos,
				"`servers` is missing in dns; without `app_routing` it says who is "
				"asked: add `servers: [9.9.9.9]`");
}

static const char *servers_for(enum mf_config_action action)
{
	return action == MF_CONFIG_TO_INTERFACE ? "vpn_servers"
	       : action == MF_CONFIG_TO_DIRECT  ? "direct_servers"
						: NULL;
}

/* Names of a route's set, for which nobody is there; the first route of each kind is enough. */
static void check_routes(struct mf_loader *l)
{
	const struct mf_config_app_routing *ar = &l->cfg->app_routing;
	const char *said = NULL;

	for (uint32_t i = 0; i < ar->n_routes; i++) {
		const struct mf_config_route *r = &ar->routes[i];
		struct mf_load_target target;
		const char *key;

		if (!r->domain_set || !r->to || !mf_load_find_target(l->cfg, r->to, &target))
			continue;
		key = servers_for(target.action);
		if (!key || key == said || mf_load_has(&l->cfg->dns.src, key))
			continue;
		mf_config_error(
			l->errs, mf_load_pos(&r->src, "domain_set"),
			"names that go to `%s` are asked of `dns.%s`, which is not there; add "
			"it, as in `dns: { %s: [9.9.9.9] }`",
			r->to, key, key);
		said = key;
	}
}

static void check_fallback(struct mf_loader *l)
{
	const struct mf_config_app_routing *ar = &l->cfg->app_routing;
	struct mf_load_target target;
	const char *key;

	if (!ar->dns_fallback || !mf_load_find_target(l->cfg, ar->dns_fallback, &target))
		return;
	key = servers_for(target.action);
	if (!key && l->cfg->dns.block_answer == MF_CONFIG_BLOCK_ROUTE)
		mf_config_error(
			l->errs, mf_load_pos(&l->cfg->dns.src, "block_answer"),
			"`route` answers with the truth, but `dns_fallback: %s` lets nobody be "
			"asked for it; change one of them",
			ar->dns_fallback);
	if (key && !mf_load_has(&l->cfg->dns.src, key))
		mf_config_error(l->errs, mf_load_pos(&ar->src, "dns_fallback"),
				"names that are in no domain set are asked of `dns.%s` "
				"(`dns_fallback: %s`), which is not there; add it, or let "
				"`dns_fallback` say something else",
				key, ar->dns_fallback);
}

static bool has_address(const struct mf_config_dns_servers *group)
{
	for (uint32_t i = 0; i < group->n; i++)
		if (group->v[i].n_addrs)
			return true;
	return false;
}

static void check_servers(struct mf_loader *l, const struct mf_config_dns_servers *group)
{
	const struct mf_config_dns *dns = &l->cfg->dns;
	bool found = has_address(group) || has_address(&dns->direct_servers);

	for (uint32_t i = 0; i < group->n; i++) {
		const struct mf_config_dns_server *s = &group->v[i];

		for (uint32_t j = 0; j < i; j++)
			if (!strcmp(s->text, group->v[j].text))
				mf_config_error(l->errs, s->pos,
						"the same server as in line %u; remove one of them",
						group->v[j].pos.line);
		if (!s->n_addrs && !found)
			mf_config_error(l->errs, s->pos,
					"nobody can be asked for the address of `%s`; write "
					"{ url: \"%s\", bootstrap: [its address] }",
					s->name, s->text);
	}
}

/* ---- Who asks us ---------------------------------------------------------------------------------- */

/* In the tunnel's network, but not the tunnel's own address. */
static bool is_in_tunnel(const struct mf_config_tunnel *t, const struct mf_addr *a)
{
	bool inside = false;

	for (uint32_t i = 0; i < t->addresses.n; i++) {
		const struct mf_prefix *p = &t->addresses.v[i].prefix;

		if (mf_addr_equal(&p->addr, a))
			return false;
		inside = inside || mf_prefix_contains(p, a);
	}
	return inside;
}

static void check_listen(struct mf_loader *l)
{
	struct mf_config_dns *dns = &l->cfg->dns;

	for (uint32_t i = 0; i < dns->n_listen; i++) {
		struct mf_config_dns_listen *at = &dns->listen[i];

		at->in_tunnel = is_in_tunnel(&l->cfg->tunnel, &at->at.addr);
		for (uint32_t j = 0; j < i; j++)
			if (mf_endpoint_equal(&at->at, &dns->listen[j].at))
				mf_config_error(
					l->errs, at->pos,
					"the same address as in line %u; remove one of them",
					dns->listen[j].pos.line);
	}
	if (mf_load_has(&dns->src, "hijack") && !dns->hijack && !mf_load_has(&dns->src, "listen"))
		mf_config_error(
			l->errs, mf_load_pos(&dns->src, "hijack"),
			"nobody could ask this DNS server; add `listen`, or leave `hijack` on");
}

/* ---- The rest ------------------------------------------------------------------------------------- */

static void check_sizes(struct mf_loader *l)
{
	const struct mf_config_dns *dns = &l->cfg->dns;

	if (dns->ttl_min > dns->ttl_max && dns->ttl_max)
		mf_config_error(l->errs, mf_load_pos(&dns->src, "ttl_min"),
				"`ttl_min` is longer than `ttl_max`; no time is left between them");
	if (l->cfg->limits.memory && dns->cache_bytes > l->cfg->limits.memory / 4)
		mf_config_error(l->errs, mf_load_pos(&dns->src, "cache_size"),
				"`cache_size` is more than a quarter of `limits.memory`, which all "
				"memory comes from; make one smaller or the other larger");
}

static void check_files(struct mf_loader *l)
{
	struct mf_config_dns *dns = &l->cfg->dns;
	struct mf_errbuf why;

	if (dns->cache_file)
		dns->cache_path = mf_load_path(l, dns->cache_file);
	if (!dns->ca_file)
		return;
	dns->ca_path = mf_load_path(l, dns->ca_file);
	if (dns->ca_path && !(l->flags & MF_CONFIG_NO_FILES) && mf_file_check(dns->ca_path, &why))
		mf_config_error(l->errs, mf_load_pos(&dns->src, "ca_file"), "`ca_file`: %s",
				why.text);
}

static bool names_domain_set(const struct mf_config_app_routing *ar)
{
	for (uint32_t i = 0; i < ar->n_routes; i++)
		if (ar->routes[i].domain_set)
			return true;
	return false;
}

void mf_load_check_dns(struct mf_loader *l)
{
	struct mf_config_dns *dns = &l->cfg->dns;
	bool routing = routing_is_on(l);

	dns->enabled = is_given(l) || (routing && names_domain_set(&l->cfg->app_routing));
	if (!mf_load_has(&dns->src, "system"))
		dns->system = l->cfg->tunnel.auto_route ? MF_CONFIG_DNS_SYSTEM_AUTO
							: MF_CONFIG_DNS_SYSTEM_OFF;
	if (is_given(l))
		check_groups(l, routing);
	if (routing && dns->enabled) {
		check_routes(l);
		check_fallback(l);
	}
	check_servers(l, &dns->vpn_servers);
	check_servers(l, &dns->direct_servers);
	check_servers(l, &dns->servers);
	check_listen(l);
	check_sizes(l);
	check_files(l);
}
