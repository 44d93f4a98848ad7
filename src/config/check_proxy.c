/* SPDX-License-Identifier: Apache-2.0
 *
 * check_proxy - interfaces that are proxies: credentials, what they are reached through, and what does not
 * go together. check_via.c looks at which proxy is behind which.
 */
#include "config/errors.h"
#include "config/file.h"
#include "config/load.h"
#include "config/value.h"
#include "crypto/tls.h"
#include "proto/obfs/obfs.h"
#include "proto/proxy/uuid.h"

/* ---- Who we are ------------------------------------------------------------------------------------ */

static void read_password(struct mf_loader *l, struct mf_config_interface *i)
{
	const char *path = i->password_file ? mf_load_path(l, i->password_file) : NULL;
	struct mf_errbuf why;
	mf_err err;

	if (!path || (l->flags & MF_CONFIG_NO_FILES))
		return;
	err = mf_file_read_password(path, l->arena, &i->password, &why);
	if (!err)
		return;
	mf_config_error(l->errs, mf_load_pos(&i->src, "password_file"), "`password_file`: %s",
			why.text);
	if (!l->err && err == MF_E_PERMISSION)
		l->err = err;
}

static void take_password(struct mf_loader *l, struct mf_config_interface *i)
{
	bool here = mf_load_has(&i->src, "password"), there = mf_load_has(&i->src, "password_file");
	bool needed = i->type == MF_CONFIG_SHADOWSOCKS || i->type == MF_CONFIG_TROJAN;

	if (here && there)
		mf_config_error(l->errs, mf_load_pos(&i->src, "password_file"),
				"`password` and `password_file` are both given; keep one");
	else if (there)
		read_password(l, i);
	else if (!here && needed)
		mf_config_error(l->errs, i->src.pos,
				"`password` is missing in interfaces[]; add it or `password_file`");
}

/* RFC 1929, section 2; RFC 7617, section 2. */
static void check_user(struct mf_loader *l, const struct mf_config_interface *i)
{
	enum { LONGEST = 255 };
	struct mf_config_pos user = mf_load_pos(&i->src, "username");
	bool password = mf_load_has(&i->src, "password") || mf_load_has(&i->src, "password_file");

	if (!i->username) {
		if (password && !mf_load_has(&i->src, "username"))
			mf_config_error(l->errs, i->src.pos,
					"a password needs a user; add `username: …`");
		return;
	}
	if (strlen(i->username) > LONGEST || (i->password && strlen(i->password) > LONGEST))
		mf_config_error(l->errs, user,
				"user and password can each have %d bytes with this type", LONGEST);
	if (i->type == MF_CONFIG_SOCKS5 && !password)
		mf_config_error(l->errs, user, "a user needs a password; add `password: …`");
	if (i->type == MF_CONFIG_HTTP && strchr(i->username, ':'))
		mf_config_error(l->errs, user, "a user of an http proxy cannot have a : in its name");
}

/* What was written is not repeated: it may be half of a secret. */
static void check_uuid(struct mf_loader *l, const struct mf_config_interface *i)
{
	uint8_t uuid[MF_UUID_LEN];

	if (i->uuid && mf_uuid_parse(uuid, i->uuid, NULL))
		mf_config_error(l->errs, mf_load_pos(&i->src, "uuid"),
				"`uuid` must be a UUID, or a text of up to 30 bytes; got %zu "
				"characters",
				strlen(i->uuid));
	mf_wipe(uuid, sizeof(uuid));
}

static void check_credentials(struct mf_loader *l, struct mf_config_interface *i)
{
	switch (i->type) {
	case MF_CONFIG_VMESS:
	case MF_CONFIG_VLESS:
		check_uuid(l, i);
		break;
	case MF_CONFIG_SOCKS5:
	case MF_CONFIG_HTTP:
		take_password(l, i);
		check_user(l, i);
		break;
	default:
		take_password(l, i);
		break;
	}
}

/* ---- TLS ------------------------------------------------------------------------------------------- */

/* NULL, or what is wrong with it. */
static const char *name_or_address(const char *text)
{
	struct mf_addr a;

	return mf_addr_parse(&a, text) ? mf_value_hostname(text, strlen(text)) : NULL;
}

static void bad_text(struct mf_loader *l, const struct mf_config_src *src, const char *key,
		     const char *text, const char *bad)
{
	char quoted[MF_CONFIG_QUOTE_LEN];

	mf_config_error(l->errs, mf_load_pos(src, key), "`%s`: %s: %s", key,
			mf_config_quote(text, quoted), bad);
}

/* With colons between the bytes, too, as `openssl dgst -c` prints it. */
static bool parse_pin(const char *text, uint8_t pin[32])
{
	char plain[MF_KEY_HEX_STRLEN];
	struct mf_key k;
	size_t n = 0;

	if (mf_key_from_base64(&k, text, strlen(text))) {
		for (const char *p = text; *p; p++)
			if (*p != ':' && n < sizeof(plain))
				plain[n++] = *p;
		if (mf_key_from_hex(&k, plain, n))
			return false;
	}
	memcpy(pin, k.b, sizeof(k.b));
	return true;
}

static void read_authorities(struct mf_loader *l, struct mf_config_tls *t)
{
	enum { LONGEST = 1 << 20 };
	struct mf_config_pos pos = mf_load_pos(&t->src, "ca_file");
	struct mf_tls_context *context = NULL;
	struct mf_errbuf why;
	struct mf_file f;

	t->ca_path = mf_load_path(l, t->ca_file);
	if (!t->ca_path || (l->flags & MF_CONFIG_NO_FILES))
		return;
	if (mf_file_read(t->ca_path, LONGEST, l->arena, &f, &why)) {
		mf_config_error(l->errs, pos, "`ca_file`: %s", why.text);
		return;
	}
	t->ca_pem = mf_span(f.text, f.n);
	/* only who uses certificates can tell whether they are some */
	if (mf_tls_context_new(&context, &(struct mf_tls_options){ .ca_pem = t->ca_pem }, &why))
		mf_config_error(l->errs, pos,
				"`ca_file`: there is no certificate in %s that can be used; they "
				"stand between -----BEGIN CERTIFICATE----- and -----END "
				"CERTIFICATE-----",
				t->ca_path);
	mf_tls_context_free(context);
}

