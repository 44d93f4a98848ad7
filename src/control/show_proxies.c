/* SPDX-License-Identifier: Apache-2.0 */
#include "control/show_proxies.h"

#include <stdio.h>

#include "control/proxy_text.h"
#include "control/units.h"

static mf_nsec since(mf_nsec then, mf_nsec now)
{
	return now > then ? now - then : 0;
}

static void duration_cell(struct mf_report *r, mf_nsec t)
{
	if (t)
		mf_cell_u64(r, t);
	else
		mf_cell_none(r);
}

static void age_cell(struct mf_report *r, mf_nsec then, mf_nsec now)
{
	if (then)
		mf_cell_u64(r, since(then, now));
	else
		mf_cell_none(r);
}

/* ---- For programs -------------------------------------------------------------------------------- */

static void no_cells(struct mf_report *r, unsigned n)
{
	while (n--)
		mf_cell_none(r);
}

static void way_cells(struct mf_control *c, struct mf_report *r, const struct mf_proxy_config *p)
{
	char transport[MF_PROXY_TRANSPORT_STRLEN], server[MF_PROXY_SERVER_STRLEN];

	mf_cell_text(r, mf_proxy_server_text(p, server));
	mf_cell_text(r, mf_proxy_transport_text(p, transport));
	mf_cell_text(r, mf_hop_name(c, p->via));
	mf_cell_text(r, mf_proxy_udp_text(p));
}

static void fault_cells(struct mf_report *r, const struct mf_proxy_report *h, mf_nsec now)
{
	if (!h->last_fault) {
		no_cells(r, 5);
		return;
	}
	mf_cell_text(r, mf_proxy_fault_name(h->fault));
	mf_cell_text(r, mf_proxy_fault_text(h->fault));
	mf_cell_text(r, h->detail);
	mf_cell_text(r, mf_proxy_fault_hint(h->fault));
	mf_cell_u64(r, since(h->last_fault, now));
}

static void skew_cell(struct mf_report *r, const struct mf_proxy_report *h)
{
	if (h->skew_known)
		mf_cell_double(r, h->skew);
	else
		mf_cell_none(r);
}

void mf_proxy_cells(struct mf_control *c, struct mf_report *r, uint32_t hop, mf_nsec now)
{
	struct mf_proxy_report h;

	if (!mf_engine_proxy(c->engine, hop, &h)) {
		no_cells(r, MF_PROXY_CELLS);
		return;
	}
	way_cells(c, r, mf_engine_snapshot(c->engine)->hop[hop].proxy);
	age_cell(r, h.last_ok, now);
	fault_cells(r, &h, now);
	duration_cell(r, h.tcp);
	duration_cell(r, h.tls);
	duration_cell(r, h.transport);
	duration_cell(r, h.first_byte);
	skew_cell(r, &h);
#define X(name, text) mf_cell_u64(r, h.count.name);
	MF_PROXY_COUNTER_LIST(X)
#undef X
}

/* ---- For people ---------------------------------------------------------------------------------- */

static void ago_cell(struct mf_report *r, mf_nsec then, mf_nsec now)
{
	char age[MF_UNIT_STRLEN];

	if (then)
		mf_cell_textf(r, "%s ago", mf_unit_duration(since(then, now), age));
	else
		mf_cell_text(r, "never");
}

/* What is wrong and what to do, in two lines; of what is over, one. */
static void trouble_cell(struct mf_report *r, const struct mf_proxy_report *h, mf_nsec now)
{
	const char *hint = mf_proxy_fault_hint(h->fault);
	struct mf_text text = { 0 };
	char age[MF_UNIT_STRLEN];

	if (!h->last_fault) {
		mf_cell_none(r);
		return;
	}
	mf_text_printf(&text, "%s ago: ", mf_unit_duration(since(h->last_fault, now), age));
	mf_proxy_fault_say(h->fault, h->detail, &text);
	if (h->state == MF_PROXY_FAILING && *hint)
		mf_text_printf(&text, "\n%s", hint);
	mf_cell_take(r, &text);
}

