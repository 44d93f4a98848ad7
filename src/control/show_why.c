/* SPDX-License-Identifier: Apache-2.0
 *
 * show_why - `why`: which way a packet to an address would take, and which way a session takes.
 */
#include "control/fate.h"
#include "control/proxy_text.h"
#include "control/show_dns.h"

#include <inttypes.h>
#include <stdio.h>

static uint32_t hop_of(struct mf_control *c, const struct mf_next_hop *h)
{
	return (uint32_t)(h - mf_engine_snapshot(c->engine)->hop);
}

static void rule_text(struct mf_report *r, const struct mf_rule *rule)
{
	mf_report_fact(r, NULL, "rule", MF_CELL_TEXT);
	if (rule->number == UINT32_MAX)
		mf_cell_text(r, rule->file ? "the peer's allowed IPs" : "-");
	else
		mf_cell_textf(r, "app_routing.routes, entry %u%s%s", rule->number + 1,
			      rule->set ? ", domain set " : "", rule->set ? rule->set : "");
}

static void rule_facts(struct mf_report *r, const struct mf_rule *rule)
{
	mf_report_fact(r, "route", "route", MF_CELL_TEXT);
	mf_cell_rule_route(r, rule);
	mf_report_fact(r, "where", "written in", MF_CELL_TEXT);
	mf_cell_where(r, rule);
	mf_report_fact(r, "rule", NULL, MF_CELL_NUMBER);
	mf_cell_rule_number(r, rule);
	mf_report_fact(r, "domain_set", NULL, MF_CELL_TEXT);
	mf_cell_rule_set(r, rule);
	rule_text(r, rule);
}

/* The DNS answer that a route has been learned of, and what held without it. */
static void learned_facts(struct mf_control *c, struct mf_report *r, const struct mf_addr *dst,
			  const struct mf_learned_info *l, mf_nsec now)
{
	char lasts[MF_LASTS_STRLEN], route[MF_PREFIX_STRLEN];
	struct mf_rule written;
	uint32_t hop = mf_rule_written(c, dst, &written);

	mf_fact_text(r, "learned_of", NULL, l->name);
	mf_fact_u64(r, "learned_ttl", NULL, MF_CELL_DURATION, mf_learned_left(l, now));
	mf_fact_u64(r, "learned_held", NULL, MF_CELL_NUMBER, l->held);
	mf_report_fact(r, NULL, "learned of", MF_CELL_TEXT);
	mf_cell_textf(r, "a DNS answer for %s; %s%s", l->name, mf_learned_lasts(l, now, lasts),
		      mf_learned_left(l, now) ? " left" : "");
	mf_report_fact(r, "written_route", NULL, MF_CELL_TEXT);
	mf_cell_rule_route(r, &written);
	mf_fact_text(r, "written_to", NULL, hop ? mf_hop_name(c, hop) : NULL);
	mf_report_fact(r, NULL, "without it", MF_CELL_TEXT);
	if (hop)
		mf_cell_textf(r, "%s to %s", mf_prefix_format(&written.route, route),
			      mf_hop_name(c, hop));
	else
		mf_cell_text(r, "no route");
	mf_report_fact(r, "shared", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, l->is_shared);
	mf_fact_text(r, "shared_with", NULL, *l->shared ? l->shared : NULL);
	if (!l->is_shared)
		return;
	mf_report_fact(r, NULL, "shared with", MF_CELL_TEXT);
	mf_cell_textf(r, "%s; a session that shows its name goes by that, all else as here",
		      *l->shared ? l->shared : "another name");
}

/* A learned route that a written one of full length keeps from being used. */
static void overridden_note(struct mf_control *c, struct mf_report *r, const struct mf_addr *dst)
{
	struct mf_learned_info l;

	if (mf_learned_find(mf_engine_learned(c->engine), dst, &l) && l.overridden)
		mf_report_note(r,
			       "a DNS answer for %s has the address, too, and would lead it to %s; "
			       "a written route of full length decides",
			       l.name, mf_hop_name(c, l.hop));
}

static void route_facts(struct mf_control *c, struct mf_report *r, const struct mf_addr *dst,
			const struct mf_why *why, mf_nsec now)
{
	struct mf_rule rule;

	mf_rule_of_why(c, dst, why, &rule);
	rule_facts(r, &rule);
	if (why->learned)
		learned_facts(c, r, dst, &why->name, now);
	else
		overridden_note(c, r, dst);
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

/* What is wrong with it: all, or that it does not carry what it was asked for. */
static void fault_facts(struct mf_report *r, const struct mf_proxy_report *h, struct mf_text *text)
{
	bool failing = h->state == MF_PROXY_FAILING;
	uint64_t refused = h->count.fault[MF_PROXY_COMMAND];
	enum mf_proxy_fault fault = failing ? h->fault : MF_PROXY_COMMAND;
	const char *hint = mf_proxy_fault_hint(fault);

	if (!failing && !refused)
		return;
	mf_fact_text(r, "proxy_fault", NULL, mf_proxy_fault_name(fault));
	if (!failing)
		mf_text_printf(text, "; refused %" PRIu64 " time%s", refused,
			       refused == 1 ? "" : "s");
	mf_text_printf(text, ": ");
	mf_proxy_fault_say(fault, failing ? h->detail : NULL, text);
	mf_text_printf(text, "%s%s", *hint ? "\n" : "", hint);
}

/* How the proxy is that a hop leads to: who asks why nothing works wants to know. `title`: of what
 * it is, NULL: that has been said. */
static void proxy_facts(struct mf_control *c, struct mf_report *r, uint32_t hop, const char *title)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(c->engine);
	struct mf_proxy_report h;
	struct mf_text text = { 0 };

	if (!mf_engine_proxy(c->engine, hop, &h))
		return;
	mf_proxy_say(c, snap->hop[hop].proxy, &text);
	mf_report_fact(r, "proxy", title, MF_CELL_TEXT);
	mf_cell_take(r, &text);
	mf_fact_text(r, "proxy_state", NULL, mf_proxy_state_text(h.state));
	mf_text_printf(&text, "%s", mf_proxy_state_text(h.state));
	fault_facts(r, &h, &text);
	mf_report_fact(r, NULL, "the proxy", MF_CELL_TEXT);
	mf_cell_take(r, &text);
}

