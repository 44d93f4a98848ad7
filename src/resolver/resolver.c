/* SPDX-License-Identifier: Apache-2.0
 *
 * resolver - a question's way, from the client to an answer or to the servers.
 */
#include "resolver/state.h"

#include <stdlib.h>

#include "crypto/siphash.h"

/* ---- A life ---------------------------------------------------------------------------------- */

struct mf_resolver *mf_resolver_new(const struct mf_resolver_port *port, struct mf_pkt_pool *pool,
				    struct mf_learned *learned, uint64_t cache_bytes,
				    struct mf_tls_context *tls, const struct mf_rng *rng, mf_nsec now)
{
	struct mf_dns_cache_config cache = { .bytes = cache_bytes, .ttl_max = UINT32_MAX };
	struct mf_resolver *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->port = *port;
	r->pool = pool;
	r->learned = learned;
	r->tls = tls;
	r->rng = *rng;
	r->now = now;
	r->learned_next = MF_NEVER;
	r->rng.fill(r->rng.ctx, r->key, sizeof(r->key));
	r->cache = mf_dns_cache_new(&cache, r->key);
	if (!r->cache || mf_questions_init(r)) {
		mf_resolver_free(r);
		return NULL;
	}
	return r;
}

void mf_resolver_free(struct mf_resolver *r)
{
	if (!r)
		return;
	mf_groups_close(r);
	mf_questions_fini(r);
	mf_dns_cache_free(r->cache);
	free(r);
}

/* ---- Configuration --------------------------------------------------------------------------- */

void mf_resolver_route(const struct mf_resolver *r, const struct mf_dns_name *name,
		       struct mf_name_route *out)
{
	const struct mf_resolver_config *cfg = r->cfg;

	out->n = mf_dns_name_host(name, out->text);
	out->rule = out->n && cfg->names ? mf_names_find(cfg->names, out->text, out->n) : NULL;
	out->hop = out->rule ? out->rule->hop : cfg->fallback_hop;
	out->number = out->rule ? out->rule->rule : UINT32_MAX;
}

/* A learned route under new rules: does its name still say so? */
static bool judge(void *ctx, struct mf_learned_route *route, bool *overridden)
{
	struct mf_resolver *r = ctx;
	const struct mf_name_rule *rule =
		r->cfg && r->cfg->names
			? mf_names_find(r->cfg->names, route->name, strlen(route->name))
			: NULL;

	if (!rule)
		return false;
	route->hop = rule->hop;
	route->rule = rule->rule;
	(void)r->port.route(r->port.ctx, &route->addr, overridden);
	return true;
}

void mf_resolver_network_changed(struct mf_resolver *r, mf_nsec now)
{
	r->now = now;
	(void)mf_dns_cache_flush(r->cache);
	mf_groups_reset(r, now);
}

/* ---- A question ------------------------------------------------------------------------------ */

/* One question on its way to an answer. */
struct visit {
	struct mf_resolver *r;
	const struct mf_dns_client *client;
	struct mf_span msg;
	struct mf_dns_query q;
	struct mf_name_route route;
	const char *how; /* it was answered, for the log */
	uint8_t *out;
	size_t cap, n;
};

static enum mf_dns_outcome empty(struct visit *v, unsigned rcode, int ede, uint32_t soa_ttl)
{
	v->n = mf_dns_reply_empty(v->out, v->cap, v->msg, &v->q, rcode, ede, soa_ttl);
	return MF_DNS_ANSWERED;
}

static bool is_block(const struct mf_resolver_config *cfg, uint32_t hop)
{
	return hop == cfg->drop_hop || hop == cfg->reject_hop;
}

/* Design 1.4, point 5. */
static enum mf_dns_outcome block(struct visit *v)
{
	const struct mf_resolver_config *cfg = v->r->cfg;
	static const struct mf_addr zero[2] = { { .family = MF_AF_IP4 }, { .family = MF_AF_IP6 } };

