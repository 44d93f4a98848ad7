/* SPDX-License-Identifier: Apache-2.0
 *
 * What a WebSocket server sends: the answer to the handshake, then frames. Once in one piece, and
 * once in pieces and rooms whose sizes the first byte says; both must end in the same way and have
 * given the same payload.
 */
#include "proto/websocket/websocket.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum { INPUT_MAX = 64 * 1024 };

struct run {
	struct mf_ws ws;
	uint8_t bytes[INPUT_MAX]; /* come, and not used yet: from `at` on */
	uint8_t payload[INPUT_MAX];
	struct mf_codec_in in;
	size_t n_payload;
	mf_err err;
};

/* The key that the seeds in the corpus answer to (RFC 6455 1.3). */
static void nonce(void *ctx, void *out, size_t n)
{
	(void)ctx;
	memcpy(out, "the sample nonce", mf_min(n, 16));
}

static uint64_t wall(void *ctx)
{
	(void)ctx;
	return 1700000000;
}

static const struct mf_codec_env env = { .rng = { .fill = nonce }, .wall = wall };
static const struct mf_ws_config config = { .host = "h", .path = "/" };

static void begin(struct run *r)
{
	uint8_t out[512];
	size_t taken;

	mf_ws_init(&r->ws, &config, &env);
	MF_ASSERT(mf_ws_request(&r->ws, mf_span(NULL, 0), out, sizeof(out), &taken));
	r->in = (struct mf_codec_in){ .p = r->bytes };
	r->n_payload = 0;
	r->err = MF_OK;
}

static void reply(struct mf_ws *w)
{
	uint8_t out[MF_WS_REPLY_MAX];
	bool must = mf_ws_must_reply(w);
	size_t n = mf_ws_reply(w, false, out);

	MF_ASSERT((n > 0) == must && n <= sizeof(out) && !mf_ws_must_reply(w));
}

/* Reads until nothing moves any more, with rooms of at most `room` bytes. */
static void read_all(struct run *r, size_t room)
{
	size_t got, before;

	if (!r->ws.upgraded) {
		r->err = mf_ws_answer(&r->ws, &r->in);
		if (r->err == MF_E_SHORT)
			r->err = MF_OK;
	}
	if (!r->ws.upgraded || r->err)
		return;
	do {
		uint8_t *at = r->payload + r->n_payload;
		struct mf_room v[2] = { { at, room }, { at + room, room } };

		before = r->in.n;
		MF_ASSERT(INPUT_MAX - r->n_payload >= 2 * room);
		r->err = mf_ws_open(&r->ws, &r->in, v, 2, &got);
		MF_ASSERT(got <= 2 * room && r->in.n <= before && got <= before - r->in.n);
		MF_ASSERT(!r->err || r->err == MF_E_GONE || (r->ws.fault && got == 0));
		r->n_payload += got;
		if (!r->err || r->err == MF_E_GONE)
			reply(&r->ws);
	} while (!r->err && r->in.n < before);
}

static void run(struct run *r, const uint8_t *in, size_t n, size_t step, size_t room)
{
	begin(r);
	for (size_t at = 0; at < n && !r->err; at += step) {
		size_t k = mf_min(step, n - at);

		memcpy(r->in.p + r->in.n, in + at, k);
		r->in.n += k;
		read_all(r, room);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	static struct run whole, pieces;
	size_t step, room;

	if (n < 1 || n > INPUT_MAX / 2)
		return 0;
	step = 1 + in[0] % 16;
	room = 1 + in[0] / 16;
	run(&whole, in + 1, n - 1, n, INPUT_MAX / 4);
	run(&pieces, in + 1, n - 1, step, room);
	MF_ASSERT(whole.err == pieces.err && whole.ws.fault == pieces.ws.fault);
	MF_ASSERT(whole.ws.detail == pieces.ws.detail && whole.ws.code == pieces.ws.code);
	MF_ASSERT(whole.ws.status == pieces.ws.status && whole.ws.left == pieces.ws.left);
	if (whole.err && whole.err != MF_E_GONE)
		return 0; /* payload in front of a fault may be lost */
	MF_ASSERT(whole.n_payload == pieces.n_payload);
	MF_ASSERT(memcmp(whole.payload, pieces.payload, whole.n_payload) == 0);
	return 0;
}
