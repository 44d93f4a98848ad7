/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP_SEGMENT and UDP_GRO: a batch that one sendmsg takes comes out of one recvmsg, over loopback and
 * over a veth pair, with its stride; 64 segments are taken; what is longer than the MTU is refused as
 * a batch (EINVAL or EMSGSIZE) and fragmented as a datagram; a source address that is not ours is
 * EINVAL, in new kernels ENETUNREACH.
 */
#include "assume.h"

enum { SIZE = 1400 };

static uint8_t data[65536];

/* Receives one message; returns its length, *stride 0: one datagram. */
static ssize_t receive(int fd, int *stride)
{
	uint8_t control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n;

	*stride = 0;
	if (!assume_readable(fd, 5000))
		return -1;
	n = recvmsg(fd, &m, 0);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			memcpy(stride, CMSG_DATA(c), sizeof(*stride));
	return n;
}

static void batch_arrives_whole(int from, int to, const char *address, size_t count, const char *over)
{
	size_t want = count * SIZE, got = 0;
	int messages = 0, stride;

	ASSUME(assume_send(from, data, want, address, 4000) == (ssize_t)want, "%s", strerror(errno));
	while (got < want) {
		ssize_t n = receive(to, &stride);

		ASSUME(n > 0, "%zu of %zu bytes over %s", got, want, over);
		ASSUME(stride == SIZE || (stride == 0 && n == SIZE), "stride %d", stride);
		got += (size_t)n;
		messages++;
	}
	printf("%s: %zu datagrams in one sendmsg, %d recvmsg\n", over, count, messages);
	ASSUME(messages < (int)count, "GRO gave single datagrams over %s", over);
}

static void long_ones_are_refused_as_a_batch(int from, int to)
{
	int stride;

	assume_run("ip link set lo mtu 1300");
	ASSUME(assume_send(from, data, 10 * SIZE, "127.0.0.1", 4000) < 0, "a batch was fragmented");
	ASSUME(errno == EINVAL || errno == EMSGSIZE, "%s", strerror(errno));
	ASSUME(assume_set(from, IPPROTO_UDP, UDP_SEGMENT, 0) == 0, "%s", strerror(errno));
	ASSUME(assume_send(from, data, SIZE, "127.0.0.1", 4000) == SIZE, "%s", strerror(errno));
	ASSUME(receive(to, &stride) == SIZE && stride == 0, "the fragments did not come together");
	assume_run("ip link set lo mtu 65536");
}

static void gone_source_is_told(int from)
{
	uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))] = { 0 };
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(4000) };
	struct iovec iov = { data, 10 };
	struct msghdr m = { .msg_name = &sa,
			    .msg_namelen = sizeof(sa),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct in_pktinfo info = { 0 };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	inet_pton(AF_INET, "192.0.2.99", &info.ipi_spec_dst);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	ASSUME(sendmsg(from, &m, 0) < 0, "a source address that is not ours was taken");
	ASSUME(errno == EINVAL || errno == ENETUNREACH, "%s", strerror(errno));
}

/* A second namespace for the far end of a veth pair; returns a socket in it. */
static int socket_behind_veth(void)
{
	int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), there, fd;
	char command[128];

	ASSUME(here >= 0 && unshare(CLONE_NEWNET) == 0, "%s", strerror(errno));
	there = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	ASSUME(setns(here, CLONE_NEWNET) == 0, "%s", strerror(errno));
	snprintf(command, sizeof(command),
		 "ip link add v0 type veth peer name v1 && ip link set v1 netns /proc/%d/fd/%d",
		 (int)getpid(), there);
	if (system(command) != 0)
		return -1;
	assume_run("ip addr add 10.9.0.1/24 dev v0 && ip link set v0 up");
	ASSUME(setns(there, CLONE_NEWNET) == 0, "%s", strerror(errno));
	assume_run("ip addr add 10.9.0.2/24 dev v1 && ip link set v1 up");
	fd = assume_udp("10.9.0.2", 4000);
	ASSUME(setns(here, CLONE_NEWNET) == 0, "%s", strerror(errno));
	return fd;
}

int main(void)
{
	const char *cannot = netns_enter();
	int from, to;

	if (cannot)
		assume_skip(cannot);
	from = assume_udp("0.0.0.0", 3000);
	to = assume_udp("127.0.0.1", 4000);
	(void)assume_set(from, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	gone_source_is_told(from);
	if (assume_set(from, IPPROTO_UDP, UDP_SEGMENT, SIZE) < 0)
		assume_skip("no UDP_SEGMENT before Linux 4.18");
	if (assume_set(to, IPPROTO_UDP, UDP_GRO, 1) < 0)
		assume_skip("no UDP_GRO before Linux 5.0");
	batch_arrives_whole(from, to, "127.0.0.1", 46, "loopback");
	ASSUME(assume_set(from, IPPROTO_UDP, UDP_SEGMENT, 100) == 0, "%s", strerror(errno));
	ASSUME(assume_send(from, data, 6400, "127.0.0.1", 4001) == 6400, "64 segments: %s",
	       strerror(errno));
	ASSUME(assume_send(from, data, 20000, "127.0.0.1", 4001) < 0 && errno == EINVAL,
	       "200 segments: %s", strerror(errno));
	ASSUME(assume_set(from, IPPROTO_UDP, UDP_SEGMENT, SIZE) == 0, "%s", strerror(errno));
	long_ones_are_refused_as_a_batch(from, to);
	to = socket_behind_veth();
	if (to < 0)
		assume_skip("cannot make a veth pair (the rest is as assumed)");
	ASSUME(assume_set(to, IPPROTO_UDP, UDP_GRO, 1) == 0, "%s", strerror(errno));
	ASSUME(assume_set(from, IPPROTO_UDP, UDP_SEGMENT, SIZE) == 0, "%s", strerror(errno));
	batch_arrives_whole(from, to, "10.9.0.2", 46, "veth");
	return 0;
}
