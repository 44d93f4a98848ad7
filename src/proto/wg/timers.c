/* SPDX-License-Identifier: Apache-2.0
 *
 * timers - see timers.h. White paper, section 6.
 *
 * Each peer has one timer in the wheel, armed for the earliest of all that may become due. What moves
 * with every packet (the keepalive that is not needed any more, the answer that came) is not rearmed:
 * when the timer fires, mf_wg_timers_run looks at the stamps and at what is due in truth, and arms it
 * again. While a "since" stamp is set, the peer is *watched*: its timer fires at least every 10 s,
 * which is the shortest time in which a stamp that a worker sets can become due. When no stamp is set,
 * the watch ends, and the next worker that sets one asks for a poke.
 */
#include "proto/wg/timers.h"

#include "proto/wg/device.h"
#include "proto/wg/handshake.h"

static mf_nsec earlier(mf_nsec a, mf_nsec b)
{
	return a < b ? a : b;
}

static mf_nsec later(mf_nsec a, mf_nsec b)
{
	return a > b ? a : b;
}

static mf_nsec jitter(struct mf_wg_peer *p)
{
	return mf_rng_u32(&p->device->wg->host.rng) % (MF_WG_JITTER_MSEC + 1) * MF_MSEC;
}

static bool wanted(const struct mf_wg_peer *p)
{
	return p->handshake.tries || p->handshake.deferred || p->handshake.wanted;
}

/* Workers need not ask while we know already; `known` tells them so. */
static void set_known(struct mf_wg_peer *p, bool known)
{
	mf_wg_stamp_set(&p->stamps.poke_after, known ? MF_NEVER : 0);
}

static void resolve(struct mf_wg_peer *p)
{
	const struct mf_wg_host *h = &p->device->wg->host;

	if (p->named && h->resolve)
		h->resolve(h->ctx, p);
}

/* ---- handshakes ---- */

static void attempt(struct mf_wg_peer *p, mf_nsec now)
{
	struct mf_wg_handshake *h = &p->handshake;

	h->deferred = 0;
	h->wanted = false;
	h->tries++;
	h->retry_at = now + MF_WG_REKEY_TIMEOUT * MF_SEC + jitter(p);
	if (!mf_wg_peer_path(p))
		resolve(p);
	else if (mf_wg_handshake_initiate(p, now))
		mf_wg_tell(p, MF_WG_EVENT_HANDSHAKE_SENT);
}

/* The earliest time at which we may send another initiation. */
static mf_nsec may_send_at(const struct mf_wg_peer *p)
{
	mf_nsec last = p->handshake.last_sent;

	return last ? last + MF_WG_REKEY_TIMEOUT * MF_SEC : 0;
}

void mf_wg_timers_want_handshake(struct mf_wg_peer *p, mf_nsec now)
{
	struct mf_wg_handshake *h = &p->handshake;

	if (!mf_wg_device_running(p->device) || h->tries)
		return;
	if (!mf_wg_peer_path(p) && !p->named)
		h->wanted = true;
	else if (now < may_send_at(p))
		h->deferred = may_send_at(p);
	else
		attempt(p, now);
	set_known(p, true);
}

static void give_up(struct mf_wg_peer *p)
{
	const struct mf_wg_host *host = &p->device->wg->host;

	p->handshake.tries = 0;
	mf_wg_peer_drop_handshake(p);
	mf_wg_stamp_set(&p->stamps.unreplied_since, 0);
	atomic_store_explicit(&p->stamps.want, false, memory_order_relaxed);
	set_known(p, false);
	host->staged_drop(host->ctx, p);
	mf_wg_tell(p, MF_WG_EVENT_GAVE_UP);
}

static void retry(struct mf_wg_peer *p, mf_nsec now)
{
	if (p->handshake.tries >= MF_WG_MAX_TRIES) {
		give_up(p);
		return;
	}
	/* Perhaps it is our own address that does not work any more. */
	mf_wg_peer_forget_source(p);
	if (mf_wg_peer_path(p))
		resolve(p);
	attempt(p, now);
}

/* What stood in the way of a handshake may be gone: the tries begin anew, as soon as one is allowed. */
static void start_over(struct mf_wg_peer *p, mf_nsec now)
{
	p->handshake.tries = 0;
	p->handshake.wanted = false;
	mf_wg_timers_want_handshake(p, now);
}

void mf_wg_timers_path_set(struct mf_wg_peer *p, mf_nsec now)
{
	if (mf_wg_peer_path(p) && (p->handshake.wanted || p->handshake.tries))
		start_over(p, now);
}

void mf_wg_timers_session_derived(struct mf_wg_peer *p, mf_nsec now)
{
	p->zero_at = now + MF_WG_ZERO_KEYS_TIME * MF_SEC;
}

