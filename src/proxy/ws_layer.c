/* SPDX-License-Identifier: Apache-2.0
 *
 * ws_layer - see ws_layer.h.
 *
 * Early data: the first bytes go in the request, which saves a round trip. So the stream is open as
 * soon as the one below is, and the request waits for them; after a moment without any it goes
 * alone. What follows them waits for the answer all the same: until there is one, nobody has said
 * that they speak WebSocket.
 *
 * The end: a WebSocket is closed both ways at once, so the end of what we send cannot be said
 * alone. The codec above says it in its own way, if it has one; else it is the close frame, and
 * servers stop sending when they have that. After the server's close frame
 * there is nobody left who listens: what is written then resets the stream, as a TCP socket would.
 */
#include "proxy/ws_layer.h"

#include <stdio.h>

enum {
	EARLY_WAIT = 100, /* milliseconds; longer than codec_layer's */
	HEAD_ROOM = MF_WS_CONTROL_MAX + MF_WS_OVERHEAD, /* longest that is used up only as a whole */
	GOING_AWAY = 1001,
	NORMAL = 1000,
};

struct ws_layer {
	struct mf_layer l;
	mf_nsec due;   /* early data: when the request goes without; then when patience ends */
	mf_nsec asked; /* when the request was sent */
	bool waiting;  /* it has been, and there is no answer yet */
	struct mf_ws ws;
};

static struct ws_layer *ws_of(struct mf_layer *l)
{
	return (struct ws_layer *)l;
}

static mf_nsec now_of(const struct ws_layer *w)
{
	return w->l.of->layers->now;
}

static mf_err fault(struct ws_layer *w)
{
	char status[32];

	if (w->ws.detail || w->ws.fault != MF_PROXY_HTTP_STATUS)
		return mf_layer_fault(&w->l, w->ws.fault, w->ws.detail);
	(void)snprintf(status, sizeof(status), "status %u", w->ws.status);
	return mf_layer_fault(&w->l, MF_PROXY_HTTP_STATUS, status);
}

/* ---- The handshake --------------------------------------------------------------------------- */

static mf_err begin(struct mf_layer *l, const struct mf_target *to)
{
	(void)to;
	mf_ws_init(&ws_of(l)->ws, l->of->config, &l->of->layers->env);
	return MF_OK;
}

/* Sends the request; *taken: early data that went with it. */
static mf_err ask(struct ws_layer *w, struct mf_span early, size_t *taken)
{
	uint8_t *out = mf_layer_out(&w->l);
	size_t n;

	*taken = 0;
	if (!out)
		return MF_E_GONE;
	n = mf_ws_request(&w->ws, early, out, MF_WS_REQUEST_MAX, taken);
	if (!n)
		return mf_layer_fault(&w->l, MF_PROXY_TRANSPORT, "the request is too long");
	mf_layer_send(&w->l, out, n);
	w->asked = now_of(w);
	w->waiting = true;
	w->due = w->l.of->patience ? w->asked + w->l.of->patience : MF_NEVER;
	if (w->l.state == MF_LAYER_OPEN)
		mf_layer_at(&w->l, w->due);
	return MF_OK;
}

static void upgraded(struct ws_layer *w)
{
	w->waiting = false;
	mf_layer_at(&w->l, MF_NEVER);
	mf_proxy_health_took(w->l.of->health, MF_PROXY_SPAN_TRANSPORT, now_of(w) - w->asked);
	if (w->l.shut)
		mf_layer_again(&w->l);
	if (w->l.state == MF_LAYER_OPEN)
		mf_stream_notify(w->l.above, MF_STREAM_READABLE | MF_STREAM_WRITABLE);
	else
		mf_layer_opened(&w->l);
}

/* Reads the answer, as far as it has come. */
static mf_err hear(struct ws_layer *w)
{
	mf_err e = MF_E_SHORT;
	struct mf_codec_in in;
	ptrdiff_t end;

	in = mf_layer_fill(&w->l, MF_HTTP_HEAD_MAX, &end);
	if (!in.p)
		return MF_E_GONE;
	if (in.n)
		e = mf_ws_answer(&w->ws, &in);
	if (w->ws.skew_known)
		mf_proxy_health_skew(w->l.of->health, w->ws.skew);
	if (e != MF_OK && e != MF_E_SHORT)
		return fault(w);
	if (!mf_layer_keep(&w->l, in))
		return MF_E_GONE;
	if (e == MF_OK)
		upgraded(w);
	else if (end == MF_STREAM_EOF)
		return mf_layer_fault(&w->l, MF_PROXY_CLOSED, "before it has upgraded");
	else if (end == MF_STREAM_ERR)
		return MF_E_GONE;
	else if (end > 0 && !w->l.dry)
		mf_layer_again(&w->l);
	return MF_OK;
}

/* The layer below has opened: with early data it is the first write that asks. */
static mf_err start(struct ws_layer *w, mf_nsec now)
{
	size_t taken;

	if (!w->ws.config->early_data)
		return ask(w, mf_span(NULL, 0), &taken);
	mf_layer_opened(&w->l);
	w->due = now + EARLY_WAIT * MF_MSEC;
	mf_layer_at(&w->l, w->due);
	return MF_OK;
}

static mf_err shake_hands(struct ws_layer *w, mf_nsec now)
{
	mf_err e = MF_OK;
	size_t taken;

	if (!w->due)
		e = start(w, now);
	else if (w->l.state == MF_LAYER_OPEN && now >= w->due)
		e = w->waiting
			    ? mf_layer_fault(&w->l, MF_PROXY_TRANSPORT, "no answer to the request")
			    : ask(w, mf_span(NULL, 0), &taken);
	return e == MF_OK ? hear(w) : e;
}

