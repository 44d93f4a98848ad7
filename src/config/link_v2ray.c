/* SPDX-License-Identifier: Apache-2.0
 *
 * link_v2ray - links of VMess (v2rayN's JSON in base64, and as a URI), VLESS and Trojan.
 */
#include "config/base64.h"
#include "config/errors.h"
#include "config/link.h"
#include "config/value.h"
#include "proto/vmess/vmess.h"

#include <jansson.h>
#include <stdio.h>
#include <strings.h>

static bool given(const char *text)
{
	return text && *text;
}

/* ---- VMess in JSON --------------------------------------------------------------------------------- */

/* Numbers and words, as which anything may be written; NULL: it is not there, or no text. */
static const char *text_of(struct mf_link *l, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	const char *text = mf_link_json_text(l, o, key);
	char number[32];

	if (text)
		return mf_config_arena_text(l->arena, text, strlen(text));
	if (json_is_true(v))
		return "true";
	if (!json_is_integer(v))
		return NULL;
	(void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	return mf_config_arena_text(l->arena, number, strlen(number));
}

/* The first version of the format had the path behind the host. */
static void split_host(struct mf_link *l, const json_t *o, struct mf_link_transport *t)
{
	const char *version = text_of(l, o, "v"), *path = t->host ? strchr(t->host, ';') : NULL;

	if (!path || (given(version) && strcmp(version, "1") != 0))
		return;
	t->path = path + 1;
	t->host = mf_config_arena_text(l->arena, t->host, (size_t)(path - t->host));
}

static void transport_of(struct mf_link *l, const json_t *o, struct mf_link_transport *t)
{
	static const char *const insecure[] = { "allowInsecure", "allow_insecure", "insecure",
						"skip-cert-verify" };

	*t = (struct mf_link_transport){
		.network = text_of(l, o, "net"),
		.header = text_of(l, o, "type"),
		.security = text_of(l, o, "tls"),
		.host = text_of(l, o, "host"),
		.path = text_of(l, o, "path"),
		.sni = text_of(l, o, "sni"),
		.alpn = text_of(l, o, "alpn"),
		.fingerprint = text_of(l, o, "fp"),
	};
	if (mf_link_is_true(t->security))
		t->security = "tls";
	if (!given(t->path))
		t->path = NULL;
	if (!given(t->sni))
		t->sni = NULL;
	if (!given(t->host))
		t->host = NULL;
	for (size_t i = 0; i < MF_ARRAY_LEN(insecure); i++)
		t->insecure |= mf_link_is_true(text_of(l, o, insecure[i]));
	split_host(l, o, t);
}

static bool check_alter(struct mf_link *l, const char *alter)
{
	if (!given(alter) || !strcmp(alter, "0"))
		return true;
	return mf_link_refuse(l, "its alterId is not 0: the old header with MD5 is not spoken");
}

/* What both forms have: uuid, and a cipher. What is not known is not repeated. */
static bool put_vmess(struct mf_link *l, const char *uuid, const char *security)
{
	enum mf_vmess_security s;

	if (!given(uuid))
		return mf_link_refuse(l, "it has no uuid");
	if (given(security) && !mf_vmess_security_find(security, &s))
		return mf_link_refuse(l, "its cipher is none of auto, aes-128-gcm, "
					 "chacha20-poly1305, none and zero");
	mf_link_put(l, "uuid", uuid);
	if (given(security))
		mf_link_put(l, "security", security);
	return true;
}

static bool read_json(struct mf_link *l, const json_t *o)
{
	const char *host = text_of(l, o, "add"), *port = text_of(l, o, "port");
	struct mf_link_transport t;
	struct mf_uri u = { .host = host };
	uint64_t n = 0;

	if (!mf_link_take_json_tag(l, o, "ps"))
		l->tag = text_of(l, o, "ps");
	if (!given(host))
		return mf_link_refuse(l, "it has no host (`add`)");
	if (!port || !mf_value_number(port, &n) || n < 1 || n > 65535)
		return mf_link_refuse(l, "its `port` is not 1..65535");
	u.port = (uint16_t)n;
	if (!check_alter(l, text_of(l, o, "aid")))
		return false;
	transport_of(l, o, &t);
	return mf_link_put_server(l, "vmess", &u, 0) &&
	       put_vmess(l, text_of(l, o, "id"), text_of(l, o, "scy")) &&
	       mf_link_put_transport(l, &t);
}

static bool vmess_json(struct mf_link *l, char *text)
{
	const char *plain;
	struct mf_uri u;
	json_t *o = NULL;
	char *json = NULL;
	size_t n;
	bool ok;

	mf_uri_cut_tail(text, &u);
	plain = mf_uri_decode(l->arena, text);
	if (plain)
		json = mf_base64_read(l->arena, plain, strlen(plain), &n);
	if (json)
		o = json_loadb(json, n, 0, NULL);
	if (json_is_object(o))
		ok = read_json(l, o);
	else
		ok = mf_link_refuse(l, "what stands behind vmess:// is neither uuid@host:port nor "
				       "base64 of v2rayN's JSON");
	if (!given(l->tag) && !l->tag_garbled)
		mf_link_take_tag(l, &u);
	json_decref(o);
	return ok;
}

/* ---- URIs ------------------------------------------------------------------------------------------ */

/* How UDP is packed changes only what UDP looks like to targets. */
static void note_packets(struct mf_link *l, const struct mf_uri *u)
{
	const char *packets = mf_link_param(l, u, "packetEncoding");

	if (packets && strcasecmp(packets, "none") != 0)
		mf_link_note(l,
			     "`packetEncoding` is not taken over: each target of an app's port has "
			     "a connection of its own");
}

/* What stands before the @. */
static bool take_user(struct mf_link *l, const struct mf_uri *u, const char *what, const char **out)
{
	if (!given(u->user))
		return mf_link_refuse(l, "it has no %s", what);
	*out = mf_uri_decode(l->arena, u->user);
	return *out || mf_link_refuse(l, "its %s has a character that cannot be in a text", what);
}

static bool vmess_uri(struct mf_link *l, char *text)
{
	struct mf_link_transport t;
	struct mf_uri u;
	const char *uuid;

	if (!mf_link_cut(l, text, &u))
		return false;
	uuid = mf_uri_decode(l->arena, u.user);
	if (!uuid || strchr(uuid, ':'))
		return mf_link_refuse(l, "what stands before the @ is not a uuid");
	if (!check_alter(l, mf_link_param(l, &u, "alterId")) ||
	    !check_alter(l, mf_link_param(l, &u, "aid")))
		return false;
	mf_link_transport_of(l, &u, &t);
	note_packets(l, &u);
	return mf_link_put_server(l, "vmess", &u, 0) &&
	       put_vmess(l, uuid, mf_link_param(l, &u, "encryption")) &&
	       mf_link_put_transport(l, &t);
}

bool mf_link_vmess(struct mf_link *l, char *text)
{
	const char *at = strchr(text, '@');

	return at && at < text + strcspn(text, "?#") ? vmess_uri(l, text) : vmess_json(l, text);
}

bool mf_link_vless(struct mf_link *l, char *text)
{
	const char *uuid, *flow, *encryption;
	struct mf_link_transport t;
	struct mf_uri u;

	if (!mf_link_cut(l, text, &u))
		return false;
	if (!take_user(l, &u, "uuid", &uuid))
		return false;
	flow = mf_link_param(l, &u, "flow");
	if (flow && strcasecmp(flow, "none") != 0)
		return mf_link_refuse(l, "this version speaks VLESS without `flow` only (Vision)");
	encryption = mf_link_param(l, &u, "encryption");
	if (encryption && strcasecmp(encryption, "none") != 0)
		return mf_link_refuse(l, "this version speaks VLESS without `encryption` only");
	mf_link_transport_of(l, &u, &t);
	note_packets(l, &u);
	if (!mf_link_put_server(l, "vless", &u, 0))
		return false;
	mf_link_put(l, "uuid", uuid);
	if (!mf_link_put_transport(l, &t))
		return false;
	if (t.tls)
		return true;
	mf_text_printf(&l->yaml, "    cleartext: true\n");
	mf_link_note(l,
		     "it has no TLS: everybody on the way can read the uuid and all that apps say");
	return true;
}

bool mf_link_trojan(struct mf_link *l, char *text)
{
	struct mf_link_transport t;
	const char *password;
	struct mf_uri u;

	if (!mf_link_cut(l, text, &u))
		return false;
	if (!take_user(l, &u, "password", &password))
		return false;
	mf_link_transport_of(l, &u, &t);
	if (t.security && !strcasecmp(t.security, "none"))
		return mf_link_refuse(l, "Trojan without TLS shows everybody the password");
	if (mf_link_param(l, &u, "flow"))
		return mf_link_refuse(l, "this version speaks Trojan without `flow` only");
	if (!t.security)
		t.security = "tls";
	if (!mf_link_put_server(l, "trojan", &u, 443))
		return false;
	mf_link_put(l, "password", password);
	return mf_link_put_transport(l, &t);
}
