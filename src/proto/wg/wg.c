/* SPDX-License-Identifier: Apache-2.0
 *
 * wg - the instance: its beginning and end, and what reaches the control thread from outside.
 */
#include "proto/wg/wg.h"

#include "proto/wg/device.h"
#include "proto/wg/timers.h"

#include <stdlib.h>

/* Timers fire at most this late. */
#define TICK (4 * MF_MSEC)

struct mf_wg *mf_wg_new(const struct mf_wg_host *host, unsigned slots, mf_nsec now)
{
	struct mf_wg *wg = calloc(1, sizeof(*wg));

	MF_ASSERT(slots >= 1);
	if (!wg)
		return NULL;
	wg->host = *host;
	wg->slots = slots;
	wg->now = now;
	mf_wheel_init(&wg->wheel, TICK, now);
	mf_wg_ratelimit_init(&wg->ratelimit, &host->rng);
	if (mf_wg_noise_init(&wg->noise, &host->rng))
		goto undo;
	if (!mf_wg_index_table_init(&wg->index, host->defer, host->ctx))
		goto undo_noise;
	return wg;
undo_noise:
	mf_wg_noise_fini(&wg->noise);
undo:
	free(wg);
	return NULL;
}

void mf_wg_free(struct mf_wg *wg)
{
	if (!wg)
		return;
	while (wg->first)
		mf_wg_device_remove(wg->first, wg->now);
	for (size_t i = 0; i < MF_WG_PEER_CHUNKS; i++)
		free(atomic_load_explicit(&wg->chunk[i], memory_order_relaxed));
	free(wg->spare);
	mf_wg_index_table_fini(&wg->index);
	mf_wg_noise_fini(&wg->noise);
	mf_wipe(wg, sizeof(*wg));
	free(wg);
}

void mf_wg_tick(struct mf_wg *wg, mf_nsec now)
{
	mf_wheel_run(&wg->wheel, mf_wg_clock(wg, now), wg);
}

mf_nsec mf_wg_deadline(const struct mf_wg *wg)
{
	return mf_wheel_next(&wg->wheel);
}

void mf_wg_poke(struct mf_wg *wg, struct mf_wg_peer_ref ref, mf_nsec now)
{
	struct mf_wg_peer *p = mf_wg_peer_by_ref(wg, ref);

	now = mf_wg_clock(wg, now);
	if (p)
		mf_wg_timers_run(p, now);
}

void mf_wg_roam(struct mf_wg *wg, struct mf_wg_peer_ref ref, const struct mf_wg_path *from)
{
	struct mf_wg_peer *p = mf_wg_peer_by_ref(wg, ref);

	if (!p)
		return;
	atomic_store_explicit(&p->stamps.roam_posted, false, memory_order_relaxed);
	/* What it was authenticated with may be gone by now. */
	if (!mf_wg_device_running(p->device) || !mf_wg_peer_came_from(p, from))
		return;
	mf_wg_timers_path_set(p, wg->now);
	mf_wg_timers_run(p, wg->now);
}

void mf_wg_network_changed(struct mf_wg *wg, mf_nsec now)
{
	now = mf_wg_clock(wg, now);
	for (struct mf_wg_device *d = wg->first; d; d = d->next) {
		for (struct mf_wg_peer *p = d->first; p; p = p->list_next) {
			mf_wg_timers_network_changed(p, now);
			mf_wg_timers_run(p, now);
		}
	}
}
