/* SPDX-License-Identifier: Apache-2.0
 *
 * show_cache - what the DNS server keeps: a table of answers, and forgetting them by hand.
 */
#include "control/show_dns.h"

#include <stdio.h>

/* What is shown to people unless all is asked for, and the most that is ever shown. */
enum { ANSWERS_SHOWN = 1000, ANSWERS_SHOWN_ALL = 100000 };
/* Addresses of one answer, unless all are asked for. */
enum { ADDRS_SHOWN = 2 };

/* ---- Rows ------------------------------------------------------------------------------------------ */

/* How many records the answer section has. */
static unsigned count_records(const struct mf_cache_entry *e)
{
	return e->msg.n >= MF_DNS_HEADER ? mf_load_be16(e->msg.p + 6) : 0;
}

static void add_addrs(struct mf_text *t, const struct mf_dns_facts *f, const char *between, size_t max)
{
	char a[MF_ADDR_STRLEN];

	for (size_t i = 0; i < f->n_addrs && i < max; i++)
		mf_text_printf(t, "%s%s", i ? between : "", mf_addr_format(&f->addr[i], a));
	if (f->n_addrs > max)
		mf_text_printf(t, " +%zu", f->n_addrs - max);
}

/* For people, in one line. */
static void answer_cell(struct mf_report *r, const struct mf_cache_entry *e,
			const struct mf_dns_facts *f, const char *cname, bool all)
{
	struct mf_text t = { 0 };
	char rcode[16];

	if (*cname)
		mf_text_printf(&t, "%s: ", cname);
	if (e->rcode)
		mf_text_printf(&t, "%s", mf_dns_rcode_format(e->rcode, rcode));
	else if (f->nodata)
		mf_text_printf(&t, "NODATA");
	else if (f->n_addrs)
		add_addrs(&t, f, ", ", all ? SIZE_MAX : ADDRS_SHOWN);
	else
		mf_text_printf(&t, "%u record%s, %zu bytes", count_records(e),
			       count_records(e) == 1 ? "" : "s", e->msg.n);
	mf_cell_take(r, &t);
}

static void ttl_cells(struct mf_report *r, const struct mf_cache_entry *e)
{
	char left[MF_UNIT_STRLEN];
	bool stale = e->ttl_left <= 0;

	mf_cell_text(r, stale ? "stale" : mf_unit_duration((mf_nsec)e->ttl_left * MF_SEC, left));
	mf_cell_double(r, (double)e->ttl_left);
	mf_cell_flag(r, stale);
}

static void source_cells(struct mf_control *c, struct mf_report *r, const struct mf_cache_entry *e)
{
	if (e->server)
		mf_cell_text(r, e->server);
	else
		mf_cell_none(r);
	if (e->note.latency_us)
		mf_cell_u64(r, e->note.latency_us * MF_USEC);
	else
		mf_cell_none(r);
	if (e->note.hop)
		mf_cell_text(r, mf_hop_name(c, e->note.hop));
	else
		mf_cell_none(r);
}

/* Its addresses that have learned routes. */
static void learned_cells(struct mf_control *c, struct mf_report *r, const struct mf_dns_facts *f)
{
	struct mf_dns_facts has = { 0 };
	struct mf_learned_info l;
	struct mf_text t = { 0 };

	for (size_t i = 0; i < f->n_addrs; i++)
		if (mf_learned_find(mf_engine_learned(c->engine), &f->addr[i], &l))
			has.addr[has.n_addrs++] = f->addr[i];
	mf_cell_u64(r, has.n_addrs);
	add_addrs(&t, &has, "\n", SIZE_MAX);
	mf_cell_take(r, &t);
}

static void rule_cells(struct mf_control *c, struct mf_report *r, const struct mf_cache_entry *e)
{
	struct mf_rule rule;

	mf_rule_of_name(c, e->note.rule, &rule);
	mf_cell_where_short(r, &rule);
	mf_cell_where(r, &rule);
	mf_cell_rule_number(r, &rule);
	mf_cell_rule_set(r, &rule);
}

static void row(struct mf_control *c, struct mf_report *r, const struct mf_cache_entry *e, bool all)
{
	struct mf_dns_facts f = { 0 };
	char cname[MF_DNS_TEXT_MAX], b[16];
	struct mf_text addrs = { 0 };

	if (mf_dns_facts_read(e->msg, &f))
		f = (struct mf_dns_facts){ .rcode = e->rcode };
	mf_cache_entry_cname(e, cname);
	mf_cell_text(r, e->name);
	mf_cell_text(r, mf_dns_type_format(e->type, b));
	answer_cell(r, e, &f, cname, all);
	mf_cell_text(r, mf_dns_rcode_format(e->rcode, b));
	mf_cell_flag(r, f.nodata);
	add_addrs(&addrs, &f, "\n", SIZE_MAX);
	mf_cell_take(r, &addrs);
	if (*cname)
		mf_cell_text(r, cname);
	else
		mf_cell_none(r);
	mf_cell_u64(r, count_records(e));
	mf_cell_u64(r, e->msg.n);
	ttl_cells(r, e);
	mf_cell_u64(r, e->hits);
	source_cells(c, r, e);
	rule_cells(c, r, e);
	learned_cells(c, r, &f);
	mf_cell_flag(r, e->key_flags & MF_DNS_KEY_DO);
	mf_cell_flag(r, e->key_flags & MF_DNS_KEY_CD);
}

