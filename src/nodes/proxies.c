/* SPDX-License-Identifier: Apache-2.0 */
#include "nodes/proxies.h"

#include <stdlib.h>

#include "nodes/host_port.h"
#include "nodes/worker.h"

static uint64_t wall(void *ctx)
{
	struct mf_worker *w = ctx;

	return w->host.wall_clock(w->host.ctx).sec;
}

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	return mf_host_port_outbound(ctx, hop);
}

/* The control thread answers with MF_ORDER_PROXY_ADDRS. A ring that is full now is empty when the
 * proxy asks again. */
static void resolve(void *ctx, struct mf_proxy *p)
{
	struct mf_worker *w = ctx;
	struct mf_event ev = { .kind = MF_EVENT_RESOLVE };

	for (uint32_t hop = 0; hop < MF_HOST_HOPS; hop++)
		if (w->proxies->proxy[hop] == p) {
			ev.hop = hop;
			(void)mf_worker_post(w, &ev);
		}
}

/* ---- A worker's first ------------------------------------------------------------------------ */

static struct mf_proxies *open_proxies(struct mf_worker *w)
{
	struct mf_proxies *x = calloc(1, sizeof(*x));
	struct mf_codec_env env = {
		.cipher = mf_cipher_new(),
		.rng = { mf_random_pool_fill, x ? &x->random : NULL },
		.wall = wall,
		.ctx = w,
	};

	if (!x || !env.cipher) {
		mf_cipher_free(env.cipher);
		free(x);
		return NULL;
	}
	x->worker = w;
	mf_random_pool_init(&x->random, &w->host.rng);
	mf_layers_init(&x->layers, &env, w->host.log, w->held_max, w->graph.now);
	return x;
}

void mf_proxies_free(struct mf_worker *w)
{
	struct mf_proxies *x = w->proxies;

	if (!x)
		return;
	for (uint32_t hop = 0; hop < MF_HOST_HOPS; hop++)
		if (x->proxy[hop])
			mf_proxy_retire(x->proxy[hop], true);
	mf_layers_fini(&x->layers);
	mf_cipher_free(x->layers.env.cipher);
	mf_random_pool_wipe(&x->random);
	w->proxies = NULL;
	free(x);
}

/* ---- Snapshots ------------------------------------------------------------------------------- */

static struct mf_proxy_config *config_of(const struct mf_worker *w, uint32_t hop)
{
	return hop < w->snap->n_hops ? w->snap->hop[hop].proxy : NULL;
}

static void begin(struct mf_worker *w, uint32_t hop, struct mf_proxy_config *cfg)
{
	struct mf_proxies *x = w->proxies;
	struct mf_proxy_env env = {
		.worker = w->index,
		.direct_hop = MF_HOP_ID_DIRECT,
		.layers = &x->layers,
		.pool = w->pool,
		.ctx = w,
		.outbound = outbound,
		.resolve = resolve,
	};

	x->proxy[hop] = mf_proxy_new(cfg, &env, &x->health[hop]);
	if (x->proxy[hop])
		mf_proxy_outbound(x->proxy[hop])->streams_only = cfg->udp != MF_PROXY_UDP_PROXY;
	else
		mf_logf(w->host.log, MF_LOG_ERROR, "%s: not enough memory", cfg->name);
}

static void configure(struct mf_worker *w, uint32_t hop)
{
	struct mf_proxy **p = &w->proxies->proxy[hop];
	struct mf_proxy_config *cfg = config_of(w, hop);
	bool renewed = *p && cfg && !strcmp(cfg->name, mf_proxy_config_of(*p)->name);

	if (*p && cfg == mf_proxy_config_of(*p))
		return;
	if (*p)
		mf_proxy_retire(*p, !renewed);
	*p = NULL;
	if (!cfg)
		return;
	mf_proxy_health_forget(&w->proxies->health[hop]);
	begin(w, hop, cfg);
}

void mf_proxies_configure(struct mf_worker *w)
{
	bool wanted = false;

	for (uint32_t hop = 0; hop < w->snap->n_hops; hop++)
		wanted |= w->snap->hop[hop].proxy != NULL;
	if (!w->proxies && wanted) {
		struct mf_proxies *x = open_proxies(w);

		/* Whoever sees it sees it whole. */
		__atomic_store_n(&w->proxies, x, __ATOMIC_RELEASE);
		if (!x)
			mf_logf(w->host.log, MF_LOG_ERROR, "proxies: not enough memory");
	}
	for (uint32_t hop = 0; w->proxies && hop < MF_HOST_HOPS; hop++)
		configure(w, hop);
}

struct mf_outbound *mf_proxies_outbound(struct mf_worker *w, uint32_t hop)
{
	if (!w->proxies || hop >= MF_HOST_HOPS || !w->proxies->proxy[hop])
		return NULL;
	return mf_proxy_outbound(w->proxies->proxy[hop]);
}

void mf_proxies_resolved(struct mf_worker *w, const struct mf_proxy_addrs *a)
{
	struct mf_proxy *p = w->proxies && a->hop < MF_HOST_HOPS ? w->proxies->proxy[a->hop] : NULL;

	if (p && mf_proxy_config_of(p)->id == a->id)
		mf_proxy_resolved(p, a->addr, a->n);
}

void mf_proxies_network_changed(struct mf_worker *w)
{
	for (uint32_t hop = 0; w->proxies && hop < MF_HOST_HOPS; hop++)
		if (w->proxies->proxy[hop])
			mf_proxy_network_changed(w->proxies->proxy[hop]);
}

/* ---- A pass ---------------------------------------------------------------------------------- */

void mf_proxies_begin(struct mf_worker *w, mf_nsec now)
{
	if (w->proxies)
		mf_layers_begin(&w->proxies->layers, now);
}

uint32_t mf_proxies_run(struct mf_worker *w)
{
	return w->proxies ? mf_layers_run(&w->proxies->layers, w->graph.now) : 0;
}

bool mf_proxies_pending(const struct mf_worker *w)
{
	return w->proxies && mf_layers_pending(&w->proxies->layers);
}

mf_nsec mf_proxies_deadline(const struct mf_worker *w)
{
	return w->proxies ? mf_layers_deadline(&w->proxies->layers) : MF_NEVER;
}
