/* SPDX-License-Identifier: Apache-2.0 */
#include "control/fate.h"

#include <stdio.h>

#include "control/proxy_text.h"
#include "wire/ip.h"

static void fate_in_interface(const struct mf_why *why, mf_nsec now, struct mf_fate *f)
{
	const char *iface = why->hop->name;
	struct mf_wg_peer_info info;

	f->path = "tun-input > ip-input > route-lookup > wg-output > icmp-error > drop";
	if (!mf_wg_device_up(why->hop->device)) {
		f->drop = MF_DROP_INTERFACE_DOWN;
		snprintf(f->text, sizeof(f->text), "dropped: %s is not up", iface);
		return;
	}
	if (!why->peer) {
		f->drop = MF_DROP_WG_NO_PEER;
		snprintf(f->text, sizeof(f->text),
			 "dropped: no peer of %s has the address in its allowed IPs", iface);
		return;
	}
	mf_wg_peer_info(why->peer, now, &info);
	mf_wipe(&info.psk, sizeof(info.psk));
	if (!info.endpoint.addr.family) {
		f->drop = MF_DROP_WG_NO_ENDPOINT;
		snprintf(f->text, sizeof(f->text), "dropped: no endpoint is known for the peer");
		return;
	}
	f->verdict = "sent";
	f->path = "tun-input > ip-input > route-lookup > wg-output > udp-output";
	snprintf(f->text, sizeof(f->text), "sent through %s%s", iface,
		 info.session ? "" : ", after a handshake");
}

enum mf_stream_error mf_direct_device(struct mf_control *c, const struct mf_addr *dst,
				      char out[MF_CONTROL_DEVICE_STRLEN])
{
	out[0] = '\0';
	return c->host.direct_for ? c->host.direct_for(c->host.ctx, dst, out) : MF_STREAM_E_NO_DEVICE;
}

static void fate_as_session(struct mf_control *c, const struct mf_addr *dst,
			    const struct mf_why *why, struct mf_fate *f)
{
	char device[MF_CONTROL_DEVICE_STRLEN];
	enum mf_stream_error err = mf_direct_device(c, dst, device);

	f->path = "tun-input > ip-input > route-lookup > host-tcp, host-udp or host-icmp";
	if (err) {
		f->drop = MF_DROP_OUTBOUND_DOWN;
		snprintf(f->text, sizeof(f->text), "refused: %s: %s", why->hop->name,
			 mf_stream_error_text(err));
		return;
	}
	f->verdict = "sent";
	snprintf(f->text, sizeof(f->text), "%s carries it on through %s, as a session",
		 why->hop->name, device);
}

/* Does a proxy's own connection go through a VPN, maybe as that of the last of several proxies?
 * There are no loops in a profile, but a bound costs nothing. */
static bool ends_in_vpn(const struct mf_snapshot *snap, const struct mf_proxy_config *p)
{
	uint32_t hop = p->via;

	for (unsigned i = 0; i < MF_HOST_HOPS && hop < snap->n_hops && snap->hop[hop].proxy; i++)
		hop = snap->hop[hop].proxy->via;
	return hop < snap->n_hops && snap->hop[hop].kind == MF_HOP_WG;
}

/* `to` gets what there is room for. */
static void take_text(char *to, size_t size, struct mf_text *text)
{
	snprintf(to, size, "%s", text->s ? text->s : "");
	mf_text_free(text);
}

static void fate_in_proxy(struct mf_control *c, const struct mf_why *why, struct mf_fate *f)
{
	const struct mf_proxy_config *p = why->hop->proxy;
	struct mf_text text = { 0 }, udp = { 0 };

	f->path = ends_in_vpn(mf_engine_snapshot(c->engine), p)
			  ? "tun-input > ip-input > route-lookup > host-tcp or host-udp > "
			    "wg-output > udp-output"
			  : "tun-input > ip-input > route-lookup > host-tcp or host-udp";
	f->verdict = "sent";
	mf_text_printf(&text, "sent as a session through ");
	mf_proxy_say(c, p, &text);
	take_text(f->text, sizeof(f->text), &text);
	mf_proxy_udp_say(p, &udp);
	take_text(f->udp, sizeof(f->udp), &udp);
}

/* Asks ip-input's own rule, with a packet of nothing but a destination. */
static bool is_martian(const struct mf_addr *dst)
{
	uint8_t header[40] = { 0 };
	struct mf_pkt p = { .data = header, .len = sizeof(header) };

	p.ip_version = dst->family == MF_AF_IP4 ? 4 : 6;
	header[0] = (uint8_t)(p.ip_version << 4);
	memcpy(header + (p.ip_version == 4 ? 16 : 24), dst->b, mf_addr_len(dst));
	return mf_ip_martian_destination(&p) != MF_DROP_NONE;
}

void mf_fate_decide(struct mf_control *c, const struct mf_addr *dst, const struct mf_why *why,
		    mf_nsec now, struct mf_fate *f)
{
	*f = (struct mf_fate){ .verdict = "dropped" };
	if (is_martian(dst)) {
		f->drop = MF_DROP_IP_MARTIAN_DESTINATION;
		f->path = "tun-input > ip-input > drop";
		snprintf(f->text, sizeof(f->text),
			 "dropped: nobody may forward packets to such an address");
		return;
	}
	switch (why->hop->kind) {
	case MF_HOP_WG:
		fate_in_interface(why, now, f);
		return;
	case MF_HOP_SESSION:
		if (why->hop->proxy)
			fate_in_proxy(c, why, f);
		else
			fate_as_session(c, dst, why, f);
		return;
	case MF_HOP_DROP:
		f->drop = MF_DROP_POLICY_DROP;
		f->path = "tun-input > ip-input > route-lookup > drop";
		snprintf(f->text, sizeof(f->text), "dropped: the route says so");
		return;
	case MF_HOP_REJECT:
		f->drop = MF_DROP_POLICY_REJECT;
		f->path = "tun-input > ip-input > route-lookup > reject > drop";
		snprintf(f->text, sizeof(f->text),
			 "rejected: TCP gets a reset, everything else is dropped");
		return;
	default:
		f->drop = MF_DROP_NO_ROUTE;
		f->path = "tun-input > ip-input > route-lookup > icmp-error > drop";
		snprintf(f->text, sizeof(f->text),
			 "dropped: no route, answered with ICMP unreachable");
	}
}

void mf_way_in_find(struct mf_control *c, const struct mf_addr *dst, struct mf_way_in *w)
{
	struct mf_control_facts f = { 0 };

	*w = (struct mf_way_in){ .enters = true };
	c->host.facts(c->host.ctx, &f);
	if (!c->host.device_for || !f.tun)
		return;
	c->host.device_for(c->host.ctx, dst, w->device);
	w->known = true;
	w->enters = strcmp(w->device, f.tun) == 0;
}
