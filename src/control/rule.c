/* SPDX-License-Identifier: Apache-2.0 */
#include "control/rule.h"

const struct mf_name_rule *mf_rule_name(const struct mf_control *c, uint32_t number)
{
	const struct mf_names *names = mf_engine_snapshot(c->engine)->names;

	for (uint32_t i = 0; names && i < names->n; i++)
		if (names->rule[i].rule == number)
			return &names->rule[i];
	return NULL;
}

void mf_rule_of_name(const struct mf_control *c, uint32_t number, struct mf_rule *out)
{
	const struct mf_name_rule *r = mf_rule_name(c, number);

	*out = (struct mf_rule){ .number = UINT32_MAX };
	if (!r)
		return;
	*out = (struct mf_rule){
		.routed = true,
		.file = r->file,
		.line = r->line,
		.number = number,
		.set = r->set_name,
	};
}

uint32_t mf_rule_written(const struct mf_control *c, const struct mf_addr *dst, struct mf_rule *out)
{
	const struct mf_route_table *routes = mf_engine_routes(c->engine);
	struct mf_route_origin origin = { .rule = UINT32_MAX };
	uint32_t hop;

	*out = (struct mf_rule){ .number = UINT32_MAX };
	hop = routes ? mf_route_table_explain(routes, dst, &out->route, &origin) : 0;
	if (!hop)
		return 0;
	out->routed = true;
	out->file = origin.file;
	out->line = origin.line;
	out->number = origin.rule;
	return hop;
}

void mf_rule_of_why(const struct mf_control *c, const struct mf_addr *dst, const struct mf_why *why,
		    struct mf_rule *out)
{
	if (!why->learned) {
		(void)mf_rule_written(c, dst, out);
		return;
	}
	mf_rule_of_name(c, why->name.rule, out);
	out->routed = true;
	out->route = (struct mf_prefix){ *dst, (uint8_t)mf_addr_bits(dst) };
}

void mf_rule_of_session(const struct mf_control *c, const struct mf_session_facts *s,
			struct mf_rule *out)
{
	struct mf_why why;

	*out = (struct mf_rule){ .number = UINT32_MAX };
	if (s->hop == MF_HOP_ID_DNS)
		return;
	if (s->rule != UINT32_MAX) {
		mf_rule_of_name(c, s->rule, out);
		return;
	}
	mf_engine_why(c->engine, &s->dst.addr, &why);
	mf_rule_of_why(c, &s->dst.addr, &why, out);
}

void mf_cell_where(struct mf_report *r, const struct mf_rule *rule)
{
	if (rule->file)
		mf_cell_textf(r, "%s:%u", rule->file, rule->line);
	else
		mf_cell_none(r);
}

void mf_cell_where_short(struct mf_report *r, const struct mf_rule *rule)
{
	const char *slash = rule->file ? strrchr(rule->file, '/') : NULL;

	if (rule->file)
		mf_cell_textf(r, "%s:%u", slash ? slash + 1 : rule->file, rule->line);
	else
		mf_cell_none(r);
}

void mf_cell_rule_number(struct mf_report *r, const struct mf_rule *rule)
{
	if (rule->number == UINT32_MAX)
		mf_cell_none(r);
	else
		mf_cell_u64(r, rule->number);
}

void mf_cell_rule_route(struct mf_report *r, const struct mf_rule *rule)
{
	if (rule->route.addr.family)
		mf_cell_prefix(r, &rule->route);
	else
		mf_cell_none(r);
}

void mf_cell_rule_set(struct mf_report *r, const struct mf_rule *rule)
{
	if (rule->set)
		mf_cell_text(r, rule->set);
	else
		mf_cell_none(r);
}
