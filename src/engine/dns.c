/* SPDX-License-Identifier: Apache-2.0
 *
 * dns - the internal DNS server as the control thread sees it: its memory, what a profile says
 * about names, and calls on the worker that runs it.
 *
 * A struct mf_steering is all of a profile that the resolver and the sniffers of names look at,
 * copied, immutable. The resolver keeps pointers into it from one pass to the next, so an old one
 * is freed only when the first worker has adopted a newer snapshot and every worker has passed a
 * quiet point since.
 */
#include "engine/internal.h"

#include <stdlib.h>

#include "crypto/siphash.h"
#include "nodes/dns.h"
#include "policy/list.h"

enum {
	CACHE_DEFAULT = 256 << 10,
	CACHE_MIN = 64 << 10,
	LEARNED_DEFAULT = 1024,
	LEARNED_MIN = 256,
	SHARE = 8, /* none of the two takes more than this part of the memory */
};

/* ---- Memory ---------------------------------------------------------------------------------- */

static uint64_t cache_bytes(const struct mf_engine *e)
{
	uint64_t wanted = e->options.dns_cache ? e->options.dns_cache : CACHE_DEFAULT;

	return mf_max(mf_min(wanted, e->options.memory / SHARE), CACHE_MIN);
}

static uint32_t learned_max(const struct mf_engine *e)
{
	uint32_t n = e->options.learned ? e->options.learned : LEARNED_DEFAULT;

	while (n > LEARNED_MIN && mf_learned_bytes(n) > e->options.memory / SHARE)
		n /= 2;
	return n;
}

uint64_t mf_dns_bytes(const struct mf_engine *e)
{
	return cache_bytes(e) + mf_learned_bytes(learned_max(e)) + mf_resolver_bytes();
}

mf_err mf_dns_init(struct mf_engine *e, mf_nsec now)
{
	struct mf_worker *w = e->workers[0];
	uint8_t key[MF_SIPHASH_KEY_LEN];

	e->host.rng.fill(e->host.rng.ctx, key, sizeof(key));
	e->learned = mf_learned_new(learned_max(e), key);
	mf_wipe(key, sizeof(key));
	if (!e->learned || mf_dns_open(&w->dns, w, e->learned, cache_bytes(e), e->options.tls,
				       &e->host.rng, &e->host.log, now))
		return MF_E_NO_MEMORY;
	return MF_OK;
}

/* ---- Domain sets ----------------------------------------------------------------------------- */

static struct mf_named_set *find_in(struct mf_named_set **v, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(v[i]->name, name))
			return v[i];
	return NULL;
}

/* As it will be with the next snapshot. */
static struct mf_named_set *find_set(const struct mf_engine *e, const char *name)
{
	struct mf_named_set *s = find_in(e->staged, e->n_staged, name);

	if (!s)
		s = find_in(e->sets, e->n_sets, name);
	return s && s->set ? s : NULL;
}

/* Whoever holds one counts: the engine, and every steering that names it. */
static void put_set(struct mf_named_set *s)
{
	if (!s || --s->refs)
		return;
	mf_domain_set_free(s->set);
	free(s->name);
	free(s);
}

static struct mf_named_set *new_set(const char *name, struct mf_domain_set *set)
{
	struct mf_named_set *s = calloc(1, sizeof(*s));

	if (s)
		*s = (struct mf_named_set){ .name = strdup(name), .set = set, .refs = 1 };
	if (s && s->name)
		return s;
	free(s);
	return NULL;
}

static void forget(struct mf_named_set **v, uint32_t *n, const char *name)
{
	for (uint32_t i = 0; i < *n; i++)
		if (!strcmp(v[i]->name, name)) {
			put_set(v[i]);
			v[i] = v[--*n];
			return;
		}
}

/* Room for one more in both lists, so that putting them in force cannot fail. */
static bool make_room(struct mf_engine *e)
{
	size_t n = e->n_sets + e->n_staged + 1;
	struct mf_named_set **sets = reallocarray(e->sets, n, sizeof(*sets));
	struct mf_named_set **staged = reallocarray(e->staged, n, sizeof(*staged));

	if (sets)
		e->sets = sets;
	if (staged)
		e->staged = staged;
	return sets && staged;
}

