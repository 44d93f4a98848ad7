/* SPDX-License-Identifier: Apache-2.0
 *
 * ws_layer - the layer that carries a stream in a WebSocket (proto/websocket).
 */
#ifndef MF_PROXY_WS_LAYER_H
#define MF_PROXY_WS_LAYER_H

#include "proto/websocket/websocket.h"
#include "proxy/layer.h"

/* As mf_layer_outbound_init. `cfg` lives as long as the outbound. `patience`: for the server's
 * answer. */
void mf_ws_layer_init(struct mf_layer_outbound *o, const struct mf_ws_config *cfg,
		      struct mf_layers *ls, struct mf_outbound *below,
		      struct mf_proxy_health *health, const char *iface, mf_nsec patience);

#endif
