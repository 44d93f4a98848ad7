/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram - datagrams through a proxy: the datagram half of a proxy's outbound (host/outbound.h). How
 * they travel is the protocol's: as packets to the server (Shadowsocks, dgram_packets.c), as
 * packets beside a connection that keeps an association (SOCKS5, dgram_socks5.c), or as frames in
 * streams (VMess, VLESS, Trojan, dgram_stream.c).
 *
 * Datagrams go to addresses, never to names: an answer must come from where its app has sent to.
 *
 * One thread: the worker's. What happens below is only noted and told to the app's session, which
 * then asks for errors and datagrams; all work is done in those calls. So nothing here has a turn
 * of its own but for timers, which are on the wheel of struct mf_layers.
 */
#ifndef MF_PROXY_DGRAM_H
#define MF_PROXY_DGRAM_H

#include "proxy/proxy.h"

struct mf_mapping;
struct mf_mapping_kind;

/* How a protocol carries datagrams. */
struct mf_dgram_proto {
	const struct mf_mapping_kind *kind;
	size_t codec_size; /* of the protocol's struct, which the functions initialise at `at` */
	/* One of the two. For packets: */
	struct mf_packet_codec *(*packets)(void *at, const struct mf_proxy_config *cfg,
					   const struct mf_codec_env *env);
	/* For streams; `to` lives until codec.begun. */
	struct mf_codec *(*stream)(void *at, const struct mf_proxy_config *cfg,
				   const struct mf_codec_env *env, const struct mf_proxy_target *to);
};

/* Of a type of proxy; NULL: it carries none (http). */
const struct mf_dgram_proto *mf_dgram_proto(enum mf_proxy_type type);

/* All mappings of one interface on one worker. Embedded in its owner, who fills in the first part
 * and zeroes the second; it is at an end when n is 0. */
struct mf_dgrams {
	const struct mf_dgram_proto *proto;
	const struct mf_proxy_config *config;
	struct mf_layers *layers; /* clock, timers, log, what codecs want, what is held back */
	struct mf_proxy_health *health;
	struct mf_proxy_life *life; /* of the settings */
	struct mf_pkt_pool *pool;
	struct mf_outbound *transport; /* streams to the server, below the codec; may be NULL */
	void *ctx;
	/* What carries the interface's own datagrams now; NULL: nothing. */
	struct mf_outbound *(*via)(void *ctx);
	/* Address i of the server, the best one first, counted round if there are not as many.
	 * False: none is known; then they have been asked for, and mf_dgrams_resolved comes. */
	bool (*server)(void *ctx, uint32_t i, struct mf_endpoint *out);
	/* The last mapping has been closed. It may free all this. */
	void (*idle)(void *ctx);

	struct mf_mapping *first;
	uint32_t n;         /* mappings */
	uint32_t which;     /* address of the server in use: another one after an error about it */
	uint32_t n_waiting; /* packets, of all mappings */
	uint32_t n_streams; /* likewise */
	size_t held;        /* bytes of layers->pool, likewise */
	bool retired; /* what fails now is over: the app's next datagram finds another interface */
};

/* As struct mf_outbound_ops has them; open is given what it is to belong to. Echo:
 * MF_E_UNSUPPORTED. */
MF_MUST_CHECK mf_err mf_dgrams_open(struct mf_dgrams *x, struct mf_outbound *o, struct mf_dgram *d,
				    const struct mf_target *to);
void mf_dgrams_send(struct mf_dgram *d, struct mf_pkt **pkts, size_t n);
size_t mf_dgrams_recv(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max);
bool mf_dgrams_error(struct mf_dgram *d, struct mf_dgram_error *e);
void mf_dgrams_close(struct mf_dgram *d);

/* The server's addresses are known, or are not to be had: then what waits for them is dropped. */
void mf_dgrams_resolved(struct mf_dgrams *x, bool known);
/* All mappings fail: their sessions are told, and close them. */
void mf_dgrams_end(struct mf_dgrams *x);

#endif
