/* SPDX-License-Identifier: Apache-2.0
 *
 * poller - what a thread sleeps on: descriptors, a deadline, and a wake-up from other threads.
 */
#ifndef MF_PLATFORM_POLLER_H
#define MF_PLATFORM_POLLER_H

#include "base/err.h"

enum mf_poll_ready {
	MF_POLL_READ = 1 << 0,
	MF_POLL_WRITE = 1 << 1,
	MF_POLL_ERROR = 1 << 2,  /* error or hang-up; reported whether asked for or not */
	MF_POLL_END = 1 << 3,    /* the other side sends no more (there may be bytes before that) */
	MF_POLL_FAULT = 1 << 5,  /* with ERROR: not a hang-up, an error waits in the socket */
	MF_POLL_URGENT = 1 << 6, /* with END: a read will stop before an urgent byte */
	/* Only asked for: reported once when it becomes so, not as long as it is so. */
	MF_POLL_EDGE = 1 << 4,
};

struct mf_poll_event {
	uint64_t token; /* as given to mf_poller_add */
	uint32_t ready; /* enum mf_poll_ready */
};

struct mf_poller;

/* NULL: out of descriptors. All functions but mf_poller_wake belong to one thread. */
struct mf_poller *mf_poller_new(void);
void mf_poller_free(struct mf_poller *p);

/* Level-triggered unless MF_POLL_EDGE is wanted; what is ready by now is reported in either case. The
 * descriptor stays the caller's. Remove it before closing it, or close it: the kernel forgets a socket
 * whose last descriptor is closed, but no event of it may be waiting in the caller's hands then. */
MF_MUST_CHECK mf_err mf_poller_add(struct mf_poller *p, int fd, uint64_t token, uint32_t want);
MF_MUST_CHECK mf_err mf_poller_change(struct mf_poller *p, int fd, uint64_t token, uint32_t want);
void mf_poller_remove(struct mf_poller *p, int fd);

/* Events that one wait returns at most. */
enum { MF_POLL_EVENTS_MAX = 128 };

/* Waits until something is ready, mf_poller_wake was called or `timeout` has passed (0: only looks;
 * MF_NEVER: no limit). Returns the number of events, 0 for a wake-up, a signal or the time-out. */
size_t mf_poller_wait(struct mf_poller *p, struct mf_poll_event *out, size_t max, mf_nsec timeout);

/* Makes a wait that is going on, or the next one, return. Any thread; safe in a signal handler. */
void mf_poller_wake(struct mf_poller *p);

#endif
