/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a DNS question and as an answer. Whatever we make out of them can be read again,
 * fits, belongs to what was asked, and says nothing that the bytes did not say.
 */
#include "base/endian.h"
#include "proto/dns/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *allocate(size_t n)
{
	uint8_t *p = malloc(n ? n : 1);

	MF_ASSERT(p);
	return p;
}

static unsigned count_records(struct mf_span msg)
{
	struct mf_dns_walk w;
	struct mf_dns_rr rr;
	unsigned n = 0;

	MF_ASSERT(mf_dns_walk_begin(&w, msg) == MF_OK);
	for (; mf_dns_walk_next(&w, &rr); n++)
		MF_ASSERT((size_t)rr.rdata + rr.rdlen <= msg.n);
	MF_ASSERT(!w.failed);
	return n;
}

/* A reply has the client's id, QR, and its question to the letter. */
static void check_reply(struct mf_span reply, size_t cap, struct mf_span query,
			const struct mf_dns_query *q)
{
	MF_ASSERT(reply.n >= MF_DNS_HEADER && reply.n <= cap);
	MF_ASSERT(mf_load_be16(reply.p) == q->id);
	MF_ASSERT(mf_load_be16(reply.p + 2) & MF_DNS_QR);
	MF_ASSERT(mf_load_be16(reply.p + 4) == (q->question_end ? 1 : 0));
	for (size_t i = MF_DNS_HEADER; i < q->question_end; i++)
		MF_ASSERT(reply.p[i] == query.p[i]);
}

/* ---- As a question --------------------------------------------------------------------------- */

static void try_query(struct mf_span msg)
{
	static const struct mf_addr addr[3] = { { .family = MF_AF_IP4 }, { .family = MF_AF_IP6 } };
	enum { CAP = 512 };
	struct mf_dns_query q;
	mf_err err = mf_dns_query_read(msg, &q);
	uint8_t *out;
	size_t n;

	if (err == MF_E_SHORT)
		return;
	out = allocate(CAP);
	n = mf_dns_reply_empty(out, CAP, msg, &q, MF_DNS_NXDOMAIN, MF_DNS_EDE_BLOCKED, 60);
	check_reply(mf_span(out, n), CAP, msg, &q);
	count_records(mf_span(out, n));
	if (!err) {
		n = mf_dns_reply_addrs(out, CAP, msg, &q, addr, MF_ARRAY_LEN(addr), 60);
		check_reply(mf_span(out, n), CAP, msg, &q);
		if (!(mf_load_be16(out + 2) & MF_DNS_TC))
			MF_ASSERT(mf_dns_answer_check(msg, mf_span(out, n), true) == MF_OK);
		n = mf_dns_reply_ptr(out, CAP, msg, &q, &q.name, 60);
		check_reply(mf_span(out, n), CAP, msg, &q);
		n = mf_dns_question_write(out, 1, &q.name, q.type, q.dnssec_ok, true, NULL, true);
		MF_ASSERT(n <= CAP && n % 128 == 0);
		MF_ASSERT(mf_dns_query_read(mf_span(out, n), &q) == MF_OK);
	}
	free(out);
}

/* ---- As an answer ---------------------------------------------------------------------------- */

/* The question that this answers, with OPT. Returns its length, 0: it has none. */
static size_t make_query(struct mf_span answer, uint8_t out[600])
{
	struct mf_dns_name name;
	size_t at = MF_DNS_HEADER, n;

	if (answer.n < MF_DNS_HEADER || mf_load_be16(answer.p + 4) != 1 ||
	    mf_dns_name_read(answer, &at, &name) || answer.n - at < 4)
		return 0;
	n = mf_dns_question_write(out, mf_load_be16(answer.p), &name, mf_load_be16(answer.p + at),
				  false, false, NULL, false);
	memcpy(out + at + 2, answer.p + at + 2, 2); /* the class */
	return n;
}

