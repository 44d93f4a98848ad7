/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions and datagrams of VMess against a server that shares no code with the client: every
 * security with every option, cut at random into spans, rooms and reads; and servers that do what
 * they should not.
 */
#include "vectors.h"

#include "proto/vmess/header.h"
#include "support/vserver.h"

enum { STREAM = 400 * 1024, WALL = 1700000000 };

static const uint8_t uuid[MF_UUID_LEN] = "sixteen bytes id";

struct pair {
	struct mf_prng *g;
	struct mf_codec_env env;
	struct mf_vmess_config config;
	struct mf_proxy_target to;
	struct mf_vmess client;
	struct vserver server;
	struct mf_codec_in in;
	uint8_t buffer[MF_CODEC_IN_MAX];
};

static struct mf_cipher *cipher;
static struct mf_prng prng;
static uint8_t stream[STREAM]; /* what both ends send */

static int setup(void **state)
{
	(void)state;
	cipher = mf_cipher_new();
	prng = unit_prng("session");
	mf_prng_fill(&prng, stream, sizeof(stream));
	return cipher ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	mf_cipher_free(cipher);
	return 0;
}

static uint64_t wall(void *ctx)
{
	(void)ctx;
	return WALL;
}

static struct pair *pair_new(enum mf_vmess_security s, bool padding, bool sealed_length, bool udp)
{
	const struct mf_endpoint addr = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 }, .port = 443 };
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->g = &prng;
	p->env = (struct mf_codec_env){ .cipher = cipher,
					.rng = { .fill = mf_prng_fill, .ctx = &prng },
					.wall = wall };
	mf_vmess_config_set_uuid(&p->config, uuid);
	p->config.security = (uint8_t)s;
	p->config.global_padding = padding;
	p->config.authenticated_length = sealed_length;
	p->to = mf_proxy_target(mf_prng_below(&prng, 2) ? "www.example.com" : NULL, &addr);
	mf_vmess_init(&p->client, &p->config, &p->env, &p->to, udp);
	vserver_init(&p->server, uuid, mf_prng_u64(&prng));
	p->in.p = p->buffer;
	return p;
}

static void pair_free(struct pair *p)
{
	static const struct mf_vmess_body none;

	p->client.codec.ops->wipe(&p->client.codec);
	assert_memory_equal(&p->client.body, &none, sizeof(none));
	vserver_free(&p->server);
	free(p);
}

static size_t below(uint64_t n)
{
	return mf_prng_below(&prng, n);
}

/* Mostly small, sometimes large. */
static size_t some_size(size_t most)
{
	return below(below(4) ? mf_min(most, 60) + 1 : most + 1);
}

/* ---- Client to server ------------------------------------------------------------------------ */

/* Gives the server n bytes in pieces. */
static void hear(struct pair *p, const uint8_t *wire, size_t n)
{
	for (size_t at = 0, part; at < n; at += part) {
		part = below(3) ? n - at : 1 + below(n - at);
		assert_true(vserver_hear(&p->server, wire + at, part));
	}
}

/* Seals the n bytes from `at` on, or as much as fits, from spans cut at random; returns how
 * many. */
static size_t send_some(struct pair *p, size_t at, size_t n)
{
	struct mf_span v[100];
	size_t room = MF_CODEC_OUT_MIN + some_size(68 * 1024), n_v = 0, len = SIZE_MAX, taken;
	uint8_t *out = malloc(room);

	assert_non_null(out);
	for (size_t cut = at; cut < at + n && n_v < MF_ARRAY_LEN(v); cut += v[n_v++].n)
		v[n_v] = mf_span(stream + cut, some_size(at + n - cut));
	taken = p->client.codec.ops->seal(&p->client.codec, v, n_v, out, room, &len);
	assert_true(taken <= n && len <= room && len >= taken);
	assert_true(p->client.codec.begun);
	hear(p, out, len);
	free(out);
	return taken;
}

