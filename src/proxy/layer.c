/* SPDX-License-Identifier: Apache-2.0
 *
 * layer - see layer.h.
 *
 * A turn of a layer: what was notified below is taken over, what is held back is sent, the layer
 * works, and what concerns the one above is passed up: READABLE as it came, WRITABLE if somebody
 * has been told "no more" and nothing is held back any longer. Turns are given in the order in
 * which layers were woken; an event so climbs the whole stack in one run.
 *
 * A layer fails once: `error` is set by mf_layer_fault or from what failed below, everything below
 * is closed, the one above is told. If that happens inside a read, what read returns tells it.
 */
#include "proxy/layer_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/count.h"
#include "host/steps.h"

enum { TURNS_MAX = 4096 }; /* of a run: then packets are served */

/* ---- The list, and time ---------------------------------------------------------------------- */

void mf_layer_again(struct mf_layer *l)
{
	struct mf_layers *ls = mf_layers_of(l);
	bool first = !ls->first;

	if (l->prev)
		return;
	l->next = NULL;
	l->prev = ls->last;
	*ls->last = l;
	ls->last = &l->next;
	if (first && ls->wake && !ls->running)
		ls->wake(ls->ctx);
}

static void take_off(struct mf_layer *l)
{
	if (!l->prev)
		return;
	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	else
		mf_layers_of(l)->last = l->prev;
	l->prev = NULL;
}

void mf_layer_wake(struct mf_stream *s)
{
	mf_layer_again(MF_CONTAINER_OF(s, struct mf_layer, own));
}

void mf_layer_arm(struct mf_layer *l)
{
	mf_timer_arm(&mf_layers_of(l)->wheel, &l->timer, l->at < l->until ? l->at : l->until);
}

void mf_layer_at(struct mf_layer *l, mf_nsec when)
{
	l->at = when;
	mf_layer_arm(l);
}

