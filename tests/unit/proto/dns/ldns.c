/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec against ldns, which shares no line with it: what ldns writes we read alike, what we
 * write or change ldns reads alike, and what is broken is broken to both.
 */
#include <ldns/ldns.h>

#include "maker.h"

static uint8_t out[MF_DNS_MESSAGE_MAX];

/* Records of every type whose rdata we look into, and some that we do not. */
static const char *const forms[] = {
	"%s %u IN A 192.0.2.%u",
	"%s %u IN AAAA 2001:db8::%x",
	"%s %u IN CNAME t%u.Example.NET.",
	"%s %u IN MX 10 mail%u.example.com.",
	"%s %u IN NS ns%u.example.com.",
	"%s %u IN PTR p%u.example.com.",
	"%s %u IN SOA ns.example.com. admin.example.com. %u 3600 600 86400 300",
	"%s %u IN SRV 1 2 %u srv.example.com.",
	"%s %u IN TXT \"text %u\" \"more\"",
	"%s %u IN NAPTR %u 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.com.",
	"%s %u IN DNAME d%u.example.org.",
	"%s %u IN CAA 0 issue \"ca%u.example\"",
	"%s %u IN RP a%u.example.com. b.example.com.",
	"%s %u IN TYPE65280 \\# 4 c00c00%02x",
};

static const char *const owners[] = { "a.example.com.",     "Www.A.Example.com.", "b.example.net.",
				      "x.y.z.example.org.", "example.com.",       "." };

static const char *random_owner(struct mf_prng *g)
{
	return owners[mf_prng_below(g, MF_ARRAY_LEN(owners))];
}

static ldns_rr *random_rr(struct mf_prng *g)
{
	char text[200];
	ldns_rr *rr = NULL;
	const char *form = forms[mf_prng_below(g, MF_ARRAY_LEN(forms))];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), form, random_owner(g), (unsigned)mf_prng_below(g, 100000),
		 (unsigned)mf_prng_below(g, 250));
#pragma GCC diagnostic pop
	assert_int_equal(ldns_rr_new_frm_str(&rr, text, 0, NULL, NULL), LDNS_STATUS_OK);
	return rr;
}

/* An answer with random records, and EDNS or not. */
static ldns_pkt *random_answer(struct mf_prng *g)
{
	ldns_pkt *pkt = ldns_pkt_query_new(ldns_dname_new_frm_str(random_owner(g)), LDNS_RR_TYPE_A,
					   LDNS_RR_CLASS_IN, LDNS_RD);

	assert_non_null(pkt);
	ldns_pkt_set_id(pkt, 0x1234);
	ldns_pkt_set_qr(pkt, true);
	ldns_pkt_set_ad(pkt, true);
	for (int s = LDNS_SECTION_ANSWER; s <= LDNS_SECTION_ADDITIONAL; s++)
		for (uint64_t n = mf_prng_below(g, 8); n; n--)
			assert_true(ldns_pkt_push_rr(pkt, (ldns_pkt_section)s, random_rr(g)));
	if (mf_prng_below(g, 2))
		ldns_pkt_set_edns_udp_size(pkt, 1232);
	return pkt;
}

static ldns_pkt *parse(struct mf_span msg)
{
	ldns_pkt *pkt = NULL;

	return ldns_wire2pkt(&pkt, msg.p, msg.n) == LDNS_STATUS_OK ? pkt : NULL;
}

/* The name at `at` is that of ldns, but for the case of its letters. */
static void same_name(struct mf_span msg, size_t at, const ldns_rdf *want)
{
	struct mf_dns_name n;
	uint8_t lower[MF_DNS_NAME_MAX];

	assert_int_equal(mf_dns_name_read(msg, &at, &n), MF_OK);
	assert_int_equal(n.n, ldns_rdf_size(want));
	memcpy(lower, ldns_rdf_data(want), n.n);
	for (size_t i = 0; i < n.n; i++)
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] = (uint8_t)(lower[i] + 32);
	assert_memory_equal(n.b, lower, n.n);
}

