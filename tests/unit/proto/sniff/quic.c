/* SPDX-License-Identifier: Apache-2.0
 *
 * The first two tests are the client's Initials of RFC 9001 A.2 and RFC 9369 A.2: what support/hello.c seals is
 * what stands there (its beginning, which is the protected header and the sample, and its tag, which vouches for
 * the rest), so that it may make all the others.
 */
#include "sniff_test.h"
#include "support/hello.h"

static struct mf_sniffer *sniffer;
static struct mf_sniff_quic q;
static struct hello_bytes hello, frames, datagram;

static const uint8_t id[] = { 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08 };
static const uint8_t other_id[] = { 9, 8, 7, 6, 5, 4, 3, 2, 1, 0 };

static void from_hex(struct hello_bytes *o, const char *hex)
{
	o->n = 0;
	for (; *hex; hex += 2) {
		unsigned v;

		assert_int_equal(sscanf(hex, "%2x", &v), 1);
		hello_number(o, v, 1);
	}
}

static struct hello_initial initial(void)
{
	return (struct hello_initial){ .version = HELLO_QUIC_V1,
				       .keys_from = mf_span(id, sizeof(id)),
				       .dcid = mf_span(id, sizeof(id)),
				       .number_len = 1,
				       .payload = 1165 };
}

/* Begins a datagram, with room for frames. */
static void begin(void)
{
	datagram.n = 0;
	frames.n = 0;
}

static void seal(struct hello_initial p)
{
	p.frames = mf_span(frames.b, frames.n);
	hello_initial(&datagram, &p);
}

static void start(const struct hello_shape *s)
{
	memset(&q, 0, sizeof(q));
	memset(q.hello, 0xa5, sizeof(q.hello));
	hello_make(&hello, s);
}

/* In memory of its own size. */
static void expect_datagram(enum mf_sniff_verdict want, const char *name)
{
	struct mf_sniff_name out;
	uint8_t *copy = malloc(datagram.n ? datagram.n : 1);

	memcpy(copy, datagram.b, datagram.n);
	expect(mf_sniff_quic(sniffer, &q, mf_span(copy, datagram.n), &out), &out, want, name, "quic");
	assert_memory_equal(copy, datagram.b, datagram.n);
	free(copy);
}

/* ---- Known answers --------------------------------------------------------------------------------- */

static const char rfc_frame[] = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868"
				"04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578"
				"616d706c652e636f6dff01000100000a00080006001d00170018001000070005"
				"04616c706e000500050100000000003300260024001d00209370b2c9caa47fba"
				"baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400"
				"0d0010000e0403050306030203080408050806002d00020101001c0002400100"
				"3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000"
				"75300901100f088394c8f03e51570806048000ffff";

static void known(uint32_t version, const char *beginning, const char *end)
{
	struct hello_initial p = initial();
	static struct hello_bytes want;
	struct hello_shape none = { 0 };

	p.version = version;
	p.number = 2;
	p.number_len = 4;
	p.payload = 1162;
	begin();
	from_hex(&frames, rfc_frame);
	seal(p);
	assert_int_equal(datagram.n, 1200);
	from_hex(&want, beginning);
	assert_memory_equal(datagram.b, want.b, want.n);
	from_hex(&want, end);
	assert_memory_equal(datagram.b + datagram.n - want.n, want.b, want.n);
	start(&none);
	assert_true(mf_sniff_quic_begins(mf_span(datagram.b, datagram.n)));
	expect_datagram(MF_SNIFF_NAME, "example.com");
}

static void test_rfc9001(void **state)
{
	(void)state;
	known(HELLO_QUIC_V1,
	      "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b",
	      "e221af44860018ab0856972e194cd934");
}

static void test_rfc9369(void **state)
{
	(void)state;
	known(HELLO_QUIC_V2,
	      "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071",
	      "a18b2faa745b6fe189cf772a9f84cbfc");
}

/* ---- Parts ----------------------------------------------------------------------------------------- */

