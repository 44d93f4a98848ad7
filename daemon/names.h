/* SPDX-License-Identifier: Apache-2.0
 *
 * names - endpoints given by name: asks for the engine, again while there is no answer, and the
 * next address of the list each time a peer does not answer at the one before. Our own resolver
 * is asked, outside the tunnel, if the profile has servers for that; the system's before the
 * workers run (but not for the server of a proxy), and when ours has failed.
 */
#ifndef MF_DAEMON_NAMES_H
#define MF_DAEMON_NAMES_H

#include "daemon/internal.h"

/* NULL: out of memory or descriptors. Freed by mf_endpoint_names_free. */
struct mf_endpoint_names *mf_endpoint_names_new(struct mf_daemon *d);
void mf_endpoint_names_free(struct mf_endpoint_names *n);

/* As struct mf_engine_host wants it; ctx is the daemon. */
void mf_endpoint_names_resolve(void *ctx, const char *name, uint16_t port, uint64_t tag);

/* Asks for what is due. Returns when it wants to be called again. */
mf_nsec mf_endpoint_names_tick(struct mf_endpoint_names *n, mf_nsec now);
/* Names that have had no answer at all yet, good or bad. */
bool mf_endpoint_names_pending(const struct mf_endpoint_names *n);
/* The network changed: what had no answer may have one now. */
void mf_endpoint_names_network_changed(struct mf_endpoint_names *n);
/* A profile was applied: forgets names that nobody will ask about again, or waits for any more. */
void mf_endpoint_names_forget(struct mf_endpoint_names *n);

#endif
