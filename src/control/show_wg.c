/* SPDX-License-Identifier: Apache-2.0
 *
 * show_wg - the table of peers. No private or preshared key is written here.
 */
#include "control/internal.h"

#include <stdlib.h>

/* Allowed IPs of a peer that are shown unless all are asked for. */
enum { ALLOWED_SHOWN = 16 };

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

		if (!mf_engine_iface(c->engine, i, &info) || !info.device)
			continue;
		for (struct mf_wg_peer *p = mf_wg_peer_next(info.device, NULL); p;
		     p = mf_wg_peer_next(info.device, p))
			peer_row(r, info.name, p, now, &wall, full ? SIZE_MAX : ALLOWED_SHOWN);
	}
}
