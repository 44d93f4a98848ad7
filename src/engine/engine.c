/* SPDX-License-Identifier: Apache-2.0
 *
 * engine - makes and ends workers, and tells about them. What happens to events is in events.c, to
 * profiles in apply.c, to packets in worker.c and the nodes.
 */
#include "engine/internal.h"

#include <stdlib.h>

#include "crypto/siphash.h"
#include "nodes/handoff.h"
#include "nodes/nodes.h"
#include "nodes/stage.h"

enum {
	EVENTS = 2048,
	ORDERS = 256,
	LARGE_MIN = 30, /* packets of a worker: less does not run */
	LARGE_MAX = 512,
	SMALL_MIN = 448,
	SMALL_MAX = 8192,
};

uint64_t mf_proxies_bytes(const struct mf_engine *e)
{
	return e->options.proxies ? e->options.memory / 8 : 0;
}

/* What connections to proxies may hold back. Those that come with a later profile have to do with a
 * part of what is for everything else. */
static uint64_t held_back(const struct mf_engine *e)
{
	return e->options.proxies ? mf_proxies_bytes(e) : e->options.memory / 32;
}

/* Of the memory that sessions leave three fifths are for large packets, a third for small ones, the rest
 * for everything else. */
static mf_err share(const struct mf_engine *e, uint32_t *small, uint32_t *large, struct mf_errbuf *eb)
{
	uint64_t taken = mf_sessions_bytes(e) + mf_dns_bytes(e) + mf_proxies_bytes(e);
	uint64_t memory = e->options.memory;
	uint64_t left = memory > taken ? memory - taken : 0;
	size_t per_large = mf_pkt_pool_bytes(0, 256) / 256,
	       per_small = mf_pkt_pool_bytes(4096, 0) / 4096;
	uint64_t n_large = left / 5 * 3 / e->n_workers / per_large;
	uint64_t n_small = left / 3 / e->n_workers / per_small;

	*large = (uint32_t)mf_min(n_large, LARGE_MAX);
	*small = (uint32_t)mf_min(n_small, SMALL_MAX);
	if (*large < LARGE_MIN || *small < SMALL_MIN)
		return mf_fail(
			eb, MF_E_RANGE,
			"limits.memory: %llu MiB is too little for %u workers; give more memory or "
			"fewer workers",
			(unsigned long long)(memory >> 20), e->n_workers);
	return MF_OK;
}

static void free_worker(struct mf_worker *w)
{
	if (!w)
		return;
	mf_host_free(w->stack);
	mf_handoff_fini(&w->handoff);
	mf_gro_fini(&w->gro);
	if (w->jobs.job)
		mf_jobs_fini(&w->jobs);
	mf_graph_fini(&w->graph);
	mf_aead_free(w->aead);
	mf_ring_free(w->orders);
	mf_pkt_pool_free(w->pool);
	free(w);
}

static struct mf_worker *new_worker(struct mf_engine *e, unsigned index, uint32_t small,
				    uint32_t large, mf_nsec now)
{
	struct mf_worker *w = aligned_alloc(MF_CACHE_LINE, mf_round_up(sizeof(*w), MF_CACHE_LINE));

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->index = index;
	w->n_workers = e->n_workers;
	w->peers = e->workers;
	w->shared = &e->shared;
	w->events = e->events;
	w->wg = e->wg;
	w->host = (struct mf_worker_host){
		.ctx = e->host.ctx,
		.wake_control = e->host.wake_control,
		.wake_worker = e->host.wake_worker,
		.wall_clock = e->host.wall_clock,
		.rng = e->host.rng,
		.log = &e->host.log,
	};
	w->held_max = held_back(e) / e->n_workers;
	w->staged_limit = small / 4;
	w->staged_large_limit = large / 4;
	w->pool = mf_pkt_pool_new(small, large);
	w->aead = mf_aead_new(e->options.aead);
	w->orders = mf_ring_new(ORDERS, sizeof(struct mf_order));
	mf_wheel_init(&w->wheel, MF_MSEC, now);
	mf_gro_init(&w->gro, w->pool, e->options.merge_tcp, e->options.merge_udp);
	if (!w->pool || !w->aead || !w->orders || mf_jobs_init(&w->jobs) ||
	    mf_graph_init(&w->graph, mf_node_table, mf_node_table_len, w) ||
	    mf_sessions_init(e, w, large, now)) {
		free_worker(w);
		return NULL;
	}
	w->graph.now = now;
	w->route_lookup = mf_graph_find(&w->graph, "route-lookup");
	w->host_tcp = mf_graph_find(&w->graph, "host-tcp");
	w->host_udp = mf_graph_find(&w->graph, "host-udp");
	w->host_icmp = mf_graph_find(&w->graph, "host-icmp");
	w->host_input = mf_graph_find(&w->graph, "host-input");
	w->tun_output = mf_graph_find(&w->graph, "tun-output");
	w->wg_output = mf_graph_find(&w->graph, "wg-output");
	w->wg_input = mf_graph_find(&w->graph, "wg-input");
	w->udp_output = mf_graph_find(&w->graph, "udp-output");
	w->drop = mf_graph_find(&w->graph, "drop");
	return w;
}