mf_err mf_engine_set_domains(struct mf_engine *e, const char *name, struct mf_domain_set *set)
{
	struct mf_named_set *s = make_room(e) ? new_set(name, set) : NULL;

	if (!s) {
		mf_domain_set_free(set);
		return MF_E_NO_MEMORY;
	}
	forget(e->staged, &e->n_staged, name);
	e->staged[e->n_staged++] = s;
	return MF_OK;
}

void mf_steering_settle(struct mf_engine *e, bool in_force)
{
	while (e->n_staged) {
		struct mf_named_set *s = e->staged[--e->n_staged];

		if (in_force)
			forget(e->sets, &e->n_sets, s->name);
		if (in_force && s->set)
			e->sets[e->n_sets++] = s;
		else
			put_set(s);
	}
}

const struct mf_domain_set *mf_engine_domains(const struct mf_engine *e, const char *name)
{
	const struct mf_named_set *s = find_in(e->sets, e->n_sets, name);

	return s ? s->set : NULL;
}

/* What stands in the profile itself. */
static struct mf_domain_set *inline_set(struct mf_engine *e, const struct mf_config_domain_set *ds)
{
	uint8_t key[MF_SIPHASH_KEY_LEN];
	struct mf_domain_builder *b;
	mf_err err = MF_OK;

	e->host.rng.fill(e->host.rng.ctx, key, sizeof(key));
	b = mf_domain_builder_new(key);
	for (uint32_t i = 0; b && i < ds->n_domains && !err; i++) {
		enum mf_domain_kind kind;
		char text[MF_LIST_LINE_MAX];

		err = mf_list_entry(ds->domains[i], strlen(ds->domains[i]), &kind, text,
				    sizeof(text), NULL);
		if (!err)
			err = mf_domain_builder_add(b, kind, text, strlen(text), false, NULL);
	}
	if (b && !err)
		return mf_domain_builder_finish(b);
	mf_domain_builder_free(b);
	return NULL;
}

/* ---- Steering -------------------------------------------------------------------------------- */

/* Memory that goes with its owner. */
struct piece {
	struct piece *next;
	uint8_t bytes[] MF_ALIGNED(16);
};

struct mf_steering {
	struct mf_steering *next; /* retired before */
	uint64_t retired;         /* the first snapshot without it */
	struct piece *pieces;
	bool failed; /* out of memory */
	struct mf_resolver_config dns;
	bool has_dns;
	struct mf_dns_catch dns_catch;
	struct mf_names *names;
	struct mf_named_set **sets;
	uint32_t n_sets;
};

static void *take(struct mf_steering *s, size_t n, size_t size)
{
	struct piece *p = s->failed ? NULL : calloc(1, sizeof(*p) + n * size);

	if (!p) {
		s->failed = true;
		return NULL;
	}
	p->next = s->pieces;
	s->pieces = p;
	return p->bytes;
}

static const char *copy_text(struct mf_steering *s, const char *text)
{
	char *to = text ? take(s, strlen(text) + 1, 1) : NULL;

	return to ? strcpy(to, text) : NULL;
}

void mf_steering_free(struct mf_steering *s)
{
	struct piece *next;

	if (!s)
		return;
	for (struct piece *p = s->pieces; p; p = next) {
		next = p->next;
		free(p);
	}
	mf_names_free(s->names);
	for (uint32_t i = 0; i < s->n_sets; i++)
		put_set(s->sets[i]);
	free(s->sets);
	free(s);
}

static const struct mf_domain_set *use_set(struct mf_engine *e, struct mf_steering *s,
					   const struct mf_config_domain_set *ds)
{
	struct mf_named_set *set = find_set(e, ds->name);
	struct mf_domain_set *own;

	if (set) {
		set->refs++;
	} else {
		own = inline_set(e, ds);
		set = own ? new_set(ds->name, own) : NULL;
		if (!set)
			mf_domain_set_free(own);
	}
	if (!set) {
		s->failed = true;
		return NULL;
	}
	s->sets[s->n_sets++] = set;
	return set->set;
}

