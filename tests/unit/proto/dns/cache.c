/* SPDX-License-Identifier: Apache-2.0
 *
 * Known cases: RFC 2308 (negative answers), RFC 8767 (stale ones), RFC 9520 (failures), and what
 * the cache promises beside them. Random ones are in cache_model.c.
 */
#include "cached.h"

/* ---- what is found ---- */

static void test_get(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	assert_false(has(c, "a.example"));
	assert_true(put_a(c, "A.Example", 300)); /* the name as the key has it: lower case */
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	assert_int_equal(hit.ttl, 300);
	assert_int_equal(hit.age, 0);
	assert_int_equal(hit.n_ttls, 1);
	assert_int_equal(mf_load_be32(hit.msg.p + hit.ttl_at[0]), 300);
	assert_false(hit.stale || hit.refresh);
	assert_memory_equal(hit.note, &note, sizeof(note));
	assert_memory_equal(hit.msg.p + MF_DNS_HEADER, "\1a\7example", 11);
	assert_int_equal(hit.msg.n, m.n);
	hit.note->hop = 9;
	pass(299);
	now += MF_SEC - 1;
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.age, 299);
	assert_int_equal(hit.note->hop, 9);
	assert_false(hit.stale);
	/* Neither another type, nor another name, nor other flags. */
	assert_false(get_flags(c, "a.example", MF_DNS_AAAA, 0, &hit));
	assert_false(get_flags(c, "a.example", MF_DNS_A, MF_DNS_KEY_DO, &hit));
	assert_false(has(c, "b.example") || has(c, "example") || has(c, "a.a.example"));
	mf_dns_cache_free(c);
}

/* Each kind of question is an entry of its own. */
static void test_flags_are_of_the_key(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	for (uint8_t flags = 0; flags < 4; flags++) {
		tell_a("a.example", 100 + flags);
		assert_true(put_flags(c, "a.example", MF_DNS_A, flags, 0));
	}
	for (uint8_t flags = 0; flags < 4; flags++) {
		assert_true(get_flags(c, "a.example", MF_DNS_A, flags, &hit));
		assert_int_equal(hit.ttl, 100 + flags);
	}
	assert_int_equal(mf_dns_cache_counters(c)->entries, 4);
	mf_dns_cache_free(c);
}

/* An answer is kept under its own question only. */
static void test_other_question(void **state)
{
	struct mf_dns_cache *c = new_cache();

	(void)state;
	tell_a("a.example", 300);
	assert_false(put(c, "b.example", MF_DNS_A));
	assert_false(put(c, "a.example", MF_DNS_AAAA));
	mf_store_be16(m.b + MF_DNS_HEADER + 13, MF_DNS_CHAOS);
	assert_false(put(c, "a.example", MF_DNS_A));
	assert_int_equal(mf_dns_cache_counters(c)->entries, 0);
	mf_dns_cache_free(c);
}

static void test_floor_and_ceiling(void **state)
{
	struct mf_dns_cache_config cfg = config();
	struct mf_dns_cache *c;
	struct mf_dns_hit hit;

	(void)state;
	cfg.ttl_min = 60;
	cfg.ttl_max = 600;
	c = cache_with(&cfg);
	put_a(c, "a.example", 0);
	put_a(c, "b.example", 100000);
	put_a(c, "c.example", 100);
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.ttl, 60);
	assert_int_equal(mf_load_be32(hit.msg.p + hit.ttl_at[0]), 60);
	assert_true(get(c, "b.example", &hit));
	assert_int_equal(hit.ttl, 600);
	assert_true(get(c, "c.example", &hit));
	assert_int_equal(hit.ttl, 100);
	/* A new limit is for what comes. */
	cfg.ttl_max = 30;
	mf_dns_cache_configure(c, &cfg);
	assert_true(get(c, "b.example", &hit));
	assert_int_equal(hit.ttl, 600);
	put_a(c, "b.example", 100000);
	assert_true(get(c, "b.example", &hit));
	assert_int_equal(hit.ttl, 30);
	mf_dns_cache_free(c);
}

/* RFC 1035 3.2.1: a TTL of 0 is for this one use. What was there before is no longer true. */
static void test_zero(void **state)
{
	struct mf_dns_cache *c = new_cache();

	(void)state;
	assert_false(put_a(c, "a.example", 0));
	assert_false(has(c, "a.example"));
	assert_true(put_a(c, "a.example", 10));
	assert_false(put_a(c, "a.example", 0));
	assert_false(has(c, "a.example"));
	mf_dns_cache_free(c);
}

/* ---- negative ---- */

