/* SPDX-License-Identifier: Apache-2.0
 *
 * dns_stream - questions over TCP (RFC 7766): an outbound of the host stack whose far side is the
 * resolver. Questions may be pipelined; answers leave in the order in which they are known.
 *
 * Memory is bounded: so many sessions, so many answers that one of them and all of them have not
 * read. When there are nearly too many sessions, the one that has been idle for longest goes (RFC
 * 7766 6.2.3).
 */
#include "nodes/dns.h"

#include <stdlib.h>

#include "base/count.h"
#include "base/endian.h"
#include "nodes/worker.h"

enum {
	STREAMS_MAX = 128,
	STREAMS_SPARE = 16,  /* when no more are free, idle ones go */
	QUESTION_MAX = 1024, /* of a client: longer than any that we could answer */
	PIPELINE_MAX = 100,  /* questions of one session that may be open */
	/* Bytes for answers that wait for the app: at first, of one session, of all. */
	OUT_MIN = 2048,
	OUT_MAX = 256 * 1024,
	OUT_ALL_MAX = 2048 * 1024,
};

struct mf_dns_stream {
	struct mf_dns *dns;
	struct mf_stream *stream;
	struct mf_dns_stream *next, **prev;
	struct mf_endpoint app, local;
	mf_nsec last;     /* when something was asked or answered */
	uint32_t pending; /* questions that are open */
	bool shut, blocked, broken;
	size_t n_in;
	uint8_t in[2 + QUESTION_MAX];
	uint8_t *out;
	size_t out_at, out_end, out_cap;
};

/* The app gets a reset, and closes. */
static void give_up(struct mf_dns_stream *s, enum mf_stream_error why)
{
	s->broken = true;
	mf_stream_fail(s->stream, why);
}

static void free_out(struct mf_dns_stream *s)
{
	free(s->out);
	s->dns->out_bytes -= s->out_cap;
	s->out = NULL;
	s->out_cap = s->out_at = s->out_end = 0;
}

/* Makes room for n more bytes of answers. */
static bool reserve(struct mf_dns_stream *s, size_t n)
{
	size_t have = s->out_end - s->out_at, cap = s->out_cap ? s->out_cap : OUT_MIN;
	uint8_t *out;

	if (s->out_at) {
		memmove(s->out, s->out + s->out_at, have);
		s->out_at = 0;
		s->out_end = have;
	}
	while (cap < have + n)
		cap *= 2;
	if (cap == s->out_cap)
		return true;
	if (cap > OUT_MAX || s->dns->out_bytes - s->out_cap + cap > OUT_ALL_MAX)
		return false;
	out = realloc(s->out, cap);
	if (!out)
		return false;
	s->dns->out_bytes += cap - s->out_cap;
	s->out = out;
	s->out_cap = cap;
	return true;
}

static void append(struct mf_dns_stream *s, const uint8_t *msg, size_t n)
{
	if (!reserve(s, 2 + n)) {
		give_up(s, MF_STREAM_E_NO_RESOURCES);
		return;
	}
	s->last = s->dns->worker->graph.now;
	mf_store_be16(s->out + s->out_end, (uint16_t)n);
	memcpy(s->out + s->out_end + 2, msg, n);
	s->out_end += 2 + n;
	mf_stream_notify(s->stream, MF_STREAM_READABLE);
}

static void ask(struct mf_dns_stream *s, struct mf_span msg)
{
	struct mf_dns *d = s->dns;
	struct mf_dns_client c = {
		.addr = s->app,
		.local = s->local,
		.tag = MF_DNS_TAG_STREAM,
		.stream = true,
		.ctx = s,
	};
	size_t n;

	mf_count(&d->count.stream_queries, 1);
	s->last = d->worker->graph.now;
	switch (mf_resolver_query(d->resolver, &c, msg, d->out, sizeof(d->out), &n,
				  d->worker->graph.now)) {
	case MF_DNS_ANSWERED:
		append(s, d->out, n);
		break;
	case MF_DNS_KEPT_OPEN:
		s->pending++;
		d->due = true;
		break;
	case MF_DNS_IGNORED:
		break;
	}
}

/* Takes bytes up to the end of one question and asks it; returns how many bytes that were. */
static size_t feed(struct mf_dns_stream *s, const uint8_t *p, size_t n)
{
	size_t want = s->n_in < 2 ? 2 : 2u + mf_load_be16(s->in), part = mf_min(n, want - s->n_in);

	memcpy(s->in + s->n_in, p, part);
	s->n_in += part;
	if (s->n_in < 2 || s->n_in < 2u + mf_load_be16(s->in)) {
		if (s->n_in >= 2 && mf_load_be16(s->in) > QUESTION_MAX)
			give_up(s, MF_STREAM_E_RESET);
		return part;
	}
	s->n_in = 0;
	ask(s, (struct mf_span){ s->in + 2, mf_load_be16(s->in) });
	return part;
}

