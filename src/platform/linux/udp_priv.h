/* SPDX-License-Identifier: Apache-2.0
 *
 * udp_priv - what udp.c (sockets), udp_recv.c and udp_send.c share, and lend to dgram.c.
 */
#ifndef MF_PLATFORM_LINUX_UDP_PRIV_H
#define MF_PLATFORM_LINUX_UDP_PRIV_H

#include "base/count.h"
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
	bool keep_empty;   /* datagrams without payload count, too */
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

/* One call of the kernel, with `rx` for the landing. Returns how many packets, at most `max`; `*more`: there may
 * be another one. */
size_t mf_udp_rx_some(struct udp_rx *rx, int fd, struct mf_udp_counters *count,
		      struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max, bool *more);
void mf_udp_rx_flush(struct udp_rx *rx);

/* Appends ancillary data of `len` bytes to a message whose msg_controllen grows; returns where they go. */
void *mf_udp_add_cmsg(struct msghdr *m, int level, int type, size_t len);

socklen_t mf_sockaddr_of(union mf_sockaddr *sa, const struct mf_addr *a, uint16_t port,
			 uint32_t scope_id);
struct mf_endpoint mf_sockaddr_endpoint(const union mf_sockaddr *sa);

#endif
