/* SPDX-License-Identifier: Apache-2.0
 *
 * source - how much each source address has open, so that one app or one host behind us cannot take the
 * session table from the others.
 */
#ifndef MF_HOST_SOURCE_H
#define MF_HOST_SOURCE_H

#include "base/addr.h"

struct mf_sources;

/* Written by the sessions' code; given back with mf_source_leave. */
struct mf_source {
	struct mf_addr addr;
	uint32_t sessions, half_open;
	struct mf_source *next; /* of its hash, or free */
};

/* For up to `max` addresses; the memory is touched as it is used. NULL: out of memory. */
struct mf_sources *mf_sources_new(uint32_t max, const uint8_t hash_key[16]);
void mf_sources_free(struct mf_sources *t);

/* NULL: it has nothing open. */
struct mf_source *mf_source_find(const struct mf_sources *t, const struct mf_addr *a);
/* One session more of this address. Never NULL while there are at most `max` sessions (asserted). */
struct mf_source *mf_source_join(struct mf_sources *t, const struct mf_addr *a);
/* One less; with the last one the source is gone. */
void mf_source_leave(struct mf_sources *t, struct mf_source *s);

size_t mf_sources_bytes(uint32_t max);

#endif