	mf_count(&v->r->count.blocked, 1);
	v->how = "blocked";
	switch (cfg->block) {
	case MF_BLOCK_ZERO:
		if (v->q.type == MF_DNS_A || v->q.type == MF_DNS_AAAA) {
			v->n = mf_dns_reply_addrs(v->out, v->cap, v->msg, &v->q, zero, 2,
						  cfg->block_ttl);
			return MF_DNS_ANSWERED;
		}
		return empty(v, MF_DNS_NOERROR, MF_DNS_EDE_BLOCKED, cfg->block_ttl);
	case MF_BLOCK_REFUSED:
		return empty(v, MF_DNS_REFUSED, MF_DNS_EDE_BLOCKED, 0);
	default:
		return empty(v, MF_DNS_NXDOMAIN, MF_DNS_EDE_BLOCKED, cfg->block_ttl);
	}
}

static struct mf_group *group_for(struct mf_resolver *r, const struct mf_name_route *route)
{
	/* A blocked name that is answered truthfully is nobody's: it is asked like one without a
	 * rule. */
	return mf_group_of(r, is_block(r->cfg, route->hop) ? r->cfg->fallback_hop : route->hop);
}

static enum mf_dns_outcome too_many(struct visit *v)
{
	mf_count(&v->r->count.too_many, 1);
	return empty(v, MF_DNS_REFUSED, MF_DNS_EDE_NOT_READY, 0);
}

/* The servers are asked; whoever asks the same later waits for the same answer. A client that asks
 * too much is refused before anybody is asked for it. */
static enum mf_dns_outcome forward(struct visit *v, const struct mf_dns_key *k)
{
	struct mf_resolver *r = v->r;
	struct mf_question *question = mf_question_find(r, k);
	struct mf_group *g = question ? NULL : group_for(r, &v->route);
	struct mf_waiter *w;

	v->how = "refused";
	if (!question && !g)
		return empty(v, MF_DNS_REFUSED, MF_DNS_EDE_NOT_READY, 0);
	w = mf_waiter_new(r, v->client, v->msg, &v->q);
	if (!w)
		return too_many(v);
	if (question) {
		mf_count(&r->count.joined, 1);
	} else {
		question = mf_question_new(r, k, &v->route, g, false);
		if (!question) {
			mf_waiter_free(r, w);
			return too_many(v);
		}
		mf_count(&r->count.forwarded, 1);
	}
	mf_question_join(question, w);
	return MF_DNS_KEPT_OPEN;
}

/* The answer that is there is asked for again, before it ends. */
static void prefetch(struct visit *v, const struct mf_dns_key *k)
{
	struct mf_group *g = group_for(v->r, &v->route);

	if (!g || mf_question_find(v->r, k) || !mf_question_new(v->r, k, &v->route, g, false))
		return;
	mf_count(&v->r->count.prefetched, 1);
}

/* Is somebody being asked who has not been silent for long? Then that is better worth waiting for
 * than an answer that has ended. */
static bool may_come_soon(struct mf_resolver *r, const struct mf_dns_key *k)
{
	const struct mf_question *q = mf_question_find(r, k);

	return q && !q->overdue;
}

static enum mf_dns_outcome cached(struct visit *v, const struct mf_dns_key *k)
{
	struct mf_resolver *r = v->r;
	struct mf_dns_hit hit;

	/* What came in through another interface than the rules say now is no answer. One that has
	 * ended is, for as long as it is no use to ask again (RFC 8767 5). */
	if (!mf_dns_cache_get(r->cache, k, r->now, &hit) || !mf_note_fits(hit.note, v->route.hop) ||
	    (hit.stale && (hit.refresh || may_come_soon(r, k))))
		return forward(v, k);
	hit.note->rule = v->route.number;
	v->how = hit.stale ? "stale" : "cached";
	mf_count(&r->count.cached, 1);
	mf_count(&r->count.stale, hit.stale);
	/* Each time: whatever has become of the routes since the answer came, they are in force now
	 * for as long as the client may believe it. */
	if (v->route.rule)
		mf_answer_learn(r, hit.msg, &v->route,
				hit.ttl > hit.age ? hit.ttl - hit.age : STALE_TTL);
	v->n = mf_dns_reply_kept(v->out, v->cap, v->msg, &v->q, hit.msg, hit.ttl_at, hit.n_ttls,
				 hit.age, hit.stale ? STALE_TTL : 0,
				 hit.stale ? MF_DNS_EDE_STALE : MF_DNS_EDE_NONE);
	if (hit.refresh)
		prefetch(v, k);
	return MF_DNS_ANSWERED;
}

