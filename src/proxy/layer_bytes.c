/* SPDX-License-Identifier: Apache-2.0
 *
 * layer_bytes - bytes between a layer and the one below: what is made in working memory, what is
 * not taken and waits, what has come too early and waits.
 */
#include <stdlib.h>

#include "proxy/layer_internal.h"

static_assert((size_t)MF_HELD_MAX > MF_LAYER_OUT_MAX && (size_t)MF_HELD_MAX > MF_CODEC_IN_MAX,
	      "what one call makes can be held back");

/* ---- Working memory -------------------------------------------------------------------------- */

/* The piece of the layer that is being called. */
static uint8_t *memory(struct mf_layer *l, uint8_t **pieces, size_t size)
{
	struct mf_layers *ls = mf_layers_of(l);
	uint8_t **p;

	MF_ASSERT(ls->nest > 0);
	if (ls->nest <= MF_LAYER_DEPTH_MAX) {
		p = &pieces[ls->nest - 1];
		if (!*p)
			*p = malloc(size);
		if (*p)
			return *p;
	}
	(void)mf_layer_fault(l, MF_PROXY_RESOURCES, "working memory");
	return NULL;
}

uint8_t *mf_layer_out(struct mf_layer *l)
{
	return memory(l, mf_layers_of(l)->out, MF_LAYER_OUT_MAX);
}

/* ---- Bytes down ------------------------------------------------------------------------------ */

size_t mf_layer_total(const struct mf_span *v, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += v[i].n;
	return total;
}

size_t mf_layer_pass(struct mf_layer *l, const struct mf_span *v, size_t n)
{
	size_t took = 0;

	if (!l->full && !mf_layer_lost_below(l))
		took = l->below->out->ops->stream_write(l->below, v, n);
	l->full = took < mf_layer_total(v, n);
	return took;
}

void mf_layer_send(struct mf_layer *l, const void *p, size_t n)
{
	struct mf_span v = mf_span(p, n);
	size_t took = 0;

	if (!n || l->error)
		return;
	if (!l->pending.n)
		took = mf_layer_pass(l, &v, 1);
	if (!mf_held_put(&mf_layers_of(l)->held[MF_LAYER_TO_SEND], &l->pending, v.p + took, n - took))
		(void)mf_layer_fault(l, MF_PROXY_RESOURCES, "bytes that wait to be sent");
}

void mf_layer_flush(struct mf_layer *l)
{
	struct mf_span v;

	if (!l->pending.n)
		return;
	v = mf_span(l->pending.p + l->pending.at, l->pending.n);
	mf_held_drop(&mf_layers_of(l)->held[MF_LAYER_TO_SEND], &l->pending, mf_layer_pass(l, &v, 1));
}

void mf_layer_pass_end(struct mf_layer *l)
{
	if (!l->end_below || l->pending.n || mf_layer_lost_below(l))
		return;
	l->end_below = false;
	l->below->out->ops->stream_shutdown(l->below);
}

/* The layer that `l` runs over; NULL: that is none. */
static struct mf_layer *under(const struct mf_layer *l)
{
	const struct mf_stream *b = l->below;

	return b->impl && b->out->ops == &mf_layer_stream_ops ? b->impl : NULL;
}

bool mf_layer_ends_both(const struct mf_layer *l)
{
	const struct mf_layer *below = under(l);

	return below && below->of->ops->ends_both;
}

/* Who is told "no more" is told WRITABLE, by way of all in between. */
bool mf_layer_blocked(struct mf_layer *l)
{
	struct mf_layer *at = l;

	while (at && !at->pending.n && !at->full)
		at = under(at);
	if (!at)
		return false;
	for (; l != at; l = under(l))
		l->blocked = true;
	at->blocked = true;
	return true;
}

/* ---- Bytes up -------------------------------------------------------------------------------- */

ptrdiff_t mf_layer_take(struct mf_layer *l, const struct mf_room *v, size_t n)
{
	ptrdiff_t got;
	size_t room = 0;

	if (l->end)
		return l->end;
	if (mf_layer_lost_below(l))
		return l->end = MF_STREAM_ERR;
	if (l->dry)
		return MF_STREAM_AGAIN;
	got = l->below->out->ops->stream_read(l->below, v, n);
	for (size_t i = 0; i < n; i++)
		room += v[i].n;
	l->dry = got < (ptrdiff_t)room;
	if (got < 0)
		l->end = (int8_t)got;
	return got;
}

/* Is it in the middle of a message, or another layer of the connection: one above, which reads through
 * it, or one below? */
static bool is_midway(const struct mf_layer *l)
{
	const struct mf_layer *at = l;

	while (at && !at->rest.n)
		at = under(at);
	if (at)
		return true;
	while (!l->midway && l->above->wake == mf_layer_wake)
		l = MF_CONTAINER_OF(l->above, struct mf_layer, own);
	return l->midway;
}

/* Does it have to wait for memory before it reads? Whoever has begun goes on, for that is how
 * memory comes free. */
static bool must_wait(struct mf_layer *l)
{
	l->midway = l->rest.n > 0;
	if (l->state != MF_LAYER_OPEN || l->dry || l->end || is_midway(l) || mf_layer_may_read(l)) {
		mf_layer_wait_no_more(l, MF_LAYER_TO_READ);
		return false;
	}
	mf_layer_wait(l, MF_LAYER_TO_READ);
	return true;
}

struct mf_codec_in mf_layer_fill(struct mf_layer *l, size_t want, ptrdiff_t *end)
{
	struct mf_codec_in in = { .p = memory(l, mf_layers_of(l)->in, MF_CODEC_IN_MAX) };
	struct mf_room room;
	ptrdiff_t got;

	*end = in.p ? MF_STREAM_AGAIN : MF_STREAM_ERR;
	if (!in.p || must_wait(l))
		return in;
	*end = 1;
	in.n = l->rest.n;
	if (in.n)
		memcpy(in.p, l->rest.p + l->rest.at, in.n);
	mf_held_clear(&mf_layers_of(l)->held[MF_LAYER_TO_READ], &l->rest);
	room = (struct mf_room){ in.p + in.n, mf_min(want, MF_CODEC_IN_MAX - in.n) };
	if (!room.n)
		return in;
	got = mf_layer_take(l, &room, 1);
	if (got > 0)
		in.n += (size_t)got;
	else
		*end = got;
	return in;
}

bool mf_layer_keep(struct mf_layer *l, struct mf_codec_in in)
{
	MF_ASSERT(!l->rest.n);
	if (mf_held_put(&mf_layers_of(l)->held[MF_LAYER_TO_READ], &l->rest, in.p, in.n))
		return true;
	(void)mf_layer_fault(l, MF_PROXY_RESOURCES, "bytes that wait to be read");
	return false;
}
