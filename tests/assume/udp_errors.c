/* SPDX-License-Identifier: Apache-2.0
 *
 * IP_RECVERR on a UDP socket that is not connected: an ICMP error is in its error queue with the datagram's
 * destination and the sender of the error, wakes a poller with POLLERR, and makes one later call fail that
 * has nothing to do with it; that call's datagram is not sent, and the next try is. What is longer than the
 * MTU is refused with EMSGSIZE when don't-fragment is set, and the local error has the MTU but no port; the
 * same datagram goes out in fragments after IP_PMTUDISC_DONT.
 */
#include <time.h>

#include <linux/errqueue.h>

#include "assume.h"

struct error {
	struct sockaddr_in to, by;
	struct sock_extended_err ee;
};

static bool next_error(int fd, struct error *e)
{
	uint8_t control[512], b[64];
	struct iovec iov = { b, sizeof(b) };
	struct msghdr m = { .msg_name = &e->to,
			    .msg_namelen = sizeof(e->to),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };

	memset(e, 0, sizeof(*e));
	if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) {
			memcpy(&e->ee, CMSG_DATA(c), sizeof(e->ee));
			memcpy(&e->by, CMSG_DATA(c) + sizeof(e->ee), sizeof(e->by));
			return true;
		}
	return false;
}

static void wait_error(int fd)
{
	struct pollfd pfd = { .fd = fd };

	ASSUME(poll(&pfd, 1, 5000) == 1 && pfd.revents & POLLERR, "no POLLERR");
}

static void refused(int fd, int live)
{
	struct error e;
	char b;

	ASSUME(assume_send(fd, "x", 1, "127.0.0.2", 9) == 1, "%s", strerror(errno));
	wait_error(fd);
	ASSUME(assume_send(fd, "y", 1, "127.0.0.1", 4000) < 0 && errno == ECONNREFUSED,
	       "the error of another datagram was not told to the next call");
	ASSUME(recv(live, &b, 1, 0) < 0 && errno == EAGAIN, "it was sent in spite of the error");
	ASSUME(assume_send(fd, "z", 1, "127.0.0.1", 4000) == 1, "told twice: %s", strerror(errno));
	ASSUME(assume_readable(live, 5000) && recv(live, &b, 1, 0) == 1 && b == 'z', "lost");
	ASSUME(next_error(fd, &e), "nothing in the error queue");
	ASSUME(e.ee.ee_origin == SO_EE_ORIGIN_ICMP && e.ee.ee_type == 3 && e.ee.ee_code == 3,
	       "origin %u type %u code %u", e.ee.ee_origin, e.ee.ee_type, e.ee.ee_code);
	ASSUME(e.to.sin_addr.s_addr == htonl(0x7f000002) && e.to.sin_port == htons(9),
	       "another destination");
	ASSUME(e.by.sin_addr.s_addr == htonl(0x7f000002), "another sender");
	ASSUME(!next_error(fd, &e), "two errors");
}

static void too_big(int fd, int live)
{
	static uint8_t data[3000], got[4000];
	struct error e;

	assume_run("ip link set lo mtu 1400");
	ASSUME(assume_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO) == 0, "%s",
	       strerror(errno));
	ASSUME(assume_send(fd, data, sizeof(data), "127.0.0.1", 4000) < 0 && errno == EMSGSIZE,
	       "sent, or %s", strerror(errno));
	ASSUME(next_error(fd, &e), "nothing in the error queue");
	ASSUME(e.ee.ee_origin == SO_EE_ORIGIN_LOCAL && e.ee.ee_errno == EMSGSIZE &&
		       e.ee.ee_info == 1400,
	       "origin %u, errno %u, info %u", e.ee.ee_origin, e.ee.ee_errno, e.ee.ee_info);
	ASSUME(e.to.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && e.to.sin_port == 0,
	       "the port is known: it need not be remembered");
	ASSUME(assume_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT) == 0, "%s",
	       strerror(errno));
	ASSUME(assume_send(fd, data, sizeof(data), "127.0.0.1", 4000) == sizeof(data), "%s",
	       strerror(errno));
	ASSUME(assume_readable(live, 5000) && recv(live, got, sizeof(got), 0) == sizeof(data),
	       "the fragments did not come together");
}

int main(void)
{
	const char *cannot = netns_enter();
	int fd, live;

	if (cannot)
		assume_skip(cannot);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	live = assume_udp("127.0.0.1", 4000);
	ASSUME(assume_set(fd, IPPROTO_IP, IP_RECVERR, 1) == 0, "%s", strerror(errno));
	refused(fd, live);
	too_big(fd, live);
	printf("errors name their datagram, and stop one call\n");
	return 0;
}