/* Pongs, and a close frame if somebody has said the end. */
static mf_err reply(struct ws_layer *w)
{
	uint8_t out[MF_WS_REPLY_MAX];

	if (w->l.shut || mf_ws_must_reply(&w->ws))
		mf_layer_send(&w->l, out, mf_ws_reply(&w->ws, w->l.shut, out));
	return MF_OK;
}

static mf_err work(struct mf_layer *l, mf_nsec now)
{
	struct ws_layer *w = ws_of(l);

	return w->ws.upgraded ? reply(w) : shake_hands(w, now);
}

static enum mf_proxy_fault late(struct mf_layer *l)
{
	(void)l;
	return MF_PROXY_TRANSPORT;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

/* The first bytes go with the request, the others when it has been answered. */
static size_t write_early(struct ws_layer *w, const struct mf_span *v, size_t n)
{
	uint8_t early[MF_WS_EARLY_MAX];
	size_t taken;

	if (w->waiting)
		return 0;
	(void)ask(w, mf_span(early, mf_codec_gather(v, n, early, sizeof(early))), &taken);
	return taken;
}

static size_t write_layer(struct mf_layer *l, const struct mf_span *v, size_t n)
{
	struct ws_layer *w = ws_of(l);
	size_t taken, len;
	uint8_t *out;

	if (!w->ws.upgraded)
		return write_early(w, v, n);
	if (w->ws.closed) {
		l->error = MF_STREAM_E_RESET;
		return 0;
	}
	out = mf_layer_out(l);
	if (!out)
		return 0;
	taken = mf_ws_seal(&w->ws, v, n, out, MF_LAYER_OUT_MAX, &len);
	mf_layer_send(l, out, len);
	return taken;
}

/* The server has sent a close frame, and all before it has been read. */
static ptrdiff_t closed(struct ws_layer *w)
{
	char status[64];

	if (!w->ws.code || w->ws.code == NORMAL || w->ws.code == GOING_AWAY)
		return MF_STREAM_EOF;
	(void)snprintf(status, sizeof(status), "it closes the WebSocket with status %u", w->ws.code);
	(void)mf_layer_fault(&w->l, MF_PROXY_TRANSPORT, status);
	return MF_STREAM_ERR;
}

/* It has ended without one, which servers do; but not in the middle of a frame. */
static ptrdiff_t ended(struct ws_layer *w)
{
	if (!w->ws.left && !w->l.rest.n)
		return MF_STREAM_EOF;
	w->l.error = MF_STREAM_E_RESET;
	return MF_STREAM_ERR;
}

/* Also while the answer is waited for: so that the layer below is read until it has no more. */
static ptrdiff_t read_answer(struct ws_layer *w)
{
	if (hear(w) != MF_OK)
		return MF_STREAM_ERR;
	w->l.more = w->ws.upgraded;
	return MF_STREAM_AGAIN;
}

/* Bytes to ask for: not much more than the rooms take, so that little is held; and always the rest
 * of a head. */
static size_t wanted(const struct ws_layer *w, const struct mf_room *v, size_t n)
{
	size_t want = 0;

	for (size_t i = 0; i < n; i++)
		want += v[i].n;
	if (w->ws.left < want)
		want += HEAD_ROOM;
	return want - mf_min(want, w->l.rest.n);
}

static ptrdiff_t read_layer(struct mf_layer *l, const struct mf_room *v, size_t n)
{
	struct ws_layer *w = ws_of(l);
	struct mf_codec_in in;
	ptrdiff_t end;
	size_t got;
	mf_err e;

	if (!w->ws.upgraded)
		return read_answer(w);
	if (w->ws.closed)
		return closed(w);
	in = mf_layer_fill(l, wanted(w, v, n), &end);
	if (!in.p)
		return MF_STREAM_ERR;
	e = mf_ws_open(&w->ws, &in, v, n, &got);
	if (e != MF_OK && e != MF_E_GONE) {
		(void)fault(w);
		return MF_STREAM_ERR;
	}
	if (!mf_layer_keep(l, in))
		return MF_STREAM_ERR;
	if (mf_ws_must_reply(&w->ws))
		mf_layer_again(l);
	if (got) {
		l->more = w->ws.closed;
		return (ptrdiff_t)got;
	}
	if (w->ws.closed)
		return closed(w);
	return end == MF_STREAM_EOF ? ended(w) : end > 0 ? MF_STREAM_AGAIN : end;
}

/* ---- The end --------------------------------------------------------------------------------- */

/* `work` sends the frame, when there is a WebSocket. */
static bool shut(struct mf_layer *l)
{
	mf_layer_again(l);
	return false;
}

static void end_layer(struct mf_layer *l, bool reset)
{
	struct ws_layer *w = ws_of(l);
	uint8_t out[MF_WS_REPLY_MAX];

	if (!reset && w->ws.upgraded)
		mf_layer_send(l, out, mf_ws_reply(&w->ws, true, out));
}

static const struct mf_layer_ops ops = {
	.name = "websocket",
	.ends_both = true,
	.size = sizeof(struct ws_layer),
	.begin = begin,
	.work = work,
	.write = write_layer,
	.read = read_layer,
	.shutdown = shut,
	.end = end_layer,
	.late = late,
};

void mf_ws_layer_init(struct mf_layer_outbound *o, const struct mf_ws_config *cfg,
		      struct mf_layers *ls, struct mf_outbound *below,
		      struct mf_proxy_health *health, const char *iface, mf_nsec patience)
{
	mf_layer_outbound_init(o, &ops, ls, below, cfg, health, iface, patience);
}
