/* SPDX-License-Identifier: Apache-2.0
 *
 * codec_layer - see codec_layer.h.
 *
 * The first flight: most protocols take request and payload in one write, which is one round trip
 * less and shows less of itself than a request alone. So the stream is open as soon as the one
 * below is, and the request waits a moment for the app's first bytes; without them it goes alone,
 * for the target may be the one who speaks first. Protocols with a handshake are open when the
 * proxy has said yes, and what it says of the target is what the app sees.
 *
 * Silence: a proxy that does not know our key often says nothing, so a connection on which nothing
 * comes after something has been sent is reset, unless the proxy has since said something to
 * another one: then it is the target that is silent. It is likewise when a connection ends before
 * its first byte (mf_proxy_health_blame). Another one may be another worker's.
 *
 * The end of what an app says: for Shadowsocks 2022, SOCKS5 and HTTP it is a FIN, which goes on at
 * once. The servers of the others end both directions with it: v2ray when nothing has come for a
 * second; shadowsocks-libev, trojan and whoever is behind a WebSocket at once. An app that has
 * asked and ended, and waits for its answer (`nc -N`), would lose it; so its end waits, too, until
 * nothing has come for a while. Most apps end when they have heard all: then a moment is enough.
 *
 * And when both directions have ended, v2ray forgets what it has taken from us and not passed on
 * yet. So a connection that has just carried something up stays a moment longer than its session.
 */
#include "proxy/codec_layer.h"

#include <stdlib.h>

#include "base/count.h"

enum {
	PAYLOAD_WAIT = 50, /* milliseconds that the request waits for payload */
	END_ASKED = 5,     /* seconds that an end waits for an answer, ... */
	END_ANSWERED = 1,  /* ... for more of one that has come, or for what was said to arrive */
	ROOMS = 16,        /* that one read fills */
	ROUNDS = 64,       /* of reading and opening in one call */
	MEAL = 16 * 1024,  /* bytes that are asked for when the end of a message is missing */
};

struct codec_layer {
	struct mf_layer l;
	struct mf_proxy_target to;
	char *name;    /* the target's, until the request has been written */
	mf_nsec sent;  /* when something was first sent, 0: nothing yet */
	mf_nsec quiet; /* since when it is waited for a first byte */
	mf_nsec hold;  /* the end is kept until nothing has come for so long; 0: it is not */
	mf_nsec last;  /* when something has last come, or the end */
	mf_nsec said;  /* when payload last went */
	bool spoken;   /* payload of the app's has gone */
	bool asked;    /* the app has said something, and has not been told anything since */
	bool heard;    /* the proxy has answered */
	bool ended;    /* the server has said its end in the protocol */
	bool hungry;   /* what is held was not enough for any payload */
	struct mf_codec *codec;
};
static_assert(sizeof(struct codec_layer) % 8 == 0, "the codec's struct follows");

static struct codec_layer *codec_of(struct mf_layer *l)
{
	return (struct codec_layer *)l;
}

static const struct mf_codec_layer_config *config_of(const struct mf_layer *l)
{
	return l->of->config;
}

static mf_nsec now_of(const struct mf_layer *l)
{
	return l->of->layers->now;
}

/* ---- What has been heard, and what has not --------------------------------------------------- */

/* When `work` is wanted; for an end that is kept, too. */
static void want_work(struct codec_layer *c, mf_nsec when)
{
	mf_layer_at(&c->l, c->hold ? mf_min(when, c->last + c->hold) : when);
}

static void note_bytes(struct codec_layer *c)
{
	struct mf_layer_outbound *o = c->l.of;
	mf_nsec now = now_of(&c->l);

	mf_proxy_life_note(config_of(&c->l)->life, now);
	if (c->heard)
		return;
	c->heard = true;
	mf_proxy_health_ok(o->health, o->layers->log, o->iface, now);
	if (c->sent)
		mf_proxy_health_took(o->health, MF_PROXY_SPAN_FIRST_BYTE, now - c->sent);
	if (c->codec->begun)
		want_work(c, MF_NEVER);
}

/* The wait for an answer begins with the request, and once more with the app's first bytes. */
static void note_sent(struct codec_layer *c, bool payload)
{
	mf_nsec limit = config_of(&c->l)->first_byte_timeout;

	if (payload) {
		c->asked = true;
		c->said = now_of(&c->l);
	}
	if (!c->codec->begun || c->spoken || (c->sent && !payload))
		return;
	c->quiet = now_of(&c->l);
	if (!c->sent)
		c->sent = c->quiet;
	c->spoken = payload;
	free(c->name);
	c->name = NULL;
	want_work(c, limit && !c->heard ? c->quiet + limit : MF_NEVER);
}

