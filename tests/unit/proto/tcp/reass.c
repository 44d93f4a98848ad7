/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/tcp/reass.h"

#include "unit.h"

enum { BASE_WRAPS = 200, SPACE = 4096 };

/* Starts shortly before sequence numbers wrap. */
static const uint32_t base = 0 - (uint32_t)BASE_WRAPS;

static struct mf_pkt_pool *pool;

static int setup(void **state)
{
	(void)state;
	pool = mf_pkt_pool_new(8192, 4);
	return pool ? 0 : -1;
}

/* Asserts that every packet has come back. */
static int teardown(void **state)
{
	(void)state;
	mf_pkt_pool_free(pool);
	return 0;
}

static uint8_t byte_at(uint32_t at, uint8_t salt)
{
	return (uint8_t)(at * 7 + (at >> 8) + salt);
}

/* Bytes [start, end) of a stream, in a packet. */
static struct mf_pkt *piece(uint32_t start, uint32_t end, uint8_t salt)
{
	struct mf_pkt *p = mf_pkt_small(pool);

	assert_non_null(p);
	p->len = end - start;
	for (uint32_t i = start; i < end; i++)
		p->data[i - start] = byte_at(i, salt);
	return p;
}

/* Positions are relative to `base`. */
static bool add(struct mf_tcp_reass *q, uint32_t start, uint32_t end, uint8_t salt)
{
	struct mf_pkt *p = piece(start, end, salt);
	struct mf_tcp_range dup = { 1, 1 };

	if (mf_tcp_reass_add(q, p, base + start, &dup))
		return true;
	assert_int_equal(dup.start, base + start);
	assert_int_equal(dup.end, base + end);
	mf_pkt_free(p);
	return false;
}

static void assert_block(const struct mf_tcp_reass *q, uint8_t i, uint32_t start, uint32_t end)
{
	struct mf_tcp_range r[MF_TCP_SACK_MAX];

	assert_true(i < mf_tcp_reass_blocks(q, r, MF_TCP_SACK_MAX));
	assert_int_equal(r[i].start, base + start);
	assert_int_equal(r[i].end, base + end);
}

/* Takes what begins at `at`, which must be exactly [at, end) with this salt. */
static void take(struct mf_tcp_reass *q, uint32_t at, uint32_t end, uint8_t salt)
{
	struct mf_pkt *p = mf_tcp_reass_take(q, base + at);

	assert_non_null(p);
	assert_int_equal(p->len, end - at);
	for (uint32_t i = at; i < end; i++)
		assert_int_equal(p->data[i - at], byte_at(i, salt));
	assert_int_equal(p->segments, 1);
	assert_null(p->owner);
	mf_pkt_free(p);
}

/* RFC 2018 7, case 2: the first of eight segments of 500 bytes is lost; case 3: every other one. */
static void test_rfc2018_examples(void **state)
{
	struct mf_tcp_reass q = { 0 };
	struct mf_tcp_range r[MF_TCP_SACK_MAX];

	(void)state;
	for (uint32_t i = 1; i < 8; i++) {
		assert_true(add(&q, i * 500, i * 500 + 500, 0));
		assert_int_equal(mf_tcp_reass_blocks(&q, r, MF_TCP_SACK_MAX), 1);
		assert_block(&q, 0, 500, i * 500 + 500);
	}
	mf_tcp_reass_clear(&q);
	for (uint32_t i = 1; i < 8; i += 2)
		assert_true(add(&q, i * 500, i * 500 + 500, 0));
	assert_int_equal(mf_tcp_reass_blocks(&q, r, MF_TCP_SACK_MAX), 4);
	for (uint8_t i = 0; i < 4; i++)
		assert_block(&q, i, (uint32_t)(7 - 2 * i) * 500, (uint32_t)(8 - 2 * i) * 500);
	assert_true(add(&q, 2000, 2500, 0)); /* the fourth, then the second, as there */
	assert_block(&q, 0, 1500, 3000);
	assert_block(&q, 1, 3500, 4000);
	assert_block(&q, 2, 500, 1000);
	assert_int_equal(mf_tcp_reass_blocks(&q, r, 3), 3);
	assert_true(add(&q, 1000, 1500, 0));
	assert_block(&q, 0, 500, 3000);
	assert_int_equal(mf_tcp_reass_blocks(&q, r, MF_TCP_SACK_MAX), 2);
	mf_tcp_reass_clear(&q);
}

static void test_what_is_there_wins(void **state)
{
	struct mf_tcp_reass q = { 0 };

	(void)state;
	assert_true(add(&q, 1000, 2000, 1));
	assert_true(add(&q, 1500, 2500, 2)); /* its first half is old */
	assert_true(add(&q, 500, 1500, 3));  /* its second half is old */
	assert_false(add(&q, 600, 2400, 4)); /* over three packets */
	assert_false(add(&q, 500, 501, 4));
	assert_int_equal(q.bytes, 2000);
	take(&q, 500, 1000, 3);
	take(&q, 1000, 2000, 1);
	take(&q, 2000, 2500, 2);
	assert_null(mf_tcp_reass_take(&q, base + 2500));
	assert_int_equal(q.n, 0);
	assert_int_equal(q.n_recent, 0);
}

