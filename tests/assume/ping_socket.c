/* SPDX-License-Identifier: Apache-2.0
 *
 * Ping sockets (SOCK_DGRAM with IPPROTO_ICMP): refused with EACCES unless net.ipv4.ping_group_range holds our
 * group, root or not, IPv6 too; the kernel writes the identifier, which is the socket's port, and the
 * checksum; a reply is an ICMP message without IP header; an error's quote begins with the request's header.
 */
#include "assume.h"

static int ping_socket(int family)
{
	return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		      family == AF_INET ? IPPROTO_ICMP : (int)IPPROTO_ICMPV6);
}

static void echo(int family, uint8_t request, uint8_t reply)
{
	struct sockaddr_in6 sa6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in sa4 = { .sin_family = AF_INET };
	struct sockaddr *sa = family == AF_INET ? (void *)&sa4 : (void *)&sa6;
	socklen_t len = family == AF_INET ? sizeof(sa4) : sizeof(sa6);
	uint8_t out[12] = { request, 0, 0, 0, 0xde, 0xad, 0x12, 0x34, 'd', 'a', 't', 'a' }, in[64];
	int fd = ping_socket(family);
	ssize_t n;

	ASSUME(fd >= 0, "%s", strerror(errno));
	sa4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ASSUME(sendto(fd, out, sizeof(out), 0, sa, len) == sizeof(out), "%s", strerror(errno));
	ASSUME(assume_readable(fd, 5000), "no reply");
	n = recv(fd, in, sizeof(in), 0);
	ASSUME(n == sizeof(out) && in[0] == reply && in[1] == 0, "%zd bytes, type %u", n, in[0]);
	ASSUME(assume_be16(in + 6) == 0x1234 && !memcmp(in + 8, "data", 4), "another request's");
	ASSUME(getsockname(fd, sa, &len) == 0, "%s", strerror(errno));
	ASSUME(assume_be16(in + 4) == ntohs(family == AF_INET ? sa4.sin_port : sa6.sin6_port),
	       "the identifier is not the port");
	out[0] = reply; /* nothing but requests */
	ASSUME(sendto(fd, out, sizeof(out), 0, sa, len) < 0, "a reply was sent");
	close(fd);
}

static void error_quotes_the_request(void)
{
	uint8_t out[8] = { 8, 0, 0, 0, 0, 0, 0x43, 0x21 }, quoted[64], control[512];
	struct sockaddr_in sa = { .sin_family = AF_INET };
	struct iovec iov = { quoted, sizeof(quoted) };
	struct msghdr m = { .msg_name = &sa,
			    .msg_namelen = sizeof(sa),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int fd = ping_socket(AF_INET);
	struct pollfd pfd = { .fd = fd };

	/* nobody answers ARP: we get our own host's error */
	assume_run("ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 &&"
		   "ip link set v0 up && ip link set v1 up &&"
		   "ip neigh add 10.9.0.9 dev v0 nud failed 2>/dev/null || true");
	ASSUME(assume_set(fd, IPPROTO_IP, IP_RECVERR, 1) == 0, "%s", strerror(errno));
	inet_pton(AF_INET, "10.9.0.9", &sa.sin_addr);
	ASSUME(sendto(fd, out, sizeof(out), 0, (struct sockaddr *)&sa, sizeof(sa)) == 8, "%s",
	       strerror(errno));
	ASSUME(poll(&pfd, 1, 10000) == 1 && pfd.revents & POLLERR, "no error");
	ASSUME(recvmsg(fd, &m, MSG_ERRQUEUE) >= 8, "%s", strerror(errno));
	ASSUME(quoted[0] == 8 && assume_be16(quoted + 6) == 0x4321, "the quote is another one");
	close(fd);
}

int main(void)
{
	const char *cannot = netns_enter();

	if (cannot)
		assume_skip(cannot);
	if (!netns_sysctl("net/ipv4/ping_group_range", "1 0"))
		assume_skip("no ping sockets in this kernel");
	ASSUME(ping_socket(AF_INET) < 0 && errno == EACCES, "allowed without the sysctl");
	ASSUME(ping_socket(AF_INET6) < 0 && errno == EACCES, "IPv6 allowed without the sysctl");
	ASSUME(netns_sysctl("net/ipv4/ping_group_range", "0 2147483647"), "sysctl");
	echo(AF_INET, 8, 0);
	echo(AF_INET6, 128, 129);
	error_quotes_the_request();
	printf("the identifier is the port, and the sysctl decides\n");
	return 0;
}
