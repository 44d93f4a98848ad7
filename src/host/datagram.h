/* SPDX-License-Identifier: Apache-2.0
 *
 * datagram - what UDP mappings and echo sessions have in common: a struct mf_dgram for all remotes, payload
 * that goes out in batches and comes back with headers written in front of it, errors in both directions.
 */
#ifndef MF_HOST_DATAGRAM_H
#define MF_HOST_DATAGRAM_H

#include "host/internal.h"

/* What they differ in. */
struct mf_datagram_kind {
	struct mf_session_ops ops;
	enum mf_dgram_kind kind;
	size_t hdr_len; /* of the L4 header, if it does not belong to the payload */
	/* Makes payload from p->remote a packet to the app, with headers and checksum. False: it is nothing
	 * for the app; p is as it was. */
	bool (*wrap)(const struct mf_session *s, struct mf_pkt *p);
	/* Writes the first 8 bytes of L4 of a packet that the app sent to a remote. */
	void (*quote)(const struct mf_session *s, const struct mf_dgram_error *e, uint8_t l4[8]);
};

extern const struct mf_datagram_kind mf_datagram_udp, mf_datagram_echo;

/* Payloads of one session that leave together. All are on their way after mf_datagram_flush. */
struct mf_datagram_batch {
	struct mf_session *s;
	uint32_t n;
	struct mf_pkt *pkts[64];
};

/* p, a checked packet of this kind, to its session, which begins with it or was there, for its destination at
 * this L4 port. Returns the session, NULL: p has been dropped or handed over. */
struct mf_session *mf_datagram_input(struct mf_host *h, struct mf_datagram_batch *b,
				     const struct mf_datagram_kind *kind, struct mf_pkt *p,
				     uint16_t port);
void mf_datagram_flush(struct mf_host *h, struct mf_datagram_batch *b);

/* Makes payload p, which may be several datagrams of one size, a UDP packet with `tos` and `ttl` of p; the
 * checksum is left to offload. False: it is too long for one; p is as it was. */
bool mf_datagram_wrap_udp(struct mf_pkt *p, const struct mf_endpoint *from,
			  const struct mf_endpoint *to);
/* Each datagram of packet p as packets of at most `mtu` bytes, copied; p is spoilt. One that finds no packets
 * free is lost as on any link. `emit` owns what it gets. */
void mf_datagram_cut(struct mf_host *h, struct mf_pkt *p, uint32_t mtu,
		     void (*emit)(void *ctx, struct mf_pkt *p), void *ctx);

/* For ops. */
bool mf_datagram_turn(struct mf_host *h, struct mf_session *s);
void mf_datagram_close(struct mf_host *h, struct mf_session *s, bool tell_app);

/* Does s remember that its app has spoken to this remote, or to the destination of p, a packet of it? */
bool mf_datagram_remembers(const struct mf_session *s, const struct mf_endpoint *remote);
bool mf_datagram_knows(const struct mf_session *s, const struct mf_pkt *p);
/* Do the routes send a remote that s remembers elsewhere now? */
bool mf_datagram_has_moved(const struct mf_host *h, const struct mf_session *s);

/* The way to the app takes no packets longer than that. Smaller than any honest link: ignored. */
void mf_datagram_path_mtu(struct mf_session *s, uint32_t mtu);

#endif
