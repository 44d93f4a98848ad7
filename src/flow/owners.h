/* SPDX-License-Identifier: Apache-2.0
 *
 * owners - which worker has a session, for the packets that reach another one: the first packets of a UDP
 * mapping to a new destination before the TUN has learned its queue, and fragments.
 *
 * Shared by all workers, without locks: buckets of one 64-bit word, in which entries are claimed and given
 * up by compare-and-swap. Holds parts of hashes, not keys: a session that by chance looks like another one
 * is served by the worker of that one.
 */
#ifndef MF_FLOW_OWNERS_H
#define MF_FLOW_OWNERS_H

#include "base/base.h"

struct mf_owners;

/* For up to `max` sessions of all workers together. NULL: out of memory. `hash_key`: all workers must hash
 * alike, so it is kept here for their tables. */
struct mf_owners *mf_owners_new(uint32_t max, const uint8_t hash_key[16]);
void mf_owners_free(struct mf_owners *o);
const uint8_t *mf_owners_hash_key(const struct mf_owners *o);

enum { MF_OWNER_NONE = -1, MF_OWNERS_WORKERS = 127 };

/* Who has it, or MF_OWNER_NONE. Any worker. */
int mf_owners_find(const struct mf_owners *o, uint64_t hash);
/* Claims it for `worker` unless somebody has it: returns who has it now. When there is no room the
 * answer is `worker`: the session is then merely not known to others. */
int mf_owners_claim(struct mf_owners *o, uint64_t hash, unsigned worker);
/* By who has claimed it. */
void mf_owners_release(struct mf_owners *o, uint64_t hash, unsigned worker);

/* How many sessions, of all workers, go on where the routes no longer lead: while there are some, a packet's
 * route does not say whose it is. */
void mf_owners_add_strays(struct mf_owners *o, int by);
uint32_t mf_owners_strays(const struct mf_owners *o);

#endif
