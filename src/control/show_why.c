/* SPDX-License-Identifier: Apache-2.0
 *
 * show_why - `why`: which way a packet to an address would take, and which way a session takes.
 */
#include "control/internal.h"

#include <stdio.h>

#include "control/units.h"
#include "wire/ip.h"

/* What becomes of a packet, in words; for a packet that is dropped, also the reason's name. */
struct fate {
	const char *verdict, *path;
	enum mf_drop drop;
	char text[160];
};

static void fate_in_interface(const struct mf_why *why, mf_nsec now, struct fate *f)
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

/* The device that `direct` takes to an address; "" and the reason: none. */
static enum mf_stream_error direct_device(struct mf_control *c, const struct mf_addr *dst,
					  char out[MF_CONTROL_DEVICE_STRLEN])
{
	out[0] = '\0';
	return c->host.direct_for ? c->host.direct_for(c->host.ctx, dst, out) : MF_STREAM_E_NO_DEVICE;
}

static void fate_as_session(struct mf_control *c, const struct mf_addr *dst,
			    const struct mf_why *why, struct fate *f)
{
	char device[MF_CONTROL_DEVICE_STRLEN];
	enum mf_stream_error err = direct_device(c, dst, device);

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

static void decide_fate(struct mf_control *c, const struct mf_addr *dst, const struct mf_why *why,
			mf_nsec now, struct fate *f)
{
	*f = (struct fate){ .verdict = "dropped" };
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

static bool is_interface(const struct mf_next_hop *h)
{
	return h->kind == MF_HOP_WG || h->kind == MF_HOP_SESSION;
}

static void route_facts(struct mf_report *r, const struct mf_why *why)
{
	mf_report_fact(r, "route", "route", MF_CELL_TEXT);
	if (why->hop->kind == MF_HOP_NONE)
		mf_cell_none(r);
	else
		mf_cell_prefix(r, &why->route);
	mf_report_fact(r, "where", "written in", MF_CELL_TEXT);
	if (why->where.file)
		mf_cell_textf(r, "%s:%u", why->where.file, why->where.line);
	else
		mf_cell_none(r);
	mf_report_fact(r, "rule", NULL, MF_CELL_NUMBER);
	if (why->rule == UINT32_MAX)
		mf_cell_none(r);
	else
		mf_cell_u64(r, why->rule);
	mf_report_fact(r, NULL, "rule", MF_CELL_TEXT);
	if (why->rule == UINT32_MAX)
		mf_cell_text(r, why->where.file ? "the peer's allowed IPs" : "-");
	else
		mf_cell_textf(r, "app_routing.routes, entry %u", why->rule + 1);
}

static void peer_facts(struct mf_report *r, const struct mf_why *why, mf_nsec now)
{
	char key[MF_KEY_BASE64_STRLEN];
	struct mf_wg_peer_info info;

	if (why->hop->kind != MF_HOP_WG || !why->peer)
		return;
	mf_wg_peer_info(why->peer, now, &info);
	mf_wipe(&info.psk, sizeof(info.psk));
	mf_key_to_base64(&info.public_key, key);
	mf_fact_text(r, "peer", "peer", key);
	mf_report_fact(r, "allowed_ip", "allowed IP", MF_CELL_TEXT);
	if (why->allowed.addr.family)
		mf_cell_prefix(r, &why->allowed);
	else
		mf_cell_none(r);
	mf_report_fact(r, "endpoint", "endpoint", MF_CELL_TEXT);
	mf_cell_endpoint(r, &info.endpoint);
	mf_report_fact(r, "session", "session", MF_CELL_FLAG);
	mf_cell_flag(r, info.session);
}

/* What the system's routes do with such a packet before the tunnel can see it. */
struct way_in {
	bool known, enters;
	char device[MF_CONTROL_DEVICE_STRLEN]; /* "": no route */
};

static void find_way_in(struct mf_control *c, const struct mf_addr *dst, struct way_in *w)
{
	struct mf_control_facts f = { 0 };

	*w = (struct way_in){ .enters = true };
	c->host.facts(c->host.ctx, &f);
	if (!c->host.device_for || !f.tun)
		return;
	c->host.device_for(c->host.ctx, dst, w->device);
	w->known = true;
	w->enters = strcmp(w->device, f.tun) == 0;
}

/* Who stays outside meets none of our nodes: what those would do is then said apart. */
static void verdict_facts(struct mf_report *r, const struct way_in *w, const struct fate *f)
{
	char outside[80];

	snprintf(outside, sizeof(outside), "stays outside the tunnel%s%s",
		 *w->device ? ", on " : ": the system has no route to it", w->device);
	mf_fact_text(r, "verdict", NULL, w->enters ? f->verdict : "outside");
	mf_fact_text(r, "reason", NULL, w->enters && f->drop ? mf_drop_name(f->drop) : NULL);
	mf_fact_text(r, "text", "verdict", w->enters ? f->text : outside);
	mf_fact_text(r, "inside", w->enters ? NULL : "if it entered", w->enters ? NULL : f->text);
}

static void system_facts(struct mf_report *r, const struct way_in *w)
{
	mf_fact_text(r, "system_device", NULL, *w->device ? w->device : NULL);
	mf_report_fact(r, "enters_tunnel", NULL, MF_CELL_FLAG);
	if (!w->known) {
		mf_cell_none(r);
		return;
	}
	mf_cell_flag(r, w->enters);
	mf_report_fact(r, NULL, "the system", MF_CELL_TEXT);
	if (*w->device)
		mf_cell_textf(r, "%s: %s the tunnel", w->device, w->enters ? "into" : "not into");
	else
		mf_cell_text(r, "has no route");
}

void mf_report_why(struct mf_control *c, struct mf_report *r, const struct mf_addr *dst, mf_nsec now)
{
	struct mf_why why;
	struct way_in way;
	struct fate fate;

	find_way_in(c, dst, &way);
	mf_engine_why(c->engine, dst, &why);
	decide_fate(c, dst, &why, now, &fate);
	mf_report_fact(r, "destination", "destination", MF_CELL_TEXT);
	mf_cell_addr(r, dst);
	verdict_facts(r, &way, &fate);
	route_facts(r, &why);
	mf_fact_text(r, "interface", "interface", is_interface(why.hop) ? why.hop->name : NULL);
	peer_facts(r, &why, now);
	mf_fact_text(r, "nodes", "nodes", way.enters ? fate.path : NULL);
	system_facts(r, &way);
	mf_report_sessions_to(c, r, dst, now);
}

/* ---- One session --------------------------------------------------------------------------------- */

static bool is_carried_by(struct mf_control *c, const struct mf_session_facts *s,
			  enum mf_hop_kind kind)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(c->engine);

	return s->hop < snap->n_hops && snap->hop[s->hop].kind == kind;
}

static void ends_facts(struct mf_control *c, struct mf_report *r, const struct mf_session_facts *s)
{
	char id[MF_SESSION_ID_STRLEN], device[MF_CONTROL_DEVICE_STRLEN] = "";

	mf_fact_text(r, "id", "session",
		     mf_session_id_format(&(struct mf_session_id){ s->worker, s->ref }, id));
	mf_fact_text(r, "proto", "protocol", mf_session_proto_text(s->proto));
	mf_report_fact(r, "app", "app", MF_CELL_TEXT);
	mf_cell_endpoint(r, &s->app);
	mf_report_fact(r, "destination", "destination", MF_CELL_TEXT);
	mf_cell_endpoint(r, &s->dst);
	mf_fact_text(r, "state", "state", mf_session_state_text((enum mf_session_state)s->state));
	mf_fact_text(r, "interface", "interface", mf_hop_name(c, s->hop));
	if (is_carried_by(c, s, MF_HOP_SESSION))
		(void)direct_device(c, &s->dst.addr, device);
	mf_fact_text(r, "device", "device", *device ? device : NULL);
}

/* The route in force is not what a kept session goes by: then it is told apart. */
static void kept_facts(struct mf_report *r, const struct mf_session_facts *s, const struct mf_why *why)
{
	mf_report_fact(r, "kept", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, s->stray);
	mf_fact_text(r, "new_sessions_to", NULL, why->hop->name[0] ? why->hop->name : NULL);
	if (!s->stray)
		return;
	mf_report_fact(r, NULL, "kept", MF_CELL_TEXT);
	mf_cell_textf(r, "the route has changed since it began; a new session %s%s",
		      why->hop->name[0] ? "goes to " : "has no route", why->hop->name);
}

static void progress_facts(struct mf_report *r, const struct mf_session_facts *s, mf_nsec now)
{
	char b[4][MF_UNIT_STRLEN];
	struct mf_session_rates rates = mf_session_rates(s, now);

	mf_fact_u64(r, "bytes_up", NULL, MF_CELL_BYTES, s->bytes_up);
	mf_fact_u64(r, "bytes_down", NULL, MF_CELL_BYTES, s->bytes_down);
	mf_report_fact(r, "rate_up", NULL, MF_CELL_RATE);
	mf_cell_double(r, rates.up);
	mf_report_fact(r, "rate_down", NULL, MF_CELL_RATE);
	mf_cell_double(r, rates.down);
	mf_report_fact(r, NULL, "traffic", MF_CELL_TEXT);
	mf_cell_textf(r, "%s up, %s down; now %s and %s", mf_unit_bytes(s->bytes_up, b[0]),
		      mf_unit_bytes(s->bytes_down, b[1]), mf_unit_rate(rates.up, b[2]),
		      mf_unit_rate(rates.down, b[3]));
	if (s->rtt_app)
		mf_fact_u64(r, "rtt_app", "rtt app", MF_CELL_DURATION, s->rtt_app);
	if (s->rtt_far)
		mf_fact_u64(r, "rtt_far", "rtt far", MF_CELL_DURATION, s->rtt_far);
	mf_fact_u64(r, "age", "age", MF_CELL_DURATION, now > s->started ? now - s->started : 0);
	mf_fact_u64(r, "idle", "idle", MF_CELL_DURATION, now > s->last ? now - s->last : 0);
}

static const char *node_of(const struct mf_session_facts *s)
{
	switch (s->kind) {
	case MF_SESSION_TCP:
		return "host-tcp";
	case MF_SESSION_ECHO:
		return "host-icmp";
	default:
		return "host-udp";
	}
}

/* What a VPN carries is packets of our own TCP. */
static void node_facts(struct mf_control *c, struct mf_report *r, const struct mf_session_facts *s)
{
	bool ours = is_carried_by(c, s, MF_HOP_WG);

	mf_report_fact(r, "nodes_up", "nodes, up", MF_CELL_TEXT);
	if (ours)
		mf_cell_text(r, "host-input > wg-output > udp-output");
	else
		mf_cell_textf(r, "tun-input > ip-input > route-lookup > %s", node_of(s));
	mf_fact_text(r, "nodes_down", "nodes, down",
		     ours ? "udp-input > wg-input > host-tcp" : "host-input > tun-output");
}

void mf_report_why_session(struct mf_control *c, struct mf_report *r,
			   const struct mf_session_facts *s, mf_nsec now)
{
	struct mf_why why;

	mf_engine_why(c->engine, &s->dst.addr, &why);
	ends_facts(c, r, s);
	kept_facts(r, s, &why);
	route_facts(r, &why);
	node_facts(c, r, s);
	progress_facts(r, s, now);
}
