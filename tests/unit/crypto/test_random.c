/* SPDX-License-Identifier: Apache-2.0
 *
 * The random source as a struct mf_rng, and that secret memory is what it says: zero, fenced, and
 * left out of core dumps.
 */
#include "vectors.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/random.h"

static void test_fill(void **state)
{
	const struct mf_rng rng = { .fill = mf_random_fill };
	uint8_t a[66] = { 0 }, b[66] = { 0 };

	(void)state;
	rng.fill(rng.ctx, a + 1, 64);
	rng.fill(rng.ctx, b + 1, 64);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(a[0] | a[65] | b[0] | b[65], 0);
	rng.fill(rng.ctx, a, 0);
	assert_int_equal(a[0], 0);
}

/* Does any byte position stay the same over many draws? */
static void test_fill_moves_all_bits(void **state)
{
	uint8_t ones[32] = { 0 }, zeros[32] = { 0 }, v[32];

	(void)state;
	for (int i = 0; i < 128; i++) {
		mf_random_fill(NULL, v, sizeof(v));
		for (size_t k = 0; k < sizeof(v); k++) {
			ones[k] |= v[k];
			zeros[k] |= (uint8_t)~v[k];
		}
	}
	for (size_t k = 0; k < sizeof(v); k++)
		assert_int_equal(ones[k] & zeros[k], 0xff);
}

/* The flags of the mapping that holds p, from /proc/self/smaps. */
static bool has_flag(const void *p, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	bool inside = false, found = false;
	unsigned long start, end;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (uintptr_t)p >= start && (uintptr_t)p < end;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(f);
	return found;
}

static void test_secret(void **state)
{
	uint8_t *p = mf_secret_alloc(100);

	(void)state;
	assert_non_null(p);
	for (int i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	memset(p, 0x5a, 100);
	assert_true(has_flag(p, " dd"));
	mf_secret_free(p);
	mf_secret_free(NULL);
}

static void test_secret_is_fenced(void **state)
{
	volatile uint8_t *p = mf_secret_alloc(32);
	int status = 0;
	pid_t child;

	(void)state;
	assert_non_null(p);
	child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL); /* a sanitizer would report it */
		p[32] = 1;
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	mf_secret_free((void *)(uintptr_t)p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_fill_moves_all_bits),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_secret_is_fenced),
	};

	return cmocka_run_group_tests_name("crypto/random", tests, NULL, NULL);
}
