/* SPDX-License-Identifier: Apache-2.0
 *
 * route - a routing table: for each prefix the next hop, and where somebody wrote that (`mintflow why`).
 *
 * Lookups go to the two prefix tables inside and never see the origins, which are kept apart as small as
 * they get: 12 bytes for an IPv4 route, 24 for IPv6. Control thread, but for lookups.
 */
#ifndef MF_ROUTE_H
#define MF_ROUTE_H

#include "base/addr.h"
#include "policy/lpm.h"

struct mf_route_table;

/* Where a route comes from. `file` is copied; NULL: from no file. */
struct mf_route_origin {
	const char *file;
	uint32_t line;
	uint32_t rule; /* number of the rule in the profile, UINT32_MAX: none */
};

/* `reclaim` as for mf_lpm_new. NULL: out of memory. */
struct mf_route_table *mf_route_table_new(const struct mf_lpm_reclaim *reclaim);
/* No lookup may be running. NULL is allowed. */
void mf_route_table_free(struct mf_route_table *t);

/* Notes a route to the next hop `hop` (1..MF_LPM_VALUE_MAX); it is in force after mf_route_table_commit.
 * Host bits of the prefix are ignored. Cheapest if routes of one rule come after each other.
 * MF_E_NO_MEMORY; MF_E_FULL: 16 million rules. */
MF_MUST_CHECK mf_err mf_route_table_add(struct mf_route_table *t, const struct mf_prefix *prefix,
					uint32_t hop, const struct mf_route_origin *origin);
/* Puts all that was added in force. The same prefix twice with one next hop is one route, the first;
 * with different next hops it is MF_E_CONFLICT (`*first` and `*second`, which may be NULL, are their
 * origins in the order in which they were added) and what is in force has not changed, but the table
 * keeps its contradiction: free it. After MF_E_NO_MEMORY some of the routes may be in force; a later
 * commit does the rest. */
MF_MUST_CHECK mf_err mf_route_table_commit(struct mf_route_table *t, struct mf_route_origin *first,
					   struct mf_route_origin *second);

/* The next hop of an address, MF_LPM_NONE for none. Any thread. */
uint32_t mf_route_table_lookup(const struct mf_route_table *t, const struct mf_addr *a);
/* For many lookups (mf_lpm_lookup4, mf_lpm_lookup6), any thread. */
const struct mf_lpm *mf_route_table_ip4(const struct mf_route_table *t);
const struct mf_lpm *mf_route_table_ip6(const struct mf_route_table *t);

/* The next hop of an address, 0 for none, the prefix that says so and its origin (which lives as long
 * as the table). */
uint32_t mf_route_table_explain(const struct mf_route_table *t, const struct mf_addr *a,
				struct mf_prefix *prefix, struct mf_route_origin *origin);

/* Calls fn for each route, IPv4 first, in order of address, until it returns false. */
void mf_route_table_walk(const struct mf_route_table *t,
			 bool (*fn)(void *ctx, const struct mf_prefix *prefix, uint32_t hop,
				    const struct mf_route_origin *origin),
			 void *ctx);
/* Routes, and bytes of all that belongs to the table. */
size_t mf_route_table_count(const struct mf_route_table *t);
size_t mf_route_table_bytes(const struct mf_route_table *t);

#endif