/* RFC 2308 5: for the least of the SOA's TTL and its minimum. */
static void test_negative_ttl(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	tell_negative("a.example", MF_DNS_NXDOMAIN, 1200, 900);
	assert_true(put(c, "a.example", MF_DNS_A));
	tell_negative("b.example", MF_DNS_NOERROR, 600, 900);
	assert_true(put(c, "b.example", MF_DNS_A));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NXDOMAIN);
	assert_int_equal(hit.ttl, 900);
	assert_int_equal(mf_load_be32(hit.msg.p + hit.ttl_at[0]), 900);
	assert_true(get(c, "b.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	assert_int_equal(hit.ttl, 600);
	/* 7.1, 5: a limit of its own; hours are sensible, a day is too long. */
	tell_negative("c.example", MF_DNS_NXDOMAIN, 86400, 86400);
	assert_true(put(c, "c.example", MF_DNS_A));
	assert_true(get(c, "c.example", &hit));
	assert_int_equal(hit.ttl, 3600);
	mf_dns_cache_free(c);
}

/* RFC 2308 5: without a SOA it is not kept, whatever there is. */
static void test_negative_without_soa(void **state)
{
	struct mf_dns_cache *c = new_cache();

	(void)state;
	assert_true(put_a(c, "a.example", 300));
	maker_begin(&m, 1, MF_DNS_QR | MF_DNS_NXDOMAIN);
	maker_question(&m, "a.example", MF_DNS_A);
	assert_false(put(c, "a.example", MF_DNS_A));
	assert_true(has(c, "a.example"));
	assert_false(put(c, "b.example", MF_DNS_A));
	mf_dns_cache_free(c);
}

/* An answer of either kind takes the other's place. */
static void test_positive_and_negative(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	put_a(c, "a.example", 300);
	tell_negative("a.example", MF_DNS_NXDOMAIN, 100, 100);
	assert_true(put(c, "a.example", MF_DNS_A));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NXDOMAIN);
	assert_true(put_a(c, "a.example", 300));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	assert_int_equal(mf_dns_cache_counters(c)->entries, 1);
	mf_dns_cache_free(c);
}

/* ---- stale ---- */

/* RFC 8767 4: beyond its end, but not for ever. */
static void test_stale_window(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	put_a(c, "a.example", 300);
	pass(300);
	assert_true(get(c, "a.example", &hit));
	assert_true(hit.stale);
	assert_int_equal(hit.age, 300);
	pass(86399);
	assert_true(get(c, "a.example", &hit));
	assert_true(hit.stale);
	pass(1);
	assert_false(get(c, "a.example", &hit));
	assert_int_equal(mf_dns_cache_counters(c)->stale_hits, 2);
	assert_int_equal(mf_dns_cache_counters(c)->expired, 1);
	assert_int_equal(mf_dns_cache_counters(c)->entries, 0);
	mf_dns_cache_free(c);
}

static void test_no_stale(void **state)
{
	struct mf_dns_cache_config cfg = config();
	struct mf_dns_cache *c;

	(void)state;
	cfg.stale = 0;
	c = cache_with(&cfg);
	put_a(c, "a.example", 300);
	pass(300);
	assert_false(has(c, "a.example"));
	/* Allowed afterwards, it is so for what is still there. */
	put_a(c, "a.example", 300);
	pass(300);
	cfg.stale = 10;
	mf_dns_cache_configure(c, &cfg);
	assert_true(has(c, "a.example"));
	mf_dns_cache_free(c);
}

/* RFC 8767 5: while a stale answer is served, no more than one attempt to replace it in 30 s. */
static void test_stale_recheck(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	put_a(c, "a.example", 300);
	pass(300);
	assert_true(get(c, "a.example", &hit) && hit.stale && hit.refresh);
	pass(29);
	assert_true(get(c, "a.example", &hit) && hit.stale && !hit.refresh);
	pass(1);
	assert_true(get(c, "a.example", &hit) && hit.stale && hit.refresh);
	/* An attempt that failed: quiet for as long as that counts. */
	assert_false(put_failure(c, "a.example", 60));
	pass(59);
	assert_true(get(c, "a.example", &hit) && hit.stale && !hit.refresh);
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	pass(1);
	assert_true(get(c, "a.example", &hit) && hit.stale && hit.refresh);
	/* One that did not. */
	assert_true(put_a(c, "a.example", 300));
	assert_true(get(c, "a.example", &hit) && !hit.stale && !hit.refresh);
	mf_dns_cache_free(c);
}

/* ---- failures ---- */

