/* SPDX-License-Identifier: Apache-2.0
 *
 * internal - a worker's host stack as its own files see it. One file for each kind of session (tcp.c, udp.c,
 * echo.c), one for what comes in pieces (reass.c) or as an error (icmp.c), for names that decide (settle.h) and
 * for sessions of our own inside a VPN (vpn.h); what they share is in host.c (the pass), lookup.c (whose is a
 * packet, and may a session begin) and session.c (lists, timers, facts).
 */
#ifndef MF_HOST_INTERNAL_H
#define MF_HOST_INTERNAL_H

#include "base/count.h"
#include "base/wheel.h"
#include "flow/table.h"
#include "host/host.h"
#include "host/source.h"
#include "proto/tcp/conn.h"

struct mf_session;
struct mf_host;

/* What the kinds of sessions do differently. */
struct mf_session_ops {
	/* Something has happened (packets, readiness, a timer): do all that can be done now, up to a fair
	 * share. Returns true if there is more to do at once. May end the session. */
	bool (*turn)(struct mf_host *h, struct mf_session *s);
	/* Ends it: tells the far side, and the app if `tell_app`. mf_session_free follows. */
	void (*close)(struct mf_host *h, struct mf_session *s, bool tell_app);
};

struct mf_session {
	struct mf_flow flow; /* first */
	struct mf_session_public pub;
	/* What is before this outlives the session in its slot; the rest begins as zeros. */
	struct mf_session_facts facts; /* ours: pub gets a copy at the end of a turn */
	const struct mf_session_ops *ops;
	struct mf_host *host;
	struct mf_timer timer; /* in host->wheel; see mf_session_arm */
	mf_nsec wake_at;       /* when it wants a turn; the timer is never later */
	/* The one list that it is on: ready, short (of packets), or TIME-WAIT. */
	struct mf_session_list *list;
	struct mf_session *next, **prev;
	struct mf_source *source;                /* that it counts in; NULL in TIME-WAIT */
	uint64_t rate_bytes_up, rate_bytes_down; /* totals when facts.rate_* were taken */
	bool half_open;                          /* counts in its source's half_open */
	bool held;  /* its (first) destination's learned route knows of it */
	bool inner; /* of our own, for a session that is seen and counted itself */
	union {
		struct {
			struct mf_tcp conn;
			struct mf_stream stream;
			uint8_t far;                      /* enum mf_far */
			bool connected;                   /* the app's handshake is done */
			bool read_blocked, write_blocked; /* the outbound said "no more" */
			bool bulk;     /* reads bring so much that it is worth a large packet */
			bool shut;     /* stream_shutdown has been called */
			bool dead;     /* dropped by its name: what comes meets the same fate */
			uint8_t route; /* the hop that its address said, if `hop` is another */
			union {
				struct mf_stream *user; /* vpn_stream.c: whom it is for */
				mf_nsec settle_until; /* of an app: for how long a name is waited for */
			};
		} tcp;
		struct { /* UDP and echo: datagram.c */
			struct mf_dgram dgram;
			struct mf_endpoint remote[4]; /* the last ones; family 0: none */
			struct mf_addr first;         /* the first of all */
			uint32_t mtu;                 /* of the way to the app, 0: as the TUN's */
		} datagram;
		struct { /* vpn_dgram.c: datagrams of our own */
			struct mf_dgram *user;
			struct mf_pkt *first, **last; /* received, and not asked for yet */
			uint32_t n;
			uint32_t mtu; /* of packets inside the VPN */
			uint32_t n_errors;
			struct mf_dgram_error error[4]; /* what does not fit is forgotten */
		} own;
	};
};

/* First in, first out; a session leaves from anywhere. */
struct mf_session_list {
	struct mf_session *first, **last;
	uint32_t n;
};

struct mf_reass;
struct mf_quic_flows;

struct mf_host {
	unsigned worker;
	struct mf_host_config cfg;
	struct mf_host_port port;
	struct mf_pkt_pool *pool;
	struct mf_owners *owners;
	struct mf_flow_table *table;
	struct mf_wheel wheel;
	mf_nsec now;
	struct mf_tcp_env tcp;
	struct mf_session_list ready;
	struct mf_session_list starved;   /* something to read and no packet to read it into */
	struct mf_session_list time_wait; /* oldest first: they go when room is short */
	struct mf_timer starved_timer, reass_timer;
	uint32_t strays;                 /* of this worker; `owners` counts those of all */
	uint32_t n_own;                  /* sessions of our own, through VPNs */
	uint32_t mappings[MF_HOST_HOPS]; /* sessions by the hop in their key, but for 0 */
	struct mf_sources *sources;
	bool own_sources;
	struct mf_reass *reass;
	uint32_t n_settle_ports; /* of cfg's, 0: nothing is settled */
	struct mf_quic_flows *quic;
	mf_nsec icmp_full_at; /* token bucket of ICMP errors to apps */
	struct mf_host_counters count;
	struct mf_hop_totals hop[MF_HOST_HOPS];
};

/* ---- lookup.c ---------------------------------------------------------------------------------- */

