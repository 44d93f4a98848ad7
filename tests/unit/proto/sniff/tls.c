/* SPDX-License-Identifier: Apache-2.0 */
#include "sniff_test.h"
#include "support/hello.h"

static struct hello_bytes hello, stream;

static void expect_hello(const struct hello_shape *s, size_t record, enum mf_sniff_verdict want,
			 const char *name)
{
	hello_make(&hello, s);
	hello_records(&stream, &hello, record);
	expect_stream(stream.b, stream.n, want, name, "tls");
}

static void expect_name(const char *sent, const char *name)
{
	struct hello_shape s = { .name = sent };

	expect_hello(&s, 16384, *name ? MF_SNIFF_NAME : MF_SNIFF_NONE, name);
}

/* Small, and with post-quantum key shares, in records of any size, the name in front or behind. */
static void test_shapes(void **state)
{
	static const size_t records[] = { 1, 3, 50, 517, 1400, 16384 };
	struct hello_shape s = { .name = "www.example.com" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(records); i++)
		for (s.name_last = false;; s.name_last = true) {
			s.key_share = 32;
			expect_hello(&s, records[i], MF_SNIFF_NAME, "www.example.com");
			s.key_share = 1216 + 32;
			expect_hello(&s, records[i], MF_SNIFF_NAME, "www.example.com");
			if (s.name_last)
				break;
		}
}

static void test_names(void **state)
{
	char longest[255], label[70];

	(void)state;
	expect_name("EXAMPLE.com", "example.com");
	expect_name("example.com.", "example.com");
	expect_name("example.com..", "");
	expect_name(".example.com", "");
	expect_name("a..b", "");
	expect_name(".", "");
	expect_name("xn--bcher-kva.example", "xn--bcher-kva.example");
	expect_name("_dmarc.r3---sn-x.example", "_dmarc.r3---sn-x.example");
	expect_name("localhost", "localhost");
	expect_name("192.0.2.1", "");
	expect_name("3221225985", "");
	expect_name("1.0x7f", "");
	expect_name("0x7f.example", "0x7f.example");
	expect_name("2001:db8::1", "");
	expect_name("[2001:db8::1]", "");
	expect_name("b\xc3\xbc"
		    "cher.example",
		    "");
	expect_name("a b.example", "");
	expect_name("a/b", "");
	memset(longest, 'a', sizeof(longest));
	for (size_t i = 9; i < 253; i += 10)
		longest[i] = '.';
	longest[253] = 0;
	expect_name(longest, longest);
	longest[253] = 'a';
	longest[254] = 0;
	expect_name(longest, "");
	memset(label, 'b', sizeof(label));
	label[64] = 0;
	expect_name(label, "");
	label[63] = 0;
	expect_name(label, label);
}

static void test_without_a_name(void **state)
{
	struct hello_shape nothing = { .no_extensions = true }, none = { .key_share = 32 };
	struct hello_shape other = { .name = "example.com", .name_type = 7 };
	struct hello_shape nul = { .name = "exam\0ple.com", .name_len = 12 };
	struct hello_shape too_long = { .name = (const char *)stream.b, .name_len = 300 };

	(void)state;
	expect_hello(&nothing, 16384, MF_SNIFF_NONE, "");
	expect_hello(&none, 16384, MF_SNIFF_NONE, "");
	expect_hello(&other, 16384, MF_SNIFF_NONE, "");
	expect_hello(&nul, 16384, MF_SNIFF_NONE, "");
	expect_hello(&too_long, 16384, MF_SNIFF_NONE, "");
}

static void test_encrypted_hello(void **state)
{
	struct hello_shape s = { .name = "Public.example", .ech = true };

	(void)state;
	expect_hello(&s, 16384, MF_SNIFF_HIDDEN, "public.example");
	s.name_last = true;
	expect_hello(&s, 100, MF_SNIFF_HIDDEN, "public.example");
	s.name = NULL;
	expect_hello(&s, 16384, MF_SNIFF_HIDDEN, "");
	s.name = "192.0.2.1";
	expect_hello(&s, 16384, MF_SNIFF_HIDDEN, "");
	s = (struct hello_shape){ .name = "inner.example", .ech_inner = true };
	expect_hello(&s, 16384, MF_SNIFF_NAME, "inner.example");
}

