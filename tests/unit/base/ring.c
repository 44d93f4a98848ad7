/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"

#include <pthread.h>
#include <sched.h>

#include "unit.h"

struct msg {
	uint32_t producer, number;
	uint64_t check;
};

static struct msg make_msg(uint32_t producer, uint32_t number)
{
	return (struct msg){ producer, number, ~((uint64_t)producer << 32 | number) };
}

static void test_order_full_and_empty(void **state)
{
	struct mf_ring *r = mf_ring_new(8, sizeof(uint32_t));
	uint32_t v;

	(void)state;
	assert_non_null(r);
	for (uint32_t round = 0; round < 20; round++) {
		assert_false(mf_ring_pop(r, &v));
		assert_int_equal(mf_ring_len(r), 0);
		for (uint32_t i = 0; i < 8; i++) {
			v = round * 100 + i;
			assert_true(mf_ring_push(r, &v));
			assert_int_equal(mf_ring_len(r), i + 1);
		}
		assert_false(mf_ring_push(r, &v));
		for (uint32_t i = 0; i < 8; i++) {
			assert_true(mf_ring_pop(r, &v));
			assert_int_equal(v, round * 100 + i);
		}
	}
	mf_ring_free(r);
}

static void test_random_against_an_array(void **state)
{
	struct mf_prng g = unit_prng("ring");
	/* A size that is no multiple of anything: the stride is the ring's business. */
	uint8_t model[4][13], msg[13];
	unsigned have = 0;
	struct mf_ring *r = mf_ring_new(4, sizeof(msg));

	(void)state;
	for (int i = 0; i < 100000; i++) {
		if (mf_prng_below(&g, 2)) {
			mf_prng_fill(&g, msg, sizeof(msg));
			assert_int_equal(mf_ring_push(r, msg), have < 4);
			if (have < 4)
				memcpy(model[have++], msg, sizeof(msg));
		} else {
			assert_int_equal(mf_ring_pop(r, msg), have > 0);
			if (!have)
				continue;
			assert_memory_equal(msg, model[0], sizeof(msg));
			memmove(model[0], model[1], sizeof(model) - sizeof(model[0]));
			have--;
		}
		assert_int_equal(mf_ring_len(r), have);
	}
	mf_ring_free(r);
}

enum { PRODUCERS = 2, EACH = 100000 };

struct producer {
	struct mf_ring *ring;
	uint32_t id;
};

static void *produce(void *arg)
{
	struct producer *p = arg;

	for (uint32_t i = 0; i < EACH; i++) {
		struct msg m = make_msg(p->id, i);

		while (!mf_ring_push(p->ring, &m))
			sched_yield();
	}
	return NULL;
}

static void test_two_producers(void **state)
{
	struct mf_ring *r = mf_ring_new(64, sizeof(struct msg));
	struct producer p[PRODUCERS];
	pthread_t thread[PRODUCERS];
	uint32_t next[PRODUCERS] = { 0 };
	struct msg m;

	(void)state;
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		p[i] = (struct producer){ r, i };
		assert_int_equal(pthread_create(&thread[i], NULL, produce, &p[i]), 0);
	}
	for (uint32_t got = 0; got < PRODUCERS * EACH; got++) {
		assert_true(mf_ring_len(r) <= 64);
		while (!mf_ring_pop(r, &m))
			sched_yield();
		/* Nothing lost, doubled, torn, or out of its producer's order. */
		assert_in_range(m.producer, 0, PRODUCERS - 1);
		assert_int_equal(m.number, next[m.producer]++);
		assert_true(m.check == make_msg(m.producer, m.number).check);
	}
	for (uint32_t i = 0; i < PRODUCERS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_false(mf_ring_pop(r, &m));
	mf_ring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_full_and_empty),
		cmocka_unit_test(test_random_against_an_array),
		cmocka_unit_test(test_two_producers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
