/* SPDX-License-Identifier: Apache-2.0 */
#include "control/uapi.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "control/uapi_set.h"

enum { LINE_MAX_BYTES = 512, ANSWERS_MAX_BYTES = 64 << 20 };

enum state {
	IDLE,    /* an operation comes next */
	GETTING, /* get=1 was read, the empty line comes next */
	SETTING, /* lines until the empty one */
};

struct mf_uapi {
	struct mf_engine *engine;
	char iface[16];
	enum state state;
	bool closing;
	int error; /* of the request under way: the first one counts */
	struct mf_uapi_set set;
	char line[LINE_MAX_BYTES];
	size_t n_line;
	struct mf_text out;
	size_t sent;
};

struct mf_uapi *mf_uapi_new(struct mf_engine *e, const char *iface)
{
	struct mf_uapi *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->engine = e;
	snprintf(u->iface, sizeof(u->iface), "%s", iface);
	return u;
}

/* Answers hold private keys. */
static void forget_output(struct mf_uapi *u)
{
	if (u->out.s)
		mf_wipe(u->out.s, u->out.cap);
	mf_text_free(&u->out);
	u->sent = 0;
}

void mf_uapi_free(struct mf_uapi *u)
{
	if (!u)
		return;
	mf_uapi_set_clear(&u->set);
	forget_output(u);
	mf_wipe(u, sizeof(*u));
	free(u);
}

/* ---- Answers ------------------------------------------------------------------------------------ */

static struct mf_wg_device *find_device(const struct mf_uapi *u)
{
	struct mf_iface_info info;

	for (uint32_t i = 0; i < mf_engine_iface_count(u->engine); i++)
		if (mf_engine_iface(u->engine, i, &info) && info.device &&
		    !strcmp(info.name, u->iface))
			return info.device;
	return NULL;
}

/* `wg` and wireguard-go have negative numbers here. */
static void answer_errno(struct mf_uapi *u, int error)
{
	mf_text_printf(&u->out, "errno=%d\n\n", -error);
}

static void print_key(struct mf_text *out, const char *name, const struct mf_key *key)
{
	char hex[MF_KEY_HEX_STRLEN];

	mf_key_to_hex(key, hex);
	mf_text_printf(out, "%s=%s\n", name, hex);
	mf_wipe(hex, sizeof(hex));
}

static void print_allowed(struct mf_text *out, const struct mf_wg_peer *p, size_t n)
{
	struct mf_prefix *list = calloc(n + 1, sizeof(*list));
	char s[MF_PREFIX_STRLEN];

	if (!list) {
		out->failed = true;
		return;
	}
	n = mf_min(n, mf_wg_peer_allowed(p, list, n));
	for (size_t i = 0; i < n; i++)
		mf_text_printf(out, "allowed_ip=%s\n", mf_prefix_format(&list[i], s));
	free(list);
}

static void print_peer(struct mf_text *out, const struct mf_wg_peer *p, mf_nsec now)
{
	char s[MF_ENDPOINT_STRLEN];
	struct mf_wg_peer_info info;

	mf_wg_peer_info(p, now, &info);
	print_key(out, "public_key", &info.public_key);
	print_key(out, "preshared_key", &info.psk);
	mf_wipe(&info.psk, sizeof(info.psk));
	mf_text_printf(out, "protocol_version=1\n");
	if (info.endpoint.addr.family)
		mf_text_printf(out, "endpoint=%s\n", mf_endpoint_format(&info.endpoint, s));
	mf_text_printf(out,
		       "last_handshake_time_sec=%" PRIu64 "\nlast_handshake_time_nsec=%" PRIu32
		       "\ntx_bytes=%" PRIu64 "\nrx_bytes=%" PRIu64
		       "\npersistent_keepalive_interval=%u\n",
		       info.last_handshake.sec, info.last_handshake.nsec, info.tx_bytes,
		       info.rx_bytes, info.keepalive);
	print_allowed(out, p, info.n_allowed);
}

