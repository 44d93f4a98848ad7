/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/dns/message.h"

#include "maker.h"

static struct maker m;

/* Reads what has been made, in memory that ends where it ends. */
static mf_err query_read(struct mf_dns_query *q, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	mf_err err;

	assert_non_null(copy);
	memcpy(copy, m.b, n);
	err = mf_dns_query_read(mf_span(copy, n), q);
	free(copy);
	return err;
}

static void make_query(unsigned flags)
{
	m.compress = NULL;
	maker_begin(&m, 0x1234, flags);
	maker_question(&m, "Example.COM", MF_DNS_HTTPS);
}

static void test_plain_query(void **state)
{
	struct mf_dns_query q;
	char text[MF_DNS_TEXT_MAX];

	(void)state;
	make_query(MF_DNS_RD | MF_DNS_CD);
	assert_int_equal(query_read(&q, m.n), MF_OK);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.flags, MF_DNS_RD | MF_DNS_CD);
	assert_int_equal(q.type, MF_DNS_HTTPS);
	assert_int_equal(q.class, MF_DNS_IN);
	assert_string_equal(mf_dns_name_format(&q.name, text), "example.com");
	assert_int_equal(q.question_end, m.n);
	assert_false(q.edns || q.dnssec_ok);
	assert_int_equal(q.udp_size, 512);
	for (size_t n = 12; n < m.n; n++)
		assert_int_equal(query_read(&q, n), MF_E_MALFORMED);
	for (size_t n = 0; n < 12; n++)
		assert_int_equal(query_read(&q, n), MF_E_SHORT);
	maker_u8(&m, 0); /* a byte too many */
	assert_int_equal(query_read(&q, m.n), MF_E_MALFORMED);
}

static void test_edns(void **state)
{
	static const struct {
		uint16_t says, means;
	} sizes[] = { { 0, 512 }, { 100, 512 }, { 512, 512 }, { 1232, 1232 }, { 65535, 65535 } };
	struct mf_dns_query q;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(sizes); i++) {
		make_query(0);
		maker_opt(&m, sizes[i].says, 0, i % 2 ? 0x8000 : 0x7fff);
		assert_int_equal(query_read(&q, m.n), MF_OK);
		assert_true(q.edns);
		assert_int_equal(q.dnssec_ok, i % 2);
		assert_int_equal(q.edns_version, 0);
		assert_int_equal(q.udp_size, sizes[i].means);
		for (size_t n = q.question_end; n < m.n; n++)
			assert_int_equal(query_read(&q, n), MF_E_MALFORMED);
	}
	m.b[m.fixed + 5] = 7;
	assert_int_equal(query_read(&q, m.n), MF_OK);
	assert_int_equal(q.edns_version, 7);
	assert_int_equal(q.question_end, m.fixed - 1);
}

/* RFC 6891 6.1.1: one OPT, and its name is the root. */
static void test_bad_opt(void **state)
{
	struct mf_dns_query q;

	(void)state;
	make_query(0);
	maker_opt(&m, 1232, 0, 0);
	maker_opt(&m, 1232, 0, 0);
	assert_int_equal(query_read(&q, m.n), MF_E_MALFORMED);
	assert_false(q.edns);
	assert_int_equal(q.question_end, 0);
	make_query(0);
	maker_rr(&m, MF_DNS_ADDITIONAL, "a", MF_DNS_OPT, 0);
	assert_int_equal(query_read(&q, m.n), MF_E_MALFORMED);
	make_query(0);
	maker_opt(&m, 1232, 0, 0);
	maker_bytes(&m, "\0\12\0\10abcdefgh", 12); /* a cookie */
	maker_end(&m);
	assert_int_equal(query_read(&q, m.n), MF_OK);
	m.b[m.fixed + 13] = 9; /* it lies about its length */
	assert_int_equal(query_read(&q, m.n), MF_E_MALFORMED);
	m.b[m.fixed + 13] = 6; /* half an option behind it */
	assert_int_equal(query_read(&q, m.n), MF_E_MALFORMED);
}