static void test_other_protocols(void **state)
{
	static const struct {
		const char *b;
		size_t n;
	} streams[] = {
		{ "\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", 11 }, /* SSL 2 */
		{ "\x15\x03\x01\x00\x02\x02\x28", 7 },                  /* an alert */
		{ "\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9 },          /* a ServerHello */
		{ "\x16\x03\x01\x00\x00", 5 },                          /* an empty record */
		{ "\x16\x03\x01\x40\x01", 5 },                 /* a record that is too long */
		{ "\x16\x02\x01\x00\x10", 5 },                 /* no TLS */
		{ "\x16\x03\x01\x40\x00\x01\x00\x40\x00", 9 }, /* more than we would look at */
		{ "SSH-2.0-OpenSSH_9.7\r\n", 21 },
		{ "\x00", 1 },
		{ "\x05\x01\x00", 3 },
	};
	struct mf_sniff_name out;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(streams); i++)
		expect_stream(streams[i].b, streams[i].n, MF_SNIFF_NONE, "", NULL);
	expect(mf_sniff_stream(NULL, 0, &out), &out, MF_SNIFF_MORE, "", NULL);
}

/* Another record in the middle of the message. */
static void test_interrupted(void **state)
{
	struct hello_shape s = { .name = "www.example.com", .name_last = true };
	static const uint8_t ccs[] = { 20, 3, 3, 0, 1, 1 };

	(void)state;
	hello_make(&hello, &s);
	hello_records(&stream, &hello, 40);
	memcpy(stream.b + 45, ccs, sizeof(ccs));
	expect_stream(stream.b, stream.n, MF_SNIFF_NONE, "", NULL);
}

/* Whatever length inside it lies: no name that is not there, and no waiting for more than the record says. */
static void test_lying_lengths(void **state)
{
	struct hello_shape s = { .name = "www.example.com", .key_share = 32 };
	struct mf_prng g = unit_prng("lying lengths");
	struct mf_sniff_name out;

	(void)state;
	hello_make(&hello, &s);
	hello_records(&stream, &hello, 16384);
	for (size_t at = 0; at < stream.n; at++)
		for (unsigned i = 0; i < 40; i++) {
			uint8_t was = stream.b[at];
			enum mf_sniff_verdict v;

			stream.b[at] = (uint8_t)mf_prng_u64(&g);
			v = sniff_pieces(stream.b, stream.n, &g, 100, &out);
			assert_true(v == MF_SNIFF_NAME || out.n == 0 || v == MF_SNIFF_HIDDEN);
			/* Only the lengths of the record and of the whole may ask for more. */
			if (v == MF_SNIFF_MORE)
				assert_true(at == 3 || at == 4 || (at >= 6 && at < 9));
			stream.b[at] = was;
		}
}

/* A ClientHello that fills all that is looked at is waited for, but no longer. */
static void test_bounds(void **state)
{
	struct hello_shape s = { .name = "www.example.com", .name_last = true, .key_share = 16000 };
	struct mf_sniff_name out;
	struct mf_span v;

	(void)state;
	expect_hello(&s, 16384, MF_SNIFF_NAME, "www.example.com");
	s.key_share = 16190;
	hello_make(&hello, &s);
	assert_in_range(hello.n, MF_SNIFF_STREAM_MAX - 100, MF_SNIFF_STREAM_MAX);
	/* The records' headers put its end out of sight. */
	hello_records(&stream, &hello, 100);
	v = mf_span(stream.b, MF_SNIFF_STREAM_MAX - 1);
	expect(mf_sniff_stream(&v, 1, &out), &out, MF_SNIFF_MORE, "", NULL);
	v.n++;
	expect(mf_sniff_stream(&v, 1, &out), &out, MF_SNIFF_NONE, "", NULL);
	v.n = stream.n;
	expect(mf_sniff_stream(&v, 1, &out), &out, MF_SNIFF_NONE, "", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),          cmocka_unit_test(test_names),
		cmocka_unit_test(test_without_a_name),  cmocka_unit_test(test_encrypted_hello),
		cmocka_unit_test(test_other_protocols), cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_lying_lengths),   cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