static void test_failure(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	assert_false(put_failure(c, "a.example", 0));
	assert_false(has(c, "a.example"));
	assert_true(put_failure(c, "a.example", 5));
	pass(4);
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_SERVFAIL);
	assert_false(hit.refresh);
	/* Failures are not served stale. */
	pass(1);
	assert_false(has(c, "a.example"));
	/* RFC 9520 3.2: 5 minutes at most. */
	assert_true(put_failure(c, "a.example", 100000));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.ttl, 300);
	/* The next one takes its place, and so does an answer. */
	assert_true(put_failure(c, "a.example", 7));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.ttl, 7);
	assert_true(put_a(c, "a.example", 300));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	mf_dns_cache_free(c);
}

/* A failure takes the place of what can no longer be served, and of nothing else. */
static void test_failure_after_answer(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	put_a(c, "a.example", 300);
	assert_false(put_failure(c, "a.example", 30));
	assert_true(get(c, "a.example", &hit) && !hit.stale);
	assert_int_equal(hit.rcode, MF_DNS_NOERROR);
	pass(300 + 86400);
	assert_true(put_failure(c, "a.example", 30));
	assert_true(get(c, "a.example", &hit));
	assert_int_equal(hit.rcode, MF_DNS_SERVFAIL);
	mf_dns_cache_free(c);
}

/* ---- prefetch ---- */

static void test_prefetch(void **state)
{
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_hit hit;

	(void)state;
	put_a(c, "a.example", 300);
	put_a(c, "b.example", 300);
	pass(100);
	assert_true(get(c, "a.example", &hit) && !hit.refresh);
	now = START + 270 * MF_SEC - 1;
	assert_true(get(c, "a.example", &hit) && !hit.refresh);
	now++;
	assert_true(get(c, "a.example", &hit) && hit.refresh);
	assert_true(get(c, "a.example", &hit) && !hit.refresh); /* said once */
	/* Nobody has asked for this one before. */
	assert_true(get(c, "b.example", &hit) && !hit.refresh);
	assert_true(get(c, "b.example", &hit) && hit.refresh);
	/* What comes counts anew. */
	put_a(c, "a.example", 300);
	pass(270);
	assert_true(get(c, "a.example", &hit) && !hit.refresh);
	assert_true(get(c, "a.example", &hit) && hit.refresh);
	mf_dns_cache_free(c);
}

static void test_no_prefetch(void **state)
{
	struct mf_dns_cache_config cfg = config();
	struct mf_dns_cache *c;
	struct mf_dns_hit hit;

	(void)state;
	cfg.prefetch = false;
	c = cache_with(&cfg);
	put_a(c, "a.example", 300);
	pass(290);
	for (int i = 0; i < 3; i++)
		assert_true(get(c, "a.example", &hit) && !hit.refresh);
	mf_dns_cache_free(c);
}

/* ---- room ---- */

/* A tenth of the cache is asked for again and again; ten caches full of names asked for once pass
 * by. */
static void test_scan(void **state)
{
	struct mf_dns_cache *c = new_cache();
	unsigned popular = c->store.n_pieces / 20;

	(void)state;
	for (unsigned i = 0; i < popular; i++) {
		put_a(c, numbered("popular", i), 80000);
		assert_true(has(c, numbered("popular", i)));
	}
	for (unsigned i = 0; i < 10 * c->store.n_pieces; i++)
		assert_true(put_a(c, numbered("once", i), 80000));
	for (unsigned i = 0; i < popular; i++)
		assert_true(has(c, numbered("popular", i)));
	assert_true(mf_dns_cache_counters(c)->evicted > 8 * c->store.n_pieces / 2);
	assert_int_equal(mf_dns_cache_counters(c)->expired, 0);
	mf_dns_cache_free(c);
}

/* Of what was asked for alike, the oldest goes first; of what is over, what ended first, before all
 * others. */
static void test_order(void **state)
{
	struct mf_dns_cache *c = new_cache();
	unsigned n = 0;

	(void)state;
	put_a(c, "over.example", 20);
	put_a(c, "longer.over.example", 10);
	has(c, "longer.over.example"); /* which does not help it */
	pass(30);
	while (!mf_dns_cache_counters(c)->evicted) {
		now++;
		put_a(c, numbered("n", n++), 80000);
	}
	assert_false(has(c, "longer.over.example"));
	assert_true(mf_dns_store_first_to_end(&c->store)->ttl == 20);
	while (mf_dns_cache_counters(c)->evicted < 2)
		put_a(c, numbered("n", n++), 80000);
	assert_false(has(c, "over.example"));
	for (unsigned i = 0; i < 10; i++) {
		uint64_t evicted = mf_dns_cache_counters(c)->evicted;

		while (mf_dns_cache_counters(c)->evicted == evicted)
			put_a(c, numbered("n", n++), 80000);
		assert_false(has(c, numbered("n", i)));
	}
	assert_true(has(c, numbered("n", 10)));
	mf_dns_cache_free(c);
}

