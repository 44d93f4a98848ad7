/* SPDX-License-Identifier: Apache-2.0
 *
 * show_status - the summary, the log, and `why`: which way a packet to an address would take.
 */
#include "control/internal.h"

#include <stdio.h>

#include "control/units.h"
#include "wire/ip.h"

/* Days since 1970 to a date: Howard Hinnant's civil_from_days, in its form for days after 1970. */
const char *mf_wall_format(struct mf_wg_wall t, char out[MF_WALL_STRLEN])
{
	uint64_t days = t.sec / 86400 + 719468, era = days / 146097, doe = days % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	unsigned day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
	unsigned month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
	unsigned year = (unsigned)(yoe + era * 400 + (month <= 2));
	unsigned s = (unsigned)(t.sec % 86400);

	snprintf(out, MF_WALL_STRLEN, "%04u-%02u-%02uT%02u:%02u:%02uZ", year, month, day, s / 3600,
		 s / 60 % 60, s % 60);
	return out;
}

/* ---- Status ------------------------------------------------------------------------------------ */

static void text_fact(struct mf_report *r, const char *key, const char *title, const char *text)
{
	mf_report_fact(r, key, title, MF_CELL_TEXT);
	if (text)
		mf_cell_text(r, text);
	else
		mf_cell_none(r);
}

static void number_fact(struct mf_report *r, const char *key, const char *title,
			enum mf_cell_kind kind, uint64_t v)
{
	mf_report_fact(r, key, title, kind);
	mf_cell_u64(r, v);
}

static void facts_of_program(struct mf_control *c, struct mf_report *r, mf_nsec now)
{
	struct mf_control_facts f = { 0 };
	char b[3][MF_UNIT_STRLEN];

	c->host.facts(c->host.ctx, &f);
	text_fact(r, "name", "tunnel", f.name);
	text_fact(r, "version", "version", MF_VERSION);
	text_fact(r, "profile", "profile", f.profile);
	number_fact(r, "pid", "process", MF_CELL_NUMBER, f.pid);
	number_fact(r, "uptime", "up for", MF_CELL_DURATION, now > f.started ? now - f.started : 0);
	number_fact(r, "workers", "workers", MF_CELL_NUMBER, mf_engine_worker_count(c->engine));
	text_fact(r, "aead", "cryptography", f.aead);
	text_fact(r, "tun", NULL, f.tun);
	number_fact(r, "tun_mtu", NULL, MF_CELL_NUMBER, f.tun_mtu);
	number_fact(r, "tun_queues", NULL, MF_CELL_NUMBER, f.tun_queues);
	text_fact(r, "tun_features", NULL, f.tun_features);
	mf_report_fact(r, "auto_route", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, f.auto_route);
	if (f.tun) {
		mf_report_fact(r, NULL, "device", MF_CELL_TEXT);
		mf_cell_textf(r, "%s, mtu %u, %u queue%s, offloads: %s%s", f.tun, f.tun_mtu,
			      f.tun_queues, f.tun_queues == 1 ? "" : "s",
			      f.tun_features && *f.tun_features ? f.tun_features : "none",
			      f.auto_route ? ", takes the machine's traffic" : "");
	}
	number_fact(r, "rss", NULL, MF_CELL_BYTES, f.rss);
	number_fact(r, "memory_reserved", NULL, MF_CELL_BYTES, mf_engine_memory(c->engine));
	number_fact(r, "memory_limit", NULL, MF_CELL_BYTES, f.memory_limit);
	mf_report_fact(r, NULL, "memory", MF_CELL_TEXT);
	mf_cell_textf(r, "%s resident; packets and tables %s of at most %s",
		      mf_unit_bytes(f.rss, b[0]), mf_unit_bytes(mf_engine_memory(c->engine), b[1]),
		      mf_unit_bytes(f.memory_limit, b[2]));
}

