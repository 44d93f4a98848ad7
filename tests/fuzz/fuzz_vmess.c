/* SPDX-License-Identifier: Apache-2.0
 *
 * The server of a VMess session. The first byte says which security, options and kind of session;
 * the rest is a script: a byte that says what the server does, two bytes of length, and so many
 * bytes, which it seals as a server would, so that what is behind a good tag is read, too; or does
 * not. As long as the server is honest the client gets what was said, and nothing else, however it
 * is cut.
 */
#include <stdlib.h>

#include "base/endian.h"
#include "proto/vmess/vmess.h"
#include "support/vserver.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum kind { SECURITY = 7, PADDING = 8, SEALED_LENGTH = 16, UDP = 32 };
enum { STEPS_MAX = 40, ROOMS_MAX = 8 };

static struct mf_cipher *cipher;
static struct mf_prng prng;

struct session {
	struct mf_vmess client;
	struct vserver server;
	struct vserver_bytes in, said;
	size_t got; /* bytes of `said` that have come */
	bool honest, ended;
};

static uint64_t wall(void *ctx)
{
	(void)ctx;
	return 1700000000;
}

/* ---- The server ------------------------------------------------------------------------------ */

static void say(struct session *s, const uint8_t *p, size_t n)
{
	if (s->ended)
		return;
	s->ended = !n && s->server.option;
	vserver_say(&s->server, p, n);
	vserver_bytes_add(&s->said, p, n);
}

static void bend(struct session *s, const uint8_t *p, size_t n)
{
	struct vserver_bytes *w = &s->server.wire;

	s->honest = false;
	if (n >= 2 && w->n > w->at)
		w->p[w->at + p[0] * 256u % (w->n - w->at)] ^= p[1];
}

static void act(struct session *s, uint8_t how, const uint8_t *p, size_t n)
{
	switch (how % 8) {
	case 0: /* more than the script has */
		for (unsigned i = 0; i < how / 8u && n; i++)
			say(s, p, n);
		break;
	case 1:
		s->honest = false;
		vserver_lie(&s->server, p, n, (int)how - 128);
		break;
	case 2:
		s->honest = false;
		vserver_raw(&s->server, p, n);
		break;
	case 3:
		if (s->server.answered)
			return;
		s->honest = false;
		vserver_answer(&s->server, p, n, how & 128 ? n + how : n);
		break;
	case 4:
		bend(s, p, n);
		break;
	case 5: /* a good header that has a command */
		if (s->server.answered || n > UINT8_MAX)
			return;
		{
			uint8_t header[4 + UINT8_MAX] = { s->server.verify, how, 1, (uint8_t)n };

			memcpy(header + 4, p, n);
			vserver_answer(&s->server, header, 4 + n, 4 + n);
		}
		break;
	default:
		say(s, p, n);
	}
}

/* ---- The client ------------------------------------------------------------------------------ */

static void check(struct session *s, const uint8_t *p, size_t n)
{
	if (!s->honest)
		return;
	MF_ASSERT(n <= s->said.n - s->got);
	MF_ASSERT(!n || memcmp(s->said.p + s->got, p, n) == 0);
	s->got += n;
}

static mf_err open_stream(struct session *s, struct mf_codec_in *in, size_t size)
{
	uint8_t *out = malloc(size + 1);
	struct mf_room v[ROOMS_MAX];
	size_t got = SIZE_MAX, n = 0;
	mf_err e;

	MF_ASSERT(out);
	for (size_t at = 0; n < ROOMS_MAX; at += v[n++].n)
		v[n] = (struct mf_room){ .p = out + at, .n = mf_prng_below(&prng, size - at + 1) };
	e = s->client.codec.ops->open(&s->client.codec, in, v, n, &got);
	MF_ASSERT(got <= size && (got == 0 || e == MF_OK || e == MF_E_GONE));
	check(s, out, got);
	free(out);
	return e;
}

static mf_err open_dgrams(struct session *s, struct mf_codec_in *in)
{
	const uint8_t *first = in->p;
	struct mf_endpoint from;
	struct mf_span payload;
	mf_err e;

	for (;;) {
		e = s->client.codec.ops->open_dgram(&s->client.codec, in, &payload, &from);
		if (e)
			return e == MF_E_SHORT ? MF_OK : e;
		MF_ASSERT(payload.n && payload.p >= first && payload.p + payload.n <= in->p);
		check(s, payload.p, payload.n);
	}
}

