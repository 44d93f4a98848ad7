/* SPDX-License-Identifier: Apache-2.0
 *
 * subscribe - lists that somebody publishes: fetched through the interface that the profile
 * says, now and then, and kept (daemon/copies.h). A list takes the place of the one before only
 * when it has been found to be one; whatever goes wrong, the old one stays, and it is tried
 * again later.
 *
 * The name of a server is asked of our own resolver, as the way to the server says
 * (daemon/lookup.h); the connection is one of ours (daemon/bridge.h); the transfer and what is
 * looked at in the list have a thread.
 */
#ifndef MF_DAEMON_SUBSCRIBE_H
#define MF_DAEMON_SUBSCRIBE_H

#include "daemon/internal.h"

/* NULL: out of memory. */
struct mf_subscriptions *mf_subscriptions_new(struct mf_daemon *d);
/* After mf_bridges_close, so that no transfer waits for anybody. */
void mf_subscriptions_free(struct mf_subscriptions *s);

/* d->config is another one: takes up what it subscribes to, and ends the rest. */
void mf_subscriptions_follow(struct mf_subscriptions *s);
/* There are lists of which there is no copy, and nobody has tried to fetch them yet. */
bool mf_subscriptions_missing(const struct mf_subscriptions *s);
/* The network has changed: what failed is tried again soon. */
void mf_subscriptions_network_changed(struct mf_subscriptions *s);
/* Fetches what is due, once the workers run. Returns when it wants to be called again. */
mf_nsec mf_subscriptions_tick(struct mf_subscriptions *s, mf_nsec now);

#endif
