/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/csum.h"

#include "packets.h"
#include "unit.h"

static uint16_t naive(const uint8_t *p, size_t n)
{
	return (uint16_t)~slow_finish(slow_sum(p, n, 0));
}

/* RFC 1071 section 3: the bytes and their sum. */
static void test_rfc1071_example(void **state)
{
	static const uint8_t b[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	(void)state;
	assert_int_equal(mf_csum_fold(mf_csum_add(b, sizeof(b), 0)), mf_csum_word(0xddf2));
	assert_int_equal(mf_csum_fold(mf_csum_add_small(b, sizeof(b), 0)), mf_csum_word(0xddf2));
}

/* Every version, every length around the vector sizes, every alignment; the bytes that lie beyond are
 * poisoned in a sanitizer build because each input is an allocation of its own. */
static void test_against_naive(void **state)
{
	struct mf_prng g = unit_prng("csum");

	(void)state;
	for (unsigned v = 0; mf_csum_impl(v); v++)
		for (int i = 0; i < 4000; i++) {
			size_t off = mf_prng_below(&g, 64), n;
			uint8_t *mem, *b;

			n = i < 600 ? (size_t)i : mf_prng_below(&g, i % 50 ? 2000 : 70000);
			mem = malloc(off + n + 1);
			b = mem + off + 1;
			mf_prng_fill(&g, b, n);
			if (i % 7 == 0)
				memset(b, 0xff, n); /* carries everywhere */
			assert_int_equal(mf_csum_fold(mf_csum_impl(v)->add(b, n, 0)),
					 mf_csum_word(naive(b, n)));
			free(mem);
		}
}

static void test_long_and_chained(void **state)
{
	size_t n = 3 << 20;
	uint8_t *b = malloc(n);

	(void)state;
	for (int fill = 0; fill < 3; fill++) {
		memset(b, fill == 0 ? 0xff : fill == 1 ? 0x7f : 0x80, n);
		for (unsigned v = 0; mf_csum_impl(v); v++) {
			uint64_t sum = mf_csum_impl(v)->add(b, n, UINT64_MAX);

			sum = mf_csum_impl(v)->add(b, n - 1, sum);
			assert_int_equal(
				mf_csum_fold(sum),
				(uint16_t)~slow_finish(mf_csum_word(naive(b, n)) +
						       (uint32_t)mf_csum_word(naive(b, n - 1))));
		}
	}
	free(b);
}

/* RFC 1624 section 4: the case that RFC 1141's equation gets wrong. */
static void test_update_rfc1624(void **state)
{
	(void)state;
	assert_int_equal(mf_csum_update(0xdd2f, 0x5555, 0x3285), 0x0000);
}

static void test_update_random(void **state)
{
	struct mf_prng g = unit_prng("csum update");
	uint8_t b[64];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint16_t check;
		uint64_t before, after;

		mf_prng_fill(&g, b, sizeof(b));
		check = mf_csum_finish(mf_csum_add(b, sizeof(b), 0));
		before = mf_csum_add(b + 10, 20, 0);
		mf_prng_fill(&g, b + 10, mf_prng_below(&g, 21));
		after = mf_csum_add(b + 10, 20, 0);
		check = mf_csum_update(check, before, after);
		assert_int_equal(mf_csum_fold(mf_csum_add(b, sizeof(b), check)), 0xffff);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc1071_example),  cmocka_unit_test(test_against_naive),
		cmocka_unit_test(test_long_and_chained), cmocka_unit_test(test_update_rfc1624),
		cmocka_unit_test(test_update_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