static void fill_names(struct mf_engine *e, struct mf_steering *s, const struct mf_config *cfg,
		       const uint32_t *hop_of)
{
	const struct mf_config_app_routing *ar = &cfg->app_routing;
	struct mf_name_rule *rule = calloc(ar->n_routes + 1, sizeof(*rule));
	uint32_t n = 0;

	s->sets = calloc(ar->n_routes + 1, sizeof(*s->sets));
	if (!rule || !s->sets)
		s->failed = true;
	for (uint32_t i = 0; ar->enabled && i < ar->n_routes && !s->failed; i++) {
		const struct mf_config_route *r = &ar->routes[i];

		if (!r->domain_set)
			continue;
		rule[n++] = (struct mf_name_rule){
			.set = use_set(e, s, r->domain_set),
			.set_name = r->domain_set->name,
			.hop = mf_hop_for(r->action, r->interface, hop_of),
			.rule = i,
			.file = r->src.pos.file,
			.line = r->src.pos.line,
		};
	}
	if (n && !s->failed) {
		s->names = mf_names_new(rule, n);
		s->failed = !s->names;
	}
	free(rule);
}

static const struct mf_dns_server *copy_servers(struct mf_steering *s,
						const struct mf_config_dns_servers *from, uint8_t *n)
{
	struct mf_dns_server *to = take(s, from->n + 1, sizeof(*to));

	*n = (uint8_t)mf_min(from->n, MF_UPSTREAM_SERVERS_MAX);
	for (uint8_t i = 0; to && i < *n; i++) {
		const struct mf_config_dns_server *c = &from->v[i];

		to[i] = (struct mf_dns_server){
			.text = copy_text(s, c->text),
			.scheme = (uint8_t)c->scheme,
			.name = copy_text(s, c->name),
			.path = copy_text(s, c->path),
			.n_addrs = (uint8_t)mf_min(c->n_addrs, MF_DNS_BOOTSTRAP_MAX),
		};
		memcpy(to[i].addr, c->addr, to[i].n_addrs * sizeof(c->addr[0]));
		if (!to[i].n_addrs)
			to[i].addr[0].port = c->port;
	}
	return to;
}

/* Without app routing a server is reached as its address is routed; where that leads nowhere,
 * not at all. */
static uint32_t hop_of_route(const struct mf_route_table *routes, const struct mf_addr *a)
{
	uint32_t hop = mf_route_table_lookup(routes, a);

	return hop ? hop : MF_HOP_ID_DROP;
}

static void route_servers(struct mf_steering *s, const struct mf_route_table *routes)
{
	static const struct mf_addr any4 = { .family = MF_AF_IP4 };
	struct mf_dns_server *server = (struct mf_dns_server *)(uintptr_t)s->dns.direct;

	s->dns.fallback_hop = hop_of_route(routes, &any4);
	for (uint8_t i = 0; server && i < s->dns.n_direct; i++)
		if (server[i].n_addrs)
			server[i].hop = hop_of_route(routes, &server[i].addr[0].addr);
}

static void copy_hosts(struct mf_steering *s, const struct mf_config_dns *c)
{
	struct mf_dns_host *to = take(s, c->n_hosts + 1, sizeof(*to));

	for (uint32_t i = 0; to && i < c->n_hosts; i++) {
		const struct mf_config_dns_host *h = &c->hosts[i];
		bool wildcard = !strncmp(h->name, "*.", 2);
		const char *name = h->name + (wildcard ? 2 : 0);
		struct mf_addr *addr = take(s, h->n_addrs + 1, sizeof(*addr));

		if (!addr || mf_dns_name_parse(&to[i].name, name, strlen(name)))
			continue; /* the profile has been checked */
		to[i].wildcard = wildcard;
		to[i].n = (uint8_t)mf_min(h->n_addrs, UINT8_MAX);
		to[i].addr = addr;
		memcpy(addr, h->addr, to[i].n * sizeof(*addr));
	}
	if (to)
		qsort(to, c->n_hosts, sizeof(*to), mf_dns_host_compare);
	s->dns.hosts = to;
	s->dns.n_hosts = c->n_hosts;
}

