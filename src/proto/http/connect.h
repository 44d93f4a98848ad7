/* SPDX-License-Identifier: Apache-2.0
 *
 * connect - the client of an HTTP proxy, without I/O: CONNECT (RFC 9110 9.3.6) with basic
 * authentication (RFC 7617). A handshake codec; sessions only.
 */
#ifndef MF_PROTO_HTTP_CONNECT_H
#define MF_PROTO_HTTP_CONNECT_H

#include "proto/proxy/codec.h"

/* Secret. */
struct mf_connect_config {
	uint16_t user_n, password_n; /* user_n 0: none */
	char user[256], password[256];
};

struct mf_connect {
	struct mf_codec codec;
	const struct mf_connect_config *config;
	uint32_t heard;  /* bytes of interim answers (1xx) so far */
	uint16_t status; /* of the answer, 0: none yet */
};

/* `cfg` and `env` outlive it. */
void mf_connect_init(struct mf_connect *c, const struct mf_connect_config *cfg,
		     const struct mf_codec_env *env, const struct mf_proxy_target *to);

#endif
