/* SPDX-License-Identifier: Apache-2.0 */
#include "maker.h"

static struct maker m;
static struct mf_dns_facts f;

static void begin(unsigned rcode, const char *name, unsigned type)
{
	m.compress = maker_always;
	maker_begin(&m, 1, MF_DNS_QR | MF_DNS_RA | rcode);
	maker_question(&m, name, type);
}

static void read_facts(void)
{
	assert_int_equal(mf_dns_facts_read(maker_span(&m), &f), MF_OK);
	assert_int_equal(f.has_addrs, f.n_addrs != 0);
}

/* The addresses in their order, and no others. */
static void expect_addrs(const char *const *text, size_t n)
{
	assert_int_equal(f.n_addrs, n);
	for (size_t i = 0; i < n; i++) {
		struct mf_addr a = maker_addr(text[i]);

		assert_true(mf_addr_equal(&f.addr[i], &a));
	}
}

#define EXPECT_ADDRS(...)                                  \
	expect_addrs((const char *const[]){ __VA_ARGS__ }, \
		     sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

static void test_addresses(void **state)
{
	(void)state;
	begin(MF_DNS_NOERROR, "Example.com", MF_DNS_A);
	maker_address(&m, MF_DNS_ANSWER, "eXample.com", 300, "192.0.2.1");
	maker_address(&m, MF_DNS_ANSWER, "example.com", 200, "192.0.2.2");
	maker_address(&m, MF_DNS_ANSWER, "example.com", 250, "192.0.2.1");  /* again */
	maker_address(&m, MF_DNS_ANSWER, "other.com", 250, "198.51.100.1"); /* nobody asked */
	maker_address(&m, MF_DNS_ADDITIONAL, "example.com", 1, "198.51.100.2");
	maker_opt(&m, 1232, 0, 0);
	read_facts();
	EXPECT_ADDRS("192.0.2.1", "192.0.2.2");
	assert_int_equal(f.rcode, MF_DNS_NOERROR);
	assert_int_equal(f.ttl, 200);
	assert_int_equal(f.n_cnames, 0);
	assert_true(f.cacheable && !f.nodata && !f.truncated);
}

/* In whatever order the records are. */
static void test_chain(void **state)
{
	static const char *const chain[] = { "a.example", "b.example.net", "c.example.org",
					     "d.example" };

	(void)state;
	for (int order = 0; order < 24; order++) {
		int left[4] = { 0, 1, 2, 3 };

		begin(MF_DNS_NOERROR, chain[0], MF_DNS_AAAA);
		for (int n = 4, o = order; n; o /= n, n--) {
			int i = left[o % n];

			left[o % n] = left[n - 1];
			if (i < 3)
				maker_alias(&m, MF_DNS_ANSWER, chain[i], MF_DNS_CNAME, 100,
					    chain[i + 1]);
			else
				maker_address(&m, MF_DNS_ANSWER, chain[3], 30, "2001:db8::1");
		}
		read_facts();
		EXPECT_ADDRS("2001:db8::1");
		assert_int_equal(f.n_cnames, 3);
		assert_int_equal(f.ttl, 30);
		assert_true(f.cacheable);
	}
}

static void test_dname(void **state)
{
	(void)state;
	begin(MF_DNS_NOERROR, "www.old.example", MF_DNS_A);
	maker_alias(&m, MF_DNS_ANSWER, "old.example", MF_DNS_DNAME, 100, "new.example");
	maker_alias(&m, MF_DNS_ANSWER, "www.old.example", MF_DNS_CNAME, 100, "www.new.example");
	maker_address(&m, MF_DNS_ANSWER, "www.new.example", 100, "192.0.2.1");
	read_facts();
	EXPECT_ADDRS("192.0.2.1");
	assert_int_equal(f.n_cnames, 1);
}

static void make_chain(int n)
{
	char name[16], next[16];

	begin(MF_DNS_NOERROR, "n0", MF_DNS_A);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(next, sizeof(next), "n%d", i + 1);
		maker_alias(&m, MF_DNS_ANSWER, name, MF_DNS_CNAME, 1, next);
	}
}

