/* SPDX-License-Identifier: Apache-2.0
 *
 * internal - the engine's own view of itself, shared by the files of this folder. Control thread only.
 */
#ifndef MF_ENGINE_INTERNAL_H
#define MF_ENGINE_INTERNAL_H

#include "engine/engine.h"
#include "engine/reclaim.h"

enum { MF_NO_SLOT = 0xff };

/* A peer whose endpoint was given by name, to be resolved again when it does not answer. */
struct mf_named_peer {
	struct mf_key public_key;
	char *host;
	uint16_t port;
	struct mf_named_peer *next;
};

struct mf_iface {
	struct mf_wg_iface wg; /* first: mf_wg_device_user points here */
	char name[16];
	struct mf_wg_device *device;
	struct mf_engine *engine;
	uint32_t mtu;
	bool default_mtu; /* the profile gives none */
	uint32_t mark;    /* fwmark of the profile or of `wg set`; 0: the engine's */
	struct mf_addr inside4, inside6;
	struct mf_proxy_config *proxy; /* of a proxy, which has no device; NULL: it is none */
	uint64_t fingerprint;          /* of what the profile says of it */
	uint8_t slot;
	uint16_t wanted_port;
	struct mf_named_peer *named;
	struct mf_hop_totals before; /* of whoever had this hop before; no sessions */
	bool in_profile;             /* while a profile is applied: it names this interface */
};

/* A local UDP port; several interfaces may share one. */
struct mf_slot {
	void *handle;
	uint16_t port;
	uint32_t mark;
	uint32_t users;
	struct mf_closing *closing; /* made beforehand: closing must not fail */
};

/* An order that did not fit its worker's ring. */
struct mf_waiting_order {
	struct mf_order order;
	struct mf_waiting_order *next;
};

/* What a profile says about names, as the workers want it; made anew for each change (dns.c). */
struct mf_steering;
/* A domain set that somebody has read. */
struct mf_named_set {
	char *name;
	struct mf_domain_set *set;
	uint32_t refs;
};

struct mf_engine {
	struct mf_engine_host host;
	struct mf_engine_options options;
	struct mf_shared shared;
	struct mf_wg *wg;
	struct mf_ring *events;
	struct mf_worker *workers[MF_WORKERS_MAX];
	unsigned n_workers;
	struct mf_waiting_list {
		struct mf_waiting_order *first, *last;
	} waiting[MF_WORKERS_MAX];
	struct mf_reclaim reclaim;
	struct mf_snapshot *snap;
	struct mf_route_table *routes;
	struct mf_iface **ifaces; /* in the order of the profile */
	uint32_t n_ifaces;
	uint32_t n_hops; /* hop ids handed out so far */
	struct mf_slot slots[MF_UDP_SLOTS];
	struct mf_learned *learned;
	struct mf_steering *steering; /* in force; NULL: no profile yet */
	struct mf_steering *retired;  /* the resolver may still use them */
	struct mf_named_set **sets;   /* in force; room for those of `staged`, too */
	struct mf_named_set **staged; /* the next profile's; `set` NULL: it has none of this name */
	uint32_t n_sets, n_staged;
	struct mf_addr tunnel4, tunnel6;
	uint32_t staged_max;
	struct mf_host_config host_config; /* of each worker, but for what the snapshot knows better */
	uint32_t sessions_max;             /* of all workers together */
	uint64_t proxies_made;             /* settings of proxies, so far */
	struct mf_tls_context *authorities; /* the system's, which proxies share; NULL: not read yet */
	struct mf_owners *owners;           /* NULL: one worker only */
	struct mf_sources *sources;         /* the same */
	bool drop_sessions;                 /* whose route leads elsewhere after the next apply */
	uint32_t default_mtu;
	uint32_t tunnel_mtu; /* of the profile; 0: what the TUN has is default_mtu */
	struct mf_trace *traces[MF_WORKERS_MAX];
	bool tracing;
	uint64_t refused[MF_DROP_COUNT]; /* handshake messages, by reason */
	bool stopping;
	mf_nsec now;
};

/* slots.c: finds or opens the socket for an interface's port; gives it up, after the snapshot that no
 * longer names it has been published. */
MF_MUST_CHECK mf_err mf_slot_get(struct mf_engine *e, uint16_t port, uint32_t mark, uint8_t *slot,
				 struct mf_errbuf *eb);
void mf_slot_put(struct mf_engine *e, uint8_t slot);

