/* SPDX-License-Identifier: Apache-2.0 */
#include "nodes/host_port.h"

#include "nodes/dns.h"
#include "wire/ip.h"

static void end_hold(struct mf_worker *w, uint32_t wire)
{
	mf_uncount(&w->graph.ledger.held, wire);
}

static void emit(void *ctx, struct mf_pkt *p)
{
	struct mf_worker *w = ctx;

	p->owner = NULL; /* to tun-output that would be a peer */
	if (!p->next_hop)
		p->next_hop = MF_HOP_ID_DIRECT; /* of one's own there is no other yet */
	w->emitted++;
	mf_count(&w->graph.ledger.created, mf_pkt_wire_count(p));
	mf_graph_put(&w->graph, w->tun_output, p);
}

static void drop(void *ctx, struct mf_pkt *p, enum mf_drop reason)
{
	struct mf_worker *w = ctx;

	end_hold(w, mf_pkt_wire_count(p));
	mf_worker_drop(w, p, reason);
}

static void consume(void *ctx, struct mf_pkt *p)
{
	struct mf_worker *w = ctx;

	end_hold(w, mf_pkt_wire_count(p));
	mf_graph_end(&w->graph, p, MF_CONSUMED);
}

static void taken(void *ctx, uint32_t segments, uint32_t trace)
{
	struct mf_worker *w = ctx;

	end_hold(w, segments);
	mf_graph_take(&w->graph, segments, trace);
}

static void lost(void *ctx, uint32_t n, enum mf_drop reason)
{
	struct mf_worker *w = ctx;

	mf_count(&w->graph.ledger.created, n);
	mf_graph_lose(&w->graph, reason, n);
}

/* What is sealed lies in one piece. */
static void into_vpn(void *ctx, struct mf_pkt *p)
{
	struct mf_worker *w = ctx;
	struct mf_pkt *whole = mf_pkt_linear(w->pool, p);

	w->emitted++;
	mf_count(&w->graph.ledger.created, mf_pkt_wire_count(p));
	if (whole && whole != p) {
		whole->next_hop = p->next_hop;
		mf_pkt_free(p);
		p = whole;
	}
	if (!whole)
		mf_worker_drop(w, p, MF_DROP_BUFFERS);
	else if (p->next_hop >= w->snap->n_hops || w->snap->hop[p->next_hop].kind != MF_HOP_WG)
		mf_worker_drop(w, p, MF_DROP_INTERFACE_DOWN);
	else
		mf_graph_put(&w->graph, w->wg_output, p);
}

static void handoff(void *ctx, struct mf_pkt *p, unsigned worker)
{
	mf_handoff_give(ctx, p, worker);
}

/* Connections of our own into a VPN, made when somebody wants the first one. */
static struct mf_outbound *vpn(struct mf_worker *w, uint32_t hop)
{
	struct mf_vpn *v = &w->vpn[hop];

	if (!v->host)
		mf_vpn_init(v, w->stack, hop, w->snap->hop[hop].path_mtu);
	v->mtu = w->snap->hop[hop].path_mtu;
	return &v->out;
}

struct mf_outbound *mf_host_port_outbound(struct mf_worker *w, uint32_t hop)
{
	if (hop == MF_HOP_ID_DIRECT)
		return w->direct;
	if (hop == MF_HOP_ID_DNS)
		return w->dns ? &w->dns->streams : NULL;
	if (hop >= w->snap->n_hops || hop >= MF_HOST_HOPS)
		return NULL;
	if (w->snap->hop[hop].proxy)
		return mf_proxies_outbound(w, hop);
	if (w->snap->hop[hop].kind != MF_HOP_WG)
		return NULL;
	return vpn(w, hop);
}

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	return mf_host_port_outbound(ctx, hop);
}

static uint32_t route(void *ctx, const struct mf_addr *dst)
{
	struct mf_worker *w = ctx;

	return mf_snapshot_route(w->snap, dst->b, dst->family);
}

static bool settles(void *ctx, const struct mf_addr *dst)
{
	struct mf_worker *w = ctx;
	bool full;

	if (!w->snap->names)
		return false;
	(void)mf_snapshot_match(w->snap, dst, &full);
	return !full;
}

/* Design 1.4, point 4: the route of the name, or for a name without one what the CIDR routes say. */
static uint32_t settle(void *ctx, const struct mf_addr *dst, const char *name, size_t n,
		       uint32_t *rule)
{
	struct mf_worker *w = ctx;
	const struct mf_name_rule *r = w->snap->names ? mf_names_find(w->snap->names, name, n) : NULL;

	*rule = r ? r->rule : UINT32_MAX;
	return r ? r->hop : mf_snapshot_static_route(w->snap, dst->b, dst->family);
}

/* The name outside is meant if a route has it, or if it was asked for and has this address: what is outside of a true
 * encrypted ClientHello is a name of its provider that nobody asks for. */
static uint32_t settle_hidden(void *ctx, const struct mf_addr *dst, const char *name, size_t n,
			      uint32_t *rule)
{
	struct mf_worker *w = ctx;
	struct mf_learned_info info;
	uint32_t hop = settle(ctx, dst, name, n, rule);

	if (*rule != UINT32_MAX)
		return hop;
	if (mf_learned_find(w->snap->learned, dst, &info) && info.is_shared &&
	    !strcmp(info.shared, name))
		return hop;
	return 0;
}

static enum mf_host_fate fate(void *ctx, uint32_t hop)
{
	struct mf_worker *w = ctx;

	switch (hop < w->snap->n_hops ? w->snap->hop[hop].kind : MF_HOP_NONE) {
	case MF_HOP_DROP:
		return MF_FATE_DROP;
	case MF_HOP_REJECT:
		return MF_FATE_REJECT;
	default:
		return MF_FATE_CARRY;
	}
}

static bool hold(void *ctx, const struct mf_addr *dst)
{
	struct mf_worker *w = ctx;

	return mf_learned_hold(w->snap->learned, dst);
}

static void release(void *ctx, const struct mf_addr *dst)
{
	struct mf_worker *w = ctx;

	mf_learned_release(w->snap->learned, dst);
}

struct mf_host_port mf_host_port_of(struct mf_worker *w)
{
	return (struct mf_host_port){
		.ctx = w,
		.emit = emit,
		.drop = drop,
		.consume = consume,
		.taken = taken,
		.lost = lost,
		.into_vpn = into_vpn,
		.handoff = w->n_workers > 1 ? handoff : NULL,
		.outbound = outbound,
		.route = route,
		.settles = settles,
		.settle = settle,
		.settle_hidden = settle_hidden,
		.fate = fate,
		.hold = hold,
		.release = release,
	};
}

void mf_host_port_give(struct mf_worker *w, struct mf_pkt **pkts, uint32_t n)
{
	uint32_t wire = 0;

	for (uint32_t i = 0; i < n; i++) {
		wire += mf_pkt_wire_count(pkts[i]);
		if (MF_UNLIKELY(pkts[i]->trace != 0) && pkts[i]->next_hop)
			mf_trace_note(w->graph.trace, pkts[i], w->snap->hop[pkts[i]->next_hop].name);
	}
	mf_count(&w->graph.ledger.held, wire);
}

struct mf_node *mf_host_port_node(const struct mf_worker *w, const struct mf_pkt *p)
{
	switch (p->l4_proto) {
	case MF_IPPROTO_TCP:
		return w->host_tcp;
	case MF_IPPROTO_UDP:
		return w->host_udp;
	default:
		return w->host_icmp;
	}
}
