/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/network.h"

#include <stdlib.h>

#include "daemon/direct.h"
#include "daemon/names.h"
#include "daemon/subscribe.h"
#include "daemon/system_dns.h"
#include "platform/clock.h"
#include "platform/udp.h"

enum {
	MTU_FALLBACK = 1420, /* no path is known yet: Ethernet less 80 */
	MTU_AUTO_MAX = 9000,
	MTU_IP6_MIN = 1280,
	PEERS_LOOKED_AT = 64, /* of each interface, when paths are compared: each costs a system call */
	INCLUDES_MAX = 256, /* rules of the system for parts of the LAN that go into the tunnel */
	MARKS_MAX = 16,
	UDP_PAYLOAD_MAX = 65507,
	/* Packets that may wait for us. The kernel's 500 are gone in the 4 ms for which another program may
	 * have the processor, at 125 000 datagrams a second; TCP never has that many there. */
	TUN_QUEUE = 2000,
	WG_OVERHEAD = 32, /* data header and tag */
};

/* ---- Device ------------------------------------------------------------------------------------ */

static uint32_t features_of(const struct mf_config_offload *o)
{
	uint32_t f = MF_TUN_VNET;

	if (!o->checksum)
		return f;
	f |= MF_TUN_CSUM;
	if (o->tso)
		f |= MF_TUN_TSO4 | MF_TUN_TSO6 | MF_TUN_TSO_ECN;
	if (o->uso)
		f |= MF_TUN_USO4 | MF_TUN_USO6;
	return f;
}

mf_err mf_network_open(struct mf_daemon *d, struct mf_errbuf *eb)
{
	struct mf_tun_options o = {
		.name = d->config->tunnel.name,
		.queues = d->n_workers,
		.features = features_of(&d->config->tunnel.offload),
		.txqueuelen = TUN_QUEUE,
	};

	d->tun = mf_tun_open(&o, eb);
	return d->tun ? MF_OK : MF_E_SYSTEM;
}

static bool takes(const struct mf_daemon *d, uint32_t features)
{
	uint32_t have = mf_tun_queue_tx_features(mf_tun_queue(d->tun, 0));

	return d->config->tunnel.offload.coalesce && (have & features) == features;
}

bool mf_network_takes_tcp(const struct mf_daemon *d)
{
	return takes(d, MF_TUN_TSO4 | MF_TUN_TSO6);
}

bool mf_network_takes_udp(const struct mf_daemon *d)
{
	return takes(d, MF_TUN_USO4 | MF_TUN_USO6);
}

/* A super-packet should fill one batch of UDP_SEGMENT once it is encrypted: as many segments as fit both
 * its limits. The kernel's own limit in bytes stays as it is: above it, it cuts what it forwards in
 * software, and a limit in segments already holds for TCP with headers of any size. */
static void set_gso_max(struct mf_daemon *d)
{
	uint32_t by_bytes = UDP_PAYLOAD_MAX / (d->mtu + WG_OVERHEAD);
	uint32_t segments = (uint32_t)mf_max(mf_min(by_bytes, MF_UDP_GSO_SEGMENTS_MAX), 1);
	struct mf_errbuf eb;

	if (mf_tun_set_gso_max(d->tun, MF_PKT_LARGE_MAX, segments, &eb))
		mf_logf(&d->log, MF_LOG_DEBUG, "%s", eb.text);
}

/* ---- MTU --------------------------------------------------------------------------------------- */

static uint32_t mark_of(const struct mf_daemon *d, uint32_t fwmark)
{
	return fwmark ? fwmark : d->mark;
}

/* A peer without a literal address is taken for one over IPv6: 20 bytes too few are better than
 * fragments. */
static uint32_t peer_mtu(const struct mf_daemon *d, const struct mf_config_interface *f,
			 const struct mf_config_peer *p)
{
	struct mf_route_path path;
	uint32_t mark = mark_of(d, f->fwmark);

	if (p->endpoint.host && p->endpoint.is_addr &&
	    mf_route_lookup(&p->endpoint.addr.addr, mark, &path) == MF_OK)
		return mf_route_tunnel_mtu(path.mtu, p->endpoint.addr.addr.family);
	if (mf_route_lookup_default(mark, &path) == MF_OK)
		return mf_route_tunnel_mtu(path.mtu, MF_AF_IP6);
	return MTU_FALLBACK;
}

static uint32_t iface_mtu(const struct mf_daemon *d, const struct mf_config_interface *f)
{
	uint32_t least = MTU_AUTO_MAX, n = (uint32_t)mf_min(f->n_peers, PEERS_LOOKED_AT);

	for (uint32_t i = 0; i < n; i++)
		least = (uint32_t)mf_min(least, peer_mtu(d, f, &f->peers[i]));
	return n ? least : MTU_FALLBACK;
}

