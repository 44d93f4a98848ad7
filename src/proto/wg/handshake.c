/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake - see handshake.h. White paper, sections 5.3 and 5.4.
 */
#include "proto/wg/handshake.h"

#include "proto/wg/device.h"
#include "proto/wg/timers.h"

/* ---- time stamps ---- */

/* TAI64N whose nanoseconds keep only their upper bits, 16.8 ms apart, so that the stamp does not tell
 * much about our clock. */
enum { STAMP_STEP = 1 << 24 };

static bool not_after(struct mf_wg_wall a, struct mf_wg_wall b)
{
	return a.sec < b.sec || (a.sec == b.sec && a.nsec <= b.nsec);
}

/* Greater than any stamp sent to this peer before, even if the clock was set back meanwhile. */
static void make_stamp(struct mf_wg_peer *p, uint8_t out[MF_WG_TIMESTAMP_LEN])
{
	const struct mf_wg_host *host = &p->device->wg->host;
	struct mf_wg_wall t = host->wall_clock(host->ctx), *last = &p->handshake.ours;

	t.nsec -= t.nsec % STAMP_STEP;
	if (not_after(t, *last)) {
		t = (struct mf_wg_wall){ .sec = last->sec, .nsec = last->nsec + STAMP_STEP };
		if (t.nsec >= MF_SEC)
			t = (struct mf_wg_wall){ .sec = last->sec + 1 };
	}
	*last = t;
	mf_store_be64(out, t.sec + (((uint64_t)1 << 62) | 10));
	mf_store_be32(out + 8, t.nsec);
}

/* ---- sending ---- */

static void send_message(struct mf_wg_peer *p, mf_nsec now, void *m, size_t n)
{
	struct mf_wg *wg = p->device->wg;

	mf_wg_cookie_add_macs(&p->cookie, wg->noise.hasher, now, m, n);
	p->handshake.last_sent = now;
	mf_wg_timers_control_sent(p, now, n);
	wg->host.send(wg->host.ctx, p->device, p, mf_wg_peer_path(p), m, n, MF_WG_HANDSHAKE_TOS);
}

bool mf_wg_handshake_initiate(struct mf_wg_peer *p, mf_nsec now)
{
	struct mf_wg *wg = p->device->wg;
	struct mf_wg_handshake *h = &p->handshake;
	struct mf_wg_msg_initiation m;
	uint8_t stamp[MF_WG_TIMESTAMP_LEN];

	mf_wg_peer_drop_handshake(p);
	if (!mf_wg_peer_path(p) || !p->remote.usable ||
	    !mf_wg_index_insert(&wg->index, &h->indexed, &wg->host.rng))
		return false;
	h->valid = true;
	make_stamp(p, stamp);
	if (!mf_wg_noise_create_initiation(
		    &wg->noise, p->device->self, &p->remote, stamp,
		    atomic_load_explicit(&h->indexed.index, memory_order_relaxed), &h->state, &m)) {
		mf_wg_peer_drop_handshake(p);
		return false;
	}
	send_message(p, now, &m, sizeof(m));
	return true;
}

static void send_cookie(struct mf_wg_device *d, mf_nsec now, const struct mf_wg_handshake_in *in)
{
	struct mf_wg *wg = d->wg;
	struct mf_wg_msg_cookie m;

	mf_wg_cookie_reply(&d->cookie, wg->noise.hasher, &wg->host.rng, now, &in->from.remote,
			   in->bytes, in->n, &m);
	wg->host.send(wg->host.ctx, d, NULL, &in->from, (const uint8_t *)&m, sizeof(m),
		      MF_WG_HANDSHAKE_TOS);
}

/* ---- is it for us, and can we afford it? ---- */

static struct mf_wg_device *device_for(struct mf_wg *wg, const struct mf_wg_handshake_in *in)
{
	for (struct mf_wg_device *d = wg->first; d; d = d->next) {
		if (d->port == in->local_port && mf_wg_device_running(d) &&
		    mf_wg_cookie_mac1_ok(&d->cookie, wg->noise.hasher, in->bytes, in->n))
			return d;
	}
	return NULL;
}

/* 40 messages for each peer in half a second are a load; and so are 480 altogether, because each may cost
 * several curve operations of some 50 to 100 us. */
static uint32_t busy_at(const struct mf_wg_device *d)
{
	uint32_t n = d->n_peers ? d->n_peers : 1;

	return (n < 12 ? n : 12) * 40;
}

