/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pkt.h"

#include <sys/mman.h>

#include "unit.h"

enum { PAGE = 4096, SMALL = 130, LARGE = 20 };

static void check_fresh(const struct mf_pkt *p, bool large)
{
	size_t head = MF_PKT_HEADROOM + (large ? MF_PKT_LAND : 0);
	size_t max = large ? MF_PKT_LARGE_MAX : MF_PKT_SMALL_MAX;

	assert_int_equal(p->len, 0);
	assert_int_equal(p->gso_type, MF_GSO_NONE);
	assert_int_equal(p->gso_size, 0);
	assert_int_equal(p->segments, 1);
	assert_int_equal(p->flags, large ? MF_PKT_LARGE : 0);
	assert_int_equal(p->remote.addr.family, MF_AF_NONE);
	assert_int_equal(p->local.family, MF_AF_NONE);
	assert_int_equal(p->local_if, 0);
	assert_null(p->owner);
	assert_int_equal(mf_pkt_headroom(p), head);
	assert_int_equal(mf_pkt_tailroom(p), max + MF_PKT_TAILROOM);
	assert_int_equal((uintptr_t)p->data % MF_CACHE_LINE, 0);
}

/* Every byte of every packet's room and everything a node may write belongs to it alone. */
static void test_rooms_do_not_overlap(void **state)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(SMALL, LARGE);
	struct mf_pkt *p[SMALL + LARGE];

	(void)state;
	for (size_t i = 0; i < SMALL + LARGE; i++) {
		p[i] = i < SMALL ? mf_pkt_small(pool) : mf_pkt_large(pool);
		assert_non_null(p[i]);
		check_fresh(p[i], i >= SMALL);
		memset(p[i]->room_start, (int)i, (size_t)(p[i]->room_end - p[i]->room_start));
	}
	assert_null(mf_pkt_small(pool));
	assert_null(mf_pkt_large(pool));
	for (size_t i = 0; i < SMALL + LARGE; i++) {
		for (uint8_t *b = p[i]->room_start; b < p[i]->room_end; b++)
			assert_int_equal(*b, (uint8_t)i);
		check_fresh(p[i], i >= SMALL);
		mf_pkt_free(p[i]);
	}
	mf_pkt_pool_free(pool);
}

static void test_random_against_a_stack(void **state)
{
	struct mf_prng g = unit_prng("pkt");
	struct mf_pkt_pool *pool = mf_pkt_pool_new(SMALL, LARGE);
	struct mf_pkt *out[2][SMALL], *freed[2][SMALL];
	uint32_t n_out[2] = { 0 }, n_freed[2] = { 0 };
	const uint32_t total[2] = { SMALL, LARGE };

	(void)state;
	for (int i = 0; i < 100000; i++) {
		size_t c = mf_prng_below(&g, 2);

		if (mf_prng_below(&g, 20) < 11) {
			struct mf_pkt *p = c ? mf_pkt_large(pool) : mf_pkt_small(pool);

			assert_int_equal(p != NULL, n_out[c] < total[c]);
			if (!p)
				continue;
			check_fresh(p, c);
			if (n_freed[c]) /* last given, first taken */
				assert_ptr_equal(p, freed[c][--n_freed[c]]);
			p->tail = p->data;
			p->tail_len = UINT32_MAX;
			p->ttl = 0xff;
			p->owner = p;
			p->data += 16;
			p->len = 99;
			p->flags |= MF_PKT_NEEDS_CSUM;
			p->remote.addr.family = MF_AF_IP6;
			p->local.family = MF_AF_IP4;
			p->local_if = 3;
			out[c][n_out[c]++] = p;
		} else if (n_out[c]) {
			size_t k = mf_prng_below(&g, n_out[c]);

			freed[c][n_freed[c]++] = out[c][k];
			mf_pkt_free(out[c][k]);
			out[c][k] = out[c][--n_out[c]];
		}
		assert_int_equal(mf_pkt_pool_free_small(pool), SMALL - n_out[0]);
		assert_int_equal(mf_pkt_pool_free_large(pool), LARGE - n_out[1]);
	}
	for (size_t c = 0; c < 2; c++) {
		while (n_out[c])
			mf_pkt_free(out[c][--n_out[c]]);
	}
	mf_pkt_pool_free(pool);
}

static size_t resident_pages(const struct mf_pkt_class *c)
{
	uint8_t *start = (uint8_t *)c->free;
	size_t bytes = (size_t)(c->mem - start) + 17 * PAGE * c->n_total, n = 0;
	unsigned char *in = malloc(bytes / PAGE);

	assert_int_equal(mincore(start, bytes, in), 0);
	for (size_t i = 0; i < bytes / PAGE; i++)
		n += in[i] & 1;
	free(in);
	return n;
}