/* For statistics. */
static void note(struct visit *v)
{
	struct mf_resolver *r = v->r;
	const struct mf_name_route *route = &v->route;

	mf_count(&r->by_rule[mf_min(route->number, MF_DNS_RULES_MAX)], 1);
	if (route->n)
		mf_top_note(&r->top, route->text, route->n,
			    (uint32_t)mf_siphash(r->key, route->text, route->n), route->number,
			    r->now);
}

static enum mf_dns_outcome answer(struct visit *v)
{
	struct mf_resolver *r = v->r;
	const struct mf_dns_query *q = &v->q;
	struct mf_dns_key k = {
		.name = &q->name,
		.type = q->type,
		.flags = (uint8_t)((q->dnssec_ok ? MF_DNS_KEY_DO : 0) |
				   (q->flags & MF_DNS_CD ? MF_DNS_KEY_CD : 0)),
	};

	v->n = mf_local_answer(r, v->msg, q, v->out, v->cap);
	if (v->n) {
		mf_count(&r->count.local, 1);
		v->how = "local";
		return MF_DNS_ANSWERED;
	}
	mf_resolver_route(r, &q->name, &v->route);
	note(v);
	if (is_block(r->cfg, v->route.hop) && (r->cfg->block != MF_BLOCK_ROUTE || !v->route.rule))
		return block(v);
	return cached(v, &k);
}

static enum mf_dns_outcome answer_and_log(struct visit *v)
{
	enum mf_dns_outcome outcome = answer(v);

	/* What is kept open is logged with its answer. */
	if (MF_UNLIKELY(v->r->cfg->log_queries) && outcome == MF_DNS_ANSWERED)
		mf_query_log(v->r, v->client, &v->q.name, v->q.type, v->route.n ? &v->route : NULL,
			     v->how, v->out[3] & MF_DNS_RCODE);
	return outcome;
}

/* Types of records that are no data of a name but belong to one exchange of messages, and types
 * that stand for several (RFC 6895 3.1); all of the latter but ANY are transfers or obsolete. */
static bool is_meta(uint16_t type)
{
	return type == 0 || type == MF_DNS_OPT || (type >= 128 && type < MF_DNS_ANY);
}

/* What is no question that we answer; false: it is one. */
static bool refuse(struct visit *v, mf_err err, enum mf_dns_outcome *outcome)
{
	struct mf_resolver_counters *count = &v->r->count;

	if (err == MF_E_SHORT) {
		*outcome = MF_DNS_IGNORED;
		mf_count(&count->malformed, 1);
	} else if (err == MF_E_UNSUPPORTED) {
		*outcome = empty(v, MF_DNS_NOTIMP, MF_DNS_EDE_NONE, 0);
		mf_count(&count->refused, 1);
	} else if (err) {
		*outcome = empty(v, MF_DNS_FORMERR, MF_DNS_EDE_NONE, 0);
		mf_count(&count->malformed, 1);
	} else if (v->q.edns && v->q.edns_version > 0) {
		*outcome = empty(v, MF_DNS_BADVERS, MF_DNS_EDE_NONE, 0);
		mf_count(&count->refused, 1);
	} else if (!v->r->cfg || v->q.class != MF_DNS_IN || is_meta(v->q.type)) {
		*outcome = empty(v, MF_DNS_REFUSED, MF_DNS_EDE_NONE, 0);
		mf_count(&count->refused, 1);
	} else {
		return false;
	}
	return true;
}

enum mf_dns_outcome mf_resolver_query(struct mf_resolver *r, const struct mf_dns_client *c,
				      struct mf_span msg, uint8_t *out, size_t cap, size_t *n,
				      mf_nsec now)
{
	struct visit v = { .r = r, .client = c, .msg = msg, .out = out, .cap = cap };
	enum mf_dns_outcome outcome;
	mf_err err;

	r->now = now;
	mf_count(&r->count.queries, 1);
	err = mf_dns_query_read(msg, &v.q);
	if (!err && !c->stream)
		v.cap = mf_min(cap, mf_min(v.q.udp_size, MF_DNS_UDP_MAX));
	if (!refuse(&v, err, &outcome))
		outcome = answer_and_log(&v);
	*n = v.n;
	return outcome;
}

