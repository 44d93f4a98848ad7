/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wg/keypair.h"

#include "proto/wg/wg.h"

#include <pthread.h>

#include "unit.h"

#define LIMIT MF_WG_REJECT_AFTER_MESSAGES

static struct mf_wg_keypair *make(bool initiator)
{
	const struct mf_wg_noise_keys keys = { .remote_index = 5 };
	struct mf_wg_keypair *k = mf_wg_keypair_new(NULL, &keys, initiator, 1000 * MF_SEC);

	assert_non_null(k);
	return k;
}

static void test_nonces_in_order(void **state)
{
	struct mf_wg_keypair *k = make(true);
	uint64_t first;

	(void)state;
	assert_true(mf_wg_keypair_claim(k, 1, &first));
	assert_int_equal(first, 0);
	assert_true(mf_wg_keypair_claim(k, 100, &first));
	assert_int_equal(first, 1);
	/* 32 bits are not enough anywhere. */
	atomic_store(&k->next_counter, UINT32_MAX);
	assert_true(mf_wg_keypair_claim(k, 10, &first));
	assert_true(first == UINT32_MAX);
	assert_true(mf_wg_keypair_claim(k, 1, &first));
	assert_true(first == (uint64_t)UINT32_MAX + 10);
	mf_wg_keypair_free(k);
}

static void test_the_last_nonces(void **state)
{
	struct mf_wg_keypair *k = make(true);
	uint64_t first;

	(void)state;
	atomic_store(&k->next_counter, LIMIT - 10);
	assert_true(mf_wg_keypair_fresh(k, k->birth));
	assert_false(mf_wg_keypair_claim(k, 11, &first));
	assert_true(mf_wg_keypair_claim(k, 9, &first));
	assert_true(mf_wg_keypair_claim(k, 1, &first));
	assert_true(first == LIMIT - 1);
	assert_false(mf_wg_keypair_fresh(k, k->birth));
	/* However often it is tried, it does not wrap. */
	for (int i = 0; i < 10000; i++)
		assert_false(mf_wg_keypair_claim(k, 32768, &first));
	assert_false(mf_wg_keypair_claim(k, 1, &first));
	assert_true(atomic_load(&k->next_counter) == LIMIT);
	mf_wg_keypair_free(k);
}

static void test_when_to_renew(void **state)
{
	struct mf_wg_keypair *i = make(true), *r = make(false);
	mf_nsec t = i->birth;

	(void)state;
	assert_false(mf_wg_keypair_wants_rekey(i, t + 120 * MF_SEC - 1));
	assert_true(mf_wg_keypair_wants_rekey(i, t + 120 * MF_SEC));
	assert_false(mf_wg_keypair_wants_rekey(r, t + 179 * MF_SEC));
	atomic_store(&r->next_counter, MF_WG_REKEY_AFTER_MESSAGES);
	assert_false(mf_wg_keypair_wants_rekey(r, t));
	atomic_store(&r->next_counter, MF_WG_REKEY_AFTER_MESSAGES + 1);
	assert_true(mf_wg_keypair_wants_rekey(r, t));
	assert_true(mf_wg_keypair_fresh(i, t + 180 * MF_SEC - 1));
	assert_false(mf_wg_keypair_fresh(i, t + 180 * MF_SEC));
	assert_int_equal(mf_wg_receive_check(i, t + 180 * MF_SEC - 1, 0), MF_DROP_NONE);
	assert_int_equal(mf_wg_receive_check(i, t + 180 * MF_SEC, 0), MF_DROP_WG_EXPIRED);
	assert_int_equal(mf_wg_receive_check(i, t, LIMIT - 1), MF_DROP_NONE);
	assert_int_equal(mf_wg_receive_check(i, t, LIMIT), MF_DROP_WG_COUNTER);
	/* A clock that was set back makes nothing old. */
	assert_true(mf_wg_keypair_fresh(i, 0));
	assert_false(mf_wg_keypair_wants_rekey(i, 0));
	mf_wg_keypair_free(i);
	mf_wg_keypair_free(r);
}

static void test_accept_many(void **state)
{
	struct mf_wg_keypair *k = make(true);
	const uint64_t c[] = { 5, 3, 5, LIMIT, 4, 3 };
	const bool want[] = { true, true, false, false, true, false };
	bool ok[MF_ARRAY_LEN(c)];

	(void)state;
	assert_int_equal(mf_wg_replay_accept_n(k, c, MF_ARRAY_LEN(c), ok), 3);
	assert_memory_equal(ok, want, sizeof(want));
	assert_false(mf_wg_replay_accept(k, 4));
	assert_true(mf_wg_replay_accept(k, 6));
	mf_wg_keypair_free(k);
}

/* Threads claim and accept at once: each counter is claimed once and accepted once. */
enum { THREADS = 4, ROUNDS = 20000, BATCH = 7 };
static struct mf_wg_keypair *shared;
static _Atomic uint64_t accepted;
static _Atomic uint8_t claimed[THREADS * ROUNDS * BATCH];

static void *hammer(void *arg)
{
	uint64_t first, mine = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (!mf_wg_keypair_claim(shared, BATCH, &first))
			return arg;
		for (uint64_t c = first; c < first + BATCH; c++)
			atomic_fetch_add(&claimed[c], 1);
		/* Every thread tries the same counters. */
		mine += mf_wg_replay_accept(shared, (uint64_t)i);
	}
	atomic_fetch_add(&accepted, mine);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[THREADS];

	(void)state;
	shared = make(true);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, hammer, &shared), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *failed;

		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(claimed); i++)
		assert_int_equal(claimed[i], 1);
	/* A thread that lags by more than the window loses, so not all have to be accepted; but none is
	 * accepted twice. */
	assert_in_range(accepted, 1, ROUNDS);
	mf_wg_keypair_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nonces_in_order), cmocka_unit_test(test_the_last_nonces),
		cmocka_unit_test(test_when_to_renew),   cmocka_unit_test(test_accept_many),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
