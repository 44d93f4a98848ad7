/* SPDX-License-Identifier: Apache-2.0
 *
 * data - what workers call. Nothing here allocates, waits, or writes what another worker reads for
 * each packet, except nonces and the replay window, which are claimed and accepted in batches.
 *
 * How the control thread learns that a timer has to run: a worker that sets a stamp which was not set
 * (first data without an answer, first data without a reply) looks at `watched`. If no timer watches
 * the peer, it asks for a poke. Stamp and flag are written and read in sequentially consistent order
 * on both sides (see watch() in timers.c), so one of the two always sees the other.
 */
#include "proto/wg/device.h"

/* Stamps of activity are only renewed when they are this old: a shared cache line is then written a
 * hundred times a second instead of for each batch. */
#define STAMP_GRAIN (10 * MF_MSEC)
/* If the post of a poke is lost, the next one comes after this. */
#define POKE_AGAIN MF_SEC

void *mf_wg_peer_user(const struct mf_wg_peer *p)
{
	return atomic_load_explicit(&p->user, memory_order_acquire);
}

struct mf_wg_device *mf_wg_peer_device(const struct mf_wg_peer *p)
{
	return p->device;
}

struct mf_wg_peer_ref mf_wg_peer_ref(const struct mf_wg_peer *p)
{
	return p->ref;
}

const struct mf_wg_path *mf_wg_peer_path(const struct mf_wg_peer *p)
{
	return atomic_load_explicit(&p->path, memory_order_acquire);
}

static struct mf_wg_peer *by_number(const struct mf_wg *wg, uint32_t number)
{
	struct mf_wg_peer_chunk *c = atomic_load_explicit(&wg->chunk[number / MF_WG_PEERS_PER_CHUNK],
							  memory_order_acquire);

	return c ? atomic_load_explicit(&c->at[number % MF_WG_PEERS_PER_CHUNK], memory_order_acquire)
		 : NULL;
}

struct mf_wg_peer *mf_wg_peer_by_ref(const struct mf_wg *wg, struct mf_wg_peer_ref ref)
{
	struct mf_wg_peer *p = ref.index < MF_WG_MAX_PEERS ? by_number(wg, ref.index) : NULL;

	return p && p->ref.generation == ref.generation ? p : NULL;
}

struct mf_wg_peer *mf_wg_route(const struct mf_wg_device *d, const uint8_t *addr,
			       enum mf_family family)
{
	uint32_t owner = mf_wg_allowed_owner(&d->allowed, addr, family);

	return owner == MF_LPM_NONE ? NULL : by_number(d->wg, owner - 1);
}

bool mf_wg_source_ok(const struct mf_wg_peer *p, const uint8_t *addr, enum mf_family family)
{
	return mf_wg_allowed_owner(&p->device->allowed, addr, family) == p->ref.index + 1;
}

/* True: this thread is the one to ask for a handshake. */
static bool ask(struct mf_wg_stamps *s, mf_nsec now)
{
	mf_nsec at = mf_wg_stamp(&s->poke_after);

	if (now < at ||
	    !atomic_compare_exchange_strong_explicit(&s->poke_after, &at, now + POKE_AGAIN,
						     memory_order_relaxed, memory_order_relaxed))
		return false;
	atomic_store_explicit(&s->want, true, memory_order_release);
	return true;
}

bool mf_wg_has_session(const struct mf_wg_peer *p, mf_nsec now)
{
	const struct mf_wg_keypair *k = mf_wg_peer_current(p);

	return k && mf_wg_keypair_fresh(k, now);
}

enum mf_wg_claim mf_wg_claim(struct mf_wg_peer *p, mf_nsec now, uint32_t n,
			     struct mf_wg_claimed *out, unsigned *post)
{
	struct mf_wg_keypair *k = mf_wg_peer_current(p);
	enum mf_wg_claim result = MF_WG_CLAIM_OK;

	*post = 0;
	if (MF_UNLIKELY(!k || mf_wg_keypair_age(k, now) >= MF_WG_REJECT_AFTER_TIME * MF_SEC))
		result = MF_WG_CLAIM_NO_SESSION;
	else if (MF_UNLIKELY(!mf_wg_keypair_claim(k, n, &out->first)))
		result = MF_WG_CLAIM_NO_NONCES;
	out->keypair = k;
	if (MF_UNLIKELY(result != MF_WG_CLAIM_OK || mf_wg_keypair_wants_rekey(k, now)) &&
	    ask(&p->stamps, now))
		*post = MF_WG_POST_POKE;
	return result;
}

struct mf_wg_keypair *mf_wg_find(const struct mf_wg *wg, uint32_t receiver_index)
{
	struct mf_wg_indexed *e = mf_wg_index_find(&wg->index, receiver_index);

