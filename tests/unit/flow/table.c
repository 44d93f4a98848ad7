/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/table.h"

#include "unit.h"

/* What other modules put behind the flow: a part that is kept, a part that begins as zeros. */
struct object {
	struct mf_flow flow;
	uint64_t kept;
	uint64_t mine[3];
};

enum { KEEP = offsetof(struct object, mine), KEYS = 300 };

static const uint8_t hash_key[16] = "0123456789abcdef";

static struct mf_flow_table *new_table(uint32_t max)
{
	struct mf_flow_table *t = mf_flow_table_new(max, sizeof(struct object), KEEP, hash_key);

	assert_non_null(t);
	return t;
}

static struct mf_flow_key key_of(uint32_t n)
{
	struct mf_flow_key k = { .sport = (uint16_t)n, .dport = 443, .family = MF_AF_IP4, .proto = 6 };

	memcpy(k.src, &n, sizeof(n));
	return k;
}

static struct object *find(struct mf_flow_table *t, uint32_t n)
{
	struct mf_flow_key k = key_of(n);

	return mf_flow_find(t, &k, mf_flow_hash_key(t, &k));
}

static struct object *add(struct mf_flow_table *t, uint32_t n)
{
	struct mf_flow_key k = key_of(n);

	return mf_flow_add(t, &k, mf_flow_hash_key(t, &k));
}

/* The model: for each key whether it is there, its object and its reference. */
struct model {
	struct object *obj[KEYS];
	struct mf_flow_ref ref[KEYS];
	uint32_t count, most;
};

static void compare(struct mf_flow_table *t, const struct model *m)
{
	assert_int_equal(mf_flow_count(t), m->count);
	assert_int_equal(mf_flow_high(t), m->most);
	for (uint32_t n = 0; n < KEYS; n++) {
		struct object *o = find(t, n);

		assert_ptr_equal(o, m->obj[n]);
		if (!o)
			continue;
		assert_int_equal(o->mine[0], n + 1);
		assert_ptr_equal(mf_flow_get(t, m->ref[n]), o);
		assert_ptr_equal(mf_flow_slot(t, m->ref[n].index), o);
	}
}

static void step_add(struct mf_flow_table *t, struct model *m, uint32_t n)
{
	struct object *o = add(t, n);

	if (m->count == mf_flow_max(t)) {
		assert_null(o);
		return;
	}
	assert_non_null(o);
	assert_int_equal(o->mine[0] | o->mine[1] | o->mine[2], 0);
	assert_int_not_equal(o->flow.ref.generation, 0);
	o->mine[0] = n + 1;
	o->mine[2] = UINT64_MAX;
	o->kept++;
	m->obj[n] = o;
	m->ref[n] = o->flow.ref;
	if (++m->count > m->most)
		m->most = m->count;
}

static void step_remove(struct mf_flow_table *t, struct model *m, uint32_t n)
{
	uint64_t kept = m->obj[n]->kept;

	mf_flow_remove(t, m->obj[n]);
	assert_null(mf_flow_get(t, m->ref[n]));
	assert_int_equal(m->obj[n]->kept, kept);
	m->obj[n] = NULL;
	m->count--;
}

/* Sizes from one to more than there are keys: also when every search passes many cells. */
static void test_against_model(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 7, 8, 100, 256, 400 };
	struct mf_prng g = unit_prng("table");

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(sizes); i++) {
		struct mf_flow_table *t = new_table(sizes[i]);
		struct model m = { .count = 0 };

		for (unsigned step = 0; step < 3000; step++) {
			uint32_t n = (uint32_t)mf_prng_below(&g, KEYS);

			if (m.obj[n])
				step_remove(t, &m, n);
			else
				step_add(t, &m, n);
			if (step % 16 == 0)
				compare(t, &m);
		}
		mf_flow_table_free(t);
	}
}

/* Hashes that all want the same few cells, and that run over the end of the index. */
static void test_collisions(void **state)
{
	struct mf_prng g = unit_prng("table");
	struct mf_flow_table *t = new_table(KEYS);
	struct object *obj[KEYS] = { NULL };

	(void)state;
	for (unsigned step = 0; step < 20000; step++) {
		uint32_t n = (uint32_t)mf_prng_below(&g, KEYS);
		struct mf_flow_key k = key_of(n);
		uint64_t hash = UINT64_MAX - n % 3;

		if (obj[n])
			mf_flow_remove(t, obj[n]);
		obj[n] = obj[n] ? NULL : mf_flow_add(t, &k, hash);
		n = (uint32_t)mf_prng_below(&g, KEYS);
		k = key_of(n);
		assert_ptr_equal(mf_flow_find(t, &k, UINT64_MAX - n % 3), obj[n]);
	}
	mf_flow_table_free(t);
}

/* 12 bits of generation: a name is used again after 4095 others, and never 0. */
static void test_generations(void **state)
{
	struct mf_flow_table *t = new_table(1);
	struct mf_flow_ref first = { .index = 0 };

	(void)state;
	assert_null(mf_flow_get(t, first));
	for (unsigned i = 0; i < 2 * 4095; i++) {
		struct object *o = add(t, i);

		assert_int_equal(o->flow.ref.index, 0);
		assert_int_equal(o->flow.ref.generation, i % 4095 + 1);
		mf_flow_remove(t, o);
	}
	mf_flow_table_free(t);
}

static void test_hash(void **state)
{
	static const uint8_t other[16] = "fedcba9876543210";
	struct mf_flow_table *a = new_table(4),
			     *b = mf_flow_table_new(4, sizeof(struct object), KEEP, other);
	struct mf_flow_key k = key_of(1), l = key_of(1);

	(void)state;
	assert_int_not_equal(mf_flow_hash_key(a, &k), mf_flow_hash_key(b, &k));
	l.side = 1;
	assert_int_not_equal(mf_flow_hash_key(a, &k), mf_flow_hash_key(a, &l));
	mf_flow_table_free(a);
	mf_flow_table_free(b);
	mf_flow_table_free(NULL);
}

static void add_twice(void *t)
{
	add(t, 1);
	add(t, 1);
}

static void remove_twice(void *t)
{
	struct object *o = add(t, 1);

	mf_flow_remove(t, o);
	mf_flow_remove(t, o);
}

static void test_our_mistakes(void **state)
{
	struct mf_flow_table *t = new_table(4);

	(void)state;
	assert_true(unit_aborts(add_twice, t));
	assert_true(unit_aborts(remove_twice, t));
	mf_flow_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model), cmocka_unit_test(test_collisions),
		cmocka_unit_test(test_generations),   cmocka_unit_test(test_hash),
		cmocka_unit_test(test_our_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