/* ---- Server to client ------------------------------------------------------------------------ */

/* Puts up to n more bytes of the server's in front of the client. */
static void deliver(struct pair *p, size_t n)
{
	struct mf_span s;

	memmove(p->buffer, p->in.p, p->in.n);
	p->in.p = p->buffer;
	s = vserver_bytes_take(&p->server.wire, mf_min(n, sizeof(p->buffer) - p->in.n));
	if (s.n)
		memcpy(p->in.p + p->in.n, s.p, s.n);
	p->in.n += s.n;
}

/* Opens into rooms cut at random, of no more than `most` bytes; they must hold the stream from `at`
 * on. */
static mf_err receive_some(struct pair *p, size_t at, size_t most, size_t *got)
{
	struct mf_room v[100];
	size_t n_v = 0, size = some_size(most), left;
	uint8_t *out = malloc(size + 1);
	mf_err e;

	assert_non_null(out);
	for (size_t cut = 0; cut < size && n_v < MF_ARRAY_LEN(v); cut += v[n_v++].n)
		v[n_v] = (struct mf_room){ .p = out + cut, .n = some_size(size - cut) };
	*got = SIZE_MAX;
	e = p->client.codec.ops->open(&p->client.codec, &p->in, v, n_v, got);
	assert_true(*got <= size && at + *got <= STREAM);
	left = *got;
	for (size_t i = 0, part; i < n_v && left; i++, left -= part) {
		part = mf_min(left, v[i].n);
		assert_memory_equal(v[i].p, stream + at + (*got - left), part);
	}
	assert_int_equal(left, 0);
	free(out);
	return e;
}

static void say(struct pair *p, size_t at, size_t n)
{
	vserver_say(&p->server, stream + at, n);
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static void check_request(const struct pair *p, uint8_t command)
{
	uint8_t encoded[MF_TARGET_LEN_MAX];
	size_t n = mf_target_put_v2(&p->to, encoded);

	assert_true(p->server.begun);
	assert_int_equal(p->server.stamp, WALL);
	assert_int_equal(p->server.command, command);
	assert_int_equal(p->server.target_n, n);
	assert_memory_equal(p->server.target, encoded, n);
}

/* Both ways until both have sent all. */
static void talk(struct pair *p, size_t up, size_t down)
{
	size_t sent = 0, said = 0, received = 0, got;
	mf_err e;

	assert_int_equal(send_some(p, 0, 0), 0);
	assert_int_equal(send_some(p, 0, 0), 0);
	check_request(p, MF_VMESS_TCP);
	while (sent < up || received < down) {
		if (below(2))
			sent += send_some(p, sent, below(4) ? below(up - sent + 1) : up - sent);
		if (said < down && p->server.wire.n - p->server.wire.at < 100000) {
			size_t n = 1 + some_size(mf_min(down - said, MF_VMESS_PAYLOAD_MAX) - 1);

			say(p, said, n);
			said += n;
		}
		deliver(p, some_size(70000));
		e = receive_some(p, received, 80000, &got);
		assert_int_equal(e, MF_OK);
		received += got;
		assert_true(p->client.codec.proven || !got);
	}
	assert_int_equal(p->server.payload.n, up);
	assert_memory_equal(p->server.payload.p, stream, up);
}

static void end(struct pair *p, size_t at)
{
	uint8_t out[MF_CODEC_OUT_MIN];
	size_t got;

	hear(p, out, p->client.codec.ops->finish(&p->client.codec, out, sizeof(out)));
	assert_true(p->server.ended);
	say(p, at, 0);
	deliver(p, SIZE_MAX);
	assert_int_equal(receive_some(p, at, 10, &got), MF_E_GONE);
	assert_int_equal(got, 0);
	assert_int_equal(p->in.n, 0);
	assert_int_equal(receive_some(p, at, 10, &got), MF_E_GONE);
}

static const uint8_t ciphers[] = {
	[MF_VMESS_AES_128_GCM] = 3,
	[MF_VMESS_CHACHA20_POLY1305] = 4,
	[MF_VMESS_NONE] = 5,
	[MF_VMESS_ZERO] = 5,
};

static void check_options(const struct pair *p, bool udp)
{
	uint8_t want = 1 | 4;

	if (p->config.security == MF_VMESS_AUTO)
		assert_int_equal(p->server.security, mf_cipher_has_aes() ? 3 : 4);
	else
		assert_int_equal(p->server.security, ciphers[p->config.security]);
	if (p->config.security < MF_VMESS_NONE)
		want |= (uint8_t)(8 * p->config.global_padding | 16 * p->config.authenticated_length);
	else if (p->config.security == MF_VMESS_ZERO && !udp)
		want = 0;
	assert_int_equal(p->server.option, want);
}

static void test_sessions(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 6; round++)
		for (unsigned kind = 0; kind < 4 * MF_VMESS_SECURITIES; kind++) {
			struct pair *p = pair_new(kind / 4, kind & 1, kind & 2, false);
			size_t most = round ? 5000 : STREAM, up = below(most), down = below(most);
			bool raw = p->config.security == MF_VMESS_ZERO;

			talk(p, up, down);
			check_options(p, false);
			assert_int_equal(p->client.codec.ops->has_end, !raw);
			assert_int_equal(p->client.codec.raw_up, raw);
			if (!raw)
				end(p, down);
			assert_int_equal(p->client.codec.raw_down, raw && p->client.codec.proven);
			pair_free(p);
		}
}

