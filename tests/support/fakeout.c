/* SPDX-License-Identifier: Apache-2.0
 *
 * fakeout - see fakeout.h.
 */
#include "fakeout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grow(void *p, size_t n)
{
	p = realloc(p, n);
	MF_ASSERT(p);
	return p;
}

static struct fake_stream *stream_of(const struct mf_stream *s)
{
	struct fake_stream *st = s->impl;

	MF_ASSERT(st && st->s == s);
	return st;
}

static void notify(struct fake_stream *st, uint32_t events)
{
	if (st->s && st->opened && !st->failed)
		mf_stream_notify(st->s, events);
}

void fake_open(struct fake_stream *st)
{
	st->opened = true;
	notify(st, MF_STREAM_OPENED | MF_STREAM_READABLE | MF_STREAM_WRITABLE);
}

void fake_fail(struct fake_stream *st, enum mf_stream_error why)
{
	if (!st->s || st->failed)
		return;
	st->failed = true;
	mf_stream_fail(st->s, why);
}

void fake_give(struct fake_stream *st, const void *bytes, size_t n)
{
	if (!n)
		return;
	st->give = grow(st->give, st->n_give + n);
	memcpy(st->give + st->n_give, bytes, n);
	st->n_give += n;
	if (st->dry)
		notify(st, MF_STREAM_READABLE);
	st->dry = false;
}

void fake_end(struct fake_stream *st)
{
	st->eof = true;
	if (st->dry)
		notify(st, MF_STREAM_READABLE);
	st->dry = false;
}

void fake_take(struct fake_stream *st, size_t n)
{
	st->may_write = st->may_write > SIZE_MAX - n ? SIZE_MAX : st->may_write + n;
	if (st->full && st->may_write)
		notify(st, MF_STREAM_WRITABLE);
	st->full = st->full && !st->may_write;
}

static mf_err open_stream(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	struct fakeout *f = o->ctx;
	struct fake_stream *st;

	MF_ASSERT(!s->impl && s->wake && to->addr.addr.family == to->app.addr.family);
	if (f->refuse) {
		s->error = (uint8_t)f->refuse;
		return MF_E_GONE;
	}
	st = calloc(1, sizeof(*st));
	MF_ASSERT(st);
	*st = (struct fake_stream){
		.next = f->last,
		.out = f,
		.s = s,
		.dst = to->addr,
		.app = to->app,
		.may_write = f->may_write,
	};
	if (to->name)
		(void)snprintf(st->name, sizeof(st->name), "%s", to->name);
	s->impl = st;
	f->last = st;
	f->n_opened++;
	f->n_open++;
	if (f->fail)
		fake_fail(st, f->fail);
	else if (f->open_at_once)
		fake_open(st);
	return MF_OK;
}

/* All of n, or with a generator any part of it, mostly not nothing. */
static size_t part(const struct fakeout *f, size_t n)
{
	return f->prng && n ? 1 + mf_prng_below(f->prng, n) : n;
}

static size_t write_stream(struct mf_stream *s, const struct mf_span *v, size_t n)
{
	struct fake_stream *st = stream_of(s);
	size_t total = 0, left;

	MF_ASSERT(st->opened && !st->failed && !st->shut && n > 0);
	for (size_t i = 0; i < n; i++) {
		MF_ASSERT(v[i].n > 0);
		total += v[i].n;
	}
	left = part(st->out, mf_min(total, st->may_write));
	st->full = left < total;
	if (st->may_write != SIZE_MAX)
		st->may_write -= left;
	if (st->n_got + left > st->cap_got) {
		st->cap_got = 2 * (st->n_got + left);
		st->got = grow(st->got, st->cap_got);
	}
	total = left;
	for (size_t i = 0; left; i++) {
		size_t k = mf_min(left, v[i].n);

		memcpy(st->got + st->n_got, v[i].p, k);
		st->n_got += k;
		left -= k;
	}
	/* It says "no more" and at once "more", as a socket may. */
	if (st->full && st->may_write) {
		st->full = false;
		notify(st, MF_STREAM_WRITABLE);
	}
	return total;
}

static ptrdiff_t read_stream(struct mf_stream *s, const struct mf_room *v, size_t n)
{
	struct fake_stream *st = stream_of(s);
	size_t total = 0, left;

	MF_ASSERT(st->opened && !st->failed && n > 0);
	for (size_t i = 0; i < n; i++) {
		MF_ASSERT(v[i].n > 0);
		total += v[i].n;
	}
	left = part(st->out, mf_min(total, st->n_give - st->given));
	st->dry = left < total;
	if (!left && st->eof)
		return MF_STREAM_EOF;
	total = left;
	for (size_t i = 0; left; i++) {
		size_t k = mf_min(left, v[i].n);

		memcpy(v[i].p, st->give + st->given, k);
		st->given += k;
		left -= k;
	}
	if (st->dry && (st->eof || st->given < st->n_give)) {
		st->dry = false;
		notify(st, MF_STREAM_READABLE);
	}
	return (ptrdiff_t)total;
}

static void shut_stream(struct mf_stream *s)
{
	struct fake_stream *st = stream_of(s);

	MF_ASSERT(st->opened && !st->failed && !st->shut);
	st->shut = true;
	st->out->n_shut++;
}

static void close_stream(struct mf_stream *s, bool reset)
{
	struct fake_stream *st = stream_of(s);

	st->reset = reset;
	st->s = NULL;
	st->out->n_open--;
	s->impl = NULL;
}

static void stream_info(const struct mf_stream *s, struct mf_stream_info *out)
{
	*out = (struct mf_stream_info){ .rtt = stream_of(s)->out->rtt, .device = "fake0" };
}

static const struct mf_outbound_ops ops = {
	.name = "fake",
	.stream_open = open_stream,
	.stream_write = write_stream,
	.stream_read = read_stream,
	.stream_shutdown = shut_stream,
	.stream_close = close_stream,
	.stream_info = stream_info,
};

void fakeout_init(struct fakeout *f)
{
	*f = (struct fakeout){ .out = { .ops = &ops, .ctx = f },
			       .may_write = SIZE_MAX,
			       .rtt = MF_MSEC };
}

void fakeout_fini(struct fakeout *f)
{
	struct fake_stream *st = f->last, *next;

	for (; st; st = next) {
		MF_ASSERT(!st->s);
		next = st->next;
		free(st->got);
		free(st->give);
		free(st);
	}
	f->last = NULL;
}