/* A post-quantum hello in two datagrams, in either order; in between, a datagram with 0-RTT only. */
static void test_two_datagrams(void **state)
{
	struct hello_shape s = { .name = "pq.example", .key_share = 1216 + 32, .name_last = true };
	static const uint8_t zero_rtt[] = { 0xd0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0 };

	(void)state;
	for (int first = 0; first < 2; first++) {
		start(&s);
		for (int i = 0; i < 2; i++) {
			struct hello_initial p = initial();
			bool front = (i == 0) == (first == 0);

			begin();
			hello_crypto(&frames, &hello, front ? 0 : 1000,
				     front ? 1000 : hello.n - 1000);
			p.number = front ? 0 : 1;
			seal(p);
			expect_datagram(i ? MF_SNIFF_NAME : MF_SNIFF_MORE, i ? "pq.example" : "");
			if (i == 0) {
				memcpy(datagram.b, zero_rtt, sizeof(zero_rtt));
				datagram.n = sizeof(zero_rtt);
				expect_datagram(MF_SNIFF_MORE, "");
			}
		}
	}
}

/* Pieces in any order, more than once and overlapping, in one packet or several, coalesced or not, among other
 * frames: the name is there exactly when all bytes are. */
static void test_random_pieces(void **state)
{
	struct mf_prng g = unit_prng("random pieces");
	struct hello_shape s = { .name = "shuffled.example", .key_share = 600 };
	unsigned complete = 0;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		static bool have[20000];
		size_t missing;

		start(&s);
		s.name_last = round % 2;
		memset(have, 0, sizeof(have));
		missing = hello.n;
		for (unsigned d = 1; missing && d < MF_SNIFF_INITIALS_MAX; d++) {
			unsigned packets = 1 + (unsigned)mf_prng_below(&g, 3);

			begin();
			for (unsigned k = 0; k < packets; k++) {
				struct hello_initial p = initial();

				frames.n = 0;
				for (unsigned f = 0; f < 3; f++) {
					size_t at = mf_prng_below(&g, hello.n);
					size_t n = mf_min(hello.n - at, mf_prng_below(&g, 500));

					hello_number(&frames, 0, mf_prng_below(&g, 4)); /* PADDING */
					hello_number(&frames, 1, 1);                    /* PING */
					/* ACK of 9 and of 3 to 4, with ECN */
					hello_number(&frames, 0x030900010003, 6);
					hello_number(&frames, 0x01010203, 4);
					hello_crypto(&frames, &hello, at, n);
					for (size_t i = at; i < at + n; i++) {
						missing -= !have[i];
						have[i] = true;
					}
				}
				p.number_len = (uint8_t)(1 + mf_prng_below(&g, 4));
				p.number = d * 3 + k;
				p.payload = 0;
				seal(p);
			}
			if (missing)
				expect_datagram(MF_SNIFF_MORE, "");
			else
				expect_datagram(MF_SNIFF_NAME, "shuffled.example");
		}
		complete += !missing;
	}
	assert_in_range(complete, 1, 299);
}

static void test_hidden(void **state)
{
	struct hello_shape s = { .name = "public.example", .ech = true };

	(void)state;
	start(&s);
	begin();
	hello_crypto(&frames, &hello, 0, hello.n);
	seal(initial());
	expect_datagram(MF_SNIFF_HIDDEN, "public.example");
	s = (struct hello_shape){ .key_share = 32 };
	start(&s);
	begin();
	hello_crypto(&frames, &hello, 0, hello.n);
	seal(initial());
	expect_datagram(MF_SNIFF_NONE, "");
}

/* ---- Keys ------------------------------------------------------------------------------------------ */

/* The server's Retry: the client says it all again, with a token, and the keys come from the new id. */
static void test_retry(void **state)
{
	struct hello_shape s = { .name = "retried.example", .key_share = 1216 };
	struct hello_initial p = initial();

	(void)state;
	start(&s);
	begin();
	hello_crypto(&frames, &hello, 0, 900);
	seal(p);
	expect_datagram(MF_SNIFF_MORE, "");

	p.keys_from = p.dcid = mf_span(other_id, sizeof(other_id));
	p.token = mf_span("a token of the server", 21);
	begin();
	hello_crypto(&frames, &hello, 900, hello.n - 900);
	seal(p);
	expect_datagram(MF_SNIFF_MORE, "");
	begin();
	hello_crypto(&frames, &hello, 0, 900);
	seal(p);
	expect_datagram(MF_SNIFF_NAME, "retried.example");
}

