/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections to a proxy, from the addresses of its server to the codec of a toy protocol, over a
 * far side that does what the input says and under users who do what it says at any moment. Always:
 * what a user reads is what an honest server has sent, what an honest server hears is what the user
 * wrote, nothing is called that may not be (support/fakeout.c and layerlab.c assert that), nothing
 * spins, and when all users have closed nothing is left.
 *
 * The input is a row of commands: a byte that chooses, and what the command takes.
 */
#include <stdlib.h>

#include "proxy/dial.h"
#include "support/layerlab.h"
#include "support/toycodec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { USERS = 6, COMMANDS = 300, PATTERN = 1 << 20 };

struct input {
	const uint8_t *p, *end;
};

static uint32_t take(struct input *in, unsigned bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | (in->p < in->end ? *in->p++ : 0);
	return v;
}

static struct layerlab lab;
static struct mf_dial dial;
static struct mf_layer_outbound codec;
static struct toy_config toy;
static struct mf_codec_layer_config config;
static struct mf_proxy_life life;
static struct lab_user user[USERS];
static uint8_t pattern[PATTERN];
static bool hostile;

/* What an honest server has done on a stream; found by its address. */
static struct served {
	const struct fake_stream *st;
	size_t given;
	bool yes;
} served[64];

static struct served *served_of(const struct fake_stream *st)
{
	unsigned i = 0;

	while (i < MF_ARRAY_LEN(served) && served[i].st && served[i].st != st)
		i++;
	if (i == MF_ARRAY_LEN(served))
		return NULL;
	served[i].st = st;
	return &served[i];
}

/* ---- What leads to the server ---------------------------------------------------------------- */

static bool no_via;

static struct mf_outbound *via(void *ctx)
{
	return no_via ? NULL : ctx;
}

static void resolve(void *ctx)
{
	(void)ctx;
}

static void answer_name(struct input *in)
{
	struct mf_addr a[10] = { 0 };
	size_t n = take(in, 1) % MF_ARRAY_LEN(a);

	for (size_t i = 0; i < n; i++) {
		a[i].family = take(in, 1) & 1 ? MF_AF_IP4 : MF_AF_IP6;
		a[i].b[0] = (uint8_t)take(in, 1);
	}
	mf_dial_resolved(&dial, a, n);
}

/* ---- Users ----------------------------------------------------------------------------------- */

static void open_user(struct lab_user *u, unsigned what)
{
	static const char *const where[] = { "example.com:443", "192.0.2.1:80", "[2001:db8::1]:53",
					     "name.example=192.0.2.1:22" };

	lab_user_fini(u);
	(void)lab_user_open(u, &lab, &codec.out, where[what % MF_ARRAY_LEN(where)]);
	u->prng = what & 4 ? &lab.prng : NULL;
}

static void use(struct input *in)
{
	unsigned what = take(in, 1);
	struct lab_user *u = &user[take(in, 1) % USERS];
	size_t n;

	switch (what % 6) {
	case 0:
		open_user(u, what / 6);
		break;
	case 1:
		n = mf_min(take(in, 2) * (what & 0x40 ? 16u : 1u), PATTERN - u->n_give);
		if (!u->closed && !u->shut)
			lab_user_write(u, pattern + u->n_give, n);
		break;
	case 2:
		if (!u->closed && u->opened && !u->shut && u->given == u->n_give)
			lab_user_shutdown(u);
		break;
	case 3:
		lab_user_close(u, what & 0x40);
		break;
	default:
		lab_user_turn(u);
	}
}

/* ---- The far side ---------------------------------------------------------------------------- */

static void give(struct input *in, struct fake_stream *st)
{
	static uint8_t b[TOY_MESSAGE_MAX + 2];
	struct served *s = served_of(st);
	size_t n = take(in, 2) % TOY_MESSAGE_MAX;

	if (hostile || !s) {
		n = mf_min(n & 0xff, (size_t)(in->end - in->p));
		fake_give(st, in->p, n);
		in->p += n;
		return;
	}
	if (!s->yes)
		fake_give(st, "Y", 1);
	s->yes = true;
	n = mf_min(n + 1, PATTERN - s->given);
	if (toy.raw)
		fake_give(st, pattern + s->given, n);
	else if (n)
		fake_give(st, b, toy_message(b, pattern + s->given, n));
	s->given += n;
}

static void use_far(struct input *in)
{
	unsigned what = take(in, 1);
	struct fake_stream *st = lab.far.last;

	for (unsigned i = take(in, 1) % 16; st && st->next && i; i--)
		st = st->next;
	if (!st || !st->s || st->failed)
		return;
	switch (what % 6) {
	case 0:
		if (!st->opened)
			fake_open(st);
		break;
	case 1:
		fake_fail(st, 1 + take(in, 1) % (MF_STREAM_ERROR_COUNT - 1));
		break;
	case 2:
	case 3:
		if (!st->eof)
			give(in, st);
		break;
	case 4:
		fake_end(st);
		break;
	default:
		fake_take(st, take(in, 2) * (what & 0x40 ? 16u : 1u));
	}
}