static mf_err fault(struct codec_layer *c)
{
	const struct mf_codec_kind *kind = config_of(&c->l)->kind;
	char detail[MF_PROXY_DETAIL_MAX] = "";

	if (c->codec->fault == MF_PROXY_CLOCK)
		mf_proxy_health_skew(c->l.of->health, c->codec->skew);
	if (mf_proxy_fault_is_target(c->codec->fault))
		mf_proxy_life_note(config_of(&c->l)->life, now_of(&c->l));
	if (kind->detail)
		kind->detail(c->codec, detail);
	return mf_layer_fault(&c->l, c->codec->fault, detail);
}

/* The connection has ended before its first byte: is that the proxy's doing? Not when it follows our own end. */
static bool blame_for_end(struct codec_layer *c)
{
	bool our_end = c->l.shut && !c->hold;

	return !c->heard && c->sent && !c->codec->proven && !our_end &&
	       mf_proxy_health_blame(c->l.of->health, config_of(&c->l)->life, c->sent, now_of(&c->l));
}

static void failed(struct mf_layer *l)
{
	struct codec_layer *c = codec_of(l);

	if (l->error == MF_STREAM_E_RESET && blame_for_end(c))
		(void)mf_layer_fault(l, MF_PROXY_CLOSED, "reset");
}

/* From the first bytes on, if the proxy has never answered; else from the last ones: an upload takes its time. */
static mf_nsec silent_since(const struct codec_layer *c)
{
	bool answers = mf_proxy_life_since(config_of(&c->l)->life, 0);

	return answers ? mf_max(c->quiet, c->said) : c->quiet;
}

/* An app that has said nothing waits for its target to speak, or has only opened a connection for later: if the proxy
 * has ever answered, that is nobody's fault. */
