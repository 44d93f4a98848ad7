/* SPDX-License-Identifier: Apache-2.0
 *
 * host - the pass of a worker's host stack, and what is done to all of its sessions.
 */
#include "host/settle.h"

#include <stdlib.h>

#include "crypto/siphash.h"

enum {
	/* The finest time that a session needs: pacing sends what a millisecond holds. */
	TICK = MF_MSEC,
	REASS_DATAGRAMS = 64,
	/* Of the budget, for what waits for the rest of its fragments. */
	REASS_PART = 8,
	/* Of each class of packets, for what comes in. */
	RESERVE_PART = 8,
};

/* ---- Packets --------------------------------------------------------------------------------------- */

void mf_host_drop(struct mf_host *h, struct mf_pkt *p, enum mf_drop reason)
{
	h->port.drop(h->port.ctx, p, reason);
}

void mf_host_consume(struct mf_host *h, struct mf_pkt *p)
{
	h->port.consume(h->port.ctx, p);
}

void mf_host_taken(struct mf_host *h, uint32_t segments, uint32_t trace)
{
	h->port.taken(h->port.ctx, segments, trace);
}

void mf_host_emit(struct mf_host *h, struct mf_pkt *p)
{
	h->port.emit(h->port.ctx, p);
}

void mf_host_lost(struct mf_host *h, uint32_t n, enum mf_drop reason)
{
	if (h->port.lost)
		h->port.lost(h->port.ctx, n, reason);
}

static void emit_segment(void *ctx, struct mf_tcp *c, struct mf_pkt *p)
{
	struct mf_session *s = MF_CONTAINER_OF(c, struct mf_session, tcp.conn);

	if (MF_UNLIKELY(s->flow.key.side == MF_SIDE_OURS)) {
		mf_session_vpn_emit(s, p);
		return;
	}
	mf_session_down(s, 0, p->segments);
	mf_host_emit(ctx, p);
}

static uint32_t spare(uint32_t n_free, uint32_t n_total)
{
	uint32_t reserve = n_total / RESERVE_PART;

	return n_free > reserve ? n_free - reserve : 0;
}

uint32_t mf_host_spare_small(const struct mf_host *h)
{
	return spare(mf_pkt_pool_free_small(h->pool), h->pool->small.n_total);
}

uint32_t mf_host_spare_large(const struct mf_host *h)
{
	return spare(mf_pkt_pool_free_large(h->pool), h->pool->large.n_total);
}

/* ---- Life ------------------------------------------------------------------------------------------ */

static bool make_parts(struct mf_host *h, uint64_t budget)
{
	uint8_t key[MF_SIPHASH_KEY_LEN];

	if (h->owners)
		memcpy(key, mf_owners_hash_key(h->owners), sizeof(key));
	else
		h->tcp.rng.fill(h->tcp.rng.ctx, key, sizeof(key));
	h->table = mf_flow_table_new(h->cfg.max, sizeof(struct mf_session),
				     offsetof(struct mf_session, facts), key);
	if (!h->sources) {
		h->own_sources = true;
		h->sources = mf_sources_new(h->cfg.max, key);
	}
	h->reass = mf_reass_new(h->pool, REASS_DATAGRAMS, budget / REASS_PART);
	h->quic = mf_quic_flows_new(key);
	return h->table && h->sources && h->reass && h->quic && mf_tcp_env_init(&h->tcp) == MF_OK;
}

struct mf_host *mf_host_new(unsigned worker, const struct mf_host_config *cfg,
			    const struct mf_host_port *port, struct mf_pkt_pool *pool,
			    const struct mf_host_shared *shared, const struct mf_rng *rng,
			    uint64_t budget, mf_nsec now)
{
	struct mf_host *h = calloc(1, sizeof(*h));

	MF_ASSERT(!shared || (port->handoff && worker < MF_OWNERS_WORKERS));
	if (!h)
		return NULL;
	h->worker = worker;
	h->cfg = *cfg;
	h->port = *port;
	h->pool = pool;
	if (shared) {
		h->owners = shared->owners;
		h->sources = shared->sources;
	}
	h->now = now;
	h->tcp = (struct mf_tcp_env){
		.pool = pool,
		.rng = *rng,
		.ctx = h,
		.emit = emit_segment,
		.rx_budget = budget,
		.tx_budget = budget,
	};
	mf_session_list_init(&h->ready);
	mf_session_list_init(&h->starved);
	mf_session_list_init(&h->time_wait);
	mf_wheel_init(&h->wheel, TICK, now);
	if (!make_parts(h, budget)) {
		mf_host_free(h);
		return NULL;
	}
	mf_settle_configure(h);
	return h;
}

/* Calls fn for every session; it may end the one that it is given. */
static void each_session(struct mf_host *h, void (*fn)(struct mf_host *h, struct mf_session *s))
{
	for (uint32_t i = 0; h->table && i < mf_flow_high(h->table); i++) {
		struct mf_session *s = mf_flow_slot(h->table, i);

		if (s->flow.in_use)
			fn(h, s);
	}
}

static void end_silently(struct mf_host *h, struct mf_session *s)
{
	mf_session_end(h, s, false);
}

