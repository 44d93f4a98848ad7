/* SPDX-License-Identifier: Apache-2.0
 *
 * settle - where a session goes by the name that it shows, for sessions whose address leaves that open.
 *
 * Only what the port of struct mf_host says may be settled is, and only at the ports of the configuration:
 * there the app speaks first. TCP (settle.c): the app's handshake is answered before it is known where the
 * session goes, and its first bytes are looked at where they lie. QUIC (settle_quic.c): the first datagrams
 * wait, and what was decided holds for all that follows between the two ends. What shows no name in time goes
 * where its address says.
 */
#ifndef MF_HOST_SETTLE_H
#define MF_HOST_SETTLE_H

#include "host/datagram.h"
#include "proto/sniff/sniff.h"

/* What has been decided of a session. */
struct mf_settlement {
	uint32_t hop;  /* that is to carry it */
	uint32_t rule; /* that says so; UINT32_MAX: its address does */
	enum mf_host_fate fate;
};

/* ---- settle.c ------------------------------------------------------------------------------------ */

/* Takes over what the configuration and the port of the host say. */
void mf_settle_configure(struct mf_host *h);

/* May what goes to this port be settled? Asked for every UDP packet. */
static inline bool mf_settle_port(const struct mf_host *h, uint16_t port)
{
	for (uint32_t i = 0; i < h->n_settle_ports; i++)
		if (h->cfg.settle_port[i] == port)
			return true;
	return false;
}
/* The same of an end, which the port of the host is asked about. */
static inline bool mf_settle_wants(const struct mf_host *h, const struct mf_endpoint *dst)
{
	return mf_settle_port(h, dst->port) && h->port.settles(h->port.ctx, &dst->addr);
}

/* Decides by what has been seen of a session to `dst`, and counts it. `own`: the hop that the address says. MORE
 * is for what would have shown more if it had come in time. */
void mf_settle_decide(struct mf_host *h, const struct mf_addr *dst, uint32_t own,
		      enum mf_sniff_verdict v, const struct mf_sniff_name *name,
		      struct mf_settlement *to);
/* What others are to see of it: of a long name the end. */
void mf_settle_name(struct mf_session *s, const struct mf_sniff_name *name, uint32_t rule);

/* A TCP session whose app has connected: false: it is to wait, until tcp.settle_until at the latest. */
bool mf_settle_stream(struct mf_host *h, struct mf_session *s, struct mf_sniff_name *name,
		      struct mf_settlement *to);
/* Would a session like s, which has shown its name, go elsewhere now? */
bool mf_settle_has_moved(const struct mf_host *h, const struct mf_session *s);

/* ---- settle_quic.c ------------------------------------------------------------------------------- */

/* One for each worker. NULL: out of memory; what is not used is not touched. */
struct mf_quic_flows *mf_quic_flows_new(const uint8_t hash_key[16]);
/* Drops what waits, forgets what was decided. */
void mf_quic_flows_clear(struct mf_host *h);
/* The same first. NULL is fine. */
void mf_quic_flows_free(struct mf_host *h, struct mf_quic_flows *t);

/* p, a checked UDP packet of an app to a port that may be settled. True: it has been taken: it waits, with
 * others has joined the batch, has been dropped or handed over. False: it goes on, to next_hop. */
bool mf_settle_datagram(struct mf_host *h, struct mf_datagram_batch *b, struct mf_pkt *p);
/* Where the address of a remote of s leads, as it was when s came to carry what goes there. */
uint32_t mf_settle_route(const struct mf_host *h, const struct mf_session *s,
			 const struct mf_endpoint *remote);
/* Does anything from the app's port in k wait? */
bool mf_settle_waits(const struct mf_host *h, const struct mf_flow_key *k);
/* What is carried stays where it is; what is blocked may try again. */
void mf_settle_routes_changed(struct mf_host *h);

#endif
