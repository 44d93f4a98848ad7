/* SPDX-License-Identifier: Apache-2.0
 *
 * vmess - the codec. Ours is: the request, and a chunk for as much payload as one may have;
 * security `zero` has no chunks. The server's is read as a row of parts, of which mf_vmess.awaits
 * says the next one: each has a function that uses it up when it is there. A chunk of payload is
 * opened into the rooms if it fits; else where it lies, and it is then handed out piece by piece,
 * as payload that is not sealed is anyway.
 */
#include "proto/vmess/header.h"

enum {
	/* Payload of one of our chunks. The protocol's text has 16384 for the most that a length
	 * may say, and some servers take it at its word. */
	VMESS_CHUNK = 16384 - MF_CIPHER_TAG_LEN - MF_VMESS_PADDING_MAX - 1,
	SPANS = 64, /* spans of one chunk; rooms, too */
};
static_assert(MF_VMESS_REQUEST_MAX + MF_VMESS_OVERHEAD_MAX < MF_CODEC_OUT_MIN, "both fit");
static_assert(UINT16_MAX + MF_CIPHER_TAG_LEN < MF_CODEC_IN_MAX, "a chunk fits");

enum awaits { REPLY_LENGTH, REPLY, LENGTH, CHUNK, OPENED, RAW, END };

static struct mf_vmess *of(struct mf_codec *c)
{
	return MF_CONTAINER_OF(c, struct mf_vmess, codec);
}

/* ---- The request ----------------------------------------------------------------------------- */

/* Writes it if that has not been done; returns how many bytes. */
static size_t begin(struct mf_vmess *s, uint8_t *out)
{
	const struct mf_codec_env *env = s->codec.env;
	struct mf_vmess_request r = { .wall = 0 };
	size_t n;

	if (s->codec.begun)
		return 0;
	r = (struct mf_vmess_request){ .wall = env->wall(env->ctx),
				       .option = s->body.option,
				       .cipher = s->body.cipher,
				       .command = s->command,
				       .to = s->codec.to };
	env->rng.fill(env->rng.ctx, &r.fresh, sizeof(r.fresh));
	n = mf_vmess_request_seal(&r, s->config, env->cipher, out);
	s->verify = r.fresh.verify;
	mf_vmess_answer_key(s->answer_key, r.fresh.key);
	mf_vmess_answer_key(s->answer_iv, r.fresh.iv);
	mf_vmess_body_init(&s->body, s->body.cipher, s->body.option, r.fresh.key, r.fresh.iv);
	mf_wipe(&r, sizeof(r));
	s->codec.begun = true;
	s->codec.raw_up = !(s->body.option & MF_VMESS_CHUNKS);
	return n;
}

/* ---- Payload to the server ------------------------------------------------------------------- */

/* What is left of somebody's spans: of the first one without the bytes before `at`. */
struct payload {
	const struct mf_span *v;
	size_t n, at;
};

/* The next `most` bytes, or as many as `out` has spans for; returns how many. */
static size_t pick(struct payload *p, size_t most, struct mf_span out[SPANS], size_t *n_out)
{
	size_t size = 0;

	for (*n_out = 0; p->n && size < most && *n_out < SPANS;) {
		size_t part = mf_min(p->v->n - p->at, most - size);

		if (part)
			out[(*n_out)++] = mf_span(p->v->p + p->at, part);
		size += part;
		p->at += part;
		if (p->at == p->v->n) {
			p->v++;
			p->n--;
			p->at = 0;
		}
	}
	return size;
}

static size_t seal(struct mf_codec *c, const struct mf_span *v, size_t n, uint8_t *out, size_t room,
		   size_t *len)
{
	struct mf_vmess *s = of(c);
	struct payload left = { .v = v, .n = n };
	struct mf_span parts[SPANS];
	size_t at = begin(s, out), taken = 0, size, n_parts;

	while (room - at > MF_VMESS_OVERHEAD_MAX) {
		size = mf_min(room - at - MF_VMESS_OVERHEAD_MAX, VMESS_CHUNK);
		size = pick(&left, size, parts, &n_parts);
		if (!size)
			break;
		at += mf_vmess_body_seal(&s->body, c->env->cipher, &c->env->rng, parts, n_parts,
					 size, out + at);
		taken += size;
	}
	*len = at;
	return taken;
}