void mf_dns_stream_answer(struct mf_dns *d, const struct mf_dns_client *c, const uint8_t *msg,
			  size_t n)
{
	struct mf_dns_stream *s = c->ctx;

	(void)d;
	MF_ASSERT(s->pending > 0);
	s->pending--;
	if (!s->broken)
		append(s, msg, n);
	if (s->blocked) {
		s->blocked = false;
		mf_stream_notify(s->stream, MF_STREAM_WRITABLE);
	}
	if (s->shut && !s->pending)
		mf_stream_notify(s->stream, MF_STREAM_READABLE); /* the end */
}

/* ---- As an outbound -------------------------------------------------------------------------- */

static bool is_idle(const struct mf_dns_stream *s)
{
	return !s->pending && s->out_at == s->out_end && !s->broken;
}

/* Makes room for others. */
static void end_idlest(struct mf_dns *d)
{
	struct mf_dns_stream *idlest = NULL;

	for (struct mf_dns_stream *s = d->open; s; s = s->next)
		if (is_idle(s) && (!idlest || s->last < idlest->last))
			idlest = s;
	if (idlest)
		give_up(idlest, MF_STREAM_E_RESET);
}

static mf_err open_stream(struct mf_outbound *o, struct mf_stream *st, const struct mf_target *to)
{
	struct mf_dns *d = o->ctx;
	struct mf_dns_stream *s = d->n_open < STREAMS_MAX ? calloc(1, sizeof(*s)) : NULL;

	if (!s) {
		mf_count(&d->count.streams_refused, 1);
		st->error = MF_STREAM_E_NO_RESOURCES;
		return MF_E_FULL;
	}
	if (d->n_open >= STREAMS_MAX - STREAMS_SPARE)
		end_idlest(d);
	s->dns = d;
	s->stream = st;
	s->last = d->worker->graph.now;
	s->app = to->app;
	s->local = to->addr;
	s->next = d->open;
	s->prev = &d->open;
	if (s->next)
		s->next->prev = &s->next;
	d->open = s;
	d->n_open++;
	mf_count(&d->count.streams, 1);
	st->impl = s;
	mf_stream_notify(st, MF_STREAM_OPENED | MF_STREAM_WRITABLE);
	return MF_OK;
}

static size_t write_stream(struct mf_stream *st, const struct mf_span *v, size_t n)
{
	struct mf_dns_stream *s = st->impl;
	size_t done = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; at < v[i].n;) {
			size_t part;

			if (s->broken || s->pending >= PIPELINE_MAX ||
			    s->out_end - s->out_at > OUT_MAX / 2) {
				s->blocked = true;
				return done;
			}
			part = feed(s, v[i].p + at, v[i].n - at);
			at += part;
			done += part;
		}
	return done;
}

static ptrdiff_t read_stream(struct mf_stream *st, const struct mf_room *v, size_t n)
{
	struct mf_dns_stream *s = st->impl;
	size_t done = 0;

	for (size_t i = 0; i < n; i++) {
		size_t part = mf_min(v[i].n, s->out_end - s->out_at);

		if (part)
			memcpy(v[i].p, s->out + s->out_at, part);
		s->out_at += part;
		done += part;
	}
	if (s->out_at == s->out_end && s->out_cap > OUT_MIN)
		free_out(s);
	if (done && s->blocked && s->pending < PIPELINE_MAX) {
		s->blocked = false;
		mf_stream_notify(st, MF_STREAM_WRITABLE);
	}
	/* A read that is short says "no more" as well, but the end is still to come. */
	if (done && s->out_at == s->out_end && s->shut && !s->pending)
		mf_stream_notify(st, MF_STREAM_READABLE);
	if (done)
		return (ptrdiff_t)done;
	return s->shut && !s->pending ? MF_STREAM_EOF : MF_STREAM_AGAIN;
}

static void shutdown_stream(struct mf_stream *st)
{
	struct mf_dns_stream *s = st->impl;

	s->shut = true;
	if (!s->pending)
		mf_stream_notify(st, MF_STREAM_READABLE);
}

static void close_stream(struct mf_stream *st, bool reset)
{
	struct mf_dns_stream *s = st->impl;
	struct mf_dns *d = s->dns;

	(void)reset;
	if (s->pending)
		mf_resolver_forget(d->resolver, MF_DNS_TAG_STREAM, s, 0);
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	d->n_open--;
	mf_uncount(&d->count.streams, 1);
	st->impl = NULL;
	free_out(s);
	free(s);
}

static void info(const struct mf_stream *st, struct mf_stream_info *out)
{
	(void)st;
	*out = (struct mf_stream_info){ .device = "dns" };
}

static const struct mf_outbound_ops ops = {
	.name = "dns",
	.stream_open = open_stream,
	.stream_write = write_stream,
	.stream_read = read_stream,
	.stream_shutdown = shutdown_stream,
	.stream_close = close_stream,
	.stream_info = info,
};

void mf_dns_stream_init(struct mf_dns *d)
{
	d->streams = (struct mf_outbound){ .ops = &ops, .ctx = d };
}

void mf_dns_stream_fini(struct mf_dns *d)
{
	while (d->open) {
		struct mf_dns_stream *s = d->open;

		d->open = s->next;
		free_out(s);
		free(s);
	}
}
