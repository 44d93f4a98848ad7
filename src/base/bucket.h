/* SPDX-License-Identifier: Apache-2.0
 *
 * bucket - a token bucket kept as one number, the time at which it is full again (the generic cell rate
 * algorithm, ITU-T I.371): one token each `interval`, `burst` of them at once. Zero is a full one.
 */
#ifndef MF_BUCKET_H
#define MF_BUCKET_H

#include "base/base.h"

/* Is there a token? Takes none. */
static inline bool mf_bucket_has(mf_nsec full_at, mf_nsec now, mf_nsec interval, unsigned burst)
{
	return full_at <= now + (burst - 1) * interval;
}

static inline void mf_bucket_take(mf_nsec *full_at, mf_nsec now, mf_nsec interval)
{
	*full_at = (*full_at > now ? *full_at : now) + interval;
}

#endif
