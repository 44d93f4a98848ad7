/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions: known answers; payload both ways against a server of our own, with bytes, spans and
 * rooms cut at random; and whatever a server may do wrong.
 */
#include "lab.h"

enum { PAYLOAD_MAX = 200000, SPANS = 80, ROOMS = 60, IN_MAX = MF_CODEC_IN_MAX };

/* A session of a client with its server. */
struct session {
	struct lab lab;
	struct mf_ss_stream client;
	struct mf_proxy_target to;
	char name[256];
	struct sserver server;
	uint8_t *in; /* what came from the server and is not used up */
	size_t in_n;
};

static const struct mf_span no_payload;

static void session_init(struct session *s, const char *method, const char *password, uint64_t seed)
{
	lab_init(&s->lab, method, password, seed);
	s->to = lab_target(&s->lab.prng, s->name);
	s->in = malloc(IN_MAX);
	s->in_n = 0;
	assert_non_null(s->in);
	mf_ss_stream_init(&s->client, &s->lab.config, &s->lab.env, &s->to);
	sserver_init(&s->server, &s->lab.keys);
}

static void session_fini(struct session *s)
{
	static const uint8_t zero[sizeof(struct mf_cipher_key)];

	s->client.codec.ops->wipe(&s->client.codec);
	assert_memory_equal(&s->client.up.key, zero, sizeof(zero));
	assert_memory_equal(&s->client.down.key, zero, sizeof(zero));
	sserver_fini(&s->server);
	free(s->in);
}

static size_t seal(struct session *s, const void *p, size_t n, uint8_t *out, size_t room, size_t *len)
{
	struct mf_span v = mf_span(p, n);

	return s->client.codec.ops->seal(&s->client.codec, &v, 1, out, room, len);
}

/* Opens into one room; what is not used up stays. */
static mf_err take(struct session *s, const void *p, size_t n, uint8_t *out, size_t room, size_t *got)
{
	struct mf_codec_in in = { s->in, s->in_n + n };
	struct mf_room v = { out, room };
	mf_err e;

	assert_true(in.n <= IN_MAX);
	if (n)
		memcpy(s->in + s->in_n, p, n);
	e = s->client.codec.ops->open(&s->client.codec, &in, &v, 1, got);
	assert_true(in.p >= s->in && in.p + in.n == s->in + s->in_n + n);
	assert_true(*got <= room);
	memmove(s->in, in.p, in.n);
	s->in_n = in.n;
	return e;
}

/* ---- Known answers --------------------------------------------------------------------------- */

static void set_name(struct session *s, uint16_t port)
{
	strcpy(s->name, "example.com");
	s->to = (struct mf_proxy_target){ .addr.port = port, .name = s->name, .name_n = 11 };
}

static void known(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(ss_known); i++) {
		static uint8_t out[2 * MF_CODEC_OUT_MIN];
		size_t len, more;
		struct session s;

		session_init(&s, ss_known[i].method, "correct horse", 0);
		set_name(&s, 80);
		lab_script(&s.lab, ss_known[i].salt);
		assert_int_equal(s.client.codec.ops->seal(&s.client.codec, NULL, 0, out,
							  MF_CODEC_OUT_MIN, &len),
				 0);
		assert_true(s.client.codec.begun);
		assert_int_equal(seal(&s, "", 0, out + len, MF_CODEC_OUT_MIN, &more), 0);
		assert_int_equal(more, 0);
		assert_int_equal(seal(&s, "GET", 3, out + len, MF_CODEC_OUT_MIN, &more), 3);
		lab_assert_hex(out, len + more, ss_known[i].tcp);
		session_fini(&s);
	}
}

/* The number that is drawn for 7 bytes of padding. */
static const char *seven(void)
{
	const uint32_t six = 6;

	return *(const uint8_t *)&six == 6 ? "06000000" : "00000006";
}