/* A server that chose another protocol would not understand our HTTP/1.1. */
static void check_alpn(struct mf_loader *l, const struct mf_config_interface *i)
{
	const char *with = i->websocket.enabled        ? "`websocket`"
			   : i->type == MF_CONFIG_HTTP ? "an http proxy"
						       : NULL;

	for (uint32_t k = 0; with && k < i->tls.n_alpn; k++)
		if (strcmp(i->tls.alpn[k], "http/1.1") != 0) {
			mf_config_error(l->errs, mf_load_pos(&i->tls.src, "alpn"),
					"with %s `alpn` can only be [http/1.1]", with);
			break;
		}
}

static void check_tls(struct mf_loader *l, struct mf_config_interface *i)
{
	struct mf_config_tls *t = &i->tls;
	const char *bad;

	if (i->type == MF_CONFIG_TROJAN)
		t->enabled = true;
	bad = t->server_name ? name_or_address(t->server_name) : NULL;
	if (bad)
		bad_text(l, &t->src, "server_name", t->server_name, bad);
	check_alpn(l, i);
	if (t->ca_file)
		read_authorities(l, t);
	if (t->pin_sha256 && !parse_pin(t->pin_sha256, t->pin))
		mf_config_error(l->errs, mf_load_pos(&t->src, "pin_sha256"),
				"`pin_sha256` must be 32 bytes in base64 (44 characters) or "
				"hexadecimal (64), got %zu characters",
				strlen(t->pin_sha256));
	if (t->insecure && (t->ca_file || t->pin_sha256))
		mf_config_error(l->errs, mf_load_pos(&t->src, "insecure"),
				"`insecure` looks at no certificate, but `%s` says which is good; "
				"remove one of them",
				t->ca_file ? "ca_file" : "pin_sha256");
}

/* ---- WebSocket, simple-obfs ------------------------------------------------------------------------ */

/* The handshake is one message of at most MF_WS_REQUEST_MAX bytes. */
static void check_headers(struct mf_loader *l, const struct mf_config_websocket *w)
{
	enum { MOST = 4096 };
	size_t n = 0;

	for (uint32_t i = 0; i < w->n_headers; i++)
		n += strlen(w->headers[i].name) + strlen(w->headers[i].value) + 4;
	if (n > MOST)
		mf_config_error(l->errs, mf_load_pos(&w->src, "headers"),
				"`headers` has %zu bytes, at most %d are allowed", n, MOST);
}

static void check_websocket(struct mf_loader *l, struct mf_config_websocket *w)
{
	struct mf_config_host host;
	const char *bad;

	if (!w->early_data_header)
		w->early_data_header = "";
	bad = *w->early_data_header ? mf_load_header_name(w->early_data_header) : NULL;
	if (bad)
		bad_text(l, &w->src, "early_data_header", w->early_data_header, bad);
	bad = w->path ? mf_value_path(w->path) : NULL;
	if (bad)
		bad_text(l, &w->src, "path", w->path, bad);
	bad = w->host ? mf_value_host_port(w->host, 443, l->arena, &host) : NULL;
	if (bad)
		bad_text(l, &w->src, "host", mf_config_behind_user(w->host), bad);
	else if (w->host)
		w->host_name = host.host;
	check_headers(l, w);
}

static_assert(MF_OBFS_PATH_MAX == 1024, "as the message says");

static void check_obfs(struct mf_loader *l, const struct mf_config_interface *i)
{
	const struct mf_config_obfs *o = &i->obfs;
	const char *bad = o->host ? name_or_address(o->host) : NULL;

	if (bad)
		bad_text(l, &o->src, "host", o->host, bad);
	bad = o->path ? mf_value_path(o->path) : NULL;
	if (!bad && o->path && strlen(o->path) > MF_OBFS_PATH_MAX)
		bad = "it is longer than 1024 bytes";
	if (bad)
		bad_text(l, &o->src, "path", o->path, bad);
	if (o->enabled && (i->tls.enabled || i->websocket.enabled))
		mf_config_error(l->errs, mf_load_pos(&i->src, "obfs"),
				"`obfs` does not go with `%s`; remove one of them",
				i->tls.enabled ? "tls" : "websocket");
}

/* ---- All together ---------------------------------------------------------------------------------- */

/* Whoever writes this should have meant it: the uuid is a password. */
static void check_cleartext(struct mf_loader *l, const struct mf_config_interface *i)
{
	bool near = i->server.is_addr && mf_addr_is_private(&i->server.addr.addr);
	bool inside = i->via && strcmp(i->via, "direct") != 0;

	if (i->type != MF_CONFIG_VLESS || i->tls.enabled || i->cleartext || near || inside)
		return;
	mf_config_error(
		l->errs, i->src.pos,
		"vless encrypts nothing: without `tls` everybody on the way can read the uuid "
		"and all that apps say; add `tls: {}`, or say with `cleartext: true` that it is "
		"meant so");
}

void mf_load_check_proxy(struct mf_loader *l, struct mf_config_interface *i)
{
	check_credentials(l, i);
	mf_load_check_cipher(l, i);
	check_tls(l, i);
	check_websocket(l, &i->websocket);
	check_obfs(l, i);
	check_cleartext(l, i);
}