static size_t seal_raw(struct mf_codec *c, const struct mf_span *v, size_t n, uint8_t *out,
		       size_t room, size_t *len)
{
	size_t at = begin(of(c), out), taken = mf_codec_gather(v, n, out + at, room - at);

	*len = at + taken;
	return taken;
}

static size_t finish(struct mf_codec *c, uint8_t *out, size_t room)
{
	struct mf_vmess *s = of(c);
	size_t at = begin(s, out);

	MF_ASSERT(room - at >= MF_VMESS_OVERHEAD_MAX);
	return at + mf_vmess_body_seal(&s->body, c->env->cipher, &c->env->rng, NULL, 0, 0, out + at);
}

/* An empty datagram would be the end. */
static size_t seal_dgram(struct mf_codec *c, const struct mf_proxy_target *to,
			 struct mf_span payload, uint8_t *out, size_t room)
{
	struct mf_vmess *s = of(c);
	size_t need = payload.n + MF_VMESS_OVERHEAD_MAX, at;

	(void)to;
	if (!c->begun)
		need += MF_VMESS_REQUEST_MAX;
	if (!payload.n || payload.n > MF_VMESS_PAYLOAD_MAX || need > room)
		return 0;
	at = begin(s, out);
	return at + mf_vmess_body_seal(&s->body, c->env->cipher, &c->env->rng, &payload, 1,
				       payload.n, out + at);
}

/* ---- Payload from the server ----------------------------------------------------------------- */

/* What is left of somebody's rooms: of the first one without the bytes before `at`. */
struct rooms {
	const struct mf_room *v;
	size_t n, at;
	size_t got; /* bytes that are in them */
};

/* The next room that is not full; n 0: there is none. */
static struct mf_room next_room(struct rooms *r)
{
	for (; r->n; r->v++, r->n--, r->at = 0)
		if (r->at < r->v->n)
			return (struct mf_room){ .p = r->v->p + r->at, .n = r->v->n - r->at };
	return (struct mf_room){ .n = 0 };
}

static void fill_room(struct rooms *r, size_t n)
{
	r->at += n;
	r->got += n;
}

/* Rooms for `size` bytes in one go; 0: there are not that many, or they are too many. */
static size_t rooms_for(struct rooms *r, size_t size, struct mf_room out[SPANS])
{
	for (size_t n = 0; n < SPANS; n++) {
		struct mf_room room = next_room(r);

		if (!room.n)
			return 0;
		room.n = mf_min(room.n, size);
		fill_room(r, room.n);
		out[n] = room;
		size -= room.n;
		if (!size)
			return n + 1;
	}
	return 0;
}

/* Each of the following uses up what `awaits` says. MF_E_AGAIN: more must come, or there is no
 * room. */
typedef mf_err part_fn(struct mf_vmess *s, struct mf_codec_in *in, struct rooms *to);

static mf_err fail(struct mf_vmess *s, mf_err e)
{
	return mf_codec_fail(&s->codec, e, e == MF_E_AUTH ? MF_PROXY_AUTH : MF_PROXY_PROTOCOL);
}

/* Are there n bytes? */
static bool has(struct mf_vmess *s, const struct mf_codec_in *in, size_t n)
{
	s->codec.need = in->n < n ? (uint32_t)n : 0;
	return !s->codec.need;
}

static mf_err get_reply_length(struct mf_vmess *s, struct mf_codec_in *in, struct rooms *to)
{
	size_t len;
	mf_err e;

	(void)to;
	/* Before the request the keys of its answer are not made: zeros, which anybody knows. */
	if (!s->codec.begun)
		return in->n ? fail(s, MF_E_MALFORMED) : MF_E_AGAIN;
	if (!has(s, in, MF_VMESS_REPLY_LENGTH_LEN))
		return MF_E_AGAIN;
	e = mf_vmess_reply_length(s->codec.env->cipher, s->answer_key, s->answer_iv, in->p, &len);
	if (e)
		return fail(s, e);
	mf_codec_skip(in, MF_VMESS_REPLY_LENGTH_LEN);
	s->reply = (uint16_t)len;
	s->awaits = REPLY;
	return MF_OK;
}

