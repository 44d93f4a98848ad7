/* SPDX-License-Identifier: Apache-2.0
 *
 * name - domain names: in messages (RFC 1035 3.1, compressed or not), as keys, and as text.
 *
 * A struct mf_dns_name is the uncompressed wire form in lower case (only A to Z change): what is
 * hashed, compared and kept. The case in which a client asked stays in its own message.
 */
#ifndef MF_DNS_NAME_H
#define MF_DNS_NAME_H

#include "base/err.h"

enum {
	MF_DNS_NAME_MAX = 255, /* bytes on the wire, the root's zero included */
	MF_DNS_LABEL_MAX = 63,
	MF_DNS_TEXT_MAX = 1024, /* of any name as text, with escapes and the NUL */
};

struct mf_dns_name {
	uint8_t n; /* 1 for the root */
	uint8_t b[MF_DNS_NAME_MAX];
};

/* Reads the name at *at in a message, following pointers (only backwards, a bounded number of
 * times), and moves *at behind it. `out` NULL: only skips it, with the same checks. MF_E_SHORT,
 * MF_E_MALFORMED (a pointer forwards, to itself or into the header; a reserved label type; longer
 * than 255 bytes): *at is as it was. */
MF_MUST_CHECK mf_err mf_dns_name_read(struct mf_span msg, size_t *at, struct mf_dns_name *out);

/* From text: "example.com", with or without the last dot; "\." and "\046" are read as in master
 * files (RFC 1035 5.1). ASCII only (names in other scripts become ASCII in policy/idn.h).
 * MF_E_MALFORMED; MF_E_RANGE: a label or the name is too long. */
MF_MUST_CHECK mf_err mf_dns_name_parse(struct mf_dns_name *out, const char *text, size_t n);
/* To text without the last dot ("." for the root), special bytes escaped as in master files.
 * Returns `out`. */
const char *mf_dns_name_format(const struct mf_dns_name *name, char out[MF_DNS_TEXT_MAX]);
/* The text of a host name as rules and certificates know it: lower case, no last dot, and only if
 * every label is of bytes above space but '.', '\' and DEL; else (and for the root) "". Returns its
 * length, NUL not counted. Fast: no escapes, one pass. */
size_t mf_dns_name_host(const struct mf_dns_name *name, char out[MF_DNS_NAME_MAX]);

static inline bool mf_dns_name_equal(const struct mf_dns_name *a, const struct mf_dns_name *b)
{
	return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}
/* True if `name` is `zone` or below it. */
bool mf_dns_name_below(const struct mf_dns_name *name, const struct mf_dns_name *zone);
/* The reverse name of an address (in-addr.arpa, ip6.arpa: RFC 1035 3.5, RFC 3596 2.5), and back;
 * false: it is none of a whole address. */
struct mf_addr;
void mf_dns_name_reverse(struct mf_dns_name *out, const struct mf_addr *a);
bool mf_dns_name_unreverse(const struct mf_dns_name *name, struct mf_addr *a);

#endif
