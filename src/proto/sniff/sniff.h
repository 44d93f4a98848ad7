/* SPDX-License-Identifier: Apache-2.0
 *
 * sniff - the name that a session shows in its first bytes: TLS SNI (RFC 6066 3), HTTP Host (RFC 9112 3.2), SNI in the Initial packets of
 * QUIC v1 and v2 (RFC 9001 5.2, RFC 9369). Reads only; never waits for what cannot come. All bytes are a stranger's.
 *
 * One thread for each object. No memory is taken: a struct mf_sniff_quic holds what Initials of a connection have said so far.
 */
#ifndef MF_SNIFF_H
#define MF_SNIFF_H

#include "base/err.h"

enum {
	MF_SNIFF_NAME_MAX = 254,
	MF_SNIFF_STREAM_MAX = 16384, /* bytes of a stream that are looked at */
	MF_SNIFF_HELLO_MAX = 8192, /* of a ClientHello in QUIC: post-quantum key shares, and room */
	MF_SNIFF_INITIALS_MAX = 8, /* datagrams of one connection that are looked at */
};

enum mf_sniff_verdict {
	MF_SNIFF_NAME,   /* there it is */
	MF_SNIFF_MORE,   /* not yet: more bytes may show it */
	MF_SNIFF_NONE,   /* it has none, or it is another protocol */
	MF_SNIFF_HIDDEN, /* an encrypted ClientHello: what it shows outside is not (or may not be) the name that is meant (draft-ietf-tls-esni: extension 0xfe0d of type outer) */
};

struct mf_sniff_name {
	uint16_t n;
	char text[MF_SNIFF_NAME_MAX + 1]; /* lower case, no last dot, no port; with NUL */
	const char *protocol;             /* "tls", "http", "quic" */
};

/* The first bytes of a TCP session, all that have come so far, in pieces. With HIDDEN, too, `out` says the outer name. A name that is an IP address, or no host name, is NONE. */
enum mf_sniff_verdict mf_sniff_stream(const struct mf_span *v, size_t n, struct mf_sniff_name *out);

/* QUIC: what has been put together of the ClientHello of one connection. */
struct mf_sniff_quic {
	uint8_t datagrams; /* looked at so far */
	uint8_t n_ranges;
	uint8_t dcid_len, dcid[20]; /* of the first Initial: what the keys come from */
	uint32_t version;
	uint16_t have[16][2]; /* ranges of the CRYPTO stream that are there: begin, end; sorted */
	uint8_t hello[MF_SNIFF_HELLO_MAX];
};
/* Could this datagram begin a QUIC connection: a long header of a version that we know, type Initial, 1200 bytes at least? Cheap. */
bool mf_sniff_quic_begins(struct mf_span datagram);
/* Takes a datagram (with coalesced packets) of the client. The first call wants *q zeroed. MORE is an answer only so many times (MF_SNIFF_INITIALS_MAX); what does not authenticate is NONE. The datagram is not changed. */
enum mf_sniff_verdict mf_sniff_quic(struct mf_sniff_quic *q, struct mf_span datagram,
				    struct mf_sniff_name *out);

#endif
