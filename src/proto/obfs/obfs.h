/* SPDX-License-Identifier: Apache-2.0
 *
 * obfs - simple-obfs, the client's side, without I/O: what makes a Shadowsocks connection look like
 * an HTTP upgrade or like TLS to whoever only glances at it. No security of its own.
 */
#ifndef MF_PROTO_OBFS_H
#define MF_PROTO_OBFS_H

#include "proto/proxy/codec.h"

enum mf_obfs_mode { MF_OBFS_NONE, MF_OBFS_HTTP, MF_OBFS_TLS };
enum { MF_OBFS_HOST_MAX = 255, MF_OBFS_PATH_MAX = 1024 };

/* Host and path without blanks and control characters, within their limits (asserted). */
struct mf_obfs_config {
	uint8_t mode;  /* enum mf_obfs_mode */
	uint16_t port; /* of the server: in Host unless it is 80 */
	const char *host;
	const char *path; /* http; NULL: "/" */
};

/* A codec without handshake: seal writes what begins with the first payload, open takes off what
 * the server puts in front. `to` is not used, and nothing is ever `proven`. */
struct mf_obfs {
	struct mf_codec codec;
	const struct mf_obfs_config *config;
	uint8_t records; /* tls: of the server so far, up to those with payload */
	uint32_t left;   /* tls: bytes of the record that is being read */
};

/* The mode is not NONE. `cfg` and `env` outlive it. */
void mf_obfs_init(struct mf_obfs *o, const struct mf_obfs_config *cfg,
		  const struct mf_codec_env *env);

#endif
