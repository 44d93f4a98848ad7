/* SPDX-License-Identifier: Apache-2.0
 *
 * wg - the WireGuard protocol without I/O: what the engine uses.
 *
 * One *control thread* owns devices, peers, handshakes and timers. Any number of *workers* seal and
 * open data packets; they call only the functions under "Workers", which neither allocate nor wait.
 * A worker never starts a handshake or arms a timer: it leaves stamps in the peer and is told, rarely,
 * to post an event to the control thread (MF_WG_POST_*). In the steady state nothing is posted, and
 * an idle peer without persistent keepalive arms no timer at all.
 *
 * What workers may still see is freed through host->defer, after every worker has passed a quiet
 * point. So a peer, keypair or path found by a worker stays valid until its next quiet point.
 *
 * Rule of the house: authenticate, then act. Nothing moves before a tag has been verified.
 */
#ifndef MF_WG_H
#define MF_WG_H

#include "base/addr.h"
#include "base/drop.h"
#include "base/key.h"

struct mf_wg;         /* an instance: devices, their peers, one table of receiver indices */
struct mf_wg_device;  /* a WireGuard interface */
struct mf_wg_peer;    /* belongs to one device */
struct mf_wg_keypair; /* a session's two keys: proto/wg/keypair.h */

enum { MF_WG_MAX_PEERS = 65536, MF_WG_MAX_DEVICES = 1024 };

/* TOS byte of handshake messages: DSCP AF41, not ECN-capable, as the kernel sends them. */
enum { MF_WG_HANDSHAKE_TOS = 0x88 };

/* Where to send to, and from which of our addresses. Immutable once a peer points to it. */
struct mf_wg_path {
	struct mf_endpoint remote;
	struct mf_addr local; /* sticky source; family 0: the system chooses */
	uint32_t local_if;    /* and its interface index; 0: any */
};

/* A reference that may be kept for any time, e.g. in an event: the generation tells reuse apart. */
struct mf_wg_peer_ref {
	uint32_t index, generation;
};

/* ---- What the host provides; all of it is called on the control thread --------------------- */

enum mf_wg_event {
	MF_WG_EVENT_HANDSHAKE_SENT, /* an initiation went out (also retries) */
	MF_WG_EVENT_SESSION_UP,     /* keys agreed and confirmed: data may be sent */
	MF_WG_EVENT_GAVE_UP,        /* 90 s of initiations without an answer */
	MF_WG_EVENT_KEYS_ZEROED,    /* 540 s without a new session */
	MF_WG_EVENT_ROAMED,         /* the endpoint changed to an authenticated source */
};

/* A time of day for TAI64N stamps and "latest handshake". */
struct mf_wg_wall {
	uint64_t sec; /* since 1970, UTC */
	uint32_t nsec;
};

struct mf_wg_host {
	void *ctx; /* first argument of every callback */
	struct mf_rng rng;
	struct mf_wg_wall (*wall_clock)(void *ctx);
	/* Sends one datagram from the device's socket: handshake messages, cookie replies (then
	 * `peer` is NULL), keepalives. The bytes are only valid during the call. It may fail silently. */
	void (*send)(void *ctx, struct mf_wg_device *d, struct mf_wg_peer *peer,
		     const struct mf_wg_path *to, const uint8_t *bytes, size_t n, uint8_t tos);
	/* The peer can send now: seal and send what is staged for it. True if at least one packet
	 * will be sent because of this call; else the core sends a keepalive where one is needed. */
	bool (*session_up)(void *ctx, struct mf_wg_peer *peer);
	/* Drop what is staged for the peer (MF_DROP_WG_HANDSHAKE_GAVE_UP): gave up, device down, peer gone. */
	void (*staged_drop)(void *ctx, struct mf_wg_peer *peer);
	/* The peer's endpoint was given by name and does not answer: resolve the name again and set
	 * the result with mf_wg_peer_set. May be NULL. */
	void (*resolve)(void *ctx, struct mf_wg_peer *peer);
	/* Call fn(obj), on the control thread, once every worker has passed a quiet point. Tests call it
	 * at once; and so must the host from the moment it calls mf_wg_free. */
	void (*defer)(void *ctx, void (*fn)(void *obj), void *obj);
	/* The peer is gone for workers too: free what mf_wg_peer_set_user gave. May be NULL. */
	void (*peer_freed)(void *ctx, void *user);
	/* For logs and tests. May be NULL. */
	void (*event)(void *ctx, struct mf_wg_peer *peer, enum mf_wg_event e);
};

