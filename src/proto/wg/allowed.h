/* SPDX-License-Identifier: Apache-2.0
 *
 * allowed - cryptokey routing of one device: which peer owns which prefix, as a lookup structure for
 * workers (longest match) and as lists for the control thread (whose prefixes are these?).
 */
#ifndef MF_WG_ALLOWED_H
#define MF_WG_ALLOWED_H

#include "base/addr.h"
#include "policy/lpm.h"

struct mf_wg_allowed_node {
	struct mf_prefix prefix;
	uint32_t owner;                         /* value in the lookup structure */
	struct mf_wg_allowed_list *list;        /* its owner's list */
	struct mf_wg_allowed_node *next, *prev; /* in it */
	struct mf_wg_allowed_node *chain;       /* in the hash table */
	uint64_t round;                         /* of the last mf_wg_allowed_add that named it */
};

/* A peer's prefixes, in the order they were added. All zero: none. */
struct mf_wg_allowed_list {
	struct mf_wg_allowed_node *first, *last;
	size_t n;
};

struct mf_wg_allowed_table {
	struct mf_lpm *ip4, *ip6;
	struct mf_wg_allowed_node **bucket;
	size_t n, buckets; /* buckets: 0 or a power of two */
	uint64_t round;    /* counts replacements */
};

MF_MUST_CHECK bool mf_wg_allowed_init(struct mf_wg_allowed_table *t,
				      const struct mf_lpm_reclaim *reclaim);
/* No reader may be left. */
void mf_wg_allowed_fini(struct mf_wg_allowed_table *t);

/* Gives n prefixes (checked, masked) to a peer, taking each from whoever had it. MF_E_NO_MEMORY: all of
 * a family or none of it have been given. */
MF_MUST_CHECK mf_err mf_wg_allowed_add(struct mf_wg_allowed_table *t, struct mf_wg_allowed_list *list,
				       uint32_t owner, const struct mf_prefix *p, size_t n);
/* Takes a prefix from a peer if it is this peer's. MF_OK also when there was nothing to do. */
MF_MUST_CHECK mf_err mf_wg_allowed_remove(struct mf_wg_allowed_table *t,
					  struct mf_wg_allowed_list *list, const struct mf_prefix *p);
/* To replace a peer's prefixes without a moment in which those that stay are missing: begin, add the new
 * ones, and sweep away what was not added since. */
void mf_wg_allowed_begin(struct mf_wg_allowed_table *t);
MF_MUST_CHECK mf_err mf_wg_allowed_sweep(struct mf_wg_allowed_table *t,
					 struct mf_wg_allowed_list *list);
/* Takes all. False: for lack of memory something is left in the lookup structure, where it says `owner`;
 * a dying owner's number must then never be given to another. */
bool mf_wg_allowed_clear(struct mf_wg_allowed_table *t, struct mf_wg_allowed_list *list);

/* Any thread. MF_LPM_NONE: nobody. */
static inline uint32_t mf_wg_allowed_owner(const struct mf_wg_allowed_table *t, const uint8_t *addr,
					   enum mf_family family)
{
	return family == MF_AF_IP4 ? mf_lpm_lookup4(t->ip4, mf_load_be32(addr))
				   : mf_lpm_lookup6(t->ip6, addr);
}

#endif
