/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram - UDP and ICMP echo sockets of our own to the local internet: what `direct` needs of the operating
 * system for datagrams. There may be thousands, so a socket is small, and what batches need is shared by
 * all sockets of a worker (struct mf_dgram_io).
 *
 * A socket is not connected: one local port, any number of remotes. It carries a mark, and every datagram
 * names the device that it must use, so that no change of routes or rules leads it into the tunnel, and
 * so that the mapping outlives a change of devices. Don't-fragment is set; what is too big is told as an
 * error, unless the packet has MF_PKT_MAY_FRAGMENT. Watch it for READ with MF_POLL_EDGE.
 */
#ifndef MF_PLATFORM_DGRAM_H
#define MF_PLATFORM_DGRAM_H

#include "host/outbound.h"
#include "platform/udp.h"

struct mf_dgram_io;

struct mf_dgram_socket {
	int fd;
	uint8_t kind;   /* enum mf_dgram_kind */
	uint8_t family; /* enum mf_family */
	bool errors;    /* the kernel may have errors for us; set it after MF_POLL_ERROR */
	bool has_own;   /* so have we */
	struct mf_dgram_error own;     /* of a datagram that could not be sent */
	struct mf_dgram_error too_big; /* the same, but that the kernel's error queue knows the MTU */
};

/* `features`: enum mf_udp_feature that may be used. NULL: out of memory. */
struct mf_dgram_io *mf_dgram_io_new(uint32_t features);
/* Gives kept packets back to their pool. */
void mf_dgram_io_flush(struct mf_dgram_io *io);
/* After mf_dgram_io_flush. NULL is fine. */
void mf_dgram_io_free(struct mf_dgram_io *io);
/* Of all its sockets. */
const struct mf_udp_counters *mf_dgram_io_counters(const struct mf_dgram_io *io);
/* Another device may take batches that the last one refused. */
void mf_dgram_io_retry_offloads(struct mf_dgram_io *io);

/* Where the system lets nobody open an echo socket (the kernel's default), lets our group; a choice that somebody
 * has made stays. True: it has. Before capabilities are dropped. */
bool mf_dgram_allow_echo(void);
/* Opens a socket with SO_MARK `mark` (0: none). On an error `s->fd` is -1; MF_STREAM_E_PROHIBITED for echo:
 * the sysctl net.ipv4.ping_group_range does not allow it to our group. */
enum mf_stream_error mf_dgram_socket_open(struct mf_dgram_socket *s, struct mf_dgram_io *io,
					  enum mf_dgram_kind kind, uint8_t family, uint32_t mark);
void mf_dgram_socket_close(struct mf_dgram_socket *s);

/* Sends to each packet's `remote` through the device `local_if` (0: any), as outbound.h says of dgram_send.
 * Neighbours for one remote with equal lengths go out as one message. */
void mf_dgram_socket_send(struct mf_dgram_socket *s, struct mf_dgram_io *io, struct mf_pkt **pkts,
			  size_t n);
/* The packet cannot be sent: sets its `drop`, and remembers an error about it. */
void mf_dgram_socket_refuse(struct mf_dgram_socket *s, struct mf_pkt *p, enum mf_stream_error why);
/* Up to `max` of what came in; `*more`: ask again, there may be more (or no packet was free to take it). */
size_t mf_dgram_socket_recv(struct mf_dgram_socket *s, struct mf_dgram_io *io,
			    struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max, bool *more);
/* The next error; false: none. */
bool mf_dgram_socket_error(struct mf_dgram_socket *s, struct mf_dgram_error *e);

#endif
