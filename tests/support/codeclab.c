/* SPDX-License-Identifier: Apache-2.0 */
#include "codeclab.h"

#include <stdlib.h>

enum { PIECES = 6, ROUNDS_MAX = 2000000 };

/* ---- Bytes ----------------------------------------------------------------------------------- */

void lab_add(struct lab_bytes *b, const void *p, size_t n)
{
	if (b->n + n > b->room) {
		b->room = 2 * (b->n + n);
		b->p = realloc(b->p, b->room);
		MF_ASSERT(b->p);
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

void lab_drop(struct lab_bytes *b, size_t n)
{
	MF_ASSERT(n <= b->n);
	b->n -= n;
	if (b->n)
		memmove(b->p, b->p + n, b->n);
}

void lab_free(struct lab_bytes *b)
{
	free(b->p);
	*b = (struct lab_bytes){ 0 };
}

/* Memory of just this size: the sanitizer sees a step beyond. */
static uint8_t *exact(const void *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	MF_ASSERT(copy);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

/* Often few, sometimes many; at most n. */
static size_t some(struct mf_prng *g, size_t n)
{
	static const size_t limits[] = { 2, 30, 600, 20000, 1 << 20 };

	return mf_prng_below(g, mf_min(n, limits[mf_prng_below(g, MF_ARRAY_LEN(limits))]) + 1);
}

/* ---- The client ------------------------------------------------------------------------------ */

static uint64_t wall(void *ctx)
{
	(void)ctx;
	return LAB_WALL;
}

void codeclab_init(struct codeclab *l, uint64_t seed)
{
	*l = (struct codeclab){ .g.state = seed };
	l->env = (struct mf_codec_env){ .rng = { mf_prng_fill, &l->g }, .wall = wall };
}

void codeclab_fini(struct codeclab *l)
{
	struct lab_bytes *all[] = { &l->arrived, &l->heard, &l->answer, &l->sent,
				    &l->say,     &l->got,   &l->up,     &l->rest };

	for (size_t i = 0; i < MF_ARRAY_LEN(all); i++)
		lab_free(all[i]);
}

void codeclab_seal(struct codeclab *l)
{
	size_t room = MF_CODEC_OUT_MIN + some(&l->g, 70000), len = SIZE_MAX, at = 0, took;
	struct mf_span v[PIECES];
	uint8_t *out;

	if (l->codec->raw_up && mf_prng_below(&l->g, 2)) {
		at = some(&l->g, l->say.n);
		lab_add(&l->up, l->say.p, at);
		lab_drop(&l->say, at);
		return;
	}
	for (size_t i = 0; i < PIECES; i++) {
		v[i] = mf_span(l->say.p ? l->say.p + at : NULL, some(&l->g, l->say.n - at));
		at += v[i].n;
	}
	out = malloc(room);
	MF_ASSERT(out);
	took = l->codec->ops->seal(l->codec, v, mf_prng_below(&l->g, PIECES + 1), out, room, &len);
	MF_ASSERT(took <= at && len <= room);
	lab_add(&l->up, out, len);
	lab_drop(&l->say, took);
	free(out);
}

mf_err codeclab_open(struct codeclab *l)
{
	size_t n = mf_min(some(&l->g, l->sent.n), MF_CODEC_IN_MAX - l->rest.n), got = SIZE_MAX,
	       sum = 0;
	struct mf_room v[PIECES];
	struct mf_codec_in in;
	uint8_t *at;
	mf_err e;

	if (l->codec->raw_down && !l->rest.n && mf_prng_below(&l->g, 2)) {
		lab_add(&l->got, l->sent.p, n);
		lab_drop(&l->sent, n);
		return MF_OK;
	}
	lab_add(&l->rest, l->sent.p, n);
	lab_drop(&l->sent, n);
	at = exact(l->rest.p, l->rest.n);
	in = (struct mf_codec_in){ at, l->rest.n };
	for (size_t i = 0; i < PIECES; i++) {
		v[i].n = some(&l->g, 20000);
		v[i].p = malloc(v[i].n ? v[i].n : 1);
		MF_ASSERT(v[i].p);
		sum += v[i].n;
	}
	e = l->codec->ops->open(l->codec, &in, v, PIECES, &got);
	MF_ASSERT(got <= sum && in.n <= l->rest.n && (!e || e == MF_E_GONE || !got));
	MF_ASSERT(in.p == at + (l->rest.n - in.n));
	for (size_t i = 0; i < PIECES; i++) {
		lab_add(&l->got, v[i].p, mf_min(got, v[i].n));
		got -= mf_min(got, v[i].n);
		free(v[i].p);
	}
	l->rest.n = 0;
	lab_add(&l->rest, in.p, in.n);
	free(at);
	return e;
}

/* ---- Both ------------------------------------------------------------------------------------ */

static void fill(struct mf_prng *g, struct lab_bytes *b, size_t n)
{
	uint8_t *p = malloc(n ? n : 1);

	MF_ASSERT(p);
	mf_prng_fill(g, p, n);
	lab_add(b, p, n);
	free(p);
}

static bool equal(const struct lab_bytes *a, const uint8_t *p, size_t n)
{
	return a->n == n && (!n || !memcmp(a->p, p, n));
}

void codeclab_run(struct codeclab *l, size_t up, size_t down)
{
	uint8_t *said, *answered;

	fill(&l->g, &l->say, up);
	fill(&l->g, &l->answer, down);
	said = exact(l->say.p, up);
	answered = exact(l->answer.p, down);
	for (size_t i = 0; l->heard.n < up || l->got.n < down; i++) {
		size_t n;

		MF_ASSERT(i < ROUNDS_MAX);
		codeclab_seal(l);
		n = some(&l->g, l->up.n);
		lab_add(&l->arrived, l->up.p, n);
		lab_drop(&l->up, n);
		l->serve(l);
		MF_ASSERT(codeclab_open(l) == MF_OK);
	}
	MF_ASSERT(equal(&l->heard, said, up) && equal(&l->got, answered, down));
	MF_ASSERT(!l->say.n && !l->answer.n);
	free(said);
	free(answered);
}

mf_err codeclab_feed(struct codeclab *l, const void *p, size_t n)
{
	size_t idle = 0;
	mf_err e = MF_OK;
	bool full;

	lab_add(&l->sent, p, n);
	/* What a call leaves it may use in the next one, when there are other rooms. */
	while (!e && idle < 8) {
		size_t left = l->sent.n + l->rest.n;

		if (!l->codec->begun || (l->codec->ops->handshake && !l->codec->opened))
			codeclab_seal(l);
		e = codeclab_open(l);
		full = !l->sent.n || l->rest.n == MF_CODEC_IN_MAX;
		idle = full && l->sent.n + l->rest.n == left ? idle + 1 : 0;
	}
	return e;
}

void codeclab_serve_raw(struct codeclab *l)
{
	size_t n = some(&l->g, l->answer.n);

	lab_add(&l->heard, l->arrived.p, l->arrived.n);
	lab_drop(&l->arrived, l->arrived.n);
	lab_add(&l->sent, l->answer.p, n);
	lab_drop(&l->answer, n);
}
