/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/workers.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/direct.h"
#include "platform/clock.h"
#include "platform/thread.h"

enum { AUTO_MAX = 4 };

/* One for each processor up to four: more would share one memory budget into pools that are too small
 * for super-packets, and four seal what a 10 Gbit/s link carries. */
unsigned mf_workers_wanted(const struct mf_daemon *d, const struct mf_config *cfg)
{
	unsigned n = d->options.workers ? d->options.workers : cfg->limits.workers;

	if (!n)
		n = (unsigned)mf_min(mf_thread_cpus(), AUTO_MAX);
	return (unsigned)mf_min(n, MF_WORKERS_MAX);
}

mf_err mf_workers_init(struct mf_daemon *d, struct mf_errbuf *eb)
{
	d->workers = calloc(d->n_workers, sizeof(*d->workers));
	if (!d->workers)
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	for (unsigned i = 0; i < d->n_workers; i++) {
		struct mf_worker_thread *t = &d->workers[i];

		t->daemon = d;
		t->index = i;
		t->poller = mf_poller_new();
		if (!t->poller)
			return mf_fail(eb, MF_E_SYSTEM, "out of file descriptors");
	}
	return MF_OK;
}

void mf_workers_fini(struct mf_daemon *d)
{
	for (unsigned i = 0; d->workers && i < d->n_workers; i++)
		mf_poller_free(d->workers[i].poller);
	free(d->workers);
	d->workers = NULL;
}

void mf_workers_wake(void *ctx, unsigned index)
{
	struct mf_daemon *d = ctx;

	mf_poller_wake(d->workers[index].poller);
}

mf_err mf_input_add(struct mf_input *in, struct mf_worker_thread *t, int fd)
{
	in->thread = t;
	in->fd = fd;
	in->hot = false;
	atomic_fetch_add(&t->n_inputs, 1);
	return mf_poller_add(t->poller, fd, (uint64_t)(uintptr_t)in, MF_POLL_READ);
}

mf_err mf_input_watch(struct mf_input *in, struct mf_worker_thread *t, int fd, uint32_t want)
{
	in->thread = t;
	in->fd = fd;
	return mf_poller_add(t->poller, fd, (uint64_t)(uintptr_t)in, want);
}

void mf_input_remove(struct mf_input *in)
{
	atomic_fetch_sub(&in->thread->n_inputs, 1);
	mf_poller_remove(in->thread->poller, in->fd);
	in->hot = false;
}

void mf_workers_look(struct mf_worker_thread *t, mf_nsec timeout)
{
	struct mf_poll_event ev[MF_POLL_EVENTS_MAX];
	size_t n = mf_poller_wait(t->poller, ev, MF_POLL_EVENTS_MAX, timeout);

	for (size_t i = 0; i < n; i++) {
		struct mf_input *in = (struct mf_input *)(uintptr_t)ev[i].token;

		if (in->ready) {
			in->ready(in, ev[i].ready);
			continue;
		}
		in->hot = true;
		if ((ev[i].ready & MF_POLL_ERROR) && in->broken)
			in->broken(in);
	}
	mf_direct_look(t->direct);
}

static void run(void *arg)
{
	struct mf_worker_thread *t = arg;
	struct mf_worker *w = t->worker;
	bool busy = false;
	mf_nsec now, deadline;

	while (!atomic_load_explicit(&t->daemon->stop_workers, memory_order_relaxed)) {
		now = mf_clock_now();
		if (mf_worker_pass(w, now)) {
			/* After the first pass there is nothing to look at: the next one ends it or not. */
			if (busy)
				mf_workers_look(t, 0);
			busy = true;
			continue;
		}
		busy = false;
		if (!mf_worker_sleep(w, &deadline))
			continue;
		mf_workers_look(t, deadline == MF_NEVER ? MF_NEVER
				   : deadline > now     ? deadline - now
							: 0);
		mf_worker_wake(w);
	}
}

mf_err mf_workers_start(struct mf_daemon *d, struct mf_errbuf *eb)
{
	d->workers_run = true;
	for (unsigned i = 0; i < d->n_workers; i++) {
		struct mf_worker_thread *t = &d->workers[i];
		char name[16];

		snprintf(name, sizeof(name), "mf-worker-%hhu", (uint8_t)i);
		t->worker = mf_engine_worker(d->engine, i);
		t->thread = mf_thread_start(name, -1, run, t);
		if (!t->thread)
			return mf_fail(eb, MF_E_SYSTEM, "cannot start a thread");
	}
	return MF_OK;
}

void mf_workers_stop(struct mf_daemon *d)
{
	atomic_store(&d->stop_workers, true);
	for (unsigned i = 0; d->workers && i < d->n_workers; i++)
		mf_workers_wake(d, i);
	for (unsigned i = 0; d->workers && i < d->n_workers; i++) {
		mf_thread_join(d->workers[i].thread);
		d->workers[i].thread = NULL;
	}
	d->workers_run = false;
}
