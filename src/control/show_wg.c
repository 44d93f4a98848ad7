/* SPDX-License-Identifier: Apache-2.0
 *
 * show_wg - the tables of interfaces and peers. No private or preshared key is written here.
 */
#include "control/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* Two samples closer together than this make no rate worth showing. */
enum { SAMPLE_MIN_MS = 200 };
/* Allowed IPs of a peer that are shown unless all are asked for. */
enum { ALLOWED_SHOWN = 16 };

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

void mf_iface_traffic(struct mf_control *c, const struct mf_iface_info *info, mf_nsec now,
		      struct mf_iface_traffic *out)
{
	struct mf_sample *s = sample_of(c, info->name);

	*out = (struct mf_iface_traffic){ 0 };
	/* The first time: since the start. */
	if (s && !s->at) {
		struct mf_control_facts f = { 0 };

		c->host.facts(c->host.ctx, &f);
		s->at = f.started;
	}
	for (struct mf_wg_peer *p = mf_wg_peer_next(info->device, NULL); p;
	     p = mf_wg_peer_next(info->device, p)) {
		struct mf_wg_peer_info peer;

		mf_wg_peer_info(p, now, &peer);
		out->peers++;
		out->sessions += peer.session;
		out->rx += peer.rx_bytes;
		out->tx += peer.tx_bytes;
		mf_wipe(&peer.psk, sizeof(peer.psk));
	}
	if (!s)
		return;
	if (now >= s->at + SAMPLE_MIN_MS * MF_MSEC) {
		double seconds = (double)(now - s->at) / (double)MF_SEC;

		s->rx_rate = rate(out->rx, s->rx, seconds);
		s->tx_rate = rate(out->tx, s->tx, seconds);
		s->at = now;
		s->rx = out->rx;
		s->tx = out->tx;
	}
	out->rx_rate = s->rx_rate;
	out->tx_rate = s->tx_rate;
}

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

static const char *state_of(const struct mf_iface_info *info, const struct mf_iface_traffic *t)
{
	if (!info->up)
		return "down";
	return t->sessions ? "connected" : "up";
}

void mf_report_interfaces(struct mf_control *c, struct mf_report *r, mf_nsec now)
{
	static const struct mf_column column[] = {
		{ "name", "name", MF_CELL_TEXT },
		{ "type", "type", MF_CELL_TEXT },
		{ "state", "state", MF_CELL_TEXT },
		{ "up", NULL, MF_CELL_FLAG },
		{ "addresses", "address", MF_CELL_LIST },
		{ "listen_port", "port", MF_CELL_NUMBER },
		{ "mtu", "mtu", MF_CELL_NUMBER },
		{ "fwmark", NULL, MF_CELL_NUMBER },
		{ "peers", "peers", MF_CELL_COUNT },
		{ "sessions", "sessions", MF_CELL_COUNT },
		{ "rx_bytes", "received", MF_CELL_BYTES },
		{ "tx_bytes", "sent", MF_CELL_BYTES },
		{ "rx_rate", "rate in", MF_CELL_RATE },
		{ "tx_rate", "rate out", MF_CELL_RATE },
		{ "public_key", "public key", MF_CELL_TEXT },
	};

	mf_report_table(r, "interfaces", NULL, column, MF_ARRAY_LEN(column), "no interfaces");
	for (uint32_t i = 0; i < mf_engine_iface_count(c->engine); i++) {
		struct mf_key private_key, public_key;
		char key[MF_KEY_BASE64_STRLEN];
		struct mf_iface_traffic t;
		struct mf_iface_info info;

		if (!mf_engine_iface(c->engine, i, &info))
			continue;
		mf_iface_traffic(c, &info, now, &t);
		mf_cell_text(r, info.name);
		mf_cell_text(r, "wireguard");
		mf_cell_text(r, state_of(&info, &t));
		mf_cell_flag(r, info.up);
		addresses(r, hop_of(c, info.device));
		mf_cell_u64(r, info.listen_port);
		mf_cell_u64(r, info.mtu);
		mf_cell_u64(r, mf_wg_device_fwmark(info.device));
		mf_cell_u64(r, t.peers);
		mf_cell_u64(r, t.sessions);
		mf_cell_u64(r, t.rx);
		mf_cell_u64(r, t.tx);
		mf_cell_double(r, t.rx_rate);
		mf_cell_double(r, t.tx_rate);
		if (mf_wg_device_keys(info.device, &private_key, &public_key)) {
			mf_key_to_base64(&public_key, key);
			mf_cell_text(r, key);
		} else {
			mf_cell_none(r);
		}
		mf_wipe(&private_key, sizeof(private_key));
	}
}

