/* SPDX-License-Identifier: Apache-2.0
 *
 * link_plain - links of SOCKS5, HTTP proxies and WireGuard.
 */
#include "config/base64.h"
#include "config/errors.h"
#include "config/link.h"
#include "config/value.h"

/* ---- SOCKS5, HTTP ---------------------------------------------------------------------------------- */

/* What base64 stands for, if that is text and has this character. */
static char *text_with(struct mf_link *l, const char *base64, char wanted)
{
	char *text = mf_link_unwrap(l, base64);

	return text && strchr(text, wanted) ? text : NULL;
}

/* "user:password", each with %XX; or base64 of that, as v2rayN writes it. */
static bool put_user(struct mf_link *l, const char *written)
{
	const char *plain = mf_uri_decode(l->arena, written), *user, *password;
	const char *text = written;
	char *cut, *colon;

	if (!plain)
		return mf_link_refuse(l, "what stands before the @ is no text");
	if (!*plain)
		return true;
	if (!strchr(plain, ':') && text_with(l, plain, ':'))
		text = text_with(l, plain, ':');
	cut = mf_config_arena_text(l->arena, text, strlen(text));
	colon = cut ? strchr(cut, ':') : NULL;
	if (colon)
		*colon = '\0';
	user = cut ? mf_uri_decode(l->arena, cut) : NULL;
	password = colon ? mf_uri_decode(l->arena, colon + 1) : NULL;
	if (user && *user)
		mf_link_put(l, "username", user);
	if (password && *password)
		mf_link_put(l, "password", password);
	return true;
}

/* Some put all of "user:password@host:port" into base64. */
static char *unwrap(struct mf_link *l, char *text)
{
	size_t n = strcspn(text, "#?");
	char *body, *plain;
	struct mf_text whole = { 0 };

	if (memchr(text, '@', n) || memchr(text, ':', n))
		return text;
	body = mf_config_arena_text(l->arena, text, n);
	plain = body ? text_with(l, body, ':') : NULL;
	if (!plain)
		return text;
	mf_text_printf(&whole, "%s%s", plain, text + n);
	plain = whole.s ? mf_config_arena_text(l->arena, whole.s, whole.len) : NULL;
	if (whole.s)
		mf_wipe(whole.s, whole.len);
	mf_text_free(&whole);
	return plain ? plain : text;
}

static bool plain_proxy(struct mf_link *l, char *text, const char *type, uint16_t port)
{
	struct mf_uri u;

	if (!mf_link_cut(l, unwrap(l, text), &u) || !mf_link_put_server(l, type, &u, port))
		return false;
	return !u.user || put_user(l, u.user);
}

bool mf_link_socks(struct mf_link *l, char *text)
{
	return plain_proxy(l, text, "socks5", 1080);
}

/* In a list of links there are often addresses of web pages, too. */
static bool is_page(struct mf_link *l, const char *text)
{
	char *copy = mf_config_arena_text(l->arena, text, strlen(text));
	struct mf_uri u;

	return copy && !mf_uri_cut(copy, &u) && (*u.path || (!u.user && !u.port));
}

static bool http_proxy(struct mf_link *l, char *text, bool tls)
{
	struct mf_link_transport t = { .security = "tls" };
	struct mf_uri u;

	text = unwrap(l, text);
	if (is_page(l, text))
		return mf_link_refuse(l, "it is the address of a web page, not of a proxy");
	if (tls) {
		char *copy = mf_config_arena_text(l->arena, text, strlen(text));

		if (!copy || mf_uri_cut(copy, &u))
			u = (struct mf_uri){ .query = "" };
		mf_link_transport_of(l, &u, &t);
		t = (struct mf_link_transport){ .security = "tls",
						.sni = t.sni,
						.insecure = t.insecure };
	}
	return plain_proxy(l, text, "http", tls ? 443 : 80) && (!tls || mf_link_put_transport(l, &t));
}

bool mf_link_http(struct mf_link *l, char *text)
{
	return http_proxy(l, text, false);
}

bool mf_link_https(struct mf_link *l, char *text)
{
	return http_proxy(l, text, true);
}

/* ---- WireGuard ------------------------------------------------------------------------------------- */

/* In either alphabet, with or without its =; as profiles have it. NULL: it is no key. */
static const char *key_of(struct mf_link *l, const char *text)
{
	char out[MF_KEY_BASE64_STRLEN];
	struct mf_key k;
	size_t n;
	char *bytes = text ? mf_base64_read(l->arena, text, strlen(text), &n) : NULL;
	const char *copy;

	if (!bytes || n != sizeof(k.b))
		return NULL;
	memcpy(k.b, bytes, sizeof(k.b));
	mf_key_to_base64(&k, out);
	copy = mf_config_arena_text(l->arena, out, strlen(out));
	mf_wipe(out, sizeof(out));
	mf_wipe(&k, sizeof(k));
	return copy;
}

static const char *first_param(struct mf_link *l, const struct mf_uri *u, const char *const *names)
{
	for (; *names; names++) {
		const char *value = mf_link_param(l, u, *names);

		if (value)
			return value;
	}
	return NULL;
}

/* The next of "a, b", behind which *list then is; NULL: there is none. */
static const char *next_entry(struct mf_link *l, const char **list)
{
	const char *p = *list, *one;
	size_t len;

	p += strspn(p, ", ");
	len = strcspn(p, ",");
	*list = p + len;
	while (len && p[len - 1] == ' ')
		len--;
	one = mf_config_arena_text(l->arena, p, len);
	return one && *one ? one : NULL;
}