/* Under a sanitizer too: shadow memory lies elsewhere. */
static void test_untouched_memory_costs_nothing(void **state)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(0, 400);
	struct mf_pkt *p[400];

	(void)state;
	assert_int_equal(resident_pages(&pool->large), 0);
	for (size_t i = 0; i < 400; i++) {
		p[i] = mf_pkt_large(pool);
		memset(p[i]->data, 1, 60);
	}
	/* One page for each with 60 bytes, one for the free stack. */
	assert_int_equal(resident_pages(&pool->large), 401);
	for (size_t i = 0; i < 400; i++)
		mf_pkt_free(p[i]);
	assert_int_equal(resident_pages(&pool->large), 401);
	mf_pkt_pool_free(pool);
}

static void test_neighbours_start_at_different_lines(void **state)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(64, 26);
	bool seen[2][64] = { 0 };
	struct mf_pkt *p[64 + 26];

	(void)state;
	for (size_t i = 0; i < 64 + 26; i++) {
		size_t line;

		p[i] = i < 64 ? mf_pkt_small(pool) : mf_pkt_large(pool);
		line = (uintptr_t)p[i]->data % PAGE / MF_CACHE_LINE;
		assert_false(seen[i >= 64][line]);
		seen[i >= 64][line] = true;
	}
	for (size_t i = 0; i < 64 + 26; i++)
		mf_pkt_free(p[i]);
	mf_pkt_pool_free(pool);
}

static void free_twice(void *arg)
{
	struct mf_pkt_pool *pool = arg;
	struct mf_pkt *p = mf_pkt_small(pool);

	mf_pkt_free(p);
	mf_pkt_free(p);
}

static void free_pool_with_one_out(void *arg)
{
	struct mf_pkt_pool *pool = arg;

	if (!mf_pkt_large(pool))
		return;
	mf_pkt_pool_free(pool);
}

static void test_misuse_is_caught(void **state)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(4, 4);

	(void)state;
	assert_true(unit_aborts(free_twice, pool));
	assert_true(unit_aborts(free_pool_with_one_out, pool));
	mf_pkt_pool_free(pool);
	mf_pkt_pool_free(NULL);
}

#ifdef MF_PKT_ASAN
#include <sanitizer/asan_interface.h>

static void test_free_rooms_are_poisoned(void **state)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(2, 2);
	struct mf_pkt *p[2] = { mf_pkt_small(pool), mf_pkt_large(pool) };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t room = (size_t)(p[i]->room_end - p[i]->room_start);

		assert_null(__asan_region_is_poisoned(p[i]->room_start, room));
		assert_true(__asan_address_is_poisoned(p[i]->room_end));
		mf_pkt_free(p[i]);
		assert_true(__asan_address_is_poisoned(p[i]->room_start));
		assert_true(__asan_address_is_poisoned(p[i]->room_end - 1));
	}
	mf_pkt_pool_free(pool);
}
#endif

/* What readv with two iovecs leaves behind, for every length around the borders. */
static void test_land(void **state)
{
	static const size_t sizes[] = { 0, 1, 60, 2047, 2048, 2049, 4096, 65535, 65536, 67584 };
	struct mf_pkt_pool *pool = mf_pkt_pool_new(1, 1);

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(sizes); i++) {
		struct mf_pkt *small = mf_pkt_small(pool), *large = mf_pkt_large(pool), *p;
		uint8_t *other_data = sizes[i] <= 2048 ? large->data : small->data;

		for (size_t k = 0; k < sizes[i]; k++) {
			uint8_t *at = k < 2048 ? small->data + k : large->data + k - 2048;

			*at = (uint8_t)(k * 7 + k / 256);
		}
		p = mf_pkt_land(small, large, sizes[i]);
		assert_ptr_equal(p, sizes[i] <= 2048 ? small : large);
		assert_int_equal(p->len, sizes[i]);
		assert_true(mf_pkt_headroom(p) >= MF_PKT_HEADROOM);
		assert_true(mf_pkt_tailroom(p) >= MF_PKT_TAILROOM);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(p->data[k], (uint8_t)(k * 7 + k / 256));
		p = p == small ? large : small;
		assert_int_equal(p->len, 0);
		assert_ptr_equal(p->data, other_data);
		mf_pkt_free(small);
		mf_pkt_free(large);
	}
	mf_pkt_pool_free(pool);
}

static void test_copy_meta(void **state)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(1, 1);
	struct mf_pkt *from = mf_pkt_large(pool), *to = mf_pkt_small(pool);
	uint8_t *data = to->data;

	(void)state;
	from->gso_type = MF_GSO_TCP6;
	from->gso_size = 1380;
	from->csum_start = 40;
	from->csum_offset = 16;
	from->l4_off = 40;
	from->ip_version = 6;
	from->l4_proto = 6;
	from->tos = 3;
	from->segments = 12;
	from->len = 777;
	from->flags |= MF_PKT_NEEDS_CSUM | MF_PKT_CAPTURED | MF_PKT_MAY_FRAGMENT;
	mf_pkt_copy_meta(to, from);
	assert_int_equal(to->gso_type, MF_GSO_TCP6);
	assert_int_equal(to->gso_size, 1380);
	assert_int_equal(to->csum_start, 40);
	assert_int_equal(to->csum_offset, 16);
	assert_int_equal(to->l4_off, 40);
	assert_int_equal(to->ip_version, 6);
	assert_int_equal(to->l4_proto, 6);
	assert_int_equal(to->tos, 3);
	assert_int_equal(to->segments, 12);
	/* The bytes and the class of memory stay the packet's own. */
	assert_int_equal(to->flags, MF_PKT_NEEDS_CSUM | MF_PKT_CAPTURED | MF_PKT_MAY_FRAGMENT);
	assert_int_equal(to->len, 0);
	assert_ptr_equal(to->data, data);
	from->flags = MF_PKT_LARGE;
	mf_pkt_copy_meta(to, from);
	assert_int_equal(to->flags, 0);
	mf_pkt_free(from);
	mf_pkt_free(to);
	mf_pkt_pool_free(pool);
}

