/* SPDX-License-Identifier: Apache-2.0
 *
 * listen - sockets at which others on this machine or its networks ask us: datagrams in batches,
 * and connections.
 *
 * A reply leaves from the address that was asked, also if the socket is bound to a wildcard. Watch
 * a descriptor for READ.
 */
#ifndef MF_PLATFORM_LISTEN_H
#define MF_PLATFORM_LISTEN_H

#include "base/addr.h"

enum { MF_LISTEN_BATCH = 64 };

struct mf_listen_datagram {
	uint8_t *data;
	size_t n; /* to receive: how much fits; then: how much came */
	struct mf_endpoint remote;
	struct mf_addr local; /* that was asked, if the socket has more than one; family 0 */
	uint32_t ifindex;     /* where it came in */
};

/* A bound socket, non-blocking, or -1 with a sentence: in use, no such address, no permission.
 * `mark`: SO_MARK, so that replies find their way beside the tunnel; 0: none. */
MF_MUST_CHECK int mf_listen_udp(const struct mf_endpoint *at, uint32_t mark, struct mf_errbuf *eb);
MF_MUST_CHECK int mf_listen_tcp(const struct mf_endpoint *at, uint32_t mark, struct mf_errbuf *eb);
void mf_listen_close(int fd);

/* Up to MF_LISTEN_BATCH datagrams; longer ones than fit are left out. Returns how many; fewer
 * than `n`: there are no more now. */
size_t mf_listen_recv(int fd, struct mf_listen_datagram *v, size_t n, bool *drained);
/* Returns how many were sent; the rest is lost (the socket's buffer is full, or the client has
 * gone). */
size_t mf_listen_send(int fd, const struct mf_listen_datagram *v, size_t n);
/* The next connection, non-blocking, with its two ends; -1: none now. For mf_socket_recv and its
 * like. */
int mf_listen_accept(int fd, struct mf_endpoint *remote, struct mf_endpoint *local);

#endif
