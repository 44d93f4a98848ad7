/* SPDX-License-Identifier: Apache-2.0
 *
 * uri - cuts up the links by which people share proxies (see uri.h).
 */
#include "config/uri.h"

#include "config/value.h"

#include <strings.h>

/* Cuts the text there; what is behind the character, or "" if there is none. */
static char *cut_at(char *text, char at)
{
	char *p = strchr(text, at);

	if (!p)
		return text + strlen(text);
	*p = '\0';
	return p + 1;
}

void mf_uri_cut_tail(char *text, struct mf_uri *out)
{
	*out = (struct mf_uri){ .path = "" };
	out->tag = cut_at(text, '#');
	out->query = cut_at(text, '?');
}

const char *mf_uri_cut_host(char *text, struct mf_uri *out)
{
	char *host = text, *port;
	uint64_t n;

	if (*text == '[' && !strchr(text, ']'))
		return "its host has no closing ]";
	if (*text == '[') {
		host = text + 1;
		port = cut_at(host, ']');
		if (*port && *port != ':')
			return "after the ] of its host only a port can follow";
		port += *port == ':';
	} else {
		char *colon = strrchr(text, ':');

		port = colon ? cut_at(colon, ':') : text + strlen(text);
	}
	if (!*host)
		return "it has no host";
	out->host = host;
	if (!*port)
		return NULL;
	if (!mf_value_number(port, &n) || n < 1 || n > 65535)
		return "its port is not 1..65535";
	out->port = (uint16_t)n;
	return NULL;
}

const char *mf_uri_cut(char *text, struct mf_uri *out)
{
	char *host = text, *at;

	mf_uri_cut_tail(text, out);
	at = strrchr(text, '@');
	if (at) {
		*at = '\0';
		out->user = text;
		host = at + 1;
	}
	out->path = cut_at(host, '/');
	return mf_uri_cut_host(host, out);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *decode(struct mf_config_arena *arena, const char *text, size_t n)
{
	char *out = mf_config_arena_alloc(arena, n + 1);
	size_t len = 0;

	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		bool coded = text[i] == '%' && n - i > 2 && hex(text[i + 1]) >= 0 &&
			     hex(text[i + 2]) >= 0;

		out[len++] = coded ? (char)(hex(text[i + 1]) << 4 | hex(text[i + 2])) : text[i];
		i += coded ? 2 : 0;
	}
	return mf_value_printable(out, len) ? out : NULL;
}

const char *mf_uri_decode(struct mf_config_arena *arena, const char *text)
{
	return decode(arena, text, strlen(text));
}

/* The first parameter of this name, as written; NULL: there is none. */
static const char *find_param(const struct mf_uri *u, const char *name, size_t *len)
{
	size_t want = strlen(name);

	for (const char *p = u->query; *p;) {
		size_t n = strcspn(p, "&"), key = strcspn(p, "&=");

		if (key == want && key < n && !strncasecmp(p, name, key)) {
			*len = n - key - 1;
			return p + key + 1;
		}
		p += n + (p[n] != '\0');
	}
	return NULL;
}

const char *mf_uri_param(const struct mf_uri *u, struct mf_config_arena *arena, const char *name)
{
	size_t n;
	const char *value = find_param(u, name, &n);

	return value && n ? decode(arena, value, n) : NULL;
}

bool mf_uri_has_param(const struct mf_uri *u, const char *name)
{
	size_t n;

	return find_param(u, name, &n) && n;
}
