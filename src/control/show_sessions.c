/* SPDX-License-Identifier: Apache-2.0
 *
 * show_sessions - the sessions of the host stack: a table of all or some, and ending them by hand.
 *
 * Workers go on while we read: a session is as it was at one moment, and each at another one.
 */
#include "control/internal.h"
#include "control/rule.h"

#include <stdio.h>
#include <stdlib.h>

/* What is shown to people unless all is asked for, and the most that is ever shown. */
enum { SESSIONS_SHOWN = 1000, SESSIONS_SHOWN_ALL = 100000 };
/* After so long without a packet a rate is of traffic that has stopped. */
enum { RATE_LASTS_SECONDS = 2 };

/* ---- All of them, one after the other ------------------------------------------------------------ */

struct walk {
	unsigned worker;
	uint32_t slot;
};

static bool next_session(const struct mf_control *c, struct walk *w, struct mf_session_facts *out)
{
	for (; w->worker < mf_engine_worker_count(c->engine); w->worker++, w->slot = 0)
		while (w->slot < mf_engine_session_slots(c->engine, w->worker))
			if (mf_engine_session(c->engine, w->worker, w->slot++, out))
				return true;
	return false;
}

const char *mf_hop_name(const struct mf_control *c, uint32_t hop)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(c->engine);

	return hop < snap->n_hops && *snap->hop[hop].name ? snap->hop[hop].name : "?";
}

bool mf_session_lookup(struct mf_control *c, const struct mf_session_id *id,
		       struct mf_session_facts *out)
{
	return id->worker < mf_engine_worker_count(c->engine) &&
	       id->ref.index < mf_engine_session_slots(c->engine, id->worker) &&
	       mf_engine_session(c->engine, id->worker, id->ref.index, out) &&
	       out->ref.generation == id->ref.generation;
}

struct mf_session_rates mf_session_rates(const struct mf_session_facts *s, mf_nsec now)
{
	if (now > s->last + RATE_LASTS_SECONDS * MF_SEC)
		return (struct mf_session_rates){ 0 };
	return (struct mf_session_rates){ (double)s->rate_up, (double)s->rate_down };
}

/* ---- The chosen ones, in order ------------------------------------------------------------------ */

struct entry {
	struct mf_session_facts facts;
	double rate;
};

struct list {
	struct entry *v;
	size_t n, cap, total;
};

static bool add(struct list *l, const struct mf_session_facts *s, mf_nsec now)
{
	struct mf_session_rates rates = mf_session_rates(s, now);

	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct entry *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return false;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = (struct entry){ *s, rates.up + rates.down };
	return true;
}

static bool collect(struct mf_control *c, const struct mf_session_filter *f, mf_nsec now,
		    struct list *out)
{
	struct mf_session_facts s;
	struct walk w = { 0 };

	*out = (struct list){ 0 };
	while (next_session(c, &w, &s)) {
		out->total++;
		if (mf_session_filter_matches(f, &s, mf_hop_name(c, s.hop)) && !add(out, &s, now))
			return false;
	}
	return true;
}

/* Who moves most comes first; who moves nothing, by age, the newest first. */
static int busier(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->rate > y->rate || x->rate < y->rate)
		return x->rate > y->rate ? -1 : 1;
	if (x->facts.started != y->facts.started)
		return x->facts.started > y->facts.started ? -1 : 1;
	return 0;
}

static void sort(struct list *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), busier);
}

/* ---- Rows --------------------------------------------------------------------------------------- */

static const char *kind_text(uint8_t kind)
{
	static const char *const text[] = {
		[MF_SESSION_TCP] = "tcp",   [MF_SESSION_UDP] = "udp",   [MF_SESSION_DNS] = "dns",
		[MF_SESSION_QUIC] = "quic", [MF_SESSION_ECHO] = "echo",
	};

	return kind < MF_ARRAY_LEN(text) ? text[kind] : "?";
}

/* For people the line of the profile that says where such a session goes, or that this one stays where
 * it is though the line says otherwise by now. */
