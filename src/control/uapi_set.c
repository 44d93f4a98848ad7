/* SPDX-License-Identifier: Apache-2.0 */
#include "control/uapi_set.h"

#include <errno.h>
#include <stdlib.h>

void mf_uapi_set_clear(struct mf_uapi_set *s)
{
	if (s->peers)
		mf_wipe(s->peers, s->cap_peers * sizeof(*s->peers));
	free(s->peers);
	free(s->allowed);
	mf_wipe(s, sizeof(*s));
}

/* ---- Values ------------------------------------------------------------------------------------ */

static int parse_number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*text)
		return EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return EINVAL;
		v = v * 10 + (uint64_t)(*text - '0');
		if (v > max)
			return EINVAL;
	}
	*out = v;
	return 0;
}

static int parse_key(const char *text, struct mf_key *out)
{
	return mf_key_from_hex(out, text, strlen(text)) ? EINVAL : 0;
}

static int parse_true(const char *text)
{
	return strcmp(text, "true") ? EINVAL : 0;
}

/* ---- Lines of the device ----------------------------------------------------------------------- */

static int private_key(struct mf_uapi_set *s, const char *value)
{
	s->has_private_key = true;
	return parse_key(value, &s->private_key);
}

static int listen_port(struct mf_uapi_set *s, const char *value)
{
	uint64_t v;

	if (parse_number(value, UINT16_MAX, &v))
		return EINVAL;
	s->has_listen_port = true;
	s->listen_port = (uint16_t)v;
	return 0;
}

static int fwmark(struct mf_uapi_set *s, const char *value)
{
	uint64_t v = 0;

	/* An empty value clears it, as other implementations have it. */
	if (*value && parse_number(value, UINT32_MAX, &v))
		return EINVAL;
	s->has_fwmark = true;
	s->fwmark = (uint32_t)v;
	return 0;
}

static int replace_peers(struct mf_uapi_set *s, const char *value)
{
	s->replace_peers = true;
	return parse_true(value);
}

/* Memory that held secrets is wiped before it is given back, so no realloc here. */
static int public_key(struct mf_uapi_set *s, const char *value)
{
	struct mf_uapi_peer *p;

	if (s->n_peers == MF_UAPI_PEERS_MAX)
		return E2BIG;
	if (s->n_peers == s->cap_peers) {
		size_t cap = s->cap_peers ? s->cap_peers * 2 : 4;
		struct mf_uapi_peer *list = calloc(cap, sizeof(*list));

		if (!list)
			return ENOMEM;
		if (s->peers) {
			memcpy(list, s->peers, s->n_peers * sizeof(*list));
			mf_wipe(s->peers, s->cap_peers * sizeof(*list));
			free(s->peers);
		}
		s->peers = list;
		s->cap_peers = cap;
	}
	p = &s->peers[s->n_peers++];
	*p = (struct mf_uapi_peer){ .first_allowed = s->n_allowed };
	return parse_key(value, &p->config.public_key);
}

/* ---- Lines of a peer --------------------------------------------------------------------------- */

static struct mf_uapi_peer *last_peer(struct mf_uapi_set *s)
{
	return &s->peers[s->n_peers - 1];
}

static int remove_peer(struct mf_uapi_set *s, const char *value)
{
	last_peer(s)->remove = true;
	return parse_true(value);
}

static int update_only(struct mf_uapi_set *s, const char *value)
{
	last_peer(s)->config.set |= MF_WG_UPDATE_ONLY;
	return parse_true(value);
}

static int preshared_key(struct mf_uapi_set *s, const char *value)
{
	last_peer(s)->config.set |= MF_WG_SET_PSK;
	return parse_key(value, &last_peer(s)->config.psk);
}

static int endpoint(struct mf_uapi_set *s, const char *value)
{
	struct mf_wg_peer_config *c = &last_peer(s)->config;

	/* An address now, whatever name it came from: nothing left to resolve again. */
	c->set |= MF_WG_SET_ENDPOINT | MF_WG_SET_NAMED;
	c->named = false;
	return mf_endpoint_parse(&c->endpoint, value) ? EINVAL : 0;
}

static int keepalive(struct mf_uapi_set *s, const char *value)
{
	struct mf_wg_peer_config *c = &last_peer(s)->config;
	uint64_t v;

	if (parse_number(value, UINT16_MAX, &v))
		return EINVAL;
	c->set |= MF_WG_SET_KEEPALIVE;
	c->keepalive = (uint16_t)v;
	return 0;
}

/* What came before in this section is replaced, too. */
static int replace_allowed_ips(struct mf_uapi_set *s, const char *value)
{
	last_peer(s)->config.set |= MF_WG_REPLACE_ALLOWED;
	s->n_allowed = last_peer(s)->first_allowed;
	return parse_true(value);
}

static int allowed_ip(struct mf_uapi_set *s, const char *value)
{
	struct mf_wg_allowed *list, *a;
	bool minus = *value == '-';

	if (s->n_allowed == MF_UAPI_ALLOWED_MAX)
		return E2BIG;
	if (s->n_allowed == s->cap_allowed) {
		size_t cap = s->cap_allowed ? s->cap_allowed * 2 : 16;

		list = realloc(s->allowed, cap * sizeof(*list));
		if (!list)
			return ENOMEM;
		s->allowed = list;
		s->cap_allowed = cap;
	}
	a = &s->allowed[s->n_allowed++];
	*a = (struct mf_wg_allowed){ .remove = minus };
	return mf_prefix_parse(&a->prefix, value + minus) ? EINVAL : 0;
}

