/* SPDX-License-Identifier: Apache-2.0
 *
 * engine - workers, interfaces, routes and the WireGuard core, put together. No threads, no sockets, no
 * clock: whoever embeds it provides those through struct mf_engine_host and calls in.
 *
 * Threads: one control thread calls everything under "Control"; each worker has a thread that calls the
 * functions under "Workers" (one thread may play all of these parts). Nothing that a worker may still
 * look at is freed before every worker has passed a quiet point.
 */
#ifndef MF_ENGINE_H
#define MF_ENGINE_H

#include "base/log.h"
#include "config/config.h"
#include "graph/graph.h"
#include "graph/port.h"
#include "graph/trace.h"
#include "host/host.h"
#include "nodes/dns.h"
#include "nodes/worker.h"
#include "policy/route.h"
#include "proto/wg/wg.h"

struct mf_engine;

/* What the engine needs from around it. All is called on the control thread but what says otherwise. */
struct mf_engine_host {
	void *ctx;
	struct mf_log log;                          /* any thread */
	struct mf_rng rng;                          /* any thread */
	struct mf_wg_wall (*wall_clock)(void *ctx); /* any thread */
	/* Opens the sockets of a local UDP port, one mf_udp_slot for each worker in `slots`. `*port`
	 * is the port wanted, 0 for any, and becomes the one in use. `*handle` goes to udp_close, which
	 * is called when no worker uses them any more. */
	mf_err (*udp_open)(void *ctx, uint16_t *port, uint32_t mark, struct mf_udp_slot *slots,
			   uint32_t n_workers, void **handle, struct mf_errbuf *eb);
	void (*udp_close)(void *ctx, void *handle);
	/* SO_MARK of open sockets changed; may be NULL. */
	void (*udp_set_mark)(void *ctx, void *handle, uint32_t mark);
	/* Resolve a name; answer with mf_engine_resolved and the same tag. May be NULL. */
	void (*resolve)(void *ctx, const char *name, uint16_t port, uint64_t tag);
	void (*wake_control)(void *ctx);                /* any worker */
	void (*wake_worker)(void *ctx, unsigned index); /* any thread */
	/* Lets a worker whose thread runs get on with its orders for a moment (some microseconds); false: it has
	 * no thread now, and the engine does its work itself. NULL: there are no threads. */
	bool (*wait_worker)(void *ctx, unsigned index);
};

struct mf_engine_options {
	unsigned n_workers; /* 1..MF_WORKERS_MAX */
	uint64_t memory;    /* bytes, of all packets and tables: limits.memory */
	/* Sessions of the host stack, of all workers together, 0: 16384; fewer if the memory is too little
	 * (mf_engine_sessions_max). */
	uint32_t sessions;
	const char *aead; /* back-end, NULL: the best */
	/* The first profile has proxies: an eighth of `memory` is for what they hold back. */
	bool proxies;
	uint32_t mark;             /* SO_MARK of interfaces that have no fwmark of their own */
	bool merge_tcp, merge_udp; /* what may be merged on the way to the TUN */
	/* Of the DNS server and learned routes, 0: the defaults; they are part of `memory`. */
	uint64_t dns_cache;
	uint32_t learned;
	struct mf_tls_context *tls; /* for encrypted DNS servers, the caller's; NULL: they cannot be asked */
	uint32_t default_mtu; /* of interfaces that have none in the profile, and of the TUN if it has none */
};

/* ---- Control --------------------------------------------------------------------------------- */

/* MF_E_NO_MEMORY, MF_E_RANGE (memory too small for so many workers). The host is copied. */
MF_MUST_CHECK mf_err mf_engine_new(struct mf_engine **out, const struct mf_engine_options *o,
				   const struct mf_engine_host *host, mf_nsec now,
				   struct mf_errbuf *eb);
/* Workers must have stopped; what carries sessions is still there. Ends all sessions (apps get resets through
 * the TUN port), drops what is staged (MF_DROP_SHUTDOWN), releases and
 * closes the UDP ports. Packets that the TUN port keeps must have been given back before. */
void mf_engine_free(struct mf_engine *e);

/* What a profile changed. */
struct mf_apply_report {
	uint32_t interfaces_added, interfaces_changed, interfaces_removed;
	uint32_t peers_added, peers_changed, peers_removed;
	uint32_t routes;
	/* Running sessions of the host stack: their route leads where it led; it leads elsewhere now, they
	 * stay and new ones take the new route; they are being ended because of that. */
	uint32_t sessions_kept, sessions_moved, sessions_closed;
};

/* Makes the engine do what the profile says; the first time and for every reload. Sessions of peers that
 * stay are kept. Everything that can fail is tried before anything changes: after an error the old
 * configuration is still in force, except after MF_E_NO_MEMORY or MF_E_FULL for a peer: then the new
 * one is, without that interface's remaining peers. The configuration is only read during the call.
 * Packets that are sent after it go by the new routes: it waits until each worker has got there
 * (host.wait_worker). */
