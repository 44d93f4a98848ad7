/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/cursor.h"
#include "proto/obfs/obfs.h"
#include "support/codeclab.h"

static const struct mf_obfs_config cfg = { .mode = MF_OBFS_TLS,
					   .port = 443,
					   .host = "www.example.net" };

/* ---- What we say, read by RFC 8446 and RFC 5077 ---------------------------------------------- */

static struct mf_rd part(struct mf_rd *r, size_t n)
{
	const uint8_t *p = mf_rd_bytes(r, n);

	return mf_rd_init(mf_span(p, p ? n : 0));
}

/* So much follows, and no more. */
static void expect_rest(const struct mf_rd *r, size_t n)
{
	assert_int_equal(mf_rd_left(r), n);
}

static void expect_server_name(struct mf_rd ext, const char *want)
{
	size_t n = strlen(want);

	expect_rest(&ext, 2 + (size_t)mf_load_be16(ext.p));
	mf_rd_be16(&ext);
	assert_int_equal(mf_rd_u8(&ext), 0);
	assert_int_equal(mf_rd_be16(&ext), n);
	assert_memory_equal(mf_rd_bytes(&ext, n), want, n);
	assert_int_equal(mf_rd_done(&ext), MF_OK);
}

/* The extensions in their order; what the ticket holds. */
static struct mf_span read_extensions(struct mf_rd r)
{
	static const uint16_t order[] = { 0x23, 0, 0xb, 0xa, 0xd, 0x16, 0x17 };
	struct mf_span ticket = { 0 };

	for (size_t i = 0; i < MF_ARRAY_LEN(order); i++) {
		struct mf_rd ext;

		assert_int_equal(mf_rd_be16(&r), order[i]);
		ext = part(&r, mf_rd_be16(&r));
		if (order[i] == 0x23)
			ticket = mf_span(ext.p, mf_rd_left(&ext));
		else if (!order[i])
			expect_server_name(ext, cfg.host);
		else if (order[i] == 0xb)
			expect_rest(&ext, 1 + (size_t)mf_load_u8(ext.p));
		else if (order[i] < 0x16)
			expect_rest(&ext, 2 + (size_t)mf_load_be16(ext.p));
		else
			assert_int_equal(mf_rd_left(&ext), 0);
	}
	assert_int_equal(mf_rd_done(&r), MF_OK);
	return ticket;
}

/* What a ClientHello record says; its ticket. */
static struct mf_span read_hello(struct mf_span record)
{
	struct mf_rd r = mf_rd_init(record);
	struct mf_span ticket;
	uint32_t head;

	assert_int_equal(mf_rd_u8(&r), 22);
	assert_int_equal(mf_rd_be16(&r), 0x0301);
	expect_rest(&r, 2 + (size_t)mf_load_be16(r.p));
	mf_rd_be16(&r);
	head = mf_rd_be32(&r);
	assert_int_equal(head >> 24, 1);
	expect_rest(&r, head & 0xffffff);
	assert_int_equal(mf_rd_be16(&r), 0x0303);
	assert_int_equal(mf_rd_be32(&r), LAB_WALL);
	mf_rd_bytes(&r, 28);
	assert_int_equal(mf_rd_u8(&r), 32);
	mf_rd_bytes(&r, 32);
	assert_int_equal(mf_rd_be16(&r), 28 * 2);
	mf_rd_bytes(&r, 28 * 2);
	assert_int_equal(mf_rd_be16(&r), 0x0100);
	ticket = read_extensions(part(&r, mf_rd_be16(&r)));
	assert_int_equal(mf_rd_done(&r), MF_OK);
	return ticket;
}

struct server {
	struct codeclab lab;
	bool known;
	size_t records;
};

/* An answer's front: ServerHello of 96 bytes, ChangeCipherSpec, and a record that claims to be a
 * handshake. */
static void put_front(struct codeclab *l)
{
	uint8_t hello[96] = { 22, 3, 1, 0, 91, 2, 0, 0, 87, 3, 3 };

	mf_prng_fill(&l->g, hello + 11, 64);
	lab_add(&l->sent, hello, sizeof(hello));
	lab_add(&l->sent, "\x14\x03\x03\x00\x01\x01", 6);
}

static void put_record(struct codeclab *l, uint8_t type)
{
	size_t n =
		mf_prng_below(&l->g, mf_min(l->answer.n, mf_prng_below(&l->g, 2) ? 100 : 16384) + 1);
	uint8_t head[] = { type, 3, 3, (uint8_t)(n >> 8), (uint8_t)n };

	lab_add(&l->sent, head, sizeof(head));
	lab_add(&l->sent, l->answer.p, n);
	lab_drop(&l->answer, n);
}

static void hear_record(struct server *s, struct mf_span record)
{
	struct codeclab *l = &s->lab;

	if (!s->known) {
		struct mf_span ticket = read_hello(record);

		lab_add(&l->heard, ticket.p, ticket.n);
		put_front(l);
		put_record(l, 22);
		s->known = true;
		return;
	}
	assert_memory_equal(record.p, "\x17\x03\x03", 3);
	assert_in_range(record.n, 5 + 1, 5 + 16384);
	lab_add(&l->heard, record.p + 5, record.n - 5);
	s->records++;
}

static void serve(struct codeclab *l)
{
	struct server *s = (struct server *)l;

	while (l->arrived.n >= 5) {
		size_t n = 5 + (size_t)mf_load_be16(l->arrived.p + 3);

		if (l->arrived.n < n)
			break;
		hear_record(s, mf_span(l->arrived.p, n));
		lab_drop(&l->arrived, n);
	}
	if (s->known && mf_prng_below(&l->g, 2))
		put_record(l, 23);
}