void mf_wg_timers_session_up(struct mf_wg_peer *p, mf_nsec now)
{
	const struct mf_wg_host *host = &p->device->wg->host;
	struct mf_wg_keypair *k = mf_wg_peer_current(p);

	p->handshake.tries = 0;
	p->handshake.deferred = 0;
	p->handshake.wanted = false;
	atomic_store_explicit(&p->stamps.want, false, memory_order_relaxed);
	set_known(p, false);
	p->last_handshake = host->wall_clock(host->ctx);
	mf_wg_tell(p, MF_WG_EVENT_SESSION_UP);
	/* The initiator's first packet tells the responder that the session stands. */
	if (!host->session_up(host->ctx, p) && k->initiator)
		mf_wg_timers_keepalive(p, now);
}

/* ---- keepalives ---- */

void mf_wg_timers_control_sent(struct mf_wg_peer *p, mf_nsec now, size_t n)
{
	mf_wg_count(&p->counters[0].tx_bytes, n);
	mf_wg_count(&p->counters[0].tx_packets, 1);
	mf_wg_stamp_set(&p->stamps.last_tx, now);
	mf_wg_stamp_set(&p->stamps.unreplied_since, 0);
}

void mf_wg_timers_control_received(struct mf_wg_peer *p, mf_nsec now, size_t n)
{
	mf_wg_count(&p->counters[0].rx_bytes, n);
	mf_wg_count(&p->counters[0].rx_packets, 1);
	mf_wg_stamp_set(&p->stamps.last_rx, now);
	mf_wg_stamp_set(&p->stamps.unanswered_since, 0);
}

void mf_wg_timers_keepalive(struct mf_wg_peer *p, mf_nsec now)
{
	struct mf_wg *wg = p->device->wg;
	struct mf_wg_keypair *k = mf_wg_peer_current(p);
	const struct mf_wg_path *path = mf_wg_peer_path(p);
	uint8_t m[MF_WG_KEEPALIVE_LEN];
	uint64_t counter;

	if (!path || !k || !mf_wg_keypair_fresh(k, now) || !mf_wg_keypair_claim(k, 1, &counter)) {
		mf_wg_timers_want_handshake(p, now);
		return;
	}
	mf_store_le32(m, MF_WG_MSG_DATA);
	mf_store_le32(m + 4, k->remote_index);
	mf_store_le64(m + 8, counter);
	mf_aead_seal_aad(k->send.b, counter, NULL, 0, m + MF_WG_DATA_HEADER, 0,
			 m + MF_WG_DATA_HEADER);
	mf_wg_timers_control_sent(p, now, sizeof(m));
	wg->host.send(wg->host.ctx, p->device, p, path, m, sizeof(m), 0);
	if (mf_wg_keypair_wants_rekey(k, now))
		mf_wg_timers_want_handshake(p, now);
}

/* What a stamp said has been dealt with; unless a worker has set it anew meanwhile. */
static void end(_Atomic mf_nsec *stamp, mf_nsec since)
{
	atomic_compare_exchange_strong_explicit(stamp, &since, 0, memory_order_relaxed,
						memory_order_relaxed);
}

static mf_nsec passive_at(const struct mf_wg_peer *p)
{
	mf_nsec since = atomic_load_explicit(&p->stamps.unreplied_since, memory_order_seq_cst);

	return since ? since + MF_WG_KEEPALIVE_TIMEOUT * MF_SEC : MF_NEVER;
}

/* We received data and had nothing to say for 10 s: say so, or the peer thinks that we are gone. */
static void passive(struct mf_wg_peer *p, mf_nsec now)
{
	struct mf_wg_stamps *s = &p->stamps;
	mf_nsec since = mf_wg_stamp(&s->unreplied_since);
	bool another;

	if (passive_at(p) > now)
		return;
	another = mf_wg_stamp(&s->last_data_rx) > since;
	end(&s->unreplied_since, since);
	if (mf_wg_has_session(p, now))
		mf_wg_timers_keepalive(p, now);
	if (another)
		mf_wg_stamp_set(&s->unreplied_since, now);
}

static mf_nsec stale_at(const struct mf_wg_peer *p)
{
	mf_nsec since = atomic_load_explicit(&p->stamps.unanswered_since, memory_order_seq_cst);

	return since ? since + MF_WG_NEW_HANDSHAKE_TIME * MF_SEC + p->stale_jitter : MF_NEVER;
}

/* We sent data and heard nothing for 15 s: perhaps the peer has lost its keys. */
static void stale(struct mf_wg_peer *p, mf_nsec now)
{
	mf_nsec since = mf_wg_stamp(&p->stamps.unanswered_since);

	if (stale_at(p) > now)
		return;
	end(&p->stamps.unanswered_since, since);
	p->stale_jitter = jitter(p);
	mf_wg_peer_forget_source(p);
	mf_wg_timers_want_handshake(p, now);
}

