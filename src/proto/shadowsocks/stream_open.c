/* SPDX-License-Identifier: Apache-2.0
 *
 * stream_open - what a session receives. A chunk is decrypted at once, when all of it has come:
 * into the rooms as far as they go, and what does not fit them where it lies, in front of `in`,
 * from where later calls hand it out.
 */
#include "proto/shadowsocks/internal.h"

/* mf_ss_stream.expect. */
enum {
	HEAD,   /* the salt; 2022: and the header */
	LENGTH, /* of a chunk */
	FIRST,  /* payload of the header of 2022, which may be none */
	PAYLOAD,
};
enum { HEADER_MAX = 1 + 8 + MF_SS_KEY_MAX + SS_LENGTH };
static_assert(SS_CHUNK_2022 + SS_TAG <= MF_CODEC_IN_MAX, "a chunk fits");

/* Rooms that are filled piece by piece. */
struct rooms {
	const struct mf_room *v;
	size_t n, at; /* rooms left; bytes of the first one that are filled */
	size_t filled;
};

static void advance(struct rooms *r, size_t n)
{
	r->filled += n;
	r->at += n;
	while (r->n && r->at >= r->v->n) {
		r->at -= r->v->n;
		r->v++;
		r->n--;
	}
}

/* ---- Messages -------------------------------------------------------------------------------- */

static mf_err refuse(struct mf_ss_stream *s, enum mf_proxy_fault f)
{
	mf_err e = f == MF_PROXY_PROTOCOL ? MF_E_MALFORMED : MF_E_AUTH;

	return mf_codec_fail(&s->codec, e, f);
}

/* The next message of the server, n bytes and its tag. */
static mf_err unseal(struct mf_ss_stream *s, const uint8_t *p, size_t n, const struct mf_room *v,
		     size_t n_rooms)
{
	uint8_t nonce[MF_CIPHER_NONCE_LEN];

	mf_ss_nonce(nonce, s->down.count++);
	if (!mf_cipher_open(s->codec.env->cipher, &s->down.key, nonce, mf_span(NULL, 0), p,
			    n + SS_TAG, v, n_rooms))
		return refuse(s, s->codec.proven ? MF_PROXY_PROTOCOL : MF_PROXY_AUTH);
	s->codec.proven = true;
	return MF_OK;
}

static mf_err unseal_short(struct mf_ss_stream *s, const uint8_t *p, uint8_t *out, size_t n)
{
	struct mf_room room = { out, n };

	return unseal(s, p, n, &room, 1);
}

/* Are there n bytes? */
static bool has(struct mf_ss_stream *s, const struct mf_codec_in *in, size_t n)
{
	s->codec.need = in->n < n ? (uint32_t)n : 0;
	return !s->codec.need;
}

/* ---- The beginning --------------------------------------------------------------------------- */

/* SIP022: the time, our salt, and how much payload follows. */
static mf_err read_header(struct mf_ss_stream *s, const uint8_t *p, size_t n)
{
	const struct mf_codec_env *env = s->codec.env;
	size_t salt = mf_ss_key_len(s->config);
	uint8_t h[HEADER_MAX];
	mf_err e = unseal_short(s, p, h, n);
	int32_t skew;

	if (e)
		return e;
	if (h[0] != SS_RESPONSE)
		return refuse(s, MF_PROXY_PROTOCOL);
	skew = mf_ss_skew(mf_load_be64(h + 1), env->wall(env->ctx));
	if (!mf_ss_in_time(skew)) {
		s->codec.skew = skew;
		return refuse(s, MF_PROXY_CLOCK);
	}
	if (!mf_equal_secret(h + 9, s->salt, salt))
		return refuse(s, MF_PROXY_REPLAY);
	s->length = mf_load_be16(h + 9 + salt);
	return MF_OK;
}

