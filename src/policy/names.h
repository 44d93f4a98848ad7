/* SPDX-License-Identifier: Apache-2.0
 *
 * names - which route a host name has: the rules of the profile that name a domain set, in their
 * order. The first whose set has the name counts. Immutable; any thread.
 */
#ifndef MF_NAMES_H
#define MF_NAMES_H

#include "policy/domain_set.h"

struct mf_name_rule {
	const struct mf_domain_set *set; /* must outlive the rules */
	const char *set_name;            /* copied */
	uint32_t hop;                    /* where it leads (nodes/snapshot.h) */
	uint32_t rule;                   /* its number in the profile's app_routing.routes */
	const char *file;                /* where that is written; copied; NULL: nowhere */
	uint32_t line;
};

struct mf_names {
	uint32_t n;
	struct mf_name_rule rule[];
};

/* What is known about a name. */
struct mf_name_verdict {
	const struct mf_name_rule *rule; /* NULL: no set has it */
	const struct mf_name_rule *also; /* a later one with another hop, whose set has it, too */
	struct mf_domain_match match;
};

/* Copies the rules (and names); sets stay the caller's. NULL: out of memory. */
struct mf_names *mf_names_new(const struct mf_name_rule *rule, uint32_t n);
void mf_names_free(struct mf_names *t);

/* The rule of a host name (lower case, no last dot), or NULL. */
const struct mf_name_rule *mf_names_find(const struct mf_names *t, const char *name, size_t n);
/* The same with everything that `why` wants to know. */
void mf_names_explain(const struct mf_names *t, const char *name, size_t n,
		      struct mf_name_verdict *out);

#endif