static mf_nsec persistent_at(const struct mf_wg_peer *p)
{
	const struct mf_wg_stamps *s = &p->stamps;

	/* While a handshake is wanted there is nothing to keep alive. */
	if (!p->keepalive || wanted(p))
		return MF_NEVER;
	return p->keepalive +
	       later(p->keepalive_base, later(mf_wg_stamp(&s->last_tx), mf_wg_stamp(&s->last_rx)));
}

static void persistent(struct mf_wg_peer *p, mf_nsec now)
{
	if (persistent_at(p) <= now)
		mf_wg_timers_keepalive(p, now);
}

void mf_wg_timers_network_changed(struct mf_wg_peer *p, mf_nsec now)
{
	mf_wg_peer_forget_source(p);
	resolve(p);
	if (p->handshake.tries || p->keepalive || mf_wg_has_session(p, now))
		start_over(p, now);
}

/* ---- all of them ---- */

/* Ends the watch if nothing is to be watched. Returns when to look again. */
static mf_nsec watch(struct mf_wg_peer *p, mf_nsec now)
{
	_Atomic bool *watched = &p->stamps.watched;
	mf_nsec at;

	atomic_store_explicit(watched, false, memory_order_seq_cst);
	at = earlier(passive_at(p), stale_at(p));
	if (at == MF_NEVER)
		return MF_NEVER;
	atomic_store_explicit(watched, true, memory_order_relaxed);
	return earlier(at, now + MF_WG_KEEPALIVE_TIMEOUT * MF_SEC);
}

static void arm(struct mf_wg_peer *p, mf_nsec now)
{
	const struct mf_wg_handshake *h = &p->handshake;
	mf_nsec at = earlier(p->zero_at, watch(p, now));

	if (h->tries)
		at = earlier(at, h->retry_at);
	if (h->deferred)
		at = earlier(at, h->deferred);
	mf_timer_arm(&p->device->wg->wheel, &p->timer, earlier(at, persistent_at(p)));
}

/* A worker wants a handshake: still with reason? */
static void heed(struct mf_wg_peer *p, mf_nsec now)
{
	const struct mf_wg_keypair *k = mf_wg_peer_current(p);

	if (!atomic_exchange_explicit(&p->stamps.want, false, memory_order_acq_rel))
		return;
	if (!k || !mf_wg_keypair_fresh(k, now) || mf_wg_keypair_wants_rekey(k, now))
		mf_wg_timers_want_handshake(p, now);
	if (!wanted(p))
		set_known(p, false);
}

static void zero_keys(struct mf_wg_peer *p)
{
	if (!p->handshake.tries)
		mf_wg_peer_drop_handshake(p);
	if (mf_wg_peer_drop_keys(p))
		mf_wg_tell(p, MF_WG_EVENT_KEYS_ZEROED);
}

void mf_wg_timers_run(struct mf_wg_peer *p, mf_nsec now)
{
	struct mf_wg_handshake *h = &p->handshake;

	if (!mf_wg_device_running(p->device)) {
		mf_wg_timers_stop(p);
		return;
	}
	/* An exchange, so that whatever a worker wrote before it saw `true` here is seen below. */
	(void)atomic_exchange_explicit(&p->stamps.confirm_posted, false, memory_order_acq_rel);
	if (mf_wg_peer_promote(p))
		mf_wg_timers_session_up(p, now);
	if (p->zero_at <= now)
		zero_keys(p);
	if (h->tries && h->retry_at <= now)
		retry(p, now);
	if (h->deferred && h->deferred <= now) {
		h->deferred = 0;
		mf_wg_timers_want_handshake(p, now);
	}
	stale(p, now);
	passive(p, now);
	persistent(p, now);
	heed(p, now);
	arm(p, now);
}

void mf_wg_timers_fire(struct mf_timer *t, void *ctx, mf_nsec now)
{
	mf_wg_timers_run(MF_CONTAINER_OF(t, struct mf_wg_peer, timer), mf_wg_clock(ctx, now));
}

void mf_wg_timers_start(struct mf_wg_peer *p, mf_nsec now)
{
	set_known(p, false);
	p->keepalive_base = now;
	if (p->keepalive)
		mf_wg_timers_keepalive(p, now);
}

void mf_wg_timers_stop(struct mf_wg_peer *p)
{
	struct mf_wg_handshake *h = &p->handshake;

	mf_timer_disarm(&p->device->wg->wheel, &p->timer);
	h->tries = 0;
	h->deferred = 0;
	h->wanted = false;
	h->last_sent = 0;
	mf_wg_stamp_set(&p->stamps.unanswered_since, 0);
	mf_wg_stamp_set(&p->stamps.unreplied_since, 0);
	atomic_store_explicit(&p->stamps.want, false, memory_order_relaxed);
	atomic_store_explicit(&p->stamps.watched, false, memory_order_relaxed);
	set_known(p, true);
}
