/* SPDX-License-Identifier: Apache-2.0
 *
 * socket - TCP connections of our own to the local internet, without blocking: what `direct` needs of
 * the operating system for streams, with as few system calls as that takes.
 *
 * Every socket carries a mark and is bound to its device before it connects, so that no change of routes
 * or rules leads it back into the tunnel (tests/assume/bind_device.c). Descriptors are watched for READ,
 * WRITE and END with MF_POLL_EDGE from the connect on: WRITE without ERROR says that it is connected.
 */
#ifndef MF_PLATFORM_SOCKET_H
#define MF_PLATFORM_SOCKET_H

#include "host/outbound.h"

struct mf_socket_options {
	uint32_t mark;    /* SO_MARK, needs CAP_NET_ADMIN; 0: none */
	uint32_t ifindex; /* the device that it must use; 0: any (for tests) */
};

/* Begins to connect. Returns a descriptor, which the caller closes with mf_socket_close, or -1 and `*why`. An
 * IPv4-mapped IPv6 address is UNSUPPORTED: the kernel would speak IPv4. */
MF_MUST_CHECK int mf_socket_connect(const struct mf_socket_options *o, const struct mf_endpoint *to,
				    enum mf_stream_error *why);

/* Sends from the first span on; returns how many bytes the kernel took. Less than all: wait for WRITE, unless
 * `*why` is not MF_STREAM_E_NONE: then no more will be taken. */
size_t mf_socket_send(int fd, const struct mf_span *v, size_t n, enum mf_stream_error *why);
/* Receives into the first room, then the next (1024 of them, none empty); returns as stream_read does
 * (host/outbound.h). */
ptrdiff_t mf_socket_recv(int fd, const struct mf_room *v, size_t n, enum mf_stream_error *why);
/* Urgent bytes are bytes like others (RFC 6093); after MF_POLL_URGENT, and before the next read. */
void mf_socket_urgent_inline(int fd);
/* Nothing more will be sent. */
void mf_socket_shutdown(int fd);
/* With `reset` the other side gets a RST whatever has been sent, else the end, after what has been sent. */
void mf_socket_close(int fd, bool reset);

/* The error that waits in the socket, and takes it from there: after MF_POLL_ERROR. */
enum mf_stream_error mf_socket_error(int fd);
/* Smoothed round trip time by the kernel's TCP, 0: unknown. */
mf_nsec mf_socket_rtt(int fd);
/* Our own address of a connection; family 0: none. */
struct mf_addr mf_socket_local(int fd);

/* Raises the limit of descriptors to the highest allowed; returns what holds now. */
uint64_t mf_socket_raise_limit(void);

#endif