/* The end comes without any payload, and the request in front of it. */
static void test_nothing_but_the_end(void **state)
{
	(void)state;
	for (unsigned s = 0; s < MF_VMESS_ZERO; s++) {
		struct pair *p = pair_new(s, true, false, false);

		end(p, 0);
		check_request(p, MF_VMESS_TCP);
		assert_true(p->client.codec.proven);
		pair_free(p);
	}
}

/* No chunk of ours says more than 16384, and large payloads make full ones. */
static void test_chunk_sizes(void **state)
{
	struct pair *p = pair_new(MF_VMESS_AES_128_GCM, true, false, false);
	const struct mf_span v = mf_span(stream, 64 * 1024);
	size_t room = 68 * 1024, len, size, total = 0;
	uint8_t *out = malloc(room);

	(void)state;
	assert_non_null(out);
	assert_int_equal(p->client.codec.ops->seal(&p->client.codec, &v, 1, out, room, &len), v.n);
	hear(p, out, len);
	assert_int_equal(p->server.sizes.n, 5 * sizeof(size));
	for (size_t i = 0; i < 5; i++) {
		memcpy(&size, p->server.sizes.p + i * sizeof(size), sizeof(size));
		assert_true(size + 16 + 63 < 16384 && (i == 4 || size > 16000));
		total += size;
	}
	assert_int_equal(total, v.n);
	free(out);
	pair_free(p);
}

/* More spans and rooms than one message of the cipher's takes. */
static void test_crumbs(void **state)
{
	struct pair *p = pair_new(MF_VMESS_CHACHA20_POLY1305, true, false, false);
	static struct mf_span v[500];
	static struct mf_room r[500];
	static uint8_t out[8192], back[500];
	size_t len, got;

	(void)state;
	for (size_t i = 0; i < 500; i++) {
		v[i] = mf_span(stream + i, 1);
		r[i] = (struct mf_room){ .p = back + i, .n = 1 };
	}
	assert_int_equal(p->client.codec.ops->seal(&p->client.codec, v, 500, out, sizeof(out), &len),
			 500);
	hear(p, out, len);
	assert_memory_equal(p->server.payload.p, stream, 500);
	say(p, 0, 500);
	deliver(p, SIZE_MAX);
	assert_int_equal(p->client.codec.ops->open(&p->client.codec, &p->in, r, 500, &got), MF_OK);
	assert_int_equal(got, 500);
	assert_memory_equal(back, stream, 500);
	pair_free(p);
}

