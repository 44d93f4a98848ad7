/* SPDX-License-Identifier: Apache-2.0
 *
 * group - who can be asked: the direct servers outside the tunnel, and the VPN servers once for
 * each interface to which names are routed.
 */
#include "resolver/state.h"

#define NAME_RETRY (5 * MF_SEC)

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	struct mf_resolver *r = ctx;

	return r->port.outbound(r->port.ctx, hop);
}

static void wake(void *ctx)
{
	struct mf_resolver *r = ctx;

	r->port.wake(r->port.ctx);
}

static mf_err open_group(struct mf_resolver *r, uint32_t hop)
{
	const struct mf_resolver_config *cfg = r->cfg;
	bool direct = hop == cfg->direct_hop || cfg->off_asks_by_route;
	struct mf_transport_env env = {
		.ctx = r,
		.outbound = outbound,
		.wake = wake,
		.pool = r->pool,
		.rng = r->rng,
		.tls = r->tls,
		.mix_case = cfg->mix_case,
		.log = &r->port.log,
	};
	struct mf_upstream_config u = {
		.hop = hop,
		.n = (uint8_t)mf_min(direct ? cfg->n_direct : cfg->n_vpn, MF_UPSTREAM_SERVERS_MAX),
		.server = direct ? cfg->direct : cfg->vpn,
		.budget = cfg->budget,
		.race_min = cfg->race_min,
		.race_max = cfg->race_max,
	};
	struct mf_group *g = &r->group[r->n_groups];

	if (!u.n || mf_group_of(r, hop))
		return MF_OK;
	if (r->n_groups == GROUPS_MAX)
		return MF_E_FULL;
	*g = (struct mf_group){ .resolver = r, .hop = hop, .server = u.server, .n = u.n };
	g->upstream = mf_upstream_new(&env, &u, QUESTIONS);
	if (!g->upstream)
		return MF_E_NO_MEMORY;
	r->n_groups++;
	return MF_OK;
}

static bool asks(const struct mf_resolver_config *cfg, uint32_t hop)
{
	return hop != cfg->drop_hop && hop != cfg->reject_hop;
}

mf_err mf_groups_open(struct mf_resolver *r)
{
	const struct mf_resolver_config *cfg = r->cfg;
	mf_err err = asks(cfg, cfg->fallback_hop) ? open_group(r, cfg->fallback_hop) : MF_OK;

	if (!err && cfg->n_direct && !cfg->off_asks_by_route)
		err = open_group(r, cfg->direct_hop);
	for (uint32_t i = 0; cfg->names && i < cfg->names->n && !err; i++)
		if (asks(cfg, cfg->names->rule[i].hop))
			err = open_group(r, cfg->names->rule[i].hop);
	return err;
}

static void nobody(void *ctx, const struct mf_addr *addr, size_t n, mf_nsec now)
{
	(void)ctx, (void)addr, (void)n, (void)now;
}

static void found(void *ctx, const struct mf_addr *addr, size_t n, mf_nsec now);

void mf_groups_close(struct mf_resolver *r)
{
	/* Who looked up a server's name is gone, and may come back as another. */
	for (unsigned i = 0; i < LOOKUPS; i++)
		if (r->lookup[i].done == found)
			r->lookup[i].done = nobody;
	for (unsigned i = 0; i < r->n_groups; i++) {
		mf_transport_counters_add(&r->closed, mf_upstream_counters(r->group[i].upstream));
		mf_upstream_free(r->group[i].upstream);
	}
	r->n_groups = 0;
	/* What was asked there is not asked any more: mf_resolver_configure asks anew. */
	for (struct mf_question *q = r->open; q; q = q->next)
		q->ask = NULL;
}

void mf_groups_reset(struct mf_resolver *r, mf_nsec now)
{
	for (unsigned i = 0; i < r->n_groups; i++) {
		memset(r->group[i].retry_at, 0, sizeof(r->group[i].retry_at));
		mf_upstream_reset(r->group[i].upstream, now);
	}
}

struct mf_group *mf_group_of(struct mf_resolver *r, uint32_t hop)
{
	for (unsigned i = 0; i < r->n_groups; i++)
		if (r->group[i].hop == hop)
			return &r->group[i];
	return NULL;
}

/* ---- Servers that are known by name ---------------------------------------------------------- */

static void found(void *ctx, const struct mf_addr *addr, size_t n, mf_nsec now)
{
	struct mf_group *g = ctx;
	unsigned server = g->waits_for - 1u;
	struct mf_endpoint e[MF_DNS_BOOTSTRAP_MAX];
	const char *name;
	uint16_t port;

	g->waits_for = 0;
	g->retry_at[server] = now + NAME_RETRY;
	if (!n || !mf_upstream_needs(g->upstream, server, &name, &port))
		return;
	n = mf_min(n, MF_DNS_BOOTSTRAP_MAX);
	for (size_t i = 0; i < n; i++)
		e[i] = (struct mf_endpoint){ .addr = addr[i], .port = port };
	mf_upstream_set_addrs(g->upstream, server, e, n);
}

static bool has_addresses(const struct mf_group *g)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->server[i].n_addrs)
			return true;
	return false;
}

/* One server after the other. A name is asked of its own group if that has a server with an
 * address, else of the direct servers. */
static void look_up(struct mf_group *g, mf_nsec now)
{
	struct mf_resolver *r = g->resolver;
	uint32_t hop = has_addresses(g) ? g->hop : r->cfg->direct_hop;
	const char *name;
	uint16_t port;

	for (unsigned i = 0; i < g->n && !g->waits_for; i++) {
		if (now < g->retry_at[i] || !mf_upstream_needs(g->upstream, i, &name, &port))
			continue;
		if (mf_resolver_lookup(r, name, hop, found, g, now) == MF_OK)
			g->waits_for = (uint8_t)(i + 1);
		else
			g->retry_at[i] = now + NAME_RETRY;
	}
}

mf_nsec mf_groups_run(struct mf_resolver *r, mf_nsec now)
{
	mf_nsec next = MF_NEVER;

	for (unsigned i = 0; i < r->n_groups; i++) {
		look_up(&r->group[i], now);
		next = mf_min(next, mf_upstream_run(r->group[i].upstream, now));
	}
	return next;
}
