/* SPDX-License-Identifier: Apache-2.0
 *
 * server - the text form of an upstream DNS server (see server.h).
 */
#include "config/server.h"

#include "config/value.h"

static const struct scheme {
	const char *prefix;
	enum mf_config_dns_scheme scheme;
	uint16_t port;
	bool encrypted;
} schemes[] = {
	{ "udp://", MF_CONFIG_DNS_UDP, 53, false },
	{ "tcp://", MF_CONFIG_DNS_TCP, 53, false },
	{ "tls://", MF_CONFIG_DNS_TLS, 853, true },
	{ "https://", MF_CONFIG_DNS_HTTPS, 443, true },
};

/* A server without a scheme is asked over UDP. NULL: an unknown one. `text` is moved behind it. */
static const struct scheme *scheme_of(const char **text)
{
	if (!strstr(*text, "://"))
		return &schemes[0];
	for (size_t i = 0; i < MF_ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i].prefix);

		if (strncmp(*text, schemes[i].prefix, n) != 0)
			continue;
		*text += n;
		return &schemes[i];
	}
	return NULL;
}

/* Cuts the text there; what is behind the character, or NULL if there is none. */
static char *cut_at(char *text, char at)
{
	char *p = strchr(text, at);

	if (!p)
		return NULL;
	*p = '\0';
	return p + 1;
}

/* What a request line can hold (RFC 3986, section 3.3 and 3.4). */
static const char *check_path(const char *path)
{
	enum { LONGEST = 255 };

	if (strlen(path) > LONGEST)
		return "the path is longer than 255 bytes";
	if (strstr(path, "{?dns}"))
		return "leave out {?dns}, questions are sent with POST";
	for (const char *p = path; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("\"<>\\^`{|}", *p))
			return "the path has a character that must be written as %XX";
	return NULL;
}

static const char *set_path(const struct scheme *s, const char *rest, struct mf_config_arena *arena,
			    struct mf_config_dns_server *out)
{
	size_t n = strlen(rest);
	char *path;

	if (s->scheme != MF_CONFIG_DNS_HTTPS)
		return "only https:// has a path";
	path = mf_config_arena_alloc(arena, n + 2);
	if (!path)
		return NULL;
	path[0] = '/';
	memcpy(path + 1, rest, n);
	out->path = path;
	return check_path(path);
}

static const char *set_host(const struct scheme *s, const struct mf_config_host *host,
			    struct mf_config_arena *arena, struct mf_config_dns_server *out)
{
	size_t n;

	out->port = host->port;
	if (host->is_addr) {
		out->addr[0] = host->addr;
		out->n_addrs = 1;
		return NULL;
	}
	if (!s->encrypted)
		return "only tls:// and https:// servers can have a name; give the address";
	if (!host->host)
		return NULL; /* out of memory */
	n = strlen(host->host);
	out->name = host->host[n - 1] == '.' ? mf_config_arena_text(arena, host->host, n - 1)
					     : host->host;
	return NULL;
}

static const char *set_name(const struct scheme *s, const char *name, struct mf_config_dns_server *out)
{
	const char *bad;

	if (!s->encrypted)
		return "only tls:// and https:// have a name behind #";
	if (out->name)
		return "the host has a name already; leave out # and what follows";
	bad = mf_value_hostname(name, strlen(name));
	if (bad)
		return "what stands behind # is not a host name";
	out->name = name;
	return NULL;
}

/* A copy to cut up; an IPv6 address alone, which is clear as it is, gets its brackets. */
static char *copy_of(const char *rest, bool alone, struct mf_config_arena *arena)
{
	size_t n = strlen(rest);
	struct mf_addr a;
	char *copy;

	if (!alone || mf_addr_parse(&a, rest) || a.family != MF_AF_IP6)
		return mf_config_arena_text(arena, rest, n);
	copy = mf_config_arena_alloc(arena, n + 3);
	if (!copy)
		return NULL;
	copy[0] = '[';
	memcpy(copy + 1, rest, n);
	copy[n + 1] = ']';
	return copy;
}

const char *mf_server_parse(const char *text, struct mf_config_arena *arena,
			    struct mf_config_dns_server *out)
{
	const char *rest = text, *bad;
	const struct scheme *s = scheme_of(&rest);
	struct mf_config_host host = { 0 };
	char *authority, *name, *path;

	*out = (struct mf_config_dns_server){ .text = text };
	if (!s)
		return "what stands before :// is none of udp, tcp, tls and https";
	out->scheme = s->scheme;
	out->path = s->scheme == MF_CONFIG_DNS_HTTPS ? "/dns-query" : NULL;
	authority = copy_of(rest, rest == text, arena);
	if (!authority)
		return NULL;
	name = cut_at(authority, '#');
	path = cut_at(authority, '/');
	bad = mf_value_host_port(authority, s->port, arena, &host);
	if (!bad && path)
		bad = set_path(s, path, arena, out);
	if (!bad)
		bad = set_host(s, &host, arena, out);
	if (!bad && name)
		bad = set_name(s, name, out);
	return bad;
}

const char *mf_server_bootstrap(struct mf_config_dns_server *s, const struct mf_addr *addr, uint32_t n)
{
	if (s->n_addrs)
		return "the server has its address in `url` already";
	if (n > MF_CONFIG_DNS_ADDRS)
		return "at most 4 addresses";
	for (uint32_t i = 0; i < n; i++)
		s->addr[i] = (struct mf_endpoint){ .addr = addr[i], .port = s->port };
	s->n_addrs = n;
	return NULL;
}

/* Its addresses are not in its text. */
static bool is_bootstrapped(const struct mf_config_dns_server *s)
{
	return s->n_addrs && s->name && !strchr(s->text, '#');
}

void mf_server_print(const struct mf_config_dns_server *s, struct mf_text *out)
{
	char addr[MF_ADDR_STRLEN];

	if (!is_bootstrapped(s)) {
		mf_value_print_scalar(s->text, out);
		return;
	}
	mf_text_printf(out, "{ url: ");
	mf_value_print_scalar(s->text, out);
	mf_text_printf(out, ", bootstrap: [");
	for (uint32_t i = 0; i < s->n_addrs; i++) {
		mf_text_printf(out, "%s", i ? ", " : "");
		mf_value_print_scalar(mf_addr_format(&s->addr[i].addr, addr), out);
	}
	mf_text_printf(out, "] }");
}