/* ---- Instance and devices (control thread) -------------------------------------------------- */

/* `slots` = number of threads that count packets: workers use 1..slots-1, the control thread is
 * slot 0. The host is copied. NULL: out of memory. */
struct mf_wg *mf_wg_new(const struct mf_wg_host *host, unsigned slots, mf_nsec now);
/* Workers must have stopped and every deferred call must have been made. Removes every device. */
void mf_wg_free(struct mf_wg *wg);

/* A new device is down, has no key (it answers nothing) and port 0. NULL: out of memory. */
struct mf_wg_device *mf_wg_device_add(struct mf_wg *wg, void *user);
void mf_wg_device_remove(struct mf_wg_device *d, mf_nsec now);
struct mf_wg_device *mf_wg_device_next(struct mf_wg *wg,
				       const struct mf_wg_device *prev); /* NULL starts */
void *mf_wg_device_user(const struct mf_wg_device *d);

/* A zero key clears it. The same key again changes nothing; another one ends every session and
 * removes a peer whose public key is now our own. Private keys are clamped as they are used. */
void mf_wg_device_set_private_key(struct mf_wg_device *d, const struct mf_key *key, mf_nsec now);
/* The port that the host has bound; several devices may share one (mac1 tells them apart). */
void mf_wg_device_set_listen_port(struct mf_wg_device *d, uint16_t port);
void mf_wg_device_set_fwmark(struct mf_wg_device *d, uint32_t fwmark); /* only kept for the host */
/* Down ends every session and drops what is staged. Up sends keepalives where they are persistent. */
void mf_wg_device_set_up(struct mf_wg_device *d, bool up, mf_nsec now);

bool mf_wg_device_up(const struct mf_wg_device *d); /* any thread */
uint16_t mf_wg_device_listen_port(const struct mf_wg_device *d);
uint32_t mf_wg_device_fwmark(const struct mf_wg_device *d);
/* False: no key set. */
bool mf_wg_device_keys(const struct mf_wg_device *d, struct mf_key *private_key,
		       struct mf_key *public_key);
uint32_t mf_wg_device_peer_count(const struct mf_wg_device *d);

/* ---- Peers (control thread) ------------------------------------------------------------------ */

enum mf_wg_peer_field {
	MF_WG_SET_PSK = 1 << 0,
	MF_WG_SET_ENDPOINT = 1 << 1, /* family 0 clears it */
	MF_WG_SET_KEEPALIVE = 1 << 2,
	MF_WG_SET_NAMED = 1 << 3, /* `named` says whether host->resolve may be asked */
	MF_WG_REPLACE_ALLOWED = 1 << 4,
	MF_WG_UPDATE_ONLY = 1 << 5, /* an unknown peer is not made: MF_E_NOT_FOUND */
};

struct mf_wg_allowed {
	struct mf_prefix prefix; /* host bits are ignored */
	bool remove;             /* take it from this peer, if it is this peer's */
};

/* What to change; fields without their bit in `set` stay as they are. */
struct mf_wg_peer_config {
	struct mf_key public_key;
	unsigned set; /* enum mf_wg_peer_field */
	struct mf_key psk;
	struct mf_endpoint endpoint;
	uint16_t keepalive; /* seconds; 0 = off */
	bool named;
	const struct mf_wg_allowed *allowed; /* applied in order; an exact prefix moves from its old peer */
	size_t n_allowed;
};

