/* SPDX-License-Identifier: Apache-2.0
 *
 * sessions - the host stacks of all workers as the control thread sees them: how many sessions each may have,
 * what they are doing, and what a new profile does to them.
 */
#include "engine/internal.h"

#include "nodes/host_port.h"

enum { SESSIONS_DEFAULT = 16384, SESSIONS_MIN = 64, BASE = 5 << 20, WORKER = 4 << 20 };

/* ---- What each worker gets -------------------------------------------------------------------------- */

/* Three fifths of the memory, but no more than the DNS server, proxies and the least that packets need leave;
 * sessions that do not fit are refused one by one, when they are asked for. */
static uint64_t room_for_sessions(const struct mf_engine *e)
{
	uint64_t memory = e->options.memory,
		 others = mf_dns_bytes(e) + mf_proxies_bytes(e) + e->n_workers * (uint64_t)WORKER;

	if (memory <= BASE || memory <= others)
		return 0;
	return mf_min((memory - BASE) / 5 * 3, memory - others);
}

void mf_sessions_size(struct mf_engine *e)
{
	uint64_t room = room_for_sessions(e);
	uint32_t wanted = e->options.sessions ? e->options.sessions : SESSIONS_DEFAULT, n = wanted;

	while (n > SESSIONS_MIN && mf_host_bytes(n) > room)
		n -= n / 64 + 1;
	e->sessions_max = n;
	if (n < wanted)
		mf_logf(&e->host.log, MF_LOG_INFO,
			"sessions: limits.memory has room for %u, not for %u", n, wanted);
}

uint32_t mf_engine_sessions_max(const struct mf_engine *e)
{
	return e->sessions_max;
}

uint64_t mf_sessions_bytes(const struct mf_engine *e)
{
	return mf_host_bytes(e->sessions_max);
}

struct mf_host_config mf_sessions_config(const struct mf_engine *e, const struct mf_config *cfg)
{
	/* Until there is a profile nothing is routed to a session. */
	static const struct mf_config none;
	const struct mf_config_sessions *s = cfg ? &cfg->sessions : &none.sessions;
	uint32_t max = e->sessions_max, three_quarters = max - max / 4;

	struct mf_host_config c = {
		.max = max,
		.per_source = s->per_source ? s->per_source : three_quarters,
		.half_open_per_source = s->half_open_per_source,
		.tcp_idle = s->tcp_idle * MF_SEC,
		.udp = s->udp * MF_SEC,
		.udp_dns = s->udp_dns * MF_SEC,
		.udp_quic = s->udp_quic * MF_SEC,
		.echo = s->echo * MF_SEC,
		.fast_open = cfg && cfg->direct.fast_open,
		.no_tso = !e->options.merge_tcp,
		.no_uso = !e->options.merge_udp,
	};
	const struct mf_config_app_routing *ar = cfg ? &cfg->app_routing : NULL;

	if (!ar || !ar->enabled || !ar->settle)
		return c;
	c.settle_wait = ar->settle_wait_ms * MF_MSEC;
	for (uint32_t i = 0; i < ar->n_settle_ports && i < MF_SETTLE_PORTS; i++)
		c.settle_port[c.n_settle_ports++] = ar->settle_ports[i];
	return c;
}

/* Of the large packets a quarter may be staged for handshakes; what waits in sessions, in both directions
 * together, may be five eighths, and an eighth is for what comes in. */
static uint64_t budget(uint32_t large)
{
	return (uint64_t)large * MF_PKT_LARGE_MAX * 5 / 16;
}

mf_err mf_sessions_init(struct mf_engine *e, struct mf_worker *w, uint32_t large, mf_nsec now)
{
	struct mf_host_shared shared = { e->owners, e->sources };
	struct mf_host_port port = mf_host_port_of(w);

	if (e->n_workers > 1 && mf_handoff_init(&w->handoff))
		return MF_E_NO_MEMORY;
	w->stack = mf_host_new(w->index, &e->host_config, &port, w->pool,
			       e->n_workers > 1 ? &shared : NULL, &e->host.rng, budget(large), now);
	return w->stack ? MF_OK : MF_E_NO_MEMORY;
}

