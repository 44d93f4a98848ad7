/* SPDX-License-Identifier: Apache-2.0
 *
 * replay - accepts each number of a sequence at most once, and tolerates reordering: WireGuard's
 * data counters, the packet numbers of Shadowsocks 2022.
 *
 * A ring of words as in RFC 6479: the window slides by whole words, so that it never has to be
 * shifted. One word is always being cleared, which leaves 64 numbers less behind the greatest one
 * than there are bits. Pure: no clock, no lock; the caller serialises.
 */
#ifndef MF_REPLAY_H
#define MF_REPLAY_H

#include "base/base.h"

/* Moves the window so that it ends with the word of `number`; the words in between become new. */
static inline void mf_replay_slide(uint64_t *next, uint64_t *seen, size_t words, uint64_t number)
{
	uint64_t have = *next ? (*next - 1) / 64 : 0, n = number / 64 - have;

	if (n > words)
		n = words;
	while (n--)
		seen[++have % words] = 0;
	*next = number + 1;
}

/* `next` (greatest accepted number + 1) and the words of `seen` are all zero at first; `words` is a
 * constant power of two. Call it only for what was verified. False: seen before, older than the
 * window, or UINT64_MAX. */
static inline bool mf_replay_push(uint64_t *next, uint64_t *seen, size_t words, uint64_t number)
{
	uint64_t *word = &seen[number / 64 % words], bit = (uint64_t)1 << (number % 64);

	if (MF_UNLIKELY(number == UINT64_MAX))
		return false;
	if (number >= *next)
		mf_replay_slide(next, seen, words, number);
	else if (*next - 1 - number >= 64 * (words - 1))
		return false;
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

#endif