static void known_2022(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(ss_known_2022); i++) {
		static uint8_t out[MF_CODEC_OUT_MIN], answer[1024];
		struct session s;
		size_t len, got;

		session_init(&s, ss_known_2022[i].method, ss_known_2022[i].password, 0);
		set_name(&s, 443);
		lab_script(&s.lab, ss_known_2022[i].salt);
		lab_script(&s.lab, seven());
		assert_int_equal(seal(&s, "payload", 7, out, sizeof(out), &len), 7);
		lab_assert_hex(out, len, ss_known_2022[i].request);
		len = lab_hex(answer, sizeof(answer), ss_known_2022[i].response);
		assert_false(s.client.codec.proven);
		assert_int_equal(take(&s, answer, len, out, sizeof(out), &got), MF_OK);
		assert_int_equal(got, 9);
		assert_memory_equal(out, "replymore", 9);
		assert_true(s.client.codec.proven);
		assert_int_equal(s.in_n, 0);
		session_fini(&s);
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(ss_known_identity); i++) {
		static uint8_t out[2 * MF_CODEC_OUT_MIN];
		struct session s;
		size_t len;

		session_init(&s, ss_known_identity[i].method, ss_known_identity[i].password, 0);
		set_name(&s, 443);
		lab_script(&s.lab, ss_known_identity[i].salt);
		lab_script(&s.lab, seven());
		assert_int_equal(seal(&s, "payload", 7, out, sizeof(out), &len), 7);
		lab_assert_hex(out, len, ss_known_identity[i].request);
		session_fini(&s);
	}
}

/* ---- Both ways ------------------------------------------------------------------------------- */

static void assert_target(const struct session *s)
{
	uint8_t want[MF_TARGET_LEN_MAX];
	size_t n = mf_target_put_socks(&s->to, want);

	assert_true(s->server.has_target);
	assert_int_equal(s->server.target_n, n);
	assert_memory_equal(s->server.target, want, n);
}

/* At most SPANS spans over the n bytes at p, some of them empty; returns how many. */
static size_t spans(struct mf_prng *g, const uint8_t *p, size_t n, struct mf_span v[SPANS])
{
	size_t count = mf_prng_below(g, 2) ? 1 : 1 + mf_prng_below(g, SPANS);

	for (size_t i = 0; i < count; i++) {
		size_t part = i + 1 == count ? n : lab_upto(g, mf_min(n, 1 + 3 * n / count));

		v[i] = mf_span(part ? p : NULL, part);
		p += part;
		n -= part;
	}
	return count;
}

/* What the client writes, cut anew. */
static void deliver(struct session *s, const uint8_t *p, size_t n)
{
	while (n) {
		size_t part = 1 + lab_upto(&s->lab.prng, n - 1);

		assert_true(sserver_take(&s->server, p, part));
		p += part;
		n -= part;
	}
}

static void send_all(struct session *s, const uint8_t *p, size_t n)
{
	static uint8_t out[80000];
	struct mf_prng *g = &s->lab.prng;
	struct mf_span v[SPANS];
	size_t done = 0, len;

	do {
		size_t some = lab_upto(g, mf_min(n - done, 70000));
		size_t room = MF_CODEC_OUT_MIN + lab_upto(g, sizeof(out) - MF_CODEC_OUT_MIN - 1);
		size_t count = spans(g, p + done, some, v), taken;

		out[room] = 0xa5;
		taken = s->client.codec.ops->seal(&s->client.codec, v, count, out, room, &len);
		assert_true(len <= room && out[room] == 0xa5);
		assert_true(taken <= some && (taken || !some));
		deliver(s, out, len);
		done += taken;
	} while (done < n);
}

static void upwards(void **state)
{
	static uint8_t payload[PAYLOAD_MAX];
	struct mf_prng g = unit_prng("upwards");

	(void)state;
	for (unsigned i = 0; i < 40 * LAB_METHODS; i++) {
		const struct lab_method *m = &lab_methods[i % LAB_METHODS];
		size_t n = lab_upto(&g, i % 7 ? 5000 : sizeof(payload));
		struct session s;

		session_init(&s, m->method, m->password, mf_prng_u64(&g));
		mf_prng_fill(&g, payload, n);
		send_all(&s, payload, n);
		assert_target(&s);
		assert_int_equal(s.server.in.n, 0);
		assert_int_equal(s.server.got.n, n);
		if (n)
			assert_memory_equal(s.server.got.p, payload, n);
		assert_true(!s.lab.keys.edition_2022 || s.server.time == s.lab.now);
		session_fini(&s);
	}
}

