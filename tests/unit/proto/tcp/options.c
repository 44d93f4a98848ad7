/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/tcp/options.h"

#include "unit.h"

enum { SYN = 1, PLAIN = 0 };

/* A header with these options, in memory that ends where they end. */
static mf_err parse(struct mf_tcp_options *o, const uint8_t *bytes, size_t n, bool syn)
{
	uint8_t *mem = malloc(sizeof(struct mf_tcp_hdr) + n);
	struct mf_tcp_hdr *t = (void *)mem;
	mf_err err;

	assert_non_null(mem);
	assert_true(n % 4 == 0 && n <= MF_TCP_OPTIONS_MAX);
	*t = (struct mf_tcp_hdr){ .flags = syn ? MF_TCP_SYN : MF_TCP_ACK };
	t->off = (uint8_t)((5 + n / 4) << 4);
	if (n)
		memcpy(mem + sizeof(*t), bytes, n);
	err = mf_tcp_options_parse(o, t);
	free(mem);
	return err;
}

/* What a Linux machine sends. */
static void test_syn_of_linux(void **state)
{
	static const uint8_t bytes[] = { 2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2,
					 3, 4, 0,    0,    0, 0, 1, 3,  3, 7 };
	struct mf_tcp_options o;
	uint8_t out[MF_TCP_OPTIONS_MAX];

	(void)state;
	assert_int_equal(parse(&o, bytes, sizeof(bytes), SYN), MF_OK);
	assert_int_equal(o.mss, 1460);
	assert_true(o.has_wscale && o.sack_permitted && o.has_ts);
	assert_int_equal(o.wscale, 7);
	assert_int_equal(o.ts_val, 0x01020304);
	assert_int_equal(o.ts_ecr, 0);
	assert_int_equal(o.n_sack, 0);
	assert_int_equal(mf_tcp_options_write(out, &o, SYN), sizeof(bytes));
	assert_memory_equal(out, bytes, sizeof(bytes));
}

static void test_timestamps_alone(void **state)
{
	static const uint8_t bytes[] = { 1, 1, 8, 10, 0xff, 0xff, 0xff, 0xfe, 0x80, 0, 0, 1 };
	struct mf_tcp_options o;
	uint8_t out[MF_TCP_OPTIONS_MAX];

	(void)state;
	assert_int_equal(parse(&o, bytes, sizeof(bytes), PLAIN), MF_OK);
	assert_true(o.has_ts);
	assert_int_equal(o.ts_val, 0xfffffffe);
	assert_int_equal(o.ts_ecr, 0x80000001);
	assert_int_equal(mf_tcp_options_write(out, &o, PLAIN), sizeof(bytes));
	assert_memory_equal(out, bytes, sizeof(bytes));
}

/* Three blocks beside timestamps, four without (RFC 2018 3). */
static void test_blocks_as_many_as_fit(void **state)
{
	struct mf_tcp_options o = { .has_ts = true, .n_sack = 4 }, back;
	uint8_t out[MF_TCP_OPTIONS_MAX];
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		o.sack[i] = (struct mf_tcp_range){ 0xfffffff0 + i * 100, 0xfffffff0 + i * 100 + 50 };
	n = mf_tcp_options_write(out, &o, PLAIN);
	assert_int_equal(n, 40);
	assert_int_equal(parse(&back, out, n, PLAIN), MF_OK);
	assert_int_equal(back.n_sack, 3);
	assert_memory_equal(back.sack, o.sack, 3 * sizeof(o.sack[0]));
	o.has_ts = false;
	n = mf_tcp_options_write(out, &o, PLAIN);
	assert_int_equal(n, 36);
	assert_int_equal(parse(&back, out, n, PLAIN), MF_OK);
	assert_int_equal(back.n_sack, 4);
	assert_memory_equal(back.sack, o.sack, sizeof(o.sack));
}

