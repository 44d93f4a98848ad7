/* SPDX-License-Identifier: Apache-2.0
 *
 * layer_internal - what the files of the layers' common part share: layer.c (turns, time, ends),
 * layer_bytes.c (bytes below), layer_stream.c (what the layer above calls) and layer_memory.c (when
 * memory is short).
 */
#ifndef MF_PROXY_LAYER_INTERNAL_H
#define MF_PROXY_LAYER_INTERNAL_H

#include "proxy/layer.h"

extern const struct mf_outbound_ops mf_layer_stream_ops;

static inline struct mf_layers *mf_layers_of(const struct mf_layer *l)
{
	return l->of->layers;
}

/* Around every call of a layer's functions: what it is given as working memory is its own. */
static inline void mf_layer_enter(struct mf_layers *ls)
{
	ls->nest++;
}

static inline void mf_layer_leave(struct mf_layers *ls)
{
	MF_ASSERT(ls->nest > 0);
	ls->nest--;
}

/* Puts it on a list of siblings; takes it off the one it is on. */
static inline void mf_layer_join(struct mf_layer *l, struct mf_layer **list)
{
	l->sibling = *list;
	l->sibling_prev = list;
	if (l->sibling)
		l->sibling->sibling_prev = &l->sibling;
	*list = l;
}
static inline void mf_layer_part(struct mf_layer *l)
{
	*l->sibling_prev = l->sibling;
	if (l->sibling)
		l->sibling->sibling_prev = l->sibling_prev;
}

/* The connection below has failed, though we have not had our turn since. */
static inline bool mf_layer_lost_below(const struct mf_layer *l)
{
	return !l->below->impl || l->below->ready & MF_STREAM_FAILED;
}

/* ---- layer.c --------------------------------------------------------------------------------- */

/* mf_stream.wake of `own`. */
void mf_layer_wake(struct mf_stream *s);
/* mf_timer.fire. */
void mf_layer_fire(struct mf_timer *t, void *ctx, mf_nsec now);
/* Arms the timer for what comes first, `at` or `until`. */
void mf_layer_arm(struct mf_layer *l);
/* It can begin to work now, and patience begins. */
void mf_layer_be_patient(struct mf_layer *l);
/* It is broken: if nobody has said why, what is below says it. */
void mf_layer_find_reason(struct mf_layer *l);
/* It has failed: everything below is closed. Who calls from above sees it, */
void mf_layer_break_off(struct mf_layer *l);
/* or is told. One that lingers is gone. */
void mf_layer_fail(struct mf_layer *l);
/* Frees it, when the layer's `end` has been called. */
void mf_layer_discard(struct mf_layer *l, bool reset);

/* ---- layer_memory.c -------------------------------------------------------------------------- */

void mf_layers_memory_init(struct mf_layers *ls, size_t held_max);
/* When nothing is held any more (asserted). */
void mf_layers_memory_fini(struct mf_layers *ls);
/* Of what the owner of a connection wants to write, so much may be taken at once; 0: wait. */
size_t mf_layer_may_send(const struct mf_layer *l);
/* May it read what it might have to hold back? Not while others wait for that. */
bool mf_layer_may_read(const struct mf_layer *l);
/* It gets READABLE or WRITABLE when there is memory again. */
void mf_layer_wait(struct mf_layer *l, enum mf_layer_want what);
static inline bool mf_layer_waits(const struct mf_layer *l, enum mf_layer_want what)
{
	return l->wait[what].prev;
}
void mf_layer_wait_no_more(struct mf_layer *l, enum mf_layer_want what);
/* Is there memory for some who wait? Tells them. */
bool mf_layers_can_relieve(const struct mf_layers *ls);
void mf_layers_relieve(struct mf_layers *ls);

/* ---- layer_bytes.c --------------------------------------------------------------------------- */

size_t mf_layer_total(const struct mf_span *v, size_t n);
/* Sends what is held back, as far as it is taken. */
void mf_layer_flush(struct mf_layer *l);
/* Says the end below, if that is due and nothing is held back. */
void mf_layer_pass_end(struct mf_layer *l);

#endif
