/* SPDX-License-Identifier: Apache-2.0
 *
 * network - the TUN device, its MTU and addresses, the machine's routes into it, and what to do when the
 * network under the tunnel changes.
 */
#ifndef MF_DAEMON_NETWORK_H
#define MF_DAEMON_NETWORK_H

#include "daemon/internal.h"

/* Opens the TUN device with a queue for each of d->n_workers workers, as d->config says; it is down. */
MF_MUST_CHECK mf_err mf_network_open(struct mf_daemon *d, struct mf_errbuf *eb);
/* MTU, addresses, up. */
MF_MUST_CHECK mf_err mf_network_up(struct mf_daemon *d, struct mf_errbuf *eb);
/* Routes the machine in if d->config says so, takes the routes back if it does not. */
MF_MUST_CHECK mf_err mf_network_routes(struct mf_daemon *d, struct mf_errbuf *eb);
/* Begins to watch the network. */
MF_MUST_CHECK mf_err mf_network_watch(struct mf_daemon *d, struct mf_errbuf *eb);
/* From the profile `old` to d->config, in place; goes on after an error and returns the first one. */
MF_MUST_CHECK mf_err mf_network_change(struct mf_daemon *d, const struct mf_config *old,
				       struct mf_errbuf *eb);
/* d->marks_changed: other marks have to be kept out of the tunnel now. */
void mf_network_new_marks(struct mf_daemon *d);
/* Undoes everything. */
void mf_network_close(struct mf_daemon *d);

/* Addresses of the tunnel: its own, or those of the only interface. Of `cfg`. */
const struct mf_config_prefixes *mf_network_addresses(const struct mf_config *cfg);
/* What merging may make, given what the device takes: TCP and UDP super-packets. */
bool mf_network_takes_tcp(const struct mf_daemon *d);
bool mf_network_takes_udp(const struct mf_daemon *d);
/* The MTU of the tunnel with this profile: as written, or from the paths to the endpoints. */
uint32_t mf_network_mtu(const struct mf_daemon *d, const struct mf_config *cfg);

#endif