/* The key of a packet's session: for UDP and echo of this side's end, and of the interface that next_hop
 * names. false: the L4 header is not whole, or the packet is of no kind that has sessions. */
bool mf_host_key(const struct mf_pkt *p, struct mf_flow_key *k);
/* The session of a packet, or a new one of this kind; NULL: the packet has been dropped, refused or handed
 * to another worker. `*fresh` tells. A new one is in the table, has its source counted, facts filled in
 * (app, dst, hop, started, kind, state) and nothing else. */
struct mf_session *mf_host_session(struct mf_host *h, struct mf_pkt *p, bool may_open,
				   const struct mf_session_ops *ops, bool *fresh);
/* A session that we begin ourselves: in the table, its ends and kind not filled in; counted, unless it is an
 * inner one. NULL: the key is in use, here or on another worker, or the table is full. */
struct mf_session *mf_host_own_session(struct mf_host *h, const struct mf_flow_key *k, uint32_t hop,
				       const struct mf_session_ops *ops, bool inner);
/* Is there a session with this key, here or perhaps on another worker? */
bool mf_host_knows(const struct mf_host *h, const struct mf_flow_key *k);
/* Drops p, with a reset before if it is TCP and may have one. */
void mf_host_refuse(struct mf_host *h, struct mf_pkt *p, enum mf_drop reason);
/* The whole packet if p is no fragment or the last one missing, else NULL. */
struct mf_pkt *mf_host_whole(struct mf_host *h, struct mf_pkt *p);
/* A packet that is of another protocol than was to be expected before it was whole. */
void mf_host_other(struct mf_host *h, struct mf_pkt *p);
/* The session that sent what an ICMP error from an app's side quotes, to it from the remote; p is to have its
 * key in *k. NULL: there is none here. */
struct mf_session *mf_host_find_quoted(const struct mf_host *h, const struct mf_flow_key *k,
				       const struct mf_endpoint *remote);
/* Gives p to the worker that has the session with this key; false: that is nobody, or we. All mappings of one
 * port are on one worker, whatever interfaces carry them: what each has settled is known where it matters. */
bool mf_host_hand_over(struct mf_host *h, struct mf_pkt *p, const struct mf_flow_key *k);
/* Claims the port in k for this worker; false: another one has it, and p has been given to that. */
bool mf_host_own(struct mf_host *h, struct mf_pkt *p, const struct mf_flow_key *k);
/* Its session is gone: unless this worker has another mapping of that port, or something that waits to become one, others may claim
 * it. */
void mf_host_disown(struct mf_host *h, const struct mf_flow_key *k);

/* ---- session.c --------------------------------------------------------------------------------- */

/* Out of the table and of every list; what its kind holds must be gone. */
void mf_session_free(struct mf_host *h, struct mf_session *s);
/* mf_session_ops.close and then mf_session_free. */
void mf_session_end(struct mf_host *h, struct mf_session *s, bool tell_app);
/* Puts it on the ready list: it gets a turn in the next mf_host_run. */
void mf_session_ready(struct mf_session *s);
/* It has something to read and no packet to read it into: it gets a turn when there are some again. */
void mf_session_starve(struct mf_session *s);
/* Both sides have closed: it no longer counts in its source, and goes when room is short. */
void mf_session_wait(struct mf_session *s);
/* It gets a turn at `at` or before (the earliest that was asked for since its last turn); MF_NEVER:
 * nothing to wait for but the idle time-out, which this respects by itself. */
void mf_session_arm(struct mf_session *s, mf_nsec at);
/* Traffic: counts, and moves the idle time-out. Payload bytes and wire packets. */
void mf_session_up(struct mf_session *s, size_t bytes, uint32_t packets);
void mf_session_down(struct mf_session *s, size_t bytes, uint32_t packets);
/* True once a second while there is traffic: time to look at what is dear to find out. */
bool mf_session_due(const struct mf_session *s);
/* At the end of a turn: what other threads see. */
void mf_session_publish(struct mf_session *s);
/* Whether it goes on where its route no longer leads; counts such sessions. */
void mf_session_set_stray(struct mf_host *h, struct mf_session *s, bool stray);
/* Another hop carries it from now on. */
void mf_session_move(struct mf_host *h, struct mf_session *s, uint32_t hop);
/* The session is established: no longer half open. */
void mf_session_opened(struct mf_session *s);
/* The idle time-out of its kind, from the configuration. */
mf_nsec mf_session_timeout(const struct mf_host *h, const struct mf_session *s);

void mf_session_list_init(struct mf_session_list *l);
void mf_session_list_remove(struct mf_session *s);
/* Once in a pass: if there are packets again, those that wait for some become ready, before the others. */
void mf_session_feed(struct mf_host *h);

/* ---- host.c ------------------------------------------------------------------------------------ */

