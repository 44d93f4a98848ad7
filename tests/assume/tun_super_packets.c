/* SPDX-License-Identifier: Apache-2.0
 *
 * With TUN_F_TSO4 and TUN_F_USO4 one read of a TUN device returns a whole super-packet of TCP or UDP,
 * up to gso_max_size, with the size of its segments in the virtio header and an unfinished checksum.
 */
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>

#include "assume.h"

enum { MSS = 1000, HDR = sizeof(struct virtio_net_hdr) };

static uint8_t buf[HDR + 65536];

/* Reads until a packet of `proto` comes; returns its length without the virtio header. */
static size_t read_packet(int tun, uint8_t proto)
{
	for (;;) {
		ssize_t n;

		ASSUME(assume_readable(tun, 5000), "nothing came");
		n = read(tun, buf, sizeof(buf));
		ASSUME(n > HDR + 20, "read %zd", n);
		if (buf[HDR] >> 4 == 4 && buf[HDR + 9] == proto)
			return (size_t)n - HDR;
	}
}

/* Answers the SYN in buf with SYN and ACK, MSS option, sequence number 0. */
static void answer_syn(int tun)
{
	uint8_t out[HDR + 44] = { 0 };
	uint8_t *ip = out + HDR, *tcp = ip + 20;
	const uint8_t *syn = buf + HDR + 20;
	uint32_t ack, pseudo = 2 * (10 << 8 | 9) + 1 + 2 + IPPROTO_TCP + 24;

	assume_ip4(ip, 44, IPPROTO_TCP, 2, 1);
	memcpy(tcp, syn + 2, 2);
	memcpy(tcp + 2, syn, 2);
	memcpy(&ack, syn + 4, 4);
	ack = htonl(ntohl(ack) + 1);
	memcpy(tcp + 8, &ack, 4);
	tcp[12] = 6 << 4;
	tcp[13] = 0x12;
	assume_put16(tcp + 14, 65535);
	tcp[20] = 2;
	tcp[21] = 4;
	assume_put16(tcp + 22, MSS);
	assume_put16(tcp + 16, assume_csum(tcp, 24, pseudo));
	ASSUME(write(tun, out, sizeof(out)) == sizeof(out), "%s", strerror(errno));
}

static void tcp_comes_whole(int tun)
{
	static uint8_t data[9 * MSS];
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(80) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	struct virtio_net_hdr h;
	size_t n;

	inet_pton(AF_INET, "10.9.0.2", &sa.sin_addr);
	ASSUME(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno == EINPROGRESS, "%s",
	       strerror(errno));
	read_packet(tun, IPPROTO_TCP);
	answer_syn(tun);
	ASSUME(poll(&pfd, 1, 5000) == 1 && !(pfd.revents & POLLERR), "no connection");
	ASSUME(send(fd, data, sizeof(data), 0) == sizeof(data), "%s", strerror(errno));
	do {
		n = read_packet(tun, IPPROTO_TCP);
	} while (n <= 60); /* the ACK of our SYN */
	memcpy(&h, buf, sizeof(h));
	ASSUME(h.gso_type == VIRTIO_NET_HDR_GSO_TCPV4, "gso_type %u", h.gso_type);
	ASSUME(h.gso_size == MSS, "gso_size %u", h.gso_size);
	ASSUME(h.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM, "flags %u", h.flags);
	ASSUME(h.csum_start == 20 && h.csum_offset == 16, "checksum at %u + %u", h.csum_start,
	       h.csum_offset);
	ASSUME(n > 40 + 2 * MSS, "%zu bytes", n);
	printf("TCP: one read gave %zu bytes, segments of %u\n", n, h.gso_size);
	close(fd);
}

static void udp_comes_whole(int tun)
{
	static uint8_t data[40 * MSS];
	int fd = assume_udp("10.9.0.1", 4000);
	struct virtio_net_hdr h;
	size_t n;

	ASSUME(assume_set(fd, IPPROTO_UDP, UDP_SEGMENT, MSS) == 0, "%s", strerror(errno));
	ASSUME(assume_send(fd, data, sizeof(data), "10.9.0.2", 4000) == sizeof(data), "%s",
	       strerror(errno));
	n = read_packet(tun, IPPROTO_UDP);
	memcpy(&h, buf, sizeof(h));
	ASSUME(h.gso_type == VIRTIO_NET_HDR_GSO_UDP_L4, "gso_type %u", h.gso_type);
	ASSUME(h.gso_size == MSS, "gso_size %u", h.gso_size);
	ASSUME(h.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM, "flags %u", h.flags);
	ASSUME(h.csum_start == 20 && h.csum_offset == 6, "checksum at %u + %u", h.csum_start,
	       h.csum_offset);
	ASSUME(n == 28 + sizeof(data), "%zu bytes", n);
	printf("UDP: one read gave %zu bytes\n", n);
	/* the limit of the device is kept: longer ones come in segments */
	assume_run("ip link set a0 gso_max_size 20000 gso_max_segs 16");
	ASSUME(assume_send(fd, data, sizeof(data), "10.9.0.2", 4000) == sizeof(data), "%s",
	       strerror(errno));
	n = read_packet(tun, IPPROTO_UDP);
	ASSUME(n <= 20000, "%zu bytes in spite of gso_max_size 20000", n);
	printf("UDP above gso_max_size: reads of %zu bytes\n", n);
	close(fd);
}

int main(void)
{
	const char *cannot = netns_enter_with_tun();
	const unsigned long tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	int tun;

	if (cannot)
		assume_skip(cannot);
	tun = assume_tun("a0", IFF_VNET_HDR);
	ASSUME(tun >= 0, "%s", strerror(errno));
	ASSUME(ioctl(tun, TUNSETOFFLOAD, tso) == 0, "%s", strerror(errno));
	assume_run("ip addr add 10.9.0.1/24 dev a0 && ip link set a0 up");
	tcp_comes_whole(tun);
	if (ioctl(tun, TUNSETOFFLOAD, tso | TUN_F_USO4 | TUN_F_USO6) < 0)
		assume_skip("no USO before Linux 6.2");
	udp_comes_whole(tun);
	return 0;
}
