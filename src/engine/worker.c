/* SPDX-License-Identifier: Apache-2.0
 *
 * worker - one worker's pass: what the control thread ordered, then inputs, graph and jobs; and how it
 * goes to sleep without missing anything.
 */
#include "engine/engine.h"
#include "nodes/dns.h"
#include "nodes/handoff.h"
#include "nodes/pg.h"
#include "nodes/stage.h"

static void send(struct mf_worker *w, const struct mf_order *o)
{
	struct mf_pkt *p = mf_pkt_small(w->pool);

	mf_count(&w->graph.ledger.created, 1);
	if (!p) {
		mf_graph_lose(&w->graph, MF_DROP_BUFFERS, 1);
		return;
	}
	memcpy(p->data, o->bytes, o->len);
	p->len = o->len;
	p->segments = 1;
	p->tos = o->tos;
	p->rx_port = o->slot;
	p->remote = o->to.remote;
	p->local = o->to.local;
	p->local_if = o->to.local_if;
	mf_graph_put(&w->graph, w->udp_output, p);
}

static void release(const struct mf_udp_slot *slot)
{
	for (unsigned i = 0; i < 2; i++)
		if (slot->port[i].release)
			slot->port[i].release(slot->port[i].ctx);
}

/* The configuration as it is now, which is at least as new as any order that has come. */
static void look_up_to_date(struct mf_worker *w)
{
	w->snap = __atomic_load_n(&w->shared->snap, __ATOMIC_ACQUIRE);
	if (w->configured == w->snap->generation)
		return;
	w->configured = w->snap->generation;
	mf_host_configure(w->stack, &w->snap->host);
	mf_host_routes_changed(w->stack, false);
	mf_proxies_configure(w);
	if (w->dns)
		mf_dns_configure(w->dns, w->graph.now);
}

/* What was sent on the old port goes there, and what follows takes the route that led to this order:
 * the slot may be another interface's next. */
static void set_udp(struct mf_worker *w, const struct mf_order *o)
{
	mf_graph_drain(&w->graph);
	look_up_to_date(w);
	release(&w->udp[o->slot]);
	w->udp[o->slot] = o->udp;
	w->udp_slots = 0;
	for (uint32_t i = 0; i < MF_UDP_SLOTS; i++)
		if (w->udp[i].port[0].send || w->udp[i].port[1].send)
			w->udp_slots = i + 1;
}

static void obey(struct mf_worker *w, const struct mf_order *o)
{
	switch ((enum mf_order_kind)o->kind) {
	case MF_ORDER_SEND:
		send(w, o);
		break;
	case MF_ORDER_FLUSH_STAGED:
		mf_wg_output_flush(w, o->peer);
		break;
	case MF_ORDER_DROP_STAGED:
		mf_stage_drop(w, o->peer, (enum mf_drop)o->drop);
		break;
	case MF_ORDER_SET_UDP:
		set_udp(w, o);
		break;
	case MF_ORDER_SET_TRACE:
		mf_graph_watch(&w->graph, o->trace);
		break;
	case MF_ORDER_SET_PG:
		w->pg = o->pg;
		break;
	case MF_ORDER_CLOSE_SESSION:
		(void)mf_host_close(w->stack, o->ref); /* it may have ended meanwhile */
		break;
	case MF_ORDER_DROP_STRAYS:
		mf_graph_drain(&w->graph);
		look_up_to_date(w);
		mf_host_routes_changed(w->stack, true);
		break;
	case MF_ORDER_CALL:
		o->call.fn(w, o->call.ctx);
		if (o->call.done)
			__atomic_store_n(o->call.done, 1, __ATOMIC_RELEASE);
		break;
	case MF_ORDER_PROXY_ADDRS:
		/* The snapshot that made them wanted may be newer than this pass. */
		mf_graph_drain(&w->graph);
		look_up_to_date(w);
		mf_proxies_resolved(w, &o->proxy);
		break;
	}
}

static uint32_t obey_all(struct mf_worker *w)
{
	struct mf_order o;
	uint32_t n = 0;

	for (; mf_ring_pop(w->orders, &o); n++)
		obey(w, &o);
	return n;
}

/* Sessions: after the packets, so that they are answered in the same pass. What the resolver asks through a VPN or a
 * proxy leaves at once, too. */