/* snapshot.c: room for a snapshot of the interfaces there are, NULL: out of memory; fills it from them as
 * they are now and publishes it: the workers' threads go by it when this returns. */
struct mf_snapshot *mf_snapshot_new(const struct mf_engine *e);
void mf_publish(struct mf_engine *e, struct mf_snapshot *s, struct mf_route_table *routes);
/* apply.c: ends an interface that is on no list and in no published snapshot any more. */
void mf_iface_remove(struct mf_engine *e, struct mf_iface *f);

/* apply.c: the hop of what a route leads to; `hop_of`: by index of the interface in the profile. */
uint32_t mf_hop_for(enum mf_config_action action, uint32_t interface, const uint32_t *hop_of);

/* proxies.c: tells whether what a profile says of a proxy has changed; the proxy that it asks for (the caller's
 * reference); asks for the addresses of a proxy's server; hands them out (false: the tag is no proxy's). */
uint64_t mf_proxy_fingerprint(const struct mf_config *cfg, uint32_t index, const uint32_t *hop_of);
MF_MUST_CHECK mf_err mf_proxy_make(struct mf_engine *e, const struct mf_config *cfg, uint32_t index,
				   const uint32_t *hop_of, struct mf_proxy_config **out,
				   struct mf_errbuf *eb);
void mf_proxy_resolve(struct mf_engine *e, uint32_t hop);
bool mf_proxy_resolved_tag(struct mf_engine *e, uint64_t tag, const struct mf_endpoint *addr,
			   size_t n);

/* Folds bytes into a number; a text with its NUL, so that two do not run together. */
void mf_fold(uint64_t *sum, const void *p, size_t n);

/* sessions.c: a worker's host stack, with everything that it needs from the worker; how sessions are
 * configured (NULL: no profile yet); what becomes of those that run when `routes` are in force. */
MF_MUST_CHECK mf_err mf_sessions_init(struct mf_engine *e, struct mf_worker *w, uint32_t large,
				      mf_nsec now);
struct mf_host_config mf_sessions_config(const struct mf_engine *e, const struct mf_config *cfg);
void mf_sessions_judge(const struct mf_engine *e, const struct mf_route_table *routes,
		       struct mf_apply_report *r);
/* After the new routes have been published: ends those that mf_sessions_judge has counted as closed. */
void mf_sessions_drop_strays(struct mf_engine *e);
/* How many there may be; before everything else. Bytes for so many. */
void mf_sessions_size(struct mf_engine *e);
uint64_t mf_sessions_bytes(const struct mf_engine *e);

/* dns.c: the resolver and learned routes; what a profile says about names (`hop_of` maps an interface's index in it
 * to its hop), NULL: out of memory; what is in force put into a snapshot; an old one, which goes when nobody uses
 * it any more: after the snapshot without it has been published. */
MF_MUST_CHECK mf_err mf_dns_init(struct mf_engine *e, mf_nsec now);
void mf_dns_fini(struct mf_engine *e);
struct mf_steering *mf_steering_new(struct mf_engine *e, const struct mf_config *cfg,
				    const struct mf_route_table *routes, const uint32_t *hop_of);
void mf_steering_free(struct mf_steering *s);
void mf_steering_fill(const struct mf_engine *e, struct mf_snapshot *snap);
void mf_steering_retire(struct mf_engine *e, struct mf_steering *old);
/* What mf_engine_set_domains has brought is in force, or (false) will not be. */
void mf_steering_settle(struct mf_engine *e, bool in_force);
/* Frees what the resolver has let go of. */
void mf_steering_sweep(struct mf_engine *e);
/* engine.c: bytes that are set aside for connections to proxies. */
uint64_t mf_proxies_bytes(const struct mf_engine *e);
/* Bytes of cache and learned routes. */
uint64_t mf_dns_bytes(const struct mf_engine *e);

/* events.c: what the WireGuard core calls; the orders that a worker has not obeyed, one by one, when it
 * does not run any more. */
void mf_events_host(struct mf_engine *e, struct mf_wg_host *host);
/* Wakes a worker that sleeps, or is about to. */
void mf_events_wake(struct mf_engine *e, unsigned worker);
/* Orders that did not fit their worker's ring: false if some still wait. */
bool mf_events_push_waiting(struct mf_engine *e, unsigned worker);
bool mf_events_take_back(struct mf_engine *e, unsigned worker, struct mf_order *o);
/* The same: as struct mf_lpm_reclaim and struct mf_wg_host want it; ctx is the engine. */
void mf_engine_defer(void *ctx, void (*fn)(void *obj), void *obj);

#endif
