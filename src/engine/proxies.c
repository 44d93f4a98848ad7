/* SPDX-License-Identifier: Apache-2.0
 *
 * proxies - interfaces of a profile that are proxies, made into what the workers want: a struct
 * mf_proxy_config with everything copied, resolved and derived. An interface that a new profile
 * leaves as it is keeps the one it has, so its sessions notice nothing; a fingerprint of all that
 * was written tells.
 */
#include "engine/internal.h"

#include <stdlib.h>

#include "crypto/siphash.h"

void mf_fold(uint64_t *sum, const void *p, size_t n)
{
	uint8_t key[MF_SIPHASH_KEY_LEN] = { 0 };

	memcpy(key, sum, sizeof(*sum));
	*sum = mf_siphash(key, p, n);
}

/* ---- What was written ------------------------------------------------------------------------ */

static void fold_text(uint64_t *sum, const char *text)
{
	mf_fold(sum, text ? text : "", text ? strlen(text) + 1 : 0);
}

static void fold_tls(uint64_t *sum, const struct mf_config_tls *t)
{
	const bool flags[] = { t->enabled, t->insecure, t->session_resumption, t->pin_sha256 };

	mf_fold(sum, flags, sizeof(flags));
	fold_text(sum, t->server_name);
	for (uint32_t i = 0; i < t->n_alpn; i++)
		fold_text(sum, t->alpn[i]);
	mf_fold(sum, t->ca_pem.p, t->ca_pem.n);
	mf_fold(sum, t->pin, sizeof(t->pin));
}

static void fold_websocket(uint64_t *sum, const struct mf_config_websocket *w)
{
	mf_fold(sum, &w->enabled, sizeof(w->enabled));
	fold_text(sum, w->path);
	fold_text(sum, w->host);
	for (uint32_t i = 0; i < w->n_headers; i++) {
		fold_text(sum, w->headers[i].name);
		fold_text(sum, w->headers[i].value);
	}
	mf_fold(sum, &w->early_data, sizeof(w->early_data));
	fold_text(sum, w->early_data_header);
}

static uint32_t via_of(const struct mf_config_interface *ci, const uint32_t *hop_of)
{
	return ci->via_interface ? hop_of[ci->via_index] : MF_HOP_ID_DIRECT;
}

static bool is_via_proxy(const struct mf_config *cfg, const struct mf_config_interface *ci)
{
	return ci->via_interface && mf_config_is_proxy(cfg->interfaces[ci->via_index].type);
}

uint64_t mf_proxy_fingerprint(const struct mf_config *cfg, uint32_t index, const uint32_t *hop_of)
{
	const struct mf_config_interface *ci = &cfg->interfaces[index];
	const uint32_t numbers[] = {
		(uint32_t)ci->type,        ci->server.port,       ci->udp,
		via_of(ci, hop_of),        is_via_proxy(cfg, ci), ci->connect_timeout_ms,
		ci->first_byte_timeout_ms, ci->global_padding,    ci->authenticated_length,
		ci->obfs.enabled,          ci->obfs.mode,
	};
	const char *const texts[] = {
		ci->name, ci->server.host, ci->method,    ci->username,  ci->password,
		ci->uuid, ci->security,    ci->obfs.host, ci->obfs.path,
	};
	uint64_t sum = 0;

	mf_fold(&sum, numbers, sizeof(numbers));
	for (size_t i = 0; i < MF_ARRAY_LEN(texts); i++)
		fold_text(&sum, texts[i]);
	fold_tls(&sum, &ci->tls);
	fold_websocket(&sum, &ci->websocket);
	return sum;
}

/* ---- What becomes of it ---------------------------------------------------------------------- */

/* A copy of a text, or NULL for NULL; out of memory: *failed. */
static const char *copy(const char *text, bool *failed)
{
	char *c = text ? strdup(text) : NULL;

	*failed |= text && !c;
	return c;
}

static mf_err fill_protocol(struct mf_proxy_config *c, const struct mf_config_interface *ci,
			    struct mf_errbuf *eb)
{
	enum mf_ss_method method = 0;
	enum mf_vmess_security security = 0;
	uint8_t uuid[MF_UUID_LEN];

