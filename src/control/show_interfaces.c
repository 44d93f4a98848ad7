/* SPDX-License-Identifier: Apache-2.0
 *
 * show_interfaces - the table of interfaces: those of the profile, and the built-in ones `direct`, `dns` (the
 * DNS server, if there is one), `reject` and `drop`. No private key or password is written here.
 */
#include "control/proxy_text.h"
#include "control/show_proxies.h"

#include <stdio.h>
#include <stdlib.h>

/* Two samples closer together than this make no rate worth showing. */
enum { SAMPLE_MIN_MS = 200 };

static struct mf_sample *sample_of(struct mf_control *c, const char *name)
{
	struct mf_sample *list;

	for (uint32_t i = 0; i < c->n_samples; i++)
		if (!strcmp(c->samples[i].name, name))
			return &c->samples[i];
	list = realloc(c->samples, (c->n_samples + 1) * sizeof(*list));
	if (!list)
		return NULL;
	c->samples = list;
	list[c->n_samples] = (struct mf_sample){ 0 };
	snprintf(list[c->n_samples].name, sizeof(list[0].name), "%s", name);
	return &list[c->n_samples++];
}

/* A peer that was removed takes its bytes with it, then the sum goes back. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
	return now > before ? (double)(now - before) / seconds : 0;
}

/* What has gone through an interface, and how fast. */
struct traffic {
	uint32_t peers;
	uint64_t sessions; /* of WireGuard, or of the host stack */
	uint64_t rx, tx;
	double rx_rate, tx_rate;
};

/* Also takes a sample, when the last one is old enough. */
static void find_rates(struct mf_control *c, const char *name, mf_nsec now, struct traffic *t)
{
	struct mf_sample *s = sample_of(c, name);

	if (!s)
		return;
	/* The first time: since the start. */
	if (!s->at) {
		struct mf_control_facts f = { 0 };

		c->host.facts(c->host.ctx, &f);
		s->at = f.started;
	}
	if (now >= s->at + SAMPLE_MIN_MS * MF_MSEC) {
		double seconds = (double)(now - s->at) / (double)MF_SEC;

		s->rx_rate = rate(t->rx, s->rx, seconds);
		s->tx_rate = rate(t->tx, s->tx, seconds);
		s->at = now;
		s->rx = t->rx;
		s->tx = t->tx;
	}
	t->rx_rate = s->rx_rate;
	t->tx_rate = s->tx_rate;
}

static struct traffic traffic_of_peers(const struct mf_iface_info *info, mf_nsec now)
{
	struct traffic t = { 0 };

	for (struct mf_wg_peer *p = mf_wg_peer_next(info->device, NULL); p;
	     p = mf_wg_peer_next(info->device, p)) {
		struct mf_wg_peer_info peer;

		mf_wg_peer_info(p, now, &peer);
		t.peers++;
		t.sessions += peer.session;
		t.rx += peer.rx_bytes;
		t.tx += peer.tx_bytes;
		mf_wipe(&peer.psk, sizeof(peer.psk));
	}
	return t;
}

static void traffic_cells(struct mf_report *r, const struct traffic *t)
{
	mf_cell_u64(r, t->rx);
	mf_cell_u64(r, t->tx);
	mf_cell_double(r, t->rx_rate);
	mf_cell_double(r, t->tx_rate);
}

static void no_cells(struct mf_report *r, unsigned n)
{
	while (n--)
		mf_cell_none(r);
}

/* ---- WireGuard ---------------------------------------------------------------------------------- */

static const struct mf_next_hop *hop_of(const struct mf_control *c, const struct mf_wg_device *d)
{
	const struct mf_wg_iface *iface = mf_wg_device_user(d);

	return &mf_engine_snapshot(c->engine)->hop[iface->hop];
}

static void addresses(struct mf_report *r, const struct mf_next_hop *hop)
{
	char list[2 * MF_ADDR_STRLEN + 1], v4[MF_ADDR_STRLEN] = "", v6[MF_ADDR_STRLEN] = "";

	if (hop->inside4.family)
		mf_addr_format(&hop->inside4, v4);
	if (hop->inside6.family)
		mf_addr_format(&hop->inside6, v6);
	snprintf(list, sizeof(list), "%s%s%s", v4, *v4 && *v6 ? "\n" : "", v6);
	mf_cell_text(r, list);
}