static void copy_rebind_allow(struct mf_steering *s, const struct mf_config_dns *c)
{
	struct mf_dns_name *to = take(s, c->n_rebind_allow + 1, sizeof(*to));

	s->dns.rebind_allow = to;
	for (uint32_t i = 0; to && i < c->n_rebind_allow; i++)
		if (!mf_dns_name_parse(&to[s->dns.n_rebind_allow], c->rebind_allow[i],
				       strlen(c->rebind_allow[i])))
			s->dns.n_rebind_allow++;
}

static bool has_family(const struct mf_config_prefixes *p, uint8_t family)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->v[i].prefix.addr.family == family)
			return true;
	return false;
}

/* Interfaces that carry no IPv6: AAAA records of names that go there would only make apps wait. */
static void note_no_ip6(struct mf_engine *e, struct mf_steering *s, const struct mf_config *cfg,
			const uint32_t *hop_of)
{
	uint8_t *strip = take(s, e->n_hops, 1);

	s->dns.strip_aaaa_hops = strip;
	s->dns.n_hops = strip ? e->n_hops : 0;
	for (uint32_t i = 0; strip && cfg->dns.strip_aaaa && i < cfg->n_interfaces; i++)
		strip[hop_of[i]] = !mf_config_is_proxy(cfg->interfaces[i].type) &&
				   !has_family(&cfg->interfaces[i].addresses, MF_AF_IP6);
}

static void fold_servers(uint64_t *sum, const struct mf_dns_server *v, uint8_t n)
{
	for (uint8_t i = 0; i < n; i++) {
		mf_fold(sum, v[i].text, strlen(v[i].text) + 1);
		mf_fold(sum, &v[i].hop, sizeof(v[i].hop));
	}
	mf_fold(sum, &n, sizeof(n));
}

/* Of everything that answers depend on besides the rules of names. */
static uint64_t world_of(const struct mf_resolver_config *d, const struct mf_config *cfg,
			 const uint32_t *hop_of)
{
	uint64_t sum = 0;

	fold_servers(&sum, d->vpn, d->n_vpn);
	fold_servers(&sum, d->direct, d->n_direct);
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		mf_fold(&sum, cfg->interfaces[i].name, strlen(cfg->interfaces[i].name) + 1);
		mf_fold(&sum, &hop_of[i], sizeof(hop_of[i]));
		mf_fold(&sum, &d->strip_aaaa_hops[hop_of[i]], 1);
	}
	mf_fold(&sum, &d->rebind_protection, sizeof(d->rebind_protection));
	for (uint32_t i = 0; i < d->n_rebind_allow; i++)
		mf_fold(&sum, d->rebind_allow[i].b, d->rebind_allow[i].n);
	return sum;
}

static void fill_dns(struct mf_engine *e, struct mf_steering *s, const struct mf_config *cfg,
		     const struct mf_route_table *routes, const uint32_t *hop_of)
{
	const struct mf_config_dns *c = &cfg->dns;
	const struct mf_config_app_routing *ar = &cfg->app_routing;
	struct mf_resolver_config *d = &s->dns;

	*d = (struct mf_resolver_config){
		.names = s->names,
		.fallback_hop = ar->enabled ? mf_hop_for(ar->fallback, ar->fallback_interface, hop_of)
					    : MF_HOP_ID_DIRECT,
		.direct_hop = MF_HOP_ID_DIRECT,
		.drop_hop = MF_HOP_ID_DROP,
		.reject_hop = MF_HOP_ID_REJECT,
		.off_asks_by_route = !ar->enabled,
		.block = (enum mf_block_answer)c->block_answer,
		.block_ttl = c->block_ttl,
		.hosts_ttl = c->hosts_ttl,
		.rebind_protection = c->rebind_protection,
		.mix_case = c->mix_case,
		.budget = c->timeout_ms * MF_MSEC,
		.race_min = 50 * MF_MSEC,
		.race_max = 1000 * MF_MSEC,
		.cache = {
			.bytes = cache_bytes(e),
			.ttl_min = c->ttl_min,
			.ttl_max = c->ttl_max,
			.negative_max = c->negative_ttl_max,
			.stale = c->stale,
			.prefetch = c->prefetch,
		},
		.learned_ttl_min = 60,
		.learned_idle = cfg->sessions.tcp_idle * MF_SEC,
		.log_queries = c->log_queries,
	};
	d->vpn = copy_servers(s, &c->vpn_servers, &d->n_vpn);
	d->direct = copy_servers(s, ar->enabled ? &c->direct_servers : &c->servers, &d->n_direct);
	if (!ar->enabled)
		route_servers(s, routes);
	copy_hosts(s, c);
	copy_rebind_allow(s, c);
	note_no_ip6(e, s, cfg, hop_of);
	if (!s->failed)
		d->world = world_of(d, cfg, hop_of);
	s->has_dns = c->enabled;
}

