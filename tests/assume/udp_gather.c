/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP_SEGMENT as ancillary data cuts what one message gathers from many places, wherever the places begin
 * and end; 64 of them in one message, the last one shorter; IP_TOS, IP_TTL and IP_PKTINFO go along.
 */
#include <sys/uio.h>

#include "assume.h"

enum { PIECES = 64, SIZE = 900, LAST = 77 };

static uint8_t data[PIECES][SIZE];

static void *put(struct msghdr *m, int level, int type, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)m->msg_control + m->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	m->msg_controllen += CMSG_SPACE(len);
	return CMSG_DATA(c);
}

static void send_gathered(int fd, size_t n, const size_t *len, uint16_t stride)
{
	_Alignas(8) uint8_t control[256] = { 0 };
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(4000) };
	struct iovec iov[PIECES];
	struct msghdr m = { .msg_name = &sa,
			    .msg_namelen = sizeof(sa),
			    .msg_iov = iov,
			    .msg_iovlen = n,
			    .msg_control = control };
	struct in_pktinfo info = { .ipi_ifindex = (int)if_nametoindex("lo") };
	int tos = 0x20, ttl = 33;
	size_t total = 0;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; i < n; i++) {
		iov[i] = (struct iovec){ data[i], len[i] };
		total += len[i];
	}
	memcpy(put(&m, IPPROTO_IP, IP_PKTINFO, sizeof(info)), &info, sizeof(info));
	memcpy(put(&m, IPPROTO_IP, IP_TOS, sizeof(tos)), &tos, sizeof(tos));
	memcpy(put(&m, IPPROTO_IP, IP_TTL, sizeof(ttl)), &ttl, sizeof(ttl));
	memcpy(put(&m, IPPROTO_UDP, UDP_SEGMENT, sizeof(stride)), &stride, sizeof(stride));
	ASSUME(sendmsg(fd, &m, 0) == (ssize_t)total, "%s", strerror(errno));
}

/* Receives a datagram of `want` bytes, which must begin with `first`; checks TOS and TTL. */
static void expect(int fd, size_t want, uint8_t first)
{
	uint8_t buf[2000], control[256];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int tos = -1, ttl = -1;
	ssize_t n;

	ASSUME(assume_readable(fd, 5000), "nothing came");
	n = recvmsg(fd, &m, 0);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_type == IP_TOS)
			tos = *CMSG_DATA(c);
		if (c->cmsg_type == IP_TTL)
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
	}
	ASSUME(n == (ssize_t)want && buf[0] == first, "%zd bytes, %u first", n, buf[0]);
	ASSUME(tos == 0x20 && ttl == 33, "TOS %d, TTL %d", tos, ttl);
}

int main(void)
{
	const char *cannot = netns_enter();
	size_t len[PIECES], odd[3] = { 500, 900, 150 };
	int from, to;

	if (cannot)
		assume_skip(cannot);
	from = assume_udp("127.0.0.1", 3000);
	to = assume_udp("127.0.0.1", 4000);
	if (assume_set(from, IPPROTO_UDP, UDP_SEGMENT, 0) < 0)
		assume_skip("no UDP_SEGMENT before Linux 4.18");
	(void)assume_set(to, IPPROTO_IP, IP_RECVTOS, 1);
	(void)assume_set(to, IPPROTO_IP, IP_RECVTTL, 1);
	for (size_t i = 0; i < PIECES; i++) {
		memset(data[i], (int)i, SIZE);
		len[i] = i == PIECES - 1 ? LAST : SIZE;
	}
	send_gathered(from, PIECES, len, SIZE);
	for (uint8_t i = 0; i < PIECES; i++)
		expect(to, len[i], i);
	/* segments that do not begin where pieces do */
	send_gathered(from, 3, odd, 700);
	expect(to, 700, 0);
	expect(to, 700, 1);
	expect(to, 150, 2);
	printf("%d pieces in one message arrived as %d datagrams\n", PIECES, PIECES);
	return 0;
}