/* A byte in each segment is no way to fill memory. */
static void test_small_ones_share_a_packet(void **state)
{
	struct mf_tcp_reass q = { 0 };
	uint32_t free_before = mf_pkt_pool_free_small(pool);

	(void)state;
	for (uint32_t i = 10; i < 1500; i++)
		assert_true(add(&q, i, i + 1, 0));
	assert_int_equal(q.n, 1);
	assert_int_equal(q.held, MF_PKT_SMALL_MAX);
	assert_int_equal(mf_pkt_pool_free_small(pool), free_before - 1);
	assert_block(&q, 0, 10, 1500);
	assert_true(add(&q, 3000, 3001, 0)); /* not behind a hole */
	assert_int_equal(q.n, 2);
	for (uint32_t i = 1500; i < 3000; i++)
		assert_true(add(&q, i, i + 1, 0));
	assert_int_equal(q.n, 3); /* what one packet holds, and the rest */
	assert_block(&q, 0, 10, 3001);
	assert_int_equal(q.bytes, 2991);
	mf_tcp_reass_clear(&q);
}

static void test_covered_packets_are_freed(void **state)
{
	struct mf_tcp_reass q = { 0 };
	uint32_t free_before = mf_pkt_pool_free_small(pool);

	(void)state;
	assert_true(add(&q, 110, 120, 1));
	assert_true(add(&q, 130, 140, 1));
	assert_true(add(&q, 190, 210, 1));
	assert_int_equal(q.held, 3 * MF_PKT_SMALL_MAX);
	assert_true(add(&q, 100, 200, 2));
	assert_int_equal(q.n, 2);
	assert_int_equal(q.held, 2 * MF_PKT_SMALL_MAX);
	assert_int_equal(mf_pkt_pool_free_small(pool), free_before - 2);
	assert_block(&q, 0, 100, 210);
	take(&q, 100, 190, 2);
	take(&q, 190, 210, 1);
	assert_int_equal(q.held, 0);
}

static void test_taking_from_the_middle(void **state)
{
	struct mf_tcp_reass q = { 0 };

	(void)state;
	assert_null(mf_tcp_reass_take(&q, base));
	assert_true(add(&q, 10, 20, 1));
	assert_true(add(&q, 30, 40, 1));
	assert_true(add(&q, 50, 60, 1));
	assert_null(mf_tcp_reass_take(&q, base + 9));
	take(&q, 35, 40, 1); /* [10, 20) was filled by other means */
	assert_int_equal(q.n, 1);
	assert_block(&q, 0, 50, 60);
	assert_null(mf_tcp_reass_take(&q, base + 60));
	assert_int_equal(q.n, 0);
	assert_int_equal(q.n_recent, 0);
}

static void test_prune(void **state)
{
	struct mf_tcp_reass q = { 0 };
	uint32_t n = 0;

	(void)state;
	assert_false(mf_tcp_reass_prune(&q, &n));
	assert_true(add(&q, 1000, 1500, 1));
	assert_true(add(&q, 1500, 1900, 1));
	assert_true(add(&q, 10, 20, 1));
	assert_true(mf_tcp_reass_prune(&q, &n));
	assert_int_equal(n, 400);
	assert_block(&q, 1, 1000, 1500);
	assert_true(mf_tcp_reass_prune(&q, &n));
	assert_int_equal(n, 500);
	assert_int_equal(q.n_recent, 1);
	assert_true(mf_tcp_reass_prune(&q, &n));
	assert_int_equal(q.n_recent, 0);
	assert_null(q.last);
}

/* ---- against a map of bytes ---- */

struct model {
	bool there[SPACE];
	uint32_t nxt; /* what has been taken ends here */
};

static bool model_any_new(const struct model *m, uint32_t start, uint32_t end)
{
	for (uint32_t i = start; i < end; i++)
		if (!m->there[i])
			return true;
	return false;
}

static void check_list(const struct mf_tcp_reass *q, const struct model *m)
{
	uint32_t bytes = 0, n = 0, at = m->nxt, sum = 0;
	const struct mf_pkt *prev = NULL;

	for (const struct mf_pkt *p = q->first; p; prev = p, p = p->next, n++) {
		uint32_t start = p->segments - base;

		assert_ptr_equal(p->owner, prev);
		assert_true(p->len > 0 && start >= at);
		for (; at < start; at++)
			assert_false(m->there[at]);
		for (uint32_t i = 0; i < p->len; i++, at++) {
			assert_true(m->there[at]);
			assert_int_equal(p->data[i], byte_at(at, 0));
		}
		bytes += p->len;
	}
	assert_ptr_equal(q->last, prev);
	for (; at < SPACE; at++)
		assert_false(m->there[at]);
	for (uint32_t i = m->nxt; i < SPACE; i++)
		sum += m->there[i];
	assert_int_equal(sum, bytes);
	assert_int_equal(q->bytes, bytes);
	assert_int_equal(q->n, n);
	assert_int_equal(q->held, (uint64_t)n * MF_PKT_SMALL_MAX);
}