static uint32_t serve(struct mf_worker *w)
{
	uint32_t turns = mf_proxies_run(w), again;

	mf_graph_poll(&w->graph, w->host_input);
	turns += w->turns;
	again = w->dns ? mf_dns_run(w->dns, w->graph.now) : 0;
	again += mf_proxies_run(w);
	if (again)
		mf_graph_poll(&w->graph, w->host_input);
	mf_graph_drain(&w->graph);
	return turns + again;
}

bool mf_worker_pass(struct mf_worker *w, mf_nsec now)
{
	/* The epoch first: whatever was unpublished before it began cannot be found below. */
	uint64_t epoch = __atomic_load_n(&w->shared->epoch, __ATOMIC_SEQ_CST);
	uint32_t work, in;
	bool more;

	w->graph.now = now;
	mf_host_begin(w->stack, now);
	mf_proxies_begin(w, now);
	look_up_to_date(w);
	work = obey_all(w);
	if (work || mf_jobs_pending(&w->jobs)) {
		mf_jobs_work(w);
		/* Packets in frames say whose they are. */
		mf_graph_drain(&w->graph);
	}
	if (!mf_jobs_pending(&w->jobs))
		__atomic_store_n(&w->seen, epoch, __ATOMIC_RELEASE);
	/* While somebody waits for a quiet point none of our jobs are left lying. */
	mf_jobs_begin_pass(&w->jobs, w->seen == epoch);
	work += mf_handoff_take(w);
	in = mf_graph_pass(&w->graph, now);
	work += serve(w);
	more = in || (w->pg && w->pg->sent < w->pg->count);
	if (mf_jobs_pending(&w->jobs)) {
		if (!more)
			mf_jobs_leave_none(&w->jobs);
		mf_jobs_work(w);
		mf_graph_drain(&w->graph);
	}
	work += in;
	work += (uint32_t)mf_wheel_run(&w->wheel, now, w);
	if (!work && w->n_workers > 1)
		work += mf_jobs_help(w);
	return work || more || mf_host_pending(w->stack) || mf_proxies_pending(w);
}

bool mf_worker_sleep(struct mf_worker *w, mf_nsec *deadline)
{
	uint32_t how = mf_jobs_pending(&w->jobs) ? MF_WORKER_WAITS_FOR_HELPER : MF_WORKER_QUIET;
	uint32_t head = w->jobs.head % MF_JOBS;

	/* Orders of our own (nodes/wg_output.c) must not be in the ring for a moment in which we say
	 * that we are quiet. */
	if (mf_ring_len(w->orders) || mf_handoff_waiting(&w->handoff) ||
	    mf_host_pending(w->stack) || mf_proxies_pending(w) || (w->dns && w->dns->due))
		return false;
	/* Sequentially consistent against whoever pushes, or publishes a snapshot, first and looks at `sleeping` then. */
	__atomic_store_n(&w->sleeping, how, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (mf_ring_len(w->orders) || mf_handoff_waiting(&w->handoff) ||
	    __atomic_load_n(&w->shared->snap, __ATOMIC_SEQ_CST) != w->snap ||
	    (how == MF_WORKER_WAITS_FOR_HELPER &&
	     __atomic_load_n(&w->jobs.state[head], __ATOMIC_SEQ_CST) != MF_JOB_BUSY)) {
		mf_worker_wake(w);
		return false;
	}
	*deadline = mf_min(mf_wheel_next(&w->wheel), mf_host_deadline(w->stack));
	*deadline = mf_min(*deadline, mf_proxies_deadline(w));
	if (w->dns)
		*deadline = mf_min(*deadline, w->dns->next);
	return true;
}

void mf_worker_wake(struct mf_worker *w)
{
	__atomic_store_n(&w->sleeping, MF_WORKER_AWAKE, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void mf_worker_release_ports(struct mf_worker *w)
{
	for (uint32_t i = 0; i < MF_UDP_SLOTS; i++) {
		release(&w->udp[i]);
		w->udp[i] = (struct mf_udp_slot){ 0 };
	}
	w->udp_slots = 0;
}

void mf_worker_set_tun(struct mf_worker *w, const struct mf_tun_port *port)
{
	w->tun = *port;
}

void mf_worker_set_dns_sockets(struct mf_worker *w, const struct mf_dns_sockets *s)
{
	w->dns->sockets = *s;
}

void mf_worker_set_direct(struct mf_worker *w, struct mf_outbound *direct)
{
	w->direct = direct;
}