/* Each is refused, and `before` options that came before are there all the same: an MSS of 1460. */
static const struct {
	int line;
	bool syn, before;
	uint8_t n, bytes[MF_TCP_OPTIONS_MAX];
} malformed[] = {
	{ __LINE__, SYN, false, 4, { 1, 1, 1, 2 } },                /* no length */
	{ __LINE__, SYN, false, 4, { 2, 0, 5, 180 } },              /* length 0 */
	{ __LINE__, SYN, false, 4, { 2, 1, 5, 180 } },              /* less than itself */
	{ __LINE__, SYN, false, 4, { 2, 3, 5, 0 } },                /* a short MSS */
	{ __LINE__, SYN, false, 8, { 2, 5, 5, 180, 1, 0 } },        /* a long MSS */
	{ __LINE__, SYN, false, 4, { 2, 6, 5, 180 } },              /* beyond the header */
	{ __LINE__, SYN, true, 8, { 2, 4, 5, 180, 3, 2 } },         /* a scale without a scale */
	{ __LINE__, SYN, true, 8, { 2, 4, 5, 180, 3, 4, 1, 1 } },   /* a long scale */
	{ __LINE__, SYN, true, 8, { 2, 4, 5, 180, 4, 3, 1, 1 } },   /* a long SACK-permitted */
	{ __LINE__, SYN, true, 16, { 2, 4, 5, 180, 8, 9 } },        /* short timestamps */
	{ __LINE__, SYN, true, 16, { 2, 4, 5, 180, 8, 11 } },       /* long timestamps */
	{ __LINE__, SYN, true, 8, { 2, 4, 5, 180, 8, 10 } },        /* cut timestamps */
	{ __LINE__, SYN, true, 8, { 2, 4, 5, 180, 99, 0, 0, 0 } },  /* unknown, of no length */
	{ __LINE__, SYN, true, 8, { 2, 4, 5, 180, 99, 5, 0, 0 } },  /* unknown, beyond */
	{ __LINE__, SYN, true, 8, { 2, 4, 5, 180, 1, 1, 1, 99 } },  /* unknown, at the very end */
	{ __LINE__, PLAIN, false, 4, { 5, 2, 0, 0 } },              /* no block */
	{ __LINE__, PLAIN, false, 8, { 5, 6, 0, 0, 0, 0 } },        /* half a block */
	{ __LINE__, PLAIN, false, 16, { 5, 14 } },                  /* a block and a half */
	{ __LINE__, PLAIN, false, 8, { 5, 10, 0, 0, 0, 0, 0, 0 } }, /* beyond */
	{ __LINE__, PLAIN, false, 40, { 5, 42 } },                  /* five blocks */
	{ __LINE__, PLAIN, false, 4, { 2, 3, 0, 0 } }, /* does not count here, but is as wrong */
	{ __LINE__, PLAIN, false, 12, { 1, 1, 8, 11 } },
	{ __LINE__, PLAIN, false, 12, { 1, 1, 1, 8, 10 } },
};

static void test_malformed(void **state)
{
	struct mf_tcp_options o;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(malformed); i++) {
		mf_err err = parse(&o, malformed[i].bytes, malformed[i].n, malformed[i].syn);

		if (err != MF_E_MALFORMED || (o.mss == 1460) != malformed[i].before)
			fail_msg("line %d: %s, MSS %d", malformed[i].line, mf_err_text(err), o.mss);
	}
}

