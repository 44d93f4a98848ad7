/* SPDX-License-Identifier: Apache-2.0
 *
 * peer - see peer.h.
 */
#include "proto/wg/peer.h"

#include "proto/wg/device.h"
#include "proto/wg/timers.h"

#include <stdlib.h>

/* A number for a new peer, with a place in the table for workers. False: there is none left. */
static bool take_number(struct mf_wg *wg, uint32_t *number)
{
	uint32_t chunk = wg->numbers / MF_WG_PEERS_PER_CHUNK, *spare;
	struct mf_wg_peer_chunk *c;

	if (wg->n_spare) {
		*number = wg->spare[--wg->n_spare];
		return true;
	}
	if (wg->numbers == MF_WG_MAX_PEERS)
		return false;
	if (wg->numbers % MF_WG_PEERS_PER_CHUNK == 0) {
		spare = realloc(wg->spare, (chunk + 1) * MF_WG_PEERS_PER_CHUNK * sizeof(*spare));
		if (!spare)
			return false;
		wg->spare = spare;
		c = calloc(1, sizeof(*c));
		if (!c)
			return false;
		atomic_store_explicit(&wg->chunk[chunk], c, memory_order_release);
	}
	*number = wg->numbers++;
	return true;
}

static void publish(struct mf_wg *wg, uint32_t number, struct mf_wg_peer *p)
{
	struct mf_wg_peer_chunk *c = atomic_load_explicit(&wg->chunk[number / MF_WG_PEERS_PER_CHUNK],
							  memory_order_relaxed);

	atomic_store_explicit(&c->at[number % MF_WG_PEERS_PER_CHUNK], p, memory_order_release);
}

struct mf_wg_peer *mf_wg_peer_new(struct mf_wg_device *d, const struct mf_key *public_key, mf_nsec now)
{
	struct mf_wg_peer *p = aligned_alloc(MF_CACHE_LINE, sizeof(*p));
	struct mf_wg *wg = d->wg;
	size_t n = wg->slots * sizeof(struct mf_wg_counters);

	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->counters = aligned_alloc(MF_CACHE_LINE, n);
	if (!p->counters || !take_number(wg, &p->ref.index)) {
		free(p->counters);
		free(p);
		return NULL;
	}
	memset(p->counters, 0, n);
	p->ref.generation = ++wg->generation;
	p->device = d;
	p->zero_at = MF_NEVER;
	p->keepalive_base = now;
	p->timer.fire = mf_wg_timers_fire;
	p->handshake.indexed.kind = MF_WG_INDEXED_HANDSHAKE;
	p->stale_jitter = mf_rng_u32(&wg->host.rng) % (MF_WG_JITTER_MSEC + 1) * MF_MSEC;
	p->remote.public_key = *public_key;
	mf_wg_peer_rekeyed(p);
	publish(wg, p->ref.index, p);
	return p;
}

void mf_wg_peer_rekeyed(struct mf_wg_peer *p)
{
	struct mf_wg_device *d = p->device;

	p->remote.usable = false;
	if (d->has_key)
		mf_wg_noise_remote_set(&p->remote, d->self);
	mf_wg_cookie_maker_init(&p->cookie, d->wg->noise.hasher, &p->remote.public_key);
}

static void free_peer(void *obj)
{
	struct mf_wg_peer *p = obj;
	const struct mf_wg_host *h = &p->device->wg->host;
	void *user = atomic_load_explicit(&p->user, memory_order_relaxed);

	if (h->peer_freed && user)
		h->peer_freed(h->ctx, user);
	free((void *)(uintptr_t)atomic_load_explicit(&p->path, memory_order_relaxed));
	free(p->counters);
	mf_wipe(p, sizeof(*p));
	free(p);
}

static void free_peer_and_number(void *obj)
{
	struct mf_wg_peer *p = obj;
	struct mf_wg *wg = p->device->wg;

	wg->spare[wg->n_spare++] = p->ref.index;
	free_peer(p);
}

