/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/clock.h"

#include "graph/cycles.h"
#include "platform/random.h"
#include "unit.h"

static void test_boot_time_counts_up(void **state)
{
	struct timespec ts;
	mf_nsec last = mf_clock_now();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		mf_nsec now = mf_clock_now();

		assert_true(now >= last);
		last = now;
	}
	clock_gettime(CLOCK_BOOTTIME, &ts);
	assert_true((mf_nsec)ts.tv_sec * MF_SEC + (mf_nsec)ts.tv_nsec >= last);
}

static void test_wall_clock_is_the_system_s(void **state)
{
	time_t before = time(NULL);
	struct mf_wall w = mf_clock_wall();

	(void)state;
	/* time(2) may be a tick behind */
	assert_true(w.sec >= before && w.sec <= time(NULL) + 1);
	assert_true(w.nsec < 1000000000);
}

static void test_cycles_and_their_rate(void **state)
{
	uint64_t hz = mf_clock_cycles_hz(), c = mf_cycles();

	(void)state;
	assert_int_equal(hz, mf_clock_cycles_hz());
	assert_true(hz >= 1000000);
	usleep(1000);
	assert_true(mf_cycles() > c);
}

/* Not a test of the kernel's generator: that all bytes are written, whatever the length. */
static void test_random_fills_everything(void **state)
{
	static uint8_t a[1000], seen[1000];
	struct mf_rng rng = mf_random();

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (size_t n = 0; n <= sizeof(a); n += 125) {
			memset(a, 0, sizeof(a));
			rng.fill(rng.ctx, a, n);
			for (size_t i = 0; i < n; i++)
				seen[i] |= a[i];
			for (size_t i = n; i < sizeof(a); i++)
				assert_int_equal(a[i], 0);
		}
	}
	/* the odds of a byte that stays zero in 20 rounds are 2^-160 */
	for (size_t i = 0; i < sizeof(a); i++)
		assert_int_not_equal(seen[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot_time_counts_up),
		cmocka_unit_test(test_wall_clock_is_the_system_s),
		cmocka_unit_test(test_cycles_and_their_rate),
		cmocka_unit_test(test_random_fills_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
