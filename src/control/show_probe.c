/* SPDX-License-Identifier: Apache-2.0
 *
 * show_probe - the table of `test`: what took how long, and what has failed.
 */
#include "control/show_probe.h"

#include "control/proxy_text.h"
#include "control/units.h"

/* What fits into the first packets has no rate worth the name. */
enum { RATE_BYTES_MIN = 100 * 1000 };

static bool has_rate(const struct mf_probe *p)
{
	return p->download && p->bytes >= RATE_BYTES_MIN;
}

static double rate_of(const struct mf_probe *p)
{
	return (double)p->bytes * (double)MF_SEC / (double)p->download;
}

/* The interface may have gone with a reload meanwhile: then it is but a name. */
static void interface_facts(struct mf_control *c, struct mf_report *r, const struct mf_probe *p)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(c->engine);
	struct mf_text text = { 0 };
	const struct mf_next_hop *hop = &snap->hop[mf_snapshot_hop_named(snap, p->interface)];

	if (hop->proxy)
		mf_proxy_say(c, hop->proxy, &text);
	else
		mf_text_printf(&text, "%s", p->interface);
	mf_fact_text(r, "interface", NULL, p->interface);
	mf_report_fact(r, NULL, "through", MF_CELL_TEXT);
	mf_cell_take(r, &text);
	mf_fact_text(r, "url", "url", p->url);
	mf_report_fact(r, "address", p->server.addr.family ? "connected to" : NULL, MF_CELL_TEXT);
	mf_cell_endpoint(r, &p->server);
}

static void answer_facts(struct mf_report *r, const struct mf_probe *p)
{
	char size[MF_UNIT_STRLEN], rate[MF_UNIT_STRLEN] = "";

	if (has_rate(p))
		mf_unit_rate(rate_of(p), rate);
	mf_report_fact(r, "status", NULL, MF_CELL_NUMBER);
	if (p->status)
		mf_cell_u64(r, p->status);
	else
		mf_cell_none(r);
	mf_fact_u64(r, "bytes", NULL, MF_CELL_BYTES, p->bytes);
	mf_report_fact(r, "rate", NULL, MF_CELL_RATE);
	if (has_rate(p))
		mf_cell_double(r, rate_of(p));
	else
		mf_cell_none(r);
	mf_report_fact(r, "cut", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, p->cut);
	if (!p->status)
		return;
	mf_report_fact(r, NULL, "answer", MF_CELL_TEXT);
	mf_cell_textf(r, "status %u, %s%s%s%s", p->status, mf_unit_bytes(p->bytes, size),
		      *rate ? ", " : "", rate, p->cut ? ", and there would be more" : "");
}

static void fault_facts(struct mf_report *r, const struct mf_probe *p)
{
	const char *hint = mf_proxy_fault_hint(p->fault);

	mf_report_fact(r, "ok", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, !p->failed);
	mf_fact_text(r, "failed", NULL, p->failed);
	mf_fact_text(r, "fault", NULL, p->fault ? mf_proxy_fault_name(p->fault) : NULL);
	mf_fact_text(r, "why", NULL, p->why);
	mf_fact_text(r, "detail", NULL, p->detail && *p->detail ? p->detail : NULL);
	mf_fact_text(r, "hint", NULL, *hint ? hint : NULL);
}

static void stage_row(struct mf_report *r, const struct mf_probe_stage *s, mf_nsec until, bool failed)
{
	mf_cell_text(r, s->what);
	mf_cell_textf(r, "%s%s", s->what, failed ? ": failed" : "");
	mf_cell_u64(r, s->took);
	mf_cell_u64(r, until);
	mf_cell_flag(r, failed);
}

static void stage_table(struct mf_report *r, const struct mf_probe *p)
{
	static const struct mf_column column[] = {
		{ "stage", NULL, MF_CELL_TEXT },      { NULL, "stage", MF_CELL_TEXT },
		{ "time", "took", MF_CELL_DURATION }, { NULL, "until then", MF_CELL_DURATION },
		{ "failed", NULL, MF_CELL_FLAG },
	};
	struct mf_probe_stage rest;
	mf_nsec sum = 0;

	mf_report_table(r, "stages", "Stages", column, MF_ARRAY_LEN(column), NULL);
	for (uint32_t i = 0; i < p->n; i++) {
		sum += p->stage[i].took;
		stage_row(r, &p->stage[i], sum, false);
	}
	if (!p->failed)
		return;
	rest = (struct mf_probe_stage){ p->failed, p->total > sum ? p->total - sum : 0 };
	stage_row(r, &rest, sum + rest.took, true);
}

void mf_report_probe(struct mf_control *c, struct mf_report *r, const struct mf_probe *p)
{
	interface_facts(c, r, p);
	answer_facts(r, p);
	mf_fact_u64(r, "total", NULL, MF_CELL_DURATION, p->total);
	fault_facts(r, p);
	stage_table(r, p);
}

void mf_probe_say(const struct mf_probe *p, struct mf_text *out)
{
	const char *hint = mf_proxy_fault_hint(p->fault);
	bool more = p->detail && *p->detail;

	mf_text_printf(out, "%s: %s: %s%s%s%s%s%s", p->interface, p->failed, p->why, more ? " (" : "",
		       more ? p->detail : "", more ? ")" : "", *hint ? "; " : "", hint);
}
