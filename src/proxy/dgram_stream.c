/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram_stream - datagrams as frames in streams to the server. Where the protocol names a target in
 * each frame (Trojan) a mapping has one stream, and whoever writes to the proxy's port reaches the
 * app (a full cone). Where it names one for the stream (VMess, VLESS) there is a stream for each
 * target, and only that one's datagrams come back (symmetric): those that were used last are kept.
 *
 * A stream is opened with the first datagram, which goes out with the request in one write. What
 * comes before the server has been reached waits, within bounds; when the server takes no more,
 * datagrams are dropped, as on a congested link. A stream that nobody uses ends after a while, one
 * that fails is opened anew by the next datagram.
 */
#include "proxy/mapping.h"

#include <stdlib.h>

enum {
	TARGETS_MAX = 64,     /* streams of one mapping */
	STREAMS_MAX = 1024,   /* of one interface and worker */
	READ_MAX = 16 * 1024, /* bytes at a time */
	ROUNDS = 16,          /* of reading in one call: not all that comes is datagrams */
	RUN_SEGMENTS = 64,    /* datagrams in a super-packet to the app, and their bytes */
	RUN_BYTES = 65000,
};
#define IDLE    (120 * MF_SEC) /* servers end them after some minutes themselves */
#define SUSPECT (20 * MF_SEC)  /* ended sooner without an answer: something is wrong */

struct fan;

struct flow {
	struct mf_stream s;
	struct fan *of;
	struct mf_codec *codec; /* behind it */
	struct mf_proxy_target to;
	struct flow *newer, *older; /* by use */
	struct flow *next_ready;
	bool listed;   /* among the ready ones */
	bool open;     /* OPENED has been told */
	bool readable; /* more may have come than has been read */
	bool partial;  /* what is held of it is the beginning of a frame, or nothing */
	bool ended;    /* nothing will be read any more */
	bool proven;   /* a datagram has come */
	/* The last one that began a packet. */
	uint32_t last_n;
	struct mf_endpoint last_from;
	struct mf_waiting waiting;
	struct mf_held up, down; /* not taken by the stream; not used yet */
	struct mf_timer idle;
	mf_nsec began, used;
};

struct fan {
	struct mf_mapping m;
	struct flow *newest, *oldest;
	uint32_t n;
	struct flow *ready, **ready_end;
};

static struct fan *fan_of(struct mf_mapping *m)
{
	return MF_CONTAINER_OF(m, struct fan, m);
}

