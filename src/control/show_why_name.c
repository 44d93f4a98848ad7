/* SPDX-License-Identifier: Apache-2.0
 *
 * show_why_name - `why` of a name: the whole way from the name to packets. Which route has it, who is asked
 * through which interface, what is known now, and where its addresses lead.
 */
#include "control/fate.h"
#include "control/show_dns.h"

#include <stdio.h>

/* ---- The rules ------------------------------------------------------------------------------- */

struct question {
	struct mf_dns_name name;
	struct mf_resolver_why why;
};

static void explain(struct mf_worker *w, void *ctx)
{
	struct question *q = ctx;

	mf_resolver_explain(w->dns->resolver, &q->name, &q->why);
}

/* What of a set has matched. */
static void match_cell(struct mf_report *r, const char *name, const struct mf_name_verdict *v)
{
	const struct mf_domain_match *m = &v->match;
	const char *pattern = mf_domain_set_pattern(v->rule->set, m->kind, m->pattern);

	switch (m->kind) {
	case MF_DOMAIN_BELOW:
		mf_cell_textf(r, "%s and all below it", name + m->at);
		return;
	case MF_DOMAIN_FULL:
		mf_cell_textf(r, "exactly %s", name + m->at);
		return;
	case MF_DOMAIN_KEYWORD:
		mf_cell_textf(r, "names with %s in them", pattern ? pattern : "?");
		return;
	case MF_DOMAIN_REGEXP:
		mf_cell_textf(r, "names that match %s", pattern ? pattern : "?");
		return;
	}
	mf_cell_none(r);
}

static void rule_facts(struct mf_control *c, struct mf_report *r, const char *name,
		       const struct mf_name_verdict *v)
{
	struct mf_rule rule = { .number = UINT32_MAX };

	if (v->rule)
		mf_rule_of_name(c, v->rule->rule, &rule);
	mf_report_fact(r, "rule", NULL, MF_CELL_NUMBER);
	mf_cell_rule_number(r, &rule);
	mf_report_fact(r, "domain_set", NULL, MF_CELL_TEXT);
	mf_cell_rule_set(r, &rule);
	mf_report_fact(r, NULL, "rule", MF_CELL_TEXT);
	if (v->rule)
		mf_cell_textf(r, "app_routing.routes, entry %u: domain set %s to %s",
			      v->rule->rule + 1, v->rule->set_name, mf_hop_name(c, v->rule->hop));
	else
		mf_cell_text(r, "none: the name is in no domain set that a route names");
	mf_report_fact(r, "where", "written in", MF_CELL_TEXT);
	mf_cell_where(r, &rule);
	if (!v->rule)
		return;
	mf_report_fact(r, "match", "the set has", MF_CELL_TEXT);
	match_cell(r, name, v);
	if (!v->also)
		return;
	mf_fact_u64(r, "also_rule", NULL, MF_CELL_NUMBER, v->also->rule);
	mf_fact_text(r, "also_domain_set", NULL, v->also->set_name);
	mf_fact_text(r, "also_to", NULL, mf_hop_name(c, v->also->hop));
	mf_report_fact(r, NULL, "also", MF_CELL_TEXT);
	mf_cell_textf(r, "entry %u has it, too (domain set %s to %s); the earlier one counts",
		      v->also->rule + 1, v->also->set_name, mf_hop_name(c, v->also->hop));
}

/* ---- Who answers ----------------------------------------------------------------------------- */

static const char *block_text(enum mf_block_answer block)
{
	static const char *const text[] = {
		[MF_BLOCK_NXDOMAIN] = "NXDOMAIN",
		[MF_BLOCK_ZERO] = "0.0.0.0 and ::",
		[MF_BLOCK_REFUSED] = "REFUSED",
		[MF_BLOCK_ROUTE] = "REFUSED", /* of names without a rule */
	};

	return (unsigned)block < MF_ARRAY_LEN(text) ? text[block] : "?";
}

static void server_facts(struct mf_control *c, struct mf_report *r, const struct mf_resolver_why *w)
{
	struct mf_text names = { 0 };

	for (unsigned i = 0; i < w->n_servers; i++)
		mf_text_printf(&names, "%s%s", i ? "\n" : "", w->server[i].text);
	mf_report_fact(r, "servers", "servers", MF_CELL_LIST);
	mf_cell_take(r, &names);
	mf_fact_text(r, "through", "through", mf_hop_name(c, w->via));
}

static void answer_facts(struct mf_control *c, struct mf_report *r, const struct mf_resolver_why *w)
{
	const struct mf_resolver_config *cfg = mf_engine_snapshot(c->engine)->dns;

	mf_fact_text(r, "interface", "interface", mf_hop_name(c, w->hop));
	mf_report_fact(r, "local", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, w->local);
	mf_report_fact(r, "blocked", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, w->blocked && !w->local);
	mf_report_fact(r, NULL, "answered", MF_CELL_TEXT);
	if (w->host)
		mf_cell_text(r, "out of dns.hosts, nobody is asked");
	else if (w->local)
		mf_cell_text(r, "here: the name is special, nobody is asked");
	else if (w->blocked && w->verdict.rule)
		mf_cell_textf(r, "%s, nobody is asked; a session that shows the name is %s",
			      block_text(cfg->block),
			      w->hop == cfg->drop_hop ? "dropped" : "rejected");
	else if (w->blocked)
		mf_cell_textf(r, "%s, nobody is asked: app_routing.dns_fallback says so",
			      block_text(cfg->block));
	else if (w->n_servers)
		mf_cell_text(r, "by one of these servers, the fastest first");
	else
		mf_cell_textf(r, "REFUSED: the profile has no servers to be asked through %s",
			      mf_hop_name(c, w->hop));
	if (!w->local && !w->blocked && w->n_servers)
		server_facts(c, r, w);
	if (w->hop < cfg->n_hops && cfg->strip_aaaa_hops[w->hop])
		mf_report_note(r, "IPv6 addresses are taken out of its answers: %s has none",
			       mf_hop_name(c, w->hop));
}

