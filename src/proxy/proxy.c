/* SPDX-License-Identifier: Apache-2.0
 *
 * proxy - see proxy.h: a stack of layers for sessions, and a way for datagrams beside or on it.
 *
 * An open puts the outbound of whoever carries it on into the stream (or struct mf_dgram), so that
 * nothing later goes through here. The proxy lives until the last of them has been closed.
 */
#include "proxy/proxy.h"

#include <stdlib.h>

#include "base/count.h"
#include "proxy/codec_kind.h"
#include "proxy/dgram.h"
#include "proxy/dial.h"
#include "proxy/obfs_layer.h"
#include "proxy/tls_layer.h"
#include "proxy/ws_layer.h"

static_assert((size_t)MF_PROXY_ADDRS_MAX == MF_DIAL_ADDRS_MAX, "what is resolved can be dialled");

struct mf_proxy {
	struct mf_outbound out;  /* for sessions and datagrams; ctx: this */
	struct mf_outbound sink; /* datagrams that are dropped; ctx: this */
	struct mf_proxy_config *cfg;
	struct mf_proxy_env env;
	struct mf_proxy_health *health;
	/* The stack, lowest first; those that the settings do not want are zeroed. */
	struct mf_dial dial;
	struct mf_layer_outbound tls, ws, obfs, codec;
	struct mf_tls_layer_config tls_config;
	struct mf_codec_layer_config codec_config;
	struct mf_dgrams dgrams;
	uint32_t n_sunk; /* mappings whose datagrams are dropped */
	bool retired, busy;
};

/* ---- The end --------------------------------------------------------------------------------- */

/* Frees a retired one that nobody uses any more. */
static void settle(struct mf_proxy *p)
{
	uint32_t n = p->dial.out.n_streams + p->tls.n_streams + p->ws.n_streams +
		     p->obfs.n_streams + p->codec.n_streams + p->dgrams.n + p->n_sunk;

	if (!p->retired || p->busy || n)
		return;
	mf_proxy_config_unref(p->cfg);
	free(p);
}

static void emptied(struct mf_layer_outbound *o)
{
	settle(o->owner);
}

static void idle(void *ctx)
{
	settle(ctx);
}

void mf_proxy_retire(struct mf_proxy *p, bool end)
{
	struct mf_layer_outbound *stack[] = { &p->codec, &p->obfs, &p->ws, &p->tls, &p->dial.out };

	p->retired = p->busy = p->dgrams.retired = true;
	if (end) {
		mf_dgrams_end(&p->dgrams);
		for (unsigned i = 0; i < MF_ARRAY_LEN(stack); i++)
			mf_layer_outbound_end(stack[i], MF_STREAM_E_NO_DEVICE);
	}
	p->busy = false;
	settle(p);
}

/* ---- Streams --------------------------------------------------------------------------------- */

