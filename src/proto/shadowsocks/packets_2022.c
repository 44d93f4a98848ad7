/* SPDX-License-Identifier: Apache-2.0
 *
 * packets_2022 - datagrams of the 2022 edition (SIP022, SIP023). Each carries its session and
 * its number: with AES in a header of one encrypted block, of which the message's nonce is a part;
 * with ChaCha20 inside the message, which has a random nonce.
 *
 * A server that was restarted has a new session. Its former one is kept for a minute, for datagrams
 * that are still on their way; a second new one within that time is refused.
 */
#include "base/cursor.h"
#include "base/replay.h"
#include "crypto/aead.h"
#include "proto/shadowsocks/internal.h"

enum {
	ID = 8,                   /* of a session, and of a datagram */
	HEADER = MF_CIPHER_BLOCK, /* both */
	NONCE_AT = 4,             /* of a message, in the header */
	FRONT = 1 + 8 + 2,        /* type, time, length of the padding */
	FRONT_MAX = HEADER + FRONT + MF_TARGET_LEN_MAX,
	OVERHEAD_MAX =
		MF_XAEAD_NONCE_LEN + MF_SS_IDENTITIES_MAX * MF_SS_IDENTITY_LEN + FRONT_MAX + SS_TAG,
};
static_assert(HEADER == 2 * ID, "a header is a block");
static_assert((int)OVERHEAD_MAX <= (int)MF_PACKET_OVERHEAD_MAX, "as codec.h promises");

static struct mf_ss_packets *self(struct mf_packet_codec *c)
{
	return MF_CONTAINER_OF(c, struct mf_ss_packets, codec);
}

static bool has_blocks(const struct mf_ss_packets *s)
{
	return mf_ss_alg(s->config) != MF_CHACHA20_POLY1305;
}

static uint64_t wall(const struct mf_ss_packets *s)
{
	return s->codec.env->wall(s->codec.env->ctx);
}

/* ---- Sealing --------------------------------------------------------------------------------- */

/* The header, and what goes in front of the payload: returns how many bytes in all. */
static size_t put_front(struct mf_ss_packets *s, const struct mf_proxy_target *to, uint8_t *out)
{
	memcpy(out, &s->id, ID);
	mf_store_be64(out + ID, s->count++);
	out[HEADER] = SS_REQUEST;
	mf_store_be64(out + HEADER + 1, wall(s));
	mf_store_be16(out + HEADER + 9, 0); /* no padding: a datagram is worth its size */
	return HEADER + FRONT + mf_target_put_socks(to, out + HEADER + FRONT);
}

/* SIP023: the next key's hash, which the header changes for each datagram. */
static uint8_t *identities(struct mf_ss_packets *s, const uint8_t *header, uint8_t *out)
{
	const struct mf_ss_config *cfg = s->config;
	struct mf_cipher_key k = s->up;

	for (unsigned i = 0; i < cfg->n_identities; i++, out += MF_SS_IDENTITY_LEN) {
		if (i)
			mf_cipher_key_init_once(&k, mf_ss_alg(cfg), cfg->identity[i]);
		for (unsigned j = 0; j < MF_SS_IDENTITY_LEN; j++)
			out[j] = cfg->next[i][j] ^ header[j];
		mf_cipher_block_encrypt(s->codec.env->cipher, &k, out, out);
	}
	mf_cipher_key_wipe(&k);
	return out;
}

static void seal_aes(struct mf_ss_packets *s, const uint8_t *front, size_t n,
		     struct mf_span payload, uint8_t *out)
{
	struct mf_cipher *c = s->codec.env->cipher;
	struct mf_span v[] = { mf_span(front + HEADER, n - HEADER), payload };

	mf_cipher_block_encrypt(c, &s->up, front, out);
	out = identities(s, front, out + HEADER);
	mf_cipher_seal(c, &s->key, front + NONCE_AT, mf_span(NULL, 0), v, 2, out);
}