static void same_rr(struct mf_span msg, const struct mf_dns_rr *ours, const ldns_rr *theirs)
{
	uint32_t ttl = ldns_rr_ttl(theirs);

	same_name(msg, ours->name, ldns_rr_owner(theirs));
	assert_int_equal(ours->type, ldns_rr_get_type(theirs));
	assert_int_equal(ours->class, ldns_rr_get_class(theirs));
	assert_int_equal(ours->ttl, ttl > INT32_MAX ? 0 : ttl);
	if (ours->type == MF_DNS_A || ours->type == MF_DNS_AAAA) {
		assert_int_equal(ours->rdlen, ldns_rdf_size(ldns_rr_rdf(theirs, 0)));
		assert_memory_equal(msg.p + ours->rdata, ldns_rdf_data(ldns_rr_rdf(theirs, 0)),
				    ours->rdlen);
	}
	if (ours->type == MF_DNS_CNAME)
		same_name(msg, ours->rdata, ldns_rr_rdf(theirs, 0));
}

/* We see in the message what ldns has in the packet. OPT and TSIG are no records to ldns. */
static void same(struct mf_span msg, const ldns_pkt *pkt)
{
	ldns_rr_list *const lists[] = { ldns_pkt_answer(pkt), ldns_pkt_authority(pkt),
					ldns_pkt_additional(pkt) };
	size_t seen[3] = { 0 };
	bool opt = false;
	struct mf_dns_walk w;
	struct mf_dns_rr rr;

	assert_int_equal(mf_dns_walk_begin(&w, msg), MF_OK);
	while (mf_dns_walk_next(&w, &rr)) {
		if (rr.section == MF_DNS_ADDITIONAL && (rr.type == MF_DNS_OPT || rr.type == 250)) {
			opt |= rr.type == MF_DNS_OPT;
			continue;
		}
		assert_true(seen[rr.section] < ldns_rr_list_rr_count(lists[rr.section]));
		same_rr(msg, &rr, ldns_rr_list_rr(lists[rr.section], seen[rr.section]++));
	}
	assert_false(w.failed);
	assert_int_equal(opt, ldns_pkt_edns(pkt));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(seen[i], ldns_rr_list_rr_count(lists[i]));
}

static void test_what_ldns_writes(void **state)
{
	struct mf_prng g = unit_prng("ldns");

	(void)state;
	for (int i = 0; i < 2000; i++) {
		ldns_pkt *pkt = random_answer(&g);
		struct mf_dns_facts f;
		uint8_t *wire;
		size_t n;

		assert_int_equal(ldns_pkt2wire(&wire, pkt, &n), LDNS_STATUS_OK);
		same(mf_span(wire, n), pkt);
		if (mf_dns_facts_read(mf_span(wire, n), &f) == MF_OK)
			assert_int_equal(f.rcode, ldns_pkt_get_rcode(pkt));
		free(wire);
		ldns_pkt_free(pkt);
	}
}

/* ---- What we write --------------------------------------------------------------------------- */

static void without_ip6(ldns_rr_list *list)
{
	ldns_rr_list *all = ldns_rr_list_new();

	while (ldns_rr_list_rr_count(list))
		ldns_rr_list_push_rr(all, ldns_rr_list_pop_rr(list));
	while (ldns_rr_list_rr_count(all)) {
		ldns_rr *rr = ldns_rr_list_pop_rr(all);

		if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_AAAA)
			ldns_rr_free(rr);
		else
			ldns_rr_list_push_rr(list, rr);
	}
	ldns_rr_list_free(all);
}

static bool no_ip6(void *ctx, const struct mf_addr *a)
{
	(void)ctx;
	return a->family != MF_AF_IP6;
}

static void same_lists(const ldns_rr_list *a, const ldns_rr_list *b)
{
	size_t n = ldns_rr_list_rr_count(a);

	assert_int_equal(n, ldns_rr_list_rr_count(b));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(ldns_rr_compare(ldns_rr_list_rr(a, i), ldns_rr_list_rr(b, i)), 0);
		assert_int_equal(ldns_rr_ttl(ldns_rr_list_rr(a, i)),
				 ldns_rr_ttl(ldns_rr_list_rr(b, i)));
	}
}

static void same_packets(const ldns_pkt *a, const ldns_pkt *b)
{
	same_lists(ldns_pkt_question(a), ldns_pkt_question(b));
	same_lists(ldns_pkt_answer(a), ldns_pkt_answer(b));
	same_lists(ldns_pkt_authority(a), ldns_pkt_authority(b));
	same_lists(ldns_pkt_additional(a), ldns_pkt_additional(b));
}

