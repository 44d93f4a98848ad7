/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams: known answers; both ways against a server of our own; and whatever a server, or
 * somebody who has listened to it, may send.
 */
#include "lab.h"

#include "proto/shadowsocks/internal.h"

enum { DGRAM_MAX = 4096 };

struct flow {
	struct lab lab;
	struct mf_ss_packets client;
	struct sserver_packet answer; /* the next one */
};

static void flow_init(struct flow *f, const char *method, const char *password, uint64_t seed)
{
	lab_init(&f->lab, method, password, seed);
	mf_ss_packets_init(&f->client, &f->lab.config, &f->lab.env);
	f->answer = (struct sserver_packet){ .type = 1, .time = f->lab.now, .session = { 7 } };
	memcpy(f->answer.client, &f->client.id, sizeof(f->answer.client));
}

static void flow_method(struct flow *f, unsigned i, uint64_t seed)
{
	flow_init(f, lab_methods[i].method, lab_methods[i].password, seed);
}

static void flow_fini(struct flow *f)
{
	static const uint8_t zero[sizeof(struct mf_cipher_key)];

	f->client.codec.ops->wipe(&f->client.codec);
	assert_memory_equal(&f->client.key, zero, sizeof(zero));
	assert_memory_equal(&f->client.current.key, zero, sizeof(zero));
}

static size_t seal(struct flow *f, const struct mf_proxy_target *to, const void *p, size_t n,
		   uint8_t *out, size_t room)
{
	return f->client.codec.ops->seal(&f->client.codec, to, mf_span(p, n), out, room);
}

/* The address and payload of the answer: "reply" from 192.0.2.1:53, or from a name. */
static void set_text(struct sserver_packet *p, bool name)
{
	static const char ip[] = "\x01\xc0\x00\x02\x01\x00\x35reply",
			  host[] = "\x03\x04host\x00\x35reply";

	p->n = (name ? sizeof(host) : sizeof(ip)) - 1;
	memcpy(p->text, name ? host : ip, p->n);
}

/* What the client says of `f->answer`. */
static mf_err answered(struct flow *f, struct mf_span *payload, struct mf_endpoint *from)
{
	static uint8_t in[0x11000];
	struct sserver_bytes wire = { 0 };
	mf_err e;

	mf_prng_fill(&f->lab.prng, f->answer.salt, sizeof(f->answer.salt));
	sserver_seal_packet(&f->lab.keys, &f->answer, &wire);
	memcpy(in, wire.p, wire.n);
	f->client.codec.fault = MF_PROXY_NONE;
	e = f->client.codec.ops->open(&f->client.codec, in, wire.n, payload, from);
	sserver_free(&wire);
	return e;
}

static void assert_taken(struct flow *f)
{
	struct mf_endpoint from;
	struct mf_span payload;

	assert_int_equal(answered(f, &payload, &from), MF_OK);
	assert_int_equal(payload.n, 5);
	assert_memory_equal(payload.p, "reply", 5);
	assert_int_equal(from.port, 53);
}

static void assert_refused(struct flow *f, enum mf_proxy_fault fault)
{
	struct mf_ss_packets before = f->client;
	struct mf_endpoint from;
	struct mf_span payload;

	assert_int_not_equal(answered(f, &payload, &from), MF_OK);
	assert_int_equal(f->client.codec.fault, fault);
	before.codec.fault = (uint8_t)fault;
	assert_memory_equal(&f->client, &before, sizeof(before));
}

/* ---- Known answers --------------------------------------------------------------------------- */