static void seal_chacha(struct mf_ss_packets *s, const uint8_t *front, size_t n,
			struct mf_span payload, uint8_t *out)
{
	uint8_t *text = out + MF_XAEAD_NONCE_LEN;

	s->codec.env->rng.fill(s->codec.env->rng.ctx, out, MF_XAEAD_NONCE_LEN);
	memcpy(text, front, n);
	if (payload.n)
		memcpy(text + n, payload.p, payload.n);
	mf_xaead_seal(s->config->key, out, NULL, 0, text, n + payload.n, text);
}

static size_t seal(struct mf_packet_codec *c, const struct mf_proxy_target *to,
		   struct mf_span payload, uint8_t *out, size_t room)
{
	struct mf_ss_packets *s = self(c);
	size_t around = has_blocks(s) ? (size_t)s->config->n_identities * MF_SS_IDENTITY_LEN
				      : MF_XAEAD_NONCE_LEN;
	size_t overhead = around + HEADER + FRONT + mf_target_len(to) + SS_TAG;
	uint8_t front[FRONT_MAX];
	size_t n;

	if (room < overhead || payload.n > room - overhead)
		return 0;
	n = put_front(s, to, front);
	(has_blocks(s) ? seal_aes : seal_chacha)(s, front, n, payload, out);
	return overhead + payload.n;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static mf_err refuse(struct mf_ss_packets *s, mf_err e, enum mf_proxy_fault f)
{
	return mf_packet_fail(&s->codec, e, f);
}

/* A datagram in the clear. */
struct view {
	uint64_t server, number;
	struct mf_span body;
	struct mf_cipher_key key; /* of a session that is not known yet */
};

static void read_header(struct view *v, const uint8_t *header)
{
	memcpy(&v->server, header, ID);
	v->number = mf_load_be64(header + ID);
}

static struct mf_ss_server *find(struct mf_ss_packets *s, uint64_t id)
{
	if (s->current.known && s->current.id == id)
		return &s->current;
	return s->old.known && s->old.id == id ? &s->old : NULL;
}

static mf_err open_aes(struct mf_ss_packets *s, uint8_t *in, size_t n, struct view *v)
{
	struct mf_cipher *c = s->codec.env->cipher;
	const struct mf_ss_server *known;
	uint8_t header[HEADER];
	struct mf_room plain;

	if (n < HEADER + SS_TAG)
		return refuse(s, MF_E_SHORT, MF_PROXY_PROTOCOL);
	plain = (struct mf_room){ in + HEADER, n - HEADER - SS_TAG };
	mf_cipher_block_decrypt(c, &s->down, in, header);
	read_header(v, header);
	known = find(s, v->server);
	if (!known)
		mf_ss_session_key(&v->key, s->config, mf_span(header, ID), false);
	if (!mf_cipher_open(c, known ? &known->key : &v->key, header + NONCE_AT, mf_span(NULL, 0),
			    plain.p, n - HEADER, &plain, 1))
		return refuse(s, MF_E_AUTH, MF_PROXY_AUTH);
	v->body = mf_span(plain.p, plain.n);
	return MF_OK;
}

static mf_err open_chacha(struct mf_ss_packets *s, uint8_t *in, size_t n, struct view *v)
{
	uint8_t *text = in + MF_XAEAD_NONCE_LEN;

	if (n < MF_XAEAD_NONCE_LEN + HEADER + SS_TAG)
		return refuse(s, MF_E_SHORT, MF_PROXY_PROTOCOL);
	n -= MF_XAEAD_NONCE_LEN;
	if (!mf_xaead_open(s->config->key, in, NULL, 0, text, n, text))
		return refuse(s, MF_E_AUTH, MF_PROXY_AUTH);
	read_header(v, text);
	v->body = mf_span(text + HEADER, n - HEADER - SS_TAG);
	return MF_OK;
}

/* Is it newer than all that its session has sent? Whoever has recorded an old datagram can send it
 * once more, and what it says of the time says nothing of the server's clock. */
static bool is_new(struct mf_ss_packets *s, const struct view *v)
{
	const struct mf_ss_server *server = find(s, v->server);

	return !server || v->number >= server->next;
}

/* What is in the message: is it for us, is it of now? */
static mf_err read_body(struct mf_ss_packets *s, const struct view *v, struct mf_span *payload,
			struct mf_endpoint *from)
{
	struct mf_rd r = mf_rd_init(v->body);
	uint8_t type = mf_rd_u8(&r);
	uint64_t time = mf_rd_be64(&r);
	const uint8_t *id = mf_rd_bytes(&r, ID);

