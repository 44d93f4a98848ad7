/* SPDX-License-Identifier: Apache-2.0
 *
 * addr - IP addresses, prefixes and UDP endpoints as values, with one text form for reading and
 * writing (RFC 5952 for IPv6). No name is resolved here.
 */
#ifndef MF_ADDR_H
#define MF_ADDR_H

#include "base/err.h"

enum mf_family { MF_AF_NONE = 0, MF_AF_IP4 = 4, MF_AF_IP6 = 6 };

/* Network byte order; an IPv4 address sits in the first four bytes, the rest is zero. */
struct mf_addr {
	uint8_t b[16];
	uint8_t family; /* enum mf_family */
};

struct mf_prefix {
	struct mf_addr addr; /* host bits are zero after mf_prefix_mask */
	uint8_t len;         /* 0..32 or 0..128 */
};

struct mf_endpoint {
	struct mf_addr addr;
	uint16_t port;     /* host byte order */
	uint32_t scope_id; /* interface index for link-local IPv6, else 0 */
};

enum { MF_ADDR_STRLEN = 46, MF_PREFIX_STRLEN = 50, MF_ENDPOINT_STRLEN = 66 };

static inline struct mf_addr mf_addr_ip4(const void *four)
{
	struct mf_addr a = { .family = MF_AF_IP4 };

	memcpy(a.b, four, 4);
	return a;
}

static inline struct mf_addr mf_addr_ip6(const void *sixteen)
{
	struct mf_addr a = { .family = MF_AF_IP6 };

	memcpy(a.b, sixteen, 16);
	return a;
}

static inline size_t mf_addr_len(const struct mf_addr *a)
{
	return a->family == MF_AF_IP4 ? 4 : a->family == MF_AF_IP6 ? 16 : 0;
}

static inline unsigned mf_addr_bits(const struct mf_addr *a)
{
	return a->family == MF_AF_IP4 ? 32 : 128;
}

bool mf_addr_equal(const struct mf_addr *a, const struct mf_addr *b);
bool mf_endpoint_equal(const struct mf_endpoint *a, const struct mf_endpoint *b);

/* Is it 0.0.0.0 or ::, or none at all? */
bool mf_addr_is_unspecified(const struct mf_addr *a);
/* Is it an address of no public host: RFC 1918, shared (RFC 6598), loopback, link-local, ULA, unspecified? */
bool mf_addr_is_private(const struct mf_addr *a);

/* Clears the host bits. */
struct mf_prefix mf_prefix_mask(struct mf_prefix p);
bool mf_prefix_equal(const struct mf_prefix *a, const struct mf_prefix *b);
bool mf_prefix_contains(const struct mf_prefix *p, const struct mf_addr *a);

/* Text to value: the whole string must be used. "10.0.0.0/8", a bare address is a full-length
 * prefix, host bits are kept (mask with mf_prefix_mask). Endpoints: "192.0.2.1:51820", "[2001:db8::1]:51820",
 * "[fe80::1%3]:51820". Errors: MF_E_MALFORMED. */
MF_MUST_CHECK mf_err mf_addr_parse(struct mf_addr *a, const char *text);
MF_MUST_CHECK mf_err mf_prefix_parse(struct mf_prefix *p, const char *text);
MF_MUST_CHECK mf_err mf_endpoint_parse(struct mf_endpoint *e, const char *text);

/* Value to text; `out` holds the MF_*_STRLEN bytes; returns `out`. */
const char *mf_addr_format(const struct mf_addr *a, char out[MF_ADDR_STRLEN]);
const char *mf_prefix_format(const struct mf_prefix *p, char out[MF_PREFIX_STRLEN]);
const char *mf_endpoint_format(const struct mf_endpoint *e, char out[MF_ENDPOINT_STRLEN]);

#endif
