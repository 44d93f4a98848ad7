/* SPDX-License-Identifier: Apache-2.0 */
#include "host/source.h"

#include "unit.h"

enum { ADDRESSES = 60, MAX = 200 };

static struct mf_addr address(uint32_t n)
{
	uint8_t b[16] = { 0xfd };

	memcpy(b + 4, &n, sizeof(n));
	return n % 2 ? mf_addr_ip6(b) : mf_addr_ip4(b + 4);
}

/* The model is a count for each address. */
static void test_against_model(void **state)
{
	static const uint8_t hash_key[16] = "0123456789abcdef";
	struct mf_prng g = unit_prng("source");
	struct mf_sources *t = mf_sources_new(MAX, hash_key);
	uint32_t count[ADDRESSES] = { 0 }, total = 0;

	(void)state;
	assert_non_null(t);
	for (unsigned step = 0; step < 100000; step++) {
		uint32_t n = (uint32_t)mf_prng_below(&g, ADDRESSES);
		struct mf_addr a = address(n);
		struct mf_source *s = mf_source_find(t, &a);

		assert_int_equal(s ? s->sessions : 0, count[n]);
		/* A tide: now more come, now more go. */
		if (total < MAX && (!s || mf_prng_below(&g, 100) < (step / 5000 % 2 ? 70 : 30))) {
			s = mf_source_join(t, &a);
			assert_true(mf_addr_equal(&s->addr, &a));
			count[n]++;
			total++;
		} else if (s) {
			mf_source_leave(t, s);
			count[n]--;
			total--;
		}
	}
	mf_sources_free(t);
	mf_sources_free(NULL);
}

static void leave_twice(void *arg)
{
	static const uint8_t hash_key[16] = { 0 };
	struct mf_sources *t = mf_sources_new(4, hash_key);
	struct mf_addr a = address(2);
	struct mf_source *s = mf_source_join(t, &a);

	(void)arg;
	mf_source_leave(t, s);
	mf_source_leave(t, s);
}

static void test_our_mistakes(void **state)
{
	(void)state;
	assert_true(unit_aborts(leave_twice, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_our_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