/* ---- Its addresses --------------------------------------------------------------------------- */

struct addresses {
	size_t n;
	struct mf_addr v[MF_DNS_ADDRS_MAX];
};

static void add_address(struct addresses *to, const struct mf_addr *a)
{
	for (size_t i = 0; i < to->n; i++)
		if (mf_addr_equal(&to->v[i], a))
			return;
	if (to->n < MF_DNS_ADDRS_MAX)
		to->v[to->n++] = *a;
}

static void find_addresses(const struct mf_resolver_why *w, const struct mf_cache_list *l,
			   struct addresses *to)
{
	struct mf_dns_facts f;

	to->n = 0;
	for (uint8_t i = 0; w->host && i < w->host->n; i++)
		add_address(to, &w->host->addr[i]);
	for (size_t i = 0; i < l->n; i++)
		if (!mf_dns_facts_read(l->v[i].msg, &f))
			for (uint16_t k = 0; k < f.n_addrs; k++)
				add_address(to, &f.addr[k]);
}

static void learned_cells(struct mf_report *r, const struct mf_learned_info *l, bool found,
			  mf_nsec now)
{
	char lasts[MF_LASTS_STRLEN];

	if (!found) {
		for (int i = 0; i < 4; i++)
			mf_cell_none(r);
		return;
	}
	mf_cell_text(r, l->name);
	mf_cell_text(r, mf_learned_lasts(l, now, lasts));
	mf_cell_u64(r, mf_learned_left(l, now));
	if (l->is_shared)
		mf_cell_text(r, *l->shared ? l->shared : "another name");
	else
		mf_cell_none(r);
}

static void address_row(struct mf_control *c, struct mf_report *r, const struct mf_addr *a,
			mf_nsec now)
{
	struct mf_why why;
	struct mf_way_in way;
	struct mf_fate fate;
	struct mf_rule rule;

	mf_way_in_find(c, a, &way);
	mf_engine_why(c->engine, a, &why);
	mf_fate_decide(c, a, &why, now, &fate);
	mf_rule_of_why(c, a, &why, &rule);
	mf_cell_addr(r, a);
	mf_cell_text(r, why.hop->kind == MF_HOP_NONE ? "none" : why.hop->name);
	mf_cell_where_short(r, &rule);
	mf_cell_where(r, &rule);
	learned_cells(r, &why.name, why.learned, now);
	mf_cell_text(r, way.enters ? fate.verdict : "outside");
	mf_cell_text(r, way.enters ? fate.text : "stays outside the tunnel");
}

static void address_table(struct mf_control *c, struct mf_report *r, const struct addresses *a,
			  mf_nsec now)
{
	static const struct mf_column column[] = {
		{ "address", "address", MF_CELL_TEXT },
		{ "interface", "interface", MF_CELL_TEXT },
		{ NULL, "rule", MF_CELL_TEXT },
		{ "where", NULL, MF_CELL_TEXT },
		{ "learned_of", "learned of", MF_CELL_TEXT },
		{ NULL, "lasts", MF_CELL_TEXT },
		{ "ttl", NULL, MF_CELL_DURATION },
		{ "shared_with", "shared with", MF_CELL_TEXT },
		{ "verdict", NULL, MF_CELL_TEXT },
		{ "text", "a packet to it", MF_CELL_TEXT },
	};

	mf_report_table(r, "addresses", a->n ? "Its addresses" : NULL, column, MF_ARRAY_LEN(column),
			NULL);
	for (size_t i = 0; i < a->n; i++)
		address_row(c, r, &a->v[i], now);
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* Kept answers that came in through another interface than the rules say now are asked for anew. */
static void note_moved(struct mf_control *c, struct mf_report *r, const struct mf_resolver_why *w,
		       const struct mf_cache_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].note.hop && l->v[i].note.hop != w->hop) {
			mf_report_note(r,
				       "what came in through %s is not served any more: the name "
				       "belongs to %s now",
				       mf_hop_name(c, l->v[i].note.hop), mf_hop_name(c, w->hop));
			return;
		}
}

bool mf_report_why_name(struct mf_control *c, struct mf_report *r, const char *name, mf_nsec now)
{
	struct question q = { 0 };
	struct mf_cache_choice choice = { &q.name, true };
	struct mf_cache_list l;
	struct addresses a;

	if (!mf_engine_snapshot(c->engine)->dns || mf_dns_name_parse(&q.name, name, strlen(name)))
		return false;
	mf_engine_call(c->engine, 0, explain, &q, now);
	if (!mf_cache_list_read(&l, c->engine, &choice, now))
		mf_report_fail(r);
	find_addresses(&q.why, &l, &a);
	mf_fact_text(r, "name", "name", name);
	rule_facts(c, r, name, &q.why.verdict);
	answer_facts(c, r, &q.why);
	mf_report_cached(c, r, &l, l.n, true, "cached",
			 q.why.local || (q.why.blocked && !l.n) ? NULL : "Kept answers",
			 q.why.local || q.why.blocked
				 ? NULL
				 : "none now: its addresses are known when somebody has asked");
	note_moved(c, r, &q.why, &l);
	address_table(c, r, &a, now);
	mf_cache_list_free(&l);
	return true;
}
