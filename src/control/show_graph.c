/* SPDX-License-Identifier: Apache-2.0
 *
 * show_graph - the tables of routes, nodes and drops, and the counters of ports and host stack.
 */
#include "control/proxy_text.h"
#include "control/show_proxies.h"

#include <stdio.h>

/* A million routes would be a hundred megabytes of text: what is shown unless all is asked for, and the
 * most that is ever shown. */
enum { ROUTES_SHOWN = 1000, ROUTES_SHOWN_ALL = 100000 };

struct route_walk {
	struct mf_report *r;
	const struct mf_snapshot *snap;
	size_t left;
};

/* What kind of thing a route leads to. */
static const char *kind_of(const struct mf_next_hop *h)
{
	static const char *const kind[] = {
		[MF_HOP_NONE] = "none",    [MF_HOP_DROP] = "drop",      [MF_HOP_REJECT] = "reject",
		[MF_HOP_WG] = "wireguard", [MF_HOP_SESSION] = "direct",
	};

	return h->proxy ? mf_proxy_type_text(h->proxy) : kind[h->kind];
}

static bool route_row(void *ctx, const struct mf_prefix *prefix, uint32_t hop,
		      const struct mf_route_origin *origin)
{
	struct route_walk *w = ctx;
	const struct mf_next_hop *h = &w->snap->hop[hop];

	if (!w->left--)
		return false;
	mf_cell_prefix(w->r, prefix);
	mf_cell_text(w->r, *h->name ? h->name : kind_of(h));
	mf_cell_text(w->r, kind_of(h));
	if (origin->file) {
		mf_cell_textf(w->r, "%s:%u", origin->file, origin->line);
		mf_cell_text(w->r, origin->file);
		mf_cell_u64(w->r, origin->line);
	} else {
		mf_cell_none(w->r);
		mf_cell_none(w->r);
		mf_cell_none(w->r);
	}
	if (origin->rule == UINT32_MAX)
		mf_cell_none(w->r);
	else
		mf_cell_u64(w->r, origin->rule);
	return true;
}

void mf_report_routes(struct mf_control *c, struct mf_report *r, bool all, mf_nsec now)
{
	static const struct mf_column column[] = {
		{ "prefix", "prefix", MF_CELL_TEXT }, { "to", "to", MF_CELL_TEXT },
		{ "kind", NULL, MF_CELL_TEXT },       { "where", "written in", MF_CELL_TEXT },
		{ "file", NULL, MF_CELL_TEXT },       { "line", NULL, MF_CELL_NUMBER },
		{ "rule", NULL, MF_CELL_NUMBER },
	};
	const struct mf_route_table *routes = mf_engine_routes(c->engine);
	size_t total = routes ? mf_route_table_count(routes) : 0;
	size_t shown = mf_min(total, all ? ROUTES_SHOWN_ALL : ROUTES_SHOWN);
	struct route_walk w = { r, mf_engine_snapshot(c->engine), shown };

	mf_report_fact(r, "total", NULL, MF_CELL_COUNT);
	mf_cell_u64(r, total);
	mf_report_table(r, "routes", NULL, column, MF_ARRAY_LEN(column), "no routes");
	if (total)
		mf_route_table_walk(routes, route_row, &w);
	if (shown < total)
		mf_report_note(r, "the first %zu of %zu routes%s", shown, total,
			       all ? "" : "; --all shows more");
	mf_report_learned(c, r, all, now);
}

static void node_row(struct mf_report *r, const struct mf_node *node, unsigned worker, bool all)
{
	uint64_t calls = mf_counter_read(&node->calls), packets = mf_counter_read(&node->packets);
	uint64_t cycles = mf_counter_read(&node->cycles);

	if (!packets && !all)
		return;
	mf_cell_text(r, node->def->name);
	mf_cell_u64(r, worker);
	mf_cell_u64(r, calls);
	mf_cell_u64(r, packets);
	mf_cell_u64(r, cycles);
	if (calls)
		mf_cell_double(r, (double)packets / (double)calls);
	else
		mf_cell_none(r);
	if (packets)
		mf_cell_double(r, (double)cycles / (double)packets);
	else
		mf_cell_none(r);
	mf_cell_text(r, node->def->does ? node->def->does : "");
}

struct counter_walk {
	struct mf_report *r;
	bool all;
};

static void counter_row(void *to, const char *group, const char *name, uint64_t value,
			const char *text)
{
	struct counter_walk *w = to;

	if (!value && !w->all)
		return;
	mf_cell_text(w->r, group);
	mf_cell_text(w->r, name);
	mf_cell_u64(w->r, value);
	mf_cell_text(w->r, text ? text : "");
}

