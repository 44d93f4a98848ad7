/* SPDX-License-Identifier: Apache-2.0
 *
 * workers - the threads that run the engine's workers, and what they sleep on.
 *
 * An input (a TUN queue, a UDP socket) is *hot* from the moment the poller reports it until a read finds
 * it drained; only hot inputs are read. So a packet on an idle machine costs one wake-up and no system
 * call that returns nothing but the read that finds the end, and a busy worker asks for all cold inputs
 * with one call.
 */
#ifndef MF_DAEMON_WORKERS_H
#define MF_DAEMON_WORKERS_H

#include "daemon/internal.h"

struct mf_direct;

struct mf_worker_thread {
	struct mf_daemon *daemon;
	unsigned index;
	struct mf_thread *thread; /* NULL: not started */
	struct mf_poller *poller;
	struct mf_worker *worker;
	struct mf_direct *direct; /* its sockets to the local internet; NULL: none */
	atomic_uint n_inputs;
};

/* What a worker reads from. Belongs to the worker's thread once it has been added; its address is the
 * poller's token, so it may only go away between two looks at the poller: not in the functions below. */
struct mf_input {
	struct mf_worker_thread *thread;
	int fd;
	bool hot;
	/* What the poller says of it (enum mf_poll_ready). Worker's thread. NULL: it becomes hot. */
	void (*ready)(struct mf_input *in, uint32_t events);
	/* The descriptor of an input without `ready` reports an error. May be NULL. */
	void (*broken)(struct mf_input *in);
};

/* How many workers a machine with this profile should have; 1..MF_WORKERS_MAX. */
unsigned mf_workers_wanted(const struct mf_daemon *d, const struct mf_config *cfg);

/* Makes the pollers of d->n_workers workers. */
MF_MUST_CHECK mf_err mf_workers_init(struct mf_daemon *d, struct mf_errbuf *eb);
/* Starts the threads; the engine's workers have their TUN queues by now. */
MF_MUST_CHECK mf_err mf_workers_start(struct mf_daemon *d, struct mf_errbuf *eb);
/* Stops and joins those that run. */
void mf_workers_stop(struct mf_daemon *d);
void mf_workers_fini(struct mf_daemon *d);

/* Waits for events, for `timeout` at most, and hands them to their inputs. Worker's thread. */
void mf_workers_look(struct mf_worker_thread *t, mf_nsec timeout);

/* As struct mf_engine_host wants it; ctx is the daemon. Any thread. */
void mf_workers_wake(void *ctx, unsigned index);

/* Main thread, also while the worker runs: it starts cold. */
MF_MUST_CHECK mf_err mf_input_add(struct mf_input *in, struct mf_worker_thread *t, int fd);
/* The same for an input with `ready` that is one of thousands: waits for `want` (enum mf_poll_ready) and does
 * not count as an input that keeps packets. Worker's thread; closing the descriptor takes it back. */
MF_MUST_CHECK mf_err mf_input_watch(struct mf_input *in, struct mf_worker_thread *t, int fd,
				    uint32_t want);
/* Worker's thread, or any when it does not run. */
void mf_input_remove(struct mf_input *in);

#endif
