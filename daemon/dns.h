/* SPDX-License-Identifier: Apache-2.0
 *
 * dns - the sockets at which the internal DNS server is asked from outside the tunnel
 * (dns.listen), for the first worker's thread. What enters the tunnel does not come here:
 * nodes/dns_input.c.
 *
 * A socket that is bound to a wildcard answers private addresses only: it is no open resolver.
 */
#ifndef MF_DAEMON_DNS_H
#define MF_DAEMON_DNS_H

#include "daemon/internal.h"

/* Opens what d->config wants, before the workers run and while there are privileges. `eb` says
 * which address is in use or not there. */
MF_MUST_CHECK mf_err mf_dns_sockets_open(struct mf_daemon *d, struct mf_errbuf *eb);
/* The workers have stopped, and the engine is gone. */
void mf_dns_sockets_close(struct mf_daemon *d);
/* As mf_ports_counters. */
void mf_dns_sockets_counters(void *ctx, mf_control_counter_fn *add, void *to);

/* Whether any server is asked over TLS or HTTPS. */
bool mf_dns_is_encrypted(const struct mf_config_dns *dns);

#endif
