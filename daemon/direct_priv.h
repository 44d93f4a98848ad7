/* SPDX-License-Identifier: Apache-2.0
 *
 * direct_priv - what direct.c (its life, the network) and direct_ops.c (what sessions call) share.
 */
#ifndef MF_DAEMON_DIRECT_PRIV_H
#define MF_DAEMON_DIRECT_PRIV_H

#include "daemon/direct.h"
#include "daemon/workers.h"
#include "platform/dgram.h"
#include "platform/egress.h"
#include "platform/socket.h"

/* One of a fixed array; its input is hot from an event until a read finds it drained. */
struct direct_socket {
	struct mf_input in;         /* first; fd -1: free */
	struct direct_socket *next; /* free ones */
	struct mf_stream *stream;   /* one of these */
	struct mf_dgram *dgram;
	/* Streams */
	uint32_t ifindex;
	uint8_t error; /* enum mf_stream_error: told once all that came before it has been read */
	bool connecting;
	bool write_blocked; /* the session waits for WRITABLE */
	bool careful;       /* less than there was room for does not mean that there is no more */
	bool eof;           /* the session has been told of the end */
	/* Datagrams */
	struct mf_dgram_socket d;
};

struct mf_direct {
	struct mf_outbound out;
	struct mf_worker_thread *thread;
	struct mf_egress_view *egress;
	struct mf_dgram_io *io;
	struct direct_socket *sockets, *free;
	uint32_t n_total, n_made; /* those beyond n_made have never been used */
	struct mf_log_limit limit;
	struct mf_direct_counters count;
};

extern const struct mf_outbound_ops mf_direct_ops;

/* A place for a socket, or NULL: all are taken. */
struct direct_socket *mf_direct_take(struct mf_direct *x);
void mf_direct_give(struct mf_direct *x, struct direct_socket *k);

#endif