void mf_report_cached(struct mf_control *c, struct mf_report *r, const struct mf_cache_list *l,
		      size_t shown, bool all, const char *key, const char *title, const char *empty)
{
	static const struct mf_column column[] = {
		{ "name", "name", MF_CELL_TEXT },
		{ "type", "type", MF_CELL_TEXT },
		{ NULL, "answer", MF_CELL_TEXT },
		{ "rcode", NULL, MF_CELL_TEXT },
		{ "nodata", NULL, MF_CELL_FLAG },
		{ "addresses", NULL, MF_CELL_LIST },
		{ "cname", NULL, MF_CELL_TEXT },
		{ "records", NULL, MF_CELL_NUMBER },
		{ "bytes", NULL, MF_CELL_NUMBER },
		{ NULL, "ttl", MF_CELL_TEXT },
		{ "ttl", NULL, MF_CELL_SIGNED },
		{ "stale", NULL, MF_CELL_FLAG },
		{ "hits", "hits", MF_CELL_COUNT },
		{ "server", "server", MF_CELL_TEXT },
		{ "latency", "latency", MF_CELL_DURATION },
		{ "interface", "interface", MF_CELL_TEXT },
		{ NULL, "rule", MF_CELL_TEXT },
		{ "where", NULL, MF_CELL_TEXT },
		{ "rule", NULL, MF_CELL_NUMBER },
		{ "domain_set", "set", MF_CELL_TEXT },
		{ NULL, "learned", MF_CELL_NUMBER },
		{ "learned", NULL, MF_CELL_LIST },
		{ "dnssec_ok", NULL, MF_CELL_FLAG },
		{ "checking_disabled", NULL, MF_CELL_FLAG },
	};

	mf_report_table(r, key, title, column, MF_ARRAY_LEN(column), empty);
	for (size_t i = 0; i < shown; i++)
		row(c, r, &l->v[i], all);
}

void mf_report_dns_cache(struct mf_control *c, struct mf_report *r, const struct mf_request *q,
			 mf_nsec now)
{
	struct mf_cache_choice choice = { 0 };
	bool all = q->all || q->json;
	struct mf_dns_name name;
	struct mf_cache_list l;
	size_t shown;

	if (*q->name && !mf_dns_name_parse(&name, q->name, strlen(q->name)))
		choice.name = &name;
	if (!mf_cache_list_read(&l, c->engine, &choice, now))
		mf_report_fail(r);
	shown = mf_min(l.n, all ? ANSWERS_SHOWN_ALL : ANSWERS_SHOWN);
	mf_fact_u64(r, "total", NULL, MF_CELL_COUNT, l.total);
	mf_fact_u64(r, "matching", NULL, MF_CELL_COUNT, l.n);
	mf_report_cached(c, r, &l, shown, q->all, mf_show_name(MF_SHOW_DNS_CACHE), NULL,
			 l.total ? "no answer matches" : "nothing is kept");
	if (shown < l.n)
		mf_report_note(
			r, "the first %zu of %zu answers%s", shown, l.n,
			all ? "; a name behind `show dns-cache` chooses some"
			    : "; --all shows more, a name behind `show dns-cache` chooses some");
	mf_cache_list_free(&l);
}

/* ---- Flushing --------------------------------------------------------------------------------------- */

struct flush {
	const struct mf_dns_name *name; /* NULL: everything */
	uint32_t flushed;
};

static void flush(struct mf_worker *w, void *ctx)
{
	struct mf_dns_cache *cache = mf_resolver_cache(w->dns->resolver);
	struct flush *f = ctx;

	f->flushed = f->name ? mf_dns_cache_flush_name(cache, f->name, true)
			     : mf_dns_cache_flush(cache);
}

uint32_t mf_dns_cache_forget(struct mf_control *c, const char *host, mf_nsec now)
{
	struct mf_dns_name name;
	struct flush f = { 0 };

	if (*host && mf_dns_name_parse(&name, host, strlen(host)))
		return 0;
	if (*host)
		f.name = &name;
	mf_engine_call(c->engine, 0, flush, &f, now);
	return f.flushed;
}