	(void)mf_rd_bytes(&r, mf_rd_be16(&r)); /* padding */
	if (r.failed || type != SS_RESPONSE)
		return refuse(s, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	if (memcmp(id, &s->id, ID))
		return refuse(s, MF_E_AUTH, MF_PROXY_REPLAY);
	if (!mf_ss_in_time(mf_ss_skew(time, wall(s))))
		return refuse(s, MF_E_AUTH, is_new(s, v) ? MF_PROXY_CLOCK : MF_PROXY_REPLAY);
	if (!mf_ss_read_packet(mf_span(r.p, mf_rd_left(&r)), from, payload))
		return refuse(s, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	return MF_OK;
}

/* Notes the datagram, after all else was found right. False: it has come before, or is of one
 * session too many. */
static bool accept(struct mf_ss_packets *s, const struct view *v)
{
	struct mf_ss_server fresh = { .known = true, .id = v->server, .key = v->key };
	struct mf_ss_server *server = find(s, v->server);
	uint64_t now = wall(s);

	if (!server) {
		if (s->old.known && now - s->old.heard < SS_FORGET)
			return false;
		server = &fresh;
	}
	if (!mf_replay_push(&server->next, server->seen, MF_SS_WINDOW_WORDS, v->number))
		return false;
	server->heard = now;
	if (server == &fresh) {
		s->old = s->current;
		s->current = fresh;
	}
	mf_cipher_key_wipe(&fresh.key);
	return true;
}

static mf_err open(struct mf_packet_codec *c, uint8_t *in, size_t n, struct mf_span *payload,
		   struct mf_endpoint *from)
{
	struct mf_ss_packets *s = self(c);
	struct view v = { .server = 0 };
	mf_err e = (has_blocks(s) ? open_aes : open_chacha)(s, in, n, &v);

	if (!e)
		e = read_body(s, &v, payload, from);
	if (!e && !accept(s, &v))
		e = refuse(s, MF_E_AUTH, MF_PROXY_REPLAY);
	mf_cipher_key_wipe(&v.key);
	return e;
}

/* ---- The codec ------------------------------------------------------------------------------- */

static void wipe(struct mf_packet_codec *c)
{
	struct mf_ss_packets *s = self(c);

	mf_cipher_key_wipe(&s->key);
	mf_cipher_key_wipe(&s->up);
	mf_cipher_key_wipe(&s->down);
	mf_cipher_key_wipe(&s->current.key);
	mf_cipher_key_wipe(&s->old.key);
}

static const struct mf_packet_ops ops = {
	.name = "shadowsocks",
	.seal = seal,
	.open = open,
	.wipe = wipe,
};

void mf_ss_packets_init_2022(struct mf_ss_packets *s)
{
	const struct mf_ss_config *cfg = s->config;
	struct mf_span id = mf_span(&s->id, ID);

	s->codec.ops = &ops;
	s->codec.env->rng.fill(s->codec.env->rng.ctx, &s->id, sizeof(s->id));
	if (!has_blocks(s))
		return;
	mf_ss_session_key(&s->key, cfg, id, false);
	mf_cipher_key_init(&s->up, mf_ss_alg(cfg), cfg->n_identities ? cfg->identity[0] : cfg->key);
	mf_cipher_key_init(&s->down, mf_ss_alg(cfg), cfg->key);
}
