/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache over a restart: as old as it is, in the same order, and from damaged files what is
 * sound.
 */
#include "cached.h"

enum { FILE_ROOM = 1 << 20, HEADER = 24, WORLD = 77 };
static uint8_t file[FILE_ROOM];

static size_t save(const struct mf_dns_cache *c, uint64_t wall)
{
	struct mf_dns_cache_when when = { now, wall, WORLD };
	size_t n = mf_dns_cache_save(c, NULL, 0, &when);

	assert_true(n <= sizeof(file));
	assert_int_equal(mf_dns_cache_save(c, file, n, &when), n);
	return n;
}

static struct mf_dns_cache *loaded_in(uint64_t world, size_t n, uint64_t wall, mf_err want)
{
	struct mf_dns_cache_when when = { now, wall, world };
	struct mf_dns_cache_config cfg = config();
	struct mf_dns_cache *c = mf_dns_cache_new(&cfg, hash_key);
	uint8_t *exact = malloc(n ? n : 1); /* so that reading beyond it is noticed */

	assert_non_null(c);
	assert_non_null(exact);
	memcpy(exact, file, n);
	assert_int_equal(mf_dns_cache_load(c, mf_span(exact, n), &when), want);
	free(exact);
	return c;
}

static struct mf_dns_cache *loaded(size_t n, uint64_t wall, mf_err want)
{
	return loaded_in(WORLD, n, wall, want);
}

/* What is read back is as old as it is, on a machine whose own clock has just begun. */
static void test_restart(void **state)
{
	struct mf_dns_cache *c = new_cache(), *d;
	struct mf_dns_hit hit;
	size_t n;

	(void)state;
	put_a(c, "a.example", 1000);
	put_a(c, "b.example", 100);
	put_failure(c, "c.example", 300);
	pass(10);
	n = save(c, 1000000);
	now = 5 * MF_SEC;
	d = loaded(n, 1000200, MF_OK);
	assert_int_equal(mf_dns_cache_counters(d)->entries, 2);
	assert_true(get(d, "a.example", &hit) && !hit.stale);
	assert_int_equal(hit.age, 210);
	assert_int_equal(hit.ttl, 1000);
	assert_int_equal(hit.note->hop, note.hop);
	assert_int_equal(hit.note->upstream, UINT8_MAX);
	assert_int_equal(hit.note->flags, 0);
	assert_int_equal(hit.note->rule, UINT32_MAX);
	assert_true(get(d, "b.example", &hit) && hit.stale && hit.refresh);
	pass(790);
	assert_true(get(d, "a.example", &hit) && hit.stale);
	mf_dns_cache_free(d);
	d = loaded(n, 1000000 + 89 + 86400, MF_OK);
	assert_int_equal(mf_dns_cache_counters(d)->entries, 2);
	mf_dns_cache_free(d);
	d = loaded(n, 1000000 + 90 + 86400, MF_OK);
	assert_int_equal(mf_dns_cache_counters(d)->entries, 1);
	mf_dns_cache_free(d);
	mf_dns_cache_free(loaded(n, 999999, MF_E_RANGE));
	d = loaded_in(WORLD + 1, n, 1000200, MF_E_CONFLICT);
	assert_int_equal(mf_dns_cache_counters(d)->entries, 0);
	mf_dns_cache_free(d);
	mf_dns_cache_free(c);
}

/* The order of use lasts, too. */
static void test_restart_order(void **state)
{
	static const char *const order[] = { "e.example", "b.example", "d.example", "c.example",
					     "a.example" };
	struct mf_dns_cache *c = new_cache(), *d;
	const struct mf_dns_entry *e = NULL;
	size_t n;

	(void)state;
	put_a(c, "a.example", 1000);
	put_a(c, "b.example", 1000);
	put_a(c, "c.example", 1000);
	put_a(c, "d.example", 1000);
	put_a(c, "e.example", 1000);
	assert_true(has(c, "b.example") && has(c, "e.example"));
	n = save(c, 1);
	d = loaded(n, 1, MF_OK);
	for (size_t i = 0; i < MF_ARRAY_LEN(order); i++) {
		enum mf_dns_segment segment = i < 2 ? MF_DNS_PROTECTED : MF_DNS_PROBATION;
		struct mf_dns_name want = maker_wire(order[i]);

		e = mf_dns_store_next(&d->store, segment, i == 2 ? NULL : e);
		assert_non_null(e);
		mf_dns_store_read(&d->store, e);
		assert_memory_equal(mf_dns_store_msg(&d->store, e).p + MF_DNS_HEADER, want.b, want.n);
	}
	mf_dns_cache_free(c);
	mf_dns_cache_free(d);
}

/* What is there is newer than what comes from a file. */
static void test_load_beside(void **state)
{
	struct mf_dns_cache_when when = { now, 1, WORLD };
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;
	size_t n;

	(void)state;
	put_a(c, "a.example", 1000);
	put_a(c, "b.example", 1000);
	n = save(c, 1);
	mf_dns_cache_flush(c);
	put_a(c, "a.example", 500);
	assert_int_equal(mf_dns_cache_load(c, mf_span(file, n), &when), MF_OK);
	assert_int_equal(mf_dns_cache_counters(c)->entries, 2);
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.ttl, 500);
	mf_dns_cache_free(c);
}

/* Cut anywhere, or bent anywhere: what stands before it is taken, and nothing that was not said. */
static void test_damaged(void **state)
{
	struct mf_prng g = unit_prng("damaged");
	struct mf_dns_cache *c = new_cache(), *d;
	size_t n, cut;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		put_a(c, numbered("n", i), 1000);
	n = save(c, 1);
	for (cut = 0; cut <= n; cut++) {
		d = loaded(cut, 1, cut < HEADER ? MF_E_MALFORMED : MF_OK);
		assert_int_equal(mf_dns_cache_counters(d)->entries,
				 cut < HEADER ? 0 : (cut - HEADER) / ((n - HEADER) / 8));
		mf_dns_cache_free(d);
	}
	file[0] ^= 1;
	mf_dns_cache_free(loaded(n, 1, MF_E_MALFORMED));
	file[0] ^= 1;
	file[7] ^= 1;
	mf_dns_cache_free(loaded(n, 1, MF_E_MALFORMED));
	file[7] ^= 1;
	for (unsigned i = 0; i < 2000; i++) {
		size_t at = HEADER + mf_prng_below(&g, n - HEADER);
		uint8_t was = file[at];

		file[at] ^= (uint8_t)(1 + mf_prng_below(&g, 255));
		d = loaded(n, 1, MF_OK);
		assert_in_range(mf_dns_cache_counters(d)->entries,
				(at - HEADER) / ((n - HEADER) / 8), 8);
		mf_dns_cache_free(d);
		file[at] = was;
	}
	mf_dns_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_order),
		cmocka_unit_test(test_load_beside),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests_name("dns/cache_file", tests, NULL, NULL);
}
