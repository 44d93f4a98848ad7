/* SPDX-License-Identifier: Apache-2.0
 *
 * vpn - what connections and datagrams of our own through an L3VPN have in common (vpn.c), and the two halves
 * of the outbound that is made of them (vpn_stream.c, vpn_dgram.c). Its functions are those of outbound.h.
 */
#ifndef MF_HOST_VPN_H
#define MF_HOST_VPN_H

#include "host/internal.h"

/* A session of our own to `to`, from the TUN's address and a port that nobody has; facts filled in. Its key
 * names both ends of a stream, and of datagrams only ours and the interface. NULL: *why says why not. */
struct mf_session *mf_vpn_session(struct mf_vpn *v, uint8_t proto, const struct mf_target *to,
				  const struct mf_session_ops *ops, uint8_t *why);
/* Traffic of it, towards the server and back. What carries an app's session is counted there. */
void mf_vpn_up(struct mf_session *s, size_t bytes, uint32_t packets);
void mf_vpn_down(struct mf_session *s, size_t bytes, uint32_t packets);
void mf_vpn_emit(struct mf_session *s, struct mf_pkt *p);

mf_err mf_vpn_stream_open(struct mf_outbound *o, struct mf_stream *st, const struct mf_target *to);
size_t mf_vpn_stream_write(struct mf_stream *st, const struct mf_span *v, size_t n);
ptrdiff_t mf_vpn_stream_read(struct mf_stream *st, const struct mf_room *v, size_t n);
void mf_vpn_stream_shutdown(struct mf_stream *st);
void mf_vpn_stream_close(struct mf_stream *st, bool reset);
void mf_vpn_stream_info(const struct mf_stream *st, struct mf_stream_info *out);

mf_err mf_vpn_dgram_open(struct mf_outbound *o, struct mf_dgram *d, const struct mf_target *to);
void mf_vpn_dgram_send(struct mf_dgram *d, struct mf_pkt **pkts, size_t n);
size_t mf_vpn_dgram_recv(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out,
			 size_t max);
bool mf_vpn_dgram_error(struct mf_dgram *d, struct mf_dgram_error *e);
void mf_vpn_dgram_close(struct mf_dgram *d);

#endif