static void rule_cells(struct mf_control *c, struct mf_report *r, const struct mf_session_facts *s)
{
	struct mf_rule rule;

	mf_rule_of_session(c, s, &rule);
	if (s->stray)
		mf_cell_text(r, "kept");
	else
		mf_cell_where_short(r, &rule);
	mf_cell_rule_route(r, &rule);
	mf_cell_where(r, &rule);
	mf_cell_rule_number(r, &rule);
	mf_cell_rule_set(r, &rule);
	mf_cell_flag(r, s->stray);
}

/* The name that it has shown, and whether that has settled where it goes. */
static void name_cells(struct mf_report *r, const struct mf_session_facts *s)
{
	if (*s->name)
		mf_cell_text(r, s->name);
	else
		mf_cell_none(r);
	mf_cell_flag(r, s->rule != UINT32_MAX);
}

#define IDENTITY_COLUMNS                                                                          \
	{ "id", "id", MF_CELL_TEXT }, { "proto", "proto", MF_CELL_TEXT },                         \
		{ "kind", NULL, MF_CELL_TEXT }, { "app", "app", MF_CELL_TEXT },                   \
		{ "destination", "destination", MF_CELL_TEXT }, { "name", "name", MF_CELL_TEXT }, \
		{ "by_name", NULL, MF_CELL_FLAG }, { "interface", "interface", MF_CELL_TEXT },    \
		{ NULL, "rule", MF_CELL_TEXT }, { "route", NULL, MF_CELL_TEXT },                  \
		{ "where", NULL, MF_CELL_TEXT }, { "rule", NULL, MF_CELL_NUMBER },                \
		{ "domain_set", NULL, MF_CELL_TEXT }, { "kept", NULL, MF_CELL_FLAG },             \
	{                                                                                         \
		"state", "state", MF_CELL_TEXT                                                    \
	}

static void identity_cells(struct mf_control *c, struct mf_report *r,
			   const struct mf_session_facts *s)
{
	char id[MF_SESSION_ID_STRLEN];

	mf_cell_text(r, mf_session_id_format(&(struct mf_session_id){ s->worker, s->ref }, id));
	mf_cell_text(r, mf_session_proto_text(s->proto));
	mf_cell_text(r, kind_text(s->kind));
	mf_cell_endpoint(r, &s->app);
	mf_cell_endpoint(r, &s->dst);
	name_cells(r, s);
	mf_cell_text(r, mf_hop_name(c, s->hop));
	rule_cells(c, r, s);
	mf_cell_text(r, mf_session_state_text((enum mf_session_state)s->state));
}

static void rtt_cell(struct mf_report *r, mf_nsec rtt)
{
	if (rtt)
		mf_cell_u64(r, rtt);
	else
		mf_cell_none(r);
}

static mf_nsec since(mf_nsec then, mf_nsec now)
{
	return now > then ? now - then : 0;
}

static void traffic_cells(struct mf_report *r, const struct mf_session_facts *s, mf_nsec now)
{
	struct mf_session_rates rates = mf_session_rates(s, now);

	mf_cell_u64(r, s->remotes);
	mf_cell_u64(r, s->bytes_up);
	mf_cell_u64(r, s->bytes_down);
	mf_cell_u64(r, s->packets_up);
	mf_cell_u64(r, s->packets_down);
	mf_cell_double(r, rates.up);
	mf_cell_double(r, rates.down);
	rtt_cell(r, s->rtt_app);
	rtt_cell(r, s->rtt_far);
	mf_cell_u64(r, since(s->started, now));
	mf_cell_u64(r, since(s->last, now));
}

static void count_fact(struct mf_report *r, const char *key, size_t n)
{
	mf_report_fact(r, key, NULL, MF_CELL_COUNT);
	mf_cell_u64(r, n);
}