static void try_replies(const struct mf_dns_kept *k, struct mf_span query)
{
	static const size_t caps[] = { 512, MF_DNS_UDP_MAX, MF_DNS_MESSAGE_MAX };
	struct mf_dns_query q;

	MF_ASSERT(mf_dns_query_read(query, &q) == MF_OK);
	for (size_t i = 0; i < MF_ARRAY_LEN(caps); i++) {
		uint8_t *out = allocate(caps[i]);
		size_t n = mf_dns_reply_kept(out, caps[i], query, &q, mf_span(k->msg, k->n),
					     k->ttl_at, k->n_ttls, 100 * (uint32_t)i, 0,
					     i ? MF_DNS_EDE_STALE : MF_DNS_EDE_NONE);

		check_reply(mf_span(out, n), caps[i], query, &q);
		/* A name may point into a TTL, and break when that is counted down. */
		if (i == 0)
			count_records(mf_span(out, n));
		free(out);
	}
}

/* Behind their questions, `kept` is as `answer` is. */
static bool same_tail(struct mf_span answer, struct mf_span kept)
{
	struct mf_dns_walk w;

	MF_ASSERT(mf_dns_walk_begin(&w, kept) == MF_OK);
	return memcmp(answer.p + w.at, kept.p + w.at, kept.n - w.at) == 0;
}

/* A kept message is an answer still, and keeping it again changes nothing. */
static void try_keep(struct mf_span answer, struct mf_span query)
{
	static struct mf_dns_kept k, again;
	static struct mf_dns_facts f, g;
	uint8_t *buf = allocate(answer.n), *other;

	if (mf_dns_keep(&k, buf, answer, 0, UINT32_MAX) == MF_OK) {
		MF_ASSERT(k.n <= answer.n && k.n_ttls == count_records(mf_span(buf, k.n)));
		MF_ASSERT(k.n_ttls <= count_records(answer));
		other = allocate(k.n);
		if (mf_dns_keep(&again, other, mf_span(buf, k.n), 0, UINT32_MAX) == MF_OK)
			MF_ASSERT(again.n == k.n && memcmp(buf, other, k.n) == 0);
		free(other);
		/* Unless it has moved, or a TTL was changed into which a name points. */
		if (same_tail(answer, mf_span(buf, k.n)) && mf_dns_facts_read(answer, &f) == MF_OK) {
			MF_ASSERT(mf_dns_facts_read(mf_span(buf, k.n), &g) == MF_OK);
			MF_ASSERT(f.rcode == g.rcode && f.n_cnames == g.n_cnames);
			MF_ASSERT(f.n_addrs == g.n_addrs && f.cacheable == g.cacheable);
			for (uint16_t i = 0; i < f.n_addrs; i++)
				MF_ASSERT(mf_addr_equal(&f.addr[i], &g.addr[i]));
		}
		if (query.n)
			try_replies(&k, query);
	}
	free(buf);
}

static bool keep_all(void *ctx, const struct mf_addr *a)
{
	(void)ctx;
	MF_ASSERT(a->family == MF_AF_IP4 || a->family == MF_AF_IP6);
	return true;
}

static bool no_ip6(void *ctx, const struct mf_addr *a)
{
	(void)ctx;
	return a->family != MF_AF_IP6;
}

static void try_strip(struct mf_span answer)
{
	static struct mf_dns_facts f;
	uint8_t *out = allocate(answer.n);
	size_t n = mf_dns_strip(out, answer.n, answer, keep_all, NULL);

	if (n)
		MF_ASSERT(n == answer.n && memcmp(out, answer.p, n) == 0);
	free(out);
	out = allocate(2 * answer.n);
	n = mf_dns_strip(out, 2 * answer.n, answer, no_ip6, NULL);
	if (n) {
		MF_ASSERT(count_records(mf_span(out, n)) <= count_records(answer));
		if (mf_dns_facts_read(mf_span(out, n), &f) == MF_OK)
			for (uint16_t i = 0; i < f.n_addrs; i++)
				MF_ASSERT(f.addr[i].family == MF_AF_IP4);
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mf_dns_facts f;
	struct mf_span msg = mf_span(data, size);
	uint8_t query[600];
	size_t n;

	try_query(msg);
	n = make_query(msg, query);
	if (n && mf_dns_answer_check(mf_span(query, n), msg, false) == MF_OK &&
	    !(mf_load_be16(data + 2) & MF_DNS_TC))
		count_records(msg);
	if (mf_dns_facts_read(msg, &f) == MF_OK) {
		MF_ASSERT(f.n_addrs <= MF_DNS_ADDRS_MAX && f.ttl <= INT32_MAX);
		count_records(msg);
	}
	try_keep(msg, mf_span(query, n));
	try_strip(msg);
	return 0;
}
