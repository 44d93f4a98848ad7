/* SPDX-License-Identifier: Apache-2.0
 *
 * bridge - a connection through an interface of ours for libraries that want to connect a
 * socket: a unix socket of the abstract namespace that takes one connection of this process, and
 * that the first worker pumps to and from a stream of the interface (host/outbound.h). For
 * `direct` that is a socket that never leads into the tunnel.
 *
 * Why not a socket pair: libcurl 7.88 connects the socket that it is given, also when it is told
 * that it is connected.
 */
#ifndef MF_DAEMON_BRIDGE_H
#define MF_DAEMON_BRIDGE_H

#include "daemon/internal.h"
#include "host/outbound.h"
#include "host/steps.h"

enum { MF_BRIDGES_MAX = 32 };

/* NULL: out of memory. */
struct mf_bridges *mf_bridges_new(struct mf_daemon *d);
/* When the workers have stopped, before the engine goes: whoever has the other ends sees the
 * end. */
void mf_bridges_close(struct mf_bridges *b);
void mf_bridges_free(struct mf_bridges *b);

/* What became of one, for whoever wants to know. Zeroed before; from mf_bridge_open on it is the
 * worker's until mf_bridge_end. */
struct mf_bridge_story {
	struct mf_steps steps;
	mf_nsec began, opened; /* 0: not (yet) */
	uint8_t error;         /* enum mf_stream_error: it has failed */
};

/* The abstract name, without the NUL in front (unix(7), "autobind"). */
enum { MF_BRIDGE_NAME_MAX = 16 };
/* Begins to connect to `to` (its name is copied; a proxy is given the name) through a hop
 * (nodes/snapshot.h), and listens; whoever does not come within half a minute finds nobody. Bytes
 * may be written before the far side has answered; what goes wrong looks like the end, and the log
 * says what it was, and the story (NULL: nobody wants to know). False: too many, out of
 * descriptors, or the workers do not run. Main thread. */
MF_MUST_CHECK bool mf_bridge_open(struct mf_daemon *d, uint32_t hop, const struct mf_target *to,
				  struct mf_bridge_story *story, char name[MF_BRIDGE_NAME_MAX]);
/* Ends it, if it has not; the story is true then, and the caller's again. Main thread. */
void mf_bridge_end(struct mf_daemon *d, const struct mf_bridge_story *story);

#endif