/* The peer's allowed IPs with newlines between them; of more than `max` the rest is only counted. */
static void allowed_ips(struct mf_report *r, const struct mf_wg_peer *p, size_t n, size_t max)
{
	struct mf_prefix *list = calloc(n + 1, sizeof(*list));
	struct mf_text text = { 0 };
	char s[MF_PREFIX_STRLEN];

	if (list)
		n = mf_min(n, mf_wg_peer_allowed(p, list, n));
	for (size_t i = 0; list && i < mf_min(n, max); i++)
		mf_text_printf(&text, "%s%s", i ? "\n" : "", mf_prefix_format(&list[i], s));
	if (n > max)
		mf_text_printf(&text, "\n%zu more (--all)", n - max);
	mf_cell_text(r, text.s ? text.s : "");
	mf_text_free(&text);
	free(list);
}

static void handshake_cells(struct mf_report *r, const struct mf_wg_wall *last,
			    const struct mf_wg_wall *wall)
{
	mf_nsec at = last->sec * MF_SEC + last->nsec, now = wall->sec * MF_SEC + wall->nsec;

	if (!last->sec) {
		mf_cell_none(r);
		mf_cell_none(r);
		return;
	}
	mf_cell_u64(r, last->sec);
	mf_cell_u64(r, now > at ? now - at : 0);
}

static void peer_row(struct mf_report *r, const char *iface, const struct mf_wg_peer *p,
		     mf_nsec now, const struct mf_wg_wall *wall, size_t max_allowed)
{
	char key[MF_KEY_BASE64_STRLEN];
	struct mf_wg_peer_info info;

	mf_wg_peer_info(p, now, &info);
	mf_key_to_base64(&info.public_key, key);
	mf_cell_text(r, iface);
	mf_cell_text(r, key);
	if (mf_key_is_zero(&info.psk))
		mf_cell_none(r);
	else
		mf_cell_text(r, "(hidden)");
	mf_cell_endpoint(r, &info.endpoint);
	mf_cell_text(r, info.session ? "session" : info.handshaking ? "handshake" : "idle");
	mf_cell_flag(r, info.session);
	handshake_cells(r, &info.last_handshake, wall);
	if (info.session)
		mf_cell_u64(r, info.session_age);
	else
		mf_cell_none(r);
	mf_cell_u64(r, info.rx_bytes);
	mf_cell_u64(r, info.tx_bytes);
	mf_cell_u64(r, info.rx_packets);
	mf_cell_u64(r, info.tx_packets);
	if (info.keepalive)
		mf_cell_u64(r, info.keepalive * MF_SEC);
	else
		mf_cell_none(r);
	allowed_ips(r, p, info.n_allowed, max_allowed);
	mf_wipe(&info.psk, sizeof(info.psk));
}

void mf_report_peers(struct mf_control *c, struct mf_report *r, bool full, mf_nsec now)
{
	static const struct mf_column column[] = {
		{ "interface", "interface", MF_CELL_TEXT },
		{ "public_key", "public key", MF_CELL_TEXT },
		{ "preshared_key", NULL, MF_CELL_TEXT },
		{ "endpoint", "endpoint", MF_CELL_TEXT },
		{ "state", "state", MF_CELL_TEXT },
		{ "session", NULL, MF_CELL_FLAG },
		{ "last_handshake", NULL, MF_CELL_COUNT },
		{ "last_handshake_age", "handshake before", MF_CELL_DURATION },
		{ "session_age", NULL, MF_CELL_DURATION },
		{ "rx_bytes", "received", MF_CELL_BYTES },
		{ "tx_bytes", "sent", MF_CELL_BYTES },
		{ "rx_packets", NULL, MF_CELL_COUNT },
		{ "tx_packets", NULL, MF_CELL_COUNT },
		{ "persistent_keepalive", "keepalive", MF_CELL_DURATION },
		{ "allowed_ips", "allowed IPs", MF_CELL_LIST },
	};
	struct mf_wg_wall wall = c->host.wall_clock(c->host.ctx);

	mf_report_table(r, "peers", NULL, column, MF_ARRAY_LEN(column), "no peers");
	for (uint32_t i = 0; i < mf_engine_iface_count(c->engine); i++) {
		struct mf_iface_info info;

		if (!mf_engine_iface(c->engine, i, &info))
			continue;
		for (struct mf_wg_peer *p = mf_wg_peer_next(info.device, NULL); p;
		     p = mf_wg_peer_next(info.device, p))
			peer_row(r, info.name, p, now, &wall, full ? SIZE_MAX : ALLOWED_SHOWN);
	}
}
