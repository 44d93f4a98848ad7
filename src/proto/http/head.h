/* SPDX-License-Identifier: Apache-2.0
 *
 * head - the head of an HTTP/1.x response (RFC 9112), as WebSocket, CONNECT and obfuscations hear
 * it from servers.
 */
#ifndef MF_PROTO_HTTP_HEAD_H
#define MF_PROTO_HTTP_HEAD_H

#include "base/err.h"

enum { MF_HTTP_HEAD_MAX = 16 * 1024 };

/* Points into the bytes it was read from. */
struct mf_http_head {
	uint16_t status;
	struct mf_span fields; /* the lines between the first one and the empty one */
	size_t n;              /* bytes of the whole head */
};

/* Reads the head at the beginning of `in`. MF_E_SHORT: more must come; MF_E_MALFORMED: not
 * HTTP/1.x, which the first bytes show; MF_E_RANGE: longer than MF_HTTP_HEAD_MAX. A line may end
 * in LF alone (RFC 9112 2.2). */
MF_MUST_CHECK mf_err mf_http_head_parse(struct mf_span in, struct mf_http_head *out);
/* The value of the first field of this name (any case), without white space around it; p NULL:
 * there is none. Of a field that goes on in a second line (RFC 9112 5.2) only the first line is
 * seen. */
struct mf_span mf_http_field(const struct mf_http_head *h, const char *name);
/* Is this token, in any case, in the list that the fields of this name make ("Connection:
 * keep-alive, Upgrade")? */
bool mf_http_field_has(const struct mf_http_head *h, const char *name, const char *token);
/* Seconds since 1970 in the field Date; false: there is none, or not in the one form that
 * servers may write ("Sun, 06 Nov 1994 08:49:37 GMT", RFC 9110 5.6.7). */
bool mf_http_date(const struct mf_http_head *h, uint64_t *seconds);
/* Are the first bytes those of an HTTP/1.x response? MF_E_SHORT: as far as they go;
 * MF_E_MALFORMED: no. */
MF_MUST_CHECK mf_err mf_http_begins(struct mf_span in);
static inline bool mf_http_looks_like(struct mf_span in)
{
	return mf_http_begins(in) == MF_OK;
}

#endif