/* Without one, the client addresses the server's id from its second flight on, but the keys stay. */
static void test_new_id_old_keys(void **state)
{
	struct hello_shape s = { .name = "second.example", .key_share = 1216 };
	struct hello_initial p = initial();

	(void)state;
	start(&s);
	begin();
	hello_crypto(&frames, &hello, 0, 900);
	seal(p);
	expect_datagram(MF_SNIFF_MORE, "");
	p.dcid = mf_span(other_id, 4);
	p.scid = mf_span(other_id, 10);
	begin();
	hello_crypto(&frames, &hello, 900, hello.n - 900);
	seal(p);
	expect_datagram(MF_SNIFF_NAME, "second.example");
}

/* From v1 to v2 (RFC 9368): other salt and labels, the same id. */
static void test_version_changes(void **state)
{
	struct hello_shape s = { .name = "upgraded.example", .key_share = 1216 };
	struct hello_initial p = initial();

	(void)state;
	start(&s);
	begin();
	hello_crypto(&frames, &hello, 0, 900);
	seal(p);
	expect_datagram(MF_SNIFF_MORE, "");
	p.version = HELLO_QUIC_V2;
	p.dcid = mf_span(other_id, 10);
	begin();
	hello_crypto(&frames, &hello, 900, hello.n - 900);
	seal(p);
	expect_datagram(MF_SNIFF_NAME, "upgraded.example");
}

static void whole(const struct hello_shape *s)
{
	start(s);
	begin();
	hello_crypto(&frames, &hello, 0, hello.n);
	seal(initial());
}

/* Every bit of a packet counts, but for what it may differ in. */
static void test_forgeries(void **state)
{
	struct hello_shape s = { .name = "www.example.com" };
	struct mf_sniff_name out;

	(void)state;
	whole(&s);
	for (size_t bit = 0; bit < 8 * datagram.n; bit += bit < 400 ? 1 : 37) {
		memset(&q, 0, sizeof(struct mf_sniff_quic) - sizeof(q.hello));
		datagram.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		expect(mf_sniff_quic(sniffer, &q, mf_span(datagram.b, datagram.n), &out), &out,
		       MF_SNIFF_NONE, "", NULL);
		datagram.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t n = 0; n < datagram.n; n++) {
		memset(&q, 0, sizeof(struct mf_sniff_quic) - sizeof(q.hello));
		expect(mf_sniff_quic(sniffer, &q, mf_span(datagram.b, n), &out), &out,
		       MF_SNIFF_NONE, "", NULL);
	}
	whole(&s);
	expect_datagram(MF_SNIFF_NAME, "www.example.com");
}

/* ---- Bad input ------------------------------------------------------------------------------------- */

static void test_begins(void **state)
{
	struct hello_shape s = { .name = "www.example.com" };
	struct mf_span d;

	(void)state;
	whole(&s);
	d = mf_span(datagram.b, datagram.n);
	assert_true(mf_sniff_quic_begins(d));
	d.n--;
	assert_false(mf_sniff_quic_begins(d));
	d.n++;
	datagram.b[0] ^= 0x40; /* RFC 9287 */
	assert_true(mf_sniff_quic_begins(d));
	datagram.b[0] ^= 0x40 ^ 0x10; /* 0-RTT */
	assert_false(mf_sniff_quic_begins(d));
	datagram.b[0] ^= 0x10 ^ 0x80; /* a short header */
	assert_false(mf_sniff_quic_begins(d));
	datagram.b[0] ^= 0x80;
	datagram.b[4] = 2; /* a version that nobody knows */
	assert_false(mf_sniff_quic_begins(d));
	datagram.b[4] = 1;
	datagram.b[5] = 7; /* too short an id */
	assert_false(mf_sniff_quic_begins(d));
	datagram.b[5] = 21;
	assert_false(mf_sniff_quic_begins(d));
	assert_false(mf_sniff_quic_begins(mf_span(NULL, 0)));
}