/* Records of any type, whole rdata included, come through stripping. */
static void test_strip(void **state)
{
	struct mf_prng g = unit_prng("strip");

	(void)state;
	for (int i = 0; i < 2000; i++) {
		ldns_pkt *pkt = random_answer(&g), *back;
		uint8_t *wire;
		size_t n;

		assert_int_equal(ldns_pkt2wire(&wire, pkt, &n), LDNS_STATUS_OK);
		n = mf_dns_strip(out, sizeof(out), mf_span(wire, n), no_ip6, NULL);
		back = parse(mf_span(out, n));
		assert_non_null(back);
		without_ip6(ldns_pkt_answer(pkt));
		without_ip6(ldns_pkt_authority(pkt));
		without_ip6(ldns_pkt_additional(pkt));
		same_packets(pkt, back);
		free(wire);
		ldns_pkt_free(back);
		ldns_pkt_free(pkt);
	}
}

/* An answer goes through keeping and comes out as a reply that says the same. */
static void test_keep_and_reply(void **state)
{
	struct mf_prng g = unit_prng("keep");
	static uint8_t buf[MF_DNS_MESSAGE_MAX];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		ldns_pkt *pkt = random_answer(&g), *ask, *back;
		struct mf_dns_kept k;
		struct mf_dns_query q;
		uint8_t *wire, *query;
		size_t n, n_query;

		assert_int_equal(ldns_pkt2wire(&wire, pkt, &n), LDNS_STATUS_OK);
		/* Seconds are as they were; but a SOA's are its MINIMUM at most. */
		if (mf_dns_keep(&k, buf, mf_span(wire, n), 0, 300))
			fail();
		ask = ldns_pkt_query_new(
			ldns_rdf_clone(ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(pkt), 0))),
			LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN, LDNS_RD | LDNS_AD);
		ldns_pkt_set_id(ask, 99);
		ldns_pkt_set_edns_udp_size(ask, 4096);
		assert_int_equal(ldns_pkt2wire(&query, ask, &n_query), LDNS_STATUS_OK);
		assert_int_equal(mf_dns_query_read(mf_span(query, n_query), &q), MF_OK);
		assert_int_equal(q.udp_size, 4096);
		n = mf_dns_reply_kept(out, sizeof(out), mf_span(query, n_query), &q,
				      mf_span(k.msg, k.n), k.ttl_at, k.n_ttls, 0, 7,
				      MF_DNS_EDE_STALE);
		back = parse(mf_span(out, n));
		assert_non_null(back);
		for (int s = LDNS_SECTION_ANSWER; s <= LDNS_SECTION_ADDITIONAL; s++) {
			ldns_rr_list *list = s == LDNS_SECTION_ANSWER ? ldns_pkt_answer(pkt)
					     : s == LDNS_SECTION_AUTHORITY
						     ? ldns_pkt_authority(pkt)
						     : ldns_pkt_additional(pkt);

			for (size_t r = 0; r < ldns_rr_list_rr_count(list); r++)
				ldns_rr_set_ttl(ldns_rr_list_rr(list, r), 7);
		}
		same_packets(pkt, back);
		assert_int_equal(ldns_pkt_id(back), 99);
		assert_true(ldns_pkt_ra(back) && ldns_pkt_rd(back) && ldns_pkt_ad(back));
		assert_false(ldns_pkt_aa(back) || ldns_pkt_tc(back));
		assert_true(ldns_pkt_edns(back));
		assert_int_equal(ldns_pkt_edns_udp_size(back), MF_DNS_UDP_MAX);
		free(wire);
		free(query);
		ldns_pkt_free(ask);
		ldns_pkt_free(back);
		ldns_pkt_free(pkt);
	}
}

