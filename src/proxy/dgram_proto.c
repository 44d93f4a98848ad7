/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram_proto - which protocol carries datagrams how.
 */
#include "proxy/mapping.h"

static struct mf_packet_codec *shadowsocks(void *at, const struct mf_proxy_config *cfg,
					   const struct mf_codec_env *env)
{
	struct mf_ss_packets *s = at;

	mf_ss_packets_init(s, &cfg->ss, env);
	return &s->codec;
}

static struct mf_packet_codec *socks5(void *at, const struct mf_proxy_config *cfg,
				      const struct mf_codec_env *env)
{
	struct mf_socks5_packets *s = at;

	(void)cfg;
	mf_socks5_packets_init(s, env);
	return &s->codec;
}

static struct mf_codec *vmess(void *at, const struct mf_proxy_config *cfg,
			      const struct mf_codec_env *env, const struct mf_proxy_target *to)
{
	struct mf_vmess *v = at;

	mf_vmess_init(v, &cfg->vmess, env, to, true);
	return &v->codec;
}

static struct mf_codec *vless(void *at, const struct mf_proxy_config *cfg,
			      const struct mf_codec_env *env, const struct mf_proxy_target *to)
{
	struct mf_vless *v = at;

	mf_vless_init(v, &cfg->vless, env, to, true);
	return &v->codec;
}

static struct mf_codec *trojan(void *at, const struct mf_proxy_config *cfg,
			       const struct mf_codec_env *env, const struct mf_proxy_target *to)
{
	struct mf_trojan *t = at;

	mf_trojan_init(t, &cfg->trojan, env, to, true);
	return &t->codec;
}

const struct mf_dgram_proto *mf_dgram_proto(enum mf_proxy_type type)
{
	static const struct mf_dgram_proto protos[MF_PROXY_TYPES] = {
		[MF_PROXY_SHADOWSOCKS] = { .kind = &mf_mapping_packets,
					   .codec_size = sizeof(struct mf_ss_packets),
					   .packets = shadowsocks },
		[MF_PROXY_VMESS] = { .kind = &mf_mapping_streams,
				     .codec_size = sizeof(struct mf_vmess),
				     .stream = vmess },
		[MF_PROXY_VLESS] = { .kind = &mf_mapping_streams,
				     .codec_size = sizeof(struct mf_vless),
				     .stream = vless },
		[MF_PROXY_TROJAN] = { .kind = &mf_mapping_streams,
				      .codec_size = sizeof(struct mf_trojan),
				      .stream = trojan },
		[MF_PROXY_SOCKS5] = { .kind = &mf_mapping_socks5,
				      .codec_size = sizeof(struct mf_socks5_packets),
				      .packets = socks5 },
	};

	return protos[type].kind ? &protos[type] : NULL;
}
