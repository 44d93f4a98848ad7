/* SPDX-License-Identifier: Apache-2.0
 *
 * base64 - bytes as text (RFC 4648), for what is no key of WireGuard (base/key.h): credentials and
 * nonces in fields of HTTP.
 */
#ifndef MF_BASE64_H
#define MF_BASE64_H

#include "base/base.h"

/* Characters that n bytes become at most, in either form. */
static inline size_t mf_base64_len(size_t n)
{
	return (n + 2) / 3 * 4;
}

/* Writes mf_base64_len(in.n) characters, without a NUL, and returns how many (RFC 4648 4, with
 * padding). */
size_t mf_base64_encode(struct mf_span in, char *out);
/* The same with '-' and '_', and without padding (RFC 4648 5): it may be a part of a URL. */
size_t mf_base64url_encode(struct mf_span in, char *out);

#endif
