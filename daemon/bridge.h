/* SPDX-License-Identifier: Apache-2.0
 *
 * bridge - a connection through an interface of ours as a plain descriptor, for libraries that want a socket:
 * one end of a socket pair, whose other end the first worker pumps to and from a stream of the interface
 * (host/outbound.h). For `direct` that is a socket that never leads into the tunnel.
 */
#ifndef MF_DAEMON_BRIDGE_H
#define MF_DAEMON_BRIDGE_H

#include "daemon/internal.h"

enum { MF_BRIDGES_MAX = 32 };

/* NULL: out of memory. */
struct mf_bridges *mf_bridges_new(struct mf_daemon *d);
/* When the workers have stopped, before the engine goes: whoever has the other ends sees the end. */
void mf_bridges_close(struct mf_bridges *b);
void mf_bridges_free(struct mf_bridges *b);

/* Begins to connect to `to` through a hop (nodes/snapshot.h). Returns the near end, which is the caller's:
 * a stream socket that blocks; bytes may be written before the far side has answered, and what goes wrong
 * looks like the end (the log says what it was). -1: too many, out of descriptors, or the workers do not
 * run. Main thread. */
MF_MUST_CHECK int mf_bridge_open(struct mf_daemon *d, uint32_t hop, const struct mf_endpoint *to);

#endif
