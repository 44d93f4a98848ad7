/* SPDX-License-Identifier: Apache-2.0
 *
 * system_dns - points the machine's own resolver at our DNS server while there is one: which
 * address to give it, and when to ask the keeper (dns_keeper.h) for it.
 */
#ifndef MF_DAEMON_SYSTEM_DNS_H
#define MF_DAEMON_SYSTEM_DNS_H

#include "daemon/internal.h"

struct mf_system_dns;

/* Starts the keeper, which puts back at once what a killed run has left. Before the profile is read
 * and before there are threads; needs d->log. NULL: it cannot be started; the log was told, and
 * everything below does nothing. */
struct mf_system_dns *mf_system_dns_new(struct mf_daemon *d);
/* Puts everything back, waits for that, and for the keeper's end. `s` may be NULL. */
void mf_system_dns_free(struct mf_system_dns *s);

/* Once the poller is there: begins to listen to the keeper. */
MF_MUST_CHECK mf_err mf_system_dns_watch(struct mf_system_dns *s, struct mf_errbuf *eb);
/* As d->config says, in place; the tunnel and its routes are up. */
void mf_system_dns_follow(struct mf_system_dns *s);
/* Waits until the keeper has done what it was asked for, for some seconds. */
void mf_system_dns_settle(struct mf_system_dns *s);
/* Sees to it that everything is still as it was set. */
void mf_system_dns_network_changed(struct mf_system_dns *s);

/* Whom programs of the machine should ask: an address that leads to our DNS server, at port 53.
 * False: there is none. `goes_in(ctx, a)` says whether the machine's routes lead from it into the
 * tunnel. For tests. */
bool mf_system_dns_server(const struct mf_config *cfg, const struct mf_config_prefixes *addresses,
			  bool (*goes_in)(void *ctx, const struct mf_addr *a), void *ctx,
			  struct mf_addr *out);

#endif