	if (!e || e->kind != MF_WG_INDEXED_KEYPAIR)
		return NULL;
	return MF_CONTAINER_OF(e, struct mf_wg_keypair, indexed);
}

static void touch(_Atomic mf_nsec *stamp, mf_nsec now)
{
	mf_nsec was = mf_wg_stamp(stamp);

	if (now < was || now - was >= STAMP_GRAIN)
		mf_wg_stamp_set(stamp, now);
}

static void clear(_Atomic mf_nsec *stamp)
{
	if (mf_wg_stamp(stamp))
		mf_wg_stamp_set(stamp, 0);
}

/* Sets a stamp of "since when" if it is not set. Returns what to post. */
static unsigned begin(struct mf_wg_stamps *s, _Atomic mf_nsec *stamp, mf_nsec now)
{
	if (mf_wg_stamp(stamp))
		return 0;
	atomic_store_explicit(stamp, now ? now : 1, memory_order_seq_cst);
	if (atomic_load_explicit(&s->watched, memory_order_seq_cst))
		return 0;
	return atomic_exchange_explicit(&s->watched, true, memory_order_seq_cst) ? 0
										 : MF_WG_POST_POKE;
}

unsigned mf_wg_sent(struct mf_wg_peer *p, unsigned slot, mf_nsec now, const struct mf_wg_tally *t)
{
	struct mf_wg_stamps *s = &p->stamps;

	mf_wg_count(&p->counters[slot].tx_bytes, t->bytes);
	mf_wg_count(&p->counters[slot].tx_packets, t->n_data + t->n_keepalive);
	touch(&s->last_tx, now);
	clear(&s->unreplied_since);
	return t->n_data ? begin(s, &s->unanswered_since, now) : 0;
}

/* The first packet on a new session of which we are the responder. */
static unsigned confirm(struct mf_wg_keypair *k)
{
	if (MF_LIKELY(atomic_load_explicit(&k->settled, memory_order_relaxed)))
		return 0;
	atomic_store_explicit(&k->confirmed, true, memory_order_relaxed);
	return atomic_exchange_explicit(&k->peer->stamps.confirm_posted, true, memory_order_acq_rel)
		       ? 0
		       : MF_WG_POST_POKE;
}

/* The initiator renews a session in time even if it has nothing to send. */
static unsigned rekey_on_receive(struct mf_wg_keypair *k, mf_nsec now)
{
	if (MF_LIKELY(!k->initiator ||
		      mf_wg_keypair_age(k, now) < MF_WG_REKEY_ON_RECEIVE_TIME * MF_SEC) ||
	    atomic_load_explicit(&k->rekey_asked, memory_order_relaxed) ||
	    mf_wg_peer_current(k->peer) != k || !ask(&k->peer->stamps, now))
		return 0;
	atomic_store_explicit(&k->rekey_asked, true, memory_order_relaxed);
	return MF_WG_POST_POKE;
}

static unsigned roam(struct mf_wg_peer *p, const struct mf_wg_path *from)
{
	if (MF_LIKELY(mf_wg_path_matches(mf_wg_peer_path(p), from)))
		return 0;
	return atomic_exchange_explicit(&p->stamps.roam_posted, true, memory_order_acq_rel)
		       ? 0
		       : MF_WG_POST_ROAM;
}

unsigned mf_wg_received(struct mf_wg_keypair *k, unsigned slot, mf_nsec now,
			const struct mf_wg_tally *t, const struct mf_wg_path *from)
{
	struct mf_wg_peer *p = k->peer;
	struct mf_wg_stamps *s = &p->stamps;
	unsigned post = 0;

	mf_wg_count(&p->counters[slot].rx_bytes, t->bytes);
	mf_wg_count(&p->counters[slot].rx_packets, t->n_data + t->n_keepalive);
	touch(&s->last_rx, now);
	clear(&s->unanswered_since);
	if (t->n_data) {
		touch(&s->last_data_rx, now);
		post |= begin(s, &s->unreplied_since, now);
	}
	post |= confirm(k);
	post |= rekey_on_receive(k, now);
	return post | roam(p, from);
}

void mf_wg_post_failed(struct mf_wg_peer *p, unsigned post)
{
	struct mf_wg_stamps *s = &p->stamps;

	if (post & MF_WG_POST_ROAM)
		atomic_store_explicit(&s->roam_posted, false, memory_order_relaxed);
	if (post & MF_WG_POST_POKE) {
		/* As if it had not happened: the next packet asks again. */
		atomic_store_explicit(&s->confirm_posted, false, memory_order_relaxed);
		mf_wg_stamp_set(&s->unanswered_since, 0);
		mf_wg_stamp_set(&s->unreplied_since, 0);
		atomic_store_explicit(&s->watched, false, memory_order_seq_cst);
	}
}
