/* SPDX-License-Identifier: Apache-2.0
 *
 * packets - datagrams of one mapping as packets between us and a relay: the server itself, or the
 * one that a SOCKS5 server has named. One port of ours below for one port of the app, so whoever
 * writes to the proxy's port reaches the app (a full cone).
 *
 * Up, datagrams that become equally long leave as one super-packet, so that the kernel takes them
 * in one call and encryption writes to one warm piece of memory. They may go out in fragments:
 * "don't fragment" is said of the way from the proxy to the target, not of that to the proxy. Down,
 * they are opened where they lie; of a super-packet, payloads of one sender and size move together
 * and stay one.
 */
#ifndef MF_PROXY_PACKETS_H
#define MF_PROXY_PACKETS_H

#include "proxy/mapping.h"

/* A datagram from the relay, opened. */
struct mf_packets_opened {
	uint8_t *payload;
	uint32_t n;
	struct mf_endpoint from;
};

struct mf_packets {
	struct mf_mapping *m;
	struct mf_packet_codec *codec;
	struct mf_dgram lower;
	struct mf_endpoint relay;
	bool open;   /* lower is */
	bool proven; /* the relay has sent something that opens */
	/* What has come and is not looked at yet: of the first packet, what is behind `at`, and
	 * perhaps a datagram that was opened, but does not belong to those before it. */
	struct mf_pkt *in;
	uint32_t at;
	bool has_ahead;
	struct mf_packets_opened ahead;
};

/* The codec has been initialised. */
void mf_packets_init(struct mf_packets *k, struct mf_mapping *m, struct mf_packet_codec *codec);
/* Where packets go and come from now, through a port of its family. On an error the fault has been
 * said, and nothing can be sent. */
MF_MUST_CHECK enum mf_stream_error mf_packets_aim(struct mf_packets *k,
						  const struct mf_endpoint *relay);
/* What has happened below. True: the relay cannot be reached, says somebody. */
bool mf_packets_heed(struct mf_packets *k);
void mf_packets_send(struct mf_packets *k, struct mf_pkt **pkts, size_t n);
/* What waits, all of it, before anything else is sent. */
void mf_packets_send_waiting(struct mf_packets *k, struct mf_waiting *w);
size_t mf_packets_recv(struct mf_packets *k, struct mf_pkt **out, size_t max);
/* Closes the port below; the next mf_packets_aim opens another one. */
void mf_packets_close(struct mf_packets *k);
/* The end: closed, and the keys are wiped. */
void mf_packets_fini(struct mf_packets *k);

#endif
