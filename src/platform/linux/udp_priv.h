/* SPDX-License-Identifier: Apache-2.0
 *
 * udp_priv - what udp.c (sockets), udp_recv.c and udp_send.c share.
 */
#ifndef MF_PLATFORM_LINUX_UDP_PRIV_H
#define MF_PLATFORM_LINUX_UDP_PRIV_H

#include "platform/udp.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* In the kernel since 4.18, 5.0; the C library's headers may be older. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	UDP_SEND_BATCH = 64,
	UDP_RECV_WINDOW_MIN = 2,
	/* pktinfo, TOS, UDP_GRO, SO_RXQ_OVFL: what the kernel may attach to a message */
	UDP_RX_CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo)) + 3 * CMSG_SPACE(sizeof(int)),
	UDP_TX_CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)) +
			 CMSG_SPACE(sizeof(uint16_t)),
};

union mf_sockaddr {
	struct sockaddr any;
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;
};

struct udp_rx {
	struct mmsghdr msg[MF_UDP_RECV_MAX];
	struct iovec iov[MF_UDP_RECV_MAX][2];
	union mf_sockaddr from[MF_UDP_RECV_MAX];
	uint8_t control[MF_UDP_RECV_MAX][UDP_RX_CONTROL] MF_ALIGNED(8);
	struct mf_pkt *small[MF_UDP_RECV_MAX], *large[MF_UDP_RECV_MAX];
	uint32_t window;   /* messages to ask for: follows the load */
	uint32_t overflow; /* last SO_RXQ_OVFL */
};

struct udp_tx {
	struct mmsghdr msg[UDP_SEND_BATCH];
	struct iovec iov[UDP_SEND_BATCH];
	union mf_sockaddr to[UDP_SEND_BATCH];
	uint8_t control[UDP_SEND_BATCH][UDP_TX_CONTROL] MF_ALIGNED(8);
	struct mf_pkt *of[UDP_SEND_BATCH]; /* the packet that the message is (part) of */
	uint16_t stride[UDP_SEND_BATCH];   /* 0: one datagram */
	uint32_t n;
	bool waited; /* this call has waited for room in the send buffer */
};

struct mf_udp {
	int fd;
	uint8_t family; /* enum mf_family */
	uint16_t port;
	uint32_t features;
	struct mf_udp_counters count;
	struct udp_rx rx;
	struct udp_tx tx;
};

socklen_t mf_sockaddr_of(union mf_sockaddr *sa, const struct mf_addr *a, uint16_t port,
			 uint32_t scope_id);
struct mf_endpoint mf_sockaddr_endpoint(const union mf_sockaddr *sa);

#endif