/* Some of what the server has written comes, in memory of just its size. */
static mf_err receive(struct session *s, size_t n, size_t room)
{
	struct mf_span more = vserver_bytes_take(&s->server.wire,
						 mf_min(n, MF_CODEC_IN_MAX - (s->in.n - s->in.at)));
	uint8_t *whole;
	struct mf_codec_in in;
	mf_err e;

	vserver_bytes_add(&s->in, more.p, more.n);
	more = vserver_bytes_take(&s->in, SIZE_MAX);
	whole = malloc(more.n + 1);
	MF_ASSERT(whole);
	if (more.n)
		memcpy(whole + 1, more.p, more.n);
	in = (struct mf_codec_in){ .p = whole + 1, .n = more.n };
	e = s->client.command == 2 ? open_dgrams(s, &in) : open_stream(s, &in, room);
	MF_ASSERT(in.p + in.n == whole + 1 + more.n && in.p > whole);
	vserver_bytes_add(&s->in, in.p, in.n);
	free(whole);
	if (s->honest)
		MF_ASSERT(e == MF_OK || (e == MF_E_GONE && s->ended && s->got == s->said.n));
	else
		MF_ASSERT(!e || e == MF_E_GONE || s->client.codec.fault);
	return e;
}

static void request(struct session *s, bool udp)
{
	struct mf_codec *c = &s->client.codec;
	uint8_t out[MF_CODEC_OUT_MIN];
	size_t len = 0;

	if (udp)
		len = c->ops->seal_dgram(c, c->to, mf_span("x", 1), out, sizeof(out));
	else
		c->ops->seal(c, NULL, 0, out, sizeof(out), &len);
	MF_ASSERT(len && vserver_hear(&s->server, out, len) && s->server.begun);
}

/* ---- A run ----------------------------------------------------------------------------------- */

static void run(struct session *s, const uint8_t *in, size_t n)
{
	mf_err e = MF_OK;

	for (unsigned i = 0; i < STEPS_MAX && !e && n >= 3; i++) {
		size_t len = mf_min(mf_min(mf_load_be16(in + 1), MF_VMESS_PAYLOAD_MAX), n - 3);

		act(s, in[0], in + 3, len);
		e = receive(s, mf_prng_below(&prng, 2) ? SIZE_MAX : mf_prng_below(&prng, 200),
			    1 + mf_prng_below(&prng, mf_prng_below(&prng, 2) ? 100 : 70000));
		in += 3 + len;
		n -= 3 + len;
	}
	/* An honest server is heard to the end. */
	for (unsigned i = 0; s->honest && !e && s->got < s->said.n; i++) {
		MF_ASSERT(i < 1000);
		e = receive(s, SIZE_MAX, 70000);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	static const uint8_t uuid[MF_UUID_LEN] = { 1, 2, 3 };
	struct session s = { .honest = true };
	struct mf_proxy_target to = { .addr = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 }, .port = 1 } };
	struct mf_vmess_config config = { .security = MF_VMESS_AUTO };
	struct mf_codec_env env = { .rng = { .fill = mf_prng_fill, .ctx = &prng }, .wall = wall };

	if (!n)
		return 0;
	if (!cipher)
		cipher = mf_cipher_new();
	MF_ASSERT(cipher);
	prng.state = n;
	env.cipher = cipher;
	mf_vmess_config_set_uuid(&config, uuid);
	config.security = (in[0] & SECURITY) % MF_VMESS_SECURITIES;
	config.global_padding = in[0] & PADDING;
	config.authenticated_length = in[0] & SEALED_LENGTH;
	mf_vmess_init(&s.client, &config, &env, &to, in[0] & UDP);
	vserver_init(&s.server, uuid, n);
	request(&s, in[0] & UDP);
	run(&s, in + 1, n - 1);
	s.client.codec.ops->wipe(&s.client.codec);
	vserver_free(&s.server);
	free(s.in.p);
	free(s.said.p);
	return 0;
}