/* That of the server, against ours. */
static void clock_cell(struct mf_report *r, const struct mf_proxy_report *h)
{
	if (h->skew_known)
		mf_cell_textf(r, "%+d s", h->skew);
	else
		mf_cell_none(r);
}

static void proxy_row(struct mf_control *c, struct mf_report *r, uint32_t hop,
		      const struct mf_proxy_report *h, mf_nsec now)
{
	const struct mf_proxy_config *p = mf_engine_snapshot(c->engine)->hop[hop].proxy;

	mf_cell_text(r, p->name);
	mf_cell_text(r, mf_proxy_state_text(h->state));
	way_cells(c, r, p);
	ago_cell(r, h->last_ok, now);
	duration_cell(r, h->tcp);
	duration_cell(r, h->tls);
	duration_cell(r, h->transport);
	duration_cell(r, h->first_byte);
	clock_cell(r, h);
	trouble_cell(r, h, now);
}

void mf_report_proxies(struct mf_control *c, struct mf_report *r, mf_nsec now)
{
	static const struct mf_column column[] = {
		{ NULL, "name", MF_CELL_TEXT },
		{ NULL, "state", MF_CELL_TEXT },
		{ NULL, "server", MF_CELL_TEXT },
		{ NULL, "transport", MF_CELL_TEXT },
		{ NULL, "via", MF_CELL_TEXT },
		{ NULL, "udp", MF_CELL_TEXT },
		{ NULL, "answered", MF_CELL_TEXT },
		{ NULL, "connect", MF_CELL_DURATION },
		{ NULL, "tls", MF_CELL_DURATION },
		{ NULL, "websocket", MF_CELL_DURATION },
		{ NULL, "first byte", MF_CELL_DURATION },
		{ NULL, "clock", MF_CELL_TEXT },
		{ NULL, "last fault", MF_CELL_LIST },
	};
	const struct mf_snapshot *snap = mf_engine_snapshot(c->engine);
	struct mf_proxy_report h;
	bool any = false;

	for (uint32_t i = 0; i < snap->n_hops; i++) {
		if (!mf_engine_proxy(c->engine, i, &h))
			continue;
		if (!any)
			mf_report_table(r, NULL, "Proxies", column, MF_ARRAY_LEN(column), NULL);
		any = true;
		proxy_row(c, r, i, &h, now);
	}
}

/* ---- Counters ------------------------------------------------------------------------------------ */

static void counter_row(struct mf_report *r, const char *name, const char *counter, uint64_t n,
			const char *text, bool all)
{
	if (!n && !all)
		return;
	mf_cell_text(r, name);
	mf_cell_text(r, counter);
	mf_cell_u64(r, n);
	mf_cell_text(r, text);
}

static void counter_rows(struct mf_report *r, const char *name, const struct mf_proxy_counters *n,
			 bool all)
{
	char fault[40];

#define X(counter, text) counter_row(r, name, #counter, n->counter, text, all);
	MF_PROXY_COUNTER_LIST(X)
#undef X
	for (unsigned f = MF_PROXY_NONE + 1; f < MF_PROXY_FAULTS; f++) {
		snprintf(fault, sizeof(fault), "fault_%s", mf_proxy_fault_name(f));
		counter_row(r, name, fault, n->fault[f], mf_proxy_fault_text(f), all);
	}
}

void mf_report_proxy_counters(struct mf_control *c, struct mf_report *r, bool all)
{
	static const struct mf_column column[] = {
		{ "proxy", "proxy", MF_CELL_TEXT },
		{ "counter", "counter", MF_CELL_TEXT },
		{ "value", "value", MF_CELL_COUNT },
		{ "text", "counts", MF_CELL_TEXT },
	};
	const struct mf_snapshot *snap = mf_engine_snapshot(c->engine);
	struct mf_proxy_report h;
	bool any = false;

	for (uint32_t i = 0; i < snap->n_hops; i++) {
		if (!mf_engine_proxy(c->engine, i, &h))
			continue;
		if (!any)
			mf_report_table(r, "proxies", "Proxies", column, MF_ARRAY_LEN(column),
					"nothing has gone through them yet");
		any = true;
		counter_rows(r, snap->hop[i].name, &h.count, all);
	}
}