/* Chunks are as long as they may be, and the first one goes with the request. */
static void long_chunks(void **state)
{
	static uint8_t payload[PAYLOAD_MAX], out[PAYLOAD_MAX + 2000];

	(void)state;
	for (unsigned i = 0; i < LAB_METHODS; i++) {
		size_t len, max = i < 3 ? 0x3fff : 0xffff;
		struct session s;

		session_init(&s, lab_methods[i].method, lab_methods[i].password, i);
		assert_int_equal(seal(&s, payload, sizeof(payload), out, sizeof(out), &len),
				 sizeof(payload));
		deliver(&s, out, len);
		assert_int_equal(s.server.got.n, sizeof(payload));
		assert_int_equal(s.server.longest, max);
		assert_true(s.server.first_payload > max - 300);
		assert_int_equal(s.server.padding, 0);
		/* What fills the room may leave no tiny chunk behind. */
		assert_int_equal(seal(&s, payload, 9000, out, 5000, &len), 5000 - 34);
		assert_int_equal(len, 5000);
		assert_int_equal(seal(&s, payload, 40000, out, 16383 + 34 + 34 + 511, &len),
				 i < 3 ? 16383 : 16383 + 34 + 511);
		session_fini(&s);
	}
}

/* Short requests of the 2022 edition are padded, and without payload they must be. */
static void padding(void **state)
{
	uint8_t payload[1000] = { 0 }, out[MF_CODEC_OUT_MIN];
	size_t least = 901, most = 0;
	struct mf_prng g = unit_prng("padding");

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		size_t n = i % 4 ? 0 : 898 + i % 5, len, taken;
		struct session s;

		session_init(&s, lab_methods[3].method, lab_methods[3].password, mf_prng_u64(&g));
		taken = seal(&s, payload, n, out, sizeof(out), &len);
		assert_true(taken <= n && (taken || !n));
		deliver(&s, out, len);
		assert_int_equal(s.server.padding != 0, n < 900);
		if (n < 900) {
			least = mf_min(least, s.server.padding);
			most = mf_max(most, s.server.padding);
		}
		session_fini(&s);
	}
	assert_in_range(least, 1, 20);
	assert_in_range(most, 880, 900);
}

/* At most ROOMS rooms in `b`, apart from each other; the sum of their space in all. */
static size_t rooms(struct mf_prng *g, uint8_t *b, size_t max, struct mf_room v[ROOMS], size_t *n)
{
	size_t sum = 0, at = 0;

	*n = mf_prng_below(g, 3) ? mf_prng_below(g, 4) : mf_prng_below(g, ROOMS);
	for (size_t i = 0; i < *n; i++) {
		size_t part = lab_upto(g, mf_prng_below(g, 2) ? 100 : max / (*n + 1));

		v[i] = (struct mf_room){ b + at, part };
		b[at + part] = 0xa5;
		at += part + 1;
		sum += part;
	}
	return sum;
}

/* Reads what lies in `wire` with reads, rooms and pauses of any size. */
static void read_all(struct session *s, const struct sserver_bytes *wire, struct sserver_bytes *got)
{
	static uint8_t b[90000];
	struct mf_prng *g = &s->lab.prng;
	size_t at = 0, idle = 0;

	while (idle < 200) {
		size_t n, filled, part = lab_upto(g, mf_min(wire->n - at, IN_MAX - s->in_n));
		size_t max, left;
		struct mf_room v[ROOMS];
		struct mf_codec_in in;

		max = rooms(g, b, sizeof(b) - ROOMS, v, &n);
		memcpy(s->in + s->in_n, wire->p + at, part);
		at += part;
		in = (struct mf_codec_in){ s->in, s->in_n + part };
		assert_int_equal(s->client.codec.ops->open(&s->client.codec, &in, v, n, &filled),
				 MF_OK);
		assert_true(filled <= max);
		left = filled;
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(v[i].p[v[i].n], 0xa5);
			sserver_add(got, v[i].p, mf_min(left, v[i].n));
			left -= mf_min(left, v[i].n);
		}
		assert_true(in.p + in.n == s->in + s->in_n + part);
		memmove(s->in, in.p, in.n);
		s->in_n = in.n;
		idle = at == wire->n && !filled && (!s->in_n || max) ? idle + 1 : 0;
	}
}

static void begin(struct session *s)
{
	uint8_t out[MF_CODEC_OUT_MIN];
	size_t len;

	s->client.codec.ops->seal(&s->client.codec, &no_payload, 1, out, sizeof(out), &len);
	deliver(s, out, len);
}

