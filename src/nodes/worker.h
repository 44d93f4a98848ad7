/* SPDX-License-Identifier: Apache-2.0
 *
 * worker - what the nodes of one worker share: its graph, its packets, its ports, its cryptography.
 *
 * Everything here belongs to the worker's thread, except where a comment says otherwise. Workers and the
 * control thread talk through rings: events go up, orders come down.
 */
#ifndef MF_WORKER_H
#define MF_WORKER_H

#include "base/ring.h"
#include "base/wheel.h"
#include "graph/graph.h"
#include "graph/port.h"
#include "graph/trace.h"
#include "nodes/handoff.h"
#include "nodes/job.h"
#include "nodes/proxies.h"
#include "nodes/snapshot.h"
#include "wire/gro.h"

enum {
	MF_WORKERS_MAX = 16,
	MF_UDP_SLOTS = 64,               /* local UDP ports: one for each WireGuard listen port */
	MF_TUN_BATCH_BYTES = 256 * 1024, /* read from the TUN in one pass: must fit the L2 cache */
	MF_UDP_BATCH = 16,               /* messages read from one socket in one pass */
	MF_HANDSHAKE_MAX = 148,          /* the longest WireGuard message that is not data */
};

/* What a worker tells the control thread. Fixed size, copied through a ring; a full ring means a
 * counted drop, never waiting. */
enum mf_event_kind {
	MF_EVENT_HANDSHAKE, /* a handshake or cookie message came in: `bytes` */
	MF_EVENT_POKE,      /* look at this peer's timers */
	MF_EVENT_ROAM,      /* this peer's authenticated packets come from `remote` now */
	MF_EVENT_RESOLVE,   /* the proxy of `hop` wants the addresses of its server */
};

struct mf_event {
	uint8_t kind;
	uint8_t udp_slot;
	uint16_t len;
	uint32_t hop;
	struct mf_wg_peer_ref peer;
	struct mf_endpoint remote;
	struct mf_addr local;
	uint32_t local_if;
	uint8_t bytes[MF_HANDSHAKE_MAX];
};

/* The two sockets of a local UDP port: IPv4 and IPv6; recv NULL: not there. */
struct mf_udp_slot {
	struct mf_udp_port port[2];
};

struct mf_pg;

/* What the control thread tells a worker. */
enum mf_order_kind {
	MF_ORDER_SEND,          /* a datagram: `bytes` to `to` from `slot` */
	MF_ORDER_FLUSH_STAGED,  /* a session is up: send what was staged for `peer` */
	MF_ORDER_DROP_STAGED,   /* drop it, because of `drop` */
	MF_ORDER_SET_UDP,       /* install `udp` in `slot` */
	MF_ORDER_SET_TRACE,     /* watch packets with `trace`, NULL to stop */
	MF_ORDER_SET_PG,        /* generate packets with `pg`, NULL to stop */
	MF_ORDER_CLOSE_SESSION, /* end the session `ref` */
	MF_ORDER_DROP_STRAYS,   /* end the sessions whose route leads elsewhere now */
	MF_ORDER_CALL,          /* do something that only this worker's thread may do */
	MF_ORDER_PROXY_ADDRS,   /* the server of a proxy has the addresses `proxy` */
};

struct mf_order {
	uint8_t kind;
	uint8_t slot;
	uint8_t tos;
	uint8_t drop; /* enum mf_drop */
	uint16_t len;
	union {
		struct mf_wg_peer *peer;
		struct mf_trace *trace;
		struct mf_pg *pg;
		struct mf_flow_ref ref;
		struct mf_udp_slot udp;
		struct {
			void (*fn)(struct mf_worker *w, void *ctx);
			void *ctx;
			uint32_t *done; /* becomes 1; NULL: nobody waits */
		} call;
		struct mf_proxy_addrs proxy;
		struct {
			struct mf_wg_path to;
			uint8_t bytes[MF_HANDSHAKE_MAX];
		};
	};
};