static void test_what_we_write(void **state)
{
	struct mf_dns_name name = maker_wire("www.example.com");
	struct mf_dns_query q;
	struct mf_addr addr = maker_addr("192.0.2.1");
	uint8_t query[600];
	size_t n, n_query;
	ldns_pkt *pkt;
	char *text;

	(void)state;
	n_query = mf_dns_question_write(query, 7, &name, MF_DNS_A, true, true, NULL, true);
	pkt = parse(mf_span(query, n_query));
	assert_non_null(pkt);
	assert_true(ldns_pkt_rd(pkt) && ldns_pkt_ad(pkt) && ldns_pkt_cd(pkt) && !ldns_pkt_qr(pkt));
	assert_true(ldns_pkt_edns(pkt) && ldns_pkt_edns_do(pkt));
	ldns_pkt_free(pkt);
	assert_int_equal(mf_dns_query_read(mf_span(query, n_query), &q), MF_OK);
	n = mf_dns_reply_addrs(out, 512, mf_span(query, n_query), &q, &addr, 1, 60);
	pkt = parse(mf_span(out, n));
	assert_non_null(pkt);
	text = ldns_rr2str(ldns_rr_list_rr(ldns_pkt_answer(pkt), 0));
	assert_string_equal(text, "www.example.com.\t60\tIN\tA\t192.0.2.1\n");
	free(text);
	ldns_pkt_free(pkt);
	n = mf_dns_reply_empty(out, 512, mf_span(query, n_query), &q, MF_DNS_NXDOMAIN,
			       MF_DNS_EDE_BLOCKED, 60);
	pkt = parse(mf_span(out, n));
	assert_non_null(pkt);
	assert_int_equal(ldns_pkt_get_rcode(pkt), LDNS_RCODE_NXDOMAIN);
	text = ldns_rr2str(ldns_rr_list_rr(ldns_pkt_authority(pkt), 0));
	assert_string_equal(text,
			    "www.example.com.\t60\tIN\tSOA\twww.example.com. nobody.invalid. 1 "
			    "3600 1200 604800 60\n");
	free(text);
	ldns_pkt_free(pkt);
}

/* ---- Broken messages --------------------------------------------------------------------------- */

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

/* Cut short anywhere, a message is whole to neither. */
static void test_cut_short(void **state)
{
	struct mf_prng g = unit_prng("cut");

	(void)state;
	for (int i = 0; i < 100; i++) {
		ldns_pkt *pkt = random_answer(&g);
		uint8_t *wire;
		size_t n;

		assert_int_equal(ldns_pkt2wire(&wire, pkt, &n), LDNS_STATUS_OK);
		ldns_pkt_free(pkt);
		for (size_t cut = 0; cut <= n; cut++) {
			pkt = parse(mf_span(wire, cut));
			assert_int_equal(pkt != NULL, cut == n);
			assert_int_equal(walks(mf_span(wire, cut)), cut == n);
			ldns_pkt_free(pkt);
		}
		free(wire);
	}
}

/* Bytes of which many are labels, their ends, and pointers. */
static void random_bytes(struct mf_prng *g, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		switch (mf_prng_below(g, 8)) {
		case 0:
			b[i] = 0;
			break;
		case 1:
			b[i] = 0xc0;
			break;
		case 2:
			b[i] = (uint8_t)mf_prng_u64(g);
			break;
		default:
			b[i] = (uint8_t)mf_prng_below(g, 64);
		}
	}
}

/* True if it goes through a pointer that we refuse and ldns may follow: not backwards, or into the header. */
static bool strays(const uint8_t *b, size_t n, size_t at)
{
	for (size_t start = at; at + 1 < n && b[at];) {
		if (b[at] < 0xc0) {
			at += 1 + (size_t)b[at];
			continue;
		}
		at = mf_load_be16(b + at) & 0x3fff;
		if (at >= start || at < MF_DNS_HEADER)
			return true;
		start = at;
	}
	return false;
}

/* Any bytes: what is a name to one is the same name to the other, and ends at the same place. */
static void test_names_of_any_bytes(void **state)
{
	struct mf_prng g = unit_prng("names");
	unsigned good = 0, bad = 0;

	(void)state;
	for (int i = 0; i < 300000; i++) {
		uint8_t b[80];
		size_t start = 12 + mf_prng_below(&g, 50), at = start, to = start;
		struct mf_dns_name n;
		ldns_rdf *rdf = NULL;
		bool ours, theirs;

		random_bytes(&g, b, sizeof(b));
		ours = mf_dns_name_read(mf_span(b, sizeof(b)), &at, &n) == MF_OK;
		theirs = ldns_wire2dname(&rdf, b, sizeof(b), &to) == LDNS_STATUS_OK;
		if (ours) {
			assert_true(theirs);
			assert_int_equal(at, to);
			same_name(mf_span(b, sizeof(b)), start, rdf);
			good++;
		} else if (theirs) {
			assert_true(strays(b, sizeof(b), start));
		} else {
			bad++;
		}
		ldns_rdf_deep_free(rdf);
	}
	assert_true(good > 10000 && bad > 10000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_ldns_writes), cmocka_unit_test(test_strip),
		cmocka_unit_test(test_keep_and_reply),   cmocka_unit_test(test_what_we_write),
		cmocka_unit_test(test_cut_short),        cmocka_unit_test(test_names_of_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
