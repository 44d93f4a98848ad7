/* SPDX-License-Identifier: Apache-2.0 */
#include "story.h"

static struct maker told, expected, query;
static struct mf_dns_kept kept;
static uint8_t *buf; /* as long as the answer, to the byte */
static struct story s, left;
static uint8_t out[MF_DNS_MESSAGE_MAX];

static mf_err keep(uint32_t floor, uint32_t ceiling)
{
	free(buf);
	buf = malloc(told.n ? told.n : 1);
	assert_non_null(buf);
	return mf_dns_keep(&kept, buf, maker_span(&told), floor, ceiling);
}

static struct mf_span kept_span(void)
{
	return mf_span(kept.msg, kept.n);
}

static bool maybe(void *ctx)
{
	return mf_prng_below(ctx, 4) != 0;
}

/* OPT at a random place of the additional section, TSIG at its end. */
static void random_story(struct mf_prng *g, struct story *to)
{
	unsigned section = 0;
	bool opt = false;

	to->n = mf_prng_below(g, STORY_RECORDS);
	for (size_t i = 0; i < to->n; i++) {
		enum story_kind kind = (enum story_kind)mf_prng_below(g, STORY_KINDS);

		if (section < 2 && mf_prng_below(g, 10) == 0)
			section++;
		if (section == 2 && !opt && mf_prng_below(g, 10) == 0) {
			kind = STORY_OPT;
			opt = true;
		} else if (section == 2 && i + 1 == to->n) {
			kind = STORY_TSIG;
		}
		to->r[i] = story_random(g, kind);
		to->r[i].section = (enum mf_dns_section)section;
	}
}

static void without_hops(const struct story *all, struct story *rest)
{
	rest->n = 0;
	for (size_t i = 0; i < all->n; i++)
		if (all->r[i].kind < STORY_KINDS)
			rest->r[rest->n++] = all->r[i];
}

/* A kept message says what the answer said, but for OPT and the like; and its TTLs are where it
 * says they are. */
static void test_against_the_list(void **state)
{
	struct mf_prng g = unit_prng("keep");

	(void)state;
	told.compress = maybe;
	told.ctx = &g;
	for (int i = 0; i < 3000; i++) {
		const char *name = story_name(&g);
		struct mf_dns_walk w;
		struct mf_dns_rr rr;
		size_t n = 0;

		random_story(&g, &s);
		without_hops(&s, &left);
		story_tell(&s, &told, name, MF_DNS_A);
		story_tell(&left, &expected, name, MF_DNS_A);
		assert_int_equal(keep(0, UINT32_MAX), MF_OK);
		story_same(kept_span(), maker_span(&expected), true);
		assert_int_equal(mf_dns_walk_begin(&w, kept_span()), MF_OK);
		for (; mf_dns_walk_next(&w, &rr); n++)
			assert_int_equal(kept.ttl_at[n], rr.ttl_at);
		assert_int_equal(kept.n_ttls, n);
	}
}

static void make_answer(void)
{
	told.compress = maker_always;
	maker_begin(&told, 1, MF_DNS_QR | MF_DNS_AA | MF_DNS_AD | MF_DNS_RD | MF_DNS_NXDOMAIN);
	maker_question(&told, "WWW.Example.com", MF_DNS_A);
	maker_alias(&told, MF_DNS_ANSWER, "WWW.Example.com", MF_DNS_CNAME, 300, "Other.Example.com");
	maker_soa(&told, "Example.com", 3600, 900);
	maker_opt(&told, 1232, 0, 0);
}

static void expect_ttls(struct mf_span msg, const uint32_t *ttl, size_t n)
{
	struct mf_dns_walk w;
	struct mf_dns_rr rr;

	assert_int_equal(mf_dns_walk_begin(&w, msg), MF_OK);
	for (size_t i = 0; i < n; i++) {
		assert_true(mf_dns_walk_next(&w, &rr));
		assert_int_equal(rr.ttl, ttl[i]);
	}
}

