/* SPDX-License-Identifier: Apache-2.0
 *
 * poller - epoll and an eventfd.
 */
#include "platform/poller.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct mf_poller {
	int epoll;
	int wake;
	bool no_pwait2; /* kernel before 5.11 */
};

/* The wake-up's token: no descriptor of the caller's is compared with it, see `wanted`. */
static const uint64_t WAKE_TOKEN = UINT64_MAX;

struct mf_poller *mf_poller_new(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = WAKE_TOKEN };
	struct mf_poller *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->epoll < 0 || p->wake < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->wake, &ev) < 0) {
		mf_poller_free(p);
		return NULL;
	}
	return p;
}

void mf_poller_free(struct mf_poller *p)
{
	if (!p)
		return;
	if (p->epoll >= 0)
		close(p->epoll);
	if (p->wake >= 0)
		close(p->wake);
	free(p);
}

static mf_err control(struct mf_poller *p, int op, int fd, uint64_t token, uint32_t want)
{
	struct epoll_event ev = { .data.u64 = token };

	MF_ASSERT(token != WAKE_TOKEN);
	if (want & MF_POLL_READ)
		ev.events |= EPOLLIN;
	if (want & MF_POLL_WRITE)
		ev.events |= EPOLLOUT;
	if (want & MF_POLL_END)
		ev.events |= EPOLLRDHUP | EPOLLPRI;
	if (want & MF_POLL_EDGE)
		ev.events |= EPOLLET;
	if (epoll_ctl(p->epoll, op, fd, &ev) == 0)
		return MF_OK;
	return errno == EEXIST ? MF_E_EXISTS : errno == ENOENT ? MF_E_NOT_FOUND : MF_E_SYSTEM;
}

mf_err mf_poller_add(struct mf_poller *p, int fd, uint64_t token, uint32_t want)
{
	return control(p, EPOLL_CTL_ADD, fd, token, want);
}

mf_err mf_poller_change(struct mf_poller *p, int fd, uint64_t token, uint32_t want)
{
	return control(p, EPOLL_CTL_MOD, fd, token, want);
}

void mf_poller_remove(struct mf_poller *p, int fd)
{
	struct epoll_event ev = { 0 };

	(void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, &ev);
}

/* Rounded up: a wait that ends early makes the caller look at its timers for nothing. */
static int wait_msec(struct mf_poller *p, struct epoll_event *ev, int max, mf_nsec timeout)
{
	int ms = -1;

	if (timeout != MF_NEVER)
		ms = (int)mf_min((timeout + MF_MSEC - 1) / MF_MSEC, 86400 * 1000);
	return epoll_wait(p->epoll, ev, max, ms);
}

static int wait_nsec(struct mf_poller *p, struct epoll_event *ev, int max, mf_nsec timeout)
{
	struct timespec ts;
	int n;

	if (p->no_pwait2)
		return wait_msec(p, ev, max, timeout);
	if (timeout != MF_NEVER)
		ts = (struct timespec){ .tv_sec = (time_t)(timeout / MF_SEC),
					.tv_nsec = (long)(timeout % MF_SEC) };
	n = epoll_pwait2(p->epoll, ev, max, timeout == MF_NEVER ? NULL : &ts, NULL);
	if (n >= 0 || errno != ENOSYS)
		return n;
	p->no_pwait2 = true;
	return wait_msec(p, ev, max, timeout);
}

static uint32_t ready_of(uint32_t events)
{
	return (events & EPOLLIN ? MF_POLL_READ : 0u) | (events & EPOLLOUT ? MF_POLL_WRITE : 0u) |
	       (events & (EPOLLERR | EPOLLHUP) ? MF_POLL_ERROR : 0u) |
	       (events & EPOLLERR ? MF_POLL_FAULT : 0u) | (events & EPOLLRDHUP ? MF_POLL_END : 0u) |
	       (events & EPOLLPRI ? MF_POLL_URGENT : 0u);
}

size_t mf_poller_wait(struct mf_poller *p, struct mf_poll_event *out, size_t max, mf_nsec timeout)
{
	struct epoll_event ev[MF_POLL_EVENTS_MAX];
	int n = wait_nsec(p, ev, (int)mf_min(max, MF_POLL_EVENTS_MAX), timeout);
	size_t filled = 0;

	for (int i = 0; i < n; i++) {
		uint64_t sink;

		if (ev[i].data.u64 == WAKE_TOKEN) {
			(void)!read(p->wake, &sink, sizeof(sink));
			continue;
		}
		out[filled++] = (struct mf_poll_event){ ev[i].data.u64, ready_of(ev[i].events) };
	}
	return filled;
}

void mf_poller_wake(struct mf_poller *p)
{
	static const uint64_t one = 1;
	int saved = errno; /* for signal handlers */

	(void)!write(p->wake, &one, sizeof(one));
	errno = saved;
}
