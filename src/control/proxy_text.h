/* SPDX-License-Identifier: Apache-2.0
 *
 * proxy_text - a proxy in words, for tables and sentences: what it speaks, over what, where, through
 * what, and how it is. Nothing secret is in the settings that these look at.
 */
#ifndef MF_PROXY_TEXT_H
#define MF_PROXY_TEXT_H

#include "control/internal.h"

enum { MF_PROXY_TRANSPORT_STRLEN = 32, MF_PROXY_SERVER_STRLEN = MF_HOST_STRLEN + 16 };

/* "shadowsocks", as the profile has it. */
const char *mf_proxy_type_text(const struct mf_proxy_config *p);
/* "tcp", "tls", "websocket", "websocket+tls", "obfs-http", "obfs-tls" */
const char *mf_proxy_transport_text(const struct mf_proxy_config *p,
				    char out[MF_PROXY_TRANSPORT_STRLEN]);
/* "px.example.net:443", "[2001:db8::7]:443" */
const char *mf_proxy_server_text(const struct mf_proxy_config *p, char out[MF_PROXY_SERVER_STRLEN]);
/* What becomes of UDP, as the profile has it: "proxy", "direct", "drop", "reject". */
const char *mf_proxy_udp_text(const struct mf_proxy_config *p);
/* The same as a sentence about datagrams: "carried by hk". */
void mf_proxy_udp_say(const struct mf_proxy_config *p, struct mf_text *out);
/* "untried", "up", "failing" */
const char *mf_proxy_state_text(enum mf_proxy_state s);
/* "hk (vmess, websocket+tls) to px.example.net:443, via home-vpn" */
void mf_proxy_say(const struct mf_control *c, const struct mf_proxy_config *p, struct mf_text *out);
/* "the proxy's certificate is not good (certificate has expired)"; `detail` may be NULL or "". */
void mf_proxy_fault_say(enum mf_proxy_fault f, const char *detail, struct mf_text *out);

#endif
