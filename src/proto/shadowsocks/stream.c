/* SPDX-License-Identifier: Apache-2.0
 *
 * stream - what a session sends: the request and its first payload in one piece, then chunks as
 * long as they may be. Opening is in stream_open.c.
 */
#include "proto/shadowsocks/internal.h"

enum {
	OVERHEAD = SS_LENGTH + 2 * SS_TAG, /* of a chunk */
	/* A chunk of less payload is not made at the end of the room, unless it is the last. */
	WORTHWHILE = 512,
	PADDING_MAX = 900,
	FIXED_HEADER = 1 + 8 + 2,
	VARIABLE_HEADER_MAX = MF_TARGET_LEN_MAX + 2 + PADDING_MAX,
	REQUEST_MAX = MF_SS_KEY_MAX + MF_SS_IDENTITIES_MAX * MF_SS_IDENTITY_LEN + FIXED_HEADER +
		      SS_TAG + VARIABLE_HEADER_MAX + SS_TAG,
};
static_assert((int)REQUEST_MAX < (int)MF_CODEC_OUT_MIN,
	      "there is room for payload behind a request");

static struct mf_ss_stream *self(struct mf_codec *c)
{
	return MF_CONTAINER_OF(c, struct mf_ss_stream, codec);
}

/* ---- Payload --------------------------------------------------------------------------------- */

/* Spans that are taken piece by piece. */
struct source {
	const struct mf_span *v;
	size_t at;   /* bytes of the first span that are taken */
	size_t left; /* bytes in all */
};

static struct source source_of(const struct mf_span *v, size_t n)
{
	struct source s = { .v = v };

	for (size_t i = 0; i < n; i++)
		s.left += v[i].n;
	return s;
}

/* A message in pieces. */
struct message {
	struct mf_span v[SS_PIECES];
	size_t n, len;
};

static void add(struct message *m, const void *p, size_t n)
{
	m->v[m->n++] = mf_span(p, n);
	m->len += n;
}