/* How a worker reaches what is around it; filled in by the host. Called from any worker. */
struct mf_worker_host {
	void *ctx;
	void (*wake_control)(void *ctx); /* there are events */
	void (*wake_worker)(void *ctx, unsigned index);
	struct mf_wg_wall (*wall_clock)(void *ctx);
	struct mf_rng rng;
	const struct mf_log *log;
};

/* Written by the control thread, read by every worker. */
struct mf_shared {
	const struct mf_snapshot *snap; /* atomic */
	uint64_t epoch;                 /* atomic: see engine/reclaim.h */
	uint32_t events_waiting;        /* atomic: the control thread has been woken */
};

struct mf_worker {
	struct mf_graph graph;
	/* Nodes that packets are put to from outside. */
	struct mf_node *route_lookup, *host_tcp, *host_udp, *host_icmp, *wg_output, *wg_input,
		*host_input, *udp_output, *tun_output, *drop;
	struct mf_pkt_pool *pool;
	struct mf_aead *aead;
	const struct mf_snapshot *snap; /* for this pass */
	struct mf_wg *wg;
	struct mf_jobs jobs;
	struct mf_gro gro;
	struct mf_tun_port tun;
	struct mf_udp_slot udp[MF_UDP_SLOTS];
	uint32_t udp_slots; /* slots in use are below this */
	uint32_t udp_first; /* the slot to look at first, in turn */
	struct mf_pg *pg;   /* packet generator, NULL when there is none */
	unsigned index;     /* this worker, among n_workers */
	unsigned n_workers;
	struct mf_worker **peers; /* all workers, by index: whose jobs may be taken over */
	/* Packets staged by this worker over all peers, and how many of them are large: they must not
	 * take the memory that the handshakes they wait for need. */
	uint32_t staged, staged_limit;
	uint32_t staged_large, staged_large_limit;
	mf_nsec icmp_full_at;     /* token bucket of ICMP errors, see nodes/icmp_error.c */
	uint64_t icmp_suppressed; /* errors not sent because of it */
	struct mf_wheel wheel;    /* timers of this worker */

	/* The host stack: sessions of packets that go to no VPN. */
	struct mf_host *stack;
	struct mf_outbound *direct; /* what carries those of `direct`; NULL: nothing does */
	struct mf_handoff handoff;
	struct mf_vpn vpn[MF_HOST_HOPS]; /* connections of our own through VPNs, by hop; host NULL: not used yet */
	struct mf_dns *dns;         /* the internal DNS server; NULL: another worker has it */
	struct mf_proxies *proxies; /* atomic for others; NULL: there never was one */
	size_t held_max;            /* bytes that their connections may hold back */
	uint64_t configured;        /* generation of the snapshot that the host stack knows */
	uint64_t emitted;           /* packets it has made for apps */
	uint32_t turns;             /* that it gave to sessions in this pass */

	/* Shared. */
	struct mf_ring *events; /* to the control thread; one ring for all workers */
	struct mf_ring *orders; /* from the control thread */
	struct mf_shared *shared;
	struct mf_worker_host host;
	uint64_t seen;     /* atomic: last epoch in which this worker has passed a quiet point */
	uint32_t sleeping; /* atomic: enum mf_worker_sleep */
};

/* About to block, or blocked. Asleep with jobs in a helper's hands is not quiet. */
enum mf_worker_sleep { MF_WORKER_AWAKE, MF_WORKER_QUIET, MF_WORKER_WAITS_FOR_HELPER };

/* Posts an event; false if the ring is full: the caller counts what that means. */
bool mf_worker_post(struct mf_worker *w, const struct mf_event *e);

/* The interface of a peer as this pass sees it; NULL: the interface is not there (any more). Between
 * two quiet points a peer may be met whose interface the snapshot does not know. */
const struct mf_next_hop *mf_worker_hop(const struct mf_worker *w, const struct mf_wg_peer *peer);

/* Sends a packet to the drop node from wherever it is. */
void mf_worker_drop(struct mf_worker *w, struct mf_pkt *p, enum mf_drop reason);

/* Sends what this worker has staged for a peer that has a session now. Not from inside a node. */
void mf_wg_output_flush(struct mf_worker *w, struct mf_wg_peer *peer);

#endif
