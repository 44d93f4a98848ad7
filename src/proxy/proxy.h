/* SPDX-License-Identifier: Apache-2.0
 *
 * proxy - an interface of type shadowsocks, vmess, vless, trojan, socks5 or http: an outbound that
 * carries sessions and datagrams to a server which carries them on. There is one for each interface
 * and worker, made from an immutable struct mf_proxy_config that all workers share.
 *
 * When a profile changes the interface, the old one is retired: sessions that run end on it, new
 * ones begin on the new one.
 */
#ifndef MF_PROXY_PROXY_H
#define MF_PROXY_PROXY_H

#include "crypto/tls.h"
#include "proto/http/connect.h"
#include "proto/obfs/obfs.h"
#include "proto/shadowsocks/shadowsocks.h"
#include "proto/socks5/socks5.h"
#include "proto/trojan/trojan.h"
#include "proto/vless/vless.h"
#include "proto/vmess/vmess.h"
#include "proto/websocket/websocket.h"
#include "proxy/layer.h"

enum mf_proxy_type {
	MF_PROXY_SHADOWSOCKS,
	MF_PROXY_VMESS,
	MF_PROXY_VLESS,
	MF_PROXY_TROJAN,
	MF_PROXY_SOCKS5,
	MF_PROXY_HTTP,
	MF_PROXY_TYPES
};

/* What becomes of UDP that is routed to it. Echo is never carried. */
enum mf_proxy_udp {
	MF_PROXY_UDP_PROXY,  /* carried by it; http cannot */
	MF_PROXY_UDP_DIRECT, /* goes to the local internet instead */
	MF_PROXY_UDP_DROP,
	MF_PROXY_UDP_REJECT, /* the app gets an ICMP error */
};

enum { MF_PROXY_ADDRS_MAX = 8 };

/* Strings and settings belong to it. Immutable but for `refs` and `life`. */
struct mf_proxy_config {
	uint32_t refs; /* atomic */
	struct mf_proxy_life life;
	uint64_t id; /* no other settings have had it: answers that come later name it */
	char name[16];
	uint8_t type;            /* enum mf_proxy_type */
	uint8_t udp;             /* enum mf_proxy_udp */
	const char *server;      /* a host name; NULL: `addr` */
	struct mf_endpoint addr; /* with the port in any case */
	uint32_t via;   /* the hop that leads to the server: MF_HOP_ID_DIRECT, a VPN, a proxy */
	bool via_proxy; /* that is a proxy: names go to it as names */
	mf_nsec connect_timeout, first_byte_timeout; /* the latter 0: off */
	union {
		struct mf_ss_config ss;
		struct mf_vmess_config vmess;
		struct mf_vless_config vless;
		struct mf_trojan_config trojan;
		struct mf_socks5_config socks5;
		struct mf_connect_config http;
	};
	bool websocket;
	/* One for each worker, made by the control thread, which reads the files of authorities;
	 * NULL: no TLS. */
	struct mf_tls_context **tls;
	uint32_t n_tls;
	const char *tls_name; /* SNI, and whom the certificate is for */
	const char *tls_alpn; /* as mf_tls_new wants it; NULL: none */
	struct mf_ws_config ws;
	struct mf_obfs_config obfs; /* mode MF_OBFS_NONE: there is none */
};

struct mf_proxy_config *mf_proxy_config_ref(struct mf_proxy_config *c);
/* Wipes and frees with the last one; NULL is fine. Everything that it points to was allocated
 * with malloc. */
void mf_proxy_config_unref(struct mf_proxy_config *c);

struct mf_proxy;

struct mf_proxy_env {
	unsigned worker;     /* index into mf_proxy_config.tls */
	uint32_t direct_hop; /* for MF_PROXY_UDP_DIRECT */
	struct mf_layers *layers;
	struct mf_pkt_pool *pool;
	void *ctx;
	/* What carries a hop now; NULL: nothing. Asked for each connection. */
	struct mf_outbound *(*outbound)(void *ctx, uint32_t hop);
	/* Asks for the addresses of this proxy's server; mf_proxy_resolved comes some time
	 * later, also if there are none. It may ask once more when an address does not answer. */
	void (*resolve)(void *ctx, struct mf_proxy *p);
};

/* Takes a reference of `cfg`. What it learns of the server it writes to `health`, which lives as
 * long as the worker does (others read it). NULL: out of memory. */
struct mf_proxy *mf_proxy_new(struct mf_proxy_config *cfg, const struct mf_proxy_env *env,
			      struct mf_proxy_health *health);
/* No new sessions; frees itself after the last one. `end`: those that run are reset. */
void mf_proxy_retire(struct mf_proxy *p, bool end);
struct mf_outbound *mf_proxy_outbound(struct mf_proxy *p);
const struct mf_proxy_config *mf_proxy_config_of(const struct mf_proxy *p);
/* The answer to env.resolve: n 0: the name has no address. */
void mf_proxy_resolved(struct mf_proxy *p, const struct mf_addr *addr, size_t n);
/* The network has changed: addresses are asked for again, nothing else. */
void mf_proxy_network_changed(struct mf_proxy *p);

#endif
