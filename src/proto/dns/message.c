/* SPDX-License-Identifier: Apache-2.0
 *
 * message - reading: questions, the walk over records, and whether an answer belongs to its
 * question. What the records mean is in facts.c.
 */
#include "proto/dns/internal.h"

/* ---- Records --------------------------------------------------------------------------------- */

/* Behind `n` questions at *at. */
static mf_err skip_questions(struct mf_span msg, unsigned n, size_t *at)
{
	for (; n; n--) {
		mf_err err = mf_dns_name_read(msg, at, NULL);

		if (err)
			return err;
		if (msg.n - *at < MF_DNS_QUESTION_FIXED)
			return MF_E_SHORT;
		*at += MF_DNS_QUESTION_FIXED;
	}
	return MF_OK;
}

mf_err mf_dns_walk_begin(struct mf_dns_walk *w, struct mf_span msg)
{
	mf_err err;

	*w = (struct mf_dns_walk){ .msg = msg, .at = MF_DNS_HEADER, .failed = true };
	if (msg.n < MF_DNS_HEADER)
		return MF_E_SHORT;
	if (msg.n > MF_DNS_MESSAGE_MAX)
		return MF_E_MALFORMED;
	err = skip_questions(msg, mf_dns_count_get(msg.p, MF_DNS_QDCOUNT), &w->at);
	if (err)
		return err;
	for (unsigned i = 0; i < 3; i++)
		w->left[i] = mf_dns_count_get(msg.p, MF_DNS_ANCOUNT + i);
	w->failed = false;
	return MF_OK;
}

/* The record at w->at. */
static bool read_record(struct mf_dns_walk *w, struct mf_dns_rr *rr)
{
	size_t at = w->at;
	const uint8_t *p;

	if (mf_dns_name_read(w->msg, &at, NULL) || w->msg.n - at < MF_DNS_RR_FIXED)
		return false;
	p = w->msg.p + at;
	*rr = (struct mf_dns_rr){
		.section = w->section,
		.type = mf_load_be16(p),
		.class = mf_load_be16(p + 2),
		.ttl = mf_load_be32(p + 4),
		.name = (uint16_t)w->at,
		.ttl_at = (uint16_t)(at + 4),
		.rdata = (uint16_t)(at + MF_DNS_RR_FIXED),
		.rdlen = mf_load_be16(p + 8),
	};
	if (rr->ttl > INT32_MAX)
		rr->ttl = 0;
	at += MF_DNS_RR_FIXED;
	if (w->msg.n - at < rr->rdlen)
		return false;
	w->at = at + rr->rdlen;
	return true;
}

bool mf_dns_walk_next(struct mf_dns_walk *w, struct mf_dns_rr *rr)
{
	if (w->failed)
		return false;
	while (w->section <= MF_DNS_ADDITIONAL && !w->left[w->section])
		w->section++;
	if (w->section > MF_DNS_ADDITIONAL) {
		w->failed = w->at != w->msg.n;
		return false;
	}
	w->left[w->section]--;
	w->failed = !read_record(w, rr);
	return !w->failed;
}

/* ---- Questions ------------------------------------------------------------------------------- */

/* RFC 6891 6.1.2: options fill the record to the last byte. */
static bool options_fit(const uint8_t *p, size_t n)
{
	while (n >= 4) {
		size_t len = 4 + (size_t)mf_load_be16(p + 2);

		if (len > n)
			return false;
		p += len;
		n -= len;
	}
	return n == 0;
}

/* RFC 6891 6.1.1: one OPT at most, and its name is the root. */
static bool read_opt(struct mf_dns_query *q, const uint8_t *msg, const struct mf_dns_rr *rr)
{
	if (q->edns || msg[rr->name] || !options_fit(msg + rr->rdata, rr->rdlen))
		return false;
	q->edns = true;
	q->edns_version = msg[rr->ttl_at + 1];
	q->dnssec_ok = msg[rr->ttl_at + 2] & MF_DNS_OPT_DO >> 8;
	q->udp_size = (uint16_t)mf_max(rr->class, MF_DNS_UDP_PLAIN);
	return true;
}