MF_MUST_CHECK mf_err mf_engine_apply(struct mf_engine *e, const struct mf_config *cfg, mf_nsec now,
				     struct mf_apply_report *report, struct mf_errbuf *eb);

/* Adds or changes a peer, as mf_wg_peer_set, with what the packet path needs for it. Everybody outside
 * the engine uses this one. `out` may be NULL. */
MF_MUST_CHECK mf_err mf_engine_peer_set(struct mf_engine *e, struct mf_wg_device *d,
					const struct mf_wg_peer_config *c, mf_nsec now,
					struct mf_wg_peer **out);

/* Handles what workers have posted and the timers that are due, frees what can be freed. Returns when it
 * wants to be called again, MF_NEVER if only events matter. Call it after wake_control, too. */
mf_nsec mf_engine_control(struct mf_engine *e, mf_nsec now);

/* The domain set of this name as it has been read, with what stands in the profile itself (the engine's
 * from now on, also after an error; NULL: only what stands in the profile). The next mf_engine_apply or
 * mf_engine_apply_domains puts it in force; if that fails, it is freed and the one before stays.
 * MF_E_NO_MEMORY: nothing has changed. */
MF_MUST_CHECK mf_err mf_engine_set_domains(struct mf_engine *e, const char *name,
					   struct mf_domain_set *set);
/* Puts them in force without another profile: `cfg` is the one that was applied last. What `wg set` has
 * changed since then stays. MF_E_NO_MEMORY: nothing has changed. */
MF_MUST_CHECK mf_err mf_engine_apply_domains(struct mf_engine *e, const struct mf_config *cfg,
					     struct mf_errbuf *eb);
/* The set in force, NULL: none of this name. */
const struct mf_domain_set *mf_engine_domains(const struct mf_engine *e, const char *name);

/* Has something done on a worker's thread, between two passes' work, and waits for it: for what nobody else may touch
 * (the resolver). It must be short. */
void mf_engine_call(struct mf_engine *e, unsigned worker,
		    void (*fn)(struct mf_worker *w, void *ctx), void *ctx, mf_nsec now);
/* The resolver, for a call on worker 0; its counters and the front ends' for any thread. */
struct mf_resolver *mf_engine_resolver(struct mf_engine *e);
const struct mf_dns_front_counters *mf_engine_dns_counters(const struct mf_engine *e);
struct mf_learned *mf_engine_learned(struct mf_engine *e);

void mf_engine_network_changed(struct mf_engine *e, mf_nsec now);
/* Another MTU for interfaces that have none in the profile, those that there are and later ones, and for
 * the TUN if the profile gives it none. */
void mf_engine_set_default_mtu(struct mf_engine *e, uint32_t mtu);
/* An answer to host.resolve: all addresses of the name, with the port, the one to try first in front; n 0: it could
 * not be resolved. */
void mf_engine_resolved(struct mf_engine *e, uint64_t tag, const struct mf_endpoint *addr, size_t n,
			mf_nsec now);

/* Interfaces, in the order of the profile. */
struct mf_iface_info {
	const char *name;
	uint32_t hop;
	struct mf_wg_device *device;         /* NULL: it is a proxy: */
	const struct mf_proxy_config *proxy; /* NULL: it is none */
	uint32_t mtu;
	uint16_t listen_port;
	bool up;
};
uint32_t mf_engine_iface_count(const struct mf_engine *e);
bool mf_engine_iface(const struct mf_engine *e, uint32_t i, struct mf_iface_info *out);
/* For UAPI: binds another port, or sets SO_MARK, of a running interface. Interfaces may share a port if
 * they have one mark (MF_E_CONFLICT); setting the mark of one sets that of the port. After an error
 * nothing has changed. */
MF_MUST_CHECK mf_err mf_engine_set_listen_port(struct mf_engine *e, struct mf_wg_device *d,
					       uint16_t port, struct mf_errbuf *eb);
void mf_engine_set_fwmark(struct mf_engine *e, struct mf_wg_device *d, uint32_t mark);
struct mf_wg *mf_engine_wg(struct mf_engine *e);
/* Does this tag of host.resolve ask for the server of a proxy? Its connections wait for the answer, so it may be asked
 * for when there is somebody to be trusted with the question. */
bool mf_engine_asks_for_proxy(uint64_t tag);
/* Is there anybody left to whom an answer to this tag means something? */
bool mf_engine_asks(const struct mf_engine *e, uint64_t tag);
/* What all workers know of the proxy of a hop; false: it is no proxy. */
bool mf_engine_proxy(const struct mf_engine *e, uint32_t hop, struct mf_proxy_report *out);

