/* SPDX-License-Identifier: Apache-2.0
 *
 * trojan - the protocol as trojan-gfw describes it: hash CRLF command target CRLF, with the first
 * payload behind it; a datagram is target, length, CRLF and payload.
 */
#include "proto/trojan/trojan.h"

#include "base/endian.h"
#include "crypto/digest.h"
#include "proto/http/head.h"
#include "proto/http/stranger.h"

enum {
	CONNECT = 1,
	UDP_ASSOCIATE = 3,
	CRLF_LEN = 2,
	REQUEST_MAX = MF_TROJAN_HASH_LEN + CRLF_LEN + 1 + MF_TARGET_LEN_MAX + CRLF_LEN,
	TLS_HANDSHAKE = 22, /* RFC 8446 5.1 */
};
static_assert((int)REQUEST_MAX <= (int)MF_CODEC_OUT_MIN, "the request fits in any room");

void mf_trojan_config_set(struct mf_trojan_config *c, const char *password)
{
	static const char digits[] = "0123456789abcdef";
	struct mf_span v = mf_span(password, strlen(password));
	uint8_t hash[MF_SHA224_LEN];

	mf_digest(MF_SHA224, &v, 1, hash);
	for (size_t i = 0; i < sizeof(hash); i++) {
		c->hash[2 * i] = digits[hash[i] >> 4];
		c->hash[2 * i + 1] = digits[hash[i] & 15];
	}
	mf_wipe(hash, sizeof(hash));
}

static struct mf_trojan *of(struct mf_codec *c)
{
	return MF_CONTAINER_OF(c, struct mf_trojan, codec);
}

static size_t put_crlf(uint8_t *out)
{
	memcpy(out, "\r\n", CRLF_LEN);
	return CRLF_LEN;
}

static size_t request_len(const struct mf_trojan *t)
{
	return MF_TROJAN_HASH_LEN + CRLF_LEN + 1 + mf_target_len(t->codec.to) + CRLF_LEN;
}

static size_t write_request(struct mf_trojan *t, uint8_t *out)
{
	size_t n = MF_TROJAN_HASH_LEN;

	memcpy(out, t->config->hash, n);
	n += put_crlf(out + n);
	out[n++] = t->udp ? UDP_ASSOCIATE : CONNECT;
	n += mf_target_put_socks(t->codec.to, out + n);
	n += put_crlf(out + n);
	t->codec.begun = true;
	return n;
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static bool begins_as_tls(const struct mf_span *v, size_t n)
{
	while (n && !v->n) {
		v++;
		n--;
	}
	return n && *v->p == TLS_HANDSHAKE;
}

static size_t seal(struct mf_codec *codec, const struct mf_span *v, size_t n, uint8_t *out,
		   size_t room, size_t *len)
{
	struct mf_trojan *t = of(codec);
	size_t head = 0, taken;

	if (!codec->begun) {
		t->tls = begins_as_tls(v, n);
		head = write_request(t, out);
		codec->raw_up = true;
	}
	taken = mf_codec_gather(v, n, out + head, room - head);
	*len = head + taken;
	return taken;
}

/* Who answers? Anything but HTTP comes from the target. */
static mf_err look(struct mf_trojan *t, struct mf_span in)
{
	mf_err e = mf_http_begins(in);

	if (t->tls && e != MF_E_MALFORMED)
		return mf_stranger(&t->codec, in);
	t->codec.proven = e == MF_E_MALFORMED;
	t->codec.raw_down = true;
	return MF_OK;
}

static mf_err open(struct mf_codec *codec, struct mf_codec_in *in, const struct mf_room *v,
		   size_t n, size_t *got)
{
	*got = 0;
	if (!codec->raw_down && in->n) {
		mf_err e = look(of(codec), mf_span(in->p, in->n));

		if (e)
			return e;
	}
	if (codec->raw_down)
		*got = mf_codec_scatter(in, v, n);
	return MF_OK;
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

static size_t seal_dgram(struct mf_codec *codec, const struct mf_proxy_target *to,
			 struct mf_span payload, uint8_t *out, size_t room)
{
	struct mf_trojan *t = of(codec);
	size_t head = codec->begun ? 0 : request_len(t);
	size_t n = head + mf_target_len(to) + 2 + CRLF_LEN + payload.n;

	if (payload.n > MF_TROJAN_DGRAM_MAX || n > room)
		return 0;
	if (head)
		out += write_request(t, out);
	out += mf_target_put_socks(to, out);
	mf_store_be16(out, (uint16_t)payload.n);
	out += 2 + put_crlf(out + 2);
	if (payload.n)
		memcpy(out, payload.p, payload.n);
	return n;
}

static mf_err open_dgram(struct mf_codec *codec, struct mf_codec_in *in, struct mf_span *payload,
			 struct mf_endpoint *from)
{
	struct mf_span all = mf_span(in->p, in->n);
	struct mf_proxy_target sender;
	size_t n = 0, len;
	mf_err e = mf_target_get_socks(all, &sender, &n);

	if (e == MF_E_MALFORMED) {
		e = codec->proven ? mf_codec_fail(codec, e, MF_PROXY_PROTOCOL)
				  : mf_stranger(codec, all);
		return e ? e : MF_E_SHORT;
	}
	if (e || in->n - n < 2 + CRLF_LEN)
		return MF_E_SHORT;
	if (memcmp(in->p + n + 2, "\r\n", CRLF_LEN) != 0)
		return mf_codec_fail(codec, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	len = mf_load_be16(in->p + n);
	n += 2 + CRLF_LEN;
	if (in->n - n < len)
		return MF_E_SHORT;
	codec->proven = true;
	*from = sender.addr;
	*payload = mf_span(in->p + n, len);
	mf_codec_skip(in, n + len);
	return MF_OK;
}

static const struct mf_codec_ops ops = {
	.name = "trojan",
	.ends_both = true,
	.dgram_any = true,
	.seal = seal,
	.open = open,
	.seal_dgram = seal_dgram,
	.open_dgram = open_dgram,
	.wipe = mf_codec_no_keys,
};

void mf_trojan_init(struct mf_trojan *t, const struct mf_trojan_config *cfg,
		    const struct mf_codec_env *env, const struct mf_proxy_target *to, bool udp)
{
	*t = (struct mf_trojan){
		.codec = { .ops = &ops, .env = env, .to = to },
		.config = cfg,
		.udp = udp,
	};
}
