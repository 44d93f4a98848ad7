/* SPDX-License-Identifier: Apache-2.0
 *
 * slots - local UDP ports: opened when the first interface listens on one, closed when no worker can be
 * using them any more.
 */
#include "engine/internal.h"

/* Closing waits until every worker has let go of the sockets. */
struct closing {
	struct mf_engine *engine;
	void *handle;
};

#include <stdlib.h>

static void close_now(void *obj)
{
	struct closing *c = obj;

	c->engine->host.udp_close(c->engine->host.ctx, c->handle);
	free(c);
}

static void install(struct mf_engine *e, uint8_t slot, const struct mf_udp_slot *per_worker)
{
	for (unsigned i = 0; i < e->n_workers; i++) {
		struct mf_order o = { .kind = MF_ORDER_SET_UDP, .slot = slot };

		if (per_worker)
			o.udp = per_worker[i];
		mf_engine_order(e, i, &o);
	}
}

mf_err mf_slot_get(struct mf_engine *e, uint16_t port, uint32_t mark, uint8_t *slot,
		   struct mf_errbuf *eb)
{
	struct mf_udp_slot per_worker[MF_WORKERS_MAX] = { 0 };
	uint8_t unused = MF_NO_SLOT;
	mf_err err;

	for (uint8_t i = 0; i < MF_UDP_SLOTS; i++) {
		struct mf_slot *s = &e->slots[i];

		if (s->users && port && s->port == port) {
			s->users++;
			*slot = i;
			return MF_OK;
		}
		if (!s->users && unused == MF_NO_SLOT)
			unused = i;
	}
	if (unused == MF_NO_SLOT)
		return mf_fail(eb, MF_E_FULL, "no more than %d listen ports", MF_UDP_SLOTS);
	err = e->host.udp_open(e->host.ctx, &port, mark, per_worker, e->n_workers,
			       &e->slots[unused].handle, eb);
	if (err)
		return err;
	e->slots[unused].port = port;
	e->slots[unused].mark = mark;
	e->slots[unused].users = 1;
	install(e, unused, per_worker);
	*slot = unused;
	return MF_OK;
}

void mf_slot_put(struct mf_engine *e, uint8_t slot)
{
	struct mf_slot *s;
	struct closing *c;

	if (slot == MF_NO_SLOT || --e->slots[slot].users)
		return;
	s = &e->slots[slot];
	install(e, slot, NULL);
	c = malloc(sizeof(*c));
	if (c) {
		*c = (struct closing){ .engine = e, .handle = s->handle };
		mf_reclaim_defer(&e->reclaim, close_now, c);
	}
	*s = (struct mf_slot){ 0 };
}
