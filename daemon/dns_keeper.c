/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/dns_keeper.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/sandbox.h"

struct keeper {
	int socket;
	struct mf_log last_words;
	struct mf_log log; /* through the socket */
	struct mf_sysdns *dns;
};

/* ---- Messages -------------------------------------------------------------------------------- */

static bool answer(const struct keeper *k, const struct mf_dns_answer *a)
{
	return send(k->socket, a, sizeof(*a), MSG_NOSIGNAL) == (ssize_t)sizeof(*a);
}

static void write_line(void *ctx, enum mf_log_level level, const char *line)
{
	struct keeper *k = ctx;
	struct mf_dns_answer a = { .kind = MF_DNS_LINE, .level = (uint32_t)level };

	snprintf(a.text, sizeof(a.text), "%s", line);
	if (!answer(k, &a))
		mf_logf(&k->last_words, level, "%s", line);
}

/* The name gets into a file that others read. */
static bool is_name(const char name[16])
{
	size_t n = strnlen(name, 16);

	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)name[i]))
			return false;
	return n > 0 && n < 16;
}

static bool is_sound(const struct mf_dns_request *r)
{
	const struct mf_sysdns_want *w = &r->want;

	if (r->kind != MF_DNS_SET)
		return r->kind == MF_DNS_UNSET || r->kind == MF_DNS_CHECK;
	return (w->way == MF_SYSDNS_AUTO || w->way == MF_SYSDNS_RESOLVED ||
		w->way == MF_SYSDNS_RESOLV_CONF) &&
	       w->ifindex > 0 && w->ifindex <= INT32_MAX && is_name(w->tunnel) &&
	       (w->server.family == MF_AF_IP4 || w->server.family == MF_AF_IP6);
}

static void handle(struct keeper *k, const struct mf_dns_request *r)
{
	struct mf_dns_answer done = { .kind = MF_DNS_DONE };
	mf_nsec now = mf_clock_now();

	if (r->kind == MF_DNS_SET)
		mf_sysdns_set(k->dns, &r->want, now);
	else if (r->kind == MF_DNS_UNSET)
		mf_sysdns_unset(k->dns);
	else
		mf_sysdns_check(k->dns, now);
	(void)answer(k, &done);
}

/* False: the other side has ended, or is not what it should be. */
static bool serve_one(struct keeper *k)
{
	struct mf_dns_request r;
	ssize_t n = recv(k->socket, &r, sizeof(r), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n != (ssize_t)sizeof(r) || !is_sound(&r))
		return false;
	handle(k, &r);
	return true;
}

/* ---- Process --------------------------------------------------------------------------------- */

/* It ends with the socket, not by a signal that is sent to all of a group, a service or a terminal:
 * systemd's watchdog sends SIGABRT. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT, SIGPIPE };

	for (size_t i = 0; i < MF_ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	(void)setsid();
}

/* Others wait for the end of our standard output, and hold directories free. */
static void let_go(int socket)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	(void)close_range(STDERR_FILENO + 1, (unsigned)socket - 1, 0);
	(void)close_range((unsigned)socket + 1, ~0u, 0);
	(void)!chdir("/");
	umask(022);
}

/* In milliseconds, rounded up. */
static int wait_until(mf_nsec due, mf_nsec now)
{
	return due == MF_NEVER ? -1 : due <= now ? 0 : (int)((due - now + MF_MSEC - 1) / MF_MSEC);
}

static void serve(struct keeper *k)
{
	struct pollfd p[2] = { { .fd = k->socket, .events = POLLIN },
			       { .fd = mf_sysdns_fd(k->dns), .events = POLLIN } };

	for (;;) {
		mf_nsec now = mf_clock_now(), due = mf_sysdns_run(k->dns, now);

		if (poll(p, 2, wait_until(due, now)) < 0 && errno != EINTR)
			return;
		if (p[0].revents && !serve_one(k))
			return;
	}
}

_Noreturn void mf_dns_keeper_run(int socket, const struct mf_log *log)
{
	struct keeper k = { .socket = socket, .last_words = *log };
	struct mf_sandbox_options powers = { .files = true };
	struct mf_errbuf eb;

	k.log = (struct mf_log){ .write = write_line, .ctx = &k, .level = log->level };
	(void)prctl(PR_SET_NAME, "mintflow-dns", 0, 0, 0);
	ignore_signals();
	let_go(socket);
	k.dns = mf_sysdns_new(NULL, &k.log);
	if (k.dns && mf_sandbox_enter(&powers, &eb))
		mf_logf(&k.log, MF_LOG_WARN, "%s", eb.text);
	if (!k.dns)
		_exit(1);
	serve(&k);
	mf_sysdns_free(k.dns);
	_exit(0);
}