/* Several workers must know which of them has a session, and how many there are in all. */
static bool make_common(struct mf_engine *e)
{
	uint8_t key[MF_SIPHASH_KEY_LEN];

	if (e->n_workers == 1)
		return true;
	e->host.rng.fill(e->host.rng.ctx, key, sizeof(key));
	e->owners = mf_owners_new(e->sessions_max, key);
	e->sources = mf_sources_new(e->sessions_max, key);
	mf_wipe(key, sizeof(key));
	return e->owners && e->sources;
}

mf_err mf_engine_new(struct mf_engine **out, const struct mf_engine_options *o,
		     const struct mf_engine_host *host, mf_nsec now, struct mf_errbuf *eb)
{
	struct mf_engine *e = calloc(1, sizeof(*e));
	struct mf_wg_host wg_host;
	struct mf_snapshot *snap;
	uint32_t small, large;
	mf_err err;

	MF_ASSERT(o->n_workers >= 1 && o->n_workers <= MF_WORKERS_MAX);
	if (!e)
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	e->host = *host;
	e->options = *o;
	e->n_workers = o->n_workers;
	e->n_hops = MF_HOP_ID_FIRST_INTERFACE;
	e->default_mtu = o->default_mtu ? o->default_mtu : 1420;
	mf_sessions_size(e);
	e->host_config = mf_sessions_config(e, NULL);
	e->now = now;
	mf_reclaim_init(&e->reclaim, &e->shared, e->workers, e->n_workers);
	err = share(e, &small, &large, eb);
	if (err)
		goto fail;
	err = MF_E_NO_MEMORY;
	mf_events_host(e, &wg_host);
	e->events = mf_ring_new(EVENTS, sizeof(struct mf_event));
	e->wg = mf_wg_new(&wg_host, e->n_workers + 1, now);
	if (!e->events || !e->wg || !make_common(e))
		goto no_memory;
	for (unsigned i = 0; i < e->n_workers; i++) {
		e->workers[i] = new_worker(e, i, small, large, now);
		if (!e->workers[i])
			goto no_memory;
	}
	if (mf_dns_init(e, now))
		goto no_memory;
	e->routes = mf_route_table_new(NULL);
	snap = mf_snapshot_new(e);
	if (!e->routes || !snap)
		goto no_memory;
	mf_publish(e, snap, e->routes);
	*out = e;
	return MF_OK;
no_memory:
	mf_fail(eb, err, "not enough memory, or no AEAD back-end %s", o->aead ? o->aead : "");
fail:
	mf_engine_free(e);
	return err;
}

/* Packets that wait for a handshake end here; then every counter adds up. */
static void drop_staged(struct mf_engine *e)
{
	for (uint32_t i = 0; i < e->n_ifaces; i++) {
		struct mf_wg_device *d = e->ifaces[i]->device;
		struct mf_wg_peer *p = d ? mf_wg_peer_next(d, NULL) : NULL;

		for (; p; p = mf_wg_peer_next(d, p))
			for (unsigned w = 0; w < e->n_workers; w++)
				mf_stage_drop(e->workers[w], p, MF_DROP_SHUTDOWN);
	}
}