static void fill_catch(struct mf_steering *s, const struct mf_config_dns *c)
{
	s->dns_catch.all = s->has_dns && c->hijack;
	for (uint32_t i = 0; s->has_dns && i < c->n_listen && s->dns_catch.n < MF_DNS_CATCH_MAX; i++)
		if (c->listen[i].in_tunnel)
			s->dns_catch.at[s->dns_catch.n++] = c->listen[i].at;
}

struct mf_steering *mf_steering_new(struct mf_engine *e, const struct mf_config *cfg,
				    const struct mf_route_table *routes, const uint32_t *hop_of)
{
	struct mf_steering *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	fill_names(e, s, cfg, hop_of);
	fill_dns(e, s, cfg, routes, hop_of);
	fill_catch(s, &cfg->dns);
	if (!s->failed)
		return s;
	mf_steering_free(s);
	return NULL;
}

void mf_steering_fill(const struct mf_engine *e, struct mf_snapshot *snap)
{
	const struct mf_steering *s = e->steering;

	snap->learned = e->learned;
	if (!s)
		return;
	snap->names = s->names;
	snap->dns = s->has_dns ? &s->dns : NULL;
	snap->dns_catch = s->dns_catch;
}

void mf_steering_retire(struct mf_engine *e, struct mf_steering *old)
{
	if (!old)
		return;
	old->retired = e->snap->generation;
	old->next = e->retired;
	e->retired = old;
	/* Until the resolver has adopted the new rules, the other workers find what it has learned under the old ones:
	 * it must not sleep over them. */
	mf_events_wake(e, 0);
}

static void free_steering(void *obj)
{
	mf_steering_free(obj);
}

static uint64_t adopted_by_resolver(const struct mf_engine *e)
{
	return __atomic_load_n(&e->workers[0]->dns->adopted, __ATOMIC_ACQUIRE);
}

void mf_steering_sweep(struct mf_engine *e)
{
	uint64_t adopted = adopted_by_resolver(e);
	struct mf_steering **at = &e->retired;

	while (*at) {
		struct mf_steering *s = *at;

		if (s->retired > adopted) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		mf_reclaim_defer(&e->reclaim, free_steering, s);
	}
}

void mf_dns_fini(struct mf_engine *e)
{
	while (e->retired) {
		struct mf_steering *s = e->retired;

		e->retired = s->next;
		mf_steering_free(s);
	}
	mf_steering_free(e->steering);
	mf_steering_settle(e, false);
	while (e->n_sets)
		put_set(e->sets[--e->n_sets]);
	free(e->sets);
	free(e->staged);
	mf_learned_free(e->learned);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

void mf_engine_call(struct mf_engine *e, unsigned worker,
		    void (*fn)(struct mf_worker *w, void *ctx), void *ctx, mf_nsec now)
{
	uint32_t done = 0;
	struct mf_order o = { .kind = MF_ORDER_CALL, .call = { fn, ctx, &done } };

	mf_engine_order(e, worker, &o);
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		(void)mf_events_push_waiting(e, worker);
		if (!e->host.wait_worker || !e->host.wait_worker(e->host.ctx, worker))
			(void)mf_worker_pass(e->workers[worker], now);
	}
}

struct mf_resolver *mf_engine_resolver(struct mf_engine *e)
{
	return e->workers[0]->dns->resolver;
}

const struct mf_dns_front_counters *mf_engine_dns_counters(const struct mf_engine *e)
{
	return &e->workers[0]->dns->count;
}

struct mf_learned *mf_engine_learned(struct mf_engine *e)
{
	return e->learned;
}
