/* SPDX-License-Identifier: Apache-2.0
 *
 * ratelimit - see ratelimit.h. The bucket is kept as one time stamp (the "virtual scheduling" form of
 * the generic cell rate algorithm, ITU-T I.371): each handshake moves full_at by 1/rate.
 */
#include "proto/wg/ratelimit.h"

#include "base/endian.h"

#define COST  (MF_SEC / MF_WG_RATE_PER_SEC)
#define SLACK (COST * (MF_WG_RATE_BURST - 1))

void mf_wg_ratelimit_init(struct mf_wg_ratelimit *r, const struct mf_rng *rng)
{
	memset(r, 0, sizeof(*r));
	rng->fill(rng->ctx, r->seed, sizeof(r->seed));
}

/* Keyed, so that nobody can choose sources that share a set. */
static size_t set_of(const struct mf_wg_ratelimit *r, uint64_t source)
{
	unsigned __int128 m = (unsigned __int128)(source ^ r->seed[0]) * (r->seed[1] | 1);
	uint64_t z = (uint64_t)m ^ (uint64_t)(m >> 64);

	z = (z ^ (z >> 29)) * 0x9fb21c651e98df25u;
	return (z >> 32) % MF_WG_RATE_SETS;
}

static bool spend(struct mf_wg_rate_entry *e, mf_nsec now)
{
	if (e->full_at < now)
		e->full_at = now;
	/* Further away than it can get means that the clock was set back. */
	if (e->full_at - now > SLACK + COST)
		e->full_at = now;
	if (e->full_at - now > SLACK)
		return false;
	e->full_at += COST;
	return true;
}

bool mf_wg_ratelimit_allow(struct mf_wg_ratelimit *r, mf_nsec now, const struct mf_addr *source)
{
	bool ip4 = source->family == MF_AF_IP4;
	uint64_t key = ip4 ? mf_load_be32(source->b) : mf_load_be64(source->b);
	struct mf_wg_rate_entry *set = r->entry[set_of(r, key)], *spare = NULL;

	for (size_t i = 0; i < MF_WG_RATE_WAYS; i++) {
		if (set[i].family == source->family && set[i].source == key)
			return spend(&set[i], now);
		if (!spare && set[i].full_at <= now)
			spare = &set[i];
	}
	if (!spare)
		return false;
	*spare = (struct mf_wg_rate_entry){ .source = key, .full_at = now, .family = source->family };
	return spend(spare, now);
}