static void host_counters(struct mf_control *c, struct counter_walk *w)
{
	struct mf_host_counters host;
	struct mf_tcp_counters tcp;

	mf_engine_host_counters(c->engine, &host, &tcp);
#define X(name, text) counter_row(w, "sessions", #name, host.name, text);
	MF_HOST_COUNTER_LIST(X)
#undef X
#define X(name, text) counter_row(w, "tcp", #name, tcp.name, text);
	MF_TCP_COUNTER_LIST(X)
#undef X
}

void mf_report_nodes(struct mf_control *c, struct mf_report *r, bool all, mf_nsec now)
{
	static const struct mf_column node_column[] = {
		{ "node", "node", MF_CELL_TEXT },
		{ "worker", "worker", MF_CELL_NUMBER },
		{ "calls", "calls", MF_CELL_COUNT },
		{ "packets", "packets", MF_CELL_COUNT },
		{ "cycles", NULL, MF_CELL_COUNT },
		{ "packets_per_call", "packets/call", MF_CELL_DECIMAL },
		{ "cycles_per_packet", "cycles/packet", MF_CELL_DECIMAL },
		{ "does", "does", MF_CELL_TEXT },
	};
	static const struct mf_column port_column[] = {
		{ "port", "port", MF_CELL_TEXT },
		{ "counter", "counter", MF_CELL_TEXT },
		{ "value", "value", MF_CELL_COUNT },
		{ "text", "counts", MF_CELL_TEXT },
	};
	static const struct mf_column host_column[] = {
		{ "part", "part", MF_CELL_TEXT },
		{ "counter", "counter", MF_CELL_TEXT },
		{ "value", "value", MF_CELL_COUNT },
		{ "text", "counts", MF_CELL_TEXT },
	};
	struct counter_walk w = { r, all };
	unsigned workers = mf_engine_worker_count(c->engine);
	uint32_t n = mf_engine_worker(c->engine, 0)->graph.n_nodes;

	mf_report_table(r, "nodes", NULL, node_column, MF_ARRAY_LEN(node_column),
			"no node has had a packet yet");
	for (uint32_t i = 0; i < n; i++)
		for (unsigned k = 0; k < workers; k++)
			node_row(r, &mf_engine_worker(c->engine, k)->graph.node[i], k, all);
	mf_report_table(r, "host_stack", "Host stack", host_column, MF_ARRAY_LEN(host_column),
			"it has had no session yet");
	host_counters(c, &w);
	mf_report_dns_counters(c, r, all, now);
	mf_report_proxy_counters(c, r, all);
	if (!c->host.counters)
		return;
	mf_report_table(r, "ports", "Ports", port_column, MF_ARRAY_LEN(port_column),
			"nothing has come in or gone out yet");
	c->host.counters(c->host.ctx, counter_row, &w);
}

static void ledger_fact(struct mf_report *r, const char *key, const char *title, uint64_t n)
{
	mf_report_fact(r, key, title, MF_CELL_COUNT);
	mf_cell_u64(r, n);
}

void mf_report_drops(struct mf_control *c, struct mf_report *r, bool all)
{
	static const struct mf_column column[] = {
		{ "reason", "reason", MF_CELL_TEXT },
		{ "packets", "packets", MF_CELL_COUNT },
		{ "text", "means", MF_CELL_TEXT },
	};
	uint64_t in, out;
	struct mf_ledger l;

	mf_engine_ledger(c->engine, &l);
	mf_report_table(r, "drops", NULL, column, MF_ARRAY_LEN(column), "nothing has been dropped");
	for (int i = MF_DROP_NONE + 1; i < MF_DROP_COUNT; i++) {
		if (!l.drops[i] && !all)
			continue;
		mf_cell_text(r, mf_drop_name((enum mf_drop)i));
		mf_cell_u64(r, l.drops[i]);
		mf_cell_text(r, mf_drop_text((enum mf_drop)i));
	}
	in = l.received_tun + l.received_udp + l.created;
	out = l.ended[MF_SENT] + l.ended[MF_DELIVERED] + l.ended[MF_CONSUMED] + l.ended[MF_DROPPED];
	mf_report_heading(r, "Every packet ends once");
	ledger_fact(r, "received_tun", "from the TUN", l.received_tun);
	ledger_fact(r, "received_udp", "from UDP", l.received_udp);
	ledger_fact(r, "created", "made by nodes", l.created);
	ledger_fact(r, "sent", "sent", l.ended[MF_SENT]);
	ledger_fact(r, "delivered", "delivered", l.ended[MF_DELIVERED]);
	ledger_fact(r, "consumed", "for ourselves", l.ended[MF_CONSUMED]);
	ledger_fact(r, "dropped", "dropped", l.ended[MF_DROPPED]);
	ledger_fact(r, "held", "held", l.held);
	/* The workers go on while we read: what is on its way in this moment shows here. */
	mf_report_fact(r, "missing", "on the way", MF_CELL_SIGNED);
	mf_cell_double(r, (double)in - (double)out - (double)l.held);
}
