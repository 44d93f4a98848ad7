/* SPDX-License-Identifier: Apache-2.0
 *
 * layer_stream - a layer as an outbound: what the layer above, or a session, calls. The rules of
 * readiness are kept here, so that a layer need not know them: a write is given to it in parts
 * until all is taken or something is held back; a read that brings less than was asked for, though
 * there is more or an end, is followed by READABLE.
 */
#include <stdlib.h>

#include "proxy/layer_internal.h"

enum { LINGER = 15 }; /* seconds for what a closed connection holds back */

/* ---- Beginning ------------------------------------------------------------------------------- */

static mf_err begin(struct mf_layer *l, const struct mf_target *to)
{
	const struct mf_layer_ops *ops = l->of->ops;
	struct mf_outbound *below = l->of->below;
	mf_err e = ops->begin ? ops->begin(l, to) : MF_OK;

	if (e != MF_OK)
		return e;
	if (ops->lowest) {
		mf_layer_be_patient(l);
		mf_layer_again(l);
		return MF_OK;
	}
	l->own = (struct mf_stream){
		.out = below,
		.wake = mf_layer_wake,
		.steps = l->above->steps,
	};
	return below->ops->stream_open(below, &l->own, to);
}

static struct mf_layer *make(struct mf_layer_outbound *o, struct mf_stream *s)
{
	struct mf_layer *l = NULL;

	if (o->layers->nest < MF_LAYER_DEPTH_MAX)
		l = calloc(1, o->ops->size + o->extra);
	if (!l)
		return NULL;
	l->of = o;
	l->above = s;
	l->below = &l->own;
	l->timer.fire = mf_layer_fire;
	l->at = l->until = MF_NEVER;
	l->dry = true;
	mf_layer_join(l, &o->streams);
	o->n_streams++;
	return l;
}

static void say_goodbye(struct mf_layer *l, bool reset)
{
	mf_layer_enter(mf_layers_of(l));
	if (l->of->ops->end)
		l->of->ops->end(l, reset);
	mf_layer_leave(mf_layers_of(l));
}