static void end_sessions(struct mf_worker *w)
{
	mf_host_begin(w->stack, w->graph.now);
	mf_host_close_all(w->stack);
	mf_dns_close(w->dns); /* it has asked through sessions of its own */
	w->dns = NULL;
	mf_proxies_free(w); /* some of their connections are sessions, too */
	mf_graph_drain(&w->graph);
	mf_host_free(w->stack);
	w->stack = NULL;
	mf_handoff_refuse(w);
}

static void stop_worker(struct mf_worker *w)
{
	if (!w)
		return;
	w->graph.trace = NULL;
	/* The one it had may be gone: it slept. */
	w->snap = __atomic_load_n(&w->shared->snap, __ATOMIC_ACQUIRE);
	mf_jobs_work(w);
	mf_graph_drain(&w->graph);
	end_sessions(w);
	mf_worker_release_ports(w);
	__atomic_store_n(&w->sleeping, MF_WORKER_QUIET, __ATOMIC_SEQ_CST);
}

void mf_engine_free(struct mf_engine *e)
{
	struct mf_order o;

	if (!e)
		return;
	/* Orders not obeyed yet may drop packets; the others have lost their meaning. */
	for (unsigned i = 0; i < e->n_workers; i++)
		while (mf_events_take_back(e, i, &o))
			if (o.kind == MF_ORDER_DROP_STAGED || o.kind == MF_ORDER_FLUSH_STAGED)
				mf_stage_drop(e->workers[i], o.peer, MF_DROP_SHUTDOWN);
	if (e->wg)
		drop_staged(e);
	for (unsigned i = 0; i < e->n_workers; i++)
		stop_worker(e->workers[i]);
	for (unsigned i = 0; i < e->n_workers; i++)
		if (e->workers[i])
			mf_handoff_collect(e->workers[i]);
	e->stopping = true;
	for (uint32_t i = 0; i < e->n_ifaces; i++)
		mf_iface_remove(e, e->ifaces[i]);
	mf_reclaim_flush(&e->reclaim);
	mf_wg_free(e->wg);
	mf_reclaim_flush(&e->reclaim);
	for (unsigned i = 0; i < e->n_workers; i++)
		free_worker(e->workers[i]);
	mf_dns_fini(e);
	mf_tls_context_free(e->authorities);
	mf_owners_free(e->owners);
	mf_sources_free(e->sources);
	mf_ring_free(e->events);
	mf_route_table_free(e->routes);
	free(e->snap);
	free(e->ifaces);
	free(e);
}

/* ---- Telling ----------------------------------------------------------------------------------- */

uint32_t mf_engine_iface_count(const struct mf_engine *e)
{
	return e->n_ifaces;
}

bool mf_engine_iface(const struct mf_engine *e, uint32_t i, struct mf_iface_info *out)
{
	const struct mf_iface *f;

	if (i >= e->n_ifaces)
		return false;
	f = e->ifaces[i];
	*out = (struct mf_iface_info){
		.name = f->name,
		.hop = f->wg.hop,
		.device = f->device,
		.proxy = f->proxy,
		.mtu = f->mtu,
		.listen_port = f->device ? mf_wg_device_listen_port(f->device) : 0,
		.up = !f->device || mf_wg_device_up(f->device),
	};
	return true;
}

struct mf_wg *mf_engine_wg(struct mf_engine *e)
{
	return e->wg;
}

const struct mf_route_table *mf_engine_routes(const struct mf_engine *e)
{
	return e->routes;
}

const struct mf_snapshot *mf_engine_snapshot(const struct mf_engine *e)
{
	return e->snap;
}

struct mf_worker *mf_engine_worker(struct mf_engine *e, unsigned i)
{
	MF_ASSERT(i < e->n_workers);
	return e->workers[i];
}

unsigned mf_engine_worker_count(const struct mf_engine *e)
{
	return e->n_workers;
}