void mf_host_free(struct mf_host *h)
{
	if (!h)
		return;
	each_session(h, end_silently);
	mf_quic_flows_free(h, h->quic);
	mf_tcp_env_fini(&h->tcp);
	mf_reass_free(h->reass);
	if (h->own_sources)
		mf_sources_free(h->sources);
	mf_flow_table_free(h->table);
	free(h);
}

static void arm_again(struct mf_host *h, struct mf_session *s)
{
	(void)h;
	mf_session_arm(s, MF_NEVER);
}

void mf_host_configure(struct mf_host *h, const struct mf_host_config *cfg)
{
	h->cfg = *cfg;
	h->cfg.max = mf_flow_max(h->table);
	mf_settle_configure(h);
	each_session(h, arm_again);
}

/* ---- The pass -------------------------------------------------------------------------------------- */

void mf_host_begin(struct mf_host *h, mf_nsec now)
{
	h->now = now;
	mf_tcp_env_sweep(&h->tcp);
}

uint32_t mf_host_run(struct mf_host *h, mf_nsec now)
{
	uint32_t turns = 0;

	h->now = now;
	mf_wheel_run(&h->wheel, now, h);
	mf_session_feed(h);
	for (uint32_t n = h->ready.n; n && h->ready.first; n--, turns++) {
		struct mf_session *s = h->ready.first;

		mf_session_list_remove(s);
		s->wake_at = MF_NEVER;
		if (s->ops->turn(h, s))
			mf_session_ready(s);
	}
	return turns;
}

bool mf_host_pending(const struct mf_host *h)
{
	return h->ready.n > 0;
}

mf_nsec mf_host_deadline(const struct mf_host *h)
{
	return mf_wheel_next(&h->wheel);
}

/* ---- Commands -------------------------------------------------------------------------------------- */

static void end_by_hand(struct mf_host *h, struct mf_session *s)
{
	mf_count(&h->count.closed_by_hand, 1);
	mf_session_end(h, s, true);
}

static bool has_moved(const struct mf_host *h, const struct mf_session *s)
{
	if (s->facts.kind != MF_SESSION_TCP)
		return mf_datagram_has_moved(h, s);
	if (s->tcp.dead)
		return false;
	if (*s->facts.name)
		return mf_settle_has_moved(h, s);
	return h->port.route(h->port.ctx, &s->facts.dst.addr) != s->facts.hop;
}

static void look_at_route(struct mf_host *h, struct mf_session *s)
{
	bool stray = s->flow.key.side == MF_SIDE_APP && has_moved(h, s);

	if (stray == s->facts.stray)
		return;
	mf_session_set_stray(h, s, stray);
	mf_session_publish(s);
}

static void end_stray(struct mf_host *h, struct mf_session *s)
{
	if (s->facts.stray)
		end_by_hand(h, s);
}

/* Of our own, through a VPN that is not there any more: whoever uses it does not wait for a time-out. */
static void end_lost(struct mf_host *h, struct mf_session *s)
{
	if (s->flow.key.side == MF_SIDE_OURS && !h->port.outbound(h->port.ctx, s->facts.hop))
		mf_session_end(h, s, false);
}

void mf_host_routes_changed(struct mf_host *h, bool close)
{
	mf_settle_routes_changed(h);
	each_session(h, look_at_route);
	if (h->n_own)
		each_session(h, end_lost);
	if (close)
		each_session(h, end_stray);
}

uint32_t mf_host_strays(const struct mf_host *h)
{
	return h->owners ? mf_owners_strays(h->owners) : h->strays;
}

bool mf_host_close(struct mf_host *h, struct mf_flow_ref ref)
{
	struct mf_session *s = mf_flow_get(h->table, ref);

	if (s)
		end_by_hand(h, s);
	return s != NULL;
}

void mf_host_close_all(struct mf_host *h)
{
	mf_quic_flows_clear(h);
	each_session(h, end_by_hand);
}

/* ---- What others see ------------------------------------------------------------------------------- */

uint32_t mf_host_slots(const struct mf_host *h)
{
	return mf_flow_high(h->table);
}

bool mf_host_facts(const struct mf_host *h, uint32_t slot, struct mf_session_facts *out)
{
	const struct mf_session *s;

	if (slot >= mf_flow_high(h->table))
		return false;
	s = mf_flow_slot(h->table, slot);
	mf_session_read_facts(&s->pub, out);
	return out->state != MF_SESSION_FREE;
}

const struct mf_host_counters *mf_host_counters(const struct mf_host *h)
{
	return &h->count;
}

struct mf_hop_totals *mf_host_hop_of(struct mf_host *h, uint32_t hop)
{
	return &h->hop[mf_min(hop, MF_HOST_HOPS - 1)];
}

const struct mf_hop_totals *mf_host_hop(const struct mf_host *h, uint32_t hop)
{
	return &h->hop[mf_min(hop, MF_HOST_HOPS - 1)];
}

const struct mf_tcp_counters *mf_host_tcp_counters(const struct mf_host *h)
{
	return mf_tcp_env_counters(&h->tcp);
}

size_t mf_host_bytes(uint32_t max)
{
	return sizeof(struct mf_host) + mf_flow_table_bytes(max, sizeof(struct mf_session)) +
	       mf_sources_bytes(max);
}
