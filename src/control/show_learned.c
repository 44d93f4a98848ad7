/* SPDX-License-Identifier: Apache-2.0
 *
 * show_learned - the table of learned routes: addresses that answers of the DNS have taught us.
 */
#include "control/show_dns.h"

#include <inttypes.h>
#include <stdio.h>

/* As for the written ones (show_graph.c). */
enum { LEARNED_SHOWN = 1000, LEARNED_SHOWN_ALL = 100000 };

mf_nsec mf_learned_left(const struct mf_learned_info *l, mf_nsec now)
{
	return l->until > now ? l->until - now : 0;
}

const char *mf_learned_lasts(const struct mf_learned_info *l, mf_nsec now, char out[MF_LASTS_STRLEN])
{
	char left[MF_UNIT_STRLEN];

	if (mf_learned_left(l, now))
		snprintf(out, MF_LASTS_STRLEN, "%s", mf_unit_duration(mf_learned_left(l, now), left));
	else if (l->held)
		snprintf(out, MF_LASTS_STRLEN, "in use by %u session%s", l->held,
			 l->held == 1 ? "" : "s");
	else
		snprintf(out, MF_LASTS_STRLEN, "%s", l->used ? "kept while used" : "has ended");
	return out;
}

/* What else people should know of it. */
static void note_cell(struct mf_report *r, const struct mf_learned_info *l)
{
	if (l->overridden)
		mf_cell_text(r, "a written route of full length decides instead");
	else if (l->is_shared)
		mf_cell_textf(r, "shared with %s", *l->shared ? l->shared : "another name");
	else
		mf_cell_none(r);
}

static void row(struct mf_control *c, struct mf_report *r, const struct mf_learned_info *l,
		mf_nsec now)
{
	char lasts[MF_LASTS_STRLEN];
	struct mf_rule rule;

	mf_rule_of_name(c, l->rule, &rule);
	mf_cell_addr(r, &l->addr);
	mf_cell_text(r, mf_hop_name(c, l->hop));
	mf_cell_text(r, l->name);
	mf_cell_rule_set(r, &rule);
	mf_cell_where(r, &rule);
	mf_cell_u64(r, l->rule);
	mf_cell_text(r, mf_learned_lasts(l, now, lasts));
	mf_cell_u64(r, mf_learned_left(l, now));
	mf_cell_u64(r, l->held);
	mf_cell_flag(r, l->used);
	mf_cell_flag(r, l->overridden);
	note_cell(r, l);
	mf_cell_flag(r, l->is_shared);
	if (*l->shared)
		mf_cell_text(r, l->shared);
	else
		mf_cell_none(r);
}

void mf_report_learned(struct mf_control *c, struct mf_report *r, bool all, mf_nsec now)
{
	static const struct mf_column column[] = {
		{ "address", "address", MF_CELL_TEXT },  { "to", "to", MF_CELL_TEXT },
		{ "name", "learned of", MF_CELL_TEXT },  { "domain_set", "set", MF_CELL_TEXT },
		{ "where", "written in", MF_CELL_TEXT }, { "rule", NULL, MF_CELL_NUMBER },
		{ NULL, "lasts", MF_CELL_TEXT },         { "ttl", NULL, MF_CELL_DURATION },
		{ "held", NULL, MF_CELL_NUMBER },        { "used", NULL, MF_CELL_FLAG },
		{ "overridden", NULL, MF_CELL_FLAG },    { NULL, "note", MF_CELL_TEXT },
		{ "shared", NULL, MF_CELL_FLAG },        { "shared_with", NULL, MF_CELL_TEXT },
	};
	const struct mf_learned *t = mf_engine_learned(c->engine);
	uint64_t total = mf_counter_read(&mf_learned_counters(t)->routes);
	size_t most = all ? LEARNED_SHOWN_ALL : LEARNED_SHOWN, shown = 0;
	struct mf_learned_info l;

	mf_fact_u64(r, "learned_total", NULL, MF_CELL_COUNT, total);
	mf_report_table(r, "learned", total ? "Learned of DNS answers" : NULL, column,
			MF_ARRAY_LEN(column), NULL);
	for (uint32_t i = 0; i < mf_learned_places(t) && shown < most; i++)
		if (mf_learned_info(t, i, &l)) {
			row(c, r, &l, now);
			shown++;
		}
	if (shown == most && shown < total)
		mf_report_note(r, "%zu of %" PRIu64 " learned routes%s", shown, total,
			       all ? "" : "; --all shows more");
}
