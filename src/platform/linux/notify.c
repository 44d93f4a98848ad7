/* SPDX-License-Identifier: Apache-2.0
 *
 * notify - the service manager's datagram protocol, see sd_notify(3) under "Notes". By hand, because
 * it is a sendmsg and libsystemd is not needed for anything else.
 */
#include "platform/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

/* Path, or abstract with '@' in front. False: no socket, or one that cannot be. */
static bool address(struct sockaddr_un *sa, socklen_t *len)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (n < 2 || n >= sizeof(sa->sun_path) || (path[0] != '/' && path[0] != '@'))
		return false;
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(sa->sun_path, path, n);
	if (path[0] == '@')
		sa->sun_path[0] = '\0';
	/* An abstract name ends with the length, a path with its NUL. */
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
	return true;
}

mf_err mf_notify(const char *state)
{
	struct sockaddr_un sa;
	socklen_t len;
	ssize_t n;
	int fd;

	if (!address(&sa, &len))
		return MF_OK;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return MF_E_SYSTEM;
	n = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa, len);
	close(fd);
	return n == (ssize_t)strlen(state) ? MF_OK : MF_E_SYSTEM;
}

mf_err mf_notify_ready(const char *status)
{
	char text[LINE_MAX_BYTES];

	snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
	return mf_notify(text);
}

mf_err mf_notify_reloading(void)
{
	char text[LINE_MAX_BYTES];
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)ts.tv_sec * 1000000 + (unsigned long long)ts.tv_nsec / 1000);
	return mf_notify(text);
}

mf_err mf_notify_stopping(void)
{
	return mf_notify("STOPPING=1");
}

mf_err mf_notify_status(const char *fmt, ...)
{
	char text[LINE_MAX_BYTES] = "STATUS=";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + 7, sizeof(text) - 7, fmt, ap);
	va_end(ap);
	return mf_notify(text);
}

mf_nsec mf_notify_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long v;

	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return MF_NEVER;
	v = strtoull(usec, NULL, 10);
	return v ? (mf_nsec)v * MF_USEC / 2 : MF_NEVER;
}
