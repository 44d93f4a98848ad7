/* SPDX-License-Identifier: Apache-2.0 */
#include "control/show_dns.h"

#include <stdlib.h>

#include "base/count.h"

/* Names asked for most that are shown to people unless all are asked for. */
enum { TOP_SHOWN = 20 };
/* Groups and servers of each that there may be. */
enum { GROUPS = 16, SERVERS = GROUPS * MF_UPSTREAM_SERVERS_MAX };

/* ---- What only the worker knows -------------------------------------------------------------- */

struct view {
	uint32_t n_servers, n_top;
	struct mf_upstream_info server[SERVERS];
	struct mf_transport_counters transports;
	struct mf_dns_cache_counters cache;
	bool want_top;
	struct mf_dns_top top[MF_DNS_TOP_MAX];
};

static void look(struct mf_worker *w, void *ctx)
{
	struct mf_resolver *r = w->dns->resolver;
	struct view *v = ctx;

	for (unsigned g = 0; g < GROUPS; g++)
		for (unsigned s = 0; s < MF_UPSTREAM_SERVERS_MAX; s++)
			v->n_servers += mf_resolver_upstream(r, g, s, &v->server[v->n_servers]);
	mf_resolver_transports(r, &v->transports);
	v->cache = *mf_dns_cache_counters(mf_resolver_cache(r));
	if (v->want_top)
		v->n_top = (uint32_t)mf_resolver_top(r, v->top);
}

/* NULL: out of memory, which the report knows. */
static struct view *look_at(struct mf_control *c, struct mf_report *r, bool want_top, mf_nsec now)
{
	struct view *v = calloc(1, sizeof(*v));

	if (!v) {
		mf_report_fail(r);
		return NULL;
	}
	v->want_top = want_top;
	mf_engine_call(c->engine, 0, look, v, now);
	return v;
}

static const struct mf_resolver_config *config_of(const struct mf_control *c)
{
	return mf_engine_snapshot(c->engine)->dns;
}

/* ---- Servers --------------------------------------------------------------------------------- */

/* As the profile calls them: vpn_servers, direct_servers, servers. */
static const char *group_of(const struct mf_resolver_config *cfg, const struct mf_upstream_info *s)
{
	if (cfg->off_asks_by_route)
		return "all";
	return s->hop == cfg->direct_hop ? "direct" : "vpn";
}

static void server_row(struct mf_control *c, struct mf_report *r, const struct mf_upstream_info *s)
{
	mf_cell_text(r, s->text);
	mf_cell_text(r, group_of(config_of(c), s));
	mf_cell_text(r, mf_hop_name(c, s->hop));
	mf_cell_text(r, !s->asked ? "not asked yet" : s->healthy ? "healthy" : "left alone");
	mf_cell_flag(r, s->healthy);
	if (s->latency)
		mf_cell_u64(r, s->latency);
	else
		mf_cell_none(r);
	mf_cell_u64(r, s->asked);
	mf_cell_u64(r, s->answered);
	mf_cell_u64(r, s->failed);
	if (s->last_error)
		mf_cell_text(r, mf_transport_error_text(s->last_error));
	else
		mf_cell_none(r);
}

static void server_table(struct mf_control *c, struct mf_report *r, const struct view *v)
{
	static const struct mf_column column[] = {
		{ "server", "server", MF_CELL_TEXT },
		{ "group", "group", MF_CELL_TEXT },
		{ "interface", "interface", MF_CELL_TEXT },
		{ NULL, "state", MF_CELL_TEXT },
		{ "healthy", NULL, MF_CELL_FLAG },
		{ "latency", "latency", MF_CELL_DURATION },
		{ "asked", "asked", MF_CELL_COUNT },
		{ "answered", "answered", MF_CELL_COUNT },
		{ "failed", "failed", MF_CELL_COUNT },
		{ "last_error", "last error", MF_CELL_TEXT },
	};

	mf_report_table(r, "servers", "Servers", column, MF_ARRAY_LEN(column), "none");
	for (uint32_t i = 0; i < v->n_servers && config_of(c); i++)
		server_row(c, r, &v->server[i]);
}

/* ---- Questions by rule, names ---------------------------------------------------------------- */