/* No VPN: what goes `direct` or to a proxy needs no room for headers of ours. */
static uint32_t direct_mtu(uint32_t mark)
{
	struct mf_route_path path;

	if (mf_route_lookup_default(mark, &path))
		return MTU_FALLBACK;
	return (uint32_t)mf_min(mf_max(path.mtu, MTU_IP6_MIN), MTU_AUTO_MAX);
}

uint32_t mf_network_mtu(const struct mf_daemon *d, const struct mf_config *cfg)
{
	uint32_t least = MTU_AUTO_MAX;
	bool vpn = false;

	if (cfg->tunnel.mtu)
		return cfg->tunnel.mtu;
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		const struct mf_config_interface *f = &cfg->interfaces[i];

		if (mf_config_is_proxy(f->type))
			continue;
		vpn = true;
		least = (uint32_t)mf_min(least, f->mtu ? f->mtu : iface_mtu(d, f));
	}
	return vpn ? least : direct_mtu(mark_of(d, 0));
}

static mf_err set_mtu(struct mf_daemon *d, uint32_t mtu, struct mf_errbuf *eb)
{
	mf_err err;

	if (mtu == d->mtu)
		return MF_OK;
	err = mf_tun_set_mtu(d->tun, mtu, eb);
	if (err)
		return err;
	d->mtu = mtu;
	set_gso_max(d);
	if (d->engine)
		mf_engine_set_default_mtu(d->engine, mtu);
	return MF_OK;
}

/* ---- Addresses --------------------------------------------------------------------------------- */

const struct mf_config_prefixes *mf_network_addresses(const struct mf_config *cfg)
{
	if (!cfg->tunnel.addresses.n && cfg->n_interfaces == 1)
		return &cfg->interfaces[0].addresses;
	return &cfg->tunnel.addresses;
}

static bool listed(const struct mf_config_prefixes *list, const struct mf_prefix *p)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (mf_prefix_equal(&list->v[i].prefix, p))
			return true;
	return false;
}

static mf_err set_addresses(struct mf_daemon *d, const struct mf_config_prefixes *from,
			    const struct mf_config_prefixes *to, struct mf_errbuf *eb)
{
	mf_err err = MF_OK;

	for (uint32_t i = 0; i < to->n && !err; i++)
		if (!listed(from, &to->v[i].prefix))
			err = mf_tun_add_address(d->tun, &to->v[i].prefix, eb);
	for (uint32_t i = 0; i < from->n && !err; i++)
		if (!listed(to, &from->v[i].prefix))
			err = mf_tun_remove_address(d->tun, &from->v[i].prefix, eb);
	return err;
}

/* Who is told that all is in force may use them at once. */
static void await_addresses(const struct mf_daemon *d, const struct mf_config_prefixes *from,
			    const struct mf_config_prefixes *to)
{
	char text[MF_ADDR_STRLEN];

	for (uint32_t i = 0; i < to->n; i++) {
		const struct mf_addr *a = &to->v[i].prefix.addr;

		if (listed(from, &to->v[i].prefix) || mf_tun_await_address(d->tun, a))
			continue;
		mf_logf(&d->log, MF_LOG_WARN,
			"tunnel %s: the kernel does not deliver packets to %s yet",
			mf_tun_name(d->tun), mf_addr_format(a, text));
		return;
	}
}

mf_err mf_network_up(struct mf_daemon *d, struct mf_errbuf *eb)
{
	static const struct mf_config_prefixes none = { 0 };
	const struct mf_config_prefixes *list = mf_network_addresses(d->config);
	mf_err err = set_mtu(d, mf_network_mtu(d, d->config), eb);

	if (!err)
		err = set_addresses(d, &none, list, eb);
	if (!err)
		err = mf_tun_set_up(d->tun, true, eb);
	if (!err)
		await_addresses(d, &none, list);
	return err;
}

/* ---- Routes ------------------------------------------------------------------------------------ */

/* Parts of the LAN that a route of the profile sends into an interface. */
static size_t includes(const struct mf_daemon *d, struct mf_prefix out[INCLUDES_MAX])
{
	const struct mf_config *cfg = d->config;
	size_t n_lan, n = 0, left_out = 0;
	const struct mf_prefix *lan = mf_route_lan(&n_lan);

	for (uint32_t i = 0; i < cfg->n_rules; i++) {
		const struct mf_prefix *p = &cfg->rules[i].prefix;

		for (size_t k = 0; k < n_lan; k++) {
			if (lan[k].len > p->len || !mf_prefix_contains(&lan[k], &p->addr))
				continue;
			if (n < INCLUDES_MAX)
				out[n++] = *p;
			else
				left_out++;
			break;
		}
	}
	if (left_out)
		mf_logf(&d->log, MF_LOG_WARN,
			"tunnel.exclude_lan: %zu routes lie in private ranges, only the first %d "
			"of "
			"them are led into the tunnel; give fewer and larger ones",
			n + left_out, INCLUDES_MAX);
	return n;
}

