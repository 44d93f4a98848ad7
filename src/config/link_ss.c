/* SPDX-License-Identifier: Apache-2.0
 *
 * link_ss - links of Shadowsocks: SIP002, the older form in base64, and the plugins that are built in
 * here. No foreign program is ever started because a link says so.
 */
#include "config/cipher.h"
#include "config/errors.h"
#include "config/link.h"
#include "config/value.h"
#include "proto/shadowsocks/shadowsocks.h"

#include <strings.h>

/* ---- Plugins --------------------------------------------------------------------------------------- */

/* The value of an option in "name;name=value", in which \ stands before ; = and itself. NULL: it is not
 * there; "": it has no value. */
static const char *option(struct mf_link *l, const char *options, const char *name)
{
	size_t want = strlen(name);
	const char *p = options;

	while (p && *p) {
		bool found = !strncmp(p, name, want) && (!p[want] || strchr("=;", p[want]));
		char *value = found ? mf_config_arena_alloc(l->arena, strlen(p) + 1) : NULL;
		char *out = value;

		if (found && !value)
			return NULL;
		p += found ? want : strcspn(p, "=;");
		p += *p == '=';
		for (; *p && *p != ';'; p++) {
			p += *p == '\\' && p[1];
			if (out)
				*out++ = *p;
		}
		p += *p == ';';
		if (value)
			return value;
	}
	return NULL;
}

/* One note for all options that are none of these. */
static void note_options(struct mf_link *l, const char *options, const char *const *known)
{
	char quoted[MF_CONFIG_QUOTE_LEN];
	const char *first = NULL;
	unsigned others = 0;

	for (const char *p = options; *p; p += *p == ';') {
		size_t n = strcspn(p, "=;");
		const char *name = mf_config_arena_text(l->arena, p, n);
		const char *const *k = known;

		while (name && *k && strcmp(*k, name) != 0)
			k++;
		if (name && *name && !*k) {
			others += first != NULL;
			first = first ? first : name;
		}
		for (p += n; *p && *p != ';'; p++)
			p += *p == '\\' && p[1];
	}
	if (first && others)
		mf_link_note(l, "the plugin's options %s and %u more are not taken over",
			     mf_config_quote(first, quoted), others);
	else if (first)
		mf_link_note(l, "the plugin's option %s is not taken over",
			     mf_config_quote(first, quoted));
}

static bool simple_obfs(struct mf_link *l, const char *options)
{
	const char *mode = option(l, options, "obfs"), *host = option(l, options, "obfs-host");
	const char *path = option(l, options, "obfs-uri");
	static const char *const known[] = { "obfs", "obfs-host", "obfs-uri", NULL };

	if (!mode || (strcmp(mode, "http") != 0 && strcmp(mode, "tls") != 0))
		return mf_link_refuse(l, "its plugin obfs-local has no `obfs=http` or `obfs=tls`");
	mf_text_printf(&l->yaml, "    obfs:\n");
	mf_link_put_in(l, "mode", mode);
	if (host && *host)
		mf_link_put_in(l, "host", host);
	if (path && *path)
		mf_link_put_in(l, "path", path);
	note_options(l, options, known);
	return true;
}

/* Where it says nothing, the plugin says cloudfront.com and /, and speaks Mux.Cool. */
static bool v2ray_plugin(struct mf_link *l, const char *options)
{
	const char *mode = option(l, options, "mode"), *host = option(l, options, "host");
	const char *mux = option(l, options, "mux"), *tls = option(l, options, "tls");
	static const char *const known[] = { "mode", "host", "path",    "mux",
					     "tls",  "cert", "certRaw", NULL };
	struct mf_link_transport t = {
		.network = "ws",
		.host = host && *host ? host : "cloudfront.com",
		.path = option(l, options, "path"),
	};

	if (mode && strcmp(mode, "websocket") != 0)
		return mf_link_refuse(l, "this version has no transport over QUIC");
	if (tls && (!*tls || mf_link_is_true(tls)))
		t.security = "tls";
	if (!mux || strcmp(mux, "0") != 0)
		mf_link_note(l, "the server must run its plugin with mux=0: this version does not "
				"speak Mux.Cool");
	mf_link_note(l,
		     "UDP goes to the server beside the WebSocket; set `udp` if the server takes "
		     "none");
	if (option(l, options, "certRaw") || option(l, options, "cert"))
		mf_link_note(l, "the plugin's `cert` or `certRaw` is not taken over; write the "
				"certificate into a file, and name that in `ca_file` of `tls`");
	note_options(l, options, known);
	return mf_link_put_transport(l, &t);
}

static bool put_plugin(struct mf_link *l, const char *name, const char *options)
{
	static const char *const obfs[] = { "obfs-local", "simple-obfs", "obfs" };
	static const char *const v2ray[] = { "v2ray-plugin", "ss-v2ray-plugin",
					     "shadowsocks-v2ray-plugin", "xray-plugin" };
	char quoted[MF_CONFIG_QUOTE_LEN];

	for (size_t i = 0; i < MF_ARRAY_LEN(obfs); i++)
		if (!strcasecmp(name, obfs[i]))
			return simple_obfs(l, options);
	for (size_t i = 0; i < MF_ARRAY_LEN(v2ray); i++)
		if (!strcasecmp(name, v2ray[i]))
			return v2ray_plugin(l, options);
	return mf_link_refuse(l,
			      "the plugin %s is not built in, and no program is started for a link",
			      mf_config_quote(name, quoted));
}

