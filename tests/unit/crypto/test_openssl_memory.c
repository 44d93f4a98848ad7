/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "crypto/openssl_memory.h"
#include "unit.h"

static void test_counts_what_openssl_holds(void **state)
{
	uint64_t before = mf_openssl_memory();
	uint8_t *p = OPENSSL_malloc(1000);

	(void)state;
	assert_non_null(p);
	assert_in_range(mf_openssl_memory() - before, 1000, 1100);
	p = OPENSSL_realloc(p, 100000);
	assert_non_null(p);
	assert_in_range(mf_openssl_memory() - before, 100000, 110000);
	OPENSSL_free(p);
	assert_int_equal(mf_openssl_memory(), before);
	OPENSSL_free(NULL);
	assert_int_equal(mf_openssl_memory(), before);
}

static void test_counts_the_library_itself(void **state)
{
	uint64_t before = mf_openssl_memory();
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	(void)state;
	assert_non_null(c);
	assert_true(mf_openssl_memory() > before);
	EVP_CIPHER_CTX_free(c);
	assert_int_equal(mf_openssl_memory(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_what_openssl_holds),
		cmocka_unit_test(test_counts_the_library_itself),
	};

	if (!mf_openssl_memory_count())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