/* Makes or changes a peer in place; sessions survive. Everything is checked first, so an error means
 * nothing has changed, except MF_E_NO_MEMORY while allowed IPs are added. `out` may be NULL.
 * Errors: MF_E_CONFLICT (our own public key: callers that follow `wg` ignore it), MF_E_NOT_FOUND,
 * MF_E_RANGE (prefix, family), MF_E_FULL, MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_wg_peer_set(struct mf_wg_device *d, const struct mf_wg_peer_config *c,
				    mf_nsec now, struct mf_wg_peer **out);
/* Only the checks of mf_wg_peer_set, for callers that check a whole set of changes before the first. */
MF_MUST_CHECK mf_err mf_wg_peer_check(const struct mf_wg_device *d,
				      const struct mf_wg_peer_config *c);
void mf_wg_peer_remove(struct mf_wg_peer *p, mf_nsec now);
struct mf_wg_peer *mf_wg_peer_find(const struct mf_wg_device *d, const struct mf_key *public_key);
struct mf_wg_peer *mf_wg_peer_next(const struct mf_wg_device *d, const struct mf_wg_peer *prev);
void mf_wg_peer_set_user(struct mf_wg_peer *p, void *user);

struct mf_wg_peer_info {
	struct mf_key public_key, psk;
	struct mf_endpoint endpoint; /* family 0: none */
	uint16_t keepalive;
	bool named;
	bool session;                     /* keys are in place and not expired */
	bool handshaking;                 /* an initiation of ours waits for its answer */
	struct mf_wg_wall last_handshake; /* 0: never */
	uint64_t tx_bytes, rx_bytes;      /* of UDP payload, handshakes included */
	uint64_t tx_packets, rx_packets;  /* datagrams */
	mf_nsec session_age;              /* 0 without session */
	size_t n_allowed;
};
void mf_wg_peer_info(const struct mf_wg_peer *p, mf_nsec now, struct mf_wg_peer_info *info);
/* Copies up to `max` of the peer's allowed IPs, in the order they were added; returns how many it has. */
size_t mf_wg_peer_allowed(const struct mf_wg_peer *p, struct mf_prefix *out, size_t max);

/* ---- Control thread: messages, events, time --------------------------------------------------- */

struct mf_wg_handshake_in {
	uint16_t local_port;    /* where it arrived */
	struct mf_wg_path from; /* remote = its source; local = the address it was sent to */
	const uint8_t *bytes;   /* the whole datagram, message type 1, 2 or 3 */
	size_t n;
	uint32_t queue_len; /* handshake messages still waiting in the host's queue: 128 means load */
};
/* MF_DROP_NONE: acted upon. Else why not (MF_DROP_WG_*); the caller counts. */
enum mf_drop mf_wg_handshake_input(struct mf_wg *wg, mf_nsec now,
				   const struct mf_wg_handshake_in *in);

/* MF_WG_POST_POKE and MF_WG_POST_ROAM arrive here. References to peers that are gone are ignored. */
void mf_wg_poke(struct mf_wg *wg, struct mf_wg_peer_ref ref, mf_nsec now);
void mf_wg_roam(struct mf_wg *wg, struct mf_wg_peer_ref ref, const struct mf_wg_path *from);

/* Runs the timers that are due. */
void mf_wg_tick(struct mf_wg *wg, mf_nsec now);
/* When mf_wg_tick next has something to do, or MF_NEVER. */
mf_nsec mf_wg_deadline(const struct mf_wg *wg);

/* The machine's network changed: forgets sticky source addresses, asks to resolve names again, and
 * starts handshakes at once for peers with a session or a persistent keepalive. */
void mf_wg_network_changed(struct mf_wg *wg, mf_nsec now);

/* ---- Workers (any thread) ---------------------------------------------------------------------- */

