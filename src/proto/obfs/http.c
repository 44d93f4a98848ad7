/* SPDX-License-Identifier: Apache-2.0
 *
 * http - a request to become a WebSocket, with the first payload for a body; behind the heads bytes
 * go as they are.
 */
#include "proto/obfs/internal.h"

#include <stdio.h>

#include "base/base64.h"
#include "proto/http/head.h"

enum {
	HTTP_PORT = 80,
	KEY_LEN = 16, /* RFC 6455 4.1 */
	KEY_TEXT_LEN = 24,
	/* What is always in it takes less than 256 bytes. */
	HEAD_MAX = MF_OBFS_PATH_MAX + MF_OBFS_HOST_MAX + 256,
};
static_assert((int)HEAD_MAX < (int)MF_CODEC_OUT_MIN, "head and payload fit in any room");

/* The key as a client of RFC 6455 makes it, and a User-Agent like that of the program. `body`:
 * bytes of payload. */
static size_t write_head(const struct mf_obfs *o, size_t body, char *out)
{
	const struct mf_obfs_config *cfg = o->config;
	const struct mf_rng *rng = &o->codec.env->rng;
	char key[KEY_TEXT_LEN + 1], port[sizeof(":65535")] = "";
	uint8_t nonce[KEY_LEN];

	rng->fill(rng->ctx, nonce, sizeof(nonce));
	key[mf_base64_encode(mf_span(nonce, sizeof(nonce)), key)] = '\0';
	if (cfg->port != HTTP_PORT)
		snprintf(port, sizeof(port), ":%u", cfg->port);
	return (size_t)snprintf(out, HEAD_MAX,
				"GET %s HTTP/1.1\r\n"
				"Host: %s%s\r\n"
				"User-Agent: curl/7.88.1\r\n"
				"Upgrade: websocket\r\n"
				"Connection: Upgrade\r\n"
				"Sec-WebSocket-Key: %s\r\n"
				"Content-Length: %zu\r\n\r\n",
				cfg->path ? cfg->path : "/", cfg->host, port, key, body);
}

static size_t sum(const struct mf_span *v, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += v[i].n;
	return bytes;
}

static size_t seal(struct mf_codec *codec, const struct mf_span *v, size_t n, uint8_t *out,
		   size_t room, size_t *len)
{
	size_t head = 0, taken;

	if (!codec->begun) {
		room = mf_min(room - HEAD_MAX, sum(v, n));
		head = write_head(mf_obfs_of(codec), room, (char *)out);
		codec->begun = codec->raw_up = true;
	}
	taken = mf_codec_gather(v, n, out + head, room);
	*len = head + taken;
	return taken;
}

static mf_err open(struct mf_codec *codec, struct mf_codec_in *in, const struct mf_room *v,
		   size_t n, size_t *got)
{
	*got = 0;
	if (!codec->raw_down) {
		struct mf_http_head h;
		mf_err e = mf_http_head_parse(mf_span(in->p, in->n), &h);

		if (e == MF_E_SHORT)
			return MF_OK;
		if (e || h.status != 101)
			return mf_codec_fail(codec, MF_E_MALFORMED, MF_PROXY_TRANSPORT);
		mf_codec_skip(in, h.n);
		codec->raw_down = true;
	}
	*got = mf_codec_scatter(in, v, n);
	return MF_OK;
}

const struct mf_codec_ops mf_obfs_http = {
	.name = "obfs-http",
	.seal = seal,
	.open = open,
	.wipe = mf_codec_no_keys,
};
