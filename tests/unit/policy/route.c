/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/route.h"

#include "base/endian.h"
#include "failing_malloc.h"
#include "unit.h"

static struct mf_prefix prefix(const char *text)
{
	struct mf_prefix p;

	assert_int_equal(mf_prefix_parse(&p, text), MF_OK);
	return p;
}

static mf_err add(struct mf_route_table *t, const char *text, uint32_t hop, const char *file,
		  uint32_t line, uint32_t rule)
{
	struct mf_prefix p = prefix(text);
	struct mf_route_origin o = { file, line, rule };

	return mf_route_table_add(t, &p, hop, &o);
}

/* What the table says of an address, in words. */
static const char *explain(const struct mf_route_table *t, const char *addr)
{
	static char text[200];
	char where[MF_PREFIX_STRLEN];
	struct mf_route_origin o;
	struct mf_prefix p;
	struct mf_addr a;
	uint32_t hop;

	assert_int_equal(mf_addr_parse(&a, addr), MF_OK);
	hop = mf_route_table_explain(t, &a, &p, &o);
	assert_int_equal(hop, mf_route_table_lookup(t, &a));
	if (hop == MF_LPM_NONE) {
		assert_int_equal(p.addr.family, MF_AF_NONE);
		assert_null(o.file);
		assert_int_equal(o.rule, UINT32_MAX);
		return "none";
	}
	snprintf(text, sizeof(text), "%s to %u, %s:%u rule %d", mf_prefix_format(&p, where), hop,
		 o.file ? o.file : "-", o.line, (int)o.rule);
	return text;
}

static void test_explain(void **state)
{
	struct mf_route_table *t = mf_route_table_new(NULL);

	(void)state;
	assert_string_equal(explain(t, "10.0.0.1"), "none");
	assert_int_equal(add(t, "0.0.0.0/0", 1, "home.yaml", 40, 3), MF_OK);
	assert_int_equal(add(t, "10.20.0.0/16", 2, "home.yaml", 12, 0), MF_OK);
	assert_int_equal(add(t, "10.20.30.99/24", 3, "office.txt", 7, 1), MF_OK);
	assert_int_equal(add(t, "8.8.8.8", 3, "office.txt", 8, 1), MF_OK);
	assert_int_equal(add(t, "2001:db8::/32", 4, NULL, 0, UINT32_MAX), MF_OK);
	assert_string_equal(explain(t, "8.8.8.8"), "none"); /* not in force yet */
	assert_int_equal(mf_route_table_commit(t, NULL, NULL), MF_OK);
	assert_string_equal(explain(t, "8.8.8.8"), "8.8.8.8/32 to 3, office.txt:8 rule 1");
	assert_string_equal(explain(t, "8.8.8.9"), "0.0.0.0/0 to 1, home.yaml:40 rule 3");
	assert_string_equal(explain(t, "10.20.30.40"), "10.20.30.0/24 to 3, office.txt:7 rule 1");
	assert_string_equal(explain(t, "10.20.31.1"), "10.20.0.0/16 to 2, home.yaml:12 rule 0");
	assert_string_equal(explain(t, "2001:db8::1"), "2001:db8::/32 to 4, -:0 rule -1");
	assert_string_equal(explain(t, "2001:db9::1"), "none");
	assert_int_equal(mf_route_table_count(t), 5);

	/* and later additions */
	assert_int_equal(add(t, "2000::/3", 5, "more.yaml", 1, 9), MF_OK);
	assert_int_equal(mf_route_table_commit(t, NULL, NULL), MF_OK);
	assert_string_equal(explain(t, "2001:db9::1"), "2000::/3 to 5, more.yaml:1 rule 9");
	assert_string_equal(explain(t, "8.8.8.8"), "8.8.8.8/32 to 3, office.txt:8 rule 1");
	assert_int_equal(mf_route_table_count(t), 6);
	mf_route_table_free(t);
	mf_route_table_free(NULL);
}

