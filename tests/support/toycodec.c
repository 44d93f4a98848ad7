/* SPDX-License-Identifier: Apache-2.0
 *
 * toycodec - see toycodec.h.
 */
#include "support/toycodec.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEY = 0x5a, SEAL_MAX = 5000 };

struct toy {
	struct mf_codec codec;
	const struct toy_config *config;
	bool yes;
	uint32_t left; /* of the message that is being read */
};

static struct toy *toy_of(struct mf_codec *c)
{
	return (struct toy *)c;
}

static size_t put_request(struct toy *t, uint8_t *out)
{
	const struct mf_proxy_target *to = t->codec.to;
	char text[MF_ADDR_STRLEN];
	const char *name = to->name ? to->name : mf_addr_format(&to->addr.addr, text);
	size_t n = to->name ? to->name_n : strlen(name);

	out[0] = 'T';
	out[1] = (uint8_t)(to->addr.port >> 8);
	out[2] = (uint8_t)to->addr.port;
	out[3] = (uint8_t)n;
	memcpy(out + 4, name, n);
	t->codec.begun = true;
	t->codec.raw_up = t->config->raw;
	return 4 + n;
}

static size_t seal(struct mf_codec *c, const struct mf_span *v, size_t n, uint8_t *out, size_t room,
		   size_t *len)
{
	struct toy *t = toy_of(c);
	size_t at = 0, took = 0;

	MF_ASSERT(room >= MF_CODEC_OUT_MIN && (!n || !c->ops->handshake || c->opened));
	if (!c->begun)
		at = put_request(t, out);
	for (size_t i = 0; i < n; i++)
		for (size_t used = 0; used < v[i].n && room - at > 2;) {
			size_t head = t->config->raw ? 0 : 2;
			size_t k = mf_min(mf_min(v[i].n - used, room - at - head), SEAL_MAX);

			memcpy(out + at + head, v[i].p + used, k);
			if (!t->config->raw)
				(void)toy_message(out + at, v[i].p + used, k);
			at += k + head;
			used += k;
			took += k;
		}
	*len = at;
	return took;
}

static size_t finish(struct mf_codec *c, uint8_t *out, size_t room)
{
	MF_ASSERT(c->begun && room >= MF_CODEC_OUT_MIN);
	return toy_message(out, NULL, 0);
}

static mf_err say_yes(struct toy *t, struct mf_codec_in *in)
{
	if (t->yes || !in->n)
		return MF_OK;
	if (in->p[0] == 'N' && in->n < 2)
		return MF_OK;
	if (in->p[0] == 'N')
		return mf_codec_fail(&t->codec, MF_E_AUTH, in->p[1] % MF_PROXY_FAULTS);
	if (in->p[0] != 'Y')
		return mf_codec_fail(&t->codec, MF_E_AUTH, MF_PROXY_AUTH);
	mf_codec_skip(in, 1);
	t->yes = t->codec.opened = t->codec.proven = true;
	t->codec.raw_down = t->config->raw;
	return MF_OK;
}

static size_t scatter(struct toy *t, struct mf_codec_in *in, const struct mf_room *v, size_t n)
{
	size_t room = 0, k;
	struct mf_codec_in part = { .p = in->p };

	for (size_t i = 0; i < n; i++)
		room += v[i].n;
	part.n = k = mf_min(mf_min(in->n, t->left), room);
	for (size_t i = 0; i < k; i++)
		in->p[i] ^= KEY;
	(void)mf_codec_scatter(&part, v, n);
	mf_codec_skip(in, k);
	t->left -= (uint32_t)k;
	return k;
}

