/* SPDX-License-Identifier: Apache-2.0 */
#include "control/fate.h"

#include <stdio.h>

#include "control/internal.h"
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
