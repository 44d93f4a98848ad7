/* SPDX-License-Identifier: Apache-2.0
 *
 * codec - what the codecs of proxies carry without I/O, beside the AEAD alone with messages as long
 * as the codec's chunks: payload is sealed in pieces as the layer hands them over (MF_LAYER_PART),
 * and what a server of the tests has sent is opened into rooms of that size. `tls` and `ws` are the
 * layers below: records, and frames beside a bare copy. Thread CPU time, the best of several
 * rounds, because other work on the machine can only make it slower. One JSON line: bytes/s.
 *
 *   NAME [--ms N]: ss-aes-128-gcm ... (see `kinds`); N milliseconds a round (default 20)
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/endian.h"
#include "crypto/random.h"
#include "crypto/random_pool.h"
#include "crypto/tls_record.h"
#include "proto/shadowsocks/shadowsocks.h"
#include "proto/vmess/vmess.h"
#include "proto/websocket/websocket.h"
#include "proxy/layer.h"
#include "support/sserver.h"
#include "support/vserver.h"

enum {
	ROUNDS = 9,
	PIECES = 8, /* in a pass: what a pass touches fits the L2 cache */
	PASS = PIECES * MF_LAYER_PART,
	WIRE_MAX = PASS + PASS / 8 + MF_CODEC_IN_MAX,
	TLS_CHUNK = MF_TLS_PLAIN_MAX,
	SS_CHUNK = 0x3fff,
	SS_CHUNK_2022 = 0xffff,
	VMESS_CHUNK = 16384 - MF_CIPHER_TAG_LEN - MF_VMESS_PADDING_MAX - 1,
	WS_CHUNK = 32 * 1024,
	WALL = 1700000000,
};

struct kind {
	const char *name;
	enum mf_cipher_alg alg;
	size_t chunk;       /* payload of a server's message; the codec makes them as long */
	const char *method; /* shadowsocks */
	const char *password;
	enum mf_vmess_security security;
	/* Brings both ends to where payload flows; what the server sends is in `made`. */
	void (*setup)(const struct kind *k);
	/* One pass. `open` begins with a fresh copy of `made` in `wire`. */
	void (*seal)(void);
	void (*open)(void);
};

static struct {
	struct mf_cipher *cipher;
	struct mf_random_pool pool;
	struct mf_codec_env env;
	struct mf_proxy_target to;
	struct mf_ss_config ss_config;
	struct mf_vmess_config vmess_config;
	struct mf_ws_config ws_config;
	/* As they are when a pass begins, and during one. */
	union state {
		struct mf_codec codec;
		struct mf_ss_stream ss;
		struct mf_vmess vmess;
		struct mf_ws ws;
		struct mf_tls_half tls;
	} sealing, opening, now;
	struct mf_cipher_key key; /* of the AEAD alone */
	size_t chunk;
	uint8_t payload[MF_LAYER_PART], room[MF_LAYER_PART];
	uint8_t out[MF_LAYER_OUT_MAX];
	uint8_t made[WIRE_MAX], wire[WIRE_MAX];
	size_t made_n;
} b;

static mf_nsec round_time = 20 * MF_MSEC;

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "codec: %s\n", what);
		exit(1);
	}
}

/* ---- Time ------------------------------------------------------------------------------------ */

static mf_nsec cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (mf_nsec)t.tv_sec * MF_SEC + (mf_nsec)t.tv_nsec;
}

static void fresh_wire(void)
{
	memcpy(b.wire, b.made, b.made_n);
}

/* Bytes a second of a pass over PASS bytes; what `prepare` does is not counted. */
static double measure(void (*prepare)(void), void (*pass)(void))
{
	double best = 0;

	for (int r = 0; r < ROUNDS; r++) {
		mf_nsec spent = 0, start;
		double bytes = 0;

		while (spent < round_time) {
			prepare();
			start = cpu_time();
			pass();
			spent += cpu_time() - start;
			bytes += PASS;
		}
		if (bytes * 1e9 / (double)spent > best)
			best = bytes * 1e9 / (double)spent;
	}
	return best;
}

/* ---- Codecs ---------------------------------------------------------------------------------- */

static void begin_seal(void)
{
	b.now = b.sealing;
}

static void begin_open(void)
{
	b.now = b.opening;
	fresh_wire();
}

static void seal_codec(void)
{
	struct mf_span v = mf_span(b.payload, sizeof(b.payload));

	for (int i = 0; i < PIECES; i++) {
		size_t len, took = b.now.codec.ops->seal(&b.now.codec, &v, 1, b.out, sizeof(b.out),
							 &len);

		must(took == v.n && len > took, "a piece was not taken");
	}
}