static void change(struct input *in)
{
	unsigned what = take(in, 1);

	switch (what % 4) {
	case 0:
		lab.far.refuse = what & 0x40 ? 1 + take(in, 1) % (MF_STREAM_ERROR_COUNT - 1) : 0;
		lab.far.fail = what & 0x80 ? 1 + take(in, 1) % (MF_STREAM_ERROR_COUNT - 1) : 0;
		lab.far.open_at_once = what & 0x20;
		lab.far.prng = what & 0x10 ? &lab.prng : NULL;
		lab.far.may_write = take(in, 2) * (what & 8 ? 64u : 1u);
		break;
	case 1:
		answer_name(in);
		break;
	case 2:
		lab.layers.held[MF_LAYER_TO_SEND].max = lab.layers.held[MF_LAYER_TO_READ].max =
			(1 + take(in, 1)) * 1024;
		break;
	default:
		no_via = what & 0x40;
		if (what & 0x80)
			mf_layer_outbound_end(what & 0x20 ? &dial.out : &codec,
					      MF_STREAM_E_NO_DEVICE);
	}
}

/* ---- Always ---------------------------------------------------------------------------------- */

static void check_user(const struct lab_user *u)
{
	MF_ASSERT(!u->failed || u->s.error);
	if (!hostile && u->n_got)
		MF_ASSERT(u->n_got <= PATTERN && !memcmp(u->got, pattern, u->n_got));
}

static void check_far(const struct fake_stream *st)
{
	struct toy_heard h;

	toy_hear(&h, st->got, st->n_got, toy.raw);
	MF_ASSERT(h.n <= PATTERN && (!h.n || !memcmp(h.payload, pattern, h.n)));
	toy_heard_free(&h);
}

static void step(struct input *in)
{
	unsigned what = take(in, 1);

	switch (what % 8) {
	case 0:
	case 1:
	case 2:
		use(in);
		break;
	case 3:
	case 4:
	case 5:
		use_far(in);
		break;
	case 6:
		change(in);
		break;
	default:
		layerlab_run(&lab);
		for (unsigned i = 0; i < USERS; i++)
			lab_user_turn(&user[i]);
	}
	if (what & 0x40)
		layerlab_run(&lab);
	if (what & 0x80)
		layerlab_pass(&lab, take(in, 1) * (what & 0x20 ? MF_SEC : MF_MSEC));
}

static void begin(struct input *in)
{
	unsigned what = take(in, 1);
	struct mf_dial_config d = { .ctx = &lab.far.out, .via = via, .resolve = resolve };

	hostile = what & 1;
	no_via = false;
	memset(served, 0, sizeof(served));
	for (size_t i = 0; !pattern[1] && i < PATTERN; i++)
		pattern[i] = (uint8_t)(i * 31 + i / 251);
	toy = (struct toy_config){ .handshake = what & 2,
				   .end = what & 4 && !(what & 8),
				   .ends_both = what & 128 && what & 4 && !(what & 8),
				   .raw = what & 8 };
	layerlab_open(&lab, what, false);
	d.name = what & 16 ? "proxy.example" : NULL;
	d.by_name = what & 16 && what & 32;
	MF_ASSERT(mf_endpoint_parse(&d.addr, "192.0.2.7:443") == MF_OK);
	if (d.name)
		d.addr.addr = (struct mf_addr){ 0 };
	mf_dial_init(&dial, &d, &lab.layers, &lab.health, "hk", 10 * MF_SEC);
	life = (struct mf_proxy_life){ 0 };
	config = (struct mf_codec_layer_config){ &toy_kind, &toy, what & 64 ? 0 : 8 * MF_SEC, &life };
	mf_codec_layer_init(&codec, &config, &lab.layers, &dial.out.out, &lab.health, "hk",
			    10 * MF_SEC);
	for (unsigned i = 0; i < USERS; i++)
		user[i] = (struct lab_user){ .closed = true };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	begin(&in);
	for (unsigned i = 0; i < COMMANDS && in.p < in.end; i++)
		step(&in);
	layerlab_run(&lab);
	for (unsigned i = 0; i < USERS; i++) {
		lab_user_turn(&user[i]);
		check_user(&user[i]);
	}
	for (const struct fake_stream *st = lab.far.last; st; st = st->next)
		check_far(st);
	for (unsigned i = 0; i < USERS; i++)
		lab_user_fini(&user[i]);
	layerlab_pass(&lab, 60 * MF_SEC);
	MF_ASSERT(!codec.n_streams && !dial.out.n_streams && !mf_layers_held(&lab.layers));
	layerlab_close(&lab);
	return 0;
}