static void known(void **state)
{
	const struct mf_proxy_target to = { .addr = { .addr = mf_addr_ip4("\xc0\x00\x02\x01"),
						      .port = 53 } };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(ss_known); i++) {
		struct mf_endpoint from;
		struct mf_span payload;
		uint8_t out[256];
		struct flow f;
		size_t n;

		flow_init(&f, ss_known[i].method, "correct horse", 0);
		lab_script(&f.lab, ss_known[i].salt);
		n = seal(&f, &to, "payload", 7, out, sizeof(out));
		lab_assert_hex(out, n, ss_known[i].udp);
		/* A server's looks the same. */
		assert_int_equal(f.client.codec.ops->open(&f.client.codec, out, n, &payload, &from),
				 MF_OK);
		assert_int_equal(payload.n, 7);
		assert_memory_equal(payload.p, "payload", 7);
		assert_true(mf_endpoint_equal(&from, &to.addr));
		flow_fini(&f);
	}
}

/* With the session id and, for ChaCha20, the nonce given, the datagram of this number. */
static void known_packet(const char *method, const char *password, const char *session,
			 const char *nonce, unsigned number, const char *want)
{
	const struct mf_proxy_target to = { .addr.port = 443, .name = "example.com", .name_n = 11 };
	uint8_t out[256];
	struct flow f;
	size_t n = 0;

	lab_init(&f.lab, method, password, 0);
	lab_script(&f.lab, session);
	for (unsigned i = 0; i <= number; i++)
		lab_script(&f.lab, nonce);
	mf_ss_packets_init(&f.client, &f.lab.config, &f.lab.env);
	for (unsigned i = 0; i <= number; i++)
		n = seal(&f, &to, "dns", 3, out, sizeof(out));
	lab_assert_hex(out, n, want);
	flow_fini(&f);
}

static void known_2022(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(ss_known_2022); i++)
		known_packet(ss_known_2022[i].method, ss_known_2022[i].password,
			     ss_known_2022[i].session, ss_known_2022[i].nonce, 1,
			     ss_known_2022[i].packet);
	for (size_t i = 0; i < MF_ARRAY_LEN(ss_known_identity); i++)
		known_packet(ss_known_identity[i].method, ss_known_identity[i].password,
			     ss_known_identity[i].session, "", 0, ss_known_identity[i].packet);
}

/* ---- Both ways ------------------------------------------------------------------------------- */

static void upwards(void **state)
{
	struct mf_prng g = unit_prng("upwards");

	(void)state;
	for (unsigned i = 0; i < 50 * LAB_METHODS; i++) {
		static uint8_t payload[1500], out[DGRAM_MAX], want[MF_TARGET_LEN_MAX];
		static struct sserver_packet p;
		char name[256];
		struct flow f;

		flow_method(&f, i % LAB_METHODS, mf_prng_u64(&g));
		for (unsigned number = 0; number < 4; number++) {
			struct mf_proxy_target to = lab_target(&g, name);
			size_t n = lab_upto(&g, sizeof(payload)), len, target;

			mf_prng_fill(&g, payload, n);
			len = seal(&f, &to, payload, n, out, sizeof(out));
			assert_in_range(len, n + 1, n + MF_PACKET_OVERHEAD_MAX);
			assert_true(sserver_open_packet(&f.lab.keys, out, len, &p));
			target = mf_target_put_socks(&to, want);
			assert_int_equal(p.n, target + n);
			assert_memory_equal(p.text, want, target);
			assert_memory_equal(p.text + target, payload, n);
			if (f.lab.keys.edition_2022) {
				assert_int_equal(p.number, number);
				assert_int_equal(p.time, f.lab.now);
				assert_memory_equal(p.session, &f.client.id, sizeof(p.session));
			}
			/* It fits, or it does not. */
			memset(out, 0xa5, sizeof(out));
			assert_int_equal(seal(&f, &to, payload, n, out, len - 1), 0);
			assert_int_equal(seal(&f, &to, payload, n, out, 0), 0);
			assert_int_equal(out[0], 0xa5);
			f.client.count = number;
			assert_int_equal(seal(&f, &to, payload, n, out, len), len);
			assert_int_equal(out[len], 0xa5);
		}
		flow_fini(&f);
	}
}

