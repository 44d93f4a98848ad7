/* SPDX-License-Identifier: Apache-2.0
 *
 * host - the host stack of one worker: packets of apps become sessions, sessions go to an outbound.
 *
 * Knows nothing of the graph, of TUN devices or of sockets: packets come in through mf_host_tcp and its
 * like, leave through struct mf_host_port, and what carries a session on is a struct mf_outbound. All of it
 * runs on the worker's thread, except the functions that say "any thread".
 *
 * A pass: mf_host_begin, then packets (mf_host_tcp, _udp, _icmp) in any number of calls, mf_host_run once: it
 * serves the sessions that something has happened to, and the timers that are due.
 */
#ifndef MF_HOST_H
#define MF_HOST_H

#include "base/log.h"
#include "flow/owners.h"
#include "host/outbound.h"
#include "host/session.h"
#include "host/source.h"
#include "proto/tcp/tcp.h"

struct mf_host;

enum { MF_SETTLE_PORTS = 16 };

/* Time-outs in nanoseconds, the rest in pieces. All must be set. */
struct mf_host_config {
	uint32_t max;                  /* sessions of this worker; fixed at start */
	uint32_t per_source;           /* sessions of one source address */
	uint32_t half_open_per_source; /* TCP sessions that are not established yet */
	mf_nsec tcp_idle, udp, udp_dns, udp_quic, echo;
	bool fast_open;                  /* answer a SYN before the far side has */
	uint32_t mtu;                    /* of the TUN */
	bool no_tso, no_uso;             /* the TUN takes no super-packets */
	struct mf_addr tunnel4, tunnel6; /* the TUN's own addresses: no pacing towards them */
	/* Names that sessions show (settle.h): how long a session waits for one, 0: none does; and the ports
	 * at which the app speaks first, so that its SYN may be answered before it is known where it goes. */
	mf_nsec settle_wait;
	uint16_t settle_port[MF_SETTLE_PORTS];
	uint8_t n_settle_ports;
};

/* What becomes of sessions of a hop. */
enum mf_host_fate {
	MF_FATE_CARRY,
	MF_FATE_DROP,   /* silently */
	MF_FATE_REJECT, /* TCP: with a reset; the rest silently */
};

struct mf_host_port {
	void *ctx;
	/* A packet for the app: the callee owns it. Its tail (pkt.h) lives until the next mf_host_begin. */
	void (*emit)(void *ctx, struct mf_pkt *p);
	/* The packet has been dropped for that reason; the callee owns it. */
	void (*drop)(void *ctx, struct mf_pkt *p, enum mf_drop reason);
	/* The packet has done its duty; the callee owns it. */
	void (*consume)(void *ctx, struct mf_pkt *p);
	/* A packet has done its duty and its memory is the host's (payload that waits for the far side), or
	 * is free already: how many wire packets it stood for, and its trace record. */
	void (*taken)(void *ctx, uint32_t segments, uint32_t trace);
	/* So many wire packets for apps were lost before they could be emitted. NULL: nobody counts them. */
	void (*lost)(void *ctx, uint32_t n, enum mf_drop reason);
	/* A packet of a session of our own (mf_vpn_init), for the VPN that its next_hop names; may have a
	 * tail. The callee owns it. */
	void (*into_vpn)(void *ctx, struct mf_pkt *p);
	/* Gives a packet to the worker that has its session. NULL with one worker. */
	void (*handoff)(void *ctx, struct mf_pkt *p, unsigned worker);
	/* What carries sessions of this hop now, NULL: nothing any more. */
	struct mf_outbound *(*outbound)(void *ctx, uint32_t hop);
	/* Where a packet to this address would go now (a hop id). */
	uint32_t (*route)(void *ctx, const struct mf_addr *dst);
	/* May the name that a session to this address shows change where it goes? NULL: never. */
	bool (*settles)(void *ctx, const struct mf_addr *dst);
	/* Where a session to this address goes that has shown this name (host name text): a hop id, which may
	 * be that of drop or reject. `*rule`: of the profile, UINT32_MAX: the CIDR routes say so. */
	uint32_t (*settle)(void *ctx, const struct mf_addr *dst, const char *name, size_t n,
			   uint32_t *rule);
	/* What becomes of a session that `settle` sends to this hop. NULL: all are carried. */
	enum mf_host_fate (*fate)(void *ctx, uint32_t hop);
	/* The same for a name that may only be the outside of an encrypted ClientHello; 0: it says nothing, the address
	 * decides. NULL: as 0. */
	uint32_t (*settle_hidden)(void *ctx, const struct mf_addr *dst, const char *name, size_t n,
				  uint32_t *rule);
	/* A learned route is in use by a session from hold (true) to release. NULL: there are none. */
	bool (*hold)(void *ctx, const struct mf_addr *dst);
	void (*release)(void *ctx, const struct mf_addr *dst);
};

