/* SPDX-License-Identifier: Apache-2.0
 *
 * A socket that is bound to a device, or a datagram that names one, never leaves through the tunnel,
 * whatever the routes say: neither under auto_route's rule, nor when the main table itself leads there. A
 * mark alone keeps out only while the rule is there. Binding needs no capability the first time, and
 * CAP_NET_RAW to be changed.
 *
 *	10.9.0.1 v0 ── v1 10.9.0.2 (the device that is meant)      a0: a TUN device, which is read here
 */
#include <linux/capability.h>
#include <sys/syscall.h>

#include "assume.h"

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif

enum { MARK = 0x4d460000, PORT = 4000 };

static int tun;

/* Does a UDP packet to PORT come out of the tunnel? */
static bool in_the_tunnel(void)
{
	uint8_t buf[2000];
	bool found = false;
	ssize_t n;

	while ((n = read(tun, buf, sizeof(buf))) > 0)
		found |= n > 24 && buf[0] == 0x45 && buf[9] == IPPROTO_UDP &&
			 assume_be16(buf + 22) == PORT;
	return found;
}

static int udp(int mark, int ifindex)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ASSUME(!mark || assume_set(fd, SOL_SOCKET, SO_MARK, mark) == 0, "%s", strerror(errno));
	ASSUME(!ifindex || assume_set(fd, SOL_SOCKET, SO_BINDTOIFINDEX, ifindex) == 0, "%s",
	       strerror(errno));
	return fd;
}

static bool leaks(int mark, int ifindex)
{
	int fd = udp(mark, ifindex);

	(void)assume_send(fd, "x", 1, "198.51.100.1", PORT);
	close(fd);
	return in_the_tunnel();
}

/* One datagram that names its device. */
static bool named_leaks(int ifindex)
{
	uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))] = { 0 };
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_name = &sa,
			    .msg_namelen = sizeof(sa),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct in_pktinfo info = { .ipi_ifindex = ifindex };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd = udp(0, 0);

	inet_pton(AF_INET, "198.51.100.1", &sa.sin_addr);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	ASSUME(sendmsg(fd, &m, 0) == 1, "%s", strerror(errno));
	close(fd);
	return in_the_tunnel();
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	ASSUME(syscall(SYS_capset, &h, none) == 0, "%s", strerror(errno));
}

int main(void)
{
	const char *cannot = netns_enter_with_tun();
	int v0, fd;

	if (cannot)
		assume_skip(cannot);
	tun = assume_tun("a0", 0);
	ASSUME(tun >= 0, "%s", strerror(errno));
	if (system("ip link add v0 type veth peer name v1") != 0)
		assume_skip("cannot make a veth pair");
	assume_run("ip addr add 10.9.0.1/24 dev v0 && ip link set v0 up && ip link set v1 up &&"
		   "ip route add default via 10.9.0.2 && ip neigh add 10.9.0.2 dev v0 lladdr "
		   "02:00:00:00:00:02 && ip addr add 10.66.0.2/30 dev a0 && ip link set a0 up");
	v0 = (int)if_nametoindex("v0");
	(void)in_the_tunnel();
	assume_run("ip route add default dev a0 table 19782 &&"
		   "ip rule add not fwmark 0x4d460000 lookup 19782 pref 19785");
	ASSUME(leaks(0, 0), "the rule does not lead into the tunnel");
	ASSUME(!leaks(MARK, 0), "the mark does not keep out");
	ASSUME(!leaks(0, v0), "binding does not keep out");
	ASSUME(!named_leaks(v0), "naming the device does not keep out");
	assume_run("ip rule del pref 19785 && ip route add 0.0.0.0/1 dev a0 &&"
		   "ip route add 128.0.0.0/1 dev a0");
	ASSUME(leaks(MARK, 0), "a mark without a rule keeps out: binding is not needed");
	ASSUME(!leaks(MARK, v0), "binding does not keep out of routes by hand");
	ASSUME(!named_leaks(v0), "naming the device does not keep out of routes by hand");
	drop_capabilities();
	fd = udp(0, v0); /* the first time */
	ASSUME(assume_set(fd, SOL_SOCKET, SO_BINDTOIFINDEX, (int)if_nametoindex("v1")) < 0 &&
		       errno == EPERM,
	       "a bound socket could be bound elsewhere");
	printf("a bound socket and a datagram that names its device stay out of the tunnel\n");
	return 0;
}