/* What has come lies in front of the codec as the layer reads it: as much as the room is worth. */
static void open_codec(void)
{
	struct mf_codec_in in = { .p = b.wire };
	size_t total = 0, came = 0, got = 0;

	while (total < PASS) {
		struct mf_room room = { b.room, mf_min(sizeof(b.room), PASS - total) };
		size_t want = room.n + room.n / 32 + 256;

		want = mf_min(want, mf_min(b.made_n - came, MF_CODEC_IN_MAX - in.n));
		in.n += want;
		came += want;
		must(b.now.codec.ops->open(&b.now.codec, &in, &room, 1, &got) == MF_OK &&
			     (got || want),
		     "it does not open");
		total += got;
	}
}

/* Whatever has been opened is what was sent. */
static void check_open(void)
{
	size_t got = 0;
	struct mf_room room = { b.room, sizeof(b.room) };
	struct mf_codec_in in = { .p = b.wire, .n = mf_min(b.made_n, MF_CODEC_IN_MAX) };

	begin_open();
	must(b.now.codec.ops->open(&b.now.codec, &in, &room, 1, &got) == MF_OK && got,
	     "no payload");
	for (size_t at = 0; at < got; at++)
		must(b.room[at] == b.payload[at % b.chunk], "other payload than was sent");
}

/* The client's request is in `out`. */
static size_t request(void)
{
	struct mf_span v = mf_span(b.payload, 1);
	size_t len;

	must(b.now.codec.ops->seal(&b.now.codec, &v, 1, b.out, sizeof(b.out), &len) == 1,
	     "no request");
	return len;
}

/* The beginning of the server's answer, with a byte of payload. */
static void hear(const uint8_t *p, size_t n)
{
	struct mf_room room = { b.room, 1 };
	struct mf_codec_in in = { .p = b.wire, .n = n };
	size_t got;

	b.sealing = b.now;
	must(n <= sizeof(b.wire), "too long an answer");
	memcpy(b.wire, p, n);
	must(b.now.codec.ops->open(&b.now.codec, &in, &room, 1, &got) == MF_OK && got == 1 && !in.n,
	     "the answer does not open");
	b.opening = b.now;
}

static void keep(const uint8_t *p, size_t n)
{
	must(n <= sizeof(b.made), "too much from the server");
	memcpy(b.made, p, n);
	b.made_n = n;
	check_open();
}

static void setup_ss(const struct kind *k)
{
	static const uint8_t salt[32] = "a salt of the server's";
	struct sserver_bytes out = { 0 };
	struct sserver_keys keys;
	enum mf_ss_method method;
	struct sserver server;
	struct mf_errbuf eb;

	must(mf_ss_method_find(k->method, &method) &&
		     mf_ss_config_set(&b.ss_config, method, k->password, &eb) == MF_OK,
	     "no such method");
	mf_ss_stream_init(&b.now.ss, &b.ss_config, &b.env, &b.to);
	sserver_keys(&keys, k->method, k->password);
	sserver_init(&server, &keys);
	must(sserver_take(&server, b.out, request()), "the server does not take the request");
	sserver_answer(&server, salt, WALL, b.payload, 1, &out);
	hear(out.p, out.n);
	out.n = 0;
	for (size_t at = 0; at < PASS; at += k->chunk)
		sserver_chunk(&server, b.payload, k->chunk, &out);
	keep(out.p, out.n);
	sserver_free(&out);
	sserver_fini(&server);
}

static void setup_vmess(const struct kind *k)
{
	static const uint8_t uuid[MF_UUID_LEN] = "sixteen bytes id";
	struct vserver server;
	struct mf_span s;

	mf_vmess_config_set_uuid(&b.vmess_config, uuid);
	b.vmess_config.security = (uint8_t)k->security;
	b.vmess_config.global_padding = true; /* as a profile has it that says nothing */
	mf_vmess_init(&b.now.vmess, &b.vmess_config, &b.env, &b.to, false);
	vserver_init(&server, uuid, 1);
	must(vserver_hear(&server, b.out, request()), "the server does not take the request");
	vserver_say(&server, b.payload, 1);
	s = vserver_bytes_take(&server.wire, SIZE_MAX);
	hear(s.p, s.n);
	for (size_t at = 0; at < PASS; at += k->chunk)
		vserver_say(&server, b.payload, k->chunk);
	s = vserver_bytes_take(&server.wire, SIZE_MAX);
	keep(s.p, s.n);
	vserver_free(&server);
}

/* ---- Records of TLS 1.3 ---------------------------------------------------------------------- */

static void setup_tls(const struct kind *k)
{
	static const uint8_t secret[32] = "a traffic secret";
	struct mf_span v = mf_span(b.payload, k->chunk);

	must(mf_tls_half_init(&b.sealing.tls, k->alg, secret, sizeof(secret)), "out of memory");
	b.opening = b.now = b.sealing;
	for (size_t at = 0; at < PASS; at += k->chunk)
		b.made_n += mf_tls_record_seal(b.cipher, &b.now.tls, MF_TLS_DATA, &v, 1,
					       b.made + b.made_n);
}

