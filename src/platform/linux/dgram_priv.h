/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram_priv - what dgram.c (sockets), dgram_send.c and dgram_error.c share.
 */
#ifndef MF_PLATFORM_LINUX_DGRAM_PRIV_H
#define MF_PLATFORM_LINUX_DGRAM_PRIV_H

#include "platform/dgram.h"
#include "platform/linux/udp_priv.h"

enum {
	DGRAM_MESSAGES = 64,
	DGRAM_PIECES = 512,
	/* pktinfo, TOS, TTL, UDP_SEGMENT */
	DGRAM_TX_CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)) +
			   CMSG_SPACE(sizeof(uint16_t)),
};

/* Messages on their way to the kernel; each stands for packets that are neighbours in the caller's array. */
struct dgram_tx {
	struct mmsghdr msg[DGRAM_MESSAGES];
	struct iovec iov[DGRAM_PIECES];
	union mf_sockaddr to[DGRAM_MESSAGES];
	uint8_t control[DGRAM_MESSAGES][DGRAM_TX_CONTROL] MF_ALIGNED(8);
	struct mf_pkt **of[DGRAM_MESSAGES]; /* the first packet */
	uint32_t bytes[DGRAM_MESSAGES];
	uint16_t stride[DGRAM_MESSAGES]; /* 0: one datagram */
	uint32_t n, n_iov;
};

struct mf_dgram_io {
	uint32_t wanted, features; /* enum mf_udp_feature: allowed, and on now */
	bool probed;
	struct mf_udp_counters count;
	struct udp_rx rx;
	struct dgram_tx tx;
};

/* The kernel said EMSGSIZE: sets `drop`, and the kernel's error about it will be told. */
void mf_dgram_too_big(struct mf_dgram_socket *s, struct mf_pkt *p);

#endif