static void test_loops(void **state)
{
	(void)state;
	begin(MF_DNS_NOERROR, "a", MF_DNS_A);
	maker_alias(&m, MF_DNS_ANSWER, "a", MF_DNS_CNAME, 1, "a");
	assert_int_equal(mf_dns_facts_read(maker_span(&m), &f), MF_E_MALFORMED);
	begin(MF_DNS_NOERROR, "a", MF_DNS_A);
	maker_alias(&m, MF_DNS_ANSWER, "b", MF_DNS_CNAME, 1, "a");
	maker_alias(&m, MF_DNS_ANSWER, "a", MF_DNS_CNAME, 1, "b");
	assert_int_equal(mf_dns_facts_read(maker_span(&m), &f), MF_E_MALFORMED);
	make_chain(16);
	read_facts();
	assert_int_equal(f.n_cnames, 16);
	make_chain(17);
	assert_int_equal(mf_dns_facts_read(maker_span(&m), &f), MF_E_MALFORMED);
	/* Who asks for the alias itself, or for anything, does not follow it. */
	begin(MF_DNS_NOERROR, "a", MF_DNS_CNAME);
	maker_alias(&m, MF_DNS_ANSWER, "a", MF_DNS_CNAME, 1, "a");
	read_facts();
	assert_true(f.cacheable && !f.nodata && !f.n_cnames);
}

/* RFC 2308 5: the smaller of the SOA's TTL and its MINIMUM; of an alias to a negative answer,
 * too. */
static void test_negative(void **state)
{
	static const struct {
		unsigned rcode;
		uint32_t soa, minimum, alias, ttl;
	} cases[] = {
		{ MF_DNS_NXDOMAIN, 3600, 300, 0, 300 }, { MF_DNS_NXDOMAIN, 200, 300, 0, 200 },
		{ MF_DNS_NOERROR, 3600, 900, 0, 900 },  { MF_DNS_NOERROR, 3600, 900, 20, 20 },
		{ MF_DNS_NXDOMAIN, 0, 900, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		begin(cases[i].rcode, "none.example", MF_DNS_A);
		if (cases[i].alias)
			maker_alias(&m, MF_DNS_ANSWER, "none.example", MF_DNS_CNAME, cases[i].alias,
				    "x.example");
		maker_soa(&m, "example", cases[i].soa, cases[i].minimum);
		read_facts();
		assert_int_equal(f.rcode, cases[i].rcode);
		assert_int_equal(f.nodata, cases[i].rcode == MF_DNS_NOERROR);
		assert_true(f.cacheable);
		assert_int_equal(f.ttl, cases[i].ttl);
		assert_int_equal(f.n_addrs, 0);
	}
}

static void test_not_cacheable(void **state)
{
	(void)state;
	begin(MF_DNS_NXDOMAIN, "a.example", MF_DNS_A); /* no SOA */
	read_facts();
	assert_true(!f.cacheable && !f.nodata && !f.ttl);
	begin(MF_DNS_NOERROR, "a.example", MF_DNS_A); /* a referral */
	maker_alias(&m, MF_DNS_AUTHORITY, "example", MF_DNS_NS, 60, "ns.example");
	read_facts();
	assert_true(!f.cacheable && f.nodata);
	begin(MF_DNS_SERVFAIL, "a.example", MF_DNS_A);
	maker_soa(&m, "example", 60, 60);
	read_facts();
	assert_true(!f.cacheable && !f.nodata);
	begin(MF_DNS_NOERROR | MF_DNS_TC, "a.example", MF_DNS_A);
	maker_address(&m, MF_DNS_ANSWER, "a.example", 1, "192.0.2.1");
	read_facts();
	assert_true(!f.cacheable && f.truncated);
	begin(MF_DNS_NOERROR, "a.example", MF_DNS_A); /* BADVERS: bits in OPT */
	maker_soa(&m, "example", 60, 60);
	maker_opt(&m, 1232, MF_DNS_BADVERS, 0);
	read_facts();
	assert_int_equal(f.rcode, MF_DNS_BADVERS);
	assert_true(!f.cacheable && !f.nodata);
	maker_begin(&m, 1, MF_DNS_QR | MF_DNS_FORMERR); /* no question */
	read_facts();
	assert_int_equal(f.rcode, MF_DNS_FORMERR);
	assert_false(f.cacheable);
}

/* RFC 2181 8 */
static void test_ttl_with_the_top_bit(void **state)
{
	(void)state;
	begin(MF_DNS_NOERROR, "a", MF_DNS_A);
	maker_address(&m, MF_DNS_ANSWER, "a", 0x80000000, "192.0.2.1");
	read_facts();
	assert_true(f.cacheable);
	assert_int_equal(f.ttl, 0);
}

/* ---- Services -------------------------------------------------------------------------------- */

static void service(const char *name, enum mf_dns_section section, unsigned priority,
		    const char *target)
{
	maker_rr(&m, section, name, MF_DNS_HTTPS, 60);
	maker_u16(&m, priority);
	maker_name(&m, target);
	maker_end(&m);
}

static void hints(unsigned key, size_t n, const char *const *text)
{
	size_t len = key == 4 ? 4 : 16;

	maker_u16(&m, key);
	maker_u16(&m, (unsigned)(n * len));
	for (size_t i = 0; i < n; i++)
		maker_bytes(&m, maker_addr(text[i]).b, len);
	maker_end(&m);
}

static void test_hints(void **state)
{
	(void)state;
	begin(MF_DNS_NOERROR, "a.example", MF_DNS_HTTPS);
	m.compress = NULL;
	service("a.example", MF_DNS_ANSWER, 1, "");
	maker_bytes(&m, "\0\1\0\3\2h3", 7); /* alpn */
	hints(4, 2, (const char *const[]){ "192.0.2.1", "192.0.2.2" });
	hints(6, 1, (const char *const[]){ "2001:db8::1" });
	service("other.example", MF_DNS_ANSWER, 1, "");
	hints(4, 1, (const char *const[]){ "198.51.100.1" });
	read_facts();
	EXPECT_ADDRS("192.0.2.1", "192.0.2.2", "2001:db8::1");
	assert_true(f.cacheable);
}

/* What a client may use without asking again: addresses and services of the target in the
 * additional section, and no others. */
static void test_targets(void **state)
{
	(void)state;
	begin(MF_DNS_NOERROR, "a.example", MF_DNS_HTTPS);
	m.compress = NULL;
	maker_alias(&m, MF_DNS_ANSWER, "a.example", MF_DNS_CNAME, 60, "b.example");
	service("b.example", MF_DNS_ANSWER, 0, "pool.example");
	maker_alias(&m, MF_DNS_AUTHORITY, "example", MF_DNS_NS, 60, "ns.example");
	maker_address(&m, MF_DNS_ADDITIONAL, "ns.example", 60, "198.51.100.1");
	service("pool.example", MF_DNS_ADDITIONAL, 1, "");
	hints(6, 1, (const char *const[]){ "2001:db8::1" });
	maker_address(&m, MF_DNS_ADDITIONAL, "pool.example", 60, "192.0.2.1");
	read_facts();
	EXPECT_ADDRS("2001:db8::1", "192.0.2.1");
	/* Targets in a ring end, too; and soon, however many there are. */
	begin(MF_DNS_NOERROR, "a.example", MF_DNS_HTTPS);
	for (int i = 0; i < 1000; i++)
		service("a.example", MF_DNS_ANSWER, 1, "a.example");
	maker_address(&m, MF_DNS_ADDITIONAL, "a.example", 60, "192.0.2.1");
	read_facts();
	EXPECT_ADDRS("192.0.2.1");
}

static void test_more_addresses_than_fit(void **state)
{
	char text[32];

	(void)state;
	begin(MF_DNS_NOERROR, "a", MF_DNS_A);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "192.0.2.%d", i);
		maker_address(&m, MF_DNS_ANSWER, "a", 60, text);
	}
	read_facts();
	assert_int_equal(f.n_addrs, MF_DNS_ADDRS_MAX);
}

