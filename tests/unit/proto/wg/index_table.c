/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wg/index_table.h"

#include <pthread.h>

#include "unit.h"

enum { ENTRIES = 3000, READERS = 2 };

static struct mf_prng g;
static const struct mf_rng rng = { .fill = mf_prng_fill, .ctx = &g };

/* Frees when the test says so: what a reader may still see stays. */
static void *deferred[1024];
static size_t n_deferred;

static void defer(void *ctx, void (*fn)(void *obj), void *obj)
{
	(void)ctx;
	assert_ptr_equal(fn, free);
	assert_true(n_deferred < MF_ARRAY_LEN(deferred));
	deferred[n_deferred++] = obj;
}

static void free_deferred(void)
{
	while (n_deferred)
		free(deferred[--n_deferred]);
}

static uint32_t index_of(struct mf_wg_indexed *e)
{
	return atomic_load(&e->index);
}

static void test_against_model(void **state)
{
	static struct mf_wg_indexed e[ENTRIES], twin[ENTRIES];
	static struct mf_wg_indexed *in[ENTRIES]; /* the model: what is in the table */
	struct mf_wg_index_table t;

	(void)state;
	g = unit_prng("index_table");
	assert_true(mf_wg_index_table_init(&t, defer, NULL));
	for (int step = 0; step < 60000; step++) {
		size_t i = mf_prng_below(&g, ENTRIES);

		if (!in[i]) {
			in[i] = &e[i];
			assert_true(mf_wg_index_insert(&t, &e[i], &rng));
		} else if (mf_prng_below(&g, 2)) {
			struct mf_wg_indexed *other = in[i] == &e[i] ? &twin[i] : &e[i];
			uint32_t was = index_of(in[i]);

			mf_wg_index_replace(&t, in[i], other);
			in[i] = other;
			assert_int_equal(index_of(other), was);
		} else {
			uint32_t was = index_of(in[i]);

			mf_wg_index_remove(&t, in[i]);
			in[i] = NULL;
			assert_null(mf_wg_index_find(&t, was));
		}
		if (step % 1000 == 0) {
			for (size_t k = 0; k < ENTRIES; k++)
				if (in[k])
					assert_ptr_equal(mf_wg_index_find(&t, index_of(in[k])),
							 in[k]);
		}
	}
	mf_wg_index_table_fini(&t);
	free_deferred();
}

/* An rng that repeats itself: the table must not give an index twice. */
static uint32_t repeats;

static void stubborn_fill(void *ctx, void *out, size_t n)
{
	uint32_t v = repeats++ / 3;

	(void)ctx;
	memcpy(out, &v, n);
}

static void test_indices_are_unique(void **state)
{
	const struct mf_rng stubborn = { .fill = stubborn_fill };
	static struct mf_wg_indexed e[100];
	struct mf_wg_index_table t;

	(void)state;
	assert_true(mf_wg_index_table_init(&t, defer, NULL));
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(mf_wg_index_insert(&t, &e[i], &stubborn));
		assert_int_equal(index_of(&e[i]), i);
	}
	mf_wg_index_table_fini(&t);
	free_deferred();
}

/* Readers run all the time. Entries 0..99 stay in the table and must be found always; the others come
 * and go, and whatever is found under an index must have that index. */
static struct mf_wg_indexed shared[ENTRIES];
static struct mf_wg_index_table table;
static atomic_bool done;

static void *reader(void *arg)
{
	struct mf_prng mine = { .state = (uint64_t)(uintptr_t)arg };
	size_t misses = 0;

	while (!atomic_load(&done)) {
		uint32_t stay = index_of(&shared[mf_prng_below(&mine, 100)]);
		uint32_t gone = index_of(&shared[100 + mf_prng_below(&mine, ENTRIES - 100)]);
		struct mf_wg_indexed *e = mf_wg_index_find(&table, stay);

		misses += !e || index_of(e) != stay;
		e = mf_wg_index_find(&table, gone);
		misses += e && (e < shared || e >= shared + ENTRIES);
	}
	return (void *)misses;
}

static void test_readers_beside_a_writer(void **state)
{
	pthread_t t[READERS];
	static bool in[ENTRIES];

	(void)state;
	g = unit_prng("index_table");
	assert_true(mf_wg_index_table_init(&table, defer, NULL));
	for (size_t i = 0; i < 100; i++)
		assert_true(mf_wg_index_insert(&table, &shared[i], &rng));
	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, (void *)(i + 1)), 0);
	for (int step = 0; step < 100000; step++) {
		size_t i = 100 + mf_prng_below(&g, ENTRIES - 100);

		if (in[i])
			mf_wg_index_remove(&table, &shared[i]);
		else
			assert_true(mf_wg_index_insert(&table, &shared[i], &rng));
		in[i] = !in[i];
	}
	atomic_store(&done, true);
	for (size_t i = 0; i < READERS; i++) {
		void *misses;

		assert_int_equal(pthread_join(t[i], &misses), 0);
		assert_null(misses);
	}
	mf_wg_index_table_fini(&table);
	free_deferred();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_indices_are_unique),
		cmocka_unit_test(test_readers_beside_a_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