static void rule_row(struct mf_control *c, struct mf_report *r, uint32_t number, uint32_t hop,
		     uint64_t n)
{
	struct mf_rule rule;

	mf_rule_of_name(c, number, &rule);
	mf_cell_where_short(r, &rule);
	mf_cell_where(r, &rule);
	mf_cell_rule_number(r, &rule);
	mf_cell_text(r, rule.set ? rule.set : "(no set)");
	mf_cell_rule_set(r, &rule);
	mf_cell_text(r, mf_hop_name(c, hop));
	mf_cell_u64(r, n);
}

static void rule_table(struct mf_control *c, struct mf_report *r, bool all)
{
	static const struct mf_column column[] = {
		{ NULL, "rule", MF_CELL_TEXT },
		{ "where", NULL, MF_CELL_TEXT },
		{ "rule", NULL, MF_CELL_NUMBER },
		{ NULL, "set", MF_CELL_TEXT },
		{ "domain_set", NULL, MF_CELL_TEXT },
		{ "interface", "interface", MF_CELL_TEXT },
		{ "questions", "questions", MF_CELL_COUNT },
	};
	const struct mf_names *names = mf_engine_snapshot(c->engine)->names;
	const uint64_t *by_rule = mf_resolver_by_rule(mf_engine_resolver(c->engine));
	uint64_t n;

	mf_report_table(r, "rules", "Questions since the profile was loaded, by rule", column,
			MF_ARRAY_LEN(column), "none");
	for (uint32_t i = 0; names && i < names->n && names->rule[i].rule < MF_DNS_RULES_MAX; i++) {
		n = mf_counter_read(&by_rule[names->rule[i].rule]);
		if (n || all)
			rule_row(c, r, names->rule[i].rule, names->rule[i].hop, n);
	}
	n = mf_counter_read(&by_rule[MF_DNS_RULES_MAX]);
	if ((n || all) && config_of(c))
		rule_row(c, r, UINT32_MAX, config_of(c)->fallback_hop, n);
}

static void top_table(struct mf_control *c, struct mf_report *r, const struct view *v, bool all)
{
	static const struct mf_column column[] = {
		{ "name", "name", MF_CELL_TEXT },      { "questions", "questions", MF_CELL_COUNT },
		{ NULL, "rule", MF_CELL_TEXT },        { "rule", NULL, MF_CELL_NUMBER },
		{ "domain_set", "set", MF_CELL_TEXT },
	};
	uint32_t shown = (uint32_t)mf_min(v->n_top, all ? MF_DNS_TOP_MAX : TOP_SHOWN);

	mf_report_table(r, "top", "Names asked for most, lately", column, MF_ARRAY_LEN(column),
			"none");
	for (uint32_t i = 0; i < shown; i++) {
		struct mf_rule rule;

		mf_rule_of_name(c, v->top[i].rule, &rule);
		mf_cell_text(r, v->top[i].name);
		mf_cell_u64(r, v->top[i].count);
		mf_cell_where_short(r, &rule);
		mf_cell_rule_number(r, &rule);
		mf_cell_rule_set(r, &rule);
	}
}

/* ---- Counters -------------------------------------------------------------------------------- */

struct counter_walk {
	struct mf_report *r;
	bool all;
	const char *part;
};

static void counter_row(const struct counter_walk *w, const char *name, uint64_t value,
			const char *text)
{
	if (!value && !w->all)
		return;
	mf_cell_text(w->r, w->part);
	mf_cell_text(w->r, name);
	mf_cell_u64(w->r, value);
	mf_cell_text(w->r, text);
}

static void counter_rows(struct mf_control *c, struct counter_walk *w, const struct view *v)
{
	const struct mf_resolver_counters *r = mf_resolver_counters(mf_engine_resolver(c->engine));
	const struct mf_dns_front_counters *front = mf_engine_dns_counters(c->engine);
	const struct mf_learned_counters *l = mf_learned_counters(mf_engine_learned(c->engine));

	w->part = "dns";
#define X(name, text) counter_row(w, #name, mf_counter_read(&r->name), text);
	MF_RESOLVER_COUNTER_LIST(X)
#undef X
#define X(name, text) counter_row(w, #name, mf_counter_read(&front->name), text);
	MF_DNS_FRONT_COUNTER_LIST(X)
#undef X
	w->part = "cache";
#define X(name, text) counter_row(w, #name, v->cache.name, text);
	MF_DNS_CACHE_COUNTER_LIST(X)
#undef X
	w->part = "servers";
#define X(name, text) counter_row(w, #name, v->transports.name, text);
	MF_TRANSPORT_COUNTER_LIST(X)
#undef X
	w->part = "learned";
#define X(name, text) counter_row(w, #name, mf_counter_read(&l->name), text);
	MF_LEARNED_COUNTER_LIST(X)
#undef X
}

