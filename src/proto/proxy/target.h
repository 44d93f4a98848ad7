/* SPDX-License-Identifier: Apache-2.0
 *
 * target - where a session or datagram wants to go, as it is told to a proxy, in the two encodings
 * that there are: that of SOCKS5 (RFC 1928 5: type, address, port; also Shadowsocks and Trojan) and
 * that of VMess and VLESS (port, type, address, with other types).
 */
#ifndef MF_PROTO_PROXY_TARGET_H
#define MF_PROTO_PROXY_TARGET_H

#include "base/addr.h"
#include "base/err.h"

enum { MF_TARGET_NAME_MAX = 255, MF_TARGET_LEN_MAX = 1 + 1 + MF_TARGET_NAME_MAX + 2 };

/* The bytes at `name` belong to somebody else. */
struct mf_proxy_target {
	struct mf_endpoint addr; /* the port counts in any case */
	const char *name;        /* without NUL, 1..MF_TARGET_NAME_MAX bytes; NULL: addr.addr */
	uint8_t name_n;
};

/* A target from a host name or NULL, and an address with port. A name that is none, too long or
 * an address as text is left out: then the address counts. */
struct mf_proxy_target mf_proxy_target(const char *name, const struct mf_endpoint *addr);

/* Bytes that it takes, at most MF_TARGET_LEN_MAX; writes them and returns how many. */
size_t mf_target_len(const struct mf_proxy_target *t);
size_t mf_target_put_socks(const struct mf_proxy_target *t, uint8_t *out);
size_t mf_target_put_v2(const struct mf_proxy_target *t, uint8_t *out);

/* Reads one at the beginning of `in`; *used: its bytes. A name stays where it is. MF_E_SHORT:
 * more bytes must come; MF_E_MALFORMED: unknown type, or an empty name. */
MF_MUST_CHECK mf_err mf_target_get_socks(struct mf_span in, struct mf_proxy_target *t, size_t *used);
MF_MUST_CHECK mf_err mf_target_get_v2(struct mf_span in, struct mf_proxy_target *t, size_t *used);

#endif