void mf_layer_be_patient(struct mf_layer *l)
{
	l->began = mf_layers_of(l)->now;
	l->until = l->of->patience ? l->began + l->of->patience : MF_NEVER;
	mf_layer_arm(l);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void close_below(struct mf_layer *l, bool reset)
{
	if (l->below->impl)
		l->below->out->ops->stream_close(l->below, reset);
	l->below->impl = NULL;
}

static void let_go(struct mf_layer *l)
{
	struct mf_layers *ls = mf_layers_of(l);

	mf_held_clear(&ls->held[MF_LAYER_TO_SEND], &l->pending);
	mf_held_clear(&ls->held[MF_LAYER_TO_READ], &l->rest);
	for (unsigned i = 0; i < MF_LAYER_WANTS; i++)
		mf_layer_wait_no_more(l, i);
}

/* The layer's `end` has been called. */
void mf_layer_discard(struct mf_layer *l, bool reset)
{
	struct mf_layer_outbound *o = l->of;

	mf_timer_disarm(&o->layers->wheel, &l->timer);
	take_off(l);
	close_below(l, reset);
	let_go(l);
	mf_layer_part(l);
	free(l);
	if (!--o->n_streams && o->emptied)
		o->emptied(o);
}

/* It is broken, and nobody has said why: what is below says it. */
void mf_layer_find_reason(struct mf_layer *l)
{
	if (l->error)
		return;
	if (l->below->error)
		l->error = l->below->error;
	else
		l->error = MF_STREAM_E_PROXY;
	if (l->of->ops->failed)
		l->of->ops->failed(l);
}

void mf_layer_break_off(struct mf_layer *l)
{
	mf_layer_find_reason(l);
	l->state = MF_LAYER_FAILED;
	l->at = l->until = MF_NEVER;
	mf_layer_arm(l);
	close_below(l, true);
	let_go(l);
}

void mf_layer_fail(struct mf_layer *l)
{
	if (l->state == MF_LAYER_LINGERING) {
		mf_layer_discard(l, true);
		return;
	}
	if (l->state == MF_LAYER_FAILED)
		return;
	mf_layer_break_off(l);
	mf_stream_fail(l->above, l->error);
}

static enum mf_stream_error error_of(enum mf_proxy_fault f)
{
	switch (f) {
	case MF_PROXY_TARGET_REFUSED:
	case MF_PROXY_TARGET_FAILED:
		return MF_STREAM_E_REFUSED;
	case MF_PROXY_TARGET_UNREACHABLE:
		return MF_STREAM_E_HOST_UNREACHABLE;
	case MF_PROXY_TARGET_TIMED_OUT:
		return MF_STREAM_E_TIMED_OUT;
	case MF_PROXY_TARGET_FORBIDDEN:
		return MF_STREAM_E_PROHIBITED;
	case MF_PROXY_RESOURCES:
		return MF_STREAM_E_NO_RESOURCES;
	default:
		return MF_STREAM_E_PROXY;
	}
}

static const char *step_of(const struct mf_layer *l)
{
	return l->of->ops->step ? l->of->ops->step : l->of->ops->name;
}

/* For who has opened the connection to learn about the proxy. */
static void note_fault(struct mf_layer *l, enum mf_proxy_fault f, const char *detail)
{
	struct mf_steps *s = l->above ? l->above->steps : NULL;

	if (!s || s->failed)
		return;
	s->failed = step_of(l);
	s->fault = f;
	(void)snprintf(s->detail, sizeof(s->detail), "%s", detail ? detail : "");
}

mf_err mf_layer_fault(struct mf_layer *l, enum mf_proxy_fault f, const char *detail)
{
	struct mf_layers *ls = mf_layers_of(l);
	struct mf_layer_outbound *o = l->of;

	if (l->faulted)
		return MF_E_GONE;
	l->faulted = true;
	l->error = (uint8_t)error_of(f);
	note_fault(l, f, detail);
	mf_count(&o->health->count.failed, 1);
	mf_proxy_health_fault(o->health, f, detail, ls->log, o->iface, ls->now);
	return MF_E_GONE;
}

/* ---- A turn ---------------------------------------------------------------------------------- */

void mf_layer_opened(struct mf_layer *l)
{
	if (l->state != MF_LAYER_BELOW && l->state != MF_LAYER_WORKING)
		return;
	l->state = MF_LAYER_OPEN;
	l->opened = mf_layers_of(l)->now;
	mf_steps_add(l->above->steps, step_of(l), l->opened - l->began);
	l->until = MF_NEVER;
	mf_layer_arm(l);
	/* What has come with the end of a handshake may be payload. */
	mf_stream_notify(l->above, MF_STREAM_OPENED | MF_STREAM_WRITABLE | MF_STREAM_READABLE);
}

/* False: it has failed. */
static bool work(struct mf_layer *l)
{
	struct mf_layers *ls = mf_layers_of(l);
	mf_err e = MF_OK;

	l->due = false;
	mf_layer_enter(ls);
	if (l->of->ops->work)
		e = l->of->ops->work(l, ls->now);
	else
		mf_layer_opened(l);
	mf_layer_leave(ls);
	if (e == MF_OK && !l->error)
		return true;
	mf_layer_fail(l);
	return false;
}

/* The lowest layer looks for something to run over. */
static bool search(struct mf_layer *l)
{
	if (!l->of->ops->lowest || l->state != MF_LAYER_BELOW)
		return true;
	return work(l) && l->state == MF_LAYER_OPEN;
}

/* Takes over what was notified below. False: nothing is to be done, or it is all over. */
static bool heed(struct mf_layer *l, uint32_t ready)
{
	if (ready & MF_STREAM_FAILED) {
		mf_layer_fail(l);
		return false;
	}
	l->below->ready = 0;
	if (ready & MF_STREAM_OPENED && l->state == MF_LAYER_BELOW) {
		l->state = MF_LAYER_WORKING;
		mf_layer_be_patient(l);
	}
	if (l->state == MF_LAYER_BELOW)
		return false;
	if (ready & MF_STREAM_READABLE)
		l->dry = false;
	if (ready & MF_STREAM_WRITABLE) {
		l->full = false;
		mf_layer_flush(l);
	}
	if (l->state != MF_LAYER_LINGERING)
		return true;
	if (!l->pending.n && (!l->linger || ready & MF_STREAM_READABLE))
		mf_layer_discard(l, false);
	return false;
}

static void turn(struct mf_layer *l)
{
	uint32_t ready;

	if (l->state == MF_LAYER_FAILED || !search(l))
		return;
	ready = l->below->ready;
	if (!heed(l, ready))
		return;
	if ((!l->pending.n || l->due) && !work(l))
		return;
	mf_layer_pass_end(l);
	if (l->state != MF_LAYER_OPEN)
		return;
	if (ready & MF_STREAM_WRITABLE && l->blocked && !mf_layer_blocked(l)) {
		l->blocked = false;
		mf_stream_notify(l->above, MF_STREAM_WRITABLE);
	}
	if (ready & MF_STREAM_READABLE)
		mf_stream_notify(l->above, MF_STREAM_READABLE);
}

void mf_layer_fire(struct mf_timer *t, void *ctx, mf_nsec now)
{
	struct mf_layer *l = MF_CONTAINER_OF(t, struct mf_layer, timer);
	enum mf_proxy_fault f = MF_PROXY_TIMED_OUT;

	(void)ctx;
	if (now >= l->until && l->state == MF_LAYER_LINGERING) {
		mf_layer_discard(l, l->pending.n > 0);
		return;
	}
	if (now >= l->until) {
		if (l->of->ops->late)
			f = l->of->ops->late(l);
		(void)mf_layer_fault(l, f, NULL);
		mf_layer_fail(l);
		return;
	}
	if (now >= l->at) {
		l->at = MF_NEVER;
		l->due = true;
		mf_layer_again(l);
	}
	mf_layer_arm(l);
}

void mf_layers_begin(struct mf_layers *ls, mf_nsec now)
{
	ls->now = now;
	for (unsigned i = 0; i < MF_LAYER_WANTS; i++)
		ls->held[i].now = now;
}

uint32_t mf_layers_run(struct mf_layers *ls, mf_nsec now)
{
	uint32_t turns = 0;

	mf_layers_begin(ls, now);
	ls->running = true;
	(void)mf_wheel_run(&ls->wheel, now, ls);
	mf_layers_relieve(ls);
	while (ls->first && turns < TURNS_MAX) {
		struct mf_layer *l = ls->first;

		take_off(l);
		turn(l);
		turns++;
	}
	ls->running = false;
	return turns;
}

mf_nsec mf_layers_deadline(const struct mf_layers *ls)
{
	return mf_wheel_next(&ls->wheel);
}

bool mf_layers_pending(const struct mf_layers *ls)
{
	return ls->first != NULL || mf_layers_can_relieve(ls);
}

/* ---- All of them ----------------------------------------------------------------------------- */

void mf_layers_init(struct mf_layers *ls, const struct mf_codec_env *env, const struct mf_log *log,
		    size_t held_max, mf_nsec now)
{
	*ls = (struct mf_layers){
		.env = *env,
		.log = log,
		.now = now,
	};
	ls->last = &ls->first;
	mf_wheel_init(&ls->wheel, MF_MSEC, now);
	mf_layers_memory_init(ls, held_max);
}

void mf_layers_fini(struct mf_layers *ls)
{
	while (ls->lingering)
		mf_layer_discard(ls->lingering, true);
	mf_layers_memory_fini(ls);
	MF_ASSERT(!ls->first && !ls->wheel.armed);
	for (unsigned i = 0; i < MF_LAYER_DEPTH_MAX; i++) {
		/* Requests with passwords have been made there. */
		if (ls->in[i])
			mf_wipe(ls->in[i], MF_CODEC_IN_MAX);
		if (ls->out[i])
			mf_wipe(ls->out[i], MF_LAYER_OUT_MAX);
		free(ls->in[i]);
		free(ls->out[i]);
		ls->in[i] = ls->out[i] = NULL;
	}
}

void mf_layer_outbound_init(struct mf_layer_outbound *o, const struct mf_layer_ops *ops,
			    struct mf_layers *ls, struct mf_outbound *below, const void *config,
			    struct mf_proxy_health *health, const char *iface, mf_nsec patience)
{
	MF_ASSERT(ops->lowest == !below && ops->size >= sizeof(struct mf_layer));
	*o = (struct mf_layer_outbound){
		.ops = ops,
		.layers = ls,
		.below = below,
		.config = config,
		.health = health,
		.iface = iface,
		.patience = patience,
	};
	o->out = (struct mf_outbound){ .ops = &mf_layer_stream_ops, .ctx = o };
}

void mf_layer_outbound_end(struct mf_layer_outbound *o, enum mf_stream_error why)
{
	struct mf_layer *l = o->streams, *next;

	for (; l; l = next) {
		next = l->sibling;
		l->error = l->error ? l->error : (uint8_t)why;
		mf_layer_fail(l);
	}
	for (l = o->layers ? o->layers->lingering : NULL; l; l = next) {
		next = l->sibling;
		if (l->of == o)
			mf_layer_discard(l, true);
	}
}
