/* SPDX-License-Identifier: Apache-2.0
 *
 * link_transport - how the proxy in a link is reached: TCP or WebSocket, with TLS or without. What people
 * have besides is refused by its name.
 */
#include "config/errors.h"
#include "config/link.h"
#include "config/value.h"
#include "proto/websocket/websocket.h"

#include <stdio.h>
#include <strings.h>

void mf_link_transport_of(struct mf_link *l, const struct mf_uri *u, struct mf_link_transport *t)
{
	static const char *const insecure[] = { "allowInsecure", "allow_insecure", "insecure",
						"skip-cert-verify" };
	const char *sni = mf_link_param(l, u, "sni");

	*t = (struct mf_link_transport){
		.network = mf_link_param(l, u, "type"),
		.header = mf_link_param(l, u, "headerType"),
		.security = mf_link_param(l, u, "security"),
		.host = mf_link_param(l, u, "host"),
		.path = mf_link_param(l, u, "path"),
		.sni = sni ? sni : mf_link_param(l, u, "peer"),
		.alpn = mf_link_param(l, u, "alpn"),
		.fingerprint = mf_link_param(l, u, "fp"),
		.pin = mf_link_param(l, u, "pcs"),
		.ech = mf_link_param(l, u, "ech"),
		.early = mf_link_param(l, u, "ed"),
		.early_header = mf_link_param(l, u, "eh"),
	};
	for (size_t i = 0; i < MF_ARRAY_LEN(insecure); i++)
		t->insecure |= mf_link_is_true(mf_link_param(l, u, insecure[i]));
}

static bool is(const char *text, const char *word)
{
	return text && !strcasecmp(text, word);
}

/* ---- TLS ------------------------------------------------------------------------------------------- */

/* "h2,http/1.1"; with a WebSocket only the latter works. */
static void put_alpn(struct mf_link *l, const char *alpn, bool websocket)
{
	enum { MOST = 8 };
	struct mf_text list = { 0 };
	unsigned n = 0;
	bool left = false;

	for (const char *p = alpn; *p && n < MOST;) {
		size_t len = strcspn(p, ",");
		char *one = mf_config_arena_text(l->arena, p, len);
		bool wanted = one && *one && (!websocket || !strcmp(one, "http/1.1"));

		left |= one && *one && !wanted;
		if (wanted) {
			mf_text_printf(&list, n++ ? ", " : "");
			mf_value_print_scalar(one, &list);
		}
		p += len + (p[len] != '\0');
	}
	if (n)
		mf_text_printf(&l->yaml, "      alpn: [%s]\n", list.s ? list.s : "");
	l->yaml.failed |= list.failed;
	mf_text_free(&list);
	if (left)
		mf_link_note(l, "of `alpn` only http/1.1 is taken over: a WebSocket has no other");
}

/* Keys inside `tls`; there may be none. */
static void put_tls_keys(struct mf_link *l, const struct mf_link_transport *t, bool websocket)
{
	const char *name = t->sni ? t->sni : websocket ? NULL : t->host;

	if (name)
		mf_link_put_in(l, "server_name", name);
	if (t->alpn)
		put_alpn(l, t->alpn, websocket);
	if (t->insecure)
		mf_text_printf(&l->yaml, "      insecure: true\n");
}

static bool put_tls(struct mf_link *l, struct mf_link_transport *t, bool websocket)
{
	char quoted[MF_CONFIG_QUOTE_LEN];
	size_t before;

	if (!t->security || !*t->security || is(t->security, "none"))
		return true;
	if (is(t->security, "reality"))
		return mf_link_refuse(l, "this version does not speak REALITY");
	if (!is(t->security, "tls"))
		return mf_link_refuse(l, "`security` %s is not known",
				      mf_config_quote(t->security, quoted));
	t->tls = true;
	mf_text_printf(&l->yaml, "    tls:");
	before = l->yaml.len;
	mf_text_printf(&l->yaml, "\n");
	put_tls_keys(l, t, websocket);
	if (l->yaml.len == before + 1) {
		l->yaml.len = before;
		mf_text_printf(&l->yaml, " {}\n");
	}
	if (t->insecure)
		mf_link_note(l, "it wants `insecure: true`: whoever is on the way can read and "
				"change everything; see whether it works without");
	if (t->fingerprint && *t->fingerprint)
		mf_link_note(l, "`fp` is not taken over: TLS looks as OpenSSL makes it");
	if (t->pin)
		mf_link_note(l, "`pcs` is not taken over: it is of the whole certificate, and "
				"`pin_sha256` is of its key");
	if (t->ech)
		mf_link_note(l, "`ech` is not taken over: whoever is on the way sees the server's "
				"name");
	return true;
}

/* ---- WebSocket ------------------------------------------------------------------------------------- */

