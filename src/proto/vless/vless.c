/* SPDX-License-Identifier: Apache-2.0
 *
 * vless - version, UUID, addons, command and target, with the first payload behind them; the answer
 * begins with version and addons. Datagrams follow with their length.
 */
#include "proto/vless/vless.h"

#include "base/endian.h"
#include "proto/http/stranger.h"

enum {
	VERSION = 0,
	TCP = 1,
	UDP = 2,
	REQUEST_MAX = 1 + MF_UUID_LEN + 1 + 1 + MF_TARGET_LEN_MAX,
	ANSWER_LEN = 2, /* version, length of addons */
};
static_assert((int)REQUEST_MAX <= (int)MF_CODEC_OUT_MIN, "the request fits in any room");

static struct mf_vless *of(struct mf_codec *c)
{
	return MF_CONTAINER_OF(c, struct mf_vless, codec);
}

static size_t request_len(const struct mf_vless *v)
{
	return 1 + MF_UUID_LEN + 1 + 1 + mf_target_len(v->codec.to);
}

static size_t write_request(struct mf_vless *v, uint8_t *out)
{
	size_t n = 0;

	out[n++] = VERSION;
	memcpy(out + n, v->config->uuid, MF_UUID_LEN);
	n += MF_UUID_LEN;
	out[n++] = 0; /* no addons */
	out[n++] = v->udp ? UDP : TCP;
	v->codec.begun = true;
	return n + mf_target_put_v2(v->codec.to, out + n);
}

/* Takes the header of the answer off; true: all of it has come. */
static bool hear(struct mf_vless *v, struct mf_codec_in *in, mf_err *e)
{
	*e = MF_OK;
	while (v->heard < ANSWER_LEN && in->n) {
		if (!v->heard && *in->p != VERSION) {
			*e = mf_stranger(&v->codec, mf_span(in->p, in->n));
			return false;
		}
		v->addons = *in->p;
		v->heard++;
		mf_codec_skip(in, 1);
	}
	if (v->heard == ANSWER_LEN) {
		uint8_t n = (uint8_t)mf_min(in->n, v->addons);

		mf_codec_skip(in, n);
		v->addons = (uint8_t)(v->addons - n);
		v->codec.proven = true;
	}
	return v->heard == ANSWER_LEN && !v->addons;
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static size_t seal(struct mf_codec *codec, const struct mf_span *v, size_t n, uint8_t *out,
		   size_t room, size_t *len)
{
	size_t head = codec->begun ? 0 : write_request(of(codec), out);
	size_t taken = mf_codec_gather(v, n, out + head, room - head);

	codec->raw_up = true;
	*len = head + taken;
	return taken;
}

static mf_err open(struct mf_codec *codec, struct mf_codec_in *in, const struct mf_room *v,
		   size_t n, size_t *got)
{
	mf_err e = MF_OK;

	*got = 0;
	if (!codec->raw_down)
		codec->raw_down = hear(of(codec), in, &e);
	if (codec->raw_down)
		*got = mf_codec_scatter(in, v, n);
	return e;
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

/* An empty one cannot be said. */
static size_t seal_dgram(struct mf_codec *codec, const struct mf_proxy_target *to,
			 struct mf_span payload, uint8_t *out, size_t room)
{
	struct mf_vless *v = of(codec);
	size_t head = codec->begun ? 0 : request_len(v), n = head + 2 + payload.n;

	(void)to;
	if (!payload.n || payload.n > UINT16_MAX || n > room)
		return 0;
	if (head)
		out += write_request(v, out);
	mf_store_be16(out, (uint16_t)payload.n);
	memcpy(out + 2, payload.p, payload.n);
	return n;
}

static mf_err open_dgram(struct mf_codec *codec, struct mf_codec_in *in, struct mf_span *payload,
			 struct mf_endpoint *from)
{
	mf_err e;
	size_t n;

	if (!hear(of(codec), in, &e))
		return e ? e : MF_E_SHORT;
	while (in->n >= 2 && !mf_load_be16(in->p))
		mf_codec_skip(in, 2); /* nothing */
	if (in->n < 2)
		return MF_E_SHORT;
	n = mf_load_be16(in->p);
	if (in->n - 2 < n)
		return MF_E_SHORT;
	*from = (struct mf_endpoint){ 0 };
	*payload = mf_span(in->p + 2, n);
	mf_codec_skip(in, 2 + n);
	return MF_OK;
}

static const struct mf_codec_ops ops = {
	.name = "vless",
	.ends_both = true,
	.seal = seal,
	.open = open,
	.seal_dgram = seal_dgram,
	.open_dgram = open_dgram,
	.wipe = mf_codec_no_keys,
};

void mf_vless_init(struct mf_vless *v, const struct mf_vless_config *cfg,
		   const struct mf_codec_env *env, const struct mf_proxy_target *to, bool udp)
{
	*v = (struct mf_vless){
		.codec = { .ops = &ops, .env = env, .to = to },
		.config = cfg,
		.udp = udp,
	};
}