/* The routes in force, for `show routes` and `why`; values are hop ids of mf_engine_snapshot. */
const struct mf_route_table *mf_engine_routes(const struct mf_engine *e);
const struct mf_snapshot *mf_engine_snapshot(const struct mf_engine *e);

/* Where a packet to this address would go. */
struct mf_why {
	bool learned; /* an answer of the DNS says so: */
	struct mf_learned_info name;
	const struct mf_next_hop *hop; /* hop->kind MF_HOP_NONE: no route */
	struct mf_prefix route;        /* the prefix that matched */
	struct mf_config_pos where;    /* where it is written; file NULL: nowhere */
	uint32_t rule;           /* index of the rule in the profile's app_routing, or UINT32_MAX */
	struct mf_wg_peer *peer; /* NULL: none has it in its allowed IPs */
	struct mf_prefix allowed; /* the allowed IP that matched */
};
void mf_engine_why(struct mf_engine *e, const struct mf_addr *dst, struct mf_why *out);

/* What `mf_engine_apply` does to sessions whose route leads elsewhere now: leaves them (false, and what
 * holds at the start) or ends them. Holds for the next call only. */
void mf_engine_drop_sessions(struct mf_engine *e, bool drop);

/* Sessions of the host stack: slot i of a worker, i below mf_engine_session_slots; false: empty. A session
 * may end or change meanwhile; what is returned was true at one moment. */
uint32_t mf_engine_sessions_max(const struct mf_engine *e);
uint32_t mf_engine_session_slots(const struct mf_engine *e, unsigned worker);
bool mf_engine_session(const struct mf_engine *e, unsigned worker, uint32_t i,
		       struct mf_session_facts *out);
/* Asks the worker to end one. MF_E_NOT_FOUND: there is no such session. */
MF_MUST_CHECK mf_err mf_engine_session_close(struct mf_engine *e, unsigned worker,
					     struct mf_flow_ref ref);
/* Sums over all workers; `sessions` too. */
void mf_engine_host_counters(const struct mf_engine *e, struct mf_host_counters *sum,
			     struct mf_tcp_counters *tcp);
void mf_engine_hop_totals(const struct mf_engine *e, uint32_t hop, struct mf_hop_totals *out);

/* Worker i, for reading its counters (mf_counter_read) and for starting its thread. */
struct mf_worker *mf_engine_worker(struct mf_engine *e, unsigned i);
unsigned mf_engine_worker_count(const struct mf_engine *e);
/* Sum of all workers' ledgers. */
void mf_engine_ledger(const struct mf_engine *e, struct mf_ledger *sum);
/* Bytes the engine has reserved: packets, tables. */
uint64_t mf_engine_memory(const struct mf_engine *e);

/* Sends an order to a worker; never lost. */
void mf_engine_order(struct mf_engine *e, unsigned worker, const struct mf_order *o);

/* Watches packets on all workers: one trace for each in `traces`. mf_engine_untrace takes them back;
 * they may be freed when `done` is called (control thread). */
MF_MUST_CHECK mf_err mf_engine_trace(struct mf_engine *e, const struct mf_trace_filter *filter,
				     uint32_t slots, uint32_t snaplen, struct mf_trace **traces);
void mf_engine_untrace(struct mf_engine *e, void (*done)(void *obj), void *obj);
bool mf_engine_tracing(const struct mf_engine *e);

/* ---- Workers ----------------------------------------------------------------------------------- */

/* Installs the worker's TUN queue; before its thread starts. */
void mf_worker_set_tun(struct mf_worker *w, const struct mf_tun_port *port);
/* Installs what carries the sessions of `direct`; before its thread starts. Without one a route to direct is
 * answered with "unreachable" (MF_DROP_OUTBOUND_DOWN). */
void mf_worker_set_direct(struct mf_worker *w, struct mf_outbound *direct);
/* Installs the sockets that the DNS server listens on; worker 0, before its thread starts. */
void mf_worker_set_dns_sockets(struct mf_worker *w, const struct mf_dns_sockets *s);
/* Lets go of all UDP ports; when its thread has ended. mf_engine_free does it, too. */
void mf_worker_release_ports(struct mf_worker *w);

/* One pass: orders, inputs, the graph, jobs. Returns true if there was anything to do: then call again
 * soon. */
bool mf_worker_pass(struct mf_worker *w, mf_nsec now);

/* Before the thread blocks: true if it may; then call mf_worker_wake after blocking. False: something
 * came in, do another pass. `*deadline` is when to wake up at the latest, MF_NEVER for never. */
bool mf_worker_sleep(struct mf_worker *w, mf_nsec *deadline);
void mf_worker_wake(struct mf_worker *w);

#endif
