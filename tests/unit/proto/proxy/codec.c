/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/proxy/codec.h"

enum { BYTES = 64, PIECES = 6 };

/* Cuts n bytes at p into pieces, empty ones among them; their sum may fall short of n. */
static void cut(struct mf_prng *g, uint8_t *p, size_t n, struct mf_room v[PIECES])
{
	for (size_t i = 0; i < PIECES; i++) {
		v[i].p = p;
		v[i].n = mf_prng_below(g, mf_min(n, 20) + 1);
		p += v[i].n;
		n -= v[i].n;
	}
}

static size_t sum(const struct mf_room v[PIECES])
{
	size_t n = 0;

	for (size_t i = 0; i < PIECES; i++)
		n += v[i].n;
	return n;
}

static void test_gather(void **state)
{
	struct mf_prng g = unit_prng("codec");

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint8_t from[BYTES], to[BYTES];
		struct mf_room v[PIECES];
		struct mf_span spans[PIECES];
		size_t room = mf_prng_below(&g, BYTES), want;

		mf_prng_fill(&g, from, sizeof(from));
		memset(to, 0, sizeof(to));
		cut(&g, from, sizeof(from), v);
		for (size_t k = 0; k < PIECES; k++)
			spans[k] = mf_span(v[k].p, v[k].n);
		want = mf_min(sum(v), room);
		assert_int_equal(mf_codec_gather(spans, PIECES, to, room), want);
		assert_memory_equal(to, from, want);
		for (size_t k = want; k < sizeof(to); k++)
			assert_int_equal(to[k], 0);
	}
}

static void test_scatter(void **state)
{
	struct mf_prng g = unit_prng("codec");

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint8_t from[BYTES], to[BYTES] = { 0 };
		struct mf_codec_in in = { .p = from, .n = mf_prng_below(&g, BYTES) };
		size_t there = in.n, want;
		struct mf_room v[PIECES];

		mf_prng_fill(&g, from, sizeof(from));
		cut(&g, to, sizeof(to), v);
		want = mf_min(sum(v), there);
		assert_int_equal(mf_codec_scatter(&in, v, PIECES), want);
		assert_memory_equal(to, from, want);
		assert_ptr_equal(in.p, from + want);
		assert_int_equal(in.n, there - want);
		for (size_t k = want; k < sizeof(to); k++)
			assert_int_equal(to[k], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gather),
		cmocka_unit_test(test_scatter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
