/* SPDX-License-Identifier: Apache-2.0
 *
 * udp - a UDP socket outside the tunnel, in batches: recvmmsg with UDP_GRO, sendmmsg with UDP_SEGMENT.
 *
 * A packet here is a datagram's payload, or with gso_type MF_GSO_UDP a batch of them from or to one
 * address: all gso_size bytes long, only the last may be shorter. One socket belongs to one worker;
 * several workers share a port by SO_REUSEPORT, and the kernel keeps each remote address and port on
 * one socket.
 */
#ifndef MF_PLATFORM_UDP_H
#define MF_PLATFORM_UDP_H

#include "base/pkt.h"

enum mf_udp_feature {
	MF_UDP_GSO = 1 << 0, /* UDP_SEGMENT, Linux 4.18 */
	MF_UDP_GRO = 1 << 1, /* UDP_GRO, Linux 5.0 */
	MF_UDP_ALL_OFFLOADS = MF_UDP_GSO | MF_UDP_GRO,
};

enum { MF_UDP_RECV_MAX = 16, MF_UDP_GSO_SEGMENTS_MAX = 64 };

struct mf_udp_options {
	struct mf_addr local;  /* address to bind, family 0 or all zero: any */
	uint8_t family;        /* enum mf_family; used by mf_udp_open only */
	uint16_t port;         /* host order, 0: the kernel picks */
	bool reuse_port;       /* used by mf_udp_open only */
	uint32_t mark;         /* SO_MARK: keeps our own traffic out of the tunnel; 0: none */
	const char *device;    /* SO_BINDTODEVICE, NULL: none */
	uint32_t buffer_bytes; /* of each direction; 0: MF_UDP_BUFFER_DEFAULT */
	uint32_t features;     /* enum mf_udp_feature that may be used */
};

/* As much as wireguard-go asks for: 40 ms at 1.4 Gbit/s. */
enum { MF_UDP_BUFFER_DEFAULT = 7 << 20 };

#define MF_UDP_COUNTER_LIST(X)                                                           \
	X(rx_messages, "messages received, a GRO batch counts once")                     \
	X(rx_datagrams, "datagrams received")                                            \
	X(rx_bytes, "payload bytes received")                                            \
	X(rx_truncated, "dropped: longer than 64 KiB or its ancillary data did not fit") \
	X(rx_empty, "dropped: no payload")                                               \
	X(rx_no_buffer, "receiving stopped because no packet buffer was free")           \
	X(rx_errors, "errors that earlier datagrams caused (ICMP) and other failures")   \
	X(rx_overflow, "dropped by the kernel because our receive buffer was full")      \
	X(tx_messages, "messages sent, a GSO batch counts once")                         \
	X(tx_datagrams, "datagrams sent")                                                \
	X(tx_bytes, "payload bytes sent")                                                \
	X(tx_gso_off, "times UDP_SEGMENT was refused for good (EIO)")                    \
	X(tx_gso_split, "batches refused because of their size and sent one by one")     \
	X(tx_source_lost, "sent without the sticky source after the kernel refused it")  \
	X(tx_drop_busy, "datagrams dropped: send buffer full")                           \
	X(tx_drop_unreachable, "datagrams dropped: no route to the endpoint")            \
	X(tx_drop_too_big, "datagrams dropped: longer than UDP or the path allows")      \
	X(tx_drop_denied, "datagrams dropped: forbidden by a firewall (EPERM)")          \
	X(tx_drop_other, "datagrams dropped: any other error")

struct mf_udp_counters {
#define X(name, text) uint64_t name;
	MF_UDP_COUNTER_LIST(X)
#undef X
};

struct mf_udp;

/* One socket. NULL: `eb` says why and `*err` (may be NULL) is MF_E_UNSUPPORTED when the kernel has no
 * such family, MF_E_EXISTS when the port is taken, else MF_E_SYSTEM or MF_E_PERMISSION. */
struct mf_udp *mf_udp_open(const struct mf_udp_options *o, mf_err *err, struct mf_errbuf *eb);
void mf_udp_close(struct mf_udp *u);

/* The sockets of `workers` workers on one port of both families: v4[i] and v6[i] belong to worker i.
 * With port 0 a port is sought that is free in both (10 tries). Without IPv6 in the kernel all v6[i]
 * are NULL, without IPv4 all v4[i]. On an error nothing is left open. */
MF_MUST_CHECK mf_err mf_udp_open_all(const struct mf_udp_options *o, uint32_t workers,
				     struct mf_udp **v4, struct mf_udp **v6, uint16_t *port,
				     struct mf_errbuf *eb);

int mf_udp_fd(const struct mf_udp *u);
uint16_t mf_udp_port(const struct mf_udp *u);
uint8_t mf_udp_family(const struct mf_udp *u);
uint32_t mf_udp_features(const struct mf_udp *u); /* what is on now */
const struct mf_udp_counters *mf_udp_counters(const struct mf_udp *u);
MF_MUST_CHECK mf_err mf_udp_set_mark(struct mf_udp *u, uint32_t mark);

/* Receives what is there, at most `max` messages (MF_UDP_RECV_MAX a call of the kernel), never waits;
 * the packets are the caller's. Sets data, len, gso_*, segments, remote, local, local_if, tos.
 * Returns how many. The socket keeps landing packets of `pool` until mf_udp_flush. */
size_t mf_udp_recv(struct mf_udp *u, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max);

/* Sends to each packet's `remote`, from `local`/`local_if` if set, with `tos` if not 0. The packets
 * stay the caller's; `drop` of each becomes MF_DROP_NONE (all of it sent) or the reason. When the
 * kernel refuses the sticky source the packet goes out without and local.family becomes 0: the
 * caller then forgets it. Waits at most a millisecond for room in the send buffer. Returns how many
 * packets were sent in full. */
size_t mf_udp_send(struct mf_udp *u, struct mf_pkt *const *pkts, size_t n);

/* Gives kept packets back to their pool. */
void mf_udp_flush(struct mf_udp *u);

#endif
