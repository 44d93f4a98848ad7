/* SPDX-License-Identifier: Apache-2.0
 *
 * sockets - the unix sockets that commands come in on: ours, and one for each WireGuard interface.
 */
#ifndef MF_DAEMON_SOCKETS_H
#define MF_DAEMON_SOCKETS_H

#include "daemon/internal.h"

/* Listens on /run/mintflow/NAME.sock; connections wait until mf_sockets_serve. MF_E_EXISTS: a live
 * process listens there. A socket that a killed one left behind is removed. */
MF_MUST_CHECK mf_err mf_sockets_listen(struct mf_daemon *d, struct mf_errbuf *eb);
/* The engine and d->control are there now. */
MF_MUST_CHECK mf_err mf_sockets_serve(struct mf_daemon *d, struct mf_errbuf *eb);
/* One UAPI socket for each interface that there is now, none for others. What cannot be opened is
 * logged: the tunnel works without it. */
void mf_sockets_sync_uapi(struct mf_daemon *d);

/* Moves captured packets on. Returns when it wants to be called again. */
mf_nsec mf_sockets_tick(struct mf_daemon *d, mf_nsec now);
/* Sends what is waiting for clients that read, without waiting for the others: the last words. */
void mf_sockets_flush(struct mf_daemon *d);
/* Closes all and removes the sockets' names. */
void mf_sockets_close(struct mf_daemon *d);

#endif
