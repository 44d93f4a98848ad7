/* SPDX-License-Identifier: Apache-2.0
 *
 * connect - the request in one piece; then answers are read until the final one. What follows that
 * one belongs to the tunnel, whatever its fields say of a body (RFC 9110 9.3.6).
 */
#include "proto/http/connect.h"

#include <stdio.h>

#include "base/base64.h"
#include "proto/http/head.h"

enum {
	CREDENTIALS_MAX = 256 + 1 + 256,
	AUTHORITY_MAX = MF_TARGET_NAME_MAX + sizeof("[]:65535"),
	/* "CONNECT", "Host" and "Proxy-Authorization" take less than 100 bytes. */
	REQUEST_MAX = 2 * AUTHORITY_MAX + (CREDENTIALS_MAX + 2) / 3 * 4 + 100,
};
static_assert((int)REQUEST_MAX <= (int)MF_CODEC_OUT_MIN, "the request fits in any room");

static struct mf_connect *of(struct mf_codec *c)
{
	return MF_CONTAINER_OF(c, struct mf_connect, codec);
}

/* ---- The request ----------------------------------------------------------------------------- */

/* host:port; an IPv6 address in brackets (RFC 3986 3.2.2). */
static void write_authority(const struct mf_proxy_target *t, char out[AUTHORITY_MAX])
{
	struct mf_endpoint e = { .addr = t->addr.addr, .port = t->addr.port };

	if (t->name)
		snprintf(out, AUTHORITY_MAX, "%.*s:%u", (int)t->name_n, t->name, e.port);
	else
		mf_endpoint_format(&e, out);
}
static_assert((int)AUTHORITY_MAX >= (int)MF_ENDPOINT_STRLEN, "an address fits, too");

/* Appends "Proxy-Authorization: Basic user:password in base64"; returns how many bytes. */
static size_t write_credentials(const struct mf_connect_config *cfg, char *out)
{
	static const char field[] = "Proxy-Authorization: Basic ";
	char plain[CREDENTIALS_MAX];
	size_t n = cfg->user_n, at = sizeof(field) - 1;

	memcpy(out, field, at);
	memcpy(plain, cfg->user, n);
	plain[n++] = ':';
	memcpy(plain + n, cfg->password, cfg->password_n);
	at += mf_base64_encode(mf_span(plain, n + cfg->password_n), out + at);
	mf_wipe(plain, sizeof(plain));
	memcpy(out + at, "\r\n", 2);
	return at + 2;
}

/* No Proxy-Connection: it never was a field of the standard (RFC 9112 C.2.2). */
static size_t write_request(struct mf_connect *c, char *out)
{
	char authority[AUTHORITY_MAX];
	size_t n;

	write_authority(c->codec.to, authority);
	n = (size_t)snprintf(out, REQUEST_MAX, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", authority,
			     authority);
	if (c->config->user_n)
		n += write_credentials(c->config, out + n);
	memcpy(out + n, "\r\n", 2);
	return n + 2;
}

static size_t seal(struct mf_codec *codec, const struct mf_span *v, size_t n, uint8_t *out,
		   size_t room, size_t *len)
{
	*len = 0;
	if (!codec->begun) {
		codec->begun = true;
		*len = write_request(of(codec), (char *)out);
		return 0;
	}
	if (codec->opened)
		*len = mf_codec_gather(v, n, out, room);
	return *len;
}

/* ---- The answer ------------------------------------------------------------------------------ */

/* What proxies mean by a status. Those of web servers that know no CONNECT, or redirect it, say
 * just that. */
static enum mf_proxy_fault fault_of(uint16_t status)
{
	switch (status) {
	case 401: /* tinyproxy, to a wrong password */
	case 407:
		return MF_PROXY_CREDENTIALS;
	case 403:
		return MF_PROXY_TARGET_FORBIDDEN;
	case 500: /* tinyproxy */
	case 502:
	case 503:
		return MF_PROXY_TARGET_FAILED;
	case 504:
		return MF_PROXY_TARGET_TIMED_OUT;
	case 501:
		return MF_PROXY_NOT_PROXY;
	default:
		return status >= 300 && status < 500 ? MF_PROXY_NOT_PROXY : MF_PROXY_PROTOCOL;
	}
}

/* Reads answers up to the final one. */
static mf_err hear(struct mf_connect *c, struct mf_codec_in *in)
{
	for (;;) {
		struct mf_http_head h;
		mf_err e = mf_http_head_parse(mf_span(in->p, in->n), &h);

		if (e == MF_E_SHORT)
			return MF_OK;
		if (e || c->heard + h.n > MF_HTTP_HEAD_MAX)
			return mf_codec_fail(&c->codec, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
		mf_codec_skip(in, h.n);
		c->heard += (uint32_t)h.n;
		if (h.status >= 200 || h.status == 101) {
			c->status = h.status;
			break;
		}
	}
	if (c->status < 200 || c->status > 299)
		return mf_codec_fail(&c->codec, MF_E_PERMISSION, fault_of(c->status));
	c->codec.opened = c->codec.proven = true;
	c->codec.raw_up = c->codec.raw_down = true;
	return MF_OK;
}

static mf_err open(struct mf_codec *codec, struct mf_codec_in *in, const struct mf_room *v,
		   size_t n, size_t *got)
{
	*got = 0;
	if (!codec->opened) {
		mf_err e = hear(of(codec), in);

		if (e || !codec->opened)
			return e;
	}
	*got = mf_codec_scatter(in, v, n);
	return MF_OK;
}

static const struct mf_codec_ops ops = {
	.name = "http",
	.handshake = true,
	.seal = seal,
	.open = open,
	.wipe = mf_codec_no_keys,
};

void mf_connect_init(struct mf_connect *c, const struct mf_connect_config *cfg,
		     const struct mf_codec_env *env, const struct mf_proxy_target *to)
{
	*c = (struct mf_connect){
		.codec = { .ops = &ops, .env = env, .to = to },
		.config = cfg,
	};
}
