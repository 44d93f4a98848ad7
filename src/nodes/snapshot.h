/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot - what the packet path knows of the configuration, immutable: next hops, addresses, routes.
 *
 * The control thread builds one, publishes it with one atomic store, and frees the old one when every
 * worker has passed a quiet point. The prefix tables it points to have one writer of their own and may
 * change while they are read (policy/lpm.h).
 */
#ifndef MF_SNAPSHOT_H
#define MF_SNAPSHOT_H

#include "base/addr.h"
#include "base/endian.h"
#include "host/host.h"
#include "policy/learned.h"
#include "policy/lpm.h"
#include "policy/names.h"
#include "proto/wg/wg.h"
#include "proxy/proxy.h"
#include "resolver/resolver.h"

/* Longer packets would not fit a UDP datagram once they are sealed: 65507 less 32. */
enum { MF_WG_MTU_MAX = 65475 };

enum mf_hop_kind {
	MF_HOP_NONE,
	MF_HOP_DROP,
	MF_HOP_REJECT,
	MF_HOP_WG,
	MF_HOP_SESSION, /* sessions of the host stack, carried on by an outbound: direct, a proxy */
};

/* Where a route leads: one for each interface of the profile, and the built-in ones. */
struct mf_next_hop {
	uint8_t kind; /* enum mf_hop_kind */
	uint8_t udp_slot;
	uint32_t mtu; /* of packets inside the tunnel, at most MF_WG_MTU_MAX */
	/* What a TCP connection through here has room for, both ways: the smaller of that and the TUN's
	 * MTU. The MSS of SYNs is lowered to it. */
	uint32_t path_mtu;
	struct mf_wg_device *device;
	/* Our address inside this VPN, one for each family; family 0: the packet keeps its source.
	 * Packets from the tunnel's own address take it on the way out, and lose it on the way in. */
	struct mf_addr inside4, inside6;
	struct mf_proxy_config *proxy; /* sessions go to this one; NULL: it is no proxy */
	char name[16];
};

/* Values in the prefix tables are indices into hop[]; 0 is "no route". */
enum {
	MF_HOP_ID_NONE,
	MF_HOP_ID_DROP,
	MF_HOP_ID_REJECT,
	MF_HOP_ID_DIRECT,
	MF_HOP_ID_DNS, /* the internal DNS server: TCP to port 53 */
	MF_HOP_ID_FIRST_INTERFACE
};

/* Which datagrams and TCP sessions that enter the tunnel are questions for the internal DNS server. */
enum { MF_DNS_CATCH_MAX = 8 };
struct mf_dns_catch {
	bool all; /* port 53 of every address */
	uint8_t n;
	struct mf_endpoint at[MF_DNS_CATCH_MAX];
};

struct mf_snapshot {
	uint64_t generation;
	const struct mf_lpm *routes4, *routes6;
	struct mf_learned *learned; /* routes to single addresses, from answers of the DNS */
	const struct mf_resolver_config *dns; /* NULL: no DNS server */
	const struct mf_names *names;         /* routes of names; NULL: there are none */
	struct mf_dns_catch dns_catch;
	struct mf_addr tunnel4, tunnel6; /* addresses of the TUN device; family 0: none */
	uint32_t tunnel_mtu;             /* of the TUN device */
	struct mf_host_config host;      /* of each worker's host stack */
	uint32_t staged_max;             /* packets staged for each peer and worker */
	uint32_t n_hops;
	struct mf_next_hop hop[];
};

/* Does it carry packets or sessions? The others end them. */
static inline bool mf_hop_carries(const struct mf_next_hop *h)
{
	return h->kind == MF_HOP_WG || h->kind == MF_HOP_SESSION;
}

/* The interface of that name, an index into hop[]; MF_HOP_ID_NONE: there is none. One of the profile may be named like
 * the internal DNS server, and is meant then. */
static inline uint32_t mf_snapshot_hop_named(const struct mf_snapshot *snap, const char *name)
{
	uint32_t i = snap->n_hops - 1;

	while (i && strcmp(snap->hop[i].name, name) != 0)
		i--;
	return i;
}

/* Where the routes that the user wrote lead a packet to the address at `dst`, of IP version 4 or 6: an index into
 * hop[]. */
static inline uint32_t mf_snapshot_static_route(const struct mf_snapshot *snap, const uint8_t *dst,
						uint8_t ip_version)
{
	return ip_version == 4 ? mf_lpm_lookup4(snap->routes4, mf_load_be32(dst))
			       : mf_lpm_lookup6(snap->routes6, dst);
}

/* The same; *full: by a route of full length, which is what the user wants whatever the name. */
static inline uint32_t mf_snapshot_match(const struct mf_snapshot *snap, const struct mf_addr *dst,
					 bool *full)
{
	unsigned len = 0;
	uint32_t hop =
		mf_lpm_match(dst->family == MF_AF_IP4 ? snap->routes4 : snap->routes6, dst->b, &len);

	*full = hop && len == mf_addr_bits(dst);
	return hop;
}

/* Where a learned route leads it, MF_HOP_ID_NONE: none does. All workers share them, and the one that learns may have
 * adopted a newer snapshot: where its interface is not known yet, the packet goes nowhere rather than astray. */
static inline uint32_t mf_snapshot_learned(const struct mf_snapshot *snap, const uint8_t *dst,
					   uint8_t ip_version)
{
	uint32_t hop = ip_version == 4 ? mf_learned_lookup4(snap->learned, mf_load_be32(dst))
				       : mf_learned_lookup6(snap->learned, dst);

	return MF_LIKELY(hop < snap->n_hops) ? hop : MF_HOP_ID_DROP;
}

/* Where it goes: a learned route beats all others but those of full length, beside which none is learned. */
static inline uint32_t mf_snapshot_route(const struct mf_snapshot *snap, const uint8_t *dst,
					 uint8_t ip_version)
{
	uint32_t hop = mf_snapshot_learned(snap, dst, ip_version);

	return hop ? hop : mf_snapshot_static_route(snap, dst, ip_version);
}

/* What a WireGuard device's `user` points to; the rest of it belongs to the engine. */
struct mf_wg_iface {
	uint32_t hop; /* index into hop[], for as long as the device lives */
};

/* The pair of addresses that is exchanged between the tunnel and a VPN; `inside` NULL: none is, one of
 * them is not there or they are the same. */
struct mf_translation {
	const struct mf_addr *own, *inside;
};

static inline struct mf_translation
mf_translation_of(const struct mf_snapshot *snap, const struct mf_next_hop *hop, uint8_t ip_version)
{
	struct mf_translation t = {
		.own = ip_version == 4 ? &snap->tunnel4 : &snap->tunnel6,
		.inside = ip_version == 4 ? &hop->inside4 : &hop->inside6,
	};

	if (!t.inside->family || !t.own->family ||
	    memcmp(t.inside->b, t.own->b, mf_addr_len(t.own)) == 0)
		t.inside = NULL;
	return t;
}

#endif
