/* SPDX-License-Identifier: Apache-2.0
 *
 * replay - see replay.h.
 */
#include "proto/wg/replay.h"

#include "base/replay.h"
#include "proto/wg/messages.h"

bool mf_wg_replay_push(struct mf_wg_replay *r, uint64_t counter)
{
	return MF_LIKELY(counter < MF_WG_REJECT_AFTER_MESSAGES) &&
	       mf_replay_push(&r->next, r->seen, MF_WG_REPLAY_WORDS, counter);
}