/* Growing would leave copies of keys behind: the text of a device gets its memory at once. */
static void make_room(struct mf_text *out, const struct mf_wg_device *d, mf_nsec now)
{
	size_t n = out->len + 512;
	struct mf_wg_peer_info info;
	char *s;

	for (struct mf_wg_peer *p = mf_wg_peer_next(d, NULL); p; p = mf_wg_peer_next(d, p)) {
		mf_wg_peer_info(p, now, &info);
		mf_wipe(&info.psk, sizeof(info.psk));
		n += 512 + info.n_allowed * (sizeof("allowed_ip=\n") + MF_PREFIX_STRLEN);
	}
	s = n > out->cap ? malloc(n) : NULL;
	if (!s)
		return;
	if (out->s) {
		memcpy(s, out->s, out->len);
		mf_wipe(out->s, out->cap);
		free(out->s);
	}
	out->s = s;
	out->cap = n;
	out->s[out->len] = '\0';
}

static void answer_get(struct mf_uapi *u, const struct mf_wg_device *d, mf_nsec now)
{
	struct mf_key private_key, public_key;
	struct mf_text *out = &u->out;

	make_room(out, d, now);
	if (mf_wg_device_keys(d, &private_key, &public_key))
		print_key(out, "private_key", &private_key);
	mf_wipe(&private_key, sizeof(private_key));
	mf_text_printf(out, "listen_port=%u\n", mf_wg_device_listen_port(d));
	if (mf_wg_device_fwmark(d))
		mf_text_printf(out, "fwmark=%" PRIu32 "\n", mf_wg_device_fwmark(d));
	for (struct mf_wg_peer *p = mf_wg_peer_next(d, NULL); p; p = mf_wg_peer_next(d, p))
		print_peer(out, p, now);
	answer_errno(u, 0);
}

/* ---- Lines -------------------------------------------------------------------------------------- */

static void end_request(struct mf_uapi *u, mf_nsec now)
{
	struct mf_wg_device *d = find_device(u);

	if (!u->error && !d)
		u->error = ENODEV;
	if (u->state == SETTING && !u->error)
		u->error = mf_uapi_set_apply(&u->set, u->engine, d, now);
	if (u->state == GETTING && !u->error)
		answer_get(u, d, now);
	else
		answer_errno(u, u->error);
	mf_uapi_set_clear(&u->set);
	u->state = IDLE;
	u->error = 0;
}

static void take_line(struct mf_uapi *u, mf_nsec now)
{
	u->line[u->n_line] = '\0';
	if (u->state == IDLE && !strcmp(u->line, "set=1")) {
		u->state = SETTING;
	} else if (u->state == IDLE && !strcmp(u->line, "get=1")) {
		u->state = GETTING;
	} else if (u->state == IDLE) {
		answer_errno(u, EINVAL);
		u->closing = true;
	} else if (!u->n_line) {
		end_request(u, now);
	} else if (u->state == GETTING) {
		u->error = EINVAL;
	} else if (!u->error) {
		/* The rest of a wrong request is read past, up to its empty line. */
		u->error = memchr(u->line, '\0', u->n_line) ? EINVAL
							    : mf_uapi_set_line(&u->set, u->line);
	}
	mf_wipe(u->line, u->n_line);
	u->n_line = 0;
}

bool mf_uapi_wants(const struct mf_uapi *u)
{
	return !u->closing && u->sent == u->out.len;
}

bool mf_uapi_input(struct mf_uapi *u, const void *bytes, size_t n, mf_nsec now)
{
	const char *p = bytes;

	for (size_t i = 0; i < n && !u->closing && u->out.len <= ANSWERS_MAX_BYTES; i++) {
		if (p[i] == '\n') {
			take_line(u, now);
		} else if (u->n_line == LINE_MAX_BYTES - 1) {
			answer_errno(u, EINVAL);
			u->closing = true;
		} else {
			u->line[u->n_line++] = p[i];
		}
	}
	/* Somebody asks and asks in one go. */
	u->closing |= u->out.failed || u->out.len > ANSWERS_MAX_BYTES;
	return !u->closing;
}

struct mf_span mf_uapi_output(const struct mf_uapi *u)
{
	return mf_span(u->out.s ? u->out.s + u->sent : "", u->out.len - u->sent);
}

bool mf_uapi_sent(struct mf_uapi *u, size_t n, mf_nsec now)
{
	(void)now;
	MF_ASSERT(n <= u->out.len - u->sent);
	u->sent += n;
	if (u->sent == u->out.len)
		forget_output(u);
	return !u->closing;
}