static mf_err get_reply(struct mf_vmess *s, struct mf_codec_in *in, struct rooms *to)
{
	size_t need = (size_t)s->reply + MF_CIPHER_TAG_LEN;
	mf_err e;

	(void)to;
	if (!has(s, in, need))
		return MF_E_AGAIN;
	e = mf_vmess_reply_open(s->codec.env->cipher, s->answer_key, s->answer_iv, in->p, s->reply,
				s->verify);
	if (e)
		return fail(s, e);
	mf_codec_skip(in, need);
	mf_vmess_body_answer(&s->body, s->answer_key, s->answer_iv);
	mf_wipe(s->answer_key, sizeof(s->answer_key));
	mf_wipe(s->answer_iv, sizeof(s->answer_iv));
	s->codec.proven = true;
	s->codec.raw_down = !(s->body.option & MF_VMESS_CHUNKS);
	s->awaits = s->codec.raw_down ? RAW : LENGTH;
	return MF_OK;
}

static mf_err get_length(struct mf_vmess *s, struct mf_codec_in *in, struct rooms *to)
{
	size_t need = mf_vmess_body_length_len(&s->body);
	mf_err e;

	(void)to;
	if (!has(s, in, need))
		return MF_E_AGAIN;
	e = mf_vmess_body_length(&s->body, s->codec.env->cipher, in->p, &s->chunk);
	if (e)
		return fail(s, e);
	mf_codec_skip(in, need);
	s->awaits = CHUNK;
	return MF_OK;
}

/* Opens the whole chunk where it lies. */
static mf_err open_in_place(struct mf_vmess *s, struct mf_codec_in *in)
{
	const struct mf_room room = { .p = in->p, .n = s->chunk.payload };

	if (!mf_vmess_body_sealed(&s->body) ||
	    mf_vmess_body_open(&s->body, s->codec.env->cipher, in->p, s->chunk, &room, 1))
		return MF_OK;
	return fail(s, MF_E_AUTH);
}

static mf_err get_sealed(struct mf_vmess *s, struct mf_codec_in *in, struct rooms *to)
{
	struct mf_room parts[SPANS];
	struct rooms after = *to;
	size_t n;

	if (!has(s, in, (size_t)s->chunk.payload + s->chunk.tail) || !next_room(to).n)
		return MF_E_AGAIN;
	n = rooms_for(&after, s->chunk.payload, parts);
	if (!n) {
		s->awaits = OPENED;
		return open_in_place(s, in);
	}
	if (!mf_vmess_body_open(&s->body, s->codec.env->cipher, in->p, s->chunk, parts, n))
		return fail(s, MF_E_AUTH);
	*to = after;
	mf_codec_skip(in, s->chunk.payload + s->chunk.tail);
	s->awaits = LENGTH;
	return MF_OK;
}

/* The last chunk: nobody but the server can have written it, if it is sealed. */
static mf_err get_end(struct mf_vmess *s, struct mf_codec_in *in)
{
	mf_err e;

	if (!has(s, in, s->chunk.tail))
		return MF_E_AGAIN;
	e = open_in_place(s, in);
	if (e)
		return e;
	mf_codec_skip(in, s->chunk.tail);
	s->awaits = END;
	return MF_OK;
}

static mf_err get_chunk(struct mf_vmess *s, struct mf_codec_in *in, struct rooms *to)
{
	if (!s->chunk.payload)
		return get_end(s, in);
	if (mf_vmess_body_sealed(&s->body))
		return get_sealed(s, in, to);
	s->awaits = OPENED;
	return MF_OK;
}

/* Payload in clear, and what comes behind it: as much as there is. */
static mf_err get_opened(struct mf_vmess *s, struct mf_codec_in *in, struct rooms *to)
{
	size_t part;

	while (s->chunk.payload) {
		struct mf_room room = next_room(to);

		part = mf_min(mf_min(room.n, in->n), s->chunk.payload);
		if (!part)
			return MF_E_AGAIN;
		memcpy(room.p, in->p, part);
		fill_room(to, part);
		mf_codec_skip(in, part);
		s->chunk.payload -= (uint32_t)part;
	}
	part = mf_min(in->n, s->chunk.tail);
	mf_codec_skip(in, part);
	s->chunk.tail -= (uint32_t)part;
	if (s->chunk.tail)
		return MF_E_AGAIN;
	s->awaits = LENGTH;
	return MF_OK;
}

static mf_err get_raw(struct mf_vmess *s, struct mf_codec_in *in, struct rooms *to)
{
	(void)s;
	to->got += mf_codec_scatter(in, to->v, to->n);
	return MF_E_AGAIN;
}

static mf_err get_nothing(struct mf_vmess *s, struct mf_codec_in *in, struct rooms *to)
{
	(void)s;
	(void)in;
	(void)to;
	return MF_E_GONE;
}