static bool under_load(struct mf_wg_device *d, mf_nsec now, uint32_t queue_len)
{
	struct mf_wg_load *l = &d->load;

	if (now - l->window_start >= MF_SEC / 2) {
		l->window_start = now;
		l->n = 0;
	}
	if (l->n < UINT32_MAX)
		l->n++;
	if (queue_len >= MF_WG_LOAD_QUEUE || l->n >= busy_at(d))
		l->until = now + MF_WG_LOAD_HOLD_SEC * MF_SEC;
	return now < l->until;
}

static enum mf_drop admit(struct mf_wg *wg, mf_nsec now, const struct mf_wg_handshake_in *in,
			  struct mf_wg_device **device)
{
	struct mf_wg_device *d = device_for(wg, in);

	*device = d;
	if (!d)
		return MF_DROP_WG_MAC1;
	if (!under_load(d, now, in->queue_len))
		return MF_DROP_NONE;
	if (!mf_wg_cookie_mac2_ok(&d->cookie, wg->noise.hasher, now, &in->from.remote, in->bytes,
				  in->n)) {
		send_cookie(d, now, in);
		return MF_DROP_WG_MAC2;
	}
	return mf_wg_ratelimit_allow(&wg->ratelimit, now, &in->from.remote.addr) ? MF_DROP_NONE
										 : MF_DROP_WG_RATE;
}

/* ---- the three messages ---- */

/* Answers an initiation. The session's index must be in the answer before there are keys for the session,
 * so a stand-in holds it meanwhile. NULL: out of memory, or the ephemeral key is a bad one. */
static struct mf_wg_keypair *keypair_for_response(struct mf_wg_peer *p, mf_nsec now,
						  struct mf_wg_noise_responder *r,
						  struct mf_wg_msg_response *m)
{
	struct mf_wg *wg = p->device->wg;
	struct mf_wg_indexed *stand_in = &p->handshake.answer;
	struct mf_wg_noise_keys keys;
	struct mf_wg_keypair *k = NULL;

	if (!mf_wg_index_insert(&wg->index, stand_in, &wg->host.rng))
		return NULL;
	if (mf_wg_noise_create_response(&wg->noise, &p->remote, r,
					atomic_load_explicit(&stand_in->index, memory_order_relaxed),
					m, &keys)) {
		k = mf_wg_keypair_new(p, &keys, false, now);
		mf_wipe(&keys, sizeof(keys));
	}
	if (k)
		mf_wg_index_replace(&wg->index, stand_in, &k->indexed);
	else
		mf_wg_index_remove(&wg->index, stand_in);
	return k;
}

/* The message is proven to come from `p`; is it new? */
static bool is_new(struct mf_wg_peer *p, mf_nsec now, const uint8_t *stamp)
{
	struct mf_wg_handshake *h = &p->handshake;

	if (memcmp(stamp, h->theirs, MF_WG_TIMESTAMP_LEN) <= 0)
		return false;
	if (h->last_accepted && now - h->last_accepted < MF_WG_INITIATION_GAP_MSEC * MF_MSEC)
		return false;
	memcpy(h->theirs, stamp, MF_WG_TIMESTAMP_LEN);
	h->last_accepted = now;
	return true;
}

static enum mf_drop consume_initiation(struct mf_wg *wg, mf_nsec now,
				       const struct mf_wg_handshake_in *in)
{
	struct mf_wg_msg_initiation m;
	struct mf_wg_noise_responder r;
	struct mf_wg_msg_response answer;
	uint8_t stamp[MF_WG_TIMESTAMP_LEN];
	struct mf_wg_device *d;
	struct mf_wg_peer *p;
	struct mf_wg_keypair *k;
	bool moved;
	enum mf_drop drop = admit(wg, now, in, &d);

	if (drop)
		return drop;
	memcpy(&m, in->bytes, sizeof(m));
	if (!mf_wg_noise_open_static(&wg->noise, d->self, &m, &r))
		return MF_DROP_WG_HANDSHAKE;
	p = mf_wg_peer_find(d, &r.remote_static);
	if (!p || !mf_wg_noise_open_timestamp(&wg->noise, &p->remote, &m, &r, stamp) ||
	    !is_new(p, now, stamp)) {
		mf_wipe(&r, sizeof(r));
		return MF_DROP_WG_HANDSHAKE;
	}
	mf_wg_timers_control_received(p, now, in->n);
	moved = mf_wg_peer_came_from(p, &in->from);
	k = keypair_for_response(p, now, &r, &answer);
	mf_wipe(&r, sizeof(r));
	if (k) {
		mf_wg_peer_install(p, k);
		mf_wg_timers_session_derived(p, now);
		send_message(p, now, &answer, sizeof(answer));
	}
	if (moved)
		mf_wg_timers_path_set(p, now);
	mf_wg_timers_run(p, now);
	return k ? MF_DROP_NONE : MF_DROP_WG_HANDSHAKE;
}