/* Adds up to `max` bytes of payload. */
static void take(struct source *s, size_t max, struct message *m)
{
	while (max && s->left && m->n < SS_PIECES) {
		size_t n = mf_min(s->v->n - s->at, max);

		if (n)
			add(m, s->v->p + s->at, n);
		max -= n;
		s->left -= n;
		s->at += n;
		if (s->at == s->v->n) {
			s->v++;
			s->at = 0;
		}
	}
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* Returns the end of what it has written. */
static uint8_t *seal_pieces(struct mf_ss_stream *s, const struct mf_span *v, size_t n, size_t len,
			    uint8_t *out)
{
	uint8_t nonce[MF_CIPHER_NONCE_LEN];

	mf_ss_nonce(nonce, s->up.count++);
	mf_cipher_seal(s->codec.env->cipher, &s->up.key, nonce, mf_span(NULL, 0), v, n, out);
	return out + len + SS_TAG;
}

static uint8_t *seal_chunk(struct mf_ss_stream *s, const struct message *m, uint8_t *out)
{
	uint8_t length[SS_LENGTH];
	struct mf_span v = mf_span(length, sizeof(length));

	mf_store_be16(length, (uint16_t)m->len);
	out = seal_pieces(s, &v, 1, v.n, out);
	return seal_pieces(s, m->v, m->n, m->len, out);
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* SIP004: the target is the beginning of the first chunk. */
static uint8_t *request(struct mf_ss_stream *s, struct source *src, uint8_t *out, const uint8_t *end)
{
	uint8_t target[MF_TARGET_LEN_MAX];
	struct message m = { .n = 0 };

	add(&m, target, mf_target_put_socks(s->codec.to, target));
	take(src, mf_min((size_t)(end - out) - OVERHEAD, SS_CHUNK) - m.len, &m);
	return seal_chunk(s, &m, out);
}

static uint8_t *identities(struct mf_ss_stream *s, uint8_t *out)
{
	const struct mf_ss_config *cfg = s->config;
	struct mf_cipher_key k;

	for (unsigned i = 0; i < cfg->n_identities; i++, out += MF_SS_IDENTITY_LEN) {
		mf_ss_identity_key(&k, cfg, i, s->salt);
		mf_cipher_block_encrypt(s->codec.env->cipher, &k, cfg->next[i], out);
		mf_cipher_key_wipe(&k);
	}
	return out;
}

/* SIP022: a header of fixed length says how long the one with the target is. Short
 * requests are padded, so that their length does not tell what they are. */
static uint8_t *request_2022(struct mf_ss_stream *s, struct source *src, uint8_t *out,
			     const uint8_t *end)
{
	const struct mf_codec_env *env = s->codec.env;
	uint8_t fixed[FIXED_HEADER], variable[VARIABLE_HEADER_MAX];
	struct mf_span header = mf_span(fixed, sizeof(fixed));
	struct message m = { .n = 0 };
	size_t n = mf_target_put_socks(s->codec.to, variable), padding = 0;

	if (src->left < PADDING_MAX)
		padding = 1 + mf_rng_u32(&env->rng) % PADDING_MAX;
	mf_store_be16(variable + n, (uint16_t)padding);
	memset(variable + n + 2, 0, padding);
	add(&m, variable, n + 2 + padding);
	out = identities(s, out);
	take(src, mf_min((size_t)(end - out) - FIXED_HEADER - 2 * SS_TAG, SS_CHUNK_2022) - m.len, &m);
	fixed[0] = SS_REQUEST;
	mf_store_be64(fixed + 1, env->wall(env->ctx));
	mf_store_be16(fixed + 9, (uint16_t)m.len);
	out = seal_pieces(s, &header, 1, header.n, out);
	return seal_pieces(s, m.v, m.n, m.len, out);
}

static uint8_t *begin(struct mf_ss_stream *s, struct source *src, uint8_t *out, const uint8_t *end)
{
	size_t n = mf_ss_key_len(s->config);

	s->codec.env->rng.fill(s->codec.env->rng.ctx, s->salt, n);
	mf_ss_session_key(&s->up.key, s->config, mf_span(s->salt, n), false);
	memcpy(out, s->salt, n);
	out = (mf_ss_is_2022(s->config) ? request_2022 : request)(s, src, out + n, end);
	s->codec.begun = true;
	return out;
}

/* ---- The codec ------------------------------------------------------------------------------- */

/* Is there payload, and room for a chunk of it that is worth its overhead? */
static bool worthwhile(const struct source *src, size_t room)
{
	return src->left && room >= OVERHEAD + mf_min(src->left, WORTHWHILE);
}

static size_t seal(struct mf_codec *c, const struct mf_span *v, size_t n, uint8_t *out, size_t room,
		   size_t *len)
{
	struct mf_ss_stream *s = self(c);
	size_t max = mf_ss_is_2022(s->config) ? SS_CHUNK_2022 : SS_CHUNK;
	struct source src = source_of(v, n);
	const uint8_t *end = out + room;
	size_t all = src.left;
	uint8_t *p = out;

	MF_ASSERT(room >= MF_CODEC_OUT_MIN);
	if (!c->begun)
		p = begin(s, &src, p, end);
	while (worthwhile(&src, (size_t)(end - p))) {
		struct message m;

		m.n = m.len = 0;
		take(&src, mf_min((size_t)(end - p) - OVERHEAD, max), &m);
		p = seal_chunk(s, &m, p);
	}
	*len = (size_t)(p - out);
	return all - src.left;
}

static void wipe(struct mf_codec *c)
{
	struct mf_ss_stream *s = self(c);

	mf_cipher_key_wipe(&s->up.key);
	mf_cipher_key_wipe(&s->down.key);
}

/* shadowsocks-libev, which most servers of the older methods are, lets go of the target when we end. */
static const struct mf_codec_ops ops = {
	.name = "shadowsocks",
	.ends_both = true,
	.seal = seal,
	.open = mf_ss_stream_open,
	.wipe = wipe,
};

static const struct mf_codec_ops ops_2022 = {
	.name = "shadowsocks",
	.seal = seal,
	.open = mf_ss_stream_open,
	.wipe = wipe,
};

void mf_ss_stream_init(struct mf_ss_stream *s, const struct mf_ss_config *cfg,
		       const struct mf_codec_env *env, const struct mf_proxy_target *to)
{
	*s = (struct mf_ss_stream){
		.codec = { .ops = mf_ss_is_2022(cfg) ? &ops_2022 : &ops, .env = env, .to = to },
		.config = cfg,
	};
}