/* Marks that interfaces have of their own, from the profile or by `wg set`. */
static size_t marks(const struct mf_daemon *d, uint32_t out[MARKS_MAX])
{
	struct mf_iface_info f;
	size_t n = 0;

	for (uint32_t i = 0; n < MARKS_MAX && mf_engine_iface(d->engine, i, &f); i++) {
		uint32_t mark = f.device ? mf_wg_device_fwmark(f.device) : 0;
		size_t k = 0;

		while (k < n && out[k] != mark)
			k++;
		if (mark && mark != (uint32_t)MF_ROUTE_MARK && k == n)
			out[n++] = mark;
	}
	return n;
}

/* Is every question to port 53 ours? Then none may go past the tunnel. */
static bool catches_dns(const struct mf_config *cfg)
{
	return cfg->dns.enabled && cfg->dns.hijack;
}

static mf_err routes_up(struct mf_daemon *d, struct mf_errbuf *eb)
{
	struct mf_prefix include[INCLUDES_MAX];
	uint32_t mark[MARKS_MAX];
	struct mf_route_options o = {
		.ifindex = mf_tun_ifindex(d->tun),
		/* Both families, whatever the profile routes: what it does not route must not leave
		 * beside the tunnel. */
		.ip4 = true,
		.ip6 = true,
		.exclude_lan = d->config->tunnel.exclude_lan,
		.include = include,
		.dns = catches_dns(d->config),
		.marks = mark,
		.n_marks = marks(d, mark),
	};
	mf_err err = MF_OK;

	if (o.exclude_lan)
		o.n_include = includes(d, include);
	d->route = mf_route_up(&o, &err, eb);
	if (d->route)
		return MF_OK;
	return err ? err : MF_E_SYSTEM;
}

/* What our own changes of routes and rules made the monitor say means nothing. */
static void forget_own_changes(struct mf_daemon *d)
{
	uint32_t kinds = d->netmon ? mf_netmon_read(d->netmon) : 0;

	if (kinds & MF_NETMON_TUN_DELETED)
		atomic_store(&d->tun_gone, true);
	mf_direct_network_changed(d, kinds);
}

mf_err mf_network_routes(struct mf_daemon *d, struct mf_errbuf *eb)
{
	mf_err err = MF_OK;

	mf_route_down(d->route);
	d->route = NULL;
	if (d->config->tunnel.auto_route)
		err = routes_up(d, eb);
	forget_own_changes(d);
	return err;
}

/* ---- Changes under us -------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3; /* FNV-1a */
	return h;
}

static uint64_t mix_path(uint64_t h, mf_err err, const struct mf_route_path *p)
{
	if (err)
		return mix(h, &err, sizeof(err));
	h = mix(h, &p->ifindex, sizeof(p->ifindex));
	h = mix(h, p->source.b, sizeof(p->source.b));
	h = mix(h, p->gateway.b, sizeof(p->gateway.b));
	return mix(h, &p->mtu, sizeof(p->mtu));
}

/* How peers are reached now, in one number: containers and bridges that come and go elsewhere on the
 * machine do not change it, and so start no handshakes. */
static uint64_t fingerprint(const struct mf_daemon *d)
{
	struct mf_route_path path = { 0 };
	uint64_t h = mix_path(0xcbf29ce484222325, mf_route_lookup_default(d->mark, &path), &path);
	struct mf_iface_info f;

	for (uint32_t i = 0; mf_engine_iface(d->engine, i, &f); i++) {
		uint32_t mark, n = 0;
		struct mf_wg_peer *p;

		if (!f.device)
			continue;
		mark = mark_of(d, mf_wg_device_fwmark(f.device));
		p = mf_wg_peer_next(f.device, NULL);
		for (; p && n < PEERS_LOOKED_AT; p = mf_wg_peer_next(f.device, p), n++) {
			const struct mf_wg_path *to = mf_wg_peer_path(p);

			if (to && to->remote.addr.family)
				h = mix_path(h, mf_route_lookup(&to->remote.addr, mark, &path),
					     &path);
		}
	}
	return h;
}

static void network_changed(struct mf_daemon *d)
{
	uint64_t paths = fingerprint(d);
	struct mf_errbuf eb;

	if (paths == d->paths)
		return;
	d->paths = paths;
	mf_logf(&d->log, MF_LOG_INFO, "the network has changed");
	mf_engine_network_changed(d->engine, mf_clock_now());
	mf_endpoint_names_network_changed(d->names);
	mf_subscriptions_network_changed(d->subscriptions);
	mf_system_dns_network_changed(d->system_dns);
	if (set_mtu(d, mf_network_mtu(d, d->config), &eb))
		mf_logf(&d->log, MF_LOG_WARN, "%s", eb.text);
}