	switch (c->type) {
	case MF_PROXY_SHADOWSOCKS:
		if (!mf_ss_method_find(ci->method, &method))
			return MF_E_MALFORMED;
		return mf_ss_config_set(&c->ss, method, ci->password, eb);
	case MF_PROXY_VMESS:
		if (!mf_vmess_security_find(ci->security, &security) ||
		    mf_uuid_parse(uuid, ci->uuid, NULL))
			return MF_E_MALFORMED;
		c->vmess.security = (uint8_t)security;
		c->vmess.global_padding = ci->global_padding;
		c->vmess.authenticated_length = ci->authenticated_length;
		mf_vmess_config_set_uuid(&c->vmess, uuid);
		mf_wipe(uuid, sizeof(uuid));
		return MF_OK;
	case MF_PROXY_VLESS:
		return mf_uuid_parse(c->vless.uuid, ci->uuid, NULL);
	case MF_PROXY_TROJAN:
		mf_trojan_config_set(&c->trojan, ci->password);
		return MF_OK;
	default:
		return MF_OK;
	}
}

/* The bytes of a text that the profile has seen to it is not too long; returns how many. */
static size_t put(void *to, size_t room, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	MF_ASSERT(n <= room);
	memcpy(to, text ? text : "", n);
	return n;
}

static void fill_login(struct mf_proxy_config *c, const struct mf_config_interface *ci)
{
	struct mf_socks5_config *s = &c->socks5;
	struct mf_connect_config *h = &c->http;

	if (c->type == MF_PROXY_SOCKS5) {
		s->user_n = (uint8_t)put(s->user, sizeof(s->user), ci->username);
		s->password_n = (uint8_t)put(s->password, sizeof(s->password), ci->password);
	} else if (c->type == MF_PROXY_HTTP) {
		h->user_n = (uint16_t)put(h->user, sizeof(h->user), ci->username);
		h->password_n = (uint16_t)put(h->password, sizeof(h->password), ci->password);
	}
}

/* "\x02h2\x08http/1.1"; NULL: none, or (*failed) out of memory. */
static const char *alpn(const struct mf_config_interface *ci, bool *failed)
{
	/* In a WebSocket, or in front of a web server, another choice would break it. */
	bool http = ci->websocket.enabled || ci->type == MF_CONFIG_HTTP ||
		    ci->type == MF_CONFIG_TROJAN;
	struct mf_text t = { 0 };

	if (!ci->tls.n_alpn)
		return http ? copy("\x08http/1.1", failed) : NULL;
	for (uint32_t i = 0; i < ci->tls.n_alpn; i++)
		mf_text_printf(&t, "%c%s", (int)strlen(ci->tls.alpn[i]), ci->tls.alpn[i]);
	*failed |= t.failed;
	return t.s;
}

static const char *first_text(const char *a, const char *b, const char *c)
{
	return a ? a : b ? b : c;
}

/* The system's authorities are read once, for all. NULL: `o` wants others, or there are none. */
static const struct mf_tls_context *system_authorities(struct mf_engine *e,
						       const struct mf_tls_options *o)
{
	static const struct mf_tls_options system;

	if (o->ca_pem.p || o->insecure || o->pinned)
		return NULL;
	if (!e->authorities && mf_tls_context_new(&e->authorities, &system, NULL))
		e->authorities = NULL;
	return e->authorities;
}

static mf_err fill_tls(struct mf_engine *e, struct mf_proxy_config *c,
		       const struct mf_config_interface *ci, struct mf_errbuf *eb)
{
	struct mf_tls_options o = {
		.ca_pem = ci->tls.ca_pem,
		.session_reuse = ci->tls.session_resumption,
		.insecure = ci->tls.insecure,
		.pinned = ci->tls.pin_sha256,
	};
	bool failed = false;
	mf_err err = MF_OK;

	if (!ci->tls.enabled)
		return MF_OK;
	memcpy(o.pin_sha256, ci->tls.pin, sizeof(o.pin_sha256));
	c->tls_name = copy(first_text(ci->tls.server_name, ci->websocket.host_name, ci->server.host),
			   &failed);
	c->tls_alpn = alpn(ci, &failed);
	c->tls = calloc(e->n_workers, sizeof(*c->tls));
	if (failed || !c->tls)
		return MF_E_NO_MEMORY;
	c->n_tls = e->n_workers;
	o.share = system_authorities(e, &o);
	for (uint32_t i = 0; i < c->n_tls && !err; i++) {
		err = mf_tls_context_new(&c->tls[i], &o, eb);
		o.share = c->tls[0];
	}
	return err;
}