static void downwards(void **state)
{
	static uint8_t payload[PAYLOAD_MAX];
	struct mf_prng g = unit_prng("downwards");

	(void)state;
	for (unsigned i = 0; i < 40 * LAB_METHODS; i++) {
		const struct lab_method *m = &lab_methods[i % LAB_METHODS];
		struct sserver_bytes wire = { 0 }, got = { 0 };
		size_t n = lab_upto(&g, i % 7 ? 5000 : sizeof(payload)), done, part;
		uint8_t salt[SSERVER_KEY_MAX];
		struct session s;

		session_init(&s, m->method, m->password, mf_prng_u64(&g));
		begin(&s);
		mf_prng_fill(&g, payload, n);
		mf_prng_fill(&g, salt, sizeof(salt));
		done = lab_upto(&g, mf_min(n, 0x3fff));
		sserver_answer(&s.server, salt, s.lab.now - 30 + mf_prng_below(&g, 61), payload,
			       done, &wire);
		for (; done < n; done += part) {
			part = 1 + lab_upto(&g, mf_min(n - done,
						       s.lab.keys.edition_2022 ? 0xffff : 0x3fff) -
							1);
			sserver_chunk(&s.server, payload + done, part, &wire);
		}
		read_all(&s, &wire, &got);
		assert_int_equal(s.in_n, 0);
		assert_int_equal(got.n, n);
		if (n)
			assert_memory_equal(got.p, payload, n);
		assert_int_equal(s.client.codec.proven, n || s.lab.keys.edition_2022);
		sserver_free(&wire);
		sserver_free(&got);
		session_fini(&s);
	}
}

/* ---- What a server may do wrong -------------------------------------------------------------- */

static const uint8_t some_salt[SSERVER_KEY_MAX] = { 1, 2, 3 };

static void assert_broken(struct session *s, mf_err e, enum mf_proxy_fault f)
{
	uint8_t out[100];
	size_t got = 1;

	assert_int_equal(s->client.codec.fault, f);
	/* It stays so. */
	assert_int_equal(take(s, "more bytes that mean nothing", 28, out, sizeof(out), &got), e);
	assert_int_equal(got, 0);
	assert_int_equal(s->client.codec.fault, f);
}

/* Any bit of an answer that is turned is seen, and of that chunk no byte comes out. */
static void tampered(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		for (size_t at = 0, n = 1; at < n; at++) {
			struct sserver_bytes wire = { 0 };
			enum mf_proxy_fault f;
			uint8_t out[100];
			struct session s;
			size_t got;
			mf_err e;

			session_init(&s, lab_methods[i].method, lab_methods[i].password, at);
			begin(&s);
			sserver_answer(&s.server, some_salt, s.lab.now, (const uint8_t *)"first", 5,
				       &wire);
			sserver_chunk(&s.server, (const uint8_t *)"second", 6, &wire);
			n = wire.n;
			wire.p[at] ^= (uint8_t)(1 << at % 8);
			e = take(&s, wire.p, n, out, sizeof(out), &got);
			if (!e) { /* the first chunk was good */
				assert_int_equal(got, 5);
				assert_memory_equal(out, "first", 5);
				e = take(&s, "", 0, out, sizeof(out), &got);
			}
			assert_int_equal(got, 0);
			f = s.client.codec.proven ? MF_PROXY_PROTOCOL : MF_PROXY_AUTH;
			assert_broken(&s, f == MF_PROXY_AUTH ? MF_E_AUTH : MF_E_MALFORMED, f);
			assert_int_equal(e, f == MF_PROXY_AUTH ? MF_E_AUTH : MF_E_MALFORMED);
			sserver_free(&wire);
			session_fini(&s);
		}
}

static void own_salt(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LAB_METHODS; i++) {
		struct sserver_bytes wire = { 0 };
		uint8_t out[100];
		struct session s;
		size_t got;

		session_init(&s, lab_methods[i].method, lab_methods[i].password, i);
		begin(&s);
		sserver_answer(&s.server, s.server.salt, s.lab.now, (const uint8_t *)"x", 1, &wire);
		assert_int_equal(take(&s, wire.p, wire.n, out, sizeof(out), &got), MF_E_AUTH);
		assert_broken(&s, MF_E_AUTH, MF_PROXY_REPLAY);
		sserver_free(&wire);
		session_fini(&s);
	}
}

/* An answer of the 2022 edition with this header and payload. */
static mf_err answered(struct session *s, size_t method, uint8_t type, int64_t ahead,
		       const uint8_t *salt, size_t *got)
{
	struct sserver_bytes wire = { 0 };
	struct sserver_header h;
	uint8_t out[100];
	mf_err e;

	session_init(s, lab_methods[method].method, lab_methods[method].password, method);
	begin(s);
	h = (struct sserver_header){ .type = type,
				     .length = 5,
				     .time = s->lab.now + (uint64_t)ahead,
				     .salt = salt ? salt : s->server.salt };
	sserver_salt(&s->server, some_salt, &wire);
	sserver_header(&s->server, &h, &wire);
	sserver_message(&s->server, (const uint8_t *)"hello", 5, &wire);
	e = take(s, wire.p, wire.n, out, sizeof(out), got);
	sserver_free(&wire);
	return e;
}