/* The counter of chunks has 16 bits and goes on from 0, as that of every server does. */
static void wrap(enum mf_vmess_security s, bool sealed_length)
{
	struct pair *p = pair_new(s, true, sealed_length, false);
	size_t got;

	for (size_t i = 0; i < 65536 + 10; i++) {
		uint8_t out[MF_CODEC_OUT_MIN], byte[2];
		const struct mf_span v = mf_span(&byte, 1);
		const struct mf_room r = { .p = byte + 1, .n = 1 };
		size_t len;

		byte[0] = (uint8_t)(i * 7);
		assert_int_equal(
			p->client.codec.ops->seal(&p->client.codec, &v, 1, out, sizeof(out), &len),
			1);
		assert_true(vserver_hear(&p->server, out, len));
		assert_int_equal(vserver_bytes_take(&p->server.payload, 2).p[0], byte[0]);
		vserver_say(&p->server, byte, 1);
		deliver(p, SIZE_MAX);
		assert_int_equal(p->client.codec.ops->open(&p->client.codec, &p->in, &r, 1, &got),
				 MF_OK);
		assert_int_equal(got, 1);
		assert_int_equal(byte[1], byte[0]);
	}
	end(p, 0);
	pair_free(p);
}

static void test_wrap(void **state)
{
	(void)state;
	wrap(MF_VMESS_AES_128_GCM, false);
	wrap(MF_VMESS_CHACHA20_POLY1305, true);
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

static size_t datagram_out(struct pair *p, size_t n, size_t room)
{
	uint8_t *out = malloc(room + 1);
	size_t len = p->client.codec.ops->seal_dgram(&p->client.codec, NULL, mf_span(stream, n),
						     out, room);

	assert_non_null(out);
	assert_true(len <= room);
	if (len) {
		hear(p, out, len);
		assert_int_equal(p->server.payload.n, n);
		assert_memory_equal(vserver_bytes_take(&p->server.payload, n).p, stream, n);
	}
	free(out);
	return len;
}

/* One datagram from the server, which may come in pieces. */
static mf_err datagram_in(struct pair *p, struct mf_span *payload)
{
	struct mf_endpoint from;
	mf_err e;

	do {
		deliver(p, below(3) ? SIZE_MAX : 1 + below(600));
		memset(&from, 0xff, sizeof(from));
		e = p->client.codec.ops->open_dgram(&p->client.codec, &p->in, payload, &from);
		assert_int_equal(from.addr.family, 0);
	} while (e == MF_E_SHORT && p->server.wire.at < p->server.wire.n);
	return e;
}

static void test_datagrams(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4 * MF_VMESS_SECURITIES; kind++) {
		struct pair *p = pair_new(kind / 4, kind & 1, kind & 2, true);
		struct mf_span got;

		for (unsigned i = 0; i < 200; i++) {
			size_t n = i ? 1 + some_size(MF_VMESS_PAYLOAD_MAX - 1) : MF_VMESS_PAYLOAD_MAX;

			assert_true(datagram_out(p, n, 70000));
			say(p, i, n);
			assert_int_equal(datagram_in(p, &got), MF_OK);
			assert_int_equal(got.n, n);
			assert_memory_equal(got.p, stream + i, n);
		}
		check_request(p, MF_VMESS_UDP);
		check_options(p, true);
		say(p, 0, 0);
		assert_int_equal(datagram_in(p, &got), MF_E_GONE);
		pair_free(p);
	}
}