/* Every block is a whole run of the map, and no two are the same. */
static void check_blocks(const struct mf_tcp_reass *q, const struct model *m)
{
	struct mf_tcp_range r[MF_TCP_SACK_MAX];
	uint8_t n = mf_tcp_reass_blocks(q, r, MF_TCP_SACK_MAX);

	for (uint8_t i = 0; i < n; i++) {
		uint32_t start = r[i].start - base, end = r[i].end - base;

		assert_true(start < end && start >= m->nxt && end <= SPACE);
		assert_false(start > m->nxt && m->there[start - 1]);
		assert_false(end < SPACE && m->there[end]);
		for (uint32_t k = start; k < end; k++)
			assert_true(m->there[k]);
		for (uint8_t k = 0; k < i; k++)
			assert_int_not_equal(r[k].start, r[i].start);
	}
}

static void step_add(struct mf_tcp_reass *q, struct model *m, struct mf_prng *g)
{
	uint32_t longest = mf_prng_below(g, 4) ? 40 : 800;
	uint32_t start = m->nxt + (uint32_t)mf_prng_below(g, SPACE - m->nxt - 1);
	uint32_t end = start + 1 + (uint32_t)mf_prng_below(g, longest);
	bool new;

	end = (uint32_t)mf_min(end, SPACE - 1);
	if (end <= start)
		return;
	new = model_any_new(m, start, end);
	assert_int_equal(add(q, start, end, 0), new);
	memset(m->there + start, true, end - start);
	if (new) { /* it is in the block that is reported first */
		struct mf_tcp_range r;

		assert_int_equal(mf_tcp_reass_blocks(q, &r, 1), 1);
		assert_true(r.start - base < end && r.end - base > start);
	}
}

/* The byte at nxt arrives by itself, and what joins on is taken. */
static void step_advance(struct mf_tcp_reass *q, struct model *m, struct mf_prng *g)
{
	struct mf_pkt *p;

	m->nxt += (uint32_t)mf_prng_below(g, 60);
	m->nxt = (uint32_t)mf_min(m->nxt, SPACE - 2);
	while ((p = mf_tcp_reass_take(q, base + m->nxt))) {
		for (uint32_t i = 0; i < p->len; i++) {
			assert_true(m->there[m->nxt]);
			assert_int_equal(p->data[i], byte_at(m->nxt++, 0));
		}
		mf_pkt_free(p);
	}
	assert_false(m->there[m->nxt]);
}

static void step_prune(struct mf_tcp_reass *q, struct model *m)
{
	const struct mf_pkt *p = q->last;
	uint32_t n = 0, start = p ? p->segments - base : 0;

	assert_int_equal(mf_tcp_reass_prune(q, &n), p != NULL);
	memset(m->there + start, false, n);
}

static void test_against_model(void **state)
{
	struct mf_prng g = unit_prng("reass");
	static struct model m;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct mf_tcp_reass q = { 0 };
		uint64_t advance = mf_prng_below(&g, 30);

		memset(&m, 0, sizeof(m));
		for (int i = 0; i < 400 && m.nxt < SPACE - 100; i++) {
			uint64_t what = mf_prng_below(&g, 100);

			if (what < advance)
				step_advance(&q, &m, &g);
			else if (what < advance + 3)
				step_prune(&q, &m);
			else
				step_add(&q, &m, &g);
			check_list(&q, &m);
			check_blocks(&q, &m);
		}
		mf_tcp_reass_clear(&q);
		assert_null(q.first);
		assert_int_equal(mf_pkt_pool_free_small(pool), 8192);
	}
}

/* Everything that is there, for several ACKs: from the n-th block from the top, upwards. */
static void test_all_blocks(void **state)
{
	struct mf_tcp_reass q = { 0 };
	struct mf_tcp_range r[3];
	const struct mf_pkt *at;

	(void)state;
	assert_null(mf_tcp_reass_from(&q, 3));
	for (uint32_t i = 0; i < 8; i++) { /* each of two packets */
		assert_true(add(&q, 100 * i, 100 * i + 10, 0));
		assert_true(add(&q, 100 * i + 10, 100 * i + 30, 0));
	}
	for (uint32_t n = 1; n <= 10; n++) {
		uint32_t i = n < 8 ? 8 - n : 0;

		at = mf_tcp_reass_from(&q, n);
		while (at) {
			uint8_t got = mf_tcp_reass_runs(&at, r, 3);

			assert_in_range(got, 1, 3);
			for (uint8_t k = 0; k < got; k++, i++) {
				assert_int_equal(r[k].start, base + 100 * i);
				assert_int_equal(r[k].end, base + 100 * i + 30);
			}
		}
		assert_int_equal(i, 8);
	}
	mf_tcp_reass_clear(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc2018_examples),
		cmocka_unit_test(test_what_is_there_wins),
		cmocka_unit_test(test_small_ones_share_a_packet),
		cmocka_unit_test(test_covered_packets_are_freed),
		cmocka_unit_test(test_taking_from_the_middle),
		cmocka_unit_test(test_prune),
		cmocka_unit_test(test_all_blocks),
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