/* All behind the header. */
static bool read_query(struct mf_span msg, struct mf_dns_query *q)
{
	struct mf_dns_walk w = { .msg = msg,
				 .at = MF_DNS_HEADER,
				 .left = { 0, 0, mf_dns_count_get(msg.p, MF_DNS_ARCOUNT) },
				 .section = MF_DNS_ADDITIONAL };
	struct mf_dns_rr rr;

	if (mf_dns_count_get(msg.p, MF_DNS_QDCOUNT) != 1 || mf_dns_count_get(msg.p, MF_DNS_ANCOUNT) ||
	    mf_dns_count_get(msg.p, MF_DNS_NSCOUNT) || msg.n > MF_DNS_MESSAGE_MAX)
		return false;
	if (mf_dns_name_read(msg, &w.at, &q->name) || msg.n - w.at < MF_DNS_QUESTION_FIXED)
		return false;
	q->type = mf_load_be16(msg.p + w.at);
	q->class = mf_load_be16(msg.p + w.at + 2);
	w.at += MF_DNS_QUESTION_FIXED;
	q->question_end = (uint16_t)w.at;
	while (mf_dns_walk_next(&w, &rr)) {
		if (rr.type == MF_DNS_OPT && !read_opt(q, msg.p, &rr))
			return false;
	}
	return !w.failed;
}

mf_err mf_dns_query_read(struct mf_span msg, struct mf_dns_query *q)
{
	uint16_t flags;

	if (msg.n < MF_DNS_HEADER)
		return MF_E_SHORT;
	flags = mf_load_be16(msg.p + 2);
	if (flags & MF_DNS_QR)
		return MF_E_SHORT;
	q->id = mf_load_be16(msg.p);
	q->flags = flags;
	q->question_end = 0;
	q->edns = q->dnssec_ok = false;
	q->edns_version = 0;
	q->udp_size = MF_DNS_UDP_PLAIN;
	if (flags & MF_DNS_OPCODE)
		return MF_E_UNSUPPORTED;
	if (MF_LIKELY(read_query(msg, q)))
		return MF_OK;
	q->question_end = 0;
	q->edns = q->dnssec_ok = false;
	return MF_E_MALFORMED;
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* The question of `msg`, its only one. */
static mf_err read_question(struct mf_span msg, struct mf_dns_name *name, size_t *end)
{
	mf_err err;

	*end = MF_DNS_HEADER;
	err = mf_dns_name_read(msg, end, name);
	if (err)
		return err;
	*end += MF_DNS_QUESTION_FIXED;
	return *end > msg.n ? MF_E_SHORT : MF_OK;
}

/* The two have one question each. */
static mf_err compare_questions(struct mf_span question, struct mf_span answer, bool exact_case)
{
	struct mf_dns_name asked, answered;
	size_t end, same;
	mf_err err = read_question(question, &asked, &end);

	if (!err)
		err = read_question(answer, &answered, &same);
	if (err)
		return err;
	if (end != same || !mf_dns_name_equal(&asked, &answered) ||
	    memcmp(question.p + end - MF_DNS_QUESTION_FIXED, answer.p + end - MF_DNS_QUESTION_FIXED,
		   MF_DNS_QUESTION_FIXED) != 0)
		return MF_E_CONFLICT;
	if (exact_case &&
	    memcmp(question.p + MF_DNS_HEADER, answer.p + MF_DNS_HEADER, end - MF_DNS_HEADER) != 0)
		return MF_E_CONFLICT;
	return MF_OK;
}

static mf_err check_records(struct mf_span answer)
{
	struct mf_dns_walk w;
	struct mf_dns_rr rr;
	mf_err err = mf_dns_walk_begin(&w, answer);

	if (err)
		return err;
	while (mf_dns_walk_next(&w, &rr))
		;
	return w.failed ? MF_E_MALFORMED : MF_OK;
}

mf_err mf_dns_answer_check(struct mf_span question, struct mf_span answer, bool exact_case)
{
	uint16_t asked, flags, rcode;
	mf_err err;

	if (question.n < MF_DNS_HEADER || answer.n < MF_DNS_HEADER)
		return MF_E_SHORT;
	asked = mf_load_be16(question.p + 2);
	flags = mf_load_be16(answer.p + 2);
	rcode = flags & MF_DNS_RCODE;
	if (memcmp(question.p, answer.p, 2) != 0 || !(flags & MF_DNS_QR) ||
	    (asked ^ flags) & MF_DNS_OPCODE)
		return MF_E_CONFLICT;
	switch (mf_dns_count_get(answer.p, MF_DNS_QDCOUNT)) {
	case 0:
		if (rcode != MF_DNS_FORMERR && rcode != MF_DNS_NOTIMP)
			return MF_E_CONFLICT;
		break;
	case 1:
		err = compare_questions(question, answer, exact_case);
		if (err)
			return err;
		break;
	default:
		return MF_E_CONFLICT;
	}
	/* What did not fit may end anywhere, and is asked for again anyway (RFC 2181 9). */
	return flags & MF_DNS_TC ? MF_OK : check_records(answer);
}