static void test_tunnel(void **state)
{
	struct mf_prng g = unit_prng("tls");

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct server s = { .known = false };
		struct mf_obfs o;

		codeclab_init(&s.lab, mf_prng_u64(&g));
		s.lab.serve = serve;
		mf_obfs_init(&o, &cfg, &s.lab.env);
		s.lab.codec = &o.codec;
		codeclab_run(&s.lab, mf_prng_below(&g, 200000), mf_prng_below(&g, 200000));
		assert_false(o.codec.raw_up || o.codec.raw_down || o.codec.proven);
		codeclab_fini(&s.lab);
	}
}

/* Hello and the rest of the first payload in one write, cut where a ticket is full and where a
 * record is. */
static void test_first_write(void **state)
{
	static uint8_t payload[40000], out[70000];
	const struct mf_span v[] = { mf_span(payload, 10), mf_span(NULL, 0),
				     mf_span(payload + 10, sizeof(payload) - 10) };
	struct server s = { .known = false };
	struct mf_obfs o;
	size_t len;

	(void)state;
	codeclab_init(&s.lab, 1);
	mf_prng_fill(&s.lab.g, payload, sizeof(payload));
	mf_obfs_init(&o, &cfg, &s.lab.env);
	assert_int_equal(o.codec.ops->seal(&o.codec, v, 3, out, sizeof(out), &len), sizeof(payload));
	lab_add(&s.lab.arrived, out, len);
	serve(&s.lab);
	assert_int_equal(s.lab.arrived.n, 0);
	assert_int_equal(s.records, 3); /* of 16384 bytes at most */
	assert_int_equal(s.lab.heard.n, sizeof(payload));
	assert_memory_equal(s.lab.heard.p, payload, sizeof(payload));
	codeclab_fini(&s.lab);
}

static void test_longest_hello(void **state)
{
	char host[MF_OBFS_HOST_MAX + 1] = "";
	const struct mf_obfs_config longest = { .mode = MF_OBFS_TLS, .host = host };
	static const uint8_t payload[5000];
	const struct mf_span v = mf_span(payload, sizeof(payload));
	uint8_t *out = malloc(MF_CODEC_OUT_MIN);
	struct codeclab l;
	struct mf_obfs o;
	size_t len, taken;

	(void)state;
	assert_non_null(out);
	memset(host, 'h', MF_OBFS_HOST_MAX);
	codeclab_init(&l, 1);
	mf_obfs_init(&o, &longest, &l.env);
	taken = o.codec.ops->seal(&o.codec, &v, 1, out, MF_CODEC_OUT_MIN, &len);
	/* A record behind the hello fills the room. */
	assert_int_equal(len, MF_CODEC_OUT_MIN);
	assert_in_range(taken, 1025, MF_CODEC_OUT_MIN);
	codeclab_fini(&l);
	free(out);
}

/* Two connections show different randoms and sessions. */
static void test_randoms(void **state)
{
	static uint8_t out[2][MF_CODEC_OUT_MIN];
	struct codeclab l;

	(void)state;
	codeclab_init(&l, 1);
	for (int i = 0; i < 2; i++) {
		struct mf_obfs o;
		size_t len;

		mf_obfs_init(&o, &cfg, &l.env);
		o.codec.ops->seal(&o.codec, NULL, 0, out[i], sizeof(out[i]), &len);
		assert_int_equal(read_hello(mf_span(out[i], len)).n, 0);
	}
	assert_memory_not_equal(out[0] + 15, out[1] + 15, 28);
	assert_memory_not_equal(out[0] + 44, out[1] + 44, 32);
	codeclab_fini(&l);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static void expect_answer(const char *answer, size_t n, enum mf_proxy_fault fault)
{
	for (uint64_t seed = 0; seed < 30; seed++) {
		struct codeclab l;
		struct mf_obfs o;

		codeclab_init(&l, seed);
		mf_obfs_init(&o, &cfg, &l.env);
		l.codec = &o.codec;
		assert_int_equal(codeclab_feed(&l, answer, n), fault ? MF_E_MALFORMED : MF_OK);
		assert_int_equal(o.codec.fault, fault);
		assert_int_equal(l.got.n, 0);
		codeclab_fini(&l);
	}
}

static void test_faults(void **state)
{
	(void)state;
	expect_answer("\x16\x03\x01\x00", 4, MF_PROXY_NONE);
	expect_answer("\x15\x03\x03\x00\x02\x02\x28", 7, MF_PROXY_TRANSPORT); /* an alert */
	expect_answer("HTTP/1.1 400 Bad Request\r\n", 26, MF_PROXY_TRANSPORT);
	expect_answer("\x83\xcd\x12\x00\x00", 5, MF_PROXY_TRANSPORT);
	/* A server that speaks TLS in earnest goes on with another record than this one. */
	expect_answer("\x16\x03\x03\x00\x02xx\x17\x03\x03\x00\x01", 12, MF_PROXY_TRANSPORT);
	expect_answer("\x16\x03\x03\x00\x02xx\x14\x03\x03\x00\x01\x01\x17\x04\x03\x00\x01", 18,
		      MF_PROXY_TRANSPORT);
	expect_answer("\x16\x03\x03\x00\x02xx\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x00", 18,
		      MF_PROXY_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel),        cmocka_unit_test(test_first_write),
		cmocka_unit_test(test_longest_hello), cmocka_unit_test(test_randoms),
		cmocka_unit_test(test_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
