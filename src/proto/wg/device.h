/* SPDX-License-Identifier: Apache-2.0
 *
 * device - the instance and its WireGuard interfaces, as the core's own files see them.
 */
#ifndef MF_WG_DEVICE_H
#define MF_WG_DEVICE_H

#include "proto/wg/peer.h"
#include "proto/wg/ratelimit.h"

/* Handshake messages with a good mac1, counted over half a second. */
struct mf_wg_load {
	mf_nsec window_start, until; /* under load before `until` */
	uint32_t n;
};

struct mf_wg_device {
	struct mf_wg *wg;
	void *user;
	struct mf_wg_device *next; /* in the order they were added */
	struct mf_wg_allowed_table allowed;
	_Atomic bool up;
	uint16_t port;
	uint32_t fwmark;
	struct mf_wg_noise_self *self; /* guarded memory */
	bool has_key;
	struct mf_wg_cookie_checker cookie;
	struct mf_wg_load load;
	struct mf_wg_peer *first, *last;
	struct mf_wg_peer **bucket; /* by public key */
	uint32_t n_peers, buckets;
};

enum { MF_WG_PEERS_PER_CHUNK = 1024, MF_WG_PEER_CHUNKS = MF_WG_MAX_PEERS / MF_WG_PEERS_PER_CHUNK };

/* Peers by number, for workers: chunks never move. */
struct mf_wg_peer_chunk {
	_Atomic(struct mf_wg_peer *) at[MF_WG_PEERS_PER_CHUNK];
};

struct mf_wg {
	struct mf_wg_host host;
	unsigned slots;
	mf_nsec now; /* the greatest time seen: time does not run backwards here */
	struct mf_wg_index_table index;
	_Atomic(struct mf_wg_peer_chunk *) chunk[MF_WG_PEER_CHUNKS];
	uint32_t numbers; /* peer numbers given out so far */
	uint32_t *spare;  /* those free again; room for all of `numbers` */
	uint32_t n_spare, generation;
	struct mf_wheel wheel;
	struct mf_wg_noise noise;
	struct mf_wg_device *first;
	uint32_t n_devices;
	struct mf_wg_ratelimit ratelimit;
};

/* Every entry into the core goes through this. */
static inline mf_nsec mf_wg_clock(struct mf_wg *wg, mf_nsec now)
{
	if (now > wg->now)
		wg->now = now;
	return wg->now;
}

static inline void mf_wg_tell(struct mf_wg_peer *p, enum mf_wg_event e)
{
	const struct mf_wg_host *h = &p->device->wg->host;

	if (h->event)
		h->event(h->ctx, p, e);
}

/* Is it up, with a key? */
static inline bool mf_wg_device_running(const struct mf_wg_device *d)
{
	return d->has_key && atomic_load_explicit(&d->up, memory_order_relaxed);
}

#endif
