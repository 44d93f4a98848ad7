/* SPDX-License-Identifier: Apache-2.0
 *
 * ratelimit - how many handshakes one source may start while we are under load: 20 a second, 5 at
 * once. A source is an IPv4 address or an IPv6 /64, and has proven by a cookie that it is there.
 *
 * A table of fixed size. A source whose bucket is full again needs no entry, so forgetting is free; when
 * all places for a new source are taken by active ones, the new source has to wait. One thread.
 */
#ifndef MF_WG_RATELIMIT_H
#define MF_WG_RATELIMIT_H

#include "base/addr.h"

enum {
	MF_WG_RATE_PER_SEC = 20,
	MF_WG_RATE_BURST = 5,
	MF_WG_RATE_SETS = 1024,
	MF_WG_RATE_WAYS = 4,
};

struct mf_wg_rate_entry {
	uint64_t source;
	mf_nsec full_at; /* when its bucket will be full again */
	uint8_t family;
};

struct mf_wg_ratelimit {
	uint64_t seed[2];
	struct mf_wg_rate_entry entry[MF_WG_RATE_SETS][MF_WG_RATE_WAYS];
};

void mf_wg_ratelimit_init(struct mf_wg_ratelimit *r, const struct mf_rng *rng);
/* True: one handshake of this source may go on, and is counted. */
bool mf_wg_ratelimit_allow(struct mf_wg_ratelimit *r, mf_nsec now, const struct mf_addr *source);

#endif