static mf_err open(struct mf_codec *c, struct mf_codec_in *in, const struct mf_room *v, size_t n,
		   size_t *got)
{
	struct toy *t = toy_of(c);
	struct mf_room rooms[32];
	mf_err e = say_yes(t, in);
	size_t i = 0;

	*got = 0;
	if (e != MF_OK || !t->yes)
		return e;
	if (t->config->raw) {
		*got = mf_codec_scatter(in, v, n);
		return MF_OK;
	}
	MF_ASSERT(n <= MF_ARRAY_LEN(rooms));
	if (n)
		memcpy(rooms, v, n * sizeof(*v));
	for (;;) {
		size_t k;

		if (!t->left) {
			/* As those who authenticate do: only whole messages. */
			size_t len = in->n < 2 ? 0 : (size_t)(in->p[0] << 8 | in->p[1]);

			c->need = in->n < 2 ? 2 : (uint32_t)(2 + len);
			if (in->n < 2)
				return MF_OK;
			if (len > TOY_MESSAGE_MAX) {
				*got = 0;
				return mf_codec_fail(c, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
			}
			if (!len)
				return MF_E_GONE;
			if (in->n < 2 + len || i == n)
				return MF_OK;
			mf_codec_skip(in, 2);
			t->left = (uint32_t)len;
		}
		k = scatter(t, in, rooms + i, n - i);
		*got += k;
		if (t->left)
			return MF_OK;
		while (k) {
			size_t part = mf_min(k, rooms[i].n);

			rooms[i].p += part;
			rooms[i].n -= part;
			k -= part;
			i += !rooms[i].n;
		}
	}
}

static void wipe(struct mf_codec *c)
{
	c->begun = false;
}

static const struct mf_codec_ops ops = { .name = "toy", .seal = seal, .open = open, .wipe = wipe };
static const struct mf_codec_ops ops_handshake = {
	.name = "toy",
	.handshake = true,
	.seal = seal,
	.open = open,
	.wipe = wipe,
};
static const struct mf_codec_ops ops_end = {
	.name = "toy",
	.has_end = true,
	.seal = seal,
	.finish = finish,
	.open = open,
	.wipe = wipe,
};
static const struct mf_codec_ops ops_ends_both = {
	.name = "toy",
	.has_end = true,
	.ends_both = true,
	.seal = seal,
	.finish = finish,
	.open = open,
	.wipe = wipe,
};

static void init(struct mf_codec *c, const void *config, const struct mf_codec_env *env,
		 const struct mf_proxy_target *to)
{
	const struct toy_config *cfg = config;

	*toy_of(c) = (struct toy){
		.codec = { .ops = cfg->handshake   ? &ops_handshake
				  : cfg->ends_both ? &ops_ends_both
				  : cfg->end       ? &ops_end
						   : &ops,
			   .env = env,
			   .to = to },
		.config = cfg,
	};
}

static void detail(const struct mf_codec *c, char out[MF_PROXY_DETAIL_MAX])
{
	(void)snprintf(out, MF_PROXY_DETAIL_MAX, "%s", c->proven ? "later" : "at once");
}

const struct mf_codec_kind toy_kind = {
	.size = sizeof(struct toy),
	.init = init,
	.detail = detail,
};

/* ---- The server ------------------------------------------------------------------------------ */

size_t toy_message(uint8_t *out, const void *payload, size_t n)
{
	const uint8_t *from = payload;

	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		out[2 + i] = from[i] ^ KEY;
	return 2 + n;
}

void toy_hear(struct toy_heard *h, const uint8_t *p, size_t n, bool raw)
{
	*h = (struct toy_heard){ .payload = malloc(n ? n : 1) };
	MF_ASSERT(h->payload);
	if (n < 4 || n < 4u + p[3])
		return;
	MF_ASSERT(p[0] == 'T');
	h->port = (uint16_t)(p[1] << 8 | p[2]);
	memcpy(h->name, p + 4, p[3]);
	h->request = 4u + p[3];
	p += h->request;
	n -= h->request;
	if (raw) {
		memcpy(h->payload, p, n);
		h->n = n;
		return;
	}
	while (n >= 2) {
		size_t len = (size_t)(p[0] << 8 | p[1]);

		MF_ASSERT(!h->end);
		h->end = !len;
		if (n < 2 + len)
			return;
		for (size_t i = 0; i < len; i++)
			h->payload[h->n++] = p[2 + i] ^ KEY;
		p += 2 + len;
		n -= 2 + len;
	}
}

void toy_heard_free(struct toy_heard *h)
{
	free(h->payload);
	h->payload = NULL;
}
