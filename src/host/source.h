/* SPDX-License-Identifier: Apache-2.0
 *
 * source - how much is open, in all and by each source address, so that one app or one host behind us cannot
 * take the sessions from the others. One for all workers, for the limits are those of the machine; it is
 * looked at when a session begins, is established and ends, never for a packet, so a spin lock will do.
 */
#ifndef MF_HOST_SOURCE_H
#define MF_HOST_SOURCE_H

#include "base/addr.h"
#include "base/drop.h"

struct mf_sources;
struct mf_source;

/* How many sessions there may be: of all sources, of one, and of one that are not established yet. */
struct mf_source_limits {
	uint32_t all, each, half_open;
};

/* For up to `max` sessions; the memory is touched as it is used. NULL: out of memory. */
struct mf_sources *mf_sources_new(uint32_t max, const uint8_t hash_key[16]);
/* No session may count in it any more. NULL is fine. */
void mf_sources_free(struct mf_sources *t);

/* Any worker. One session more of this address: MF_DROP_NONE, and *out is what it counts in until
 * mf_source_leave; or which limit does not let it: MF_DROP_SESSIONS_FULL, _SOURCE, MF_DROP_HALF_OPEN_SOURCE. */
enum mf_drop mf_source_join(struct mf_sources *t, const struct mf_addr *a, bool half_open,
			    const struct mf_source_limits *l, struct mf_source **out);
/* The session is established. */
void mf_source_opened(struct mf_sources *t, struct mf_source *s);
/* One less; with the last one the source is gone. */
void mf_source_leave(struct mf_sources *t, struct mf_source *s, bool half_open);

size_t mf_sources_bytes(uint32_t max);

#endif
