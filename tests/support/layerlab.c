/* SPDX-License-Identifier: Apache-2.0
 *
 * layerlab - see layerlab.h.
 */
#include "support/layerlab.h"

#include <stdio.h>
#include <stdlib.h>

enum { PIECES = 5, READ_MAX = 100 * 1000 };

/* ---- The laboratory -------------------------------------------------------------------------- */

static void write_line(void *ctx, enum mf_log_level level, const char *line)
{
	struct layerlab *lab = ctx;

	(void)snprintf(lab->line[lab->n_lines++ % LAB_LINES], sizeof(lab->line[0]), "%s%s",
		       level == MF_LOG_INFO ? "info: " : "", line);
}

static uint64_t wall(void *ctx)
{
	return ((struct layerlab *)ctx)->wall;
}

void layerlab_open(struct layerlab *lab, uint64_t seed, bool cipher)
{
	struct mf_codec_env env = {
		.rng = { .fill = mf_prng_fill, .ctx = &lab->prng },
		.wall = wall,
		.ctx = lab,
	};

	*lab = (struct layerlab){
		.prng.state = seed,
		.now = MF_SEC,
		.wall = 1700000000,
		.log = { .write = write_line, .ctx = lab, .level = MF_LOG_INFO },
	};
	if (cipher) {
		env.cipher = mf_cipher_new();
		MF_ASSERT(env.cipher);
	}
	mf_layers_init(&lab->layers, &env, &lab->log, LAB_HELD_MAX, lab->now);
	fakeout_init(&lab->far);
}

void layerlab_close(struct layerlab *lab)
{
	layerlab_pass(lab, 60 * MF_SEC); /* whoever lingers has an end */
	fakeout_fini(&lab->far);
	mf_cipher_free(lab->layers.env.cipher);
	mf_layers_fini(&lab->layers);
}

void layerlab_run(struct layerlab *lab)
{
	unsigned rounds = 0;

	do {
		(void)mf_layers_run(&lab->layers, lab->now);
		MF_ASSERT(++rounds < 10000);
	} while (mf_layers_pending(&lab->layers));
}

void layerlab_pass(struct layerlab *lab, mf_nsec span)
{
	mf_nsec end = lab->now + span;

	layerlab_run(lab);
	while (mf_layers_deadline(&lab->layers) <= end) {
		mf_nsec next = mf_layers_deadline(&lab->layers);

		lab->now = next > lab->now ? next : lab->now + 1;
		layerlab_run(lab);
	}
	lab->now = end;
	layerlab_run(lab);
}

const char *layerlab_last_line(const struct layerlab *lab)
{
	return lab->n_lines ? lab->line[(lab->n_lines - 1) % LAB_LINES] : "";
}

/* ---- Users ----------------------------------------------------------------------------------- */

static void wake(struct mf_stream *s)
{
	MF_CONTAINER_OF(s, struct lab_user, s)->wakes++;
}

static void parse(struct mf_target *to, char *name, size_t size, const char *text)
{
	const char *colon = strrchr(text, ':'), *equal = strchr(text, '=');

	*to = (struct mf_target){ 0 };
	if (equal) {
		(void)snprintf(name, size, "%.*s", (int)(equal - text), text);
		MF_ASSERT(mf_endpoint_parse(&to->addr, equal + 1) == MF_OK);
		to->name = name;
	} else if (mf_endpoint_parse(&to->addr, text) != MF_OK) {
		MF_ASSERT(colon);
		(void)snprintf(name, size, "%.*s", (int)(colon - text), text);
		to->addr.port = (uint16_t)atoi(colon + 1);
		to->name = name;
	}
	to->app.addr.family = to->addr.addr.family;
}