static void downwards(void **state)
{
	struct mf_prng g = unit_prng("downwards");

	(void)state;
	for (unsigned i = 0; i < 50 * LAB_METHODS; i++) {
		struct mf_endpoint from;
		struct mf_span payload;
		char name[256];
		struct flow f;

		flow_method(&f, i % LAB_METHODS, mf_prng_u64(&g));
		for (unsigned number = 0; number < 6; number++) {
			struct mf_proxy_target sender = lab_target(&g, name);
			size_t front = mf_target_put_socks(&sender, f.answer.text);

			f.answer.n = front + lab_upto(&g, 1500);
			mf_prng_fill(&g, f.answer.text + front, f.answer.n - front);
			f.answer.number = number * 3 % 6 + number / 2 * 100;
			f.answer.padding = lab_upto(&g, 900);
			f.answer.time = f.lab.now - 30 + mf_prng_below(&g, 61);
			assert_int_equal(answered(&f, &payload, &from), MF_OK);
			assert_int_equal(payload.n, f.answer.n - front);
			if (payload.n)
				assert_memory_equal(payload.p, f.answer.text + front, payload.n);
			assert_int_equal(from.port, sender.addr.port);
			assert_int_equal(from.addr.family,
					 sender.name ? MF_AF_NONE : sender.addr.addr.family);
			if (!sender.name)
				assert_true(mf_endpoint_equal(&from, &sender.addr));
		}
		flow_fini(&f);
	}
}

/* ---- What may come wrong --------------------------------------------------------------------- */

static void tampered(void **state)
{
	struct mf_endpoint from;
	struct mf_span payload;

	(void)state;
	for (unsigned i = 0; i < LAB_METHODS; i++) {
		struct sserver_bytes wire = { 0 };
		struct mf_ss_packets before;
		uint8_t in[1024];
		struct flow f;

		flow_method(&f, i, i);
		set_text(&f.answer, false);
		sserver_seal_packet(&f.lab.keys, &f.answer, &wire);
		before = f.client;
		for (size_t at = 0; at < 2 * wire.n; at++) {
			size_t n = at < wire.n ? wire.n : at - wire.n;

			memcpy(in, wire.p, wire.n);
			if (at < wire.n)
				in[at] ^= (uint8_t)(1 << at % 8);
			assert_int_not_equal(
				f.client.codec.ops->open(&f.client.codec, in, n, &payload, &from),
				MF_OK);
			assert_true(f.client.codec.fault == MF_PROXY_AUTH ||
				    (n < wire.n && f.client.codec.fault == MF_PROXY_PROTOCOL));
			before.codec.fault = f.client.codec.fault;
			assert_memory_equal(&f.client, &before, sizeof(before));
		}
		assert_taken(&f);
		sserver_free(&wire);
		flow_fini(&f);
	}
}

static void bad_text(void **state)
{
	static const char *const bad[] = { "",
					   "\x01",
					   "\x01\x01\x02\x03\x04\x00",
					   "\x02xxxxxxxxxxxxxxxxxxxx",
					   "\x03\x05hos",
					   "\x04xxxxxxxxxxxxxxx" };

	(void)state;
	for (unsigned i = 0; i < LAB_METHODS; i++)
		for (size_t k = 0; k < MF_ARRAY_LEN(bad); k++) {
			struct flow f;

			flow_method(&f, i, i);
			f.answer.n = strlen(bad[k]);
			memcpy(f.answer.text, bad[k], f.answer.n);
			assert_refused(&f, MF_PROXY_PROTOCOL);
			set_text(&f.answer, true);
			assert_taken(&f);
			flow_fini(&f);
		}
}