/* What does not fit is not sent, and changes nothing. */
static void test_datagrams_that_do_not_fit(void **state)
{
	struct pair *p = pair_new(MF_VMESS_AUTO, true, false, true);

	(void)state;
	assert_int_equal(datagram_out(p, 0, 70000), 0);
	assert_int_equal(datagram_out(p, MF_VMESS_PAYLOAD_MAX + 1, 70000), 0);
	assert_int_equal(datagram_out(p, 100, MF_VMESS_REQUEST_MAX + 100), 0);
	assert_int_equal(datagram_out(p, 100, 0), 0);
	assert_false(p->client.codec.begun);
	assert_true(datagram_out(p, 100, MF_VMESS_REQUEST_MAX + 100 + MF_VMESS_OVERHEAD_MAX));
	assert_int_equal(datagram_out(p, 100, 100), 0);
	assert_int_equal(datagram_out(p, 0, 70000), 0);
	assert_true(datagram_out(p, 100, 100 + MF_VMESS_OVERHEAD_MAX));
	pair_free(p);
}

/* ---- Servers that lie ------------------------------------------------------------------------ */

static void expect_fault(struct pair *p, mf_err want, enum mf_proxy_fault fault)
{
	uint8_t out[1000];
	const struct mf_room room = { .p = out, .n = sizeof(out) };
	size_t got = SIZE_MAX;

	deliver(p, SIZE_MAX);
	assert_int_equal(p->client.codec.ops->open(&p->client.codec, &p->in, &room, 1, &got), want);
	assert_int_equal(p->client.codec.fault, fault);
	assert_int_equal(got, 0);
}

/* A session whose request has been heard. */
static struct pair *begun(enum mf_vmess_security s, bool padding, bool sealed_length)
{
	struct pair *p = pair_new(s, padding, sealed_length, false);

	send_some(p, 0, 0);
	assert_true(p->server.begun);
	return p;
}

