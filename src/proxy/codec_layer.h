/* SPDX-License-Identifier: Apache-2.0
 *
 * codec_layer - the layer that speaks a proxy protocol: it drives a codec (proto/proxy/codec.h)
 * over the stream of the layer below, and tells what the proxy has answered, or has not.
 */
#ifndef MF_PROXY_CODEC_LAYER_H
#define MF_PROXY_CODEC_LAYER_H

#include "proxy/layer.h"

/* How the codec of a protocol is made. */
struct mf_codec_kind {
	size_t size; /* of its struct, which begins with struct mf_codec */
	void (*init)(struct mf_codec *c, const void *config, const struct mf_codec_env *env,
		     const struct mf_proxy_target *to);
	/* After an error: more about it, for the log, written to `out`; NULL: there is never
	 * more. */
	void (*detail)(const struct mf_codec *c, char out[MF_PROXY_DETAIL_MAX]);
};

/* Lives as long as the outbound. */
struct mf_codec_layer_config {
	const struct mf_codec_kind *kind;
	const void *config; /* the protocol's own, for kind->init */
	/* After something has been sent: so long the proxy may say nothing while it says nothing
	 * to anybody; 0: for ever. */
	mf_nsec first_byte_timeout;
	struct mf_proxy_life *life; /* of the settings, what all workers have heard */
};

/* As mf_layer_outbound_init. `patience`: for the handshake of protocols that have one. */
void mf_codec_layer_init(struct mf_layer_outbound *o, const struct mf_codec_layer_config *cfg,
			 struct mf_layers *ls, struct mf_outbound *below,
			 struct mf_proxy_health *health, const char *iface, mf_nsec patience);

#endif
