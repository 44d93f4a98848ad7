/* SPDX-License-Identifier: Apache-2.0
 *
 * frame - the frames of a WebSocket (RFC 6455 5): ours masked, the server's not.
 *
 *	byte 0: FIN, three reserved bits, opcode
 *	byte 1: MASK, length; 126: two bytes with it follow, 127: eight
 *
 * The head of a frame, and a control frame with its payload, are used when all of it is there; the
 * payload of data as it comes. No length is believed further than that.
 */
#include "base/cursor.h"
#include "proto/websocket/websocket.h"

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { FIN = 0x80, RESERVED = 0x70, OPCODE = 0x0f, MASKED = 0x80, LEN16 = 126, LEN64 = 127 };
enum { MASK_LEN = 4, CLOSE_NORMAL = 1000 };

struct head {
	uint8_t opcode;
	bool fin;
	uint64_t n; /* payload */
};

static mf_err broken(struct mf_ws *w, const char *detail)
{
	w->fault = MF_PROXY_TRANSPORT;
	w->detail = detail;
	return MF_E_MALFORMED;
}

/* ---- What we send ---------------------------------------------------------------------------- */

/* XORs src with the mask to dst, and turns the mask to where the next byte is. Eight bytes at a
 * time. */
static void mask(uint8_t *dst, const uint8_t *src, size_t n, uint8_t key[MASK_LEN])
{
	uint8_t turned[MASK_LEN];
	uint64_t wide, v;
	size_t i = 0;

	memcpy(&wide, key, MASK_LEN);
	memcpy((uint8_t *)&wide + MASK_LEN, key, MASK_LEN);
	for (; i + sizeof(v) <= n; i += sizeof(v)) {
		memcpy(&v, src + i, sizeof(v));
		v ^= wide;
		memcpy(dst + i, &v, sizeof(v));
	}
	for (; i < n; i++)
		dst[i] = src[i] ^ key[i % MASK_LEN];
	for (i = 0; i < MASK_LEN; i++)
		turned[i] = key[(i + n) % MASK_LEN];
	memcpy(key, turned, MASK_LEN);
}

/* Writes the head of a frame with a fresh mask, which is its last part; returns its length. */
static size_t put_head(struct mf_ws *w, uint8_t opcode, size_t n, uint8_t *out)
{
	size_t len = 2;

	out[0] = FIN | opcode;
	if (n < LEN16) {
		out[1] = (uint8_t)(MASKED | n);
	} else if (n <= UINT16_MAX) {
		out[1] = MASKED | LEN16;
		mf_store_be16(out + len, (uint16_t)n);
		len += 2;
	} else {
		out[1] = MASKED | LEN64;
		mf_store_be64(out + len, n);
		len += 8;
	}
	w->env->rng.fill(w->env->rng.ctx, out + len, MASK_LEN);
	return len + MASK_LEN;
}

size_t mf_ws_seal(struct mf_ws *w, const struct mf_span *v, size_t n, uint8_t *out, size_t room,
		  size_t *len)
{
	uint8_t key[MASK_LEN];
	size_t take = 0, at;

	MF_ASSERT(w->upgraded && !w->closing);
	*len = 0;
	for (size_t i = 0; i < n; i++)
		take += v[i].n;
	take = mf_min(take, room > MF_WS_OVERHEAD ? room - MF_WS_OVERHEAD : 0);
	if (!take)
		return 0;
	at = put_head(w, BINARY, take, out);
	memcpy(key, out + at - MASK_LEN, MASK_LEN);
	for (size_t left = take; left; v++) {
		size_t part = mf_min(left, v->n);

		mask(out + at, v->p, part, key);
		at += part;
		left -= part;
	}
	*len = at;
	return take;
}

static size_t put_control(struct mf_ws *w, uint8_t opcode, const uint8_t *p, size_t n, uint8_t *out)
{
	size_t len = put_head(w, opcode, n, out);
	uint8_t key[MASK_LEN];

	memcpy(key, out + len - MASK_LEN, MASK_LEN);
	mask(out + len, p, n, key);
	return len + n;
}

bool mf_ws_must_reply(const struct mf_ws *w)
{
	return !w->closing && (w->pong || w->closed);
}

size_t mf_ws_reply(struct mf_ws *w, bool close, uint8_t *out)
{
	uint8_t code[2];
	size_t len = 0;

	MF_ASSERT(w->upgraded);
	if (w->closing)
		return 0;
	if (w->pong)
		len += put_control(w, PONG, w->ping, w->n_ping, out);
	w->pong = false;
	if (close || w->closed) {
		mf_store_be16(code, CLOSE_NORMAL);
		len += put_control(w, CLOSE, code, sizeof(code), out + len);
		w->closing = true;
	}
	return len;
}

