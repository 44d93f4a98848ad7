/* SPDX-License-Identifier: Apache-2.0
 *
 * events - the control thread's round: what workers have posted, WireGuard's timers, memory to free; and
 * what the WireGuard core asks of its host.
 */
#include "engine/internal.h"

#include <stdlib.h>

#include "nodes/stage.h"

/* Handshakes are the expensive events (some 100 us each); after this many the timers get their turn. */
enum { EVENTS_AT_ONCE = 64 };

/* ---- Orders ------------------------------------------------------------------------------------ */

void mf_events_wake(struct mf_engine *e, unsigned i)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&e->workers[i]->sleeping, __ATOMIC_SEQ_CST) != MF_WORKER_AWAKE)
		e->host.wake_worker(e->host.ctx, i);
}

static void forget_first(struct mf_waiting_list *l)
{
	struct mf_waiting_order *w = l->first;

	l->first = w->next;
	free(w);
}

/* False: some still wait. */
bool mf_events_push_waiting(struct mf_engine *e, unsigned i)
{
	struct mf_waiting_list *l = &e->waiting[i];
	bool some = false;

	for (; l->first && mf_ring_push(e->workers[i]->orders, &l->first->order); some = true)
		forget_first(l);
	if (some) {
		/* The worker may have passed a quiet point while they waited. */
		mf_reclaim_again(&e->reclaim);
		mf_events_wake(e, i);
	}
	return !l->first;
}

void mf_engine_order(struct mf_engine *e, unsigned worker, const struct mf_order *o)
{
	struct mf_waiting_list *l = &e->waiting[worker];
	struct mf_waiting_order *w;

	if (e->stopping)
		return;
	if (mf_events_push_waiting(e, worker) && mf_ring_push(e->workers[worker]->orders, o)) {
		mf_events_wake(e, worker);
		return;
	}
	w = malloc(sizeof(*w));
	MF_ASSERT(w != NULL); /* an order must not be lost, and it is only ever a few hundred bytes */
	*w = (struct mf_waiting_order){ .order = *o };
	*(l->first ? &l->last->next : &l->first) = w;
	l->last = w;
	mf_events_wake(e, worker);
}

bool mf_events_take_back(struct mf_engine *e, unsigned worker, struct mf_order *o)
{
	struct mf_waiting_list *l = &e->waiting[worker];

	if (e->workers[worker] && e->workers[worker]->orders &&
	    mf_ring_pop(e->workers[worker]->orders, o))
		return true;
	if (!l->first)
		return false;
	*o = l->first->order;
	forget_first(l);
	return true;
}

/* ---- What the WireGuard core asks -------------------------------------------------------------- */

static struct mf_iface *iface_of(struct mf_wg_device *d)
{
	return mf_wg_device_user(d);
}

static struct mf_wg_wall wall_clock(void *ctx)
{
	struct mf_engine *e = ctx;

	return e->host.wall_clock(e->host.ctx);
}

static void send(void *ctx, struct mf_wg_device *d, struct mf_wg_peer *peer,
		 const struct mf_wg_path *to, const uint8_t *bytes, size_t n, uint8_t tos)
{
	struct mf_engine *e = ctx;
	struct mf_order o = {
		.kind = MF_ORDER_SEND,
		.slot = iface_of(d)->slot,
		.tos = tos,
		.len = (uint16_t)n,
		.to = *to,
	};

	(void)peer;
	MF_ASSERT(n <= sizeof(o.bytes));
	if (o.slot == MF_NO_SLOT || e->stopping)
		return;
	memcpy(o.bytes, bytes, n);
	mf_engine_order(e, 0, &o);
}

static bool session_up(void *ctx, struct mf_wg_peer *peer)
{
	struct mf_engine *e = ctx;
	struct mf_order o = { .kind = MF_ORDER_FLUSH_STAGED, .peer = peer };
	bool some = false;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < e->n_workers; i++)
		if (mf_stage_len(peer, i)) {
			mf_engine_order(e, i, &o);
			some = true;
		}
	return some;
}

static void staged_drop(void *ctx, struct mf_wg_peer *peer)
{
	struct mf_engine *e = ctx;
	struct mf_order o = {
		.kind = MF_ORDER_DROP_STAGED,
		.drop = MF_DROP_WG_HANDSHAKE_GAVE_UP,
		.peer = peer,
	};

	for (unsigned i = 0; i < e->n_workers; i++)
		mf_engine_order(e, i, &o);
}