static mf_err open_stream(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	struct mf_proxy *p = o->ctx;
	struct mf_outbound *codec = &p->codec.out;

	if (p->retired) {
		s->error = MF_STREAM_E_NO_DEVICE;
		return MF_E_GONE;
	}
	return codec->ops->stream_open(codec, s, to);
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

static mf_err refuse(struct mf_dgram *d, enum mf_stream_error why)
{
	d->error = (uint8_t)why;
	return MF_E_UNSUPPORTED;
}

static mf_err open_direct(struct mf_proxy *p, struct mf_dgram *d, const struct mf_target *to)
{
	struct mf_outbound *direct = p->env.outbound(p->env.ctx, p->env.direct_hop);

	if (!direct || !direct->ops->dgram_open)
		return refuse(d, MF_STREAM_E_NO_DEVICE);
	d->out = direct;
	return direct->ops->dgram_open(direct, d, to);
}

static mf_err open_sink(struct mf_proxy *p, struct mf_dgram *d)
{
	d->out = &p->sink;
	d->impl = p;
	p->n_sunk++;
	return MF_OK;
}

static mf_err open_dgram(struct mf_outbound *o, struct mf_dgram *d, const struct mf_target *to)
{
	struct mf_proxy *p = o->ctx;

	if (p->retired)
		return refuse(d, MF_STREAM_E_NO_DEVICE);
	if (d->kind != MF_DGRAM_UDP)
		return refuse(d, MF_STREAM_E_UNSUPPORTED);
	switch ((enum mf_proxy_udp)p->cfg->udp) {
	case MF_PROXY_UDP_PROXY:
		return mf_dgrams_open(&p->dgrams, o, d, to);
	case MF_PROXY_UDP_DIRECT:
		return open_direct(p, d, to);
	case MF_PROXY_UDP_DROP:
		return open_sink(p, d);
	default:
		return refuse(d, MF_STREAM_E_UNSUPPORTED);
	}
}

static const struct mf_outbound_ops proxy_ops = {
	.name = "proxy",
	.stream_open = open_stream,
	.dgram_open = open_dgram,
	.dgram_send = mf_dgrams_send,
	.dgram_recv = mf_dgrams_recv,
	.dgram_error = mf_dgrams_error,
	.dgram_close = mf_dgrams_close,
};

static void sink_send(struct mf_dgram *d, struct mf_pkt **pkts, size_t n)
{
	struct mf_proxy *p = d->impl;

	for (size_t i = 0; i < n; i++) {
		pkts[i]->drop = MF_DROP_POLICY_DROP;
		mf_count(&p->health->count.datagrams_dropped, pkts[i]->segments);
	}
}

static size_t sink_recv(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	(void)d;
	(void)pool;
	(void)out;
	(void)max;
	return 0;
}

static bool sink_error(struct mf_dgram *d, struct mf_dgram_error *e)
{
	(void)d;
	(void)e;
	return false;
}

static void sink_close(struct mf_dgram *d)
{
	struct mf_proxy *p = d->impl;

	d->impl = NULL;
	p->n_sunk--;
	settle(p);
}

static const struct mf_outbound_ops sink_ops = {
	.name = "drop",
	.dgram_send = sink_send,
	.dgram_recv = sink_recv,
	.dgram_error = sink_error,
	.dgram_close = sink_close,
};

/* ---- The beginning --------------------------------------------------------------------------- */

static struct mf_outbound *via(void *ctx)
{
	struct mf_proxy *p = ctx;

	return p->env.outbound(p->env.ctx, p->cfg->via);
}

/* Who has retired it does not know it any more. */
static void resolve(void *ctx)
{
	struct mf_proxy *p = ctx;

	if (!p->retired)
		p->env.resolve(p->env.ctx, p);
}

static bool server(void *ctx, uint32_t i, struct mf_endpoint *out)
{
	struct mf_proxy *p = ctx;

	return mf_dial_address(&p->dial, i, out);
}

static struct mf_outbound *add_dial(struct mf_proxy *p)
{
	const struct mf_proxy_config *cfg = p->cfg;
	struct mf_dial_config dial = {
		.name = cfg->server,
		.addr = cfg->addr,
		.by_name = cfg->server && cfg->via_proxy,
		.local = cfg->via == p->env.direct_hop,
		.ctx = p,
		.via = via,
		.resolve = resolve,
	};

	mf_dial_init(&p->dial, &dial, p->env.layers, p->health, cfg->name, cfg->connect_timeout);
	return &p->dial.out.out;
}

static struct mf_outbound *add_tls(struct mf_proxy *p, struct mf_outbound *below)
{
	const struct mf_proxy_config *cfg = p->cfg;

	if (!cfg->tls)
		return below;
	MF_ASSERT(p->env.worker < cfg->n_tls);
	p->tls_config = (struct mf_tls_layer_config){
		.context = cfg->tls[p->env.worker],
		.name = cfg->tls_name,
		.alpn = cfg->tls_alpn,
		.cut_is_end = cfg->type == MF_PROXY_VMESS,
	};
	mf_tls_layer_init(&p->tls, &p->tls_config, p->env.layers, below, p->health, cfg->name,
			  cfg->connect_timeout);
	return &p->tls.out;
}

/* What the codec runs over. */
static struct mf_outbound *build(struct mf_proxy *p)
{
	const struct mf_proxy_config *cfg = p->cfg;
	struct mf_layers *ls = p->env.layers;
	struct mf_outbound *top = add_tls(p, add_dial(p));

	if (cfg->websocket) {
		mf_ws_layer_init(&p->ws, &cfg->ws, ls, top, p->health, cfg->name,
				 cfg->connect_timeout);
		top = &p->ws.out;
	}
	if (cfg->obfs.mode != MF_OBFS_NONE) {
		mf_obfs_layer_init(&p->obfs, &cfg->obfs, ls, top, p->health, cfg->name);
		top = &p->obfs.out;
	}
	return top;
}

static void add_codec(struct mf_proxy *p, struct mf_outbound *transport)
{
	const struct mf_proxy_config *cfg = p->cfg;

	p->codec_config = (struct mf_codec_layer_config){
		.kind = mf_codec_kind(cfg->type),
		.config = cfg,
		.first_byte_timeout = cfg->first_byte_timeout,
		.life = &p->cfg->life,
	};
	mf_codec_layer_init(&p->codec, &p->codec_config, p->env.layers, transport, p->health,
			    cfg->name, cfg->connect_timeout);
}

static void add_dgrams(struct mf_proxy *p, struct mf_outbound *transport)
{
	p->dgrams = (struct mf_dgrams){
		.proto = mf_dgram_proto(p->cfg->type),
		.config = p->cfg,
		.layers = p->env.layers,
		.health = p->health,
		.life = &p->cfg->life,
		.pool = p->env.pool,
		.transport = transport,
		.ctx = p,
		.via = via,
		.server = server,
		.idle = idle,
	};
}

static void own(struct mf_proxy *p)
{
	struct mf_layer_outbound *stack[] = { &p->codec, &p->obfs, &p->ws, &p->tls, &p->dial.out };

	for (unsigned i = 0; i < MF_ARRAY_LEN(stack); i++) {
		stack[i]->emptied = emptied;
		stack[i]->owner = p;
	}
}

struct mf_proxy *mf_proxy_new(struct mf_proxy_config *cfg, const struct mf_proxy_env *env,
			      struct mf_proxy_health *health)
{
	struct mf_proxy *p = calloc(1, sizeof(*p));
	struct mf_outbound *transport;

	if (!p)
		return NULL;
	p->cfg = mf_proxy_config_ref(cfg);
	p->env = *env;
	p->health = health;
	p->out = (struct mf_outbound){ .ops = &proxy_ops, .ctx = p };
	p->sink = (struct mf_outbound){ .ops = &sink_ops, .ctx = p };
	transport = build(p);
	add_codec(p, transport);
	add_dgrams(p, transport);
	own(p);
	return p;
}

struct mf_outbound *mf_proxy_outbound(struct mf_proxy *p)
{
	return &p->out;
}

const struct mf_proxy_config *mf_proxy_config_of(const struct mf_proxy *p)
{
	return p->cfg;
}

void mf_proxy_resolved(struct mf_proxy *p, const struct mf_addr *addr, size_t n)
{
	mf_dial_resolved(&p->dial, addr, n);
	mf_dgrams_resolved(&p->dgrams, p->dial.n > 0);
}

void mf_proxy_network_changed(struct mf_proxy *p)
{
	mf_dial_refresh(&p->dial);
}
