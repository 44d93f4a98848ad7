/* SPDX-License-Identifier: Apache-2.0
 *
 * socket_priv - what socket.c (streams), dgram.c (datagrams) and udp.c (WireGuard's) share.
 */
#ifndef MF_PLATFORM_LINUX_SOCKET_PRIV_H
#define MF_PLATFORM_LINUX_SOCKET_PRIV_H

#include "host/outbound.h"

/* What an errno means for a session. */
enum mf_stream_error mf_socket_errno(int err);
/* 0 or -errno. */
int mf_socket_set(int fd, int level, int name, int value);
/* For each direction: so many bytes with CAP_NET_ADMIN, else what net.core.*mem_max lets it have of them. */
void mf_socket_set_buffers(int fd, int bytes);

#endif