static void resolve(void *ctx, struct mf_wg_peer *peer)
{
	struct mf_engine *e = ctx;
	struct mf_iface *f = iface_of(mf_wg_peer_device(peer));
	struct mf_wg_peer_ref ref = mf_wg_peer_ref(peer);
	struct mf_wg_peer_info info;

	mf_wg_peer_info(peer, e->now, &info);
	mf_wipe(&info.psk, sizeof(info.psk));
	for (const struct mf_named_peer *n = f->named; n; n = n->next)
		if (memcmp(n->public_key.b, info.public_key.b, MF_KEY_LEN) == 0 && e->host.resolve)
			e->host.resolve(e->host.ctx, n->host, n->port,
					(uint64_t)ref.index << 32 | ref.generation);
}

void mf_engine_resolved(struct mf_engine *e, uint64_t tag, const struct mf_endpoint *addr, size_t n,
			mf_nsec now)
{
	struct mf_wg_peer_ref ref = { (uint32_t)(tag >> 32), (uint32_t)tag };
	struct mf_wg_peer *peer = mf_wg_peer_by_ref(e->wg, ref);
	struct mf_wg_peer_info info;
	struct mf_wg_peer_config c = { .set = MF_WG_SET_ENDPOINT | MF_WG_UPDATE_ONLY };

	e->now = now;
	if (mf_proxy_resolved_tag(e, tag, addr, n) || !peer || !n)
		return;
	mf_wg_peer_info(peer, now, &info);
	mf_wipe(&info.psk, sizeof(info.psk));
	if (mf_endpoint_equal(&info.endpoint, &addr[0]))
		return;
	c.public_key = info.public_key;
	c.endpoint = addr[0];
	if (mf_wg_peer_set(mf_wg_peer_device(peer), &c, now, NULL) == MF_OK)
		mf_wg_poke(e->wg, ref, now);
}

static const char *const event_text[] = {
	[MF_WG_EVENT_HANDSHAKE_SENT] = "handshake started",
	[MF_WG_EVENT_SESSION_UP] = "session up",
	[MF_WG_EVENT_GAVE_UP] = "no answer to handshakes for 90 s, gave up until there is traffic",
	[MF_WG_EVENT_KEYS_ZEROED] = "keys forgotten after 540 s without a session",
	[MF_WG_EVENT_ROAMED] = "endpoint changed",
};

/* A session that follows another one, every two minutes, is no news. */
static enum mf_log_level level_of(struct mf_wg_peer *peer, enum mf_wg_event what)
{
	struct mf_stage *s = mf_wg_peer_user(peer);
	bool was_up = s && s->told_up;

	if (what == MF_WG_EVENT_HANDSHAKE_SENT)
		return MF_LOG_DEBUG;
	if (s && what != MF_WG_EVENT_ROAMED)
		s->told_up = what == MF_WG_EVENT_SESSION_UP;
	return what == MF_WG_EVENT_SESSION_UP && was_up ? MF_LOG_DEBUG : MF_LOG_INFO;
}

static void tell(void *ctx, struct mf_wg_peer *peer, enum mf_wg_event what)
{
	struct mf_engine *e = ctx;
	enum mf_log_level level = level_of(peer, what);
	char key[MF_KEY_BASE64_STRLEN], where[MF_ENDPOINT_STRLEN];
	struct mf_wg_peer_info info;

	if (e->host.log.level < level)
		return;
	mf_wg_peer_info(peer, e->now, &info);
	mf_wipe(&info.psk, sizeof(info.psk));
	mf_key_to_base64(&info.public_key, key);
	mf_logf(&e->host.log, level, "%s: peer %.8s… at %s: %s",
		iface_of(mf_wg_peer_device(peer))->name, key,
		info.endpoint.addr.family ? mf_endpoint_format(&info.endpoint, where)
					  : "(no endpoint)",
		event_text[what]);
}

void mf_engine_defer(void *ctx, void (*fn)(void *obj), void *obj)
{
	struct mf_engine *e = ctx;

	mf_reclaim_defer(&e->reclaim, fn, obj);
}

static void peer_freed(void *ctx, void *user)
{
	(void)ctx;
	mf_stage_free(user);
}

void mf_events_host(struct mf_engine *e, struct mf_wg_host *host)
{
	*host = (struct mf_wg_host){
		.ctx = e,
		.rng = e->host.rng,
		.wall_clock = wall_clock,
		.send = send,
		.session_up = session_up,
		.staged_drop = staged_drop,
		.resolve = resolve,
		.defer = mf_engine_defer,
		.peer_freed = peer_freed,
		.event = tell,
	};
}

/* ---- The round --------------------------------------------------------------------------------- */

