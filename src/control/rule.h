/* SPDX-License-Identifier: Apache-2.0
 *
 * rule - who says where something goes: a route of the profile, by its prefix or by a name, and where that is
 * written; and the cells that tell it.
 */
#ifndef MF_CONTROL_RULE_H
#define MF_CONTROL_RULE_H

#include "control/internal.h"

/* Texts are the engine's, and last until the next profile. */
struct mf_rule {
	bool routed;            /* there is one */
	struct mf_prefix route; /* that matched; of a learned route the address; family 0: none, a name has */
	const char *file; /* NULL: written nowhere */
	uint32_t line;
	uint32_t number; /* in app_routing.routes, UINT32_MAX: none */
	const char *set; /* its domain set, NULL: it has none */
};

/* The route of names with this number in app_routing.routes; NULL: it names no domain set (any more). */
const struct mf_name_rule *mf_rule_name(const struct mf_control *c, uint32_t number);
/* The same as a rule. */
void mf_rule_of_name(const struct mf_control *c, uint32_t number, struct mf_rule *out);
/* What decides about packets to an address. */
void mf_rule_of_why(const struct mf_control *c, const struct mf_addr *dst, const struct mf_why *why,
		    struct mf_rule *out);
/* What the written routes say of it, learned ones apart. Returns the hop, 0: none. */
uint32_t mf_rule_written(const struct mf_control *c, const struct mf_addr *dst, struct mf_rule *out);
/* What has decided about a session: its name, or its address. */
void mf_rule_of_session(const struct mf_control *c, const struct mf_session_facts *s,
			struct mf_rule *out);

/* "/etc/mintflow/mint0.yaml:20"; "mint0.yaml:20"; the number; the prefix; the set. */
void mf_cell_where(struct mf_report *r, const struct mf_rule *rule);
void mf_cell_where_short(struct mf_report *r, const struct mf_rule *rule);
void mf_cell_rule_number(struct mf_report *r, const struct mf_rule *rule);
void mf_cell_rule_route(struct mf_report *r, const struct mf_rule *rule);
void mf_cell_rule_set(struct mf_report *r, const struct mf_rule *rule);

#endif