/* Takes the place of our initiation in the index table. NULL: out of memory. */
static struct mf_wg_keypair *keypair_from_handshake(struct mf_wg_peer *p, mf_nsec now,
						    const struct mf_wg_noise_keys *keys)
{
	struct mf_wg_keypair *k = mf_wg_keypair_new(p, keys, true, now);

	if (!k)
		return NULL;
	mf_wg_index_replace(&p->device->wg->index, &p->handshake.indexed, &k->indexed);
	p->handshake.valid = false;
	return k;
}

static enum mf_drop consume_response(struct mf_wg *wg, mf_nsec now,
				     const struct mf_wg_handshake_in *in)
{
	struct mf_wg_msg_response m;
	struct mf_wg_noise_keys keys;
	struct mf_wg_device *d;
	struct mf_wg_indexed *e;
	struct mf_wg_peer *p;
	struct mf_wg_keypair *k;
	enum mf_drop drop = admit(wg, now, in, &d);

	if (drop)
		return drop;
	memcpy(&m, in->bytes, sizeof(m));
	e = mf_wg_index_find(&wg->index, mf_le32_get(m.receiver));
	if (!e || e->kind != MF_WG_INDEXED_HANDSHAKE)
		return MF_DROP_WG_HANDSHAKE;
	p = MF_CONTAINER_OF(e, struct mf_wg_peer, handshake.indexed);
	if (p->device != d || !mf_wg_noise_consume_response(&wg->noise, d->self, &p->remote,
							    &p->handshake.state, &m, &keys))
		return MF_DROP_WG_HANDSHAKE;
	k = keypair_from_handshake(p, now, &keys);
	mf_wipe(&keys, sizeof(keys));
	if (!k) {
		mf_wg_peer_drop_handshake(p);
		return MF_DROP_WG_HANDSHAKE;
	}
	mf_wg_timers_control_received(p, now, in->n);
	mf_wg_peer_came_from(p, &in->from);
	mf_wg_peer_install(p, k);
	mf_wg_timers_session_derived(p, now);
	mf_wg_timers_session_up(p, now);
	mf_wg_timers_run(p, now);
	return MF_DROP_NONE;
}

static enum mf_drop consume_cookie(struct mf_wg *wg, mf_nsec now, const struct mf_wg_handshake_in *in)
{
	struct mf_wg_msg_cookie m;
	struct mf_wg_indexed *e;
	struct mf_wg_peer *p;

	memcpy(&m, in->bytes, sizeof(m));
	e = mf_wg_index_find(&wg->index, mf_le32_get(m.receiver));
	if (!e)
		return MF_DROP_WG_COOKIE;
	/* It answers an initiation or, when we responded, names the session to be. */
	p = e->kind == MF_WG_INDEXED_HANDSHAKE
		    ? MF_CONTAINER_OF(e, struct mf_wg_peer, handshake.indexed)
		    : MF_CONTAINER_OF(e, struct mf_wg_keypair, indexed)->peer;
	if (p->device->port != in->local_port || !mf_wg_cookie_consume(&p->cookie, now, &m))
		return MF_DROP_WG_COOKIE;
	return MF_DROP_NONE;
}

enum mf_drop mf_wg_handshake_input(struct mf_wg *wg, mf_nsec now, const struct mf_wg_handshake_in *in)
{
	now = mf_wg_clock(wg, now);
	if (in->n < 4)
		return MF_DROP_WG_SHORT;
	switch (mf_load_le32(in->bytes)) {
	case MF_WG_MSG_INITIATION:
		return in->n == sizeof(struct mf_wg_msg_initiation) ? consume_initiation(wg, now, in)
								    : MF_DROP_WG_LENGTH;
	case MF_WG_MSG_RESPONSE:
		return in->n == sizeof(struct mf_wg_msg_response) ? consume_response(wg, now, in)
								  : MF_DROP_WG_LENGTH;
	case MF_WG_MSG_COOKIE:
		return in->n == sizeof(struct mf_wg_msg_cookie) ? consume_cookie(wg, now, in)
								: MF_DROP_WG_LENGTH;
	default:
		return MF_DROP_WG_TYPE;
	}
}