void mf_engine_ledger(const struct mf_engine *e, struct mf_ledger *sum)
{
	static_assert(sizeof(struct mf_ledger) % sizeof(uint64_t) == 0, "only counters");
	*sum = (struct mf_ledger){ 0 };
	for (unsigned i = 0; i < e->n_workers; i++)
		mf_counters_add(sum, &e->workers[i]->graph.ledger, sizeof(*sum));
	/* A worker has passed on handshake messages that were refused later. */
	for (int r = 0; r < MF_DROP_COUNT; r++) {
		sum->drops[r] += e->refused[r];
		sum->ended[MF_DROPPED] += e->refused[r];
		sum->ended[MF_CONSUMED] -= e->refused[r];
	}
}

uint64_t mf_engine_memory(const struct mf_engine *e)
{
	uint32_t small, large;

	if (share(e, &small, &large, NULL))
		return 0;
	return (uint64_t)e->n_workers * (mf_pkt_pool_bytes(small, large) + sizeof(struct mf_worker)) +
	       mf_sessions_bytes(e) + mf_dns_bytes(e) + mf_proxies_bytes(e) +
	       mf_lpm_bytes(e->snap->routes4) + mf_lpm_bytes(e->snap->routes6) +
	       mf_lpm_rib_bytes(e->snap->routes4) + mf_lpm_rib_bytes(e->snap->routes6);
}

/* Longest of the peer's allowed IPs that holds the address: the list is short or nobody is in a hurry. */
static struct mf_prefix allowed_match(const struct mf_wg_peer *p, const struct mf_addr *dst)
{
	size_t n = mf_wg_peer_allowed(p, NULL, 0);
	struct mf_prefix *list = calloc(n + 1, sizeof(*list)), best = { 0 };

	if (!list)
		return best;
	mf_wg_peer_allowed(p, list, n);
	for (size_t i = 0; i < n; i++)
		if (mf_prefix_contains(&list[i], dst) && (!best.addr.family || list[i].len > best.len))
			best = list[i];
	free(list);
	return best;
}

void mf_engine_why(struct mf_engine *e, const struct mf_addr *dst, struct mf_why *out)
{
	struct mf_route_origin origin = { 0 };
	uint32_t id = mf_route_table_explain(e->routes, dst, &out->route, &origin);

	out->learned = mf_learned_find(e->learned, dst, &out->name) && !out->name.overridden;
	if (out->learned)
		id = out->name.hop;
	out->hop = &e->snap->hop[id];
	out->where = (struct mf_config_pos){ .file = origin.file, .line = origin.line };
	out->rule = id ? origin.rule : UINT32_MAX;
	out->peer = NULL;
	out->allowed = (struct mf_prefix){ 0 };
	if (out->hop->kind != MF_HOP_WG)
		return;
	out->peer = mf_wg_route(out->hop->device, dst->b, (enum mf_family)dst->family);
	if (out->peer)
		out->allowed = allowed_match(out->peer, dst);
}

/* ---- Watching ---------------------------------------------------------------------------------- */

mf_err mf_engine_trace(struct mf_engine *e, const struct mf_trace_filter *filter, uint32_t slots,
		       uint32_t snaplen, struct mf_trace **traces)
{
	if (e->tracing)
		return MF_E_EXISTS;
	for (unsigned i = 0; i < e->n_workers; i++) {
		traces[i] = mf_trace_new(&e->workers[i]->graph, filter, slots, snaplen);
		if (!traces[i]) {
			while (i--)
				mf_trace_free(traces[i]);
			return MF_E_NO_MEMORY;
		}
	}
	for (unsigned i = 0; i < e->n_workers; i++) {
		struct mf_order o = { .kind = MF_ORDER_SET_TRACE, .trace = traces[i] };

		mf_engine_order(e, i, &o);
	}
	e->tracing = true;
	return MF_OK;
}

void mf_engine_untrace(struct mf_engine *e, void (*done)(void *obj), void *obj)
{
	struct mf_order o = { .kind = MF_ORDER_SET_TRACE };

	for (unsigned i = 0; i < e->n_workers; i++)
		mf_engine_order(e, i, &o);
	e->tracing = false;
	mf_reclaim_defer(&e->reclaim, done, obj);
}

bool mf_engine_tracing(const struct mf_engine *e)
{
	return e->tracing;
}
