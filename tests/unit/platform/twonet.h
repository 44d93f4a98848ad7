/* SPDX-License-Identifier: Apache-2.0
 *
 * twonet - two namespaces of the test's own: `here`, where the test runs, and `there`, which stands for the
 * internet.
 *
 *	here                                         there (forwards; 10.9.6.0/24 behind w1, 10.9.7.0/24 unreachable)
 *	v0 10.9.0.1/24 fd09::1/64 ────────── v1 10.9.0.2/24 fd09::2/64, lo: 10.9.1.1 fd09:1::1
 *	w0 10.8.0.1/24 ───────────────────── w1 10.8.0.2/24
 *	default via v0
 */
#ifndef MF_UNIT_TWONET_H
#define MF_UNIT_TWONET_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

#include "base/addr.h"
#include "netns.h"

static int twonet_here, twonet_there;

static inline bool twonet_go(int ns)
{
	return setns(ns, CLONE_NEWNET) == 0;
}

static inline bool twonet_run(int ns, const char *command)
{
	bool ok = twonet_go(ns) && system(command) == 0;

	return twonet_go(twonet_here) && ok;
}

static inline int twonet_self(void)
{
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* NULL, or why it cannot be. */
static inline const char *twonet_make(void)
{
	const char *cannot = netns_enter_with_tun();
	char command[512];
	bool ok;

	if (cannot)
		return cannot;
	twonet_here = twonet_self();
	if (netns_enter())
		return "a second namespace cannot be made";
	twonet_there = twonet_self();
	ok = netns_sysctl("net/ipv4/ip_forward", "1") &&
	     netns_sysctl("net/ipv4/icmp_ratemask", "0") && twonet_go(twonet_here);
	snprintf(command, sizeof(command),
		 "for i in v w; do ip link add ${i}0 type veth peer name ${i}1 && "
		 "ip link set ${i}1 netns /proc/%d/fd/%d || exit 1; done",
		 (int)getpid(), twonet_there);
	ok = ok && twonet_run(twonet_here, command) &&
	     twonet_run(twonet_there,
			"ip addr add 10.9.0.2/24 dev v1 && ip addr add fd09::2/64 dev v1 nodad && "
			"ip addr add 10.8.0.2/24 dev w1 && ip addr add 10.9.1.1/32 dev lo && "
			"ip addr add fd09:1::1/128 dev lo && ip link set v1 up && ip link set w1 "
			"up && ip route add unreachable 10.9.7.0/24 && ip route add "
			"10.9.6.0/24 dev w1") &&
	     twonet_run(twonet_here,
			"ip addr add 10.9.0.1/24 dev v0 && ip addr add fd09::1/64 dev v0 nodad && "
			"ip addr add 10.8.0.1/24 dev w0 && ip link set v0 up && ip link set w0 up "
			"&& ip route add default via 10.9.0.2 && ip route add default via fd09::2");
	return ok ? NULL : "veth pairs cannot be made";
}

static inline struct mf_endpoint twonet_at(const char *address, uint16_t port)
{
	struct mf_endpoint e = { .port = port };

	if (mf_addr_parse(&e.addr, address))
		abort();
	return e;
}

/* A socket there, bound to the address (any port) and listening if it is a stream; *port is its port. */
static inline int twonet_server(int type, const char *address, uint16_t *port)
{
	struct sockaddr_in6 sa6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in sa4 = { .sin_family = AF_INET };
	bool ip4 = inet_pton(AF_INET, address, &sa4.sin_addr) == 1;
	struct sockaddr *sa = ip4 ? (struct sockaddr *)&sa4 : (struct sockaddr *)&sa6;
	socklen_t len = ip4 ? sizeof(sa4) : sizeof(sa6);
	bool ok = ip4 || inet_pton(AF_INET6, address, &sa6.sin6_addr) == 1;
	int fd, one = 1;

	ok = ok && twonet_go(twonet_there);
	fd = socket(ip4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
	ok = ok && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	     bind(fd, sa, len) == 0 && getsockname(fd, sa, &len) == 0;
	ok = ok && (type != SOCK_STREAM || listen(fd, 1024) == 0);
	*port = ntohs(ip4 ? sa4.sin_port : sa6.sin6_port);
	if (!twonet_go(twonet_here) || !ok)
		abort();
	return fd;
}

#endif