static void test_twice(void **state)
{
	struct mf_route_table *t = mf_route_table_new(NULL);
	struct mf_route_origin a, b;

	(void)state;
	assert_int_equal(add(t, "10.0.0.0/8", 7, "z.yaml", 30, 2), MF_OK);
	assert_int_equal(add(t, "10.1.2.3/8", 7, "a.yaml", 20, 1), MF_OK);
	assert_int_equal(add(t, "10.0.0.0/9", 8, "a.yaml", 21, 1), MF_OK); /* same address only */
	assert_int_equal(mf_route_table_commit(t, &a, &b), MF_OK);
	assert_int_equal(mf_route_table_count(t), 2);
	/* the first that was added */
	assert_string_equal(explain(t, "10.200.0.1"), "10.0.0.0/8 to 7, z.yaml:30 rule 2");

	assert_int_equal(add(t, "::/0", 1, "a.yaml", 5, 0), MF_OK);
	assert_int_equal(add(t, "10.0.0.0/8", 9, "b.yaml", 4, 3), MF_OK);
	assert_int_equal(mf_route_table_commit(t, &a, &b), MF_E_CONFLICT);
	assert_string_equal(a.file, "z.yaml");
	assert_int_equal(a.line, 30);
	assert_int_equal(a.rule, 2);
	assert_string_equal(b.file, "b.yaml");
	assert_int_equal(b.line, 4);
	assert_int_equal(b.rule, 3);
	assert_int_equal(mf_route_table_commit(t, NULL, NULL), MF_E_CONFLICT);
	/* what was in force still is, and nothing else */
	assert_int_equal(mf_lpm_count(mf_route_table_ip4(t)), 2);
	assert_int_equal(mf_lpm_count(mf_route_table_ip6(t)), 0);
	mf_route_table_free(t);
}

static void test_conflict_within_one_rule(void **state)
{
	struct mf_route_table *t = mf_route_table_new(NULL);
	struct mf_route_origin a, b;

	(void)state;
	assert_int_equal(add(t, "fd00::/8", 2, "p.yaml", 9, 4), MF_OK);
	assert_int_equal(add(t, "fd00::/8", 1, "p.yaml", 3, 0), MF_OK);
	assert_int_equal(mf_route_table_commit(t, &a, &b), MF_E_CONFLICT);
	assert_int_equal(a.line, 9);
	assert_int_equal(b.line, 3);
	mf_route_table_free(t);
}

/* --- Many routes against a list --- */

enum { MANY = 4000 };

struct written {
	struct mf_prefix p;
	uint32_t hop;
	struct mf_route_origin o;
	bool walked;
};

static struct written written[MANY];
static size_t n_written;

static struct written *exactly(const struct mf_prefix *p)
{
	for (size_t i = 0; i < n_written; i++)
		if (mf_prefix_equal(&written[i].p, p))
			return &written[i];
	return NULL;
}

static struct mf_prefix random_prefix(struct mf_prng *g)
{
	struct mf_prefix p = { 0 };
	uint8_t b[16];

	for (unsigned i = 0; i < 16; i++)
		b[i] = (uint8_t)(mf_prng_u64(g) & (mf_prng_below(g, 2) ? 0xff : 0x81));
	p.addr = mf_prng_below(g, 2) ? mf_addr_ip4(b) : mf_addr_ip6(b);
	p.len = (uint8_t)mf_prng_below(g, mf_addr_bits(&p.addr) + 1);
	return mf_prefix_mask(p);
}

static void check_one(const struct mf_route_table *t, const struct mf_addr *a)
{
	const struct written *best = NULL;
	struct mf_route_origin o;
	struct mf_prefix p;

	for (size_t i = 0; i < n_written; i++)
		if (mf_prefix_contains(&written[i].p, a) && (!best || written[i].p.len > best->p.len))
			best = &written[i];
	assert_int_equal(mf_route_table_lookup(t, a), best ? best->hop : MF_LPM_NONE);
	assert_int_equal(mf_route_table_explain(t, a, &p, &o), best ? best->hop : MF_LPM_NONE);
	if (!best)
		return;
	assert_true(mf_prefix_equal(&p, &best->p));
	assert_string_equal(o.file, best->o.file);
	assert_int_equal(o.line, best->o.line);
	assert_int_equal(o.rule, best->o.rule);
}

static struct mf_prefix last_walked;

