/* SPDX-License-Identifier: Apache-2.0
 *
 * port - how the graph reaches the outside: two small tables of functions, filled in by the platform
 * (kernel TUN and UDP), by an application that embeds the engine, or by a test.
 *
 * All functions run on the worker's thread and never block.
 */
#ifndef MF_PORT_H
#define MF_PORT_H

#include "base/pkt.h"

/* IP packets to and from the operating system. */
struct mf_tun_port {
	void *ctx;
	/* Up to `max` packets, but stops once `bytes` have come in: what is read must still be in the
	 * cache when it is sealed. Packets come from `pool` with data, len and offload metadata set
	 * (`segments` of a super-packet, too). What mf_vnet_decode has been through is left as it is
	 * then, or has its `drop` set; anything else has l4_off 0 and is looked at by ip-input. */
	size_t (*recv)(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max,
		       size_t bytes);
	/* Sends all and sets each packet's `drop`: MF_DROP_NONE or why not. The packets stay the
	 * caller's. Packets of the host stack have a tail (pkt.h), which a port that wants one piece
	 * copies with mf_pkt_linear; `pool` is for that. */
	void (*send)(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **pkts, size_t n);
};

/* Datagrams outside the tunnel, of one local UDP port. A packet's data is the UDP payload; gso_size is
 * the stride when it holds several datagrams (gso_type MF_GSO_UDP), all equal but the last. */
struct mf_udp_port {
	void *ctx;
	size_t (*recv)(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max);
	void (*send)(void *ctx, struct mf_pkt **pkts, size_t n);
	/* This worker lets go of the port: packets kept for the next recv go back to their pool, which
	 * no other thread may do. May be NULL. */
	void (*release)(void *ctx);
};

#endif
