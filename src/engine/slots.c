/* SPDX-License-Identifier: Apache-2.0
 *
 * slots - local UDP ports: opened when the first interface listens on one, closed when no worker can be
 * using them any more.
 */
#include "engine/internal.h"

#include <stdlib.h>

/* Closing waits until every worker has let go of the sockets. */
struct mf_closing {
	struct mf_engine *engine;
	void *handle;
};

static void close_now(void *obj)
{
	struct mf_closing *c = obj;

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
	struct mf_closing *closing;
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
	closing = calloc(1, sizeof(*closing));
	if (!closing)
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	closing->engine = e;
	err = e->host.udp_open(e->host.ctx, &port, mark, per_worker, e->n_workers, &closing->handle,
			       eb);
	if (err) {
		free(closing);
		return err;
	}
	e->slots[unused] = (struct mf_slot){
		.handle = closing->handle,
		.port = port,
		.mark = mark,
		.users = 1,
		.closing = closing,
	};
	install(e, unused, per_worker);
	*slot = unused;
	return MF_OK;
}

void mf_slot_put(struct mf_engine *e, uint8_t slot)
{
	if (slot == MF_NO_SLOT || --e->slots[slot].users)
		return;
	install(e, slot, NULL);
	mf_reclaim_defer(&e->reclaim, close_now, e->slots[slot].closing);
	e->slots[slot] = (struct mf_slot){ 0 };
}