/* What the workers of one engine have in common. */
struct mf_host_shared {
	struct mf_owners *owners;
	struct mf_sources *sources; /* NULL: each counts for itself */
};

/* NULL: out of memory. `shared` NULL: one worker only. `pool` and the port belong to this worker. Budget:
 * how many bytes of the pool the sessions' queues may hold, in each direction. */
struct mf_host *mf_host_new(unsigned worker, const struct mf_host_config *cfg,
			    const struct mf_host_port *port, struct mf_pkt_pool *pool,
			    const struct mf_host_shared *shared, const struct mf_rng *rng,
			    uint64_t budget, mf_nsec now);
/* Ends every session: the far sides see resets, the apps do not (mf_host_close_all first if they are
 * to). NULL is fine. */
void mf_host_free(struct mf_host *h);
/* New limits and time-outs; `max` stays what it was. They hold for sessions that there are, too. */
void mf_host_configure(struct mf_host *h, const struct mf_host_config *cfg);

/* First in a pass: all that was emitted in the last one has been sent. */
void mf_host_begin(struct mf_host *h, mf_nsec now);
/* Packets after ip-input whose next_hop is a hop that carries sessions; the host owns them. Fragments too:
 * they are put together. Other protocols than these three do not come here. */
void mf_host_tcp(struct mf_host *h, struct mf_pkt **pkts, uint32_t n);
void mf_host_udp(struct mf_host *h, struct mf_pkt **pkts, uint32_t n);
void mf_host_icmp(struct mf_host *h, struct mf_pkt **pkts, uint32_t n);
/* Serves sessions on the list and timers. Returns how many turns it gave; sessions that have more to do
 * than one turn's share stay on the list (mf_host_pending). */
uint32_t mf_host_run(struct mf_host *h, mf_nsec now);
bool mf_host_pending(const struct mf_host *h);
/* When mf_host_run wants to be called though nothing has happened, MF_NEVER for never. */
mf_nsec mf_host_deadline(const struct mf_host *h);

/* True if the (after ip-input and route-lookup) packet belongs to a session that was there before the routes
 * changed, or may belong to one on another worker: it goes to the host stack whatever its route says now, and
 * its next_hop becomes that of a mapping that it belongs to. Cheap while mf_host_strays, the number of such
 * sessions on all workers, is 0. */
bool mf_host_has(struct mf_host *h, struct mf_pkt *p);
/* The same for any session: for a packet whose route was learned a moment ago, perhaps later than its session began. Not cheap. */
bool mf_host_began(struct mf_host *h, struct mf_pkt *p);
uint32_t mf_host_strays(const struct mf_host *h);
/* An outbound whose streams are TCP connections of our own through an L3VPN interface, and whose datagrams are
 * UDP from a port of ours: for what must be asked inside a VPN (DNS), for proxies that are reached in one, and
 * for apps' sessions that a name has settled there (those have an `app` in their struct mf_target and are not
 * shown and counted a second time). Belongs to the caller, who frees it after the last stream; one for each
 * interface and worker. Datagrams do not end by time; if they are closed by hand they FAIL. */