static mf_err stream_open(struct mf_outbound *out, struct mf_stream *s, const struct mf_target *to)
{
	struct mf_layer_outbound *o = out->ctx;
	struct mf_layer *l = make(o, s);
	mf_err e;

	if (!l) {
		s->error = MF_STREAM_E_NO_RESOURCES;
		return MF_E_NO_MEMORY;
	}
	s->out = out;
	s->impl = l;
	mf_layer_enter(o->layers);
	e = begin(l, to);
	mf_layer_leave(o->layers);
	if (e == MF_OK)
		return MF_OK;
	mf_layer_find_reason(l);
	s->error = l->error;
	s->impl = NULL;
	l->above = NULL;
	say_goodbye(l, true);
	mf_layer_discard(l, true);
	return e;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* The next part of what is to be written. */
struct part {
	const struct mf_span *v;
	size_t n, at; /* spans that are left; bytes of the first one that are used up */
	struct mf_span span[MF_LAYER_SPANS];
	size_t n_spans, bytes;
};

static void cut(struct part *p, size_t max)
{
	size_t room = max;

	p->n_spans = 0;
	for (size_t i = 0; i < p->n && room && p->n_spans < MF_LAYER_SPANS; i++) {
		struct mf_span s = p->v[i];

		if (!i)
			s = mf_span(s.p + p->at, s.n - p->at);
		s.n = mf_min(s.n, room);
		room -= s.n;
		if (s.n)
			p->span[p->n_spans++] = s;
	}
	p->bytes = max - room;
}

static void advance(struct part *p, size_t n)
{
	p->at += n;
	while (p->n && p->at >= p->v->n) {
		p->at -= p->v->n;
		p->v++;
		p->n--;
	}
}

/* How much of it may be taken at once; 0: none before there is memory. It is the owner of the
 * connection who waits: what a layer sends has been taken from him already. */
static size_t share(struct mf_layer *l)
{
	size_t max = mf_layers_of(l)->nest == 1 ? mf_layer_may_send(l) : MF_LAYER_PART;

	if (max)
		mf_layer_wait_no_more(l, MF_LAYER_TO_SEND);
	else
		mf_layer_wait(l, MF_LAYER_TO_SEND);
	return max;
}

static size_t stream_write(struct mf_stream *s, const struct mf_span *v, size_t n)
{
	struct mf_layer *l = s->impl;
	struct part part = { .v = v, .n = n };
	size_t total = mf_layer_total(v, n), done = 0, took = 1, max;

	MF_ASSERT(!l->shut);
	if (l->state != MF_LAYER_OPEN)
		return 0;
	mf_layer_enter(mf_layers_of(l));
	while (took && done < total && !l->error && !mf_layer_blocked(l) && (max = share(l))) {
		cut(&part, max);
		took = l->of->ops->write(l, part.span, part.n_spans);
		MF_ASSERT(took <= part.bytes);
		advance(&part, took);
		done += took;
	}
	mf_layer_leave(mf_layers_of(l));
	l->blocked |= done < total;
	if (l->error)
		mf_layer_fail(l);
	return done;
}

static ptrdiff_t stream_read(struct mf_stream *s, const struct mf_room *v, size_t n)
{
	struct mf_layer *l = s->impl;
	ptrdiff_t got = MF_STREAM_ERR;
	size_t room = 0;

	for (size_t i = 0; i < n; i++)
		room += v[i].n;
	if (l->state == MF_LAYER_OPEN) {
		l->midway = false;
		mf_layer_enter(mf_layers_of(l));
		got = l->of->ops->read(l, v, n);
		mf_layer_leave(mf_layers_of(l));
	}
	if (got == MF_STREAM_ERR || l->error) {
		if (l->state != MF_LAYER_FAILED)
			mf_layer_break_off(l);
		s->error = l->error;
		return MF_STREAM_ERR;
	}
	MF_ASSERT(got <= (ptrdiff_t)room);
	if (got >= 0 && got < (ptrdiff_t)room && !mf_layer_waits(l, MF_LAYER_TO_READ) &&
	    (l->more || !l->dry || (got && l->end)))
		mf_stream_notify(s, MF_STREAM_READABLE);
	l->more = false;
	return got;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void stream_shutdown(struct mf_stream *s)
{
	struct mf_layer *l = s->impl;

	if (l->state != MF_LAYER_OPEN || l->shut)
		return;
	mf_layer_enter(mf_layers_of(l));
	l->end_below = !l->of->ops->shutdown || l->of->ops->shutdown(l);
	mf_layer_leave(mf_layers_of(l));
	l->shut = true;
	if (l->error)
		mf_layer_fail(l);
	else
		mf_layer_pass_end(l);
}

static void stream_close(struct mf_stream *s, bool reset)
{
	struct mf_layer *l = s->impl;

	s->impl = NULL;
	if (!l)
		return;
	l->above = NULL;
	mf_layer_wait_no_more(l, MF_LAYER_TO_SEND);
	mf_layer_wait_no_more(l, MF_LAYER_TO_READ);
	reset |= l->state != MF_LAYER_OPEN;
	say_goodbye(l, reset);
	if (reset || l->error || !(l->pending.n || l->linger) || mf_layer_lost_below(l)) {
		mf_layer_discard(l, reset || l->error);
		return;
	}
	mf_layer_part(l);
	mf_layer_join(l, &mf_layers_of(l)->lingering);
	mf_held_clear(&mf_layers_of(l)->held[MF_LAYER_TO_READ], &l->rest);
	l->state = MF_LAYER_LINGERING;
	l->at = MF_NEVER;
	l->until = mf_layers_of(l)->now + (l->pending.n ? LINGER * MF_SEC : l->linger);
	mf_layer_arm(l);
}

static void stream_info(const struct mf_stream *s, struct mf_stream_info *out)
{
	const struct mf_layer *l = s->impl;

	*out = (struct mf_stream_info){ 0 };
	if (l && l->below->impl)
		l->below->out->ops->stream_info(l->below, out);
}

const struct mf_outbound_ops mf_layer_stream_ops = {
	.name = "layer",
	.stream_open = stream_open,
	.stream_write = stream_write,
	.stream_read = stream_read,
	.stream_shutdown = stream_shutdown,
	.stream_close = stream_close,
	.stream_info = stream_info,
};