static struct mf_layers *layers_of(const struct flow *f)
{
	return f->of->m.of->layers;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static void list_ready(struct flow *f)
{
	if (f->listed)
		return;
	f->listed = true;
	f->next_ready = NULL;
	*f->of->ready_end = f;
	f->of->ready_end = &f->next_ready;
}

static void unlist_ready(struct flow *f)
{
	struct flow **at = &f->of->ready;

	if (!f->listed)
		return;
	while (*at != f)
		at = &(*at)->next_ready;
	*at = f->next_ready;
	if (!*at)
		f->of->ready_end = at;
	f->listed = false;
}

static void link_newest(struct flow *f)
{
	struct fan *a = f->of;

	f->newer = NULL;
	f->older = a->newest;
	if (a->newest)
		a->newest->newer = f;
	else
		a->oldest = f;
	a->newest = f;
	a->n++;
}

static void unlink_flow(struct flow *f)
{
	struct fan *a = f->of;

	if (f->newer)
		f->newer->older = f->older;
	else
		a->newest = f->older;
	if (f->older)
		f->older->newer = f->newer;
	else
		a->oldest = f->newer;
	a->n--;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void wake(struct mf_stream *s)
{
	struct flow *f = MF_CONTAINER_OF(s, struct flow, s);

	list_ready(f);
	mf_mapping_notify(&f->of->m);
}

static void close_flow(struct flow *f, bool reset)
{
	struct mf_mapping *m = &f->of->m;
	struct mf_layers *ls = layers_of(f);

	f->s.out->ops->stream_close(&f->s, reset);
	mf_waiting_drop(&f->waiting, m);
	mf_mapping_let_go(m, &f->up);
	mf_mapping_let_go(m, &f->down);
	mf_timer_disarm(&ls->wheel, &f->idle);
	f->codec->ops->wipe(f->codec);
	unlist_ready(f);
	unlink_flow(f);
	m->of->n_streams--;
	free(f);
}

/* It has failed; MF_PROXY_NONE: those below have said why. */
static void fail_flow(struct flow *f, enum mf_proxy_fault why, const char *detail)
{
	mf_mapping_fault(&f->of->m, why, detail);
	close_flow(f, true);
}

static void idle(struct mf_timer *t, void *ctx, mf_nsec now)
{
	struct flow *f = MF_CONTAINER_OF(t, struct flow, idle);

	(void)ctx;
	if (now >= f->used + IDLE)
		close_flow(f, false);
	else
		mf_timer_arm(&layers_of(f)->wheel, t, f->used + IDLE);
}

static struct flow *make(struct fan *a, const struct mf_endpoint *to)
{
	struct mf_dgrams *x = a->m.of;
	size_t head = mf_round_up(sizeof(struct flow), _Alignof(max_align_t));
	struct flow *f = calloc(1, head + x->proto->codec_size);

	if (!f)
		return NULL;
	f->of = a;
	f->to = (struct mf_proxy_target){ .addr = *to };
	f->codec = x->proto->stream((uint8_t *)f + head, x->config, &x->layers->env, &f->to);
	f->s = (struct mf_stream){ .out = x->transport, .wake = wake };
	f->partial = true;
	f->idle.fire = idle;
	f->began = f->used = x->layers->now;
	return f;
}

/* Room for one more, of this mapping and of all. */
static bool make_room(struct fan *a)
{
	if (a->n == TARGETS_MAX || (a->n && a->m.of->n_streams >= STREAMS_MAX))
		close_flow(a->oldest, false);
	return a->m.of->n_streams < STREAMS_MAX;
}

/* NULL: *why says why not. */
static struct flow *open_flow(struct fan *a, const struct mf_endpoint *to, enum mf_drop *why)
{
	struct mf_dgrams *x = a->m.of;
	struct mf_target target = { .addr = *to, .app.addr.family = to->addr.family };
	struct flow *f;

	*why = MF_DROP_OUTBOUND_DOWN;
	if (!mf_mapping_may_try(&a->m))
		return NULL;
	if (!make_room(a) || !(f = make(a, to))) {
		*why = MF_DROP_OUTBOUND_BUSY;
		return NULL;
	}
	if (x->transport->ops->stream_open(x->transport, &f->s, &target)) {
		unlist_ready(f);
		f->codec->ops->wipe(f->codec);
		free(f);
		mf_mapping_fault(&a->m, MF_PROXY_NONE, NULL);
		return NULL;
	}
	link_newest(f);
	x->n_streams++;
	mf_timer_arm(&x->layers->wheel, &f->idle, f->used + IDLE);
	return f;
}

/* ---- Up -------------------------------------------------------------------------------------- */

static bool serves(const struct flow *f, const struct mf_endpoint *to)
{
	return f->codec->ops->dgram_any || mf_endpoint_equal(&f->to.addr, to);
}

static struct flow *find(struct fan *a, const struct mf_endpoint *to)
{
	struct flow *f = a->newest;

	while (f && !serves(f, to))
		f = f->older;
	if (f && f != a->newest) {
		unlink_flow(f);
		link_newest(f);
	}
	return f;
}

/* Frames of one stream that go out in one write. */
struct outbox {
	struct flow *f; /* NULL: none, or it has failed */
	uint8_t *out;
	size_t n;
};

static void flush(struct outbox *b)
{
	struct flow *f = b->f;
	size_t n = b->n;

	b->n = 0;
	if (f && n && !mf_mapping_write(&f->of->m, &f->s, &f->up, mf_span(b->out, n))) {
		b->f = NULL;
		fail_flow(f, MF_PROXY_RESOURCES, "datagrams that wait to be sent");
	}
}

static enum mf_drop seal(struct outbox *b, const struct mf_proxy_target *to, struct mf_span payload)
{
	struct mf_codec *c = b->f->codec;
	size_t n = c->ops->seal_dgram(c, to, payload, b->out + b->n, MF_LAYER_OUT_MAX - b->n);

	if (!n && b->n) {
		flush(b);
		if (!b->f || b->f->up.n)
			return MF_DROP_OUTBOUND_BUSY;
		n = c->ops->seal_dgram(c, to, payload, b->out, MF_LAYER_OUT_MAX);
	}
	b->n += n;
	return n ? MF_DROP_NONE : MF_DROP_PROXY_LENGTH;
}

/* Each datagram of p into the outbox. */
static enum mf_drop seal_packet(struct fan *a, struct outbox *b, const struct mf_pkt *p)
{
	struct mf_proxy_target to = { .addr = p->remote };
	uint32_t stride = mf_mapping_stride(p), off = 0, n;
	enum mf_drop why = MF_DROP_NONE, one;

	do {
		n = (uint32_t)mf_min(stride, p->len - off);
		one = b->f ? seal(b, &to, mf_span(p->data + off, n)) : MF_DROP_OUTBOUND_DOWN;
		if (one) {
			mf_mapping_count_lost(&a->m, 1);
			why = one;
		} else {
			mf_count(&a->m.of->health->count.datagrams_up, 1);
		}
		off += n;
	} while (off < p->len);
	return why;
}

/* What has waited for the stream; false: it has failed. */
static bool send_waiting(struct flow *f, uint8_t *out)
{
	struct outbox b = { .f = f, .out = out };
	struct fan *a = f->of;
	struct mf_pkt *p;

	while (b.f && mf_waiting_take(&f->waiting, &a->m, &p, 1)) {
		(void)seal_packet(a, &b, p);
		mf_pkt_free(p);
	}
	flush(&b);
	return b.f != NULL;
}

/* What has been told of the stream; false: it is gone. */
static bool heed(struct flow *f, const struct mf_mapping_work *w)
{
	uint32_t ready = f->s.ready;

	f->s.ready = 0;
	if (ready & MF_STREAM_FAILED) {
		fail_flow(f, MF_PROXY_NONE, NULL);
		return false;
	}
	f->open |= (ready & MF_STREAM_OPENED) != 0;
	f->readable |= (ready & MF_STREAM_READABLE) != 0;
	if (!f->open || !(ready & (MF_STREAM_OPENED | MF_STREAM_WRITABLE)))
		return true;
	if (!mf_mapping_write(&f->of->m, &f->s, &f->up, mf_span(w->out, 0))) {
		fail_flow(f, MF_PROXY_RESOURCES, NULL);
		return false;
	}
	return f->up.n || send_waiting(f, w->out);
}

static enum mf_drop send_packet(struct fan *a, struct outbox *b, const struct mf_mapping_work *w,
				const struct mf_pkt *p)
{
	enum mf_drop why = MF_DROP_OUTBOUND_DOWN;
	struct flow *f;

	if (!b->f || !serves(b->f, &p->remote)) {
		flush(b);
		f = find(a, &p->remote);
		if (f && f->s.ready && !heed(f, w))
			f = NULL;
		else if (!f)
			f = open_flow(a, &p->remote, &why);
		b->f = f;
	}
	f = b->f;
	if (f)
		f->used = layers_of(f)->now;
	if (f && (!f->open || f->waiting.n))
		why = mf_waiting_put(&f->waiting, &a->m, p);
	else if (f && f->up.n)
		why = MF_DROP_OUTBOUND_BUSY;
	else if (f)
		return seal_packet(a, b, p);
	if (why)
		mf_mapping_count_lost(&a->m, mf_mapping_datagrams(p));
	return why;
}

static void send(struct mf_mapping *m, struct mf_pkt **pkts, size_t n)
{
	struct fan *a = fan_of(m);
	struct mf_mapping_work w;
	struct outbox b = { .f = NULL };

	if (!mf_mapping_work(m, &w)) {
		mf_mapping_refuse(m, pkts, n, MF_DROP_BUFFERS);
		return;
	}
	b.out = w.out;
	for (size_t i = 0; i < n; i++)
		pkts[i]->drop = (uint16_t)send_packet(a, &b, &w, pkts[i]);
	flush(&b);
	mf_mapping_done(m);
}

/* ---- Down ------------------------------------------------------------------------------------ */

static struct mf_codec_in fill(struct flow *f, uint8_t *in)
{
	struct mf_codec_in have = { .p = in, .n = f->down.n };
	struct mf_room v = { .p = in + have.n, .n = mf_min(READ_MAX, MF_CODEC_IN_MAX - have.n) };
	ptrdiff_t r = MF_STREAM_AGAIN;

	if (have.n)
		memcpy(in, f->down.p + f->down.at, have.n);
	mf_mapping_let_go(&f->of->m, &f->down);
	if (!f->partial || !f->readable || !v.n)
		return have;
	r = f->s.out->ops->stream_read(&f->s, &v, 1);
	f->readable = r == (ptrdiff_t)v.n;
	f->ended = r < 0;
	if (r > 0) {
		have.n += (size_t)r;
		mf_proxy_life_note(f->of->m.of->life, layers_of(f)->now);
	}
	return have;
}

/* Does the datagram continue packet p as one more of a super-packet? */
static bool goes_on(const struct mf_pkt *p, struct mf_span payload, const struct mf_endpoint *from)
{
	size_t stride = p->gso_size ? p->gso_size : p->len;
	size_t max = p->flags & MF_PKT_LARGE ? RUN_BYTES : MF_PKT_SMALL_MAX;

	return payload.n && payload.n <= stride && p->len % stride == 0 &&
	       p->segments < RUN_SEGMENTS && payload.n <= max - mf_min(p->len, max) &&
	       mf_endpoint_equal(&p->remote, from);
}

static void append(struct mf_pkt *p, struct mf_span payload)
{
	if (!p->gso_size) {
		p->gso_type = MF_GSO_UDP;
		p->gso_size = (uint16_t)p->len;
	}
	memcpy(p->data + p->len, payload.p, payload.n);
	p->len += (uint32_t)payload.n;
	p->segments++;
}

/* Room for more where it looks as if more like that will follow. */
static struct mf_pkt *take(struct flow *f, size_t n, const struct mf_endpoint *from)
{
	struct mf_pkt_pool *pool = f->of->m.of->pool;
	bool alike = n == f->last_n && mf_endpoint_equal(from, &f->last_from);

	f->last_n = (uint32_t)n;
	f->last_from = *from;
	return alike || n > MF_PKT_SMALL_MAX ? mf_pkt_large(pool) : mf_pkt_small(pool);
}

/* A datagram as a packet, or as the end of `last` (which may be NULL); returns how many packets. */
static size_t deliver(struct flow *f, struct mf_span payload, struct mf_endpoint *from,
		      struct mf_pkt *last, struct mf_pkt **out)
{
	struct mf_mapping *m = &f->of->m;
	struct mf_pkt *p;

	if (!from->addr.family && !f->codec->ops->dgram_any)
		*from = f->to.addr;
	if (payload.n > MF_PKT_LARGE_MAX || !mf_mapping_from(m, from)) {
		mf_count(&m->of->health->count.datagrams_bad, 1);
		return 0;
	}
	if (last && goes_on(last, payload, from)) {
		append(last, payload);
		return 0;
	}
	p = take(f, payload.n, from);
	MF_ASSERT(p); /* may_deliver has looked */
	memcpy(p->data, payload.p, payload.n);
	p->len = (uint32_t)payload.n;
	p->remote = *from;
	*out = p;
	return 1;
}

static bool may_deliver(const struct flow *f)
{
	const struct mf_pkt_pool *pool = f->of->m.of->pool;

	return mf_pkt_pool_free_small(pool) && mf_pkt_pool_free_large(pool);
}

/* Datagrams out of `in`, as long as there are packets for them. *e: MF_OK, there may be more;
 * MF_E_SHORT; others: it is over. */
static size_t parse(struct flow *f, struct mf_codec_in *in, struct mf_pkt **out, size_t max,
		    mf_err *e)
{
	size_t n = 0;

	*e = MF_OK;
	while (n < max && may_deliver(f)) {
		struct mf_endpoint from = { 0 };
		struct mf_span payload;

		*e = f->codec->ops->open_dgram(f->codec, in, &payload, &from);
		if (*e)
			break;
		n += deliver(f, payload, &from, n ? out[n - 1] : NULL, &out[n]);
	}
	return n;
}

/* A stream that ends before a datagram has come says something of the server if it ends soon, and
 * if that is all that is seen of the server: a target may be to blame, too. */
static enum mf_proxy_fault fault_of_end(struct flow *f, bool broken)
{
	struct mf_dgrams *x = f->of->m.of;

	if (broken && f->s.error == MF_STREAM_E_PROXY) /* whoever is below has said why */
		return MF_PROXY_NONE;
	return mf_proxy_health_blame(x->health, x->life, f->began, x->layers->now) ? MF_PROXY_CLOSED
										   : MF_PROXY_NONE;
}

/* The server, or those below, have ended the stream. */
static void end_flow(struct flow *f, bool broken)
{
	if (f->proven || f->codec->proven || layers_of(f)->now - f->began > SUSPECT)
		close_flow(f, broken);
	else
		fail_flow(f, fault_of_end(f, broken), NULL);
}

/* What follows from the last bytes; false: the stream is gone. */
static bool judge(struct flow *f, const struct mf_codec_in *in, mf_err e)
{
	struct mf_codec *c = f->codec;

	f->partial = e == MF_E_SHORT;
	if (e && c->fault == MF_PROXY_CLOCK)
		mf_proxy_health_skew(f->of->m.of->health, c->skew);
	if (e && e != MF_E_SHORT && e != MF_E_GONE)
		fail_flow(f, c->fault ? c->fault : MF_PROXY_PROTOCOL, NULL);
	else if (e == MF_E_GONE || (f->partial && f->ended))
		end_flow(f, e != MF_E_GONE && f->s.error);
	else if (f->partial && in->n == MF_CODEC_IN_MAX)
		fail_flow(f, MF_PROXY_PROTOCOL, "a datagram without end");
	else if (!mf_mapping_hold(&f->of->m, &f->down, in->p, in->n))
		fail_flow(f, MF_PROXY_RESOURCES, "datagrams that wait to be read");
	else
		return true;
	return false;
}

/* *more: it has not been read to its end; only then it stays among the ready ones. */
static size_t read_flow(struct flow *f, const struct mf_mapping_work *w, struct mf_pkt **out,
			size_t max, unsigned *rounds, bool *more)
{
	size_t n = 0, got;
	bool alive;

	do {
		struct mf_codec_in in = fill(f, w->in);
		mf_err e;

		got = parse(f, &in, out + n, max - n, &e);
		n += got;
		if (got) {
			mf_mapping_ok(&f->of->m, !f->proven);
			f->proven = true;
			f->used = layers_of(f)->now;
		}
		alive = judge(f, &in, e);
	} while (--*rounds && alive && f->partial && f->readable && n < max);
	*more = alive && (!f->partial || f->readable);
	if (alive && !*more && !f->s.ready)
		unlist_ready(f);
	return n;
}

static size_t recv(struct mf_mapping *m, struct mf_pkt **out, size_t max)
{
	struct fan *a = fan_of(m);
	unsigned rounds = ROUNDS;
	struct mf_mapping_work w;
	struct flow *f;
	bool more;
	size_t n = 0;

	if (!a->ready || !mf_mapping_work(m, &w))
		return 0;
	while (n < max && (f = a->ready)) {
		if (!rounds) {
			mf_mapping_notify(m);
			break;
		}
		if (!heed(f, &w))
			continue;
		n += read_flow(f, &w, out + n, max - n, &rounds, &more);
		if (more && n < max) { /* no packet is free, or enough has been read: later */
			unlist_ready(f);
			list_ready(f);
			rounds = 0;
		}
	}
	mf_mapping_done(m);
	return n;
}

static mf_err begin(struct mf_mapping *m)
{
	struct fan *a = fan_of(m);

	a->ready_end = &a->ready;
	if (m->of->transport)
		return MF_OK;
	m->above->error = MF_STREAM_E_UNSUPPORTED;
	return MF_E_UNSUPPORTED;
}

static void end(struct mf_mapping *m)
{
	struct fan *a = fan_of(m);

	while (a->newest)
		close_flow(a->newest, false);
}

const struct mf_mapping_kind mf_mapping_streams = {
	.size = sizeof(struct fan),
	.begin = begin,
	.send = send,
	.recv = recv,
	.end = end,
};
