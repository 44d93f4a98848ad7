/* SPDX-License-Identifier: Apache-2.0 */
#include "host/source.h"

#include <pthread.h>

#include "unit.h"

enum { ADDRESSES = 60, MAX = 200, HELD = 400 };

static const uint8_t hash_key[16] = "0123456789abcdef";

static struct mf_addr address(uint32_t n)
{
	uint8_t b[16] = { 0xfd };

	memcpy(b + 4, &n, sizeof(n));
	return n % 2 ? mf_addr_ip6(b) : mf_addr_ip4(b + 4);
}

/* One session of the model. */
struct held {
	struct mf_source *s;
	uint32_t address;
	bool half_open;
};

struct model {
	struct held held[HELD];
	uint32_t n, sessions[ADDRESSES], half_open[ADDRESSES];
};

static enum mf_drop expected(const struct model *m, uint32_t n, bool half_open,
			     const struct mf_source_limits *l)
{
	if (m->n >= l->all || m->n >= MAX)
		return MF_DROP_SESSIONS_FULL;
	if (m->sessions[n] && m->sessions[n] >= l->each)
		return MF_DROP_SESSIONS_SOURCE;
	if (m->sessions[n] && half_open && m->half_open[n] >= l->half_open)
		return MF_DROP_HALF_OPEN_SOURCE;
	return MF_DROP_NONE;
}

static void come(struct mf_sources *t, struct model *m, struct mf_prng *g)
{
	struct held h = { .address = (uint32_t)mf_prng_below(g, ADDRESSES),
			  .half_open = mf_prng_below(g, 2) };
	struct mf_addr a = address(h.address);
	struct mf_source_limits l = { .all = 150 + (uint32_t)mf_prng_below(g, 100),
				      .each = 1 + (uint32_t)mf_prng_below(g, 10),
				      .half_open = 1 + (uint32_t)mf_prng_below(g, 5) };
	enum mf_drop want = expected(m, h.address, h.half_open, &l);

	assert_int_equal(mf_source_join(t, &a, h.half_open, &l, &h.s), want);
	if (want)
		return;
	m->held[m->n++] = h;
	m->sessions[h.address]++;
	m->half_open[h.address] += h.half_open;
}

static void go(struct mf_sources *t, struct model *m, size_t i)
{
	struct held h = m->held[i];

	mf_source_leave(t, h.s, h.half_open);
	m->held[i] = m->held[--m->n];
	m->sessions[h.address]--;
	m->half_open[h.address] -= h.half_open;
}

static void establish(struct mf_sources *t, struct model *m, size_t i)
{
	struct held *h = &m->held[i];

	if (!h->half_open)
		return;
	mf_source_opened(t, h->s);
	h->half_open = false;
	m->half_open[h->address]--;
}

/* The model is a list of sessions, and counts for each address. */
static void test_against_model(void **state)
{
	struct mf_prng g = unit_prng("source");
	struct mf_sources *t = mf_sources_new(MAX, hash_key);
	static struct model m;

	(void)state;
	assert_non_null(t);
	for (unsigned step = 0; step < 100000; step++) {
		/* A tide: now more come, now more go. */
		if (!m.n || mf_prng_below(&g, 100) < (step / 5000 % 2 ? 70 : 30))
			come(t, &m, &g);
		else if (mf_prng_below(&g, 3) == 0)
			establish(t, &m, mf_prng_below(&g, m.n));
		else
			go(t, &m, mf_prng_below(&g, m.n));
	}
	while (m.n)
		go(t, &m, m.n - 1);
	mf_sources_free(t);
	mf_sources_free(NULL);
}

enum { THREADS = 4, ROUNDS = 20000, EACH = 3 };

static void *compete(void *arg)
{
	struct mf_sources *t = arg;
	struct mf_source_limits l = { .all = MAX, .each = EACH, .half_open = EACH };
	struct mf_addr a = address(7);
	uintptr_t joined = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct mf_source *s;

		if (mf_source_join(t, &a, true, &l, &s))
			continue;
		joined++;
		mf_source_opened(t, s);
		mf_source_leave(t, s, false);
	}
	return (void *)joined;
}

/* Workers that fight for one address: some got in (which, is up to the machine), and nothing is left. */
static void test_threads(void **state)
{
	struct mf_sources *t = mf_sources_new(MAX, hash_key);
	struct mf_source_limits l = { .all = 1, .each = 1, .half_open = 1 };
	struct mf_addr a = address(7);
	struct mf_source *s;
	pthread_t thread[THREADS];
	uintptr_t all = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, compete, t), 0);
	for (int i = 0; i < THREADS; i++) {
		void *joined;

		assert_int_equal(pthread_join(thread[i], &joined), 0);
		all += (uintptr_t)joined;
	}
	assert_true(all > 0);
	assert_int_equal(mf_source_join(t, &a, true, &l, &s), MF_DROP_NONE);
	mf_source_leave(t, s, true);
	mf_sources_free(t);
}

static void leave_twice(void *arg)
{
	struct mf_sources *t = mf_sources_new(4, hash_key);
	struct mf_source_limits l = { 4, 4, 4 };
	struct mf_addr a = address(2);
	struct mf_source *s;

	(void)arg;
	(void)mf_source_join(t, &a, false, &l, &s);
	mf_source_leave(t, s, false);
	mf_source_leave(t, s, false);
}

static void test_our_mistakes(void **state)
{
	(void)state;
	assert_true(unit_aborts(leave_twice, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_our_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