static void headers(void **state)
{
	static const struct {
		uint8_t type;
		int64_t ahead;
		bool other_salt;
		mf_err e;
		enum mf_proxy_fault f;
	} cases[] = {
		{ 1, 0, false, MF_OK, MF_PROXY_NONE },
		{ 1, 30, false, MF_OK, MF_PROXY_NONE },
		{ 1, -30, false, MF_OK, MF_PROXY_NONE },
		{ 1, 31, false, MF_E_AUTH, MF_PROXY_CLOCK },
		{ 1, -31, false, MF_E_AUTH, MF_PROXY_CLOCK },
		{ 1, -SS_KNOWN_TIME, false, MF_E_AUTH, MF_PROXY_CLOCK },
		{ 1, INT64_MAX, false, MF_E_AUTH, MF_PROXY_CLOCK },
		{ 0, 0, false, MF_E_MALFORMED, MF_PROXY_PROTOCOL },
		{ 2, 0, false, MF_E_MALFORMED, MF_PROXY_PROTOCOL },
		{ 1, 0, true, MF_E_AUTH, MF_PROXY_REPLAY },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases) * LAB_METHODS; i++) {
		size_t method = i / MF_ARRAY_LEN(cases), k = i % MF_ARRAY_LEN(cases);
		struct session s;
		size_t got;

		if (method < 3)
			continue;
		assert_int_equal(answered(&s, method, cases[k].type, cases[k].ahead,
					  cases[k].other_salt ? some_salt : NULL, &got),
				 cases[k].e);
		assert_int_equal(got, cases[k].e ? 0 : 5);
		/* Whatever it says: it has the key. */
		assert_true(s.client.codec.proven);
		if (cases[k].e)
			assert_broken(&s, cases[k].e, cases[k].f);
		if (cases[k].f == MF_PROXY_CLOCK)
			assert_int_equal(s.client.codec.skew,
					 cases[k].ahead > INT32_MAX ? INT32_MAX : cases[k].ahead);
		session_fini(&s);
	}
}

/* An empty chunk is an error, but not the empty first payload of the 2022 edition. */
static void empty_chunks(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LAB_METHODS; i++) {
		struct sserver_bytes wire = { 0 };
		uint8_t out[100];
		struct session s;
		size_t got;

		session_init(&s, lab_methods[i].method, lab_methods[i].password, i);
		begin(&s);
		sserver_answer(&s.server, some_salt, s.lab.now, NULL, 0, &wire);
		sserver_chunk(&s.server, (const uint8_t *)"x", 1, &wire);
		assert_int_equal(take(&s, wire.p, wire.n, out, sizeof(out), &got), MF_OK);
		assert_int_equal(got, 1);
		wire.n = 0;
		sserver_chunk(&s.server, NULL, 0, &wire);
		assert_int_equal(take(&s, wire.p, wire.n, out, sizeof(out), &got), MF_E_MALFORMED);
		assert_broken(&s, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
		sserver_free(&wire);
		session_fini(&s);
	}
}

/* SIP004 leaves the two highest bits of a length to the future: they do not count. */
static void high_bits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct sserver_bytes wire = { 0 };
		uint8_t out[100];
		struct session s;
		size_t got;

		session_init(&s, lab_methods[i].method, lab_methods[i].password, i);
		begin(&s);
		sserver_salt(&s.server, some_salt, &wire);
		sserver_message(&s.server, (const uint8_t *)"\xc0\x03", 2, &wire);
		sserver_message(&s.server, (const uint8_t *)"abc", 3, &wire);
		assert_int_equal(take(&s, wire.p, wire.n, out, sizeof(out), &got), MF_OK);
		assert_int_equal(got, 3);
		assert_memory_equal(out, "abc", 3);
		sserver_free(&wire);
		session_fini(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),     cmocka_unit_test(known_2022),
		cmocka_unit_test(upwards),   cmocka_unit_test(long_chunks),
		cmocka_unit_test(padding),   cmocka_unit_test(downwards),
		cmocka_unit_test(tampered),  cmocka_unit_test(own_salt),
		cmocka_unit_test(headers),   cmocka_unit_test(empty_chunks),
		cmocka_unit_test(high_bits),
	};
	int failed = cmocka_run_group_tests_name("proto/shadowsocks/stream", tests, NULL, NULL);

	mf_cipher_free(lab_cipher);
	return failed;
}