void mf_wg_peer_release(struct mf_wg_peer *p, bool reusable)
{
	struct mf_wg *wg = p->device->wg;

	publish(wg, p->ref.index, NULL);
	wg->host.defer(wg->host.ctx, reusable ? free_peer_and_number : free_peer, p);
}

/* ---- where it is ---- */

bool mf_wg_peer_set_path(struct mf_wg_peer *p, const struct mf_wg_path *path)
{
	const struct mf_wg_host *h = &p->device->wg->host;
	struct mf_wg_path *fresh = NULL;
	const struct mf_wg_path *old;

	if (path->remote.addr.family != MF_AF_NONE) {
		fresh = malloc(sizeof(*fresh));
		if (!fresh)
			return false;
		*fresh = *path;
	}
	old = atomic_exchange_explicit(&p->path, fresh, memory_order_acq_rel);
	if (old)
		h->defer(h->ctx, free, (void *)(uintptr_t)old);
	return true;
}

bool mf_wg_peer_came_from(struct mf_wg_peer *p, const struct mf_wg_path *from)
{
	const struct mf_wg_path *path = mf_wg_peer_path(p);
	bool moved = !path || !mf_endpoint_equal(&path->remote, &from->remote);

	if (mf_wg_path_matches(path, from) || !mf_wg_peer_set_path(p, from))
		return false;
	if (moved)
		mf_wg_tell(p, MF_WG_EVENT_ROAMED);
	return moved;
}

void mf_wg_peer_forget_source(struct mf_wg_peer *p)
{
	const struct mf_wg_path *path = mf_wg_peer_path(p);
	struct mf_wg_path bare;

	if (!path || (path->local.family == MF_AF_NONE && !path->local_if))
		return;
	bare = (struct mf_wg_path){ .remote = path->remote };
	/* Without memory the old source stays: worse, but not wrong. */
	(void)mf_wg_peer_set_path(p, &bare);
}

/* ---- its keys ---- */

static void retire(struct mf_wg_keypair *k)
{
	struct mf_wg *wg;

	if (!k)
		return;
	wg = k->peer->device->wg;
	mf_wg_index_remove(&wg->index, &k->indexed);
	wg->host.defer(wg->host.ctx, mf_wg_keypair_free, k);
}

static void settle(struct mf_wg_keypair *k)
{
	if (k)
		atomic_store_explicit(&k->settled, true, memory_order_relaxed);
}

/* The keypair to send with from now on; returns the one before. */
static struct mf_wg_keypair *set_current(struct mf_wg_peer *p, struct mf_wg_keypair *k)
{
	settle(k);
	return atomic_exchange_explicit(&p->current, k, memory_order_acq_rel);
}

void mf_wg_peer_install(struct mf_wg_peer *p, struct mf_wg_keypair *k)
{
	if (!k->initiator) {
		retire(p->next);
		p->next = k;
		return;
	}
	retire(p->previous);
	if (p->next) {
		/* Both sides initiated at the same time. The peer may be sending with the other
		 * result already, so that one stays. */
		settle(p->next);
		p->previous = p->next;
		p->next = NULL;
		retire(set_current(p, k));
	} else {
		p->previous = set_current(p, k);
	}
}

bool mf_wg_peer_promote(struct mf_wg_peer *p)
{
	struct mf_wg_keypair *k = p->next;

	if (!k || !atomic_load_explicit(&k->confirmed, memory_order_relaxed))
		return false;
	retire(p->previous);
	p->previous = set_current(p, k);
	p->next = NULL;
	return true;
}

void mf_wg_peer_drop_handshake(struct mf_wg_peer *p)
{
	if (p->handshake.valid)
		mf_wg_index_remove(&p->device->wg->index, &p->handshake.indexed);
	p->handshake.valid = false;
	mf_wipe(&p->handshake.state, sizeof(p->handshake.state));
}

bool mf_wg_peer_drop_keys(struct mf_wg_peer *p)
{
	struct mf_wg_keypair *current = set_current(p, NULL);
	bool some = current || p->next || p->previous;

	retire(current);
	retire(p->next);
	retire(p->previous);
	p->next = p->previous = NULL;
	p->zero_at = MF_NEVER;
	return some;
}