/* Takes `ed=N` out of the path's query, as Xray does. NULL: there is none. */
static const char *cut_early(struct mf_link *l, char *path)
{
	char *query = strchr(path, '?');

	for (char *p = query ? query + 1 : NULL; p && *p;) {
		size_t n = strcspn(p, "&");
		const char *value;

		if (n <= 3 || strncmp(p, "ed=", 3) != 0) {
			p += n + (p[n] != '\0');
			continue;
		}
		value = mf_config_arena_text(l->arena, p + 3, n - 3);
		memmove(p, p + n + (p[n] != '\0'), strlen(p + n + (p[n] != '\0')) + 1);
		/* what the cut leaves at the end */
		n = strlen(path);
		if (n && (path[n - 1] == '?' || path[n - 1] == '&'))
			path[n - 1] = '\0';
		return value;
	}
	return NULL;
}

/* What cannot stand in a request is written as %XX. */
static char *request_path(struct mf_link *l, const char *path)
{
	size_t n = strlen(path);
	char *out = mf_config_arena_alloc(l->arena, 3 * n + 2), *p = out;

	if (!out)
		return NULL;
	if (*path != '/')
		*p++ = '/';
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c > ' ' && c <= '~' && c != '#')
			*p++ = (char)c;
		else
			p += sprintf(p, "%%%02X", c);
	}
	*p = '\0';
	return out;
}

static bool put_early(struct mf_link *l, const struct mf_link_transport *t, const char *early)
{
	uint64_t n = 0;

	if (early && !mf_value_number(early, &n))
		return mf_link_refuse(l, "`ed` is not a number of bytes");
	if (n > MF_WS_EARLY_MAX)
		mf_link_note(l, "`ed` is more than the %d bytes that fit; it has become that",
			     MF_WS_EARLY_MAX);
	if (n)
		mf_text_printf(&l->yaml, "      early_data: %u\n",
			       (unsigned)mf_min(n, (uint64_t)MF_WS_EARLY_MAX));
	if (n && t->early_header)
		mf_link_put_in(l, "early_data_header", t->early_header);
	return true;
}

static bool put_websocket(struct mf_link *l, const struct mf_link_transport *t)
{
	char *path = request_path(l, t->path ? t->path : "/");
	const char *early = path ? cut_early(l, path) : NULL;

	if (!path)
		return mf_link_refuse(l, "not enough memory");
	mf_text_printf(&l->yaml, "    websocket:\n");
	mf_link_put_in(l, "path", path);
	if (t->host && *t->host)
		mf_link_put_in(l, "host", t->host);
	return put_early(l, t, early ? early : t->early);
}

/* ---- Both ------------------------------------------------------------------------------------------ */

/* Whose names differ from what people call them. */
static const char *network_name(const char *network)
{
	static const struct {
		const char *network, *name;
	} list[] = {
		{ "httpupgrade", "HTTPUpgrade" },
		{ "grpc", "gRPC" },
		{ "gun", "gRPC" },
		{ "h2", "HTTP/2" },
		{ "http", "HTTP/2" },
		{ "kcp", "mKCP" },
		{ "mkcp", "mKCP" },
		{ "quic", "QUIC" },
		{ "xhttp", "XHTTP" },
		{ "splithttp", "XHTTP" },
		{ "meek", "meek" },
		{ "hysteria", "Hysteria" },
		{ "hysteria2", "Hysteria 2" },
		{ "ds", "domain sockets" },
	};

	for (size_t i = 0; i < MF_ARRAY_LEN(list); i++)
		if (!strcasecmp(list[i].network, network))
			return list[i].name;
	return NULL;
}

/* What is no name stays: the loader says so, if it is used at all. */
static const char *ascii_name(struct mf_link *l, const char *name)
{
	const char *ascii = mf_link_ascii_host(l, name);

	return ascii ? ascii : name;
}

bool mf_link_put_transport(struct mf_link *l, struct mf_link_transport *t)
{
	bool websocket = is(t->network, "ws") || is(t->network, "websocket");
	bool tcp = !t->network || !*t->network || is(t->network, "tcp") || is(t->network, "raw") ||
		   is(t->network, "original");
	const char *name = tcp || websocket ? NULL : network_name(t->network);
	char quoted[MF_CONFIG_QUOTE_LEN];

	if (name)
		return mf_link_refuse(l, "this version has no transport over %s", name);
	if (!tcp && !websocket)
		return mf_link_refuse(l, "the transport %s is not known",
				      mf_config_quote(t->network, quoted));
	if (tcp && t->header && *t->header && !is(t->header, "none"))
		return mf_link_refuse(l, "this version has no TCP that is dressed up as %s",
				      mf_config_quote(t->header, quoted));
	t->host = ascii_name(l, t->host);
	t->sni = ascii_name(l, t->sni);
	if (!put_tls(l, t, websocket))
		return false;
	return !websocket || put_websocket(l, t);
}
