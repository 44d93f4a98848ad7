/* SPDX-License-Identifier: Apache-2.0
 *
 * route - the operating system's routing: leads the whole machine into the tunnel, keeps our own
 * sockets out by a mark, undoes it exactly, and tells where a packet would go.
 *
 * The scheme, in both families, is that of wg-quick with numbers of our own:
 *	19781: from all fwmark MARK goto 19786                 if there are rules 19782, or marks
 *	19782: from all to INCLUDED lookup 19782               one for each included prefix
 *	19782: from all iif lo ipproto udp dport 53 lookup 19782, and tcp: this machine's questions about names
 *	19783: from all to LAN lookup main                     one for each excluded prefix
 *	19784: from all lookup main suppress_prefixlength 0    routes more specific than the default
 *	19785: not from all fwmark 0x4d460000 lookup 19782     everything else but our own sockets
 *	19786: from all nop                                    where 19781 goes
 *	table 19782: default dev TUN
 * Everything carries MF_ROUTE_PROTOCOL, so that what a killed run left behind is recognised.
 */
#ifndef MF_PLATFORM_ROUTE_H
#define MF_PLATFORM_ROUTE_H

#include "base/addr.h"

/* Numbers that nobody else uses: not wg-quick's 51820, sing-box's 2022, 9000 and 0x2023 to 0x2025,
 * Tailscale's 52, 5200 to 5270 and 0x80000/0xff0000, Mullvad's 0x6d6f6c65, kube-proxy's 0x4000 and
 * 0x8000. "MF" in ASCII is 0x4d46. */
enum {
	MF_ROUTE_TABLE = 0x4d46,    /* 19782 */
	MF_ROUTE_MARK = 0x4d460000, /* 1296433152 */
	MF_ROUTE_RULE_OWN = 19781,
	MF_ROUTE_RULE_INCLUDE = 19782,
	MF_ROUTE_RULE_EXCLUDE = 19783,
	MF_ROUTE_RULE_MAIN = 19784,
	MF_ROUTE_RULE_TUNNEL = 19785,
	MF_ROUTE_RULE_END = 19786,
	MF_ROUTE_PROTOCOL = 77, /* rtm_protocol and FRA_PROTOCOL */
};

struct mf_route_options {
	uint32_t ifindex;                /* the TUN device; must be up */
	bool ip4, ip6;                   /* which families to take */
	bool exclude_lan;                /* private, link-local and multicast ranges stay outside */
	const struct mf_prefix *exclude; /* more that stays outside */
	size_t n_exclude;
	const struct mf_prefix *include; /* goes in though it lies in an excluded range */
	size_t n_include;
	bool dns; /* this machine's own questions to port 53 go in, wherever the server is */
	const uint32_t *marks; /* other marks that our sockets carry (fwmark of an interface): without
	                          them here such packets would go round in a circle */
	size_t n_marks;
};

struct mf_route;

/* Removes leftovers, then adds routes and rules, the rule that switches traffic over last. Where
 * strict reverse path filtering (rp_filter 1) would drop the answers to our own sockets it is made
 * loose (2) on the interfaces concerned: the kernel looks for the way back to the sender without our
 * mark, and finds the tunnel. (wg-quick's src_valid_mark only helps with a firewall rule that restores
 * marks: tests/assume/rp_filter.c.) NULL: `eb` says why, and nothing is left. MF_E_CONFLICT in `*err`
 * (may be NULL): another live tunnel uses our table. Control thread; needs CAP_NET_ADMIN. */
struct mf_route *mf_route_up(const struct mf_route_options *o, mf_err *err, struct mf_errbuf *eb);
/* Adds again what has gone meanwhile: routes go when the device is set down, rules when somebody
 * removes them. After MF_NETMON_TUN_UP, MF_NETMON_RULES and MF_NETMON_OVERRUN. */
MF_MUST_CHECK mf_err mf_route_refresh(struct mf_route *r, struct mf_errbuf *eb);
/* Takes back all that mf_route_up did. `r` may be NULL. */
void mf_route_down(struct mf_route *r);

/* Removes every rule and route that carries our protocol number and table, in both families; for
 * `mintflow stop` after a run was killed. `*removed` (may be NULL) says how many. */
MF_MUST_CHECK mf_err mf_route_clean(uint32_t *removed, struct mf_errbuf *eb);

/* The ranges that exclude_lan means. */
const struct mf_prefix *mf_route_lan(size_t *n);

/* Where a packet with `mark` to `dst` would go now. */
struct mf_route_path {
	uint32_t ifindex;
	uint32_t mtu;          /* of the route if it has one, else of the link */
	struct mf_addr source; /* family 0: unknown */
	struct mf_addr gateway;
	char ifname[16];
};
/* MF_E_NOT_FOUND: unreachable. */
MF_MUST_CHECK mf_err mf_route_lookup(const struct mf_addr *dst, uint32_t mark,
				     struct mf_route_path *path);
/* The path of the default route, when no endpoint is known; IPv4 first. */
MF_MUST_CHECK mf_err mf_route_lookup_default(uint32_t mark, struct mf_route_path *path);
/* The largest inner MTU whose WireGuard datagrams fit a path: its MTU less IP, UDP, WireGuard header
 * and tag (60 bytes over IPv4, 80 over IPv6), at least 1280. */
uint32_t mf_route_tunnel_mtu(uint32_t path_mtu, uint8_t outer_family);

/* Tells when the network under us changes. */
enum mf_netmon_kind {
	MF_NETMON_DEFAULT_ROUTE = 1 << 0, /* a default route of the main table came, went or changed */
	MF_NETMON_ADDRESS = 1 << 1,       /* an address of another device than the TUN */
	MF_NETMON_LINK = 1 << 2,          /* another device came, went, up or down */
	MF_NETMON_TUN_DOWN = 1 << 3,      /* somebody set our device down */
	MF_NETMON_TUN_UP = 1 << 4,
	MF_NETMON_TUN_DELETED = 1 << 5,
	MF_NETMON_RULES = 1 << 6,   /* a rule of ours was removed by somebody else */
	MF_NETMON_OVERRUN = 1 << 7, /* messages were lost: look at everything again */
	MF_NETMON_ROUTES =
		1 << 8, /* another route, or a rule of somebody else: packets may go elsewhere */
};

struct mf_netmon;

/* `tun_ifindex` may be 0. One thread. */
struct mf_netmon *mf_netmon_new(uint32_t tun_ifindex, struct mf_errbuf *eb);
void mf_netmon_free(struct mf_netmon *m);
int mf_netmon_fd(const struct mf_netmon *m);
/* Reads all that is there; returns the kinds, together; 0: nothing of interest. Never waits. */
uint32_t mf_netmon_read(struct mf_netmon *m);

#endif
