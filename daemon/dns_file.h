/* SPDX-License-Identifier: Apache-2.0
 *
 * dns_file - the answers of the DNS server over a restart (dns.cache_file). They are written at the
 * end and now and then before it, and read at the start if they can still be true: if the
 * interfaces are those of then and the default gateway is, too, because other networks may answer
 * otherwise.
 */
#ifndef MF_DAEMON_DNS_FILE_H
#define MF_DAEMON_DNS_FILE_H

#include "daemon/internal.h"

/* While the workers run and a profile is in force; without dns.cache_path they do nothing. What
 * goes wrong is told the log, once as long as it stays wrong. */
void mf_dns_file_load(struct mf_daemon *d);
void mf_dns_file_save(struct mf_daemon *d);
/* Saves if it is time; returns when it wants to be called next. */
mf_nsec mf_dns_file_tick(struct mf_daemon *d, mf_nsec now);

#endif