static const char *state_of(const struct mf_iface_info *info, const struct traffic *t)
{
	if (!info->up)
		return "down";
	return t->sessions ? "connected" : "up";
}

static void key_cell(struct mf_report *r, const struct mf_wg_device *d)
{
	struct mf_key private_key, public_key;
	char key[MF_KEY_BASE64_STRLEN];

	if (mf_wg_device_keys(d, &private_key, &public_key)) {
		mf_key_to_base64(&public_key, key);
		mf_cell_text(r, key);
	} else {
		mf_cell_none(r);
	}
	mf_wipe(&private_key, sizeof(private_key));
}

static void wg_row(struct mf_control *c, struct mf_report *r, const struct mf_iface_info *info,
		   mf_nsec now)
{
	struct traffic t = traffic_of_peers(info, now);

	find_rates(c, info->name, now, &t);
	mf_cell_text(r, info->name);
	mf_cell_text(r, "wireguard");
	mf_cell_text(r, state_of(info, &t));
	mf_cell_flag(r, info->up);
	no_cells(r, 3); /* devices */
	addresses(r, hop_of(c, info->device));
	mf_cell_u64(r, info->listen_port);
	mf_cell_u64(r, info->mtu);
	mf_cell_u64(r, mf_wg_device_fwmark(info->device));
	mf_cell_u64(r, t.peers);
	mf_cell_u64(r, t.sessions);
	no_cells(r, 1); /* opened */
	traffic_cells(r, &t);
	no_cells(r, 1); /* packets */
	key_cell(r, info->device);
	no_cells(r, MF_PROXY_CELLS);
}

/* ---- What carries sessions, and what ends packets ------------------------------------------------- */

static void device_cells(struct mf_report *r, const struct mf_control_direct *d)
{
	if (!strcmp(d->device4, d->device6))
		mf_cell_text(r, *d->device4 ? d->device4 : "none");
	else
		mf_cell_textf(r, "%s%s%s%s%s", d->device4, *d->device4 ? " (IPv4)" : "",
			      *d->device4 && *d->device6 ? ", " : "", d->device6,
			      *d->device6 ? " (IPv6)" : "");
	if (*d->device4)
		mf_cell_text(r, d->device4);
	else
		mf_cell_none(r);
	if (*d->device6)
		mf_cell_text(r, d->device6);
	else
		mf_cell_none(r);
}

/* From the address on. */
static void session_cells(struct mf_control *c, struct mf_report *r, uint32_t hop, mf_nsec now)
{
	struct mf_hop_totals n;
	struct traffic t;

	mf_engine_hop_totals(c->engine, hop, &n);
	t = (struct traffic){ .rx = n.bytes_down, .tx = n.bytes_up };
	find_rates(c, mf_hop_name(c, hop), now, &t);
	mf_cell_text(r, "");
	no_cells(r, 4); /* port to peers */
	mf_cell_u64(r, n.sessions);
	mf_cell_u64(r, n.opened);
	traffic_cells(r, &t);
	no_cells(r, 2); /* packets, key */
	mf_proxy_cells(c, r, hop, now);
}

static void session_row(struct mf_control *c, struct mf_report *r, uint32_t hop, mf_nsec now)
{
	struct mf_control_direct d = { 0 };
	bool up;

	if (c->host.direct && hop == MF_HOP_ID_DIRECT)
		c->host.direct(c->host.ctx, &d);
	up = *d.device4 || *d.device6 || hop == MF_HOP_ID_DNS;
	mf_cell_text(r, mf_hop_name(c, hop));
	mf_cell_text(r, "built-in");
	mf_cell_text(r, up ? "up" : "down");
	mf_cell_flag(r, up);
	if (hop == MF_HOP_ID_DNS)
		no_cells(r, 3); /* it is in here */
	else
		device_cells(r, &d);
	session_cells(c, r, hop, now);
}