/* Fits behind the head: stays where it is. Does not: a large copy, and the head keeps its tail. There is room
 * for padding and tag in any case. */
static void test_linear(void **state)
{
	static const uint32_t heads[] = { 0, 1, 40, 2048 },
			      tails[] = { 0, 1, 1000, 2008, 2009, 2100, 63000 };
	struct mf_pkt_pool *pool = mf_pkt_pool_new(1, 1);
	static uint8_t tail[63000], out[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(tail); i++)
		tail[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t h = 0; h < MF_ARRAY_LEN(heads); h++)
		for (size_t t = 0; t < MF_ARRAY_LEN(tails); t++) {
			struct mf_pkt *p = mf_pkt_small(pool), *whole;
			bool fits = heads[h] + tails[t] <= MF_PKT_SMALL_MAX;

			memset(p->data, 0xab, heads[h]);
			p->len = heads[h];
			p->gso_type = MF_GSO_TCP4;
			p->gso_size = 1000;
			p->tail = tails[t] ? tail : NULL;
			p->tail_len = tails[t];
			assert_int_equal(mf_pkt_len(p), heads[h] + tails[t]);
			assert_int_equal(mf_pkt_gather(p, out, sizeof(out)), heads[h] + tails[t]);
			whole = mf_pkt_linear(pool, p);
			assert_non_null(whole);
			assert_int_equal(whole == p, fits);
			assert_int_equal(whole->len, heads[h] + tails[t]);
			assert_int_equal(whole->tail_len, 0);
			assert_true(mf_pkt_tailroom(whole) >= MF_PKT_TAILROOM);
			assert_int_equal(whole->gso_size, 1000);
			assert_memory_equal(whole->data, out, whole->len);
			if (heads[h])
				assert_int_equal(whole->data[heads[h] - 1], 0xab);
			if (tails[t])
				assert_memory_equal(whole->data + heads[h], tail, tails[t]);
			if (!fits) {
				assert_int_equal(p->tail_len, tails[t]);
				assert_null(mf_pkt_linear(pool, p));
				mf_pkt_free(whole);
			}
			mf_pkt_free(p);
		}
	mf_pkt_pool_free(pool);
}

static void test_gather_stops_where_it_must(void **state)
{
	static const uint8_t tail[] = "tail";
	struct mf_pkt_pool *pool = mf_pkt_pool_new(1, 1);
	struct mf_pkt *p = mf_pkt_small(pool);
	uint8_t out[12];

	(void)state;
	memcpy(p->data, "head-", 5);
	p->len = 5;
	p->tail = tail;
	p->tail_len = 4;
	for (size_t max = 0; max < sizeof(out); max++) {
		memset(out, '.', sizeof(out));
		assert_int_equal(mf_pkt_gather(p, out, max), mf_min(max, 9));
		assert_memory_equal(out, "head-tail", mf_min(max, 9));
		assert_int_equal(out[mf_min(max, 9)], '.');
	}
	mf_pkt_free(p);
	mf_pkt_pool_free(pool);
}

static void test_bytes(void **state)
{
	(void)state;
	assert_true(mf_pkt_pool_bytes(1000, 0) >= 1000 * (192 + 128 + 2048 + 64));
	assert_true(mf_pkt_pool_bytes(1000, 0) <= 1000 * 2560);
	assert_true(mf_pkt_pool_bytes(0, 100) >= 100 * (192 + 128 + 2048 + 65536 + 64));
	assert_true(mf_pkt_pool_bytes(0, 100) <= 100 * 70000);
	assert_true(mf_pkt_pool_bytes(7, 9) ==
		    mf_pkt_pool_bytes(7, 0) + mf_pkt_pool_bytes(0, 9) - mf_pkt_pool_bytes(0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rooms_do_not_overlap),
		cmocka_unit_test(test_random_against_a_stack),
		cmocka_unit_test(test_untouched_memory_costs_nothing),
		cmocka_unit_test(test_neighbours_start_at_different_lines),
		cmocka_unit_test(test_misuse_is_caught),
#ifdef MF_PKT_ASAN
		cmocka_unit_test(test_free_rooms_are_poisoned),
#endif
		cmocka_unit_test(test_land),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_gather_stops_where_it_must),
		cmocka_unit_test(test_copy_meta),
		cmocka_unit_test(test_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