struct mf_vpn {
	struct mf_outbound out;
	struct mf_host *host;
	uint32_t hop;
	uint32_t mtu; /* of packets inside the VPN */
};
void mf_vpn_init(struct mf_vpn *v, struct mf_host *h, uint32_t hop, uint32_t mtu);
/* True if the packet, which came out of the VPN that its next_hop names (after ip-input, addresses translated),
 * is for one of these, or an ICMP error about what one has sent: then it goes to mf_host_tcp, _udp or _icmp
 * and not to the TUN, with MF_PKT_FROM_VPN set, which this does. Fragments are never claimed. */
bool mf_host_claims(const struct mf_host *h, struct mf_pkt *p);

/* The routes have changed: marks sessions whose route leads elsewhere now; with `close` ends them (TCP:
 * resets to both sides). */
void mf_host_routes_changed(struct mf_host *h, bool close);
/* Ends one, false: there is no such session; ends all. */
bool mf_host_close(struct mf_host *h, struct mf_flow_ref ref);
void mf_host_close_all(struct mf_host *h);

/* ---- Any thread ---------------------------------------------------------------------------------- */

/* Slots to look at: 0 .. this - 1. */
uint32_t mf_host_slots(const struct mf_host *h);
/* What is in a slot; false: empty. */
bool mf_host_facts(const struct mf_host *h, uint32_t slot, struct mf_session_facts *out);

/* X(name, "text"): written by the worker alone, mf_counter_read by others. */
#define MF_HOST_COUNTER_LIST(X)                                               \
	X(tcp_opened, "TCP sessions begun")                                   \
	X(tcp_established, "TCP sessions that both sides have accepted")      \
	X(tcp_refused, "TCP sessions that the far side refused")              \
	X(tcp_unreachable, "TCP sessions whose far side cannot be reached")   \
	X(tcp_timed_out, "TCP sessions whose far side did not answer")        \
	X(tcp_reset_app, "TCP sessions reset by the app")                     \
	X(tcp_reset_far, "TCP sessions reset by the far side")                \
	X(udp_opened, "UDP mappings begun")                                   \
	X(echo_opened, "echo sessions begun")                                 \
	X(idle_ended, "sessions ended by their time-out")                     \
	X(closed_by_hand, "sessions ended by command or by a reload")         \
	X(handed_over, "packets given to the worker that has their session")  \
	X(icmp_to_app, "ICMP errors passed on to apps")                       \
	X(icmp_from_app, "ICMP errors from apps that matched a session")      \
	X(reassembled, "datagrams put together from fragments")               \
	X(bytes_up, "payload bytes from apps")                                \
	X(bytes_down, "payload bytes to apps")                                \
	X(settled_tls, "TLS sessions that have shown a name")                 \
	X(settled_http, "HTTP sessions that have shown a name")               \
	X(settled_quic, "QUIC connections that have shown a name")            \
	X(settle_none, "sessions looked at that have shown none")             \
	X(settle_hidden, "sessions with an encrypted ClientHello")            \
	X(settle_timed_out, "sessions that have shown no name in time")       \
	X(settle_moved, "sessions carried elsewhere than their address says") \
	X(settle_blocked, "sessions dropped or rejected by their name")
struct mf_host_counters {
#define X(name, text) uint64_t name;
	MF_HOST_COUNTER_LIST(X)
#undef X
	uint64_t sessions; /* there are now */
};
const struct mf_host_counters *mf_host_counters(const struct mf_host *h);

/* What one hop carries now and has carried; hop ids beyond the last one share it. */
enum { MF_HOST_HOPS = 72 };
struct mf_hop_totals {
	uint64_t sessions, opened, bytes_up, bytes_down;
};
const struct mf_hop_totals *mf_host_hop(const struct mf_host *h, uint32_t hop);
const struct mf_tcp_counters *mf_host_tcp_counters(const struct mf_host *h);
/* Bytes that `max` sessions take; each worker has as much address space. */
size_t mf_host_bytes(uint32_t max);

#endif