static void test_lengths_that_lie(void **state)
{
	enum { HEADER = MF_VMESS_REPLY_LENGTH_LEN + 4 + MF_CIPHER_TAG_LEN, TEXT = 5 };

	(void)state;
	for (unsigned kind = 0; kind < 8; kind++) {
		enum mf_vmess_security s = kind & 4 ? MF_VMESS_CHACHA20_POLY1305
						    : MF_VMESS_AES_128_GCM;
		struct pair *p = begun(s, kind & 1, kind & 2);
		size_t padding;

		vserver_lie(&p->server, stream, TEXT, -TEXT - 1);
		padding = p->server.wire.n - HEADER - mf_vmess_body_length_len(&p->client.body) -
			  TEXT - MF_CIPHER_TAG_LEN;
		/* Sealed lengths leave out the tag: then -1 is the longest of all. */
		if (kind & 2 && !padding)
			expect_fault(p, MF_OK, MF_PROXY_NONE);
		else
			expect_fault(p, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
		pair_free(p);
		p = begun(s, kind & 1, kind & 2);
		vserver_lie(&p->server, stream, TEXT, 1);
		vserver_raw(&p->server, stream, 1);
		expect_fault(p, MF_E_AUTH, MF_PROXY_AUTH);
		pair_free(p);
	}
}

/* The keys of an answer are made with the request: what comes before that would be opened with zeros, which anybody on
 * the way can seal with. */
static void test_an_answer_to_no_request(void **state)
{
	struct pair *p = pair_new(MF_VMESS_AES_128_GCM, true, false, false);
	struct mf_endpoint from;
	struct mf_span payload;

	(void)state;
	expect_fault(p, MF_OK, MF_PROXY_NONE);
	vserver_raw(&p->server, stream, 1);
	expect_fault(p, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	pair_free(p);
	p = pair_new(MF_VMESS_AES_128_GCM, true, false, true);
	vserver_raw(&p->server, stream, 1);
	deliver(p, SIZE_MAX);
	assert_int_equal(p->client.codec.ops->open_dgram(&p->client.codec, &p->in, &payload, &from),
			 MF_E_MALFORMED);
	pair_free(p);
}

static void test_answers_that_lie(void **state)
{
	struct pair *p = begun(MF_VMESS_AUTO, true, false);
	uint8_t header[] = { (uint8_t)(p->server.verify + 1), 0, 0, 0 };

	(void)state;
	vserver_answer(&p->server, header, sizeof(header), sizeof(header));
	expect_fault(p, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	assert_false(p->client.codec.proven);
	pair_free(p);
	p = begun(MF_VMESS_AUTO, true, false);
	vserver_answer(&p->server, header, sizeof(header), 300);
	expect_fault(p, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	pair_free(p);
	p = begun(MF_VMESS_AUTO, true, false);
	vserver_raw(&p->server, stream, 100);
	expect_fault(p, MF_E_AUTH, MF_PROXY_AUTH);
	assert_false(p->client.codec.proven);
	pair_free(p);
}

static void test_wrong_user(void **state)
{
	struct pair *p = pair_new(MF_VMESS_AUTO, true, false, false);
	uint8_t other[MF_UUID_LEN] = "another bytes id", out[MF_CODEC_OUT_MIN];
	size_t len;

	(void)state;
	mf_vmess_config_set_uuid(&p->config, other);
	p->client.codec.ops->seal(&p->client.codec, NULL, 0, out, sizeof(out), &len);
	assert_false(vserver_hear(&p->server, out, len));
	assert_string_equal(p->server.why, "auth id");
	pair_free(p);
}

/* One bent bit, anywhere: what comes out is a beginning of what was said, and never all of it with
 * its end, but for padding, which nothing protects. */
static void test_bent_bits(void **state)
{
	enum { TALK = 40 };

	(void)state;
	for (unsigned bit = 0;; bit++) {
		struct pair *p = begun(MF_VMESS_AES_128_GCM, bit & 1, bit & 2);
		size_t padding = 0, got = 0, all = 0, n;
		mf_err e = MF_OK;

		say(p, 0, TALK / 2);
		say(p, TALK / 2, TALK / 2);
		say(p, 0, 0);
		n = p->server.wire.n;
		if (bit / 8 >= n) {
			pair_free(p);
			break;
		}
		p->server.wire.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		deliver(p, SIZE_MAX);
		for (unsigned i = 0; i < 100 && !e; i++, all += got)
			e = receive_some(p, all, 60, &got);
		if (p->config.global_padding)
			padding = 3 * 63;
		assert_true(e != MF_E_GONE || padding);
		assert_true(e != MF_E_GONE || all == TALK);
		assert_true(e == MF_OK || e == MF_E_GONE || p->client.codec.fault != MF_PROXY_NONE);
		pair_free(p);
	}
}

/* The longest message that a server can make, with room for it. */
static void test_longest_chunk(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		struct pair *p = begun(MF_VMESS_AES_128_GCM, false, kind);
		size_t n = UINT16_MAX - (kind ? 0 : MF_CIPHER_TAG_LEN), got = 0, part;

		say(p, 0, n);
		deliver(p, SIZE_MAX);
		assert_int_equal(vserver_bytes_take(&p->server.wire, 1).n, 0);
		for (; got < n; got += part)
			assert_int_equal(receive_some(p, got, n, &part), MF_OK);
		assert_int_equal(got, n);
		pair_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_nothing_but_the_end),
		cmocka_unit_test(test_chunk_sizes),
		cmocka_unit_test(test_crumbs),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_datagrams_that_do_not_fit),
		cmocka_unit_test(test_lengths_that_lie),
		cmocka_unit_test(test_an_answer_to_no_request),
		cmocka_unit_test(test_answers_that_lie),
		cmocka_unit_test(test_wrong_user),
		cmocka_unit_test(test_bent_bits),
		cmocka_unit_test(test_longest_chunk),
	};
	print_message("a session takes %zu bytes\n", sizeof(struct mf_vmess));
	return cmocka_run_group_tests(tests, setup, teardown);
}