static int protocol_version(struct mf_uapi_set *s, const char *value)
{
	(void)s;
	return strcmp(value, "1") ? EINVAL : 0;
}

static const struct line {
	const char *key;
	bool of_peer; /* only behind a public_key; the others only before the first */
	int (*take)(struct mf_uapi_set *s, const char *value);
} lines[] = {
	{ "private_key", false, private_key },
	{ "listen_port", false, listen_port },
	{ "fwmark", false, fwmark },
	{ "replace_peers", false, replace_peers },
	{ "remove", true, remove_peer },
	{ "update_only", true, update_only },
	{ "preshared_key", true, preshared_key },
	{ "endpoint", true, endpoint },
	{ "persistent_keepalive_interval", true, keepalive },
	{ "replace_allowed_ips", true, replace_allowed_ips },
	{ "allowed_ip", true, allowed_ip },
	{ "protocol_version", true, protocol_version },
};

int mf_uapi_set_line(struct mf_uapi_set *s, char *line)
{
	char *value = strchr(line, '=');

	if (!value)
		return EINVAL;
	*value++ = '\0';
	if (!strcmp(line, "public_key"))
		return public_key(s, value);
	for (size_t i = 0; i < MF_ARRAY_LEN(lines); i++)
		if (!strcmp(line, lines[i].key))
			return lines[i].of_peer == (s->n_peers > 0) ? lines[i].take(s, value)
								    : EINVAL;
	return EINVAL;
}

/* ---- Applying ---------------------------------------------------------------------------------- */

static int errno_of(mf_err err)
{
	switch (err) {
	case MF_OK:
		return 0;
	case MF_E_NO_MEMORY:
		return ENOMEM;
	case MF_E_FULL:
		return ENOSPC;
	case MF_E_PERMISSION:
		return EACCES;
	case MF_E_EXISTS:
	case MF_E_CONFLICT:
	case MF_E_SYSTEM:
		return EADDRINUSE;
	default:
		return EINVAL;
	}
}

static bool wanted(const struct mf_uapi_set *s, const struct mf_key *key)
{
	for (size_t i = 0; i < s->n_peers; i++)
		if (!s->peers[i].remove && !memcmp(&s->peers[i].config.public_key, key, sizeof(*key)))
			return true;
	return false;
}

/* Peers that the request names again stay, and keep their sessions; what they had before is reset to
 * what the request says. */
static void drop_others(const struct mf_uapi_set *s, struct mf_wg_device *d, mf_nsec now)
{
	struct mf_wg_peer *p = mf_wg_peer_next(d, NULL), *next;
	struct mf_wg_peer_info info;

	for (; p; p = next) {
		next = mf_wg_peer_next(d, p);
		mf_wg_peer_info(p, now, &info);
		mf_wipe(&info.psk, sizeof(info.psk));
		if (!wanted(s, &info.public_key))
			mf_wg_peer_remove(p, now);
	}
}

static int apply_peer(struct mf_uapi_peer *u, const struct mf_uapi_set *s, struct mf_engine *e,
		      struct mf_wg_device *d, mf_nsec now)
{
	struct mf_wg_peer_config *c = &u->config;
	struct mf_wg_peer *p;
	mf_err err;

	if (u->remove) {
		p = mf_wg_peer_find(d, &c->public_key);
		if (p)
			mf_wg_peer_remove(p, now);
		return 0;
	}
	if (s->replace_peers)
		c->set |= MF_WG_REPLACE_ALLOWED | MF_WG_SET_PSK | MF_WG_SET_KEEPALIVE;
	err = mf_engine_peer_set(e, d, c, now, NULL);
	/* Our own key among the peers, and an update of a peer that is not there, are nothing to do. */
	return err == MF_E_CONFLICT || err == MF_E_NOT_FOUND ? 0 : errno_of(err);
}

int mf_uapi_set_apply(struct mf_uapi_set *s, struct mf_engine *e, struct mf_wg_device *d, mf_nsec now)
{
	int error;

	/* The only thing that others can refuse goes first. */
	if (s->has_listen_port && s->listen_port != mf_wg_device_listen_port(d)) {
		error = errno_of(mf_engine_set_listen_port(e, d, s->listen_port, NULL));
		if (error)
			return error;
	}
	if (s->has_fwmark)
		mf_engine_set_fwmark(e, d, s->fwmark);
	if (s->has_private_key)
		mf_wg_device_set_private_key(d, &s->private_key, now);
	if (s->replace_peers)
		drop_others(s, d, now);
	for (size_t i = 0; i < s->n_peers; i++) {
		struct mf_uapi_peer *u = &s->peers[i];
		size_t end = i + 1 < s->n_peers ? s->peers[i + 1].first_allowed : s->n_allowed;

		u->config.allowed = s->allowed ? s->allowed + u->first_allowed : NULL;
		u->config.n_allowed = end - u->first_allowed;
		error = apply_peer(u, s, e, d, now);
		if (error)
			return error;
	}
	return 0;
}