static mf_err check_silence(struct codec_layer *c, mf_nsec now)
{
	mf_nsec limit = config_of(&c->l)->first_byte_timeout;

	if (c->heard || !c->sent || !limit)
		return MF_OK;
	if (now < silent_since(c) + limit) {
		want_work(c, silent_since(c) + limit);
		return MF_OK;
	}
	if (!c->spoken && mf_proxy_life_since(config_of(&c->l)->life, 0))
		return MF_OK;
	if (!mf_proxy_life_since(config_of(&c->l)->life, c->quiet))
		return mf_layer_fault(&c->l, MF_PROXY_SILENT, NULL);
	c->quiet = now;
	want_work(c, now + limit);
	return MF_OK;
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* Payload, or without it the request or a handshake's next message. */
static size_t seal(struct codec_layer *c, const struct mf_span *v, size_t n)
{
	uint8_t *out = mf_layer_out(&c->l);
	size_t took, len = 0;

	if (!out)
		return 0;
	took = c->codec->ops->seal(c->codec, v, n, out, MF_LAYER_OUT_MAX, &len);
	MF_ASSERT(len <= MF_LAYER_OUT_MAX);
	mf_layer_send(&c->l, out, len);
	note_sent(c, took > 0);
	return took;
}

static size_t write_layer(struct mf_layer *l, const struct mf_span *v, size_t n)
{
	struct codec_layer *c = codec_of(l);
	size_t took;

	if (!c->codec->raw_up)
		return seal(c, v, n);
	took = mf_layer_pass(l, v, n);
	note_sent(c, took > 0);
	return took;
}

/* How long the end is kept. */
static mf_nsec end_waits(const struct codec_layer *c)
{
	const struct mf_codec_ops *codec = c->codec->ops;

	if (!codec->ends_both && !mf_layer_ends_both(&c->l))
		return 0;
	return (c->asked && !c->ended ? END_ASKED : END_ANSWERED) * MF_SEC;
}

/* True: it is the end below, too. */
static bool say_end(struct codec_layer *c)
{
	uint8_t *out;

	c->hold = 0;
	if (!c->codec->ops->has_end)
		return true;
	out = mf_layer_out(&c->l);
	if (out)
		mf_layer_send(&c->l, out, c->codec->ops->finish(c->codec, out, MF_LAYER_OUT_MAX));
	return false;
}

static bool shut(struct mf_layer *l)
{
	struct codec_layer *c = codec_of(l);

	if (!c->codec->begun)
		(void)seal(c, NULL, 0);
	c->hold = end_waits(c);
	if (!c->hold)
		return say_end(c);
	c->last = now_of(l);
	want_work(c, l->at);
	return false;
}

static void look_at_end(struct codec_layer *c, mf_nsec now)
{
	if (!c->hold)
		return;
	if (now < c->last + c->hold)
		want_work(c, c->l.at);
	else
		c->l.end_below = say_end(c);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static mf_err begin(struct mf_layer *l, const struct mf_target *to)
{
	const struct mf_codec_layer_config *cfg = config_of(l);
	struct codec_layer *c = codec_of(l);

	c->codec = (void *)(c + 1);
	c->to = mf_proxy_target(to->name, &to->addr);
	if (c->to.name) {
		c->name = malloc(c->to.name_n);
		if (!c->name)
			return mf_layer_fault(l, MF_PROXY_RESOURCES, NULL);
		memcpy(c->name, c->to.name, c->to.name_n);
		c->to.name = c->name;
	}
	cfg->kind->init(c->codec, cfg->config, &l->of->layers->env, &c->to);
	return MF_OK;
}

/* Hears what there is of a handshake. MF_E_AGAIN: more must come. */
static mf_err hear(struct codec_layer *c)
{
	struct mf_codec_in in;
	ptrdiff_t end;
	size_t got = 0;
	mf_err e;

	in = mf_layer_fill(&c->l, MF_CODEC_OUT_MIN, &end);
	if (!in.p)
		return MF_E_GONE;
	e = c->codec->ops->open(c->codec, &in, NULL, 0, &got);
	if (e != MF_OK && e != MF_E_GONE)
		return fault(c);
	if (!mf_layer_keep(&c->l, in))
		return MF_E_GONE;
	if (c->codec->opened)
		return MF_OK;
	if (e == MF_E_GONE || end == MF_STREAM_EOF)
		return mf_layer_fault(&c->l, MF_PROXY_CLOSED, "during the handshake");
	if (in.n == MF_CODEC_IN_MAX)
		return mf_layer_fault(&c->l, MF_PROXY_PROTOCOL, "an answer without end");
	return end == MF_STREAM_ERR ? MF_E_GONE : end == MF_STREAM_AGAIN ? MF_E_AGAIN : MF_OK;
}

static mf_err shake_hands(struct codec_layer *c)
{
	mf_err e = MF_OK;

	while (e == MF_OK && !c->codec->opened) {
		(void)seal(c, NULL, 0);
		e = c->l.error ? MF_E_GONE : hear(c);
	}
	if (e == MF_E_AGAIN)
		return MF_OK;
	if (e != MF_OK)
		return e;
	note_bytes(c);
	mf_layer_opened(&c->l);
	return MF_OK;
}

static mf_err work(struct mf_layer *l, mf_nsec now)
{
	struct codec_layer *c = codec_of(l);
	mf_err e;

	if (l->state == MF_LAYER_WORKING) {
		if (c->codec->ops->handshake)
			return shake_hands(c);
		mf_layer_opened(l);
		mf_layer_at(l, now + PAYLOAD_WAIT * MF_MSEC);
		return MF_OK;
	}
	if (!c->codec->begun && now >= l->opened + PAYLOAD_WAIT * MF_MSEC)
		(void)seal(c, NULL, 0);
	e = check_silence(c, now);
	if (e == MF_OK)
		look_at_end(c, now);
	return e;
}

static enum mf_proxy_fault late(struct mf_layer *l)
{
	(void)l;
	return MF_PROXY_SILENT;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Rooms that are being filled. */
struct rooms {
	struct mf_room v[ROOMS];
	size_t n, at, left, got;
};

static void set_rooms(struct rooms *r, const struct mf_room *v, size_t n)
{
	r->n = mf_min(n, ROOMS);
	r->at = r->left = r->got = 0;
	for (size_t i = 0; i < r->n; i++) {
		r->v[i] = v[i];
		r->left += v[i].n;
	}
}

static void filled(struct rooms *r, size_t n)
{
	MF_ASSERT(n <= r->left);
	r->got += n;
	r->left -= n;
	while (n) {
		struct mf_room *v = &r->v[r->at];
		size_t part = mf_min(n, v->n);

		v->p += part;
		v->n -= part;
		n -= part;
		r->at += !v->n;
	}
}

/* No byte comes any more. */
static ptrdiff_t ended(struct codec_layer *c)
{
	if (c->l.rest.n) { /* in the middle of a message */
		c->l.error = MF_STREAM_E_RESET;
		return MF_STREAM_ERR;
	}
	if (!blame_for_end(c)) {
		c->ended = true;
		return MF_STREAM_EOF;
	}
	(void)mf_layer_fault(&c->l, MF_PROXY_CLOSED, NULL);
	return MF_STREAM_ERR;
}

/* Bytes as they are. What take would return. */
static ptrdiff_t take_raw(struct codec_layer *c, struct rooms *r)
{
	ptrdiff_t got = mf_layer_take(&c->l, r->v + r->at, r->n - r->at);

	if (got > 0) {
		note_bytes(c);
		filled(r, (size_t)got);
	}
	return got;
}

/* Bytes to ask for: what the rooms take, with what is held, so that no more than a message is held;
 * it may be the first part of one, of which only the codec knows the length. */
static size_t wanted(const struct codec_layer *c, const struct rooms *r)
{
	size_t want = r->left + r->left / 32 + 256;

	if (c->codec->raw_down)
		return 0;
	if (c->codec->need > c->l.rest.n && mf_layer_pressed(&c->l))
		return c->codec->need - c->l.rest.n;
	return c->hungry ? mf_max(want, MEAL) : want - mf_min(want, c->l.rest.n);
}

/* What has come, opened. What fill says of the end; _ERR also after a fault. */
static ptrdiff_t take_sealed(struct codec_layer *c, struct rooms *r)
{
	struct mf_codec_in in;
	size_t got = 0;
	ptrdiff_t end;
	mf_err e;

	in = mf_layer_fill(&c->l, wanted(c, r), &end);
	if (!in.p)
		return MF_STREAM_ERR;
	e = c->codec->ops->open(c->codec, &in, r->v + r->at, r->n - r->at, &got);
	if (e != MF_OK && e != MF_E_GONE) {
		(void)fault(c);
		return MF_STREAM_ERR;
	}
	if (got || (c->codec->proven && !c->heard))
		note_bytes(c);
	filled(r, got);
	c->hungry = !got && in.n;
	if (e == MF_E_GONE) {
		c->ended = true;
		return MF_STREAM_EOF;
	}
	if (!mf_layer_keep(&c->l, in))
		return MF_STREAM_ERR;
	if (in.n == MF_CODEC_IN_MAX && !got) {
		(void)mf_layer_fault(&c->l, MF_PROXY_PROTOCOL, "a message without end");
		return MF_STREAM_ERR;
	}
	return end;
}

static ptrdiff_t read_layer(struct mf_layer *l, const struct mf_room *v, size_t n)
{
	struct codec_layer *c = codec_of(l);
	struct rooms r;
	ptrdiff_t end = 1;

	if (c->ended)
		return MF_STREAM_EOF;
	set_rooms(&r, v, n);
	for (unsigned i = 0; i < ROUNDS && r.left && end > 0; i++) {
		end = c->codec->raw_down && !l->rest.n ? take_raw(c, &r) : take_sealed(c, &r);
		if (l->dry)
			break;
	}
	if (l->error)
		return MF_STREAM_ERR;
	l->more = c->ended || n > r.n;
	if (r.got) {
		c->asked = false;
		c->last = now_of(l);
		return (ptrdiff_t)r.got;
	}
	return end == MF_STREAM_EOF && !c->ended ? ended(c) : end > 0 ? MF_STREAM_AGAIN : end;
}

/* ---- The end --------------------------------------------------------------------------------- */

/* What the app said last, when both have ended, but the server keeps the connection? */
static bool may_be_forgotten(const struct codec_layer *c)
{
	return c->codec->ops->ends_both && c->ended && !c->l.end && c->said &&
	       now_of(&c->l) < c->said + END_ANSWERED * MF_SEC;
}

static void end_layer(struct mf_layer *l, bool reset)
{
	struct codec_layer *c = codec_of(l);

	if (!reset && may_be_forgotten(c))
		l->linger = END_ANSWERED * MF_SEC;
	if (c->codec->ops)
		c->codec->ops->wipe(c->codec);
	free(c->name);
}

static const struct mf_layer_ops ops = {
	.name = "codec",
	.step = "answer",
	.size = sizeof(struct codec_layer),
	.begin = begin,
	.work = work,
	.write = write_layer,
	.read = read_layer,
	.shutdown = shut,
	.end = end_layer,
	.failed = failed,
	.late = late,
};

void mf_codec_layer_init(struct mf_layer_outbound *o, const struct mf_codec_layer_config *cfg,
			 struct mf_layers *ls, struct mf_outbound *below,
			 struct mf_proxy_health *health, const char *iface, mf_nsec patience)
{
	mf_layer_outbound_init(o, &ops, ls, below, cfg, health, iface, patience);
	o->extra = cfg->kind->size;
}
