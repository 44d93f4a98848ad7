/* SPDX-License-Identifier: Apache-2.0
 *
 * sysdns - the two ways together: which of them, when to look again, and what the log is told.
 */
#include "platform/sysdns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "platform/linux/sysdns_priv.h"

/* Whoever writes the file line by line is let finish; not for ever. */
#define QUIET (200 * MF_MSEC)
#define LATE  (1 * MF_SEC)

enum { ROUNDS = 3 };

struct mf_sysdns {
	struct mf_log log;
	struct mf_resolvconf *file;
	struct mf_resolve1 *resolved;
	int epoll;
	int wake; /* the clock jumps when the machine wakes up */
	int bus;  /* that is in `epoll`; -1: none */
	bool wanted;
	struct mf_sysdns_want want;
	mf_nsec look_at, look_latest; /* after a change of the file; MF_NEVER: none */
	char said[600];               /* to the log last: not twice the same */
};

/* ---- Log ------------------------------------------------------------------------------------- */

static void say(struct mf_sysdns *s, enum mf_log_level level, const char *text)
{
	if (strcmp(s->said, text) == 0)
		return;
	snprintf(s->said, sizeof(s->said), "%s", text);
	mf_logf(&s->log, level, "%s", text);
}

/* One line for all of it. `why`: what failed, if anything did. */
static void tell(struct mf_sysdns *s, bool resolved, bool file, const char *why)
{
	char server[MF_ADDR_STRLEN], text[sizeof(s->said)];
	const char *ways = resolved && file ? "systemd-resolved and resolv.conf"
			   : resolved       ? "systemd-resolved"
					    : "resolv.conf";

	mf_addr_format(&s->want.server, server);
	if (resolved || file)
		snprintf(text, sizeof(text),
			 "the machine's programs ask MintFlow for names, at %s (%s)%s%s", server,
			 ways, *why ? "; but " : "", why);
	else
		snprintf(text, sizeof(text),
			 "%s; the machine's programs ask for names as before, and only what of "
			 "that enters the tunnel is answered by MintFlow",
			 why);
	say(s, *why ? MF_LOG_WARN : MF_LOG_INFO, text);
}

/* ---- What is wished -------------------------------------------------------------------------- */

/* The bus may have been opened or closed since. */
static void watch_bus(struct mf_sysdns *s)
{
	int fd = mf_resolve1_fd(s->resolved);
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (fd < 0 || (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) && errno != EEXIST))
		fd = -1;
	s->bus = fd;
}

/* False, and no word in `why`, where systemd-resolved does not run and nobody asked for it. */
static bool apply_resolved(struct mf_sysdns *s, struct mf_errbuf *why)
{
	mf_err err;

	if (s->want.way == MF_SYSDNS_RESOLV_CONF) {
		mf_resolve1_unset(s->resolved);
		return false;
	}
	err = mf_resolve1_set(s->resolved, s->want.ifindex, &s->want.server, why);
	watch_bus(s);
	if (err == MF_E_NOT_FOUND && s->want.way == MF_SYSDNS_AUTO)
		why->text[0] = '\0';
	return !err;
}

/* Where resolv.conf leads to systemd-resolved it says all that is to say. */
static bool needs_file(const struct mf_sysdns *s, bool resolved)
{
	return s->want.way == MF_SYSDNS_RESOLV_CONF ||
	       (s->want.way == MF_SYSDNS_AUTO && !(resolved && mf_resolvconf_leads_to_stub(s->file)));
}

static void apply(struct mf_sysdns *s, bool asked, mf_nsec now)
{
	struct mf_errbuf why = { .text = "" }, file_why = { .text = "" };
	bool resolved = apply_resolved(s, &why), file = false, was;
	mf_err err = MF_OK;

	if (needs_file(s, resolved)) {
		err = mf_resolvconf_apply(s->file, s->want.tunnel, &s->want.server, asked, now,
					  &file_why);
		file = !err;
	} else {
		err = mf_resolvconf_undo(s->file, &was, &file_why);
	}
	mf_resolvconf_watch(s->file);
	if (err == MF_E_FULL)
		s->said[0] = '\0'; /* the log knows; what comes next is news */
	else
		tell(s, resolved, file, *why.text ? why.text : file_why.text);
}

