/* SPDX-License-Identifier: Apache-2.0
 *
 * replay - see replay.h.
 */
#include "proto/wg/replay.h"

#include "proto/wg/messages.h"

/* Moves the window so that it ends with the word of `counter`; the words in between become new. */
static void slide(struct mf_wg_replay *r, uint64_t counter)
{
	uint64_t have = r->next ? (r->next - 1) / 64 : 0, want = counter / 64;
	uint64_t n = want - have;

	if (n > MF_WG_REPLAY_WORDS)
		n = MF_WG_REPLAY_WORDS;
	while (n--)
		r->seen[++have % MF_WG_REPLAY_WORDS] = 0;
	r->next = counter + 1;
}

bool mf_wg_replay_push(struct mf_wg_replay *r, uint64_t counter)
{
	uint64_t *word, bit = (uint64_t)1 << (counter % 64);

	if (MF_UNLIKELY(counter >= MF_WG_REJECT_AFTER_MESSAGES))
		return false;
	if (counter >= r->next)
		slide(r, counter);
	else if (r->next - 1 - counter >= MF_WG_REPLAY_WINDOW)
		return false;
	word = &r->seen[counter / 64 % MF_WG_REPLAY_WORDS];
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}