static void routes_again(struct mf_daemon *d, const char *why)
{
	struct mf_errbuf eb;

	if (!d->route)
		return;
	mf_logf(&d->log, MF_LOG_WARN, "tunnel %s: %s: its routes are set again",
		mf_tun_name(d->tun), why);
	if (mf_route_refresh(d->route, &eb))
		mf_logf(&d->log, MF_LOG_ERROR, "%s", eb.text);
	forget_own_changes(d);
}

void mf_network_new_marks(struct mf_daemon *d)
{
	struct mf_errbuf eb;

	d->marks_changed = false;
	if (d->route && mf_network_routes(d, &eb))
		mf_logf(&d->log, MF_LOG_ERROR, "%s", eb.text);
	d->paths = fingerprint(d);
}

static void netmon_ready(struct mf_daemon *d, struct mf_source *s, uint32_t events)
{
	uint32_t kinds = mf_netmon_read(d->netmon);

	(void)s;
	(void)events;
	if (kinds & MF_NETMON_TUN_DELETED) {
		atomic_store(&d->tun_gone, true);
		return;
	}
	if (kinds & MF_NETMON_TUN_DOWN)
		mf_logf(&d->log, MF_LOG_WARN, "tunnel %s was set down by somebody: nothing passes",
			mf_tun_name(d->tun));
	mf_direct_network_changed(d, kinds);
	if (kinds & (MF_NETMON_TUN_UP | MF_NETMON_OVERRUN))
		routes_again(d, "it came up again");
	else if (kinds & MF_NETMON_RULES)
		routes_again(d, "somebody removed a rule of ours");
	if (kinds & (MF_NETMON_DEFAULT_ROUTE | MF_NETMON_ADDRESS | MF_NETMON_LINK | MF_NETMON_OVERRUN))
		network_changed(d);
}

mf_err mf_network_watch(struct mf_daemon *d, struct mf_errbuf *eb)
{
	d->netmon = mf_netmon_new(mf_tun_ifindex(d->tun), eb);
	if (!d->netmon)
		return MF_E_SYSTEM;
	d->netmon_source = (struct mf_source){ mf_netmon_fd(d->netmon), netmon_ready };
	d->paths = fingerprint(d);
	if (mf_daemon_watch(d, &d->netmon_source, MF_POLL_READ))
		return mf_fail(eb, MF_E_SYSTEM, "cannot watch the network");
	return MF_OK;
}

/* ---- Another profile, and the end -------------------------------------------------------------- */

static bool same_routes(const struct mf_config *a, const struct mf_config *b)
{
	if (a->tunnel.auto_route != b->tunnel.auto_route)
		return false;
	if (!b->tunnel.auto_route)
		return true;
	if (a->tunnel.exclude_lan != b->tunnel.exclude_lan || catches_dns(a) != catches_dns(b))
		return false;
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (uint32_t i = 0; i < a->n_interfaces; i++)
		if (a->interfaces[i].fwmark != b->interfaces[i].fwmark)
			return false;
	if (!b->tunnel.exclude_lan)
		return true;
	if (a->n_rules != b->n_rules)
		return false;
	for (uint32_t i = 0; i < a->n_rules; i++)
		if (!mf_prefix_equal(&a->rules[i].prefix, &b->rules[i].prefix))
			return false;
	return true;
}

mf_err mf_network_change(struct mf_daemon *d, const struct mf_config *old, struct mf_errbuf *eb)
{
	const struct mf_config_prefixes *from = mf_network_addresses(old);
	const struct mf_config_prefixes *to = mf_network_addresses(d->config);
	mf_err err = set_mtu(d, mf_network_mtu(d, d->config), eb), one;
	struct mf_errbuf later;

	one = set_addresses(d, from, to, err ? &later : eb);
	if (!one)
		await_addresses(d, from, to);
	err = err ? err : one;
	if (!same_routes(old, d->config)) {
		one = mf_network_routes(d, err ? &later : eb);
		err = err ? err : one;
	}
	d->paths = fingerprint(d);
	mf_direct_configure(d);
	return err;
}

void mf_network_close(struct mf_daemon *d)
{
	mf_route_down(d->route);
	d->route = NULL;
	if (d->netmon) {
		mf_daemon_unwatch(d, &d->netmon_source);
		mf_netmon_free(d->netmon);
		d->netmon = NULL;
	}
	mf_tun_close(d->tun);
	d->tun = NULL;
}
