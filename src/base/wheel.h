/* SPDX-License-Identifier: Apache-2.0
 *
 * wheel - a hierarchical timing wheel (Varghese and Lauck 1987, scheme 6 in four levels), one per
 * thread. Timers are embedded in what they belong to; arming and disarming is O(1) and allocates
 * nothing. A timer never fires early and fires at most one tick late.
 */
#ifndef MF_WHEEL_H
#define MF_WHEEL_H

#include "base/base.h"

enum { MF_WHEEL_LEVELS = 4, MF_WHEEL_SLOTS = 64 };

struct mf_timer {
	struct mf_timer *next, **prev; /* NULL prev: not armed */
	mf_nsec deadline;
	void (*fire)(struct mf_timer *t, void *ctx, mf_nsec now);
};

struct mf_wheel {
	mf_nsec tick;   /* length of a tick */
	uint64_t now;   /* the last tick that was run */
	uint64_t armed; /* number of armed timers */
	struct mf_timer *slot[MF_WHEEL_LEVELS][MF_WHEEL_SLOTS];
	uint64_t busy[MF_WHEEL_LEVELS]; /* bitmap of non-empty slots */
	struct mf_timer *past;          /* armed with a deadline that had passed */
};

void mf_wheel_init(struct mf_wheel *w, mf_nsec tick, mf_nsec now);
/* Arms or moves. A deadline in the past fires at the next run; MF_NEVER disarms. The timer starts
 * zeroed but for `fire`; its memory stays where it is until it has fired or is disarmed. */
void mf_timer_arm(struct mf_wheel *w, struct mf_timer *t, mf_nsec deadline);
void mf_timer_disarm(struct mf_wheel *w, struct mf_timer *t);
static inline bool mf_timer_armed(const struct mf_timer *t)
{
	return t->prev != NULL;
}
/* Fires what is due, in the order of the ticks; `fire` may arm and disarm any timer, itself included,
 * and free what it belongs to. What it arms for now or before fires at the next run. Returns how many
 * fired. */
size_t mf_wheel_run(struct mf_wheel *w, mf_nsec now, void *ctx);
/* When mf_wheel_run has next something to do (it may be only to move timers down a level), or MF_NEVER. */
mf_nsec mf_wheel_next(const struct mf_wheel *w);

#endif
