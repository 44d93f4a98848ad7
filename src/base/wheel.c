/* SPDX-License-Identifier: Apache-2.0
 *
 * Level l has slots of 64^l ticks. `now` is the last tick that has been run: at every level the slot
 * of `now` itself is empty, and a timer lies 1..63 slots ahead at the lowest level where that holds.
 * When `now` enters a slot of a higher level, its timers are placed anew, further down; that is also
 * how a timer beyond the reach of the top level (64^4 ticks) waits: in the slot furthest ahead.
 */
#include "base/wheel.h"

enum { SLOT_BITS = 6, SLOT_MASK = MF_WHEEL_SLOTS - 1 };
static_assert(1 << SLOT_BITS == MF_WHEEL_SLOTS, "a bitmap word covers one level");

/* Rounded up, so that the tick's start is not before the deadline. */
static uint64_t due_tick(const struct mf_wheel *w, mf_nsec deadline)
{
	return deadline / w->tick + (deadline % w->tick != 0);
}

static void link_at(struct mf_timer **at, struct mf_timer *t)
{
	t->next = *at;
	if (t->next)
		t->next->prev = &t->next;
	t->prev = at;
	*at = t;
}

static void unlink_timer(struct mf_timer *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->prev = NULL;
	t->next = NULL;
}

/* Puts a timer that is due at or after `now` into its slot. */
static void place(struct mf_wheel *w, struct mf_timer *t, uint64_t due)
{
	unsigned level = 0, shift = 0;
	uint64_t ahead = due - w->now;

	while (ahead >= MF_WHEEL_SLOTS && level < MF_WHEEL_LEVELS - 1) {
		level++;
		shift += SLOT_BITS;
		ahead = (due >> shift) - (w->now >> shift);
	}
	if (ahead >= MF_WHEEL_SLOTS)
		ahead = SLOT_MASK;
	unsigned slot = (unsigned)((w->now >> shift) + ahead) & SLOT_MASK;

	link_at(&w->slot[level][slot], t);
	w->busy[level] |= 1ull << slot;
}

void mf_wheel_init(struct mf_wheel *w, mf_nsec tick, mf_nsec now)
{
	MF_ASSERT(tick > 0);
	*w = (struct mf_wheel){ .tick = tick, .now = now / tick };
}

void mf_timer_disarm(struct mf_wheel *w, struct mf_timer *t)
{
	struct mf_timer **head = t->prev, **first = &w->slot[0][0];

	if (!head)
		return;
	unlink_timer(t);
	w->armed--;
	if (!*head && head >= first && head < first + MF_WHEEL_LEVELS * MF_WHEEL_SLOTS) {
		size_t i = (size_t)(head - first);

		w->busy[i / MF_WHEEL_SLOTS] &= ~(1ull << (i % MF_WHEEL_SLOTS));
	}
}

void mf_timer_arm(struct mf_wheel *w, struct mf_timer *t, mf_nsec deadline)
{
	uint64_t due = due_tick(w, deadline);

	mf_timer_disarm(w, t);
	t->deadline = deadline;
	if (deadline == MF_NEVER)
		return;
	w->armed++;
	if (due <= w->now)
		link_at(&w->past, t);
	else
		place(w, t, due);
}

/* The next tick at which a slot is due, at any level; UINT64_MAX: all are empty. */
static uint64_t next_tick(const struct mf_wheel *w)
{
	uint64_t best = UINT64_MAX;

	for (unsigned level = 0; level < MF_WHEEL_LEVELS; level++) {
		unsigned shift = level * SLOT_BITS;
		uint64_t base = w->now >> shift, busy = w->busy[level];
		unsigned at = (unsigned)base & SLOT_MASK;

		if (!busy)
			continue;
		busy = at ? busy >> at | busy << (MF_WHEEL_SLOTS - at) : busy;
		uint64_t tick = (base + (unsigned)__builtin_ctzll(busy)) << shift;
		if (tick < best)
			best = tick;
	}
	return best;
}

/* Empties a slot; the caller gets its list. */
static struct mf_timer *take_slot(struct mf_wheel *w, unsigned level, unsigned slot)
{
	struct mf_timer *list = w->slot[level][slot];

	w->slot[level][slot] = NULL;
	w->busy[level] &= ~(1ull << slot);
	return list;
}

/* `now` has just entered the slots that begin at it: what lies in those of higher levels moves down.
 * What falls due at this very tick ends in the slot that is taken next. */
static void cascade(struct mf_wheel *w)
{
	for (unsigned level = MF_WHEEL_LEVELS - 1; level > 0; level--) {
		unsigned slot = (unsigned)(w->now >> (level * SLOT_BITS)) & SLOT_MASK;
		struct mf_timer *t = take_slot(w, level, slot), *next;

		for (; t; t = next) {
			next = t->next;
			place(w, t, due_tick(w, t->deadline));
		}
	}
}

/* Appends a whole list behind *tail, returns the new tail. */
static struct mf_timer **append(struct mf_timer **tail, struct mf_timer *list)
{
	*tail = list;
	if (list)
		list->prev = tail;
	while (*tail)
		tail = &(*tail)->next;
	return tail;
}

size_t mf_wheel_run(struct mf_wheel *w, mf_nsec now, void *ctx)
{
	uint64_t target = now / w->tick, tick;
	struct mf_timer *due = NULL, **tail;
	size_t fired = 0;

	/* First collect, then fire: what a timer arms or disarms then meets a wheel at rest. */
	tail = append(&due, w->past);
	w->past = NULL;
	while ((tick = next_tick(w)) <= target) {
		w->now = tick;
		cascade(w);
		tail = append(tail, take_slot(w, 0, (unsigned)tick & SLOT_MASK));
	}
	if (target > w->now)
		w->now = target;
	while (due) {
		struct mf_timer *t = due;

		unlink_timer(t);
		w->armed--;
		fired++;
		t->fire(t, ctx, now);
	}
	return fired;
}

mf_nsec mf_wheel_next(const struct mf_wheel *w)
{
	uint64_t tick;

	if (w->past)
		return w->now * w->tick;
	tick = next_tick(w);
	return tick > MF_NEVER / w->tick ? MF_NEVER : tick * w->tick;
}
