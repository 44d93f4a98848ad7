/* SPDX-License-Identifier: Apache-2.0
 *
 * device - WireGuard interfaces and their peers as the configuration sees them.
 */
#include "proto/wg/device.h"

#include "crypto/random.h"
#include "proto/wg/timers.h"

#include <stdlib.h>

struct mf_wg_device *mf_wg_device_add(struct mf_wg *wg, void *user)
{
	struct mf_lpm_reclaim reclaim = { .defer = wg->host.defer, .ctx = wg->host.ctx };
	struct mf_wg_device *d, **at = &wg->first;

	if (wg->n_devices == MF_WG_MAX_DEVICES)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->wg = wg;
	d->user = user;
	d->self = mf_secret_alloc(sizeof(*d->self));
	if (!d->self)
		goto undo;
	if (!mf_wg_allowed_init(&d->allowed, &reclaim))
		goto undo_self;
	while (*at)
		at = &(*at)->next;
	*at = d;
	wg->n_devices++;
	return d;
undo_self:
	mf_secret_free(d->self);
undo:
	free(d);
	return NULL;
}

static void free_device(void *obj)
{
	struct mf_wg_device *d = obj;

	mf_wg_allowed_fini(&d->allowed);
	mf_secret_free(d->self);
	free(d->bucket);
	mf_wipe(d, sizeof(*d));
	free(d);
}

void mf_wg_device_remove(struct mf_wg_device *d, mf_nsec now)
{
	struct mf_wg *wg = d->wg;
	struct mf_wg_device **at = &wg->first;

	mf_wg_device_set_up(d, false, now);
	while (d->first)
		mf_wg_peer_remove(d->first, now);
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	wg->n_devices--;
	/* Its peers were deferred before it, and look at it when they are freed. */
	wg->host.defer(wg->host.ctx, free_device, d);
}

struct mf_wg_device *mf_wg_device_next(struct mf_wg *wg, const struct mf_wg_device *prev)
{
	return prev ? prev->next : wg->first;
}

void *mf_wg_device_user(const struct mf_wg_device *d)
{
	return d->user;
}

bool mf_wg_device_up(const struct mf_wg_device *d)
{
	return atomic_load_explicit(&d->up, memory_order_relaxed);
}

uint16_t mf_wg_device_listen_port(const struct mf_wg_device *d)
{
	return d->port;
}

uint32_t mf_wg_device_fwmark(const struct mf_wg_device *d)
{
	return d->fwmark;
}

uint32_t mf_wg_device_peer_count(const struct mf_wg_device *d)
{
	return d->n_peers;
}

bool mf_wg_device_keys(const struct mf_wg_device *d, struct mf_key *private_key,
		       struct mf_key *public_key)
{
	*private_key = d->self->private_key;
	*public_key = d->self->public_key;
	return d->has_key;
}

void mf_wg_device_set_listen_port(struct mf_wg_device *d, uint16_t port)
{
	d->port = port;
}

void mf_wg_device_set_fwmark(struct mf_wg_device *d, uint32_t fwmark)
{
	d->fwmark = fwmark;
}

/* ---- up, down, key ---- */

/* Ends every session of a peer and all that it would do by itself. */
static void quiet(struct mf_wg_peer *p)
{
	const struct mf_wg_host *host = &p->device->wg->host;

	mf_wg_timers_stop(p);
	mf_wg_peer_drop_handshake(p);
	mf_wg_peer_drop_keys(p);
	host->staged_drop(host->ctx, p);
}

static void wake(struct mf_wg_peer *p, mf_nsec now)
{
	mf_wg_timers_start(p, now);
	mf_wg_timers_run(p, now);
}

void mf_wg_device_set_up(struct mf_wg_device *d, bool up, mf_nsec now)
{
	bool was = mf_wg_device_running(d);

	now = mf_wg_clock(d->wg, now);
	atomic_store_explicit(&d->up, up, memory_order_relaxed);
	for (struct mf_wg_peer *p = d->first; p; p = p->list_next) {
		if (was && !up)
			quiet(p);
		else if (!was && mf_wg_device_running(d))
			wake(p, now);
	}
}

void mf_wg_device_set_private_key(struct mf_wg_device *d, const struct mf_key *key, mf_nsec now)
{
	struct mf_wg_noise_self self = { 0 };
	bool has = !mf_key_is_zero(key);
	struct mf_wg_peer *p;

	now = mf_wg_clock(d->wg, now);
	if (has)
		mf_wg_noise_self_set(&self, key);
	if (has == d->has_key &&
	    mf_equal_secret(self.private_key.b, d->self->private_key.b, sizeof(self.private_key.b)))
		goto out;
	for (p = d->first; p; p = p->list_next)
		quiet(p);
	*d->self = self;
	d->has_key = has;
	mf_wg_cookie_checker_init(&d->cookie, d->wg->noise.hasher, &self.public_key);
	p = has ? mf_wg_peer_find(d, &self.public_key) : NULL;
	if (p)
		mf_wg_peer_remove(p, now);
	for (p = d->first; p; p = p->list_next) {
		mf_wg_peer_rekeyed(p);
		if (mf_wg_device_running(d))
			wake(p, now);
	}
out:
	mf_wipe(&self, sizeof(self));
}