/* ---- What the server sends ------------------------------------------------------------------- */

/* A length in the shortest of its forms, which is the only one allowed (5.2). */
static mf_err read_length(struct mf_ws *w, struct mf_rd *r, uint8_t first, uint64_t *n)
{
	uint64_t least = 0;

	*n = first;
	if (first == LEN16) {
		*n = mf_rd_be16(r);
		least = LEN16;
	} else if (first == LEN64) {
		*n = mf_rd_be64(r);
		least = UINT16_MAX + 1;
	}
	if (r->failed)
		return MF_E_SHORT;
	return *n >= least && *n <= INT64_MAX ? MF_OK : broken(w, "a frame's length is malformed");
}

static mf_err read_head(struct mf_ws *w, struct mf_rd *r, struct head *h)
{
	uint8_t first = mf_rd_u8(r), second = mf_rd_u8(r);

	if (r->failed)
		return MF_E_SHORT;
	*h = (struct head){ .opcode = first & OPCODE, .fin = first & FIN };
	if (first & RESERVED)
		return broken(w, "a frame has reserved bits");
	if (second & MASKED)
		return broken(w, "a frame is masked");
	return read_length(w, r, second, &h->n);
}

static mf_err data_frame(struct mf_ws *w, const struct head *h)
{
	if (h->opcode > BINARY)
		return broken(w, "a frame has a reserved opcode");
	if ((h->opcode == CONTINUATION) != w->in_message)
		return broken(w, "a frame is out of sequence");
	w->in_message = !h->fin;
	w->left = h->n;
	return MF_OK;
}

static mf_err close_frame(struct mf_ws *w, struct mf_span body)
{
	if (body.n == 1)
		return broken(w, "a close frame has half a status");
	w->code = body.n ? mf_load_be16(body.p) : 0;
	w->closed = true;
	return MF_OK;
}

static mf_err control_frame(struct mf_ws *w, const struct head *h, struct mf_rd *r)
{
	struct mf_span body = { .n = (size_t)h->n };

	if (h->opcode > PONG)
		return broken(w, "a frame has a reserved opcode");
	if (!h->fin || h->n > MF_WS_CONTROL_MAX)
		return broken(w, "a control frame is in pieces or too long");
	body.p = mf_rd_bytes(r, body.n);
	if (!body.p)
		return MF_E_SHORT;
	if (h->opcode == CLOSE)
		return close_frame(w, body);
	if (h->opcode == PING) { /* only the last one needs an answer (5.5.3) */
		memcpy(w->ping, body.p, body.n);
		w->n_ping = (uint8_t)body.n;
		w->pong = true;
	}
	return MF_OK;
}

/* The next head of a data frame, or a whole control frame. */
static mf_err next_frame(struct mf_ws *w, struct mf_codec_in *in)
{
	struct mf_rd r;
	struct head h;
	mf_err err;

	if (!in->n)
		return MF_E_SHORT;
	r = mf_rd_init(mf_span(in->p, in->n));
	err = read_head(w, &r, &h);
	if (!err)
		err = h.opcode >= CLOSE ? control_frame(w, &h, &r) : data_frame(w, &h);
	if (!err)
		mf_codec_skip(in, in->n - mf_rd_left(&r));
	return err;
}

/* Payload of the frame into what is left of the rooms: *v, *n and *at, which is a place in the
 * first. */
static size_t take_payload(struct mf_ws *w, struct mf_codec_in *in, const struct mf_room **v,
			   size_t *n, size_t *at)
{
	size_t total = 0;

	while (*n && in->n && w->left) {
		size_t part = mf_min((*v)->n - *at, in->n);

		if (part > w->left)
			part = (size_t)w->left;
		memcpy((*v)->p + *at, in->p, part);
		mf_codec_skip(in, part);
		w->left -= part;
		total += part;
		*at += part;
		if (*at == (*v)->n) {
			(*v)++;
			(*n)--;
			*at = 0;
		}
	}
	return total;
}

mf_err mf_ws_open(struct mf_ws *w, struct mf_codec_in *in, const struct mf_room *v, size_t n,
		  size_t *got)
{
	size_t total = 0, at = 0;

	*got = 0;
	MF_ASSERT(w->upgraded);
	while (!w->closed) {
		mf_err err;

		total += take_payload(w, in, &v, &n, &at);
		if (w->left)
			break;
		err = next_frame(w, in);
		if (err == MF_E_SHORT)
			break;
		if (err)
			return err;
	}
	*got = total;
	if (!w->closed)
		return MF_OK;
	mf_codec_skip(in, in->n); /* what follows a close frame means nothing */
	return MF_E_GONE;
}