mf_err lab_user_open(struct lab_user *u, struct layerlab *lab, struct mf_outbound *o, const char *text)
{
	char name[300];
	struct mf_target to;
	mf_err e;

	parse(&to, name, sizeof(name), text);
	*u = (struct lab_user){
		.lab = lab,
		.s = { .out = o, .wake = wake, .steps = lab->steps },
	};
	e = o->ops->stream_open(o, &u->s, &to);
	u->closed = e != MF_OK;
	memset(name, '?', sizeof(name)); /* it lived during the call only */
	return e;
}

static void note(struct lab_user *u)
{
	uint32_t ready = u->s.ready;

	if (ready & MF_STREAM_FAILED) {
		u->failed = true;
		MF_ASSERT(u->s.error);
		return;
	}
	u->s.ready = 0;
	u->opened |= (ready & MF_STREAM_OPENED) != 0;
	MF_ASSERT(u->opened || !(ready & (MF_STREAM_READABLE | MF_STREAM_WRITABLE)));
	u->may_read |= (ready & MF_STREAM_READABLE) != 0;
	u->may_write |= (ready & (MF_STREAM_WRITABLE | MF_STREAM_OPENED)) != 0;
}

static size_t some(struct lab_user *u, size_t n)
{
	return u->prng && n ? 1 + mf_prng_below(u->prng, n) : n;
}

static void write_all(struct lab_user *u)
{
	while (u->may_write && u->given < u->n_give) {
		size_t want = some(u, u->n_give - u->given), at = 0, n = 0, took;
		struct mf_span v[PIECES];

		while (at < want) {
			size_t k = n + 1 < PIECES ? some(u, want - at) : want - at;

			v[n++] = mf_span(u->give + u->given + at, k);
			at += k;
		}
		took = u->s.out->ops->stream_write(&u->s, v, n);
		MF_ASSERT(took <= want);
		u->given += took;
		u->may_write = took == want;
	}
}

static void read_all(struct lab_user *u)
{
	while (u->may_read && !u->eof && !u->failed) {
		size_t want = some(u, READ_MAX), at = 0, n = 0;
		struct mf_room v[PIECES];
		ptrdiff_t got;

		u->got = realloc(u->got, u->n_got + want);
		MF_ASSERT(u->got);
		while (at < want) {
			size_t k = n + 1 < PIECES ? some(u, want - at) : want - at;

			v[n++] = (struct mf_room){ u->got + u->n_got + at, k };
			at += k;
		}
		got = u->s.out->ops->stream_read(&u->s, v, n);
		u->failed = got == MF_STREAM_ERR;
		u->eof = got == MF_STREAM_EOF;
		MF_ASSERT(!u->failed || u->s.error);
		if (got > 0)
			u->n_got += (size_t)got;
		u->may_read = got == (ptrdiff_t)want;
	}
}

void lab_user_turn(struct lab_user *u)
{
	if (u->closed || u->failed)
		return;
	note(u);
	if (!u->opened || u->failed)
		return;
	write_all(u);
	read_all(u);
}

void lab_user_write(struct lab_user *u, const void *bytes, size_t n)
{
	MF_ASSERT(!u->shut);
	if (!n)
		return;
	u->give = realloc(u->give, u->n_give + n);
	MF_ASSERT(u->give);
	memcpy(u->give + u->n_give, bytes, n);
	u->n_give += n;
	lab_user_turn(u);
}

void lab_user_shutdown(struct lab_user *u)
{
	MF_ASSERT(u->opened && u->given == u->n_give && !u->shut);
	u->shut = true;
	if (!u->failed)
		u->s.out->ops->stream_shutdown(&u->s);
}

void lab_user_close(struct lab_user *u, bool reset)
{
	if (u->closed)
		return;
	u->closed = true;
	u->s.out->ops->stream_close(&u->s, reset);
	MF_ASSERT(!u->s.impl);
	u->s.ready = 0;
	u->wakes = 0;
}

void lab_user_fini(struct lab_user *u)
{
	lab_user_close(u, true);
	MF_ASSERT(!u->s.ready); /* nothing is notified after the close */
	free(u->give);
	free(u->got);
	u->give = u->got = NULL;
}