#define EXPECT_TTLS(msg, ...)                               \
	expect_ttls(msg, (const uint32_t[]){ __VA_ARGS__ }, \
		    sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static void test_ttls(void **state)
{
	struct mf_dns_walk w;
	struct mf_dns_rr rr;

	(void)state;
	make_answer();
	assert_int_equal(keep(0, UINT32_MAX), MF_OK);
	EXPECT_TTLS(kept_span(), 300, 900); /* the SOA's is its MINIMUM now */
	assert_int_equal(keep(600, UINT32_MAX), MF_OK);
	EXPECT_TTLS(kept_span(), 600, 900);
	assert_int_equal(keep(0, 100), MF_OK);
	EXPECT_TTLS(kept_span(), 100, 100);
	assert_int_equal(keep(5, 500), MF_OK);
	EXPECT_TTLS(kept_span(), 300, 500);
	/* RFC 2181 8 */
	assert_int_equal(mf_dns_walk_begin(&w, maker_span(&told)), MF_OK);
	while (mf_dns_walk_next(&w, &rr))
		if (rr.type != MF_DNS_OPT)
			mf_store_be32(told.b + rr.ttl_at, 0x80000001);
	assert_int_equal(keep(0, UINT32_MAX), MF_OK);
	EXPECT_TTLS(kept_span(), 0, 0);
}

static void test_what_is_not_kept(void **state)
{
	(void)state;
	make_answer();
	for (size_t n = told.n; n--;) {
		told.n = n;
		assert_int_not_equal(keep(0, 1), MF_OK);
	}
	make_answer();
	maker_opt(&told, 1232, 0, 0);
	assert_int_equal(keep(0, 1), MF_E_MALFORMED); /* two OPT */
	maker_begin(&told, 1, MF_DNS_QR);
	maker_question(&told, "a", MF_DNS_A);
	maker_opt(&told, 1232, MF_DNS_BADVERS, 0);
	assert_int_equal(keep(0, 1), MF_E_UNSUPPORTED);
	maker_begin(&told, 1, MF_DNS_QR | MF_DNS_FORMERR);
	assert_int_equal(keep(0, 1), MF_E_MALFORMED); /* no question */
}

static void test_more_ttls_than_fit(void **state)
{
	(void)state;
	told.compress = maker_always;
	maker_begin(&told, 1, MF_DNS_QR);
	maker_question(&told, "a", MF_DNS_A);
	for (int i = 0; i < MF_DNS_KEPT_TTLS; i++)
		maker_address(&told, MF_DNS_ANSWER, "a", 60, "192.0.2.1");
	assert_int_equal(keep(0, 10), MF_OK);
	assert_int_equal(kept.n_ttls, MF_DNS_KEPT_TTLS);
	maker_address(&told, MF_DNS_ANSWER, "a", 60, "192.0.2.1");
	expected = told;
	maker_opt(&told, 1232, 0, 0);
	assert_int_equal(keep(0, 10), MF_E_RANGE);
	story_same(kept_span(), maker_span(&expected), false);
}

/* ---- Replies --------------------------------------------------------------------------------- */

static struct mf_dns_query q;

/* A question in other letters, with OPT of this size if it is not 0. */
static void ask(unsigned flags, unsigned size, unsigned opt_flags)
{
	query.compress = NULL;
	maker_begin(&query, 0xbeef, flags);
	maker_question(&query, "wWw.eXample.cOm", MF_DNS_A);
	if (size)
		maker_opt(&query, size, 0, opt_flags);
	assert_int_equal(mf_dns_query_read(maker_span(&query), &q), MF_OK);
}

static size_t reply(size_t cap, uint32_t age, uint32_t fixed, int ede)
{
	uint8_t *to = malloc(cap);
	size_t n;

	assert_non_null(to);
	n = mf_dns_reply_kept(to, cap, maker_span(&query), &q, kept_span(), kept.ttl_at,
			      kept.n_ttls, age, fixed, ede);
	assert_true(n <= cap);
	memcpy(out, to, n);
	free(to);
	assert_int_equal(mf_load_be16(out), 0xbeef);
	assert_memory_equal(out + 12, query.b + 12, q.question_end - 12u);
	return n;
}

static unsigned flags_for(unsigned flags, bool dnssec_ok)
{
	ask(flags, dnssec_ok ? 1232 : 0, dnssec_ok ? 0x8000 : 0);
	reply(512, 0, 0, MF_DNS_EDE_NONE);
	return mf_load_be16(out + 2);
}

static void test_reply_flags(void **state)
{
	const unsigned always = MF_DNS_QR | MF_DNS_RA | MF_DNS_NXDOMAIN;

	(void)state;
	make_answer();
	assert_int_equal(keep(0, UINT32_MAX), MF_OK);
	assert_int_equal(flags_for(0, false), always);
	assert_int_equal(flags_for(MF_DNS_RD, false), always | MF_DNS_RD);
	assert_int_equal(flags_for(MF_DNS_CD, false), always | MF_DNS_CD);
	assert_int_equal(flags_for(MF_DNS_AD, false), always | MF_DNS_AD);
	assert_int_equal(flags_for(0, true), always | MF_DNS_AD);
	assert_int_equal(flags_for(MF_DNS_AA | MF_DNS_TC | MF_DNS_RA | 0x0040, false), always);
}

static void test_reply_ages(void **state)
{
	(void)state;
	make_answer();
	assert_int_equal(keep(0, UINT32_MAX), MF_OK);
	ask(0, 0, 0);
	EXPECT_TTLS(mf_span(out, reply(512, 0, 0, MF_DNS_EDE_NONE)), 300, 900);
	EXPECT_TTLS(mf_span(out, reply(512, 100, 0, MF_DNS_EDE_NONE)), 200, 800);
	EXPECT_TTLS(mf_span(out, reply(512, 299, 0, MF_DNS_EDE_NONE)), 1, 601);
	EXPECT_TTLS(mf_span(out, reply(512, 300, 0, MF_DNS_EDE_NONE)), 1, 600);
	EXPECT_TTLS(mf_span(out, reply(512, UINT32_MAX, 0, MF_DNS_EDE_NONE)), 1, 1);
	EXPECT_TTLS(mf_span(out, reply(512, 1000, 30, MF_DNS_EDE_NONE)), 30, 30);
	assert_int_equal(keep(0, 0), MF_OK);
	EXPECT_TTLS(mf_span(out, reply(512, 5, 0, MF_DNS_EDE_NONE)), 0, 0);
}

/* RFC 6891 6.1.1: OPT to those who sent one, and to no others. */
static void test_reply_opt(void **state)
{
	static const uint8_t plain[] = { 0, 0, 41, 1232 >> 8, 1232 & 255, 0, 0, 0, 0, 0, 0 },
			     with_do_and_error[] = { 0, 0, 41, 1232 >> 8, 1232 & 255, 0, 0, 0x80, 0,
						     0, 6, 0,  15,        0,          2, 0, 3 };
	size_t n;

	(void)state;
	make_answer();
	assert_int_equal(keep(0, UINT32_MAX), MF_OK);
	ask(0, 0, 0);
	n = reply(512, 0, 0, MF_DNS_EDE_STALE);
	assert_int_equal(n, kept.n);
	assert_int_equal(mf_load_be16(out + 10), 0);
	ask(0, 4096, 0);
	n = reply(512, 0, 0, MF_DNS_EDE_NONE);
	assert_int_equal(n, kept.n + sizeof(plain));
	assert_memory_equal(out + kept.n, plain, sizeof(plain));
	assert_int_equal(mf_load_be16(out + 10), 1);
	ask(0, 4096, 0x8000);
	n = reply(512, 0, 0, MF_DNS_EDE_STALE);
	assert_int_equal(n, kept.n + sizeof(with_do_and_error));
	assert_memory_equal(out + kept.n, with_do_and_error, sizeof(with_do_and_error));
}

static void test_reply_that_does_not_fit(void **state)
{
	size_t whole;

	(void)state;
	told.compress = maker_always;
	maker_begin(&told, 1, MF_DNS_QR | MF_DNS_AD);
	maker_question(&told, "www.example.com", MF_DNS_A);
	for (int i = 0; i < 60; i++)
		maker_address(&told, MF_DNS_ANSWER, "www.example.com", 60, "192.0.2.1");
	assert_int_equal(keep(0, UINT32_MAX), MF_OK);
	ask(MF_DNS_RD, 1232, 0x8000);
	whole = kept.n + 11u;
	assert_int_equal(reply(whole, 0, 0, MF_DNS_EDE_NONE), whole);
	assert_int_equal(out[2] & MF_DNS_TC >> 8, 0);
	assert_int_equal(reply(whole - 1, 0, 0, MF_DNS_EDE_NONE), q.question_end + 11u);
	assert_int_equal(mf_load_be16(out + 2),
			 MF_DNS_QR | MF_DNS_TC | MF_DNS_RD | MF_DNS_RA | MF_DNS_AD);
	assert_int_equal(mf_load_be16(out + 4), 1);
	assert_int_equal(mf_load_be32(out + 6), 0);
	assert_int_equal(mf_load_be16(out + 10), 1);
}

/* What was kept of another question, or has none, gives its rcode and nothing else. */
static void test_reply_to_another_question(void **state)
{
	(void)state;
	make_answer();
	assert_int_equal(keep(0, UINT32_MAX), MF_OK);
	query.compress = NULL;
	maker_begin(&query, 0xbeef, 0);
	maker_question(&query,
		       "a.very.much.longer.name.than.the.whole.of.what.is.kept.of.the.answer."
		       "so.that.it.would.stand.behind.its.end.xxxxxxxxxxxxxxxxxxxxxxxx",
		       MF_DNS_A);
	assert_int_equal(mf_dns_query_read(maker_span(&query), &q), MF_OK);
	assert_int_equal(reply(512, 0, 0, MF_DNS_EDE_NONE), query.n);
	assert_int_equal(mf_load_be16(out + 2), MF_DNS_QR | MF_DNS_RA | MF_DNS_NXDOMAIN);
	ask(0, 0, 0);
	maker_begin(&told, 1, MF_DNS_QR | MF_DNS_NOTIMP);
	kept = (struct mf_dns_kept){ .msg = told.b, .n = (uint16_t)told.n };
	assert_int_equal(reply(512, 0, 0, MF_DNS_EDE_NONE), query.n);
	assert_int_equal(mf_load_be16(out + 2), MF_DNS_QR | MF_DNS_RA | MF_DNS_NOTIMP);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_the_list),
		cmocka_unit_test(test_ttls),
		cmocka_unit_test(test_what_is_not_kept),
		cmocka_unit_test(test_more_ttls_than_fit),
		cmocka_unit_test(test_reply_flags),
		cmocka_unit_test(test_reply_ages),
		cmocka_unit_test(test_reply_opt),
		cmocka_unit_test(test_reply_that_does_not_fit),
		cmocka_unit_test(test_reply_to_another_question),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(buf);
	return failed;
}
