/* SPDX-License-Identifier: Apache-2.0
 *
 * vless - the client of VLESS without flow, without I/O: sessions, and datagrams to one target. It
 * encrypts nothing: it belongs into TLS.
 */
#ifndef MF_PROTO_VLESS_H
#define MF_PROTO_VLESS_H

#include "proto/proxy/codec.h"
#include "proto/proxy/uuid.h"

/* Secret. */
struct mf_vless_config {
	uint8_t uuid[MF_UUID_LEN];
};

struct mf_vless {
	struct mf_codec codec;
	const struct mf_vless_config *config;
	bool udp;
	uint8_t heard;  /* bytes of the answer's header, addons not counted */
	uint8_t addons; /* bytes of them still to come */
};

/* `cfg` and `env` outlive it. */
void mf_vless_init(struct mf_vless *v, const struct mf_vless_config *cfg,
		   const struct mf_codec_env *env, const struct mf_proxy_target *to, bool udp);

#endif
