/* SPDX-License-Identifier: Apache-2.0
 *
 * assume - small programs that prove that the kernel behaves as we rely on. They use nothing of ours
 * but the namespace helper: when one fails, it is the kernel that is not what we thought. Exit status
 * 0: as assumed; 1: not; 77: cannot be tried here, with the reason printed.
 */
#ifndef MF_ASSUME_H
#define MF_ASSUME_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>

#include "../unit/platform/netns.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum { ASSUME_SKIP = 77 };

static inline void assume_skip(const char *why)
{
	printf("skipped: %s\n", why);
	exit(ASSUME_SKIP);
}

#define ASSUME(cond, ...)                                                         \
	do {                                                                      \
		if (!(cond)) {                                                    \
			printf("%s:%d: not so: %s: ", __FILE__, __LINE__, #cond); \
			printf(__VA_ARGS__);                                      \
			printf("\n");                                             \
			exit(1);                                                  \
		}                                                                 \
	} while (0)

static inline void assume_run(const char *command)
{
	ASSUME(system(command) == 0, "%s", command);
}

/* A TUN device in the namespace of the process; -1 and errno. */
static inline int assume_tun(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TUN | IFF_NO_PI | flags) };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -1;
	return fd;
}

/* Bound to address:port (IPv4), not blocking. */
static inline int assume_udp(const char *address, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &sa.sin_addr);
	ASSUME(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0, "bind %s: %s", address,
	       strerror(errno));
	return fd;
}

static inline ssize_t assume_send(int fd, const void *data, size_t n, const char *address,
				  uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, address, &sa.sin_addr);
	return sendto(fd, data, n, 0, (struct sockaddr *)&sa, sizeof(sa));
}

static inline int assume_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static inline bool assume_readable(int fd, int msec)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, msec) == 1 && (pfd.revents & POLLIN);
}

static inline uint16_t assume_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void assume_put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Of n bytes, n even, with `sum` added. */
static inline uint16_t assume_csum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (; n; p += 2, n -= 2)
		sum += assume_be16(p);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* An IPv4 header of 20 bytes at p for `len` bytes of `proto` from 10.9.0.`src` to 10.9.0.`dst`. */
static inline void assume_ip4(uint8_t *p, size_t len, uint8_t proto, uint8_t src, uint8_t dst)
{
	memset(p, 0, 20);
	p[0] = 0x45;
	assume_put16(p + 2, len);
	p[8] = 64;
	p[9] = proto;
	p[12] = p[16] = 10;
	p[13] = p[17] = 9;
	p[15] = src;
	p[19] = dst;
	assume_put16(p + 10, assume_csum(p, 20, 0));
}

#endif