/* ---- Later ----------------------------------------------------------------------------------- */

/* Whoever has waited long enough gets an answer that has ended, if there is one. What is open is in
 * the order of its age, and what lookups of ours ask when they hear of it comes behind. */
static mf_nsec look_at_stale(struct mf_resolver *r)
{
	for (struct mf_question *q = r->open; q; q = q->next) {
		if (q->began + STALE_AFTER > r->now)
			return q->began + STALE_AFTER;
		if (!q->overdue) {
			q->overdue = true;
			(void)mf_question_serve_stale(q);
		}
	}
	return MF_NEVER;
}

mf_nsec mf_resolver_run(struct mf_resolver *r, mf_nsec now)
{
	mf_nsec next;

	r->now = now;
	next = mf_groups_run(r, now);
	if (now >= r->learned_next)
		r->learned_next =
			mf_learned_expire(r->learned, now, r->cfg ? r->cfg->learned_idle : 0);
	next = mf_min(next, r->learned_next);
	return mf_min(next, r->cfg && r->cfg->cache.stale ? look_at_stale(r) : MF_NEVER);
}

/* ---- Lookups of our own ---------------------------------------------------------------------- */

/* One of the questions of a lookup. `hop` 0: as the rules say. False: it cannot be asked. */
static bool ask_for(struct mf_resolver *r, const struct mf_dns_name *name, uint16_t type,
		    uint32_t hop, struct mf_lookup *l)
{
	struct mf_dns_key k = { .name = name, .type = type };
	struct mf_waiter *w = mf_waiter_new_lookup(r, l);
	struct mf_question *q = hop ? NULL : mf_question_find(r, &k);
	struct mf_name_route route;
	struct mf_group *g;

	if (w && !q) {
		mf_resolver_route(r, name, &route);
		route.hop = hop ? hop : route.hop;
		g = hop ? mf_group_of(r, hop) : group_for(r, &route);
		q = g ? mf_question_new(r, &k, &route, g, hop != 0) : NULL;
	}
	if (q && w)
		mf_question_join(q, w);
	else if (w)
		mf_waiter_free(r, w);
	return q && w;
}

static struct mf_lookup *free_lookup(struct mf_resolver *r)
{
	for (unsigned i = 0; i < LOOKUPS; i++)
		if (!r->lookup[i].done)
			return &r->lookup[i];
	return NULL;
}

mf_err mf_resolver_lookup(struct mf_resolver *r, const char *name, uint32_t hop,
			  mf_resolver_found *done, void *ctx, mf_nsec now)
{
	struct mf_lookup *l = free_lookup(r);
	struct mf_dns_name wire;

	r->now = now;
	if (!r->cfg)
		return MF_E_UNSUPPORTED;
	if (mf_dns_name_parse(&wire, name, strlen(name)))
		return MF_E_MALFORMED;
	if (!l)
		return MF_E_FULL;
	*l = (struct mf_lookup){ .done = done, .ctx = ctx };
	l->pending += ask_for(r, &wire, MF_DNS_A, hop, l);
	l->pending += ask_for(r, &wire, MF_DNS_AAAA, hop, l);
	if (l->pending)
		return MF_OK;
	l->done = NULL;
	return MF_E_GONE;
}

/* ---- Another configuration ------------------------------------------------------------------- */

/* A client asks its question again; `old` is what it asked. */
static void ask_again(struct mf_resolver *r, const struct mf_waiter *w)
{
	struct visit v = {
		.r = r,
		.client = &w->client,
		.msg = { w->msg, w->n },
		.q = w->query,
		.out = r->out,
		.cap = mf_waiter_cap(w),
	};
	enum mf_dns_outcome outcome;

	if (!refuse(&v, MF_OK, &outcome))
		outcome = answer_and_log(&v);
	if (outcome == MF_DNS_ANSWERED)
		r->port.answer(r->port.ctx, &w->client, v.out, v.n);
}