/* "10.0.0.2/32,fd00::2/128" */
static void put_addresses(struct mf_link *l, const char *list)
{
	unsigned n = 0;
	const char *one;

	mf_text_printf(&l->yaml, "    address: [");
	while ((one = next_entry(l, &list))) {
		mf_text_printf(&l->yaml, n++ ? ", " : "");
		mf_value_print_scalar(one, &l->yaml);
	}
	mf_text_printf(&l->yaml, "]\n");
}

/* As wg(8) takes them, with bits behind their length; without any, everything goes there. */
static bool put_allowed_ips(struct mf_link *l, const struct mf_uri *u)
{
	static const char *const names[] = { "allowedips", "allowed_ips", NULL };
	const char *list = first_param(l, u, names), *one;
	char quoted[MF_CONFIG_QUOTE_LEN], text[MF_PREFIX_STRLEN];
	struct mf_prefix prefix;
	unsigned n = 0;

	if (!list) {
		mf_text_printf(&l->yaml, "        allowed_ips: [0.0.0.0/0, \"::/0\"]\n");
		return true;
	}
	mf_text_printf(&l->yaml, "        allowed_ips: [");
	for (; (one = next_entry(l, &list)); n++) {
		if (mf_prefix_parse(&prefix, one))
			return mf_link_refuse(l, "`allowedips`: %s is not a prefix",
					      mf_config_quote(one, quoted));
		prefix = mf_prefix_mask(prefix);
		mf_text_printf(&l->yaml, n ? ", " : "");
		mf_value_print_scalar(mf_prefix_format(&prefix, text), &l->yaml);
	}
	mf_text_printf(&l->yaml, "]\n");
	return n || mf_link_refuse(l, "`allowedips` has no prefix in it");
}

static void put_keepalive(struct mf_link *l, const struct mf_uri *u)
{
	static const char *const names[] = { "keepalive", "persistentKeepalive",
					     "persistent_keepalive", NULL };
	const char *keepalive = first_param(l, u, names);
	uint64_t n;

	if (!keepalive)
		return;
	if (mf_value_number(keepalive, &n) && n <= 65535)
		mf_text_printf(&l->yaml, "        persistent_keepalive: %u\n", (unsigned)n);
	else
		mf_link_note(l, "`keepalive` is not taken over: it is not 0..65535");
}

static bool put_peer(struct mf_link *l, const struct mf_uri *u, const char *public_key,
		     const char *psk)
{
	struct mf_text endpoint = { 0 };

	mf_text_printf(&l->yaml, "    peers:\n      - public_key: \"%s\"\n", public_key);
	if (psk)
		mf_text_printf(&l->yaml, "        preshared_key: \"%s\"\n", psk);
	mf_text_printf(&endpoint, strchr(l->host, ':') ? "[%s]:%u" : "%s:%u", l->host, u->port);
	mf_text_printf(&l->yaml, "        endpoint: ");
	mf_value_print_scalar(endpoint.s ? endpoint.s : "", &l->yaml);
	l->yaml.failed |= endpoint.failed;
	mf_text_free(&endpoint);
	mf_text_printf(&l->yaml, "\n");
	if (!put_allowed_ips(l, u))
		return false;
	put_keepalive(l, u);
	return true;
}

static void put_mtu(struct mf_link *l, const struct mf_uri *u)
{
	const char *mtu = mf_link_param(l, u, "mtu");
	uint64_t n;

	if (!mtu)
		return;
	if (!mf_value_number(mtu, &n))
		mf_link_note(l, "`mtu` is not taken over: it is no number");
	else if (n)
		mf_text_printf(&l->yaml, "    mtu: %llu\n", (unsigned long long)n);
}

static void note_left_out(struct mf_link *l, const struct mf_uri *u)
{
	static const char *const ports[] = { "listenport", "listen_port", NULL };
	const char *reserved = mf_link_param(l, u, "reserved");
	const char *port = first_param(l, u, ports);

	if (mf_link_param(l, u, "dns"))
		mf_link_note(l, "`dns` is not taken over: who is asked for names stands in the "
				"profile's `dns`");
	if (port && strcmp(port, "0") != 0)
		mf_link_note(l, "`listenport` is not taken over: the system chooses a port; write "
				"`listen_port` if it must be that one");

	if (reserved && strcmp(reserved, "0,0,0") != 0 && strcmp(reserved, "AAAA") != 0)
		mf_link_note(l,
			     "`reserved` is not taken over: this version sends zeros there, as "
			     "WireGuard says; a server that wants something else does not answer");
}

bool mf_link_wireguard(struct mf_link *l, char *text)
{
	static const char *const publics[] = { "publickey", "public_key", "peer_public_key", NULL };
	static const char *const psks[] = { "presharedkey", "preshared_key", "pre_shared_key", NULL };
	static const char *const addresses[] = { "address", "ip", "local_address", NULL };
	const char *own, *public_key, *psk, *address;
	struct mf_uri u;

	if (!mf_link_cut(l, text, &u))
		return false;
	own = u.user ? mf_uri_decode(l->arena, u.user) : mf_link_param(l, &u, "privatekey");
	own = key_of(l, own);
	public_key = key_of(l, first_param(l, &u, publics));
	psk = first_param(l, &u, psks);
	address = first_param(l, &u, addresses);
	if (!own || !public_key)
		return mf_link_refuse(l, "its %s key is not 32 bytes in base64",
				      own ? "public" : "private");
	if (psk && !key_of(l, psk))
		return mf_link_refuse(l, "its preshared key is not 32 bytes in base64");
	if (!u.port)
		u.port = 51820;
	if (!mf_link_take_host(l, &u))
		return false;
	mf_link_put(l, "type", "wireguard");
	mf_link_put(l, "private_key", own);
	if (address)
		put_addresses(l, address);
	put_mtu(l, &u);
	if (!put_peer(l, &u, public_key, psk ? key_of(l, psk) : NULL))
		return false;
	note_left_out(l, &u);
	return true;
}