static void test_lengths_that_lie(void **state)
{
	(void)state;
	begin(MF_DNS_NOERROR, "a", MF_DNS_A);
	maker_rr(&m, MF_DNS_ANSWER, "a", MF_DNS_A, 1);
	maker_bytes(&m, "abcde", 5);
	maker_end(&m);
	assert_int_equal(mf_dns_facts_read(maker_span(&m), &f), MF_E_MALFORMED);
	begin(MF_DNS_NOERROR, "a", MF_DNS_A);
	maker_rr(&m, MF_DNS_ANSWER, "a", MF_DNS_CNAME, 1);
	maker_bytes(&m, "\1b\0x", 4);
	maker_end(&m);
	assert_int_equal(mf_dns_facts_read(maker_span(&m), &f), MF_E_MALFORMED);
	begin(MF_DNS_NXDOMAIN, "a", MF_DNS_A);
	maker_soa(&m, "a", 1, 1);
	maker_u8(&m, 0);
	maker_end(&m);
	assert_int_equal(mf_dns_facts_read(maker_span(&m), &f), MF_E_MALFORMED);
	begin(MF_DNS_NOERROR, "a", MF_DNS_HTTPS);
	service("a", MF_DNS_ANSWER, 1, "");
	hints(4, 1, (const char *const[]){ "192.0.2.1" });
	read_facts();
	m.b[m.n - 5]++;
	assert_int_equal(mf_dns_facts_read(maker_span(&m), &f), MF_E_MALFORMED);
	m.b[m.n - 5] = 3;
	assert_int_equal(mf_dns_facts_read(maker_span(&m), &f), MF_E_MALFORMED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_dname),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_negative),
		cmocka_unit_test(test_not_cacheable),
		cmocka_unit_test(test_ttl_with_the_top_bit),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_more_addresses_than_fit),
		cmocka_unit_test(test_lengths_that_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
