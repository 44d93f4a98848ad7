/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/owners.h"

#include <pthread.h>

#include "unit.h"

static const uint8_t hash_key[16] = "0123456789abcdef";

static struct mf_owners *new_owners(uint32_t max)
{
	struct mf_owners *o = mf_owners_new(max, hash_key);

	assert_non_null(o);
	assert_memory_equal(mf_owners_hash_key(o), hash_key, sizeof(hash_key));
	return o;
}

static void test_one(void **state)
{
	struct mf_owners *o = new_owners(10);
	uint64_t h = 0x123456789abcdef0;

	(void)state;
	assert_int_equal(mf_owners_find(o, h), MF_OWNER_NONE);
	assert_int_equal(mf_owners_claim(o, h, 0), 0);
	assert_int_equal(mf_owners_find(o, h), 0);
	assert_int_equal(mf_owners_claim(o, h, MF_OWNERS_WORKERS - 1), 0);
	mf_owners_release(o, h, 1); /* not his */
	assert_int_equal(mf_owners_find(o, h), 0);
	mf_owners_release(o, h, 0);
	assert_int_equal(mf_owners_find(o, h), MF_OWNER_NONE);
	mf_owners_release(o, h, 0);
	assert_int_equal(mf_owners_claim(o, h, MF_OWNERS_WORKERS - 1), MF_OWNERS_WORKERS - 1);
	assert_int_equal(mf_owners_find(o, h), MF_OWNERS_WORKERS - 1);
	mf_owners_free(o);
	mf_owners_free(NULL);
}

/* Three in a bucket, the fourth is not known to others, and nobody loses anything by that. */
static void test_bucket_full(void **state)
{
	struct mf_owners *o = new_owners(1);
	uint64_t h[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		h[i] = (uint64_t)i << 50;
		assert_int_equal(mf_owners_claim(o, h[i], i + 5), (int)i + 5);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mf_owners_find(o, h[i]), (int)i + 5);
	assert_int_equal(mf_owners_find(o, h[3]), MF_OWNER_NONE);
	mf_owners_release(o, h[3], 8);
	mf_owners_release(o, h[1], 6);
	assert_int_equal(mf_owners_find(o, h[1]), MF_OWNER_NONE);
	assert_int_equal(mf_owners_claim(o, h[3], 9), 9);
	assert_int_equal(mf_owners_find(o, h[3]), 9);
	assert_int_equal(mf_owners_find(o, h[0]), 5);
	assert_int_equal(mf_owners_find(o, h[2]), 7);
	mf_owners_free(o);
}

/* At the number of sessions that it was made for: the model is an array, and what found no room is rare. */
static void test_against_model(void **state)
{
	enum { MAX = 20000 };
	static uint64_t hash[MAX];
	static int owner[MAX];
	struct mf_prng g = unit_prng("owners");
	struct mf_owners *o = new_owners(MAX);
	unsigned unknown = 0, look_alike = 0;

	(void)state;
	for (unsigned i = 0; i < MAX; i++) {
		unsigned worker = (unsigned)mf_prng_below(&g, 8);

		hash[i] = mf_prng_u64(&g);
		owner[i] = mf_owners_claim(o, hash[i], worker);
		look_alike += owner[i] != (int)worker;
	}
	for (unsigned i = 0; i < MAX; i++) {
		int who = mf_owners_find(o, hash[i]);

		if (who == MF_OWNER_NONE)
			unknown++;
		else
			assert_int_equal(who, owner[i]);
	}
	/* Expected 0.2 % and 0.002 %; more than five times that is a mistake. */
	assert_in_range(unknown, 0, MAX / 100);
	assert_in_range(look_alike, 0, 8);
	for (unsigned i = 0; i < MAX; i++)
		mf_owners_release(o, hash[i], (unsigned)owner[i]);
	for (unsigned i = 0; i < MAX; i++)
		assert_int_equal(mf_owners_find(o, hash[i]), MF_OWNER_NONE);
	mf_owners_free(o);
}

/* Several workers fight for a few hashes that share buckets. Whoever was told that it has one holds its
 * token alone until it gives it up. */
enum { THREADS = 4, ROUNDS = 60000, HASHES = 8 };

static struct {
	struct mf_owners *o;
	uint64_t hash[HASHES];
	int holder[HASHES]; /* worker + 1 */
	int won[THREADS];
} race;

static void *fight(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	struct mf_prng g = { .state = me };

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned n = (unsigned)mf_prng_below(&g, HASHES);
		int none = 0;

		if (mf_owners_claim(race.o, race.hash[n], me) != (int)me ||
		    mf_owners_find(race.o, race.hash[n]) != (int)me)
			continue; /* somebody has it, or there was no room */
		MF_ASSERT(__atomic_compare_exchange_n(&race.holder[n], &none, (int)me + 1, false,
						      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
		race.won[me]++;
		MF_ASSERT(mf_owners_find(race.o, race.hash[n]) == (int)me);
		__atomic_store_n(&race.holder[n], 0, __ATOMIC_SEQ_CST);
		mf_owners_release(race.o, race.hash[n], me);
	}
	return NULL;
}

static void test_race(void **state)
{
	pthread_t t[THREADS];

	(void)state;
	memset(&race, 0, sizeof(race));
	race.o = new_owners(1);
	for (unsigned i = 0; i < HASHES; i++)
		race.hash[i] = i % 2 + ((uint64_t)i << 50);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, fight, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		assert_true(race.won[i] > 0);
	for (unsigned i = 0; i < HASHES; i++)
		assert_int_equal(mf_owners_find(race.o, race.hash[i]), MF_OWNER_NONE);
	mf_owners_free(race.o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_bucket_full),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
