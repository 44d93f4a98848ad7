/* SPDX-License-Identifier: Apache-2.0
 *
 * link - what all kinds of share links have in common (see link.h).
 */
#include "config/link.h"

#include "config/base64.h"
#include "config/errors.h"
#include "config/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

char *mf_link_unwrap(struct mf_link *l, const char *base64)
{
	size_t n;
	char *text = mf_base64_read(l->arena, base64, strlen(base64), &n);

	return text && mf_value_printable(text, n) ? text : NULL;
}

bool mf_link_refuse(struct mf_link *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(l->why.text, sizeof(l->why.text), fmt, ap);
	va_end(ap);
	return false;
}

void mf_link_note(struct mf_link *l, const char *fmt, ...)
{
	struct mf_errbuf text;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text.text, sizeof(text.text), fmt, ap);
	va_end(ap);
	mf_import_note(l->im, l->line, "%s", text.text);
}

static void put(struct mf_link *l, const char *indent, const char *key, const char *value)
{
	if (!value)
		return;
	mf_text_printf(&l->yaml, "%s%s: ", indent, key);
	mf_value_print_scalar(value, &l->yaml);
	mf_text_printf(&l->yaml, "\n");
}

void mf_link_put(struct mf_link *l, const char *key, const char *value)
{
	put(l, "    ", key, value);
}

void mf_link_put_in(struct mf_link *l, const char *key, const char *value)
{
	put(l, "      ", key, value);
}

/* ---- Hosts ------------------------------------------------------------------------------------------ */

/* "[2001:db8::1]", as JSON may have it, without its brackets. */
static const char *without_brackets(struct mf_link *l, const char *host)
{
	size_t n = strlen(host);

	return *host == '[' && host[n - 1] == ']' && strchr(host, ':')
		       ? mf_config_arena_text(l->arena, host + 1, n - 2)
		       : host;
}

const char *mf_link_ascii_host(struct mf_link *l, const char *host)
{
	struct mf_errbuf why;

	for (const char *p = host; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			return mf_value_domain(host, l->arena, &why);
	return host;
}

bool mf_link_take_host(struct mf_link *l, const struct mf_uri *u)
{
	const char *host = mf_uri_decode(l->arena, u->host);

	l->host = host ? mf_link_ascii_host(l, without_brackets(l, host)) : NULL;
	return l->host || mf_link_refuse(l, "its host is no name");
}

bool mf_link_put_server(struct mf_link *l, const char *type, const struct mf_uri *u, uint16_t port)
{
	struct mf_text server = { 0 };

	if (!mf_link_take_host(l, u))
		return false;
	if (!u->port && !port)
		return mf_link_refuse(l, "it has no port");
	mf_text_printf(&server, strchr(l->host, ':') ? "[%s]:%u" : "%s:%u", l->host,
		       u->port ? u->port : port);
	mf_link_put(l, "type", type);
	mf_link_put(l, "server", server.s);
	l->yaml.failed |= server.failed;
	mf_text_free(&server);
	return true;
}

void mf_link_take_tag(struct mf_link *l, const struct mf_uri *u)
{
	l->tag = mf_uri_decode(l->arena, u->tag);
	l->tag_garbled = !l->tag;
}

bool mf_link_cut(struct mf_link *l, char *text, struct mf_uri *u)
{
	const char *bad = mf_uri_cut(text, u);

	mf_link_take_tag(l, u);
	return !bad || mf_link_refuse(l, "%s", bad);
}

const char *mf_link_param(struct mf_link *l, const struct mf_uri *u, const char *name)
{
	const char *value = mf_uri_param(u, l->arena, name);

	if (!value && mf_uri_has_param(u, name))
		l->garbled = name;
	return value;
}

const char *mf_link_json_text(struct mf_link *l, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_string(v))
		return NULL;
	if (mf_value_printable(json_string_value(v), json_string_length(v)))
		return json_string_value(v);
	l->garbled = key;
	return NULL;
}

/* One that cannot be read harms nothing. */
bool mf_link_take_json_tag(struct mf_link *l, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	const char *text = json_string_value(v);
	size_t n = json_string_length(v);

	if (!text)
		return false;
	l->tag = mf_value_printable(text, n) ? mf_config_arena_text(l->arena, text, n) : NULL;
	l->tag_garbled = !l->tag;
	return true;
}

bool mf_link_is_true(const char *text)
{
	return text && (!strcmp(text, "1") || !strcasecmp(text, "true"));
}

/* ---- Schemes --------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	bool (*read)(struct mf_link *l, char *text);
} schemes[] = {
	{ "ss", mf_link_shadowsocks }, { "vmess", mf_link_vmess },
	{ "vless", mf_link_vless },    { "trojan", mf_link_trojan },
	{ "socks", mf_link_socks },    { "socks5", mf_link_socks },
	{ "socks5h", mf_link_socks },  { "http", mf_link_http },
	{ "https", mf_link_https },    { "wireguard", mf_link_wireguard },
	{ "wg", mf_link_wireguard },
};

/* Protocols that people share links of and that this version does not speak. */
static const char *foreign(const char *scheme)
{
	static const struct {
		const char *scheme, *name;
	} list[] = {
		{ "ssr", "ShadowsocksR" },
		{ "socks4", "SOCKS4" },
		{ "socks4a", "SOCKS4" },
		{ "hysteria", "Hysteria" },
		{ "hysteria2", "Hysteria 2" },
		{ "hy2", "Hysteria 2" },
		{ "tuic", "TUIC" },
		{ "anytls", "AnyTLS" },
		{ "juicity", "Juicity" },
		{ "naive+https", "NaiveProxy" },
		{ "naive+quic", "NaiveProxy" },
		{ "snell", "Snell" },
		{ "mieru", "mieru" },
		{ "mierus", "mieru" },
		{ "brook", "Brook" },
		{ "ssh", "SSH" },
		{ "trojan-go", "Trojan-Go" },
	};

	for (size_t i = 0; i < MF_ARRAY_LEN(list); i++)
		if (!strcasecmp(list[i].scheme, scheme))
			return list[i].name;
	return NULL;
}

bool mf_link_read(struct mf_link *l, char *text)
{
	char *behind = strstr(text, "://"), quoted[MF_CONFIG_QUOTE_LEN];
	const char *name;

	if (strlen(text) > MF_LINK_MAX)
		return mf_link_refuse(l, "it is longer than %d bytes", MF_LINK_MAX);
	if (!behind)
		return mf_link_refuse(l, "it is no link");
	*behind = '\0';
	for (size_t i = 0; i < MF_ARRAY_LEN(schemes); i++)
		if (!strcasecmp(schemes[i].name, text))
			return schemes[i].read(l, behind + 3);
	name = foreign(text);
	if (name)
		return mf_link_refuse(l, "this version does not speak %s", name);
	/* a long one may be anything */
	if (!mf_value_token(text) || strlen(text) > 20)
		return mf_link_refuse(l, "it is no link");
	return mf_link_refuse(l, "links of the kind %s are not known", mf_config_quote(text, quoted));
}
