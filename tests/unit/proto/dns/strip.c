/* SPDX-License-Identifier: Apache-2.0
 *
 * What is left of an answer must say what the answer's list of records says without those that were
 * refused, however names were compressed: against each other, and against what is gone.
 */
#include "story.h"

static struct maker told, expected;
static struct story s, left;
static uint8_t out[MF_DNS_MESSAGE_MAX];

static bool no_ip6(void *ctx, const struct mf_addr *a)
{
	*(unsigned *)ctx += 1;
	return a->family != MF_AF_IP6;
}

static bool keep_all(void *ctx, const struct mf_addr *a)
{
	*(unsigned *)ctx += 1;
	(void)a;
	return true;
}

/* Odd last bytes stay. */
static bool keep_odd(void *ctx, const struct mf_addr *a)
{
	*(unsigned *)ctx += 1;
	return a->b[mf_addr_len(a) - 1] & 1;
}

static size_t strip(struct mf_span msg, size_t cap, bool (*keep)(void *, const struct mf_addr *),
		    unsigned *asked)
{
	uint8_t *to = malloc(cap);
	size_t n;

	assert_non_null(to);
	*asked = 0;
	n = mf_dns_strip(to, cap, msg, keep, asked);
	assert_true(n <= cap);
	memcpy(out, to, n);
	free(to);
	return n;
}

static bool maybe(void *ctx)
{
	return mf_prng_below(ctx, 4) != 0;
}

static void random_story(struct mf_prng *g, struct story *to)
{
	unsigned section = 0;

	to->n = mf_prng_below(g, STORY_RECORDS);
	for (size_t i = 0; i < to->n; i++) {
		/* Mostly what is about to be taken out. */
		enum story_kind kind = mf_prng_below(g, 2)
					       ? (enum story_kind)mf_prng_below(g, STORY_KINDS)
					       : STORY_AAAA;

		to->r[i] = story_random(g, kind);
		if (section < 2 && mf_prng_below(g, 20) == 0)
			section++;
		to->r[i].section = (enum mf_dns_section)section;
	}
}

static void without_ip6(const struct story *all, struct story *rest)
{
	rest->n = 0;
	for (size_t i = 0; i < all->n; i++) {
		if (all->r[i].kind == STORY_AAAA ||
		    (all->r[i].kind == STORY_HTTPS && all->r[i].mandatory))
			continue;
		rest->r[rest->n] = all->r[i];
		rest->r[rest->n++].n6 = 0;
	}
}

static void test_against_the_list(void **state)
{
	struct mf_prng g = unit_prng("strip");

	(void)state;
	told.compress = maybe;
	told.ctx = &g;
	for (int i = 0; i < 3000; i++) {
		const char *name = story_name(&g);
		unsigned asked;
		size_t n;

		random_story(&g, &s);
		without_ip6(&s, &left);
		story_tell(&s, &told, name, MF_DNS_HTTPS);
		story_tell(&left, &expected, name, MF_DNS_HTTPS);
		n = strip(maker_span(&told), MF_DNS_MESSAGE_MAX, no_ip6, &asked);
		assert_int_not_equal(n, 0);
		story_same(mf_span(out, n), maker_span(&expected), true);
		/* Nothing refused: not a byte is another. */
		n = strip(maker_span(&told), told.n, keep_all, &asked);
		assert_int_equal(n, told.n);
		assert_memory_equal(out, told.b, n);
	}
}

/* A name is written out where it is needed first, in its own letters; and further names find it
 * there. */
static void test_names_against_what_is_gone(void **state)
{
	static const struct story_record r[] = {
		{ STORY_AAAA, MF_DNS_ANSWER, "www.a.example", "", "", 60, { 1 }, 0, 0, false },
		{ STORY_A, MF_DNS_ANSWER, "www.a.example", "", "", 60, { 1 }, 0, 0, false },
		{ STORY_CNAME, MF_DNS_ANSWER, "x.y.www.a.example", "a.example", "", 60, { 0 }, 0, 0, false },
	};
	unsigned asked;
	size_t n;

	(void)state;
	s.n = 3;
	left.n = 2;
	memcpy(s.r, r, sizeof(r));
	memcpy(left.r, r + 1, 2 * sizeof(r[0]));
	told.compress = maker_always;
	story_tell(&s, &told, "other.test", MF_DNS_A);
	story_tell(&left, &expected, "other.test", MF_DNS_A);
	n = strip(maker_span(&told), MF_DNS_MESSAGE_MAX, no_ip6, &asked);
	assert_int_equal(asked, 2);
	story_same(mf_span(out, n), maker_span(&expected), true);
	assert_int_equal(out[3] & MF_DNS_AD, 0);
	assert_int_not_equal(told.b[3] & MF_DNS_AD, 0);
}

static void make_https(const char *const *ip4, size_t n)
{
	told.compress = NULL;
	maker_begin(&told, 1, MF_DNS_QR);
	maker_question(&told, "a", MF_DNS_HTTPS);
	maker_rr(&told, MF_DNS_ANSWER, "a", MF_DNS_HTTPS, 60);
	maker_bytes(&told, "\0\1\0\0\4", 5);
	maker_u16(&told, (unsigned)(4 * n));
	for (size_t i = 0; i < n; i++)
		maker_bytes(&told, maker_addr(ip4[i]).b, 4);
	maker_end(&told);
}

static void test_some_of_a_hint(void **state)
{
	static const char *const all[] = { "192.0.2.1", "192.0.2.2", "192.0.2.4", "192.0.2.5" },
				 *const odd[] = { "192.0.2.1", "192.0.2.5" };
	struct maker *want = &expected;
	unsigned asked;
	size_t n;

	(void)state;
	make_https(odd, 2);
	*want = told;
	make_https(all, 4);
	n = strip(maker_span(&told), told.n, keep_odd, &asked);
	assert_int_equal(asked, 4);
	assert_int_equal(n, want->n);
	assert_memory_equal(out, want->b, n);
}

static void test_refused(void **state)
{
	unsigned asked;

	(void)state;
	make_https((const char *const[]){ "192.0.2.1" }, 1);
	assert_int_equal(strip(maker_span(&told), told.n - 1, keep_all, &asked), 0); /* no room */
	for (size_t n = 0; n < told.n; n++)
		assert_int_equal(strip(mf_span(told.b, n), told.n, keep_all, &asked), 0);
	told.b[told.n - 5]++; /* the hint lies about its length */
	assert_int_equal(strip(maker_span(&told), told.n, keep_all, &asked), 0);
	maker_begin(&told, 1, MF_DNS_QR);
	maker_question(&told, "a", MF_DNS_A);
	maker_rr(&told, MF_DNS_ANSWER, "a", MF_DNS_A, 60);
	maker_bytes(&told, "abcde", 5);
	maker_end(&told);
	assert_int_equal(strip(maker_span(&told), told.n, keep_all, &asked), 0);
	maker_begin(&told, 1, MF_DNS_QR);
	maker_question(&told, "a", MF_DNS_MX);
	maker_rr(&told, MF_DNS_ANSWER, "a", MF_DNS_MX, 60);
	maker_bytes(&told, "\0\1\1b", 4); /* its name goes on behind it */
	maker_end(&told);
	maker_address(&told, MF_DNS_ANSWER, "", 60, "192.0.2.1");
	assert_int_equal(strip(maker_span(&told), told.n, keep_all, &asked), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_the_list),
		cmocka_unit_test(test_names_against_what_is_gone),
		cmocka_unit_test(test_some_of_a_hint),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