static void test_odd_but_right(void **state)
{
	static const uint8_t unknown[] = { 253, 6, 1, 2, 3, 4, 2, 4, 2, 24, 1, 0 };
	static const uint8_t ended[] = { 1, 0, 2, 0 }; /* what follows the end is not looked at */
	static const uint8_t twice[] = { 2, 4, 1, 0, 2, 4, 2, 0 };
	static const uint8_t steep[] = { 3, 3, 15, 0 };
	struct mf_tcp_options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, 0, PLAIN), MF_OK);
	assert_false(o.has_ts);
	assert_int_equal(parse(&o, unknown, sizeof(unknown), SYN), MF_OK);
	assert_int_equal(o.mss, 536);
	assert_int_equal(parse(&o, ended, sizeof(ended), SYN), MF_OK);
	assert_int_equal(o.mss, 0);
	assert_int_equal(parse(&o, twice, sizeof(twice), SYN), MF_OK);
	assert_int_equal(o.mss, 512);
	assert_int_equal(parse(&o, steep, sizeof(steep), SYN), MF_OK);
	assert_int_equal(o.wscale, MF_TCP_WSCALE_MAX);
}

static void test_only_in_a_syn(void **state)
{
	static const uint8_t bytes[] = { 2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 1, 1 };
	struct mf_tcp_options o;

	(void)state;
	assert_int_equal(parse(&o, bytes, sizeof(bytes), PLAIN), MF_OK);
	assert_int_equal(o.mss, 0);
	assert_false(o.has_wscale || o.sack_permitted);
}

/* Member by member: what lies between them is nobody's. */
static void assert_same(const struct mf_tcp_options *a, const struct mf_tcp_options *b)
{
	assert_int_equal(a->mss, b->mss);
	assert_int_equal(a->has_wscale, b->has_wscale);
	assert_int_equal(a->wscale, b->wscale);
	assert_int_equal(a->sack_permitted, b->sack_permitted);
	assert_int_equal(a->has_ts, b->has_ts);
	assert_int_equal(a->ts_val, b->ts_val);
	assert_int_equal(a->ts_ecr, b->ts_ecr);
	assert_int_equal(a->n_sack, b->n_sack);
	assert_memory_equal(a->sack, b->sack, a->n_sack * sizeof(a->sack[0]));
}

/* Whatever is written is whole words and reads as it was. */
static void test_every_combination(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 64; bits++) {
		bool syn = bits & 1;
		struct mf_tcp_options o = {
			.mss = syn && bits & 2 ? 9000 : 0,
			.has_wscale = syn && bits & 4,
			.wscale = syn && bits & 4 ? 14 : 0,
			.sack_permitted = syn && bits & 8,
			.has_ts = bits & 16,
			.ts_val = bits & 16 ? 0xdeadbeef : 0,
			.ts_ecr = bits & 16 ? 0x01000000 : 0,
			.n_sack = !syn && bits & 32,
		}, back;
		uint8_t out[MF_TCP_OPTIONS_MAX];
		size_t n;

		if (o.n_sack)
			o.sack[0] = (struct mf_tcp_range){ 7, 9 };
		n = mf_tcp_options_write(out, &o, syn);
		assert_true(n % 4 == 0 && n <= sizeof(out));
		assert_int_equal(parse(&back, out, n, syn), MF_OK);
		assert_same(&back, &o);
	}
}

/* Random bytes: whatever comes, what is taken is within its limits (and ASan is content). */
static void test_garbage(void **state)
{
	struct mf_prng g = unit_prng("options");
	uint8_t bytes[MF_TCP_OPTIONS_MAX];
	struct mf_tcp_options o;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t n = 4 * mf_prng_below(&g, 11);

		mf_prng_fill(&g, bytes, sizeof(bytes));
		for (size_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)(bytes[k] % (mf_prng_below(&g, 2) ? 11 : 256));
		(void)!parse(&o, bytes, n, mf_prng_below(&g, 2));
		assert_true(o.n_sack <= MF_TCP_SACK_MAX);
		assert_true(o.wscale <= MF_TCP_WSCALE_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syn_of_linux),
		cmocka_unit_test(test_timestamps_alone),
		cmocka_unit_test(test_blocks_as_many_as_fit),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_odd_but_right),
		cmocka_unit_test(test_only_in_a_syn),
		cmocka_unit_test(test_every_combination),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
