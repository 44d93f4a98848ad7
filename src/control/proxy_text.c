/* SPDX-License-Identifier: Apache-2.0 */
#include "control/proxy_text.h"

#include <stdio.h>

const char *mf_proxy_type_text(const struct mf_proxy_config *p)
{
	static const char *const text[MF_PROXY_TYPES] = {
		[MF_PROXY_SHADOWSOCKS] = "shadowsocks",
		[MF_PROXY_VMESS] = "vmess",
		[MF_PROXY_VLESS] = "vless",
		[MF_PROXY_TROJAN] = "trojan",
		[MF_PROXY_SOCKS5] = "socks5",
		[MF_PROXY_HTTP] = "http",
	};

	return p->type < MF_PROXY_TYPES ? text[p->type] : "?";
}

const char *mf_proxy_transport_text(const struct mf_proxy_config *p,
				    char out[MF_PROXY_TRANSPORT_STRLEN])
{
	static const char *const obfs[] = {
		[MF_OBFS_NONE] = "",
		[MF_OBFS_HTTP] = "obfs-http",
		[MF_OBFS_TLS] = "obfs-tls",
	};
	const char *const part[] = {
		p->obfs.mode < MF_ARRAY_LEN(obfs) ? obfs[p->obfs.mode] : "?",
		p->websocket ? "websocket" : "",
		p->tls ? "tls" : "",
	};
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < MF_ARRAY_LEN(part); i++)
		if (*part[i])
			n += (size_t)snprintf(out + n, MF_PROXY_TRANSPORT_STRLEN - n, "%s%s",
					      n ? "+" : "", part[i]);
	if (!n)
		strcpy(out, "tcp");
	return out;
}

const char *mf_proxy_server_text(const struct mf_proxy_config *p, char out[MF_PROXY_SERVER_STRLEN])
{
	static_assert((size_t)MF_PROXY_SERVER_STRLEN >= MF_ENDPOINT_STRLEN,
		      "holds an address, too");
	if (p->server)
		snprintf(out, MF_PROXY_SERVER_STRLEN, "%s:%u", p->server, p->addr.port);
	else
		mf_endpoint_format(&p->addr, out);
	return out;
}

const char *mf_proxy_udp_text(const struct mf_proxy_config *p)
{
	static const char *const text[] = {
		[MF_PROXY_UDP_PROXY] = "proxy",
		[MF_PROXY_UDP_DIRECT] = "direct",
		[MF_PROXY_UDP_DROP] = "drop",
		[MF_PROXY_UDP_REJECT] = "reject",
	};

	return p->udp < MF_ARRAY_LEN(text) ? text[p->udp] : "?";
}

void mf_proxy_udp_say(const struct mf_proxy_config *p, struct mf_text *out)
{
	switch ((enum mf_proxy_udp)p->udp) {
	case MF_PROXY_UDP_PROXY:
		mf_text_printf(out, "carried by %s", p->name);
		break;
	case MF_PROXY_UDP_DIRECT:
		mf_text_printf(out, "goes direct, not through %s: its `udp` says so", p->name);
		break;
	case MF_PROXY_UDP_DROP:
		mf_text_printf(out, "dropped: the `udp` of %s says so", p->name);
		break;
	case MF_PROXY_UDP_REJECT:
		mf_text_printf(out, "rejected with ICMP: the `udp` of %s says so", p->name);
		break;
	}
}

const char *mf_proxy_state_text(enum mf_proxy_state s)
{
	switch (s) {
	case MF_PROXY_UNTRIED:
		return "untried";
	case MF_PROXY_UP:
		return "up";
	case MF_PROXY_FAILING:
		return "failing";
	}
	return "?";
}

void mf_proxy_say(const struct mf_control *c, const struct mf_proxy_config *p, struct mf_text *out)
{
	char transport[MF_PROXY_TRANSPORT_STRLEN], server[MF_PROXY_SERVER_STRLEN];

	mf_text_printf(out, "%s (%s, %s) to %s, via %s", p->name, mf_proxy_type_text(p),
		       mf_proxy_transport_text(p, transport), mf_proxy_server_text(p, server),
		       mf_hop_name(c, p->via));
}

void mf_proxy_fault_say(enum mf_proxy_fault f, const char *detail, struct mf_text *out)
{
	bool more = detail && *detail;

	mf_text_printf(out, "%s%s%s%s", mf_proxy_fault_text(f), more ? " (" : "",
		       more ? detail : "", more ? ")" : "");
}