/* Flags: which events to post to the control thread. If the post fails, call mf_wg_post_failed. */
enum mf_wg_post {
	MF_WG_POST_POKE = 1 << 0, /* mf_wg_poke(ref) */
	MF_WG_POST_ROAM = 1 << 1, /* mf_wg_roam(ref, from), with the `from` given to mf_wg_received */
};
void mf_wg_post_failed(struct mf_wg_peer *p, unsigned post);

void *mf_wg_peer_user(const struct mf_wg_peer *p);
struct mf_wg_device *mf_wg_peer_device(const struct mf_wg_peer *p);
struct mf_wg_peer_ref mf_wg_peer_ref(const struct mf_wg_peer *p);
/* NULL: gone. */
struct mf_wg_peer *mf_wg_peer_by_ref(const struct mf_wg *wg, struct mf_wg_peer_ref ref);
/* NULL: no endpoint known. */
const struct mf_wg_path *mf_wg_peer_path(const struct mf_wg_peer *p);

/* Cryptokey routing: the peer whose allowed IPs hold the longest match for the address, or NULL. */
struct mf_wg_peer *mf_wg_route(const struct mf_wg_device *d, const uint8_t *addr,
			       enum mf_family family);
/* The same question for a decrypted packet's source: only its own peer may use it. */
bool mf_wg_source_ok(const struct mf_wg_peer *p, const uint8_t *addr, enum mf_family family);

/* Sending: claim n nonces, seal n packets with keypair->send, counters first..first+n-1, send them
 * to mf_wg_peer_path, then report with mf_wg_sent. */
enum mf_wg_claim {
	MF_WG_CLAIM_OK,
	MF_WG_CLAIM_NO_SESSION, /* stage the packets; session_up will ask for them. After staging look
	                           at mf_wg_has_session once more: it may have come up in between */
	MF_WG_CLAIM_NO_NONCES, /* as NO_SESSION: this session has sent all it may */
};
struct mf_wg_claimed {
	struct mf_wg_keypair *keypair;
	uint64_t first;
};
/* `n` <= 32768. `*post` is set to what has to be posted, also when the claim fails. */
enum mf_wg_claim mf_wg_claim(struct mf_wg_peer *p, mf_nsec now, uint32_t n,
			     struct mf_wg_claimed *out, unsigned *post);
bool mf_wg_has_session(const struct mf_wg_peer *p, mf_nsec now);

/* Receiving a data message: find the keypair by its receiver index, check (cheap, trusts nothing),
 * open with keypair->recv, then accept the counter (once per packet), then report with mf_wg_received. */
struct mf_wg_keypair *mf_wg_find(const struct mf_wg *wg, uint32_t receiver_index);
/* MF_DROP_NONE, MF_DROP_WG_EXPIRED, MF_DROP_WG_COUNTER */
enum mf_drop mf_wg_receive_check(const struct mf_wg_keypair *k, mf_nsec now, uint64_t counter);
/* After the tag was verified. False: MF_DROP_WG_REPLAY. Any thread. */
bool mf_wg_replay_accept(struct mf_wg_keypair *k, uint64_t counter);
/* The same for many counters under one lock; ok[i] tells. Returns how many were accepted. */
uint32_t mf_wg_replay_accept_n(struct mf_wg_keypair *k, const uint64_t *counter, uint32_t n,
			       bool *ok);

struct mf_wg_tally {
	uint32_t n_data, n_keepalive; /* packets */
	uint64_t bytes;               /* of all of them, UDP payload */
};
/* Reports after sending and after accepting; `slot` is the calling thread's own. Return what to post.
 * `from` is the source of the last accepted packet. */
unsigned mf_wg_sent(struct mf_wg_peer *p, unsigned slot, mf_nsec now, const struct mf_wg_tally *t);
unsigned mf_wg_received(struct mf_wg_keypair *k, unsigned slot, mf_nsec now,
			const struct mf_wg_tally *t, const struct mf_wg_path *from);

#endif
