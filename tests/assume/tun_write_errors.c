/* SPDX-License-Identifier: Apache-2.0
 *
 * What writing to a TUN device says, and when: EINVAL for offload metadata that the kernel does not
 * like (and the same data in ordinary packets goes through), EIO while the device is down, EBADFD or
 * ENODEV once it has been deleted. UDP super-packets have at least 64 segments.
 */
#include "assume.h"

enum { HDR = sizeof(struct virtio_net_hdr) };

static int write_udp(int tun, size_t segments, uint16_t size, struct virtio_net_hdr h)
{
	static uint8_t buf[HDR + 65536];
	size_t len = 28 + segments * size;
	uint8_t *ip = buf + HDR, *udp = ip + 20;
	uint32_t pseudo = 2 * (10 << 8 | 9) + 1 + 2 + IPPROTO_UDP + (uint32_t)len - 20;

	memcpy(buf, &h, sizeof(h));
	assume_ip4(ip, len, IPPROTO_UDP, 2, 1);
	assume_put16(udp, 4000);
	assume_put16(udp + 2, 4000);
	assume_put16(udp + 4, len - 20);
	/* not complemented: the pseudo-header's part only */
	assume_put16(udp + 6, (uint16_t)~assume_csum(udp, 0, pseudo));
	return write(tun, buf, len + HDR) < 0 ? -errno : 0;
}

static struct virtio_net_hdr uso(uint16_t size)
{
	return (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
					.hdr_len = 28,
					.gso_size = size,
					.csum_start = 20,
					.csum_offset = 6 };
}

static void bad_metadata_is_einval(int tun)
{
	struct virtio_net_hdr h = uso(1000);

	h.csum_offset = 4;
	ASSUME(write_udp(tun, 20, 1000, h) == -EINVAL, "checksum at a strange place");
	h = uso(0);
	ASSUME(write_udp(tun, 20, 1000, h) == -EINVAL, "segments of no bytes");
	h = uso(1000);
	h.gso_type = 77;
	ASSUME(write_udp(tun, 20, 1000, h) == -EINVAL, "unknown type");
	h = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 60000 };
	ASSUME(write_udp(tun, 1, 1000, h) == -EINVAL, "checksum beyond the packet");
	ASSUME(write_udp(tun, 200, 100, uso(100)) == -EINVAL, "200 segments");
}

int main(void)
{
	const char *cannot = netns_enter_with_tun();
	struct virtio_net_hdr none = { 0 };
	uint8_t got[2000];
	int tun, sock, r;

	if (cannot)
		assume_skip(cannot);
	tun = assume_tun("a0", IFF_VNET_HDR);
	ASSUME(tun >= 0, "%s", strerror(errno));
	assume_run("ip addr add 10.9.0.1/24 dev a0");
	r = write_udp(tun, 1, 100, none);
	ASSUME(r == -EIO, "while down: %s", strerror(-r));
	assume_run("ip link set a0 up");
	if (ioctl(tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6) < 0)
		assume_skip("no USO before Linux 6.2");
	sock = assume_udp("10.9.0.1", 4000);
	r = write_udp(tun, 64, 1000, uso(1000));
	ASSUME(r == 0, "64 segments: %s", strerror(-r));
	for (int i = 0; i < 64; i++)
		ASSUME(recv(sock, got, sizeof(got), 0) == 1000, "segment %d: %s", i, strerror(errno));
	bad_metadata_is_einval(tun);
	ASSUME(recv(sock, got, sizeof(got), 0) < 0, "a refused packet came through");
	assume_run("ip link del a0");
	r = write_udp(tun, 1, 100, none);
	ASSUME(r == -EBADFD || r == -ENODEV, "after deletion: %s", strerror(-r));
	r = read(tun, got, sizeof(got)) < 0 ? -errno : 0;
	ASSUME(r == -EBADFD || r == -ENODEV, "reading after deletion: %s", strerror(-r));
	printf("EIO down, EINVAL for metadata, EBADFD or ENODEV deleted\n");
	return 0;
}