/* ---- peers by public key ---- */

/* Keys in the table come from the configuration; a stranger's key is only looked up. */
static struct mf_wg_peer **place_of(const struct mf_wg_device *d, const struct mf_key *k)
{
	struct mf_wg_peer **at = &d->bucket[mf_load_le32(k->b) & (d->buckets - 1)];

	while (*at && memcmp((*at)->remote.public_key.b, k->b, sizeof(k->b)) != 0)
		at = &(*at)->chain;
	return at;
}

struct mf_wg_peer *mf_wg_peer_find(const struct mf_wg_device *d, const struct mf_key *public_key)
{
	return d->buckets ? *place_of(d, public_key) : NULL;
}

struct mf_wg_peer *mf_wg_peer_next(const struct mf_wg_device *d, const struct mf_wg_peer *prev)
{
	return prev ? prev->list_next : d->first;
}

static bool make_room(struct mf_wg_device *d)
{
	uint32_t n = d->buckets ? d->buckets * 2 : 8;
	struct mf_wg_peer **bucket;

	if (d->n_peers < d->buckets)
		return true;
	bucket = calloc(n, sizeof(struct mf_wg_peer *));
	if (!bucket)
		return false;
	free(d->bucket);
	d->bucket = bucket;
	d->buckets = n;
	for (struct mf_wg_peer *p = d->first; p; p = p->list_next) {
		struct mf_wg_peer **at = &bucket[mf_load_le32(p->remote.public_key.b) & (n - 1)];

		p->chain = *at;
		*at = p;
	}
	return true;
}

static void append(struct mf_wg_device *d, struct mf_wg_peer *p)
{
	struct mf_wg_peer **at = place_of(d, &p->remote.public_key);

	p->chain = NULL;
	*at = p;
	p->list_prev = d->last;
	p->list_next = NULL;
	*(d->last ? &d->last->list_next : &d->first) = p;
	d->last = p;
	d->n_peers++;
}

static void take_out(struct mf_wg_device *d, struct mf_wg_peer *p)
{
	*place_of(d, &p->remote.public_key) = p->chain;
	*(p->list_prev ? &p->list_prev->list_next : &d->first) = p->list_next;
	*(p->list_next ? &p->list_next->list_prev : &d->last) = p->list_prev;
	d->n_peers--;
}

void mf_wg_peer_remove(struct mf_wg_peer *p, mf_nsec now)
{
	struct mf_wg_device *d = p->device;
	bool all;

	mf_wg_clock(d->wg, now);
	all = mf_wg_allowed_clear(&d->allowed, &p->allowed);
	quiet(p);
	take_out(d, p);
	mf_wg_peer_release(p, all);
}

void mf_wg_peer_set_user(struct mf_wg_peer *p, void *user)
{
	atomic_store_explicit(&p->user, user, memory_order_release);
}

/* ---- making and changing them ---- */

mf_err mf_wg_peer_check(const struct mf_wg_device *d, const struct mf_wg_peer_config *c)
{
	uint8_t family = c->endpoint.addr.family;

	if (d->has_key && memcmp(c->public_key.b, d->self->public_key.b, MF_KEY_LEN) == 0)
		return MF_E_CONFLICT;
	if ((c->set & MF_WG_UPDATE_ONLY) && !mf_wg_peer_find(d, &c->public_key))
		return MF_E_NOT_FOUND;
	if ((c->set & MF_WG_SET_ENDPOINT) && family != MF_AF_NONE &&
	    ((family != MF_AF_IP4 && family != MF_AF_IP6) || !c->endpoint.port))
		return MF_E_RANGE;
	for (size_t i = 0; i < c->n_allowed; i++) {
		const struct mf_addr *a = &c->allowed[i].prefix.addr;

		if ((a->family != MF_AF_IP4 && a->family != MF_AF_IP6) ||
		    c->allowed[i].prefix.len > mf_addr_bits(a))
			return MF_E_RANGE;
	}
	return MF_OK;
}

/* In order, but additions in a row are made at once: a large table is built once then, not n times. */
static mf_err apply_allowed(struct mf_wg_peer *p, const struct mf_wg_peer_config *c)
{
	struct mf_wg_allowed_table *t = &p->device->allowed;
	struct mf_prefix *add;
	size_t n = 0;
	mf_err err = MF_OK;

	if (!c->n_allowed)
		return MF_OK;
	add = calloc(c->n_allowed, sizeof(*add));
	if (!add)
		return MF_E_NO_MEMORY;
	for (size_t i = 0; i < c->n_allowed && !err; i++) {
		struct mf_prefix prefix = mf_prefix_mask(c->allowed[i].prefix);

		if (!c->allowed[i].remove) {
			add[n++] = prefix;
			continue;
		}
		err = mf_wg_allowed_add(t, &p->allowed, p->ref.index + 1, add, n);
		n = 0;
		if (!err)
			err = mf_wg_allowed_remove(t, &p->allowed, &prefix);
	}
	if (!err)
		err = mf_wg_allowed_add(t, &p->allowed, p->ref.index + 1, add, n);
	free(add);
	return err;
}