static void traffic_facts(struct mf_control *c, struct mf_report *r)
{
	char in[MF_UNIT_STRLEN], out[MF_UNIT_STRLEN];
	const struct mf_route_table *routes = mf_engine_routes(c->engine);
	struct mf_ledger l;

	mf_engine_ledger(c->engine, &l);
	number_fact(r, "routes", "routes", MF_CELL_COUNT, routes ? mf_route_table_count(routes) : 0);
	number_fact(r, "bytes_tun_in", NULL, MF_CELL_BYTES, l.bytes_tun_in);
	number_fact(r, "bytes_tun_out", NULL, MF_CELL_BYTES, l.bytes_tun_out);
	number_fact(r, "bytes_udp_in", NULL, MF_CELL_BYTES, l.bytes_udp_in);
	number_fact(r, "bytes_udp_out", NULL, MF_CELL_BYTES, l.bytes_udp_out);
	mf_report_fact(r, NULL, "traffic", MF_CELL_TEXT);
	mf_cell_textf(r, "%s into the tunnel, %s out of it", mf_unit_bytes(l.bytes_tun_in, in),
		      mf_unit_bytes(l.bytes_tun_out, out));
	number_fact(r, "dropped", "dropped", MF_CELL_COUNT, l.ended[MF_DROPPED]);
}

void mf_report_status(struct mf_control *c, struct mf_report *r, mf_nsec now)
{
	facts_of_program(c, r, now);
	traffic_facts(c, r);
	mf_report_heading(r, "Interfaces");
	mf_report_interfaces(c, r, now);
}

/* ---- Log --------------------------------------------------------------------------------------- */

enum { LOG_SHOWN = 100, LOG_SHOWN_ALL = 100000 };

static void log_row(void *to, const struct mf_control_log_line *line)
{
	static const char *const level[] = { "error", "warning", "info", "debug" };
	struct mf_report *r = to;
	char when[MF_WALL_STRLEN];

	mf_cell_text(r, mf_wall_format(line->time, when));
	mf_cell_text(r, (unsigned)line->level < MF_ARRAY_LEN(level) ? level[line->level] : "?");
	mf_cell_text(r, line->text);
}

void mf_report_log(struct mf_control *c, struct mf_report *r, bool all)
{
	static const struct mf_column column[] = {
		{ "time", "time", MF_CELL_TEXT },
		{ "level", "level", MF_CELL_TEXT },
		{ "text", "text", MF_CELL_TEXT },
	};

	mf_report_table(r, "log", NULL, column, MF_ARRAY_LEN(column), "nothing has been logged");
	if (c->host.log)
		c->host.log(c->host.ctx, all ? LOG_SHOWN_ALL : LOG_SHOWN, log_row, r);
}

/* ---- Why --------------------------------------------------------------------------------------- */

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

static void decide_fate(const struct mf_addr *dst, const struct mf_why *why, mf_nsec now,
			struct fate *f)
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
	text_fact(r, "interface", "interface", why->hop->kind == MF_HOP_WG ? why->hop->name : NULL);
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
	text_fact(r, "peer", "peer", key);
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
	text_fact(r, "verdict", NULL, w->enters ? f->verdict : "outside");
	text_fact(r, "reason", NULL, w->enters && f->drop ? mf_drop_name(f->drop) : NULL);
	text_fact(r, "text", "verdict", w->enters ? f->text : outside);
	text_fact(r, "inside", w->enters ? NULL : "if it entered", w->enters ? NULL : f->text);
}

static void system_facts(struct mf_report *r, const struct way_in *w)
{
	text_fact(r, "system_device", NULL, *w->device ? w->device : NULL);
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
	decide_fate(dst, &why, now, &fate);
	mf_report_fact(r, "destination", "destination", MF_CELL_TEXT);
	mf_cell_addr(r, dst);
	verdict_facts(r, &way, &fate);
	route_facts(r, &why);
	peer_facts(r, &why, now);
	text_fact(r, "nodes", "nodes", way.enters ? fate.path : NULL);
	system_facts(r, &way);
}