void mf_sysdns_set(struct mf_sysdns *s, const struct mf_sysdns_want *want, mf_nsec now)
{
	s->wanted = true;
	s->want = *want;
	apply(s, true, now);
}

void mf_sysdns_check(struct mf_sysdns *s, mf_nsec now)
{
	if (s->wanted)
		apply(s, true, now);
}

void mf_sysdns_unset(struct mf_sysdns *s)
{
	struct mf_errbuf eb;
	bool was;

	if (!s->wanted)
		return;
	s->wanted = false;
	s->look_at = MF_NEVER;
	mf_resolve1_unset(s->resolved);
	watch_bus(s);
	if (mf_resolvconf_undo(s->file, &was, &eb))
		say(s, MF_LOG_ERROR, eb.text);
	else
		say(s, MF_LOG_INFO, "the machine's programs ask for names as before");
}

/* ---- What others do -------------------------------------------------------------------------- */

/* A timer that fires in the year 2242, but is cancelled when the clock is set, which waking up
 * does. */
static void arm_wake(int fd)
{
	struct itimerspec never = { .it_value.tv_sec = (time_t)1 << 33 };

	(void)timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static bool woke(struct mf_sysdns *s)
{
	uint64_t times;

	if (read(s->wake, &times, sizeof(times)) >= 0 || errno != ECANCELED)
		return false;
	arm_wake(s->wake);
	return true;
}

mf_nsec mf_sysdns_run(struct mf_sysdns *s, mf_nsec now)
{
	bool again = woke(s);

	again = mf_resolve1_events(s->resolved) || again;
	watch_bus(s);
	if (mf_resolvconf_events(s->file) && s->wanted) {
		if (s->look_at == MF_NEVER)
			s->look_latest = now + LATE;
		s->look_at = mf_min(now + QUIET, s->look_latest);
	}
	/* What was told while we waited for an answer of the bus makes its descriptor readable no
	 * more. */
	for (int i = 0; again && i < ROUNDS; i++) {
		mf_sysdns_check(s, now);
		again = mf_resolve1_events(s->resolved);
		watch_bus(s);
	}
	if (s->look_at <= now) {
		s->look_at = MF_NEVER;
		apply(s, false, now);
	}
	return s->look_at;
}

int mf_sysdns_fd(const struct mf_sysdns *s)
{
	return s->epoll;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static bool watch(const struct mf_sysdns *s, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return fd < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static void release(struct mf_sysdns *s)
{
	mf_resolve1_free(s->resolved);
	mf_resolvconf_free(s->file);
	if (s->wake >= 0)
		close(s->wake);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s);
}

struct mf_sysdns *mf_sysdns_new(const char *path, const struct mf_log *log)
{
	struct mf_sysdns *s = calloc(1, sizeof(*s));
	struct mf_errbuf eb;
	bool done;

	if (!s)
		return NULL;
	s->log = *log;
	s->look_at = MF_NEVER;
	s->bus = -1;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->wake = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	s->file = mf_resolvconf_new(path, log);
	s->resolved = mf_resolve1_new();
	if (s->epoll < 0 || !s->file || !s->resolved || !watch(s, s->wake) ||
	    !watch(s, mf_resolvconf_fd(s->file))) {
		release(s);
		return NULL;
	}
	if (s->wake >= 0)
		arm_wake(s->wake);
	watch_bus(s);
	/* A live process's is none of our business yet. */
	if (mf_resolvconf_repair(s->file, &done, &eb) == MF_E_SYSTEM)
		say(s, MF_LOG_ERROR, eb.text);
	else if (done)
		mf_logf(log, MF_LOG_WARN,
			"resolv.conf is put back: a run was killed before it could");
	return s;
}

void mf_sysdns_free(struct mf_sysdns *s)
{
	if (!s)
		return;
	mf_sysdns_unset(s);
	release(s);
}

mf_err mf_sysdns_repair(const char *path, bool *done, struct mf_errbuf *eb)
{
	static const struct mf_log nobody = { .level = MF_LOG_ERROR };
	struct mf_resolvconf *f = mf_resolvconf_new(path, &nobody);
	mf_err err;

	*done = false;
	if (!f)
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	err = mf_resolvconf_repair(f, done, eb);
	mf_resolvconf_free(f);
	return err;
}
