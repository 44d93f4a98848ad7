/* SPDX-License-Identifier: Apache-2.0
 *
 * codec_kind - which codec a session through each type of proxy has.
 */
#ifndef MF_PROXY_CODEC_KIND_H
#define MF_PROXY_CODEC_KIND_H

#include "proxy/codec_layer.h"
#include "proxy/proxy.h"

/* Its `config` is the struct mf_proxy_config. */
const struct mf_codec_kind *mf_codec_kind(enum mf_proxy_type type);

#endif