static void proxy_row(struct mf_control *c, struct mf_report *r, const struct mf_iface_info *info,
		      mf_nsec now)
{
	struct mf_proxy_report h;

	(void)mf_engine_proxy(c->engine, info->hop, &h);
	mf_cell_text(r, info->name);
	mf_cell_text(r, mf_proxy_type_text(info->proxy));
	mf_cell_text(r, mf_proxy_state_text(h.state));
	mf_cell_flag(r, h.state != MF_PROXY_FAILING);
	no_cells(r, 3); /* devices */
	session_cells(c, r, info->hop, now);
}

static void end_row(struct mf_report *r, const char *name, uint64_t packets)
{
	mf_cell_text(r, name);
	mf_cell_text(r, "built-in");
	mf_cell_text(r, "up");
	mf_cell_flag(r, true);
	no_cells(r, 3); /* devices */
	mf_cell_text(r, "");
	no_cells(r, 10); /* port to rates */
	mf_cell_u64(r, packets);
	no_cells(r, 1); /* key */
	no_cells(r, MF_PROXY_CELLS);
}

static void built_in_rows(struct mf_control *c, struct mf_report *r, mf_nsec now)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(c->engine);
	struct mf_ledger l;

	for (uint32_t i = 0; i < snap->n_hops; i++)
		if (snap->hop[i].kind == MF_HOP_SESSION && !snap->hop[i].proxy &&
		    (i != MF_HOP_ID_DNS || snap->dns))
			session_row(c, r, i, now);
	mf_engine_ledger(c->engine, &l);
	end_row(r, "reject", l.drops[MF_DROP_POLICY_REJECT]);
	end_row(r, "drop", l.drops[MF_DROP_POLICY_DROP]);
}

/* clang-format off */
/* What there is of proxies only, behind the others; for programs. */
#define PROXY_COLUMN(key, kind)   , { #key, NULL, MF_CELL_##kind }
#define PROXY_COUNTER(name, text) , { #name, NULL, MF_CELL_COUNT }
#define PROXY_COLUMNS MF_PROXY_COLUMN_LIST(PROXY_COLUMN) MF_PROXY_COUNTER_LIST(PROXY_COUNTER)
/* clang-format on */

void mf_report_interfaces(struct mf_control *c, struct mf_report *r, mf_nsec now)
{
	static const struct mf_column column[] = {
		{ "name", "name", MF_CELL_TEXT },
		{ "type", "type", MF_CELL_TEXT },
		{ "state", "state", MF_CELL_TEXT },
		{ "up", NULL, MF_CELL_FLAG },
		{ NULL, "device", MF_CELL_TEXT },
		{ "device4", NULL, MF_CELL_TEXT },
		{ "device6", NULL, MF_CELL_TEXT },
		{ "addresses", "address", MF_CELL_LIST },
		{ "listen_port", "port", MF_CELL_NUMBER },
		{ "mtu", "mtu", MF_CELL_NUMBER },
		{ "fwmark", NULL, MF_CELL_NUMBER },
		{ "peers", "peers", MF_CELL_COUNT },
		{ "sessions", "sessions", MF_CELL_COUNT },
		{ "opened", "opened", MF_CELL_COUNT },
		{ "rx_bytes", "received", MF_CELL_BYTES },
		{ "tx_bytes", "sent", MF_CELL_BYTES },
		{ "rx_rate", "rate in", MF_CELL_RATE },
		{ "tx_rate", "rate out", MF_CELL_RATE },
		{ "packets", "packets", MF_CELL_COUNT },
		{ "public_key", "public key", MF_CELL_TEXT } PROXY_COLUMNS,
	};

	mf_report_table(r, "interfaces", NULL, column, MF_ARRAY_LEN(column), "no interfaces");
	for (uint32_t i = 0; i < mf_engine_iface_count(c->engine); i++) {
		struct mf_iface_info info;

		if (!mf_engine_iface(c->engine, i, &info))
			continue;
		if (info.device)
			wg_row(c, r, &info, now);
		else if (info.proxy)
			proxy_row(c, r, &info, now);
	}
	built_in_rows(c, r, now);
	mf_report_proxies(c, r, now);
}