/* Nobody has been asked the question that somebody waits for. */
static void begin_again(struct mf_resolver *r, const struct mf_question *q, struct mf_waiter *w)
{
	struct mf_waiter copy = *w;

	mf_waiter_free(r, w);
	if (!copy.lookup) {
		if (!copy.gone)
			ask_again(r, &copy);
	} else if (!r->cfg || !ask_for(r, &q->name, q->type, q->uncached ? q->hop : 0, copy.lookup)) {
		mf_lookup_found(r, copy.lookup, NULL);
	}
}

/* What was open when the old configuration ended comes in once more, under the new one. Questions
 * that are new are behind those. */
static void ask_anew(struct mf_resolver *r)
{
	while (r->open && !r->open->ask) {
		struct mf_question *q = r->open, old = *q;
		struct mf_waiter *w = mf_question_waiters(q), *next;

		mf_question_close(q);
		mf_question_free(q);
		for (; w; w = next) {
			next = w->next;
			begin_again(r, &old, w);
		}
	}
}

mf_err mf_resolver_configure(struct mf_resolver *r, const struct mf_resolver_config *cfg, mf_nsec now)
{
	const struct mf_resolver_config *old = r->cfg;
	mf_err err = MF_OK;

	r->now = now;
	mf_groups_close(r);
	r->cfg = cfg;
	r->epoch = (uint8_t)(r->epoch % UINT8_MAX + 1);
	for (size_t i = 0; i < MF_ARRAY_LEN(r->by_rule); i++)
		mf_uncount(&r->by_rule[i], r->by_rule[i]);
	if (old && (!cfg || old->world != cfg->world))
		(void)mf_dns_cache_flush(r->cache);
	if (cfg) {
		mf_dns_cache_configure(r->cache, &cfg->cache);
		err = mf_groups_open(r);
	}
	mf_learned_judge(r->learned, judge, r);
	r->learned_next = now;
	ask_anew(r);
	return err;
}

/* ---- For people ------------------------------------------------------------------------------ */

struct mf_dns_cache *mf_resolver_cache(struct mf_resolver *r)
{
	return r->cache;
}

const struct mf_resolver_counters *mf_resolver_counters(const struct mf_resolver *r)
{
	return &r->count;
}

const uint64_t *mf_resolver_by_rule(const struct mf_resolver *r)
{
	return r->by_rule;
}

void mf_resolver_explain(struct mf_resolver *r, const struct mf_dns_name *name,
			 struct mf_resolver_why *out)
{
	struct mf_name_route route;
	struct mf_group *g;

	*out = (struct mf_resolver_why){ 0 };
	if (!r->cfg)
		return;
	mf_resolver_route(r, name, &route);
	if (r->cfg->names && route.n)
		mf_names_explain(r->cfg->names, route.text, route.n, &out->verdict);
	out->local = mf_local_knows(r, name, &out->host);
	out->hop = route.hop;
	out->blocked = is_block(r->cfg, route.hop) &&
		       (r->cfg->block != MF_BLOCK_ROUTE || !route.rule);
	g = out->blocked ? NULL : group_for(r, &route);
	if (g) {
		out->n_servers = g->n;
		out->server = g->server;
		out->via = g->hop;
	}
}

bool mf_resolver_upstream(const struct mf_resolver *r, unsigned g, unsigned server,
			  struct mf_upstream_info *out)
{
	if (g >= r->n_groups || server >= mf_upstream_count(r->group[g].upstream))
		return false;
	mf_upstream_info(r->group[g].upstream, server, out);
	return true;
}

const char *mf_resolver_server(const struct mf_resolver *r, const struct mf_dns_entry_note *note)
{
	const struct mf_group *g = &r->group[mf_min(note->group, GROUPS_MAX - 1)];

	if (note->flags != r->epoch || note->group >= r->n_groups || note->upstream >= g->n)
		return NULL;
	return g->server[note->upstream].text;
}

void mf_resolver_transports(const struct mf_resolver *r, struct mf_transport_counters *sum)
{
	*sum = r->closed;
	for (unsigned i = 0; i < r->n_groups; i++)
		mf_transport_counters_add(sum, mf_upstream_counters(r->group[i].upstream));
}