static void test_what_is_no_query(void **state)
{
	struct mf_dns_query q;

	(void)state;
	make_query(MF_DNS_QR);
	assert_int_equal(query_read(&q, m.n), MF_E_SHORT);
	for (unsigned opcode = 1; opcode < 16; opcode++) {
		make_query(opcode << 11);
		assert_int_equal(query_read(&q, m.n), MF_E_UNSUPPORTED);
		assert_int_equal(q.id, 0x1234);
		assert_int_equal(q.flags, opcode << 11);
		assert_int_equal(q.question_end, 0);
		assert_int_equal(q.udp_size, 512);
	}
	make_query(0);
	maker_question(&m, "b", MF_DNS_A);
	assert_int_equal(query_read(&q, m.n), MF_E_MALFORMED);
	maker_begin(&m, 1, 0);
	assert_int_equal(query_read(&q, m.n), MF_E_MALFORMED);
	for (int s = MF_DNS_ANSWER; s <= MF_DNS_AUTHORITY; s++) {
		make_query(0);
		maker_address(&m, (enum mf_dns_section)s, "a", 1, "192.0.2.1");
		assert_int_equal(query_read(&q, m.n), MF_E_MALFORMED);
	}
	make_query(0); /* TSIG and the like are walked over */
	maker_rr(&m, MF_DNS_ADDITIONAL, "key", 250, 0);
	assert_int_equal(query_read(&q, m.n), MF_OK);
	assert_false(q.edns);
}

/* ---- The walk -------------------------------------------------------------------------------- */

static void make_answer(void)
{
	m.compress = maker_always;
	maker_begin(&m, 7, MF_DNS_QR | MF_DNS_RD | MF_DNS_RA);
	maker_question(&m, "www.example.com", MF_DNS_A);
	maker_alias(&m, MF_DNS_ANSWER, "www.example.com", MF_DNS_CNAME, 300, "cdn.example.net");
	maker_address(&m, MF_DNS_ANSWER, "cdn.example.net", 60, "192.0.2.1");
	maker_alias(&m, MF_DNS_AUTHORITY, "example.net", MF_DNS_NS, 0x80000000, "ns.example.net");
	maker_address(&m, MF_DNS_ADDITIONAL, "ns.example.net", 0x7fffffff, "2001:db8::1");
	maker_opt(&m, 1232, 0, 0);
}

static void test_walk(void **state)
{
	static const struct {
		uint8_t section;
		uint16_t type;
		uint32_t ttl;
		const char *name;
		uint16_t rdlen;
	} want[] = {
		{ MF_DNS_ANSWER, MF_DNS_CNAME, 300, "www.example.com", 17 },
		{ MF_DNS_ANSWER, MF_DNS_A, 60, "cdn.example.net", 4 },
		{ MF_DNS_AUTHORITY, MF_DNS_NS, 0, "example.net", 5 },
		{ MF_DNS_ADDITIONAL, MF_DNS_AAAA, 0x7fffffff, "ns.example.net", 16 },
		{ MF_DNS_ADDITIONAL, MF_DNS_OPT, 0, ".", 0 },
	};
	struct mf_dns_walk w;
	struct mf_dns_rr rr;

	(void)state;
	make_answer();
	assert_int_equal(mf_dns_walk_begin(&w, maker_span(&m)), MF_OK);
	for (size_t i = 0; i < MF_ARRAY_LEN(want); i++) {
		struct mf_dns_name n;
		char text[MF_DNS_TEXT_MAX];
		size_t at;

		assert_true(mf_dns_walk_next(&w, &rr));
		at = rr.name;
		assert_int_equal(mf_dns_name_read(w.msg, &at, &n), MF_OK);
		assert_int_equal(at, rr.ttl_at - 4);
		assert_int_equal(at, rr.rdata - 10);
		assert_string_equal(mf_dns_name_format(&n, text), want[i].name);
		assert_int_equal(rr.section, want[i].section);
		assert_int_equal(rr.type, want[i].type);
		assert_int_equal(rr.ttl, want[i].ttl);
		assert_int_equal(rr.rdlen, want[i].rdlen);
	}
	assert_false(mf_dns_walk_next(&w, &rr));
	assert_false(w.failed);
}

static bool walks(struct mf_span msg)
{
	struct mf_dns_walk w;
	struct mf_dns_rr rr;

	if (mf_dns_walk_begin(&w, msg))
		return false;
	while (mf_dns_walk_next(&w, &rr))
		;
	return !w.failed;
}

/* Cut short anywhere, or with a count or a length that lies, it is not whole. */
static void test_walk_of_what_is_broken(void **state)
{
	(void)state;
	make_answer();
	assert_true(walks(maker_span(&m)));
	for (size_t n = 0; n < m.n; n++)
		assert_false(walks(mf_span(m.b, n)));
	maker_u8(&m, 0);
	assert_false(walks(maker_span(&m)));
	for (size_t i = 5; i < 12; i += 2) {
		make_answer();
		m.b[i]++;
		assert_false(walks(maker_span(&m)));
		m.b[i] = (uint8_t)(m.b[i] - 2);
		assert_false(walks(maker_span(&m)));
	}
	make_answer();
	m.b[m.fixed + 9] = 1;
	assert_false(walks(maker_span(&m)));
}