static void counter_table(struct mf_control *c, struct mf_report *r, const struct view *v,
			  const char *key, const char *title, bool all)
{
	static const struct mf_column column[] = {
		{ "part", "part", MF_CELL_TEXT },
		{ "counter", "counter", MF_CELL_TEXT },
		{ "value", "value", MF_CELL_COUNT },
		{ "text", "counts", MF_CELL_TEXT },
	};
	struct counter_walk w = { r, all, NULL };

	mf_report_table(r, key, title, column, MF_ARRAY_LEN(column), "it has had no question yet");
	counter_rows(c, &w, v);
}

void mf_report_dns_counters(struct mf_control *c, struct mf_report *r, bool all, mf_nsec now)
{
	struct view *v = look_at(c, r, false, now);

	if (v)
		counter_table(c, r, v, "dns", "DNS server", all);
	free(v);
}

/* ---- Reports --------------------------------------------------------------------------------- */

void mf_report_dns(struct mf_control *c, struct mf_report *r, bool all, bool json, mf_nsec now)
{
	struct view *v = look_at(c, r, true, now);

	mf_report_fact(r, "configured", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, config_of(c) != NULL);
	if (!config_of(c))
		mf_report_note(r, "the profile has no DNS server");
	if (v) {
		server_table(c, r, v);
		rule_table(c, r, all || json);
		top_table(c, r, v, all || json);
		counter_table(c, r, v, "counters", "Counters", all);
	}
	free(v);
}

static void learned_facts(struct mf_control *c, struct mf_report *r)
{
	const struct mf_learned_counters *l = mf_learned_counters(mf_engine_learned(c->engine));
	uint64_t routes = mf_counter_read(&l->routes), put = mf_counter_read(&l->learned);
	uint64_t full = mf_counter_read(&l->full);
	char b[3][MF_UNIT_STRLEN];

	mf_fact_u64(r, "learned_routes", NULL, MF_CELL_COUNT, routes);
	mf_fact_u64(r, "learned_routes_total", NULL, MF_CELL_COUNT, put);
	mf_fact_u64(r, "learned_routes_full", NULL, MF_CELL_COUNT, full);
	if (!put)
		return;
	mf_report_fact(r, NULL, "learned", MF_CELL_TEXT);
	mf_cell_textf(r, "%s route%s; %s since the start%s%s%s", mf_unit_count(routes, b[0]),
		      routes == 1 ? "" : "s", mf_unit_count(put, b[1]), full ? "; no room for " : "",
		      full ? mf_unit_count(full, b[2]) : "", full ? " more" : "");
}

void mf_report_dns_status(struct mf_control *c, struct mf_report *r, mf_nsec now)
{
	const struct mf_resolver_counters *n = mf_resolver_counters(mf_engine_resolver(c->engine));
	uint64_t queries = mf_counter_read(&n->queries), cached = mf_counter_read(&n->cached);
	struct view *v = config_of(c) ? look_at(c, r, false, now) : NULL;
	uint32_t healthy = 0;
	char b[MF_UNIT_STRLEN];

	for (uint32_t i = 0; v && i < v->n_servers; i++)
		healthy += v->server[i].healthy;
	mf_fact_u64(r, "dns_questions", NULL, MF_CELL_COUNT, queries);
	mf_fact_u64(r, "dns_cached", NULL, MF_CELL_COUNT, cached);
	mf_fact_u64(r, "dns_servers", NULL, MF_CELL_COUNT, v ? v->n_servers : 0);
	mf_fact_u64(r, "dns_servers_healthy", NULL, MF_CELL_COUNT, healthy);
	if (v) {
		mf_report_fact(r, NULL, "dns", MF_CELL_TEXT);
		mf_cell_textf(r, "%s question%s, %.0f %% out of the cache; %u of %u servers healthy",
			      mf_unit_count(queries, b), queries == 1 ? "" : "s",
			      queries ? 100.0 * (double)cached / (double)queries : 0.0, healthy,
			      v->n_servers);
	}
	free(v);
	learned_facts(c, r);
}