static bool walked(void *ctx, const struct mf_prefix *p, uint32_t hop,
		   const struct mf_route_origin *o)
{
	struct written *w = exactly(p);
	size_t *left = ctx;

	assert_non_null(w);
	assert_false(w->walked);
	w->walked = true;
	assert_int_equal(hop, w->hop);
	assert_string_equal(o->file, w->o.file);
	assert_int_equal(o->line, w->o.line);
	if (last_walked.addr.family == p->addr.family) {
		int d = memcmp(last_walked.addr.b, p->addr.b, 16);

		assert_true(d < 0 || (d == 0 && last_walked.len < p->len));
	} else {
		assert_true(last_walked.addr.family < p->addr.family);
	}
	last_walked = *p;
	return --*left > 0;
}

static void test_many(void **state)
{
	static const char *const file[] = { "a", "b", "c", "d" };
	struct mf_prng g = unit_prng("route many");
	struct mf_route_table *t = mf_route_table_new(NULL);
	struct mf_route_origin o = { 0 };
	size_t left;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		struct mf_prefix p = random_prefix(&g);
		struct written *w = exactly(&p);

		if (i % 50 == 0)
			o = (struct mf_route_origin){ file[mf_prng_below(&g, 4)], 0, i };
		o.line++;
		if (!w) {
			w = &written[n_written++];
			*w = (struct written){ p, 1 + (uint32_t)mf_prng_below(&g, 9), o, false };
		}
		assert_int_equal(mf_route_table_add(t, &p, w->hop, &o), MF_OK);
		if (i == MANY / 2)
			assert_int_equal(mf_route_table_commit(t, NULL, NULL), MF_OK);
	}
	assert_int_equal(mf_route_table_commit(t, NULL, NULL), MF_OK);
	assert_int_equal(mf_route_table_count(t), n_written);
	for (unsigned i = 0; i < 2000; i++) {
		struct mf_addr a = i % 2 ? random_prefix(&g).addr
					 : written[mf_prng_below(&g, n_written)].p.addr;

		check_one(t, &a);
	}
	last_walked = (struct mf_prefix){ 0 };
	left = n_written + 1;
	mf_route_table_walk(t, walked, &left);
	assert_int_equal(left, 1);
	for (size_t i = 0; i < n_written; i++)
		written[i].walked = false;
	last_walked = (struct mf_prefix){ 0 };
	left = 3; /* ends early */
	mf_route_table_walk(t, walked, &left);
	assert_int_equal(left, 0);
	/* 12 or 24 bytes each, and what the prefix tables take (an IPv6 node is some 50) */
	assert_true(mf_route_table_bytes(t) - mf_lpm_bytes(mf_route_table_ip4(t)) -
			    mf_lpm_bytes(mf_route_table_ip6(t)) <
		    n_written * 48);
	mf_route_table_free(t);
}

static mf_err build(struct mf_route_table **out)
{
	struct mf_route_table *t = mf_route_table_new(NULL);
	mf_err err = t ? MF_OK : MF_E_NO_MEMORY;

	for (uint32_t i = 0; i < 40 && !err; i++) {
		char text[MF_PREFIX_STRLEN], file[8];

		snprintf(text, sizeof(text), i % 2 ? "10.%u.0.0/%u" : "fd%02u::/%u", i, 16 + i % 8);
		snprintf(file, sizeof(file), "%u", i / 3);
		err = add(t, text, i + 1, file, i, i / 5);
	}
	if (!err)
		err = mf_route_table_commit(t, NULL, NULL);
	*out = t;
	return err;
}

static void test_no_memory(void **state)
{
	struct mf_route_table *t;
	unsigned failed = 0;
	mf_err err;

	(void)state;
	for (long k = 1;; k++) {
		calls_left = k;
		err = build(&t);
		calls_left = -1;
		if (!err)
			break;
		assert_int_equal(err, MF_E_NO_MEMORY);
		failed++;
		/* what could not be committed can be later */
		if (t && mf_route_table_count(t) == 40) {
			assert_int_equal(mf_route_table_commit(t, NULL, NULL), MF_OK);
			assert_string_equal(explain(t, "10.39.0.1"),
					    "10.39.0.0/23 to 40, 13:39 rule 7");
		}
		mf_route_table_free(t);
	}
	assert_true(failed > 20);
	assert_int_equal(mf_route_table_count(t), 40);
	mf_route_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_conflict_within_one_rule),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
