/* SPDX-License-Identifier: Apache-2.0
 *
 * server - the text form of an upstream DNS server:
 *
 *	1.1.1.1   9.9.9.9:5353   2620:fe::fe   [2620:fe::fe]:53   udp://1.1.1.1     port 53
 *	tcp://1.1.1.1                                                               port 53
 *	tls://1.1.1.1#cloudflare-dns.com   tls://dns.example                        port 853
 *	https://1.1.1.1/dns-query   https://dns.example/dns-query                   port 443
 *
 * What stands behind # is the name that the certificate must have, where the host is an address. Pure
 * functions.
 */
#ifndef MF_CONFIG_SERVER_H
#define MF_CONFIG_SERVER_H

#include "config/arena.h"
#include "config/config.h"

/* Fills all but `pos`; `text` must live as long. NULL, or what is wrong with it (to be put behind "…: ").
 * https without a path asks /dns-query, as in RFC 8484's examples. */
const char *mf_server_parse(const char *text, struct mf_config_arena *arena,
			    struct mf_config_dns_server *out);
/* Addresses for a server that has only a name; all of them get its port. NULL, or what is wrong. */
const char *mf_server_bootstrap(struct mf_config_dns_server *s, const struct mf_addr *addr,
				uint32_t n);
/* As in a profile: a scalar, or a map with url and bootstrap. */
void mf_server_print(const struct mf_config_dns_server *s, struct mf_text *out);

#endif