/* Small things that cannot fail, after those that can. */
static void apply_rest(struct mf_wg_peer *p, const struct mf_wg_peer_config *c, bool moved,
		       mf_nsec now)
{
	bool running = mf_wg_device_running(p->device), was_on = p->keepalive;

	if (c->set & MF_WG_SET_PSK)
		p->remote.psk = c->psk;
	if (c->set & MF_WG_SET_NAMED)
		p->named = c->named;
	if (c->set & MF_WG_SET_KEEPALIVE)
		p->keepalive = c->keepalive * MF_SEC;
	if (!running)
		return;
	if (moved)
		mf_wg_timers_path_set(p, now);
	if (!was_on && p->keepalive) {
		p->keepalive_base = now;
		mf_wg_timers_keepalive(p, now);
	}
	mf_wg_timers_run(p, now);
}

static mf_err change(struct mf_wg_peer *p, const struct mf_wg_peer_config *c, mf_nsec now)
{
	struct mf_wg_path path = { .remote = c->endpoint };
	const struct mf_wg_path *old = mf_wg_peer_path(p);
	bool moved = c->set & MF_WG_SET_ENDPOINT;
	mf_err err;

	/* The same endpoint again keeps its sticky source. */
	if (moved && old && mf_endpoint_equal(&old->remote, &c->endpoint))
		moved = false;
	if (moved && !mf_wg_peer_set_path(p, &path))
		return MF_E_NO_MEMORY;
	mf_wg_allowed_begin(&p->device->allowed);
	err = apply_allowed(p, c);
	if (!err && (c->set & MF_WG_REPLACE_ALLOWED))
		err = mf_wg_allowed_sweep(&p->device->allowed, &p->allowed);
	if (!err)
		apply_rest(p, c, moved, now);
	return err;
}

mf_err mf_wg_peer_set(struct mf_wg_device *d, const struct mf_wg_peer_config *c, mf_nsec now,
		      struct mf_wg_peer **out)
{
	struct mf_wg_peer *p = mf_wg_peer_find(d, &c->public_key);
	bool fresh = !p;
	mf_err err = mf_wg_peer_check(d, c);

	now = mf_wg_clock(d->wg, now);
	if (err)
		return err;
	if (fresh) {
		if (!make_room(d))
			return MF_E_NO_MEMORY;
		p = mf_wg_peer_new(d, &c->public_key, now);
		if (!p)
			return d->wg->numbers == MF_WG_MAX_PEERS ? MF_E_FULL : MF_E_NO_MEMORY;
		append(d, p);
	}
	err = change(p, c, now);
	if (err && fresh) {
		mf_wg_peer_remove(p, now);
		return err;
	}
	if (out)
		*out = p;
	return err;
}

/* ---- looking at them ---- */

static void sum_counters(const struct mf_wg_peer *p, struct mf_wg_peer_info *info)
{
	for (unsigned i = 0; i < p->device->wg->slots; i++) {
		const struct mf_wg_counters *c = &p->counters[i];

		info->tx_bytes += atomic_load_explicit(&c->tx_bytes, memory_order_relaxed);
		info->rx_bytes += atomic_load_explicit(&c->rx_bytes, memory_order_relaxed);
		info->tx_packets += atomic_load_explicit(&c->tx_packets, memory_order_relaxed);
		info->rx_packets += atomic_load_explicit(&c->rx_packets, memory_order_relaxed);
	}
}

void mf_wg_peer_info(const struct mf_wg_peer *p, mf_nsec now, struct mf_wg_peer_info *info)
{
	const struct mf_wg_keypair *k = mf_wg_peer_current(p);
	const struct mf_wg_path *path = mf_wg_peer_path(p);

	*info = (struct mf_wg_peer_info){
		.public_key = p->remote.public_key,
		.psk = p->remote.psk,
		.keepalive = (uint16_t)(p->keepalive / MF_SEC),
		.named = p->named,
		.session = mf_wg_has_session(p, now),
		.handshaking = p->handshake.tries != 0,
		.last_handshake = p->last_handshake,
		.n_allowed = p->allowed.n,
	};
	if (info->session)
		info->session_age = mf_wg_keypair_age(k, now);
	if (path)
		info->endpoint = path->remote;
	sum_counters(p, info);
}

size_t mf_wg_peer_allowed(const struct mf_wg_peer *p, struct mf_prefix *out, size_t max)
{
	size_t n = 0;

	for (const struct mf_wg_allowed_node *node = p->allowed.first; node && n < max;
	     node = node->next)
		out[n++] = node->prefix;
	return p->allowed.n;
}
