/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake - how a WebSocket begins (RFC 6455 4.1): a GET request with a key, and an answer that
 * shows that the server has understood it. Early data is v2ray's: the first payload in a field, or
 * behind the path.
 */
#include "base/base64.h"
#include "crypto/digest.h"
#include "proto/websocket/websocket.h"

#include <strings.h>

static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
static const char PROTOCOL[] = "Sec-WebSocket-Protocol";

/* Text that is written as long as there is room for all of it. */
struct text {
	char *p;
	size_t n, room;
	bool full;
};

static void put(struct text *t, const void *p, size_t n)
{
	t->full = t->full || n > t->room - t->n;
	if (t->full)
		return;
	memcpy(t->p + t->n, p, n);
	t->n += n;
}

static void put_text(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void put_field(struct text *t, const char *name, const char *value)
{
	MF_ASSERT(!strpbrk(name, "\r\n") && !strpbrk(value, "\r\n"));
	put_text(t, name);
	put_text(t, ": ");
	put_text(t, value);
	put_text(t, "\r\n");
}

/* What cannot stand in a request's line is percent-encoded (RFC 3986 2.1). */
static void put_path(struct text *t, const char *path)
{
	static const char hex[16] = "0123456789ABCDEF";

	for (const char *p = path; *p; p++) {
		uint8_t c = (uint8_t)*p;
		char code[3] = { '%', hex[c >> 4], hex[c & 15] };

		if (c > ' ' && c < 0x7f)
			put(t, p, 1);
		else
			put(t, code, sizeof(code));
	}
}

static size_t key_text(const uint8_t key[MF_WS_KEY_LEN], char *out)
{
	return mf_base64_encode(mf_span(key, MF_WS_KEY_LEN), out);
}

static void put_key(struct text *t, const struct mf_ws *w)
{
	char key[32];
	size_t n = key_text(w->key, key);

	put_text(t, "Sec-WebSocket-Key: ");
	put(t, key, n);
	put_text(t, "\r\n");
}

static void put_early(struct text *t, struct mf_span early)
{
	char text[(MF_WS_EARLY_MAX + 2) / 3 * 4];

	put(t, text, mf_base64url_encode(early, text));
}

void mf_ws_init(struct mf_ws *w, const struct mf_ws_config *cfg, const struct mf_codec_env *env)
{
	*w = (struct mf_ws){ .config = cfg, .env = env };
	env->rng.fill(env->rng.ctx, w->key, sizeof(w->key));
}

size_t mf_ws_request(struct mf_ws *w, struct mf_span early, uint8_t *out, size_t room, size_t *taken)
{
	const struct mf_ws_config *cfg = w->config;
	struct text t = { .p = (char *)out, .room = room };
	bool in_field = cfg->early_header && *cfg->early_header;

	early.n = mf_min(early.n, mf_min(cfg->early_data, MF_WS_EARLY_MAX));
	put_text(&t, "GET ");
	put_path(&t, cfg->path);
	if (early.n && !in_field)
		put_early(&t, early);
	put_text(&t, " HTTP/1.1\r\n");
	put_field(&t, "Host", cfg->host);
	put_field(&t, "Upgrade", "websocket");
	put_field(&t, "Connection", "Upgrade");
	put_key(&t, w);
	put_field(&t, "Sec-WebSocket-Version", "13");
	for (uint32_t i = 0; i < cfg->n_headers; i++)
		put_field(&t, cfg->headers[i].name, cfg->headers[i].value);
	if (early.n && in_field) {
		put_text(&t, cfg->early_header);
		put_text(&t, ": ");
		put_early(&t, early);
		put_text(&t, "\r\n");
	}
	put_text(&t, "\r\n");
	w->early_sent = early.n && in_field;
	*taken = t.full ? 0 : early.n;
	return t.full ? 0 : t.n;
}

/* ---- The answer ------------------------------------------------------------------------------ */

static mf_err broken(struct mf_ws *w, enum mf_proxy_fault fault, const char *detail)
{
	w->fault = (uint8_t)fault;
	w->detail = detail;
	return MF_E_MALFORMED;
}

/* Is this what the server must make of our key (RFC 6455 4.2.2)? */
static bool accepts(const struct mf_ws *w, struct mf_span field)
{
	uint8_t digest[MF_SHA1_LEN];
	struct mf_span parts[2];
	char key[32], want[32];
	size_t n;

	parts[0] = mf_span(key, key_text(w->key, key));
	parts[1] = mf_span(GUID, sizeof(GUID) - 1);
	mf_digest(MF_SHA1, parts, 2, digest);
	n = mf_base64_encode(mf_span(digest, sizeof(digest)), want);
	return field.p && field.n == n && memcmp(field.p, want, n) == 0;
}

/* Have we named subprotocols? A server may choose one only then. */
static bool offers_protocol(const struct mf_ws *w)
{
	const struct mf_ws_config *cfg = w->config;

	for (uint32_t i = 0; i < cfg->n_headers; i++)
		if (strcasecmp(cfg->headers[i].name, PROTOCOL) == 0)
			return true;
	return w->early_sent && strcasecmp(cfg->early_header, PROTOCOL) == 0;
}

/* RFC 6455 4.1, the client's checks 2 to 6. */
static mf_err check(struct mf_ws *w, const struct mf_http_head *h)
{
	if (!mf_http_field_has(h, "Upgrade", "websocket"))
		return broken(w, MF_PROXY_TRANSPORT, "the answer has no `Upgrade: websocket`");
	if (!mf_http_field_has(h, "Connection", "Upgrade"))
		return broken(w, MF_PROXY_TRANSPORT, "the answer has no `Connection: Upgrade`");
	if (!accepts(w, mf_http_field(h, "Sec-WebSocket-Accept")))
		return broken(w, MF_PROXY_TRANSPORT, "Sec-WebSocket-Accept is not for our key");
	if (mf_http_field(h, "Sec-WebSocket-Extensions").p)
		return broken(w, MF_PROXY_TRANSPORT, "the answer wants an extension");
	if (mf_http_field(h, PROTOCOL).p && !offers_protocol(w))
		return broken(w, MF_PROXY_TRANSPORT, "the answer wants a subprotocol");
	return MF_OK;
}

/* How far the server's clock is ahead of ours; more than 68 years are not believed. */
static void note_date(struct mf_ws *w, const struct mf_http_head *h)
{
	int64_t skew;
	uint64_t date;

	if (!mf_http_date(h, &date))
		return;
	skew = (int64_t)(date - w->env->wall(w->env->ctx));
	w->skew_known = skew >= INT32_MIN && skew <= INT32_MAX;
	if (w->skew_known)
		w->skew = (int32_t)skew;
}

mf_err mf_ws_answer(struct mf_ws *w, struct mf_codec_in *in)
{
	struct mf_http_head h;
	mf_err err = mf_http_head_parse(mf_span(in->p, in->n), &h);

	if (err == MF_E_SHORT)
		return err;
	if (err)
		return broken(w, MF_PROXY_TRANSPORT,
			      err == MF_E_RANGE ? "the answer is too long" : "the answer is no HTTP");
	w->status = h.status;
	note_date(w, &h);
	if (h.status != 101)
		return broken(w, MF_PROXY_HTTP_STATUS, NULL);
	err = check(w, &h);
	if (err)
		return err;
	w->upgraded = true;
	mf_codec_skip(in, h.n);
	return MF_OK;
}
