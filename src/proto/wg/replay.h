/* SPDX-License-Identifier: Apache-2.0
 *
 * replay - accepts each data counter of a session at most once, and tolerates reordering.
 *
 * A ring of words as in RFC 6479: the window slides by whole words, so that it never has to be
 * shifted. Of 8192 bits one word is always being cleared, which leaves 8128 counters behind the
 * greatest one. Pure: no clock, no lock; the caller serialises.
 */
#ifndef MF_WG_REPLAY_H
#define MF_WG_REPLAY_H

#include "base/base.h"

enum {
	MF_WG_REPLAY_BITS = 8192,
	MF_WG_REPLAY_WORDS = MF_WG_REPLAY_BITS / 64,
	MF_WG_REPLAY_WINDOW = MF_WG_REPLAY_BITS - 64,
};

/* All zero: nothing was accepted yet. */
struct mf_wg_replay {
	uint64_t next; /* greatest accepted counter + 1 */
	uint64_t seen[MF_WG_REPLAY_WORDS];
};

/* Call it only for packets whose tag was verified. False: seen before, older than the window, or
 * beyond the last counter that a session may use. */
bool mf_wg_replay_push(struct mf_wg_replay *r, uint64_t counter);

#endif