static mf_err head(struct mf_ss_stream *s, struct mf_codec_in *in)
{
	size_t salt = mf_ss_key_len(s->config), header = 1 + 8 + salt + SS_LENGTH;
	size_t need = salt + (mf_ss_is_2022(s->config) ? header + SS_TAG : 0);
	mf_err e = MF_OK;

	if (!has(s, in, need))
		return MF_E_SHORT;
	/* Our own bytes, sent back to us, would open with our key. */
	if (mf_equal_secret(in->p, s->salt, salt))
		return refuse(s, MF_PROXY_REPLAY);
	mf_ss_session_key(&s->down.key, s->config, mf_span(in->p, salt), false);
	s->expect = LENGTH;
	if (mf_ss_is_2022(s->config)) {
		e = read_header(s, in->p + salt, header);
		s->expect = FIRST;
	}
	mf_codec_skip(in, need);
	return e;
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

static mf_err length(struct mf_ss_stream *s, struct mf_codec_in *in)
{
	uint8_t n[SS_LENGTH];
	mf_err e;

	if (!has(s, in, SS_LENGTH + SS_TAG))
		return MF_E_SHORT;
	e = unseal_short(s, in->p, n, sizeof(n));
	if (e)
		return e;
	mf_codec_skip(in, SS_LENGTH + SS_TAG);
	s->length = mf_load_be16(n) & (mf_ss_is_2022(s->config) ? SS_CHUNK_2022 : SS_CHUNK);
	s->expect = PAYLOAD;
	/* A server that has nothing to say says nothing. */
	return s->length ? MF_OK : refuse(s, MF_PROXY_PROTOCOL);
}

/* The next n bytes of the rooms, or as many as they have, and as SS_PIECES hold with one to
 * spare. */
static size_t cut(const struct rooms *r, size_t n, struct mf_room *part, size_t *n_parts)
{
	size_t done = 0, at = r->at;

	*n_parts = 0;
	for (size_t i = 0; i < r->n && done < n && *n_parts + 1 < SS_PIECES; i++, at = 0) {
		struct mf_room room = { r->v[i].p + at, mf_min(r->v[i].n - at, n - done) };

		part[(*n_parts)++] = room;
		done += room.n;
	}
	return done;
}

/* The tag behind payload that has been handed out. */
static void skip_tag(struct mf_ss_stream *s, struct mf_codec_in *in)
{
	if (!s->plain)
		mf_codec_skip(in, SS_TAG);
}

static mf_err payload(struct mf_ss_stream *s, struct mf_codec_in *in, struct rooms *r)
{
	struct mf_room part[SS_PIECES];
	size_t n_parts, direct;
	mf_err e;

	if (!has(s, in, s->length + SS_TAG))
		return MF_E_SHORT;
	direct = cut(r, s->length, part, &n_parts);
	if (direct < s->length)
		part[n_parts++] = (struct mf_room){ in->p + direct, s->length - direct };
	e = unseal(s, in->p, s->length, part, n_parts);
	if (e)
		return e;
	advance(r, direct);
	mf_codec_skip(in, direct);
	s->plain = s->length - (uint32_t)direct;
	s->expect = LENGTH;
	skip_tag(s, in);
	return MF_OK;
}

/* Payload that did not fit the rooms before. */
static void hand_out(struct mf_ss_stream *s, struct mf_codec_in *in, struct rooms *r)
{
	MF_ASSERT(in->n >= s->plain);
	while (s->plain && r->n) {
		size_t n = mf_min(r->v->n - r->at, s->plain);

		if (n)
			memcpy(r->v->p + r->at, in->p, n);
		mf_codec_skip(in, n);
		s->plain -= (uint32_t)n;
		advance(r, n);
		skip_tag(s, in);
	}
}

/* ---- The codec ------------------------------------------------------------------------------- */

/* MF_E_SHORT: more must come, or more room. */
static mf_err step(struct mf_ss_stream *s, struct mf_codec_in *in, struct rooms *r)
{
	if (s->plain)
		hand_out(s, in, r);
	if (s->plain)
		return MF_E_SHORT;
	switch (s->expect) {
	case HEAD:
		return head(s, in);
	case LENGTH:
		return length(s, in);
	default:
		return r->n ? payload(s, in, r) : MF_E_SHORT;
	}
}

mf_err mf_ss_stream_open(struct mf_codec *c, struct mf_codec_in *in, const struct mf_room *v,
			 size_t n, size_t *got)
{
	struct mf_ss_stream *s = MF_CONTAINER_OF(c, struct mf_ss_stream, codec);
	struct rooms r = { .v = v, .n = n };
	mf_err e = (mf_err)s->broken;

	advance(&r, 0); /* over rooms that are empty */
	while (!e)
		e = step(s, in, &r);
	*got = r.filled;
	if (e == MF_E_SHORT)
		return MF_OK;
	/* What came before it was good: first that, and the error next time. */
	s->broken = (int8_t)e;
	return r.filled ? MF_OK : e;
}