static part_fn *const getters[] = {
	[REPLY_LENGTH] = get_reply_length,
	[REPLY] = get_reply,
	[LENGTH] = get_length,
	[CHUNK] = get_chunk,
	[OPENED] = get_opened,
	[RAW] = get_raw,
	[END] = get_nothing,
};

static mf_err open(struct mf_codec *c, struct mf_codec_in *in, const struct mf_room *v, size_t n,
		   size_t *got)
{
	struct mf_vmess *s = of(c);
	struct rooms to = { .v = v, .n = n };
	mf_err e;

	do
		e = getters[s->awaits](s, in, &to);
	while (!e);
	*got = e == MF_E_AGAIN || e == MF_E_GONE ? to.got : 0;
	return e == MF_E_AGAIN ? MF_OK : e;
}

static mf_err open_dgram(struct mf_codec *c, struct mf_codec_in *in, struct mf_span *payload,
			 struct mf_endpoint *from)
{
	struct mf_vmess *s = of(c);
	struct rooms none = { .n = 0 };
	mf_err e = MF_OK;

	*from = (struct mf_endpoint){ .port = 0 };
	while (!e && (s->awaits != CHUNK || !s->chunk.payload))
		e = getters[s->awaits](s, in, &none);
	if (!e && in->n < (size_t)s->chunk.payload + s->chunk.tail)
		e = MF_E_AGAIN;
	if (!e)
		e = open_in_place(s, in);
	if (e)
		return e == MF_E_AGAIN ? MF_E_SHORT : e;
	*payload = mf_span(in->p, s->chunk.payload);
	mf_codec_skip(in, s->chunk.payload + s->chunk.tail);
	s->awaits = LENGTH;
	return MF_OK;
}

/* ---- The codec ------------------------------------------------------------------------------- */

static void wipe(struct mf_codec *c)
{
	struct mf_vmess *s = of(c);

	mf_wipe(&s->body, sizeof(s->body));
	mf_wipe(s->answer_key, sizeof(s->answer_key));
	mf_wipe(s->answer_iv, sizeof(s->answer_iv));
}

static const struct mf_codec_ops in_chunks = {
	.name = "vmess",
	.has_end = true,
	.ends_both = true,
	.seal = seal,
	.finish = finish,
	.open = open,
	.seal_dgram = seal_dgram,
	.open_dgram = open_dgram,
	.wipe = wipe,
};
static const struct mf_codec_ops raw = {
	.name = "vmess",
	.ends_both = true,
	.seal = seal_raw,
	.open = open,
	.wipe = wipe,
};

static enum mf_vmess_cipher choose(enum mf_vmess_security s)
{
	switch (s) {
	case MF_VMESS_AES_128_GCM:
		return MF_VMESS_CIPHER_AES_128_GCM;
	case MF_VMESS_CHACHA20_POLY1305:
		return MF_VMESS_CIPHER_CHACHA20_POLY1305;
	case MF_VMESS_NONE:
	case MF_VMESS_ZERO:
		return MF_VMESS_CIPHER_NONE;
	default:
		return mf_cipher_has_aes() ? MF_VMESS_CIPHER_AES_128_GCM
					   : MF_VMESS_CIPHER_CHACHA20_POLY1305;
	}
}

static uint8_t options(const struct mf_vmess_config *cfg, enum mf_vmess_cipher cipher, bool udp)
{
	uint8_t option = MF_VMESS_CHUNKS | MF_VMESS_MASKED;

	if (cipher == MF_VMESS_CIPHER_NONE)
		return cfg->security == MF_VMESS_ZERO && !udp ? 0 : option;
	if (cfg->global_padding)
		option |= MF_VMESS_PADDED;
	if (cfg->authenticated_length)
		option |= MF_VMESS_SEALED_LENGTH;
	return option;
}

void mf_vmess_init(struct mf_vmess *v, const struct mf_vmess_config *cfg,
		   const struct mf_codec_env *env, const struct mf_proxy_target *to, bool udp)
{
	enum mf_vmess_cipher cipher = choose(cfg->security);

	*v = (struct mf_vmess){ .codec = { .env = env, .to = to },
				.config = cfg,
				.command = udp ? MF_VMESS_UDP : MF_VMESS_TCP,
				.awaits = REPLY_LENGTH };
	v->body.cipher = (uint8_t)cipher;
	v->body.option = options(cfg, cipher, udp);
	v->codec.ops = v->body.option & MF_VMESS_CHUNKS ? &in_chunks : &raw;
}
