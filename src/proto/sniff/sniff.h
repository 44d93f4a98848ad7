/* SPDX-License-Identifier: Apache-2.0
 *
 * sniff - the name that a session shows in its first bytes: TLS SNI (RFC 6066 3), HTTP Host (RFC 9112 3.2),
 * SNI in the Initial packets of QUIC v1 and v2 (RFC 9001 5.2, RFC 9369). Reads only; never waits for what
 * cannot come. All bytes are a stranger's.
 *
 * No memory is taken per session: a struct mf_sniff_quic holds what the Initials of a connection have said so
 * far. One thread for each object.
 */
#ifndef MF_SNIFF_H
#define MF_SNIFF_H

#include "base/err.h"

enum {
	MF_SNIFF_NAME_MAX = 254,
	MF_SNIFF_STREAM_MAX = 16384, /* bytes of a stream that are looked at */
	MF_SNIFF_HELLO_MAX = 8192, /* of a ClientHello in QUIC: post-quantum key shares, and room */
	MF_SNIFF_INITIALS_MAX = 8, /* datagrams of one connection that are looked at */
	MF_SNIFF_RANGES = 32,      /* pieces of a ClientHello that may lie apart */
	MF_SNIFF_CID_MAX = 20,
};

enum mf_sniff_verdict {
	MF_SNIFF_NAME, /* there it is */
	MF_SNIFF_MORE, /* not yet: more bytes may show it */
	MF_SNIFF_NONE, /* it has none, or it is another protocol */
	/* An encrypted ClientHello (RFC 9849, extension 0xfe0d of type outer): the name that is meant is inside,
	 * or the outer name is (GREASE: browsers send an empty shell to servers that have no keys for it, and
	 * nobody on the way can tell the two apart). */
	MF_SNIFF_HIDDEN,
};

struct mf_sniff_name {
	uint16_t n;
	char text[MF_SNIFF_NAME_MAX + 1]; /* lower case, no last dot, no port; with NUL */
	const char *protocol;             /* "tls", "http", "quic" */
};

/* The first bytes of a TCP session, all that have come so far, in pieces. With HIDDEN, too, `out` says the
 * outer name (n 0: none); with MORE and NONE it is empty. A name that is an IP address, or no host name
 * (letters, digits, hyphens, underscores in labels of 1 to 63), is NONE. */
enum mf_sniff_verdict mf_sniff_stream(const struct mf_span *v, size_t n, struct mf_sniff_name *out);

/* What opening Initial packets takes; one for each thread. NULL: out of memory. */
struct mf_sniffer;
struct mf_sniffer *mf_sniffer_new(void);
/* NULL is fine. */
void mf_sniffer_free(struct mf_sniffer *s);

/* QUIC: what has been put together of the ClientHello of one connection. Any sniffer goes on with it. */
struct mf_sniff_quic {
	uint8_t datagrams; /* looked at so far */
	uint8_t n_ranges;
	uint8_t dcid_len, dcid[MF_SNIFF_CID_MAX]; /* of the first Initial: what the keys come from */
	/* Ranges of the CRYPTO stream that are there: begin, end; sorted, apart from each other. */
	uint16_t have[MF_SNIFF_RANGES][2];
	uint8_t hello[MF_SNIFF_HELLO_MAX];
};
/* Could this datagram begin a QUIC connection: a long header of a version that we know, type Initial, 1200
 * bytes at least (RFC 9000 14.1)? Cheap. */
bool mf_sniff_quic_begins(struct mf_span datagram);
/* Takes a datagram (with coalesced packets) of the client. The first call wants *q zeroed (`hello` need not
 * be). MORE is an answer only MF_SNIFF_INITIALS_MAX - 1 times; what does not authenticate is NONE. The
 * datagram is not changed. `out` as above. */
enum mf_sniff_verdict mf_sniff_quic(struct mf_sniffer *s, struct mf_sniff_quic *q,
				    struct mf_span datagram, struct mf_sniff_name *out);

#endif