/* What only the 2022 edition has. */
static void bad_front(void **state)
{
	(void)state;
	for (unsigned i = 3; i < LAB_METHODS; i++) {
		struct flow f;

		flow_method(&f, i, i);
		set_text(&f.answer, false);
		f.answer.type = 0;
		assert_refused(&f, MF_PROXY_PROTOCOL);
		f.answer.type = 1;
		f.answer.time = f.lab.now + 31;
		assert_refused(&f, MF_PROXY_CLOCK);
		f.answer.time = f.lab.now - 31;
		assert_refused(&f, MF_PROXY_CLOCK);
		f.answer.time = UINT64_MAX;
		assert_refused(&f, MF_PROXY_CLOCK);
		f.answer.client[0] ^= 1; /* an old one, of anybody's with this password */
		assert_refused(&f, MF_PROXY_REPLAY);
		f.answer.client[0] ^= 1;
		f.answer.time = f.lab.now;
		f.answer.client[0] ^= 1;
		assert_refused(&f, MF_PROXY_REPLAY);
		f.answer.client[0] ^= 1;
		f.answer.number = UINT64_MAX;
		assert_refused(&f, MF_PROXY_REPLAY);
		f.answer.number = 0;
		assert_taken(&f);
		assert_refused(&f, MF_PROXY_REPLAY);
		f.lab.now += 40; /* it is an old one now, and says nothing of the clocks */
		assert_refused(&f, MF_PROXY_REPLAY);
		f.answer.number = 1;
		assert_refused(&f, MF_PROXY_CLOCK);
		flow_fini(&f);
	}
}

static void window(void **state)
{
	enum { BEHIND = 64 * (MF_SS_WINDOW_WORDS - 1) };

	(void)state;
	for (unsigned i = 3; i < LAB_METHODS; i++) {
		struct flow f;

		flow_method(&f, i, i);
		set_text(&f.answer, false);
		f.answer.number = 5000;
		assert_taken(&f);
		f.answer.number = 5000 - BEHIND;
		assert_refused(&f, MF_PROXY_REPLAY);
		for (uint64_t back = BEHIND - 1; back; back -= 67) {
			f.answer.number = 5000 - back;
			assert_taken(&f);
			assert_refused(&f, MF_PROXY_REPLAY);
			if (back < 67)
				break;
		}
		flow_fini(&f);
	}
}

/* A server that is restarted, and restarted once more: too soon, and a minute after the last
 * word of the first one. */
static void server_sessions(void **state)
{
	(void)state;
	for (unsigned i = 3; i < LAB_METHODS; i++) {
		struct flow f;

		flow_method(&f, i, i);
		set_text(&f.answer, false);
		assert_taken(&f);
		f.answer.session[0] = 8;
		assert_taken(&f);
		assert_refused(&f, MF_PROXY_REPLAY);
		/* The old one's are still welcome, each once. */
		f.answer.session[0] = 7;
		assert_refused(&f, MF_PROXY_REPLAY);
		f.answer.number = 1;
		f.lab.now += 20;
		f.answer.time = f.lab.now;
		assert_taken(&f);
		assert_refused(&f, MF_PROXY_REPLAY);
		f.answer.session[0] = 9;
		f.lab.now += 59;
		f.answer.time = f.lab.now;
		assert_refused(&f, MF_PROXY_REPLAY);
		f.lab.now += 1;
		assert_taken(&f);
		assert_refused(&f, MF_PROXY_REPLAY);
		/* 8 is the old one now; what would be 7's is of one session too many. */
		f.answer.number = 2;
		f.answer.session[0] = 8;
		f.lab.now += 60;
		f.answer.time = f.lab.now;
		assert_taken(&f);
		f.answer.session[0] = 7;
		assert_refused(&f, MF_PROXY_REPLAY);
		flow_fini(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),           cmocka_unit_test(known_2022),
		cmocka_unit_test(upwards),         cmocka_unit_test(downwards),
		cmocka_unit_test(tampered),        cmocka_unit_test(bad_text),
		cmocka_unit_test(bad_front),       cmocka_unit_test(window),
		cmocka_unit_test(server_sessions),
	};
	int failed = cmocka_run_group_tests_name("proto/shadowsocks/packets", tests, NULL, NULL);

	mf_cipher_free(lab_cipher);
	return failed;
}
