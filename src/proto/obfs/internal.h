/* SPDX-License-Identifier: Apache-2.0
 *
 * internal - the two disguises (http.c, tls.c) of obfs.c.
 */
#ifndef MF_PROTO_OBFS_INTERNAL_H
#define MF_PROTO_OBFS_INTERNAL_H

#include "proto/obfs/obfs.h"

extern const struct mf_codec_ops mf_obfs_http, mf_obfs_tls;

static inline struct mf_obfs *mf_obfs_of(struct mf_codec *c)
{
	return MF_CONTAINER_OF(c, struct mf_obfs, codec);
}

#endif