static void handshake(struct mf_engine *e, const struct mf_event *ev)
{
	struct mf_wg_handshake_in in = {
		.local_port = e->slots[ev->udp_slot].port,
		.from = { ev->remote, ev->local, ev->local_if },
		.bytes = ev->bytes,
		.n = ev->len,
		.queue_len = mf_ring_len(e->events),
	};
	enum mf_drop why = mf_wg_handshake_input(e->wg, e->now, &in);

	if (why)
		e->refused[why]++;
}

static bool handle(struct mf_engine *e)
{
	struct mf_event ev;
	struct mf_wg_path from;

	if (!mf_ring_pop(e->events, &ev))
		return false;
	switch ((enum mf_event_kind)ev.kind) {
	case MF_EVENT_HANDSHAKE:
		handshake(e, &ev);
		break;
	case MF_EVENT_POKE:
		mf_wg_poke(e->wg, ev.peer, e->now);
		break;
	case MF_EVENT_ROAM:
		from = (struct mf_wg_path){ ev.remote, ev.local, ev.local_if };
		mf_wg_roam(e->wg, ev.peer, &from);
		break;
	case MF_EVENT_RESOLVE:
		mf_proxy_resolve(e, ev.hop);
		break;
	}
	return true;
}

mf_nsec mf_engine_control(struct mf_engine *e, mf_nsec now)
{
	bool more = true, ordered = true;
	mf_nsec deadline;

	e->now = now;
	__atomic_store_n(&e->shared.events_waiting, 0, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* Answers to a flood must not pile up behind a busy worker: what they answer waits for it in the
	 * ring of events, where a loss has a name. */
	for (int i = 0; i < EVENTS_AT_ONCE && more && mf_events_push_waiting(e, 0); i++)
		more = handle(e);
	mf_wg_tick(e->wg, now);
	for (unsigned i = 0; i < e->n_workers; i++)
		ordered &= mf_events_push_waiting(e, i);
	deadline = mf_wg_deadline(e->wg);
	if (more && !e->waiting[0].first)
		return now;
	mf_steering_sweep(e);
	/* Orders that no worker has seen name what it would free. A worker that is busy passes a quiet
	 * point soon, but says nothing then. */
	if ((!ordered || mf_reclaim_run(&e->reclaim) || e->retired) && now + MF_MSEC < deadline)
		deadline = now + MF_MSEC;
	return deadline;
}

static void network_changed(struct mf_worker *w, void *ctx)
{
	(void)ctx;
	if (w->dns)
		mf_resolver_network_changed(w->dns->resolver, w->graph.now);
	mf_proxies_network_changed(w);
}

void mf_engine_network_changed(struct mf_engine *e, mf_nsec now)
{
	struct mf_order o = { .kind = MF_ORDER_CALL, .call = { .fn = network_changed } };

	e->now = now;
	mf_wg_network_changed(e->wg, now);
	for (unsigned i = 0; i < e->n_workers; i++)
		mf_engine_order(e, i, &o);
}

/* ---- For UAPI ---------------------------------------------------------------------------------- */

mf_err mf_engine_set_listen_port(struct mf_engine *e, struct mf_wg_device *d, uint16_t port,
				 struct mf_errbuf *eb)
{
	struct mf_iface *f = iface_of(d);
	uint32_t mark = f->mark ? f->mark : e->options.mark;
	uint8_t slot, old = f->slot;
	struct mf_snapshot *snap;
	mf_err err;

	if (port && old != MF_NO_SLOT && e->slots[old].port == port)
		return MF_OK;
	for (slot = 0; slot < MF_UDP_SLOTS; slot++)
		if (port && e->slots[slot].users && e->slots[slot].port == port &&
		    e->slots[slot].mark != mark)
			return mf_fail(eb, MF_E_CONFLICT,
				       "UDP port %u belongs to an interface with another fwmark",
				       port);
	snap = mf_snapshot_new(e);
	if (!snap)
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	err = mf_slot_get(e, port, mark, &slot, eb);
	if (err) {
		free(snap);
		return err;
	}
	f->slot = slot;
	f->wanted_port = port;
	mf_wg_device_set_listen_port(d, e->slots[slot].port);
	mf_publish(e, snap, e->routes);
	mf_slot_put(e, old);
	return MF_OK;
}

void mf_engine_set_fwmark(struct mf_engine *e, struct mf_wg_device *d, uint32_t mark)
{
	struct mf_iface *f = iface_of(d);
	uint32_t effective = mark ? mark : e->options.mark;
	struct mf_slot *s = f->slot == MF_NO_SLOT ? NULL : &e->slots[f->slot];

	f->mark = mark;
	mf_wg_device_set_fwmark(d, mark);
	if (s && s->mark != effective && e->host.udp_set_mark) {
		e->host.udp_set_mark(e->host.ctx, s->handle, effective);
		s->mark = effective;
	}
}