/* ---- Answers to questions -------------------------------------------------------------------- */

static struct maker question;

static mf_err check(bool exact)
{
	return mf_dns_answer_check(maker_span(&question), maker_span(&m), exact);
}

static void test_answer_check(void **state)
{
	(void)state;
	maker_begin(&question, 7, MF_DNS_RD);
	maker_question(&question, "www.example.com", MF_DNS_A);
	maker_opt(&question, 1232, 0, 0);
	make_answer();
	assert_int_equal(check(true), MF_OK);
	/* In other letters. */
	question.b[13] = 'W';
	assert_int_equal(check(false), MF_OK);
	assert_int_equal(check(true), MF_E_CONFLICT);
	question.b[13] = 'w';
	/* Each byte of the question section, of the id and of the flags counts. */
	for (size_t i = 0; i < 12 + 17 + 4; i++) {
		if (i >= 3 && i < 12)
			continue;
		make_answer();
		m.b[i] ^= i == 2 ? 0x80 : 0x01;
		if (i == 2 || mf_dns_answer_check(maker_span(&m), maker_span(&m), true) == MF_OK)
			assert_int_equal(check(false), MF_E_CONFLICT);
		else
			assert_int_not_equal(check(false), MF_OK);
	}
	make_answer();
	m.b[2] |= 0x10; /* an opcode */
	assert_int_equal(check(true), MF_E_CONFLICT);
	make_answer();
	m.n--;
	assert_int_equal(check(true), MF_E_MALFORMED);
	m.b[2] |= MF_DNS_TC >> 8;
	assert_int_equal(check(true), MF_OK);
	m.n = 11;
	assert_int_equal(check(true), MF_E_SHORT);
}

static void test_answer_without_question(void **state)
{
	static const struct {
		unsigned rcode;
		mf_err err;
	} cases[] = { { MF_DNS_FORMERR, MF_OK },
		      { MF_DNS_NOTIMP, MF_OK },
		      { MF_DNS_NOERROR, MF_E_CONFLICT },
		      { MF_DNS_SERVFAIL, MF_E_CONFLICT },
		      { MF_DNS_REFUSED, MF_E_CONFLICT } };

	(void)state;
	maker_begin(&question, 7, MF_DNS_RD);
	maker_question(&question, "www.example.com", MF_DNS_A);
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		maker_begin(&m, 7, MF_DNS_QR | cases[i].rcode);
		assert_int_equal(check(true), cases[i].err);
	}
	maker_begin(&m, 7, MF_DNS_QR);
	maker_question(&m, "www.example.com", MF_DNS_A);
	maker_question(&m, "www.example.com", MF_DNS_A);
	assert_int_equal(check(true), MF_E_CONFLICT);
}

/* ---- Texts ----------------------------------------------------------------------------------- */

static void test_types_as_text(void **state)
{
	char text[16];

	(void)state;
	assert_string_equal(mf_dns_type_format(MF_DNS_A, text), "A");
	assert_string_equal(mf_dns_type_format(MF_DNS_HTTPS, text), "HTTPS");
	assert_string_equal(mf_dns_type_format(65280, text), "TYPE65280");
	for (unsigned type = 1; type <= UINT16_MAX; type++)
		assert_int_equal(mf_dns_type_parse(mf_dns_type_format((uint16_t)type, text)), type);
	assert_int_equal(mf_dns_type_parse("aaaa"), MF_DNS_AAAA);
	assert_int_equal(mf_dns_type_parse("type28"), MF_DNS_AAAA);
	assert_int_equal(mf_dns_type_parse("TYPE65536"), 0);
	assert_int_equal(mf_dns_type_parse("TYPE99999999999999999999"), 0);
	assert_int_equal(mf_dns_type_parse("TYPE"), 0);
	assert_int_equal(mf_dns_type_parse("TYPE1x"), 0);
	assert_int_equal(mf_dns_type_parse(""), 0);
	assert_int_equal(mf_dns_type_parse("AA"), 0);
	assert_string_equal(mf_dns_rcode_format(MF_DNS_NXDOMAIN, text), "NXDOMAIN");
	assert_string_equal(mf_dns_rcode_format(MF_DNS_BADVERS, text), "BADVERS");
	assert_string_equal(mf_dns_rcode_format(4095, text), "RCODE4095");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_query),
		cmocka_unit_test(test_edns),
		cmocka_unit_test(test_bad_opt),
		cmocka_unit_test(test_what_is_no_query),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_walk_of_what_is_broken),
		cmocka_unit_test(test_answer_check),
		cmocka_unit_test(test_answer_without_question),
		cmocka_unit_test(test_types_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
