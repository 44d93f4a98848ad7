/* SPDX-License-Identifier: Apache-2.0
 *
 * socket_priv - what socket.c (streams) and dgram.c (datagrams) share.
 */
#ifndef MF_PLATFORM_LINUX_SOCKET_PRIV_H
#define MF_PLATFORM_LINUX_SOCKET_PRIV_H

#include "host/outbound.h"

/* What an errno means for a session. */
enum mf_stream_error mf_socket_errno(int err);
/* 0 or -errno. */
int mf_socket_set(int fd, int level, int name, int value);

#endif