/* How a packet that came in ends: one of these, once. mf_host_taken: its memory stays ours. */
void mf_host_drop(struct mf_host *h, struct mf_pkt *p, enum mf_drop reason);
void mf_host_consume(struct mf_host *h, struct mf_pkt *p);
void mf_host_taken(struct mf_host *h, uint32_t segments, uint32_t trace);
/* A packet of ours, or one that came in and is turned round, to the app. */
void mf_host_emit(struct mf_host *h, struct mf_pkt *p);
/* So many wire packets for an app that never were. */
void mf_host_lost(struct mf_host *h, uint32_t n, enum mf_drop reason);
/* How many packets a session may take now: the last eighth of the pool is for what comes in. */
uint32_t mf_host_spare_small(const struct mf_host *h);
uint32_t mf_host_spare_large(const struct mf_host *h);
struct mf_hop_totals *mf_host_hop_of(struct mf_host *h, uint32_t hop);

/* ---- tcp_data.c -------------------------------------------------------------------------------- */

/* The far half of a TCP session. */
enum mf_far {
	MF_FAR_NONE,     /* not begun, or closed */
	MF_FAR_SETTLING, /* it is not known yet where it is; the app has been answered */
	MF_FAR_OPENING,
	MF_FAR_OPEN,
	MF_FAR_EOF, /* it has ended what it sends; we may still write */
};
/* Writes to the far side what the app has sent, up to a fair share. True: there is more, and it would be
 * taken. */
bool mf_session_tcp_push(struct mf_host *h, struct mf_session *s);
/* Reads for the app what it has room for, up to a fair share. True: there is more. May put the session on
 * the list of those that wait for packets, may set `far` to EOF, or FAILED in stream.ready. */
bool mf_session_tcp_pull(struct mf_host *h, struct mf_session *s);

/* ---- tcp.c (UDP and echo: datagram.h) ------------------------------------------------------------ */

extern const struct mf_session_ops mf_session_tcp;

/* Is it over, and p a SYN with which the app may begin anew under the same name? */
bool mf_session_tcp_gives_way(const struct mf_session *s, const struct mf_pkt *p);

/* An ICMP error from the app's side (or a router there) about a packet that we sent it: `quoted`, as
 * mf_ip_quoted has read it. */
void mf_session_tcp_icmp(struct mf_host *h, struct mf_session *s, const struct mf_pkt *error,
			 const struct mf_pkt *quoted);

/* ---- vpn.c, vpn_dgram.c --------------------------------------------------------------------------- */

/* A segment of a connection of our own: into its VPN. */
void mf_session_vpn_emit(struct mf_session *s, struct mf_pkt *p);
/* A checked UDP packet that came out of a VPN for a port of ours. */
void mf_vpn_dgram_input(struct mf_host *h, struct mf_pkt *p);
/* An ICMP error about a datagram of ours: `quoted`, as mf_ip_quoted has read it. */
void mf_vpn_dgram_icmp(struct mf_session *s, const struct mf_pkt *error, const struct mf_pkt *quoted);

/* ---- icmp.c -------------------------------------------------------------------------------------- */

/* The key of the session that has sent the packet q that an ICMP error in p quotes. false: none can have. */
bool mf_host_quoted_key(const struct mf_pkt *p, const struct mf_pkt *q, struct mf_flow_key *k);

/* To the app: an ICMP error about a packet that it has sent. `quote` is the start of that packet as the app
 * sent it: IP header and at least 8 bytes; `offender` as source, family 0: the packet's destination. Limited
 * to 1000 a second. */
void mf_host_icmp_error(struct mf_host *h, const uint8_t *quote, size_t len,
			const struct mf_addr *offender, uint8_t type, uint8_t code, uint32_t mtu);

/* The same about a packet of this session, which is made anew from what is known of it: from the app to `dst`,
 * n bytes from its L4 header on (8 to 20; the first 8 are quoted). */
void mf_host_icmp_about(struct mf_host *h, const struct mf_session *s, const struct mf_addr *dst,
			const void *l4, size_t n, const struct mf_addr *offender, uint8_t type,
			uint8_t code, uint32_t mtu);

/* ---- reass.c ------------------------------------------------------------------------------------- */

/* Bounded reassembly (RFC 791, RFC 8200 4.5, RFC 5722: overlap drops all; RFC 1858, RFC 3128): takes a
 * fragment; returns the whole packet when it was the last one missing (after mf_ip_input), else NULL.
 * `absorb` is called for each fragment that has done its duty but the last, whose end is that of the whole
 * packet, so that what came in and what has ended stay equal; it owns the fragment. */
struct mf_reass *mf_reass_new(struct mf_pkt_pool *pool, uint32_t max_datagrams, uint64_t max_bytes);
void mf_reass_free(struct mf_reass *r);
struct mf_pkt *mf_reass_add(struct mf_reass *r, struct mf_pkt *p, mf_nsec now,
			    void (*drop)(void *ctx, struct mf_pkt *p, enum mf_drop reason),
			    void *ctx, void (*absorb)(void *ctx, struct mf_pkt *p));
/* Drops what has waited for more than 30 s; returns the next deadline or MF_NEVER. */
mf_nsec mf_reass_expire(struct mf_reass *r, mf_nsec now,
			void (*drop)(void *ctx, struct mf_pkt *p, enum mf_drop reason), void *ctx);
/* How many fragments it holds. */
uint32_t mf_reass_held(const struct mf_reass *r);

#endif
