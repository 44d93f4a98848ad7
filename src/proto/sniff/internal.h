/* SPDX-License-Identifier: Apache-2.0
 *
 * internal - what the sniffers share: bytes in pieces, a ClientHello in whatever carries it, and names.
 */
#ifndef MF_SNIFF_INTERNAL_H
#define MF_SNIFF_INTERNAL_H

#include "proto/sniff/sniff.h"

/* Goes through bytes that lie in pieces, once, from the first to the last. */
struct mf_pieces {
	const struct mf_span *v; /* the piece that is next */
	size_t at;               /* in it */
	size_t left;             /* bytes that may still be taken */
};

/* Not more than `max` bytes of them. */
struct mf_pieces mf_pieces(const struct mf_span *v, size_t n, size_t max);
/* The next n bytes go to `to`, which may be NULL. False: there are not so many (and all are taken). */
bool mf_pieces_take(struct mf_pieces *p, void *to, size_t n);
/* The next byte, -1 for none. */
int mf_pieces_byte(struct mf_pieces *p);

/* What carries a ClientHello: records of TLS (RFC 8446 5.1), or nothing around it (QUIC). */
struct mf_hello_carrier {
	struct mf_pieces in;
	bool records;
	size_t record_left; /* of the record that has begun */
	size_t max; /* bytes of a ClientHello, header included; longer ones are not waited for */
	const char *protocol;
};

/* Reads a ClientHello (RFC 8446 4.1.2) as far as it is there. Verdicts as in sniff.h. */
enum mf_sniff_verdict mf_sniff_hello(struct mf_hello_carrier *c, struct mf_sniff_name *out);
enum mf_sniff_verdict mf_sniff_tls(struct mf_pieces in, struct mf_sniff_name *out);
enum mf_sniff_verdict mf_sniff_http(struct mf_pieces in, struct mf_sniff_name *out);

/* Sets the name in its one form; false, and empty: it is no host name, or an address. */
bool mf_sniff_name_set(struct mf_sniff_name *out, const char *text, size_t n, const char *protocol);

#endif