/* Who stays outside meets none of our nodes: what those would do is then said apart. */
static void verdict_facts(struct mf_report *r, const struct mf_way_in *w, const struct mf_fate *f)
{
	char outside[80];

	snprintf(outside, sizeof(outside), "stays outside the tunnel%s%s",
		 *w->device ? ", on " : ": the system has no route to it", w->device);
	mf_fact_text(r, "verdict", NULL, w->enters ? f->verdict : "outside");
	mf_fact_text(r, "reason", NULL, w->enters && f->drop ? mf_drop_name(f->drop) : NULL);
	mf_fact_text(r, "text", "verdict", w->enters ? f->text : outside);
	if (*f->udp)
		mf_fact_text(r, "udp", w->enters ? "udp to it" : NULL, f->udp);
	mf_fact_text(r, "inside", w->enters ? NULL : "if it entered", w->enters ? NULL : f->text);
}

static void system_facts(struct mf_report *r, const struct mf_way_in *w)
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
	struct mf_way_in way;
	struct mf_fate fate;

	mf_way_in_find(c, dst, &way);
	mf_engine_why(c->engine, dst, &why);
	mf_fate_decide(c, dst, &why, now, &fate);
	mf_report_fact(r, "destination", "destination", MF_CELL_TEXT);
	mf_cell_addr(r, dst);
	verdict_facts(r, &way, &fate);
	route_facts(c, r, dst, &why, now);
	mf_fact_text(r, "interface", "interface", mf_hop_carries(why.hop) ? why.hop->name : NULL);
	peer_facts(r, &why, now);
	proxy_facts(c, r, hop_of(c, why.hop), NULL);
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
	if (s->hop == MF_HOP_ID_DIRECT)
		(void)mf_direct_device(c, &s->dst.addr, device);
	mf_fact_text(r, "device", "device", *device ? device : NULL);
	proxy_facts(c, r, s->hop, "through");
}

/* Where a new session like it would go; "": nowhere. */
static const char *goes_to(const struct mf_control *c, const struct mf_session_facts *s,
			   const struct mf_why *why)
{
	const struct mf_name_rule *rule = s->rule != UINT32_MAX ? mf_rule_name(c, s->rule) : NULL;

	if (!s->stray)
		return mf_hop_name(c, s->hop);
	return rule ? mf_hop_name(c, rule->hop) : why->hop->name;
}

/* The route in force is not what a kept session goes by: then it is told apart. */
static void kept_facts(struct mf_control *c, struct mf_report *r, const struct mf_session_facts *s,
		       const struct mf_why *why)
{
	const char *to = goes_to(c, s, why);

	mf_report_fact(r, "kept", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, s->stray);
	mf_fact_text(r, "new_sessions_to", NULL, *to ? to : NULL);
	if (!s->stray)
		return;
	mf_report_fact(r, NULL, "kept", MF_CELL_TEXT);
	mf_cell_textf(r, "the route has changed since it began; a new session %s%s",
		      *to ? "goes to " : "has no route", to);
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

static void name_facts(struct mf_report *r, const struct mf_session_facts *s)
{
	mf_fact_text(r, "name", *s->name ? "name" : NULL, *s->name ? s->name : NULL);
	mf_report_fact(r, "by_name", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, s->rule != UINT32_MAX);
	if (!*s->name)
		return;
	mf_report_fact(r, NULL, "goes by", MF_CELL_TEXT);
	mf_cell_text(r, s->rule != UINT32_MAX ? "the name that it has shown"
					      : "its address: the name has no route");
}

/* Questions to the DNS server go by no route. */
static void session_route_facts(struct mf_control *c, struct mf_report *r,
				const struct mf_session_facts *s, const struct mf_why *why,
				mf_nsec now)
{
	struct mf_rule rule;

	if (s->rule == UINT32_MAX && s->hop != MF_HOP_ID_DNS) {
		route_facts(c, r, &s->dst.addr, why, now);
		return;
	}
	mf_rule_of_session(c, s, &rule);
	rule_facts(r, &rule);
}

void mf_report_why_session(struct mf_control *c, struct mf_report *r,
			   const struct mf_session_facts *s, mf_nsec now)
{
	struct mf_why why;

	mf_engine_why(c->engine, &s->dst.addr, &why);
	ends_facts(c, r, s);
	name_facts(r, s);
	kept_facts(c, r, s, &why);
	session_route_facts(c, r, s, &why, now);
	node_facts(c, r, s);
	progress_facts(r, s, now);
}