/* Host, and the port unless a browser would leave it out, too. */
static const char *own_host(const struct mf_config_interface *ci, bool *failed)
{
	const struct mf_config_host *h = &ci->server;
	bool ip6 = h->is_addr && h->addr.addr.family == MF_AF_IP6;
	struct mf_text t = { 0 };

	mf_text_printf(&t, ip6 ? "[%s]" : "%s", h->host);
	if (h->port != (ci->tls.enabled ? 443 : 80))
		mf_text_printf(&t, ":%u", h->port);
	*failed |= t.failed;
	return t.s;
}

static mf_err fill_websocket(struct mf_proxy_config *c, const struct mf_config_interface *ci)
{
	const struct mf_config_websocket *w = &ci->websocket;
	const char *host = first_text(w->host, ci->tls.server_name, NULL);
	bool failed = false;

	c->websocket = w->enabled;
	if (!w->enabled)
		return MF_OK;
	c->ws.host = host ? copy(host, &failed) : own_host(ci, &failed);
	c->ws.path = copy(w->path, &failed);
	c->ws.early_data = w->early_data;
	c->ws.early_header = copy(w->early_data_header ? w->early_data_header : "", &failed);
	c->ws.headers = calloc(w->n_headers + 1, sizeof(*c->ws.headers));
	for (uint32_t i = 0; c->ws.headers && i < w->n_headers; i++) {
		c->ws.headers[i].name = copy(w->headers[i].name, &failed);
		c->ws.headers[i].value = copy(w->headers[i].value, &failed);
		c->ws.n_headers++;
	}
	return failed || !c->ws.headers ? MF_E_NO_MEMORY : MF_OK;
}

static mf_err fill_obfs(struct mf_proxy_config *c, const struct mf_config_interface *ci)
{
	static const enum mf_obfs_mode mode_of[] = {
		[MF_CONFIG_OBFS_HTTP] = MF_OBFS_HTTP, [MF_CONFIG_OBFS_TLS] = MF_OBFS_TLS
	};
	bool failed = false;

	if (!ci->obfs.enabled)
		return MF_OK;
	c->obfs.mode = (uint8_t)mode_of[ci->obfs.mode];
	c->obfs.port = ci->server.port;
	c->obfs.host = copy(ci->obfs.host ? ci->obfs.host : ci->server.host, &failed);
	c->obfs.path = copy(ci->obfs.path, &failed);
	return failed ? MF_E_NO_MEMORY : MF_OK;
}

static enum mf_proxy_type type_of(enum mf_config_type t)
{
	static const enum mf_proxy_type types[MF_CONFIG_TYPES] = {
		[MF_CONFIG_SHADOWSOCKS] = MF_PROXY_SHADOWSOCKS,
		[MF_CONFIG_VMESS] = MF_PROXY_VMESS,
		[MF_CONFIG_VLESS] = MF_PROXY_VLESS,
		[MF_CONFIG_TROJAN] = MF_PROXY_TROJAN,
		[MF_CONFIG_SOCKS5] = MF_PROXY_SOCKS5,
		[MF_CONFIG_HTTP] = MF_PROXY_HTTP,
	};

	return types[t];
}

static mf_err fill(struct mf_engine *e, struct mf_proxy_config *c,
		   const struct mf_config_interface *ci, struct mf_errbuf *eb)
{
	static const enum mf_proxy_udp udp_of[] = {
		[MF_CONFIG_UDP_PROXY] = MF_PROXY_UDP_PROXY,
		[MF_CONFIG_UDP_DIRECT] = MF_PROXY_UDP_DIRECT,
		[MF_CONFIG_UDP_DROP] = MF_PROXY_UDP_DROP,
		[MF_CONFIG_UDP_REJECT] = MF_PROXY_UDP_REJECT,
	};
	bool failed = false;
	mf_err err;

	memcpy(c->name, ci->name, strlen(ci->name) + 1);
	c->type = (uint8_t)type_of(ci->type);
	c->udp = (uint8_t)udp_of[ci->udp];
	c->addr = ci->server.addr;
	c->addr.port = ci->server.port;
	if (!ci->server.is_addr)
		c->server = copy(ci->server.host, &failed);
	c->connect_timeout = ci->connect_timeout_ms * MF_MSEC;
	c->first_byte_timeout = ci->first_byte_timeout_ms * MF_MSEC;
	if (failed)
		return MF_E_NO_MEMORY;
	fill_login(c, ci);
	err = fill_protocol(c, ci, eb);
	if (!err)
		err = fill_tls(e, c, ci, eb);
	if (!err)
		err = fill_websocket(c, ci);
	return err ? err : fill_obfs(c, ci);
}

