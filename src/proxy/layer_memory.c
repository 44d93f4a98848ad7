/* SPDX-License-Identifier: Apache-2.0
 *
 * layer_memory - memory for what connections hold back: what the layer below has not taken, and the
 * beginnings of messages. There is a bound for all connections of a worker, and no connection fails
 * because others have come near it. Whoever would need some waits instead:
 *
 * Sending, the owner of a connection may write a part of what is free, and so much less the more
 * connections stand still; at the end nothing. Reading, a layer that holds nothing does not begin
 * before there is memory for a message of its own, beside all those that have begun; and while there
 * is none, who has begun one reads no further than to its end, and then takes its turn. Half of it is
 * for connections that have begun in two layers, and for longer messages. Each has memory of its
 * own, so that uploads that stand still do not keep downloads from moving.
 *
 * A server that stands still in the middle of a message, or that takes nothing, would make others
 * wait for ever. So while somebody waits, connections that have not moved for long are given up, the
 * oldest first, until there is enough.
 */
#include "proxy/layer_internal.h"

enum {
	SHARE = 16,                         /* of what is free, for one write */
	SHARE_MIN = 1024,                   /* bytes */
	SPARE = 16 * 1024,                  /* less is for what layers say of their own accord */
	MESSAGE = 16 * 1024 + MF_HELD_HEAD, /* of a server; few are longer */
	LOOK = 1,                           /* seconds */
};

void mf_layers_memory_init(struct mf_layers *ls, size_t held_max)
{
	ls->held[MF_LAYER_TO_SEND].max = held_max / 8 * 3;
	ls->held[MF_LAYER_TO_READ].max = held_max / 2;
	ls->pool.max = held_max / 8;
	for (unsigned i = 0; i < MF_LAYER_WANTS; i++)
		ls->last_waiting[i] = &ls->waiting[i];
}

void mf_layers_memory_fini(struct mf_layers *ls)
{
	mf_timer_disarm(&ls->wheel, &ls->relief);
	for (unsigned i = 0; i < MF_LAYER_WANTS; i++) {
		MF_ASSERT(!ls->waiting[i]);
		mf_held_pool_fini(&ls->held[i]);
	}
	mf_held_pool_fini(&ls->pool);
}

size_t mf_layers_held(const struct mf_layers *ls)
{
	return ls->held[MF_LAYER_TO_SEND].held + ls->held[MF_LAYER_TO_READ].held + ls->pool.held;
}

/* ---- Who may ---------------------------------------------------------------------------------- */

size_t mf_layer_may_send(const struct mf_layer *l)
{
	const struct mf_held_pool *p = &mf_layers_of(l)->held[MF_LAYER_TO_SEND];
	size_t free = p->max - p->held;

	if (free < mf_min(SPARE, p->max / 8))
		return 0;
	return mf_min(mf_max(free / SHARE, SHARE_MIN), MF_LAYER_PART);
}

/* Is there memory for one more message? Whoever is alone may try in any case. */
static bool has_room_to_read(const struct mf_held_pool *p, size_t max)
{
	return !p->n || mf_max(p->n * MESSAGE, p->held) + MESSAGE <= max;
}

bool mf_layer_may_read(const struct mf_layer *l)
{
	const struct mf_layers *ls = mf_layers_of(l);
	const struct mf_held_pool *p = &ls->held[MF_LAYER_TO_READ];

	return !ls->waiting[MF_LAYER_TO_READ] && has_room_to_read(p, p->max / 2);
}

bool mf_layer_pressed(const struct mf_layer *l)
{
	return !mf_layer_may_read(l);
}

/* ---- Who waits -------------------------------------------------------------------------------- */

/* Enough that it pays to wake them. */
static bool has_room(const struct mf_layers *ls, enum mf_layer_want what)
{
	const struct mf_held_pool *p = &ls->held[what];

	return what == MF_LAYER_TO_SEND ? p->held <= p->max / 8 * 7
					: has_room_to_read(p, p->max / 8 * 3);
}

static void give_up(struct mf_layer *l)
{
	if (l->state != MF_LAYER_LINGERING)
		(void)mf_layer_fault(l, MF_PROXY_RESOURCES, "it stands still, and others wait");
	mf_layer_fail(l);
}

/* mf_timer.fire. What is sent may move slowly: many uploads on a thin line get few bytes each. */
static void look(struct mf_timer *t, void *ctx, mf_nsec now)
{
	static const mf_nsec stale[] = {
		[MF_LAYER_TO_SEND] = 60 * MF_SEC, [MF_LAYER_TO_READ] = 20 * MF_SEC
	};
	struct mf_layers *ls = ctx;
	struct mf_held *h;

	for (unsigned i = 0; i < MF_LAYER_WANTS; i++) {
		while (ls->waiting[i] && !has_room(ls, i) &&
		       (h = mf_held_stale(&ls->held[i], stale[i])))
			give_up(i == MF_LAYER_TO_SEND ? MF_CONTAINER_OF(h, struct mf_layer, pending)
						      : MF_CONTAINER_OF(h, struct mf_layer, rest));
	}
	if (ls->waiting[MF_LAYER_TO_SEND] || ls->waiting[MF_LAYER_TO_READ])
		mf_timer_arm(&ls->wheel, t, now + LOOK * MF_SEC);
}

void mf_layer_wait(struct mf_layer *l, enum mf_layer_want what)
{
	struct mf_layers *ls = mf_layers_of(l);

	if (mf_layer_waits(l, what))
		return;
	l->wait[what].next = NULL;
	l->wait[what].prev = ls->last_waiting[what];
	*ls->last_waiting[what] = l;
	ls->last_waiting[what] = &l->wait[what].next;
	ls->relief.fire = look;
	if (!mf_timer_armed(&ls->relief))
		mf_timer_arm(&ls->wheel, &ls->relief, ls->now + LOOK * MF_SEC);
}

void mf_layer_wait_no_more(struct mf_layer *l, enum mf_layer_want what)
{
	struct mf_layer *next = l->wait[what].next;

	if (!mf_layer_waits(l, what))
		return;
	*l->wait[what].prev = next;
	if (next)
		next->wait[what].prev = l->wait[what].prev;
	else
		mf_layers_of(l)->last_waiting[what] = l->wait[what].prev;
	l->wait[what].prev = NULL;
}

bool mf_layers_can_relieve(const struct mf_layers *ls)
{
	return (ls->waiting[MF_LAYER_TO_SEND] && has_room(ls, MF_LAYER_TO_SEND)) ||
	       (ls->waiting[MF_LAYER_TO_READ] && has_room(ls, MF_LAYER_TO_READ));
}

/* All of them, in the order in which they came: those that find too little wait again. */
void mf_layers_relieve(struct mf_layers *ls)
{
	static const uint32_t event[] = {
		[MF_LAYER_TO_SEND] = MF_STREAM_WRITABLE, [MF_LAYER_TO_READ] = MF_STREAM_READABLE
	};
	struct mf_layer *l;

	for (unsigned i = 0; i < MF_LAYER_WANTS; i++) {
		if (!has_room(ls, i))
			continue;
		while ((l = ls->waiting[i])) {
			mf_layer_wait_no_more(l, i);
			mf_stream_notify(l->above, event[i]);
		}
	}
}