/* ---- A new profile ---------------------------------------------------------------------------------- */

void mf_sessions_judge(const struct mf_engine *e, const struct mf_route_table *routes,
		       struct mf_apply_report *r)
{
	struct mf_session_facts f;

	for (unsigned w = 0; w < e->n_workers; w++)
		for (uint32_t i = 0; i < mf_engine_session_slots(e, w); i++) {
			if (!mf_engine_session(e, w, i, &f))
				continue;
			if (mf_route_table_lookup(routes, &f.dst.addr) == f.hop)
				r->sessions_kept++;
			else if (e->drop_sessions)
				r->sessions_closed++;
			else
				r->sessions_moved++;
		}
}

void mf_sessions_drop_strays(struct mf_engine *e)
{
	struct mf_order o = { .kind = MF_ORDER_DROP_STRAYS };

	for (unsigned i = 0; e->drop_sessions && i < e->n_workers; i++)
		mf_engine_order(e, i, &o);
	e->drop_sessions = false;
}

void mf_engine_drop_sessions(struct mf_engine *e, bool drop)
{
	e->drop_sessions = drop;
}

/* ---- One by one ------------------------------------------------------------------------------------- */

uint32_t mf_engine_session_slots(const struct mf_engine *e, unsigned worker)
{
	return mf_host_slots(e->workers[worker]->stack);
}

bool mf_engine_session(const struct mf_engine *e, unsigned worker, uint32_t i,
		       struct mf_session_facts *out)
{
	return mf_host_facts(e->workers[worker]->stack, i, out);
}

mf_err mf_engine_session_close(struct mf_engine *e, unsigned worker, struct mf_flow_ref ref)
{
	struct mf_order o = { .kind = MF_ORDER_CLOSE_SESSION, .ref = ref };
	struct mf_session_facts f;

	if (worker >= e->n_workers || ref.index >= mf_engine_session_slots(e, worker) ||
	    !mf_engine_session(e, worker, ref.index, &f) || f.ref.generation != ref.generation)
		return MF_E_NOT_FOUND;
	mf_engine_order(e, worker, &o);
	return MF_OK;
}

/* ---- Sums ------------------------------------------------------------------------------------------- */

void mf_engine_host_counters(const struct mf_engine *e, struct mf_host_counters *sum,
			     struct mf_tcp_counters *tcp)
{
	*sum = (struct mf_host_counters){ 0 };
	*tcp = (struct mf_tcp_counters){ 0 };
	for (unsigned i = 0; i < e->n_workers; i++) {
		const struct mf_host *h = e->workers[i]->stack;

		mf_counters_add(sum, mf_host_counters(h), sizeof(*sum));
		mf_counters_add(tcp, mf_host_tcp_counters(h), sizeof(*tcp));
	}
}

static void take_away(struct mf_hop_totals *sum, const struct mf_hop_totals *less)
{
	const uint64_t *from = (const uint64_t *)less;
	uint64_t *to = (uint64_t *)sum;

	static_assert(sizeof(*sum) % sizeof(*to) == 0, "only counters");
	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] -= from[i];
}

void mf_engine_hop_totals(const struct mf_engine *e, uint32_t hop, struct mf_hop_totals *out)
{
	*out = (struct mf_hop_totals){ 0 };
	for (unsigned i = 0; i < e->n_workers; i++)
		mf_counters_add(out, mf_host_hop(e->workers[i]->stack, hop), sizeof(*out));
	for (uint32_t i = 0; i < e->n_ifaces; i++)
		if (e->ifaces[i]->wg.hop == hop)
			take_away(out, &e->ifaces[i]->before);
}