/* What is reserved is within the limit, whatever that is; and less than the least is refused. */
static void test_bytes(void **state)
{
	struct mf_dns_cache_config cfg = config();

	(void)state;
	cfg.bytes = (64 << 10) - 1;
	assert_null(mf_dns_cache_new(&cfg, hash_key));
	for (cfg.bytes = 64 << 10; cfg.bytes < 64 << 20; cfg.bytes += 1 + cfg.bytes / 7) {
		struct mf_dns_cache *c = cache_with(&cfg);
		const struct mf_dns_store *s = &c->store;
		uintptr_t end = (uintptr_t)(s->heap + s->n_pieces + 1);

		assert_true(end - (uintptr_t)s->mem + sizeof(*c) <= cfg.bytes);
		/* Nine tenths of it are pieces, where the largest message is not all that fits. */
		if (cfg.bytes > 2 << 20)
			assert_true((uint64_t)s->n_pieces * MF_DNS_PIECE > cfg.bytes / 10 * 9);
		mf_dns_cache_free(c);
	}
}

static void tell_text(const char *name, size_t n)
{
	maker_begin(&m, 1, MF_DNS_QR);
	maker_question(&m, name, MF_DNS_TXT);
	maker_rr(&m, MF_DNS_ANSWER, name, MF_DNS_TXT, 300);
	while (m.n < n)
		maker_u8(&m, (unsigned)m.n * 7);
	maker_end(&m);
}

/* From one byte more to one byte more, over several borders of pieces, up to the largest. */
static void test_sizes(void **state)
{
	struct mf_dns_cache *c = new_cache();
	size_t most = (256 << 10) / 16, n;
	struct mf_dns_hit hit;

	(void)state;
	for (n = 60; n <= most + 1; n += n < 800 || n > most - 200 ? 1 : 97) {
		tell_text("a.example", n);
		if (!put(c, "a.example", MF_DNS_TXT))
			break;
		assert_true(get_flags(c, "a.example", MF_DNS_TXT, 0, &hit));
		assert_int_equal(hit.msg.n, n);
		assert_memory_equal(hit.msg.p, m.b, n);
	}
	assert_in_range(n, most - 100, most);
	assert_int_equal(mf_dns_cache_counters(c)->too_big, 1);
	assert_int_equal(mf_dns_cache_counters(c)->entries, 0);
	assert_int_equal(mf_dns_cache_counters(c)->bytes, 0);
	mf_dns_cache_free(c);
}

/* ---- flush ---- */

static void test_flush(void **state)
{
	static const char *const names[] = { "example",    "a.example",   "b.a.example",
					     "aa.example", "a.b.example", "other" };
	struct mf_dns_cache *c = new_cache();
	struct mf_dns_name a = maker_wire("a.example"), root = maker_wire(".");

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++)
		assert_true(put_a(c, names[i], 300));
	tell_a("a.example", 300);
	assert_true(put_flags(c, "a.example", MF_DNS_A, MF_DNS_KEY_CD, 0));
	assert_int_equal(mf_dns_cache_flush_name(c, &a, false), 2); /* with all flags */
	assert_true(has(c, "b.a.example") && !has(c, "a.example"));
	put_a(c, "a.example", 300);
	assert_int_equal(mf_dns_cache_flush_name(c, &a, true), 2);
	assert_false(has(c, "b.a.example") || has(c, "a.example"));
	assert_true(has(c, "aa.example") && has(c, "a.b.example") && has(c, "example"));
	assert_int_equal(mf_dns_cache_flush_name(c, &a, true), 0);
	assert_int_equal(mf_dns_cache_flush_name(c, &root, true), 4);
	assert_true(put_a(c, "a.example", 300));
	assert_int_equal(mf_dns_cache_flush(c), 1);
	assert_int_equal(mf_dns_cache_flush(c), 0);
	assert_int_equal(mf_dns_cache_counters(c)->bytes, 0);
	mf_dns_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_flags_are_of_the_key),
		cmocka_unit_test(test_other_question),
		cmocka_unit_test(test_floor_and_ceiling),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_negative_ttl),
		cmocka_unit_test(test_negative_without_soa),
		cmocka_unit_test(test_positive_and_negative),
		cmocka_unit_test(test_stale_window),
		cmocka_unit_test(test_no_stale),
		cmocka_unit_test(test_stale_recheck),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_failure_after_answer),
		cmocka_unit_test(test_prefetch),
		cmocka_unit_test(test_no_prefetch),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_flush),
	};

	return cmocka_run_group_tests_name("dns/cache", tests, NULL, NULL);
}
