/* SPDX-License-Identifier: Apache-2.0
 *
 * obfs_layer - the layer that disguises a stream as simple-obfs does (proto/obfs). There is nothing
 * to be answered before bytes may flow, and nothing to be learned of the server by it: whether it
 * is the right one, the codec above sees.
 */
#ifndef MF_PROXY_OBFS_LAYER_H
#define MF_PROXY_OBFS_LAYER_H

#include "proto/obfs/obfs.h"
#include "proxy/layer.h"

/* As mf_layer_outbound_init. `cfg` lives as long as the outbound, its mode is not NONE. */
void mf_obfs_layer_init(struct mf_layer_outbound *o, const struct mf_obfs_config *cfg,
			struct mf_layers *ls, struct mf_outbound *below,
			struct mf_proxy_health *health, const char *iface);

#endif
