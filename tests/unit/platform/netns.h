/* SPDX-License-Identifier: Apache-2.0
 *
 * netns - a network namespace of the test's own, which ends with the process: tests may make devices
 * and routes as they like and have nothing to clean up.
 */
#ifndef MF_UNIT_NETNS_H
#define MF_UNIT_NETNS_H

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Moves the calling thread into a new namespace with loopback up. NULL, or why that cannot be done. */
static inline const char *netns_enter(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	const char *why = NULL;
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return "network namespaces need root";
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return "this kernel has no IPv4";
	ifr.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		why = "cannot set loopback up";
	close(fd);
	return why;
}

static inline const char *netns_enter_with_tun(void)
{
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return "/dev/net/tun is missing";
	return netns_enter();
}

/* Writes a line to a file under /proc/sys. */
static inline bool netns_sysctl(const char *path, const char *value)
{
	char name[256];
	int fd;
	bool ok;

	snprintf(name, sizeof(name), "/proc/sys/%s", path);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return ok;
}

#endif