/* Frames that an Initial may not have, and some that end before they should. */
static void test_bad_frames(void **state)
{
	static const char *const bad[] = { "02",
					   "0600",
					   "060041",
					   "06ffffffffffffffffffffffffffffffff",
					   "0660000100",
					   "0800",
					   "40",
					   "1c00001001",
					   "021f00bfffffff00",
					   "065f0040ff",
					   "1d0000" };
	struct hello_shape none = { 0 };
	struct hello_initial p = initial();

	(void)state;
	p.payload = 0;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		start(&none);
		begin();
		from_hex(&frames, bad[i]);
		seal(p);
		expect_datagram(MF_SNIFF_NONE, "");
	}
	/* And one that says goodbye: the name will not come, but that is not said. */
	start(&none);
	begin();
	from_hex(&frames, "1c000604deadbeef");
	seal(p);
	expect_datagram(MF_SNIFF_MORE, "");
}

/* More holes than are kept; and more datagrams than are looked at. */
static void test_bounds(void **state)
{
	struct hello_shape s = { .name = "www.example.com", .key_share = 1000 };

	(void)state;
	start(&s);
	begin();
	for (size_t i = 0; i < MF_SNIFF_RANGES + 1u; i++)
		hello_crypto(&frames, &hello, 20 * i + 5, 1);
	seal(initial());
	expect_datagram(MF_SNIFF_NONE, "");

	start(&s);
	for (unsigned i = 1; i <= MF_SNIFF_INITIALS_MAX; i++) {
		struct hello_initial p = initial();

		p.number = i;
		begin();
		hello_crypto(&frames, &hello, 100 * i, 50);
		seal(p);
		expect_datagram(i < MF_SNIFF_INITIALS_MAX ? MF_SNIFF_MORE : MF_SNIFF_NONE, "");
	}
	begin();
	hello_crypto(&frames, &hello, 0, 1000);
	seal(initial());
	expect_datagram(MF_SNIFF_NONE, "");
	/* A hello that could never be all there. */
	s.key_share = 9000;
	start(&s);
	begin();
	hello_crypto(&frames, &hello, 0, 100);
	seal(initial());
	expect_datagram(MF_SNIFF_NONE, "");
}

/* Two connections in turn with one sniffer: no keys of the other's. */
static void test_two_connections(void **state)
{
	struct hello_shape s = { .name = "one.example", .key_share = 1216 };
	static struct mf_sniff_quic two;
	struct mf_sniff_name out;

	(void)state;
	start(&s);
	memset(&two, 0, sizeof(two));
	for (int i = 0; i < 4; i++) {
		struct hello_initial p = initial();

		if (i % 2)
			p.keys_from = p.dcid = mf_span(other_id, sizeof(other_id));
		begin();
		hello_crypto(&frames, &hello, i < 2 ? 0 : 800, i < 2 ? 800 : hello.n - 800);
		seal(p);
		expect(mf_sniff_quic(sniffer, i % 2 ? &two : &q, mf_span(datagram.b, datagram.n),
				     &out),
		       &out, i < 2 ? MF_SNIFF_MORE : MF_SNIFF_NAME, i < 2 ? "" : "one.example",
		       "quic");
	}
}

static int setup(void **state)
{
	(void)state;
	sniffer = mf_sniffer_new();
	return sniffer ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	mf_sniffer_free(sniffer);
	mf_sniffer_free(NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc9001),         cmocka_unit_test(test_rfc9369),
		cmocka_unit_test(test_two_datagrams),   cmocka_unit_test(test_random_pieces),
		cmocka_unit_test(test_hidden),          cmocka_unit_test(test_retry),
		cmocka_unit_test(test_new_id_old_keys), cmocka_unit_test(test_version_changes),
		cmocka_unit_test(test_forgeries),       cmocka_unit_test(test_begins),
		cmocka_unit_test(test_bad_frames),      cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_two_connections),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
