/* SPDX-License-Identifier: Apache-2.0
 *
 * route_priv - what route.c (the order of things) and route_nl.c (single rules and routes) share.
 */
#ifndef MF_PLATFORM_LINUX_ROUTE_PRIV_H
#define MF_PLATFORM_LINUX_ROUTE_PRIV_H

#include "platform/linux/nl.h"
#include "platform/route.h"

struct rule {
	uint8_t family; /* enum mf_family */
	uint32_t priority;
	uint32_t table;  /* 0: none, see go_to */
	uint32_t go_to;  /* priority of the rule to go on with; 0 and no table: nothing happens */
	uint32_t mark;   /* only what carries it; 0: everything */
	bool unmarked;   /* all but what carries `mark` */
	bool no_default; /* the table's default route does not count */
	const struct mf_prefix *to; /* NULL: everywhere */
	uint8_t ip_proto;           /* only this one, of this machine's own; 0: all */
	uint16_t dport;             /* with ip_proto */
};

/* All return 0 or -errno; adding what is there and removing what is not are no errors. */
int mf_route_nl_rule(struct mf_nl *nl, const struct rule *rule, bool add);
int mf_route_nl_default(struct mf_nl *nl, uint8_t family, uint32_t ifindex);

/* Removes every rule that carries our protocol number. */
int mf_route_nl_clean_rules(struct mf_nl *nl, uint8_t family, uint32_t *removed);
/* Removes our routes from our table. */
int mf_route_nl_clean_routes(struct mf_nl *nl, uint8_t family, uint32_t *removed);
/* The device of a route of ours, 0: there is none. */
int mf_route_nl_owner(struct mf_nl *nl, uint8_t family, uint32_t *ifindex);

/* Reverse path filtering (linux/rpfilter.c): what was changed, to put it back. */
struct mf_rpfilter;
struct mf_rpfilter *mf_rpfilter_loosen(void);
void mf_rpfilter_restore(struct mf_rpfilter *f);

#endif