void mf_report_sessions(struct mf_control *c, struct mf_report *r, const struct mf_request *q,
			mf_nsec now)
{
	static const struct mf_column column[] = {
		IDENTITY_COLUMNS,
		{ "remotes", NULL, MF_CELL_NUMBER },
		{ "bytes_up", "up", MF_CELL_BYTES },
		{ "bytes_down", "down", MF_CELL_BYTES },
		{ "packets_up", NULL, MF_CELL_COUNT },
		{ "packets_down", NULL, MF_CELL_COUNT },
		{ "rate_up", "rate up", MF_CELL_RATE },
		{ "rate_down", "rate down", MF_CELL_RATE },
		{ "rtt_app", "rtt app", MF_CELL_DURATION },
		{ "rtt_far", "rtt far", MF_CELL_DURATION },
		{ "age", "age", MF_CELL_DURATION },
		{ "idle", "idle", MF_CELL_DURATION },
	};
	bool all = q->all || q->json;
	struct list l;
	size_t shown;

	if (!collect(c, &q->sessions, now, &l))
		mf_report_fail(r);
	sort(&l);
	shown = mf_min(l.n, all ? SESSIONS_SHOWN_ALL : SESSIONS_SHOWN);
	count_fact(r, "total", l.total);
	count_fact(r, "matching", l.n);
	mf_report_table(r, "sessions", NULL, column, MF_ARRAY_LEN(column),
			l.total && q->filtered ? "no session matches" : "no sessions");
	for (size_t i = 0; i < shown; i++) {
		identity_cells(c, r, &l.v[i].facts);
		traffic_cells(r, &l.v[i].facts, now);
	}
	if (shown < l.n)
		mf_report_note(
			r, "the first %zu of %zu sessions%s", shown, l.n,
			all ? "; words behind `show sessions` choose some"
			    : "; --all shows more, words behind `show sessions` choose some");
	free(l.v);
}

/* ---- Those to one address ------------------------------------------------------------------------ */

enum { SESSIONS_OF_WHY = 5 };

void mf_report_sessions_to(struct mf_control *c, struct mf_report *r, const struct mf_addr *dst,
			   mf_nsec now)
{
	static const struct mf_column column[] = { IDENTITY_COLUMNS };
	struct mf_session_filter f = { .to.prefix = { *dst, (uint8_t)mf_addr_bits(dst) } };
	char address[MF_ADDR_STRLEN];
	struct list l;
	size_t kept = 0;

	if (!collect(c, &f, now, &l))
		mf_report_fail(r);
	sort(&l);
	count_fact(r, "sessions_total", l.n);
	mf_report_table(r, "sessions", l.n ? "Sessions to it now" : NULL, column,
			MF_ARRAY_LEN(column), NULL);
	for (size_t i = 0; i < l.n; i++) {
		if (i < SESSIONS_OF_WHY)
			identity_cells(c, r, &l.v[i].facts);
		kept += l.v[i].facts.stray;
	}
	if (l.n > SESSIONS_OF_WHY)
		mf_report_note(r,
			       "the first %d of %zu; `mintflow show sessions to %s` lists them all",
			       SESSIONS_OF_WHY, l.n, mf_addr_format(dst, address));
	if (kept)
		mf_report_note(
			r,
			"%zu of them stay%s where they are: the route has changed since, and "
			"holds for new ones",
			kept, kept == 1 ? "s" : "");
	free(l.v);
}

/* ---- Closing ------------------------------------------------------------------------------------ */

static bool close_one(struct mf_control *c, const struct mf_session_id *id)
{
	return id->worker < mf_engine_worker_count(c->engine) &&
	       !mf_engine_session_close(c->engine, id->worker, id->ref);
}

static uint32_t close_named(struct mf_control *c, const struct mf_request *q, struct mf_text *missing)
{
	char name[MF_SESSION_ID_STRLEN];
	uint32_t closed = 0;

	for (size_t i = 0; i < q->n_ids; i++) {
		if (close_one(c, &q->id[i]))
			closed++;
		else
			mf_text_printf(missing,
				       "there is no session %s; it has ended, or never was\n",
				       mf_session_id_format(&q->id[i], name));
	}
	return closed;
}

static uint32_t close_matching(struct mf_control *c, const struct mf_session_filter *f)
{
	struct mf_session_facts s;
	struct walk w = { 0 };
	uint32_t closed = 0;

	while (next_session(c, &w, &s))
		if (mf_session_filter_matches(f, &s, mf_hop_name(c, s.hop)))
			closed += close_one(c, &(struct mf_session_id){ s.worker, s.ref });
	return closed;
}

uint32_t mf_sessions_close(struct mf_control *c, const struct mf_request *q, struct mf_text *missing)
{
	return q->n_ids ? close_named(c, q, missing) : close_matching(c, &q->sessions);
}
