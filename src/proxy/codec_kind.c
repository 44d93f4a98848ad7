/* SPDX-License-Identifier: Apache-2.0
 *
 * codec_kind - see codec_kind.h.
 */
#include "proxy/codec_kind.h"

#include <stdio.h>

static void shadowsocks(struct mf_codec *c, const void *config, const struct mf_codec_env *env,
			const struct mf_proxy_target *to)
{
	const struct mf_proxy_config *cfg = config;

	mf_ss_stream_init((struct mf_ss_stream *)c, &cfg->ss, env, to);
}

static void vmess(struct mf_codec *c, const void *config, const struct mf_codec_env *env,
		  const struct mf_proxy_target *to)
{
	const struct mf_proxy_config *cfg = config;

	mf_vmess_init((struct mf_vmess *)c, &cfg->vmess, env, to, false);
}

static void vless(struct mf_codec *c, const void *config, const struct mf_codec_env *env,
		  const struct mf_proxy_target *to)
{
	const struct mf_proxy_config *cfg = config;

	mf_vless_init((struct mf_vless *)c, &cfg->vless, env, to, false);
}

static void trojan(struct mf_codec *c, const void *config, const struct mf_codec_env *env,
		   const struct mf_proxy_target *to)
{
	const struct mf_proxy_config *cfg = config;

	mf_trojan_init((struct mf_trojan *)c, &cfg->trojan, env, to, false);
}

static void socks5(struct mf_codec *c, const void *config, const struct mf_codec_env *env,
		   const struct mf_proxy_target *to)
{
	const struct mf_proxy_config *cfg = config;

	mf_socks5_init((struct mf_socks5 *)c, &cfg->socks5, env, to, false);
}

static void http(struct mf_codec *c, const void *config, const struct mf_codec_env *env,
		 const struct mf_proxy_target *to)
{
	const struct mf_proxy_config *cfg = config;

	mf_connect_init((struct mf_connect *)c, &cfg->http, env, to);
}

static void http_detail(const struct mf_codec *c, char out[MF_PROXY_DETAIL_MAX])
{
	const struct mf_connect *x = (const struct mf_connect *)c;

	if (x->status)
		(void)snprintf(out, MF_PROXY_DETAIL_MAX, "status %u", x->status);
}

static const struct mf_codec_kind kinds[MF_PROXY_TYPES] = {
	[MF_PROXY_SHADOWSOCKS] = { .size = sizeof(struct mf_ss_stream), .init = shadowsocks },
	[MF_PROXY_VMESS] = { .size = sizeof(struct mf_vmess), .init = vmess },
	[MF_PROXY_VLESS] = { .size = sizeof(struct mf_vless), .init = vless },
	[MF_PROXY_TROJAN] = { .size = sizeof(struct mf_trojan), .init = trojan },
	[MF_PROXY_SOCKS5] = { .size = sizeof(struct mf_socks5), .init = socks5 },
	[MF_PROXY_HTTP] = { .size = sizeof(struct mf_connect), .init = http, .detail = http_detail },
};

const struct mf_codec_kind *mf_codec_kind(enum mf_proxy_type type)
{
	MF_ASSERT(type < MF_PROXY_TYPES);
	return &kinds[type];
}
