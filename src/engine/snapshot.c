/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot - what the workers know of the profile in force (nodes/snapshot.h), made from the
 * engine's interfaces as they are now, and put in the place of the one before.
 */
#include "engine/internal.h"

#include <stdlib.h>

struct mf_snapshot *mf_snapshot_new(const struct mf_engine *e)
{
	struct mf_snapshot *s = calloc(1, sizeof(*s) + e->n_hops * sizeof(s->hop[0]));

	if (s)
		s->n_hops = e->n_hops;
	return s;
}

static void fill(const struct mf_engine *e, struct mf_snapshot *s, const struct mf_route_table *routes)
{
	s->generation = e->snap ? e->snap->generation + 1 : 1;
	s->routes4 = mf_route_table_ip4(routes);
	s->routes6 = mf_route_table_ip6(routes);
	s->tunnel4 = e->tunnel4;
	s->tunnel6 = e->tunnel6;
	s->tunnel_mtu = e->tunnel_mtu ? e->tunnel_mtu : e->default_mtu;
	s->host = e->host_config;
	s->host.mtu = s->tunnel_mtu;
	s->host.tunnel4 = e->tunnel4;
	s->host.tunnel6 = e->tunnel6;
	s->staged_max = e->staged_max;
	mf_steering_fill(e, s);
	s->hop[MF_HOP_ID_DROP].kind = MF_HOP_DROP;
	strcpy(s->hop[MF_HOP_ID_DROP].name, "drop");
	s->hop[MF_HOP_ID_REJECT].kind = MF_HOP_REJECT;
	strcpy(s->hop[MF_HOP_ID_REJECT].name, "reject");
	s->hop[MF_HOP_ID_DIRECT].kind = MF_HOP_SESSION;
	strcpy(s->hop[MF_HOP_ID_DIRECT].name, "direct");
	s->hop[MF_HOP_ID_DNS].kind = MF_HOP_SESSION;
	strcpy(s->hop[MF_HOP_ID_DNS].name, "dns");
	for (uint32_t i = 0; i < e->n_ifaces; i++) {
		const struct mf_iface *f = e->ifaces[i];
		struct mf_next_hop *h = &s->hop[f->wg.hop];

		h->kind = f->device ? MF_HOP_WG : MF_HOP_SESSION;
		h->proxy = f->proxy;
		h->udp_slot = f->slot;
		h->mtu = f->mtu;
		h->path_mtu = (uint32_t)mf_min(f->mtu, s->tunnel_mtu);
		h->device = f->device;
		h->inside4 = f->inside4;
		h->inside6 = f->inside6;
		memcpy(h->name, f->name, sizeof(h->name));
	}
}

static void free_routes(void *obj)
{
	mf_route_table_free(obj);
}

static void nothing(struct mf_worker *w, void *ctx)
{
	(void)w;
	(void)ctx;
}

/* A worker in the middle of a pass may yet read packets and judge them by the snapshot before: whoever hears that a
 * profile is in force sends nothing that does not go by it. The resolver's first, which judges what it has learned anew
 * (else the number of an interface that is gone could be given to another one while names still lead to it). A worker
 * without a thread of its own begins its next pass with the new one. */
static void await_workers(struct mf_engine *e)
{
	for (unsigned i = 0; i < e->n_workers; i++)
		if (e->host.wait_worker && e->host.wait_worker(e->host.ctx, i))
			mf_engine_call(e, i, nothing, NULL, e->now);
}

void mf_publish(struct mf_engine *e, struct mf_snapshot *s, struct mf_route_table *routes)
{
	struct mf_snapshot *old = e->snap;

	fill(e, s, routes);
	__atomic_store_n(&e->shared.snap, s, __ATOMIC_SEQ_CST);
	e->snap = s;
	if (old)
		mf_reclaim_defer(&e->reclaim, free, old);
	if (e->routes && e->routes != routes)
		mf_reclaim_defer(&e->reclaim, free_routes, e->routes);
	e->routes = routes;
	await_workers(e);
}
