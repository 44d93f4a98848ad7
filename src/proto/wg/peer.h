/* SPDX-License-Identifier: Apache-2.0
 *
 * peer - the other end of a tunnel: who it is, where it is, its sessions, its timers.
 *
 * Three parts by who touches them: published by the control thread and read by workers; stamps, which
 * workers write and the control thread reads when it likes to; and what only the control thread knows.
 */
#ifndef MF_WG_PEER_H
#define MF_WG_PEER_H

#include "base/wheel.h"
#include "proto/wg/allowed.h"
#include "proto/wg/cookie.h"
#include "proto/wg/keypair.h"
#include "proto/wg/noise.h"
#include "proto/wg/wg.h"

/* One thread's, so that counting is a plain addition; summed up on read. */
struct mf_wg_counters {
	_Atomic uint64_t tx_bytes, rx_bytes, tx_packets, rx_packets;
} MF_ALIGNED(MF_CACHE_LINE);

/* Times are 0 for "not". Relaxed atomics: each is a hint of its own, see timers.c. */
struct mf_wg_stamps {
	_Atomic mf_nsec last_tx, last_rx; /* anything authenticated, to within STAMP_GRAIN */
	_Atomic mf_nsec last_data_rx;
	_Atomic mf_nsec unanswered_since; /* first data sent since we last received anything */
	_Atomic mf_nsec unreplied_since;  /* first data received since we last sent anything */
	_Atomic mf_nsec poke_after;       /* a worker may ask for a handshake from then on */
	_Atomic bool want;                /* a worker asks for a handshake */
	_Atomic bool watched;             /* a timer will look at the stamps within 10 s */
	_Atomic bool roam_posted;
	_Atomic bool confirm_posted;
};

/* Our initiation that waits for its response, and what is known of theirs. */
struct mf_wg_handshake {
	struct mf_wg_indexed indexed;
	struct mf_wg_indexed answer; /* only within one call: see keypair_for_response */
	struct mf_wg_noise_initiator state;
	bool valid;                          /* `state` and an entry in the index table */
	unsigned tries;                      /* 0: no handshake is going on */
	mf_nsec retry_at;                    /* while one is going on */
	mf_nsec last_sent;                   /* initiation or response; 0 = never */
	mf_nsec deferred;                    /* one is wanted but too early: start then; 0 = no */
	bool wanted;                         /* one is wanted but there is no endpoint */
	mf_nsec last_accepted;               /* the peer's initiation, for the flood guard */
	uint8_t theirs[MF_WG_TIMESTAMP_LEN]; /* greatest time stamp accepted from the peer */
	struct mf_wg_wall ours;              /* greatest time stamp sent to it */
};

struct mf_wg_peer {
	/* Published. */
	struct mf_wg_device *device;
	struct mf_wg_peer_ref ref;
	struct mf_wg_counters *counters; /* one for each slot */
	_Atomic(void *) user;
	_Atomic(struct mf_wg_keypair *) current;
	_Atomic(const struct mf_wg_path *) path;

	struct mf_wg_stamps stamps MF_ALIGNED(MF_CACHE_LINE);

	/* Control thread only. */
	struct mf_wg_noise_remote remote MF_ALIGNED(MF_CACHE_LINE);
	struct mf_wg_cookie_maker cookie;
	struct mf_wg_handshake handshake;
	struct mf_wg_keypair *next, *previous;
	struct mf_timer timer;
	mf_nsec zero_at;        /* wipe all keys then; MF_NEVER */
	mf_nsec keepalive;      /* persistent, 0 = off */
	mf_nsec keepalive_base; /* counts as activity: it was turned on, or the device came up */
	mf_nsec stale_jitter;   /* of the next handshake for want of answers */
	struct mf_wg_wall last_handshake;
	bool named;
	struct mf_wg_allowed_list allowed;
	struct mf_wg_peer *list_next, *list_prev; /* of the device, in the order they were added */
	struct mf_wg_peer *chain;                 /* of the device's table by public key */
};

/* Control thread. Makes a peer that is known to nobody yet. NULL: out of memory or of numbers. */
struct mf_wg_peer *mf_wg_peer_new(struct mf_wg_device *d, const struct mf_key *public_key,
				  mf_nsec now);
/* Gives the peer back when workers are done with it; it has been taken out of everything. `reusable`:
 * its number may be given to another peer. */
void mf_wg_peer_release(struct mf_wg_peer *p, bool reusable);

/* The device's private key has changed. */
void mf_wg_peer_rekeyed(struct mf_wg_peer *p);

/* Publishes a new path; `remote` with family 0 means none. False: out of memory, nothing changed. */
bool mf_wg_peer_set_path(struct mf_wg_peer *p, const struct mf_wg_path *path);
/* Takes over where an authenticated message came from. True: that is another endpoint than before. */
bool mf_wg_peer_came_from(struct mf_wg_peer *p, const struct mf_wg_path *from);
void mf_wg_peer_forget_source(struct mf_wg_peer *p);

/* A handshake succeeded: installs its keys. `k` has its index. */
void mf_wg_peer_install(struct mf_wg_peer *p, struct mf_wg_keypair *k);
/* If something was received on `next`: makes it current. True if so. */
bool mf_wg_peer_promote(struct mf_wg_peer *p);
/* Forgets our initiation that waits for its response. */
void mf_wg_peer_drop_handshake(struct mf_wg_peer *p);
/* Forgets all keys. True: there were some. */
bool mf_wg_peer_drop_keys(struct mf_wg_peer *p);

/* Is this where we send to already? A message that does not say where it arrived tells nothing about
 * our own address. */
static inline bool mf_wg_path_matches(const struct mf_wg_path *path, const struct mf_wg_path *from)
{
	return path && mf_endpoint_equal(&path->remote, &from->remote) &&
	       (from->local.family == MF_AF_NONE ||
		(mf_addr_equal(&path->local, &from->local) && path->local_if == from->local_if));
}

static inline struct mf_wg_keypair *mf_wg_peer_current(const struct mf_wg_peer *p)
{
	return atomic_load_explicit(&p->current, memory_order_acquire);
}

static inline mf_nsec mf_wg_stamp(const _Atomic mf_nsec *s)
{
	return atomic_load_explicit(s, memory_order_relaxed);
}

static inline void mf_wg_stamp_set(_Atomic mf_nsec *s, mf_nsec t)
{
	atomic_store_explicit(s, t, memory_order_relaxed);
}

/* Adds to a counter that only the calling thread writes. */
static inline void mf_wg_count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

#endif