mf_err mf_proxy_make(struct mf_engine *e, const struct mf_config *cfg, uint32_t index,
		     const uint32_t *hop_of, struct mf_proxy_config **out, struct mf_errbuf *eb)
{
	const struct mf_config_interface *ci = &cfg->interfaces[index];
	struct mf_errbuf why = { .text = "" };
	struct mf_proxy_config *c;
	mf_err err;

	*out = NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return mf_fail(eb, MF_E_NO_MEMORY, "interface %s: not enough memory", ci->name);
	c->refs = 1;
	c->id = ++e->proxies_made;
	c->via = via_of(ci, hop_of);
	c->via_proxy = is_via_proxy(cfg, ci);
	err = fill(e, c, ci, &why);
	if (err) {
		mf_proxy_config_unref(c);
		return mf_fail(eb, err, "interface %s: %s", ci->name,
			       *why.text ? why.text : mf_err_text(err));
	}
	*out = c;
	return MF_OK;
}

/* ---- Names of servers ------------------------------------------------------------------------ */

/* Tags of host.resolve: those of peers begin with an index far below this. */
#define PROXY_TAG (1ull << 63)

/* Whose tag this is; NULL: nobody's, any more. */
static const struct mf_iface *asker(const struct mf_engine *e, uint64_t tag)
{
	for (uint32_t i = 0; i < e->n_ifaces; i++)
		if (e->ifaces[i]->proxy && (PROXY_TAG | e->ifaces[i]->proxy->id) == tag)
			return e->ifaces[i];
	return NULL;
}

void mf_proxy_resolve(struct mf_engine *e, uint32_t hop)
{
	const struct mf_proxy_config *c = hop < e->snap->n_hops ? e->snap->hop[hop].proxy : NULL;

	if (!c || !c->server || c->via_proxy)
		return;
	if (e->host.resolve)
		e->host.resolve(e->host.ctx, c->server, c->addr.port, PROXY_TAG | c->id);
	else
		mf_proxy_resolved_tag(e, PROXY_TAG | c->id, NULL, 0);
}

bool mf_engine_asks_for_proxy(uint64_t tag)
{
	return tag & PROXY_TAG;
}

bool mf_engine_asks(const struct mf_engine *e, uint64_t tag)
{
	struct mf_wg_peer_ref ref = { (uint32_t)(tag >> 32), (uint32_t)tag };

	return mf_engine_asks_for_proxy(tag) ? asker(e, tag) != NULL
					     : mf_wg_peer_by_ref(e->wg, ref) != NULL;
}

bool mf_proxy_resolved_tag(struct mf_engine *e, uint64_t tag, const struct mf_endpoint *addr, size_t n)
{
	const struct mf_iface *f = asker(e, tag);
	struct mf_order o = { .kind = MF_ORDER_PROXY_ADDRS };

	if (!f)
		return tag & PROXY_TAG;
	o.proxy = (struct mf_proxy_addrs){
		.id = f->proxy->id,
		.hop = f->wg.hop,
		.n = (uint32_t)mf_min(n, MF_PROXY_ADDRS_MAX),
	};
	for (size_t i = 0; i < o.proxy.n; i++)
		o.proxy.addr[i] = addr[i].addr;
	for (unsigned i = 0; i < e->n_workers; i++)
		mf_engine_order(e, i, &o);
	return true;
}

/* ---- Telling --------------------------------------------------------------------------------- */

bool mf_engine_proxy(const struct mf_engine *e, uint32_t hop, struct mf_proxy_report *out)
{
	*out = (struct mf_proxy_report){ 0 };
	if (hop >= e->snap->n_hops || hop >= MF_HOST_HOPS || !e->snap->hop[hop].proxy)
		return false;
	for (unsigned i = 0; i < e->n_workers; i++) {
		const struct mf_proxies *x =
			__atomic_load_n(&e->workers[i]->proxies, __ATOMIC_ACQUIRE);

		if (x)
			mf_proxy_report_add(out, &x->health[hop]);
	}
	return true;
}
