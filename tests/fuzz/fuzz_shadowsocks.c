/* SPDX-License-Identifier: Apache-2.0
 *
 * What a Shadowsocks server may send. The first byte of the input is a method, and whether it is a
 * session or datagrams; the rest is a script of steps: a byte that says how, two bytes of length,
 * and so many bytes, which come as they are, or sealed with the right keys, so that what is behind
 * the tags is read, or sealed and bent.
 */
#include <stdlib.h>

#include "base/endian.h"
#include "base/prng.h"
#include "proto/shadowsocks/shadowsocks.h"
#include "support/sserver.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

/* How, in the lowest bits. */
enum { RAW, MESSAGE, CHUNK, ANSWER, SALT, HEADER, STEPS = 8 };
enum { BENT = 8, ROOMS = 16, DATAGRAMS = 0x80, NOW = 1700000000 };

static const struct {
	const char *method, *password;
} methods[] = {
	{ "aes-128-gcm", "p" },
	{ "aes-256-gcm", "p" },
	{ "chacha20-ietf-poly1305", "p" },
	{ "2022-blake3-aes-128-gcm", "AQIDBAUGBwgJCgsMDQ4PEA==" },
	{ "2022-blake3-aes-256-gcm", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=" },
	{ "2022-blake3-chacha20-poly1305", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=" },
	{ "2022-blake3-aes-128-gcm", "AQIDBAUGBwgJCgsMDQ4PEA==:BQIDBAUGBwgJCgsMDQ4PEA==" },
};

static struct mf_codec_env env;
static struct mf_ss_config config;
static struct sserver_keys keys;
static const struct mf_proxy_target target = { .addr.port = 443, .name = "a.example", .name_n = 9 };

static uint64_t wall(void *ctx)
{
	(void)ctx;
	return NOW;
}

static void begin(size_t method)
{
	static struct mf_prng prng;
	enum mf_ss_method m;

	if (!env.cipher)
		env = (struct mf_codec_env){ .cipher = mf_cipher_new(),
					     .rng = { mf_prng_fill, &prng },
					     .wall = wall };
	prng.state = method;
	MF_ASSERT(env.cipher && mf_ss_method_find(methods[method].method, &m));
	MF_ASSERT(mf_ss_config_set(&config, m, methods[method].password, NULL) == MF_OK);
	sserver_keys(&keys, methods[method].method, methods[method].password);
}

/* A step of the script. */
struct step {
	uint8_t how;
	const uint8_t *p;
	size_t n;
};

static bool next_step(const uint8_t **in, size_t *n, struct step *s)
{
	if (*n < 3)
		return false;
	*s = (struct step){ (*in)[0], *in + 3, mf_min(mf_load_be16(*in + 1), *n - 3) };
	*in += 3 + s->n;
	*n -= 3 + s->n;
	return true;
}

static void bend(const struct step *s, struct sserver_bytes *wire)
{
	if (s->how & BENT && wire->n)
		wire->p[s->n % wire->n] ^= 0x40;
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static struct mf_ss_stream client;
static struct sserver server;

static void add_header(const struct step *s, struct sserver_bytes *wire)
{
	struct sserver_header h = { .type = 1, .time = NOW, .salt = server.salt };

	if (s->n)
		h.type = s->p[0];
	if (s->n > 1)
		h.time += (uint64_t)s->p[1] - 128;
	if (s->n > 3)
		h.length = mf_load_be16(s->p + 2);
	if (s->n >= 4 + keys.n)
		h.salt = s->p + 4;
	sserver_header(&server, &h, wire);
}

static void add_bytes(const struct step *s, struct sserver_bytes *wire)
{
	static const uint8_t salt[SSERVER_KEY_MAX] = { 9 };

	switch (s->how % STEPS) {
	case MESSAGE:
		sserver_message(&server, s->p, s->n, wire);
		break;
	case CHUNK:
		sserver_chunk(&server, s->p, s->n, wire);
		break;
	case ANSWER:
		sserver_answer(&server, salt, NOW, s->p, s->n, wire);
		break;
	case SALT:
		sserver_salt(&server, s->n >= keys.n ? s->p : salt, wire);
		break;
	case HEADER:
		add_header(s, wire);
		break;
	default:
		sserver_add(wire, s->p, s->n);
	}
}

/* All that has come, into rooms of one size, while anything happens. False: it is broken. */
static bool read_all(struct sserver_bytes *wire, size_t each)
{
	static uint8_t space[8 * 2000];
	struct mf_room v[8];
	size_t got = 1, before = 0;

	for (size_t i = 0; i < MF_ARRAY_LEN(v); i++)
		v[i] = (struct mf_room){ space + i * each, each };
	while (got || before != wire->n) {
		uint8_t *copy = malloc(wire->n + 1);
		struct mf_codec_in in = { copy, wire->n };
		mf_err e;

		MF_ASSERT(copy);
		memcpy(copy, wire->p, wire->n);
		before = wire->n;
		e = client.codec.ops->open(&client.codec, &in, v, MF_ARRAY_LEN(v), &got);
		MF_ASSERT(got <= MF_ARRAY_LEN(v) * each && in.n <= wire->n &&
			  in.p + in.n == copy + wire->n);
		memcpy(wire->p, in.p, in.n);
		wire->n = in.n;
		free(copy);
		MF_ASSERT(!e || (!got && client.codec.fault != MF_PROXY_NONE && e != MF_E_GONE));
		if (e)
			return false;
	}
	return true;
}

static void session(const uint8_t *in, size_t n)
{
	struct sserver_bytes wire = { 0 };
	uint8_t out[MF_CODEC_OUT_MIN];
	struct step s;
	size_t len;

	mf_ss_stream_init(&client, &config, &env, &target);
	client.codec.ops->seal(&client.codec, NULL, 0, out, sizeof(out), &len);
	sserver_init(&server, &keys);
	MF_ASSERT(sserver_take(&server, out, len) && server.has_target);
	sserver_add(&wire, "", 0);
	while (next_step(&in, &n, &s)) {
		add_bytes(&s, &wire);
		bend(&s, &wire);
		if (wire.n > MF_CODEC_IN_MAX || !read_all(&wire, s.how & ROOMS ? 5 : 2000))
			break;
	}
	client.codec.ops->wipe(&client.codec);
	sserver_fini(&server);
	sserver_free(&wire);
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

/* The script's bytes as the fields of a datagram. */
static void add_packet(const struct mf_ss_packets *c, const struct step *s, struct sserver_bytes *wire)
{
	struct sserver_packet p = { .type = 1, .time = NOW, .number = s->how >> 4 };
	size_t front = s->how % STEPS == HEADER ? 6 : 0;

	memcpy(p.client, &c->id, sizeof(p.client));
	if (front && s->n >= front) {
		p.type = s->p[0];
		p.time += (uint64_t)s->p[1] - 128;
		p.session[0] = s->p[2];
		p.client[0] ^= s->p[3];
		p.number = s->p[4] * 251u;
		p.padding = s->p[5];
	} else {
		front = 0;
	}
	p.n = mf_min(s->n - front, sizeof(p.text));
	memcpy(p.text, s->p + front, p.n);
	sserver_seal_packet(&keys, &p, wire);
}

static void deliver(struct mf_ss_packets *c, const struct sserver_bytes *wire)
{
	uint8_t *copy = malloc(wire->n + 1);
	struct mf_ss_packets before = *c;
	struct mf_endpoint from = { .port = 0 };
	struct mf_span payload = { NULL, 0 };
	mf_err e;

	MF_ASSERT(copy);
	memcpy(copy, wire->p, wire->n);
	e = c->codec.ops->open(&c->codec, copy, wire->n, &payload, &from);
	if (e) {
		MF_ASSERT(c->codec.fault != MF_PROXY_NONE);
		before.codec.fault = c->codec.fault;
		MF_ASSERT(!memcmp(&before, c, sizeof(before)));
	} else {
		MF_ASSERT(payload.p >= copy && payload.p + payload.n <= copy + wire->n);
		MF_ASSERT(!payload.n || payload.p[0] + payload.p[payload.n - 1] < 512);
	}
	free(copy);
}

static void datagrams(const uint8_t *in, size_t n)
{
	struct mf_ss_packets c;
	struct step s;

	mf_ss_packets_init(&c, &config, &env);
	while (next_step(&in, &n, &s)) {
		struct sserver_bytes wire = { 0 };

		sserver_add(&wire, "", 0);
		if (s.how % STEPS == RAW)
			sserver_add(&wire, s.p, s.n);
		else
			add_packet(&c, &s, &wire);
		bend(&s, &wire);
		deliver(&c, &wire);
		sserver_free(&wire);
	}
	c.codec.ops->wipe(&c.codec);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	if (!n)
		return 0;
	begin(in[0] % DATAGRAMS % MF_ARRAY_LEN(methods));
	(in[0] & DATAGRAMS ? datagrams : session)(in + 1, n - 1);
	return 0;
}