static void seal_tls(void)
{
	for (size_t at = 0; at < PASS; at += TLS_CHUNK) {
		struct mf_span v = mf_span(b.payload + at % sizeof(b.payload), TLS_CHUNK);

		(void)mf_tls_record_seal(b.cipher, &b.now.tls, MF_TLS_DATA, &v, 1, b.out);
	}
}

static void open_tls(void)
{
	for (size_t at = 0, len, got; at < b.made_n; at += len) {
		struct mf_room room = { b.room, sizeof(b.room) };
		enum mf_tls_type type;

		must(mf_tls_record_check(&b.now.tls, b.wire + at, b.made_n - at, &len) == MF_OK &&
			     mf_tls_record_open(b.cipher, &b.now.tls, b.wire + at, len, &room, 1,
						&type, &got) == MF_OK &&
			     got == TLS_CHUNK,
		     "a record does not open");
	}
}

/* ---- Frames of WebSocket --------------------------------------------------------------------- */

static void setup_ws(const struct kind *k)
{
	mf_ws_init(&b.sealing.ws, &b.ws_config, &b.env);
	b.sealing.ws.upgraded = true;
	b.opening = b.sealing;
	for (size_t at = 0; at < PASS; at += k->chunk) {
		uint8_t *p = b.made + b.made_n;

		p[0] = 0x82; /* binary, and the only one of its message (RFC 6455 5.2) */
		p[1] = 126;
		mf_store_be16(p + 2, (uint16_t)k->chunk);
		memcpy(p + 4, b.payload, k->chunk);
		b.made_n += 4 + k->chunk;
	}
}

static void seal_ws(void)
{
	struct mf_span v = mf_span(b.payload, sizeof(b.payload));
	size_t len;

	for (int i = 0; i < PIECES; i++)
		must(mf_ws_seal(&b.now.ws, &v, 1, b.out, sizeof(b.out), &len) == v.n,
		     "a piece was not taken");
}

static void open_ws(void)
{
	struct mf_codec_in in = { .p = b.wire, .n = b.made_n };
	size_t got = 0;

	while (in.n) {
		struct mf_room room = { b.room, sizeof(b.room) };

		must(mf_ws_open(&b.now.ws, &in, &room, 1, &got) == MF_OK && got, "no frame");
	}
}

/* ---- The measure ----------------------------------------------------------------------------- */

static void count_up(uint8_t nonce[MF_CIPHER_NONCE_LEN])
{
	mf_store_le64(nonce, mf_load_le64(nonce) + 1);
}

/* Messages of `chunk` bytes until it is a pass; the last one is shorter. */
static void seal_bare(void)
{
	uint8_t nonce[MF_CIPHER_NONCE_LEN] = { 0 };

	for (size_t left = PASS, at = 0, n; left; left -= n, count_up(nonce)) {
		struct mf_span v;

		n = mf_min(left, b.chunk);
		at = at + n > sizeof(b.payload) ? 0 : at;
		v = mf_span(b.payload + at, n);
		mf_cipher_seal(b.cipher, &b.key, nonce, mf_span(NULL, 0), &v, 1, b.out);
		at += n;
	}
}

static void open_bare(void)
{
	uint8_t nonce[MF_CIPHER_NONCE_LEN] = { 0 };

	for (size_t left = PASS, at = 0, n; left; left -= n, at += n + MF_CIPHER_TAG_LEN) {
		struct mf_room room;

		n = mf_min(left, b.chunk);
		room = (struct mf_room){ b.room, n };
		must(mf_cipher_open(b.cipher, &b.key, nonce, mf_span(NULL, 0), b.wire + at,
				    n + MF_CIPHER_TAG_LEN, &room, 1),
		     "a bare message does not open");
		count_up(nonce);
	}
}

static void make_bare(void)
{
	uint8_t nonce[MF_CIPHER_NONCE_LEN] = { 0 };

	b.made_n = 0;
	for (size_t left = PASS, n; left; left -= n, count_up(nonce)) {
		struct mf_span v;

		n = mf_min(left, b.chunk);
		v = mf_span(b.payload, n);
		mf_cipher_seal(b.cipher, &b.key, nonce, mf_span(NULL, 0), &v, 1, b.made + b.made_n);
		b.made_n += n + MF_CIPHER_TAG_LEN;
	}
}

static void copy(void)
{
	for (int i = 0; i < PIECES; i++) {
		memcpy(b.out, b.payload, sizeof(b.payload));
		__asm__ volatile("" ::: "memory"); /* each of them */
	}
}

static void nothing(void)
{
}

#define PSK_16 "MDEyMzQ1Njc4OWFiY2RlZg=="
#define PSK_32 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define CODEC  .seal = seal_codec, .open = open_codec