/* ---- A server -------------------------------------------------------------------------------------- */

static bool is_false(const char *text)
{
	return text && (!strcmp(text, "0") || !strcasecmp(text, "false"));
}

static void note_udp(struct mf_link *l, const struct mf_uri *u)
{
	const char *uot = mf_link_param(l, u, "uot");

	if (uot && !is_false(uot))
		mf_link_note(l, "`uot` is not taken over: UDP goes to the server as UDP");
	if (is_false(mf_link_param(l, u, "udp")))
		mf_link_note(l, "`udp` is not taken over: UDP goes to the server; write `udp: "
				"reject` if it takes none");
}

bool mf_link_ss(struct mf_link *l, const struct mf_link_ss *ss, const struct mf_uri *u)
{
	struct mf_link_transport t;
	enum mf_ss_method m;

	if (!ss->method || !*ss->method || !ss->password || !*ss->password)
		return mf_link_refuse(l, "it has no method and password");
	/* not repeated: some links have the two the wrong way round */
	if (mf_cipher_is_old(ss->method))
		return mf_link_refuse(l,
				      "its method is an old stream cipher that protects nothing");
	if (!mf_ss_method_find(ss->method, &m))
		return mf_link_refuse(l, "its method is none that this version knows");
	if (!mf_link_put_server(l, "shadowsocks", u, 0))
		return false;
	mf_link_put(l, "method", ss->method);
	mf_link_put(l, "password", ss->password);
	note_udp(l, u);
	if (ss->plugin && *ss->plugin)
		return put_plugin(l, ss->plugin, ss->options);
	mf_link_transport_of(l, u, &t);
	return mf_link_put_transport(l, &t);
}

/* ---- Links ----------------------------------------------------------------------------------------- */

/* "method:password"; the password may have colons. */
static bool cut_user(char *text, struct mf_link_ss *out)
{
	char *colon = text ? strchr(text, ':') : NULL;

	if (!colon)
		return false;
	*colon = '\0';
	out->method = text;
	out->password = colon + 1;
	return true;
}

static bool read_user(struct mf_link *l, const char *user, struct mf_link_ss *out)
{
	const char *plain = mf_uri_decode(l->arena, user);
	char *copy = mf_config_arena_text(l->arena, user, strlen(user));

	if (!plain || !copy)
		return false;
	if (cut_user(copy, out)) {
		out->method = mf_uri_decode(l->arena, out->method);
		out->password = mf_uri_decode(l->arena, out->password);
		return out->method && out->password;
	}
	return cut_user(mf_link_unwrap(l, plain), out) ||
	       cut_user(mf_config_arena_text(l->arena, plain, strlen(plain)), out);
}

/* base64 of "method:password@host:port". */
static bool read_legacy(struct mf_link *l, char *body, struct mf_link_ss *ss, struct mf_uri *u)
{
	const char *plain = mf_uri_decode(l->arena, body), *bad;
	char *text, *at;

	/* some write a slash behind it, before the query */
	text = plain ? mf_link_unwrap(l, plain) : NULL;
	at = text ? strrchr(text, '@') : NULL;
	if (!at)
		return mf_link_refuse(l, "what stands behind ss:// is neither user@host:port nor "
					 "base64 of that");
	*at = '\0';
	bad = mf_uri_cut_host(at + 1, u);
	if (bad)
		return mf_link_refuse(l, "%s", bad);
	return cut_user(text, ss) || mf_link_refuse(l, "it has no method and password");
}

/* "name;options", cut at the first ; that has no \ before it. */
static void cut_plugin(struct mf_link *l, const char *text, struct mf_link_ss *out)
{
	char *copy = mf_config_arena_text(l->arena, text, strlen(text)), *p = copy;

	if (!copy)
		return;
	for (; *p && *p != ';'; p++)
		p += *p == '\\' && p[1];
	out->plugin = copy;
	out->options = *p ? p + 1 : "";
	*p = '\0';
}

bool mf_link_shadowsocks(struct mf_link *l, char *text)
{
	struct mf_link_ss ss = { 0 };
	const char *plugin;
	struct mf_uri u;
	bool ok;

	if (strchr(text, '@') && strchr(text, '@') < text + strcspn(text, "#?")) {
		ok = mf_link_cut(l, text, &u);
		if (ok && !read_user(l, u.user, &ss))
			ok = mf_link_refuse(l,
					    "what stands before the @ is neither method:password "
					    "nor base64 of that");
	} else {
		mf_uri_cut_tail(text, &u);
		mf_link_take_tag(l, &u);
		ok = read_legacy(l, text, &ss, &u);
	}
	plugin = mf_link_param(l, &u, "plugin");
	if (plugin)
		cut_plugin(l, plugin, &ss);
	return ok && mf_link_ss(l, &ss, &u);
}
