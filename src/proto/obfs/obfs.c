/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/obfs/internal.h"

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

void mf_obfs_init(struct mf_obfs *o, const struct mf_obfs_config *cfg, const struct mf_codec_env *env)
{
	const char *path = cfg->path ? cfg->path : "/";

	MF_ASSERT(cfg->mode == MF_OBFS_HTTP || cfg->mode == MF_OBFS_TLS);
	MF_ASSERT(strlen(cfg->host) <= MF_OBFS_HOST_MAX && is_printable(cfg->host));
	MF_ASSERT(strlen(path) <= MF_OBFS_PATH_MAX && is_printable(path));
	*o = (struct mf_obfs){
		.codec = { .ops = cfg->mode == MF_OBFS_HTTP ? &mf_obfs_http : &mf_obfs_tls,
			   .env = env },
		.config = cfg,
	};
}
