/* SPDX-License-Identifier: Apache-2.0
 *
 * socks5 - the client of SOCKS5 (RFC 1928) without authentication or with user and password (RFC
 * 1929), without I/O: sessions (CONNECT), and datagrams beside a connection that keeps their
 * association (UDP ASSOCIATE).
 */
#ifndef MF_PROTO_SOCKS5_H
#define MF_PROTO_SOCKS5_H

#include "proto/proxy/codec.h"

/* Secret. */
struct mf_socks5_config {
	uint8_t user_n, password_n; /* user_n 0: none */
	char user[255], password[255];
};

/* A handshake codec: one message at a time, because not all servers read ahead. With `udp` it is
 * the association: no payload ever goes, and what comes is thrown away; when it is opened,
 * `relay` is where datagrams go (an unspecified address: that of the server), and the
 * association ends with the connection. */
struct mf_socks5 {
	struct mf_codec codec;
	const struct mf_socks5_config *config;
	struct mf_proxy_target relay; /* name NULL; a relay given by name is refused */
	bool udp;
	uint8_t step; /* what is said or heard next */
};

/* `cfg` and `env` outlive it. With `udp` there is no `to`. */
void mf_socks5_init(struct mf_socks5 *s, const struct mf_socks5_config *cfg,
		    const struct mf_codec_env *env, const struct mf_proxy_target *to, bool udp);

/* Datagrams to and from the relay (RFC 1928 7). Parts of larger ones (FRAG) are refused. */
struct mf_socks5_packets {
	struct mf_packet_codec codec;
};
void mf_socks5_packets_init(struct mf_socks5_packets *s, const struct mf_codec_env *env);

#endif