static const struct kind kinds[] = {
	{ .name = "ss-aes-128-gcm",
	  .method = "aes-128-gcm",
	  .alg = MF_AES_128_GCM,
	  .chunk = SS_CHUNK,
	  .password = "secret",
	  .setup = setup_ss,
	  CODEC },
	{ .name = "ss-aes-256-gcm",
	  .method = "aes-256-gcm",
	  .alg = MF_AES_256_GCM,
	  .chunk = SS_CHUNK,
	  .password = "secret",
	  .setup = setup_ss,
	  CODEC },
	{ .name = "ss-chacha20",
	  .method = "chacha20-ietf-poly1305",
	  .alg = MF_CHACHA20_POLY1305,
	  .chunk = SS_CHUNK,
	  .password = "secret",
	  .setup = setup_ss,
	  CODEC },
	{ .name = "ss2022-aes-128-gcm",
	  .method = "2022-blake3-aes-128-gcm",
	  .alg = MF_AES_128_GCM,
	  .chunk = SS_CHUNK_2022,
	  .password = PSK_16,
	  .setup = setup_ss,
	  CODEC },
	{ .name = "ss2022-aes-256-gcm",
	  .method = "2022-blake3-aes-256-gcm",
	  .alg = MF_AES_256_GCM,
	  .chunk = SS_CHUNK_2022,
	  .password = PSK_32,
	  .setup = setup_ss,
	  CODEC },
	{ .name = "ss2022-chacha20",
	  .method = "2022-blake3-chacha20-poly1305",
	  .alg = MF_CHACHA20_POLY1305,
	  .chunk = SS_CHUNK_2022,
	  .password = PSK_32,
	  .setup = setup_ss,
	  CODEC },
	{ .name = "vmess-aes-128-gcm",
	  .alg = MF_AES_128_GCM,
	  .chunk = VMESS_CHUNK,
	  .security = MF_VMESS_AES_128_GCM,
	  .setup = setup_vmess,
	  CODEC },
	{ .name = "vmess-chacha20",
	  .alg = MF_CHACHA20_POLY1305,
	  .chunk = VMESS_CHUNK,
	  .security = MF_VMESS_CHACHA20_POLY1305,
	  .setup = setup_vmess,
	  CODEC },
	{ .name = "tls",
	  .alg = MF_AES_128_GCM,
	  .chunk = TLS_CHUNK,
	  .setup = setup_tls,
	  .seal = seal_tls,
	  .open = open_tls },
	{ .name = "ws", .chunk = WS_CHUNK, .setup = setup_ws, .seal = seal_ws, .open = open_ws },
};

static uint64_t wall(void *ctx)
{
	(void)ctx;
	return WALL;
}

static void prepare(void)
{
	static const struct mf_rng kernel = { .fill = mf_random_fill };
	static const struct mf_endpoint to = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 }, .port = 443 };

	b.cipher = mf_cipher_new();
	must(b.cipher, "out of memory");
	mf_random_pool_init(&b.pool, &kernel);
	b.env = (struct mf_codec_env){ .cipher = b.cipher,
				       .rng = { mf_random_pool_fill, &b.pool },
				       .wall = wall };
	b.to = mf_proxy_target("www.example.com", &to);
	for (size_t i = 0; i < sizeof(b.payload); i++)
		b.payload[i] = (uint8_t)(i * 167);
}

static void run(const struct kind *k)
{
	static const uint8_t key[MF_CIPHER_KEY_MAX] = "a key";
	double seal, open, bare_seal, bare_open;

	prepare();
	b.chunk = k->chunk;
	k->setup(k);
	seal = measure(begin_seal, k->seal);
	open = measure(begin_open, k->open);
	if (k->setup == setup_ws) {
		bare_seal = bare_open = measure(nothing, copy);
	} else {
		mf_cipher_key_init(&b.key, k->alg, key);
		bare_seal = measure(nothing, seal_bare);
		make_bare();
		bare_open = measure(fresh_wire, open_bare);
	}
	printf("{\"bench\":\"codec\",\"who\":\"mintflow\",\"codec\":\"%s\",\"chunk\":%zu,"
	       "\"seal\":%.0f,\"open\":%.0f,\"bare_seal\":%.0f,\"bare_open\":%.0f}\n",
	       k->name, k->chunk, seal, open, bare_seal, bare_open);
	mf_cipher_free(b.cipher);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[2], "--ms"))
		round_time = strtoul(argv[3], NULL, 10) * MF_MSEC;
	for (size_t i = 0; argc > 1 && i < MF_ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].name, argv[1])) {
			run(&kinds[i]);
			return 0;
		}
	fprintf(stderr, "codec: NAME [--ms N]; names are in bench/micro/codec.c\n");
	return 2;
}
